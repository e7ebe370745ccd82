/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Outages. A batch goes on with the next session where the answers stopped: the
 * stand-in's sessions sing their sweep from the beginning, so each sample of the
 * output is the next of a sweep or the first of one. Live the output goes on
 * whatever happens, and what is said meanwhile is counted.
 */
#include "harness.h"

#include <gio/gio.h>
#include <string.h>

#define S16 "format=S16LE,layout=interleaved,channels=1"
#define CAPS "audio/x-raw,rate=24000," S16

/* A packet of moshi-backend's, and the model's delay, at 24 kHz */
#define PIECE 960
#define DELAY 3840
#define SECONDS 8

#define ANY G_MAXUINT

static Harness *
new_file (const MoshiStandinConfig * config, const gchar * properties)
{
  return harness_new (config, "audiotestsrc samplesperbuffer=480 "
      "num-buffers=%u ! " CAPS " ! moshi name=m retry-backoff-max=10 %s ! "
      CAPS " ! fakesink", SECONDS * 50, properties);
}

static void
init_config (MoshiStandinConfig * config, const gchar * const *faults)
{
  moshi_standin_config_init (config);
  config->flavour = MOSHI_STANDIN_KYUTAI_RS;
  config->voice = MOSHI_STANDIN_SWEEP;
  config->seed = 11;
  config->faults = faults;
}

/* Silence, then pieces of sweeps, and nothing else. Returns how many sweeps. */
static guint
count_sweeps (Harness * self, const MoshiStandinConfig * config)
{
  const gint16 *got = (const gint16 *) self->out->data->data;
  const gsize n = self->out->data->len / 2;
  g_autofree gint16 *expected = moshi_standin_sweep_expected (config->flavour,
      config->bitrate, 24000, 1, n, config->seed);
  gsize at, size, pos = 0;
  guint sweeps = 1;

  for (at = 0; at < DELAY; at++)
    g_assert_cmpint (got[at], ==, 0);
  for (; at < n; at += size, pos += size) {
    size = MIN (PIECE, n - at);
    if (memcmp (got + at, expected + pos, size * 2) == 0)
      continue;
    if (memcmp (got + at, expected, size * 2) != 0)
      g_error ("at sample %" G_GSIZE_FORMAT " no answer begins or goes on", at);
    pos = 0;
    sweeps++;
  }
  return sweeps;
}

/* --- batch --------------------------------------------------------------- */

typedef struct
{
  const gchar *name;
  const gchar *fault;
  guint first;                  /* so many sessions meet it; 0 = all */
  const gchar *properties;
  guint reconnects;
} Row;

static const Row rows[] = {
  {"drop", "drop-after=10", 0, "", ANY},
  {"drop-once", "drop-after=10", 1, "", 1},
  {"drop-first-frame", "drop-after=1", 3, "", 3},
  {"close", "close-after=10:1000", 0, "", ANY},
  {"close-going-away", "close-after=20:1001", 1, "", 1},
  {"close-server-error", "close-after=20:1011", 1, "", 1},
  {"close-at-once", "close-at-once=1013", 2, "", 0},
  {"freeze", "freeze-after=20", 2, "idle-timeout=300", 2},
  {"freeze-at-once", "freeze-after=0", 2, "idle-timeout=300", 2},
  {"stall-and-burst", "stall=20:10", 0, "", 0},
  {"busy", "http-status=503", 3, "", 0},
  {"no-handshake", "no-handshake", 2, "handshake-timeout=100", 0},
  {"garbage", "garbage=1", 1, "idle-timeout=300", 1},
};

/* Nothing is lost and nothing is said twice, however often it happens. */
static void
test_row (gconstpointer data)
{
  const Row *row = data;
  const gchar *const faults[] = { row->fault, NULL };
  MoshiStandinConfig config;
  guint reconnects;
  Harness *self;

  init_config (&config, faults);
  config.fault_first = row->first;
  self = new_file (&config, row->properties);
  harness_play_to_eos (self);
  g_assert_cmpuint (self->out->data->len, ==, SECONDS * 48000);
  harness_assert_contiguous (self->out, 24000, 2, 0);
  reconnects = harness_get_stat (self, "reconnects");
  if (row->reconnects != ANY)
    g_assert_cmpuint (reconnects, ==, row->reconnects);
  else
    g_assert_cmpuint (reconnects, >, 0);
  g_assert_cmpuint (count_sweeps (self, &config), <=, reconnects + 1);
  g_assert_cmpuint (harness_get_stat (self, "filled"), ==, 0);
  g_assert_cmpuint (harness_get_stat (self, "input-unsent"), ==, 0);
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_WARNING, NULL),
      >=, reconnects);
  harness_free (self);
}

/* Where no session gets any farther, trying has an end: one error, which tells
 * how far it came. */
static void
test_no_way_through (gconstpointer data)
{
  const gchar *const faults[] = { data, NULL };
  g_autoptr (GError) error = NULL;
  MoshiStandinConfig config;
  GstMessage *message;
  Harness *self;

  init_config (&config, faults);
  config.text = "What is said does not count as an answer.";
  config.text_every = 1;
  self = new_file (&config, "idle-timeout=200 retries=2");
  harness_set_state (self, GST_STATE_PLAYING);
  message = harness_wait_message (self, GST_MESSAGE_ERROR, NULL,
      HARNESS_PATIENCE);
  g_assert_nonnull (message);
  gst_message_parse_error (message, &error, NULL);
  g_test_message ("%s", error->message);
  g_assert_nonnull (strstr (error->message, "s were sent"));
  gst_message_unref (message);
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_ERROR, NULL), ==,
      1);
  g_assert_cmpuint (harness_get_stat (self, "sessions"), ==, 3);
  harness_free (self);
}

/* The server is gone, and another stands in its place after a while. */
static void
test_restart (void)
{
  MoshiStandinConfig config;
  MoshiStandin *second;
  GError *error = NULL;
  Harness *self;

  init_config (&config, NULL);
  config.speed = 20;
  self = new_file (&config, "retries=-1");
  harness_set_state (self, GST_STATE_PLAYING);
  harness_wait_bytes (self, self->out, 48000);
  config.port = moshi_standin_get_port (self->server);
  moshi_standin_stop (self->server);
  harness_wait_connection (self, "lost");
  config.speed = 0;
  second = moshi_standin_new (&config, &error);
  g_assert_no_error (error);
  moshi_standin_start (second, &error);
  g_assert_no_error (error);
  harness_wait_eos (self);
  g_assert_cmpuint (self->out->data->len, ==, SECONDS * 48000);
  g_assert_cmpuint (count_sweeps (self, &config), ==, 2);
  g_assert_cmpuint (harness_get_stat (self, "reconnects"), ==, 1);
  harness_free (self);
  moshi_standin_free (second);
}

/* --- live ---------------------------------------------------------------- */

static Harness *
new_live (const MoshiStandinConfig * config, const gchar * properties)
{
  return harness_new (config, "audiotestsrc is-live=true samplesperbuffer=480 "
      "! " CAPS " ! moshi name=m retry-backoff-max=10 retries=-1 %s ! " CAPS
      " ! fakesink", properties);
}

static void
assert_goes_on (Harness * self)
{
  guint64 bytes;

  harness_lock (self);
  bytes = self->out->bytes + 9600;
  harness_unlock (self);
  harness_wait_bytes (self, self->out, bytes);
  harness_lock (self);
  harness_assert_contiguous (self->out, 24000, 2, 0);
  harness_unlock (self);
}

/* A server restarts under a live conversation: the output goes on meanwhile, and
 * what is said is counted and not sent late. */
static void
test_live_restart (void)
{
  MoshiStandinConfig config;
  MoshiStandinStats stats;
  MoshiStandin *second;
  guint64 unsent;
  Harness *self;

  init_config (&config, NULL);
  self = new_live (&config, "");
  harness_set_state (self, GST_STATE_PLAYING);
  harness_wait_stat (self, "samples-received", 4800);
  config.port = moshi_standin_get_port (self->server);
  moshi_standin_stop (self->server);
  harness_wait_connection (self, "lost");
  harness_wait_stat (self, "input-unsent", 200 * GST_MSECOND);
  assert_goes_on (self);
  second = moshi_standin_new (&config, NULL);
  g_assert_true (moshi_standin_start (second, NULL));
  harness_wait_connection (self, "ready");
  unsent = harness_get_stat (self, "input-unsent");
  harness_wait_stat (self, "sessions", 2);
  g_assert_true (moshi_standin_wait (second, MOSHI_STANDIN_FRAMES_SENT, 5,
          HARNESS_PATIENCE));
  assert_goes_on (self);
  /* Two frames and a bit were under way, and no more than now is sent. */
  moshi_standin_get_stats (second, &stats);
  g_assert_cmpuint (harness_get_stat (self, "input-unsent"), <=,
      unsent + 100 * GST_MSECOND);
  g_assert_cmpuint (stats.early_messages, ==, 0);
  g_assert_cmpuint (harness_get_stat (self, "reconnects"), ==, 1);
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_ERROR, NULL), ==,
      0);
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_WARNING, NULL),
      >=, 1);
  harness_free (self);
  moshi_standin_free (second);
}

/* --- names that are not found for a while ---------------------------------- */

/* Knows `moshi.example`, but not at first. */
#define TYPE_FORGETFUL (forgetful_get_type ())
G_DECLARE_FINAL_TYPE (Forgetful, forgetful, TEST, FORGETFUL, GResolver);

struct _Forgetful
{
  GResolver parent;
  gint fails;                   /* atomic: so often yet */
};

G_DEFINE_TYPE (Forgetful, forgetful, G_TYPE_RESOLVER);

static void
look_up_async (GResolver * resolver, const gchar * hostname,
    GResolverNameLookupFlags flags, GCancellable * cancellable,
    GAsyncReadyCallback callback, gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (resolver, cancellable, callback,
      user_data);
  GList *list = NULL;

  if (g_atomic_int_add (&TEST_FORGETFUL (resolver)->fails, -1) > 0) {
    g_task_return_new_error (task, G_RESOLVER_ERROR,
        G_RESOLVER_ERROR_TEMPORARY_FAILURE, "no answer from name servers");
    return;
  }
  if (flags != G_RESOLVER_NAME_LOOKUP_FLAGS_IPV6_ONLY)
    list = g_list_append (NULL, g_inet_address_new_from_string ("127.0.0.1"));
  if (list)
    g_task_return_pointer (task, list,
        (GDestroyNotify) g_resolver_free_addresses);
  else
    g_task_return_new_error (task, G_RESOLVER_ERROR,
        G_RESOLVER_ERROR_NOT_FOUND, "no such address");
}

static void
look_up_any_async (GResolver * resolver, const gchar * hostname,
    GCancellable * cancellable, GAsyncReadyCallback callback,
    gpointer user_data)
{
  look_up_async (resolver, hostname, G_RESOLVER_NAME_LOOKUP_FLAGS_DEFAULT,
      cancellable, callback, user_data);
}

static GList *
look_up_finish (GResolver * resolver, GAsyncResult * result, GError ** error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}

static void
forgetful_class_init (ForgetfulClass * klass)
{
  GResolverClass *resolver = G_RESOLVER_CLASS (klass);

  resolver->lookup_by_name_async = look_up_any_async;
  resolver->lookup_by_name_finish = look_up_finish;
  resolver->lookup_by_name_with_flags_async = look_up_async;
  resolver->lookup_by_name_with_flags_finish = look_up_finish;
}

static void
forgetful_init (Forgetful * self)
{
}

/* Once it has been there, a name that is not found is not the end. */
static void
test_names (void)
{
  g_autoptr (GResolver) before = g_resolver_get_default ();
  g_autoptr (GResolver) resolver = g_object_new (TYPE_FORGETFUL, NULL);
  g_autofree gchar *uri = NULL;
  const gchar *const faults[] = { "drop-after=10", NULL };
  MoshiStandinConfig config;
  Harness *self;

  g_resolver_set_default (resolver);
  init_config (&config, faults);
  config.fault_first = 1;
  self = new_file (&config, "retries=3");
  uri = g_strdup_printf ("ws://moshi.example:%u",
      moshi_standin_get_port (self->server));
  g_object_set (self->moshi, "uri", uri, NULL);
  harness_set_state (self, GST_STATE_PAUSED);
  harness_wait_connection (self, "ready");
  g_atomic_int_set (&TEST_FORGETFUL (resolver)->fails, 4);
  harness_play_to_eos (self);
  g_assert_cmpuint (self->out->data->len, ==, SECONDS * 48000);
  g_assert_cmpuint (count_sweeps (self, &config), ==, 2);
  g_assert_cmpint (g_atomic_int_get (&TEST_FORGETFUL (resolver)->fails), <=, 0);
  harness_free (self);
  g_resolver_set_default (before);
}

static void
add_tests (void)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autofree gchar *path = g_strconcat ("/outage/batch/", rows[i].name, NULL);

    g_test_add_data_func (path, &rows[i], test_row);
  }
  g_test_add_data_func ("/outage/batch/never-answered", "freeze-after=0",
      test_no_way_through);
  g_test_add_func ("/outage/batch/server-restart", test_restart);
  g_test_add_func ("/outage/batch/names", test_names);
  g_test_add_func ("/outage/live/server-restart", test_live_restart);
}

int
main (int argc, char **argv)
{
  return harness_main (&argc, &argv, add_tests);
}
