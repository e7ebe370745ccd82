/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "moshilife.h"

/*
 * The life of a session
 * ---------------------
 * One table, `rules`, has a rule for every pair of state and event; what has
 * no meaning in a state is ignored there, because a peer and a user choose
 * their moments freely. In DRAINING our close is on its way, and any end is a
 * clean one.
 *
 * Failures are counted in a row. The count goes back to nought not when a
 * session becomes ready, but when it has proved that it works: when the server
 * has answered audio, or when it has stayed up for %PROVEN_AFTER. So a server
 * that greets each caller and then drops it uses the retries up as one that
 * refuses to talk at all.
 *
 * Silence is no fault by itself, for a server that is given nothing says
 * nothing. It is one when the server is being fed: %FED_ENOUGH of audio was
 * put on the wire since it was last heard, or %OWED_TOO_MUCH of what was put
 * there has no answer. From the moment that amount is passed, or from the last
 * answer that leaves so much open, the idle time-out runs; text alone pays no
 * debt, however much of it comes.
 */

/* Audio after which a server must be heard: 5 frames of 80 ms, in 48 kHz
 * samples; every server answers each frame, after at most 2 frames of delay. */
#define FED_ENOUGH (5 * 3840)

/* Answers that a server may owe in silence, 25 frames: no server is behind by so
 * much for good. Batch input stops 4 s ahead of the answers: a server that falls
 * silent then is fed next to nothing more. */
#define OWED_TOO_MUCH (25 * 3840)

/* What a bare %MOSHI_LIFE_FED stands for: one frame. */
#define FED_FRAME 3840

/* A session that was ready for so long has proved itself, in µs. */
#define PROVEN_AFTER (10 * G_USEC_PER_SEC)

/* First backoff; each further one is twice as long, in ms. */
#define BACKOFF_FIRST 250

#define N_STATES (MOSHI_LIFE_LOST + 1)

struct _MoshiLife
{
  MoshiLifeConfig config;
  MoshiLifeState state;
  MoshiLifeReason reason;
  gint64 deadline;              /* µs, or -1 for none */
  guint attempts;               /* begun since a session proved itself */
  guint failures;               /* ended badly since then */
  guint sessions;
  gint64 ready_since;
  guint64 fed;                  /* 48 kHz samples since the last message */
  guint fed_next;               /* what the FED being handled stands for */
  guint64 owed;                 /* 48 kHz samples sent and not answered */
  guint64 taken;                /* 48 kHz samples sent in this session */
  guint64 heard_next;           /* what the MESSAGE being handled answers */
  gboolean answered;            /* a message came after audio was sent */
};

typedef MoshiLifeAction (*Rule) (MoshiLife * self, gint64 now, guint32 random);

/* The deadline @ms after @now; 0 stands for "for ever". */
static gint64
deadline_after (gint64 now, guint ms)
{
  return ms == 0 ? -1 : now + ms * G_GINT64_CONSTANT (1000);
}

static void
enter (MoshiLife * self, MoshiLifeState state, gint64 deadline)
{
  self->state = state;
  self->deadline = deadline;
}

static MoshiLifeAction
ignore (MoshiLife * self, gint64 now, guint32 random)
{
  return MOSHI_LIFE_DO_NOTHING;
}

static MoshiLifeAction
connect (MoshiLife * self, gint64 now, guint32 random)
{
  self->attempts++;
  enter (self, MOSHI_LIFE_CONNECTING,
      deadline_after (now, self->config.connect_timeout));
  return MOSHI_LIFE_DO_CONNECT;
}

static MoshiLifeAction
wait_for_handshake (MoshiLife * self, gint64 now, guint32 random)
{
  enter (self, MOSHI_LIFE_WAITING,
      deadline_after (now, self->config.handshake_timeout));
  return MOSHI_LIFE_DO_NOTHING;
}

static MoshiLifeAction
start (MoshiLife * self, gint64 now, guint32 random)
{
  self->sessions++;
  self->ready_since = now;
  self->fed = self->owed = self->taken = 0;
  self->answered = FALSE;
  enter (self, MOSHI_LIFE_READY, -1);
  return MOSHI_LIFE_DO_START;
}

static gboolean
is_near_limit (MoshiLife * self)
{
  return self->taken >= MOSHI_LIFE_NEAR_LIMIT;
}

/* When a server that is being fed has been silent for too long */
static gint64
get_idle_deadline (MoshiLife * self, gint64 now)
{
  guint ms = self->config.idle_timeout;

  if (ms > MOSHI_LIFE_LIMIT_TIMEOUT && is_near_limit (self))
    ms = MOSHI_LIFE_LIMIT_TIMEOUT;
  return deadline_after (now, ms);
}

static MoshiLifeAction
feed (MoshiLife * self, gint64 now, guint32 random)
{
  gboolean enough = self->fed >= FED_ENOUGH;

  self->fed += self->fed_next;
  self->owed += self->fed_next;
  self->taken += self->fed_next;
  if (!enough && self->fed >= FED_ENOUGH)
    self->deadline = get_idle_deadline (self, now);
  return MOSHI_LIFE_DO_NOTHING;
}

static MoshiLifeAction
hear (MoshiLife * self, gint64 now, guint32 random)
{
  if (self->fed > 0 && !self->answered) {
    self->answered = TRUE;
    self->attempts = 1;
    self->failures = 0;
  }
  self->fed = 0;
  self->owed -= MIN (self->owed, self->heard_next);
  if (self->owed < OWED_TOO_MUCH)
    self->deadline = -1;
  else if (self->heard_next > 0 || self->deadline < 0)
    self->deadline = get_idle_deadline (self, now);
  return MOSHI_LIFE_DO_NOTHING;
}

static MoshiLifeAction
close_link (MoshiLife * self, gint64 now, guint32 random)
{
  enter (self, MOSHI_LIFE_DRAINING,
      now + self->config.close_timeout * G_GINT64_CONSTANT (1000));
  return MOSHI_LIFE_DO_CLOSE;
}

static MoshiLifeAction
finish (MoshiLife * self, gint64 now, guint32 random)
{
  enter (self, MOSHI_LIFE_CLOSED, -1);
  return MOSHI_LIFE_DO_ABORT | MOSHI_LIFE_DO_FINISH;
}

static MoshiLifeAction
fail (MoshiLife * self, gint64 now, guint32 random)
{
  enter (self, MOSHI_LIFE_CLOSED, -1);
  return MOSHI_LIFE_DO_ABORT | MOSHI_LIFE_DO_FAIL;
}

static MoshiLifeAction
stop (MoshiLife * self, gint64 now, guint32 random)
{
  enter (self, MOSHI_LIFE_CLOSED, -1);
  return MOSHI_LIFE_DO_ABORT;
}

/* min (250 ms * 2^n, backoff_max), of which @random keeps 50 % to 100 %: so
 * that the callers of a server that came back do not all come at once. */
static gint64
backoff (MoshiLife * self, guint32 random)
{
  guint n = MIN (self->failures - 1, 20);
  guint64 whole = MIN ((guint64) BACKOFF_FIRST << n, self->config.backoff_max);
  guint64 half = whole * 1000 / 2;

  return (gint64) (half + ((half * random) >> 32));
}

static MoshiLifeAction
retry (MoshiLife * self, gint64 now, guint32 random)
{
  self->failures++;
  if (self->config.retries >= 0
      && self->failures > (guint) self->config.retries)
    return fail (self, now, random);
  enter (self, MOSHI_LIFE_LOST, now + backoff (self, random));
  return MOSHI_LIFE_DO_ABORT;
}

static MoshiLifeAction
lose (MoshiLife * self, gint64 now, guint32 random)
{
  if (!self->config.resume)
    return fail (self, now, random);
  if (now - self->ready_since >= PROVEN_AFTER) {
    self->attempts = 1;
    self->failures = 0;
  }
  return retry (self, now, random);
}

/* A new conversation is a new session. Its connection is a first attempt, and
 * the old one is closed without a wait for the peer's answer. */
static MoshiLifeAction
restart (MoshiLife * self, gint64 now, guint32 random)
{
  self->attempts = 0;
  self->failures = 0;
  return MOSHI_LIFE_DO_CLOSE | connect (self, now, random);
}

static MoshiLifeAction
time_out_connect (MoshiLife * self, gint64 now, guint32 random)
{
  self->reason = MOSHI_LIFE_REASON_CONNECT_TIMEOUT;
  return retry (self, now, random);
}

static MoshiLifeAction
time_out_handshake (MoshiLife * self, gint64 now, guint32 random)
{
  self->reason = MOSHI_LIFE_REASON_HANDSHAKE_TIMEOUT;
  return retry (self, now, random);
}

static MoshiLifeAction
time_out_ready (MoshiLife * self, gint64 now, guint32 random)
{
  self->reason = is_near_limit (self) ? MOSHI_LIFE_REASON_LIMIT
      : MOSHI_LIFE_REASON_IDLE_TIMEOUT;
  return lose (self, now, random);
}

static MoshiLifeAction
time_out_close (MoshiLife * self, gint64 now, guint32 random)
{
  self->reason = MOSHI_LIFE_REASON_CLOSE_TIMEOUT;
  return finish (self, now, random);
}

/* *INDENT-OFF* */
static const Rule rules[N_STATES][MOSHI_LIFE_N_EVENTS] = {
  [MOSHI_LIFE_IDLE] = {
    [MOSHI_LIFE_OPEN] = connect,
    [MOSHI_LIFE_UPGRADED] = ignore,
    [MOSHI_LIFE_HANDSHAKE] = ignore,
    [MOSHI_LIFE_MESSAGE] = ignore,
    [MOSHI_LIFE_FED] = ignore,
    [MOSHI_LIFE_CLOSE] = finish,
    [MOSHI_LIFE_RESTART] = ignore,
    [MOSHI_LIFE_FAILED] = ignore,
    [MOSHI_LIFE_REFUSED] = fail,
    [MOSHI_LIFE_PEER_CLOSED] = ignore,
    [MOSHI_LIFE_TIMER] = ignore,
    [MOSHI_LIFE_STOP] = stop,
  },
  /* A restart here and while waiting has nothing to end: the session to come
   * is a new one, and its place in a busy server's queue is kept. */
  [MOSHI_LIFE_CONNECTING] = {
    [MOSHI_LIFE_OPEN] = ignore,
    [MOSHI_LIFE_UPGRADED] = wait_for_handshake,
    [MOSHI_LIFE_HANDSHAKE] = ignore,
    [MOSHI_LIFE_MESSAGE] = ignore,
    [MOSHI_LIFE_FED] = ignore,
    [MOSHI_LIFE_CLOSE] = finish,
    [MOSHI_LIFE_RESTART] = ignore,
    [MOSHI_LIFE_FAILED] = retry,
    [MOSHI_LIFE_REFUSED] = fail,
    [MOSHI_LIFE_PEER_CLOSED] = retry,
    [MOSHI_LIFE_TIMER] = time_out_connect,
    [MOSHI_LIFE_STOP] = stop,
  },
  [MOSHI_LIFE_WAITING] = {
    [MOSHI_LIFE_OPEN] = ignore,
    [MOSHI_LIFE_UPGRADED] = ignore,
    [MOSHI_LIFE_HANDSHAKE] = start,
    [MOSHI_LIFE_MESSAGE] = ignore,
    [MOSHI_LIFE_FED] = ignore,
    [MOSHI_LIFE_CLOSE] = close_link,
    [MOSHI_LIFE_RESTART] = ignore,
    [MOSHI_LIFE_FAILED] = retry,
    [MOSHI_LIFE_REFUSED] = fail,
    [MOSHI_LIFE_PEER_CLOSED] = retry,
    [MOSHI_LIFE_TIMER] = time_out_handshake,
    [MOSHI_LIFE_STOP] = stop,
  },
  [MOSHI_LIFE_READY] = {
    [MOSHI_LIFE_OPEN] = ignore,
    [MOSHI_LIFE_UPGRADED] = ignore,
    [MOSHI_LIFE_HANDSHAKE] = ignore,
    [MOSHI_LIFE_MESSAGE] = hear,
    [MOSHI_LIFE_FED] = feed,
    [MOSHI_LIFE_CLOSE] = close_link,
    [MOSHI_LIFE_RESTART] = restart,
    [MOSHI_LIFE_FAILED] = lose,
    [MOSHI_LIFE_REFUSED] = fail,
    [MOSHI_LIFE_PEER_CLOSED] = lose,
    [MOSHI_LIFE_TIMER] = time_out_ready,
    [MOSHI_LIFE_STOP] = stop,
  },
  [MOSHI_LIFE_DRAINING] = {
    [MOSHI_LIFE_OPEN] = ignore,
    [MOSHI_LIFE_UPGRADED] = ignore,
    [MOSHI_LIFE_HANDSHAKE] = ignore,
    [MOSHI_LIFE_MESSAGE] = ignore,
    [MOSHI_LIFE_FED] = ignore,
    [MOSHI_LIFE_CLOSE] = ignore,
    [MOSHI_LIFE_RESTART] = ignore,
    [MOSHI_LIFE_FAILED] = finish,
    [MOSHI_LIFE_REFUSED] = finish,
    [MOSHI_LIFE_PEER_CLOSED] = finish,
    [MOSHI_LIFE_TIMER] = time_out_close,
    [MOSHI_LIFE_STOP] = stop,
  },
  [MOSHI_LIFE_LOST] = {
    [MOSHI_LIFE_OPEN] = ignore,
    [MOSHI_LIFE_UPGRADED] = ignore,
    [MOSHI_LIFE_HANDSHAKE] = ignore,
    [MOSHI_LIFE_MESSAGE] = ignore,
    [MOSHI_LIFE_FED] = ignore,
    [MOSHI_LIFE_CLOSE] = finish,
    [MOSHI_LIFE_RESTART] = connect,
    [MOSHI_LIFE_FAILED] = ignore,
    [MOSHI_LIFE_REFUSED] = ignore,
    [MOSHI_LIFE_PEER_CLOSED] = ignore,
    [MOSHI_LIFE_TIMER] = connect,
    [MOSHI_LIFE_STOP] = stop,
  },
  [MOSHI_LIFE_CLOSED] = {
    [MOSHI_LIFE_OPEN] = ignore,
    [MOSHI_LIFE_UPGRADED] = ignore,
    [MOSHI_LIFE_HANDSHAKE] = ignore,
    [MOSHI_LIFE_MESSAGE] = ignore,
    [MOSHI_LIFE_FED] = ignore,
    [MOSHI_LIFE_CLOSE] = ignore,
    [MOSHI_LIFE_RESTART] = ignore,
    [MOSHI_LIFE_FAILED] = ignore,
    [MOSHI_LIFE_REFUSED] = ignore,
    [MOSHI_LIFE_PEER_CLOSED] = ignore,
    [MOSHI_LIFE_TIMER] = ignore,
    [MOSHI_LIFE_STOP] = ignore,
  },
};
/* *INDENT-ON* */

/**
 * moshi_life_new:
 * @config: the limits; copied
 *
 * Returns: (transfer full): a life in %MOSHI_LIFE_IDLE
 */
MoshiLife *
moshi_life_new (const MoshiLifeConfig * config)
{
  MoshiLife *self = g_new0 (MoshiLife, 1);

  self->config = *config;
  self->deadline = -1;
  self->fed_next = FED_FRAME;
  self->heard_next = G_MAXUINT64;
  return self;
}

/**
 * moshi_life_free:
 * @self: (transfer full): a life
 */
void
moshi_life_free (MoshiLife * self)
{
  g_free (self);
}

/**
 * moshi_life_handle:
 * @self: a life
 * @event: what happened
 * @now: when, in µs of any monotonic clock
 * @random: any number; it jitters the backoff between 50 % and 100 %
 *
 * The one step of the machine. An event that means nothing in the present
 * state is ignored, as is %MOSHI_LIFE_TIMER before the deadline. After an
 * action with %MOSHI_LIFE_DO_FAIL, %MOSHI_LIFE_DO_FINISH or a
 * %MOSHI_LIFE_STOP every event is ignored. A bare %MOSHI_LIFE_FED stands for
 * one frame of 80 ms, a bare %MOSHI_LIFE_MESSAGE for the answer to all that was
 * fed; see moshi_life_fed() and moshi_life_heard().
 *
 * %MOSHI_LIFE_DO_CLOSE together with %MOSHI_LIFE_DO_CONNECT means that nobody
 * waits for the peer's answer to the close.
 *
 * Returns: what to do now, in the order of the bits
 */
MoshiLifeAction
moshi_life_handle (MoshiLife * self, MoshiLifeEvent event, gint64 now,
    guint32 random)
{
  if ((guint) event >= MOSHI_LIFE_N_EVENTS)
    return MOSHI_LIFE_DO_NOTHING;
  if (event == MOSHI_LIFE_TIMER && (self->deadline < 0 || now < self->deadline))
    return MOSHI_LIFE_DO_NOTHING;
  if (event == MOSHI_LIFE_FAILED || event == MOSHI_LIFE_REFUSED
      || event == MOSHI_LIFE_PEER_CLOSED)
    self->reason = MOSHI_LIFE_REASON_NONE;
  return rules[self->state][event] (self, now, random);
}

/**
 * moshi_life_fed:
 * @self: a life
 * @duration_48k: audio put on the wire, in samples at 48 kHz
 * @now: when, in µs
 *
 * Accounts for audio the server must answer. The deadline may have changed.
 */
void
moshi_life_fed (MoshiLife * self, guint duration_48k, gint64 now)
{
  self->fed_next = duration_48k;
  moshi_life_handle (self, MOSHI_LIFE_FED, now, 0);
  self->fed_next = FED_FRAME;
}

/**
 * moshi_life_heard:
 * @self: a life
 * @duration_48k: audio of an answer, in samples at 48 kHz; 0 for a text
 * @now: when, in µs
 *
 * Accounts for a message of the server. The deadline may have changed.
 */
void
moshi_life_heard (MoshiLife * self, guint64 duration_48k, gint64 now)
{
  self->heard_next = duration_48k;
  moshi_life_handle (self, MOSHI_LIFE_MESSAGE, now, 0);
  self->heard_next = G_MAXUINT64;
}

/**
 * moshi_life_get_deadline:
 * @self: a life
 *
 * Returns: when to hand in %MOSHI_LIFE_TIMER, in µs, or -1 for never; to be
 *     asked again after each event
 */
gint64
moshi_life_get_deadline (MoshiLife * self)
{
  return self->deadline;
}

/**
 * moshi_life_get_state:
 * @self: a life
 *
 * Returns: the state a user sees; a connection whose close we wait for counts
 *     as %MOSHI_LIFE_DRAINING
 */
MoshiLifeState
moshi_life_get_state (MoshiLife * self)
{
  return self->state;
}

/**
 * moshi_life_get_reason:
 * @self: a life
 *
 * Returns: the time-out that the last end of an attempt or a connection was,
 *     or %MOSHI_LIFE_REASON_NONE when it was none
 */
MoshiLifeReason
moshi_life_get_reason (MoshiLife * self)
{
  return self->reason;
}

/**
 * moshi_life_get_attempts:
 * @self: a life
 *
 * Returns: connection attempts begun since a session last proved that it works,
 *     the one that led to that session included
 */
guint
moshi_life_get_attempts (MoshiLife * self)
{
  return self->attempts;
}

/**
 * moshi_life_get_sessions:
 * @self: a life
 *
 * Returns: handshakes so far; the present session's index is one less
 */
guint
moshi_life_get_sessions (MoshiLife * self)
{
  return self->sessions;
}

/**
 * moshi_life_state_nick:
 * @state: a state
 *
 * Returns: (transfer none): its name as users see it, in lower case
 */
const gchar *
moshi_life_state_nick (MoshiLifeState state)
{
  static const gchar *const nicks[] = {
    [MOSHI_LIFE_IDLE] = "idle",
    [MOSHI_LIFE_CONNECTING] = "connecting",
    [MOSHI_LIFE_WAITING] = "waiting",
    [MOSHI_LIFE_READY] = "ready",
    [MOSHI_LIFE_DRAINING] = "draining",
    [MOSHI_LIFE_CLOSED] = "closed",
    [MOSHI_LIFE_LOST] = "lost",
  };

  if ((guint) state >= G_N_ELEMENTS (nicks))
    return "unknown";
  return nicks[state];
}
