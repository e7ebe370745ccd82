/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "moshioggreader.h"

#include <ogg/ogg.h>
#include <string.h>

#include "moshierror.h"
#include "moshioggstream.h"
#include "moshiopus.h"

/* How bytes become packets
 *
 * Three stages, each holding as little as it can:
 *
 *   sync    libogg's ogg_sync_state finds whole pages with a right CRC in the
 *           bytes pushed, and steps over anything else.
 *   stream  libogg's ogg_stream_state joins the segments of the pages of one
 *           logical stream to packets, and tells by the page numbers where
 *           pages are missing.
 *   ready   the next packet to hand out; it points into the stream.
 *
 * A stage is asked for more only when the one after it is empty. So at most
 * one page is in the stream beyond an unfinished packet, the rest waits in the
 * sync, and statistics and head never run more than one packet ahead of what
 * was pulled: after a chained stream's last packet, the head is still its own.
 *
 * libogg trusts its peer in three places, which are ours to guard:
 *
 *   - a packet that never ends would grow in the stream for ever. Once it is
 *     over the limit the stream is reset; libogg then skips the pages' segments
 *     that continue a packet it knows nothing of;
 *   - a page that does not continue the packet the last one left open is
 *     joined to it all the same, if only its number is right;
 *   - a BOS page in mid-stream is taken as any other.
 *
 * One stream is read at a time, and the newest BOS page with a good OpusHead
 * decides which: servers chain streams, with a new serial number or the same,
 * and nobody multiplexes two of Opus. Pages of all others are left out.
 */

struct _MoshiOggReader
{
  ogg_sync_state sync;
  ogg_stream_state stream;
  ogg_packet ready;
  gboolean has_ready;
  gboolean has_stream;
  gboolean expects_tags;

  gboolean has_head;
  guint channels;
  guint pre_skip;
  guint32 input_rate;

  MoshiOggReaderStats stats;
};

/* The body bytes of the stream that are not in a packet handed on. Where the
 * stream has no whole packet left they belong to an unfinished one. */
static gsize
held_by_stream (MoshiOggReader * self)
{
  return self->stream.body_fill - self->stream.body_returned;
}

static gsize
count_pending (MoshiOggReader * self)
{
  gsize pending = self->sync.fill - self->sync.returned;

  pending += held_by_stream (self);
  if (self->has_ready)
    pending += self->ready.bytes;
  return pending;
}

static gboolean
is_tags (const ogg_packet * packet)
{
  return packet->bytes >= 8 && memcmp (packet->packet, "OpusTags", 8) == 0;
}

/* A header packet in the place of audio fails the duration's check: as Opus,
 * both magics ask for 48 frames of 20 ms (the design of RFC 7845 section 3). */
static void
take_packet (MoshiOggReader * self, const ogg_packet * packet)
{
  gboolean expects_tags = self->expects_tags;

  self->expects_tags = FALSE;
  if (expects_tags && is_tags (packet))
    return;

  if (packet->bytes > MOSHI_OGG_READER_MAX_PACKET
      || moshi_opus_packet_duration (packet->packet, packet->bytes) == 0) {
    self->stats.skipped_packets++;
    return;
  }

  self->ready = *packet;
  self->has_ready = TRUE;
}

static gboolean
next_packet (MoshiOggReader * self)
{
  ogg_packet packet;
  gint status = ogg_stream_packetout (&self->stream, &packet);

  if (status == 0)
    return FALSE;

  if (status > 0)
    take_packet (self, &packet);
  else
    self->stats.holes++;
  return TRUE;
}

/* Counts the packets that end on a page of no use. */
static void
skip_page (MoshiOggReader * self, const ogg_page * page)
{
  guint i, n_segments = page->header[26];

  for (i = 0; i < n_segments; i++) {
    if (page->header[27 + i] < 255)
      self->stats.skipped_packets++;
  }
}

/* Gives the size of a page's first packet, 0 if it does not end there. */
static gsize
first_packet_size (const ogg_page * page)
{
  guint i, n_segments = page->header[26];
  gsize size = 0;

  for (i = 0; i < n_segments; i++) {
    size += page->header[27 + i];
    if (page->header[27 + i] < 255)
      return size;
  }
  return 0;
}

/* RFC 7845 section 5.1. The lower half of the version is a minor one that
 * readers need not know, and that may lengthen the packet. */
static gboolean
parse_head (MoshiOggReader * self, const guint8 * data, gsize size)
{
  if (size < 19 || memcmp (data, "OpusHead", 8) != 0)
    return FALSE;
  if ((data[8] & 0xf0) != 0 || data[9] < 1 || data[9] > 2 || data[18] != 0)
    return FALSE;

  self->channels = data[9];
  self->pre_skip = data[10] | data[11] << 8;
  self->input_rate = (guint32) data[12] | (guint32) data[13] << 8
      | (guint32) data[14] << 16 | (guint32) data[15] << 24;
  self->has_head = TRUE;
  return TRUE;
}

static gboolean
is_current (MoshiOggReader * self, const ogg_page * page)
{
  return self->has_stream && self->stream.serialno == ogg_page_serialno (page);
}

static void
take_first_page (MoshiOggReader * self, ogg_page * page)
{
  ogg_packet head;

  if (ogg_page_continued (page)
      || !parse_head (self, page->body, first_packet_size (page))) {
    /* Whatever it is, its serial number is now no longer our stream's */
    if (is_current (self, page))
      self->has_stream = FALSE;
    skip_page (self, page);
    return;
  }

  if (held_by_stream (self) > 0)
    self->stats.holes++;
  ogg_stream_reset_serialno (&self->stream, ogg_page_serialno (page));
  ogg_stream_pagein (&self->stream, page);
  ogg_stream_packetout (&self->stream, &head);
  self->has_stream = TRUE;
  self->expects_tags = TRUE;
  self->stats.streams++;
}

/* Lets go of an unfinished packet that has grown too long, or that the next
 * page does not go on with. */
static void
guard_stream (MoshiOggReader * self, const ogg_page * page)
{
  if (held_by_stream (self) == 0)
    return;

  if (!ogg_page_continued (page)) {
    self->stats.holes++;
    ogg_stream_reset (&self->stream);
  } else if (held_by_stream (self) > MOSHI_OGG_READER_MAX_PACKET) {
    /* Tags hold pictures sometimes and may well be as long */
    if (!self->expects_tags)
      self->stats.skipped_packets++;
    self->expects_tags = FALSE;
    ogg_stream_reset (&self->stream);
  }
}

static void
take_page (MoshiOggReader * self, ogg_page * page)
{
  self->stats.pages++;

  if (ogg_page_version (page) != 0) {
    skip_page (self, page);
  } else if (ogg_page_bos (page)) {
    take_first_page (self, page);
  } else if (is_current (self, page)) {
    guard_stream (self, page);
    ogg_stream_pagein (&self->stream, page);
  } else {
    skip_page (self, page);
  }
}

static gboolean
next_page (MoshiOggReader * self)
{
  ogg_page page;
  glong n_bytes = ogg_sync_pageseek (&self->sync, &page);

  if (n_bytes == 0)
    return FALSE;

  if (n_bytes > 0)
    take_page (self, &page);
  else
    self->stats.skipped_bytes += -n_bytes;
  return TRUE;
}

/* Reads on until a packet is ready or the bytes are used up. */
static void
advance (MoshiOggReader * self)
{
  while (!self->has_ready) {
    if (!next_packet (self) && !next_page (self))
      return;
  }
}

/**
 * moshi_ogg_reader_new:
 *
 * Makes a reader. Belongs to one thread at a time.
 *
 * Returns: (transfer full): a reader
 */
MoshiOggReader *
moshi_ogg_reader_new (void)
{
  MoshiOggReader *self = g_new0 (MoshiOggReader, 1);

  ogg_sync_init (&self->sync);
  moshi_ogg_stream_init (&self->stream, 0);
  ogg_stream_reset (&self->stream);
  return self;
}

/**
 * moshi_ogg_reader_free:
 * @self: (transfer full) (nullable): a reader
 *
 * Frees a reader.
 */
void
moshi_ogg_reader_free (MoshiOggReader * self)
{
  if (self == NULL)
    return;

  ogg_stream_clear (&self->stream);
  ogg_sync_clear (&self->sync);
  g_free (self);
}

/**
 * moshi_ogg_reader_reset:
 * @self: a reader
 *
 * Forgets all bytes, packets and the stream, as before a new connection, and
 * gives back the memory a burst took. Statistics go on counting; bytes and
 * packets forgotten here are in none of them.
 */
void
moshi_ogg_reader_reset (MoshiOggReader * self)
{
  g_return_if_fail (self != NULL);

  ogg_sync_clear (&self->sync);
  ogg_sync_init (&self->sync);
  ogg_stream_reset (&self->stream);
  self->has_ready = FALSE;
  self->has_stream = FALSE;
  self->expects_tags = FALSE;
  self->has_head = FALSE;
}

/**
 * moshi_ogg_reader_push:
 * @self: a reader
 * @data: (array length=size) (nullable): the payload of an audio message
 * @size: its length in bytes, may be 0
 * @error: return location for a #GError
 *
 * Takes the next bytes of the stream, cut anywhere. Nothing that is wrong with
 * them is an error here: what cannot be read is skipped and counted.
 *
 * Returns: %FALSE with %MOSHI_ERROR_LIMIT if more than
 *     %MOSHI_OGG_READER_MAX_PENDING bytes would then wait; none of @data was
 *     taken, and the reader goes on once packets were pulled, or after
 *     moshi_ogg_reader_reset()
 */
gboolean
moshi_ogg_reader_push (MoshiOggReader * self, const guint8 * data, gsize size,
    GError ** error)
{
  gchar *buffer = NULL;

  g_return_val_if_fail (self != NULL, FALSE);
  g_return_val_if_fail (data != NULL || size == 0, FALSE);

  if (size == 0)
    return TRUE;

  if (size <= MOSHI_OGG_READER_MAX_PENDING
      && count_pending (self) + size <= MOSHI_OGG_READER_MAX_PENDING)
    buffer = ogg_sync_buffer (&self->sync, size);
  if (buffer == NULL) {
    g_set_error_literal (error, MOSHI_ERROR, MOSHI_ERROR_LIMIT,
        "The server sent more audio at once than can be held.");
    return FALSE;
  }

  memcpy (buffer, data, size);
  ogg_sync_wrote (&self->sync, size);
  advance (self);
  return TRUE;
}

/**
 * moshi_ogg_reader_pull:
 * @self: a reader
 *
 * Gives the next Opus packet: valid in its framing (see
 * moshi_opus_packet_duration()) and at most %MOSHI_OGG_READER_MAX_PACKET bytes
 * long.
 *
 * Returns: (transfer full) (nullable): a packet, or %NULL until more bytes are
 *     pushed
 */
GBytes *
moshi_ogg_reader_pull (MoshiOggReader * self)
{
  g_return_val_if_fail (self != NULL, NULL);

  advance (self);
  if (!self->has_ready)
    return NULL;

  self->has_ready = FALSE;
  self->stats.packets++;
  return g_bytes_new (self->ready.packet, self->ready.bytes);
}

/**
 * moshi_ogg_reader_get_head:
 * @self: a reader
 * @channels: (out) (optional): 1 or 2
 * @pre_skip: (out) (optional): as the server says, in samples at 48 kHz; no
 *     server means it
 * @input_rate: (out) (optional): rate before encoding in Hz, 0 if unknown;
 *     tells nothing about the Opus
 *
 * Tells what the OpusHead said of the stream: after a pull that of the packet
 * pulled, after a push on an empty reader that of the packet pulled next.
 *
 * Returns: %FALSE if there was no stream yet; nothing is then written
 */
gboolean
moshi_ogg_reader_get_head (MoshiOggReader * self, guint * channels,
    guint * pre_skip, guint32 * input_rate)
{
  g_return_val_if_fail (self != NULL, FALSE);

  if (!self->has_head)
    return FALSE;

  if (channels != NULL)
    *channels = self->channels;
  if (pre_skip != NULL)
    *pre_skip = self->pre_skip;
  if (input_rate != NULL)
    *input_rate = self->input_rate;
  return TRUE;
}

/**
 * moshi_ogg_reader_get_stats:
 * @self: a reader
 * @stats: (out caller-allocates): what was read since the reader was made
 *
 * Counts. A hole is a place in the stream where the page numbers jump or a
 * packet stays unfinished; bytes skipped between pages that are all there make
 * none. The packets of streams that are not read count as skipped.
 */
void
moshi_ogg_reader_get_stats (MoshiOggReader * self, MoshiOggReaderStats * stats)
{
  g_return_if_fail (self != NULL && stats != NULL);

  *stats = self->stats;
}
