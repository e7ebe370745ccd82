/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The bench of the playout: how late and how broken speech is heard, on traces
 * of arrivals, by us, by models of other clients, and from a buffer of fixed
 * delay, its delay being our mean. Traces are made here, by seed, or read.
 */

#include "playoutbench.h"

#include <math.h>
#include <stdlib.h>

static gchar *mask_path;
static gchar *log_dir;
static gchar *only;
static gboolean packets;
static gboolean voice;
static gboolean deep;
static gboolean sums;
static gint n_seeds = 5;
static gint first_seed = 1;

static const GOptionEntry entries[] = {
  {"mask", 'm', 0, G_OPTION_ARG_FILENAME, &mask_path,
      "Where speech is, in bits of 10 ms", "FILE"},
  {"log", 'l', 0, G_OPTION_ARG_FILENAME, &log_dir,
      "Write what is played there, a file a trace and player", "DIR"},
  {"packets", 'p', 0, G_OPTION_ARG_NONE, &packets,
      "Play whole packets, as for Opus output", NULL},
  {"voice", 'v', 0, G_OPTION_ARG_NONE, &voice,
      "Stretch by periods of a voice", NULL},
  {"deep", 'd', 0, G_OPTION_ARG_NONE, &deep,
      "Stretch by periods of a deep voice", NULL},
  {"sums", 's', 0, G_OPTION_ARG_NONE, &sums,
      "Show means of the seeds alone", NULL},
  {"only", 'o', 0, G_OPTION_ARG_STRING, &only,
      "Only traces whose name begins so", "NAME"},
  {"seeds", 'n', 0, G_OPTION_ARG_INT, &n_seeds,
      "Seeds of each trace made here (5)", "N"},
  {"first", 'f', 0, G_OPTION_ARG_INT, &first_seed,
      "The first of them (1)", "SEED"},
  {NULL}
};

static const BenchShape shapes[] = {
  {"const150"},
  {"exp5",.jitter = 5},
  {"exp20",.jitter = 20},
  {"exp50",.jitter = 50},
  {"spikes",.jitter = 10,.spike_chance = 0.02,.spike = 150},
  {"stall1s",.jitter = 5,.stall = 1000},
  {"stall1s_slowcatchup",.jitter = 5,.stall = 1000,.catch_up = 60},
  {"stall1s_nojitter",.stall = 1000},
  {"drift_p2pct",.jitter = 5,.drift = 0.02,.duration = 600000},
  {"drift_m2pct",.jitter = 5,.drift = -0.02,.duration = 600000},
  {"drift_p2pct_nojitter",.drift = 0.02,.duration = 600000},
  {"drift_m2pct_nojitter",.drift = -0.02,.duration = 600000},
};

enum
{ OURS, FIXED, WEB, PYTHON, RUST, N_PLAYERS };

static const gchar *const names[N_PLAYERS] = {
  "ours", "fixed", "web", "python", "rust"
};

static void
print_line (const gchar * name, gint seed, const gchar * who, gboolean stalls,
    const BenchMetrics * metrics)
{
  g_print ("%-20s %3d %-6s %7.1f %6.1f %7.1f %7.1f %7.1f %7.1f %7.1f %7.1f",
      name, seed, who, metrics->concealed, (gdouble) metrics->holes,
      metrics->dropped_speech, metrics->stretched, metrics->steepest,
      metrics->mean, metrics->p50, metrics->p95);
  if (stalls)
    g_print ("  stall: %.1f -> %.1f at most -> %.1f; %.0f of silence",
        metrics->before, metrics->max, metrics->after, metrics->spare);
  g_print ("\n");
}

static void
write_log (const BenchTrace * trace, const gchar * who, const GArray * lines)
{
  g_autofree gchar *name =
      g_strdup_printf ("%s.s%d.%s.jsonl", trace->name, trace->seed, who);
  g_autofree gchar *path = g_build_filename (log_dir, name, NULL);
  g_autoptr (GString) text = g_string_new (NULL);
  g_autoptr (GError) error = NULL;
  guint i;

  for (i = 0; i < lines->len; i++) {
    const BenchLine *line = &g_array_index (lines, BenchLine, i);

    g_string_append_printf (text, "{\"t_ms\":%.4f,\"dur_ms\":%.4f,"
        "\"src_ms\":%.4f,\"speed\":%.6f}\n", line->time, line->duration,
        line->source, line->speed);
  }
  if (!g_file_set_contents (path, text->str, (gssize) text->len, &error))
    g_printerr ("%s\n", error->message);
}

static BenchKind
get_kind (void)
{
  if (packets)
    return BENCH_PACKETS;
  if (deep)
    return BENCH_DEEP;
  return voice ? BENCH_VOICE : BENCH_EVEN;
}

static GArray *
play (gint who, const BenchTrace * trace, const BenchMask * mask, gdouble mean)
{
  switch (who) {
    case FIXED:
      return bench_play_fixed (trace, mean);
    case WEB:
      return bench_play_web (trace);
    case PYTHON:
      return bench_play_python (trace);
    case RUST:
      return bench_play_rust (trace);
    default:
      return bench_play_adaptive (trace, mask, get_kind (), NULL);
  }
}

static void
add (BenchMetrics * sum, const BenchMetrics * metrics)
{
  sum->concealed += metrics->concealed;
  sum->holes += metrics->holes;
  sum->dropped_speech += metrics->dropped_speech;
  sum->stretched += metrics->stretched;
  sum->steepest = MAX (sum->steepest, metrics->steepest);
  sum->mean += metrics->mean;
  sum->p50 += metrics->p50;
  sum->p95 += metrics->p95;
  sum->before += metrics->before;
  sum->after += metrics->after;
}

static void
replay (const BenchTrace * trace, const BenchMask * mask, BenchMetrics * all)
{
  BenchMetrics metrics[N_PLAYERS];
  gint i;

  for (i = 0; i < N_PLAYERS; i++) {
    g_autoptr (GArray) lines = play (i, trace, mask, metrics[OURS].mean);

    bench_measure (trace, mask, lines, &metrics[i]);
    add (&all[i], &metrics[i]);
    if (!sums)
      print_line (trace->name, trace->seed, names[i], trace->stall_start >= 0,
          &metrics[i]);
    if (log_dir)
      write_log (trace, names[i], lines);
  }
}

/* What all seeds together lose, as a share of what the fixed buffer does: by
 * what is missing, and by that and what it drops for it */
static void
print_sum (const gchar * name, gdouble n, gboolean stalls,
    const BenchMetrics * all)
{
  gdouble lost = all[OURS].concealed + all[OURS].dropped_speech;
  gint i;

  for (i = 0; i < N_PLAYERS && sums; i++) {
    g_print ("%-20s     %-6s %7.1f %6.1f %7.1f %7.1f %7.1f %7.1f %7.1f %7.1f",
        name, names[i], all[i].concealed / n, all[i].holes / n,
        all[i].dropped_speech / n, all[i].stretched / n, all[i].steepest,
        all[i].mean / n, all[i].p50 / n, all[i].p95 / n);
    if (stalls)
      g_print ("  stall: %.1f -> %.1f", all[i].before / n, all[i].after / n);
    g_print ("\n");
  }
  if (all[FIXED].concealed > 0)
    g_print
        ("%-20s lost of what is missing from the fixed buffer: %.2f; and of "
        "what it drops, too: %.2f\n", name, lost / all[FIXED].concealed,
        lost / (all[FIXED].concealed + all[FIXED].dropped_speech));
}

static void
replay_made (const BenchMask * mask)
{
  guint i;
  gint k;

  for (i = 0; i < G_N_ELEMENTS (shapes); i++) {
    BenchMetrics all[N_PLAYERS] = { {0}
    };

    if (only && !g_str_has_prefix (shapes[i].name, only))
      continue;
    for (k = first_seed; k < first_seed + n_seeds; k++) {
      g_autoptr (BenchTrace) trace = bench_trace_make (&shapes[i], k);

      replay (trace, mask, all);
    }
    print_sum (shapes[i].name, n_seeds, shapes[i].stall > 0, all);
  }
}

static void
replay_files (gchar ** paths, const BenchMask * mask)
{
  guint i;

  for (i = 0; paths[i]; i++) {
    BenchMetrics all[N_PLAYERS] = { {0}
    };
    g_autoptr (GError) error = NULL;
    g_autoptr (BenchTrace) trace = bench_trace_load (paths[i], &error);

    if (trace == NULL) {
      g_printerr ("%s: %s\n", paths[i], error->message);
      exit (1);
    }
    replay (trace, mask, all);
    print_sum (trace->name, 1, trace->stall_start >= 0, all);
  }
}

int
main (int argc, char **argv)
{
  g_autoptr (GOptionContext) context = g_option_context_new ("[TRACE...]");
  g_autoptr (GError) error = NULL;
  BenchMask mask = { NULL, };

  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error)
      || !bench_mask_load (&mask, mask_path ? mask_path : BENCH_MASK, &error)) {
    g_printerr ("%s\n", error ? error->message : "The mask is empty.");
    return 1;
  }
  g_print ("%-20s %3s %-6s %7s %6s %7s %7s %7s %7s %7s %7s\n", "trace", "",
      "", "conceal", "holes", "dropped", "stretch", "in 1 s", "mean", "p50",
      "p95");
  if (argc > 1)
    replay_files (argv + 1, &mask);
  else
    replay_made (&mask);
  bench_mask_clear (&mask);
  return 0;
}
