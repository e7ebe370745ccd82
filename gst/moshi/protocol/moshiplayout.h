/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * MoshiPlayoutStep:
 * @MOSHI_PLAYOUT_WAIT: nothing is due before the time given
 * @MOSHI_PLAYOUT_PLAY: play the oldest audio, at the pace given
 * @MOSHI_PLAYOUT_SILENCE: play silence
 * @MOSHI_PLAYOUT_CONCEAL: carry the speech on that has broken off
 * @MOSHI_PLAYOUT_TRIM: take the oldest audio, silence, out of the queue
 * @MOSHI_PLAYOUT_DROP: likewise, though there is speech in it
 */
typedef enum
{
  MOSHI_PLAYOUT_WAIT,
  MOSHI_PLAYOUT_PLAY,
  MOSHI_PLAYOUT_SILENCE,
  MOSHI_PLAYOUT_CONCEAL,
  MOSHI_PLAYOUT_TRIM,
  MOSHI_PLAYOUT_DROP,
} MoshiPlayoutStep;

/**
 * MOSHI_PLAYOUT_GENTLE, MOSHI_PLAYOUT_BRISK, MOSHI_PLAYOUT_URGENT,
 * MOSHI_PLAYOUT_UTMOST:
 *
 * How much longer speech is to last, in thousandths: a change of pace that is
 * not noticed, 5 % at most by whichever length it is reckoned; how much shorter
 * while there is a backlog; the one where speech is likely to break off; and
 * where it is about to.
 */
#define MOSHI_PLAYOUT_GENTLE 47
#define MOSHI_PLAYOUT_BRISK 100
#define MOSHI_PLAYOUT_URGENT 500
#define MOSHI_PLAYOUT_UTMOST 1000

/**
 * MoshiPlayoutDecision:
 * @step: what to do
 * @until: with WAIT: when to ask again, if nothing arrives before
 * @duration: of the audio, silence or concealment
 * @pace: with PLAY: by how many thousandths it should last longer, or shorter
 *     if negative; an owner that cannot plays as it is
 * @spare: with a negative pace: how much of it may be left out at once
 */
typedef struct
{
  MoshiPlayoutStep step;
  gint64 until;
  guint duration;
  gint pace;
  guint spare;
} MoshiPlayoutDecision;

/**
 * MoshiPlayoutCounters:
 * @concealed: speech carried on, for want of audio
 * @filled: silence where there was no audio, or more of it before a word
 * @trimmed: silence that came and was not played
 * @dropped: the same, with speech in it
 * @lengthened: by how much speech was made longer, all in all
 * @shortened: the same, shorter
 *
 * In samples at 48 kHz.
 */
typedef struct
{
  guint64 concealed;
  guint64 filled;
  guint64 trimmed;
  guint64 dropped;
  guint64 lengthened;
  guint64 shortened;
} MoshiPlayoutCounters;

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
void moshi_playout_expect (MoshiPlayout * self, gint64 now);
void moshi_playout_arrive (MoshiPlayout * self, guint duration, gint64 now);
void moshi_playout_describe (MoshiPlayout * self, guint duration,
    gboolean loud);
void moshi_playout_forget (MoshiPlayout * self);
void moshi_playout_decide (MoshiPlayout * self, guint packet, gint64 now,
    MoshiPlayoutDecision * decision);
void moshi_playout_done (MoshiPlayout * self, MoshiPlayoutStep step,
    guint taken, guint made);
gint64 moshi_playout_get_position (MoshiPlayout * self);
guint64 moshi_playout_get_queued (MoshiPlayout * self);
guint64 moshi_playout_get_described (MoshiPlayout * self);
guint64 moshi_playout_get_horizon (MoshiPlayout * self, guint packet,
    gint64 now);

void moshi_playout_count (MoshiPlayoutCounters * self, MoshiPlayoutStep step,
    guint taken, guint made);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (MoshiPlayout, moshi_playout_free)

G_END_DECLS
