/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * WebSocket frames (RFC 6455) over a stream, the server's end. It is our own,
 * for the server must see pings, close reasons and masks, and must be able to
 * break the rules, none of which SoupWebsocketConnection allows.
 *
 * A wire belongs to the thread and main context it was made in.
 */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

typedef struct _StandinWire StandinWire;

typedef enum
{
  STANDIN_WIRE_TEXT = 1,
  STANDIN_WIRE_BINARY = 2,
  STANDIN_WIRE_CLOSE = 8,
  STANDIN_WIRE_PING = 9,
  STANDIN_WIRE_PONG = 10,
} StandinOpcode;

/**
 * StandinWireEvents:
 * @message: a whole message, joined and unmasked, or a ping or a pong
 * @closed: the client's close frame; @code is 1005 if it held none. The
 *     answer is the callee's to send
 * @gone: nothing more will come, neither in nor out; called once, and not
 *     for standin_wire_drop()
 * @drained: what was queued has been written
 */
typedef struct
{
  void (*message) (StandinOpcode opcode, const guint8 * data, gsize size,
      gpointer user_data);
  void (*closed) (guint code, const guint8 * reason, gsize size,
      gpointer user_data);
  void (*gone) (gpointer user_data);
  void (*drained) (gpointer user_data);
} StandinWireEvents;

StandinWire *standin_wire_new (GIOStream * stream, GSocket * socket,
    gboolean deflate, gsize max_message, const StandinWireEvents * events,
    gpointer user_data);
void standin_wire_free (StandinWire * self);
void standin_wire_send (StandinWire * self, StandinOpcode opcode,
    gconstpointer data, gsize size);
void standin_wire_close (StandinWire * self, guint code,
    const gchar * reason);
void standin_wire_finish (StandinWire * self);
void standin_wire_drop (StandinWire * self);
void standin_wire_set_reading (StandinWire * self, gboolean reading);
gsize standin_wire_get_queued (StandinWire * self);
guint64 standin_wire_get_unmasked (StandinWire * self);

gchar *standin_wire_accept_key (const gchar * key);

G_END_DECLS
