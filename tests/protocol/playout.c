/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "protocol/moshiplayout.h"

#include <string.h>

#define MS(n) ((gint64) ((n) * 48))

/* The longest a run of decisions may be before it has to wait */
#define MANY 100000

/*
 * An owner as the essay in moshiplayout.c has it: its queue, its output, and
 * the promise it is held to.
 */
typedef struct
{
  MoshiPlayout *playout;
  gint64 margin;
  gint64 offset;
  gboolean whole;               /* packets are not divided */
  gboolean described;           /* what comes is, as loud or not */
  gboolean loud;
  GQueue queue;                 /* of durations, if whole */
  gint64 start;
  gint64 position;              /* where the output must stand */
  gint64 given;
  gint64 taken;
  gint64 played;                /* of what was taken */
  gint64 made;                  /* heard of that */
  MoshiPlayoutCounters counters;
  gint64 until;                 /* of the last wait */
  gint64 first;                 /* when audio was first played, or -1 */
  guint steps;                  /* done, of any kind */
  gint pace;                    /* the most of it, either way */
} Owner;

static void
owner_init (Owner * self, gint64 margin, gint64 offset, gint64 start)
{
  Owner fresh = { moshi_playout_new (), margin, offset, };

  *self = fresh;
  g_queue_init (&self->queue);
  self->start = self->position = start;
  self->first = -1;
  self->loud = TRUE;
  moshi_playout_set_margin (self->playout, (guint) margin);
  moshi_playout_set_offset (self->playout, (guint) offset);
  moshi_playout_start (self->playout, start);
}

static void
owner_clear (Owner * self)
{
  g_queue_clear (&self->queue);
  moshi_playout_free (self->playout);
}

static void
arrive (Owner * self, guint duration, gint64 now)
{
  g_queue_push_tail (&self->queue, GUINT_TO_POINTER (duration));
  self->given += duration;
  moshi_playout_arrive (self->playout, duration, now);
  if (self->described)
    moshi_playout_describe (self->playout, duration, self->loud);
}

static guint
get_packet (Owner * self)
{
  return self->whole ? GPOINTER_TO_UINT (g_queue_peek_head (&self->queue)) : 0;
}

static gboolean
takes (MoshiPlayoutStep step)
{
  return step == MOSHI_PLAYOUT_PLAY || step == MOSHI_PLAYOUT_TRIM
      || step == MOSHI_PLAYOUT_DROP;
}

/* Does one step, and checks that it can be done. */
static void
obey (Owner * self, const MoshiPlayoutDecision * decision, gint64 now)
{
  gint64 taken = takes (decision->step) ? decision->duration : 0;
  gint64 made = decision->step == MOSHI_PLAYOUT_TRIM
      || decision->step == MOSHI_PLAYOUT_DROP ? 0 : decision->duration;

  g_assert_cmpuint (decision->duration, >, 0);
  g_assert_cmpint (taken, <=, self->given - self->taken);
  /* Twelve ticks are two samples at 8 kHz: nothing between two samples. */
  if (!self->whole)
    g_assert_cmpint (decision->duration % 6, ==, 0);
  if (self->whole && taken > 0) {
    g_assert_cmpuint (decision->duration, ==, get_packet (self));
    g_queue_pop_head (&self->queue);
  }
  g_assert_cmpint (ABS (decision->pace), <=, MOSHI_PLAYOUT_UTMOST);
  if (decision->step == MOSHI_PLAYOUT_PLAY) {
    if (!self->whole)
      made += made * decision->pace / 1000;
    self->first = self->first < 0 ? now : self->first;
    self->played += taken;
    self->made += made;
  }
  self->steps++;
  self->pace = MAX (self->pace, ABS (decision->pace));
  self->taken += taken;
  self->position += made;
  moshi_playout_done (self->playout, decision->step, (guint) taken,
      (guint) made);
  moshi_playout_count (&self->counters, decision->step, (guint) taken,
      (guint) made);
  g_assert_cmpint (moshi_playout_get_position (self->playout), ==,
      self->position);
  g_assert_cmpint ((gint64) moshi_playout_get_queued (self->playout), ==,
      self->given - self->taken);
}

/* Does what is decided until told to wait; checks what must always hold. */
static void
run (Owner * self, gint64 now)
{
  MoshiPlayoutDecision decision;
  guint i;

  for (i = 0; i < MANY; i++) {
    moshi_playout_decide (self->playout, get_packet (self), now, &decision);
    if (decision.step == MOSHI_PLAYOUT_WAIT)
      break;
    obey (self, &decision, now);
  }
  g_assert_cmpuint (i, <, MANY);
  g_assert_cmpint (decision.until, >, now);
  self->until = decision.until;

  /* What was promised to sinks: nothing stamped p leaves after p + latency. */
  g_assert_cmpint (self->position + self->offset + self->margin, >, now);
  /* The output is contiguous: each sample of it was played or made. */
  g_assert_cmpint (self->position - self->start, ==, self->made
      + (gint64) (self->counters.filled + self->counters.concealed));
  /* And of what came each was played, or is counted. */
  g_assert_cmpint (self->taken, ==, self->played
      + (gint64) (self->counters.trimmed + self->counters.dropped));
}

/* Up to `now`, as a task does that is woken when it asked to be */
static void
run_until (Owner * self, gint64 now)
{
  run (self, MIN (now, self->until));
  while (self->until < now)
    run (self, self->until);
  run (self, now);
}

/* Packets of 80 ms on time, `n` of them. Returns: when the next is due */
static gint64
talk (Owner * self, gint64 at, guint n)
{
  for (; n > 0; n--, at += MS (80)) {
    run_until (self, at);
    arrive (self, MS (80), at);
    run (self, at);
  }
  return at;
}

/* --- silence ------------------------------------------------------------- */

/* With nothing to play the output goes on, no faster than the time. */
static void
test_silence (void)
{
  Owner owner;
  gint64 now;

  owner_init (&owner, MS (60), MS (20), MS (1000));
  run (&owner, MS (1000));
  g_assert_cmpuint (owner.counters.filled, ==, 0);
  g_assert_cmpint (owner.until, ==, MS (1080));
  for (now = MS (1000); now < MS (3000); now += MS (7))
    run (&owner, now);
  g_assert_cmpuint (owner.counters.filled, >, 0);
  g_assert_cmpint (owner.position, <=, now - MS (80) + MS (20));
  owner_clear (&owner);
}

/* A task that slept too long catches up at once. */
static void
test_late_wakeup (void)
{
  Owner owner;

  owner_init (&owner, MS (60), 0, 0);
  run (&owner, MS (10000));
  g_assert_cmpuint (owner.counters.filled, >=, MS (9940));
  g_assert_cmpuint (owner.counters.filled, <=, MS (9960));
  owner_clear (&owner);
}

/* --- delay --------------------------------------------------------------- */

/* Without jitter: the first packet is heard within 5 ms, whatever the margin, and
 * all after it without a hole, as they are. */
static void
test_no_jitter (void)
{
  static const gint64 margins[] = { MS (5), MS (60), MS (500) };
  guint i;
  gint64 shift;

  for (i = 0; i < G_N_ELEMENTS (margins); i++) {
    for (shift = 0; shift < MS (21); shift += 101) {
      gint64 at = MS (700) + shift;
      guint64 filled;
      Owner owner;

      owner_init (&owner, margins[i], MS (20), 0);
      run (&owner, 0);
      talk (&owner, at, 2);
      run_until (&owner, at + MS (100));
      filled = owner.counters.filled;
      g_assert_cmpint (owner.first, >=, at);
      g_assert_cmpint (owner.first, <=, at + MS (5));
      talk (&owner, at + MS (160), 500);
      g_assert_cmpuint (owner.counters.filled, ==, filled);
      g_assert_cmpuint (owner.counters.concealed, ==, 0);
      g_assert_cmpuint (owner.counters.lengthened, ==, 0);
      g_assert_cmpuint (owner.counters.shortened, ==, 0);
      owner_clear (&owner);
    }
  }
}

/* What a network in order costs: a step a packet, for packets that come a
 * little before and a little after they are due, speech and silence alike. */
static void
test_steps (gconstpointer loud)
{
  const guint n = 1000, settled = 100;
  gint64 shift;
  guint i;

  for (shift = 0; shift < MS (20); shift += 97) {
    guint64 filled = 0, trimmed = 0;
    guint steps = 0;
    Owner owner;

    owner_init (&owner, MS (60), MS (20), 0);
    owner.described = TRUE;
    owner.loud = loud != NULL;
    run (&owner, 0);
    for (i = 0; i < n; i++) {
      gint64 at = MS (700) + shift + i * MS (20) + (i * 7 % 5) * MS (0.1);

      run_until (&owner, at);
      arrive (&owner, MS (20), at);
      run (&owner, at);
      if (i == settled) {
        steps = owner.steps;
        filled = owner.counters.filled;
        trimmed = owner.counters.trimmed;
      }
    }
    g_assert_cmpuint (owner.steps - steps, <=, n - settled + 2);
    g_assert_cmpuint (owner.counters.filled, ==, filled);
    g_assert_cmpuint (owner.counters.trimmed, ==, trimmed);
    g_assert_cmpuint (owner.counters.concealed, ==, 0);
    owner_clear (&owner);
  }
}

/* Once known, jitter opens no holes, though it opened some before. */
static void
test_jitter_learned (void)
{
  gint64 late;
  guint i;

  for (late = MS (10); late <= MS (100); late += MS (10)) {
    guint64 before = 0;
    Owner owner;

    owner_init (&owner, MS (60), MS (13), 0);
    run (&owner, 0);
    for (i = 0; i < 1000; i++) {
      gint64 at = MS (500) + i * MS (80) + (i % 5 == 2 ? late : 0);

      run_until (&owner, at);
      arrive (&owner, MS (80), at);
      run (&owner, at);
      if (i == 50)
        before = owner.counters.concealed;
    }
    g_assert_cmpuint (before, >, 0);
    g_assert_cmpuint (owner.counters.concealed, ==, before);
    g_assert_cmpuint (owner.counters.dropped, ==, 0);
    owner_clear (&owner);
  }
}

/* Clocks that differ are made up for gently from the first second on, and nothing
 * breaks off for them. */
static void
test_drift (void)
{
  static const gdouble drifts[] = { 0.001, 0.005, 0.01, 0.02 };
  guint i, k;

  for (i = 0; i < 2 * G_N_ELEMENTS (drifts); i++) {
    gdouble period = i % 2 ? 1 + drifts[i / 2] : 1 / (1 + drifts[i / 2]);
    Owner owner;

    owner_init (&owner, MS (60), MS (20), 0);
    run (&owner, 0);
    for (k = 0; k < 1000; k++) {
      gint64 at = MS (500) + (gint64) (k * MS (80) * period)
          + k * 7 % 5 * MS (0.1);

      run_until (&owner, at);
      arrive (&owner, MS (80), at);
      run (&owner, at);
    }
    g_assert_cmpuint (owner.counters.concealed, ==, 0);
    g_assert_cmpint (owner.pace, <=, MOSHI_PLAYOUT_GENTLE);
    g_assert_cmpuint (moshi_playout_get_queued (owner.playout), <=, MS (110));
    owner_clear (&owner);
  }
}

/* Speech that breaks off is carried on for a while, then there is silence; what
 * was late is played, and the delay is longer at once. */
static void
test_underrun (void)
{
  Owner owner;
  gint64 at;

  owner_init (&owner, MS (60), 0, 0);
  run (&owner, 0);
  at = talk (&owner, MS (500), 20);
  run_until (&owner, at + MS (50));
  g_assert_cmpuint (owner.counters.concealed, >=, MS (40));
  g_assert_cmpuint (owner.counters.concealed, <=, MS (52));
  run_until (&owner, at + MS (1000));
  g_assert_cmpuint (owner.counters.concealed, <=, MS (130));
  arrive (&owner, MS (80), at + MS (1000));
  run_until (&owner, at + MS (1100));
  g_assert_cmpint (owner.played, ==, owner.given);
  owner_clear (&owner);
}

/* No margin: whatever comes leaves at once, and is stamped as it is heard. */
static void
test_no_margin (void)
{
  Owner owner;
  gint i;

  owner_init (&owner, 0, MS (20), 0);
  for (i = 0; i < 20; i++) {
    gint64 now = MS (1000) + i * MS (80);

    run_until (&owner, now);
    arrive (&owner, MS (80), now);
    run (&owner, now);
    g_assert_cmpint (owner.played, ==, (i + 1) * MS (80));
    g_assert_cmpint (owner.position, <=, now + MS (80 + 5));
  }
  owner_clear (&owner);
}

/* The margin moves the stamps, and not what is heard when. */
static void
test_margin_changes (void)
{
  Owner owner;
  gint64 at;

  owner_init (&owner, MS (200), 0, 0);
  run (&owner, 0);
  at = talk (&owner, MS (500), 20);
  owner.margin = MS (100);
  moshi_playout_set_margin (owner.playout, MS (100));
  run (&owner, at - MS (80));
  g_assert_cmpint (owner.position + MS (100), >, at - MS (80));
  owner.margin = MS (300);
  moshi_playout_set_margin (owner.playout, MS (300));
  run (&owner, at - MS (80));
  g_assert_cmpint (owner.until, ==, owner.position + MS (300));
  owner_clear (&owner);
}

/* --- pauses ---------------------------------------------------------------- */

/* After a stall the backlog goes in silences, to the sample, and no word does. */
static void
test_backlog (void)
{
  Owner owner;
  guint64 given = 0;
  gint64 at;
  guint i;

  owner_init (&owner, MS (60), 0, 0);
  owner.described = TRUE;
  run (&owner, 0);
  at = talk (&owner, MS (500), 50);
  run_until (&owner, at + MS (1000));
  for (i = 0; i < 13; i++)
    arrive (&owner, MS (80), at + MS (1000));
  at += MS (1040);
  for (i = 0; i < 125; i++) {
    owner.loud = i % 10 < 8;
    at = talk (&owner, at, 1);
    given += owner.loud ? 0 : MS (80);
  }
  run_until (&owner, at + MS (5));
  g_assert_cmpuint (owner.counters.dropped, ==, 0);
  g_assert_cmpuint (owner.counters.trimmed, >, MS (300));
  g_assert_cmpuint (owner.counters.trimmed, <, given);
  g_assert_cmpuint (moshi_playout_get_queued (owner.playout), <, MS (30));
  owner_clear (&owner);
}

/* While what a stall has held back is late still, its silences are not left out
 * only to be made again, for want of what comes after them. */
static void
test_late_catch_up (gconstpointer whole)
{
  Owner owner;
  guint64 made;
  gint64 at;
  guint i;

  owner_init (&owner, MS (60), 0, 0);
  owner.described = TRUE;
  owner.whole = whole != NULL;
  run (&owner, 0);
  at = talk (&owner, MS (500), 50) + MS (1000);
  run_until (&owner, at);
  made = owner.counters.concealed + owner.counters.filled;
  for (i = 0; i < 50; i++, at += MS (60)) {
    owner.loud = i < 2 || i > 12;
    run_until (&owner, at);
    arrive (&owner, MS (80), at);
    run (&owner, at);
  }
  g_assert_cmpuint (owner.counters.trimmed, >, 0);
  g_assert_cmpuint (owner.counters.concealed + owner.counters.filled, <=,
      made + MS (5));
  owner_clear (&owner);
}

/* What is beyond the cap goes from one pause to another. */
static void
test_cap (gconstpointer whole)
{
  Owner owner;
  gint64 at;
  guint i;

  owner_init (&owner, MS (60), 0, 0);
  owner.described = TRUE;
  owner.whole = whole != NULL;
  run (&owner, 0);
  at = talk (&owner, MS (500), 20) + MS (6000);
  run_until (&owner, at);
  for (i = 0; i < 75; i++) {
    owner.loud = i % 10 != 9;
    arrive (&owner, MS (80), at);
  }
  run_until (&owner, at + MS (2000));
  /* 6 s less 2, and what there is of the word, of nine packets, after that */
  g_assert_cmpuint (owner.counters.dropped, >=, MS (3900));
  g_assert_cmpuint (owner.counters.dropped, <=, MS (4100 + 9 * 80));
  g_assert_cmpuint (moshi_playout_get_queued (owner.playout), <=, MS (2100));
  owner_clear (&owner);
}

/* So it does when it comes while a word is heard, which is played to its end. */
static void
test_cap_in_word (gconstpointer whole)
{
  Owner owner;
  gint64 at;
  guint i;

  owner_init (&owner, MS (60), 0, 0);
  owner.described = TRUE;
  owner.whole = whole != NULL;
  run (&owner, 0);
  at = talk (&owner, MS (500), 20);
  for (i = 0; i < 75; i++) {
    owner.loud = i % 10 < 7;
    arrive (&owner, MS (80), at);
  }
  run_until (&owner, at + MS (1000));
  g_assert_cmpuint (owner.counters.dropped, >=, MS (2900));
  g_assert_cmpuint (moshi_playout_get_queued (owner.playout), <=, MS (2480));
  owner_clear (&owner);
}

/* A pause that is played with what stands around it, in one packet, ends the word
 * that is heard as any other does: none after it is waited for. */
static void
test_cap_in_packets (void)
{
  Owner owner;
  gint64 at;
  guint i;

  owner_init (&owner, MS (60), 0, 0);
  owner.whole = TRUE;
  run (&owner, 0);
  at = talk (&owner, MS (500), 20);
  for (i = 0; i < 75; i++) {
    arrive (&owner, MS (80), at);
    moshi_playout_describe (owner.playout, MS (30), TRUE);
    moshi_playout_describe (owner.playout, MS (20), FALSE);
    moshi_playout_describe (owner.playout, MS (30), TRUE);
  }
  run_until (&owner, at + MS (1000));
  /* 6 s less 2, and less what a stall may be taken for at first: jitter */
  g_assert_cmpuint (owner.counters.dropped, >=, MS (3500));
  g_assert_cmpuint (moshi_playout_get_queued (owner.playout), <=, MS (2480));
  owner_clear (&owner);
}

/* Of a burst with no pause in it as much as the cap is kept. */
static void
test_burst (void)
{
  static const guint bursts[] = { 1, 5, 20, 30, 100, 1000 };
  guint i, k;

  for (i = 0; i < G_N_ELEMENTS (bursts); i++) {
    gint64 now = MS (20000);
    Owner owner;

    owner_init (&owner, MS (60), 0, 0);
    run (&owner, now);
    for (k = 0; k < bursts[i]; k++)
      arrive (&owner, MS (80), now);
    run_until (&owner, now + MS (30));
    if (bursts[i] <= 20)
      g_assert_cmpuint (owner.counters.dropped, ==, 0);
    /* 2 s, and what a stall may be taken for at first: jitter */
    g_assert_cmpuint (moshi_playout_get_queued (owner.playout), <=, MS (2480));
    g_assert_cmpuint (owner.counters.dropped, <=,
        MAX (MS (80) * bursts[i] - MS (1900), 0));
    run_until (&owner, now + MS (10000));
    g_assert_cmpint (owner.taken, ==, MS (80) * bursts[i]);
    owner_clear (&owner);
  }
}

/* --- packets ---------------------------------------------------------------- */

/* Packets leave in the order they came in, once each, whatever their size. */
static void
test_sizes (void)
{
  static const guint sizes[] = { 120, 240, 480, 960, 1920, 2880, 3840, 5760 };
  gint64 now = 0;
  Owner owner;
  guint i;

  owner_init (&owner, MS (60), 0, 0);
  owner.whole = TRUE;
  run (&owner, 0);
  for (i = 0; i < 800; i++) {
    run_until (&owner, now);
    arrive (&owner, sizes[i % 8], now);
    run (&owner, now);
    now += sizes[i % 8];
  }
  run_until (&owner, now + MS (200));
  g_assert_cmpint (owner.played, ==, owner.given);
  g_assert_cmpint (owner.made, ==, owner.given);
  g_assert_cmpuint (owner.counters.dropped, ==, 0);
  owner_clear (&owner);
}

/* Whole packets of silence are left out after a stall, and none of speech. */
static void
test_packet_backlog (void)
{
  Owner owner;
  gint64 at;
  guint i;

  owner_init (&owner, MS (60), 0, 0);
  owner.whole = owner.described = TRUE;
  run (&owner, 0);
  at = talk (&owner, MS (500), 50) + MS (800);
  run_until (&owner, at);
  for (i = 0; i < 10; i++)
    arrive (&owner, MS (80), at);
  for (i = 0; i < 100; i++) {
    owner.loud = i % 10 < 8;
    at = talk (&owner, at, 1);
  }
  run_until (&owner, at);
  g_assert_cmpuint (owner.counters.dropped, ==, 0);
  g_assert_cmpuint (owner.counters.trimmed, >=, MS (640));
  g_assert_cmpuint (owner.counters.trimmed % MS (80), ==, 0);
  owner_clear (&owner);
}

/* With jitter there is less delay while silence lasts; when a word begins, as much
 * as before, and it does not break off. */
static void
test_packet_silence (void)
{
  static const gint64 lates[] = { 0, MS (15), MS (60), 0, MS (30) };
  gint64 before = 0, within = 0;
  guint64 concealed = 0;
  Owner owner;
  guint i, k;

  owner_init (&owner, MS (60), 0, 0);
  owner.whole = owner.described = TRUE;
  run (&owner, 0);
  for (i = 0; i < 500; i++) {
    gint64 at = MS (500) + i * MS (80) + lates[i % 5];

    /* a pause first for the delay to be right in */
    owner.loud = (i < 180 || i >= 200) && (i < 400 || i >= 430);
    run_until (&owner, at);
    for (k = 0; k < 4; k++)
      arrive (&owner, MS (20), at);
    run (&owner, at);
    if (i == 399) {
      before = owner.position - owner.taken;
      concealed = owner.counters.concealed;
    }
    if (i == 429)
      within = owner.position - owner.taken;
  }
  g_assert_cmpint (within, <=, before - MS (40));
  g_assert_cmpint (owner.position - owner.taken, >=, before - MS (3));
  g_assert_cmpuint (owner.counters.concealed, ==, concealed);
  g_assert_cmpuint (owner.counters.dropped, ==, 0);
  owner_clear (&owner);
}

/* --- starting again ---------------------------------------------------------- */

/* The owner drops all that waits: what comes next is played as ever. */
static void
test_forget (void)
{
  Owner owner;
  gint64 at;

  owner_init (&owner, MS (60), 0, 0);
  run (&owner, 0);
  at = talk (&owner, MS (500), 20);
  owner.taken = owner.played = owner.given;
  moshi_playout_forget (owner.playout);
  g_assert_cmpuint (moshi_playout_get_queued (owner.playout), ==, 0);
  talk (&owner, at, 20);
  run_until (&owner, at + MS (20 * 80 + 20));
  g_assert_cmpuint (moshi_playout_get_queued (owner.playout), ==, 0);
  owner_clear (&owner);
}

/* A new contiguous output: from its first sample on, whatever is queued. */
static void
test_start_again (void)
{
  Owner owner;

  owner_init (&owner, MS (60), 0, 0);
  run (&owner, MS (1000));
  moshi_playout_start (owner.playout, MS (5000));
  owner.start = owner.position = MS (5000);
  owner.made = owner.played = 0;
  memset (&owner.counters, 0, sizeof (owner.counters));
  arrive (&owner, MS (80), MS (5000));
  run (&owner, MS (5059));
  g_assert_cmpint (owner.position, ==, MS (5000));
  run_until (&owner, MS (5066));
  g_assert_cmpint (owner.played, >, 0);
  owner_clear (&owner);
}

/* --- anything ------------------------------------------------------------ */

/* Whatever comes whenever: at each turn the promise to the sinks holds, the
 * output is contiguous and all that came is played or counted (run() checks
 * it), and what waits is bounded. */
static void
test_random (gconstpointer whole)
{
  static const guint sizes[] = { 120, 960, 1920, 3840 };
  guint round, i;

  for (round = 0; round < 50; round++) {
    gint64 now = g_test_rand_int_range (0, 100000);
    Owner owner;

    owner_init (&owner, g_test_rand_int_range (0, (gint) MS (300)),
        g_test_rand_int_range (0, (gint) MS (300)), now);
    owner.whole = GPOINTER_TO_INT (whole);
    for (i = 0; i < 500; i++) {
      guint n = g_test_rand_int_range (0, 10) == 0 ? 30 : 1;

      while (n-- > 0) {
        owner.described = g_test_rand_int_range (0, 20) > 0;
        owner.loud = g_test_rand_int_range (0, 3) > 0;
        arrive (&owner, sizes[g_test_rand_int_range (0, 4)], now);
      }
      run (&owner, now);
      g_assert_cmpuint (moshi_playout_get_queued (owner.playout), <,
          MS (60 * 1000));
      now += g_test_rand_int_range (0, (gint) MS (200));
      run (&owner, now);
    }
    run (&owner, now + MS (1000000));
    g_assert_cmpint (owner.taken, ==, owner.given);
    owner_clear (&owner);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/playout/silence", test_silence);
  g_test_add_func ("/playout/late-wakeup", test_late_wakeup);
  g_test_add_func ("/playout/no-jitter", test_no_jitter);
  g_test_add_data_func ("/playout/steps/speech", GINT_TO_POINTER (TRUE),
      test_steps);
  g_test_add_data_func ("/playout/steps/silence", NULL, test_steps);
  g_test_add_func ("/playout/jitter-learned", test_jitter_learned);
  g_test_add_func ("/playout/drift", test_drift);
  g_test_add_func ("/playout/underrun", test_underrun);
  g_test_add_func ("/playout/no-margin", test_no_margin);
  g_test_add_func ("/playout/margin-changes", test_margin_changes);
  g_test_add_func ("/playout/backlog", test_backlog);
  g_test_add_data_func ("/playout/late-catch-up/audio", NULL,
      test_late_catch_up);
  g_test_add_data_func ("/playout/late-catch-up/packets",
      GINT_TO_POINTER (TRUE), test_late_catch_up);
  g_test_add_data_func ("/playout/cap/audio", NULL, test_cap);
  g_test_add_data_func ("/playout/cap/packets", GINT_TO_POINTER (TRUE),
      test_cap);
  g_test_add_data_func ("/playout/cap/word/audio", NULL, test_cap_in_word);
  g_test_add_data_func ("/playout/cap/word/packets", GINT_TO_POINTER (TRUE),
      test_cap_in_word);
  g_test_add_func ("/playout/cap/in-packets", test_cap_in_packets);
  g_test_add_func ("/playout/burst", test_burst);
  g_test_add_func ("/playout/sizes", test_sizes);
  g_test_add_func ("/playout/packet-backlog", test_packet_backlog);
  g_test_add_func ("/playout/packet-silence", test_packet_silence);
  g_test_add_func ("/playout/forget", test_forget);
  g_test_add_func ("/playout/start-again", test_start_again);
  g_test_add_data_func ("/playout/random/audio", GINT_TO_POINTER (FALSE),
      test_random);
  g_test_add_data_func ("/playout/random/packets", GINT_TO_POINTER (TRUE),
      test_random);
  return g_test_run ();
}
