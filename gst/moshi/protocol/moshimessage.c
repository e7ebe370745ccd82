/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "moshimessage.h"

#include <string.h>

#include "moshierror.h"

#define VERSIONS_SIZE 8
#define MAX_COLOR 10

static guint32
read_u32 (const guint8 * data)
{
  return (guint32) data[0] | (guint32) data[1] << 8 | (guint32) data[2] << 16
      | (guint32) data[3] << 24;
}

static void
write_u32 (guint8 * data, guint32 value)
{
  data[0] = value & 0xff;
  data[1] = value >> 8 & 0xff;
  data[2] = value >> 16 & 0xff;
  data[3] = value >> 24 & 0xff;
}

static void
parse_handshake (MoshiMessage * message)
{
  /* PyTorch and MLX servers send the kind byte alone; nothing says that a
   * later version may not append to the eight bytes. */
  if (message->size < VERSIONS_SIZE)
    return;

  message->protocol_version = read_u32 (message->payload);
  message->model_version = read_u32 (message->payload + 4);
}

static gboolean
parse_colored_text (MoshiMessage * message, GError ** error)
{
  if (message->size == 0) {
    g_set_error_literal (error, MOSHI_ERROR, MOSHI_ERROR_MESSAGE,
        "The server sent coloured text without a colour.");
    return FALSE;
  }

  /* One PersonaPlex fork sends JSON under this kind. No colour is that high,
   * so the brace cannot be mistaken. */
  if (message->payload[0] == '{')
    return TRUE;

  if (message->payload[0] > MAX_COLOR) {
    g_set_error (error, MOSHI_ERROR, MOSHI_ERROR_MESSAGE,
        "The server sent text of the unknown colour %u.", message->payload[0]);
    return FALSE;
  }

  message->color = message->payload[0];
  message->payload++;
  message->size--;
  return TRUE;
}

/**
 * moshi_message_parse:
 * @data: (array length=size) (nullable): one binary WebSocket message
 * @size: its length in bytes
 * @message: (out caller-allocates): what it says; its payload points into @data
 * @error: return location for a #GError
 *
 * Reads one message. Kinds nobody knows are handed out like any other, with
 * all that follows the kind byte as payload. Text is not checked to be UTF-8:
 * servers split characters over messages.
 *
 * A handshake has versions if at least eight bytes follow its kind. Coloured
 * text that starts with `{` is a fork's JSON: it comes out whole and with
 * %MOSHI_MESSAGE_NO_COLOR, and callers skip it.
 *
 * May be called from any thread. Source: kyutai-labs/moshi rust/protocol.md;
 * for coloured text kyutai-labs/moshivis.
 *
 * Returns: %FALSE with %MOSHI_ERROR_MESSAGE if the message is empty, or is
 *     coloured text with a colour above 10 or none; @message is then not to be
 *     read
 */
gboolean
moshi_message_parse (const guint8 * data, gsize size, MoshiMessage * message,
    GError ** error)
{
  memset (message, 0, sizeof (*message));
  message->color = MOSHI_MESSAGE_NO_COLOR;

  if (data == NULL || size == 0) {
    g_set_error_literal (error, MOSHI_ERROR, MOSHI_ERROR_MESSAGE,
        "The server sent an empty message.");
    return FALSE;
  }

  message->kind = data[0];
  message->payload = data + 1;
  message->size = size - 1;

  switch (message->kind) {
    case MOSHI_MESSAGE_HANDSHAKE:
      parse_handshake (message);
      return TRUE;
    case MOSHI_MESSAGE_COLORED_TEXT:
      return parse_colored_text (message, error);
    default:
      return TRUE;
  }
}

/**
 * moshi_message_new:
 * @kind: its first byte
 * @payload: (array length=size) (nullable): what follows, copied
 * @size: length of @payload in bytes
 *
 * Builds one message. May be called from any thread.
 *
 * Returns: (transfer full): the bytes of one binary WebSocket message
 */
GBytes *
moshi_message_new (MoshiMessageKind kind, const guint8 * payload, gsize size)
{
  guint8 *data;

  g_return_val_if_fail (payload != NULL || size == 0, NULL);
  g_return_val_if_fail (size < G_MAXSIZE, NULL);

  data = g_malloc (size + 1);
  data[0] = kind;
  if (size > 0)
    memcpy (data + 1, payload, size);
  return g_bytes_new_take (data, size + 1);
}

/**
 * moshi_message_new_handshake:
 * @with_versions: whether to send the nine-byte form of the Rust servers
 *     rather than the one byte of the Python ones
 * @protocol_version: unused without @with_versions
 * @model_version: unused without @with_versions
 *
 * Builds a server's handshake. May be called from any thread.
 *
 * Returns: (transfer full): the bytes of one binary WebSocket message
 */
GBytes *
moshi_message_new_handshake (gboolean with_versions, guint32 protocol_version,
    guint32 model_version)
{
  guint8 versions[VERSIONS_SIZE];

  if (!with_versions)
    return moshi_message_new (MOSHI_MESSAGE_HANDSHAKE, NULL, 0);

  write_u32 (versions, protocol_version);
  write_u32 (versions + 4, model_version);
  return moshi_message_new (MOSHI_MESSAGE_HANDSHAKE, versions, VERSIONS_SIZE);
}

/**
 * moshi_message_new_colored_text:
 * @color: 0 to 10
 * @text: the text piece
 *
 * Builds a piece of MoshiVis' coloured text. May be called from any thread.
 *
 * Returns: (transfer full): the bytes of one binary WebSocket message
 */
GBytes *
moshi_message_new_colored_text (guint color, const gchar * text)
{
  gsize size;
  guint8 *data;

  g_return_val_if_fail (color <= MAX_COLOR, NULL);
  g_return_val_if_fail (text != NULL, NULL);

  size = strlen (text);
  data = g_malloc (size + 2);
  data[0] = MOSHI_MESSAGE_COLORED_TEXT;
  data[1] = color;
  memcpy (data + 2, text, size);
  return g_bytes_new_take (data, size + 2);
}

/**
 * moshi_message_kind_name:
 * @kind: any first byte
 *
 * Names a kind for logs. May be called from any thread.
 *
 * Returns: (transfer none): a static lower-case name, `unknown` where @kind is
 *     none of #MoshiMessageKind
 */
const gchar *
moshi_message_kind_name (guint8 kind)
{
  static const gchar *const names[] = {
    "handshake", "audio", "text", "control", "metadata", "error", "ping",
    "colored-text", "image"
  };

  return kind < G_N_ELEMENTS (names) ? names[kind] : "unknown";
}
