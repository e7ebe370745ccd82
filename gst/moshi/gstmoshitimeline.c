/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The input's timeline
 *
 * Each sample of it is sent exactly once. `next` is where the next one stands;
 * a buffer that begins later leaves a gap, to be filled with silence, and of one
 * that begins earlier that much is cut: `skip`.
 *
 * What is sent ahead of the input is part of `next` and of `skip`; if it is no
 * input at all (the padding of a last packet, an Opus stream's pre-skip) it is
 * `padded` as well, and does not count for the length.
 */

#include "gstmoshitimeline.h"

#include "gstmoshitalk.h"

/* Time stamps may stray this far from the count of samples before they are
 * believed: as GstAudioBaseSink's alignment-threshold. */
#define ALIGNMENT (40 * GST_MSECOND)

/* A hole in Opus is a lost packet, mostly of 20 ms: half of that is one, more
 * than any jitter of time stamps. */
#define OPUS_HOLE (10 * GST_MSECOND)

/* With DISCONT they are believed at once, but for rounding. */
#define ROUNDING (1 * GST_MSECOND)

/**
 * gst_moshi_timeline_reset:
 * @self: a timeline
 *
 * Nothing is known of the input: a start, or a flush.
 */
void
gst_moshi_timeline_reset (GstMoshiTimeline * self)
{
  gst_moshi_timeline_begin (self, 0);
  self->running = FALSE;
  gst_segment_init (&self->segment, GST_FORMAT_TIME);
}

/**
 * gst_moshi_timeline_begin:
 * @self: a timeline
 * @running_time: where the first sample stands
 */
void
gst_moshi_timeline_begin (GstMoshiTimeline * self, GstClockTime running_time)
{
  self->running = TRUE;
  self->origin = running_time;
  self->next = self->skip = self->padded = 0;
  self->clipped = 0;
  self->primed = FALSE;
}

/**
 * gst_moshi_timeline_follow:
 * @self: a timeline that runs
 * @running_time: where the next sample is to stand
 *
 * Nothing is filled nor cut.
 */
void
gst_moshi_timeline_follow (GstMoshiTimeline * self, GstClockTime running_time)
{
  const GstClockTime next = gst_moshi_ticks_to_time (self->next);

  self->skip = self->padded = 0;
  if (running_time >= next) {
    self->origin = running_time - next;
  } else {
    /* The count begins anew: the talk's own positions do not depend on it. */
    self->origin = running_time;
    self->next = 0;
  }
}

/**
 * gst_moshi_timeline_get_time:
 * @self: a timeline that runs
 *
 * Returns: running time up to which there is sound, or silence
 */
GstClockTime
gst_moshi_timeline_get_time (const GstMoshiTimeline * self)
{
  return self->origin + gst_moshi_ticks_to_time (self->next);
}

/**
 * gst_moshi_timeline_get_length:
 * @self: a timeline that runs
 *
 * Returns: where the input itself stands: ticks from its origin, less what was
 *     sent and is none
 */
guint64
gst_moshi_timeline_get_length (GstMoshiTimeline * self)
{
  self->padded = MIN (self->padded, self->skip);
  return self->next - self->padded - self->clipped;
}

/**
 * gst_moshi_timeline_find_gap:
 * @self: a timeline that runs
 * @running_time: of what comes next, or %GST_CLOCK_TIME_NONE
 * @discont: whether it says that it does not follow what was before
 * @opus: whether it is a packet
 *
 * Returns: ticks from where the next sample was expected to where it stands; 0
 *     if the difference is to be ignored
 */
gint64
gst_moshi_timeline_find_gap (const GstMoshiTimeline * self,
    GstClockTime running_time, gboolean discont, gboolean opus)
{
  GstClockTimeDiff diff;
  GstClockTime expected, tolerance;

  if (!GST_CLOCK_TIME_IS_VALID (running_time) || self->segment.rate != 1.0)
    return 0;

  expected = self->origin + gst_moshi_ticks_to_time (self->next - self->skip);
  diff = GST_CLOCK_DIFF (expected, running_time);
  tolerance = discont ? ROUNDING : opus && diff > 0 ? OPUS_HOLE : ALIGNMENT;
  if ((GstClockTime) ABS (diff) < tolerance)
    return 0;
  return diff > 0 ? (gint64) gst_moshi_time_to_ticks (diff)
      : -(gint64) gst_moshi_time_to_ticks (-diff);
}

/**
 * gst_moshi_timeline_take_gap:
 * @self: a timeline that runs
 * @gap: what gst_moshi_timeline_find_gap() has found
 *
 * What was sent ahead stands in for the first part of a gap; what comes before
 * its time will be cut.
 *
 * Returns: ticks of silence that are left to be sent
 */
guint64
gst_moshi_timeline_take_gap (GstMoshiTimeline * self, gint64 gap)
{
  gap -= (gint64) self->skip;
  self->skip = gap < 0 ? -gap : 0;
  return MAX (gap, 0);
}

/**
 * gst_moshi_timeline_take_samples:
 * @self: a timeline that runs
 * @n_frames: how many samples come next
 * @unit: ticks of each
 *
 * Returns: how many of them to cut from the front, their time being sent
 *     already
 */
guint64
gst_moshi_timeline_take_samples (GstMoshiTimeline * self, guint64 n_frames,
    guint unit)
{
  const guint64 cut = MIN (n_frames, self->skip / unit);

  self->skip -= cut * unit;
  self->next += (n_frames - cut) * unit;
  return cut;
}

/**
 * gst_moshi_timeline_take_packet:
 * @self: a timeline that runs
 * @ticks: of the Opus packet that comes next
 * @clipped: how many of these a decoder drops; the server gets them as all else,
 *     but they do not count
 *
 * A packet whose time was sent in part goes whole, and the next gap makes up for
 * it.
 *
 * Returns: %FALSE if all of its time was sent already
 */
gboolean
gst_moshi_timeline_take_packet (GstMoshiTimeline * self, guint ticks,
    guint clipped)
{
  if (self->skip >= self->padded + ticks) {
    self->skip -= ticks;
    return FALSE;
  }
  self->next += ticks;
  self->clipped = clipped;
  if (!self->primed) {
    self->primed = clipped == 0;
    gst_moshi_timeline_settle (self);
  }
  return TRUE;
}

/**
 * gst_moshi_timeline_pad:
 * @self: a timeline that runs
 * @ticks: of silence that a last packet was filled up with
 *
 * They are cut from what comes next.
 */
void
gst_moshi_timeline_pad (GstMoshiTimeline * self, guint ticks)
{
  self->next += ticks;
  self->skip += ticks;
  self->padded = ticks;
}

/**
 * gst_moshi_timeline_settle:
 * @self: a timeline
 *
 * An Opus stream is over: what a decoder drops at its end was sent all the same,
 * ahead of what comes next.
 */
void
gst_moshi_timeline_settle (GstMoshiTimeline * self)
{
  self->skip += self->clipped;
  self->padded += self->clipped;
  self->clipped = 0;
}
