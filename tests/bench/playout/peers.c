/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Other players: a buffer of fixed delay, and models of clients by what they
 * are known to do. All times are in ms.
 *
 * Web: Kyutai's web client. Plays once 80 ms are there and 10 more have gone by;
 * at each underrun it stops, and waits 5 ms more from then on (80 at most). What
 * is more than that and a margin of 10 ms is cut at its oldest end, and the
 * margin grows by 5 (to 80). Blocks of 40 ms, steps of 128 samples at 48 kHz.
 *
 * Python: client.py. A queue of 80 ms blocks, one of which is taken every 80 ms.
 *
 * Rust: the Rust CLI. A queue of which every 10 ms so much is taken; beyond half
 * a second all of it is made to last two thirds, with its pitch. Decoded audio
 * gets there in blocks of 1,024 samples.
 */

#include "playoutbench.h"

#include <math.h>
#include <string.h>

#define AFTER 2000.0            /* ms that are played after the last was sent */

/* What waits to be played: stretches of the source */
typedef struct
{
  gdouble source;
  gdouble duration;             /* as it will be heard */
  gdouble speed;
} Block;

typedef struct
{
  const BenchTrace *trace;
  GArray *lines;
  GArray *blocks;               /* of Block */
  gdouble queued;
  guint next;                   /* message */
} Peer;

static void
peer_init (Peer * self, const BenchTrace * trace)
{
  memset (self, 0, sizeof (Peer));
  self->trace = trace;
  self->lines = g_array_new (FALSE, FALSE, sizeof (BenchLine));
  self->blocks = g_array_new (FALSE, FALSE, sizeof (Block));
}

static GArray *
peer_finish (Peer * self)
{
  g_array_unref (self->blocks);
  return self->lines;
}

static void
put (Peer * self, gdouble source, gdouble duration)
{
  Block block = { source, duration, 1 };

  g_array_append_val (self->blocks, block);
  self->queued += duration;
}

/* The next message, if it has come by `now` */
static const BenchMessage *
receive (Peer * self, gdouble now)
{
  const BenchMessage *message;

  if (self->next >= self->trace->messages->len)
    return NULL;
  message = &g_array_index (self->trace->messages, BenchMessage, self->next);
  if (message->arrival > now)
    return NULL;
  self->next++;
  return message;
}

static gdouble
to_ms (const BenchTrace * trace, guint samples)
{
  return samples * 1000.0 / trace->rate;
}

/* Takes up to `duration` off the queue, heard from `now` on if `now` is not
 * negative. Returns: what is missing */
static gdouble
take (Peer * self, gdouble now, gdouble duration)
{
  while (duration > 1e-9 && self->blocks->len > 0) {
    Block *block = &g_array_index (self->blocks, Block, 0);
    gdouble part = MIN (block->duration, duration);
    BenchLine line = { now, part, block->source, block->speed };

    if (now >= 0) {
      g_array_append_val (self->lines, line);
      now += part;
    }
    block->source += part * block->speed;
    block->duration -= part;
    self->queued -= part;
    duration -= part;
    if (block->duration < 1e-9)
      g_array_remove_index (self->blocks, 0);
  }
  return duration;
}

static void
be_silent (Peer * self, gdouble now, gdouble duration)
{
  BenchLine line = { now, duration, -1, 1 };

  if (duration > 1e-9)
    g_array_append_val (self->lines, line);
}

/* --- fixed ------------------------------------------------------------------- */

/**
 * bench_play_fixed:
 * @trace: what arrives
 * @delay: ms after it was sent that each sample is heard, or not at all
 *
 * Returns: (transfer full) (element-type BenchLine): what such a buffer plays
 */
GArray *
bench_play_fixed (const BenchTrace * trace, gdouble delay)
{
  GArray *lines = g_array_new (FALSE, FALSE, sizeof (BenchLine));
  guint i;

  for (i = 0; i < trace->messages->len; i++) {
    const BenchMessage *message =
        &g_array_index (trace->messages, BenchMessage, i);
    gdouble length = message->samples * 1000.0 / trace->rate;
    gdouble due = message->sent + delay;
    gdouble late = CLAMP (message->arrival - due, 0, length);
    BenchLine missing = { due, late, -1, 1 };
    BenchLine line = { due + late, length - late,
      message->source * 1000.0 / trace->rate + late, 1
    };

    if (late > 0)
      g_array_append_val (lines, missing);
    if (late < length)
      g_array_append_val (lines, line);
  }
  return lines;
}

/* --- the web client ------------------------------------------------------------ */

#define WEB_STEP (128 / 48.0)
#define WEB_BLOCK 40.0
#define WEB_INITIAL 80.0
#define WEB_MOST 80.0

typedef struct
{
  gdouble partial;              /* waited beyond the first 80 ms */
  gdouble margin;
  gdouble waiting;              /* of it, still */
  gboolean started;
} Web;

static void
web_receive (Peer * self, Web * web, gdouble source)
{
  put (self, source, WEB_BLOCK);
  if (!web->started && self->queued >= WEB_INITIAL) {
    web->started = TRUE;
    web->waiting = web->partial;
  }
  if (self->queued >= WEB_INITIAL + web->partial + web->margin) {
    take (self, -1, self->queued - WEB_INITIAL - web->partial);
    web->margin = MIN (web->margin + 5, WEB_MOST);
  }
}

/**
 * bench_play_web:
 * @trace: what arrives
 *
 * Returns: (transfer full): what Kyutai's web client is taken to play
 */
GArray *
bench_play_web (const BenchTrace * trace)
{
  Web web = { 10, 10, 0, FALSE };
  const BenchMessage *message;
  gdouble now, at;
  Peer self;

  peer_init (&self, trace);
  for (now = 0; now < trace->duration + AFTER; now += WEB_STEP) {
    while ((message = receive (&self, now))) {
      for (at = 0; at < to_ms (trace, message->samples); at += WEB_BLOCK)
        web_receive (&self, &web, to_ms (trace, message->source) + at);
    }
    if (web.started && web.waiting <= 0 && self.queued > 0) {
      gdouble missing = take (&self, now, WEB_STEP);

      be_silent (&self, now + WEB_STEP - missing, missing);
      if (missing > 1e-9) {
        web.started = FALSE;
        web.partial = MIN (web.partial + 5, WEB_MOST);
      }
      continue;
    }
    be_silent (&self, now, WEB_STEP);
    web.waiting -= WEB_STEP;
  }
  return peer_finish (&self);
}

/* --- the Python client ----------------------------------------------------------- */

/**
 * bench_play_python:
 * @trace: what arrives
 *
 * Returns: (transfer full): what client.py is taken to play
 */
GArray *
bench_play_python (const BenchTrace * trace)
{
  const gdouble frame = to_ms (trace, trace->frame);
  const BenchMessage *message;
  gdouble now, missing;
  Peer self;

  peer_init (&self, trace);
  for (now = frame / 2; now < trace->duration + AFTER; now += frame) {
    while ((message = receive (&self, now)))
      put (&self, to_ms (trace, message->source), frame);
    missing = take (&self, now, frame);
    be_silent (&self, now + frame - missing, missing);
  }
  return peer_finish (&self);
}

/* --- the Rust client ---------------------------------------------------------------- */

#define RUST_STEP 10.0
#define RUST_BLOCK (1024 / 24.0)
#define RUST_MOST 500.0

static void
speed_up (Peer * self)
{
  guint i;

  for (i = 0; i < self->blocks->len; i++) {
    Block *block = &g_array_index (self->blocks, Block, i);

    block->duration *= 2.0 / 3.0;
    block->speed *= 1.5;
  }
  self->queued *= 2.0 / 3.0;
}

/**
 * bench_play_rust:
 * @trace: what arrives
 *
 * Returns: (transfer full): what the Rust CLI is taken to play
 */
GArray *
bench_play_rust (const BenchTrace * trace)
{
  gdouble now, missing, come = 0, given = 0;
  const BenchMessage *message;
  Peer self;

  peer_init (&self, trace);
  for (now = 0; now < trace->duration + AFTER; now += RUST_STEP) {
    while ((message = receive (&self, now)))
      come += to_ms (trace, message->samples);
    for (; given + RUST_BLOCK <= come; given += RUST_BLOCK)
      put (&self, given, RUST_BLOCK);
    missing = take (&self, now, RUST_STEP);
    be_silent (&self, now + RUST_STEP - missing, missing);
    if (self.queued > RUST_MOST)
      speed_up (&self);
  }
  return peer_finish (&self);
}
