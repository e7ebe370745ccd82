/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The server: its thread, HTTP up to the upgrade, and the lock that servers
 * with one session at a time pass from one client to the next.
 *
 * All but the statistics lives in the server's thread. Other threads reach it
 * with sources on its main context.
 */
#include "standin.h"
#include "standinwire.h"

#include <string.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#define DEFAULT_PATH "/api/chat"
#define DEFAULT_KEY "secret"
#define DEFAULT_TEXT_EVERY 3

/* A request between its answer 101 and the stream it leaves behind. */
typedef struct
{
  MoshiStandin *server;
  GHashTable *query;
  StandinFaults *faults;
  gboolean deflate;
} Upgrade;

/* Something another thread wants done to all sessions. */
typedef struct
{
  MoshiStandin *server;
  guint code;                   /* 0 drops */
} Order;

/**
 * moshi_standin_config_init:
 * @config: (out caller-allocates): gets the defaults: kyutai-py, echo, a free
 *     port of 127.0.0.1, unpaced
 */
void
moshi_standin_config_init (MoshiStandinConfig * config)
{
  memset (config, 0, sizeof *config);
  config->text_every = DEFAULT_TEXT_EVERY;
  config->prompt_ms = -1;
}

static void
copy_config (MoshiStandin * self, const MoshiStandinConfig * config)
{
  MoshiStandinConfig *mine = &self->config;

  *mine = *config;
  mine->faults = NULL;
  mine->host = g_strdup (config->host ? config->host : "127.0.0.1");
  mine->path = g_strdup (config->path ? config->path : DEFAULT_PATH);
  mine->text = g_strdup (config->text);
  mine->key = g_strdup (config->key);
  if (mine->key == NULL && self->flavour->key)
    mine->key = g_strdup (DEFAULT_KEY);
  mine->tls_cert = g_strdup (config->tls_cert);
  mine->tls_key = g_strdup (config->tls_key);
  mine->keep_files = g_strdup (config->keep_files);
  mine->text_every = MAX (config->text_every, 1);
  self->max_steps = config->max_steps > 0 ?
      config->max_steps : self->flavour->max_steps;
  self->prompt_ms = config->prompt_ms >= 0 ?
      (guint) config->prompt_ms : self->flavour->prompt_ms;
}

static void
record (MoshiStandin * self)
{
  StandinEncoder *encoder =
      standin_encoder_new (self->flavour, self->config.bitrate);
  StandinVoice *voice =
      standin_voice_new (MOSHI_STANDIN_SWEEP, self->config.seed);
  gfloat frame[MOSHI_STANDIN_FRAME];
  guint i;

  self->recorded = g_new (StandinRecord, STANDIN_RECORDED);
  for (i = 0; i < STANDIN_RECORDED; i++) {
    standin_voice_speak (voice, frame, NULL);
    self->recorded[i].n_packets =
        standin_encoder_run (encoder, frame, self->recorded[i].packets);
  }
  standin_voice_free (voice);
  standin_encoder_free (encoder);
}

static gboolean
prepare (MoshiStandin * self, const MoshiStandinConfig * config,
    GError ** error)
{
  if (config->voice == MOSHI_STANDIN_TALK && !moshi_standin_can_talk ()) {
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
        "The voice “talk” needs espeak-ng, and this build has none");
    return FALSE;
  }
  self->faults = standin_faults_parse (config->faults, error);
  if (self->faults == NULL)
    return FALSE;
  if (config->tls_cert != NULL) {
    self->certificate = g_tls_certificate_new_from_files (config->tls_cert,
        config->tls_key ? config->tls_key : config->tls_cert, error);
    if (self->certificate == NULL)
      return FALSE;
  }
  return TRUE;
}

/**
 * moshi_standin_new:
 * @config: what to be; copied
 * @error: G_IO_ERROR or G_TLS_ERROR
 *
 * Returns: (transfer full) (nullable): a server that does not run yet; NULL
 *     with @error set if a fault is unknown, a certificate cannot be read or
 *     the voice cannot be had
 */
MoshiStandin *
moshi_standin_new (const MoshiStandinConfig * config, GError ** error)
{
  MoshiStandin *self = g_new0 (MoshiStandin, 1);

  g_mutex_init (&self->lock);
  g_cond_init (&self->changed);
  self->flavour = standin_flavour_get (config->flavour);
  self->made_at = g_get_monotonic_time ();
  self->fault_first = config->fault_first;
  self->packets =
      g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  self->pcm = g_array_new (FALSE, FALSE, sizeof (gfloat));
  self->report = g_string_new (NULL);
  copy_config (self, config);
  if (!prepare (self, config, error)) {
    moshi_standin_free (self);
    return NULL;
  }
  if (config->voice == MOSHI_STANDIN_REPEAT_PACKETS)
    record (self);
  return self;
}

/**
 * moshi_standin_free:
 * @self: (transfer full): the server; stopped if it runs
 */
void
moshi_standin_free (MoshiStandin * self)
{
  moshi_standin_stop (self);
  g_clear_object (&self->certificate);
  g_clear_pointer (&self->faults, standin_faults_free);
  g_clear_pointer (&self->query, g_hash_table_unref);
  g_clear_pointer (&self->headers, soup_message_headers_unref);
  g_clear_error (&self->start_error);
  g_free (self->path);
  g_clear_pointer (&self->image, g_bytes_unref);
  g_free (self->uri);
  g_free (self->recorded);
  g_ptr_array_unref (self->packets);
  g_array_unref (self->pcm);
  g_string_free (self->report, TRUE);
  g_free ((gchar *) self->config.host);
  g_free ((gchar *) self->config.path);
  g_free ((gchar *) self->config.text);
  g_free ((gchar *) self->config.key);
  g_free ((gchar *) self->config.tls_cert);
  g_free ((gchar *) self->config.tls_key);
  g_free ((gchar *) self->config.keep_files);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->changed);
  g_free (self);
}

static void
answer (SoupServerMessage * msg, guint status, const gchar * type,
    const gchar * body)
{
  soup_server_message_set_status (msg, status, NULL);
  soup_server_message_set_response (msg, type, SOUP_MEMORY_COPY, body,
      strlen (body));
}

static gboolean
key_is_right (MoshiStandin * self, SoupMessageHeaders * headers,
    GHashTable * query)
{
  const gchar *bearer = soup_message_headers_get_one (headers,
      "Authorization");
  const gchar *token = g_hash_table_lookup (query, "token");

  if (self->config.key == NULL)
    return TRUE;
  if (bearer != NULL && g_ascii_strncasecmp (bearer, "Bearer ", 7) == 0)
    return strcmp (bearer + 7, self->config.key) == 0;
  return g_strcmp0 (token, self->config.key) == 0;
}

static gboolean
wants_websocket (SoupServerMessage * msg, SoupMessageHeaders * headers)
{
  return soup_server_message_get_method (msg) == SOUP_METHOD_GET
      && soup_message_headers_header_contains (headers, "Upgrade", "websocket")
      && soup_message_headers_header_contains (headers, "Connection", "upgrade")
      && soup_message_headers_header_equals (headers,
      "Sec-WebSocket-Version", "13")
      && soup_message_headers_get_one (headers, "Sec-WebSocket-Key");
}

static void
free_upgrade (gpointer data, GClosure * closure)
{
  Upgrade *upgrade = data;

  g_hash_table_unref (upgrade->query);
  g_clear_pointer (&upgrade->faults, standin_faults_free);
  g_free (upgrade);
}

static void
admit (MoshiStandin * self, StandinSession * session)
{
  if (!self->flavour->single || !standin_session_is_waiting (session)) {
    standin_session_begin (session);
  } else if (self->holder == NULL) {
    self->holder = session;
    standin_session_begin (session);
  } else {
    g_queue_push_tail (&self->waiting, session);
    standin_stats_begin (self)->waiting++;
    standin_stats_end (self);
  }
}

static void
on_wrote_informational (SoupServerMessage * msg, gpointer user_data)
{
  Upgrade *upgrade = user_data;
  MoshiStandin *self = upgrade->server;
  StandinSession *session;
  MoshiStandinStats *stats;
  GSocket *socket = g_object_ref (soup_server_message_get_socket (msg));
  GIOStream *stream = soup_server_message_steal_connection (msg);

  g_socket_set_option (socket, IPPROTO_TCP, TCP_NODELAY, TRUE, NULL);
  stats = standin_stats_begin (self);
  stats->upgrades++;
  stats->active++;
  standin_stats_end (self);
  session = standin_session_new (self, stream, socket, upgrade->deflate,
      upgrade->query, g_steal_pointer (&upgrade->faults));
  self->sessions = g_list_prepend (self->sessions, session);
  admit (self, session);
  g_object_unref (socket);
}

/* RFC 7692 7.1. An offer is an invitation: the client may be told nothing of
 * its own window (client_max_window_bits), but what it asks of ours (a smaller
 * window, no takeover) zlib as GLib has it cannot do. */
static gboolean
offers_deflate (SoupMessageHeaders * headers)
{
  const gchar *offered = soup_message_headers_get_list (headers,
      "Sec-WebSocket-Extensions");
  GSList *offers = offered != NULL ? soup_header_parse_list (offered) : NULL;
  GSList *offer;
  GHashTable *params;
  gboolean good = FALSE;

  for (offer = offers; offer != NULL && !good; offer = offer->next) {
    params = soup_header_parse_semi_param_list (offer->data);
    good = g_hash_table_contains (params, "permessage-deflate")
        && !g_hash_table_contains (params, "server_max_window_bits")
        && !g_hash_table_contains (params, "server_no_context_takeover");
    soup_header_free_param_list (params);
  }
  soup_header_free_list (offers);
  return good;
}

static void
accept_upgrade (MoshiStandin * self, SoupServerMessage * msg,
    GHashTable * query, StandinFaults * faults)
{
  SoupMessageHeaders *headers = soup_server_message_get_request_headers (msg);
  SoupMessageHeaders *reply = soup_server_message_get_response_headers (msg);
  Upgrade *upgrade = g_new0 (Upgrade, 1);
  gchar *key;

  key = standin_wire_accept_key (soup_message_headers_get_one (headers,
          "Sec-WebSocket-Key"));
  soup_message_headers_replace (reply, "Upgrade", "websocket");
  soup_message_headers_replace (reply, "Connection", "Upgrade");
  soup_message_headers_replace (reply, "Sec-WebSocket-Accept", key);
  g_free (key);
  upgrade->server = self;
  upgrade->query = g_hash_table_ref (query);
  upgrade->faults = faults;
  upgrade->deflate = (self->config.deflate || self->flavour->deflate)
      && offers_deflate (headers);
  if (upgrade->deflate)
    soup_message_headers_replace (reply, "Sec-WebSocket-Extensions",
        "permessage-deflate");
  soup_server_message_set_status (msg, SOUP_STATUS_SWITCHING_PROTOCOLS, NULL);
  g_signal_connect_data (msg, "wrote-informational",
      G_CALLBACK (on_wrote_informational), upgrade, free_upgrade, 0);
}

/* Answers what ends in plain HTTP. Returns FALSE if the upgrade may go on. */
static gboolean
refuse (MoshiStandin * self, SoupServerMessage * msg, const gchar * path,
    GHashTable * query, const StandinFaults * faults)
{
  SoupMessageHeaders *headers = soup_server_message_get_request_headers (msg);
  gchar *body = NULL;
  guint status = 0;

  if (faults->http_status != 0) {
    status = faults->http_status;
    body = g_strdup_printf ("stand-in: %u as asked for\n", status);
  } else if (strcmp (path, self->config.path) != 0) {
    status = SOUP_STATUS_NOT_FOUND;
    body = g_strdup ("404: Not Found");
  } else if (!key_is_right (self, headers, query)) {
    status = SOUP_STATUS_FORBIDDEN;
    body = g_strdup ("{\"message\":\"insufficient permissions\"}");
  } else if (faults->no_upgrade) {
    status = SOUP_STATUS_OK;
    body = g_strdup ("<!doctype html><title>moshi</title>\n");
  } else if (!wants_websocket (msg, headers)) {
    status = SOUP_STATUS_BAD_REQUEST;
    body = g_strdup ("No WebSocket UPGRADE hdr");
  } else {
    body = standin_flavour_check_query (self->flavour, query);
    status = body != NULL ? SOUP_STATUS_BAD_REQUEST : 0;
  }
  if (status == 0)
    return FALSE;
  answer (msg, status, faults->no_upgrade ? "text/html" : "text/plain", body);
  standin_log (self, 0, "request for %s: HTTP %u", path, status);
  g_free (body);
  return TRUE;
}

static void
on_request (SoupServer * server, SoupServerMessage * msg, const char *path,
    GHashTable * unused, gpointer user_data)
{
  MoshiStandin *self = user_data;
  const gchar *text = g_uri_get_query (soup_server_message_get_uri (msg));
  GHashTable *query = soup_form_decode (text != NULL ? text : "");
  StandinFaults *faults;

  faults = standin_note_request (self, path, query,
      soup_server_message_get_request_headers (msg));
  if (refuse (self, msg, path, query, faults))
    standin_faults_free (faults);
  else
    accept_upgrade (self, msg, query, faults);
  g_hash_table_unref (query);
}

/**
 * standin_release_lock:
 * @self: the server
 * @session: one that is over
 *
 * Lets the next client in if @session held the lock. Server thread only.
 */
void
standin_release_lock (MoshiStandin * self, StandinSession * session)
{
  if (g_queue_remove (&self->waiting, session)) {
    standin_stats_begin (self)->waiting--;
    standin_stats_end (self);
  }
  if (self->holder != session)
    return;
  self->holder = g_queue_pop_head (&self->waiting);
  if (self->holder == NULL)
    return;
  standin_stats_begin (self)->waiting--;
  standin_stats_end (self);
  standin_session_begin (self->holder);
}

static gboolean
on_session_freed (gpointer user_data)
{
  standin_session_free (user_data);
  return G_SOURCE_REMOVE;
}

/**
 * standin_session_gone:
 * @self: the server
 * @session: (transfer full): a session without a connection
 *
 * Forgets a session; it is freed from the main loop, for its own functions
 * are still on the stack. Server thread only.
 */
void
standin_session_gone (MoshiStandin * self, StandinSession * session)
{
  MoshiStandinStats *stats;
  GSource *source = g_idle_source_new ();

  self->sessions = g_list_remove (self->sessions, session);
  standin_release_lock (self, session);
  stats = standin_stats_begin (self);
  stats->active--;
  stats->sessions_ended++;
  standin_stats_end (self);
  g_source_set_callback (source, on_session_freed, session, NULL);
  g_source_attach (source, self->context);
  g_source_unref (source);
}

static gboolean
is_loopback (GSocketAddress * address)
{
  GInetAddress *inet =
      g_inet_socket_address_get_address (G_INET_SOCKET_ADDRESS (address));

  return g_inet_address_get_is_loopback (inet);
}

/* soup_server_get_uris() would tell too, but leaks (libsoup 3.2). */
static guint16
find_port (SoupServer * server)
{
  GSList *listeners = soup_server_get_listeners (server);
  GSocketAddress *address = g_socket_get_local_address (listeners->data, NULL);
  guint16 port =
      g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (address));

  g_object_unref (address);
  g_slist_free (listeners);
  return port;
}

static gboolean
listen_on (MoshiStandin * self, GError ** error)
{
  const MoshiStandinConfig *config = &self->config;
  GSocketAddress *address;
  gboolean ok;

  address = g_inet_socket_address_new_from_string (config->host, config->port);
  if (address == NULL) {
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
        "“%s” is no address to bind; give it in numbers", config->host);
    return FALSE;
  }
  if (!is_loopback (address))
    standin_log (self, 0, "%s is open to the network", config->host);
  ok = soup_server_listen (self->server, address, self->certificate != NULL ?
      SOUP_SERVER_LISTEN_HTTPS : 0, error);
  g_object_unref (address);
  if (!ok)
    return FALSE;
  self->port = find_port (self->server);
  g_free (self->uri);
  self->uri = g_strdup_printf (strchr (config->host, ':') ?
      "%s://[%s]:%u%s" : "%s://%s:%u%s", self->certificate ? "wss" : "ws",
      config->host, self->port, config->path);
  return TRUE;
}

static void
tear_down (MoshiStandin * self)
{
  /* Each one lets the next in, who is then at the list's head. */
  while (self->sessions != NULL)
    standin_session_drop (self->sessions->data);
  g_queue_clear_full (&self->leftovers, g_free);
  if (self->server != NULL)
    soup_server_disconnect (self->server);
  while (g_main_context_iteration (self->context, FALSE));
  g_clear_object (&self->server);
  while (g_main_context_iteration (self->context, FALSE));
}

static gpointer
run (gpointer user_data)
{
  MoshiStandin *self = user_data;
  GError *error = NULL;

  g_main_context_push_thread_default (self->context);
  self->server = soup_server_new ("server-header", "stand-in ", NULL);
  if (self->certificate != NULL)
    soup_server_set_tls_certificate (self->server, self->certificate);
  soup_server_add_handler (self->server, NULL, on_request, self, NULL);
  listen_on (self, &error);
  g_mutex_lock (&self->lock);
  self->starting = FALSE;
  self->start_error = error;
  standin_stats_end (self);
  if (error == NULL)
    g_main_loop_run (self->loop);
  tear_down (self);
  g_main_context_pop_thread_default (self->context);
  return NULL;
}

/**
 * moshi_standin_start:
 * @self: the server
 * @error: as GSocket gives it
 *
 * Returns when connections are accepted. A server that was stopped can be
 * started again; it takes the configured port, so a free one may be another.
 *
 * Returns: FALSE with @error set if it cannot listen
 */
gboolean
moshi_standin_start (MoshiStandin * self, GError ** error)
{
  GError *failure;

  g_return_val_if_fail (self->thread == NULL, FALSE);
  self->context = g_main_context_new ();
  self->loop = g_main_loop_new (self->context, FALSE);
  self->starting = TRUE;
  self->thread = g_thread_new ("moshi-standin", run, self);
  g_mutex_lock (&self->lock);
  while (self->starting)
    g_cond_wait (&self->changed, &self->lock);
  failure = g_steal_pointer (&self->start_error);
  g_mutex_unlock (&self->lock);
  if (failure == NULL)
    return TRUE;
  moshi_standin_stop (self);
  g_propagate_error (error, failure);
  return FALSE;
}

static gboolean
on_stop (gpointer user_data)
{
  g_main_loop_quit (user_data);
  return G_SOURCE_REMOVE;
}

static void
post (MoshiStandin * self, GSourceFunc func, gpointer data,
    GDestroyNotify notify)
{
  GSource *source = g_idle_source_new ();

  g_source_set_priority (source, G_PRIORITY_HIGH);
  g_source_set_callback (source, func, data, notify);
  g_source_attach (source, self->context);
  g_source_unref (source);
}

/**
 * moshi_standin_stop:
 * @self: the server
 *
 * Drops all connections and frees the port. The statistics stay. Not from
 * the server's thread; does nothing if it does not run.
 */
void
moshi_standin_stop (MoshiStandin * self)
{
  if (self->thread == NULL)
    return;
  post (self, on_stop, g_main_loop_ref (self->loop),
      (GDestroyNotify) g_main_loop_unref);
  g_thread_join (g_steal_pointer (&self->thread));
  g_clear_pointer (&self->loop, g_main_loop_unref);
  g_clear_pointer (&self->context, g_main_context_unref);
}

/**
 * moshi_standin_get_uri:
 * @self: the server, started
 *
 * Returns: (transfer none): ws or wss, address, port and path; until the
 *     next start
 */
const gchar *
moshi_standin_get_uri (MoshiStandin * self)
{
  return self->uri;
}

/**
 * moshi_standin_get_port:
 * @self: the server, started
 *
 * Returns: the port it listens on
 */
guint16
moshi_standin_get_port (MoshiStandin * self)
{
  return self->port;
}

/**
 * moshi_standin_set_faults:
 * @self: the server
 * @faults: (nullable) (array zero-terminated=1): as in the configuration
 * @first: how many requests from now on they meet; 0 is all
 * @error: G_IO_ERROR_INVALID_ARGUMENT
 *
 * Changes the faults of later requests; sessions keep theirs.
 *
 * Returns: FALSE with @error set if one is unknown
 */
gboolean
moshi_standin_set_faults (MoshiStandin * self, const gchar * const *faults,
    guint first, GError ** error)
{
  StandinFaults *parsed = standin_faults_parse (faults, error);

  if (parsed == NULL)
    return FALSE;
  standin_stats_begin (self);
  standin_faults_free (self->faults);
  self->faults = parsed;
  self->fault_first = first;
  self->fault_requests = 0;
  standin_stats_end (self);
  return TRUE;
}

static gboolean
on_order (gpointer user_data)
{
  Order *order = user_data;
  GList *sessions = g_list_copy (order->server->sessions);
  GList *l;

  for (l = sessions; l != NULL; l = l->next) {
    if (order->code == 0)
      standin_session_drop (l->data);
    else
      standin_session_close (l->data, order->code);
  }
  g_list_free (sessions);
  return G_SOURCE_REMOVE;
}

static void
order_all (MoshiStandin * self, guint code)
{
  Order *order = g_new (Order, 1);

  order->server = self;
  order->code = code;
  post (self, on_order, order, g_free);
}

/**
 * moshi_standin_drop_sessions:
 * @self: the server, started
 *
 * Drops the TCP connection of all who are connected, without a close frame.
 * Returns at once; wait for MOSHI_STANDIN_SESSIONS_ENDED.
 */
void
moshi_standin_drop_sessions (MoshiStandin * self)
{
  order_all (self, 0);
}

/**
 * moshi_standin_close_sessions:
 * @self: the server, started
 * @code: WebSocket close code
 *
 * Closes all sessions politely. Returns at once.
 */
void
moshi_standin_close_sessions (MoshiStandin * self, guint16 code)
{
  order_all (self, code);
}
