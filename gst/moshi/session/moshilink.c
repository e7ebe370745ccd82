/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "moshilink.h"

#include <libsoup/soup.h>

#ifdef __linux__
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#endif

#include "moshiguard.h"
#include "moshitrust.h"

/*
 * One WebSocket connection
 * ------------------------
 * The only file that knows libsoup. A SoupSession belongs to the thread and
 * main context it was made in, so all of this runs in one strand, on the network
 * thread. Each link has a SoupSession of its own, which lives for the attempt
 * alone: the connection is stolen from it at the upgrade. That belongs to no
 * thread: what it needs is to be alone, and a main context for its sources, which
 * it takes from whoever calls it. So guests of the strand may send; they are not
 * called back when they find the connection lost.
 *
 * Backpressure. libsoup queues without bound what it cannot write and does not
 * say how much that is. But each soup_websocket_connection_send_*() also makes
 * one attempt to write the oldest queued frame. So messages are handed over
 * one by one and each only when the stream says it is writable: a hand-over
 * comes with a write that makes progress, and libsoup's queue holds at most what
 * one write could not take.
 *
 * The end. moshi_link_free() ends the owner's interest, not the connection: a
 * server keeps its lock while a vanished client still looks alive (PyTorch),
 * so an open connection is closed with a close frame and lingers for at most
 * %LINGER ms, until the server has hung up. A reference on the link is held by
 * each of: the owner, an attempt under way, lingering, and the WebSocket object
 * until it is finalized (its streams close asynchronously). The link in turn
 * holds the network thread.
 */

/* How long a connection nobody wants any more may take to end, in ms. */
#define LINGER 1000

/* Bytes of an HTTP answer's body that are kept for the error. */
#define MAX_BODY 1024

/* A connection is looked at now and then for messages that do not end: what may
 * have come since the last message beyond the longest, in bytes. The kernel counts
 * what waits in its own buffers, too. */
#define WATCH_SLACK (8 * 1024 * 1024)

/* Messages between two looks: two minutes and a half of speech with its words. A
 * server that answers what it is given as fast as it can sends a thousand. */
#define MAX_BURST 6000

/* And bytes of them, beside one message of the longest */
#define MAX_BURST_BYTES (4 * 1024 * 1024)

/* What WebSocket (RFC 6455 section 5.2) and TLS (RFC 8446 section 5.2, RFC 5246
 * section 6.2) put around a message, in bytes; more rather than less */
#define AROUND 64

struct _MoshiLink
{
  guint refs;
  MoshiStrand *strand;
  MoshiLinkCallbacks callbacks;
  gpointer user_data;
  gboolean detached;            /* the owner is gone */
  gboolean ended;
  MoshiFault *fault;            /* why, until the owner is told */

  gchar *host;
  GTlsCertificateFlags tls_validation_flags;
  GTlsCertificateFlags tls_errors;
  guint max_message;
  guint keepalive_interval;

  SoupSession *session;         /* during the attempt */
  SoupMessage *message;         /* likewise */
  GCancellable *cancellable;    /* likewise */
  GString *body;                /* of an HTTP answer */
  GTlsConnection *tls;          /* likewise; %NULL without TLS */
  GSocket *socket;              /* under the connection */
  SoupWebsocketConnection *ws;  /* after the upgrade */
  GError *error;                /* what libsoup said last */
  GSource *output_source;
  GSource *linger_source;
  gboolean watched;             /* while there is a connection */
  guint burst;                  /* messages since it last looked */
  gsize burst_bytes;            /* of them */
  gint told;                    /* atomic: bytes, of them all; for the guard */
  gboolean fresh;               /* one has come since then */
  guint64 bytes_then;           /* that had come when it saw the last one */
  gboolean bounded;             /* libsoup has a bound for a message */
  gboolean flooded;             /* too much has come */
};

static MoshiNetwork *
get_network (MoshiLink * self)
{
  return moshi_strand_get_network (self->strand);
}

static MoshiLink *
ref_link (MoshiLink * self)
{
  self->refs++;
  return self;
}

static void
unref_link (MoshiLink * self)
{
  if (--self->refs > 0)
    return;
  g_assert (self->ws == NULL && self->session == NULL);
  g_clear_object (&self->socket);
  g_clear_error (&self->error);
  g_string_free (self->body, TRUE);
  g_free (self->host);
  moshi_strand_unref (self->strand);
  g_free (self);
}

static void
drop_source (GSource ** source)
{
  if (*source == NULL)
    return;
  g_source_destroy (*source);
  g_source_unref (*source);
  *source = NULL;
}

static void
tell_end (MoshiLink * self)
{
  MoshiFault *fault = g_steal_pointer (&self->fault);

  if (self->detached)
    moshi_fault_free (fault);
  else
    self->callbacks.ended (self, fault, self->user_data);
}

static gboolean
on_tell_end (gpointer user_data)
{
  tell_end (user_data);
  unref_link (user_data);
  return G_SOURCE_REMOVE;
}

/* What a guest has found out is told on the network thread. */
static void
end (MoshiLink * self, MoshiFault * fault)
{
  if (self->detached || self->ended) {
    moshi_fault_free (fault);
    return;
  }
  self->ended = TRUE;
  self->fault = fault;
  drop_source (&self->output_source);
  if (moshi_network_is_current (get_network (self)))
    tell_end (self);
  else
    moshi_strand_invoke (self->strand, on_tell_end, ref_link (self), NULL);
}

/* The attempt */

/* libsoup throws the body of a refused upgrade away unless a logger wants it;
 * servers say there what they dislike (moshi-backend: which parameter). Nothing
 * is logged: of what the logger tells, only that body is kept. It has no
 * filters, as with one libsoup 3.2 does not keep bodies. */
static void
on_log (SoupLogger * logger, SoupLoggerLogLevel level, char direction,
    const char *data, gpointer user_data)
{
  GString *body = user_data;

  if (direction != '<' || level != SOUP_LOGGER_LOG_BODY)
    return;
  if (body->len >= MAX_BODY)
    return;
  if (body->len > 0)
    g_string_append_c (body, ' ');
  g_string_append_len (body, data, strnlen (data, MAX_BODY - body->len));
}

static void
ignore_log (SoupLogger * logger, SoupLoggerLogLevel level, char direction,
    const char *data, gpointer user_data)
{
}

static SoupSession *
new_session (MoshiLink * self, const MoshiLinkSetup * setup)
{
  g_autofree gchar *agent = g_strconcat (setup->user_agent, " ", NULL);
  SoupLogger *logger = soup_logger_new (SOUP_LOGGER_LOG_BODY);
  SoupSession *session;

  session = soup_session_new_with_options ("user-agent", agent,
      "tls-interaction", setup->tls_interaction, NULL);
  soup_session_set_proxy_resolver (session, setup->proxy_resolver);
  if (setup->tls_database != NULL)
    soup_session_set_tls_database (session, setup->tls_database);
  /* Keys go out as they were given; nobody is asked for others. */
  soup_session_remove_feature_by_type (session, SOUP_TYPE_AUTH_MANAGER);
  /* Opus does not deflate, and what was deflated has no bound. */
  soup_session_remove_feature_by_type (session,
      SOUP_TYPE_WEBSOCKET_EXTENSION_MANAGER);

  soup_logger_set_max_body_size (logger, MAX_BODY);
  soup_logger_set_printer (logger, on_log, self->body, NULL);
  soup_session_add_feature (session, SOUP_SESSION_FEATURE (logger));
  g_object_unref (logger);
  return session;
}

static SoupMessage *
new_message (const MoshiLinkSetup * setup)
{
  SoupMessage *message = soup_message_new ("GET", setup->url);
  SoupMessageHeaders *headers;
  GHashTableIter iter;
  gpointer name, value;

  if (message == NULL)
    return NULL;
  headers = soup_message_get_request_headers (message);
  if (setup->bearer != NULL) {
    g_autofree gchar *bearer = g_strconcat ("Bearer ", setup->bearer, NULL);

    soup_message_headers_replace (headers, "Authorization", bearer);
  }
  if (setup->headers != NULL) {
    g_hash_table_iter_init (&iter, setup->headers);
    while (g_hash_table_iter_next (&iter, &name, &value))
      soup_message_headers_replace (headers, name, value);
  }
  soup_message_add_flags (message, SOUP_MESSAGE_NO_REDIRECT);
  return message;
}

static gboolean
on_accept_certificate (SoupMessage * message, GTlsCertificate * certificate,
    GTlsCertificateFlags errors, gpointer user_data)
{
  MoshiLink *self = user_data;

  self->tls_errors = errors & self->tls_validation_flags;
  if (self->tls_errors == 0)
    return TRUE;
  if (self->detached)
    return FALSE;
  if (!self->callbacks.certificate (self, certificate, self->tls_errors,
          self->user_data))
    return FALSE;
  self->tls_errors = 0;
  return TRUE;
}

static void
on_network_event (SoupMessage * message, GSocketClientEvent event,
    GIOStream * connection, gpointer user_data)
{
  MoshiLink *self = user_data;

  if (event == G_SOCKET_CLIENT_CONNECTED && G_IS_SOCKET_CONNECTION (connection))
    g_set_object (&self->socket,
        g_socket_connection_get_socket (G_SOCKET_CONNECTION (connection)));
  else if (event == G_SOCKET_CLIENT_TLS_HANDSHAKING)
    g_set_object (&self->tls, G_TLS_CONNECTION (connection));
  else if (event == G_SOCKET_CLIENT_TLS_HANDSHAKED
      && G_IS_TLS_CONNECTION (connection))
    moshi_trust_let_go (G_TLS_CONNECTION (connection),
        moshi_network_get_context (get_network (self)));
}

static MoshiFault *
explain_attempt (MoshiLink * self, const GError * error)
{
  guint status = soup_message_get_status (self->message);
  SoupMessageHeaders *headers =
      soup_message_get_response_headers (self->message);

  if (status == SOUP_STATUS_NONE && self->tls_errors == 0 && self->tls != NULL
      && g_tls_connection_get_certificate (self->tls) != NULL)
    return moshi_fault_new_shown (error, self->host);
  if (status == SOUP_STATUS_NONE)
    return moshi_fault_new_connect (error, self->tls_errors, self->host);
  return moshi_fault_new_http (status,
      soup_message_get_reason_phrase (self->message), self->body->str,
      soup_message_headers_get_one (headers, "Location"));
}

/* The connection */

/* A peer that sends faster than its messages can be read: what libsoup reads
 * has an end now. */
static void
shut_down (MoshiLink * self)
{
  self->flooded = TRUE;
  if (self->socket != NULL)
    moshi_guard_shut_down (self->socket);
}

#ifdef __linux__
static gboolean
get_tcp_info (MoshiLink * self, struct tcp_info *info, gsize needed)
{
  socklen_t size = sizeof *info;

  return self->socket != NULL
      && getsockopt (g_socket_get_fd (self->socket), IPPROTO_TCP, TCP_INFO,
      info, &size) == 0 && size >= needed;
}
#endif

/* Counts what has come. FALSE when it is too much at once. */
static gboolean
count_message (MoshiLink * self, gsize size)
{
  self->burst++;
  self->burst_bytes += size;
  (void) g_atomic_int_add (&self->told, (gint) size + AROUND);
  return self->burst < MAX_BURST
      && self->burst_bytes <= (gsize) MAX_BURST_BYTES + self->max_message;
}

static void
on_ws_message (SoupWebsocketConnection * ws, gint type, GBytes * message,
    gpointer user_data)
{
  MoshiLink *self = user_data;

  self->fresh = TRUE;
  if (self->flooded)
    return;
  if (!count_message (self, g_bytes_get_size (message))) {
    shut_down (self);
    return;
  }
  if (!self->detached && !self->ended)
    self->callbacks.message (self, message, type == SOUP_WEBSOCKET_DATA_TEXT,
        self->user_data);
}

static void
on_ws_error (SoupWebsocketConnection * ws, GError * error, gpointer user_data)
{
  MoshiLink *self = user_data;

  if (self->flooded)
    return;
  g_clear_error (&self->error);
  if (g_error_matches (error, SOUP_WEBSOCKET_ERROR,
          SOUP_WEBSOCKET_CLOSE_TOO_BIG))
    self->error = g_error_new (SOUP_WEBSOCKET_ERROR,
        SOUP_WEBSOCKET_CLOSE_TOO_BIG,
        "it sent a message of more than %u bytes, which is the limit",
        self->max_message);
  else
    self->error = g_error_copy (error);
}

/* A flood is not asked for again: it would keep the other sessions waiting each
 * time. */
static void
report_closed (MoshiLink * self)
{
  guint code = soup_websocket_connection_get_close_code (self->ws);
  gboolean final = FALSE;
  MoshiFault *fault;

  if (moshi_guard_has_shut (self->socket)) {
    self->flooded = TRUE;
    g_clear_error (&self->error);
  }
  if (self->flooded && self->error == NULL) {
    self->error = g_error_new_literal (SOUP_WEBSOCKET_ERROR,
        SOUP_WEBSOCKET_CLOSE_POLICY_VIOLATION,
        "it sent messages faster than they can be read");
    final = TRUE;
  }
  fault = moshi_fault_new_close (self->error, code == 0 ? 1006 : code,
      soup_websocket_connection_get_close_data (self->ws));
  fault->final = final;
  end (self, fault);
}

/* The peer's close frame is the end for us; libsoup still waits for the peer
 * to hang up, which some never do. It tells of that frame by "closing" where
 * it came first and by the state where it answered ours. */
static void
on_ws_changed (SoupWebsocketConnection * ws, gpointer user_data)
{
  MoshiLink *self = user_data;

  if (soup_websocket_connection_get_close_code (ws) != 0)
    report_closed (self);
}

static void
on_ws_notify_state (SoupWebsocketConnection * ws, GParamSpec * pspec,
    gpointer user_data)
{
  on_ws_changed (ws, user_data);
}

static void
on_ws_finalized (gpointer user_data, GObject * where_it_was)
{
  unref_link (user_data);
}

/* One message in endless fragments */
static gboolean
is_endless (MoshiLink * self)
{
  guint64 bytes = moshi_guard_count_received (self->socket);

  if (self->fresh)
    self->bytes_then = bytes;
  self->fresh = FALSE;
  return !self->bounded
      && bytes > self->bytes_then + self->max_message + WATCH_SLACK;
}

static void
on_watch (gpointer user_data)
{
  MoshiLink *self = user_data;

  moshi_guard_beat ();
  self->burst = 0;
  self->burst_bytes = 0;
  if (is_endless (self) && !self->flooded) {
    g_clear_error (&self->error);
    self->error = g_error_new (SOUP_WEBSOCKET_ERROR,
        SOUP_WEBSOCKET_CLOSE_TOO_BIG,
        "it sent a message of more than %u bytes, which is the limit",
        self->max_message);
    shut_down (self);
  }
}

/* Until the connection is gone, with or without an owner */
static void
start_watch (MoshiLink * self)
{
  if (self->socket != NULL)
    moshi_guard_add (self->socket, &self->told);
  self->watched = TRUE;
  moshi_strand_add_pulse (self->strand, on_watch, self);
}

static void
stop_watch (MoshiLink * self)
{
  if (!self->watched)
    return;
  self->watched = FALSE;
  moshi_strand_remove_pulse (self->strand, self);
  if (self->socket != NULL)
    moshi_guard_remove (self->socket);
}

static void
drop_ws (MoshiLink * self)
{
  stop_watch (self);
  if (self->ws == NULL)
    return;
  g_signal_handlers_disconnect_by_data (self->ws, self);
  /* A TLS stream would wait for room to say goodbye in. */
  if (self->socket != NULL && !g_socket_is_closed (self->socket))
    g_socket_shutdown (self->socket, TRUE, TRUE, NULL);
  g_clear_object (&self->ws);
}

static void
on_ws_closed (SoupWebsocketConnection * ws, gpointer user_data)
{
  MoshiLink *self = ref_link (user_data);

  report_closed (self);
  drop_source (&self->output_source);
  drop_ws (self);
  if (self->linger_source != NULL) {
    drop_source (&self->linger_source);
    unref_link (self);
  }
  unref_link (self);
}

static void
adopt_ws (MoshiLink * self, SoupWebsocketConnection * ws)
{
  self->ws = ws;
  ref_link (self);
  g_object_weak_ref (G_OBJECT (ws), on_ws_finalized, self);
  soup_websocket_connection_set_max_incoming_payload_size (ws,
      self->max_message);
  /* Newer libsoup also bounds messages that come in many frames. */
  self->bounded = g_object_class_find_property (G_OBJECT_GET_CLASS (ws),
      "max-total-message-size") != NULL;
  if (self->bounded)
    g_object_set (ws, "max-total-message-size", (guint64) self->max_message,
        NULL);
  soup_websocket_connection_set_keepalive_interval (ws,
      (self->keepalive_interval + 999) / 1000);
  start_watch (self);
  g_signal_connect (ws, "message", G_CALLBACK (on_ws_message), self);
  g_signal_connect (ws, "error", G_CALLBACK (on_ws_error), self);
  g_signal_connect (ws, "closing", G_CALLBACK (on_ws_changed), self);
  g_signal_connect (ws, "notify::state", G_CALLBACK (on_ws_notify_state), self);
  g_signal_connect (ws, "closed", G_CALLBACK (on_ws_closed), self);
}

static gboolean
on_linger_timeout (gpointer user_data)
{
  MoshiLink *self = user_data;

  drop_source (&self->linger_source);
  drop_ws (self);
  unref_link (self);
  return G_SOURCE_REMOVE;
}

/* Lets an open connection end by itself, with nobody listening. */
static void
linger (MoshiLink * self)
{
  moshi_link_close (self);
  ref_link (self);
  self->linger_source = g_timeout_source_new (LINGER);
  /* Before what libsoup itself has waiting, at 5 s: it would leak that. */
  g_source_set_priority (self->linger_source, G_PRIORITY_HIGH);
  g_source_set_callback (self->linger_source, on_linger_timeout, self, NULL);
  g_source_attach (self->linger_source,
      moshi_strand_get_context (self->strand));
}

static void
on_connect_done (GObject * source, GAsyncResult * result, gpointer user_data)
{
  MoshiLink *self = user_data;
  SoupWebsocketConnection *ws;
  SoupSessionFeature *logger;
  g_autoptr (GError) error = NULL;

  ws = soup_session_websocket_connect_finish (self->session, result, &error);
  if (ws != NULL) {
    adopt_ws (self, ws);
    if (self->detached)
      linger (self);
    else
      self->callbacks.upgraded (self, self->user_data);
  } else if (!self->detached) {
    end (self, explain_attempt (self, error));
  }
  /* libsoup may keep these for a while; they are not to find us then. (A logger
   * taken off the session now would leak: libsoup 3.2 lets it go only with the
   * request.) */
  g_signal_handlers_disconnect_by_data (self->message, self);
  logger = soup_session_get_feature (self->session, SOUP_TYPE_LOGGER);
  soup_logger_set_printer (SOUP_LOGGER (logger), ignore_log, NULL, NULL);
  g_clear_object (&self->cancellable);
  g_clear_object (&self->tls);
  g_clear_object (&self->message);
  g_clear_object (&self->session);
  unref_link (self);
}

/**
 * moshi_link_new:
 * @strand: within which this is called, on the network thread
 * @setup: where to and how
 * @callbacks: copied; all are required
 * @user_data: for @callbacks
 *
 * Begins an attempt: name, proxy, TCP, TLS, HTTP/1.1 upgrade (RFC 6455 section
 * 4). Redirects are not followed. There is no time-out here.
 *
 * Returns: (transfer full) (nullable): a link, or %NULL when libsoup cannot
 *     use the address
 */
MoshiLink *
moshi_link_new (MoshiStrand * strand, const MoshiLinkSetup * setup,
    const MoshiLinkCallbacks * callbacks, gpointer user_data)
{
  SoupMessage *message = new_message (setup);
  MoshiLink *self;

  if (message == NULL)
    return NULL;
  self = g_new0 (MoshiLink, 1);
  self->refs = 1;
  self->strand = moshi_strand_ref (strand);
  self->callbacks = *callbacks;
  self->user_data = user_data;
  self->host = g_strdup (setup->host);
  self->tls_validation_flags = setup->tls_validation_flags;
  self->max_message = setup->max_message;
  self->keepalive_interval = setup->keepalive_interval;
  self->body = g_string_new (NULL);
  self->session = new_session (self, setup);
  self->message = message;
  self->cancellable = g_cancellable_new ();
  g_signal_connect (message, "accept-certificate",
      G_CALLBACK (on_accept_certificate), self);
  g_signal_connect (message, "network-event", G_CALLBACK (on_network_event),
      self);
  ref_link (self);
  soup_session_websocket_connect_async (self->session, message, NULL, NULL,
      G_PRIORITY_DEFAULT, self->cancellable, on_connect_done, self);
  return self;
}

/**
 * moshi_link_free:
 * @self: (transfer full): a link
 *
 * Lets go; no callback follows. An attempt is cancelled. An open connection
 * gets a close frame, if it had none, and ends by itself within a second.
 */
void
moshi_link_free (MoshiLink * self)
{
  self->detached = TRUE;
  drop_source (&self->output_source);
  if (self->cancellable != NULL)
    g_cancellable_cancel (self->cancellable);
  if (self->ws != NULL && self->linger_source == NULL)
    linger (self);
  unref_link (self);
}

/**
 * moshi_link_is_open:
 * @self: a link
 *
 * Returns: %TRUE between the upgrade and the first close frame or loss
 */
gboolean
moshi_link_is_open (MoshiLink * self)
{
  return self->ws != NULL && soup_websocket_connection_get_state (self->ws)
      == SOUP_WEBSOCKET_STATE_OPEN;
}

/**
 * moshi_link_get_round_trip:
 * @self: a link
 *
 * What the kernel has measured of its own segments and their acknowledgements:
 * no ping of ours is needed, which some servers would take amiss. The shortest
 * of the last minutes, as a peer may hold acknowledgements back (RFC 1122
 * section 4.2.3.2). Behind a proxy it is the way to the proxy.
 *
 * Returns: in µs; 0 where that is not known
 */
guint
moshi_link_get_round_trip (MoshiLink * self)
{
#ifdef __linux__
  struct tcp_info info = { 0, };

  if (get_tcp_info (self, &info, G_STRUCT_OFFSET (struct tcp_info,
              tcpi_min_rtt) + sizeof info.tcpi_min_rtt)
      && info.tcpi_min_rtt != G_MAXUINT32)
      return info.tcpi_min_rtt;
#endif
  return 0;
}

static gboolean
on_output (GObject * stream, gpointer user_data)
{
  MoshiLink *self = user_data;

  drop_source (&self->output_source);
  if (moshi_link_is_open (self) && !self->ended)
    self->callbacks.writable (self, self->user_data);
  return G_SOURCE_REMOVE;
}

/**
 * moshi_link_can_read:
 * @self: a link
 *
 * Returns: whether something has come, or the end, that is not read yet
 */
gboolean
moshi_link_can_read (MoshiLink * self)
{
  return moshi_link_is_open (self)
      && g_pollable_input_stream_is_readable (G_POLLABLE_INPUT_STREAM
      (g_io_stream_get_input_stream (soup_websocket_connection_get_io_stream
              (self->ws))));
}

static GPollableOutputStream *
get_output (MoshiLink * self)
{
  return G_POLLABLE_OUTPUT_STREAM (g_io_stream_get_output_stream
      (soup_websocket_connection_get_io_stream (self->ws)));
}

/**
 * moshi_link_can_write:
 * @self: a link
 *
 * Returns: whether the connection can take a message at once
 */
gboolean
moshi_link_can_write (MoshiLink * self)
{
  return self->output_source == NULL && !self->ended
      && moshi_link_is_open (self)
      && g_pollable_output_stream_is_writable (get_output (self));
}

/**
 * moshi_link_want_write:
 * @self: a link
 *
 * Asks for one call of the `writable` callback, as soon as the connection can
 * take a message. To be asked again after each.
 */
void
moshi_link_want_write (MoshiLink * self)
{
  if (self->output_source != NULL || !moshi_link_is_open (self))
    return;
  self->output_source =
      g_pollable_output_stream_create_source (get_output (self), NULL);
  g_source_set_callback (self->output_source,
      G_SOURCE_FUNC (on_output), self, NULL);
  g_source_attach (self->output_source,
      moshi_strand_get_context (self->strand));
}

/**
 * moshi_link_send:
 * @self: a link
 * @message: a whole message, sent as a binary one
 *
 * Best called after moshi_link_can_write() or from the `writable` callback, once
 * each. Ignored when the connection is not open.
 */
void
moshi_link_send (MoshiLink * self, GBytes * message)
{
  if (moshi_link_is_open (self))
    soup_websocket_connection_send_message (self->ws,
        SOUP_WEBSOCKET_DATA_BINARY, message);
}

/**
 * moshi_link_close:
 * @self: a link
 *
 * Sends a close frame with 1000 and no reason, as moshi-backend reads a reason
 * as a message. It is in the kernel's hands on return unless the connection
 * was stuck. The `ended` callback follows with the peer's answer.
 */
void
moshi_link_close (MoshiLink * self)
{
  /* What the peer has closed libsoup is about to answer itself. */
  if (moshi_link_is_open (self)
      && soup_websocket_connection_get_close_code (self->ws) == 0)
    soup_websocket_connection_close (self->ws, SOUP_WEBSOCKET_CLOSE_NORMAL,
        NULL);
}
