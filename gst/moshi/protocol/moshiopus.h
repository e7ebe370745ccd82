/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * MOSHI_OPUS_MAX_SAMPLES:
 *
 * Longest packet, in samples a channel at 48 kHz (120 ms, RFC 6716 section 3.2).
 */
#define MOSHI_OPUS_MAX_SAMPLES 5760

/**
 * MoshiOpusApplication:
 *
 * libopus' applications under our own names, so that callers need no opus.h.
 */
typedef enum
{
  MOSHI_OPUS_VOIP,
  MOSHI_OPUS_AUDIO,
  MOSHI_OPUS_LOWDELAY,
} MoshiOpusApplication;

/* Packet facts: from the TOC byte alone, RFC 6716 section 3.1. */
guint moshi_opus_packet_duration (const guint8 * packet, gsize size);
guint moshi_opus_packet_channels (const guint8 * packet, gsize size);
GPtrArray *moshi_opus_packet_split (GBytes * packet, guint shortest);
const guint8 *moshi_opus_silence_packet (guint duration_48k,
    guint channels, gsize * size);

typedef struct _MoshiOpusEncoder MoshiOpusEncoder;

MoshiOpusApplication moshi_opus_choose_application (guint bitrate);

MoshiOpusEncoder *moshi_opus_encoder_new (guint rate, guint channels,
    MoshiOpusApplication application, GError ** error);
void moshi_opus_encoder_free (MoshiOpusEncoder * self);
void moshi_opus_encoder_reset (MoshiOpusEncoder * self);
gboolean moshi_opus_encoder_configure (MoshiOpusEncoder * self, guint bitrate,
    guint complexity, GError ** error);
guint moshi_opus_encoder_get_lookahead (MoshiOpusEncoder * self);
GBytes *moshi_opus_encoder_encode_s16 (MoshiOpusEncoder * self,
    const gint16 * samples, guint n_frames, GError ** error);
GBytes *moshi_opus_encoder_encode_f32 (MoshiOpusEncoder * self,
    const gfloat * samples, guint n_frames, GError ** error);

typedef struct _MoshiOpusDecoder MoshiOpusDecoder;

MoshiOpusDecoder *moshi_opus_decoder_new (guint rate, guint channels,
    GError ** error);
void moshi_opus_decoder_free (MoshiOpusDecoder * self);
void moshi_opus_decoder_reset (MoshiOpusDecoder * self);
gint moshi_opus_decoder_decode_s16 (MoshiOpusDecoder * self,
    const guint8 * packet, gsize size, gint16 * out, guint max_frames,
    GError ** error);
gint moshi_opus_decoder_decode_f32 (MoshiOpusDecoder * self,
    const guint8 * packet, gsize size, gfloat * out, guint max_frames,
    GError ** error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (MoshiOpusEncoder, moshi_opus_encoder_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (MoshiOpusDecoder, moshi_opus_decoder_free)

G_END_DECLS
