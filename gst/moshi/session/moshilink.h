/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "moshifault.h"
#include "moshinetwork.h"

G_BEGIN_DECLS

/**
 * MoshiLink:
 *
 * One WebSocket connection, from the attempt to its end. All functions and
 * callbacks belong to the network thread. A callback may free the link.
 */
typedef struct _MoshiLink MoshiLink;

/**
 * MoshiLinkSetup:
 * @url: where to, with the whole query; may hold the key
 * @host: its host, for messages
 * @bearer: (nullable): the key for an Authorization header
 * @user_agent: what to say we are
 * @headers: (nullable): further headers, name to value
 * @tls_validation_flags: what a certificate is checked for
 * @tls_database: (nullable): whom to trust; %NULL for the system's
 * @tls_interaction: (nullable): asks for client certificates and passwords
 * @proxy_resolver: (nullable): finds proxies; %NULL for none
 * @keepalive_interval: in ms; 0 = off
 * @max_message: longest frame taken, in bytes
 *
 * Read during moshi_link_new() alone, but for @tls_validation_flags and @host.
 */
typedef struct
{
  const gchar *url;
  const gchar *host;
  const gchar *bearer;
  const gchar *user_agent;
  GHashTable *headers;
  GTlsCertificateFlags tls_validation_flags;
  GTlsDatabase *tls_database;
  GTlsInteraction *tls_interaction;
  GProxyResolver *proxy_resolver;
  guint keepalive_interval;
  guint max_message;
} MoshiLinkSetup;

/**
 * MoshiLinkCallbacks:
 * @upgraded: HTTP 101 has come
 * @message: a message has come; @is_text where it was a text message
 * @writable: there is room for one message; see moshi_link_want_write()
 * @ended: (transfer full): the attempt failed or the connection is gone;
 *     nothing follows
 * @certificate: asked about a certificate that did not pass; %TRUE takes it
 */
typedef struct
{
  void (*upgraded) (MoshiLink * link, gpointer user_data);
  void (*message) (MoshiLink * link, GBytes * message, gboolean is_text,
      gpointer user_data);
  void (*writable) (MoshiLink * link, gpointer user_data);
  void (*ended) (MoshiLink * link, MoshiFault * fault, gpointer user_data);
    gboolean (*certificate) (MoshiLink * link, GTlsCertificate * certificate,
      GTlsCertificateFlags errors, gpointer user_data);
} MoshiLinkCallbacks;

MoshiLink *moshi_link_new (MoshiStrand * strand,
    const MoshiLinkSetup * setup, const MoshiLinkCallbacks * callbacks,
    gpointer user_data);
void moshi_link_free (MoshiLink * self);
gboolean moshi_link_is_open (MoshiLink * self);
guint moshi_link_get_round_trip (MoshiLink * self);
gboolean moshi_link_can_read (MoshiLink * self);
gboolean moshi_link_can_write (MoshiLink * self);
void moshi_link_want_write (MoshiLink * self);
void moshi_link_send (MoshiLink * self, GBytes * message);
void moshi_link_close (MoshiLink * self);

G_END_DECLS
