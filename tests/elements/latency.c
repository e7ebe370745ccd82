/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the LATENCY query promises is kept: whatever upstream needs, whoever
 * waits downstream, and when it changes in the middle of a talk. The clock is in
 * hand, so that a promise is kept or broken to the nanosecond.
 */
#include "pairing.h"

#include <string.h>

#define MICROPHONE_IN_HAND "appsrc name=in is-live=true format=time " \
    "max-bytes=0 caps=" CAPS
/* Waits for the time of what it gets, as sinks do */
#define SINK " ! fakesink sync=true async=false processing-deadline=0"

#define PACKET MS (20)
#define PACKET_BYTES 960

/* Samples in which the sweep is looked for: 80 ms */
#define EXCERPT 1920

/* What waits in the element at most: docs/architecture.md */
#define MOST MS (30000)

static Harness *
new_microphone (const MoshiStandinConfig * config, const gchar * rest)
{
  Harness *self = harness_new (config, MICROPHONE_IN_HAND
      " ! moshi name=m ! %s", rest);

  harness_use_test_clock (self);
  return self;
}

static void
set_upstream_latency (Harness * self, GstClockTime latency)
{
  GstElement *source = harness_get_element (self, "in");

  g_object_set (source, "min-latency", (gint64) latency, NULL);
  gst_object_unref (source);
}

static void
start (Harness * self)
{
  harness_wait_state (self, GST_STATE_PLAYING);
  harness_wait_connection (self, "ready");
}

/* n packets in step with the clock, on a network without jitter: each goes when
 * its last sample has come, and the answers come before time goes on. */
static void
speak (Harness * self, guint n)
{
  guint i;

  for (i = 0; i < n; i++) {
    guint64 sent = harness_get_stat (self, "samples-sent") + 480;
    GstClockTime now = gst_element_get_current_running_time (self->pipeline);

    harness_advance (self, PACKET);
    harness_push (self, now, PACKET_BYTES, 0);
    harness_wait_stat (self, "samples-sent", sent);
    if (sent / 1920 > 1)
      harness_wait_answers (self, (sent / 1920 - 1) * 1920);
  }
}

static void
parse_latency (GstQuery * query, gboolean expected_live, GstClockTime min,
    GstClockTime max)
{
  GstClockTime actual_min, actual_max;
  gboolean live;

  gst_query_parse_latency (query, &live, &actual_min, &actual_max);
  g_assert_true (live == expected_live);
  if (live) {
    g_assert_cmpuint (actual_min, ==, min);
    g_assert_cmpuint (actual_max, ==, max);
  }
}

/* The answer of a pad */
static void
assert_pad_latency (Harness * self, const gchar * element, const gchar * name,
    GstClockTime min, GstClockTime max)
{
  GstElement *owner = harness_get_element (self, element);
  GstPad *pad = gst_element_get_static_pad (owner, name);
  GstQuery *query = gst_query_new_latency ();

  g_assert_true (gst_pad_query (pad, query));
  parse_latency (query, TRUE, min, max);
  gst_query_unref (query);
  gst_object_unref (pad);
  gst_object_unref (owner);
}

static void
assert_latency (Harness * self, GstClockTime min)
{
  assert_pad_latency (self, "m", "src", min, min + MOST);
}

/* What the pipeline gives its sinks */
static void
assert_pipeline_latency (Harness * self, GstClockTime min)
{
  GstQuery *query = gst_query_new_latency ();
  GstClockTime actual;

  g_assert_true (gst_element_query (self->pipeline, query));
  gst_query_parse_latency (query, NULL, &actual, NULL);
  g_assert_cmpuint (actual, ==, min);
  gst_query_unref (query);
}

static void
set_latency (Harness * self, guint latency)
{
  GstMessage *message;

  harness_pop_messages (self);
  g_object_set (self->moshi, "latency", latency, NULL);
  message = harness_wait_message (self, GST_MESSAGE_LATENCY, NULL,
      HARNESS_PATIENCE);
  g_assert_nonnull (message);
  g_assert_true (GST_MESSAGE_SRC (message) == GST_OBJECT (self->moshi));
  gst_message_unref (message);
  g_assert_true (gst_bin_recalculate_latency (GST_BIN (self->pipeline)));
}

static void
assert_nothing_lost (Harness * self)
{
  harness_lock (self);
  harness_assert_contiguous (self->out, 24000, 2, 0);
  harness_unlock (self);
  g_assert_cmpuint (harness_get_stat (self, "dropped"), ==, 0);
  g_assert_cmpuint (harness_get_stat (self, "trimmed"), ==, 0);
  g_assert_cmpuint (harness_get_stat (self, "concealed"), ==, 0);
}

/* How far the sweep is on at a place of the output, to the sample or nearly */
static gint64
locate (Harness * self, const MoshiStandinConfig * config, gsize place,
    gint64 first, gint64 last)
{
  const gint16 *samples = (const gint16 *) self->out->data->data;
  gdouble score;
  gint64 found = moshi_standin_sweep_locate (samples + place, EXCERPT, 24000,
      1, config->seed, first, last, &score);

  g_assert_cmpfloat (score, >, 0.7);
  return found;
}

/* Nothing is missing, and nothing is between two parts of the answer. The
 * playout may soften joints, and play a twentieth faster or slower, so samples
 * are not compared. */
static void
assert_whole (Harness * self, const MoshiStandinConfig * config)
{
  gint first, i;
  gsize place, end;
  gint64 at;

  assert_nothing_lost (self);
  harness_lock (self);
  first = pairing_find_answer (self->out, 0);
  g_assert_cmpint (first, >=, 0);
  for (i = first; i < (gint) self->out->buffers->len; i++)
    g_assert_false (harness_track_buffer (self->out, i)->flags
        & GST_BUFFER_FLAG_GAP);
  /* Not its first second, in which the playout finds its feet */
  place = harness_track_buffer (self->out, first)->offset / 2 + 24000;
  end = self->out->data->len / 2;
  at = locate (self, config, place, 24000 - EXCERPT, 24000 + EXCERPT);
  for (; place + 2 * EXCERPT < end; place += EXCERPT) {
    gint64 next = locate (self, config, place + EXCERPT, at + EXCERPT - 240,
        at + EXCERPT + 240);

    g_assert_cmpint (ABS (next - at - EXCERPT), <=, EXCERPT / 10);
    at = next;
  }
  harness_unlock (self);
}

/* --- what is promised ---------------------------------------------------- */

typedef struct
{
  Harness *harness;
  GstClockTime promise;
  guint n;
} Deadline;

static GstPadProbeReturn
check_deadline (GstPad * pad, GstPadProbeInfo * info, gpointer user_data)
{
  Deadline *self = user_data;
  GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER (info);
  GstClockTime now = gst_clock_get_time (GST_CLOCK (self->harness->clock))
      - gst_element_get_base_time (self->harness->pipeline);

  g_assert_cmpuint (now, <=, GST_BUFFER_PTS (buffer) + self->promise);
  self->n++;
  return GST_PAD_PROBE_OK;
}

typedef struct
{
  const gchar *name;
  guint upstream;               /* ms */
  guint latency;
} Case;

static const Case cases[] = {
  {"default", 0, 60},
  {"none", 0, 0},
  {"long", 0, 500},
  {"upstream", 35, 60},
  {"upstream-long", 700, 60},
  {"upstream-only", 35, 0},
};

/* Every buffer is there when the sink wants it, and not by chance: one that was
 * promised a nanosecond earlier would not be. */
static void
test_promise (gconstpointer data)
{
  const Case *wanted = data;
  MoshiStandinConfig config;
  Deadline deadline = { NULL, };
  GstPad *pad;
  Harness *self;

  pairing_init_config (&config, MOSHI_STANDIN_SWEEP);
  self = new_microphone (&config, CAPS SINK);
  set_upstream_latency (self, MS (wanted->upstream));
  g_object_set (self->moshi, "latency", wanted->latency, NULL);
  deadline.harness = self;
  deadline.promise = MS (wanted->upstream + wanted->latency);
  pad = gst_element_get_static_pad (self->moshi, "src");
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, check_deadline, &deadline,
      NULL);
  gst_object_unref (pad);

  start (self);
  assert_latency (self, deadline.promise);
  assert_pipeline_latency (self, deadline.promise);
  speak (self, 100);
  /* What comes before the first of the output is due is late by that, and made
   * up for by playing it faster. */
  if (deadline.promise > MS (100))
    assert_nothing_lost (self);
  else
    assert_whole (self, &config);
  g_assert_cmpuint (deadline.n, >, 20);
  harness_free (self);
}

/* Files have time. */
static void
test_batch (void)
{
  MoshiStandinConfig config;
  GstQuery *query = gst_query_new_latency ();
  GstPad *pad;
  Harness *self;

  pairing_init_config (&config, MOSHI_STANDIN_SILENCE);
  self = harness_new (&config, "audiotestsrc num-buffers=10 ! " CAPS
      " ! moshi name=m ! fakesink");
  harness_play_to_eos (self);
  pad = gst_element_get_static_pad (self->moshi, "src");
  g_assert_true (gst_pad_query (pad, query));
  parse_latency (query, FALSE, 0, 0);
  gst_object_unref (pad);
  gst_query_unref (query);
  assert_pipeline_latency (self, 0);
  harness_free (self);
}

/* A queue before the element has no say, what it can hold being of no use to
 * whoever waits behind the element; one after it can hold so much more. */
static void
test_queues (void)
{
  MoshiStandinConfig config;
  Harness *self;

  pairing_init_config (&config, MOSHI_STANDIN_SILENCE);
  self = harness_new (&config, "appsrc name=in is-live=true format=time caps="
      CAPS " ! queue max-size-time=200000000 ! moshi name=m latency=90 ! queue "
      "name=q max-size-time=150000000 ! fakesink async=false");
  set_upstream_latency (self, MS (35));
  harness_wait_state (self, GST_STATE_PLAYING);
  assert_latency (self, MS (125));
  assert_pad_latency (self, "q", "src", MS (125), MS (125) + MOST + MS (150));
  harness_free (self);
}

static void
test_text_pad (void)
{
  MoshiStandinConfig config;
  Harness *self;

  pairing_init_config (&config, MOSHI_STANDIN_SILENCE);
  self = harness_new (&config, "appsrc name=in is-live=true format=time caps="
      CAPS " ! moshi name=m ! fakesink async=false m.text ! fakesink "
      "async=false");
  set_upstream_latency (self, MS (35));
  harness_wait_state (self, GST_STATE_PLAYING);
  assert_pad_latency (self, "m", "text", MS (95), MS (95) + MOST);
  harness_free (self);
}

/* Once live it stays so, though there be nobody to ask. */
static void
test_unlinked (void)
{
  MoshiStandinConfig config;
  GstPad *pad, *peer;
  Harness *self;

  pairing_init_config (&config, MOSHI_STANDIN_SILENCE);
  self = new_microphone (&config, CAPS SINK);
  set_upstream_latency (self, MS (35));
  start (self);
  assert_latency (self, MS (95));
  pad = gst_element_get_static_pad (self->moshi, "sink");
  peer = gst_pad_get_peer (pad);
  g_assert_true (gst_pad_unlink (peer, pad));
  assert_latency (self, MS (95));
  g_assert_true (gst_bin_recalculate_latency (GST_BIN (self->pipeline)));
  gst_object_unref (peer);
  gst_object_unref (pad);
  harness_free (self);
}

/* --- who waits downstream ------------------------------------------------ */

/* Another branch of the pipeline is late by 3 s, and so the sinks are: what the
 * element has said waits in it meanwhile, and is all there in the end. */
static void
test_other_branch (void)
{
  MoshiStandinConfig config;
  Harness *self;

  pairing_init_config (&config, MOSHI_STANDIN_SWEEP);
  self =
      new_microphone (&config,
      CAPS SINK " appsrc is-live=true format=time min-latency=3000000000 "
      "caps=" CAPS SINK);
  start (self);
  assert_pipeline_latency (self, MS (3000));
  speak (self, 400);
  g_assert_cmpuint (harness_get_stat (self, "queued"), >, MS (2500));
  assert_whole (self, &config);
  g_assert_cmpuint (self->out->bytes, >, 48 * 4500);
  harness_free (self);
}

/* --- changes ------------------------------------------------------------- */

/* Up: the sinks will play everything that much later, and the output leaves so
 * much later; down: what the sinks will leave out is silence, and goes out at
 * once. Neither way is a part of the answer missing. */
static void
test_change (void)
{
  static const guint latencies[] = { 400, 90, 30, 200 };
  MoshiStandinConfig config;
  guint latency = 60;
  Harness *self;
  guint i;

  pairing_init_config (&config, MOSHI_STANDIN_SWEEP);
  self = new_microphone (&config, CAPS SINK);
  set_upstream_latency (self, MS (35));
  start (self);
  speak (self, 50);
  for (i = 0; i < G_N_ELEMENTS (latencies); i++) {
    const guint less = latency - MIN (latencies[i], latency);
    guint64 filled = harness_get_stat (self, "filled");

    latency = latencies[i];
    set_latency (self, latency);
    assert_latency (self, MS (35 + latency));
    assert_pipeline_latency (self, MS (35 + latency));
    speak (self, 50);
    assert_nothing_lost (self);
    g_assert_cmpuint (harness_get_stat (self, "filled"), <=,
        filled + MS (less + 20));
  }
  harness_free (self);
}

/* Upstream needs more, then less: the element asks and follows. When it is less
 * the stamps of what comes are nearer to now, with silence in between. */
static void
test_upstream_changes (void)
{
  MoshiStandinConfig config;
  guint64 filled;
  Harness *self;

  pairing_init_config (&config, MOSHI_STANDIN_SWEEP);
  self = new_microphone (&config, CAPS SINK);
  set_upstream_latency (self, MS (100));
  start (self);
  speak (self, 50);
  filled = harness_get_stat (self, "filled");

  set_upstream_latency (self, MS (300));
  g_assert_true (gst_bin_recalculate_latency (GST_BIN (self->pipeline)));
  assert_latency (self, MS (300 + 60));
  speak (self, 50);
  assert_nothing_lost (self);
  g_assert_cmpuint (harness_get_stat (self, "filled"), ==, filled);

  set_upstream_latency (self, MS (20));
  g_assert_true (gst_bin_recalculate_latency (GST_BIN (self->pipeline)));
  assert_latency (self, MS (20 + 60));
  speak (self, 50);
  assert_nothing_lost (self);
  g_assert_cmpuint (harness_get_stat (self, "filled"), <=, filled + MS (300));
  harness_free (self);
}

/* The listening half has a latency of its own, and none of the speaker's. */
static void
test_pair (void)
{
  MoshiStandinConfig config;
  Harness *self;

  pairing_init_config (&config, MOSHI_STANDIN_SWEEP);
  self = pairing_new_both (&config, "appsrc name=in is-live=true format=time "
      "min-latency=500000000 caps=" CAPS, "", "latency=80");
  harness_wait_state (self, GST_STATE_PLAYING);
  assert_latency (self, MS (80));
  set_latency (self, 250);
  assert_latency (self, MS (250));
  harness_free (self);
}

/* --- lip-sync ------------------------------------------------------------ */

#define TICK_EVERY 40           /* packets */
#define N_TICKS 8

/* When its answer is played, in packets after it */
#define TICK_HEARD 11

/* A tick of 20 ms, with a camera's flash at its first sample; the server repeats
 * what it hears. */
static void
push_tick (Harness * self, guint i)
{
  GstElement *source = harness_get_element (self, "in");
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, PACKET_BYTES, NULL);
  GstFlowReturn ret;
  GstMapInfo map;
  guint k;

  gst_buffer_map (buffer, &map, GST_MAP_WRITE);
  memset (map.data, 0, map.size);
  for (k = 0; i % TICK_EVERY == 0 && k < PACKET_BYTES / 2; k++)
    ((gint16 *) map.data)[k] = k / 12 % 2 ? 16000 : -16000;
  gst_buffer_unmap (buffer, &map);
  GST_BUFFER_PTS (buffer) = i * PACKET;
  g_signal_emit_by_name (source, "push-buffer", buffer, &ret);
  g_assert_cmpint (ret, ==, GST_FLOW_OK);
  gst_buffer_unref (buffer);
  gst_object_unref (source);
}

/* Where the n-th tick begins in the output */
static GstClockTime
find_tick (Harness * self, guint n)
{
  const gint16 *samples = (const gint16 *) self->out->data->data;
  const gsize size = self->out->data->len / 2;
  gsize i, quiet = 24000;

  for (i = 0; i < size; i++) {
    if (ABS (samples[i]) < 4000) {
      quiet++;
    } else if (quiet < 4800) {
      quiet = 0;
    } else if (n-- == 0) {
      return i * GST_SECOND / 24000;
    } else {
      quiet = 0;
    }
  }
  g_assert_not_reached ();
}

/* Between the flash and its sound are `lag`, as it is when the sound is played,
 * and the coders' delay: whoever delays the picture by that has them together. */
static void
test_lip_sync (void)
{
  MoshiStandinConfig config;
  guint64 lags[N_TICKS] = { 0, };
  Harness *self;
  guint i;

  pairing_init_config (&config, MOSHI_STANDIN_ECHO);
  self = new_microphone (&config, CAPS SINK);
  start (self);
  for (i = 0; i < TICK_EVERY * N_TICKS; i++) {
    harness_advance (self, PACKET);
    push_tick (self, i);
    harness_wait_stat (self, "samples-sent", (i + 1) * 480);
    if (i >= 8)
      harness_wait_answers (self, ((i + 1) / 4 - 1) * 1920);
    if (i % TICK_EVERY == TICK_HEARD)
      lags[i / TICK_EVERY] = harness_get_stat (self, "lag");
  }
  harness_lock (self);
  for (i = 0; i < N_TICKS - 1; i++) {
    GstClockTime offset = find_tick (self, i) - i * TICK_EVERY * PACKET;

    g_test_message ("tick %u: %.2f ms, lag %.2f ms", i, offset / 1e6,
        lags[i] / 1e6);
    g_assert_cmpuint (lags[i], >, 0);
    g_assert_cmpuint (offset + MS (5), >=, lags[i]);
    g_assert_cmpuint (offset, <, lags[i] + MS (25));
  }
  harness_unlock (self);
  harness_free (self);
}

static void
add_tests (void)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree gchar *path = g_strconcat ("/latency/promise/", cases[i].name,
        NULL);

    g_test_add_data_func (path, &cases[i], test_promise);
  }
  g_test_add_func ("/latency/batch", test_batch);
  g_test_add_func ("/latency/queues", test_queues);
  g_test_add_func ("/latency/text-pad", test_text_pad);
  g_test_add_func ("/latency/unlinked", test_unlinked);
  g_test_add_func ("/latency/other-branch", test_other_branch);
  g_test_add_func ("/latency/change", test_change);
  g_test_add_func ("/latency/upstream-changes", test_upstream_changes);
  g_test_add_func ("/latency/pair", test_pair);
  g_test_add_func ("/latency/lip-sync", test_lip_sync);
}

int
main (int argc, char **argv)
{
  return harness_main (&argc, &argv, add_tests);
}
