/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What others make of the words: muxers, subtitle encoders, overlays, caption
 * encoders. Each is asked for what came out of it.
 */
#include "harness.h"

#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>
#include <gmodule.h>

#define CAPS "audio/x-raw,format=S16LE,layout=interleaved,rate=24000,channels=1"
#define FILE_SOURCE "audiotestsrc samplesperbuffer=480 num-buffers=%u ! " CAPS
#define LIVE_SOURCE "audiotestsrc is-live=true samplesperbuffer=480 " \
    "num-buffers=%u ! " CAPS

#define MS(n) ((n) * GST_MSECOND)

#ifdef __SANITIZE_ADDRESS__
/* fontconfig, which textoverlay loads, keeps its configuration to the end. */
G_MODULE_EXPORT const char *__lsan_default_suppressions (void);

const char *
__lsan_default_suppressions (void)
{
  return "leak:libfontconfig";
}
#endif

static const gchar talk[] = "Hello there, my friend. How are you? Fine!";

/* A sentence of more than 8 s, at 10 frames a word */
static const gchar slow_talk[] =
    "One two three four five six seven eight nine ten eleven. And so on";

static void
init_config (MoshiStandinConfig * config, const gchar * text)
{
  moshi_standin_config_init (config);
  config->voice = MOSHI_STANDIN_SILENCE;
  config->text = text;
}

static gboolean
has_element (const gchar * name)
{
  GstElementFactory *factory = gst_element_factory_find (name);

  if (factory == NULL)
    g_test_skip (name);
  else
    gst_object_unref (factory);
  return factory != NULL;
}

static gchar *
dup_path (const gchar * pattern)
{
  g_autoptr (GError) error = NULL;
  gchar *path;
  gint fd = g_file_open_tmp (pattern, &path, &error);

  g_assert_no_error (error);
  close (fd);
  return path;
}

/* --- one muxer, and no queue ---------------------------------------------- */

typedef struct
{
  const gchar *name;
  gboolean live;
  guint buffers;
  const gchar *unit;
  const gchar *text;
  guint text_every;
  guint at_least;               /* units that come */
} Mux;

static const Mux muxes[] = {
  {"batch/token", FALSE, 500, "token", talk, 3, 8},
  {"batch/word", FALSE, 500, "word", talk, 3, 8},
  {"batch/sentence", FALSE, 500, "sentence", talk, 3, 3},
  {"batch/long-sentence", FALSE, 700, "sentence", slow_talk, 10, 2},
  {"batch/unfinished", FALSE, 80, "sentence", slow_talk, 10, 1},
  {"batch/none", FALSE, 200, "word", NULL, 3, 0},
  {"live/word", TRUE, 150, "word", talk, 3, 6},
  {"live/sentence", TRUE, 150, "sentence", talk, 3, 1},
  {"live/none", TRUE, 50, "word", NULL, 3, 0},
};

/* The words and the speech of a file, to compare with what was written */
static void
check_matroska (const gchar * path, HarnessTrack * text, HarnessTrack * speech)
{
  /* The harness wants a moshi: it stays in NULL's shadow, unlinked. */
  Harness *file = harness_new (NULL, "filesrc location=%s "
      "! matroskademux name=d d.audio_0 ! queue ! fakesink name=a "
      "d.subtitle_0 ! queue ! fakesink name=s moshi name=m", path);
  HarnessTrack *words = harness_track (file, "s", "sink");
  HarnessTrack *audio = harness_track (file, "a", "sink");
  guint i;

  gst_element_set_locked_state (file->moshi, TRUE);
  harness_play_to_eos (file);
  g_assert_cmpuint (audio->bytes, ==, speech->bytes);
  g_assert_cmpuint (words->buffers->len, ==, text->buffers->len);
  for (i = 0; i < words->buffers->len; i++) {
    const HarnessBuffer *there = harness_track_buffer (words, i);
    const HarnessBuffer *here = harness_track_buffer (text, i);
    g_autofree gchar *read = harness_track_dup_text (words, i);
    g_autofree gchar *written = harness_track_dup_text (text, i);

    g_assert_cmpstr (read, ==, written);
    g_assert_cmpint (ABS (GST_CLOCK_DIFF (there->pts, here->pts)), <=, MS (1));
    g_assert_cmpint (ABS (GST_CLOCK_DIFF (there->duration, here->duration)),
        <=, MS (1));
  }
  harness_free (file);
}

/* A muxer keeps the audio until the text is as far: it must not wait for a word
 * that only more audio can finish. */
static void
test_mux (gconstpointer data)
{
  const Mux *mux = data;
  g_autofree gchar *path = dup_path ("moshi-XXXXXX.mkv");
  g_autofree gchar *source = NULL;
  MoshiStandinConfig config;
  HarnessTrack *text;
  Harness *self;

  init_config (&config, mux->text);
  config.text_every = mux->text_every;
  if (mux->live)
    source = g_strdup_printf (LIVE_SOURCE, mux->buffers);
  else
    source = g_strdup_printf (FILE_SOURCE, mux->buffers);
  self = harness_new (&config, "%s ! moshi name=m text-unit=%s ! mux. "
      "m.text ! mux. matroskamux name=mux ! filesink location=%s", source,
      mux->unit, path);
  text = harness_track (self, "m", "text");
  harness_play_to_eos (self);
  g_assert_cmpuint (text->buffers->len, >=, mux->at_least);
  check_matroska (path, text, self->out);
  harness_free (self);
  g_unlink (path);
}

/* The running times of what came out of a pad, segment by segment */
static GArray *
get_running_times (HarnessTrack * track)
{
  GArray *times = g_array_new (FALSE, FALSE, sizeof (GstClockTime));
  const GstSegment *segment = NULL;
  guint i, event = 0;

  for (i = 0; i < track->buffers->len; i++) {
    const HarnessBuffer *buffer = harness_track_buffer (track, i);
    GstClockTime time;

    for (; event < track->events->len; event++) {
      HarnessEvent *kept = &g_array_index (track->events, HarnessEvent, event);

      if (kept->at > i)
        break;
      if (GST_EVENT_TYPE (kept->event) == GST_EVENT_SEGMENT)
        gst_event_parse_segment (kept->event, &segment);
    }
    time = gst_segment_to_running_time (segment, GST_FORMAT_TIME, buffer->pts);
    g_assert_true (GST_CLOCK_TIME_IS_VALID (time));
    g_array_append_val (times, time);
  }
  return times;
}

/* Input of two segments, each from 0: the words stand in theirs, and there are
 * as many as before, a word every 320 ms. */
static void
test_segments (void)
{
  MoshiStandinConfig config;
  g_autoptr (GArray) times = NULL;
  HarnessTrack *text;
  guint i;
  Harness *self;

  init_config (&config, "a b c d e f g h i j k l m n o p q r");
  config.text_every = 4;
  self = harness_new (&config, "concat name=c ! moshi name=m ! mux. "
      "m.text ! mux. matroskamux name=mux ! fakesink "
      FILE_SOURCE " ! c. " FILE_SOURCE " ! c.", 150, 250);
  text = harness_track (self, "m", "text");
  harness_play_to_eos (self);
  g_assert_cmpuint (self->out->bytes, ==, 8 * 48000);
  g_assert_cmpuint (harness_track_count_events (text, GST_EVENT_SEGMENT), ==,
      2);
  g_assert_cmpuint (text->buffers->len, ==, 18);
  times = get_running_times (text);
  for (i = 1; i < times->len; i++)
    g_assert_cmpuint (g_array_index (times, GstClockTime, i)
        - g_array_index (times, GstClockTime, i - 1), ==, MS (320));
  harness_free (self);
}

/* In batch the words are the same ones at the same times in each run. */
static gchar *
dup_run (void)
{
  MoshiStandinConfig config;
  GString *all = g_string_new (NULL);
  HarnessTrack *text;
  guint i;
  Harness *self;

  init_config (&config, talk);
  self = harness_new (&config, FILE_SOURCE " ! moshi name=m ! fakesink "
      "m.text ! fakesink", 150);
  text = harness_track (self, "m", "text");
  harness_play_to_eos (self);
  for (i = 0; i < text->buffers->len; i++) {
    const HarnessBuffer *buffer = harness_track_buffer (text, i);
    g_autofree gchar *word = harness_track_dup_text (text, i);

    g_string_append_printf (all, "%s %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT
        "\n", word, buffer->pts, buffer->duration);
  }
  harness_free (self);
  return g_string_free (all, FALSE);
}

static void
test_same_each_time (void)
{
  g_autofree gchar *first = dup_run ();
  guint i;

  g_assert_nonnull (strstr (first, "friend."));
  for (i = 0; i < 4; i++) {
    g_autofree gchar *again = dup_run ();

    g_assert_cmpstr (again, ==, first);
  }
}

/* --- subtitle files -------------------------------------------------------- */

static void
append_time (GString * out, GstClockTime time, gchar point)
{
  const guint64 ms = time / GST_MSECOND;

  g_string_append_printf (out, "%02" G_GUINT64_FORMAT ":%02" G_GUINT64_FORMAT
      ":%02" G_GUINT64_FORMAT "%c%03" G_GUINT64_FORMAT, ms / 3600000,
      ms / 60000 % 60, ms / 1000 % 60, point, ms % 1000);
}

static void
append_cue (GString * out, HarnessTrack * text, guint i, gchar point)
{
  const HarnessBuffer *buffer = harness_track_buffer (text, i);
  g_autofree gchar *word = harness_track_dup_text (text, i);

  append_time (out, buffer->pts, point);
  g_string_append (out, " --> ");
  append_time (out, buffer->pts + buffer->duration, point);
  g_string_append_printf (out, "\n%s\n\n", word);
}

/* Runs a talk into an encoder; what it makes of it, and what it was given */
static Harness *
encode (const gchar * unit, const gchar * encoder, HarnessTrack ** text,
    gchar ** made)
{
  MoshiStandinConfig config;
  HarnessTrack *track;
  Harness *self;

  init_config (&config, talk);
  self = harness_new (&config, FILE_SOURCE " ! moshi name=m text-unit=%s "
      "! fakesink m.text ! %s name=e ! fakesink", 500, unit, encoder);
  *text = harness_track (self, "m", "text");
  track = harness_track (self, "e", "src");
  harness_play_to_eos (self);
  *made = g_strndup ((const gchar *) track->data->data, track->data->len);
  return self;
}

static void
test_srt (void)
{
  g_autoptr (GString) expected = g_string_new (NULL);
  g_autofree gchar *srt = NULL;
  HarnessTrack *text;
  guint i;
  Harness *self;

  if (!has_element ("srtenc"))
    return;
  self = encode ("sentence", "srtenc", &text, &srt);
  g_assert_cmpuint (text->buffers->len, ==, 3);
  for (i = 0; i < text->buffers->len; i++) {
    g_string_append_printf (expected, "%u\n", i + 1);
    append_cue (expected, text, i, ',');
  }
  g_assert_cmpstr (srt, ==, expected->str);
  harness_free (self);
}

static void
test_webvtt (void)
{
  g_autoptr (GString) expected = g_string_new ("WEBVTT\n\n");
  g_autofree gchar *vtt = NULL;
  HarnessTrack *text;
  guint i;
  Harness *self;

  if (!has_element ("webvttenc"))
    return;
  self = encode ("word", "webvttenc", &text, &vtt);
  g_assert_cmpuint (text->buffers->len, ==, 8);
  for (i = 0; i < text->buffers->len; i++)
    append_cue (expected, text, i, '.');
  g_assert_cmpstr (vtt, ==, expected->str);
  harness_free (self);
}

/* --- over a picture ---------------------------------------------------------- */

typedef struct
{
  GMutex lock;
  GArray *lit;                  /* of GstClockTime: frames with text on them */
  guint frames;
} Screen;

static GstPadProbeReturn
watch_frame (GstPad * pad, GstPadProbeInfo * info, gpointer user_data)
{
  GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER (info);
  Screen *screen = user_data;
  gboolean lit = FALSE;
  GstMapInfo map;
  gsize i;

  g_assert_true (gst_buffer_map (buffer, &map, GST_MAP_READ));
  for (i = 0; i < map.size && !lit; i++)
    lit = map.data[i] > 128;
  gst_buffer_unmap (buffer, &map);

  g_mutex_lock (&screen->lock);
  screen->frames++;
  if (lit)
    g_array_append_val (screen->lit, GST_BUFFER_PTS (buffer));
  g_mutex_unlock (&screen->lock);
  return GST_PAD_PROBE_OK;
}

/* Whether a word is said at some time of the frame */
static gboolean
is_said (HarnessTrack * text, GstClockTime pts, GstClockTime duration)
{
  guint i;

  for (i = 0; i < text->buffers->len; i++) {
    const HarnessBuffer *word = harness_track_buffer (text, i);

    if (word->pts < pts + duration && word->pts + word->duration > pts)
      return TRUE;
  }
  return FALSE;
}

/* A black film: the words are seen while they are said, and at no other time. */
static void
test_overlay (void)
{
  Screen screen = {.lit = g_array_new (FALSE, FALSE, sizeof (GstClockTime)) };
  MoshiStandinConfig config;
  HarnessTrack *text;
  GstElement *sink;
  GstPad *pad;
  guint frame, at = 0;
  Harness *self;

  if (!has_element ("textoverlay"))
    return;
  g_mutex_init (&screen.lock);
  init_config (&config, "one two");
  config.text_every = 12;
  self = harness_new (&config, FILE_SOURCE " ! moshi name=m ! fakesink "
      "m.text ! t.text_sink  videotestsrc num-buffers=100 pattern=black "
      "! video/x-raw,format=GRAY8,framerate=25/1,width=160,height=120 "
      "! textoverlay name=t wait-text=true ! fakesink name=v", 200);
  sink = harness_get_element (self, "v");
  pad = gst_element_get_static_pad (sink, "sink");
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, watch_frame, &screen,
      NULL);
  text = harness_track (self, "m", "text");
  harness_play_to_eos (self);

  g_assert_cmpuint (text->buffers->len, ==, 2);
  g_assert_cmpuint (screen.frames, ==, 100);
  for (frame = 0; frame < 100; frame++) {
    const GstClockTime pts = frame * MS (40);
    const gboolean lit = at < screen.lit->len
        && g_array_index (screen.lit, GstClockTime, at) == pts;

    g_assert_cmpint (lit, ==, is_said (text, pts, MS (40)));
    at += lit;
  }
  g_assert_cmpuint (at, ==, screen.lit->len);
  g_assert_cmpuint (at, >, 10);
  gst_object_unref (pad);
  gst_object_unref (sink);
  g_array_unref (screen.lit);
  g_mutex_clear (&screen.lock);
  harness_free (self);
}

/* --- captions ------------------------------------------------------------------ */

/* What tttocea608 (gst-plugins-rs) asks of its input: time stamps and durations
 * on all, and each stretch of time once, as captions have so many bytes a frame
 * and frames cannot be taken back. At 30 frames a second. */
typedef struct
{
  guint64 frame;                /* that the captions have come to */
  guint n_gaps;
} Captions;

static guint64
get_frame (GstClockTime time)
{
  return gst_util_uint64_scale_round (time, 30, GST_SECOND);
}

static void
take_stretch (Captions * self, GstClockTime pts, GstClockTime duration)
{
  g_assert_true (GST_CLOCK_TIME_IS_VALID (pts));
  g_assert_true (GST_CLOCK_TIME_IS_VALID (duration));
  g_assert_cmpuint (get_frame (pts), ==, self->frame);
  self->frame = get_frame (pts + duration);
}

static void
take_event (Captions * self, GstEvent * event)
{
  GstClockTime pts, duration;
  GstCaps *caps;

  if (GST_EVENT_TYPE (event) == GST_EVENT_GAP) {
    gst_event_parse_gap (event, &pts, &duration);
    take_stretch (self, pts, duration);
    self->n_gaps++;
  } else if (GST_EVENT_TYPE (event) == GST_EVENT_CAPS) {
    gst_event_parse_caps (event, &caps);
    g_assert_true (gst_structure_has_name (gst_caps_get_structure (caps, 0),
            "text/x-raw"));
  }
}

/* A muxer takes the PTS of a buffer for all it knows of a stream: that nothing
 * more comes before its end has to be said by a gap. */
static void
assert_gap_behind (HarnessTrack * text, guint i)
{
  const HarnessBuffer *buffer = harness_track_buffer (text, i);
  GstClockTime pts, duration;
  guint k;

  for (k = 0; k < text->events->len; k++) {
    HarnessEvent *kept = &g_array_index (text->events, HarnessEvent, k);

    if (kept->at == i + 1 && GST_EVENT_TYPE (kept->event) == GST_EVENT_GAP) {
      gst_event_parse_gap (kept->event, &pts, &duration);
      g_assert_cmpuint (pts, ==, buffer->pts + buffer->duration);
      return;
    }
  }
  g_assert_not_reached ();
}

static void
test_captions (gconstpointer data)
{
  Captions captions = { 0, };
  MoshiStandinConfig config;
  HarnessTrack *text;
  guint i, event = 0;
  Harness *self;

  init_config (&config, talk);
  self = harness_new (&config, FILE_SOURCE " ! moshi name=m text-unit=%s "
      "! fakesink m.text ! fakesink", 500, (const gchar *) data);
  text = harness_track (self, "m", "text");
  harness_play_to_eos (self);

  for (i = 0; i <= text->buffers->len; i++) {
    for (; event < text->events->len; event++) {
      HarnessEvent *kept = &g_array_index (text->events, HarnessEvent, event);

      if (kept->at > i)
        break;
      take_event (&captions, kept->event);
    }
    if (i < text->buffers->len) {
      const HarnessBuffer *buffer = harness_track_buffer (text, i);

      take_stretch (&captions, buffer->pts, buffer->duration);
      assert_gap_behind (text, i);
    }
  }
  g_assert_cmpuint (captions.frame, ==, 300);
  g_assert_cmpuint (captions.n_gaps, >, 1);
  harness_free (self);
}

/* --- servers that lose spaces -------------------------------------------------- */

static void
check_spaces (MoshiStandinFlavour flavour, const gchar * unit)
{
  static const gchar *const faults[] = { "bare-words", NULL };
  g_autoptr (GString) all = g_string_new (NULL);
  MoshiStandinConfig config;
  HarnessTrack *text;
  guint i;
  Harness *self;

  init_config (&config, talk);
  config.flavour = flavour;
  config.faults = faults;
  self = harness_new (&config, FILE_SOURCE " ! moshi name=m text-unit=%s "
      "! fakesink m.text ! fakesink", 500, unit);
  text = harness_track (self, "m", "text");
  harness_play_to_eos (self);
  for (i = 0; i < text->buffers->len; i++) {
    g_autofree gchar *word = harness_track_dup_text (text, i);
    const gboolean whole = !g_str_equal (unit, "token");

    g_string_append_printf (all, "%s%s", i > 0 && whole ? " " : "", word);
  }
  g_assert_cmpstr (g_strchug (all->str), ==, talk);
  harness_free (self);
}

static void
test_spaces (void)
{
  check_spaces (MOSHI_STANDIN_KYUTAI_RS, "token");
  check_spaces (MOSHI_STANDIN_KYUTAI_RS, "word");
  check_spaces (MOSHI_STANDIN_KYUTAI_RS, "sentence");
  check_spaces (MOSHI_STANDIN_MOSHI_SERVER, "word");
}

/* --- a branch that does not move ----------------------------------------------- */

static GstPadProbeReturn
block (GstPad * pad, GstPadProbeInfo * info, gpointer user_data)
{
  return GST_PAD_PROBE_OK;
}

static gulong
block_text (Harness * self, GstPad ** pad)
{
  *pad = gst_element_get_static_pad (self->moshi, "text");
  return gst_pad_add_probe (*pad, GST_PAD_PROBE_TYPE_BLOCK_DOWNSTREAM, block,
      NULL, NULL);
}

/* Who does not take the words does not stop the speech: live likewise. */
static void
test_blocked_live (void)
{
  MoshiStandinConfig config;
  HarnessTrack *text;
  GstPad *pad;
  gulong probe;
  Harness *self;

  init_config (&config, talk);
  self = harness_new (&config, LIVE_SOURCE " ! moshi name=m ! fakesink m.text "
      "! fakesink async=false", 150);
  text = harness_track (self, "m", "text");
  probe = block_text (self, &pad);
  harness_set_state (self, GST_STATE_PLAYING);
  harness_wait_track_eos (self, self->out);
  harness_assert_contiguous (self->out, 24000, 2, 0);
  g_assert_cmpuint (self->out->bytes, >=, 3 * 48000);
  gst_pad_remove_probe (pad, probe);
  harness_wait_eos (self);
  g_assert_cmpuint (text->buffers->len, >=, 6);
  gst_object_unref (pad);
  harness_free (self);
}

/* A sentence may be long: while it is blocked the input does not run away. */
static void
test_blocked_sentence (void)
{
  MoshiStandinConfig config;
  GstPad *pad;
  Harness *self;

  init_config (&config, slow_talk);
  config.text_every = 10;
  self = harness_new (&config, FILE_SOURCE " ! moshi name=m "
      "text-unit=sentence ! fakesink m.text ! fakesink async=false", 1000);
  block_text (self, &pad);
  harness_set_state (self, GST_STATE_PLAYING);
  harness_wait_track_eos (self, self->out);
  g_assert_cmpuint (self->out->bytes, ==, 20 * 48000);
  harness_wait_state (self, GST_STATE_NULL);
  gst_object_unref (pad);
  harness_free (self);
}

/* Released while its push is blocked, the pad goes, and speech goes on. */
static void
test_blocked_release (gconstpointer data)
{
  MoshiStandinConfig config;
  GstPad *pad;
  Harness *self;

  init_config (&config, talk);
  self = harness_new (&config, "%s ! moshi name=m ! fakesink m.text "
      "! fakesink async=false", (const gchar *) data);
  block_text (self, &pad);
  harness_set_state (self, GST_STATE_PLAYING);
  harness_wait_bytes (self, self->out, 48000);
  while (!gst_pad_is_blocking (pad))
    g_thread_yield ();
  gst_element_release_request_pad (self->moshi, pad);
  gst_object_unref (pad);
  harness_wait_track_eos (self, self->out);
  g_assert_cmpuint (self->out->bytes, >=, 2 * 48000);
  harness_free (self);
}

static void
add_tests (void)
{
  static const gchar *const units[] = { "token", "word", "sentence" };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (muxes); i++) {
    g_autofree gchar *path = g_strconcat ("/subtitles/mux/", muxes[i].name,
        NULL);

    g_test_add_data_func (path, &muxes[i], test_mux);
  }
  for (i = 0; i < G_N_ELEMENTS (units); i++) {
    g_autofree gchar *path = g_strconcat ("/subtitles/captions/", units[i],
        NULL);

    g_test_add_data_func (path, units[i], test_captions);
  }
  g_test_add_func ("/subtitles/segments", test_segments);
  g_test_add_func ("/subtitles/same-each-time", test_same_each_time);
  g_test_add_func ("/subtitles/srt", test_srt);
  g_test_add_func ("/subtitles/webvtt", test_webvtt);
  g_test_add_func ("/subtitles/overlay", test_overlay);
  g_test_add_func ("/subtitles/spaces", test_spaces);
  g_test_add_func ("/subtitles/blocked/live", test_blocked_live);
  g_test_add_func ("/subtitles/blocked/sentence", test_blocked_sentence);
  g_test_add_data_func ("/subtitles/blocked/release",
      "audiotestsrc samplesperbuffer=480 num-buffers=500 ! " CAPS,
      test_blocked_release);
  g_test_add_data_func ("/subtitles/blocked/release-live",
      "audiotestsrc is-live=true samplesperbuffer=480 num-buffers=100 ! " CAPS,
      test_blocked_release);
}

int
main (int argc, char **argv)
{
  return harness_main (&argc, &argv, add_tests);
}
