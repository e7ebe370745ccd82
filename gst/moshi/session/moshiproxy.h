/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

GProxyResolver *moshi_proxy_resolver_new (const gchar * proxy,
    const gchar * user, const gchar * password, gboolean tls, GError ** error);

G_END_DECLS
