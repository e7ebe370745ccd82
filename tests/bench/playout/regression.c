/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the playout loses and how late it is, on fixed seeds: counted samples,
 * the same on every machine. */

#include "playoutbench.h"

/**
 * Bar:
 * @lost: ms of speech concealed or dropped at most, mean of the seeds
 * @share: and as a share of what a fixed buffer conceals and drops at the same
 *     mean delay; 0 where neither loses to speak of
 * @mean: ms at most
 */
typedef struct
{
  const gchar *name;
  BenchShape shape;
  BenchKind kind;
  gdouble lost;
  gdouble share;
  gdouble mean;
} Bar;

#define N_SEEDS 6
#define DRIFT 600000

static const Bar bars[] = {
  {"const150", {"const150"}, BENCH_EVEN, 0, 0, 155},
  {"exp5", {"exp5",.jitter = 5}, BENCH_EVEN, 14, 0.32, 184},
  {"exp20", {"exp20",.jitter = 20}, BENCH_EVEN, 72, 0.13, 242},
  {"exp50", {"exp50",.jitter = 50}, BENCH_EVEN, 345, 0.27, 378},
  {"spikes", {"spikes",.jitter = 10,.spike_chance = 0.02,.spike = 150},
      BENCH_EVEN, 190, 0.14, 297},
  {"stall", {"stall1s",.jitter = 5,.stall = 1000}, BENCH_EVEN, 950, 0.56,
      203},
  {"stall-nojitter", {"stall1s",.stall = 1000}, BENCH_EVEN, 950, 0.55, 177},
  {"stall-slow", {"stall1s",.jitter = 5,.stall = 1000,.catch_up = 60},
      BENCH_EVEN, 985, 0.16, 210},
  {"drift-fast", {"drift_p2pct",.drift = 0.02,.duration = DRIFT}, BENCH_EVEN,
      0, 0, 160},
  {"drift-slow", {"drift_m2pct",.drift = -0.02,.duration = DRIFT},
      BENCH_EVEN, 0, 0, 157},
  {"drift-fast-exp5", {"drift_p2pct",.jitter = 5,.drift = 0.02,
          .duration = DRIFT}, BENCH_EVEN, 10, 0, 205},
  {"drift-slow-exp5", {"drift_m2pct",.jitter = 5,.drift = -0.02,
          .duration = DRIFT}, BENCH_EVEN, 10, 0, 205},
  {"voice/exp20", {"exp20",.jitter = 20}, BENCH_VOICE, 130, 0.21, 241},
  {"voice/drift-slow", {"drift_m2pct",.drift = -0.02,.duration = DRIFT},
      BENCH_VOICE, 0, 0, 160},
  {"deep/drift-fast", {"drift_p2pct",.drift = 0.02,.duration = DRIFT},
      BENCH_DEEP, 0, 0, 160},
  {"deep/drift-slow", {"drift_m2pct",.drift = -0.02,.duration = DRIFT},
      BENCH_DEEP, 0, 0, 162},
  {"packets/const150", {"const150"}, BENCH_PACKETS, 0, 0, 153},
  {"packets/exp5", {"exp5",.jitter = 5}, BENCH_PACKETS, 30, 1, 189},
  {"packets/exp20", {"exp20",.jitter = 20}, BENCH_PACKETS, 250, 0.65, 250},
  {"packets/exp50", {"exp50",.jitter = 50}, BENCH_PACKETS, 820, 0.88, 395},
  {"packets/spikes", {"spikes",.jitter = 10,.spike_chance = 0.02,.spike = 150},
      BENCH_PACKETS, 740, 0.78, 315},
  {"packets/stall", {"stall1s",.jitter = 5,.stall = 1000}, BENCH_PACKETS, 960,
      0.6, 233},
  {"packets/stall-nojitter", {"stall1s",.stall = 1000},
      BENCH_PACKETS, 950, 0.57, 209},
  {"packets/stall-slow", {"stall1s",.jitter = 5,.stall = 1000,.catch_up = 60},
      BENCH_PACKETS, 1010, 0.16, 245},
  {"packets/drift-fast", {"drift_p2pct",.drift = 0.02,.duration = DRIFT},
      BENCH_PACKETS, 1, 0, 203},
  {"packets/drift-slow", {"drift_m2pct",.drift = -0.02,.duration = DRIFT},
      BENCH_PACKETS, 1100, 0, 256},
};

static void
hold_to_bar (const Bar * bar, const gchar * path, gboolean pauses)
{
  gdouble lost = 0, mean = 0, fixed = 0, web_lost = 0, web_mean = 0;
  gdouble settled = 0;
  BenchMask mask = { NULL, };
  BenchMetrics metrics;
  gint seed;

  g_assert_true (bench_mask_load (&mask, path, NULL));
  for (seed = 1; seed <= N_SEEDS; seed++) {
    g_autoptr (BenchTrace) trace = bench_trace_make (&bar->shape, seed);
    g_autoptr (GArray) lines = bench_play_adaptive (trace, &mask, bar->kind,
        NULL);
    g_autoptr (GArray) others = NULL;
    g_autoptr (GArray) web = NULL;

    bench_measure (trace, &mask, lines, &metrics);
    g_test_message ("seed %d: lost %.1f ms, mean %.1f ms", seed,
        metrics.concealed + metrics.dropped_speech, metrics.mean);
    g_assert_cmpfloat (metrics.first, <=, 5);
    g_assert_cmpfloat (metrics.dropped_speech, <=, 0);
    /* Drift alone is made up for by a twentieth at most, in any second. */
    if (bar->shape.drift != 0 && bar->shape.jitter <= 0)
      g_assert_cmpfloat (metrics.steepest, <=, 50);
    /* Ten seconds after a stall no more is left of it than there was no silence
     * for; where speech is stretched, nothing. */
    if (trace->stall_start >= 0 && bar->kind != BENCH_PACKETS)
      g_assert_cmpfloat (metrics.after, <=, metrics.before + 20);
    else if (trace->stall_start >= 0 && bar->shape.catch_up <= 0)
      g_assert_cmpfloat (metrics.after, <=, 20 + MAX (metrics.before,
              metrics.max - metrics.spare));
    lost += metrics.concealed / N_SEEDS;
    settled += metrics.settled / N_SEEDS;
    mean += metrics.mean / N_SEEDS;

    others = bench_play_fixed (trace, metrics.mean);
    bench_measure (trace, &mask, others, &metrics);
    fixed += (metrics.concealed + metrics.dropped_speech) / N_SEEDS;
    if (bar->shape.drift != 0)
      continue;
    web = bench_play_web (trace);
    bench_measure (trace, &mask, web, &metrics);
    web_lost += (metrics.concealed + metrics.dropped_speech) / N_SEEDS;
    web_mean += metrics.mean / N_SEEDS;
  }
  g_test_message ("%s: lost %.1f of %.1f ms, mean %.1f ms; web: %.1f, %.1f; "
      "settled: %.1f", bar->name, lost, fixed, mean, web_lost, web_mean,
      settled);
  g_assert_cmpfloat (lost, <=, bar->lost);
  g_assert_cmpfloat (mean, <=, bar->mean);
  if (bar->share > 0)
    g_assert_cmpfloat (lost, <=, bar->share * fixed);
  /* Clocks that differ open no holes; where nothing is stretched, if there are
   * pauses now and then. */
  if (bar->shape.drift != 0 && (pauses || bar->kind != BENCH_PACKETS))
    g_assert_cmpfloat (settled, <=, 1);
  /* In one of the two at least we are no worse than the web client, which loses
   * ten seconds to drift. */
  if (bar->shape.drift == 0)
    g_assert_true (lost <= web_lost || mean <= web_mean);
  bench_mask_clear (&mask);
}

static void
test_recorded (gconstpointer data)
{
  hold_to_bar (data, BENCH_MASK, TRUE);
}

static void
test_synthetic (gconstpointer data)
{
  hold_to_bar (data, BENCH_MASK_SYNTHETIC, FALSE);
}

static void
add_bar (const Bar * bar, const gchar * speech, GTestDataFunc test)
{
  g_autofree gchar *path = g_strdup_printf ("/playout/bars/%s/%s", speech,
      bar->name);

  g_test_add_data_func (path, bar, test);
}

/* The models of other clients do what is known of them. */
static void
test_peers (void)
{
  static const BenchShape shape = { "exp20",.jitter = 20 };
  g_autoptr (BenchTrace) trace = bench_trace_make (&shape, 1);
  g_autoptr (GArray) web = bench_play_web (trace);
  g_autoptr (GArray) python = bench_play_python (trace);
  g_autoptr (GArray) rust = bench_play_rust (trace);
  BenchMask mask = { NULL, };
  BenchMetrics metrics;

  g_assert_true (bench_mask_load (&mask, BENCH_MASK, NULL));
  bench_measure (trace, &mask, web, &metrics);
  g_assert_cmpfloat (metrics.dropped_speech, >, 300);
  bench_measure (trace, &mask, python, &metrics);
  g_assert_cmpfloat (metrics.dropped_speech, <=, 0);
  g_assert_cmpfloat (metrics.mean, >, 280);
  bench_measure (trace, &mask, rust, &metrics);
  g_assert_cmpfloat (metrics.dropped_speech, <=, 0);
  g_assert_cmpfloat (metrics.mean, >, 280);
  bench_mask_clear (&mask);
}

int
main (int argc, char **argv)
{
  guint i;

  g_test_init (&argc, &argv, NULL);
  for (i = 0; i < G_N_ELEMENTS (bars); i++) {
    add_bar (&bars[i], "recorded", test_recorded);
    add_bar (&bars[i], "synthetic", test_synthetic);
  }
  g_test_add_func ("/playout/bars/peers", test_peers);
  return g_test_run ();
}
