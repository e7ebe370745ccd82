/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What Moshi says in writing: buffers on the text pad, messages, tags; and the
 * counts in `stats`.
 */
#include "harness.h"

#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

#define CAPS "audio/x-raw,format=S16LE,layout=interleaved,rate=24000,channels=1"
#define FILE_SOURCE "audiotestsrc samplesperbuffer=480 num-buffers=%u ! " CAPS

#define MS(n) ((n) * GST_MSECOND)

static const gchar sentence[] = "Hello there, my friend. How are you? Fine!";

static void
init_config (MoshiStandinConfig * config, const gchar * text)
{
  moshi_standin_config_init (config);
  config->voice = MOSHI_STANDIN_SILENCE;
  config->text = text;
}

/* Seconds of a file through moshi, its text into `sink` */
static Harness *
new_file (const MoshiStandinConfig * config, guint seconds,
    const gchar * properties, const gchar * sink)
{
  return harness_new (config, FILE_SOURCE " ! moshi name=m %s ! fakesink "
      "m.text ! %s", seconds * 50, properties, sink);
}

/* Text and gaps lie behind one another on the track, and do not overlap. */
static void
assert_in_order (HarnessTrack * track)
{
  GstClockTime reached = 0, pts, duration;
  guint i, event = 0;

  for (i = 0; i <= track->buffers->len; i++) {
    for (; event < track->events->len; event++) {
      HarnessEvent *kept = &g_array_index (track->events, HarnessEvent, event);

      if (kept->at > i)
        break;
      if (GST_EVENT_TYPE (kept->event) != GST_EVENT_GAP)
        continue;
      gst_event_parse_gap (kept->event, &pts, &duration);
      g_assert_cmpuint (pts, >=, reached);
      reached = pts + duration;
    }
    if (i == track->buffers->len)
      break;
    pts = harness_track_buffer (track, i)->pts;
    duration = harness_track_buffer (track, i)->duration;
    g_assert_cmpuint (pts, >=, reached);
    g_assert_cmpuint (duration, >, 0);
    g_assert_cmpuint (duration, <, MS (60000));
    reached = pts + duration;
  }
}

static void
assert_texts (HarnessTrack * track, const gchar * const *expected)
{
  guint i;

  g_assert_cmpuint (track->buffers->len, ==, g_strv_length ((gchar **)
          expected));
  for (i = 0; expected[i]; i++) {
    g_autofree gchar *text = harness_track_dup_text (track, i);

    g_assert_cmpstr (text, ==, expected[i]);
  }
}

/* --- units --------------------------------------------------------------- */

static void
test_words (void)
{
  static const gchar *const words[] = { "Hello", "there,", "my", "friend.",
    "How", "are", "you?", "Fine!", NULL
  };
  static const GstEventType order[] = { GST_EVENT_STREAM_START, GST_EVENT_CAPS,
    GST_EVENT_SEGMENT
  };
  MoshiStandinConfig config;
  HarnessTrack *track;
  GstStreamFlags flags;
  guint i, groups[2];
  Harness *self;

  init_config (&config, sentence);
  self = new_file (&config, 10, "", "fakesink");
  track = harness_track (self, "m", "text");
  harness_play_to_eos (self);
  assert_texts (track, words);
  assert_in_order (track);
  g_assert_cmpuint (harness_get_stat (self, "words"), ==, 8);

  for (i = 0; i < G_N_ELEMENTS (order); i++) {
    HarnessEvent *kept = &g_array_index (track->events, HarnessEvent, i);

    g_assert_cmpint (GST_EVENT_TYPE (kept->event), ==, order[i]);
    g_assert_cmpuint (kept->at, ==, 0);
  }
  gst_event_parse_stream_flags (harness_track_find_event (track,
          GST_EVENT_STREAM_START, NULL), &flags);
  g_assert_true (flags & GST_STREAM_FLAG_SPARSE);
  g_assert_true (gst_event_parse_group_id (harness_track_find_event (track,
              GST_EVENT_STREAM_START, NULL), &groups[0]));
  g_assert_true (gst_event_parse_group_id (harness_track_find_event (self->out,
              GST_EVENT_STREAM_START, NULL), &groups[1]));
  g_assert_cmpuint (groups[0], ==, groups[1]);
  g_assert_cmpuint (track->n_eos, ==, 1);
  harness_free (self);
}

/* A word stands where the audio stands that it was said with: the server sends
 * a piece with every third frame. */
static void
test_word_times (void)
{
  MoshiStandinConfig config;
  HarnessTrack *track;
  guint i;
  Harness *self;

  init_config (&config, "one two three four five six");
  config.text_every = 5;
  self = new_file (&config, 6, "", "fakesink");
  track = harness_track (self, "m", "text");
  harness_play_to_eos (self);
  g_assert_cmpuint (track->buffers->len, ==, 6);
  for (i = 1; i < 6; i++)
    g_assert_cmpuint (harness_track_buffer (track, i)->pts
        - harness_track_buffer (track, i - 1)->pts, ==, MS (400));
  g_assert_cmpuint (harness_track_buffer (track, 0)->pts, <=,
      MS (160 + 5 * 80 + 80));
  harness_free (self);
}

static void
test_tokens (void)
{
  MoshiStandinConfig config;
  g_autoptr (GString) all = g_string_new (NULL);
  HarnessTrack *track;
  guint i;
  Harness *self;

  init_config (&config, sentence);
  self = new_file (&config, 10, "text-unit=token", "fakesink");
  track = harness_track (self, "m", "text");
  harness_play_to_eos (self);
  for (i = 0; i < track->buffers->len; i++) {
    g_autofree gchar *text = harness_track_dup_text (track, i);

    g_string_append (all, text);
  }
  g_assert_cmpstr (g_strstrip (all->str), ==, sentence);
  g_assert_cmpuint (track->buffers->len, >=, 8);
  assert_in_order (track);
  harness_free (self);
}

static void
test_sentences (void)
{
  static const gchar *const sentences[] = { "Hello there, my friend.",
    "How are you?", "Fine!", NULL
  };
  MoshiStandinConfig config;
  HarnessTrack *track;
  Harness *self;

  init_config (&config, sentence);
  self = new_file (&config, 10, "text-unit=sentence", "fakesink");
  track = harness_track (self, "m", "text");
  harness_play_to_eos (self);
  assert_texts (track, sentences);
  assert_in_order (track);
  g_assert_cmpuint (harness_get_stat (self, "words"), ==, 8);
  harness_free (self);
}

/* The end cuts a word short: what there is comes out all the same. */
static void
test_cut_short (void)
{
  static const gchar *const begun[] = { "one", "two", NULL };
  MoshiStandinConfig config;
  HarnessTrack *track;
  Harness *self;

  init_config (&config, "one two");
  config.text_every = 8;
  self = new_file (&config, 2, "", "fakesink");
  track = harness_track (self, "m", "text");
  harness_play_to_eos (self);
  assert_texts (track, begun);
  harness_free (self);
}

typedef struct
{
  const gchar *name;
  MoshiStandinFlavour flavour;
  gboolean whole;               /* all bytes of a character are on the wire */
} Flavour;

static const Flavour flavours[] = {
  {"kyutai-py", MOSHI_STANDIN_KYUTAI_PY, TRUE},
  {"kyutai-rs", MOSHI_STANDIN_KYUTAI_RS, FALSE},
  {"moshi-server", MOSHI_STANDIN_MOSHI_SERVER, FALSE},
  {"mlx", MOSHI_STANDIN_MLX, TRUE},
  {"personaplex", MOSHI_STANDIN_PERSONAPLEX, TRUE},
  {"scaleway", MOSHI_STANDIN_SCALEWAY, FALSE},
};

/* Valid UTF-8 whatever the server sends (harness_track_dup_text() checks it);
 * where the wire has the characters they come out. */
static void
test_byte_fallback (gconstpointer data)
{
  static const gchar text[] = "caf\303\251 na\303\257ve \342\202\254 "
      "\360\237\230\200 done";
  const Flavour *flavour = data;
  MoshiStandinConfig config;
  g_autoptr (GString) all = g_string_new (NULL);
  HarnessTrack *track;
  guint i;
  Harness *self;

  init_config (&config, text);
  config.flavour = flavour->flavour;
  config.byte_fallback = TRUE;
  config.prompt_ms = 0;
  self = new_file (&config, 20, "api-key=secret text-prompt=x voice-prompt=x",
      "fakesink");
  track = harness_track (self, "m", "text");
  harness_play_to_eos (self);
  for (i = 0; i < track->buffers->len; i++) {
    g_autofree gchar *word = harness_track_dup_text (track, i);

    g_assert_null (strstr (word, "<0x"));
    g_string_append_printf (all, "%s ", word);
  }
  if (flavour->whole)
    g_assert_cmpstr (g_strstrip (all->str), ==, text);
  g_assert_nonnull (strstr (all->str, "done"));
  g_assert_true (g_str_has_prefix (all->str, "caf"));
  assert_in_order (track);
  harness_free (self);
}

/* --- a sparse stream ----------------------------------------------------- */

/* Without a word the sink behind the text prerolls, and gaps follow the audio
 * to its end. */
static void
test_no_words (void)
{
  MoshiStandinConfig config;
  HarnessTrack *track;
  GstClockTime pts, duration, reached = 0;
  guint i;
  Harness *self;

  init_config (&config, NULL);
  self = new_file (&config, 5, "", "fakesink sync=true");
  track = harness_track (self, "m", "text");
  harness_wait_state (self, GST_STATE_PAUSED);
  harness_play_to_eos (self);
  g_assert_cmpuint (track->buffers->len, ==, 0);
  assert_in_order (track);
  for (i = 0; i < track->events->len; i++) {
    GstEvent *event = g_array_index (track->events, HarnessEvent, i).event;

    if (GST_EVENT_TYPE (event) != GST_EVENT_GAP)
      continue;
    gst_event_parse_gap (event, &pts, &duration);
    g_assert_cmpuint (pts, ==, reached);
    reached = pts + duration;
  }
  g_assert_cmpuint (reached, >, MS (4500));
  g_assert_cmpuint (reached, <=, MS (5000));
  harness_free (self);
}

/* Live likewise, before there is a server */
static void
test_live_preroll (void)
{
  static const gchar *const faults[] = { "no-handshake", NULL };
  MoshiStandinConfig config;
  HarnessTrack *track;
  Harness *self;

  init_config (&config, NULL);
  config.faults = faults;
  self = harness_new (&config, "audiotestsrc is-live=true ! " CAPS
      " ! moshi name=m ! fakesink m.text ! fakesink name=words");
  track = harness_track (self, "m", "text");
  harness_wait_state (self, GST_STATE_PLAYING);
  g_assert_cmpuint (track->buffers->len, ==, 0);
  harness_free (self);
}

/* Who does not take the words does not stop the speech. */
static GstPadProbeReturn
block (GstPad * pad, GstPadProbeInfo * info, gpointer user_data)
{
  return GST_PAD_PROBE_OK;
}

static void
test_blocked (void)
{
  MoshiStandinConfig config;
  HarnessTrack *track;
  GstPad *pad;
  gulong probe;
  Harness *self;

  init_config (&config, sentence);
  self = new_file (&config, 10, "", "fakesink async=false");
  track = harness_track (self, "m", "text");
  pad = gst_element_get_static_pad (self->moshi, "text");
  probe = gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BLOCK_DOWNSTREAM, block,
      NULL, NULL);
  harness_set_state (self, GST_STATE_PLAYING);
  harness_wait_track_eos (self, self->out);
  g_assert_cmpuint (self->out->data->len, ==, 10 * 48000);
  gst_pad_remove_probe (pad, probe);
  harness_wait_eos (self);
  g_assert_cmpuint (track->buffers->len, ==, 8);
  assert_in_order (track);
  gst_object_unref (pad);
  harness_free (self);
}

static void
test_blocked_stop (void)
{
  MoshiStandinConfig config;
  GstPad *pad;
  Harness *self;

  init_config (&config, sentence);
  self = new_file (&config, 10, "", "fakesink async=false");
  pad = gst_element_get_static_pad (self->moshi, "text");
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BLOCK_DOWNSTREAM, block, NULL,
      NULL);
  harness_set_state (self, GST_STATE_PLAYING);
  harness_wait_track_eos (self, self->out);
  harness_wait_state (self, GST_STATE_NULL);
  gst_object_unref (pad);
  harness_free (self);
}

/* A flush takes what waits, but not what has to stand before all text. */
static void
test_blocked_flush (void)
{
  MoshiStandinConfig config;
  HarnessTrack *track;
  GstPad *pad;
  GstEvent *start;
  GstCaps *caps;
  gulong probe;
  Harness *self;

  init_config (&config, sentence);
  config.text_every = 10;
  self = new_file (&config, 10, "", "fakesink async=false");
  track = harness_track (self, "m", "text");
  pad = gst_element_get_static_pad (self->moshi, "text");
  probe = gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BLOCK_DOWNSTREAM, block,
      NULL, NULL);
  harness_set_state (self, GST_STATE_PLAYING);
  harness_wait_stat (self, "samples-received", 24000);
  g_assert_true (gst_element_seek_simple (self->pipeline, GST_FORMAT_TIME,
          GST_SEEK_FLAG_FLUSH, 0));
  gst_pad_remove_probe (pad, probe);
  harness_wait_eos (self);
  g_assert_cmpuint (track->buffers->len, >, 0);
  start = gst_pad_get_sticky_event (pad, GST_EVENT_STREAM_START, 0);
  caps = gst_pad_get_current_caps (pad);
  g_assert_nonnull (start);
  g_assert_nonnull (caps);
  gst_event_unref (start);
  gst_caps_unref (caps);
  gst_object_unref (pad);
  harness_free (self);
}

/* --- the pad, in each state ---------------------------------------------- */

static void
add_and_remove (Harness * self)
{
  GstElement *sink = gst_element_factory_make ("fakesink", NULL);
  GstPad *pad = gst_element_request_pad_simple (self->moshi, "text");
  GstPad *peer = gst_element_get_static_pad (sink, "sink");

  g_assert_nonnull (pad);
  g_assert_cmpstr (GST_PAD_NAME (pad), ==, "text");
  g_object_set (sink, "async", FALSE, "sync", FALSE, NULL);
  gst_bin_add (GST_BIN (self->pipeline), gst_object_ref (sink));
  g_assert_true (gst_element_sync_state_with_parent (sink));
  g_assert_cmpint (gst_pad_link (pad, peer), ==, GST_PAD_LINK_OK);

  gst_element_release_request_pad (self->moshi, pad);
  g_assert_null (gst_element_get_static_pad (self->moshi, "text"));
  gst_object_unref (pad);
  gst_object_unref (peer);
  gst_element_set_state (sink, GST_STATE_NULL);
  gst_bin_remove (GST_BIN (self->pipeline), sink);
  gst_object_unref (sink);
}

static void
test_request_and_release (void)
{
  static const GstState states[] = { GST_STATE_NULL, GST_STATE_READY,
    GST_STATE_PAUSED, GST_STATE_PLAYING, GST_STATE_PAUSED, GST_STATE_NULL
  };
  MoshiStandinConfig config;
  guint i, k;
  Harness *self;

  init_config (&config, sentence);
  self = harness_new (&config, FILE_SOURCE " ! moshi name=m ! "
      "fakesink sync=true", 500);
  for (i = 0; i < G_N_ELEMENTS (states); i++) {
    harness_wait_state (self, states[i]);
    for (k = 0; k < 10; k++)
      add_and_remove (self);
  }
  harness_free (self);
}

/* Who comes late hears the words from then on, with all that has to stand
 * before them; speech goes on when he leaves. */
static void
test_late_request (void)
{
  MoshiStandinConfig config;
  HarnessTrack *track;
  GstElement *sink = gst_element_factory_make ("fakesink", NULL);
  GstPad *pad, *peer = gst_element_get_static_pad (sink, "sink");
  Harness *self;

  init_config (&config, "la la la la la la la la la la la la la la la la la "
      "la la la la la la la la la la la la la la la la la la la la la la la");
  config.text_every = 1;
  self = harness_new (&config, FILE_SOURCE " ! moshi name=m ! "
      "fakesink sync=true", 150);
  harness_set_state (self, GST_STATE_PLAYING);
  harness_wait_bytes (self, self->out, 24000);

  g_object_set (sink, "async", FALSE, NULL);
  gst_bin_add (GST_BIN (self->pipeline), gst_object_ref (sink));
  g_assert_true (gst_element_sync_state_with_parent (sink));
  pad = gst_element_request_pad_simple (self->moshi, "text");
  track = harness_track (self, "m", "text");
  g_assert_cmpint (gst_pad_link (pad, peer), ==, GST_PAD_LINK_OK);
  harness_wait_buffers (self, track, 3);
  gst_element_release_request_pad (self->moshi, pad);
  gst_object_unref (pad);
  g_assert_cmpint (GST_EVENT_TYPE (g_array_index (track->events, HarnessEvent,
              0).event), ==, GST_EVENT_STREAM_START);
  g_assert_nonnull (harness_track_find_event (track, GST_EVENT_SEGMENT, NULL));

  gst_element_set_state (sink, GST_STATE_NULL);
  gst_bin_remove (GST_BIN (self->pipeline), sink);
  gst_object_unref (sink);
  gst_object_unref (peer);
  harness_wait_eos (self);
  g_assert_cmpuint (self->out->data->len, ==, 3 * 48000);
  harness_free (self);
}

/* --- what others make of it ---------------------------------------------- */

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

/* Into a file and out of it: every word, where it was */
static void
test_matroska (gconstpointer data)
{
  MoshiStandinConfig config;
  g_autofree gchar *path = NULL;
  g_autoptr (GError) error = NULL;
  HarnessTrack *written, *read;
  const gchar *text = data;
  GstElement *pipeline, *sink;
  gint fd;
  guint i;
  Harness *self, *file;

  if (!has_element ("matroskamux"))
    return;
  fd = g_file_open_tmp ("moshi-XXXXXX.mkv", &path, &error);
  g_assert_no_error (error);
  close (fd);

  init_config (&config, text);
  self = harness_new (&config, FILE_SOURCE " ! moshi name=m ! queue ! mux. "
      "m.text ! mux. matroskamux name=mux ! filesink location=%s", 500, path);
  written = harness_track (self, "m", "text");
  harness_play_to_eos (self);

  /* The harness wants a moshi: it stays in NULL's shadow, unlinked. */
  file = harness_new (NULL, "filesrc location=%s ! matroskademux name=d "
      "d.audio_0 ! queue ! fakesink name=a d.subtitle_0 ! queue "
      "! fakesink name=s moshi name=m", path);
  pipeline = file->pipeline;
  sink = gst_bin_get_by_name (GST_BIN (pipeline), "m");
  gst_element_set_locked_state (sink, TRUE);
  gst_object_unref (sink);
  read = harness_track (file, "s", "sink");
  harness_play_to_eos (file);
  g_assert_cmpuint (read->buffers->len, ==, written->buffers->len);
  for (i = 0; i < read->buffers->len; i++) {
    g_autofree gchar *there = harness_track_dup_text (read, i);
    g_autofree gchar *here = harness_track_dup_text (written, i);

    g_assert_cmpstr (there, ==, here);
    g_assert_cmpint (ABS (GST_CLOCK_DIFF (harness_track_buffer (read, i)->pts,
                harness_track_buffer (written, i)->pts)), <=, MS (1));
  }
  harness_free (file);
  harness_free (self);
  g_unlink (path);
}

/* --- messages ------------------------------------------------------------ */

static const GstStructure *
get_message (Harness * self, const gchar * name, guint n)
{
  guint i;

  for (i = 0; i < self->messages->len; i++) {
    GstMessage *message = g_ptr_array_index (self->messages, i);

    if (gst_message_has_name (message, name) && n-- == 0)
      return gst_message_get_structure (message);
  }
  g_assert_not_reached ();
}

static void
test_text_messages (void)
{
  MoshiStandinConfig config;
  HarnessTrack *track;
  guint i;
  Harness *self;

  init_config (&config, sentence);
  self = new_file (&config, 10, "", "fakesink");
  track = harness_track (self, "m", "text");
  harness_play_to_eos (self);
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_ELEMENT,
          "moshi-text"), ==, 8);
  for (i = 0; i < 8; i++) {
    const GstStructure *structure = get_message (self, "moshi-text", i);
    const HarnessBuffer *buffer = harness_track_buffer (track, i);
    g_autofree gchar *text = harness_track_dup_text (track, i);
    guint64 time, duration;
    guint index;

    g_assert_cmpstr (gst_structure_get_string (structure, "text"), ==, text);
    g_assert_cmpstr (gst_structure_get_string (structure, "unit"), ==, "word");
    g_assert_true (gst_structure_get_uint64 (structure, "running-time", &time));
    g_assert_true (gst_structure_get_uint64 (structure, "duration", &duration));
    g_assert_true (gst_structure_get_uint (structure, "session-index", &index));
    g_assert_cmpuint (time, ==, buffer->pts);
    g_assert_cmpuint (duration, ==, buffer->duration);
    g_assert_cmpuint (index, ==, 0);
    g_assert_false (gst_structure_has_field (structure, "color"));
  }
  harness_free (self);
}

/* Messages come without a pad too. */
static void
test_messages_alone (void)
{
  MoshiStandinConfig config;
  Harness *self;

  init_config (&config, sentence);
  self = harness_new (&config, FILE_SOURCE " ! moshi name=m "
      "text-unit=sentence ! fakesink", 500);
  harness_play_to_eos (self);
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_ELEMENT,
          "moshi-text"), ==, 3);
  g_assert_cmpstr (gst_structure_get_string (get_message (self, "moshi-text",
              1), "unit"), ==, "sentence");
  harness_free (self);
}

static void
test_session_messages (void)
{
  static const gchar *const states[] = { "connecting", "waiting", "ready" };
  MoshiStandinConfig config;
  const gchar *uri;
  guint i, index;
  Harness *self;

  init_config (&config, NULL);
  self = harness_new (&config, FILE_SOURCE " ! moshi name=m api-key=hush "
      "auth-method=query ! fakesink", 50);
  harness_play_to_eos (self);
  for (i = 0; i < G_N_ELEMENTS (states); i++) {
    const GstStructure *structure = get_message (self, "moshi-session", i);

    g_assert_cmpstr (gst_structure_get_string (structure, "state"), ==,
        states[i]);
    g_assert_true (gst_structure_get_uint (structure, "session-index", &index));
    g_assert_cmpuint (index, ==, 0);
    uri = gst_structure_get_string (structure, "uri");
    g_assert_true (g_str_has_prefix (uri, "ws://127.0.0.1:"));
    g_assert_null (strstr (uri, "hush"));
  }
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_PROGRESS, NULL),
      >=, 2);
  harness_free (self);
}

static void
test_metadata (void)
{
  MoshiStandinConfig config;
  const GstStructure *structure;
  gdouble temperature;
  Harness *self;

  init_config (&config, NULL);
  config.flavour = MOSHI_STANDIN_KYUTAI_RS;
  self = harness_new (&config, FILE_SOURCE " ! moshi name=m "
      "audio-temperature=0.5 ! fakesink", 50);
  harness_play_to_eos (self);
  structure = get_message (self, "moshi-metadata", 0);
  g_assert_true (g_str_has_prefix (gst_structure_get_string (structure,
              "json"), "{"));
  g_assert_cmpstr (gst_structure_get_string (structure, "lm_model_file"), ==,
      "model.q8.gguf");
  g_assert_true (gst_structure_get_double (structure, "audio_temperature",
          &temperature));
  g_assert_cmpfloat (temperature, ==, 0.5);
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_ELEMENT,
          "moshi-metadata"), ==, 1);
  harness_free (self);
}

/* --- tags ---------------------------------------------------------------- */

static void
test_tags (void)
{
  MoshiStandinConfig config;
  GString *all = g_string_new (NULL);
  GstTagList *tags;
  gboolean server = FALSE;
  gchar *text;
  guint i;
  Harness *self;

  init_config (&config, sentence);
  config.flavour = MOSHI_STANDIN_KYUTAI_RS;
  self = harness_new (&config, FILE_SOURCE " ! moshi name=m ! fakesink", 500);
  harness_play_to_eos (self);
  for (i = 0; i < self->out->events->len; i++) {
    HarnessEvent *kept = &g_array_index (self->out->events, HarnessEvent, i);

    if (GST_EVENT_TYPE (kept->event) != GST_EVENT_TAG)
      continue;
    gst_event_parse_tag (kept->event, &tags);
    if (gst_tag_list_get_string (tags, GST_TAG_ENCODED_BY, &text)) {
      server = server || g_str_equal (text, "stand-in");
      g_free (text);
    }
    if (gst_tag_list_get_string (tags, "moshi-text", &text)) {
      g_string_append_printf (all, "%s ", text);
      g_free (text);
    }
  }
  g_assert_true (server);
  g_assert_cmpstr (g_strstrip (all->str), ==, sentence);
  g_string_free (all, TRUE);
  harness_free (self);
}

/* --- stats --------------------------------------------------------------- */

static void
assert_stats (Harness * self, const GstStructure * stats)
{
  static const gchar *const wide[] = { "bytes-sent", "bytes-received",
    "messages-sent", "messages-received", "samples-sent", "samples-received",
    "in-flight", "round-trip-min", "round-trip-mean", "round-trip-p95",
    "round-trip-max", "response-time", "concealed", "trimmed", "dropped",
    "filled"
  };
  static const gchar *const narrow[] = { "sessions", "reconnects", "words" };
  guint i;

  g_assert_true (gst_structure_has_name (stats, "application/x-moshi-stats"));
  for (i = 0; i < G_N_ELEMENTS (wide); i++)
    g_assert_true (gst_structure_has_field_typed (stats, wide[i],
            G_TYPE_UINT64));
  for (i = 0; i < G_N_ELEMENTS (narrow); i++)
    g_assert_true (gst_structure_has_field_typed (stats, narrow[i],
            G_TYPE_UINT));
}

/* What the element counts is what the server counts. */
static void
test_stats (void)
{
  MoshiStandinConfig config;
  MoshiStandinStats server;
  g_autoptr (GstStructure) fresh = NULL;
  g_autoptr (GstStructure) running = NULL;
  g_autoptr (GstStructure) kept = NULL;
  guint64 bytes = 0, messages = 0;
  guint i;
  Harness *self;

  init_config (&config, sentence);
  self = harness_new (&config, FILE_SOURCE " ! moshi name=m ! fakesink", 500);
  fresh = harness_get_stats (self);
  assert_stats (self, fresh);
  harness_play_to_eos (self);
  g_assert_true (moshi_standin_wait_idle (self->server, HARNESS_PATIENCE));
  running = harness_get_stats (self);
  assert_stats (self, running);

  moshi_standin_get_stats (self->server, &server);
  for (i = 0; i < G_N_ELEMENTS (server.messages); i++) {
    messages += server.messages[i];
    bytes += server.bytes[i];
  }
  g_assert_cmpuint (harness_get_stat (self, "messages-sent"), ==, messages);
  g_assert_cmpuint (harness_get_stat (self, "bytes-sent"), ==, bytes);
  g_assert_cmpuint (harness_get_stat (self, "samples-sent"), ==,
      server.samples);
  g_assert_cmpuint (harness_get_stat (self, "samples-received"), <=,
      server.frames_sent * 1920);
  g_assert_cmpuint (harness_get_stat (self, "samples-received"), >=,
      (10000 - 160) * 24);
  g_assert_cmpuint (harness_get_stat (self, "bytes-received"), >, 10000);
  g_assert_cmpuint (harness_get_stat (self, "messages-received"), >,
      server.text_sent);
  g_assert_cmpuint (harness_get_stat (self, "round-trip-min"), >, 0);
  g_assert_cmpuint (harness_get_stat (self, "round-trip-min"), <=,
      harness_get_stat (self, "round-trip-mean"));
  g_assert_cmpuint (harness_get_stat (self, "round-trip-mean"), <=,
      harness_get_stat (self, "round-trip-max"));
  g_assert_cmpuint (harness_get_stat (self, "round-trip-p95"), <=,
      harness_get_stat (self, "round-trip-max"));
  g_assert_cmpuint (harness_get_stat (self, "words"), ==, 8);
  g_assert_cmpuint (harness_get_stat (self, "sessions"), ==, 1);
  g_assert_cmpuint (harness_get_stat (self, "reconnects"), ==, 0);
  g_assert_cmpuint (harness_get_stat (self, "filled"), ==, 0);
  g_assert_cmpuint (harness_get_stat (self, "dropped"), ==, 0);

  harness_wait_state (self, GST_STATE_NULL);
  kept = harness_get_stats (self);
  for (i = 0; i < (guint) gst_structure_n_fields (running); i++) {
    const gchar *name = gst_structure_nth_field_name (running, i);

    g_assert_cmpint (gst_value_compare (gst_structure_get_value (running,
                name), gst_structure_get_value (kept, name)), ==,
        GST_VALUE_EQUAL);
  }
  harness_free (self);
}

static void
add_tests (void)
{
  guint i;

  g_test_add_func ("/text/words", test_words);
  g_test_add_func ("/text/word-times", test_word_times);
  g_test_add_func ("/text/tokens", test_tokens);
  g_test_add_func ("/text/sentences", test_sentences);
  g_test_add_func ("/text/cut-short", test_cut_short);
  for (i = 0; i < G_N_ELEMENTS (flavours); i++) {
    g_autofree gchar *path = g_strconcat ("/text/byte-fallback/",
        flavours[i].name, NULL);

    g_test_add_data_func (path, &flavours[i], test_byte_fallback);
  }
  g_test_add_func ("/text/no-words", test_no_words);
  g_test_add_func ("/text/live-preroll", test_live_preroll);
  g_test_add_func ("/text/blocked", test_blocked);
  g_test_add_func ("/text/blocked-stop", test_blocked_stop);
  g_test_add_func ("/text/blocked-flush", test_blocked_flush);
  g_test_add_func ("/text/request-and-release", test_request_and_release);
  g_test_add_func ("/text/late-request", test_late_request);
  g_test_add_data_func ("/text/matroska/words", sentence, test_matroska);
  g_test_add_data_func ("/text/matroska/none", NULL, test_matroska);
  g_test_add_func ("/text/messages/text", test_text_messages);
  g_test_add_func ("/text/messages/alone", test_messages_alone);
  g_test_add_func ("/text/messages/session", test_session_messages);
  g_test_add_func ("/text/messages/metadata", test_metadata);
  g_test_add_func ("/text/tags", test_tags);
  g_test_add_func ("/text/stats", test_stats);
}

int
main (int argc, char **argv)
{
  return harness_main (&argc, &argv, add_tests);
}
