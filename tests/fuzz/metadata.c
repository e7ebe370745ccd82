/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any bytes as the server's JSON. What is taken has names and strings that are
 * valid UTF-8, and its text can be read again to the same fields.
 */
#include "fuzz.h"
#include "protocol/moshimetadata.h"

static void
check_field (MoshiMetadataField * field)
{
  g_assert_true (g_utf8_validate (field->name, -1, NULL));
  if (field->string != NULL)
    g_assert_true (g_utf8_validate (field->string, -1, NULL));
}

int
LLVMFuzzerTestOneInput (const guint8 * data, size_t size)
{
  g_autofree guint8 *copy = g_memdup2 (data, size);
  g_autofree gchar *json = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) fields =
      moshi_metadata_parse (copy, size, &json, &error);
  g_autoptr (GPtrArray) again = NULL;
  guint i;

  if (fields == NULL) {
    g_assert_nonnull (error);
    g_assert_true (g_utf8_validate (error->message, -1, NULL));
    return 0;
  }

  g_assert_true (g_utf8_validate (json, -1, NULL));
  for (i = 0; i < fields->len; i++)
    check_field (g_ptr_array_index (fields, i));
  again = moshi_metadata_parse ((const guint8 *) json, strlen (json), NULL,
      NULL);
  g_assert_nonnull (again);
  g_assert_cmpuint (again->len, ==, fields->len);
  return 0;
}
