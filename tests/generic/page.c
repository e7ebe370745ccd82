/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "page.h"

#include <string.h>

/* "| a | b |" becomes { "a", "b" }. A bar inside code is written \| in
 * Markdown's tables, and so it stays here. */
static gchar **
split_row (const gchar * line)
{
  g_autofree gchar *inner = g_strdup (line + 1);
  gchar **cells;
  guint i;

  g_strchomp (inner);
  if (g_str_has_suffix (inner, "|"))
    inner[strlen (inner) - 1] = '\0';
  cells = g_regex_split_simple ("(?<!\\\\)\\|", inner, 0, 0);
  for (i = 0; cells[i]; i++)
    g_strstrip (cells[i]);
  return cells;
}

static GPtrArray *
new_rows (void)
{
  return g_ptr_array_new_with_free_func ((GDestroyNotify) g_strfreev);
}

static void
add_line (Page * self, const gchar * heading, const gchar * line)
{
  GPtrArray *rows = g_hash_table_lookup (self->tables, heading);

  if (rows == NULL) {
    rows = new_rows ();
    g_hash_table_insert (self->tables, g_strdup (heading), rows);
  }
  g_ptr_array_add (rows, split_row (line));
}

/**
 * page_load:
 * @name: of a file in docs/
 *
 * Returns: (transfer full): its tables, without their heads
 */
Page *
page_load (const gchar * name)
{
  g_autofree gchar *path = g_test_build_filename (G_TEST_DIST, "..", "docs",
      name, NULL);
  g_autofree gchar *text = NULL;
  g_auto (GStrv) lines = NULL;
  g_autoptr (GError) error = NULL;
  const gchar *heading = "";
  gboolean inside = FALSE;
  Page *self = g_new0 (Page, 1);
  guint i;

  self->name = g_strdup (name);
  self->tables = g_hash_table_new_full (g_str_hash, g_str_equal, g_free,
      (GDestroyNotify) g_ptr_array_unref);
  g_file_get_contents (path, &text, NULL, &error);
  g_assert_no_error (error);
  lines = g_strsplit (text, "\n", -1);
  for (i = 0; lines[i]; i++) {
    if (lines[i][0] == '#')
      heading = g_strstrip (lines[i] + strspn (lines[i], "#"));
    if (lines[i][0] != '|')
      inside = FALSE;
    else if (g_str_has_prefix (lines[i], "|--"))
      inside = TRUE;
    else if (inside)
      add_line (self, heading, lines[i]);
  }
  return self;
}

/**
 * page_free:
 * @self: (transfer full): a page
 */
void
page_free (Page * self)
{
  g_hash_table_unref (self->tables);
  g_free (self->name);
  g_free (self);
}

/**
 * page_get_rows:
 * @self: a page
 * @heading: as it stands there, without the #
 *
 * Returns: (transfer none) (nullable) (element-type GStrv): the rows below it
 */
GPtrArray *
page_get_rows (Page * self, const gchar * heading)
{
  return g_hash_table_lookup (self->tables, heading);
}

/**
 * page_format_row:
 * @cells: (array zero-terminated=1): what stands in it
 *
 * Returns: (transfer full): the row in Markdown
 */
gchar *
page_format_row (const gchar * const *cells)
{
  g_autofree gchar *inner = g_strjoinv (" | ", (gchar **) cells);

  return g_strdup_printf ("| %s |", inner);
}

/**
 * page_add_row:
 * @rows: (element-type GStrv): where to
 * @first: the first cell, then the others, then %NULL
 */
void
page_add_row (GPtrArray * rows, const gchar * first, ...)
{
  GPtrArray *cells = g_ptr_array_new ();
  const gchar *cell = first;
  va_list args;

  va_start (args, first);
  while (cell) {
    g_ptr_array_add (cells, g_strdup (cell));
    cell = va_arg (args, const gchar *);
  }
  va_end (args);
  g_ptr_array_add (cells, NULL);
  g_ptr_array_add (rows, g_ptr_array_free (cells, FALSE));
}

/* Whether the facts of two rows are the same: all cells but the last. */
static gboolean
has_same_facts (gchar ** a, gchar ** b)
{
  const guint n = g_strv_length (a);
  guint i;

  if (g_strv_length (b) != n)
    return FALSE;
  for (i = 0; i + 1 < n; i++) {
    if (strcmp (a[i], b[i]) != 0)
      return FALSE;
  }
  return TRUE;
}

static gchar **
find_facts (GPtrArray * rows, gchar ** wanted)
{
  guint i;

  for (i = 0; rows && i < rows->len; i++) {
    if (has_same_facts (g_ptr_array_index (rows, i), wanted))
      return g_ptr_array_index (rows, i);
  }
  return NULL;
}

/**
 * page_check:
 * @self: a page
 * @heading: of one of its tables
 * @expected: (element-type GStrv): the rows as the code has them, the last cell
 *     of each being a proposal
 *
 * Fails, in full and with the lines to write, for each fact that is missing
 * there and for each that is not true (any more).
 */
void
page_check (Page * self, const gchar * heading, GPtrArray * expected)
{
  GPtrArray *rows = page_get_rows (self, heading);
  guint i, wrong = 0;

  for (i = 0; i < expected->len; i++) {
    gchar **cells = g_ptr_array_index (expected, i);
    gchar **found = find_facts (rows, cells);
    g_autofree gchar *line = page_format_row ((const gchar * const *) cells);

    if (found && found[g_strv_length (found) - 1][0] != '\0')
      continue;
    wrong++;
    g_test_message ("docs/%s, under \"%s\": add the row, or correct the one "
        "that is there, and say in its last cell what it is for:\n%s",
        self->name, heading, line);
  }

  for (i = 0; rows && i < rows->len; i++) {
    gchar **cells = g_ptr_array_index (rows, i);
    g_autofree gchar *line = page_format_row ((const gchar * const *) cells);

    if (find_facts (expected, cells))
      continue;
    wrong++;
    g_test_message ("docs/%s, under \"%s\": not what the code says (any more), "
        "take it out or correct it:\n%s", self->name, heading, line);
  }
  if (wrong > 0)
    g_test_fail ();
}
