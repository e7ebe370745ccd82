/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A reader, the pages to push into it, and the packets that are to come. */

#include "protocol/moshioggreader.h"

#include "oggpages.h"

/* A page may say that it is this long; so many bytes after a page of which
 * the length was spoilt make sure that the next ones are found. */
#define LONGEST_PAGE 65307

typedef struct
{
  Pages pages;
  MoshiOggReader *reader;
  GPtrArray *expected;
} Fixture;

static inline void
set_up (Fixture * f, gconstpointer unused)
{
  pages_init (&f->pages, SERIAL);
  f->reader = moshi_ogg_reader_new ();
  f->expected = g_ptr_array_new_with_free_func ((GDestroyNotify)
      g_bytes_unref);
}

static inline void
tear_down (Fixture * f, gconstpointer unused)
{
  pages_clear (&f->pages);
  moshi_ogg_reader_free (f->reader);
  g_ptr_array_unref (f->expected);
}

/* Makes a packet that is to come out, and owns it. */
static inline GBytes *
expect_packet (Fixture * f, gsize size)
{
  GBytes *packet = make_packet (f->expected->len, size);

  g_ptr_array_add (f->expected, packet);
  return packet;
}

static inline void
expect_page (Fixture * f, gsize size)
{
  put_packet (&f->pages, expect_packet (f, size));
}

static inline void
push (MoshiOggReader * reader, const guint8 * data, gsize size)
{
  g_autoptr (GError) error = NULL;
  /* A copy of just its size, so that reading past it is seen */
  g_autofree guint8 *copy = g_memdup2 (data, size);

  g_assert_true (moshi_ogg_reader_push (reader, copy, size, &error));
  g_assert_no_error (error);
}

/* Pushes what was put, and starts over with an empty page buffer. */
static inline void
push_pages (Fixture * f)
{
  push (f->reader, f->pages.bytes->data, f->pages.bytes->len);
  g_byte_array_set_size (f->pages.bytes, 0);
}

static inline void
push_zeros (MoshiOggReader * reader, gsize size)
{
  g_autofree guint8 *zeros = g_malloc0 (size);

  push (reader, zeros, size);
}

static inline GPtrArray *
pull_all (MoshiOggReader * reader)
{
  GPtrArray *packets =
      g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  GBytes *packet;

  while ((packet = moshi_ogg_reader_pull (reader)) != NULL)
    g_ptr_array_add (packets, packet);
  return packets;
}

static inline void
assert_packets (GPtrArray * packets, GPtrArray * expected)
{
  guint i;

  g_assert_cmpuint (packets->len, ==, expected->len);
  for (i = 0; i < packets->len; i++)
    g_assert_true (g_bytes_equal (packets->pdata[i], expected->pdata[i]));
}

/* Pulls everything and checks that it is what is expected; forgets both. */
static inline void
assert_expected (Fixture * f)
{
  g_autoptr (GPtrArray) packets = pull_all (f->reader);

  assert_packets (packets, f->expected);
  g_ptr_array_set_size (f->expected, 0);
}

#define assert_stats(f, n_pages, n_packets, n_streams, n_holes, n_bytes, \
    n_skipped) G_STMT_START { \
  MoshiOggReaderStats stats; \
  moshi_ogg_reader_get_stats ((f)->reader, &stats); \
  g_assert_cmpuint (stats.pages, ==, (n_pages)); \
  g_assert_cmpuint (stats.packets, ==, (n_packets)); \
  g_assert_cmpuint (stats.streams, ==, (n_streams)); \
  g_assert_cmpuint (stats.holes, ==, (n_holes)); \
  g_assert_cmpuint (stats.skipped_bytes, ==, (n_bytes)); \
  g_assert_cmpuint (stats.skipped_packets, ==, (n_skipped)); \
} G_STMT_END

#define add(path, data, test) \
  g_test_add (path, Fixture, data, set_up, test, tear_down)
