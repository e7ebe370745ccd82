#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""TAP: the README's pipelines, as printed, against the stand-in server; and
the demo.

    readme.py BUILD_DIRECTORY

A comment before each block of the README says how it is run:

    <!-- runs: file -->           ends by itself and leaves answer.wav
    <!-- runs: file with key -->  the same, against a server that wants a key
    <!-- runs: live -->           goes on until it is interrupted
    <!-- runs: live with image --> the same, against a server that wants an image
    <!-- runs: live with NAME --> beside the block that is marked NAME
"""
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import wave

from pages import LONG, READY, TOP, Pages, Process

TABLE = re.compile(r'^\| ((?:`[a-z-]+`(?:, )?)+) \|', re.M)
NAME = re.compile(r'`([a-z-]+)`')
# What the server says in a live run; its words go on as long as sound comes.
TEXT = 'These are a few words, and after them there is an end.'
LAST_WORD = 'end.'
# Then a second without an error is enough.
SOME_TIME = 1
KEY = 'secret-of-the-readme'


# What GstObject and GstBaseSink bring along
BASE_PROPERTIES = {
    'name', 'parent', 'qos', 'sync', 'async', 'blocksize', 'enable-last-sample',
    'last-sample', 'max-bitrate', 'max-lateness', 'processing-deadline',
    'render-delay', 'throttle-time', 'ts-offset'}


class Readme(Pages):
    def run_file(self, command, environment):
        answer = os.path.join(self.folder, 'answer.wav')
        words = os.path.join(self.folder, 'answer.srt')
        for left in (answer, words):
            if os.path.exists(left):
                os.remove(left)
        process = Process(command, self.folder, environment)
        status = process.end()
        if status != 0:
            return 'exit status %s' % status, process.output
        with wave.open(answer) as sound, wave.open(
                os.path.join(self.folder, 'question.wav')) as question:
            seconds = sound.getnframes() / sound.getframerate()
            wanted = question.getnframes() / question.getframerate() + 4
            if abs(seconds - wanted) > 0.0001:
                return '%f s and not %f s' % (seconds, wanted), process.output
        if 'answer.srt' in command:
            with open(words, encoding='utf-8') as subtitles:
                if not re.search(r'-->.*\n\w', subtitles.read()):
                    return 'no words', process.output
        if ' -t ' in command and "Moshi's words" not in process.output:
            return 'no words in tags', process.output
        if KEY in process.output:
            return 'it shows the key', process.output
        return None, ''

    def run_live(self, command, beside, environment, server):
        helper = beside and Process(beside, self.folder, environment)
        process = Process(command, self.folder, environment)
        problem = None
        if not process.wait_for(READY, LONG):
            problem = 'it does not become ready'
        elif not server.wait_for('says .*' + re.escape(LAST_WORD), LONG):
            problem = 'no sound comes to the server'
        elif process.wait_for('ERROR|CRITICAL', SOME_TIME):
            problem = 'an error'
        process.signal(signal.SIGINT)
        status = process.end(10)
        if helper:
            helper.signal(signal.SIGINT)
            helper.end(10)
        if not problem and status != 0:
            problem = 'exit status %s' % status
        return problem, process.output

    def check_properties(self):
        """Every property of the elements stands in the table, and no other."""
        there = set()
        for element in ('moshi', 'moshisink', 'moshisrc'):
            shown = subprocess.run(
                ['gst-inspect-1.0', element], env=self.environment,
                stdout=subprocess.PIPE, check=False, text=True).stdout
            _, _, rest = shown.partition('Element Properties:')
            there |= set(re.findall(r'^  ([a-z-]+) *: ', rest, re.M))
        part = self.text.partition('## Properties')[2].partition('\n## ')[0]
        told = {name for names in TABLE.findall(part)
                for name in NAME.findall(names)}
        wrong = (there ^ told) - BASE_PROPERTIES
        problem = 'only on one side: %s' % sorted(wrong) if wrong else None
        self.report('properties', problem if there else 'no element found')

    def check_block(self, kind, command):
        words = kind.split()
        environment = dict(self.environment)
        arguments = ['--voice', 'talk']
        if words[0] == 'live':
            arguments = ['--voice', 'echo', '--text', TEXT]
        if words[-1] == 'key':
            arguments += ['--flavour', 'scaleway', '--key', KEY]
            environment['MOSHI_API_KEY'] = KEY
        if words[-1] == 'image':
            arguments += ['--flavour', 'moshivis']
        server = self.start_server(arguments, environment)
        beside = [text for other, text in self.blocks if other == words[-1]]
        try:
            if words[0] == 'file':
                problem, output = self.run_file(command, environment)
            else:
                problem, output = self.run_live(
                    command, beside[0] if beside and len(words) > 2 else
                    None, environment, server)
        finally:
            server.signal(signal.SIGTERM)
            server.end(10)
        title = self.text[:self.text.index(command)].rpartition('### ')[2]
        self.report(title.partition('\n')[0], problem,
                    '%s\n%s\n%s' % (command, output, server.output))

    def check_demo(self):
        """It leaves sound, words and a picture, and no server behind."""
        process = Process('"%s/examples/demo.sh" "%s/demo"' %
                          (TOP, self.folder), self.folder,
                          dict(self.environment, BUILD=self.build))
        status = process.end()
        problem = 'exit status %s' % status if status != 0 else None
        for name in ('answer.wav', 'answer.srt', 'conversation.png'):
            path = os.path.join(self.folder, 'demo', name)
            if not os.path.exists(path) or not os.path.getsize(path):
                problem = problem or 'no ' + name
        if not problem and not re.search(r'heard .* [1-9]\d* words',
                                         process.output):
            problem = 'no summary'
        address = re.search(r'answers at ws://[\d.]+:(\d+)', process.output)
        if address and not problem:
            with socket.socket() as client:
                if client.connect_ex(('127.0.0.1', int(address.group(1)))) \
                        == 0:
                    problem = 'its server is still there'
        self.report('demo', problem, process.output)

    def run(self):
        runs = [block for block in self.blocks
                if block[0].split()[0] in ('file', 'live')]
        print('1..%d' % (len(runs) + 2), flush=True)
        self.check_properties()
        self.check_demo()
        for kind, command in runs:
            self.check_block(kind, command)


def make_picture(path):
    subprocess.run(['gst-launch-1.0', '-q', 'videotestsrc', 'num-buffers=1',
                    '!', 'jpegenc', '!', 'filesink', 'location=' + path],
                   check=True)


def make_question(path):
    subprocess.run(['sox', '/usr/share/sounds/alsa/Front_Center.wav', path,
                    'pad', '0', '1'], check=True)


def main(build):
    with tempfile.TemporaryDirectory() as folder:
        make_picture(os.path.join(folder, 'picture.jpg'))
        make_question(os.path.join(folder, 'question.wav'))
        Readme('README.md', os.path.abspath(build), folder).run()


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
