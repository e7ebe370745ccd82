/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How long the plugin itself holds a packet, each way, in microseconds: from the
 * push of its last sample into `sink` to its message at a server in another
 * process; and from that server's sending the answer to the buffer that leaves
 * `src`, with latency=0. Beside it, in the same run, a bare libsoup client that
 * sends as much at the same pace. See docs/performance.md.
 *
 *   bench-delay [--seconds=S] SPEECH N...
 *
 * The clock is the machine's own, the same in all processes; the stamps of the
 * server are in memory that they share.
 */
#include "measure.h"

#include <gst/gst.h>
#include <libsoup/soup.h>
#include <opus/opus.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

#define MAX_SESSIONS 64
#define MAX_PACKETS 4096
#define N_PACKETS 250           /* different ones */

/* What is no longer is a page with a packet of silence, or of next to nothing. */
#define SILENCE 40

/* One conversation's times in µs, by the number of the packet in it */
typedef struct
{
  gint64 given[MAX_PACKETS];    /* to the client's sink, or to libsoup */
  gint64 heard[MAX_PACKETS];    /* by the server, which answers at once */
  gint64 taken[MAX_PACKETS];    /* from the client's src, or from libsoup */
  guint n_given;
  guint n_heard;
  gint n_taken;
} Times;

typedef struct
{
  gint port;
  gint n_connections;           /* sessions are told apart by their order */
  Times times[MAX_SESSIONS];
} Shared;

typedef struct
{
  guint index;
  SoupWebsocketConnection *ws;
  GstElement *pipeline;
  GstElement *moshi;
  GstPad *feed;
  GstPad *take;
  GstClockTime next;
  gint ready;
} Client;

static Shared *shared;
static Client clients[MAX_SESSIONS];
static guint n_clients;
static GBytes *packets[N_PACKETS];
static gint16 *speech;
static gsize n_frames;
static gint seconds = 10;

static GOptionEntry options[] = {
  {"seconds", 0, 0, G_OPTION_ARG_INT, &seconds, "How long to measure", "S"},
  {NULL}
};

/* --- the server ---------------------------------------------------------- */

static void
on_heard (SoupWebsocketConnection * connection, gint type, GBytes * message,
    gpointer user_data)
{
  Times *times = user_data;
  const guint8 *data = g_bytes_get_data (message, NULL);

  if (data[0] != 1)
    return;
  if (g_bytes_get_size (message) > SILENCE && times->n_heard < MAX_PACKETS)
    times->heard[times->n_heard++] = g_get_monotonic_time ();
  soup_websocket_connection_send_message (connection,
      SOUP_WEBSOCKET_DATA_BINARY, message);
}

static void
on_connection (SoupServer * server, SoupServerMessage * message,
    const char *path, SoupWebsocketConnection * connection, gpointer user_data)
{
  guint i = atoi (path + 1);

  g_signal_connect (g_object_ref (connection), "message",
      G_CALLBACK (on_heard), &shared->times[i % MAX_SESSIONS]);
  soup_websocket_connection_send_binary (connection, "\0", 1);
}

static void
serve (void)
{
  SoupServer *server = soup_server_new (NULL, NULL);
  g_autoptr (GError) error = NULL;
  GSList *uris;

  prctl (PR_SET_PDEATHSIG, SIGKILL);
  soup_server_add_websocket_handler (server, NULL, NULL, NULL, on_connection,
      NULL, NULL);
  if (!soup_server_listen_local (server, 0, SOUP_SERVER_LISTEN_IPV4_ONLY,
          &error))
    g_error ("%s", error->message);
  uris = soup_server_get_uris (server);
  g_atomic_int_set (&shared->port, g_uri_get_port (uris->data));
  g_main_loop_run (g_main_loop_new (NULL, FALSE));
}

static pid_t
start_server (void)
{
  pid_t pid = fork ();

  if (pid == 0)
    serve ();
  measure_patience ("server");
  while (g_atomic_int_get (&shared->port) == 0)
    g_usleep (1000);
  measure_patience (NULL);
  return pid;
}

static gchar *
make_uri (guint i)
{
  return g_strdup_printf ("ws://127.0.0.1:%d/%u", shared->port, i);
}

static void
note_given (Client * self)
{
  Times *times = &shared->times[self->index];

  if (times->n_given < MAX_PACKETS)
    times->given[times->n_given++] = g_get_monotonic_time ();
}

static void
note_taken (Client * self)
{
  Times *times = &shared->times[self->index];
  gint n = g_atomic_int_add (&times->n_taken, 1);

  if (n < MAX_PACKETS)
    times->taken[n] = g_get_monotonic_time ();
}

/* --- bare libsoup -------------------------------------------------------- */

static void
on_echo (SoupWebsocketConnection * ws, gint type, GBytes * message,
    gpointer user_data)
{
  Client *self = user_data;
  const guint8 *data = g_bytes_get_data (message, NULL);

  if (data[0] == 1)
    note_taken (self);
  else
    self->ready = TRUE;
}

static void
on_connected (GObject * source, GAsyncResult * result, gpointer user_data)
{
  Client *self = user_data;
  g_autoptr (GError) error = NULL;

  self->ws = soup_session_websocket_connect_finish (SOUP_SESSION (source),
      result, &error);
  g_assert_no_error (error);
  g_signal_connect (self->ws, "message", G_CALLBACK (on_echo), self);
}

static void
start_soup (Client * self, SoupSession * session)
{
  g_autofree gchar *uri = make_uri (self->index);
  g_autoptr (SoupMessage) message = soup_message_new ("GET", uri);

  soup_session_websocket_connect_async (session, message, NULL, NULL,
      G_PRIORITY_DEFAULT, NULL, on_connected, self);
  while (!self->ready)
    g_main_context_iteration (NULL, TRUE);
}

static void
feed_soup (Client * self, guint k)
{
  GByteArray *message = g_byte_array_new ();
  GBytes *packet = packets[k % N_PACKETS];

  g_byte_array_append (message, (const guint8 *) "\1", 1);
  g_byte_array_append (message, g_bytes_get_data (packet, NULL),
      g_bytes_get_size (packet));
  note_given (self);
  soup_websocket_connection_send_binary (self->ws, message->data, message->len);
  g_byte_array_unref (message);
}

static gboolean
dispatch (GSource * source, GSourceFunc callback, gpointer user_data)
{
  g_source_set_ready_time (source, -1);
  return callback (user_data);
}

static gboolean
on_time (gpointer user_data)
{
  *(gboolean *) user_data = TRUE;
  return G_SOURCE_CONTINUE;
}

static void
wait_soup (gint64 until)
{
  static GSourceFuncs funcs = { NULL, NULL, dispatch, NULL };
  static GSource *timer;
  static gboolean due;

  if (timer == NULL) {
    timer = g_source_new (&funcs, sizeof (GSource));
    g_source_set_callback (timer, on_time, &due, NULL);
    g_source_attach (timer, NULL);
  }
  due = FALSE;
  g_source_set_ready_time (timer, until);
  while (!due)
    g_main_context_iteration (NULL, TRUE);
}

/* --- the element --------------------------------------------------------- */

static gboolean opus;           /* through as it is, or encoded and decoded */

static gboolean
answer_query (GstPad * pad, GstObject * parent, GstQuery * query)
{
  if (GST_QUERY_TYPE (query) != GST_QUERY_LATENCY)
    return FALSE;
  gst_query_set_latency (query, TRUE, 0, GST_CLOCK_TIME_NONE);
  return TRUE;
}

static GstCaps *
make_caps (void)
{
  return gst_caps_from_string (opus ?
      "audio/x-opus,channel-mapping-family=0,channels=1,rate=48000" :
      "audio/x-raw,format=S16LE,layout=interleaved,rate=24000,channels=1");
}

static gboolean
take_query (GstPad * pad, GstObject * parent, GstQuery * query)
{
  g_autoptr (GstCaps) caps = NULL;

  if (GST_QUERY_TYPE (query) != GST_QUERY_CAPS)
    return gst_pad_query_default (pad, parent, query);
  caps = make_caps ();
  gst_query_set_caps_result (query, caps);
  return TRUE;
}

/* An answer, and no silence: what is Opus is longer than a packet of that. */
static GstFlowReturn
take (GstPad * pad, GstObject * parent, GstBuffer * buffer)
{
  if (opus ? gst_buffer_get_size (buffer) > 8 :
      !GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_GAP))
    note_taken (gst_pad_get_element_private (pad));
  gst_buffer_unref (buffer);
  return GST_FLOW_OK;
}

static gboolean
take_event (GstPad * pad, GstObject * parent, GstEvent * event)
{
  gst_event_unref (event);
  return TRUE;
}

static void
link_pads (Client * self)
{
  GstPad *sink = gst_element_get_static_pad (self->moshi, "sink");
  GstPad *src = gst_element_get_static_pad (self->moshi, "src");

  self->feed = gst_pad_new ("feed", GST_PAD_SRC);
  gst_pad_set_query_function (self->feed, answer_query);
  gst_pad_set_active (self->feed, TRUE);
  gst_pad_link_full (self->feed, sink, GST_PAD_LINK_CHECK_NOTHING);
  self->take = gst_pad_new ("take", GST_PAD_SINK);
  gst_pad_set_element_private (self->take, self);
  gst_pad_set_chain_function (self->take, take);
  gst_pad_set_event_function (self->take, take_event);
  gst_pad_set_query_function (self->take, take_query);
  gst_pad_set_active (self->take, TRUE);
  gst_pad_link_full (src, self->take, GST_PAD_LINK_CHECK_NOTHING);
  gst_object_unref (sink);
  gst_object_unref (src);
}

static gboolean
is_ready (Client * self)
{
  g_autoptr (GstStructure) stats = NULL;
  guint n = 0;

  g_object_get (self->moshi, "stats", &stats, NULL);
  gst_structure_get_uint (stats, "sessions", &n);
  return n > 0;
}

static void
start_element (Client * self)
{
  g_autofree gchar *uri = make_uri (self->index);
  g_autoptr (GstCaps) caps = make_caps ();
  GstSegment segment;

  self->pipeline = gst_pipeline_new (NULL);
  self->moshi = gst_element_factory_make ("moshi", NULL);
  g_assert_nonnull (self->moshi);
  g_object_set (self->moshi, "uri", uri, "latency", 0, NULL);
  gst_bin_add (GST_BIN (self->pipeline), self->moshi);
  link_pads (self);
  gst_element_set_state (self->pipeline, GST_STATE_PLAYING);
  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_pad_push_event (self->feed, gst_event_new_stream_start ("speech"));
  gst_pad_push_event (self->feed, gst_event_new_caps (caps));
  gst_pad_push_event (self->feed, gst_event_new_segment (&segment));
  while (!is_ready (self))
    g_usleep (1000);
  self->next = GST_CLOCK_TIME_NONE;
}

static void
feed_element (Client * self, guint k)
{
  GstBuffer *buffer = opus ? gst_buffer_new_wrapped_bytes (packets[k
          % N_PACKETS]) : gst_buffer_new_wrapped_full
      (GST_MEMORY_FLAG_READONLY, speech + k % n_frames * MEASURE_FRAME,
      MEASURE_FRAME * 2, 0, MEASURE_FRAME * 2, NULL, NULL);

  if (!GST_CLOCK_TIME_IS_VALID (self->next))
    self->next = gst_element_get_current_running_time (self->moshi)
        - 20 * GST_MSECOND;
  GST_BUFFER_PTS (buffer) = self->next;
  GST_BUFFER_DURATION (buffer) = 20 * GST_MSECOND;
  self->next += 20 * GST_MSECOND;
  note_given (self);
  gst_pad_push (self->feed, buffer);
}

/* --- one measurement ----------------------------------------------------- */

static void
print_quantiles (const gchar * name, GArray * values)
{
  g_print ("%s-p50 %.1f\n", name, measure_quantile (values, 0.5));
  g_print ("%s-p99 %.1f\n", name, measure_quantile (values, 0.99));
}

/* The time from each of @to back to the last of @from before it: packets are
 * 20 ms apart, and what takes longer than that is not what is looked for. */
static void
add_delays (GArray * delays, const gint64 * from, guint n_from,
    const gint64 * to, guint n_to, guint first)
{
  guint i = 0, k;

  for (k = first; k < n_to; k++) {
    gdouble delay;

    while (i + 1 < n_from && from[i + 1] <= to[k])
      i++;
    delay = to[k] - from[i];
    if (delay >= 0)
      g_array_append_val (delays, delay);
  }
}

static void
report (guint from)
{
  g_autoptr (GArray) up = g_array_new (FALSE, FALSE, sizeof (gdouble));
  g_autoptr (GArray) down = g_array_new (FALSE, FALSE, sizeof (gdouble));
  guint i;

  for (i = 0; i < n_clients; i++) {
    const Times *times = &shared->times[i];

    add_delays (up, times->given, times->n_given, times->heard,
        times->n_heard, from);
    add_delays (down, times->heard, times->n_heard, times->taken,
        MIN (times->n_taken, MAX_PACKETS), from);
  }
  print_quantiles ("up", up);
  print_quantiles ("down", down);
}

static void
run (const gchar * kind, guint n)
{
  const gboolean soup = g_str_equal (kind, "soup");
  const guint warm = 50, last = warm + seconds * 50;
  SoupSession *session = soup_session_new_with_options ("max-conns", 1000,
      "max-conns-per-host", 1000, NULL);
  MeasureUsage a = { 0, }, b;
  gint64 begin;
  guint i, k;

  measure_patience ("connection of each client");
  n_clients = MIN (n, MAX_SESSIONS);
  opus = g_str_equal (kind, "opus");
  for (i = 0; i < n_clients; i++) {
    clients[i].index = i;
    if (soup)
      start_soup (&clients[i], session);
    else
      start_element (&clients[i]);
  }
  measure_patience (NULL);
  begin = g_get_monotonic_time () + MEASURE_FRAME_US;
  for (k = 0; k < MIN (last, MAX_PACKETS); k++) {
    if (k == warm)
      measure_usage (&a);
    for (i = 0; i < n_clients; i++) {
      gint64 due = begin + (gint64) k * MEASURE_FRAME_US
          + i * MEASURE_FRAME_US / n_clients;

      if (soup)
        wait_soup (due);
      else
        measure_sleep_until (due);
      if (soup)
        feed_soup (&clients[i], k);
      else
        feed_element (&clients[i], k);
    }
  }
  measure_usage (&b);
  if (soup)
    wait_soup (b.time + 200000);
  else
    g_usleep (200000);
  g_print ("switches %.1f\n", (b.switches - a.switches)
      / ((b.time - a.time) / 1e6) / n_clients);
  report (warm);
}

static void
make_packets (void)
{
  OpusEncoder *encoder = opus_encoder_create (24000, 1, OPUS_APPLICATION_VOIP,
      NULL);
  guint8 data[1275];
  guint i;

  opus_encoder_ctl (encoder, OPUS_SET_VBR (0));
  for (i = 0; i < N_PACKETS; i++) {
    gint size = opus_encode (encoder, speech + i % n_frames * MEASURE_FRAME,
        MEASURE_FRAME, data, sizeof data);

    packets[i] = g_bytes_new (data, size);
  }
  opus_encoder_destroy (encoder);
}

static gint
run_child (const gchar * kind, const gchar * path, const gchar * n)
{
  shared = mmap (NULL, sizeof *shared, PROT_READ | PROT_WRITE,
      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  g_assert_true (shared != MAP_FAILED);
  speech = measure_load_speech (path, &n_frames);
  start_server ();
  gst_init (NULL, NULL);
  make_packets ();
  run (kind, atoi (n));
  fflush (stdout);
  _Exit (0);
}

/* --- the table ----------------------------------------------------------- */

static GHashTable *
measure_kind (const gchar * program, const gchar * kind, const gchar * path,
    const gchar * n)
{
  g_autofree gchar *time = g_strdup_printf ("--seconds=%d", seconds);
  const gchar *argv[] = { program, time, "run", kind, path, n, NULL };

  return measure_run (argv);
}

int
main (int argc, char **argv)
{
  static const gchar *const kinds[] = { "soup", "opus", "raw" };
  static const gchar *const names[] = { "bare libsoup", "moshi, Opus as it is",
    "moshi, raw (codec in it)"
  };
  g_autoptr (GOptionContext) context = g_option_context_new ("SPEECH N...");
  g_autoptr (GError) error = NULL;
  gint i;
  guint k;

  g_option_context_add_main_entries (context, options, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error))
    g_error ("%s", error->message);
  if (argc == 5 && g_str_equal (argv[1], "run"))
    return run_child (argv[2], argv[3], argv[4]);
  if (argc < 3)
    g_error ("%s", g_option_context_get_help (context, TRUE, NULL));

  g_print ("| N | what | up p50 us | up p99 | down p50 | down p99 | "
      "switches/s |\n|--:|---|--:|--:|--:|--:|--:|\n");
  for (i = 2; i < argc; i++) {
    for (k = 0; k < G_N_ELEMENTS (kinds); k++) {
      g_autoptr (GHashTable) numbers = measure_kind (argv[0], kinds[k],
          argv[1], argv[i]);

      g_print ("| %s | %s | %.0f | %.0f | %.0f | %.0f | %.0f |\n", argv[i],
          names[k], measure_get (numbers, "up-p50"), measure_get (numbers,
              "up-p99"), measure_get (numbers, "down-p50"),
          measure_get (numbers, "down-p99"), measure_get (numbers, "switches"));
    }
  }
  return 0;
}
