/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * All sessions of a process share one network thread. Those of servers that say
 * more than can be read are ended, and the others lose nothing by it; and a
 * server that has much to say at once, but says it once, is left alone.
 */
#include "harness.h"

#include <string.h>

#include "../protocol/oggpages.h"
#include "../session/peer.h"

#define CAPS "audio/x-raw,rate=24000,format=S16LE,layout=interleaved,channels=1"
#define LIVE "audiotestsrc is-live=true samplesperbuffer=480 ! " CAPS

/* The model's delay, in samples */
#define DELAY 3840

/* What the playout keeps of a stall's answers */
#define MAX_BACKLOG (2 * GST_SECOND)

/* --- floods ---------------------------------------------------------------- */

static void
flood_pings (Peer * peer, gpointer user_data)
{
  if (peer_greet (peer))
    peer_repeat_frame (peer, 0x89, "Are you there?", 14);
}

static void
flood_text (Peer * peer, gpointer user_data)
{
  if (peer_greet (peer))
    peer_repeat_frame (peer, PEER_BINARY, "\002 word", 6);
}

static void
flood_much (Peer * peer, gpointer user_data)
{
  static const guint8 much[60000] = { 77 };

  if (peer_greet (peer))
    peer_repeat_frame (peer, PEER_BINARY, much, sizeof much);
}

typedef struct
{
  const gchar *name;
  PeerScript script;
} Row;

static const Row rows[] = {
  {"pings", flood_pings},
  {"text", flood_text},
  {"much", flood_much},
};

/* A neighbour in the same process: it has one error, and does not come back. */
static void
live_through_a_flood (const Row * row)
{
  g_autoptr (PeerServer) server = peer_server_new (row->script, NULL);
  Harness *self = harness_new (NULL, LIVE " ! moshi name=m idle-timeout=0 "
      "retries=3 uri=ws://127.0.0.1:%u ! fakesink",
      peer_server_get_port (server));
  g_autoptr (GError) error = NULL;
  GstMessage *message;

  self->out->keep = FALSE;
  harness_set_state (self, GST_STATE_PLAYING);
  message = harness_wait_message (self, GST_MESSAGE_ERROR, NULL,
      HARNESS_PATIENCE);
  g_assert_nonnull (message);
  gst_message_parse_error (message, &error, NULL);
  gst_message_unref (message);
  g_test_message ("%s", error->message);
  g_assert_error (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_READ);
  g_assert_nonnull (strstr (error->message, "faster than"));
  g_assert_cmpuint (peer_server_get_connections (server), ==, 1);
  harness_free (self);
}

static void
init_config (MoshiStandinConfig * config)
{
  moshi_standin_config_init (config);
  config->flavour = MOSHI_STANDIN_KYUTAI_RS;
  config->voice = MOSHI_STANDIN_SWEEP;
  config->seed = 5;
}

static void
assert_undisturbed (Harness * self)
{
  MoshiStandinStats stats;

  g_assert_cmpuint (harness_get_stat (self, "sessions"), ==, 1);
  g_assert_cmpuint (harness_get_stat (self, "reconnects"), ==, 0);
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_ERROR, NULL), ==,
      0);
  if (self->server == NULL)
    return;
  moshi_standin_get_stats (self->server, &stats);
  g_assert_cmpuint (stats.page_gaps, ==, 0);
  g_assert_cmpuint (stats.losses, ==, 0);
}

static void
assert_contiguous (Harness * self)
{
  harness_wait_buffers (self, self->out, 1);
  harness_lock (self);
  harness_assert_contiguous (self->out, 24000, 2, 0);
  harness_unlock (self);
}

/* Live: all that was said gets there, all answers are played; only a stall that
 * is longer than what the playout may keep costs some of them. */
static void
test_live (gconstpointer data)
{
  MoshiStandinConfig config;
  guint64 received, unsent;
  Harness *self;

  init_config (&config);
  self = harness_new (&config, LIVE " ! moshi name=m ! " CAPS " ! fakesink");
  harness_set_state (self, GST_STATE_PLAYING);
  harness_wait_stat (self, "samples-received", 12000);
  /* What was said before there was a session */
  unsent = harness_get_stat (self, "input-unsent");
  live_through_a_flood (data);
  received = harness_get_stat (self, "samples-received");
  harness_wait_stat (self, "samples-received", received + 24000);
  assert_contiguous (self);
  assert_undisturbed (self);
  g_test_message ("filled %" G_GUINT64_FORMAT " ms, dropped %" G_GUINT64_FORMAT
      " ms", harness_get_stat (self, "filled") / GST_MSECOND,
      harness_get_stat (self, "dropped") / GST_MSECOND);
  if (harness_get_stat (self, "filled") < MAX_BACKLOG) {
    g_assert_cmpuint (harness_get_stat (self, "dropped"), ==, 0);
    g_assert_cmpuint (harness_get_stat (self, "input-unsent"), ==, unsent);
  }
  harness_free (self);
}

/* Batch: as if there were no neighbour, to the sample. */
static void
test_batch (gconstpointer data)
{
  MoshiStandinConfig config;
  HarnessTrack *in;
  Harness *self;

  init_config (&config);
  config.speed = 8;
  self = harness_new (&config, "audiotestsrc name=source samplesperbuffer=480 "
      "! " CAPS " ! moshi name=m ! " CAPS " ! fakesink");
  in = harness_track (self, "m", "sink");
  in->keep = FALSE;
  harness_set_state (self, GST_STATE_PLAYING);
  harness_wait_stat (self, "samples-received", 24000);
  live_through_a_flood (data);
  g_assert_true (gst_element_send_event (self->pipeline, gst_event_new_eos ()));
  harness_wait_eos (self);
  g_assert_cmpuint (self->out->bytes, ==, in->bytes);
  harness_assert_contiguous (self->out, 24000, 2, 0);
  harness_assert_sweep (self->out, DELAY, &config, 24000, 1);
  assert_undisturbed (self);
  g_assert_cmpuint (harness_get_stat (self, "input-unsent"), ==, 0);
  harness_free (self);
}

/* --- bursts ---------------------------------------------------------------- */

static void
append_message (GByteArray * out, guint8 kind, const guint8 * data, guint size)
{
  const guint8 head[3] = { PEER_BINARY, size + 1, kind };

  g_assert_cmpuint (size, <, 125);
  g_byte_array_append (out, head, 3);
  g_byte_array_append (out, data, size);
}

/* One step of moshi-backend: two pages of 40 ms, a piece of text */
static void
append_step (GByteArray * out, Pages * pages)
{
  guint i;

  for (i = 0; i < 2; i++) {
    g_autoptr (GBytes) packet = make_long_frames (pages->number, 2);

    g_byte_array_set_size (pages->bytes, 0);
    put_packet (pages, packet);
    append_message (out, 1, pages->bytes->data, pages->bytes->len);
  }
  append_message (out, 2, (const guint8 *) " word", 5);
}

/* So many steps at once; then one for four frames of 20 ms */
static void
burst (Peer * peer, gpointer user_data)
{
  const guint *steps = user_data;
  g_autoptr (GByteArray) out = g_byte_array_new ();
  g_autoptr (GByteArray) page = g_byte_array_new ();
  Pages pages = { page, SERIAL, 0, 0 };
  GBytes *frame;
  guint8 opcode;
  guint i, n;

  if (!peer_greet (peer))
    return;
  put_headers (&pages);
  append_message (out, 1, page->data, page->len);
  for (n = 1; (frame = peer_read_frame (peer, &opcode)) != NULL; n++) {
    g_bytes_unref (frame);
    if (opcode == 8)
      return;
    for (i = 0; n == 1 && i < *steps; i++)
      append_step (out, &pages);
    if (n % 4 == 0)
      append_step (out, &pages);
    peer_write (peer, out->data, out->len);
    g_byte_array_set_size (out, 0);
  }
}

/* Live, as much as may ever come at once is no flood. */
static void
test_burst (gconstpointer data)
{
  guint steps = GPOINTER_TO_UINT (data);
  g_autoptr (PeerServer) server = peer_server_new (burst, &steps);
  Harness *self = harness_new (NULL, LIVE " ! moshi name=m "
      "uri=ws://127.0.0.1:%u ! " CAPS " ! fakesink",
      peer_server_get_port (server));

  harness_set_state (self, GST_STATE_PLAYING);
  harness_wait_connection (self, "ready");
  harness_wait_stat (self, "samples-received", steps * 1920);
  harness_wait_stat (self, "samples-received", (steps + 10) * 1920);
  assert_contiguous (self);
  assert_undisturbed (self);
  g_assert_cmpuint (peer_server_get_connections (server), ==, 1);
  harness_free (self);
}

static void
add_tests (void)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autofree gchar *live = g_strconcat ("/flood/live/", rows[i].name, NULL);
    g_autofree gchar *batch = g_strconcat ("/flood/batch/", rows[i].name, NULL);

    g_test_add_data_func (live, &rows[i], test_live);
    g_test_add_data_func (batch, &rows[i], test_batch);
  }
  /* moshi-server's, 30 s, two minutes */
  g_test_add_data_func ("/flood/burst/32", GUINT_TO_POINTER (32), test_burst);
  g_test_add_data_func ("/flood/burst/375", GUINT_TO_POINTER (375), test_burst);
  g_test_add_data_func ("/flood/burst/1500", GUINT_TO_POINTER (1500),
      test_burst);
}

int
main (int argc, char **argv)
{
  return harness_main (&argc, &argv, add_tests);
}
