/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gstmoshicall.h"

G_BEGIN_DECLS

GstStructure *gst_moshi_stats_new (GstMoshiTalk * talk, GstMoshiCall * call,
    GstMoshiInput * input, GstMoshiOutput * output);

G_END_DECLS
