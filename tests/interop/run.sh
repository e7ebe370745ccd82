#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The interop suite: the plugin against the real servers' own code.
#
#   tests/interop/run.sh [--seconds N] [--only REGEX] [--limits]
#                        [--record DIR] [WHAT …]
#
# WHAT: pytorch  Kyutai's PyTorch server, from PyPI
#       mlx      Kyutai's MLX server, from PyPI
#       backend  Kyutai's Rust moshi-backend, from crates.io
#       moshi-server  Kyutai's Rust moshi-server, module Lm, from crates.io
#       client   Kyutai's Python client against our stand-in server
# Nothing named means all of them. Installs what is missing outside the tree,
# in $INTEROP_CACHE (~/.cache/gst-moshi-interop): some 8 GB from PyPI, and for
# the Rust servers half an hour of compiling. Not part of tests/run.sh.
# --limits also talks until each server's session limit (minutes each);
# --record writes captures for tests/data.
# Prints the versions met, a line a check, and fails when any check fails or a
# server does not start.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=${INTEROP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gst-moshi-interop}
build=${INTEROP_BUILD:-$root/build-interop}

# The names alone; checks.py reads the whole line.
what=
skip=
for word in "$@"; do
  case $skip$word in
    skip*) skip= ;;
    --seconds | --only | --record) skip=skip ;;
    -*) ;;
    *) what="$what $word" ;;
  esac
done

[ -e "$build/build.ninja" ] || meson setup "$build" "$root" >/dev/null
ninja -C "$build" >/dev/null

failed=0
for part in ${what:-pytorch mlx moshi-server backend}; do
  [ "$part" = client ] && part=pytorch
  if ! "$here/setup.sh" "$cache" models "$part"; then
    echo "FAIL $part: could not be installed"
    failed=1
  fi
done

"$cache/venv/bin/python" "$here/checks.py" --cache "$cache" \
  --build "$build" "$@" || failed=1
exit $failed
