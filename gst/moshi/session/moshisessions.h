/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "../protocol/moshierror.h"

G_BEGIN_DECLS

/**
 * MoshiSessionsRole:
 *
 * Which half of a named conversation somebody takes. Each is taken once.
 */
typedef enum
{
  MOSHI_SESSIONS_SPEAKS,
  MOSHI_SESSIONS_LISTENS,
} MoshiSessionsRole;

gpointer moshi_sessions_join (const gchar * name, MoshiSessionsRole role,
    gpointer (*create) (void), GDestroyNotify destroy, GError ** error);
void moshi_sessions_leave (const gchar * name, MoshiSessionsRole role);

G_END_DECLS
