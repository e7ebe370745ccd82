/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * MoshiNetwork:
 *
 * The one thread of a process that waits for sockets. It lives from the first
 * reference to the last.
 */
typedef struct _MoshiNetwork MoshiNetwork;

/**
 * MoshiStrand:
 *
 * What belongs to one session, or to what is left of one: a main context of its
 * own, whose sources the network thread looks after, and which others may enter
 * meanwhile. Never do two threads run in it at once.
 */
typedef struct _MoshiStrand MoshiStrand;

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

MoshiStrand *moshi_strand_new (GError ** error);
MoshiStrand *moshi_strand_ref (MoshiStrand * self);
void moshi_strand_unref (MoshiStrand * self);
MoshiNetwork *moshi_strand_get_network (MoshiStrand * self);
GMainContext *moshi_strand_get_context (MoshiStrand * self);
void moshi_strand_invoke (MoshiStrand * self, GSourceFunc func, gpointer data,
    GDestroyNotify notify);
void moshi_strand_add_pulse (MoshiStrand * self, MoshiPulseFunc func,
    gpointer data);
void moshi_strand_remove_pulse (MoshiStrand * self, gpointer data);
void moshi_strand_set_open (MoshiStrand * self, gboolean open);
gboolean moshi_strand_enter (MoshiStrand * self);
void moshi_strand_leave (MoshiStrand * self);

G_END_DECLS
