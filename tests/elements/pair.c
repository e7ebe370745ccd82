/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * moshisink and moshisrc, joined by the name of a session: in one pipeline or
 * in two with clocks that began at different times, in any order of starts and
 * stops.
 */
#include "pairing.h"

#include <string.h>

static gchar *
dup_connection_state (Harness * self, const gchar * name)
{
  GstElement *element = harness_get_element (self, name);
  GEnumClass *klass;
  gchar *nick;
  GValue value = G_VALUE_INIT;

  g_object_get_property (G_OBJECT (element), "connection-state", &value);
  klass = g_type_class_ref (G_VALUE_TYPE (&value));
  nick = g_strdup (g_enum_get_value (klass, g_value_get_enum (&value))
      ->value_nick);
  g_type_class_unref (klass);
  g_value_unset (&value);
  gst_object_unref (element);
  return nick;
}

static void
wait_connection_state (Harness * self, const gchar * name,
    const gchar * expected)
{
  gint64 end = g_get_monotonic_time () + HARNESS_PATIENCE * 1000;
  g_autofree gchar *state = dup_connection_state (self, name);

  while (!g_str_equal (state, expected)) {
    g_assert_cmpint (g_get_monotonic_time (), <, end);
    g_usleep (1000);
    g_free (state);
    state = dup_connection_state (self, name);
  }
}

static void
assert_connection_state (Harness * self, const gchar * name,
    const gchar * expected)
{
  g_autofree gchar *state = dup_connection_state (self, name);

  g_assert_cmpstr (state, ==, expected);
}

/* --- together -------------------------------------------------------------- */

static void
test_one_pipeline (void)
{
  MoshiStandinConfig config;
  Harness *self;

  pairing_init_config (&config, MOSHI_STANDIN_SWEEP);
  self = pairing_new_both (&config, MICROPHONE, "", "");
  harness_wait_state (self, GST_STATE_PLAYING);
  pairing_wait_answers (self, 0, 20);
  pairing_assert_contiguous (self);
  assert_connection_state (self, "s", "ready");
  assert_connection_state (self, "m", "ready");
  g_assert_cmpuint (pairing_get_stat (self, "s", "samples-sent"), >, 0);
  g_assert_cmpuint (pairing_get_stat (self, "m", "samples-received"), >, 0);

  harness_wait_state (self, GST_STATE_NULL);
  pairing_assert_clean_close (self->server);
  g_assert_cmpuint (pairing_get_stat (self, "s", "samples-sent"), >, 0);
  g_assert_cmpuint (pairing_get_stat (self, "m", "samples-sent"), ==,
      pairing_get_stat (self, "s", "samples-sent"));
  g_assert_cmpuint (pairing_get_stat (self, "m", "filled"), >, 0);
  assert_connection_state (self, "s", "idle");
  assert_connection_state (self, "m", "idle");
  harness_free (self);
}

/* Whichever is first has a clock that runs for some time already. */
static void
test_two_pipelines (gconstpointer data)
{
  const gboolean sink_first = GPOINTER_TO_INT (data);
  MoshiStandinConfig config;
  MoshiStandin *server;
  Harness *speaker, *listener;

  pairing_init_config (&config, MOSHI_STANDIN_SWEEP);
  server = pairing_start_server (&config);
  speaker = pairing_new_speaker (server, "session=two");
  listener = pairing_new_listener ("session=two");
  harness_wait_state (sink_first ? speaker : listener, GST_STATE_PLAYING);
  harness_wait_buffers (sink_first ? speaker : listener,
      (sink_first ? speaker : listener)->out, 20);
  harness_wait_state (sink_first ? listener : speaker, GST_STATE_PLAYING);
  g_assert_cmpuint (gst_element_get_base_time (speaker->pipeline), !=,
      gst_element_get_base_time (listener->pipeline));

  pairing_wait_answers (listener, 0, 20);
  pairing_assert_contiguous (listener);
  harness_lock (listener);
  g_assert_cmpuint (harness_track_buffer (listener->out, 0)->pts, <, MS (500));
  harness_unlock (listener);
  harness_free (listener);
  harness_free (speaker);
  pairing_assert_clean_close (server);
  moshi_standin_free (server);
}

#define WINDOW 1200

/* On a machine with much to do packets have jitter: silence comes in between, and
 * some is played slower or faster. So what comes first is looked for so much
 * earlier in the sweep, or later, and seeds begin farther apart than that: by
 * half a second of the two that the sweep lasts. */
#define EARLIER 10000
#define LATER 1200
#define SEED_STEP 50            /* 11,950 samples */

/* The first window is always there, in one message; the decoder fades it in, so
 * that it is no more like the sweep than 0.89. Anything else is below 0.5. */
#define ALIKE 0.8

/* How much like the sweep of a seed it is what comes first, in the window of
 * 50 ms that is most like it. */
static gdouble
compare (Harness * self, guint32 seed)
{
  const HarnessBuffer *first = harness_track_buffer (self->out,
      pairing_find_answer (self->out, 0));
  const gint16 *samples = (const gint16 *) (self->out->data->data
      + first->offset);
  gsize n = (self->out->data->len - first->offset) / 2, i;
  gdouble score, best = 0;

  /* It repeats after 48,000 samples. */
  for (i = 0; i + WINDOW <= MIN (n, 20 * WINDOW); i += WINDOW) {
    moshi_standin_sweep_locate (samples + i, WINDOW, 24000, 1, seed,
        48000 + i - EARLIER, 48000 + i + LATER, &score);
    best = MAX (best, score);
  }
  return best;
}

/* Moshi says the same thing to each, to each from another place on. */
static void
assert_hears (Harness * self, const MoshiStandinConfig * config,
    guint32 other_seed)
{
  harness_lock (self);
  g_assert_cmpfloat (compare (self, config->seed), >, ALIKE);
  g_assert_cmpfloat (compare (self, other_seed), <, ALIKE);
  harness_unlock (self);
}

#define N_PAIRS 4

static void
test_several (void)
{
  MoshiStandinConfig configs[N_PAIRS];
  Harness *pairs[N_PAIRS];
  guint i;

  for (i = 0; i < N_PAIRS; i++) {
    g_autofree gchar *session = g_strdup_printf ("session=\"number %u\"", i);

    pairing_init_config (&configs[i], MOSHI_STANDIN_SWEEP);
    configs[i].seed = 1 + i * SEED_STEP;
    pairs[i] = pairing_new_both (&configs[i], MICROPHONE, session, session);
    harness_set_state (pairs[i], GST_STATE_PLAYING);
  }
  for (i = 0; i < N_PAIRS; i++)
    pairing_wait_answers (pairs[i], 0, 25);
  for (i = 0; i < N_PAIRS; i++) {
    assert_hears (pairs[i], &configs[i], configs[(i + 1) % N_PAIRS].seed);
    harness_free (pairs[i]);
  }
}

/* --- a name that is taken ---------------------------------------------------- */

static void
assert_one_settings_error (Harness * self)
{
  GstMessage *message = harness_wait_error (self, GST_RESOURCE_ERROR,
      GST_RESOURCE_ERROR_SETTINGS);
  g_autoptr (GError) error = NULL;

  gst_message_parse_error (message, &error, NULL);
  g_assert_nonnull (strstr (error->message, "popular"));
  g_assert_nonnull (strstr (error->message, "session"));
  gst_message_unref (message);
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_ERROR, NULL), ==,
      1);
}

static void
test_taken (gconstpointer data)
{
  const gboolean sink = GPOINTER_TO_INT (data);
  MoshiStandinConfig config;
  Harness *first, *second;
  guint before;

  pairing_init_config (&config, MOSHI_STANDIN_SWEEP);
  first =
      pairing_new_both (&config, MICROPHONE, "session=popular",
      "session=popular");
  second = sink ? pairing_new_speaker (first->server, "session=popular")
      : pairing_new_listener ("session=popular");
  harness_wait_state (first, GST_STATE_PLAYING);
  pairing_wait_answers (first, 0, 2);

  g_assert_cmpint (gst_element_set_state (second->pipeline, GST_STATE_PLAYING),
      ==, GST_STATE_CHANGE_FAILURE);
  assert_one_settings_error (second);
  g_assert_cmpint (gst_element_set_state (second->pipeline, GST_STATE_NULL), ==,
      GST_STATE_CHANGE_SUCCESS);
  before = pairing_count_buffers (first);
  pairing_wait_answers (first, before, 5);
  assert_connection_state (first, "m", "ready");

  /* What the first leaves, the second can have. */
  harness_wait_state (first, GST_STATE_NULL);
  harness_wait_state (second, GST_STATE_PLAYING);
  harness_free (first);
  harness_free (second);
}

static void
wait_played (Harness * self)
{
  gint64 end = g_get_monotonic_time () + HARNESS_PATIENCE * 1000;

  while (pairing_get_stat (self, "m", "queued") > 0) {
    g_assert_cmpint (g_get_monotonic_time (), <, end);
    g_usleep (1000);
  }
}

/* --- stopped and started again ------------------------------------------------- */

static void
test_sink_again (void)
{
  MoshiStandinConfig config;
  MoshiStandinStats stats;
  MoshiStandin *server;
  Harness *speaker, *listener;
  guint round;

  pairing_init_config (&config, MOSHI_STANDIN_SWEEP);
  server = pairing_start_server (&config);
  speaker = pairing_new_speaker (server, "");
  listener = pairing_new_listener ("");
  harness_wait_state (listener, GST_STATE_PLAYING);
  for (round = 0; round < 3; round++) {
    harness_wait_state (speaker, GST_STATE_PLAYING);
    wait_connection_state (listener, "m", "ready");
    pairing_wait_answers (listener, pairing_count_buffers (listener), 10);
    assert_connection_state (listener, "m", "ready");
    harness_wait_state (speaker, round == 1 ? GST_STATE_READY : GST_STATE_NULL);
    g_assert_true (moshi_standin_wait_idle (server, HARNESS_PATIENCE));
    assert_connection_state (listener, "m", "idle");
    /* What the last session has said is not to be taken for the next one's. */
    wait_played (listener);
    harness_wait_buffers (listener, listener->out,
        pairing_count_buffers (listener)
        + 20);
    g_assert_cmpuint (listener->out->n_eos, ==, 0);
  }
  pairing_assert_contiguous (listener);
  moshi_standin_get_stats (server, &stats);
  g_assert_cmpuint (stats.handshakes, ==, 3);
  pairing_assert_clean_close (server);
  harness_free (speaker);
  harness_free (listener);
  moshi_standin_free (server);
}

static void
test_src_again (void)
{
  MoshiStandinConfig config;
  MoshiStandinStats stats;
  MoshiStandin *server;
  Harness *speaker, *listener;
  guint round;

  pairing_init_config (&config, MOSHI_STANDIN_SWEEP);
  server = pairing_start_server (&config);
  speaker = pairing_new_speaker (server, "");
  listener = pairing_new_listener ("");
  harness_wait_state (speaker, GST_STATE_PLAYING);
  for (round = 0; round < 3; round++) {
    harness_wait_state (listener, GST_STATE_PLAYING);
    pairing_wait_answers (listener, 0, 10);
    pairing_assert_contiguous (listener);
    harness_wait_state (listener, round == 1 ? GST_STATE_READY :
        GST_STATE_NULL);
    harness_track_clear (listener->out);
    harness_wait_buffers (speaker, speaker->out,
        pairing_count_buffers (speaker) + 10);
  }
  moshi_standin_get_stats (server, &stats);
  g_assert_cmpuint (stats.handshakes, ==, 1);
  harness_free (listener);
  harness_free (speaker);
  pairing_assert_clean_close (server);
  moshi_standin_free (server);
}

/* One clock stands still, the other pipeline does not notice. */
static void
test_pause (gconstpointer data)
{
  const gboolean sink = GPOINTER_TO_INT (data);
  MoshiStandinConfig config;
  MoshiStandinStats stats;
  MoshiStandin *server;
  Harness *speaker, *listener, *paused, *other;
  guint round;

  pairing_init_config (&config, MOSHI_STANDIN_SWEEP);
  server = pairing_start_server (&config);
  speaker = pairing_new_speaker (server, "");
  listener = pairing_new_listener ("");
  paused = sink ? speaker : listener;
  other = sink ? listener : speaker;
  harness_wait_state (speaker, GST_STATE_PLAYING);
  harness_wait_state (listener, GST_STATE_PLAYING);
  for (round = 0; round < 3; round++) {
    pairing_wait_answers (listener, pairing_count_buffers (listener), 5);
    harness_wait_state (paused, GST_STATE_PAUSED);
    harness_wait_buffers (other, other->out,
        pairing_count_buffers (other) + 20);
    harness_wait_state (paused, GST_STATE_PLAYING);
  }
  pairing_wait_answers (listener, pairing_count_buffers (listener), 5);
  pairing_assert_contiguous (listener);
  moshi_standin_get_stats (server, &stats);
  g_assert_cmpuint (stats.handshakes, ==, 1);
  harness_free (listener);
  harness_free (speaker);
  pairing_assert_clean_close (server);
  moshi_standin_free (server);
}

/* --- alone ------------------------------------------------------------------------ */

static void
test_src_alone (void)
{
  Harness *self = pairing_new_listener ("");
  GstElement *src = harness_get_element (self, "m");
  guint i;

  harness_wait_state (self, GST_STATE_PLAYING);
  harness_wait_bytes (self, self->out, MS_BYTES (1000));
  g_assert_true (gst_element_send_event (src, gst_event_new_eos ()));
  harness_wait_eos (self);
  g_assert_cmpuint (self->out->n_eos, ==, 1);
  pairing_assert_contiguous (self);
  g_assert_cmpint (pairing_find_answer (self->out, 0), ==, -1);
  for (i = 0; i < self->out->data->len; i++)
    g_assert_cmpuint (self->out->data->data[i], ==, 0);
  assert_connection_state (self, "m", "idle");
  gst_object_unref (src);
  harness_free (self);
}

/* Nobody listens: all of it goes to the server, and the close is polite. */
/* Nobody listens: all is sent, the last part of a packet and a tail beyond the
 * window too, in real time or not. */
static void
test_sink_alone (gconstpointer data)
{
  const guint64 length = 50 * 501 + 6 * 24000;
  MoshiStandinConfig config;
  Harness *self;

  pairing_init_config (&config, MOSHI_STANDIN_SILENCE);
  self = harness_new (NULL, "audiotestsrc name=m num-buffers=50 is-live=%d "
      "samplesperbuffer=501 ! " CAPS " ! moshisink name=s tail=6000",
      GPOINTER_TO_INT (data));
  self->server = pairing_start_server (&config);
  pairing_call (self, "s", self->server);
  harness_wait_state (self, GST_STATE_PAUSED);
  harness_wait_connection (self, "ready");
  harness_play_to_eos (self);
  pairing_assert_clean_close (self->server);
  g_assert_cmpuint (pairing_get_stat (self, "s", "samples-sent"), >=, length);
  g_assert_true (moshi_standin_wait (self->server, MOSHI_STANDIN_SAMPLES,
          length, HARNESS_PATIENCE));
  harness_free (self);
}

/* --- states ------------------------------------------------------------------ */

/* READY ends the conversation, and another start begins one. */
static void
test_ready (void)
{
  MoshiStandinConfig config;
  MoshiStandinStats stats;
  Harness *self;

  pairing_init_config (&config, MOSHI_STANDIN_SWEEP);
  self = pairing_new_both (&config, MICROPHONE, "", "");
  harness_wait_state (self, GST_STATE_READY);
  moshi_standin_get_stats (self->server, &stats);
  g_assert_cmpuint (stats.requests, ==, 0);
  harness_wait_state (self, GST_STATE_PLAYING);
  pairing_wait_answers (self, 0, 2);
  harness_wait_state (self, GST_STATE_READY);
  pairing_assert_clean_close (self->server);
  harness_wait_state (self, GST_STATE_PLAYING);
  pairing_wait_answers (self, pairing_count_buffers (self), 2);
  moshi_standin_get_stats (self->server, &stats);
  g_assert_cmpuint (stats.handshakes, ==, 2);
  harness_free (self);
}

/* A microphone that has never said a word: Moshi is fed all the same. */
static void
test_mute (void)
{
  MoshiStandinConfig config;
  Harness *self;

  pairing_init_config (&config, MOSHI_STANDIN_SWEEP);
  self =
      pairing_new_both (&config,
      "appsrc name=in is-live=true format=time caps=" CAPS, "", "");
  harness_set_state (self, GST_STATE_PLAYING);
  pairing_wait_answers (self, 0, 10);
  g_assert_cmpuint (pairing_get_stat (self, "s", "input-filled"), >, 0);
  harness_free (self);
}

/* --- ends ----------------------------------------------------------------------------- */

/* As gst-launch-1.0 -e does it */
static void
test_eos_to_pipeline (void)
{
  MoshiStandinConfig config;
  Harness *self;

  pairing_init_config (&config, MOSHI_STANDIN_SWEEP);
  self = pairing_new_both (&config, MICROPHONE, "", "");
  harness_wait_state (self, GST_STATE_PLAYING);
  pairing_wait_answers (self, 0, 5);
  g_assert_true (gst_element_send_event (self->pipeline, gst_event_new_eos ()));
  harness_wait_eos (self);
  g_assert_cmpuint (self->out->n_eos, ==, 1);
  pairing_assert_clean_close (self->server);
  harness_free (self);
}

/* The source alone has had enough; the sink speaks on, to nobody. */
static void
test_eos_to_src (void)
{
  MoshiStandinConfig config;
  MoshiStandin *server;
  Harness *speaker, *listener;
  MoshiStandinStats stats;

  pairing_init_config (&config, MOSHI_STANDIN_SWEEP);
  server = pairing_start_server (&config);
  speaker = pairing_new_speaker (server, "");
  listener = pairing_new_listener ("");
  harness_wait_state (speaker, GST_STATE_PLAYING);
  harness_wait_state (listener, GST_STATE_PLAYING);
  pairing_wait_answers (listener, 0, 5);
  g_assert_true (gst_element_send_event (listener->moshi,
          gst_event_new_eos ()));
  harness_wait_eos (listener);
  moshi_standin_get_stats (server, &stats);
  g_assert_true (moshi_standin_wait (server, MOSHI_STANDIN_SAMPLES,
          stats.samples + 12000, HARNESS_PATIENCE));
  assert_connection_state (speaker, "s", "ready");

  /* And somebody else may listen. */
  harness_wait_state (listener, GST_STATE_NULL);
  harness_track_clear (listener->out);
  harness_wait_state (listener, GST_STATE_PLAYING);
  pairing_wait_answers (listener, 0, 5);
  harness_free (listener);
  harness_free (speaker);
  moshi_standin_free (server);
}

/* A live microphone ends: the answers do, then the source. */
static void
test_eos_to_sink (void)
{
  MoshiStandinConfig config;
  MoshiStandin *server;
  Harness *speaker, *listener;

  pairing_init_config (&config, MOSHI_STANDIN_SWEEP);
  server = pairing_start_server (&config);
  speaker = pairing_new_speaker (server, "tail=300");
  listener = pairing_new_listener ("");
  harness_wait_state (speaker, GST_STATE_PLAYING);
  harness_wait_state (listener, GST_STATE_PLAYING);
  pairing_wait_answers (listener, 0, 5);
  g_assert_true (gst_element_send_event (speaker->pipeline,
          gst_event_new_eos ()));
  harness_wait_eos (speaker);
  harness_wait_eos (listener);
  g_assert_cmpuint (listener->out->n_eos, ==, 1);
  pairing_assert_contiguous (listener);
  pairing_assert_clean_close (server);
  harness_free (listener);
  harness_free (speaker);
  moshi_standin_free (server);
}

/* Who waits for a listener that goes does not wait for ever. */
static void
test_listener_leaves_drain (void)
{
  static const gchar *const faults[] = { "freeze-after=10", NULL };
  MoshiStandinConfig config;
  MoshiStandin *server;
  Harness *speaker, *listener;

  pairing_init_config (&config, MOSHI_STANDIN_SWEEP);
  config.faults = faults;
  server = pairing_start_server (&config);
  speaker = pairing_new_speaker (server, "drain-timeout=100000 idle-timeout=0");
  listener = pairing_new_listener ("");
  harness_wait_state (speaker, GST_STATE_PLAYING);
  harness_wait_state (listener, GST_STATE_PLAYING);
  pairing_wait_answers (listener, 0, 5);
  g_assert_true (gst_element_send_event (speaker->pipeline,
          gst_event_new_eos ()));
  harness_wait_state (listener, GST_STATE_NULL);
  harness_wait_eos (speaker);
  harness_free (listener);
  harness_free (speaker);
  moshi_standin_free (server);
}

/* Nobody at the other end: the sink tells, the source ends. */
static void
test_failure (void)
{
  MoshiStandinConfig config;
  MoshiStandin *server;
  Harness *speaker, *listener;
  GstMessage *message;

  pairing_init_config (&config, MOSHI_STANDIN_SWEEP);
  server = pairing_start_server (&config);
  speaker = pairing_new_speaker (server, "retries=0");
  listener = pairing_new_listener ("");
  moshi_standin_free (server);
  harness_wait_state (listener, GST_STATE_PLAYING);
  harness_set_state (speaker, GST_STATE_PLAYING);
  message = harness_wait_error (speaker, GST_RESOURCE_ERROR,
      GST_RESOURCE_ERROR_OPEN_READ_WRITE);
  gst_message_unref (message);
  harness_wait_eos (listener);
  harness_free (listener);
  harness_free (speaker);
}

/* --- signals, queries, words ----------------------------------------------------- */

static void
test_restart (void)
{
  MoshiStandinConfig config;
  MoshiStandinStats stats;
  GstElement *sink;
  Harness *self;

  pairing_init_config (&config, MOSHI_STANDIN_SWEEP);
  self = pairing_new_both (&config, MICROPHONE, "", "");
  sink = harness_get_element (self, "s");
  harness_wait_state (self, GST_STATE_PLAYING);
  harness_wait_connection (self, "ready");
  pairing_wait_answers (self, 0, 5);
  g_signal_emit_by_name (sink, "restart");
  harness_wait_connection (self, "ready");
  pairing_wait_answers (self, pairing_count_buffers (self), 5);
  pairing_assert_contiguous (self);
  moshi_standin_get_stats (self->server, &stats);
  g_assert_cmpuint (stats.handshakes, ==, 2);
  gst_object_unref (sink);
  harness_free (self);
}

/* The clock stands still, so that what has come is not played. */
static void
test_flush_output (void)
{
  MoshiStandinConfig config;
  GstElement *sink;
  guint64 queued;
  guint i;
  Harness *self;

  pairing_init_config (&config, MOSHI_STANDIN_SWEEP);
  self =
      pairing_new_both (&config,
      "appsrc name=in is-live=true format=time caps=" CAPS, "", "");
  pairing_use_test_clock (self);
  sink = harness_get_element (self, "s");
  harness_set_state (self, GST_STATE_PLAYING);
  harness_wait_connection (self, "ready");
  for (i = 0; i < 40; i++)
    harness_push (self, i * MS (20), MS_BYTES (20), 0);
  harness_wait_stat (self, "samples-received", 24000 / 2);
  queued = pairing_get_stat (self, "m", "queued");
  g_assert_cmpuint (queued, >, 0);
  g_signal_emit_by_name (sink, "flush-output");
  g_assert_cmpuint (pairing_get_stat (self, "m", "dropped"), >=, queued);
  g_assert_cmpuint (pairing_get_stat (self, "m", "dropped"), ==,
      pairing_get_stat (self, "s", "dropped"));
  gst_object_unref (sink);
  harness_free (self);
}

static void
assert_latency (Harness * self, GstClockTime expected)
{
  GstPad *pad = gst_element_get_static_pad (self->moshi, "src");
  GstQuery *query = gst_query_new_latency ();
  GstClockTime min, max;
  gboolean live;

  g_assert_true (gst_pad_query (pad, query));
  gst_query_parse_latency (query, &live, &min, &max);
  g_assert_true (live);
  g_assert_cmpuint (min, ==, expected);
  g_assert_cmpuint (max, ==, expected + MS (30000));
  gst_query_unref (query);
  gst_object_unref (pad);
}

static void
test_latency (void)
{
  GstMessage *message;
  Harness *self = pairing_new_listener ("");

  harness_wait_state (self, GST_STATE_PLAYING);
  assert_latency (self, MS (60));
  harness_pop_messages (self);
  g_object_set (self->moshi, "latency", 200, NULL);
  message = harness_wait_message (self, GST_MESSAGE_LATENCY, NULL,
      HARNESS_PATIENCE);
  g_assert_nonnull (message);
  gst_message_unref (message);
  assert_latency (self, MS (200));
  harness_free (self);
}

static void
test_text (void)
{
  MoshiStandinConfig config;
  HarnessTrack *words;
  GstStructure *stats;
  guint count = 0, i;
  Harness *self;

  pairing_init_config (&config, MOSHI_STANDIN_SWEEP);
  config.text = "one two three four";
  config.text_every = 1;
  self = harness_new (NULL, MICROPHONE " ! moshisink name=s moshisrc name=m"
      SPEAKER " m.text ! text/x-raw,format=utf8 ! identity name=words ! "
      "fakesink");
  words = harness_track (self, "words", "src");
  self->server = pairing_start_server (&config);
  pairing_call (self, "s", self->server);
  harness_wait_state (self, GST_STATE_PLAYING);
  harness_wait_buffers (self, words, 3);
  harness_lock (self);
  for (i = 0; i < 3; i++)
    g_assert_cmpuint (harness_track_buffer (words, i)->duration, !=,
        GST_CLOCK_TIME_NONE);
  g_assert_cmpmem (words->data->data, 6, "onetwo", 6);
  harness_unlock (self);
  stats = pairing_get_stats (self, "m");
  g_assert_true (gst_structure_get_uint (stats, "words", &count));
  g_assert_cmpuint (count, >=, 3);
  gst_structure_free (stats);
  harness_free (self);
}

static void
on_notify (GObject * object, GParamSpec * pspec, gpointer user_data)
{
  g_atomic_int_inc ((gint *) user_data);
}

static void
test_notify (void)
{
  MoshiStandinConfig config;
  gint sink_count = 0, src_count = 0;
  GstElement *sink;
  Harness *self;

  pairing_init_config (&config, MOSHI_STANDIN_SWEEP);
  self = pairing_new_both (&config, MICROPHONE, "", "");
  sink = harness_get_element (self, "s");
  g_signal_connect (sink, "notify::connection-state", G_CALLBACK (on_notify),
      &sink_count);
  g_signal_connect (self->moshi, "notify::connection-state",
      G_CALLBACK (on_notify), &src_count);
  harness_wait_state (self, GST_STATE_PLAYING);
  pairing_wait_answers (self, 0, 2);
  /* connecting, waiting, ready; the source may have joined a little later */
  g_assert_cmpint (g_atomic_int_get (&sink_count), >=, 3);
  g_assert_cmpint (g_atomic_int_get (&src_count), >=, 1);
  harness_free (self);
  gst_object_unref (sink);
}

static void
add_tests (void)
{
  g_test_add_func ("/pair/one-pipeline", test_one_pipeline);
  g_test_add_data_func ("/pair/two-pipelines/sink-first",
      GINT_TO_POINTER (TRUE), test_two_pipelines);
  g_test_add_data_func ("/pair/two-pipelines/src-first",
      GINT_TO_POINTER (FALSE), test_two_pipelines);
  g_test_add_func ("/pair/several", test_several);
  g_test_add_data_func ("/pair/taken/sink", GINT_TO_POINTER (TRUE), test_taken);
  g_test_add_data_func ("/pair/taken/src", GINT_TO_POINTER (FALSE), test_taken);
  g_test_add_func ("/pair/again/sink", test_sink_again);
  g_test_add_func ("/pair/again/src", test_src_again);
  g_test_add_data_func ("/pair/pause/sink", GINT_TO_POINTER (TRUE), test_pause);
  g_test_add_data_func ("/pair/pause/src", GINT_TO_POINTER (FALSE), test_pause);
  g_test_add_func ("/pair/alone/src", test_src_alone);
  g_test_add_data_func ("/pair/alone/sink/live", GINT_TO_POINTER (TRUE),
      test_sink_alone);
  g_test_add_data_func ("/pair/alone/sink/file", GINT_TO_POINTER (FALSE),
      test_sink_alone);
  g_test_add_func ("/pair/ready", test_ready);
  g_test_add_func ("/pair/mute", test_mute);
  g_test_add_func ("/pair/eos/pipeline", test_eos_to_pipeline);
  g_test_add_func ("/pair/eos/src", test_eos_to_src);
  g_test_add_func ("/pair/eos/sink", test_eos_to_sink);
  g_test_add_func ("/pair/eos/listener-leaves", test_listener_leaves_drain);
  g_test_add_func ("/pair/failure", test_failure);
  g_test_add_func ("/pair/restart", test_restart);
  g_test_add_func ("/pair/flush-output", test_flush_output);
  g_test_add_func ("/pair/latency", test_latency);
  g_test_add_func ("/pair/text", test_text);
  g_test_add_func ("/pair/notify", test_notify);
}

int
main (int argc, char **argv)
{
  return harness_main (&argc, &argv, add_tests);
}
