/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Storms: everything an application may do to an element, at random moments and
 * at once, under a server that fails at random: states, seeks, flushes, caps,
 * text pads, signals, properties, elements that come and go. Nothing may hang,
 * complain or be left behind.
 *
 * MOSHI_STORM=10000 in the environment is the number of steps of each storm in
 * place of the suite's few; --seed repeats one, as far as threads allow.
 * MOSHI_SESSIONS is the number of sessions at once, for what makes programs slow.
 */
#include "bench.h"
#include "watchdog.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define CAPS "audio/x-raw,format=S16LE,layout=interleaved,rate=24000,channels=1"
#define QUICK "retries=2 retry-backoff-max=10 idle-timeout=200 " \
    "connect-timeout=2000 handshake-timeout=100 drain-timeout=100 complexity=0"

static guint
get_n_steps (void)
{
  const gchar *text = g_getenv ("MOSHI_STORM");

  return text ? (guint) g_ascii_strtoull (text, NULL, 10) : 120;
}

/* In eight equal parts */
static guint
get_n_sessions (void)
{
  const gchar *text = g_getenv ("MOSHI_SESSIONS");

  if (text)
    return (guint) g_ascii_strtoull (text, NULL, 10) / 8 * 8;
  return BENCH_IS_SANITIZED ? 40 : 200;
}

static guint
pick (GRand * rand, guint n)
{
  return g_rand_int_range (rand, 0, n);
}

/* --- the server -------------------------------------------------------------- */

static MoshiStandin *
serve (void)
{
  MoshiStandinConfig config;
  MoshiStandin *server;

  moshi_standin_config_init (&config);
  config.flavour = MOSHI_STANDIN_KYUTAI_RS;     /* holds many sessions at once */
  config.voice = MOSHI_STANDIN_REPEAT_PACKETS;
  config.text = "all that is said in a storm";
  server = moshi_standin_new (&config, NULL);
  g_assert_true (moshi_standin_start (server, NULL));
  return server;
}

static void
change_weather (MoshiStandin * server, GRand * rand)
{
  static const gchar *const faults[] = { "http-status=503", "no-handshake",
    "handshake-delay=20", "close-at-once", "close-after=4", "drop-after=3",
    "freeze-after=3", "garbage", "chunk=random", "stall=3:4", "never-read"
  };
  const gchar *now[] = { faults[pick (rand, G_N_ELEMENTS (faults))], NULL };

  switch (pick (rand, 5)) {
    case 0:
      moshi_standin_drop_sessions (server);
      break;
    case 1:
      moshi_standin_close_sessions (server, 1011);
      break;
    case 2:
      g_assert_true (moshi_standin_set_faults (server, now, 0, NULL));
      break;
    default:
      g_assert_true (moshi_standin_set_faults (server, NULL, 0, NULL));
      break;
  }
}

/* --- properties --------------------------------------------------------------- */

typedef struct
{
  GstElement *element;
  guint32 seed;
  gint begun;                   /* atomic */
  gint done;                    /* atomic */
  guint64 n;
} Meddler;

/* What is written is what may be: what was read, the default, or for times and
 * the like something small. */
static void
choose_value (GParamSpec * spec, GRand * rand, GValue * value)
{
  if (pick (rand, 2))
    return;
  if (G_IS_PARAM_SPEC_UINT (spec) && strstr (spec->name, "timeout") == NULL)
    g_value_set_uint (value, CLAMP (pick (rand, 300),
            G_PARAM_SPEC_UINT (spec)->minimum,
            G_PARAM_SPEC_UINT (spec)->maximum));
  else if (G_IS_PARAM_SPEC_ENUM (spec) || G_IS_PARAM_SPEC_BOOLEAN (spec))
    g_param_value_set_default (spec, value);
}

static void
meddle_once (Meddler * self, GParamSpec * spec, GRand * rand)
{
  GValue value = G_VALUE_INIT;

  g_value_init (&value, spec->value_type);
  if (spec->flags & G_PARAM_READABLE)
    g_object_get_property (G_OBJECT (self->element), spec->name, &value);
  if ((spec->flags & G_PARAM_READABLE) && (spec->flags & G_PARAM_WRITABLE)
      && spec->owner_type != GST_TYPE_OBJECT
      && !g_str_has_prefix (g_type_name (spec->owner_type), "GstBase")
      && !(spec->flags & G_PARAM_CONSTRUCT_ONLY)) {
    choose_value (spec, rand, &value);
    g_object_set_property (G_OBJECT (self->element), spec->name, &value);
  }
  g_value_unset (&value);
}

/* An application's thread: reads and writes every property all the while. */
static gpointer
meddle (gpointer user_data)
{
  Meddler *self = user_data;
  GRand *rand = g_rand_new_with_seed (self->seed);
  guint i, n;
  GParamSpec **specs = g_object_class_list_properties
      (G_OBJECT_GET_CLASS (self->element), &n);

  while (!g_atomic_int_get (&self->done)) {
    for (i = 0; i < n; i++)
      meddle_once (self, specs[i], rand);
    self->n += n;
    g_usleep (1000);
  }
  g_free (specs);
  g_rand_free (rand);
  return NULL;
}

static void run_together (guint n);

/* --- one storm ------------------------------------------------------------------ */

typedef struct
{
  const gchar *name;
  const gchar *launch;          /* %s: the address */
} Kind;

static const Kind kinds[] = {
  {"batch", "audiotestsrc name=s num-buffers=500 samplesperbuffer=480 "
        "! capsfilter name=c caps=" CAPS " ! moshi name=m uri=%s " QUICK
        " ! fakesink name=out"},
  {"live",
      "audiotestsrc name=s is-live=true samplesperbuffer=240 ! capsfilter name=c "
        "caps=" CAPS " ! tee name=t allow-not-linked=true ! queue "
        "! moshi name=m uri=%s " QUICK " ! fakesink name=out"},
  {"opus",
      "audiotestsrc name=s num-buffers=500 samplesperbuffer=480 "
        "! audio/x-raw,rate=48000 ! opusenc complexity=0 ! moshi name=m uri=%s "
        QUICK " ! audio/x-opus ! fakesink name=out"},
  {"pair",
      "audiotestsrc name=s is-live=true samplesperbuffer=240 ! capsfilter name=c "
        "caps=" CAPS " ! tee name=t allow-not-linked=true ! queue "
        "! moshisink name=m uri=%s session=storm " QUICK
        " moshisrc name=l session=storm ! fakesink name=out"},
};

typedef struct
{
  GRand *rand;
  MoshiStandin *server;
  GstElement *pipeline;
  GstElement *moshi;            /* or the moshisink */
  GstElement *listener;         /* the same, or the moshisrc */
  GstElement *source;           /* what sets the caps, or NULL */
  GstElement *tee;              /* or NULL */

  GstPad *text;                 /* requested */
  GstElement *text_sink;        /* behind it, or NULL */
  GstElement *branch;           /* another moshi, or NULL */
  GstPad *branch_pad;

  guint n_states, n_seeks, n_flushes, n_caps, n_pads, n_branches, n_refused;
} Storm;

static void
change_state (Storm * self)
{
  static const GstState states[] = { GST_STATE_NULL, GST_STATE_READY,
    GST_STATE_PAUSED, GST_STATE_PLAYING, GST_STATE_PLAYING, GST_STATE_PLAYING
  };
  GstState state = states[pick (self->rand, G_N_ELEMENTS (states))];

  watchdog_note (gst_element_state_get_name (state));
  if (gst_element_set_state (self->pipeline, state)
      == GST_STATE_CHANGE_FAILURE) {
    self->n_refused++;
    gst_element_set_state (self->pipeline, GST_STATE_NULL);
  }
  self->n_states++;
}

/* Without a flush a seek waits for what is on its way, and so for ever if that
 * is PAUSED. */
static gboolean
is_playing (Storm * self)
{
  GstState state;

  return gst_element_get_state (self->pipeline, &state, NULL, 0)
      == GST_STATE_CHANGE_SUCCESS && state == GST_STATE_PLAYING;
}

static void
seek (Storm * self)
{
  GstSeekFlags flags = pick (self->rand, 3) == 0 && is_playing (self) ? 0 :
      GST_SEEK_FLAG_FLUSH;
  gint64 place = pick (self->rand, 4000) * GST_MSECOND;

  watchdog_note (flags ? "a seek" : "a seek without a flush");
  gst_element_seek (self->pipeline, pick (self->rand, 5) ? 1.0 : 2.0,
      GST_FORMAT_TIME, flags, GST_SEEK_TYPE_SET, place, GST_SEEK_TYPE_NONE, -1);
  self->n_seeks++;
}

/* As GstBin sends an event to its sources. gst_element_send_event() holds the
 * source's state lock, and what comes of a flush (the sink wants the latency
 * computed anew) takes the pipeline's: an asynchronous change of state in another
 * thread has them in the other order. */
static void
send_to_source (Storm * self, GstEvent * event)
{
  GstElement *source = gst_bin_get_by_name (GST_BIN (self->pipeline), "s");

  GST_STATE_LOCK (self->pipeline);
  gst_element_send_event (source, event);
  GST_STATE_UNLOCK (self->pipeline);
  gst_object_unref (source);
}

/* A flush that is no seek, as of an application that drops what is queued */
static void
flush (Storm * self)
{
  watchdog_note ("a flush");
  send_to_source (self, gst_event_new_flush_start ());
  if (pick (self->rand, 2))
    g_usleep (pick (self->rand, 5000));
  send_to_source (self, gst_event_new_flush_stop (pick (self->rand, 2)));
  self->n_flushes++;
}

static void
change_caps (Storm * self)
{
  static const gchar *const texts[] = { CAPS,
    "audio/x-raw,format=S16LE,layout=interleaved,rate=48000,channels=2",
    "audio/x-raw,format=F32LE,layout=interleaved,rate=16000,channels=1",
    "audio/x-raw,format=S16LE,layout=interleaved,rate=8000,channels=1"
  };
  g_autoptr (GstCaps) caps =
      gst_caps_from_string (texts[pick (self->rand, G_N_ELEMENTS (texts))]);

  watchdog_note ("new caps");
  if (self->source)
    g_object_set (self->source, "caps", caps, NULL);
  self->n_caps++;
}

/* What is behind a pad is stopped first, as with a tee: a push that is under way
 * there, into a sink that is PAUSED, would be waited for. */
static void
remove_text (Storm * self)
{
  if (self->text_sink) {
    gst_element_set_locked_state (self->text_sink, TRUE);
    gst_element_set_state (self->text_sink, GST_STATE_NULL);
  }
  gst_element_release_request_pad (self->listener, self->text);
  gst_clear_object (&self->text);
  if (self->text_sink)
    gst_bin_remove (GST_BIN (self->pipeline), self->text_sink);
  gst_clear_object (&self->text_sink);
}

static void
add_text (Storm * self)
{
  GstPad *pad;

  self->text = gst_element_request_pad_simple (self->listener, "text");
  g_assert_nonnull (self->text);
  if (pick (self->rand, 3) == 0)
    return;
  self->text_sink = gst_element_factory_make ("fakesink", NULL);
  g_object_set (self->text_sink, "async", FALSE, NULL);
  gst_object_ref_sink (self->text_sink);
  gst_bin_add (GST_BIN (self->pipeline), self->text_sink);
  pad = gst_element_get_static_pad (self->text_sink, "sink");
  gst_pad_link (self->text, pad);
  gst_object_unref (pad);
  gst_element_sync_state_with_parent (self->text_sink);
}

static void
change_text (Storm * self)
{
  watchdog_note ("a text pad");
  if (self->text)
    remove_text (self);
  else
    add_text (self);
  self->n_pads++;
}

static void
remove_branch (Storm * self)
{
  GstPad *sink = gst_element_get_static_pad (self->branch, "sink");

  gst_pad_unlink (self->branch_pad, sink);
  gst_object_unref (sink);
  gst_element_release_request_pad (self->tee, self->branch_pad);
  gst_clear_object (&self->branch_pad);
  gst_bin_remove (GST_BIN (self->pipeline), self->branch);
  gst_element_set_state (self->branch, GST_STATE_NULL);
  gst_clear_object (&self->branch);
}

static void
add_branch (Storm * self)
{
  g_autofree gchar *launch = g_strdup_printf ("queue ! moshi uri=%s " QUICK
      " ! fakesink async=false", moshi_standin_get_uri (self->server));
  GstPad *sink;

  self->branch = gst_parse_bin_from_description (launch, TRUE, NULL);
  gst_object_ref_sink (self->branch);
  gst_bin_add (GST_BIN (self->pipeline), self->branch);
  self->branch_pad = gst_element_request_pad_simple (self->tee, "src_%u");
  sink = gst_element_get_static_pad (self->branch, "sink");
  g_assert_cmpint (gst_pad_link (self->branch_pad, sink), ==, GST_PAD_LINK_OK);
  gst_object_unref (sink);
  gst_element_sync_state_with_parent (self->branch);
}

static void
change_branch (Storm * self)
{
  watchdog_note ("a branch");
  if (self->branch)
    remove_branch (self);
  else if (self->tee)
    add_branch (self);
  self->n_branches++;
}

static void
signal_element (Storm * self)
{
  watchdog_note ("a signal");
  g_signal_emit_by_name (self->moshi, pick (self->rand, 2) ? "restart" :
      "flush-output");
}

static void
take_step (Storm * self)
{
  switch (pick (self->rand, 16)) {
    case 0:
      change_weather (self->server, self->rand);
      break;
    case 1:
      seek (self);
      break;
    case 2:
      change_caps (self);
      break;
    case 3:
      change_text (self);
      break;
    case 4:
      change_branch (self);
      break;
    case 5:
      signal_element (self);
      break;
    case 6:
      flush (self);
      break;
    default:
      change_state (self);
      break;
  }
  /* Moments are to differ: now and then some time goes by. */
  if (pick (self->rand, 4) == 0)
    g_usleep (pick (self->rand, 20000));
}

static GstBusSyncReply
on_message (GstBus * bus, GstMessage * message, gpointer user_data)
{
  gst_message_unref (message);
  return GST_BUS_DROP;
}

static GstElement *
launch_quietly (const gchar * format, const gchar * uri)
{
  g_auto (GStrv) parts = g_strsplit (format, "%s", 2);
  g_autofree gchar *launch = g_strjoinv (uri, parts);
  GError *error = NULL;
  GstElement *pipeline = gst_parse_launch (launch, &error);
  GstBus *bus;

  g_assert_no_error (error);
  gst_object_ref_sink (pipeline);
  bus = gst_element_get_bus (pipeline);
  gst_bus_set_sync_handler (bus, on_message, NULL, NULL);
  gst_object_unref (bus);
  return pipeline;
}

static void
begin_storm (Storm * self, const Kind * kind)
{
  GstBin *bin;

  watchdog_note ("the beginning");
  memset (self, 0, sizeof *self);
  self->rand = g_rand_new_with_seed (g_test_rand_int ());
  self->server = serve ();
  self->pipeline = launch_quietly (kind->launch,
      moshi_standin_get_uri (self->server));
  bin = GST_BIN (self->pipeline);
  self->moshi = gst_bin_get_by_name (bin, "m");
  self->listener = gst_bin_get_by_name (bin, "l");
  if (self->listener == NULL)
    self->listener = gst_object_ref (self->moshi);
  self->source = gst_bin_get_by_name (bin, "c");
  self->tee = gst_bin_get_by_name (bin, "t");
}

static void
end_storm (Storm * self)
{
  watchdog_note ("the end");
  g_assert_cmpint (gst_element_set_state (self->pipeline, GST_STATE_NULL), ==,
      GST_STATE_CHANGE_SUCCESS);
  if (self->text)
    remove_text (self);
  if (self->branch)
    remove_branch (self);
  gst_clear_object (&self->tee);
  gst_clear_object (&self->source);
  gst_clear_object (&self->listener);
  gst_clear_object (&self->moshi);
  gst_clear_object (&self->pipeline);
  moshi_standin_free (self->server);
  watchdog_end ();
  g_rand_free (self->rand);
}

static void
rage (const Kind * kind, guint n_states)
{
  Storm storm;
  Meddler meddler = { NULL, };
  GThread *thread;

  begin_storm (&storm, kind);
  meddler.element = storm.listener;
  meddler.seed = g_test_rand_int ();
  thread = g_thread_new ("meddler", meddle, &meddler);
  while (storm.n_states < n_states)
    take_step (&storm);
  g_atomic_int_set (&meddler.done, TRUE);
  watchdog_note ("the meddler");
  g_thread_join (thread);
  g_test_message ("%s: %u state changes (%u refused), %u seeks, %u "
      "flushes, %u caps, %u text pads, %u branches, %" G_GUINT64_FORMAT
      " properties", kind->name, storm.n_states, storm.n_refused, storm.n_seeks,
      storm.n_flushes, storm.n_caps, storm.n_pads, storm.n_branches, meddler.n);
  end_storm (&storm);
}

static void
test_storm (gconstpointer data)
{
  BenchBelongings before;

  bench_forgive_libsoup ();
  /* What is made once a process comes with the first talks. */
  run_together (8);
  rage (data, 10);
  bench_count_belongings (&before);
  rage (data, get_n_steps ());
  bench_check_belongings (&before);
}

/* --- seeks alone, in PLAYING --------------------------------------- */

static void
test_seeks (gconstpointer data)
{
  BenchBelongings before;
  Storm storm;

  bench_forgive_libsoup ();
  run_together (8);
  rage (data, 10);
  bench_count_belongings (&before);
  begin_storm (&storm, data);
  gst_element_set_state (storm.pipeline, GST_STATE_PLAYING);
  while (storm.n_seeks < get_n_steps ()) {
    seek (&storm);
    if (pick (storm.rand, 8) == 0)
      g_usleep (pick (storm.rand, 10000));
  }
  end_storm (&storm);
  bench_check_belongings (&before);
}

/* --- a property that reaches into a talk that is joined and left ----------------- */

static gpointer
set_latency (gpointer user_data)
{
  Meddler *self = user_data;

  while (!g_atomic_int_get (&self->done)) {
    g_object_set (self->element, "latency", 20 + (guint) (self->n++ % 100),
        NULL);
    g_atomic_int_set (&self->begun, TRUE);
  }
  return NULL;
}

static void
test_join (void)
{
  GstElement *pipeline = launch_quietly ("moshisrc name=l session=join%s "
      "! fakesink", "");
  Meddler meddler = { gst_bin_get_by_name (GST_BIN (pipeline), "l"), };
  GThread *thread = g_thread_new ("meddler", set_latency, &meddler);
  guint i;

  watchdog_note ("joining and leaving");
  for (i = 0; i < 500 || !g_atomic_int_get (&meddler.begun); i++) {
    gst_element_set_state (pipeline, GST_STATE_PAUSED);
    gst_element_set_state (pipeline, GST_STATE_READY);
  }
  g_atomic_int_set (&meddler.done, TRUE);
  g_thread_join (thread);
  watchdog_end ();
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (meddler.element);
  gst_object_unref (pipeline);
}

/* --- many at once ----------------------------------------------------------------- */

typedef struct
{
  GstElement **pipelines;
  guint n;
  GstState state;
} Share;

static gpointer
set_states (gpointer user_data)
{
  Share *self = user_data;
  guint i;

  for (i = 0; i < self->n; i++)
    g_assert_cmpint (gst_element_set_state (self->pipelines[i], self->state),
        !=, GST_STATE_CHANGE_FAILURE);
  return NULL;
}

/* From eight threads */
static void
set_all (GstElement ** pipelines, guint n, GstState state)
{
  Share shares[8];
  GThread *threads[8];
  guint i;

  for (i = 0; i < 8; i++) {
    shares[i] = (Share) {
    pipelines + n / 8 * i, n / 8, state};
    threads[i] = g_thread_new ("application", set_states, &shares[i]);
  }
  for (i = 0; i < 8; i++)
    g_thread_join (threads[i]);
}

static void
run_together (guint n)
{
  g_autofree GstElement **pipelines = g_new (GstElement *, n);
  MoshiStandin *server = serve ();
  guint i;

  for (i = 0; i < n; i++)
    pipelines[i] = launch_quietly ("audiotestsrc is-live=true wave=silence "
        "samplesperbuffer=1440 ! audio/x-raw,rate=8000,channels=1 ! moshi "
        "uri=%s connect-timeout=0 handshake-timeout=0 idle-timeout=0 "
        "complexity=0 frame-size=60 ! fakesink",
        moshi_standin_get_uri (server));
  watchdog_note ("starting all");
  set_all (pipelines, n, GST_STATE_PLAYING);
  watchdog_note ("waiting for all");
  g_assert_true (moshi_standin_wait (server, MOSHI_STANDIN_HANDSHAKES, n,
          watchdog_get_patience ()));
  g_assert_true (moshi_standin_wait (server, MOSHI_STANDIN_FRAMES_SENT, 2 * n,
          watchdog_get_patience ()));
  watchdog_note ("stopping all");
  set_all (pipelines, n, GST_STATE_NULL);
  for (i = 0; i < n; i++)
    gst_object_unref (pipelines[i]);
  watchdog_note ("closing all");
  g_assert_true (moshi_standin_wait_idle (server, watchdog_get_patience ()));
  moshi_standin_free (server);
  watchdog_end ();
}

static void
test_together (void)
{
  BenchBelongings before;

  bench_forgive_libsoup ();
  run_together (8);
  bench_count_belongings (&before);
  run_together (get_n_sessions ());
  bench_check_belongings (&before);
}

/* --- whether what watches does watch ------------------------------------------ */

static void G_GNUC_NO_INLINE
hang_on_purpose (void)
{
  while (TRUE)
    pause ();
}

/* What hangs ends, and says at what and where. */
static void
test_hang (void)
{
  if (g_test_subprocess ()) {
    g_setenv ("MOSHI_WATCHDOG", "1", TRUE);
    watchdog_note ("a trial");
    hang_on_purpose ();
  }
  g_test_trap_subprocess (NULL, 0, 0);
  g_test_trap_assert_failed ();
  g_test_trap_assert_stderr ("*hangs: a trial*");
  if (watchdog_has_debugger ())
    g_test_trap_assert_stderr ("*hang_on_purpose*");
  else
    g_test_skip ("no debugger that shows stacks");
}

/* An object that is left behind fails a program that the leaks tracer is in. */
static void
test_leak (void)
{
  if (g_test_subprocess ()) {
    gst_bus_new ();
    gst_deinit ();
    return;
  }
  g_setenv ("GST_TRACERS", "leaks", TRUE);
  g_test_trap_subprocess (NULL, 0, 0);
  g_test_trap_assert_failed ();
  g_test_trap_assert_stderr ("*Leaks detected*");
}

/* Two hundred sessions are some 1,200 files. */
static void
allow_files (void)
{
  struct rlimit limit;

  if (getrlimit (RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit (RLIMIT_NOFILE, &limit);
  }
}

/* GTest shows all that is logged, and libsoup tells of each frame. */
static void
log_what_matters (const gchar * domain, GLogLevelFlags level,
    const gchar * text, gpointer user_data)
{
  if (level & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL
          | G_LOG_LEVEL_WARNING | G_LOG_LEVEL_MESSAGE))
    g_log_default_handler (domain, level, text, NULL);
}

int
main (int argc, char **argv)
{
  guint i;
  int ret;

  g_unsetenv ("MOSHI_URI");
  g_unsetenv ("MOSHI_API_KEY");
  allow_files ();
  g_test_init (&argc, &argv, NULL);
  g_log_set_default_handler (log_what_matters, NULL);
  gst_init (&argc, &argv);

  for (i = 0; i < G_N_ELEMENTS (kinds); i++) {
    g_autofree gchar *path = g_strdup_printf ("/storm/states/%s",
        kinds[i].name);

    g_test_add_data_func (path, &kinds[i], test_storm);
  }
  g_test_add_data_func ("/storm/seeks/batch", &kinds[0], test_seeks);
  g_test_add_data_func ("/storm/seeks/opus", &kinds[2], test_seeks);
  g_test_add_func ("/storm/hang", test_hang);
  g_test_add_func ("/storm/leak", test_leak);
  g_test_add_func ("/storm/join", test_join);
  g_test_add_func ("/storm/together", test_together);
  ret = g_test_run ();

  gst_deinit ();
  return ret;
}
