/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/audio/audio.h>
#include <gst/gst.h>

G_BEGIN_DECLS

/**
 * GstMoshiTimeline:
 *
 * The input's timeline: where buffers, gaps and segments stand, counted in
 * samples at 48 kHz (ticks) from `origin`. Its time is the running time, but that
 * a second of it holds a second of sound at any rate of playback. Whoever owns
 * it locks it.
 */
typedef struct
{
  GstSegment segment;           /* in time */
  GstClockTime base;            /* where it begins */
  gboolean fresh;               /* another stream: its segment is a new one */
  gboolean crossing;            /* nothing of it has come yet, but of another */
  gboolean running;             /* origin and next are set */
  GstClockTime origin;          /* time of tick 0 */
  guint64 next;                 /* ticks taken since */
  guint64 skip;                 /* ticks sent ahead of the input, to be cut */
  guint64 padded;               /* how many of them are no input: a change of
                                 * caps has added them, or a decoder drops them */
  guint clipped;                /* Opus: ticks so dropped of the last packet */
  gboolean primed;              /* Opus: the pre-skip is over */
} GstMoshiTimeline;

void gst_moshi_timeline_reset (GstMoshiTimeline * self);
void gst_moshi_timeline_set_segment (GstMoshiTimeline * self,
    const GstSegment * segment);
GstClockTime gst_moshi_timeline_locate (const GstMoshiTimeline * self,
    GstClockTime pts);
GstBuffer *gst_moshi_timeline_clip (const GstMoshiTimeline * self,
    GstBuffer * buffer, const GstAudioInfo * info);
void gst_moshi_timeline_begin (GstMoshiTimeline * self, GstClockTime time);
void gst_moshi_timeline_follow (GstMoshiTimeline * self, GstClockTime time);
void gst_moshi_timeline_join (GstMoshiTimeline * self);
GstClockTime gst_moshi_timeline_get_time (const GstMoshiTimeline * self);
guint64 gst_moshi_timeline_get_length (GstMoshiTimeline * self);

gint64 gst_moshi_timeline_find_gap (const GstMoshiTimeline * self,
    GstClockTime time, gboolean discont, gboolean opus);
guint64 gst_moshi_timeline_take_gap (GstMoshiTimeline * self, gint64 gap);
guint64 gst_moshi_timeline_take_samples (GstMoshiTimeline * self,
    guint64 n_frames, guint unit);
gboolean gst_moshi_timeline_take_packet (GstMoshiTimeline * self, guint ticks,
    guint clipped);
void gst_moshi_timeline_pad (GstMoshiTimeline * self, guint ticks);
void gst_moshi_timeline_settle (GstMoshiTimeline * self);

G_END_DECLS
