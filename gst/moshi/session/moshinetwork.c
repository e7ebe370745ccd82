/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "moshinetwork.h"

#include "moshilock.h"

/*
 * The network thread
 * ------------------
 * All sessions of a process share one thread. It starts with the first
 * reference and ends with the last; whoever asks for it after that gets a
 * fresh one, even if the old one has not quite ended.
 *
 * The thread is never joined. The last reference is often dropped on the
 * thread itself, and elsewhere by a caller whose locks are not known here, so
 * a join could wait for ever. Instead the thread holds no reference but owns
 * what it runs on: the last unref only asks it to leave, and it frees
 * everything on its way out. Those who have work under way on the context hold
 * a reference until it is done, so that nothing is left there then.
 */

/* Guards the_network and all reference counts. Nothing is called under it. */
static GMutex the_lock;

struct _MoshiNetwork
{
  guint refs MOSHI_GUARDED_BY (the_lock);
  GMainContext *context;
  GMainLoop *loop;
  GThread *thread;              /* written once, by the thread itself */
};

static MoshiNetwork *the_network MOSHI_GUARDED_BY (the_lock);

static gpointer
run (gpointer data)
{
  MoshiNetwork *self = data;

  g_atomic_pointer_set (&self->thread, g_thread_self ());
  g_main_context_push_thread_default (self->context);
  g_main_loop_run (self->loop);
  /* What was handed in before we were asked to leave still runs. */
  while (g_main_context_iteration (self->context, FALSE));
  g_main_context_pop_thread_default (self->context);

  g_main_loop_unref (self->loop);
  g_main_context_unref (self->context);
  g_free (self);
  return NULL;
}

static gboolean
on_quit (gpointer data)
{
  MoshiNetwork *self = data;

  g_main_loop_quit (self->loop);
  return G_SOURCE_REMOVE;
}

static MoshiNetwork *
start (void)
{
  MoshiNetwork *self = g_new0 (MoshiNetwork, 1);

  self->context = g_main_context_new ();
  self->loop = g_main_loop_new (self->context, FALSE);
  /* The returned reference is the joiner's, and nobody joins. */
  g_thread_unref (g_thread_new ("moshi-network", run, self));
  return self;
}

/**
 * moshi_network_get:
 *
 * Gives the process's network thread and starts it where there is none. May be
 * called from any thread.
 *
 * Returns: (transfer full): a reference to it
 */
MoshiNetwork *
moshi_network_get (void)
{
  MoshiNetwork *self;

  g_mutex_lock (&the_lock);
  if (the_network == NULL)
    the_network = start ();
  self = the_network;
  self->refs++;
  g_mutex_unlock (&the_lock);
  return self;
}

/**
 * moshi_network_ref:
 * @self: a network thread
 *
 * May be called from any thread.
 *
 * Returns: (transfer full): @self
 */
MoshiNetwork *
moshi_network_ref (MoshiNetwork * self)
{
  g_mutex_lock (&the_lock);
  self->refs++;
  g_mutex_unlock (&the_lock);
  return self;
}

/**
 * moshi_network_unref:
 * @self: (transfer full): a network thread
 *
 * May be called from any thread, the network thread included; never waits. The
 * last one makes the thread leave as soon as it has done what was handed in.
 */
void
moshi_network_unref (MoshiNetwork * self)
{
  gboolean last;

  g_mutex_lock (&the_lock);
  last = --self->refs == 0;
  if (last)
    the_network = NULL;
  g_mutex_unlock (&the_lock);
  if (last)
    moshi_network_invoke (self, on_quit, self, NULL);
}

/**
 * moshi_network_get_context:
 * @self: a network thread
 *
 * Returns: (transfer none): its main context, which is the thread's default
 */
GMainContext *
moshi_network_get_context (MoshiNetwork * self)
{
  return self->context;
}

/**
 * moshi_network_is_current:
 * @self: a network thread
 *
 * Returns: %TRUE when called on it
 */
gboolean
moshi_network_is_current (MoshiNetwork * self)
{
  return g_atomic_pointer_get (&self->thread) == g_thread_self ();
}

/**
 * moshi_network_invoke:
 * @self: a network thread
 * @func: run on it; never within this call
 * @data: for @func
 * @notify: (nullable): frees @data after @func
 *
 * Hands in a piece of work from any thread. Pieces run in the order they were
 * handed in by one thread.
 */
void
moshi_network_invoke (MoshiNetwork * self, GSourceFunc func, gpointer data,
    GDestroyNotify notify)
{
  /* The work may end the thread before g_source_attach() has returned. */
  GMainContext *context = g_main_context_ref (self->context);
  GSource *source = g_idle_source_new ();

  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, func, data, notify);
  g_source_attach (source, context);
  g_source_unref (source);
  g_main_context_unref (context);
}
