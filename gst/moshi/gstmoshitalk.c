/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the speaking and the listening half share: see gstmoshitalk.h. The
 * session's network thread puts what comes in at one end, the pushing task takes
 * it out at the other; the streaming thread waits here until there is room. */

#include "gstmoshitalk.h"

#include <string.h>

#include "gstmoshijoin.h"
#include "gstmoshischedule.h"

/* Longest packet, 120 ms */
#define MAX_PACKET 5760

/**
 * gst_moshi_talk_new:
 *
 * Returns: (transfer full): an empty talk, output and input flushing
 */
GstMoshiTalk *
gst_moshi_talk_new (void)
{
  GstMoshiTalk *self = g_new0 (GstMoshiTalk, 1);

  g_atomic_ref_count_init (&self->refs);
  g_mutex_init (&self->lock);
  g_cond_init (&self->cond);
  g_queue_init (&self->items);
  g_queue_init (&self->segments);
  g_queue_init (&self->join.kept);
  g_queue_init (&self->join.held);
  self->sessions =
      g_ptr_array_new_with_free_func ((GDestroyNotify) moshi_session_unref);
  self->input_flushing = TRUE;
  self->output_flushing = TRUE;
  return self;
}

/* A pair is live: only the way up may be something else. */
static gpointer
new_pair (void)
{
  GstMoshiTalk *self = gst_moshi_talk_new ();

  self->known = self->live = self->paired = TRUE;
  return self;
}

static void
unref_pair (gpointer self)
{
  gst_moshi_talk_unref (self);
}

/**
 * gst_moshi_talk_join:
 * @name: of the session that joins a pair of elements
 * @role: the half to take
 * @error: return location
 *
 * Any thread.
 *
 * Returns: (transfer none) (nullable): the talk, valid until
 *     moshi_sessions_leave(); %NULL if that half is taken
 */
GstMoshiTalk *
gst_moshi_talk_join (const gchar * name, MoshiSessionsRole role,
    GError ** error)
{
  return moshi_sessions_join (name, role, new_pair, unref_pair, error);
}

/**
 * gst_moshi_talk_ref:
 * @self: a talk
 *
 * Returns: (transfer full): @self
 */
GstMoshiTalk *
gst_moshi_talk_ref (GstMoshiTalk * self)
{
  g_atomic_ref_count_inc (&self->refs);
  return self;
}

/**
 * gst_moshi_talk_wait_locked:
 * @self: a talk
 *
 * Any thread that may wait: until something changes.
 */
void
gst_moshi_talk_wait_locked (GstMoshiTalk * self)
{
  self->waiting++;
  g_cond_wait (&self->cond, &self->lock);
  self->waiting--;
}

/**
 * gst_moshi_talk_wait_until_locked:
 * @self: a talk
 * @deadline: monotonic µs
 *
 * Any thread that may wait: until something changes, or the deadline.
 *
 * Returns: %FALSE if it was the deadline
 */
gboolean
gst_moshi_talk_wait_until_locked (GstMoshiTalk * self, gint64 deadline)
{
  gboolean in_time;

  self->waiting++;
  in_time = g_cond_wait_until (&self->cond, &self->lock, deadline);
  self->waiting--;
  return in_time;
}

/**
 * gst_moshi_talk_wake_locked:
 * @self: a talk
 *
 * Something has changed. Live hardly anybody waits for that, and GLib asks the
 * kernel whoever waits.
 */
void
gst_moshi_talk_wake_locked (GstMoshiTalk * self)
{
  if (self->waiting > 0)
    g_cond_broadcast (&self->cond);
}

static void
clear_items_locked (GstMoshiTalk * self)
MOSHI_REQUIRES (self->lock)
{
  g_queue_clear_full (&self->items, (GDestroyNotify) gst_moshi_item_free);
  self->queued = 0;
}

/**
 * gst_moshi_talk_unref:
 * @self: (transfer full): a talk
 */
void
gst_moshi_talk_unref (GstMoshiTalk * self)
{
  if (!g_atomic_ref_count_dec (&self->refs))
    return;

  g_assert (self->session == NULL && self->sessions->len == 0);
  g_mutex_lock (&self->lock);
  clear_items_locked (self);
  g_queue_clear_full (&self->segments, g_free);
  gst_moshi_join_clear_locked (self);
  g_mutex_unlock (&self->lock);
  g_ptr_array_unref (self->sessions);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->cond);
  g_free (self);
}

/**
 * gst_moshi_item_copy:
 * @item: an item
 *
 * Returns: (transfer full): another of the same bytes
 */
GstMoshiItem *
gst_moshi_item_copy (const GstMoshiItem * item)
{
  GstMoshiItem *copy = g_memdup2 (item, sizeof (GstMoshiItem));

  if (copy->bytes)
    g_bytes_ref (copy->bytes);
  return copy;
}

/**
 * gst_moshi_item_free:
 * @item: (transfer full) (nullable)
 */
void
gst_moshi_item_free (GstMoshiItem * item)
{
  if (item == NULL)
    return;
  g_clear_pointer (&item->bytes, g_bytes_unref);
  g_free (item);
}

/**
 * gst_moshi_talk_reset_input:
 * @self: a talk
 *
 * The speaking half starts from READY: what was said before is forgotten.
 */
void
gst_moshi_talk_reset_input (GstMoshiTalk * self)
{
  g_mutex_lock (&self->lock);
  self->ready = self->begun = self->failed = FALSE;
  self->sent = self->unsent = self->end = 0;
  self->input_filled = self->input_trimmed = 0;
  self->input_eos = self->input_done = FALSE;
  self->run = 0;
  self->run_start = self->run_length = 0;
  g_queue_clear_full (&self->segments, g_free);
  self->received = self->pushed = 0;
  self->text_held = FALSE;
  self->upstream_latency = 0;
  self->last_answer = 0;
  self->session_start = 0;
  self->heard_end = self->sent_end = GST_CLOCK_TIME_NONE;
  memset (&self->stats, 0, sizeof self->stats);
  gst_moshi_join_clear_locked (self);
  self->join.sessions = self->join.renewals = 0;
  self->join.extra = 0;
  gst_moshi_meter_reset (&self->meter);
  gst_moshi_talk_wake_locked (self);
  g_mutex_unlock (&self->lock);
}

/**
 * gst_moshi_talk_reset_output:
 * @self: a talk
 *
 * The listening half starts from READY: what waits to be heard is forgotten.
 */
void
gst_moshi_talk_reset_output (GstMoshiTalk * self)
{
  g_mutex_lock (&self->lock);
  clear_items_locked (self);
  self->output_done = FALSE;
  self->items_dropped = 0;
  self->output_dropped = self->output_filled = 0;
  memset (&self->playout, 0, sizeof (MoshiPlayoutCounters));
  self->flow = GST_FLOW_OK;
  gst_moshi_talk_wake_locked (self);
  g_mutex_unlock (&self->lock);
}

/* Adds what a session has counted. */
static void
add_session_stats (MoshiSessionStats * sum, MoshiSession * session)
{
  MoshiSessionStats stats;

  moshi_session_get_stats (session, &stats);
  sum->bytes_sent += stats.bytes_sent;
  sum->bytes_received += stats.bytes_received;
  sum->messages_sent += stats.messages_sent;
  sum->messages_received += stats.messages_received;
  sum->samples_sent += stats.samples_sent;
  sum->samples_received += stats.samples_received;
  sum->samples_dropped += stats.samples_dropped;
  sum->queued += stats.queued;
  sum->reconnects += stats.reconnects;
  if (stats.network_round_trip)
    sum->network_round_trip = stats.network_round_trip;
}

/**
 * gst_moshi_talk_add_session:
 * @self: a talk
 * @session: (transfer none): counts from now on
 */
void
gst_moshi_talk_add_session (GstMoshiTalk * self, MoshiSession * session)
{
  g_mutex_lock (&self->lock);
  g_ptr_array_add (self->sessions, moshi_session_ref (session));
  g_mutex_unlock (&self->lock);
}

/**
 * gst_moshi_talk_remove_session:
 * @self: a talk
 * @session: (transfer none): one that is over; what it has counted stays
 */
void
gst_moshi_talk_remove_session (GstMoshiTalk * self, MoshiSession * session)
{
  g_autoptr (MoshiSession) ours = NULL;
  guint i;

  g_mutex_lock (&self->lock);
  if (g_ptr_array_find (self->sessions, session, &i)) {
    ours = g_ptr_array_steal_index (self->sessions, i);
    add_session_stats (&self->stats, ours);
    self->stats.queued = 0;     /* a gauge */
  }
  g_mutex_unlock (&self->lock);
}

/**
 * gst_moshi_talk_hang_up:
 * @self: a talk
 *
 * There is nobody to talk to any more, and nothing to wait for.
 */
void
gst_moshi_talk_hang_up (GstMoshiTalk * self)
{
  MoshiSession *session;

  g_mutex_lock (&self->lock);
  session = g_steal_pointer (&self->session);
  self->ready = FALSE;
  self->state = MOSHI_LIFE_IDLE;
  gst_moshi_join_clear_locked (self);
  gst_moshi_talk_wake_locked (self);
  g_mutex_unlock (&self->lock);
  g_clear_pointer (&session, moshi_session_unref);
}

/**
 * gst_moshi_talk_get_session_stats_locked:
 * @self: a talk
 * @stats: (out caller-allocates): of all sessions since the input started
 *
 * What was taken by a session is counted in @self's `sent` with the same lock
 * held, so the two agree.
 */
void
gst_moshi_talk_get_session_stats_locked (GstMoshiTalk * self,
    MoshiSessionStats * stats)
{
  guint i;

  *stats = self->stats;
  for (i = 0; i < self->sessions->len; i++)
    add_session_stats (stats, g_ptr_array_index (self->sessions, i));
  stats->sessions = self->join.sessions;
  stats->renewals = self->join.renewals;
}

/**
 * gst_moshi_talk_get_time_locked:
 * @self: a talk
 * @element: one of its halves
 * @running_time: of that element's
 *
 * Two pipelines have a base time each: what they have in common is the clock.
 *
 * Returns: a time that is the same for both halves: of a pair the clock's
 */
GstClockTime
gst_moshi_talk_get_time_locked (GstMoshiTalk * self, GstElement * element,
    GstClockTime running_time)
{
  return self->paired ? running_time + gst_element_get_base_time (element) :
      running_time;
}

/**
 * gst_moshi_talk_said_locked:
 * @self: a talk with a listener
 * @loud: whether there is speech in a packet of Moshi's
 * @ticks: its length
 * @start: running time of its start
 */
void
gst_moshi_talk_said_locked (GstMoshiTalk * self, gboolean loud, guint ticks,
    GstClockTime start)
{
  gst_moshi_meter_said (&self->meter, loud, ticks,
      gst_moshi_talk_get_time_locked (self, self->schedule->element, start));
}

/**
 * gst_moshi_talk_get_state:
 * @self: a talk
 *
 * Any thread.
 *
 * Returns: where the session is in its life
 */
MoshiLifeState
gst_moshi_talk_get_state (GstMoshiTalk * self)
{
  MoshiLifeState state;

  g_mutex_lock (&self->lock);
  state = self->state;
  g_mutex_unlock (&self->lock);
  return state;
}

/**
 * gst_moshi_talk_set_upstream_latency:
 * @self: a talk
 * @latency: what the speaking half's live sources are late by
 */
void
gst_moshi_talk_set_upstream_latency (GstMoshiTalk * self, GstClockTime latency)
{
  g_mutex_lock (&self->lock);
  self->upstream_latency = latency;
  g_mutex_unlock (&self->lock);
}

/**
 * gst_moshi_talk_set_input:
 * @self: a talk
 * @input: (transfer none) (nullable): who speaks; it unsets itself before it
 *     goes
 */
void
gst_moshi_talk_set_input (GstMoshiTalk * self, GstMoshiInput * input)
{
  g_mutex_lock (&self->lock);
  self->input = input;
  g_mutex_unlock (&self->lock);
}

/**
 * gst_moshi_talk_clear_mode:
 * @self: a talk of one element, which starts from READY
 *
 * Whether it is batch or live is not known yet.
 */
void
gst_moshi_talk_clear_mode (GstMoshiTalk * self)
{
  g_mutex_lock (&self->lock);
  self->known = self->live = self->input_live = FALSE;
  g_mutex_unlock (&self->lock);
}

/**
 * gst_moshi_talk_set_input_live:
 * @self: a talk of a pair
 * @live: whether what no session takes is gone, or waits
 */
void
gst_moshi_talk_set_input_live (GstMoshiTalk * self, gboolean live)
{
  g_mutex_lock (&self->lock);
  self->input_live = live;
  gst_moshi_talk_wake_locked (self);
  g_mutex_unlock (&self->lock);
}

/**
 * gst_moshi_talk_set_mode:
 * @self: a talk
 * @live: whether upstream is live
 *
 * The first call counts; the mode stays until the next start.
 */
void
gst_moshi_talk_set_mode (GstMoshiTalk * self, gboolean live)
{
  g_mutex_lock (&self->lock);
  if (!self->known) {
    self->known = TRUE;
    self->live = self->input_live = live;
    gst_moshi_talk_wake_locked (self);
  }
  g_mutex_unlock (&self->lock);
}

/**
 * gst_moshi_talk_set_input_flushing:
 * @self: a talk
 * @flushing: whether the streaming thread must not wait
 */
void
gst_moshi_talk_set_input_flushing (GstMoshiTalk * self, gboolean flushing)
{
  g_mutex_lock (&self->lock);
  self->input_flushing = flushing;
  if (flushing)
    self->input_flushes++;
  gst_moshi_talk_wake_locked (self);
  g_mutex_unlock (&self->lock);
}

/**
 * gst_moshi_talk_set_output_flushing:
 * @self: a talk
 * @flushing: whether the pushing task must not wait, nor push
 */
void
gst_moshi_talk_set_output_flushing (GstMoshiTalk * self, gboolean flushing)
{
  g_mutex_lock (&self->lock);
  self->output_flushing = flushing;
  if (!flushing)
    self->flow = GST_FLOW_OK;
  gst_moshi_talk_wake_locked (self);
  g_mutex_unlock (&self->lock);
}

static void
remove_items_locked (GstMoshiTalk * self, GstMoshiItemKind kind)
MOSHI_REQUIRES (self->lock)
{
  GList *link = self->items.head;

  while (link) {
    GList *next = link->next;
    GstMoshiItem *item = link->data;

    if (item->kind == kind) {
      self->queued -= item->duration;
      g_queue_delete_link (&self->items, link);
      gst_moshi_item_free (item);
    }
    link = next;
  }
}

/* What the server has said and is not yet played */
static void
drop_output_locked (GstMoshiTalk * self)
MOSHI_REQUIRES (self->lock)
{
  self->output_dropped += self->queued;
  remove_items_locked (self, GST_MOSHI_ITEM_TEXT);
  remove_items_locked (self, GST_MOSHI_ITEM_PACKET);
  remove_items_locked (self, GST_MOSHI_ITEM_SILENCE);
  if (self->schedule)
    gst_moshi_schedule_drop_locked (self->schedule);
}

/**
 * gst_moshi_talk_flush_run:
 * @self: a talk
 *
 * The input was flushed: the next buffer begins a new run. Batch: what the server
 * still answers to the old one is not played. Live: what waits to be played is
 * dropped; in a pair it is the other half's.
 */
void
gst_moshi_talk_flush_run (GstMoshiTalk * self)
{
  g_mutex_lock (&self->lock);
  self->run_start = self->sent;
  self->run_length = 0;
  g_queue_clear_full (&self->segments, g_free);
  self->base = GST_CLOCK_TIME_NONE;
  self->input_eos = self->input_done = FALSE;
  self->pushed = self->sent;
  if (self->live && !self->paired)
    drop_output_locked (self);
  gst_moshi_talk_wake_locked (self);
  g_mutex_unlock (&self->lock);
}

/* Batch: silence of its length, so that the output keeps its own. */
static void
silence_item (gpointer data, gpointer user_data)
{
  GstMoshiItem *item = data;

  if (item->kind == GST_MOSHI_ITEM_PACKET) {
    item->kind = GST_MOSHI_ITEM_SILENCE;
    g_clear_pointer (&item->bytes, g_bytes_unref);
  }
}

/**
 * gst_moshi_talk_drop_output:
 * @self: a talk
 *
 * Drops what the server has said and is not yet played, words and all. In batch
 * silence of the same length takes its place.
 */
void
gst_moshi_talk_drop_output (GstMoshiTalk * self)
{
  g_mutex_lock (&self->lock);
  gst_moshi_join_settle_locked (self);
  if (self->live) {
    drop_output_locked (self);
  } else {
    self->output_dropped += self->queued;
    remove_items_locked (self, GST_MOSHI_ITEM_TEXT);
    g_queue_foreach (&self->items, silence_item, NULL);
    if (self->schedule)
      gst_moshi_words_drop (self->schedule->words);
  }
  g_mutex_unlock (&self->lock);
}

/**
 * gst_moshi_talk_restart:
 * @self: a talk
 *
 * Any thread. A new conversation on a new session; what the old one has said
 * and is not played yet is dropped.
 */
void
gst_moshi_talk_restart (GstMoshiTalk * self)
{
  g_autoptr (MoshiSession) session = NULL;

  g_mutex_lock (&self->lock);
  if (self->session)
    session = moshi_session_ref (self->session);
  self->ready = FALSE;
  g_queue_clear_full (&self->join.kept, (GDestroyNotify) gst_moshi_item_free);
  g_mutex_unlock (&self->lock);

  if (session)
    moshi_session_restart (session);
  gst_moshi_talk_drop_output (self);
}

/**
 * gst_moshi_talk_fail:
 * @self: a talk
 *
 * The conversation has ended with an error, which the caller has posted.
 */
void
gst_moshi_talk_fail (GstMoshiTalk * self)
{
  g_mutex_lock (&self->lock);
  self->failed = TRUE;
  self->ready = FALSE;
  if (self->schedule)
    gst_moshi_schedule_hear_locked (self->schedule, NULL);
  gst_moshi_talk_wake_locked (self);
  g_mutex_unlock (&self->lock);
}

/**
 * gst_moshi_talk_has_failed:
 * @self: a talk
 *
 * Any thread.
 *
 * Returns: whether gst_moshi_talk_fail() was called since the input started
 */
gboolean
gst_moshi_talk_has_failed (GstMoshiTalk * self)
{
  gboolean failed;

  g_mutex_lock (&self->lock);
  failed = self->failed;
  g_mutex_unlock (&self->lock);
  return failed;
}

/* Why the streaming thread stops here, or GST_FLOW_OK. An error of the session
 * is on the bus already: EOS makes upstream stop without adding another. */
static GstFlowReturn
check_flow_locked (GstMoshiTalk * self)
MOSHI_REQUIRES (self->lock)
{
  if (self->input_flushing)
    return GST_FLOW_FLUSHING;
  if (self->failed)
    return GST_FLOW_EOS;
  return self->paired ? GST_FLOW_OK : self->flow;
}

/**
 * gst_moshi_talk_check_flow:
 * @self: a talk
 *
 * Any thread.
 *
 * Returns: what the input is to return upstream: %GST_FLOW_EOS once the
 *     conversation has failed (the error is on the bus), else what the last push
 *     gave
 */
GstFlowReturn
gst_moshi_talk_check_flow (GstMoshiTalk * self)
{
  GstFlowReturn ret;

  g_mutex_lock (&self->lock);
  ret = check_flow_locked (self);
  g_mutex_unlock (&self->lock);
  return ret;
}

/* Two windows: one for the server, which answers what it has been sent, and one
 * for the memory here, where in batch the answers wait to be pushed. */
static gboolean
is_window_open_locked (GstMoshiTalk * self, guint ticks)
MOSHI_REQUIRES (self->lock)
{
  const guint64 sent = self->sent + ticks;
  const guint64 window =
      self->text_held ? GST_MOSHI_TEXT_WINDOW : GST_MOSHI_WINDOW;

  return self->ready && self->session
      && sent <= self->received + GST_MOSHI_WINDOW
      && (self->live || sent <= self->pushed + window);
}

static void
count_sent_locked (GstMoshiTalk * self, guint ticks)
MOSHI_REQUIRES (self->lock)
{
  self->sent += ticks;
  self->sent_end = self->heard_end;
  gst_moshi_meter_sent (&self->meter, self->sent, g_get_monotonic_time ());
}

/* Batch: gives a packet to the server, or waits until that is possible. */
static GstFlowReturn
send_batch_locked (GstMoshiTalk * self, GBytes * packet, guint ticks)
MOSHI_REQUIRES (self->lock)
{
  GstFlowReturn ret;

  while ((ret = check_flow_locked (self)) == GST_FLOW_OK) {
    if ((self->ready && gst_moshi_join_is_full_locked (self))
        || !is_window_open_locked (self, ticks)) {
      gst_moshi_talk_wait_locked (self);
    } else if (moshi_session_send (self->session, packet)) {
      gst_moshi_join_keep_locked (self, packet, ticks);
      count_sent_locked (self, ticks);
      break;
    } else {
      /* Full, and an answer makes room; or the session has just ended, and the
       * event that says so is on its way. */
      gst_moshi_talk_wait_locked (self);
    }
  }
  return ret;
}

/* Live: gives a packet to the server, or counts it as gone. */
static GstFlowReturn
send_live_locked (GstMoshiTalk * self, GBytes * packet, guint ticks)
MOSHI_REQUIRES (self->lock)
{
  gst_moshi_join_turn_locked (self);
  if (self->ready && self->session
      && moshi_session_send (self->session, packet))
    count_sent_locked (self, ticks);
  else
    self->unsent += ticks;
  return check_flow_locked (self);
}

/* Notes when the user has said a packet that ends at that running time. */
static void
hear_locked (GstMoshiTalk * self, GstElement * element, gboolean loud,
    guint ticks, GstClockTime end)
MOSHI_REQUIRES (self->lock)
{
  /* A file that is spoken to a live listener is behind its own time stamps
   * where the server was not there. */
  if (self->paired && !self->input_live)
    end = gst_element_get_current_clock_time (element);
  else
    end = gst_moshi_talk_get_time_locked (self, element, end);
  if (!GST_CLOCK_TIME_IS_VALID (end))
    return;
  self->heard_end = end;
  gst_moshi_meter_heard (&self->meter, loud, ticks, end);
}

/**
 * gst_moshi_talk_send:
 * @self: a talk
 * @element: that speaks
 * @packet: (transfer none): one Opus packet
 * @ticks: its duration
 * @loud: whether there is speech in it
 * @end: running time of its end
 *
 * Streaming thread; live also the pushing task, which keeps the server fed.
 *
 * Returns: as gst_moshi_talk_check_flow()
 */
GstFlowReturn
gst_moshi_talk_send (GstMoshiTalk * self, GstElement * element,
    GBytes * packet, guint ticks, gboolean loud, GstClockTime end)
{
  GstFlowReturn ret;

  g_mutex_lock (&self->lock);
  hear_locked (self, element, loud, ticks, end);
  if (self->input_live)
    ret = send_live_locked (self, packet, ticks);
  else
    ret = send_batch_locked (self, packet, ticks);
  g_mutex_unlock (&self->lock);
  return ret;
}

/**
 * gst_moshi_talk_get_input_flushing:
 * @self: a talk
 * @flushes: (out) (optional): how often a flush has begun so far
 *
 * Any thread.
 *
 * Returns: whether the input is flushing
 */
gboolean
gst_moshi_talk_get_input_flushing (GstMoshiTalk * self, guint * flushes)
{
  gboolean flushing;

  g_mutex_lock (&self->lock);
  flushing = self->input_flushing;
  if (flushes)
    *flushes = self->input_flushes;
  g_mutex_unlock (&self->lock);
  return flushing;
}

/**
 * gst_moshi_talk_wait_room:
 * @self: a talk of a pair
 * @flushes: of gst_moshi_talk_get_input_flushing(), when nothing was flushing
 * @waited: (inout): set where there was none at once
 *
 * Streaming thread: waits until the server listens, and is not so far behind
 * with its answers that a packet more would be beyond %GST_MOSHI_WINDOW.
 *
 * Returns: %FALSE if that was in vain: input has been flushed, even if that is
 *     over, or all has failed
 */
gboolean
gst_moshi_talk_wait_room (GstMoshiTalk * self, guint flushes, gboolean * waited)
{
  gboolean room = FALSE;

  g_mutex_lock (&self->lock);
  while (self->input_flushes == flushes && !self->failed) {
    room = self->ready
        && self->sent + MAX_PACKET <= self->received + GST_MOSHI_WINDOW;
    if (room)
      break;
    *waited = TRUE;
    gst_moshi_talk_wait_locked (self);
  }
  g_mutex_unlock (&self->lock);
  return room;
}

/**
 * gst_moshi_talk_close:
 * @self: a talk of a pair whose input has ended
 *
 * Streaming thread: what was given is sent, then the session is closed
 * politely, and this waits for that. The session bounds each of its steps in
 * time. May be called again.
 *
 * Returns: %FALSE if a flush has ended the wait
 */
gboolean
gst_moshi_talk_close (GstMoshiTalk * self)
{
  g_autoptr (MoshiSession) session = NULL;
  gboolean flushing;

  g_mutex_lock (&self->lock);
  if (self->session && self->ready)
    session = moshi_session_ref (self->session);
  g_mutex_unlock (&self->lock);
  if (session)
    moshi_session_close (session);

  g_mutex_lock (&self->lock);
  while (self->ready && !self->input_flushing && !self->failed)
    gst_moshi_talk_wait_locked (self);
  flushing = self->input_flushing;
  g_mutex_unlock (&self->lock);
  return !flushing;
}
