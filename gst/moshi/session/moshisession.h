/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

#include "../protocol/moshierror.h"
#include "../protocol/moshilife.h"
#include "../protocol/moshirenewal.h"

G_BEGIN_DECLS

typedef enum
{
  MOSHI_AUTH_HEADER,
  MOSHI_AUTH_QUERY,
} MoshiAuthMethod;

/**
 * MoshiSessionConfig:
 *
 * Everything a session needs to know, copied once at moshi_session_new().
 * Strings may be %NULL where nothing is to be sent.
 */
typedef struct
{
  gchar *uri;
  gchar *api_key;
  MoshiAuthMethod auth_method;
  gboolean allow_insecure_auth; /* credentials over ws to another host */
  GHashTable *headers;          /* gchar * name -> gchar * value, or NULL */
  GPtrArray *query;             /* gchar * name, value, name, value …, or NULL */
  gchar *user_agent;
  gchar *proxy;                 /* NULL: the environment's */
  gchar *proxy_id;
  gchar *proxy_pw;
  GTlsCertificateFlags tls_validation_flags;
  gchar *tls_ca_file;
  GTlsDatabase *tls_database;
  GTlsInteraction *tls_interaction;
  guint keepalive_interval;     /* ms, 0 = off (trap 3) */
  guint channels;               /* of the Ogg Opus header we write: 1 or 2 */
  guint32 input_rate;           /* likewise, Hz, informative */
  guint pre_skip;               /* likewise, 48 kHz samples */
  guint max_message;            /* bytes; 0 = the default of 4 MiB */
  guint max_queue;              /* ms of audio waiting to be sent; 0 = 10,000 */
  GBytes *first_message;        /* see moshi_session_set_first_message() */
  gboolean wants_first_message; /* no attempt before there is one */
  MoshiLifeConfig life;
} MoshiSessionConfig;

MoshiSessionConfig *moshi_session_config_new (void);
MoshiSessionConfig *moshi_session_config_copy (const MoshiSessionConfig *
    config);
void moshi_session_config_free (MoshiSessionConfig * config);

/**
 * MoshiSessionEventKind:
 * @MOSHI_SESSION_STATE: @state has changed; with READY a new session has begun
 *     and @index counts it from 0
 * @MOSHI_SESSION_PACKET: @bytes is an Opus packet of the server
 * @MOSHI_SESSION_TEXT: @bytes is a text piece, @color its colour or -1
 * @MOSHI_SESSION_METADATA: @bytes is what the server says of itself (JSON)
 * @MOSHI_SESSION_RETRY: an attempt failed for @error; another begins in
 *     @delay ms
 * @MOSHI_SESSION_WARNING: @error tells what was skipped or lost, at most one a
 *     second and kind
 * @MOSHI_SESSION_FAILED: @error ended it; nothing follows
 * @MOSHI_SESSION_FINISHED: closed as asked; nothing follows
 */
typedef enum
{
  MOSHI_SESSION_STATE,
  MOSHI_SESSION_PACKET,
  MOSHI_SESSION_TEXT,
  MOSHI_SESSION_METADATA,
  MOSHI_SESSION_RETRY,
  MOSHI_SESSION_WARNING,
  MOSHI_SESSION_FAILED,
  MOSHI_SESSION_FINISHED,
} MoshiSessionEventKind;

/**
 * MoshiSessionEvent:
 *
 * Lives for the call of the callback alone; take references to what is kept.
 * @http_status and @close_code go with @error, 0 where there is none.
 * @time is g_get_monotonic_time() when the message was taken off the socket.
 * @greeting goes with READY: how the server began.
 */
typedef struct
{
  MoshiSessionEventKind kind;
  MoshiLifeState state;
  guint index;
  GBytes *bytes;
  gint color;
  guint delay;
  const GError *error;
  guint http_status;
  guint close_code;
  gint64 time;
  MoshiGreeting greeting;
} MoshiSessionEvent;

typedef struct _MoshiSession MoshiSession;

/**
 * MoshiSessionCallback:
 *
 * Called on the network thread with none of the session's locks held. It must
 * not block; it may call moshi_session_send() and moshi_session_close().
 */
typedef void (*MoshiSessionCallback) (MoshiSession * session,
    const MoshiSessionEvent * event, gpointer user_data);

/**
 * MoshiSessionCertificateCallback:
 *
 * Asked on the network thread about a certificate that did not pass.
 * Returns: %TRUE to accept it all the same
 */
typedef gboolean (*MoshiSessionCertificateCallback) (MoshiSession * session,
    GTlsCertificate * certificate, GTlsCertificateFlags errors,
    gpointer user_data);

/**
 * MoshiSessionStats:
 * @bytes_sent: payload bytes of WebSocket messages put on the wire
 * @bytes_received: payload bytes of WebSocket messages taken off it
 * @messages_sent: likewise, in messages
 * @messages_received: likewise
 * @samples_sent: audio put on the wire, in samples at 24 kHz
 * @samples_received: audio taken off it, in samples at 24 kHz
 * @samples_dropped: audio given that was never sent (queue full, or no session
 *     to send it to), in samples at 24 kHz
 * @queued: audio waiting to be sent, in samples at 24 kHz
 * @network_round_trip: what the kernel takes for the shortest round trip of
 *     the present or last connection, in µs; 0 where it does not say
 * @sessions: sessions that were ready
 * @reconnects: sessions that followed a lost one
 * @renewals: sessions that took over from one before it came to its limit
 *
 * Consistent: what was taken by moshi_session_send() is at any time either
 * sent, queued or dropped.
 */
typedef struct
{
  guint64 bytes_sent;
  guint64 bytes_received;
  guint64 messages_sent;
  guint64 messages_received;
  guint64 samples_sent;
  guint64 samples_received;
  guint64 samples_dropped;
  guint64 queued;
  guint64 network_round_trip;
  guint sessions;
  guint reconnects;
  guint renewals;
} MoshiSessionStats;

gboolean moshi_session_config_check (const MoshiSessionConfig * config,
    GError ** error);

MoshiSession *moshi_session_new (const MoshiSessionConfig * config,
    MoshiSessionCallback callback,
    MoshiSessionCertificateCallback certificate_callback, gpointer user_data,
    GDestroyNotify notify, GError ** error);
MoshiSession *moshi_session_ref (MoshiSession * self);
void moshi_session_unref (MoshiSession * self);
void moshi_session_open (MoshiSession * self);
gboolean moshi_session_send (MoshiSession * self, GBytes * packet);
void moshi_session_set_first_message (MoshiSession * self, GBytes * message);
void moshi_session_close (MoshiSession * self);
void moshi_session_restart (MoshiSession * self);
void moshi_session_stop (MoshiSession * self);
void moshi_session_get_stats (MoshiSession * self, MoshiSessionStats * stats);
gchar *moshi_session_dup_redacted_uri (MoshiSession * self);
const gchar *moshi_session_get_risk (MoshiSession * self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (MoshiSession, moshi_session_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (MoshiSessionConfig, moshi_session_config_free)

G_END_DECLS
