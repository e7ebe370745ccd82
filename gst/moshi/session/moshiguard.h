/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

void moshi_guard_add (GSocket * socket, const gint * told);
void moshi_guard_remove (GSocket * socket);
gboolean moshi_guard_has_shut (GSocket * socket);
void moshi_guard_beat (void);
void moshi_guard_shut_down (GSocket * socket);
guint64 moshi_guard_count_received (GSocket * socket);

G_END_DECLS
