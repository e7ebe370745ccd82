/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/*
 * A server made of a raw socket and a script. Each connection gets a thread
 * that runs the script, so a script may misbehave on the wire in any way and
 * simply blocks where it waits. All of it ends with peer_server_free().
 */

typedef struct _Peer Peer;
typedef struct _PeerServer PeerServer;
typedef void (*PeerScript) (Peer * peer, gpointer user_data);

PeerServer *peer_server_new (PeerScript script, gpointer user_data);
PeerServer *peer_server_new_tls (PeerScript script, gpointer user_data,
    GTlsCertificate * certificate);
void peer_server_want_client (PeerServer * self, GTlsDatabase * trusted);
void peer_server_free (PeerServer * self);
guint16 peer_server_get_port (PeerServer * self);
guint peer_server_get_connections (PeerServer * self);

/* For scripts */
guint peer_get_index (Peer * self);
gboolean peer_read_request (Peer * self);
const gchar *peer_get_request (Peer * self);
gchar *peer_dup_header (Peer * self, const gchar * name);
gboolean peer_write (Peer * self, gconstpointer data, gsize size);
gboolean peer_is_there (Peer * peer);
void peer_printf (Peer * self, const gchar * format, ...) G_GNUC_PRINTF (2, 3);
gboolean peer_upgrade (Peer * self);
void peer_send_frame (Peer * self, guint8 first, gconstpointer data,
    gsize size);
void peer_send (Peer * self, guint8 kind, gconstpointer data, gsize size);
gboolean peer_greet (Peer * peer);
void peer_repeat_frame (Peer * peer, guint8 first, gconstpointer data,
    gsize size);
void peer_send_close (Peer * self, guint code, const gchar * reason);
GBytes *peer_read_frame (Peer * self, guint8 * opcode);
void peer_read_until_gone (Peer * self);
void peer_wait_for_end (Peer * self);
GIOStream *peer_get_stream (Peer * self);

#define PEER_BINARY 0x82
#define PEER_TEXT 0x81

G_DEFINE_AUTOPTR_CLEANUP_FUNC (PeerServer, peer_server_free)

G_END_DECLS
