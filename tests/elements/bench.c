/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bench.h"

#include <string.h>
#include <unistd.h>

#include "watchdog.h"

/* After so long a test has failed, however slow the machine is. */
#define TOO_LONG_S 60
#define TOO_LONG_MS (TOO_LONG_S * 1000)

struct _Bench
{
  GstElement *pipeline;
  GstElement *moshi;
  gchar *description;

  GMutex lock;
  GCond cond;

  /* By lock */
  GPtrArray *messages;          /* of GstMessage, in order */
  guint forgotten;              /* how many at the front do not count */
  guint n_buffers;              /* that passed the pad watched */
  GArray *output;               /* of Piece */
  guint n_ends;                 /* EOS that came to the element */
};

/* A buffer that passed the pad watched */
typedef struct
{
  GstClockTime pts;
  gsize size;
} Piece;

static gboolean
is_fatal (const gchar * domain, GLogLevelFlags level, const gchar * message,
    gpointer user_data)
{
  return g_strcmp0 (domain, "libsoup") != 0
      || strstr (message, "could not get remote address") == NULL;
}

/* GTest's own handler would print "Bail out!" of what is forgiven. */
static void
on_log (const gchar * domain, GLogLevelFlags level, const gchar * message,
    gpointer user_data)
{
  if (is_fatal (domain, level, message, user_data))
    g_log_default_handler (domain, level, message, user_data);
}

/* SoupServer warns of a client that has gone before it was looked at, which
 * here is done on purpose. To be told anew in each test. */
void
bench_forgive_libsoup (void)
{
  g_log_set_handler ("libsoup", G_LOG_LEVEL_WARNING | G_LOG_FLAG_FATAL, on_log,
      NULL);
  g_test_log_set_fatal_handler (is_fatal, NULL);
}

static GstBusSyncReply
on_message (GstBus * bus, GstMessage * message, gpointer user_data)
{
  Bench *self = user_data;

  g_mutex_lock (&self->lock);
  g_ptr_array_add (self->messages, gst_message_ref (message));
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
  gst_message_unref (message);
  return GST_BUS_DROP;
}

/* Makes a pipeline as gst-launch-1.0 does. */
Bench *
bench_new (const gchar * format, ...)
{
  Bench *self = g_new0 (Bench, 1);
  GError *error = NULL;
  GstBus *bus;
  va_list args;

  bench_forgive_libsoup ();
  va_start (args, format);
  self->description = g_strdup_vprintf (format, args);
  va_end (args);
  g_mutex_init (&self->lock);
  g_cond_init (&self->cond);
  self->messages =
      g_ptr_array_new_with_free_func ((GDestroyNotify) gst_message_unref);
  self->output = g_array_new (FALSE, FALSE, sizeof (Piece));

  self->pipeline = gst_parse_launch (self->description, &error);
  g_assert_no_error (error);
  gst_object_ref_sink (self->pipeline);
  self->moshi = gst_bin_get_by_name (GST_BIN (self->pipeline), "m");
  g_assert_nonnull (self->moshi);
  bus = gst_element_get_bus (self->pipeline);
  gst_bus_set_sync_handler (bus, on_message, self, NULL);
  gst_object_unref (bus);
  return self;
}

void
bench_free (Bench * self)
{
  GstBus *bus = gst_element_get_bus (self->pipeline);

  bench_stop (self);
  gst_bus_set_sync_handler (bus, NULL, NULL, NULL);
  gst_object_unref (bus);
  g_ptr_array_unref (self->messages);
  g_array_unref (self->output);
  gst_object_unref (self->moshi);
  gst_object_unref (self->pipeline);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->cond);
  g_free (self->description);
  g_free (self);
}

GstElement *
bench_get_pipeline (Bench * self)
{
  return self->pipeline;
}

GstElement *
bench_get_moshi (Bench * self)
{
  return self->moshi;
}

/* Asks for a state; it may be reached later, but must not be refused. */
void
bench_set_state (Bench * self, GstState state)
{
  watchdog_note (self->description);
  g_assert_cmpint (gst_element_set_state (self->pipeline, state), !=,
      GST_STATE_CHANGE_FAILURE);
  watchdog_end ();
}

void
bench_play (Bench * self)
{
  bench_set_state (self, GST_STATE_PLAYING);
}

void
bench_stop (Bench * self)
{
  watchdog_note (self->description);
  g_assert_cmpint (gst_element_set_state (self->pipeline, GST_STATE_NULL), ==,
      GST_STATE_CHANGE_SUCCESS);
  watchdog_end ();
}

static gchar *
describe_message (GstMessage * message)
{
  const GstStructure *structure = gst_message_get_structure (message);
  gchar *text = structure ? gst_structure_to_string (structure) : NULL;
  gchar *line = g_strdup_printf ("%s from %s: %s",
      GST_MESSAGE_TYPE_NAME (message), GST_MESSAGE_SRC_NAME (message),
      text ? text : "");

  g_free (text);
  return line;
}

/* All that came on the bus, in words, a line each */
gchar *
bench_dup_text (Bench * self)
{
  GString *text = g_string_new (NULL);
  guint i;

  g_mutex_lock (&self->lock);
  for (i = 0; i < self->messages->len; i++) {
    gchar *line = describe_message (self->messages->pdata[i]);

    g_string_append_printf (text, "%s\n", line);
    g_free (line);
  }
  g_mutex_unlock (&self->lock);
  return g_string_free (text, FALSE);
}

static void
give_up (Bench * self, const gchar * what)
{
  gchar *text = bench_dup_text (self);

  g_error ("waited in vain for %s in\n%s\nafter\n%s", what, self->description,
      text);
}

static gint64
get_deadline (void)
{
  return g_get_monotonic_time () + TOO_LONG_S * G_TIME_SPAN_SECOND;
}

static guint
count_locked (Bench * self, BenchMatch match, gconstpointer what)
{
  guint i, n = 0;

  for (i = self->forgotten; i < self->messages->len; i++)
    if (match (self->messages->pdata[i], what))
      n++;
  return n;
}

/* Waits for the n-th message of a kind, counted from 1. */
void
bench_wait (Bench * self, BenchMatch match, gconstpointer what, guint n)
{
  gint64 deadline = get_deadline ();
  gboolean in_time = TRUE;

  g_mutex_lock (&self->lock);
  while (in_time && count_locked (self, match, what) < n)
    in_time = g_cond_wait_until (&self->cond, &self->lock, deadline);
  g_mutex_unlock (&self->lock);
  if (!in_time)
    give_up (self, "a message");
}

/* Waits until that many messages have come, of whatever kind. */
void
bench_wait_messages (Bench * self, guint n)
{
  gint64 deadline = get_deadline ();
  gboolean in_time = TRUE;

  g_mutex_lock (&self->lock);
  while (in_time && self->messages->len - self->forgotten < n)
    in_time = g_cond_wait_until (&self->cond, &self->lock, deadline);
  g_mutex_unlock (&self->lock);
  if (!in_time)
    give_up (self, "messages");
}

gboolean
bench_is_type (GstMessage * message, gconstpointer type)
{
  return GST_MESSAGE_TYPE (message) == *(const GstMessageType *) type;
}

/* @state: a nick, or NULL for any */
gboolean
bench_is_session (GstMessage * message, gconstpointer state)
{
  const GstStructure *structure = gst_message_get_structure (message);

  return gst_message_has_name (message, "moshi-session") && (state == NULL
      || g_str_equal (gst_structure_get_string (structure, "state"), state));
}

void
bench_wait_eos (Bench * self)
{
  const GstMessageType type = GST_MESSAGE_EOS;

  bench_wait (self, bench_is_type, &type, 1);
}

void
bench_wait_error (Bench * self)
{
  const GstMessageType type = GST_MESSAGE_ERROR;

  bench_wait (self, bench_is_type, &type, 1);
}

void
bench_wait_session (Bench * self, const gchar * state)
{
  bench_wait (self, bench_is_session, state, 1);
}

guint
bench_count (Bench * self, BenchMatch match, gconstpointer what)
{
  guint n;

  g_mutex_lock (&self->lock);
  n = count_locked (self, match, what);
  g_mutex_unlock (&self->lock);
  return n;
}

guint
bench_count_type (Bench * self, GstMessageType type)
{
  return bench_count (self, bench_is_type, &type);
}

/* (transfer full): the n-th message of a type, counted from 0 */
GstMessage *
bench_get_nth (Bench * self, GstMessageType type, guint n)
{
  GstMessage *found = NULL;
  guint i;

  g_mutex_lock (&self->lock);
  for (i = self->forgotten; i < self->messages->len && !found; i++) {
    GstMessage *message = self->messages->pdata[i];

    if (GST_MESSAGE_TYPE (message) == type && n-- == 0)
      found = gst_message_ref (message);
  }
  g_mutex_unlock (&self->lock);
  g_assert_nonnull (found);
  return found;
}

/* The states told by moshi-session, with blanks between: "connecting ready" */
gchar *
bench_dup_sessions (Bench * self)
{
  GString *text = g_string_new (NULL);
  guint i;

  g_mutex_lock (&self->lock);
  for (i = self->forgotten; i < self->messages->len; i++) {
    GstMessage *message = self->messages->pdata[i];

    if (bench_is_session (message, NULL))
      g_string_append_printf (text, "%s%s", text->len ? " " : "",
          gst_structure_get_string (gst_message_get_structure (message),
              "state"));
  }
  g_mutex_unlock (&self->lock);
  return g_string_free (text, FALSE);
}

/* The types of the progress messages, a letter each: S C E(rror) F(inished) */
gchar *
bench_dup_progress (Bench * self)
{
  GString *text = g_string_new (NULL);
  GstProgressType type;
  guint i;

  g_mutex_lock (&self->lock);
  for (i = self->forgotten; i < self->messages->len; i++) {
    GstMessage *message = self->messages->pdata[i];

    if (GST_MESSAGE_TYPE (message) != GST_MESSAGE_PROGRESS)
      continue;
    gst_message_parse_progress (message, &type, NULL, NULL);
    g_string_append_c (text, type == GST_PROGRESS_TYPE_START ? 'S'
        : type == GST_PROGRESS_TYPE_CONTINUE ? 'C'
        : type == GST_PROGRESS_TYPE_COMPLETE ? 'F'
        : type == GST_PROGRESS_TYPE_ERROR ? 'E' : 'X');
  }
  g_mutex_unlock (&self->lock);
  return g_string_free (text, FALSE);
}

/* What has come so far does not count any more. */
void
bench_forget (Bench * self)
{
  g_mutex_lock (&self->lock);
  self->forgotten = self->messages->len;
  self->n_buffers = self->n_ends = 0;
  g_array_set_size (self->output, 0);
  g_mutex_unlock (&self->lock);
}

static GstPadProbeReturn
on_event (GstPad * pad, GstPadProbeInfo * info, gpointer user_data)
{
  Bench *self = user_data;

  if (GST_EVENT_TYPE (GST_PAD_PROBE_INFO_EVENT (info)) != GST_EVENT_EOS)
    return GST_PAD_PROBE_OK;
  g_mutex_lock (&self->lock);
  self->n_ends++;
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
  return GST_PAD_PROBE_OK;
}

static void
count_ends (Bench * self)
{
  GstPad *pad = gst_element_get_static_pad (self->moshi, "sink");

  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, on_event, self,
      NULL);
  gst_object_unref (pad);
}

static GstPadProbeReturn
on_buffer (GstPad * pad, GstPadProbeInfo * info, gpointer user_data)
{
  Bench *self = user_data;
  GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER (info);
  Piece piece = { GST_BUFFER_PTS (buffer), gst_buffer_get_size (buffer) };

  g_mutex_lock (&self->lock);
  self->n_buffers++;
  g_array_append_val (self->output, piece);
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
  return GST_PAD_PROBE_OK;
}

/* Watches what comes to the sink pad of the element of that name. */
void
bench_count_output (Bench * self, const gchar * name)
{
  GstElement *sink = gst_bin_get_by_name (GST_BIN (self->pipeline), name);
  GstPad *pad = gst_element_get_static_pad (sink, "sink");

  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, on_buffer, self, NULL);
  count_ends (self);
  gst_object_unref (pad);
  gst_object_unref (sink);
}

void
bench_wait_output (Bench * self, guint n)
{
  gint64 deadline = get_deadline ();
  gboolean in_time = TRUE;

  g_mutex_lock (&self->lock);
  while (in_time && self->n_buffers < n)
    in_time = g_cond_wait_until (&self->cond, &self->lock, deadline);
  g_mutex_unlock (&self->lock);
  if (!in_time)
    give_up (self, "output");
}

static guint64
count_bytes_locked (Bench * self)
{
  guint64 bytes = 0;
  guint i;

  for (i = 0; i < self->output->len; i++)
    bytes += g_array_index (self->output, Piece, i).size;
  return bytes;
}

/* Until so much has come out: a server may be ahead of those who play it */
void
bench_wait_samples (Bench * self, guint64 samples, guint bpf)
{
  gint64 deadline = get_deadline ();
  gboolean in_time = TRUE;

  g_mutex_lock (&self->lock);
  while (in_time && count_bytes_locked (self) < samples * bpf)
    in_time = g_cond_wait_until (&self->cond, &self->lock, deadline);
  g_mutex_unlock (&self->lock);
  if (!in_time)
    give_up (self, "samples");
}

/* Waits for an error, and until upstream has stopped: an element that does so
 * for an error of its own posts that before it sends EOS, but the input may have
 * ended before either. Then, for the EOS on the bus, if the pipeline got to
 * PLAYING; after an error before that it never does. */
void
bench_wait_failure (Bench * self)
{
  const GstMessageType type = GST_MESSAGE_ERROR;
  gint64 deadline = get_deadline ();
  gboolean in_time = TRUE;
  GstState state;

  bench_wait (self, bench_is_type, &type, 1);
  g_mutex_lock (&self->lock);
  while (in_time && self->n_ends == 0)
    in_time = g_cond_wait_until (&self->cond, &self->lock, deadline);
  g_mutex_unlock (&self->lock);
  if (!in_time)
    give_up (self, "the end of the input");
  gst_element_get_state (self->pipeline, &state, NULL, 0);
  if (state == GST_STATE_PLAYING)
    bench_wait_eos (self);
}

/* Asserts that what came is contiguous to the sample. Returns its length. */
guint
bench_check_output (Bench * self, guint rate, guint bpf)
{
  guint64 samples = 0;
  GstClockTime expected;
  guint i;

  g_mutex_lock (&self->lock);
  for (i = 0; i < self->output->len; i++) {
    Piece *first = &g_array_index (self->output, Piece, 0);
    Piece *piece = first + i;

    expected = first->pts + gst_util_uint64_scale_int (samples, GST_SECOND,
        rate);
    g_assert_cmpint (ABS (GST_CLOCK_DIFF (expected, piece->pts)), <=, 1);
    samples += piece->size / bpf;
  }
  g_mutex_unlock (&self->lock);
  return samples;
}

/* A number of `stats` */
guint
bench_get_stat (Bench * self, const gchar * name)
{
  GstStructure *stats;
  guint value;

  g_object_get (self->moshi, "stats", &stats, NULL);
  g_assert_true (gst_structure_get_uint (stats, name, &value));
  gst_structure_free (stats);
  return value;
}

/* Starts a stand-in that answers as fast as it can, with a fault or none. */
MoshiStandin *
bench_serve (const gchar * fault, guint fault_first)
{
  const gchar *faults[] = { fault, NULL };
  MoshiStandinConfig config;
  MoshiStandin *server;
  GError *error = NULL;

  moshi_standin_config_init (&config);
  config.faults = faults;
  config.fault_first = fault_first;
  config.speed = 0;
  server = moshi_standin_new (&config, &error);
  g_assert_no_error (error);
  moshi_standin_start (server, &error);
  g_assert_no_error (error);
  return server;
}

void
bench_serve_count (MoshiStandin * server, MoshiStandinCounter counter,
    guint64 at_least)
{
  if (!moshi_standin_wait (server, counter, at_least, TOO_LONG_MS))
    g_error ("waited in vain for the server's counter %d to be %"
        G_GUINT64_FORMAT, counter, at_least);
}

static guint
count_entries (const gchar * path)
{
  GDir *dir = g_dir_open (path, 0, NULL);
  guint n = 0;

  g_assert_nonnull (dir);
  while (g_dir_read_name (dir))
    n++;
  g_dir_close (dir);
  return n;
}

/* What each open file is, a line each */
static gchar *
dup_files (void)
{
  GString *text = g_string_new (NULL);
  GDir *dir = g_dir_open ("/proc/self/fd", 0, NULL);
  const gchar *name;

  while ((name = g_dir_read_name (dir))) {
    g_autofree gchar *path = g_strconcat ("/proc/self/fd/", name, NULL);
    g_autofree gchar *what = g_file_read_link (path, NULL);

    g_string_append_printf (text, "%s %s\n", name, what ? what : "");
  }
  g_dir_close (dir);
  return g_string_free (text, FALSE);
}

/* What the process holds of the kernel's */
void
bench_count_belongings (BenchBelongings * self)
{
  /* GLib keeps a few threads that have nothing to do. */
  g_thread_pool_stop_unused_threads ();
  self->files = count_entries ("/proc/self/fd");
  self->threads = count_entries ("/proc/self/task");
}

/* Connections end politely in the background: for that there is no event, so
 * this looks until there is no more than before. */
void
bench_check_belongings (const BenchBelongings * before)
{
  const gint64 deadline = g_get_monotonic_time () + 20 * G_TIME_SPAN_SECOND;
  BenchBelongings now;

  for (bench_count_belongings (&now); now.files > before->files
      || now.threads > before->threads; bench_count_belongings (&now)) {
    if (g_get_monotonic_time () > deadline)
      g_error ("%u files and %u threads were there before, now %u and %u:\n%s",
          before->files, before->threads, now.files, now.threads, dup_files ());
    g_usleep (2000);
  }
}
