/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "moshinetwork.h"

#ifdef G_OS_UNIX
#include <glib-unix.h>
#include <unistd.h>
#endif

#include "../protocol/moshierror.h"
#include "moshilock.h"
#include "moshiwatch.h"

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
 * everything on its way out. Those who have work under way hold a reference
 * until it is done, so that nothing is left there then.
 *
 * Strands. In one main context for all, each turn would ask all sources of all
 * sessions whether they are ready, for the one that is; and as nobody else may
 * touch a connection, each packet of a streaming thread would wake this one, and
 * be on the wire a switch between threads later. So each session has a context of
 * its own. It is run when one of its descriptors (moshiwatch.c) or timers is
 * ready, under a lock of its own. Whoever has that is alone in there: a thread
 * that finds it free may come in as a guest and send what it has itself. A guest
 * never waits to come in. The network thread does wait for a guest to leave, and
 * therefore guests send and do nothing else; and they call nobody back, for who
 * is called back counts on being on the network thread.
 *
 * A strand is open to guests only while its session is ready. Until then its
 * context stays the network thread's own even while that waits, as with any main
 * loop: GIO takes one that nobody owns for its own thread, and has the user asked
 * for a certificate in there (g_tls_interaction_invoke_request_certificate()).
 *
 * The thread has a strand of its own, home, for what others hand in. That waits
 * in a queue with a single source: a GSource for each piece would be attached
 * with the context locked and the thread woken meanwhile, which then runs into
 * that lock. And what each connection wants done now and then is done for all of
 * them at once, by one timer.
 */

/* Rounds of one context before the others have their turn */
#define MAX_ROUNDS 16

/* Strands told of at once */
#define MAX_READY 64

/* Guards the_network and all reference counts of networks. Nothing is called
 * under it. */
static GMutex the_lock;

struct _MoshiStrand
{
  gint refs;                    /* atomic */
  MoshiNetwork *network;        /* a reference, but of home */
  GMainContext *context;
  GMutex lock;                  /* held by whoever runs in it; after home's */
  gboolean open;                /* lock; to guests */

  /* network thread only */
  gboolean listed;
  GArray *fds;                  /* of GPollFD: what it waits for */
  GArray *watched;              /* of GPollFD: what is watched of that */
  gint64 due;                   /* its next turn in any case, -1 = none */
  GPollFD waker;                /* what the context is woken by */
};

struct _MoshiNetwork
{
  guint refs MOSHI_GUARDED_BY (the_lock);
  GThread *thread;              /* written once, by the thread itself */
  MoshiStrand home;
  GMutex lock;                  /* guards the queue; a leaf */
  GQueue work;                  /* of Work */
  gint n_work;                  /* atomic: of them */

  /* network thread only */
  MoshiWatch *watch;
  GPtrArray *strands;           /* of MoshiStrand: that have had a turn */
  GSource *source;              /* of the queue */
  GArray *pulses;               /* of Pulse */
  GSource *pulse_source;        /* while there are any */
  gboolean leaving;
};

typedef struct
{
  MoshiStrand *strand;
  MoshiPulseFunc func;
  gpointer data;
} Pulse;

typedef struct
{
  MoshiStrand *strand;          /* a reference; NULL for home */
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

/* --- turns ------------------------------------------------------------------ */

static void
init_strand (MoshiStrand * self)
{
  gint timeout;

  self->refs = 1;
  /* Sources attached while nobody has it are to wake who waits for it. */
  self->context =
      g_main_context_new_with_flags (G_MAIN_CONTEXT_FLAGS_OWNERLESS_POLLING);
  /* All it waits for before there are sources */
  g_main_context_query (self->context, G_MAXINT, &timeout, &self->waker, 1);
  g_mutex_init (&self->lock);
  self->fds = g_array_new (FALSE, FALSE, sizeof (GPollFD));
  self->watched = g_array_new (FALSE, FALSE, sizeof (GPollFD));
  self->due = -1;
}

static void
clear_strand (MoshiStrand * self)
{
  g_main_context_unref (self->context);
  g_mutex_clear (&self->lock);
  g_array_unref (self->fds);
  g_array_unref (self->watched);
}

static gboolean
was_woken (MoshiStrand * self)
{
  guint i;

  for (i = 0; i < self->fds->len; i++) {
    const GPollFD *fd = &g_array_index (self->fds, GPollFD, i);

    if (fd->fd == self->waker.fd)
      return fd->revents != 0;
  }
  return FALSE;
}

/* One round of a context. FALSE when nothing was ready: then it is known what it
 * waits for, unless it was woken, by a thread that has attached something for
 * later. */
static gboolean
run_round (MoshiStrand * self, gint * timeout)
{
  gint priority, n;
  gboolean ready;

  g_main_context_prepare (self->context, &priority);
  while ((n = g_main_context_query (self->context, priority, timeout,
              (GPollFD *) self->fds->data, (gint) self->fds->len))
      > (gint) self->fds->len)
    g_array_set_size (self->fds, (guint) n);
  g_array_set_size (self->fds, (guint) n);
  g_poll ((GPollFD *) self->fds->data, (guint) n, 0);
  ready = g_main_context_check (self->context, priority,
      (GPollFD *) self->fds->data, n);
  if (ready)
    g_main_context_dispatch (self->context);
  return ready;
}

static void
set_watch (MoshiNetwork * network, MoshiStrand * self, gint timeout)
{
  const gint64 now = g_get_monotonic_time ();
  GArray *watched = self->watched;

  if (!moshi_watch_set (network->watch, self, (GPollFD *) watched->data,
          watched->len, (GPollFD *) self->fds->data, self->fds->len))
    timeout = timeout < 0 ? MOSHI_WATCH_LOOK : MIN (timeout, MOSHI_WATCH_LOOK);
  self->watched = self->fds;
  self->fds = watched;
  self->due = timeout < 0 ? -1 : now + timeout * G_TIME_SPAN_MILLISECOND;
}

static void
go_in (MoshiStrand * self)
MOSHI_UNCHECKED ()
{
  g_mutex_lock (&self->lock);
  g_main_context_push_thread_default (self->context);
}

static void
go_out (MoshiStrand * self)
MOSHI_UNCHECKED ()
{
  g_main_context_pop_thread_default (self->context);
  g_mutex_unlock (&self->lock);
}

static void
list_strand (MoshiNetwork * network, MoshiStrand * self)
{
  if (self->listed)
    return;
  self->listed = TRUE;
  g_ptr_array_add (network->strands, self);
  g_main_context_acquire (self->context);
}

/* Runs what is ready, and finds out what is waited for. */
static void
take_turn (MoshiNetwork * network, MoshiStrand * self)
{
  gboolean more = TRUE;
  gint timeout = 0;
  guint i;

  go_in (self);
  for (i = 0; i < MAX_ROUNDS && more; i++)
    more = run_round (self, &timeout) || was_woken (self);
  if (more)
    self->due = 0;
  else
    set_watch (network, self, timeout);
  go_out (self);
}

static gboolean
is_due (MoshiStrand * self, gint64 now)
{
  return self->due >= 0 && self->due <= now;
}

/* Home comes last: it is where strands are freed. */
static void
take_turns (MoshiNetwork * self)
{
  const gint64 now = g_get_monotonic_time ();
  guint i;

  for (i = 0; i < self->strands->len; i++) {
    MoshiStrand *strand = g_ptr_array_index (self->strands, i);

    if (is_due (strand, now))
      take_turn (self, strand);
  }
  if (is_due (&self->home, now))
    take_turn (self, &self->home);
}

/* ms until the first of them is due, or -1 */
static gint
get_timeout (MoshiNetwork * self)
{
  gint64 due = self->home.due;
  guint i;

  for (i = 0; i < self->strands->len; i++) {
    const MoshiStrand *strand = g_ptr_array_index (self->strands, i);

    if (strand->due >= 0 && (due < 0 || strand->due < due))
      due = strand->due;
  }
  if (due < 0)
    return -1;
  due = MAX (due - g_get_monotonic_time (), 0);
  return (gint) MIN ((due + 999) / 1000, G_MAXINT);
}

/* --- the queue -------------------------------------------------------------- */

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

static void
do_work (MoshiNetwork * self, const Work * piece)
{
  MoshiStrand *strand = piece->strand;

  if (strand == NULL) {
    piece->func (piece->data);
    return;
  }
  list_strand (self, strand);
  go_in (strand);
  piece->func (piece->data);
  go_out (strand);
  take_turn (self, strand);
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
    do_work (self, piece);
    if (piece->notify)
      piece->notify (piece->data);
    if (piece->strand)
      moshi_strand_unref (piece->strand);
    g_free (piece);
  }
  return G_SOURCE_CONTINUE;
}

static void
hand_in (MoshiNetwork * self, Work * piece)
{
  /* The work may end the thread before it is woken. */
  GMainContext *context = g_main_context_ref (self->home.context);
  gboolean first;

  g_mutex_lock (&self->lock);
  g_queue_push_tail (&self->work, piece);
  first = g_atomic_int_add (&self->n_work, 1) == 0;
  g_mutex_unlock (&self->lock);

  if (first)
    g_main_context_wakeup (context);
  g_main_context_unref (context);
}

static Work *
new_work (GSourceFunc func, gpointer data, GDestroyNotify notify)
{
  Work *piece = g_new0 (Work, 1);

  piece->func = func;
  piece->data = data;
  piece->notify = notify;
  return piece;
}

/* --- the thread ------------------------------------------------------------- */

static void
free_network (MoshiNetwork * self)
{
  g_source_destroy (self->source);
  g_source_unref (self->source);
  g_array_unref (self->pulses);
  g_ptr_array_unref (self->strands);
  clear_strand (&self->home);
  moshi_watch_free (self->watch);
  g_mutex_clear (&self->lock);
  g_free (self);
}

/* What a child process has kept open may tell of a strand that is gone. */
static void
set_due (MoshiNetwork * self, gpointer ready)
{
  if (ready == &self->home)
    self->home.due = 0;
  else if (g_ptr_array_find (self->strands, ready, NULL))
    ((MoshiStrand *) ready)->due = 0;
}

static void
wait_for_something (MoshiNetwork * self)
{
  gpointer ready[MAX_READY];
  guint n = moshi_watch_wait (self->watch, get_timeout (self), ready,
      MAX_READY);

  while (n > 0)
    set_due (self, ready[--n]);
}

static gpointer
run (gpointer data)
{
  MoshiNetwork *self = data;

  g_atomic_pointer_set (&self->thread, g_thread_self ());
  g_main_context_acquire (self->home.context);
  take_turn (self, &self->home);
  while (!self->leaving) {
    wait_for_something (self);
    take_turns (self);
  }
  /* What was handed in before we were asked to leave still runs. */
  while (g_atomic_int_get (&self->n_work) > 0)
    take_turn (self, &self->home);
  g_main_context_release (self->home.context);
  free_network (self);
  return NULL;
}

static gboolean
on_quit (gpointer data)
{
  MoshiNetwork *self = data;

  self->leaving = TRUE;
  return G_SOURCE_REMOVE;
}

static MoshiNetwork *
start (void)
{
  static GSourceFuncs funcs = { prepare_work, check_work, dispatch_work, NULL };
  MoshiNetwork *self = g_new0 (MoshiNetwork, 1);

  g_mutex_init (&self->lock);
  g_queue_init (&self->work);
  self->watch = moshi_watch_new ();
  self->strands = g_ptr_array_new ();
  self->pulses = g_array_new (FALSE, FALSE, sizeof (Pulse));
  init_strand (&self->home);
  self->source = g_source_new (&funcs, sizeof (WorkSource));
  ((WorkSource *) self->source)->network = self;
  g_source_attach (self->source, self->home.context);
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
 * Returns: (transfer none): its own main context, of no strand
 */
GMainContext *
moshi_network_get_context (MoshiNetwork * self)
{
  return self->home.context;
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
 * handed in, those for strands among them.
 */
void
moshi_network_invoke (MoshiNetwork * self, GSourceFunc func, gpointer data,
    GDestroyNotify notify)
{
  hand_in (self, new_work (func, data, notify));
}

/* --- strands, from outside -------------------------------------------------- */

/* GLib ends the whole process where it finds no descriptor for a main context: as
 * many as a session needs are opened once. */
static gboolean
has_descriptors (GError ** error)
{
#ifdef G_OS_UNIX
  gint fds[6] = { -1, -1, -1, -1, -1, -1 };
  gboolean room = TRUE;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (fds) && room; i += 2)
    room = g_unix_open_pipe (fds + i, FD_CLOEXEC, NULL);

  for (i = 0; i < G_N_ELEMENTS (fds); i++)
    if (fds[i] >= 0)
      close (fds[i]);
  if (!room)
    g_set_error_literal (error, MOSHI_ERROR, MOSHI_ERROR_CONNECT,
        "This program has as many files and connections open as it may; raise "
        "the limit (ulimit -n).");
  return room;
#else
  return TRUE;
#endif
}

/**
 * moshi_strand_new:
 * @error: return location for a #GError
 *
 * Makes a strand, and starts the network thread where there is none. May be
 * called from any thread.
 *
 * Returns: (transfer full) (nullable): a strand, or %NULL with
 *     %MOSHI_ERROR_CONNECT if the process has no file descriptors left
 */
MoshiStrand *
moshi_strand_new (GError ** error)
{
  MoshiStrand *self;

  if (!has_descriptors (error))
    return NULL;
  self = g_new0 (MoshiStrand, 1);
  init_strand (self);
  self->network = moshi_network_get ();
  return self;
}

/**
 * moshi_strand_ref:
 * @self: a strand
 *
 * May be called from any thread.
 *
 * Returns: (transfer full): @self
 */
MoshiStrand *
moshi_strand_ref (MoshiStrand * self)
{
  g_atomic_int_inc (&self->refs);
  return self;
}

/* In home's turn. What was still on its way to the strand is not left there. */
static gboolean
on_free_strand (gpointer data)
{
  MoshiStrand *self = data;
  MoshiNetwork *network = self->network;
  GArray *watched = self->watched;
  gint timeout;

  go_in (self);
  while (run_round (self, &timeout));
  go_out (self);
  if (self->listed && !self->open)
    g_main_context_release (self->context);

  moshi_watch_set (network->watch, self, (GPollFD *) watched->data,
      watched->len, NULL, 0);
  g_ptr_array_remove_fast (network->strands, self);
  clear_strand (self);
  g_free (self);
  moshi_network_unref (network);
  return G_SOURCE_REMOVE;
}

/**
 * moshi_strand_unref:
 * @self: (transfer full): a strand
 *
 * May be called from any thread, within a strand, too; never waits.
 */
void
moshi_strand_unref (MoshiStrand * self)
{
  if (g_atomic_int_dec_and_test (&self->refs))
    moshi_network_invoke (self->network, on_free_strand, self, NULL);
}

/**
 * moshi_strand_get_network:
 * @self: a strand
 *
 * Returns: (transfer none): the thread that looks after it
 */
MoshiNetwork *
moshi_strand_get_network (MoshiStrand * self)
{
  return self->network;
}

/**
 * moshi_strand_get_context:
 * @self: a strand
 *
 * Returns: (transfer none): its main context, for sources; the thread's default
 *     within the strand
 */
GMainContext *
moshi_strand_get_context (MoshiStrand * self)
{
  return self->context;
}

/**
 * moshi_strand_invoke:
 * @self: a strand
 * @func: run in it once, on the network thread; never within this call. What it
 *     returns means nothing
 * @data: for @func
 * @notify: (nullable): frees @data after @func, in no strand
 *
 * As moshi_network_invoke().
 */
void
moshi_strand_invoke (MoshiStrand * self, GSourceFunc func, gpointer data,
    GDestroyNotify notify)
{
  Work *piece = new_work (func, data, notify);

  piece->strand = moshi_strand_ref (self);
  hand_in (self->network, piece);
}

/* One that goes meanwhile leaves its place to the last, which may then miss its
 * turn: it has the next. */
static gboolean
on_pulse (gpointer data)
{
  MoshiNetwork *self = data;
  guint i;

  for (i = 0; i < self->pulses->len; i++) {
    const Pulse pulse = g_array_index (self->pulses, Pulse, i);

    go_in (pulse.strand);
    pulse.func (pulse.data);
    go_out (pulse.strand);
  }
  return G_SOURCE_CONTINUE;
}

/**
 * moshi_strand_add_pulse:
 * @self: a strand, within which this is called, on the network thread
 * @func: called in it every %MOSHI_NETWORK_PULSE ms
 * @data: for @func; its own alone
 *
 * Has something done now and then, by one timer for all who want that. @func may
 * remove any pulse, its own too. The strand has to outlive it.
 */
void
moshi_strand_add_pulse (MoshiStrand * self, MoshiPulseFunc func, gpointer data)
{
  MoshiNetwork *network = self->network;
  Pulse pulse = { self, func, data };

  g_array_append_val (network->pulses, pulse);
  if (network->pulse_source != NULL)
    return;
  network->pulse_source = g_timeout_source_new (MOSHI_NETWORK_PULSE);
  g_source_set_callback (network->pulse_source, on_pulse, network, NULL);
  g_source_attach (network->pulse_source, network->home.context);
}

/**
 * moshi_strand_remove_pulse:
 * @self: a strand, on the network thread
 * @data: as it was added; ignored if it was not
 *
 * Ends that. The timer goes with the last.
 */
void
moshi_strand_remove_pulse (MoshiStrand * self, gpointer data)
{
  MoshiNetwork *network = self->network;
  guint i;

  for (i = 0; i < network->pulses->len; i++) {
    if (g_array_index (network->pulses, Pulse, i).data == data) {
      g_array_remove_index_fast (network->pulses, i);
      break;
    }
  }
  if (network->pulses->len > 0 || network->pulse_source == NULL)
    return;
  g_source_destroy (network->pulse_source);
  g_clear_pointer (&network->pulse_source, g_source_unref);
}

/**
 * moshi_strand_set_open:
 * @self: a strand, within which this is called, on the network thread
 * @open: whether guests may come in; not at first
 */
void
moshi_strand_set_open (MoshiStrand * self, gboolean open)
{
  if (self->open == open)
    return;
  self->open = open;
  if (open)
    g_main_context_release (self->context);
  else
    g_main_context_acquire (self->context);
}

/**
 * moshi_strand_enter:
 * @self: a strand
 *
 * Comes in as a guest, from any thread; never waits. A guest is quick, waits for
 * nothing, calls nobody back, and leaves. What it attaches to the context is
 * noticed.
 *
 * Returns: %FALSE if it is not open, or somebody is in there, the caller itself
 *     for example
 */
gboolean
moshi_strand_enter (MoshiStrand * self)
MOSHI_UNCHECKED ()
{
  if (!g_mutex_trylock (&self->lock))
    return FALSE;
  if (!self->open) {
    g_mutex_unlock (&self->lock);
    return FALSE;
  }
  g_main_context_push_thread_default (self->context);
  return TRUE;
}

/**
 * moshi_strand_leave:
 * @self: a strand that was entered
 */
void
moshi_strand_leave (MoshiStrand * self)
MOSHI_UNCHECKED ()
{
  g_main_context_pop_thread_default (self->context);
  g_mutex_unlock (&self->lock);
}
