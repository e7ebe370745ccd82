/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "protocol/moshijitter.h"

#include <math.h>

#define MS(n) ((gint64) ((n) * 48))

/* A network: steps of 80 ms, in packets of so many ms, `drift` longer than by
 * our clock, each late by something of the mean given. Returns: the last time */
static gint64
receive (MoshiJitter * self, GRand * random, guint n, guint packet,
    gdouble drift, gdouble mean)
{
  gdouble now = 0, last = 0;
  guint i, k;

  for (i = 0; i < n; i++) {
    now = MS (150) + i * (1 - drift) * (gdouble) MS (80);
    if (mean > 0)
      now -= log (1 - g_rand_double (random)) * mean * 48;
    last = MAX (last, now);
    for (k = 0; k < 80; k += packet)
      moshi_jitter_arrive (self, packet * 48, (gint64) last);
  }
  return (gint64) last;
}

/* Without jitter the base is where packets are, however they are cut, and next
 * to nothing is wanted beyond it. */
static void
test_steady (void)
{
  static const guint packets[] = { 20, 40, 80 };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (packets); i++) {
    g_autoptr (MoshiJitter) self = moshi_jitter_new ();
    gint64 now = receive (self, NULL, 1000, packets[i], 0, 0);

    g_assert_cmpint (moshi_jitter_get_base (self, now), ==, MS (150));
    g_assert_cmpint (moshi_jitter_get_spread (self), <=, MS (5));
  }
}

/* Of jitter that dies away with its mean all but few packets are within. */
static void
test_spread (void)
{
  static const gint means[] = { 2, 5, 10, 20, 50 };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (means); i++) {
    g_autoptr (GRand) random = g_rand_new_with_seed (7 + i);
    g_autoptr (MoshiJitter) self = moshi_jitter_new ();
    gint64 now = receive (self, random, 2000, 80, 0, means[i]);

    g_assert_cmpint (ABS (moshi_jitter_get_base (self, now) - MS (150)), <,
        MS (means[i]) / 5 + 48);
    g_assert_cmpint (moshi_jitter_get_spread (self), >, MS (3.5) * means[i]);
    g_assert_cmpint (moshi_jitter_get_spread (self), <, MS (9) * means[i]);
    g_assert_cmpfloat (moshi_jitter_get_calm (self,
            moshi_jitter_get_spread (self)), >, 1);
    g_assert_cmpfloat (moshi_jitter_get_calm (self,
            moshi_jitter_get_spread (self) / 2), <, 0.65);
  }
}

/* What is late already is later still, where few packets are very late; where all
 * are a little late it tells nothing. */
static void
test_risk (void)
{
  static const struct
  {
    gint jitter, spike;
    gint delay, hand;
    gdouble least, most;
  } cases[] = {
    {10, 0, 100, 100, 0, 0.01},
    {10, 0, 100, 60, 0, 0.1},
    {10, 150, 100, 100, 0.005, 0.03},
    {10, 150, 100, 60, 0.2, 1},
    {10, 150, 240, 240, 0, 0.005},
    {0, 0, 4, 4, 0, 0.01},
    {0, 0, 40, 1, 0.1, 1},
  };
  guint i, k;

  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GRand) random = g_rand_new_with_seed (11);
    g_autoptr (MoshiJitter) self = moshi_jitter_new ();
    gdouble risk;

    for (k = 0; k < 380; k++) {
      gdouble late = -log (1 - g_rand_double (random)) * cases[i].jitter;

      if (k % 50 == 49)
        late += cases[i].spike;
      moshi_jitter_arrive (self, MS (80), MS (80) * k + (gint64) (late * 48));
    }
    risk = moshi_jitter_get_risk (self, MS (cases[i].delay),
        MS (cases[i].hand));
    g_test_message ("case %u: %.3f", i, risk);
    g_assert_cmpfloat (risk, >=, cases[i].least);
    g_assert_cmpfloat (risk, <=, cases[i].most);
  }
}

/* A base that moves by the clocks is followed, not taken for jitter. */
static void
test_drift (void)
{
  static const gdouble drifts[] = { -0.02, -0.005, 0.005, 0.02 };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (drifts); i++) {
    g_autoptr (GRand) random = g_rand_new_with_seed (5);
    g_autoptr (MoshiJitter) self = moshi_jitter_new ();
    gint64 now = receive (self, random, 7500, 80, drifts[i], 5);
    gint64 base = (gint64) (MS (150) - 7500 * drifts[i] * MS (80));

    g_assert_cmpint (ABS (moshi_jitter_get_base (self, now) - base), <, MS (5));
    g_assert_cmpint (moshi_jitter_get_spread (self), <, MS (70));
  }
}

/* A stall and what queued up behind it teach nothing; a path that stays later is
 * found out. */
static void
test_stall (void)
{
  g_autoptr (MoshiJitter) self = moshi_jitter_new ();
  gint64 now = receive (self, NULL, 500, 80, 0, 0), spread, at;
  guint i;

  spread = moshi_jitter_get_spread (self);
  for (i = 0; i < 12; i++)
    moshi_jitter_arrive (self, MS (80), now + MS (1000));
  g_assert_cmpint (moshi_jitter_get_spread (self), ==, spread);
  g_assert_cmpint (moshi_jitter_get_base (self, now), ==, MS (150));
  for (i = 0, at = now + MS (12 * 80); i < 100; i++)
    moshi_jitter_arrive (self, MS (80), (at += MS (80)) + MS (700));
  g_assert_cmpint (moshi_jitter_get_base (self, at), ==, MS (150 + 700));
  g_assert_cmpint (moshi_jitter_get_spread (self), <=, MS (5));
}

/* Another stream: what is known of the network stands until more is. */
static void
test_reset (void)
{
  g_autoptr (GRand) random = g_rand_new_with_seed (3);
  g_autoptr (MoshiJitter) self = moshi_jitter_new ();
  gint64 now = receive (self, random, 500, 80, 0, 20), spread;

  spread = moshi_jitter_get_spread (self);
  g_assert_false (moshi_jitter_is_new (self));
  moshi_jitter_reset (self);
  g_assert_true (moshi_jitter_is_new (self));
  g_assert_cmpint (moshi_jitter_get_spread (self), ==, spread);
  moshi_jitter_arrive (self, MS (40), now + MS (5000));
  g_assert_cmpint (moshi_jitter_get_spread (self), ==, spread);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/jitter/steady", test_steady);
  g_test_add_func ("/jitter/spread", test_spread);
  g_test_add_func ("/jitter/risk", test_risk);
  g_test_add_func ("/jitter/drift", test_drift);
  g_test_add_func ("/jitter/stall", test_stall);
  g_test_add_func ("/jitter/reset", test_reset);
  return g_test_run ();
}
