/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The playout buffer of live output
 *
 * A live pipeline wants one contiguous stream; a network gives packets with
 * jitter, bursts after stalls, and sometimes nothing. Between the two stands
 * this buffer. It keeps no audio: it counts what its owner has queued, and says
 * at each moment what the owner does next.
 *
 * The timeline. `position` is the time stamp of the next sample to leave. A
 * sample stamped p has to leave by the time p + offset + margin: that is what
 * the element's LATENCY answer promises to the sinks, `offset` being what
 * the elements before us need already and `margin` the user's `latency`. So at
 * any time `now` the position must not lag behind now - offset - margin; when
 * it is about to, and no audio is there, silence is played instead.
 *
 * The margin is fixed. The first packet of a talk spurt that arrives at time a
 * is stamped a - offset, the silence before it being stretched until there:
 * from then on a packet may come up to `margin` later than the first one did
 * before anybody hears a hole. A packet is let go no earlier than needed, so
 * that what has not been heard yet can still be dropped by its owner. A margin
 * of 0 means "no buffer": whatever comes leaves at once, and sinks do the
 * waiting.
 *
 * After a hole the margin is built anew, which is why delay can only grow by
 * holes. A burst that would put what comes next more than MAX_BACKLOG behind is
 * cut from its oldest end back to the margin.
 */

#include "moshiplayout.h"

#define MS(ms) ((ms) * 48)

/* One bit of silence. 20 ms: as long as the usual packet up, so that an output
 * of nothing wakes the pipeline as often as an input does. */
#define SILENCE_STEP MS (20)

/* Silence is made of whole grains: the shortest packet of Opus, 2.5 ms, for an
 * output that is Opus. */
#define GRAIN 120

/* How far, beyond the margin, the newest audio may stand behind its arrival. */
#define MAX_BACKLOG MS (1000)

struct _MoshiPlayout
{
  guint margin;
  guint offset;
  gint64 position;

  guint64 queued;
  gint64 spurt;                 /* stamp of the first packet of the spurt */
  gboolean dry;                 /* nothing plays: before the first, or a hole */
  gboolean cutting;             /* too late by far: drop until at the margin */
};

/**
 * moshi_playout_new:
 *
 * Returns: (transfer full): a playout with no margin, at position 0. Not
 * thread-safe: its owner guards it
 */
MoshiPlayout *
moshi_playout_new (void)
{
  MoshiPlayout *self = g_new0 (MoshiPlayout, 1);

  self->dry = TRUE;
  return self;
}

/**
 * moshi_playout_free:
 * @self: (transfer full)
 */
void
moshi_playout_free (MoshiPlayout * self)
{
  g_free (self);
}

/**
 * moshi_playout_set_margin:
 * @self: a playout
 * @margin: how much later than the first a packet may come without a hole
 *
 * May be changed at any time; a larger one is reached at the next hole.
 */
void
moshi_playout_set_margin (MoshiPlayout * self, guint margin)
{
  self->margin = margin;
}

/**
 * moshi_playout_set_offset:
 * @self: a playout
 * @offset: the part of the promised latency that is not ours
 */
void
moshi_playout_set_offset (MoshiPlayout * self, guint offset)
{
  self->offset = offset;
}

/**
 * moshi_playout_start:
 * @self: a playout
 * @position: stamp of the first sample that will leave
 *
 * Begins a new contiguous output. Packets already queued stay so.
 */
void
moshi_playout_start (MoshiPlayout * self, gint64 position)
{
  self->position = position;
  self->spurt = position;
  self->dry = TRUE;
}

/**
 * moshi_playout_arrive:
 * @self: a playout
 * @duration: of the packet that the owner has put at the end of its queue
 * @now: when it came
 */
void
moshi_playout_arrive (MoshiPlayout * self, guint duration, gint64 now)
{
  gint64 end;

  if (self->queued == 0)
    self->spurt = now - self->offset;
  self->queued += duration;

  end = MAX (self->position, self->spurt) + (gint64) self->queued;
  if (end > now - self->offset + self->margin + MAX_BACKLOG)
    self->cutting = TRUE;
}

/**
 * moshi_playout_forget:
 * @self: a playout
 *
 * The owner has emptied its queue: what comes next begins a new talk spurt.
 */
void
moshi_playout_forget (MoshiPlayout * self)
{
  self->queued = 0;
  self->dry = TRUE;
  self->cutting = FALSE;
}

static void
wait_until (MoshiPlayoutDecision * decision, gint64 until)
{
  decision->step = MOSHI_PLAYOUT_WAIT;
  decision->until = until;
}

static guint
round_up (gint64 duration)
{
  return (duration + GRAIN - 1) / GRAIN * GRAIN;
}

static void
play_silence (MoshiPlayout * self, guint duration,
    MoshiPlayoutDecision * decision)
{
  decision->step = MOSHI_PLAYOUT_SILENCE;
  decision->duration = duration;
  self->position += duration;
}

static void
take_packet (MoshiPlayout * self, MoshiPlayoutStep step, guint duration,
    MoshiPlayoutDecision * decision)
{
  decision->step = step;
  decision->duration = duration;
  self->queued -= MIN (self->queued, duration);
  if (step == MOSHI_PLAYOUT_PLAY)
    self->position += duration;
}

/* TRUE while the backlog has to come down to the margin */
static gboolean
must_cut (MoshiPlayout * self, gint64 now)
{
  gint64 end = self->position + (gint64) self->queued;

  if (end <= now - self->offset + self->margin)
    self->cutting = FALSE;
  return self->cutting;
}

/**
 * moshi_playout_decide:
 * @self: a playout
 * @next: duration of the oldest packet in the owner's queue, 0 if it is empty
 * @now: the time
 * @decision: (out caller-allocates): what to do
 *
 * The owner does what is decided and asks again, until it is told to wait. With
 * PLAY and DROP the oldest packet counts as gone from the queue, with PLAY and
 * SILENCE the position moves on.
 */
void
moshi_playout_decide (MoshiPlayout * self, guint next, gint64 now,
    MoshiPlayoutDecision * decision)
{
  gint64 due = self->position + self->offset + self->margin;

  if (next > 0 && must_cut (self, now)) {
    take_packet (self, MOSHI_PLAYOUT_DROP, next, decision);
  } else if (next > 0 && self->dry && self->position < self->spurt) {
    play_silence (self, MIN (round_up (self->spurt - self->position),
            SILENCE_STEP), decision);
  } else if (next > 0 && (now >= due || self->margin == 0)) {
    self->dry = FALSE;
    take_packet (self, MOSHI_PLAYOUT_PLAY, next, decision);
  } else if (now >= due) {
    self->dry = TRUE;
    play_silence (self, SILENCE_STEP, decision);
  } else {
    wait_until (decision, due);
  }
}

/**
 * moshi_playout_get_position:
 * @self: a playout
 *
 * Returns: stamp of the next sample to leave
 */
gint64
moshi_playout_get_position (MoshiPlayout * self)
{
  return self->position;
}

/**
 * moshi_playout_get_queued:
 * @self: a playout
 *
 * Returns: how much audio waits
 */
guint64
moshi_playout_get_queued (MoshiPlayout * self)
{
  return self->queued;
}
