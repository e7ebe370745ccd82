/* SPDX-License-Identifier: LGPL-2.1-or-later */

/**
 * SECTION:moshi-talk
 *
 * Says a recording to a Moshi server and keeps what it answers: the voice as
 * a WAV file, the words as SRT subtitles. Shows the progress, the words as
 * they come, and a summary. All an application has to do to work with the
 * element `moshi` stands here: build a pipeline, listen to the bus, read the
 * statistics.
 *
 * |[
 * moshi-talk --uri ws://127.0.0.1:8998 --tail 4000 question.wav answer.wav answer.srt
 * ]|
 */

#include <glib-unix.h>
#include <gst/gst.h>

/* Words this far apart belong to different lines. */
#define PAUSE (1500 * GST_MSECOND)

typedef struct
{
  GstElement *pipeline;
  GstElement *moshi;
  GMainLoop *loop;
  GstClockTime last_word;       /* where it ended, NONE before the first */
  gboolean failed;
} Talk;

static gchar *uri;
static gint tail = 4000;
static gchar **files;

static const GOptionEntry entries[] = {
  {"uri", 'u', 0, G_OPTION_ARG_STRING, &uri,
      "Server, otherwise $MOSHI_URI; a key comes from $MOSHI_API_KEY", "URI"},
  {"tail", 't', 0, G_OPTION_ARG_INT, &tail,
      "Silence to let Moshi finish its answer in (4000)", "MS"},
  {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &files, NULL,
      "INPUT ANSWER.wav ANSWER.srt"},
  {NULL}
};

/* Ends the line of words that may stand open on the terminal. */
static void
end_line (Talk * self)
{
  if (GST_CLOCK_TIME_IS_VALID (self->last_word))
    g_print ("\n");
  self->last_word = GST_CLOCK_TIME_NONE;
}

/* Shows a word: those of one breath on one line, with the time it began at. */
static void
show_word (Talk * self, const GstStructure * word)
{
  const gchar *text = gst_structure_get_string (word, "text");
  guint64 time = 0, duration = 0;

  gst_structure_get_uint64 (word, "running-time", &time);
  gst_structure_get_uint64 (word, "duration", &duration);
  if (GST_CLOCK_TIME_IS_VALID (self->last_word) &&
      time > self->last_word + PAUSE)
    end_line (self);

  if (GST_CLOCK_TIME_IS_VALID (self->last_word))
    g_print (" %s", text);
  else
    g_print ("%7.2f s  %s", (gdouble) time / GST_SECOND, text);
  self->last_word = time + duration;
}

static void
on_element_message (GstBus * bus, GstMessage * message, Talk * self)
{
  const GstStructure *s = gst_message_get_structure (message);

  if (gst_structure_has_name (s, "moshi-text"))
    show_word (self, s);
  else if (gst_structure_has_name (s, "moshi-metadata") &&
      gst_structure_has_field (s, "instance_name"))
    g_print ("           server: %s\n",
        gst_structure_get_string (s, "instance_name"));
}

/* Connecting, and waiting for a busy server, in the element's words. That it
 * came to nothing is told by an error too. */
static void
on_progress (GstBus * bus, GstMessage * message, Talk * self)
{
  GstProgressType type;
  gchar *text = NULL;

  gst_message_parse_progress (message, &type, NULL, &text);
  end_line (self);
  if (type != GST_PROGRESS_TYPE_ERROR)
    g_print ("           %s\n", text);
  g_free (text);
}

static void
on_warning (GstBus * bus, GstMessage * message, Talk * self)
{
  GError *error = NULL;

  gst_message_parse_warning (message, &error, NULL);
  end_line (self);
  g_printerr ("Warning: %s\n", error->message);
  g_error_free (error);
}

static void
on_error (GstBus * bus, GstMessage * message, Talk * self)
{
  GError *error = NULL;
  gchar *debug = NULL;

  gst_message_parse_error (message, &error, &debug);
  end_line (self);
  g_printerr ("Error: %s\n", error->message);
  if (debug)
    g_printerr ("  (%s)\n", debug);
  g_error_free (error);
  g_free (debug);
  self->failed = TRUE;
  g_main_loop_quit (self->loop);
}

static void
on_eos (GstBus * bus, GstMessage * message, Talk * self)
{
  end_line (self);
  g_main_loop_quit (self->loop);
}

/* Ctrl-C ends the input and not the program, so that the answer is heard out
 * and the files are whole. */
static gboolean
on_interrupt (gpointer user_data)
{
  Talk *self = user_data;

  gst_element_send_event (self->pipeline, gst_event_new_eos ());
  return G_SOURCE_REMOVE;
}

static gdouble
get_seconds (const GstStructure * stats, const gchar * field, gdouble unit)
{
  guint64 value = 0;

  gst_structure_get_uint64 (stats, field, &value);
  return (gdouble) value / unit;
}

static void
show_summary (Talk * self)
{
  GstStructure *stats = NULL;
  guint words = 0;

  g_object_get (self->moshi, "stats", &stats, NULL);
  gst_structure_get_uint (stats, "words", &words);
  g_print ("Said %.2f s, heard %.2f s and %u words.\n",
      get_seconds (stats, "samples-sent", 24000),
      get_seconds (stats, "samples-received", 24000), words);
  g_print ("Response time %.2f s; round trip %.0f ms on average, "
      "%.0f ms at most.\n",
      get_seconds (stats, "response-time", GST_SECOND),
      get_seconds (stats, "round-trip-mean", GST_MSECOND),
      get_seconds (stats, "round-trip-max", GST_MSECOND));
  gst_structure_free (stats);
}

static void
set_location (Talk * self, const gchar * name, const gchar * location)
{
  GstElement *element = gst_bin_get_by_name (GST_BIN (self->pipeline), name);

  g_object_set (element, "location", location, NULL);
  gst_object_unref (element);
}

static gboolean
build_pipeline (Talk * self, GError ** error)
{
  self->pipeline =
      gst_parse_launch ("filesrc name=in ! decodebin ! audioconvert "
      "! audioresample ! moshi name=moshi ! wavenc ! filesink name=voice "
      "moshi.text ! srtenc ! filesink name=words", error);
  /* A pipeline with an error may come back half built. */
  if (*error)
    return FALSE;

  set_location (self, "in", files[0]);
  set_location (self, "voice", files[1]);
  set_location (self, "words", files[2]);
  self->moshi = gst_bin_get_by_name (GST_BIN (self->pipeline), "moshi");
  g_object_set (self->moshi, "tail", tail, NULL);
  if (uri)
    g_object_set (self->moshi, "uri", uri, NULL);
  return TRUE;
}

/* Runs the pipeline until its end or the first error. */
static void
run_pipeline (Talk * self)
{
  GstBus *bus = gst_element_get_bus (self->pipeline);

  self->loop = g_main_loop_new (NULL, FALSE);
  g_unix_signal_add (SIGINT, on_interrupt, self);
  gst_bus_add_signal_watch (bus);
  g_signal_connect (bus, "message::element", G_CALLBACK (on_element_message),
      self);
  g_signal_connect (bus, "message::progress", G_CALLBACK (on_progress), self);
  g_signal_connect (bus, "message::warning", G_CALLBACK (on_warning), self);
  g_signal_connect (bus, "message::error", G_CALLBACK (on_error), self);
  g_signal_connect (bus, "message::eos", G_CALLBACK (on_eos), self);

  /* What goes wrong here is told on the bus too. */
  gst_element_set_state (self->pipeline, GST_STATE_PLAYING);
  g_main_loop_run (self->loop);

  gst_bus_remove_signal_watch (bus);
  gst_object_unref (bus);
  g_main_loop_unref (self->loop);
}

int
main (int argc, char **argv)
{
  Talk self = { NULL, NULL, NULL, GST_CLOCK_TIME_NONE, FALSE };
  GOptionContext *context = g_option_context_new (NULL);
  GError *error = NULL;

  g_option_context_add_main_entries (context, entries, NULL);
  g_option_context_add_group (context, gst_init_get_option_group ());
  if (!g_option_context_parse (context, &argc, &argv, &error) ||
      !files || g_strv_length (files) != 3 || tail < 0) {
    g_printerr ("%s\n", error ? error->message :
        "Wanted: INPUT ANSWER.wav ANSWER.srt (see --help)");
    return 2;
  }
  g_option_context_free (context);

  if (!build_pipeline (&self, &error)) {
    g_printerr ("Error: %s\n", error->message);
    return 1;
  }
  run_pipeline (&self);
  if (!self.failed)
    show_summary (&self);

  gst_element_set_state (self.pipeline, GST_STATE_NULL);
  gst_object_unref (self.moshi);
  gst_object_unref (self.pipeline);
  return self.failed ? 1 : 0;
}
