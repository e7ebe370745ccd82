/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The stand-in server: a Moshi server without a model, for tests and trials.
 * It shares no code with the plugin. One object is one server, in a thread of
 * its own; every function here may be called from any thread.
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/** MOSHI_STANDIN_RATE: the rate of the model, in Hz */
#define MOSHI_STANDIN_RATE 24000
/** MOSHI_STANDIN_FRAME: samples in one step of the model: 80 ms */
#define MOSHI_STANDIN_FRAME 1920

typedef struct _MoshiStandin MoshiStandin;

typedef enum
{
  MOSHI_STANDIN_KYUTAI_PY,
  MOSHI_STANDIN_KYUTAI_RS,
  MOSHI_STANDIN_MOSHI_SERVER,
  MOSHI_STANDIN_MLX,
  MOSHI_STANDIN_PERSONAPLEX,
  MOSHI_STANDIN_MOSHIVIS,
  MOSHI_STANDIN_SCALEWAY,
} MoshiStandinFlavour;

typedef enum
{
  MOSHI_STANDIN_ECHO,
  MOSHI_STANDIN_SWEEP,
  MOSHI_STANDIN_SILENCE,
  MOSHI_STANDIN_TALK,
  MOSHI_STANDIN_REPEAT_PACKETS,
} MoshiStandinVoice;

/**
 * MoshiStandinConfig:
 * @flavour: which server to be
 * @voice: what to answer
 * @host: (nullable): address to bind, 127.0.0.1 by default
 * @port: 0 takes a free one
 * @path: (nullable): the path served, /api/chat by default; others are 404
 * @speed: real-time factor at most; 0 answers as fast as input comes
 * @seed: seeds the sweep, the random sizes and the orders that are free
 * @bitrate: bits per second of the answer; 0 lets libopus choose, as the
 *     real servers do
 * @text: (nullable): said once a session, piece by piece
 * @text_every: frames between two pieces, 3 by default
 * @byte_fallback: send characters outside ASCII as the flavour's tokenizer
 *     does when it knows no piece for them
 * @key: (nullable): the key asked for; scaleway asks for `secret` if NULL
 * @max_steps: steps before the flavour's way to end; 0 is the flavour's own
 * @prompt_ms: what PersonaPlex spends on its prompts; negative is the
 *     flavour's own
 * @deflate: agree on permessage-deflate whatever the flavour; the Python
 *     servers always do
 * @tls_cert: (nullable): PEM file; with @tls_key the server speaks TLS
 * @tls_key: (nullable): PEM file
 * @faults: (nullable) (array zero-terminated=1): `NAME` or `NAME=ARG`
 * @fault_first: the faults meet the first so many requests only; 0 is all
 * @keep_packets: how many Opus packets of the client to keep
 * @keep_pcm: how many decoded samples to keep
 * @keep_files: (nullable): what a client sends as audio is added to the file of
 *     this name and `-heard.ogg`, byte by byte, what it is to get to the one
 *     with `-said.ogg`
 * @log: tell stderr what happens
 *
 * Fill it with moshi_standin_config_init() first. Strings are copied by
 * moshi_standin_new().
 */
typedef struct
{
  MoshiStandinFlavour flavour;
  MoshiStandinVoice voice;
  const gchar *host;
  guint16 port;
  const gchar *path;
  gdouble speed;
  guint32 seed;
  gint bitrate;
  const gchar *text;
  guint text_every;
  gboolean byte_fallback;
  const gchar *key;
  guint max_steps;
  gint prompt_ms;
  gboolean deflate;
  const gchar *tls_cert;
  const gchar *tls_key;
  const gchar *const *faults;
  guint fault_first;
  guint keep_packets;
  guint keep_pcm;
  const gchar *keep_files;
  gboolean log;
} MoshiStandinConfig;

/**
 * MoshiStandinStats:
 *
 * What the server has seen of its clients since it was made. `early` counts
 * what came before the handshake was sent; kinds of 16 and above are counted
 * in the last place. Ogg problems are of the client's stream.
 */
typedef struct
{
  guint requests;               /* HTTP requests, upgrades or not */
  guint upgrades;
  guint handshakes;             /* handshakes sent */
  guint sessions_ended;         /* upgraded connections that are gone */
  guint active;                 /* upgraded connections now */
  guint waiting;                /* of these, held back by another's session */

  guint64 messages[16];         /* binary messages received, by kind */
  guint64 bytes[16];            /* their bytes, the kind's byte included */
  guint64 empty_messages;       /* binary messages without a kind */
  guint64 text_frames;          /* WebSocket text messages received */
  guint64 early_messages;
  guint64 early_audio;
  guint64 pings;
  guint64 pongs;
  guint64 ping_bytes;           /* payload of the pings received */
  guint64 unmasked_frames;      /* client frames that broke RFC 6455 5.3 */
  guint64 largest_message;      /* bytes */

  guint close_code;             /* of the last client close; 1005 for none */
  gboolean close_had_reason;
  guint closes;                 /* close frames received */
  guint losses;                 /* clients gone without a close frame */

  guint64 samples;              /* decoded, or counted, at 24 kHz */
  guint64 packets;              /* Opus audio packets received */
  guint64 decode_errors;
  guint64 pages;
  guint64 bad_crc;
  guint64 missing_bos;
  guint64 second_bos;
  guint64 eos;                  /* pages that end the stream */
  guint64 bad_granules;         /* not the decoded duration at 48 kHz */
  guint64 page_gaps;            /* page sequence numbers that jump */
  guint64 junk_bytes;           /* bytes that belong to no page */
  guint64 crowded_messages;     /* messages with more than one page */
  guint64 crowded_pages;        /* pages with more than one packet */
  guint64 split_pages;          /* pages that took more than one message */
  guint64 bad_heads;            /* OpusHead that RFC 7845 forbids */
  guint head_channels;          /* of the last OpusHead */
  guint head_preskip;
  guint head_rate;

  guint64 frames_in;            /* steps taken */
  guint64 frames_sent;          /* 80 ms frames of audio answered */
  guint64 text_sent;            /* text messages sent */
  guint64 messages_sent;        /* binary messages sent, of any kind */
  guint64 bytes_sent;           /* their bytes, the kind's byte included */
} MoshiStandinStats;

/**
 * MoshiStandinCounter:
 *
 * What moshi_standin_wait() can wait for.
 */
typedef enum
{
  MOSHI_STANDIN_REQUESTS,
  MOSHI_STANDIN_UPGRADES,
  MOSHI_STANDIN_HANDSHAKES,
  MOSHI_STANDIN_SESSIONS_ENDED,
  MOSHI_STANDIN_ACTIVE,
  MOSHI_STANDIN_WAITING,
  MOSHI_STANDIN_AUDIO_MESSAGES,
  MOSHI_STANDIN_SAMPLES,
  MOSHI_STANDIN_PACKETS,
  MOSHI_STANDIN_PINGS,
  MOSHI_STANDIN_CLOSES,
  MOSHI_STANDIN_FRAMES_SENT,
} MoshiStandinCounter;

void moshi_standin_config_init (MoshiStandinConfig * config);
MoshiStandin *moshi_standin_new (const MoshiStandinConfig * config,
    GError ** error);
gboolean moshi_standin_start (MoshiStandin * self, GError ** error);
void moshi_standin_stop (MoshiStandin * self);
void moshi_standin_free (MoshiStandin * self);

const gchar *moshi_standin_get_uri (MoshiStandin * self);
guint16 moshi_standin_get_port (MoshiStandin * self);

void moshi_standin_get_stats (MoshiStandin * self, MoshiStandinStats * stats);
gchar *moshi_standin_dup_path (MoshiStandin * self);
gchar *moshi_standin_dup_query (MoshiStandin * self, const gchar * name);
gchar *moshi_standin_dup_header (MoshiStandin * self, const gchar * name);
GBytes *moshi_standin_ref_image (MoshiStandin * self);
gchar *moshi_standin_dup_ogg_report (MoshiStandin * self);
GPtrArray *moshi_standin_get_packets (MoshiStandin * self);
gfloat *moshi_standin_dup_pcm (MoshiStandin * self, gsize * n_samples);

gboolean moshi_standin_wait (MoshiStandin * self, MoshiStandinCounter counter,
    guint64 at_least, guint timeout_ms);
gboolean moshi_standin_wait_idle (MoshiStandin * self, guint timeout_ms);

gboolean moshi_standin_set_faults (MoshiStandin * self,
    const gchar * const *faults, guint first, GError ** error);
void moshi_standin_drop_sessions (MoshiStandin * self);
void moshi_standin_close_sessions (MoshiStandin * self, guint16 code);

gboolean moshi_standin_flavour_from_string (const gchar * name,
    MoshiStandinFlavour * flavour);
gboolean moshi_standin_voice_from_string (const gchar * name,
    MoshiStandinVoice * voice);
gboolean moshi_standin_can_talk (void);
guint moshi_standin_flavour_delay (MoshiStandinFlavour flavour);

gfloat moshi_standin_sweep_value (guint64 index, guint32 seed);
gint16 *moshi_standin_sweep_expected (MoshiStandinFlavour flavour,
    gint bitrate, guint rate, guint channels, gsize n_samples, guint32 seed);
gint64 moshi_standin_sweep_locate (const gint16 * samples, gsize n_samples,
    guint rate, guint channels, guint32 seed, gint64 first, gint64 last,
    gdouble * score);

G_END_DECLS
