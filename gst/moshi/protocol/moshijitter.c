/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How audio arrives
 *
 * Count the samples that have come: sample s, there at time a, has the lag
 * a - s. Of a steady network the lag is one number; jitter adds to it, never
 * takes away. So the lowest lag of late is the earliest that audio can be had
 * (the base), and what a packet lags beyond it is its lateness.
 *
 * Audio is looked at in slots of 80 ms, a step of the model, each standing for
 * its latest packet: servers cut a step into packets as they like, and send
 * several at once, of which only the first says how late the step is.
 *
 * Drift. Two clocks that are not the same make the lag rise or fall for ever.
 * The lowest lags of blocks of two thirds of a second lie on a line; its slope
 * is the median of the slopes between any two of them (Theil and Sen), which a
 * few bad blocks do not bend. Lags are kept as they would be without it: the
 * level of a lag is what is left when the line is taken off. Before there are
 * blocks enough, a line through all slots is as good if hardly anything is left
 * above it: jitter is not that even, but drift alone is.
 *
 * The spread is the delay beyond the base that is worth having. Each ms of it
 * costs a ms all the time, and saves what the latest of the packets would tear
 * open. Of most networks the mean lateness says best what that is, for few
 * samples fix it well: about four times the mean, a bit more where it is little
 * and so cheap. Where there are outliers that it does not tell of, QUANTILE of
 * what was seen is near the truth. The two are joined by the greater. A base
 * that moves is known less well: with clocks that drift the spread is wider.
 *
 * How near a hole is, is told by two things. One is the audio in hand, beside the
 * calm part of the spread, which is for jitter alone. The other is the risk: of
 * all packets seen that were at least as late as the next one is already, how
 * many were so late that the audio in hand would not have lasted. With even
 * jitter that is little until the end; where few packets are very late, it is
 * known at once which of them the next one is.
 *
 * A stall is no jitter: what is more than STALL late, and all that queues up
 * behind it, says nothing of the packets to come, and is left out. What stays
 * so late for good is a new path, and all is learned anew.
 */

#include "moshijitter.h"

#include <stdlib.h>
#include <string.h>

#define MS(ms) ((gint64) ((ms) * 48))

#define SLOT MS (80)
#define N_SLOTS 384             /* 30 s */
#define N_RECENT 125            /* 10 s, in which the base is found */
#define SLOTS_PER_BLOCK 8
#define N_BLOCKS 24
#define MIN_BLOCKS 4            /* fewer say nothing of drift */
#define MAX_SLOPE 0.03

/* Of the lateness so much may be left by a line through the first slots, or less
 * than is worth it. */
#define EARLY_SHARE 0.2
#define EARLY_LEAST MS (0.5)
#define MIN_POINTS 3
#define MAX_POINTS N_BLOCKS

/* Lateness that is none to speak of, on the average */
#define EVEN MS (1)

/* Later than this beyond the base is a stall, and when that lasts for so long the
 * path is another one. */
#define STALL MS (400)
#define MAX_STALLED MS (4000)

/* The spread. Without jitter what is heard may be late by 5 ms: nearly that. */
#define MIN_SPREAD MS (4)
#define SMALL_FACTOR 8.0
#define FACTOR 3.5
#define SURPLUS MS (15)
#define QUANTILE 0.99
#define QUANTILE_SHARE 0.85

/* Clocks that differ by so much widen it: by a share, and no further than this */
#define DRIFT_FROM 0.003
#define DRIFT_FULL 0.01
#define DRIFT_SPREAD MS (20)
#define DRIFT_SHARE 0.6

/* What is later than due by no more than this is in time. */
#define IN_TIME MS (2)

/* Packets later than any seen are yet to come: so many of them, and among them
 * so many more that come too late. */
#define UNSEEN 1.0
#define UNSEEN_MISSES 0.2

typedef struct
{
  gint64 time;
  gint64 lag;
} Point;

struct _MoshiJitter
{
  gint64 count;                 /* samples that have come */

  gint64 slot_lag;              /* of the slot under way, or the last */
  gint64 slot_length;

  Point slots[N_SLOTS];         /* a ring */
  guint n_slots;
  guint next_slot;
  gint64 levels[N_SLOTS];       /* of the slots, the lowest first */
  gint64 sum;                   /* of the levels */
  gboolean stalled;
  gint64 stalled_since;

  Point block;                  /* the lowest of the block under way */
  guint block_length;           /* slots */
  Point blocks[N_BLOCKS];       /* a ring */
  guint n_blocks;
  guint next_block;

  /* What follows from them */
  gdouble slope;                /* of lag over time */
  gdouble first_slope;          /* what it was before the first slot */
  gint64 base;                  /* a level */
  gint64 spread;
  gint64 surplus;               /* the part of the spread that is for drift */
};

/**
 * moshi_jitter_new:
 *
 * Returns: (transfer full): one that knows nothing. Not thread-safe
 */
MoshiJitter *
moshi_jitter_new (void)
{
  MoshiJitter *self = g_new0 (MoshiJitter, 1);

  self->spread = MIN_SPREAD;
  return self;
}

/**
 * moshi_jitter_free:
 * @self: (transfer full) (nullable)
 */
void
moshi_jitter_free (MoshiJitter * self)
{
  g_free (self);
}

/**
 * moshi_jitter_reset:
 * @self: what is known
 *
 * Forgets when packets came. What followed from it stands until more is known.
 */
void
moshi_jitter_reset (MoshiJitter * self)
{
  const MoshiJitter old = *self;

  memset (self, 0, sizeof (MoshiJitter));
  self->count = old.count;
  self->slope = self->first_slope = old.slope;
  self->base = old.base;
  self->spread = old.spread;
  self->surplus = old.surplus;
}

static gint64
get_level (MoshiJitter * self, const Point * point)
{
  return point->lag - (gint64) (self->slope * (gdouble) point->time);
}

static int
compare_slopes (gconstpointer a, gconstpointer b)
{
  gdouble x = *(const gdouble *) a, y = *(const gdouble *) b;

  return (x > y) - (x < y);
}

static int
compare_levels (gconstpointer a, gconstpointer b)
{
  gint64 x = *(const gint64 *) a, y = *(const gint64 *) b;

  return (x > y) - (x < y);
}

/* --- levels, in order ------------------------------------------------------ */

/* How many levels are lower */
static guint
find_level (MoshiJitter * self, gint64 level)
{
  guint low = 0, high = self->n_slots;

  while (low < high) {
    guint middle = (low + high) / 2;

    if (self->levels[middle] < level)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* The ring is full: its oldest slot goes. */
static void
remove_oldest (MoshiJitter * self)
{
  gint64 level = get_level (self, &self->slots[self->next_slot]);
  guint i = find_level (self, level);

  self->n_slots--;
  self->sum -= self->levels[i];
  memmove (self->levels + i, self->levels + i + 1,
      (self->n_slots - i) * sizeof (gint64));
}

static void
insert_slot (MoshiJitter * self, const Point * point)
{
  gint64 level = get_level (self, point);
  guint i;

  if (self->n_slots == N_SLOTS)
    remove_oldest (self);
  i = find_level (self, level);
  memmove (self->levels + i + 1, self->levels + i,
      (self->n_slots - i) * sizeof (gint64));
  self->levels[i] = level;
  self->sum += level;
  self->slots[self->next_slot] = *point;
  self->next_slot = (self->next_slot + 1) % N_SLOTS;
  self->n_slots++;
}

/* The slot that came `back` slots ago; 0 is the last */
static const Point *
get_slot (MoshiJitter * self, guint back)
{
  return &self->slots[(self->next_slot + 2 * N_SLOTS - 1 - back) % N_SLOTS];
}

/* With another slope all levels are others. */
static void
set_slope (MoshiJitter * self, gdouble slope)
{
  guint i;

  self->slope = slope;
  self->sum = 0;
  for (i = 0; i < self->n_slots; i++) {
    self->levels[i] = get_level (self, get_slot (self, i));
    self->sum += self->levels[i];
  }
  qsort (self->levels, self->n_slots, sizeof (gint64), compare_levels);
}

/* --- drift ------------------------------------------------------------------ */

/* The median of the slopes between any two of `points`, 0 if they are at one time */
static gdouble
get_median_slope (const Point * points, guint n_points)
{
  gdouble slopes[MAX_POINTS * (MAX_POINTS - 1) / 2];
  guint n = 0, i, k;

  for (i = 0; i < n_points; i++) {
    for (k = 0; k < i; k++) {
      gint64 time = points[i].time - points[k].time;

      if (time != 0)
        slopes[n++] = (gdouble) (points[i].lag - points[k].lag)
            / (gdouble) time;
    }
  }
  if (n == 0)
    return 0;
  qsort (slopes, n, sizeof (gdouble), compare_slopes);
  return slopes[n / 2];
}

static void
find_slope (MoshiJitter * self)
{
  gdouble slope;

  if (self->n_blocks < MIN_BLOCKS)
    return;
  slope = get_median_slope (self->blocks, self->n_blocks);
  set_slope (self, CLAMP (slope, -MAX_SLOPE, MAX_SLOPE));
}

/* By how much the slots are later than the lowest of them, on the average */
static gdouble
get_lateness (MoshiJitter * self)
{
  return ((gdouble) self->sum - (gdouble) self->n_slots
      * (gdouble) self->levels[0]) / self->n_slots;
}

/* Of the first slots, while there are no blocks; beside the slope that was there
 * before */
static void
find_early_slope (MoshiJitter * self)
{
  gdouble lateness, slope;

  if (self->n_slots < MIN_POINTS || self->n_blocks >= MIN_BLOCKS
      || self->n_slots > MAX_POINTS)
    return;
  set_slope (self, self->first_slope);
  lateness = get_lateness (self);
  slope = get_median_slope (self->slots, self->n_slots);
  if (lateness < EARLY_LEAST || ABS (slope) > MAX_SLOPE)
    return;
  set_slope (self, slope);
  if (get_lateness (self) > MAX (EARLY_SHARE * lateness, EARLY_LEAST))
    set_slope (self, self->first_slope);
}

static void
add_to_block (MoshiJitter * self, const Point * point)
{
  if (self->block_length == 0
      || get_level (self, point) < get_level (self, &self->block))
    self->block = *point;
  if (++self->block_length < SLOTS_PER_BLOCK)
    return;
  self->blocks[self->next_block] = self->block;
  self->next_block = (self->next_block + 1) % N_BLOCKS;
  self->n_blocks = MIN (self->n_blocks + 1, N_BLOCKS);
  self->block_length = 0;
  find_slope (self);
}

/* --- what follows ----------------------------------------------------------- */

static void
find_base (MoshiJitter * self)
{
  guint n = MIN (self->n_slots, N_RECENT), i;

  self->base = get_level (self, get_slot (self, 0));
  for (i = 1; i < n; i++)
    self->base = MIN (self->base, get_level (self, get_slot (self, i)));
}

/* Lateness that all but so many of `n` slots have; between two of them */
static gdouble
get_quantile (MoshiJitter * self, guint n, gdouble share)
{
  gdouble rank = share * n;
  guint i = MIN ((guint) rank, n - 1);
  gdouble level = (gdouble) self->levels[i];

  if (i + 1 < n)
    level += (rank - i) * (gdouble) (self->levels[i + 1] - self->levels[i]);
  return level - (gdouble) self->base;
}

/* Of n latenesses the least is 0 by definition, whose share the others have;
 * and of few the mean is more likely too low than too high. */
static gdouble
get_mean (MoshiJitter * self, guint n)
{
  gdouble sum = (gdouble) self->sum;
  guint i;

  for (i = n; i < self->n_slots; i++)
    sum -= (gdouble) self->levels[i];
  sum -= (gdouble) n *(gdouble) self->base;
  return MAX (sum, 0) / MAX (n - 1.0, 1) * (1 + 1.0 / n);
}

/* Since the base has fallen, what was first may have been a stall. */
static void
find_spread (MoshiJitter * self)
{
  guint n = find_level (self, self->base + STALL + 1);
  gdouble mean = get_mean (self, n), drift = ABS (self->slope);
  gdouble spread = MIN (SMALL_FACTOR * mean, SURPLUS + FACTOR * mean);

  spread = MAX (spread, QUANTILE_SHARE * get_quantile (self, n, QUANTILE));
  spread = CLAMP (spread, MIN_SPREAD, STALL);
  self->surplus = drift < DRIFT_FROM ? 0 :
      (gint64) (MIN (DRIFT_SHARE * spread, DRIFT_SPREAD)
      * MIN (drift / DRIFT_FULL, 1));
  self->spread = (gint64) spread + self->surplus;
}

/* Whether a slot belongs to a stall, by how late it is */
static gboolean
is_stalled (MoshiJitter * self, const Point * point)
{
  gint64 late = get_level (self, point) - self->base;

  if (late > STALL && !self->stalled) {
    self->stalled = TRUE;
    self->stalled_since = point->time;
  } else if (late <= self->spread) {
    self->stalled = FALSE;
  }
  return self->stalled;
}

static void
add_slot (MoshiJitter * self, const Point * point)
{
  if (self->n_slots > 0 && is_stalled (self, point)) {
    if (point->time - self->stalled_since < MAX_STALLED)
      return;
    moshi_jitter_reset (self);
  }
  insert_slot (self, point);
  find_early_slope (self);
  add_to_block (self, point);
  find_base (self);
  find_spread (self);
}

/**
 * moshi_jitter_arrive:
 * @self: what is known
 * @duration: of a packet
 * @now: when it came
 */
void
moshi_jitter_arrive (MoshiJitter * self, guint duration, gint64 now)
{
  Point point = { now, now - self->count };

  if (self->slot_length == 0 || point.lag > self->slot_lag)
    self->slot_lag = point.lag;
  point.lag = self->slot_lag;
  self->count += duration;
  self->slot_length += duration;

  /* The first says at once where the base is. */
  if (self->n_slots == 0)
    self->base = get_level (self, &point);
  if (self->slot_length < SLOT)
    return;
  add_slot (self, &point);
  self->slot_length = 0;
}

/**
 * moshi_jitter_get_base:
 * @self: what is known
 * @now: the time
 *
 * Returns: the lowest lag of late: sample s can be had at s plus this
 */
gint64
moshi_jitter_get_base (MoshiJitter * self, gint64 now)
{
  return self->base + (gint64) (self->slope * (gdouble) now);
}

/**
 * moshi_jitter_get_spread:
 * @self: what is known
 *
 * Returns: the delay beyond the base that recent jitter asks for
 */
gint64
moshi_jitter_get_spread (MoshiJitter * self)
{
  return self->spread;
}

/**
 * moshi_jitter_get_stall:
 * @self: what is known
 * @now: the time
 *
 * Returns: how much later than the base the last slot came, while what a stall
 *     has held back comes in; else 0
 */
gint64
moshi_jitter_get_stall (MoshiJitter * self, gint64 now)
{
  return self->stalled ?
      MAX (self->slot_lag - moshi_jitter_get_base (self, now), 0) : 0;
}

/**
 * moshi_jitter_get_calm:
 * @self: what is known
 * @hand: how much audio is in hand
 *
 * Returns: how much of the spread that is, what is for drift left out
 */
gdouble
moshi_jitter_get_calm (MoshiJitter * self, gint64 hand)
{
  return (gdouble) (hand + IN_TIME + self->surplus)
      / (gdouble) (self->spread - self->surplus);
}

/**
 * moshi_jitter_get_risk:
 * @self: what is known
 * @delay: with which the next packet would be played, beyond the base
 * @hand: how much audio is in hand, by now
 *
 * Returns: how likely it is that the next packet is not there when it has to be
 *     played; 0 while what a stall has held back comes in
 */
gdouble
moshi_jitter_get_risk (MoshiJitter * self, gint64 delay, gint64 hand)
{
  gint64 late = delay - hand;
  guint seen = self->n_slots, missed;

  if (self->stalled)
    return 0;
  if (late >= IN_TIME)
    seen -= find_level (self, self->base + late + 1);
  missed = self->n_slots - find_level (self, self->base + delay + 1);
  return (missed + UNSEEN_MISSES) / (seen + UNSEEN);
}

/**
 * moshi_jitter_get_loss:
 * @self: what is known
 * @duration: how long speech may go on
 *
 * Returns: how much delay the clocks' drift takes away meanwhile, at least 0
 */
gint64
moshi_jitter_get_loss (MoshiJitter * self, gint64 duration)
{
  return self->surplus > 0 ?
      (gint64) MAX (self->slope * (gdouble) duration, 0) : 0;
}

/**
 * moshi_jitter_is_even:
 * @self: what is known
 *
 * Returns: whether there is no jitter to speak of, whatever the clocks do
 */
gboolean
moshi_jitter_is_even (MoshiJitter * self)
{
  return self->n_slots > 0 && get_lateness (self) < EVEN;
}

/**
 * moshi_jitter_is_new:
 * @self: what is known
 *
 * Returns: whether that is little yet: of less than two seconds
 */
gboolean
moshi_jitter_is_new (MoshiJitter * self)
{
  return self->n_slots < 25;
}
