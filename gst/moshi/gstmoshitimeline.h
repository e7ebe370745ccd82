/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/**
 * GstMoshiTimeline:
 *
 * The input's timeline: where buffers, gaps and segments stand, counted in
 * samples at 48 kHz (ticks) from `origin`. Whoever owns it locks it.
 */
typedef struct
{
  GstSegment segment;           /* in time */
  gboolean running;             /* origin and next are set */
  GstClockTime origin;          /* running time of tick 0 */
  guint64 next;                 /* ticks taken since */
  guint64 skip;                 /* ticks sent ahead of the input, to be cut */
  guint64 padded;               /* how many of them are no input: a change of
                                 * caps has added them, or a decoder drops them */
  guint clipped;                /* Opus: ticks so dropped of the last packet */
  gboolean primed;              /* Opus: the pre-skip is over */
} GstMoshiTimeline;

void gst_moshi_timeline_reset (GstMoshiTimeline * self);
void gst_moshi_timeline_begin (GstMoshiTimeline * self,
    GstClockTime running_time);
void gst_moshi_timeline_follow (GstMoshiTimeline * self,
    GstClockTime running_time);
GstClockTime gst_moshi_timeline_get_time (const GstMoshiTimeline * self);
guint64 gst_moshi_timeline_get_length (GstMoshiTimeline * self);

gint64 gst_moshi_timeline_find_gap (const GstMoshiTimeline * self,
    GstClockTime running_time, gboolean discont, gboolean opus);
guint64 gst_moshi_timeline_take_gap (GstMoshiTimeline * self, gint64 gap);
guint64 gst_moshi_timeline_take_samples (GstMoshiTimeline * self,
    guint64 n_frames, guint unit);
gboolean gst_moshi_timeline_take_packet (GstMoshiTimeline * self, guint ticks,
    guint clipped);
void gst_moshi_timeline_pad (GstMoshiTimeline * self, guint ticks);
void gst_moshi_timeline_settle (GstMoshiTimeline * self);

G_END_DECLS
