/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The listening half
 *
 * One task pushes everything on the src pad: stream-start, caps, segment, tags,
 * buffers, EOS. Each turn of it asks, with the talk locked, what the next step
 * is, and takes the step with nothing locked.
 *
 * Batch: the timeline is the input's. `position` counts ticks from the run's
 * first PTS: model-delay of silence, then the answers, sample after sample, up
 * to the length of the input and its tail. The task never pushes beyond what
 * the input has reached, so that the end is exact wherever it falls.
 *
 * Live: the timeline is the running time. The playout buffer says when to play,
 * and the task waits on the pipeline's clock in between.
 *
 * `answered` is where the next answer stands on the input's timeline: answers
 * of a session begin where its input began.
 */

#include "gstmoshioutput.h"

#include "gstmoshiformat.h"
#include "protocol/moshiplayout.h"

GST_DEBUG_CATEGORY_STATIC (moshioutput_debug);
#define GST_CAT_DEFAULT moshioutput_debug

typedef enum
{
  STEP_NONE,
  STEP_STOP,                    /* flushing: pause the task */
  STEP_RUN,                     /* batch: a new run begins */
  STEP_PLAYING,                 /* live: output begins */
  STEP_ITEM,                    /* an item was taken out of the queue */
  STEP_DROP,                    /* likewise, but it is not to be played */
  STEP_PENDING,                 /* some of what is decoded can be pushed */
  STEP_SILENCE,                 /* push silence, as planned */
  STEP_FILL,                    /* push silence, where audio should be */
  STEP_SLEEP,                   /* live: wait on the clock */
  STEP_EOS,
} StepKind;

typedef struct
{
  StepKind kind;
  GstMoshiItem *item;
  guint64 ticks;                /* PENDING, SILENCE, FILL: how much */
  GstClockTime until;           /* SLEEP: running time */
} Step;

struct _GstMoshiOutput
{
  GstElement *element;          /* not owned: it owns us and the pad */
  GstPad *pad;
  GstMoshiTalk *talk;
  GstMoshiInput *input;         /* not owned, nullable: whom to keep fed, live */

  /* Pushing task only */
  GstMoshiFormat format;
  gboolean started;             /* stream-start is out */
  gboolean segment_sent;
  guint64 answered;             /* input ticks: where the next answer stands */
  GstBuffer *pending;           /* batch: rendered, not all pushed */
  guint64 pending_ticks;        /* how much of it */
  guint64 pending_silence;      /* batch: ticks of silence instead */
  gboolean discont;

  /* By talk->lock */
  guint unit;                   /* ticks of a sample of output; 0 = no caps yet */
  gboolean whole_packets;       /* a packet is pushed when all of it may be */
  guint run;                    /* of the talk, adopted */
  GstClockTime base;            /* PTS of position 0 */
  guint64 position;             /* batch: ticks pushed since base */
  guint64 run_start;
  GstSegment segment;
  MoshiPlayout *playout;
  gboolean playing;
  gboolean live_started;
  gboolean eos;
  GstClockID clock_id;
  guint64 model_delay;          /* ticks */
  guint64 drain_timeout;        /* µs */
  guint latency;                /* ms */
  GstClockTime upstream_latency;
  guint64 dropped;              /* ticks */
  guint64 filled;               /* ticks */

  GstMoshiWords *words;
};

/**
 * gst_moshi_output_new:
 * @element: whom it listens for
 * @pad: (transfer none): the src pad it pushes on
 * @talk: where it meets the speaking half
 *
 * Returns: (transfer full): a listening half
 */
GstMoshiOutput *
gst_moshi_output_new (GstElement * element, GstPad * pad, GstMoshiTalk * talk)
{
  GstMoshiOutput *self = g_new0 (GstMoshiOutput, 1);

  GST_DEBUG_CATEGORY_INIT (moshioutput_debug, "moshioutput", 0,
      "Moshi: the listening half");
  self->element = element;
  self->pad = pad;
  self->talk = gst_moshi_talk_ref (talk);
  self->playout = moshi_playout_new ();
  self->words = gst_moshi_words_new (element, pad);
  gst_segment_init (&self->segment, GST_FORMAT_TIME);
  return self;
}

static void
clear_pending (GstMoshiOutput * self)
{
  gst_clear_buffer (&self->pending);
  self->pending_ticks = self->pending_silence = 0;
}

/**
 * gst_moshi_output_free:
 * @self: (transfer full): a listening half whose pads are inactive
 */
void
gst_moshi_output_free (GstMoshiOutput * self)
{
  clear_pending (self);
  gst_moshi_format_clear (&self->format);
  gst_moshi_words_free (self->words);
  moshi_playout_free (self->playout);
  gst_moshi_talk_unref (self->talk);
  g_free (self);
}

/**
 * gst_moshi_output_start:
 * @self: a listening half whose pad is inactive
 * @settings: what the user wants
 */
void
gst_moshi_output_start (GstMoshiOutput * self,
    const GstMoshiSettings * settings)
{
  clear_pending (self);
  gst_moshi_format_clear (&self->format);
  gst_moshi_words_start (self->words, settings->text_unit);
  self->started = self->segment_sent = FALSE;
  self->discont = TRUE;
  self->answered = 0;

  g_mutex_lock (&self->talk->lock);
  self->unit = self->run = 0;
  self->base = 0;
  self->position = self->run_start = 0;
  self->live_started = self->eos = FALSE;
  self->dropped = self->filled = 0;
  self->upstream_latency = 0;
  self->model_delay = GST_MOSHI_MS_TO_TICKS (settings->model_delay);
  self->drain_timeout = settings->drain_timeout * G_GUINT64_CONSTANT (1000);
  self->latency = settings->latency;
  moshi_playout_set_margin (self->playout,
      GST_MOSHI_MS_TO_TICKS (settings->latency));
  moshi_playout_set_offset (self->playout, 0);
  moshi_playout_forget (self->playout);
  g_mutex_unlock (&self->talk->lock);
}

/**
 * gst_moshi_output_set_input:
 * @self: a listening half
 * @input: (transfer none) (nullable): the speaking half of the same element,
 *     kept fed in live mode for as long as @self lives
 */
void
gst_moshi_output_set_input (GstMoshiOutput * self, GstMoshiInput * input)
{
  self->input = input;
}

/**
 * gst_moshi_output_set_latency:
 * @self: a listening half
 * @latency: jitter margin of live output, ms
 *
 * Any thread. The caller posts the LATENCY message.
 */
void
gst_moshi_output_set_latency (GstMoshiOutput * self, guint latency)
{
  g_mutex_lock (&self->talk->lock);
  self->latency = latency;
  moshi_playout_set_margin (self->playout, GST_MOSHI_MS_TO_TICKS (latency));
  g_mutex_unlock (&self->talk->lock);
}

/**
 * gst_moshi_output_get_words:
 * @self: a listening half
 *
 * Returns: (transfer none): what is heard, in writing
 */
GstMoshiWords *
gst_moshi_output_get_words (GstMoshiOutput * self)
{
  return self->words;
}

/**
 * gst_moshi_output_set_upstream_latency:
 * @self: a listening half
 * @latency: what upstream's live sources are late by
 */
void
gst_moshi_output_set_upstream_latency (GstMoshiOutput * self,
    GstClockTime latency)
{
  g_mutex_lock (&self->talk->lock);
  self->upstream_latency = latency;
  moshi_playout_set_offset (self->playout, gst_moshi_time_to_ticks (latency));
  g_mutex_unlock (&self->talk->lock);
}

/**
 * gst_moshi_output_get_latency:
 * @self: a listening half
 *
 * Returns: what live output holds back at most: the jitter margin
 */
GstClockTime
gst_moshi_output_get_latency (GstMoshiOutput * self)
{
  GstClockTime latency;

  g_mutex_lock (&self->talk->lock);
  latency = self->latency * GST_MSECOND;
  g_mutex_unlock (&self->talk->lock);
  return latency;
}

/* --- time ------------------------------------------------------------- */

static GstClockTime
get_running_time (GstMoshiOutput * self)
{
  GstClockTime now = gst_element_get_current_running_time (self->element);

  return GST_CLOCK_TIME_IS_VALID (now) ? now : 0;
}

static guint64
get_position_locked (GstMoshiOutput * self)
{
  return self->talk->live ? (guint64)
      moshi_playout_get_position (self->playout) : self->position;
}

/* --- what to do next ---------------------------------------------------- */

static void
take_item_locked (GstMoshiOutput * self, StepKind kind, Step * step)
{
  step->kind = kind;
  step->item = g_queue_pop_head (&self->talk->items);
  self->talk->queued -= step->item->duration;
}

static gboolean
next_is_audio_locked (GstMoshiTalk * talk)
{
  GstMoshiItem *item = g_queue_peek_head (&talk->items);

  return item && item->duration > 0;
}

static void
adopt_run_locked (GstMoshiOutput * self, Step * step)
{
  GstMoshiTalk *talk = self->talk;

  self->run = talk->run;
  self->base = talk->base;
  self->segment = talk->segment;
  self->run_start = talk->run_start;
  self->position = 0;
  step->kind = STEP_RUN;
}

/* Batch: ticks that may be pushed now; at the end, rounded to a sample. */
static guint64
get_room_locked (GstMoshiOutput * self)
{
  const guint unit = MAX (self->unit, 1);
  guint64 limit = self->talk->run_length;

  if (self->talk->input_eos)
    limit += unit / 2;
  limit -= limit % unit;
  return limit > self->position ? limit - self->position : 0;
}

/* Batch: when an EOS that waits for answers gives up, or 0 if it does not */
static gint64
get_drain_deadline_locked (GstMoshiOutput * self)
{
  GstMoshiTalk *talk = self->talk;

  if (!talk->input_done)
    return 0;
  return MAX (talk->done_time, talk->last_answer) + self->drain_timeout;
}

/* Batch: whether what is rendered can go, all of it or a part. */
static gboolean
can_push_pending_locked (GstMoshiOutput * self, guint64 room)
{
  if (!self->whole_packets || self->talk->input_eos)
    return TRUE;
  return room >= self->pending_ticks;
}

static void
set_ticks (Step * step, StepKind kind, guint64 ticks)
{
  step->kind = kind;
  step->ticks = ticks;
}

/* Batch: STEP_NONE means wait until something changes. */
static void
choose_batch_locked (GstMoshiOutput * self, Step * step)
{
  GstMoshiTalk *talk = self->talk;
  guint64 room = get_room_locked (self);
  gint64 deadline = get_drain_deadline_locked (self);
  guint64 have;

  if (talk->run != self->run) {
    adopt_run_locked (self, step);
  } else if (talk->items.length > 0 && !next_is_audio_locked (talk)
      && !self->pending && self->pending_silence == 0) {
    take_item_locked (self, STEP_ITEM, step);
  } else if (talk->failed || (talk->input_eos && room == 0
          && (self->run > 0 || talk->input_done))) {
    step->kind = STEP_EOS;
  } else if (self->run == 0 || room == 0) {
    step->kind = STEP_NONE;
  } else if (self->position < self->model_delay) {
    set_ticks (step, STEP_SILENCE, MIN (room,
            self->model_delay - self->position));
  } else if (self->pending_silence > 0) {
    have = MIN (room, self->pending_silence);
    self->pending_silence -= have;
    set_ticks (step, STEP_FILL, have);
  } else if (self->pending) {
    if (can_push_pending_locked (self, room))
      set_ticks (step, STEP_PENDING, room);
  } else if (talk->items.length > 0) {
    take_item_locked (self, STEP_ITEM, step);
  } else if (deadline && g_get_monotonic_time () >= deadline) {
    set_ticks (step, STEP_FILL, room);
  }
}

static gint64
get_now_locked (GstMoshiOutput * self)
{
  return (gint64) gst_moshi_time_to_ticks (get_running_time (self));
}

/* Live: EOS goes out when the answer to the last input and its tail has been
 * played, or when nobody is there to give it. */
static gboolean
is_drained_locked (GstMoshiOutput * self)
{
  GstMoshiTalk *talk = self->talk;
  gint64 deadline = get_drain_deadline_locked (self);

  if (talk->failed)
    return TRUE;
  if (deadline == 0)
    return FALSE;
  if (!talk->ready || g_get_monotonic_time () >= deadline)
    return TRUE;
  return talk->received >= talk->end
      && moshi_playout_get_queued (self->playout) == 0;
}

/* What came before PLAYING is as if it came now. */
static void
start_live_locked (GstMoshiOutput * self)
{
  gint64 now = get_now_locked (self);

  self->live_started = TRUE;
  moshi_playout_forget (self->playout);
  moshi_playout_start (self->playout, now);
  if (self->talk->queued > 0)
    moshi_playout_arrive (self->playout, self->talk->queued, now);
}

static void
choose_live_locked (GstMoshiOutput * self, Step * step)
{
  GstMoshiTalk *talk = self->talk;
  GstMoshiItem *head = g_queue_peek_head (&talk->items);
  MoshiPlayoutDecision decision;

  if (!self->playing) {
    step->kind = STEP_NONE;
    return;
  }
  if (!self->live_started) {
    start_live_locked (self);
    step->kind = STEP_PLAYING;
    return;
  }
  if (head && head->duration == 0) {
    take_item_locked (self, STEP_ITEM, step);
    return;
  }
  if (is_drained_locked (self)) {
    step->kind = STEP_EOS;
    return;
  }

  moshi_playout_decide (self->playout, head ? head->duration : 0,
      get_now_locked (self), &decision);
  switch (decision.step) {
    case MOSHI_PLAYOUT_PLAY:
      take_item_locked (self, STEP_ITEM, step);
      break;
    case MOSHI_PLAYOUT_DROP:
      take_item_locked (self, STEP_DROP, step);
      break;
    case MOSHI_PLAYOUT_SILENCE:
      set_ticks (step, STEP_SILENCE, decision.duration);
      break;
    case MOSHI_PLAYOUT_WAIT:
      step->kind = STEP_SLEEP;
      step->until = gst_moshi_ticks_to_time (decision.until);
      break;
  }
}

/* Waits until there is something to do and says what. */
static void
choose_step_locked (GstMoshiOutput * self, Step * step)
{
  GstMoshiTalk *talk = self->talk;

  step->kind = STEP_NONE;
  step->item = NULL;
  while (step->kind == STEP_NONE) {
    if (talk->output_flushing || self->eos) {
      step->kind = STEP_STOP;
      return;
    }
    if (talk->failed && !talk->known)
      step->kind = STEP_EOS;
    else if (talk->known && talk->live)
      choose_live_locked (self, step);
    else
      choose_batch_locked (self, step);

    if (step->kind == STEP_NONE) {
      gint64 deadline = get_drain_deadline_locked (self);

      if (deadline)
        g_cond_wait_until (&talk->cond, &talk->lock, deadline);
      else
        g_cond_wait (&talk->cond, &talk->lock);
    }
  }
}

/* Live: waits on the pipeline's clock; woken early by wake_locked(). */
static void
sleep_until_locked (GstMoshiOutput * self, GstClockTime running_time)
{
  GstMoshiTalk *talk = self->talk;
  GstClock *clock = gst_element_get_clock (self->element);
  GstClockID id;

  if (clock == NULL) {
    /* Not yet given one: the change to PLAYING that does wakes us. */
    self->playing = FALSE;
    return;
  }
  id = gst_clock_new_single_shot_id (clock,
      gst_element_get_base_time (self->element) + running_time);
  self->clock_id = id;
  g_mutex_unlock (&talk->lock);

  gst_clock_id_wait (id, NULL);

  g_mutex_lock (&talk->lock);
  self->clock_id = NULL;
  gst_clock_id_unref (id);
  gst_object_unref (clock);
}

static void
wake_locked (GstMoshiOutput * self)
{
  if (self->clock_id)
    gst_clock_id_unschedule (self->clock_id);
  g_cond_broadcast (&self->talk->cond);
}

/* --- pushing ------------------------------------------------------------- */

static void
push_stream_start (GstMoshiOutput * self)
{
  g_autofree gchar *id =
      gst_pad_create_stream_id (self->pad, self->element, "speech");
  GstEvent *event = gst_event_new_stream_start (id);
  guint group_id = gst_util_group_id_next ();

  gst_event_set_group_id (event, group_id);
  gst_pad_push_event (self->pad, event);
  gst_moshi_words_set_stream (self->words, group_id);
  self->started = TRUE;
}

static gboolean
negotiate (GstMoshiOutput * self)
{
  g_autoptr (GstCaps) caps = gst_moshi_format_choose_caps (self->pad);
  g_autoptr (GError) error = NULL;

  if (caps == NULL)
    return FALSE;
  GST_INFO_OBJECT (self->element, "output is %" GST_PTR_FORMAT, caps);
  if (!gst_pad_push_event (self->pad, gst_event_new_caps (caps)))
    return FALSE;
  if (!gst_moshi_format_set_caps (&self->format, caps, &error)) {
    GST_WARNING_OBJECT (self->element, "%s", error->message);
    return FALSE;
  }

  g_mutex_lock (&self->talk->lock);
  self->unit = gst_moshi_format_get_unit (&self->format);
  self->whole_packets = self->format.opus;
  g_mutex_unlock (&self->talk->lock);
  return TRUE;
}

static void
push_segment (GstMoshiOutput * self)
{
  guint64 position;

  g_mutex_lock (&self->talk->lock);
  position = get_position_locked (self);
  g_mutex_unlock (&self->talk->lock);

  gst_pad_push_event (self->pad, gst_event_new_segment (&self->segment));
  self->segment_sent = TRUE;
  gst_moshi_words_set_segment (self->words, &self->segment, self->base,
      position);
}

/* Sends what has to stand before the next buffer. */
static GstFlowReturn
prepare (GstMoshiOutput * self)
{
  if (!self->started)
    push_stream_start (self);
  if ((gst_pad_check_reconfigure (self->pad) || self->unit == 0)
      && !negotiate (self)) {
    gst_pad_mark_reconfigure (self->pad);
    if (GST_PAD_IS_FLUSHING (self->pad))
      return GST_FLOW_FLUSHING;
    return gst_pad_is_linked (self->pad) ? GST_FLOW_NOT_NEGOTIATED :
        GST_FLOW_NOT_LINKED;
  }
  if (!self->segment_sent)
    push_segment (self);
  return GST_FLOW_OK;
}

/* Batch: what is pushed makes room for input. */
static void
count_pushed_locked (GstMoshiOutput * self, guint64 ticks)
{
  self->position += ticks;
  if (self->position > self->model_delay)
    self->talk->pushed = self->run_start + self->position - self->model_delay;
  g_cond_broadcast (&self->talk->cond);
}

/* Stamps and pushes a buffer of the given ticks at `position`, which moves on
 * by them in batch; live the playout has moved it already. */
static GstFlowReturn
push_buffer (GstMoshiOutput * self, GstBuffer * buffer, guint64 position,
    guint64 ticks)
{
  GstClockTime pts = self->base + gst_moshi_ticks_to_time (position);
  GstFlowReturn ret;

  GST_BUFFER_PTS (buffer) = pts;
  GST_BUFFER_DURATION (buffer) =
      self->base + gst_moshi_ticks_to_time (position + ticks) - pts;
  if (self->discont)
    GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_DISCONT);
  self->discont = FALSE;

  ret = gst_pad_push (self->pad, buffer);
  if (ret == GST_FLOW_NOT_LINKED && gst_moshi_words_has_pad (self->words))
    ret = GST_FLOW_OK;          /* somebody wants the words alone */

  if (!self->talk->live) {
    g_mutex_lock (&self->talk->lock);
    count_pushed_locked (self, ticks);
    g_mutex_unlock (&self->talk->lock);
  }
  gst_moshi_words_advance (self->words, position + ticks);
  return ret;
}

static GstFlowReturn
push_silence (GstMoshiOutput * self, guint64 position, guint64 ticks)
{
  GstFlowReturn ret = GST_FLOW_OK;
  guint64 made;

  while (ticks > 0 && ret == GST_FLOW_OK) {
    GstBuffer *buffer =
        gst_moshi_format_silence (&self->format, ticks, &made);

    ret = push_buffer (self, buffer, position, made);
    position += made;
    ticks -= made;
  }
  return ret;
}

/* A packet as a buffer; silence, counted, where it cannot be decoded. */
static GstBuffer *
render (GstMoshiOutput * self, const GstMoshiItem * item, guint64 position)
{
  g_autoptr (GError) error = NULL;
  GstBuffer *buffer = gst_moshi_format_render (&self->format, item->bytes,
      item->duration, &error);
  gboolean loud = gst_moshi_format_is_loud (&self->format, buffer);
  GstClockTime start = gst_segment_to_running_time (&self->segment,
      GST_FORMAT_TIME, self->base + gst_moshi_ticks_to_time (position));

  if (error)
    GST_WARNING_OBJECT (self->element, "silence for a packet: %s",
        error->message);
  g_mutex_lock (&self->talk->lock);
  gst_moshi_meter_said (&self->talk->meter, loud, item->duration, start);
  if (error)
    self->filled += item->duration;
  g_mutex_unlock (&self->talk->lock);
  return buffer;
}

/* Batch: what is rendered waits until the input has reached it. What answers
 * input from before a flush goes at once; of a packet that straddles the
 * flush, silence remains. */
static GstFlowReturn
take_batch_packet (GstMoshiOutput * self, const GstMoshiItem * item)
{
  guint64 begin = self->answered;
  guint64 position = self->model_delay
      + (begin > self->run_start ? begin - self->run_start : 0);
  GstBuffer *buffer = render (self, item, position);

  self->answered += item->duration;
  if (begin >= self->run_start) {
    self->pending = buffer;
    self->pending_ticks = item->duration;
  } else {
    gst_buffer_unref (buffer);
    if (self->answered > self->run_start)
      self->pending_silence = self->answered - self->run_start;
  }
  return GST_FLOW_OK;
}

static GstFlowReturn
push_pending (GstMoshiOutput * self, guint64 ticks)
{
  guint64 left = self->pending_ticks;
  GstBuffer *buffer;

  ticks = MIN (ticks, left);
  buffer = gst_moshi_format_split (&self->format, &self->pending,
      &self->pending_ticks, ticks);
  return push_buffer (self, buffer, self->position, ticks);
}

/* Live: the playout has moved the position past the packet. */
static GstFlowReturn
push_live_packet (GstMoshiOutput * self, const GstMoshiItem * item)
{
  guint64 position;

  g_mutex_lock (&self->talk->lock);
  position = get_position_locked (self) - item->duration;
  g_mutex_unlock (&self->talk->lock);
  return push_buffer (self, render (self, item, position), position,
      item->duration);
}

/* --- the steps ----------------------------------------------------------- */

/* A session begins: its answers stand where its input began. In batch what the
 * one before has left unanswered is silence. */
static void
take_session (GstMoshiOutput * self, const GstMoshiItem * item)
{
  guint64 position;

  g_mutex_lock (&self->talk->lock);
  position = get_position_locked (self);
  if (!self->talk->live && self->run > 0) {
    guint64 from = MAX (self->answered, self->run_start);

    if (item->start > from)
      self->pending_silence = item->start - from;
  }
  g_mutex_unlock (&self->talk->lock);

  self->answered = item->start;
  gst_moshi_format_reset (&self->format);
  gst_moshi_words_finish (self->words, position);
  gst_moshi_words_set_session (self->words, item->index);
}

static void
take_text (GstMoshiOutput * self, const GstMoshiItem * item)
{
  guint64 position;

  /* Batch: an answer to what was flushed away */
  if (!self->talk->live && self->answered < self->run_start)
    return;
  g_mutex_lock (&self->talk->lock);
  position = get_position_locked (self);
  g_mutex_unlock (&self->talk->lock);
  gst_moshi_words_push (self->words, item->bytes, item->color, position);
}

static GstFlowReturn
take_item (GstMoshiOutput * self, const GstMoshiItem * item)
{
  switch (item->kind) {
    case GST_MOSHI_ITEM_PACKET:
    case GST_MOSHI_ITEM_SILENCE:
      if (self->talk->live)
        return push_live_packet (self, item);
      return take_batch_packet (self, item);
    case GST_MOSHI_ITEM_TEXT:
      take_text (self, item);
      break;
    case GST_MOSHI_ITEM_SESSION:
      take_session (self, item);
      break;
    case GST_MOSHI_ITEM_METADATA:
      gst_moshi_words_take_metadata (self->words, item->bytes);
      break;
  }
  return GST_FLOW_OK;
}

static GstFlowReturn
begin_run (GstMoshiOutput * self)
{
  clear_pending (self);
  self->segment_sent = FALSE;
  self->discont = TRUE;
  gst_moshi_words_reset (self->words);
  return GST_FLOW_OK;
}

static GstFlowReturn
begin_live (GstMoshiOutput * self)
{
  gst_segment_init (&self->segment, GST_FORMAT_TIME);
  self->base = 0;
  return GST_FLOW_OK;
}

/* Answers that do not come: batch output keeps its length all the same. */
static GstFlowReturn
fill (GstMoshiOutput * self, guint64 ticks)
{
  g_mutex_lock (&self->talk->lock);
  self->filled += ticks;
  g_mutex_unlock (&self->talk->lock);
  return push_silence (self, self->position, ticks);
}

static GstFlowReturn
push_planned_silence (GstMoshiOutput * self, guint64 ticks)
{
  guint64 position;

  g_mutex_lock (&self->talk->lock);
  position = get_position_locked (self);
  if (self->talk->live) {
    position -= ticks;
    self->filled += ticks;
  }
  g_mutex_unlock (&self->talk->lock);
  return push_silence (self, position, ticks);
}

static GstFlowReturn
drop_packet (GstMoshiOutput * self, const GstMoshiItem * item)
{
  g_mutex_lock (&self->talk->lock);
  self->dropped += item->duration;
  g_mutex_unlock (&self->talk->lock);
  return GST_FLOW_OK;
}

/* The last answer is out: close politely, and end the streams. */
static GstFlowReturn
finish (GstMoshiOutput * self)
{
  GstMoshiTalk *talk = self->talk;
  MoshiSession *session = NULL;
  guint64 position;

  prepare (self);
  g_mutex_lock (&talk->lock);
  self->eos = TRUE;
  position = get_position_locked (self);
  if (talk->session)
    session = moshi_session_ref (talk->session);
  g_mutex_unlock (&talk->lock);
  gst_moshi_words_finish (self->words, position);

  if (session) {
    moshi_session_close (session);
    moshi_session_unref (session);
  }

  GST_INFO_OBJECT (self->element, "all is out: EOS");
  gst_pad_push_event (self->pad, gst_event_new_eos ());
  return GST_FLOW_EOS;
}

static gboolean
pushes (const Step * step)
{
  return step->kind == STEP_SILENCE || step->kind == STEP_FILL
      || step->kind == STEP_PENDING || (step->kind == STEP_ITEM
      && (step->item->duration > 0
          || step->item->kind == GST_MOSHI_ITEM_TEXT));
}

static GstFlowReturn
take_step (GstMoshiOutput * self, const Step * step)
{
  GstFlowReturn ret = GST_FLOW_OK;

  if (pushes (step))
    ret = prepare (self);
  if (ret != GST_FLOW_OK)
    return ret;

  switch (step->kind) {
    case STEP_RUN:
      return begin_run (self);
    case STEP_PLAYING:
      return begin_live (self);
    case STEP_ITEM:
      return take_item (self, step->item);
    case STEP_DROP:
      return drop_packet (self, step->item);
    case STEP_PENDING:
      return push_pending (self, step->ticks);
    case STEP_SILENCE:
      return push_planned_silence (self, step->ticks);
    case STEP_FILL:
      return fill (self, step->ticks);
    case STEP_EOS:
      return finish (self);
    case STEP_STOP:
      return GST_FLOW_FLUSHING;
    case STEP_NONE:
    case STEP_SLEEP:
      break;
  }
  return ret;
}

/* Live: as long as we play, Moshi is fed. */
static void
keep_fed (GstMoshiOutput * self)
{
  GstClockTime now, late;
  gboolean due;

  g_mutex_lock (&self->talk->lock);
  due = self->input && self->talk->live && self->live_started
      && self->playing;
  late = self->upstream_latency;
  g_mutex_unlock (&self->talk->lock);
  if (!due)
    return;

  now = get_running_time (self);
  if (now > late)
    gst_moshi_input_fill (self->input, now - late);
}

static void
stop_pushing (GstMoshiOutput * self, GstFlowReturn ret)
{
  g_mutex_lock (&self->talk->lock);
  if (!self->talk->output_flushing)
    self->talk->flow = ret;
  g_cond_broadcast (&self->talk->cond);
  g_mutex_unlock (&self->talk->lock);

  GST_INFO_OBJECT (self->element, "pushing pauses: %s",
      gst_flow_get_name (ret));
  if (ret == GST_FLOW_NOT_LINKED || ret < GST_FLOW_EOS) {
    GST_ELEMENT_FLOW_ERROR (self->element, ret);
    gst_pad_push_event (self->pad, gst_event_new_eos ());
  }
  if (ret != GST_FLOW_FLUSHING)
    gst_moshi_words_end (self->words);
  gst_pad_pause_task (self->pad);
}

static void
push_next (gpointer user_data)
{
  GstMoshiOutput *self = user_data;
  GstFlowReturn ret;
  Step step = { STEP_NONE, };

  keep_fed (self);

  g_mutex_lock (&self->talk->lock);
  choose_step_locked (self, &step);
  if (step.kind == STEP_SLEEP)
    sleep_until_locked (self, step.until);
  g_mutex_unlock (&self->talk->lock);

  ret = take_step (self, &step);
  gst_moshi_item_free (step.item);
  if (ret != GST_FLOW_OK)
    stop_pushing (self, ret);
}

/* --- from the element ------------------------------------------------------ */

/**
 * gst_moshi_output_activate:
 * @self: a listening half
 * @active: whether the src pad is to push
 *
 * The src pad's activation, in push mode. Joins the task when deactivating.
 *
 * Returns: whether that worked
 */
gboolean
gst_moshi_output_activate (GstMoshiOutput * self, gboolean active)
{
  if (active) {
    gst_moshi_talk_set_output_flushing (self->talk, FALSE);
    return gst_pad_start_task (self->pad, push_next, self, NULL);
  }
  gst_moshi_output_flush_start (self);
  return gst_pad_stop_task (self->pad);
}

/**
 * gst_moshi_output_set_playing:
 * @self: a listening half
 * @playing: whether the clock runs
 *
 * Live output stands still while it does not.
 */
void
gst_moshi_output_set_playing (GstMoshiOutput * self, gboolean playing)
{
  g_mutex_lock (&self->talk->lock);
  self->playing = playing;
  wake_locked (self);
  g_mutex_unlock (&self->talk->lock);
}

/**
 * gst_moshi_output_flush_start:
 * @self: a listening half
 *
 * Wakes the task and keeps it from pushing. The caller has sent FLUSH_START
 * downstream, if that is why.
 */
void
gst_moshi_output_flush_start (GstMoshiOutput * self)
{
  gst_moshi_talk_set_output_flushing (self->talk, TRUE);
  g_mutex_lock (&self->talk->lock);
  wake_locked (self);
  g_mutex_unlock (&self->talk->lock);
}

/**
 * gst_moshi_output_flush_stop:
 * @self: a listening half
 * @restart: whether the pad is to push again
 *
 * The segment goes out anew before the next buffer.
 */
void
gst_moshi_output_flush_stop (GstMoshiOutput * self, gboolean restart)
{
  gst_pad_pause_task (self->pad);
  clear_pending (self);
  self->segment_sent = FALSE;
  self->discont = TRUE;
  gst_moshi_words_reset (self->words);

  g_mutex_lock (&self->talk->lock);
  self->eos = FALSE;
  self->live_started = FALSE;
  g_mutex_unlock (&self->talk->lock);

  gst_moshi_talk_set_output_flushing (self->talk, FALSE);
  if (restart)
    gst_pad_start_task (self->pad, push_next, self, NULL);
}

/**
 * gst_moshi_output_take_packet:
 * @self: a listening half
 * @packet: (transfer none): an Opus packet of the server
 * @time: when it came, monotonic µs
 *
 * Network thread.
 *
 * Returns: %FALSE if there is no room: nobody pushes, or the server says more
 *     than it was asked. The packet is dropped and counted
 */
gboolean
gst_moshi_output_take_packet (GstMoshiOutput * self, GBytes * packet,
    gint64 time)
{
  GstMoshiTalk *talk = self->talk;
  guint duration;

  g_mutex_lock (&talk->lock);
  duration = gst_moshi_talk_add_packet_locked (talk, packet, time);
  if (duration > 0 && self->live_started) {
    moshi_playout_arrive (self->playout, duration, get_now_locked (self));
    if (self->latency == 0)
      wake_locked (self);
  }
  g_mutex_unlock (&talk->lock);
  return duration > 0;
}

/**
 * gst_moshi_output_drop:
 * @self: a listening half
 *
 * Drops what Moshi has said and is not yet played. In batch silence of the same
 * length takes its place.
 */
void
gst_moshi_output_drop (GstMoshiOutput * self)
{
  GstMoshiTalk *talk = self->talk;

  g_mutex_lock (&talk->lock);
  self->dropped += gst_moshi_talk_drop_audio_locked (talk);
  if (talk->live)
    moshi_playout_forget (self->playout);
  g_mutex_unlock (&talk->lock);
}

/**
 * gst_moshi_output_get_stats:
 * @self: a listening half
 * @stats: (out caller-allocates)
 *
 * Any thread.
 */
void
gst_moshi_output_get_stats (GstMoshiOutput * self,
    GstMoshiOutputStats * stats)
{
  g_mutex_lock (&self->talk->lock);
  stats->concealed = 0;
  stats->trimmed = 0;
  stats->dropped = gst_moshi_ticks_to_time (self->dropped);
  stats->filled = gst_moshi_ticks_to_time (self->filled);
  g_mutex_unlock (&self->talk->lock);
  stats->words = gst_moshi_words_get_count (self->words);
}
