/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <gst/gst.h>

#include <glib/gstdio.h>

#include "player.h"
#include "protocol/moshioggreader.h"
#include "protocol/moshiopus.h"

/* The recorded side of a real server talks to the element: what comes out of
 * a pipeline is that server's speech, sample for sample, behind the silence
 * of the model's delay. */

#define RATE 24000
#define FRAME 1920
#define FRAMES 45               /* of the input; each capture answers 49 */
#define DELAY (RATE * 160 / 1000)
#define TIMEOUT (60 * GST_SECOND)

/* The server's audio, decoded by the protocol floor alone. */
static GArray *
decode (Session * session)
{
  g_autoptr (GByteArray) bytes = session_audio (session, 'S');
  g_autoptr (MoshiOggReader) reader = moshi_ogg_reader_new ();
  g_autoptr (MoshiOpusDecoder) decoder = moshi_opus_decoder_new (RATE, 1, NULL);
  GArray *samples = g_array_new (FALSE, FALSE, sizeof (gint16));

  g_assert_true (moshi_ogg_reader_push (reader, bytes->data, bytes->len, NULL));
  while (TRUE) {
    g_autoptr (GBytes) packet = moshi_ogg_reader_pull (reader);
    gint16 out[MOSHI_OPUS_MAX_SAMPLES];
    gsize size;
    gconstpointer data;
    gint n;

    if (packet == NULL)
      break;
    data = g_bytes_get_data (packet, &size);
    n = moshi_opus_decoder_decode_s16 (decoder, data, size, out,
        G_N_ELEMENTS (out), NULL);
    g_assert_cmpint (n, >, 0);
    g_array_append_vals (samples, out, n);
  }
  return samples;
}

/* Runs until EOS; words come as messages on the way. */
static guint
run_to_eos (GstElement * pipeline)
{
  g_autoptr (GstBus) bus = gst_element_get_bus (pipeline);
  guint words = 0;

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  while (TRUE) {
    g_autoptr (GstMessage) message = gst_bus_timed_pop_filtered (bus, TIMEOUT,
        GST_MESSAGE_EOS | GST_MESSAGE_ERROR | GST_MESSAGE_ELEMENT);
    g_autoptr (GError) error = NULL;

    g_assert_nonnull (message);
    if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR)
      gst_message_parse_error (message, &error, NULL);
    g_assert_no_error (error);
    if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_EOS)
      break;
    if (gst_message_has_name (message, "moshi-text")) {
      const GstStructure *structure = gst_message_get_structure (message);

      g_assert_nonnull (gst_structure_get_string (structure, "text"));
      words++;
    }
  }
  gst_element_set_state (pipeline, GST_STATE_NULL);
  return words;
}

static void
test_replay (gconstpointer name)
{
  g_autoptr (Session) session = session_load (name);
  g_autoptr (GArray) expected = decode (session);
  Player player = { session, FALSE };
  PeerServer *server = peer_server_new (player_play, &player);
  g_autofree gchar *path =
      g_build_filename (g_get_tmp_dir (), "moshi-replay-XXXXXX", NULL);
  const gint fd = g_mkstemp (path);
  g_autofree gchar *description = NULL;
  g_autoptr (GstElement) pipeline = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree gchar *out = NULL;
  gsize size;
  guint words;

  g_assert_cmpint (fd, >=, 0);
  description = g_strdup_printf ("audiotestsrc num-buffers=%u "
      "samplesperbuffer=%u ! audio/x-raw,rate=%u,channels=1 ! "
      "moshi uri=ws://127.0.0.1:%u retries=0 ! "
      "audio/x-raw,format=S16LE,rate=%u,channels=1 ! fdsink fd=%d",
      FRAMES, FRAME, RATE, peer_server_get_port (server), RATE, fd);
  pipeline = gst_parse_launch (description, &error);
  g_assert_no_error (error);
  words = run_to_eos (pipeline);
  peer_server_free (server);

  g_assert_true (g_file_get_contents (path, &out, &size, NULL));
  g_close (fd, NULL);
  g_unlink (path);
  g_assert_cmpuint (size, ==, 2 * FRAME * FRAMES);
  for (guint i = 0; i < DELAY; i++)
    g_assert_cmpint (((gint16 *) out)[i], ==, 0);
  g_assert_cmpmem (out + 2 * DELAY, size - 2 * DELAY, expected->data,
      size - 2 * DELAY);
  g_assert_cmpuint (words, >, 10);
}

int
main (int argc, char **argv)
{
  const gchar *names[] = {
    "pytorch.cap", "mlx.cap", "moshi-backend.cap", "moshi-server.cap",
  };

  g_test_init (&argc, &argv, NULL);
  gst_init (&argc, &argv);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree gchar *path = g_strdup_printf ("/replay/%s", names[i]);

    g_test_add_data_func (path, names[i], test_replay);
  }
  return g_test_run ();
}
