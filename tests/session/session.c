/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peer.h"
#include "watcher.h"

#include <string.h>

/* Sends the handshake, then gives each audio message back; closes politely. */
static void
echo (Peer * peer, gpointer user_data)
{
  GBytes *frame;
  guint8 opcode;

  if (!peer_upgrade (peer))
    return;
  peer_send (peer, 0, NULL, 0);
  while ((frame = peer_read_frame (peer, &opcode)) != NULL) {
    gsize size;
    const guint8 *data = g_bytes_get_data (frame, &size);

    if (opcode == 8)
      peer_send_frame (peer, 0x88, data, size);
    else
      peer_send_frame (peer, PEER_BINARY, data, size);
    g_bytes_unref (frame);
    if (opcode == 8)
      return;
  }
}

static void
test_echo (void)
{
  g_autoptr (PeerServer) server = peer_server_new (echo, NULL);
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiSession) session = watcher_open (watcher,
      new_config (peer_server_get_port (server)));
  MoshiSessionStats stats;
  guint i;

  watcher_wait_state (watcher, MOSHI_LIFE_READY);
  for (i = 0; i < 100; i++) {
    g_autoptr (GBytes) packet = new_packet (i);

    g_assert_true (moshi_session_send (session, packet));
  }
  for (i = 0; i < 100; i++) {
    g_autoptr (GBytes) packet = new_packet (i);
    const Seen *seen = watcher_wait (watcher, MOSHI_SESSION_PACKET, i);

    g_assert_true (g_bytes_equal (packet, seen->bytes));
    g_assert_cmpuint (seen->index, ==, 0);
  }
  moshi_session_drain (session);
  moshi_session_close (session);
  g_assert_cmpint (watcher_wait_end (watcher)->kind, ==,
      MOSHI_SESSION_FINISHED);

  moshi_session_get_stats (session, &stats);
  g_assert_cmpuint (stats.messages_sent, ==, 100);
  g_assert_cmpuint (stats.messages_received, ==, 101);
  g_assert_cmpuint (stats.bytes_received, ==, stats.bytes_sent + 1);
  g_assert_cmpuint (stats.samples_sent, ==, 100 * 480);
  g_assert_cmpuint (stats.samples_received, ==, 100 * 480);
  g_assert_cmpuint (stats.samples_dropped, ==, 0);
  g_assert_cmpuint (stats.sessions, ==, 1);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/session/echo", test_echo);
  return g_test_run ();
}
