/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "moshioggwriter.h"

#include <ogg/ogg.h>
#include <string.h>

#include "moshierror.h"
#include "moshioggreader.h"
#include "moshioggstream.h"
#include "moshiopus.h"

#define VENDOR "gst-moshi " VERSION
/* Magic, length of the vendor, vendor, number of comments */
#define TAGS_SIZE (8 + 4 + sizeof (VENDOR) - 1 + 4)
#define HEAD_SIZE 19

struct _MoshiOggWriter
{
  ogg_stream_state stream;
  GBytes *headers;
  guint64 granule_position;
  gint64 n_packets;
};

/* Writes one packet as pages of its own. libogg closes a page after 255
 * segments, so a packet of up to 65,024 bytes makes exactly one. */
static void
write_packet (MoshiOggWriter * self, const guint8 * data, gsize size,
    GByteArray * out)
{
  ogg_packet packet = { 0 };
  ogg_page page;

  /* libogg's field is not const, but packetin only copies from it */
  packet.packet = (guint8 *) data;
  packet.bytes = size;
  packet.b_o_s = self->n_packets == 0;
  packet.granulepos = self->granule_position;
  packet.packetno = self->n_packets++;

  ogg_stream_packetin (&self->stream, &packet);
  while (ogg_stream_flush (&self->stream, &page)) {
    g_byte_array_append (out, page.header, page.header_len);
    g_byte_array_append (out, page.body, page.body_len);
  }
}

/* RFC 7845 section 5.1 */
static void
write_head (MoshiOggWriter * self, guint channels, guint pre_skip,
    guint32 input_rate, GByteArray * out)
{
  guint8 head[HEAD_SIZE] = "OpusHead";

  head[8] = 1;
  head[9] = channels;
  head[10] = pre_skip & 0xff;
  head[11] = pre_skip >> 8;
  head[12] = input_rate & 0xff;
  head[13] = input_rate >> 8 & 0xff;
  head[14] = input_rate >> 16 & 0xff;
  head[15] = input_rate >> 24;
  /* Output gain and mapping family stay 0 */
  write_packet (self, head, sizeof (head), out);
}

/* RFC 7845 section 5.2 */
static void
write_tags (MoshiOggWriter * self, GByteArray * out)
{
  guint8 tags[TAGS_SIZE] = "OpusTags";

  tags[8] = sizeof (VENDOR) - 1;
  memcpy (tags + 12, VENDOR, sizeof (VENDOR) - 1);
  /* The number of comments stays 0 */
  write_packet (self, tags, sizeof (tags), out);
}

/**
 * moshi_ogg_writer_new:
 * @serial: serial number of the stream
 * @channels: 1 or 2
 * @pre_skip: samples at 48 kHz, at most 65,535, that a player drops from the
 *     start: the encoder's lookahead
 * @input_rate: rate before encoding in Hz, 0 if unknown; tells nothing about
 *     the Opus
 *
 * Makes a writer for one stream. Belongs to one thread at a time.
 *
 * Returns: (transfer full): a writer
 */
MoshiOggWriter *
moshi_ogg_writer_new (guint32 serial, guint channels, guint pre_skip,
    guint32 input_rate)
{
  MoshiOggWriter *self;
  GByteArray *headers;

  g_return_val_if_fail (channels == 1 || channels == 2, NULL);
  g_return_val_if_fail (pre_skip <= G_MAXUINT16, NULL);

  self = g_new0 (MoshiOggWriter, 1);
  moshi_ogg_stream_init (&self->stream, (gint) serial);

  headers = g_byte_array_new ();
  write_head (self, channels, pre_skip, input_rate, headers);
  write_tags (self, headers);
  self->headers = g_byte_array_free_to_bytes (headers);
  return self;
}

/**
 * moshi_ogg_writer_free:
 * @self: (transfer full) (nullable): a writer
 *
 * Frees a writer.
 */
void
moshi_ogg_writer_free (MoshiOggWriter * self)
{
  if (self == NULL)
    return;

  g_bytes_unref (self->headers);
  ogg_stream_clear (&self->stream);
  g_free (self);
}

/**
 * moshi_ogg_writer_headers:
 * @self: a writer
 *
 * Gives the two pages that must come before any packet's: OpusHead with the
 * BOS flag, then OpusTags (RFC 7845 sections 5.1 and 5.2). It is the same
 * bytes at each call, and no call is needed for the packets' pages to be
 * right.
 *
 * Returns: (transfer full): both pages
 */
GBytes *
moshi_ogg_writer_headers (MoshiOggWriter * self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return g_bytes_ref (self->headers);
}

/**
 * moshi_ogg_writer_packet:
 * @self: a writer
 * @packet: (array length=size): an Opus packet
 * @size: its length in bytes
 * @out: where its page is appended
 * @error: return location for a #GError
 *
 * Appends one page that holds the packet and nothing else. Its granule
 * position is the end of the packet at 48 kHz (RFC 7845 section 4); the EOS
 * flag is never set.
 *
 * Returns: %FALSE with %MOSHI_ERROR_OPUS if the packet is not valid or is over
 *     %MOSHI_OGG_READER_MAX_PACKET bytes; @out and @self are then as before
 */
gboolean
moshi_ogg_writer_packet (MoshiOggWriter * self, const guint8 * packet,
    gsize size, GByteArray * out, GError ** error)
{
  guint duration;

  g_return_val_if_fail (self != NULL && out != NULL, FALSE);

  duration = moshi_opus_packet_duration (packet, size);
  if (duration == 0 || size > MOSHI_OGG_READER_MAX_PACKET) {
    g_set_error_literal (error, MOSHI_ERROR, MOSHI_ERROR_OPUS,
        "What was to be sent is no Opus packet.");
    return FALSE;
  }

  self->granule_position += duration;
  write_packet (self, packet, size, out);
  return TRUE;
}

/**
 * moshi_ogg_writer_get_granule_position:
 * @self: a writer
 *
 * Tells how much audio was written.
 *
 * Returns: samples at 48 kHz, pre-skip among them
 */
guint64
moshi_ogg_writer_get_granule_position (MoshiOggWriter * self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->granule_position;
}
