/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mint.h"

#include <glib/gstdio.h>

struct _Mint
{
  gchar *folder;
};

static const gchar config[] =
    "[ca]\ndefault_ca=mint\n"
    "[mint]\ndatabase=index.txt\nnew_certs_dir=.\nrand_serial=yes\n"
    "default_md=sha256\npolicy=any\nunique_subject=no\n"
    "[any]\ncommonName=supplied\n"
    "[leaf]\nbasicConstraints=critical,CA:FALSE\n"
    "subjectAltName=${ENV::MINT_NAME}\n"
    "[authority]\nbasicConstraints=critical,CA:TRUE\n"
    "keyUsage=critical,keyCertSign,cRLSign\n"
    "subjectKeyIdentifier=hash\n" "[req]\ndistinguished_name=any\n";

/* Whether openssl(1) is there. */
gboolean
mint_is_possible (void)
{
  g_autofree gchar *program = g_find_program_in_path ("openssl");

  return program != NULL;
}

static void
write_file (Mint * self, const gchar * name, const gchar * text)
{
  g_autofree gchar *path = g_build_filename (self->folder, name, NULL);

  g_assert_true (g_file_set_contents (path, text, -1, NULL));
}

/* Takes the arguments, ended by NULL, as they are. */
static void
run (Mint * self, const gchar * alternative, const gchar * const *arguments)
{
  g_auto (GStrv) env = g_environ_setenv (g_get_environ (), "MINT_NAME",
      alternative, TRUE);
  g_autofree gchar *errors = NULL;
  GError *error = NULL;
  gint status;

  g_spawn_sync (self->folder, (gchar **) arguments, env, G_SPAWN_SEARCH_PATH,
      NULL, NULL, NULL, &errors, &status, &error);
  g_assert_no_error (error);
  if (status != 0)
    g_error ("openssl: %s", errors);
}

Mint *
mint_new (void)
{
  Mint *self = g_new0 (Mint, 1);

  self->folder = g_dir_make_tmp ("moshi-mint-XXXXXX", NULL);
  g_assert_nonnull (self->folder);
  write_file (self, "mint.cnf", config);
  write_file (self, "index.txt", "");
  return self;
}

void
mint_free (Mint * self)
{
  GDir *dir = g_dir_open (self->folder, 0, NULL);
  const gchar *name;

  while ((name = g_dir_read_name (dir)) != NULL) {
    g_autofree gchar *path = g_build_filename (self->folder, name, NULL);

    g_unlink (path);
  }
  g_dir_close (dir);
  g_rmdir (self->folder);
  g_free (self->folder);
  g_free (self);
}

static void
request (Mint * self, const gchar * name)
{
  g_autofree gchar *key = g_strconcat (name, ".key", NULL);
  g_autofree gchar *csr = g_strconcat (name, ".csr", NULL);
  g_autofree gchar *subject = g_strconcat ("/CN=", name, NULL);
  const gchar *arguments[] = { "openssl", "req", "-new", "-config", "mint.cnf",
    "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
    key, "-out", csr, "-subj", subject, NULL
  };

  run (self, "", arguments);
}

static void
sign (Mint * self, const gchar * name, const gchar * issuer,
    const gchar * alternative, MintFlags flags)
{
  g_autofree gchar *key = g_strconcat (issuer ? issuer : name, ".key", NULL);
  g_autofree gchar *cert = g_strconcat (issuer ? issuer : name, ".crt", NULL);
  g_autofree gchar *csr = g_strconcat (name, ".csr", NULL);
  g_autofree gchar *out = g_strconcat (name, ".crt", NULL);
  const gchar *arguments[] = { "openssl", "ca", "-batch", "-config", "mint.cnf",
    "-notext", "-in", csr, "-out", out, "-keyfile", key,
    "-startdate", flags & MINT_NOT_YET ? "20990101000000Z" : "20200101000000Z",
    "-enddate", flags & MINT_EXPIRED ? "20200102000000Z" : "21200101000000Z",
    "-extensions", flags & MINT_AUTHORITY ? "authority" : "leaf",
    issuer ? "-cert" : "-selfsign", issuer ? cert : NULL, NULL
  };

  run (self, alternative, arguments);
}

static void
append_file (Mint * self, GString * text, const gchar * name,
    const gchar * suffix)
{
  g_autofree gchar *file = g_strconcat (name, suffix, NULL);
  g_autofree gchar *path = g_build_filename (self->folder, file, NULL);
  g_autofree gchar *contents = NULL;

  g_assert_true (g_file_get_contents (path, &contents, NULL, NULL));
  g_string_append (text, contents);
}

/* Makes NAME, signed by an issuer made before, or by itself; @alternative is a
 * subjectAltName, such as DNS:localhost. */
void
mint_make (Mint * self, const gchar * name, const gchar * issuer,
    const gchar * alternative, MintFlags flags)
{
  g_autofree gchar *pem = g_strconcat (name, ".pem", NULL);
  GString *text = g_string_new (NULL);

  request (self, name);
  sign (self, name, issuer, alternative, flags);
  append_file (self, text, name, ".crt");
  append_file (self, text, name, ".key");
  if (flags & MINT_WITH_CHAIN)
    append_file (self, text, issuer, ".crt");
  write_file (self, pem, text->str);
  g_string_free (text, TRUE);
}

/* Puts the certificates of @names, which ends by NULL, into NAME.pem. */
void
mint_bundle (Mint * self, const gchar * name, const gchar * const *names)
{
  g_autofree gchar *pem = g_strconcat (name, ".pem", NULL);
  GString *text = g_string_new (NULL);

  for (; *names != NULL; names++)
    append_file (self, text, *names, ".crt");
  write_file (self, pem, text->str);
  g_string_free (text, TRUE);
}

gchar *
mint_dup_path (Mint * self, const gchar * name)
{
  g_autofree gchar *pem = g_strconcat (name, ".pem", NULL);

  return g_build_filename (self->folder, pem, NULL);
}

GTlsCertificate *
mint_load (Mint * self, const gchar * name)
{
  g_autofree gchar *path = mint_dup_path (self, name);
  GError *error = NULL;
  GTlsCertificate *certificate = g_tls_certificate_new_from_file (path, &error);

  g_assert_no_error (error);
  return certificate;
}
