/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The property `stats`: each number against what the server counts, what came
 * out, and what was done on purpose. To the sample, but where a network that
 * is none is measured.
 */
#include "pairing.h"

#include <string.h>

#define MICROPHONE_IN_HAND "appsrc name=in is-live=true format=time " \
    "max-bytes=0 caps=" CAPS
#define ENDLESS_FILE "audiotestsrc samplesperbuffer=480 ! " CAPS
#define FILE_IN_HAND "audiotestsrc samplesperbuffer=480 num-buffers=%u ! " CAPS

#define PACKET MS (20)
#define PACKET_BYTES 960

static const gchar *const no_handshake[] = { "no-handshake", NULL };

static Harness *
new_microphone (const MoshiStandinConfig * config, const gchar * properties)
{
  Harness *self = harness_new (config, MICROPHONE_IN_HAND " ! moshi name=m %s"
      SPEAKER, properties);

  pairing_use_test_clock (self);
  return self;
}

static void
start (Harness * self)
{
  harness_wait_state (self, GST_STATE_PLAYING);
  harness_wait_connection (self, "ready");
}

static GstClockTime
get_now (Harness * self)
{
  return gst_element_get_current_running_time (self->pipeline);
}

/* The first samples of a talk, a square of 1 kHz */
static void
push_tone (Harness * self, GstClockTime pts, gint16 level)
{
  GstElement *source = harness_get_element (self, "in");
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, PACKET_BYTES, NULL);
  GstFlowReturn ret;
  GstMapInfo map;
  guint i;

  gst_buffer_map (buffer, &map, GST_MAP_WRITE);
  for (i = 0; i < PACKET_BYTES / 2; i++)
    ((gint16 *) map.data)[i] = i / 12 % 2 ? level : -level;
  gst_buffer_unmap (buffer, &map);
  GST_BUFFER_PTS (buffer) = pts;
  g_signal_emit_by_name (source, "push-buffer", buffer, &ret);
  g_assert_cmpint (ret, ==, GST_FLOW_OK);
  gst_buffer_unref (buffer);
  gst_object_unref (source);
}

/* A packet of 20 ms, given when its last sample has come */
static void
speak_packet (Harness * speaker, Harness * listener, gint16 level)
{
  guint64 sent = harness_get_stat (listener, "samples-sent") + 480;
  GstClockTime now = get_now (speaker);

  harness_advance (listener, PACKET);
  push_tone (speaker, now, level);
  harness_wait_stat (listener, "samples-sent", sent);
}

/* The time goes on only when the answers are there. */
static void
wait_answers (Harness * listener)
{
  guint64 frames = harness_get_stat (listener, "samples-sent") / 1920;

  if (frames > 1)
    harness_wait_answers (listener, (frames - 1) * 1920);
}

static void
speak (Harness * self, guint n)
{
  guint i;

  for (i = 0; i < n; i++) {
    speak_packet (self, self, 300);
    wait_answers (self);
  }
}

static void
assert_stat (Harness * self, const gchar * name, guint64 expected)
{
  guint64 value = harness_get_stat (self, name);

  if (value != expected)
    g_error ("%s is %" G_GUINT64_FORMAT " and not %" G_GUINT64_FORMAT, name,
        value, expected);
}

static void
assert_same (const GstStructure * a, const GstStructure * b)
{
  gint i;

  g_assert_cmpint (gst_structure_n_fields (a), ==, gst_structure_n_fields (b));
  for (i = 0; i < gst_structure_n_fields (a); i++) {
    const gchar *name = gst_structure_nth_field_name (a, i);

    if (gst_value_compare (gst_structure_get_value (a, name),
            gst_structure_get_value (b, name)) != GST_VALUE_EQUAL)
      g_error ("%s has changed", name);
  }
}

/* --- against the server's own counters ----------------------------------- */

static gboolean
is_closed (Harness * self)
{
  GValue value = G_VALUE_INIT;
  g_autofree gchar *state = NULL;

  g_object_get_property (G_OBJECT (self->moshi), "connection-state", &value);
  state = gst_value_serialize (&value);
  g_value_unset (&value);
  return g_str_equal (state, "closed");
}

/* Until both have ended it: all that was sent before has been counted. */
static void
wait_closed (Harness * self)
{
  gint64 end = g_get_monotonic_time () + HARNESS_PATIENCE * 1000;

  g_assert_true (moshi_standin_wait_idle (self->server, HARNESS_PATIENCE));
  while (!is_closed (self)) {
    g_assert_cmpint (g_get_monotonic_time (), <, end);
    g_usleep (500);
  }
}

static void
assert_counts (Harness * self)
{
  MoshiStandinStats server;
  guint64 bytes = 0, messages = 0;
  guint i;

  moshi_standin_get_stats (self->server, &server);
  for (i = 0; i < G_N_ELEMENTS (server.messages); i++) {
    messages += server.messages[i];
    bytes += server.bytes[i];
  }
  assert_stat (self, "messages-sent", messages);
  assert_stat (self, "bytes-sent", bytes);
  assert_stat (self, "samples-sent", server.samples);
  assert_stat (self, "messages-received", server.messages_sent);
  assert_stat (self, "bytes-received", server.bytes_sent);
  assert_stat (self, "samples-received", server.frames_sent * 1920);
}

/* Ten seconds of a file: 500 packets up, and 400 ms of silence to get the last
 * answer out. */
static void
test_batch (void)
{
  MoshiStandinConfig config;
  Harness *self;

  pairing_init_config (&config, MOSHI_STANDIN_ECHO);
  config.text = "one two three four five";
  config.text_every = 1;
  self = harness_new (&config, FILE_IN_HAND " ! moshi name=m ! fakesink", 500);
  harness_play_to_eos (self);
  wait_closed (self);
  assert_counts (self);
  assert_stat (self, "samples-sent", 249600);
  assert_stat (self, "samples-received", 249600 - 1920);
  assert_stat (self, "in-flight", MS (80));
  assert_stat (self, "send-queued", 0);
  assert_stat (self, "input-unsent", 0);
  assert_stat (self, "input-filled", 0);
  assert_stat (self, "input-trimmed", 0);
  assert_stat (self, "concealed", 0);
  assert_stat (self, "trimmed", 0);
  assert_stat (self, "dropped", 0);
  assert_stat (self, "filled", 0);
  assert_stat (self, "lag", MS (160));
  assert_stat (self, "words", 5);
  assert_stat (self, "sessions", 1);
  assert_stat (self, "reconnects", 0);
  assert_stat (self, "renewals", 0);
  harness_free (self);
}

static void
play_from_start (Harness * self, GstClockTime duration)
{
  g_assert_true (gst_element_seek (self->pipeline, 1.0, GST_FORMAT_TIME,
          GST_SEEK_FLAG_FLUSH, GST_SEEK_TYPE_SET, 0, GST_SEEK_TYPE_SET,
          duration));
}

/* Twice the same file: a seek at its end begins another session, and the sums
 * go on. */
static void
test_again (void)
{
  MoshiStandinConfig config;
  Harness *self;

  pairing_init_config (&config, MOSHI_STANDIN_ECHO);
  self = harness_new (&config, ENDLESS_FILE " ! moshi name=m ! fakesink");
  harness_set_state (self, GST_STATE_PLAYING);
  harness_wait_connection (self, "ready");
  play_from_start (self, MS (2000));
  harness_wait_eos (self);
  wait_closed (self);
  play_from_start (self, MS (2000));
  harness_wait_eos (self);
  wait_closed (self);
  assert_counts (self);
  assert_stat (self, "sessions", 2);
  assert_stat (self, "reconnects", 0);
  harness_free (self);
}

/* All that the element had counted stays until it starts anew. */
static void
test_kept (void)
{
  g_autoptr (GstStructure) ended = NULL;
  g_autoptr (GstStructure) ready = NULL;
  g_autoptr (GstStructure) null = NULL;
  MoshiStandinConfig config;
  Harness *self;

  pairing_init_config (&config, MOSHI_STANDIN_ECHO);
  config.text = "one two three";
  self = harness_new (&config, FILE_IN_HAND " ! moshi name=m ! fakesink", 100);
  harness_play_to_eos (self);
  wait_closed (self);
  ended = harness_get_stats (self);
  harness_wait_state (self, GST_STATE_READY);
  ready = harness_get_stats (self);
  harness_wait_state (self, GST_STATE_NULL);
  null = harness_get_stats (self);
  assert_same (ended, ready);
  assert_same (ended, null);

  harness_play_to_eos (self);
  wait_closed (self);
  assert_stat (self, "samples-sent", 2400 * 24);
  assert_stat (self, "sessions", 1);
  assert_stat (self, "words", 3);
  harness_free (self);
}

static void
test_reconnect (void)
{
  MoshiStandinConfig config;
  Harness *self;
  guint64 before;

  pairing_init_config (&config, MOSHI_STANDIN_SILENCE);
  self = new_microphone (&config, "retry-backoff-max=1");
  start (self);
  speak (self, 20);
  before = harness_get_stat (self, "samples-sent");
  moshi_standin_drop_sessions (self->server);
  harness_wait_connection (self, "lost");
  harness_wait_connection (self, "ready");
  assert_stat (self, "sessions", 2);
  assert_stat (self, "reconnects", 1);
  assert_stat (self, "in-flight", 0);
  harness_advance (self, PACKET);
  harness_push (self, get_now (self), PACKET_BYTES, 0);
  harness_wait_stat (self, "samples-sent", before + 480);
  g_assert_true (moshi_standin_wait (self->server, MOSHI_STANDIN_HANDSHAKES, 2,
          HARNESS_PATIENCE));
  harness_free (self);
}

/* --- the input ----------------------------------------------------------- */

/* Nobody takes it: the server never begins. */
static void
test_unsent (void)
{
  MoshiStandinConfig config;
  Harness *self;
  guint i;

  pairing_init_config (&config, MOSHI_STANDIN_SILENCE);
  config.faults = no_handshake;
  self = new_microphone (&config, "handshake-timeout=0");
  harness_wait_state (self, GST_STATE_PLAYING);
  for (i = 0; i < 7; i++)
    harness_push (self, i * PACKET, PACKET_BYTES, 0);
  harness_wait_stat (self, "input-unsent", 7 * PACKET);
  assert_stat (self, "input-unsent", 7 * PACKET);
  assert_stat (self, "samples-sent", 0);
  assert_stat (self, "in-flight", 0);
  harness_free (self);
}

/* A hole of 100 ms, then a buffer that begins 60 ms before the end of the one
 * before it: filled, cut. */
static void
test_timeline (void)
{
  MoshiStandinConfig config;
  Harness *self;

  pairing_init_config (&config, MOSHI_STANDIN_SILENCE);
  self = new_microphone (&config, "");
  start (self);
  harness_push (self, 0, 5 * PACKET_BYTES, 0);
  harness_push (self, MS (200), 5 * PACKET_BYTES, 0);
  harness_push (self, MS (240), 5 * PACKET_BYTES, 0);
  harness_wait_stat (self, "samples-sent", 340 * 24);
  assert_stat (self, "samples-sent", 340 * 24);
  assert_stat (self, "input-filled", MS (100));
  assert_stat (self, "input-trimmed", MS (60));
  assert_stat (self, "input-unsent", 0);
  harness_free (self);
}

/* --- the output ---------------------------------------------------------- */

static guint64
count_gaps (Harness * self)
{
  guint64 bytes = 0;
  guint i;

  harness_lock (self);
  for (i = 0; i < self->out->buffers->len; i++) {
    const HarnessBuffer *buffer = harness_track_buffer (self->out, i);

    if (buffer->flags & GST_BUFFER_FLAG_GAP)
      bytes += buffer->size;
  }
  harness_unlock (self);
  return bytes;
}

static guint64
to_time (guint64 samples)
{
  return samples * GST_SECOND / 24000;
}

/* What is counted as filled is what came out flagged as a gap; the rest of what
 * came out is what the server said, but for what waits. */
static void
test_filled (void)
{
  MoshiStandinConfig config;
  guint64 gaps, heard;
  Harness *self;

  pairing_init_config (&config, MOSHI_STANDIN_SWEEP);
  self = new_microphone (&config, "");
  start (self);
  speak (self, 100);
  gaps = count_gaps (self) / 2;
  heard = self->out->bytes / 2 - gaps;
  assert_stat (self, "samples-received", 24 * 1920);
  assert_stat (self, "filled", to_time (gaps));
  assert_stat (self, "trimmed", 0);
  assert_stat (self, "dropped", 0);
  assert_stat (self, "concealed", 0);
  assert_stat (self, "queued", to_time (24 * 1920 - heard));
  harness_free (self);
}

/* The time stands still, so all answers wait; then they are dropped. */
static void
test_dropped (void)
{
  MoshiStandinConfig config;
  Harness *self;
  guint i;

  pairing_init_config (&config, MOSHI_STANDIN_SWEEP);
  self = new_microphone (&config, "");
  start (self);
  for (i = 0; i < 40; i++)
    harness_push (self, i * PACKET, PACKET_BYTES, 0);
  /* What comes is counted before it is queued. */
  harness_wait_stat (self, "queued", 9 * MS (80));
  assert_stat (self, "queued", 9 * MS (80));
  assert_stat (self, "samples-received", 9 * 1920);
  assert_stat (self, "in-flight", MS (80));
  g_signal_emit_by_name (self->moshi, "flush-output");
  assert_stat (self, "queued", 0);
  assert_stat (self, "dropped", 9 * MS (80));
  harness_free (self);
}

/* --- times --------------------------------------------------------------- */

/* On a loopback the server's share is nearly all of the round trip. */
static void
test_round_trip (void)
{
  MoshiStandinConfig config;
  guint64 network, mean;
  Harness *self;

  pairing_init_config (&config, MOSHI_STANDIN_SILENCE);
  self = harness_new (&config, MICROPHONE " ! moshi name=m" SPEAKER);
  harness_wait_state (self, GST_STATE_PLAYING);
  harness_wait_stat (self, "samples-received", 10 * 1920);
  harness_wait_state (self, GST_STATE_READY);
  g_assert_cmpuint (harness_get_stat (self, "round-trip-min"), >, 0);
  mean = harness_get_stat (self, "round-trip-mean");
  network = harness_get_stat (self, "network-round-trip");
#ifdef __linux__
  g_assert_cmpuint (network, >, 0);
  g_assert_cmpuint (network, <, mean);
  assert_stat (self, "server-time", mean - network);
#else
  g_assert_cmpuint (network, ==, 0);
  g_assert_cmpuint (mean, >, 0);
#endif
  harness_free (self);
}

/* The first sample of the output louder than -30 dBFS, as time */
static GstClockTime
find_loud (Harness * self)
{
  const gint16 *samples;
  gsize i = 0, n;

  harness_lock (self);
  samples = (const gint16 *) self->out->data->data;
  n = self->out->data->len / 2;
  while (i < n && ABS (samples[i]) < 1000)
    i++;
  g_assert_cmpuint (i, <, n);
  harness_unlock (self);
  return i * GST_SECOND / 24000;
}

/* A server that does not begin a session, but with the second attempt, and then
 * speaks at once. */
static void
init_slow_starter (MoshiStandinConfig * config)
{
  pairing_init_config (config, MOSHI_STANDIN_SWEEP);
  config->faults = no_handshake;
  config->fault_first = 1;
}

#define NEVER_GIVE_UP "retries=-1 retry-backoff-max=1 handshake-timeout=0"

/* The user speaks for 400 ms before there is a session; then Moshi does. The
 * response is what the output shows, to the packet that it begins in. */
static void
assert_response (Harness * speaker, Harness * listener, MoshiStandin * server)
{
  GstClockTime begin, end;
  guint64 response;
  guint i;

  harness_wait_connection (speaker, "waiting");
  end = get_now (speaker) + MS (400)
      + gst_element_get_base_time (speaker->pipeline);
  for (i = 0; i < 20; i++) {
    guint64 unsent = harness_get_stat (listener, "input-unsent") + PACKET;
    GstClockTime now = get_now (speaker);

    harness_advance (listener, PACKET);
    push_tone (speaker, now, 8000);
    harness_wait_stat (listener, "input-unsent", unsent);
  }
  moshi_standin_drop_sessions (server);
  harness_wait_connection (speaker, "ready");
  for (i = 0; i < 40; i++) {
    speak_packet (speaker, listener, 0);
    wait_answers (listener);
  }

  assert_stat (listener, "responses", 1);
  begin = find_loud (listener)
      + gst_element_get_base_time (listener->pipeline);
  g_assert_cmpuint (begin, >, end);
  response = harness_get_stat (listener, "response-time");
  g_assert_cmpuint (response, <=, begin - end);
  g_assert_cmpuint (response + MS (40), >, begin - end);
  assert_stat (listener, "response-time-mean", response);
  assert_stat (listener, "response-time-max", response);
}

static void
test_response (void)
{
  MoshiStandinConfig config;
  Harness *self;

  init_slow_starter (&config);
  self = new_microphone (&config, NEVER_GIVE_UP);
  harness_wait_state (self, GST_STATE_PLAYING);
  assert_response (self, self, self->server);
  harness_free (self);
}

/* --- from other threads -------------------------------------------------- */

typedef struct
{
  Harness *harness;
  gint stop;                    /* atomic */
  guint reads;
} Reader;

/* What is sent, waits or is gone is all there is, at any moment: with nothing
 * lost, `input-unsent` is never seen but as 0. What is counted only grows. */
static gpointer
read_stats (gpointer user_data)
{
  static const gchar *const grow[] = { "bytes-sent", "bytes-received",
    "messages-sent", "messages-received", "samples-sent", "samples-received"
  };
  Reader *self = user_data;
  guint64 last[G_N_ELEMENTS (grow)] = { 0, };
  guint i;

  while (!g_atomic_int_get (&self->stop)) {
    g_autoptr (GstStructure) stats = harness_get_stats (self->harness);
    guint64 value;

    g_assert_true (gst_structure_get_uint64 (stats, "input-unsent", &value));
    g_assert_cmpuint (value, ==, 0);
    for (i = 0; i < G_N_ELEMENTS (grow); i++) {
      g_assert_true (gst_structure_get_uint64 (stats, grow[i], &value));
      g_assert_cmpuint (value, >=, last[i]);
      last[i] = value;
    }
    self->reads++;
  }
  return NULL;
}

/* A file, as fast as it goes */
static void
test_readers (void)
{
  MoshiStandinConfig config;
  Reader reader = { NULL, };
  GThread *thread;

  pairing_init_config (&config, MOSHI_STANDIN_REPEAT_PACKETS);
  reader.harness = harness_new (&config, FILE_IN_HAND " ! moshi name=m "
      "complexity=0 ! fakesink", 6000);
  harness_set_state (reader.harness, GST_STATE_PLAYING);
  harness_wait_connection (reader.harness, "ready");
  thread = g_thread_new ("reader", read_stats, &reader);
  harness_wait_eos (reader.harness);
  wait_closed (reader.harness);
  g_atomic_int_set (&reader.stop, TRUE);
  g_thread_join (thread);
  g_assert_cmpuint (reader.reads, >, 100);
  assert_counts (reader.harness);
  harness_free (reader.harness);
}

/* --- the pair ------------------------------------------------------------ */

/* Both halves tell the same of one talk, words and all; and the listener's are
 * kept when it has gone. */
static void
test_pair (void)
{
  g_autoptr (GstStructure) speaks = NULL;
  g_autoptr (GstStructure) listens = NULL;
  MoshiStandinConfig config;
  Harness *self;

  pairing_init_config (&config, MOSHI_STANDIN_SWEEP);
  config.text = "one two three";
  config.text_every = 1;
  self = pairing_new_both (&config, MICROPHONE, "", "");
  harness_wait_state (self, GST_STATE_PLAYING);
  harness_wait_stat (self, "words", 2);
  pairing_wait_answers (self, 0, 20);
  harness_wait_state (self, GST_STATE_NULL);
  speaks = pairing_get_stats (self, "s");
  listens = pairing_get_stats (self, "m");
  assert_same (speaks, listens);
  g_assert_cmpuint (harness_get_stat (self, "words"), >=, 2);
  harness_free (self);
}

/* Two pipelines with one clock, which runs for 5 s when the second of them
 * starts: a response is not that much longer or shorter. */
static void
test_pair_response (gconstpointer data)
{
  const gboolean speaker_first = GPOINTER_TO_INT (data);
  MoshiStandinConfig config;
  MoshiStandin *server;
  Harness *speaker, *listener;

  init_slow_starter (&config);
  server = pairing_start_server (&config);
  speaker = harness_new (NULL, MICROPHONE_IN_HAND
      " ! identity name=m ! moshisink name=s " NEVER_GIVE_UP);
  pairing_call (speaker, "s", server);
  listener = pairing_new_listener ("");
  pairing_use_test_clock (listener);
  gst_pipeline_use_clock (GST_PIPELINE (speaker->pipeline),
      GST_CLOCK (listener->clock));

  harness_wait_state (speaker_first ? speaker : listener, GST_STATE_PLAYING);
  if (speaker_first)
    gst_test_clock_advance_time (listener->clock, MS (5000));
  else
    harness_advance (listener, MS (5000));
  harness_wait_state (speaker_first ? listener : speaker, GST_STATE_PLAYING);
  assert_response (speaker, listener, server);
  harness_free (listener);
  harness_free (speaker);
  moshi_standin_free (server);
}

static void
add_tests (void)
{
  g_test_add_func ("/stats/batch", test_batch);
  g_test_add_func ("/stats/again", test_again);
  g_test_add_func ("/stats/kept", test_kept);
  g_test_add_func ("/stats/reconnect", test_reconnect);
  g_test_add_func ("/stats/unsent", test_unsent);
  g_test_add_func ("/stats/timeline", test_timeline);
  g_test_add_func ("/stats/filled", test_filled);
  g_test_add_func ("/stats/dropped", test_dropped);
  g_test_add_func ("/stats/round-trip", test_round_trip);
  g_test_add_func ("/stats/response", test_response);
  g_test_add_func ("/stats/readers", test_readers);
  g_test_add_func ("/stats/pair", test_pair);
  g_test_add_data_func ("/stats/pair/response/speaker-first",
      GINT_TO_POINTER (TRUE), test_pair_response);
  g_test_add_data_func ("/stats/pair/response/listener-first",
      GINT_TO_POINTER (FALSE), test_pair_response);
}

int
main (int argc, char **argv)
{
  return harness_main (&argc, &argv, add_tests);
}
