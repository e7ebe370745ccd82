/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * MoshiLifeState:
 *
 * The states a user sees as `connection-state`.
 */
typedef enum
{
  MOSHI_LIFE_IDLE,
  MOSHI_LIFE_CONNECTING,
  MOSHI_LIFE_WAITING,
  MOSHI_LIFE_READY,
  MOSHI_LIFE_DRAINING,
  MOSHI_LIFE_CLOSED,
  MOSHI_LIFE_LOST,
} MoshiLifeState;

/**
 * MoshiLifeEvent:
 * @MOSHI_LIFE_OPEN: the user wants a session
 * @MOSHI_LIFE_UPGRADED: HTTP 101 has come
 * @MOSHI_LIFE_HANDSHAKE: message kind 00 has come
 * @MOSHI_LIFE_MESSAGE: any other message has come
 * @MOSHI_LIFE_FED: audio was put on the wire
 * @MOSHI_LIFE_CLOSE: the user wants a clean end
 * @MOSHI_LIFE_RESTART: the user wants a new conversation
 * @MOSHI_LIFE_FAILED: the attempt or the connection ended with an error that
 *     another attempt may mend
 * @MOSHI_LIFE_REFUSED: it ended with an error that another attempt cannot mend,
 *     or cannot even begin
 * @MOSHI_LIFE_PEER_CLOSED: the connection is gone, close frame or not
 * @MOSHI_LIFE_TIMER: the deadline from moshi_life_get_deadline() has passed
 * @MOSHI_LIFE_STOP: stop at once
 */
typedef enum
{
  MOSHI_LIFE_OPEN,
  MOSHI_LIFE_UPGRADED,
  MOSHI_LIFE_HANDSHAKE,
  MOSHI_LIFE_MESSAGE,
  MOSHI_LIFE_FED,
  MOSHI_LIFE_CLOSE,
  MOSHI_LIFE_RESTART,
  MOSHI_LIFE_FAILED,
  MOSHI_LIFE_REFUSED,
  MOSHI_LIFE_PEER_CLOSED,
  MOSHI_LIFE_TIMER,
  MOSHI_LIFE_STOP,
  MOSHI_LIFE_N_EVENTS
} MoshiLifeEvent;

/**
 * MoshiLifeAction:
 *
 * What the caller does next, in the order of the bits. Of the four that end
 * things, @CLOSE sends a close frame and @ABORT just lets go.
 */
typedef enum
{
  MOSHI_LIFE_DO_NOTHING = 0,
  MOSHI_LIFE_DO_ABORT = 1 << 0, /* let the connection or attempt go */
  MOSHI_LIFE_DO_CLOSE = 1 << 1, /* send close (1000), wait for the peer's */
  MOSHI_LIFE_DO_CONNECT = 1 << 2,       /* begin an attempt */
  MOSHI_LIFE_DO_START = 1 << 3, /* ready: a new session has begun */
  MOSHI_LIFE_DO_FAIL = 1 << 4,  /* report the error; it is over */
  MOSHI_LIFE_DO_FINISH = 1 << 5,        /* report the clean end; it is over */
} MoshiLifeAction;

/**
 * MoshiLifeReason:
 *
 * Which limit a %MOSHI_LIFE_DO_FAIL from a timer stands for.
 */
typedef enum
{
  MOSHI_LIFE_REASON_NONE,
  MOSHI_LIFE_REASON_CONNECT_TIMEOUT,
  MOSHI_LIFE_REASON_HANDSHAKE_TIMEOUT,
  MOSHI_LIFE_REASON_IDLE_TIMEOUT,
  MOSHI_LIFE_REASON_CLOSE_TIMEOUT,
  MOSHI_LIFE_REASON_LIMIT,
} MoshiLifeReason;

/**
 * MOSHI_LIFE_NEAR_LIMIT:
 *
 * Input, in samples at 48 kHz, after which a server that says no more has come
 * to its limit: 3,900 steps of 80 ms. The context of Moshi is 4,096.
 */
#define MOSHI_LIFE_NEAR_LIMIT G_GUINT64_CONSTANT (14976000)

/**
 * MOSHI_LIFE_LIMIT_TIMEOUT:
 *
 * How long such a server is listened for, in ms, if the idle time-out is not
 * shorter.
 */
#define MOSHI_LIFE_LIMIT_TIMEOUT 2000

/**
 * MoshiLifeConfig:
 * @connect_timeout: from the attempt's start to the upgrade, in ms; 0 = for ever
 * @handshake_timeout: from the upgrade to the handshake, in ms; 0 = for ever
 * @idle_timeout: silence of a server that is being fed, in ms; 0 = for ever
 * @close_timeout: how long the peer may take to answer our close, in ms
 * @retries: attempts after the first, in a row; -1 = for ever
 * @backoff_max: longest wait between attempts, in ms
 * @resume: whether a session lost after it was ready is followed by another
 *     (live) or is the end (batch)
 */
typedef struct
{
  guint connect_timeout;
  guint handshake_timeout;
  guint idle_timeout;
  guint close_timeout;
  gint retries;
  guint backoff_max;
  gboolean resume;
} MoshiLifeConfig;

/**
 * MoshiLife:
 *
 * The life of a session as a table: (state, event, now) gives the next state
 * and what to do. Holds no clock and no randomness: the caller passes `now`
 * in µs of any monotonic clock, and a number that jitters the backoff.
 */
typedef struct _MoshiLife MoshiLife;

MoshiLife *moshi_life_new (const MoshiLifeConfig * config);
void moshi_life_free (MoshiLife * self);
MoshiLifeAction moshi_life_handle (MoshiLife * self, MoshiLifeEvent event,
    gint64 now, guint32 random);
void moshi_life_fed (MoshiLife * self, guint duration_48k, gint64 now);
void moshi_life_heard (MoshiLife * self, guint64 duration_48k, gint64 now);
gint64 moshi_life_get_deadline (MoshiLife * self);
MoshiLifeState moshi_life_get_state (MoshiLife * self);
MoshiLifeReason moshi_life_get_reason (MoshiLife * self);
guint moshi_life_get_attempts (MoshiLife * self);
guint moshi_life_get_sessions (MoshiLife * self);
const gchar *moshi_life_state_nick (MoshiLifeState state);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (MoshiLife, moshi_life_free)

G_END_DECLS
