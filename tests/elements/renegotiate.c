/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What downstream wants changes while all is PLAYING: raw to Opus and back, at
 * other rates.
 */
#include "harness.h"

#include <string.h>

#define CAPS "audio/x-raw,format=S16LE,layout=interleaved,rate=24000,channels=1"
#define FILE_SOURCE "audiotestsrc samplesperbuffer=480 num-buffers=%u ! " CAPS
#define LIVE_SOURCE "audiotestsrc is-live=true samplesperbuffer=480 ! " CAPS

#define MS(n) ((n) * GST_MSECOND)

static const gchar *const wishes[] = {
  "audio/x-opus",
  "audio/x-raw,format=F32LE,rate=48000,channels=2",
  "audio/x-opus",
  "audio/x-raw,format=S16LE,rate=8000,channels=1",
  "audio/x-raw,format=S16LE,rate=24000,channels=1",
};

static void
wish (Harness * self, const gchar * text)
{
  GstElement *filter = harness_get_element (self, "c");
  g_autoptr (GstCaps) caps = gst_caps_from_string (text);

  g_object_set (filter, "caps", caps, NULL);
  gst_object_unref (filter);
}

/* The caps in force where a buffer came, from where the last call left off */
static const GstCaps *
find_caps (HarnessTrack * track, guint buffer, guint * event,
    const GstCaps * caps)
{
  for (; *event < track->events->len; (*event)++) {
    HarnessEvent *kept = &g_array_index (track->events, HarnessEvent, *event);
    GstCaps *next;

    if (kept->at > buffer)
      break;
    if (GST_EVENT_TYPE (kept->event) == GST_EVENT_CAPS) {
      gst_event_parse_caps (kept->event, &next);
      caps = next;
    }
  }
  return caps;
}

/* Each buffer is what the caps before it say, and begins where the last ended.
 * Returns where the last one ends. */
static GstClockTime
check_track (HarnessTrack * track)
{
  const GstCaps *caps = NULL;
  GstClockTime end = GST_CLOCK_TIME_NONE;
  guint i, event = 0;

  for (i = 0; i < track->buffers->len; i++) {
    const HarnessBuffer *buffer = harness_track_buffer (track, i);
    const GstStructure *structure;
    gint rate, channels;

    caps = find_caps (track, i, &event, caps);
    g_assert_nonnull (caps);
    structure = gst_caps_get_structure (caps, 0);
    if (gst_structure_has_name (structure, "audio/x-raw")) {
      const gboolean wide = g_str_equal (gst_structure_get_string (structure,
              "format"), "F32LE");

      g_assert_true (gst_structure_get_int (structure, "rate", &rate));
      g_assert_true (gst_structure_get_int (structure, "channels", &channels));
      g_assert_cmpint (ABS (GST_CLOCK_DIFF (gst_util_uint64_scale (buffer->size,
                      GST_SECOND, (guint64) rate * channels * (wide ? 4 : 2)),
                  buffer->duration)), <=, 1);
    } else {
      g_assert_cmpuint (buffer->duration, >=, MS (2));
      g_assert_cmpuint (buffer->duration, <=, MS (120));
    }
    if (i > 0)
      g_assert_cmpint (ABS (GST_CLOCK_DIFF (end, buffer->pts)), <=, 1);
    end = buffer->pts + buffer->duration;
  }
  return end;
}

static gboolean
has_caps (HarnessTrack * track, const gchar * text)
{
  g_autoptr (GstCaps) wanted = gst_caps_from_string (text);
  gboolean found = FALSE;
  guint i;

  for (i = 0; i < track->events->len && !found; i++) {
    HarnessEvent *kept = &g_array_index (track->events, HarnessEvent, i);
    GstCaps *caps;

    if (GST_EVENT_TYPE (kept->event) != GST_EVENT_CAPS)
      continue;
    gst_event_parse_caps (kept->event, &caps);
    found = gst_caps_can_intersect (caps, wanted)
        && gst_structure_has_name (gst_caps_get_structure (caps, 0),
        gst_structure_get_name (gst_caps_get_structure (wanted, 0)));
  }
  return found;
}

static void
init_config (MoshiStandinConfig * config)
{
  moshi_standin_config_init (config);
  config->voice = MOSHI_STANDIN_SWEEP;
}

/* Changes what downstream wants when so many buffers are out. */
typedef struct
{
  Harness *harness;
  guint n;
  guint next;
} Changer;

static GstPadProbeReturn
on_buffer (GstPad * pad, GstPadProbeInfo * info, gpointer user_data)
{
  Changer *self = user_data;

  if (++self->n % 25 == 0 && self->next < G_N_ELEMENTS (wishes))
    wish (self->harness, wishes[self->next++]);
  return GST_PAD_PROBE_OK;
}

/* In batch nothing is lost on the way, and the length is exact. */
static void
test_batch (void)
{
  MoshiStandinConfig config;
  Changer changer = { NULL, };
  GstElement *sink;
  GstPad *pad;
  guint i;
  Harness *self;

  init_config (&config);
  self = harness_new (&config, FILE_SOURCE " ! moshi name=m "
      "! capsfilter name=c caps=" CAPS " ! fakesink name=f", 500);
  changer.harness = self;
  sink = harness_get_element (self, "f");
  pad = gst_element_get_static_pad (sink, "sink");
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, on_buffer, &changer, NULL);
  harness_play_to_eos (self);

  g_assert_cmpuint (changer.next, ==, G_N_ELEMENTS (wishes));
  for (i = 0; i < G_N_ELEMENTS (wishes); i++)
    g_assert_true (has_caps (self->out, wishes[i]));
  g_assert_cmpuint (check_track (self->out), ==, MS (10000));
  g_assert_cmpuint (harness_get_stat (self, "dropped"), ==, 0);
  g_assert_cmpuint (harness_get_stat (self, "filled"), ==, 0);
  gst_object_unref (pad);
  gst_object_unref (sink);
  harness_free (self);
}

/* Live the stream goes on without a hole. */
static void
test_live (void)
{
  MoshiStandinConfig config;
  guint i, n = 0;
  Harness *self;

  init_config (&config);
  self = harness_new (&config, LIVE_SOURCE " ! moshi name=m "
      "! capsfilter name=c caps=" CAPS " ! fakesink");
  harness_wait_state (self, GST_STATE_PLAYING);
  for (i = 0; i < G_N_ELEMENTS (wishes); i++) {
    harness_wait_buffers (self, self->out, n + 10);
    wish (self, wishes[i]);
    harness_lock (self);
    n = self->out->buffers->len;
    harness_unlock (self);
  }
  harness_wait_buffers (self, self->out, n + 10);
  harness_wait_state (self, GST_STATE_NULL);
  for (i = 0; i < G_N_ELEMENTS (wishes); i++)
    g_assert_true (has_caps (self->out, wishes[i]));
  check_track (self->out);
  harness_free (self);
}

/* What nobody can make is an error, and a clear one. */
static void
test_impossible (void)
{
  MoshiStandinConfig config;
  Harness *self;

  init_config (&config);
  self = harness_new (&config, LIVE_SOURCE " ! moshi name=m "
      "! capsfilter name=c caps=" CAPS " ! fakesink");
  harness_wait_state (self, GST_STATE_PLAYING);
  harness_wait_buffers (self, self->out, 5);
  wish (self, "audio/x-raw,rate=44100");
  gst_message_unref (harness_wait_error (self, GST_STREAM_ERROR,
          GST_STREAM_ERROR_FAILED));
  harness_free (self);
}

static void
add_tests (void)
{
  g_test_add_func ("/renegotiate/batch", test_batch);
  g_test_add_func ("/renegotiate/live", test_live);
  g_test_add_func ("/renegotiate/impossible", test_impossible);
}

int
main (int argc, char **argv)
{
  return harness_main (&argc, &argv, add_tests);
}
