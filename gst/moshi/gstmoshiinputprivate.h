/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the speaking half share. */
#pragma once

#include "gstmoshiinput.h"

#include "gstmoshiframer.h"
#include "gstmoshitimeline.h"

G_BEGIN_DECLS

struct _GstMoshiInput
{
  gatomicrefcount refs;
  GstElement *element;          /* weak: it unsets our talk before it goes */

  GMutex lock;

  /* Changes only while nothing streams, by lock */
  GstMoshiTalk *talk;

  /* By lock */
  GstMoshiFramer framer;
  gboolean has_format;
  gboolean opus;                /* packets, sent as they are */
  GstMoshiTimeline timeline;
  guint64 tail;                 /* ticks */
  guint64 drain_timeout;        /* µs */
  guint64 encoded;              /* ticks of the timeline that left as packets */
  GstClockTime lag;             /* live: how late buffers come by their stamps */

  /* Atomic: a change of state must not wait for a streaming thread that waits
   * for the server with `lock` held */
  gint playing;                 /* the element's clock runs */
};

GstFlowReturn gst_moshi_input_send_packet (gpointer user_data, GBytes * packet,
    guint ticks, gboolean loud);
GstFlowReturn gst_moshi_input_feed (GstMoshiInput * self, const guint8 * data,
    guint64 n_frames);
guint gst_moshi_input_get_unit (GstMoshiInput * self);
void gst_moshi_input_flush_partial (GstMoshiInput * self);
void gst_moshi_input_report_length (GstMoshiInput * self, guint64 trimmed);
gboolean gst_moshi_input_is_live (GstMoshiInput * self);
GstFlowReturn gst_moshi_input_send_silent_packets (GstMoshiInput * self,
    guint64 ticks);
GstFlowReturn gst_moshi_input_feed_silence (GstMoshiInput * self,
    guint64 ticks);
void gst_moshi_input_follow (GstMoshiInput * self, GstClockTime time);

G_END_DECLS
