/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/**
 * MoshiFault:
 * @error: one plain sentence in the domain %MOSHI_ERROR, with a hint
 * @http_status: the server's, or 0
 * @close_code: the WebSocket close code, or 0
 * @final: whether another attempt cannot mend it
 *
 * Why an attempt or a connection ended.
 */
typedef struct
{
  GError *error;
  guint http_status;
  guint close_code;
  gboolean final;
} MoshiFault;

MoshiFault *moshi_fault_new (GError * error, gboolean final);
MoshiFault *moshi_fault_new_http (guint status, const gchar * phrase,
    const gchar * body, const gchar * location);
MoshiFault *moshi_fault_new_connect (const GError * error,
    GTlsCertificateFlags tls_errors, const gchar * host);
MoshiFault *moshi_fault_new_shown (const GError * error, const gchar * host);
MoshiFault *moshi_fault_new_close (const GError * error, guint code,
    const gchar * reason);
void moshi_fault_redact (MoshiFault * self, const gchar * secret);
void moshi_fault_free (MoshiFault * self);

gchar *moshi_fault_quote (const gchar * text, gssize size, glong max_chars);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (MoshiFault, moshi_fault_free)

G_END_DECLS
