#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Writes a minute of speech with ordinary pauses, 24 kHz mono S16LE without a
# header, for the programs here. Needs espeak-ng and sox.
#
#   tests/bench/make-speech.sh speech.s16
set -eu
out=${1:?where to}
text="Good morning. I would like to know when the next train leaves for the
coast. The one at nine, if I remember well, does not run on Sundays. Is there
another before noon? Then I shall have a cup of tea, and read the paper, and
wait. It is a fine day for it, after all. By the way, what became of the old
station? They told me it had been sold; to whom, nobody could say."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for voice in en-us en-gb; do
  espeak-ng -v "$voice" -w "$work/raw.wav" "$text"
  sox "$work/raw.wav" -r 24000 -c 1 -b 16 "$work/$voice.wav" pad 0.5 1.5
done
sox "$work"/en-*.wav -t raw -e signed -b 16 "$out" norm -3
