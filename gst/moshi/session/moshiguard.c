/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "moshiguard.h"

#include "moshilock.h"

#ifdef __linux__
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#endif

/*
 * A guard for the network thread
 * ------------------------------
 * libsoup reads a WebSocket connection until there is nothing to read. A peer
 * that sends faster than that goes on for ever (pings will do, of which nobody
 * is told) keeps the thread from everything else: timers, closes, and the
 * sessions of all other elements. So a second thread looks whether the first
 * still gets round. If it does not for %PATIENCE looks in a row, the connection
 * of which it has read most since is shut down, which ends the reading.
 *
 * What has been read is what counts, not what has come: a thread that waits for
 * something else, an application's answer about a certificate say, reads
 * nothing, while the answers of healthy servers pile up. Nor does what the link
 * is told of count, which it has bounds for: a healthy server may have much to say
 * at once after a stall, and a slow machine needs its time for that. With time
 * less will do, half as much each second: a machine may be too slow to read %MUCH
 * before the other sessions' time-outs end.
 *
 * The thread lives while there are connections, and holds nothing but the list.
 */

/* Between two looks, in µs: what other sessions wait for meanwhile is less than
 * a live one can make good without loss (2 s, see moshiplayout.c). */
#define LOOK_EVERY (250 * G_TIME_SPAN_MILLISECOND)
#define PATIENCE 4

/* What a flood is at least, in bytes */
#define MUCH (256 * 1024)

typedef struct
{
  GSocket *socket;
  const gint *told;             /* atomic: bytes, modulo 2^32 */
  guint32 unheard;              /* likewise, when the thread last got round */
  gboolean shut;
} Guarded;

/* Guards all below; a leaf */
static GMutex the_lock;
static GCond the_cond;
static GArray *the_list MOSHI_GUARDED_BY (the_lock);    /* of Guarded, or NULL */
static guint the_beats MOSHI_GUARDED_BY (the_lock);

/**
 * moshi_guard_count_received:
 * @socket: (nullable): a TCP socket
 *
 * Returns: what the kernel has received on it, in bytes; 0 where that is not
 *     known
 */
guint64
moshi_guard_count_received (GSocket * socket)
{
#ifdef __linux__
  struct tcp_info info = { 0, };
  socklen_t size = sizeof info;

  if (socket != NULL
      && getsockopt (g_socket_get_fd (socket), IPPROTO_TCP, TCP_INFO, &info,
          &size) == 0
      && size >= G_STRUCT_OFFSET (struct tcp_info, tcpi_bytes_received)
      + sizeof info.tcpi_bytes_received)
      return info.tcpi_bytes_received;
#endif
  return 0;
}

/**
 * moshi_guard_shut_down:
 * @socket: of a connection
 *
 * There is nothing to read on it from now on: what comes is refused, and what
 * has come, which may be megabytes of the smallest messages, is thrown away. Not
 * g_socket_shutdown(), which writes to fields that are the network thread's: any
 * thread may call this.
 */
void
moshi_guard_shut_down (GSocket * socket)
{
#ifdef __linux__
  const gint fd = g_socket_get_fd (socket);
  gchar thrown_away[16384];

  shutdown (fd, SHUT_RDWR);
  while (recv (fd, thrown_away, sizeof thrown_away, MSG_DONTWAIT) > 0);
#else
  g_socket_shutdown (socket, TRUE, TRUE, NULL);
#endif
}

/* What of that the network thread has taken from the kernel, but the link was not
 * told of; in bytes, modulo 2^32 */
static guint32
count_unheard (const Guarded * self)
{
  guint64 received = moshi_guard_count_received (self->socket);
  gssize waiting = g_socket_get_available_bytes (self->socket);

  return (guint32) (received - MIN (received, (guint64) MAX (waiting, 0)))
      - (guint32) g_atomic_int_get (self->told);
}

static void
note_unheard_locked (void)
MOSHI_REQUIRES (the_lock)
{
  guint i;

  for (i = 0; i < the_list->len; i++) {
    Guarded *guarded = &g_array_index (the_list, Guarded, i);

    guarded->unheard = count_unheard (guarded);
  }
}

/* 256, 128, 64, 32 and at last 16 KiB */
static guint
get_much (guint missed)
{
  return MUCH >> MIN (missed / PATIENCE - 1, 4);
}

/* FALSE when none has said so much. (What was told may be more than was read, as
 * it is counted generously: then the difference is less than nothing.) */
static gboolean
shut_down_busiest_locked (guint much)
MOSHI_REQUIRES (the_lock)
{
  Guarded *busiest = NULL;
  gint most = (gint) much;
  guint i;

  for (i = 0; i < the_list->len; i++) {
    Guarded *guarded = &g_array_index (the_list, Guarded, i);
    gint more = (gint) (count_unheard (guarded) - guarded->unheard);

    if (more > most && !guarded->shut) {
      most = more;
      busiest = guarded;
    }
  }
  if (busiest == NULL)
    return FALSE;
  busiest->shut = TRUE;
  moshi_guard_shut_down (busiest->socket);
  return TRUE;
}

static gpointer
look (gpointer data)
{
  guint beats = 0, missed = 0;

  g_mutex_lock (&the_lock);
  while (the_list->len > 0) {
    gint64 until = g_get_monotonic_time () + LOOK_EVERY;

    while (the_list->len > 0
        && g_cond_wait_until (&the_cond, &the_lock, until));
    if (the_beats != beats) {
      beats = the_beats;
      missed = 0;
      note_unheard_locked ();
    } else if (++missed >= PATIENCE
        && shut_down_busiest_locked (get_much (missed))) {
      missed = 0;
      note_unheard_locked ();
    }
  }
  g_clear_pointer (&the_list, g_array_unref);
  g_mutex_unlock (&the_lock);
  return NULL;
}

/**
 * moshi_guard_add:
 * @socket: of a connection; not closed before moshi_guard_remove()
 * @told: (atomic): how many of the bytes read on it were messages somebody was
 *     told of, with what was around them; modulo 2^32, valid as long
 *
 * Network thread.
 */
void
moshi_guard_add (GSocket * socket, const gint * told)
{
  Guarded guarded = { socket, told, 0, FALSE };

  guarded.unheard = count_unheard (&guarded);
  g_mutex_lock (&the_lock);
  the_beats++;
  if (the_list == NULL) {
    the_list = g_array_new (FALSE, FALSE, sizeof (Guarded));
    g_array_append_val (the_list, guarded);
    g_thread_unref (g_thread_new ("moshi-guard", look, NULL));
  } else {
    g_array_append_val (the_list, guarded);
  }
  g_mutex_unlock (&the_lock);
}

/**
 * moshi_guard_remove:
 * @socket: what was added
 *
 * Network thread.
 */
void
moshi_guard_remove (GSocket * socket)
{
  guint i;

  g_mutex_lock (&the_lock);
  for (i = 0; the_list != NULL && i < the_list->len; i++) {
    if (g_array_index (the_list, Guarded, i).socket == socket) {
      g_array_remove_index_fast (the_list, i);
      break;
    }
  }
  g_cond_broadcast (&the_cond);
  g_mutex_unlock (&the_lock);
}

/**
 * moshi_guard_has_shut:
 * @socket: (nullable): what was added, or not
 *
 * Network thread.
 *
 * Returns: whether it was shut down, as it kept the thread
 */
gboolean
moshi_guard_has_shut (GSocket * socket)
{
  gboolean shut = FALSE;
  guint i;

  g_mutex_lock (&the_lock);
  for (i = 0; the_list != NULL && i < the_list->len; i++) {
    const Guarded *guarded = &g_array_index (the_list, Guarded, i);

    shut = shut || (guarded->socket == socket && guarded->shut);
  }
  g_mutex_unlock (&the_lock);
  return shut;
}

/**
 * moshi_guard_beat:
 *
 * Network thread, from a timer: it gets round.
 */
void
moshi_guard_beat (void)
{
  g_mutex_lock (&the_lock);
  the_beats++;
  g_mutex_unlock (&the_lock);
}
