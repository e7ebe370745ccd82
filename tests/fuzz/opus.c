/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any bytes as Opus packets, decoded one after another with losses between
 * them. A packet that has a duration and decodes gives just that much sound.
 */
#include "fuzz.h"
#include "protocol/moshiopus.h"

#define MAX_PACKETS 8

static const guint rates[] = { 48000, 24000, 16000, 12000, 8000 };

int
LLVMFuzzerTestOneInput (const guint8 * data, size_t size)
{
  static gint16 samples[2 * MOSHI_OPUS_MAX_SAMPLES];
  FuzzInput input = { data, size };
  guint form = fuzz_byte (&input);
  guint rate = rates[form % G_N_ELEMENTS (rates)];
  g_autoptr (MoshiOpusDecoder) decoder =
      moshi_opus_decoder_new (rate, 1 + (form >> 7), NULL);
  guint i;

  for (i = 0; i < MAX_PACKETS && input.size > 0; i++) {
    gsize got, want = fuzz_u16 (&input);
    const guint8 *packet = fuzz_take (&input, want, &got);
    guint duration = moshi_opus_packet_duration (packet, got);
    gint n = moshi_opus_decoder_decode_s16 (decoder, got > 0 ? packet : NULL,
        got, samples, MOSHI_OPUS_MAX_SAMPLES, NULL);

    g_assert_cmpint (n, <=, MOSHI_OPUS_MAX_SAMPLES);
    g_assert_cmpuint (duration, <=, MOSHI_OPUS_MAX_SAMPLES);
    g_assert_cmpuint (moshi_opus_packet_channels (packet, got), <=, 2);
    if (duration > 0 && n >= 0)
      g_assert_cmpint (n, ==, duration / (48000 / rate));
  }
  return 0;
}
