/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_MOSHI_METER_MARKS 512
#define GST_MOSHI_METER_BUCKETS 192

/**
 * GstMoshiMeter:
 *
 * How long answers take. No lock of its own: the talk's guards it.
 *
 * The round trip is measured from sample n of the input being given to the
 * session to sample n of the answer coming out of it; the delay of the model
 * (frames it takes in before it gives one out) is part of it.
 *
 * The response time is measured on the output's timeline, as a listener hears
 * it: from the end of what the user said to the start of what Moshi says next,
 * both by level.
 */
typedef struct
{
  /* Positions given to the server and when, one a model frame, as a ring */
  guint64 mark_ticks[GST_MOSHI_METER_MARKS];
  gint64 mark_times[GST_MOSHI_METER_MARKS];
  guint first;
  guint n_marks;

  guint32 buckets[GST_MOSHI_METER_BUCKETS];
  guint64 count;
  guint64 sum;                  /* µs */
  guint64 min;
  guint64 max;

  guint loud_in;                /* ticks of speech in this utterance */
  GstClockTime speech_end;      /* running time */
  guint quiet_out;              /* ticks since Moshi's last speech */
  guint64 response;             /* ns */
  guint responses;
} GstMoshiMeter;

/**
 * GstMoshiMeterReading:
 *
 * All in ns; 0 where nothing was measured yet. @response is the last one.
 */
typedef struct
{
  guint64 min;
  guint64 mean;
  guint64 p95;
  guint64 max;
  guint64 response;
  guint responses;
} GstMoshiMeterReading;

void gst_moshi_meter_reset (GstMoshiMeter * self);
void gst_moshi_meter_sent (GstMoshiMeter * self, guint64 ticks, gint64 now);
void gst_moshi_meter_received (GstMoshiMeter * self, guint64 ticks,
    gint64 now);
void gst_moshi_meter_new_session (GstMoshiMeter * self);
void gst_moshi_meter_heard (GstMoshiMeter * self, gboolean loud,
    guint duration, GstClockTime end);
void gst_moshi_meter_said (GstMoshiMeter * self, gboolean loud,
    guint duration, GstClockTime start);
void gst_moshi_meter_read (const GstMoshiMeter * self,
    GstMoshiMeterReading * reading);

gboolean gst_moshi_is_loud (gconstpointer samples, gsize n_samples,
    gboolean is_float);

G_END_DECLS
