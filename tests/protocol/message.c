/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "protocol/moshimessage.h"

#include <string.h>

#include "protocol/moshierror.h"

typedef struct
{
  const gchar *name;
  const gchar *bytes;
  gsize size;
  gboolean valid;
  guint8 kind;
  gsize payload_at;
  guint32 protocol_version;
  guint32 model_version;
  gint color;
} Case;

#define BYTES(text) text, sizeof (text) - 1

static const Case cases[] = {
  {"empty", BYTES (""), FALSE},
  {"handshake", BYTES ("\0"), TRUE, 0, 1, 0, 0, -1},
  {"handshake with versions", BYTES ("\0\x01\x02\x03\x84\x05\x06\x07\xff"),
      TRUE, 0, 1, 0x84030201, 0xff070605, -1},
  {"handshake that grew", BYTES ("\0\1\0\0\0\2\0\0\0more"), TRUE, 0, 1, 1, 2,
      -1},
  {"handshake of 7", BYTES ("\0\1\0\0\0\2\0\0"), TRUE, 0, 1, 0, 0, -1},
  {"audio", BYTES ("\1OggS"), TRUE, 1, 1, 0, 0, -1},
  {"audio of nothing", BYTES ("\1"), TRUE, 1, 1, 0, 0, -1},
  {"text", BYTES ("\2 hello"), TRUE, 2, 1, 0, 0, -1},
  {"text of nothing", BYTES ("\2"), TRUE, 2, 1, 0, 0, -1},
  {"text that is no UTF-8", BYTES ("\2\xc3"), TRUE, 2, 1, 0, 0, -1},
  {"text with a NUL", BYTES ("\2a\0b"), TRUE, 2, 1, 0, 0, -1},
  {"control", BYTES ("\3\1"), TRUE, 3, 1, 0, 0, -1},
  {"metadata", BYTES ("\4{}"), TRUE, 4, 1, 0, 0, -1},
  {"error", BYTES ("\5no"), TRUE, 5, 1, 0, 0, -1},
  {"ping", BYTES ("\6"), TRUE, 6, 1, 0, 0, -1},
  {"coloured text", BYTES ("\7\0hi"), TRUE, 7, 2, 0, 0, 0},
  {"coloured text, last colour", BYTES ("\7\x0ahi"), TRUE, 7, 2, 0, 0, 10},
  {"coloured text of nothing", BYTES ("\7\3"), TRUE, 7, 2, 0, 0, 3},
  {"colour too high", BYTES ("\7\x0bhi"), FALSE},
  {"colour of a letter", BYTES ("\7hi"), FALSE},
  {"no colour", BYTES ("\7"), FALSE},
  {"JSON for coloured text", BYTES ("\7{\"a\":1}"), TRUE, 7, 1, 0, 0, -1},
  {"brace alone", BYTES ("\7{"), TRUE, 7, 1, 0, 0, -1},
  {"image", BYTES ("\x08\xff\xd8"), TRUE, 8, 1, 0, 0, -1},
  {"unknown", BYTES ("\x09xyz"), TRUE, 9, 1, 0, 0, -1},
  {"last unknown", BYTES ("\xff"), TRUE, 255, 1, 0, 0, -1},
};

static void
check_case (const Case * c)
{
  /* A copy of just its size, so that reading past it is seen */
  g_autofree guint8 *data = g_memdup2 (c->bytes, c->size);
  g_autoptr (GError) error = NULL;
  MoshiMessage message;
  gboolean valid = moshi_message_parse (data, c->size, &message, &error);

  g_test_message ("%s", c->name);
  g_assert_cmpint (valid, ==, c->valid);
  if (!c->valid) {
    g_assert_error (error, MOSHI_ERROR, MOSHI_ERROR_MESSAGE);
    return;
  }

  g_assert_no_error (error);
  g_assert_cmpuint (message.kind, ==, c->kind);
  g_assert_true (message.payload == data + c->payload_at);
  g_assert_cmpuint (message.size, ==, c->size - c->payload_at);
  g_assert_cmphex (message.protocol_version, ==, c->protocol_version);
  g_assert_cmphex (message.model_version, ==, c->model_version);
  g_assert_cmpint (message.color, ==, c->color);
}

static void
test_table (void)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (cases); i++)
    check_case (&cases[i]);
}

static void
test_null (void)
{
  g_autoptr (GError) error = NULL;
  MoshiMessage message;

  g_assert_false (moshi_message_parse (NULL, 0, &message, &error));
  g_assert_error (error, MOSHI_ERROR, MOSHI_ERROR_MESSAGE);
  g_assert_false (moshi_message_parse (NULL, 0, &message, NULL));
}

/* Versions are read only where all of them are there. */
static void
test_handshake_lengths (void)
{
  guint8 bytes[13] = { 0, 1, 0, 0, 0, 2, 0, 0, 0, 9, 9, 9, 9 };
  gsize size;

  for (size = 1; size <= sizeof (bytes); size++) {
    g_autofree guint8 *data = g_memdup2 (bytes, size);
    MoshiMessage message;

    g_assert_true (moshi_message_parse (data, size, &message, NULL));
    g_assert_cmpuint (message.size, ==, size - 1);
    g_assert_cmpuint (message.protocol_version, ==, size >= 9 ? 1 : 0);
    g_assert_cmpuint (message.model_version, ==, size >= 9 ? 2 : 0);
  }
}

/* Every first byte, with every second byte. */
static void
test_every_kind (void)
{
  guint kind, second;

  for (kind = 0; kind < 256; kind++) {
    for (second = 0; second < 256; second++) {
      guint8 data[3] = { kind, second, 'x' };
      gboolean refused = kind == 7 && second > 10 && second != '{';
      MoshiMessage message;

      g_assert_cmpint (moshi_message_parse (data, 3, &message, NULL), ==,
          !refused);
      if (!refused)
        g_assert_cmpuint (message.kind, ==, kind);
    }
  }
}

static void
assert_bytes (GBytes * bytes, gconstpointer expected, gsize size)
{
  gsize n_bytes;
  gconstpointer data = g_bytes_get_data (bytes, &n_bytes);

  g_assert_cmpmem (data, n_bytes, expected, size);
  g_bytes_unref (bytes);
}

static void
test_new (void)
{
  assert_bytes (moshi_message_new (MOSHI_MESSAGE_AUDIO,
          (const guint8 *) "a\0b", 3), BYTES ("\1a\0b"));
  assert_bytes (moshi_message_new (MOSHI_MESSAGE_PING, NULL, 0), BYTES ("\6"));
  assert_bytes (moshi_message_new_handshake (FALSE, 7, 8), BYTES ("\0"));
  assert_bytes (moshi_message_new_handshake (TRUE, 0x84030201, 0xff070605),
      BYTES ("\0\x01\x02\x03\x84\x05\x06\x07\xff"));
  assert_bytes (moshi_message_new_colored_text (10, "hi"), BYTES ("\7\x0ahi"));
  assert_bytes (moshi_message_new_colored_text (0, ""), BYTES ("\7\0"));
}

static void
test_kind_name (void)
{
  static const gchar *const names[] = {
    "handshake", "audio", "text", "control", "metadata", "error", "ping",
    "colored-text", "image"
  };
  guint kind;

  for (kind = 0; kind < 256; kind++)
    g_assert_cmpstr (moshi_message_kind_name (kind), ==,
        kind < G_N_ELEMENTS (names) ? names[kind] : "unknown");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/message/table", test_table);
  g_test_add_func ("/message/null", test_null);
  g_test_add_func ("/message/handshake-lengths", test_handshake_lengths);
  g_test_add_func ("/message/every-kind", test_every_kind);
  g_test_add_func ("/message/new", test_new);
  g_test_add_func ("/message/kind-name", test_kind_name);
  return g_test_run ();
}
