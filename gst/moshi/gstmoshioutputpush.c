/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How the listening half gets things out of its src pad
 *
 * stream-start, caps and segment go out from one place, before the first buffer
 * that needs them; buffers are stamped by their position, counted in ticks, so
 * that nothing adds up. */

#include "gstmoshioutputprivate.h"

#define GST_CAT_DEFAULT gst_moshi_output_debug

/**
 * gst_moshi_output_get_position:
 * @self: a listening half
 *
 * Returns: where the next buffer stands, in ticks of the output
 */
guint64
gst_moshi_output_get_position (GstMoshiOutput * self)
{
  guint64 position;

  g_mutex_lock (&self->talk->lock);
  position = gst_moshi_schedule_get_position_locked (&self->schedule);
  g_mutex_unlock (&self->talk->lock);
  return position;
}

static void
push_stream_start (GstMoshiOutput * self)
{
  g_autofree gchar *id =
      gst_moshi_format_dup_stream_id (self->element, "speech");
  GstEvent *event = gst_event_new_stream_start (id);
  guint group_id = gst_util_group_id_next ();

  gst_event_set_group_id (event, group_id);
  gst_pad_push_event (self->pad, event);
  gst_moshi_words_set_stream (self->words, group_id);
  self->started = TRUE;
}

static gboolean
negotiate (GstMoshiOutput * self)
{
  g_autoptr (GstCaps) caps = gst_moshi_format_choose_caps (self->pad,
      gst_moshi_words_get_server_tags (self->words));
  g_autoptr (GError) error = NULL;

  if (caps == NULL)
    return FALSE;
  GST_INFO_OBJECT (self->element, "output is %" GST_PTR_FORMAT, caps);
  if (!gst_pad_push_event (self->pad, gst_event_new_caps (caps)))
    return FALSE;
  if (!gst_moshi_format_set_caps (&self->format, caps, &error)) {
    GST_WARNING_OBJECT (self->element, "%s", error->message);
    return FALSE;
  }

  g_mutex_lock (&self->talk->lock);
  self->schedule.unit = gst_moshi_format_get_unit (&self->format);
  self->schedule.whole_packets = self->format.opus;
  if (self->format.opus && self->schedule.position == 0)
    self->schedule.model_delay =
        gst_moshi_format_round_to_packets (self->schedule.model_delay);
  g_mutex_unlock (&self->talk->lock);
  return TRUE;
}

static GstClockTime
position_to_pts (GstMoshiOutput * self, guint64 position)
{
  return self->schedule.base + gst_moshi_ticks_to_time (position);
}

static void
push_segment (GstMoshiOutput * self)
{
  const GstSegment *segment = &self->schedule.segment;
  const guint64 delay = self->talk->live ? 0 : self->schedule.model_delay;

  gst_pad_push_event (self->pad, gst_event_new_segment (segment));
  self->segment_sent = TRUE;
  gst_moshi_words_set_segment (self->words, self->schedule.run, segment,
      position_to_pts (self, delay), position_to_pts (self,
          gst_moshi_output_get_position (self)));
  /* What has come before it was known what to make of it */
  g_mutex_lock (&self->talk->lock);
  gst_moshi_schedule_hear_locked (&self->schedule, NULL);
  g_mutex_unlock (&self->talk->lock);
}

/* What is rendered goes out as it is, before anything changes. */
static gboolean
must_negotiate (GstMoshiOutput * self)
{
  gboolean waits;

  if (self->schedule.unit == 0) {
    gst_pad_check_reconfigure (self->pad);
    return TRUE;
  }
  if (!gst_pad_needs_reconfigure (self->pad))
    return FALSE;
  g_mutex_lock (&self->talk->lock);
  waits = self->schedule.decoded > 0;
  self->schedule.changing = waits;
  g_mutex_unlock (&self->talk->lock);
  return !waits && self->pending == NULL
      && gst_pad_check_reconfigure (self->pad);
}

/**
 * gst_moshi_output_prepare:
 * @self: a listening half
 *
 * Pushing task: sends what has to stand before the next buffer: stream-start,
 * caps where they are new or asked for anew, the segment.
 *
 * Returns: %GST_FLOW_NOT_NEGOTIATED, %GST_FLOW_NOT_LINKED or
 *     %GST_FLOW_FLUSHING where no caps were found that please downstream
 */
GstFlowReturn
gst_moshi_output_prepare (GstMoshiOutput * self)
{
  if (!self->started)
    push_stream_start (self);
  if (must_negotiate (self) && !negotiate (self)) {
    gst_pad_mark_reconfigure (self->pad);
    if (GST_PAD_IS_FLUSHING (self->pad))
      return GST_FLOW_FLUSHING;
    return gst_pad_is_linked (self->pad) ? GST_FLOW_NOT_NEGOTIATED :
        GST_FLOW_NOT_LINKED;
  }
  if (!self->segment_sent)
    push_segment (self);
  return GST_FLOW_OK;
}

/* Batch: what is pushed makes room for input. */
static void
count_pushed (GstMoshiOutput * self, guint64 ticks)
{
  GstMoshiSchedule *schedule = &self->schedule;
  GstMoshiTalk *talk = self->talk;

  g_mutex_lock (&talk->lock);
  schedule->position += ticks;
  talk->pushed = schedule->run_start + schedule->position;
  gst_moshi_talk_wake_locked (talk);
  g_mutex_unlock (&talk->lock);
}

/**
 * gst_moshi_output_push_buffer:
 * @self: a listening half
 * @buffer: (transfer full): of the caps that were chosen
 * @position: where it stands, in ticks of the output
 * @ticks: its length
 *
 * Pushing task: stamps and pushes a buffer. In batch the position moves on by
 * its length; live the playout has moved it already.
 *
 * Returns: what the push gave; %GST_FLOW_OK without a peer, if somebody wants
 *     the words alone
 */
GstFlowReturn
gst_moshi_output_push_buffer (GstMoshiOutput * self, GstBuffer * buffer,
    guint64 position, guint64 ticks)
{
  GstClockTime pts = position_to_pts (self, position);
  GstFlowReturn ret;

  GST_BUFFER_PTS (buffer) = pts;
  GST_BUFFER_DURATION (buffer) = position_to_pts (self, position + ticks) - pts;
  if (self->discont)
    GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_DISCONT);
  self->discont = FALSE;

  /* The text goes ahead: a muxer keeps this buffer until the text is past it,
   * and a sink that prerolls keeps it while another waits for the text. */
  if (self->talk->live)
    gst_moshi_words_advance (self->words, position + ticks);
  else
    gst_moshi_words_pass (self->words, position + ticks
        - MIN (position + ticks, self->schedule.model_delay));
  ret = gst_pad_push (self->pad, buffer);
  if (ret == GST_FLOW_NOT_LINKED && gst_moshi_words_has_pad (self->words))
    ret = GST_FLOW_OK;          /* somebody wants the words alone */

  if (!self->talk->live)
    count_pushed (self, ticks);
  return ret;
}

/**
 * gst_moshi_output_push_silence:
 * @self: a listening half
 * @position: where it begins, in ticks of the output
 * @ticks: its length
 *
 * Pushing task. What is less than a whole sample is left.
 *
 * Returns: as gst_moshi_output_push_buffer()
 */
GstFlowReturn
gst_moshi_output_push_silence (GstMoshiOutput * self, guint64 position,
    guint64 ticks)
{
  GstFlowReturn ret = GST_FLOW_OK;
  guint64 made;

  /* What was planned before the rate was known may not be whole samples. */
  ticks -= ticks % self->schedule.unit;
  while (ticks > 0 && ret == GST_FLOW_OK) {
    GstBuffer *buffer = gst_moshi_format_silence (&self->format, ticks, &made);

    ret = gst_moshi_output_push_buffer (self, buffer, position, made);
    position += made;
    ticks -= made;
  }
  return ret;
}

/**
 * gst_moshi_output_render:
 * @self: a listening half
 * @item: a packet
 * @position: where it will stand, in ticks of the output
 *
 * Pushing task. A packet that cannot be decoded becomes silence, counted.
 *
 * Returns: (transfer full): the packet as a buffer
 */
GstBuffer *
gst_moshi_output_render (GstMoshiOutput * self, const GstMoshiItem * item,
    guint64 position)
{
  g_autoptr (GError) error = NULL;
  GstBuffer *buffer = gst_moshi_format_render (&self->format, item->bytes,
      item->duration, &error);
  gboolean loud = gst_moshi_format_is_loud (&self->format, buffer);
  GstClockTime start = gst_segment_to_running_time
      (&self->schedule.segment, GST_FORMAT_TIME, position_to_pts (self,
          position));

  if (error)
    GST_WARNING_OBJECT (self->element, "silence for a packet: %s",
        error->message);
  g_mutex_lock (&self->talk->lock);
  gst_moshi_talk_said_locked (self->talk, loud, item->duration, start);
  if (error)
    self->talk->output_filled += item->duration;
  g_mutex_unlock (&self->talk->lock);
  return buffer;
}
