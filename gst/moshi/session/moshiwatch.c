/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "moshiwatch.h"

#if defined (__linux__) && !defined (MOSHI_WATCH_POLL)
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>
#endif

/*
 * Who has something to do
 * -----------------------
 * To ask the kernel about all descriptors of all sessions anew, each time one of
 * them has something to read, costs as many times their number. So it is told
 * once what to look at (epoll), and tells who is ready.
 *
 * The descriptors are GIO's. It closes them when it likes, and opens others that
 * get the same number, of which nobody is told; epoll then has silently forgotten
 * the old one. So each time an owner has had its turn all it waits for is set
 * again (EPOLL_CTL_MOD, or EPOLL_CTL_ADD where that is unknown), which also makes
 * the kernel look anew whether it is ready. That done, edges are enough, and a
 * descriptor that some child process has kept open tells of itself once and not
 * for ever; its owner may be gone by then. And what an owner no longer waits for is
 * taken out only if no other owner has been given that number since.
 */

#if defined (__linux__) && !defined (MOSHI_WATCH_POLL)

struct _MoshiWatch
{
  gint fd;
  GPtrArray *owners;            /* by descriptor, or NULL */
};

/**
 * moshi_watch_new:
 *
 * Returns: (transfer full): one that watches nothing
 */
MoshiWatch *
moshi_watch_new (void)
{
  MoshiWatch *self = g_new0 (MoshiWatch, 1);

  self->fd = epoll_create1 (EPOLL_CLOEXEC);
  self->owners = g_ptr_array_new ();
  return self;
}

/**
 * moshi_watch_free:
 * @self: (transfer full)
 */
void
moshi_watch_free (MoshiWatch * self)
{
  if (self->fd >= 0)
    close (self->fd);
  g_ptr_array_unref (self->owners);
  g_free (self);
}

static gboolean
is_among (gint fd, const GPollFD * fds, guint n_fds)
{
  guint i;

  for (i = 0; i < n_fds; i++)
    if (fds[i].fd == fd)
      return TRUE;
  return FALSE;
}

static void
take_out (MoshiWatch * self, gpointer owner, gint fd)
{
  if ((guint) fd >= self->owners->len
      || g_ptr_array_index (self->owners, fd) != owner)
    return;
  g_ptr_array_index (self->owners, fd) = NULL;
  epoll_ctl (self->fd, EPOLL_CTL_DEL, fd, NULL);
}

static gboolean
put_in (MoshiWatch * self, gpointer owner, gint fd, guint conditions)
{
  struct epoll_event event = { EPOLLET, {owner} };

  event.events |= conditions & G_IO_IN ? EPOLLIN : 0;
  event.events |= conditions & G_IO_PRI ? EPOLLPRI : 0;
  event.events |= conditions & G_IO_OUT ? EPOLLOUT : 0;
  if (epoll_ctl (self->fd, EPOLL_CTL_MOD, fd, &event) != 0
      && (errno != ENOENT
          || epoll_ctl (self->fd, EPOLL_CTL_ADD, fd, &event) != 0))
    return FALSE;
  if ((guint) fd >= self->owners->len)
    g_ptr_array_set_size (self->owners, fd + 1);
  g_ptr_array_index (self->owners, fd) = owner;
  return TRUE;
}

/* What a number is waited for stands in as many entries as sources ask for it. */
static guint
join_conditions (gint fd, const GPollFD * fds, guint n_fds)
{
  guint conditions = 0, i;

  for (i = 0; i < n_fds; i++)
    if (fds[i].fd == fd)
      conditions |= fds[i].events;
  return conditions;
}

/**
 * moshi_watch_set:
 * @self: a watch
 * @owner: who waits; not %NULL
 * @old: (array length=n_old): what it has waited for, as it was set last
 * @n_old: how many
 * @fds: (array length=n_fds): what it waits for now; none before it is freed
 * @n_fds: how many
 *
 * Returns: %FALSE if some of that cannot be watched: the owner has to look for
 *     itself now and then
 */
gboolean
moshi_watch_set (MoshiWatch * self, gpointer owner, const GPollFD * old,
    guint n_old, const GPollFD * fds, guint n_fds)
{
  gboolean all = TRUE;
  guint i;

  for (i = 0; i < n_old; i++)
    if (!is_among (old[i].fd, fds, n_fds))
      take_out (self, owner, old[i].fd);
  for (i = 0; i < n_fds; i++)
    all = put_in (self, owner, fds[i].fd,
        join_conditions (fds[i].fd, fds, n_fds)) && all;
  return all;
}

/**
 * moshi_watch_wait:
 * @self: a watch
 * @timeout: ms; 0 for none at all, -1 for ever
 * @owners: (out caller-allocates) (array length=max): who is ready; one may be
 *     there twice, or no longer exist, if a child process has kept open what it
 *     waited for
 * @max: room for how many
 *
 * Returns: how many
 */
guint
moshi_watch_wait (MoshiWatch * self, gint timeout, gpointer * owners, guint max)
{
  struct epoll_event events[64];
  gint n = epoll_wait (self->fd, events, (gint) MIN (max,
          G_N_ELEMENTS (events)), timeout), i;

  /* Without a watch everybody looks for themselves, if not all the time. */
  if (self->fd < 0)
    g_usleep (MOSHI_WATCH_LOOK * 1000);
  for (i = 0; i < n; i++)
    owners[i] = events[i].data.ptr;
  return (guint) MAX (n, 0);
}

#else /* everywhere else: ask about all of them */

struct _MoshiWatch
{
  GArray *fds;                  /* of GPollFD */
  GPtrArray *owners;            /* of each of them */
};

MoshiWatch *
moshi_watch_new (void)
{
  MoshiWatch *self = g_new0 (MoshiWatch, 1);

  self->fds = g_array_new (FALSE, FALSE, sizeof (GPollFD));
  self->owners = g_ptr_array_new ();
  return self;
}

void
moshi_watch_free (MoshiWatch * self)
{
  g_array_unref (self->fds);
  g_ptr_array_unref (self->owners);
  g_free (self);
}

gboolean
moshi_watch_set (MoshiWatch * self, gpointer owner, const GPollFD * old,
    guint n_old, const GPollFD * fds, guint n_fds)
{
  guint i;

  for (i = self->owners->len; i > 0; i--) {
    if (g_ptr_array_index (self->owners, i - 1) != owner)
      continue;
    g_ptr_array_remove_index_fast (self->owners, i - 1);
    g_array_remove_index_fast (self->fds, i - 1);
  }
  for (i = 0; i < n_fds; i++)
    g_ptr_array_add (self->owners, owner);
  g_array_append_vals (self->fds, fds, n_fds);
  return TRUE;
}

guint
moshi_watch_wait (MoshiWatch * self, gint timeout, gpointer * owners, guint max)
{
  guint i, n = 0;

  if (g_poll ((GPollFD *) self->fds->data, self->fds->len, timeout) <= 0)
    return 0;
  for (i = 0; i < self->fds->len && n < max; i++)
    if (g_array_index (self->fds, GPollFD, i).revents != 0)
      owners[n++] = g_ptr_array_index (self->owners, i);
  return n;
}

#endif
