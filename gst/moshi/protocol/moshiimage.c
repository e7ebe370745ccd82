/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "moshiimage.h"

#include <string.h>

#include "moshierror.h"

/*
 * Where an image ends
 * -------------------
 * A source that reads a file gives it in blocks, without saying where the file
 * ends before its own end; a server wants one whole file in one message. So the
 * end is read from the file itself, as little of it as that takes:
 *
 *   JPEG   segments of a marker and a length (ITU-T T.81, annex B), of which
 *          all but the entropy-coded data behind SOS is stepped over by length,
 *          thumbnails included; EOI is the end.
 *   PNG    chunks of a length and a type (PNG, section 5.3); IEND is the end.
 *
 * What follows the end is left out: cameras append previews of their own there.
 * Until the reader is reset or a piece begins as an image does, such bytes are
 * no error.
 *
 * The state is that of the next byte. Bytes that only have to go by are counted
 * in `skip`.
 */
typedef enum
{
  AT_BEGINNING,                 /* of an image */
  AT_MARKER,                    /* JPEG: the 0xff before a marker */
  AT_MARKER_CODE,
  AT_LENGTH_HIGH,
  AT_LENGTH_LOW,
  AT_SCAN,                      /* JPEG: entropy-coded data */
  AT_SCAN_CODE,
  AT_CHUNK,                     /* PNG: length and type, `have` bytes of it */
  AT_END,                       /* the last byte was */
  AT_TRAILER,                   /* behind an image */
} At;

#define SIGNATURE_SIZE 8

static const guint8 png_signature[SIGNATURE_SIZE] =
    { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n' };
static const guint8 jpeg_signature[] = { 0xff, 0xd8, 0xff };

/* Of JPEG's markers, T.81 table B.1 */
#define MARKER_TEM 0x01
#define MARKER_RST0 0xd0
#define MARKER_SOI 0xd8
#define MARKER_EOI 0xd9
#define MARKER_SOS 0xda

struct _MoshiImageReader
{
  gsize max;
  GByteArray *image;
  At at;
  guint64 skip;
  At after_skip;
  guint8 marker;
  guint length;
  guint8 chunk[8];
  guint have;
};

/**
 * moshi_image_reader_new:
 * @max: most bytes of an image; nothing beyond is kept
 *
 * Returns: (transfer full): a reader; for one thread at a time
 */
MoshiImageReader *
moshi_image_reader_new (gsize max)
{
  MoshiImageReader *self = g_new0 (MoshiImageReader, 1);

  self->max = max;
  self->image = g_byte_array_new ();
  return self;
}

/**
 * moshi_image_reader_free:
 * @self: (transfer full): a reader
 */
void
moshi_image_reader_free (MoshiImageReader * self)
{
  g_byte_array_unref (self->image);
  g_free (self);
}

/**
 * moshi_image_reader_reset:
 * @self: a reader
 *
 * Forgets what is not whole; the next piece begins an image.
 */
void
moshi_image_reader_reset (MoshiImageReader * self)
{
  g_byte_array_set_size (self->image, 0);
  self->at = AT_BEGINNING;
  self->skip = 0;
}

/**
 * moshi_image_reader_is_unfinished:
 * @self: a reader
 *
 * Returns: whether an image has begun and is not whole
 */
gboolean
moshi_image_reader_is_unfinished (MoshiImageReader * self)
{
  return self->image->len > 0;
}

static void
skip (MoshiImageReader * self, guint64 n, At after)
{
  self->skip = n;
  self->after_skip = after;
  self->at = after;
}

/* A marker's code, in front of a segment or within a scan; 0xff is a fill byte
 * before it. */
static void
take_marker (MoshiImageReader * self, guint8 code)
{
  self->marker = code;
  if (code == MARKER_EOI)
    self->at = AT_END;
  else if (code == 0 || code == MARKER_TEM
      || (code >= MARKER_RST0 && code <= MARKER_SOI))
    self->at = AT_MARKER;       /* these have no length */
  else if (code != 0xff)
    self->at = AT_LENGTH_HIGH;
}

/* Stuffed zeros and restart markers belong to the scan. */
static void
take_scan_marker (MoshiImageReader * self, guint8 code)
{
  if (code == 0 || (code >= MARKER_RST0 && code < MARKER_SOI))
    self->at = AT_SCAN;
  else
    take_marker (self, code);
}

static gboolean
take_length (MoshiImageReader * self, guint8 byte)
{
  self->length = self->length << 8 | byte;
  if (self->length < 2)
    return FALSE;
  skip (self, self->length - 2,
      self->marker == MARKER_SOS ? AT_SCAN : AT_MARKER);
  return TRUE;
}

static guint32
read_u32 (const guint8 * data)
{
  return (guint32) data[0] << 24 | (guint32) data[1] << 16
      | (guint32) data[2] << 8 | (guint32) data[3];
}

static gboolean
take_chunk (MoshiImageReader * self, guint8 byte)
{
  guint64 with_crc;

  self->chunk[self->have++] = byte;
  if (self->have < sizeof self->chunk)
    return TRUE;
  self->have = 0;
  if (read_u32 (self->chunk) > G_MAXINT32)
    return FALSE;
  with_crc = (guint64) read_u32 (self->chunk) + 4;
  skip (self, with_crc, memcmp (self->chunk + 4, "IEND", 4) == 0 ? AT_END
      : AT_CHUNK);
  return TRUE;
}

/* One byte that means something; %FALSE where no such file has it there. */
static gboolean
take_byte (MoshiImageReader * self, guint8 byte)
{
  switch (self->at) {
    case AT_MARKER:
      /* Decoders step over anything else, and so do we. */
      if (byte == 0xff)
        self->at = AT_MARKER_CODE;
      return TRUE;
    case AT_MARKER_CODE:
      take_marker (self, byte);
      return TRUE;
    case AT_LENGTH_HIGH:
      self->length = byte;
      self->at = AT_LENGTH_LOW;
      return TRUE;
    case AT_LENGTH_LOW:
      return take_length (self, byte);
    case AT_SCAN:
      if (byte == 0xff)
        self->at = AT_SCAN_CODE;
      return TRUE;
    case AT_SCAN_CODE:
      take_scan_marker (self, byte);
      return TRUE;
    case AT_CHUNK:
      return take_chunk (self, byte);
    case AT_BEGINNING:
    case AT_END:
    case AT_TRAILER:
      break;
  }
  return FALSE;
}

/* How many of the bytes at @data are read before the image ends, or all */
static gboolean
take (MoshiImageReader * self, const guint8 * data, gsize size, gsize * used)
{
  gsize i = 0;

  while (i < size && (self->at != AT_END || self->skip > 0)) {
    if (self->skip > 0) {
      gsize n = MIN (self->skip, size - i);

      self->skip -= n;
      i += n;
    } else if (!take_byte (self, data[i++])) {
      return FALSE;
    }
  }
  *used = i;
  return TRUE;
}

static gboolean
begins_with (const guint8 * data, gsize size, const guint8 * signature,
    gsize signature_size)
{
  return size > 0 && memcmp (data, signature, MIN (size, signature_size)) == 0;
}

static gboolean
refuse (MoshiImageReader * self, MoshiError code, const gchar * message,
    GError ** error)
{
  moshi_image_reader_reset (self);
  self->at = AT_TRAILER;
  g_set_error_literal (error, MOSHI_ERROR, code, message);
  return FALSE;
}

/* The signature, of which a short piece may hold the beginning alone */
static gboolean
begin (MoshiImageReader * self, const guint8 * data, gsize size,
    GError ** error)
{
  if (begins_with (data, size, jpeg_signature, sizeof jpeg_signature)) {
    skip (self, 2, AT_MARKER);
    return TRUE;
  }
  if (begins_with (data, size, png_signature, sizeof png_signature)) {
    self->have = 0;
    skip (self, sizeof png_signature, AT_CHUNK);
    return TRUE;
  }
  if (self->at == AT_TRAILER)
    return TRUE;
  return refuse (self, MOSHI_ERROR_IMAGE, "What came for an image is neither "
      "JPEG nor PNG; put an encoder, such as jpegenc, before the pad.", error);
}

/**
 * moshi_image_reader_push:
 * @self: a reader
 * @data: (array length=size): the next bytes
 * @size: their number
 * @image: (out) (transfer full) (nullable): the image that is whole with them
 * @error: return location for an error
 *
 * Takes the next piece. An image begins where a piece does: at most one comes
 * out of each. What is no image, too long or broken is left out up to the next
 * piece that begins as an image does.
 *
 * Source: ITU-T T.81 annex B; Portable Network Graphics (third edition),
 * sections 5.2 and 5.3.
 *
 * Returns: %FALSE with %MOSHI_ERROR_IMAGE where this is no JPEG or PNG or a
 *     broken one, or %MOSHI_ERROR_LIMIT where it is longer than the limit;
 *     @image is then %NULL
 */
gboolean
moshi_image_reader_push (MoshiImageReader * self, const guint8 * data,
    gsize size, GBytes ** image, GError ** error)
{
  gsize used = 0;

  *image = NULL;
  if (size == 0)
    return TRUE;
  if (self->at == AT_BEGINNING || self->at == AT_TRAILER) {
    if (!begin (self, data, size, error))
      return FALSE;
    if (self->at == AT_TRAILER)
      return TRUE;
  }
  if (!take (self, data, size, &used))
    return refuse (self, MOSHI_ERROR_IMAGE, "The image is broken: its file "
        "cannot be read; encode it anew.", error);
  if (used + self->skip > self->max - self->image->len)
    return refuse (self, MOSHI_ERROR_LIMIT, "The image is larger than a server "
        "takes; scale it down or compress it more.", error);

  g_byte_array_append (self->image, data, used);
  if (self->at == AT_END && self->skip == 0) {
    *image = g_bytes_new (self->image->data, self->image->len);
    moshi_image_reader_reset (self);
    self->at = AT_TRAILER;
  }
  return TRUE;
}
