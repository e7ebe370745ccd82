#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Installs what is missing, builds, and holds a conversation: recorded human
# speech goes to a Moshi server; what it answers is left as sound, subtitles
# and a picture.
#
#   examples/demo.sh [DIRECTORY]      leaves its files there (build/demo)
#
# It builds in `build`, or in the directory that BUILD names.
#
# Without MOSHI_URI it talks to the project's stand-in server, which it starts
# on loopback: no model, no GPU, but real turns. With MOSHI_URI (and
# MOSHI_API_KEY) set it talks to that server.
set -eu
cd "$(dirname "$0")/.."
build=${BUILD:-build}
out=${1:-$build/demo}
standin=

fail () {
  echo "demo: $*" >&2
  exit 1
}

# quietly COMMAND...: shows its output only where it fails
quietly () {
  "$@" >"$out/demo.log" 2>&1 </dev/null || {
    cat "$out/demo.log" >&2
    fail "this did not work: $*"
  }
}

finish () {
  status=$?
  trap - EXIT INT TERM
  if [ -n "$standin" ]; then
    kill "$standin" 2>/dev/null || true
    wait "$standin" 2>/dev/null || true
  fi
  exit $status
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

build_all () {
  echo "Building ..."
  [ -f "$build/build.ninja" ] || quietly meson setup "$build"
  quietly ninja -C "$build"
  GST_PLUGIN_PATH=$(cd "$build/gst/moshi" && pwd)
  export GST_PLUGIN_PATH
}

# Three turns of a person, each followed by a pause to be answered in.
record_speech () {
  sounds=/usr/share/sounds/alsa
  sox "$sounds/Front_Center.wav" "$out/turn1.wav" pad 0.5 5
  sox "$sounds/Rear_Left.wav" "$sounds/Side_Right.wav" "$out/turn2.wav" pad 0 6
  sox "$sounds/Front_Left.wav" "$sounds/Front_Right.wav" \
    "$sounds/Rear_Center.wav" "$out/turn3.wav" pad 0 1
  sox "$out/turn1.wav" "$out/turn2.wav" "$out/turn3.wav" "$out/question.wav"
  rm "$out/turn1.wav" "$out/turn2.wav" "$out/turn3.wav"
}

# The server prints "listening on ADDRESS" when it can be reached. In a session
# of its own, it outlives a Ctrl-C for as long as the conversation needs.
start_standin () {
  setsid "$build/tests/server/moshi-standin" --port 0 --voice talk \
    >"$out/standin.log" 2>&1 </dev/null &
  standin=$!
  tries=0
  until MOSHI_URI=$(sed -n 's/^listening on //p' "$out/standin.log") &&
    [ -n "$MOSHI_URI" ]; do
    kill -0 "$standin" 2>/dev/null && [ $tries -lt 100 ] || {
      cat "$out/standin.log" >&2
      fail "the stand-in server does not start"
    }
    tries=$((tries + 1))
    sleep 0.1
  done
  export MOSHI_URI
  unset MOSHI_API_KEY
  echo "The stand-in server answers at $MOSHI_URI."
}

mkdir -p "$out"
examples/setup-debian.sh build run demo
build_all
record_speech
if [ -n "${MOSHI_URI:-}" ]; then
  echo "Talking to the server of MOSHI_URI."
else
  start_standin
fi

"$build/examples/moshi-talk" --tail 6000 \
  "$out/question.wav" "$out/answer.wav" "$out/answer.srt"

# Both sides have one time line: question left, answer right.
sox -M "|sox $out/question.wav -r 24000 -p" "$out/answer.wav" \
  -b 16 "$out/conversation.wav"
/usr/bin/python3 examples/conversation.py "$out/conversation.wav" \
  "$out/answer.srt" "$out/conversation.png"

rm -f "$out/demo.log" "$out/standin.log"
cat <<END

In $out:
  question.wav       what was said
  answer.wav         what Moshi answered, on the same time line
  answer.srt         its words
  conversation.wav   both, left and right
  conversation.png   both, drawn, with the words
END
