/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One element for a long time: a day of audio as fast as it goes, or an hour
 * (or whatever is asked) in real time.
 *
 *     soak [--hours H] [--live] [--every S] [--server PROGRAM] [--csv FILE]
 *
 * The server is a process of its own, so that this one's memory is the
 * client's. It speaks the sweep, in which every sample tells its place: where
 * the answer stands in the output is found near the beginning and at the end,
 * and the difference is the drift, but for what the playout says that it put in
 * or took out. Every S seconds of output a row goes to
 * FILE. What must hold is said as TAP: the output whole and contiguous, no
 * drift, memory, file descriptors and threads as they were near the beginning,
 * counters that agree with what was counted here.
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

/* Where the answer is looked for: so many samples, so far to both sides. */
#define PROBE 4800
#define REACH 12000

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
  guint64 lost;                 /* ns concealed, trimmed and dropped */
} Row;

typedef struct
{
  gboolean live;
  gdouble hours;
  gdouble every;
  const gchar *csv;

  GstElement *pipeline;
  GstElement *moshi;
  GMainLoop *loop;
  FILE *file;
  GTimer *timer;
  GArray *rows;
  gchar *error;

  /* The streaming thread's, until the pipeline is down */
  guint64 samples;
  guint64 holes;
  GstClockTime expected;
  GstClockTimeDiff delay;
  gint16 probe[PROBE];          /* the last of the output */
  gint64 offset_first;          /* of the answer in the output, in samples */
  gint64 offset_last;
  gint64 moved_first;           /* by the playout, in samples */
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

/* The place of the sweep in the output: its sample 0 would stand at sample
 * @offset of the output. */
static gint64
find_offset (Soak * self)
{
  gint64 at = (gint64) self->samples - PROBE;
  gint64 place = moshi_standin_sweep_locate (self->probe, PROBE, RATE, 1, 0,
      MAX (at - REACH, 0), at + REACH, NULL);

  return place < 0 ? G_MININT64 : at - place;
}

/* What the playout says it has put in between the answer, less what it took
 * out, in samples. */
static gint64
get_moved (Soak * self)
{
  g_autoptr (GstStructure) stats = NULL;
  guint64 in, out;

  g_object_get (self->moshi, "stats", &stats, NULL);
  in = get_stat (stats, "filled") + get_stat (stats, "concealed");
  out = get_stat (stats, "trimmed") + get_stat (stats, "dropped");
  return (gint64) gst_util_uint64_scale_round (in, RATE, GST_SECOND)
      - (gint64) gst_util_uint64_scale_round (out, RATE, GST_SECOND);
}

static void
add_row (Soak * self)
{
  g_autoptr (GstStructure) stats = NULL;
  Row row = { 0, };

  g_object_get (self->moshi, "stats", &stats, NULL);
  row.seconds = (gdouble) self->samples / RATE;
  row.wall = g_timer_elapsed (self->timer, NULL);
  row.rss_kib = get_rss_kib ();
  row.fds = count_entries ("/proc/self/fd");
  row.threads = count_entries ("/proc/self/task");
  row.round_trip = get_stat (stats, "round-trip-mean");
  row.delay = MAX (self->delay, 0);
  row.in_flight = get_stat (stats, "in-flight");
  row.lost = get_stat (stats, "concealed") + get_stat (stats, "trimmed")
      + get_stat (stats, "dropped");
  self->delay = 0;
  g_array_append_val (self->rows, row);
  if (self->file != NULL) {
    fprintf (self->file, "%.1f,%.1f,%ld,%u,%u,%.3f,%.3f,%.3f,%.3f\n",
        row.seconds, row.wall, row.rss_kib, row.fds, row.threads,
        row.round_trip / 1e6, row.delay / 1e6, row.in_flight / 1e6,
        row.lost / 1e6);
    fflush (self->file);
  }
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
  if (self->samples >= (self->rows->len + 1) * self->every * RATE) {
    add_row (self);
    if (self->rows->len == SETTLED) {
      self->offset_first = find_offset (self);
      self->moved_first = get_moved (self);
    }
  }
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
start_server (const gchar * program, gchar ** uri)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GDataInputStream) lines = NULL;
  g_autofree gchar *line = NULL;
  GSubprocess *server = g_subprocess_new (G_SUBPROCESS_FLAGS_STDOUT_PIPE,
      &error, program, "--port=0", "--voice=sweep", NULL);

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
      "tail=%d ! audio/x-raw,rate=%d ! fakesink name=out sync=%d "
      "signal-handoffs=true", self->hours * 3600 * RATE / SIZE, SIZE,
      self->live, RATE, uri, TAIL, RATE, self->live);
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
  self->offset_last = find_offset (self);
}

static void
check_output (Soak * self)
{
  guint64 input = (guint64) (self->hours * 3600 * RATE / SIZE) * SIZE;
  guint64 whole = input + TAIL * RATE / 1000;
  gint64 moved = get_moved (self) - self->moved_first;

  check (self->error == NULL, "no error%s%s", self->error ? ": " : "",
      self->error ? self->error : "");
  if (self->live)
    check (self->samples >= input, "%" G_GUINT64_FORMAT " samples out, %"
        G_GUINT64_FORMAT " in", self->samples, input);
  else
    check (self->samples == whole, "%" G_GUINT64_FORMAT " samples out of %"
        G_GUINT64_FORMAT, self->samples, whole);
  check (self->holes == 0, "%" G_GUINT64_FORMAT " holes", self->holes);
  check (self->offset_first != G_MININT64
      && self->offset_last - self->offset_first == moved, "drift: answer at "
      "sample %" G_GINT64_FORMAT " near the beginning, %" G_GINT64_FORMAT
      " at the end, of which the playout moved it %" G_GINT64_FORMAT,
      self->offset_first, self->offset_last, moved);
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
  check (last->fds <= first->fds, "%u and %u file descriptors", first->fds,
      last->fds);
  check (last->threads <= first->threads, "%u and %u threads", first->threads,
      last->threads);
}

static void
check_counters (Soak * self)
{
  g_autoptr (GstStructure) stats = NULL;
  g_autofree gchar *text = NULL;
  guint sessions = 0;
  guint64 sent, received;

  g_object_get (self->moshi, "stats", &stats, NULL);
  text = gst_structure_to_string (stats);
  printf ("# %s\n", text);
  gst_structure_get_uint (stats, "sessions", &sessions);
  sent = get_stat (stats, "samples-sent");
  received = get_stat (stats, "samples-received");
  check (sessions == 1, "%u session", sessions);
  check (sent >= self->hours * 3600 * RATE, "%" G_GUINT64_FORMAT
      " samples sent", sent);
  check (received <= sent && sent - received <= 2 * RATE, "%" G_GUINT64_FORMAT
      " samples received", received);
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
  g_autofree gchar *csv = NULL;
  g_autofree gchar *uri = NULL;
  g_autoptr (GSubprocess) server = NULL;
  g_autoptr (GError) error = NULL;
  GOptionEntry entries[] = {
    {"hours", 0, 0, G_OPTION_ARG_DOUBLE, &self.hours, "Of audio (24)", "H"},
    {"live", 0, 0, G_OPTION_ARG_NONE, &self.live, "In real time", NULL},
    {"every", 0, 0, G_OPTION_ARG_DOUBLE, &self.every,
        "Seconds of output a row (60)", "S"},
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
  self.offset_first = G_MININT64;
  if (csv != NULL && (self.file = fopen (csv, "w")) != NULL)
    fprintf (self.file, "seconds,wall,rss-kib,fds,threads,round-trip-ms,"
        "delay-ms,in-flight-ms,lost-ms\n");

  server = start_server (program != NULL ? program : STANDIN, &uri);
  run_pipeline (&self, uri);
  report_pace (&self);
  check_output (&self);
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
