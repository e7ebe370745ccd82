/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Servers that mean harm, or are broken beyond what a stand-in does. Each goes
 * on until the client has had enough. What it does is skipped, counted, warned
 * of or the end, as docs/reliability.md says; memory is bounded; and there is
 * one error at most.
 */
#include "bench.h"

#include <stdio.h>
#include <string.h>

#include "../protocol/oggpages.h"
#include "../session/peer.h"

#define CAPS "audio/x-raw,format=S16LE,layout=interleaved,rate=24000,channels=1"
#define LIVE "audiotestsrc is-live=true samplesperbuffer=480 ! " CAPS

/* What a flood may cost, at most */
#define MAX_GROWTH (96 * 1024 * 1024)

static gsize
get_resident (void)
{
  g_autofree gchar *text = NULL;
  gulong total, resident;

  g_assert_true (g_file_get_contents ("/proc/self/statm", &text, NULL, NULL));
  g_assert_cmpint (sscanf (text, "%lu %lu", &total, &resident), ==, 2);
  return (gsize) resident *4096;
}

static void
flood_text (Peer * peer, gpointer user_data)
{
  if (peer_greet (peer))
    peer_repeat_frame (peer, PEER_BINARY, (const guint8 *) "\002 word", 6);
}

static void
flood_long_text (Peer * peer, gpointer user_data)
{
  g_autofree guint8 *text = g_malloc (60000);

  memset (text, 'a', 60000);
  text[0] = 2;
  if (peer_greet (peer))
    peer_repeat_frame (peer, PEER_BINARY, text, 60000);
}

static void
flood_unknown (Peer * peer, gpointer user_data)
{
  if (peer_greet (peer))
    peer_repeat_frame (peer, PEER_BINARY, (const guint8 *) "\077?", 2);
}

static void
flood_empty (Peer * peer, gpointer user_data)
{
  if (peer_greet (peer))
    peer_repeat_frame (peer, PEER_BINARY, (const guint8 *) "", 0);
}

static void
flood_metadata (Peer * peer, gpointer user_data)
{
  g_autofree guint8 *json = g_malloc (60000);

  memset (json, ' ', 60000);
  memcpy (json, "\004{}", 3);
  if (peer_greet (peer))
    peer_repeat_frame (peer, PEER_BINARY, json, 60000);
}

/* JSON 1,000 levels deep */
static void
flood_deep_metadata (Peer * peer, gpointer user_data)
{
  guint8 json[1001];

  memset (json, '[', sizeof json);
  json[0] = 4;
  if (peer_greet (peer))
    peer_repeat_frame (peer, PEER_BINARY, json, sizeof json);
}

static void
flood_pings (Peer * peer, gpointer user_data)
{
  if (peer_greet (peer))
    peer_repeat_frame (peer, 0x89, (const guint8 *) "Are you there?", 14);
}

static void
flood_handshakes (Peer * peer, gpointer user_data)
{
  if (peer_greet (peer))
    peer_repeat_frame (peer, PEER_BINARY, (const guint8 *) "\0", 1);
}

/* One message that does not end */
static void
flood_fragments (Peer * peer, gpointer user_data)
{
  g_autofree guint8 *data = g_malloc0 (60000);

  if (!peer_greet (peer))
    return;
  peer_send_frame (peer, 0x02, "\001", 1);
  peer_repeat_frame (peer, 0x00, data, 60000);
}

/* Ogg that holds nothing: pages without packets, a million if need be */
static void
flood_pages (Peer * peer, gpointer user_data)
{
  static const guint8 page[] = "\001OggS\0\0\0\0\0\0\0\0\0\0*\0\0\0\0\0\0\0"
      "\0\0\0\0\0";

  if (peer_greet (peer))
    peer_repeat_frame (peer, PEER_BINARY, page, 28);
}

/* Pages in a message of their own, and a pause of `us`: faster than a client can
 * read is another test. */
static gboolean
send_pages (Peer * peer, Pages * pages, gulong us)
{
  peer_send (peer, 1, pages->bytes->data, pages->bytes->len);
  g_byte_array_set_size (pages->bytes, 0);
  g_usleep (us);
  return peer_is_there (peer);
}

/* The same in order, a million of them, 2,000 to a message */
static void
flood_tiny_pages (Peer * peer, gpointer user_data)
{
  Pages pages;
  guint i, n;

  if (!peer_greet (peer))
    return;
  pages_init (&pages, SERIAL);
  put_headers (&pages);
  for (i = 0; i < 500 && send_pages (peer, &pages, 5000); i++) {
    for (n = 0; n < 2000; n++)
      put_page (&pages, 0, NULL, 0, NULL, 0);
  }
  pages_clear (&pages);
  peer_read_until_gone (peer);
}

/* A packet that goes on from page to page, each as long as a page can be */
static void
flood_laces (Peer * peer, gpointer user_data)
{
  static const guint8 body[255 * 255];
  guint8 segments[255];
  Pages pages;

  if (!peer_greet (peer))
    return;
  memset (segments, 255, sizeof segments);
  pages_init (&pages, SERIAL);
  put_headers (&pages);
  put_page (&pages, 0, segments, sizeof segments, body, sizeof body);
  while (send_pages (peer, &pages, 5000))
    put_page (&pages, CONTINUED, segments, sizeof segments, body, sizeof body);
  pages_clear (&pages);
}

/* The same in crumbs: pages that continue a packet with nothing, or a byte */
static void
flood_continued (Peer * peer, gpointer user_data)
{
  static const guint8 body[255];
  static const guint8 segment[1] = { 255 };
  Pages pages;
  guint i;

  if (!peer_greet (peer))
    return;
  pages_init (&pages, SERIAL);
  put_headers (&pages);
  put_page (&pages, 0, segment, 1, body, sizeof body);
  while (send_pages (peer, &pages, 5000)) {
    for (i = 0; i < 100; i++) {
      put_page (&pages, CONTINUED, NULL, 0, NULL, 0);
      put_page (&pages, CONTINUED, segment, 1, body, sizeof body);
    }
  }
  pages_clear (&pages);
}

static void
flood_noise (Peer * peer, gpointer user_data)
{
  g_autofree guint8 *data = g_malloc (60000);
  guint i;

  for (i = 0; i < 60000; i++)
    data[i] = g_random_int ();
  data[0] = 1;
  if (peer_greet (peer))
    peer_repeat_frame (peer, PEER_BINARY, data, 60000);
}

/* Words for ever, at no great pace, and never a sound */
static void
say_words (Peer * peer, gpointer user_data)
{
  if (!peer_greet (peer))
    return;
  while (peer_is_there (peer)) {
    peer_send (peer, 2, " word", 5);
    g_usleep (20000);
  }
}

/* A message of 60,000 bytes, a byte at a time */
static void
drip_message (Peer * peer, gpointer user_data)
{
  static const guint8 head[] =
      { PEER_BINARY, 126, 60000 >> 8, 60000 & 0xff, 1 };

  if (!peer_greet (peer) || !peer_write (peer, head, sizeof head))
    return;
  while (peer_write (peer, "O", 1))
    g_usleep (1000);
}

/* Headers a byte at a time, and without an end */
static void
drip_headers (Peer * peer, gpointer user_data)
{
  if (!peer_read_request (peer))
    return;
  peer_printf (peer, "HTTP/1.1 101 Switching Protocols\r\nX: ");
  while (peer_write (peer, "a", 1))
    g_usleep (1000);
}

static void
flood_headers (Peer * peer, gpointer user_data)
{
  g_autofree gchar *line = g_strnfill (32768, 'a');

  if (!peer_read_request (peer))
    return;
  peer_printf (peer, "HTTP/1.1 101 Switching Protocols\r\nX: ");
  while (peer_write (peer, line, 32768));
}

static void
flood_body (Peer * peer, gpointer user_data)
{
  g_autofree gchar *line = g_strnfill (32768, 'a');

  if (!peer_read_request (peer))
    return;
  peer_printf (peer, "HTTP/1.1 403 Forbidden\r\n\r\n");
  while (peer_write (peer, line, 32768));
}

static void
close_badly (Peer * peer, gpointer user_data)
{
  if (!peer_greet (peer))
    return;
  peer_send_frame (peer, 0x88, "\003", 1);
  peer_read_until_gone (peer);
}

static void
close_with_nonsense (Peer * peer, gpointer user_data)
{
  if (!peer_greet (peer))
    return;
  peer_send_frame (peer, 0x88, "\000\001\377\376", 4);
  peer_read_until_gone (peer);
}

/* Nobody has agreed to compression. */
static void
send_compressed (Peer * peer, gpointer user_data)
{
  if (!peer_greet (peer))
    return;
  peer_send_frame (peer, 0xc2, "\001\002\003", 3);
  peer_read_until_gone (peer);
}

static void
mask_frames (Peer * peer, gpointer user_data)
{
  if (!peer_greet (peer))
    return;
  peer_write (peer, "\202\201\1\2\3\4\5", 7);
  peer_read_until_gone (peer);
}

typedef struct
{
  const gchar *name;
  PeerScript script;
  gint code;                    /* of the resource error */
  const gchar *words;
  gboolean slow;                /* no other limit may come first */
} Row;

#define END(code, words) GST_RESOURCE_ERROR_##code, words

static const Row rows[] = {
  {"text", flood_text, END (READ, "")},
  {"long-text", flood_long_text, END (READ, "")},
  {"unknown-kinds", flood_unknown, END (READ, "")},
  {"empty-messages", flood_empty, END (READ, "")},
  {"metadata", flood_metadata, END (READ, "")},
  {"deep-metadata", flood_deep_metadata, END (READ, "")},
  {"handshakes", flood_handshakes, END (READ, "")},
  {"pings", flood_pings, END (READ, "faster than")},
  {"pings-unheard", flood_pings, END (READ, "faster than"), TRUE},
  /* As soon as the thread gets round, or because it does not */
  {"fragments", flood_fragments, END (READ, "it sent "), TRUE},
  {"words", say_words, END (READ, "silent for 500 ms")},
  {"drip-message", drip_message, END (READ, "silent for 500 ms")},
  {"drip-headers", drip_headers, END (OPEN_READ_WRITE, "within 1000 ms")},
  {"headers", flood_headers, END (OPEN_READ_WRITE, "")},
  {"body", flood_body, END (OPEN_READ_WRITE, "within 1000 ms")},
  {"close-1-byte", close_badly, END (READ, "")},
  {"close-nonsense", close_with_nonsense, END (READ, "")},
  {"compressed", send_compressed, END (READ, "")},
  {"masked", mask_frames, END (READ, "")},
};

static const Row oggs[] = {
  {"empty-pages", flood_pages, 0, "no Opus"},
  {"noise", flood_noise, 0, "no Opus"},
  {"tiny-pages", flood_tiny_pages, 0, "no Opus"},
  {"laces", flood_laces, 0, "no Opus"},
  {"continued", flood_continued, 0, "no Opus"},
};

static Bench *
play (PeerServer * server, const gchar * source, guint idle_timeout)
{
  Bench *bench = bench_new ("%s ! moshi name=m uri=ws://127.0.0.1:%u retries=0 "
      "idle-timeout=%u connect-timeout=1000 ! fakesink name=out", source,
      peer_server_get_port (server), idle_timeout);

  bench_count_output (bench, "out");
  bench_play (bench);
  return bench;
}

static void
check_end (Bench * bench, GQuark domain, gint code, const gchar * words)
{
  g_autoptr (GstMessage) message = NULL;
  g_autoptr (GError) error = NULL;

  bench_wait_failure (bench);
  bench_stop (bench);
  g_assert_cmpuint (bench_count_type (bench, GST_MESSAGE_ERROR), ==, 1);
  message = bench_get_nth (bench, GST_MESSAGE_ERROR, 0);
  gst_message_parse_error (message, &error, NULL);
  g_test_message ("%s", error->message);
  g_assert_error (error, domain, code);
  if (strstr (error->message, words) == NULL)
    g_error ("“%s” lacks “%s”", error->message, words);
}

static void
check_growth (gsize before)
{
  const gsize now = get_resident ();

  g_test_message ("%" G_GSSIZE_FORMAT " KiB more",
      ((gssize) now - (gssize) before) / 1024);
  if (!BENCH_IS_SANITIZED)
    g_assert_cmpuint (now, <, before + MAX_GROWTH);
}

static void
test_row (gconstpointer data)
{
  const Row *row = data;
  const gsize before = get_resident ();
  g_autoptr (PeerServer) server = peer_server_new (row->script, NULL);
  g_autoptr (Bench) bench = play (server, LIVE, row->slow ? 0 : 500);

  check_end (bench, GST_RESOURCE_ERROR, row->code, row->words);
  check_growth (before);
}

static void
test_ogg (gconstpointer data)
{
  const Row *row = data;
  const gsize before = get_resident ();
  g_autoptr (PeerServer) server = peer_server_new (row->script, NULL);
  g_autoptr (Bench) bench = play (server, LIVE, 500);

  check_end (bench, GST_STREAM_ERROR, GST_STREAM_ERROR_DEMUX, row->words);
  check_growth (before);
}

/* --- speech without end ---------------------------------------------------- */

/* 120 ms a packet, as many bytes as 510 kbit/s, and no pause: six frames of
 * 20 ms each, CELT, of the same length */
static void
flood_speech (Peer * peer, gpointer user_data)
{
  static const guint8 data[7652] = { 31 << 3 | 3, 6 };
  g_autoptr (GBytes) packet = g_bytes_new_static (data, sizeof data);
  Pages pages;

  if (!peer_greet (peer))
    return;
  pages_init (&pages, SERIAL);
  put_headers (&pages);
  while (send_pages (peer, &pages, 200))
    put_packet (&pages, packet);
  pages_clear (&pages);
}

/* A quarter of a minute in half a kilobyte: 255 packets of one byte, which says
 * 60 ms, to a page */
static void
flood_tiny_packets (Peer * peer, gpointer user_data)
{
  static const guint8 data[1] = { 3 << 3 };
  g_autoptr (GBytes) packet = g_bytes_new_static (data, sizeof data);
  GBytes *packets[255];
  Pages pages;
  guint i;

  if (!peer_greet (peer))
    return;
  for (i = 0; i < G_N_ELEMENTS (packets); i++)
    packets[i] = packet;
  pages_init (&pages, SERIAL);
  put_headers (&pages);
  while (send_pages (peer, &pages, 200))
    put_packets (&pages, 0, packets, G_N_ELEMENTS (packets));
  pages_clear (&pages);
}

/* Live: some seconds are kept, the rest is dropped and counted; the output is
 * one stream all the same. */
static void
test_speech_live (gconstpointer data)
{
  const Row *row = data;
  const gsize before = get_resident ();
  g_autoptr (PeerServer) server = peer_server_new (row->script, NULL);
  g_autoptr (Bench) bench = play (server, LIVE, 500);
  GstStructure *stats;
  guint64 dropped = 0;
  gint64 end;

  bench_wait_session (bench, "ready");
  end = g_get_monotonic_time () + 60 * G_TIME_SPAN_SECOND;
  while (dropped < 60 * GST_SECOND) {
    g_assert_cmpint (g_get_monotonic_time (), <, end);
    g_object_get (bench_get_moshi (bench), "stats", &stats, NULL);
    g_assert_true (gst_structure_get_uint64 (stats, "dropped", &dropped));
    gst_structure_free (stats);
    g_usleep (5000);
  }
  bench_wait_output (bench, 10);
  check_growth (before);
  bench_stop (bench);
  bench_check_output (bench, 24000, 2);
  g_assert_cmpuint (bench_count_type (bench, GST_MESSAGE_ERROR), ==, 0);
}

/* Batch: an answer that was not asked for makes all that follows wrong. */
static void
test_speech_batch (gconstpointer data)
{
  const Row *row = data;
  const gsize before = get_resident ();
  g_autoptr (PeerServer) server = peer_server_new (row->script, NULL);
  g_autoptr (Bench) bench = play (server, "audiotestsrc num-buffers=500 "
      "samplesperbuffer=480 ! " CAPS, 0);

  check_end (bench, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_READ,
      "more than it was asked for");
  check_growth (before);
}

/* Batch: words alone are no progress, so that trying again has an end. */
static void
talk_and_hang_up (Peer * peer, gpointer user_data)
{
  guint8 opcode;
  guint i;

  if (!peer_greet (peer))
    return;
  for (i = 0; i < 20; i++) {
    GBytes *frame = peer_read_frame (peer, &opcode);

    if (frame == NULL)
      return;
    g_bytes_unref (frame);
    peer_send (peer, 2, " word", 5);
  }
}

static void
test_words_alone (void)
{
  g_autoptr (PeerServer) server = peer_server_new (talk_and_hang_up, NULL);
  g_autoptr (Bench) bench = bench_new ("audiotestsrc num-buffers=500 "
      "samplesperbuffer=480 ! " CAPS " ! moshi name=m uri=ws://127.0.0.1:%u "
      "retries=2 retry-backoff-max=10 ! fakesink name=out",
      peer_server_get_port (server));

  bench_count_output (bench, "out");
  bench_play (bench);
  check_end (bench, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_READ, "s were sent");
  g_assert_cmpuint (peer_server_get_connections (server), ==, 3);
}

static const Row speeches[] = {
  {"speech", flood_speech},
  {"tiny-packets", flood_tiny_packets},
};

static void
add (const Row * row, const gchar * mode, GTestDataFunc func)
{
  g_autofree gchar *path = g_strconcat ("/hostile/", row->name, mode, NULL);

  g_test_add_data_func (path, row, func);
}

/* libsoup tells of each frame, which in a flood would be most of the work. */
static void
be_quiet (const gchar * domain, GLogLevelFlags level, const gchar * message,
    gpointer user_data)
{
}

int
main (int argc, char **argv)
{
  guint i;
  int ret;

  g_unsetenv ("MOSHI_URI");
  g_unsetenv ("MOSHI_API_KEY");
  g_test_init (&argc, &argv, NULL);
  g_log_set_handler ("libsoup", G_LOG_LEVEL_DEBUG, be_quiet, NULL);
  gst_init (&argc, &argv);
  for (i = 0; i < G_N_ELEMENTS (rows); i++)
    add (&rows[i], "", test_row);
  for (i = 0; i < G_N_ELEMENTS (oggs); i++)
    add (&oggs[i], "", test_ogg);
  for (i = 0; i < G_N_ELEMENTS (speeches); i++) {
    add (&speeches[i], "/live", test_speech_live);
    add (&speeches[i], "/batch", test_speech_batch);
  }
  g_test_add_func ("/hostile/words-alone", test_words_alone);
  ret = g_test_run ();
  gst_deinit ();
  return ret;
}
