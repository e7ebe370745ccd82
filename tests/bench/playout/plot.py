#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""plot.py DIR PICTURE.png: draws the delay of what is heard through a stall, of
us and of the other players, from what bench-playout --log DIR --only stall1s
has written there. Where a line is broken nothing is heard."""

import json
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

FROM, TO = 18, 42           # s; the stall begins at 20
STALL = (20, 21)
PLAYERS = [("ours", "moshi", "#d62828"), ("fixed", "fixed buffer", "#999999"),
           ("web", "web client", "#1d6fb8"), ("python", "client.py", "#5aa469"),
           ("rust", "Rust CLI", "#8e5ea2")]


def read(path):
    """Times in s and delays in ms; a hole as NaN"""
    times, delays = [], []
    for line in path.read_text().splitlines():
        play = json.loads(line)
        time = play["t_ms"] / 1000
        if not FROM <= time <= TO:
            continue
        heard = play["src_ms"] >= 0
        times.append(time)
        delays.append(play["t_ms"] - play["src_ms"] if heard else float("nan"))
    return times, delays


def main():
    folder = pathlib.Path(sys.argv[1])
    figure, axis = plt.subplots(figsize=(8, 4.2))
    axis.axvspan(*STALL, color="#f1e3c6", label="nothing arrives")
    for name, label, colour in PLAYERS:
        paths = sorted(folder.glob("stall1s.s*.%s.jsonl" % name))
        axis.plot(*read(paths[0]), label=label, color=colour,
                  linewidth=2.2 if name == "ours" else 1.2)
    axis.set_xlim(FROM, TO)
    axis.set_ylim(0, 1300)
    axis.set_xlabel("s")
    axis.set_ylabel("ms from the server's sending to hearing")
    axis.grid(alpha=0.3)
    axis.legend(loc="upper right", fontsize=8, ncol=2)
    figure.tight_layout()
    figure.savefig(sys.argv[2], dpi=80)


main()
