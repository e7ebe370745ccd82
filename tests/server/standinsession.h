/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One connection: what comes in (standinsession.c) and what goes out
 * (standinanswer.c). Server thread only. */
#pragma once

#include "standin.h"
#include "standinogg.h"
#include "standinwire.h"

G_BEGIN_DECLS

#define STANDIN_FRAME_MS 80

typedef enum
{
  STANDIN_WAITING,                      /* another session holds the lock */
  STANDIN_PRELUDE,                      /* image, prompts, delays: no handshake yet */
  STANDIN_READY,
  STANDIN_ENDING,                       /* the last words are on their way */
  STANDIN_ENDED,
} StandinState;

/* The kinds of messages, protocol.md of kyutai-labs/moshi. */
enum
{
  STANDIN_KIND_HANDSHAKE = 0,
  STANDIN_KIND_AUDIO = 1,
  STANDIN_KIND_TEXT = 2,
  STANDIN_KIND_CONTROL = 3,
  STANDIN_KIND_METADATA = 4,
  STANDIN_KIND_ERROR = 5,
  STANDIN_KIND_PING = 6,
  STANDIN_KIND_COLOURED_TEXT = 7,
  STANDIN_KIND_IMAGE = 8,
};

struct _StandinSession
{
  MoshiStandin *server;
  const StandinFlavour *flavour;
  StandinFaults *faults;
  GHashTable *query;
  StandinWire *wire;
  guint number;
  StandinState state;
  gboolean handshaken;
  gboolean image_seen;
  gboolean said_goodbye;        /* the client's close frame has come */
  GSource *timer;               /* of the prelude, then of the next step */
  GRand *rand;

  GQueue early;                 /* GBytes, for after the handshake */
  gsize early_bytes;

  StandinOggIn *ogg_in;
  GArray *pcm;                  /* float; what the steps have not used */
  gsize used;                   /* of pcm */
  guint64 steps;
  guint64 max_steps;
  gboolean over;                /* max_steps are made */
  guint calls_after;            /* audio messages since */
  gint64 last_finish;           /* when the last step was done, us */

  StandinVoice *voice;
  StandinEncoder *encoder;
  StandinOggOut *ogg_out;
  gboolean headers_sent;
  guint64 samples_out;
  guint64 pages_out;
  guint frames;                 /* answered */
  GPtrArray *pieces;            /* of --text */
  guint next_piece;
  guint said;                   /* the frame of the last piece */
  GQueue words;                 /* pieces due */

  gboolean stalling;
  GQueue held;                  /* GBytes, while stalling */
  GSource *stall_timer;
};

void standin_send_kind (StandinSession * self, guint8 kind,
    gconstpointer data, gsize size);
void standin_send_headers (StandinSession * self);
void standin_send_giant (StandinSession * self);
void standin_answer (StandinSession * self);
void standin_answer_leftovers (StandinSession * self);
void standin_check_faults (StandinSession * self);
void standin_clear_timer (GSource ** timer);

void standin_session_keep (StandinSession * self, const gchar * what,
    gconstpointer data, gsize size);
void standin_session_hang_up (StandinSession * self, const gchar * why);

G_END_DECLS
