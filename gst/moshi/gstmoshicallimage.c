/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The image that a call's sessions begin with
 *
 * The first session waits for the first one where it is wanted; the newest opens
 * whatever session comes next. */

#include "gstmoshicallprivate.h"

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

/**
 * gst_moshi_call_prepare_image:
 * @self: a stopped call
 * @settings: what the user wants
 * @config: for its sessions
 *
 * Returns: whether the first session has to wait for an image
 */
gboolean
gst_moshi_call_prepare_image (GstMoshiCall * self,
    const GstMoshiSettings * settings, MoshiSessionConfig * config)
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

/**
 * gst_moshi_call_give_image_locked:
 * @self: a call
 * @session: a new one
 *
 * What has happened to the image since its configuration was made is not lost.
 */
void
gst_moshi_call_give_image_locked (GstMoshiCall * self, MoshiSession * session)
{
  if (!self->image_wanted)
    moshi_session_set_first_message (session,
        self->image_unused ? NULL : self->image);
}

static void
give_to_all_locked (GstMoshiCall * self, GBytes * message)
MOSHI_REQUIRES (self->lock)
{
  guint i;

  for (i = 0; i < self->legs->len; i++) {
    GstMoshiCallLeg *leg = g_ptr_array_index (self->legs, i);

    moshi_session_set_first_message (leg->session, message);
  }
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
    give_to_all_locked (self, NULL);
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
    give_to_all_locked (self, message);
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
  /* While one is wanted there is but the first session. */
  if (self->image_wanted && self->legs->len > 0) {
    GstMoshiCallLeg *leg = g_ptr_array_index (self->legs, 0);

    session = moshi_session_ref (leg->session);
  }
  self->image_wanted = FALSE;
  g_mutex_unlock (&self->lock);
  if (session == NULL)
    return;
  gst_moshi_call_give_up (self, error, 0, 0);
  moshi_session_stop (session);
}
