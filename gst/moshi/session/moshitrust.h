/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

GTlsDatabase *moshi_trust_get_file (const gchar * path, GError ** error);
void moshi_trust_let_go (GTlsConnection * connection, GMainContext * context);

G_END_DECLS
