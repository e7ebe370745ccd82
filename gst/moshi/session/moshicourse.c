/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "moshisessionprivate.h"

#include <string.h>

#include "../protocol/moshiaddress.h"
#include "../protocol/moshimessage.h"

/* Messages sent in one turn of the loop that all sessions share */
#define MAX_BURST 8

/* What a turn or two of the loop may take, in µs */
#define TIME_TO_READ (10 * G_TIME_SPAN_MILLISECOND)

/* Messages received between two looks at the network's round trip */
#define LOOK_EVERY 16

/*
 * The course of a session
 * -----------------------
 * All of this runs in the session's strand, on the network thread, except that
 * guests may send. #MoshiLife is told what happened and says
 * what to do, #MoshiLink is the connection, #MoshiReceiver reads it, and a timer
 * stands at the life's deadline.
 */

static void set_timer (MoshiSession * self);

static void
emit (MoshiSession * self, MoshiSessionEvent * event)
{
  guint sessions = moshi_life_get_sessions (self->life);

  if (!moshi_session_enter_callback (self))
    return;
  event->state = self->state;
  event->index = sessions > 0 ? sessions - 1 : 0;
  if (event->time == 0)
    event->time = g_get_monotonic_time ();
  self->callback (self, event, self->user_data);
  moshi_session_leave_callback (self);
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
  event.greeting = moshi_receiver_get_greeting (self->receiver);
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

/**
 * moshi_course_on_received:
 * @event: what has come
 * @user_data: a session
 *
 * The receiver's callback. What is told is counted first, so that who is told
 * sees it counted.
 */
void
moshi_course_on_received (const MoshiSessionEvent * event, gpointer user_data)
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
    case MOSHI_LIFE_REASON_LIMIT:
      error = g_error_new (MOSHI_ERROR, MOSHI_ERROR_LOST,
          "%s has fallen silent as it does at the limit of a session; set "
          "session-limit a little lower to change over in time.", host);
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
  if (duration > 0)
    moshi_send_queue_sent (self->queue);
  g_mutex_unlock (&self->lock);
}

/* The kernel's own measure changes slowly: once in so many messages will do. */
static void
count_received (MoshiSession * self, MoshiLink * link, GBytes * message)
{
  const gboolean look = self->stats.messages_received % LOOK_EVERY == 0;
  guint round_trip = look ? moshi_link_get_round_trip (link) : 0;

  g_mutex_lock (&self->lock);
  if (look)
    self->stats.network_round_trip = round_trip;
  self->stats.messages_received++;
  self->stats.bytes_received += g_bytes_get_size (message);
  g_mutex_unlock (&self->lock);
}

/* The first message is the one thing that goes out before the handshake:
 * MoshiVis' servers read an image before they send theirs (kyutai-labs/moshivis
 * kyuteye_pt server.py, kyuteye_mlx local_web.py, and kyuteye_rs moshi-backend
 * stream_both.rs). */
static void
on_link_upgraded (MoshiLink * link, gpointer user_data)
{
  MoshiSession *self = user_data;

  if (self->opening != NULL) {
    moshi_link_send (link, self->opening);
    count_sent (self, self->opening, 0);
  }
  moshi_course_handle (self, MOSHI_LIFE_UPGRADED);
}

static void
on_link_message (MoshiLink * link, GBytes * message, gboolean is_text,
    gpointer user_data)
{
  MoshiSession *self = user_data;
  guint64 samples = moshi_receiver_get_samples (self->receiver);
  GError *error = NULL;
  MoshiReceiverResult result;

  count_received (self, link, message);
  result = moshi_receiver_take (self->receiver, message, is_text,
      g_get_monotonic_time (), &error);
  switch (result) {
    case MOSHI_RECEIVER_HANDSHAKE:
      moshi_course_handle (self, MOSHI_LIFE_HANDSHAKE);
      break;
    case MOSHI_RECEIVER_ANSWER:
      samples = moshi_receiver_get_samples (self->receiver) - samples;
      moshi_life_heard (self->life, samples, g_get_monotonic_time ());
      set_timer (self);
      break;
    case MOSHI_RECEIVER_FAULT:
      set_fault (self, moshi_fault_new (error, TRUE));
      moshi_course_handle (self, MOSHI_LIFE_REFUSED);
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
    moshi_course_handle (self, MOSHI_LIFE_CLOSE);
  moshi_course_handle (self,
      final ? MOSHI_LIFE_REFUSED : MOSHI_LIFE_PEER_CLOSED);
}

static gboolean
on_link_certificate (MoshiLink * link, GTlsCertificate * certificate,
    GTlsCertificateFlags errors, gpointer user_data)
{
  MoshiSession *self = user_data;
  gboolean accepted;

  if (self->certificate_callback == NULL
      || !moshi_session_enter_callback (self))
    return FALSE;
  accepted = self->certificate_callback (self, certificate, errors,
      self->user_data);
  moshi_session_leave_callback (self);
  return accepted;
}

/* One message: kind, the Ogg headers if they are due, the packet's page. The send
 * queue takes no packet that cannot be written. */
static GBytes *
write_message (MoshiSession * self, GBytes * packet)
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
  moshi_ogg_writer_packet (self->writer, data, size, out, NULL);
  self->headers_due = FALSE;
  return g_byte_array_free_to_bytes (out);
}

static void
send_packet (MoshiSession * self, GBytes * packet, guint duration)
{
  g_autoptr (GBytes) message = write_message (self, packet);

  moshi_link_send (self->link, message);
  count_sent (self, message, duration);
  moshi_life_fed (self->life, duration, g_get_monotonic_time ());
}

/* -1 when nothing is waited for */
static gint64
get_deadline (MoshiSession * self)
{
  gint64 deadline = moshi_life_get_deadline (self->life);

  if (self->close_by >= 0 && (deadline < 0 || self->close_by < deadline))
    deadline = self->close_by;
  if (self->first_by >= 0)
    deadline = self->first_by;
  return deadline;
}

static void
arm_timer (MoshiSession * self, gint64 due)
{
  self->timer_due = due;
  g_source_set_ready_time (self->timer, due);
}

/* Each packet puts the deadline off. The timer is left as it is then, and looks
 * again when it goes off: to set it anew wakes the thread once more, and that
 * polls every socket. */
static void
set_timer (MoshiSession * self)
{
  gint64 deadline = get_deadline (self);

  if (self->timer != NULL && deadline >= 0
      && (self->timer_due < 0 || deadline < self->timer_due))
    arm_timer (self, deadline);
}

/* FALSE when nothing waits any more */
static gboolean
send_next (MoshiSession * self)
{
  guint duration;
  g_autoptr (GBytes) packet = moshi_send_queue_pull (self->queue, &duration);

  if (packet != NULL) {
    send_packet (self, packet, duration);
    set_timer (self);
  } else if (self->close_by >= 0) {
    moshi_course_handle (self, MOSHI_LIFE_CLOSE);
  }
  return packet != NULL;
}

/* Live there is one packet, which goes in the turn of the loop that it woke; a
 * file has more of them than one turn may take from other sessions. */
static void
write_queue (MoshiSession * self)
{
  MoshiLink *link = self->link;
  guint i;

  for (i = 0; i < MAX_BURST && self->link == link; i++) {
    /* Whether it can be written is the kernel's to say: a system call. */
    if (!moshi_send_queue_is_empty (self->queue)
        && !moshi_link_can_write (link))
      break;
    if (!send_next (self))
      return;
  }
  if (self->link == link)
    moshi_link_want_write (link);
}

static void
on_link_writable (MoshiLink * link, gpointer user_data)
{
  write_queue (user_data);
}

/* All attempts to set one session up open it with the same message. */
static void
take_opening (MoshiSession * self)
{
  if (self->opening != NULL)
    return;
  g_mutex_lock (&self->lock);
  if (self->first != NULL)
    self->opening = g_bytes_ref (self->first);
  g_mutex_unlock (&self->lock);
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

  take_opening (self);
  moshi_receiver_start (self->receiver);
  self->link = moshi_link_new (self->strand, &setup, &callbacks, self);
  if (self->link != NULL)
    return;
  set_fault (self, moshi_fault_new (g_error_new (MOSHI_ERROR,
              MOSHI_ERROR_SETTINGS, "The address %s cannot be used; check the "
              "URI.", plan->redacted), TRUE));
  moshi_course_handle (self, MOSHI_LIFE_REFUSED);
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
  g_clear_pointer (&self->opening, g_bytes_unref);
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

/**
 * moshi_course_handle:
 * @self: a session
 * @event: what happened
 *
 * Tells the life of it and does what it says.
 */
void
moshi_course_handle (MoshiSession * self, MoshiLifeEvent event)
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
  moshi_strand_set_open (self->strand,
      moshi_life_get_state (self->life) == MOSHI_LIFE_READY);
}

/* The timer */

static void
give_up_first_message (MoshiSession * self)
{
  self->first_by = -1;
  set_fault (self, moshi_fault_new (g_error_new (MOSHI_ERROR,
              MOSHI_ERROR_IMAGE, "No image has come within %u ms, and MoshiVis "
              "begins with one; link the pad image, or set dialect to moshi.",
              self->plan->config->life.handshake_timeout), TRUE));
  moshi_course_handle (self, MOSHI_LIFE_REFUSED);
}

/* What has come is no silence because this thread was with other sessions, or
 * not running at all. So it is read first; but once, for a flood would put a
 * time-out off for ever. */
static gboolean
let_read_first (MoshiSession * self, gint64 now)
{
  if (self->link == NULL || !moshi_link_can_read (self->link))
    return FALSE;
  self->timer_late = TRUE;
  arm_timer (self, now + TIME_TO_READ);
  return TRUE;
}

static gboolean
on_timer (gpointer user_data)
{
  MoshiSession *self = user_data;
  gint64 now = g_get_monotonic_time ();
  gint64 deadline = get_deadline (self);
  gboolean late = self->timer_late;

  self->timer_late = FALSE;
  /* Its end is on the way, and there is no new attempt before it. */
  if (moshi_session_is_stopped (self)) {
    arm_timer (self, -1);
    return G_SOURCE_CONTINUE;
  }
  if (deadline > now) {
    arm_timer (self, deadline);
    return G_SOURCE_CONTINUE;
  }
  if (deadline >= 0 && !late && let_read_first (self, now))
    return G_SOURCE_CONTINUE;
  /* Not again before there is another deadline. */
  arm_timer (self, -1);
  if (deadline < 0)
    return G_SOURCE_CONTINUE;
  if (self->close_by >= 0 && now >= self->close_by)
    moshi_course_handle (self, MOSHI_LIFE_CLOSE);
  else if (self->first_by >= 0)
    give_up_first_message (self);
  else
    moshi_course_handle (self, MOSHI_LIFE_TIMER);
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
  arm_timer (self, -1);
  g_source_attach (self->timer, moshi_strand_get_context (self->strand));
}

/* What the commands do */

static gboolean
lacks_first_message (MoshiSession * self)
{
  gboolean lacks;

  g_mutex_lock (&self->lock);
  lacks = self->wants_first;
  g_mutex_unlock (&self->lock);
  return lacks;
}

/**
 * moshi_course_begin:
 * @self: a session
 *
 * Begins the first attempt, once, or the wait for the first message.
 */
void
moshi_course_begin (MoshiSession * self)
{
  guint timeout = self->plan->config->life.handshake_timeout;

  if (moshi_life_get_state (self->life) != MOSHI_LIFE_IDLE
      || self->timer != NULL)
    return;
  start_timer (self);
  if (!lacks_first_message (self)) {
    moshi_course_handle (self, MOSHI_LIFE_OPEN);
  } else if (timeout > 0) {
    self->first_by = g_get_monotonic_time ()
        + timeout * G_TIME_SPAN_MILLISECOND;
    set_timer (self);
  }
}

/**
 * moshi_course_go_on:
 * @self: a session
 *
 * The first message is there: begins, if that is what was waited for.
 */
void
moshi_course_go_on (MoshiSession * self)
{
  self->first_by = -1;
  if (self->timer != NULL)
    moshi_course_handle (self, MOSHI_LIFE_OPEN);
}

/**
 * moshi_course_send:
 * @self: a session
 *
 * Any thread: sends what waits as a guest of the strand, if that can be done at
 * once.
 *
 * Returns: %FALSE if something is left for moshi_course_wake()
 */
gboolean
moshi_course_send (MoshiSession * self)
{
  gboolean all = FALSE;
  guint i;

  if (!moshi_strand_enter (self->strand))
    return FALSE;
  for (i = 0; i < MAX_BURST && !all && self->close_by < 0 && self->link != NULL
      && moshi_link_can_write (self->link); i++)
    all = !send_next (self);
  moshi_strand_leave (self->strand);
  return all;
}

/**
 * moshi_course_wake:
 * @self: a session
 *
 * Something waits to be sent.
 */
void
moshi_course_wake (MoshiSession * self)
{
  if (self->link != NULL)
    write_queue (self);
}

/**
 * moshi_course_close:
 * @self: a session
 *
 * Closes once what waits is sent, or after `close_timeout`.
 */
void
moshi_course_close (MoshiSession * self)
{
  moshi_send_queue_shut (self->queue);
  if (self->link == NULL || !moshi_link_is_open (self->link)
      || moshi_send_queue_is_empty (self->queue)) {
    moshi_course_handle (self, MOSHI_LIFE_CLOSE);
  } else if (self->close_by < 0) {
    self->close_by = g_get_monotonic_time () +
        self->plan->config->life.close_timeout * G_TIME_SPAN_MILLISECOND;
    set_timer (self);
  }
}

/**
 * moshi_course_end:
 * @self: a session
 *
 * Ends all at once.
 */
void
moshi_course_end (MoshiSession * self)
{
  moshi_course_handle (self, MOSHI_LIFE_STOP);
  drop_timer (self);
}
