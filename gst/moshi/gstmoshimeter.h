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
 * The round trip is measured for each frame of the model, from its last sample
 * of input being given to the session to as much answer having come out of it;
 * the delay of the model (frames it takes in before it gives one out) is part
 * of it.
 *
 * The response time is measured on the timelines of input and output, as a
 * listener hears it: from the end of what the user said to the start of what
 * Moshi says next, both by level. An utterance of the user's is 150 ms or more
 * of speech, with pauses of less than 600 ms in it; Moshi begins to speak after
 * 300 ms or more of quiet, and what it begins after more than 10 s is no
 * response any more.
 */
typedef struct
{
  /* Positions given to the server (their lower halves, for they are a minute
   * apart at most) and when, one a model frame, as a ring */
  guint32 mark_ticks[GST_MOSHI_METER_MARKS];
  gint64 mark_times[GST_MOSHI_METER_MARKS];
  guint first;
  guint n_marks;
  guint64 next_mark;            /* ticks: end of the frame under way */

  guint32 buckets[GST_MOSHI_METER_BUCKETS];
  guint64 count;
  guint64 sum;                  /* µs */
  guint64 min;
  guint64 max;

  guint loud_in;                /* ticks of speech in this utterance */
  GstClockTime loud_end;        /* of the user's last speech */
  GstClockTime turn_end;        /* of the utterance to be answered, or NONE */
  guint quiet_out;              /* ticks since Moshi's last speech */
  guint64 response;             /* ns, as those below */
  guint64 response_max;
  guint64 response_sum;
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
  guint64 response_mean;
  guint64 response_max;
  guint responses;
} GstMoshiMeterReading;

void gst_moshi_meter_reset (GstMoshiMeter * self);
void gst_moshi_meter_sent (GstMoshiMeter * self, guint64 ticks, gint64 now);
void gst_moshi_meter_received (GstMoshiMeter * self, guint64 ticks,
    gint64 now);
void gst_moshi_meter_new_session (GstMoshiMeter * self, guint64 ticks);
void gst_moshi_meter_heard (GstMoshiMeter * self, gboolean loud,
    guint duration, GstClockTime end);
void gst_moshi_meter_said (GstMoshiMeter * self, gboolean loud,
    guint duration, GstClockTime start);
void gst_moshi_meter_read (const GstMoshiMeter * self,
    GstMoshiMeterReading * reading);

gdouble gst_moshi_get_power (gconstpointer samples, gsize n_samples,
    gboolean is_float);
gboolean gst_moshi_is_loud (gconstpointer samples, gsize n_samples,
    gboolean is_float);

G_END_DECLS
