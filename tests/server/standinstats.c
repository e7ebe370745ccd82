/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the server has seen, for tests to ask about and to wait for. */
#include "standin.h"

#include <string.h>

/* Bounds what a client with endless query parameters can make us keep. */
#define MAX_KEPT_QUERY 256

/**
 * standin_stats_begin:
 * @self: the server
 *
 * Takes the lock until standin_stats_end().
 *
 * Returns: (transfer none): the statistics, to be changed
 */
MoshiStandinStats *
standin_stats_begin (MoshiStandin * self)
{
  g_mutex_lock (&self->lock);
  return &self->stats;
}

/**
 * standin_stats_end:
 * @self: the server
 *
 * Gives the lock back and wakes who waits for a change.
 */
void
standin_stats_end (MoshiStandin * self)
{
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
}

/**
 * standin_note_request:
 * @self: the server
 * @path: what was asked for
 * @query: (transfer none): its parameters
 * @headers: (transfer none): its headers
 *
 * Returns: (transfer full): the faults this request meets
 */
StandinFaults *
standin_note_request (MoshiStandin * self, const gchar * path,
    GHashTable * query, SoupMessageHeaders * headers)
{
  MoshiStandinStats *stats = standin_stats_begin (self);
  StandinFaults *faults;
  SoupMessageHeadersIter iter;
  const gchar *name;
  const gchar *value;

  stats->requests++;
  g_free (self->path);
  self->path = g_strdup (path);
  g_clear_pointer (&self->query, g_hash_table_unref);
  if (g_hash_table_size (query) <= MAX_KEPT_QUERY)
    self->query = g_hash_table_ref (query);
  g_clear_pointer (&self->headers, soup_message_headers_unref);
  self->headers = soup_message_headers_new (SOUP_MESSAGE_HEADERS_REQUEST);
  soup_message_headers_iter_init (&iter, headers);
  while (soup_message_headers_iter_next (&iter, &name, &value))
    soup_message_headers_append (self->headers, name, value);
  if (self->fault_first == 0 || self->fault_requests < self->fault_first)
    faults = standin_faults_copy (self->faults);
  else
    faults = standin_faults_new ();
  self->fault_requests++;
  standin_stats_end (self);
  return faults;
}

/**
 * standin_log:
 * @self: the server
 * @session: its number, 0 for none
 * @format: a line, without its end
 * @...: what goes in
 *
 * Tells stderr, if the configuration wants that.
 */
void
standin_log (MoshiStandin * self, guint session, const gchar * format, ...)
{
  gdouble now = (g_get_monotonic_time () - self->made_at) / 1e6;
  va_list args;
  gchar *line;

  if (!self->config.log)
    return;
  va_start (args, format);
  line = g_strdup_vprintf (format, args);
  va_end (args);
  if (session > 0)
    g_printerr ("%9.3f  session %u: %s\n", now, session, line);
  else
    g_printerr ("%9.3f  %s\n", now, line);
  g_free (line);
}

/**
 * moshi_standin_get_stats:
 * @self: the server
 * @stats: (out caller-allocates): a consistent copy
 */
void
moshi_standin_get_stats (MoshiStandin * self, MoshiStandinStats * stats)
{
  g_mutex_lock (&self->lock);
  *stats = self->stats;
  g_mutex_unlock (&self->lock);
}

/**
 * moshi_standin_dup_path:
 * @self: the server
 *
 * Returns: (transfer full) (nullable): the path of the last request
 */
gchar *
moshi_standin_dup_path (MoshiStandin * self)
{
  gchar *path;

  g_mutex_lock (&self->lock);
  path = g_strdup (self->path);
  g_mutex_unlock (&self->lock);
  return path;
}

/**
 * standin_keep_image:
 * @self: the server
 * @data: (array length=size): an image file
 * @size: its length
 */
void
standin_keep_image (MoshiStandin * self, const guint8 * data, gsize size)
{
  g_mutex_lock (&self->lock);
  g_clear_pointer (&self->image, g_bytes_unref);
  self->image = g_bytes_new (data, size);
  g_mutex_unlock (&self->lock);
}

/**
 * moshi_standin_ref_image:
 * @self: the server
 *
 * Returns: (transfer full) (nullable): the last image a session began with
 */
GBytes *
moshi_standin_ref_image (MoshiStandin * self)
{
  GBytes *image = NULL;

  g_mutex_lock (&self->lock);
  if (self->image != NULL)
    image = g_bytes_ref (self->image);
  g_mutex_unlock (&self->lock);
  return image;
}

/**
 * moshi_standin_dup_query:
 * @self: the server
 * @name: of a query parameter
 *
 * Returns: (transfer full) (nullable): its value in the last request,
 *     decoded; NULL if it was not there
 */
gchar *
moshi_standin_dup_query (MoshiStandin * self, const gchar * name)
{
  gchar *value = NULL;

  g_mutex_lock (&self->lock);
  if (self->query != NULL)
    value = g_strdup (g_hash_table_lookup (self->query, name));
  g_mutex_unlock (&self->lock);
  return value;
}

/**
 * moshi_standin_dup_header:
 * @self: the server
 * @name: of a header, in any case
 *
 * Returns: (transfer full) (nullable): its value in the last request; NULL
 *     if it was not there
 */
gchar *
moshi_standin_dup_header (MoshiStandin * self, const gchar * name)
{
  gchar *value = NULL;

  g_mutex_lock (&self->lock);
  if (self->headers != NULL)
    value = g_strdup (soup_message_headers_get_list (self->headers, name));
  g_mutex_unlock (&self->lock);
  return value;
}

/**
 * moshi_standin_dup_ogg_report:
 * @self: the server
 *
 * Returns: (transfer full): a line for each mistake in the clients' Ogg
 *     streams, for a test to show when it fails; empty if there was none
 */
gchar *
moshi_standin_dup_ogg_report (MoshiStandin * self)
{
  gchar *report;

  g_mutex_lock (&self->lock);
  report = g_strdup (self->report->str);
  g_mutex_unlock (&self->lock);
  return report;
}

/**
 * moshi_standin_get_packets:
 * @self: the server
 *
 * Returns: (transfer full) (element-type GBytes): the first Opus packets
 *     received, `keep_packets` at most
 */
GPtrArray *
moshi_standin_get_packets (MoshiStandin * self)
{
  GPtrArray *packets =
      g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  guint i;

  g_mutex_lock (&self->lock);
  for (i = 0; i < self->packets->len; i++)
    g_ptr_array_add (packets, g_bytes_ref (g_ptr_array_index (self->packets,
                i)));
  g_mutex_unlock (&self->lock);
  return packets;
}

/**
 * moshi_standin_dup_pcm:
 * @self: the server
 * @n_samples: (out): how many
 *
 * Returns: (transfer full) (array length=n_samples): the first samples
 *     decoded, 24 kHz mono, `keep_pcm` at most
 */
gfloat *
moshi_standin_dup_pcm (MoshiStandin * self, gsize * n_samples)
{
  gfloat *pcm;

  g_mutex_lock (&self->lock);
  *n_samples = self->pcm->len;
  pcm = g_memdup2 (self->pcm->data, self->pcm->len * sizeof *pcm);
  g_mutex_unlock (&self->lock);
  return pcm;
}

static guint64
get_counter (const MoshiStandinStats * stats, MoshiStandinCounter counter)
{
  switch (counter) {
    case MOSHI_STANDIN_REQUESTS:
      return stats->requests;
    case MOSHI_STANDIN_UPGRADES:
      return stats->upgrades;
    case MOSHI_STANDIN_HANDSHAKES:
      return stats->handshakes;
    case MOSHI_STANDIN_SESSIONS_ENDED:
      return stats->sessions_ended;
    case MOSHI_STANDIN_ACTIVE:
      return stats->active;
    case MOSHI_STANDIN_WAITING:
      return stats->waiting;
    case MOSHI_STANDIN_AUDIO_MESSAGES:
      return stats->messages[1];
    case MOSHI_STANDIN_SAMPLES:
      return stats->samples;
    case MOSHI_STANDIN_PACKETS:
      return stats->packets;
    case MOSHI_STANDIN_PINGS:
      return stats->pings;
    case MOSHI_STANDIN_CLOSES:
      return stats->closes;
    case MOSHI_STANDIN_FRAMES_SENT:
      return stats->frames_sent;
  }
  return 0;
}

/**
 * moshi_standin_wait:
 * @self: the server
 * @counter: what to look at
 * @at_least: what it must come to
 * @timeout_ms: how long to wait, in ms
 *
 * Returns: FALSE if it did not come to that in time
 */
gboolean
moshi_standin_wait (MoshiStandin * self, MoshiStandinCounter counter,
    guint64 at_least, guint timeout_ms)
{
  gint64 end = g_get_monotonic_time () + timeout_ms * (gint64) 1000;
  gboolean ok;

  g_mutex_lock (&self->lock);
  while (!(ok = get_counter (&self->stats, counter) >= at_least)) {
    if (!g_cond_wait_until (&self->changed, &self->lock, end))
      break;
  }
  g_mutex_unlock (&self->lock);
  return ok;
}

/**
 * moshi_standin_wait_idle:
 * @self: the server
 * @timeout_ms: how long to wait, in ms
 *
 * Waits until no upgraded connection is left.
 *
 * Returns: FALSE if one is left after that time
 */
gboolean
moshi_standin_wait_idle (MoshiStandin * self, guint timeout_ms)
{
  gint64 end = g_get_monotonic_time () + timeout_ms * (gint64) 1000;
  gboolean ok;

  g_mutex_lock (&self->lock);
  while (!(ok = self->stats.active == 0)) {
    if (!g_cond_wait_until (&self->changed, &self->lock, end))
      break;
  }
  g_mutex_unlock (&self->lock);
  return ok;
}
