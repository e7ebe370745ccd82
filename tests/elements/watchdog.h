/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What ends a test that hangs, and shows the stacks of all its threads */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

void watchdog_note (const gchar * what);
void watchdog_end (void);
guint watchdog_get_patience (void);
gboolean watchdog_has_debugger (void);

G_END_DECLS
