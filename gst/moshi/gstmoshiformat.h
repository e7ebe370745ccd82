/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/audio/audio.h>
#include <gst/gst.h>

#include "protocol/moshierror.h"
#include "protocol/moshiopus.h"

G_BEGIN_DECLS

/**
 * GstMoshiFormat:
 * @opus: the output is Opus as the server made it
 * @info: of raw output; 48 kHz mono with @opus
 * @decoder: of raw output, else %NULL
 *
 * What a buffer of output is: caps, and packets and silence in them. All
 * durations are in ticks of 48 kHz. Pushing task only.
 */
typedef struct
{
  gboolean opus;
  GstAudioInfo info;
  MoshiOpusDecoder *decoder;
} GstMoshiFormat;

GstCaps *gst_moshi_format_get_template_caps (void);
gchar *gst_moshi_format_dup_stream_id (GstElement * element,
    const gchar * name);
GstCaps *gst_moshi_format_choose_caps (GstPad * pad,
    const GstTagList * tags);
gboolean gst_moshi_format_set_caps (GstMoshiFormat * self,
    const GstCaps * caps, GError ** error);
void gst_moshi_format_clear (GstMoshiFormat * self);
void gst_moshi_format_reset (GstMoshiFormat * self);
guint gst_moshi_format_get_unit (const GstMoshiFormat * self);
guint64 gst_moshi_format_round_to_packets (guint64 ticks);
GstBuffer *gst_moshi_format_render (GstMoshiFormat * self, GBytes * packet,
    guint ticks, GError ** error);
GstBuffer *gst_moshi_format_silence (GstMoshiFormat * self, guint64 ticks,
    guint64 * made);
GstBuffer *gst_moshi_format_conceal (GstMoshiFormat * self, guint ticks);
GstBuffer *gst_moshi_format_split (GstMoshiFormat * self, GstBuffer ** buffer,
    guint64 * left, guint64 ticks);
gboolean gst_moshi_format_is_loud (GstMoshiFormat * self, GstBuffer * buffer);

G_END_DECLS
