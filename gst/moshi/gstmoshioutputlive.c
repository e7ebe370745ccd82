/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The listening half's live steps: what is decoded, played, concealed, cut
 *
 * The schedule has chosen the step; here it becomes sound, and the schedule is
 * told how much of it was taken and made. */

#include "gstmoshioutputprivate.h"

/* Live: the step is taken, and the position moves on. */
static void
step_done (GstMoshiOutput * self, const GstMoshiStep * step, guint taken,
    guint made)
{
  g_mutex_lock (&self->talk->lock);
  gst_moshi_schedule_done_locked (&self->schedule, step, taken, made);
  g_mutex_unlock (&self->talk->lock);
}

/**
 * gst_moshi_output_get_end_position:
 * @self: a listening half, live
 *
 * Returns: where what comes next will be heard, but for what is cut before it,
 *     in ticks of the output
 */
guint64
gst_moshi_output_get_end_position (GstMoshiOutput * self)
{
  guint64 position;

  g_mutex_lock (&self->talk->lock);
  position = gst_moshi_schedule_get_position_locked (&self->schedule)
      + self->schedule.decoded;
  g_mutex_unlock (&self->talk->lock);
  return position;
}

/* Live, Opus: packets are pushed as they are. */
static GstFlowReturn
push_live_packet (GstMoshiOutput * self, const GstMoshiStep * step)
{
  const GstMoshiStep played = {.kind = GST_MOSHI_STEP_PLAY,.item = step->item,
    .generation = step->generation
  };
  guint64 position = gst_moshi_output_get_position (self);
  GstBuffer *buffer = gst_moshi_output_render (self, step->item, position);

  step_done (self, &played, step->item->duration, step->item->duration);
  return gst_moshi_output_push_buffer (self, buffer, position,
      step->item->duration);
}

/* Tells the playout what is loud of what was decoded last. */
static void
describe_locked (GstMoshiOutput * self, guint64 from, guint duration)
MOSHI_REQUIRES (self->talk->lock)
{
  guint at, part;

  for (at = 0; at < duration; at += part) {
    part = MIN (duration - at, GST_MOSHI_VOICE_PART);
    moshi_playout_describe (self->schedule.playout, part,
        gst_moshi_voice_judge (&self->voice, from + at, part));
  }
}

/* Live, raw: decodes a packet, to be played later */
static GstFlowReturn
decode_live_packet (GstMoshiOutput * self, const GstMoshiStep * step)
{
  guint64 from = gst_moshi_voice_get_queued (&self->voice);
  g_autoptr (GstBuffer) buffer =
      gst_moshi_output_render (self, step->item,
      gst_moshi_output_get_end_position (self));

  gst_moshi_voice_add (&self->voice, buffer);
  g_mutex_lock (&self->talk->lock);
  if (gst_moshi_schedule_decoded_locked (&self->schedule, step,
          step->item->duration))
    describe_locked (self, from, step->item->duration);
  g_mutex_unlock (&self->talk->lock);
  return GST_FLOW_OK;
}

static GstFlowReturn
play_live (GstMoshiOutput * self, const GstMoshiStep * step)
{
  guint64 position = gst_moshi_output_get_position (self);
  guint taken, made;
  GstBuffer *buffer = gst_moshi_voice_play (&self->voice, (guint) step->ticks,
      step->pace, step->spare, &taken, &made);

  step_done (self, step, taken, made);
  return gst_moshi_output_push_buffer (self, buffer, position, made);
}

static GstFlowReturn
conceal (GstMoshiOutput * self, const GstMoshiStep * step)
{
  guint64 position = gst_moshi_output_get_position (self), made = step->ticks;
  GstBuffer *buffer = self->format.opus ?
      gst_moshi_format_silence (&self->format, step->ticks, &made) :
      gst_moshi_voice_conceal (&self->voice, (guint) step->ticks);

  step_done (self, step, 0, (guint) made);
  return gst_moshi_output_push_buffer (self, buffer, position, made);
}

/* Live: audio that is not to be played */
static GstFlowReturn
skip (GstMoshiOutput * self, const GstMoshiStep * step)
{
  if (step->item == NULL)
    gst_moshi_voice_skip (&self->voice, (guint) step->ticks);
  if (step->kind == GST_MOSHI_STEP_DROP)
    self->dropped += step->ticks;
  step_done (self, step, (guint) step->ticks, 0);
  return GST_FLOW_OK;
}

/* Live, Opus: tells the playout where there is speech in a packet. */
static GstFlowReturn
listen (GstMoshiOutput * self, const GstMoshiStep * step)
{
  guint loud = gst_moshi_voice_listen (&self->voice, step->item->bytes,
      step->item->duration);

  g_mutex_lock (&self->talk->lock);
  gst_moshi_schedule_listened_locked (&self->schedule, step, loud);
  g_mutex_unlock (&self->talk->lock);
  return GST_FLOW_OK;
}

static GstFlowReturn
push_live_silence (GstMoshiOutput * self, const GstMoshiStep * step)
{
  guint64 position = gst_moshi_output_get_position (self), made;
  GstBuffer *buffer = self->format.opus ?
      gst_moshi_format_silence (&self->format, step->ticks, &made) :
      gst_moshi_voice_silence (&self->voice, step->ticks, &made);

  step_done (self, step, 0, (guint) made);
  return gst_moshi_output_push_buffer (self, buffer, position, made);
}

/**
 * gst_moshi_output_take_live_step:
 * @self: a listening half, live
 * @step: one that has to do with sound
 *
 * Pushing task. Raw output is decoded when it is there and played when its time
 * has come; of Opus only what is played is touched.
 *
 * Returns: as gst_moshi_output_push_buffer(), %GST_FLOW_OK where nothing was
 *     pushed
 */
GstFlowReturn
gst_moshi_output_take_live_step (GstMoshiOutput * self,
    const GstMoshiStep * step)
{
  switch (step->kind) {
    case GST_MOSHI_STEP_ITEM:
      return self->format.opus ? push_live_packet (self, step) :
          decode_live_packet (self, step);
    case GST_MOSHI_STEP_LISTEN:
      return listen (self, step);
    case GST_MOSHI_STEP_PLAY:
      return step->item ? push_live_packet (self, step) :
          play_live (self, step);
    case GST_MOSHI_STEP_CONCEAL:
      return conceal (self, step);
    case GST_MOSHI_STEP_SILENCE:
      return push_live_silence (self, step);
    default:
      return skip (self, step);
  }
}
