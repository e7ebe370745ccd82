/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peer.h"
#include "watcher.h"

#include <string.h>

/*
 * What becomes of each way a server can fail: which error, which words, and
 * whether it is tried again.
 */

#define KEY "s3cret/key+"

/* Answers that are no upgrade */

typedef struct
{
  const gchar *name;
  const gchar *answer;
  MoshiError code;
  guint http_status;
  gboolean tried_again;
  const gchar *words;
} HttpCase;

#define WITH_BODY(status, type, length, body) \
    "HTTP/1.1 " status "\r\nContent-Type: " type "\r\nContent-Length: " \
    length "\r\n\r\n" body
#define WITHOUT_BODY(status) "HTTP/1.1 " status "\r\nContent-Length: 0\r\n\r\n"

static const HttpCase http_cases[] = {
  {"400-with-words", WITH_BODY ("400 Bad Request", "text/plain", "32",
            "Failed to deserialize query: pad"), MOSHI_ERROR_CONNECT, 400,
      FALSE, "Failed to deserialize query: pad"},
  {"401", WITHOUT_BODY ("401 Unauthorized"), MOSHI_ERROR_NOT_AUTHORIZED, 401,
      FALSE, "401 Unauthorized"},
  {"401-with-challenge", "HTTP/1.1 401 Unauthorized\r\n"
        "WWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n",
      MOSHI_ERROR_NOT_AUTHORIZED, 401, FALSE, "API key"},
  {"403", WITH_BODY ("403 Forbidden", "application/json", "19",
            "{\"error\":\"bad key\"}"), MOSHI_ERROR_NOT_AUTHORIZED, 403, FALSE,
      "{\"error\":\"bad key\"}"},
  {"403-tells-the-key", WITH_BODY ("403 Forbidden", "text/plain", "30",
            "no such key: " KEY " here."),
      MOSHI_ERROR_NOT_AUTHORIZED, 403, FALSE, "no such key: "},
  {"404", WITHOUT_BODY ("404 Not Found"), MOSHI_ERROR_NOT_FOUND, 404, FALSE,
      "/api/chat"},
  {"407", WITHOUT_BODY ("407 Proxy Authentication Required"),
      MOSHI_ERROR_NOT_AUTHORIZED, 407, FALSE, "proxy"},
  {"429", WITHOUT_BODY ("429 Too Many Requests"), MOSHI_ERROR_CONNECT, 429,
      FALSE, "429 Too Many Requests"},
  {"500", WITHOUT_BODY ("500 Internal Server Error"), MOSHI_ERROR_CONNECT,
      500, TRUE, "500 Internal Server Error"},
  {"502", WITHOUT_BODY ("502 Bad Gateway"), MOSHI_ERROR_CONNECT, 502, TRUE,
      "502 Bad Gateway"},
  {"503", WITHOUT_BODY ("503 Service Unavailable"), MOSHI_ERROR_BUSY, 503,
      TRUE, "busy"},
  {"200", WITH_BODY ("200 OK", "text/html", "6", "<html>"),
      MOSHI_ERROR_CONNECT, 200, FALSE, "no WebSocket"},
  {"302", "HTTP/1.1 302 Found\r\nLocation: /other?token=" KEY "\r\n"
        "Content-Length: 0\r\n\r\n", MOSHI_ERROR_CONNECT, 302, FALSE,
      "/other"},
  {"101-for-another", "HTTP/1.1 101 Switching Protocols\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: AAAA\r\n\r\n", MOSHI_ERROR_CONNECT, 101,
      FALSE, "no WebSocket"},
  {"control-characters", WITH_BODY ("400 Bad\x1b[31m", "text/plain", "9",
            "a\r\nb\x07" "c\xff\xfe "), MOSHI_ERROR_CONNECT, 400, FALSE,
      "a b c"},
  {"not-http", "SSH-2.0-OpenSSH_9.2\r\n", MOSHI_ERROR_CONNECT, 0, TRUE,
      "Could not connect"},
  {"nothing", "", MOSHI_ERROR_CONNECT, 0, TRUE, "Could not connect"},
  {"half", "HTTP/1.1 101 Swit", MOSHI_ERROR_CONNECT, 0, TRUE,
      "Could not connect"},
};

static void
answer (Peer * peer, gpointer user_data)
{
  const HttpCase *c = user_data;

  if (peer_read_request (peer))
    peer_write (peer, c->answer, strlen (c->answer));
}

static void
test_http (gconstpointer data)
{
  const HttpCase *c = data;
  g_autoptr (PeerServer) server = peer_server_new (answer, (gpointer) c);
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiSession) session = NULL;
  MoshiSessionConfig *config = new_config (peer_server_get_port (server));
  const Seen *end;

  config->life.retries = 2;
  config->api_key = g_strdup (KEY);
  session = watcher_open (watcher, config);
  end = watcher_wait_end (watcher);
  g_test_message ("%s", end->error->message);
  g_assert_cmpint (end->kind, ==, MOSHI_SESSION_FAILED);
  g_assert_cmpint (end->state, ==, MOSHI_LIFE_CLOSED);
  g_assert_error (end->error, MOSHI_ERROR, (gint) c->code);
  g_assert_cmpuint (end->http_status, ==, c->http_status);
  g_assert_nonnull (strstr (end->error->message, c->words));
  g_assert_null (strstr (end->error->message, KEY));
  g_assert_null (strchr (end->error->message, '\x1b'));
  g_assert_cmpuint (peer_server_get_connections (server), ==,
      c->tried_again ? 3 : 1);
  g_assert_cmpuint (watcher_count (watcher, MOSHI_SESSION_RETRY), ==,
      c->tried_again ? 2 : 0);
  moshi_session_stop (session);
}

/* A body that goes on and on is cut, in memory as in the message. */
static void
answer_long (Peer * peer, gpointer user_data)
{
  g_autoptr (GString) lines = g_string_new (NULL);
  guint i;

  for (i = 0; i < 1000; i++)
    g_string_append (lines, "This is a line of forty characters, yes\n");
  if (!peer_read_request (peer))
    return;
  peer_printf (peer, "HTTP/1.1 400 Bad\r\nContent-Length: 4000000\r\n\r\n");
  for (i = 0; i < 100; i++)
    peer_write (peer, lines->str, lines->len);
}

static void
test_long_body (void)
{
  g_autoptr (PeerServer) server = peer_server_new (answer_long, NULL);
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiSession) session = watcher_open (watcher,
      new_config (peer_server_get_port (server)));
  const Seen *end = watcher_wait_end (watcher);

  g_assert_cmpuint (end->http_status, ==, 400);
  g_assert_nonnull (strstr (end->error->message, "This is a line of forty"));
  g_assert_cmpuint (strlen (end->error->message), <, 400);
  moshi_session_stop (session);
}

/* Connections that do not come about */

static void
test_refused (void)
{
  PeerServer *server = peer_server_new (answer, NULL);
  guint16 port = peer_server_get_port (server);
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiSession) session = NULL;
  MoshiSessionConfig *config = new_config (port);
  const Seen *end;

  peer_server_free (server);
  config->life.retries = 2;
  session = watcher_open (watcher, config);
  end = watcher_wait_end (watcher);
  g_test_message ("%s", end->error->message);
  g_assert_error (end->error, MOSHI_ERROR, MOSHI_ERROR_CONNECT);
  g_assert_cmpuint (watcher_count (watcher, MOSHI_SESSION_RETRY), ==, 2);
  g_assert_nonnull (strstr (end->error->message, "3 attempts"));
}

static void
test_unknown_host (void)
{
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiSession) session = NULL;
  MoshiSessionConfig *config = new_config (1);
  const Seen *end;

  g_free (config->uri);
  config->uri = g_strdup ("ws://no-such-host.invalid");
  session = watcher_open (watcher, config);
  end = watcher_wait_end (watcher);
  g_test_message ("%s", end->error->message);
  g_assert_error (end->error, MOSHI_ERROR, MOSHI_ERROR_NOT_FOUND);
  g_assert_nonnull (strstr (end->error->message, "no-such-host.invalid"));
}

static void
say_nothing (Peer * peer, gpointer user_data)
{
  peer_wait_for_end (peer);
}

static void
test_connect_timeout (void)
{
  g_autoptr (PeerServer) server = peer_server_new (say_nothing, NULL);
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiSession) session = NULL;
  MoshiSessionConfig *config = new_config (peer_server_get_port (server));
  const Seen *end;

  config->life.connect_timeout = 30;
  config->life.retries = 1;
  session = watcher_open (watcher, config);
  end = watcher_wait_end (watcher);
  g_test_message ("%s", end->error->message);
  g_assert_error (end->error, MOSHI_ERROR, MOSHI_ERROR_CONNECT);
  g_assert_nonnull (strstr (end->error->message, "30 ms"));
  g_assert_cmpuint (watcher_count (watcher, MOSHI_SESSION_RETRY), ==, 1);
}

/* Faults after the upgrade */

typedef struct
{
  const gchar *name;
  PeerScript script;
  MoshiError code;
  guint close_code;
  const gchar *words;
} LinkCase;

static void
upgrade_alone (Peer * peer, gpointer user_data)
{
  if (peer_upgrade (peer))
    peer_read_until_gone (peer);
}

static void
drop_at_once (Peer * peer, gpointer user_data)
{
  peer_upgrade (peer);
}

static void
close_at_once (Peer * peer, gpointer user_data)
{
  if (!peer_upgrade (peer))
    return;
  peer_send_close (peer, 1013, "come back later");
  peer_read_until_gone (peer);
}

static gboolean
begin (Peer * peer)
{
  if (!peer_upgrade (peer))
    return FALSE;
  peer_send (peer, 0, "\1\0\0\0\2\0\0\0", 8);
  return TRUE;
}

static void
close_politely (Peer * peer, gpointer user_data)
{
  if (!begin (peer))
    return;
  peer_send_close (peer, 1000, NULL);
  peer_read_until_gone (peer);
}

static void
close_without_code (Peer * peer, gpointer user_data)
{
  if (!begin (peer))
    return;
  peer_send_frame (peer, 0x88, "", 0);
  peer_read_until_gone (peer);
}

static void
drop_session (Peer * peer, gpointer user_data)
{
  begin (peer);
}

static void
report_error (Peer * peer, gpointer user_data)
{
  if (!begin (peer))
    return;
  peer_send (peer, 5, "GPU on fire\n", 12);
  peer_read_until_gone (peer);
}

static void
report_error_early (Peer * peer, gpointer user_data)
{
  if (!peer_upgrade (peer))
    return;
  peer_send (peer, 5, "model \xff missing", 15);
  peer_read_until_gone (peer);
}

static void
report_long_error (Peer * peer, gpointer user_data)
{
  g_autofree gchar *text = g_strnfill (500000, 'x');

  if (!begin (peer))
    return;
  peer_send (peer, 5, text, 500000);
  peer_read_until_gone (peer);
}

static void
send_too_much (Peer * peer, gpointer user_data)
{
  g_autofree gchar *text = g_strnfill (2000, 'x');

  if (!begin (peer))
    return;
  peer_send (peer, 1, text, 2000);
  peer_read_until_gone (peer);
}

static void
send_garbage (Peer * peer, gpointer user_data)
{
  g_autofree gchar *text = g_strnfill (900, 'x');
  guint i;

  if (!begin (peer))
    return;
  for (i = 0; i < 100; i++)
    peer_send (peer, 1, text, 900);
  peer_read_until_gone (peer);
}

static void
break_framing (Peer * peer, gpointer user_data)
{
  if (!begin (peer))
    return;
  peer_send_frame (peer, 0xf3, "what?", 5);
  peer_read_until_gone (peer);
}

static const LinkCase link_cases[] = {
  {"no-handshake", upgrade_alone, MOSHI_ERROR_BUSY, 0, "busy"},
  {"drop-at-once", drop_at_once, MOSHI_ERROR_LOST, 1006, "dropped"},
  {"close-at-once", close_at_once, MOSHI_ERROR_LOST, 1013, "come back later"},
  {"close-politely", close_politely, MOSHI_ERROR_LOST, 1000,
      "The server closed the connection: 1000"},
  {"close-without-code", close_without_code, MOSHI_ERROR_LOST, 1005, "1005"},
  {"drop-session", drop_session, MOSHI_ERROR_LOST, 1006, "session limit"},
  {"error-message", report_error, MOSHI_ERROR_SERVER, 0, ": GPU on fire"},
  {"error-early", report_error_early, MOSHI_ERROR_SERVER, 0, "missing"},
  {"error-long", report_long_error, MOSHI_ERROR_LOST, 1006, "1000 bytes"},
  {"too-big", send_too_much, MOSHI_ERROR_LOST, 1006, "1000 bytes"},
  {"garbage", send_garbage, MOSHI_ERROR_OGG, 0, "no Opus"},
  {"bad-framing", break_framing, MOSHI_ERROR_LOST, 1006, "lost"},
};

static void
test_link (gconstpointer data)
{
  const LinkCase *c = data;
  g_autoptr (PeerServer) server = peer_server_new (c->script, NULL);
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiSession) session = NULL;
  MoshiSessionConfig *config = new_config (peer_server_get_port (server));
  const Seen *end;

  config->life.handshake_timeout = 100;
  config->max_message = 1000;
  session = watcher_open (watcher, config);
  end = watcher_wait_end (watcher);
  g_test_message ("%s", end->error->message);
  g_assert_cmpint (end->kind, ==, MOSHI_SESSION_FAILED);
  g_assert_error (end->error, MOSHI_ERROR, (gint) c->code);
  g_assert_cmpuint (end->close_code, ==, c->close_code);
  g_assert_cmpuint (end->http_status, ==, 0);
  g_assert_nonnull (strstr (end->error->message, c->words));
}

/* Only so much of a server's own error is shown. */
static void
test_long_error (void)
{
  g_autoptr (PeerServer) server = peer_server_new (report_long_error, NULL);
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiSession) session = watcher_open (watcher,
      new_config (peer_server_get_port (server)));
  const Seen *end = watcher_wait_end (watcher);

  g_assert_error (end->error, MOSHI_ERROR, MOSHI_ERROR_SERVER);
  g_assert_cmpuint (strlen (end->error->message), >, 1000);
  g_assert_cmpuint (strlen (end->error->message), <, 1100);
  moshi_session_stop (session);
}

static void
go_silent (Peer * peer, gpointer user_data)
{
  if (begin (peer))
    peer_read_until_gone (peer);
}

/* Fed but silent is lost. */
static void
test_idle (void)
{
  g_autoptr (PeerServer) server = peer_server_new (go_silent, NULL);
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiSession) session = NULL;
  MoshiSessionConfig *config = new_config (peer_server_get_port (server));
  const Seen *end;
  guint i;

  config->life.idle_timeout = 50;
  session = watcher_open (watcher, config);
  watcher_wait_state (watcher, MOSHI_LIFE_READY);
  for (i = 0; i < 20; i++) {
    g_autoptr (GBytes) packet = new_packet (i);

    g_assert_true (moshi_session_send (session, packet));
  }
  end = watcher_wait_end (watcher);
  g_assert_error (end->error, MOSHI_ERROR, MOSHI_ERROR_LOST);
  g_assert_nonnull (strstr (end->error->message, "50 ms"));
}

/* Two sessions on the one network thread, and what they have come to */
typedef enum
{
  KEPT_NOT_YET,
  KEPT_FED,                     /* the one has been given enough */
  KEPT_AWAY,                    /* the other keeps the thread */
  KEPT_LET_GO
} KeptStage;

typedef struct
{
  GMutex lock;
  GCond cond;
  KeptStage stage;              /* lock */
} Kept;

static void
reach_stage (Kept * self, KeptStage stage)
{
  g_mutex_lock (&self->lock);
  self->stage = stage;
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
}

static void
wait_for_stage (Kept * self, KeptStage stage)
{
  g_mutex_lock (&self->lock);
  while (self->stage < stage)
    g_cond_wait (&self->cond, &self->lock);
  g_mutex_unlock (&self->lock);
}

/* Answers as soon as the client cannot hear it, and holds it up until it must
 * think that nothing came. */
#define KEPT_PACKETS 20
#define KEPT_TIMEOUT 2000

static void
answer_unheard (Peer * peer, gpointer user_data)
{
  Kept *kept = user_data;
  guint8 opcode;
  guint i;

  if (!begin (peer))
    return;
  for (i = 0; i < KEPT_PACKETS; i++) {
    GBytes *frame = peer_read_frame (peer, &opcode);

    g_assert_nonnull (frame);
    g_bytes_unref (frame);
  }
  reach_stage (kept, KEPT_FED);
  wait_for_stage (kept, KEPT_AWAY);
  peer_send (peer, 2, " here", 5);
  g_usleep (KEPT_TIMEOUT * 1100);
  reach_stage (kept, KEPT_LET_GO);
  peer_read_until_gone (peer);
}

static void
keep_from_it (Peer * peer, gpointer user_data)
{
  if (!begin (peer))
    return;
  wait_for_stage (user_data, KEPT_FED);
  peer_send (peer, 2, " stay", 5);
  peer_read_until_gone (peer);
}

static void
on_kept (MoshiSession * session, const MoshiSessionEvent * event,
    gpointer user_data)
{
  if (event->kind != MOSHI_SESSION_TEXT)
    return;
  reach_stage (user_data, KEPT_AWAY);
  wait_for_stage (user_data, KEPT_LET_GO);
}

/* What lies unread in the socket, since the thread was with another session, is
 * no silence. */
static void
test_kept_away (void)
{
  static Kept kept;
  g_autoptr (PeerServer) other = peer_server_new (keep_from_it, &kept);
  g_autoptr (PeerServer) server = peer_server_new (answer_unheard, &kept);
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiSession) keeper = NULL;
  g_autoptr (MoshiSession) session = NULL;
  MoshiSessionConfig *config = new_config (peer_server_get_port (other));
  guint i;

  keeper = moshi_session_new (config, on_kept, NULL, &kept, NULL, NULL);
  g_assert_nonnull (keeper);
  moshi_session_config_free (config);
  moshi_session_open (keeper);
  config = new_config (peer_server_get_port (server));
  config->life.idle_timeout = KEPT_TIMEOUT;
  session = watcher_open (watcher, config);
  watcher_wait_state (watcher, MOSHI_LIFE_READY);
  for (i = 0; i < KEPT_PACKETS; i++) {
    g_autoptr (GBytes) packet = new_packet (i);

    g_assert_true (moshi_session_send (session, packet));
  }
  watcher_wait (watcher, MOSHI_SESSION_TEXT, 0);
  moshi_session_stop (session);
  moshi_session_stop (keeper);
  g_assert_cmpuint (watcher_count (watcher, MOSHI_SESSION_FAILED), ==, 0);
  g_assert_cmpuint (watcher_count (watcher, MOSHI_SESSION_RETRY), ==, 0);
}

/* On a machine so slow that it takes seconds for what a server has to say at once,
 * that is still no flood. */
#define AT_ONCE 100
#define TIME_FOR_ONE 60000

static void
say_at_once (Peer * peer, gpointer user_data)
{
  static const gchar piece[1000] = " and";
  guint i;

  if (!begin (peer))
    return;
  for (i = 0; i < AT_ONCE; i++)
    peer_send (peer, 2, piece, sizeof piece);
  peer_read_until_gone (peer);
}

static void
hear_slowly (MoshiSession * session, const MoshiSessionEvent * event,
    gpointer user_data)
{
  if (event->kind == MOSHI_SESSION_TEXT)
    g_usleep (TIME_FOR_ONE);
  watcher_on_event (session, event, user_data);
}

static MoshiSession *
open_slowly (Watcher * watcher, PeerServer * server)
{
  MoshiSessionConfig *config = new_config (peer_server_get_port (server));
  MoshiSession *session = moshi_session_new (config, hear_slowly, NULL,
      watcher_ref (watcher), (GDestroyNotify) watcher_unref, NULL);

  g_assert_nonnull (session);
  moshi_session_config_free (config);
  moshi_session_open (session);
  return session;
}

static void
test_slow_machine (void)
{
  g_autoptr (PeerServer) server = peer_server_new (say_at_once, NULL);
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiSession) session = open_slowly (watcher, server);

  watcher_wait (watcher, MOSHI_SESSION_TEXT, AT_ONCE - 1);
  moshi_session_stop (session);
  g_assert_cmpuint (watcher_count (watcher, MOSHI_SESSION_FAILED), ==, 0);
  g_assert_cmpuint (watcher_count (watcher, MOSHI_SESSION_RETRY), ==, 0);
}

/* And 8 MiB at once are one, of however few messages; here with words between
 * them, for which the machine takes its time. */
#define MUCH (200 * 1024)

static void
say_too_much (Peer * peer, gpointer user_data)
{
  g_autofree guint8 *much = g_malloc0 (MUCH);

  if (!begin (peer))
    return;
  while (peer_is_there (peer)) {
    peer_send (peer, 77, much, MUCH);
    peer_send (peer, 2, " and", 4);
  }
}

static void
test_too_much (void)
{
  g_autoptr (PeerServer) server = peer_server_new (say_too_much, NULL);
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiSession) session = open_slowly (watcher, server);
  const Seen *end = watcher_wait_end (watcher);

  g_assert_error (end->error, MOSHI_ERROR, MOSHI_ERROR_LOST);
  g_assert_nonnull (strstr (end->error->message, "faster than"));
  g_assert_cmpuint (watcher_count (watcher, MOSHI_SESSION_TEXT), >, 20);
  /* 40, and the first ones, before which it gets round */
  g_assert_cmpuint (watcher_count (watcher, MOSHI_SESSION_TEXT), <=, 50);
  moshi_session_stop (session);
}

/* Who is told of a retry and wants none gets none, even if its time comes first. */
static void
stop_at_retry (MoshiSession * session, const MoshiSessionEvent * event,
    gpointer user_data)
{
  if (event->kind == MOSHI_SESSION_RETRY) {
    moshi_session_stop (session);
    g_usleep ((event->delay + 10) * 1000);
  }
  watcher_on_event (session, event, user_data);
}

static void
test_stop_at_retry (void)
{
  g_autoptr (PeerServer) server = peer_server_new (drop_session, NULL);
  g_autoptr (Watcher) watcher = watcher_new ();
  MoshiSessionConfig *config = new_config (peer_server_get_port (server));
  MoshiSession *session;

  config->life.resume = TRUE;
  config->life.retries = 5;
  config->life.backoff_max = 10;
  session = moshi_session_new (config, stop_at_retry, NULL,
      watcher_ref (watcher), (GDestroyNotify) watcher_unref, NULL);
  moshi_session_config_free (config);
  moshi_session_open (session);
  watcher_wait (watcher, MOSHI_SESSION_RETRY, 0);
  moshi_session_unref (session);
  wait_until_threads_are_gone ();
  g_assert_cmpuint (peer_server_get_connections (server), ==, 1);
}

/* A peer that was there and is not tells READ, whatever keeps it away. */
static void
lose_then_refuse (Peer * peer, gpointer user_data)
{
  if (peer_get_index (peer) == 0)
    begin (peer);
  else if (peer_read_request (peer))
    peer_printf (peer, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
}

static void
test_lost_for_good (void)
{
  g_autoptr (PeerServer) server = peer_server_new (lose_then_refuse, NULL);
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiSession) session = NULL;
  MoshiSessionConfig *config = new_config (peer_server_get_port (server));
  const Seen *end;

  config->life.resume = TRUE;
  config->life.retries = 2;
  session = watcher_open (watcher, config);
  end = watcher_wait_end (watcher);
  g_test_message ("%s", end->error->message);
  g_assert_error (end->error, MOSHI_ERROR, MOSHI_ERROR_LOST);
  g_assert_cmpuint (end->http_status, ==, 503);
  g_assert_nonnull (strstr (end->error->message, "503 Busy"));
  g_assert_cmpuint (peer_server_get_connections (server), ==, 3);
}

/* No message shows a credential, however it was given and comes back. */

static void
tell_tales (Peer * peer, gpointer user_data)
{
  if (peer_read_request (peer))
    peer_printf (peer, "HTTP/1.1 403 No\r\nContent-Length: 65\r\n\r\n"
        "No: s3cr3t-a, s3cr3t-b, s3cr3t%%2Db, s3cr3t-c, s3cr3t-d, s3cr3t-e.");
}

static void
test_secrets (void)
{
  g_autoptr (PeerServer) server = peer_server_new (tell_tales, NULL);
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiSession) session = NULL;
  g_autofree gchar *redacted = NULL;
  MoshiSessionConfig *config = new_config (0);
  const Seen *end;

  g_free (config->uri);
  config->uri = g_strdup_printf ("ws://127.0.0.1:%u/?auth_id=s3cr3t-a",
      peer_server_get_port (server));
  config->api_key = g_strdup ("s3cr3t-b");
  config->headers = g_hash_table_new_full (g_str_hash, g_str_equal, g_free,
      g_free);
  g_hash_table_insert (config->headers, g_strdup ("kyutai-api-key"),
      g_strdup ("s3cr3t-c"));
  g_hash_table_insert (config->headers, g_strdup ("Authorization"),
      g_strdup ("Bearer s3cr3t-d"));
  config->query = g_ptr_array_new_with_free_func (g_free);
  g_ptr_array_add (config->query, g_strdup ("token"));
  g_ptr_array_add (config->query, g_strdup ("s3cr3t-e"));
  session = watcher_open (watcher, config);
  end = watcher_wait_end (watcher);
  g_assert_nonnull (strstr (end->error->message, "No: "));
  g_assert_null (strstr (end->error->message, "s3cr3t"));
  redacted = moshi_session_dup_redacted_uri (session);
  g_assert_null (strstr (redacted, "s3cr3t"));
}

/* Settings that cannot be used */

static void
check_settings (MoshiSessionConfig * config, const gchar * words)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GError) again = NULL;

  g_assert_false (moshi_session_config_check (config, &error));
  g_test_message ("%s", error->message);
  g_assert_error (error, MOSHI_ERROR, MOSHI_ERROR_SETTINGS);
  g_assert_null (moshi_session_new (config, watcher_on_event, NULL, NULL,
          NULL, &again));
  g_assert_error (again, MOSHI_ERROR, MOSHI_ERROR_SETTINGS);
  if (words != NULL)
    g_assert_nonnull (strstr (error->message, words));
  g_assert_null (strstr (error->message, "hunter2"));
  moshi_session_config_free (config);
}

static void
test_settings (void)
{
  MoshiSessionConfig *config;
  g_autoptr (GError) error = NULL;

  config = moshi_session_config_new ();
  check_settings (config, "URI");
  config = new_config (1);
  g_free (config->uri);
  config->uri = g_strdup ("ftp://host/");
  check_settings (config, NULL);
  config = new_config (1);
  config->api_key = g_strdup ("hunter2\r\nX: y");
  check_settings (config, NULL);
  config = new_config (1);
  config->headers = g_hash_table_new_full (g_str_hash, g_str_equal, g_free,
      g_free);
  g_hash_table_insert (config->headers, g_strdup ("X"), g_strdup ("a\r\nb: c"));
  check_settings (config, NULL);
  config = new_config (1);
  config->user_agent = g_strdup ("a\nb");
  check_settings (config, NULL);
  config = new_config (1);
  config->channels = 3;
  check_settings (config, "3");
  config = new_config (1);
  config->pre_skip = 65536;
  check_settings (config, "65535");
  config = new_config (1);
  config->tls_ca_file = g_strdup ("/nonexistent/ca.pem");
  check_settings (config, "CA file");
  config = new_config (1);
  config->proxy = g_strdup ("ftp://u:hunter2@host");
  check_settings (config, "proxy");
  config = new_config (1);
  config->proxy = g_strdup ("http://u:hunter2@ho st:99999999");
  check_settings (config, "proxy");
  config = new_config (1);
  config->query = g_ptr_array_new_with_free_func (g_free);
  g_ptr_array_add (config->query, g_strdup ("lonely"));
  check_settings (config, "query");

  config = new_config (1);
  g_assert_true (moshi_session_config_check (config, &error));
  g_assert_no_error (error);
  moshi_session_config_free (config);
}

int
main (int argc, char **argv)
{
  guint i;

  /* Another one may ask a thread of its own first, and an attempt that should not
   * be made would seldom get as far as the server. */
  g_setenv ("GIO_USE_PROXY_RESOLVER", "dummy", TRUE);
  session_test_init (&argc, &argv);
  for (i = 0; i < G_N_ELEMENTS (http_cases); i++) {
    g_autofree gchar *path = g_strconcat ("/fault/http/", http_cases[i].name,
        NULL);

    g_test_add_data_func (path, &http_cases[i], test_http);
  }
  for (i = 0; i < G_N_ELEMENTS (link_cases); i++) {
    g_autofree gchar *path = g_strconcat ("/fault/link/", link_cases[i].name,
        NULL);

    g_test_add_data_func (path, &link_cases[i], test_link);
  }
  g_test_add_func ("/fault/http/long-body", test_long_body);
  g_test_add_func ("/fault/refused", test_refused);
  g_test_add_func ("/fault/unknown-host", test_unknown_host);
  g_test_add_func ("/fault/connect-timeout", test_connect_timeout);
  g_test_add_func ("/fault/long-error", test_long_error);
  g_test_add_func ("/fault/idle", test_idle);
  g_test_add_func ("/fault/kept-away", test_kept_away);
  g_test_add_func ("/fault/slow-machine", test_slow_machine);
  g_test_add_func ("/fault/too-much", test_too_much);
  g_test_add_func ("/fault/stop-at-retry", test_stop_at_retry);
  g_test_add_func ("/fault/lost-for-good", test_lost_for_good);
  g_test_add_func ("/fault/secrets", test_secrets);
  g_test_add_func ("/fault/settings", test_settings);
  return g_test_run ();
}
