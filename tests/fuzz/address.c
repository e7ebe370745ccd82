/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any string as an address, with any parameters and a key. An address that is
 * taken is one line of ASCII, is the same when read again, and shows no key.
 */
#include "fuzz.h"
#include "protocol/moshiaddress.h"

#define SECRET "mSkQ7-hunter2-Zx9"

static void
check_line (const gchar * text)
{
  for (; *text != '\0'; text++)
    g_assert_true (*text > ' ' && *text < 0x7f);
}

/* What compares strings teaches the fuzzer our secret: an address may hold it
 * as what it is, no secret. */
static gboolean
holds_secret (MoshiAddress * address)
{
  g_autofree gchar *text = moshi_address_to_string (address);

  return strstr (text, SECRET) != NULL;
}

static void
check_address (MoshiAddress * address)
{
  g_autofree gchar *text = moshi_address_to_string (address);
  g_autofree gchar *redacted = moshi_address_to_redacted (address);
  g_autofree gchar *twice = NULL;
  g_autoptr (MoshiAddress) again = moshi_address_new (text, NULL);

  check_line (text);
  check_line (redacted);
  g_assert_null (strstr (redacted, SECRET));
  g_assert_nonnull (again);
  twice = moshi_address_to_string (again);
  g_assert_cmpstr (twice, ==, text);
  g_assert_cmpstr (moshi_address_get_host (again), ==,
      moshi_address_get_host (address));
  g_assert_cmpint (moshi_address_is_tls (again), ==,
      moshi_address_is_tls (address));
}

static void
check_helpers (const gchar * one, const gchar * other)
{
  g_autofree gchar *around = g_strconcat (one, SECRET, other, NULL);
  g_autofree gchar *redacted = moshi_redact (around, SECRET);
  g_autofree gchar *uri = moshi_redact_uri (one);

  g_assert_null (strstr (redacted, SECRET));
  g_assert_nonnull (uri);
  if (moshi_header_check (one, other, NULL)) {
    g_assert_null (strpbrk (one, "\r\n: "));
    g_assert_null (strpbrk (other, "\r\n"));
  }
  if (moshi_key_check (one, NULL))
    g_assert_null (strpbrk (one, "\r\n"));
}

int
LLVMFuzzerTestOneInput (const guint8 * data, size_t size)
{
  FuzzInput input = { data, size };
  g_autofree gchar *name = fuzz_string (&input);
  g_autofree gchar *value = fuzz_string (&input);
  g_autofree gchar *uri = g_strndup ((const gchar *) input.data, input.size);
  g_autoptr (GError) error = NULL;
  g_autoptr (MoshiAddress) address = moshi_address_new (uri, &error);

  check_helpers (name, value);
  if (address == NULL) {
    g_assert_nonnull (error);
    g_assert_true (g_utf8_validate (error->message, -1, NULL));
    return 0;
  }

  moshi_address_set_query (address, name, value, NULL);
  if (holds_secret (address))
    return 0;
  check_address (address);
  g_assert_true (moshi_address_set_token (address, SECRET, NULL));
  check_address (address);
  return 0;
}
