/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The picture a conversation is about
 *
 * MoshiVis begins a session with an image and takes no other until the next. So
 * the first image that comes opens the first session, which waits for it; of
 * those that come later the newest is kept for the session after, be it by
 * `restart`, by renewal or because a connection was lost. Nothing waits here: a
 * camera, or the other half of a demuxer that feeds the audio, goes on.
 *
 * Buffers of a TIME segment (parsers, encoders) are an image each. Others are
 * bytes: images are put together from the blocks of a file.
 */

#include "gstmoshiimagepad.h"

#include "gstmoshierror.h"
#include "protocol/moshiimage.h"
#include "protocol/moshimessage.h"
#include "session/moshilock.h"

GST_DEBUG_CATEGORY_STATIC (moshiimagepad_debug);
#define GST_CAT_DEFAULT moshiimagepad_debug

struct _GstMoshiImagePad
{
  GstElement *element;          /* not owned: it owns us and the pad */
  GstMoshiCall *call;           /* the element's */

  GstPad *pad;                  /* nullable; by OBJECT_LOCK */

  /* By the pad's stream lock, and whoever requests it while there is none */
  MoshiImageReader *reader;
  gboolean timed;               /* each buffer is an image */
  gboolean warned;              /* since the last good image */
};

static GstStaticPadTemplate image_template =
    GST_STATIC_PAD_TEMPLATE ("image", GST_PAD_SINK, GST_PAD_REQUEST,
    GST_STATIC_CAPS ("image/jpeg; image/png"));

/**
 * gst_moshi_image_pad_add_template:
 * @klass: of an element that speaks, in its class_init
 */
void
gst_moshi_image_pad_add_template (GstElementClass * klass)
{
  gst_element_class_add_static_pad_template (klass, &image_template);
}

/**
 * gst_moshi_image_pad_new:
 * @element: whose pad it may be
 * @call: (transfer none): to be told of images; outlives this
 *
 * Returns: (transfer full): no pad yet
 */
GstMoshiImagePad *
gst_moshi_image_pad_new (GstElement * element, GstMoshiCall * call)
{
  GstMoshiImagePad *self = g_new0 (GstMoshiImagePad, 1);

  GST_DEBUG_CATEGORY_INIT (moshiimagepad_debug, "moshiimagepad", 0,
      "Moshi: the image branch");
  self->element = element;
  self->call = call;
  self->reader = moshi_image_reader_new (GST_MOSHI_IMAGE_MAX);
  return self;
}

/**
 * gst_moshi_image_pad_free:
 * @self: (transfer full): with an element that is finalized
 */
void
gst_moshi_image_pad_free (GstMoshiImagePad * self)
{
  moshi_image_reader_free (self->reader);
  g_free (self);
}

/* What cannot be used is left out, and told once until something can. */
static void
warn (GstMoshiImagePad * self, const GError * error)
{
  GST_WARNING_OBJECT (self->element, "no image: %s", error->message);
  if (!self->warned)
    gst_moshi_warning_post (self->element, error, NULL);
  self->warned = TRUE;
}

static void
warn_unfinished (GstMoshiImagePad * self)
{
  g_autoptr (GError) error = NULL;

  if (!moshi_image_reader_is_unfinished (self->reader))
    return;
  error = g_error_new (MOSHI_ERROR, MOSHI_ERROR_IMAGE,
      "The image breaks off before its end; check its file.");
  moshi_image_reader_reset (self->reader);
  warn (self, error);
}

static void
take_image (GstMoshiImagePad * self, GBytes * image)
{
  g_autoptr (GBytes) message = NULL;
  g_autoptr (GError) error = NULL;
  const guint8 *data;
  gsize size;

  data = g_bytes_get_data (image, &size);
  GST_INFO_OBJECT (self->element, "an image of %" G_GSIZE_FORMAT " bytes",
      size);
  message = moshi_message_new (MOSHI_MESSAGE_IMAGE, data, size);
  if (gst_moshi_call_set_image (self->call, message, &error))
    self->warned = FALSE;
  else
    warn (self, error);
}

static GstFlowReturn
chain (GstPad * pad, GstObject * parent, GstBuffer * buffer)
{
  GstMoshiImagePad *self = gst_pad_get_element_private (pad);
  g_autoptr (GBytes) image = NULL;
  g_autoptr (GError) error = NULL;
  GstMapInfo map;

  if (!gst_buffer_map (buffer, &map, GST_MAP_READ)) {
    gst_buffer_unref (buffer);
    GST_ELEMENT_ERROR (self->element, RESOURCE, READ,
        ("A buffer of the image cannot be read."), (NULL));
    return GST_FLOW_ERROR;
  }
  if (self->timed)
    moshi_image_reader_reset (self->reader);
  if (!moshi_image_reader_push (self->reader, map.data, map.size, &image,
          &error))
    warn (self, error);
  gst_buffer_unmap (buffer, &map);
  gst_buffer_unref (buffer);

  if (image)
    take_image (self, image);
  else if (self->timed)
    warn_unfinished (self);
  return GST_FLOW_OK;
}

static void
take_eos (GstMoshiImagePad * self)
{
  g_autoptr (GError) error = g_error_new (MOSHI_ERROR, MOSHI_ERROR_IMAGE,
      "No image has come that could be used, and MoshiVis begins with one; "
      "check what is linked to the pad image.");

  warn_unfinished (self);
  gst_moshi_call_lack_image (self->call, error);
}

static gboolean
event (GstPad * pad, GstObject * parent, GstEvent * event)
{
  GstMoshiImagePad *self = gst_pad_get_element_private (pad);
  const GstSegment *segment;

  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_STREAM_START:
    case GST_EVENT_FLUSH_STOP:
      moshi_image_reader_reset (self->reader);
      break;
    case GST_EVENT_SEGMENT:
      gst_event_parse_segment (event, &segment);
      self->timed = segment->format == GST_FORMAT_TIME;
      moshi_image_reader_reset (self->reader);
      break;
    case GST_EVENT_EOS:
      take_eos (self);
      break;
    default:
      break;
  }
  gst_event_unref (event);
  return TRUE;
}

/* The image goes to the server and nowhere else. */
static GstIterator *
iterate_no_links (GstPad * pad, GstObject * parent)
{
  return NULL;
}

static gboolean
take_pad (GstMoshiImagePad * self, GstPad * pad)
{
  gboolean taken;

  GST_OBJECT_LOCK (self->element);
  taken = self->pad == NULL;
  if (taken)
    self->pad = pad;
  GST_OBJECT_UNLOCK (self->element);
  return taken;
}

/**
 * gst_moshi_image_pad_request:
 * @self: of the element
 * @template: of the pad `image`
 *
 * The element's request_new_pad: any thread, any state. From now on a session
 * begins with an image, where the dialect leaves that open.
 *
 * Returns: (transfer none) (nullable): the pad, added to the element; %NULL if
 *     there is one already
 */
GstPad *
gst_moshi_image_pad_request (GstMoshiImagePad * self, GstPadTemplate * template)
{
  GstPad *pad = gst_pad_new_from_template (template, "image");

  if (!take_pad (self, pad)) {
    GST_WARNING_OBJECT (self->element, "the image pad is in use");
    gst_object_unref (gst_object_ref_sink (pad));
    return NULL;
  }
  moshi_image_reader_reset (self->reader);
  self->timed = self->warned = FALSE;
  gst_pad_set_element_private (pad, self);
  gst_pad_set_chain_function (pad, chain);
  gst_pad_set_event_function (pad, event);
  gst_pad_set_iterate_internal_links_function (pad, iterate_no_links);
  gst_moshi_call_set_image_pad (self->call, TRUE);
  gst_element_add_pad (self->element, pad);
  return pad;
}

/**
 * gst_moshi_image_pad_release:
 * @self: of the element
 * @pad: (transfer none): the pad requested
 *
 * The element's release_pad: any thread, any state. The last image stays for
 * the sessions to come; a session that waits for its first one begins without,
 * unless the dialect asks for one.
 */
void
gst_moshi_image_pad_release (GstMoshiImagePad * self, GstPad * pad)
{
  gst_pad_set_active (pad, FALSE);
  gst_moshi_call_set_image_pad (self->call, FALSE);
  gst_element_remove_pad (self->element, pad);
  GST_OBJECT_LOCK (self->element);
  self->pad = NULL;
  GST_OBJECT_UNLOCK (self->element);
}
