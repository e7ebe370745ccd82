/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What N conversations in one process cost, beside the floor, the codec alone
 * and GStreamer's own Opus elements, all in one run. See docs/performance.md.
 *
 *   bench-sessions [--seconds=S] [--complexity=C] [--tls=CERTS] SPEECH N...
 *
 * Each figure is of a process of its own, which prints it; an echo server in
 * another process answers.
 */
#include "sessions.h"

#include <stdio.h>
#include <stdlib.h>

#define WARM_UP (2 * G_USEC_PER_SEC)

static const struct
{
  const gchar *name;
  const SessionsKind *kind;
  gboolean opus;
  gboolean bare;
} kinds[] = {
  {"moshi", &sessions_elements, FALSE},
  {"moshi-opus", &sessions_elements, TRUE},
  {"pipeline", &sessions_elements, FALSE, TRUE},
  {"floor", &sessions_floor, FALSE},
  {"stock", &sessions_stock, FALSE},
  {"codec", &sessions_codec, FALSE},
};

static gint seconds = 10;
static gint complexity = 5;
static gint bitrate = 64000;
static gchar *certs;
static gboolean system_trust;
static gchar *only;

static GOptionEntry options[] = {
  {"seconds", 0, 0, G_OPTION_ARG_INT, &seconds, "How long to measure", "S"},
  {"complexity", 0, 0, G_OPTION_ARG_INT, &complexity, "Of the encoder", "C"},
  {"bitrate", 0, 0, G_OPTION_ARG_INT, &bitrate, "Of the encoder", "B"},
  {"tls", 0, 0, G_OPTION_ARG_FILENAME, &certs, "Speak wss; DIRECTORY is what "
        "tests/server/make-certs.sh made", "DIRECTORY"},
  {"system-trust", 0, 0, G_OPTION_ARG_NONE, &system_trust, "With --tls: look "
        "the certificate up in the system's, and accept it nevertheless", NULL},
  {"only", 0, 0, G_OPTION_ARG_STRING, &only, "These kinds, comma-separated",
      "KINDS"},
  {NULL}
};

/* --- a process that is measured ------------------------------------------ */

static gint64 worst_pace;

/* Sessions are fed one after the other, spread over the 20 ms. */
static void
pace (const SessionsKind * kind, const SessionsSetup * setup, gint64 begin,
    guint64 from, guint64 to)
{
  guint64 i;

  for (i = from; i < to; i++) {
    gint64 due = begin + (gint64) (i * MEASURE_FRAME_US / setup->n);
    guint session = i % setup->n;
    gsize frame = (i / setup->n + session * 197) % setup->n_frames;

    if (kind->run)
      kind->run (due);
    else
      measure_sleep_until (due);
    worst_pace = MAX (worst_pace, g_get_monotonic_time () - due);
    kind->feed (session, setup->speech + frame * MEASURE_FRAME);
  }
}

static guint64
get_private (void)
{
  return measure_status ("smaps_rollup", "Private_Dirty:")
      + measure_status ("smaps_rollup", "Private_Clean:");
}

static void
report (const SessionsSetup * setup, const MeasureUsage * a,
    const MeasureUsage * b)
{
  const gdouble scale = setup->n * (b->time - a->time) / 1e6;

  g_print ("cpu %.4f\n", (b->cpu - a->cpu) / 1e3 / scale);
  g_print ("switches %.2f\n", (b->switches - a->switches) / scale);
}

static void
measure (const SessionsKind * kind, const SessionsSetup * setup)
{
  const guint64 a_second = setup->n * G_USEC_PER_SEC / MEASURE_FRAME_US;
  const guint64 warm = a_second * WARM_UP / G_USEC_PER_SEC;
  guint64 private = get_private (), threads, count;
  MeasureUsage a, b;
  gint64 begin;

  threads = measure_status ("status", "Threads:");
  measure_patience ("connection of each client");
  kind->start (setup);
  measure_patience (NULL);
  begin = g_get_monotonic_time () + MEASURE_FRAME_US;
  pace (kind, setup, begin, 0, warm);
  kind->lateness ();
  worst_pace = 0;
  count = kind->count ();
  measure_usage (&a);
  pace (kind, setup, begin, warm, warm + a_second * seconds);
  measure_usage (&b);

  report (setup, &a, &b);
  g_print ("answered %.2f\n", (kind->count () - count) / (gdouble)
      setup->n / seconds);
  g_print ("late %.2f\n", kind->lateness ());
  g_print ("pace %.2f\n", worst_pace / 1000.0);
  g_print ("private %" G_GUINT64_FORMAT "\n", get_private () - private);
  g_print ("peak %" G_GUINT64_FORMAT "\n", measure_status ("status", "VmHWM:"));
  g_print ("threads %" G_GUINT64_FORMAT "\n",
      measure_status ("status", "Threads:") - threads);
  kind->stop ();
}

static gint
run_kind (const gchar * name, const gchar * port, const gchar * speech,
    const gchar * n)
{
  SessionsSetup setup = { 0, };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (kinds); i++) {
    if (!g_str_equal (kinds[i].name, name))
      continue;
    setup.n = atoi (n);
    setup.port = atoi (port);
    setup.complexity = complexity;
    setup.bitrate = bitrate;
    if (certs)
      setup.ca = g_build_filename (certs, "ca.pem", NULL);
    setup.system = certs && system_trust;
    setup.opus = kinds[i].opus;
    setup.bare = kinds[i].bare;
    setup.speech = measure_load_speech (speech, &setup.n_frames);
    measure (kinds[i].kind, &setup);
    /* What is left is the kernel's to clear up. */
    fflush (stdout);
    _Exit (0);
  }
  g_error ("no kind %s", name);
}

/* --- the table ----------------------------------------------------------- */

static GHashTable *
measure_kind (const gchar * program, const gchar * name, guint port,
    const gchar * speech, const gchar * n)
{
  g_autofree gchar *port_arg = g_strdup_printf ("%u", port);
  g_autofree gchar *time = g_strdup_printf ("--seconds=%d", seconds);
  g_autofree gchar *cost = g_strdup_printf ("--complexity=%d", complexity);
  g_autofree gchar *rate = g_strdup_printf ("--bitrate=%d", bitrate);
  g_autofree gchar *tls = certs ? g_strdup_printf ("--tls=%s", certs) : NULL;
  const gchar *argv[] = { program, time, cost, rate, "run", name, port_arg,
    speech, n, tls, tls && system_trust ? "--system-trust" : NULL, NULL
  };

  return measure_run (argv);
}

static gboolean
is_wanted (const gchar * name)
{
  g_auto (GStrv) names = only ? g_strsplit (only, ",", -1) : NULL;

  return names == NULL || g_strv_contains ((const gchar * const *) names, name);
}

static void
print_row (const gchar * name, const gchar * n, GHashTable * numbers)
{
  const gdouble count = g_ascii_strtod (n, NULL);

  g_print ("| %s | %s | %.2f | %.0f | %.1f | %.0f | %.0f | %.2f | %.1f | %.1f "
      "|\n", n, name, measure_get (numbers, "cpu"),
      measure_get (numbers, "switches"), measure_get (numbers, "answered"),
      measure_get (numbers, "private") / count,
      measure_get (numbers, "peak") / count,
      measure_get (numbers, "threads") / count,
      measure_get (numbers, "late"), measure_get (numbers, "pace"));
}

int
main (int argc, char **argv)
{
  g_autoptr (GOptionContext) context = g_option_context_new ("SPEECH N...");
  g_autoptr (GError) error = NULL;
  g_autoptr (GSubprocess) echo = NULL;
  guint port, k;
  gint i;

  if (argc > 1 && g_str_equal (argv[1], "echo"))
    return measure_run_echo (argv[2]);
  g_option_context_add_main_entries (context, options, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error))
    g_error ("%s", error->message);
  if (argc == 6 && g_str_equal (argv[1], "run"))
    return run_kind (argv[2], argv[3], argv[4], argv[5]);
  if (argc < 3)
    g_error ("%s", g_option_context_get_help (context, TRUE, NULL));

  echo = measure_start_echo (argv[0], certs, &port);
  g_print ("| N | what | CPU ms/s | switches/s | answered/s | private KiB | "
      "peak KiB | threads | late ms | pace ms |\n"
      "|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|\n");
  for (i = 2; i < argc; i++) {
    for (k = 0; k < G_N_ELEMENTS (kinds); k++) {
      g_autoptr (GHashTable) numbers = NULL;

      if (!is_wanted (kinds[k].name))
        continue;
      numbers = measure_kind (argv[0], kinds[k].name, port, argv[1], argv[i]);
      print_row (kinds[k].name, argv[i], numbers);
    }
  }
  g_subprocess_force_exit (echo);
  return 0;
}
