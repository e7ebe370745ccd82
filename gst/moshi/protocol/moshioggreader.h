/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * MoshiOggReader:
 *
 * Takes the bytes of audio messages in the order they came and gives Opus
 * packets. Time is what packets say by their TOC: granule positions and
 * pre-skip are read and ignored (servers disagree about them). Header packets
 * (OpusHead, OpusTags) are consumed; a chained stream (a new BOS page) starts
 * over; a page with a bad CRC is skipped and reading resynchronises.
 */
typedef struct _MoshiOggReader MoshiOggReader;

/**
 * MoshiOggReaderStats:
 * @pages: pages read
 * @packets: Opus packets handed out
 * @streams: logical streams begun (BOS pages with an OpusHead)
 * @holes: places where pages were missing or damaged
 * @skipped_bytes: bytes thrown away to find the next page
 * @skipped_packets: packets thrown away: empty, too long, or not Opus
 */
typedef struct
{
  guint64 pages;
  guint64 packets;
  guint64 streams;
  guint64 holes;
  guint64 skipped_bytes;
  guint64 skipped_packets;
} MoshiOggReaderStats;

/**
 * MOSHI_OGG_READER_MAX_PACKET:
 *
 * Longest packet handed out, in bytes: libopus never makes more than
 * 1,275 bytes a frame with at most 48 frames (120 ms of 2.5 ms) a packet.
 */
#define MOSHI_OGG_READER_MAX_PACKET 61298

/**
 * MOSHI_OGG_READER_MAX_PENDING:
 *
 * Most bytes held that are not yet handed out, be they an unfinished page
 * or finished packets not yet pulled; a push over it is refused.
 */
#define MOSHI_OGG_READER_MAX_PENDING (4 * 1024 * 1024)

MoshiOggReader *moshi_ogg_reader_new (void);
void moshi_ogg_reader_free (MoshiOggReader * self);
void moshi_ogg_reader_reset (MoshiOggReader * self);
gboolean moshi_ogg_reader_push (MoshiOggReader * self, const guint8 * data,
    gsize size, GError ** error);
GBytes *moshi_ogg_reader_pull (MoshiOggReader * self);
gboolean moshi_ogg_reader_get_head (MoshiOggReader * self, guint * channels,
    guint * pre_skip, guint32 * input_rate);
void moshi_ogg_reader_get_stats (MoshiOggReader * self,
    MoshiOggReaderStats * stats);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (MoshiOggReader, moshi_ogg_reader_free)

G_END_DECLS
