/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/moshinetwork.h"
#include "protocol/moshierror.h"
#include "watcher.h"

#include <glib-unix.h>

#include <errno.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* Strands, without any session: sockets and timers in them, guests, the end */

#define TOO_LONG (60 * G_TIME_SPAN_SECOND)
#define N_LINES 100

typedef struct
{
  MoshiStrand *strand;
  gint ours;
  gint theirs;
  GSource *source;
  gint n;                       /* atomic: bytes that have come, and the like */
} Line;

static void
wait_for (gint * number, gint wanted)
{
  const gint64 until = g_get_monotonic_time () + TOO_LONG;

  while (g_atomic_int_get (number) < wanted) {
    g_assert_cmpint (g_get_monotonic_time (), <, until);
    g_usleep (1000);
  }
}

static void
assert_within (Line * self)
{
  g_assert_true (moshi_network_is_current (moshi_strand_get_network
          (self->strand)));
  g_assert_true (g_main_context_get_thread_default ()
      == moshi_strand_get_context (self->strand));
  g_assert_false (moshi_strand_enter (self->strand));
}

/* Runs something in the strand and waits until it has. */

typedef struct
{
  GSourceFunc func;
  gpointer data;
  gint done;                    /* atomic */
} Call;

static gboolean
on_call (gpointer data)
{
  Call *self = data;

  self->func (self->data);
  return G_SOURCE_REMOVE;
}

static void
on_called (gpointer data)
{
  g_atomic_int_set (&((Call *) data)->done, TRUE);
}

static void
call (MoshiStrand * strand, GSourceFunc func, gpointer data)
{
  Call call = { func, data, FALSE };

  moshi_strand_invoke (strand, on_call, &call, on_called);
  wait_for (&call.done, TRUE);
}

/* --- sockets ------------------------------------------------------------- */

static gboolean
on_readable (gint fd, GIOCondition condition, gpointer data)
{
  Line *self = data;
  gchar bytes[16];
  gssize n;

  assert_within (self);
  g_assert_cmpint (fd, ==, self->ours);
  n = read (fd, bytes, sizeof bytes);
  g_assert_cmpint (n, >, 0);
  g_atomic_int_add (&self->n, (gint) n);
  return G_SOURCE_CONTINUE;
}

static void
open_pair (Line * self)
{
  gint pair[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM, 0, pair), ==, 0);
  self->ours = pair[0];
  self->theirs = pair[1];
}

static void
listen_to (Line * self)
{
  self->source = g_unix_fd_source_new (self->ours, G_IO_IN);
  g_source_set_callback (self->source, G_SOURCE_FUNC (on_readable), self, NULL);
  g_source_attach (self->source, moshi_strand_get_context (self->strand));
}

static gboolean
on_open (gpointer data)
{
  assert_within (data);
  open_pair (data);
  listen_to (data);
  return G_SOURCE_REMOVE;
}

static gboolean
on_close (gpointer data)
{
  Line *self = data;

  g_source_destroy (self->source);
  g_clear_pointer (&self->source, g_source_unref);
  close (self->ours);
  close (self->theirs);
  return G_SOURCE_REMOVE;
}

static void
line_open (Line * self)
{
  self->n = 0;
  self->strand = moshi_strand_new (NULL);
  g_assert_nonnull (self->strand);
  call (self->strand, on_open, self);
}

static void
line_close (Line * self)
{
  call (self->strand, on_close, self);
  moshi_strand_unref (self->strand);
}

static void
say (Line * self)
{
  g_assert_cmpint (write (self->theirs, "x", 1), ==, 1);
}

static void
test_sockets (void)
{
  Line lines[N_LINES];
  guint fds, i, k;

  /* GLib's own, which stays */
  g_main_context_default ();
  fds = count_fds ();
  for (i = 0; i < N_LINES; i++)
    line_open (&lines[i]);
  for (k = 0; k < 50; k++)
    for (i = 0; i < N_LINES; i++)
      if ((i + k) % 3 == 0)
        say (&lines[i]);
  for (i = 0; i < N_LINES; i++)
    wait_for (&lines[i].n, 16);
  for (i = 0; i < N_LINES; i++)
    line_close (&lines[i]);
  wait_until_threads_are_gone ();
  for (i = 0, k = 0; i < N_LINES; i++)
    k += (guint) lines[i].n;
  g_assert_cmpuint (k, ==, 50 * N_LINES / 3 + (50 * N_LINES % 3 > 0));
  g_assert_cmpuint (count_fds (), ==, fds);
}

/* Another connection, which gets the same number, within one turn */
static gboolean
on_reopen (gpointer data)
{
  Line *self = data;
  const gint old = self->ours;

  on_close (self);
  open_pair (self);
  if (self->ours != old) {
    g_assert_cmpint (dup2 (self->ours, old), ==, old);
    close (self->ours);
    self->ours = old;
  }
  listen_to (self);
  return G_SOURCE_REMOVE;
}

static void
test_same_descriptor (void)
{
  Line line;
  gint i;

  line_open (&line);
  for (i = 1; i <= 100; i++) {
    say (&line);
    wait_for (&line.n, i);
    call (line.strand, on_reopen, &line);
  }
  line_close (&line);
  wait_until_threads_are_gone ();
}

/* --- turns ---------------------------------------------------------------- */

static gboolean
on_ready_again (gpointer data)
{
  Line *self = data;

  assert_within (self);
  g_atomic_int_inc (&self->n);
  return G_SOURCE_CONTINUE;
}

static gboolean
on_attach_idle (gpointer data)
{
  Line *self = data;

  self->source = g_idle_source_new ();
  g_source_set_callback (self->source, on_ready_again, self, NULL);
  g_source_attach (self->source, moshi_strand_get_context (self->strand));
  return G_SOURCE_REMOVE;
}

static gboolean
on_drop_source (gpointer data)
{
  Line *self = data;

  g_source_destroy (self->source);
  g_clear_pointer (&self->source, g_source_unref);
  return G_SOURCE_REMOVE;
}

/* One that has always something to do leaves the others their turns. */
static void
test_fair (void)
{
  Line busy = { moshi_strand_new (NULL), };
  Line line;
  gint i;

  call (busy.strand, on_attach_idle, &busy);
  line_open (&line);
  for (i = 1; i <= 100; i++) {
    say (&line);
    wait_for (&line.n, i);
  }
  wait_for (&busy.n, 1000);
  call (busy.strand, on_drop_source, &busy);
  moshi_strand_unref (busy.strand);
  line_close (&line);
  wait_until_threads_are_gone ();
}

static gboolean
on_tick (gpointer data)
{
  Line *self = data;

  assert_within (self);
  return g_atomic_int_add (&self->n, 1) + 1 < 5;
}

static gboolean
on_start_ticking (gpointer data)
{
  Line *self = data;
  GSource *source = g_timeout_source_new (20);

  g_source_set_callback (source, on_tick, self, NULL);
  g_source_attach (source, moshi_strand_get_context (self->strand));
  g_source_unref (source);
  return G_SOURCE_REMOVE;
}

static void
test_timers (void)
{
  const gint64 start = g_get_monotonic_time ();
  Line lines[N_LINES] = { {NULL,}, };
  guint i;

  for (i = 0; i < N_LINES; i++) {
    lines[i].strand = moshi_strand_new (NULL);
    moshi_strand_invoke (lines[i].strand, on_start_ticking, &lines[i], NULL);
  }
  for (i = 0; i < N_LINES; i++)
    wait_for (&lines[i].n, 5);
  g_assert_cmpint (g_get_monotonic_time () - start, >=, 5 * 20000);
  for (i = 0; i < N_LINES; i++)
    moshi_strand_unref (lines[i].strand);
  wait_until_threads_are_gone ();
}

/* A timer that another thread attaches while it is being asked what there is to
 * wait for, and after it has been asked about such as this one */

typedef struct
{
  GSource source;
  gint *asked;                  /* atomic */
  gint *attached;               /* atomic */
} Asker;

static gboolean
ask (GSource * source, gint * timeout)
{
  Asker *self = (Asker *) source;

  *timeout = -1;
  if (g_atomic_int_compare_and_exchange (self->asked, FALSE, TRUE))
    wait_for (self->attached, TRUE);
  return FALSE;
}

static gboolean
attach_asker (gpointer data)
{
  g_source_attach (data, g_main_context_get_thread_default ());
  return G_SOURCE_REMOVE;
}

static gboolean
on_time (gpointer data)
{
  g_atomic_int_inc ((gint *) data);
  return G_SOURCE_REMOVE;
}

static void
test_attached_meanwhile (void)
{
  static GSourceFuncs funcs = { ask, NULL, NULL, NULL };
  MoshiStrand *strand = moshi_strand_new (NULL);
  GSource *source = g_source_new (&funcs, sizeof (Asker));
  GSource *timer = g_timeout_source_new (20);
  gint asked = FALSE, attached = FALSE, n = 0;

  ((Asker *) source)->asked = &asked;
  ((Asker *) source)->attached = &attached;
  moshi_strand_invoke (strand, attach_asker, source, NULL);
  wait_for (&asked, TRUE);
  g_source_set_priority (timer, G_PRIORITY_HIGH);
  g_source_set_callback (timer, on_time, &n, NULL);
  g_source_attach (timer, moshi_strand_get_context (strand));
  g_atomic_int_set (&attached, TRUE);
  wait_for (&n, 1);
  g_source_destroy (source);
  g_source_unref (source);
  g_source_unref (timer);
  moshi_strand_unref (strand);
  wait_until_threads_are_gone ();
}

/* --- guests ----------------------------------------------------------------- */

static gboolean
on_let_in (gpointer data)
{
  moshi_strand_set_open (((Line *) data)->strand, TRUE);
  return G_SOURCE_REMOVE;
}

static gboolean
on_shut (gpointer data)
{
  moshi_strand_set_open (((Line *) data)->strand, FALSE);
  return G_SOURCE_REMOVE;
}

static gboolean
on_count (gpointer data)
{
  assert_within (data);
  g_atomic_int_inc (&((Line *) data)->n);
  return G_SOURCE_REMOVE;
}

static void
test_guest (void)
{
  Line line;
  GSource *idle = g_idle_source_new ();

  line_open (&line);
  g_assert_false (moshi_strand_enter (line.strand));
  call (line.strand, on_let_in, &line);
  g_assert_true (moshi_strand_enter (line.strand));
  g_assert_false (moshi_strand_enter (line.strand));

  /* What has come and what is handed in waits for the guest to leave. */
  say (&line);
  moshi_strand_invoke (line.strand, on_count, &line, NULL);
  g_assert_true (g_main_context_get_thread_default ()
      == moshi_strand_get_context (line.strand));
  g_source_set_callback (idle, on_count, &line, NULL);
  g_source_attach (idle, g_main_context_get_thread_default ());
  g_source_unref (idle);
  g_assert_cmpint (g_atomic_int_get (&line.n), ==, 0);
  moshi_strand_leave (line.strand);
  g_assert_null (g_main_context_get_thread_default ());
  wait_for (&line.n, 3);

  call (line.strand, on_shut, &line);
  g_assert_false (moshi_strand_enter (line.strand));
  line_close (&line);
  wait_until_threads_are_gone ();
}

/* A source that a guest attaches is noticed while the network thread waits. */
static void
test_guest_attaches (void)
{
  Line line;
  gint i;

  line_open (&line);
  call (line.strand, on_let_in, &line);
  for (i = 1; i <= 200; i++) {
    GSource *source = g_timeout_source_new (i % 3);

    while (!moshi_strand_enter (line.strand))
      g_thread_yield ();
    g_source_set_callback (source, on_count, &line, NULL);
    g_source_attach (source, g_main_context_get_thread_default ());
    g_source_unref (source);
    moshi_strand_leave (line.strand);
    wait_for (&line.n, i);
  }
  line_close (&line);
  wait_until_threads_are_gone ();
}

typedef struct
{
  Line line;
  gint inside;                  /* by whoever is */
  gint entered;                 /* atomic: by guests */
} Crowd;

static void
be_alone (Crowd * self)
{
  g_assert_cmpint (self->inside++, ==, 0);
  g_assert_cmpint (--self->inside, ==, 0);
}

static gpointer
visit (gpointer data)
{
  Crowd *self = data;

  while (g_atomic_int_get (&self->entered) < 2000) {
    if (!moshi_strand_enter (self->line.strand))
      continue;
    be_alone (self);
    g_atomic_int_inc (&self->entered);
    moshi_strand_leave (self->line.strand);
  }
  return NULL;
}

static gboolean
on_work (gpointer data)
{
  be_alone (data);
  g_atomic_int_inc (&((Crowd *) data)->line.n);
  return G_SOURCE_REMOVE;
}

static void
test_alone (void)
{
  Crowd crowd = { {moshi_strand_new (NULL),}, };
  GThread *threads[3];
  guint i;

  call (crowd.line.strand, on_let_in, &crowd.line);
  for (i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("guest", visit, &crowd);
  for (i = 0; i < 1000; i++)
    moshi_strand_invoke (crowd.line.strand, on_work, &crowd, NULL);
  wait_for (&crowd.line.n, 1000);
  for (i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  moshi_strand_unref (crowd.line.strand);
  wait_until_threads_are_gone ();
}

/* --- the end --------------------------------------------------------------- */

static gboolean
on_last (gpointer data)
{
  g_atomic_int_inc ((gint *) data);
  return G_SOURCE_REMOVE;
}

static gboolean
on_leave_something (gpointer data)
{
  Line *self = data;
  GSource *source = g_idle_source_new ();

  g_source_set_callback (source, on_last, &self->n, NULL);
  g_source_attach (source, moshi_strand_get_context (self->strand));
  g_source_unref (source);
  moshi_strand_unref (self->strand);
  return G_SOURCE_REMOVE;
}

/* What is ready in a strand when it goes still has its turn. */
static void
test_end (void)
{
  Line lines[N_LINES] = { {NULL,}, };
  guint i;

  for (i = 0; i < N_LINES; i++) {
    lines[i].strand = moshi_strand_new (NULL);
    moshi_strand_invoke (lines[i].strand, on_leave_something, &lines[i], NULL);
  }
  for (i = 0; i < N_LINES; i++)
    wait_for (&lines[i].n, 1);
  wait_until_threads_are_gone ();
}

static gboolean
on_close_ours (gpointer data)
{
  Line *self = data;

  close (self->ours);
  g_source_destroy (self->source);
  g_clear_pointer (&self->source, g_source_unref);
  return G_SOURCE_REMOVE;
}

/* A child process may keep a connection open, which then still tells of itself
 * when its strand is gone. */
static void
test_kept_open (void)
{
  Line line, other;
  gint kept, i;

  line_open (&other);
  for (i = 0; i < 10; i++) {
    line_open (&line);
    say (&line);
    wait_for (&line.n, 1);
    kept = dup (line.ours);
    call (line.strand, on_close_ours, &line);
    moshi_strand_unref (line.strand);
    call (other.strand, on_last, &other.n);
    say (&line);
    call (other.strand, on_last, &other.n);
    close (kept);
    close (line.theirs);
  }
  line_close (&other);
  wait_until_threads_are_gone ();
}

/* GLib would end the process. */
static void
test_no_descriptors (void)
{
  g_autoptr (GError) error = NULL;
  struct rlimit limit, few;

  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  few = limit;
  few.rlim_cur = 6;
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &few), ==, 0);
  g_assert_null (moshi_strand_new (&error));
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  g_assert_error (error, MOSHI_ERROR, MOSHI_ERROR_CONNECT);
}

int
main (int argc, char **argv)
{
  session_test_init (&argc, &argv);
  g_test_add_func ("/strand/sockets", test_sockets);
  g_test_add_func ("/strand/same-descriptor", test_same_descriptor);
  g_test_add_func ("/strand/fair", test_fair);
  g_test_add_func ("/strand/timers", test_timers);
  g_test_add_func ("/strand/attached-meanwhile", test_attached_meanwhile);
  g_test_add_func ("/strand/guest", test_guest);
  g_test_add_func ("/strand/guest-attaches", test_guest_attaches);
  g_test_add_func ("/strand/alone", test_alone);
  g_test_add_func ("/strand/end", test_end);
  g_test_add_func ("/strand/kept-open", test_kept_open);
  g_test_add_func ("/strand/no-descriptors", test_no_descriptors);
  return g_test_run ();
}
