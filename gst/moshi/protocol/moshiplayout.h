/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * MoshiPlayoutStep:
 * @MOSHI_PLAYOUT_WAIT: nothing is due before the time given
 * @MOSHI_PLAYOUT_PLAY: play the oldest packet
 * @MOSHI_PLAYOUT_SILENCE: play silence of the duration given
 * @MOSHI_PLAYOUT_DROP: throw the oldest packet away
 */
typedef enum
{
  MOSHI_PLAYOUT_WAIT,
  MOSHI_PLAYOUT_PLAY,
  MOSHI_PLAYOUT_SILENCE,
  MOSHI_PLAYOUT_DROP,
} MoshiPlayoutStep;

/**
 * MoshiPlayoutDecision:
 * @step: what to do
 * @until: with WAIT: when to ask again, if nothing arrives before
 * @duration: of the silence, or of the packet
 */
typedef struct
{
  MoshiPlayoutStep step;
  gint64 until;
  guint duration;
} MoshiPlayoutDecision;

/**
 * MoshiPlayout:
 *
 * Decides what of the audio that came is played when. All times and durations
 * are in samples at 48 kHz; times count on the output's own timeline.
 */
typedef struct _MoshiPlayout MoshiPlayout;

MoshiPlayout *moshi_playout_new (void);
void moshi_playout_free (MoshiPlayout * self);
void moshi_playout_set_margin (MoshiPlayout * self, guint margin);
void moshi_playout_set_offset (MoshiPlayout * self, guint offset);
void moshi_playout_start (MoshiPlayout * self, gint64 position);
void moshi_playout_arrive (MoshiPlayout * self, guint duration, gint64 now);
void moshi_playout_forget (MoshiPlayout * self);
void moshi_playout_decide (MoshiPlayout * self, guint next, gint64 now,
    MoshiPlayoutDecision * decision);
gint64 moshi_playout_get_position (MoshiPlayout * self);
guint64 moshi_playout_get_queued (MoshiPlayout * self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (MoshiPlayout, moshi_playout_free)

G_END_DECLS
