/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Opus passes through, both ways: the packets at the far end are those given,
 * byte by byte and in order, and the timeline holds where some are missing.
 */
#include "harness.h"

#include <glib/gstdio.h>
#include <ogg/ogg.h>
#include <opus.h>
#include <string.h>
#include <unistd.h>

#include "opuspackets.h"
#include "testclient.h"

#define RAW "audio/x-raw,format=S16LE,layout=interleaved,rate=%u,channels=%u"
#define OPUS "audio/x-opus,channel-mapping-family=(int)0"
#define PACKETS OPUS ",channels=1,rate=48000"

/* Of opusenc, at 48 kHz */
#define PRE_SKIP 312

#define MS(n) ((n) * GST_MSECOND)

static void
init_config (MoshiStandinConfig * config, MoshiStandinVoice voice)
{
  moshi_standin_config_init (config);
  config->voice = voice;
  config->seed = 5;
  config->keep_packets = 10000;
}

/* --- the way up: from elements ------------------------------------------------ */

typedef struct
{
  const gchar *through;         /* what stands between encoder and moshi */
  const gchar *frame_size;      /* of opusenc */
  guint channels;
  gboolean exact;               /* tells where the last packet is cut */
} Route;

/* Input of no whole number of packets: with an exact route, the output is as
 * long as what went into the encoder, to the sample; else some of what a decoder
 * drops may be counted. */
static void
assert_length (Harness * self, const Route * route, GPtrArray * given,
    guint samples)
{
  guint64 frames = harness_assert_contiguous (self->out, 24000, 2, 0);

  if (route->exact) {
    g_assert_cmpuint (frames, ==, samples / 2);
  } else {
    const guint all = get_durations (given, 0, given->len);

    /* opusenc of 1.22 leaves out the last of its 2.5 ms packets. */
    g_assert_cmpuint (frames, >=, MIN (samples, all - PRE_SKIP) / 2);
    g_assert_cmpuint (frames, <=, all / 2);
  }
}

static void
test_route (gconstpointer data)
{
  const Route *route = data;
  const guint n = 20 * 1230;
  g_autoptr (GPtrArray) given = NULL;
  g_autoptr (GPtrArray) got = NULL;
  MoshiStandinConfig config;
  HarnessTrack *encoded;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_SWEEP);
  self = harness_new (&config, "audiotestsrc num-buffers=20 "
      "samplesperbuffer=1230 ! " RAW " ! opusenc name=enc frame-size=%s ! %s "
      "moshi name=m ! " RAW " ! fakesink", 48000u, route->channels,
      route->frame_size, route->through, 24000u, 1u);
  encoded = harness_track (self, "enc", "src");
  harness_play_to_eos (self);
  given = take_packets (encoded);
  got = take_received (self);
  g_assert_cmpuint (given->len, >, 5);
  assert_same (got, 0, given, 0, given->len);
  assert_silence (got, given->len, got->len,
      get_durations (got, given->len, got->len));
  assert_length (self, route, given, n);
  g_assert_cmpuint (harness_get_stat (self, "input-filled"), ==, 0);
  g_assert_cmpuint (harness_get_stat (self, "input-trimmed"), ==, 0);
  harness_free (self);
}

/* From a file: oggdemux of 1.22 warns of itself when it is fed by oggmux. */
static gchar *
write_ogg (guint frame_ms, guint channels, guint samples, GPtrArray ** given)
{
  gchar *path = g_build_filename (g_get_tmp_dir (), "moshi-test-XXXXXX", NULL);
  gint file = g_mkstemp (path);
  HarnessTrack *encoded;
  Harness *self;

  g_assert_cmpint (file, >=, 0);
  close (file);
  self = harness_new (NULL, "audiotestsrc name=m num-buffers=1 "
      "samplesperbuffer=%u ! " RAW " ! opusenc name=enc frame-size=%u ! oggmux "
      "! filesink location=%s", samples, 48000u, channels, frame_ms, path);
  encoded = harness_track (self, "enc", "src");
  harness_play_to_eos (self);
  *given = take_packets (encoded);
  harness_free (self);
  return path;
}

typedef struct
{
  const gchar *demux;
  guint frame_ms;
  guint channels;
  gboolean exact;
} Ogg;

static void
test_ogg_input (gconstpointer data)
{
  const Ogg *ogg = data;
  const Route route = { NULL, NULL, 0, ogg->exact };
  g_autoptr (GPtrArray) given = NULL;
  g_autoptr (GPtrArray) got = NULL;
  g_autofree gchar *path = write_ogg (ogg->frame_ms, ogg->channels, 54322,
      &given);
  MoshiStandinConfig config;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_SWEEP);
  self = harness_new (&config, "filesrc location=%s ! %s moshi name=m ! " RAW
      " ! fakesink", path, ogg->demux, 24000u, 1u);
  harness_play_to_eos (self);
  got = take_received (self);
  assert_same (got, 0, given, 0, given->len);
  assert_length (self, &route, given, 54322);
  g_assert_cmpuint (harness_get_stat (self, "input-filled"), ==, 0);
  g_assert_cmpuint (harness_get_stat (self, "input-trimmed"), ==, 0);
  harness_free (self);
  g_unlink (path);
}

static const Ogg oggs[] = {
  {"oggdemux !", 5, 1, TRUE}, {"oggdemux !", 20, 1, TRUE},
  {"oggdemux !", 60, 2, TRUE}, {"oggdemux ! opusparse !", 20, 2, FALSE},
};

#define MATROSKA "matroskamux ! matroskademux !"
#define RTP "rtpopuspay ! rtpopusdepay !"

static const Route routes[] = {
  {"", "2.5", 1, FALSE},
  {"", "5", 2, FALSE},
  {"", "10", 1, TRUE},
  {"", "20", 2, TRUE},
  {"", "40", 1, TRUE},
  {"", "60", 2, TRUE},
  {"opusparse !", "20", 1, FALSE},
  {MATROSKA, "20", 1, FALSE},
  {MATROSKA, "10", 2, FALSE},
  {RTP, "2.5", 1, FALSE},
  {RTP, "20", 2, FALSE},
  {RTP, "60", 1, FALSE},
};

/* --- the way up: packet by packet ------------------------------------------------ */

static Harness *
new_feed (const MoshiStandinConfig * config, guint channels)
{
  return harness_new (config, "appsrc name=in format=time max-bytes=0 caps="
      OPUS ",rate=48000,channels=%u ! moshi name=m ! " RAW " ! fakesink",
      channels, 24000u, 1u);
}

static void
push_bytes (Harness * self, GBytes * bytes, GstClockTime pts,
    GstClockTime duration, GstBufferFlags flags)
{
  GstElement *source = harness_get_element (self, "in");
  GstBuffer *buffer = gst_buffer_new_wrapped_bytes (bytes);
  GstFlowReturn ret;

  GST_BUFFER_PTS (buffer) = pts;
  GST_BUFFER_DURATION (buffer) = duration;
  GST_BUFFER_FLAG_SET (buffer, flags);
  g_signal_emit_by_name (source, "push-buffer", buffer, &ret);
  g_assert_cmpint (ret, ==, GST_FLOW_OK);
  gst_buffer_unref (buffer);
  gst_object_unref (source);
}

/* As RTP gives them: without a duration */
static void
push_packets (Harness * self, GPtrArray * packets, guint from, guint to,
    GstClockTime duration)
{
  guint i;

  for (i = from; i < to; i++)
    push_bytes (self, get_packet (packets, i), i * duration,
        GST_CLOCK_TIME_NONE, 0);
}

static void
test_long_packets (gconstpointer data)
{
  const guint channels = GPOINTER_TO_UINT (data);
  g_autoptr (GPtrArray) given = make_packets (20, 5760, channels);
  g_autoptr (GPtrArray) got = NULL;
  MoshiStandinConfig config;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_SWEEP);
  self = new_feed (&config, channels);
  harness_set_state (self, GST_STATE_PLAYING);
  push_packets (self, given, 0, 20, MS (120));
  harness_push_eos (self);
  harness_wait_eos (self);
  got = take_received (self);
  assert_same (got, 0, given, 0, 20);
  g_assert_cmpuint (harness_assert_contiguous (self->out, 24000, 2, 0), ==,
      20 * 2880);
  harness_free (self);
}

/* Packets n to n + lost - 1 do not come; what the source says of that. */
typedef enum
{
  LOSS_STAMPS,                  /* nothing: the next one is later */
  LOSS_DISCONT,
  LOSS_GAP,
  LOSS_EMPTY,                   /* empty buffers in their place */
  LOSS_DAMAGED,                 /* others than Opus in their place */
} LossKind;

typedef struct
{
  LossKind kind;
  guint ticks;                  /* of a packet */
  guint lost;
} Loss;

static void
push_loss (Harness * self, const Loss * loss, guint at, GstClockTime duration)
{
  static const guint8 bad[] = { 0xff, 0xff, 0xff };     /* 63 frames, padded */
  g_autoptr (GBytes) bytes = NULL;
  guint i;

  switch (loss->kind) {
    case LOSS_GAP:
      harness_push_event (self, gst_event_new_gap (at * duration,
              loss->lost * duration));
      break;
    case LOSS_EMPTY:
    case LOSS_DAMAGED:
      bytes = g_bytes_new_static (bad, loss->kind == LOSS_EMPTY ? 0 : 3);
      for (i = 0; i < loss->lost; i++)
        push_bytes (self, bytes, (at + i) * duration, duration, 0);
      break;
    case LOSS_STAMPS:
    case LOSS_DISCONT:
      break;
  }
}

static void
test_loss (gconstpointer data)
{
  const Loss *loss = data;
  const guint n = 100, at = 30, after = at + loss->lost;
  const GstClockTime duration = loss->ticks * GST_SECOND / 48000;
  g_autoptr (GPtrArray) given = make_packets (n, loss->ticks, 1);
  g_autoptr (GPtrArray) got = NULL;
  guint silent, end;
  MoshiStandinConfig config;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_SWEEP);
  self = new_feed (&config, 1);
  harness_set_state (self, GST_STATE_PLAYING);
  push_packets (self, given, 0, at, duration);
  push_loss (self, loss, at, duration);
  push_bytes (self, get_packet (given, after), after * duration, duration,
      loss->kind == LOSS_DISCONT ? GST_BUFFER_FLAG_DISCONT : 0);
  push_packets (self, given, after + 1, n, duration);
  harness_push_eos (self);
  harness_wait_eos (self);

  got = take_received (self);
  assert_same (got, 0, given, 0, at);
  for (end = at; is_silence (get_packet (got, end)); end++);
  assert_silence (got, at, end, loss->lost * loss->ticks);
  assert_same (got, end, given, after, n - after);
  silent = get_durations (got, end + n - after, got->len);
  assert_silence (got, end + n - after, got->len, silent);
  g_assert_cmpuint (harness_assert_contiguous (self->out, 24000, 2, 0), ==,
      n * loss->ticks / 2);
  g_assert_cmpuint (harness_get_stat (self, "input-filled"), ==,
      loss->lost * duration);
  harness_free (self);
}

static const Loss losses[] = {
  {LOSS_STAMPS, 960, 1}, {LOSS_STAMPS, 960, 7}, {LOSS_STAMPS, 120, 10},
  {LOSS_STAMPS, 2880, 1}, {LOSS_DISCONT, 960, 1}, {LOSS_DISCONT, 120, 1},
  {LOSS_DISCONT, 480, 3}, {LOSS_GAP, 960, 1}, {LOSS_GAP, 960, 50},
  {LOSS_GAP, 120, 3}, {LOSS_EMPTY, 960, 2}, {LOSS_DAMAGED, 960, 2},
};

/* The stamps of RTP shake a little: nothing is put in, nothing left out. */
static void
test_jitter (void)
{
  g_autoptr (GPtrArray) given = make_packets (200, 960, 1);
  g_autoptr (GPtrArray) got = NULL;
  MoshiStandinConfig config;
  Harness *self;
  guint i;

  init_config (&config, MOSHI_STANDIN_SWEEP);
  self = new_feed (&config, 1);
  harness_set_state (self, GST_STATE_PLAYING);
  for (i = 0; i < 200; i++)
    push_bytes (self, get_packet (given, i), MS (100) + i * MS (20)
        + (i * 7919 % 9) * GST_MSECOND - MS (4), GST_CLOCK_TIME_NONE, 0);
  harness_push_eos (self);
  harness_wait_eos (self);
  got = take_received (self);
  assert_same (got, 0, given, 0, 200);
  g_assert_cmpuint (harness_get_stat (self, "input-filled"), ==, 0);
  g_assert_cmpuint (harness_assert_contiguous (self->out, 24000, 2, 0), ==,
      200 * 480);
  harness_free (self);
}

/* The headers of a file are no sound. Its pre-skip shows in the durations of
 * the first packets, which go to the server whole all the same. */
static void
test_pre_skip (void)
{
  static const gchar head[] = "OpusHead\1\1\0\x0f\x80\xbb\0\0\0\0\0";
  static const gchar tags[] = "OpusTags\0\0\0\0\0\0\0\0";
  g_autoptr (GBytes) head_bytes = g_bytes_new_static (head, 19);
  g_autoptr (GBytes) tags_bytes = g_bytes_new_static (tags, 16);
  g_autoptr (GPtrArray) given = make_packets (50, 960, 1);
  g_autoptr (GPtrArray) got = NULL;
  MoshiStandinConfig config;
  Harness *self;
  guint i;

  init_config (&config, MOSHI_STANDIN_SWEEP);
  self = new_feed (&config, 1);
  harness_set_state (self, GST_STATE_PLAYING);
  push_bytes (self, head_bytes, GST_CLOCK_TIME_NONE, GST_CLOCK_TIME_NONE,
      GST_BUFFER_FLAG_HEADER);
  push_bytes (self, tags_bytes, GST_CLOCK_TIME_NONE, GST_CLOCK_TIME_NONE,
      GST_BUFFER_FLAG_HEADER);
  for (i = 0; i < 4; i++)
    push_bytes (self, get_packet (given, i), 0, 0, 0);
  for (i = 4; i < 49; i++)
    push_bytes (self, get_packet (given, i), (i - 4) * MS (20), MS (20), 0);
  push_bytes (self, get_packet (given, 49), 45 * MS (20), MS (5), 0);
  harness_push_eos (self);
  harness_wait_eos (self);
  got = take_received (self);
  assert_same (got, 0, given, 0, 50);
  g_assert_cmpuint (harness_assert_contiguous (self->out, 24000, 2, 0), ==,
      45 * 480 + 120);
  g_assert_cmpuint (harness_get_stat (self, "input-filled"), ==, 0);
  harness_free (self);
}

static void
set_caps (Harness * self, const gchar * text)
{
  GstElement *source = harness_get_element (self, "in");
  GstCaps *caps = gst_caps_from_string (text);

  g_object_set (source, "caps", caps, NULL);
  gst_caps_unref (caps);
  gst_object_unref (source);
}

/* Raw, Opus, raw, in one stream: the Opus is not touched, and the whole is as
 * long as its parts. The raw part is no whole number of packets. */
static void
test_caps_change (void)
{
  g_autoptr (GPtrArray) given = make_packets (50, 960, 1);
  g_autoptr (GPtrArray) got = NULL;
  MoshiStandinConfig config;
  GstClockTime begin = 12345 * GST_SECOND / 24000;
  guint i, first;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_SWEEP);
  self = harness_new (&config, "appsrc name=in format=time max-bytes=0 caps="
      RAW " ! moshi name=m ! " RAW " ! fakesink", 24000u, 1u, 24000u, 1u);
  harness_set_state (self, GST_STATE_PLAYING);
  harness_push (self, 0, 12345 * 2, 0);
  set_caps (self, PACKETS);
  for (i = 0; i < 50; i++)
    push_bytes (self, get_packet (given, i), begin + i * MS (20), MS (20), 0);
  set_caps (self, "audio/x-raw,format=S16LE,layout=interleaved,rate=16000,"
      "channels=2");
  harness_push (self, begin + MS (1000), 1601 * 4, 0);
  harness_push_eos (self);
  harness_wait_eos (self);

  got = take_received (self);
  for (first = 0; !g_bytes_equal (get_packet (got, first), get_packet (given,
              0)); first++);
  /* 514.375 ms, and 0.625 ms to fill the last packet of 2.5 ms */
  g_assert_cmpuint (get_durations (got, 0, first), ==, 24720);
  assert_same (got, first, given, 0, 50);
  g_assert_cmpuint (harness_assert_contiguous (self->out, 24000, 2, 0), ==,
      12345 + 24000 + 2402);
  harness_free (self);
}

/* Live: silence for what is late, and the rest as it was given. */
static void
test_live_input (void)
{
  g_autoptr (GPtrArray) given = make_packets (60, 960, 1);
  g_autoptr (GPtrArray) got = NULL;
  MoshiStandinConfig config;
  guint i, end;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_SWEEP);
  self = harness_new (&config, "appsrc name=in is-live=true format=time caps="
      PACKETS " ! moshi name=m ! " RAW " ! fakesink async=false", 24000u, 1u);
  harness_use_test_clock (self);
  harness_wait_state (self, GST_STATE_PLAYING);
  harness_wait_connection (self, "ready");
  for (i = 0; i < 60; i++) {
    harness_advance (self, MS (20));
    if (i >= 20 && i < 40)
      continue;
    push_bytes (self, get_packet (given, i), i * MS (20), MS (20), 0);
    harness_wait_stat (self, "samples-sent", (i + 1) * 480);
  }
  g_assert_true (moshi_standin_wait (self->server, MOSHI_STANDIN_SAMPLES,
          60 * 480, HARNESS_PATIENCE));
  got = moshi_standin_get_packets (self->server);
  assert_same (got, 0, given, 0, 20);
  for (end = 20; is_silence (get_packet (got, end)); end++);
  assert_silence (got, 20, end, 20 * 960);
  assert_same (got, end, given, 40, 20);
  harness_free (self);
}

/* --- the way down ------------------------------------------------------------------ */

static void
parse_message (ogg_sync_state * sync, ogg_stream_state * stream,
    GBytes * message, GPtrArray * packets)
{
  gsize size;
  const guint8 *data = g_bytes_get_data (message, &size);
  ogg_packet packet;
  ogg_page page;

  if (size < 2 || data[0] != 1)
    return;
  memcpy (ogg_sync_buffer (sync, size - 1), data + 1, size - 1);
  ogg_sync_wrote (sync, size - 1);
  while (ogg_sync_pageout (sync, &page) == 1) {
    if (ogg_page_bos (&page))
      ogg_stream_init (stream, ogg_page_serialno (&page));
    ogg_stream_pagein (stream, &page);
    while (ogg_stream_packetout (stream, &packet) == 1)
      if (!is_header (packet.packet, packet.bytes))
        g_ptr_array_add (packets, g_bytes_new (packet.packet, packet.bytes));
  }
}

/* What another client gets from such a server, in at least that many samples */
static GPtrArray *
capture (const MoshiStandinConfig * config, guint ms)
{
  GPtrArray *packets = new_packets ();
  MoshiStandin *server = moshi_standin_new (config, NULL);
  ogg_stream_state stream = { 0, };
  const TestAnswer *answer;
  ogg_sync_state sync;
  TestClient *client;
  guint i;

  g_assert_true (moshi_standin_start (server, NULL));
  client = test_client_new (moshi_standin_get_uri (server), 24000, 1);
  test_client_connect (client);
  test_client_wait_handshake (client);
  test_client_send_audio (client, ms, 20);
  test_client_wait_samples (client, ms * 24 - 3840);
  answer = test_client_get (client);
  ogg_sync_init (&sync);
  for (i = 0; i < answer->messages->len; i++)
    parse_message (&sync, &stream, g_ptr_array_index (answer->messages, i),
        packets);
  ogg_stream_clear (&stream);
  ogg_sync_clear (&sync);
  test_client_free (client);
  moshi_standin_free (server);
  return packets;
}

/* Duration by the TOC; only the last packet may say that it is cut. */
static void
assert_durations (HarnessTrack * track)
{
  guint i;

  for (i = 0; i < track->buffers->len; i++) {
    const HarnessBuffer *buffer = harness_track_buffer (track, i);
    gint ticks = opus_packet_get_nb_samples (track->data->data
        + buffer->offset, buffer->size, 48000);
    GstClockTime duration;

    g_assert_cmpint (ticks, >, 0);
    duration = gst_util_uint64_scale_round (ticks, GST_SECOND, 48000);
    if (i + 1 < track->buffers->len) {
      g_assert_cmpint (ABS (GST_CLOCK_DIFF (duration, buffer->duration)), <=,
          1);
      g_assert_cmpint (ABS (GST_CLOCK_DIFF (harness_track_buffer (track,
                      i + 1)->pts, buffer->pts + buffer->duration)), <=, 1);
    } else {
      g_assert_cmpuint (buffer->duration, <=, duration + 1);
    }
  }
}

static GstClockTime
get_end (HarnessTrack * track)
{
  const HarnessBuffer *last =
      harness_track_buffer (track, track->buffers->len - 1);

  return last->pts + last->duration;
}

static void
assert_caps (HarnessTrack * track)
{
  GstEvent *event = harness_track_find_event (track, GST_EVENT_CAPS, NULL);
  GstStructure *structure;
  GstCaps *caps;
  gint value;

  gst_event_parse_caps (event, &caps);
  structure = gst_caps_get_structure (caps, 0);
  g_assert_cmpstr (gst_structure_get_name (structure), ==, "audio/x-opus");
  g_assert_true (gst_structure_get_int (structure, "rate", &value));
  g_assert_cmpint (value, ==, 48000);
  g_assert_true (gst_structure_get_int (structure, "channels", &value));
  g_assert_cmpint (value, ==, 1);
  g_assert_true (gst_structure_get_int (structure, "channel-mapping-family",
          &value));
  g_assert_cmpint (value, ==, 0);
  g_assert_true (gst_structure_has_field (structure, "streamheader"));
}

typedef struct
{
  MoshiStandinFlavour flavour;
  guint samples;                /* of an input buffer, at 24 kHz */
} Down;

/* 160 ms of silence, then the server's packets, then the end, to the sample */
static void
test_down (gconstpointer data)
{
  const Down *down = data;
  const guint n = 60000 / down->samples;
  g_autoptr (GPtrArray) expected = NULL;
  g_autoptr (GPtrArray) got = NULL;
  MoshiStandinConfig config;
  guint first;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_SWEEP);
  config.flavour = down->flavour;
  expected = capture (&config, 3200);
  self = harness_new (&config, "audiotestsrc num-buffers=%u "
      "samplesperbuffer=%u ! " RAW " ! moshi name=m ! " OPUS " ! fakesink", n,
      down->samples, 24000u, 1u);
  harness_play_to_eos (self);
  got = take_packets (self->out);
  for (first = 0; is_silence (get_packet (got, first)); first++);
  assert_silence (got, 0, first, 160 * 48);
  assert_same (got, first, expected, 0, got->len - first);
  assert_durations (self->out);
  assert_caps (self->out);
  g_assert_cmpint (ABS (GST_CLOCK_DIFF (gst_util_uint64_scale_round (n
                  * down->samples, GST_SECOND, 24000), get_end (self->out))),
      <=, 1);
  harness_free (self);
}

static const Down downs[] = {
  {MOSHI_STANDIN_KYUTAI_PY, 480}, {MOSHI_STANDIN_KYUTAI_PY, 1024},
  {MOSHI_STANDIN_KYUTAI_PY, 1}, {MOSHI_STANDIN_KYUTAI_PY, 12345},
  {MOSHI_STANDIN_KYUTAI_RS, 511}, {MOSHI_STANDIN_MOSHI_SERVER, 1024},
  {MOSHI_STANDIN_MLX, 1024},
};

/* A delay that is no whole number of packets becomes one. */
static void
test_odd_model_delay (void)
{
  g_autoptr (GPtrArray) got = NULL;
  MoshiStandinConfig config;
  guint first;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_SWEEP);
  self = harness_new (&config, "audiotestsrc num-buffers=50 "
      "samplesperbuffer=480 ! " RAW " ! moshi name=m model-delay=161 ! " OPUS
      " ! fakesink", 24000u, 1u);
  harness_play_to_eos (self);
  got = take_packets (self->out);
  for (first = 0; is_silence (get_packet (got, first)); first++);
  assert_silence (got, 0, first, 64 * 120);
  assert_durations (self->out);
  g_assert_cmpuint (get_end (self->out), ==, GST_SECOND);
  harness_free (self);
}

/* Who takes it: nothing fails, nothing is transcoded. */
static void
test_takers (gconstpointer data)
{
  MoshiStandinConfig config;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_SWEEP);
  self = harness_new (&config, "audiotestsrc num-buffers=50 "
      "samplesperbuffer=480 ! " RAW " ! moshi name=m ! %s ! fakesink", 24000u,
      1u, (const gchar *) data);
  harness_play_to_eos (self);
  assert_caps (self->out);
  assert_durations (self->out);
  harness_free (self);
}

typedef struct
{
  guint64 samples;              /* of all packets, at 48 kHz */
  gint64 granule;               /* of the last page */
  guint pages;
  guint surprises;              /* pages whose granule is not the sum so far */
} File;

static void
read_page (File * file, ogg_stream_state * stream, ogg_page * page)
{
  const gint64 granule = ogg_page_granulepos (page);
  ogg_packet packet;

  if (ogg_page_bos (page))
    ogg_stream_init (stream, ogg_page_serialno (page));
  ogg_stream_pagein (stream, page);
  while (ogg_stream_packetout (stream, &packet) == 1)
    if (!is_header (packet.packet, packet.bytes))
      file->samples += opus_packet_get_nb_samples (packet.packet,
          packet.bytes, 48000);
  if (file->samples == 0)
    return;
  file->pages++;
  file->granule = granule;
  if (!ogg_page_eos (page) && granule != (gint64) file->samples)
    file->surprises++;
}

static void
read_file (const GByteArray * bytes, File * file)
{
  ogg_stream_state stream = { 0, };
  ogg_sync_state sync;
  ogg_page page;

  ogg_sync_init (&sync);
  memcpy (ogg_sync_buffer (&sync, bytes->len), bytes->data, bytes->len);
  ogg_sync_wrote (&sync, bytes->len);
  while (ogg_sync_pageout (&sync, &page) == 1)
    read_page (file, &stream, &page);
  ogg_stream_clear (&stream);
  ogg_sync_clear (&sync);
}

/* In a file each page says where its packets end, and the last one where the
 * sound does: exactly where the input's did. */
static void
test_ogg_file (gconstpointer data)
{
  const guint samples = GPOINTER_TO_UINT (data);
  const guint n = 60000 / samples;
  MoshiStandinConfig config;
  HarnessTrack *muxed;
  File file = { 0, };
  Harness *self;

  init_config (&config, MOSHI_STANDIN_SWEEP);
  self = harness_new (&config, "audiotestsrc num-buffers=%u "
      "samplesperbuffer=%u ! " RAW " ! moshi name=m ! oggmux name=mux ! "
      "fakesink", n, samples, 24000u, 1u);
  muxed = harness_track (self, "mux", "src");
  harness_play_to_eos (self);
  read_file (muxed->data, &file);
  g_assert_cmpuint (file.pages, >, 1);
  g_assert_cmpuint (file.surprises, ==, 0);
  g_assert_cmpint (file.granule, ==, n * samples * 2);
  harness_free (self);
}

/* Opus in, Opus out: an Ogg file of an answer to an Ogg file */
static void
test_both_ways (void)
{
  g_autoptr (GPtrArray) expected = NULL;
  g_autoptr (GPtrArray) given = NULL;
  g_autoptr (GPtrArray) sent = NULL;
  g_autoptr (GPtrArray) got = NULL;
  g_autofree gchar *path = write_ogg (20, 2, 102300, &given);
  HarnessTrack *muxed;
  MoshiStandinConfig config;
  File file = { 0, };
  Harness *self;

  init_config (&config, MOSHI_STANDIN_SWEEP);
  expected = capture (&config, 3200);
  self = harness_new (&config, "filesrc location=%s ! oggdemux ! moshi name=m "
      "! oggmux name=mux ! fakesink", path);
  muxed = harness_track (self, "mux", "src");
  harness_play_to_eos (self);
  sent = take_received (self);
  assert_same (sent, 0, given, 0, given->len);
  got = take_packets (self->out);
  assert_same (got, 8, expected, 0, got->len - 8);
  read_file (muxed->data, &file);
  g_assert_cmpint (file.granule, ==, 102300);
  harness_free (self);
  g_unlink (path);
}

/* flush-output in batch: the length holds, in packets. */
static void
test_flush_output (void)
{
  MoshiStandinConfig config;
  Harness *self;
  guint i;

  init_config (&config, MOSHI_STANDIN_SWEEP);
  config.flavour = MOSHI_STANDIN_MOSHI_SERVER;
  self = harness_new (&config, "appsrc name=in format=time max-bytes=0 caps="
      RAW " ! moshi name=m ! " OPUS " ! fakesink", 24000u, 1u);
  harness_set_state (self, GST_STATE_PLAYING);
  for (i = 0; i < 100; i++) {
    harness_push (self, i * MS (20), 960, 0);
    if (i % 10 == 9)
      harness_wait_stat (self, "samples-received", i / 10 * 4800);
    if (i % 30 == 29)
      g_signal_emit_by_name (self->moshi, "flush-output");
  }
  harness_push_eos (self);
  harness_wait_eos (self);
  assert_durations (self->out);
  g_assert_cmpuint (get_end (self->out), ==, 2 * GST_SECOND);
  harness_free (self);
}

/* Live: from PLAYING on packet after packet, silence before the answer and in
 * a stall, and in between what the server sent, in its packets or, as long as the
 * delay changes, in one for each frame. */
static void
test_live_output (void)
{
  static const gchar *const faults[] = { "stall=20:10", NULL };
  g_autoptr (GPtrArray) packets = NULL;
  g_autoptr (GPtrArray) expected = NULL;
  g_autoptr (GPtrArray) pushed = NULL;
  g_autoptr (GPtrArray) got = NULL;
  MoshiStandinConfig config;
  guint i, answered, found = 0, silent = 0, next = 0;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_SWEEP);
  packets = capture (&config, 7000);
  expected = take_apart (packets);
  config.faults = faults;
  self = harness_new (&config, "appsrc name=in is-live=true format=time caps="
      RAW " ! moshi name=m ! " OPUS " ! fakesink async=false", 24000u, 1u);
  harness_use_test_clock (self);
  harness_wait_state (self, GST_STATE_PLAYING);
  harness_wait_connection (self, "ready");
  for (i = 0; i < 300; i++) {
    harness_advance (self, MS (20));
    harness_push (self, i * MS (20), 960, 0);
    harness_wait_stat (self, "samples-sent", (i + 1) * 480);
    /* The clock is not to go on without an answer, but in the stall. */
    answered = i / 4;
    if (answered > 0 && (answered < 20 || answered > 30))
      harness_wait_answers (self, (answered - 1) * 1920);
  }
  assert_durations (self->out);
  g_assert_cmpuint (harness_track_buffer (self->out, 0)->pts, ==, 0);
  g_assert_cmpuint (get_end (self->out), >=, MS (300 * 20 - 60));
  pushed = take_packets (self->out);
  got = take_apart (pushed);
  for (i = 0; i < got->len; i++) {
    if (is_silence (get_packet (got, i))) {
      silent++;
      continue;
    }
    while (!g_bytes_equal (get_packet (got, i), get_packet (expected, next)))
      next++;
    found++;
  }
  g_assert_cmpuint (silent, >, 0);
  g_assert_cmpuint (found, >, 50);
  harness_free (self);
}

static void
add_routes (void)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (routes); i++) {
    g_autofree gchar *name = g_strdup_printf ("/opus/up/%s/%sms/%uch",
        *routes[i].through ? routes[i].through : "opusenc",
        routes[i].frame_size, routes[i].channels);

    g_strdelimit (name, " !", '-');
    g_test_add_data_func (name, &routes[i], test_route);
  }
  for (i = 0; i < G_N_ELEMENTS (oggs); i++) {
    g_autofree gchar *name = g_strdup_printf ("/opus/up/ogg/%u/%ums",
        i, oggs[i].frame_ms);

    g_test_add_data_func (name, &oggs[i], test_ogg_input);
  }
}

static void
add_tests (void)
{
  guint i;

  add_routes ();
  g_test_add_data_func ("/opus/up/120ms/mono", GUINT_TO_POINTER (1),
      test_long_packets);
  g_test_add_data_func ("/opus/up/120ms/stereo", GUINT_TO_POINTER (2),
      test_long_packets);
  for (i = 0; i < G_N_ELEMENTS (losses); i++) {
    static const gchar *const kinds[] = { "stamps", "discont", "gap", "empty",
      "damaged"
    };
    g_autofree gchar *name = g_strdup_printf ("/opus/up/loss/%s/%ux%u",
        kinds[losses[i].kind], losses[i].lost, losses[i].ticks);

    g_test_add_data_func (name, &losses[i], test_loss);
  }
  g_test_add_func ("/opus/up/jitter", test_jitter);
  g_test_add_func ("/opus/up/pre-skip", test_pre_skip);
  g_test_add_func ("/opus/up/caps-change", test_caps_change);
  g_test_add_func ("/opus/up/live", test_live_input);

  for (i = 0; i < G_N_ELEMENTS (downs); i++) {
    g_autofree gchar *name = g_strdup_printf ("/opus/down/batch/%u/%u",
        downs[i].flavour, downs[i].samples);

    g_test_add_data_func (name, &downs[i], test_down);
  }
  g_test_add_func ("/opus/down/odd-model-delay", test_odd_model_delay);
  g_test_add_data_func ("/opus/down/rtp", "rtpopuspay ! application/x-rtp,"
      "encoding-name=OPUS", test_takers);
  g_test_add_data_func ("/opus/down/matroska", OPUS " ! matroskamux",
      test_takers);
  g_test_add_data_func ("/opus/down/webm", "webmmux", test_takers);
  g_test_add_data_func ("/opus/down/opusparse", "opusparse", test_takers);
  g_test_add_data_func ("/opus/down/opusdec", "opusparse ! opusdec",
      test_takers);
  g_test_add_data_func ("/opus/down/ogg/480", GUINT_TO_POINTER (480),
      test_ogg_file);
  g_test_add_data_func ("/opus/down/ogg/1024", GUINT_TO_POINTER (1024),
      test_ogg_file);
  g_test_add_data_func ("/opus/down/ogg/12345", GUINT_TO_POINTER (12345),
      test_ogg_file);
  g_test_add_func ("/opus/both-ways", test_both_ways);
  g_test_add_func ("/opus/down/flush-output", test_flush_output);
  g_test_add_func ("/opus/down/live", test_live_output);
}

int
main (int argc, char **argv)
{
  return harness_main (&argc, &argv, add_tests);
}
