/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * MoshiAddress:
 *
 * Where a session is opened: a checked ws or wss address with its query.
 */
typedef struct _MoshiAddress MoshiAddress;

MoshiAddress *moshi_address_new (const gchar * uri, GError ** error);
void moshi_address_free (MoshiAddress * self);
gboolean moshi_address_set_query (MoshiAddress * self, const gchar * name,
    const gchar * value, GError ** error);
gboolean moshi_address_set_token (MoshiAddress * self, const gchar * key,
    GError ** error);
gchar *moshi_address_to_string (MoshiAddress * self);
gchar *moshi_address_to_redacted (MoshiAddress * self);
const gchar *moshi_address_get_host (MoshiAddress * self);
gboolean moshi_address_is_tls (MoshiAddress * self);
gboolean moshi_address_has_secret (MoshiAddress * self);

/* Checks and redaction that need no address */
gboolean moshi_host_is_valid (const gchar * host);
gboolean moshi_host_is_loopback (const gchar * name);
gboolean moshi_name_is_secret (const gchar * name);
gboolean moshi_key_check (const gchar * key, GError ** error);
gboolean moshi_header_check (const gchar * name, const gchar * value,
    GError ** error);
gchar *moshi_redact (const gchar * text, const gchar * secret);
gchar *moshi_redact_uri (const gchar * uri);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (MoshiAddress, moshi_address_free)

G_END_DECLS
