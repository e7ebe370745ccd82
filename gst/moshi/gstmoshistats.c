/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The `stats` property, put together from what each part counts. */

#include "gstmoshistats.h"

/* Samples at 24 kHz as time */
static guint64
samples_to_time (guint64 samples)
{
  return gst_util_uint64_scale_int (samples, GST_SECOND, 24000);
}

static void
add_session (GstStructure * stats, GstMoshiCall * call)
{
  MoshiSessionStats session;

  gst_moshi_call_get_stats (call, &session);
  gst_structure_set (stats,
      "bytes-sent", G_TYPE_UINT64, session.bytes_sent,
      "bytes-received", G_TYPE_UINT64, session.bytes_received,
      "messages-sent", G_TYPE_UINT64, session.messages_sent,
      "messages-received", G_TYPE_UINT64, session.messages_received,
      "samples-sent", G_TYPE_UINT64, session.samples_sent,
      "samples-received", G_TYPE_UINT64, session.samples_received,
      "send-dropped", G_TYPE_UINT64,
      samples_to_time (session.samples_dropped),
      "send-queued", G_TYPE_UINT64, samples_to_time (session.queued),
      "sessions", G_TYPE_UINT, session.sessions,
      "reconnects", G_TYPE_UINT, session.reconnects, NULL);
}

static void
add_meter (GstStructure * stats, GstMoshiTalk * talk)
{
  GstMoshiMeterReading reading;
  guint64 in_flight;

  g_mutex_lock (&talk->lock);
  gst_moshi_meter_read (&talk->meter, &reading);
  in_flight = talk->sent > talk->received ? talk->sent - talk->received : 0;
  g_mutex_unlock (&talk->lock);

  gst_structure_set (stats,
      "in-flight", G_TYPE_UINT64, gst_moshi_ticks_to_time (in_flight),
      "round-trip-min", G_TYPE_UINT64, reading.min,
      "round-trip-mean", G_TYPE_UINT64, reading.mean,
      "round-trip-p95", G_TYPE_UINT64, reading.p95,
      "round-trip-max", G_TYPE_UINT64, reading.max,
      "response-time", G_TYPE_UINT64, reading.response,
      "responses", G_TYPE_UINT, reading.responses, NULL);
}

/**
 * gst_moshi_stats_new:
 * @talk: where the halves meet
 * @call: the session's life
 * @input: the speaking half
 * @output: the listening half
 *
 * Any thread.
 *
 * Returns: (transfer full): `application/x-moshi-stats`; durations in ns
 */
GstStructure *
gst_moshi_stats_new (GstMoshiTalk * talk, GstMoshiCall * call,
    GstMoshiInput * input, GstMoshiOutput * output)
{
  GstStructure *stats = gst_structure_new_empty ("application/x-moshi-stats");
  GstMoshiInputStats up;
  GstMoshiOutputStats down;

  add_session (stats, call);
  add_meter (stats, talk);
  gst_moshi_input_get_stats (input, &up);
  gst_moshi_output_get_stats (output, &down);
  gst_structure_set (stats,
      "words", G_TYPE_UINT, down.words,
      "concealed", G_TYPE_UINT64, down.concealed,
      "trimmed", G_TYPE_UINT64, down.trimmed,
      "dropped", G_TYPE_UINT64, down.dropped,
      "filled", G_TYPE_UINT64, down.filled,
      "input-filled", G_TYPE_UINT64, up.filled,
      "input-trimmed", G_TYPE_UINT64, up.trimmed,
      "input-unsent", G_TYPE_UINT64, up.unsent, NULL);
  return stats;
}
