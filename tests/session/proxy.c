/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "certificates.h"
#include "peer.h"
#include "watcher.h"

#include <string.h>

/*
 * Through an HTTP proxy: always by CONNECT, for ws as for wss.
 */

#define USER "joe@home"
#define PASSWORD "p:w/ %41"

typedef struct
{
  guint16 port;                 /* where the tunnel leads, whatever it asks */
  gboolean wants_password;
  const gchar *answer;          /* instead of a tunnel */
  GMutex lock;
  gchar *request;               /* lock; the last one */
} Proxy;

static gpointer
relay_up (gpointer data)
{
  GIOStream **streams = data;

  g_output_stream_splice (g_io_stream_get_output_stream (streams[1]),
      g_io_stream_get_input_stream (streams[0]),
      G_OUTPUT_STREAM_SPLICE_NONE, NULL, NULL);
  g_socket_shutdown (g_socket_connection_get_socket (G_SOCKET_CONNECTION
          (streams[1])), FALSE, TRUE, NULL);
  return NULL;
}

static void
relay (Peer * peer, guint16 port)
{
  g_autoptr (GSocketClient) client = g_socket_client_new ();
  GIOStream *streams[2] = { peer_get_stream (peer), NULL };
  GThread *thread;

  g_socket_client_set_enable_proxy (client, FALSE);
  streams[1] = G_IO_STREAM (g_socket_client_connect_to_host (client,
          "127.0.0.1", port, NULL, NULL));
  g_assert_nonnull (streams[1]);
  thread = g_thread_new ("relay", relay_up, streams);
  g_output_stream_splice (g_io_stream_get_output_stream (streams[0]),
      g_io_stream_get_input_stream (streams[1]),
      G_OUTPUT_STREAM_SPLICE_NONE, NULL, NULL);
  g_socket_shutdown (g_socket_connection_get_socket (G_SOCKET_CONNECTION
          (streams[0])), TRUE, TRUE, NULL);
  g_thread_join (thread);
  g_object_unref (streams[1]);
}

static gboolean
is_known (Peer * peer)
{
  g_autofree gchar *given = peer_dup_header (peer, "Proxy-Authorization");
  g_autofree gchar *plain = g_strconcat (USER, ":", PASSWORD, NULL);
  g_autofree gchar *base64 = g_base64_encode ((guchar *) plain,
      strlen (plain));
  g_autofree gchar *expected = g_strconcat ("Basic ", base64, NULL);

  return g_strcmp0 (given, expected) == 0;
}

static void
be_proxy (Peer * peer, gpointer user_data)
{
  Proxy *proxy = user_data;

  if (!peer_read_request (peer))
    return;
  g_mutex_lock (&proxy->lock);
  g_free (proxy->request);
  proxy->request = g_strdup (peer_get_request (peer));
  g_mutex_unlock (&proxy->lock);
  if (proxy->answer != NULL) {
    peer_printf (peer, "%s", proxy->answer);
  } else if (proxy->wants_password && !is_known (peer)) {
    peer_printf (peer, "HTTP/1.1 407 Who are you\r\n"
        "Proxy-Authenticate: Basic realm=\"x\"\r\n\r\n");
  } else {
    peer_printf (peer, "HTTP/1.1 200 OK\r\n\r\n");
    relay (peer, proxy->port);
  }
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

typedef struct
{
  Proxy proxy;
  PeerServer *target;
  PeerServer *server;           /* the proxy */
  MoshiSessionConfig *config;
} Fixture;

static void
set_up (Fixture * self, gboolean tls)
{
  GTlsCertificate *certificate = NULL;

  memset (self, 0, sizeof (*self));
  g_mutex_init (&self->proxy.lock);
  if (tls)
    certificate = g_tls_certificate_new_from_pem (good_pem, -1, NULL);
  self->target = peer_server_new_tls (echo, NULL, certificate);
  g_clear_object (&certificate);
  self->proxy.port = peer_server_get_port (self->target);
  self->server = peer_server_new (be_proxy, &self->proxy);
  self->config = new_config (0);
  g_free (self->config->uri);
  /* Only the proxy knows how to get there. */
  self->config->uri = g_strdup_printf ("%s://moshi.invalid:4711",
      tls ? "wss" : "ws");
  self->config->proxy = g_strdup_printf ("http://127.0.0.1:%u",
      peer_server_get_port (self->server));
  self->config->tls_validation_flags = 0;
}

static void
tear_down (Fixture * self)
{
  wait_until_threads_are_gone ();
  peer_server_free (self->server);
  peer_server_free (self->target);
  g_mutex_clear (&self->proxy.lock);
  g_free (self->proxy.request);
}

static void
assert_works (Fixture * self)
{
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (GBytes) packet = new_packet (5);
  g_autoptr (MoshiSession) session = watcher_open (watcher, self->config);

  watcher_wait_state (watcher, MOSHI_LIFE_READY);
  g_assert_true (moshi_session_send (session, packet));
  g_assert_true (g_bytes_equal (packet, watcher_wait (watcher,
              MOSHI_SESSION_PACKET, 0)->bytes));
  moshi_session_close (session);
  g_assert_cmpint (watcher_wait_end (watcher)->kind, ==,
      MOSHI_SESSION_FINISHED);
}

static void
assert_fails (Fixture * self, MoshiError code, guint status,
    const gchar * words)
{
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiSession) session = watcher_open (watcher, self->config);
  const Seen *end = watcher_wait_end (watcher);

  g_test_message ("%s", end->error->message);
  g_assert_error (end->error, MOSHI_ERROR, (gint) code);
  g_assert_cmpuint (end->http_status, ==, status);
  g_assert_nonnull (strstr (end->error->message, words));
  moshi_session_stop (session);
}

static void
test_tunnel (gconstpointer data)
{
  Fixture fixture;

  set_up (&fixture, GPOINTER_TO_INT (data));
  assert_works (&fixture);
  g_assert_true (g_str_has_prefix (fixture.proxy.request,
          "CONNECT moshi.invalid:4711 HTTP/1."));
  g_assert_cmpuint (peer_server_get_connections (fixture.server), ==, 1);
  tear_down (&fixture);
}

static void
test_password (void)
{
  Fixture fixture;

  set_up (&fixture, FALSE);
  fixture.proxy.wants_password = TRUE;
  fixture.config->proxy_id = g_strdup (USER);
  fixture.config->proxy_pw = g_strdup (PASSWORD);
  assert_works (&fixture);
  tear_down (&fixture);
}

static void
test_password_in_address (void)
{
  Fixture fixture;

  set_up (&fixture, FALSE);
  fixture.proxy.wants_password = TRUE;
  g_free (fixture.config->proxy);
  fixture.config->proxy =
      g_strdup_printf ("http://joe%%40home:p%%3Aw%%2F%%20%%2541@127.0.0.1:%u",
      peer_server_get_port (fixture.server));
  assert_works (&fixture);
  tear_down (&fixture);
}

static void
test_no_password (void)
{
  Fixture fixture;

  set_up (&fixture, FALSE);
  fixture.proxy.wants_password = TRUE;
  assert_fails (&fixture, MOSHI_ERROR_NOT_AUTHORIZED, 407, "proxy");
  g_assert_cmpuint (peer_server_get_connections (fixture.target), ==, 0);
  tear_down (&fixture);
}

static void
test_wrong_password (void)
{
  Fixture fixture;

  set_up (&fixture, TRUE);
  fixture.proxy.wants_password = TRUE;
  fixture.config->life.retries = 3;
  fixture.config->proxy_id = g_strdup (USER);
  fixture.config->proxy_pw = g_strdup ("guess");
  assert_fails (&fixture, MOSHI_ERROR_NOT_AUTHORIZED, 407, "proxy");
  g_assert_cmpuint (peer_server_get_connections (fixture.server), ==, 1);
  tear_down (&fixture);
}

static const struct
{
  const gchar *name;
  const gchar *answer;
  MoshiError code;
  guint status;
} answers[] = {
  {"403", "HTTP/1.1 403 Forbidden\r\n\r\n", MOSHI_ERROR_NOT_AUTHORIZED, 403},
  {"502", "HTTP/1.1 502 Bad Gateway\r\n\r\n", MOSHI_ERROR_CONNECT, 0},
  {"no-proxy", "220 ftp ready\r\n\r\n", MOSHI_ERROR_CONNECT, 0},
  {"nothing", "", MOSHI_ERROR_CONNECT, 0},
};

static void
test_answer (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  Fixture fixture;

  set_up (&fixture, FALSE);
  fixture.proxy.answer = answers[i].answer;
  assert_fails (&fixture, answers[i].code, answers[i].status, "proxy");
  tear_down (&fixture);
}

/* What the environment says; the settings win. */

static const gchar *const variables[] = { "http_proxy", "HTTP_PROXY",
  "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy",
  "NO_PROXY"
};

static void
clear_environment (void)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (variables); i++)
    g_unsetenv (variables[i]);
}

static void
test_environment (gconstpointer data)
{
  const gchar *name = data;
  Fixture fixture;

  set_up (&fixture, g_ascii_strncasecmp (name, "https", 5) == 0);
  g_setenv (name, fixture.config->proxy, TRUE);
  g_clear_pointer (&fixture.config->proxy, g_free);
  assert_works (&fixture);
  g_assert_cmpuint (peer_server_get_connections (fixture.server), ==, 1);
  clear_environment ();
  tear_down (&fixture);
}

static void
test_settings_win (void)
{
  Fixture fixture;

  set_up (&fixture, FALSE);
  g_setenv ("http_proxy", "http://127.0.0.1:1", TRUE);
  g_setenv ("no_proxy", "*", TRUE);
  assert_works (&fixture);
  clear_environment ();
  tear_down (&fixture);
}

static const struct
{
  const gchar *name;
  const gchar *hosts;
  gboolean direct;
} exceptions[] = {
  {"all", "*", TRUE},
  {"host", "example.com,localhost", TRUE},
  {"spaces", "a.example, localhost", TRUE},
  {"other", "example.com,host", FALSE},
  {"empty", "", FALSE},
};

/* Hosts that $no_proxy names are reached without; others only through it. */
static void
test_exception (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  Fixture fixture;

  set_up (&fixture, FALSE);
  g_setenv ("http_proxy", fixture.config->proxy, TRUE);
  g_setenv ("no_proxy", exceptions[i].hosts, TRUE);
  g_clear_pointer (&fixture.config->proxy, g_free);
  g_free (fixture.config->uri);
  fixture.config->uri = g_strdup_printf ("ws://localhost:%u",
      fixture.proxy.port);
  assert_works (&fixture);
  g_assert_cmpuint (peer_server_get_connections (fixture.server), ==,
      exceptions[i].direct ? 0 : 1);
  clear_environment ();
  tear_down (&fixture);
}

int
main (int argc, char **argv)
{
  guint i;

  session_test_init (&argc, &argv);
  clear_environment ();
  g_test_add_data_func ("/proxy/ws", GINT_TO_POINTER (FALSE), test_tunnel);
  g_test_add_data_func ("/proxy/wss", GINT_TO_POINTER (TRUE), test_tunnel);
  g_test_add_func ("/proxy/password", test_password);
  g_test_add_func ("/proxy/password-in-address", test_password_in_address);
  g_test_add_func ("/proxy/no-password", test_no_password);
  g_test_add_func ("/proxy/wrong-password", test_wrong_password);
  for (i = 0; i < G_N_ELEMENTS (answers); i++) {
    g_autofree gchar *path = g_strconcat ("/proxy/answer/", answers[i].name,
        NULL);

    g_test_add_data_func (path, GUINT_TO_POINTER (i), test_answer);
  }
  for (i = 0; i < 6; i++) {
    g_autofree gchar *path = g_strconcat ("/proxy/environment/", variables[i],
        NULL);

    g_test_add_data_func (path, variables[i], test_environment);
  }
  g_test_add_func ("/proxy/settings-win", test_settings_win);
  for (i = 0; i < G_N_ELEMENTS (exceptions); i++) {
    g_autofree gchar *path = g_strconcat ("/proxy/exception/",
        exceptions[i].name, NULL);

    g_test_add_data_func (path, GUINT_TO_POINTER (i), test_exception);
  }
  return g_test_run ();
}
