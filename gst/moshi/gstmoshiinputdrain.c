/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How the speaking half ends: the tail, and what it takes to get every answer
 *
 * The server answers frame for frame, so that the last answers come only if
 * something is sent after the last input. */

#include "gstmoshiinputprivate.h"

#include "gstmoshischedule.h"

/* Batch: the last packet, the tail, and what it takes to get every answer. */
static GstFlowReturn
finish_batch (GstMoshiInput * self)
{
  const guint64 end =
      gst_moshi_timeline_get_length (&self->timeline) + self->tail;
  GstMoshiTalk *talk = self->talk;
  guint64 n_frames =
      (self->tail + GST_MOSHI_FLUSH_TICKS) / gst_moshi_input_get_unit (self);

  g_mutex_lock (&talk->lock);
  talk->run_length = end;
  talk->end = talk->run_start + end;
  talk->input_eos = TRUE;
  if (talk->schedule)
    gst_moshi_schedule_hear_locked (talk->schedule, NULL);
  gst_moshi_talk_wake_locked (talk);
  g_mutex_unlock (&talk->lock);

  if (self->opus)
    return gst_moshi_input_send_silent_packets (self,
        self->tail + GST_MOSHI_FLUSH_TICKS);
  return gst_moshi_input_feed (self, NULL,
      gst_moshi_framer_fill_up (&self->framer, n_frames));
}

/* The tail of a pair goes up in real time, whatever came before it, and from now
 * on: input that is not live may be far behind the clock. */
static void
begin_paired_tail (GstMoshiInput * self)
{
  GstClockTime now = gst_element_get_current_running_time (self->element);

  g_mutex_lock (&self->lock);
  if (self->timeline.running && !gst_moshi_input_is_live (self)
      && GST_CLOCK_TIME_IS_VALID (now))
    gst_moshi_input_follow (self, now);
  g_mutex_unlock (&self->lock);
  gst_moshi_talk_set_input_live (self->talk, TRUE);
}

/**
 * gst_moshi_input_eos:
 * @self: a speaking half
 *
 * Streaming thread: no more input comes. In batch this sends the tail, and
 * waits as gst_moshi_input_chain() does; live the tail is given by
 * gst_moshi_input_fill() as time goes by.
 *
 * Returns: as gst_moshi_input_chain()
 */
GstFlowReturn
gst_moshi_input_eos (GstMoshiInput * self)
{
  GstMoshiTalk *talk = self->talk;
  GstFlowReturn ret = GST_FLOW_OK;
  gboolean live;

  if (talk->paired)
    begin_paired_tail (self);
  live = gst_moshi_input_is_live (self);

  g_mutex_lock (&self->lock);
  if (!live && self->timeline.running)
    ret = finish_batch (self);
  self->timeline.running = self->timeline.running && live;
  g_mutex_unlock (&self->lock);

  g_mutex_lock (&talk->lock);
  if (!talk->input_eos) {
    talk->input_eos = TRUE;
    talk->end =
        talk->sent + self->framer.fill * gst_moshi_input_get_unit (self) +
        self->tail;
  }
  talk->input_done = TRUE;
  talk->done_time = g_get_monotonic_time ();
  gst_moshi_talk_wake_locked (talk);
  g_mutex_unlock (&talk->lock);
  return ret;
}

static gint64
get_drain_deadline_locked (GstMoshiInput * self)
MOSHI_REQUIRES (self->talk->lock)
{
  return MAX (self->talk->done_time, self->talk->last_answer)
      + self->drain_timeout;
}

/* Waits until the server takes more of a tail that nobody listens to. */
static gboolean
wait_alone (GstMoshiInput * self)
{
  GstMoshiTalk *talk = self->talk;
  gboolean room = FALSE, in_time = TRUE;

  g_mutex_lock (&talk->lock);
  while (!room && in_time && talk->sent < talk->end && !talk->schedule
      && talk->ready && !talk->failed && !talk->input_flushing) {
    room = talk->sent < talk->received + GST_MOSHI_WINDOW;
    if (!room)
      in_time = gst_moshi_talk_wait_until_locked (talk,
          get_drain_deadline_locked (self));
  }
  g_mutex_unlock (&talk->lock);
  return room;
}

/* Nobody listens, so nobody keeps the server fed as time goes by: what is left
 * goes up as fast as the server takes it. */
static void
finish_alone (GstMoshiInput * self)
{
  while (wait_alone (self)) {
    g_mutex_lock (&self->lock);
    if (self->opus)
      gst_moshi_input_send_silent_packets (self, self->framer.frame_ticks);
    else
      gst_moshi_input_feed (self, NULL, gst_moshi_framer_fill_up (&self->framer,
              1));
    g_mutex_unlock (&self->lock);
  }
}

/**
 * gst_moshi_input_wait_drained:
 * @self: a speaking half of a pair, after gst_moshi_input_eos()
 *
 * Streaming thread: waits until the listening half has played every answer, or
 * waits in vain. Where nobody listens it sends the tail.
 *
 * Returns: %FALSE if a flush has ended the wait
 */
gboolean
gst_moshi_input_wait_drained (GstMoshiInput * self)
{
  GstMoshiTalk *talk = self->talk;
  gboolean flushing;

  g_mutex_lock (&talk->lock);
  while (!talk->input_flushing && !talk->failed && talk->ready
      && talk->schedule && !talk->output_done) {
    if (!gst_moshi_talk_wait_until_locked (talk,
            get_drain_deadline_locked (self)))
      break;
  }
  g_mutex_unlock (&talk->lock);

  finish_alone (self);
  g_mutex_lock (&talk->lock);
  flushing = talk->input_flushing;
  g_mutex_unlock (&talk->lock);
  return !flushing;
}
