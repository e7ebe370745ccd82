/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gstmoshisettings.h"
#include "gstmoshitalk.h"
#include "gstmoshiwords.h"
#include "protocol/moshiplayout.h"

G_BEGIN_DECLS

/**
 * GstMoshiStepKind:
 *
 * What the pushing task does next.
 */
typedef enum
{
  GST_MOSHI_STEP_NONE,
  GST_MOSHI_STEP_STOP,          /* flushing: pause the task */
  GST_MOSHI_STEP_RUN,           /* batch: a new run begins */
  GST_MOSHI_STEP_SEGMENT,       /* batch: another segment was adopted */
  GST_MOSHI_STEP_PLAYING,       /* live: output begins */
  GST_MOSHI_STEP_ITEM,          /* an item was taken out of the queue */
  GST_MOSHI_STEP_LISTEN,        /* live: tell whether there is speech in it */
  GST_MOSHI_STEP_PLAY,          /* live: push audio that is decoded */
  GST_MOSHI_STEP_CONCEAL,       /* live: carry speech on */
  GST_MOSHI_STEP_TRIM,          /* live: take silence out of what is decoded */
  GST_MOSHI_STEP_DROP,          /* live: likewise, speech */
  GST_MOSHI_STEP_PENDING,       /* some of what is rendered can be pushed */
  GST_MOSHI_STEP_SILENCE,       /* push silence, as planned */
  GST_MOSHI_STEP_FILL,          /* push silence, where answers should be */
  GST_MOSHI_STEP_GIVE_UP,       /* likewise, for answers that did not come */
  GST_MOSHI_STEP_SLEEP,         /* live: wait on the clock */
  GST_MOSHI_STEP_EOS,
} GstMoshiStepKind;

/**
 * GstMoshiStep:
 * @kind: what to do
 * @item: (transfer full) (nullable): with ITEM, and with PLAY, TRIM and DROP of
 *     whole packets; with LISTEN a copy
 * @ticks: with all but ITEM: how much
 * @pace: with PLAY: as in #MoshiPlayoutDecision
 * @spare: likewise
 * @generation: of the schedule when it was chosen
 * @until: with SLEEP: running time
 */
typedef struct
{
  GstMoshiStepKind kind;
  GstMoshiItem *item;
  guint64 ticks;
  gint pace;
  guint spare;
  guint generation;
  GstClockTime until;
} GstMoshiStep;

/**
 * GstMoshiSchedule:
 *
 * When the listening half pushes what. All of it is by the talk's lock, but
 * @element and @talk, which change only while nothing is pushed.
 */
struct _GstMoshiSchedule
{
  GstElement *element;          /* not owned: whose clock counts */
  GstMoshiTalk *talk;           /* not owned */
  GstMoshiWords *words;         /* not owned; batch: hears what comes at once */

  guint unit;                   /* ticks of a sample of output; 0 = no caps yet */
  gboolean whole_packets;       /* a packet is pushed when all of it may be */
  guint64 pending;              /* batch: ticks rendered and not pushed */
  guint64 pending_silence;      /* batch: ticks of silence before what comes */

  guint run;                    /* batch: of the talk, adopted */
  GstSegment segment;
  GstClockTime base;            /* PTS of position 0 */
  guint64 position;             /* batch: ticks pushed since base */
  guint64 run_start;            /* batch: input position it begins at */
  guint64 model_delay;          /* ticks */
  guint64 heard;                /* input position up to which answers are here */

  MoshiPlayout *playout;        /* live */
  guint64 decoded;              /* live: ticks of the talk's queue, out of items */
  gboolean changing;            /* live: decode no more, the caps will change */
  guint generation;             /* live: counts when what is queued was dropped */
  gboolean playing;             /* the clock runs */
  gboolean started;             /* live: output has begun */
  GstClockID clock_id;          /* live: what the task sleeps on */
  guint latency;                /* ms */
  GstClockTime upstream_latency;

  guint64 drain_timeout;        /* µs */
  gboolean end_now;             /* EOS is wanted, whatever there is to come */
  gboolean eos;
};

void gst_moshi_schedule_init (GstMoshiSchedule * self, GstElement * element,
    GstMoshiWords * words);
void gst_moshi_schedule_clear (GstMoshiSchedule * self);
void gst_moshi_schedule_start_locked (GstMoshiSchedule * self,
    const GstMoshiSettings * settings)
    MOSHI_REQUIRES (self->talk->lock);
void gst_moshi_schedule_restart_locked (GstMoshiSchedule * self)
    MOSHI_REQUIRES (self->talk->lock);
void gst_moshi_schedule_set_latency_locked (GstMoshiSchedule * self,
    guint latency)
    MOSHI_REQUIRES (self->talk->lock);
void gst_moshi_schedule_set_upstream_latency_locked (GstMoshiSchedule * self,
    GstClockTime latency)
    MOSHI_REQUIRES (self->talk->lock);
guint64 gst_moshi_schedule_get_position_locked (GstMoshiSchedule * self)
    MOSHI_REQUIRES (self->talk->lock);
void gst_moshi_schedule_arrived_locked (GstMoshiSchedule * self,
    guint duration)
    MOSHI_REQUIRES (self->talk->lock);
void gst_moshi_schedule_hear_locked (GstMoshiSchedule * self,
    const GstMoshiItem * item)
    MOSHI_REQUIRES (self->talk->lock);
void gst_moshi_schedule_expect_locked (GstMoshiSchedule * self)
    MOSHI_REQUIRES (self->talk->lock);
void gst_moshi_schedule_drop_locked (GstMoshiSchedule * self)
    MOSHI_REQUIRES (self->talk->lock);
gboolean gst_moshi_schedule_decoded_locked (GstMoshiSchedule * self,
    const GstMoshiStep * step, guint duration)
    MOSHI_REQUIRES (self->talk->lock);
void gst_moshi_schedule_listened_locked (GstMoshiSchedule * self,
    const GstMoshiStep * step, guint loud)
    MOSHI_REQUIRES (self->talk->lock);
void gst_moshi_schedule_done_locked (GstMoshiSchedule * self,
    const GstMoshiStep * step, guint taken, guint made)
    MOSHI_REQUIRES (self->talk->lock);
void gst_moshi_schedule_choose_locked (GstMoshiSchedule * self,
    GstMoshiStep * step)
    MOSHI_REQUIRES (self->talk->lock);
void gst_moshi_schedule_sleep_locked (GstMoshiSchedule * self,
    GstClockTime until)
    MOSHI_REQUIRES (self->talk->lock);
void gst_moshi_schedule_wake_locked (GstMoshiSchedule * self)
    MOSHI_REQUIRES (self->talk->lock);

G_END_DECLS
