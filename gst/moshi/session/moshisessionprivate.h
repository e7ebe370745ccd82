/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What moshisession.c, which faces the other threads, and moshicourse.c, which
 * runs on the network thread, share. */
#pragma once

#include "moshilink.h"
#include "moshinetwork.h"
#include "moshiplan.h"
#include "moshireceiver.h"
#include "moshisendqueue.h"
#include "moshisession.h"
#include "../protocol/moshioggwriter.h"
#include "moshilock.h"

G_BEGIN_DECLS

struct _MoshiSession
{
  gint users;                   /* atomic */
  gint refs;                    /* atomic */

  /* immutable after moshi_session_new() */
  MoshiPlan *plan;
  MoshiStrand *strand;
  MoshiSessionCallback callback;
  MoshiSessionCertificateCallback certificate_callback;
  gpointer user_data;
  GDestroyNotify notify;
  MoshiSendQueue *queue;

  GMutex lock;
  GCond cond;                   /* `calling` or `gone` has changed */
  gboolean stopped;             /* lock */
  gboolean calling;             /* lock */
  gboolean gone;                /* lock; the network thread has let go */
  MoshiSessionStats stats;      /* lock; samples at 48 kHz */
  GBytes *first;                /* lock; the first message, or NULL */
  gboolean wants_first;         /* lock; no attempt before there is one */

  /* in the strand only */
  MoshiLife *life;
  MoshiReceiver *receiver;
  MoshiLink *link;
  MoshiOggWriter *writer;
  gboolean headers_due;         /* the first message of a stream has them */
  GSource *timer;
  gint64 timer_due;             /* when it goes off, -1 = never */
  gboolean timer_late;          /* it waits for what has come to be read */
  MoshiFault *fault;            /* why the last attempt or connection ended */
  MoshiLifeState state;         /* as last emitted */
  gboolean was_lost;            /* the next session follows a lost one */
  GBytes *opening;              /* first message of the session that is being
                                 * set up, or NULL */
  gint64 first_by;              /* give up by then for want of a first message;
                                 * -1 when none is waited for */
  gint64 close_by;              /* close when the queue is written or by then;
                                 * -1 when nobody wants to close */
};

gboolean moshi_session_enter_callback (MoshiSession * self);
void moshi_session_leave_callback (MoshiSession * self);
gboolean moshi_session_is_stopped (MoshiSession * self);

/* The strand's side */
void moshi_course_begin (MoshiSession * self);
void moshi_course_end (MoshiSession * self);
void moshi_course_go_on (MoshiSession * self);
void moshi_course_wake (MoshiSession * self);
gboolean moshi_course_send (MoshiSession * self);
void moshi_course_close (MoshiSession * self);
void moshi_course_handle (MoshiSession * self, MoshiLifeEvent event);
void moshi_course_on_received (const MoshiSessionEvent * event,
    gpointer user_data);

G_END_DECLS
