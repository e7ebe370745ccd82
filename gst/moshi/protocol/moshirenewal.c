/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "moshirenewal.h"

#include "moshilife.h"

/*
 * When a session has to be followed by another
 * --------------------------------------------
 * Servers end a conversation by the steps the model has made, so all here is
 * counted in input, not in time. The shortest of the limits that are known
 * counts:
 *
 * - the user's word;
 * - the server's family. moshi-backend makes `max_steps` at most, 4,500 of its
 *   own (stream_both.rs), moshi-server 4,096 (lm.rs). Servers that greet
 *   plainly have no limit that could be told from here;
 * - experience: a session that ended by itself about 4,000 steps in has come
 *   to its limit, as have two in a row that ended at the same length.
 *
 * The plan leaves a margin before the limit, a stretch before that in which a
 * silence is looked for, and time before that for the next session to be
 * begun: PersonaPlex takes up to 9 s to.
 */

#define SECOND 48000
#define FRAME 3840              /* 80 ms */

#define BACKEND_STEPS 4500
#define SERVER_STEPS 4096

/* Experience: no limit is shorter, and two are the same if no farther apart. */
#define SHORTEST_LIMIT (20 * SECOND)
#define SAME_LIMIT (1 * SECOND)

/**
 * moshi_renewal_init:
 * @self: memory
 * @limit_ms: the user's limit of a session, or 0
 * @max_steps: what the server is asked for, or 0
 */
void
moshi_renewal_init (MoshiRenewal * self, guint limit_ms, guint max_steps)
{
  self->limit_ms = limit_ms;
  self->max_steps = max_steps;
  self->learned = self->last = 0;
}

/**
 * moshi_renewal_learn:
 * @self: what is known
 * @length: input that was answered, in samples at 48 kHz, of a session that the
 *     server has ended without being asked, or fell silent in
 */
void
moshi_renewal_learn (MoshiRenewal * self, guint64 length)
{
  const guint64 last = self->last;
  const guint64 apart = length > last ? length - last : last - length;
  const gboolean usual = length >= MOSHI_LIFE_NEAR_LIMIT
      && length <= (BACKEND_STEPS + 25) * FRAME;
  const gboolean again = length >= SHORTEST_LIMIT && apart <= SAME_LIMIT;

  self->last = length;
  if (usual || again)
    self->learned = MIN (length, again ? last : length);
}

static guint64
get_steps (const MoshiRenewal * self, MoshiGreeting greeting)
{
  switch (greeting) {
    case MOSHI_GREETING_METADATA:
      return self->max_steps ? MIN (self->max_steps, BACKEND_STEPS)
          : BACKEND_STEPS;
    case MOSHI_GREETING_VERSIONS:
      return SERVER_STEPS;
    case MOSHI_GREETING_PLAIN:
      break;
  }
  return 0;
}

/**
 * moshi_renewal_get_limit:
 * @self: what is known
 * @greeting: how the session began
 *
 * Returns: how much input a session takes, in samples at 48 kHz; 0 if it has no
 *     limit that is known
 */
guint64
moshi_renewal_get_limit (const MoshiRenewal * self, MoshiGreeting greeting)
{
  const guint64 limits[] = { (guint64) self->limit_ms * (SECOND / 1000),
    get_steps (self, greeting) * FRAME, self->learned
  };
  guint64 limit = 0;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (limits); i++) {
    if (limits[i] > 0 && (limit == 0 || limits[i] < limit))
      limit = limits[i];
  }
  return limit;
}

/**
 * moshi_renewal_plan:
 * @limit: as moshi_renewal_get_limit() gives it
 * @plan: (out caller-allocates): when to do what
 *
 * A pure function of the limit: so a file is cut at the same places each time.
 *
 * Returns: %FALSE if there is no limit, or none that leaves room for a frame
 */
gboolean
moshi_renewal_plan (guint64 limit, MoshiRenewalPlan * plan)
{
  guint64 margin = CLAMP (limit / 20, SECOND, 5 * SECOND);

  margin = MIN (margin, limit / 2);
  plan->latest = (limit - margin) / FRAME * FRAME;
  plan->from = plan->latest - MIN (plan->latest / 6, 20 * SECOND);
  plan->open = plan->from - MIN (plan->latest / 6, 15 * SECOND);
  return plan->latest > 0;
}
