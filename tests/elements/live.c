/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Live: from PLAYING on one contiguous stream, whatever the network does. Most
 * tests have a clock of their own, so that five minutes take a second and
 * nothing depends on how busy the machine is.
 */
#include "harness.h"

#include <string.h>

#define CAPS "audio/x-raw,format=S16LE,layout=interleaved,rate=24000,channels=1"

#define MS(n) ((n) * GST_MSECOND)
#define PACKET MS (20)
#define PACKET_BYTES 960
/* Of the model */
#define FRAME MS (80)

static void
init_config (MoshiStandinConfig * config, MoshiStandinVoice voice)
{
  moshi_standin_config_init (config);
  config->voice = voice;
  config->seed = 5;
}

/* A microphone under our control, a test clock, and no waiting sink */
static Harness *
new_microphone (const MoshiStandinConfig * config, const gchar * properties)
{
  Harness *self = harness_new (config, "appsrc name=in is-live=true "
      "format=time max-bytes=0 caps=" CAPS " ! moshi name=m %s ! " CAPS
      " ! fakesink name=out async=false", properties);

  harness_use_test_clock (self);
  return self;
}

static void
start (Harness * self)
{
  harness_wait_state (self, GST_STATE_PLAYING);
}

static void
start_and_wait (Harness * self)
{
  start (self);
  harness_wait_connection (self, "ready");
}

/* The microphone speaks in step with the clock: n packets of 20 ms, each given
 * when its last sample has come. */
static void
speak (Harness * self, guint n)
{
  guint i;

  for (i = 0; i < n; i++) {
    GstClockTime now = gst_clock_get_time (GST_CLOCK (self->clock))
        - gst_element_get_base_time (self->pipeline);

    harness_advance (self, PACKET);
    harness_push (self, now, PACKET_BYTES, 0);
  }
}

/* Likewise, with a network without jitter: the answers come before time goes
 * on. */
static void
speak_in_step (Harness * self, guint n)
{
  guint i;

  for (i = 0; i < n; i++) {
    guint64 sent = harness_get_stat (self, "samples-sent") + 480;

    speak (self, 1);
    harness_wait_stat (self, "samples-sent", sent);
    if (sent / 1920 > 1)
      harness_wait_answers (self, (sent / 1920 - 1) * 1920);
  }
}

/* One stream from running time 0 on, as far as the promise goes: up to now,
 * less the latency. */
static guint64
assert_contiguous (Harness * self, GstClockTime latency)
{
  const GstClockTime now = gst_clock_get_time (GST_CLOCK (self->clock))
      - gst_element_get_base_time (self->pipeline);
  GstClockTime end;
  guint64 frames;

  /* The clock has gone on just now; who pushes may be somewhat behind it. */
  harness_wait_bytes (self, self->out, 2 * gst_util_uint64_scale (now
          - MIN (now, latency + 1), 24000, GST_SECOND));
  harness_lock (self);
  g_assert_cmpuint (harness_track_buffer (self->out, 0)->pts, ==, 0);
  frames = harness_assert_contiguous (self->out, 24000, 2, 0);
  end = gst_util_uint64_scale (frames, GST_SECOND, 24000);
  g_assert_cmpuint (end + latency + 1, >=, now);
  harness_unlock (self);
  return frames;
}

static gboolean
is_gap (const HarnessBuffer * buffer)
{
  return (buffer->flags & GST_BUFFER_FLAG_GAP) != 0;
}

/* Silence is flagged as what it is, and is silent. */
static void
assert_gaps_silent (HarnessTrack * track)
{
  guint i, k;

  for (i = 0; i < track->buffers->len; i++) {
    const HarnessBuffer *buffer = harness_track_buffer (track, i);

    for (k = 0; is_gap (buffer) && k < buffer->size; k++)
      g_assert_cmpuint (track->data->data[buffer->offset + k], ==, 0);
  }
}

static guint
find_first_answer (HarnessTrack * track)
{
  guint i = 0;

  while (is_gap (harness_track_buffer (track, i)))
    i++;
  return i;
}

/* --- contiguous ---------------------------------------------------------- */

static void
test_five_minutes (void)
{
  MoshiStandinConfig config;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_REPEAT_PACKETS);
  self = new_microphone (&config, "complexity=0");
  start (self);
  speak (self, 15000);
  g_assert_cmpuint (assert_contiguous (self, MS (60)), >=, 299 * 24000);
  assert_gaps_silent (self->out);
  /* The clock runs faster than the server: that something was dropped is told,
   * but nothing is an error. */
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_ERROR, NULL), ==,
      0);
  harness_free (self);
}

/* Without jitter nothing is lost: silence until the first answer, then the
 * sweep, sample by sample. */
static void
test_answer (void)
{
  MoshiStandinConfig config;
  guint first, i;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_SWEEP);
  self = new_microphone (&config, "");
  start_and_wait (self);
  speak_in_step (self, 500);
  assert_contiguous (self, MS (60));
  assert_gaps_silent (self->out);
  first = find_first_answer (self->out);
  g_assert_cmpuint (first, >, 0);
  for (i = first; i < self->out->buffers->len; i++)
    g_assert_false (is_gap (harness_track_buffer (self->out, i)));
  harness_assert_sweep (self->out,
      harness_track_buffer (self->out, first)->offset / 2, &config, 24000, 1);
  g_assert_cmpuint (harness_get_stat (self, "dropped"), ==, 0);
  harness_free (self);
}

/* At rates whose sample is longer than the clock's tick nothing shifts. */
static void
test_rates (gconstpointer data)
{
  const guint rate = GPOINTER_TO_UINT (data);
  MoshiStandinConfig config;
  Harness *self;
  guint i;

  init_config (&config, MOSHI_STANDIN_SWEEP);
  self = harness_new (&config, "appsrc name=in is-live=true format=time caps="
      CAPS " ! moshi name=m ! audio/x-raw,format=S16LE,channels=1,rate=%u "
      "! fakesink async=false", rate);
  harness_use_test_clock (self);
  gst_test_clock_set_time (self->clock, 1234567891);
  start_and_wait (self);
  for (i = 0; i < 20; i++) {
    harness_advance (self, 7654321);
    speak (self, 10);
  }
  harness_lock (self);
  harness_assert_contiguous (self->out, rate, 2, 0);
  harness_unlock (self);
  harness_free (self);
}

/* The clock of the machine, as users have it */
static void
test_real_clock (void)
{
  MoshiStandinConfig config;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_SWEEP);
  self = harness_new (&config, "audiotestsrc is-live=true "
      "samplesperbuffer=480 ! " CAPS " ! moshi name=m ! " CAPS
      " ! fakesink sync=true qos=true");
  harness_wait_state (self, GST_STATE_PLAYING);
  harness_wait_bytes (self, self->out, 48000 * 2);
  harness_lock (self);
  harness_assert_contiguous (self->out, 24000, 2, 0);
  find_first_answer (self->out);
  harness_unlock (self);
  harness_free (self);
}

/* --- the network --------------------------------------------------------- */

/* No server will ever speak: the chain does not wait, the output goes on. The
 * time stands still until all that was pushed has gone through. */
static void
test_never_blocks (gconstpointer data)
{
  const gchar *const faults[] = { data, NULL };
  MoshiStandinConfig config;
  HarnessTrack *in;
  guint i;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_SILENCE);
  config.faults = faults;
  self = new_microphone (&config, "bitrate=256000 complexity=0 retries=-1 "
      "idle-timeout=0");
  in = harness_track (self, "m", "sink");
  in->keep = FALSE;
  start (self);
  harness_wait_connection (self, g_str_equal (data, "never-read") ? "ready"
      : "connecting");
  for (i = 0; i < 6000; i++)
    harness_push (self, i * PACKET, PACKET_BYTES, 0);
  harness_wait_bytes (self, in, 6000 * PACKET_BYTES);
  harness_advance (self, MS (5000));
  assert_contiguous (self, MS (60));
  assert_gaps_silent (self->out);
  g_assert_true (is_gap (harness_track_buffer (self->out, 0)));
  harness_free (self);
}

#define WINDOW 1200

/* From the first answer on the sweep goes on where it was, faster by a twentieth
 * at most and a period: nothing is left out, though it may be played slower and
 * there may be holes. Returns: how much of it was found, in samples */
static guint
follow_sweep (Harness * self, guint first, const MoshiStandinConfig * config)
{
  const gint16 *samples = (const gint16 *) self->out->data->data;
  gsize i = harness_track_buffer (self->out, first)->offset / 2;
  gsize n = self->out->data->len / 2;
  gint64 found = 0, elapsed = 0;
  guint followed = 0;

  for (; i + WINDOW <= n; i += WINDOW) {
    gdouble score;
    gint64 at = moshi_standin_sweep_locate (samples + i, WINDOW, 24000, 1,
        config->seed, found, found + elapsed + elapsed / 20 + 600, &score);

    if (score > 0.9) {
      followed += WINDOW;
      found = at;
      elapsed = 0;
    }
    elapsed += WINDOW;
  }
  return followed;
}

/* The server holds ten frames back and then gives them at once: speech that
 * fades, silence, and nothing is lost. */
static void
test_stall (void)
{
  static const gchar *const faults[] = { "stall=20:10", NULL };
  MoshiStandinConfig config;
  guint first, i, gaps = 0;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_SWEEP);
  config.faults = faults;
  self = new_microphone (&config, "");
  start_and_wait (self);
  speak_in_step (self, 80);
  speak (self, 44);
  harness_wait_stat (self, "samples-received", 30 * 1920);
  speak_in_step (self, 100);
  assert_contiguous (self, MS (60));
  assert_gaps_silent (self->out);
  first = find_first_answer (self->out);
  for (i = first; i < self->out->buffers->len; i++)
    gaps += is_gap (harness_track_buffer (self->out, i));
  g_assert_cmpuint (gaps, >, 10);
  g_assert_cmpuint (harness_get_stat (self, "dropped"), ==, 0);
  g_assert_cmpuint (harness_get_stat (self, "concealed"), >, 0);
  g_assert_cmpuint (harness_get_stat (self, "trimmed"), ==, 0);
  g_assert_cmpuint (follow_sweep (self, first, &config), >=, 30 * 1920);
  harness_free (self);
}

/* Speaks until an answer is heard at or after the buffer given: time may go by
 * faster than the server thinks. */
static void
speak_until_answer (Harness * self, guint from)
{
  gint64 end = g_get_monotonic_time () + HARNESS_PATIENCE * 1000;
  gboolean found = FALSE;

  while (!found) {
    g_assert_cmpint (g_get_monotonic_time (), <, end);
    speak (self, 4);
    g_usleep (1000);
    harness_lock (self);
    for (; from < self->out->buffers->len && !found; from++)
      found = !is_gap (harness_track_buffer (self->out, from));
    harness_unlock (self);
  }
}

/* A session is lost: silence, a new session, and it answers. */
static void
test_reconnect (void)
{
  MoshiStandinConfig config;
  MoshiStandinStats stats;
  guint before;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_SWEEP);
  self = new_microphone (&config, "retry-backoff-max=100");
  start_and_wait (self);
  speak_in_step (self, 100);
  moshi_standin_drop_sessions (self->server);
  harness_wait_connection (self, "lost");
  speak (self, 100);
  harness_wait_connection (self, "ready");
  before = self->out->buffers->len;
  speak_until_answer (self, before);
  g_assert_true (moshi_standin_wait (self->server, MOSHI_STANDIN_HANDSHAKES, 2,
          HARNESS_PATIENCE));

  assert_contiguous (self, MS (60));
  assert_gaps_silent (self->out);
  g_assert_cmpuint (harness_get_stat (self, "sessions"), ==, 2);
  g_assert_cmpuint (harness_get_stat (self, "reconnects"), ==, 1);
  moshi_standin_get_stats (self->server, &stats);
  g_assert_cmpuint (stats.missing_bos, ==, 0);
  g_assert_cmpuint (stats.second_bos, ==, 0);
  g_assert_cmpuint (stats.page_gaps, ==, 0);
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_ERROR, NULL),
      ==, 0);
  harness_free (self);
}

/* --- the way up ---------------------------------------------------------- */

/* No timer between chain and socket: the clock stands still, and each packet is
 * at the server before the next is given. Given in quarters, the fourth makes
 * the packet. */
static void
test_no_timer (void)
{
  MoshiStandinConfig config;
  MoshiStandinStats stats;
  guint i, k;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_SILENCE);
  self = new_microphone (&config, "");
  start_and_wait (self);
  for (i = 0; i < 100; i++) {
    harness_push (self, i * PACKET, PACKET_BYTES, 0);
    g_assert_true (moshi_standin_wait (self->server, MOSHI_STANDIN_PACKETS,
            i + 1, HARNESS_PATIENCE));
  }
  for (; i < 200; i++) {
    for (k = 0; k < 4; k++)
      harness_push (self, i * PACKET + k * PACKET / 4, PACKET_BYTES / 4, 0);
    g_assert_true (moshi_standin_wait (self->server, MOSHI_STANDIN_PACKETS,
            i + 1, HARNESS_PATIENCE));
    moshi_standin_get_stats (self->server, &stats);
    g_assert_cmpuint (stats.packets, ==, i + 1);
  }
  g_assert_cmpuint (stats.samples, ==, 200 * 480);
  /* The headers go with the first packet or before it. */
  g_assert_cmpuint (stats.messages[1], >=, 200);
  g_assert_cmpuint (stats.messages[1], <=, 201);
  g_assert_cmpuint (gst_clock_get_time (GST_CLOCK (self->clock)), ==, 0);
  harness_free (self);
}

/* What the source leaves out is sent as silence: the server's timeline is the
 * microphone's. */
static void
test_gaps (void)
{
  MoshiStandinConfig config;
  MoshiStandinStats stats;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_SILENCE);
  self = new_microphone (&config, "");
  start_and_wait (self);
  harness_push (self, 0, PACKET_BYTES, 0);
  harness_push (self, MS (100), PACKET_BYTES, 0);
  harness_push (self, MS (130), PACKET_BYTES, GST_BUFFER_FLAG_DISCONT);
  harness_push_event (self, gst_event_new_gap (MS (150), MS (500)));
  harness_push (self, MS (650), PACKET_BYTES, 0);
  harness_push (self, MS (400), PACKET_BYTES, 0);       /* too late */
  harness_push (self, MS (670), 30 * 48, 0);
  g_assert_true (moshi_standin_wait (self->server, MOSHI_STANDIN_SAMPLES,
          700 * 24, HARNESS_PATIENCE));
  moshi_standin_get_stats (self->server, &stats);
  g_assert_cmpuint (stats.samples, ==, 700 * 24);
  g_assert_cmpuint (harness_get_stat (self, "input-filled"), ==,
      MS (80 + 10 + 500));
  g_assert_cmpuint (harness_get_stat (self, "input-trimmed"), ==, MS (20));
  harness_free (self);
}

/* The source falls silent: as time goes by Moshi is fed, and when the source is
 * back its voice is where it belongs. */
static void
test_quiet_source (void)
{
  MoshiStandinConfig config;
  MoshiStandinStats stats;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_SILENCE);
  self = new_microphone (&config, "");
  start_and_wait (self);
  speak_in_step (self, 50);
  harness_advance (self, MS (5000));
  g_assert_true (moshi_standin_wait (self->server, MOSHI_STANDIN_SAMPLES,
          5700 * 24, HARNESS_PATIENCE));
  speak_in_step (self, 50);
  g_assert_true (moshi_standin_wait (self->server, MOSHI_STANDIN_SAMPLES,
          7000 * 24, HARNESS_PATIENCE));
  moshi_standin_get_stats (self->server, &stats);
  g_assert_cmpuint (stats.samples, ==, 7000 * 24);
  assert_contiguous (self, MS (60));
  harness_free (self);
}

/* A source that never gives anything, not even caps */
static void
test_mute_source (void)
{
  MoshiStandinConfig config;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_SWEEP);
  self = new_microphone (&config, "");
  start_and_wait (self);
  harness_advance (self, MS (3000));
  g_assert_true (moshi_standin_wait (self->server, MOSHI_STANDIN_SAMPLES,
          2500 * 24, HARNESS_PATIENCE));
  harness_wait_stat (self, "samples-received", 2400 * 24);
  harness_advance (self, MS (1000));
  assert_contiguous (self, MS (60));
  find_first_answer (self->out);
  harness_free (self);
}

static void
test_valve (void)
{
  MoshiStandinConfig config;
  MoshiStandinStats stats;
  GstElement *valve;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_SWEEP);
  self = harness_new (&config, "audiotestsrc is-live=true ! " CAPS
      " ! valve name=valve ! moshi name=m ! " CAPS " ! fakesink");
  harness_set_state (self, GST_STATE_PLAYING);
  g_assert_true (moshi_standin_wait (self->server, MOSHI_STANDIN_SAMPLES,
          4800, HARNESS_PATIENCE));
  valve = gst_bin_get_by_name (GST_BIN (self->pipeline), "valve");
  g_object_set (valve, "drop", TRUE, NULL);
  gst_object_unref (valve);
  moshi_standin_get_stats (self->server, &stats);
  g_assert_true (moshi_standin_wait (self->server, MOSHI_STANDIN_SAMPLES,
          stats.samples + 24000, HARNESS_PATIENCE));
  harness_free (self);
}

/* --- latency ------------------------------------------------------------- */

static void
assert_latency (Harness * self, GstClockTime expected)
{
  GstQuery *query = gst_query_new_latency ();
  GstPad *pad = gst_element_get_static_pad (self->moshi, "src");
  gboolean live;
  GstClockTime min, max;

  g_assert_true (gst_pad_query (pad, query));
  gst_query_parse_latency (query, &live, &min, &max);
  g_assert_true (live);
  g_assert_cmpuint (min, ==, expected);
  g_assert_cmpuint (max, ==, expected + MS (30000));
  gst_object_unref (pad);
  gst_query_unref (query);
}

static void
test_latency (void)
{
  MoshiStandinConfig config;
  GstElement *source;
  GstMessage *message;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_SILENCE);
  self = new_microphone (&config, "latency=90");
  source = harness_get_element (self, "in");
  g_object_set (source, "min-latency", (gint64) MS (35), NULL);
  start (self);
  assert_latency (self, MS (35 + 90));
  harness_pop_messages (self);
  g_ptr_array_set_size (self->messages, 0);

  g_object_set (self->moshi, "latency", 200, NULL);
  message = harness_wait_message (self, GST_MESSAGE_LATENCY, NULL,
      HARNESS_PATIENCE);
  g_assert_nonnull (message);
  g_assert_true (GST_MESSAGE_SRC (message) == GST_OBJECT (self->moshi));
  gst_message_unref (message);
  assert_latency (self, MS (35 + 200));

  /* The output keeps the promise: it lags by no more. */
  speak (self, 100);
  assert_contiguous (self, MS (235));
  gst_object_unref (source);
  harness_free (self);
}

/* In batch there is nothing to wait for. */
static void
test_batch_latency (void)
{
  MoshiStandinConfig config;
  GstQuery *query = gst_query_new_latency ();
  gboolean live;
  GstPad *pad;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_SILENCE);
  self = harness_new (&config, "audiotestsrc ! moshi name=m ! fakesink "
      "sync=true");
  harness_wait_state (self, GST_STATE_PAUSED);
  pad = gst_element_get_static_pad (self->moshi, "src");
  g_assert_true (gst_pad_query (pad, query));
  gst_query_parse_latency (query, &live, NULL, NULL);
  gst_object_unref (pad);
  g_assert_false (live);
  gst_query_unref (query);
  harness_free (self);
}

/* --- the end ------------------------------------------------------------- */

/* Until a message, time goes by. */
static void
advance_to_eos (Harness * self)
{
  gint64 end = g_get_monotonic_time () + HARNESS_PATIENCE * 1000;

  while (self->out->n_eos == 0) {
    g_assert_cmpint (g_get_monotonic_time (), <, end);
    /* An answer that comes when time has gone on is late. */
    if (harness_get_stat (self, "in-flight") < 2 * FRAME
        && gst_test_clock_peek_id_count (self->clock) > 0)
      gst_test_clock_advance_time (self->clock, MS (5));
    while (gst_test_clock_peek_id_count (self->clock) > 0) {
      GstClockID id = gst_test_clock_process_next_clock_id (self->clock);

      if (id == NULL)
        break;
      gst_clock_id_unref (id);
    }
    g_usleep (500);
  }
}

static void
test_eos (void)
{
  MoshiStandinConfig config;
  MoshiStandinStats stats;
  guint first;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_SWEEP);
  self = new_microphone (&config, "tail=400");
  start_and_wait (self);
  speak_in_step (self, 100);
  harness_push_eos (self);
  advance_to_eos (self);
  harness_wait_eos (self);

  g_assert_cmpuint (self->out->n_eos, ==, 1);
  harness_assert_contiguous (self->out, 24000, 2, 0);
  g_assert_true (moshi_standin_wait_idle (self->server, HARNESS_PATIENCE));
  moshi_standin_get_stats (self->server, &stats);
  g_assert_cmpuint (stats.close_code, ==, 1000);
  g_assert_cmpuint (stats.losses, ==, 0);
  g_assert_cmpuint (stats.samples, >=, 2400 * 24);
  /* All that answers the input and its tail is out. */
  first = find_first_answer (self->out);
  harness_assert_sweep (self->out,
      harness_track_buffer (self->out, first)->offset / 2, &config, 24000, 1);
  g_assert_cmpuint (self->out->data->len
      - harness_track_buffer (self->out, first)->offset, >=, (2400 - 160) * 48);
  harness_free (self);
}

/* Nobody there to answer: EOS comes all the same. */
static void
test_eos_without_server (void)
{
  static const gchar *const faults[] = { "no-handshake", NULL };
  MoshiStandinConfig config;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_SWEEP);
  config.faults = faults;
  self = new_microphone (&config, "");
  start (self);
  speak (self, 10);
  harness_push_eos (self);
  advance_to_eos (self);
  harness_wait_eos (self);
  harness_free (self);
}

/* --- pauses, flushes, restarts ------------------------------------------- */

static void
test_pause (void)
{
  MoshiStandinConfig config;
  GstClockTime before;
  guint i, n;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_SWEEP);
  self = new_microphone (&config, "");
  start_and_wait (self);
  for (i = 0; i < 4; i++) {
    speak (self, 50);
    harness_wait_state (self, GST_STATE_PAUSED);
    harness_lock (self);
    n = self->out->buffers->len;
    before = harness_track_buffer (self->out, n - 1)->pts;
    harness_unlock (self);
    gst_test_clock_advance_time (self->clock, MS (7000));
    harness_wait_state (self, GST_STATE_PLAYING);
    speak (self, 20);
    harness_lock (self);
    /* Running time stood still, and so did the output. */
    g_assert_cmpuint (harness_track_buffer (self->out, n)->pts, <=,
        before + MS (200));
    harness_unlock (self);
  }
  assert_contiguous (self, MS (60));
  g_assert_cmpuint (harness_get_stat (self, "sessions"), ==, 1);
  g_assert_cmpuint (harness_track_count_events (self->out,
          GST_EVENT_STREAM_START), ==, 1);
  harness_free (self);
}

static void
test_flush_output (void)
{
  MoshiStandinConfig config;
  Harness *self;
  guint i;

  init_config (&config, MOSHI_STANDIN_SWEEP);
  self = new_microphone (&config, "latency=500");
  start_and_wait (self);
  speak_in_step (self, 100);
  g_assert_cmpuint (harness_get_stat (self, "dropped"), ==, 0);
  g_signal_emit_by_name (self->moshi, "flush-output");
  g_assert_cmpuint (harness_get_stat (self, "dropped"), >, MS (200));
  g_assert_cmpuint (harness_get_stat (self, "dropped"), <, MS (900));
  i = self->out->buffers->len;
  speak_in_step (self, 100);
  assert_contiguous (self, MS (500));
  assert_gaps_silent (self->out);
  g_assert_true (is_gap (harness_track_buffer (self->out, i + 1)));
  g_assert_cmpuint (harness_get_stat (self, "sessions"), ==, 1);
  harness_free (self);
}

static guint
get_session_index (GstMessage * message)
{
  guint index = G_MAXUINT;

  g_assert_true (gst_structure_get_uint (gst_message_get_structure (message),
          "session-index", &index));
  return index;
}

static void
test_restart (void)
{
  MoshiStandinConfig config;
  MoshiStandinStats stats;
  guint i;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_SWEEP);
  self = new_microphone (&config, "");
  start_and_wait (self);
  for (i = 1; i <= 3; i++) {
    speak (self, 60);
    g_signal_emit_by_name (self->moshi, "restart");
    harness_wait_connection (self, "ready");
    g_assert_cmpuint (get_session_index (g_ptr_array_index (self->messages,
                self->messages->len - 1)), ==, i);
  }
  speak (self, 100);
  g_assert_true (moshi_standin_wait (self->server, MOSHI_STANDIN_SESSIONS_ENDED,
          3, HARNESS_PATIENCE));
  assert_contiguous (self, MS (60));
  moshi_standin_get_stats (self->server, &stats);
  g_assert_cmpuint (stats.handshakes, ==, 4);
  g_assert_cmpuint (stats.losses, ==, 0);
  g_assert_cmpuint (stats.close_code, ==, 1000);
  g_assert_cmpuint (stats.missing_bos, ==, 0);
  g_assert_cmpuint (stats.second_bos, ==, 0);
  g_assert_cmpuint (harness_get_stat (self, "sessions"), ==, 4);
  g_assert_cmpuint (harness_get_stat (self, "reconnects"), ==, 0);
  /* Where the clock outran the server something was dropped: a warning */
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_ERROR, NULL), ==,
      0);
  harness_free (self);
}

static void
add_tests (void)
{
  static const guint rates[] = { 8000, 12000, 16000, 24000, 48000 };
  guint i;

  g_test_add_func ("/live/five-minutes", test_five_minutes);
  g_test_add_func ("/live/answer", test_answer);
  for (i = 0; i < G_N_ELEMENTS (rates); i++) {
    g_autofree gchar *path = g_strdup_printf ("/live/rate/%u", rates[i]);

    g_test_add_data_func (path, GUINT_TO_POINTER (rates[i]), test_rates);
  }
  g_test_add_func ("/live/real-clock", test_real_clock);
  g_test_add_data_func ("/live/never-blocks/no-handshake", "no-handshake",
      test_never_blocks);
  g_test_add_data_func ("/live/never-blocks/never-read", "never-read",
      test_never_blocks);
  g_test_add_data_func ("/live/never-blocks/refused", "http-status=503",
      test_never_blocks);
  g_test_add_func ("/live/stall", test_stall);
  g_test_add_func ("/live/reconnect", test_reconnect);
  g_test_add_func ("/live/no-timer", test_no_timer);
  g_test_add_func ("/live/gaps", test_gaps);
  g_test_add_func ("/live/quiet-source", test_quiet_source);
  g_test_add_func ("/live/mute-source", test_mute_source);
  g_test_add_func ("/live/valve", test_valve);
  g_test_add_func ("/live/latency", test_latency);
  g_test_add_func ("/live/batch-latency", test_batch_latency);
  g_test_add_func ("/live/eos", test_eos);
  g_test_add_func ("/live/eos-without-server", test_eos_without_server);
  g_test_add_func ("/live/pause", test_pause);
  g_test_add_func ("/live/flush-output", test_flush_output);
  g_test_add_func ("/live/restart", test_restart);
}

int
main (int argc, char **argv)
{
  return harness_main (&argc, &argv, add_tests);
}
