/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Properties and signals of the elements: see gstmoshicontrol.h. */

#include "gstmoshicontrol.h"

#include "gstmoshierror.h"
#include "gstmoshistats.h"
#include "gstmoshiwords.h"

enum
{
  PROP_STATS = 1,
  PROP_CONNECTION_STATE,
};

/**
 * gst_moshi_control_install_properties:
 * @klass: of an element, in its class_init
 * @groups: which settings it has
 *
 * Installs these and what every element tells: `stats`, `connection-state`.
 */
void
gst_moshi_control_install_properties (GObjectClass * klass,
    GstMoshiSettingsGroup groups)
{
  gst_moshi_settings_install (klass, groups);
  gst_moshi_stats_install (klass, PROP_STATS, PROP_CONNECTION_STATE);
}

/**
 * gst_moshi_control_install_signals:
 * @klass: of an element that holds a connection, in its class_init
 * @restart: what the action does; takes the element
 * @flush_output: likewise
 */
void
gst_moshi_control_install_signals (GObjectClass * klass, GCallback restart,
    GCallback flush_output)
{
  /**
   * GstMoshi::accept-certificate:
   * @self: the element
   * @connection: (nullable): always %NULL, libsoup does not hand it out
   * @certificate: the server's, which did not pass
   * @errors: what is wrong with it
   *
   * Emitted on the network thread, which other sessions share: decide at once.
   * Where nobody is connected to it nothing is accepted.
   *
   * Returns: %TRUE to go on all the same
   */
  g_signal_new ("accept-certificate", G_TYPE_FROM_CLASS (klass),
      G_SIGNAL_RUN_LAST, 0, g_signal_accumulator_true_handled, NULL, NULL,
      G_TYPE_BOOLEAN, 3, G_TYPE_TLS_CONNECTION, G_TYPE_TLS_CERTIFICATE,
      G_TYPE_TLS_CERTIFICATE_FLAGS);

  /**
   * GstMoshi::restart:
   * @self: the element
   *
   * Begins a new conversation on a new session, without leaving PLAYING.
   */
  g_signal_new_class_handler ("restart", G_TYPE_FROM_CLASS (klass),
      G_SIGNAL_RUN_LAST | G_SIGNAL_ACTION, restart, NULL, NULL, NULL,
      G_TYPE_NONE, 0);

  /**
   * GstMoshi::flush-output:
   * @self: the element
   *
   * Drops what Moshi has said and is not yet played.
   */
  g_signal_new_class_handler ("flush-output", G_TYPE_FROM_CLASS (klass),
      G_SIGNAL_RUN_LAST | G_SIGNAL_ACTION, flush_output, NULL, NULL, NULL,
      G_TYPE_NONE, 0);
}

/**
 * gst_moshi_control_copy:
 * @element: whose they are
 * @settings: its own
 * @copy: (out caller-allocates): to be cleared
 *
 * Any thread.
 */
void
gst_moshi_control_copy (GstElement * element,
    const GstMoshiSettings * settings, GstMoshiSettings * copy)
{
  GST_OBJECT_LOCK (element);
  gst_moshi_settings_copy (copy, settings);
  GST_OBJECT_UNLOCK (element);
}

/* An image pad that is there already, and a dialect that has no images */
static gboolean
check_image_pad (GstElement * element, const GstMoshiSettings * settings,
    GError ** error)
{
  g_autoptr (GstPad) pad = gst_element_get_static_pad (element, "image");

  if (pad == NULL || settings->dialect == GST_MOSHI_DIALECT_AUTO
      || settings->dialect == GST_MOSHI_DIALECT_MOSHIVIS)
    return TRUE;
  g_set_error_literal (error, MOSHI_ERROR, MOSHI_ERROR_SETTINGS,
      "There is a pad image, and dialect names a server that takes none: set "
      "it to moshivis or auto, or release the pad.");
  return FALSE;
}

/**
 * gst_moshi_control_check:
 * @element: whose they are
 * @settings: its own
 *
 * What cannot be used is told on the bus.
 *
 * Returns: whether the settings can be used
 */
gboolean
gst_moshi_control_check (GstElement * element,
    const GstMoshiSettings * settings)
{
  g_autoptr (MoshiSessionConfig) config = NULL;
  g_autoptr (GError) error = NULL;
  GstMoshiSettings copy;
  gboolean ok;

  gst_moshi_control_copy (element, settings, &copy);
  ok = check_image_pad (element, &copy, &error)
      && gst_moshi_settings_to_config (&copy, TRUE, &config, &error);
  if (!ok)
    gst_moshi_error_post (element, error, 0, 0);
  gst_moshi_settings_clear (&copy);
  return ok;
}

/* Hands on what takes effect while running. */
static void
apply (GstElement * element, const GstMoshiSettings * settings,
    GstMoshiInput * input, GstMoshiOutput * output, const gchar * name)
{
  if (output && g_str_equal (name, "latency")) {
    gst_moshi_output_set_latency (output, settings->latency);
    gst_element_post_message (element,
        gst_message_new_latency (GST_OBJECT (element)));
  } else if (output && g_str_equal (name, "text-unit")) {
    gst_moshi_words_set_unit (gst_moshi_output_get_words (output),
        settings->text_unit);
  } else if (input && (g_str_equal (name, "bitrate")
          || g_str_equal (name, "complexity"))) {
    gst_moshi_input_set_encoder (input, settings->bitrate,
        settings->complexity);
  }
}

/**
 * gst_moshi_control_set_property:
 * @element: whose property it is
 * @settings: its own
 * @input: (nullable): its speaking half
 * @output: (nullable): its listening half
 * @id: of the property
 * @value: of its type
 * @pspec: the property
 *
 * The element's set_property.
 */
void
gst_moshi_control_set_property (GstElement * element,
    GstMoshiSettings * settings, GstMoshiInput * input,
    GstMoshiOutput * output, guint id, const GValue * value, GParamSpec * pspec)
{
  GstMoshiSettings copy;
  gboolean ours;

  GST_OBJECT_LOCK (element);
  ours = gst_moshi_settings_set_property (settings, id, value, pspec);
  GST_OBJECT_UNLOCK (element);
  if (!ours) {
    G_OBJECT_WARN_INVALID_PROPERTY_ID (element, id, pspec);
    return;
  }
  gst_moshi_control_copy (element, settings, &copy);
  apply (element, &copy, input, output, pspec->name);
  gst_moshi_settings_clear (&copy);
}

/**
 * gst_moshi_control_get_property:
 * @element: whose property it is
 * @settings: its own
 * @talk: where its halves meet
 * @output: (nullable): its listening half
 * @id: of the property
 * @value: of its type
 * @pspec: the property
 *
 * The element's get_property.
 */
void
gst_moshi_control_get_property (GstElement * element,
    const GstMoshiSettings * settings, GstMoshiTalk * talk,
    GstMoshiOutput * output, guint id, GValue * value, GParamSpec * pspec)
{
  gboolean ours;

  switch (id) {
    case PROP_STATS:
      g_value_take_boxed (value, gst_moshi_stats_new (talk));
      return;
    case PROP_CONNECTION_STATE:
      g_value_set_enum (value, gst_moshi_talk_get_state (talk));
      return;
    default:
      break;
  }
  GST_OBJECT_LOCK (element);
  ours = gst_moshi_settings_get_property (settings, id, value, pspec);
  GST_OBJECT_UNLOCK (element);
  if (!ours)
    G_OBJECT_WARN_INVALID_PROPERTY_ID (element, id, pspec);
}

/**
 * gst_moshi_control_accept_certificate:
 * @element: with the signals of gst_moshi_control_install_signals()
 * @certificate: that did not pass
 * @errors: what is wrong with it
 *
 * Network thread. Asks who is connected to the signal.
 *
 * Returns: whether to accept it: %FALSE where nobody is
 */
gboolean
gst_moshi_control_accept_certificate (GstElement * element,
    GTlsCertificate * certificate, GTlsCertificateFlags errors)
{
  gboolean accept = FALSE;

  g_signal_emit_by_name (element, "accept-certificate", NULL, certificate,
      errors, &accept);
  return accept;
}
