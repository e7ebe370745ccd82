/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>

#include "gstmoshimeter.h"
#include "protocol/moshiplayout.h"
#include "session/moshisession.h"
#include "session/moshisessions.h"
#include "session/moshilock.h"

G_BEGIN_DECLS

/* All positions on the way up and down are counted in samples at 48 kHz, which
 * every rate of Opus divides: no rounding adds up. */
#define GST_MOSHI_TICK_RATE 48000
#define GST_MOSHI_MODEL_FRAME (1920 * 2)        /* 80 ms, what a model step takes */
#define GST_MOSHI_MS_TO_TICKS(ms) ((guint64) (ms) * 48)

static inline guint64
gst_moshi_ticks_to_time (guint64 ticks)
{
  return gst_util_uint64_scale_int_round (ticks, GST_SECOND,
      GST_MOSHI_TICK_RATE);
}

static inline guint64
gst_moshi_time_to_ticks (GstClockTime time)
{
  return gst_util_uint64_scale_int_round (time, GST_MOSHI_TICK_RATE,
      GST_SECOND);
}

/**
 * GST_MOSHI_WINDOW:
 *
 * Batch: how much input, in ticks, may be ahead of the output pushed. It bounds
 * the memory of a run of any length, and keeps below what servers take at once
 * (5 s in one message for sphn, a buffer of 10 s in moshi-backend).
 */
#define GST_MOSHI_WINDOW GST_MOSHI_MS_TO_TICKS (4000)

/**
 * GST_MOSHI_TEXT_WINDOW:
 *
 * Batch: the same while a muxer may be keeping the audio back for a sentence. It
 * is more than a sentence can last.
 */
#define GST_MOSHI_TEXT_WINDOW GST_MOSHI_MS_TO_TICKS (20000)

/**
 * GST_MOSHI_MAX_ITEMS, GST_MOSHI_MAX_QUEUED:
 *
 * What may wait to be pushed: things of any kind, and audio in ticks. Both are
 * beyond what an honest server can send for the input it was given.
 */
#define GST_MOSHI_MAX_ITEMS 16384
#define GST_MOSHI_MAX_QUEUED GST_MOSHI_MS_TO_TICKS (30000)

typedef enum
{
  GST_MOSHI_ITEM_PACKET,        /* bytes: an Opus packet */
  GST_MOSHI_ITEM_SILENCE,       /* in place of packets dropped by request */
  GST_MOSHI_ITEM_TEXT,          /* bytes: a text piece */
  GST_MOSHI_ITEM_SESSION,       /* a new session begins */
  GST_MOSHI_ITEM_METADATA,      /* bytes: JSON */
} GstMoshiItemKind;

typedef struct
{
  GstMoshiItemKind kind;
  GBytes *bytes;
  guint duration;               /* of PACKET and SILENCE, in ticks */
  guint64 start;                /* of SESSION: input position it begins at; of
                                 * what is kept: where it stands */
  guint index;                  /* of SESSION */
  gint color;                   /* of TEXT */
} GstMoshiItem;

/**
 * GstMoshiSegment:
 *
 * Batch: a segment of the input after the first of a run.
 */
typedef struct
{
  guint64 position;             /* ticks from the run's begin to its own */
  GstClockTime start;           /* PTS there */
  GstSegment segment;
} GstMoshiSegment;

/**
 * GST_MOSHI_FLUSH_TICKS:
 *
 * Silence sent after the last input so that a model that gives its first
 * answers late, and a server that waits for its frame to be full, still answer
 * all: two frames of the model, one of the server's, two to spare.
 */
#define GST_MOSHI_FLUSH_TICKS (5 * GST_MOSHI_MODEL_FRAME)

/**
 * GstMoshiLeg:
 * @session: what is talked on
 * @number: in the talk, from 1 on
 * @ready: whether the server takes audio
 * @index: if so: the session's, as users see it
 * @most: likewise: ticks of input it takes in batch, whole frames; 0 for any
 *
 * What takes over.
 */
typedef struct
{
  MoshiSession *session;
  guint number;
  gboolean ready;
  guint index;
  guint64 most;
} GstMoshiLeg;

/**
 * GstMoshiJoin:
 *
 * What makes one conversation of several sessions: see gstmoshijoin.c. Positions
 * are the input's, in ticks.
 */
typedef struct
{
  guint leg;                    /* what audio goes to; 0 = none yet */
  guint old;                    /* the one before, while it owes answers; or 0 */
  guint64 old_end;              /* where its answers end */
  guint64 start;                /* where the input of `leg` begins */
  guint64 most;                 /* batch: how much of it; 0 = any */
  gboolean spent;               /* batch: that much was given, and silence */
  GstMoshiLeg successor;        /* live: takes over with the next whole frame */
  guint64 turn;                 /* live: where that was asked for */
  guint64 skip;                 /* what of its answers was heard before */
  GQueue kept;                  /* batch: of GstMoshiItem, sent, not answered */
  GQueue held;                  /* of GstMoshiItem, not due yet */
  guint64 held_ticks;
  guint64 extra;                /* live: given to old legs beyond the input */
  guint sessions;               /* that took audio */
  guint renewals;               /* of these, took over before a limit */
} GstMoshiJoin;

typedef struct _GstMoshiInput GstMoshiInput;
typedef struct _GstMoshiSchedule GstMoshiSchedule;

/**
 * GstMoshiTalk:
 *
 * Where the two halves of a conversation meet: what was given to the server,
 * what has come back, and why nothing goes on, under one lock with one
 * condition. Whoever changes a field that another thread may wait for
 * broadcasts.
 */
typedef struct
{
  gatomicrefcount refs;

  /* Nothing is called with it held but the session's send and the playout's
   * arithmetic: no push, no post, no query, no signal. */
  GMutex lock;
  GCond cond;
  guint waiting;                /* for it */

  /* All below: by lock */

  MoshiSession *session;        /* from READY to PAUSED until back */
  GPtrArray *sessions;          /* of MoshiSession: all that are not over */
  MoshiSessionStats stats;      /* of those that are, since the start */
  GstMoshiJoin join;
  MoshiLifeState state;
  guint session_index;
  guint64 session_start;        /* `sent` when it began */
  gboolean ready;               /* the server takes audio */
  gboolean begun;               /* a server has, since the input started */
  gboolean failed;              /* the error is posted; nothing comes any more */

  /* Who speaks and who listens, while they do */
  GstMoshiInput *input;         /* kept fed, live */
  GstMoshiSchedule *schedule;   /* told what arrives */
  struct _GstMoshiWords *words; /* counts the listener's words */
  guint n_words;                /* of the last listener, once it is gone */

  /* Batch or live, known when upstream could be asked; does not change from
   * then on until the tasks have stopped, so that they need no lock to read it.
   * The halves of a pair may differ: a file can be played to a live output. */
  gboolean known;
  gboolean live;
  gboolean input_live;          /* what no session takes is gone */
  gboolean paired;              /* immutable: two elements, each may come and go */

  /* The way up */
  gboolean input_flushing;
  guint input_flushes;          /* how often that began */
  guint64 sent;                 /* ticks given to the server */
  GstClockTime heard_end;       /* end of the last packet of the user's: running
                                 * time, in a pair clock time */
  GstClockTime sent_end;        /* likewise, of the last one that was given */
  GstClockTime upstream_latency;        /* of a live source, by its own word */
  guint64 unsent;               /* ticks thrown away: nobody there to take them */
  guint64 input_filled;         /* ticks of silence sent in place of gaps */
  guint64 input_trimmed;        /* ticks cut, their time being sent already */
  gboolean input_eos;           /* run_length is final, or live: `end` is set */
  guint64 end;                  /* with input_eos: `sent` after the tail */
  gboolean input_done;          /* batch: all is sent, tail included */
  gint64 done_time;             /* monotonic µs of that */

  /* The run: what lies between two flushes of the input */
  guint run;                    /* counts them; 0 = none begun */
  GstSegment segment;           /* of the input when it began */
  GstClockTime base;            /* PTS of its first sample */
  guint64 run_start;            /* `sent` when it began */
  guint64 run_length;           /* ticks of input so far, tail included */
  GQueue segments;              /* of GstMoshiSegment: those to come */

  /* The way down */
  gboolean output_flushing;
  GQueue items;                 /* of GstMoshiItem */
  guint64 queued;               /* ticks of audio in items */
  guint64 received;             /* ticks of audio that have come */
  gboolean text_held;           /* batch: the text pad waits for a unit's end */
  guint64 pushed;               /* input position up to which output is done */
  GstFlowReturn flow;           /* of the last push */
  gboolean output_done;         /* EOS is out */
  guint64 items_dropped;
  guint64 output_dropped;       /* ticks that came and were not played */
  guint64 output_filled;        /* ticks of silence where no audio was */
  MoshiPlayoutCounters playout; /* live: what it did, beside these two */
  GstMoshiMeter meter;
  gint64 last_answer;           /* monotonic µs of the last packet */
} GstMoshiTalk;

GstMoshiTalk *gst_moshi_talk_new (void);
GstMoshiTalk *gst_moshi_talk_join (const gchar * name, MoshiSessionsRole role,
    GError ** error);
GstMoshiTalk *gst_moshi_talk_ref (GstMoshiTalk * self);
void gst_moshi_talk_unref (GstMoshiTalk * self);

void gst_moshi_talk_wait_locked (GstMoshiTalk * self)
    MOSHI_REQUIRES (self->lock);
gboolean gst_moshi_talk_wait_until_locked (GstMoshiTalk * self,
    gint64 deadline)
    MOSHI_REQUIRES (self->lock);
void gst_moshi_talk_wake_locked (GstMoshiTalk * self)
    MOSHI_REQUIRES (self->lock);

void gst_moshi_talk_reset_input (GstMoshiTalk * self);
void gst_moshi_talk_reset_output (GstMoshiTalk * self);
void gst_moshi_talk_add_session (GstMoshiTalk * self, MoshiSession * session);
void gst_moshi_talk_remove_session (GstMoshiTalk * self,
    MoshiSession * session);
void gst_moshi_talk_hang_up (GstMoshiTalk * self);
void gst_moshi_talk_clear_mode (GstMoshiTalk * self);
void gst_moshi_talk_set_mode (GstMoshiTalk * self, gboolean live);
void gst_moshi_talk_set_input_live (GstMoshiTalk * self, gboolean live);
void gst_moshi_talk_set_upstream_latency (GstMoshiTalk * self,
    GstClockTime latency);
void gst_moshi_talk_set_input (GstMoshiTalk * self, GstMoshiInput * input);
MoshiLifeState gst_moshi_talk_get_state (GstMoshiTalk * self);
void gst_moshi_talk_get_session_stats_locked (GstMoshiTalk * self,
    MoshiSessionStats * stats)
    MOSHI_REQUIRES (self->lock);
GstClockTime gst_moshi_talk_get_time_locked (GstMoshiTalk * self,
    GstElement * element, GstClockTime running_time)
    MOSHI_REQUIRES (self->lock);
void gst_moshi_talk_said_locked (GstMoshiTalk * self, gboolean loud,
    guint ticks, GstClockTime start)
    MOSHI_REQUIRES (self->lock);
void gst_moshi_talk_set_input_flushing (GstMoshiTalk * self,
    gboolean flushing);
void gst_moshi_talk_set_output_flushing (GstMoshiTalk * self,
    gboolean flushing);
void gst_moshi_talk_flush_run (GstMoshiTalk * self);
void gst_moshi_talk_drop_output (GstMoshiTalk * self);
void gst_moshi_talk_restart (GstMoshiTalk * self);
void gst_moshi_talk_fail (GstMoshiTalk * self);
gboolean gst_moshi_talk_has_failed (GstMoshiTalk * self);
GstFlowReturn gst_moshi_talk_check_flow (GstMoshiTalk * self);
GstFlowReturn gst_moshi_talk_send (GstMoshiTalk * self, GstElement * element,
    GBytes * packet, guint ticks, gboolean loud, GstClockTime end);
gboolean gst_moshi_talk_get_input_flushing (GstMoshiTalk * self,
    guint * flushes);
gboolean gst_moshi_talk_wait_room (GstMoshiTalk * self, guint flushes,
    gboolean * waited);
gboolean gst_moshi_talk_close (GstMoshiTalk * self);

GstMoshiItem *gst_moshi_item_copy (const GstMoshiItem * item);
void gst_moshi_item_free (GstMoshiItem * item);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (GstMoshiTalk, gst_moshi_talk_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (GstMoshiItem, gst_moshi_item_free)

G_END_DECLS
