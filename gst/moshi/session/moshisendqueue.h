/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * MoshiSendQueue:
 *
 * Opus packets that wait to be sent, bounded in time. Any thread may push, the
 * network thread pulls; all functions lock for themselves.
 */
typedef struct _MoshiSendQueue MoshiSendQueue;

MoshiSendQueue *moshi_send_queue_new (guint max_ms);
void moshi_send_queue_free (MoshiSendQueue * self);
void moshi_send_queue_open (MoshiSendQueue * self);
void moshi_send_queue_shut (MoshiSendQueue * self);
void moshi_send_queue_clear (MoshiSendQueue * self);
gboolean moshi_send_queue_push (MoshiSendQueue * self, GBytes * packet,
    gboolean * wake);
GBytes *moshi_send_queue_pull (MoshiSendQueue * self, guint * duration);
void moshi_send_queue_sent (MoshiSendQueue * self);
gboolean moshi_send_queue_is_empty (MoshiSendQueue * self);
void moshi_send_queue_get_stats (MoshiSendQueue * self, guint64 * queued,
    guint64 * dropped);

G_END_DECLS
