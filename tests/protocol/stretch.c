/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "protocol/moshistretch.h"

#include <math.h>

static const guint rates[] = { 8000, 12000, 16000, 24000, 48000 };

#define N 4096

/* A voice: pulses that die away, of that many samples each */
static void
make_voice (gfloat * samples, guint period)
{
  guint i;

  for (i = 0; i < N; i++) {
    gfloat age = (gfloat) (i % period) / (gfloat) period;

    samples[i] = 0.5f * expf (-4 * age) * cosf (30 * age);
  }
}

/* The period of a voice is found at any rate, and is whole samples at all. */
static void
test_period (void)
{
  gfloat samples[N];
  guint i, ms;

  for (i = 0; i < G_N_ELEMENTS (rates); i++) {
    for (ms = 3; ms <= 12; ms++) {
      make_voice (samples, ms * rates[i] / 1000);
      g_assert_cmpuint (moshi_stretch_find_period (samples, N, rates[i], N,
              0.6, 0) % (ms * rates[i] / 1000), ==, 0);
      g_assert_cmpuint (moshi_stretch_find_period (samples, N, rates[i], N,
              0.6, 0), >, 0);
    }
  }
}

/* Where there is no time it is as many periods as there may be, if they are about
 * as alike. */
static void
test_longest (void)
{
  gfloat samples[N];
  guint ms;

  for (ms = 3; ms <= 12; ms++) {
    make_voice (samples, ms * 24);
    g_assert_cmpuint (moshi_stretch_find_period (samples, N, 24000, N, 0.6,
            0.1), >=, 12 / ms * ms * 24);
  }
}

/* Never longer than wanted, nor than half of what is there. */
static void
test_limits (void)
{
  gfloat samples[N] = { 0 };
  gsize n, most;

  for (n = 0; n < 700; n += 13) {
    for (most = 0; most < 700; most += 17) {
      gsize period =
          moshi_stretch_find_period (samples, n, 48000, most, 0.6, 0);

      g_assert_cmpuint (period, <=, most);
      g_assert_cmpuint (2 * period, <=, n);
      g_assert_cmpuint (period, <=, MOSHI_STRETCH_MAX_PERIOD);
    }
  }
}

/* Silence is alike at any lag; what turns over at once is not. */
static void
test_likeness (void)
{
  gfloat samples[N] = { 0 };
  guint i;

  g_assert_cmpuint (moshi_stretch_find_period (samples, N, 24000, N, 0.6, 0), >,
      0);
  for (i = 0; i < N; i++)
    samples[i] = i < 60 ? 0.5f : -0.5f;
  g_assert_cmpuint (moshi_stretch_find_period (samples, N, 24000, N, 0.6, 0),
      ==, 0);
}

/* Returns: by how much a second was changed, by 8 ms at a time */
static guint
play (MoshiStretch * self, gint pace)
{
  guint change = 0, i;

  for (i = 0; i < 50; i++) {
    if (moshi_stretch_may_change (self, 960, pace)) {
      moshi_stretch_changed (self, 384);
      change += 384;
    }
  }
  return change;
}

/* The pace is kept: at once, on credit, and no faster, whichever way it goes. */
static void
test_pace (void)
{
  MoshiStretch self = { 0 };
  guint change = 0, i;

  g_assert_true (moshi_stretch_may_change (&self, 960, 50));
  self.credit = self.pace = 0;
  g_assert_cmpuint (play (&self, 0), ==, 0);
  g_assert_cmpuint (play (&self, 50), >=, 2400 - 384);
  g_assert_cmpuint (play (&self, -50), <=, 2400 + 384);
  g_assert_cmpuint (play (&self, 250), <=, 12000 + 384);
  for (i = 0; i < 500; i++) {
    if (moshi_stretch_may_change (&self, 960, i % 2 ? 50 : -50)) {
      moshi_stretch_changed (&self, 384);
      change += 384;
    }
  }
  g_assert_cmpuint (change, <=, 24000 + 384);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/stretch/period", test_period);
  g_test_add_func ("/stretch/longest", test_longest);
  g_test_add_func ("/stretch/limits", test_limits);
  g_test_add_func ("/stretch/likeness", test_likeness);
  g_test_add_func ("/stretch/pace", test_pace);
  return g_test_run ();
}
