/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The playout buffer of live output
 *
 * A live pipeline wants one contiguous stream; a network gives packets with
 * jitter, bursts after stalls, and sometimes nothing. Between the two stands
 * this buffer. It keeps no audio: it counts what its owner has queued, and says
 * at each moment what the owner does next.
 *
 * The timeline. `position` is the time stamp of the next sample to leave. A
 * sample stamped p has to leave by the time p + offset + margin: that is what
 * the element's LATENCY answer promises to the sinks, `offset` being what
 * the elements before us need already and `margin` the user's `latency`. So at
 * any time `now` the position must not lag behind now - offset - margin.
 * Nothing leaves before it must: what is not heard yet can still be trimmed,
 * stretched or waited for. So the margin moves the stamps, and costs no delay.
 * A margin of 0 means "no buffer": whatever comes leaves at once, and sinks do
 * the waiting, by the stamps, which are the same.
 *
 * The delay is how much later than it could be had audio is heard. If `head`
 * counts the samples taken out of the queue, the next one is heard with the lag
 * position + offset + margin - head; the lag of the fastest packets is the base
 * (moshijitter.c), and the difference is the delay that this buffer adds. What
 * recent jitter asks for is the spread: the delay is right when it is that.
 *
 * Where it changes unheard. In Moshi's silences delay is free both ways. When a
 * word begins, the silence before it is made longer until the delay is right;
 * as long as a silence lasts, little delay is needed, and what is more is
 * trimmed, to the sample. Both together leave pauses as long as they were. Of
 * what is trimmed all but the last GUARD may go: a word may begin softly.
 *
 * Where it changes within words. If it is beside what it should be, speech is
 * played a twentieth slower or faster, which nobody hears; so the clocks'
 * drift is made up for too. Before speech breaks off there is a last resort: for
 * as long as a packet is missing that is likely to come too late, what is there
 * is made to last half as long again, and at the very end twice as long; most
 * late packets come within that. Likely it is where little is left in hand, or
 * by what the jitter has been like (moshijitter.c). What is gained so is given
 * back by the twentieth. While nothing is known yet of a network but that it has
 * jitter, the same brings the delay up.
 *
 * When it has broken off all the same, it is carried on (concealed), fading,
 * and what comes late is played all the same: so an underrun is paid once, and
 * the delay has grown at once. After a stall, that is a long backlog, which
 * the next silences take away, and a tenth between them. What is beyond
 * MAX_BACKLOG cannot be kept: it is dropped, from a pause between words to the
 * next that is far enough.
 *
 * Where audio cannot be divided (Opus as it is) packets are played, trimmed and
 * dropped whole, and nothing is stretched: silences have to do it all. So a bit
 * more is kept in hand, and what drift takes away before the next of them. Of a
 * silence a packet is taken, and what was too much of it is put back as packets
 * of silence, with silence before and after.
 * With much jitter a silence is cut as short as that allows and made long again
 * before a word, as above, so that speech can have more delay. The shorter packets
 * are the more of a silence can go: their owner takes them apart for that.
 */

#include "moshiplayout.h"

#include "moshijitter.h"

#define MS(ms) ((gint64) ((ms) * 48))

/* Audio leaves in pieces of at most 20 ms: soon enough to decide anew. Where a
 * hole is near they are shorter, an eighth of the spread or so. */
#define PIECE MS (20)
#define MIN_PIECE MS (5)
#define PIECES_PER_SPREAD 12

/* What is later by no more than this is in time: were it looked for when it is
 * due, every other packet would just not be there yet, and pieces be broken. */
#define IN_TIME MS (2)

/* Silence where nothing is expected: 20 ms, as long as the usual packet up, so
 * that an output of nothing wakes the pipeline as often as an input does. Where
 * audio is about to come each bit is a delay that it suffers. */
#define SILENCE_STEP MS (20)
#define EAGER_STEP MS (5)
#define EAGER MS (2000)

/* All durations made here are whole samples at any rate of Opus; packets have
 * grains of their own, 2.5 ms, the shortest one. */
#define SAMPLE_GRAIN 12
#define PACKET_GRAIN 120

/* Concealment is made in steps of Opus' shortest packet, that no more of it be
 * heard than needed; longer ones once it lasts. Beyond so much it is silence. */
#define CONCEAL_STEP MS (2.5)
#define CONCEAL_LONG MS (40)
#define MAX_CONCEAL MS (120)

/* Less than this is not worth a cut in a silence that goes on, nor a pause
 * before a word. */
#define MIN_TRIM MS (5)

/* So much of a silence is kept in hand until it is known what follows it; while
 * it lasts, a share of the spread is delay enough, if not less than is in hand
 * anyway: what were trimmed of that would have to be made again at once. */
#define GUARD MS (5)
#define QUIET_SHARE 4
#define QUIET_LEAST (GUARD + IN_TIME)

/* Before a word so much of it, whatever the delay */
#define EDGE MS (2.5)

/* What is not worth a change of pace: so much less delay than wanted, or so much
 * more, and shares of the spread. Together they are nearly as long as the period
 * of a voice, by which it is changed. */
#define SLOW_SLACK MS (3)
#define SLOW_SHARE 10
#define FAST_SLACK MS (3)
#define FAST_SHARE 40

/* A backlog longer than this beyond the delay wanted is cut, at a word's end if
 * one comes so soon. */
#define MAX_BACKLOG MS (2000)
#define BACKLOG MS (100)
#define WORD MS (1000)

/* Where speech cannot be stretched, it goes on for so long before the drift of
 * clocks is made up for; and a share of the spread more is kept in hand. */
#define SPURT MS (6000)
#define WHOLE_SHARE 10

/* Then this is worth a cut, and so much silence has to follow what is put back. */
#define WHOLE_TRIM MS (10)
#define WHOLE_EDGE MS (10)

/* While silence lasts a share of a spread as wide as this is delay enough; then
 * speech can have more. */
#define WIDE MS (40)
#define WIDE_SHARE 6
#define WIDE_QUIET_SHARE 10

/* When speech is to last longer by half, and when by as much again: so little of
 * the spread is in hand, or so likely is it to break off. */
#define URGENT_CALM 0.7
#define URGENT_RISK 0.1
#define UTMOST_CALM 0.3
#define UTMOST_RISK 0.2

/* How far ahead silence is looked for */
#define HORIZON MS (100)

/* A stretch of the queue that is loud or not */
typedef struct
{
  guint64 duration;
  gboolean loud;
} Run;

struct _MoshiPlayout
{
  guint margin;
  guint offset;
  gint64 position;

  MoshiJitter *jitter;
  gint64 head;                  /* samples taken out of the queue, ever */
  guint64 queued;
  guint64 described;            /* of them, in runs */
  GArray *runs;                 /* of Run, the oldest first */

  gboolean speaking;            /* what was played last was loud */
  gint64 hole;                  /* made since, for want of audio */
  gint64 decided_cut;           /* of the last decision */
  gint64 cut;                   /* of one of whole packets, what is yet to go */
  gint64 word_end;              /* head by which it comes, or 0 */
  gint64 eager;                 /* until then audio is expected */
};

/* What a decision follows from */
typedef struct
{
  Run run;                      /* of alike audio at the head of the queue */
  gboolean known;               /* what follows it, too */
  gint64 ahead;                 /* time until the next sample must leave */
  gint64 spread;
  gint64 excess;                /* delay beyond the spread */
} View;

/**
 * moshi_playout_new:
 *
 * Returns: (transfer full): a playout with no margin, at position 0. Not
 * thread-safe: its owner guards it
 */
MoshiPlayout *
moshi_playout_new (void)
{
  MoshiPlayout *self = g_new0 (MoshiPlayout, 1);

  self->jitter = moshi_jitter_new ();
  self->runs = g_array_new (FALSE, FALSE, sizeof (Run));
  return self;
}

/**
 * moshi_playout_free:
 * @self: (transfer full)
 */
void
moshi_playout_free (MoshiPlayout * self)
{
  moshi_jitter_free (self->jitter);
  g_array_unref (self->runs);
  g_free (self);
}

/**
 * moshi_playout_set_margin:
 * @self: a playout
 * @margin: how long before it must leave audio is stamped
 *
 * May be changed at any time. With a smaller one sinks want at once what was due
 * so much later: they leave out what is stamped for that time, so there is
 * silence in it. With a larger one there is more delay, until a silence takes it.
 */
void
moshi_playout_set_margin (MoshiPlayout * self, guint margin)
{
  if (margin < self->margin)
    self->speaking = FALSE;
  self->margin = margin;
}

/**
 * moshi_playout_set_offset:
 * @self: a playout
 * @offset: the part of the promised latency that is not ours
 *
 * May be changed as the margin may.
 */
void
moshi_playout_set_offset (MoshiPlayout * self, guint offset)
{
  if (offset < self->offset)
    self->speaking = FALSE;
  self->offset = offset;
}

/**
 * moshi_playout_expect:
 * @self: a playout
 * @now: the time
 *
 * Another stream is about to come, any moment: silence is made in small bits
 * for a while, and when its packets arrive is learned anew.
 */
void
moshi_playout_expect (MoshiPlayout * self, gint64 now)
{
  self->eager = now + EAGER;
  moshi_jitter_reset (self->jitter);
}

/**
 * moshi_playout_start:
 * @self: a playout
 * @position: stamp of the first sample that will leave
 *
 * Begins a new contiguous output. Packets already queued stay so.
 */
void
moshi_playout_start (MoshiPlayout * self, gint64 position)
{
  self->position = position;
  self->speaking = FALSE;
  self->hole = 0;
  self->eager = position + EAGER;
}

/**
 * moshi_playout_arrive:
 * @self: a playout
 * @duration: of the packet that the owner has put at the end of its queue
 * @now: when it came
 */
void
moshi_playout_arrive (MoshiPlayout * self, guint duration, gint64 now)
{
  self->queued += duration;
  moshi_jitter_arrive (self->jitter, duration, now);
  self->eager = now + EAGER;
}

/**
 * moshi_playout_describe:
 * @self: a playout
 * @duration: how much of the queue, after what was described before
 * @loud: whether it is to be kept: speech, and what is near it
 *
 * What is not described counts as loud. More than is queued is ignored.
 */
void
moshi_playout_describe (MoshiPlayout * self, guint duration, gboolean loud)
{
  Run run = { MIN (duration, self->queued - self->described), loud };
  Run *last = self->runs->len > 0 ?
      &g_array_index (self->runs, Run, self->runs->len - 1) : NULL;

  if (run.duration == 0)
    return;
  self->described += run.duration;
  if (last && last->loud == loud)
    last->duration += run.duration;
  else
    g_array_append_val (self->runs, run);
}

/**
 * moshi_playout_forget:
 * @self: a playout
 *
 * The owner has emptied its queue.
 */
void
moshi_playout_forget (MoshiPlayout * self)
{
  self->head += (gint64) self->queued;
  self->queued = self->described = 0;
  self->cut = 0;
  g_array_set_size (self->runs, 0);
  self->speaking = FALSE;
}

/* Delay that the next sample has beyond what is wanted, and, while what a stall has
 * held back comes in late, beyond that */
static gint64
get_excess_beyond (MoshiPlayout * self, gint64 wanted, gint64 now)
{
  gint64 lag = self->position + self->offset + self->margin - self->head;
  gint64 excess = lag - moshi_jitter_get_base (self->jitter, now) - wanted;
  gint64 stall = moshi_jitter_get_stall (self->jitter, now);

  return excess > stall ? excess - stall : MIN (excess, 0);
}

/* Wanted is what recent jitter asks for. */
static gint64
get_excess (MoshiPlayout * self, gint64 now)
{
  return get_excess_beyond (self, moshi_jitter_get_spread (self->jitter), now);
}

/* Whether there is so much jitter that silences are worth less delay. */
static gboolean
is_wide (MoshiPlayout * self)
{
  return moshi_jitter_get_spread (self->jitter) >= WIDE;
}

/* The same where nothing can be stretched */
static gint64
get_whole_excess (MoshiPlayout * self, gint64 now)
{
  gint64 spread = moshi_jitter_get_spread (self->jitter);

  spread += spread / (is_wide (self) ? WIDE_SHARE : WHOLE_SHARE);
  return get_excess_beyond (self,
      spread + moshi_jitter_get_loss (self->jitter, SPURT), now);
}

/**
 * moshi_playout_get_horizon:
 * @self: a playout
 * @packet: as in moshi_playout_decide()
 * @now: the time
 *
 * To know what packets are costs the owner something. As long as the delay is
 * right and there is little jitter it does not matter: they are played in any case.
 *
 * Returns: how much of the queue is to be described for a good decision; with
 *     packets, 0 also means that they need not be as short as they can be
 */
guint64
moshi_playout_get_horizon (MoshiPlayout * self, guint packet, gint64 now)
{
  gint64 excess = get_excess (self, now);

  if (excess > MAX_BACKLOG)
    return self->queued;
  if (packet == 0)
    return MIN (self->queued, HORIZON);
  excess = get_whole_excess (self, now);
  if (!is_wide (self) && excess > -MIN_TRIM && excess < WHOLE_TRIM)
    return 0;
  return MIN (self->queued, (guint64) packet + WHOLE_EDGE);
}

static void
set_step (MoshiPlayoutDecision * decision, MoshiPlayoutStep step,
    gint64 duration)
{
  decision->step = step;
  decision->duration = (guint) duration;
}

static gint64
round_up (gint64 duration, gint64 grain)
{
  return duration > 0 ? (duration + grain - 1) / grain * grain : 0;
}

/* Silence, or speech carried on, for want of audio; not before it is due. */
static void
bridge (MoshiPlayout * self, gint64 now, const View * view,
    MoshiPlayoutDecision * decision)
{
  if (view->ahead > 0) {
    decision->step = MOSHI_PLAYOUT_WAIT;
    decision->until = now + view->ahead;
  } else if (self->speaking && self->hole < MAX_CONCEAL) {
    set_step (decision, MOSHI_PLAYOUT_CONCEAL,
        self->hole < CONCEAL_LONG ? CONCEAL_STEP : 2 * CONCEAL_STEP);
  } else {
    set_step (decision, MOSHI_PLAYOUT_SILENCE,
        now < self->eager ? EAGER_STEP : SILENCE_STEP);
  }
}

static void
look (MoshiPlayout * self, gint64 now, View * view)
{
  gint64 due = self->position + self->offset + self->margin;

  view->run.duration = self->queued;
  view->run.loud = TRUE;
  if (self->runs->len > 0)
    view->run = g_array_index (self->runs, Run, 0);
  view->known = self->described > view->run.duration;
  view->ahead = MAX (due - now, 0);
  view->spread = moshi_jitter_get_spread (self->jitter);
  view->excess = get_excess (self, now);
}

/* --- backlog ------------------------------------------------------------------ */

/* Where the first silence of the queue begins that ends after `least`, or -1 */
static gint64
find_silence (MoshiPlayout * self, gint64 least)
{
  gint64 at = 0;
  guint i;

  for (i = 0; i < self->runs->len; i++) {
    const Run *run = &g_array_index (self->runs, Run, i);

    if (!run->loud && at + (gint64) run->duration > least)
      return at;
    at += (gint64) run->duration;
  }
  return -1;
}

/* Whether a cut is to wait for the end of the word under way. That is found once:
 * what is played may go beyond it, by a period of the voice or the rest of a
 * packet, and the next word's end is not to be waited for. */
static gboolean
is_in_word (MoshiPlayout * self, const View * view)
{
  gint64 length = find_silence (self, 0);

  if (self->word_end == 0 && view->run.loud && length > 0 && length < WORD)
    self->word_end = self->head + length;
  return self->speaking && self->head < self->word_end;
}

/* How much to cut: what is too much, up to a silence if one comes soon; 0 if
 * the word under way is to end before. */
static gint64
find_cut (MoshiPlayout * self, const View * view)
{
  gint64 least = view->excess - MAX_BACKLOG, end;

  if (self->cut > 0)
    return self->cut;
  if (least <= 0)
    self->word_end = 0;
  if (least <= 0 || is_in_word (self, view))
    return 0;
  end = find_silence (self, least);
  if (end < 0 || end > least + WORD)
    end = least;
  return MIN (round_up (MAX (end, least), SAMPLE_GRAIN), (gint64) self->queued);
}

/* --- audio that can be divided -------------------------------------------- */

/* What is next is no speech. */
static void
decide_quiet (MoshiPlayout * self, gint64 now, const View * view,
    MoshiPlayoutDecision * decision)
{
  gint64 rest = (gint64) view->run.duration - (view->known ? EDGE : GUARD);
  gint64 above = view->known ? view->excess :
      view->excess + view->spread - MAX (view->spread / QUIET_SHARE,
      QUIET_LEAST);
  gint64 trim = MIN (above, rest);
  gint64 wait = round_up (-view->excess, SAMPLE_GRAIN);

  trim -= trim % SAMPLE_GRAIN;
  if (above >= (view->known ? SAMPLE_GRAIN : MIN_TRIM) && trim > 0)
    set_step (decision, MOSHI_PLAYOUT_TRIM, trim);
  else if (rest > 0)
    set_step (decision, MOSHI_PLAYOUT_PLAY, MIN (rest, PIECE));
  else if (!view->known)
    bridge (self, now, view, decision);
  else if (wait > 0)
    set_step (decision, MOSHI_PLAYOUT_SILENCE, MIN (wait, PIECE));
  else
    set_step (decision, MOSHI_PLAYOUT_PLAY, view->run.duration);
}

/* How much speech to play before the next decision. As long as the next packet
 * is not due, nothing new is learned. */
static gint64
get_piece (MoshiPlayout * self, const View * view)
{
  gint64 hand = (gint64) self->queued + view->ahead;
  gint64 overdue = view->excess + view->spread - hand - IN_TIME;
  gint64 piece = CLAMP (view->spread / PIECES_PER_SPREAD, MIN_PIECE, PIECE);

  if (hand >= view->spread + PIECE || overdue <= -PIECE)
    return PIECE;
  return round_up (MAX (piece, -overdue), SAMPLE_GRAIN);
}

/* Whether there was no jitter so far, though perhaps drift: that is made up for
 * gently. */
static gboolean
is_evenly_new (MoshiPlayout * self)
{
  return moshi_jitter_is_new (self->jitter)
      && moshi_jitter_is_even (self->jitter);
}

/* How much longer what is in hand has to last, lest speech break off */
static gint
get_last_resort (MoshiPlayout * self, const View * view)
{
  gint64 hand = (gint64) self->queued + view->ahead;
  gint64 delay = view->excess + view->spread;
  gdouble calm = moshi_jitter_get_calm (self->jitter, MIN (hand, delay));
  gdouble risk = moshi_jitter_get_risk (self->jitter, delay, hand);

  /* When speech ends within what is there, no hole is to be feared; nor is one
   * where all has come evenly so far. */
  if (view->known || is_evenly_new (self))
    return 0;
  if (moshi_jitter_is_new (self->jitter))
    risk = 0;
  if (calm < UTMOST_CALM || risk > UTMOST_RISK)
    return MOSHI_PLAYOUT_UTMOST;
  return calm < URGENT_CALM || risk > URGENT_RISK ? MOSHI_PLAYOUT_URGENT : 0;
}

/* So much less delay than wanted is not worth a change of pace. */
static gint64
get_slow_slack (const View * view)
{
  return MAX (view->spread / SLOW_SHARE, SLOW_SLACK);
}

static gint
get_pace (MoshiPlayout * self, const View * view)
{
  gboolean fast = view->excess > view->spread / FAST_SHARE + FAST_SLACK;
  gboolean slow = view->excess < -get_slow_slack (view);
  gint pace = get_last_resort (self, view);

  if (pace > 0)
    return pace;
  if (view->excess > BACKLOG)
    return -MOSHI_PLAYOUT_BRISK;
  if (fast)
    return -MOSHI_PLAYOUT_GENTLE;
  if (view->known || !slow)
    return 0;
  return moshi_jitter_is_new (self->jitter) && !is_evenly_new (self) ?
      MOSHI_PLAYOUT_URGENT : MOSHI_PLAYOUT_GENTLE;
}

static void
decide_loud (MoshiPlayout * self, const View * view,
    MoshiPlayoutDecision * decision)
{
  gint64 wait = round_up (-view->excess, SAMPLE_GRAIN);

  if (!self->speaking && (wait >= MIN_TRIM || (self->hole > 0 && wait > 0))) {
    set_step (decision, MOSHI_PLAYOUT_SILENCE, MIN (wait, PIECE));
    return;
  }
  set_step (decision, MOSHI_PLAYOUT_PLAY,
      MIN ((gint64) view->run.duration, get_piece (self, view)));
  decision->pace = get_pace (self, view);
  /* With a period gone that is longer than this it would be slowed down next, or
   * break off before it can be. */
  decision->spare = (guint) MAX (view->excess + get_slow_slack (view), 0);
}

/* --- packets ---------------------------------------------------------------- */

/* A packet of silence: it is left out if it is no more than is too much, or if
 * there is silence after it for the rest to be put back. Where jitter is wide
 * much is too much while silence lasts; the last packet of it that is there is
 * kept until it is known whether it does. */
static void
decide_quiet_packet (MoshiPlayout * self, guint packet, gint64 now,
    const View * view, MoshiPlayoutDecision * decision)
{
  const gboolean wide = is_wide (self);
  gboolean lasts = view->run.duration >= (guint64) packet + WHOLE_EDGE;
  gint64 excess = get_whole_excess (self, now);
  gint64 above = wide && lasts ?
      excess + view->spread - view->spread / WIDE_QUIET_SHARE : excess;
  gint64 wait = MAX (-excess, 0);

  wait -= wait % PACKET_GRAIN;
  if (above >= (gint64) packet || (lasts && above >= WHOLE_TRIM))
    set_step (decision, MOSHI_PLAYOUT_TRIM, packet);
  else if (wide && !lasts && !view->known && self->hole < view->spread)
    bridge (self, now, view, decision);
  else if (wait > 0 && !self->speaking && (!wide || !lasts))
    set_step (decision, MOSHI_PLAYOUT_SILENCE, MIN (wait, PIECE));
  else
    set_step (decision, MOSHI_PLAYOUT_PLAY, packet);
}

static void
decide_packet (MoshiPlayout * self, guint packet, gint64 now,
    const View * view, MoshiPlayoutDecision * decision)
{
  gint64 wait = MAX (-get_whole_excess (self, now), 0);

  wait -= wait % PACKET_GRAIN;
  if (!view->run.loud && view->run.duration >= packet)
    decide_quiet_packet (self, packet, now, view, decision);
  else if (!self->speaking && wait > 0 && (!view->run.loud || self->hole > 0))
    set_step (decision, MOSHI_PLAYOUT_SILENCE, MIN (wait, PIECE));
  else
    set_step (decision, MOSHI_PLAYOUT_PLAY, packet);
}

/**
 * moshi_playout_decide:
 * @self: a playout
 * @packet: duration of the oldest packet in the owner's queue, if it is to be
 *     treated as a whole; 0 if audio can be divided
 * @now: the time
 * @decision: (out caller-allocates): what to do
 *
 * The owner does what is decided, says so with moshi_playout_done(), and asks
 * again, until it is told to wait. Durations are of whole samples at any rate
 * that Opus has, and no longer than what is queued.
 */
void
moshi_playout_decide (MoshiPlayout * self, guint packet, gint64 now,
    MoshiPlayoutDecision * decision)
{
  gint64 cut;
  View view;

  look (self, now, &view);
  decision->pace = 0;
  decision->spare = 0;
  if (view.ahead > 0 && (self->margin > 0 || self->queued == 0)) {
    decision->step = MOSHI_PLAYOUT_WAIT;
    decision->until = now + view.ahead;
  } else if (self->queued == 0) {
    bridge (self, now, &view, decision);
  } else if ((cut = find_cut (self, &view)) > 0) {
    self->decided_cut = cut;
    set_step (decision, MOSHI_PLAYOUT_DROP, packet > 0 ? packet : cut);
  } else if (packet > 0) {
    decide_packet (self, packet, now, &view, decision);
  } else if (view.run.loud) {
    decide_loud (self, &view, decision);
  } else {
    decide_quiet (self, now, &view, decision);
  }
}

/* --- what was done ------------------------------------------------------------ */

/* Takes audio out of the queue; the last of it tells whether it was loud. */
static void
take (MoshiPlayout * self, gint64 duration)
{
  duration = MIN (duration, (gint64) self->queued);
  self->head += duration;
  self->queued -= (guint64) duration;
  self->speaking = self->runs->len == 0;
  while (duration > 0 && self->runs->len > 0) {
    Run *run = &g_array_index (self->runs, Run, 0);
    gint64 part = MIN (duration, (gint64) run->duration);

    self->speaking = run->loud;
    run->duration -= (guint64) part;
    self->described -= (guint64) part;
    duration -= part;
    if (run->duration == 0)
      g_array_remove_index (self->runs, 0);
  }
}

/**
 * moshi_playout_count:
 * @self: what was counted so far
 * @step: what the owner has done
 * @taken: how much audio is gone from its queue
 * @made: how much has gone out
 */
void
moshi_playout_count (MoshiPlayoutCounters * self, MoshiPlayoutStep step,
    guint taken, guint made)
{
  switch (step) {
    case MOSHI_PLAYOUT_PLAY:
      self->lengthened += made - MIN (made, taken);
      self->shortened += taken - MIN (made, taken);
      break;
    case MOSHI_PLAYOUT_SILENCE:
      self->filled += made;
      break;
    case MOSHI_PLAYOUT_CONCEAL:
      self->concealed += made;
      break;
    case MOSHI_PLAYOUT_TRIM:
      self->trimmed += taken;
      break;
    case MOSHI_PLAYOUT_DROP:
      self->dropped += taken;
      break;
    case MOSHI_PLAYOUT_WAIT:
      break;
  }
}

/**
 * moshi_playout_done:
 * @self: a playout
 * @step: what the owner has done
 * @taken: how much audio is gone from its queue
 * @made: how much has gone out
 *
 * With PLAY the two differ as the audio was stretched.
 */
void
moshi_playout_done (MoshiPlayout * self, MoshiPlayoutStep step, guint taken,
    guint made)
{
  gboolean speaking = self->speaking;

  if (taken > 0)
    take (self, taken);
  self->position += made;
  if (step == MOSHI_PLAYOUT_DROP) {
    self->cut = MAX (self->decided_cut - (gint64) taken, 0);
    self->word_end = 0;
  }
  if (step == MOSHI_PLAYOUT_PLAY)
    self->hole = 0;
  else if (step == MOSHI_PLAYOUT_TRIM || step == MOSHI_PLAYOUT_DROP)
    self->speaking = speaking && step == MOSHI_PLAYOUT_DROP;
  else
    self->hole += made;
  if (self->hole >= MAX_CONCEAL)
    self->speaking = FALSE;
}

/**
 * moshi_playout_get_position:
 * @self: a playout
 *
 * Returns: stamp of the next sample to leave
 */
gint64
moshi_playout_get_position (MoshiPlayout * self)
{
  return self->position;
}

/**
 * moshi_playout_get_described:
 * @self: a playout
 *
 * Returns: how much of what waits is described
 */
guint64
moshi_playout_get_described (MoshiPlayout * self)
{
  return self->described;
}

/**
 * moshi_playout_get_queued:
 * @self: a playout
 *
 * Returns: how much audio waits
 */
guint64
moshi_playout_get_queued (MoshiPlayout * self)
{
  return self->queued;
}
