/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One element for a long time: a day of audio as fast as it goes, or an hour
 * (or whatever is asked) in real time.
 *
 *     soak [--hours H] [--live] [--renew S] [--flavour NAME] [--every S]
 *         [--server PROGRAM] [--csv FILE]
 *
 * The server is a process of its own, so that this one's memory is the
 * client's. It speaks the sweep, in which every sample tells its place. With
 * every S seconds of output a row goes to FILE, and in each row stands the
 * drift: where the answer stands in the output, against the first row, less what
 * the counters say that the playout put in and took out in between. Audio that
 * nobody counted, lost or doubled, is drift.
 *
 * With --renew a session lasts that long at most: the server ends it then, and
 * the element is to have renewed it. All sessions say the same from their first
 * sample on, and each takes over after a whole frame of the model: so what is
 * not a whole frame is drift. Whole frames that are missing would leave a hole,
 * which is counted as filled or concealed.
 *
 * What must hold is said as TAP: the output whole and contiguous, no drift,
 * memory, file descriptors and threads as they were near the beginning, counters
 * that agree with what was counted here.
 */
#include <gst/gst.h>
#include <gst/audio/audio.h>
#include <gio/gio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "moshistandin.h"

#define RATE 24000
#define SIZE 480                /* samples in an input buffer */
#define TAIL 1000               /* ms */
#define MODEL_DELAY 160         /* ms */

/* A second of the sweep goes up, one down, then it is the same again; a frame is
 * what the model takes at a time. */
#define PERIOD (2 * RATE)
#define FRAME 1920

/* What is looked for in the sweep: so many samples. They are found to two of
 * them, but where the playout has just stretched them. */
#define PROBE 4800
#define EXACT 2
#define SMEAR 24
#define SURE 0.9

/* What an old session is given to say its last answers in (gstmoshijoin.c) */
#define FLUSH (5 * FRAME)

/* Of 60 s of a session the plan leaves the last 3 (moshirenewal.c). */
#define RENEW_MARGIN(s) CLAMP ((s) / 20, 1, 5)

/* The first row whose figures count as "the beginning", by which time all
 * buffers have been filled once. */
#define SETTLED 2

/* What memory may have grown by since then: libc's own arenas, not ours. A
 * sanitizer keeps what is freed, and its memory says nothing. */
#ifdef __SANITIZE_ADDRESS__
#define SLACK_KIB (1024 * 1024)
#else
#define SLACK_KIB 2048
#endif

typedef struct
{
  gdouble seconds;              /* of output */
  gdouble wall;
  glong rss_kib;
  guint fds;
  guint threads;
  guint64 round_trip;           /* ns, mean */
  guint64 delay;                /* ns from a buffer's PTS to its play; live */
  guint64 in_flight;
  guint64 lag;                  /* ns */
  guint64 made;                 /* ns concealed and filled */
  guint64 lost;                 /* ns trimmed and dropped */
  gint64 moved;                 /* by the playout, in samples */
  gint64 unheard;               /* samples that came and were not played */
  guint sessions;
  gint64 place;                 /* of the answer in the output, or -1 */
  gint64 drift;                 /* samples, where there is a place */
} Row;

/* What the streaming thread hands to the main one, which is not in a hurry */
typedef struct
{
  struct _Soak *soak;
  Row row;
  guint64 at;                   /* samples of output up to the probe */
  gint16 probe[PROBE];          /* the last of the output */
} Moment;

typedef struct _Soak
{
  gboolean live;
  gdouble hours;
  gdouble every;
  gint renew;                   /* s, or 0 */
  const gchar *flavour;

  GstElement *pipeline;
  GstElement *moshi;
  GMainLoop *loop;
  FILE *file;
  GTimer *timer;
  GArray *rows;
  gchar *error;

  /* The streaming thread's, until the pipeline is down */
  guint n_moments;
  guint64 samples;
  guint64 holes;
  GstClockTime expected;
  GstClockTimeDiff delay;
  gint16 probe[PROBE];          /* the last of the output */
} Soak;

static guint failures;
static guint checks;

static void
G_GNUC_PRINTF (2, 3)
check (gboolean holds, const gchar * format, ...)
{
  g_autofree gchar *what = NULL;
  va_list args;

  va_start (args, format);
  what = g_strdup_vprintf (format, args);
  va_end (args);
  printf ("%s %u %s\n", holds ? "ok" : "not ok", ++checks, what);
  if (!holds)
    failures++;
}

static guint
count_entries (const gchar * path)
{
  GDir *folder = g_dir_open (path, 0, NULL);
  guint n = 0;

  while (folder != NULL && g_dir_read_name (folder) != NULL)
    n++;
  if (folder != NULL)
    g_dir_close (folder);
  return n;
}

static glong
get_rss_kib (void)
{
  g_autofree gchar *text = NULL;
  glong pages = 0;

  if (g_file_get_contents ("/proc/self/statm", &text, NULL, NULL))
    sscanf (text, "%*d %ld", &pages);
  return pages * (sysconf (_SC_PAGESIZE) / 1024);
}

static guint64
get_stat (const GstStructure * stats, const gchar * name)
{
  guint64 value = 0;

  gst_structure_get_uint64 (stats, name, &value);
  return value;
}

static gint64
get_samples (const GstStructure * stats, const gchar * name)
{
  return (gint64) gst_util_uint64_scale_round (get_stat (stats, name), RATE,
      GST_SECOND);
}

/* What the playout says it has put in between the answer, less what it took
 * out, in samples. */
static gint64
get_moved (const GstStructure * stats)
{
  return get_samples (stats, "filled") + get_samples (stats, "concealed")
      + get_samples (stats, "lengthened") - get_samples (stats, "trimmed")
      - get_samples (stats, "dropped") - get_samples (stats, "shortened");
}

/* Of what came, less what waits: all that was neither played nor counted as left
 * out. Nothing, but that an old session is given silence to end in, whose answers
 * nobody is to hear. */
static gint64
get_unheard (Soak * self, const GstStructure * stats)
{
  return (gint64) get_stat (stats, "samples-received")
      - get_samples (stats, "queued") + get_moved (stats)
      - (gint64) self->samples;
}

/* What comes meanwhile may be counted as received and not yet as waiting. */
static GstStructure *
get_consistent_stats (Soak * self)
{
  GstStructure *stats = NULL;
  guint tries;

  for (tries = 0; tries < 20; tries++) {
    g_clear_pointer (&stats, gst_structure_free);
    g_object_get (self->moshi, "stats", &stats, NULL);
    if (!self->live || get_unheard (self, stats) % FRAME == 0)
      break;
    g_usleep (500);
  }
  return stats;
}

static void
read_stats (Soak * self, Row * row)
{
  g_autoptr (GstStructure) stats = get_consistent_stats (self);

  row->unheard = get_unheard (self, stats);
  row->round_trip = get_stat (stats, "round-trip-mean");
  row->in_flight = get_stat (stats, "in-flight");
  row->lag = get_stat (stats, "lag");
  row->made = get_stat (stats, "concealed") + get_stat (stats, "filled");
  row->lost = get_stat (stats, "trimmed") + get_stat (stats, "dropped");
  row->moved = get_moved (stats);
  gst_structure_get_uint (stats, "sessions", &row->sessions);
}

/* Where sample 0 of the sweep would stand in the output, but for whole periods;
 * -1 if the sweep is not there. */
static gint64
find_place (const Moment * moment)
{
  const gint64 at = (gint64) moment->at - PROBE;
  gdouble score = 0;
  gint64 index = moshi_standin_sweep_locate (moment->probe, PROBE, RATE, 1, 0,
      0, PERIOD - 1, &score);

  if (index < 0 || score < SURE)
    return -1;
  return ((at - index) % PERIOD + PERIOD) % PERIOD;
}

/* How far the answer is from where it was in the first row that has one, the
 * shortest way round. */
static gint64
get_drift (Soak * self, const Row * row)
{
  const gint64 round = self->renew ? FRAME : PERIOD;
  gint64 drift;
  guint i;

  for (i = SETTLED; i < self->rows->len; i++) {
    const Row *first = &g_array_index (self->rows, Row, i);

    if (first->place < 0)
      continue;
    drift = (row->place - row->moved) - (first->place - first->moved);
    drift = (drift % round + round) % round;
    return drift > round / 2 ? drift - round : drift;
  }
  return 0;
}

static void
write_row (Soak * self, const Row * row)
{
  if (self->file == NULL)
    return;
  fprintf (self->file, "%.1f,%.1f,%ld,%u,%u,%.3f,%.3f,%.3f,%.3f,%.3f,%.3f,"
      "%u,%" G_GINT64_FORMAT ",%" G_GINT64_FORMAT ",", row->seconds, row->wall,
      row->rss_kib, row->fds, row->threads, row->round_trip / 1e6,
      row->delay / 1e6, row->in_flight / 1e6, row->lag / 1e6, row->made / 1e6,
      row->lost / 1e6, row->sessions, row->moved, row->unheard);
  if (row->place >= 0)
    fprintf (self->file, "%" G_GINT64_FORMAT, row->drift);
  fputc ('\n', self->file);
  fflush (self->file);
}

static gboolean
on_moment (gpointer data)
{
  Moment *moment = data;
  Soak *self = moment->soak;
  Row *row = &moment->row;

  row->wall = g_timer_elapsed (self->timer, NULL);
  row->rss_kib = get_rss_kib ();
  row->fds = count_entries ("/proc/self/fd");
  row->threads = count_entries ("/proc/self/task");
  row->place = find_place (moment);
  row->drift = row->place < 0 ? 0 : get_drift (self, row);
  g_array_append_val (self->rows, *row);
  write_row (self, row);
  return G_SOURCE_REMOVE;
}

/* With the streaming thread in here nothing is played: the counters are those of
 * this very sample. */
static void
hand_over_moment (Soak * self)
{
  Moment *moment = g_new0 (Moment, 1);

  moment->soak = self;
  moment->at = self->samples;
  memcpy (moment->probe, self->probe, sizeof (self->probe));
  moment->row.seconds = (gdouble) self->samples / RATE;
  moment->row.delay = MAX (self->delay, 0);
  read_stats (self, &moment->row);
  self->delay = 0;
  self->n_moments++;
  g_idle_add_full (G_PRIORITY_DEFAULT, on_moment, moment, g_free);
}

static void
remember_end (Soak * self, const gint16 * samples, gsize n)
{
  gsize taken = MIN (n, PROBE);

  memmove (self->probe, self->probe + taken,
      (PROBE - taken) * sizeof (self->probe[0]));
  memcpy (self->probe + PROBE - taken, samples + n - taken,
      taken * sizeof (self->probe[0]));
}

static void
note_delay (Soak * self, GstBuffer * buffer)
{
  GstClockTime now = gst_element_get_current_running_time (self->pipeline);

  if (GST_CLOCK_TIME_IS_VALID (now))
    self->delay = MAX (self->delay,
        GST_CLOCK_DIFF (GST_BUFFER_PTS (buffer), now));
}

static void
on_handoff (GstElement * sink, GstBuffer * buffer, GstPad * pad, Soak * self)
{
  GstMapInfo map;
  gsize n;

  if (!gst_buffer_map (buffer, &map, GST_MAP_READ))
    return;
  n = map.size / sizeof (gint16);
  if (self->samples > 0 && GST_BUFFER_PTS (buffer) != self->expected)
    self->holes++;
  remember_end (self, (const gint16 *) map.data, n);
  gst_buffer_unmap (buffer, &map);
  self->samples += n;
  self->expected = GST_BUFFER_PTS (buffer) + GST_BUFFER_DURATION (buffer);
  if (self->live)
    note_delay (self, buffer);
  if (self->samples >= (self->n_moments + 1) * self->every * RATE)
    hand_over_moment (self);
}

static gboolean
on_message (GstBus * bus, GstMessage * message, gpointer data)
{
  Soak *self = data;
  g_autoptr (GError) error = NULL;

  switch (GST_MESSAGE_TYPE (message)) {
    case GST_MESSAGE_ERROR:
      gst_message_parse_error (message, &error, NULL);
      self->error = g_strdup (error->message);
      g_main_loop_quit (self->loop);
      break;
    case GST_MESSAGE_EOS:
      g_main_loop_quit (self->loop);
      break;
    default:
      break;
  }
  return G_SOURCE_CONTINUE;
}

static GSubprocess *
start_server (Soak * self, const gchar * program, gchar ** uri)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GDataInputStream) lines = NULL;
  g_autofree gchar *line = NULL;
  g_autofree gchar *flavour = g_strdup_printf ("--flavour=%s", self->flavour);
  g_autofree gchar *steps = g_strdup_printf ("--max-steps=%d",
      self->renew * RATE / FRAME);
  GSubprocess *server = g_subprocess_new (G_SUBPROCESS_FLAGS_STDOUT_PIPE,
      &error, program, "--port=0", "--voice=sweep", flavour,
      self->renew ? steps : NULL, NULL);

  if (server == NULL)
    g_error ("%s: %s", program, error->message);
  lines = g_data_input_stream_new (g_subprocess_get_stdout_pipe (server));
  line = g_data_input_stream_read_line (lines, NULL, NULL, NULL);
  if (line == NULL || !g_str_has_prefix (line, "listening on "))
    g_error ("%s: did not start", program);
  *uri = g_strdup (line + strlen ("listening on "));
  return server;
}

static void
run_pipeline (Soak * self, const gchar * uri)
{
  g_autofree gchar *description = g_strdup_printf ("audiotestsrc name=in "
      "num-buffers=%.0f samplesperbuffer=%d wave=ticks is-live=%d ! "
      "audio/x-raw,format=S16LE,rate=%d,channels=1 ! moshi name=m uri=%s "
      "tail=%d session-limit=%d ! audio/x-raw,rate=%d ! fakesink name=out "
      "sync=%d signal-handoffs=true", self->hours * 3600 * RATE / SIZE, SIZE,
      self->live, RATE, uri, TAIL, self->renew * 1000, RATE, self->live);
  g_autoptr (GError) error = NULL;
  g_autoptr (GstElement) out = NULL;
  g_autoptr (GstBus) bus = NULL;

  self->pipeline = gst_parse_launch (description, &error);
  if (error != NULL)
    g_error ("%s", error->message);
  self->moshi = gst_bin_get_by_name (GST_BIN (self->pipeline), "m");
  out = gst_bin_get_by_name (GST_BIN (self->pipeline), "out");
  g_signal_connect (out, "handoff", G_CALLBACK (on_handoff), self);
  bus = gst_element_get_bus (self->pipeline);
  gst_bus_add_watch (bus, on_message, self);
  gst_element_set_state (self->pipeline, GST_STATE_PLAYING);
  g_main_loop_run (self->loop);
}

static guint64
get_input (Soak * self)
{
  return (guint64) (self->hours * 3600 * RATE / SIZE) * SIZE;
}

static void
check_output (Soak * self)
{
  const guint64 input = get_input (self);
  const guint64 whole = input + TAIL * RATE / 1000;

  check (self->error == NULL, "no error%s%s", self->error ? ": " : "",
      self->error ? self->error : "");
  if (self->live)
    check (self->samples >= input, "%" G_GUINT64_FORMAT " samples out, %"
        G_GUINT64_FORMAT " in", self->samples, input);
  else
    check (self->samples == whole, "%" G_GUINT64_FORMAT " samples out of %"
        G_GUINT64_FORMAT, self->samples, whole);
  check (self->holes == 0, "%" G_GUINT64_FORMAT " holes", self->holes);
}

/* By ear: a row may be beside its place where the probe was stretched, and the
 * next is right again. Drift stays. */
static void
check_drift (Soak * self)
{
  guint found = 0, beside = 0, i;
  gint64 worst = 0, last = 0;

  for (i = SETTLED; i < self->rows->len; i++) {
    const Row *row = &g_array_index (self->rows, Row, i);

    if (row->place < 0)
      continue;
    found++;
    beside += ABS (row->drift) > EXACT;
    if (ABS (row->drift) > ABS (worst))
      worst = row->drift;
    last = row->drift;
  }
  check (2 * found > self->rows->len && ABS (worst) <= SMEAR
      && ABS (last) <= EXACT
      && 10 * beside <= found,
      "by ear: %" G_GINT64_FORMAT
      " samples of drift at the end; of %u rows %u are found in the sweep, %u "
      "of them beside their place, by %" G_GINT64_FORMAT " samples at most",
      last, self->rows->len, found, beside, worst);
}

/* By the counters: every sample that came is accounted for. */
static void
check_account (Soak * self)
{
  g_autoptr (GstStructure) stats = NULL;
  guint renewals = 0, off = 0, i;
  gint64 unheard;

  if (!self->live)
    return;
  for (i = 0; i < self->rows->len; i++)
    off += g_array_index (self->rows, Row, i).unheard % FRAME != 0;
  g_object_get (self->moshi, "stats", &stats, NULL);
  gst_structure_get_uint (stats, "renewals", &renewals);
  unheard = get_unheard (self, stats);
  check (off == 0 && unheard % FRAME == 0 && unheard >= 0
      && unheard <= (gint64) renewals * FLUSH, "by count: %" G_GINT64_FORMAT
      " samples unheard of %" G_GUINT64_FORMAT " after %u renewals; %u rows of "
      "%u with a part of a frame", unheard, get_stat (stats,
          "samples-received"), renewals, off, self->rows->len);
}

static void
report_made (Soak * self)
{
  const Row *first, *last;

  if (self->rows->len <= SETTLED)
    return;
  first = &g_array_index (self->rows, Row, SETTLED);
  last = &g_array_index (self->rows, Row, self->rows->len - 1);
  printf ("# since row %u: %.3f ms filled and concealed, %.3f ms trimmed and "
      "dropped, lag %.1f ms then and %.1f ms now\n", SETTLED,
      (last->made - first->made) / 1e6, (last->lost - first->lost) / 1e6,
      first->lag / 1e6, last->lag / 1e6);
}

/* The most of a column in the rows from one on, before another */
static guint
get_most (Soak * self, gsize column, guint from, guint end)
{
  guint most = 0, i;

  for (i = from; i < end; i++)
    most = MAX (most, G_STRUCT_MEMBER (guint, &g_array_index (self->rows, Row,
                i), column));
  return most;
}

/* A renewal has two sessions for a while: what is held at most is compared. */
static void
check_count (Soak * self, gsize column, const gchar * what)
{
  const guint n = self->rows->len;
  guint first = get_most (self, column, 0, MAX (n / 3, SETTLED + 1));
  guint last = get_most (self, column, n - n / 3, n);

  check (last <= first, "%u %s at most in the first third, %u in the last",
      first, what, last);
}

static void
check_resources (Soak * self)
{
  const Row *first, *last;

  if (self->rows->len <= SETTLED) {
    check (FALSE, "only %u rows: too short", self->rows->len);
    return;
  }
  first = &g_array_index (self->rows, Row, SETTLED);
  last = &g_array_index (self->rows, Row, self->rows->len - 1);
  check (last->rss_kib <= first->rss_kib + SLACK_KIB,
      "memory %ld KiB near the beginning, %ld KiB at the end", first->rss_kib,
      last->rss_kib);
  check_count (self, G_STRUCT_OFFSET (Row, fds), "file descriptors");
  check_count (self, G_STRUCT_OFFSET (Row, threads), "threads");
}

/* How many sessions an input takes, each as long as it may be */
static guint
get_sessions (Soak * self)
{
  const guint frames =
      (self->renew - RENEW_MARGIN (self->renew)) * RATE / FRAME;
  const guint64 leg = (guint64) frames * FRAME;

  return self->renew ? (guint) ((get_input (self) + leg - 1) / leg) : 1;
}

static void
check_sessions (Soak * self, const GstStructure * stats)
{
  const guint wanted = get_sessions (self);
  guint sessions = 0, renewals = 0, reconnects = 0;

  gst_structure_get_uint (stats, "sessions", &sessions);
  gst_structure_get_uint (stats, "renewals", &renewals);
  gst_structure_get_uint (stats, "reconnects", &reconnects);
  check (sessions == wanted && renewals == wanted - 1 && reconnects == 0,
      "%u sessions of %u, %u renewals, %u reconnects", sessions, wanted,
      renewals, reconnects);
}

static void
check_counters (Soak * self)
{
  g_autoptr (GstStructure) stats = NULL;
  g_autofree gchar *text = NULL;
  gint64 sent, received, given;

  g_object_get (self->moshi, "stats", &stats, NULL);
  text = gst_structure_to_string (stats);
  printf ("# %s\n", text);
  check_sessions (self, stats);
  sent = (gint64) get_stat (stats, "samples-sent");
  received = (gint64) get_stat (stats, "samples-received");
  given = (gint64) get_input (self) + get_samples (stats, "input-filled")
      - get_samples (stats, "input-trimmed")
      - get_samples (stats, "input-unsent");
  /* A session that is followed is given silence beyond that. */
  check (self->renew || !self->live ? sent >= given : sent == given,
      "%" G_GINT64_FORMAT " samples sent, %" G_GINT64_FORMAT " given", sent,
      given);
  check (received <= sent && sent - received <= 2 * RATE * get_sessions (self),
      "%" G_GINT64_FORMAT " samples received", received);
  check (get_stat (stats, "dropped") == 0, "nothing dropped");
}

static void
report_pace (Soak * self)
{
  gdouble wall = g_timer_elapsed (self->timer, NULL);

  printf ("# %.1f s of output in %.1f s: %.1f x real time\n",
      (gdouble) self->samples / RATE, wall, self->samples / RATE / wall);
}

int
main (int argc, char **argv)
{
  Soak self = {.hours = 24,.every = 60 };
  g_autofree gchar *program = NULL;
  g_autofree gchar *flavour = NULL;
  g_autofree gchar *csv = NULL;
  g_autofree gchar *uri = NULL;
  g_autoptr (GSubprocess) server = NULL;
  g_autoptr (GError) error = NULL;
  GOptionEntry entries[] = {
    {"hours", 0, 0, G_OPTION_ARG_DOUBLE, &self.hours, "Of audio (24)", "H"},
    {"live", 0, 0, G_OPTION_ARG_NONE, &self.live, "In real time", NULL},
    {"every", 0, 0, G_OPTION_ARG_DOUBLE, &self.every,
        "Seconds of output a row (60)", "S"},
    {"renew", 0, 0, G_OPTION_ARG_INT, &self.renew,
        "With sessions of so many seconds (one session)", "S"},
    {"flavour", 0, 0, G_OPTION_ARG_STRING, &flavour,
        "Of the server (kyutai-py; with --renew kyutai-rs)", "NAME"},
    {"server", 0, 0, G_OPTION_ARG_FILENAME, &program, "The stand-in", "FILE"},
    {"csv", 0, 0, G_OPTION_ARG_FILENAME, &csv, "Where the rows go", "FILE"},
    {NULL}
  };
  g_autoptr (GOptionContext) options = g_option_context_new (NULL);

  g_option_context_add_main_entries (options, entries, NULL);
  g_option_context_add_group (options, gst_init_get_option_group ());
  if (!g_option_context_parse (options, &argc, &argv, &error)) {
    fprintf (stderr, "%s\n", error->message);
    return 2;
  }
  self.rows = g_array_new (FALSE, FALSE, sizeof (Row));
  self.loop = g_main_loop_new (NULL, FALSE);
  self.timer = g_timer_new ();
  self.flavour = flavour != NULL ? flavour :
      self.renew ? "kyutai-rs" : "kyutai-py";
  if (csv != NULL && (self.file = fopen (csv, "w")) != NULL)
    fprintf (self.file, "seconds,wall,rss-kib,fds,threads,round-trip-ms,"
        "delay-ms,in-flight-ms,lag-ms,made-ms,lost-ms,sessions,"
        "moved-samples,unheard-samples,drift-samples\n");

  server = start_server (&self, program != NULL ? program : STANDIN, &uri);
  run_pipeline (&self, uri);
  report_pace (&self);
  check_output (&self);
  report_made (&self);
  check_drift (&self);
  check_account (&self);
  check_resources (&self);
  check_counters (&self);
  printf ("1..%u\n", checks);

  gst_element_set_state (self.pipeline, GST_STATE_NULL);
  gst_object_unref (self.moshi);
  gst_object_unref (self.pipeline);
  if (self.file != NULL)
    fclose (self.file);
  g_subprocess_force_exit (server);
  g_subprocess_wait (server, NULL, NULL);
  g_main_loop_unref (self.loop);
  g_timer_destroy (self.timer);
  g_array_unref (self.rows);
  g_free (self.error);
  return failures == 0 ? 0 : 1;
}
