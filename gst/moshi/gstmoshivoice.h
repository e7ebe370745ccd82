/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gstmoshiformat.h"
#include "protocol/moshistretch.h"

G_BEGIN_DECLS

/**
 * GST_MOSHI_VOICE_PART:
 *
 * 10 ms: in parts so long speech is told from silence.
 */
#define GST_MOSHI_VOICE_PART 480

/**
 * GstMoshiVoice:
 *
 * Live output: what is decoded and not pushed yet, and where speech is in it.
 * Cuts and joints in it are cross-faded. Of Opus nothing is kept. All durations are in ticks of 48 kHz. Pushing task only.
 */
typedef struct
{
  GstMoshiFormat *format;       /* not owned */
  GByteArray *samples;          /* decoded, the first `start` bytes gone */
  gsize start;
  GByteArray *joint;            /* what would have come next, to fade out of */
  gboolean sounding;            /* the last pushed was audio */
  MoshiStretch stretch;
  MoshiOpusDecoder *ear;        /* for packets passed through, once needed */
  guint hangover;               /* ticks that still count as loud */
  guint words;                  /* ticks near words */
} GstMoshiVoice;

void gst_moshi_voice_init (GstMoshiVoice * self, GstMoshiFormat * format);
void gst_moshi_voice_clear (GstMoshiVoice * self);
void gst_moshi_voice_reset (GstMoshiVoice * self);
guint64 gst_moshi_voice_get_queued (GstMoshiVoice * self);
void gst_moshi_voice_add (GstMoshiVoice * self, GstBuffer * buffer);
void gst_moshi_voice_add_words (GstMoshiVoice * self);
gboolean gst_moshi_voice_judge (GstMoshiVoice * self, guint64 from,
    guint ticks);
guint gst_moshi_voice_listen (GstMoshiVoice * self, GBytes * packet,
    guint ticks);
GstBuffer *gst_moshi_voice_play (GstMoshiVoice * self, guint ticks,
    gint pace, guint spare, guint * taken, guint * made);
GstBuffer *gst_moshi_voice_conceal (GstMoshiVoice * self, guint ticks);
GstBuffer *gst_moshi_voice_silence (GstMoshiVoice * self, guint64 ticks,
    guint64 * made);
void gst_moshi_voice_skip (GstMoshiVoice * self, guint ticks);

G_END_DECLS
