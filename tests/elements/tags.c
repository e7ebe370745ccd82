/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the server says of itself, in the files that others write: muxed, and
 * read back by a demuxer.
 */
#include "harness.h"

#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

#define CAPS "audio/x-raw,format=S16LE,layout=interleaved,rate=24000,channels=1"
#define FILE_SOURCE "audiotestsrc samplesperbuffer=480 num-buffers=100 ! " CAPS
#define LIVE_SOURCE "audiotestsrc is-live=true samplesperbuffer=480 " \
    "num-buffers=100 ! " CAPS

typedef struct
{
  const gchar *name;
  const gchar *source;
  const gchar *writer;
  const gchar *reader;
  gboolean fields;              /* the format has a place for each */
} File;

static const File files[] = {
  {"batch/vorbis-in-ogg", FILE_SOURCE,
      "audioconvert ! audioresample ! vorbisenc ! oggmux", "oggdemux", TRUE},
  {"batch/opus-in-ogg", FILE_SOURCE,
      "audioconvert ! audioresample ! opusenc ! oggmux", "oggdemux", TRUE},
  {"batch/opus-passed-through", FILE_SOURCE, "audio/x-opus ! oggmux",
      "oggdemux", TRUE},
  {"batch/flac", FILE_SOURCE, "audioconvert ! flacenc", "flacparse", TRUE},
  {"batch/matroska", FILE_SOURCE, "matroskamux", "matroskademux", FALSE},
  {"batch/opus-in-matroska", FILE_SOURCE, "audio/x-opus ! matroskamux",
      "matroskademux", FALSE},
  /* Live the first buffer does not wait for the server; Matroska's tags stand at
   * the end. */
  {"live/matroska", LIVE_SOURCE, "matroskamux", "matroskademux", FALSE},
};

static GstTagList *
read_tags (const gchar * path, const gchar * reader)
{
  /* The harness wants a moshi: it stays in NULL's shadow, unlinked. */
  Harness *file = harness_new (NULL, "filesrc location=%s ! %s ! fakesink "
      "moshi name=m", path, reader);
  GstTagList *all = gst_tag_list_new_empty ();
  guint i;

  gst_element_set_locked_state (file->moshi, TRUE);
  harness_play_to_eos (file);
  for (i = 0; i < file->messages->len; i++) {
    GstMessage *message = g_ptr_array_index (file->messages, i);
    g_autoptr (GstTagList) tags = NULL;

    if (GST_MESSAGE_TYPE (message) != GST_MESSAGE_TAG)
      continue;
    gst_message_parse_tag (message, &tags);
    gst_tag_list_insert (all, tags, GST_TAG_MERGE_APPEND);
  }
  harness_free (file);
  return all;
}

static gboolean
has_tag (const GstTagList * tags, const gchar * tag, const gchar * part)
{
  const gchar *value;
  guint i;

  for (i = 0; gst_tag_list_peek_string_index (tags, tag, i, &value); i++)
    if (strstr (value, part))
      return TRUE;
  return FALSE;
}

static gchar *
dup_path (void)
{
  g_autoptr (GError) error = NULL;
  gchar *path;
  gint fd = g_file_open_tmp ("moshi-XXXXXX", &path, &error);

  g_assert_no_error (error);
  close (fd);
  return path;
}

static void
test_file (gconstpointer data)
{
  const File *file = data;
  g_autofree gchar *path = dup_path ();
  g_autoptr (GstTagList) tags = NULL;
  MoshiStandinConfig config;
  Harness *self;

  moshi_standin_config_init (&config);
  config.flavour = MOSHI_STANDIN_KYUTAI_RS;
  config.voice = MOSHI_STANDIN_SILENCE;
  config.text = "A word.";
  self = harness_new (&config, "%s ! moshi name=m audio-temperature=0.7 ! %s "
      "! filesink location=%s", file->source, file->writer, path);
  harness_play_to_eos (self);
  harness_free (self);

  tags = read_tags (path, file->reader);
  g_assert_true (has_tag (tags, GST_TAG_COMMENT,
          "\"lm_model_file\":\"model.q8.gguf\""));
  g_assert_cmpint (has_tag (tags, GST_TAG_EXTENDED_COMMENT,
          "lm_model_file=model.q8.gguf"), ==, file->fields);
  g_assert_cmpint (has_tag (tags, GST_TAG_EXTENDED_COMMENT,
          "audio_temperature=0.7"), ==, file->fields);
  g_unlink (path);
}

/* In batch the server's tags stand behind the segment and before the first
 * buffer; the words' come with the words. */
static void
test_order (void)
{
  MoshiStandinConfig config;
  guint i, n_server = 0, n_words = 0;
  Harness *self;

  moshi_standin_config_init (&config);
  config.flavour = MOSHI_STANDIN_KYUTAI_RS;
  config.text = "One two";
  self = harness_new (&config, FILE_SOURCE " ! moshi name=m ! fakesink");
  harness_play_to_eos (self);
  for (i = 0; i < self->out->events->len; i++) {
    HarnessEvent *kept = &g_array_index (self->out->events, HarnessEvent, i);
    GstTagList *tags;

    if (GST_EVENT_TYPE (kept->event) != GST_EVENT_TAG)
      continue;
    gst_event_parse_tag (kept->event, &tags);
    if (gst_tag_list_get_scope (tags) == GST_TAG_SCOPE_GLOBAL) {
      g_assert_cmpuint (kept->at, ==, 0);
      n_server++;
    } else {
      g_assert_cmpuint (kept->at, >, 0);
      n_words++;
    }
  }
  g_assert_cmpuint (n_server, ==, 1);
  g_assert_cmpuint (n_words, ==, 2);
  harness_free (self);
}

/* A server that says nothing of itself has no tags, and nobody waits for them. */
static void
test_none (void)
{
  MoshiStandinConfig config;
  Harness *self;

  moshi_standin_config_init (&config);
  self = harness_new (&config, FILE_SOURCE " ! moshi name=m ! fakesink");
  harness_play_to_eos (self);
  g_assert_cmpuint (harness_track_count_events (self->out, GST_EVENT_TAG), ==,
      0);
  harness_free (self);
}

static void
add_tests (void)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (files); i++) {
    g_autofree gchar *path = g_strconcat ("/tags/", files[i].name, NULL);

    g_test_add_data_func (path, &files[i], test_file);
  }
  g_test_add_func ("/tags/order", test_order);
  g_test_add_func ("/tags/none", test_none);
}

int
main (int argc, char **argv)
{
  return harness_main (&argc, &argv, add_tests);
}
