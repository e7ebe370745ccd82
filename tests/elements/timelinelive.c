/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The input's timeline live, under a clock in hand: a source that is late,
 * stops, jumps, is PAUSED, flushed, exchanged or gone while its answers drain.
 * What the server hears is the sweep, at its time, and silence else.
 */
#include "harness.h"
#include "sweeping.h"

#define RATE 24000
#define CAPS "audio/x-raw,format=S16LE,layout=interleaved,rate=24000,channels=1"
#define STEREO "audio/x-raw,format=S16LE,layout=interleaved,rate=48000," \
    "channels=2,channel-mask=(bitmask)3"
#define NARROW "audio/x-raw,format=F32LE,layout=interleaved,rate=16000," \
    "channels=1"

#define MS(n) ((n) * GST_MSECOND)

/* How late a source may be before silence takes its place */
#define LATENESS 120
#define PACKET 20

/* What may be missing from that: a packet that is not full yet, and one for which
 * the pushing task, which sees to it, is not awake yet. */
#define SLACK (2 * PACKET)

/* Upstream is the element named `in`. */
static Harness *
new_microphone (const gchar * properties)
{
  MoshiStandinConfig config;
  Harness *self;

  moshi_standin_config_init (&config);
  config.voice = MOSHI_STANDIN_SWEEP;
  config.seed = 5;
  config.keep_pcm = 60 * RATE;
  self = harness_new (&config, "appsrc name=in is-live=true format=time "
      "max-bytes=0 ! moshi name=m bitrate=128000 %s ! " CAPS
      " ! fakesink name=out async=false", properties);
  harness_use_test_clock (self);
  harness_wait_state (self, GST_STATE_PLAYING);
  harness_wait_connection (self, "ready");
  return self;
}

static guint
get_now_ms (Harness * self)
{
  return (gst_clock_get_time (GST_CLOCK (self->clock))
      - gst_element_get_base_time (self->pipeline)) / GST_MSECOND;
}

static void
give (Harness * self, const gchar * name, const gchar * caps_text, guint pts,
    guint ms)
{
  g_autoptr (GstCaps) caps = gst_caps_from_string (caps_text);
  g_autoptr (GstBuffer) buffer = sweeping_new_buffer (caps, pts * 48, ms * 48);
  g_autoptr (GstSample) sample = NULL;
  GstElement *source = harness_get_element (self, name);
  GstFlowReturn ret;

  GST_BUFFER_PTS (buffer) = MS (pts);
  sample = gst_sample_new (buffer, caps, NULL, NULL);
  g_signal_emit_by_name (source, "push-sample", sample, &ret);
  g_assert_cmpint (ret, ==, GST_FLOW_OK);
  gst_object_unref (source);
}

static void
wait_sent_ms (Harness * self, guint ms)
{
  harness_wait_stat (self, "samples-sent", SWEEPING_FRAMES (ms));
}

/* The microphone speaks for so long in step with the clock: what it says at a
 * time is the sweep's place of that time. Each buffer is waited for, but not
 * for its end: behind a silence it may be in the next packet. */
static void
speak (Harness * self, const gchar * name, const gchar * caps, guint ms)
{
  guint i;

  for (i = 0; i < ms / PACKET; i++) {
    guint now = get_now_ms (self);

    harness_advance (self, MS (PACKET));
    give (self, name, caps, now, PACKET);
    wait_sent_ms (self, now + 1);
  }
}

static void
assert_sent_ms (Harness * self, guint at_least, guint at_most)
{
  wait_sent_ms (self, at_least);
  g_assert_cmpuint (harness_get_stat (self, "samples-sent"), <=,
      SWEEPING_FRAMES (at_most));
}

static guint64
assert_contiguous (Harness * self, guint from)
{
  guint64 frames;

  harness_lock (self);
  frames = harness_assert_contiguous (self->out, RATE, 2, from);
  harness_unlock (self);
  return frames;
}

/* All that was said, so many ms, is at the server before it is asked. */
static void
stop (Harness * self, guint ms, SweepingHeard * heard)
{
  g_assert_true (moshi_standin_wait (self->server, MOSHI_STANDIN_SAMPLES,
          SWEEPING_FRAMES (ms), HARNESS_PATIENCE));
  harness_wait_state (self, GST_STATE_NULL);
  sweeping_listen (self, heard);
}

/* --- late -------------------------------------------------------------------- */

/* From the moment the source is late, and not before, there is silence in its
 * place, at the pace of the clock; what it then still gives of that time is
 * cut, and what it says at its time is heard there. */
static void
test_late (void)
{
  Harness *self = new_microphone ("");
  SweepingHeard heard;
  guint late;

  speak (self, "in", CAPS, 1000);
  harness_advance (self, MS (LATENESS - PACKET));
  assert_sent_ms (self, 1000, 1000);
  for (late = LATENESS; late <= 2000; late += PACKET) {
    harness_advance (self, MS (PACKET));
    assert_sent_ms (self, 1000 + MAX (late, LATENESS + SLACK) - LATENESS
        - SLACK, 1000 + late - LATENESS);
  }
  give (self, "in", CAPS, 2500, 100);   /* its time was sent already */
  speak (self, "in", CAPS, 1000);
  g_assert_cmpuint (harness_get_stat (self, "input-trimmed"), ==, MS (100));
  stop (self, 4000, &heard);
  sweeping_assert_heard (&heard, 0, 0, 1000);
  sweeping_assert_silence (&heard, 1000, 2000);
  sweeping_assert_heard (&heard, 3000, 3000, 1000);
  sweeping_clear (&heard);
  harness_free (self);
}

/* A source as late as it says it is, is not late. */
static void
test_upstream_latency (void)
{
  Harness *self = new_microphone ("");
  GstElement *source = harness_get_element (self, "in");

  harness_set_state (self, GST_STATE_READY);
  g_object_set (source, "min-latency", (gint64) MS (500), NULL);
  harness_wait_state (self, GST_STATE_PLAYING);
  harness_wait_connection (self, "ready");
  give (self, "in", CAPS, 0, 1000);
  wait_sent_ms (self, 1000);
  harness_advance (self, MS (1000 + 500 + LATENESS - PACKET));
  assert_sent_ms (self, 1000, 1000);
  harness_advance (self, MS (1000));
  assert_sent_ms (self, 1980 - SLACK, 1980);
  gst_object_unref (source);
  harness_free (self);
}

/* Nobody was awake for a minute: that is not made up for with silence. */
static void
test_leap (void)
{
  Harness *self = new_microphone ("");

  speak (self, "in", CAPS, 1000);
  gst_test_clock_advance_time (self->clock, 60 * GST_SECOND);
  harness_advance (self, MS (2000));
  assert_sent_ms (self, 2800, 4000);
  harness_free (self);
}

/* --- caps, sources ------------------------------------------------------------ */

static void
test_caps (void)
{
  static const gchar *const caps[] = { STEREO, NARROW, CAPS, NARROW, STEREO };
  Harness *self = new_microphone ("");
  SweepingHeard heard;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (caps); i++)
    speak (self, "in", caps[i], 500);
  g_assert_cmpuint (harness_get_stat (self, "input-filled"), ==, 0);
  assert_contiguous (self, 0);
  stop (self, 2500, &heard);
  for (i = 0; i < G_N_ELEMENTS (caps); i++)
    sweeping_assert_heard (&heard, 500 * i + 20, 500 * i + 20, 460);
  sweeping_clear (&heard);
  harness_free (self);
}

/* Another microphone in place of the first, in PLAYING: the talk goes on. */
static void
test_another_source (void)
{
  Harness *self = new_microphone ("");
  GstElement *first = harness_get_element (self, "in");
  GstElement *second = gst_element_factory_make ("appsrc", "second");
  SweepingHeard heard;

  speak (self, "in", CAPS, 1000);
  g_object_set (second, "is-live", TRUE, "format", GST_FORMAT_TIME, NULL);
  gst_element_unlink (first, self->moshi);
  gst_bin_remove (GST_BIN (self->pipeline), gst_object_ref (first));
  g_assert_cmpint (gst_element_set_state (first, GST_STATE_NULL), ==,
      GST_STATE_CHANGE_SUCCESS);
  gst_object_unref (first);
  gst_object_unref (first);
  harness_advance (self, MS (1000));
  gst_bin_add (GST_BIN (self->pipeline), second);
  g_assert_true (gst_element_link (second, self->moshi));
  g_assert_true (gst_element_sync_state_with_parent (second));
  speak (self, "second", NARROW, 1000);

  assert_contiguous (self, 0);
  g_assert_cmpuint (harness_get_stat (self, "sessions"), ==, 1);
  stop (self, 3000, &heard);
  sweeping_assert_heard (&heard, 0, 0, 1000);
  sweeping_assert_silence (&heard, 1000, 1000);
  sweeping_assert_heard (&heard, 2000, 2000, 1000);
  sweeping_clear (&heard);
  harness_free (self);
}

/* --- PAUSED, flush, NULL ------------------------------------------------------- */

/* Ten minutes in PAUSED are none of the talk's time. */
static void
test_ten_minutes (void)
{
  Harness *self = new_microphone ("");
  SweepingHeard heard;

  speak (self, "in", CAPS, 1000);
  harness_wait_state (self, GST_STATE_PAUSED);
  gst_test_clock_advance_time (self->clock, 600 * GST_SECOND);
  harness_wait_state (self, GST_STATE_PLAYING);
  g_assert_cmpuint (get_now_ms (self), ==, 1000);
  speak (self, "in", CAPS, 1000);

  g_assert_cmpuint (harness_get_stat (self, "input-filled"), ==, 0);
  g_assert_cmpuint (harness_get_stat (self, "sessions"), ==, 1);
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_ERROR
          | GST_MESSAGE_WARNING, NULL), ==, 0);
  assert_contiguous (self, 0);
  stop (self, 2000, &heard);
  sweeping_assert_heard (&heard, 0, 0, 2000);
  sweeping_clear (&heard);
  harness_free (self);
}

static guint
find_discont (Harness * self, guint from)
{
  guint i = from;

  harness_wait_buffers (self, self->out, from + 1);
  harness_lock (self);
  while (i < self->out->buffers->len
      && !(harness_track_buffer (self->out, i)->flags
          & GST_BUFFER_FLAG_DISCONT))
    i++;
  g_assert_cmpuint (i, <, self->out->buffers->len);
  harness_unlock (self);
  return i;
}

/* A flush: the output begins anew at the present, the conversation does not; what
 * waited to be played is dropped. */
static void
test_flush (void)
{
  Harness *self = new_microphone ("latency=400");
  GstPad *pad = gst_element_get_static_pad (self->moshi, "sink");
  GstSegment segment;
  guint before, begin;
  SweepingHeard heard;

  speak (self, "in", CAPS, 1000);
  /* The last of what it said is there, and not due yet. */
  harness_wait_stat (self, "samples-received", 11 * 1920);
  g_assert_true (gst_pad_send_event (pad, gst_event_new_flush_start ()));
  harness_lock (self);
  before = self->out->buffers->len;
  harness_unlock (self);
  g_assert_true (gst_pad_send_event (pad, gst_event_new_flush_stop (FALSE)));
  gst_segment_init (&segment, GST_FORMAT_TIME);
  g_assert_true (gst_pad_send_event (pad, gst_event_new_segment (&segment)));
  g_assert_cmpuint (harness_get_stat (self, "dropped"), >, 0);
  speak (self, "in", CAPS, 1000);

  begin = find_discont (self, before);
  g_assert_cmpuint (begin, ==, before);
  assert_contiguous (self, begin + 1);
  harness_lock (self);
  g_assert_cmpint (ABS (GST_CLOCK_DIFF (harness_track_buffer (self->out,
                  begin)->pts, MS (1000))), <=, MS (LATENESS));
  harness_unlock (self);
  g_assert_cmpuint (harness_get_stat (self, "sessions"), ==, 1);
  stop (self, 2000, &heard);
  sweeping_assert_heard (&heard, 0, 0, 1000);
  sweeping_assert_heard (&heard, 1000, 1000, 1000);
  sweeping_clear (&heard);
  gst_object_unref (pad);
  harness_free (self);
}

/* EOS waits for answers; NULL does not, and neither does what comes after. */
static void
test_null_while_draining (void)
{
  Harness *self = new_microphone ("tail=5000 drain-timeout=3600000");
  guint i;

  for (i = 0; i < 3; i++) {
    speak (self, "in", CAPS, 400);
    harness_push_eos (self);
    harness_advance (self, MS (500));
    wait_sent_ms (self, 400 + 200);
    g_assert_cmpuint (self->out->n_eos, ==, 0);
    harness_wait_state (self, GST_STATE_NULL);
    harness_wait_state (self, GST_STATE_PLAYING);
    harness_wait_connection (self, "ready");
  }
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_ERROR, NULL), ==,
      0);
  harness_free (self);
}

static void
add_tests (void)
{
  g_test_add_func ("/timeline-live/late", test_late);
  g_test_add_func ("/timeline-live/upstream-latency", test_upstream_latency);
  g_test_add_func ("/timeline-live/leap", test_leap);
  g_test_add_func ("/timeline-live/caps", test_caps);
  g_test_add_func ("/timeline-live/another-source", test_another_source);
  g_test_add_func ("/timeline-live/ten-minutes", test_ten_minutes);
  g_test_add_func ("/timeline-live/flush", test_flush);
  g_test_add_func ("/timeline-live/null-while-draining",
      test_null_while_draining);
}

int
main (int argc, char **argv)
{
  return harness_main (&argc, &argv, add_tests);
}
