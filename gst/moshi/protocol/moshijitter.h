/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * MoshiJitter:
 *
 * What is known of how audio arrives: the earliest that it can be had, and how
 * much later than that it comes at times. All times and durations are in
 * samples at 48 kHz.
 */
typedef struct _MoshiJitter MoshiJitter;

MoshiJitter *moshi_jitter_new (void);
void moshi_jitter_free (MoshiJitter * self);
void moshi_jitter_reset (MoshiJitter * self);
void moshi_jitter_arrive (MoshiJitter * self, guint duration, gint64 now);
gint64 moshi_jitter_get_base (MoshiJitter * self, gint64 now);
gint64 moshi_jitter_get_spread (MoshiJitter * self);
gint64 moshi_jitter_get_stall (MoshiJitter * self, gint64 now);
gdouble moshi_jitter_get_calm (MoshiJitter * self, gint64 hand);
gdouble moshi_jitter_get_risk (MoshiJitter * self, gint64 delay, gint64 hand);
gint64 moshi_jitter_get_loss (MoshiJitter * self, gint64 duration);
gboolean moshi_jitter_is_even (MoshiJitter * self);
gboolean moshi_jitter_is_new (MoshiJitter * self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (MoshiJitter, moshi_jitter_free)

G_END_DECLS
