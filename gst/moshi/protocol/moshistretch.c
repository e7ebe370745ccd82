/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Speech made longer or shorter, its pitch kept
 *
 * A voice repeats itself, period by period. Where two periods that are alike
 * become one, cross-faded over all its length, or one becomes two in the same
 * way, speech is shorter or longer by a period, and nothing else is heard of it
 * (time-domain overlap and add, as in Moulines and Laroche, Non-parametric
 * techniques for pitch-scale and time-scale modification of speech, 1995). The
 * period is the lag at which the audio resembles itself most. Noise has none,
 * and any lag will do; what falls silent is alike at all of them. Where nothing
 * is alike, at a plosive say, nothing is done, and the next piece is tried.
 *
 * A period is longer than what a change of pace makes of a piece of audio. So
 * the first is changed at once, on credit, and the next when that is paid.
 * Where much is wanted at once, one is too short for it: then of lags that are
 * nearly alike the longest is taken, several periods of a high voice.
 */

#include "moshistretch.h"

#include <math.h>

/* Compared are 5 ms; what is below -60 dBFS is alike in any case. */
#define WINDOWS_PER_SECOND 200
#define NOISE 1e-6

/* Thousandths that pay for what was changed, when nothing is to be */
#define DEBT_PACE 50

/* Lags are looked at in steps of 0.25 ms: whole samples at any rate of Opus. */
#define STEPS_PER_SECOND 4000

/**
 * moshi_stretch_may_change:
 * @self: what was changed
 * @duration: how much is played next, in samples at 48 kHz
 * @pace: by how many thousandths longer, or shorter if negative
 *
 * Returns: whether a period may be added, or taken away, now
 */
gboolean
moshi_stretch_may_change (MoshiStretch * self, guint duration, gint pace)
{
  /* What was not used the other way round, or before a rest, is gone. */
  if (pace == 0 || (pace > 0) != (self->pace > 0))
    self->credit = MIN (self->credit, 0);
  /* A debt is paid by playing at whatever pace, the gentle one at least. */
  self->credit += (gint64) duration *MAX (ABS (pace), DEBT_PACE);
  self->credit = MIN (self->credit,
      pace == 0 ? 0 : MOSHI_STRETCH_MAX_PERIOD * 1000);
  self->pace = pace;
  return pace != 0 && self->credit > 0;
}

/**
 * moshi_stretch_changed:
 * @self: what was changed
 * @change: by how much, in samples at 48 kHz
 */
void
moshi_stretch_changed (MoshiStretch * self, guint change)
{
  self->credit = MIN (self->credit, 0) - (gint64) change *1000;
}

/* How alike samples are to those `lag` later, at most 1 */
static gdouble
compare (const gfloat * samples, gsize lag, gsize window)
{
  const gfloat noise = (gfloat) NOISE * (gfloat) window;
  gfloat both = noise, first = noise, second = noise;
  gsize i;

  for (i = 0; i < window; i++) {
    both += samples[i] * samples[i + lag];
    first += samples[i] * samples[i];
    second += samples[i + lag] * samples[i + lag];
  }
  return both / sqrt (first * second);
}

/**
 * moshi_stretch_find_period:
 * @samples: (array length=n): of one channel, full scale being 1
 * @n: how many
 * @rate: of them, a rate of Opus
 * @most: the longest period wanted, in samples
 * @likeness: how alike two periods have to be, at most 1
 * @tolerance: by how much less alike than others they may be to be the longest
 *
 * Returns: a period of the audio that @samples begin with, whole at any rate of
 *     Opus, or 0 if there is none; twice it are there
 */
gsize
moshi_stretch_find_period (const gfloat * samples, gsize n, guint rate,
    gsize most, gdouble likeness, gdouble tolerance)
{
  const gsize window = rate / WINDOWS_PER_SECOND;
  const gsize step = rate / STEPS_PER_SECOND;
  const gsize least = (gsize) MOSHI_STRETCH_MIN_PERIOD * rate / 48000;
  gdouble values[MOSHI_STRETCH_MAX_PERIOD / (48000 / STEPS_PER_SECOND)];
  gdouble best = -1;
  guint n_values = 0, i;

  most = MIN (most, (gsize) MOSHI_STRETCH_MAX_PERIOD * rate / 48000);
  most = MIN (most, n / 2);
  for (i = 0; least + i * step <= most && least + i * step + window <= n; i++) {
    values[n_values++] = compare (samples, least + i * step, window);
    best = MAX (best, values[i]);
  }
  for (i = n_values; i > 0; i--) {
    if (values[i - 1] > likeness && values[i - 1] >= best - tolerance)
      return least + (i - 1) * step;
  }
  return 0;
}
