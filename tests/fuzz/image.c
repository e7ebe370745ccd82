/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any bytes as image files, in pieces of any size. Whatever comes out begins as
 * an image does and keeps to the limit, what is kept never passes it, and where
 * the pieces were cut makes no difference.
 */
#include "fuzz.h"
#include "protocol/moshierror.h"
#include "protocol/moshiimage.h"

#define LIMIT 400

static GBytes *
push (MoshiImageReader * reader, const guint8 * data, gsize size)
{
  g_autofree guint8 *copy = g_memdup2 (data, size);
  g_autoptr (GError) error = NULL;
  GBytes *image;
  gboolean taken = moshi_image_reader_push (reader, copy, size, &image, &error);

  g_assert_true (taken == (error == NULL));
  if (error) {
    g_assert_true (error->domain == MOSHI_ERROR);
    g_assert_null (image);
  }
  if (image) {
    const guint8 *bytes = g_bytes_get_data (image, NULL);

    g_assert_cmpuint (g_bytes_get_size (image), <=, LIMIT);
    g_assert_true (bytes[0] == 0xff || bytes[0] == 0x89);
    g_assert_false (moshi_image_reader_is_unfinished (reader));
  }
  return image;
}

int
LLVMFuzzerTestOneInput (const guint8 * data, size_t size)
{
  g_autoptr (MoshiImageReader) whole = moshi_image_reader_new (LIMIT);
  g_autoptr (MoshiImageReader) parts = moshi_image_reader_new (LIMIT);
  g_autoptr (GBytes) at_once = NULL;
  g_autoptr (GBytes) in_parts = NULL;
  FuzzInput input = { data, size };
  gsize step = 8 + fuzz_byte (&input) % 64;
  gsize i;

  at_once = push (whole, input.data, input.size);
  for (i = 0; i < input.size && in_parts == NULL; i += step) {
    in_parts = push (parts, input.data + i, MIN (step, input.size - i));
    if (!moshi_image_reader_is_unfinished (parts) && in_parts == NULL)
      break;
  }
  g_assert_true ((at_once == NULL) == (in_parts == NULL));
  if (at_once)
    g_assert_true (g_bytes_equal (at_once, in_parts));
  return 0;
}
