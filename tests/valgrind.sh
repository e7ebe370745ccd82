#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A shorter storm under valgrind: no wrong access, nothing lost. It takes some
# ten minutes. BUILD has no sanitizer in it.
#
#   tests/valgrind.sh BUILD                  the storm
#   tests/valgrind.sh BUILD PROGRAM ARG...   another program of BUILD/tests
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
shift
[ $# -gt 0 ] || set -- elements/elements-storm --tap -p /storm/states \
  -p /storm/seeks -p /storm/join -p /storm/together
program=$build/tests/$1
shift

registry=$(mktemp)
trap 'rm -f "$registry"' EXIT
export GST_REGISTRY="$registry" GST_REGISTRY_FORK=no
export GST_PLUGIN_PATH_1_0="$build/gst/moshi"
export G_SLICE=always-malloc G_DEBUG=gc-friendly,fatal-criticals
export MOSHI_STORM="${MOSHI_STORM:-40}" MOSHI_SESSIONS="${MOSHI_SESSIONS:-16}"
export MOSHI_WATCHDOG=600
# libproxy throws exceptions, which do not get through valgrind where GStreamer
# has brought libunwind along.
export GIO_USE_PROXY_RESOLVER=dummy
# Plugins are looked for without valgrind, which would take long.
gst-inspect-1.0 moshi >/dev/null

# Fair scheduling: else the threads of a live pipeline starve each other.
valgrind --fair-sched=yes --num-callers=40 --leak-check=full \
  --show-leak-kinds=definite --errors-for-leak-kinds=definite \
  --error-exitcode=9 --suppressions=/usr/share/glib-2.0/valgrind/glib.supp \
  --suppressions="$here/valgrind.supp" "$program" "$@"
