/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "protocol/moshioggreader.h"
#include "protocol/moshioggwriter.h"

#include "protocol/moshierror.h"
#include "protocol/moshiopus.h"

#include "oggfixture.h"

/* The shapes of pages and messages */

static void
test_page_a_message (Fixture * f, gconstpointer unused)
{
  guint i;

  put_headers (&f->pages);
  push_pages (f);
  assert_expected (f);
  for (i = 0; i < 100; i++) {
    expect_page (f, 3 + i * 12);
    push_pages (f);
    assert_expected (f);
  }
  assert_stats (f, 102, 100, 1, 0, 0, 0);
}

static void
test_pages_a_message (Fixture * f, gconstpointer unused)
{
  guint i;

  put_headers (&f->pages);
  for (i = 0; i < 50; i++)
    expect_page (f, 100);
  push_pages (f);
  assert_expected (f);
  assert_stats (f, 52, 50, 1, 0, 0, 0);
}

static void
test_packets_a_page (Fixture * f, gconstpointer unused)
{
  GBytes *packets[250];
  guint i;

  put_headers (&f->pages);
  for (i = 0; i < 250; i++)
    packets[i] = expect_packet (f, 3 + i);
  put_packets (&f->pages, 0, packets, 250);
  push_pages (f);
  assert_expected (f);
  assert_stats (f, 3, 250, 1, 0, 0, 0);
}

/* Lengths around a full segment, each over pages of one to three segments */
static void
test_spread_packets (Fixture * f, gconstpointer unused)
{
  static const gsize sizes[] = { 254, 255, 256, 509, 510, 511, 764, 765, 766 };
  guint i, n;

  put_headers (&f->pages);
  for (i = 0; i < G_N_ELEMENTS (sizes); i++) {
    for (n = 1; n <= 3; n++)
      put_spread (&f->pages, expect_packet (f, sizes[i]), n);
  }
  push_pages (f);
  assert_expected (f);
}

static void
test_byte_by_byte (Fixture * f, gconstpointer unused)
{
  guint i;

  put_headers (&f->pages);
  expect_page (f, 300);
  put_spread (&f->pages, expect_packet (f, 700), 1);
  expect_page (f, 3);
  for (i = 0; i < f->pages.bytes->len; i++)
    push (f->reader, f->pages.bytes->data + i, 1);
  g_assert_true (moshi_ogg_reader_push (f->reader, NULL, 0, NULL));
  assert_expected (f);
}

static void
fill_mixed_stream (Fixture * f)
{
  GBytes *pair[2];
  guint i;

  g_byte_array_append (f->pages.bytes, (const guint8 *) "OggOgg", 6);
  put_headers (&f->pages);
  for (i = 0; i < 12; i++) {
    expect_page (f, 30 + 90 * i);
    pair[0] = expect_packet (f, 40);
    pair[1] = expect_packet (f, 255);
    put_packets (&f->pages, 0, pair, 2);
    put_spread (&f->pages, expect_packet (f, 600 + i), 1 + i % 3);
    if (i % 4 == 0)
      g_byte_array_append (f->pages.bytes, (const guint8 *) "Oops", 4);
    if (i % 5 == 0)
      f->pages.number++;
  }
  put_headers (&f->pages);
  expect_page (f, 50);
}

/* Pushes chunks of random lengths and pulls at random times. */
static GPtrArray *
read_in_chunks (MoshiOggReader * reader, GByteArray * bytes, guint32 seed)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
  GPtrArray *packets =
      g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  gsize at = 0;

  while (at < bytes->len) {
    gsize size = g_rand_int_range (rand, 0, 1 << (1 + seed % 12));

    size = MIN (size, bytes->len - at);
    push (reader, bytes->data + at, size);
    at += size;
    if (g_rand_boolean (rand))
      g_ptr_array_extend_and_steal (packets, pull_all (reader));
  }
  g_ptr_array_extend_and_steal (packets, pull_all (reader));
  return packets;
}

static void
test_random_chunks (Fixture * f, gconstpointer unused)
{
  guint32 seed;

  fill_mixed_stream (f);
  for (seed = 1; seed <= 200; seed++) {
    g_autoptr (MoshiOggReader) reader = moshi_ogg_reader_new ();
    g_autoptr (GPtrArray) packets =
        read_in_chunks (reader, f->pages.bytes, seed);
    MoshiOggReaderStats stats;

    assert_packets (packets, f->expected);
    moshi_ogg_reader_get_stats (reader, &stats);
    g_assert_cmpuint (stats.holes, ==, 3);
    g_assert_cmpuint (stats.skipped_bytes, ==, 6 + 3 * 4);
    g_assert_cmpuint (stats.streams, ==, 2);
    g_assert_cmpuint (stats.skipped_packets, ==, 0);
  }
}

/* What the servers send: packets and granule positions as protocol notes on
 * each have it, how many messages a frame, and how many packets come of it. */
typedef struct
{
  const gchar *name;
  guint n_frames;               /* of 20 ms, in a packet */
  guint pages_a_message;
  guint granule_step;           /* a page; 0: only every second page steps */
  guint headers;                /* messages of the headers; 0: with audio */
} Server;

static const Server servers[] = {
  {"PyTorch, MLX", 2, 2, 1920, 0},
  {"moshi-backend", 2, 1, 0, 0},
  {"moshi-server", 4, 1, 3840, 1},
  {"PersonaPlex, MoshiVis", 4, 1, 1920, 2},
};

static void
play_server (Fixture * f, const Server * server)
{
  guint i, k, n = 0;

  f->pages.number = 0;
  f->pages.granule = 0;
  put_head_page (&f->pages, 1);
  if (server->headers == 2)
    push_pages (f);
  put_tags_page (&f->pages);
  if (server->headers > 0)
    push_pages (f);
  for (i = 0; i < 20; i++) {
    for (k = 0; k < server->pages_a_message; k++, n++) {
      GBytes *packet = make_long_frames (n, server->n_frames);

      if (server->granule_step > 0)
        f->pages.granule += server->granule_step;
      else if (n % 2 == 0)
        f->pages.granule += 1920;
      g_ptr_array_add (f->expected, packet);
      put_packet (&f->pages, packet);
    }
    push_pages (f);
    assert_expected (f);
  }
}

static void
test_servers (Fixture * f, gconstpointer unused)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (servers); i++) {
    guint channels, pre_skip;
    guint32 input_rate;

    g_test_message ("%s", servers[i].name);
    moshi_ogg_reader_reset (f->reader);
    g_assert_false (moshi_ogg_reader_get_head (f->reader, &channels, &pre_skip,
            &input_rate));
    play_server (f, &servers[i]);
    g_assert_true (moshi_ogg_reader_get_head (f->reader, &channels, &pre_skip,
            &input_rate));
    g_assert_cmpuint (channels, ==, 1);
    g_assert_cmpuint (pre_skip, ==, 3840);
    g_assert_cmpuint (input_rate, ==, 24000);
  }
}

/* Granule positions say nothing: all the same, backwards, "none", far. */
static void
test_granules (Fixture * f, gconstpointer unused)
{
  static const guint64 granules[] = { 960, 960, 0, G_MAXUINT64, 480, 1,
    G_MAXINT64, (guint64) G_MAXINT64 + 1, 960
  };
  guint i;

  put_headers (&f->pages);
  for (i = 0; i < G_N_ELEMENTS (granules); i++) {
    f->pages.granule = granules[i];
    expect_page (f, 20);
  }
  push_pages (f);
  assert_expected (f);
  assert_stats (f, 2 + i, i, 1, 0, 0, 0);
}

static void
test_eos (Fixture * f, gconstpointer unused)
{
  GBytes *packet;

  put_headers (&f->pages);
  expect_page (f, 20);
  packet = expect_packet (f, 30);
  put_packets (&f->pages, EOS, &packet, 1);
  push_pages (f);
  assert_expected (f);

  /* An empty EOS page, and a server that goes on after it */
  put_page (&f->pages, EOS, NULL, 0, NULL, 0);
  expect_page (f, 20);
  push_pages (f);
  assert_expected (f);
  assert_stats (f, 6, 3, 1, 0, 0, 0);
}

/* Some releases of libogg see a hole where page numbers wrap; no packet may
 * be lost by it. */
static void
test_page_numbers_wrap (Fixture * f, gconstpointer unused)
{
  put_headers (&f->pages);
  f->pages.number = G_MAXUINT32 - 1;
  expect_page (f, 20);
  expect_page (f, 21);
  put_spread (&f->pages, expect_packet (f, 600), 1);
  push_pages (f);
  assert_expected (f);
}

/* Streams */

static void
test_chained (Fixture * f, gconstpointer serial)
{
  guint channels;

  put_headers (&f->pages);
  expect_page (f, 20);
  expect_page (f, 21);
  f->pages.serial = GPOINTER_TO_UINT (serial);
  f->pages.number = 0;
  put_head_page (&f->pages, 2);
  put_tags_page (&f->pages);
  expect_page (f, 22);
  push_pages (f);

  /* The head is that of the packet pulled */
  g_bytes_unref (moshi_ogg_reader_pull (f->reader));
  g_bytes_unref (moshi_ogg_reader_pull (f->reader));
  g_assert_true (moshi_ogg_reader_get_head (f->reader, &channels, NULL, NULL));
  g_assert_cmpuint (channels, ==, 1);
  g_ptr_array_remove_range (f->expected, 0, 2);
  assert_expected (f);
  g_assert_true (moshi_ogg_reader_get_head (f->reader, &channels, NULL, NULL));
  g_assert_cmpuint (channels, ==, 2);
  assert_stats (f, 7, 3, 2, 0, 0, 0);
}

/* A stream is cut within a packet, and the next one begins. */
static void
test_chained_over_unfinished (Fixture * f, gconstpointer serial)
{
  guint8 segments[2] = { 255, 255 };
  guint8 body[510] = { 0xf8 };

  put_headers (&f->pages);
  put_page (&f->pages, 0, segments, 2, body, 510);
  f->pages.serial = GPOINTER_TO_UINT (serial);
  put_headers (&f->pages);
  expect_page (f, 22);
  push_pages (f);
  assert_expected (f);
  assert_stats (f, 6, 1, 2, 1, 0, 0);
}

static void
test_before_any_stream (Fixture * f, gconstpointer unused)
{
  g_autoptr (GBytes) early = make_packet (999, 40);

  put_packet (&f->pages, early);
  put_packets (&f->pages, EOS, &early, 1);
  push_pages (f);
  assert_expected (f);
  g_assert_false (moshi_ogg_reader_get_head (f->reader, NULL, NULL, NULL));
  assert_stats (f, 2, 0, 0, 0, 0, 2);

  put_headers (&f->pages);
  expect_page (f, 20);
  push_pages (f);
  assert_expected (f);
  assert_stats (f, 5, 1, 1, 0, 0, 2);
}

/* Streams that are not Opus, around ours and in between */
static void
test_multiplexed (Fixture * f, gconstpointer unused)
{
  g_autoptr (GBytes) skeleton = g_bytes_new_static ("fishead\0\3\0\0\0", 12);
  g_autoptr (GBytes) vorbis = g_bytes_new_static ("\1vorbis\0\0\0\0\2", 12);
  g_autoptr (GBytes) data = make_packet (999, 40);
  Pages other = { f->pages.bytes, 7, 0, 0 };
  Pages third = { f->pages.bytes, 8, 0, 0 };
  guint i;

  put_packets (&other, BOS, &skeleton, 1);
  put_head_page (&f->pages, 1);
  put_packets (&third, BOS, &vorbis, 1);
  put_tags_page (&f->pages);
  for (i = 0; i < 10; i++) {
    put_packet (&other, data);
    expect_page (f, 20);
    put_spread (&f->pages, expect_packet (f, 400), 1);
    put_packet (&third, data);
  }
  push_pages (f);
  assert_expected (f);
  assert_stats (f, 54, 20, 1, 0, 0, 22);
}

/* A packet of ours is not broken by another stream's page in its midst. */
static void
test_multiplexed_within_packet (Fixture * f, gconstpointer unused)
{
  GBytes *packet = expect_packet (f, 300);
  const guint8 *data = g_bytes_get_data (packet, NULL);
  Pages other = { f->pages.bytes, 7, 0, 0 };
  guint8 full = 255, rest = 45;

  put_headers (&f->pages);
  put_page (&f->pages, 0, &full, 1, data, 255);
  put_page (&other, 0, &full, 1, data, 255);
  put_page (&f->pages, CONTINUED, &rest, 1, data + 255, 45);
  push_pages (f);
  assert_expected (f);
}

/* Our serial number is taken over by a stream that is not Opus. */
static void
test_replaced (Fixture * f, gconstpointer unused)
{
  g_autoptr (GBytes) vorbis = g_bytes_new_static ("\1vorbis\0\0\0\0\2", 12);
  g_autoptr (GBytes) data = make_packet (999, 40);

  put_headers (&f->pages);
  expect_page (f, 20);
  put_packets (&f->pages, BOS, &vorbis, 1);
  put_packet (&f->pages, data);
  push_pages (f);
  assert_expected (f);

  put_headers (&f->pages);
  expect_page (f, 21);
  push_pages (f);
  assert_expected (f);
  assert_stats (f, 8, 2, 2, 0, 0, 2);
}

/* RFC 7845 section 5.1 */
typedef struct
{
  const gchar *name;
  guint at;                     /* a byte of a good OpusHead, and its value */
  guint8 value;
  gsize size;
  gboolean valid;
} Head;

static const Head heads[] = {
  {"good", 8, 1, 19, TRUE},
  {"version 0", 8, 0, 19, TRUE},
  {"version 15", 8, 15, 19, TRUE},
  {"version 16", 8, 16, 19, FALSE},
  {"version 255", 8, 255, 19, FALSE},
  {"no channels", 9, 0, 19, FALSE},
  {"two channels", 9, 2, 19, TRUE},
  {"three channels", 9, 3, 19, FALSE},
  {"pre-skip", 11, 255, 19, TRUE},
  {"gain", 16, 1, 19, TRUE},
  {"family 1", 18, 1, 19, FALSE},
  {"family 255", 18, 255, 19, FALSE},
  {"short", 8, 1, 18, FALSE},
  {"magic alone", 8, 1, 8, FALSE},
  {"no whole magic", 6, 'a', 7, FALSE},
  {"nothing", 0, 'O', 0, FALSE},
  {"longer", 8, 2, 30, TRUE},
  {"other magic", 7, 'D', 19, FALSE},
  {"other magic", 0, 'o', 19, FALSE},
};

static void
check_head (Fixture * f, const Head * c)
{
  g_autoptr (GBytes) good = make_head (1, 0x123, 0xfedcba98);
  g_autoptr (GBytes) head = NULL;
  g_autoptr (MoshiOggReader) reader = moshi_ogg_reader_new ();
  guint8 data[30] = { 0 };
  guint channels = 0, pre_skip = 0;
  guint32 input_rate = 0;
  MoshiOggReaderStats stats;
  g_autoptr (GPtrArray) packets = NULL;

  g_test_message ("%s", c->name);
  memcpy (data, g_bytes_get_data (good, NULL), 19);
  data[c->at] = c->value;
  head = g_bytes_new (data, c->size);
  f->pages.number = 0;
  put_packets (&f->pages, BOS, &head, 1);
  put_tags_page (&f->pages);
  expect_page (f, 20);
  push (reader, f->pages.bytes->data, f->pages.bytes->len);
  g_byte_array_set_size (f->pages.bytes, 0);

  packets = pull_all (reader);
  g_assert_cmpuint (packets->len, ==, c->valid ? 1 : 0);
  moshi_ogg_reader_get_stats (reader, &stats);
  g_assert_cmpuint (stats.streams, ==, c->valid ? 1 : 0);
  g_assert_cmpuint (stats.skipped_packets, ==, c->valid ? 0 : 3);
  g_assert_cmpint (moshi_ogg_reader_get_head (reader, &channels, &pre_skip,
          &input_rate), ==, c->valid);
  g_assert_cmpuint (channels, ==, c->valid ? data[9] : 0);
  g_assert_cmpuint (pre_skip, ==, !c->valid ? 0 : c->at == 11 ? 0xff23 : 0x123);
  g_assert_cmphex (input_rate, ==, c->valid ? 0xfedcba98 : 0);
}

static void
test_heads (Fixture * f, gconstpointer unused)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (heads); i++)
    check_head (f, &heads[i]);
}

/* A BOS page whose head goes on over it, or that itself goes on, is refused. */
static void
test_unfinished_head (Fixture * f, gconstpointer unused)
{
  g_autoptr (GBytes) head = make_head (1, 0, 0);
  g_autoptr (GByteArray) body = g_byte_array_new ();
  GBytes *pair[2];
  guint8 full = 255;

  g_byte_array_append (body, g_bytes_get_data (head, NULL), 19);
  g_byte_array_set_size (body, 255);
  put_page (&f->pages, BOS, &full, 1, body->data, 255);
  put_packets (&f->pages, BOS | CONTINUED, &head, 1);
  /* Too short by the byte that the next packet lends */
  pair[0] = g_bytes_new_from_bytes (head, 0, 18);
  pair[1] = g_bytes_new_from_bytes (head, 18, 1);
  put_packets (&f->pages, BOS, pair, 2);
  push_pages (f);
  assert_expected (f);
  assert_stats (f, 3, 0, 0, 0, 0, 3);
  g_bytes_unref (pair[0]);
  g_bytes_unref (pair[1]);
}

static void
test_tags_over_pages (Fixture * f, gconstpointer unused)
{
  static const gsize sizes[] = { 0, 300, 66000, 130000, 1000000 };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (sizes); i++) {
    g_autoptr (GBytes) tags = make_tags (sizes[i]);

    f->pages.number = 0;
    put_head_page (&f->pages, 1);
    put_spread (&f->pages, tags, sizes[i] > 300 ? 255 : 1);
    expect_page (f, 20);
    push_pages (f);
    assert_expected (f);
  }
  assert_stats (f, 5 + (1 + 2 + 2 + 2 + 16) + 5, 5, 5, 0, 0, 0);
}

/* The tags are missing: the packet in their place is not lost with them. */
static void
test_no_tags (Fixture * f, gconstpointer unused)
{
  put_head_page (&f->pages, 1);
  expect_page (f, 20);
  expect_page (f, 21);
  push_pages (f);
  assert_expected (f);
  assert_stats (f, 3, 2, 1, 0, 0, 0);
}

/* Limits */

static void
test_longest_packet (Fixture * f, gconstpointer unused)
{
  static const gsize max = MOSHI_OGG_READER_MAX_PACKET;
  guint n;

  for (n = 1; n <= 255; n += 127) {
    g_autoptr (GBytes) too_long = make_padded (max + 1);
    g_autoptr (GBytes) longer = make_padded (max + 200000);

    g_assert_cmpuint (moshi_opus_packet_duration (g_bytes_get_data (too_long,
                NULL), max + 1), ==, 960);
    moshi_ogg_reader_reset (f->reader);
    put_headers (&f->pages);
    g_ptr_array_add (f->expected, make_padded (max));
    put_spread (&f->pages, f->expected->pdata[0], n);
    put_spread (&f->pages, too_long, n);
    expect_page (f, 20);
    put_spread (&f->pages, longer, n);
    expect_page (f, 20);
    push_pages (f);
    assert_expected (f);
  }
  {
    MoshiOggReaderStats stats;

    moshi_ogg_reader_get_stats (f->reader, &stats);
    g_assert_cmpuint (stats.packets, ==, 9);
    g_assert_cmpuint (stats.skipped_packets, ==, 6);
    g_assert_cmpuint (stats.holes, ==, 0);
  }
}

/* 16 MB of a packet without end are never held: a push of nearly all that may
 * be pending still fits. */
static void
test_endless_packet (Fixture * f, gconstpointer unused)
{
  g_autofree guint8 *body = g_malloc0 (255 * 255);
  guint8 segments[255];
  guint i;

  memset (segments, 255, sizeof (segments));
  put_headers (&f->pages);
  for (i = 0; i < 250; i++) {
    put_page (&f->pages, i == 0 ? 0 : CONTINUED, segments, 255, body,
        255 * 255);
    push_pages (f);
    g_assert_null (moshi_ogg_reader_pull (f->reader));
    if (i % 25 == 0)
      push_zeros (f->reader, MOSHI_OGG_READER_MAX_PENDING - 200000);
  }
  segments[0] = 0;
  put_page (&f->pages, CONTINUED, segments, 1, NULL, 0);
  expect_page (f, 20);
  push_pages (f);
  assert_expected (f);
  {
    MoshiOggReaderStats stats;

    moshi_ogg_reader_get_stats (f->reader, &stats);
    g_assert_cmpuint (stats.skipped_packets, ==, 1);
    g_assert_cmpuint (stats.holes, ==, 0);
  }
}

static void
test_too_much_at_once (Fixture * f, gconstpointer unused)
{
  g_autofree guint8 *zeros = g_malloc0 (MOSHI_OGG_READER_MAX_PENDING + 1);
  g_autoptr (GError) error = NULL;

  put_headers (&f->pages);
  expect_page (f, 20);
  push_pages (f);
  g_assert_false (moshi_ogg_reader_push (f->reader, zeros,
          MOSHI_OGG_READER_MAX_PENDING + 1, &error));
  g_assert_error (error, MOSHI_ERROR, MOSHI_ERROR_LIMIT);
  g_assert_false (moshi_ogg_reader_push (f->reader, zeros, G_MAXSIZE, NULL));
  assert_expected (f);
  g_assert_true (moshi_ogg_reader_push (f->reader, zeros,
          MOSHI_OGG_READER_MAX_PENDING - 100, NULL));
}

/* Unfinished packets and those not pulled count, to the byte. */
static void
test_pending (Fixture * f, gconstpointer unused)
{
  static const gsize unfinished = 100 * 255, ready = 700;
  gsize room = MOSHI_OGG_READER_MAX_PENDING - unfinished - ready;
  g_autofree guint8 *zeros = g_malloc0 (room + 1);
  guint8 segments[103];

  memset (segments, 255, sizeof (segments));
  segments[2] = 190;
  put_headers (&f->pages);
  zeros[0] = 0xf8;
  put_page (&f->pages, 0, segments, 103, zeros, ready + unfinished);
  push_pages (f);
  g_assert_false (moshi_ogg_reader_push (f->reader, zeros, room + 1, NULL));
  g_assert_true (moshi_ogg_reader_push (f->reader, zeros, room, NULL));
  g_assert_false (moshi_ogg_reader_push (f->reader, zeros, 1, NULL));
  g_bytes_unref (moshi_ogg_reader_pull (f->reader));
  g_assert_true (moshi_ogg_reader_push (f->reader, zeros, ready, NULL));
}

/* Nobody pulls: the reader refuses at its limit, loses nothing that it took,
 * and takes more once there is room, or after a reset. */
static void
test_not_pulled (Fixture * f, gconstpointer with_reset)
{
  g_autoptr (GError) error = NULL;
  gsize taken = 0;
  guint before;

  put_headers (&f->pages);
  push_pages (f);
  do {
    before = f->expected->len;
    expect_page (f, 1000);
    taken += f->pages.bytes->len;
    if (!moshi_ogg_reader_push (f->reader, f->pages.bytes->data,
            f->pages.bytes->len, &error))
      break;
    g_byte_array_set_size (f->pages.bytes, 0);
  } while (taken < 2 * MOSHI_OGG_READER_MAX_PENDING);

  g_assert_error (error, MOSHI_ERROR, MOSHI_ERROR_LIMIT);
  g_assert_cmpuint (taken, >, MOSHI_OGG_READER_MAX_PENDING);
  g_assert_cmpuint (taken, <, MOSHI_OGG_READER_MAX_PENDING + 2000);
  if (with_reset != NULL) {
    g_ptr_array_set_size (f->expected, 0);
    g_byte_array_set_size (f->pages.bytes, 0);
    moshi_ogg_reader_reset (f->reader);
    put_headers (&f->pages);
    expect_page (f, 20);
  } else {
    g_autoptr (GPtrArray) packets = pull_all (f->reader);

    g_assert_cmpuint (packets->len, ==, before);
    g_ptr_array_remove_range (f->expected, 0, before);
  }
  push_pages (f);
  assert_expected (f);
}

static void
test_reset (Fixture * f, gconstpointer unused)
{
  g_autoptr (GBytes) data = make_packet (999, 40);
  MoshiOggReaderStats stats;

  put_headers (&f->pages);
  put_packet (&f->pages, data);
  put_packet (&f->pages, data);
  g_byte_array_append (f->pages.bytes, (const guint8 *) "OggS", 4);
  push_pages (f);
  moshi_ogg_reader_reset (f->reader);
  g_assert_null (moshi_ogg_reader_pull (f->reader));
  g_assert_false (moshi_ogg_reader_get_head (f->reader, NULL, NULL, NULL));

  /* Its stream is forgotten, so its pages are not read */
  put_packet (&f->pages, data);
  push_pages (f);
  g_assert_null (moshi_ogg_reader_pull (f->reader));
  put_headers (&f->pages);
  expect_page (f, 20);
  push_pages (f);
  assert_expected (f);
  moshi_ogg_reader_get_stats (f->reader, &stats);
  g_assert_cmpuint (stats.streams, ==, 2);
  g_assert_cmpuint (stats.skipped_packets, ==, 1);
  moshi_ogg_reader_free (NULL);
}

/* Writer */

/* Reads a page's one packet. */
static const guint8 *
get_only_packet (const Page * page)
{
  guint i;

  g_assert_cmpuint (page->n_segments, ==, page->body_size / 255 + 1);
  for (i = 0; i + 1 < page->n_segments; i++)
    g_assert_cmpuint (page->segments[i], ==, 255);
  return page->body;
}

static void
test_writer_headers (void)
{
  g_autoptr (MoshiOggWriter) writer =
      moshi_ogg_writer_new (0xfedcba98, 2, 0x1234, 0x89abcdef);
  g_autoptr (GBytes) headers = moshi_ogg_writer_headers (writer);
  g_autoptr (GBytes) again = moshi_ogg_writer_headers (writer);
  gsize size;
  const guint8 *data = g_bytes_get_data (headers, &size);
  const guint8 *tags;
  Page page;
  guint vendor;

  g_assert_true (g_bytes_equal (headers, again));
  parse_page (data, size, &page);
  g_assert_cmpuint (page.flags, ==, BOS);
  g_assert_cmpuint (page.number, ==, 0);
  g_assert_cmpuint (page.granule, ==, 0);
  g_assert_cmphex (page.serial, ==, 0xfedcba98);
  g_assert_cmpmem (get_only_packet (&page), page.body_size,
      "OpusHead\1\2\x34\x12\xef\xcd\xab\x89\0\0\0", 19);
  data += page.size;
  size -= page.size;

  parse_page (data, size, &page);
  g_assert_cmpuint (page.flags, ==, 0);
  g_assert_cmpuint (page.number, ==, 1);
  g_assert_cmpuint (page.granule, ==, 0);
  g_assert_cmphex (page.serial, ==, 0xfedcba98);
  tags = get_only_packet (&page);
  g_assert_cmpmem (tags, 8, "OpusTags", 8);
  vendor = get_le (tags + 8, 4);
  g_assert_cmpuint (page.body_size, ==, 8 + 4 + vendor + 4);
  g_assert_cmpmem (tags + 12, 10, "gst-moshi ", 10);
  g_assert_cmpuint (get_le (tags + 12 + vendor, 4), ==, 0);
  g_assert_cmpuint (size, ==, page.size);
  moshi_ogg_writer_free (NULL);
}

/* Packets of every length, from one segment to the most a packet may have */
static void
test_writer_packets (void)
{
  g_autoptr (MoshiOggWriter) writer =
      moshi_ogg_writer_new (SERIAL, 1, 312, 48000);
  g_autoptr (GByteArray) out = g_byte_array_new ();
  static const gsize sizes[] = { 20, 253, 254, 255, 256, 510, 1275, 61297,
    MOSHI_OGG_READER_MAX_PACKET
  };
  guint64 granule = 0;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (sizes); i++) {
    g_autoptr (GBytes) packet = sizes[i] == 20 ? make_packet (0, 20) :
        make_padded (sizes[i]);
    g_autoptr (GError) error = NULL;
    guint8 kind = 1;
    Page page;

    g_byte_array_set_size (out, 0);
    g_byte_array_append (out, &kind, 1);
    g_assert_true (moshi_ogg_writer_packet (writer,
            g_bytes_get_data (packet, NULL), sizes[i], out, &error));
    g_assert_no_error (error);
    granule += 960;
    g_assert_cmpuint (out->data[0], ==, 1);
    parse_page (out->data + 1, out->len - 1, &page);
    g_assert_cmpuint (page.size, ==, out->len - 1);
    g_assert_cmpuint (page.flags, ==, 0);
    g_assert_cmpuint (page.serial, ==, SERIAL);
    g_assert_cmpuint (page.number, ==, 2 + i);
    g_assert_cmpuint (page.granule, ==, granule);
    g_assert_cmpmem (get_only_packet (&page), page.body_size,
        g_bytes_get_data (packet, NULL), sizes[i]);
    g_assert_cmpuint (moshi_ogg_writer_get_granule_position (writer), ==,
        granule);
  }
}

static void
test_writer_granules (void)
{
  static const guint durations[] = { 120, 960, 240, 2880, 480, 1920, 960 };
  g_autoptr (MoshiOggWriter) writer = moshi_ogg_writer_new (SERIAL, 1, 0, 0);
  guint64 granule = 0;
  guint i;

  for (i = 0; i < 10000; i++) {
    guint duration = durations[i % G_N_ELEMENTS (durations)];
    g_autoptr (GByteArray) out = g_byte_array_new ();
    const guint8 *packet;
    gsize size;
    Page page;

    packet = moshi_opus_silence_packet (duration, 1, &size);
    g_assert_true (moshi_ogg_writer_packet (writer, packet, size, out, NULL));
    granule += duration;
    parse_page (out->data, out->len, &page);
    g_assert_cmpuint (page.granule, ==, granule);
    g_assert_cmpuint (page.number, ==, 2 + i);
  }
}

static void
test_writer_refuses (void)
{
  g_autoptr (MoshiOggWriter) writer = moshi_ogg_writer_new (SERIAL, 1, 0, 0);
  g_autoptr (GBytes) long_packet =
      make_padded (MOSHI_OGG_READER_MAX_PACKET + 1);
  g_autoptr (GByteArray) out = g_byte_array_new ();
  const struct
  {
    const guint8 *data;
    gsize size;
  } bad[] = {
    {NULL, 0},
    {(const guint8 *) "", 0},
    {(const guint8 *) "\xfb", 1},
    {(const guint8 *) "OpusHead\1\1\0\0\0\0\0\0\0\0\0", 19},
    {g_bytes_get_data (long_packet, NULL), MOSHI_OGG_READER_MAX_PACKET + 1},
  };
  Page page;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_false (moshi_ogg_writer_packet (writer, bad[i].data, bad[i].size,
            out, &error));
    g_assert_error (error, MOSHI_ERROR, MOSHI_ERROR_OPUS);
    g_assert_cmpuint (out->len, ==, 0);
    g_assert_cmpuint (moshi_ogg_writer_get_granule_position (writer), ==, 0);
  }

  /* And none of them took a page number */
  g_assert_true (moshi_ogg_writer_packet (writer, (const guint8 *) "\xf8x", 2,
          out, NULL));
  parse_page (out->data, out->len, &page);
  g_assert_cmpuint (page.number, ==, 2);
}

/* What the one writes the other reads. */
static void
test_writer_to_reader (Fixture * f, gconstpointer unused)
{
  g_autoptr (MoshiOggWriter) writer = moshi_ogg_writer_new (5, 2, 312, 44100);
  g_autoptr (GBytes) headers = moshi_ogg_writer_headers (writer);
  guint channels, pre_skip, i;
  guint32 input_rate;
  gsize size;
  const guint8 *data = g_bytes_get_data (headers, &size);

  push (f->reader, data, size);
  g_assert_true (moshi_ogg_reader_get_head (f->reader, &channels, &pre_skip,
          &input_rate));
  g_assert_cmpuint (channels, ==, 2);
  g_assert_cmpuint (pre_skip, ==, 312);
  g_assert_cmpuint (input_rate, ==, 44100);
  for (i = 3; i < 1277; i++) {
    GBytes *packet = expect_packet (f, i);

    data = g_bytes_get_data (packet, &size);
    g_assert_true (moshi_ogg_writer_packet (writer, data, size, f->pages.bytes,
            NULL));
    push_pages (f);
  }
  assert_expected (f);
  assert_stats (f, 2 + 1274, 1274, 1, 0, 0, 0);
}

static void
add_stream_tests (void)
{
  add ("/oggreader/chained-same-serial", GUINT_TO_POINTER (SERIAL),
      test_chained);
  add ("/oggreader/chained-other-serial", GUINT_TO_POINTER (0xffffffff),
      test_chained);
  add ("/oggreader/chained-over-unfinished", GUINT_TO_POINTER (SERIAL),
      test_chained_over_unfinished);
  add ("/oggreader/chained-over-unfinished-other", GUINT_TO_POINTER (7),
      test_chained_over_unfinished);
  add ("/oggreader/before-any-stream", NULL, test_before_any_stream);
  add ("/oggreader/multiplexed", NULL, test_multiplexed);
  add ("/oggreader/multiplexed-within-packet", NULL,
      test_multiplexed_within_packet);
  add ("/oggreader/replaced", NULL, test_replaced);
  add ("/oggreader/heads", NULL, test_heads);
  add ("/oggreader/unfinished-head", NULL, test_unfinished_head);
  add ("/oggreader/tags-over-pages", NULL, test_tags_over_pages);
  add ("/oggreader/no-tags", NULL, test_no_tags);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  add ("/oggreader/page-a-message", NULL, test_page_a_message);
  add ("/oggreader/pages-a-message", NULL, test_pages_a_message);
  add ("/oggreader/packets-a-page", NULL, test_packets_a_page);
  add ("/oggreader/spread-packets", NULL, test_spread_packets);
  add ("/oggreader/byte-by-byte", NULL, test_byte_by_byte);
  add ("/oggreader/random-chunks", NULL, test_random_chunks);
  add ("/oggreader/servers", NULL, test_servers);
  add ("/oggreader/granules", NULL, test_granules);
  add ("/oggreader/eos", NULL, test_eos);
  add ("/oggreader/page-numbers-wrap", NULL, test_page_numbers_wrap);
  add_stream_tests ();
  add ("/oggreader/longest-packet", NULL, test_longest_packet);
  add ("/oggreader/endless-packet", NULL, test_endless_packet);
  add ("/oggreader/too-much-at-once", NULL, test_too_much_at_once);
  add ("/oggreader/pending", NULL, test_pending);
  add ("/oggreader/not-pulled", NULL, test_not_pulled);
  add ("/oggreader/not-pulled-reset", "reset", test_not_pulled);
  add ("/oggreader/reset", NULL, test_reset);
  g_test_add_func ("/oggwriter/headers", test_writer_headers);
  g_test_add_func ("/oggwriter/packets", test_writer_packets);
  g_test_add_func ("/oggwriter/granules", test_writer_granules);
  g_test_add_func ("/oggwriter/refuses", test_writer_refuses);
  add ("/oggwriter/to-reader", NULL, test_writer_to_reader);
  return g_test_run ();
}
