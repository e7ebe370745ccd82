/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "watcher.h"

#include <string.h>

/* After so long a test has failed, however slow the machine is. */
#define TOO_LONG (60 * G_TIME_SPAN_SECOND)

struct _Watcher
{
  gint refs;
  GMutex lock;
  GCond cond;
  GPtrArray *seen;
  MoshiLifeState state;
};

static void
free_seen (gpointer data)
{
  Seen *seen = data;

  g_clear_pointer (&seen->bytes, g_bytes_unref);
  g_clear_error (&seen->error);
  g_free (seen);
}

static void
ignore (const gchar * domain, GLogLevelFlags level, const gchar * message,
    gpointer user_data)
{
}

/* g_test_init() without libsoup's and GIO's word on each frame, which GTest
 * would print and which would slow the network thread down. */
void
session_test_init (int *argc, char ***argv)
{
  g_test_init (argc, argv, NULL);
  g_log_set_handler ("libsoup", G_LOG_LEVEL_DEBUG, ignore, NULL);
  g_log_set_handler ("GLib-GIO", G_LOG_LEVEL_DEBUG, ignore, NULL);
}

Watcher *
watcher_new (void)
{
  Watcher *self = g_new0 (Watcher, 1);

  self->refs = 1;
  g_mutex_init (&self->lock);
  g_cond_init (&self->cond);
  self->seen = g_ptr_array_new_with_free_func (free_seen);
  return self;
}

Watcher *
watcher_ref (Watcher * self)
{
  g_atomic_int_inc (&self->refs);
  return self;
}

void
watcher_unref (Watcher * self)
{
  if (!g_atomic_int_dec_and_test (&self->refs))
    return;
  g_ptr_array_unref (self->seen);
  g_cond_clear (&self->cond);
  g_mutex_clear (&self->lock);
  g_free (self);
}

void
watcher_on_event (MoshiSession * session, const MoshiSessionEvent * event,
    gpointer user_data)
{
  Watcher *self = user_data;
  Seen *seen = g_new0 (Seen, 1);

  seen->kind = event->kind;
  seen->state = event->state;
  seen->index = event->index;
  seen->bytes = event->bytes ? g_bytes_ref (event->bytes) : NULL;
  seen->color = event->color;
  seen->delay = event->delay;
  seen->error = event->error ? g_error_copy (event->error) : NULL;
  seen->http_status = event->http_status;
  seen->close_code = event->close_code;
  if (event->error != NULL) {
    g_assert_true (g_utf8_validate (event->error->message, -1, NULL));
    g_assert_true (event->error->domain == MOSHI_ERROR);
    g_assert_cmpint (event->error->code, !=, MOSHI_ERROR_CANCELLED);
  }
  g_mutex_lock (&self->lock);
  g_ptr_array_add (self->seen, seen);
  self->state = event->state;
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
}

/* Opens a session; takes @config. */
MoshiSession *
watcher_open (Watcher * self, MoshiSessionConfig * config)
{
  GError *error = NULL;
  MoshiSession *session = moshi_session_new (config, watcher_on_event, NULL,
      watcher_ref (self), (GDestroyNotify) watcher_unref, &error);

  g_assert_no_error (error);
  moshi_session_config_free (config);
  moshi_session_open (session);
  return session;
}

static const Seen *
find_locked (Watcher * self, MoshiSessionEventKind kind, guint n)
{
  guint i;

  for (i = 0; i < self->seen->len; i++) {
    Seen *seen = self->seen->pdata[i];

    if (seen->kind == kind && n-- == 0)
      return seen;
  }
  return NULL;
}

static const Seen *
find_end_locked (Watcher * self)
{
  const Seen *seen = find_locked (self, MOSHI_SESSION_FAILED, 0);

  return seen ? seen : find_locked (self, MOSHI_SESSION_FINISHED, 0);
}

static void
print_locked (Watcher * self)
{
  guint i;

  for (i = 0; i < self->seen->len; i++) {
    Seen *seen = self->seen->pdata[i];

    g_printerr ("# %u: event %d state %s %s\n", i, seen->kind,
        moshi_life_state_nick (seen->state),
        seen->error ? seen->error->message : "");
  }
}

static void
wait_locked (Watcher * self, gint64 until)
{
  if (g_cond_wait_until (&self->cond, &self->lock, until))
    return;
  print_locked (self);
  g_error ("nothing came");
}

/* The event number @n, from 0, of @kind. */
const Seen *
watcher_wait (Watcher * self, MoshiSessionEventKind kind, guint n)
{
  gint64 until = g_get_monotonic_time () + TOO_LONG;
  const Seen *seen;

  g_mutex_lock (&self->lock);
  while ((seen = find_locked (self, kind, n)) == NULL) {
    if (find_end_locked (self) != NULL) {
      print_locked (self);
      g_error ("the session ended first");
    }
    wait_locked (self, until);
  }
  g_mutex_unlock (&self->lock);
  return seen;
}

static gboolean
has_state_locked (Watcher * self, MoshiLifeState state)
{
  guint i;

  for (i = 0; i < self->seen->len; i++) {
    Seen *seen = self->seen->pdata[i];

    if (seen->kind == MOSHI_SESSION_STATE && seen->state == state)
      return TRUE;
  }
  return FALSE;
}

/* Until the session is or was in @state. */
void
watcher_wait_state (Watcher * self, MoshiLifeState state)
{
  gint64 until = g_get_monotonic_time () + TOO_LONG;

  g_mutex_lock (&self->lock);
  while (!has_state_locked (self, state))
    wait_locked (self, until);
  g_mutex_unlock (&self->lock);
}

/* FAILED or FINISHED. */
const Seen *
watcher_wait_end (Watcher * self)
{
  gint64 until = g_get_monotonic_time () + TOO_LONG;
  const Seen *seen;

  g_mutex_lock (&self->lock);
  while ((seen = find_end_locked (self)) == NULL)
    wait_locked (self, until);
  g_mutex_unlock (&self->lock);
  return seen;
}

guint
watcher_count (Watcher * self, MoshiSessionEventKind kind)
{
  guint n = 0;

  g_mutex_lock (&self->lock);
  while (find_locked (self, kind, n) != NULL)
    n++;
  g_mutex_unlock (&self->lock);
  return n;
}

guint
watcher_count_all (Watcher * self)
{
  guint n;

  g_mutex_lock (&self->lock);
  n = self->seen->len;
  g_mutex_unlock (&self->lock);
  return n;
}

const Seen *
watcher_get (Watcher * self, guint i)
{
  const Seen *seen;

  g_mutex_lock (&self->lock);
  seen = self->seen->pdata[i];
  g_mutex_unlock (&self->lock);
  return seen;
}

/* For a server on loopback, with quick time-outs and no second attempt. */
MoshiSessionConfig *
new_config (guint16 port)
{
  MoshiSessionConfig *config = moshi_session_config_new ();

  config->uri = g_strdup_printf ("ws://127.0.0.1:%u", port);
  config->life.retries = 0;
  config->life.backoff_max = 20;
  return config;
}

/* Packet number @i: 20 ms of CELT, one frame, with its number inside. */
GBytes *
new_packet (guint i)
{
  guint8 data[20] = { 31 << 3, i >> 8, i & 0xff, };

  return g_bytes_new (data, sizeof (data));
}

static gboolean
has_network_thread (void)
{
  GDir *dir = g_dir_open ("/proc/self/task", 0, NULL);
  const gchar *name;
  gboolean found = FALSE;

  g_assert_nonnull (dir);
  while ((name = g_dir_read_name (dir)) != NULL) {
    g_autofree gchar *path = g_build_filename ("/proc/self/task", name, "comm",
        NULL);
    g_autofree gchar *comm = NULL;

    if (g_file_get_contents (path, &comm, NULL, NULL)
        && g_str_has_prefix (comm, "moshi-network"))
      found = TRUE;
  }
  g_dir_close (dir);
  return found;
}

/* The thread leaves by itself; nothing tells when, so this looks again. */
void
wait_until_threads_are_gone (void)
{
  gint64 until = g_get_monotonic_time () + TOO_LONG;

  while (has_network_thread ()) {
    g_assert_cmpint (g_get_monotonic_time (), <, until);
    g_usleep (1000);
  }
}

guint
count_fds (void)
{
  GDir *dir = g_dir_open ("/proc/self/fd", 0, NULL);
  guint n = 0;

  g_assert_nonnull (dir);
  while (g_dir_read_name (dir) != NULL)
    n++;
  g_dir_close (dir);
  return n;
}
