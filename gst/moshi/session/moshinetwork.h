/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * MoshiNetwork:
 *
 * The one thread of a process that touches sockets, with its main context.
 * It lives from the first reference to the last.
 */
typedef struct _MoshiNetwork MoshiNetwork;

MoshiNetwork *moshi_network_get (void);
MoshiNetwork *moshi_network_ref (MoshiNetwork * self);
void moshi_network_unref (MoshiNetwork * self);
GMainContext *moshi_network_get_context (MoshiNetwork * self);
gboolean moshi_network_is_current (MoshiNetwork * self);
void moshi_network_invoke (MoshiNetwork * self, GSourceFunc func,
    gpointer data, GDestroyNotify notify);

G_END_DECLS
