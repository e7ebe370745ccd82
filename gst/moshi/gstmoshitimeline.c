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
  self->base = 0;
}

/* Whether a time stamp stands at the same place by either of them */
static gboolean
is_same_mapping (const GstSegment * a, const GstSegment * b)
{
  return a->rate == b->rate && a->applied_rate == b->applied_rate
      && a->base - (a->start + a->offset) == b->base - (b->start + b->offset)
      && a->time - a->start == b->time - b->start;
}

/* Where a segment begins: after another as far as that has led, at the pace of
 * its sound. */
static GstClockTime
find_base (const GstMoshiTimeline * self, const GstSegment * segment)
{
  const GstSegment *last = &self->segment;
  GstClockTimeDiff far = GST_CLOCK_DIFF (last->base, segment->base);

  if (!self->running)
    return segment->base;
  if (last->rate != 1.0)
    far *= last->rate;
  return self->base + far;
}

/**
 * gst_moshi_timeline_set_segment:
 * @self: a timeline
 * @segment: in time, its rate positive
 */
void
gst_moshi_timeline_set_segment (GstMoshiTimeline * self,
    const GstSegment * segment)
{
  self->crossing = self->running && (self->crossing || self->fresh
      || !is_same_mapping (&self->segment, segment));
  self->fresh = FALSE;
  self->base = find_base (self, segment);
  self->segment = *segment;
}

/**
 * gst_moshi_timeline_locate:
 * @self: a timeline
 * @pts: a time stamp in its segment
 *
 * Returns: what time that is, or %GST_CLOCK_TIME_NONE if it is outside
 */
GstClockTime
gst_moshi_timeline_locate (const GstMoshiTimeline * self, GstClockTime pts)
{
  const GstSegment *segment = &self->segment;
  const GstClockTime start = segment->start + segment->offset;

  if (!GST_CLOCK_TIME_IS_VALID (pts) || pts < start
      || (GST_CLOCK_TIME_IS_VALID (segment->stop) && pts > segment->stop))
    return GST_CLOCK_TIME_NONE;
  return self->base + (pts - start);
}

/* How many samples are in a time, to the nearest */
static guint64
count_samples (GstClockTime time, const GstAudioInfo * info)
{
  return gst_util_uint64_scale_int_round (time, GST_AUDIO_INFO_RATE (info),
      GST_SECOND);
}

/**
 * gst_moshi_timeline_clip:
 * @self: a timeline
 * @buffer: (transfer full): raw samples, with a time stamp
 * @info: their format
 *
 * By its samples, to the nearest. gst_audio_buffer_clip() believes a buffer's
 * duration, and complains where that is longer than what is there.
 *
 * Returns: (transfer full) (nullable): what of @buffer is in the segment
 */
GstBuffer *
gst_moshi_timeline_clip (const GstMoshiTimeline * self, GstBuffer * buffer,
    const GstAudioInfo * info)
{
  const GstSegment *segment = &self->segment;
  const GstClockTime begin = GST_BUFFER_PTS (buffer);
  const guint64 n = gst_buffer_get_size (buffer) / GST_AUDIO_INFO_BPF (info);
  const GstClockTime end = begin + gst_util_uint64_scale_int (n, GST_SECOND,
      GST_AUDIO_INFO_RATE (info));
  guint64 front = 0, back = 0;

  if (begin < segment->start)
    front = count_samples (segment->start - begin, info);
  if (GST_CLOCK_TIME_IS_VALID (segment->stop) && end > segment->stop)
    back = count_samples (end - segment->stop, info);
  if (front == 0 && back == 0)
    return buffer;
  if (front >= n || back >= n - front) {
    gst_buffer_unref (buffer);
    return NULL;
  }
  buffer = gst_audio_buffer_truncate (buffer, GST_AUDIO_INFO_BPF (info), front,
      n - front - back);
  GST_BUFFER_PTS (buffer) = MAX (begin, segment->start);
  return buffer;
}

/**
 * gst_moshi_timeline_begin:
 * @self: a timeline
 * @time: where the first sample stands
 */
void
gst_moshi_timeline_begin (GstMoshiTimeline * self, GstClockTime time)
{
  self->running = TRUE;
  self->crossing = FALSE;
  self->origin = time;
  self->next = self->skip = self->padded = 0;
  self->clipped = 0;
  self->primed = FALSE;
}

/**
 * gst_moshi_timeline_follow:
 * @self: a timeline that runs
 * @time: where the next sample is to stand
 *
 * Nothing is filled nor cut.
 */
void
gst_moshi_timeline_follow (GstMoshiTimeline * self, GstClockTime time)
{
  const GstClockTime next = gst_moshi_ticks_to_time (self->next);

  self->skip = self->padded = 0;
  if (time >= next) {
    self->origin = time - next;
  } else {
    /* The count begins anew: the talk's own positions do not depend on it. */
    self->origin = time;
    self->next = 0;
  }
}

/**
 * gst_moshi_timeline_join:
 * @self: a timeline that runs
 *
 * Lets its segment begin where the last one has ended: it claims to begin before
 * that, as another stream does that was linked in the middle of one.
 */
void
gst_moshi_timeline_join (GstMoshiTimeline * self)
{
  self->base = gst_moshi_timeline_get_time (self)
      - gst_moshi_ticks_to_time (self->skip);
}

/**
 * gst_moshi_timeline_get_time:
 * @self: a timeline that runs
 *
 * Returns: the time up to which there is sound, or silence
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
 * @time: of what comes next, or %GST_CLOCK_TIME_NONE
 * @discont: whether it says that it does not follow what was before
 * @opus: whether it is a packet
 *
 * Returns: ticks from where the next sample was expected to where it stands; 0
 *     if the difference is to be ignored
 */
gint64
gst_moshi_timeline_find_gap (const GstMoshiTimeline * self,
    GstClockTime time, gboolean discont, gboolean opus)
{
  GstClockTimeDiff diff;
  GstClockTime expected, tolerance;

  if (!GST_CLOCK_TIME_IS_VALID (time))
    return 0;

  expected = self->origin + gst_moshi_ticks_to_time (self->next - self->skip);
  diff = GST_CLOCK_DIFF (expected, time);
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
  self->padded += ticks;
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
