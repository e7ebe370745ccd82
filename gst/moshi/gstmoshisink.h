/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/base/gstbasesink.h>

G_BEGIN_DECLS

#define GST_TYPE_MOSHI_SINK (gst_moshi_sink_get_type ())
G_DECLARE_FINAL_TYPE (GstMoshiSink, gst_moshi_sink, GST, MOSHI_SINK, GstBaseSink)

GST_ELEMENT_REGISTER_DECLARE (moshisink);

G_END_DECLS
