/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "protocol/moshiplayout.h"

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
  GQueue queue;                 /* of durations */
  gint64 start;
  gint64 position;              /* where the output must stand */
  gint64 played;
  gint64 silent;
  gint64 dropped;
  gint64 until;                 /* of the last wait */
} Owner;

static void
owner_init (Owner * self, gint64 margin, gint64 offset, gint64 start)
{
  Owner fresh = { moshi_playout_new (), margin, offset, };

  *self = fresh;
  g_queue_init (&self->queue);
  self->start = self->position = start;
  moshi_playout_set_margin (self->playout, margin);
  moshi_playout_set_offset (self->playout, offset);
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
  moshi_playout_arrive (self->playout, duration, now);
}

static void
count_step (Owner * self, const MoshiPlayoutDecision * decision)
{
  guint next = GPOINTER_TO_UINT (g_queue_peek_head (&self->queue));

  if (decision->step != MOSHI_PLAYOUT_SILENCE) {
    g_assert_cmpuint (next, >, 0);
    g_assert_cmpuint (decision->duration, ==, next);
    g_queue_pop_head (&self->queue);
  }
  g_assert_cmpuint (decision->duration, >, 0);
  if (decision->step == MOSHI_PLAYOUT_DROP) {
    self->dropped += decision->duration;
    return;
  }
  /* Six ticks are a sample at 8 kHz: nothing between two samples. */
  g_assert_cmpuint (decision->duration % 6, ==, 0);
  self->position += decision->duration;
  if (decision->step == MOSHI_PLAYOUT_PLAY)
    self->played += decision->duration;
  else
    self->silent += decision->duration;
}

/* Does what is decided until told to wait; checks what must always hold. */
static void
run (Owner * self, gint64 now)
{
  MoshiPlayoutDecision decision;
  guint i;

  for (i = 0; i < MANY; i++) {
    guint next = GPOINTER_TO_UINT (g_queue_peek_head (&self->queue));

    moshi_playout_decide (self->playout, next, now, &decision);
    if (decision.step == MOSHI_PLAYOUT_WAIT)
      break;
    count_step (self, &decision);
    g_assert_cmpint (moshi_playout_get_position (self->playout), ==,
        self->position);
  }
  g_assert_cmpuint (i, <, MANY);
  g_assert_cmpint (decision.until, >, now);
  self->until = decision.until;

  /* What was promised to sinks: nothing stamped p leaves after p + latency. */
  g_assert_cmpint (self->position + self->offset + self->margin, >, now);
  g_assert_cmpint (self->position, ==, self->start + self->played
      + self->silent);
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
  g_assert_cmpint (owner.silent, ==, 0);
  g_assert_cmpint (owner.until, ==, MS (1080));
  for (now = MS (1000); now < MS (3000); now += MS (7))
    run (&owner, now);
  g_assert_cmpint (owner.silent, >, 0);
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
  g_assert_cmpint (owner.silent, >=, MS (9940));
  g_assert_cmpint (owner.silent, <=, MS (9960));
  owner_clear (&owner);
}

/* --- the margin ---------------------------------------------------------- */

/* The first packet of a spurt is stamped at its arrival, less the offset, to
 * the next 2.5 ms, and leaves a margin later. */
static void
test_first_packet (void)
{
  static const gint64 arrivals[] = { 1, 7, 100, 119, 120, 121, 959, 961, 48000,
    48001, 123457
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (arrivals); i++) {
    gint64 at = MS (500) + arrivals[i];
    Owner owner;

    owner_init (&owner, MS (60), MS (20), 0);
    run (&owner, at);
    arrive (&owner, MS (80), at);
    run (&owner, at);
    g_assert_cmpint (owner.played, ==, 0);
    g_assert_cmpint (owner.position, >=, at - MS (20));
    g_assert_cmpint (owner.position, <, at - MS (20) + 120);
    g_assert_cmpint (owner.until, ==, owner.position + MS (80));

    run (&owner, owner.until - 1);
    g_assert_cmpint (owner.played, ==, 0);
    run (&owner, owner.until);
    g_assert_cmpint (owner.played, ==, MS (80));
    owner_clear (&owner);
  }
}

/* From then on a packet may be late by the margin, and nobody hears a hole; by
 * more than that and the 2.5 ms of rounding, and there is one. */
static void
test_jitter (void)
{
  gint64 late;
  gint i;

  for (late = 0; late <= MS (100); late += MS (5)) {
    Owner owner;
    gint64 before;

    owner_init (&owner, MS (60), MS (13), 0);
    run (&owner, 12345);
    arrive (&owner, MS (80), 12345);
    run (&owner, 12345);
    before = owner.silent;
    for (i = 1; i < 50; i++) {
      gint64 at = 12345 + i * MS (80) + (i % 3 == 2 ? late : 0);

      while (owner.until < at)
        run (&owner, owner.until);
      arrive (&owner, MS (80), at);
      run (&owner, at);
    }
    if (late <= MS (60))
      g_assert_cmpint (owner.silent, ==, before);
    else if (late >= MS (65))
      g_assert_cmpint (owner.silent, >, before);
    g_assert_cmpint (owner.dropped, ==, 0);
    owner_clear (&owner);
  }
}

/* Packets leave in the order they came in, once each, whatever their size. */
static void
test_sizes (void)
{
  static const guint sizes[] = { 120, 240, 480, 960, 1920, 2880, 3840, 5760 };
  gint64 now = 0, given = 0;
  Owner owner;
  guint i;

  owner_init (&owner, MS (60), 0, 0);
  for (i = 0; i < 800; i++) {
    arrive (&owner, sizes[i % 8], now);
    given += sizes[i % 8];
    run (&owner, now);
    now += sizes[i % 8];
  }
  run (&owner, now + MS (200));
  g_assert_cmpint (owner.played, ==, given);
  g_assert_cmpint (owner.dropped, ==, 0);
  g_assert_cmpuint (moshi_playout_get_queued (owner.playout), ==, 0);
  owner_clear (&owner);
}

/* No margin: whatever comes leaves at once. */
static void
test_no_margin (void)
{
  Owner owner;
  gint i;

  owner_init (&owner, 0, MS (20), 0);
  for (i = 0; i < 20; i++) {
    gint64 now = MS (1000) + i * MS (80) + i % 2 * MS (30);

    run (&owner, now - 1);
    arrive (&owner, MS (80), now);
    run (&owner, now);
    g_assert_cmpint (owner.played, ==, (i + 1) * MS (80));
  }
  owner_clear (&owner);
}

/* After a hole the margin is there again. */
static void
test_rebuilt_margin (void)
{
  Owner owner;
  gint64 at = MS (3000);

  owner_init (&owner, MS (60), 0, 0);
  arrive (&owner, MS (80), 0);
  run (&owner, MS (2999));
  g_assert_cmpint (owner.played, ==, MS (80));
  arrive (&owner, MS (80), at);
  run (&owner, at);
  g_assert_cmpint (owner.played, ==, MS (80));
  g_assert_cmpint (owner.position, >=, at);
  run (&owner, at + MS (62.5));
  g_assert_cmpint (owner.played, ==, MS (160));
  owner_clear (&owner);
}

/* A smaller margin lets go sooner, at once; a larger one comes with a hole. */
static void
test_margin_changes (void)
{
  Owner owner;

  owner_init (&owner, MS (200), 0, 0);
  arrive (&owner, MS (80), 0);
  run (&owner, MS (100));
  g_assert_cmpint (owner.played, ==, 0);
  owner.margin = MS (100);
  moshi_playout_set_margin (owner.playout, owner.margin);
  run (&owner, MS (100));
  g_assert_cmpint (owner.played, ==, MS (80));
  owner.margin = MS (300);
  moshi_playout_set_margin (owner.playout, owner.margin);
  run (&owner, MS (110));
  g_assert_cmpint (owner.until, ==, MS (380));
  owner_clear (&owner);
}

/* --- bursts -------------------------------------------------------------- */

/* After a stall everything comes at once: a second of it is kept, what is more
 * is cut from the old end back to the margin. */
static void
test_burst (void)
{
  static const guint bursts[] = { 1, 5, 12, 13, 20, 100, 1000 };
  guint i, k;

  for (i = 0; i < G_N_ELEMENTS (bursts); i++) {
    gint64 now = MS (20000);
    Owner owner;

    owner_init (&owner, MS (60), 0, 0);
    run (&owner, now);
    for (k = 0; k < bursts[i]; k++)
      arrive (&owner, MS (80), now);
    run (&owner, now);
    if (bursts[i] <= 12) {
      g_assert_cmpint (owner.dropped, ==, 0);
    } else if (bursts[i] > 13) {
      g_assert_cmpint (owner.dropped, >=, MS (80) * bursts[i] - MS (180));
      g_assert_cmpint (owner.dropped, <, MS (80) * bursts[i]);
    }
    run (&owner, now + MS (100000));
    g_assert_cmpint (owner.played + owner.dropped, ==, MS (80) * bursts[i]);
    owner_clear (&owner);
  }
}

/* The owner drops all that waits: the next packet begins a spurt of its own. */
static void
test_forget (void)
{
  Owner owner;

  owner_init (&owner, MS (60), 0, 0);
  arrive (&owner, MS (80), 0);
  arrive (&owner, MS (80), 0);
  g_assert_cmpuint (moshi_playout_get_queued (owner.playout), ==, MS (160));
  g_queue_clear (&owner.queue);
  moshi_playout_forget (owner.playout);
  g_assert_cmpuint (moshi_playout_get_queued (owner.playout), ==, 0);

  run (&owner, MS (500));
  g_assert_cmpint (owner.played, ==, 0);
  arrive (&owner, MS (80), MS (500));
  run (&owner, MS (500));
  g_assert_cmpint (owner.played, ==, 0);
  run (&owner, MS (560));
  g_assert_cmpint (owner.played, ==, MS (80));
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
  owner.silent = owner.played = 0;
  arrive (&owner, MS (80), MS (5000));
  run (&owner, MS (5059));
  g_assert_cmpint (owner.position, ==, MS (5000));
  run (&owner, MS (5060));
  g_assert_cmpint (owner.played, ==, MS (80));
  owner_clear (&owner);
}

/* --- anything ------------------------------------------------------------ */

/* Whatever comes whenever: the promise to the sinks holds at each turn (run()
 * checks it), and each packet is played or dropped once. */
static void
test_random (void)
{
  static const guint sizes[] = { 120, 960, 1920, 3840 };
  guint round, i;

  for (round = 0; round < 50; round++) {
    gint64 now = g_test_rand_int_range (0, 100000), given = 0;
    Owner owner;

    owner_init (&owner, g_test_rand_int_range (0, MS (300)),
        g_test_rand_int_range (0, MS (300)), now);
    for (i = 0; i < 500; i++) {
      guint n = g_test_rand_int_range (0, 10) == 0 ? 30 : 1;

      while (n-- > 0) {
        guint size = sizes[g_test_rand_int_range (0, 4)];

        arrive (&owner, size, now);
        given += size;
      }
      run (&owner, now);
      now += g_test_rand_int_range (0, MS (200));
      run (&owner, now);
    }
    run (&owner, now + MS (1000000));
    g_assert_cmpint (owner.played + owner.dropped, ==, given);
    owner_clear (&owner);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/playout/silence", test_silence);
  g_test_add_func ("/playout/late-wakeup", test_late_wakeup);
  g_test_add_func ("/playout/first-packet", test_first_packet);
  g_test_add_func ("/playout/jitter", test_jitter);
  g_test_add_func ("/playout/sizes", test_sizes);
  g_test_add_func ("/playout/no-margin", test_no_margin);
  g_test_add_func ("/playout/rebuilt-margin", test_rebuilt_margin);
  g_test_add_func ("/playout/margin-changes", test_margin_changes);
  g_test_add_func ("/playout/burst", test_burst);
  g_test_add_func ("/playout/forget", test_forget);
  g_test_add_func ("/playout/start-again", test_start_again);
  g_test_add_func ("/playout/random", test_random);
  return g_test_run ();
}
