/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An HTTP proxy in the test's hand: it takes CONNECT, leads to one port whatever
 * it is asked for, and dies when it is told to.
 */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

typedef struct _Tunnel Tunnel;

/**
 * TunnelStage:
 * @TUNNEL_NEVER: lives
 * @TUNNEL_ASKED: CONNECT has come, and has no answer
 * @TUNNEL_BUILT: it has been answered, and no more
 * @TUNNEL_REQUESTED: the server has answered the upgrade, to nobody
 * @TUNNEL_UPGRADED: that answer has been handed on, and no more
 *
 * When a connection through a proxy dies.
 */
typedef enum
{
  TUNNEL_NEVER,
  TUNNEL_ASKED,
  TUNNEL_BUILT,
  TUNNEL_REQUESTED,
  TUNNEL_UPGRADED,
} TunnelStage;

Tunnel *tunnel_new (guint16 target);
void tunnel_free (Tunnel * self);
gchar *tunnel_dup_address (Tunnel * self);
guint tunnel_get_connections (Tunnel * self);
void tunnel_die_at (Tunnel * self, TunnelStage stage, guint first);
void tunnel_kill (Tunnel * self);
void tunnel_revive (Tunnel * self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Tunnel, tunnel_free)

G_END_DECLS
