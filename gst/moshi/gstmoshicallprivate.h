/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the call share. */
#pragma once

#include "gstmoshicall.h"
#include "protocol/moshiopus.h"

G_BEGIN_DECLS

GST_DEBUG_CATEGORY_EXTERN (gst_moshi_call_debug);

/* One session of the call. Its owner is the session, as user data. */
typedef struct
{
  GstMoshiCall *call;
  MoshiSession *session;        /* owned, until the leg is let go */
  guint number;                 /* in the talk, from 1 on */
  gboolean stopped;             /* call->lock: gst_moshi_call_stop() was here */

  /* Network thread */
  MoshiLifeState state;
  MoshiGreeting greeting;
} GstMoshiCallLeg;

struct _GstMoshiCall
{
  GstElement *element;          /* not owned: it owns us */
  GstMoshiCallCertificateFunc accept;

  GMutex lock;                  /* held for nothing that waits; only the
                                 * sessions' own locks come after it */
  GPtrArray *legs;              /* lock; of GstMoshiCallLeg: all that were not let go */

  /* Network thread, and whoever starts and stops while it is not */
  GstMoshiTalk *talk;           /* of the last start */
  MoshiSessionConfig *config;
  gchar *uri;                   /* redacted */
  GstMoshiCallLeg *current;
  GstMoshiCallLeg *next;        /* opened, to take over */
  GstMoshiCallLeg *old;         /* taken over from, until it has closed */
  guint n_legs;
  guint n_sessions;             /* that were current and ready */
  gboolean lost;                /* a session was, and the next is not ready */
  gboolean begun;               /* there was a session */
  GstMoshiDialect dialect;      /* as far as it can be told */
  guint64 stuck_at;             /* batch: the answers' position at the last loss */
  guint stuck;                  /* batch: losses in a row without progress */

  gboolean renews;
  MoshiRenewal renewal;
  MoshiRenewalPlan plan;        /* for the current session */
  gboolean has_plan;
  gboolean turning;             /* next takes over, with the next frame */
  gboolean next_was_ready;      /* when that was asked for */
  gboolean next_failed;         /* there is no second session to be had */
  MoshiOpusDecoder *ear;        /* while a silence is looked for */
  guint64 quiet;                /* ticks of it up to now */

  /* The image that sessions begin with: by lock */
  GBytes *image;                /* the newest, as a message */
  gboolean image_pad;           /* there is one */
  gboolean image_wanted;        /* the first session waits for the first */
  gboolean image_by_pad;        /* it does so because of the pad alone */
  gboolean image_unused;        /* the dialect has none */

  gint over;                    /* atomic: the end is on the bus, or wanted */
};

GstMoshiCallLeg *gst_moshi_call_new_leg (GstMoshiCall * self, GError ** error);
void gst_moshi_call_reap (GstMoshiCall * self, GstMoshiCallLeg * but);
void gst_moshi_call_end_leg (GstMoshiCall * self, GstMoshiCallLeg ** leg);

void gst_moshi_call_post_progress (GstMoshiCall * self, GstProgressType type,
    const gchar * text);
void gst_moshi_call_notify_state (GstMoshiCall * self);
void gst_moshi_call_set_state (GstMoshiCall * self, MoshiLifeState state,
    guint index);
void gst_moshi_call_give_up (GstMoshiCall * self, const GError * error,
    guint http_status, guint close_code);
void gst_moshi_call_on_event (MoshiSession * session,
    const MoshiSessionEvent * event, gpointer user_data);

guint gst_moshi_call_get_index (GstMoshiCall * self);
void gst_moshi_call_start_current (GstMoshiCall * self);
void gst_moshi_call_finish_change_over (GstMoshiCall * self);
void gst_moshi_call_check_renewal (GstMoshiCall * self, GBytes * packet);
gboolean gst_moshi_call_stand_in (GstMoshiCall * self);

gboolean gst_moshi_call_prepare_image (GstMoshiCall * self,
    const GstMoshiSettings * settings, MoshiSessionConfig * config);
void gst_moshi_call_give_image_locked (GstMoshiCall * self,
    MoshiSession * session)
    MOSHI_REQUIRES (self->lock);

G_END_DECLS
