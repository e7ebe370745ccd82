/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peer.h"

#include <string.h>

#define ACCEPT_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

struct _PeerServer
{
  GSocketListener *listener;
  GCancellable *cancellable;
  GThread *thread;
  GTlsCertificate *certificate;
  GTlsDatabase *trusted;        /* who must sign a client's certificate */
  PeerScript script;
  gpointer user_data;
  guint16 port;

  GMutex lock;
  GPtrArray *threads;           /* lock */
  gint connections;             /* atomic */
};

struct _Peer
{
  PeerServer *server;
  GSocketConnection *connection;
  GIOStream *stream;
  GString *request;
  guint index;
  gboolean gone;                /* what was written did not get there */
};

/* GIO leaves a server's mind to be made up here. */
static gboolean
on_client_certificate (GTlsConnection * connection,
    GTlsCertificate * certificate, GTlsCertificateFlags errors,
    gpointer user_data)
{
  return errors == 0;
}

static gpointer
run_peer (gpointer data)
{
  Peer *self = data;
  PeerServer *server = self->server;

  self->stream = g_object_ref (G_IO_STREAM (self->connection));
  if (server->certificate != NULL) {
    static const gchar *const protocols[] = { "h2", "http/1.1", NULL };
    GIOStream *tls = g_tls_server_connection_new (self->stream,
        server->certificate, NULL);

    g_tls_connection_set_advertised_protocols (G_TLS_CONNECTION (tls),
        protocols);
    if (server->trusted != NULL) {
      g_object_set (tls, "authentication-mode", G_TLS_AUTHENTICATION_REQUIRED,
          NULL);
      g_tls_connection_set_database (G_TLS_CONNECTION (tls), server->trusted);
      g_signal_connect (tls, "accept-certificate",
          G_CALLBACK (on_client_certificate), NULL);
    } else {
      /* who has nobody to check needs no list of whom to trust */
      g_tls_connection_set_database (G_TLS_CONNECTION (tls), NULL);
    }
    g_object_unref (self->stream);
    self->stream = tls;
  }
  server->script (self, server->user_data);
  g_io_stream_close (self->stream, server->cancellable, NULL);
  g_io_stream_close (G_IO_STREAM (self->connection), NULL, NULL);
  g_object_unref (self->stream);
  g_object_unref (self->connection);
  g_string_free (self->request, TRUE);
  g_free (self);
  return NULL;
}

static gpointer
run_server (gpointer data)
{
  PeerServer *self = data;
  GSocketConnection *connection;

  while ((connection = g_socket_listener_accept (self->listener, NULL,
              self->cancellable, NULL)) != NULL) {
    Peer *peer = g_new0 (Peer, 1);

    peer->server = self;
    peer->connection = connection;
    peer->request = g_string_new (NULL);
    peer->index = g_atomic_int_add (&self->connections, 1);
    g_mutex_lock (&self->lock);
    g_ptr_array_add (self->threads, g_thread_new ("peer", run_peer, peer));
    g_mutex_unlock (&self->lock);
  }
  return NULL;
}

PeerServer *
peer_server_new_tls (PeerScript script, gpointer user_data,
    GTlsCertificate * certificate)
{
  PeerServer *self = g_new0 (PeerServer, 1);
  GInetAddress *loopback = g_inet_address_new_loopback (G_SOCKET_FAMILY_IPV4);
  GSocketAddress *any = g_inet_socket_address_new (loopback, 0);
  GSocketAddress *bound = NULL;
  GError *error = NULL;

  self->script = script;
  self->user_data = user_data;
  self->certificate = certificate ? g_object_ref (certificate) : NULL;
  self->cancellable = g_cancellable_new ();
  self->threads = g_ptr_array_new ();
  g_mutex_init (&self->lock);
  self->listener = g_socket_listener_new ();
  g_socket_listener_add_address (self->listener, any, G_SOCKET_TYPE_STREAM,
      G_SOCKET_PROTOCOL_TCP, NULL, &bound, &error);
  g_assert_no_error (error);
  self->port = g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (bound));
  self->thread = g_thread_new ("peer-server", run_server, self);
  g_object_unref (bound);
  g_object_unref (any);
  g_object_unref (loopback);
  return self;
}

PeerServer *
peer_server_new (PeerScript script, gpointer user_data)
{
  return peer_server_new_tls (script, user_data, NULL);
}

/* Lets in those alone who have a certificate; to be called before anybody
 * comes. */
void
peer_server_want_client (PeerServer * self, GTlsDatabase * trusted)
{
  self->trusted = g_object_ref (trusted);
}

void
peer_server_free (PeerServer * self)
{
  guint i;

  g_cancellable_cancel (self->cancellable);
  g_thread_join (self->thread);
  for (i = 0; i < self->threads->len; i++)
    g_thread_join (self->threads->pdata[i]);
  g_ptr_array_unref (self->threads);
  g_socket_listener_close (self->listener);
  g_object_unref (self->listener);
  g_object_unref (self->cancellable);
  g_clear_object (&self->certificate);
  g_clear_object (&self->trusted);
  g_mutex_clear (&self->lock);
  g_free (self);
}

guint16
peer_server_get_port (PeerServer * self)
{
  return self->port;
}

guint
peer_server_get_connections (PeerServer * self)
{
  return g_atomic_int_get (&self->connections);
}

/* Which connection of the server this is, from 0. */
guint
peer_get_index (Peer * self)
{
  return self->index;
}

GIOStream *
peer_get_stream (Peer * self)
{
  return self->stream;
}

static gboolean
read_exactly (Peer * self, gpointer data, gsize size)
{
  gsize n = 0;

  return g_input_stream_read_all (g_io_stream_get_input_stream (self->stream),
      data, size, &n, self->server->cancellable, NULL) && n == size;
}

/* Reads one HTTP request's head; FALSE when the client went away. */
gboolean
peer_read_request (Peer * self)
{
  gchar c;

  g_string_truncate (self->request, 0);
  while (!g_str_has_suffix (self->request->str, "\r\n\r\n")) {
    if (!read_exactly (self, &c, 1))
      return FALSE;
    g_string_append_c (self->request, c);
  }
  return TRUE;
}

const gchar *
peer_get_request (Peer * self)
{
  return self->request->str;
}

/* A header of the request, or NULL. */
gchar *
peer_dup_header (Peer * self, const gchar * name)
{
  g_auto (GStrv) lines = g_strsplit (self->request->str, "\r\n", -1);
  gsize length = strlen (name);
  guint i;

  for (i = 1; lines[i] != NULL; i++) {
    if (g_ascii_strncasecmp (lines[i], name, length) == 0
        && lines[i][length] == ':')
      return g_strdup (g_strstrip (lines[i] + length + 1));
  }
  return NULL;
}

/* FALSE when the client is gone, or all is over. */
gboolean
peer_write (Peer * self, gconstpointer data, gsize size)
{
  if (!g_output_stream_write_all (g_io_stream_get_output_stream (self->stream),
          data, size, NULL, self->server->cancellable, NULL))
    self->gone = TRUE;
  return !self->gone;
}

/* Whether the client has taken all so far. */
gboolean
peer_is_there (Peer * self)
{
  return !self->gone;
}

void
peer_printf (Peer * self, const gchar * format, ...)
{
  va_list args;
  gchar *text;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  peer_write (self, text, strlen (text));
  g_free (text);
}

/* Reads a request and answers it with 101 (RFC 6455 section 4.2.2). */
gboolean
peer_upgrade (Peer * self)
{
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA1);
  g_autofree gchar *key = NULL;
  g_autofree gchar *accept = NULL;
  guint8 digest[20];
  gsize size = sizeof (digest);

  if (!peer_read_request (self))
    return FALSE;
  key = peer_dup_header (self, "Sec-WebSocket-Key");
  if (key == NULL)
    return FALSE;
  g_checksum_update (checksum, (const guchar *) key, -1);
  g_checksum_update (checksum, (const guchar *) ACCEPT_GUID, -1);
  g_checksum_get_digest (checksum, digest, &size);
  accept = g_base64_encode (digest, size);
  peer_printf (self, "HTTP/1.1 101 Switching Protocols\r\n"
      "Upgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Accept: %s\r\n\r\n", accept);
  return TRUE;
}

/* One unmasked frame; @first is the FIN bit and the opcode. */
void
peer_send_frame (Peer * self, guint8 first, gconstpointer data, gsize size)
{
  GByteArray *out = g_byte_array_new ();
  guint8 head[10] = { first, };
  guint n = 2;
  guint i;

  if (size < 126) {
    head[1] = size;
  } else if (size < 65536) {
    head[1] = 126;
    head[2] = size >> 8;
    head[3] = size & 0xff;
    n = 4;
  } else {
    head[1] = 127;
    for (i = 0; i < 8; i++)
      head[2 + i] = (guint64) size >> (56 - 8 * i);
    n = 10;
  }
  g_byte_array_append (out, head, n);
  g_byte_array_append (out, data, size);
  peer_write (self, out->data, out->len);
  g_byte_array_unref (out);
}

/* One Moshi message. */
void
peer_send (Peer * self, guint8 kind, gconstpointer data, gsize size)
{
  guint8 *message = g_malloc (size + 1);

  message[0] = kind;
  if (size > 0)
    memcpy (message + 1, data, size);
  peer_send_frame (self, PEER_BINARY, message, size + 1);
  g_free (message);
}

/* Takes a client in: the upgrade and the handshake. */
gboolean
peer_greet (Peer * self)
{
  if (!peer_upgrade (self))
    return FALSE;
  peer_send (self, 0, "", 0);
  return TRUE;
}

/* Repeats one frame of less than 64 KiB, many to a write, until the client is
 * gone. */
void
peer_repeat_frame (Peer * self, guint8 first, gconstpointer data, gsize size)
{
  g_autoptr (GByteArray) frames = g_byte_array_new ();
  const guint8 head[4] = { first, 126, size >> 8, size & 0xff };
  const guint8 small[2] = { first, size };

  while (frames->len < 32768) {
    if (size < 126)
      g_byte_array_append (frames, small, 2);
    else
      g_byte_array_append (frames, head, 4);
    g_byte_array_append (frames, data, size);
  }
  while (peer_write (self, frames->data, frames->len));
}

void
peer_send_close (Peer * self, guint code, const gchar * reason)
{
  guint8 payload[125] = { code >> 8, code & 0xff };
  gsize length = reason != NULL ? MIN (strlen (reason), 123) : 0;

  if (length > 0)
    memcpy (payload + 2, reason, length);
  peer_send_frame (self, 0x88, payload, 2 + length);
}

/* The next frame's payload, or NULL when the client is gone. */
GBytes *
peer_read_frame (Peer * self, guint8 * opcode)
{
  guint8 head[2], more[8], mask[4];
  guint64 size;
  guint8 *data;
  guint n = 0;
  guint64 i;

  if (!read_exactly (self, head, 2))
    return NULL;
  *opcode = head[0] & 0x0f;
  size = head[1] & 0x7f;
  if (size == 126)
    n = 2;
  else if (size == 127)
    n = 8;
  if (n > 0 && !read_exactly (self, more, n))
    return NULL;
  for (i = 0, size = n > 0 ? 0 : size; i < n; i++)
    size = size << 8 | more[i];
  g_assert_cmpuint (size, <, 64 * 1024 * 1024);
  g_assert_true (head[1] & 0x80);
  if (!read_exactly (self, mask, 4))
    return NULL;
  data = g_malloc (size + 1);
  if (!read_exactly (self, data, size)) {
    g_free (data);
    return NULL;
  }
  for (i = 0; i < size; i++)
    data[i] ^= mask[i & 3];
  return g_bytes_new_take (data, size);
}

/* Reads and forgets all frames until the client hangs up. */
void
peer_read_until_gone (Peer * self)
{
  guint8 c[512];

  while (g_input_stream_read (g_io_stream_get_input_stream (self->stream), c,
          sizeof (c), self->server->cancellable, NULL) > 0);
}

/* Does nothing, not even read, until the server is freed. */
void
peer_wait_for_end (Peer * self)
{
  GPollFD fd;

  if (!g_cancellable_make_pollfd (self->server->cancellable, &fd))
    return;
  g_poll (&fd, 1, -1);
  g_cancellable_release_fd (self->server->cancellable);
}
