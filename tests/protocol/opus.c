/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "protocol/moshiopus.h"

#include <math.h>
#include <string.h>

#include "protocol/moshierror.h"

#define MAX_SAMPLES (MOSHI_OPUS_MAX_SAMPLES * 2)

static const guint rates[] = { 8000, 12000, 16000, 24000, 48000 };

static const guint frames_48k[] = { 120, 240, 480, 960, 1920, 2880 };

static void
make_tone (gfloat * out, guint n_frames, guint rate, guint channels,
    guint64 * position)
{
  guint i, c;

  for (i = 0; i < n_frames; i++, (*position)++) {
    for (c = 0; c < channels; c++)
      out[i * channels + c] =
          0.9 * sin (2 * G_PI * 440.0 * (gdouble) * position / rate);
  }
}

static gdouble
get_rms (const gfloat * samples, guint n)
{
  gdouble sum = 0;
  guint i;

  for (i = 0; i < n; i++)
    sum += (gdouble) samples[i] * samples[i];
  return sqrt (sum / MAX (n, 1));
}

/* Packet facts */

typedef struct
{
  const gchar *bytes;
  gsize size;
  guint duration;
} Packet;

#define BYTES(text) text, sizeof (text) - 1

/* By RFC 6716 section 3: config << 3 | stereo << 2 | code */
static const Packet packets[] = {
  {BYTES (""), 0},
  {BYTES ("\x00"), 480},        /* SILK NB 10 ms, DTX */
  {BYTES ("\x08x"), 960},
  {BYTES ("\x10x"), 1920},
  {BYTES ("\x18x"), 2880},
  {BYTES ("\x60x"), 480},       /* hybrid SWB 10 ms */
  {BYTES ("\x78x"), 960},       /* hybrid FB 20 ms */
  {BYTES ("\x80x"), 120},       /* CELT NB 2.5 ms */
  {BYTES ("\xf8xyz"), 960},     /* CELT FB 20 ms */
  {BYTES ("\xf9xy"), 1920},     /* code 1: two equal frames */
  {BYTES ("\xf9xyz"), 0},       /* an odd number of bytes for two */
  {BYTES ("\x19xy"), 5760},     /* two of 60 ms */
  {BYTES ("\xfa\1xyz"), 1920},  /* code 2: lengths 1 and 2 */
  {BYTES ("\xfa"), 0},          /* code 2 without a length */
  {BYTES ("\xfa\5xyz"), 0},     /* a length past the end */
  {BYTES ("\xfa\xfcx"), 0},     /* 252 x needs a second byte and more */
  {BYTES ("\xfb"), 0},          /* code 3 without a count */
  {BYTES ("\xfb\x00x"), 0},     /* no frames */
  {BYTES ("\xfb\x01x"), 960},
  {BYTES ("\xfb\x06" "123456"), 5760},  /* 120 ms */
  {BYTES ("\xfb\x07" "1234567"), 0},    /* 140 ms */
  {BYTES ("\xe3\x30"), 5760},   /* 48 of 2.5 ms, all empty */
  {BYTES ("\xe3\x31"), 0},      /* 49 */
  {BYTES ("\xfb\x02xyz"), 0},   /* CBR that does not divide */
  {BYTES ("\xfb\x82\1xyz"), 1920},      /* VBR: 1 and 2 */
  {BYTES ("\xfb\x82\x04xyz"), 0},
  {BYTES ("\xfb\x41\2xyz"), 960},       /* 1 byte and 2 of padding */
  {BYTES ("\xfb\x41\4xyz"), 0}, /* more padding than there is */
  {BYTES ("\xfb\x41"), 0},      /* padding without a length */
  {BYTES ("OpusHead\1\1\0\0\xc0\x5d\0\0\0\0\0"), 0},
  {BYTES ("OpusTags\0\0\0\0\0\0\0\0"), 0},
};

static void
test_duration (void)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (packets); i++) {
    g_autofree guint8 *data = g_memdup2 (packets[i].bytes, packets[i].size);

    g_test_message ("packet %u", i);
    g_assert_cmpuint (moshi_opus_packet_duration (data, packets[i].size), ==,
        packets[i].duration);
  }
  g_assert_cmpuint (moshi_opus_packet_duration (NULL, 0), ==, 0);
  g_assert_cmpuint (moshi_opus_packet_duration ((guint8 *) "\xf8",
          (gsize) G_MAXINT32 + 1), ==, 0);
}

/* The durations of all 32 configurations, RFC 6716 table 2 */
static void
test_duration_of_configurations (void)
{
  static const guint silk[] = { 480, 960, 1920, 2880 };
  static const guint hybrid[] = { 480, 960 };
  static const guint celt[] = { 120, 240, 480, 960 };
  guint config;

  for (config = 0; config < 32; config++) {
    guint8 packet[2] = { config << 3, 'x' };
    guint expected = config < 12 ? silk[config % 4] :
        config < 16 ? hybrid[config % 2] : celt[config % 4];

    g_assert_cmpuint (moshi_opus_packet_duration (packet, 2), ==, expected);
  }
}

/* A frame may have 1,275 bytes and no more. */
static void
test_duration_longest_frame (void)
{
  guint8 packet[1277] = { 0xf8 };

  g_assert_cmpuint (moshi_opus_packet_duration (packet, 1276), ==, 960);
  g_assert_cmpuint (moshi_opus_packet_duration (packet, 1277), ==, 0);
}

static void
test_channels (void)
{
  g_assert_cmpuint (moshi_opus_packet_channels (NULL, 0), ==, 0);
  g_assert_cmpuint (moshi_opus_packet_channels ((guint8 *) "\xf8", 1), ==, 1);
  g_assert_cmpuint (moshi_opus_packet_channels ((guint8 *) "\xfc", 1), ==, 2);
  g_assert_cmpuint (moshi_opus_packet_channels ((guint8 *) "\x04", 1), ==, 2);
}

/* Silence */

static void
check_silence (guint duration, guint channels)
{
  guint i, r;

  for (r = 0; r < G_N_ELEMENTS (rates); r++) {
    g_autoptr (MoshiOpusDecoder) decoder =
        moshi_opus_decoder_new (rates[r], channels, NULL);
    gint16 out[MAX_SAMPLES];
    guint n_frames = duration / (48000 / rates[r]);
    const guint8 *packet;
    gsize size;

    packet = moshi_opus_silence_packet (duration, channels, &size);
    g_assert_nonnull (packet);
    g_assert_cmpuint (moshi_opus_packet_duration (packet, size), ==, duration);
    g_assert_cmpuint (moshi_opus_packet_channels (packet, size), ==, channels);

    memset (out, 0x55, sizeof (out));
    g_assert_cmpint (moshi_opus_decoder_decode_s16 (decoder, packet, size, out,
            n_frames, NULL), ==, n_frames);
    for (i = 0; i < n_frames * channels; i++)
      g_assert_cmpint (out[i], ==, 0);
  }
}

/* What the frames of a packet play alone, one after the other, is what it plays. */
static void
test_split (void)
{
  static const guint durations[] = { 40, 60 }, bitrates[] = { 12000, 64000 };
  guint i, k;

  for (i = 0; i < 4; i++) {
    const guint n = durations[i % 2] * 48, bitrate = bitrates[i / 2];
    g_autoptr (MoshiOpusEncoder) encoder = moshi_opus_encoder_new (48000, 1,
        moshi_opus_choose_application (bitrate), NULL);
    g_autoptr (MoshiOpusDecoder) decoder = moshi_opus_decoder_new (48000, 1,
        NULL);
    g_autoptr (MoshiOpusDecoder) other = moshi_opus_decoder_new (48000, 1,
        NULL);
    guint64 position = 0;

    g_assert_true (moshi_opus_encoder_configure (encoder, bitrate, 5, NULL));
    for (k = 0; k < 10; k++) {
      gfloat samples[2880], whole[2880], parts[2880];
      g_autoptr (GBytes) packet = NULL;
      g_autoptr (GPtrArray) split = NULL;
      guint at = 0, part;
      const guint8 *data;
      gsize size;

      make_tone (samples, n, 48000, 1, &position);
      packet = moshi_opus_encoder_encode_f32 (encoder, samples, n, NULL);
      data = g_bytes_get_data (packet, &size);
      g_assert_cmpint (moshi_opus_decoder_decode_f32 (decoder, data, size,
              whole, n, NULL), ==, (gint) n);
      split = moshi_opus_packet_split (packet, 480);
      /* A frame of SILK may have all of it, one of CELT 20 ms. */
      if (split == NULL && bitrate < 64000)
        continue;
      g_assert_cmpuint (split->len, ==, n / 960);
      for (part = 0; part < split->len; part++) {
        data = g_bytes_get_data (split->pdata[part], &size);
        at += (guint) moshi_opus_decoder_decode_f32 (other, data, size,
            parts + at, n - at, NULL);
      }
      g_assert_cmpuint (at, ==, n);
      g_assert_cmpmem (whole, n * sizeof (gfloat), parts, n * sizeof (gfloat));
    }
    g_assert_true (position == 10 * n);
  }
}

/* What has one frame, too short ones, or is none at all stays as it is. */
static void
test_not_split (void)
{
  static const struct
  {
    gsize size;
    guint8 data[6];
    guint n;                    /* packets made of it */
  } cases[] = {
    {0, {0}, 0},
    {1, {0xf8}, 0},
    {3, {0xf8, 0xff, 0xfe}, 0},
    {5, {0xf9, 0xff, 0xfe, 0xff, 0xfe}, 2},     /* 2 of 20 ms */
    {5, {0xf1, 0xff, 0xfe, 0xff, 0xfe}, 2},     /* of 10 */
    {5, {0xe9, 0xff, 0xfe, 0xff, 0xfe}, 0},     /* of 5 */
    {4, {0xf9, 0xff, 0xfe, 0xff}, 0},   /* not two of a size */
    {4, {0xfa, 1, 0xff, 0xfe}, 2},      /* of one byte each */
    {2, {0xfa, 0}, 2},          /* of none */
    {2, {0xfb, 5}, 5},
    {2, {0xfb, 0}, 0},
  };
  guint i, k;

  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GBytes) packet = g_bytes_new (cases[i].data, cases[i].size);
    g_autoptr (GPtrArray) split = moshi_opus_packet_split (packet, 480);

    g_assert_cmpuint (split ? split->len : 0, ==, cases[i].n);
    for (k = 0; k < cases[i].n; k++) {
      gsize size;
      const guint8 *data = g_bytes_get_data (split->pdata[k], &size);

      g_assert_cmpuint (data[0], ==, cases[i].data[0] & 0xfc);
      g_assert_cmpuint (moshi_opus_packet_duration (data, size), ==,
          moshi_opus_packet_duration (cases[i].data, cases[i].size)
          / cases[i].n);
    }
  }
}

static void
test_silence (void)
{
  guint i, channels;

  for (channels = 1; channels <= 2; channels++) {
    for (i = 0; i < G_N_ELEMENTS (frames_48k); i++)
      check_silence (frames_48k[i], channels);
  }
}

static void
test_silence_of_no_length (void)
{
  static const guint wrong[] = { 0, 1, 119, 121, 360, 1440, 3840, 4800, 5760,
    G_MAXUINT
  };
  guint i;
  gsize size;

  for (i = 0; i < G_N_ELEMENTS (wrong); i++) {
    size = 99;
    g_assert_null (moshi_opus_silence_packet (wrong[i], 1, &size));
    g_assert_cmpuint (size, ==, 0);
  }
  g_assert_null (moshi_opus_silence_packet (960, 0, &size));
  g_assert_null (moshi_opus_silence_packet (960, 3, &size));
}

/* Plays a loud tone, then silence packets for 20 ms to let it ring out, then
 * listens for 200 ms. */
static void
check_silence_after_tone (guint rate, guint duration, guint bitrate,
    MoshiOpusApplication application)
{
  g_autoptr (MoshiOpusEncoder) encoder =
      moshi_opus_encoder_new (rate, 1, application, NULL);
  g_autoptr (MoshiOpusDecoder) decoder = moshi_opus_decoder_new (48000, 1,
      NULL);
  const guint8 *silence;
  gfloat samples[960], out[MAX_SAMPLES];
  guint64 position = 0;
  guint i, played;
  gsize size;

  g_assert_true (moshi_opus_encoder_configure (encoder, bitrate, 5, NULL));
  for (i = 0; i < 25; i++) {
    g_autoptr (GBytes) packet = NULL;

    make_tone (samples, rate / 50, rate, 1, &position);
    packet = moshi_opus_encoder_encode_f32 (encoder, samples, rate / 50, NULL);
    g_assert_cmpint (moshi_opus_decoder_decode_f32 (decoder,
            g_bytes_get_data (packet, NULL), g_bytes_get_size (packet), out,
            960, NULL), ==, 960);
  }
  /* It was loud indeed */
  g_assert_cmpfloat (get_rms (out, 960), >, 0.3);

  silence = moshi_opus_silence_packet (duration, 1, &size);
  for (played = 0; played < 240 * 48; played += duration) {
    g_assert_cmpint (moshi_opus_decoder_decode_f32 (decoder, silence, size, out,
            duration, NULL), ==, duration);
    for (i = 0; i < duration && played >= 10 * 48; i++)
      g_assert_cmpfloat (fabsf (out[i]), <, 1e-4);      /* -80 dBFS */
  }
}

static void
test_silence_after_tone (void)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (frames_48k); i++) {
    /* SILK, hybrid and CELT before it */
    check_silence_after_tone (16000, frames_48k[i], 12000, MOSHI_OPUS_VOIP);
    check_silence_after_tone (48000, frames_48k[i], 28000, MOSHI_OPUS_VOIP);
    check_silence_after_tone (48000, frames_48k[i], 64000, MOSHI_OPUS_LOWDELAY);
  }
}

/* Encoder and decoder */

static void
test_formats (void)
{
  static const guint wrong[][2] = {
    {0, 1}, {44100, 1}, {96000, 2}, {48000, 0}, {48000, 3}, {G_MAXUINT, 1},
    {48000, G_MAXUINT}
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (wrong); i++) {
    g_autoptr (GError) encoder_error = NULL;
    g_autoptr (GError) decoder_error = NULL;

    g_assert_null (moshi_opus_encoder_new (wrong[i][0], wrong[i][1],
            MOSHI_OPUS_AUDIO, &encoder_error));
    g_assert_error (encoder_error, MOSHI_ERROR, MOSHI_ERROR_SETTINGS);
    g_assert_null (moshi_opus_decoder_new (wrong[i][0], wrong[i][1],
            &decoder_error));
    g_assert_error (decoder_error, MOSHI_ERROR, MOSHI_ERROR_SETTINGS);
  }
  moshi_opus_encoder_free (NULL);
  moshi_opus_decoder_free (NULL);
}

/* Codes a second of a tone with packets of one duration, and finds the tone
 * again: as loud, and where the lookahead says. */
static void
check_round_trip (guint rate, guint channels, guint frame_48k)
{
  g_autoptr (MoshiOpusEncoder) encoder =
      moshi_opus_encoder_new (rate, channels, MOSHI_OPUS_AUDIO, NULL);
  g_autoptr (MoshiOpusDecoder) decoder =
      moshi_opus_decoder_new (rate, channels, NULL);
  guint n_frames = frame_48k / (48000 / rate);
  gfloat samples[MAX_SAMPLES], out[MAX_SAMPLES];
  gdouble loudness = 0;
  guint64 position = 0;
  guint n_packets = 48000 / frame_48k;
  guint i;

  g_assert_true (moshi_opus_encoder_configure (encoder, 64000 * channels, 3,
          NULL));
  for (i = 0; i < n_packets; i++) {
    g_autoptr (GBytes) packet = NULL;
    g_autoptr (GError) error = NULL;
    const guint8 *data;
    gsize size;

    make_tone (samples, n_frames, rate, channels, &position);
    packet = moshi_opus_encoder_encode_f32 (encoder, samples, n_frames, &error);
    g_assert_no_error (error);
    data = g_bytes_get_data (packet, &size);
    g_assert_cmpuint (moshi_opus_packet_duration (data, size), ==, frame_48k);
    g_assert_cmpint (moshi_opus_decoder_decode_f32 (decoder, data, size, out,
            n_frames, &error), ==, n_frames);
    if (i >= n_packets / 2)
      loudness += get_rms (out, n_frames * channels) / (n_packets -
          n_packets / 2);
  }
  /* 0.9 / sqrt (2), within 2 dB */
  g_assert_cmpfloat (loudness, >, 0.636 * 0.8);
  g_assert_cmpfloat (loudness, <, 0.636 * 1.25);
}

static void
test_round_trip (void)
{
  guint r, f, channels;

  for (r = 0; r < G_N_ELEMENTS (rates); r++) {
    for (f = 0; f < G_N_ELEMENTS (frames_48k); f++) {
      for (channels = 1; channels <= 2; channels++)
        check_round_trip (rates[r], channels, frames_48k[f]);
    }
  }
}

static void
test_frame_lengths (void)
{
  guint r, n;
  static gint16 samples[MAX_SAMPLES];
  static gfloat floats[MAX_SAMPLES];

  for (r = 0; r < G_N_ELEMENTS (rates); r++) {
    g_autoptr (MoshiOpusEncoder) encoder =
        moshi_opus_encoder_new (rates[r], 1, MOSHI_OPUS_VOIP, NULL);

    for (n = 0; n <= MOSHI_OPUS_MAX_SAMPLES; n += rates[r] / 800) {
      g_autoptr (GError) error = NULL;
      g_autoptr (GBytes) packet = NULL;
      guint tenths = n * 10000ull / rates[r];
      gboolean legal = tenths == 25 || tenths == 50 || tenths == 100
          || tenths == 200 || tenths == 400 || tenths == 600;

      if (n % 2 == 0)
        packet = moshi_opus_encoder_encode_s16 (encoder, samples, n, &error);
      else
        packet = moshi_opus_encoder_encode_f32 (encoder, floats, n, &error);
      if (legal) {
        g_assert_no_error (error);
        g_assert_nonnull (packet);
      } else {
        g_assert_error (error, MOSHI_ERROR, MOSHI_ERROR_OPUS);
        g_assert_null (packet);
      }
    }
  }
}

/* Without DTX every frame of silence is coded, none is left out. */
static void
test_no_dtx (void)
{
  g_autoptr (MoshiOpusEncoder) encoder =
      moshi_opus_encoder_new (16000, 1, MOSHI_OPUS_VOIP, NULL);
  gint16 samples[320] = { 0 };
  guint i;

  g_assert_true (moshi_opus_encoder_configure (encoder, 16000, 10, NULL));
  for (i = 0; i < 100; i++) {
    g_autoptr (GBytes) packet =
        moshi_opus_encoder_encode_s16 (encoder, samples, 320, NULL);

    g_assert_cmpuint (g_bytes_get_size (packet), >, 2);
  }
}

static gsize
code_noise (MoshiOpusEncoder * encoder)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (3);
  gsize total = 0;
  guint i, k;

  for (i = 0; i < 50; i++) {
    g_autoptr (GBytes) packet = NULL;
    gfloat samples[960];

    for (k = 0; k < 960; k++)
      samples[k] = g_rand_double_range (rand, -0.5, 0.5);
    packet = moshi_opus_encoder_encode_f32 (encoder, samples, 960, NULL);
    total += g_bytes_get_size (packet);
  }
  return total;
}

static void
test_bitrate (void)
{
  static const guint bitrates[] = { 16000, 32000, 64000, 128000 };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (bitrates); i++) {
    g_autoptr (MoshiOpusEncoder) encoder =
        moshi_opus_encoder_new (48000, 1, MOSHI_OPUS_AUDIO, NULL);
    gsize bits;

    g_assert_true (moshi_opus_encoder_configure (encoder, bitrates[i], 10,
            NULL));
    bits = code_noise (encoder) * 8;    /* of one second */
    g_assert_cmpuint (bits, >, bitrates[i] / 10 * 7);
    g_assert_cmpuint (bits, <, bitrates[i] / 10 * 13);
  }
}

/* RFC 6716 section 3.1, table 2: configurations 16 to 31 are CELT alone */
static gboolean
is_celt (MoshiOpusEncoder * encoder)
{
  gfloat tone[480];
  guint64 position = 0;
  guint n_celt = 0, i;

  for (i = 0; i < 10; i++) {
    g_autoptr (GBytes) packet = NULL;

    make_tone (tone, 480, 24000, 1, &position);
    packet = moshi_opus_encoder_encode_f32 (encoder, tone, 480, NULL);
    n_celt += *(const guint8 *) g_bytes_get_data (packet, NULL) >> 3 >= 16;
  }
  g_assert_true (n_celt == 0 || n_celt == 10);
  return n_celt == 10;
}

/* Speech with few bits is coded by its model, with enough by CELT alone, and
 * begins as late either way. */
static void
test_application (void)
{
  static const guint bitrates[] = { 4000, 16000, 32000, 47999, 48000, 64000,
    128000, 300000
  };
  guint i, complexity;

  for (i = 0; i < G_N_ELEMENTS (bitrates); i++) {
    for (complexity = 0; complexity <= 5; complexity++) {
      g_autoptr (MoshiOpusEncoder) encoder = moshi_opus_encoder_new (24000, 1,
          moshi_opus_choose_application (bitrates[i]), NULL);

      g_assert_true (moshi_opus_encoder_configure (encoder, bitrates[i],
              complexity, NULL));
      g_assert_cmpint (is_celt (encoder), ==, bitrates[i] >= 48000);
      g_assert_cmpuint (moshi_opus_encoder_get_lookahead (encoder), ==, 312);
    }
  }
}

static void
test_configure_limits (void)
{
  g_autoptr (MoshiOpusEncoder) encoder =
      moshi_opus_encoder_new (48000, 2, MOSHI_OPUS_AUDIO, NULL);
  static const guint wrong[][2] = {
    {0, 5}, {64000, 11}, {(guint) G_MAXINT32 + 1, 5}, {G_MAXUINT, 5},
    {64000, G_MAXUINT}
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (wrong); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_false (moshi_opus_encoder_configure (encoder, wrong[i][0],
            wrong[i][1], &error));
    g_assert_error (error, MOSHI_ERROR, MOSHI_ERROR_SETTINGS);
  }
  g_assert_true (moshi_opus_encoder_configure (encoder, 1, 0, NULL));
  g_assert_true (moshi_opus_encoder_configure (encoder, 650000, 10, NULL));
}

/* libopus: 2.5 ms of overlap, and 4 ms more unless the delay is restricted */
static void
test_lookahead (void)
{
  guint r;

  for (r = 0; r < G_N_ELEMENTS (rates); r++) {
    g_autoptr (MoshiOpusEncoder) audio =
        moshi_opus_encoder_new (rates[r], 1, MOSHI_OPUS_AUDIO, NULL);
    g_autoptr (MoshiOpusEncoder) low =
        moshi_opus_encoder_new (rates[r], 1, MOSHI_OPUS_LOWDELAY, NULL);

    g_assert_cmpuint (moshi_opus_encoder_get_lookahead (audio), ==, 312);
    g_assert_cmpuint (moshi_opus_encoder_get_lookahead (low), ==, 120);
  }
}

/* An impulse comes out where the lookahead says. */
static void
test_lookahead_is_delay (void)
{
  g_autoptr (MoshiOpusEncoder) encoder =
      moshi_opus_encoder_new (48000, 1, MOSHI_OPUS_LOWDELAY, NULL);
  g_autoptr (MoshiOpusDecoder) decoder = moshi_opus_decoder_new (48000, 1,
      NULL);
  gfloat samples[960] = { 0 }, out[960];
  guint i, peak = 0;
  g_autoptr (GBytes) packet = NULL;

  g_assert_true (moshi_opus_encoder_configure (encoder, 256000, 10, NULL));
  samples[400] = 0.9;
  packet = moshi_opus_encoder_encode_f32 (encoder, samples, 960, NULL);
  g_assert_cmpint (moshi_opus_decoder_decode_f32 (decoder,
          g_bytes_get_data (packet, NULL), g_bytes_get_size (packet), out, 960,
          NULL), ==, 960);
  for (i = 1; i < 960; i++) {
    if (fabsf (out[i]) > fabsf (out[peak]))
      peak = i;
  }
  g_assert_cmpint (ABS ((gint) peak - 400 -
          (gint) moshi_opus_encoder_get_lookahead (encoder)), <=, 2);
}

/* The same audio after a reset gives the same packets and samples. */
static void
test_reset (void)
{
  g_autoptr (MoshiOpusEncoder) encoder =
      moshi_opus_encoder_new (24000, 1, MOSHI_OPUS_VOIP, NULL);
  g_autoptr (MoshiOpusDecoder) decoder = moshi_opus_decoder_new (24000, 1,
      NULL);
  gint16 out[2][480];
  GBytes *packet[2];
  gfloat samples[480];
  guint i;

  for (i = 0; i < 2; i++) {
    guint64 position = 0;

    moshi_opus_encoder_reset (encoder);
    moshi_opus_decoder_reset (decoder);
    make_tone (samples, 480, 24000, 1, &position);
    packet[i] = moshi_opus_encoder_encode_f32 (encoder, samples, 480, NULL);
    g_assert_cmpint (moshi_opus_decoder_decode_s16 (decoder,
            g_bytes_get_data (packet[i], NULL), g_bytes_get_size (packet[i]),
            out[i], 480, NULL), ==, 480);
  }
  g_assert_true (g_bytes_equal (packet[0], packet[1]));
  g_assert_cmpmem (out[0], sizeof (out[0]), out[1], sizeof (out[1]));
  g_bytes_unref (packet[0]);
  g_bytes_unref (packet[1]);
}

/* Not-a-number samples must not poison what comes after them. */
static void
test_not_a_number (void)
{
  g_autoptr (MoshiOpusEncoder) encoder =
      moshi_opus_encoder_new (48000, 1, MOSHI_OPUS_AUDIO, NULL);
  g_autoptr (MoshiOpusDecoder) decoder = moshi_opus_decoder_new (48000, 1,
      NULL);
  gfloat samples[960], out[960];
  guint64 position = 0;
  guint i, k;

  for (i = 0; i < 20; i++) {
    g_autoptr (GBytes) packet = NULL;

    make_tone (samples, 960, 48000, 1, &position);
    if (i == 5)
      samples[7] = NAN;
    if (i == 6)
      samples[7] = INFINITY;
    packet = moshi_opus_encoder_encode_f32 (encoder, samples, 960, NULL);
    g_assert_nonnull (packet);
    g_assert_cmpint (moshi_opus_decoder_decode_f32 (decoder,
            g_bytes_get_data (packet, NULL), g_bytes_get_size (packet), out,
            960, NULL), ==, 960);
    for (k = 0; k < 960; k++)
      g_assert_true (isfinite (out[k]));
  }
  g_assert_cmpfloat (get_rms (out, 960), >, 0.4);
}

/* Decoding what any peer may send */

static void
test_decode_to_any_format (void)
{
  const guint8 *packet;
  gint16 out[MAX_SAMPLES];
  guint r, coded, channels;
  gsize size;

  for (r = 0; r < G_N_ELEMENTS (rates); r++) {
    for (channels = 1; channels <= 2; channels++) {
      g_autoptr (MoshiOpusDecoder) decoder =
          moshi_opus_decoder_new (rates[r], channels, NULL);

      for (coded = 1; coded <= 2; coded++) {
        packet = moshi_opus_silence_packet (1920, coded, &size);
        g_assert_cmpint (moshi_opus_decoder_decode_s16 (decoder, packet, size,
                out, MOSHI_OPUS_MAX_SAMPLES, NULL), ==, rates[r] / 25);
        g_assert_cmpint (moshi_opus_decoder_decode_s16 (decoder, packet, size,
                out, G_MAXUINT, NULL), ==, rates[r] / 25);
      }
    }
  }
}

static void
test_decode_errors (void)
{
  g_autoptr (MoshiOpusDecoder) decoder = moshi_opus_decoder_new (24000, 1,
      NULL);
  gint16 out[MAX_SAMPLES];
  gfloat floats[MAX_SAMPLES];
  guint i;

  for (i = 0; i < G_N_ELEMENTS (packets); i++) {
    g_autofree guint8 *data =
        g_memdup2 (packets[i].bytes, MAX (packets[i].size, 1));
    gint expected = packets[i].duration > 0 ? (gint) packets[i].duration / 2
        : -1;
    g_autoptr (GError) error = NULL;
    g_autoptr (GError) float_error = NULL;

    g_assert_cmpint (moshi_opus_decoder_decode_s16 (decoder, data,
            packets[i].size, out, MOSHI_OPUS_MAX_SAMPLES, &error), ==,
        expected);
    g_assert_cmpint (moshi_opus_decoder_decode_f32 (decoder, data,
            packets[i].size, floats, MOSHI_OPUS_MAX_SAMPLES, &float_error), ==,
        expected);
    if (expected < 0) {
      g_assert_error (error, MOSHI_ERROR, MOSHI_ERROR_OPUS);
      g_assert_error (float_error, MOSHI_ERROR, MOSHI_ERROR_OPUS);
    }
  }
}

static void
test_decode_room (void)
{
  g_autoptr (MoshiOpusDecoder) decoder = moshi_opus_decoder_new (48000, 2,
      NULL);
  const guint8 *packet;
  gsize size;
  guint room;

  packet = moshi_opus_silence_packet (960, 2, &size);
  for (room = 0; room <= 970; room++) {
    /* Of just its size, so that a sample too many is seen */
    g_autofree gint16 *out = g_new0 (gint16, MAX (room, 1) * 2);
    g_autoptr (GError) error = NULL;

    g_assert_cmpint (moshi_opus_decoder_decode_s16 (decoder, packet, size, out,
            room, &error), ==, room >= 960 ? 960 : -1);
    if (room < 960)
      g_assert_error (error, MOSHI_ERROR, MOSHI_ERROR_OPUS);
  }
}

static void
test_conceal (void)
{
  guint r, n;

  for (r = 0; r < G_N_ELEMENTS (rates); r++) {
    g_autoptr (MoshiOpusDecoder) decoder =
        moshi_opus_decoder_new (rates[r], 1, NULL);
    guint step = rates[r] / 400;

    for (n = 0; n <= 50 * step; n += MAX (step / 2, 1)) {
      g_autofree gint16 *out = g_new0 (gint16, MAX (n, 1));
      g_autoptr (GError) error = NULL;
      gboolean legal = n > 0 && n % step == 0 && n <= 48 * step;

      g_assert_cmpint (moshi_opus_decoder_decode_s16 (decoder, NULL, 0, out, n,
              &error), ==, legal ? (gint) n : -1);
      if (!legal)
        g_assert_error (error, MOSHI_ERROR, MOSHI_ERROR_OPUS);
    }
  }
}

/* Over a lost packet a tone goes on; over many it fades out. */
static void
test_conceal_tone (void)
{
  g_autoptr (MoshiOpusEncoder) encoder =
      moshi_opus_encoder_new (24000, 1, MOSHI_OPUS_AUDIO, NULL);
  g_autoptr (MoshiOpusDecoder) decoder = moshi_opus_decoder_new (24000, 1,
      NULL);
  gfloat samples[480], out[480];
  guint64 position = 0;
  guint i;

  for (i = 0; i < 20; i++) {
    g_autoptr (GBytes) packet = NULL;

    make_tone (samples, 480, 24000, 1, &position);
    packet = moshi_opus_encoder_encode_f32 (encoder, samples, 480, NULL);
    moshi_opus_decoder_decode_f32 (decoder, g_bytes_get_data (packet, NULL),
        g_bytes_get_size (packet), out, 480, NULL);
  }
  g_assert_cmpint (moshi_opus_decoder_decode_f32 (decoder, NULL, 0, out, 480,
          NULL), ==, 480);
  g_assert_cmpfloat (get_rms (out, 480), >, 0.3);
  for (i = 0; i < 50; i++)
    g_assert_cmpint (moshi_opus_decoder_decode_f32 (decoder, NULL, 0, out, 480,
            NULL), ==, 480);
  g_assert_cmpfloat (get_rms (out, 480), <, 0.1);
}

/* Any bytes at all: what the packet's framing says is what comes out. */
static void
test_decode_random (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (17);
  g_autoptr (MoshiOpusDecoder) decoder = moshi_opus_decoder_new (24000, 2,
      NULL);
  gint16 out[MAX_SAMPLES];
  guint i, k;

  for (i = 0; i < 4000; i++) {
    gsize size = g_rand_int_range (rand, 1, 80);
    g_autofree guint8 *data = g_malloc (size);
    guint duration;

    for (k = 0; k < size; k++)
      data[k] = g_rand_int (rand);
    duration = moshi_opus_packet_duration (data, size);
    g_assert_cmpint (moshi_opus_decoder_decode_s16 (decoder, data, size, out,
            MOSHI_OPUS_MAX_SAMPLES, NULL), ==,
        duration > 0 ? (gint) duration / 2 : -1);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/opus/packet/duration", test_duration);
  g_test_add_func ("/opus/packet/configurations",
      test_duration_of_configurations);
  g_test_add_func ("/opus/packet/longest-frame", test_duration_longest_frame);
  g_test_add_func ("/opus/packet/channels", test_channels);
  g_test_add_func ("/opus/packet/split", test_split);
  g_test_add_func ("/opus/packet/not-split", test_not_split);
  g_test_add_func ("/opus/silence/digital", test_silence);
  g_test_add_func ("/opus/silence/no-such", test_silence_of_no_length);
  g_test_add_func ("/opus/silence/after-tone", test_silence_after_tone);
  g_test_add_func ("/opus/formats", test_formats);
  g_test_add_func ("/opus/round-trip", test_round_trip);
  g_test_add_func ("/opus/encoder/frame-lengths", test_frame_lengths);
  g_test_add_func ("/opus/encoder/no-dtx", test_no_dtx);
  g_test_add_func ("/opus/encoder/bitrate", test_bitrate);
  g_test_add_func ("/opus/encoder/application", test_application);
  g_test_add_func ("/opus/encoder/configure-limits", test_configure_limits);
  g_test_add_func ("/opus/encoder/lookahead", test_lookahead);
  g_test_add_func ("/opus/encoder/lookahead-is-delay", test_lookahead_is_delay);
  g_test_add_func ("/opus/encoder/not-a-number", test_not_a_number);
  g_test_add_func ("/opus/reset", test_reset);
  g_test_add_func ("/opus/decoder/any-format", test_decode_to_any_format);
  g_test_add_func ("/opus/decoder/errors", test_decode_errors);
  g_test_add_func ("/opus/decoder/room", test_decode_room);
  g_test_add_func ("/opus/decoder/conceal", test_conceal);
  g_test_add_func ("/opus/decoder/conceal-tone", test_conceal_tone);
  g_test_add_func ("/opus/decoder/random", test_decode_random);
  return g_test_run ();
}
