/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the listening half share. */
#pragma once

#include "gstmoshioutput.h"

#include "gstmoshiformat.h"
#include "gstmoshischedule.h"
#include "gstmoshivoice.h"

G_BEGIN_DECLS

GST_DEBUG_CATEGORY_EXTERN (gst_moshi_output_debug);

struct _GstMoshiOutput
{
  GstElement *element;          /* not owned: it owns us and the pad */
  GstPad *pad;
  GMutex talk_lock;             /* a leaf: for the pointer */
  GstMoshiTalk *talk;           /* changes only while the pad is inactive; by
                                 * talk_lock for threads that may be about then */
  GstMoshiWords *words;
  GstMoshiSchedule schedule;    /* by talk->lock */

  /* Pushing task only */
  GstMoshiFormat format;
  GstMoshiVoice voice;          /* live raw output */
  guint generation;             /* of the schedule, the voice's */
  guint64 dropped;              /* live: ticks, not told of yet */
  gboolean started;             /* stream-start is out */
  gboolean segment_sent;
  guint64 answered;             /* input ticks: where the next answer stands */
  GstBuffer *pending;           /* batch: rendered, schedule.pending left */
  gboolean discont;
};

guint64 gst_moshi_output_get_position (GstMoshiOutput * self);
GstFlowReturn gst_moshi_output_prepare (GstMoshiOutput * self);
GstFlowReturn gst_moshi_output_push_buffer (GstMoshiOutput * self,
    GstBuffer * buffer, guint64 position, guint64 ticks);
GstFlowReturn gst_moshi_output_push_silence (GstMoshiOutput * self,
    guint64 position, guint64 ticks);
GstBuffer *gst_moshi_output_render (GstMoshiOutput * self,
    const GstMoshiItem * item, guint64 position);

guint64 gst_moshi_output_get_end_position (GstMoshiOutput * self);
GstFlowReturn gst_moshi_output_take_live_step (GstMoshiOutput * self,
    const GstMoshiStep * step);

G_END_DECLS
