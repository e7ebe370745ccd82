#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# TAP: who includes whom. Elements stand on session/, session/ on protocol/;
# nothing points up, and only session/'s own files know libsoup. And who is
# called _locked says which lock, so that clang can look (moshilock.h).
cd "$(dirname "$0")/../../gst/moshi" || exit 1
n=0
# forbid NAME PATTERN FILE...: no #include line of the files matches PATTERN
forbid () {
  n=$((n + 1)) name=$1 pattern=$2
  shift 2
  found=$(grep -nE "^ *# *include *[<\"]($pattern)" "$@" /dev/null)
  if [ -n "$found" ]; then
    echo "$found" | sed 's/^/# /'
    printf 'not '
  fi
  echo "ok $n - $name"
}
echo 1..5
forbid "protocol/ knows no GStreamer, socket, thread or clock" \
  'gst/|libsoup|gio/|sys/|pthread|time\.h|\.\./|session/|gst' protocol/*.[ch]
forbid "session/ knows no GStreamer and no element" 'gst|\.\./gst' session/*.[ch]
forbid "elements know no libsoup" 'libsoup' ./*.[ch]
forbid "session/ headers hide libsoup" 'libsoup' session/*.h

n=$((n + 1))
found=$(awk '
  /^static / && FNR > 0 { is_static = FNR }
  /_locked \(/ && (FILENAME ~ /h$/ || (/^[a-z]/ && is_static == FNR - 1)) {
    name = FILENAME ":" FNR ": " $0; text = ""
  }
  name { text = text $0 }
  name && /[;{]/ { if (text !~ /MOSHI_REQUIRES/) print name; name = "" }
' ./*.[ch] session/*.[ch])
if [ -n "$found" ]; then
  echo "$found" | sed 's/^/# /'
  printf 'not '
fi
echo "ok $n - functions called _locked MOSHI_REQUIRE their lock"
