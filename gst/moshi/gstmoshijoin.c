/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One conversation out of several sessions
 *
 * A session has an end, by its limit or by an outage, and another goes on. Each
 * is a leg of the talk, with a number of its own, and the input's positions go
 * through all of them: what is sent up to a position is one leg's to answer,
 * what is sent after it the next one's.
 *
 * Live, a leg that takes over gets the input from the next whole frame of the
 * model on, so that no answer is cut. The answers that the old one still owes
 * come first: what the new one says meanwhile is held.
 *
 * Batch, a leg takes input up to a fixed length. It is then given silence,
 * which the model needs to say its last answers in, and the next takes over when
 * all are there: where that happens depends on the input alone. Packets are
 * kept until they are answered. After an outage those that are left go to the
 * new leg, before anything else: nothing is lost but the model's memory.
 */

#include "gstmoshijoin.h"

#include "gstmoshischedule.h"
#include "protocol/moshiopus.h"

/* Live: how much a new leg may say before the old one's last answers are given
 * up. They were sent first, and are some frames at most. */
#define MAX_HELD (4 * GST_MOSHI_MODEL_FRAME)

/* A leg ends with a whole frame of the model. Packets of odd lengths may not do
 * so: then it ends all the same, so many ticks later. */
#define MAX_OVERTIME (5 * GST_MOSHI_MODEL_FRAME)

/* Where nobody listens nothing is kept. */
static void
append_locked (GstMoshiTalk * self, GstMoshiItem * item)
MOSHI_REQUIRES (self->lock)
{
  if (self->schedule == NULL) {
    gst_moshi_item_free (item);
    return;
  }
  gst_moshi_schedule_hear_locked (self->schedule, item);
  g_queue_push_tail (&self->items, item);
  self->queued += item->duration;
  gst_moshi_talk_wake_locked (self);
}

static gboolean
has_room_locked (GstMoshiTalk * self, guint duration)
MOSHI_REQUIRES (self->lock)
{
  const guint64 most = GST_MOSHI_MAX_QUEUED
      + (self->schedule ? self->schedule->model_delay : 0);
  gboolean room = self->queued + duration <= most
      && self->items.length + self->join.held.length < GST_MOSHI_MAX_ITEMS;

  if (!room)
    self->items_dropped++;
  return room;
}

static GstMoshiItem *
new_item (GstMoshiItemKind kind, GBytes * bytes, guint duration)
{
  GstMoshiItem *item = g_new0 (GstMoshiItem, 1);

  item->kind = kind;
  item->bytes = bytes ? g_bytes_ref (bytes) : NULL;
  item->duration = duration;
  item->color = -1;
  return item;
}

/* Where nobody listens (one of a pair is alone) audio is not kept. Silence takes
 * the place of a packet of which not all counts. */
static gboolean
add_audio_locked (GstMoshiTalk * self, GBytes * packet, guint duration)
MOSHI_REQUIRES (self->lock)
{
  if (self->schedule == NULL || !has_room_locked (self, duration)) {
    self->output_dropped += duration;
    return FALSE;
  }
  append_locked (self, new_item (packet ? GST_MOSHI_ITEM_PACKET :
          GST_MOSHI_ITEM_SILENCE, packet, duration));
  gst_moshi_schedule_arrived_locked (self->schedule, duration);
  return TRUE;
}

static void
forget_answered_locked (GstMoshiTalk * self)
MOSHI_REQUIRES (self->lock)
{
  GstMoshiItem *first;

  while ((first = g_queue_peek_head (&self->join.kept)) != NULL
      && first->start + first->duration <= self->received)
    gst_moshi_item_free (g_queue_pop_head (&self->join.kept));
}

/* An answer stands where the one before it ended. What of it was heard from the
 * leg before, or goes beyond @end, is not heard. */
static gboolean
deliver_locked (GstMoshiTalk * self, GBytes * packet, guint duration,
    guint64 end)
MOSHI_REQUIRES (self->lock)
{
  const guint64 left = end > self->received ? end - self->received : 0;
  const guint heard = MIN (self->join.skip, duration);
  const guint fresh = MIN (duration - heard, left);

  self->join.skip -= heard;
  if (fresh == 0)
    return TRUE;
  self->received += fresh;
  gst_moshi_meter_received (&self->meter, self->received, self->last_answer);
  forget_answered_locked (self);
  return add_audio_locked (self, fresh == duration ? packet : NULL, fresh);
}

static void
release_held_locked (GstMoshiTalk * self)
MOSHI_REQUIRES (self->lock)
{
  GstMoshiItem *item;

  self->join.held_ticks = 0;
  while ((item = g_queue_pop_head (&self->join.held)) != NULL) {
    if (item->kind == GST_MOSHI_ITEM_PACKET) {
      deliver_locked (self, item->bytes, item->duration, G_MAXUINT64);
      gst_moshi_item_free (item);
    } else {
      append_locked (self, item);
    }
  }
}

/* No last reference: the talk has one of each session that is not over. */
static void
forget_successor_locked (GstMoshiTalk * self)
MOSHI_REQUIRES (self->lock)
{
  g_clear_pointer (&self->join.successor.session, moshi_session_unref);
}

/**
 * gst_moshi_join_settle_locked:
 * @self: a talk
 *
 * What an old leg still owes is not waited for any longer.
 */
void
gst_moshi_join_settle_locked (GstMoshiTalk * self)
{
  if (self->join.old == 0)
    return;
  self->join.old = 0;
  self->received = MAX (self->received, self->join.old_end);
  release_held_locked (self);
  if (self->schedule)
    gst_moshi_schedule_expect_locked (self->schedule);
}

/**
 * gst_moshi_join_clear_locked:
 * @self: a talk
 *
 * There is no conversation to go on with: nothing waits for an answer.
 */
void
gst_moshi_join_clear_locked (GstMoshiTalk * self)
{
  g_queue_clear_full (&self->join.kept, (GDestroyNotify) gst_moshi_item_free);
  g_queue_clear_full (&self->join.held, (GDestroyNotify) gst_moshi_item_free);
  forget_successor_locked (self);
  self->join.held_ticks = self->join.skip = 0;
  self->join.old = 0;
  self->join.most = 0;
  self->join.spent = FALSE;
  self->join.start = self->sent;
}

/**
 * gst_moshi_join_keep_locked:
 * @self: a talk
 * @packet: (transfer none): about to be counted as sent
 * @ticks: its duration
 *
 * Batch: what has no answer when a session is lost is sent to the next.
 */
void
gst_moshi_join_keep_locked (GstMoshiTalk * self, GBytes * packet, guint ticks)
{
  GstMoshiItem *item;

  if (self->live)
    return;
  item = new_item (GST_MOSHI_ITEM_PACKET, packet, ticks);
  item->start = self->sent;
  g_queue_push_tail (&self->join.kept, item);
}

/* Gives a session that gets no more input the silence it needs to say its last
 * answers in. */
static void
flush_session (MoshiSession * session)
{
  const guint duration = 960;
  gsize size;
  const guint8 *data = moshi_opus_silence_packet (duration, 1, &size);
  g_autoptr (GBytes) packet = g_bytes_new_static (data, size);
  guint ticks;

  for (ticks = 0; ticks < GST_MOSHI_FLUSH_TICKS; ticks += duration)
    moshi_session_send (session, packet);
}

/* Whether the input has reached @at, and is at the end of a frame */
static gboolean
is_whole_locked (GstMoshiTalk * self, guint64 at)
MOSHI_REQUIRES (self->lock)
{
  if (self->sent < at)
    return FALSE;
  return (self->sent - self->join.start) % GST_MOSHI_MODEL_FRAME == 0
      || self->sent >= at + MAX_OVERTIME;
}

/**
 * gst_moshi_join_is_full_locked:
 * @self: a talk with a session that is ready
 *
 * Batch: the session was given all it takes; the first to find out gives it
 * silence. The next one goes on when that is answered.
 *
 * Returns: whether it is to be given more input
 */
gboolean
gst_moshi_join_is_full_locked (GstMoshiTalk * self)
{
  if (self->live || self->join.most == 0
      || !is_whole_locked (self, self->join.start + self->join.most))
    return FALSE;
  if (!self->join.spent)
    flush_session (self->session);
  self->join.spent = TRUE;
  return TRUE;
}

/* Live, what an ended session has not answered will not come. Batch, it is asked
 * for again, from the packet on in which the answers stopped. */
static void
resume_locked (GstMoshiTalk * self)
MOSHI_REQUIRES (self->lock)
{
  GstMoshiItem *first = g_queue_peek_head (&self->join.kept);
  GList *link;

  self->join.skip = 0;
  self->join.start = self->sent;
  if (first == NULL) {
    self->received = self->sent;
    return;
  }
  self->join.start = first->start;
  self->join.skip = self->received - MIN (first->start, self->received);
  for (link = self->join.kept.head; link; link = link->next)
    moshi_session_send (self->session, ((GstMoshiItem *) link->data)->bytes);
}

static void
begin_locked (GstMoshiTalk * self, guint index, guint64 most)
MOSHI_REQUIRES (self->lock)
{
  GstMoshiItem *item = new_item (GST_MOSHI_ITEM_SESSION, NULL, 0);

  if (self->join.old == 0) {
    resume_locked (self);
    release_held_locked (self);
  } else {
    self->join.start = self->sent;
  }
  self->join.most = most;
  self->join.spent = FALSE;
  self->session_index = index;
  self->join.sessions++;
  self->last_answer = g_get_monotonic_time ();
  self->ready = self->begun = TRUE;

  item->index = index;
  item->start = self->join.old ? self->join.old_end : self->received;
  if (self->schedule && self->join.old == 0)
    gst_moshi_schedule_expect_locked (self->schedule);
  if (self->join.old)
    g_queue_push_tail (&self->join.held, item);
  else
    append_locked (self, item);
  gst_moshi_talk_wake_locked (self);
}

/**
 * gst_moshi_talk_started:
 * @self: a talk
 * @index: the new session's
 * @most: ticks of input it takes in batch, whole frames; 0 for any
 *
 * The session is ready: audio given from now on is answered by it. In batch
 * what the one before has not answered is given to it first.
 */
void
gst_moshi_talk_started (GstMoshiTalk * self, guint index, guint64 most)
{
  g_mutex_lock (&self->lock);
  gst_moshi_join_settle_locked (self);
  gst_moshi_meter_new_session (&self->meter, self->sent);
  self->session_start = self->sent;
  begin_locked (self, index, most);
  g_mutex_unlock (&self->lock);
}

/**
 * gst_moshi_talk_set_leg:
 * @self: a talk
 * @session: (transfer none): to talk on when it is ready
 * @leg: its number in this talk, from 1 on
 *
 * The first session, or one that stands in for a lost one.
 */
void
gst_moshi_talk_set_leg (GstMoshiTalk * self, MoshiSession * session, guint leg)
{
  MoshiSession *old;

  g_mutex_lock (&self->lock);
  old = self->session;
  if (old)
    self->stats.reconnects++;
  self->session = moshi_session_ref (session);
  gst_moshi_join_settle_locked (self);
  forget_successor_locked (self);
  self->join.leg = leg;
  self->ready = FALSE;
  gst_moshi_talk_wake_locked (self);
  g_mutex_unlock (&self->lock);
  g_clear_pointer (&old, moshi_session_unref);
}

static void
take_over_locked (GstMoshiTalk * self)
MOSHI_REQUIRES (self->lock)
{
  GstMoshiLeg *successor = &self->join.successor;

  gst_moshi_join_settle_locked (self);
  if (self->live && self->received < self->sent) {
    self->join.old = self->join.leg;
    self->join.old_end = self->sent;
    flush_session (self->session);
    self->join.extra += GST_MOSHI_FLUSH_TICKS;
  }
  moshi_session_unref (self->session);
  self->session = g_steal_pointer (&successor->session);
  self->join.leg = successor->number;
  self->join.renewals++;
  self->ready = FALSE;
  if (successor->ready)
    begin_locked (self, successor->index, successor->most);
  gst_moshi_talk_wake_locked (self);
}

/**
 * gst_moshi_join_turn_locked:
 * @self: a talk
 *
 * Live, before each packet that is sent: the point where a successor takes over.
 */
void
gst_moshi_join_turn_locked (GstMoshiTalk * self)
{
  MoshiSession *successor = self->join.successor.session;

  if (successor && is_whole_locked (self, self->join.turn))
    take_over_locked (self);
}

/**
 * gst_moshi_talk_change_over:
 * @self: a talk with a session
 * @successor: what takes over; if it is not ready yet gst_moshi_talk_started()
 *     follows
 *
 * The session was renewed. In batch the next packet goes to the new one, as all
 * those before it are answered. Live the first packet of the next frame does;
 * the answers to those before it still come from the old one, and stand before
 * the new one's.
 */
void
gst_moshi_talk_change_over (GstMoshiTalk * self, const GstMoshiLeg * successor)
{
  g_mutex_lock (&self->lock);
  forget_successor_locked (self);
  self->join.successor = *successor;
  moshi_session_ref (successor->session);
  self->join.turn = self->sent;
  if (self->live)
    gst_moshi_join_turn_locked (self);
  else
    take_over_locked (self);
  g_mutex_unlock (&self->lock);
}

/**
 * gst_moshi_talk_has_turned:
 * @self: a talk
 * @leg: what takes over
 *
 * Returns: whether it has
 */
gboolean
gst_moshi_talk_has_turned (GstMoshiTalk * self, guint leg)
{
  gboolean turned;

  g_mutex_lock (&self->lock);
  turned = self->join.leg == leg;
  g_mutex_unlock (&self->lock);
  return turned;
}

/**
 * gst_moshi_talk_set_ready:
 * @self: a talk
 * @ready: whether the server takes audio
 */
void
gst_moshi_talk_set_ready (GstMoshiTalk * self, gboolean ready)
{
  g_mutex_lock (&self->lock);
  self->ready = ready;
  gst_moshi_talk_wake_locked (self);
  g_mutex_unlock (&self->lock);
}

static void
hold_locked (GstMoshiTalk * self, GstMoshiItem * item)
MOSHI_REQUIRES (self->lock)
{
  g_queue_push_tail (&self->join.held, item);
  self->join.held_ticks += item->duration;
  if (self->join.held_ticks > MAX_HELD)
    gst_moshi_join_settle_locked (self);
}

static gboolean
take_packet_locked (GstMoshiTalk * self, guint leg, GBytes * packet,
    guint duration)
MOSHI_REQUIRES (self->lock)
{
  gboolean taken = TRUE;

  if (leg == self->join.old) {
    taken = deliver_locked (self, packet, duration, self->join.old_end);
    if (self->received >= self->join.old_end)
      gst_moshi_join_settle_locked (self);
  } else if (leg == self->join.leg && self->join.old) {
    hold_locked (self, new_item (GST_MOSHI_ITEM_PACKET, packet, duration));
  } else if (leg == self->join.leg) {
    taken = deliver_locked (self, packet, duration,
        self->join.spent ? self->sent : G_MAXUINT64);
  }
  return taken;
}

/**
 * gst_moshi_talk_packet:
 * @self: a talk
 * @leg: whose it is
 * @packet: (transfer none): an Opus packet of the server
 * @time: when it came, monotonic µs
 *
 * Network thread. A leg that was not given anything is not heard.
 *
 * Returns: %FALSE if there is no room: nobody pushes, or the server says more
 *     than it was asked. The packet is dropped and counted
 */
gboolean
gst_moshi_talk_packet (GstMoshiTalk * self, guint leg, GBytes * packet,
    gint64 time)
{
  gsize size;
  const guint8 *data = g_bytes_get_data (packet, &size);
  guint duration = moshi_opus_packet_duration (data, size);
  gboolean taken;

  g_mutex_lock (&self->lock);
  self->last_answer = time;
  taken = take_packet_locked (self, leg, packet, duration);
  /* Where nobody listens somebody may yet wait to speak. */
  gst_moshi_talk_wake_locked (self);
  g_mutex_unlock (&self->lock);
  return taken;
}

/**
 * gst_moshi_talk_bytes:
 * @self: a talk
 * @leg: whose it is
 * @kind: %GST_MOSHI_ITEM_TEXT or %GST_MOSHI_ITEM_METADATA
 * @bytes: (transfer none): its payload
 * @color: of a text, or -1
 *
 * Network thread. What a server says of itself before its turn is held.
 *
 * Returns: %FALSE if there is no room: it is dropped and counted
 */
gboolean
gst_moshi_talk_bytes (GstMoshiTalk * self, guint leg, GstMoshiItemKind kind,
    GBytes * bytes, gint color)
{
  gboolean due, fits;
  GstMoshiItem *item;

  g_mutex_lock (&self->lock);
  due = leg == (self->join.old ? self->join.old : self->join.leg);
  fits = (due || leg == self->join.leg || kind == GST_MOSHI_ITEM_METADATA)
      && has_room_locked (self, 0);
  if (fits) {
    item = new_item (kind, bytes, 0);
    item->color = color;
    if (due)
      append_locked (self, item);
    else
      hold_locked (self, item);
  }
  g_mutex_unlock (&self->lock);
  return fits;
}

/**
 * gst_moshi_talk_drop_leg:
 * @self: a talk
 * @leg: one that has ended
 *
 * An old one has nothing more to say; of one that was to come nothing is left.
 */
void
gst_moshi_talk_drop_leg (GstMoshiTalk * self, guint leg)
{
  g_mutex_lock (&self->lock);
  if (leg == self->join.successor.number)
    forget_successor_locked (self);
  if (leg == self->join.old)
    gst_moshi_join_settle_locked (self);
  else if (leg != self->join.leg && self->join.old == 0)
    g_queue_clear_full (&self->join.held, (GDestroyNotify) gst_moshi_item_free);
  g_mutex_unlock (&self->lock);
}

/**
 * gst_moshi_talk_waits_for_leg:
 * @self: a talk
 * @leg: an old one
 *
 * Returns: whether answers of it are still due
 */
gboolean
gst_moshi_talk_waits_for_leg (GstMoshiTalk * self, guint leg)
{
  gboolean waits;

  g_mutex_lock (&self->lock);
  waits = self->join.old == leg;
  g_mutex_unlock (&self->lock);
  return waits;
}

/**
 * gst_moshi_talk_get_progress:
 * @self: a talk
 * @progress: (out caller-allocates): how far it has come
 */
void
gst_moshi_talk_get_progress (GstMoshiTalk * self, GstMoshiProgress * progress)
{
  g_mutex_lock (&self->lock);
  progress->used = self->sent - self->join.start;
  progress->answered = MAX (self->received, self->join.start)
      - self->join.start;
  progress->received = self->received;
  progress->batch = self->known && !self->live;
  progress->live = self->known && self->live;
  progress->ready = self->ready;
  progress->ended = self->input_eos;
  progress->spent = self->join.spent && self->received >= self->sent;
  g_mutex_unlock (&self->lock);
}
