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
 *
 * What others hand in waits in a queue of our own with a single source. A GSource
 * for each piece would be attached with the context locked and the thread woken
 * meanwhile, which then runs into that lock: a system call more on both sides,
 * and two switches, with each packet that goes up.
 *
 * What each connection wants done now and then is done for all of them at once:
 * every wake-up polls all sockets and asks all sources, so that a timer for each
 * would cost the square of their number.
 */

/* Guards the_network and all reference counts. Nothing is called under it. */
static GMutex the_lock;

struct _MoshiNetwork
{
  guint refs MOSHI_GUARDED_BY (the_lock);
  GMainContext *context;
  GMainLoop *loop;
  GThread *thread;              /* written once, by the thread itself */
  GSource *source;
  GMutex lock;                  /* guards the queue; a leaf */
  GQueue work;                  /* of Work */
  gint n_work;                  /* atomic: of them */
  GArray *pulses;               /* of Pulse; network thread */
  GSource *pulse_source;        /* while there are any; network thread */
};

typedef struct
{
  MoshiPulseFunc func;
  gpointer data;
} Pulse;

typedef struct
{
  GSourceFunc func;
  gpointer data;
  GDestroyNotify notify;
} Work;

typedef struct
{
  GSource source;
  MoshiNetwork *network;
} WorkSource;

static MoshiNetwork *the_network MOSHI_GUARDED_BY (the_lock);

static gboolean
prepare_work (GSource * source, gint * timeout)
{
  *timeout = -1;
  return g_atomic_int_get (&((WorkSource *) source)->network->n_work) > 0;
}

static gboolean
check_work (GSource * source)
{
  return g_atomic_int_get (&((WorkSource *) source)->network->n_work) > 0;
}

/* What is handed in meanwhile is for the next turn: sockets have theirs. */
static gboolean
dispatch_work (GSource * source, GSourceFunc callback, gpointer user_data)
{
  MoshiNetwork *self = ((WorkSource *) source)->network;
  GQueue work;
  Work *piece;

  g_mutex_lock (&self->lock);
  work = self->work;
  g_queue_init (&self->work);
  g_atomic_int_set (&self->n_work, 0);
  g_mutex_unlock (&self->lock);

  while ((piece = g_queue_pop_head (&work)) != NULL) {
    piece->func (piece->data);
    if (piece->notify)
      piece->notify (piece->data);
    g_free (piece);
  }
  return G_SOURCE_CONTINUE;
}

static void
free_network (MoshiNetwork * self)
{
  g_source_destroy (self->source);
  g_source_unref (self->source);
  g_array_unref (self->pulses);
  g_main_loop_unref (self->loop);
  g_main_context_unref (self->context);
  g_mutex_clear (&self->lock);
  g_free (self);
}

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
  free_network (self);
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
  static GSourceFuncs funcs = { prepare_work, check_work, dispatch_work, NULL };
  MoshiNetwork *self = g_new0 (MoshiNetwork, 1);

  g_mutex_init (&self->lock);
  g_queue_init (&self->work);
  self->pulses = g_array_new (FALSE, FALSE, sizeof (Pulse));
  self->context = g_main_context_new ();
  self->loop = g_main_loop_new (self->context, FALSE);
  self->source = g_source_new (&funcs, sizeof (WorkSource));
  ((WorkSource *) self->source)->network = self;
  g_source_attach (self->source, self->context);
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
 * @func: run on it once; never within this call. What it returns means nothing
 * @data: for @func
 * @notify: (nullable): frees @data after @func
 *
 * Hands in a piece of work from any thread. Pieces run in the order they were
 * handed in.
 */
void
moshi_network_invoke (MoshiNetwork * self, GSourceFunc func, gpointer data,
    GDestroyNotify notify)
{
  /* The work may end the thread before it is woken. */
  GMainContext *context = g_main_context_ref (self->context);
  Work *piece = g_new (Work, 1);
  gboolean first;

  piece->func = func;
  piece->data = data;
  piece->notify = notify;
  g_mutex_lock (&self->lock);
  g_queue_push_tail (&self->work, piece);
  first = g_atomic_int_add (&self->n_work, 1) == 0;
  g_mutex_unlock (&self->lock);

  if (first)
    g_main_context_wakeup (context);
  g_main_context_unref (context);
}

/* One that goes meanwhile leaves its place to the last, which may then miss its
 * turn: it has the next. */
static gboolean
on_pulse (gpointer data)
{
  MoshiNetwork *self = data;
  guint i;

  for (i = 0; i < self->pulses->len; i++) {
    Pulse *pulse = &g_array_index (self->pulses, Pulse, i);

    pulse->func (pulse->data);
  }
  return G_SOURCE_CONTINUE;
}

/**
 * moshi_network_add_pulse:
 * @self: the network thread, on which this is called
 * @func: called every %MOSHI_NETWORK_PULSE ms
 * @data: for @func; its own alone
 *
 * Has something done now and then, by one timer for all who want that. @func may
 * remove any pulse, its own too.
 */
void
moshi_network_add_pulse (MoshiNetwork * self, MoshiPulseFunc func,
    gpointer data)
{
  Pulse pulse = { func, data };

  g_array_append_val (self->pulses, pulse);
  if (self->pulse_source != NULL)
    return;
  self->pulse_source = g_timeout_source_new (MOSHI_NETWORK_PULSE);
  g_source_set_callback (self->pulse_source, on_pulse, self, NULL);
  g_source_attach (self->pulse_source, self->context);
}

/**
 * moshi_network_remove_pulse:
 * @self: the network thread, on which this is called
 * @data: as it was added; ignored if it was not
 *
 * Ends that. The timer goes with the last.
 */
void
moshi_network_remove_pulse (MoshiNetwork * self, gpointer data)
{
  guint i;

  for (i = 0; i < self->pulses->len; i++) {
    if (g_array_index (self->pulses, Pulse, i).data == data) {
      g_array_remove_index_fast (self->pulses, i);
      break;
    }
  }
  if (self->pulses->len > 0 || self->pulse_source == NULL)
    return;
  g_source_destroy (self->pulse_source);
  g_clear_pointer (&self->pulse_source, g_source_unref);
}
