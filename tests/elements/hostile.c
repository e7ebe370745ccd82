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
  const GstMessageType type = GST_MESSAGE_ERROR;
  g_autoptr (GstMessage) message = NULL;
  g_autoptr (GError) error = NULL;

  bench_wait (bench, bench_is_type, &type, 1);
  bench_wait_ends (bench);
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

static void
put_u32 (guint8 * at, guint32 value)
{
  value = GUINT32_TO_LE (value);
  memcpy (at, &value, 4);
}

static guint32
get_crc (const guint8 * data, guint size)
{
  guint32 crc = 0;
  guint i, bit;

  for (i = 0; i < size; i++) {
    crc ^= (guint32) data[i] << 24;
    for (bit = 0; bit < 8; bit++)
      crc = crc & 0x80000000 ? crc << 1 ^ 0x04c11db7 : crc << 1;
  }
  return crc;
}

/* One page with one packet of less than 255 bytes times `laces` */
static void
append_page (GByteArray * out, guint8 flags, guint32 number,
    const guint8 * packet, guint size)
{
  const guint n = size / 255 + 1;
  guint8 head[27 + 255] = "OggS";
  const guint start = out->len;

  head[5] = flags;
  head[14] = 42;
  put_u32 (head + 18, number);
  head[26] = n;
  memset (head + 27, 255, n - 1);
  head[27 + n - 1] = size % 255;
  g_byte_array_append (out, head, 27 + n);
  g_byte_array_append (out, packet, size);
  put_u32 (out->data + start + 22, get_crc (out->data + start,
          out->len - start));
}

/* 120 ms a packet, as many bytes as 510 kbit/s, and no pause */
static void
flood_speech (Peer * peer, gpointer user_data)
{
  g_autoptr (GByteArray) out = g_byte_array_new ();
  guint8 packet[7652] = { 0, };
  guint32 i;

  if (!peer_greet (peer))
    return;
  append_page (out, 2, 0, (const guint8 *)
      "OpusHead\001\001\000\000\200\273\000\000\000\000\000", 19);
  append_page (out, 0, 1, (const guint8 *)
      "OpusTags\000\000\000\000\000\000\000\000", 16);
  /* Six frames of 20 ms each, CELT, of the same length */
  packet[0] = 31 << 3 | 3;
  packet[1] = 6;
  peer_send (peer, 1, out->data, out->len);
  for (i = 2;; i++) {
    g_autoptr (GByteArray) page = g_byte_array_new ();
    g_autoptr (GByteArray) frame = g_byte_array_new ();
    guint8 head[5] = { PEER_BINARY, 126, 0, 0, 1 };

    append_page (page, 0, i, packet, sizeof packet);
    head[2] = (page->len + 1) >> 8;
    head[3] = (page->len + 1) & 0xff;
    g_byte_array_append (frame, head, 5);
    g_byte_array_append (frame, page->data, page->len);
    if (!peer_write (peer, frame->data, frame->len))
      return;
    /* As fast as a client can read, and no faster: that is another test. */
    g_usleep (200);
  }
}

/* Live: some seconds are kept, the rest is dropped and counted; the output is
 * one stream all the same. */
static void
test_speech_live (void)
{
  const gsize before = get_resident ();
  g_autoptr (PeerServer) server = peer_server_new (flood_speech, NULL);
  g_autoptr (Bench) bench = play (server, LIVE, 500);
  GstStructure *stats;
  guint64 dropped = 0;

  bench_wait_session (bench, "ready");
  while (dropped < 60 * GST_SECOND) {
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
test_speech_batch (void)
{
  const gsize before = get_resident ();
  g_autoptr (PeerServer) server = peer_server_new (flood_speech, NULL);
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

static void
add (const Row * row, GTestDataFunc func)
{
  g_autofree gchar *path = g_strconcat ("/hostile/", row->name, NULL);

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
    add (&rows[i], test_row);
  for (i = 0; i < G_N_ELEMENTS (oggs); i++)
    add (&oggs[i], test_ogg);
  g_test_add_func ("/hostile/speech/live", test_speech_live);
  g_test_add_func ("/hostile/speech/batch", test_speech_batch);
  g_test_add_func ("/hostile/words-alone", test_words_alone);
  ret = g_test_run ();
  gst_deinit ();
  return ret;
}
