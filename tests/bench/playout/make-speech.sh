#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Writes speech.opus: 40 s of speech with its pauses, in packets of 20 ms, for
# the playout to be tried on in the element. Needs espeak-ng, sox, opus-tools.
set -e
dir=$(dirname "$0")
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
espeak-ng -v en-gb -s 140 -w "$tmp/a.wav" "Good morning. I have read your letter,
twice, and there is one thing that I do not understand. You say that the train
was late. But it was not: I stood on the platform, with my watch in my hand, and
it came at ten past eight. Who told you otherwise? Perhaps it does not matter. We
met, after all, and we had a good day by the sea. Do you remember the old man
with the telescope? He let us look at the ships. I counted seven; you counted
nine. Well. I have been thinking about it since. There is a house for sale, up on
the hill, behind the church. It is small, and the roof needs some work, and yet
from the window upstairs you can see all of the bay. Shall we go and look at it?
Write soon, or better, ring me up: I am at home on Sunday."
sox "$tmp/a.wav" -r 24000 -c 1 -b 16 "$tmp/b.wav" pad 0.3 1 trim 0 40
opusenc --quiet --bitrate 16 --framesize 20 --vbr "$tmp/b.wav" "$dir/speech.opus"
