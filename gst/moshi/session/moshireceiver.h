/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "moshisession.h"

G_BEGIN_DECLS

/**
 * MOSHI_RECEIVER_MAX_SKIPPED:
 *
 * Bytes of Ogg that may be thrown away in a row without a packet.
 */
#define MOSHI_RECEIVER_MAX_SKIPPED (64 * 1024)

/**
 * MOSHI_RECEIVER_MAX_BARREN:
 *
 * Audio messages in a row that may give no packet, if they also took
 * %MOSHI_RECEIVER_MAX_BARREN_TIME. Fewer may be one page in many pieces or the
 * headers of a server that then thinks.
 */
#define MOSHI_RECEIVER_MAX_BARREN 50

/**
 * MOSHI_RECEIVER_MAX_BARREN_TIME:
 *
 * In µs.
 */
#define MOSHI_RECEIVER_MAX_BARREN_TIME (5 * G_USEC_PER_SEC)

/**
 * MOSHI_RECEIVER_MAX_TEXT:
 *
 * Bytes of one piece of text: pieces are tokens, of some letters each.
 */
#define MOSHI_RECEIVER_MAX_TEXT 4096

/**
 * MOSHI_RECEIVER_MAX_METADATA:
 *
 * Messages of metadata that count on one connection: servers send one.
 */
#define MOSHI_RECEIVER_MAX_METADATA 32

/**
 * MoshiReceiverResult:
 * @MOSHI_RECEIVER_NOTHING: nothing the session's life is about
 * @MOSHI_RECEIVER_HANDSHAKE: the handshake
 * @MOSHI_RECEIVER_ANSWER: text, or audio that gave a packet
 * @MOSHI_RECEIVER_FAULT: the session must end
 */
typedef enum
{
  MOSHI_RECEIVER_NOTHING,
  MOSHI_RECEIVER_HANDSHAKE,
  MOSHI_RECEIVER_ANSWER,
  MOSHI_RECEIVER_FAULT,
} MoshiReceiverResult;

/**
 * MoshiReceiver:
 *
 * Turns one connection's messages into events. Network thread only.
 */
typedef struct _MoshiReceiver MoshiReceiver;

/**
 * MoshiReceiverEmit:
 *
 * Called for each event, of which the kind, bytes, colour, error and time are
 * filled in.
 */
typedef void (*MoshiReceiverEmit) (const MoshiSessionEvent * event,
    gpointer user_data);

MoshiReceiver *moshi_receiver_new (MoshiReceiverEmit emit, gpointer user_data);
void moshi_receiver_free (MoshiReceiver * self);
void moshi_receiver_start (MoshiReceiver * self);
void moshi_receiver_set_ready (MoshiReceiver * self);
MoshiReceiverResult moshi_receiver_take (MoshiReceiver * self, GBytes * bytes,
    gboolean is_text, gint64 now, GError ** error);
guint64 moshi_receiver_get_samples (MoshiReceiver * self);
guint moshi_receiver_get_barren (MoshiReceiver * self);
MoshiGreeting moshi_receiver_get_greeting (MoshiReceiver * self);

G_END_DECLS
