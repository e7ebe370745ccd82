#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Counts single test cases and shows the failures in full.

Arguments are logs: meson's testlog.json (one JSON object a test program) and
*.tap files (TAP, ended by a line `# exit STATUS`). A program that crashed, hung
or left with an error although its cases passed counts as one failed case, as
does one that ran nothing at all. The last line is the sum of all.
"""
import json
import re
import sys

CASE = re.compile(r'^\s*(not )?ok\b[ \t]*\d*[ \t]*(?:-[ \t]*)?(.*)$', re.M)
SKIP = re.compile(r'#\s*skip', re.I)
PLAN = re.compile(r'^1\.\.(\d+)\s*(#\s*skip.*)?$', re.M | re.I)
EXIT = re.compile(r'^# exit (\d+)$', re.M)


def programs(path):
    """Gives (name, output, errors, how it ended or None) of each program."""
    with open(path, encoding='utf-8', errors='replace') as log:
        if path.endswith('.tap'):
            text = log.read()
            end = EXIT.search(text)
            bad = not end or end.group(1) != '0'
            yield path, text, '', 'did not end well' if bad else None
            return
        for line in log:
            test = json.loads(line)
            end = None
            if test['result'] not in ('OK', 'SKIP', 'EXPECTEDFAIL'):
                end = test['result'].lower()
                if end != 'timeout':
                    end += ', exit status %s' % test.get('returncode')
            yield ('%s (%s)' % (test['name'], path), test.get('stdout', ''),
                   test.get('stderr', ''), end)


def count_program(name, output, errors, end):
    """Counts one program; shows it where something failed."""
    passed, failed, skipped, names = 0, 0, 0, []
    for match in CASE.finditer(output):
        if match.group(1):
            failed += 1
            names.append(match.group(2))
        elif SKIP.search(match.group(2)):
            skipped += 1
        else:
            passed += 1
    plan = PLAN.search(output)
    if not passed and not failed and not skipped:
        if plan and plan.group(2) and not end:
            skipped = 1
        else:
            failed = 1
            names.append(end or 'ran no test')
    elif end and not failed:
        failed = 1
        names.append(end)
    elif plan and int(plan.group(1)) > passed + failed + skipped \
            and not failed:
        failed = 1
        names.append('ended before its last test')
    if failed:
        print('\n--- FAILED: %s: %s' % (name, '; '.join(names)))
        print((output + '\n' + errors).strip())
    return passed, failed, skipped


def main(paths):
    total = [0, 0, 0]
    for path in paths:
        try:
            found = [count_program(*program) for program in programs(path)]
        except (OSError, ValueError) as error:
            print('\n--- FAILED: no results in %s: %s' % (path, error))
            found = [(0, 1, 0)]
        for single in found:
            total = [a + b for a, b in zip(total, single)]
    print('%d passed, %d failed, %d skipped' % tuple(total))
    return 1 if total[1] else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
