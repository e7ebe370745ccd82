/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "standinogg.h"

#include <string.h>
#include <ogg/ogg.h>
#include <opus.h>

#define HEADER_SIZE 27
#define FLAG_BOS 0x02
#define FLAG_EOS 0x04
/* The real ones: serial 42 and the pre-skip of 80 ms that nobody pads. */
#define SERIAL 42
#define PRE_SKIP 3840
/* 120 ms at 24 kHz, the longest Opus packet. */
#define MAX_PACKET_SAMPLES 2880
/* A report is for a reader; after so much he has seen enough. */
#define MAX_REPORT 8192

struct _StandinOggIn
{
  GByteArray *bytes;            /* not yet a whole page */
  gboolean split;               /* `bytes` began in an earlier message */
  ogg_stream_state stream;
  gboolean begun;               /* a BOS page has come */
  gboolean deaf;                /* the first page was none: ignore all */
  gint serial;
  glong next_page;
  guint64 granule;              /* of the packets so far, at 48 kHz */
  guint64 samples;              /* of the packets so far, at 24 kHz */
  guint64 passed;               /* of these, what the model has been given */
  guint flush;
  OpusDecoder *decoder;         /* NULL to count without decoding */
};

struct _StandinOggOut
{
  ogg_stream_state stream;
  gint64 packet;
};

/* All that one call of standin_ogg_in_feed() carries around. */
typedef struct
{
  MoshiStandinStats *stats;
  GArray *pcm;
  GPtrArray *packets;
  guint max_packets;
  GString *report;
  guint pages;
  StandinOggProblem problem;
} Feed;

static void
note (Feed * feed, StandinOggIn * self, const gchar * what, gint64 is,
    gint64 should)
{
  if (feed->report == NULL || feed->report->len > MAX_REPORT)
    return;
  g_string_append_printf (feed->report, "at %" G_GUINT64_FORMAT
      " samples (48 kHz): %s", self->granule, what);
  if (is != should)
    g_string_append_printf (feed->report, " is %" G_GINT64_FORMAT
        ", should be %" G_GINT64_FORMAT, is, should);
  g_string_append_c (feed->report, '\n');
}

/**
 * standin_ogg_in_new:
 * @decode: decode the packets; else only count what they would give
 * @flush: how many samples a packet must fill up before the model gets them;
 *     see standin_ogg_in_get_passed()
 *
 * Returns: (transfer full): free it with standin_ogg_in_free()
 */
StandinOggIn *
standin_ogg_in_new (gboolean decode, guint flush)
{
  StandinOggIn *self = g_new0 (StandinOggIn, 1);

  self->bytes = g_byte_array_new ();
  self->flush = flush;
  if (decode)
    self->decoder = opus_decoder_create (MOSHI_STANDIN_RATE, 1, NULL);
  return self;
}

/**
 * standin_ogg_in_free:
 * @self: (transfer full): the reader
 */
void
standin_ogg_in_free (StandinOggIn * self)
{
  if (self->begun)
    ogg_stream_clear (&self->stream);
  g_clear_pointer (&self->decoder, opus_decoder_destroy);
  g_byte_array_unref (self->bytes);
  g_free (self);
}

/**
 * standin_ogg_in_get_passed:
 * @self: the reader
 *
 * moshi-backend looks after each packet whether it has 960 samples, and
 * passes on all it has if so (stream_both.rs, spawn_recv_loops).
 *
 * Returns: how many samples were passed on, at 24 kHz
 */
guint64
standin_ogg_in_get_passed (StandinOggIn * self)
{
  return self->passed;
}

/* RFC 7845 5.1. */
static void
take_head (const guint8 * data, gsize size, Feed * feed)
{
  MoshiStandinStats *stats = feed->stats;

  if (size < 19 || (data[8] & 0xf0) != 0 || data[9] == 0 || data[18] != 0) {
    stats->bad_heads++;
    return;
  }
  stats->head_channels = data[9];
  stats->head_preskip = data[10] | data[11] << 8;
  stats->head_rate = (guint) data[12] | (guint) data[13] << 8
      | (guint) data[14] << 16 | (guint) data[15] << 24;
}

static void
keep_packet (const guint8 * data, gsize size, Feed * feed)
{
  if (feed->packets != NULL && feed->packets->len < feed->max_packets)
    g_ptr_array_add (feed->packets, g_bytes_new (data, size));
}

static void
decode_packet (StandinOggIn * self, const guint8 * data, gsize size,
    Feed * feed)
{
  gfloat *pcm;
  guint had = feed->pcm->len;
  gint n;

  g_array_set_size (feed->pcm, had + MAX_PACKET_SAMPLES);
  pcm = &g_array_index (feed->pcm, gfloat, had);
  if (self->decoder != NULL) {
    n = opus_decode_float (self->decoder, data, size, pcm,
        MAX_PACKET_SAMPLES, 0);
  } else {
    n = opus_packet_get_nb_samples (data, size, MOSHI_STANDIN_RATE);
    memset (pcm, 0, MAX_PACKET_SAMPLES * sizeof *pcm);
  }
  g_array_set_size (feed->pcm, had + MAX (n, 0));
  if (n <= 0) {
    feed->stats->decode_errors++;
    feed->problem |= STANDIN_OGG_BAD_PACKET;
    note (feed, self, "undecodable packet", 0, 0);
    return;
  }
  self->samples += n;
  if (self->samples - self->passed >= self->flush)
    self->passed = self->samples;
  self->granule += (guint64) opus_packet_get_nb_samples (data, size, 48000);
  feed->stats->samples += n;
}

static gboolean
take_packet (StandinOggIn * self, ogg_packet * packet, Feed * feed)
{
  gsize size = packet->bytes;

  if (size >= 8 && memcmp (packet->packet, "OpusHead", 8) == 0) {
    take_head (packet->packet, size, feed);
    return FALSE;
  }
  if (size >= 8 && memcmp (packet->packet, "OpusTags", 8) == 0)
    return FALSE;
  feed->stats->packets++;
  keep_packet (packet->packet, size, feed);
  decode_packet (self, packet->packet, size, feed);
  return TRUE;
}

static void
check_granule (StandinOggIn * self, ogg_page * page, Feed * feed)
{
  gint64 granule = ogg_page_granulepos (page);
  gboolean eos = ogg_page_eos (page) != 0;

  /* RFC 7845 4.4: the last page may give less, to trim the end. */
  if (granule == (gint64) self->granule
      || (eos && granule >= 0 && granule < (gint64) self->granule))
    return;
  feed->stats->bad_granules++;
  note (feed, self, "granule position", granule, self->granule);
}

static gboolean
begin (StandinOggIn * self, ogg_page * page, Feed * feed)
{
  if (self->begun) {
    feed->stats->second_bos++;
    feed->problem |= STANDIN_OGG_SECOND_BOS;
    note (feed, self, "second BOS page", 0, 0);
    ogg_stream_clear (&self->stream);
  }
  self->begun = TRUE;
  self->serial = ogg_page_serialno (page);
  self->next_page = ogg_page_pageno (page);
  return ogg_stream_init (&self->stream, self->serial) == 0;
}

static void
take_page (StandinOggIn * self, ogg_page * page, Feed * feed)
{
  ogg_packet packet;
  guint audio = 0;
  gint found;

  feed->stats->pages++;
  feed->pages++;
  if (ogg_page_bos (page)) {
    begin (self, page, feed);
  } else if (!self->begun && !self->deaf) {
    /* The header was thrown away or never sent: ogg-crate servers decode
     * nothing of such a stream, and say nothing. */
    feed->stats->missing_bos++;
    self->deaf = TRUE;
    note (feed, self, "page without a BOS page before it", 0, 0);
  }
  if (self->deaf)
    return;
  if (ogg_page_pageno (page) != self->next_page) {
    feed->stats->page_gaps++;
    note (feed, self, "page number", ogg_page_pageno (page), self->next_page);
  }
  self->next_page = ogg_page_pageno (page) + 1;
  if (ogg_page_eos (page))
    feed->stats->eos++;
  ogg_stream_pagein (&self->stream, page);
  /* After a lost page libogg first tells of the hole, then gives the packet. */
  while ((found = ogg_stream_packetout (&self->stream, &packet)) != 0) {
    if (found > 0)
      audio += take_packet (self, &packet, feed);
  }
  if (audio > 1)
    feed->stats->crowded_pages++;
  if (audio > 0)
    check_granule (self, page, feed);
}

static gboolean
crc_is_right (ogg_page * page)
{
  guint8 said[4];

  memcpy (said, page->header + 22, 4);
  ogg_page_checksum_set (page);
  return memcmp (said, page->header + 22, 4) == 0;
}

/* Returns the size of the page at `data`, header and all; 0 if it is not all
 * there; fills in the page. */
static gsize
find_page (guint8 * data, gsize have, ogg_page * page)
{
  gsize header;
  gsize body = 0;
  guint i;

  if (have < HEADER_SIZE)
    return 0;
  header = HEADER_SIZE + data[26];
  if (have < header)
    return 0;
  for (i = HEADER_SIZE; i < header; i++)
    body += data[i];
  if (have < header + body)
    return 0;
  page->header = data;
  page->header_len = header;
  page->body = data + header;
  page->body_len = body;
  return header + body;
}

/* How many bytes at `data` cannot begin a page. */
static gsize
junk_before_page (const guint8 * data, gsize have)
{
  gsize n = 0;

  while (n < have && memcmp (data + n, "OggS", MIN (4, have - n)) != 0)
    n++;
  return n;
}

/**
 * standin_ogg_in_feed:
 * @self: the reader
 * @data: (array length=size): the payload of one audio message
 * @size: in bytes
 * @stats: (inout): counts go here
 * @pcm: (element-type gfloat) (inout): decoded samples are appended, 24 kHz
 *     mono; silence if it was told not to decode
 * @packets: (element-type GBytes) (nullable): audio packets are added
 * @max_packets: until there are so many
 * @report: (nullable): a line for each mistake of the client
 *
 * Reads on after every mistake: whether it ends the session is the flavour's
 * question.
 *
 * Returns: all problems met
 */
StandinOggProblem
standin_ogg_in_feed (StandinOggIn * self, const guint8 * data, gsize size,
    MoshiStandinStats * stats, GArray * pcm, GPtrArray * packets,
    guint max_packets, GString * report)
{
  Feed feed = { stats, pcm, packets, max_packets, report, 0, STANDIN_OGG_OK };
  ogg_page page;
  gsize pos = 0;
  gsize junk;
  gsize taken;

  self->split = self->bytes->len > 0;
  g_byte_array_append (self->bytes, data, size);
  for (;;) {
    junk = junk_before_page (self->bytes->data + pos, self->bytes->len - pos);
    if (junk > 0)
      note (&feed, self, "bytes that belong to no page", junk, 0);
    stats->junk_bytes += junk;
    pos += junk;
    taken = find_page (self->bytes->data + pos, self->bytes->len - pos, &page);
    if (taken == 0)
      break;
    if (crc_is_right (&page)) {
      take_page (self, &page, &feed);
    } else {
      stats->bad_crc++;
      feed.problem |= STANDIN_OGG_BAD_CRC;
      note (&feed, self, "page with a wrong CRC", 0, 0);
    }
    stats->split_pages += self->split;
    self->split = FALSE;
    pos += taken;
  }
  if (pos > 0)
    g_byte_array_remove_range (self->bytes, 0, pos);
  stats->crowded_messages += feed.pages > 1;
  return feed.problem;
}

/**
 * standin_ogg_out_new:
 *
 * Returns: (transfer full): free it with standin_ogg_out_free()
 */
StandinOggOut *
standin_ogg_out_new (void)
{
  StandinOggOut *self = g_new0 (StandinOggOut, 1);

  ogg_stream_init (&self->stream, SERIAL);
  return self;
}

/**
 * standin_ogg_out_free:
 * @self: (transfer full): the writer
 */
void
standin_ogg_out_free (StandinOggOut * self)
{
  ogg_stream_clear (&self->stream);
  g_free (self);
}

/**
 * standin_ogg_out_packet:
 * @self: the writer
 * @packet: (array length=size): an Opus packet, or a header
 * @size: in bytes
 * @granule: what its page shall say
 * @out: (inout): the page is appended
 *
 * Every packet has a page to itself, as with the real servers; none is ever
 * marked as the last.
 */
void
standin_ogg_out_packet (StandinOggOut * self, const guint8 * packet,
    gsize size, guint64 granule, GByteArray * out)
{
  ogg_packet op = { 0 };
  ogg_page page;

  op.packet = (guint8 *) packet;
  op.bytes = size;
  op.b_o_s = self->packet == 0;
  op.granulepos = granule;
  op.packetno = self->packet++;
  ogg_stream_packetin (&self->stream, &op);
  while (ogg_stream_flush (&self->stream, &page)) {
    g_byte_array_append (out, page.header, page.header_len);
    g_byte_array_append (out, page.body, page.body_len);
  }
}

/**
 * standin_ogg_out_head:
 * @self: the writer
 * @out: (inout): the page with OpusHead is appended, RFC 7845 5.1
 */
void
standin_ogg_out_head (StandinOggOut * self, GByteArray * out)
{
  static const guint8 head[19] = { 'O', 'p', 'u', 's', 'H', 'e', 'a', 'd', 1,
    1, PRE_SKIP & 0xff, PRE_SKIP >> 8, 0x80, 0xbb, 0, 0, 0, 0, 0
  };

  standin_ogg_out_packet (self, head, sizeof head, 0, out);
}

/**
 * standin_ogg_out_tags:
 * @self: the writer
 * @out: (inout): the page with OpusTags is appended, RFC 7845 5.2
 */
void
standin_ogg_out_tags (StandinOggOut * self, GByteArray * out)
{
  static const guint8 tags[] = { 'O', 'p', 'u', 's', 'T', 'a', 'g', 's', 8,
    0, 0, 0, 's', 't', 'a', 'n', 'd', '-', 'i', 'n', 0, 0, 0, 0
  };

  standin_ogg_out_packet (self, tags, sizeof tags, 0, out);
}
