/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a call's sessions tell: messages, errors, and items for the halves
 *
 * All on the network thread, but for gst_moshi_call_give_up(). */

#include "gstmoshicallprivate.h"

#include "gstmoshierror.h"
#include "gstmoshijoin.h"
#include "gstmoshischedule.h"
#include "protocol/moshimetadata.h"

#define GST_CAT_DEFAULT gst_moshi_call_debug

/**
 * gst_moshi_call_post_progress:
 * @self: a call
 * @type: what kind of progress
 * @text: a sentence for the user
 *
 * Any thread, with no lock held.
 */
void
gst_moshi_call_post_progress (GstMoshiCall * self, GstProgressType type,
    const gchar * text)
{
  gst_element_post_message (self->element,
      gst_message_new_progress (GST_OBJECT (self->element), type, "open",
          text));
}

static void
post_element_message (GstMoshiCall * self, GstStructure * structure)
{
  gst_element_post_message (self->element,
      gst_message_new_element (GST_OBJECT (self->element), structure));
}

/**
 * gst_moshi_call_notify_state:
 * @self: a call with a talk
 *
 * Any thread, with no lock held. Tells who listens elsewhere, in the other
 * element of a pair, too.
 */
void
gst_moshi_call_notify_state (GstMoshiCall * self)
{
  GstMoshiTalk *talk = self->talk;
  GstElement *listener = NULL;

  g_mutex_lock (&talk->lock);
  if (talk->schedule)
    listener = gst_object_ref (talk->schedule->element);
  g_mutex_unlock (&talk->lock);

  g_object_notify (G_OBJECT (self->element), "connection-state");
  if (listener && listener != self->element)
    g_object_notify (G_OBJECT (listener), "connection-state");
  gst_clear_object (&listener);
}

/**
 * gst_moshi_call_set_state:
 * @self: a call with a talk
 * @state: of the current session
 * @index: which session that is
 *
 * Network thread, with no lock held: notifies, and tells the bus.
 */
void
gst_moshi_call_set_state (GstMoshiCall * self, MoshiLifeState state,
    guint index)
{
  GST_INFO_OBJECT (self->element, "session %u is %s", index,
      moshi_life_state_nick (state));
  g_mutex_lock (&self->talk->lock);
  self->talk->state = state;
  g_mutex_unlock (&self->talk->lock);
  gst_moshi_call_notify_state (self);
  post_element_message (self, gst_structure_new ("moshi-session",
          "state", G_TYPE_STRING, moshi_life_state_nick (state),
          "session-index", G_TYPE_UINT, index,
          "uri", G_TYPE_STRING, self->uri, NULL));
}

static gdouble
to_seconds (guint64 ticks)
{
  return gst_moshi_ticks_to_time (ticks) / (gdouble) GST_SECOND;
}

/* In batch an answer that got lost cannot be made up for: how far it came. The
 * output begins with the model's delay, which answers nothing. */
static GError *
explain_loss (GstMoshiCall * self, const GError * error)
{
  GstMoshiTalk *talk = self->talk;
  guint64 sent, pushed, delay;

  g_mutex_lock (&talk->lock);
  sent = talk->sent;
  pushed = talk->pushed;
  delay = talk->schedule ? talk->schedule->model_delay : 0;
  g_mutex_unlock (&talk->lock);

  return g_error_new (error->domain, error->code,
      "%s Of the input %.2f s were sent; the answer to the first %.2f s of it "
      "is out, at the end of %.2f s of output.", error->message,
      to_seconds (sent), to_seconds (pushed - MIN (pushed, delay)),
      to_seconds (pushed));
}

/* These drop a caller they cannot serve, without saying why. */
static GError *
explain_refusal (GstMoshiCall * self, const GError * error)
{
  const gchar *hint = self->dialect == GST_MOSHI_DIALECT_MOSHIVIS
      ? "MoshiVis drops a caller whose image it cannot decode: try another."
      : "PersonaPlex drops a caller whose prompts it cannot use: check that "
      "voice-prompt names a voice it has, and set text-prompt.";

  return g_error_new (error->domain, error->code, "%s %s", error->message,
      hint);
}

static gboolean
may_be_refused (GstMoshiCall * self)
{
  return !self->begun && (self->dialect == GST_MOSHI_DIALECT_MOSHIVIS
      || self->dialect == GST_MOSHI_DIALECT_PERSONAPLEX);
}

static gboolean
is_batch_under_way (GstMoshiCall * self)
{
  GstMoshiTalk *talk = self->talk;
  gboolean under_way;

  g_mutex_lock (&talk->lock);
  under_way = talk->known && !talk->live && talk->sent > 0;
  g_mutex_unlock (&talk->lock);
  return under_way;
}

/**
 * gst_moshi_call_give_up:
 * @self: a call
 * @error: why
 * @http_status: with it, or 0
 * @close_code: with it, or 0
 *
 * Any thread. The first error is posted, and no event counts from then on.
 */
void
gst_moshi_call_give_up (GstMoshiCall * self, const GError * error,
    guint http_status, guint close_code)
{
  g_autoptr (GError) explained = NULL;

  if (!g_atomic_int_compare_and_exchange (&self->over, FALSE, TRUE))
    return;

  if (error->code == MOSHI_ERROR_LOST && is_batch_under_way (self))
    error = explained = explain_loss (self, error);
  else if (error->code == MOSHI_ERROR_LOST && may_be_refused (self))
    error = explained = explain_refusal (self, error);
  gst_moshi_call_post_progress (self, GST_PROGRESS_TYPE_ERROR, error->message);
  gst_moshi_error_post (self->element, error, http_status, close_code);
  gst_moshi_talk_fail (self->talk);
}

/* Network thread */
static void
fail (GstMoshiCall * self, const GError * error, guint http_status,
    guint close_code)
{
  gst_moshi_call_give_up (self, error, http_status, close_code);
  gst_moshi_call_end_leg (self, &self->current);
  gst_moshi_call_end_leg (self, &self->next);
  gst_moshi_call_end_leg (self, &self->old);
}

/* The halves first: who hears that it is ready may speak at once. */
static void
tell_halves (GstMoshiCall * self, const MoshiSessionEvent * event)
{
  if (event->state == MOSHI_LIFE_READY)
    gst_moshi_call_start_current (self);
  else if (event->state != MOSHI_LIFE_DRAINING)
    gst_moshi_talk_set_ready (self->talk, FALSE);
}

static void
on_state (GstMoshiCall * self, const MoshiSessionEvent * event)
{
  tell_halves (self, event);
  gst_moshi_call_set_state (self, event->state,
      gst_moshi_call_get_index (self));

  switch (event->state) {
    case MOSHI_LIFE_WAITING:
      gst_moshi_call_post_progress (self, GST_PROGRESS_TYPE_CONTINUE,
          self->dialect == GST_MOSHI_DIALECT_PERSONAPLEX
          ? "Connected; the server takes voice and role in, or is busy"
          : "Connected; waiting for the server to begin, it may be busy");
      break;
    case MOSHI_LIFE_READY:
      self->begun = TRUE;
      gst_moshi_call_post_progress (self, GST_PROGRESS_TYPE_COMPLETE,
          "Moshi is listening");
      break;
    case MOSHI_LIFE_LOST:
      self->lost = TRUE;
      break;
    case MOSHI_LIFE_CONNECTING:
      if (self->lost)
        gst_moshi_call_post_progress (self, GST_PROGRESS_TYPE_START,
            "Connecting to the server again");
      self->lost = FALSE;
      break;
    case MOSHI_LIFE_DRAINING:
      if (self->next)
        moshi_session_close (self->next->session);
      break;
    case MOSHI_LIFE_CLOSED:
    case MOSHI_LIFE_IDLE:
      break;
  }
}

static void
on_packet (GstMoshiCall * self, GstMoshiCallLeg * leg,
    const MoshiSessionEvent * event)
{
  g_autoptr (GError) error = NULL;

  if (gst_moshi_talk_packet (self->talk, leg->number, event->bytes,
          event->time)) {
    if (leg == self->current)
      gst_moshi_call_check_renewal (self, event->bytes);
  } else if (is_batch_under_way (self)) {
    g_set_error (&error, MOSHI_ERROR, MOSHI_ERROR_LOST,
        "The server sends more than it was asked for.");
    fail (self, error, 0, 0);
  }
}

static void
set_field (GstStructure * structure, const MoshiMetadataField * field)
{
  switch (field->kind) {
    case 'i':
      gst_structure_set (structure, field->name, G_TYPE_INT64, field->integer,
          NULL);
      break;
    case 'b':
      gst_structure_set (structure, field->name, G_TYPE_BOOLEAN,
          field->integer != 0, NULL);
      break;
    case 'd':
      gst_structure_set (structure, field->name, G_TYPE_DOUBLE, field->number,
          NULL);
      break;
    default:
      gst_structure_set (structure, field->name, G_TYPE_STRING, field->string,
          NULL);
  }
}

static void
on_metadata (GstMoshiCall * self, GstMoshiCallLeg * leg,
    const MoshiSessionEvent * event)
{
  gsize size;
  const guint8 *data = g_bytes_get_data (event->bytes, &size);
  g_autoptr (GError) error = NULL;
  g_autofree gchar *json = NULL;
  g_autoptr (GPtrArray) fields =
      moshi_metadata_parse (data, size, &json, &error);
  GstStructure *structure = gst_structure_new_empty ("moshi-metadata");
  guint i;

  for (i = 0; fields && i < fields->len; i++)
    set_field (structure, g_ptr_array_index (fields, i));
  if (json)
    gst_structure_set (structure, "json", G_TYPE_STRING, json, NULL);
  gst_structure_set (structure, "session-index", G_TYPE_UINT,
      leg->state ==
      MOSHI_LIFE_READY ? gst_moshi_call_get_index (self) : self->n_sessions,
      NULL);
  if (error)
    GST_WARNING_OBJECT (self->element, "server metadata: %s", error->message);
  post_element_message (self, structure);

  gst_moshi_talk_bytes (self->talk, leg->number, GST_MOSHI_ITEM_METADATA,
      event->bytes, -1);
}

/* Batch: sessions that are lost again and again at the same place do not get
 * through it. */
static gboolean
is_stuck (GstMoshiCall * self)
{
  const gint retries = self->config->life.retries;
  GstMoshiProgress progress;

  gst_moshi_talk_get_progress (self->talk, &progress);
  if (!progress.batch || progress.received > self->stuck_at)
    self->stuck = 0;
  else
    self->stuck++;
  self->stuck_at = progress.received;
  return retries >= 0 && self->stuck > (guint) retries;
}

/* How long it was tells of a limit, if the server was well until then. */
static void
learn_limit (GstMoshiCall * self, const GError * error)
{
  GstMoshiProgress progress;

  gst_moshi_talk_get_progress (self->talk, &progress);
  if (error->code == MOSHI_ERROR_LOST)
    moshi_renewal_learn (&self->renewal, progress.answered);
}

/* What an outage has cost so far goes with each warning of it. */
static GstStructure *
count_loss (GstMoshiCall * self)
{
  GstMoshiTalk *talk = self->talk;
  guint64 unanswered, unsent;

  g_mutex_lock (&talk->lock);
  unanswered = talk->sent - MIN (talk->sent, talk->received);
  unsent = talk->unsent;
  g_mutex_unlock (&talk->lock);
  return gst_structure_new ("details",
      "unanswered", G_TYPE_UINT64, gst_moshi_ticks_to_time (unanswered),
      "input-unsent", G_TYPE_UINT64, gst_moshi_ticks_to_time (unsent), NULL);
}

static void
on_retry (GstMoshiCall * self, const MoshiSessionEvent * event)
{
  g_autofree gchar *text = NULL;

  learn_limit (self, event->error);
  if (is_batch_under_way (self) && is_stuck (self)) {
    fail (self, event->error, event->http_status, event->close_code);
    return;
  }

  gst_moshi_warning_post (self->element, event->error, count_loss (self));
  if (gst_moshi_call_stand_in (self))
    return;
  text = g_strdup_printf ("Trying again in %.1f s", event->delay / 1000.0);
  gst_moshi_call_post_progress (self, GST_PROGRESS_TYPE_CONTINUE, text);
}

/* No retries are left, or none are wanted; but what waits already is no retry. */
static void
on_failed (GstMoshiCall * self, const MoshiSessionEvent * event)
{
  if (self->next && self->next->state == MOSHI_LIFE_READY
      && event->error->code == MOSHI_ERROR_LOST) {
    gst_moshi_warning_post (self->element, event->error, count_loss (self));
    gst_moshi_call_stand_in (self);
  } else {
    fail (self, event->error, event->http_status, event->close_code);
  }
}

static void
on_current (GstMoshiCall * self, GstMoshiCallLeg * leg,
    const MoshiSessionEvent * event)
{
  switch (event->kind) {
    case MOSHI_SESSION_STATE:
      on_state (self, event);
      break;
    case MOSHI_SESSION_PACKET:
      on_packet (self, leg, event);
      break;
    case MOSHI_SESSION_TEXT:
      gst_moshi_talk_bytes (self->talk, leg->number, GST_MOSHI_ITEM_TEXT,
          event->bytes, event->color);
      break;
    case MOSHI_SESSION_METADATA:
      on_metadata (self, leg, event);
      break;
    case MOSHI_SESSION_RETRY:
      on_retry (self, event);
      break;
    case MOSHI_SESSION_WARNING:
      gst_moshi_warning_post (self->element, event->error, NULL);
      break;
    case MOSHI_SESSION_FAILED:
      on_failed (self, event);
      break;
    case MOSHI_SESSION_FINISHED:
      break;
  }
}

/* The next session is not to take over, at least not yet. FALSE if it has just
 * done so: live, that is for the streaming thread to say. */
static gboolean
hold_back (GstMoshiCall * self, GstMoshiCallLeg * leg)
{
  gst_moshi_talk_drop_leg (self->talk, leg->number);
  gst_moshi_call_finish_change_over (self);
  if (leg != self->next)
    return FALSE;
  self->turning = FALSE;
  return TRUE;
}

/* Its troubles are not the conversation's, which goes on. */
static void
on_next (GstMoshiCall * self, GstMoshiCallLeg * leg,
    const MoshiSessionEvent * event)
{
  switch (event->kind) {
    case MOSHI_SESSION_METADATA:
      on_metadata (self, leg, event);
      break;
    case MOSHI_SESSION_STATE:
      gst_moshi_call_check_renewal (self, NULL);
      break;
    case MOSHI_SESSION_RETRY:
      if (!hold_back (self, leg)) {
        on_current (self, leg, event);
        break;
      }
      GST_INFO_OBJECT (self->element, "the next session: %s",
          event->error->message);
      break;
    case MOSHI_SESSION_FAILED:
      if (!hold_back (self, leg)) {
        on_current (self, leg, event);
        break;
      }
      GST_WARNING_OBJECT (self->element, "no second session: %s",
          event->error->message);
      self->next_failed = TRUE;
      gst_moshi_call_end_leg (self, &self->next);
      break;
    default:
      break;
  }
}

static void
on_old (GstMoshiCall * self, GstMoshiCallLeg * leg,
    const MoshiSessionEvent * event)
{
  switch (event->kind) {
    case MOSHI_SESSION_PACKET:
      on_packet (self, leg, event);
      if (!gst_moshi_talk_waits_for_leg (self->talk, leg->number))
        moshi_session_close (leg->session);
      break;
    case MOSHI_SESSION_TEXT:
      gst_moshi_talk_bytes (self->talk, leg->number, GST_MOSHI_ITEM_TEXT,
          event->bytes, event->color);
      break;
    case MOSHI_SESSION_RETRY:
    case MOSHI_SESSION_FAILED:
    case MOSHI_SESSION_FINISHED:
      gst_moshi_call_end_leg (self, &self->old);
      break;
    default:
      break;
  }
}

/**
 * gst_moshi_call_on_event:
 * @session: whose event it is
 * @event: what happened
 * @user_data: its leg
 *
 * Network thread: what a session tells becomes messages, errors, and items for
 * the halves.
 */
void
gst_moshi_call_on_event (MoshiSession * session,
    const MoshiSessionEvent * event, gpointer user_data)
{
  GstMoshiCallLeg *leg = user_data;
  GstMoshiCall *self = leg->call;

  if (g_atomic_int_get (&self->over))
    return;

  gst_moshi_call_finish_change_over (self);
  gst_moshi_call_reap (self, leg);
  leg->state = event->state;
  if (event->kind == MOSHI_SESSION_STATE)
    leg->greeting = event->greeting;
  if (leg == self->current)
    on_current (self, leg, event);
  else if (leg == self->next)
    on_next (self, leg, event);
  else if (leg == self->old)
    on_old (self, leg, event);
}
