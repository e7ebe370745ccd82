#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Puts together what encoder.py listens to: a minute each of people recorded at
# 16 kHz (a woman in English, a man in Italian, a woman in French), what there is
# at 48 kHz (the speaker test of ALSA), and espeak-ng. Needs apt-get, ffmpeg, sox,
# espeak-ng and Debian's archive.
#
#   tests/bench/make-corpus.sh DIRECTORY
set -eu
out=${1:?where to}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
(cd "$work" && apt-get -qq download asterisk-core-sounds-en-g722 \
  asterisk-core-sounds-it-g722 asterisk-core-sounds-fr-g722 alsa-utils)
for package in "$work"/*.deb; do
  dpkg -x "$package" "$work/files"
done
for voice in en_US_f_Allison it_IT_m_Carlo fr_CA_f_June; do
  find "$work/files/usr/share/asterisk/sounds/$voice" -name '*.g722' \
    -size +30k ! -path '*/silence/*' ! -name 'tt-*' | sort | head -n 20 \
    | while read -r file; do
      ffmpeg -v error -nostdin -f g722 -i "$file" -f s16le -ac 1 -ar 16000 -
    done > "$work/$voice.raw"
  sox -t raw -r 16000 -e signed -b 16 -c 1 "$work/$voice.raw" \
    "$out/$voice.wav" trim 0 56
done
sox "$work"/files/usr/share/sounds/alsa/[FRS]*.wav -c 1 "$out/alsa.wav"
"$(dirname "$0")/make-speech.sh" "$work/espeak.raw"
sox -t raw -r 24000 -e signed -b 16 -c 1 "$work/espeak.raw" "$out/espeak.wav" \
  trim 0 48
