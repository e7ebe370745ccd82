#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs bench-sessions several times over and prints the medians.

    scale.py [--runs 5] [--kinds moshi,floor] [--cpu 1] [--csv F] [--png F]
        BENCH-SESSIONS SPEECH N...

The kinds take turns within each run, so that what else the machine does meets
all of them; the ratio is of the medians, to the floor with as many sessions.
With --cpu the clients have that core alone, and the echo server any but it.
GST_PLUGIN_PATH must lead to the plugin. --png draws CPU over N (matplotlib).
"""
import argparse
import csv
import os
import statistics
import subprocess
import sys

KINDS = ['moshi', 'moshi-opus', 'floor', 'stock', 'codec']
FIELDS = ['cpu', 'switches', 'answered', 'private', 'peak', 'threads', 'late',
          'pace']
PER_SESSION = {'private', 'peak', 'threads'}
PATIENCE = 400


class Echo:
    """The server, in a process of its own, for as long as this is open"""

    def __init__(self, bench, cpu, tls):
        cores = os.sched_getaffinity(0)
        command = [bench, 'echo'] + ([tls] if tls else [])
        if cpu is not None and len(cores) > 1:
            others = ','.join(str(core) for core in cores if core != cpu)
            command = ['taskset', '-c', others] + command
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE,
                                        text=True)
        self.port = self.process.stdout.readline().strip()

    def __enter__(self):
        return self.port

    def __exit__(self, *error):
        self.process.kill()
        self.process.wait()


def run(args, kind, n):
    """What one process has measured, by name"""
    with Echo(args.bench, args.cpu, args.tls) as port:
        command = [args.bench, '--seconds=%d' % args.seconds,
                   '--complexity=%d' % args.complexity,
                   '--bitrate=%d' % args.bitrate]
        if args.tls:
            command.append('--tls=' + args.tls)
        command += ['run', kind, port, args.speech, str(n)]
        if args.cpu is not None:
            command = ['taskset', '-c', str(args.cpu)] + command
        text = subprocess.run(command, stdout=subprocess.PIPE, text=True,
                              timeout=PATIENCE, check=True).stdout
    found = dict(line.split(' ', 1) for line in text.splitlines())
    return {name: float(found[name]) / (n if name in PER_SESSION else 1)
            for name in FIELDS}


def print_table(medians):
    print('| N | what | CPU ms/s | of the floor | switches/s | answered/s | '
          'private KiB | peak KiB | threads | late ms | pace ms |\n'
          '|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|')
    for (n, kind), row in medians.items():
        floor = medians.get((n, 'floor'))
        ratio = '%.2f' % (row['cpu'] / floor['cpu']) if floor else ''
        print('| %d | %s | %.2f | %s | %.0f | %.1f | %.0f | %.0f | %.2f | '
              '%.1f | %.1f |' % (n, kind, row['cpu'], ratio, row['switches'],
                                 row['answered'], row['private'], row['peak'],
                                 row['threads'], row['late'], row['pace']))


def write_csv(path, rows):
    with open(path, 'w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['run', 'n', 'kind'] + FIELDS)
        for number, n, kind, row in rows:
            writer.writerow([number, n, kind] + [row[name] for name in FIELDS])


def draw(path, rows, medians, title):
    import matplotlib
    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(7, 4.2))
    for kind in KINDS:
        counts = sorted({n for n, name in medians if name == kind})
        if not counts:
            continue
        middle = [medians[n, kind]['cpu'] for n in counts]
        all_of = [[row['cpu'] for _, m, name, row in rows
                   if m == n and name == kind] for n in counts]
        line, = axis.plot(counts, middle, marker='o', label=kind)
        axis.fill_between(counts, [min(each) for each in all_of],
                          [max(each) for each in all_of], alpha=0.15,
                          color=line.get_color())
    axis.set_xscale('log')
    axis.set_xticks(sorted({n for n, _ in medians}))
    axis.get_xaxis().set_major_formatter(matplotlib.ticker.ScalarFormatter())
    axis.minorticks_off()
    axis.set_ylim(bottom=0)
    axis.set_xlabel('conversations in the process')
    axis.set_ylabel('ms of CPU a second of each')
    axis.set_title(title, fontsize=10)
    axis.grid(alpha=0.3)
    axis.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('--runs', type=int, default=5)
    parser.add_argument('--seconds', type=int, default=10)
    parser.add_argument('--bitrate', type=int, default=64000)
    parser.add_argument('--complexity', type=int, default=5)
    parser.add_argument('--kinds', default=','.join(KINDS))
    parser.add_argument('--cpu', type=int, help='the one core of the clients')
    parser.add_argument('--tls', help='where make-certs.sh made certificates')
    parser.add_argument('--csv', help='every run, for another look')
    parser.add_argument('--png', help='a picture of CPU over N')
    parser.add_argument('bench')
    parser.add_argument('speech')
    parser.add_argument('n', type=int, nargs='+')
    args = parser.parse_args()
    args.bench = os.path.abspath(args.bench)

    rows = []
    for number in range(args.runs):
        for n in args.n:
            for kind in args.kinds.split(','):
                try:
                    rows.append((number, n, kind, run(args, kind, n)))
                except subprocess.SubprocessError as error:
                    print('run %d: %d %s: %s' % (number, n, kind, error),
                          file=sys.stderr, flush=True)
                    continue
                print('run %d: %d %s %.2f ms/s, late %.1f, pace %.1f' % (
                    number, n, kind, rows[-1][3]['cpu'], rows[-1][3]['late'],
                    rows[-1][3]['pace']), file=sys.stderr, flush=True)
    medians = {(n, kind): {name: statistics.median(
        row[name] for _, m, k, row in rows if (m, k) == (n, kind))
        for name in FIELDS} for n in args.n for kind in args.kinds.split(',')
        if any((m, k) == (n, kind) for _, m, k, _ in rows)}
    print_table(medians)
    if args.csv:
        write_csv(args.csv, rows)
    if args.png:
        draw(args.png, rows, medians, 'Opus at %d kbit/s, complexity %d; '
             'medians of %d runs' % (args.bitrate // 1000, args.complexity,
                                     args.runs))


if __name__ == '__main__':
    main()
