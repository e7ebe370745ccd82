#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""make-mask.py SPEECH.wav >MASK.json: where speech is in a recording of one
channel, in bits of 10 ms: louder than -45 dBFS, or less than 80 ms after, as
the element judges it."""
import array
import json
import sys
import wave

LIMIT = 32768 * 10 ** (-45 / 20)
HANGOVER = 8


def main():
    with wave.open(sys.argv[1]) as speech:
        rate = speech.getframerate()
        samples = array.array("h", speech.readframes(speech.getnframes()))
    hop, bits, loud = rate // 100, [], 0
    for at in range(0, len(samples) - hop + 1, hop):
        part = samples[at:at + hop]
        level = (sum(x * x for x in part) / hop) ** 0.5
        loud = HANGOVER + 1 if level > LIMIT else max(loud - 1, 0)
        bits.append("1" if loud else "0")
    print(json.dumps({"hop_ms": 10, "mask": "".join(bits)}))


main()
