/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Renewal live, by samples: what stands where in the output, and that every
 * sample that came is accounted for. The clock is in the test's hand.
 */
#include "harness.h"

#include <string.h>

#include "sweeping.h"

#define RATE 24000
#define CAPS "audio/x-raw,rate=24000,format=S16LE,layout=interleaved,channels=1"

/* Of input, and of the model, in samples */
#define PACKET (20 * GST_MSECOND)
#define PACKET_SAMPLES 480
#define FRAME 1920

/* What is looked for in the sweep; it is found within 1 ms, as told there. */
#define PROBE 4800
#define FOUND 24
#define SWEEP_PERIOD (2 * RATE)

/* A session of 6 s is renewed after 62 frames at the latest, and from 51.5 on in
 * a silence (moshirenewal.c). */
#define LATEST (62 * 4)         /* packets */

/* The user's voice: silent, or the sweep but for a pause at 4 s */
typedef enum
{
  SILENT,
  SINGING,
} User;

#define PAUSE_START (4 * GST_SECOND)
#define PAUSE_END (PAUSE_START + 700 * GST_MSECOND)

/* The end of the output, with the counters of that sample */
typedef struct
{
  gint64 moved;                 /* by the playout, in samples */
  gint64 unheard;               /* samples that came and were not played */
  gint64 end;                   /* of the output, on its time line */
  gint64 place;                 /* of the sweep at the output's start, or -1 */
} Moment;

/* How many frames late the server of the test under way is */
static guint frames_late;

static void
init_config (MoshiStandinConfig * config, MoshiStandinFlavour flavour,
    MoshiStandinVoice voice)
{
  moshi_standin_config_init (config);
  config->flavour = flavour;
  config->voice = voice;
}

static Harness *
new_microphone (const MoshiStandinConfig * config, const gchar * properties)
{
  Harness *self = harness_new (config, "appsrc name=in is-live=true "
      "format=time max-bytes=0 caps=" CAPS " ! moshi name=m %s ! " CAPS
      " ! fakesink async=false", properties);

  frames_late = 2;
  harness_track (self, "m", "sink")->keep = FALSE;
  harness_use_test_clock (self);
  harness_wait_state (self, GST_STATE_PLAYING);
  harness_wait_connection (self, "ready");
  return self;
}

static GstClockTime
get_now (Harness * self)
{
  return gst_clock_get_time (GST_CLOCK (self->clock))
      - gst_element_get_base_time (self->pipeline);
}

static void
push (Harness * self, GstClockTime now, User user)
{
  GstElement *source = harness_get_element (self, "in");
  g_autoptr (GstCaps) caps = gst_caps_from_string (CAPS);
  GstBuffer *buffer = sweeping_new_buffer (caps,
      gst_util_uint64_scale (now, 48000, GST_SECOND), 2 * PACKET_SAMPLES);
  GstFlowReturn ret;

  if (user == SILENT || (now >= PAUSE_START && now < PAUSE_END))
    gst_buffer_memset (buffer, 0, 0, 2 * PACKET_SAMPLES);
  GST_BUFFER_PTS (buffer) = now;
  g_signal_emit_by_name (source, "push-buffer", buffer, &ret);
  g_assert_cmpint (ret, ==, GST_FLOW_OK);
  gst_buffer_unref (buffer);
  gst_object_unref (source);
}

/* Time goes on when the server has answered all that it could by then: a model is
 * late, and one frame more may not be full. */
static void
speak (Harness * self, guint n_packets, User user)
{
  for (; n_packets > 0; n_packets--) {
    const gint64 end = g_get_monotonic_time () + HARNESS_PATIENCE * 1000;
    GstClockTime now = get_now (self);
    GstClockTime most = frames_late * 80 * GST_MSECOND
        + (now + PACKET) % (80 * GST_MSECOND);

    harness_advance (self, PACKET);
    push (self, now, user);
    /* Else silence would take the place of what is late. */
    harness_wait_bytes (self, self->tracks->pdata[1],
        (now + PACKET) / PACKET * 2 * PACKET_SAMPLES);
    while (harness_get_stat (self, "in-flight") > most) {
      g_assert_cmpint (g_get_monotonic_time (), <, end);
      g_usleep (200);
    }
  }
}

static gint64
get_samples (const GstStructure * stats, const gchar * name)
{
  guint64 value;

  g_assert_true (gst_structure_get_uint64 (stats, name, &value));
  return (gint64) gst_util_uint64_scale_round (value, RATE, GST_SECOND);
}

/* Where the end of the output is in the sweep, and what that makes of its sample
 * 0; -1 if it is not there, as where a session has just begun. */
static gint64
find_place (Harness * self, const Moment * moment)
{
  const guint8 *end = self->out->data->data + self->out->data->len;
  gdouble score;
  gint64 index = moshi_standin_sweep_locate ((const gint16 *) end - PROBE,
      PROBE, RATE, 1, 0, 0, SWEEP_PERIOD - 1, &score);

  if (score < 0.9)
    return -1;
  return SWEEP_PERIOD + (index - (moment->end - PROBE) + moment->moved)
      % SWEEP_PERIOD;
}

static void
read_moment (Harness * self, Moment * moment)
{
  g_autoptr (GstStructure) stats = harness_get_stats (self);
  GByteArray *data = self->out->data;
  guint64 received;

  g_assert_true (gst_structure_get_uint64 (stats, "samples-received",
          &received));
  moment->moved = get_samples (stats, "filled")
      + get_samples (stats, "concealed") + get_samples (stats, "lengthened")
      - get_samples (stats, "trimmed") - get_samples (stats, "dropped")
      - get_samples (stats, "shortened");
  harness_lock (self);
  moment->unheard = (gint64) received - get_samples (stats, "queued")
      + moment->moved - data->len / 2;
  moment->end = data->len / 2 + (gint64) gst_util_uint64_scale_round
      (harness_track_buffer (self->out, 0)->pts, RATE, GST_SECOND);
  moment->place = find_place (self, moment);
  harness_unlock (self);
}

/* While a packet comes or a buffer leaves, what is counted and what is there
 * differ: two looks that agree are between them. */
static void
read_still_moment (Harness * self, Moment * moment)
{
  gint64 end = g_get_monotonic_time () + HARNESS_PATIENCE * 1000;
  Moment again;

  while (TRUE) {
    read_moment (self, moment);
    g_usleep (2000);
    read_moment (self, &again);
    if (again.moved == moment->moved && again.end == moment->end
        && again.unheard == moment->unheard && moment->unheard % FRAME == 0)
      return;
    g_assert_cmpint (g_get_monotonic_time (), <, end);
  }
}

/* Speaks on until what is heard has not been stretched for as long as a probe. */
static void
take_moment (Harness * self, User user, Moment * moment)
{
  guint tries;
  gint64 moved;

  read_still_moment (self, moment);
  for (tries = 0; tries < 20; tries++) {
    moved = moment->moved;
    speak (self, PROBE / PACKET_SAMPLES + 1, user);
    read_still_moment (self, moment);
    if (moment->place >= 0 && moment->moved == moved)
      return;
  }
  g_assert_not_reached ();
}

/* But for whole `period`s */
static void
assert_no_drift (const Moment * before, const Moment * after, gint64 period)
{
  gint64 drift = (after->place - before->place) % period;

  drift = (drift + period) % period;
  if (drift > period / 2)
    drift -= period;
  g_assert_cmpint (ABS (drift), <=, FOUND);
}

static guint
count_progress (Harness * self, GstProgressType wanted, const gchar * prefix)
{
  guint n = 0, i;

  harness_pop_messages (self);
  for (i = 0; i < self->messages->len; i++) {
    GstMessage *message = self->messages->pdata[i];
    g_autofree gchar *text = NULL;
    GstProgressType type;

    if (GST_MESSAGE_TYPE (message) != GST_MESSAGE_PROGRESS)
      continue;
    gst_message_parse_progress (message, &type, NULL, &text);
    n += type == wanted && g_str_has_prefix (text, prefix);
  }
  return n;
}

static void
assert_quiet_bus (Harness * self)
{
  harness_pop_messages (self);
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_WARNING
          | GST_MESSAGE_ERROR, NULL), ==, 0);
}

/* The user sings, and the server sings along. Where he pauses it is quiet, and
 * the next session takes over: what is sung after that stands where it would have
 * stood. */
static void
test_in_silence (void)
{
  MoshiStandinConfig config;
  Moment before, after;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_KYUTAI_RS, MOSHI_STANDIN_ECHO);
  self = new_microphone (&config, "session-limit=6000");
  speak (self, 150, SINGING);
  take_moment (self, SINGING, &before);
  g_assert_cmpint (before.unheard, ==, 0);
  g_assert_cmpuint (harness_get_stat (self, "renewals"), ==, 0);
  while (get_now (self) < (LATEST - 4) * PACKET)
    speak (self, 1, SINGING);
  g_assert_cmpuint (harness_get_stat (self, "renewals"), ==, 1);
  speak (self, 150, SINGING);
  take_moment (self, SINGING, &after);
  assert_no_drift (&before, &after, SWEEP_PERIOD);
  harness_assert_contiguous (self->out, RATE, 2, 0);
  g_assert_cmpuint (harness_get_stat (self, "renewals"), ==, 1);
  g_assert_cmpuint (harness_get_stat (self, "input-unsent"), ==, 0);
  g_assert_cmpuint (harness_get_stat (self, "dropped"), ==, 0);
  assert_quiet_bus (self);
  harness_free (self);
}

/* No silence comes: the change is at the limit, and each session's first sample
 * follows the last of the one before: they all sing the same, and are whole
 * frames long. */
static void
test_in_words (void)
{
  MoshiStandinConfig config;
  Moment before, after;
  Harness *self;
  guint i;

  init_config (&config, MOSHI_STANDIN_KYUTAI_RS, MOSHI_STANDIN_SWEEP);
  self = new_microphone (&config, "session-limit=6000");
  speak (self, 100, SILENT);
  take_moment (self, SILENT, &before);
  g_assert_cmpint (before.unheard, ==, 0);
  for (i = 1; i <= 3; i++) {
    speak (self, LATEST + 4, SILENT);
    g_assert_cmpuint (harness_get_stat (self, "renewals"), ==, i);
    take_moment (self, SILENT, &after);
    assert_no_drift (&before, &after, FRAME);
    /* The silence that an old session ends in is answered, and not heard. */
    g_assert_cmpint (after.unheard, <=, i * 5 * FRAME);
  }
  g_assert_cmpuint (harness_get_stat (self, "sessions"), ==, 4);
  g_assert_cmpuint (harness_get_stat (self, "input-unsent"), ==, 0);
  g_assert_cmpuint (harness_get_stat (self, "dropped"), ==, 0);
  assert_quiet_bus (self);
  harness_free (self);
}

/* On a server that holds one session at a time the next begins when the last has
 * ended; that there is a change is told, and when it is over. What the user says
 * meanwhile is not sent late, but counted; of the answers none is lost. */
static void
test_one_at_a_time (void)
{
  MoshiStandinConfig config;
  MoshiStandinStats stats;
  Moment moment;
  Harness *self;
  guint i;

  init_config (&config, MOSHI_STANDIN_KYUTAI_PY, MOSHI_STANDIN_SWEEP);
  self = new_microphone (&config, "session-limit=6000");
  for (i = 1; i <= 3; i++) {
    while (harness_get_stat (self, "renewals") < i)
      speak (self, 1, SILENT);
    harness_wait_stat (self, "sessions", i + 1);
    harness_wait_connection (self, "ready");
    speak (self, 50, SILENT);
    g_assert_cmpuint (count_progress (self, GST_PROGRESS_TYPE_START,
            "Renewing the conversation"), ==, i);
    g_assert_cmpuint (count_progress (self, GST_PROGRESS_TYPE_COMPLETE,
            "Moshi is listening"), ==, i + 1);
    read_still_moment (self, &moment);
    g_assert_cmpint (moment.unheard, <=, i * 5 * FRAME);
  }
  harness_assert_contiguous (self->out, RATE, 2, 0);
  g_assert_true (moshi_standin_wait (self->server, MOSHI_STANDIN_SAMPLES,
          harness_get_stat (self, "samples-sent"), HARNESS_PATIENCE));
  moshi_standin_get_stats (self->server, &stats);
  g_assert_cmpuint (stats.samples, ==, harness_get_stat (self, "samples-sent"));
  g_assert_cmpuint (harness_get_stat (self, "dropped"), ==, 0);
  assert_quiet_bus (self);
  harness_free (self);
}

/* Time goes on though nobody answers, until there is another session. */
static void
speak_in_vain (Harness * self, guint sessions)
{
  gint64 end = g_get_monotonic_time () + HARNESS_PATIENCE * 1000;

  while (harness_get_stat (self, "sessions") < sessions) {
    GstClockTime now = get_now (self);

    harness_advance (self, PACKET);
    push (self, now, SILENT);
    g_usleep (5000);
    g_assert_cmpint (g_get_monotonic_time (), <, end);
  }
  /* Its frames do not begin where those of the one before did. */
  frames_late = 3;
}

/* A server that is asked for a second session and has no room says so, and the
 * conversation goes on as long as it may; then there is room. */
static void
test_no_room (void)
{
  const gchar *const full[] = { "http-status=503", NULL };
  MoshiStandinConfig config;
  MoshiStandinStats stats;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_KYUTAI_RS, MOSHI_STANDIN_SWEEP);
  self = new_microphone (&config,
      "session-limit=6000 retries=1 retry-backoff-max=10");
  speak (self, 100, SILENT);
  g_assert_true (moshi_standin_set_faults (self->server, full, 0, NULL));
  speak (self, LATEST - 8 - 100, SILENT);
  /* The first attempt and its retry: then no more until it must be. */
  g_assert_true (moshi_standin_wait (self->server, MOSHI_STANDIN_REQUESTS, 3,
          HARNESS_PATIENCE));
  g_assert_cmpuint (harness_get_stat (self, "renewals"), ==, 0);
  g_assert_true (moshi_standin_set_faults (self->server, NULL, 0, NULL));
  speak_in_vain (self, 2);
  speak (self, 50, SILENT);
  harness_assert_contiguous (self->out, RATE, 2, 0);
  moshi_standin_get_stats (self->server, &stats);
  g_assert_cmpuint (stats.handshakes, ==, 2);
  g_assert_cmpuint (harness_get_stat (self, "renewals"), ==, 1);
  g_assert_cmpuint (harness_get_stat (self, "reconnects"), ==, 0);
  assert_quiet_bus (self);
  harness_free (self);
}

/* A server that falls silent at its limit and stays connected, twice: it is
 * recognised, told, and made up for by another session; then the limit is known,
 * and the third session is renewed before it. */
static void
test_falls_silent (void)
{
  const gchar *const faults[] = { "freeze-after=260", NULL };
  MoshiStandinConfig config;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_KYUTAI_RS, MOSHI_STANDIN_SWEEP);
  config.faults = faults;
  config.fault_first = 2;
  self = new_microphone (&config, "idle-timeout=2000 retry-backoff-max=10");
  speak (self, 1000, SILENT);
  speak_in_vain (self, 2);
  speak (self, 1000, SILENT);
  speak_in_vain (self, 3);
  g_assert_cmpuint (harness_get_stat (self, "reconnects"), ==, 2);
  g_assert_cmpuint (harness_get_stat (self, "renewals"), ==, 0);
  harness_pop_messages (self);
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_WARNING, NULL),
      ==, 2);
  speak (self, 1030, SILENT);
  g_assert_cmpuint (harness_get_stat (self, "renewals"), ==, 1);
  g_assert_cmpuint (harness_get_stat (self, "reconnects"), ==, 2);
  harness_pop_messages (self);
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_WARNING, NULL),
      ==, 2);
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_ERROR, NULL), ==,
      0);
  harness_assert_contiguous (self->out, RATE, 2, 0);
  harness_free (self);
}

static void
add_tests (void)
{
  g_test_add_func ("/renewallive/in-silence", test_in_silence);
  g_test_add_func ("/renewallive/in-words", test_in_words);
  g_test_add_func ("/renewallive/one-at-a-time", test_one_at_a_time);
  g_test_add_func ("/renewallive/no-room", test_no_room);
  g_test_add_func ("/renewallive/falls-silent", test_falls_silent);
}

int
main (int argc, char **argv)
{
  return harness_main (&argc, &argv, add_tests);
}
