/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "player.h"

#include <string.h>

#define COLOR 3

static void
send_coloured (Peer * peer, const Record * record)
{
  g_autofree guint8 *payload = g_malloc (record->size);

  payload[0] = COLOR;
  memcpy (payload + 1, record->data + 1, record->size - 1);
  peer_send (peer, MOSHI_MESSAGE_COLORED_TEXT, payload, record->size);
}

static gboolean
is_kind (const Record * record, MoshiMessageKind kind)
{
  return record->size > 0 && record->data[0] == kind;
}

/**
 * player_play:
 * @peer: who has called
 * @player: a #Player
 *
 * A #PeerScript. Sends what the server sent: up to its first audio at once, the
 * rest when it hears something, as the real ones do.
 */
void
player_play (Peer * peer, gpointer player)
{
  const Player *self = player;
  gboolean heard = FALSE;
  guint i;

  if (!peer_upgrade (peer))
    return;
  for (i = 0; i < self->session->records->len; i++) {
    const Record *record = session_get (self->session, i);

    if (record->side != 'S' || record->kind != 'B')
      continue;
    if (!heard && is_kind (record, MOSHI_MESSAGE_AUDIO)) {
      guint8 opcode;
      g_autoptr (GBytes) frame = peer_read_frame (peer, &opcode);

      heard = frame != NULL;
    }
    if (self->coloured && is_kind (record, MOSHI_MESSAGE_TEXT))
      send_coloured (peer, record);
    else
      peer_send_frame (peer, PEER_BINARY, record->data, record->size);
  }
  peer_read_until_gone (peer);
}
