/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * N elements `moshi`, each in a pipeline of its own with the bench before and
 * behind it: a live source that has its frame in time, and a sink that waits for
 * nothing and looks at the time. Or the same with a `queue` in the element's place:
 * what GStreamer alone takes, a thread each included.
 */
#include "sessions.h"

#include <gst/gst.h>
#include <opus/opus.h>

#define LATENCY_MS 60

typedef struct
{
  GstElement *pipeline;
  GstElement *moshi;
  GstPad *feed;
  GstPad *take;
  GstClockTime next;            /* running time of the next frame */
  OpusEncoder *encoder;         /* of what goes through as it is */
  gint answered;                /* atomic */
  gint worst;                   /* atomic, µs */
} Session;

static Session *sessions;
static SessionsSetup setup;

static gboolean
answer_query (GstPad * pad, GstObject * parent, GstQuery * query)
{
  if (GST_QUERY_TYPE (query) != GST_QUERY_LATENCY)
    return FALSE;
  gst_query_set_latency (query, TRUE, 0, GST_CLOCK_TIME_NONE);
  return TRUE;
}

static GstFlowReturn
take (GstPad * pad, GstObject * parent, GstBuffer * buffer)
{
  Session *self = gst_pad_get_element_private (pad);
  GstClockTime now = gst_element_get_current_running_time (self->moshi);
  GstClockTime due = GST_BUFFER_PTS (buffer) + LATENCY_MS * GST_MSECOND;
  gint late = now > due ? (now - due) / 1000 : 0;

  if (!GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_GAP))
    g_atomic_int_inc (&self->answered);
  if (late > g_atomic_int_get (&self->worst))
    g_atomic_int_set (&self->worst, late);
  gst_buffer_unref (buffer);
  return GST_FLOW_OK;
}

static gboolean
take_event (GstPad * pad, GstObject * parent, GstEvent * event)
{
  gst_event_unref (event);
  return TRUE;
}

static GstCaps *
make_caps (void)
{
  return gst_caps_from_string (setup.opus ?
      "audio/x-opus,channel-mapping-family=0,channels=1,rate=48000" :
      "audio/x-raw,format=S16LE,layout=interleaved,rate=24000,channels=1");
}

static gboolean
take_query (GstPad * pad, GstObject * parent, GstQuery * query)
{
  g_autoptr (GstCaps) caps = NULL;

  if (GST_QUERY_TYPE (query) != GST_QUERY_CAPS)
    return gst_pad_query_default (pad, parent, query);
  caps = make_caps ();
  gst_query_set_caps_result (query, caps);
  return TRUE;
}

static void
link_pads (Session * self)
{
  GstPad *sink = gst_element_get_static_pad (self->moshi, "sink");
  GstPad *src = gst_element_get_static_pad (self->moshi, "src");

  self->feed = gst_pad_new ("feed", GST_PAD_SRC);
  gst_pad_set_query_function (self->feed, answer_query);
  gst_pad_set_active (self->feed, TRUE);
  gst_pad_link_full (self->feed, sink, GST_PAD_LINK_CHECK_NOTHING);
  self->take = gst_pad_new ("take", GST_PAD_SINK);
  gst_pad_set_element_private (self->take, self);
  gst_pad_set_chain_function (self->take, take);
  gst_pad_set_event_function (self->take, take_event);
  gst_pad_set_query_function (self->take, take_query);
  gst_pad_set_active (self->take, TRUE);
  gst_pad_link_full (src, self->take, GST_PAD_LINK_CHECK_NOTHING);
  gst_object_unref (sink);
  gst_object_unref (src);
}

static void
push_start (Session * self)
{
  g_autoptr (GstCaps) caps = make_caps ();
  GstSegment segment;

  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_pad_push_event (self->feed, gst_event_new_stream_start ("speech"));
  gst_pad_push_event (self->feed, gst_event_new_caps (caps));
  gst_pad_push_event (self->feed, gst_event_new_segment (&segment));
}

static gboolean
accept_certificate (GstElement * moshi, GTlsCertificate * certificate,
    GTlsCertificateFlags errors, gpointer user_data)
{
  return TRUE;
}

static void
set_trust (Session * self)
{
  if (setup.system)
    g_signal_connect (self->moshi, "accept-certificate",
        G_CALLBACK (accept_certificate), NULL);
  else if (setup.ca)
    g_object_set (self->moshi, "tls-ca-file", setup.ca, NULL);
}

static void
start_session (Session * self)
{
  g_autofree gchar *uri = g_strdup_printf ("%s://127.0.0.1:%u/",
      setup.ca ? "wss" : "ws", setup.port);

  self->pipeline = gst_pipeline_new (NULL);
  self->moshi = gst_element_factory_make (setup.bare ? "queue" : "moshi", NULL);
  g_assert_nonnull (self->moshi);
  if (!setup.bare) {
    g_object_set (self->moshi, "uri", uri, "complexity", setup.complexity,
        "bitrate", setup.bitrate, "latency", LATENCY_MS, NULL);
    set_trust (self);
  }
  /* Nobody would take the messages, and they would count. */
  gst_bus_set_flushing (GST_ELEMENT_BUS (self->pipeline), TRUE);
  gst_bin_add (GST_BIN (self->pipeline), self->moshi);
  link_pads (self);
  g_assert_cmpint (gst_element_set_state (self->pipeline, GST_STATE_PLAYING),
      !=, GST_STATE_CHANGE_FAILURE);
  push_start (self);
  self->next = GST_CLOCK_TIME_NONE;
  if (setup.opus) {
    self->encoder = opus_encoder_create (24000, 1, OPUS_APPLICATION_VOIP, NULL);
    opus_encoder_ctl (self->encoder, OPUS_SET_COMPLEXITY (0));
  }
}

static gboolean
is_ready (Session * self)
{
  g_autoptr (GstStructure) stats = NULL;
  guint n = 0;

  g_object_get (self->moshi, "stats", &stats, NULL);
  gst_structure_get_uint (stats, "sessions", &n);
  return n > 0;
}

static void
start (const SessionsSetup * wanted)
{
  guint i;

  gst_init (NULL, NULL);
  setup = *wanted;
  sessions = g_new0 (Session, setup.n);
  for (i = 0; i < setup.n; i++)
    start_session (&sessions[i]);
  for (i = 0; i < setup.n && !setup.bare; i++)
    while (!is_ready (&sessions[i]))
      g_usleep (10000);
}

/* Speech as it is, or packets made once of a second of it: what they cost is
 * not to be measured */
static GstBuffer *
make_buffer (const gint16 * frame)
{
  static GBytes *packets[50];
  static guint n;
  guint8 data[1275];
  gint size;

  if (!setup.opus)
    return gst_buffer_new_wrapped_full (GST_MEMORY_FLAG_READONLY,
        (gpointer) frame, MEASURE_FRAME * 2, 0, MEASURE_FRAME * 2, NULL, NULL);
  n = (n + 1) % G_N_ELEMENTS (packets);
  if (packets[n] == NULL) {
    size = opus_encode (sessions[0].encoder, frame, MEASURE_FRAME, data,
        sizeof data);
    packets[n] = g_bytes_new (data, size);
  }
  return gst_buffer_new_wrapped_bytes (packets[n]);
}

static void
feed (guint i, const gint16 * frame)
{
  Session *self = &sessions[i];
  GstBuffer *buffer = make_buffer (frame);
  GstClockTime now = gst_element_get_current_running_time (self->moshi);

  if (!GST_CLOCK_TIME_IS_VALID (self->next))
    self->next = now > 20 * GST_MSECOND ? now - 20 * GST_MSECOND : 0;
  GST_BUFFER_PTS (buffer) = self->next;
  GST_BUFFER_DURATION (buffer) = 20 * GST_MSECOND;
  self->next += 20 * GST_MSECOND;
  gst_pad_push (self->feed, buffer);
}

static guint64
count (void)
{
  guint64 sum = 0;
  guint i;

  for (i = 0; i < setup.n; i++)
    sum += g_atomic_int_get (&sessions[i].answered);
  return sum;
}

static gdouble
get_lateness (void)
{
  gint worst = 0;
  guint i;

  for (i = 0; i < setup.n; i++) {
    worst = MAX (worst, g_atomic_int_get (&sessions[i].worst));
    g_atomic_int_set (&sessions[i].worst, 0);
  }
  return worst / 1000.0;
}

static void
stop (void)
{
  guint i;

  for (i = 0; i < setup.n; i++)
    gst_element_set_state (sessions[i].pipeline, GST_STATE_NULL);
}

const SessionsKind sessions_elements = { start, feed, NULL, count,
  get_lateness, stop
};
