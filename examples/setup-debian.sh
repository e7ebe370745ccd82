#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Installs the Debian packages (12 or newer, and what derives from it) that
# gst-moshi is built, run, tested and shown with. Only what is missing is
# installed, as root or through sudo; with nothing missing it does nothing.
#
#   examples/setup-debian.sh build        to build the plugin
#   examples/setup-debian.sh run          to run pipelines with it
#   examples/setup-debian.sh test         to run tests/run.sh
#   examples/setup-debian.sh demo         to run examples/demo.sh
set -eu

build="gcc libc6-dev meson ninja-build pkg-config libgstreamer1.0-dev
  libgstreamer-plugins-base1.0-dev libsoup-3.0-dev libjson-glib-dev
  libogg-dev libopus-dev"
# glib-networking: TLS; -bad: webrtcdsp, srtenc; -x: textoverlay
run="gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good
  gstreamer1.0-plugins-bad gstreamer1.0-x glib-networking ca-certificates"
# The stand-in server speaks through espeak-ng.
server="libespeak-ng-dev espeak-ng-data"
# alsa-utils: recorded announcements, the human speech of tests and demo
speech="alsa-utils sox"
# For the recipes of docs/: a sound server that needs no sound card, a program
recipes="pulseaudio pulseaudio-utils python3-numpy python3-gi
  gir1.2-gstreamer-1.0"
# libclang-rt: libFuzzer; openssl: certificates made by the tests; -nice: webrtcbin
test="$server $speech $recipes clang libclang-rt-dev cppcheck indent openssl
  python3 gstreamer1.0-nice"
demo="$server $speech python3 python3-numpy python3-matplotlib
  fonts-dejavu-core"

wanted=
for group in "${@:-build}"; do
  case $group in
    build) wanted="$wanted $build" ;;
    run) wanted="$wanted $run" ;;
    test) wanted="$wanted $build $run $test" ;;
    demo) wanted="$wanted $build $run $demo" ;;
    *) echo "usage: $0 [build|run|test|demo]..." >&2; exit 2 ;;
  esac
done

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "This is no Debian: install what these packages hold by hand:" >&2
  echo "  "$wanted >&2
  exit 1
fi

missing=
for package in $wanted; do
  case "$missing " in *" $package "*) continue ;; esac
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) ||
    status=unknown
  [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "Neither root nor sudo. Please install:$missing" >&2
    exit 1
  fi
  as_root=sudo
fi
echo "Installing:$missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { $as_root apt-get -q update &&
    $as_root env DEBIAN_FRONTEND=noninteractive \
      apt-get -q -y install --no-install-recommends $missing; } >"$log" 2>&1
then
  cat "$log" >&2
  exit 1
fi
