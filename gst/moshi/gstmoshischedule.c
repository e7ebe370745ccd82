/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* When the listening half pushes what
 *
 * Batch: the timeline is the input's. `position` counts ticks from the run's
 * first PTS: model-delay of silence, then the answers, sample after sample, up
 * to the length of the input and its tail. Nothing goes beyond what the input
 * has reached, so that the end is exact wherever it falls.
 *
 * Live: the timeline is the running time. The playout buffer says when to play,
 * and the task sleeps on the pipeline's clock in between.
 */

#include "gstmoshischedule.h"

#include <string.h>

#include "gstmoshivoice.h"

/**
 * gst_moshi_schedule_init:
 * @self: memory for a schedule
 * @element: whose clock counts
 * @words: (transfer none): what is heard, in writing
 */
void
gst_moshi_schedule_init (GstMoshiSchedule * self, GstElement * element,
    GstMoshiWords * words)
{
  self->element = element;
  self->words = words;
  self->playout = moshi_playout_new ();
  gst_segment_init (&self->segment, GST_FORMAT_TIME);
}

/**
 * gst_moshi_schedule_clear:
 * @self: a schedule
 */
void
gst_moshi_schedule_clear (GstMoshiSchedule * self)
{
  g_clear_pointer (&self->playout, moshi_playout_free);
}

/**
 * gst_moshi_schedule_start_locked:
 * @self: a schedule
 * @settings: what the user wants
 *
 * Forgets what was before: a start from READY.
 */
void
gst_moshi_schedule_start_locked (GstMoshiSchedule * self,
    const GstMoshiSettings * settings)
{
  self->unit = self->run = 0;
  self->position = self->run_start = self->heard = 0;
  self->playing = FALSE;
  self->model_delay = GST_MOSHI_MS_TO_TICKS (settings->model_delay);
  self->drain_timeout = settings->drain_timeout * G_GUINT64_CONSTANT (1000);
  gst_moshi_schedule_set_latency_locked (self, settings->latency);
  gst_moshi_schedule_set_upstream_latency_locked (self, 0);
  gst_moshi_schedule_restart_locked (self);
}

/**
 * gst_moshi_schedule_restart_locked:
 * @self: a schedule
 *
 * What comes next begins a new segment.
 */
void
gst_moshi_schedule_restart_locked (GstMoshiSchedule * self)
{
  self->base = 0;
  self->pending = self->pending_silence = 0;
  self->started = self->end_now = self->eos = FALSE;
  self->changing = FALSE;
  if (self->talk)
    self->talk->queued -= MIN (self->talk->queued, self->decoded);
  self->decoded = 0;
  self->generation++;
  moshi_playout_forget (self->playout);
}

/**
 * gst_moshi_schedule_set_latency_locked:
 * @self: a schedule
 * @latency: jitter margin of live output, ms
 */
void
gst_moshi_schedule_set_latency_locked (GstMoshiSchedule * self, guint latency)
{
  self->latency = latency;
  moshi_playout_set_margin (self->playout, GST_MOSHI_MS_TO_TICKS (latency));
}

/**
 * gst_moshi_schedule_set_upstream_latency_locked:
 * @self: a schedule
 * @latency: what upstream's live sources are late by
 */
void
gst_moshi_schedule_set_upstream_latency_locked (GstMoshiSchedule * self,
    GstClockTime latency)
{
  self->upstream_latency = latency;
  moshi_playout_set_offset (self->playout, gst_moshi_time_to_ticks (latency));
}

static gint64
get_now_locked (GstMoshiSchedule * self)
MOSHI_REQUIRES (self->talk->lock)
{
  GstClockTime now = gst_element_get_current_running_time (self->element);

  return GST_CLOCK_TIME_IS_VALID (now) ?
      (gint64) gst_moshi_time_to_ticks (now) : 0;
}

/**
 * gst_moshi_schedule_get_position_locked:
 * @self: a schedule
 *
 * Returns: ticks from the base that the output has reached
 */
guint64
gst_moshi_schedule_get_position_locked (GstMoshiSchedule * self)
{
  return self->talk->live ? (guint64)
      moshi_playout_get_position (self->playout) : self->position;
}

/**
 * gst_moshi_schedule_arrived_locked:
 * @self: a schedule
 * @duration: ticks of the packet just put into the talk
 *
 * Network thread: lets the playout know when it came.
 */
void
gst_moshi_schedule_arrived_locked (GstMoshiSchedule * self, guint duration)
{
  if (!self->started)
    return;
  moshi_playout_arrive (self->playout, duration, get_now_locked (self));
  if (self->latency == 0)
    gst_moshi_schedule_wake_locked (self);
}

/* Batch: where the words end for now: with what is known of the input, or where
 * its next segment begins, whose times they would not have. */
static guint64
get_words_end_locked (GstMoshiSchedule * self, gboolean * final)
MOSHI_REQUIRES (self->talk->lock)
{
  const GstMoshiSegment *next = g_queue_peek_head (&self->talk->segments);
  const guint64 end = next ? next->position : self->talk->run_length;

  *final = next || self->talk->input_eos;
  return end - MIN (end, self->model_delay);
}

/**
 * gst_moshi_schedule_hear_locked:
 * @self: a schedule
 * @item: (nullable): what has come, or %NULL when it is the input or the segment
 *     that has changed
 *
 * Any thread. Batch: the words need not wait for the audio they belong to to be
 * pushed; who takes both may wait for a word with the audio.
 */
void
gst_moshi_schedule_hear_locked (GstMoshiSchedule * self,
    const GstMoshiItem * item)
{
  GstMoshiTalk *talk = self->talk;
  guint64 heard, end;
  gboolean final;

  if (talk->live)
    return;
  end = get_words_end_locked (self, &final);
  if (item)
    self->heard += item->duration;
  if (talk->run > 0 && self->heard >= talk->run_start) {
    heard = self->heard - talk->run_start;
    talk->text_held = gst_moshi_words_hear (self->words, talk->run, item, heard,
        end, talk->failed || self->eos || (final && heard >= end));
  }
  if (item && item->kind == GST_MOSHI_ITEM_SESSION)
    self->heard = item->start;
}

/**
 * gst_moshi_schedule_expect_locked:
 * @self: a schedule
 *
 * Network thread: a session is ready, and will answer.
 */
void
gst_moshi_schedule_expect_locked (GstMoshiSchedule * self)
{
  if (self->started)
    moshi_playout_expect (self->playout, get_now_locked (self));
}

/**
 * gst_moshi_schedule_drop_locked:
 * @self: a schedule
 *
 * Any thread, live: nothing of what has come so far is to be played.
 */
void
gst_moshi_schedule_drop_locked (GstMoshiSchedule * self)
{
  self->talk->queued = self->decoded = 0;
  self->generation++;
  moshi_playout_forget (self->playout);
}

/**
 * gst_moshi_schedule_decoded_locked:
 * @self: a schedule
 * @step: an ITEM
 * @duration: of what was decoded
 *
 * Pushing task, live.
 *
 * Returns: %FALSE if it was dropped meanwhile
 */
gboolean
gst_moshi_schedule_decoded_locked (GstMoshiSchedule * self,
    const GstMoshiStep * step, guint duration)
{
  if (step->generation != self->generation)
    return FALSE;
  self->decoded += duration;
  return TRUE;
}

static MoshiPlayoutStep
get_playout_step (GstMoshiStepKind kind)
{
  switch (kind) {
    case GST_MOSHI_STEP_TRIM:
      return MOSHI_PLAYOUT_TRIM;
    case GST_MOSHI_STEP_DROP:
      return MOSHI_PLAYOUT_DROP;
    case GST_MOSHI_STEP_CONCEAL:
      return MOSHI_PLAYOUT_CONCEAL;
    case GST_MOSHI_STEP_SILENCE:
      return MOSHI_PLAYOUT_SILENCE;
    default:
      return MOSHI_PLAYOUT_PLAY;
  }
}

/**
 * gst_moshi_schedule_listened_locked:
 * @self: a schedule
 * @step: a LISTEN
 * @loud: in which parts of its packet there is speech, as of
 *     gst_moshi_voice_listen()
 *
 * Pushing task, live.
 */
void
gst_moshi_schedule_listened_locked (GstMoshiSchedule * self,
    const GstMoshiStep * step, guint loud)
{
  guint left = step->generation == self->generation ?
      step->item->duration : 0, part;

  for (; left > 0; left -= part, loud >>= 1) {
    part = MIN (left, GST_MOSHI_VOICE_PART);
    moshi_playout_describe (self->playout, part, loud & 1);
  }
}

/**
 * gst_moshi_schedule_done_locked:
 * @self: a schedule
 * @step: what was done, live
 * @taken: ticks that are gone from the queue
 * @made: ticks that were pushed
 */
void
gst_moshi_schedule_done_locked (GstMoshiSchedule * self,
    const GstMoshiStep * step, guint taken, guint made)
{
  const MoshiPlayoutStep done = get_playout_step (step->kind);

  moshi_playout_count (&self->talk->playout, done, taken, made);
  if (step->generation != self->generation)
    taken = 0;
  if (step->item == NULL)
    self->decoded -= MIN (self->decoded, taken);
  self->talk->queued -= MIN (self->talk->queued, taken);
  moshi_playout_done (self->playout, done, taken, made);
}

static void
take_item_locked (GstMoshiSchedule * self, GstMoshiStepKind kind,
    GstMoshiStep * step)
MOSHI_REQUIRES (self->talk->lock)
{
  step->kind = kind;
  step->item = g_queue_pop_head (&self->talk->items);
  self->talk->queued -= step->item->duration;
}

static gboolean
next_is_audio_locked (GstMoshiTalk * talk)
MOSHI_REQUIRES (talk->lock)
{
  GstMoshiItem *item = g_queue_peek_head (&talk->items);

  return item && item->duration > 0;
}

static void
adopt_run_locked (GstMoshiSchedule * self, GstMoshiStep * step)
MOSHI_REQUIRES (self->talk->lock)
{
  GstMoshiTalk *talk = self->talk;

  self->run = talk->run;
  self->base = talk->base;
  self->segment = talk->segment;
  self->run_start = talk->run_start;
  self->position = self->pending = self->pending_silence = 0;
  step->kind = GST_MOSHI_STEP_RUN;
}

/* Batch: where the input has gone over to another segment, the output does so at
 * the same sample; it goes on in running time. */
static gboolean
cross_segment_locked (GstMoshiSchedule * self, GstMoshiStep * step)
MOSHI_REQUIRES (self->talk->lock)
{
  const guint unit = MAX (self->unit, 1);
  GstMoshiSegment *next = g_queue_peek_head (&self->talk->segments);
  GstClockTime running_time, start;

  if (next == NULL || self->position + unit <= next->position)
    return FALSE;

  running_time = gst_segment_to_running_time (&self->segment, GST_FORMAT_TIME,
      self->base + gst_moshi_ticks_to_time (self->position));
  /* A whole packet may have gone beyond. */
  start = next->start;
  if (self->position > next->position)
    start += gst_moshi_ticks_to_time (self->position - next->position);
  self->segment = next->segment;
  self->segment.time = gst_segment_to_stream_time (&next->segment,
      GST_FORMAT_TIME, start);
  self->segment.start = self->segment.position = start;
  self->segment.stop = self->segment.duration = GST_CLOCK_TIME_NONE;
  self->segment.base = running_time;
  self->segment.offset = 0;
  /* May be below zero: it is the sum with the position that counts. */
  self->base = start - gst_moshi_ticks_to_time (self->position);
  g_free (g_queue_pop_head (&self->talk->segments));
  gst_moshi_words_leave_segment (self->words);
  step->kind = GST_MOSHI_STEP_SEGMENT;
  return TRUE;
}

/* Batch: ticks that may be pushed now; at the end, rounded to a sample. Packets
 * are not split where another segment begins. */
static guint64
get_room_locked (GstMoshiSchedule * self)
MOSHI_REQUIRES (self->talk->lock)
{
  const guint unit = MAX (self->unit, 1);
  GstMoshiSegment *next = g_queue_peek_head (&self->talk->segments);
  guint64 limit = self->talk->run_length;

  if (next && !self->whole_packets)
    limit = MIN (limit, next->position);
  else if (self->talk->input_eos)
    limit += unit / 2;
  limit -= limit % unit;
  return limit > self->position ? limit - self->position : 0;
}

/* Batch: when an EOS that waits for answers gives up, or 0 if it does not: a
 * session that is lost is followed by another, or by an error. */
static gint64
get_drain_deadline_locked (GstMoshiSchedule * self)
MOSHI_REQUIRES (self->talk->lock)
{
  GstMoshiTalk *talk = self->talk;

  if (!talk->input_done || (!talk->live && !talk->ready))
    return 0;
  return MAX (talk->done_time, talk->last_answer) + self->drain_timeout;
}

/* Batch: whether what is rendered can go, all of it or a part. */
static gboolean
can_push_pending_locked (GstMoshiSchedule * self, guint64 room)
MOSHI_REQUIRES (self->talk->lock)
{
  if (!self->whole_packets || self->talk->input_eos)
    return TRUE;
  return room >= self->pending;
}

/* Batch: how much silence to push of what is left of it: as packets of 20 ms,
 * where it has to be packets, for as long as there will be more. */
static guint64
get_silence_locked (GstMoshiSchedule * self, guint64 left, guint64 room)
MOSHI_REQUIRES (self->talk->lock)
{
  if (left <= room)
    return left;
  if ((self->whole_packets || self->unit == 0) && !self->talk->input_eos)
    room -= room % 960;
  return room;
}

static void
set_ticks (GstMoshiStep * step, GstMoshiStepKind kind, guint64 ticks)
{
  step->kind = kind;
  step->ticks = ticks;
}

/* Batch: GST_MOSHI_STEP_NONE means wait until something changes. */
static void
choose_batch_locked (GstMoshiSchedule * self, GstMoshiStep * step)
MOSHI_REQUIRES (self->talk->lock)
{
  GstMoshiTalk *talk = self->talk;
  guint64 room = get_room_locked (self);
  gint64 deadline = get_drain_deadline_locked (self);
  guint64 have;

  if (talk->run != self->run) {
    adopt_run_locked (self, step);
  } else if (cross_segment_locked (self, step)) {
    return;
  } else if (talk->items.length > 0 && !next_is_audio_locked (talk)
      && self->pending == 0 && self->pending_silence == 0) {
    take_item_locked (self, GST_MOSHI_STEP_ITEM, step);
  } else if (talk->failed || (talk->input_done && room == 0)) {
    step->kind = GST_MOSHI_STEP_EOS;
  } else if (self->run == 0 || room == 0 || !talk->begun) {
    /* What the server says of itself comes with its handshake, and is to stand
     * before the first buffer: encoders write their tags once. */
    step->kind = GST_MOSHI_STEP_NONE;
  } else if (self->position < self->model_delay) {
    have = get_silence_locked (self, self->model_delay - self->position, room);
    if (have > 0)
      set_ticks (step, GST_MOSHI_STEP_SILENCE, have);
  } else if (self->pending_silence > 0) {
    have = get_silence_locked (self, self->pending_silence, room);
    self->pending_silence -= have;
    if (have > 0)
      set_ticks (step, GST_MOSHI_STEP_FILL, have);
  } else if (self->pending > 0) {
    if (can_push_pending_locked (self, room))
      set_ticks (step, GST_MOSHI_STEP_PENDING, room);
  } else if (talk->items.length > 0) {
    take_item_locked (self, GST_MOSHI_STEP_ITEM, step);
  } else if (deadline && g_get_monotonic_time () >= deadline) {
    set_ticks (step, GST_MOSHI_STEP_GIVE_UP, room);
  }
}

/* Live: EOS goes out when the answer to the last input and its tail has been
 * played, or when nobody is there to give it. */
static gboolean
is_drained_locked (GstMoshiSchedule * self)
MOSHI_REQUIRES (self->talk->lock)
{
  GstMoshiTalk *talk = self->talk;
  gint64 deadline = get_drain_deadline_locked (self);

  if (talk->failed)
    return TRUE;
  if (deadline == 0)
    return FALSE;
  if (g_get_monotonic_time () >= deadline)
    return TRUE;
  if (!talk->ready)
    return talk->queued == 0;
  return talk->received >= talk->end + talk->queued;
}

/* What came before PLAYING is as if it came now. */
static void
start_live_locked (GstMoshiSchedule * self)
MOSHI_REQUIRES (self->talk->lock)
{
  gint64 now = get_now_locked (self);

  self->started = TRUE;
  gst_segment_init (&self->segment, GST_FORMAT_TIME);
  moshi_playout_forget (self->playout);
  moshi_playout_start (self->playout, now);
  if (self->talk->queued > 0)
    moshi_playout_arrive (self->playout, self->talk->queued, now);
}

/* Live: the item stays in the talk's count until it is played. */
static void
take_live_item_locked (GstMoshiSchedule * self, GstMoshiStep * step)
MOSHI_REQUIRES (self->talk->lock)
{
  step->item = g_queue_pop_head (&self->talk->items);
  step->ticks = step->item->duration;
}

static GstMoshiStepKind
get_kind (MoshiPlayoutStep step)
{
  switch (step) {
    case MOSHI_PLAYOUT_PLAY:
      return GST_MOSHI_STEP_PLAY;
    case MOSHI_PLAYOUT_TRIM:
      return GST_MOSHI_STEP_TRIM;
    case MOSHI_PLAYOUT_DROP:
      return GST_MOSHI_STEP_DROP;
    case MOSHI_PLAYOUT_CONCEAL:
      return GST_MOSHI_STEP_CONCEAL;
    default:
      return GST_MOSHI_STEP_SILENCE;
  }
}

/* Live: whether the playout has to know more of what is queued */
static gboolean
must_decode_locked (GstMoshiSchedule * self, const GstMoshiItem * head,
    gint64 now)
MOSHI_REQUIRES (self->talk->lock)
{
  if (head == NULL || self->whole_packets)
    return FALSE;
  return self->decoded == 0 || (!self->changing
      && self->decoded < moshi_playout_get_horizon (self->playout, 0, now));
}

/* Live: the first packet that the playout has to know more of, or NULL. It is
 * looked at with the lock released, and may be dropped meanwhile. */
static GstMoshiItem *
find_unheard_locked (GstMoshiSchedule * self, const GstMoshiItem * head,
    gint64 now)
MOSHI_REQUIRES (self->talk->lock)
{
  guint64 described = moshi_playout_get_described (self->playout), at = 0;
  guint64 wanted = moshi_playout_get_horizon (self->playout, head->duration,
      now);
  GList *link = self->talk->items.head;

  for (; link && at < wanted; link = link->next) {
    const GstMoshiItem *item = link->data;

    if (item->duration > 0 && at >= described)
      return gst_moshi_item_copy (item);
    at += item->duration;
  }
  return NULL;
}

/* Live, Opus: as long as the delay is to change, a packet of several frames is
 * that many packets: what is silent of it can go alone. */
static GstMoshiItem *
split_head_locked (GstMoshiSchedule * self, GstMoshiItem * head, gint64 now)
MOSHI_REQUIRES (self->talk->lock)
{
  g_autoptr (GPtrArray) packets = NULL;
  GQueue *items = &self->talk->items;
  guint i;

  if (head == NULL || head->kind != GST_MOSHI_ITEM_PACKET
      || moshi_playout_get_horizon (self->playout, head->duration, now) == 0)
    return head;
  packets = moshi_opus_packet_split (head->bytes, GST_MOSHI_VOICE_PART);
  if (packets == NULL)
    return head;
  head = g_queue_pop_head (items);
  for (i = packets->len; i > 0; i--) {
    GstMoshiItem *item = g_memdup2 (head, sizeof (GstMoshiItem));

    item->bytes = g_bytes_ref (packets->pdata[i - 1]);
    item->duration = head->duration / packets->len;
    g_queue_push_head (items, item);
  }
  gst_moshi_item_free (head);
  return g_queue_peek_head (items);
}

/* Live: has what was decided done. */
static void
set_decision_locked (GstMoshiSchedule * self, gboolean whole,
    const MoshiPlayoutDecision * decision, GstMoshiStep * step)
MOSHI_REQUIRES (self->talk->lock)
{
  step->kind = get_kind (decision->step);
  step->ticks = decision->duration;
  /* Nothing follows the last answer that it would have to hurry for. */
  step->pace = self->talk->input_eos ? 0 : decision->pace;
  step->spare = decision->spare;
  if (step->kind == GST_MOSHI_STEP_SILENCE
      || step->kind == GST_MOSHI_STEP_CONCEAL)
    return;
  if (whole)
    take_live_item_locked (self, step);
  else
    step->ticks = MIN (step->ticks, self->decoded);
}

/* Live: @head is audio, or there is nothing. What is decoded before Opus is
 * wanted goes first. */
static void
choose_playout_locked (GstMoshiSchedule * self, GstMoshiItem * head,
    GstMoshiStep * step)
MOSHI_REQUIRES (self->talk->lock)
{
  const gboolean whole = self->whole_packets && self->decoded == 0;
  gint64 now = get_now_locked (self);
  MoshiPlayoutDecision decision;

  if (whole)
    head = split_head_locked (self, head, now);
  moshi_playout_decide (self->playout, whole && head ? head->duration : 0,
      now, &decision);
  if (decision.step == MOSHI_PLAYOUT_WAIT) {
    step->kind = GST_MOSHI_STEP_SLEEP;
    step->until = gst_moshi_ticks_to_time (decision.until);
  } else if (must_decode_locked (self, head, now)) {
    step->kind = GST_MOSHI_STEP_ITEM;
    take_live_item_locked (self, step);
  } else if (whole && head
      && (step->item = find_unheard_locked (self, head, now))) {
    step->kind = GST_MOSHI_STEP_LISTEN;
  } else {
    set_decision_locked (self, whole, &decision, step);
  }
}

static void
choose_live_locked (GstMoshiSchedule * self, GstMoshiStep * step)
MOSHI_REQUIRES (self->talk->lock)
{
  GstMoshiTalk *talk = self->talk;
  GstMoshiItem *head = g_queue_peek_head (&talk->items);

  if (!self->playing) {
    step->kind = GST_MOSHI_STEP_NONE;
    return;
  }
  if (!self->started) {
    start_live_locked (self);
    step->kind = GST_MOSHI_STEP_PLAYING;
    return;
  }
  if (head && head->duration == 0) {
    take_item_locked (self, GST_MOSHI_STEP_ITEM, step);
    return;
  }
  if (is_drained_locked (self)) {
    step->kind = GST_MOSHI_STEP_EOS;
    return;
  }

  choose_playout_locked (self, head, step);
}

/* A live output that is PAUSED has no deadline: nothing is due. */
static void
wait_locked (GstMoshiSchedule * self)
MOSHI_REQUIRES (self->talk->lock)
{
  GstMoshiTalk *talk = self->talk;
  gint64 deadline = talk->live ? 0 : get_drain_deadline_locked (self);

  if (deadline > 0)
    gst_moshi_talk_wait_until_locked (talk, deadline);
  else
    gst_moshi_talk_wait_locked (talk);
}

/**
 * gst_moshi_schedule_choose_locked:
 * @self: a schedule
 * @step: (out caller-allocates): what to do next
 *
 * Pushing task. Waits until there is something to do.
 */
void
gst_moshi_schedule_choose_locked (GstMoshiSchedule * self, GstMoshiStep * step)
{
  GstMoshiTalk *talk = self->talk;

  memset (step, 0, sizeof (GstMoshiStep));
  step->kind = GST_MOSHI_STEP_NONE;
  step->generation = self->generation;
  while (step->kind == GST_MOSHI_STEP_NONE) {
    if (talk->output_flushing || self->eos) {
      step->kind = GST_MOSHI_STEP_STOP;
      return;
    }
    if (self->end_now || (talk->failed && !talk->known))
      step->kind = GST_MOSHI_STEP_EOS;
    else if (talk->known && talk->live)
      choose_live_locked (self, step);
    else
      choose_batch_locked (self, step);

    if (step->kind == GST_MOSHI_STEP_NONE)
      wait_locked (self);
  }
}

/**
 * gst_moshi_schedule_sleep_locked:
 * @self: a schedule
 * @until: running time
 *
 * Pushing task, live: waits on the pipeline's clock, with the lock released
 * meanwhile. gst_moshi_schedule_wake_locked() ends it early.
 */
void
gst_moshi_schedule_sleep_locked (GstMoshiSchedule * self, GstClockTime until)
{
  GstClock *clock = gst_element_get_clock (self->element);
  GstClockID id;

  if (clock == NULL) {
    /* Not yet given one: the change to PLAYING that does wakes us. */
    self->playing = FALSE;
    return;
  }
  id = gst_clock_new_single_shot_id (clock,
      gst_element_get_base_time (self->element) + until);
  self->clock_id = id;
  g_mutex_unlock (&self->talk->lock);

  gst_clock_id_wait (id, NULL);

  g_mutex_lock (&self->talk->lock);
  self->clock_id = NULL;
  gst_clock_id_unref (id);
  gst_object_unref (clock);
}

/**
 * gst_moshi_schedule_wake_locked:
 * @self: a schedule
 *
 * Has the pushing task look again at what there is to do.
 */
void
gst_moshi_schedule_wake_locked (GstMoshiSchedule * self)
{
  if (self->clock_id)
    gst_clock_id_unschedule (self->clock_id);
  gst_moshi_talk_wake_locked (self->talk);
}
