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
  gboolean begun;               /* there was a session */
  GstMoshiDialect dialect;      /* as far as it can be told */

  /* The image that sessions begin with. Held for nothing that waits; a
   * session's own locks come after it. */
  GMutex lock;
  MoshiSession *session;        /* by lock; while started */
  GBytes *image;                /* by lock; the newest, as a message */
  gboolean image_pad;           /* by lock; there is one */
  gboolean image_wanted;        /* by lock; the session waits for the first */
  gboolean image_by_pad;        /* by lock; it does so because of the pad alone */
  gboolean image_unused;        /* by lock; the dialect has none */

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
  g_mutex_init (&self->lock);
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

static void
fail (GstMoshiCall * self, const GError * error, guint http_status,
    guint close_code)
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

/* Which server it is, where that can be told from what the user gives it */
static GstMoshiDialect
guess_dialect (const GstMoshiSettings * settings, gboolean image_pad)
{
  if (settings->dialect != GST_MOSHI_DIALECT_AUTO)
    return settings->dialect;
  if (image_pad)
    return GST_MOSHI_DIALECT_MOSHIVIS;
  if (settings->model && (gst_structure_has_field (settings->model,
              "voice_prompt")
          || gst_structure_has_field (settings->model, "text_prompt")))
    return GST_MOSHI_DIALECT_PERSONAPLEX;
  return GST_MOSHI_DIALECT_AUTO;
}

/* Whether a session has to wait for an image */
static gboolean
prepare_image (GstMoshiCall * self, const GstMoshiSettings * settings,
    MoshiSessionConfig * config)
{
  gboolean wanted;

  g_mutex_lock (&self->lock);
  self->dialect = guess_dialect (settings, self->image_pad);
  self->image_unused = settings->dialect == GST_MOSHI_DIALECT_MOSHI
      || settings->dialect == GST_MOSHI_DIALECT_PERSONAPLEX;
  wanted = self->dialect == GST_MOSHI_DIALECT_MOSHIVIS && self->image == NULL;
  self->image_wanted = wanted;
  self->image_by_pad = settings->dialect == GST_MOSHI_DIALECT_AUTO;
  config->wants_first_message = wanted;
  if (self->image && !self->image_unused)
    config->first_message = g_bytes_ref (self->image);
  g_mutex_unlock (&self->lock);
  return wanted;
}

/* What has happened to the image meanwhile is not lost. */
static void
hold_session (GstMoshiCall * self, MoshiSession * session)
{
  g_mutex_lock (&self->lock);
  self->session = moshi_session_ref (session);
  if (!self->image_wanted)
    moshi_session_set_first_message (session,
        self->image_unused ? NULL : self->image);
  g_mutex_unlock (&self->lock);
}

static MoshiSession *
release_session (GstMoshiCall * self)
{
  MoshiSession *session;

  g_mutex_lock (&self->lock);
  session = g_steal_pointer (&self->session);
  self->image_wanted = FALSE;
  g_mutex_unlock (&self->lock);
  return session;
}

/**
 * gst_moshi_call_forget_image:
 * @self: a stopped call
 *
 * What comes next is a first image again.
 */
void
gst_moshi_call_forget_image (GstMoshiCall * self)
{
  g_mutex_lock (&self->lock);
  g_clear_pointer (&self->image, g_bytes_unref);
  g_mutex_unlock (&self->lock);
}

/**
 * gst_moshi_call_set_image_pad:
 * @self: a call
 * @there: whether somebody can give images
 *
 * Any thread. A session that waits for an image because there was a pad, and for
 * no other reason, begins without one when it is gone.
 */
void
gst_moshi_call_set_image_pad (GstMoshiCall * self, gboolean there)
{
  g_mutex_lock (&self->lock);
  self->image_pad = there;
  if (!there && self->image_wanted && self->image_by_pad) {
    self->image_wanted = FALSE;
    if (self->session)
      moshi_session_set_first_message (self->session, NULL);
  }
  g_mutex_unlock (&self->lock);
}

/**
 * gst_moshi_call_set_image:
 * @self: a call
 * @message: (transfer none): an image, as a message
 * @error: return location for an error
 *
 * Any thread. The session that waits for an image begins; otherwise this is for
 * the next one.
 *
 * Returns: %FALSE with %MOSHI_ERROR_SETTINGS if the dialect has no images
 */
gboolean
gst_moshi_call_set_image (GstMoshiCall * self, GBytes * message,
    GError ** error)
{
  gboolean unused;

  g_mutex_lock (&self->lock);
  unused = self->image_unused;
  if (!unused) {
    g_clear_pointer (&self->image, g_bytes_unref);
    self->image = g_bytes_ref (message);
    self->image_wanted = FALSE;
    if (self->session)
      moshi_session_set_first_message (self->session, message);
  }
  g_mutex_unlock (&self->lock);
  if (unused)
    g_set_error_literal (error, MOSHI_ERROR, MOSHI_ERROR_SETTINGS,
        "The image is not sent, as dialect names a server that takes none; set "
        "it to moshivis or auto.");
  return !unused;
}

/**
 * gst_moshi_call_lack_image:
 * @self: a call
 * @error: why there will be no image
 *
 * Any thread but the network's. If a session waits for one, that is the end.
 */
void
gst_moshi_call_lack_image (GstMoshiCall * self, const GError * error)
{
  g_autoptr (MoshiSession) session = NULL;

  g_mutex_lock (&self->lock);
  if (self->image_wanted && self->session)
    session = moshi_session_ref (self->session);
  self->image_wanted = FALSE;
  g_mutex_unlock (&self->lock);
  if (session == NULL)
    return;
  fail (self, error, 0, 0);
  moshi_session_stop (session);
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
  gboolean waits = FALSE;

  /* Whether this is batch or live is not known yet. A batch refuses to go on
   * with another session in on_retry(). */
  if (gst_moshi_settings_to_config (settings, TRUE, &config, &error)) {
    waits = prepare_image (self, settings, config);
    session = moshi_session_new (config, on_event, on_certificate, self, NULL,
        &error);
  }
  if (session == NULL) {
    gst_moshi_error_post (self->element, error, 0, 0);
    return FALSE;
  }

  g_atomic_int_set (&self->over, FALSE);
  self->lost = self->begun = FALSE;
  take_talk (self, talk);
  g_free (self->uri);
  self->uri = moshi_session_dup_redacted_uri (session);
  post_progress (self, GST_PROGRESS_TYPE_START, "Connecting to the server");
  if (waits)
    post_progress (self, GST_PROGRESS_TYPE_CONTINUE,
        "Waiting for the image that the conversation begins with");
  warn_of_risk (self, session);
  hold_session (self, session);
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
  g_autoptr (MoshiSession) session = release_session (self);
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
