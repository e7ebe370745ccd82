/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The first message: what a session is opened with, and who waits for it. */
#include "peer.h"
#include "watcher.h"

#include <string.h>

/* What the server found in each session, in the order of the attempts */
typedef struct
{
  PeerServer *server;
  GMutex lock;
  GCond cond;
  GPtrArray *openings;          /* of GBytes; by lock */
  guint refuse;                 /* attempts to drop once their message is read */
  gboolean greet;               /* by lock: send the handshake */
} Host;

static void
note (Host * self, GBytes * frame)
{
  g_mutex_lock (&self->lock);
  g_ptr_array_add (self->openings, g_bytes_ref (frame));
  g_cond_broadcast (&self->cond);
  while (!self->greet)
    g_cond_wait (&self->cond, &self->lock);
  g_mutex_unlock (&self->lock);
}

/* As MoshiVis: no handshake before the first message */
static void
host_session (Peer * peer, gpointer user_data)
{
  Host *self = user_data;
  g_autoptr (GBytes) frame = NULL;
  guint8 opcode = 0;

  if (!peer_upgrade (peer))
    return;
  frame = peer_read_frame (peer, &opcode);
  if (frame == NULL)
    return;
  g_assert_cmpuint (opcode, ==, 2);
  note (self, frame);
  if (peer_get_index (peer) < self->refuse)
    return;
  peer_send (peer, 0, NULL, 0);
  peer_read_until_gone (peer);
}

static Host *
host_new (guint refuse)
{
  Host *self = g_new0 (Host, 1);

  g_mutex_init (&self->lock);
  g_cond_init (&self->cond);
  self->openings = g_ptr_array_new_with_free_func
      ((GDestroyNotify) g_bytes_unref);
  self->refuse = refuse;
  self->greet = TRUE;
  self->server = peer_server_new (host_session, self);
  return self;
}

static void
set_greet (Host * self, gboolean greet)
{
  g_mutex_lock (&self->lock);
  self->greet = greet;
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
}

static void
host_free (Host * self)
{
  set_greet (self, TRUE);
  peer_server_free (self->server);
  g_ptr_array_unref (self->openings);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->cond);
  g_free (self);
}

/* *INDENT-OFF* */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Host, host_free)
/* *INDENT-ON* */

static void
wait_openings (Host * self, guint n)
{
  const gint64 end = g_get_monotonic_time () + 30 * G_TIME_SPAN_SECOND;

  g_mutex_lock (&self->lock);
  while (self->openings->len < n)
    g_assert_true (g_cond_wait_until (&self->cond, &self->lock, end));
  g_mutex_unlock (&self->lock);
}

static void
assert_opening (Host * self, guint i, const gchar * text)
{
  GBytes *opening;

  wait_openings (self, i + 1);
  g_mutex_lock (&self->lock);
  opening = g_bytes_ref (self->openings->pdata[i]);
  g_mutex_unlock (&self->lock);
  g_assert_cmpmem (g_bytes_get_data (opening, NULL),
      g_bytes_get_size (opening), text, strlen (text));
  g_bytes_unref (opening);
}

static MoshiSession *
call (Host * host, Watcher * watcher, guint timeout)
{
  MoshiSessionConfig *config = new_config (peer_server_get_port (host->server));

  config->wants_first_message = TRUE;
  config->life.handshake_timeout = timeout;
  config->life.retries = 3;
  return watcher_open (watcher, config);
}

static void
give (MoshiSession * session, const gchar * text)
{
  g_autoptr (GBytes) message = g_bytes_new (text, strlen (text));

  moshi_session_set_first_message (session, message);
}

static void
wait_session (Watcher * watcher, guint index)
{
  const Seen *seen;
  guint i = 0;

  do {
    seen = watcher_wait (watcher, MOSHI_SESSION_STATE, i++);
  } while (seen->state != MOSHI_LIFE_READY || seen->index != index);
}

static void
test_waits (void)
{
  g_autoptr (Host) host = host_new (0);
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiSession) session = call (host, watcher, 60000);
  MoshiSessionStats stats;

  give (session, "\x08one");
  watcher_wait_state (watcher, MOSHI_LIFE_READY);
  assert_opening (host, 0, "\x08one");
  moshi_session_get_stats (session, &stats);
  g_assert_cmpuint (stats.messages_sent, ==, 1);
  g_assert_cmpuint (stats.bytes_sent, ==, 4);
}

/* It does not come: one error, and nobody was bothered. */
static void
test_never (void)
{
  g_autoptr (Host) host = host_new (0);
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiSession) session = call (host, watcher, 50);
  const Seen *end = watcher_wait_end (watcher);

  g_test_message ("%s", end->error->message);
  g_assert_cmpint (end->kind, ==, MOSHI_SESSION_FAILED);
  g_assert_error (end->error, MOSHI_ERROR, MOSHI_ERROR_IMAGE);
  g_assert_nonnull (strstr (end->error->message, "image"));
  g_assert_cmpuint (peer_server_get_connections (host->server), ==, 0);
  g_assert_cmpuint (watcher_count (watcher, MOSHI_SESSION_RETRY), ==, 0);
  /* Too late */
  give (session, "\x08one");
  moshi_session_stop (session);
  g_assert_cmpuint (peer_server_get_connections (host->server), ==, 0);
}

/* All attempts at one session open with the same; the next takes the newest. */
static void
test_newest (void)
{
  g_autoptr (Host) host = host_new (1);
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiSession) session = call (host, watcher, 60000);

  set_greet (host, FALSE);
  give (session, "\x08one");
  wait_openings (host, 1);
  give (session, "\x08two");
  give (session, "\x08three");
  set_greet (host, TRUE);
  watcher_wait (watcher, MOSHI_SESSION_RETRY, 0);
  watcher_wait_state (watcher, MOSHI_LIFE_READY);
  assert_opening (host, 0, "\x08one");
  assert_opening (host, 1, "\x08one");
  moshi_session_restart (session);
  assert_opening (host, 2, "\x08three");
  wait_session (watcher, 1);
  moshi_session_restart (session);
  assert_opening (host, 3, "\x08three");
}

static void
greet (Peer * peer, gpointer user_data)
{
  if (!peer_upgrade (peer))
    return;
  peer_send (peer, 0, NULL, 0);
  peer_read_until_gone (peer);
}

/* It turns out that there is none. */
static void
test_none (void)
{
  g_autoptr (PeerServer) server = peer_server_new (greet, NULL);
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiSession) session = NULL;
  MoshiSessionConfig *config = new_config (peer_server_get_port (server));
  MoshiSessionStats stats;

  config->wants_first_message = TRUE;
  session = watcher_open (watcher, config);
  moshi_session_set_first_message (session, NULL);
  watcher_wait_state (watcher, MOSHI_LIFE_READY);
  moshi_session_get_stats (session, &stats);
  g_assert_cmpuint (stats.messages_sent, ==, 0);
}

static void
test_close (void)
{
  g_autoptr (Host) host = host_new (0);
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiSession) session = call (host, watcher, 0);

  moshi_session_restart (session);
  moshi_session_close (session);
  g_assert_cmpint (watcher_wait_end (watcher)->kind, ==,
      MOSHI_SESSION_FINISHED);
  g_assert_cmpuint (peer_server_get_connections (host->server), ==, 0);
}

static void
test_stop (void)
{
  g_autoptr (Host) host = host_new (0);
  g_autoptr (Watcher) watcher = watcher_new ();
  MoshiSession *session = call (host, watcher, 60000);

  moshi_session_unref (session);
  g_assert_cmpuint (watcher_count_all (watcher), ==, 0);
  wait_until_threads_are_gone ();
}

int
main (int argc, char **argv)
{
  session_test_init (&argc, &argv);
  g_test_add_func ("/first/waits", test_waits);
  g_test_add_func ("/first/never", test_never);
  g_test_add_func ("/first/newest", test_newest);
  g_test_add_func ("/first/none", test_none);
  g_test_add_func ("/first/close", test_close);
  g_test_add_func ("/first/stop", test_stop);
  return g_test_run ();
}
