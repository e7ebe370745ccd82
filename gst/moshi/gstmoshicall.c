/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* An element's hold on its sessions
 *
 * A conversation may outlive a session: one that comes to its limit is renewed.
 * `current` is what the user talks on. Some time before its limit `next` is
 * opened and waits; it takes over, live, in one of Moshi's silences, and what
 * was current is `old` until its last answers are here and it has closed. On a
 * server that holds one session at a time `next` waits without a handshake until
 * `old` has closed: then there is a gap, as short as that takes.
 *
 * A session that is lost is followed by another, first by `next` if there is
 * one. Batch then goes on where the answers stopped: see gstmoshijoin.c.
 *
 * The sessions' events come on the network thread, which many sessions share:
 * nothing here waits. Messages are posted and properties notified with no lock
 * held. */

#include "gstmoshicallprivate.h"

#include "gstmoshierror.h"
#include "gstmoshijoin.h"
#include "gstmoshischedule.h"
#include "protocol/moshimetadata.h"
#include "protocol/moshiopus.h"

GST_DEBUG_CATEGORY_STATIC (moshicall_debug);
#define GST_CAT_DEFAULT moshicall_debug

/* Live: a silence of Moshi's that is long enough to change over in, in ticks:
 * shorter ones are within words. */
#define QUIET_ENOUGH GST_MOSHI_MS_TO_TICKS (300)

/* What level is listened at, and the longest packet at that rate */
#define EAR_RATE 8000
#define EAR_FRAMES (EAR_RATE * 120 / 1000)

static void on_event (MoshiSession * session, const MoshiSessionEvent * event,
    gpointer user_data);
static gboolean on_certificate (MoshiSession * session,
    GTlsCertificate * certificate, GTlsCertificateFlags errors,
    gpointer user_data);

/**
 * gst_moshi_call_new:
 * @element: whose call it is
 * @accept: asked about certificates that do not pass
 *
 * Returns: (transfer full): a call
 */
GstMoshiCall *
gst_moshi_call_new (GstElement * element, GstMoshiCallCertificateFunc accept)
{
  GstMoshiCall *self = g_new0 (GstMoshiCall, 1);

  GST_DEBUG_CATEGORY_INIT (moshicall_debug, "moshicall", 0,
      "Moshi: the life of sessions");
  self->element = element;
  self->accept = accept;
  g_mutex_init (&self->lock);
  self->legs = g_ptr_array_new ();
  return self;
}

/**
 * gst_moshi_call_free:
 * @self: (transfer full): a call
 */
void
gst_moshi_call_free (GstMoshiCall * self)
{
  gst_moshi_call_stop (self);
  g_clear_pointer (&self->talk, gst_moshi_talk_unref);
  g_clear_pointer (&self->image, g_bytes_unref);
  g_ptr_array_unref (self->legs);
  g_mutex_clear (&self->lock);
  g_free (self->uri);
  g_free (self);
}

static void
post_progress (GstMoshiCall * self, GstProgressType type, const gchar * text)
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

/* Tells who listens elsewhere, in the other element of a pair, too. */
static void
notify_state (GstMoshiCall * self)
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

static void
set_state (GstMoshiCall * self, MoshiLifeState state, guint index)
{
  GST_INFO_OBJECT (self->element, "session %u is %s", index,
      moshi_life_state_nick (state));
  g_mutex_lock (&self->talk->lock);
  self->talk->state = state;
  g_mutex_unlock (&self->talk->lock);
  notify_state (self);
  post_element_message (self, gst_structure_new ("moshi-session",
          "state", G_TYPE_STRING, moshi_life_state_nick (state),
          "session-index", G_TYPE_UINT, index,
          "uri", G_TYPE_STRING, self->uri, NULL));
}

/* In batch an answer that got lost cannot be made up for: how far it came */
static GError *
explain_loss (GstMoshiCall * self, const GError * error)
{
  GstMoshiTalk *talk = self->talk;
  GstClockTime sent, pushed;

  g_mutex_lock (&talk->lock);
  sent = gst_moshi_ticks_to_time (talk->sent);
  pushed = gst_moshi_ticks_to_time (talk->pushed);
  g_mutex_unlock (&talk->lock);

  return g_error_new (error->domain, error->code,
      "%s The answer to the first %.2f s of the input is out, %.2f s were sent.",
      error->message, pushed / (gdouble) GST_SECOND,
      sent / (gdouble) GST_SECOND);
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

/* --- legs ---------------------------------------------------------------- */

/* It is in the call's list before it can have an event, so that a stop finds it
 * at whatever moment it comes. */
static GstMoshiCallLeg *
new_leg (GstMoshiCall * self, GError ** error)
{
  GstMoshiCallLeg *leg = g_new0 (GstMoshiCallLeg, 1);

  leg->call = self;
  leg->session = moshi_session_new (self->config, on_event, on_certificate, leg,
      g_free, error);
  if (leg->session == NULL) {
    g_free (leg);
    return NULL;
  }
  leg->number = ++self->n_legs;
  g_mutex_lock (&self->lock);
  g_ptr_array_add (self->legs, leg);
  gst_moshi_call_give_image_locked (self, leg->session);
  g_mutex_unlock (&self->lock);
  gst_moshi_talk_add_session (self->talk, leg->session);
  return leg;
}

/* The leg goes with its session, when no callback can run any more. */
static void
let_go (GstMoshiCall * self, GstMoshiCallLeg * leg)
{
  gst_moshi_talk_remove_session (self->talk, leg->session);
  moshi_session_unref (leg->session);
}

/* Network thread, from a callback of another leg: frees those that are over.
 * One that a stop has found is left to it. */
static void
reap (GstMoshiCall * self, GstMoshiCallLeg * but)
{
  const guint n = (self->current != NULL) + (self->next != NULL)
      + (self->old != NULL);
  g_autoptr (GPtrArray) over = g_ptr_array_new ();
  guint i;

  g_mutex_lock (&self->lock);
  for (i = self->legs->len; i-- > 0 && self->legs->len > n;) {
    GstMoshiCallLeg *leg = g_ptr_array_index (self->legs, i);

    if (leg != but && leg != self->current && leg != self->next
        && leg != self->old && !leg->stopped) {
      g_ptr_array_remove_index_fast (self->legs, i);
      g_ptr_array_add (over, leg);
    }
  }
  g_mutex_unlock (&self->lock);

  for (i = 0; i < over->len; i++)
    let_go (self, g_ptr_array_index (over, i));
}

/* Network thread: a leg that is nobody's any more; reap() frees it. */
static void
end_leg (GstMoshiCall * self, GstMoshiCallLeg ** leg)
{
  GstMoshiCallLeg *ended = g_steal_pointer (leg);

  if (ended == NULL)
    return;
  moshi_session_stop (ended->session);
  gst_moshi_talk_drop_leg (self->talk, ended->number);
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
  post_progress (self, GST_PROGRESS_TYPE_ERROR, error->message);
  gst_moshi_error_post (self->element, error, http_status, close_code);
  gst_moshi_talk_fail (self->talk);
}

/* Network thread */
static void
fail (GstMoshiCall * self, const GError * error, guint http_status,
    guint close_code)
{
  gst_moshi_call_give_up (self, error, http_status, close_code);
  end_leg (self, &self->current);
  end_leg (self, &self->next);
  end_leg (self, &self->old);
}

/* --- renewal --------------------------------------------------------------- */

/* The current session is ready, or about to become the current one: how long it
 * may be, and its index */
static guint
begin_session (GstMoshiCall * self, MoshiGreeting greeting)
{
  guint64 limit = moshi_renewal_get_limit (&self->renewal, greeting);

  self->has_plan = self->renews && moshi_renewal_plan (limit, &self->plan);
  self->next_failed = FALSE;
  self->quiet = 0;
  g_clear_pointer (&self->ear, moshi_opus_decoder_free);
  if (self->has_plan)
    GST_INFO_OBJECT (self->element, "session %u is renewed before %"
        GST_TIME_FORMAT, self->n_sessions,
        GST_TIME_ARGS (gst_moshi_ticks_to_time (self->plan.latest)));
  return self->n_sessions++;
}

static guint64
get_most (GstMoshiCall * self)
{
  return self->has_plan ? self->plan.latest : 0;
}

static guint
get_index (GstMoshiCall * self)
{
  return self->n_sessions > 0 ? self->n_sessions - 1 : 0;
}

static void
open_next (GstMoshiCall * self)
{
  g_autoptr (GError) error = NULL;

  GST_INFO_OBJECT (self->element, "opening the session after session %u",
      get_index (self));
  self->next = new_leg (self, &error);
  self->next_failed = self->next == NULL;
  if (self->next)
    moshi_session_open (self->next->session);
  else
    GST_WARNING_OBJECT (self->element, "%s", error->message);
}

/* Network thread: the current session takes audio. */
static void
start_current (GstMoshiCall * self)
{
  guint index = begin_session (self, self->current->greeting);

  gst_moshi_talk_started (self->talk, index, get_most (self));
}

/* The next session has taken over, or will with the next frame. */
static void
finish_change_over (GstMoshiCall * self)
{
  if (!self->turning || !gst_moshi_talk_has_turned (self->talk,
          self->next->number))
    return;
  self->turning = FALSE;
  end_leg (self, &self->old);
  self->old = self->current;
  self->current = g_steal_pointer (&self->next);
  /* It was not when the change was asked for. */
  if (self->current->state == MOSHI_LIFE_READY && !self->next_was_ready)
    start_current (self);
  set_state (self, self->current->state, get_index (self));
  if (self->current->state != MOSHI_LIFE_READY && self->talk->live)
    post_progress (self, GST_PROGRESS_TYPE_START, "Renewing the conversation: "
        "the next session begins as this one ends");
  /* In batch, its answers have been waited for. */
  if (!gst_moshi_talk_waits_for_leg (self->talk, self->old->number))
    moshi_session_close (self->old->session);
}

static void
change_over (GstMoshiCall * self)
{
  GstMoshiLeg successor = { NULL, };

  if (self->next == NULL)
    open_next (self);
  if (self->next == NULL)
    return;
  successor.session = self->next->session;
  successor.number = self->next->number;
  successor.ready = self->next->state == MOSHI_LIFE_READY;
  self->next_was_ready = successor.ready;
  self->has_plan = FALSE;
  if (successor.ready)
    successor.index = begin_session (self, self->next->greeting);
  successor.most = get_most (self);
  self->turning = TRUE;
  gst_moshi_talk_change_over (self->talk, &successor);
  finish_change_over (self);
}

/* A silence is looked for: by the level of what the server says, as it comes. */
static void
listen (GstMoshiCall * self, GBytes * packet)
{
  gint16 samples[EAR_FRAMES];
  gsize size;
  const guint8 *data = g_bytes_get_data (packet, &size);
  gint n;

  if (self->ear == NULL)
    self->ear = moshi_opus_decoder_new (EAR_RATE, 1, NULL);
  if (self->ear == NULL)
    return;
  n = moshi_opus_decoder_decode_s16 (self->ear, data, size, samples,
      EAR_FRAMES, NULL);
  if (n > 0 && gst_moshi_is_loud (samples, n, FALSE))
    self->quiet = 0;
  else
    self->quiet += moshi_opus_packet_duration (data, size);
}

static gboolean
is_due (GstMoshiCall * self, const GstMoshiProgress * progress)
{
  if (progress->batch)
    return progress->spent;
  if (!progress->live || progress->ended)
    return FALSE;
  return progress->used >= self->plan.latest
      || (progress->used >= self->plan.from && self->quiet >= QUIET_ENOUGH);
}

/* Network thread, whenever something has moved on */
static void
check_renewal (GstMoshiCall * self, GBytes * packet)
{
  GstMoshiProgress progress;

  if (!self->has_plan || self->turning)
    return;
  gst_moshi_talk_get_progress (self->talk, &progress);
  if (!progress.ready)
    return;
  if (self->next == NULL && !self->next_failed && !progress.ended
      && progress.used >= self->plan.open)
    open_next (self);
  if (packet && progress.live && progress.used >= self->plan.from)
    listen (self, packet);
  if (is_due (self, &progress))
    change_over (self);
}

/* The current session is over before its time: the next one stands in. */
static gboolean
stand_in (GstMoshiCall * self)
{
  GstMoshiCallLeg *leg = g_steal_pointer (&self->next);

  if (leg == NULL)
    return FALSE;
  self->turning = FALSE;
  end_leg (self, &self->current);
  self->current = leg;
  gst_moshi_talk_set_leg (self->talk, leg->session, leg->number);
  self->has_plan = FALSE;
  if (leg->state == MOSHI_LIFE_READY)
    start_current (self);
  set_state (self, leg->state, get_index (self));
  post_progress (self, GST_PROGRESS_TYPE_START,
      "The session that was to follow takes over");
  if (leg->state == MOSHI_LIFE_READY)
    post_progress (self, GST_PROGRESS_TYPE_COMPLETE, "Moshi is listening");
  return TRUE;
}

/* --- events ---------------------------------------------------------------- */

/* The halves first: who hears that it is ready may speak at once. */
static void
tell_halves (GstMoshiCall * self, const MoshiSessionEvent * event)
{
  if (event->state == MOSHI_LIFE_READY)
    start_current (self);
  else if (event->state != MOSHI_LIFE_DRAINING)
    gst_moshi_talk_set_ready (self->talk, FALSE);
}

static void
on_state (GstMoshiCall * self, const MoshiSessionEvent * event)
{
  tell_halves (self, event);
  set_state (self, event->state, get_index (self));

  switch (event->state) {
    case MOSHI_LIFE_WAITING:
      post_progress (self, GST_PROGRESS_TYPE_CONTINUE,
          self->dialect == GST_MOSHI_DIALECT_PERSONAPLEX
          ? "Connected; the server takes voice and role in, or is busy"
          : "Connected; waiting for the server to begin, it may be busy");
      break;
    case MOSHI_LIFE_READY:
      self->begun = TRUE;
      post_progress (self, GST_PROGRESS_TYPE_COMPLETE, "Moshi is listening");
      break;
    case MOSHI_LIFE_LOST:
      self->lost = TRUE;
      break;
    case MOSHI_LIFE_CONNECTING:
      if (self->lost)
        post_progress (self, GST_PROGRESS_TYPE_START,
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
      check_renewal (self, event->bytes);
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
      leg->state == MOSHI_LIFE_READY ? get_index (self) : self->n_sessions,
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

static void
on_retry (GstMoshiCall * self, const MoshiSessionEvent * event)
{
  g_autofree gchar *text = NULL;

  learn_limit (self, event->error);
  if (is_batch_under_way (self) && is_stuck (self)) {
    fail (self, event->error, event->http_status, event->close_code);
    return;
  }

  gst_moshi_warning_post (self->element, event->error, NULL);
  if (stand_in (self))
    return;
  text = g_strdup_printf ("Trying again in %.1f s", event->delay / 1000.0);
  post_progress (self, GST_PROGRESS_TYPE_CONTINUE, text);
}

/* No retries are left, or none are wanted; but what waits already is no retry. */
static void
on_failed (GstMoshiCall * self, const MoshiSessionEvent * event)
{
  if (self->next && self->next->state == MOSHI_LIFE_READY
      && event->error->code == MOSHI_ERROR_LOST) {
    gst_moshi_warning_post (self->element, event->error, NULL);
    stand_in (self);
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
      check_renewal (self, NULL);
      break;
    case MOSHI_SESSION_RETRY:
      self->turning = FALSE;
      gst_moshi_talk_drop_leg (self->talk, leg->number);
      GST_INFO_OBJECT (self->element, "the next session: %s",
          event->error->message);
      break;
    case MOSHI_SESSION_FAILED:
      GST_WARNING_OBJECT (self->element, "no second session: %s",
          event->error->message);
      self->next_failed = TRUE;
      self->turning = FALSE;
      end_leg (self, &self->next);
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
      end_leg (self, &self->old);
      break;
    default:
      break;
  }
}

static void
on_event (MoshiSession * session, const MoshiSessionEvent * event,
    gpointer user_data)
{
  GstMoshiCallLeg *leg = user_data;
  GstMoshiCall *self = leg->call;

  if (g_atomic_int_get (&self->over))
    return;

  finish_change_over (self);
  reap (self, leg);
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

static gboolean
on_certificate (MoshiSession * session, GTlsCertificate * certificate,
    GTlsCertificateFlags errors, gpointer user_data)
{
  GstMoshiCallLeg *leg = user_data;

  return leg->call->accept (leg->call->element, certificate, errors);
}

/* --- from the element ------------------------------------------------------ */

/* What the server is asked for, by whichever property */
static guint
get_max_steps (const MoshiSessionConfig * config)
{
  guint64 steps;
  guint i;

  for (i = 0; config->query && i + 1 < config->query->len; i += 2) {
    if (g_str_equal (config->query->pdata[i], "max_steps")
        && g_ascii_string_to_unsigned (config->query->pdata[i + 1], 10, 1,
            G_MAXUINT, &steps, NULL))
      return steps;
  }
  return 0;
}

/* What the user has switched off is not off in silence. */
static void
warn_of_risk (GstMoshiCall * self, MoshiSession * session)
{
  g_autoptr (GError) error = NULL;

  if (moshi_session_get_risk (session) == NULL)
    return;
  error = g_error_new_literal (MOSHI_ERROR, MOSHI_ERROR_SETTINGS,
      moshi_session_get_risk (session));
  gst_moshi_warning_post (self->element, error, NULL);
}

/* The image's thread may read it while the audio's begins another session, on
 * the same talk. */
static void
take_talk (GstMoshiCall * self, GstMoshiTalk * talk)
{
  if (self->talk == talk)
    return;
  g_clear_pointer (&self->talk, gst_moshi_talk_unref);
  self->talk = gst_moshi_talk_ref (talk);
}

static void
reset (GstMoshiCall * self, GstMoshiTalk * talk, MoshiSessionConfig * config,
    const GstMoshiSettings * settings)
{
  take_talk (self, talk);
  self->config = config;
  self->n_legs = self->n_sessions = 0;
  self->begun = FALSE;
  self->lost = self->has_plan = self->next_failed = self->turning = FALSE;
  self->stuck = 0;
  self->stuck_at = 0;
  self->renews = settings->session_renew;
  moshi_renewal_init (&self->renewal, settings->session_limit,
      get_max_steps (config));
}

/**
 * gst_moshi_call_start:
 * @self: a stopped call
 * @talk: (transfer none): where the halves meet
 * @settings: what the user wants
 *
 * Begins to connect; does not wait. An error of the settings is posted.
 *
 * Returns: %FALSE if the settings cannot be used
 */
gboolean
gst_moshi_call_start (GstMoshiCall * self, GstMoshiTalk * talk,
    const GstMoshiSettings * settings)
{
  MoshiSessionConfig *config = NULL;
  g_autoptr (GError) error = NULL;
  gboolean waits;

  if (!gst_moshi_settings_to_config (settings, TRUE, &config, &error)) {
    gst_moshi_error_post (self->element, error, 0, 0);
    return FALSE;
  }
  waits = gst_moshi_call_prepare_image (self, settings, config);
  reset (self, talk, config, settings);
  self->current = new_leg (self, &error);
  if (self->current == NULL) {
    g_clear_pointer (&self->config, moshi_session_config_free);
    gst_moshi_error_post (self->element, error, 0, 0);
    return FALSE;
  }

  g_atomic_int_set (&self->over, FALSE);
  g_free (self->uri);
  self->uri = moshi_session_dup_redacted_uri (self->current->session);
  post_progress (self, GST_PROGRESS_TYPE_START, "Connecting to the server");
  if (waits)
    post_progress (self, GST_PROGRESS_TYPE_CONTINUE,
        "Waiting for the image that the conversation begins with");
  warn_of_risk (self, self->current->session);
  gst_moshi_talk_set_leg (self->talk, self->current->session,
      self->current->number);
  moshi_session_open (self->current->session);
  return TRUE;
}

/* A leg that was not stopped yet, with a reference on its session. No callback
 * that could make another runs once all of them are. */
static MoshiSession *
find_unstopped (GstMoshiCall * self)
{
  MoshiSession *session = NULL;
  guint i;

  g_mutex_lock (&self->lock);
  for (i = 0; i < self->legs->len && session == NULL; i++) {
    GstMoshiCallLeg *leg = g_ptr_array_index (self->legs, i);

    if (!leg->stopped)
      session = moshi_session_ref (leg->session);
    leg->stopped = TRUE;
  }
  g_mutex_unlock (&self->lock);
  return session;
}

static void
stop_legs (GstMoshiCall * self)
{
  MoshiSession *session;
  guint i;

  while ((session = find_unstopped (self)) != NULL) {
    moshi_session_stop (session);
    moshi_session_unref (session);
  }
  for (i = 0; i < self->legs->len; i++)
    let_go (self, g_ptr_array_index (self->legs, i));
  g_ptr_array_set_size (self->legs, 0);
  self->current = self->next = self->old = NULL;
  g_clear_pointer (&self->ear, moshi_opus_decoder_free);
  g_clear_pointer (&self->config, moshi_session_config_free);
  g_mutex_lock (&self->lock);
  self->image_wanted = FALSE;
  g_mutex_unlock (&self->lock);
}

/**
 * gst_moshi_call_stop:
 * @self: a call
 *
 * Cancels at whatever step it is. No event comes any more.
 */
void
gst_moshi_call_stop (GstMoshiCall * self)
{
  MoshiLifeState state;

  /* Events that are under way see it, and keep their hands off the bus. The talk
   * stays for them. */
  g_atomic_int_set (&self->over, TRUE);
  if (self->talk == NULL)
    return;
  state = gst_moshi_talk_get_state (self->talk);
  gst_moshi_talk_set_ready (self->talk, FALSE);
  stop_legs (self);
  gst_moshi_talk_hang_up (self->talk);
  if (state == MOSHI_LIFE_CONNECTING || state == MOSHI_LIFE_WAITING)
    post_progress (self, GST_PROGRESS_TYPE_CANCELED, "Stopped");
  if (state != MOSHI_LIFE_IDLE)
    notify_state (self);
}
