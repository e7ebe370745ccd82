/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include <string.h>

#include "capture.h"
#include "protocol/moshioggreader.h"
#include "protocol/moshiopus.h"
#include "protocol/moshispacing.h"
#include "protocol/moshitext.h"

/* Replays sessions with the real servers, taken from the wire while our own
 * client talked (tests/data/README.md), through the protocol floor. What must
 * be true of them is known from outside: how many frames were answered, and
 * the only words that the model of these recordings can say. */

#define RATE 24000
#define FRAME 1920
#define FRAME_48K 3840

typedef struct
{
  const gchar *name;
  guint handshake_size;         /* of the whole message */
  gboolean metadata_first;
  guint packet_48k;             /* samples of each packet, at 48 kHz */
  guint message_48k;            /* samples of an audio message */
  guint packets;                /* in the answer */
  gboolean literal_bytes;       /* pieces such as <0xC3> */
} Capture;

static const Capture captures[] = {
  {"pytorch.cap", 1, FALSE, 1920, 3840, 100, TRUE},
  {"mlx.cap", 1, FALSE, 1920, 3840, 100, TRUE},
  {"moshi-backend.cap", 9, TRUE, 1920, 1920, 100, FALSE},
  {"moshi-server.cap", 9, FALSE, 1920, 3840, 98, FALSE},
};

/* The vocabulary of the checkpoint that spoke (tests/interop/checkpoint.py). */
static const gchar vocabulary[] =
    " Bonjour tout le monde hello there my friend two c caf cafés please "
    "the sign 日 means sun we laugh together ok ok😀 how are you today ? it "
    "rains in Paris . good night ! ";

/* The packets in @bytes, pushed in steps of @step bytes. */
static GPtrArray *
read_packets (const GByteArray * bytes, gsize step, MoshiOggReaderStats * stats)
{
  g_autoptr (MoshiOggReader) reader = moshi_ogg_reader_new ();
  GPtrArray *packets =
      g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);

  for (gsize at = 0; at < bytes->len; at += step) {
    g_autoptr (GError) error = NULL;
    GBytes *packet;

    g_assert_true (moshi_ogg_reader_push (reader, bytes->data + at,
            MIN (step, bytes->len - at), &error));
    g_assert_no_error (error);
    while ((packet = moshi_ogg_reader_pull (reader)))
      g_ptr_array_add (packets, packet);
  }
  moshi_ogg_reader_get_stats (reader, stats);
  return packets;
}

static void
test_handshake (gconstpointer data)
{
  const Capture *capture = data;
  g_autoptr (Session) session = session_load (capture->name);
  MoshiMessage message;
  guint at = 0;

  g_assert_true (session_next (session, 'S', &at, &message));
  if (capture->metadata_first) {
    g_assert_cmpuint (message.kind, ==, MOSHI_MESSAGE_METADATA);
    g_assert_true (session_next (session, 'S', &at, &message));
  }
  g_assert_cmpuint (message.kind, ==, MOSHI_MESSAGE_HANDSHAKE);
  g_assert_cmpuint (session_get (session, at - 1)->size, ==,
      capture->handshake_size);
  while (session_next (session, 'S', &at, &message))
    g_assert_cmpuint (message.kind, !=, MOSHI_MESSAGE_HANDSHAKE);
}

/* What came from the server can be decoded to the last sample. */
static void
test_audio (gconstpointer data)
{
  const Capture *capture = data;
  g_autoptr (Session) session = session_load (capture->name);
  g_autoptr (GByteArray) bytes = session_audio (session, 'S');
  g_autoptr (MoshiOpusDecoder) decoder = NULL;
  g_autoptr (GPtrArray) packets = NULL;
  g_autoptr (GError) error = NULL;
  MoshiOggReaderStats stats;
  gint16 samples[MOSHI_OPUS_MAX_SAMPLES];
  gint loudest = 0;

  packets = read_packets (bytes, bytes->len, &stats);
  g_assert_cmpuint (stats.streams, ==, 1);
  g_assert_cmpuint (stats.holes, ==, 0);
  g_assert_cmpuint (stats.skipped_bytes, ==, 0);
  g_assert_cmpuint (stats.skipped_packets, ==, 0);
  g_assert_cmpuint (packets->len, ==, capture->packets);

  decoder = moshi_opus_decoder_new (RATE, 1, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < packets->len; i++) {
    gsize size;
    const guint8 *packet = g_bytes_get_data (packets->pdata[i], &size);
    gint n;

    g_assert_cmpuint (moshi_opus_packet_duration (packet, size), ==,
        capture->packet_48k);
    n = moshi_opus_decoder_decode_s16 (decoder, packet, size, samples,
        G_N_ELEMENTS (samples), &error);
    g_assert_no_error (error);
    g_assert_cmpint (n, ==, capture->packet_48k / 2);
    for (gint s = 0; s < n; s++)
      loudest = MAX (loudest, ABS ((gint) samples[s]));
  }
  g_assert_cmpint (loudest, >, 1000);
}

/* TCP and WebSocket may cut anywhere: the packets are the same. */
static void
test_pieces_of_pages (gconstpointer data)
{
  const Capture *capture = data;
  g_autoptr (Session) session = session_load (capture->name);
  g_autoptr (GByteArray) bytes = session_audio (session, 'S');
  MoshiOggReaderStats stats;
  g_autoptr (GPtrArray) whole = read_packets (bytes, bytes->len, &stats);
  const gsize steps[] = { 1, 7, 255, 4096 };

  for (guint s = 0; s < G_N_ELEMENTS (steps); s++) {
    g_autoptr (GPtrArray) cut = read_packets (bytes, steps[s], &stats);

    g_assert_cmpuint (cut->len, ==, whole->len);
    for (guint i = 0; i < cut->len; i++)
      g_assert_true (g_bytes_equal (cut->pdata[i], whole->pdata[i]));
  }
}

static gboolean
is_known (const gchar * word)
{
  g_autofree gchar *spaced = NULL;
  g_autofree gchar *bare = NULL;
  const gchar *lone = strstr (word, "\xEF\xBF\xBD");

  /* A lone byte of no UTF-8, and all that the Rust servers leave of a
   * character in bytes, is U+FFFD; what stands before it is a word. */
  bare = lone ? g_strndup (word, lone - word) : g_strdup (word);
  spaced = g_strdup_printf (" %s ", bare);
  return *bare == '\0' || strstr (vocabulary, spaced);
}

static void
check_words (MoshiText * text, guint * words)
{
  while (TRUE) {
    g_auto (MoshiTextSpan) span = { NULL, };

    if (!moshi_text_pull (text, &span))
      break;
    g_assert_true (g_utf8_validate (span.text, -1, NULL));
    if (!is_known (span.text)) {
      g_test_fail_printf ("“%s” is no word of the model", span.text);
      break;
    }
    g_assert_cmpuint (span.end, >, span.start);
    (*words)++;
  }
}

/* The pieces join to the words the model can say, and to nothing else. */
static void
test_text (gconstpointer data)
{
  const Capture *capture = data;
  g_autoptr (Session) session = session_load (capture->name);
  g_autoptr (MoshiText) text = moshi_text_new (MOSHI_TEXT_WORD);
  MoshiMessage message;
  gboolean literal = FALSE;
  guint64 position = 0;
  guint words = 0;

  for (guint at = 0; session_next (session, 'S', &at, &message);) {
    if (message.kind == MOSHI_MESSAGE_AUDIO) {
      position += FRAME_48K;
      moshi_text_advance (text, position);
    } else if (message.kind == MOSHI_MESSAGE_TEXT) {
      literal |= message.size == 6 && message.payload[0] == '<';
      moshi_text_push (text, message.payload, message.size, message.color,
          position);
    }
    check_words (text, &words);
  }
  moshi_text_flush (text, position);
  check_words (text, &words);
  g_assert_cmpuint (words, >, 10);
  g_assert_cmpint (literal, ==, capture->literal_bytes);
}

/* A piece as if a pad stood before it: the Rust servers lose the space then. */
static void
push_piece (MoshiText * text, MoshiSpacing * spacing,
    const MoshiMessage * message, guint64 position, gboolean bare)
{
  const guint8 *piece = message->payload;
  gsize size = message->size;
  const gboolean apart = spacing->begun
      && position >= spacing->last + 2 * FRAME_48K;

  if (bare && apart && size > 0 && *piece == ' ') {
    piece++;
    size--;
  }
  if (moshi_spacing_take (spacing, piece, size, position))
    moshi_text_push (text, (const guint8 *) " ", 1, -1, position);
  moshi_text_push (text, piece, size, -1, position);
}

/* All that was said, as one text */
static gchar *
dup_text (const Capture * capture, gboolean bare)
{
  g_autoptr (Session) session = session_load (capture->name);
  g_autoptr (MoshiText) text = moshi_text_new (MOSHI_TEXT_WORD);
  GString *all = g_string_new (NULL);
  g_auto (MoshiTextSpan) span = { NULL, };
  MoshiSpacing spacing = { FALSE, };
  MoshiMessage message;
  guint64 position = 0;

  for (guint at = 0; session_next (session, 'S', &at, &message);) {
    if (message.kind == MOSHI_MESSAGE_HANDSHAKE)
      moshi_spacing_begin (&spacing, message.size >= 8);
    else if (message.kind == MOSHI_MESSAGE_AUDIO)
      position += capture->message_48k;
    else if (message.kind == MOSHI_MESSAGE_TEXT)
      push_piece (text, &spacing, &message, position, bare);
  }
  moshi_text_flush (text, position);
  while (moshi_text_pull (text, &span)) {
    g_string_append_printf (all, "%s ", span.text);
    moshi_text_span_clear (&span);
  }
  /* A byte among pads, which a trained model does not say: no word's */
  g_string_replace (all, " \357\277\275", "\357\277\275", 0);
  return g_string_free (all, FALSE);
}

/* Where a server says all the spaces, none is added; where it loses those behind
 * a pad, they come back. */
static void
test_spaces (gconstpointer data)
{
  const Capture *capture = data;
  g_autoptr (Session) session = session_load (capture->name);
  g_autofree gchar *whole = dup_text (capture, FALSE);
  g_autoptr (GString) plain = g_string_new (NULL);
  MoshiMessage message;

  for (guint at = 0; session_next (session, 'S', &at, &message);)
    if (message.kind == MOSHI_MESSAGE_TEXT && !capture->literal_bytes)
      g_string_append_len (plain, (const gchar *) message.payload,
          message.size);
  if (!capture->literal_bytes) {
    g_autofree gchar *bare = dup_text (capture, TRUE);

    g_string_append_c (plain, ' ');
    g_strchug (plain->str);
    g_assert_cmpstr (whole, ==, plain->str);
    g_assert_cmpstr (bare, ==, whole);
  }
  g_assert_nonnull (strchr (whole, ' '));
}

/* Our own side: silent before the handshake, audio alone, one stream that
 * the reader takes whole, and a polite end. */
static void
test_client (gconstpointer data)
{
  const Capture *capture = data;
  g_autoptr (Session) session = session_load (capture->name);
  g_autoptr (GByteArray) bytes = session_audio (session, 'C');
  MoshiOggReaderStats stats;
  g_autoptr (GPtrArray) packets = read_packets (bytes, bytes->len, &stats);
  gboolean shaken = FALSE, closed = FALSE;

  g_assert_cmpuint (stats.streams, ==, 1);
  g_assert_cmpuint (stats.holes + stats.skipped_bytes, ==, 0);
  g_assert_cmpuint (packets->len, >, 100);
  for (guint i = 0; i < session->records->len; i++) {
    const Record *record = session_get (session, i);

    if (record->side == 'S' && record->kind == 'B' && record->data[0] == 0)
      shaken = TRUE;
    if (record->side != 'C')
      continue;
    g_assert_false (record->kind == 'P' || record->kind == 'T');
    if (record->kind == 'B') {
      g_assert_true (shaken);
      g_assert_cmpuint (record->data[0], ==, MOSHI_MESSAGE_AUDIO);
    } else if (record->kind == 'X' && !closed) {
      g_assert_cmpmem (record->data, record->size, "\003\350", 2);
      closed = TRUE;
    }
  }
  g_assert_true (closed);
}

static void
add_tests (const Capture * capture)
{
  const struct
  {
    const gchar *name;
    GTestDataFunc run;
  } tests[] = {
    {"handshake", test_handshake},
    {"audio", test_audio},
    {"pieces-of-pages", test_pieces_of_pages},
    {"text", test_text},
    {"spaces", test_spaces},
    {"client", test_client},
  };

  for (guint i = 0; i < G_N_ELEMENTS (tests); i++) {
    g_autofree gchar *path =
        g_strdup_printf ("/captures/%s/%s", capture->name, tests[i].name);

    g_test_add_data_func (path, capture, tests[i].run);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (captures); i++)
    add_tests (&captures[i]);
  return g_test_run ();
}
