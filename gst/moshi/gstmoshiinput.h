/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gstmoshisettings.h"
#include "gstmoshitalk.h"

G_BEGIN_DECLS

/* GstMoshiInput, the speaking half: what upstream gives becomes an unbroken row
 * of Opus packets on the session, silence where nothing was given. */

GstCaps *gst_moshi_input_get_template_caps (void);

GstMoshiInput *gst_moshi_input_new (GstElement * element);
GstMoshiInput *gst_moshi_input_ref (GstMoshiInput * self);
void gst_moshi_input_unref (GstMoshiInput * self);
void gst_moshi_input_set_talk (GstMoshiInput * self, GstMoshiTalk * talk);
void gst_moshi_input_set_playing (GstMoshiInput * self, gboolean playing);
void gst_moshi_input_start (GstMoshiInput * self,
    const GstMoshiSettings * settings);
void gst_moshi_input_set_encoder (GstMoshiInput * self, gint bitrate,
    gint complexity);
gboolean gst_moshi_input_set_caps (GstMoshiInput * self, const GstCaps * caps);
void gst_moshi_input_set_stream (GstMoshiInput * self);
gboolean gst_moshi_input_set_segment (GstMoshiInput * self,
    const GstSegment * segment);
GstFlowReturn gst_moshi_input_chain (GstMoshiInput * self, GstBuffer * buffer);
GstFlowReturn gst_moshi_input_gap (GstMoshiInput * self, GstClockTime pts,
    GstClockTime duration);
GstFlowReturn gst_moshi_input_eos (GstMoshiInput * self);
gboolean gst_moshi_input_wait_drained (GstMoshiInput * self);
void gst_moshi_input_flush (GstMoshiInput * self, GstEvent * event);
void gst_moshi_input_fill (GstMoshiInput * self);

G_END_DECLS
