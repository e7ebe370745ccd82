/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "protocol/moshirenewal.h"

#define SECOND G_GUINT64_CONSTANT (48000)
#define FRAME G_GUINT64_CONSTANT (3840)

/* What is known, and what of it counts. */
static const struct
{
  const gchar *name;
  guint limit_ms;
  guint max_steps;
  MoshiGreeting greeting;
  guint64 limit;
} limits[] = {
  {"nothing", 0, 0, MOSHI_GREETING_PLAIN, 0},
  {"users", 60000, 0, MOSHI_GREETING_PLAIN, 60 * SECOND},
  {"backend", 0, 0, MOSHI_GREETING_METADATA, 4500 * FRAME},
  {"server", 0, 0, MOSHI_GREETING_VERSIONS, 4096 * FRAME},
  {"steps", 0, 1000, MOSHI_GREETING_METADATA, 1000 * FRAME},
  {"too-many-steps", 0, 9000, MOSHI_GREETING_METADATA, 4500 * FRAME},
  {"steps-not-read", 0, 1000, MOSHI_GREETING_PLAIN, 0},
  {"steps-not-read-either", 0, 1000, MOSHI_GREETING_VERSIONS, 4096 * FRAME},
  {"users-is-shorter", 60000, 1000, MOSHI_GREETING_METADATA, 60 * SECOND},
  {"users-is-longer", 600000, 0, MOSHI_GREETING_METADATA, 4500 * FRAME},
};

static void
test_limits (void)
{
  MoshiRenewal renewal;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (limits); i++) {
    g_test_message ("%s", limits[i].name);
    moshi_renewal_init (&renewal, limits[i].limit_ms, limits[i].max_steps);
    g_assert_cmpuint (moshi_renewal_get_limit (&renewal, limits[i].greeting),
        ==, limits[i].limit);
  }
}

static guint64
learn (guint64 first, guint64 second)
{
  MoshiRenewal renewal;

  moshi_renewal_init (&renewal, 0, 0);
  moshi_renewal_learn (&renewal, first);
  if (second)
    moshi_renewal_learn (&renewal, second);
  return moshi_renewal_get_limit (&renewal, MOSHI_GREETING_PLAIN);
}

/* One end far into a session is its limit; an early one only if the next
 * session ends at the same length. */
static void
test_learning (void)
{
  g_assert_cmpuint (learn (4000 * FRAME, 0), ==, 4000 * FRAME);
  g_assert_cmpuint (learn (4500 * FRAME, 0), ==, 4500 * FRAME);
  g_assert_cmpuint (learn (3800 * FRAME, 0), ==, 0);
  g_assert_cmpuint (learn (5000 * FRAME, 0), ==, 0);
  g_assert_cmpuint (learn (60 * SECOND, 0), ==, 0);
  g_assert_cmpuint (learn (60 * SECOND, 60 * SECOND), ==, 60 * SECOND);
  g_assert_cmpuint (learn (60 * SECOND, 61 * SECOND), ==, 60 * SECOND);
  g_assert_cmpuint (learn (61 * SECOND, 60 * SECOND), ==, 60 * SECOND);
  g_assert_cmpuint (learn (60 * SECOND, 63 * SECOND), ==, 0);
  g_assert_cmpuint (learn (5 * SECOND, 5 * SECOND), ==, 0);
}

static void
check_plan (guint64 limit)
{
  MoshiRenewalPlan plan, again;

  g_assert_true (moshi_renewal_plan (limit, &plan));
  g_assert_cmpuint (plan.latest, <, limit);
  g_assert_cmpuint (plan.latest % FRAME, ==, 0);
  g_assert_cmpuint (plan.from, <=, plan.latest);
  g_assert_cmpuint (plan.open, <=, plan.from);
  g_assert_true (moshi_renewal_plan (limit, &again));
  g_assert_cmpmem (&plan, sizeof plan, &again, sizeof again);
}

/* In order, in whole frames, before the limit; and so far before it that the
 * last answers can be fetched, where there is room for that. */
static void
test_plan (void)
{
  MoshiRenewalPlan plan;
  guint64 limit;

  for (limit = 2 * FRAME; limit < 400 * SECOND; limit += 12347)
    check_plan (limit);
  check_plan (G_MAXUINT * G_GUINT64_CONSTANT (48));

  g_assert_true (moshi_renewal_plan (60 * SECOND, &plan));
  g_assert_cmpuint (60 * SECOND - plan.latest, >=, 1 * SECOND);
  g_assert_cmpuint (plan.from - plan.open, >=, 9 * SECOND);
  g_assert_true (moshi_renewal_plan (4500 * FRAME, &plan));
  g_assert_cmpuint (plan.open, >=, 300 * SECOND);

  g_assert_false (moshi_renewal_plan (0, &plan));
  g_assert_false (moshi_renewal_plan (FRAME, &plan));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/renewal/limits", test_limits);
  g_test_add_func ("/renewal/learning", test_learning);
  g_test_add_func ("/renewal/plan", test_plan);
  return g_test_run ();
}
