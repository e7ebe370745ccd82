/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/audio/audio.h>
#include <gst/gst.h>

#include "protocol/moshierror.h"
#include "protocol/moshiopus.h"

G_BEGIN_DECLS

/**
 * GstMoshiFramerFunc:
 * @packet: (transfer none): made of the samples given
 * @ticks: its duration
 * @loud: whether there is speech in it
 *
 * Returns: anything but %GST_FLOW_OK ends the call that made the packet
 */
typedef GstFlowReturn (*GstMoshiFramerFunc) (gpointer user_data,
    GBytes * packet, guint ticks, gboolean loud);

/**
 * GstMoshiFramer:
 *
 * Cuts samples of any number into frames and encodes them. Streaming thread
 * only, but for gst_moshi_framer_set_encoder().
 */
typedef struct
{
  GstMoshiFramerFunc func;
  gpointer user_data;

  GstAudioInfo info;
  guint frame_ticks;
  guint fill;                   /* samples in `mono` */
  guint room;                   /* for so many */
  guint8 *mono;                 /* gint16 or gfloat, once there is a part */
  MoshiOpusEncoder *encoder;

  /* Atomic */
  gint bitrate;
  gint complexity;
  gint configured;
} GstMoshiFramer;

void gst_moshi_framer_init (GstMoshiFramer * self, GstMoshiFramerFunc func,
    gpointer user_data);
void gst_moshi_framer_clear (GstMoshiFramer * self);
void gst_moshi_framer_set_encoder (GstMoshiFramer * self, gint bitrate,
    gint complexity);
void gst_moshi_framer_set_info (GstMoshiFramer * self,
    const GstAudioInfo * info);
guint gst_moshi_framer_get_unit (const GstMoshiFramer * self);
GstFlowReturn gst_moshi_framer_feed (GstMoshiFramer * self,
    const guint8 * data, guint64 n_frames, GError ** error);
GstFlowReturn gst_moshi_framer_flush (GstMoshiFramer * self, guint * padded,
    GError ** error);
guint64 gst_moshi_framer_fill_up (const GstMoshiFramer * self,
    guint64 n_frames);

G_END_DECLS
