/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* An element's hold on a session
 *
 * The session's events come on the network thread, which many sessions share:
 * nothing here waits. Messages are posted and properties notified with no lock
 * held. */

#include "gstmoshicall.h"

#include "gstmoshierror.h"
#include "gstmoshischedule.h"
#include "protocol/moshimetadata.h"

GST_DEBUG_CATEGORY_STATIC (moshicall_debug);
#define GST_CAT_DEFAULT moshicall_debug

struct _GstMoshiCall
{
  GstElement *element;          /* not owned: it owns us */
  GstMoshiCallCertificateFunc accept;

  /* Network thread, and whoever starts and stops while it is not */
  GstMoshiTalk *talk;           /* of the last start */
  gchar *uri;                   /* redacted */
  gboolean lost;                /* a session was, and the next is not ready */

  gint over;                    /* atomic: the end is on the bus, or wanted */
};

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

static void
fail (GstMoshiCall * self, const GError * error, guint http_status,
    guint close_code)
{
  g_autoptr (GError) explained = NULL;

  if (!g_atomic_int_compare_and_exchange (&self->over, FALSE, TRUE))
    return;

  if (error->code == MOSHI_ERROR_LOST && is_batch_under_way (self))
    error = explained = explain_loss (self, error);
  post_progress (self, GST_PROGRESS_TYPE_ERROR, error->message);
  gst_moshi_error_post (self->element, error, http_status, close_code);
  gst_moshi_talk_fail (self->talk);
}

static void
on_state (GstMoshiCall * self, const MoshiSessionEvent * event)
{
  /* The halves first: who hears that it is ready may speak at once. */
  if (event->state == MOSHI_LIFE_READY)
    gst_moshi_talk_started (self->talk, event->index);
  else if (event->state != MOSHI_LIFE_DRAINING)
    gst_moshi_talk_set_ready (self->talk, FALSE);
  set_state (self, event->state, event->index);

  switch (event->state) {
    case MOSHI_LIFE_WAITING:
      post_progress (self, GST_PROGRESS_TYPE_CONTINUE,
          "Connected; waiting for the server to begin, it may be busy");
      break;
    case MOSHI_LIFE_READY:
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
    case MOSHI_LIFE_CLOSED:
    case MOSHI_LIFE_IDLE:
    case MOSHI_LIFE_DRAINING:
      break;
  }
}

static void
on_packet (GstMoshiCall * self, MoshiSession * session,
    const MoshiSessionEvent * event)
{
  g_autoptr (GError) error = NULL;

  if (gst_moshi_talk_packet (self->talk, event->bytes, event->time))
    return;

  if (is_batch_under_way (self)) {
    g_set_error (&error, MOSHI_ERROR, MOSHI_ERROR_LOST,
        "The server sends more than it was asked for.");
    fail (self, error, 0, 0);
    moshi_session_stop (session);
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
on_metadata (GstMoshiCall * self, const MoshiSessionEvent * event)
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
  gst_structure_set (structure, "session-index", G_TYPE_UINT, event->index,
      NULL);
  if (error)
    GST_WARNING_OBJECT (self->element, "server metadata: %s", error->message);
  post_element_message (self, structure);

  gst_moshi_talk_bytes (self->talk, GST_MOSHI_ITEM_METADATA, event->bytes, -1);
}

static void
on_retry (GstMoshiCall * self, MoshiSession * session,
    const MoshiSessionEvent * event)
{
  g_autofree gchar *text = NULL;

  if (is_batch_under_way (self)) {
    fail (self, event->error, event->http_status, event->close_code);
    moshi_session_stop (session);
    return;
  }

  text = g_strdup_printf ("Trying again in %.1f s", event->delay / 1000.0);
  gst_moshi_warning_post (self->element, event->error, NULL);
  post_progress (self, GST_PROGRESS_TYPE_CONTINUE, text);
}

static void
on_event (MoshiSession * session, const MoshiSessionEvent * event,
    gpointer user_data)
{
  GstMoshiCall *self = user_data;

  if (g_atomic_int_get (&self->over))
    return;

  switch (event->kind) {
    case MOSHI_SESSION_STATE:
      on_state (self, event);
      break;
    case MOSHI_SESSION_PACKET:
      on_packet (self, session, event);
      break;
    case MOSHI_SESSION_TEXT:
      gst_moshi_talk_bytes (self->talk, GST_MOSHI_ITEM_TEXT, event->bytes,
          event->color);
      break;
    case MOSHI_SESSION_METADATA:
      on_metadata (self, event);
      break;
    case MOSHI_SESSION_RETRY:
      on_retry (self, session, event);
      break;
    case MOSHI_SESSION_WARNING:
      gst_moshi_warning_post (self->element, event->error, NULL);
      break;
    case MOSHI_SESSION_FAILED:
      fail (self, event->error, event->http_status, event->close_code);
      break;
    case MOSHI_SESSION_FINISHED:
      break;
  }
}

static gboolean
on_certificate (MoshiSession * session, GTlsCertificate * certificate,
    GTlsCertificateFlags errors, gpointer user_data)
{
  GstMoshiCall *self = user_data;

  return self->accept (self->element, certificate, errors);
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
  g_autoptr (MoshiSessionConfig) config = NULL;
  g_autoptr (GError) error = NULL;
  MoshiSession *session = NULL;

  /* Whether this is batch or live is not known yet. A batch refuses to go on
   * with another session in on_retry(). */
  if (gst_moshi_settings_to_config (settings, TRUE, &config, &error))
    session = moshi_session_new (config, on_event, on_certificate, self, NULL,
        &error);
  if (session == NULL) {
    gst_moshi_error_post (self->element, error, 0, 0);
    return FALSE;
  }

  g_atomic_int_set (&self->over, FALSE);
  self->lost = FALSE;
  g_clear_pointer (&self->talk, gst_moshi_talk_unref);
  self->talk = gst_moshi_talk_ref (talk);
  g_free (self->uri);
  self->uri = moshi_session_dup_redacted_uri (session);
  post_progress (self, GST_PROGRESS_TYPE_START, "Connecting to the server");
  gst_moshi_talk_take_session (self->talk, moshi_session_ref (session));
  moshi_session_open (session);
  moshi_session_unref (session);
  return TRUE;
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
  gst_moshi_talk_take_session (self->talk, NULL);
  if (state == MOSHI_LIFE_CONNECTING || state == MOSHI_LIFE_WAITING)
    post_progress (self, GST_PROGRESS_TYPE_CANCELED, "Stopped");
  if (state != MOSHI_LIFE_IDLE)
    notify_state (self);
}
