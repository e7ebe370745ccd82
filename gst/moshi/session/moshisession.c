/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "moshisession.h"

#include <string.h>

#include "moshilink.h"
#include "moshinetwork.h"
#include "moshiplan.h"
#include "moshireceiver.h"
#include "moshisendqueue.h"
#include "../protocol/moshiaddress.h"
#include "../protocol/moshimessage.h"
#include "../protocol/moshioggwriter.h"

/*
 * A session
 * ---------
 * Whatever a session decides is decided on the network thread: the functions
 * for other threads only hand in a command and return. There #MoshiLife is told
 * what happened and says what to do, #MoshiLink is the connection,
 * #MoshiReceiver reads it, and a timer stands at the life's deadline.
 *
 * Locks. `lock` guards the gate and the stats; the send queue has a lock of its
 * own. Both are leaves: no callback and nothing foreign is called under them.
 *
 * The gate. Every callback passes it: `stopped` forbids it and `calling` tells
 * that one runs. So moshi_session_stop() can promise that none runs or will run
 * once it has returned.
 *
 * References. Users count `users`; the last of them stops the session. `refs`
 * keeps the memory: one for all users together and one for each command under
 * way. The connection and the timer hold none: the stop is a command, and when
 * it is done they are gone.
 */

/* How long moshi_session_stop() waits for the close frame to be on its way. */
#define STOP_WAIT (100 * G_TIME_SPAN_MILLISECOND)

struct _MoshiSession
{
  gint users;                   /* atomic */
  gint refs;                    /* atomic */

  /* immutable after moshi_session_new() */
  MoshiPlan *plan;
  MoshiNetwork *network;
  MoshiSessionCallback callback;
  MoshiSessionCertificateCallback certificate_callback;
  gpointer user_data;
  GDestroyNotify notify;
  MoshiSendQueue *queue;

  GMutex lock;
  GCond cond;                   /* `calling` or `gone` has changed */
  gboolean stopped;             /* lock */
  gboolean calling;             /* lock */
  gboolean gone;                /* lock; the network thread has let go */
  MoshiSessionStats stats;      /* lock; samples at 48 kHz */

  /* network thread only */
  MoshiLife *life;
  MoshiReceiver *receiver;
  MoshiLink *link;
  MoshiOggWriter *writer;
  gboolean headers_due;         /* the first message of a stream has them */
  GSource *timer;
  MoshiFault *fault;            /* why the last attempt or connection ended */
  MoshiLifeState state;         /* as last emitted */
  gboolean was_lost;            /* the next session follows a lost one */
  gint64 close_by;              /* close when the queue is written or by then;
                                 * -1 when nobody wants to close */
};

static void handle (MoshiSession * self, MoshiLifeEvent event);
static void set_timer (MoshiSession * self);

static MoshiSession *
ref_session (MoshiSession * self)
{
  g_atomic_int_inc (&self->refs);
  return self;
}

static void
unref_session (MoshiSession * self)
{
  if (!g_atomic_int_dec_and_test (&self->refs))
    return;
  g_assert (self->link == NULL && self->timer == NULL);
  g_clear_pointer (&self->writer, moshi_ogg_writer_free);
  g_clear_pointer (&self->fault, moshi_fault_free);
  moshi_life_free (self->life);
  moshi_receiver_free (self->receiver);
  moshi_send_queue_free (self->queue);
  moshi_plan_free (self->plan);
  moshi_network_unref (self->network);
  g_cond_clear (&self->cond);
  g_mutex_clear (&self->lock);
  g_free (self);
}

/* Hands a command in to the network thread. */
static void
command (MoshiSession * self, GSourceFunc func)
{
  moshi_network_invoke (self->network, func, ref_session (self),
      (GDestroyNotify) unref_session);
}

/* The gate */

static gboolean
enter_callback (MoshiSession * self)
{
  gboolean may;

  g_mutex_lock (&self->lock);
  may = !self->stopped;
  if (may)
    self->calling = TRUE;
  g_mutex_unlock (&self->lock);
  return may;
}

static void
leave_callback (MoshiSession * self)
{
  g_mutex_lock (&self->lock);
  self->calling = FALSE;
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
}

static void
emit (MoshiSession * self, MoshiSessionEvent * event)
{
  guint sessions = moshi_life_get_sessions (self->life);

  if (!enter_callback (self))
    return;
  event->state = self->state;
  event->index = sessions > 0 ? sessions - 1 : 0;
  if (event->time == 0)
    event->time = g_get_monotonic_time ();
  self->callback (self, event, self->user_data);
  leave_callback (self);
}

static void
emit_state (MoshiSession * self)
{
  MoshiSessionEvent event = { MOSHI_SESSION_STATE, };
  MoshiLifeState state = moshi_life_get_state (self->life);

  if (self->state == state)
    return;
  self->state = state;
  event.color = MOSHI_MESSAGE_NO_COLOR;
  emit (self, &event);
}

static void
emit_fault (MoshiSession * self, MoshiSessionEventKind kind, guint delay)
{
  MoshiSessionEvent event = { kind, };

  event.color = MOSHI_MESSAGE_NO_COLOR;
  event.delay = delay;
  if (self->fault != NULL) {
    event.error = self->fault->error;
    event.http_status = self->fault->http_status;
    event.close_code = self->fault->close_code;
  }
  emit (self, &event);
}

/* What is told is counted first, so that who is told sees it counted. */
/* What a server says of itself, without what we told it in confidence: it goes
 * into messages and tags. */
static GBytes *
redact_bytes (MoshiSession * self, GBytes * bytes)
{
  gsize size;
  const gchar *data = g_bytes_get_data (bytes, &size);
  gchar *text = g_strndup (data, size);
  guint i;

  for (i = 0; i < self->plan->secrets->len; i++) {
    gchar *redacted = moshi_redact (text, self->plan->secrets->pdata[i]);

    g_free (text);
    text = redacted;
  }
  return g_bytes_new_take (text, strlen (text));
}

static void
on_receiver_event (const MoshiSessionEvent * event, gpointer user_data)
{
  MoshiSession *self = user_data;
  MoshiSessionEvent copy = *event;
  g_autoptr (GBytes) redacted = NULL;

  if (event->kind == MOSHI_SESSION_METADATA)
    copy.bytes = redacted = redact_bytes (self, event->bytes);

  g_mutex_lock (&self->lock);
  self->stats.samples_received = moshi_receiver_get_samples (self->receiver);
  g_mutex_unlock (&self->lock);
  emit (self, &copy);
}

/* Faults */

static void
set_fault (MoshiSession * self, MoshiFault * fault)
{
  guint i;

  for (i = 0; i < self->plan->secrets->len; i++)
    moshi_fault_redact (fault, self->plan->secrets->pdata[i]);
  g_clear_pointer (&self->fault, moshi_fault_free);
  self->fault = fault;
}

/* Puts the time-out that has just ended something into words. */
static void
explain_time_out (MoshiSession * self)
{
  const MoshiLifeConfig *life = &self->plan->config->life;
  const gchar *host = self->plan->host;
  GError *error;

  switch (moshi_life_get_reason (self->life)) {
    case MOSHI_LIFE_REASON_CONNECT_TIMEOUT:
      error = g_error_new (MOSHI_ERROR, MOSHI_ERROR_CONNECT,
          "There was no connection to %s within %u ms; check that the server "
          "runs there and can be reached.", host, life->connect_timeout);
      break;
    case MOSHI_LIFE_REASON_HANDSHAKE_TIMEOUT:
      error = g_error_new (MOSHI_ERROR, MOSHI_ERROR_BUSY,
          "%s took the connection but began no session within %u ms; it is "
          "most likely busy with another, so try again later.", host,
          life->handshake_timeout);
      break;
    case MOSHI_LIFE_REASON_IDLE_TIMEOUT:
      /* In batch so little is under way that a server that talks nonsense falls
       * silent before the receiver's own limits. Two headers are no nonsense
       * (RFC 7845 section 3). */
      if (moshi_receiver_get_barren (self->receiver) > 2) {
        error = g_error_new (MOSHI_ERROR, MOSHI_ERROR_OGG,
            "The server's audio cannot be read: for %u ms its messages, %u in "
            "all, held no Opus in Ogg; check that the URI names a Moshi "
            "server.", life->idle_timeout,
            moshi_receiver_get_barren (self->receiver));
        break;
      }
      error = g_error_new (MOSHI_ERROR, MOSHI_ERROR_LOST,
          "%s was given audio but has been silent for %u ms; its session "
          "limit may have been reached, or it has failed.", host,
          life->idle_timeout);
      break;
    default:
      return;
  }
  set_fault (self, moshi_fault_new (error, FALSE));
}

/* The error that ends it all tells how often it was tried; and after a session
 * was lost, whatever kept us from another one counts as that loss. */
static void
conclude (MoshiSession * self)
{
  guint attempts = moshi_life_get_attempts (self->life);
  MoshiFault *fault = self->fault;
  gchar *message;

  if (fault == NULL || fault->final)
    return;
  if (self->was_lost && fault->error->code != MOSHI_ERROR_LOST) {
    fault->error->code = MOSHI_ERROR_LOST;
    message = g_strdup_printf ("The session was lost and could not be "
        "followed by another in %u attempts: %s", attempts - 1,
        fault->error->message);
  } else if (attempts > 1) {
    message = g_strdup_printf ("Gave up after %u attempts: %s", attempts,
        fault->error->message);
  } else {
    return;
  }
  g_free (fault->error->message);
  fault->error->message = message;
}

/* The connection */

static void
count_sent (MoshiSession * self, GBytes * message, guint duration)
{
  g_mutex_lock (&self->lock);
  self->stats.messages_sent++;
  self->stats.bytes_sent += g_bytes_get_size (message);
  self->stats.samples_sent += duration;
  g_mutex_unlock (&self->lock);
}

static void
count_received (MoshiSession * self, GBytes * message)
{
  g_mutex_lock (&self->lock);
  self->stats.messages_received++;
  self->stats.bytes_received += g_bytes_get_size (message);
  g_mutex_unlock (&self->lock);
}

/* The first message is the one thing that goes out before the handshake:
 * MoshiVis' servers read an image before they send theirs (kyuteye_pt server.py
 * and kyuteye_mlx local_web.py; the Rust one takes it at any time). */
static void
on_link_upgraded (MoshiLink * link, gpointer user_data)
{
  MoshiSession *self = user_data;
  GBytes *first = self->plan->config->first_message;

  if (first != NULL) {
    moshi_link_send (link, first);
    count_sent (self, first, 0);
  }
  handle (self, MOSHI_LIFE_UPGRADED);
}

static void
on_link_message (MoshiLink * link, GBytes * message, gboolean is_text,
    gpointer user_data)
{
  MoshiSession *self = user_data;
  guint64 samples = moshi_receiver_get_samples (self->receiver);
  GError *error = NULL;
  MoshiReceiverResult result;

  count_received (self, message);
  result = moshi_receiver_take (self->receiver, message, is_text,
      g_get_monotonic_time (), &error);
  switch (result) {
    case MOSHI_RECEIVER_HANDSHAKE:
      handle (self, MOSHI_LIFE_HANDSHAKE);
      break;
    case MOSHI_RECEIVER_ANSWER:
      samples = moshi_receiver_get_samples (self->receiver) - samples;
      moshi_life_heard (self->life, samples, g_get_monotonic_time ());
      set_timer (self);
      break;
    case MOSHI_RECEIVER_FAULT:
      set_fault (self, moshi_fault_new (error, TRUE));
      handle (self, MOSHI_LIFE_REFUSED);
      break;
    case MOSHI_RECEIVER_NOTHING:
      break;
  }
}

static void
on_link_ended (MoshiLink * link, MoshiFault * fault, gpointer user_data)
{
  MoshiSession *self = user_data;
  gboolean final = fault->final;

  set_fault (self, fault);
  /* Who wants to close does not mind, even if not all was written. */
  if (self->close_by >= 0)
    handle (self, MOSHI_LIFE_CLOSE);
  handle (self, final ? MOSHI_LIFE_REFUSED : MOSHI_LIFE_PEER_CLOSED);
}

static gboolean
on_link_certificate (MoshiLink * link, GTlsCertificate * certificate,
    GTlsCertificateFlags errors, gpointer user_data)
{
  MoshiSession *self = user_data;
  gboolean accepted;

  if (self->certificate_callback == NULL || !enter_callback (self))
    return FALSE;
  accepted = self->certificate_callback (self, certificate, errors,
      self->user_data);
  leave_callback (self);
  return accepted;
}

/* One message: kind, the Ogg headers if they are due, the packet's page. */
static GBytes *
write_message (MoshiSession * self, GBytes * packet, GError ** error)
{
  GByteArray *out = g_byte_array_new ();
  const guint8 kind = MOSHI_MESSAGE_AUDIO;
  const guint8 *data;
  gsize size;

  g_byte_array_append (out, &kind, 1);
  if (self->headers_due) {
    g_autoptr (GBytes) headers = moshi_ogg_writer_headers (self->writer);

    data = g_bytes_get_data (headers, &size);
    g_byte_array_append (out, data, size);
  }
  data = g_bytes_get_data (packet, &size);
  if (!moshi_ogg_writer_packet (self->writer, data, size, out, error)) {
    g_byte_array_unref (out);
    return NULL;
  }
  self->headers_due = FALSE;
  return g_byte_array_free_to_bytes (out);
}

static void
send_packet (MoshiSession * self, GBytes * packet, guint duration)
{
  g_autoptr (GBytes) message = NULL;
  g_autoptr (GError) error = NULL;

  message = write_message (self, packet, &error);
  if (message == NULL) {
    MoshiSessionEvent event = { MOSHI_SESSION_WARNING, };

    event.color = MOSHI_MESSAGE_NO_COLOR;
    event.error = error;
    emit (self, &event);
    return;
  }
  moshi_link_send (self->link, message);
  count_sent (self, message, duration);
  moshi_life_fed (self->life, duration, g_get_monotonic_time ());
}

static void
set_timer (MoshiSession * self)
{
  gint64 deadline = moshi_life_get_deadline (self->life);

  if (self->close_by >= 0 && (deadline < 0 || self->close_by < deadline))
    deadline = self->close_by;
  if (self->timer != NULL)
    g_source_set_ready_time (self->timer, deadline);
}

static void
on_link_writable (MoshiLink * link, gpointer user_data)
{
  MoshiSession *self = user_data;
  guint duration;
  g_autoptr (GBytes) packet = moshi_send_queue_pull (self->queue, &duration);

  if (packet == NULL) {
    if (self->close_by >= 0)
      handle (self, MOSHI_LIFE_CLOSE);
    return;
  }
  send_packet (self, packet, duration);
  set_timer (self);
  moshi_link_want_write (link);
}

static void
connect_link (MoshiSession * self)
{
  static const MoshiLinkCallbacks callbacks = {
    .upgraded = on_link_upgraded,
    .message = on_link_message,
    .writable = on_link_writable,
    .ended = on_link_ended,
    .certificate = on_link_certificate,
  };
  const MoshiPlan *plan = self->plan;
  MoshiLinkSetup setup = {
    .url = plan->url,
    .host = plan->host,
    .bearer = plan->bearer,
    .user_agent = plan->user_agent,
    .headers = plan->config->headers,
    .tls_validation_flags = plan->config->tls_validation_flags,
    .tls_database = plan->database,
    .tls_interaction = plan->config->tls_interaction,
    .proxy_resolver = plan->resolver,
    .keepalive_interval = plan->config->keepalive_interval,
    .max_message = plan->config->max_message,
  };

  moshi_receiver_start (self->receiver);
  self->link = moshi_link_new (self->network, &setup, &callbacks, self);
  if (self->link != NULL)
    return;
  set_fault (self, moshi_fault_new (g_error_new (MOSHI_ERROR,
              MOSHI_ERROR_SETTINGS, "The address %s cannot be used; check the "
              "URI.", plan->redacted), TRUE));
  handle (self, MOSHI_LIFE_REFUSED);
}

/* A new session has begun: a fresh Ogg stream, with a serial of its own. */
static void
start_stream (MoshiSession * self)
{
  const MoshiSessionConfig *config = self->plan->config;

  g_clear_pointer (&self->writer, moshi_ogg_writer_free);
  self->writer = moshi_ogg_writer_new (g_random_int (), config->channels,
      config->pre_skip, config->input_rate);
  self->headers_due = TRUE;
  moshi_receiver_set_ready (self->receiver);

  g_mutex_lock (&self->lock);
  self->stats.sessions++;
  if (self->was_lost)
    self->stats.reconnects++;
  g_mutex_unlock (&self->lock);
  self->was_lost = FALSE;
  if (moshi_life_get_state (self->life) == MOSHI_LIFE_READY)
    moshi_send_queue_open (self->queue);
}

/* The life */

static void
drop_timer (MoshiSession * self)
{
  if (self->timer == NULL)
    return;
  g_source_destroy (self->timer);
  g_clear_pointer (&self->timer, g_source_unref);
}

static void
report_end (MoshiSession * self, MoshiLifeAction actions)
{
  drop_timer (self);
  if (actions & MOSHI_LIFE_DO_FAIL) {
    conclude (self);
    emit_fault (self, MOSHI_SESSION_FAILED, 0);
  } else {
    MoshiSessionEvent event = { MOSHI_SESSION_FINISHED, };

    event.color = MOSHI_MESSAGE_NO_COLOR;
    emit (self, &event);
  }
}

static void
report_lost (MoshiSession * self, gint64 now)
{
  gint64 delay = moshi_life_get_deadline (self->life) - now;

  emit_fault (self, MOSHI_SESSION_RETRY, MAX (delay, 0) / 1000);
}

static void
apply (MoshiSession * self, MoshiLifeAction actions, gint64 now)
{
  MoshiLifeState old = self->state;
  gboolean replaced = actions & MOSHI_LIFE_DO_CONNECT;

  if (actions & MOSHI_LIFE_DO_ABORT || replaced) {
    moshi_send_queue_clear (self->queue);
    g_clear_pointer (&self->link, moshi_link_free);
  } else if (actions & MOSHI_LIFE_DO_CLOSE) {
    moshi_link_close (self->link);
  }
  if (actions & MOSHI_LIFE_DO_START)
    start_stream (self);
  emit_state (self);
  if (self->state == MOSHI_LIFE_LOST && old != MOSHI_LIFE_LOST) {
    if (old == MOSHI_LIFE_READY)
      self->was_lost = TRUE;
    report_lost (self, now);
  }
  if (actions & MOSHI_LIFE_DO_CONNECT)
    connect_link (self);
  if (actions & (MOSHI_LIFE_DO_FAIL | MOSHI_LIFE_DO_FINISH))
    report_end (self, actions);
}

/* Tells the life what happened and does what it says. */
static void
handle (MoshiSession * self, MoshiLifeEvent event)
{
  gint64 now = g_get_monotonic_time ();
  MoshiLifeAction actions;

  if (event == MOSHI_LIFE_CLOSE)
    self->close_by = -1;
  actions = moshi_life_handle (self->life, event, now, g_random_int ());
  if (event == MOSHI_LIFE_TIMER)
    explain_time_out (self);
  apply (self, actions, now);
  set_timer (self);
}

/* Timer and commands */

static gboolean
on_timer (gpointer user_data)
{
  MoshiSession *self = user_data;
  gint64 now = g_get_monotonic_time ();

  /* Not again before there is another deadline. */
  g_source_set_ready_time (self->timer, -1);
  ref_session (self);
  if (self->close_by >= 0 && now >= self->close_by)
    handle (self, MOSHI_LIFE_CLOSE);
  else
    handle (self, MOSHI_LIFE_TIMER);
  unref_session (self);
  return G_SOURCE_CONTINUE;
}

static gboolean
dispatch_timer (GSource * source, GSourceFunc callback, gpointer user_data)
{
  return callback (user_data);
}

static void
start_timer (MoshiSession * self)
{
  static GSourceFuncs funcs = { NULL, NULL, dispatch_timer, NULL, };

  self->timer = g_source_new (&funcs, sizeof (GSource));
  g_source_set_callback (self->timer, on_timer, self, NULL);
  g_source_set_ready_time (self->timer, -1);
  g_source_attach (self->timer, moshi_network_get_context (self->network));
}

static gboolean
on_open (gpointer user_data)
{
  MoshiSession *self = user_data;

  if (moshi_life_get_state (self->life) != MOSHI_LIFE_IDLE)
    return G_SOURCE_REMOVE;
  start_timer (self);
  handle (self, MOSHI_LIFE_OPEN);
  return G_SOURCE_REMOVE;
}

static gboolean
on_wake (gpointer user_data)
{
  MoshiSession *self = user_data;

  if (self->link != NULL)
    moshi_link_want_write (self->link);
  return G_SOURCE_REMOVE;
}

static gboolean
on_drain (gpointer user_data)
{
  MoshiSession *self = user_data;

  moshi_send_queue_shut (self->queue);
  handle (self, MOSHI_LIFE_DRAIN);
  return G_SOURCE_REMOVE;
}

static gboolean
on_close (gpointer user_data)
{
  MoshiSession *self = user_data;

  moshi_send_queue_shut (self->queue);
  if (self->link == NULL || !moshi_link_is_open (self->link)
      || moshi_send_queue_is_empty (self->queue)) {
    handle (self, MOSHI_LIFE_CLOSE);
  } else if (self->close_by < 0) {
    self->close_by = g_get_monotonic_time () +
        self->plan->config->life.close_timeout * G_TIME_SPAN_MILLISECOND;
    set_timer (self);
  }
  return G_SOURCE_REMOVE;
}

static gboolean
on_restart (gpointer user_data)
{
  MoshiSession *self = user_data;

  /* Whoever has asked for the end gets it. */
  if (self->close_by < 0)
    handle (self, MOSHI_LIFE_RESTART);
  return G_SOURCE_REMOVE;
}

static gboolean
on_stop (gpointer user_data)
{
  MoshiSession *self = user_data;

  handle (self, MOSHI_LIFE_STOP);
  drop_timer (self);
  g_mutex_lock (&self->lock);
  self->gone = TRUE;
  g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
  return G_SOURCE_REMOVE;
}

/* The interface */

/**
 * moshi_session_new:
 * @config: copied
 * @callback: told of all that happens, on the network thread
 * @certificate_callback: (nullable): asked about certificates that did not pass
 * @user_data: for both
 * @notify: (nullable): frees @user_data when no callback can run any more
 * @error: return location for an error
 *
 * Makes a session; moshi_session_open() begins it. May be called from any
 * thread, as can all the others. Reads the environment's proxies and the CA
 * file.
 *
 * Returns: (transfer full) (nullable): a session, or %NULL with @error set,
 *     most often to %MOSHI_ERROR_SETTINGS; @notify is not called then
 */
MoshiSession *
moshi_session_new (const MoshiSessionConfig * config,
    MoshiSessionCallback callback,
    MoshiSessionCertificateCallback certificate_callback, gpointer user_data,
    GDestroyNotify notify, GError ** error)
{
  MoshiPlan *plan = moshi_plan_new (config, error);
  MoshiSession *self;

  if (plan == NULL)
    return NULL;
  self = g_new0 (MoshiSession, 1);
  self->users = 1;
  self->refs = 1;
  self->plan = plan;
  self->callback = callback;
  self->certificate_callback = certificate_callback;
  self->user_data = user_data;
  self->notify = notify;
  g_mutex_init (&self->lock);
  g_cond_init (&self->cond);
  self->queue = moshi_send_queue_new (plan->config->max_queue);
  self->life = moshi_life_new (&plan->config->life);
  self->receiver = moshi_receiver_new (on_receiver_event, self);
  self->state = MOSHI_LIFE_IDLE;
  self->close_by = -1;
  self->network = moshi_network_get ();
  return self;
}

/**
 * moshi_session_ref:
 * @self: a session
 *
 * Returns: (transfer full): @self
 */
MoshiSession *
moshi_session_ref (MoshiSession * self)
{
  g_atomic_int_inc (&self->users);
  return self;
}

static gboolean
on_release (gpointer user_data)
{
  MoshiSession *self = user_data;

  if (self->notify != NULL)
    self->notify (self->user_data);
  unref_session (self);
  return G_SOURCE_REMOVE;
}

/**
 * moshi_session_unref:
 * @self: (transfer full): a session
 *
 * The last one stops the session as moshi_session_stop() does, and then frees
 * the user data: at once, or, when called from within a callback, after that.
 */
void
moshi_session_unref (MoshiSession * self)
{
  if (!g_atomic_int_dec_and_test (&self->users))
    return;
  moshi_session_stop (self);
  if (moshi_network_is_current (self->network))
    command (self, on_release);
  else
    on_release (self);
}

/**
 * moshi_session_open:
 * @self: a session
 *
 * Begins the first attempt. Does nothing when called again.
 */
void
moshi_session_open (MoshiSession * self)
{
  command (self, on_open);
}

/**
 * moshi_session_send:
 * @self: a session
 * @packet: (transfer none): one Opus packet
 *
 * Puts a packet into the send queue. Never waits.
 *
 * Returns: %TRUE when it was taken; %FALSE when it was dropped and counted as
 *     such, because there is no session to send it to or the queue is full; or
 *     when it is no Opus packet
 */
gboolean
moshi_session_send (MoshiSession * self, GBytes * packet)
{
  gboolean wake;
  gboolean taken = moshi_send_queue_push (self->queue, packet, &wake);

  if (wake)
    command (self, on_wake);
  return taken;
}

/**
 * moshi_session_drain:
 * @self: a session
 *
 * No more input will come. What was taken is sent, answers are still given out,
 * and from now on a lost connection is an error, for answers may be missing.
 */
void
moshi_session_drain (MoshiSession * self)
{
  command (self, on_drain);
}

/**
 * moshi_session_close:
 * @self: a session
 *
 * Sends what was taken, then a close frame (1000, no reason), and waits for
 * the peer's: each for `close_timeout` at most. %MOSHI_SESSION_FINISHED is the
 * last event. An attempt under way is given up.
 */
void
moshi_session_close (MoshiSession * self)
{
  command (self, on_close);
}

/**
 * moshi_session_restart:
 * @self: a session
 *
 * Closes the present connection, throws away what waits to be sent, and begins
 * a new conversation on a new connection. Does nothing before there is a
 * session, as the one to come is a new one.
 */
void
moshi_session_restart (MoshiSession * self)
{
  command (self, on_restart);
}

/**
 * moshi_session_stop:
 * @self: a session
 *
 * Ends it at once. No callback runs or will run once this has returned; when
 * called from within the callback, none after that one. An open connection
 * gets a close frame, for which this waits, 100 ms at most; it then ends in
 * the background. Waits for a callback that runs, so the caller must hold no
 * lock that the callback takes. Never waits on the network thread.
 */
void
moshi_session_stop (MoshiSession * self)
{
  gboolean first;
  gint64 until;

  g_mutex_lock (&self->lock);
  first = !self->stopped;
  self->stopped = TRUE;
  g_mutex_unlock (&self->lock);
  if (first)
    command (self, on_stop);
  if (moshi_network_is_current (self->network))
    return;

  until = g_get_monotonic_time () + STOP_WAIT;
  g_mutex_lock (&self->lock);
  while (self->calling)
    g_cond_wait (&self->cond, &self->lock);
  while (!self->gone && g_cond_wait_until (&self->cond, &self->lock, until));
  g_mutex_unlock (&self->lock);
}

/**
 * moshi_session_get_stats:
 * @self: a session
 * @stats: (out caller-allocates): what has been counted so far
 *
 * The counts stay after the end.
 */
void
moshi_session_get_stats (MoshiSession * self, MoshiSessionStats * stats)
{
  guint64 queued, dropped;

  moshi_send_queue_get_stats (self->queue, &queued, &dropped);
  g_mutex_lock (&self->lock);
  *stats = self->stats;
  g_mutex_unlock (&self->lock);
  stats->samples_sent /= 2;
  stats->samples_received /= 2;
  stats->samples_dropped = dropped / 2;
  stats->queued = queued / 2;
}

/**
 * moshi_session_dup_redacted_uri:
 * @self: a session
 *
 * Returns: (transfer full): the address with its query but without keys
 */
gchar *
moshi_session_dup_redacted_uri (MoshiSession * self)
{
  return g_strdup (self->plan->redacted);
}
