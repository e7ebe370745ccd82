/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The named conversations of a process */
#include "session/moshisessions.h"

#include <string.h>

#include "protocol/moshierror.h"

static gint n_made;             /* atomic */
static gint n_ended;            /* atomic */

static gpointer
make (void)
{
  g_atomic_int_inc (&n_made);
  return g_new0 (gint, 1);
}

static void
end (gpointer shared)
{
  g_atomic_int_inc (&n_ended);
  g_free (shared);
}

static void
reset (void)
{
  g_atomic_int_set (&n_made, 0);
  g_atomic_int_set (&n_ended, 0);
}

static gpointer
join (const gchar * name, MoshiSessionsRole role)
{
  g_autoptr (GError) error = NULL;
  gpointer shared = moshi_sessions_join (name, role, make, end, &error);

  g_assert_no_error (error);
  g_assert_nonnull (shared);
  return shared;
}

/* Both halves meet, whoever is first; what they share lives as long as one of
 * them does. */
static void
test_meet (gconstpointer data)
{
  const MoshiSessionsRole first = GPOINTER_TO_INT (data);
  const MoshiSessionsRole second = 1 - first;
  gpointer shared;

  reset ();
  shared = join ("a", first);
  g_assert_true (join ("a", second) == shared);
  moshi_sessions_leave ("a", first);
  g_assert_cmpint (n_ended, ==, 0);
  g_assert_true (join ("a", first) == shared);
  moshi_sessions_leave ("a", second);
  moshi_sessions_leave ("a", first);
  g_assert_cmpint (n_made, ==, 1);
  g_assert_cmpint (n_ended, ==, 1);

  /* The name is free again: another conversation. */
  join ("a", second);
  g_assert_cmpint (n_made, ==, 2);
  moshi_sessions_leave ("a", second);
  g_assert_cmpint (n_ended, ==, 2);
}

static void
assert_taken (const gchar * name, MoshiSessionsRole role, const gchar * element)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (moshi_sessions_join (name, role, make, end, &error));
  g_assert_error (error, MOSHI_ERROR, MOSHI_ERROR_SETTINGS);
  g_assert_nonnull (strstr (error->message, name));
  g_assert_nonnull (strstr (error->message, element));
}

static void
test_taken (void)
{
  reset ();
  join ("popular", MOSHI_SESSIONS_SPEAKS);
  assert_taken ("popular", MOSHI_SESSIONS_SPEAKS, "moshisink");
  join ("popular", MOSHI_SESSIONS_LISTENS);
  assert_taken ("popular", MOSHI_SESSIONS_LISTENS, "moshisrc");
  assert_taken ("popular", MOSHI_SESSIONS_SPEAKS, "moshisink");
  moshi_sessions_leave ("popular", MOSHI_SESSIONS_SPEAKS);
  assert_taken ("popular", MOSHI_SESSIONS_LISTENS, "moshisrc");
  join ("popular", MOSHI_SESSIONS_SPEAKS);
  moshi_sessions_leave ("popular", MOSHI_SESSIONS_SPEAKS);
  moshi_sessions_leave ("popular", MOSHI_SESSIONS_LISTENS);
  g_assert_cmpint (n_made, ==, 1);
  g_assert_cmpint (n_ended, ==, 1);
}

/* Names are told apart byte by byte, whatever is in them. */
static void
test_names (void)
{
  static const gchar *const names[] = { "", "a", "A", "a ", "\xc3\xa4",
    "a\xcc\x88", "\xff"
  };
  gpointer shared[G_N_ELEMENTS (names)];
  guint i, k;

  reset ();
  for (i = 0; i < G_N_ELEMENTS (names); i++) {
    shared[i] = join (names[i], MOSHI_SESSIONS_SPEAKS);
    for (k = 0; k < i; k++)
      g_assert_true (shared[i] != shared[k]);
  }
  for (i = 0; i < G_N_ELEMENTS (names); i++)
    g_assert_true (join (names[i], MOSHI_SESSIONS_LISTENS) == shared[i]);
  for (i = 0; i < G_N_ELEMENTS (names); i++) {
    moshi_sessions_leave (names[i], MOSHI_SESSIONS_SPEAKS);
    moshi_sessions_leave (names[i], MOSHI_SESSIONS_LISTENS);
  }
  g_assert_cmpint (n_ended, ==, (gint) G_N_ELEMENTS (names));
}

/* Who never joined may leave all the same. */
static void
test_leave_unknown (void)
{
  reset ();
  moshi_sessions_leave ("nobody", MOSHI_SESSIONS_SPEAKS);
  join ("somebody", MOSHI_SESSIONS_SPEAKS);
  moshi_sessions_leave ("nobody", MOSHI_SESSIONS_LISTENS);
  g_assert_cmpint (n_ended, ==, 0);
  moshi_sessions_leave ("somebody", MOSHI_SESSIONS_SPEAKS);
  g_assert_cmpint (n_ended, ==, 1);
}

#define N_ROUNDS 20000

/* Each role is one thread's at a time: they count together in what they share,
 * and find it theirs as long as they hold it. */
static gpointer
come_and_go (gpointer data)
{
  const MoshiSessionsRole role = GPOINTER_TO_INT (data) % 2;
  const gchar *name = GPOINTER_TO_INT (data) < 2 ? "x" : "y";
  guint i, joined = 0;

  for (i = 0; i < N_ROUNDS; i++) {
    gint *shared = join (name, role);

    g_assert_cmpint (g_atomic_int_add (shared, 1), <, 2);
    g_atomic_int_add (shared, -1);
    moshi_sessions_leave (name, role);
    joined++;
  }
  return GUINT_TO_POINTER (joined);
}

static void
test_threads (void)
{
  GThread *threads[4];
  guint i;

  reset ();
  for (i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("comes", come_and_go, GUINT_TO_POINTER (i));
  for (i = 0; i < G_N_ELEMENTS (threads); i++)
    g_assert_cmpuint (GPOINTER_TO_UINT (g_thread_join (threads[i])), ==,
        N_ROUNDS);
  g_assert_cmpint (n_made, ==, n_ended);
  g_assert_cmpint (n_made, >=, 2);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/sessions/meet/sink-first",
      GINT_TO_POINTER (MOSHI_SESSIONS_SPEAKS), test_meet);
  g_test_add_data_func ("/sessions/meet/src-first",
      GINT_TO_POINTER (MOSHI_SESSIONS_LISTENS), test_meet);
  g_test_add_func ("/sessions/taken", test_taken);
  g_test_add_func ("/sessions/names", test_names);
  g_test_add_func ("/sessions/leave-unknown", test_leave_unknown);
  g_test_add_func ("/sessions/threads", test_threads);
  return g_test_run ();
}
