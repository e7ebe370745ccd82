/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "moshitrust.h"

#include <glib/gstdio.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "moshilock.h"

/*
 * Whom to trust, in little memory
 * -------------------------------
 * A GTlsDatabase can be shared, and GIO shares the system's. But with GnuTLS a
 * connection does not look into it: it makes a list of its own, parses all of
 * the database's certificates into that and keeps it as long as it lives (3.8
 * MB and 7 ms for the 144 of Debian), because GnuTLS gives each list to one
 * connection's credentials, which free it (gnutls_certificate_set_trust_list()).
 * A GTlsDatabase of another kind would be asked itself, and one list would do
 * for all; but it is shown the certificates and nothing else, so that a stapled
 * answer that they are revoked would go unheard (RFC 6066 section 8).
 *
 * So each connection checks its server with a list of its own, as strictly as
 * ever, and when that is done lets go of it. What the system's certificates, in
 * the handshakes of many sessions at once, have left free in between what stays
 * is then given back to the system, which malloc() does not do by itself. Of a
 * file of few there is too little for that: malloc_trim() keeps all threads of
 * the application from malloc() for a while.
 */

/* How long after the last handshake memory is given back, in ms */
#define TRIM_DELAY 500

/* Files */

typedef struct
{
  gchar *path;
  GStatBuf facts;
  GWeakRef database;
} File;

static GMutex files_lock;
/* (element-type File): those in use, and some that were */
static GSList *files MOSHI_GUARDED_BY (files_lock);

static void
free_file (gpointer data)
{
  File *self = data;

  g_weak_ref_clear (&self->database);
  g_free (self->path);
  g_free (self);
}

static gboolean
is_as_it_was (const GStatBuf * a, const GStatBuf * b)
{
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino
      && a->st_size == b->st_size && a->st_mtime == b->st_mtime
      && a->st_ctime == b->st_ctime;
}

static GTlsDatabase *
find_file (const gchar * path, const GStatBuf * facts)
{
  GTlsDatabase *found = NULL;
  GSList *next, *i;

  g_mutex_lock (&files_lock);
  for (i = files; i != NULL; i = next) {
    File *file = i->data;
    GTlsDatabase *database = g_weak_ref_get (&file->database);

    next = i->next;
    if (database == NULL) {
      files = g_slist_delete_link (files, i);
      free_file (file);
    } else if (found == NULL && g_str_equal (file->path, path)
        && is_as_it_was (&file->facts, facts)) {
      found = database;
    } else {
      g_object_unref (database);
    }
  }
  g_mutex_unlock (&files_lock);
  return found;
}

static void
add_file (const gchar * path, const GStatBuf * facts, GTlsDatabase * database)
{
  File *file = g_new0 (File, 1);

  file->path = g_strdup (path);
  file->facts = *facts;
  g_weak_ref_init (&file->database, database);
  g_mutex_lock (&files_lock);
  files = g_slist_prepend (files, file);
  g_mutex_unlock (&files_lock);
}

/**
 * moshi_trust_get_file:
 * @path: an absolute path of a file of certificates in PEM
 * @error: return location for a #GError
 *
 * Reads a file, once for all who want the same one at a time; again when it is
 * no longer what was read. May be called from any thread; reads files.
 *
 * Returns: (transfer full) (nullable): a database, or %NULL with a #GTlsError or
 *     #GFileError
 */
GTlsDatabase *
moshi_trust_get_file (const gchar * path, GError ** error)
{
  GTlsDatabase *database = NULL;
  GStatBuf facts;
  /* What is written while it is read has another time than this one. */
  gboolean known = g_stat (path, &facts) == 0;

  if (known)
    database = find_file (path, &facts);
  if (database != NULL)
    return database;
  database = g_tls_file_database_new (path, error);
  if (database != NULL && known)
    add_file (path, &facts, database);
  return database;
}

/* Lists */

#ifdef __GLIBC__
/* One timer at a time is under way: (network thread and its successor) */
static gint trimming;

static gboolean
trim (gpointer user_data)
{
  malloc_trim (0);
  return G_SOURCE_REMOVE;
}

static void
forget_trim (gpointer user_data)
{
  g_atomic_int_set (&trimming, FALSE);
}

static void
trim_later (GMainContext * context)
{
  GSource *source;

  if (!g_atomic_int_compare_and_exchange (&trimming, FALSE, TRUE))
    return;
  source = g_timeout_source_new (TRIM_DELAY);
  g_source_set_priority (source, G_PRIORITY_LOW);
  g_source_set_callback (source, trim, NULL, forget_trim);
  g_source_attach (source, context);
  g_source_unref (source);
}
#else
static void
trim_later (GMainContext * context)
{
}
#endif

static gboolean
is_system (GTlsDatabase * database)
{
  g_autoptr (GTlsDatabase) system =
      g_tls_backend_get_default_database (g_tls_backend_get_default ());

  return database == system;
}

/**
 * moshi_trust_let_go:
 * @connection: a client's, whose handshake is done and was accepted
 * @context: the network thread's, on which this is called
 *
 * Frees what the connection needed to check its peer. It checks none any more:
 * a server that wants to begin anew, which TLS 1.3 does away with, then meets a
 * client that trusts nobody, and asks nobody for a certificate of its own.
 */
void
moshi_trust_let_go (GTlsConnection * connection, GMainContext * context)
{
  gboolean is_large = is_system (g_tls_connection_get_database (connection));

  g_tls_connection_set_database (connection, NULL);
  g_tls_connection_set_interaction (connection, NULL);
  if (is_large)
    trim_later (context);
}
