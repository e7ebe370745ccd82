/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The `stats` property: what each part counts, put together
 *
 * All of it is read with the talk locked, under which most of it is counted: so
 * the fields of one structure are of one moment. What the session counts on
 * the network thread is under a lock of its own, which comes after the talk's;
 * what has come may be counted there and not yet in the talk.
 *
 * docs/statistics.md tells what each field means, and a test compares the two.
 */

#include "gstmoshistats.h"

#include "gstmoshischedule.h"
#include "gstmoshisettings.h"
#include "gstmoshiwords.h"

static void
set_time (GstStructure * stats, const gchar * name, guint64 ticks)
{
  gst_structure_set (stats, name, G_TYPE_UINT64,
      gst_moshi_ticks_to_time (ticks), NULL);
}

static void
add_session (GstStructure * stats, const MoshiSessionStats * session)
{
  gst_structure_set (stats,
      "bytes-sent", G_TYPE_UINT64, session->bytes_sent,
      "bytes-received", G_TYPE_UINT64, session->bytes_received,
      "messages-sent", G_TYPE_UINT64, session->messages_sent,
      "messages-received", G_TYPE_UINT64, session->messages_received,
      "samples-sent", G_TYPE_UINT64, session->samples_sent,
      "samples-received", G_TYPE_UINT64, session->samples_received,
      "sessions", G_TYPE_UINT, session->sessions,
      "reconnects", G_TYPE_UINT, session->reconnects,
      "renewals", G_TYPE_UINT, session->renewals, NULL);
}

/* What was to go up, and never did: there was nobody to take it, or it was
 * thrown away after that. In batch all of it is sent, some of it again. */
static guint64
get_unsent_locked (GstMoshiTalk * talk, const MoshiSessionStats * session)
MOSHI_REQUIRES (talk->lock)
{
  const guint64 given = 2 * (session->samples_sent + session->queued);
  const guint64 accounted = given - MIN (given, talk->join.extra);

  if (talk->known && !talk->live)
    return talk->unsent;
  return talk->unsent + talk->sent - MIN (talk->sent, accounted);
}

static void
add_input_locked (GstStructure * stats, GstMoshiTalk * talk,
    const MoshiSessionStats * session)
MOSHI_REQUIRES (talk->lock)
{
  set_time (stats, "input-filled", talk->input_filled);
  set_time (stats, "input-trimmed", talk->input_trimmed);
  set_time (stats, "input-unsent", get_unsent_locked (talk, session));
  set_time (stats, "send-queued", 2 * session->queued);
}

/* Where the next sample of output stands, against where the input stood that it
 * answers. In batch that is `model-delay` by definition. */
static guint64
get_lag_locked (GstMoshiTalk * talk)
MOSHI_REQUIRES (talk->lock)
{
  GstMoshiSchedule *schedule = talk->schedule;
  const guint64 answered = talk->received - MIN (talk->received, talk->queued);
  GstClockTime out, in;

  if (schedule == NULL || !talk->known || answered <= talk->session_start)
    return 0;
  if (!talk->live)
    return gst_moshi_ticks_to_time (schedule->model_delay);
  if (!GST_CLOCK_TIME_IS_VALID (talk->sent_end))
    return 0;

  out = gst_moshi_talk_get_time_locked (talk, schedule->element,
      gst_moshi_ticks_to_time (gst_moshi_schedule_get_position_locked
          (schedule)));
  in = talk->sent_end - MIN (talk->sent_end,
      gst_moshi_ticks_to_time (talk->sent - MIN (talk->sent, answered)));
  return out > in ? out - in : 0;
}

static void
add_output_locked (GstStructure * stats, GstMoshiTalk * talk)
MOSHI_REQUIRES (talk->lock)
{
  set_time (stats, "in-flight",
      talk->sent > talk->received ? talk->sent - talk->received : 0);
  set_time (stats, "queued", talk->queued);
  set_time (stats, "concealed", talk->playout.concealed);
  set_time (stats, "trimmed", talk->playout.trimmed);
  set_time (stats, "dropped", talk->output_dropped + talk->playout.dropped);
  set_time (stats, "filled", talk->output_filled + talk->playout.filled);
  set_time (stats, "lengthened", talk->playout.lengthened);
  set_time (stats, "shortened", talk->playout.shortened);
  gst_structure_set (stats,
      "lag", G_TYPE_UINT64, get_lag_locked (talk),
      "words", G_TYPE_UINT, talk->words ?
      gst_moshi_words_get_count (talk->words) : talk->n_words, NULL);
}

static void
add_meter_locked (GstStructure * stats, GstMoshiTalk * talk,
    const MoshiSessionStats * session)
MOSHI_REQUIRES (talk->lock)
{
  const guint64 network = session->network_round_trip * 1000;
  GstMoshiMeterReading reading;

  gst_moshi_meter_read (&talk->meter, &reading);
  gst_structure_set (stats,
      "round-trip-min", G_TYPE_UINT64, reading.min,
      "round-trip-mean", G_TYPE_UINT64, reading.mean,
      "round-trip-p95", G_TYPE_UINT64, reading.p95,
      "round-trip-max", G_TYPE_UINT64, reading.max,
      "network-round-trip", G_TYPE_UINT64, network,
      "server-time", G_TYPE_UINT64, network == 0 ? 0 :
      reading.mean - MIN (reading.mean, network),
      "response-time", G_TYPE_UINT64, reading.response,
      "response-time-mean", G_TYPE_UINT64, reading.response_mean,
      "response-time-max", G_TYPE_UINT64, reading.response_max,
      "responses", G_TYPE_UINT, reading.responses, NULL);
}

/**
 * gst_moshi_stats_new:
 * @talk: where the halves meet
 *
 * Any thread.
 *
 * Returns: (transfer full): `application/x-moshi-stats`; durations in ns
 */
GstStructure *
gst_moshi_stats_new (GstMoshiTalk * talk)
{
  GstStructure *stats = gst_structure_new_empty ("application/x-moshi-stats");
  MoshiSessionStats session;

  g_mutex_lock (&talk->lock);
  gst_moshi_talk_get_session_stats_locked (talk, &session);
  add_session (stats, &session);
  add_input_locked (stats, talk, &session);
  add_output_locked (stats, talk);
  add_meter_locked (stats, talk, &session);
  g_mutex_unlock (&talk->lock);
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
