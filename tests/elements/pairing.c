/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pairing.h"

/**
 * pairing_init_config:
 * @config: (out caller-allocates): of a server
 * @voice: what it answers
 */
void
pairing_init_config (MoshiStandinConfig * config, MoshiStandinVoice voice)
{
  moshi_standin_config_init (config);
  config->voice = voice;
  config->seed = 5;
}

/**
 * pairing_start_server:
 * @config: of a server
 *
 * Returns: (transfer full): it, listening
 */
MoshiStandin *
pairing_start_server (const MoshiStandinConfig * config)
{
  g_autoptr (GError) error = NULL;
  MoshiStandin *server = moshi_standin_new (config, &error);

  g_assert_no_error (error);
  g_assert_true (moshi_standin_start (server, &error));
  g_assert_no_error (error);
  return server;
}

/**
 * pairing_call:
 * @self: a harness
 * @sink: name of a moshisink in it
 * @server: whom it is to call
 */
void
pairing_call (Harness * self, const gchar * sink, MoshiStandin * server)
{
  GstElement *element = harness_get_element (self, sink);

  g_object_set (element, "uri", moshi_standin_get_uri (server), NULL);
  gst_object_unref (element);
}

/**
 * pairing_new_both:
 * @config: of a server to start
 * @source: what stands before the sink
 * @sink_properties: of the moshisink, `s`
 * @src_properties: of the moshisrc, `m`
 *
 * Returns: (transfer full): both halves in one pipeline
 */
Harness *
pairing_new_both (const MoshiStandinConfig * config, const gchar * source,
    const gchar * sink_properties, const gchar * src_properties)
{
  Harness *self = harness_new (NULL, "%s ! moshisink name=s %s moshisrc name=m"
      " %s" SPEAKER, source, sink_properties, src_properties);

  self->server = pairing_start_server (config);
  pairing_call (self, "s", self->server);
  return self;
}

/**
 * pairing_new_speaker:
 * @server: to call
 * @properties: of the moshisink, `s`
 *
 * Returns: (transfer full): the speaking half alone; `m` is what it is fed by
 */
Harness *
pairing_new_speaker (MoshiStandin * server, const gchar * properties)
{
  Harness *self = harness_new (NULL, "audiotestsrc name=m is-live=true "
      "samplesperbuffer=480 ! " CAPS " ! moshisink name=s %s", properties);

  pairing_call (self, "s", server);
  return self;
}

/**
 * pairing_new_listener:
 * @properties: of the moshisrc, `m`
 *
 * Returns: (transfer full): the listening half alone
 */
Harness *
pairing_new_listener (const gchar * properties)
{
  return harness_new (NULL, "moshisrc name=m %s" SPEAKER, properties);
}

/**
 * pairing_get_stats:
 * @self: a harness
 * @name: of an element
 *
 * Returns: (transfer full): its `stats`
 */
GstStructure *
pairing_get_stats (Harness * self, const gchar * name)
{
  GstElement *element = harness_get_element (self, name);
  GstStructure *stats = NULL;

  g_object_get (element, "stats", &stats, NULL);
  gst_object_unref (element);
  return stats;
}

/**
 * pairing_get_stat:
 * @self: a harness
 * @name: of an element
 * @field: of its `stats`, uint64
 *
 * Returns: its value
 */
guint64
pairing_get_stat (Harness * self, const gchar * name, const gchar * field)
{
  g_autoptr (GstStructure) stats = pairing_get_stats (self, name);
  guint64 value = 0;

  g_assert_true (gst_structure_get_uint64 (stats, field, &value));
  return value;
}

static gboolean
is_gap (const HarnessBuffer * buffer)
{
  return (buffer->flags & GST_BUFFER_FLAG_GAP) != 0;
}

/**
 * pairing_find_answer:
 * @track: a locked track of raw audio
 * @from: the first buffer to look at
 *
 * Returns: the first that is no silence, or -1
 */
gint
pairing_find_answer (HarnessTrack * track, guint from)
{
  guint i;

  for (i = from; i < track->buffers->len; i++)
    if (!is_gap (harness_track_buffer (track, i)))
      return i;
  return -1;
}

/**
 * pairing_wait_answers:
 * @self: a harness
 * @from: a buffer of its output
 * @n: how many buffers of an answer are to come out from there on
 */
void
pairing_wait_answers (Harness * self, guint from, guint n)
{
  gint64 end = g_get_monotonic_time () + HARNESS_PATIENCE * 1000;
  guint found = 0, i = from;

  g_mutex_lock (&self->lock);
  while (found < n) {
    for (; i < self->out->buffers->len; i++)
      found += !is_gap (harness_track_buffer (self->out, i));
    if (found < n)
      g_assert_true (g_cond_wait_until (&self->cond, &self->lock, end));
  }
  g_mutex_unlock (&self->lock);
}

/**
 * pairing_count_buffers:
 * @self: a harness
 *
 * Returns: how many have come out
 */
guint
pairing_count_buffers (Harness * self)
{
  guint n;

  harness_lock (self);
  n = self->out->buffers->len;
  harness_unlock (self);
  return n;
}

/**
 * pairing_assert_contiguous:
 * @self: a harness
 *
 * Its output, 24 kHz mono, is one stream from its first buffer on.
 */
void
pairing_assert_contiguous (Harness * self)
{
  harness_lock (self);
  harness_assert_contiguous (self->out, 24000, 2, 0);
  harness_unlock (self);
}

/**
 * pairing_assert_clean_close:
 * @server: a server
 *
 * Each of its sessions was closed by the client, with 1000 and no reason.
 */
void
pairing_assert_clean_close (MoshiStandin * server)
{
  MoshiStandinStats stats;

  g_assert_true (moshi_standin_wait_idle (server, HARNESS_PATIENCE));
  moshi_standin_get_stats (server, &stats);
  g_assert_cmpuint (stats.closes, ==, stats.handshakes);
  g_assert_cmpuint (stats.losses, ==, 0);
  g_assert_cmpuint (stats.close_code, ==, 1000);
  g_assert_false (stats.close_had_reason);
}

/**
 * pairing_use_test_clock:
 * @self: a harness in NULL, with a sink named `out`
 *
 * Only moshisrc's task and moshisink's thread wait on it.
 */
void
pairing_use_test_clock (Harness * self)
{
  GstElement *out = harness_get_element (self, "out");

  g_object_set (out, "sync", FALSE, "async", FALSE, NULL);
  gst_object_unref (out);
  harness_use_test_clock (self);
}
