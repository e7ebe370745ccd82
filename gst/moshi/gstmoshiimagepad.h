/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gstmoshicall.h"

G_BEGIN_DECLS

/**
 * GST_MOSHI_IMAGE_MAX:
 *
 * Most bytes of an image file: with the kind before it, it is the longest
 * message that aiohttp takes unless told otherwise, which is less than 4 MiB.
 */
#define GST_MOSHI_IMAGE_MAX (4 * 1024 * 1024 - 2)

/**
 * GstMoshiImagePad:
 *
 * The request pad `image`, and what comes through it.
 */
typedef struct _GstMoshiImagePad GstMoshiImagePad;

void gst_moshi_image_pad_add_template (GstElementClass * klass);
GstMoshiImagePad *gst_moshi_image_pad_new (GstElement * element,
    GstMoshiCall * call);
void gst_moshi_image_pad_free (GstMoshiImagePad * self);
GstPad *gst_moshi_image_pad_request (GstMoshiImagePad * self,
    GstPadTemplate * template);
void gst_moshi_image_pad_release (GstMoshiImagePad * self, GstPad * pad);

G_END_DECLS
