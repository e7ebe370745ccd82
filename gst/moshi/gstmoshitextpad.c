/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The text branch
 *
 * Words are rare and late, so the branch is a sparse stream: while there are
 * none, GAP events tell how far there are none, so that sinks preroll and muxers
 * go on. Buffers, events and that position are put in (gstmoshiwords.c says by
 * whom); a task of this pad takes them out. A buffer may begin before that
 * position: live, nobody waits for a word. The queue holds at most
 * GST_MOSHI_TEXT_PAD_MAX buffers. A position waits in one field, not in the
 * queue: only the newest matters.
 */

#include "gstmoshitextpad.h"

#include "session/moshilock.h"

GST_DEBUG_CATEGORY_STATIC (moshitextpad_debug);
#define GST_CAT_DEFAULT moshitextpad_debug

struct _GstMoshiTextPad
{
  GstElement *element;          /* not owned: it owns the pad */
  GstPad *pad;

  /* The last to be taken; nothing is pushed with it held. */
  GMutex lock;
  GCond cond;

  /* By lock */
  GQueue queue;                 /* of GstMiniObject: buffers and events */
  guint n_buffers;
  GstClockTime audio;           /* PTS that the audio has reached */
  GstClockTime text;            /* PTS up to which all text and gaps are out */
  gboolean flushing;
  gboolean active;
};

static void
clear_locked (GstMoshiTextPad * self)
MOSHI_REQUIRES (self->lock)
{
  g_queue_clear_full (&self->queue, (GDestroyNotify) gst_mini_object_unref);
  self->n_buffers = 0;
  self->audio = self->text = GST_CLOCK_TIME_NONE;
}

/* The next thing to push, or NULL when flushing */
static GstMiniObject *
take_locked (GstMoshiTextPad * self)
MOSHI_REQUIRES (self->lock)
{
  while (!self->flushing) {
    GstMiniObject *object = g_queue_pop_head (&self->queue);

    if (object) {
      if (GST_IS_BUFFER (object))
        self->n_buffers--;
      return object;
    }
    if (GST_CLOCK_TIME_IS_VALID (self->audio)
        && GST_CLOCK_TIME_IS_VALID (self->text)
        && self->audio > self->text) {
      GstClockTime from = self->text;

      self->text = self->audio;
      return GST_MINI_OBJECT_CAST (gst_event_new_gap (from,
              self->audio - from));
    }
    g_cond_wait (&self->cond, &self->lock);
  }
  return NULL;
}

static void
pause_task (GstMoshiTextPad * self, GstFlowReturn ret)
{
  GST_INFO_OBJECT (self->pad, "text pauses: %s", gst_flow_get_name (ret));
  g_mutex_lock (&self->lock);
  self->flushing = TRUE;
  clear_locked (self);
  g_mutex_unlock (&self->lock);
  if (ret < GST_FLOW_EOS) {
    GST_ELEMENT_FLOW_ERROR (self->element, ret);
    gst_pad_push_event (self->pad, gst_event_new_eos ());
  }
  gst_pad_pause_task (self->pad);
}

static void
push_text (gpointer user_data)
{
  GstMoshiTextPad *self = user_data;
  GstMiniObject *object;
  GstFlowReturn ret = GST_FLOW_OK;

  g_mutex_lock (&self->lock);
  object = take_locked (self);
  g_mutex_unlock (&self->lock);

  if (object == NULL)
    ret = GST_FLOW_FLUSHING;
  else if (GST_IS_EVENT (object))
    gst_pad_push_event (self->pad, GST_EVENT_CAST (object));
  else
    ret = gst_pad_push (self->pad, GST_BUFFER_CAST (object));

  /* An unlinked or ended text branch is none of the audio's business. */
  if (ret != GST_FLOW_OK && ret != GST_FLOW_NOT_LINKED)
    pause_task (self, ret);
}

static gboolean
activate_mode (GstPad * pad, GstObject * parent, GstPadMode mode,
    gboolean active)
{
  GstMoshiTextPad *self = gst_pad_get_element_private (pad);

  if (mode != GST_PAD_MODE_PUSH || self == NULL)
    return mode == GST_PAD_MODE_PUSH && !active;

  g_mutex_lock (&self->lock);
  self->active = active;
  self->flushing = !active;
  if (!active)
    clear_locked (self);
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);

  if (active)
    return gst_pad_start_task (pad, push_text, self, NULL);
  return gst_pad_stop_task (pad);
}

/**
 * gst_moshi_text_pad_new:
 * @pad: a src pad, not yet active nor added
 * @element: whose it will be
 *
 * Returns: (transfer full): the branch behind @pad
 */
GstMoshiTextPad *
gst_moshi_text_pad_new (GstPad * pad, GstElement * element)
{
  GstMoshiTextPad *self = g_new0 (GstMoshiTextPad, 1);

  GST_DEBUG_CATEGORY_INIT (moshitextpad_debug, "moshitextpad", 0,
      "Moshi: the text branch");
  self->element = element;
  self->pad = gst_object_ref (pad);
  self->flushing = TRUE;
  self->audio = self->text = GST_CLOCK_TIME_NONE;
  g_mutex_init (&self->lock);
  g_cond_init (&self->cond);
  g_queue_init (&self->queue);
  gst_pad_set_element_private (pad, self);
  gst_pad_set_activatemode_function (pad, activate_mode);
  return self;
}

/**
 * gst_moshi_text_pad_free:
 * @self: (transfer full): a branch whose pad is inactive
 */
void
gst_moshi_text_pad_free (GstMoshiTextPad * self)
{
  gst_pad_set_element_private (self->pad, NULL);
  g_mutex_lock (&self->lock);
  clear_locked (self);
  g_mutex_unlock (&self->lock);
  gst_object_unref (self->pad);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->cond);
  g_free (self);
}

/**
 * gst_moshi_text_pad_get_pad:
 * @self: a branch
 *
 * Returns: (transfer none): its pad
 */
GstPad *
gst_moshi_text_pad_get_pad (GstMoshiTextPad * self)
{
  return self->pad;
}

/**
 * gst_moshi_text_pad_is_active:
 * @self: a branch
 *
 * Returns: whether what is given to it now will be pushed
 */
gboolean
gst_moshi_text_pad_is_active (GstMoshiTextPad * self)
{
  gboolean active;

  g_mutex_lock (&self->lock);
  active = !self->flushing;
  g_mutex_unlock (&self->lock);
  return active;
}

/* The end of the audio is the end of the text, though nothing was said. */
static void
queue_gap_locked (GstMoshiTextPad * self)
MOSHI_REQUIRES (self->lock)
{
  if (self->flushing || !GST_CLOCK_TIME_IS_VALID (self->audio)
      || !GST_CLOCK_TIME_IS_VALID (self->text) || self->audio <= self->text)
    return;
  g_queue_push_tail (&self->queue, gst_event_new_gap (self->text,
          self->audio - self->text));
  self->text = self->audio;
}

/**
 * gst_moshi_text_pad_event:
 * @self: a branch
 * @event: (transfer full): to be pushed after what was given before
 */
void
gst_moshi_text_pad_event (GstMoshiTextPad * self, GstEvent * event)
{
  g_mutex_lock (&self->lock);
  if (GST_EVENT_TYPE (event) == GST_EVENT_EOS)
    queue_gap_locked (self);
  if (GST_EVENT_TYPE (event) == GST_EVENT_SEGMENT)
    self->audio = self->text = GST_CLOCK_TIME_NONE;
  if (self->flushing) {
    gst_event_unref (event);
  } else {
    g_queue_push_tail (&self->queue, event);
    g_cond_signal (&self->cond);
  }
  g_mutex_unlock (&self->lock);
}

static gboolean
is_gap (gpointer object)
{
  return GST_IS_EVENT (object) && GST_EVENT_TYPE (object) == GST_EVENT_GAP;
}

/* Makes room for a buffer: a blocked branch loses its oldest, and the gaps
 * before it. Other events stay. */
static void
drop_oldest_locked (GstMoshiTextPad * self)
MOSHI_REQUIRES (self->lock)
{
  GList *link = self->queue.head;
  gboolean found = FALSE;

  while (link && !found) {
    GList *next = link->next;

    found = GST_IS_BUFFER (link->data);
    if (found || is_gap (link->data)) {
      gst_mini_object_unref (link->data);
      g_queue_delete_link (&self->queue, link);
    }
    link = next;
  }
  self->n_buffers--;
  GST_WARNING_OBJECT (self->pad, "blocked: the oldest text is dropped");
}

/**
 * gst_moshi_text_pad_push:
 * @self: a branch
 * @buffer: (transfer full): text with PTS and duration, in order
 *
 * Never waits.
 */
void
gst_moshi_text_pad_push (GstMoshiTextPad * self, GstBuffer * buffer)
{
  GstClockTime pts = GST_BUFFER_PTS (buffer), end;

  g_mutex_lock (&self->lock);
  if (self->flushing) {
    gst_buffer_unref (buffer);
  } else {
    if (self->n_buffers >= GST_MOSHI_TEXT_PAD_MAX)
      drop_oldest_locked (self);
    if (GST_CLOCK_TIME_IS_VALID (self->text) && pts > self->text)
      g_queue_push_tail (&self->queue, gst_event_new_gap (self->text,
              pts - self->text));
    g_queue_push_tail (&self->queue, buffer);
    self->n_buffers++;
    end = pts + GST_BUFFER_DURATION (buffer);
    if (!GST_CLOCK_TIME_IS_VALID (self->text) || end > self->text)
      self->text = end;
    /* Collectpads takes a buffer's PTS for all that is known. */
    g_queue_push_tail (&self->queue, gst_event_new_gap (self->text, 0));
    g_cond_signal (&self->cond);
  }
  g_mutex_unlock (&self->lock);
}

/**
 * gst_moshi_text_pad_advance:
 * @self: a branch
 * @pts: no text will come that begins before this
 */
void
gst_moshi_text_pad_advance (GstMoshiTextPad * self, GstClockTime pts)
{
  g_mutex_lock (&self->lock);
  if (!GST_CLOCK_TIME_IS_VALID (self->text)) {
    /* The first gap has no length to wait for: sinks preroll on it. */
    self->text = pts;
    if (!self->flushing)
      g_queue_push_tail (&self->queue, gst_event_new_gap (pts, 0));
    g_cond_signal (&self->cond);
  }
  self->audio = pts;
  if (pts > self->text)
    g_cond_signal (&self->cond);
  g_mutex_unlock (&self->lock);
}

/**
 * gst_moshi_text_pad_drop:
 * @self: a branch
 * @pts: of the first buffer not wanted any more
 *
 * Drops what waits from @pts on; gaps and other events stay.
 */
void
gst_moshi_text_pad_drop (GstMoshiTextPad * self, GstClockTime pts)
{
  GList *link;

  g_mutex_lock (&self->lock);
  link = self->queue.head;
  while (link) {
    GList *next = link->next;

    if (GST_IS_BUFFER (link->data) && GST_BUFFER_PTS (link->data) >= pts) {
      gst_mini_object_unref (link->data);
      g_queue_delete_link (&self->queue, link);
      self->n_buffers--;
    }
    link = next;
  }
  g_mutex_unlock (&self->lock);
}

/**
 * gst_moshi_text_pad_flush_start:
 * @self: a branch
 *
 * Drops what waits and lets the task end its turn; the caller has pushed the
 * event, and pauses the task.
 */
void
gst_moshi_text_pad_flush_start (GstMoshiTextPad * self)
{
  g_mutex_lock (&self->lock);
  self->flushing = TRUE;
  clear_locked (self);
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
}

/**
 * gst_moshi_text_pad_flush_stop:
 * @self: a branch
 *
 * Starts the task again, if the pad is active.
 */
void
gst_moshi_text_pad_flush_stop (GstMoshiTextPad * self)
{
  gboolean active;

  g_mutex_lock (&self->lock);
  active = self->active;
  self->flushing = !active;
  g_mutex_unlock (&self->lock);
  if (active)
    gst_pad_start_task (self->pad, push_text, self, NULL);
}
