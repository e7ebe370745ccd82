/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * MoshiVis, which begins with an image and colours its words, and PersonaPlex,
 * which takes its time over voice and role: what each is sent, in what order,
 * and what a user is told where something is missing.
 */
#include "bench.h"

#include <glib/gstdio.h>
#include <string.h>

#include "../session/peer.h"
#include "testimage.h"

#define CAPS "audio/x-raw,format=S16LE,layout=interleaved,rate=24000,channels=1"
/* Half a second, in buffers of 20 ms */
#define TONE "audiotestsrc num-buffers=25 samplesperbuffer=480 ! " CAPS
#define LIVE "audiotestsrc is-live=true samplesperbuffer=480 ! " CAPS
/* No EOS: a talk that goes on */
#define IMAGES "appsrc name=i caps=image/png format=time"
#define WORDS "One two three four five six seven eight nine ten eleven twelve."


/* Both elements that speak have the pad. */
static const struct
{
  const gchar *name;
  const gchar *launch;          /* around the element's properties */
  const gchar *rest;
} speakers[] = {
  {"moshi", "moshi", "m. ! fakesink"},
  {"moshisink", "moshisink", ""},
};

static MoshiStandin *
serve (MoshiStandinFlavour flavour)
{
  MoshiStandinConfig config;
  MoshiStandin *server;
  GError *error = NULL;

  moshi_standin_config_init (&config);
  config.flavour = flavour;
  config.text = WORDS;
  config.prompt_ms = 20;
  server = moshi_standin_new (&config, &error);
  g_assert_no_error (error);
  moshi_standin_start (server, &error);
  g_assert_no_error (error);
  return server;
}

static guint64
count_images (MoshiStandin * server)
{
  MoshiStandinStats stats;

  moshi_standin_get_stats (server, &stats);
  return stats.messages[8];
}

static void
assert_image (MoshiStandin * server, GBytes * image)
{
  g_autoptr (GBytes) seen = moshi_standin_ref_image (server);

  g_assert_nonnull (seen);
  g_assert_true (g_bytes_equal (seen, image));
}

/* --- images -------------------------------------------------------------- */

static GBytes *
new_png (void)
{
  return g_bytes_new_static (TEST_IMAGE, TEST_IMAGE_SIZE);
}

/* A JPEG file in form, if no picture: a thumbnail with an end of its own, and
 * data that fills several of filesrc's blocks. */
static GBytes *
new_jpeg (guint8 fill, gsize size)
{
  static const guint8 head[] = { 0xff, 0xd8, 0xff, 0xe1, 0, 6, 0xff, 0xd8,
    0xff, 0xd9, 0xff, 0xda, 0, 2
  };
  static const guint8 tail[] = { 0xff, 0xd9 };
  guint8 *data = g_malloc (size);

  memset (data, fill, size);
  memcpy (data, head, sizeof head);
  memcpy (data + size - sizeof tail, tail, sizeof tail);
  return g_bytes_new_take (data, size);
}

static GBytes *
read_file (const gchar * path)
{
  gchar *data;
  gsize size;

  g_assert_true (g_file_get_contents (path, &data, &size, NULL));
  return g_bytes_new_take (data, size);
}

static gchar *
write_file (const gchar * directory, const gchar * name, GBytes * bytes)
{
  gchar *path = g_build_filename (directory, name, NULL);

  g_assert_true (g_file_set_contents (path, g_bytes_get_data (bytes, NULL),
          g_bytes_get_size (bytes), NULL));
  return path;
}

static gboolean
has_factories (const gchar * const *names)
{
  for (; *names; names++) {
    GstElementFactory *factory = gst_element_factory_find (*names);

    if (factory == NULL)
      return FALSE;
    gst_object_unref (factory);
  }
  return TRUE;
}

/* A real picture */
static void
encode (const gchar * encoder, const gchar * path)
{
  g_autofree gchar *launch = g_strdup_printf ("videotestsrc num-buffers=1 "
      "! video/x-raw,width=320,height=240 ! %s ! filesink location=%s",
      encoder, path);
  GstElement *pipeline = gst_parse_launch (launch, NULL);
  GstBus *bus = gst_element_get_bus (pipeline);
  GstMessage *message;

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  message = gst_bus_timed_pop_filtered (bus, GST_CLOCK_TIME_NONE,
      GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  g_assert_cmpint (GST_MESSAGE_TYPE (message), ==, GST_MESSAGE_EOS);
  gst_message_unref (message);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (bus);
  gst_object_unref (pipeline);
}

/* --- what can be linked to the pad --------------------------------------- */

typedef enum
{
  MADE,
  JPEG,
  PNG,
} Picture;

static const struct
{
  const gchar *name;
  Picture picture;
  const gchar *launch;          /* %s: the file */
  const gchar *needs[3];
} branches[] = {
  {"filesrc", MADE, "filesrc location=%s ! image/jpeg", {NULL}},
  {"filesrc-small-blocks", MADE, "filesrc location=%s blocksize=7 ! image/jpeg",
      {NULL}},
  {"filesrc-one-block", MADE,
      "filesrc location=%s blocksize=100000 ! image/jpeg", {NULL}},
  {"multifilesrc", MADE, "multifilesrc location=%s num-buffers=1 ! image/jpeg",
      {"multifilesrc", NULL}},
  {"multifilesrc-rate", MADE, "multifilesrc location=%s num-buffers=3 "
        "caps=image/jpeg,framerate=1/1", {"multifilesrc", NULL}},
  {"jpegparse", JPEG, "filesrc location=%s ! jpegparse", {"jpegparse",
          "jpegenc", NULL}},
  {"pngparse", PNG, "filesrc location=%s ! pngparse", {"pngparse", "pngenc",
          NULL}},
  {"queue", MADE, "filesrc location=%s ! image/jpeg ! queue", {NULL}},
};

static GBytes *
draw (Picture picture, const gchar * directory, gchar ** path)
{
  if (picture == MADE) {
    GBytes *image = new_jpeg ('x', 10000);

    *path = write_file (directory, "image.jpg", image);
    return image;
  }
  *path = g_build_filename (directory, "image", NULL);
  encode (picture == JPEG ? "jpegenc" : "pngenc", *path);
  return read_file (*path);
}

/* The file comes as it is, ahead of all else, and once. */
static void
test_branch (gconstpointer data)
{
  const guint i = GPOINTER_TO_UINT (data) / G_N_ELEMENTS (speakers);
  const guint s = GPOINTER_TO_UINT (data) % G_N_ELEMENTS (speakers);
  g_autoptr (MoshiStandin) server = NULL;
  g_autoptr (Bench) bench = NULL;
  g_autoptr (GBytes) image = NULL;
  g_autofree gchar *directory = NULL;
  g_autofree gchar *path = NULL;
  g_autofree gchar *branch = NULL;
  g_auto (GStrv) parts = NULL;
  MoshiStandinStats stats;

  if (!has_factories (branches[i].needs)) {
    g_test_skip ("elements are missing");
    return;
  }
  directory = g_dir_make_tmp ("moshi-vis-XXXXXX", NULL);
  image = draw (branches[i].picture, directory, &path);
  server = serve (MOSHI_STANDIN_MOSHIVIS);
  parts = g_strsplit (branches[i].launch, "%s", 2);
  branch = g_strconcat (parts[0], path, parts[1], NULL);
  bench = bench_new (TONE " ! %s name=m uri=%s %s %s ! m.image",
      speakers[s].launch, moshi_standin_get_uri (server), speakers[s].rest,
      branch);
  bench_play (bench);
  bench_wait_eos (bench);
  bench_stop (bench);
  g_assert_cmpuint (bench_count_type (bench, GST_MESSAGE_ERROR), ==, 0);
  g_assert_cmpuint (bench_count_type (bench, GST_MESSAGE_WARNING), ==, 0);
  assert_image (server, image);
  moshi_standin_get_stats (server, &stats);
  g_assert_cmpuint (stats.messages[8], ==, 1);
  g_assert_cmpuint (stats.early_messages, ==, 1);
  bench_serve_count (server, MOSHI_STANDIN_FRAMES_SENT, 4);
  g_unlink (path);
  g_rmdir (directory);
}

/* --- in the test's own hand ---------------------------------------------- */

static void
push_image (Bench * bench, GBytes * image)
{
  GstElement *src = gst_bin_get_by_name (GST_BIN (bench_get_pipeline (bench)),
      "i");
  GstBuffer *buffer = gst_buffer_new_wrapped_bytes (image);
  GstFlowReturn ret;

  GST_BUFFER_PTS (buffer) = 0;
  g_signal_emit_by_name (src, "push-buffer", buffer, &ret);
  g_assert_cmpint (ret, ==, GST_FLOW_OK);
  gst_buffer_unref (buffer);
  gst_object_unref (src);
}

static void
end_images (Bench * bench)
{
  GstElement *src = gst_bin_get_by_name (GST_BIN (bench_get_pipeline (bench)),
      "i");
  GstFlowReturn ret;

  g_signal_emit_by_name (src, "end-of-stream", &ret);
  gst_object_unref (src);
}

/* To the pad itself: what has returned has been taken. */
static void
chain_image (GstPad * pad, GBytes * image)
{
  gst_pad_chain (pad, gst_buffer_new_wrapped_bytes (image));
}

static void
start_stream (GstPad * pad, GstFormat format)
{
  GstSegment segment;
  GstCaps *caps = gst_caps_new_empty_simple ("image/jpeg");

  gst_segment_init (&segment, format);
  g_assert_true (gst_pad_send_event (pad,
          gst_event_new_stream_start ("images")));
  g_assert_true (gst_pad_send_event (pad, gst_event_new_caps (caps)));
  g_assert_true (gst_pad_send_event (pad, gst_event_new_segment (&segment)));
  gst_caps_unref (caps);
}

/* A pad nobody is linked to, in a pipeline that plays */
static GstPad *
request_image (Bench * bench, GstFormat format)
{
  GstPad *pad = gst_element_request_pad_simple (bench_get_moshi (bench),
      "image");

  g_assert_nonnull (pad);
  if (GST_PAD_IS_ACTIVE (pad))
    start_stream (pad, format);
  return pad;
}

static void
drop_pad (Bench * bench, GstPad * pad)
{
  gst_element_release_request_pad (bench_get_moshi (bench), pad);
  gst_object_unref (pad);
}

/* A live talk with MoshiVis that waits for its image */
static Bench *
bench_waiting (MoshiStandin * server, const gchar * properties)
{
  Bench *bench = bench_new (LIVE " ! moshi name=m uri=%s %s ! fakesink",
      moshi_standin_get_uri (server), properties);

  bench_play (bench);
  return bench;
}

/* --- one image a session -------------------------------------------------- */

static gboolean
is_ready_as (GstMessage * message, gconstpointer index)
{
  const GstStructure *structure = gst_message_get_structure (message);
  guint found;

  return bench_is_session (message, "ready")
      && gst_structure_get_uint (structure, "session-index", &found)
      && found == GPOINTER_TO_UINT (index);
}

/* Later images touch nothing that is under way; the next session has the
 * newest, and so has the one after. */
static void
test_newest (void)
{
  g_autoptr (MoshiStandin) server = serve (MOSHI_STANDIN_MOSHIVIS);
  g_autoptr (Bench) bench = bench_waiting (server, "dialect=moshivis");
  g_autoptr (GBytes) first = new_jpeg ('1', 5000);
  g_autoptr (GBytes) second = new_jpeg ('2', 6000);
  g_autoptr (GBytes) third = new_jpeg ('3', 7000);
  GstPad *pad = request_image (bench, GST_FORMAT_TIME);

  chain_image (pad, first);
  bench_wait (bench, is_ready_as, GUINT_TO_POINTER (0), 1);
  assert_image (server, first);
  chain_image (pad, second);
  chain_image (pad, third);
  bench_serve_count (server, MOSHI_STANDIN_FRAMES_SENT, 5);
  g_assert_cmpuint (count_images (server), ==, 1);
  g_signal_emit_by_name (bench_get_moshi (bench), "restart");
  bench_wait (bench, is_ready_as, GUINT_TO_POINTER (1), 1);
  assert_image (server, third);
  g_signal_emit_by_name (bench_get_moshi (bench), "restart");
  bench_wait (bench, is_ready_as, GUINT_TO_POINTER (2), 1);
  assert_image (server, third);
  g_assert_cmpuint (count_images (server), ==, 3);
  bench_stop (bench);
  drop_pad (bench, pad);
}

/* A session that follows a lost one shows it the same. */
static void
test_lost (void)
{
  g_autoptr (MoshiStandin) server = serve (MOSHI_STANDIN_MOSHIVIS);
  g_autoptr (Bench) bench = bench_waiting (server,
      "dialect=moshivis retry-backoff-max=10");
  g_autoptr (GBytes) image = new_jpeg ('1', 5000);
  GstPad *pad = request_image (bench, GST_FORMAT_TIME);

  chain_image (pad, image);
  bench_wait (bench, is_ready_as, GUINT_TO_POINTER (0), 1);
  drop_pad (bench, pad);
  moshi_standin_drop_sessions (server);
  bench_wait (bench, is_ready_as, GUINT_TO_POINTER (1), 1);
  assert_image (server, image);
  g_assert_cmpuint (count_images (server), ==, 2);
  bench_stop (bench);
}

/* READY ends all: the next run waits for its own image. */
static void
test_again (void)
{
  g_autoptr (MoshiStandin) server = serve (MOSHI_STANDIN_MOSHIVIS);
  g_autoptr (Bench) bench = bench_new (LIVE " ! moshi name=m uri=%s "
      "m. ! fakesink " IMAGES " ! m.image", moshi_standin_get_uri (server));
  g_autoptr (GBytes) first = new_jpeg ('1', 5000);
  g_autoptr (GBytes) second = new_jpeg ('2', 6000);

  bench_play (bench);
  push_image (bench, first);
  bench_wait_session (bench, "ready");
  assert_image (server, first);
  bench_set_state (bench, GST_STATE_READY);
  bench_forget (bench);
  bench_play (bench);
  push_image (bench, second);
  bench_wait_session (bench, "ready");
  assert_image (server, second);
  bench_stop (bench);
  g_assert_cmpuint (count_images (server), ==, 2);
}

/* --- no image ------------------------------------------------------------- */

static void
assert_error (Bench * bench, GQuark domain, gint code, const gchar * words)
{
  g_autoptr (GstMessage) message = bench_get_nth (bench, GST_MESSAGE_ERROR, 0);
  g_autoptr (GError) error = NULL;

  g_assert_nonnull (message);
  gst_message_parse_error (message, &error, NULL);
  g_test_message ("%s", error->message);
  g_assert_error (error, domain, code);
  g_assert_nonnull (strstr (error->message, words));
  g_assert_cmpuint (bench_count_type (bench, GST_MESSAGE_ERROR), ==, 1);
}

static void
assert_warning (Bench * bench, guint n, GQuark domain, gint code,
    const gchar * words)
{
  g_autoptr (GstMessage) message =
      bench_get_nth (bench, GST_MESSAGE_WARNING, n);
  g_autoptr (GError) error = NULL;

  g_assert_nonnull (message);
  gst_message_parse_warning (message, &error, NULL);
  g_test_message ("%s", error->message);
  g_assert_error (error, domain, code);
  g_assert_nonnull (strstr (error->message, words));
}

/* It does not come in the time a handshake has: an error, and no server is kept
 * from anybody meanwhile. */
static void
test_time_out (gconstpointer data)
{
  const guint s = GPOINTER_TO_UINT (data);
  g_autoptr (MoshiStandin) server = serve (MOSHI_STANDIN_MOSHIVIS);
  g_autoptr (Bench) bench = bench_new (TONE " ! %s name=m uri=%s "
      "dialect=moshivis handshake-timeout=100 %s", speakers[s].launch,
      moshi_standin_get_uri (server), speakers[s].rest);
  g_autofree gchar *progress = NULL;
  MoshiStandinStats stats;

  bench_play (bench);
  bench_wait_error (bench);
  bench_stop (bench);
  assert_error (bench, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT, "pad image");
  g_assert_cmpuint (bench_count_type (bench, GST_MESSAGE_PROGRESS), >=, 3);
  progress = bench_dup_text (bench);
  g_assert_nonnull (strstr (progress, "Waiting\\ for\\ the\\ image"));
  moshi_standin_get_stats (server, &stats);
  g_assert_cmpuint (stats.requests, ==, 0);
}

/* The branch ends: nobody need wait for the time-out. */
static void
test_eos (gconstpointer data)
{
  const guint s = GPOINTER_TO_UINT (data);
  g_autoptr (MoshiStandin) server = serve (MOSHI_STANDIN_MOSHIVIS);
  g_autoptr (Bench) bench = bench_new (TONE " ! %s name=m uri=%s "
      "handshake-timeout=0 %s " IMAGES " ! m.image", speakers[s].launch,
      moshi_standin_get_uri (server), speakers[s].rest);
  MoshiStandinStats stats;

  bench_play (bench);
  end_images (bench);
  bench_wait_error (bench);
  bench_stop (bench);
  assert_error (bench, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT, "No image");
  moshi_standin_get_stats (server, &stats);
  g_assert_cmpuint (stats.requests, ==, 0);
}

/* An end behind an image is none of the conversation's. */
static void
test_eos_after (void)
{
  g_autoptr (MoshiStandin) server = serve (MOSHI_STANDIN_MOSHIVIS);
  g_autoptr (Bench) bench = bench_waiting (server, "dialect=moshivis");
  g_autoptr (GBytes) image = new_png ();
  GstPad *pad = request_image (bench, GST_FORMAT_TIME);

  chain_image (pad, image);
  gst_pad_send_event (pad, gst_event_new_eos ());
  bench_wait_session (bench, "ready");
  bench_serve_count (server, MOSHI_STANDIN_FRAMES_SENT, 5);
  g_assert_cmpuint (bench_count_type (bench, GST_MESSAGE_ERROR), ==, 0);
  g_assert_cmpuint (bench_count_type (bench, GST_MESSAGE_EOS), ==, 0);
  bench_stop (bench);
  drop_pad (bench, pad);
}

static GBytes *
cut (GBytes * image, gsize size)
{
  GBytes *part = g_bytes_new_from_bytes (image, 0, size);

  g_bytes_unref (image);
  return part;
}

/* What cannot be used is left out with one warning; what can comes after. */
static void
test_unusable (gconstpointer format)
{
  const struct
  {
    GBytes *image;
    GQuark domain;
    gint code;
    const gchar *words;
  } cases[] = {
    {g_bytes_new_static ("GIF89a", 6), GST_STREAM_ERROR,
        GST_STREAM_ERROR_FORMAT, "neither JPEG nor PNG"},
    {cut (new_jpeg ('x', 9000), 8000), GST_STREAM_ERROR,
        GST_STREAM_ERROR_FORMAT, "breaks off"},
    {new_jpeg ('x', 4 * 1024 * 1024 - 1), GST_RESOURCE_ERROR,
        GST_RESOURCE_ERROR_FAILED, "larger than a server takes"},
  };
  g_autoptr (GBytes) good = new_jpeg ('x', 4 * 1024 * 1024 - 2);
  guint i;

  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (MoshiStandin) server = serve (MOSHI_STANDIN_MOSHIVIS);
    g_autoptr (Bench) bench = bench_waiting (server, "dialect=moshivis");
    GstPad *pad = request_image (bench, GPOINTER_TO_INT (format));

    chain_image (pad, cases[i].image);
    chain_image (pad, cases[i].image);
    g_bytes_unref (cases[i].image);
    if (GPOINTER_TO_INT (format) == GST_FORMAT_BYTES)
      start_stream (pad, GST_FORMAT_BYTES);
    chain_image (pad, good);
    bench_wait_session (bench, "ready");
    assert_image (server, good);
    if (GPOINTER_TO_INT (format) == GST_FORMAT_TIME || i != 1) {
      assert_warning (bench, 0, cases[i].domain, cases[i].code, cases[i].words);
      g_assert_cmpuint (bench_count_type (bench, GST_MESSAGE_WARNING), ==, 1);
    }
    bench_stop (bench);
    g_assert_cmpuint (bench_count_type (bench, GST_MESSAGE_ERROR), ==, 0);
    drop_pad (bench, pad);
  }
}

/* An unfinished file is only known to be one at its end. */
static void
test_breaks_off (void)
{
  g_autoptr (MoshiStandin) server = serve (MOSHI_STANDIN_MOSHIVIS);
  g_autoptr (Bench) bench = bench_waiting (server, "dialect=moshivis");
  g_autoptr (GBytes) part = cut (new_jpeg ('x', 9000), 8000);
  GstPad *pad = request_image (bench, GST_FORMAT_BYTES);

  chain_image (pad, part);
  g_assert_cmpuint (bench_count_type (bench, GST_MESSAGE_WARNING), ==, 0);
  gst_pad_send_event (pad, gst_event_new_eos ());
  bench_wait_error (bench);
  assert_warning (bench, 0, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT,
      "breaks off");
  assert_error (bench, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT, "No image");
  bench_stop (bench);
  drop_pad (bench, pad);
}

/* --- events --------------------------------------------------------------- */

/* Half an image, then a flush or a gap; a flush forgets the half. */
static void
test_flush (void)
{
  g_autoptr (MoshiStandin) server = serve (MOSHI_STANDIN_MOSHIVIS);
  g_autoptr (Bench) bench = bench_waiting (server, "dialect=moshivis");
  g_autoptr (GBytes) whole = new_jpeg ('w', 9000);
  g_autoptr (GBytes) half = cut (new_jpeg ('h', 9000), 4096);
  GstPad *pad = request_image (bench, GST_FORMAT_BYTES);

  chain_image (pad, half);
  g_assert_true (gst_pad_send_event (pad, gst_event_new_flush_start ()));
  g_assert_true (gst_pad_send_event (pad, gst_event_new_flush_stop (TRUE)));
  start_stream (pad, GST_FORMAT_BYTES);
  g_assert_true (gst_pad_send_event (pad, gst_event_new_gap (0, GST_SECOND)));
  chain_image (pad, whole);
  bench_wait_session (bench, "ready");
  assert_image (server, whole);
  g_assert_cmpuint (bench_count_type (bench, GST_MESSAGE_WARNING), ==, 0);
  bench_stop (bench);
  drop_pad (bench, pad);
}

static void
test_caps (void)
{
  g_autoptr (GstElement) element = gst_element_factory_make ("moshi", NULL);
  g_autoptr (GstCaps) expected = gst_caps_from_string ("image/jpeg; image/png");
  g_autoptr (GstCaps) caps = NULL;
  GstPad *pad;

  gst_object_ref_sink (element);
  pad = gst_element_request_pad_simple (element, "image");
  caps = gst_pad_query_caps (pad, NULL);
  g_assert_true (gst_caps_is_equal (caps, expected));
  gst_element_release_request_pad (element, pad);
  gst_object_unref (pad);
}

/* --- the pad in any state -------------------------------------------------- */

static void
test_request (gconstpointer data)
{
  const GstState state = GPOINTER_TO_INT (data);
  g_autoptr (MoshiStandin) server = serve (MOSHI_STANDIN_MOSHIVIS);
  g_autoptr (Bench) bench = bench_new (LIVE " ! moshi name=m uri=%s "
      "dialect=moshivis ! fakesink", moshi_standin_get_uri (server));
  g_autoptr (GBytes) image = new_png ();
  GstPad *pad;

  if (state > GST_STATE_NULL)
    bench_set_state (bench, state);
  pad = request_image (bench, GST_FORMAT_TIME);
  bench_play (bench);
  if (state < GST_STATE_PAUSED)
    start_stream (pad, GST_FORMAT_TIME);
  chain_image (pad, image);
  bench_wait_session (bench, "ready");
  assert_image (server, image);
  drop_pad (bench, pad);
  /* Another may come, with another source behind it. */
  pad = request_image (bench, GST_FORMAT_TIME);
  drop_pad (bench, pad);
  bench_stop (bench);
}

/* Nobody asked for an image but the pad, and that is gone. */
static void
test_release_waiting (void)
{
  g_autoptr (MoshiStandin) server = serve (MOSHI_STANDIN_KYUTAI_PY);
  g_autoptr (Bench) bench = bench_new (LIVE " ! moshi name=m uri=%s "
      "handshake-timeout=0 ! fakesink", moshi_standin_get_uri (server));
  GstPad *pad = request_image (bench, GST_FORMAT_TIME);

  bench_play (bench);
  g_assert_cmpuint (moshi_standin_wait (server, MOSHI_STANDIN_REQUESTS, 1, 0),
      ==, FALSE);
  drop_pad (bench, pad);
  bench_wait_session (bench, "ready");
  bench_stop (bench);
  g_assert_cmpuint (count_images (server), ==, 0);
}

/* With dialect=auto a pad that comes late is for the next session: an image sent
 * to a Moshi that knows none may end its session. */
static void
test_late (void)
{
  g_autoptr (MoshiStandin) server = serve (MOSHI_STANDIN_KYUTAI_RS);
  g_autoptr (Bench) bench = bench_waiting (server, "");
  g_autoptr (GBytes) image = new_png ();
  GstPad *pad;

  bench_wait_session (bench, "ready");
  pad = request_image (bench, GST_FORMAT_TIME);
  chain_image (pad, image);
  bench_serve_count (server, MOSHI_STANDIN_FRAMES_SENT, 5);
  g_assert_cmpuint (count_images (server), ==, 0);
  g_assert_cmpuint (bench_count_type (bench, GST_MESSAGE_WARNING), ==, 0);
  bench_stop (bench);
  drop_pad (bench, pad);
}

/* --- dialects -------------------------------------------------------------- */

static const gchar *const imageless[] = {
  "dialect=moshi", "dialect=personaplex voice-prompt=v text-prompt=t"
};

static void
test_contradiction (gconstpointer properties)
{
  g_autoptr (Bench) bench = bench_new (TONE " ! moshi name=m "
      "uri=ws://127.0.0.1:1 %s m. ! fakesink " IMAGES " ! m.image",
      (const gchar *) properties);

  g_assert_cmpint (gst_element_set_state (bench_get_pipeline (bench),
          GST_STATE_READY), ==, GST_STATE_CHANGE_FAILURE);
  assert_error (bench, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS,
      "dialect");
}

static void
test_unused (gconstpointer properties)
{
  g_autoptr (MoshiStandin) server = serve (MOSHI_STANDIN_PERSONAPLEX);
  g_autoptr (Bench) bench = bench_waiting (server, properties);
  g_autoptr (GBytes) image = new_png ();
  GstPad *pad;

  pad = request_image (bench, GST_FORMAT_TIME);
  chain_image (pad, image);
  chain_image (pad, image);
  assert_warning (bench, 0, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS,
      "dialect");
  g_assert_cmpuint (bench_count_type (bench, GST_MESSAGE_WARNING), ==, 1);
  g_signal_emit_by_name (bench_get_moshi (bench), "restart");
  bench_stop (bench);
  drop_pad (bench, pad);
  g_assert_cmpuint (count_images (server), ==, 0);
}

static gboolean
is_text (GstMessage * message, gconstpointer what)
{
  return gst_message_has_name (message, "moshi-text");
}

static void
check_color (GstMessage * message, gboolean colored)
{
  const GstStructure *structure = gst_message_get_structure (message);
  gint color = -1;

  g_assert_cmpint (gst_structure_get_int (structure, "color", &color), ==,
      colored);
  if (colored) {
    g_assert_cmpint (color, >=, 0);
    g_assert_cmpint (color, <=, 10);
  }
}

/* The stand-in gives each piece another colour; a word has that of its first
 * piece, a sentence that of its first word. */
static void
test_color (gconstpointer data)
{
  static const gchar *const units[] = { "token", "word", "sentence" };
  const guint unit = GPOINTER_TO_UINT (data) % 3;
  const gboolean colored = GPOINTER_TO_UINT (data) < 3;
  g_autoptr (MoshiStandin) server = serve (colored ? MOSHI_STANDIN_MOSHIVIS
      : MOSHI_STANDIN_KYUTAI_PY);
  g_autoptr (Bench) bench = bench_new ("audiotestsrc num-buffers=300 "
      "samplesperbuffer=480 ! " CAPS " ! moshi name=m uri=%s text-unit=%s "
      "m. ! fakesink m.text ! fakesink %s", moshi_standin_get_uri (server),
      units[unit], colored ? IMAGES " ! m.image" : "");
  g_autoptr (GBytes) image = new_png ();
  guint i, n = 0;

  bench_play (bench);
  if (colored) {
    push_image (bench, image);
    end_images (bench);
  }
  bench_wait_eos (bench);
  bench_stop (bench);
  for (i = 0; i < bench_count_type (bench, GST_MESSAGE_ELEMENT); i++) {
    g_autoptr (GstMessage) message =
        bench_get_nth (bench, GST_MESSAGE_ELEMENT, i);

    if (!is_text (message, NULL))
      continue;
    check_color (message, colored);
    n++;
  }
  g_assert_cmpuint (n, >=, unit == 2 ? 1 : 12);
}

/* Voice and role go with the request; nothing else before the handshake, which
 * takes its time. */
static void
test_personaplex (void)
{
  g_autoptr (MoshiStandin) server = serve (MOSHI_STANDIN_PERSONAPLEX);
  g_autoptr (Bench) bench = bench_new (TONE " ! moshi name=m uri=%s "
      "dialect=personaplex voice-prompt=NATF2.pt text-prompt=\"Be & kind\" "
      "m. ! fakesink", moshi_standin_get_uri (server));
  g_autofree gchar *voice = NULL;
  g_autofree gchar *text = NULL;
  g_autofree gchar *progress = NULL;
  MoshiStandinStats stats;

  bench_play (bench);
  bench_wait_eos (bench);
  bench_stop (bench);
  voice = moshi_standin_dup_query (server, "voice_prompt");
  text = moshi_standin_dup_query (server, "text_prompt");
  g_assert_cmpstr (voice, ==, "NATF2.pt");
  g_assert_cmpstr (text, ==, "Be & kind");
  moshi_standin_get_stats (server, &stats);
  g_assert_cmpuint (stats.early_messages, ==, 0);
  bench_serve_count (server, MOSHI_STANDIN_FRAMES_SENT, 4);
  progress = bench_dup_text (bench);
  g_assert_nonnull (strstr (progress, "voice\\ and\\ role"));
}

/* It drops who cannot be served without a word; we have some. */
static void
test_personaplex_refusal (void)
{
  g_autoptr (MoshiStandin) server = serve (MOSHI_STANDIN_PERSONAPLEX);
  g_autoptr (Bench) bench = bench_new (TONE " ! moshi name=m uri=%s retries=0 "
      "voice-prompt=NATF2.pt m. ! fakesink", moshi_standin_get_uri (server));

  bench_play (bench);
  bench_wait_error (bench);
  bench_stop (bench);
  assert_error (bench, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_READ,
      "voice-prompt");
}

static void
refuse_image (Peer * peer, gpointer user_data)
{
  guint8 opcode;
  GBytes *frame;

  if (!peer_upgrade (peer))
    return;
  frame = peer_read_frame (peer, &opcode);
  g_clear_pointer (&frame, g_bytes_unref);
}

static void
test_moshivis_refusal (void)
{
  g_autoptr (PeerServer) server = peer_server_new (refuse_image, NULL);
  g_autoptr (Bench) bench = bench_new (TONE " ! moshi name=m retries=0 "
      "uri=ws://127.0.0.1:%u m. ! fakesink " IMAGES " ! m.image",
      peer_server_get_port (server));
  g_autoptr (GBytes) image = new_png ();

  bench_play (bench);
  push_image (bench, image);
  bench_wait_error (bench);
  bench_stop (bench);
  assert_error (bench, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_READ, "image");
}

/* --- the list -------------------------------------------------------------- */

static void
add (const gchar * group, const gchar * name, const gchar * variant,
    gconstpointer data, GTestDataFunc func)
{
  g_autofree gchar *path = g_strdup_printf ("/vis/%s/%s%s%s", group, name,
      variant ? "/" : "", variant ? variant : "");

  g_test_add_data_func (path, data, func);
}

static void
add_speakers (void)
{
  guint i, s;

  for (s = 0; s < G_N_ELEMENTS (speakers); s++) {
    for (i = 0; i < G_N_ELEMENTS (branches); i++)
      add ("branch", branches[i].name, speakers[s].name,
          GUINT_TO_POINTER (i * G_N_ELEMENTS (speakers) + s), test_branch);
    add ("no-image", "time-out", speakers[s].name, GUINT_TO_POINTER (s),
        test_time_out);
    add ("no-image", "eos", speakers[s].name, GUINT_TO_POINTER (s), test_eos);
  }
}

static void
add_variants (void)
{
  static const gchar *const colors[] = { "token", "word", "sentence",
    "plain-token", "plain-word", "plain-sentence"
  };
  static const GstState states[] = { GST_STATE_NULL, GST_STATE_READY,
    GST_STATE_PAUSED, GST_STATE_PLAYING
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (colors); i++)
    add ("color", colors[i], NULL, GUINT_TO_POINTER (i), test_color);
  for (i = 0; i < G_N_ELEMENTS (states); i++)
    add ("request", gst_element_state_get_name (states[i]), NULL,
        GINT_TO_POINTER (states[i]), test_request);
  add ("unusable", "buffers", NULL, GINT_TO_POINTER (GST_FORMAT_TIME),
      test_unusable);
  add ("unusable", "blocks", NULL, GINT_TO_POINTER (GST_FORMAT_BYTES),
      test_unusable);
  add ("dialect", "moshi", "contradiction", imageless[0], test_contradiction);
  add ("dialect", "personaplex", "contradiction", imageless[1],
      test_contradiction);
  add ("dialect", "personaplex", "late-pad", imageless[1], test_unused);
}

int
main (int argc, char **argv)
{
  int ret;

  g_unsetenv ("MOSHI_URI");
  g_unsetenv ("MOSHI_API_KEY");
  g_test_init (&argc, &argv, NULL);
  gst_init (&argc, &argv);

  add_speakers ();
  add_variants ();
  g_test_add_func ("/vis/session/newest", test_newest);
  g_test_add_func ("/vis/session/lost", test_lost);
  g_test_add_func ("/vis/session/again", test_again);
  g_test_add_func ("/vis/no-image/eos-after", test_eos_after);
  g_test_add_func ("/vis/no-image/breaks-off", test_breaks_off);
  g_test_add_func ("/vis/flush", test_flush);
  g_test_add_func ("/vis/caps", test_caps);
  g_test_add_func ("/vis/release-waiting", test_release_waiting);
  g_test_add_func ("/vis/late", test_late);
  g_test_add_func ("/vis/personaplex/prompts", test_personaplex);
  g_test_add_func ("/vis/personaplex/refusal", test_personaplex_refusal);
  g_test_add_func ("/vis/moshivis/refusal", test_moshivis_refusal);
  ret = g_test_run ();
  gst_deinit ();
  return ret;
}
