/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How fast a file goes through one element, against a server that echoes as fast
 * as it can, and how fast libopus alone would be with the same settings. See
 * docs/performance.md.
 *
 *   bench-batch [--seconds=S] [--buffer=MS] SPEECH
 *
 * The server is a process of its own. Both figures are of real time: the first
 * by the clock, the second by this process' own CPU time, which a busy machine
 * changes less.
 */
#include "measure.h"

#include <gst/gst.h>
#include <opus/opus.h>

#define RATE 24000
#define CAPS "audio/x-raw,format=S16LE,layout=interleaved,rate=24000,channels=1"

static gint seconds = 300;
static gint length = 20;
static gint bitrate = -1;
static gint complexity = -1;

static GOptionEntry options[] = {
  {"seconds", 0, 0, G_OPTION_ARG_INT, &seconds, "Of speech", "S"},
  {"buffer", 0, 0, G_OPTION_ARG_INT, &length, "Of input, in ms", "MS"},
  {"bitrate", 0, 0, G_OPTION_ARG_INT, &bitrate, "Not the default", "BPS"},
  {"complexity", 0, 0, G_OPTION_ARG_INT, &complexity, "Not the default", "C"},
  {NULL}
};

typedef struct
{
  const gint16 *speech;
  gsize n_samples;
  guint64 taken;                /* bytes of output */
  GMutex lock;
  GCond cond;
  gboolean ended;               /* by lock */
} Bench;

static GstFlowReturn
take (GstPad * pad, GstObject * parent, GstBuffer * buffer)
{
  Bench *self = gst_pad_get_element_private (pad);

  self->taken += gst_buffer_get_size (buffer);
  gst_buffer_unref (buffer);
  return GST_FLOW_OK;
}

static gboolean
take_event (GstPad * pad, GstObject * parent, GstEvent * event)
{
  Bench *self = gst_pad_get_element_private (pad);

  if (GST_EVENT_TYPE (event) == GST_EVENT_EOS) {
    g_mutex_lock (&self->lock);
    self->ended = TRUE;
    g_cond_signal (&self->cond);
    g_mutex_unlock (&self->lock);
  }
  gst_event_unref (event);
  return TRUE;
}

static GstPad *
link_pads (Bench * self, GstElement * moshi)
{
  GstPad *sink = gst_element_get_static_pad (moshi, "sink");
  GstPad *src = gst_element_get_static_pad (moshi, "src");
  GstPad *feed = gst_pad_new ("feed", GST_PAD_SRC);
  GstPad *out = gst_pad_new ("take", GST_PAD_SINK);

  gst_pad_set_active (feed, TRUE);
  gst_pad_link_full (feed, sink, GST_PAD_LINK_CHECK_NOTHING);
  gst_pad_set_element_private (out, self);
  gst_pad_set_chain_function (out, take);
  gst_pad_set_event_function (out, take_event);
  gst_pad_set_active (out, TRUE);
  gst_pad_link_full (src, out, GST_PAD_LINK_CHECK_NOTHING);
  gst_object_unref (sink);
  gst_object_unref (src);
  return feed;
}

static void
push_start (GstPad * feed)
{
  g_autoptr (GstCaps) caps = gst_caps_from_string (CAPS);
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_pad_push_event (feed, gst_event_new_stream_start ("speech"));
  gst_pad_push_event (feed, gst_event_new_caps (caps));
  gst_pad_push_event (feed, gst_event_new_segment (&segment));
}

static void
push_speech (Bench * self, GstPad * feed)
{
  const gsize n = (gsize) RATE * length / 1000;
  guint64 at;

  for (at = 0; at < (guint64) seconds * RATE; at += n) {
    gsize offset = at % (self->n_samples - n);
    GstBuffer *buffer = gst_buffer_new_wrapped_full (GST_MEMORY_FLAG_READONLY,
        (gpointer) (self->speech + offset), n * 2, 0, n * 2, NULL, NULL);

    GST_BUFFER_PTS (buffer) = gst_util_uint64_scale_int (at, GST_SECOND, RATE);
    GST_BUFFER_DURATION (buffer) = length * GST_MSECOND;
    if (gst_pad_push (feed, buffer) != GST_FLOW_OK)
      g_error ("the element takes no more");
  }
  gst_pad_push_event (feed, gst_event_new_eos ());
}

static GstElement *
make_moshi (guint port)
{
  g_autofree gchar *uri = g_strdup_printf ("ws://127.0.0.1:%u/", port);
  GstElement *moshi = gst_element_factory_make ("moshi", NULL);

  g_assert_nonnull (moshi);
  g_object_set (moshi, "uri", uri, NULL);
  if (bitrate >= 0)
    g_object_set (moshi, "bitrate", bitrate, NULL);
  if (complexity >= 0)
    g_object_set (moshi, "complexity", complexity, NULL);
  g_object_get (moshi, "bitrate", &bitrate, "complexity", &complexity, NULL);
  return moshi;
}

static void
report (const gchar * what, const MeasureUsage * a, const MeasureUsage * b)
{
  g_print ("%s: %.0f times real time by the clock, %.0f by its CPU time, "
      "%.1f switches a second of speech\n", what,
      seconds * 1e6 / (b->time - a->time), seconds * 1e6 / (b->cpu - a->cpu),
      (b->switches - a->switches) / (gdouble) seconds);
}

static void
run_element (Bench * self, guint port)
{
  GstElement *pipeline = gst_pipeline_new (NULL);
  GstElement *moshi = make_moshi (port);
  MeasureUsage a, b;
  GstPad *feed;

  gst_bin_add (GST_BIN (pipeline), moshi);
  feed = link_pads (self, moshi);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  push_start (feed);
  measure_usage (&a);
  push_speech (self, feed);
  g_mutex_lock (&self->lock);
  while (!self->ended)
    g_cond_wait (&self->cond, &self->lock);
  g_mutex_unlock (&self->lock);
  measure_usage (&b);
  g_assert_cmpuint (self->taken, ==, (guint64) seconds * RATE * 2);
  report ("moshi", &a, &b);
  gst_element_set_state (pipeline, GST_STATE_NULL);
}

/* What is tuned for which bit rate is told in moshiopus.c. */
static void
run_codec (Bench * self, gint application)
{
  OpusEncoder *encoder = opus_encoder_create (RATE, 1, application, NULL);
  OpusDecoder *decoder = opus_decoder_create (RATE, 1, NULL);
  gint16 samples[MEASURE_FRAME];
  guint8 packet[1275];
  MeasureUsage a, b;
  guint64 at;

  opus_encoder_ctl (encoder, OPUS_SET_BITRATE (bitrate));
  opus_encoder_ctl (encoder, OPUS_SET_COMPLEXITY (complexity));
  measure_usage (&a);
  for (at = 0; at < (guint64) seconds * RATE; at += MEASURE_FRAME) {
    gint size = opus_encode (encoder,
        self->speech + at % (self->n_samples - MEASURE_FRAME), MEASURE_FRAME,
        packet, sizeof packet);

    if (opus_decode (decoder, packet, size, samples, MEASURE_FRAME, 0) < 0)
      g_error ("a packet cannot be decoded");
  }
  measure_usage (&b);
  report (application == OPUS_APPLICATION_VOIP ? "libopus, tuned for voice" :
      "libopus, CELT alone", &a, &b);
  opus_encoder_destroy (encoder);
  opus_decoder_destroy (decoder);
}

int
main (int argc, char **argv)
{
  g_autoptr (GOptionContext) context = g_option_context_new ("SPEECH");
  g_autoptr (GError) error = NULL;
  g_autoptr (GSubprocess) echo = NULL;
  Bench bench = { NULL, };
  gsize n_frames;
  guint port;

  if (argc > 1 && g_str_equal (argv[1], "echo"))
    return measure_run_echo (NULL);
  g_option_context_add_main_entries (context, options, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error))
    g_error ("%s", error->message);
  if (argc != 2 || length < 1)
    g_error ("%s", g_option_context_get_help (context, TRUE, NULL));

  gst_init (NULL, NULL);
  g_mutex_init (&bench.lock);
  g_cond_init (&bench.cond);
  bench.speech = measure_load_speech (argv[1], &n_frames);
  bench.n_samples = n_frames * MEASURE_FRAME;
  echo = measure_start_echo (argv[0], NULL, &port);
  run_element (&bench, port);
  run_codec (&bench, OPUS_APPLICATION_VOIP);
  run_codec (&bench, OPUS_APPLICATION_RESTRICTED_LOWDELAY);
  g_subprocess_force_exit (echo);
  return 0;
}
