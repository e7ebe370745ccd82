/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * MoshiSpacing:
 * @bare: whether the server's pieces may lack the space that begins a word
 * @begun: whether a piece has come
 * @owed: whether the space before the next piece came as an empty one
 * @last: where it came, in 48 kHz samples
 *
 * Gives the words of a session the spaces back that its server has lost.
 */
typedef struct
{
  gboolean bare;
  gboolean begun;
  gboolean owed;
  guint64 last;
} MoshiSpacing;

void moshi_spacing_begin (MoshiSpacing * self, gboolean bare);
gboolean moshi_spacing_take (MoshiSpacing * self, const guint8 * piece,
    gsize size, guint64 position);

G_END_DECLS
