/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Promises of docs/promises.md that span what the other files look at piece by
 * piece.
 */
#include "harness.h"

#include <string.h>

#define RAW "audio/x-raw,format=%s,layout=interleaved,rate=%u,channels=%u"
#define MS(n) ((n) * GST_MSECOND)

static void
init_config (MoshiStandinConfig * config)
{
  moshi_standin_config_init (config);
  config->voice = MOSHI_STANDIN_SWEEP;
}

static Harness *
new_source (const MoshiStandinConfig * config, const gchar * rest)
{
  return harness_new (config, "appsrc name=in format=time "
      "caps=" RAW " ! moshi name=m %s", "S16LE", 24000, 1, rest);
}

static void
push_ms (Harness * self, guint at, guint ms)
{
  harness_push (self, MS (at), ms * 48, 0);
}

static void
check_format (const gchar * format, guint rate, guint channels)
{
  const guint frame = channels * (g_str_equal (format, "S16LE") ? 2 : 4);
  g_autofree gchar *caps = g_strdup_printf (RAW, format, rate, channels);
  MoshiStandinConfig config;
  Harness *self;

  init_config (&config);
  self = harness_new (&config, "audiotestsrc num-buffers=20 "
      "samplesperbuffer=%u ! %s ! moshi name=m ! %s ! fakesink", rate / 50,
      caps, caps);
  harness_play_to_eos (self);
  g_assert_cmpuint (harness_assert_contiguous (self->out, rate, frame, 0), ==,
      rate / 50 * 20);
  harness_free (self);
}

/* Each rate, each sample format and both numbers of channels, in and out */
static void
test_every_format (void)
{
  static const guint rates[] = { 48000, 24000, 16000, 12000, 8000 };
  guint i, channels;

  for (i = 0; i < G_N_ELEMENTS (rates); i++) {
    for (channels = 1; channels <= 2; channels++) {
      check_format ("S16LE", rates[i], channels);
      check_format ("F32LE", rates[i], channels);
    }
  }
}

static void
flush (Harness * self)
{
  GstElement *source = harness_get_element (self, "in");
  GstPad *pad = gst_element_get_static_pad (source, "src");

  g_assert_true (gst_pad_push_event (pad, gst_event_new_flush_start ()));
  g_assert_true (gst_pad_push_event (pad, gst_event_new_flush_stop (TRUE)));
  gst_object_unref (pad);
  gst_object_unref (source);
}

static void
push_segment (Harness * self, GstClockTime start)
{
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  segment.start = segment.time = start;
  harness_push_event (self, gst_event_new_segment (&segment));
}

static void
set_caps (Harness * self, guint rate, guint channels)
{
  g_autofree gchar *text = g_strdup_printf (RAW, "S16LE", rate, channels);
  g_autoptr (GstCaps) caps = gst_caps_from_string (text);
  GstElement *source = harness_get_element (self, "in");

  g_object_set (source, "caps", caps, NULL);
  gst_object_unref (source);
}

/* One session, whatever the stream goes through; READY ends it. */
static void
test_conversation_is_kept (void)
{
  MoshiStandinConfig config;
  MoshiStandinStats stats;
  Harness *self;

  init_config (&config);
  self = new_source (&config, "! fakesink name=out async=false");
  harness_set_state (self, GST_STATE_PLAYING);
  push_ms (self, 0, 500);
  harness_push_event (self, gst_event_new_gap (MS (500), MS (500)));
  harness_wait_stat (self, "samples-received", 24 * 400);
  harness_set_state (self, GST_STATE_PAUSED);
  harness_wait_state (self, GST_STATE_PAUSED);
  harness_set_state (self, GST_STATE_PLAYING);
  flush (self);
  push_segment (self, MS (5000));
  push_ms (self, 5000, 500);
  set_caps (self, 48000, 2);
  harness_push (self, MS (5500), 500 * 192, 0);
  harness_wait_stat (self, "samples-received", 24 * 1500);
  harness_push_eos (self);
  harness_wait_eos (self);
  g_assert_cmpuint (harness_get_stat (self, "sessions"), ==, 1);

  g_assert_true (moshi_standin_wait (self->server, MOSHI_STANDIN_SESSIONS_ENDED,
          1, HARNESS_PATIENCE));
  harness_set_state (self, GST_STATE_READY);
  harness_set_state (self, GST_STATE_PLAYING);
  g_assert_true (moshi_standin_wait (self->server, MOSHI_STANDIN_HANDSHAKES, 2,
          HARNESS_PATIENCE));
  harness_set_state (self, GST_STATE_READY);
  g_assert_true (moshi_standin_wait (self->server, MOSHI_STANDIN_SESSIONS_ENDED,
          2, HARNESS_PATIENCE));
  moshi_standin_get_stats (self->server, &stats);
  g_assert_cmpuint (stats.upgrades, ==, 2);
  harness_free (self);
}

/* The last frame, the tail, every answer and word; then EOS on all pads, and a
 * clean close. */
static void
test_end_drains (void)
{
  MoshiStandinConfig config;
  MoshiStandinStats stats;
  HarnessTrack *text;
  Harness *self;
  guint at;

  init_config (&config);
  config.text = "one two three";
  self = new_source (&config, "tail=1000 ! fakesink name=out "
      "m.text ! fakesink name=words");
  text = harness_track (self, "m", "text");
  harness_set_state (self, GST_STATE_PLAYING);
  push_ms (self, 0, 333);
  harness_push_eos (self);
  harness_wait_eos (self);

  g_assert_cmpuint (self->out->data->len, ==, 1333 * 48);
  harness_assert_sweep (self->out, 160 * 24, &config, 24000, 1);
  g_assert_cmpuint (text->buffers->len, ==, 3);
  g_assert_cmpuint (self->out->n_eos, ==, 1);
  g_assert_cmpuint (text->n_eos, ==, 1);
  g_assert_nonnull (harness_track_find_event (text, GST_EVENT_EOS, &at));
  g_assert_cmpuint (at, ==, text->buffers->len);

  g_assert_true (moshi_standin_wait (self->server, MOSHI_STANDIN_SESSIONS_ENDED,
          1, HARNESS_PATIENCE));
  moshi_standin_get_stats (self->server, &stats);
  g_assert_cmpuint (stats.close_code, ==, 1000);
  g_assert_false (stats.close_had_reason);
  harness_free (self);
}

static void
add_tests (void)
{
  g_test_add_func ("/promises/every-format", test_every_format);
  g_test_add_func ("/promises/conversation-is-kept", test_conversation_is_kept);
  g_test_add_func ("/promises/end-drains", test_end_drains);
}

int
main (int argc, char **argv)
{
  return harness_main (&argc, &argv, add_tests);
}
