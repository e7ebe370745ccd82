/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * MOSHI_METADATA_MAX_SIZE:
 *
 * Longest metadata message looked at, in bytes; real ones have about 1 kB.
 */
#define MOSHI_METADATA_MAX_SIZE (256 * 1024)

/**
 * MOSHI_METADATA_MAX_DEPTH:
 *
 * Deepest nesting handed to the JSON parser, which recurses.
 */
#define MOSHI_METADATA_MAX_DEPTH 32

/**
 * MoshiMetadataField:
 * @name: the member's name as the server wrote it; valid UTF-8
 * @kind: what @value holds: 's' string, 'i' integer, 'd' double, 'b' boolean,
 *     'j' an object, array or null as JSON text
 * @string: for 's' and 'j'
 * @integer: for 'i' and 'b'
 * @number: for 'd'
 */
typedef struct
{
  gchar *name;
  gchar kind;
  gchar *string;
  gint64 integer;
  gdouble number;
} MoshiMetadataField;

GPtrArray *moshi_metadata_parse (const guint8 * data, gsize size,
    gchar ** json, GError ** error);

G_END_DECLS
