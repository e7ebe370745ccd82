/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the server and its sessions know of each other. */
#pragma once

#include <libsoup/soup.h>

#include "moshistandin.h"
#include "standinfault.h"
#include "standinflavour.h"
#include "standinvoice.h"

G_BEGIN_DECLS

typedef struct _StandinSession StandinSession;

/* A loop of so many frames is recorded for the voice that does not decode. */
#define STANDIN_RECORDED 25

typedef struct
{
  StandinPacket packets[STANDIN_MAX_PACKETS];
  guint n_packets;
} StandinRecord;

struct _MoshiStandin
{
  /* Immutable after moshi_standin_new(). */
  MoshiStandinConfig config;    /* its strings are owned, `faults` unused */
  const StandinFlavour *flavour;
  GTlsCertificate *certificate;
  guint max_steps;
  guint prompt_ms;
  StandinRecord *recorded;      /* NULL with the other voices */
  gint64 made_at;

  /* Under lock. */
  GMutex lock;
  GCond changed;                /* any of these, or `starting` */
  MoshiStandinStats stats;
  StandinFaults *faults;
  guint fault_first;
  guint fault_requests;         /* requests since the faults were set */
  gchar *path;                  /* of the last request, as the next two */
  GHashTable *query;
  SoupMessageHeaders *headers;
  GBytes *image;                /* the last that came */
  GPtrArray *packets;
  GArray *pcm;
  GString *report;
  gboolean starting;
  GError *start_error;

  /* Set by start, constant until stop. */
  GThread *thread;
  GMainContext *context;
  GMainLoop *loop;
  guint16 port;
  gchar *uri;

  /* Server thread only. */
  SoupServer *server;
  GList *sessions;              /* element-type StandinSession */
  StandinSession *holder;       /* of the lock of one-session flavours */
  GQueue waiting;               /* for that lock */
  GQueue leftovers;             /* frames of float; mlx */
  guint64 life_steps;           /* mlx */
  guint n_sessions;
};

MoshiStandinStats *standin_stats_begin (MoshiStandin * self);
void standin_stats_end (MoshiStandin * self);
StandinFaults *standin_note_request (MoshiStandin * self,
    const gchar * path, GHashTable * query, SoupMessageHeaders * headers);
void standin_keep_image (MoshiStandin * self, const guint8 * data, gsize size);
void standin_log (MoshiStandin * self, guint session, const gchar * format,
    ...) G_GNUC_PRINTF (3, 4);

StandinSession *standin_session_new (MoshiStandin * server,
    GIOStream * stream, GSocket * socket, gboolean deflate,
    GHashTable * query, StandinFaults * faults);
void standin_session_begin (StandinSession * self);
void standin_session_drop (StandinSession * self);
void standin_session_close (StandinSession * self, guint code);
void standin_session_free (StandinSession * self);
gboolean standin_session_is_waiting (StandinSession * self);

void standin_session_gone (MoshiStandin * self, StandinSession * session);
void standin_release_lock (MoshiStandin * self, StandinSession * session);

G_END_DECLS
