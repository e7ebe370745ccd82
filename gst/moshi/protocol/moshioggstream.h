/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <ogg/ogg.h>

G_BEGIN_DECLS

void moshi_ogg_stream_init (ogg_stream_state * stream, gint serial);

G_END_DECLS
