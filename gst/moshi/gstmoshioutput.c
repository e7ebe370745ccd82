/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The listening half
 *
 * One task pushes everything on the src pad: stream-start, caps, segment, tags,
 * buffers, EOS. Each turn of it asks, with the talk locked, what the next step
 * is, and takes the step with nothing locked.
 *
 * What a step is follows from gstmoshischedule.c; how live ones sound is in
 * gstmoshioutputlive.c, how anything gets out of the pad in
 * gstmoshioutputpush.c.
 *
 * `answered` is where the next answer stands on the input's timeline: answers
 * of a session begin where its input began.
 */

#include "gstmoshioutputprivate.h"

#include "gstmoshierror.h"

GST_DEBUG_CATEGORY (gst_moshi_output_debug);

/**
 * gst_moshi_output_new:
 * @element: whom it listens for
 * @pad: (transfer none): the src pad it pushes on
 *
 * Returns: (transfer full): a listening half
 */
GstMoshiOutput *
gst_moshi_output_new (GstElement * element, GstPad * pad)
{
  GstMoshiOutput *self = g_new0 (GstMoshiOutput, 1);

  GST_DEBUG_CATEGORY_INIT (gst_moshi_output_debug, "moshioutput", 0,
      "Moshi: the listening half");
  g_mutex_init (&self->talk_lock);
  self->element = element;
  self->pad = pad;
  self->words = gst_moshi_words_new (element, pad);
  gst_moshi_schedule_init (&self->schedule, element, self->words);
  gst_moshi_voice_init (&self->voice, &self->format);
  return self;
}

/**
 * gst_moshi_output_free:
 * @self: (transfer full): a listening half whose pads are inactive
 */
void
gst_moshi_output_free (GstMoshiOutput * self)
{
  gst_moshi_output_set_talk (self, NULL);
  gst_clear_buffer (&self->pending);
  gst_moshi_voice_clear (&self->voice);
  gst_moshi_format_clear (&self->format);
  gst_moshi_words_free (self->words);
  gst_moshi_schedule_clear (&self->schedule);
  g_mutex_clear (&self->talk_lock);
  g_free (self);
}

/**
 * gst_moshi_output_set_talk:
 * @self: a listening half whose pad is inactive
 * @talk: (transfer none) (nullable): where it meets a speaking half
 */
void
gst_moshi_output_set_talk (GstMoshiOutput * self, GstMoshiTalk * talk)
{
  GstMoshiTalk *old = self->talk;

  if (old) {
    g_mutex_lock (&old->lock);
    old->schedule = NULL;
    old->words = NULL;
    old->n_words = gst_moshi_words_get_count (self->words);
    g_mutex_unlock (&old->lock);
  }
  g_mutex_lock (&self->talk_lock);
  self->talk = talk ? gst_moshi_talk_ref (talk) : NULL;
  g_mutex_unlock (&self->talk_lock);
  g_clear_pointer (&old, gst_moshi_talk_unref);
  self->schedule.talk = talk;
  if (talk) {
    g_mutex_lock (&talk->lock);
    talk->schedule = &self->schedule;
    talk->words = self->words;
    g_mutex_unlock (&talk->lock);
  }
}

/**
 * gst_moshi_output_start:
 * @self: a listening half whose pad is inactive, with a talk
 * @settings: what the user wants
 */
void
gst_moshi_output_start (GstMoshiOutput * self,
    const GstMoshiSettings * settings)
{
  gst_clear_buffer (&self->pending);
  gst_moshi_format_clear (&self->format);
  gst_moshi_voice_reset (&self->voice);
  gst_moshi_words_start (self->words, settings->text_unit);
  self->started = self->segment_sent = FALSE;
  self->discont = TRUE;
  self->answered = 0;

  g_mutex_lock (&self->talk->lock);
  gst_moshi_schedule_start_locked (&self->schedule, settings);
  gst_moshi_words_set_session (self->words, self->talk->session_index);
  g_mutex_unlock (&self->talk->lock);
}

/* For threads that know nothing of the pad, while one talk is exchanged for
 * another: once it is locked, ours is the schedule it has, or it is not ours any
 * more, and the schedule starts anew. */
static GstMoshiTalk *
ref_talk (GstMoshiOutput * self)
{
  GstMoshiTalk *talk;

  g_mutex_lock (&self->talk_lock);
  talk = gst_moshi_talk_ref (self->talk);
  g_mutex_unlock (&self->talk_lock);
  return talk;
}

/**
 * gst_moshi_output_set_latency:
 * @self: a listening half with a talk
 * @latency: jitter margin of live output, ms
 *
 * Any thread. The caller posts the LATENCY message.
 */
void
gst_moshi_output_set_latency (GstMoshiOutput * self, guint latency)
{
  g_autoptr (GstMoshiTalk) talk = ref_talk (self);

  g_mutex_lock (&talk->lock);
  if (talk->schedule == &self->schedule)
    gst_moshi_schedule_set_latency_locked (&self->schedule, latency);
  g_mutex_unlock (&talk->lock);
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
  gst_moshi_schedule_set_upstream_latency_locked (&self->schedule, latency);
  g_mutex_unlock (&self->talk->lock);
}

/**
 * gst_moshi_output_answer_latency:
 * @self: a listening half, live
 * @query: of kind LATENCY
 *
 * At least: what upstream is late by, and the jitter margin. At most: as much
 * more as may wait in the talk, whose own thread pushes; upstream's never waits
 * for it, so what could wait there is of no use.
 */
void
gst_moshi_output_answer_latency (GstMoshiOutput * self, GstQuery * query)
{
  GstClockTime min;

  g_mutex_lock (&self->talk->lock);
  min = self->schedule.upstream_latency + self->schedule.latency * GST_MSECOND;
  g_mutex_unlock (&self->talk->lock);
  gst_query_set_latency (query, TRUE, min,
      min + gst_moshi_ticks_to_time (GST_MOSHI_MAX_QUEUED));
}

/* --- batch --------------------------------------------------------------- */

/* Batch: where on the output's timeline an answer stands */
static guint64
get_answer_position (GstMoshiOutput * self, guint64 answer)
{
  const GstMoshiSchedule *schedule = &self->schedule;

  return schedule->model_delay
      + (answer > schedule->run_start ? answer - schedule->run_start : 0);
}

/* Batch: what is rendered waits until the input has reached it. What answers
 * input from before a flush goes at once; of a packet that straddles the
 * flush, silence remains. */
static GstFlowReturn
take_batch_packet (GstMoshiOutput * self, const GstMoshiItem * item)
{
  GstMoshiSchedule *schedule = &self->schedule;
  const guint64 start = schedule->run_start;
  const guint64 begin = self->answered;
  const guint64 end = begin + item->duration;
  GstBuffer *buffer = NULL;

  self->answered = end;
  if (item->bytes)
    buffer =
        gst_moshi_output_render (self, item, get_answer_position (self, begin));
  g_mutex_lock (&self->talk->lock);
  if (begin >= start && buffer) {
    self->pending = g_steal_pointer (&buffer);
    schedule->pending = item->duration;
  } else if (end > start) {
    schedule->pending_silence = end - MAX (begin, start);
  }
  g_mutex_unlock (&self->talk->lock);

  gst_clear_buffer (&buffer);
  return GST_FLOW_OK;
}

static GstFlowReturn
push_pending (GstMoshiOutput * self, guint64 ticks)
{
  guint64 left = self->schedule.pending;
  guint64 position = gst_moshi_output_get_position (self);
  GstBuffer *buffer;

  ticks = MIN (ticks, left);
  buffer = gst_moshi_format_split (&self->format, &self->pending, &left, ticks);
  g_mutex_lock (&self->talk->lock);
  self->schedule.pending = left;
  g_mutex_unlock (&self->talk->lock);
  return gst_moshi_output_push_buffer (self, buffer, position, ticks);
}

/* Live: what did not fit under the cap on delay. Told once for each pause. */
static void
warn_of_drop (GstMoshiOutput * self, guint64 ticks)
{
  g_autoptr (GError) error = g_error_new (MOSHI_ERROR, MOSHI_ERROR_LOST,
      "Too much came at once, after too long a wait: %.2f s of what Moshi said "
      "are left out.", gst_moshi_ticks_to_time (ticks) / (gdouble) GST_SECOND);

  gst_moshi_warning_post (self->element, error, NULL);
}

/* --- the steps ----------------------------------------------------------- */

/* A session begins: its answers stand where its input began. In batch what the
 * one before has left unanswered is silence. */
static void
take_session (GstMoshiOutput * self, const GstMoshiItem * item)
{
  GstMoshiSchedule *schedule = &self->schedule;
  guint64 from;

  g_mutex_lock (&self->talk->lock);
  from = MAX (self->answered, schedule->run_start);
  if (!self->talk->live && schedule->run > 0 && item->start > from)
    schedule->pending_silence = item->start - from;
  g_mutex_unlock (&self->talk->lock);

  self->answered = item->start;
  gst_moshi_format_reset (&self->format);
  if (self->talk->live) {
    gst_moshi_words_finish (self->words,
        gst_moshi_output_get_end_position (self));
    gst_moshi_words_set_session (self->words, item->index);
  }
}

/* In batch it has been heard as it came. */
static void
take_text (GstMoshiOutput * self, const GstMoshiItem * item)
{
  if (!self->talk->live)
    return;
  gst_moshi_voice_add_words (&self->voice);
  gst_moshi_words_push (self->words, item->bytes, item->color,
      gst_moshi_output_get_end_position (self));
}

static GstFlowReturn
take_item (GstMoshiOutput * self, const GstMoshiStep * step)
{
  const GstMoshiItem *item = step->item;

  switch (item->kind) {
    case GST_MOSHI_ITEM_PACKET:
    case GST_MOSHI_ITEM_SILENCE:
      return self->talk->live ? gst_moshi_output_take_live_step (self, step) :
          take_batch_packet (self, item);
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
  gst_clear_buffer (&self->pending);
  self->segment_sent = FALSE;
  self->discont = TRUE;
  gst_moshi_words_begin_run (self->words, self->schedule.run);
  return GST_FLOW_OK;
}

/* Silence in batch where answers should be: its length holds all the same. */
static GstFlowReturn
fill (GstMoshiOutput * self, guint64 ticks)
{
  g_mutex_lock (&self->talk->lock);
  self->talk->output_filled += ticks;
  g_mutex_unlock (&self->talk->lock);
  return gst_moshi_output_push_silence (self,
      gst_moshi_output_get_position (self), ticks);
}

/* The answers did not come within drain-timeout. */
static GstFlowReturn
give_up (GstMoshiOutput * self, guint64 ticks)
{
  g_autoptr (GError) error = g_error_new (MOSHI_ERROR, MOSHI_ERROR_LOST,
      "The server has not answered the last %.2f s in time; silence is in "
      "their place. A longer drain-timeout may help.",
      gst_moshi_ticks_to_time (ticks) / (gdouble) GST_SECOND);

  gst_moshi_warning_post (self->element, error, NULL);
  return fill (self, ticks);
}

/* The last answer is out: close politely, and end the streams. */
static GstFlowReturn
finish (GstMoshiOutput * self)
{
  GstMoshiTalk *talk = self->talk;
  g_autoptr (MoshiSession) session = NULL;

  gst_moshi_output_prepare (self);
  g_mutex_lock (&talk->lock);
  self->schedule.eos = TRUE;
  gst_moshi_schedule_hear_locked (&self->schedule, NULL);
  talk->output_done = TRUE;
  gst_moshi_talk_wake_locked (talk);
  /* In a pair the sink closes, who may have more to say. */
  if (talk->session && !talk->paired)
    session = moshi_session_ref (talk->session);
  g_mutex_unlock (&talk->lock);

  if (talk->live)
    gst_moshi_words_finish (self->words, gst_moshi_output_get_position (self));
  else
    gst_moshi_words_pass (self->words, G_MAXUINT64);
  if (session)
    moshi_session_close (session);
  GST_INFO_OBJECT (self->element, "all is out: EOS");
  gst_pad_push_event (self->pad, gst_event_new_eos ());
  return GST_FLOW_EOS;
}

static gboolean
pushes (const GstMoshiStep * step)
{
  return step->kind == GST_MOSHI_STEP_SILENCE
      || step->kind == GST_MOSHI_STEP_FILL
      || step->kind == GST_MOSHI_STEP_PLAY
      || step->kind == GST_MOSHI_STEP_CONCEAL
      || step->kind == GST_MOSHI_STEP_GIVE_UP
      || step->kind == GST_MOSHI_STEP_PENDING
      || (step->kind == GST_MOSHI_STEP_ITEM && (step->item->duration > 0
          || step->item->kind == GST_MOSHI_ITEM_TEXT));
}

static GstFlowReturn
take_step (GstMoshiOutput * self, const GstMoshiStep * step)
{
  const gboolean format_known = self->schedule.unit != 0;
  GstFlowReturn ret = GST_FLOW_OK;

  if (self->dropped > 0 && step->kind != GST_MOSHI_STEP_DROP
      && step->kind != GST_MOSHI_STEP_ITEM
      && step->kind != GST_MOSHI_STEP_LISTEN) {
    warn_of_drop (self, self->dropped);
    self->dropped = 0;
  }
  if (pushes (step))
    ret = gst_moshi_output_prepare (self);
  if (ret != GST_FLOW_OK)
    return ret;
  /* The format may have rounded model-delay: to be chosen anew. */
  if (step->kind == GST_MOSHI_STEP_SILENCE && !self->talk->live
      && !format_known)
    return GST_FLOW_OK;

  switch (step->kind) {
    case GST_MOSHI_STEP_RUN:
      return begin_run (self);
    case GST_MOSHI_STEP_SEGMENT:
      self->segment_sent = FALSE;
      break;
    case GST_MOSHI_STEP_ITEM:
      return take_item (self, step);
    case GST_MOSHI_STEP_LISTEN:
    case GST_MOSHI_STEP_PLAY:
    case GST_MOSHI_STEP_CONCEAL:
    case GST_MOSHI_STEP_TRIM:
    case GST_MOSHI_STEP_DROP:
      return gst_moshi_output_take_live_step (self, step);
    case GST_MOSHI_STEP_PENDING:
      return push_pending (self, step->ticks);
    case GST_MOSHI_STEP_SILENCE:
      return self->talk->live ? gst_moshi_output_take_live_step (self, step) :
          gst_moshi_output_push_silence (self,
          gst_moshi_output_get_position (self), step->ticks);
    case GST_MOSHI_STEP_FILL:
      return fill (self, step->ticks);
    case GST_MOSHI_STEP_GIVE_UP:
      return give_up (self, step->ticks);
    case GST_MOSHI_STEP_EOS:
      return finish (self);
    case GST_MOSHI_STEP_STOP:
      return GST_FLOW_FLUSHING;
    case GST_MOSHI_STEP_NONE:
    case GST_MOSHI_STEP_PLAYING:
    case GST_MOSHI_STEP_SLEEP:
      break;
  }
  return ret;
}

/* Live: as long as we play, Moshi is fed. */
static void
keep_fed (GstMoshiOutput * self)
{
  GstMoshiInput *input = NULL;

  g_mutex_lock (&self->talk->lock);
  if (self->talk->input && self->talk->input_live && self->schedule.started
      && self->schedule.playing)
    input = gst_moshi_input_ref (self->talk->input);
  g_mutex_unlock (&self->talk->lock);

  if (input) {
    gst_moshi_input_fill (input);
    gst_moshi_input_unref (input);
  }
}

static void
stop_pushing (GstMoshiOutput * self, GstFlowReturn ret)
{
  const gboolean broken = ret == GST_FLOW_NOT_LINKED || ret < GST_FLOW_EOS;
  gboolean enough;

  GST_INFO_OBJECT (self->element, "pushing pauses: %s",
      gst_flow_get_name (ret));
  if (broken)
    GST_ELEMENT_FLOW_ERROR (self->element, ret);

  /* With an error on the bus, EOS makes upstream stop without adding another. */
  g_mutex_lock (&self->talk->lock);
  if (!self->talk->output_flushing)
    self->talk->flow = broken ? GST_FLOW_EOS : ret;
  enough = ret == GST_FLOW_EOS && !self->schedule.eos;
  gst_moshi_talk_wake_locked (self->talk);
  g_mutex_unlock (&self->talk->lock);

  /* Downstream wants no more, and waits for the event that says so. */
  if (enough)
    finish (self);
  if (broken)
    gst_pad_push_event (self->pad, gst_event_new_eos ());
  if (ret != GST_FLOW_FLUSHING)
    gst_moshi_words_end (self->words);
  gst_pad_pause_task (self->pad);
}

static void
push_next (gpointer user_data)
{
  GstMoshiOutput *self = user_data;
  GstFlowReturn ret;
  GstMoshiStep step = { GST_MOSHI_STEP_NONE, };

  keep_fed (self);

  g_mutex_lock (&self->talk->lock);
  gst_moshi_schedule_choose_locked (&self->schedule, &step);
  if (step.kind == GST_MOSHI_STEP_SLEEP)
    gst_moshi_schedule_sleep_locked (&self->schedule, step.until);
  g_mutex_unlock (&self->talk->lock);

  if (step.generation != self->generation) {
    /* What was decoded is not to be played. */
    self->generation = step.generation;
    gst_moshi_voice_reset (&self->voice);
  }
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
  self->schedule.playing = playing;
  gst_moshi_schedule_wake_locked (&self->schedule);
  g_mutex_unlock (&self->talk->lock);
}

/**
 * gst_moshi_output_end:
 * @self: a listening half
 *
 * Any thread: EOS now, whatever there is to come.
 */
void
gst_moshi_output_end (GstMoshiOutput * self)
{
  g_autoptr (GstMoshiTalk) talk = ref_talk (self);

  g_mutex_lock (&talk->lock);
  if (talk->schedule == &self->schedule) {
    self->schedule.end_now = TRUE;
    gst_moshi_schedule_wake_locked (&self->schedule);
  }
  g_mutex_unlock (&talk->lock);
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
  gst_moshi_schedule_wake_locked (&self->schedule);
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
  gst_clear_buffer (&self->pending);
  self->segment_sent = FALSE;
  self->discont = TRUE;
  gst_moshi_words_reset (self->words);

  g_mutex_lock (&self->talk->lock);
  gst_moshi_schedule_restart_locked (&self->schedule);
  self->talk->output_done = FALSE;
  g_mutex_unlock (&self->talk->lock);

  gst_moshi_talk_set_output_flushing (self->talk, FALSE);
  if (restart)
    gst_pad_start_task (self->pad, push_next, self, NULL);
}
