/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The `stats` property, put together from what each part counts. */

#include "gstmoshistats.h"

#include "gstmoshisettings.h"

/* Samples at 24 kHz as time */
static guint64
samples_to_time (guint64 samples)
{
  return gst_util_uint64_scale_int (samples, GST_SECOND, 24000);
}

static void
add_session (GstStructure * stats, GstMoshiTalk * talk)
{
  MoshiSessionStats session;

  gst_moshi_talk_get_session_stats (talk, &session);
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
set_time (GstStructure * stats, const gchar * name, guint64 ticks)
{
  gst_structure_set (stats, name, G_TYPE_UINT64,
      gst_moshi_ticks_to_time (ticks), NULL);
}

static void
add_audio_locked (GstStructure * stats, GstMoshiTalk * talk)
{
  set_time (stats, "in-flight",
      talk->sent > talk->received ? talk->sent - talk->received : 0);
  set_time (stats, "queued", talk->queued);
  set_time (stats, "concealed", 0);
  set_time (stats, "trimmed", 0);
  set_time (stats, "dropped", talk->output_dropped);
  set_time (stats, "filled", talk->output_filled);
  set_time (stats, "input-filled", talk->input_filled);
  set_time (stats, "input-trimmed", talk->input_trimmed);
  set_time (stats, "input-unsent", talk->unsent);
}

static void
add_meter_locked (GstStructure * stats, GstMoshiTalk * talk)
{
  GstMoshiMeterReading reading;

  gst_moshi_meter_read (&talk->meter, &reading);
  gst_structure_set (stats,
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
 * @words: (nullable): what was heard in writing
 *
 * Any thread.
 *
 * Returns: (transfer full): `application/x-moshi-stats`; durations in ns
 */
GstStructure *
gst_moshi_stats_new (GstMoshiTalk * talk, GstMoshiWords * words)
{
  GstStructure *stats = gst_structure_new_empty ("application/x-moshi-stats");

  add_session (stats, talk);
  g_mutex_lock (&talk->lock);
  add_audio_locked (stats, talk);
  add_meter_locked (stats, talk);
  g_mutex_unlock (&talk->lock);
  gst_structure_set (stats, "words", G_TYPE_UINT,
      words ? gst_moshi_words_get_count (words) : 0, NULL);
  return stats;
}

/**
 * gst_moshi_stats_install:
 * @klass: of an element, in its class_init
 * @stats: id of the property `stats`
 * @connection_state: id of the property `connection-state`
 */
void
gst_moshi_stats_install (GObjectClass * klass, guint stats,
    guint connection_state)
{
  g_object_class_install_property (klass, stats,
      g_param_spec_boxed ("stats", "Statistics",
          "What has happened so far, counted: see the documentation. Kept "
          "after the end", GST_TYPE_STRUCTURE,
          G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));
  g_object_class_install_property (klass, connection_state,
      g_param_spec_enum ("connection-state", "Connection state",
          "Where the session with the server is in its life",
          GST_TYPE_MOSHI_CONNECTION_STATE, MOSHI_LIFE_IDLE,
          G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));
  gst_type_mark_as_plugin_api (GST_TYPE_MOSHI_CONNECTION_STATE, 0);
}
