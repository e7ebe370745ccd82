#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Puts C files into the project's form, which is GStreamer's (Debian's indent
# 2.2.12). With --check nothing is written; what would change is shown.
# Headers are left alone, as GStreamer leaves them: indent takes G_BEGIN_DECLS
# and its like for the beginning of a declaration.
#
#   tests/format.sh [--check] [FILE.c...]      without files: all of them
set -eu
cd "$(dirname "$0")/.."

check=
if [ "${1:-}" = --check ]; then
  check=yes
  shift
fi
[ $# -gt 0 ] ||
  set -- $(find gst tests examples -name '*.c' | sort)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# One pass may leave work for the next: a line it broke may break anew.
indent_once () {
  indent --braces-on-if-line --case-brace-indentation0 --case-indentation2 \
    --braces-after-struct-decl-line --line-length80 --no-tabs --cuddle-else \
    --dont-line-up-parentheses --continuation-indentation4 \
    --honour-newlines --tab-size8 --indent-level2 --leave-preprocessor-space \
    "$1" -o "$2"
}

status=0
for file; do
  indent_once "$file" "$work/once.c"
  indent_once "$work/once.c" "$work/twice.c"
  if cmp -s "$file" "$work/twice.c"; then
    continue
  elif [ -n "$check" ]; then
    diff -u "$file" "$work/twice.c" || true
    status=1
  else
    cat "$work/twice.c" >"$file"
    echo "$file"
  fi
done
exit $status
