/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How the speaking half sends: samples and silence to packets on the session */

#include "gstmoshiinputprivate.h"

/* Shortest Opus frame, 2.5 ms */
#define MIN_FRAME_TICKS 120

/**
 * gst_moshi_input_send_packet:
 * @user_data: a speaking half, locked
 * @packet: Opus
 * @ticks: its length
 * @loud: whether there is speech in it
 *
 * Sends a packet as the next of the timeline: what the framer does with those
 * it has made. In batch it waits, as gst_moshi_input_chain() says.
 *
 * Returns: as gst_moshi_input_chain()
 */
GstFlowReturn
gst_moshi_input_send_packet (gpointer user_data, GBytes * packet, guint ticks,
    gboolean loud)
{
  GstMoshiInput *self = user_data;

  self->encoded += ticks;
  return gst_moshi_talk_send (self->talk, self->element, packet, ticks, loud,
      self->timeline.origin + gst_moshi_ticks_to_time (self->encoded));
}

/* Once an error is on the bus upstream stops without adding another. */
static GstFlowReturn
fail_encoding (GstMoshiInput * self, const GError * error)
{
  GST_ELEMENT_ERROR (self->element, STREAM, ENCODE, (NULL),
      ("%s", error->message));
  gst_moshi_talk_fail (self->talk);
  return GST_FLOW_EOS;
}

/**
 * gst_moshi_input_feed:
 * @self: a speaking half, locked
 * @data: (nullable): samples as the caps say, %NULL for silence
 * @n_frames: how many, of all channels
 *
 * Encodes and sends them. An error is posted.
 *
 * Returns: as gst_moshi_input_chain()
 */
GstFlowReturn
gst_moshi_input_feed (GstMoshiInput * self, const guint8 * data,
    guint64 n_frames)
{
  g_autoptr (GError) error = NULL;
  GstFlowReturn ret = gst_moshi_framer_feed (&self->framer, data, n_frames,
      &error);

  return error ? fail_encoding (self, error) : ret;
}

/**
 * gst_moshi_input_get_unit:
 * @self: a speaking half, locked
 *
 * Returns: ticks of a sample of the input
 */
guint
gst_moshi_input_get_unit (GstMoshiInput * self)
{
  return gst_moshi_framer_get_unit (&self->framer);
}

/**
 * gst_moshi_input_flush_partial:
 * @self: a speaking half, locked
 *
 * Sends what is left of a frame, filled up with silence. An error is posted.
 */
void
gst_moshi_input_flush_partial (GstMoshiInput * self)
{
  g_autoptr (GError) error = NULL;
  guint pad;

  gst_moshi_framer_flush (&self->framer, &pad, &error);
  if (error)
    fail_encoding (self, error);
  gst_moshi_timeline_pad (&self->timeline, pad);
}

/**
 * gst_moshi_input_report_length:
 * @self: a speaking half, locked
 * @trimmed: ticks that were cut, to be counted
 *
 * Tells the listening half how far the input is.
 */
void
gst_moshi_input_report_length (GstMoshiInput * self, guint64 trimmed)
{
  GstMoshiTalk *talk = self->talk;

  g_mutex_lock (&talk->lock);
  talk->run_length = gst_moshi_timeline_get_length (&self->timeline);
  talk->input_trimmed += trimmed;
  if (!talk->live)
    gst_moshi_talk_wake_locked (talk);
  g_mutex_unlock (&talk->lock);
}

/**
 * gst_moshi_input_is_live:
 * @self: a speaking half with a talk
 *
 * Returns: whether what is given comes as time goes by
 */
gboolean
gst_moshi_input_is_live (GstMoshiInput * self)
{
  gboolean live;

  g_mutex_lock (&self->talk->lock);
  live = self->talk->input_live;
  g_mutex_unlock (&self->talk->lock);
  return live;
}

/**
 * gst_moshi_input_send_silent_packets:
 * @self: a speaking half, locked
 * @ticks: how long
 *
 * Sends packets of silence, as many as fit, with no encoder.
 *
 * Returns: as gst_moshi_input_chain()
 */
GstFlowReturn
gst_moshi_input_send_silent_packets (GstMoshiInput * self, guint64 ticks)
{
  static const guint durations[] = { 960, 480, 240, 120 };
  GstFlowReturn ret = GST_FLOW_OK;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (durations); i++) {
    gsize size;
    const guint8 *data = moshi_opus_silence_packet (durations[i], 1, &size);
    g_autoptr (GBytes) packet = g_bytes_new_static (data, size);

    for (; ticks >= durations[i] && ret == GST_FLOW_OK; ticks -= durations[i])
      ret = gst_moshi_input_send_packet (self, packet, durations[i], FALSE);
  }
  return ret;
}

/**
 * gst_moshi_input_feed_silence:
 * @self: a speaking half, locked
 * @ticks: how long; what is less than a sample, or a packet, is left
 *
 * Sends silence where nothing was given, and counts it.
 *
 * Returns: as gst_moshi_input_chain()
 */
GstFlowReturn
gst_moshi_input_feed_silence (GstMoshiInput * self, guint64 ticks)
{
  ticks -=
      ticks % (self->opus ? MIN_FRAME_TICKS : gst_moshi_input_get_unit (self));
  self->timeline.next += ticks;
  g_mutex_lock (&self->talk->lock);
  self->talk->input_filled += ticks;
  g_mutex_unlock (&self->talk->lock);
  /* Before it is sent: a gap longer than the window goes up as its answers
   * go out, which they do up to this length. */
  gst_moshi_input_report_length (self, 0);
  if (self->opus)
    return gst_moshi_input_send_silent_packets (self, ticks);
  return gst_moshi_input_feed (self, NULL,
      ticks / gst_moshi_input_get_unit (self));
}

/**
 * gst_moshi_input_follow:
 * @self: a speaking half, locked
 * @time: running time
 *
 * Lets the next sample stand at @time, nothing filled nor cut.
 */
void
gst_moshi_input_follow (GstMoshiInput * self, GstClockTime time)
{
  gst_moshi_timeline_follow (&self->timeline, time);
  self->encoded = MIN (self->encoded, self->timeline.next);
}
