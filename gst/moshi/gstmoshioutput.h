/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gstmoshiinput.h"
#include "gstmoshisettings.h"
#include "gstmoshitalk.h"
#include "gstmoshiwords.h"

G_BEGIN_DECLS

/**
 * GstMoshiOutput:
 *
 * The listening half: what the server answers becomes buffers on the src pad,
 * text on the text pad, messages and tags.
 */
typedef struct _GstMoshiOutput GstMoshiOutput;

/**
 * GstMoshiOutputStats:
 * @concealed: gaps inside speech played as something else, ns
 * @dropped: Moshi's audio that came and was not played, ns
 * @filled: silence played where no audio was, ns
 * @words: words so far
 */
typedef struct
{
  GstClockTime concealed;
  GstClockTime trimmed;
  GstClockTime dropped;
  GstClockTime filled;
  guint words;
} GstMoshiOutputStats;

GstMoshiOutput *gst_moshi_output_new (GstElement * element, GstPad * pad,
    GstMoshiTalk * talk);
void gst_moshi_output_free (GstMoshiOutput * self);
void gst_moshi_output_start (GstMoshiOutput * self,
    const GstMoshiSettings * settings);
void gst_moshi_output_set_input (GstMoshiOutput * self,
    GstMoshiInput * input);
void gst_moshi_output_set_latency (GstMoshiOutput * self, guint latency);
GstMoshiWords *gst_moshi_output_get_words (GstMoshiOutput * self);
void gst_moshi_output_set_upstream_latency (GstMoshiOutput * self,
    GstClockTime latency);
gboolean gst_moshi_output_activate (GstMoshiOutput * self, gboolean active);
void gst_moshi_output_set_playing (GstMoshiOutput * self, gboolean playing);
void gst_moshi_output_flush_start (GstMoshiOutput * self);
void gst_moshi_output_flush_stop (GstMoshiOutput * self, gboolean restart);
gboolean gst_moshi_output_take_packet (GstMoshiOutput * self, GBytes * packet,
    gint64 time);
void gst_moshi_output_drop (GstMoshiOutput * self);
GstClockTime gst_moshi_output_get_latency (GstMoshiOutput * self);
void gst_moshi_output_get_stats (GstMoshiOutput * self,
    GstMoshiOutputStats * stats);

G_END_DECLS
