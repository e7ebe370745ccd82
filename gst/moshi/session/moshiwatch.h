/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * MOSHI_WATCH_LOOK:
 *
 * How often, in ms, somebody has to look who cannot be watched: where the kernel
 * has no room for it.
 */
#define MOSHI_WATCH_LOOK 20

/**
 * MoshiWatch:
 *
 * Tells which of many owners have something to read or write. One thread's at a
 * time.
 */
typedef struct _MoshiWatch MoshiWatch;

MoshiWatch *moshi_watch_new (void);
void moshi_watch_free (MoshiWatch * self);
gboolean moshi_watch_set (MoshiWatch * self, gpointer owner,
    const GPollFD * old, guint n_old, const GPollFD * fds, guint n_fds);
guint moshi_watch_wait (MoshiWatch * self, gint timeout, gpointer * owners,
    guint max);

G_END_DECLS
