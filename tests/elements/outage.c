/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Outages. A batch goes on with the next session where the answers stopped: the
 * stand-in's sessions sing their sweep from the beginning, so each sample of the
 * output is the next of a sweep or the first of one. Live the output goes on
 * whatever happens, and what is said meanwhile is counted.
 */
#include "answers.h"

#include <stdio.h>
#include <string.h>

#define CAPS ANSWERS_CAPS
#define SECONDS 8

#define ANY G_MAXUINT

static Harness *
new_file (const MoshiStandinConfig * config, const gchar * properties)
{
  return harness_new (config,
      ANSWERS_FILE " ! moshi name=m retry-backoff-max=10 %s ! " CAPS
      " ! fakesink", SECONDS * 50, properties);
}

static void
init_config (MoshiStandinConfig * config, const gchar * const *faults)
{
  answers_init_config (config);
  config->faults = faults;
}

/* --- batch --------------------------------------------------------------- */

typedef struct
{
  const gchar *name;
  const gchar *fault;
  guint first;                  /* so many sessions meet it; 0 = all */
  const gchar *properties;
  guint reconnects;
} Row;

static const Row rows[] = {
  {"drop", "drop-after=10", 0, "", ANY},
  {"drop-once", "drop-after=10", 1, "", 1},
  {"drop-first-frame", "drop-after=1", 3, "", 3},
  {"close", "close-after=10:1000", 0, "", ANY},
  {"close-going-away", "close-after=20:1001", 1, "", 1},
  {"close-server-error", "close-after=20:1011", 1, "", 1},
  {"close-at-once", "close-at-once=1013", 2, "", 0},
  {"freeze", "freeze-after=20", 2, "idle-timeout=300", 2},
  {"freeze-at-once", "freeze-after=0", 2, "idle-timeout=300", 2},
  {"stall-and-burst", "stall=20:10", 0, "", 0},
  {"busy", "http-status=503", 3, "", 0},
  {"no-handshake", "no-handshake", 2, "handshake-timeout=100", 0},
  {"garbage", "garbage=1", 1, "idle-timeout=300", 1},
};

/* Nothing is lost and nothing is said twice, however often it happens. */
static void
test_row (gconstpointer data)
{
  const Row *row = data;
  const gchar *const faults[] = { row->fault, NULL };
  MoshiStandinConfig config;
  guint reconnects;
  Harness *self;

  init_config (&config, faults);
  config.fault_first = row->first;
  self = new_file (&config, row->properties);
  harness_play_to_eos (self);
  answers_check_batch (self, &config, SECONDS);
  reconnects = harness_get_stat (self, "reconnects");
  if (row->reconnects == ANY)
    g_assert_cmpuint (reconnects, >, 0);
  else if (strstr (row->properties, "idle-timeout"))    /* a slow machine, too */
    g_assert_cmpuint (reconnects, >=, row->reconnects);
  else
    g_assert_cmpuint (reconnects, ==, row->reconnects);
  harness_free (self);
}

/* Where no session gets any farther, trying has an end: one error, which tells
 * how far it came. */
static void
test_no_way_through (gconstpointer data)
{
  const gchar *const faults[] = { data, NULL };
  g_autoptr (GError) error = NULL;
  MoshiStandinConfig config;
  GstMessage *message;
  Harness *self;

  init_config (&config, faults);
  config.text = "What is said does not count as an answer.";
  config.text_every = 1;
  self = new_file (&config, "idle-timeout=200 retries=2");
  harness_set_state (self, GST_STATE_PLAYING);
  message = harness_wait_message (self, GST_MESSAGE_ERROR, NULL,
      HARNESS_PATIENCE);
  g_assert_nonnull (message);
  gst_message_parse_error (message, &error, NULL);
  g_test_message ("%s", error->message);
  g_assert_nonnull (strstr (error->message, "s were sent"));
  gst_message_unref (message);
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_ERROR, NULL), ==,
      1);
  g_assert_cmpuint (harness_get_stat (self, "sessions"), ==, 3);
  harness_free (self);
}

/* What the error tells of how far it came is so: there is as much output as it
 * says, and the first of it is the model's delay, which answers nothing. */
static void
test_how_far (void)
{
  const gchar *const faults[] = { "drop-after=30", NULL };
  g_autoptr (GError) error = NULL;
  gdouble sent, answered, output;
  MoshiStandinConfig config;
  GstMessage *message;
  const gchar *words;
  Harness *self;

  init_config (&config, faults);
  config.speed = 20;
  self = new_file (&config, "retries=0");
  harness_set_state (self, GST_STATE_PLAYING);
  message = harness_wait_error (self, GST_RESOURCE_ERROR,
      GST_RESOURCE_ERROR_READ);
  gst_message_parse_error (message, &error, NULL);
  gst_message_unref (message);
  harness_wait_track_eos (self, self->out);
  g_test_message ("%s", error->message);
  words = strstr (error->message, "Of the input");
  g_assert_nonnull (words);
  g_assert_cmpint (sscanf (words, "Of the input %lf s were sent; the answer to "
          "the first %lf s of it is out, at the end of %lf s of output.", &sent,
          &answered, &output), ==, 3);
  g_assert_cmpfloat (sent, >=, 30 * 0.08);
  g_assert_cmpfloat_with_epsilon (answered, output - 0.16, 0.011);
  g_assert_cmpfloat (output, >, 0.16);
  g_assert_cmpfloat (output, <=, self->out->bytes / 48000. + 0.006);
  harness_free (self);
}

/* The server is gone, and another stands in its place after a while. */
static void
test_restart (void)
{
  MoshiStandinConfig config;
  MoshiStandin *second;
  GError *error = NULL;
  Harness *self;

  init_config (&config, NULL);
  config.speed = 20;
  self = new_file (&config, "retries=-1");
  harness_set_state (self, GST_STATE_PLAYING);
  harness_wait_bytes (self, self->out, 48000);
  config.port = moshi_standin_get_port (self->server);
  moshi_standin_stop (self->server);
  harness_wait_connection (self, "lost");
  config.speed = 0;
  second = moshi_standin_new (&config, &error);
  g_assert_no_error (error);
  moshi_standin_start (second, &error);
  g_assert_no_error (error);
  harness_wait_eos (self);
  g_assert_cmpuint (self->out->data->len, ==, SECONDS * 48000);
  g_assert_cmpuint (answers_count_sweeps (self, &config), ==, 2);
  g_assert_cmpuint (harness_get_stat (self, "reconnects"), ==, 1);
  harness_free (self);
  moshi_standin_free (second);
}

/* --- live ---------------------------------------------------------------- */

static Harness *
new_live (const MoshiStandinConfig * config, const gchar * properties)
{
  return harness_new (config,
      ANSWERS_LIVE " ! moshi name=m retry-backoff-max=10 retries=-1 %s ! " CAPS
      " ! fakesink", properties);
}

/* A server restarts under a live conversation: the output goes on meanwhile, and
 * what is said is counted and not sent late. */
static void
test_live_restart (void)
{
  MoshiStandinConfig config;
  MoshiStandinStats stats;
  MoshiStandin *second;
  guint64 unsent;
  Harness *self;

  init_config (&config, NULL);
  self = new_live (&config, "");
  harness_set_state (self, GST_STATE_PLAYING);
  harness_wait_stat (self, "samples-received", 4800);
  config.port = moshi_standin_get_port (self->server);
  moshi_standin_stop (self->server);
  harness_wait_connection (self, "lost");
  harness_wait_stat (self, "input-unsent", 200 * GST_MSECOND);
  answers_check_live (self);
  second = moshi_standin_new (&config, NULL);
  g_assert_true (moshi_standin_start (second, NULL));
  harness_wait_connection (self, "ready");
  unsent = harness_get_stat (self, "input-unsent");
  harness_wait_stat (self, "sessions", 2);
  g_assert_true (moshi_standin_wait (second, MOSHI_STANDIN_FRAMES_SENT, 5,
          HARNESS_PATIENCE));
  answers_check_live (self);
  /* Two frames and a bit were under way, and no more than now is sent. */
  moshi_standin_get_stats (second, &stats);
  g_assert_cmpuint (harness_get_stat (self, "input-unsent"), <=,
      unsent + 100 * GST_MSECOND);
  g_assert_cmpuint (stats.early_messages, ==, 0);
  g_assert_cmpuint (harness_get_stat (self, "reconnects"), ==, 1);
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_ERROR, NULL), ==,
      0);
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_WARNING, NULL),
      >=, 1);
  harness_free (self);
  moshi_standin_free (second);
}

static void
add_tests (void)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (rows); i++) {
    g_autofree gchar *path = g_strconcat ("/outage/batch/", rows[i].name, NULL);

    g_test_add_data_func (path, &rows[i], test_row);
  }
  g_test_add_data_func ("/outage/batch/never-answered", "freeze-after=0",
      test_no_way_through);
  g_test_add_data_func ("/outage/batch/never-read", "never-read",
      test_no_way_through);
  g_test_add_func ("/outage/batch/how-far", test_how_far);
  g_test_add_func ("/outage/batch/server-restart", test_restart);
  g_test_add_func ("/outage/live/server-restart", test_live_restart);
}

int
main (int argc, char **argv)
{
  return harness_main (&argc, &argv, add_tests);
}
