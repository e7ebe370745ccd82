/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peer.h"
#include "watcher.h"

#include <string.h>

/* Sends the handshake, then gives each audio message back; closes politely. */
static void
echo (Peer * peer, gpointer user_data)
{
  GBytes *frame;
  guint8 opcode;

  if (!peer_upgrade (peer))
    return;
  peer_send (peer, 0, NULL, 0);
  while ((frame = peer_read_frame (peer, &opcode)) != NULL) {
    gsize size;
    const guint8 *data = g_bytes_get_data (frame, &size);

    if (opcode == 8)
      peer_send_frame (peer, 0x88, data, size);
    else
      peer_send_frame (peer, PEER_BINARY, data, size);
    g_bytes_unref (frame);
    if (opcode == 8)
      return;
  }
}

static void
test_echo (void)
{
  g_autoptr (PeerServer) server = peer_server_new (echo, NULL);
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiSession) session = watcher_open (watcher,
      new_config (peer_server_get_port (server)));
  MoshiSessionStats stats;
  guint i;

  watcher_wait_state (watcher, MOSHI_LIFE_READY);
  for (i = 0; i < 100; i++) {
    g_autoptr (GBytes) packet = new_packet (i);

    g_assert_true (moshi_session_send (session, packet));
  }
  for (i = 0; i < 100; i++) {
    g_autoptr (GBytes) packet = new_packet (i);
    const Seen *seen = watcher_wait (watcher, MOSHI_SESSION_PACKET, i);

    g_assert_true (g_bytes_equal (packet, seen->bytes));
    g_assert_cmpuint (seen->index, ==, 0);
  }
  moshi_session_close (session);
  g_assert_cmpint (watcher_wait_end (watcher)->kind, ==,
      MOSHI_SESSION_FINISHED);

  moshi_session_get_stats (session, &stats);
  g_assert_cmpuint (stats.messages_sent, ==, 100);
  g_assert_cmpuint (stats.messages_received, ==, 101);
  g_assert_cmpuint (stats.bytes_received, ==, stats.bytes_sent + 1);
  g_assert_cmpuint (stats.samples_sent, ==, 100 * 480);
  g_assert_cmpuint (stats.samples_received, ==, 100 * 480);
  g_assert_cmpuint (stats.samples_dropped, ==, 0);
  g_assert_cmpuint (stats.sessions, ==, 1);
}


static gboolean
begin (Peer * peer)
{
  if (!peer_upgrade (peer))
    return FALSE;
  peer_send (peer, 0, NULL, 0);
  return TRUE;
}

/* The next frame, which must be an audio message; its Ogg bytes. */
static GBytes *
read_audio (Peer * peer)
{
  guint8 opcode = 0;
  g_autoptr (GBytes) frame = peer_read_frame (peer, &opcode);
  const guint8 *data;
  gsize size;

  if (frame == NULL)
    return NULL;
  data = g_bytes_get_data (frame, &size);
  g_assert_cmpuint (opcode, ==, 2);
  g_assert_cmpuint (size, >, 27);
  g_assert_cmpuint (data[0], ==, 1);
  return g_bytes_new_from_bytes (frame, 1, size - 1);
}

/* Whether Ogg bytes begin a stream (RFC 3533 section 6: the flag 0x02), and
 * its serial number. */
static gboolean
is_bos (GBytes * ogg, guint32 * serial)
{
  const guint8 *data = g_bytes_get_data (ogg, NULL);

  g_assert_cmpmem (data, 4, "OggS", 4);
  memcpy (serial, data + 14, 4);
  return data[5] & 2;
}

static void
send_packets (MoshiSession * session, guint n)
{
  guint i;

  for (i = 0; i < n; i++) {
    g_autoptr (GBytes) packet = new_packet (i);

    g_assert_true (moshi_session_send (session, packet));
  }
}

/* A close frame with 1000 and nothing else. */
static void
assert_clean_close (GBytes * frame, guint8 opcode)
{
  g_assert_nonnull (frame);
  g_assert_cmpuint (opcode, ==, 8);
  g_assert_cmpmem (g_bytes_get_data (frame, NULL), g_bytes_get_size (frame),
      "\x03\xe8", 2);
}

/* What the server is told in its request */

typedef struct
{
  GMutex lock;
  GCond cond;
  guint go;                     /* lock; how often scripts may go on */
  guint done;                   /* lock; what scripts have done */
  gchar *text;                  /* lock */
  guint32 serials[4];           /* lock */
} Shared;

static void
shared_init (Shared * self)
{
  memset (self, 0, sizeof (*self));
  g_mutex_init (&self->lock);
  g_cond_init (&self->cond);
}

static void
shared_clear (Shared * self)
{
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->cond);
  g_free (self->text);
}

static void
shared_add (Shared * self, guint * counter)
{
  g_mutex_lock (&self->lock);
  (*counter)++;
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
}

static void
shared_wait (Shared * self, guint * counter, guint n)
{
  gint64 until = g_get_monotonic_time () + 60 * G_TIME_SPAN_SECOND;

  g_mutex_lock (&self->lock);
  while (*counter < n) {
    if (!g_cond_wait_until (&self->cond, &self->lock, until))
      g_error ("nothing was done");
  }
  g_mutex_unlock (&self->lock);
}

static void
note_request (Peer * peer, gpointer user_data)
{
  Shared *shared = user_data;

  if (!begin (peer))
    return;
  g_mutex_lock (&shared->lock);
  shared->text = g_strdup (peer_get_request (peer));
  g_mutex_unlock (&shared->lock);
  shared_add (shared, &shared->done);
  peer_read_until_gone (peer);
}

static gchar *
get_request (MoshiSessionConfig * config, gchar ** redacted)
{
  Shared shared;
  PeerServer *server;
  g_autoptr (Watcher) watcher = watcher_new ();
  MoshiSession *session;
  gchar *request;

  shared_init (&shared);
  server = peer_server_new (note_request, &shared);
  config->uri = g_strdup_printf ("ws://127.0.0.1:%u",
      peer_server_get_port (server));
  session = watcher_open (watcher, config);
  *redacted = moshi_session_dup_redacted_uri (session);
  shared_wait (&shared, &shared.done, 1);
  moshi_session_unref (session);
  peer_server_free (server);
  request = g_steal_pointer (&shared.text);
  shared_clear (&shared);
  return request;
}

static void
test_request_with_header (void)
{
  MoshiSessionConfig *config = moshi_session_config_new ();
  g_autofree gchar *redacted = NULL;
  g_autofree gchar *request = NULL;

  config->api_key = g_strdup ("k3y+/=");
  config->headers = g_hash_table_new_full (g_str_hash, g_str_equal, g_free,
      g_free);
  g_hash_table_insert (config->headers, g_strdup ("X-Trace"), g_strdup ("a b"));
  config->query = g_ptr_array_new_with_free_func (g_free);
  g_ptr_array_add (config->query, g_strdup ("text_topk"));
  g_ptr_array_add (config->query, g_strdup ("25"));
  request = get_request (config, &redacted);
  g_assert_true (g_str_has_prefix (request,
          "GET /api/chat?text_topk=25 HTTP/1.1\r\n"));
  g_assert_nonnull (strstr (request, "\r\nAuthorization: Bearer k3y+/=\r\n"));
  g_assert_nonnull (strstr (request, "\r\nX-Trace: a b\r\n"));
  g_assert_nonnull (strstr (request, "\r\nUser-Agent: gst-moshi/"));
  g_assert_nonnull (strstr (request, "libsoup/"));
  /* What deflates has no bound, and Opus does not deflate. */
  g_assert_null (strstr (request, "Sec-WebSocket-Extensions"));
  g_assert_null (strstr (redacted, "k3y"));
}

static void
test_request_with_query (void)
{
  MoshiSessionConfig *config = moshi_session_config_new ();
  g_autofree gchar *redacted = NULL;
  g_autofree gchar *request = NULL;

  config->api_key = g_strdup ("k3y+/=");
  config->auth_method = MOSHI_AUTH_QUERY;
  config->user_agent = g_strdup ("teapot/1");
  request = get_request (config, &redacted);
  g_assert_true (g_str_has_prefix (request,
          "GET /api/chat?token=k3y%2B%2F%3D HTTP/1.1\r\n"));
  g_assert_null (strstr (request, "Authorization"));
  g_assert_nonnull (strstr (request, "\r\nUser-Agent: teapot/1 libsoup/"));
  g_assert_null (strstr (redacted, "k3y"));
}

/* Before the handshake */

static void
hold_handshake_back (Peer * peer, gpointer user_data)
{
  Shared *shared = user_data;
  g_autoptr (GBytes) ogg = NULL;
  guint32 serial;

  if (!peer_upgrade (peer))
    return;
  shared_wait (shared, &shared->go, 1);
  peer_send (peer, 0, NULL, 0);
  /* The first thing to come is the stream's beginning, with headers and the
   * first packet in one message. */
  ogg = read_audio (peer);
  g_assert_nonnull (ogg);
  g_assert_true (is_bos (ogg, &serial));
  g_assert_cmpmem ((const guint8 *) g_bytes_get_data (ogg, NULL) + 28, 8,
      "OpusHead", 8);
  g_assert_cmpmem ((const guint8 *) g_bytes_get_data (ogg, NULL) +
      g_bytes_get_size (ogg) - 20, 3, "\xf8\0\x2a", 3);
  shared_add (shared, &shared->done);
  peer_read_until_gone (peer);
}

static void
test_nothing_before_handshake (void)
{
  Shared shared;
  PeerServer *server;
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (GBytes) late = new_packet (7);
  g_autoptr (GBytes) packet = new_packet (42);
  MoshiSession *session;
  MoshiSessionStats stats;

  shared_init (&shared);
  server = peer_server_new (hold_handshake_back, &shared);
  session = watcher_open (watcher, new_config (peer_server_get_port (server)));
  g_assert_false (moshi_session_send (session, late));
  watcher_wait_state (watcher, MOSHI_LIFE_WAITING);
  g_assert_false (moshi_session_send (session, late));
  shared_add (&shared, &shared.go);
  watcher_wait_state (watcher, MOSHI_LIFE_READY);
  g_assert_true (moshi_session_send (session, packet));
  shared_wait (&shared, &shared.done, 1);
  moshi_session_get_stats (session, &stats);
  g_assert_cmpuint (stats.samples_dropped, ==, 2 * 480);
  moshi_session_unref (session);
  peer_server_free (server);
  shared_clear (&shared);
}

/* MoshiVis' servers read an image before their handshake. */
static void
want_image (Peer * peer, gpointer user_data)
{
  g_autoptr (GBytes) frame = NULL;
  guint8 opcode = 0;

  if (!peer_upgrade (peer))
    return;
  frame = peer_read_frame (peer, &opcode);
  g_assert_nonnull (frame);
  g_assert_cmpuint (opcode, ==, 2);
  g_assert_cmpmem (g_bytes_get_data (frame, NULL), g_bytes_get_size (frame),
      "\x08PNG", 4);
  peer_send (peer, 0, NULL, 0);
  peer_read_until_gone (peer);
}

static void
test_first_message (void)
{
  g_autoptr (PeerServer) server = peer_server_new (want_image, NULL);
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiSession) session = NULL;
  MoshiSessionConfig *config = new_config (peer_server_get_port (server));

  config->first_message = g_bytes_new_static ("\x08PNG", 4);
  session = watcher_open (watcher, config);
  watcher_wait_state (watcher, MOSHI_LIFE_READY);
}

/* What a server says */

static void
say_all (Peer * peer, gpointer user_data)
{
  if (!peer_upgrade (peer))
    return;
  peer_send (peer, 4, "{\"a\":1}", 7);
  peer_send (peer, 1, "OggS too early", 14);
  peer_send (peer, 0, "\1\0\0\0\2\0\0\0", 8);
  peer_send (peer, 0, NULL, 0);
  peer_send (peer, 2, " Hel\xff", 5);
  peer_send (peer, 2, NULL, 0);
  peer_send (peer, 7, "\5lo", 3);
  peer_send (peer, 7, "{\"b\":2}", 7);
  peer_send (peer, 6, NULL, 0);
  peer_send (peer, 9, "codes", 5);
  peer_send (peer, 200, "codes", 5);
  peer_send_frame (peer, PEER_BINARY, "", 0);
  peer_send_frame (peer, PEER_TEXT, "hello", 5);
  peer_send_frame (peer, PEER_TEXT, "hello", 5);
  peer_send_frame (peer, 0x89, "ping", 4);
  peer_send (peer, 2, "end", 3);
  peer_read_until_gone (peer);
}

static void
assert_seen (const Seen * seen, const gchar * bytes, gint color)
{
  g_assert_cmpmem (g_bytes_get_data (seen->bytes, NULL),
      g_bytes_get_size (seen->bytes), bytes, strlen (bytes));
  g_assert_cmpint (seen->color, ==, color);
}

static void
test_messages (void)
{
  g_autoptr (PeerServer) server = peer_server_new (say_all, NULL);
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiSession) session = watcher_open (watcher,
      new_config (peer_server_get_port (server)));
  MoshiSessionStats stats;

  assert_seen (watcher_wait (watcher, MOSHI_SESSION_TEXT, 3), "end", -1);
  assert_seen (watcher_wait (watcher, MOSHI_SESSION_METADATA, 0), "{\"a\":1}",
      -1);
  assert_seen (watcher_wait (watcher, MOSHI_SESSION_TEXT, 0), " Hel\xff", -1);
  assert_seen (watcher_wait (watcher, MOSHI_SESSION_TEXT, 1), "", -1);
  assert_seen (watcher_wait (watcher, MOSHI_SESSION_TEXT, 2), "lo", 5);
  g_assert_cmpuint (watcher_count (watcher, MOSHI_SESSION_PACKET), ==, 0);
  /* Early audio, JSON, unknown kinds and text: one each, not one a message. */
  g_assert_cmpuint (watcher_count (watcher, MOSHI_SESSION_WARNING), ==, 4);
  moshi_session_get_stats (session, &stats);
  g_assert_cmpuint (stats.messages_received, ==, 15);
  g_assert_cmpuint (stats.sessions, ==, 1);
}

/* Sessions that follow one another */

static void
answer_once_then_drop (Peer * peer, gpointer user_data)
{
  Shared *shared = user_data;
  guint i = peer_get_index (peer);
  g_autoptr (GBytes) ogg = NULL;
  gsize size;
  const guint8 *data;

  if (!begin (peer) || (ogg = read_audio (peer)) == NULL)
    return;
  g_assert_true (is_bos (ogg, &shared->serials[i]));
  data = g_bytes_get_data (ogg, &size);
  peer_send (peer, 1, data, size);
  if (i < 3)
    return;
  peer_read_until_gone (peer);
}

static void
test_resume (void)
{
  Shared shared;
  PeerServer *server;
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (GBytes) packet = new_packet (0);
  MoshiSessionConfig *config;
  MoshiSession *session;
  MoshiSessionStats stats;
  guint i;

  shared_init (&shared);
  server = peer_server_new (answer_once_then_drop, &shared);
  config = new_config (peer_server_get_port (server));
  config->life.resume = TRUE;
  config->life.retries = 1;
  session = watcher_open (watcher, config);
  for (i = 0; i < 4; i++) {
    const Seen *seen;

    while (!moshi_session_send (session, packet))
      g_thread_yield ();
    seen = watcher_wait (watcher, MOSHI_SESSION_PACKET, i);
    g_assert_true (g_bytes_equal (seen->bytes, packet));
    g_assert_cmpuint (seen->index, ==, i);
    if (i < 3) {
      seen = watcher_wait (watcher, MOSHI_SESSION_RETRY, i);
      g_assert_error (seen->error, MOSHI_ERROR, MOSHI_ERROR_LOST);
      g_assert_cmpuint (seen->close_code, ==, 1006);
      g_assert_cmpuint (seen->delay, <=, 20);
      g_assert_cmpint (seen->state, ==, MOSHI_LIFE_LOST);
    }
  }
  moshi_session_get_stats (session, &stats);
  g_assert_cmpuint (stats.sessions, ==, 4);
  g_assert_cmpuint (stats.reconnects, ==, 3);
  g_assert_cmpuint (stats.samples_received, ==, 4 * 480);
  for (i = 0; i < 3; i++)
    g_assert_cmpuint (shared.serials[i], !=, shared.serials[i + 1]);
  moshi_session_unref (session);
  peer_server_free (server);
  shared_clear (&shared);
}

static void
expect_close (Peer * peer, gpointer user_data)
{
  Shared *shared = user_data;
  g_autoptr (GBytes) frame = NULL;
  guint8 opcode = 0;

  if (!begin (peer))
    return;
  frame = peer_read_frame (peer, &opcode);
  assert_clean_close (frame, opcode);
  peer_send_close (peer, 1000, NULL);
  shared_add (shared, &shared->done);
}

static void
wait_index (Watcher * watcher, guint index)
{
  guint n, i;

  for (n = i = 0; n <= index; i++) {
    const Seen *seen = watcher_wait (watcher, MOSHI_SESSION_STATE, i);

    if (seen->state == MOSHI_LIFE_READY)
      g_assert_cmpuint (seen->index, ==, n++);
  }
}

static void
test_restart (void)
{
  Shared shared;
  PeerServer *server;
  g_autoptr (Watcher) watcher = watcher_new ();
  MoshiSession *session;
  MoshiSessionStats stats;

  shared_init (&shared);
  server = peer_server_new (expect_close, &shared);
  session = watcher_open (watcher, new_config (peer_server_get_port (server)));
  /* None before there is something to restart. */
  moshi_session_restart (session);
  wait_index (watcher, 0);
  moshi_session_restart (session);
  wait_index (watcher, 1);
  moshi_session_restart (session);
  wait_index (watcher, 2);
  moshi_session_close (session);
  g_assert_cmpint (watcher_wait_end (watcher)->kind, ==,
      MOSHI_SESSION_FINISHED);
  shared_wait (&shared, &shared.done, 3);
  g_assert_cmpuint (peer_server_get_connections (server), ==, 3);
  moshi_session_get_stats (session, &stats);
  g_assert_cmpuint (stats.sessions, ==, 3);
  g_assert_cmpuint (stats.reconnects, ==, 0);
  moshi_session_unref (session);
  peer_server_free (server);
  shared_clear (&shared);
}

/* Ends */

static void
count_then_close (Peer * peer, gpointer user_data)
{
  Shared *shared = user_data;
  guint8 opcode = 0;
  GBytes *frame;

  if (!begin (peer))
    return;
  while ((frame = peer_read_frame (peer, &opcode)) != NULL && opcode == 2) {
    g_bytes_unref (frame);
    shared_add (shared, &shared->done);
  }
  assert_clean_close (frame, opcode);
  g_bytes_unref (frame);
  peer_send_close (peer, 1000, NULL);
}

/* A close right after the last packet loses none. */
static void
test_close_writes_queue (void)
{
  Shared shared;
  PeerServer *server;
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (GBytes) late = new_packet (0);
  MoshiSession *session;
  MoshiSessionStats stats;

  shared_init (&shared);
  server = peer_server_new (count_then_close, &shared);
  session = watcher_open (watcher, new_config (peer_server_get_port (server)));
  watcher_wait_state (watcher, MOSHI_LIFE_READY);
  send_packets (session, 400);
  moshi_session_close (session);
  g_assert_cmpint (watcher_wait_end (watcher)->kind, ==,
      MOSHI_SESSION_FINISHED);
  shared_wait (&shared, &shared.done, 400);
  g_assert_false (moshi_session_send (session, late));
  moshi_session_get_stats (session, &stats);
  g_assert_cmpuint (stats.samples_sent, ==, 400 * 480);
  g_assert_cmpuint (stats.queued, ==, 0);
  moshi_session_unref (session);
  peer_server_free (server);
  shared_clear (&shared);
}

static void
say_no_more (Peer * peer, gpointer user_data)
{
  if (begin (peer))
    peer_read_until_gone (peer);
}

static void
test_close_unanswered (void)
{
  g_autoptr (PeerServer) server = peer_server_new (say_no_more, NULL);
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiSession) session = NULL;
  MoshiSessionConfig *config = new_config (peer_server_get_port (server));

  config->life.close_timeout = 20;
  session = watcher_open (watcher, config);
  watcher_wait_state (watcher, MOSHI_LIFE_READY);
  moshi_session_close (session);
  g_assert_cmpint (watcher_wait_end (watcher)->kind, ==,
      MOSHI_SESSION_FINISHED);
}

static void
upgrade_alone (Peer * peer, gpointer user_data)
{
  if (peer_upgrade (peer))
    peer_read_until_gone (peer);
}

static void
test_close_while_waiting (void)
{
  g_autoptr (PeerServer) server = peer_server_new (upgrade_alone, NULL);
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiSession) session = NULL;
  MoshiSessionConfig *config = new_config (peer_server_get_port (server));

  config->life.close_timeout = 20;
  session = watcher_open (watcher, config);
  watcher_wait_state (watcher, MOSHI_LIFE_WAITING);
  moshi_session_close (session);
  g_assert_cmpint (watcher_wait_end (watcher)->kind, ==,
      MOSHI_SESSION_FINISHED);
}

/* A peer that never reads */

static void
never_read (Peer * peer, gpointer user_data)
{
  if (begin (peer))
    peer_wait_for_end (peer);
}

/* What it does not take stays in our queue, which has a bound, and not in
 * libsoup's, which has none. */
static void
test_never_read (void)
{
  g_autoptr (PeerServer) server = peer_server_new (never_read, NULL);
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiSession) session = NULL;
  MoshiSessionConfig *config = new_config (peer_server_get_port (server));
  g_autofree guint8 *data = g_malloc0 (1200);
  g_autoptr (GBytes) packet = NULL;
  MoshiSessionStats stats;
  guint64 given = 0;
  guint64 before = 0;
  guint still = 0;

  data[0] = 31 << 3;
  packet = g_bytes_new (data, 1200);
  config->max_queue = 2000;
  config->life.idle_timeout = 0;
  config->life.close_timeout = 50;
  session = watcher_open (watcher, config);
  watcher_wait_state (watcher, MOSHI_LIFE_READY);
  /* The kernel's buffers take some MB; then it stands still. Without
   * backpressure it never would. */
  while (still < 200) {
    do {
      given += 480;
    } while (moshi_session_send (session, packet));
    g_usleep (1000);
    moshi_session_get_stats (session, &stats);
    g_assert_cmpuint (stats.queued, <=, 100 * 480);
    g_assert_cmpuint (stats.bytes_sent, <, 50 * 1024 * 1024);
    still = stats.bytes_sent == before ? still + 1 : 0;
    before = stats.bytes_sent;
  }
  /* A close that cannot be written is given up in time. */
  moshi_session_close (session);
  g_assert_cmpint (watcher_wait_end (watcher)->kind, ==,
      MOSHI_SESSION_FINISHED);
  moshi_session_get_stats (session, &stats);
  g_assert_cmpuint (stats.queued, ==, 0);
  g_assert_cmpuint (stats.samples_sent + stats.samples_dropped, ==, given);
}

/* Stops */

static void
test_stop_says_goodbye (void)
{
  Shared shared;
  PeerServer *server;
  g_autoptr (Watcher) watcher = watcher_new ();
  MoshiSession *session;
  guint n;

  shared_init (&shared);
  server = peer_server_new (expect_close, &shared);
  session = watcher_open (watcher, new_config (peer_server_get_port (server)));
  watcher_wait_state (watcher, MOSHI_LIFE_READY);
  moshi_session_stop (session);
  n = watcher_count_all (watcher);
  shared_wait (&shared, &shared.done, 1);
  moshi_session_close (session);
  moshi_session_restart (session);
  moshi_session_open (session);
  moshi_session_stop (session);
  moshi_session_unref (session);
  peer_server_free (server);
  wait_until_threads_are_gone ();
  g_assert_cmpuint (watcher_count_all (watcher), ==, n);
  shared_clear (&shared);
}

static void
test_unopened (void)
{
  g_autoptr (Watcher) watcher = watcher_new ();
  MoshiSessionConfig *config = new_config (1);
  g_autoptr (GBytes) packet = new_packet (0);
  MoshiSession *session = moshi_session_new (config, watcher_on_event, NULL,
      watcher_ref (watcher), (GDestroyNotify) watcher_unref, NULL);

  g_assert_false (moshi_session_send (session, packet));
  moshi_session_close (session);
  g_assert_cmpint (watcher_wait_end (watcher)->kind, ==,
      MOSHI_SESSION_FINISHED);
  moshi_session_unref (session);
  moshi_session_config_free (config);
  wait_until_threads_are_gone ();
}

typedef struct
{
  Shared shared;
  gboolean unref;
  gboolean notified;            /* shared.lock */
  guint events;
} Inside;

static void
on_event_stop (MoshiSession * session, const MoshiSessionEvent * event,
    gpointer user_data)
{
  Inside *inside = user_data;

  g_assert_false (inside->notified);
  inside->events++;
  if (event->state != MOSHI_LIFE_READY)
    return;
  if (inside->unref)
    moshi_session_unref (session);
  else
    moshi_session_stop (session);
  g_assert_false (inside->notified);
  shared_add (&inside->shared, &inside->shared.go);
}

static void
on_notify (gpointer user_data)
{
  Inside *inside = user_data;

  inside->notified = TRUE;
  shared_add (&inside->shared, &inside->shared.done);
}

/* Stopped or let go from within its own callback. */
static void
test_stop_inside (gconstpointer data)
{
  g_autoptr (PeerServer) server = peer_server_new (say_all, NULL);
  MoshiSessionConfig *config = new_config (peer_server_get_port (server));
  Inside inside;
  MoshiSession *session;
  guint events;

  memset (&inside, 0, sizeof (inside));
  shared_init (&inside.shared);
  inside.unref = GPOINTER_TO_INT (data);
  session = moshi_session_new (config, on_event_stop, NULL, &inside,
      on_notify, NULL);
  moshi_session_config_free (config);
  moshi_session_open (session);
  shared_wait (&inside.shared, &inside.shared.go, 1);
  events = inside.events;
  if (!inside.unref)
    moshi_session_unref (session);
  shared_wait (&inside.shared, &inside.shared.done, 1);
  wait_until_threads_are_gone ();
  g_assert_cmpuint (inside.events, ==, events);
  shared_clear (&inside.shared);
}

/* Sessions that come and go at random moments */

static gpointer
come_and_go (gpointer data)
{
  guint16 port = GPOINTER_TO_UINT (data) & 0xffff;
  GRand *rand = g_rand_new_with_seed (GPOINTER_TO_UINT (data) >> 16);
  g_autoptr (GBytes) packet = new_packet (1);
  guint i;

  for (i = 0; i < 50; i++) {
    g_autoptr (Watcher) watcher = watcher_new ();
    MoshiSession *session = watcher_open (watcher, new_config (port));
    guint n;

    if (g_rand_boolean (rand))
      watcher_wait_state (watcher, g_rand_int_range (rand,
              MOSHI_LIFE_CONNECTING, MOSHI_LIFE_DRAINING));
    else
      g_usleep (g_rand_int_range (rand, 0, 2000));
    for (n = g_rand_int_range (rand, 0, 5); n > 0; n--)
      moshi_session_send (session, packet);
    if (g_rand_int_range (rand, 0, 4) == 0)
      moshi_session_restart (session);
    if (g_rand_boolean (rand))
      moshi_session_close (session);
    moshi_session_stop (session);
    n = watcher_count_all (watcher);
    g_thread_yield ();
    g_assert_cmpuint (watcher_count_all (watcher), ==, n);
    moshi_session_unref (session);
  }
  g_rand_free (rand);
  return NULL;
}

static void
test_come_and_go (void)
{
  PeerServer *server = peer_server_new (echo, NULL);
  guint port = peer_server_get_port (server);
  GThread *threads[4];
  guint fds;
  guint i;

  wait_until_threads_are_gone ();
  fds = count_fds ();
  for (i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("come-and-go", come_and_go,
        GUINT_TO_POINTER (i << 16 | port));
  for (i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  wait_until_threads_are_gone ();
  peer_server_free (server);
  /* The server had a socket and an eventfd of its own. */
  g_assert_cmpuint (count_fds (), <=, fds);
}

/* Many at once share one thread. */
static void
test_many (void)
{
  g_autoptr (PeerServer) server = peer_server_new (echo, NULL);
  g_autoptr (GBytes) packet = new_packet (3);
  MoshiSession *sessions[50];
  Watcher *watchers[50];
  guint i;

  for (i = 0; i < G_N_ELEMENTS (sessions); i++) {
    watchers[i] = watcher_new ();
    sessions[i] = watcher_open (watchers[i],
        new_config (peer_server_get_port (server)));
  }
  for (i = 0; i < G_N_ELEMENTS (sessions); i++) {
    watcher_wait_state (watchers[i], MOSHI_LIFE_READY);
    g_assert_true (moshi_session_send (sessions[i], packet));
  }
  for (i = 0; i < G_N_ELEMENTS (sessions); i++) {
    g_assert_true (g_bytes_equal (packet, watcher_wait (watchers[i],
                MOSHI_SESSION_PACKET, 0)->bytes));
    moshi_session_unref (sessions[i]);
    watcher_unref (watchers[i]);
  }
}

int
main (int argc, char **argv)
{
  session_test_init (&argc, &argv);
  g_test_add_func ("/session/echo", test_echo);
  g_test_add_func ("/session/request-with-header", test_request_with_header);
  g_test_add_func ("/session/request-with-query", test_request_with_query);
  g_test_add_func ("/session/nothing-before-handshake",
      test_nothing_before_handshake);
  g_test_add_func ("/session/first-message", test_first_message);
  g_test_add_func ("/session/messages", test_messages);
  g_test_add_func ("/session/resume", test_resume);
  g_test_add_func ("/session/restart", test_restart);
  g_test_add_func ("/session/close-writes-queue", test_close_writes_queue);
  g_test_add_func ("/session/close-unanswered", test_close_unanswered);
  g_test_add_func ("/session/close-while-waiting", test_close_while_waiting);
  g_test_add_func ("/session/never-read", test_never_read);
  g_test_add_func ("/session/stop-says-goodbye", test_stop_says_goodbye);
  g_test_add_func ("/session/unopened", test_unopened);
  g_test_add_data_func ("/session/stop-inside", GINT_TO_POINTER (FALSE),
      test_stop_inside);
  g_test_add_data_func ("/session/unref-inside", GINT_TO_POINTER (TRUE),
      test_stop_inside);
  g_test_add_func ("/session/many", test_many);
  g_test_add_func ("/session/come-and-go", test_come_and_go);
  return g_test_run ();
}
