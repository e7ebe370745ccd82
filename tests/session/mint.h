/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/*
 * Certificates made on the spot by openssl(1), in a folder that goes with the
 * test. Each has a name, and NAME.pem holds it, its key and, if asked for, the
 * certificates that signed it.
 */

typedef struct _Mint Mint;

typedef enum
{
  MINT_LEAF = 0,
  MINT_AUTHORITY = 1 << 0,      /* may sign others */
  MINT_EXPIRED = 1 << 1,
  MINT_NOT_YET = 1 << 2,
  MINT_WITH_CHAIN = 1 << 3,     /* of the issuer */
} MintFlags;

gboolean mint_is_possible (void);
Mint *mint_new (void);
void mint_free (Mint * self);
void mint_make (Mint * self, const gchar * name, const gchar * issuer,
    const gchar * alternative, MintFlags flags);
void mint_bundle (Mint * self, const gchar * name, const gchar * const *names);
gchar *mint_dup_path (Mint * self, const gchar * name);
GTlsCertificate *mint_load (Mint * self, const gchar * name);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Mint, mint_free)

G_END_DECLS
