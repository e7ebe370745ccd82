/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A caller and Moshi, through two webrtcbins on loopback: his Opus goes to the
 * server as it is, and the server's to him. webrtcbin's types are taken by their
 * names, so that its headers are not needed.
 */
#include "harness.h"

#include "opuspackets.h"
#include "pairing.h"

#define RTP "application/x-rtp,media=audio,encoding-name=OPUS,payload=97," \
    "clock-rate=48000"

typedef struct
{
  Harness *harness;
  GstElement *caller;
  GstElement *agent;
} Call;

/* A description that a promise was kept with, to be set at both ends */
static void
set_descriptions (GstPromise * promise, const gchar * name, GstElement * local,
    GstElement * remote)
{
  const GstStructure *reply = gst_promise_get_reply (promise);
  const GValue *value = gst_structure_get_value (reply, name);

  g_assert_nonnull (value);
  g_signal_emit_by_name (local, "set-local-description",
      g_value_get_boxed (value), NULL);
  g_signal_emit_by_name (remote, "set-remote-description",
      g_value_get_boxed (value), NULL);
}

static void
on_answer (GstPromise * promise, gpointer user_data)
{
  Call *self = user_data;

  set_descriptions (promise, "answer", self->agent, self->caller);
  gst_promise_unref (promise);
}

static void
on_offer (GstPromise * promise, gpointer user_data)
{
  Call *self = user_data;

  set_descriptions (promise, "offer", self->caller, self->agent);
  gst_promise_unref (promise);
  g_signal_emit_by_name (self->agent, "create-answer", NULL,
      gst_promise_new_with_change_func (on_answer, self, NULL));
}

static void
on_negotiation_needed (GstElement * caller, gpointer user_data)
{
  g_signal_emit_by_name (caller, "create-offer", NULL,
      gst_promise_new_with_change_func (on_offer, user_data, NULL));
}

static void
on_ice_candidate (GstElement * from, guint line, const gchar * candidate,
    gpointer to)
{
  g_signal_emit_by_name (to, "add-ice-candidate", line, candidate);
}

/* Media has come: on to who waits for it */
static void
on_pad_added (GstElement * bin, GstPad * pad, gpointer user_data)
{
  GstElement *taker = user_data;
  GstPad *sink;

  if (GST_PAD_DIRECTION (pad) != GST_PAD_SRC)
    return;
  sink = gst_element_get_static_pad (taker, "sink");
  g_assert_cmpint (gst_pad_link (pad, sink), ==, GST_PAD_LINK_OK);
  gst_object_unref (sink);
}

/* The loopback address is the only one that a test may count on; nobody asks the
 * network for a router (libgssdp would also leak addresses). */
static void
use_loopback (GstElement * bin)
{
  GObject *agent = NULL, *nice = NULL;
  gboolean added = FALSE;

  g_object_get (bin, "ice-agent", &agent, NULL);
  g_assert_nonnull (agent);
  g_signal_emit_by_name (agent, "add-local-ip-address", "127.0.0.1", &added);
  g_assert_true (added);
  g_object_get (agent, "agent", &nice, NULL);
  g_object_set (nice, "upnp", FALSE, NULL);
  g_object_unref (nice);
  g_object_unref (agent);
}

static void
take_from (Harness * self, GstElement * bin, const gchar * taker)
{
  GstElement *element = harness_get_element (self, taker);

  g_signal_connect_object (bin, "pad-added", G_CALLBACK (on_pad_added), element,
      0);
  gst_object_unref (element);
}

static void
connect_call (Call * self)
{
  self->caller = harness_get_element (self->harness, "caller");
  self->agent = harness_get_element (self->harness, "agent");
  use_loopback (self->caller);
  use_loopback (self->agent);
  g_signal_connect (self->caller, "on-ice-candidate",
      G_CALLBACK (on_ice_candidate), self->agent);
  g_signal_connect (self->agent, "on-ice-candidate",
      G_CALLBACK (on_ice_candidate), self->caller);
  g_signal_connect (self->caller, "on-negotiation-needed",
      G_CALLBACK (on_negotiation_needed), self);
  take_from (self->harness, self->agent, "up");
  take_from (self->harness, self->caller, "down");
}

static gboolean
has_all (void)
{
  static const gchar *const names[] = { "webrtcbin", "nicesrc", "dtlsenc",
    "srtpenc", "rtpopuspay", "opusenc"
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (names); i++) {
    GstElementFactory *factory = gst_element_factory_find (names[i]);

    if (factory == NULL) {
      g_test_skip (names[i]);
      return FALSE;
    }
    gst_object_unref (factory);
  }
  return TRUE;
}

/* How many of @got, beginning with the first that is, are the packets of @given
 * in their order; silence may stand between them. */
static guint
count_same (GPtrArray * got, GPtrArray * given)
{
  guint i, at, n = 0, next = 0;

  for (i = 0; i < got->len; i++) {
    GBytes *packet = get_packet (got, i);

    if (is_silence (packet))
      continue;
    for (at = next; at < given->len; at++)
      if (g_bytes_equal (packet, get_packet (given, at)))
        break;
    g_assert_cmpuint (at, <, given->len);
    next = at + 1;
    n++;
  }
  return n;
}

static guint
count_sound (GPtrArray * packets)
{
  guint i, n = 0;

  for (i = 0; i < packets->len; i++)
    n += !is_silence (get_packet (packets, i));
  g_ptr_array_unref (packets);
  return n;
}

/* Until both ends have got enough to compare: how much silence there is besides
 * is for the machine to say. */
static void
wait_for_sound (Harness * self, HarnessTrack * down)
{
  guint n = 40;

  while (count_sound (moshi_standin_get_packets (self->server)) < 40)
    g_assert_true (moshi_standin_wait (self->server, MOSHI_STANDIN_PACKETS,
            ++n, HARNESS_PATIENCE));
  n = 20;
  while (count_sound (take_packets (down)) < 20)
    harness_wait_buffers (self, down, ++n);
}

/* A filter behind one webrtcbin and before it is a loop of elements, which GstBin
 * cannot sort from sinks to sources to stop them in that order. It warns, and
 * who stops all at once may wait for ever for a push into a sink that is PAUSED
 * already: the webrtcbin has to be stopped first. */
static gboolean
is_fatal (const gchar * domain, GLogLevelFlags level, const gchar * message,
    gpointer user_data)
{
  return strstr (message, "loop detected in the graph") == NULL;
}

static void
on_log (const gchar * domain, GLogLevelFlags level, const gchar * message,
    gpointer user_data)
{
  if (is_fatal (domain, level, message, user_data))
    g_log_default_handler (domain, level, message, user_data);
}

static void
forgive_loops (void)
{
  g_log_set_handler ("GStreamer", G_LOG_LEVEL_WARNING | G_LOG_FLAG_FATAL,
      on_log, NULL);
  g_test_log_set_fatal_handler (is_fatal, NULL);
}

/* The call with what stands between the agent's two ends; its element `s` speaks
 * to the server, `m` listens. */
static Harness *
new_call (const MoshiStandinConfig * config, const gchar * between)
{
  Harness *self = harness_new (NULL,
      "audiotestsrc is-live=true wave=pink-noise samplesperbuffer=960 "
      "! audio/x-raw,rate=48000,channels=1 ! opusenc name=e ! rtpopuspay pt=97 "
      "! " RTP " ! webrtcbin name=caller bundle-policy=max-bundle latency=50 "
      "rtpopusdepay name=up ! %s ! rtpopuspay pt=97 ! " RTP
      " ! webrtcbin name=agent bundle-policy=max-bundle latency=50 "
      "rtpopusdepay name=down ! fakesink async=false", between);

  self->server = pairing_start_server (config);
  pairing_call (self, strstr (between, "name=s") ? "s" : "m", self->server);
  return self;
}

static void
test_call (gconstpointer data)
{
  MoshiStandinConfig config;
  Call call = { NULL, };
  g_autoptr (GPtrArray) given = NULL;
  g_autoptr (GPtrArray) received = NULL;
  g_autoptr (GPtrArray) answered = NULL;
  g_autoptr (GPtrArray) heard = NULL;
  HarnessTrack *encoded, *down;
  Harness *self;

  if (!has_all ())
    return;
  moshi_standin_config_init (&config);
  config.voice = MOSHI_STANDIN_SWEEP;
  config.keep_packets = 10000;
  self = call.harness = new_call (&config, data);
  forgive_loops ();
  encoded = harness_track (self, "e", "src");
  down = harness_track (self, "down", "src");
  connect_call (&call);
  harness_set_state (self, GST_STATE_PLAYING);
  wait_for_sound (self, down);
  gst_element_set_state (call.agent, GST_STATE_NULL);
  harness_wait_state (self, GST_STATE_NULL);

  given = take_packets (encoded);
  received = take_received (self);
  answered = take_packets (self->out);
  heard = take_packets (down);
  g_assert_cmpuint (count_same (received, given), >=, 40);
  g_assert_cmpuint (count_same (heard, answered), >=, 20);
  gst_object_unref (call.caller);
  gst_object_unref (call.agent);
  harness_free (self);
}

static void
add_tests (void)
{
  g_test_add_data_func ("/webrtc/moshi", "moshi name=m", test_call);
  g_test_add_data_func ("/webrtc/pair",
      "moshisink name=s session=webrtc moshisrc name=m session=webrtc",
      test_call);
}

int
main (int argc, char **argv)
{
  return harness_main (&argc, &argv, add_tests);
}
