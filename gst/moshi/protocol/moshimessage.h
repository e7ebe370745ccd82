/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * MoshiMessageKind:
 *
 * The first byte of each binary WebSocket message. Kinds above those listed
 * are not errors: moshi_message_parse() hands them out and callers skip them.
 */
typedef enum
{
  MOSHI_MESSAGE_HANDSHAKE = 0,
  MOSHI_MESSAGE_AUDIO = 1,
  MOSHI_MESSAGE_TEXT = 2,
  MOSHI_MESSAGE_CONTROL = 3,
  MOSHI_MESSAGE_METADATA = 4,
  MOSHI_MESSAGE_ERROR = 5,
  MOSHI_MESSAGE_PING = 6,
  MOSHI_MESSAGE_COLORED_TEXT = 7,
  MOSHI_MESSAGE_IMAGE = 8,
} MoshiMessageKind;

/**
 * MOSHI_MESSAGE_NO_COLOR:
 *
 * @color of a message that carries none.
 */
#define MOSHI_MESSAGE_NO_COLOR (-1)

/**
 * MoshiMessage:
 * @kind: the first byte, also where it is none of #MoshiMessageKind
 * @payload: what follows it (and, with coloured text, follows the colour);
 *     points into the parsed bytes and lives as long as they do
 * @size: its length in bytes
 * @protocol_version: handshake: u32 LE of the 9-byte form, else 0
 * @model_version: handshake: u32 LE of the 9-byte form, else 0
 * @color: 0 to 10 with coloured text, else %MOSHI_MESSAGE_NO_COLOR
 */
typedef struct
{
  guint8 kind;
  const guint8 *payload;
  gsize size;
  guint32 protocol_version;
  guint32 model_version;
  gint color;
} MoshiMessage;

gboolean moshi_message_parse (const guint8 * data, gsize size,
    MoshiMessage * message, GError ** error);

GBytes *moshi_message_new (MoshiMessageKind kind, const guint8 * payload,
    gsize size);
GBytes *moshi_message_new_handshake (gboolean with_versions,
    guint32 protocol_version, guint32 model_version);
GBytes *moshi_message_new_colored_text (guint color, const gchar * text);

const gchar *moshi_message_kind_name (guint8 kind);

G_END_DECLS
