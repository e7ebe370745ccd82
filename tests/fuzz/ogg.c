/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any bytes as Ogg. Cut into pieces of any length they give the packets and
 * the counts that they give in one piece; packets are what the reader promises;
 * nothing is counted that did not come.
 *
 * A page whose checksum is wrong is only skipped, so half of the mutations set
 * it right again.
 */
#include <ogg/ogg.h>

#include "fuzz.h"
#include "protocol/moshioggreader.h"
#include "protocol/moshiopus.h"

size_t LLVMFuzzerMutate (guint8 * data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator (guint8 * data, size_t size, size_t max_size,
    guint seed);

/* The first byte of an input is the length of its pieces, 0 for one piece. */
#define PIECE_BYTES 1

/* Fewer bytes than this at the end may yet become a page. */
#define PAGE_HEAD 27

static void
pull_all (MoshiOggReader * reader, GByteArray * packets)
{
  GBytes *packet;

  while ((packet = moshi_ogg_reader_pull (reader)) != NULL) {
    gsize size;
    const guint8 *data = g_bytes_get_data (packet, &size);
    guint32 prefix = size;

    g_assert_cmpuint (size, <=, MOSHI_OGG_READER_MAX_PACKET);
    g_assert_cmpuint (moshi_opus_packet_duration (data, size), >, 0);
    g_assert_true (moshi_ogg_reader_get_head (reader, NULL, NULL, NULL));
    g_byte_array_append (packets, (const guint8 *) &prefix, sizeof (prefix));
    g_byte_array_append (packets, data, size);
    g_bytes_unref (packet);
  }
}

static GByteArray *
read_in_pieces (const guint8 * data, gsize size, gsize piece,
    MoshiOggReaderStats * stats)
{
  g_autoptr (MoshiOggReader) reader = moshi_ogg_reader_new ();
  GByteArray *packets = g_byte_array_new ();
  gsize at, n;

  for (at = 0; at < size; at += n) {
    n = MIN (piece, size - at);
    g_assert_true (moshi_ogg_reader_push (reader, data + at, n, NULL));
    pull_all (reader, packets);
  }
  moshi_ogg_reader_get_stats (reader, stats);
  return packets;
}

static gboolean
is_page (const guint8 * data, gsize size, ogg_page * page)
{
  gsize body = 0, head;
  guint i;

  if (size < PAGE_HEAD || memcmp (data, "OggS", 4) != 0)
    return FALSE;
  head = PAGE_HEAD + data[26];
  if (size < head)
    return FALSE;
  for (i = 0; i < data[26]; i++)
    body += data[PAGE_HEAD + i];
  if (size - head < body)
    return FALSE;

  page->header = (guchar *) data;
  page->header_len = head;
  page->body = (guchar *) data + head;
  page->body_len = body;
  return TRUE;
}

static void
set_checksums (guint8 * data, gsize size)
{
  ogg_page page;
  gsize at;

  for (at = 0; at + PAGE_HEAD <= size; at++) {
    if (is_page (data + at, size - at, &page))
      ogg_page_checksum_set (&page);
  }
}

size_t
LLVMFuzzerCustomMutator (guint8 * data, size_t size, size_t max_size,
    guint seed)
{
  size = LLVMFuzzerMutate (data, size, max_size);
  if (seed % 2 == 0 && size > PIECE_BYTES)
    set_checksums (data + PIECE_BYTES, size - PIECE_BYTES);
  return size;
}

int
LLVMFuzzerTestOneInput (const guint8 * data, size_t size)
{
  FuzzInput input = { data, size };
  gsize piece = fuzz_byte (&input);
  MoshiOggReaderStats whole, cut;
  g_autoptr (GByteArray) one = NULL;
  g_autoptr (GByteArray) many = NULL;

  one = read_in_pieces (input.data, input.size, MAX (input.size, 1), &whole);
  many = read_in_pieces (input.data, input.size,
      piece == 0 ? MAX (input.size, 1) : piece, &cut);

  g_assert_cmpmem (one->data, one->len, many->data, many->len);
  g_assert_cmpuint (whole.pages, ==, cut.pages);
  g_assert_cmpuint (whole.packets, ==, cut.packets);
  g_assert_cmpuint (whole.streams, ==, cut.streams);
  g_assert_cmpuint (whole.holes, ==, cut.holes);
  g_assert_cmpuint (whole.skipped_packets, ==, cut.skipped_packets);
  g_assert_cmpint (ABS ((gint64) (whole.skipped_bytes - cut.skipped_bytes)), <,
      PAGE_HEAD);
  g_assert_cmpuint (whole.skipped_bytes + whole.pages * PAGE_HEAD, <=,
      input.size);
  g_assert_cmpuint (whole.streams, <=, whole.pages);
  return 0;
}
