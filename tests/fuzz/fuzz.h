/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <string.h>

G_BEGIN_DECLS

/*
 * What the fuzz targets share: an input taken apart from its front. Once it is
 * used up all numbers are 0 and all strings are empty, so that every input
 * means something.
 */

typedef struct
{
  const guint8 *data;
  gsize size;
} FuzzInput;

int LLVMFuzzerTestOneInput (const guint8 * data, size_t size);

/* Takes up to @size bytes; @got says how many there were. They are a part of
 * the input, not a copy. */
static inline const guint8 *
fuzz_take (FuzzInput * self, gsize size, gsize * got)
{
  const guint8 *data = self->data;

  *got = MIN (size, self->size);
  self->data += *got;
  self->size -= *got;
  return data;
}

static inline guint8
fuzz_byte (FuzzInput * self)
{
  gsize got;
  const guint8 *data = fuzz_take (self, 1, &got);

  return got == 1 ? *data : 0;
}

static inline guint32
fuzz_u16 (FuzzInput * self)
{
  guint32 high = fuzz_byte (self);

  return high << 8 | fuzz_byte (self);
}

static inline guint32
fuzz_u32 (FuzzInput * self)
{
  guint32 high = fuzz_u16 (self);

  return high << 16 | fuzz_u16 (self);
}

/* A copy of the next bytes, as many as one more byte says, with a NUL behind:
 * so that a reader past the end is seen. */
static inline gchar *
fuzz_string (FuzzInput * self)
{
  gsize got, size = fuzz_byte (self);
  const guint8 *data = fuzz_take (self, size, &got);

  return g_strndup ((const gchar *) data, got);
}

G_END_DECLS
