/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any events at any times. Whatever comes: no attempt is begun while there is
 * a connection, none is left behind, it ends once and for all, no timer spins,
 * and no more is tried than the user allowed.
 */
#include "fuzz.h"
#include "protocol/moshilife.h"

#define MAX_STEPS 2000

/* More timers than this at one moment are a loop. */
#define MAX_TIMERS 8

typedef struct
{
  MoshiLife *life;
  MoshiLifeConfig config;
  gint64 now;
  gboolean linked;              /* an attempt or a connection is there */
  gboolean over;
  guint tries;                  /* since the last session began */
} Watch;

static void
check_over (Watch * self, MoshiLifeAction actions)
{
  g_assert_cmpint (actions, ==, MOSHI_LIFE_DO_NOTHING);
  g_assert_cmpint (moshi_life_get_state (self->life), ==, MOSHI_LIFE_CLOSED);
  g_assert_cmpint (moshi_life_get_deadline (self->life), ==, -1);
}

static void
note_connect (Watch * self, MoshiLifeAction actions, MoshiLifeEvent event)
{
  /* The close that goes with it lets the old one go */
  g_assert_true (!self->linked || (actions & MOSHI_LIFE_DO_CLOSE) != 0);
  self->linked = TRUE;
  self->tries = event == MOSHI_LIFE_RESTART ? 1 : self->tries + 1;
  if (self->config.retries >= 0)
    g_assert_cmpuint (self->tries, <=, self->config.retries + 1);
}

static void
carry_out (Watch * self, MoshiLifeEvent event, MoshiLifeAction actions)
{
  gboolean fails = (actions & MOSHI_LIFE_DO_FAIL) != 0;
  gboolean finishes = (actions & MOSHI_LIFE_DO_FINISH) != 0;

  g_assert_false (fails && finishes);
  if ((actions & MOSHI_LIFE_DO_ABORT) != 0)
    self->linked = FALSE;
  if ((actions & MOSHI_LIFE_DO_CLOSE) != 0)
    g_assert_true (self->linked);
  if ((actions & MOSHI_LIFE_DO_CONNECT) != 0)
    note_connect (self, actions, event);
  if ((actions & MOSHI_LIFE_DO_START) != 0) {
    g_assert_true (self->linked);
    g_assert_cmpint (event, ==, MOSHI_LIFE_HANDSHAKE);
    self->tries = 0;
  }
  self->over = fails || finishes || event == MOSHI_LIFE_STOP;
  if (self->over)
    g_assert_false (self->linked);
}

static void
check_state (Watch * self)
{
  switch (moshi_life_get_state (self->life)) {
    case MOSHI_LIFE_CONNECTING:
    case MOSHI_LIFE_WAITING:
    case MOSHI_LIFE_READY:
    case MOSHI_LIFE_DRAINING:
      g_assert_true (self->linked);
      break;
    default:
      g_assert_false (self->linked);
  }
}

static void
handle (Watch * self, MoshiLifeEvent event, guint32 random)
{
  guint sessions = moshi_life_get_sessions (self->life);
  MoshiLifeAction actions =
      moshi_life_handle (self->life, event, self->now, random);

  if (self->over) {
    check_over (self, actions);
    return;
  }
  carry_out (self, event, actions);
  check_state (self);
  g_assert_cmpuint (moshi_life_get_sessions (self->life), ==,
      sessions + ((actions & MOSHI_LIFE_DO_START) != 0));
}

static void
run_timers (Watch * self, guint32 random)
{
  guint i;

  for (i = 0; i <= MAX_TIMERS; i++) {
    gint64 deadline = moshi_life_get_deadline (self->life);

    g_assert_cmpint (deadline, >=, -1);
    if (deadline < 0 || deadline > self->now)
      return;
    handle (self, MOSHI_LIFE_TIMER, random);
  }
  g_assert_not_reached ();
}

static void
step (Watch * self, FuzzInput * input)
{
  guint8 what = fuzz_byte (input);
  guint32 random = fuzz_byte (input) * 0x01010101u;

  /* From nothing over milliseconds to minutes */
  self->now += (gint64) fuzz_byte (input) << (what >> 4);
  run_timers (self, random);
  switch (what % 16) {
    case 14:
      moshi_life_fed (self->life, fuzz_u16 (input), self->now);
      break;
    case 15:
      moshi_life_heard (self->life, fuzz_u16 (input), self->now);
      break;
    default:
      handle (self, what % 16, random);
  }
}

int
LLVMFuzzerTestOneInput (const guint8 * data, size_t size)
{
  FuzzInput input = { data, size };
  Watch watch = { 0 };
  guint i;

  watch.config.connect_timeout = fuzz_byte (&input);
  watch.config.handshake_timeout = fuzz_byte (&input);
  watch.config.idle_timeout = fuzz_byte (&input);
  watch.config.close_timeout = fuzz_byte (&input);
  watch.config.retries = (gint) (fuzz_byte (&input) % 8) - 1;
  watch.config.backoff_max = fuzz_u16 (&input);
  watch.config.resume = fuzz_byte (&input) % 2;
  watch.life = moshi_life_new (&watch.config);

  for (i = 0; i < MAX_STEPS && input.size > 0; i++)
    step (&watch, &input);
  moshi_life_free (watch.life);
  return 0;
}
