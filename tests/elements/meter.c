/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How long answers take, by a clock of our own: to the microsecond, and to the
 * packet where speech is told from quiet.
 */
#include "gstmoshimeter.h"

#define FRAME 3840              /* 80 ms in ticks */
#define PACKET 960              /* 20 ms */
#define MS 1000                 /* in µs */
#define MS_NS G_GUINT64_CONSTANT (1000000)

static void
assert_reading (const GstMoshiMeter * meter, guint64 min, guint64 mean,
    guint64 p95, guint64 max)
{
  GstMoshiMeterReading reading;

  gst_moshi_meter_read (meter, &reading);
  g_assert_cmpuint (reading.min, ==, min);
  g_assert_cmpuint (reading.mean, ==, mean);
  g_assert_cmpuint (reading.p95, ==, p95);
  g_assert_cmpuint (reading.max, ==, max);
}

/* --- round trips --------------------------------------------------------- */

/* A frame counts from its last packet, whatever its length, until all of its
 * answer is there. */
static void
test_frames (gconstpointer data)
{
  const guint packet = GPOINTER_TO_UINT (data);
  GstMoshiMeter meter;
  guint64 sent;

  gst_moshi_meter_reset (&meter);
  assert_reading (&meter, 0, 0, 0, 0);
  for (sent = packet; sent < FRAME; sent += packet)
    gst_moshi_meter_sent (&meter, sent, 1 * MS);
  gst_moshi_meter_sent (&meter, sent, 5 * MS);
  gst_moshi_meter_received (&meter, FRAME - 1, 20 * MS);
  assert_reading (&meter, 0, 0, 0, 0);
  gst_moshi_meter_received (&meter, FRAME, 35 * MS);
  assert_reading (&meter, 30 * MS_NS, 30 * MS_NS, 30 * MS_NS, 30 * MS_NS);
  gst_moshi_meter_received (&meter, FRAME, 99 * MS);
  assert_reading (&meter, 30 * MS_NS, 30 * MS_NS, 30 * MS_NS, 30 * MS_NS);
}

static void
test_mean (void)
{
  static const guint times[] = { 10, 20, 60 };
  GstMoshiMeter meter;
  guint i;

  gst_moshi_meter_reset (&meter);
  for (i = 0; i < G_N_ELEMENTS (times); i++) {
    gst_moshi_meter_sent (&meter, (i + 1) * FRAME, i * 100 * MS);
    gst_moshi_meter_received (&meter, (i + 1) * FRAME,
        (i * 100 + times[i]) * MS);
  }
  assert_reading (&meter, 10 * MS_NS, 30 * MS_NS, 60 * MS_NS, 60 * MS_NS);
}

/* Several frames at once, as a file gives them, are as many marks. */
static void
test_burst (void)
{
  GstMoshiMeter meter;

  gst_moshi_meter_reset (&meter);
  gst_moshi_meter_sent (&meter, 10 * FRAME, 0);
  gst_moshi_meter_received (&meter, 3 * FRAME, 10 * MS);
  g_assert_cmpuint (meter.count, ==, 3);
  gst_moshi_meter_received (&meter, 10 * FRAME, 20 * MS);
  g_assert_cmpuint (meter.count, ==, 10);
  assert_reading (&meter, 10 * MS_NS, 17 * MS_NS, 20 * MS_NS, 20 * MS_NS);
}

/* What the old session was asked nobody answers; the frames of the new one are
 * counted from where it begins. */
static void
test_new_session (void)
{
  GstMoshiMeter meter;

  gst_moshi_meter_reset (&meter);
  gst_moshi_meter_sent (&meter, FRAME + PACKET, 0);
  gst_moshi_meter_new_session (&meter, FRAME + PACKET);
  gst_moshi_meter_received (&meter, FRAME + PACKET, 1000 * MS);
  g_assert_cmpuint (meter.count, ==, 0);
  gst_moshi_meter_sent (&meter, 2 * FRAME, 1000 * MS);
  gst_moshi_meter_sent (&meter, 2 * FRAME + PACKET, 1010 * MS);
  gst_moshi_meter_received (&meter, 2 * FRAME + PACKET, 1050 * MS);
  assert_reading (&meter, 40 * MS_NS, 40 * MS_NS, 40 * MS_NS, 40 * MS_NS);
}

/* A server that is silent for an hour: the oldest marks stay, and the frames
 * after it are measured as they were before. */
static void
test_no_answers (void)
{
  GstMoshiMeter meter;
  guint i;

  gst_moshi_meter_reset (&meter);
  for (i = 1; i <= 45000; i++)
    gst_moshi_meter_sent (&meter, (guint64) i * FRAME, i * 80 * MS);
  gst_moshi_meter_received (&meter, G_GUINT64_CONSTANT (45000) * FRAME,
      G_GINT64_CONSTANT (3600000) * MS);
  g_assert_cmpuint (meter.count, ==, GST_MOSHI_METER_MARKS);
  g_assert_cmpuint (meter.max, ==, G_GUINT64_CONSTANT (3600000000) - 80000);
  gst_moshi_meter_sent (&meter, G_GUINT64_CONSTANT (45001) * FRAME,
      G_GINT64_CONSTANT (3600000) * MS);
  gst_moshi_meter_received (&meter, G_GUINT64_CONSTANT (45001) * FRAME,
      G_GINT64_CONSTANT (3600001) * MS);
  g_assert_cmpuint (meter.count, ==, GST_MOSHI_METER_MARKS + 1);
  g_assert_cmpuint (meter.min, ==, 1000);
}

/* 1 to 1,000 ms, once each: the percentile is 950 ms, and is told as at most a
 * bucket, 9.1 %, more. */
static void
test_p95 (void)
{
  GstMoshiMeterReading reading;
  GstMoshiMeter meter;
  guint i;

  gst_moshi_meter_reset (&meter);
  for (i = 1; i <= 1000; i++) {
    guint64 ticks = (guint64) i * FRAME;

    gst_moshi_meter_sent (&meter, ticks, 0);
    gst_moshi_meter_received (&meter, ticks, (i * 7 % 1000 + 1) * MS);
  }
  gst_moshi_meter_read (&meter, &reading);
  g_assert_cmpuint (reading.min, ==, MS_NS);
  g_assert_cmpuint (reading.max, ==, 1000 * MS_NS);
  g_assert_cmpuint (reading.mean, ==, 500500000);
  g_assert_cmpuint (reading.p95, >=, 950 * MS_NS);
  g_assert_cmpuint (reading.p95, <=, 1000 * MS_NS);
}

/* One in 25 is late: that is not the 95th percentile. One in 10 is. */
static void
test_outliers (void)
{
  GstMoshiMeterReading reading;
  GstMoshiMeter meter;
  guint i, every;

  for (every = 10; every <= 25; every += 15) {
    gst_moshi_meter_reset (&meter);
    for (i = 1; i <= 1000; i++) {
      gst_moshi_meter_sent (&meter, (guint64) i * FRAME, 0);
      gst_moshi_meter_received (&meter, (guint64) i * FRAME,
          (i % every == 0 ? 5000 : 100) * MS);
    }
    gst_moshi_meter_read (&meter, &reading);
    if (every == 25)
      g_assert_cmpuint (reading.p95, <=, 109100000);
    else
      g_assert_cmpuint (reading.p95, ==, 5000 * MS_NS);
  }
}

/* No time is too short or too long; a clock that stood still gives none. */
static void
test_extremes (void)
{
  GstMoshiMeter meter;

  gst_moshi_meter_reset (&meter);
  gst_moshi_meter_sent (&meter, FRAME, 50);
  gst_moshi_meter_received (&meter, FRAME, 49);
  assert_reading (&meter, 0, 0, 0, 0);
  g_assert_cmpuint (meter.count, ==, 1);
  gst_moshi_meter_reset (&meter);
  gst_moshi_meter_sent (&meter, FRAME, 0);
  gst_moshi_meter_received (&meter, FRAME, G_GINT64_CONSTANT (100000000000000));
  assert_reading (&meter, G_GUINT64_CONSTANT (100000000000000000),
      G_GUINT64_CONSTANT (100000000000000000),
      G_GUINT64_CONSTANT (100000000000000000),
      G_GUINT64_CONSTANT (100000000000000000));
}

/* --- responses ----------------------------------------------------------- */

/* A conversation in packets of 20 ms, both sides from time 0 on: `#` is speech,
 * `.` quiet, a number before it repeats it. */
typedef struct
{
  const gchar *name;
  const gchar *user;
  const gchar *moshi;
  guint responses;
  guint last;                   /* ms */
  guint mean;
  guint max;
} Talk;

static const Talk talks[] = {
  {"simple", "10.20#50.", "30.10.10#", 1, 200, 200, 200},
  {"at-once", "10.20#50.", "30.1.10#", 1, 20, 20, 20},
  {"shortest-utterance", "10.8#50.", "40.#", 1, 440, 440, 440},
  {"click", "10.7#50.", "40.#", 0, 0, 0, 0},
  /* Clicks do not add up to an utterance: they are a second apart. */
  {"clicks", "7#50.7#50.7#50.", "120.30.20#", 0, 0, 0, 0},
  /* A pause for breath does not end it, a longer one begins another. */
  {"pause", "20#29.20#40.", "20.60.10#", 1, 220, 220, 220},
  {"pause-in-the-way", "4#29.4#40.", "60.10#", 1, 460, 460, 460},
  {"pause-too-long", "4#31.4#40.", "60.10#", 0, 0, 0, 0},
  /* A cough after the question is not what is answered. */
  {"cough", "20#40.2#40.", "70.10#", 1, 1000, 1000, 1000},
  {"interrupts", "60#40.", "50.50#", 0, 0, 0, 0},
  {"once", "20#80.", "30.10#20.10#20.", 1, 200, 200, 200},
  /* Its own pauses are no new beginning. */
  {"goes-on-talking", "20.20#60.", "10#14.26#14.20#", 0, 0, 0, 0},
  {"answers-after-own-speech", "20.20#60.", "30#15.10#", 1, 100, 100, 100},
  {"too-late", "20#500.20.", "521.10#", 0, 0, 0, 0},
  {"just-in-time", "20#500.20.", "520.10#", 1, 10000, 10000, 10000},
  {"three", "20#80.20#80.20#80.", "25.5#110.5#92.5#", 3, 340, 280, 400},
};

static gchar *
expand (const gchar * pattern)
{
  GString *out = g_string_new (NULL);
  guint n = 0;

  for (; *pattern; pattern++) {
    if (g_ascii_isdigit (*pattern)) {
      n = n * 10 + *pattern - '0';
      continue;
    }
    for (n = MAX (n, 1); n > 0; n--)
      g_string_append_c (out, *pattern);
  }
  return g_string_free (out, FALSE);
}

/* The answers come 60 ms after the time they are stamped with, as they do. */
static void
converse (GstMoshiMeter * meter, const Talk * talk)
{
  g_autofree gchar *user = expand (talk->user);
  g_autofree gchar *moshi = expand (talk->moshi);
  gboolean user_talks = TRUE, moshi_talks = TRUE;
  gint i;

  for (i = 0; user_talks || moshi_talks; i++) {
    user_talks = user_talks && user[i] != '\0';
    if (user_talks)
      gst_moshi_meter_heard (meter, user[i] == '#', PACKET,
          (guint64) (i + 1) * 20 * MS_NS);
    if (i < 3)
      continue;
    moshi_talks = moshi_talks && moshi[i - 3] != '\0';
    if (moshi_talks)
      gst_moshi_meter_said (meter, moshi[i - 3] == '#', PACKET,
          (guint64) (i - 3) * 20 * MS_NS);
  }
}

static void
test_response (gconstpointer data)
{
  const Talk *talk = data;
  GstMoshiMeterReading reading;
  GstMoshiMeter meter;

  gst_moshi_meter_reset (&meter);
  converse (&meter, talk);
  gst_moshi_meter_read (&meter, &reading);
  g_assert_cmpuint (reading.responses, ==, talk->responses);
  g_assert_cmpuint (reading.response, ==, talk->last * MS_NS);
  g_assert_cmpuint (reading.response_mean, ==, talk->mean * MS_NS);
  g_assert_cmpuint (reading.response_max, ==, talk->max * MS_NS);
}

/* -42 dBFS is a root mean square of 260 in 32,768. */
static void
test_level (void)
{
  gint16 s16[480];
  gfloat f32[480];
  guint i, level;

  for (level = 259; level <= 261; level += 2) {
    for (i = 0; i < G_N_ELEMENTS (s16); i++) {
      s16[i] = i % 2 ? (gint) level : -(gint) level;
      f32[i] = s16[i] / 32768.0f;
    }
    g_assert_true (gst_moshi_is_loud (s16, 480, FALSE) == (level > 260));
    g_assert_true (gst_moshi_is_loud (f32, 480, TRUE) == (level > 260));
  }
  for (i = 0; i < G_N_ELEMENTS (s16); i++)
    s16[i] = G_MININT16;
  g_assert_true (gst_moshi_is_loud (s16, 480, FALSE));
  g_assert_false (gst_moshi_is_loud (s16, 0, FALSE));
}

int
main (int argc, char **argv)
{
  guint i;

  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/meter/frames/20", GUINT_TO_POINTER (PACKET),
      test_frames);
  g_test_add_data_func ("/meter/frames/60", GUINT_TO_POINTER (2880),
      test_frames);
  g_test_add_data_func ("/meter/frames/2.5", GUINT_TO_POINTER (120),
      test_frames);
  g_test_add_func ("/meter/mean", test_mean);
  g_test_add_func ("/meter/burst", test_burst);
  g_test_add_func ("/meter/new-session", test_new_session);
  g_test_add_func ("/meter/no-answers", test_no_answers);
  g_test_add_func ("/meter/p95", test_p95);
  g_test_add_func ("/meter/outliers", test_outliers);
  g_test_add_func ("/meter/extremes", test_extremes);
  g_test_add_func ("/meter/level", test_level);
  for (i = 0; i < G_N_ELEMENTS (talks); i++) {
    g_autofree gchar *path = g_strconcat ("/meter/response/", talks[i].name,
        NULL);

    g_test_add_data_func (path, &talks[i], test_response);
  }
  return g_test_run ();
}
