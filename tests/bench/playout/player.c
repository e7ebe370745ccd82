/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Our player, over the pure playout. Audio is not there: it is stretched as much
 * as was decided, or, by the rules of the real thing, as if it were a voice of
 * that period. */

#include "playoutbench.h"

#include <math.h>

#include "protocol/moshiplayout.h"
#include "protocol/moshistretch.h"

#define TICKS 48.0
#define MARGIN 2880             /* 60 ms: it must not matter */
#define VOICE_MS 8
#define DEEP_MS 12
#define PACKET 1920             /* as from Kyutai's servers, of two frames */
#define FRAME 960
#define PART 480

typedef struct
{
  const BenchTrace *trace;
  const BenchMask *mask;
  MoshiPlayout *playout;
  GArray *lines;
  gint64 source;                /* ticks: of the oldest sample queued */
  MoshiStretch stretch;
  BenchKind kind;
  MoshiPlayoutCounters counters;
} Player;

static gint64
to_ticks (gdouble ms)
{
  return (gint64) ceil (ms * TICKS);
}

static void
arrive (Player * self, const BenchMessage * message)
{
  guint left = message->samples * (48000 / self->trace->rate), packet;

  for (; left > 0; left -= packet) {
    packet = MIN (left, PACKET);
    moshi_playout_arrive (self->playout, packet, to_ticks (message->arrival));
  }
}

/* Looks at packets as they are wanted, as the element does, in parts of 10 ms. */
static void
describe (Player * self, guint packet, gint64 now)
{
  guint64 wanted = moshi_playout_get_horizon (self->playout, packet, now);
  guint64 queued = moshi_playout_get_queued (self->playout), described;

  while ((described = moshi_playout_get_described (self->playout)) < wanted) {
    gint64 at = self->source + (gint64) described;
    gint64 end = MIN ((at / PACKET + 1) * PACKET, self->source
        + (gint64) queued);

    for (; at < end; at = (at / PART + 1) * PART)
      moshi_playout_describe (self->playout,
          (guint) (MIN ((at / PART + 1) * PART, end) - at),
          bench_is_speech (self->trace, self->mask, (gdouble) at / TICKS));
  }
}

static void
write_line (Player * self, gboolean audio, guint taken, guint made)
{
  BenchLine line = {
    (gdouble) (moshi_playout_get_position (self->playout) + MARGIN) / TICKS,
    made / TICKS, audio ? (gdouble) self->source / TICKS : -1,
    audio ? (gdouble) taken / made : 1,
  };

  g_array_append_val (self->lines, line);
}

/* As gst_moshi_voice_play() does with a voice of that period */
static void
stretch_voice (Player * self, gint pace, guint spare, guint * taken,
    guint * made)
{
  guint queued = (guint) moshi_playout_get_queued (self->playout);
  guint period = (guint) (TICKS * (self->kind == BENCH_DEEP ? DEEP_MS :
          VOICE_MS));
  guint change = MIN (period, queued / 2);

  change -= change % 12;
  if (!moshi_stretch_may_change (&self->stretch, *taken, pace)
      || change < MOSHI_STRETCH_MIN_PERIOD || (pace < 0 && change > spare))
    return;
  moshi_stretch_changed (&self->stretch, change);
  if (pace > 0) {
    *made = MAX (*made, 2 * change);
    *taken = *made - change;
  } else {
    *made = MIN (*made, queued - change);
    *taken = *made + change;
  }
}

static void
obey (Player * self, const MoshiPlayoutDecision * decision)
{
  guint taken = decision->duration, made = decision->duration;

  switch (decision->step) {
    case MOSHI_PLAYOUT_PLAY:
      if (self->kind == BENCH_VOICE || self->kind == BENCH_DEEP)
        stretch_voice (self, decision->pace, decision->spare, &taken, &made);
      else if (self->kind == BENCH_EVEN)
        made = (guint) ((gint) taken + (gint) taken * decision->pace / 1000);
      write_line (self, TRUE, taken, made);
      break;
    case MOSHI_PLAYOUT_TRIM:
    case MOSHI_PLAYOUT_DROP:
      made = 0;
      break;
    default:
      taken = 0;
      write_line (self, FALSE, 0, made);
      break;
  }
  moshi_playout_done (self->playout, decision->step, taken, made);
  moshi_playout_count (&self->counters, decision->step, taken, made);
  self->source += taken;
}

/* The oldest packet, or the first frame of it where it is taken apart */
static guint
get_packet (Player * self, gint64 now)
{
  guint64 queued = moshi_playout_get_queued (self->playout);
  guint packet = (guint) MIN ((guint64) (PACKET - self->source % PACKET),
      queued);

  return moshi_playout_get_horizon (self->playout, packet, now) > 0 ?
      MIN (packet, FRAME) : packet;
}

/* Does what is to be done now; returns when there is more to do. */
static gint64
play (Player * self, gint64 now)
{
  MoshiPlayoutDecision decision;
  guint packet;

  while (TRUE) {
    packet = self->kind == BENCH_PACKETS ? get_packet (self, now) : 0;
    describe (self, packet, now);
    moshi_playout_decide (self->playout, packet, now, &decision);
    if (decision.step == MOSHI_PLAYOUT_WAIT)
      return decision.until;
    obey (self, &decision);
  }
}

/**
 * bench_play_adaptive:
 * @trace: what arrives
 * @mask: where speech is in it
 * @kind: how audio can be stretched
 * @counters: (out) (optional): of what it did until the last message came
 *
 * Returns: (transfer full) (element-type BenchLine): what our playout plays
 */
GArray *
bench_play_adaptive (const BenchTrace * trace, const BenchMask * mask,
    BenchKind kind, MoshiPlayoutCounters * counters)
{
  Player self = { trace, mask, moshi_playout_new () };
  gint64 end = to_ticks (trace->duration + 2000), now = 0;
  guint i = 0;

  self.kind = kind;
  self.lines = g_array_new (FALSE, FALSE, sizeof (BenchLine));
  moshi_playout_set_margin (self.playout, MARGIN);
  moshi_playout_start (self.playout, 0);
  while (now < end) {
    gint64 until = play (&self, now);
    const BenchMessage *message = i < trace->messages->len ?
        &g_array_index (trace->messages, BenchMessage, i) : NULL;

    if (message && to_ticks (message->arrival) <= until) {
      now = MAX (now, to_ticks (message->arrival));
      arrive (&self, message);
      if (++i == trace->messages->len && counters)
        *counters = self.counters;
    } else {
      now = until;
    }
  }
  moshi_playout_free (self.playout);
  return self.lines;
}
