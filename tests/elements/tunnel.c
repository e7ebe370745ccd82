/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tunnel.h"

#include <string.h>

struct _Tunnel
{
  guint16 target;
  guint16 port;                 /* the same in every life */
  GSocketListener *listener;    /* of this life */
  GCancellable *cancellable;    /* likewise */
  GThread *thread;              /* likewise */

  GMutex lock;                  /* all below */
  GPtrArray *threads;           /* of GThread, one a connection */
  GPtrArray *sockets;           /* of GSocket: both ends of each of them */
  guint connections;
  TunnelStage stage;
  guint mortal;                 /* so many connections die there yet */
};

typedef struct
{
  Tunnel *tunnel;
  GSocket *client;
  GSocket *server;
  TunnelStage stage;
} Way;

static gboolean
send_all (GSocket * socket, const gchar * data, gssize size)
{
  while (size > 0) {
    gssize n = g_socket_send (socket, data, size, NULL, NULL);

    if (n <= 0)
      return FALSE;
    data += n;
    size -= n;
  }
  return TRUE;
}

/* FALSE when the client goes before its request has ended. */
static gboolean
take_request (Way * self)
{
  g_autoptr (GString) request = g_string_new (NULL);
  gchar c;

  while (!g_str_has_suffix (request->str, "\r\n\r\n")) {
    if (g_socket_receive (self->client, &c, 1, NULL, NULL) != 1)
      return FALSE;
    g_string_append_c (request, c);
  }
  return g_str_has_prefix (request->str, "CONNECT ");
}

static GSocket *
new_server_socket (guint16 port)
{
  g_autoptr (GInetAddress) host =
      g_inet_address_new_loopback (G_SOCKET_FAMILY_IPV4);
  g_autoptr (GSocketAddress) address = g_inet_socket_address_new (host, port);
  GSocket *socket = g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM,
      G_SOCKET_PROTOCOL_TCP, NULL);

  g_assert_nonnull (socket);
  g_assert_true (g_socket_connect (socket, address, NULL, NULL));
  return socket;
}

/* FALSE at the end, or where it is to die. */
static gboolean
hand_on (Way * self, GSocket * from, GSocket * to)
{
  gchar data[4096];
  gssize size = g_socket_receive (from, data, sizeof data, NULL, NULL);
  const gchar *end;

  if (size <= 0)
    return FALSE;
  if (from == self->server && self->stage == TUNNEL_REQUESTED)
    return FALSE;
  if (from == self->server && self->stage == TUNNEL_UPGRADED) {
    end = g_strstr_len (data, size, "\r\n\r\n");
    g_assert_nonnull (end);
    send_all (to, data, end + 4 - data);
    return FALSE;
  }
  return send_all (to, data, size);
}

static void
relay (Way * self)
{
  GPollFD fds[2] = {
    {g_socket_get_fd (self->client), G_IO_IN, 0},
    {g_socket_get_fd (self->server), G_IO_IN, 0},
  };

  while (g_poll (fds, 2, -1) > 0) {
    if (fds[0].revents != 0 && !hand_on (self, self->client, self->server))
      return;
    if (fds[1].revents != 0 && !hand_on (self, self->server, self->client))
      return;
  }
}

static void
note_socket (Tunnel * self, GSocket * socket)
{
  g_mutex_lock (&self->lock);
  g_ptr_array_add (self->sockets, g_object_ref (socket));
  g_mutex_unlock (&self->lock);
}

static gpointer
run_way (gpointer data)
{
  static const gchar answer[] = "HTTP/1.1 200 OK\r\n\r\n";
  Way *self = data;

  if (take_request (self) && self->stage != TUNNEL_ASKED
      && send_all (self->client, answer, strlen (answer))
      && self->stage != TUNNEL_BUILT) {
    self->server = new_server_socket (self->tunnel->target);
    note_socket (self->tunnel, self->server);
    relay (self);
    g_socket_close (self->server, NULL);
    g_object_unref (self->server);
  }
  g_socket_close (self->client, NULL);
  g_object_unref (self->client);
  g_free (self);
  return NULL;
}

static gpointer
run (gpointer data)
{
  Tunnel *self = data;
  GSocket *socket;

  while ((socket = g_socket_listener_accept_socket (self->listener, NULL,
              self->cancellable, NULL)) != NULL) {
    Way *way = g_new0 (Way, 1);

    way->tunnel = self;
    way->client = socket;
    g_socket_set_blocking (socket, TRUE);
    note_socket (self, socket);
    g_mutex_lock (&self->lock);
    self->connections++;
    if (self->mortal > 0) {
      self->mortal--;
      way->stage = self->stage;
    }
    g_ptr_array_add (self->threads, g_thread_new ("way", run_way, way));
    g_mutex_unlock (&self->lock);
  }
  return NULL;
}

/**
 * tunnel_revive:
 * @self: a tunnel that was killed
 *
 * It is there again, at the same port.
 */
void
tunnel_revive (Tunnel * self)
{
  g_autoptr (GInetAddress) host =
      g_inet_address_new_loopback (G_SOCKET_FAMILY_IPV4);
  g_autoptr (GSocketAddress) any = g_inet_socket_address_new (host, self->port);
  g_autoptr (GSocketAddress) bound = NULL;
  GError *error = NULL;

  self->listener = g_socket_listener_new ();
  g_socket_listener_add_address (self->listener, any, G_SOCKET_TYPE_STREAM,
      G_SOCKET_PROTOCOL_TCP, NULL, &bound, &error);
  g_assert_no_error (error);
  self->port = g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (bound));
  self->cancellable = g_cancellable_new ();
  self->thread = g_thread_new ("tunnel", run, self);
}

/**
 * tunnel_kill:
 * @self: a tunnel that lives
 *
 * All its connections end, and no other is taken.
 */
void
tunnel_kill (Tunnel * self)
{
  guint i;

  g_cancellable_cancel (self->cancellable);
  g_thread_join (self->thread);
  g_socket_listener_close (self->listener);
  g_clear_object (&self->listener);
  g_clear_object (&self->cancellable);

  g_mutex_lock (&self->lock);
  for (i = 0; i < self->sockets->len; i++)
    g_socket_shutdown (self->sockets->pdata[i], TRUE, TRUE, NULL);
  g_mutex_unlock (&self->lock);
}

/**
 * tunnel_new:
 * @target: the port it leads to
 *
 * Returns: (transfer full): a tunnel that lives
 */
Tunnel *
tunnel_new (guint16 target)
{
  Tunnel *self = g_new0 (Tunnel, 1);

  self->target = target;
  g_mutex_init (&self->lock);
  self->threads = g_ptr_array_new ();
  self->sockets = g_ptr_array_new_with_free_func (g_object_unref);
  tunnel_revive (self);
  return self;
}

/**
 * tunnel_free:
 * @self: (transfer full): a tunnel
 */
void
tunnel_free (Tunnel * self)
{
  guint i;

  if (self->listener != NULL)
    tunnel_kill (self);
  for (i = 0; i < self->threads->len; i++)
    g_thread_join (self->threads->pdata[i]);
  g_ptr_array_unref (self->threads);
  g_ptr_array_unref (self->sockets);
  g_mutex_clear (&self->lock);
  g_free (self);
}

/**
 * tunnel_dup_address:
 * @self: a tunnel
 *
 * Returns: (transfer full): as the property `proxy` takes it
 */
gchar *
tunnel_dup_address (Tunnel * self)
{
  return g_strdup_printf ("http://127.0.0.1:%u", self->port);
}

/**
 * tunnel_get_connections:
 * @self: a tunnel
 *
 * Returns: how many came
 */
guint
tunnel_get_connections (Tunnel * self)
{
  guint connections;

  g_mutex_lock (&self->lock);
  connections = self->connections;
  g_mutex_unlock (&self->lock);
  return connections;
}

/**
 * tunnel_die_at:
 * @self: a tunnel
 * @stage: when
 * @first: how many of the connections to come
 */
void
tunnel_die_at (Tunnel * self, TunnelStage stage, guint first)
{
  g_mutex_lock (&self->lock);
  self->stage = stage;
  self->mortal = first;
  g_mutex_unlock (&self->lock);
}
