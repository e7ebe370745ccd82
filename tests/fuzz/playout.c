/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any packets at any times, loud or not, by clocks that run and jump as they
 * like, with and without audio that can be divided. Whatever comes: the output
 * is contiguous and on time, steps end, what came is played, counted or still
 * there, silence alone is trimmed, and neither the queue nor a concealment
 * grows without end.
 */
#include "fuzz.h"
#include "protocol/moshiplayout.h"
#include "protocol/moshistretch.h"

#define MS(ms) ((gint64) ((ms) * 48))

#define MAX_TIME MS (45000)     /* of a conversation */
#define OUTAGE MS (4500)
#define FEW 50                  /* things happen in most of them, for speed */
#define MAX_STEPS 40000         /* at one moment, in which it may all be made */
#define MAX_CONCEAL MS (125)

#define LONGEST MS (120)        /* packet */
#define PERIOD MS (8)           /* of the voice */

/* What may wait. The next sample that comes would lag by L = now - arrived; the
 * one that is heard lags by now - overdue - (arrived - queued), that is, by
 * L - overdue + queued; the delay beyond the base is `excess` and the spread. So
 *
 *   queued = excess + spread + overdue + (base - L).
 *
 * excess: 2 s are kept. Spread: 400 ms, and 20 for drift. The base is no later
 * than the last slot of those it is found by: than the first sample of it, which
 * has been in time by the length of that slot, 80 ms and less than a packet more,
 * and of another one that is not full yet. Time that goes by, and drift, make it
 * less, for L grows by more than the base. While what a stall has held back comes
 * in, the last slot of that is the base for excess, of which the same holds. */
#define MAX_QUEUE (MS (2000) + MS (420) + MS (80) + LONGEST + MS (80))

/* More is played while a word under way ends, within 1 s, and what is played at
 * once with its end: a period more, or the rest of a packet. However much comes
 * meanwhile: that is the only time it is waited for. */
#define MAX_WORD MS (1000)

/* With a margin nothing leaves before it is due, so that when it has the output
 * is ahead by the longest packet at most. */
#define MAX_AHEAD MS (120)

/* Those of one duration have a pause inside, a third of them, if they are kept
 * whole. */
#define WITH_PAUSE MS (60)

typedef struct
{
  guint duration;
  gboolean loud;
} Packet;

typedef enum
{
  EVEN, VOICE, WHOLE, N_KINDS
} Kind;

typedef struct
{
  MoshiPlayout *playout;
  MoshiPlayoutCounters counters;
  MoshiStretch stretch;
  Kind kind;
  gint64 now;
  gint64 position;
  guint margin, offset;

  GQueue packets;               /* of Packet, the oldest first */
  guint gone;                   /* of the oldest one */
  guint told;                   /* packets described */
  guint64 arrived, played, made, forgotten, queued;
  gint64 beyond;                /* heard while the queue was too long */
  gint64 concealed;             /* since something else was heard */
} Watch;

/* --- the queue -------------------------------------------------------------- */

/* How much of the queue is silence that was described as such */
static guint64
get_silence (Watch * self)
{
  guint64 silence = 0;
  GList *link;
  guint i = 0;

  for (link = self->packets.head; link && i < self->told; link = link->next) {
    const Packet *packet = link->data;

    if (packet->loud)
      break;
    silence += packet->duration - (i++ == 0 ? self->gone : 0);
  }
  return silence;
}

static void
remove_audio (Watch * self, guint duration)
{
  self->queued -= duration;
  self->gone += duration;
  while (self->packets.head) {
    Packet *packet = self->packets.head->data;

    if (self->gone < packet->duration)
      break;
    self->gone -= packet->duration;
    self->told -= MIN (self->told, 1);
    g_free (g_queue_pop_head (&self->packets));
  }
}

static void
describe_packet (Watch * self, const Packet * packet, guint left)
{
  if (self->kind == WHOLE && packet->loud && packet->duration == WITH_PAUSE) {
    moshi_playout_describe (self->playout, left / 3, TRUE);
    moshi_playout_describe (self->playout, left / 3, FALSE);
    left /= 3;
  }
  moshi_playout_describe (self->playout, left, packet->loud);
}

/* Describes the packets that follow, until so much is described. */
static void
describe (Watch * self, guint64 wanted)
{
  while (moshi_playout_get_described (self->playout) < wanted) {
    const Packet *packet = g_queue_peek_nth (&self->packets, self->told);
    guint64 described = moshi_playout_get_described (self->playout);
    guint left = packet->duration - (self->told == 0 ? self->gone : 0);

    describe_packet (self, packet, left);
    g_assert_cmpuint (moshi_playout_get_described (self->playout), ==,
        described + left);
    self->told++;
  }
}

static void
arrive (Watch * self, guint8 what)
{
  static const guint durations[] = { 120, 240, 480, 960, 1920, 2880, 5760, 12 };
  Packet *packet = g_new0 (Packet, 1);

  packet->duration = durations[what & 7];
  packet->loud = (what & 8) != 0;
  g_queue_push_tail (&self->packets, packet);
  self->arrived += packet->duration;
  self->queued += packet->duration;
  moshi_playout_arrive (self->playout, packet->duration, self->now);
  if (what & 16)
    describe (self, self->queued);
}

/* --- what is decided -------------------------------------------------------- */

static void
check_decision (Watch * self, const MoshiPlayoutDecision * decision,
    guint packet)
{
  g_assert_cmpuint (decision->duration, >, 0);
  g_assert_cmpint (ABS (decision->pace), <=, MOSHI_PLAYOUT_UTMOST);
  if (decision->pace != 0) {
    g_assert_cmpint (decision->step, ==, MOSHI_PLAYOUT_PLAY);
    g_assert_cmpint (packet, ==, 0);
    g_assert_cmpint (decision->pace, >=, -MOSHI_PLAYOUT_BRISK);
  }
  if (decision->step == MOSHI_PLAYOUT_CONCEAL
      || decision->step == MOSHI_PLAYOUT_SILENCE)
    return;
  g_assert_cmpuint (decision->duration, <=, self->queued);
  if (packet > 0)
    g_assert_cmpuint (decision->duration, ==, packet);
  if (decision->step == MOSHI_PLAYOUT_TRIM)
    g_assert_cmpuint (decision->duration, <=, get_silence (self));
}

static void
stretch (Watch * self, const MoshiPlayoutDecision * decision, guint * taken,
    guint * made)
{
  const gint pace = decision->pace;
  guint change = MIN (PERIOD, self->queued / 2);

  change -= change % 12;
  if (self->kind == EVEN)
    *made = (guint) ((gint) * taken + (gint) * taken * pace / 1000);
  if (self->kind != VOICE || change < MOSHI_STRETCH_MIN_PERIOD
      || !moshi_stretch_may_change (&self->stretch, *taken, pace)
      || (pace < 0 && change > decision->spare))
    return;
  moshi_stretch_changed (&self->stretch, change);
  if (pace > 0) {
    *made = MAX (*made, 2 * change);
    *taken = *made - change;
  } else {
    *made = MIN (*made, (guint) self->queued - change);
    *taken = *made + change;
  }
}

/* What is beyond the cap is dropped, after the end of the word that is heard at
 * the latest. */
static void
check_queue (Watch * self, gint64 heard)
{
  gint64 overdue = self->now - self->position - self->offset - self->margin;
  gint64 rest = self->kind == WHOLE ? LONGEST : PERIOD;

  if ((gint64) self->queued > MAX_QUEUE + MAX (overdue, 0))
    self->beyond += heard;
  else
    self->beyond = 0;
  g_assert_cmpint (self->beyond, <, MAX_WORD + rest);
}

static void
obey (Watch * self, const MoshiPlayoutDecision * decision)
{
  guint taken = decision->duration, made = decision->duration;

  if (decision->step == MOSHI_PLAYOUT_PLAY)
    stretch (self, decision, &taken, &made);
  else if (decision->step == MOSHI_PLAYOUT_TRIM
      || decision->step == MOSHI_PLAYOUT_DROP)
    made = 0;
  else
    taken = 0;

  remove_audio (self, taken);
  self->position += made;
  self->made += made;
  if (decision->step == MOSHI_PLAYOUT_PLAY)
    self->played += taken;
  self->concealed = decision->step == MOSHI_PLAYOUT_CONCEAL ?
      self->concealed + made : 0;
  check_queue (self, decision->step == MOSHI_PLAYOUT_PLAY ? taken : made);
  moshi_playout_done (self->playout, decision->step, taken, made);
  moshi_playout_count (&self->counters, decision->step, taken, made);
}

/* What holds between any two steps */
static void
check_counts (Watch * self)
{
  const MoshiPlayoutCounters *counters = &self->counters;

  g_assert_cmpint (moshi_playout_get_position (self->playout), ==,
      self->position);
  g_assert_cmpuint (moshi_playout_get_queued (self->playout), ==, self->queued);
  g_assert_cmpuint (moshi_playout_get_described (self->playout), <=,
      self->queued);
  g_assert_cmpuint (self->arrived, ==, self->played + counters->trimmed
      + counters->dropped + self->forgotten + self->queued);
  g_assert_cmpuint (self->made, ==, self->played + counters->lengthened
      - counters->shortened + counters->filled + counters->concealed);
  g_assert_cmpint (self->concealed, <=, MAX_CONCEAL);
}

/* When it waits nothing is left that is due. */
static void
check_moment (Watch * self, gint64 until)
{
  gint64 due = self->position + self->offset + self->margin;

  g_assert_cmpint (until, >, self->now);
  g_assert_cmpint (until, ==, due);
}

static void
run (Watch * self)
{
  MoshiPlayoutDecision decision;
  guint i;

  for (i = 0; i < MAX_STEPS; i++) {
    const Packet *first = g_queue_peek_head (&self->packets);
    guint packet = first && self->kind == WHOLE ? first->duration : 0;
    guint64 horizon = moshi_playout_get_horizon (self->playout, packet,
        self->now);
    gint64 ahead;

    g_assert_cmpuint (horizon, <=, self->queued);
    describe (self, horizon);
    moshi_playout_decide (self->playout, packet, self->now, &decision);
    if (decision.step == MOSHI_PLAYOUT_WAIT) {
      check_moment (self, decision.until);
      return;
    }
    check_decision (self, &decision, packet);
    obey (self, &decision);
    check_counts (self);
    ahead = self->position + self->offset + self->margin - self->now;
    if (self->margin > 0 && decision.step != MOSHI_PLAYOUT_TRIM
        && decision.step != MOSHI_PLAYOUT_DROP)
      g_assert_cmpint (ahead, <=, MAX_AHEAD);
  }
  g_assert_not_reached ();
}

/* --- what happens ------------------------------------------------------------ */

static void
set_latency (Watch * self, FuzzInput * input)
{
  self->margin = fuzz_byte (input) * 48;
  self->offset = fuzz_byte (input) * 48;
  moshi_playout_set_margin (self->playout, self->margin);
  moshi_playout_set_offset (self->playout, self->offset);
}

static void
restart (Watch * self, FuzzInput * input)
{
  set_latency (self, input);
  self->position = self->now - self->offset - self->margin;
  moshi_playout_start (self->playout, self->position);
  self->concealed = 0;
}

static void
forget (Watch * self)
{
  moshi_playout_forget (self->playout);
  self->forgotten += self->queued;
  self->queued = 0;
  self->gone = self->told = 0;
  g_queue_clear_full (&self->packets, g_free);
}

static void
step (Watch * self, FuzzInput * input)
{
  guint8 what = fuzz_byte (input);

  if (what & 0x80)
    self->now += (gint64) fuzz_byte (input) << (what & 0x40 ? 7 : 5);
  switch (what & 0x20 ? what & 31 : 0) {
    case 27:
      self->now += OUTAGE;
      break;
    case 28:
      set_latency (self, input);
      break;
    case 29:
      moshi_playout_expect (self->playout, self->now);
      break;
    case 30:
      forget (self);
      break;
    case 31:
      restart (self, input);
      break;
    default:
      arrive (self, what & 31);
  }
  /* The owner may be late, but not for ever. */
  if ((what & 0x20) == 0 || (what & 1) != 0)
    run (self);
}

int
LLVMFuzzerTestOneInput (const guint8 * data, size_t size)
{
  FuzzInput input = { data, size };
  Watch watch = { 0 };
  guint8 kind = fuzz_byte (&input);
  guint most = kind >= 0xf0 ? G_MAXUINT : FEW, i;

  watch.playout = moshi_playout_new ();
  watch.kind = kind % N_KINDS;
  g_queue_init (&watch.packets);
  restart (&watch, &input);
  for (i = 0; i < most && input.size > 0 && watch.now < MAX_TIME; i++)
    step (&watch, &input);
  run (&watch);
  forget (&watch);
  check_counts (&watch);
  moshi_playout_free (watch.playout);
  return 0;
}
