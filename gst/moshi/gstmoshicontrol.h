/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gstmoshiinput.h"
#include "gstmoshioutput.h"
#include "gstmoshisettings.h"
#include "gstmoshitalk.h"
#include "session/moshilock.h"

G_BEGIN_DECLS

/* What the elements have in common towards an application: properties, signals
 * and the check of what was set. Each keeps its settings itself, guarded by its
 * OBJECT_LOCK, which these functions take; callers hold no lock. */

void gst_moshi_control_install_properties (GObjectClass * klass,
    GstMoshiSettingsGroup groups);
void gst_moshi_control_install_signals (GObjectClass * klass,
    GCallback restart, GCallback flush_output);
void gst_moshi_control_copy (GstElement * element,
    const GstMoshiSettings * settings, GstMoshiSettings * copy);
gboolean gst_moshi_control_check (GstElement * element,
    const GstMoshiSettings * settings);
void gst_moshi_control_set_property (GstElement * element,
    GstMoshiSettings * settings, GstMoshiInput * input,
    GstMoshiOutput * output, guint id, const GValue * value,
    GParamSpec * pspec);
void gst_moshi_control_get_property (GstElement * element,
    const GstMoshiSettings * settings, GstMoshiTalk * talk,
    GstMoshiOutput * output, guint id, GValue * value, GParamSpec * pspec);
gboolean gst_moshi_control_accept_certificate (GstElement * element,
    GTlsCertificate * certificate, GTlsCertificateFlags errors);

G_END_DECLS
