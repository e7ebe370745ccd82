/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What tells one real server from another, as a table. */
#pragma once

#include "moshistandin.h"

G_BEGIN_DECLS

/* How the audio of one step is cut into messages. */
typedef enum
{
  STANDIN_LAYOUT_STEP,          /* one message a step, headers in the first */
  STANDIN_LAYOUT_PAGE,          /* one message a page, headers in the first */
  STANDIN_LAYOUT_HEADERS_ALONE, /* headers together in a message of their own */
  STANDIN_LAYOUT_HEADERS_APART, /* OpusHead and OpusTags a message each */
} StandinLayout;

typedef enum
{
  STANDIN_GRANULE_48K,          /* what RFC 7845 says */
  STANDIN_GRANULE_24K,          /* samples at 24 kHz */
  STANDIN_GRANULE_24K_STEP,     /* the same, and all pages of a step alike */
} StandinGranule;

typedef enum
{
  STANDIN_AUDIO_FIRST,
  STANDIN_TEXT_FIRST,
  STANDIN_TEXT_ANYWHERE,        /* from another task than the audio */
  STANDIN_TEXT_LAGS,            /* at most one piece an audio message */
} StandinOrder;

/* What a server does once max_steps are made. */
typedef enum
{
  STANDIN_LIMIT_NONE,
  STANDIN_LIMIT_DROP_SECOND,    /* silent; the second audio message drops */
  STANDIN_LIMIT_DROP_FIRST,     /* silent; the first one does */
  STANDIN_LIMIT_MUTE,           /* silent for good, later callers included */
} StandinLimit;

/* How a session ends over what the Ogg reader cannot read. */
typedef enum
{
  STANDIN_END_DROP,             /* TCP is dropped without a close frame */
  STANDIN_END_CLOSE,            /* a close frame, 1000 */
} StandinEnd;

typedef struct
{
  MoshiStandinFlavour flavour;
  const gchar *name;
  const gchar *what;
  guint handshake_payload;      /* bytes after the kind */
  gboolean metadata;            /* sends kind 04 before the handshake */
  StandinLayout layout;
  guint packet_samples;         /* at 24 kHz */
  StandinGranule granule;
  StandinOrder order;
  guint delay;                  /* steps before the first frame of audio */
  gboolean single;              /* one session, others wait upgraded */
  gboolean eats_early;          /* throws away what comes before handshake */
  gboolean wants_prompts;
  gboolean wants_image;
  guint prompt_ms;
  gboolean coloured;            /* text as kind 07 */
  gboolean leftovers;
  gboolean parses_all_frames;   /* pings, text, close reasons as messages */
  gint last_kind;               /* kinds above end a session; -1: none do */
  gboolean second_bos_ends;
  gboolean bad_crc_ends;        /* else the page is skipped */
  StandinEnd bad_ogg;
  gboolean checks_query;        /* HTTP 400 for what serde would refuse */
  StandinLimit limit;
  guint max_steps;
  guint max_message;            /* bytes; 0 is no limit */
  guint max_samples;            /* decoded of one message; 0 is no limit */
  guint flush;                  /* input is passed on in such steps */
  gboolean fallback_literal;    /* byte fallback as literal <0xNN> */
  gboolean deflate;             /* agrees on permessage-deflate */
  gboolean key;                 /* asks for a key */
} StandinFlavour;

const StandinFlavour *standin_flavour_get (MoshiStandinFlavour flavour);
const StandinFlavour *standin_flavour_nth (guint index);
gchar *standin_flavour_check_query (const StandinFlavour * self,
    GHashTable * query);
gchar *standin_flavour_metadata (GHashTable * query);

G_END_DECLS
