/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "protocol/moshiplayout.h"

G_BEGIN_DECLS

/**
 * BenchMask:
 *
 * Where in a recording speech is, by bits of 10 ms; beyond its end it begins
 * again.
 */
typedef struct
{
  gchar *bits;                  /* '1' = speech */
  gsize length;
} BenchMask;

typedef struct
{
  gdouble sent;                 /* ms, when the server had it, as planned */
  gdouble arrival;              /* ms, on the player's clock */
  guint source;                 /* sample it begins with, at rate */
  guint samples;
} BenchMessage;

/**
 * BenchTrace:
 *
 * How the messages of a conversation arrived.
 */
typedef struct
{
  gchar *name;
  gint seed;
  gdouble mask_offset;          /* ms */
  gdouble duration;             /* ms; what is heard later does not count */
  guint rate;
  guint frame;                  /* samples of a message */
  gdouble stall_start;          /* ms, negative if there is none */
  gdouble stall_length;
  GArray *messages;             /* of BenchMessage */
} BenchTrace;

/**
 * BenchShape:
 *
 * What a trace made here is like.
 */
typedef struct
{
  const gchar *name;
  gdouble jitter;               /* ms, mean of the exponential part */
  gdouble drift;                /* server faster than player, 0.02 = 2 % */
  gdouble spike_chance;
  gdouble spike;                /* ms, half to one and a half of it */
  gdouble stall;                /* ms, from 20 s on */
  gdouble catch_up;             /* ms between messages after it; 0 = the network stalls */
  gdouble duration;             /* ms */
} BenchShape;

/**
 * BenchLine:
 *
 * A stretch of what a player played. @source is -1 where it had nothing.
 */
typedef struct
{
  gdouble time;                 /* ms */
  gdouble duration;             /* ms */
  gdouble source;               /* ms */
  gdouble speed;                /* source over time */
} BenchLine;

typedef struct
{
  gdouble silent;               /* ms with nothing to play */
  gdouble concealed;            /* ms of it inside speech */
  gdouble settled;              /* of that what was after ten seconds */
  guint holes;                  /* stretches of it inside speech */
  gdouble dropped;              /* ms of source never played */
  gdouble dropped_speech;
  gdouble stretched;            /* ms by which speech was made longer or shorter */
  gdouble steepest;             /* of that, in any second: ms */
  gdouble mean;                 /* delay, ms, of what was played */
  gdouble p50;
  gdouble p95;
  gdouble max;
  gdouble first;                /* ms from the first arrival to the first sample */
  gdouble before;               /* delay in the 2 s before the stall */
  gdouble after;                /* and around 10 s after it */
  gdouble spare;                /* silence till then, of that in frames of 20 ms */
} BenchMetrics;

/**
 * BenchKind:
 * @BENCH_EVEN: audio is stretched as decided
 * @BENCH_VOICE: by periods of a voice of 125 Hz
 * @BENCH_DEEP: by those of one of 83 Hz
 * @BENCH_PACKETS: not at all: packets of 40 ms, as with Opus output
 */
typedef enum
{
  BENCH_EVEN,
  BENCH_VOICE,
  BENCH_DEEP,
  BENCH_PACKETS,
} BenchKind;

gboolean bench_mask_load (BenchMask * self, const gchar * path,
    GError ** error);
void bench_mask_clear (BenchMask * self);

BenchTrace *bench_trace_make (const BenchShape * shape, gint seed);
BenchTrace *bench_trace_load (const gchar * path, GError ** error);
void bench_trace_free (BenchTrace * self);

gboolean bench_is_speech (const BenchTrace * trace, const BenchMask * mask,
    gdouble source);
GArray *bench_play_adaptive (const BenchTrace * trace, const BenchMask * mask,
    BenchKind kind, MoshiPlayoutCounters * counters);
GArray *bench_play_fixed (const BenchTrace * trace, gdouble delay);
GArray *bench_play_web (const BenchTrace * trace);
GArray *bench_play_python (const BenchTrace * trace);
GArray *bench_play_rust (const BenchTrace * trace);
void bench_measure (const BenchTrace * trace, const BenchMask * mask,
    const GArray * lines, BenchMetrics * metrics);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (BenchTrace, bench_trace_free)

G_END_DECLS
