/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "protocol/moshilife.h"

#define MS G_GINT64_CONSTANT (1000)
#define FRAME 3840              /* 80 ms at 48 kHz */
#define T0 (5000 * MS)
#define WHOLE G_MAXUINT32       /* keeps all of a backoff, but for 1 µs */
#define HALF 0                  /* keeps 50 % of it */

#define ABORT MOSHI_LIFE_DO_ABORT
#define CLOSE MOSHI_LIFE_DO_CLOSE
#define CONNECT MOSHI_LIFE_DO_CONNECT
#define START MOSHI_LIFE_DO_START
#define FAIL MOSHI_LIFE_DO_FAIL
#define FINISH MOSHI_LIFE_DO_FINISH
#define NOTHING MOSHI_LIFE_DO_NOTHING

static const MoshiLifeConfig defaults = {
  .connect_timeout = 100,
  .handshake_timeout = 200,
  .idle_timeout = 300,
  .close_timeout = 400,
  .retries = 3,
  .backoff_max = 30000,
  .resume = TRUE,
};

static const MoshiLifeConfig batch = {
  .connect_timeout = 100,
  .handshake_timeout = 200,
  .idle_timeout = 300,
  .close_timeout = 400,
  .retries = 3,
  .backoff_max = 30000,
  .resume = FALSE,
};

#define assert_step(life, event, now, actions, state) G_STMT_START { \
  g_assert_cmpint (moshi_life_handle (life, MOSHI_LIFE_ ## event, now, WHOLE), \
      ==, actions); \
  g_assert_cmpstr (moshi_life_state_nick (moshi_life_get_state (life)), ==, \
      state); \
} G_STMT_END

/* What leads from IDLE to each state */
static const struct
{
  const gchar *name;
  MoshiLifeEvent events[5];
  guint n;
} ways[] = {
  {"idle", {0}, 0},
  {"connecting", {MOSHI_LIFE_OPEN}, 1},
  {"waiting", {MOSHI_LIFE_OPEN, MOSHI_LIFE_UPGRADED}, 2},
  {"ready", {MOSHI_LIFE_OPEN, MOSHI_LIFE_UPGRADED,
          MOSHI_LIFE_HANDSHAKE}, 3},
  {"draining", {MOSHI_LIFE_OPEN, MOSHI_LIFE_UPGRADED,
          MOSHI_LIFE_HANDSHAKE, MOSHI_LIFE_CLOSE}, 4},
  {"lost", {MOSHI_LIFE_OPEN, MOSHI_LIFE_FAILED}, 2},
  {"closed", {MOSHI_LIFE_OPEN, MOSHI_LIFE_STOP}, 2},
};

static MoshiLife *
bring (const gchar * name, const MoshiLifeConfig * config)
{
  MoshiLife *life = moshi_life_new (config);
  guint i, j;

  for (i = 0; i < G_N_ELEMENTS (ways); i++) {
    if (!g_str_equal (ways[i].name, name))
      continue;
    for (j = 0; j < ways[i].n; j++)
      moshi_life_handle (life, ways[i].events[j], T0, WHOLE);
    g_assert_cmpstr (moshi_life_state_nick (moshi_life_get_state (life)), ==,
        name);
    return life;
  }
  g_assert_not_reached ();
}

/* The whole table, with resume: what each event does in each state. Left out
 * are the pairs that do nothing, which test_ignored() goes through. */
static const struct
{
  const gchar *from;
  MoshiLifeEvent event;
  gint actions;
  const gchar *to;
} steps[] = {
  {"idle", MOSHI_LIFE_OPEN, CONNECT, "connecting"},
  {"idle", MOSHI_LIFE_CLOSE, ABORT | FINISH, "closed"},
  {"idle", MOSHI_LIFE_REFUSED, ABORT | FAIL, "closed"},
  {"idle", MOSHI_LIFE_STOP, ABORT, "closed"},
  {"connecting", MOSHI_LIFE_UPGRADED, NOTHING, "waiting"},
  {"connecting", MOSHI_LIFE_CLOSE, ABORT | FINISH, "closed"},
  {"connecting", MOSHI_LIFE_FAILED, ABORT, "lost"},
  {"connecting", MOSHI_LIFE_REFUSED, ABORT | FAIL, "closed"},
  {"connecting", MOSHI_LIFE_PEER_CLOSED, ABORT, "lost"},
  {"connecting", MOSHI_LIFE_STOP, ABORT, "closed"},
  {"waiting", MOSHI_LIFE_HANDSHAKE, START, "ready"},
  {"waiting", MOSHI_LIFE_CLOSE, CLOSE, "draining"},
  {"waiting", MOSHI_LIFE_FAILED, ABORT, "lost"},
  {"waiting", MOSHI_LIFE_REFUSED, ABORT | FAIL, "closed"},
  {"waiting", MOSHI_LIFE_PEER_CLOSED, ABORT, "lost"},
  {"waiting", MOSHI_LIFE_STOP, ABORT, "closed"},
  {"ready", MOSHI_LIFE_CLOSE, CLOSE, "draining"},
  {"ready", MOSHI_LIFE_RESTART, CLOSE | CONNECT, "connecting"},
  {"ready", MOSHI_LIFE_FAILED, ABORT, "lost"},
  {"ready", MOSHI_LIFE_REFUSED, ABORT | FAIL, "closed"},
  {"ready", MOSHI_LIFE_PEER_CLOSED, ABORT, "lost"},
  {"ready", MOSHI_LIFE_STOP, ABORT, "closed"},
  {"draining", MOSHI_LIFE_FAILED, ABORT | FINISH, "closed"},
  {"draining", MOSHI_LIFE_REFUSED, ABORT | FINISH, "closed"},
  {"draining", MOSHI_LIFE_PEER_CLOSED, ABORT | FINISH, "closed"},
  {"draining", MOSHI_LIFE_STOP, ABORT, "closed"},
  {"lost", MOSHI_LIFE_CLOSE, ABORT | FINISH, "closed"},
  {"lost", MOSHI_LIFE_RESTART, CONNECT, "connecting"},
  {"lost", MOSHI_LIFE_STOP, ABORT, "closed"},
};

static void
test_steps (void)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (steps); i++) {
    g_autoptr (MoshiLife) life = bring (steps[i].from, &defaults);

    g_test_message ("%s, event %d", steps[i].from, steps[i].event);
    g_assert_cmpint (moshi_life_handle (life, steps[i].event, T0, WHOLE), ==,
        steps[i].actions);
    g_assert_cmpstr (moshi_life_state_nick (moshi_life_get_state (life)), ==,
        steps[i].to);
  }
}

static gboolean
is_step (const gchar * from, MoshiLifeEvent event)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (steps); i++) {
    if (g_str_equal (steps[i].from, from) && steps[i].event == event)
      return TRUE;
  }
  return FALSE;
}

static void
test_ignored (void)
{
  guint i, event;

  for (i = 0; i < G_N_ELEMENTS (ways); i++) {
    for (event = 0; event < MOSHI_LIFE_N_EVENTS; event++) {
      g_autoptr (MoshiLife) life = NULL;

      if (is_step (ways[i].name, event))
        continue;
      life = bring (ways[i].name, &defaults);
      g_test_message ("%s, event %u", ways[i].name, event);
      g_assert_cmpint (moshi_life_handle (life, event, T0, WHOLE), ==, NOTHING);
      g_assert_cmpstr (moshi_life_state_nick (moshi_life_get_state (life)), ==,
          ways[i].name);
    }
  }
}

/* Time-outs: not a µs early, and each with its reason. */
static const struct
{
  const gchar *from;
  guint after;                  /* ms */
  gint actions;
  const gchar *to;
  MoshiLifeReason reason;
} timeouts[] = {
  {"connecting", 100, ABORT, "lost", MOSHI_LIFE_REASON_CONNECT_TIMEOUT},
  {"waiting", 200, ABORT, "lost", MOSHI_LIFE_REASON_HANDSHAKE_TIMEOUT},
  {"draining", 400, ABORT | FINISH, "closed", MOSHI_LIFE_REASON_CLOSE_TIMEOUT},
};

static void
test_timeouts (void)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (timeouts); i++) {
    g_autoptr (MoshiLife) life = bring (timeouts[i].from, &defaults);
    gint64 deadline = T0 + timeouts[i].after * MS;

    g_assert_cmpint (moshi_life_get_deadline (life), ==, deadline);
    g_assert_cmpint (moshi_life_handle (life, MOSHI_LIFE_TIMER, deadline - 1,
            WHOLE), ==, NOTHING);
    g_assert_cmpint (moshi_life_get_reason (life), ==, MOSHI_LIFE_REASON_NONE);
    g_assert_cmpint (moshi_life_handle (life, MOSHI_LIFE_TIMER, deadline,
            WHOLE), ==, timeouts[i].actions);
    g_assert_cmpstr (moshi_life_state_nick (moshi_life_get_state (life)), ==,
        timeouts[i].to);
    g_assert_cmpint (moshi_life_get_reason (life), ==, timeouts[i].reason);
  }
}

/* 0 means for ever, but for the close, which is then not waited for. */
static void
test_no_timeouts (void)
{
  static const MoshiLifeConfig patient = {.retries = 0 };
  g_autoptr (MoshiLife) life = moshi_life_new (&patient);
  guint i;

  assert_step (life, OPEN, T0, CONNECT, "connecting");
  g_assert_cmpint (moshi_life_get_deadline (life), ==, -1);
  assert_step (life, TIMER, G_MAXINT64, NOTHING, "connecting");
  assert_step (life, UPGRADED, T0, NOTHING, "waiting");
  g_assert_cmpint (moshi_life_get_deadline (life), ==, -1);
  assert_step (life, HANDSHAKE, T0, START, "ready");
  for (i = 0; i < 100; i++)
    moshi_life_fed (life, FRAME, T0);
  g_assert_cmpint (moshi_life_get_deadline (life), ==, -1);
  assert_step (life, CLOSE, T0, CLOSE, "draining");
  g_assert_cmpint (moshi_life_get_deadline (life), ==, T0);
}

/* 250 ms, doubled each time up to the longest, of which 50 to 100 % are kept. */
static void
test_backoff (void)
{
  static const guint whole[] = { 250, 500, 1000, 2000, 4000, 8000, 16000,
    30000, 30000, 30000
  };
  MoshiLifeConfig config = defaults;
  g_autoptr (MoshiLife) life = NULL;
  gint64 now = T0;
  guint i;

  config.retries = -1;
  life = moshi_life_new (&config);
  moshi_life_handle (life, MOSHI_LIFE_OPEN, now, 0);
  for (i = 0; i < G_N_ELEMENTS (whole); i++) {
    gboolean full = i % 2 == 0;
    gint64 delay;

    moshi_life_handle (life, MOSHI_LIFE_FAILED, now, full ? WHOLE : HALF);
    delay = moshi_life_get_deadline (life) - now;
    if (full)
      g_assert_cmpint (delay, ==, whole[i] * MS - 1);
    else
      g_assert_cmpint (delay, ==, whole[i] * MS / 2);
    now += delay;
    assert_step (life, TIMER, now - 1, NOTHING, "lost");
    assert_step (life, TIMER, now, CONNECT, "connecting");
  }
  g_assert_cmpuint (moshi_life_get_attempts (life), ==, i + 1);
}

/* Very many failures neither overflow the backoff nor end. */
static void
test_retries_for_ever (void)
{
  MoshiLifeConfig config = defaults;
  g_autoptr (MoshiLife) life = NULL;
  gint64 now = T0;
  guint i;

  config.retries = -1;
  config.backoff_max = G_MAXUINT;
  life = moshi_life_new (&config);
  assert_step (life, OPEN, now, CONNECT, "connecting");
  for (i = 0; i < 100; i++) {
    assert_step (life, FAILED, now, ABORT, "lost");
    g_assert_cmpint (moshi_life_get_deadline (life), >=, now + 125 * MS);
    now = moshi_life_get_deadline (life);
    assert_step (life, TIMER, now, CONNECT, "connecting");
  }
}

/* The first attempt and @retries more. */
static void
test_retries (void)
{
  MoshiLifeConfig config = batch;
  gint retries;

  for (retries = 0; retries < 5; retries++) {
    g_autoptr (MoshiLife) life = NULL;
    gint64 now = T0;
    gint i;

    config.retries = retries;
    life = moshi_life_new (&config);
    assert_step (life, OPEN, now, CONNECT, "connecting");
    for (i = 0; i < retries; i++) {
      assert_step (life, FAILED, now, ABORT, "lost");
      now = moshi_life_get_deadline (life);
      assert_step (life, TIMER, now, CONNECT, "connecting");
    }
    g_assert_cmpuint (moshi_life_get_attempts (life), ==, retries + 1);
    assert_step (life, FAILED, now, ABORT | FAIL, "closed");
    assert_step (life, OPEN, now, NOTHING, "closed");
  }
}

/* A handshake that does not come counts as an attempt, like any other end. */
static void
test_retries_of_all_kinds (void)
{
  g_autoptr (MoshiLife) life = bring ("waiting", &batch);
  gint64 now = T0 + 200 * MS;

  assert_step (life, TIMER, now, ABORT, "lost");
  now = moshi_life_get_deadline (life);
  assert_step (life, TIMER, now, CONNECT, "connecting");
  now += 100 * MS;
  assert_step (life, TIMER, now, ABORT, "lost");
  g_assert_cmpint (moshi_life_get_reason (life), ==,
      MOSHI_LIFE_REASON_CONNECT_TIMEOUT);
  now = moshi_life_get_deadline (life);
  assert_step (life, TIMER, now, CONNECT, "connecting");
  assert_step (life, UPGRADED, now, NOTHING, "waiting");
  assert_step (life, PEER_CLOSED, now, ABORT, "lost");
  g_assert_cmpint (moshi_life_get_reason (life), ==, MOSHI_LIFE_REASON_NONE);
  now = moshi_life_get_deadline (life);
  assert_step (life, TIMER, now, CONNECT, "connecting");
  assert_step (life, FAILED, now, ABORT | FAIL, "closed");
}

static gint64
get_ready (MoshiLife * life, gint64 now)
{
  if (moshi_life_get_state (life) == MOSHI_LIFE_LOST) {
    now = moshi_life_get_deadline (life);
    assert_step (life, TIMER, now, CONNECT, "connecting");
  } else {
    assert_step (life, OPEN, now, CONNECT, "connecting");
  }
  assert_step (life, UPGRADED, now, NOTHING, "waiting");
  assert_step (life, HANDSHAKE, now, START, "ready");
  return now;
}

/* A server that greets and drops uses the retries up. */
static void
test_greeter (void)
{
  g_autoptr (MoshiLife) life = moshi_life_new (&defaults);
  gint64 now = T0;
  guint i;

  for (i = 0; i < 3; i++) {
    now = get_ready (life, now);
    /* Neither what it says unasked nor time that is too short proves it. */
    assert_step (life, MESSAGE, now, NOTHING, "ready");
    now += 10 * G_USEC_PER_SEC - 1;
    assert_step (life, PEER_CLOSED, now, ABORT, "lost");
  }
  now = get_ready (life, now);
  assert_step (life, PEER_CLOSED, now, ABORT | FAIL, "closed");
  g_assert_cmpuint (moshi_life_get_sessions (life), ==, 4);
}

/* One that answers, or stays, has all of them again each time. */
static void
test_proven (void)
{
  g_autoptr (MoshiLife) life = moshi_life_new (&defaults);
  gint64 now = T0;
  guint i;

  for (i = 0; i < 20; i++) {
    now = get_ready (life, now);
    if (i % 2 == 0) {
      moshi_life_fed (life, 960, now);
      assert_step (life, MESSAGE, now, NOTHING, "ready");
    } else {
      now += 10 * G_USEC_PER_SEC;
    }
    assert_step (life, PEER_CLOSED, now, ABORT, "lost");
    g_assert_cmpint (moshi_life_get_deadline (life), ==, now + 250 * MS - 1);
    g_assert_cmpuint (moshi_life_get_attempts (life), ==, 1);
  }
}

/* Without resume a session that was ready is never followed by another. */
static void
test_batch (void)
{
  static const MoshiLifeEvent ends[] = { MOSHI_LIFE_FAILED,
    MOSHI_LIFE_PEER_CLOSED
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (ends); i++) {
    g_autoptr (MoshiLife) life = bring ("ready", &batch);

    g_assert_cmpint (moshi_life_handle (life, ends[i], T0, WHOLE), ==,
        ABORT | FAIL);
    g_assert_cmpint (moshi_life_get_state (life), ==, MOSHI_LIFE_CLOSED);
  }
}

/* Silence counts from the moment 400 ms of audio were given. */
static void
test_idle (void)
{
  g_autoptr (MoshiLife) life = bring ("ready", &defaults);
  gint64 now = T0;
  guint i;

  g_assert_cmpint (moshi_life_get_deadline (life), ==, -1);
  for (i = 0; i < 4; i++) {
    moshi_life_fed (life, FRAME, now);
    now += 1000 * MS;
  }
  moshi_life_fed (life, FRAME - 1, now);
  g_assert_cmpint (moshi_life_get_deadline (life), ==, -1);
  assert_step (life, TIMER, now + 3600 * 1000 * MS, NOTHING, "ready");

  moshi_life_fed (life, 1, now);
  g_assert_cmpint (moshi_life_get_deadline (life), ==, now + 300 * MS);
  /* More audio does not move it. */
  moshi_life_fed (life, 10 * FRAME, now + 299 * MS);
  g_assert_cmpint (moshi_life_get_deadline (life), ==, now + 300 * MS);
  assert_step (life, TIMER, now + 300 * MS - 1, NOTHING, "ready");

  assert_step (life, MESSAGE, now + 299 * MS, NOTHING, "ready");
  g_assert_cmpint (moshi_life_get_deadline (life), ==, -1);
  moshi_life_fed (life, 5 * FRAME, now + 400 * MS);
  assert_step (life, TIMER, now + 700 * MS, ABORT, "lost");
  g_assert_cmpint (moshi_life_get_reason (life), ==,
      MOSHI_LIFE_REASON_IDLE_TIMEOUT);
}

/* A server that has answered, but owes more than 25 frames, is waited for no
 * longer than one that says nothing; a text answers no audio. */
static void
test_idle_owing (void)
{
  g_autoptr (MoshiLife) life = bring ("ready", &defaults);

  moshi_life_fed (life, 50 * FRAME, T0);
  moshi_life_heard (life, 20 * FRAME, T0 + 100 * MS);
  g_assert_cmpint (moshi_life_get_deadline (life), ==, T0 + 400 * MS);
  /* Words without end are no answer to what was said. */
  moshi_life_heard (life, 0, T0 + 200 * MS);
  g_assert_cmpint (moshi_life_get_deadline (life), ==, T0 + 400 * MS);
  moshi_life_heard (life, 5 * FRAME, T0 + 300 * MS);
  g_assert_cmpint (moshi_life_get_deadline (life), ==, T0 + 600 * MS);
  moshi_life_heard (life, 1, T0 + 400 * MS);
  g_assert_cmpint (moshi_life_get_deadline (life), ==, -1);

  /* More than was given is no credit. */
  moshi_life_heard (life, 1000 * FRAME, T0 + 400 * MS);
  moshi_life_fed (life, 25 * FRAME, T0 + 500 * MS);
  moshi_life_heard (life, 0, T0 + 500 * MS);
  assert_step (life, TIMER, T0 + 800 * MS, ABORT, "lost");
  g_assert_cmpint (moshi_life_get_reason (life), ==,
      MOSHI_LIFE_REASON_IDLE_TIMEOUT);
}

/* So far into a session a server that falls silent has come to its limit, and is
 * not listened for as long as it might be otherwise. */
static void
test_limit (void)
{
  MoshiLifeConfig config = defaults;
  g_autoptr (MoshiLife) life = NULL;
  guint i;

  config.idle_timeout = 10000;
  life = bring ("ready", &config);
  for (i = 0; i < 3894; i++) {
    moshi_life_fed (life, FRAME, T0);
    moshi_life_heard (life, FRAME, T0);
  }
  moshi_life_fed (life, 5 * FRAME, T0);
  g_assert_cmpint (moshi_life_get_deadline (life), ==, T0 + 10000 * MS);
  moshi_life_heard (life, 5 * FRAME, T0);
  moshi_life_fed (life, 5 * FRAME, T0);
  g_assert_cmpint (moshi_life_get_deadline (life), ==, T0 + 2000 * MS);
  assert_step (life, TIMER, T0 + 2000 * MS, ABORT, "lost");
  g_assert_cmpint (moshi_life_get_reason (life), ==, MOSHI_LIFE_REASON_LIMIT);
}

/* A shorter idle time-out stays as it is, and none stays none. */
static void
test_limit_is_no_longer (void)
{
  static const guint timeouts[] = { 300, 0 };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (timeouts); i++) {
    MoshiLifeConfig config = defaults;
    g_autoptr (MoshiLife) life = NULL;

    config.idle_timeout = timeouts[i];
    life = bring ("ready", &config);
    moshi_life_fed (life, 4000 * FRAME, T0);
    g_assert_cmpint (moshi_life_get_deadline (life), ==,
        timeouts[i] ? T0 + timeouts[i] * MS : -1);
  }
}

/* Nobody is fed outside a session. */
static void
test_fed_elsewhere (void)
{
  static const gchar *const names[] = { "idle", "connecting", "waiting",
    "draining", "lost", "closed"
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autoptr (MoshiLife) life = bring (names[i], &defaults);
    gint64 deadline = moshi_life_get_deadline (life);

    moshi_life_fed (life, 100 * FRAME, T0);
    g_assert_cmpint (moshi_life_get_deadline (life), ==, deadline);
  }
}

/* A restart is a new session with all its attempts. */
static void
test_restart (void)
{
  g_autoptr (MoshiLife) life = bring ("ready", &defaults);

  g_assert_cmpuint (moshi_life_get_sessions (life), ==, 1);
  moshi_life_fed (life, 5 * FRAME, T0);
  assert_step (life, RESTART, T0, CLOSE | CONNECT, "connecting");
  g_assert_cmpuint (moshi_life_get_attempts (life), ==, 1);
  g_assert_cmpint (moshi_life_get_deadline (life), ==, T0 + 100 * MS);
  assert_step (life, UPGRADED, T0, NOTHING, "waiting");
  assert_step (life, HANDSHAKE, T0, START, "ready");
  g_assert_cmpuint (moshi_life_get_sessions (life), ==, 2);
  g_assert_cmpint (moshi_life_get_deadline (life), ==, -1);
}

static void
test_nicks (void)
{
  static const gchar *const nicks[] = { "idle", "connecting", "waiting",
    "ready", "draining", "closed", "lost"
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (nicks); i++)
    g_assert_cmpstr (moshi_life_state_nick (i), ==, nicks[i]);
  g_assert_cmpstr (moshi_life_state_nick (i), ==, "unknown");
}

/* Random lives: whatever comes in whatever order, these hold. */

typedef struct
{
  MoshiLife *life;
  const MoshiLifeConfig *config;
  gint64 now;
  gboolean connected;           /* an attempt or a connection is there */
  gboolean over;
  guint failures;               /* in a row, without one answer */
} Walk;

static void
check_actions (Walk * self, MoshiLifeEvent event, MoshiLifeAction actions)
{
  MoshiLifeState state = moshi_life_get_state (self->life);
  gint64 deadline = moshi_life_get_deadline (self->life);

  if (self->over)
    g_assert_cmpint (actions, ==, NOTHING);
  if (actions & (ABORT | CLOSE))
    self->connected = self->connected && !(actions & ABORT)
        && !(actions & CONNECT);
  if (actions & CONNECT) {
    g_assert_false (self->connected);
    g_assert_cmpint (state, ==, MOSHI_LIFE_CONNECTING);
    self->connected = TRUE;
  }
  if (actions & START)
    g_assert_cmpint (event, ==, MOSHI_LIFE_HANDSHAKE);
  if (actions & (FAIL | FINISH) || event == MOSHI_LIFE_STOP) {
    g_assert_false ((actions & FAIL) && (actions & FINISH));
    g_assert_false (self->connected);
    g_assert_cmpint (state, ==, MOSHI_LIFE_CLOSED);
    self->over = TRUE;
  }
  if (state == MOSHI_LIFE_CLOSED || state == MOSHI_LIFE_IDLE)
    g_assert_cmpint (deadline, ==, -1);
  else if (state == MOSHI_LIFE_LOST)
    g_assert_cmpint (deadline, >=, 0);
  if (deadline >= 0 && actions != NOTHING)
    g_assert_cmpint (deadline, >=, self->now);
}

static void
count_failures (Walk * self, MoshiLifeEvent event, MoshiLifeState before,
    MoshiLifeAction actions)
{
  if (actions & START || event == MOSHI_LIFE_RESTART)
    self->failures = 0;
  else if (before != MOSHI_LIFE_LOST
      && moshi_life_get_state (self->life) == MOSHI_LIFE_LOST)
    self->failures++;
  if (self->config->retries >= 0)
    g_assert_cmpuint (self->failures, <=, self->config->retries);
}

/* Often what may well happen, sometimes anything. */
static MoshiLifeEvent
choose (Walk * self, GRand * rand)
{
  static const MoshiLifeEvent likely[] = { MOSHI_LIFE_OPEN,
    MOSHI_LIFE_UPGRADED, MOSHI_LIFE_HANDSHAKE, MOSHI_LIFE_MESSAGE,
    MOSHI_LIFE_FED, MOSHI_LIFE_FED, MOSHI_LIFE_FAILED,
    MOSHI_LIFE_PEER_CLOSED, MOSHI_LIFE_TIMER
  };

  if (g_rand_int_range (rand, 0, 20) > 0)
    return likely[g_rand_int_range (rand, 0, G_N_ELEMENTS (likely))];
  return g_rand_int_range (rand, 0, MOSHI_LIFE_N_EVENTS);
}

static void
walk (guint seed)
{
  MoshiLifeConfig config = defaults;
  g_autoptr (GRand) rand = g_rand_new_with_seed (seed);
  Walk self = { NULL, &config, T0, };
  guint i;

  config.retries = g_rand_int_range (rand, -1, 4);
  config.resume = g_rand_boolean (rand);
  config.connect_timeout = g_rand_int_range (rand, 0, 200);
  config.idle_timeout = g_rand_int_range (rand, 0, 200);
  config.backoff_max = g_rand_int_range (rand, 0, 2000);
  self.life = moshi_life_new (&config);
  for (i = 0; i < 300; i++) {
    MoshiLifeEvent event = choose (&self, rand);
    MoshiLifeState before = moshi_life_get_state (self.life);
    MoshiLifeAction actions;

    if (event == MOSHI_LIFE_TIMER && moshi_life_get_deadline (self.life) >= 0)
      self.now = MAX (self.now, moshi_life_get_deadline (self.life));
    else
      self.now += g_rand_int_range (rand, 0, 50) * MS;
    actions = moshi_life_handle (self.life, event, self.now, g_rand_int (rand));
    check_actions (&self, event, actions);
    count_failures (&self, event, before, actions);
  }
  moshi_life_free (self.life);
}

static void
test_random (void)
{
  guint seed;

  for (seed = 0; seed < 5000; seed++) {
    g_test_message ("seed %u", seed);
    walk (seed);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/life/steps", test_steps);
  g_test_add_func ("/life/ignored", test_ignored);
  g_test_add_func ("/life/timeouts", test_timeouts);
  g_test_add_func ("/life/no-timeouts", test_no_timeouts);
  g_test_add_func ("/life/backoff", test_backoff);
  g_test_add_func ("/life/retries", test_retries);
  g_test_add_func ("/life/retries-for-ever", test_retries_for_ever);
  g_test_add_func ("/life/retries-of-all-kinds", test_retries_of_all_kinds);
  g_test_add_func ("/life/greeter", test_greeter);
  g_test_add_func ("/life/proven", test_proven);
  g_test_add_func ("/life/batch", test_batch);
  g_test_add_func ("/life/idle", test_idle);
  g_test_add_func ("/life/idle-owing", test_idle_owing);
  g_test_add_func ("/life/limit", test_limit);
  g_test_add_func ("/life/limit-is-no-longer", test_limit_is_no_longer);
  g_test_add_func ("/life/fed-elsewhere", test_fed_elsewhere);
  g_test_add_func ("/life/restart", test_restart);
  g_test_add_func ("/life/nicks", test_nicks);
  g_test_add_func ("/life/random", test_random);
  return g_test_run ();
}
