/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any bytes as one WebSocket message. What is taken for a message lies within
 * the bytes and, written again, is the same.
 */
#include "fuzz.h"
#include "protocol/moshimessage.h"

static void
check_written_again (const guint8 * data, gsize size, MoshiMessage * message)
{
  g_autoptr (GBytes) bytes = moshi_message_new (message->kind,
      message->payload, message->size);

  /* A handshake's versions and a color are taken out of the payload. */
  if (message->payload != data + 1)
    return;
  g_assert_cmpmem (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes),
      data, size);
}

int
LLVMFuzzerTestOneInput (const guint8 * data, size_t size)
{
  g_autofree guint8 *copy = g_memdup2 (data, size);
  g_autoptr (GError) error = NULL;
  MoshiMessage message;

  if (!moshi_message_parse (copy, size, &message, &error)) {
    g_assert_nonnull (error);
    return 0;
  }

  g_assert_no_error (error);
  g_assert_cmpint (message.kind, ==, copy[0]);
  g_assert_nonnull (moshi_message_kind_name (message.kind));
  if (message.size > 0) {
    g_assert_true (message.payload > copy);
    g_assert_true (message.payload + message.size == copy + size);
    check_written_again (copy, size, &message);
  }
  return 0;
}
