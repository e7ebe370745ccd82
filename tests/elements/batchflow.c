/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Batch: time stamps, gaps, segments, flushes and the ends of a stream. The
 * input comes from an appsrc, buffer by buffer.
 */
#include "harness.h"

#include <string.h>

#define SILENCE 3840            /* model-delay at 24 kHz */
#define CAPS "audio/x-raw,format=S16LE,layout=interleaved,rate=24000,channels=1"

#define MS(n) ((n) * GST_MSECOND)

static void
init_config (MoshiStandinConfig * config)
{
  moshi_standin_config_init (config);
  config->voice = MOSHI_STANDIN_SWEEP;
  config->seed = 3;
}

static Harness *
new_source (const MoshiStandinConfig * config, const gchar * properties)
{
  return harness_new (config, "appsrc name=in format=time caps=" CAPS
      " ! moshi name=m %s ! " CAPS " ! fakesink name=out", properties);
}

/* A buffer of so many ms of the caps above */
static void
push_ms (Harness * self, GstClockTime pts, guint ms)
{
  harness_push (self, pts, ms * 48, 0);
}

/* The output is `ms` long, begins at `pts` and holds the sweep to its end. */
static void
assert_output (Harness * self, const MoshiStandinConfig * config,
    GstClockTime pts, guint64 ms)
{
  g_assert_cmpuint (self->out->n_eos, ==, 1);
  g_assert_cmpuint (self->out->data->len, ==, ms * 48);
  g_assert_cmpuint (harness_track_buffer (self->out, 0)->pts, ==, pts);
  g_assert_cmpuint (harness_assert_contiguous (self->out, 24000, 2, 0), ==,
      ms * 24);
  harness_assert_sweep (self->out, SILENCE, config, 24000, 1);
}

/* --- events -------------------------------------------------------------- */

static void
test_order (void)
{
  static const GstEventType order[] = { GST_EVENT_STREAM_START, GST_EVENT_CAPS,
    GST_EVENT_SEGMENT
  };
  MoshiStandinConfig config;
  Harness *self;
  guint i, last = 0;

  init_config (&config);
  self = new_source (&config, "");
  harness_set_state (self, GST_STATE_PLAYING);
  push_ms (self, 0, 1000);
  harness_push_eos (self);
  harness_wait_eos (self);

  for (i = 0; i < G_N_ELEMENTS (order); i++) {
    HarnessEvent *kept = &g_array_index (self->out->events, HarnessEvent, i);

    g_assert_cmpint (GST_EVENT_TYPE (kept->event), ==, order[i]);
    g_assert_cmpuint (kept->at, ==, 0);
    g_assert_cmpuint (harness_track_count_events (self->out, order[i]), ==, 1);
  }
  g_assert_nonnull (harness_track_find_event (self->out, GST_EVENT_EOS, &last));
  g_assert_cmpuint (last, ==, self->out->buffers->len);
  g_assert_true (harness_track_buffer (self->out, 0)->flags
      & GST_BUFFER_FLAG_DISCONT);
  harness_free (self);
}

static void
test_empty (void)
{
  MoshiStandinConfig config;
  Harness *self;

  init_config (&config);
  self = new_source (&config, "tail=500");
  harness_set_state (self, GST_STATE_PLAYING);
  harness_push_eos (self);
  harness_wait_eos (self);
  g_assert_cmpuint (self->out->n_eos, ==, 1);
  g_assert_cmpuint (self->out->buffers->len, ==, 0);
  g_assert_cmpint (GST_EVENT_TYPE (g_array_index (self->out->events,
              HarnessEvent, 0).event), ==, GST_EVENT_STREAM_START);
  harness_free (self);
}

/* --- time ---------------------------------------------------------------- */

static void
test_first_pts (void)
{
  MoshiStandinConfig config;
  Harness *self;

  init_config (&config);
  self = new_source (&config, "tail=100");
  harness_set_state (self, GST_STATE_PLAYING);
  push_ms (self, MS (5678), 500);
  push_ms (self, MS (6178), 500);
  harness_push_eos (self);
  harness_wait_eos (self);
  assert_output (self, &config, MS (5678), 1100);
  harness_free (self);
}

/* A time stamp that falls between two samples stays as it is. */
static void
test_odd_pts (void)
{
  MoshiStandinConfig config;
  Harness *self;

  init_config (&config);
  self = new_source (&config, "");
  harness_set_state (self, GST_STATE_PLAYING);
  push_ms (self, 1234567891, 500);
  push_ms (self, 1234567891 + MS (500), 500);
  harness_push_eos (self);
  harness_wait_eos (self);
  assert_output (self, &config, 1234567891, 1000);
  harness_free (self);
}

static void
test_no_timestamps (void)
{
  MoshiStandinConfig config;
  Harness *self;

  init_config (&config);
  self = new_source (&config, "");
  harness_set_state (self, GST_STATE_PLAYING);
  push_ms (self, GST_CLOCK_TIME_NONE, 500);
  push_ms (self, GST_CLOCK_TIME_NONE, 500);
  harness_push_eos (self);
  harness_wait_eos (self);
  assert_output (self, &config, 0, 1000);
  harness_free (self);
}

/* Output has the input's segment: an offset of running time stays. */
static void
test_segment (void)
{
  MoshiStandinConfig config;
  GstSegment segment;
  const GstSegment *out;
  GstElement *source;
  GstSample *sample;
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, 48000, NULL);
  GstFlowReturn ret;
  Harness *self;

  init_config (&config);
  self = new_source (&config, "");
  source = harness_get_element (self, "in");
  g_object_set (source, "handle-segment-change", TRUE, NULL);
  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.start = segment.time = MS (10000);
  segment.base = MS (2000);
  segment.stop = MS (60000);
  buffer = gst_buffer_make_writable (buffer);
  GST_BUFFER_PTS (buffer) = MS (11000);
  sample = gst_sample_new (buffer, NULL, &segment, NULL);
  harness_set_state (self, GST_STATE_PLAYING);
  g_signal_emit_by_name (source, "push-sample", sample, &ret);
  g_assert_cmpint (ret, ==, GST_FLOW_OK);
  harness_push_eos (self);
  harness_wait_eos (self);

  assert_output (self, &config, MS (11000), 1000);
  gst_event_parse_segment (harness_track_find_event (self->out,
          GST_EVENT_SEGMENT, NULL), &out);
  g_assert_cmpuint (gst_segment_to_running_time (out, GST_FORMAT_TIME,
          MS (11000)), ==, MS (3000));
  g_assert_cmpuint (gst_segment_to_stream_time (out, GST_FORMAT_TIME,
          MS (11000)), ==, MS (11000));
  gst_sample_unref (sample);
  gst_buffer_unref (buffer);
  gst_object_unref (source);
  harness_free (self);
}

/* --- holes and overlaps -------------------------------------------------- */

typedef struct
{
  const gchar *name;
  GstClockTime pts[4];          /* ms, of buffers of 300 ms; 0 ends */
  GstBufferFlags flags;         /* of those but the first */
  guint length;                 /* ms */
  guint filled;                 /* ms of silence sent for holes */
  guint cut;                    /* ms */
} Stamps;

static const Stamps stamps[] = {
  {"none", {1000, 1300, 1600}, 0, 900, 0, 0},
  {"hole", {1000, 1300, 2600}, 0, 1900, 1000, 0},
  {"hole-beyond-the-window", {1000, 9000}, 0, 8300, 7700, 0},
  {"hole-discont", {1000, 1310, 1610}, GST_BUFFER_FLAG_DISCONT, 910, 10, 0},
  {"jitter", {1000, 1310, 1595}, 0, 900, 0, 0},
  {"discont-without-hole", {1000, 1300, 1600}, GST_BUFFER_FLAG_DISCONT, 900, 0,
      0},
  {"overlap", {1000, 1200, 1500}, 0, 800, 0, 100},
  {"inside", {1000, 1000, 1300}, 0, 600, 0, 300},
  {"back-and-on", {1000, 1100, 1300, 1600}, 0, 900, 0, 300},
};

static void
test_stamps (gconstpointer data)
{
  const Stamps *row = data;
  MoshiStandinConfig config;
  guint i;
  Harness *self;

  init_config (&config);
  self = new_source (&config, "");
  harness_set_state (self, GST_STATE_PLAYING);
  for (i = 0; i < G_N_ELEMENTS (row->pts) && row->pts[i]; i++)
    harness_push (self, MS (row->pts[i]), 300 * 48, i > 0 ? row->flags : 0);
  harness_push_eos (self);
  harness_wait_eos (self);
  assert_output (self, &config, MS (1000), row->length);
  g_assert_cmpuint (harness_get_stat (self, "input-filled"), ==,
      MS (row->filled));
  g_assert_cmpuint (harness_get_stat (self, "input-trimmed"), ==,
      MS (row->cut));
  harness_free (self);
}

/* A source cannot stamp better than it counts: rounding adds up to nothing. */
static void
test_rounded_stamps (void)
{
  MoshiStandinConfig config;
  guint i;
  Harness *self;

  init_config (&config);
  self = new_source (&config, "");
  harness_set_state (self, GST_STATE_PLAYING);
  for (i = 0; i < 500; i++)
    harness_push (self, gst_util_uint64_scale (i * 100, 1000, 24000)
        * GST_MSECOND, 200, i % 7 == 0 ? GST_BUFFER_FLAG_DISCONT : 0);
  harness_push_eos (self);
  harness_wait_eos (self);
  g_assert_cmpuint (self->out->data->len, ==, 500 * 200);
  harness_assert_sweep (self->out, SILENCE, &config, 24000, 1);
  harness_free (self);
}

static void
test_gap_events (void)
{
  MoshiStandinConfig config;
  Harness *self;

  init_config (&config);
  self = new_source (&config, "");
  harness_set_state (self, GST_STATE_PLAYING);
  push_ms (self, MS (1000), 300);
  harness_push_event (self, gst_event_new_gap (MS (1300), MS (500)));
  harness_push_event (self, gst_event_new_gap (MS (1800), MS (100)));
  push_ms (self, MS (1900), 300);
  harness_push_event (self, gst_event_new_gap (MS (2200), MS (800)));
  harness_push_eos (self);
  harness_wait_eos (self);
  assert_output (self, &config, MS (1000), 2000);
  g_assert_cmpuint (harness_get_stat (self, "input-filled"), ==, MS (1400));
  harness_free (self);
}

/* Nothing but a gap is an input too. */
static void
test_gap_first (void)
{
  MoshiStandinConfig config;
  Harness *self;

  init_config (&config);
  self = new_source (&config, "");
  harness_set_state (self, GST_STATE_PLAYING);
  harness_push_event (self, gst_event_new_gap (MS (700), MS (900)));
  push_ms (self, MS (1600), 100);
  harness_push_eos (self);
  harness_wait_eos (self);
  assert_output (self, &config, MS (700), 1000);
  harness_free (self);
}

static void
test_gap_alone (void)
{
  g_autoptr (GstCaps) caps = gst_caps_from_string (CAPS);
  MoshiStandinConfig config;
  Harness *self;

  init_config (&config);
  self = new_source (&config, "");
  harness_set_state (self, GST_STATE_PLAYING);
  harness_push_event (self, gst_event_new_caps (caps));
  harness_push_event (self, gst_event_new_gap (0, MS (1000)));
  harness_push_eos (self);
  harness_wait_eos (self);
  assert_output (self, &config, 0, 1000);
  harness_free (self);
}

/* --- caps in mid-stream -------------------------------------------------- */

static void
push_sample (Harness * self, const gchar * caps_text, guint size)
{
  GstElement *source = harness_get_element (self, "in");
  GstCaps *caps = gst_caps_from_string (caps_text);
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, size, NULL);
  GstSample *sample;
  GstFlowReturn ret;

  gst_buffer_memset (buffer, 0, 0, size);
  sample = gst_sample_new (buffer, caps, NULL, NULL);
  g_signal_emit_by_name (source, "push-sample", sample, &ret);
  g_assert_cmpint (ret, ==, GST_FLOW_OK);
  gst_sample_unref (sample);
  gst_buffer_unref (buffer);
  gst_caps_unref (caps);
  gst_object_unref (source);
}

/* 1,000 frames at each of three rates: 125 + 20.83 + 41.67 ms, again and again;
 * none of it is a whole packet. */
static void
test_caps_change (void)
{
  MoshiStandinConfig config;
  guint64 frames = 0;
  guint i;
  Harness *self;

  init_config (&config);
  self = harness_new (&config, "appsrc name=in format=time "
      "! moshi name=m ! " CAPS " ! fakesink");
  harness_set_state (self, GST_STATE_PLAYING);
  for (i = 0; i < 10; i++) {
    push_sample (self, "audio/x-raw,format=S16LE,layout=interleaved,"
        "rate=8000,channels=1", 2000);
    push_sample (self, "audio/x-raw,format=F32LE,layout=interleaved,"
        "rate=48000,channels=2,channel-mask=(bitmask)3", 8000);
    push_sample (self, CAPS, 2000);
    frames += 3000 + 500 + 1000;
  }
  harness_push_eos (self);
  harness_wait_eos (self);
  g_assert_cmpuint (self->out->data->len, ==, frames * 2);
  g_assert_cmpuint (harness_assert_contiguous (self->out, 24000, 2, 0), ==,
      frames);
  harness_assert_sweep (self->out, SILENCE, &config, 24000, 1);
  harness_free (self);
}

/* --- flushes ------------------------------------------------------------- */

/* A seek in a file while the answer plays: the output begins anew at the new
 * place, with its own silence, and is exact to its end. What answers the old
 * place is not heard. */
static void
test_seek (gconstpointer data)
{
  const GstClockTime place = MS (GPOINTER_TO_UINT (data));
  MoshiStandinConfig config;
  GstEvent *event;
  const GstSegment *segment;
  guint64 frames;
  gsize n;
  gint64 found;
  gdouble score;
  Harness *self;

  init_config (&config);
  self = harness_new (&config, "audiotestsrc name=in samplesperbuffer=480 "
      "num-buffers=1000000 ! " CAPS " ! moshi name=m tail=200 ! " CAPS
      " ! fakesink name=out");
  self->out->keep = FALSE;
  harness_set_state (self, GST_STATE_PLAYING);
  harness_wait_bytes (self, self->out, 48000);

  /* Between FLUSH_START and FLUSH_STOP nothing flows: keep from then on. */
  harness_lock (self);
  self->out->keep = TRUE;
  harness_unlock (self);
  g_assert_true (gst_element_seek (self->pipeline, 1.0, GST_FORMAT_TIME,
          GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_ACCURATE, GST_SEEK_TYPE_SET,
          place, GST_SEEK_TYPE_SET, place + MS (3000)));
  harness_wait_eos (self);

  event = harness_track_find_event (self->out, GST_EVENT_FLUSH_STOP, NULL);
  g_assert_nonnull (event);
  for (n = 0; harness_track_buffer (self->out, n)->pts != place
      || !(harness_track_buffer (self->out, n)->flags
          & GST_BUFFER_FLAG_DISCONT); n++);
  frames = harness_assert_contiguous (self->out, 24000, 2, n + 1)
      + harness_track_buffer (self->out, n)->size / 2;
  g_assert_cmpuint (frames, ==, 24 * 3200);
  event = g_array_index (self->out->events, HarnessEvent,
      self->out->events->len - 2).event;
  g_assert_cmpint (GST_EVENT_TYPE (event), ==, GST_EVENT_SEGMENT);
  gst_event_parse_segment (event, &segment);
  g_assert_cmpuint (segment->start, ==, place);

  /* The conversation went on: the sweep is further than the new input alone
   * would have brought it, and runs on to the end without a break. */
  n = harness_track_buffer (self->out, n)->offset / 2;
  for (frames = SILENCE + 480; frames + 1920 < 24 * 3200; frames += 1920) {
    gint64 at = moshi_standin_sweep_locate ((const gint16 *)
        self->out->data->data + n + frames, 1920, 24000, 1, config.seed, 0,
        47999, &score);

    g_assert_cmpfloat (score, >, 0.8);
    /* Round the sweep's period of 48,000 */
    if (frames > SILENCE + 480)
      g_assert_cmpint (ABS ((at - found - 1920 + 72000) % 48000 - 24000), <,
          60);
    found = at;
  }
  g_assert_cmpuint (harness_get_stat (self, "sessions"), ==, 1);
  harness_free (self);
}

static void
seek (Harness * self, GstClockTime from, GstClockTime to)
{
  g_assert_true (gst_element_seek (self->pipeline, 1.0, GST_FORMAT_TIME,
          GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_ACCURATE, GST_SEEK_TYPE_SET,
          from, GST_SEEK_TYPE_SET, to));
}

static Harness *
play_to_first_eos (void)
{
  MoshiStandinConfig config;
  Harness *self;

  init_config (&config);
  self = harness_new (&config, "audiotestsrc name=in samplesperbuffer=480 "
      "num-buffers=1000000 ! " CAPS " ! moshi name=m ! " CAPS " ! fakesink");
  harness_wait_state (self, GST_STATE_PAUSED);
  seek (self, 0, MS (500));
  harness_set_state (self, GST_STATE_PLAYING);
  harness_wait_eos (self);
  return self;
}

/* EOS closes the session, and a seek after it begins another, which is counted
 * on from the first. */
static void
test_seek_after_eos (void)
{
  Harness *self = play_to_first_eos ();
  guint ready = 0, index, i;

  harness_track_clear (self->out);
  seek (self, MS (100), MS (400));
  harness_wait_eos (self);
  g_assert_cmpuint (harness_assert_contiguous (self->out, 24000, 2, 0), ==,
      24 * 300);

  for (i = 0; i < self->messages->len; i++) {
    const GstStructure *structure =
        gst_message_get_structure (self->messages->pdata[i]);

    if (!gst_message_has_name (self->messages->pdata[i], "moshi-session")
        || g_strcmp0 (gst_structure_get_string (structure, "state"), "ready"))
      continue;
    g_assert_true (gst_structure_get_uint (structure, "session-index", &index));
    g_assert_cmpuint (index, ==, ready++);
  }
  g_assert_cmpuint (ready, ==, 2);
  g_assert_cmpuint (harness_get_stat (self, "sessions"), ==, 2);
  harness_free (self);
}

/* Where there cannot be another, upstream does not wait for it. */
static void
test_seek_refused (void)
{
  Harness *self = play_to_first_eos ();
  g_autoptr (GstElement) source = harness_get_element (self, "in");
  g_autoptr (GstPad) pad = gst_element_get_static_pad (source, "src");
  gint64 end = g_get_monotonic_time () + HARNESS_PATIENCE * 1000;

  g_object_set (self->moshi, "uri", "ftp://127.0.0.1", NULL);
  seek (self, 0, MS (500));
  gst_message_unref (harness_wait_error (self, GST_RESOURCE_ERROR,
          GST_RESOURCE_ERROR_SETTINGS));
  while (gst_pad_get_task_state (pad) != GST_TASK_PAUSED) {
    g_assert_cmpint (g_get_monotonic_time (), <, end);
    g_usleep (500);
  }
  harness_free (self);
}

/* After EOS everything can begin again on the same element. */
static void
test_twice (void)
{
  MoshiStandinConfig config;
  guint i;
  Harness *self;

  init_config (&config);
  self = harness_new (&config, "audiotestsrc samplesperbuffer=480 "
      "num-buffers=50 ! " CAPS " ! moshi name=m ! " CAPS " ! fakesink");
  for (i = 0; i < 3; i++) {
    harness_play_to_eos (self);
    assert_output (self, &config, 0, 1000);
    harness_wait_state (self, i == 1 ? GST_STATE_NULL : GST_STATE_READY);
    harness_track_clear (self->out);
  }
  harness_free (self);
}

/* PAUSED keeps the conversation, and the output its exactness. */
static void
test_pause (void)
{
  MoshiStandinConfig config;
  guint i;
  Harness *self;

  init_config (&config);
  self = harness_new (&config, "audiotestsrc samplesperbuffer=480 "
      "num-buffers=100 ! " CAPS " ! moshi name=m ! " CAPS
      " ! fakesink sync=true");
  harness_wait_state (self, GST_STATE_PAUSED);
  for (i = 0; i < 3; i++) {
    harness_wait_state (self, GST_STATE_PLAYING);
    harness_wait_bytes (self, self->out, 9600 * (i + 1));
    harness_wait_state (self, GST_STATE_PAUSED);
  }
  harness_play_to_eos (self);
  assert_output (self, &config, 0, 2000);
  g_assert_cmpuint (harness_get_stat (self, "sessions"), ==, 1);
  harness_free (self);
}

/* --- from below and within ----------------------------------------------- */

/* Whoever does not want more ends the source, without an error. */
static void
test_downstream_eos (void)
{
  MoshiStandinConfig config;
  Harness *self;

  init_config (&config);
  self = harness_new (&config, "audiotestsrc ! " CAPS " ! moshi name=m ! "
      CAPS " ! identity eos-after=5 ! fakesink");
  harness_play_to_eos (self);
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_ERROR, NULL),
      ==, 0);
  harness_free (self);
}

/* What was said and is not yet out becomes silence: the length stays. */
static void
test_flush_output (void)
{
  MoshiStandinConfig config;
  Harness *self;
  guint i;

  init_config (&config);
  self = harness_new (&config, "audiotestsrc samplesperbuffer=480 "
      "num-buffers=100 ! " CAPS " ! moshi name=m ! " CAPS
      " ! fakesink sync=true");
  harness_set_state (self, GST_STATE_PLAYING);
  for (i = 1; i < 4; i++) {
    harness_wait_bytes (self, self->out, i * 19200);
    g_signal_emit_by_name (self->moshi, "flush-output");
  }
  harness_wait_eos (self);
  g_assert_cmpuint (harness_assert_contiguous (self->out, 24000, 2, 0), ==,
      48000);
  g_assert_cmpuint (harness_get_stat (self, "dropped"), >, 0);
  harness_free (self);
}

/* A server that falls silent for good: what is not answered is silence, after
 * the drain time-out at the latest, and the length holds. */
static void
test_drain_timeout (void)
{
  static const gchar *const faults[] = { "freeze-after=10", NULL };
  MoshiStandinConfig config;
  MoshiStandinStats stats;
  guint answered;
  Harness *self;

  init_config (&config);
  config.faults = faults;
  self = new_source (&config, "drain-timeout=4000 tail=500");
  harness_set_state (self, GST_STATE_PLAYING);
  push_ms (self, 0, 2000);
  harness_push_eos (self);
  harness_wait_eos (self);
  g_assert_cmpuint (harness_assert_contiguous (self->out, 24000, 2, 0), ==,
      2500 * 24);
  moshi_standin_get_stats (self->server, &stats);
  answered = stats.frames_sent * 80;
  g_assert_cmpuint (answered, >, 400);
  g_assert_cmpuint (harness_get_stat (self, "filled"), ==,
      MS (2500 - 160 - answered));
  harness_free (self);
}

/* A batch is exact or an error: where no other session is wanted, an answer that
 * is lost cannot be made up. */
static void
test_lost_session (void)
{
  static const gchar *const faults[] = { "drop-after=20", NULL };
  MoshiStandinConfig config;
  Harness *self;

  init_config (&config);
  config.faults = faults;
  self = harness_new (&config, "audiotestsrc samplesperbuffer=480 "
      "num-buffers=500 ! " CAPS " ! moshi name=m retries=0 ! " CAPS
      " ! fakesink");
  harness_set_state (self, GST_STATE_PLAYING);
  gst_message_unref (harness_wait_error (self, GST_RESOURCE_ERROR,
          GST_RESOURCE_ERROR_READ));
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_ERROR, NULL),
      ==, 1);
  g_assert_cmpuint (self->out->data->len, <=, (160 + 1600) * 48);
  harness_free (self);
}

static void
add_tests (void)
{
  guint i;

  g_test_add_func ("/batch/order", test_order);
  g_test_add_func ("/batch/empty", test_empty);
  g_test_add_func ("/batch/first-pts", test_first_pts);
  g_test_add_func ("/batch/odd-pts", test_odd_pts);
  g_test_add_func ("/batch/no-timestamps", test_no_timestamps);
  g_test_add_func ("/batch/segment", test_segment);
  for (i = 0; i < G_N_ELEMENTS (stamps); i++) {
    g_autofree gchar *path = g_strconcat ("/batch/stamps/", stamps[i].name,
        NULL);

    g_test_add_data_func (path, &stamps[i], test_stamps);
  }
  g_test_add_func ("/batch/rounded-stamps", test_rounded_stamps);
  g_test_add_func ("/batch/gap/events", test_gap_events);
  g_test_add_func ("/batch/gap/first", test_gap_first);
  g_test_add_func ("/batch/gap/alone", test_gap_alone);
  g_test_add_func ("/batch/caps-change", test_caps_change);
  g_test_add_data_func ("/batch/seek/forward", GUINT_TO_POINTER (500000),
      test_seek);
  g_test_add_data_func ("/batch/seek/backward", GUINT_TO_POINTER (100),
      test_seek);
  g_test_add_data_func ("/batch/seek/start", GUINT_TO_POINTER (0), test_seek);
  g_test_add_func ("/batch/seek/after-eos", test_seek_after_eos);
  g_test_add_func ("/batch/seek/refused", test_seek_refused);
  g_test_add_func ("/batch/twice", test_twice);
  g_test_add_func ("/batch/pause", test_pause);
  g_test_add_func ("/batch/downstream-eos", test_downstream_eos);
  g_test_add_func ("/batch/flush-output", test_flush_output);
  g_test_add_func ("/batch/drain-timeout", test_drain_timeout);
  g_test_add_func ("/batch/lost-session", test_lost_session);
}

int
main (int argc, char **argv)
{
  return harness_main (&argc, &argv, add_tests);
}
