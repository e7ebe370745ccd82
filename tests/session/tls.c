/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "certificates.h"
#include "peer.h"
#include "watcher.h"

#include <glib/gstdio.h>
#include <string.h>

static GTlsCertificate *
load (const gchar * pem)
{
  GError *error = NULL;
  GTlsCertificate *certificate = g_tls_certificate_new_from_pem (pem, -1,
      &error);

  g_assert_no_error (error);
  return certificate;
}

/* A file that holds a certificate; unlink and free it. */
static gchar *
write_ca (const gchar * pem)
{
  GError *error = NULL;
  gchar *path = NULL;
  gint fd = g_file_open_tmp ("moshi-ca-XXXXXX.pem", &path, &error);

  g_assert_no_error (error);
  g_assert_true (g_close (fd, NULL));
  g_assert_true (g_file_set_contents (path, pem, -1, NULL));
  return path;
}

static void
drop_ca (gchar * path)
{
  g_assert_cmpint (g_unlink (path), ==, 0);
  g_free (path);
}

static void
echo (Peer * peer, gpointer user_data)
{
  GBytes *frame;
  guint8 opcode;

  if (!peer_upgrade (peer))
    return;
  peer_send (peer, 0, NULL, 0);
  while ((frame = peer_read_frame (peer, &opcode)) != NULL) {
    peer_send_frame (peer, 0x80 | opcode, g_bytes_get_data (frame, NULL),
        g_bytes_get_size (frame));
    g_bytes_unref (frame);
    if (opcode == 8)
      return;
  }
}

static PeerServer *
serve (const gchar * pem, PeerScript script)
{
  g_autoptr (GTlsCertificate) certificate = load (pem);

  return peer_server_new_tls (script, NULL, certificate);
}

static MoshiSessionConfig *
new_tls_config (PeerServer * server)
{
  MoshiSessionConfig *config = new_config (peer_server_get_port (server));

  g_free (config->uri);
  config->uri = g_strdup_printf ("wss://localhost:%u",
      peer_server_get_port (server));
  config->life.retries = 2;
  return config;
}

static void
assert_echo (Watcher * watcher, MoshiSession * session)
{
  guint i;

  watcher_wait_state (watcher, MOSHI_LIFE_READY);
  for (i = 0; i < 50; i++) {
    g_autoptr (GBytes) packet = new_packet (i);

    g_assert_true (moshi_session_send (session, packet));
    g_assert_true (g_bytes_equal (packet, watcher_wait (watcher,
                MOSHI_SESSION_PACKET, i)->bytes));
  }
  moshi_session_close (session);
  g_assert_cmpint (watcher_wait_end (watcher)->kind, ==,
      MOSHI_SESSION_FINISHED);
}

/* The server prefers h2, as moshi-backend does; there no WebSocket works. */
static void
test_ca_file (void)
{
  g_autoptr (PeerServer) server = serve (good_pem, echo);
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiSession) session = NULL;
  MoshiSessionConfig *config = new_tls_config (server);
  gchar *path = write_ca (good_pem);

  config->tls_ca_file = g_strdup (path);
  session = watcher_open (watcher, config);
  assert_echo (watcher, session);
  drop_ca (path);
}

static void
test_database (void)
{
  g_autoptr (PeerServer) server = serve (good_pem, echo);
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiSession) session = NULL;
  MoshiSessionConfig *config = new_tls_config (server);
  gchar *path = write_ca (good_pem);

  config->tls_database = g_tls_file_database_new (path, NULL);
  session = watcher_open (watcher, config);
  assert_echo (watcher, session);
  drop_ca (path);
}

static void
test_no_validation (void)
{
  g_autoptr (PeerServer) server = serve (expired_pem, echo);
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiSession) session = NULL;
  MoshiSessionConfig *config = new_tls_config (server);

  config->tls_validation_flags = 0;
  session = watcher_open (watcher, config);
  assert_echo (watcher, session);
}

/* Certificates that do not pass: not tried again, and told apart. */
static const struct
{
  const gchar *name;
  const gchar *pem;
  gboolean trusted;
  const gchar *words;
} refusals[] = {
  {"unknown", good_pem, FALSE, "tls-ca-file"},
  {"other-host", other_pem, TRUE, "another host"},
  {"expired", expired_pem, TRUE, "expired"},
};

static void
test_refusal (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  g_autoptr (PeerServer) server = serve (refusals[i].pem, echo);
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiSession) session = NULL;
  MoshiSessionConfig *config = new_tls_config (server);
  gchar *path = write_ca (refusals[i].pem);
  const Seen *end;

  if (refusals[i].trusted)
    config->tls_ca_file = g_strdup (path);
  session = watcher_open (watcher, config);
  end = watcher_wait_end (watcher);
  g_test_message ("%s", end->error->message);
  g_assert_error (end->error, MOSHI_ERROR, MOSHI_ERROR_CONNECT);
  g_assert_nonnull (strstr (end->error->message, refusals[i].words));
  g_assert_cmpuint (peer_server_get_connections (server), ==, 1);
  drop_ca (path);
}

/* Asked about */

typedef struct
{
  Watcher *watcher;
  gboolean answer;
  GTlsCertificateFlags errors;
  guint asked;
} Judge;

static void
on_event (MoshiSession * session, const MoshiSessionEvent * event,
    gpointer user_data)
{
  Judge *judge = user_data;

  watcher_on_event (session, event, judge->watcher);
}

static gboolean
on_certificate (MoshiSession * session, GTlsCertificate * certificate,
    GTlsCertificateFlags errors, gpointer user_data)
{
  Judge *judge = user_data;

  g_assert_true (G_IS_TLS_CERTIFICATE (certificate));
  judge->asked++;
  judge->errors = errors;
  return judge->answer;
}

static void
test_judge (gconstpointer data)
{
  g_autoptr (PeerServer) server = serve (other_pem, echo);
  g_autoptr (Watcher) watcher = watcher_new ();
  MoshiSessionConfig *config = new_tls_config (server);
  Judge judge = { watcher, GPOINTER_TO_INT (data), };
  g_autoptr (MoshiSession) session = moshi_session_new (config, on_event,
      on_certificate, &judge, NULL, NULL);

  moshi_session_config_free (config);
  moshi_session_open (session);
  if (judge.answer)
    assert_echo (watcher, session);
  else
    g_assert_error (watcher_wait_end (watcher)->error, MOSHI_ERROR,
        MOSHI_ERROR_CONNECT);
  g_assert_cmpuint (judge.asked, ==, 1);
  g_assert_cmpint (judge.errors, ==,
      G_TLS_CERTIFICATE_UNKNOWN_CA | G_TLS_CERTIFICATE_BAD_IDENTITY);
}

/* A user who looks away from one flaw is not asked about it. */
static void
test_flags (void)
{
  g_autoptr (PeerServer) server = serve (other_pem, echo);
  g_autoptr (Watcher) watcher = watcher_new ();
  MoshiSessionConfig *config = new_tls_config (server);
  Judge judge = { watcher, TRUE, };
  g_autoptr (MoshiSession) session = NULL;

  config->tls_validation_flags = G_TLS_CERTIFICATE_BAD_IDENTITY;
  session = moshi_session_new (config, on_event, on_certificate, &judge, NULL,
      NULL);
  moshi_session_config_free (config);
  moshi_session_open (session);
  assert_echo (watcher, session);
  g_assert_cmpint (judge.errors, ==, G_TLS_CERTIFICATE_BAD_IDENTITY);
}

/* Mixed up */

static void
answer_in_clear (Peer * peer, gpointer user_data)
{
  peer_printf (peer, "HTTP/1.1 400 Bad Request\r\n\r\n");
}

static void
test_no_tls_there (void)
{
  g_autoptr (PeerServer) server = peer_server_new (answer_in_clear, NULL);
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiSession) session = watcher_open (watcher,
      new_tls_config (server));
  const Seen *end = watcher_wait_end (watcher);

  g_test_message ("%s", end->error->message);
  g_assert_error (end->error, MOSHI_ERROR, MOSHI_ERROR_CONNECT);
  g_assert_nonnull (strstr (end->error->message, "wss or ws"));
  moshi_session_stop (session);
}

static void
test_tls_there (void)
{
  g_autoptr (PeerServer) server = serve (good_pem, echo);
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiSession) session = watcher_open (watcher,
      new_config (peer_server_get_port (server)));
  const Seen *end = watcher_wait_end (watcher);

  g_test_message ("%s", end->error->message);
  g_assert_error (end->error, MOSHI_ERROR, MOSHI_ERROR_CONNECT);
  moshi_session_stop (session);
}

/* Stuck */

static void
say_nothing (Peer * peer, gpointer user_data)
{
  peer_wait_for_end (peer);
}

static void
test_stop_in_handshake (void)
{
  PeerServer *server = peer_server_new (say_nothing, NULL);
  g_autoptr (Watcher) watcher = watcher_new ();
  MoshiSession *session = watcher_open (watcher, new_tls_config (server));

  watcher_wait_state (watcher, MOSHI_LIFE_CONNECTING);
  while (peer_server_get_connections (server) == 0)
    g_thread_yield ();
  moshi_session_unref (session);
  wait_until_threads_are_gone ();
  peer_server_free (server);
}

static void
never_read (Peer * peer, gpointer user_data)
{
  if (!peer_upgrade (peer))
    return;
  peer_send (peer, 0, NULL, 0);
  peer_wait_for_end (peer);
}

/* A TLS connection whose peer does not read has no room for a goodbye. */
static void
test_stop_when_stuck (void)
{
  PeerServer *server = serve (good_pem, never_read);
  g_autoptr (Watcher) watcher = watcher_new ();
  MoshiSessionConfig *config = new_tls_config (server);
  MoshiSession *session;
  g_autofree guint8 *data = g_malloc0 (1200);
  g_autoptr (GBytes) packet = NULL;
  MoshiSessionStats stats;

  data[0] = 31 << 3;
  packet = g_bytes_new (data, 1200);
  config->tls_validation_flags = 0;
  config->max_queue = 2000;
  config->life.idle_timeout = 0;
  session = watcher_open (watcher, config);
  watcher_wait_state (watcher, MOSHI_LIFE_READY);
  do {
    while (moshi_session_send (session, packet));
    moshi_session_get_stats (session, &stats);
    g_usleep (1000);
  } while (stats.samples_dropped < 200 * 480);
  moshi_session_unref (session);
  /* Without help from the peer, which is still there. */
  wait_until_threads_are_gone ();
  peer_server_free (server);
}

int
main (int argc, char **argv)
{
  guint i;

  session_test_init (&argc, &argv);
  if (!g_tls_backend_supports_tls (g_tls_backend_get_default ())) {
    g_print ("1..0 # SKIP no TLS backend for GIO\n");
    return 0;
  }
  g_test_add_func ("/tls/ca-file", test_ca_file);
  g_test_add_func ("/tls/database", test_database);
  g_test_add_func ("/tls/no-validation", test_no_validation);
  for (i = 0; i < G_N_ELEMENTS (refusals); i++) {
    g_autofree gchar *path = g_strconcat ("/tls/refusal/", refusals[i].name,
        NULL);

    g_test_add_data_func (path, GUINT_TO_POINTER (i), test_refusal);
  }
  g_test_add_data_func ("/tls/accept", GINT_TO_POINTER (TRUE), test_judge);
  g_test_add_data_func ("/tls/reject", GINT_TO_POINTER (FALSE), test_judge);
  g_test_add_func ("/tls/flags", test_flags);
  g_test_add_func ("/tls/no-tls-there", test_no_tls_there);
  g_test_add_func ("/tls/tls-there", test_tls_there);
  g_test_add_func ("/tls/stop-in-handshake", test_stop_in_handshake);
  g_test_add_func ("/tls/stop-when-stuck", test_stop_when_stuck);
  return g_test_run ();
}
