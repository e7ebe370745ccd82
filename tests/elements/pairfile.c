/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * moshisink with input that is not live: played in real time, held back by a
 * server that is not there, and drained at its end.
 */
#include "pairing.h"

#include <gst/base/gstbasesink.h>

/* EOS drains: all input, its tail, every answer; the source ends after that. */
static void
test_file (gconstpointer data)
{
  const guint samples = GPOINTER_TO_UINT (data);
  MoshiStandinConfig config;
  MoshiStandinStats stats;
  g_autofree gchar *source = g_strdup_printf ("audiotestsrc num-buffers=%u "
      "samplesperbuffer=%u ! " CAPS, 24000 / samples, samples);
  guint frames;
  Harness *self;

  pairing_init_config (&config, MOSHI_STANDIN_SWEEP);
  self = pairing_new_both (&config, source, "tail=500", "");
  harness_play_to_eos (self);
  g_assert_cmpuint (self->out->n_eos, ==, 1);
  frames = harness_assert_contiguous (self->out, 24000, 2, 0);
  /* The whole took at least as long as the input and its tail. */
  g_assert_cmpuint (frames, >=, 24000 + 12000);
  pairing_assert_clean_close (self->server);
  moshi_standin_get_stats (self->server, &stats);
  g_assert_cmpuint (stats.samples, >=, 24000 + 12000);
  g_assert_cmpuint (pairing_get_stat (self, "s", "input-unsent"), ==, 0);
  g_assert_cmpuint (pairing_get_stat (self, "s", "input-trimmed"), ==, 0);
  g_assert_cmpuint (pairing_get_stat (self, "m", "samples-received"), >=,
      24000 + 12000);
  harness_free (self);
}

/* One of the threads may be waiting for the server instead: then time has to go
 * on without it. */
static void
wait_sleepers (Harness * self, guint n)
{
  gst_test_clock_timed_wait_for_multiple_pending_ids (self->clock, n, 200,
      NULL);
}

/* Time goes on by 10 ms steps; after each, both threads sleep again. */
static void
step (Harness * self, guint ms)
{
  guint i;

  for (i = 0; i < ms; i += 10) {
    wait_sleepers (self, 2);
    gst_test_clock_set_time (self->clock,
        gst_clock_get_time (GST_CLOCK (self->clock)) + MS (10));
    while (gst_test_clock_peek_next_pending_id (self->clock, NULL)) {
      GstClockID id = gst_test_clock_process_next_clock_id (self->clock);

      if (id == NULL)
        break;
      gst_clock_id_unref (id);
      wait_sleepers (self, 2);
    }
  }
}

/* What waited for the server goes at the pace of speech from then on, whatever
 * the size of its buffers: nothing makes up for the time lost. */
static void
test_late_server (gconstpointer data)
{
  const guint samples = GPOINTER_TO_UINT (data);
  g_autofree gchar *source = g_strdup_printf ("audiotestsrc "
      "samplesperbuffer=%u ! " CAPS, samples);
  static const gchar *const busy[] = { "no-handshake", NULL };
  MoshiStandinConfig config;
  Harness *self;

  pairing_init_config (&config, MOSHI_STANDIN_SWEEP);
  config.faults = busy;
  self = pairing_new_both (&config, source, "handshake-timeout=1000 retries=-1 "
      "retry-backoff-max=10", "");
  pairing_use_test_clock (self);
  harness_set_state (self, GST_STATE_PLAYING);
  harness_wait_connection (self, "waiting");
  harness_advance (self, MS (5000));
  g_assert_true (moshi_standin_set_faults (self->server, NULL, 0, NULL));
  harness_wait_connection (self, "ready");
  wait_sleepers (self, 2);
  g_assert_cmpuint (pairing_get_stat (self, "s", "samples-sent"), <=, 480 * 2);
  step (self, 1000);
  harness_wait_stat (self, "samples-sent", 24000 - 960);
  g_assert_cmpuint (pairing_get_stat (self, "s", "samples-sent"), <=,
      24000 + 960);
  harness_free (self);
}

static gboolean
has_ended (HarnessTrack * track)
{
  gboolean ended;

  harness_lock (track->harness);
  ended = track->n_eos > 0;
  harness_unlock (track->harness);
  return ended;
}

/* Nor does the tail that follows it. */
static void
test_late_tail (void)
{
  static const gchar *const busy[] = { "no-handshake", NULL };
  MoshiStandinConfig config;
  HarnessTrack *in;
  guint i;
  Harness *self;

  pairing_init_config (&config, MOSHI_STANDIN_SWEEP);
  config.faults = busy;
  self =
      pairing_new_both (&config,
      "audiotestsrc num-buffers=10 samplesperbuffer=480 " "! " CAPS,
      "handshake-timeout=1000 retries=-1 retry-backoff-max=10 " "tail=10000",
      "");
  in = harness_track (self, "s", "sink");
  pairing_use_test_clock (self);
  harness_set_state (self, GST_STATE_PLAYING);
  harness_wait_connection (self, "waiting");
  harness_advance (self, MS (5000));
  g_assert_true (moshi_standin_set_faults (self->server, NULL, 0, NULL));
  harness_wait_connection (self, "ready");
  step (self, 170);
  while (!has_ended (in))
    harness_advance (self, MS (10));
  for (i = 0; i < 10; i++)
    harness_advance (self, MS (100));
  harness_wait_stat (self, "samples-sent", 24000);
  /* A step of the model ahead, and what went by while EOS was on its way */
  g_assert_cmpuint (pairing_get_stat (self, "s", "samples-sent"), <=,
      2 * 24000);
  harness_free (self);
}

/* Opus from a file that nobody decodes on its way, in real time */
static void
test_opus (void)
{
  g_autoptr (GPtrArray) got = NULL;
  MoshiStandinConfig config;
  HarnessTrack *in;
  guint i;
  Harness *self;

  pairing_init_config (&config, MOSHI_STANDIN_SWEEP);
  config.keep_packets = 1000;
  self = harness_new (NULL, "audiotestsrc num-buffers=50 samplesperbuffer=960 "
      "! audio/x-raw,rate=48000 ! opusenc ! moshisink name=s moshisrc name=m "
      "! audio/x-opus ! fakesink");
  in = harness_track (self, "s", "sink");
  self->server = pairing_start_server (&config);
  pairing_call (self, "s", self->server);
  harness_play_to_eos (self);
  g_assert_true (moshi_standin_wait_idle (self->server, HARNESS_PATIENCE));
  got = moshi_standin_get_packets (self->server);
  g_assert_cmpuint (got->len, >=, in->buffers->len);
  for (i = 0; i < in->buffers->len; i++) {
    const HarnessBuffer *buffer = harness_track_buffer (in, i);
    gsize size;
    gconstpointer data = g_bytes_get_data (g_ptr_array_index (got, i), &size);

    g_assert_cmpmem (data, size, in->data->data + buffer->offset, buffer->size);
  }
  g_assert_cmpuint (self->out->buffers->len, >=, 25);
  for (i = 1; i < self->out->buffers->len; i++)
    g_assert_cmpint (ABS (GST_CLOCK_DIFF (harness_track_buffer (self->out,
                    i)->pts, harness_track_buffer (self->out, i - 1)->pts
                + harness_track_buffer (self->out, i - 1)->duration)), <=, 1);
  harness_free (self);
}

/* A server that takes nothing more holds the sink back; PAUSED ends that wait
 * at once and loses nothing. */
static void
test_pause_while_blocked (void)
{
  static const gchar *const faults[] = { "no-handshake", NULL };
  MoshiStandinConfig config;
  MoshiStandin *server;
  Harness *self;

  pairing_init_config (&config, MOSHI_STANDIN_SILENCE);
  server = pairing_start_server (&config);
  self = harness_new (NULL, "audiotestsrc name=m num-buffers=100 "
      "samplesperbuffer=480 ! " CAPS " ! moshisink name=s retries=-1 "
      "retry-backoff-max=10 handshake-timeout=1000");
  self->server = server;
  pairing_call (self, "s", server);
  harness_wait_state (self, GST_STATE_PLAYING);
  g_assert_true (moshi_standin_wait (server, MOSHI_STANDIN_PACKETS, 10,
          HARNESS_PATIENCE));
  moshi_standin_set_faults (server, faults, 0, NULL);
  moshi_standin_drop_sessions (server);
  harness_wait_connection (self, "lost");
  harness_wait_connection (self, "waiting");
  harness_wait_state (self, GST_STATE_PAUSED);
  harness_wait_state (self, GST_STATE_PLAYING);
  harness_wait_state (self, GST_STATE_PAUSED);
  moshi_standin_set_faults (server, NULL, 0, NULL);
  harness_play_to_eos (self);
  g_assert_cmpuint (pairing_get_stat (self, "s", "samples-sent"), >=,
      (100 - 2) * 480);
  harness_free (self);
}

/* Whether a change of state could go on now */
static gboolean
is_unlocked (Harness * self)
{
  GstElement *sink = harness_get_element (self, "s");
  gboolean unlocked = GST_BASE_SINK_PREROLL_TRYLOCK (sink);

  if (unlocked)
    GST_BASE_SINK_PREROLL_UNLOCK (sink);
  gst_object_unref (sink);
  return unlocked;
}

/* A server that never greets holds back what is said, and no change of state:
 * the lock that each needs is free, also when the sink has come to its wait. */
static void
test_states_without_server (void)
{
  static const gchar *const silent[] = { "no-handshake", NULL };
  MoshiStandinConfig config;
  gboolean unlocked = FALSE;
  Harness *self;
  guint i;

  pairing_init_config (&config, MOSHI_STANDIN_SILENCE);
  config.faults = silent;
  self = harness_new (NULL, "audiotestsrc name=m ! " CAPS " ! moshisink name=s "
      "handshake-timeout=0");
  self->server = pairing_start_server (&config);
  pairing_call (self, "s", self->server);
  harness_set_state (self, GST_STATE_PLAYING);
  harness_wait_connection (self, "waiting");
  harness_wait_state (self, GST_STATE_PLAYING);
  for (i = 0; i < 100; i++) {
    unlocked = is_unlocked (self);
    g_usleep (1000);
  }
  g_assert_true (unlocked);
  harness_wait_state (self, GST_STATE_PAUSED);
  harness_wait_state (self, GST_STATE_PLAYING);
  harness_wait_state (self, GST_STATE_NULL);
  harness_free (self);
}

static void
add_tests (void)
{
  g_test_add_data_func ("/pairfile/whole/20ms", GUINT_TO_POINTER (480),
      test_file);
  g_test_add_data_func ("/pairfile/whole/1s", GUINT_TO_POINTER (24000),
      test_file);
  g_test_add_data_func ("/pairfile/late-server/20ms", GUINT_TO_POINTER (480),
      test_late_server);
  g_test_add_data_func ("/pairfile/late-server/10s", GUINT_TO_POINTER (240000),
      test_late_server);
  g_test_add_func ("/pairfile/late-server/tail", test_late_tail);
  g_test_add_func ("/pairfile/states-without-server",
      test_states_without_server);
  g_test_add_func ("/pairfile/opus", test_opus);
  g_test_add_func ("/pairfile/pause-while-blocked", test_pause_while_blocked);
}

int
main (int argc, char **argv)
{
  return harness_main (&argc, &argv, add_tests);
}
