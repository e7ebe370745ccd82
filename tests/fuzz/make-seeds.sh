#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# make-seeds.sh PROGRAM STAMP TESTS: runs seeds.c's program where meson wants it.
set -eu
G_TEST_SRCDIR=$3
export G_TEST_SRCDIR
"$1" "$(dirname "$2")/inputs" >/dev/null
touch "$2"
