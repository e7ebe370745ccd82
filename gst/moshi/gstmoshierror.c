/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstmoshierror.h"

#include <gio/gio.h>

#include "protocol/moshierror.h"

/* What the bus calls each of our errors. Of those that users see by the table
 * in the documentation, two are our reading: a message that is not what its
 * kind says fails before its Ogg is looked at, so it counts as demuxing; and a
 * passed limit has no nearer name than FAILED. */
static const struct
{
  gboolean stream;              /* else a resource error */
  gint code;
} codes[] = {
  [MOSHI_ERROR_SETTINGS] = {FALSE, GST_RESOURCE_ERROR_SETTINGS},
  [MOSHI_ERROR_NOT_FOUND] = {FALSE, GST_RESOURCE_ERROR_NOT_FOUND},
  [MOSHI_ERROR_NOT_AUTHORIZED] = {FALSE, GST_RESOURCE_ERROR_NOT_AUTHORIZED},
  [MOSHI_ERROR_BUSY] = {FALSE, GST_RESOURCE_ERROR_BUSY},
  [MOSHI_ERROR_CONNECT] = {FALSE, GST_RESOURCE_ERROR_OPEN_READ_WRITE},
  [MOSHI_ERROR_LOST] = {FALSE, GST_RESOURCE_ERROR_READ},
  [MOSHI_ERROR_SERVER] = {FALSE, GST_RESOURCE_ERROR_FAILED},
  [MOSHI_ERROR_MESSAGE] = {TRUE, GST_STREAM_ERROR_DEMUX},
  [MOSHI_ERROR_OGG] = {TRUE, GST_STREAM_ERROR_DEMUX},
  [MOSHI_ERROR_OPUS] = {TRUE, GST_STREAM_ERROR_DECODE},
  [MOSHI_ERROR_IMAGE] = {TRUE, GST_STREAM_ERROR_FORMAT},
  [MOSHI_ERROR_LIMIT] = {FALSE, GST_RESOURCE_ERROR_FAILED},
};

static gboolean
is_cancelled (const GError * error)
{
  return g_error_matches (error, MOSHI_ERROR, MOSHI_ERROR_CANCELLED)
      || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

static void
map_code (const GError * error, GQuark * domain, gint * code)
{
  *domain = GST_RESOURCE_ERROR;
  *code = GST_RESOURCE_ERROR_FAILED;
  if (error->domain != MOSHI_ERROR || error->code < 0
      || error->code >= (gint) G_N_ELEMENTS (codes))
    return;

  if (codes[error->code].stream)
    *domain = GST_STREAM_ERROR;
  *code = codes[error->code].code;
}

/* Takes @details. The macros of gstelement.h would run the text, which holds
 * the peer's words, through printf and want the code as a token; the function
 * below them takes both as they are. */
static void
post (GstElement * element, GstMessageType type, const GError * error,
    GstStructure * details, gint line)
{
  GQuark domain;
  gint code;
  gchar *debug;

  if (is_cancelled (error)) {
    g_clear_pointer (&details, gst_structure_free);
    return;
  }

  map_code (error, &domain, &code);
  debug = g_strdup_printf ("%s, code %d", g_quark_to_string (error->domain),
      error->code);
  gst_element_message_full_with_details (element, type, domain, code,
      g_utf8_make_valid (error->message, -1), debug, __FILE__, GST_FUNCTION,
      line, details);
}

/**
 * gst_moshi_error_post:
 * @element: the element that failed
 * @error: what happened; its message is shown to the user as it is
 * @http_status: the HTTP status that came with it, or 0
 * @close_code: the WebSocket close code that came with it, or 0
 *
 * Posts @error on the bus as an error of @element: the one place where a
 * #MoshiError becomes a #GstResourceError or #GstStreamError. @http_status and
 * @close_code go along as the details `http-status-code` and
 * `websocket-close-code` (#guint, only where not 0). The debug text names the
 * error's own domain and code. An error of a domain that is not ours is posted
 * as %GST_RESOURCE_ERROR_FAILED; a cancellation (%MOSHI_ERROR_CANCELLED or
 * %G_IO_ERROR_CANCELLED) is none and posts nothing.
 *
 * Any thread; the caller holds no lock, the element's object lock least of all.
 */
void
gst_moshi_error_post (GstElement * element, const GError * error,
    guint http_status, guint close_code)
{
  GstStructure *details = NULL;

  g_return_if_fail (GST_IS_ELEMENT (element));
  g_return_if_fail (error != NULL);

  if (http_status != 0 || close_code != 0)
    details = gst_structure_new_empty ("details");
  if (http_status != 0)
    gst_structure_set (details, "http-status-code", G_TYPE_UINT, http_status,
        NULL);
  if (close_code != 0)
    gst_structure_set (details, "websocket-close-code", G_TYPE_UINT,
        close_code, NULL);

  post (element, GST_MESSAGE_ERROR, error, details, __LINE__);
}

/**
 * gst_moshi_warning_post:
 * @element: the element that warns
 * @error: what was skipped or lost; its message is shown to the user as it is
 * @details: (transfer full) (nullable): facts that go with it, in a structure
 *     of any name
 *
 * Posts @error on the bus as a warning of @element, by the same map as
 * gst_moshi_error_post(). A cancellation posts nothing; @details is consumed
 * all the same.
 *
 * Any thread; the caller holds no lock, the element's object lock least of all.
 */
void
gst_moshi_warning_post (GstElement * element, const GError * error,
    GstStructure * details)
{
  g_return_if_fail (GST_IS_ELEMENT (element));
  g_return_if_fail (error != NULL);

  post (element, GST_MESSAGE_WARNING, error, details, __LINE__);
}
