/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ogg Opus in, with an eye on the client's mistakes, and out, in the layouts
 * of the real servers. Neither thread nor clock. */
#pragma once

#include "standinflavour.h"

G_BEGIN_DECLS

typedef struct _StandinOggIn StandinOggIn;
typedef struct _StandinOggOut StandinOggOut;

/* What a message brought. One flavour's end is another's nothing, so none may
 * hide another. */
typedef enum
{
  STANDIN_OGG_OK = 0,
  STANDIN_OGG_BAD_CRC = 1 << 0,
  STANDIN_OGG_SECOND_BOS = 1 << 1,
  STANDIN_OGG_BAD_PACKET = 1 << 2,
} StandinOggProblem;

StandinOggIn *standin_ogg_in_new (gboolean decode, guint flush);
void standin_ogg_in_free (StandinOggIn * self);
StandinOggProblem standin_ogg_in_feed (StandinOggIn * self,
    const guint8 * data, gsize size, MoshiStandinStats * stats,
    GArray * pcm, GPtrArray * packets, guint max_packets, GString * report);
guint64 standin_ogg_in_get_passed (StandinOggIn * self);

StandinOggOut *standin_ogg_out_new (void);
void standin_ogg_out_free (StandinOggOut * self);
void standin_ogg_out_head (StandinOggOut * self, GByteArray * out);
void standin_ogg_out_tags (StandinOggOut * self, GByteArray * out);
void standin_ogg_out_packet (StandinOggOut * self, const guint8 * packet,
    gsize size, guint64 granule, GByteArray * out);

G_END_DECLS
