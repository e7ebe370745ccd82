/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/moshiwatch.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * Who has something to do, told by both of the watch's ways: this program is
 * built twice. Owners are any pointers.
 */

#define MAX_OWNERS 8

typedef struct
{
  MoshiWatch *watch;
  gint ours[MAX_OWNERS];        /* watched, each for an owner */
  gint theirs[MAX_OWNERS];
  GPollFD fds[MAX_OWNERS];
} Sockets;

static gpointer
get_owner (Sockets * self, guint i)
{
  return &self->fds[i];
}

static void
watch (Sockets * self, guint i, gushort events)
{
  GPollFD old = self->fds[i];

  self->fds[i].fd = self->ours[i];
  self->fds[i].events = events;
  g_assert_true (moshi_watch_set (self->watch, get_owner (self, i), &old,
          old.events != 0, &self->fds[i], events != 0));
}

static void
open_sockets (Sockets * self)
{
  gint pair[2];
  guint i;

  self->watch = moshi_watch_new ();
  for (i = 0; i < MAX_OWNERS; i++) {
    g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM, 0, pair), ==, 0);
    self->ours[i] = pair[0];
    self->theirs[i] = pair[1];
    self->fds[i].events = 0;
    watch (self, i, G_IO_IN);
  }
}

static void
close_sockets (Sockets * self)
{
  guint i;

  for (i = 0; i < MAX_OWNERS; i++) {
    watch (self, i, 0);
    close (self->ours[i]);
    close (self->theirs[i]);
  }
  moshi_watch_free (self->watch);
}

static void
say (Sockets * self, guint i)
{
  g_assert_cmpint (write (self->theirs[i], "x", 1), ==, 1);
}

static void
hear (Sockets * self, guint i)
{
  gchar byte;

  g_assert_cmpint (read (self->ours[i], &byte, 1), ==, 1);
  watch (self, i, self->fds[i].events);
}

/* Bits of those that are ready */
static guint
find_ready (Sockets * self)
{
  gpointer owners[MAX_OWNERS];
  guint n = moshi_watch_wait (self->watch, 0, owners, MAX_OWNERS);
  guint ready = 0, i;

  for (i = 0; i < n; i++)
    ready |= 1u << ((GPollFD *) owners[i] - self->fds);
  return ready;
}

static void
test_ready (void)
{
  Sockets sockets;

  open_sockets (&sockets);
  g_assert_cmpuint (find_ready (&sockets), ==, 0);
  say (&sockets, 2);
  say (&sockets, 5);
  g_assert_cmpuint (find_ready (&sockets), ==, 0x24);
  hear (&sockets, 2);
  hear (&sockets, 5);
  g_assert_cmpuint (find_ready (&sockets), ==, 0);
  say (&sockets, 2);
  g_assert_cmpuint (find_ready (&sockets), ==, 4);
  close_sockets (&sockets);
}

/* Who has left something unread is told again once it has had its turn. */
static void
test_left_over (void)
{
  Sockets sockets;

  open_sockets (&sockets);
  say (&sockets, 1);
  say (&sockets, 1);
  g_assert_cmpuint (find_ready (&sockets), ==, 2);
  hear (&sockets, 1);
  g_assert_cmpuint (find_ready (&sockets), ==, 2);
  hear (&sockets, 1);
  g_assert_cmpuint (find_ready (&sockets), ==, 0);
  close_sockets (&sockets);
}

static void
test_conditions (void)
{
  Sockets sockets;

  open_sockets (&sockets);
  watch (&sockets, 3, G_IO_IN | G_IO_OUT);
  g_assert_cmpuint (find_ready (&sockets), ==, 8);
  watch (&sockets, 3, G_IO_IN);
  g_assert_cmpuint (find_ready (&sockets), ==, 0);
  watch (&sockets, 3, 0);
  say (&sockets, 3);
  g_assert_cmpuint (find_ready (&sockets), ==, 0);
  watch (&sockets, 3, G_IO_IN);
  g_assert_cmpuint (find_ready (&sockets), ==, 8);
  /* The peer is gone. */
  shutdown (sockets.theirs[4], SHUT_RDWR);
  g_assert_cmpuint (find_ready (&sockets) & 16, ==, 16);
  close_sockets (&sockets);
}

static void
give_number (Sockets * self, guint from, guint to)
{
  const gint number = self->ours[from];

  close (number);
  g_assert_cmpint (dup2 (self->ours[to], number), ==, number);
  close (self->ours[to]);
  self->ours[to] = number;
}

/* A descriptor is closed and another opened in one turn, with the same number. */
static void
test_same_number (void)
{
  Sockets sockets;
  gint pair[2];

  open_sockets (&sockets);
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM, 0, pair), ==, 0);
  close (sockets.ours[0]);
  close (sockets.theirs[0]);
  g_assert_cmpint (dup2 (pair[0], sockets.ours[0]), ==, sockets.ours[0]);
  close (pair[0]);
  sockets.theirs[0] = pair[1];
  watch (&sockets, 0, G_IO_IN);
  say (&sockets, 0);
  g_assert_cmpuint (find_ready (&sockets), ==, 1);
  close_sockets (&sockets);
}

/* Nobody is told that 6's descriptor is closed; 7 gets its number. When 6 has its
 * turn at last, 7 is still watched. */
static void
test_number_of_another (void)
{
  Sockets sockets;

  open_sockets (&sockets);
  watch (&sockets, 7, 0);
  give_number (&sockets, 6, 7);
  watch (&sockets, 7, G_IO_IN);
  g_assert_true (moshi_watch_set (sockets.watch, get_owner (&sockets, 6),
          &sockets.fds[6], 1, NULL, 0));
  say (&sockets, 7);
  g_assert_cmpuint (find_ready (&sockets), ==, 0x80);

  sockets.fds[6].events = 0;
  sockets.ours[6] = -1;
  close_sockets (&sockets);
}

/* An owner with more than one, of which it gives up the first */
static void
test_several (void)
{
  Sockets sockets;
  GPollFD both[2];
  gpointer owners[4];

  open_sockets (&sockets);
  watch (&sockets, 1, 0);
  both[0].fd = sockets.ours[0];
  both[1].fd = sockets.ours[1];
  both[0].events = both[1].events = G_IO_IN;
  g_assert_true (moshi_watch_set (sockets.watch, both, both, 0, both, 2));
  watch (&sockets, 0, 0);
  g_assert_true (moshi_watch_set (sockets.watch, both, both, 2, both, 2));
  say (&sockets, 0);
  say (&sockets, 1);
  g_assert_cmpuint (moshi_watch_wait (sockets.watch, 0, owners, 4), ==, 2);
  g_assert_true (owners[0] == both && owners[1] == both);
  g_assert_true (moshi_watch_set (sockets.watch, both, both, 2, both + 1, 1));
  g_assert_cmpuint (moshi_watch_wait (sockets.watch, 0, owners, 4), ==, 1);
  g_assert_true (moshi_watch_set (sockets.watch, both, both + 1, 1, NULL, 0));
  g_assert_cmpuint (moshi_watch_wait (sockets.watch, 0, owners, 4), ==, 0);
  close_sockets (&sockets);
}

static void
test_timeout (void)
{
  MoshiWatch *watch = moshi_watch_new ();
  const gint64 start = g_get_monotonic_time ();
  gpointer owner;

  g_assert_cmpuint (moshi_watch_wait (watch, 20, &owner, 1), ==, 0);
  g_assert_cmpint (g_get_monotonic_time () - start, >=, 19000);
  moshi_watch_free (watch);
}

#if defined (__linux__) && !defined (MOSHI_WATCH_POLL)
/* The kernel gives none: it is said so, and waiting is no spinning. */
static void
test_no_watch (void)
{
  struct rlimit limit, none;
  MoshiWatch *watch;
  GPollFD fd = { 0, G_IO_IN, 0 };
  gpointer owner;
  gint64 start;

  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  none = limit;
  none.rlim_cur = 0;
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &none), ==, 0);
  watch = moshi_watch_new ();
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &limit), ==, 0);

  g_assert_false (moshi_watch_set (watch, &fd, NULL, 0, &fd, 1));
  start = g_get_monotonic_time ();
  g_assert_cmpuint (moshi_watch_wait (watch, -1, &owner, 1), ==, 0);
  g_assert_cmpint (g_get_monotonic_time () - start, >=, 1000);
  moshi_watch_free (watch);
}
#endif

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/watch/ready", test_ready);
  g_test_add_func ("/watch/left-over", test_left_over);
  g_test_add_func ("/watch/conditions", test_conditions);
  g_test_add_func ("/watch/same-number", test_same_number);
  g_test_add_func ("/watch/number-of-another", test_number_of_another);
  g_test_add_func ("/watch/several", test_several);
  g_test_add_func ("/watch/timeout", test_timeout);
#if defined (__linux__) && !defined (MOSHI_WATCH_POLL)
  g_test_add_func ("/watch/none", test_no_watch);
#endif
  return g_test_run ();
}
