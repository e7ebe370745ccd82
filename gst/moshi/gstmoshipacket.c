/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a buffer of audio/x-opus holds: see gstmoshipacket.h. */

#include "gstmoshipacket.h"

#include <string.h>

#include "gstmoshitalk.h"
#include "protocol/moshiopus.h"

/* Demuxers and oggparse give the headers as buffers too (RFC 7845 section 5). */
static gboolean
is_header (const GstMapInfo * map)
{
  return map->size >= 8 && (memcmp (map->data, "OpusHead", 8) == 0
      || memcmp (map->data, "OpusTags", 8) == 0);
}

/* The pre-skip of a file and what is too much at its end (RFC 7845 sections 4.2
 * and 4.4) show in the durations of the packets that hold them. */
static guint
find_clipped (GstBuffer * buffer, guint ticks)
{
  guint64 duration;

  if (!GST_BUFFER_DURATION_IS_VALID (buffer))
    return 0;
  duration = gst_moshi_time_to_ticks (GST_BUFFER_DURATION (buffer));
  return duration < ticks ? ticks - duration : 0;
}

/**
 * gst_moshi_packet_read:
 * @self: (out caller-allocates): what @buffer holds
 * @buffer: of audio/x-opus
 *
 * Any thread. The bytes are a copy: a buffer may go back to its pool.
 *
 * Returns: %FALSE if that is no packet, but a header, or empty, or damaged
 */
gboolean
gst_moshi_packet_read (GstMoshiPacket * self, GstBuffer * buffer)
{
  GstMapInfo map;

  memset (self, 0, sizeof *self);
  if (!gst_buffer_map (buffer, &map, GST_MAP_READ))
    return FALSE;
  self->is_header = is_header (&map);
  if (!self->is_header)
    self->ticks = moshi_opus_packet_duration (map.data, map.size);
  if (self->ticks > 0) {
    self->clipped = find_clipped (buffer, self->ticks);
    self->bytes = g_bytes_new (map.data, map.size);
  }
  gst_buffer_unmap (buffer, &map);
  return self->bytes != NULL;
}

/**
 * gst_moshi_packet_clear:
 * @self: what gst_moshi_packet_read() has set
 *
 * May be called twice.
 */
void
gst_moshi_packet_clear (GstMoshiPacket * self)
{
  g_clear_pointer (&self->bytes, g_bytes_unref);
}

/**
 * gst_moshi_packet_is_before:
 * @buffer: of audio/x-opus
 * @time: as its time stamps
 *
 * Returns: whether it has a time stamp and is over by @time
 */
gboolean
gst_moshi_packet_is_before (GstBuffer * buffer, GstClockTime time)
{
  g_auto (GstMoshiPacket) packet = { NULL, };

  if (!GST_BUFFER_PTS_IS_VALID (buffer) || GST_BUFFER_PTS (buffer) >= time)
    return FALSE;
  gst_moshi_packet_read (&packet, buffer);
  return GST_BUFFER_PTS (buffer) + gst_moshi_ticks_to_time (packet.ticks)
      <= time;
}

/**
 * gst_moshi_packet_clip:
 * @self: what @buffer holds: a packet
 * @buffer: of audio/x-opus
 * @segment: in time; it begins before the packet ends, and ends after it begins
 *
 * What of a packet is outside of the segment does not count either.
 *
 * Returns: whether it begins before the segment
 */
gboolean
gst_moshi_packet_clip (GstMoshiPacket * self, GstBuffer * buffer,
    const GstSegment * segment)
{
  const GstClockTime begin = GST_BUFFER_PTS (buffer);
  const GstClockTime end = begin + gst_moshi_ticks_to_time (self->ticks);
  guint64 outside = 0;

  if (!GST_CLOCK_TIME_IS_VALID (begin))
    return FALSE;
  if (begin < segment->start)
    outside += gst_moshi_time_to_ticks (segment->start - begin);
  if (GST_CLOCK_TIME_IS_VALID (segment->stop) && end > segment->stop)
    outside += gst_moshi_time_to_ticks (end - segment->stop);
  self->clipped = MAX (self->clipped, MIN (outside, self->ticks));
  return begin < segment->start;
}
