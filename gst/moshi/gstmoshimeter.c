/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How long answers take: see gstmoshimeter.h.
 *
 * Round trips fall into buckets that grow by the eighth of an octave, from 1 ms
 * on: the 95th percentile is right to 9 %, and a session of any length takes the
 * same room.
 */

#include "gstmoshimeter.h"

#include <math.h>
#include <string.h>

/* One mark a model frame is enough: 80 ms in ticks */
#define MARK_STEP 3840

#define FIRST_BUCKET 1000.0     /* µs */
#define BUCKETS_PER_OCTAVE 8

/* Speech is what is louder than -42 dBFS over a packet: above room noise,
 * below a voice at arm's length. */
#define LOUD 0.00794

/* An utterance has at least this much speech, in ticks: a click is none. */
#define MIN_UTTERANCE 7200      /* 150 ms */

/* Pauses within an utterance are shorter. */
#define MAX_PAUSE (600 * GST_MSECOND)

/* Moshi begins to speak after at least this much quiet, in ticks. */
#define MIN_QUIET 14400         /* 300 ms */

/* What it begins later has another reason. */
#define MAX_RESPONSE (10 * GST_SECOND)

/**
 * gst_moshi_meter_reset:
 * @self: a meter
 */
void
gst_moshi_meter_reset (GstMoshiMeter * self)
{
  memset (self, 0, sizeof *self);
  self->loud_end = self->turn_end = GST_CLOCK_TIME_NONE;
  self->next_mark = MARK_STEP;
  self->quiet_out = MIN_QUIET;
}

/**
 * gst_moshi_meter_new_session:
 * @self: a meter
 * @ticks: input given to the server so far
 *
 * That is not answered any more; what comes now fills the frames of a new
 * session.
 */
void
gst_moshi_meter_new_session (GstMoshiMeter * self, guint64 ticks)
{
  self->n_marks = 0;
  self->next_mark = ticks + MARK_STEP;
}

static void
add_mark (GstMoshiMeter * self, guint64 ticks, gint64 now)
{
  guint slot = (self->first + self->n_marks) % GST_MOSHI_METER_MARKS;

  if (self->n_marks == GST_MOSHI_METER_MARKS)
    return;
  self->mark_ticks[slot] = (guint32) ticks;
  self->mark_times[slot] = now;
  self->n_marks++;
}

/**
 * gst_moshi_meter_sent:
 * @self: a meter
 * @ticks: input given to the server so far
 * @now: monotonic µs
 *
 * Where answers do not come the oldest marks stay and new ones are left out.
 */
void
gst_moshi_meter_sent (GstMoshiMeter * self, guint64 ticks, gint64 now)
{
  for (; self->next_mark <= ticks; self->next_mark += MARK_STEP)
    add_mark (self, self->next_mark, now);
}

static guint
find_bucket (guint64 us)
{
  gdouble octaves = us > FIRST_BUCKET ? log2 (us / FIRST_BUCKET) : 0;

  return MIN ((guint) (octaves * BUCKETS_PER_OCTAVE),
      GST_MOSHI_METER_BUCKETS - 1);
}

static void
count_round_trip (GstMoshiMeter * self, guint64 us)
{
  self->buckets[find_bucket (us)]++;
  self->min = self->count ? MIN (self->min, us) : us;
  self->max = MAX (self->max, us);
  self->sum += us;
  self->count++;
}

/**
 * gst_moshi_meter_received:
 * @self: a meter
 * @ticks: position on the input that the answers have reached
 * @now: monotonic µs
 */
void
gst_moshi_meter_received (GstMoshiMeter * self, guint64 ticks, gint64 now)
{
  while (self->n_marks > 0
      && (gint32) (self->mark_ticks[self->first] - (guint32) ticks) <= 0) {
    count_round_trip (self, MAX (0, now - self->mark_times[self->first]));
    self->first = (self->first + 1) % GST_MOSHI_METER_MARKS;
    self->n_marks--;
  }
}

/**
 * gst_moshi_meter_heard:
 * @self: a meter
 * @loud: whether there was speech in a packet of the user's
 * @duration: its length in ticks
 * @end: time of its end
 */
void
gst_moshi_meter_heard (GstMoshiMeter * self, gboolean loud, guint duration,
    GstClockTime end)
{
  if (!loud)
    return;
  if (!GST_CLOCK_TIME_IS_VALID (self->loud_end)
      || end > self->loud_end + MAX_PAUSE)
    self->loud_in = 0;
  self->loud_in = MIN (self->loud_in + duration, MIN_UTTERANCE);
  self->loud_end = end;
  if (self->loud_in == MIN_UTTERANCE)
    self->turn_end = end;
}

static void
count_response (GstMoshiMeter * self, guint64 response)
{
  self->turn_end = GST_CLOCK_TIME_NONE;
  self->loud_in = 0;
  if (response > MAX_RESPONSE)
    return;
  self->response = response;
  self->response_max = MAX (self->response_max, response);
  self->response_sum += response;
  self->responses++;
}

/**
 * gst_moshi_meter_said:
 * @self: a meter
 * @loud: whether there was speech in a packet of Moshi's
 * @duration: its length in ticks
 * @start: time of its start, counted as that of the user's
 */
void
gst_moshi_meter_said (GstMoshiMeter * self, gboolean loud, guint duration,
    GstClockTime start)
{
  if (!loud) {
    self->quiet_out = MIN (self->quiet_out + duration, MIN_QUIET);
    return;
  }
  if (self->quiet_out == MIN_QUIET && GST_CLOCK_TIME_IS_VALID (self->turn_end)
      && start > self->turn_end)
    count_response (self, start - self->turn_end);
  self->quiet_out = 0;
}

static guint64
find_p95 (const GstMoshiMeter * self)
{
  guint64 seen = 0;
  guint i;

  for (i = 0; i < GST_MOSHI_METER_BUCKETS; i++) {
    seen += self->buckets[i];
    if (seen * 100 >= self->count * 95)
      break;
  }
  return CLAMP (FIRST_BUCKET * exp2 ((i + 1.0) / BUCKETS_PER_OCTAVE),
      self->min, self->max);
}

/**
 * gst_moshi_meter_read:
 * @self: a meter
 * @reading: (out caller-allocates)
 */
void
gst_moshi_meter_read (const GstMoshiMeter * self,
    GstMoshiMeterReading * reading)
{
  memset (reading, 0, sizeof *reading);
  reading->response = self->response;
  reading->response_max = self->response_max;
  reading->responses = self->responses;
  if (self->responses > 0)
    reading->response_mean = self->response_sum / self->responses;
  if (self->count == 0)
    return;
  reading->min = self->min * 1000;
  reading->max = self->max * 1000;
  reading->mean = self->sum * 1000 / self->count;
  reading->p95 = find_p95 (self) * 1000;
}

/**
 * gst_moshi_get_power:
 * @samples: of type gint16, or gfloat with @is_float
 * @n_samples: how many
 * @is_float: which
 *
 * Returns: their mean square, full scale being 1; 0 without any
 */
gdouble
gst_moshi_get_power (gconstpointer samples, gsize n_samples, gboolean is_float)
{
  const gint16 *s16 = samples;
  const gfloat *f32 = samples;
  gdouble sum = 0;
  gsize i;

  if (is_float) {
    for (i = 0; i < n_samples; i++)
      sum += (gdouble) f32[i] * f32[i];
  } else {
    gint64 squares = 0;

    for (i = 0; i < n_samples; i++)
      squares += (gint32) s16[i] * s16[i];
    sum = squares / (32768.0 * 32768.0);
  }
  return sum / MAX (n_samples, 1);
}

/**
 * gst_moshi_is_loud:
 * @samples: of type gint16, or gfloat with @is_float
 * @n_samples: how many
 * @is_float: which
 *
 * Returns: whether there is speech in them, by their root mean square
 */
gboolean
gst_moshi_is_loud (gconstpointer samples, gsize n_samples, gboolean is_float)
{
  return gst_moshi_get_power (samples, n_samples, is_float) > LOUD * LOUD;
}
