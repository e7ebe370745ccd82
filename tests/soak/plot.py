#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Draws what a soak wrote: plot.py ROWS.csv PICTURE.png"""

import csv
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402


def main():
    with open(sys.argv[1], newline="") as file:
        rows = list(csv.DictReader(file))
    hours = [float(row["seconds"]) / 3600 for row in rows]
    lines = [("rss-kib", "resident memory, MiB", 1 / 1024),
             ("round-trip-ms", "round trip, mean, ms", 1),
             ("delay-ms", "from PTS to play at most, ms", 1),
             ("lag-ms", "lag: how late the answer stands, ms", 1),
             ("made-ms", "filled and concealed so far, ms", 1),
             ("sessions", "sessions so far", 1),
             ("threads", "threads", 1),
             ("fds", "file descriptors", 1)]
    lines = [line for line in lines
             if any(float(row.get(line[0], 0)) > 0 for row in rows)]
    figure, axes = plt.subplots(len(lines), 1, sharex=True, figsize=(8, 1.7 * len(lines)))
    for axis, (name, label, scale) in zip(axes, lines):
        values = [float(row[name]) * scale for row in rows]
        axis.plot(hours, values, linewidth=1)
        axis.set_ylim(0, 1.2 * max(values))
        axis.set_title(label, loc="left", fontsize=9)
        axis.grid(alpha=0.3)
    axes[-1].set_xlabel("hours of audio")
    figure.tight_layout()
    figure.savefig(sys.argv[2], dpi=80)


main()
