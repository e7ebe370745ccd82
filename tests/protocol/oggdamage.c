/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "protocol/moshioggreader.h"

#include "protocol/moshiopus.h"

#include "oggfixture.h"

/* Damage */

static void
test_bad_crc (Fixture * f, gconstpointer unused)
{
  guint start, size;

  put_headers (&f->pages);
  expect_page (f, 20);
  start = f->pages.bytes->len;
  expect_page (f, 40);
  size = f->pages.bytes->len - start;
  f->pages.bytes->data[f->pages.bytes->len - 1] ^= 1;
  g_ptr_array_remove_index (f->expected, 1);
  expect_page (f, 60);
  push_pages (f);
  assert_expected (f);
  assert_stats (f, 4, 2, 1, 1, size, 0);
}

static void
test_garbage (Fixture * f, gconstpointer unused)
{
  static const gchar junk[] = "junk OggS in between OggS\0\0 and O Og Ogg";
  guint i;

  put_headers (&f->pages);
  for (i = 0; i < 10; i++) {
    g_byte_array_append (f->pages.bytes, (const guint8 *) junk, sizeof (junk));
    expect_page (f, 20);
  }
  push_pages (f);
  push_zeros (f->reader, LONGEST_PAGE);
  assert_expected (f);
  /* Of the zeros the last 26 could yet be the start of a page */
  assert_stats (f, 12, 10, 1, 0, 10 * sizeof (junk) + LONGEST_PAGE, 0);
}

static void
test_missing_page (Fixture * f, gconstpointer unused)
{
  put_headers (&f->pages);
  expect_page (f, 20);
  f->pages.number++;
  expect_page (f, 20);
  f->pages.number += 1000;
  expect_page (f, 20);
  push_pages (f);
  assert_expected (f);
  assert_stats (f, 5, 3, 1, 2, 0, 0);
}

/* Pages numbered as before are read, and counted as a flaw. */
static void
test_repeated_number (Fixture * f, gconstpointer unused)
{
  put_headers (&f->pages);
  expect_page (f, 20);
  f->pages.number--;
  expect_page (f, 21);
  push_pages (f);
  assert_expected (f);
  assert_stats (f, 4, 2, 1, 1, 0, 0);
}

/* A packet of three pages of which one is missing never comes, in part or
 * otherwise; all around it do. */
static void
test_missing_part (Fixture * f, gconstpointer unused)
{
  guint missing;

  for (missing = 0; missing < 3; missing++) {
    g_autoptr (GBytes) lost = make_packet (999, 3 * 255 - 1);
    guint start, i;

    put_headers (&f->pages);
    expect_page (f, 20);
    start = f->pages.bytes->len;
    put_spread (&f->pages, lost, 1);
    i = start + missing * (27 + 1 + 255);
    g_byte_array_remove_range (f->pages.bytes, i, missing < 2 ? 27 + 1 + 255 :
        27 + 1 + 254);
    expect_page (f, 21);
    push_pages (f);
    assert_expected (f);
    assert_stats (f, 6 * (missing + 1), 2 * (missing + 1), missing + 1,
        missing + 1, 0, 0);
  }
}

/* The page after an unfinished packet has the right number but begins anew. */
static void
test_not_continued (Fixture * f, gconstpointer unused)
{
  guint8 segments[2] = { 255, 255 };
  g_autoptr (GBytes) begun = make_packet (999, 510);

  put_headers (&f->pages);
  put_page (&f->pages, 0, segments, 2, g_bytes_get_data (begun, NULL), 510);
  expect_page (f, 30);
  expect_page (f, 31);
  push_pages (f);
  assert_expected (f);
  assert_stats (f, 5, 2, 1, 1, 0, 0);
}

/* A page continues a packet that was never begun. */
static void
test_continues_nothing (Fixture * f, gconstpointer unused)
{
  g_autoptr (GBytes) rest = make_packet (999, 40);
  GBytes *packets[2];

  put_headers (&f->pages);
  expect_page (f, 30);
  packets[0] = rest;
  packets[1] = expect_packet (f, 50);
  put_packets (&f->pages, CONTINUED, packets, 2);
  push_pages (f);
  assert_expected (f);
}

static void
test_other_version (Fixture * f, gconstpointer unused)
{
  g_autoptr (GBytes) packet = make_packet (999, 40);
  guint start;

  put_headers (&f->pages);
  start = f->pages.bytes->len;
  put_packet (&f->pages, packet);
  f->pages.bytes->data[start + 4] = 1;
  sign_page (f->pages.bytes->data + start, f->pages.bytes->len - start);
  f->pages.number--;
  expect_page (f, 30);
  push_pages (f);
  assert_expected (f);
  assert_stats (f, 4, 1, 1, 0, 0, 1);
}

/* Packets that are no audio */

static void
test_bad_packets (Fixture * f, gconstpointer unused)
{
  static const struct
  {
    const gchar *data;
    gsize size;
  } bad[] = {
    {"", 0},                    /* empty */
    {"\xfb", 1},                /* no frame count */
    {"\xfb\x07" "1234567", 9},  /* 140 ms */
    {"\xf9xyz", 4},             /* two equal frames of an odd length */
    {"OpusHead\1\1\0\0\0\0\0\0\0\0\0", 19},
    {"OpusTags\0\0\0\0\0\0\0\0", 16},
  };
  guint i;

  put_headers (&f->pages);
  for (i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GBytes) packet = g_bytes_new_static (bad[i].data, bad[i].size);

    put_packet (&f->pages, packet);
    expect_page (f, 20);
  }
  push_pages (f);
  assert_expected (f);
  assert_stats (f, 2 + 2 * i, i, 1, 0, 0, i);
}

/* Every truncation and every corruption of a small stream */

typedef struct
{
  guint first;                  /* page the packet begins on */
  guint last;                   /* and ends on */
} Place;

/* Where each packet of fill_small_stream() lies */
static const Place places[] =
    { {2, 2}, {2, 2}, {3, 4}, {4, 4}, {5, 5}, {6, 6} };

#define N_PAGES 7

static void
fill_small_stream (Fixture * f, guint * ends)
{
  GBytes *pair[2];
  const guint8 *data;
  guint8 full = 255, segments[2] = { 45, 12 };
  g_autoptr (GByteArray) rest = g_byte_array_new ();

  put_head_page (&f->pages, 1);
  ends[0] = f->pages.bytes->len;
  put_tags_page (&f->pages);
  ends[1] = f->pages.bytes->len;
  pair[0] = expect_packet (f, 10);
  pair[1] = expect_packet (f, 14);
  put_packets (&f->pages, 0, pair, 2);
  ends[2] = f->pages.bytes->len;
  data = g_bytes_get_data (expect_packet (f, 300), NULL);
  put_page (&f->pages, 0, &full, 1, data, 255);
  ends[3] = f->pages.bytes->len;
  g_byte_array_append (rest, data + 255, 45);
  data = g_bytes_get_data (expect_packet (f, 12), NULL);
  g_byte_array_append (rest, data, 12);
  put_page (&f->pages, CONTINUED, segments, 2, rest->data, 57);
  ends[4] = f->pages.bytes->len;
  expect_page (f, 20);
  ends[5] = f->pages.bytes->len;
  expect_page (f, 20);
  ends[6] = f->pages.bytes->len;
}

static void
test_truncated (Fixture * f, gconstpointer unused)
{
  guint ends[N_PAGES];
  guint cut, i;

  fill_small_stream (f, ends);
  for (cut = 0; cut <= f->pages.bytes->len; cut++) {
    g_autoptr (GPtrArray) packets = NULL;
    guint n = 0;

    moshi_ogg_reader_reset (f->reader);
    push (f->reader, f->pages.bytes->data, cut);
    packets = pull_all (f->reader);
    while (n < G_N_ELEMENTS (places) && ends[places[n].last] <= cut)
      n++;
    g_assert_cmpuint (packets->len, ==, n);
    for (i = 0; i < n; i++)
      g_assert_true (g_bytes_equal (packets->pdata[i], f->expected->pdata[i]));

    /* The rest comes late, and nothing was lost by it */
    push (f->reader, f->pages.bytes->data + cut, f->pages.bytes->len - cut);
    g_ptr_array_extend_and_steal (packets, pull_all (f->reader));
    assert_packets (packets, f->expected);
  }
}

/* A stream breaks off anywhere and another begins: all of that is read. */
static void
test_truncated_then_chained (Fixture * f, gconstpointer unused)
{
  guint ends[N_PAGES];
  guint cut, i;

  fill_small_stream (f, ends);
  for (cut = 0; cut <= f->pages.bytes->len; cut++) {
    g_autoptr (GPtrArray) packets = NULL;
    guint n = f->expected->len;

    moshi_ogg_reader_reset (f->reader);
    push (f->reader, f->pages.bytes->data, cut);
    push (f->reader, f->pages.bytes->data, f->pages.bytes->len);
    push_zeros (f->reader, LONGEST_PAGE);
    packets = pull_all (f->reader);
    g_assert_cmpuint (packets->len, >=, n);
    for (i = 0; i < n; i++)
      g_assert_true (g_bytes_equal (packets->pdata[packets->len - n + i],
              f->expected->pdata[i]));
  }
}

static gboolean
is_touched (const Place * place, guint spoilt)
{
  return spoilt == 0 || (place->first <= spoilt && spoilt <= place->last);
}

static guint
count_untouched (guint spoilt)
{
  guint i, n = 0;

  for (i = 0; i < G_N_ELEMENTS (places); i++)
    n += !is_touched (&places[i], spoilt);
  return n;
}

/* Checks that just the packets come that do not touch page @spoilt. */
static void
assert_untouched (Fixture * f, GPtrArray * packets, guint spoilt)
{
  guint i, n = 0;

  g_assert_cmpuint (packets->len, ==, count_untouched (spoilt));
  for (i = 0; i < G_N_ELEMENTS (places); i++) {
    if (is_touched (&places[i], spoilt))
      continue;
    g_assert_true (g_bytes_equal (packets->pdata[n], f->expected->pdata[i]));
    n++;
  }
}

static void
test_corrupted (Fixture * f, gconstpointer unused)
{
  guint ends[N_PAGES];
  guint at, page = 0, change;

  fill_small_stream (f, ends);
  for (at = 0; at < f->pages.bytes->len; at++) {
    if (at == ends[page])
      page++;
    for (change = 1; change < 256; change++) {
      g_autoptr (MoshiOggReader) reader = moshi_ogg_reader_new ();
      g_autoptr (GPtrArray) packets = NULL;

      f->pages.bytes->data[at] ^= change;
      push (reader, f->pages.bytes->data, f->pages.bytes->len);
      f->pages.bytes->data[at] ^= change;
      packets = pull_all (reader);
      /* Where a length was spoilt the reader may yet wait for its end */
      if (packets->len < count_untouched (page)) {
        push_zeros (reader, LONGEST_PAGE);
        g_ptr_array_extend_and_steal (packets, pull_all (reader));
      }
      assert_untouched (f, packets, page);
    }
  }
}

static void
put_random_page (Fixture * f, GRand * rand, guint8 flags)
{
  guint8 segments[255], body[255 * 255];
  guint n = g_rand_int_range (rand, 0, 1 << g_rand_int_range (rand, 0, 8));
  gsize size = 0;
  guint i;

  for (i = 0; i < n; i++) {
    segments[i] = g_rand_boolean (rand) ? 255 : g_rand_int (rand);
    size += segments[i];
  }
  memset (body, g_rand_int (rand), size);
  if (g_rand_int_range (rand, 0, 8) == 0)
    put_head_page (&f->pages, g_rand_int_range (rand, 0, 4));
  if (g_rand_int_range (rand, 0, 8) == 0)
    f->pages.number = g_rand_int (rand);
  if (g_rand_int_range (rand, 0, 10) == 0)
    flags = g_rand_int (rand) % 8;
  f->pages.serial = SERIAL + (g_rand_int_range (rand, 0, 10) == 0);
  put_page (&f->pages, flags, segments, n, body, size);
}

/* Pages of random make with a right CRC: whatever comes of them is Opus. */
static void
test_random_pages (Fixture * f, gconstpointer unused)
{
  guint32 seed;
  guint64 n_packets = 0;

  for (seed = 1; seed <= 300; seed++) {
    g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
    g_autoptr (GPtrArray) packets = NULL;
    guint i;

    for (i = 0; i < 50; i++)
      put_random_page (f, rand, i % 2);
    push_pages (f);
    packets = pull_all (f->reader);
    n_packets += packets->len;
    for (i = 0; i < packets->len; i++) {
      gsize size;
      const guint8 *data = g_bytes_get_data (packets->pdata[i], &size);

      g_assert_cmpuint (size, <=, MOSHI_OGG_READER_MAX_PACKET);
      g_assert_cmpuint (moshi_opus_packet_duration (data, size), >, 0);
    }
  }
  /* The test is idle if all is refused */
  g_assert_cmpuint (n_packets, >, 1000);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  add ("/oggreader/bad-crc", NULL, test_bad_crc);
  add ("/oggreader/garbage", NULL, test_garbage);
  add ("/oggreader/missing-page", NULL, test_missing_page);
  add ("/oggreader/repeated-number", NULL, test_repeated_number);
  add ("/oggreader/missing-part", NULL, test_missing_part);
  add ("/oggreader/not-continued", NULL, test_not_continued);
  add ("/oggreader/continues-nothing", NULL, test_continues_nothing);
  add ("/oggreader/other-version", NULL, test_other_version);
  add ("/oggreader/bad-packets", NULL, test_bad_packets);
  add ("/oggreader/truncated", NULL, test_truncated);
  add ("/oggreader/truncated-then-chained", NULL, test_truncated_then_chained);
  add ("/oggreader/corrupted", NULL, test_corrupted);
  add ("/oggreader/random-pages", NULL, test_random_pages);
  return g_test_run ();
}
