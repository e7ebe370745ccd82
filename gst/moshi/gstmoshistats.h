/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gstmoshitalk.h"

G_BEGIN_DECLS

void gst_moshi_stats_install (GObjectClass * klass, guint stats,
    guint connection_state);
GstStructure *gst_moshi_stats_new (GstMoshiTalk * talk);

G_END_DECLS
