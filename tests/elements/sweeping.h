/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The sweep as the user's voice: every sample tells its place, so the server's
 * ears can be asked what stands where.
 */
#pragma once

#include "harness.h"

G_BEGIN_DECLS

/** SWEEPING_FRAMES: samples at 24 kHz of so many ms */
#define SWEEPING_FRAMES(ms) ((ms) * 24)

typedef struct
{
  gint16 *pcm;                  /* at 24 kHz */
  gsize n;
} SweepingHeard;

GstBuffer *sweeping_new_buffer (GstCaps * caps, guint64 place, guint64 ticks);
void sweeping_listen (Harness * self, SweepingHeard * heard);
void sweeping_clear (SweepingHeard * heard);
void sweeping_assert_heard (const SweepingHeard * heard, guint at, guint place,
    guint ms);
void sweeping_assert_silence (const SweepingHeard * heard, guint at, guint ms);

G_END_DECLS
