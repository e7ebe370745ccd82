/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * GStreamer's own elements from samples to Ogg pages and back, with no network
 * between them: opusenc ! oggmux, and oggdemux ! opusdec.
 */
#include "sessions.h"

#include <gst/gst.h>

#define RAW "audio/x-raw,format=S16LE,layout=interleaved,rate=24000,channels=1"

typedef struct
{
  GstElement *pipeline;
  GstElement *source;
  GstElement *back;
  GstClockTime next;
  gint answered;                /* atomic */
} Session;

static Session *sessions;
static guint n_sessions;

static void
on_page (GstElement * sink, GstBuffer * buffer, GstPad * pad,
    gpointer user_data)
{
  Session *self = user_data;
  GstBuffer *copy = gst_buffer_copy (buffer);
  GstFlowReturn ret;

  GST_BUFFER_PTS (copy) = GST_BUFFER_DTS (copy) = GST_CLOCK_TIME_NONE;
  GST_BUFFER_OFFSET (copy) = GST_BUFFER_OFFSET_END (copy) =
      GST_BUFFER_OFFSET_NONE;
  g_signal_emit_by_name (self->back, "push-buffer", copy, &ret);
  gst_buffer_unref (copy);
}

static void
on_samples (GstElement * sink, GstBuffer * buffer, GstPad * pad,
    gpointer user_data)
{
  g_atomic_int_inc (&((Session *) user_data)->answered);
}

static void
start_session (Session * self, const SessionsSetup * setup)
{
  g_autoptr (GError) error = NULL;
  g_autofree gchar *launch =
      g_strdup_printf ("appsrc name=in format=time max-bytes=0 caps=" RAW
      " ! opusenc audio-type=%s complexity=%d bitrate=%d ! "
      "oggmux max-delay=0 max-page-delay=0 ! fakesink name=page sync=false "
      "async=false signal-handoffs=true "
      "appsrc name=back format=bytes max-bytes=0 caps=application/ogg ! "
      "oggdemux ! opusdec ! " RAW " ! fakesink name=out sync=false async=false "
      "signal-handoffs=true",
      setup->bitrate < 48000 ? "voice" : "generic",
      setup->complexity, setup->bitrate);
  GstElement *sink;

  self->pipeline = gst_parse_launch (launch, &error);
  g_assert_no_error (error);
  self->source = gst_bin_get_by_name (GST_BIN (self->pipeline), "in");
  self->back = gst_bin_get_by_name (GST_BIN (self->pipeline), "back");
  sink = gst_bin_get_by_name (GST_BIN (self->pipeline), "page");
  g_signal_connect (sink, "handoff", G_CALLBACK (on_page), self);
  gst_object_unref (sink);
  sink = gst_bin_get_by_name (GST_BIN (self->pipeline), "out");
  g_signal_connect (sink, "handoff", G_CALLBACK (on_samples), self);
  gst_object_unref (sink);
  gst_element_set_state (self->pipeline, GST_STATE_PLAYING);
}

static void
start (const SessionsSetup * setup)
{
  guint i;

  gst_init (NULL, NULL);
  n_sessions = setup->n;
  sessions = g_new0 (Session, n_sessions);
  for (i = 0; i < n_sessions; i++)
    start_session (&sessions[i], setup);
}

static void
feed (guint i, const gint16 * frame)
{
  Session *self = &sessions[i];
  GstBuffer *buffer = gst_buffer_new_wrapped_full (GST_MEMORY_FLAG_READONLY,
      (gpointer) frame, MEASURE_FRAME * 2, 0, MEASURE_FRAME * 2, NULL, NULL);
  GstFlowReturn ret;

  GST_BUFFER_PTS (buffer) = self->next;
  GST_BUFFER_DURATION (buffer) = 20 * GST_MSECOND;
  self->next += 20 * GST_MSECOND;
  g_signal_emit_by_name (self->source, "push-buffer", buffer, &ret);
  gst_buffer_unref (buffer);
}

static guint64
count (void)
{
  guint64 sum = 0;
  guint i;

  for (i = 0; i < n_sessions; i++)
    sum += g_atomic_int_get (&sessions[i].answered);
  return sum;
}

static gdouble
get_lateness (void)
{
  return 0;
}

static void
stop (void)
{
  guint i;

  for (i = 0; i < n_sessions; i++)
    gst_element_set_state (sessions[i].pipeline, GST_STATE_NULL);
}

const SessionsKind sessions_stock = { start, feed, NULL, count, get_lateness,
  stop
};
