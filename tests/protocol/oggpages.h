/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Ogg by hand, straight from RFC 3533 and RFC 7845 and without libogg, so that
 * the reader and the writer are checked against something they do not share.
 */

#include <glib.h>
#include <string.h>

#define CONTINUED 1
#define BOS 2
#define EOS 4

#define SERIAL 42

typedef struct
{
  GByteArray *bytes;
  guint32 serial;
  guint32 number;
  guint64 granule;
} Pages;

typedef struct
{
  guint8 flags;
  guint64 granule;
  guint32 serial;
  guint32 number;
  guint n_segments;
  const guint8 *segments;
  const guint8 *body;
  gsize body_size;
  gsize size;
} Page;

/* RFC 3533 section 6, field 7: polynomial 04c11db7, bits not reflected, from
 * 0, no final inversion. A bit at a time: slow, and hard to get wrong. */
static inline guint32
compute_crc (guint32 crc, const guint8 * data, gsize size)
{
  gsize i;
  guint bit;

  for (i = 0; i < size; i++) {
    crc ^= (guint32) data[i] << 24;
    for (bit = 0; bit < 8; bit++)
      crc = crc & 0x80000000 ? crc << 1 ^ 0x04c11db7 : crc << 1;
  }
  return crc;
}

static inline void
put_le (GByteArray * out, guint64 value, guint n_bytes)
{
  for (; n_bytes > 0; n_bytes--, value >>= 8) {
    guint8 byte = value & 0xff;

    g_byte_array_append (out, &byte, 1);
  }
}

static inline guint64
get_le (const guint8 * data, guint n_bytes)
{
  guint64 value = 0;

  while (n_bytes-- > 0)
    value = value << 8 | data[n_bytes];
  return value;
}

static inline void
sign_page (guint8 * page, gsize size)
{
  guint32 crc;
  guint i;

  memset (page + 22, 0, 4);
  crc = compute_crc (0, page, size);
  for (i = 0; i < 4; i++)
    page[22 + i] = crc >> 8 * i & 0xff;
}

/* Appends one page of given segments. */
static inline void
put_page (Pages * pages, guint8 flags, const guint8 * segments,
    guint n_segments, const guint8 * body, gsize body_size)
{
  GByteArray *out = pages->bytes;
  guint start = out->len;

  g_byte_array_append (out, (const guint8 *) "OggS", 4);
  put_le (out, 0, 1);
  put_le (out, flags, 1);
  put_le (out, pages->granule, 8);
  put_le (out, pages->serial, 4);
  put_le (out, pages->number++, 4);
  put_le (out, 0, 4);
  put_le (out, n_segments, 1);
  if (n_segments > 0)
    g_byte_array_append (out, segments, n_segments);
  if (body_size > 0)
    g_byte_array_append (out, body, body_size);
  sign_page (out->data + start, out->len - start);
}

/* Appends one page of whole packets. */
static inline void
put_packets (Pages * pages, guint8 flags, GBytes ** packets, guint n_packets)
{
  g_autoptr (GByteArray) segments = g_byte_array_new ();
  g_autoptr (GByteArray) body = g_byte_array_new ();
  guint i;

  for (i = 0; i < n_packets; i++) {
    gsize size;
    const guint8 *data = g_bytes_get_data (packets[i], &size);

    if (size > 0)
      g_byte_array_append (body, data, size);
    for (; size >= 255; size -= 255)
      put_le (segments, 255, 1);
    put_le (segments, size, 1);
  }
  g_assert_cmpuint (segments->len, <=, 255);
  put_page (pages, flags, segments->data, segments->len, body->data, body->len);
}

static inline void
put_packet (Pages * pages, GBytes * packet)
{
  put_packets (pages, 0, &packet, 1);
}

/* Appends a packet over pages of at most @n_segments segments; the first
 * page continues nothing. */
static inline void
put_spread (Pages * pages, GBytes * packet, guint n_segments)
{
  gsize size, left;
  const guint8 *data = g_bytes_get_data (packet, &size);
  guint8 segments[255];
  guint8 flags = 0;
  gboolean ended = FALSE;

  g_assert_cmpuint (n_segments, <=, 255);
  left = size;
  while (!ended) {
    guint n;
    gsize body_size = 0;

    for (n = 0; n < n_segments && !ended; n++) {
      segments[n] = MIN (left - body_size, 255);
      body_size += segments[n];
      ended = segments[n] < 255;
    }
    put_page (pages, flags, segments, n, data + size - left, body_size);
    left -= body_size;
    flags = CONTINUED;
  }
}

static inline GBytes *
make_head (guint channels, guint pre_skip, guint32 input_rate)
{
  GByteArray *head = g_byte_array_new ();

  g_byte_array_append (head, (const guint8 *) "OpusHead", 8);
  put_le (head, 1, 1);
  put_le (head, channels, 1);
  put_le (head, pre_skip, 2);
  put_le (head, input_rate, 4);
  put_le (head, 0, 2);
  put_le (head, 0, 1);
  return g_byte_array_free_to_bytes (head);
}

/* OpusTags of one comment of @size bytes */
static inline GBytes *
make_tags (gsize size)
{
  GByteArray *tags = g_byte_array_new ();
  guint start;

  g_byte_array_append (tags, (const guint8 *) "OpusTags", 8);
  put_le (tags, 4, 4);
  g_byte_array_append (tags, (const guint8 *) "test", 4);
  put_le (tags, 1, 4);
  put_le (tags, size, 4);
  start = tags->len;
  g_byte_array_set_size (tags, start + size);
  memset (tags->data + start, 'x', size);
  return g_byte_array_free_to_bytes (tags);
}

static inline void
put_head_page (Pages * pages, guint channels)
{
  g_autoptr (GBytes) head = make_head (channels, 3840, 24000);

  put_packets (pages, BOS, &head, 1);
}

static inline void
put_tags_page (Pages * pages)
{
  g_autoptr (GBytes) tags = make_tags (3);

  put_packet (pages, tags);
}

static inline void
pages_init (Pages * pages, guint32 serial)
{
  pages->bytes = g_byte_array_new ();
  pages->serial = serial;
  pages->number = 0;
  pages->granule = 0;
}

static inline void
pages_clear (Pages * pages)
{
  g_byte_array_unref (pages->bytes);
}

/* Begins a stream, after whatever @pages holds already. */
static inline void
put_headers (Pages * pages)
{
  pages->number = 0;
  put_head_page (pages, 1);
  put_tags_page (pages);
}

/* A packet of one fullband frame of 20 ms that is like no other */
static inline GBytes *
make_packet (guint index, gsize size)
{
  guint8 *data = g_malloc (size);
  guint32 state = index * 2654435761u + 12345;
  gsize i;

  g_assert_cmpuint (size, >=, 3);
  g_assert_cmpuint (size, <=, 1276);
  for (i = 0; i < size; i++) {
    state = state * 1664525 + 1013904223;
    data[i] = state >> 24;
  }
  data[0] = 0xf8;
  data[1] = index & 0xff;
  data[2] = index >> 8;
  return g_bytes_new_take (data, size);
}

/* A packet of @n_frames of 20 ms, 2 to 6, with one count byte */
static inline GBytes *
make_long_frames (guint index, guint n_frames)
{
  gsize size = 2 + 10 * n_frames;
  guint8 *data = g_malloc (size);

  memset (data, index, size);
  data[0] = 0xfb;
  data[1] = n_frames;
  return g_bytes_new_take (data, size);
}

/* A packet of just @size bytes, by padding (RFC 6716 section 3.2.5) */
static inline GBytes *
make_padded (gsize size)
{
  guint8 *data = g_malloc0 (size);
  gsize rest = size - 2 - 10 - 1;

  data[0] = 0xfb;
  data[1] = 0x41;
  /* Each length byte of 255 takes itself and 254 bytes of padding */
  memset (data + 2, 255, rest / 255);
  data[2 + rest / 255] = rest % 255;
  return g_bytes_new_take (data, size);
}

/* Reads a page and checks all of it; its size is 0 at the end. */
static inline void
parse_page (const guint8 * data, gsize size, Page * page)
{
  g_autofree guint8 *copy = NULL;
  gsize i;

  memset (page, 0, sizeof (*page));
  if (size == 0)
    return;

  g_assert_cmpuint (size, >=, 27);
  g_assert_cmpmem (data, 5, "OggS\0", 5);
  page->flags = data[5];
  page->granule = get_le (data + 6, 8);
  page->serial = get_le (data + 14, 4);
  page->number = get_le (data + 18, 4);
  page->n_segments = data[26];
  page->segments = data + 27;
  g_assert_cmpuint (size, >=, 27 + page->n_segments);
  for (i = 0; i < page->n_segments; i++)
    page->body_size += page->segments[i];
  page->body = page->segments + page->n_segments;
  page->size = 27 + page->n_segments + page->body_size;
  g_assert_cmpuint (size, >=, page->size);

  copy = g_memdup2 (data, page->size);
  sign_page (copy, page->size);
  g_assert_cmphex (get_le (copy + 22, 4), ==, get_le (data + 22, 4));
}
