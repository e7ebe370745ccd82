/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * A page of docs/ and the tables in it, to be compared with what the code says.
 * A table belongs to the nearest heading above it. The last cell of a row is
 * prose and only has to be there; the cells before it are facts.
 */

typedef struct
{
  gchar *name;                  /* of the file in docs/ */
  GHashTable *tables;           /* heading -> GPtrArray of rows */
} Page;

Page *page_load (const gchar * name);
void page_free (Page * self);
GPtrArray *page_get_rows (Page * self, const gchar * heading);
void page_check (Page * self, const gchar * heading, GPtrArray * expected);

gchar *page_format_row (const gchar * const *cells);
void page_add_row (GPtrArray * rows, const gchar * first, ...)
    G_GNUC_NULL_TERMINATED;

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Page, page_free)

G_END_DECLS
