/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gstmoshisettings.h"
#include "gstmoshitalk.h"

G_BEGIN_DECLS

/**
 * GstMoshiInput:
 *
 * The speaking half: what upstream gives becomes an unbroken row of Opus
 * packets on the session, silence where nothing was given.
 */
typedef struct _GstMoshiInput GstMoshiInput;

/**
 * GstMoshiInputStats:
 * @filled: silence sent in place of gaps, ns
 * @trimmed: audio not sent because its time had passed already, ns
 * @unsent: audio and silence that no session took, ns
 */
typedef struct
{
  GstClockTime filled;
  GstClockTime trimmed;
  GstClockTime unsent;
} GstMoshiInputStats;

GstCaps *gst_moshi_input_get_template_caps (void);

GstMoshiInput *gst_moshi_input_new (GstElement * element, GstMoshiTalk * talk);
void gst_moshi_input_free (GstMoshiInput * self);
void gst_moshi_input_start (GstMoshiInput * self,
    const GstMoshiSettings * settings);
void gst_moshi_input_set_encoder (GstMoshiInput * self, gint bitrate,
    gint complexity);
gboolean gst_moshi_input_set_caps (GstMoshiInput * self, const GstCaps * caps);
void gst_moshi_input_set_segment (GstMoshiInput * self,
    const GstSegment * segment);
GstFlowReturn gst_moshi_input_chain (GstMoshiInput * self, GstBuffer * buffer);
GstFlowReturn gst_moshi_input_gap (GstMoshiInput * self, GstClockTime pts,
    GstClockTime duration);
GstFlowReturn gst_moshi_input_eos (GstMoshiInput * self);
void gst_moshi_input_flush (GstMoshiInput * self);
void gst_moshi_input_fill (GstMoshiInput * self, GstClockTime running_time);
void gst_moshi_input_get_stats (GstMoshiInput * self,
    GstMoshiInputStats * stats);

G_END_DECLS
