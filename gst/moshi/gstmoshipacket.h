/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/**
 * GstMoshiPacket:
 * @bytes: (nullable): the packet; %NULL where the buffer holds none
 * @is_header: it holds a header of an Ogg stream instead
 * @ticks: its duration at 48 kHz, by its TOC
 * @clipped: how many of them a decoder drops
 *
 * An Opus packet as upstream gives it.
 */
typedef struct
{
  GBytes *bytes;
  gboolean is_header;
  guint ticks;
  guint clipped;
} GstMoshiPacket;

gboolean gst_moshi_packet_read (GstMoshiPacket * self, GstBuffer * buffer);
void gst_moshi_packet_clear (GstMoshiPacket * self);
gboolean gst_moshi_packet_is_before (GstBuffer * buffer, GstClockTime time);
gboolean gst_moshi_packet_clip (GstMoshiPacket * self, GstBuffer * buffer,
    const GstSegment * segment);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (GstMoshiPacket, gst_moshi_packet_clear)

G_END_DECLS
