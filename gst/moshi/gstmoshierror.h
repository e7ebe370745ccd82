/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

void gst_moshi_error_post (GstElement * element, const GError * error,
    guint http_status, guint close_code);
void gst_moshi_warning_post (GstElement * element, const GError * error,
    GstStructure * details);

G_END_DECLS
