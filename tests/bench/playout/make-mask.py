#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes mask.json: where speech is in a reading of the project's README, in
bits of 10 ms: louder than -45 dBFS, or less than 80 ms after. Needs espeak-ng.
"""
import array
import json
import pathlib
import re
import subprocess
import sys
import wave

HERE = pathlib.Path(__file__).resolve().parent
LIMIT = 32768 * 10 ** (-45 / 20)
HANGOVER = 8


def read_aloud(text):
    subprocess.run(["espeak-ng", "-v", "en", "-s", "150", "-w", "/dev/stdout",
                    "--stdin"], input=text.encode(), stdout=open("speech.wav",
                    "wb"), check=True)
    with wave.open("speech.wav") as speech:
        rate = speech.getframerate()
        samples = array.array("h", speech.readframes(speech.getnframes()))
    pathlib.Path("speech.wav").unlink()
    return rate, samples


def main():
    text = pathlib.Path(sys.argv[1]).read_text()
    text = re.sub(r"```.*?```|[`#|*]|<[^>]*>", " ", text, flags=re.S)
    rate, samples = read_aloud(text[:4000])
    hop, bits, loud = rate // 100, [], 0
    for at in range(0, len(samples) - hop, hop):
        part = samples[at:at + hop]
        level = (sum(x * x for x in part) / hop) ** 0.5
        loud = HANGOVER + 1 if level > LIMIT else max(loud - 1, 0)
        bits.append("1" if loud else "0")
    (HERE / "mask.json").write_text(json.dumps(
        {"hop_ms": 10, "mask": "".join(bits)}) + "\n")


main()
