/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peer.h"
#include "watcher.h"
#include "protocol/moshioggreader.h"
#include "session/moshinetwork.h"

#include <string.h>
#include <sys/socket.h>

/*
 * Who has a packet sends it, in its own thread: the network thread is held up
 * meanwhile, in work that has nothing to do with the session.
 */

#define TOO_LONG (60 * G_TIME_SPAN_SECOND)

/* --- the network thread, held up ------------------------------------------ */

typedef struct
{
  MoshiNetwork *network;
  GMutex lock;
  GCond cond;
  gboolean held;                /* lock */
  gboolean let_go;              /* lock */
} Hold;

static gboolean
on_hold (gpointer data)
{
  Hold *self = data;

  g_mutex_lock (&self->lock);
  self->held = TRUE;
  g_cond_broadcast (&self->cond);
  while (!self->let_go)
    g_cond_wait (&self->cond, &self->lock);
  self->held = FALSE;
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
  return G_SOURCE_REMOVE;
}

static void
hold_begin (Hold * self)
{
  memset (self, 0, sizeof (Hold));
  g_mutex_init (&self->lock);
  g_cond_init (&self->cond);
  self->network = moshi_network_get ();
  moshi_network_invoke (self->network, on_hold, self, NULL);
  g_mutex_lock (&self->lock);
  while (!self->held)
    g_cond_wait (&self->cond, &self->lock);
  g_mutex_unlock (&self->lock);
}

static void
hold_end (Hold * self)
{
  g_mutex_lock (&self->lock);
  self->let_go = TRUE;
  g_cond_broadcast (&self->cond);
  while (self->held)
    g_cond_wait (&self->cond, &self->lock);
  g_mutex_unlock (&self->lock);
  moshi_network_unref (self->network);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->cond);
}

/* --- what the peer hears ----------------------------------------------------- */

typedef struct
{
  GAsyncQueue *heard;           /* of guint + 1, the packets' numbers */
  GAsyncQueue *orders;          /* to the peer */
} Line;

static void
line_init (Line * self)
{
  self->heard = g_async_queue_new ();
  self->orders = g_async_queue_new ();
}

static void
line_clear (Line * self)
{
  g_async_queue_unref (self->heard);
  g_async_queue_unref (self->orders);
}

static void
give_order (Line * self)
{
  g_async_queue_push (self->orders, self);
}

static guint
hear (Line * self)
{
  gpointer number = g_async_queue_timeout_pop (self->heard, TOO_LONG);

  g_assert_nonnull (number);
  return GPOINTER_TO_UINT (number) - 1;
}

static void
take_packets (Line * self, MoshiOggReader * reader, GBytes * frame)
{
  gsize size;
  const guint8 *data = g_bytes_get_data (frame, &size);
  GBytes *packet;

  g_assert_cmpuint (data[0], ==, 1);
  g_assert_true (moshi_ogg_reader_push (reader, data + 1, size - 1, NULL));
  while ((packet = moshi_ogg_reader_pull (reader)) != NULL) {
    const guint8 *bytes = g_bytes_get_data (packet, NULL);

    g_async_queue_push (self->heard,
        GUINT_TO_POINTER ((bytes[1] << 8 | bytes[2]) + 1));
    g_bytes_unref (packet);
  }
}

/* Listens to all that is said, but not before it is told to. */
static void
listen_well (Peer * peer, gpointer user_data)
{
  Line *self = user_data;
  g_autoptr (MoshiOggReader) reader = moshi_ogg_reader_new ();
  GBytes *frame;
  guint8 opcode;

  if (!peer_greet (peer))
    return;
  g_async_queue_pop (self->orders);
  while ((frame = peer_read_frame (peer, &opcode)) != NULL) {
    if (opcode == 2)
      take_packets (self, reader, frame);
    else if (opcode == 8)
      peer_send_close (peer, 1000, NULL);
    g_bytes_unref (frame);
  }
}

static void
send_packets (MoshiSession * session, guint from, guint to)
{
  guint i;

  for (i = from; i < to; i++) {
    g_autoptr (GBytes) packet = new_packet (i);

    g_assert_true (moshi_session_send (session, packet));
  }
}

/* --- the tests ---------------------------------------------------------------- */

/* Nobody has to wake up for it. */
static void
test_at_once (void)
{
  Line line;
  PeerServer *server;
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiSession) session = NULL;
  MoshiSessionStats stats;
  Hold hold;
  guint i;

  line_init (&line);
  give_order (&line);
  server = peer_server_new (listen_well, &line);
  session = watcher_open (watcher, new_config (peer_server_get_port (server)));
  watcher_wait_state (watcher, MOSHI_LIFE_READY);
  hold_begin (&hold);
  for (i = 0; i < 500; i++) {
    send_packets (session, i, i + 1);
    g_assert_cmpuint (hear (&line), ==, i);
    moshi_session_get_stats (session, &stats);
    g_assert_cmpuint (stats.queued, ==, 0);
    g_assert_cmpuint (stats.messages_sent, ==, i + 1);
    g_assert_cmpuint (stats.samples_sent, ==, (i + 1) * 480);
  }
  hold_end (&hold);
  moshi_session_close (session);
  g_assert_cmpint (watcher_wait_end (watcher)->kind, ==,
      MOSHI_SESSION_FINISHED);
  peer_server_free (server);
  line_clear (&line);
}

/* More than the connection takes at once: the network thread goes on where the
 * guest has left off, in the midst of a message, too. */
static void
test_part_of_a_message (void)
{
  Line line;
  PeerServer *server;
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiSession) session = NULL;
  MoshiSessionConfig *config;
  MoshiSessionStats stats;
  guint n = 0, i;

  line_init (&line);
  server = peer_server_new (listen_well, &line);
  config = new_config (peer_server_get_port (server));
  config->max_queue = 3000;
  config->life.idle_timeout = 0;
  session = watcher_open (watcher, config);
  watcher_wait_state (watcher, MOSHI_LIFE_READY);
  /* Long packets, that it be soon */
  do {
    guint8 *data = g_malloc0 (1200);

    data[0] = 31 << 3;
    data[1] = n >> 8;
    data[2] = n & 0xff;
    {
      g_autoptr (GBytes) packet = g_bytes_new_take (data, 1200);

      if (!moshi_session_send (session, packet))
        break;
    }
  } while (++n < 65535);
  moshi_session_get_stats (session, &stats);
  g_assert_cmpuint (stats.queued, >, 0);
  give_order (&line);
  for (i = 0; i < n; i++)
    g_assert_cmpuint (hear (&line), ==, i);
  moshi_session_close (session);
  watcher_wait_end (watcher);
  peer_server_free (server);
  line_clear (&line);
}

static gpointer
speak (gpointer data)
{
  send_packets (data, 0, 200);
  return NULL;
}

/* From several threads at once, the network thread's own work in between */
static void
test_many_threads (void)
{
  Line line;
  PeerServer *server;
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiSession) session = NULL;
  MoshiSessionConfig *config;
  GThread *threads[4];
  guint times[200] = { 0, };
  guint i;

  line_init (&line);
  give_order (&line);
  server = peer_server_new (listen_well, &line);
  config = new_config (peer_server_get_port (server));
  config->max_queue = 4 * 200 * 20;
  session = watcher_open (watcher, config);
  watcher_wait_state (watcher, MOSHI_LIFE_READY);
  for (i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("speaker", speak, session);
  for (i = 0; i < 800; i++)
    times[hear (&line)]++;
  for (i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  for (i = 0; i < 200; i++)
    g_assert_cmpuint (times[i], ==, 4);
  moshi_session_close (session);
  watcher_wait_end (watcher);
  peer_server_free (server);
  line_clear (&line);
}

/* Hangs up as rudely as can be when it is told to. */
static void
reset (Peer * peer, gpointer user_data)
{
  Line *self = user_data;
  struct linger now = { 1, 0 };
  GSocket *socket;

  if (!peer_greet (peer))
    return;
  g_async_queue_pop (self->orders);
  socket = g_socket_connection_get_socket (G_SOCKET_CONNECTION (peer_get_stream
          (peer)));
  setsockopt (g_socket_get_fd (socket), SOL_SOCKET, SO_LINGER, &now,
      sizeof now);
  g_socket_close (socket, NULL);
  g_async_queue_push (self->heard, GUINT_TO_POINTER (1));
}

typedef struct
{
  Watcher *watcher;
  MoshiNetwork *network;
} Witness;

static void
on_event (MoshiSession * session, const MoshiSessionEvent * event,
    gpointer user_data)
{
  Witness *self = user_data;

  g_assert_true (moshi_network_is_current (self->network));
  watcher_on_event (session, event, self->watcher);
}

/* A guest that finds the connection lost tells nobody: it is heard of on the
 * network thread, once. */
static void
test_lost (void)
{
  Line line;
  PeerServer *server;
  Witness witness = { watcher_new (), moshi_network_get () };
  g_autoptr (MoshiSession) session = NULL;
  MoshiSessionConfig *config;
  Hold hold;
  guint n, i;

  line_init (&line);
  server = peer_server_new (reset, &line);
  config = new_config (peer_server_get_port (server));
  config->life.retries = 0;
  session = moshi_session_new (config, on_event, NULL, &witness, NULL, NULL);
  moshi_session_config_free (config);
  moshi_session_open (session);
  watcher_wait_state (witness.watcher, MOSHI_LIFE_READY);
  hold_begin (&hold);
  n = watcher_count_all (witness.watcher);
  give_order (&line);
  hear (&line);
  for (i = 0; i < 20; i++) {
    g_autoptr (GBytes) packet = new_packet (i);

    moshi_session_send (session, packet);
  }
  g_assert_cmpuint (watcher_count_all (witness.watcher), ==, n);
  hold_end (&hold);
  g_assert_cmpint (watcher_wait_end (witness.watcher)->kind, ==,
      MOSHI_SESSION_FAILED);
  moshi_session_stop (session);
  g_assert_cmpuint (watcher_count (witness.watcher, MOSHI_SESSION_FAILED), ==,
      1);
  peer_server_free (server);
  line_clear (&line);
  moshi_network_unref (witness.network);
  watcher_unref (witness.watcher);
}

/* It is let go of just then. */
static void
test_lost_and_stopped (void)
{
  Line line;
  PeerServer *server;
  Watcher *watcher = watcher_new ();
  MoshiSession *session;
  Hold hold;

  line_init (&line);
  server = peer_server_new (reset, &line);
  session = watcher_open (watcher, new_config (peer_server_get_port (server)));
  watcher_wait_state (watcher, MOSHI_LIFE_READY);
  hold_begin (&hold);
  give_order (&line);
  hear (&line);
  send_packets (session, 0, 3);
  moshi_session_unref (session);
  hold_end (&hold);
  wait_until_threads_are_gone ();
  g_assert_cmpuint (watcher_count (watcher, MOSHI_SESSION_RETRY), ==, 0);
  peer_server_free (server);
  line_clear (&line);
  watcher_unref (watcher);
}

int
main (int argc, char **argv)
{
  session_test_init (&argc, &argv);
  g_test_add_func ("/guest/at-once", test_at_once);
  g_test_add_func ("/guest/part-of-a-message", test_part_of_a_message);
  g_test_add_func ("/guest/many-threads", test_many_threads);
  g_test_add_func ("/guest/lost", test_lost);
  g_test_add_func ("/guest/lost-and-stopped", test_lost_and_stopped);
  return g_test_run ();
}
