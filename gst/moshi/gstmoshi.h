/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_TYPE_MOSHI (gst_moshi_get_type ())
G_DECLARE_FINAL_TYPE (GstMoshi, gst_moshi, GST, MOSHI, GstElement)

GST_ELEMENT_REGISTER_DECLARE (moshi);

G_END_DECLS
