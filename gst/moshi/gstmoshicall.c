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
 * Here is what the element asks for, and what sessions there are; what they tell
 * is dealt with in gstmoshicallevents.c, when one follows another in
 * gstmoshicallrenewal.c, the image that they begin with in gstmoshicallimage.c.
 *
 * The sessions' events come on the network thread, which many sessions share:
 * nothing here waits. Messages are posted and properties notified with no lock
 * held. */

#include "gstmoshicallprivate.h"

#include "gstmoshierror.h"
#include "gstmoshijoin.h"

GST_DEBUG_CATEGORY (gst_moshi_call_debug);

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

  GST_DEBUG_CATEGORY_INIT (gst_moshi_call_debug, "moshicall", 0,
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

/* --- legs ---------------------------------------------------------------- */

static gboolean
on_certificate (MoshiSession * session, GTlsCertificate * certificate,
    GTlsCertificateFlags errors, gpointer user_data)
{
  GstMoshiCallLeg *leg = user_data;

  return leg->call->accept (leg->call->element, certificate, errors);
}

/**
 * gst_moshi_call_new_leg:
 * @self: a call that was started
 * @error: return location for an error
 *
 * Network thread, or whoever starts. The leg is in the call's list before it can
 * have an event, so that a stop finds it at whatever moment it comes.
 *
 * Returns: (transfer none) (nullable): one more session, not opened yet; %NULL
 *     with %MOSHI_ERROR_SETTINGS
 */
GstMoshiCallLeg *
gst_moshi_call_new_leg (GstMoshiCall * self, GError ** error)
{
  GstMoshiCallLeg *leg = g_new0 (GstMoshiCallLeg, 1);

  leg->call = self;
  leg->session =
      moshi_session_new (self->config, gst_moshi_call_on_event, on_certificate,
      leg, g_free, error);
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

/**
 * gst_moshi_call_reap:
 * @self: a call
 * @but: the leg whose callback this is
 *
 * Network thread: frees the other legs that are over. One that a stop has found
 * is left to it.
 */
void
gst_moshi_call_reap (GstMoshiCall * self, GstMoshiCallLeg * but)
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

/**
 * gst_moshi_call_end_leg:
 * @self: a call
 * @leg: (inout) (nullable): one of its legs, nobody's from now on
 *
 * Network thread. It is gst_moshi_call_reap() that frees it.
 */
void
gst_moshi_call_end_leg (GstMoshiCall * self, GstMoshiCallLeg ** leg)
{
  GstMoshiCallLeg *ended = g_steal_pointer (leg);

  if (ended == NULL)
    return;
  moshi_session_stop (ended->session);
  gst_moshi_talk_drop_leg (self->talk, ended->number);
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

/* From READY on, sessions are counted anew; after EOS and a seek they go on. */
static gboolean
is_first (GstMoshiTalk * talk)
{
  gboolean first;

  g_mutex_lock (&talk->lock);
  first = talk->join.sessions == 0;
  g_mutex_unlock (&talk->lock);
  return first;
}

static void
reset (GstMoshiCall * self, GstMoshiTalk * talk, MoshiSessionConfig * config,
    const GstMoshiSettings * settings)
{
  take_talk (self, talk);
  self->config = config;
  self->n_legs = 0;
  if (is_first (talk))
    self->n_sessions = 0;
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
  self->current = gst_moshi_call_new_leg (self, &error);
  if (self->current == NULL) {
    g_clear_pointer (&self->config, moshi_session_config_free);
    gst_moshi_error_post (self->element, error, 0, 0);
    return FALSE;
  }

  g_atomic_int_set (&self->over, FALSE);
  g_free (self->uri);
  self->uri = moshi_session_dup_redacted_uri (self->current->session);
  gst_moshi_call_post_progress (self, GST_PROGRESS_TYPE_START,
      "Connecting to the server");
  if (waits)
    gst_moshi_call_post_progress (self, GST_PROGRESS_TYPE_CONTINUE,
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
    gst_moshi_call_post_progress (self, GST_PROGRESS_TYPE_CANCELED, "Stopped");
  if (state != MOSHI_LIFE_IDLE)
    gst_moshi_call_notify_state (self);
}
