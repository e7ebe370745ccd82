/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session/moshifault.h"
#include "session/moshinetwork.h"
#include "session/moshisendqueue.h"
#include "protocol/moshierror.h"
#include "watcher.h"

#include <string.h>

/* The send queue */

static void
test_queue_bound (void)
{
  MoshiSendQueue *queue = moshi_send_queue_new (100);
  g_autoptr (GBytes) packet = new_packet (1);
  g_autoptr (GBytes) junk = g_bytes_new_static ("", 0);
  guint64 queued, dropped;
  guint duration;
  gboolean wake;
  guint i;

  g_assert_false (moshi_send_queue_push (queue, packet, &wake));
  g_assert_false (wake);
  moshi_send_queue_open (queue);
  for (i = 0; i < 5; i++) {
    g_assert_true (moshi_send_queue_push (queue, packet, &wake));
    /* Whoever has been woken is not woken again before it has seen the end. */
    g_assert_true (wake == (i == 0));
  }
  g_assert_false (moshi_send_queue_push (queue, packet, &wake));
  g_assert_false (moshi_send_queue_push (queue, junk, &wake));
  moshi_send_queue_get_stats (queue, &queued, &dropped);
  g_assert_cmpuint (queued, ==, 5 * 960);
  g_assert_cmpuint (dropped, ==, 2 * 960);

  for (i = 0; i < 5; i++) {
    GBytes *pulled = moshi_send_queue_pull (queue, &duration);

    g_assert_true (pulled == packet);
    g_assert_cmpuint (duration, ==, 960);
    g_bytes_unref (pulled);
  }
  g_assert_true (moshi_send_queue_push (queue, packet, &wake));
  g_assert_false (wake);
  g_bytes_unref (moshi_send_queue_pull (queue, &duration));
  g_assert_null (moshi_send_queue_pull (queue, &duration));
  g_assert_true (moshi_send_queue_push (queue, packet, &wake));
  g_assert_true (wake);
  moshi_send_queue_free (queue);
}

static void
test_queue_clear (void)
{
  MoshiSendQueue *queue = moshi_send_queue_new (100);
  g_autoptr (GBytes) packet = new_packet (1);
  guint64 queued, dropped;
  gboolean wake;

  moshi_send_queue_open (queue);
  moshi_send_queue_push (queue, packet, &wake);
  moshi_send_queue_shut (queue);
  g_assert_false (moshi_send_queue_is_empty (queue));
  g_assert_false (moshi_send_queue_push (queue, packet, &wake));
  moshi_send_queue_clear (queue);
  g_assert_true (moshi_send_queue_is_empty (queue));
  moshi_send_queue_get_stats (queue, &queued, &dropped);
  g_assert_cmpuint (queued, ==, 0);
  g_assert_cmpuint (dropped, ==, 2 * 960);
  moshi_send_queue_open (queue);
  g_assert_true (moshi_send_queue_push (queue, packet, &wake));
  g_assert_true (wake);
  moshi_send_queue_free (queue);
}

/* The network thread */

static gboolean
on_count (gpointer user_data)
{
  g_atomic_int_inc ((gint *) user_data);
  return G_SOURCE_REMOVE;
}

static gboolean
on_unref (gpointer user_data)
{
  MoshiNetwork *network = user_data;

  g_assert_true (moshi_network_is_current (network));
  g_assert_true (g_main_context_is_owner (moshi_network_get_context (network)));
  moshi_network_unref (network);
  return G_SOURCE_REMOVE;
}

static void
test_network_shared (void)
{
  MoshiNetwork *first = moshi_network_get ();
  MoshiNetwork *second = moshi_network_get ();

  g_assert_true (first == second);
  g_assert_false (moshi_network_is_current (first));
  moshi_network_unref (first);
  moshi_network_invoke (second, on_unref, second, NULL);
  wait_until_threads_are_gone ();
}

static gpointer
get_and_drop (gpointer user_data)
{
  guint i;

  for (i = 0; i < 300; i++) {
    MoshiNetwork *network = moshi_network_get ();

    moshi_network_invoke (network, on_count, user_data, NULL);
    if (i % 3 == 0)
      moshi_network_invoke (network, on_unref, moshi_network_ref (network),
          NULL);
    moshi_network_unref (network);
  }
  return NULL;
}

/* Nothing that was handed in is lost, wherever the last reference goes. */
static void
test_network_races (void)
{
  GThread *threads[4];
  gint64 until;
  gint count = 0;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("get-and-drop", get_and_drop, &count);
  for (i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  /* A thread that has just been made has no name yet to be found by. */
  until = g_get_monotonic_time () + 60 * G_TIME_SPAN_SECOND;
  while (g_atomic_int_get (&count) < 4 * 300) {
    g_assert_cmpint (g_get_monotonic_time (), <, until);
    g_usleep (1000);
  }
  wait_until_threads_are_gone ();
  g_assert_cmpint (g_atomic_int_get (&count), ==, 4 * 300);
}

typedef struct
{
  MoshiNetwork *network;
  gint n_done;                  /* atomic */
} Line;

static gboolean
on_turn (gpointer user_data)
{
  Line *self = user_data;
  const gint n = g_atomic_int_add (&self->n_done, 1);

  /* What is handed in from within comes behind what there is. */
  if (n % 10 == 0)
    moshi_network_invoke (self->network, on_turn, self, NULL);
  g_assert_cmpint (g_atomic_int_get (&self->n_done), ==, n + 1);
  return G_SOURCE_REMOVE;
}

static gboolean
on_place (gpointer user_data)
{
  static gint next = 0;

  g_assert_cmpint (GPOINTER_TO_INT (user_data), ==, next);
  next++;
  return G_SOURCE_REMOVE;
}

static gpointer
hand_in_turns (gpointer user_data)
{
  Line *line = user_data;
  guint i;

  for (i = 0; i < 1000; i++)
    moshi_network_invoke (line->network, on_turn, line, NULL);
  return NULL;
}

/* In the order they were handed in, one after the other, whoever else does. */
static void
test_network_order (void)
{
  Line line = { moshi_network_get (), 0 };
  GThread *thread = g_thread_new ("turns", hand_in_turns, &line);
  const gint64 until = g_get_monotonic_time () + 60 * G_TIME_SPAN_SECOND;
  gint i;

  for (i = 0; i < 1000; i++)
    moshi_network_invoke (line.network, on_place, GINT_TO_POINTER (i), NULL);
  g_thread_join (thread);
  while (g_atomic_int_get (&line.n_done) < 1000 + 1000 / 9) {
    g_assert_cmpint (g_get_monotonic_time (), <, until);
    g_usleep (1000);
  }
  moshi_network_invoke (line.network, on_unref, line.network, NULL);
  wait_until_threads_are_gone ();
}

static void
assert_within (MoshiStrand * strand)
{
  g_assert_true (moshi_network_is_current (moshi_strand_get_network (strand)));
  g_assert_true (g_main_context_get_thread_default ()
      == moshi_strand_get_context (strand));
  g_assert_false (moshi_strand_enter (strand));
}

typedef struct
{
  MoshiStrand *strand;
  gint n;                       /* atomic: pulses felt */
  gint last;                    /* at this one it leaves; 0: never */
} Heart;

#define N_HEARTS 50

static void
on_beat (gpointer data)
{
  Heart *self = data;

  assert_within (self->strand);
  if (g_atomic_int_add (&self->n, 1) + 1 == self->last)
    moshi_strand_remove_pulse (self->strand, self);
}

static gboolean
add_hearts (gpointer data)
{
  Heart *hearts = data;
  guint i;

  for (i = 0; i < N_HEARTS; i++)
    moshi_strand_add_pulse (hearts[i].strand, on_beat, &hearts[i]);
  return G_SOURCE_REMOVE;
}

static gboolean
remove_hearts (gpointer data)
{
  Heart *hearts = data;
  guint i;

  for (i = 0; i < N_HEARTS; i++) {
    moshi_strand_remove_pulse (hearts[i].strand, &hearts[i]);
    moshi_strand_unref (hearts[i].strand);
  }
  return G_SOURCE_REMOVE;
}

/* All feel it, who leaves meanwhile no more, and those who stay as before. */
static void
test_network_pulse (void)
{
  const gint64 until = g_get_monotonic_time () + 60 * G_TIME_SPAN_SECOND;
  Heart hearts[N_HEARTS];
  guint i;

  for (i = 0; i < N_HEARTS; i++) {
    hearts[i].strand = moshi_strand_new (NULL);
    hearts[i].n = 0;
    hearts[i].last = i % 5;
  }
  moshi_strand_invoke (hearts[0].strand, add_hearts, hearts, NULL);
  for (i = 0; i < N_HEARTS; i++) {
    while (g_atomic_int_get (&hearts[i].n) <
        (hearts[i].last ? hearts[i].last : 10)) {
      g_assert_cmpint (g_get_monotonic_time (), <, until);
      g_usleep (1000);
    }
  }
  moshi_strand_invoke (hearts[0].strand, remove_hearts, hearts, NULL);
  wait_until_threads_are_gone ();
  for (i = 0; i < N_HEARTS; i++)
    if (i % 5)
      g_assert_cmpint (hearts[i].n, ==, hearts[i].last);
}

/* Words of others */

static const struct
{
  const gchar *text;
  gssize size;
  glong max;
  const gchar *quoted;
} quotes[] = {
  {"", 0, 10, ""},
  {"plain", -1, 10, "plain"},
  {"plain", 2, 10, "pl"},
  {"too long", -1, 3, "too"},
  {"too long", -1, 4, "too"},
  {"too long", -1, 6, "too"},
  {"toolong", -1, 3, "too"},
  {"  a \t\r\n b  ", -1, 20, "a b"},
  {"a\0b", 3, 10, "a\xef\xbf\xbd" "b"},
  {"\xff", -1, 10, "\xef\xbf\xbd"},
  {"\xc3\xa9\xc3\xa9\xc3\xa9", -1, 2, "\xc3\xa9\xc3\xa9"},
  {"\x1b[31mred", -1, 10, "[31mred"},
};

static void
test_quote (void)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (quotes); i++) {
    g_autofree gchar *quoted = moshi_fault_quote (quotes[i].text,
        quotes[i].size, quotes[i].max);

    g_assert_cmpstr (quoted, ==, quotes[i].quoted);
  }
}

/* Every close code there can be has a code, a sentence and a hint. */
static void
test_close_codes (void)
{
  guint code;

  for (code = 1000; code < 5000; code++) {
    g_autoptr (MoshiFault) fault = moshi_fault_new_close (NULL, code, "why\n");

    g_assert_error (fault->error, MOSHI_ERROR, MOSHI_ERROR_LOST);
    g_assert_cmpuint (fault->close_code, ==, code);
    g_assert_false (fault->final);
    g_assert_true (g_str_has_suffix (fault->error->message, "."));
    g_assert_true (code == 1006 || strstr (fault->error->message, ": why;"));
  }
}

static void
test_http_statuses (void)
{
  guint status;

  for (status = 100; status < 600; status++) {
    g_autoptr (MoshiFault) fault = moshi_fault_new_http (status, NULL, NULL,
        NULL);

    g_assert_cmpuint (fault->http_status, ==, status);
    g_assert_true (fault->final == (status < 500));
  }
}

int
main (int argc, char **argv)
{
  session_test_init (&argc, &argv);
  g_test_add_func ("/queue/bound", test_queue_bound);
  g_test_add_func ("/queue/clear", test_queue_clear);
  g_test_add_func ("/network/shared", test_network_shared);
  g_test_add_func ("/network/races", test_network_races);
  g_test_add_func ("/network/order", test_network_order);
  g_test_add_func ("/network/pulse", test_network_pulse);
  g_test_add_func ("/fault/quote", test_quote);
  g_test_add_func ("/fault/close-codes", test_close_codes);
  g_test_add_func ("/fault/http-statuses", test_http_statuses);
  return g_test_run ();
}
