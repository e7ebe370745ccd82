/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gstmoshitalk.h"

G_BEGIN_DECLS

/**
 * GstMoshiProgress:
 * @used: ticks of input that the present session was given
 * @answered: ticks of that it has answered
 * @received: input position that the answers have reached
 * @batch: it is known to be that
 * @live: it is known to be that
 * @ready: the session takes audio
 * @ended: the input has ended
 * @spent: batch: it was given all it takes, and has answered it
 *
 * How far a talk has come.
 */
typedef struct
{
  guint64 used;
  guint64 answered;
  guint64 received;
  gboolean batch;
  gboolean live;
  gboolean ready;
  gboolean ended;
  gboolean spent;
} GstMoshiProgress;

void gst_moshi_join_clear_locked (GstMoshiTalk * self)
    MOSHI_REQUIRES (self->lock);
void gst_moshi_join_settle_locked (GstMoshiTalk * self)
    MOSHI_REQUIRES (self->lock);
void gst_moshi_join_keep_locked (GstMoshiTalk * self, GBytes * packet,
    guint ticks)
    MOSHI_REQUIRES (self->lock);
gboolean gst_moshi_join_is_full_locked (GstMoshiTalk * self)
    MOSHI_REQUIRES (self->lock);
void gst_moshi_join_turn_locked (GstMoshiTalk * self)
    MOSHI_REQUIRES (self->lock);

void gst_moshi_talk_set_leg (GstMoshiTalk * self, MoshiSession * session,
    guint leg);
void gst_moshi_talk_started (GstMoshiTalk * self, guint index, guint64 most);
void gst_moshi_talk_change_over (GstMoshiTalk * self,
    const GstMoshiLeg * successor);
gboolean gst_moshi_talk_has_turned (GstMoshiTalk * self, guint leg);
void gst_moshi_talk_set_ready (GstMoshiTalk * self, gboolean ready);
gboolean gst_moshi_talk_packet (GstMoshiTalk * self, guint leg,
    GBytes * packet, gint64 time);
gboolean gst_moshi_talk_bytes (GstMoshiTalk * self, guint leg,
    GstMoshiItemKind kind, GBytes * bytes, gint color);
void gst_moshi_talk_drop_leg (GstMoshiTalk * self, guint leg);
gboolean gst_moshi_talk_waits_for_leg (GstMoshiTalk * self, guint leg);
void gst_moshi_talk_get_progress (GstMoshiTalk * self,
    GstMoshiProgress * progress);

G_END_DECLS
