/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is measured of what a player plays. */

#include "playoutbench.h"

#include <math.h>
#include <string.h>

/* By then the network is known, and there was a pause in speech. */
#define SETTLED_MS 10000

/**
 * bench_is_speech:
 * @trace: whose recording
 * @mask: where speech is
 * @source: ms of what the server sent
 */
gboolean
bench_is_speech (const BenchTrace * trace, const BenchMask * mask,
    gdouble source)
{
  gint64 bit = (gint64) floor ((source + trace->mask_offset) / 10.0);

  return mask->bits[(gsize) bit % mask->length] == '1';
}

typedef struct
{
  gdouble delay;
  gdouble weight;
  gdouble time;
} Sample;

static gdouble
get_sent (const BenchTrace * trace, gdouble source)
{
  gdouble frame = trace->frame * 1000.0 / trace->rate;
  guint i = MIN ((guint) floor (source / frame + 1e-9),
      trace->messages->len - 1);

  return g_array_index (trace->messages, BenchMessage, i).sent
      + source - i * frame;
}

static int
compare_delays (gconstpointer a, gconstpointer b)
{
  gdouble x = ((const Sample *) a)->delay, y = ((const Sample *) b)->delay;

  return (x > y) - (x < y);
}

static gdouble
get_mean (const GArray * samples, gdouble from, gdouble to)
{
  gdouble sum = 0, weight = 0;
  guint i;

  for (i = 0; i < samples->len; i++) {
    const Sample *sample = &g_array_index (samples, Sample, i);

    if (sample->time >= from && sample->time < to) {
      sum += sample->delay * sample->weight;
      weight += sample->weight;
    }
  }
  return weight > 0 ? sum / weight : NAN;
}

/* The delay that a share of what was played has at most; `samples` are sorted. */
static gdouble
get_quantile (const GArray * samples, gdouble share)
{
  gdouble weight = 0;
  guint i;

  for (i = 0; i < samples->len; i++)
    weight += g_array_index (samples, Sample, i).weight;
  weight *= share;
  for (i = 0; i + 1 < samples->len; i++) {
    weight -= g_array_index (samples, Sample, i).weight;
    if (weight < 0)
      break;
  }
  return g_array_index (samples, Sample, i).delay;
}

static void
measure_delays (const BenchTrace * trace, GArray * samples,
    BenchMetrics * metrics)
{
  gdouble end = trace->stall_start + trace->stall_length;

  metrics->mean = get_mean (samples, 0, G_MAXDOUBLE);
  if (trace->stall_start >= 0) {
    metrics->before =
        get_mean (samples, trace->stall_start - 2000, trace->stall_start);
    metrics->after = get_mean (samples, end + 9500, end + 10500);
  }
  if (samples->len == 0)
    return;
  g_array_sort (samples, compare_delays);
  metrics->p50 = get_quantile (samples, 0.5);
  metrics->p95 = get_quantile (samples, 0.95);
  metrics->max = g_array_index (samples, Sample, samples->len - 1).delay;
}

static void
measure_dropped (const BenchTrace * trace, const BenchMask * mask,
    const guint8 * played, gsize n, BenchMetrics * metrics)
{
  gsize i;

  for (i = 0; i < n; i++) {
    if (played[i])
      continue;
    metrics->dropped++;
    if (bench_is_speech (trace, mask, (gdouble) i))
      metrics->dropped_speech++;
  }
}

/* What a player that leaves out frames of 20 ms can gain in the ten seconds after
 * a stall: those between what is heard at its end and what is to be heard then. */
static void
measure_spare (const BenchTrace * trace, const BenchMask * mask,
    BenchMetrics * metrics)
{
  gdouble end = trace->stall_start + trace->stall_length;
  gdouble source = end - metrics->max;

  for (source -= fmod (source, 20); source < end + 9500 - metrics->before;
      source += 20) {
    if (!bench_is_speech (trace, mask, source)
        && !bench_is_speech (trace, mask, source + 10))
      metrics->spare += 20;
  }
}

/* By how much a line is shorter or longer than what it is of */
static gdouble
get_change (const BenchLine * line)
{
  return line->source < 0 ? 0 : fabs (line->duration * (line->speed - 1));
}

/* The most that is changed in a second that ends with a line */
static void
measure_steepest (const GArray * lines, BenchMetrics * metrics)
{
  gdouble sum = 0;
  guint first = 0, i;

  for (i = 0; i < lines->len; i++) {
    const BenchLine *line = &g_array_index (lines, BenchLine, i);
    const gdouble begin = line->time + line->duration - 1000;
    const BenchLine *old = &g_array_index (lines, BenchLine, first);

    sum += get_change (line);
    for (; old->time + old->duration <= begin; old++, first++)
      sum -= get_change (old);
    metrics->steepest = MAX (metrics->steepest,
        sum - get_change (old) * MAX (begin - old->time, 0) / old->duration);
  }
}

/* A hole has ended where `line` begins. */
static void
measure_hole (const BenchTrace * trace, const BenchMask * mask,
    gdouble hole, gdouble last, const BenchLine * line, BenchMetrics * metrics)
{
  metrics->silent += hole;
  if (!bench_is_speech (trace, mask, last)
      && !bench_is_speech (trace, mask, line->source))
    return;
  metrics->concealed += hole;
  if (line->time - hole > SETTLED_MS)
    metrics->settled += hole;
  metrics->holes++;
}

static void
measure_line (const BenchTrace * trace, const BenchLine * line,
    guint8 * played, GArray * samples, BenchMetrics * metrics)
{
  Sample sample = { line->time - get_sent (trace, line->source),
    line->duration, line->time
  };
  gdouble end = line->source + line->duration * line->speed, x;

  if (fabs (line->speed - 1) > 1e-6)
    metrics->stretched += fabs (line->duration * (line->speed - 1));
  for (x = floor (line->source); x < end - 1e-6; x++)
    played[(gsize) x] = 1;
  g_array_append_val (samples, sample);
}

/**
 * bench_measure:
 * @trace: what arrived
 * @mask: where speech is in it
 * @lines: what was played
 * @metrics: (out caller-allocates): what that was like
 *
 * A hole is inside speech if there is speech on either side of it. What is
 * played is counted by milliseconds of the source.
 */
void
bench_measure (const BenchTrace * trace, const BenchMask * mask,
    const GArray * lines, BenchMetrics * metrics)
{
  gsize n = (gsize) (trace->messages->len * trace->frame * 1000.0
      / trace->rate) + 2;
  g_autofree guint8 *played = g_new0 (guint8, n);
  g_autoptr (GArray) samples = g_array_new (FALSE, FALSE, sizeof (Sample));
  gdouble hole = 0, last = -1;
  guint i;

  memset (metrics, 0, sizeof (BenchMetrics));
  for (i = 0; i < lines->len; i++) {
    const BenchLine *line = &g_array_index (lines, BenchLine, i);

    if (line->time > trace->duration)
      break;
    if (line->source < 0) {
      hole += last < 0 ? 0 : line->duration;
      continue;
    }
    if (last < 0)
      metrics->first = line->time - g_array_index (trace->messages,
          BenchMessage, 0).arrival;
    if (hole > 0)
      measure_hole (trace, mask, hole, last, line, metrics);
    measure_line (trace, line, played, samples, metrics);
    hole = 0;
    last = line->source + line->duration * line->speed;
  }
  measure_dropped (trace, mask, played, MIN ((gsize) MAX (last, 0), n),
      metrics);
  measure_delays (trace, samples, metrics);
  measure_steepest (lines, metrics);
  if (trace->stall_start >= 0)
    measure_spare (trace, mask, metrics);
}
