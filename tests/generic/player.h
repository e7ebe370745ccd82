/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "capture.h"
#include "../session/peer.h"

G_BEGIN_DECLS

/*
 * A server that says what a real one was heard to say.
 */

/* @coloured: words are sent as MoshiVis does, with a colour (kind 07) */
typedef struct
{
  Session *session;
  gboolean coloured;
} Player;

void player_play (Peer * peer, gpointer player);

G_END_DECLS
