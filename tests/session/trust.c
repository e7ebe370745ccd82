/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whom a session believes and how it shows who it is, with authorities of the
 * test's own: each fault of a certificate that GIO tells is an error that says
 * which, and no request goes out.
 */
#include "session/moshitrust.h"
#include "mint.h"
#include "peer.h"
#include "watcher.h"

#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#define HOST "DNS:localhost"

static Mint *mint;

/* Made once: an authority, one below it, a stranger, and who they vouch for */
static void
make_certificates (void)
{
  mint = mint_new ();
  mint_make (mint, "ca", NULL, "", MINT_AUTHORITY);
  mint_make (mint, "stranger", NULL, "", MINT_AUTHORITY);
  mint_make (mint, "mid", "ca", "", MINT_AUTHORITY);
  mint_make (mint, "good", "ca", HOST, MINT_LEAF);
  mint_make (mint, "address", "ca", "IP:127.0.0.1", MINT_LEAF);
  mint_make (mint, "other", "ca", "DNS:elsewhere.example", MINT_LEAF);
  mint_make (mint, "expired", "ca", HOST, MINT_EXPIRED);
  mint_make (mint, "not-yet", "ca", HOST, MINT_NOT_YET);
  mint_make (mint, "chained", "mid", HOST, MINT_WITH_CHAIN);
  mint_make (mint, "unchained", "mid", HOST, MINT_LEAF);
  mint_make (mint, "self-signed", NULL, HOST, MINT_LEAF);
  mint_make (mint, "foreign", "stranger", HOST, MINT_LEAF);
  /* Signed by one that may not sign */
  mint_make (mint, "usurped", "good", HOST, MINT_WITH_CHAIN);
  mint_make (mint, "client", "ca", "DNS:me", MINT_LEAF);
  mint_make (mint, "foreign-client", "stranger", "DNS:me", MINT_LEAF);
}

/* --- what is believed ------------------------------------------------------ */

static gint n_requests;         /* atomic: that a server got to read */

/* Begins a session and ends it politely: GIO's TLS leaks the error of a read
 * that is cancelled (glib-networking 2.74). */
static void
greet (Peer * peer, gpointer user_data)
{
  GBytes *frame;
  guint8 opcode = 0;

  if (!peer_upgrade (peer))
    return;
  g_atomic_int_inc (&n_requests);
  peer_send (peer, 0, NULL, 0);
  while (opcode != 8 && (frame = peer_read_frame (peer, &opcode)) != NULL) {
    if (opcode == 8)
      peer_send_frame (peer, 0x88, g_bytes_get_data (frame, NULL),
          g_bytes_get_size (frame));
    g_bytes_unref (frame);
  }
}

static PeerServer *
serve (const gchar * name)
{
  g_autoptr (GTlsCertificate) certificate = mint_load (mint, name);

  g_atomic_int_set (&n_requests, 0);
  return peer_server_new_tls (greet, NULL, certificate);
}

static MoshiSessionConfig *
new_secure_config (PeerServer * server, const gchar * host, const gchar * ca)
{
  MoshiSessionConfig *config = new_config (peer_server_get_port (server));

  g_free (config->uri);
  config->uri = g_strdup_printf ("wss://%s:%u", host,
      peer_server_get_port (server));
  config->api_key = g_strdup ("k3y");
  if (ca)
    config->tls_ca_file = mint_dup_path (mint, ca);
  config->life.retries = 0;
  return config;
}

static void
assert_taken (Watcher * watcher, MoshiSession * session)
{
  watcher_wait_state (watcher, MOSHI_LIFE_READY);
  moshi_session_close (session);
  g_assert_cmpint (watcher_wait_end (watcher)->kind, ==,
      MOSHI_SESSION_FINISHED);
}

static void
assert_refused (Watcher * watcher, PeerServer * server, const gchar * words)
{
  const Seen *end = watcher_wait_end (watcher);

  g_test_message ("%s", end->error->message);
  g_assert_error (end->error, MOSHI_ERROR, MOSHI_ERROR_CONNECT);
  g_assert_nonnull (strstr (end->error->message, words));
  g_assert_cmpuint (peer_server_get_connections (server), ==, 1);
  /* The key stayed here. */
  g_assert_cmpint (g_atomic_int_get (&n_requests), ==, 0);
}

static const struct
{
  const gchar *name;
  const gchar *host;
  const gchar *certificate;
  const gchar *ca;
  const gchar *refused;         /* words of the error, or NULL */
} cases[] = {
  {"good", "localhost", "good", "ca", NULL},
  {"address", "127.0.0.1", "address", "ca", NULL},
  {"chain", "localhost", "chained", "ca", NULL},
  {"self-signed", "localhost", "self-signed", "self-signed", NULL},
  {"wrong-host", "localhost", "other", "ca", "for another host"},
  {"wrong-address", "127.0.0.1", "good", "ca", "for another host"},
  {"expired", "localhost", "expired", "ca", "has expired"},
  {"not-yet", "localhost", "not-yet", "ca", "not valid yet"},
  {"unknown-authority", "localhost", "foreign", "ca", "tls-ca-file"},
  {"unknown-self-signed", "localhost", "self-signed", "ca", "tls-ca-file"},
  {"chain-missing", "localhost", "unchained", "ca", "tls-ca-file"},
  {"signed-by-a-leaf", "localhost", "usurped", "ca", "certificate"},
  {"system-authorities", "localhost", "good", NULL, "tls-ca-file"},
};

static void
test_case (gconstpointer data)
{
  const guint i = GPOINTER_TO_UINT (data);
  g_autoptr (PeerServer) server = serve (cases[i].certificate);
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiSession) session = watcher_open (watcher,
      new_secure_config (server, cases[i].host, cases[i].ca));

  if (cases[i].refused)
    assert_refused (watcher, server, cases[i].refused);
  else
    assert_taken (watcher, session);
}

static void
test_database (gconstpointer data)
{
  const gboolean trusted = GPOINTER_TO_INT (data);
  g_autoptr (PeerServer) server = serve ("good");
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiSession) session = NULL;
  MoshiSessionConfig *config = new_secure_config (server, "localhost", NULL);
  g_autofree gchar *path = mint_dup_path (mint, trusted ? "ca" : "stranger");

  config->tls_database = g_tls_file_database_new (path, NULL);
  session = watcher_open (watcher, config);
  if (trusted)
    assert_taken (watcher, session);
  else
    assert_refused (watcher, server, "tls-ca-file");
}

/* GIO's own databases know no revocation lists; one of an application's may. */
#define TEST_TYPE_REVOKER (test_revoker_get_type ())
/* *INDENT-OFF* */
G_DECLARE_FINAL_TYPE (TestRevoker, test_revoker, TEST, REVOKER, GTlsDatabase)
/* *INDENT-ON* */

struct _TestRevoker
{
  GTlsDatabase parent;
};

G_DEFINE_TYPE (TestRevoker, test_revoker, G_TYPE_TLS_DATABASE);

static GTlsCertificateFlags
say_revoked (GTlsDatabase * self, GTlsCertificate * chain,
    const gchar * purpose, GSocketConnectable * identity,
    GTlsInteraction * interaction, GTlsDatabaseVerifyFlags flags,
    GCancellable * cancellable, GError ** error)
{
  return G_TLS_CERTIFICATE_REVOKED;
}

static void
test_revoker_class_init (TestRevokerClass * klass)
{
  G_TLS_DATABASE_CLASS (klass)->verify_chain = say_revoked;
}

static void
test_revoker_init (TestRevoker * self)
{
}

static void
test_revoked (void)
{
  g_autoptr (PeerServer) server = serve ("good");
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiSession) session = NULL;
  MoshiSessionConfig *config = new_secure_config (server, "localhost", NULL);

  config->tls_database = g_object_new (TEST_TYPE_REVOKER, NULL);
  session = watcher_open (watcher, config);
  assert_refused (watcher, server, "revoked");
}

/* A file of authorities that is none is no reason to go on without. */
static void
test_bad_file (void)
{
  static const gchar *const paths[] = { "/nonexistent/ca.pem", "/",
    "/dev/null"
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (paths); i++) {
    g_autoptr (MoshiSessionConfig) config = new_config (1);
    g_autoptr (GError) error = NULL;

    g_free (config->uri);
    config->uri = g_strdup ("wss://localhost");
    config->tls_ca_file = g_strdup (paths[i]);
    g_assert_false (moshi_session_config_check (config, &error));
    g_assert_error (error, MOSHI_ERROR, MOSHI_ERROR_SETTINGS);
  }
}

/* --- in how much memory ---------------------------------------------------- */

static const gchar *const one[] = { "ca", NULL };
static const gchar *const two[] = { "stranger", "ca", NULL };

static GTlsDatabase *
get_file (const gchar * path)
{
  g_autoptr (GError) error = NULL;
  GTlsDatabase *database = moshi_trust_get_file (path, &error);

  g_assert_no_error (error);
  return database;
}

/* Who wants the same file gets the same database, until the file is another or
 * nobody has it any more. */
static void
test_shared (void)
{
  g_autoptr (GTlsDatabase) first = NULL;
  g_autoptr (GTlsDatabase) same = NULL;
  g_autoptr (GTlsDatabase) other = NULL;
  g_autoptr (GTlsDatabase) changed = NULL;
  g_autofree gchar *path = NULL;
  g_autofree gchar *stranger = mint_dup_path (mint, "stranger");
  gpointer where;

  mint_bundle (mint, "bundle", one);
  path = mint_dup_path (mint, "bundle");
  first = get_file (path);
  same = get_file (path);
  other = get_file (stranger);
  g_assert_true (same == first);
  g_assert_true (other != first);

  mint_bundle (mint, "bundle", two);
  changed = get_file (path);
  g_assert_true (changed != first);
  where = changed;
  g_object_add_weak_pointer (G_OBJECT (changed), &where);
  g_clear_object (&changed);
  g_assert_null (where);
  changed = get_file (path);
  g_assert_true (changed != first);
}

/* A session that is refused for a file is taken once the file is right, though
 * another session still has the old one. */
static void
test_renewed_file (void)
{
  static const gchar *const strangers[] = { "stranger", NULL };
  g_autoptr (PeerServer) server = serve ("good");
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (Watcher) next = watcher_new ();
  g_autoptr (MoshiSession) refused = NULL;
  g_autoptr (MoshiSession) taken = NULL;

  mint_bundle (mint, "bundle", strangers);
  refused = watcher_open (watcher, new_secure_config (server, "localhost",
          "bundle"));
  assert_refused (watcher, server, "not signed by anyone known");
  mint_bundle (mint, "bundle", one);
  taken = watcher_open (next, new_secure_config (server, "localhost",
          "bundle"));
  assert_taken (next, taken);
}

#if defined (__GLIBC__) && __GLIBC_PREREQ (2, 33)
#define N_FAT 6
#define N_MANY 8

/* glibc answers by a structure. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Waggregate-return"
static gsize
get_heap (void)
{
  return mallinfo2 ().uordblks;
}

#pragma GCC diagnostic pop

/* Sanitizers have a malloc() of their own, of which mallinfo2() knows nothing. */
static gboolean
can_see_heap (void)
{
  const gsize before = get_heap ();
  g_autofree gchar *block = g_malloc (10000);

  block[0] = 0;
  return get_heap () - before >= 10000;
}

/* A file of authorities with many names, 2 MB in memory */
static void
make_fat_file (void)
{
  const gchar *names[N_FAT + 2] = { "ca", NULL };
  GString *alternative = g_string_new ("DNS:localhost");
  guint i;

  for (i = 0; i < 2500; i++)
    g_string_append_printf (alternative, ",DNS:%u.of.many.example", i);
  for (i = 0; i < N_FAT; i++) {
    g_autofree gchar *name = g_strdup_printf ("fat-%u", i);

    mint_make (mint, name, NULL, alternative->str, MINT_LEAF);
    names[i + 1] = g_intern_string (name);
  }
  mint_bundle (mint, "fat", names);
  g_string_free (alternative, TRUE);
}

/* Sessions hold no list each of those whom they trust. */
static void
test_lists (void)
{
  g_autoptr (PeerServer) server = serve ("good");
  Watcher *watchers[N_MANY];
  MoshiSession *sessions[N_MANY];
  gsize first = 0, all;
  guint i;

  if (!can_see_heap ()) {
    g_test_skip ("this malloc() does not say what it has given");
    return;
  }
  make_fat_file ();
  for (i = 0; i < N_MANY; i++) {
    watchers[i] = watcher_new ();
    sessions[i] = watcher_open (watchers[i], new_secure_config (server,
            "localhost", "fat"));
    watcher_wait_state (watchers[i], MOSHI_LIFE_READY);
    if (i == 0)
      first = get_heap ();
  }
  all = get_heap ();
  for (i = 0; i < N_MANY; i++) {
    assert_taken (watchers[i], sessions[i]);
    moshi_session_unref (sessions[i]);
    watcher_unref (watchers[i]);
  }
  g_test_message ("%" G_GSIZE_FORMAT " bytes a session",
      (all - first) / (N_MANY - 1));
  g_assert_cmpuint ((all - first) / (N_MANY - 1), <, 800000);
}
#endif

/* --- who we are -------------------------------------------------------------- */

#define TEST_TYPE_PASSPORT (test_passport_get_type ())
/* *INDENT-OFF* */
G_DECLARE_FINAL_TYPE (TestPassport, test_passport, TEST, PASSPORT,
    GTlsInteraction)
/* *INDENT-ON* */

struct _TestPassport
{
  GTlsInteraction parent;
  GTlsCertificate *certificate;
};

G_DEFINE_TYPE (TestPassport, test_passport, G_TYPE_TLS_INTERACTION);

static void
show (GTlsInteraction * interaction, GTlsConnection * connection,
    GTlsCertificateRequestFlags flags, GCancellable * cancellable,
    GAsyncReadyCallback callback, gpointer user_data)
{
  GTask *task = g_task_new (interaction, cancellable, callback, user_data);

  g_tls_connection_set_certificate (connection,
      TEST_PASSPORT (interaction)->certificate);
  g_task_return_int (task, G_TLS_INTERACTION_HANDLED);
  g_object_unref (task);
}

static GTlsInteractionResult
show_finish (GTlsInteraction * interaction, GAsyncResult * result,
    GError ** error)
{
  return g_task_propagate_int (G_TASK (result), error);
}

static GTlsInteractionResult
show_now (GTlsInteraction * interaction, GTlsConnection * connection,
    GTlsCertificateRequestFlags flags, GCancellable * cancellable,
    GError ** error)
{
  g_tls_connection_set_certificate (connection,
      TEST_PASSPORT (interaction)->certificate);
  return G_TLS_INTERACTION_HANDLED;
}

static void
finalize (GObject * object)
{
  g_clear_object (&TEST_PASSPORT (object)->certificate);
  G_OBJECT_CLASS (test_passport_parent_class)->finalize (object);
}

static void
test_passport_class_init (TestPassportClass * klass)
{
  GTlsInteractionClass *interaction = G_TLS_INTERACTION_CLASS (klass);

  G_OBJECT_CLASS (klass)->finalize = finalize;
  interaction->request_certificate = show_now;
  interaction->request_certificate_async = show;
  interaction->request_certificate_finish = show_finish;
}

static void
test_passport_init (TestPassport * self)
{
}

static const struct
{
  const gchar *name;
  const gchar *certificate;     /* NULL: none is shown */
  gboolean taken;
  const gchar *words;
} clients[] = {
  {"known", "client", TRUE, NULL},
  {"unknown", "foreign-client", FALSE, "does not accept that one"},
  {"none", NULL, FALSE, "who show a certificate"},
};

static void
test_client (gconstpointer data)
{
  const guint i = GPOINTER_TO_UINT (data);
  g_autofree gchar *path = mint_dup_path (mint, "ca");
  g_autoptr (GTlsDatabase) trusted = g_tls_file_database_new (path, NULL);
  g_autoptr (PeerServer) server = serve ("good");
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiSession) session = NULL;
  MoshiSessionConfig *config = new_secure_config (server, "localhost", "ca");
  TestPassport *passport;
  const Seen *end;

  peer_server_want_client (server, trusted);
  if (clients[i].certificate) {
    passport = g_object_new (TEST_TYPE_PASSPORT, NULL);
    passport->certificate = mint_load (mint, clients[i].certificate);
    config->tls_interaction = G_TLS_INTERACTION (passport);
  }
  session = watcher_open (watcher, config);
  if (clients[i].taken) {
    assert_taken (watcher, session);
    return;
  }
  end = watcher_wait_end (watcher);
  g_test_message ("%s", end->error->message);
  g_assert_error (end->error, MOSHI_ERROR, MOSHI_ERROR_CONNECT);
  g_assert_cmpint (g_atomic_int_get (&n_requests), ==, 0);
  g_assert_nonnull (strstr (end->error->message, "tls-interaction"));
  g_assert_nonnull (strstr (end->error->message, clients[i].words));
}

static void
add (const gchar * group, const gchar * name, guint i, GTestDataFunc func)
{
  g_autofree gchar *path = g_strdup_printf ("/trust/%s/%s", group, name);

  g_test_add_data_func (path, GUINT_TO_POINTER (i), func);
}

int
main (int argc, char **argv)
{
  guint i;
  int ret;

  session_test_init (&argc, &argv);
  if (!g_tls_backend_supports_tls (g_tls_backend_get_default ())
      || !mint_is_possible ()) {
    g_print ("1..0 # SKIP no TLS backend for GIO, or no openssl\n");
    return 0;
  }
  make_certificates ();
  for (i = 0; i < G_N_ELEMENTS (cases); i++)
    add ("server", cases[i].name, i, test_case);
  for (i = 0; i < G_N_ELEMENTS (clients); i++)
    add ("client", clients[i].name, i, test_client);
  add ("database", "trusted", TRUE, test_database);
  add ("database", "foreign", FALSE, test_database);
  g_test_add_func ("/trust/revoked", test_revoked);
  g_test_add_func ("/trust/bad-file", test_bad_file);
  g_test_add_func ("/trust/file/shared", test_shared);
  g_test_add_func ("/trust/file/renewed", test_renewed_file);
#if defined (__GLIBC__) && __GLIBC_PREREQ (2, 33)
  g_test_add_func ("/trust/lists", test_lists);
#endif
  ret = g_test_run ();
  mint_free (mint);
  return ret;
}
