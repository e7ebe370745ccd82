/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "protocol/moshiimage.h"

#include <string.h>

#include "protocol/moshierror.h"

#define BYTES(text) text, sizeof (text) - 1
#define SOI "\xff\xd8"
#define EOI "\xff\xd9"
/* A segment whose contents look like the end of a file, as a thumbnail's do */
#define APP1 "\xff\xe1\0\x0a" "ab" SOI EOI "cd"
#define DHT "\xff\xc4\0\4xy"
#define SOS "\xff\xda\0\4xy"
#define SIGNATURE "\x89PNG\r\n\x1a\n"
#define IHDR "\0\0\0\3IHDRabc" "crc!"
#define IDAT "\0\0\0\4IDAT" "IEND" "crc!"
#define IEND "\0\0\0\0IEND" "\xae\x42\x60\x82"

typedef struct
{
  const gchar *name;
  const gchar *bytes;
  gsize size;
} Image;

static const Image images[] = {
  {"jpeg", BYTES (SOI APP1 DHT SOS "scan" EOI)},
  {"jpeg-of-nothing", BYTES (SOI EOI)},
  {"jpeg-stuffed", BYTES (SOI SOS "a\xff\0b\xff\xd0" "c\xff\xd7" EOI)},
  {"jpeg-progressive", BYTES (SOI SOS "one" DHT SOS "two" EOI)},
  {"jpeg-filled", BYTES (SOI "\xff\xff" DHT "\xff" SOS "x\xff\xff" EOI)},
  {"jpeg-junk-between", BYTES (SOI DHT "junk" SOS "x" EOI)},
  {"png", BYTES (SIGNATURE IHDR IDAT IEND)},
  {"png-empty", BYTES (SIGNATURE IEND)},
};

static const guint8 *
bytes_of (const Image * image)
{
  return (const guint8 *) image->bytes;
}

static GBytes *
push (MoshiImageReader * reader, const guint8 * data, gsize size)
{
  GError *error = NULL;
  GBytes *out;

  g_assert_true (moshi_image_reader_push (reader, data, size, &out, &error));
  g_assert_no_error (error);
  return out;
}

static void
refuse (MoshiImageReader * reader, const guint8 * data, gsize size, gint code)
{
  g_autoptr (GError) error = NULL;
  GBytes *out = (GBytes *) 1;

  g_assert_false (moshi_image_reader_push (reader, data, size, &out, &error));
  g_assert_error (error, MOSHI_ERROR, code);
  g_assert_null (out);
  g_assert_false (moshi_image_reader_is_unfinished (reader));
}

static void
check (GBytes * out, const Image * image)
{
  g_assert_nonnull (out);
  g_assert_cmpmem (g_bytes_get_data (out, NULL), g_bytes_get_size (out),
      image->bytes, image->size);
  g_bytes_unref (out);
}

/* In two pieces, cut anywhere; the first has the whole signature at least, as
 * any block of a file. */
static void
test_cut (gconstpointer data)
{
  const Image *image = data;
  g_autoptr (MoshiImageReader) reader = moshi_image_reader_new (image->size);
  gsize cut;

  for (cut = MIN (image->size, 8); cut < image->size; cut++) {
    g_assert_null (push (reader, bytes_of (image), cut));
    g_assert_true (moshi_image_reader_is_unfinished (reader));
    check (push (reader, bytes_of (image) + cut, image->size - cut), image);
    g_assert_false (moshi_image_reader_is_unfinished (reader));
  }
  check (push (reader, bytes_of (image), image->size), image);
}

static void
test_bytewise (gconstpointer data)
{
  const Image *image = data;
  g_autoptr (MoshiImageReader) reader = moshi_image_reader_new (1000);
  gsize i;

  for (i = 0; i + 1 < image->size; i++)
    g_assert_null (push (reader, bytes_of (image) + i, 1));
  check (push (reader, bytes_of (image) + i, 1), image);
}

/* What cameras append is left out; the next image begins a piece. */
static void
test_trailer (gconstpointer data)
{
  const Image *image = data;
  g_autoptr (MoshiImageReader) reader = moshi_image_reader_new (1000);
  g_autoptr (GByteArray) longer = g_byte_array_new ();

  g_byte_array_append (longer, bytes_of (image), image->size);
  g_byte_array_append (longer, bytes_of (&images[0]), images[0].size);
  check (push (reader, longer->data, longer->len), image);
  g_assert_null (push (reader, (const guint8 *) "more", 4));
  check (push (reader, longer->data, longer->len), image);
}

static void
test_limit (gconstpointer data)
{
  const Image *image = data;
  g_autoptr (MoshiImageReader) exact = moshi_image_reader_new (image->size);
  g_autoptr (MoshiImageReader) less = moshi_image_reader_new (image->size - 1);

  check (push (exact, bytes_of (image), image->size), image);
  refuse (less, bytes_of (image), image->size, MOSHI_ERROR_LIMIT);
  /* The next one may fit. */
  refuse (less, bytes_of (image), image->size, MOSHI_ERROR_LIMIT);
}

/* A length that passes the limit is no reason to wait for its bytes. */
static void
test_early_limit (void)
{
  static const Image far = { NULL, BYTES (SIGNATURE "\x7f\xff\xff\xffIDAT") };
  static const Image long_segment = { NULL, BYTES (SOI "\xff\xe1\xff\xff") };
  g_autoptr (MoshiImageReader) reader = moshi_image_reader_new (4000);

  refuse (reader, bytes_of (&far), far.size, MOSHI_ERROR_LIMIT);
  refuse (reader, bytes_of (&long_segment), long_segment.size,
      MOSHI_ERROR_LIMIT);
}

/* Bounded also where the end never comes. */
static void
test_endless (void)
{
  g_autoptr (MoshiImageReader) reader = moshi_image_reader_new (1000);
  guint8 zeros[100] = { 0, };
  guint i;

  g_assert_null (push (reader, (const guint8 *) SOI SOS, 8));
  for (i = 0; i < 9; i++)
    g_assert_null (push (reader, zeros, sizeof zeros));
  refuse (reader, zeros, sizeof zeros, MOSHI_ERROR_LIMIT);
  for (i = 0; i < 100; i++)
    g_assert_null (push (reader, zeros, sizeof zeros));
  check (push (reader, bytes_of (&images[0]), images[0].size), &images[0]);
}

static void
test_no_image (void)
{
  static const Image others[] = {
    {NULL, BYTES ("GIF89a")}, {NULL, BYTES ("RIFF....WEBP")},
    {NULL, BYTES ("\0")}, {NULL, BYTES (SOI "x")},
    {NULL, BYTES ("\x89PNG\n")},
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (others); i++) {
    g_autoptr (MoshiImageReader) reader = moshi_image_reader_new (1000);

    refuse (reader, bytes_of (&others[i]), others[i].size, MOSHI_ERROR_IMAGE);
    /* Told once: the rest of that file is no news. */
    g_assert_null (push (reader, bytes_of (&others[i]), others[i].size));
    moshi_image_reader_reset (reader);
    refuse (reader, bytes_of (&others[i]), others[i].size, MOSHI_ERROR_IMAGE);
  }
}

static void
test_broken (void)
{
  static const Image broken[] = {
    {"a segment shorter than its length", BYTES (SOI "\xff\xe1\0\1")},
    {"a chunk longer than any may be", BYTES (SIGNATURE "\x80\0\0\0IDAT")},
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (broken); i++) {
    g_autoptr (MoshiImageReader) reader = moshi_image_reader_new (G_MAXSIZE);

    refuse (reader, bytes_of (&broken[i]), broken[i].size, MOSHI_ERROR_IMAGE);
    check (push (reader, bytes_of (&images[0]), images[0].size), &images[0]);
  }
}

static void
test_reset (void)
{
  g_autoptr (MoshiImageReader) reader = moshi_image_reader_new (1000);

  g_assert_null (push (reader, bytes_of (&images[0]), 9));
  moshi_image_reader_reset (reader);
  g_assert_false (moshi_image_reader_is_unfinished (reader));
  g_assert_null (push (reader, NULL, 0));
  check (push (reader, bytes_of (&images[6]), images[6].size), &images[6]);
}

int
main (int argc, char **argv)
{
  static const struct
  {
    const gchar *name;
    GTestDataFunc func;
  } each[] = {
    {"cut", test_cut}, {"bytewise", test_bytewise},
    {"trailer", test_trailer}, {"limit", test_limit},
  };
  guint i, j;

  g_test_init (&argc, &argv, NULL);
  for (i = 0; i < G_N_ELEMENTS (images); i++) {
    for (j = 0; j < G_N_ELEMENTS (each); j++) {
      g_autofree gchar *path = g_strdup_printf ("/image/%s/%s", each[j].name,
          images[i].name);

      g_test_add_data_func (path, &images[i], each[j].func);
    }
  }
  g_test_add_func ("/image/early-limit", test_early_limit);
  g_test_add_func ("/image/endless", test_endless);
  g_test_add_func ("/image/no-image", test_no_image);
  g_test_add_func ("/image/broken", test_broken);
  g_test_add_func ("/image/reset", test_reset);
  return g_test_run ();
}
