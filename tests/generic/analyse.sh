#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# TAP: static analysis of the plugin by cppcheck, gcc and clang. What they say and is not so stands in analyse.supp, with the reason.
cd "$(dirname "$0")/../.." || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
jobs=$(nproc)

: >"$work/config.h"
cat >"$work/flags" <<END
-std=gnu11 -O2 -Wall -Wextra -Wno-unused-parameter
-Wno-missing-field-initializers -Igst/moshi -I$work
-DPACKAGE=\\"\\" -DPACKAGE_NAME=\\"\\" -DVERSION=\\"\\" -DGST_LICENSE=\\"\\"
-DGST_PACKAGE_NAME=\\"\\" -DGST_PACKAGE_ORIGIN=\\"\\"
$(pkg-config --cflags gstreamer-audio-1.0 gstreamer-pbutils-1.0 libsoup-3.0 \
  json-glib-1.0 ogg opus)
END

# each COMMAND...: runs it on every source, with the flags; what it prints
each () {
  find gst/moshi -name '*.c' | sort |
    xargs -P "$jobs" -n 1 "$@" "@$work/flags" 2>&1
}

# analyse NAME COMMAND...: it runs, and no line that tells of a finding is left
n=0
analyse () {
  n=$((n + 1)) name=$1 status=0
  shift
  "$@" >"$work/out" 2>&1 || status=$?
  grep -E '(error|warning|portability|performance): ' "$work/out" |
    grep -vEf "$work/supp" >"$work/left"
  if [ -s "$work/left" ] || [ "$status" -ne 0 ]; then
    sed 's/^/# /' "$work/out"
    echo "# exit $status"
    printf 'not '
  fi
  echo "ok $n - $name"
}

grep -v '^#' tests/generic/analyse.supp | grep . >"$work/supp"

echo 1..3
analyse "cppcheck" cppcheck -q -j "$jobs" --std=c11 \
  --enable=warning,performance,portability --library=gtk \
  "-DGST_AUDIO_NE(x)=\"x\"" --suppress=missingInclude -Igst/moshi gst/moshi
analyse "gcc -fanalyzer" each gcc -fanalyzer -S -o /dev/null
analyse "clang --analyze" each clang --analyze --analyzer-output text
