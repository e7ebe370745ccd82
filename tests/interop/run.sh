#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The interop suite: the plugin against the real servers' own code.
#
#   tests/interop/run.sh [--seconds N] [--only REGEX] [--limits] [WHAT …]
#
# WHAT: pytorch  Kyutai's PyTorch server, from PyPI
#       mlx      Kyutai's MLX server, from PyPI
#       backend  Kyutai's Rust moshi-backend, from crates.io
#       moshi-server  Kyutai's Rust moshi-server, module Lm, from crates.io
#       client   Kyutai's Python client against our stand-in server
# Nothing named means all of them. Installs what is missing outside the tree,
# in $INTEROP_CACHE (~/.cache/gst-moshi-interop): some 8 GB from PyPI, and for
# the Rust servers half an hour of compiling. Not part of tests/run.sh.
# --limits also talks until each server's session limit (minutes each).
# Prints the versions met, a line a check, and fails when any check fails or a
# server does not start.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=${INTEROP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gst-moshi-interop}
build=${INTEROP_BUILD:-$root/build-interop}

options=
what=
while [ $# -gt 0 ]; do
  case $1 in
    --seconds | --only) options="$options $1 $2"; shift ;;
    --limits) options="$options $1" ;;
    -*) echo "run.sh: unknown option $1" >&2; exit 2 ;;
    *) what="$what $1" ;;
  esac
  shift
done
what=${what:-pytorch mlx moshi-server backend client}

[ -e "$build/build.ninja" ] || meson setup "$build" "$root" >/dev/null
ninja -C "$build" >/dev/null

failed=0
ready=
for part in $what; do
  needed=$part
  [ "$part" = client ] && needed=pytorch
  # shellcheck disable=SC2086
  if "$here/setup.sh" "$cache" models $needed; then
    ready="$ready $part"
  else
    echo "FAIL $part: could not be installed"
    failed=1
  fi
done

"$cache/venv/bin/python" "$here/checks.py" --cache "$cache" \
  --build "$build" $options $ready || failed=1
exit $failed
