/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * MOSHI_STRETCH_MIN_PERIOD, MOSHI_STRETCH_MAX_PERIOD:
 *
 * Of the voices looked for, 400 to 80 Hz, in samples at 48 kHz
 */
#define MOSHI_STRETCH_MIN_PERIOD 120
#define MOSHI_STRETCH_MAX_PERIOD 600

/**
 * MoshiStretch:
 * @credit: thousandths of samples at 48 kHz by which speech may be made longer
 *     or shorter; negative while what was made so already is not paid
 * @pace: what the credit is for
 *
 * How far the length of speech may be changed now. All zero to begin with.
 */
typedef struct
{
  gint64 credit;
  gint pace;
} MoshiStretch;

gboolean moshi_stretch_may_change (MoshiStretch * self, guint duration,
    gint pace);
void moshi_stretch_changed (MoshiStretch * self, guint change);
gsize moshi_stretch_find_period (const gfloat * samples, gsize n,
    guint rate, gsize most, gdouble likeness, gdouble tolerance);

G_END_DECLS
