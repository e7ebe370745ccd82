/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A pipeline with a stand-in server behind it: what the tests of the elements
 * share. One Harness is one pipeline; its element named `m` is the one tried.
 * Everything here is called from the test's thread.
 */
#pragma once

#include <gst/gst.h>
#include <gst/check/gsttestclock.h>

#include "moshistandin.h"

G_BEGIN_DECLS
/** HARNESS_PATIENCE: ms that nothing in a test may take, sanitizers and all */
#define HARNESS_PATIENCE 30000
/**
 * HarnessBuffer:
 *
 * What is kept of a buffer beside its bytes.
 */
    typedef struct
{
  GstClockTime pts;
  GstClockTime duration;
  GstBufferFlags flags;
  gsize offset;                 /* where its bytes stand in the track's data */
  gsize size;
} HarnessBuffer;

/**
 * HarnessEvent:
 * @event: owned
 * @at: how many buffers came before it
 */
typedef struct
{
  GstEvent *event;
  guint at;
} HarnessEvent;

/**
 * HarnessTrack:
 *
 * What has flowed out of one pad. Touch it with the pad idle (after EOS, in
 * NULL), or between harness_lock() and harness_unlock().
 */
typedef struct
{
  struct _Harness *harness;
  GArray *buffers;              /* of HarnessBuffer */
  GByteArray *data;             /* their bytes, if kept */
  GArray *events;               /* of HarnessEvent */
  guint64 bytes;                /* all, kept or not */
  guint n_eos;
  gboolean keep;                /* keep buffers, bytes: TRUE at first */
} HarnessTrack;

typedef struct _Harness
{
  MoshiStandin *server;         /* NULL without a configuration */
  GstElement *pipeline;
  GstElement *moshi;            /* the element named `m` */
  GstBus *bus;
  GstTestClock *clock;          /* NULL: the system's */
  HarnessTrack *out;            /* of m's src pad */
  GPtrArray *messages;          /* of GstMessage, popped so far */

  GMutex lock;
  GCond cond;
  GPtrArray *tracks;
} Harness;

int harness_main (int *argc, char ***argv, void (*add_tests) (void));

Harness *
harness_new (const MoshiStandinConfig * config, const gchar * description, ...)
G_GNUC_PRINTF (2, 3);
     void harness_free (Harness * self);
     HarnessTrack *harness_track (Harness * self, const gchar * element,
    const gchar * pad);
     void harness_use_test_clock (Harness * self);
     void harness_lock (Harness * self);
     void harness_unlock (Harness * self);

     void harness_set_state (Harness * self, GstState state);
     void harness_wait_state (Harness * self, GstState state);
     void harness_wait_answers (Harness * self, guint64 samples);
     void harness_play_to_eos (Harness * self);
     void harness_wait_eos (Harness * self);

     GstMessage *harness_wait_message (Harness * self, GstMessageType types,
    const gchar * name, guint timeout_ms);
     GstMessage *harness_wait_error (Harness * self, GQuark domain, gint code);
     void harness_wait_connection (Harness * self, const gchar * state);
     void harness_pop_messages (Harness * self);
     guint harness_count_messages (Harness * self, GstMessageType types,
    const gchar * name);
     void harness_wait_bytes (Harness * self, HarnessTrack * track,
    guint64 bytes);
     void harness_wait_buffers (Harness * self, HarnessTrack * track, guint n);
     void harness_wait_track_eos (Harness * self, HarnessTrack * track);

     GstStructure *harness_get_stats (Harness * self);
     guint64 harness_get_stat (Harness * self, const gchar * name);
     void harness_wait_stat (Harness * self, const gchar * name,
    guint64 at_least);

     void harness_advance (Harness * self, GstClockTime duration);
     GstElement *harness_get_element (Harness * self, const gchar * name);
     void harness_push (Harness * self, GstClockTime pts, gsize size,
    GstBufferFlags flags);
     void harness_push_event (Harness * self, GstEvent * event);
     void harness_push_eos (Harness * self);

     const HarnessBuffer *harness_track_buffer (HarnessTrack * track, guint i);
     gchar *harness_track_dup_text (HarnessTrack * track, guint i);
     void harness_track_clear (HarnessTrack * track);
     guint harness_track_count_events (HarnessTrack * track, GstEventType type);
     GstEvent *harness_track_find_event (HarnessTrack * track,
    GstEventType type, guint * at);
     guint64 harness_assert_contiguous (HarnessTrack * track, guint rate,
    guint bytes_per_frame, guint from);
     void harness_assert_sweep (HarnessTrack * track, gsize first_frame,
    const MoshiStandinConfig * config, guint rate, guint channels);

G_END_DECLS
