/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * GstHarness's stress: threads that push buffers and events, set properties,
 * request the text pad and change states, all at once and as fast as they can.
 * Nothing may hang, leak or complain, and the element works afterwards. A stress
 * lasts until the server has seen enough of it, not for a time.
 */
#include <gst/check/gstharness.h>

#include "bench.h"
#include "watchdog.h"

#define CAPS "audio/x-raw,format=S16LE,layout=interleaved,rate=24000,channels=1"
#define PATIENCE 60000
#define MS(n) ((n) * GST_MSECOND)

static MoshiStandin *
serve (void)
{
  MoshiStandinConfig config;
  MoshiStandin *server;
  GError *error = NULL;

  moshi_standin_config_init (&config);
  config.voice = MOSHI_STANDIN_SWEEP;
  config.text = "words that come and come again";
  bench_forgive_libsoup ();
  server = moshi_standin_new (&config, &error);
  g_assert_no_error (error);
  moshi_standin_start (server, &error);
  g_assert_no_error (error);
  watchdog_note ("a stress");
  return server;
}

/* A harness begins to play by itself, with a clock that nobody moves: it is put
 * back first. */
static GstHarness *
new_harness (MoshiStandin * server, gboolean live)
{
  GstElement *moshi = gst_element_factory_make ("moshi", NULL);
  GstHarness *self;

  g_assert_nonnull (moshi);
  g_object_set (moshi, "uri", moshi_standin_get_uri (server), "complexity", 0,
      "retry-backoff-max", 10, "drain-timeout", 1000, NULL);
  self = gst_harness_new_with_element (gst_object_ref_sink (moshi), "sink",
      "src");
  gst_object_unref (moshi);
  g_assert_cmpint (gst_element_set_state (self->element, GST_STATE_NULL), ==,
      GST_STATE_CHANGE_SUCCESS);
  gst_harness_set_drop_buffers (self, TRUE);
  gst_harness_set_live (self, live);
  gst_harness_use_systemclock (self);
  gst_harness_set_src_caps_str (self, CAPS);
  return self;
}

/* Until so much more has been heard */
static void
wait_seconds (MoshiStandin * server, guint seconds)
{
  MoshiStandinStats stats;

  watchdog_note ("listening");
  moshi_standin_get_stats (server, &stats);
  g_assert_true (moshi_standin_wait (server, MOSHI_STANDIN_SAMPLES,
          stats.samples + seconds * 24000, PATIENCE));
}

static GstHarnessThread *
start_buffers (GstHarness * self)
{
  g_autoptr (GstCaps) caps = gst_caps_from_string (CAPS);
  g_autoptr (GstBuffer) buffer = gst_harness_create_buffer (self, 960);
  GstSegment segment;

  gst_buffer_memset (buffer, 0, 0, 960);
  GST_BUFFER_PTS (buffer) = GST_CLOCK_TIME_NONE;
  GST_BUFFER_DURATION (buffer) = MS (20);
  gst_segment_init (&segment, GST_FORMAT_TIME);
  return gst_harness_stress_push_buffer_start (self, caps, &segment, buffer);
}

static void
stop_all (GPtrArray * threads)
{
  guint i;

  for (i = 0; i < threads->len; i++)
    gst_harness_stress_thread_stop (g_ptr_array_index (threads, i));
}

/* Properties read and written, events from downstream, a text pad that comes and
 * goes */
static GPtrArray *
start_all (GstHarness * self, gboolean with_pad)
{
  GPtrArray *threads = g_ptr_array_new ();
  g_autoptr (GstEvent) reconfigure = gst_event_new_reconfigure ();
  g_autoptr (GstEvent) qos = gst_event_new_qos (GST_QOS_TYPE_UNDERFLOW, 1.0, 0,
      0);
  GstPadTemplate *template;
  GValue value = G_VALUE_INIT;

  g_value_init (&value, G_TYPE_UINT);
  g_value_set_uint (&value, 80);
  g_ptr_array_add (threads, gst_harness_stress_property_start (self, "latency",
          &value));
  g_value_unset (&value);
  g_value_init (&value, G_TYPE_INT);
  g_value_set_int (&value, 24000);
  g_ptr_array_add (threads, gst_harness_stress_property_start (self, "bitrate",
          &value));
  g_value_unset (&value);
  g_ptr_array_add (threads, gst_harness_stress_send_upstream_event_start (self,
          reconfigure));
  g_ptr_array_add (threads, gst_harness_stress_send_upstream_event_start (self,
          qos));
  if (with_pad) {
    template = gst_element_class_get_pad_template (GST_ELEMENT_GET_CLASS
        (self->element), "text");
    g_ptr_array_add (threads, gst_harness_stress_requestpad_start (self,
            template, "text", NULL, TRUE));
  }
  return threads;
}

/* The conversation goes on, and ends with an EOS. */
static void
finish (GstHarness * self)
{
  GstStructure *stats;
  guint sessions;

  watchdog_note ("the end of a stress");
  g_assert_true (gst_harness_push_event (self, gst_event_new_eos ()));
  while (TRUE) {
    g_autoptr (GstEvent) event = gst_harness_pull_event (self);

    g_assert_nonnull (event);
    if (GST_EVENT_TYPE (event) == GST_EVENT_EOS)
      break;
  }
  g_object_get (self->element, "stats", &stats, NULL);
  g_assert_true (gst_structure_get_uint (stats, "sessions", &sessions));
  g_assert_cmpuint (sessions, ==, 1);
  gst_structure_free (stats);
}

typedef struct
{
  const gchar *name;
  gboolean live;
  gboolean with_pad;
} Flow;

static const Flow flows[] = {
  {"/stress/flow/file", FALSE, FALSE},
  {"/stress/flow/live", TRUE, FALSE},
  {"/stress/text-pad/file", FALSE, TRUE},
  {"/stress/text-pad/live", TRUE, TRUE},
};

static void
test_flow (gconstpointer data)
{
  const Flow *flow = data;
  MoshiStandin *server = serve ();
  GstHarness *self = new_harness (server, flow->live);
  GstHarnessThread *buffers;
  GPtrArray *threads;

  gst_harness_play (self);
  buffers = start_buffers (self);
  threads = start_all (self, flow->with_pad);
  wait_seconds (server, 15);
  stop_all (threads);
  wait_seconds (server, 1);
  gst_harness_stress_thread_stop (buffers);
  finish (self);
  g_ptr_array_unref (threads);
  gst_harness_teardown (self);
  moshi_standin_free (server);
  watchdog_end ();
}

/* GAP events and serialized tags between the buffers, from another thread */
static void
test_events (void)
{
  MoshiStandin *server = serve ();
  GstHarness *self = new_harness (server, FALSE);
  g_autoptr (GstEvent) tag = gst_event_new_tag (gst_tag_list_new
      (GST_TAG_TITLE, "stress", NULL));
  g_autoptr (GstEvent) custom =
      gst_event_new_custom (GST_EVENT_CUSTOM_DOWNSTREAM,
      gst_structure_new_empty ("stress"));
  GstHarnessThread *threads[3];
  guint i;

  gst_harness_play (self);
  threads[0] = start_buffers (self);
  threads[1] = gst_harness_stress_push_event_start (self, tag);
  threads[2] = gst_harness_stress_push_event_start (self, custom);
  wait_seconds (server, 15);
  for (i = 0; i < G_N_ELEMENTS (threads); i++)
    gst_harness_stress_thread_stop (threads[i]);
  finish (self);
  gst_harness_teardown (self);
  moshi_standin_free (server);
  watchdog_end ();
}

/* Up and down through all states under the rest; then a whole life */
static void
test_states (void)
{
  MoshiStandin *server = serve ();
  GstHarness *self = new_harness (server, FALSE);
  GstHarnessThread *states;
  GPtrArray *threads;

  gst_harness_play (self);
  threads = start_all (self, FALSE);
  states = gst_harness_stress_statechange_start (self);
  g_assert_true (moshi_standin_wait (server, MOSHI_STANDIN_REQUESTS, 10,
          PATIENCE));
  gst_harness_stress_thread_stop (states);
  stop_all (threads);
  g_ptr_array_unref (threads);
  gst_harness_teardown (self);

  self = new_harness (server, FALSE);
  gst_harness_play (self);
  states = start_buffers (self);
  wait_seconds (server, 1);
  gst_harness_stress_thread_stop (states);
  finish (self);
  gst_harness_teardown (self);
  moshi_standin_free (server);
  watchdog_end ();
}

typedef struct
{
  GstElement *element;
  GstPadTemplate *template;
  gint *ready;                  /* atomic: how many are about to ask */
} Request;

static gpointer
request (gpointer user_data)
{
  Request *self = user_data;

  g_atomic_int_inc (self->ready);
  while (g_atomic_int_get (self->ready) < 2)
    g_thread_yield ();
  return GST_ELEMENT_GET_CLASS (self->element)->request_new_pad (self->element,
      self->template, NULL, NULL);
}

/* Of two who ask for a pad that there is one of, one gets it. */
static void
test_requests (gconstpointer name)
{
  GstElement *element = gst_object_ref_sink (gst_element_factory_make ("moshi",
          NULL));
  guint i;

  for (i = 0; i < 2000; i++) {
    gint ready = 0;
    Request self = { element, gst_element_get_pad_template (element, name),
      &ready
    };
    GThread *other = g_thread_new ("request", request, &self);
    GstPad *first = request (&self);
    GstPad *second = g_thread_join (other);

    g_assert_true ((first == NULL) != (second == NULL));
    gst_element_release_request_pad (element, first ? first : second);
  }
  gst_object_unref (element);
}

int
main (int argc, char **argv)
{
  guint i;
  int ret;

  g_test_init (&argc, &argv, NULL);
  gst_init (&argc, &argv);
  for (i = 0; i < G_N_ELEMENTS (flows); i++)
    g_test_add_data_func (flows[i].name, &flows[i], test_flow);
  g_test_add_func ("/stress/events", test_events);
  g_test_add_func ("/stress/states", test_states);
  g_test_add_data_func ("/stress/requests/text", "text", test_requests);
  g_test_add_data_func ("/stress/requests/image", "image", test_requests);
  ret = g_test_run ();
  gst_deinit ();
  return ret;
}
