/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The input's timeline in batch: what the server hears, and where, however the
 * input is cut, stamped and segmented. The input is the sweep, whose every
 * sample tells its place, so the server's ears can be asked what stands where.
 */
#include "harness.h"
#include "sweeping.h"

#include <glib/gstdio.h>
#include <string.h>

#define RATE 24000
#define CAPS "audio/x-raw,format=S16LE,layout=interleaved,rate=24000,channels=1"
#define STEREO "audio/x-raw,format=S16LE,layout=interleaved,rate=48000," \
    "channels=2,channel-mask=(bitmask)3"
#define NARROW "audio/x-raw,format=F32LE,layout=interleaved,rate=16000," \
    "channels=1"

#define MS(n) ((n) * GST_MSECOND)
#define MS_FRAMES(n) SWEEPING_FRAMES (n)

/* --- speaking ------------------------------------------------------------- */

static Harness *
new_source (const gchar * properties)
{
  MoshiStandinConfig config;

  moshi_standin_config_init (&config);
  config.voice = MOSHI_STANDIN_SWEEP;
  config.seed = 3;
  config.keep_pcm = 60 * RATE;
  return harness_new (&config, "appsrc name=in format=time max-bytes=0 "
      "handle-segment-change=true ! moshi name=m bitrate=128000 %s ! " CAPS
      " ! fakesink", properties);
}

typedef struct
{
  const gchar *caps;            /* NULL: 24 kHz mono */
  const GstSegment *segment;    /* NULL: as before */
  GstClockTime pts;
  GstBufferFlags flags;
  guint64 place;                /* in the sweep, in frames of 24 kHz */
  guint64 frames;               /* of 24 kHz */
} Speech;

static void
say (Harness * self, const Speech * speech)
{
  g_autoptr (GstCaps) caps = gst_caps_from_string (speech->caps ? speech->caps
      : CAPS);
  g_autoptr (GstBuffer) buffer = sweeping_new_buffer (caps, speech->place * 2,
      speech->frames * 2);
  g_autoptr (GstSample) sample = NULL;
  GstElement *source = harness_get_element (self, "in");
  GstFlowReturn ret;

  GST_BUFFER_PTS (buffer) = speech->pts;
  GST_BUFFER_FLAG_SET (buffer, speech->flags);
  sample = gst_sample_new (buffer, caps, speech->segment, NULL);
  g_signal_emit_by_name (source, "push-sample", sample, &ret);
  g_assert_cmpint (ret, ==, GST_FLOW_OK);
  gst_object_unref (source);
}

static void
say_ms (Harness * self, guint pts, guint place, guint ms)
{
  Speech speech = { NULL, NULL, MS (pts), 0, MS_FRAMES (place), MS_FRAMES (ms)
  };

  say (self, &speech);
}

static void
say_in_segment (Harness * self, const GstSegment * segment, guint pts,
    guint place, guint ms)
{
  Speech speech = { NULL, segment, MS (pts), 0, MS_FRAMES (place),
    MS_FRAMES (ms)
  };

  say (self, &speech);
}

/* Without a source: the test is upstream, its thread the streaming one. */
static void
send (Harness * self, GstEvent * event)
{
  GstPad *pad = gst_element_get_static_pad (self->moshi, "sink");

  g_assert_true (gst_pad_send_event (pad, event));
  gst_object_unref (pad);
}

static Harness *
new_wire (const GstSegment * segment)
{
  MoshiStandinConfig config;
  g_autoptr (GstCaps) caps = gst_caps_from_string (CAPS);
  Harness *self;

  moshi_standin_config_init (&config);
  config.voice = MOSHI_STANDIN_SWEEP;
  config.seed = 3;
  config.keep_pcm = 60 * RATE;
  self = harness_new (&config, "moshi name=m bitrate=128000 ! " CAPS
      " ! fakesink");
  harness_set_state (self, GST_STATE_PLAYING);
  send (self, gst_event_new_stream_start ("one"));
  send (self, gst_event_new_caps (caps));
  send (self, gst_event_new_segment (segment));
  return self;
}

static void
chain_for (Harness * self, guint pts, guint place, guint ms, guint duration)
{
  g_autoptr (GstCaps) caps = gst_caps_from_string (CAPS);
  GstPad *pad = gst_element_get_static_pad (self->moshi, "sink");
  GstBuffer *buffer = sweeping_new_buffer (caps, place * 48, ms * 48);

  GST_BUFFER_PTS (buffer) = MS (pts);
  if (duration)
    GST_BUFFER_DURATION (buffer) = MS (duration);
  g_assert_cmpint (gst_pad_chain (pad, buffer), ==, GST_FLOW_OK);
  gst_object_unref (pad);
}

static void
chain_ms (Harness * self, guint pts, guint place, guint ms)
{
  chain_for (self, pts, place, ms, 0);
}

static void
finish (Harness * self)
{
  harness_push_eos (self);
  harness_wait_eos (self);
}

/* --- hearing --------------------------------------------------------------- */

static GstClockTime
get_running_time (HarnessTrack * track, guint i)
{
  const HarnessBuffer *buffer = harness_track_buffer (track, i);
  const GstSegment *segment = NULL;
  guint k;

  for (k = 0; k < track->events->len; k++) {
    HarnessEvent *kept = &g_array_index (track->events, HarnessEvent, k);

    if (GST_EVENT_TYPE (kept->event) == GST_EVENT_SEGMENT && kept->at <= i)
      gst_event_parse_segment (kept->event, &segment);
  }
  g_assert_nonnull (segment);
  return gst_segment_to_running_time (segment, GST_FORMAT_TIME, buffer->pts);
}

/* Over all segments, the running time goes on without a step, at the pace of
 * their rates; in the end it is so long, in frames. */
static void
assert_output (Harness * self, guint64 frames)
{
  GstClockTime expected = get_running_time (self->out, 0);
  guint i;

  for (i = 0; i < self->out->buffers->len; i++) {
    const HarnessBuffer *buffer = harness_track_buffer (self->out, i);
    GstClockTime now = get_running_time (self->out, i);

    g_assert_cmpint (ABS (GST_CLOCK_DIFF (expected, now)), <, 50);
    expected = now + buffer->duration;
  }
  g_assert_cmpuint (self->out->data->len, ==, frames * 2);
  g_assert_cmpuint (self->out->n_eos, ==, 1);
}

/* --- sizes and stamps ------------------------------------------------------ */

/* From one sample to ten seconds, in any order */
static void
test_sizes (void)
{
  static const guint most[] = { 1, 2, 20, 500, 2000, 50000 };
  Harness *self = new_source ("");
  Speech speech = { NULL, };
  SweepingHeard heard;
  guint i;

  harness_set_state (self, GST_STATE_PLAYING);
  for (i = 0; i < 80; i++) {
    speech.frames = i == 40 ? 240000 : g_test_rand_int_range (1,
        most[i % G_N_ELEMENTS (most)] + 1);
    speech.pts = gst_util_uint64_scale (speech.place, GST_SECOND, RATE);
    say (self, &speech);
    speech.place += speech.frames;
  }
  finish (self);
  assert_output (self, speech.place);
  sweeping_listen (self, &heard);
  sweeping_assert_heard (&heard, 0, 0, MIN (speech.place / 24, 50000));
  sweeping_clear (&heard);
  harness_free (self);
}

/* Stamps that stray by less than a network's worth are those of a steady
 * source. */
static void
test_jitter (void)
{
  Harness *self = new_source ("");
  SweepingHeard heard;
  guint i;

  harness_set_state (self, GST_STATE_PLAYING);
  for (i = 0; i < 200; i++)
    say_ms (self, 100 + i * 20 + (i ? g_test_rand_int_range (-39, 40) : 0),
        i * 20, 20);
  finish (self);
  assert_output (self, MS_FRAMES (4000));
  sweeping_listen (self, &heard);
  sweeping_assert_heard (&heard, 0, 0, 4000);
  g_assert_cmpuint (harness_get_stat (self, "input-filled"), ==, 0);
  g_assert_cmpuint (harness_get_stat (self, "input-trimmed"), ==, 0);
  sweeping_clear (&heard);
  harness_free (self);
}

/* What is given twice is heard once: each buffer repeats half of the last. */
static void
test_overlap (void)
{
  Harness *self = new_source ("");
  SweepingHeard heard;
  guint i;

  harness_set_state (self, GST_STATE_PLAYING);
  for (i = 0; i < 20; i++)
    say_ms (self, i * 100, i * 100, 200);
  finish (self);
  assert_output (self, MS_FRAMES (2100));
  sweeping_listen (self, &heard);
  sweeping_assert_heard (&heard, 0, 0, 2100);
  sweeping_clear (&heard);
  harness_free (self);
}

/* A hole is silence of its length, with and without DISCONT. */
static void
test_hole (gconstpointer data)
{
  Harness *self = new_source ("");
  Speech second = { NULL, NULL, MS (1500), GPOINTER_TO_UINT (data),
    MS_FRAMES (1500), MS_FRAMES (1000)
  };
  SweepingHeard heard;

  harness_set_state (self, GST_STATE_PLAYING);
  say_ms (self, 0, 0, 1000);
  say (self, &second);
  finish (self);
  assert_output (self, MS_FRAMES (2500));
  sweeping_listen (self, &heard);
  sweeping_assert_heard (&heard, 0, 0, 1000);
  sweeping_assert_silence (&heard, 1000, 500);
  sweeping_assert_heard (&heard, 1500, 1500, 1000);
  sweeping_clear (&heard);
  harness_free (self);
}

/* --- GAP events ------------------------------------------------------------ */

typedef struct
{
  const gchar *name;
  guint start;                  /* ms, of the segment; it is 3 s long */
  guint gap;
  guint gap_length;             /* 0: unknown */
  guint speech;                 /* 1 s of it, after the gap */
  guint begin;                  /* of the output */
  guint length;
} Gap;

static const Gap gaps[] = {
  {"first", 0, 200, 800, 1000, 200, 1800},
  {"before-the-segment", 500, 0, 1000, 1000, 500, 1500},
  {"outside", 500, 0, 400, 1000, 1000, 1000},
  {"unknown-length", 0, 200, 0, 1000, 200, 1800},
};

/* Before all: the output begins with it, but for what of it is not in the
 * segment. */
static void
test_gap_first (gconstpointer data)
{
  const Gap *gap = data;
  GstSegment segment;
  SweepingHeard heard;
  Harness *self;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.start = segment.time = MS (gap->start);
  segment.stop = MS (gap->start + 3000);
  self = new_wire (&segment);
  send (self, gst_event_new_gap (MS (gap->gap),
          gap->gap_length ? MS (gap->gap_length) : GST_CLOCK_TIME_NONE));
  chain_ms (self, gap->speech, 0, 1000);
  send (self, gst_event_new_eos ());
  harness_wait_eos (self);

  assert_output (self, MS_FRAMES (gap->length));
  g_assert_cmpuint (harness_track_buffer (self->out, 0)->pts, ==,
      MS (gap->begin));
  sweeping_listen (self, &heard);
  sweeping_assert_heard (&heard, gap->length - 1000, 0, 1000);
  sweeping_clear (&heard);
  harness_free (self);
}

/* One that reaches beyond the segment ends with it. */
static void
test_gap_last (void)
{
  Harness *self = new_source ("");
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.stop = MS (2000);
  harness_set_state (self, GST_STATE_PLAYING);
  say_in_segment (self, &segment, 0, 0, 1000);
  harness_push_event (self, gst_event_new_gap (MS (1000), MS (5000)));
  finish (self);
  assert_output (self, MS_FRAMES (2000));
  g_assert_cmpuint (harness_get_stat (self, "input-filled"), ==, MS (1000));
  harness_free (self);
}

/* --- segments --------------------------------------------------------------- */

/* Samples are taken as they are and the rate is handed on, as encoders do; a
 * hole is as long as what is missing. */
static void
test_rate (gconstpointer data)
{
  const gdouble rate = GPOINTER_TO_UINT (data) / 10.0;
  Harness *self = new_source ("");
  const GstSegment *out;
  GstSegment segment;
  SweepingHeard heard;
  guint i;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.rate = rate;
  segment.start = segment.time = MS (5000);
  segment.base = MS (700);
  harness_set_state (self, GST_STATE_PLAYING);
  for (i = 0; i < 10; i++)
    say_in_segment (self, &segment, 5000 + i * 100, i * 100, 100);
  say_in_segment (self, &segment, 6500, 1500, 1000);
  finish (self);

  g_assert_cmpuint (self->out->data->len, ==, MS_FRAMES (2500) * 2);
  harness_assert_contiguous (self->out, RATE, 2, 0);
  gst_event_parse_segment (harness_track_find_event (self->out,
          GST_EVENT_SEGMENT, NULL), &out);
  g_assert_cmpfloat (out->rate, ==, rate);
  g_assert_cmpuint (get_running_time (self->out, 0), ==, MS (700));
  sweeping_listen (self, &heard);
  sweeping_assert_heard (&heard, 0, 0, 1000);
  sweeping_assert_silence (&heard, 1000, 500);
  sweeping_assert_heard (&heard, 1500, 1500, 1000);
  sweeping_clear (&heard);
  harness_free (self);
}

static void
test_backwards (void)
{
  Harness *self = new_source ("");
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.rate = -1;
  segment.stop = MS (1000);
  harness_set_state (self, GST_STATE_PLAYING);
  say_in_segment (self, &segment, 900, 0, 100);
  gst_message_unref (harness_wait_error (self, GST_STREAM_ERROR,
          GST_STREAM_ERROR_FORMAT));
  harness_free (self);
}

typedef struct
{
  const gchar *name;
  guint start;                  /* ms, of the second segment */
  guint base;                   /* the first has reached 1,000 */
  gdouble rate;
  guint silence;                /* between them */
} Second;

static const Second seconds[] = {
  {"jump-forward", 60000, 1000, 1, 0},
  {"jump-back", 200, 1000, 1, 0},
  {"later", 60000, 1500, 1, 500},
  {"another-stream", 0, 0, 1, 0},
  {"faster", 3000, 1000, 2, 0},
  {"slower", 3000, 1000, 0.5, 0},
};

/* A segment behind another, as a seek without a flush gives it, or a source that
 * was linked in place of another: nothing is lost, and the output changes over
 * where the input does. */
static void
test_second (gconstpointer data)
{
  const Second *second = data;
  Harness *self;
  const GstSegment *out = NULL;
  GstSegment segment;
  SweepingHeard heard;
  guint i, at = 0;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  self = new_wire (&segment);
  chain_ms (self, 0, 0, 1000);
  segment.start = segment.time = MS (second->start);
  segment.base = MS (second->base);
  segment.rate = second->rate;
  if (second->base == 0)
    send (self, gst_event_new_stream_start ("another"));
  send (self, gst_event_new_segment (&segment));
  for (i = 0; i < 10; i++)
    chain_ms (self, second->start + i * 100, 1000 + i * 100, 100);
  send (self, gst_event_new_eos ());
  harness_wait_eos (self);

  g_assert_cmpuint (self->out->data->len, ==,
      MS_FRAMES (2000 + second->silence) * 2);
  g_assert_cmpuint (harness_track_count_events (self->out, GST_EVENT_SEGMENT),
      ==, 2);
  for (i = 0; i < self->out->events->len; i++) {
    HarnessEvent *kept = &g_array_index (self->out->events, HarnessEvent, i);

    if (GST_EVENT_TYPE (kept->event) == GST_EVENT_SEGMENT) {
      gst_event_parse_segment (kept->event, &out);
      at = kept->at;
    }
  }
  g_assert_cmpuint (harness_track_buffer (self->out, at)->pts, ==,
      MS (second->start));
  g_assert_cmpuint (harness_track_buffer (self->out, at)->offset, ==,
      MS_FRAMES (1000 + second->silence) * 2);
  g_assert_cmpuint (get_running_time (self->out, at), ==,
      MS (1000 + second->silence));
  g_assert_cmpuint (gst_segment_to_stream_time (out, GST_FORMAT_TIME,
          MS (second->start + 500)), ==, MS (second->start + 500));
  g_assert_cmpfloat (out->rate, ==, second->rate);

  sweeping_listen (self, &heard);
  sweeping_assert_heard (&heard, 0, 0, 1000);
  sweeping_assert_heard (&heard, 1000 + second->silence, 1000, 1000);
  sweeping_clear (&heard);
  harness_free (self);
}

/* A buffer of which the segment holds less than half a sample, at its start and
 * at its stop */
static void
test_slivers (void)
{
  GstSegment segment;
  Harness *self;
  guint i;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.start = MS (500) - 10 * GST_USECOND;
  segment.stop = MS (1500) + 10 * GST_USECOND;
  self = new_wire (&segment);
  for (i = 300; i < 2000; i += 100)
    chain_ms (self, i, i, 100);
  send (self, gst_event_new_eos ());
  harness_wait_eos (self);
  assert_output (self, MS_FRAMES (1000));
  g_assert_cmpuint (harness_track_buffer (self->out, 0)->pts, ==, MS (500));
  harness_free (self);
}

/* Samples count, and no duration that a buffer claims. */
static void
test_false_durations (void)
{
  GstSegment segment;
  Harness *self;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.start = MS (550);
  self = new_wire (&segment);
  chain_for (self, 400, 0, 100, 200);
  chain_for (self, 500, 0, 100, 1000);
  chain_for (self, 600, 0, 450, 10);
  send (self, gst_event_new_eos ());
  harness_wait_eos (self);
  assert_output (self, MS_FRAMES (500));
  g_assert_cmpuint (harness_track_buffer (self->out, 0)->pts, ==, MS (550));
  harness_free (self);
}

/* The same segment told again changes nothing. */
static void
test_same_segment (void)
{
  Harness *self = new_source ("");
  GstSegment segment;
  guint i;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  harness_set_state (self, GST_STATE_PLAYING);
  for (i = 0; i < 4; i++) {
    segment.stop = MS (5000 + i);
    say_in_segment (self, &segment, i * 500, i * 500, 500);
  }
  finish (self);
  assert_output (self, MS_FRAMES (2000));
  g_assert_cmpuint (harness_track_count_events (self->out, GST_EVENT_SEGMENT),
      ==, 1);
  harness_free (self);
}

/* Seeks without a flush in a file that plays, again and again */
static void
test_seek_without_flush (void)
{
  MoshiStandinConfig config;
  GstClockTime reached;
  Harness *self;
  guint i;

  moshi_standin_config_init (&config);
  config.voice = MOSHI_STANDIN_SWEEP;
  config.seed = 3;
  self = harness_new (&config, "audiotestsrc samplesperbuffer=480 "
      "num-buffers=1000000 ! " CAPS " ! moshi name=m ! " CAPS " ! fakesink");
  harness_wait_state (self, GST_STATE_PLAYING);
  for (i = 1; i <= 4; i++) {
    harness_wait_bytes (self, self->out, i * 24000);
    g_assert_true (gst_element_seek (self->pipeline, 1.0, GST_FORMAT_TIME,
            GST_SEEK_FLAG_ACCURATE, GST_SEEK_TYPE_SET, MS (i * 10000),
            GST_SEEK_TYPE_SET, MS (i * 10000 + (i == 4 ? 2000 : 9000))));
  }
  harness_wait_eos (self);

  assert_output (self, self->out->data->len / 2);
  g_assert_cmpuint (harness_track_count_events (self->out, GST_EVENT_SEGMENT),
      >=, 2);
  i = self->out->buffers->len - 1;
  reached = harness_track_buffer (self->out, i)->pts
      + harness_track_buffer (self->out, i)->duration;
  g_assert_cmpint (ABS (GST_CLOCK_DIFF (reached, MS (42000))), <, 1000);
  harness_assert_sweep (self->out, 3840, &config, RATE, 1);
  g_assert_cmpuint (harness_get_stat (self, "sessions"), ==, 1);
  harness_free (self);
}

/* Nobody can listen backwards: the seek is refused, the talk goes on. */
static void
test_seek_backwards (void)
{
  MoshiStandinConfig config;
  Harness *self;

  moshi_standin_config_init (&config);
  self = harness_new (&config, "audiotestsrc samplesperbuffer=480 "
      "num-buffers=100 ! " CAPS " ! moshi name=m ! " CAPS " ! fakesink");
  harness_wait_state (self, GST_STATE_PAUSED);
  g_assert_false (gst_element_seek (self->pipeline, -1.0, GST_FORMAT_TIME,
          GST_SEEK_FLAG_FLUSH, GST_SEEK_TYPE_SET, 0, GST_SEEK_TYPE_SET,
          MS (1000)));
  harness_play_to_eos (self);
  assert_output (self, MS_FRAMES (2000));
  harness_free (self);
}

/* --- caps ------------------------------------------------------------------- */

/* 48 kHz stereo to 16 kHz mono and back, at places no packet ends */
static void
test_caps (void)
{
  Harness *self = new_source ("");
  Speech speech = { NULL, NULL, 0, 0, 0, 0 };
  SweepingHeard heard;
  guint i;

  harness_set_state (self, GST_STATE_PLAYING);
  for (i = 0; i < 9; i++) {
    speech.caps = i % 3 == 0 ? STEREO : i % 3 == 1 ? NARROW : NULL;
    speech.frames = 12006 + 6 * i;
    speech.pts = gst_util_uint64_scale (speech.place, GST_SECOND, RATE);
    say (self, &speech);
    speech.place += speech.frames;
  }
  finish (self);
  assert_output (self, speech.place);
  sweeping_listen (self, &heard);
  for (i = 0; i < 9; i++)
    sweeping_assert_heard (&heard, 500 * i + 20, 500 * i + 20, 460);
  g_assert_cmpuint (harness_get_stat (self, "input-filled"), ==, 0);
  sweeping_clear (&heard);
  harness_free (self);
}

/* Less than a sample of the next format is left of a packet's padding, often. */
static void
test_caps_crumbs (void)
{
  static const gchar *const caps[] = { "rate=8000", "rate=12000" };
  Harness *self = new_source ("");
  guint64 frames = 0;
  guint i;

  harness_set_state (self, GST_STATE_PLAYING);
  for (i = 0; i < 300; i++) {
    g_autofree gchar *text = g_strconcat ("audio/x-raw,format=S16LE,"
        "layout=interleaved,channels=1,", caps[i % 2], NULL);
    Speech speech = { text, NULL, GST_CLOCK_TIME_NONE, 0, frames, 0 };

    speech.frames = i % 2 ? 2 : 3;
    say (self, &speech);
    frames += speech.frames;
  }
  say_ms (self, 0, 0, 500);
  finish (self);
  assert_output (self, frames + MS_FRAMES (500));
  harness_free (self);
}

/* --- bytes from a file ------------------------------------------------------- */

/* No parser, no time stamps: samples are counted. */
static void
test_bytes (void)
{
  g_autofree gchar *path = NULL;
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  MoshiStandinConfig config;
  Harness *self;
  gint fd = g_file_open_tmp ("moshi-XXXXXX.raw", &path, NULL);

  g_byte_array_set_size (bytes, 50000);
  memset (bytes->data, 0x11, bytes->len);
  g_assert_true (g_file_set_contents (path, (const gchar *) bytes->data,
          bytes->len, NULL));
  g_assert_true (g_close (fd, NULL));
  moshi_standin_config_init (&config);
  self = harness_new (&config, "filesrc location=%s blocksize=1000 ! " CAPS
      " ! moshi name=m ! " CAPS " ! fakesink", path);
  harness_play_to_eos (self);
  assert_output (self, 25000);
  harness_free (self);
  g_assert_cmpint (g_unlink (path), ==, 0);
}

/* A model that answers very late: the answers wait, all of them. */
static void
test_long_delay (void)
{
  MoshiStandinConfig config;
  Harness *self;

  moshi_standin_config_init (&config);
  config.voice = MOSHI_STANDIN_SWEEP;
  config.seed = 3;
  self = harness_new (&config, "audiotestsrc samplesperbuffer=24000 "
      "num-buffers=50 ! " CAPS " ! moshi name=m model-delay=40000 "
      "complexity=0 ! " CAPS " ! fakesink");
  harness_play_to_eos (self);
  assert_output (self, 50 * RATE);
  harness_assert_sweep (self->out, 40 * RATE, &config, RATE, 1);
  g_assert_cmpuint (harness_get_stat (self, "dropped"), ==, 0);
  harness_free (self);
}

static void
add_tables (void)
{
  gsize i;

  for (i = 0; i < G_N_ELEMENTS (gaps); i++) {
    g_autofree gchar *path = g_strconcat ("/timeline/gap/", gaps[i].name, NULL);

    g_test_add_data_func (path, &gaps[i], test_gap_first);
  }
  for (i = 0; i < G_N_ELEMENTS (seconds); i++) {
    g_autofree gchar *path = g_strconcat ("/timeline/second/", seconds[i].name,
        NULL);

    g_test_add_data_func (path, &seconds[i], test_second);
  }
}

static void
add_tests (void)
{
  g_test_add_func ("/timeline/sizes", test_sizes);
  g_test_add_func ("/timeline/jitter", test_jitter);
  g_test_add_func ("/timeline/overlap", test_overlap);
  g_test_add_data_func ("/timeline/hole/stamps", NULL, test_hole);
  g_test_add_data_func ("/timeline/hole/discont",
      GUINT_TO_POINTER (GST_BUFFER_FLAG_DISCONT), test_hole);
  g_test_add_func ("/timeline/gap/beyond-the-segment", test_gap_last);
  g_test_add_data_func ("/timeline/rate/2", GUINT_TO_POINTER (20), test_rate);
  g_test_add_data_func ("/timeline/rate/0.5", GUINT_TO_POINTER (5), test_rate);
  g_test_add_func ("/timeline/backwards", test_backwards);
  add_tables ();
  g_test_add_func ("/timeline/slivers", test_slivers);
  g_test_add_func ("/timeline/false-durations", test_false_durations);
  g_test_add_func ("/timeline/same-segment", test_same_segment);
  g_test_add_func ("/timeline/seek/without-flush", test_seek_without_flush);
  g_test_add_func ("/timeline/seek/backwards", test_seek_backwards);
  g_test_add_func ("/timeline/caps", test_caps);
  g_test_add_func ("/timeline/caps/crumbs", test_caps_crumbs);
  g_test_add_func ("/timeline/bytes", test_bytes);
  g_test_add_func ("/timeline/long-delay", test_long_delay);
}

int
main (int argc, char **argv)
{
  return harness_main (&argc, &argv, add_tests);
}
