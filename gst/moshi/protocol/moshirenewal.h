/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * MoshiGreeting:
 * @MOSHI_GREETING_PLAIN: a handshake without versions: PyTorch, MLX,
 *     PersonaPlex
 * @MOSHI_GREETING_VERSIONS: a handshake with two versions: moshi-server
 * @MOSHI_GREETING_METADATA: metadata first, then such a handshake:
 *     moshi-backend
 *
 * How a server begins a session, by which its family is known.
 */
typedef enum
{
  MOSHI_GREETING_PLAIN,
  MOSHI_GREETING_VERSIONS,
  MOSHI_GREETING_METADATA,
} MoshiGreeting;

/**
 * MoshiRenewal:
 * @limit_ms: the user's own limit of a session, 0 for the server's
 * @max_steps: what the server was asked for, 0 for its own
 * @learned: limit seen, in samples at 48 kHz, 0 for none
 * @last: length of the last session that ended by itself, likewise
 *
 * What is known of how long a session may be.
 */
typedef struct
{
  guint limit_ms;
  guint max_steps;
  guint64 learned;
  guint64 last;
} MoshiRenewal;

/**
 * MoshiRenewalPlan:
 * @open: when to open the next session
 * @from: from when on a silence of Moshi's is the moment to change over
 * @latest: when to change over, silence or not: whole frames of the model
 *
 * Positions in the input of a session, in samples at 48 kHz.
 */
typedef struct
{
  guint64 open;
  guint64 from;
  guint64 latest;
} MoshiRenewalPlan;

void moshi_renewal_init (MoshiRenewal * self, guint limit_ms, guint max_steps);
void moshi_renewal_learn (MoshiRenewal * self, guint64 length);
guint64 moshi_renewal_get_limit (const MoshiRenewal * self,
    MoshiGreeting greeting);
gboolean moshi_renewal_plan (guint64 limit, MoshiRenewalPlan * plan);

G_END_DECLS
