/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Renewal: one conversation over several sessions. Each of the stand-in's
 * sessions sings its sweep from the beginning, so that the output tells where
 * which session has answered, to the sample.
 */
#include "harness.h"

#include <stdio.h>
#include <string.h>

#define S16 "format=S16LE,layout=interleaved,channels=1"
#define CAPS "audio/x-raw,rate=24000," S16

#define FRAME 1920
/* The model's delay, at 24 kHz */
#define DELAY 3840
/* Of a session of 6 s: a second of margin, and whole frames */
#define LEG (62 * FRAME)

#if defined(__SANITIZE_ADDRESS__)
#define MINUTES 5
#else
#define MINUTES 60
#endif

static void
init_config (MoshiStandinConfig * config, MoshiStandinFlavour flavour,
    MoshiStandinVoice voice)
{
  moshi_standin_config_init (config);
  config->flavour = flavour;
  config->voice = voice;
  config->seed = 3;
}

static Harness *
new_file (const MoshiStandinConfig * config, guint size, guint n_buffers,
    const gchar * properties)
{
  return harness_new (config, "audiotestsrc samplesperbuffer=%u num-buffers=%u "
      "! " CAPS " ! moshi name=m %s ! " CAPS " ! fakesink", size, n_buffers,
      properties);
}

/* Silence, then answers of sessions that are `leg` samples long each, and none
 * between them that is no answer. */
static void
assert_legs (Harness * self, const MoshiStandinConfig * config, gsize leg)
{
  const gint16 *got = (const gint16 *) self->out->data->data;
  const gsize n = self->out->data->len / 2;
  g_autofree gint16 *expected = moshi_standin_sweep_expected (config->flavour,
      config->bitrate, 24000, 1, leg, config->seed);
  gsize i;

  for (i = 0; i < n; i++) {
    gint16 want = i < DELAY ? 0 : expected[(i - DELAY) % leg];

    if (got[i] != want)
      g_error ("sample %" G_GSIZE_FORMAT " is %d and not %d", i, got[i], want);
  }
}

static guint
count_legs (gsize samples, gsize leg)
{
  /* The silence that fetches the last answers goes to a session, too. */
  return (samples + 5 * FRAME + leg - 1) / leg;
}

/* One that was opened to follow and is not needed is a session for the server;
 * when it was still being opened, one that is gone without a close frame. */
static void
assert_polite (Harness * self, guint sessions)
{
  MoshiStandinStats stats;

  g_assert_true (moshi_standin_wait_idle (self->server, HARNESS_PATIENCE));
  moshi_standin_get_stats (self->server, &stats);
  g_assert_cmpuint (stats.handshakes, >=, sessions);
  g_assert_cmpuint (stats.handshakes, <=, sessions + 1);
  g_assert_cmpuint (stats.closes, >=, sessions);
  g_assert_cmpuint (stats.closes + stats.losses, ==, stats.upgrades);
  g_assert_cmpuint (stats.early_messages, ==, 0);
  g_assert_cmpuint (stats.missing_bos, ==, 0);
  g_assert_cmpuint (stats.decode_errors, ==, 0);
  g_assert_cmpuint (stats.page_gaps, ==, 0);
}

/* --- batch --------------------------------------------------------------- */

typedef struct
{
  const gchar *name;
  MoshiStandinFlavour flavour;
  guint size;                   /* of an input buffer, in samples */
  guint n_buffers;
  const gchar *properties;
  gsize leg;
} Batch;

static const Batch batches[] = {
  /* Several sessions at a time, 2 frames of delay */
  {"backend", MOSHI_STANDIN_KYUTAI_RS, 480, 1000, "", LEG},
  {"server", MOSHI_STANDIN_MOSHI_SERVER, 480, 1000, "", LEG},
  /* One session at a time; 1 and no frame of delay */
  {"pytorch", MOSHI_STANDIN_KYUTAI_PY, 480, 1000, "", LEG},
  {"personaplex", MOSHI_STANDIN_PERSONAPLEX, 480, 1000,
      "voice-prompt=a text-prompt=b", LEG},
  /* Where it ends does not depend on how the input comes */
  {"odd-buffers", MOSHI_STANDIN_KYUTAI_RS, 777, 617, "", LEG},
  {"big-buffers", MOSHI_STANDIN_KYUTAI_RS, 240000, 2, "", LEG},
  /* Packets of 60 ms: a session ends with a packet and a frame */
  {"60-ms", MOSHI_STANDIN_KYUTAI_RS, 480, 1000, "frame-size=60", 63 * FRAME},
  {"2.5-ms", MOSHI_STANDIN_KYUTAI_RS, 480, 500, "frame-size=2", LEG},
  /* As the whole of the input is a session's */
  {"exactly", MOSHI_STANDIN_KYUTAI_RS, 1920, 57, "", LEG},
};

static void
test_batch (gconstpointer data)
{
  const Batch *row = data;
  const gsize samples = (gsize) row->size * row->n_buffers;
  g_autofree gchar *properties = g_strconcat ("session-limit=6000 ",
      row->properties, NULL);
  MoshiStandinConfig config;
  Harness *self;
  guint sessions = count_legs (samples, row->leg);

  init_config (&config, row->flavour, MOSHI_STANDIN_SWEEP);
  self = new_file (&config, row->size, row->n_buffers, properties);
  harness_play_to_eos (self);
  g_assert_cmpuint (self->out->data->len, ==, samples * 2);
  harness_assert_contiguous (self->out, 24000, 2, 0);
  assert_legs (self, &config, row->leg);
  g_assert_cmpuint (harness_get_stat (self, "sessions"), ==, sessions);
  g_assert_cmpuint (harness_get_stat (self, "reconnects"), ==, 0);
  g_assert_cmpuint (harness_get_stat (self, "renewals"), ==, sessions - 1);
  g_assert_cmpuint (harness_get_stat (self, "filled"), ==, 0);
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_WARNING, NULL),
      ==, 0);
  assert_polite (self, sessions);
  harness_free (self);
}

static void
test_off (void)
{
  MoshiStandinConfig config;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_KYUTAI_RS, MOSHI_STANDIN_SWEEP);
  self = new_file (&config, 480, 500, "session-limit=6000 session-renew=false");
  harness_play_to_eos (self);
  harness_assert_sweep (self->out, DELAY, &config, 24000, 1);
  g_assert_cmpuint (harness_get_stat (self, "sessions"), ==, 1);
  harness_free (self);
}

/* moshi-backend tells by how it begins that it makes 4,500 steps at most, or as
 * many as it was asked for. */
static void
test_steps (void)
{
  MoshiStandinConfig config;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_KYUTAI_RS, MOSHI_STANDIN_SWEEP);
  config.max_steps = 75;
  self = new_file (&config, 480, 1000, "max-steps=75");
  harness_play_to_eos (self);
  assert_legs (self, &config, LEG);
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_WARNING, NULL),
      ==, 0);
  assert_polite (self, count_legs (480000, LEG));
  harness_free (self);
}

typedef struct
{
  const gchar *name;
  MoshiStandinFlavour flavour;
  guint steps;                  /* that its real servers make */
} Family;

static const Family families[] = {
  {"backend", MOSHI_STANDIN_KYUTAI_RS, 4500},
  {"server", MOSHI_STANDIN_MOSHI_SERVER, 4096},
};

/* Nobody says how long a session may be, but how the server begins: it is renewed
 * before the limit that its kind is known to have, and there is one. */
static void
test_family (gconstpointer data)
{
  const Family *family = data;
  const guint seconds = family->steps * 2 / 25 + 10;
  MoshiStandinConfig config;
  Harness *self;

  init_config (&config, family->flavour, MOSHI_STANDIN_REPEAT_PACKETS);
  self =
      harness_new (&config,
      "audiotestsrc wave=silence samplesperbuffer=8000 "
      "num-buffers=%u ! audio/x-raw,rate=8000," S16 " ! moshi name=m "
      "complexity=0 ! audio/x-raw,rate=8000," S16 " ! fakesink", seconds);
  self->out->keep = FALSE;
  harness_play_to_eos (self);
  g_assert_cmpuint (self->out->bytes, ==, seconds * 8000 * 2);
  g_assert_cmpuint (harness_get_stat (self, "sessions"), ==, 2);
  g_assert_cmpuint (harness_get_stat (self, "renewals"), ==, 1);
  g_assert_cmpuint (harness_get_stat (self, "reconnects"), ==, 0);
  g_assert_cmpuint (harness_get_stat (self, "filled"), ==, 0);
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_WARNING, NULL),
      ==, 0);
  assert_polite (self, 2);
  harness_free (self);
}

/* A server that falls silent at a limit nobody told of, twice: then it is known.
 * What it did not answer is asked for again, and the length holds. */
static void
test_learned (void)
{
  MoshiStandinConfig config;
  guint reconnects;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_MOSHI_SERVER, MOSHI_STANDIN_SWEEP);
  config.max_steps = 300;
  self =
      new_file (&config, 4800, 700, "idle-timeout=2000 retry-backoff-max=10");
  harness_play_to_eos (self);
  g_assert_cmpuint (self->out->data->len, ==, 700 * 9600);
  /* One more, where the machine was slow for as long */
  reconnects = harness_get_stat (self, "reconnects");
  g_assert_cmpuint (reconnects, >=, 2);
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_WARNING, NULL),
      ==, reconnects);
  g_assert_cmpuint (harness_get_stat (self, "renewals"), >=, 2);
  g_assert_cmpuint (harness_get_stat (self, "sessions"), >=, 6);
  harness_free (self);
}

/* A server that has no room for a second session says so: the first goes on to
 * where it was to end, and then there is room. (It may say so when the first has
 * come there already, so that it counts as an attempt of the second.) */
static void
test_no_room (void)
{
  const gchar *const faults[] = { "http-status=503", NULL };
  MoshiStandinConfig config;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_KYUTAI_RS, MOSHI_STANDIN_SWEEP);
  self = harness_new (&config, "appsrc name=in format=time max-bytes=0 caps="
      CAPS
      " ! moshi name=m session-limit=6000 retries=1 retry-backoff-max=10 ! "
      CAPS " ! fakesink");
  harness_set_state (self, GST_STATE_PLAYING);
  harness_wait_connection (self, "ready");
  g_assert_true (moshi_standin_set_faults (self->server, faults, 1, NULL));
  harness_push (self, 0, 9 * 48000, 0);
  harness_push_eos (self);
  harness_wait_eos (self);
  g_assert_cmpuint (self->out->data->len, ==, 9 * 48000);
  assert_legs (self, &config, LEG);
  g_assert_cmpuint (harness_get_stat (self, "sessions"), ==, 2);
  harness_free (self);
}

/* --- live ---------------------------------------------------------------- */

#define PACKET (20 * GST_MSECOND)

static Harness *
new_microphone (const MoshiStandinConfig * config)
{
  Harness *self = harness_new (config, "appsrc name=in is-live=true "
      "format=time max-bytes=0 caps=" CAPS " ! moshi name=m session-limit=6000 "
      "! " CAPS " ! fakesink async=false");

  harness_track (self, "m", "sink")->keep = FALSE;
  harness_use_test_clock (self);
  harness_wait_state (self, GST_STATE_PLAYING);
  harness_wait_connection (self, "ready");
  return self;
}

/* Time goes on when the server has answered all that it could by then: a model
 * is two frames late, and a third may not be full. */
static void
speak (Harness * self, guint n_packets)
{
  gint64 end = g_get_monotonic_time () + HARNESS_PATIENCE * 1000;

  for (; n_packets > 0; n_packets--) {
    GstClockTime now = gst_clock_get_time (GST_CLOCK (self->clock))
        - gst_element_get_base_time (self->pipeline);
    GstClockTime most = 160 * GST_MSECOND + (now + PACKET) % (80 * GST_MSECOND);

    harness_advance (self, PACKET);
    harness_push (self, now, 960, 0);
    /* Else silence would take the place of what is late. */
    harness_wait_bytes (self, self->tracks->pdata[1],
        (now + PACKET) / PACKET * 960);
    while (harness_get_stat (self, "in-flight") > most) {
      g_assert_cmpint (g_get_monotonic_time (), <, end);
      g_usleep (200);
    }
  }
}

/* From the first answer on nothing but answers. */
static void
assert_no_hole (Harness * self)
{
  gboolean answered = FALSE;
  guint i;

  for (i = 0; i < self->out->buffers->len; i++) {
    gboolean gap = (harness_track_buffer (self->out, i)->flags
        & GST_BUFFER_FLAG_GAP) != 0;

    g_assert_false (answered && gap);
    answered |= !gap;
  }
  g_assert_true (answered);
}

/* Moshi never stops talking: the next session takes over all the same, with
 * nothing between the old one's last sample and the new one's first. What a
 * session gives sooner than the one before is played faster for a while. */
static void
test_live (void)
{
  MoshiStandinConfig config;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_KYUTAI_RS, MOSHI_STANDIN_SWEEP);
  self = new_microphone (&config);
  speak (self, 950);
  harness_lock (self);
  harness_assert_contiguous (self->out, 24000, 2, 0);
  assert_no_hole (self);
  harness_unlock (self);
  g_assert_cmpuint (harness_get_stat (self, "renewals"), ==, 3);
  g_assert_cmpuint (harness_get_stat (self, "sessions"), ==, 4);
  g_assert_cmpuint (harness_get_stat (self, "reconnects"), ==, 0);
  g_assert_cmpuint (harness_get_stat (self, "input-unsent"), ==, 0);
  /* The clock here does not wait for threads: an answer may be late by a step
   * of the playout, but no frame is missing. */
  g_assert_cmpuint (harness_get_stat (self, "concealed"), <, PACKET);
  g_assert_cmpuint (harness_get_stat (self, "trimmed"), ==, 0);
  g_assert_cmpuint (harness_get_stat (self, "dropped"), ==, 0);
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_WARNING
          | GST_MESSAGE_ERROR, NULL), ==, 0);
  harness_free (self);
}

/* Between 4.2 s and 4.9 s of such a session a silence is what decides. */
static void
test_silence (gconstpointer data)
{
  const MoshiStandinVoice voice = GPOINTER_TO_UINT (data);
  const guint renewals = voice == MOSHI_STANDIN_SILENCE;
  MoshiStandinConfig config;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_KYUTAI_RS, voice);
  self = new_microphone (&config);
  speak (self, 240);
  g_assert_cmpuint (harness_get_stat (self, "renewals"), ==, renewals);
  harness_free (self);
}

/* A server that holds one session at a time: the next waits for the one before
 * to end, and who waits with it is told. */
static void
test_one_at_a_time (void)
{
  MoshiStandinConfig config;
  guint i;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_KYUTAI_PY, MOSHI_STANDIN_SWEEP);
  self = new_microphone (&config);
  for (i = 1; i <= 3; i++) {
    while (harness_get_stat (self, "renewals") < i)
      speak (self, 1);
    harness_wait_stat (self, "sessions", i + 1);
  }
  speak (self, 50);
  harness_lock (self);
  harness_assert_contiguous (self->out, 24000, 2, 0);
  harness_unlock (self);
  harness_pop_messages (self);
  g_assert_cmpuint (harness_get_stat (self, "sessions"), ==, 4);
  g_assert_cmpuint (harness_get_stat (self, "reconnects"), ==, 0);
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_WARNING
          | GST_MESSAGE_ERROR, NULL), ==, 0);
  harness_free (self);
}

/* --- an hour ------------------------------------------------------------- */

static gsize
get_resident (void)
{
  g_autofree gchar *text = NULL;
  gulong total, resident;

  g_assert_true (g_file_get_contents ("/proc/self/statm", &text, NULL, NULL));
  g_assert_cmpint (sscanf (text, "%lu %lu", &total, &resident), ==, 2);
  return (gsize) resident *4096;
}

#define HOUR_RATE 8000
#define HOUR_DELAY (HOUR_RATE * 160 / 1000)
#define HOUR_LEG (57 * HOUR_RATE - 320) /* 712 frames of 80 ms */

static Harness *
new_hour (const MoshiStandinConfig * config, guint seconds)
{
  return harness_new (config, "audiotestsrc wave=silence samplesperbuffer=8000 "
      "num-buffers=%u ! audio/x-raw,rate=8000," S16 " ! moshi name=m "
      "complexity=0 frame-size=20 session-limit=60000 "
      "! audio/x-raw,rate=8000," S16 " ! fakesink", seconds);
}

typedef struct
{
  const gint16 *leg;            /* what one session says */
  guint64 at;                   /* samples that have come */
  guint64 wrong;
} Comparison;

static GstPadProbeReturn
compare (GstPad * pad, GstPadProbeInfo * info, gpointer user_data)
{
  Comparison *self = user_data;
  GstMapInfo map;
  guint i;

  gst_buffer_map (GST_PAD_PROBE_INFO_BUFFER (info), &map, GST_MAP_READ);
  for (i = 0; i < map.size / 2; i++, self->at++) {
    gint16 want = self->at < HOUR_DELAY ? 0 :
        self->leg[(self->at - HOUR_DELAY) % HOUR_LEG];

    self->wrong += ((const gint16 *) map.data)[i] != want;
  }
  gst_buffer_unmap (GST_PAD_PROBE_INFO_BUFFER (info), &map);
  return GST_PAD_PROBE_OK;
}

/* What is said in a session alone */
static gint16 *
record_leg (const MoshiStandinConfig * config)
{
  Harness *self = new_hour (config, 58);
  gint16 *leg;

  g_object_set (self->moshi, "session-renew", FALSE, NULL);
  harness_play_to_eos (self);
  leg = g_memdup2 (self->out->data->data + HOUR_DELAY * 2, HOUR_LEG * 2);
  harness_free (self);
  return leg;
}

/* An hour of conversation in sessions of a minute: as many as it takes, each
 * answer where it belongs, and nothing piles up. */
static void
test_hour (void)
{
  const guint64 minute = 60 * HOUR_RATE * 2;
  MoshiStandinConfig config;
  Comparison comparison = { NULL, };
  g_autofree gint16 *leg = NULL;
  gsize warm, cold;
  GstPad *pad;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_KYUTAI_RS, MOSHI_STANDIN_REPEAT_PACKETS);
  leg = record_leg (&config);
  comparison.leg = leg;
  self = new_hour (&config, 60 * MINUTES);
  self->out->keep = FALSE;
  pad = gst_element_get_static_pad (self->moshi, "src");
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, compare, &comparison,
      NULL);
  gst_object_unref (pad);

  harness_set_state (self, GST_STATE_PLAYING);
  harness_wait_bytes (self, self->out, 2 * minute);
  warm = get_resident ();
  harness_wait_eos (self);
  cold = get_resident ();
  g_assert_cmpuint (self->out->bytes, ==, MINUTES * minute);
  g_assert_cmpuint (comparison.wrong, ==, 0);
  g_assert_cmpuint (harness_get_stat (self, "sessions"), ==,
      (MINUTES * 60 * HOUR_RATE + HOUR_RATE * 2 / 5) / HOUR_LEG + 1);
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_WARNING, NULL),
      ==, 0);
  if (MINUTES == 60)
    g_assert_cmpuint (cold, <, warm + 8 * 1024 * 1024);
  g_test_message ("%" G_GSSIZE_FORMAT " KiB more",
      ((gssize) cold - (gssize) warm) / 1024);
  harness_free (self);
}

static void
add_tests (void)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (batches); i++) {
    g_autofree gchar *path = g_strconcat ("/renewal/batch/", batches[i].name,
        NULL);

    g_test_add_data_func (path, &batches[i], test_batch);
  }
  g_test_add_func ("/renewal/batch/off", test_off);
  g_test_add_func ("/renewal/batch/steps", test_steps);
  for (i = 0; i < G_N_ELEMENTS (families); i++) {
    g_autofree gchar *path = g_strconcat ("/renewal/batch/family/",
        families[i].name, NULL);

    g_test_add_data_func (path, &families[i], test_family);
  }
  g_test_add_func ("/renewal/batch/learned", test_learned);
  g_test_add_func ("/renewal/batch/no-room", test_no_room);
  g_test_add_func ("/renewal/batch/hour", test_hour);
  g_test_add_func ("/renewal/live/talking", test_live);
  g_test_add_data_func ("/renewal/live/silent",
      GUINT_TO_POINTER (MOSHI_STANDIN_SILENCE), test_silence);
  g_test_add_data_func ("/renewal/live/not-silent",
      GUINT_TO_POINTER (MOSHI_STANDIN_SWEEP), test_silence);
  g_test_add_func ("/renewal/live/one-at-a-time", test_one_at_a_time);
}

int
main (int argc, char **argv)
{
  return harness_main (&argc, &argv, add_tests);
}
