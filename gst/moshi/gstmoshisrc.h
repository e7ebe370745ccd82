/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_TYPE_MOSHI_SRC (gst_moshi_src_get_type ())
G_DECLARE_FINAL_TYPE (GstMoshiSrc, gst_moshi_src, GST, MOSHI_SRC, GstElement)

GST_ELEMENT_REGISTER_DECLARE (moshisrc);

G_END_DECLS
