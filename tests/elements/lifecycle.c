/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lives of the element: begun, interrupted and ended at any moment, with any
 * server, alone and with others, without a hang, a leak or a word left behind.
 */
#include "bench.h"
#include "watchdog.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>

#define CAPS "audio/x-raw,format=S16LE,rate=24000,channels=1"
#define BATCH "audiotestsrc num-buffers=%u samplesperbuffer=480 ! " CAPS
#define LIVE "audiotestsrc is-live=true samplesperbuffer=480 ! " CAPS
#define QUICK "retries=1 retry-backoff-max=10"

/* All runs of this file differ, and each can be repeated with --seed. */
static guint
pick (guint n)
{
  return g_test_rand_int_range (0, n);
}

/* --- 200 lives ----------------------------------------------------------- */

/* When a life is ended. Each comes for sure with the servers it is used for. */
typedef enum
{
  AT_ONCE,
  AT_MESSAGES,                  /* after so many messages of any kind */
  AT_CONNECTING,
  AT_REQUEST,
  AT_UPGRADE,
  AT_WAITING,
  AT_READY,
  AT_AUDIO,                     /* the server has taken so much */
  AT_ANSWER,                    /* and given so much */
  AT_OUTPUT,                    /* so many buffers are out */
  AT_DRAINING,
  AT_EOS,
  AT_LOST,
  AT_ERROR,
} Moment;

typedef struct
{
  const gchar *name;
  const gchar *fault;           /* NULL: none; "refused": nobody there */
  guint idle_timeout;           /* ms */
  const Moment *moments;
  guint n_moments;
} ServerKind;

#define MOMENTS(list) list, G_N_ELEMENTS (list)

static const Moment healthy_moments[] = { AT_ONCE, AT_MESSAGES, AT_CONNECTING,
  AT_REQUEST, AT_UPGRADE, AT_WAITING, AT_READY, AT_AUDIO, AT_ANSWER, AT_OUTPUT,
  AT_DRAINING, AT_EOS
};

static const Moment mute_moments[] = { AT_ONCE, AT_MESSAGES, AT_CONNECTING,
  AT_REQUEST, AT_UPGRADE, AT_WAITING
};

static const Moment refused_moments[] = { AT_ONCE, AT_MESSAGES, AT_CONNECTING,
  AT_LOST, AT_ERROR
};

static const Moment freezing_moments[] = { AT_ONCE, AT_READY, AT_AUDIO,
  AT_ANSWER, AT_LOST
};

static const ServerKind kinds[] = {
  {"healthy", NULL, 10000, MOMENTS (healthy_moments)},
  {"no-handshake", "no-handshake", 10000, MOMENTS (mute_moments)},
  {"handshake-delay", "handshake-delay=20", 10000, MOMENTS (healthy_moments)},
  {"refused", "refused", 10000, MOMENTS (refused_moments)},
  {"freezing", "freeze-after=5", 50, MOMENTS (freezing_moments)},
};

static void
wait_for (Bench * bench, MoshiStandin * server, Moment moment)
{
  const GstMessageType error = GST_MESSAGE_ERROR;

  switch (moment) {
    case AT_ONCE:
      break;
    case AT_MESSAGES:
      bench_wait_messages (bench, 1 + pick (8));
      break;
    case AT_CONNECTING:
      bench_wait_session (bench, "connecting");
      break;
    case AT_WAITING:
      bench_wait_session (bench, "waiting");
      break;
    case AT_READY:
      bench_wait_session (bench, "ready");
      break;
    case AT_DRAINING:
      bench_wait_session (bench, "draining");
      break;
    case AT_LOST:
      bench_wait_session (bench, "lost");
      break;
    case AT_OUTPUT:
      bench_wait_output (bench, 1 + pick (8));
      break;
    case AT_EOS:
      bench_wait_eos (bench);
      break;
    case AT_ERROR:
      bench_wait (bench, bench_is_type, &error, 1);
      break;
    case AT_REQUEST:
      bench_serve_count (server, MOSHI_STANDIN_REQUESTS, 1);
      break;
    case AT_UPGRADE:
      bench_serve_count (server, MOSHI_STANDIN_UPGRADES, 1);
      break;
    case AT_AUDIO:
      bench_serve_count (server, MOSHI_STANDIN_SAMPLES, 1 +
          pick (5 * MOSHI_STANDIN_FRAME));
      break;
    case AT_ANSWER:
      bench_serve_count (server, MOSHI_STANDIN_FRAMES_SENT, 1 + pick (4));
      break;
  }
}

/* Straight to NULL, or by the steps; now and then up again from half way. */
static void
end_life (Bench * bench)
{
  switch (pick (4)) {
    case 0:
      bench_set_state (bench, GST_STATE_PAUSED);
      bench_set_state (bench, GST_STATE_READY);
      break;
    case 1:
      bench_set_state (bench, GST_STATE_READY);
      bench_set_state (bench, GST_STATE_PAUSED);
      break;
    default:
      break;
  }
  bench_stop (bench);
}

static MoshiStandin *
serve_kind (const ServerKind * kind, gchar ** uri)
{
  gboolean refused = g_strcmp0 (kind->fault, "refused") == 0;
  MoshiStandin *server = bench_serve (refused ? NULL : kind->fault, 0);

  *uri = g_strdup (moshi_standin_get_uri (server));
  if (refused)
    g_clear_pointer (&server, moshi_standin_free);
  return server;
}

/* A live pipeline draws out what happens, a batch does all of it at once. */
static void
live_and_die (const ServerKind * kind)
{
  g_autofree gchar *uri = NULL;
  g_autoptr (MoshiStandin) server = serve_kind (kind, &uri);
  const Moment moment = kind->moments[pick (kind->n_moments)];
  const gboolean live = pick (2) && moment != AT_EOS && moment != AT_DRAINING
      && moment != AT_ERROR;
  g_autoptr (Bench) bench = live ?
      bench_new (LIVE " ! moshi name=m uri=%s " QUICK " idle-timeout=%u "
      "! fakesink name=out m.text ! fakesink async=false", uri,
      kind->idle_timeout) :
      bench_new (BATCH " ! moshi name=m uri=%s " QUICK " idle-timeout=%u "
      "! fakesink name=out m.text ! fakesink async=false", 300u, uri,
      kind->idle_timeout);

  bench_count_output (bench, "out");
  bench_play (bench);
  wait_for (bench, server, moment);
  end_life (bench);
}

/* --- what is left behind ------------------------------------------------- */

/* The lines about leaks themselves, not those that announce their form */
static void
check_leaks (const gchar * log)
{
  static const gchar mark[] = "object-alive, type-name=(string)";
  const gchar *at = log;

  g_assert_nonnull (strstr (log, mark));
  while ((at = strstr (at, mark)) != NULL) {
    at += strlen (mark);
    if (*at != '%')
      g_error ("left behind: %.400s", at);
  }
}

/* The body of a test in a process of its own that is asked for leaks. Where
 * LeakSanitizer asks at the end, that sees more. */
static void
run_traced (void (*body) (gconstpointer), gconstpointer data)
{
  g_autofree gchar *path = g_strdup_printf ("%s/moshi-leaks-%u.log",
      g_get_tmp_dir (), g_random_int ());
  g_autofree gchar *text = NULL;

  if (g_test_subprocess () || BENCH_IS_SANITIZED) {
    body (data);
    return;
  }
  g_setenv ("GST_TRACERS", "leaks(stack-traces-flags=none)", TRUE);
  g_setenv ("GST_DEBUG", "GST_TRACER:7", TRUE);
  g_setenv ("GST_DEBUG_FILE", path, TRUE);
  g_setenv ("GST_DEBUG_NO_COLOR", "1", TRUE);
  g_test_trap_subprocess (NULL, 0, G_TEST_SUBPROCESS_INHERIT_STDERR);
  g_unsetenv ("GST_TRACERS");
  g_unsetenv ("GST_DEBUG");
  g_unsetenv ("GST_DEBUG_FILE");
  g_test_trap_assert_passed ();
  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  g_remove (path);
  check_leaks (text);
}

static void
live_often (gconstpointer data)
{
  const ServerKind *kind = data;
  BenchBelongings before;
  guint i;

  /* What is made once a process comes with the first life. */
  live_and_die (kind);
  live_and_die (&kinds[0]);
  bench_count_belongings (&before);
  for (i = 0; i < 40; i++)
    live_and_die (kind);
  bench_check_belongings (&before);
}

static void
test_lives (gconstpointer data)
{
  run_traced (live_often, data);
}

/* --- up and down --------------------------------------------------------- */

static Bench *
bench_batch (MoshiStandin * server, guint n_buffers, const gchar * properties)
{
  Bench *bench = bench_new (BATCH " ! moshi name=m uri=%s %s ! fakesink "
      "name=out", n_buffers, moshi_standin_get_uri (server), properties);

  bench_count_output (bench, "out");
  return bench;
}

static Bench *
bench_live (MoshiStandin * server, const gchar * properties)
{
  Bench *bench = bench_new (LIVE " ! moshi name=m uri=%s %s ! fakesink "
      "name=out", moshi_standin_get_uri (server), properties);

  bench_count_output (bench, "out");
  return bench;
}

/* READY ends a conversation, PAUSED begins another, whole from the start. */
static void
test_again (void)
{
  g_autoptr (MoshiStandin) server = bench_serve (NULL, 0);
  g_autoptr (Bench) bench = bench_batch (server, 50, "");
  MoshiStandinStats stats;
  guint i;

  for (i = 0; i < 3; i++) {
    bench_play (bench);
    bench_wait_eos (bench);
    g_assert_cmpuint (bench_check_output (bench, 24000, 2), ==, 50 * 480);
    bench_set_state (bench, i == 1 ? GST_STATE_NULL : GST_STATE_READY);
    g_assert_cmpuint (bench_get_stat (bench, "sessions"), ==, 1);
    bench_forget (bench);
  }
  moshi_standin_get_stats (server, &stats);
  g_assert_cmpuint (stats.handshakes, ==, 3);
}

/* PAUSED and PLAYING again keep it. */
static void
test_pause (void)
{
  g_autoptr (MoshiStandin) server = bench_serve (NULL, 0);
  g_autoptr (Bench) bench = bench_live (server, "");
  MoshiStandinStats stats;
  guint i;

  for (i = 1; i <= 3; i++) {
    bench_play (bench);
    bench_wait_session (bench, "ready");
    bench_wait_output (bench, i * 10);
    bench_set_state (bench, GST_STATE_PAUSED);
  }
  moshi_standin_get_stats (server, &stats);
  g_assert_cmpuint (stats.handshakes, ==, 1);
  g_assert_cmpuint (stats.closes, ==, 0);
  g_assert_cmpuint (bench_count_type (bench, GST_MESSAGE_ERROR), ==, 0);
}

/* --- a server that says nothing ------------------------------------------ */

/* The kernel takes the connection; nobody else ever does, and the time-out is
 * none: had a state change waited for the server, it would not have ended. */
static void
test_dead_server (gconstpointer data)
{
  const gchar *source = data;
  GSocketListener *listener = g_socket_listener_new ();
  guint16 port = g_socket_listener_add_any_inet_port (listener, NULL, NULL);
  g_autoptr (Bench) bench = bench_new ("%s ! moshi name=m "
      "uri=ws://127.0.0.1:%u connect-timeout=0 ! fakesink", source, port);
  guint i;

  g_assert_cmpuint (port, !=, 0);
  for (i = 0; i < 5; i++) {
    bench_play (bench);
    bench_wait_session (bench, "connecting");
    if (i % 2)
      bench_set_state (bench, GST_STATE_PAUSED);
    bench_stop (bench);
    bench_forget (bench);
  }
  g_assert_cmpuint (bench_count_type (bench, GST_MESSAGE_ERROR), ==, 0);
  g_object_unref (listener);
}

/* --- many ---------------------------------------------------------------- */

static void
run_many (guint n)
{
  g_autoptr (MoshiStandin) server = NULL;
  g_autoptr (GPtrArray) benches =
      g_ptr_array_new_with_free_func ((GDestroyNotify) bench_free);
  MoshiStandinConfig config;
  MoshiStandinStats stats;
  guint i;

  /* One that holds many at once */
  moshi_standin_config_init (&config);
  config.flavour = MOSHI_STANDIN_KYUTAI_RS;
  server = moshi_standin_new (&config, NULL);
  g_assert_true (moshi_standin_start (server, NULL));

  for (i = 0; i < n; i++)
    g_ptr_array_add (benches, bench_batch (server, 25 + i, ""));
  for (i = 0; i < n; i++)
    bench_play (benches->pdata[i]);
  for (i = 0; i < n; i++) {
    bench_wait_eos (benches->pdata[i]);
    g_assert_cmpuint (bench_check_output (benches->pdata[i], 24000, 2), ==,
        (25 + i) * 480);
  }
  for (i = 0; i < n; i++) {
    bench_stop (benches->pdata[i]);
    g_assert_cmpuint (bench_count_type (benches->pdata[i], GST_MESSAGE_ERROR),
        ==, 0);
  }
  moshi_standin_get_stats (server, &stats);
  g_assert_cmpuint (stats.handshakes, ==, n);
}

static void
run_many_counted (gconstpointer data)
{
  BenchBelongings before;

  run_many (1);
  bench_count_belongings (&before);
  run_many (GPOINTER_TO_UINT (data));
  bench_check_belongings (&before);
}

static void
test_many (gconstpointer data)
{
  run_traced (run_many_counted, data);
}

static void
test_two_in_one (void)
{
  g_autoptr (MoshiStandin) first = bench_serve (NULL, 0);
  g_autoptr (MoshiStandin) second = bench_serve (NULL, 0);
  g_autoptr (Bench) bench = bench_new (BATCH " ! moshi uri=%s ! moshi name=m "
      "uri=%s ! fakesink name=out", 50u, moshi_standin_get_uri (first),
      moshi_standin_get_uri (second));

  bench_count_output (bench, "out");
  bench_play (bench);
  bench_wait_eos (bench);
  g_assert_cmpuint (bench_check_output (bench, 24000, 2), ==, 50 * 480);
  bench_stop (bench);
  g_assert_cmpuint (bench_count_type (bench, GST_MESSAGE_ERROR), ==, 0);
}

/* --- ends ---------------------------------------------------------------- */

static void
check_close (MoshiStandin * server)
{
  MoshiStandinStats stats;

  bench_serve_count (server, MOSHI_STANDIN_CLOSES, 1);
  moshi_standin_get_stats (server, &stats);
  g_assert_cmpuint (stats.close_code, ==, 1000);
  g_assert_false (stats.close_had_reason);
  g_assert_cmpuint (stats.unmasked_frames, ==, 0);
}

static void
test_close_at_eos (void)
{
  g_autoptr (MoshiStandin) server = bench_serve (NULL, 0);
  g_autoptr (Bench) bench = bench_batch (server, 50, "");

  bench_play (bench);
  bench_wait_eos (bench);
  check_close (server);
}

static void
test_close_in_mid_session (void)
{
  g_autoptr (MoshiStandin) server = bench_serve (NULL, 0);
  g_autoptr (Bench) bench = bench_live (server, "");

  bench_play (bench);
  bench_serve_count (server, MOSHI_STANDIN_FRAMES_SENT, 3);
  bench_stop (bench);
  check_close (server);
}

static void
test_close_while_waiting (void)
{
  g_autoptr (MoshiStandin) server = bench_serve ("no-handshake", 0);
  g_autoptr (Bench) bench = bench_live (server, "");

  bench_play (bench);
  bench_wait_session (bench, "waiting");
  bench_stop (bench);
  check_close (server);
}

/* All is sent, and the server does not answer: EOS waits, NULL does not. */
static void
test_stop_while_draining (void)
{
  g_autoptr (MoshiStandin) server = bench_serve ("freeze-after=2", 0);
  g_autoptr (Bench) bench = bench_batch (server, 50,
      "drain-timeout=3600000 idle-timeout=0");

  bench_play (bench);
  bench_serve_count (server, MOSHI_STANDIN_SAMPLES, 50 * 480);
  bench_stop (bench);
  g_assert_cmpuint (bench_count_type (bench, GST_MESSAGE_ERROR), ==, 0);
  g_assert_cmpuint (bench_count_type (bench, GST_MESSAGE_EOS), ==, 0);
}

/* The window is full and the streaming thread waits for a server that will not
 * go on. */
static void
test_stop_while_full (void)
{
  g_autoptr (MoshiStandin) server = bench_serve ("freeze-after=2", 0);
  g_autoptr (Bench) bench = bench_batch (server, 1000, "idle-timeout=0");

  bench_play (bench);
  bench_serve_count (server, MOSHI_STANDIN_SAMPLES, 3 * 24000);
  bench_stop (bench);
  g_assert_cmpuint (bench_count_type (bench, GST_MESSAGE_ERROR), ==, 0);
}

/* --- pads that lead nowhere ---------------------------------------------- */

static void
check_one_error (Bench * bench, GQuark domain, gint code)
{
  const GstMessageType type = GST_MESSAGE_ERROR;
  g_autoptr (GstMessage) message = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree gchar *text = NULL;

  bench_wait (bench, bench_is_type, &type, 1);
  bench_stop (bench);
  text = bench_dup_text (bench);
  if (bench_count_type (bench, type) != 1)
    g_error ("more than one error:\n%s", text);
  message = bench_get_nth (bench, type, 0);
  gst_message_parse_error (message, &error, NULL);
  g_test_message ("%s", error->message);
  g_assert_error (error, domain, code);
}

/* Nobody listens: as with any element, that is an error, once. */
static void
test_unlinked_src (void)
{
  g_autoptr (MoshiStandin) server = bench_serve (NULL, 0);
  g_autoptr (Bench) bench = bench_new (BATCH " ! moshi name=m uri=%s", 100u,
      moshi_standin_get_uri (server));

  bench_play (bench);
  check_one_error (bench, GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED);
}

static void
test_unlinked_text (void)
{
  g_autoptr (MoshiStandin) server = bench_serve (NULL, 0);
  g_autoptr (Bench) bench = bench_batch (server, 50, "");
  GstPad *pad = gst_element_request_pad_simple (bench_get_moshi (bench),
      "text");

  g_assert_nonnull (pad);
  bench_play (bench);
  bench_wait_eos (bench);
  g_assert_cmpuint (bench_check_output (bench, 24000, 2), ==, 50 * 480);
  g_assert_cmpuint (bench_count_type (bench, GST_MESSAGE_ERROR), ==, 0);
  gst_element_release_request_pad (bench_get_moshi (bench), pad);
  gst_object_unref (pad);
  bench_stop (bench);
  g_assert_cmpuint (bench_count_type (bench, GST_MESSAGE_ERROR), ==, 0);
}

/* --- in a running pipeline ----------------------------------------------- */

typedef struct
{
  Bench *bench;
  GstElement *old;
  GstElement *sink;
  gint done;                    /* atomic */
} Relink;

/* With the pad idle: takes the sink away and puts another in its place. */
static GstPadProbeReturn
relink (GstPad * pad, GstPadProbeInfo * info, gpointer user_data)
{
  Relink *self = user_data;
  GstElement *pipeline = bench_get_pipeline (self->bench);

  if (g_atomic_int_get (&self->done))
    return GST_PAD_PROBE_REMOVE;
  gst_element_unlink (bench_get_moshi (self->bench), self->old);
  gst_bin_add (GST_BIN (pipeline), self->sink);
  gst_element_sync_state_with_parent (self->sink);
  g_assert_true (gst_element_link (bench_get_moshi (self->bench), self->sink));
  g_atomic_int_set (&self->done, TRUE);
  return GST_PAD_PROBE_REMOVE;
}

/* Another sink takes over in PLAYING, with caps and segment of its own; the
 * conversation goes on. */
static void
test_relink (void)
{
  g_autoptr (MoshiStandin) server = bench_serve (NULL, 0);
  g_autoptr (Bench) bench = bench_live (server, "");
  GstPad *pad = gst_element_get_static_pad (bench_get_moshi (bench), "src");
  Relink state = { bench, NULL, NULL, FALSE };
  MoshiStandinStats stats;

  state.old = gst_bin_get_by_name (GST_BIN (bench_get_pipeline (bench)), "out");
  state.sink = gst_element_factory_make ("fakesink", "second");
  g_object_set (state.sink, "async", FALSE, NULL);
  bench_play (bench);
  bench_wait_session (bench, "ready");
  bench_wait_output (bench, 10);
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_IDLE, relink, &state, NULL);
  bench_serve_count (server, MOSHI_STANDIN_FRAMES_SENT, 10);
  while (!g_atomic_int_get (&state.done))
    g_thread_yield ();
  bench_forget (bench);
  bench_count_output (bench, "second");
  bench_wait_output (bench, 20);
  bench_check_output (bench, 24000, 2);

  gst_bin_remove (GST_BIN (bench_get_pipeline (bench)), g_object_ref
      (state.old));
  gst_element_set_state (state.old, GST_STATE_NULL);
  g_object_unref (state.old);
  gst_object_unref (state.old);
  bench_stop (bench);
  gst_object_unref (pad);
  g_assert_cmpuint (bench_count_type (bench, GST_MESSAGE_ERROR), ==, 0);
  moshi_standin_get_stats (server, &stats);
  g_assert_cmpuint (stats.handshakes, ==, 1);
}

/* A branch with an element of its own comes and goes while another runs. */
static void
test_add_and_remove (void)
{
  g_autoptr (MoshiStandin) server = bench_serve (NULL, 0);
  g_autoptr (Bench) bench =
      bench_new (LIVE " ! tee name=t allow-not-linked=true"
      " ! queue ! moshi name=m uri=%s ! fakesink name=out async=false",
      moshi_standin_get_uri (server));
  guint i;

  bench_count_output (bench, "out");
  bench_play (bench);
  bench_wait_session (bench, "ready");
  for (i = 0; i < 3; i++) {
    g_autofree gchar *launch = g_strdup_printf ("queue ! moshi name=n uri=%s ! "
        "fakesink async=false", moshi_standin_get_uri (server));
    GstElement *bin = gst_parse_bin_from_description (launch, TRUE, NULL);
    GstElement *tee = gst_bin_get_by_name (GST_BIN (bench_get_pipeline
            (bench)), "t");
    GstPad *pad = gst_element_request_pad_simple (tee, "src_%u");
    GstPad *sink;

    gst_object_ref (bin);
    gst_bin_add (GST_BIN (bench_get_pipeline (bench)), bin);
    sink = gst_element_get_static_pad (bin, "sink");
    g_assert_cmpint (gst_pad_link (pad, sink), ==, GST_PAD_LINK_OK);
    watchdog_note ("adding an element");
    g_assert_true (gst_element_sync_state_with_parent (bin));
    bench_serve_count (server, MOSHI_STANDIN_REQUESTS, 2 + i);
    watchdog_note ("removing an element");
    gst_pad_unlink (pad, sink);
    gst_element_release_request_pad (tee, pad);
    gst_bin_remove (GST_BIN (bench_get_pipeline (bench)), bin);
    g_assert_cmpint (gst_element_set_state (bin, GST_STATE_NULL), ==,
        GST_STATE_CHANGE_SUCCESS);
    watchdog_end ();
    gst_object_unref (sink);
    gst_object_unref (pad);
    gst_object_unref (bin);
    gst_object_unref (tee);
  }
  bench_forget (bench);
  bench_wait_output (bench, 20);
  bench_stop (bench);
  g_assert_cmpuint (bench_count_type (bench, GST_MESSAGE_ERROR), ==, 0);
}

/* --- never started ------------------------------------------------------- */

static void
make_and_drop (gconstpointer data)
{
  GstElement *element = gst_element_factory_make ("moshi", NULL);
  GstStructure *stats;
  GstPad *pad = gst_element_request_pad_simple (element, "text");

  g_object_get (element, "stats", &stats, NULL);
  gst_structure_free (stats);
  g_signal_emit_by_name (element, "restart");
  g_signal_emit_by_name (element, "flush-output");
  gst_element_release_request_pad (element, pad);
  gst_object_unref (pad);
  gst_object_unref (element);
}

static void
test_never_started (void)
{
  run_traced (make_and_drop, NULL);
}

static void
add_tables (void)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (kinds); i++) {
    g_autofree gchar *path = g_strdup_printf ("/lifecycle/lives/%s",
        kinds[i].name);

    g_test_add_data_func (path, &kinds[i], test_lives);
  }
  g_test_add_data_func ("/lifecycle/dead-server/live", LIVE, test_dead_server);
  g_test_add_data_func ("/lifecycle/dead-server/batch",
      "audiotestsrc ! " CAPS, test_dead_server);
  g_test_add_data_func ("/lifecycle/many/2", GUINT_TO_POINTER (2), test_many);
  g_test_add_data_func ("/lifecycle/many/20", GUINT_TO_POINTER (20), test_many);
}

int
main (int argc, char **argv)
{
  int ret;

  g_unsetenv ("MOSHI_URI");
  g_unsetenv ("MOSHI_API_KEY");
  g_test_init (&argc, &argv, NULL);
  gst_init (&argc, &argv);

  add_tables ();
  g_test_add_func ("/lifecycle/never-started", test_never_started);
  g_test_add_func ("/lifecycle/again", test_again);
  g_test_add_func ("/lifecycle/pause", test_pause);
  g_test_add_func ("/lifecycle/two-in-one", test_two_in_one);
  g_test_add_func ("/lifecycle/close/eos", test_close_at_eos);
  g_test_add_func ("/lifecycle/close/mid-session", test_close_in_mid_session);
  g_test_add_func ("/lifecycle/close/waiting", test_close_while_waiting);
  g_test_add_func ("/lifecycle/stop/draining", test_stop_while_draining);
  g_test_add_func ("/lifecycle/stop/full", test_stop_while_full);
  g_test_add_func ("/lifecycle/unlinked/src", test_unlinked_src);
  g_test_add_func ("/lifecycle/unlinked/text", test_unlinked_text);
  g_test_add_func ("/lifecycle/relink", test_relink);
  g_test_add_func ("/lifecycle/add-and-remove", test_add_and_remove);
  ret = g_test_run ();

  gst_deinit ();
  return ret;
}
