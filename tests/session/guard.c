/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/moshiguard.h"

#include <gio/gnetworking.h>

/*
 * The guard alone: connections over loopback, and this thread in the network
 * thread's place. It does not get round, which is what the guard looks for.
 */

typedef struct
{
  GSocketConnection *ours;      /* guarded */
  GSocketConnection *peer;
  gint told;                    /* bytes, as the link counts */
} Pair;

static void
open_pair (Pair * self)
{
  g_autoptr (GSocketListener) listener = g_socket_listener_new ();
  g_autoptr (GSocketClient) client = g_socket_client_new ();
  guint16 port = g_socket_listener_add_any_inet_port (listener, NULL, NULL);

  g_socket_client_set_enable_proxy (client, FALSE);
  self->ours = g_socket_client_connect_to_host (client, "127.0.0.1", port,
      NULL, NULL);
  g_assert_nonnull (self->ours);
  self->peer = g_socket_listener_accept (listener, NULL, NULL, NULL);
  g_assert_nonnull (self->peer);
  /* Room for what is not read: more than a flood needs to be one */
  g_assert_true (g_socket_set_option (g_socket_connection_get_socket
          (self->ours), SOL_SOCKET, SO_RCVBUF, 4 * 1024 * 1024, NULL));
  self->told = 0;
  moshi_guard_add (g_socket_connection_get_socket (self->ours), &self->told);
}

static void
close_pair (Pair * self)
{
  moshi_guard_remove (g_socket_connection_get_socket (self->ours));
  g_object_unref (self->ours);
  g_object_unref (self->peer);
}

static gboolean
is_shut (Pair * self)
{
  return moshi_guard_has_shut (g_socket_connection_get_socket (self->ours));
}

static gboolean
say (Pair * self, gsize size)
{
  g_autofree gchar *bytes = g_malloc0 (size);

  return g_output_stream_write_all (g_io_stream_get_output_stream (G_IO_STREAM
          (self->peer)), bytes, size, NULL, NULL, NULL);
}

static gboolean
hear (Pair * self, gsize size)
{
  g_autofree gchar *bytes = g_malloc (size);

  return g_input_stream_read_all (g_io_stream_get_input_stream (G_IO_STREAM
          (self->ours)), bytes, size, NULL, NULL, NULL);
}

/* Says something that is heard, but for what is shut down meanwhile. */
static void
talk (Pair * self, gsize size)
{
  g_assert_true ((say (self, size) && hear (self, size)) || is_shut (self));
}

static void
flood (Pair * self)
{
  while (!is_shut (self)) {
    talk (self, 4096);
    g_usleep (1000);
  }
}

/* It is the one that is being read that has to go, not the one whose answers
 * pile up meanwhile, however many they are. */
static void
test_culprit (void)
{
  gsize waiting = 0;
  Pair pair, healthy;

  open_pair (&pair);
  open_pair (&healthy);
  while (!is_shut (&pair) && !is_shut (&healthy)) {
    talk (&pair, 8192);
    if (waiting < 1024 * 1024) {
      g_assert_true (say (&healthy, 16384));
      waiting += 16384;
    }
    g_usleep (10000);
  }
  g_assert_true (is_shut (&pair));
  g_assert_false (is_shut (&healthy));
  /* What it had to say is all there. */
  g_assert_true (hear (&healthy, waiting));
  close_pair (&pair);
  close_pair (&healthy);
}

/* What is shut down is not chosen again. */
static void
test_two_culprits (void)
{
  Pair one, other;

  open_pair (&one);
  open_pair (&other);
  flood (&one);
  g_assert_false (is_shut (&other));
  flood (&other);
  close_pair (&one);
  close_pair (&other);
}

/* A flood on a machine so slow that it would take eleven seconds to read what a
 * fast one reads in one: who cannot get round for long must not have read much
 * (here 24 KiB/s). */
static void
test_slow (void)
{
  gsize heard = 0;
  Pair pair;

  open_pair (&pair);
  while (!is_shut (&pair)) {
    talk (&pair, 1024);
    heard += 1024;
    g_usleep (40000);
  }
  g_assert_cmpuint (heard, <=, 128 * 1024);
  close_pair (&pair);
}

/* As slow, but somebody was told of most of it, and of a bit more than there was */
static void
test_told (void)
{
  const gint64 until = g_get_monotonic_time () + 6 * G_USEC_PER_SEC;
  Pair pair;

  open_pair (&pair);
  while (g_get_monotonic_time () < until) {
    talk (&pair, 1024);
    g_atomic_int_add (&pair.told, 1088);
    g_usleep (40000);
  }
  g_assert_false (is_shut (&pair));
  /* Of these nobody is told. */
  flood (&pair);
  close_pair (&pair);
}

/* Whoever gets round may read as much as there is. */
static void
test_gets_round (void)
{
  const gint64 until = g_get_monotonic_time () + 3 * G_USEC_PER_SEC;
  Pair pair;

  open_pair (&pair);
  while (g_get_monotonic_time () < until) {
    talk (&pair, 65536);
    moshi_guard_beat ();
    g_usleep (1000);
  }
  g_assert_false (is_shut (&pair));
  close_pair (&pair);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#ifndef __linux__
  g_print ("1..0 # SKIP only Linux tells how much has come\n");
  return 0;
#endif
  g_test_add_func ("/guard/culprit", test_culprit);
  g_test_add_func ("/guard/two-culprits", test_two_culprits);
  g_test_add_func ("/guard/slow", test_slow);
  g_test_add_func ("/guard/told", test_told);
  g_test_add_func ("/guard/gets-round", test_gets_round);
  return g_test_run ();
}
