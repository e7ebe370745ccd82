/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/moshireceiver.h"

#include "protocol/moshimetadata.h"
#include "protocol/moshioggwriter.h"

#include <string.h>

#define SECOND G_USEC_PER_SEC

/* Counts what is emitted. */
typedef struct
{
  guint counts[MOSHI_SESSION_FINISHED + 1];
  gint64 time;
  gchar text[16];               /* the last piece, or the beginning of it */
} Tally;

static void
on_event (const MoshiSessionEvent * event, gpointer user_data)
{
  Tally *tally = user_data;

  tally->counts[event->kind]++;
  tally->time = event->time;
  if (event->kind == MOSHI_SESSION_TEXT)
    g_snprintf (tally->text, sizeof tally->text, "%.*s",
        (gint) g_bytes_get_size (event->bytes),
        (const gchar *) g_bytes_get_data (event->bytes, NULL));
}

static MoshiReceiverResult
take (MoshiReceiver * receiver, guint8 kind, gconstpointer data, gsize size,
    gint64 now)
{
  GByteArray *array = g_byte_array_new ();
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (GError) error = NULL;
  MoshiReceiverResult result;
  gint code = kind == 5 ? MOSHI_ERROR_SERVER : MOSHI_ERROR_OGG;

  g_byte_array_append (array, &kind, 1);
  g_byte_array_append (array, data, size);
  bytes = g_byte_array_free_to_bytes (array);
  result = moshi_receiver_take (receiver, bytes, FALSE, now, &error);
  if (result == MOSHI_RECEIVER_FAULT)
    g_assert_error (error, MOSHI_ERROR, code);
  else
    g_assert_no_error (error);
  return result;
}

static MoshiReceiver *
new_ready (Tally * tally)
{
  MoshiReceiver *receiver;

  memset (tally, 0, sizeof (*tally));
  receiver = moshi_receiver_new (on_event, tally);
  moshi_receiver_start (receiver);
  moshi_receiver_set_ready (receiver);
  return receiver;
}

/* Headers and one packet of 20 ms. */
static GByteArray *
new_stream (void)
{
  static const guint8 packet[] = { 31 << 3, 1, 2, 3 };
  g_autoptr (MoshiOggWriter) writer = moshi_ogg_writer_new (7, 1, 312, 24000);
  g_autoptr (GBytes) headers = moshi_ogg_writer_headers (writer);
  GByteArray *stream = g_byte_array_new ();
  GError *error = NULL;

  g_byte_array_append (stream, g_bytes_get_data (headers, NULL),
      g_bytes_get_size (headers));
  moshi_ogg_writer_packet (writer, packet, sizeof (packet), stream, &error);
  g_assert_no_error (error);
  return stream;
}

/* A page in a thousand pieces is no fault, if they come soon or are few. */
static void
test_pieces (void)
{
  Tally tally;
  MoshiReceiver *receiver = new_ready (&tally);
  GByteArray *stream = new_stream ();
  guint i;

  for (i = 0; i + 1 < stream->len; i++)
    g_assert_cmpint (take (receiver, 1, stream->data + i, 1, i), ==,
        MOSHI_RECEIVER_NOTHING);
  g_assert_cmpint (take (receiver, 1, stream->data + i, 1, i), ==,
      MOSHI_RECEIVER_ANSWER);
  g_assert_cmpuint (tally.counts[MOSHI_SESSION_PACKET], ==, 1);
  g_assert_cmpint (tally.time, ==, i);
  g_assert_cmpuint (moshi_receiver_get_samples (receiver), ==, 960);
  g_byte_array_unref (stream);
  moshi_receiver_free (receiver);
}

/* The headers alone, and then nothing for long: some servers think first. */
static void
test_slow_start (void)
{
  Tally tally;
  MoshiReceiver *receiver = new_ready (&tally);
  GByteArray *stream = new_stream ();
  gint64 now = SECOND;
  guint i;

  for (i = 0; i < MOSHI_RECEIVER_MAX_BARREN - 1; i++) {
    g_assert_cmpint (take (receiver, 1, stream->data + i, 1, now), ==,
        MOSHI_RECEIVER_NOTHING);
    now += SECOND;
  }
  g_assert_cmpint (take (receiver, 1, stream->data + i, stream->len - i, now),
      ==, MOSHI_RECEIVER_ANSWER);
  g_byte_array_unref (stream);
  moshi_receiver_free (receiver);
}

/* Both many and long: that is no audio. */
static void
test_barren (void)
{
  Tally tally;
  MoshiReceiver *receiver = new_ready (&tally);
  gint64 now = SECOND;
  guint i;

  for (i = 0; i < 1000; i++)
    g_assert_cmpint (take (receiver, 1, NULL, 0, now), ==,
        MOSHI_RECEIVER_NOTHING);
  now += MOSHI_RECEIVER_MAX_BARREN_TIME - 1;
  g_assert_cmpint (take (receiver, 1, NULL, 0, now), ==,
      MOSHI_RECEIVER_NOTHING);
  g_assert_cmpint (take (receiver, 1, NULL, 0, now + 1), ==,
      MOSHI_RECEIVER_FAULT);

  /* Another connection begins anew. */
  moshi_receiver_start (receiver);
  moshi_receiver_set_ready (receiver);
  g_assert_cmpint (take (receiver, 1, NULL, 0, now + 2), ==,
      MOSHI_RECEIVER_NOTHING);
  moshi_receiver_free (receiver);
}

/* Bytes that are no Ogg, up to the limit and over it. */
static void
test_skipped (void)
{
  Tally tally;
  MoshiReceiver *receiver = new_ready (&tally);
  GByteArray *stream = new_stream ();
  g_autofree gchar *junk = g_strnfill (MOSHI_RECEIVER_MAX_SKIPPED, 'x');
  guint i;

  for (i = 0; i < 10; i++) {
    g_assert_cmpint (take (receiver, 1, junk, MOSHI_RECEIVER_MAX_SKIPPED,
            0), ==, MOSHI_RECEIVER_NOTHING);
    g_assert_cmpint (take (receiver, 1, stream->data, stream->len, 0), ==,
        MOSHI_RECEIVER_ANSWER);
  }
  g_assert_cmpint (take (receiver, 1, junk, MOSHI_RECEIVER_MAX_SKIPPED, 0), ==,
      MOSHI_RECEIVER_NOTHING);
  g_assert_cmpint (take (receiver, 1, junk, 100, 0), ==, MOSHI_RECEIVER_FAULT);
  g_byte_array_unref (stream);
  moshi_receiver_free (receiver);
}

/* One warning a second for each kind of trouble. */
static void
test_warnings (void)
{
  Tally tally;
  MoshiReceiver *receiver = new_ready (&tally);
  gint64 now = 3 * SECOND;
  guint i;

  for (i = 0; i < 100; i++)
    take (receiver, 99, NULL, 0, now + i);
  g_assert_cmpuint (tally.counts[MOSHI_SESSION_WARNING], ==, 1);
  take (receiver, 7, "{}", 2, now);
  g_assert_cmpuint (tally.counts[MOSHI_SESSION_WARNING], ==, 2);
  take (receiver, 99, NULL, 0, now + SECOND - 1);
  g_assert_cmpuint (tally.counts[MOSHI_SESSION_WARNING], ==, 2);
  take (receiver, 99, NULL, 0, now + SECOND);
  g_assert_cmpuint (tally.counts[MOSHI_SESSION_WARNING], ==, 3);
  moshi_receiver_free (receiver);
}

/* Every kind, before and after the handshake. */
static const struct
{
  guint8 kind;
  const gchar *payload;
  MoshiReceiverResult result;
  MoshiSessionEventKind event;
} kinds[] = {
  {0, "", MOSHI_RECEIVER_HANDSHAKE, MOSHI_SESSION_STATE},
  {2, "a", MOSHI_RECEIVER_ANSWER, MOSHI_SESSION_TEXT},
  {3, "\1", MOSHI_RECEIVER_NOTHING, MOSHI_SESSION_WARNING},
  {4, "{}", MOSHI_RECEIVER_NOTHING, MOSHI_SESSION_METADATA},
  {5, "no", MOSHI_RECEIVER_FAULT, MOSHI_SESSION_STATE},
  {6, "", MOSHI_RECEIVER_NOTHING, MOSHI_SESSION_WARNING},
  {7, "\12a", MOSHI_RECEIVER_ANSWER, MOSHI_SESSION_TEXT},
  {7, "\13a", MOSHI_RECEIVER_NOTHING, MOSHI_SESSION_WARNING},
  {7, "{}", MOSHI_RECEIVER_NOTHING, MOSHI_SESSION_WARNING},
  {8, "a", MOSHI_RECEIVER_NOTHING, MOSHI_SESSION_WARNING},
  {255, "a", MOSHI_RECEIVER_NOTHING, MOSHI_SESSION_WARNING},
};

static void
test_kinds (void)
{
  guint i, ready;

  for (i = 0; i < G_N_ELEMENTS (kinds); i++) {
    for (ready = 0; ready < 2; ready++) {
      Tally tally = { {0}, };
      MoshiReceiver *receiver = moshi_receiver_new (on_event, &tally);

      if (ready)
        moshi_receiver_set_ready (receiver);
      g_assert_cmpint (take (receiver, kinds[i].kind, kinds[i].payload,
              strlen (kinds[i].payload), 0), ==, kinds[i].result);
      g_assert_cmpuint (tally.counts[kinds[i].event], ==,
          kinds[i].event != MOSHI_SESSION_STATE);
      moshi_receiver_free (receiver);
    }
  }
}

static void
test_metadata_limit (void)
{
  Tally tally;
  MoshiReceiver *receiver = new_ready (&tally);
  g_autofree gchar *json = g_strnfill (MOSHI_METADATA_MAX_SIZE + 1, ' ');

  take (receiver, 4, json, MOSHI_METADATA_MAX_SIZE, 0);
  g_assert_cmpuint (tally.counts[MOSHI_SESSION_METADATA], ==, 1);
  take (receiver, 4, json, MOSHI_METADATA_MAX_SIZE + 1, 0);
  g_assert_cmpuint (tally.counts[MOSHI_SESSION_METADATA], ==, 1);
  g_assert_cmpuint (tally.counts[MOSHI_SESSION_WARNING], ==, 1);
  moshi_receiver_free (receiver);
}

/* A connection's metadata has an end; the next connection's begins anew. */
static void
test_metadata_flood (void)
{
  Tally tally;
  MoshiReceiver *receiver = new_ready (&tally);
  guint i;

  for (i = 0; i < 10000; i++)
    take (receiver, 4, "{}", 2, 1);
  g_assert_cmpuint (tally.counts[MOSHI_SESSION_METADATA], ==,
      MOSHI_RECEIVER_MAX_METADATA);
  g_assert_cmpuint (tally.counts[MOSHI_SESSION_WARNING], ==, 1);
  moshi_receiver_start (receiver);
  take (receiver, 4, "{}", 2, 0);
  g_assert_cmpuint (tally.counts[MOSHI_SESSION_METADATA], ==,
      MOSHI_RECEIVER_MAX_METADATA + 1);
  moshi_receiver_free (receiver);
}

static void
test_text_limit (void)
{
  Tally tally;
  MoshiReceiver *receiver = new_ready (&tally);
  g_autofree gchar *text = g_strnfill (MOSHI_RECEIVER_MAX_TEXT + 1, 'a');

  take (receiver, 2, text, MOSHI_RECEIVER_MAX_TEXT, 0);
  g_assert_cmpuint (tally.counts[MOSHI_SESSION_TEXT], ==, 1);
  take (receiver, 2, text, MOSHI_RECEIVER_MAX_TEXT + 1, 0);
  g_assert_cmpuint (tally.counts[MOSHI_SESSION_TEXT], ==, 1);
  g_assert_cmpuint (tally.counts[MOSHI_SESSION_WARNING], ==, 1);
  moshi_receiver_free (receiver);
}

/* A piece that a space is owed to comes once, with the space; a flood of text
 * between two words changes nothing of it. */
static void
test_spaced_text (void)
{
  static const guint8 versions[8] = { 0, };
  g_autofree gchar *text = g_strnfill (MOSHI_RECEIVER_MAX_TEXT + 1, ',');
  Tally tally;
  MoshiReceiver *receiver = new_ready (&tally);
  guint i;

  moshi_receiver_start (receiver);
  take (receiver, 0, versions, sizeof versions, 0);
  moshi_receiver_set_ready (receiver);
  take (receiver, 2, "one", 3, 0);
  g_assert_cmpstr (tally.text, ==, "one");
  for (i = 0; i < 10; i++) {
    g_autoptr (GByteArray) stream = new_stream ();

    take (receiver, 1, stream->data, stream->len, 0);
  }
  take (receiver, 2, text, MOSHI_RECEIVER_MAX_TEXT + 1, 0);
  take (receiver, 2, "two", 3, 0);
  g_assert_cmpstr (tally.text, ==, " two");
  g_assert_cmpuint (tally.counts[MOSHI_SESSION_TEXT], ==, 2);
  moshi_receiver_free (receiver);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/receiver/pieces", test_pieces);
  g_test_add_func ("/receiver/slow-start", test_slow_start);
  g_test_add_func ("/receiver/barren", test_barren);
  g_test_add_func ("/receiver/skipped", test_skipped);
  g_test_add_func ("/receiver/warnings", test_warnings);
  g_test_add_func ("/receiver/kinds", test_kinds);
  g_test_add_func ("/receiver/metadata-limit", test_metadata_limit);
  g_test_add_func ("/receiver/metadata-flood", test_metadata_flood);
  g_test_add_func ("/receiver/text-limit", test_text_limit);
  g_test_add_func ("/receiver/spaced-text", test_spaced_text);
  return g_test_run ();
}
