/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "moshisessionprivate.h"

/*
 * A session
 * ---------
 * Whatever a session decides is decided on the network thread: the functions
 * for other threads only hand in a command and return. What becomes of it is
 * told in moshicourse.c. Packets alone are sent by whoever has them, if the way
 * is free (see moshinetwork.c).
 *
 * Locks. `lock` guards the gate and the stats; the send queue has a lock of its
 * own, taken after it. No callback and nothing foreign is called under them.
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
  g_clear_pointer (&self->first, g_bytes_unref);
  g_clear_pointer (&self->opening, g_bytes_unref);
  g_clear_pointer (&self->fault, moshi_fault_free);
  moshi_life_free (self->life);
  moshi_receiver_free (self->receiver);
  moshi_send_queue_free (self->queue);
  moshi_plan_free (self->plan);
  moshi_strand_unref (self->strand);
  g_cond_clear (&self->cond);
  g_mutex_clear (&self->lock);
  g_free (self);
}

/* Hands a command in to the network thread. */
static void
command (MoshiSession * self, GSourceFunc func)
{
  moshi_strand_invoke (self->strand, func, ref_session (self),
      (GDestroyNotify) unref_session);
}

static gboolean
is_network_thread (MoshiSession * self)
{
  return moshi_network_is_current (moshi_strand_get_network (self->strand));
}

/* The gate */

/**
 * moshi_session_enter_callback:
 * @self: a session
 *
 * Network thread, before each callback.
 *
 * Returns: %FALSE if none may be called any more
 */
gboolean
moshi_session_enter_callback (MoshiSession * self)
{
  gboolean may;

  g_mutex_lock (&self->lock);
  may = !self->stopped;
  if (may)
    self->calling = TRUE;
  g_mutex_unlock (&self->lock);
  return may;
}

/**
 * moshi_session_leave_callback:
 * @self: a session
 *
 * Network thread, after each callback that was entered.
 */
void
moshi_session_leave_callback (MoshiSession * self)
{
  g_mutex_lock (&self->lock);
  self->calling = FALSE;
  /* Only who has stopped it waits for that. */
  if (self->stopped)
    g_cond_broadcast (&self->cond);
  g_mutex_unlock (&self->lock);
}

/**
 * moshi_session_is_stopped:
 * @self: a session
 *
 * Returns: whether moshi_session_stop() was called, which the strand may not have
 *     come to know of
 */
gboolean
moshi_session_is_stopped (MoshiSession * self)
{
  gboolean stopped;

  g_mutex_lock (&self->lock);
  stopped = self->stopped;
  g_mutex_unlock (&self->lock);
  return stopped;
}

/* Commands */

static gboolean
on_open (gpointer user_data)
{
  moshi_course_begin (user_data);
  return G_SOURCE_REMOVE;
}

static gboolean
on_first_message (gpointer user_data)
{
  moshi_course_go_on (user_data);
  return G_SOURCE_REMOVE;
}

static gboolean
on_wake (gpointer user_data)
{
  moshi_course_wake (user_data);
  return G_SOURCE_REMOVE;
}

static gboolean
on_close (gpointer user_data)
{
  moshi_course_close (user_data);
  return G_SOURCE_REMOVE;
}

static gboolean
on_restart (gpointer user_data)
{
  MoshiSession *self = user_data;

  /* Whoever has asked for the end gets it. */
  if (self->close_by < 0)
    moshi_course_handle (self, MOSHI_LIFE_RESTART);
  return G_SOURCE_REMOVE;
}

static gboolean
on_stop (gpointer user_data)
{
  MoshiSession *self = user_data;

  moshi_course_end (self);
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
 *     most often to %MOSHI_ERROR_SETTINGS, or to %MOSHI_ERROR_CONNECT where the
 *     process may open no more files; @notify is not called then
 */
MoshiSession *
moshi_session_new (const MoshiSessionConfig * config,
    MoshiSessionCallback callback,
    MoshiSessionCertificateCallback certificate_callback, gpointer user_data,
    GDestroyNotify notify, GError ** error)
{
  MoshiPlan *plan = moshi_plan_new (config, error);
  MoshiStrand *strand = plan != NULL ? moshi_strand_new (error) : NULL;
  MoshiSession *self;

  if (strand == NULL) {
    g_clear_pointer (&plan, moshi_plan_free);
    return NULL;
  }
  self = g_new0 (MoshiSession, 1);
  self->users = 1;
  self->refs = 1;
  self->plan = plan;
  self->strand = strand;
  self->callback = callback;
  self->certificate_callback = certificate_callback;
  self->user_data = user_data;
  self->notify = notify;
  g_mutex_init (&self->lock);
  g_cond_init (&self->cond);
  self->queue = moshi_send_queue_new (plan->config->max_queue);
  self->life = moshi_life_new (&plan->config->life);
  self->receiver = moshi_receiver_new (moshi_course_on_received, self);
  self->state = MOSHI_LIFE_IDLE;
  self->close_by = self->first_by = -1;
  if (plan->config->first_message != NULL)
    self->first = g_bytes_ref (plan->config->first_message);
  self->wants_first = self->first == NULL && plan->config->wants_first_message;
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
  if (is_network_thread (self))
    command (self, on_release);
  else
    on_release (self);
}

/**
 * moshi_session_open:
 * @self: a session
 *
 * Begins the first attempt. Where `wants_first_message` is set, and none is
 * there yet, it begins when moshi_session_set_first_message() gives one; that
 * has as long as the handshake may take, or it is the end, with
 * %MOSHI_ERROR_IMAGE. Does nothing when called again.
 */
void
moshi_session_open (MoshiSession * self)
{
  command (self, on_open);
}

/**
 * moshi_session_set_first_message:
 * @self: a session
 * @message: (transfer none) (nullable): a whole message
 *
 * Sets what is sent ahead of all else in each session that begins from now on:
 * right after the upgrade, before the handshake. What is being set up keeps the
 * message it has; a conversation under way is not touched. A session that was
 * opened and waits for its first message begins; %NULL lets it begin without.
 */
void
moshi_session_set_first_message (MoshiSession * self, GBytes * message)
{
  GBytes *old;

  g_mutex_lock (&self->lock);
  old = self->first;
  self->first = message != NULL ? g_bytes_ref (message) : NULL;
  self->wants_first = FALSE;
  g_mutex_unlock (&self->lock);
  if (old != NULL)
    g_bytes_unref (old);
  command (self, on_first_message);
}

/**
 * moshi_session_send:
 * @self: a session
 * @packet: (transfer none): one Opus packet
 *
 * Sends a packet: at once and in the caller's thread where the connection takes
 * it and nobody is busy with it, else through the send queue and the network
 * thread. Never waits, and calls nobody back.
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

  if (wake && !moshi_course_send (self))
    command (self, on_wake);
  return taken;
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
  if (is_network_thread (self))
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

  g_mutex_lock (&self->lock);
  moshi_send_queue_get_stats (self->queue, &queued, &dropped);
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

/**
 * moshi_session_get_risk:
 * @self: a session
 *
 * Returns: (transfer none) (nullable): what the user has allowed and had better
 *     not, as a sentence
 */
const gchar *
moshi_session_get_risk (MoshiSession * self)
{
  return self->plan->risk;
}
