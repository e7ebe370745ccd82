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

GstMoshiOutput *gst_moshi_output_new (GstElement * element, GstPad * pad);
void gst_moshi_output_free (GstMoshiOutput * self);
void gst_moshi_output_set_talk (GstMoshiOutput * self, GstMoshiTalk * talk);
void gst_moshi_output_start (GstMoshiOutput * self,
    const GstMoshiSettings * settings);
void gst_moshi_output_set_latency (GstMoshiOutput * self, guint latency);
GstMoshiWords *gst_moshi_output_get_words (GstMoshiOutput * self);
void gst_moshi_output_set_upstream_latency (GstMoshiOutput * self,
    GstClockTime latency);
void gst_moshi_output_answer_latency (GstMoshiOutput * self, GstQuery * query);
gboolean gst_moshi_output_activate (GstMoshiOutput * self, gboolean active);
void gst_moshi_output_set_playing (GstMoshiOutput * self, gboolean playing);
void gst_moshi_output_end (GstMoshiOutput * self);
void gst_moshi_output_flush_start (GstMoshiOutput * self);
void gst_moshi_output_flush_stop (GstMoshiOutput * self, gboolean restart);

G_END_DECLS
