/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gstmoshisettings.h"
#include "gstmoshitalk.h"

G_BEGIN_DECLS

/**
 * GstMoshiCall:
 *
 * An element's hold on a session: begins and ends it, tells the bus of it, and
 * hands what comes to the halves.
 */
typedef struct _GstMoshiCall GstMoshiCall;

/**
 * GstMoshiCallCertificateFunc:
 *
 * Returns: whether to accept a certificate that did not pass
 */
typedef gboolean (*GstMoshiCallCertificateFunc) (GstElement * element,
    GTlsCertificate * certificate, GTlsCertificateFlags errors);

GstMoshiCall *gst_moshi_call_new (GstElement * element,
    GstMoshiCallCertificateFunc accept);
void gst_moshi_call_free (GstMoshiCall * self);
gboolean gst_moshi_call_start (GstMoshiCall * self, GstMoshiTalk * talk,
    const GstMoshiSettings * settings);
void gst_moshi_call_forget_image (GstMoshiCall * self);
void gst_moshi_call_set_image_pad (GstMoshiCall * self, gboolean there);
gboolean gst_moshi_call_set_image (GstMoshiCall * self, GBytes * message,
    GError ** error);
void gst_moshi_call_lack_image (GstMoshiCall * self, const GError * error);
void gst_moshi_call_stop (GstMoshiCall * self);

G_END_DECLS
