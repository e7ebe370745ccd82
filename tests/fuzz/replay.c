/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where there is no libFuzzer: a fuzz target as a test of the ordinary suite,
 * given files and folders of inputs: what captures of real servers make
 * (seeds.c), and what once made it fail.
 */
#include <stdio.h>

#include "fuzz.h"

/* What a target may call of libFuzzer; no mutation happens here. */
size_t LLVMFuzzerMutate (guint8 * data, size_t size, size_t max_size);

size_t
LLVMFuzzerMutate (guint8 * data, size_t size, size_t max_size)
{
  return size;
}

static guint
run_file (const gchar * path)
{
  g_autofree gchar *data = NULL;
  gsize size;

  if (!g_file_get_contents (path, &data, &size, NULL))
    return 0;
  LLVMFuzzerTestOneInput ((const guint8 *) data, size);
  return 1;
}

static guint
run_folder (GDir * folder, const gchar * path)
{
  const gchar *name;
  guint n = 0;

  while ((name = g_dir_read_name (folder)) != NULL) {
    g_autofree gchar *file = g_build_filename (path, name, NULL);

    n += run_file (file);
  }
  return n;
}

/* A folder that is not there has no inputs: nothing failed yet. */
int
main (int argc, char **argv)
{
  guint n = 0;
  gint i;

  for (i = 1; i < argc; i++) {
    g_autoptr (GDir) folder = g_dir_open (argv[i], 0, NULL);

    n += folder != NULL ? run_folder (folder, argv[i]) : run_file (argv[i]);
  }
  printf ("1..1\n%s %s: %u inputs\n", n > 0 ? "ok 1" : "not ok 1", argv[0], n);
  return n > 0 ? 0 : 1;
}
