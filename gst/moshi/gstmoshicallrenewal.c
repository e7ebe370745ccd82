/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How one session of a call follows another: opened in time, taken over to in a
 * silence, or standing in for one that is lost
 *
 * All on the network thread. */

#include "gstmoshicallprivate.h"

#include "gstmoshijoin.h"

#define GST_CAT_DEFAULT gst_moshi_call_debug

/* Live: a silence of Moshi's that is long enough to change over in, in ticks:
 * shorter ones are within words. */
#define QUIET_ENOUGH GST_MOSHI_MS_TO_TICKS (300)

/* What level is listened at, and the longest packet at that rate */
#define EAR_RATE 8000
#define EAR_FRAMES (EAR_RATE * 120 / 1000)

/* The current session is ready, or about to become the current one: how long it
 * may be, and its index */
static guint
begin_session (GstMoshiCall * self, MoshiGreeting greeting)
{
  guint64 limit = moshi_renewal_get_limit (&self->renewal, greeting);

  self->has_plan = self->renews && moshi_renewal_plan (limit, &self->plan);
  self->next_failed = FALSE;
  self->quiet = 0;
  g_clear_pointer (&self->ear, moshi_opus_decoder_free);
  if (self->has_plan)
    GST_INFO_OBJECT (self->element, "session %u is renewed before %"
        GST_TIME_FORMAT, self->n_sessions,
        GST_TIME_ARGS (gst_moshi_ticks_to_time (self->plan.latest)));
  return self->n_sessions++;
}

static guint64
get_most (GstMoshiCall * self)
{
  return self->has_plan ? self->plan.latest : 0;
}

/**
 * gst_moshi_call_get_index:
 * @self: a call
 *
 * Returns: which session it is that the user talks on, from 0 on
 */
guint
gst_moshi_call_get_index (GstMoshiCall * self)
{
  return self->n_sessions > 0 ? self->n_sessions - 1 : 0;
}

static void
open_next (GstMoshiCall * self)
{
  g_autoptr (GError) error = NULL;

  GST_INFO_OBJECT (self->element, "opening the session after session %u",
      gst_moshi_call_get_index (self));
  self->next = gst_moshi_call_new_leg (self, &error);
  self->next_failed = self->next == NULL;
  if (self->next)
    moshi_session_open (self->next->session);
  else
    GST_WARNING_OBJECT (self->element, "%s", error->message);
}

/**
 * gst_moshi_call_start_current:
 * @self: a call
 *
 * Network thread: the current session takes audio.
 */
void
gst_moshi_call_start_current (GstMoshiCall * self)
{
  guint index = begin_session (self, self->current->greeting);

  gst_moshi_talk_started (self->talk, index, get_most (self));
}

/**
 * gst_moshi_call_finish_change_over:
 * @self: a call
 *
 * Network thread, before any event is dealt with: where the next session has
 * taken over, or will with the next frame, it is the current one.
 */
void
gst_moshi_call_finish_change_over (GstMoshiCall * self)
{
  if (!self->turning || !gst_moshi_talk_has_turned (self->talk,
          self->next->number))
    return;
  self->turning = FALSE;
  gst_moshi_call_end_leg (self, &self->old);
  self->old = self->current;
  self->current = g_steal_pointer (&self->next);
  /* It was not when the change was asked for. */
  if (self->current->state == MOSHI_LIFE_READY && !self->next_was_ready)
    gst_moshi_call_start_current (self);
  gst_moshi_call_set_state (self, self->current->state,
      gst_moshi_call_get_index (self));
  if (self->current->state != MOSHI_LIFE_READY && self->talk->live)
    gst_moshi_call_post_progress (self, GST_PROGRESS_TYPE_START,
        "Renewing the conversation: "
        "the next session begins as this one ends");
  /* In batch, its answers have been waited for. */
  if (!gst_moshi_talk_waits_for_leg (self->talk, self->old->number))
    moshi_session_close (self->old->session);
}

static void
change_over (GstMoshiCall * self)
{
  GstMoshiLeg successor = { NULL, };

  if (self->next == NULL)
    open_next (self);
  if (self->next == NULL)
    return;
  successor.session = self->next->session;
  successor.number = self->next->number;
  successor.ready = self->next->state == MOSHI_LIFE_READY;
  self->next_was_ready = successor.ready;
  self->has_plan = FALSE;
  if (successor.ready)
    successor.index = begin_session (self, self->next->greeting);
  successor.most = get_most (self);
  self->turning = TRUE;
  gst_moshi_talk_change_over (self->talk, &successor);
  gst_moshi_call_finish_change_over (self);
}

/* A silence is looked for: by the level of what the server says, as it comes. */
static void
listen (GstMoshiCall * self, GBytes * packet)
{
  gint16 samples[EAR_FRAMES];
  gsize size;
  const guint8 *data = g_bytes_get_data (packet, &size);
  gint n;

  if (self->ear == NULL)
    self->ear = moshi_opus_decoder_new (EAR_RATE, 1, NULL);
  if (self->ear == NULL)
    return;
  n = moshi_opus_decoder_decode_s16 (self->ear, data, size, samples,
      EAR_FRAMES, NULL);
  if (n > 0 && gst_moshi_is_loud (samples, n, FALSE))
    self->quiet = 0;
  else
    self->quiet += moshi_opus_packet_duration (data, size);
}

static gboolean
is_due (GstMoshiCall * self, const GstMoshiProgress * progress)
{
  if (progress->batch)
    return progress->spent;
  if (!progress->live || progress->ended)
    return FALSE;
  return progress->used >= self->plan.latest
      || (progress->used >= self->plan.from && self->quiet >= QUIET_ENOUGH);
}

/**
 * gst_moshi_call_check_renewal:
 * @self: a call
 * @packet: (nullable): what the current session has just said
 *
 * Network thread, whenever something has moved on: opens the next session, looks
 * for a silence, changes over, each when its time has come.
 */
void
gst_moshi_call_check_renewal (GstMoshiCall * self, GBytes * packet)
{
  GstMoshiProgress progress;

  if (!self->has_plan || self->turning)
    return;
  gst_moshi_talk_get_progress (self->talk, &progress);
  if (!progress.ready)
    return;
  if (self->next == NULL && !self->next_failed && !progress.ended
      && progress.used >= self->plan.open)
    open_next (self);
  if (packet && progress.live && progress.used >= self->plan.from)
    listen (self, packet);
  if (is_due (self, &progress))
    change_over (self);
}

/**
 * gst_moshi_call_stand_in:
 * @self: a call
 *
 * Network thread: the current session is over before its time, and the next one
 * takes its place.
 *
 * Returns: %FALSE if there is none
 */
gboolean
gst_moshi_call_stand_in (GstMoshiCall * self)
{
  GstMoshiCallLeg *leg = g_steal_pointer (&self->next);

  if (leg == NULL)
    return FALSE;
  self->turning = FALSE;
  gst_moshi_call_end_leg (self, &self->current);
  self->current = leg;
  gst_moshi_talk_set_leg (self->talk, leg->session, leg->number);
  self->has_plan = FALSE;
  if (leg->state == MOSHI_LIFE_READY)
    gst_moshi_call_start_current (self);
  gst_moshi_call_set_state (self, leg->state, gst_moshi_call_get_index (self));
  gst_moshi_call_post_progress (self, GST_PROGRESS_TYPE_START,
      "The session that was to follow takes over");
  if (leg->state == MOSHI_LIFE_READY)
    gst_moshi_call_post_progress (self, GST_PROGRESS_TYPE_COMPLETE,
        "Moshi is listening");
  return TRUE;
}
