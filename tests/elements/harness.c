/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

/* A test that hangs ends by itself and says which it was: SIGALRM after that
 * many seconds without a new harness. */
#define WATCHDOG 180

static gchar test_path[256];

static void
on_alarm (int number)
{
  static const gchar text[] = "# hangs: ";
  gssize written;

  written = write (STDOUT_FILENO, text, sizeof text - 1);
  written += write (STDOUT_FILENO, test_path, strlen (test_path));
  written += write (STDOUT_FILENO, "\n", 1);
  if (written)
    abort ();
}

/* libsoup's server warns of a client that has gone by the time it is accepted,
 * as clients do that are stopped while they connect. */
static gboolean
is_fatal (const gchar * domain, GLogLevelFlags level, const gchar * text,
    gpointer user_data)
{
  return g_strcmp0 (domain, "libsoup") != 0
      || strstr (text, "could not get remote address") == NULL;
}

/* GTest's own handler would print "Bail out!" of what is forgiven. */
static void
on_log (const gchar * domain, GLogLevelFlags level, const gchar * text,
    gpointer user_data)
{
  if (is_fatal (domain, level, text, user_data))
    g_log_default_handler (domain, level, text, user_data);
}

static void
watch (void)
{
  g_strlcpy (test_path, g_test_get_path (), sizeof test_path);
  signal (SIGALRM, on_alarm);
  alarm (WATCHDOG);
  g_log_set_handler ("libsoup", G_LOG_LEVEL_WARNING | G_LOG_FLAG_FATAL, on_log,
      NULL);
  g_test_log_set_fatal_handler (is_fatal, NULL);        /* of this test alone */
}

/* GTest shows all that is logged, and libsoup tells of each frame. */
static void
log_what_matters (const gchar * domain, GLogLevelFlags level,
    const gchar * text, gpointer user_data)
{
  if (level & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL
          | G_LOG_LEVEL_WARNING | G_LOG_LEVEL_MESSAGE))
    g_log_default_handler (domain, level, text, NULL);
}

/**
 * harness_main:
 * @argc: (inout): of main()
 * @argv: (inout): of main()
 * @add_tests: adds the tests
 *
 * Runs them with the plugin loaded.
 *
 * Returns: what main() is to return
 */
int
harness_main (int *argc, char ***argv, void (*add_tests) (void))
{
  GstElementFactory *factory;
  int ret;

  g_test_init (argc, argv, NULL);
  g_log_set_default_handler (log_what_matters, NULL);
  gst_init (argc, argv);
  factory = gst_element_factory_find ("moshi");
  g_assert_nonnull (factory);
  gst_object_unref (factory);

  add_tests ();
  ret = g_test_run ();
  alarm (0);
  gst_deinit ();
  return ret;
}

/* --- what flows ---------------------------------------------------------- */

static void
clear_event (gpointer data)
{
  gst_event_unref (((HarnessEvent *) data)->event);
}

static void
free_track (gpointer data)
{
  HarnessTrack *track = data;

  g_array_unref (track->buffers);
  g_byte_array_unref (track->data);
  g_array_unref (track->events);
  g_free (track);
}

static void
take_buffer (HarnessTrack * track, GstBuffer * buffer)
{
  HarnessBuffer kept = { GST_BUFFER_PTS (buffer), GST_BUFFER_DURATION (buffer),
    GST_BUFFER_FLAGS (buffer), track->data->len, gst_buffer_get_size (buffer)
  };
  GstMapInfo map;

  track->bytes += kept.size;
  if (!track->keep)
    return;
  g_array_append_val (track->buffers, kept);
  gst_buffer_map (buffer, &map, GST_MAP_READ);
  g_byte_array_append (track->data, map.data, map.size);
  gst_buffer_unmap (buffer, &map);
}

static void
take_event (HarnessTrack * track, GstEvent * event)
{
  HarnessEvent kept = { gst_event_ref (event), track->buffers->len };

  g_array_append_val (track->events, kept);
  if (GST_EVENT_TYPE (event) == GST_EVENT_EOS)
    track->n_eos++;
}

static GstPadProbeReturn
on_flow (GstPad * pad, GstPadProbeInfo * info, gpointer user_data)
{
  HarnessTrack *track = user_data;
  Harness *self = track->harness;

  g_mutex_lock (&self->lock);
  if (info->type & GST_PAD_PROBE_TYPE_BUFFER)
    take_buffer (track, GST_PAD_PROBE_INFO_BUFFER (info));
  else
    take_event (track, GST_PAD_PROBE_INFO_EVENT (info));
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
  return GST_PAD_PROBE_OK;
}

/**
 * harness_track:
 * @self: a harness
 * @element: a name
 * @pad: the name of a pad it has already
 *
 * Returns: (transfer none): what flows through that pad from now on
 */
HarnessTrack *
harness_track (Harness * self, const gchar * element, const gchar * pad)
{
  HarnessTrack *track = g_new0 (HarnessTrack, 1);
  GstElement *owner = harness_get_element (self, element);
  GstPad *watched = gst_element_get_static_pad (owner, pad);

  g_assert_nonnull (watched);
  track->harness = self;
  track->buffers = g_array_new (FALSE, FALSE, sizeof (HarnessBuffer));
  track->data = g_byte_array_new ();
  track->events = g_array_new (FALSE, FALSE, sizeof (HarnessEvent));
  g_array_set_clear_func (track->events, clear_event);
  track->keep = TRUE;
  g_ptr_array_add (self->tracks, track);
  gst_pad_add_probe (watched, GST_PAD_PROBE_TYPE_BUFFER
      | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM | GST_PAD_PROBE_TYPE_EVENT_FLUSH,
      on_flow, track, NULL);
  gst_object_unref (watched);
  gst_object_unref (owner);
  return track;
}

/**
 * harness_track_buffer:
 * @track: a track
 * @i: from 0
 *
 * Returns: (transfer none): that buffer
 */
const HarnessBuffer *
harness_track_buffer (HarnessTrack * track, guint i)
{
  g_assert_cmpuint (i, <, track->buffers->len);
  return &g_array_index (track->buffers, HarnessBuffer, i);
}

/**
 * harness_track_dup_text:
 * @track: a track of text
 * @i: from 0
 *
 * Returns: (transfer full): that buffer, which is valid UTF-8 without a NUL
 */
gchar *
harness_track_dup_text (HarnessTrack * track, guint i)
{
  const HarnessBuffer *buffer = harness_track_buffer (track, i);
  const gchar *text = (const gchar *) track->data->data + buffer->offset;

  g_assert_true (g_utf8_validate_len (text, buffer->size, NULL));
  return g_strndup (text, buffer->size);
}

/**
 * harness_track_clear:
 * @track: a track
 *
 * Forgets what it has.
 */
void
harness_track_clear (HarnessTrack * track)
{
  harness_lock (track->harness);
  g_array_set_size (track->buffers, 0);
  g_byte_array_set_size (track->data, 0);
  g_array_set_size (track->events, 0);
  track->bytes = 0;
  track->n_eos = 0;
  harness_unlock (track->harness);
}

/**
 * harness_track_count_events:
 * @track: a track
 * @type: of event
 *
 * Returns: how many came
 */
guint
harness_track_count_events (HarnessTrack * track, GstEventType type)
{
  guint i, n = 0;

  for (i = 0; i < track->events->len; i++)
    if (GST_EVENT_TYPE (g_array_index (track->events, HarnessEvent,
                i).event) == type)
      n++;
  return n;
}

/**
 * harness_track_find_event:
 * @track: a track
 * @type: of event
 * @at: (out) (nullable): how many buffers came before it
 *
 * Returns: (transfer none) (nullable): the first of the type
 */
GstEvent *
harness_track_find_event (HarnessTrack * track, GstEventType type, guint * at)
{
  guint i;

  for (i = 0; i < track->events->len; i++) {
    HarnessEvent *kept = &g_array_index (track->events, HarnessEvent, i);

    if (GST_EVENT_TYPE (kept->event) != type)
      continue;
    if (at)
      *at = kept->at;
    return kept->event;
  }
  return NULL;
}

/* --- the pipeline -------------------------------------------------------- */

static void
start_server (Harness * self, const MoshiStandinConfig * config)
{
  g_autoptr (GError) error = NULL;

  self->server = moshi_standin_new (config, &error);
  g_assert_no_error (error);
  g_assert_true (moshi_standin_start (self->server, &error));
  g_assert_no_error (error);
  g_object_set (self->moshi, "uri", moshi_standin_get_uri (self->server), NULL);
}

/**
 * harness_new:
 * @config: (nullable): of a stand-in server to start; `m` gets its uri
 * @description: as gst-launch-1.0 takes it, printf style
 *
 * Returns: (transfer full): a pipeline in NULL
 */
Harness *
harness_new (const MoshiStandinConfig * config, const gchar * description, ...)
{
  Harness *self = g_new0 (Harness, 1);
  g_autoptr (GError) error = NULL;
  g_autofree gchar *launch = NULL;
  va_list args;

  watch ();
  va_start (args, description);
  launch = g_strdup_vprintf (description, args);
  va_end (args);

  g_mutex_init (&self->lock);
  g_cond_init (&self->cond);
  self->tracks = g_ptr_array_new_with_free_func (free_track);
  self->messages = g_ptr_array_new_with_free_func
      ((GDestroyNotify) gst_message_unref);
  self->pipeline = gst_parse_launch (launch, &error);
  g_assert_no_error (error);
  self->bus = gst_element_get_bus (self->pipeline);
  self->moshi = harness_get_element (self, "m");
  self->out = harness_track (self, "m", "src");
  if (config)
    start_server (self, config);
  return self;
}

/**
 * harness_free:
 * @self: (transfer full): a harness in any state
 */
void
harness_free (Harness * self)
{
  g_assert_cmpint (gst_element_set_state (self->pipeline, GST_STATE_NULL), ==,
      GST_STATE_CHANGE_SUCCESS);
  gst_object_unref (self->moshi);
  gst_object_unref (self->bus);
  gst_object_unref (self->pipeline);
  gst_clear_object (&self->clock);
  if (self->server)
    moshi_standin_free (self->server);
  g_ptr_array_unref (self->messages);
  g_ptr_array_unref (self->tracks);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->cond);
  g_free (self);
}

/**
 * harness_lock:
 * @self: a harness
 *
 * Keeps the tracks still.
 */
void
harness_lock (Harness * self)
{
  g_mutex_lock (&self->lock);
}

/**
 * harness_unlock:
 * @self: a harness
 */
void
harness_unlock (Harness * self)
{
  g_mutex_unlock (&self->lock);
}

/**
 * harness_get_element:
 * @self: a harness
 * @name: of an element in the pipeline
 *
 * Returns: (transfer full): it
 */
GstElement *
harness_get_element (Harness * self, const gchar * name)
{
  GstElement *element = gst_bin_get_by_name (GST_BIN (self->pipeline), name);

  g_assert_nonnull (element);
  return element;
}

/**
 * harness_set_state:
 * @self: a harness
 * @state: to go to; does not wait
 */
void
harness_set_state (Harness * self, GstState state)
{
  g_assert_cmpint (gst_element_set_state (self->pipeline, state), !=,
      GST_STATE_CHANGE_FAILURE);
}

/**
 * harness_wait_state:
 * @self: a harness
 * @state: to go to, and to be in at the end
 */
void
harness_wait_state (Harness * self, GstState state)
{
  GstStateChangeReturn ret;
  GstState now;

  harness_set_state (self, state);
  ret = gst_element_get_state (self->pipeline, &now, NULL,
      HARNESS_PATIENCE * GST_MSECOND);
  g_assert_true (ret == GST_STATE_CHANGE_SUCCESS
      || ret == GST_STATE_CHANGE_NO_PREROLL);
  g_assert_cmpint (now, ==, state);
}

static guint64
get_heard (Harness * self)
{
  g_autoptr (GstStructure) stats = harness_get_stats (self);
  guint64 sent = 0, queued = 0, owed = 0;

  gst_structure_get_uint64 (stats, "samples-sent", &sent);
  gst_structure_get_uint64 (stats, "send-queued", &queued);
  gst_structure_get_uint64 (stats, "in-flight", &owed);
  sent += gst_util_uint64_scale_round (queued, 24000, GST_SECOND);
  owed = gst_util_uint64_scale_round (owed, 24000, GST_SECOND);
  return sent - MIN (sent, owed);
}

/**
 * harness_wait_answers:
 * @self: a harness, in its first session
 * @samples: at 24 kHz
 *
 * Waits until so much has been received and is where it is played from: it is
 * counted as received somewhat before that, and a clock that goes on in between
 * makes it late.
 */
void
harness_wait_answers (Harness * self, guint64 samples)
{
  gint64 end = g_get_monotonic_time () + HARNESS_PATIENCE * 1000;

  harness_wait_stat (self, "samples-received", samples);
  while (get_heard (self) < samples) {
    g_assert_cmpint (g_get_monotonic_time (), <, end);
    g_usleep (500);
  }
}

/**
 * harness_wait_eos:
 * @self: a harness
 *
 * Until the pipeline says EOS; an error fails the test.
 */
void
harness_wait_eos (Harness * self)
{
  GstMessage *message = harness_wait_message (self, GST_MESSAGE_EOS, NULL,
      HARNESS_PATIENCE * 2);

  g_assert_nonnull (message);
  gst_message_unref (message);
}

/**
 * harness_play_to_eos:
 * @self: a harness
 */
void
harness_play_to_eos (Harness * self)
{
  harness_set_state (self, GST_STATE_PLAYING);
  harness_wait_eos (self);
}

/**
 * harness_use_test_clock:
 * @self: a harness in NULL
 *
 * From now on time goes by only when the test says so.
 */
void
harness_use_test_clock (Harness * self)
{
  self->clock = GST_TEST_CLOCK (gst_test_clock_new ());
  gst_pipeline_use_clock (GST_PIPELINE (self->pipeline),
      GST_CLOCK (self->clock));
}

/* Lets what waits for a time up to `end` go on, the earliest first. */
static gboolean
process_next (Harness * self, GstClockTime end)
{
  GstClockID id;
  GstClockTime time;

  gst_test_clock_wait_for_next_pending_id (self->clock, &id);
  time = gst_clock_id_get_time (id);
  gst_clock_id_unref (id);
  if (time > end)
    return FALSE;

  if (time > gst_clock_get_time (GST_CLOCK (self->clock)))
    gst_test_clock_set_time (self->clock, time);
  id = gst_test_clock_process_next_clock_id (self->clock);
  if (id)
    gst_clock_id_unref (id);
  return TRUE;
}

/**
 * harness_advance:
 * @self: a harness with a test clock, on which the output's task waits (and no
 *     other thread), or soon will
 * @duration: how much time goes by
 *
 * Comes back when all is done that was due until then.
 */
void
harness_advance (Harness * self, GstClockTime duration)
{
  GstClockTime end = gst_clock_get_time (GST_CLOCK (self->clock)) + duration;

  while (process_next (self, end));
  gst_test_clock_set_time (self->clock, end);
}

/**
 * harness_push:
 * @self: a harness with an appsrc named `in`
 * @pts: of a buffer
 * @size: of it, in bytes
 * @flags: of it
 *
 * Gives it to the source. It holds a quiet noise of sorts.
 */
void
harness_push (Harness * self, GstClockTime pts, gsize size,
    GstBufferFlags flags)
{
  GstElement *source = harness_get_element (self, "in");
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, size, NULL);
  GstFlowReturn ret;

  gst_buffer_memset (buffer, 0, 0x11, size);
  GST_BUFFER_PTS (buffer) = pts;
  GST_BUFFER_FLAG_SET (buffer, flags);
  g_signal_emit_by_name (source, "push-buffer", buffer, &ret);
  g_assert_cmpint (ret, ==, GST_FLOW_OK);
  gst_buffer_unref (buffer);
  gst_object_unref (source);
}

/**
 * harness_push_event:
 * @self: a harness with an appsrc named `in`
 * @event: (transfer full): to leave it after what was given to it before
 */
void
harness_push_event (Harness * self, GstEvent * event)
{
  GstElement *source = harness_get_element (self, "in");

  g_assert_true (gst_element_send_event (source, event));
  gst_object_unref (source);
}

/**
 * harness_push_eos:
 * @self: a harness with an appsrc named `in`
 */
void
harness_push_eos (Harness * self)
{
  GstElement *source = harness_get_element (self, "in");
  GstFlowReturn ret;

  g_signal_emit_by_name (source, "end-of-stream", &ret);
  g_assert_cmpint (ret, ==, GST_FLOW_OK);
  gst_object_unref (source);
}

/* --- messages and conditions --------------------------------------------- */

static gboolean
matches (GstMessage * message, GstMessageType types, const gchar * name)
{
  return (GST_MESSAGE_TYPE (message) & types) && (name == NULL
      || gst_message_has_name (message, name));
}

static void
fail_on_error (GstMessage * message)
{
  g_autoptr (GError) error = NULL;
  g_autofree gchar *debug = NULL;

  gst_message_parse_error (message, &error, &debug);
  g_test_message ("%s: %s", GST_OBJECT_NAME (GST_MESSAGE_SRC (message)), debug);
  g_assert_no_error (error);
}

static GstMessage *
keep (Harness * self, GstMessage * message)
{
  g_ptr_array_add (self->messages, message);
  return message;
}

/**
 * harness_wait_message:
 * @self: a harness
 * @types: one of these
 * @name: (nullable): of its structure
 * @timeout_ms: at most so long
 *
 * Takes messages off the bus until the one comes; an error not waited for fails
 * the test. All are kept.
 *
 * Returns: (transfer full) (nullable): it
 */
GstMessage *
harness_wait_message (Harness * self, GstMessageType types,
    const gchar * name, guint timeout_ms)
{
  gint64 end = g_get_monotonic_time () + timeout_ms * G_GINT64_CONSTANT (1000);

  for (;;) {
    gint64 left = MAX (end - g_get_monotonic_time (), 0);
    GstMessage *message = gst_bus_timed_pop (self->bus, left * GST_USECOND);

    if (message == NULL)
      return NULL;
    keep (self, message);
    if (matches (message, types, name))
      return gst_message_ref (message);
    if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR)
      fail_on_error (message);
  }
}

/**
 * harness_wait_error:
 * @self: a harness
 * @domain: of the error
 * @code: of the error
 *
 * Returns: (transfer full): the first error on the bus, which is that one
 */
GstMessage *
harness_wait_error (Harness * self, GQuark domain, gint code)
{
  GstMessage *message = harness_wait_message (self, GST_MESSAGE_ERROR, NULL,
      HARNESS_PATIENCE);
  g_autoptr (GError) error = NULL;

  g_assert_nonnull (message);
  gst_message_parse_error (message, &error, NULL);
  g_assert_error (error, domain, code);
  return message;
}

/**
 * harness_wait_connection:
 * @self: a harness
 * @state: nick of a connection state
 *
 * Until a message says so.
 */
void
harness_wait_connection (Harness * self, const gchar * state)
{
  gboolean found = FALSE;

  while (!found) {
    GstMessage *message = harness_wait_message (self, GST_MESSAGE_ELEMENT,
        "moshi-session", HARNESS_PATIENCE);

    g_assert_nonnull (message);
    found = g_strcmp0 (gst_structure_get_string (gst_message_get_structure
            (message), "state"), state) == 0;
    gst_message_unref (message);
  }
}

/**
 * harness_pop_messages:
 * @self: a harness
 *
 * Keeps what is on the bus, errors too.
 */
void
harness_pop_messages (Harness * self)
{
  GstMessage *message;

  while ((message = gst_bus_pop (self->bus)))
    keep (self, message);
}

/**
 * harness_count_messages:
 * @self: a harness
 * @types: of these
 * @name: (nullable): of their structure
 *
 * Returns: how many were on the bus so far
 */
guint
harness_count_messages (Harness * self, GstMessageType types,
    const gchar * name)
{
  guint i, n = 0;

  harness_pop_messages (self);
  for (i = 0; i < self->messages->len; i++)
    if (matches (g_ptr_array_index (self->messages, i), types, name))
      n++;
  return n;
}

/**
 * harness_wait_bytes:
 * @self: a harness
 * @track: one of its tracks
 * @bytes: at least so many
 */
void
harness_wait_bytes (Harness * self, HarnessTrack * track, guint64 bytes)
{
  gint64 end = g_get_monotonic_time () + HARNESS_PATIENCE * 1000;

  g_mutex_lock (&self->lock);
  while (track->bytes < bytes)
    g_assert_true (g_cond_wait_until (&self->cond, &self->lock, end));
  g_mutex_unlock (&self->lock);
}

/**
 * harness_wait_buffers:
 * @self: a harness
 * @track: one of its tracks, that keeps its buffers
 * @n: at least so many
 */
void
harness_wait_buffers (Harness * self, HarnessTrack * track, guint n)
{
  gint64 end = g_get_monotonic_time () + HARNESS_PATIENCE * 1000;

  g_mutex_lock (&self->lock);
  while (track->buffers->len < n)
    g_assert_true (g_cond_wait_until (&self->cond, &self->lock, end));
  g_mutex_unlock (&self->lock);
}

/**
 * harness_wait_track_eos:
 * @self: a harness
 * @track: one of its tracks
 */
void
harness_wait_track_eos (Harness * self, HarnessTrack * track)
{
  gint64 end = g_get_monotonic_time () + HARNESS_PATIENCE * 1000;

  g_mutex_lock (&self->lock);
  while (track->n_eos == 0)
    g_assert_true (g_cond_wait_until (&self->cond, &self->lock, end));
  g_mutex_unlock (&self->lock);
}

/**
 * harness_get_stats:
 * @self: a harness
 *
 * Returns: (transfer full): the `stats` of `m`
 */
GstStructure *
harness_get_stats (Harness * self)
{
  GstStructure *stats = NULL;

  g_object_get (self->moshi, "stats", &stats, NULL);
  g_assert_nonnull (stats);
  return stats;
}

/**
 * harness_get_stat:
 * @self: a harness
 * @name: of a field, uint64 or uint
 *
 * Returns: its value
 */
guint64
harness_get_stat (Harness * self, const gchar * name)
{
  g_autoptr (GstStructure) stats = harness_get_stats (self);
  guint64 value = 0;
  guint small;

  if (gst_structure_get_uint (stats, name, &small))
    return small;
  g_assert_true (gst_structure_get_uint64 (stats, name, &value));
  return value;
}

/**
 * harness_wait_stat:
 * @self: a harness
 * @name: of a field
 * @at_least: what it has to come to
 *
 * Nobody tells when a statistic changes: this asks again and again.
 */
void
harness_wait_stat (Harness * self, const gchar * name, guint64 at_least)
{
  gint64 end = g_get_monotonic_time () + HARNESS_PATIENCE * 1000;

  while (harness_get_stat (self, name) < at_least) {
    if (g_get_monotonic_time () > end)
      g_error ("%s stays at %" G_GUINT64_FORMAT " and does not come to %"
          G_GUINT64_FORMAT, name, harness_get_stat (self, name), at_least);
    g_usleep (100);
  }
}

/* --- what must be true --------------------------------------------------- */

/**
 * harness_assert_contiguous:
 * @track: a track of raw audio
 * @rate: of it
 * @bytes_per_frame: of it
 * @from: the first buffer to look at
 *
 * Each buffer begins where the one before ended, to the sample: PTS and
 * duration are those of a count of samples from the first one, within a
 * nanosecond of rounding. Only the first may be DISCONT.
 *
 * Returns: frames in all of them
 */
guint64
harness_assert_contiguous (HarnessTrack * track, guint rate,
    guint bytes_per_frame, guint from)
{
  GstClockTime first = harness_track_buffer (track, from)->pts;
  guint64 frames = 0;
  guint i;

  for (i = from; i < track->buffers->len; i++) {
    const HarnessBuffer *buffer = harness_track_buffer (track, i);
    GstClockTime begin = first + gst_util_uint64_scale_round (frames,
        GST_SECOND, rate);
    GstClockTime end;

    g_assert_cmpuint (buffer->size % bytes_per_frame, ==, 0);
    g_assert_cmpuint (buffer->size, >, 0);
    frames += buffer->size / bytes_per_frame;
    end = first + gst_util_uint64_scale_round (frames, GST_SECOND, rate);
    g_assert_cmpint (ABS (GST_CLOCK_DIFF (begin, buffer->pts)), <=, 1);
    g_assert_cmpint (ABS (GST_CLOCK_DIFF (end,
                buffer->pts + buffer->duration)), <=, 1);
    if (i > 0)
      g_assert_false (buffer->flags & GST_BUFFER_FLAG_DISCONT);
  }
  return frames;
}

/**
 * harness_assert_sweep:
 * @track: a track of S16 audio
 * @first_frame: where the answer begins in it
 * @config: of the server, voice sweep
 * @rate: of the track
 * @channels: of the track
 *
 * From there to its end the track is the sweep, sample by sample as this
 * libopus decodes it.
 */
void
harness_assert_sweep (HarnessTrack * track, gsize first_frame,
    const MoshiStandinConfig * config, guint rate, guint channels)
{
  gsize n = track->data->len / (2 * channels) - first_frame;
  g_autofree gint16 *expected = moshi_standin_sweep_expected (config->flavour,
      config->bitrate, rate, channels, n, config->seed);
  const gint16 *got = (const gint16 *) track->data->data
      + first_frame * channels;
  gsize i;

  g_assert_cmpuint (track->data->len, >, first_frame * 2 * channels);
  for (i = 0; i < n * channels; i++)
    if (got[i] != expected[i])
      g_error ("sample %" G_GSIZE_FORMAT " of the answer (frame %"
          G_GSIZE_FORMAT ") is %d and not %d", i / channels,
          first_frame + i / channels, got[i], expected[i]);
}
