/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The watchdog: a thread that waits for nothing to happen, and then tells where
 * everybody stands. One for the process.
 */
#include "watchdog.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

/* So long no step may take, sanitizers and all. */
#define TOO_LONG_S 90

static GMutex lock;
static GCond cond;
static GThread *thread;         /* lock */
static const gchar *step;       /* lock */
static gint64 deadline;         /* lock */
static guint watches;           /* lock; so many have ended */

/**
 * watchdog_get_patience:
 *
 * $MOSHI_WATCHDOG is for what makes programs slower still, as valgrind.
 *
 * Returns: how long a step may take, in ms
 */
guint
watchdog_get_patience (void)
{
  const gchar *text = g_getenv ("MOSHI_WATCHDOG");

  return 1000 * (text ? (guint) g_ascii_strtoull (text, NULL, 10) : TOO_LONG_S);
}

/* What all threads are at, if there is a debugger to tell, which of hundreds of
 * threads may take too long. */
static void
print_stacks (void)
{
  g_autofree gchar *pid = g_strdup_printf ("%d", (gint) getpid ());
  const gchar *argv[] =
      { "timeout", "-s", "KILL", "120", "gdb", "-p", pid, "-batch", "-ex",
    "thread apply all bt", NULL
  };
  g_autofree gchar *text = NULL;

#ifdef PR_SET_PTRACER
  /* Else some systems let nobody but a parent look. */
  prctl (PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
#endif
  if (g_spawn_sync (NULL, (gchar **) argv, NULL, G_SPAWN_SEARCH_PATH
          | G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, &text, NULL, NULL, NULL))
    g_printerr ("%s\n", text);
}

/**
 * watchdog_has_debugger:
 *
 * Returns: whether one can be run here that may look at another process
 */
gboolean
watchdog_has_debugger (void)
{
  static const gchar *const argv[] = { "timeout", "60", "gdb", "-batch", "-nx",
    "-ex", "set confirm off", "-ex", "starti", "-ex", "bt", "/bin/true", NULL
  };
  g_autofree gchar *text = NULL;

  return g_spawn_sync (NULL, (gchar **) argv, NULL, G_SPAWN_SEARCH_PATH
      | G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, &text, NULL, NULL, NULL)
      && strstr (text, "#0") != NULL;
}

static gpointer
watch (gpointer user_data)
{
  const guint mine = GPOINTER_TO_UINT (user_data);

  g_mutex_lock (&lock);
  while (watches == mine && g_get_monotonic_time () < deadline)
    g_cond_wait_until (&cond, &lock, deadline);
  if (watches == mine) {
    g_printerr ("hangs: %s\n", step);
    print_stacks ();
    abort ();
  }
  g_mutex_unlock (&lock);
  return NULL;
}

/**
 * watchdog_note:
 * @what: what is begun now; not copied
 *
 * Unless it is told of something else in time, the program ends with the stacks
 * of all threads.
 */
void
watchdog_note (const gchar * what)
{
  g_mutex_lock (&lock);
  step = what;
  deadline = g_get_monotonic_time ()
      + watchdog_get_patience () * G_TIME_SPAN_MILLISECOND;
  if (thread == NULL)
    thread = g_thread_new ("watchdog", watch, GUINT_TO_POINTER (watches));
  g_mutex_unlock (&lock);
}

/**
 * watchdog_end:
 *
 * Nothing more is begun. No thread is left.
 */
void
watchdog_end (void)
{
  GThread *ended;

  g_mutex_lock (&lock);
  watches++;
  ended = g_steal_pointer (&thread);
  g_cond_broadcast (&cond);
  g_mutex_unlock (&lock);
  g_clear_pointer (&ended, g_thread_join);
}
