#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Writes mask.json, where speech is in two minutes of it, and speech.opus, their
# first 40 s in packets of 20 ms, for the playout to be tried on in the element.
# The speech is recorded: Debian's asterisk-core-sounds-en-g722, whose directory
# of sounds may be given. Needs ffmpeg, sox, opus-tools.
set -e
sounds=${1:-/usr/share/asterisk/sounds/en_US_f_Allison}
dir=$(dirname "$0")
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# What she says, with its pauses as they are, and the pause after it: in talk it
# is the other one's turn then, or a breath is taken.
set -- demo-congrats 0.6 demo-nogo 1.1 demo-echotest 0.8 \
  queue-periodic-announce 1.4 demo-moreinfo 0.7 tt-allbusy 1.0 demo-thanks 0.9 \
  dir-intro 1.5
parts=
while [ $# -gt 0 ]; do
  ffmpeg -nostdin -loglevel error -f g722 -i "$sounds/$1.g722" -ar 24000 \
    -ac 1 -flags bitexact "$tmp/$1.wav"
  sox -D "$tmp/$1.wav" "$tmp/$1.padded.wav" pad 0 "$2"
  parts="$parts $tmp/$1.padded.wav"
  shift 2
done
sox -D $parts -b 16 "$tmp/speech.wav" pad 0.3 trim 0 120
"$dir/make-mask.py" "$tmp/speech.wav" >"$dir/mask.json"
sox -D "$tmp/speech.wav" "$tmp/start.wav" trim 0 40
opusenc --quiet --bitrate 16 --framesize 20 --vbr "$tmp/start.wav" \
  "$dir/speech.opus"
