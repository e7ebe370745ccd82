/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * MoshiImageReader:
 *
 * Puts a JPEG or PNG file together from pieces of any size, and tells when it
 * is whole, without decoding it.
 */
typedef struct _MoshiImageReader MoshiImageReader;

MoshiImageReader *moshi_image_reader_new (gsize max);
void moshi_image_reader_free (MoshiImageReader * self);
void moshi_image_reader_reset (MoshiImageReader * self);
gboolean moshi_image_reader_is_unfinished (MoshiImageReader * self);
gboolean moshi_image_reader_push (MoshiImageReader * self,
    const guint8 * data, gsize size, GBytes ** image, GError ** error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (MoshiImageReader, moshi_image_reader_free)

G_END_DECLS
