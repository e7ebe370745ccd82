#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""TAP: each test that docs/promises.md and docs/reliability.md name is there,
and each promise and each fault names one.

    promises.py BUILD_DIRECTORY
"""
import fnmatch
import json
import os
import re
import subprocess
import sys
import tempfile

from pages import TOP

REFERENCE = re.compile(r'(?:(recipe|README) )?`([^`]+)`')
CASE = re.compile(r'^/\S+$', re.M)


def read(*path):
    with open(os.path.join(TOP, *path), encoding='utf-8') as file:
        return file.read()


def find_cases(build):
    """The names of all cases of all test programs"""
    shown = subprocess.run(['meson', 'introspect', '--tests', build],
                           stdout=subprocess.PIPE, check=True, text=True)
    cases = set()
    with tempfile.TemporaryDirectory() as folder:
        for test in json.loads(shown.stdout):
            if test['protocol'] != 'tap':
                continue
            # One registry for all: only the first has to look for plugins.
            environment = dict(os.environ, **test['env'])
            environment['GST_REGISTRY'] = os.path.join(folder, 'registry')
            listed = subprocess.run([test['cmd'][0], '-l'], check=False,
                                    env=environment, text=True,
                                    stdout=subprocess.PIPE,
                                    stderr=subprocess.DEVNULL)
            cases |= set(CASE.findall(listed.stdout))
    return cases


def find_rows():
    """Gives (page, promise, tests) of each row of each table."""
    for page in 'promises.md', 'reliability.md':
        wanted = False
        for line in read('docs', page).split('\n'):
            cells = line.strip('| ').split(' | ')
            if not line.startswith('|') or cells[-1] == 'tests':
                wanted = cells[-1] == 'tests'
            elif wanted and not line.startswith('|--'):
                yield page, cells[0], cells[-1]


def is_there(kind, name, cases):
    if kind == 'recipe':
        return re.search('^<!-- runs: %s( [a-z]+)? -->$' % name,
                         read('docs', 'recipes.md'), re.M)
    if kind == 'README':
        return name == 'properties' or '\n### ' + name in read('README.md')
    return name in cases or (name.endswith('/*') and
                             fnmatch.filter(cases, name))


def main(build):
    cases = find_cases(os.path.abspath(build))
    rows = list(find_rows())
    print('1..%d' % len(rows))
    for number, (page, promise, tests) in enumerate(rows, 1):
        references = REFERENCE.findall(tests)
        missing = [name for kind, name in references
                   if not is_there(kind, name, cases)]
        if missing or not references:
            print('# docs/%s: %s' % (
                page,
                'no test is called ' + ', '.join(missing)
                if missing else 'this promise has no test'))
        print('%sok %d - %s' % ('not ' if missing or not references else '',
                                number, promise.replace('#', '')))


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
