/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the server says: one frame of 1,920 samples at 24 kHz for each frame
 * heard, and the encoder it goes through. */
#pragma once

#include <opus.h>

#include "standinflavour.h"

G_BEGIN_DECLS

typedef struct _StandinVoice StandinVoice;
typedef struct _StandinTalk StandinTalk;
typedef struct _StandinEncoder StandinEncoder;

/* Two of 40 ms or one of 80 ms, and room for any the encoder makes. */
#define STANDIN_MAX_PACKETS 2
#define STANDIN_MAX_PACKET_SIZE 4000

typedef struct
{
  guint8 data[STANDIN_MAX_PACKET_SIZE];
  gsize size;
} StandinPacket;

StandinVoice *standin_voice_new (MoshiStandinVoice kind, guint32 seed);
void standin_voice_free (StandinVoice * self);
void standin_voice_hear (StandinVoice * self, const gfloat * frame);
void standin_voice_speak (StandinVoice * self, gfloat * frame,
    GQueue * words);

StandinTalk *standin_talk_new (guint32 seed);
void standin_talk_free (StandinTalk * self);
void standin_talk_hear (StandinTalk * self, const gfloat * frame);
void standin_talk_speak (StandinTalk * self, gfloat * frame, GQueue * words);

StandinEncoder *standin_encoder_new (const StandinFlavour * flavour,
    gint bitrate);
void standin_encoder_free (StandinEncoder * self);
guint standin_encoder_run (StandinEncoder * self, const gfloat * frame,
    StandinPacket * packets);

GPtrArray *standin_text_pieces (const gchar * sentence,
    gboolean byte_fallback, gboolean literal);

G_END_DECLS
