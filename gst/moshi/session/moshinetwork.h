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

/**
 * MOSHI_NETWORK_PULSE:
 *
 * From one pulse to the next, in ms.
 */
#define MOSHI_NETWORK_PULSE 100

/**
 * MoshiPulseFunc:
 * @data: what was given with it
 */
typedef void (*MoshiPulseFunc) (gpointer data);

MoshiNetwork *moshi_network_get (void);
MoshiNetwork *moshi_network_ref (MoshiNetwork * self);
void moshi_network_unref (MoshiNetwork * self);
GMainContext *moshi_network_get_context (MoshiNetwork * self);
gboolean moshi_network_is_current (MoshiNetwork * self);
void moshi_network_invoke (MoshiNetwork * self, GSourceFunc func,
    gpointer data, GDestroyNotify notify);
void moshi_network_add_pulse (MoshiNetwork * self, MoshiPulseFunc func,
    gpointer data);
void moshi_network_remove_pulse (MoshiNetwork * self, gpointer data);

G_END_DECLS
