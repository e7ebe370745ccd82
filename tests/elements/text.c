/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness.h"

static void
add_tests (void)
{
}

int
main (int argc, char **argv)
{
  return harness_main (&argc, &argv, add_tests);
}
