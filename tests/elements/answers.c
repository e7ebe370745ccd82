/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "answers.h"

#include <string.h>

/* A packet of moshi-backend's, and the model's delay, at 24 kHz */
#define PIECE 960
#define DELAY 3840

/**
 * answers_init_config:
 * @config: (out): of a moshi-backend that sings a sweep
 */
void
answers_init_config (MoshiStandinConfig * config)
{
  moshi_standin_config_init (config);
  config->flavour = MOSHI_STANDIN_KYUTAI_RS;
  config->voice = MOSHI_STANDIN_SWEEP;
  config->seed = 11;
}

/**
 * answers_count_sweeps:
 * @self: a harness whose batch is over
 * @config: of its server
 *
 * The output is silence, then pieces of sweeps, and nothing else.
 *
 * Returns: how many sweeps
 */
guint
answers_count_sweeps (Harness * self, const MoshiStandinConfig * config)
{
  const gint16 *got = (const gint16 *) self->out->data->data;
  const gsize n = self->out->data->len / 2;
  g_autofree gint16 *expected = moshi_standin_sweep_expected (config->flavour,
      config->bitrate, 24000, 1, n, config->seed);
  gsize at, size, pos = 0;
  guint sweeps = 1;

  for (at = 0; at < DELAY; at++)
    g_assert_cmpint (got[at], ==, 0);
  for (; at < n; at += size, pos += size) {
    size = MIN (PIECE, n - at);
    if (memcmp (got + at, expected + pos, size * 2) == 0)
      continue;
    if (memcmp (got + at, expected, size * 2) != 0)
      g_error ("at sample %" G_GSIZE_FORMAT " no answer begins or goes on", at);
    pos = 0;
    sweeps++;
  }
  return sweeps;
}

/**
 * answers_check_batch:
 * @self: a harness whose batch is over
 * @config: of its server
 * @seconds: of input
 *
 * Nothing is lost, and nothing is said twice.
 */
void
answers_check_batch (Harness * self, const MoshiStandinConfig * config,
    guint seconds)
{
  const guint reconnects = harness_get_stat (self, "reconnects");

  g_assert_cmpuint (self->out->data->len, ==, seconds * 48000);
  harness_assert_contiguous (self->out, 24000, 2, 0);
  g_assert_cmpuint (answers_count_sweeps (self, config), <=, reconnects + 1);
  g_assert_cmpuint (harness_get_stat (self, "filled"), ==, 0);
  g_assert_cmpuint (harness_get_stat (self, "input-unsent"), ==, 0);
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_WARNING, NULL),
      >=, reconnects);
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_ERROR, NULL), ==,
      0);
}

/**
 * answers_check_live:
 * @self: a harness that plays live
 *
 * The output goes on: 200 ms more, and all of it is one stream.
 */
void
answers_check_live (Harness * self)
{
  guint64 bytes;

  harness_lock (self);
  bytes = self->out->bytes + 9600;
  harness_unlock (self);
  harness_wait_bytes (self, self->out, bytes);
  harness_lock (self);
  harness_assert_contiguous (self->out, 24000, 2, 0);
  harness_unlock (self);
}
