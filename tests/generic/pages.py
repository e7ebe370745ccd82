# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the commands of a page of documentation, as printed, against the
stand-in server, and reports in TAP.

A comment before each block says how it is run: <!-- runs: WORDS -->

Nothing here needs or touches a sound card or a screen: the autodetecting
elements are made to find none, and put a live test source and clocked sinks in
their place.
"""
import os
import re
import selectors
import signal
import subprocess
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BLOCK = re.compile(r'<!-- runs: ([a-z ]+) -->\n```[a-z]+\n(.*?)```', re.S)
READY = 'Moshi is listening'
LONG = 60
# The sinks come first of all sinks; of the sources none can be had, and then
# autoaudiosrc falls back to a live test source.
RANKS = ','.join(
    [name + ':MAX' for name in ('fakeaudiosink', 'fakevideosink')] +
    [name + ':NONE' for name in (
        'alsasrc', 'pulsesrc', 'pipewiresrc', 'jackaudiosrc', 'osssrc',
        'oss4src', 'openalsrc')])


class Process:
    """A command in a process group of its own, and what it prints."""

    def __init__(self, command, folder, environment,
                 keyboard=subprocess.DEVNULL):
        if isinstance(command, str):
            command = ['sh', '-c', 'exec ' + command]
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=keyboard,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True)
        self.output = ''

    def wait_for(self, pattern, seconds):
        """Reads until pattern matches; False at the end or when time is up."""
        end = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while not (pattern and re.search(pattern, self.output)):
                left = end - time.monotonic()
                if left <= 0 or not selector.select(left):
                    return False
                data = os.read(self.process.stdout.fileno(), 65536)
                if not data:
                    return False
                self.output += data.decode(errors='replace')
        return True

    def signal(self, number):
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)

    def end(self, seconds=LONG):
        """Returns the exit status, after killing what does not end."""
        self.wait_for(None, seconds)
        try:
            status = self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self.process.wait()
            status = 'none: it did not end'
        self.process.stdout.close()
        return status


class Pages:
    """One page, the environment its commands run in, and the results."""

    def __init__(self, page, build, folder):
        self.build = build
        self.folder = folder
        self.environment = dict(
            os.environ, LC_ALL='C.UTF-8', GST_REGISTRY_FORK='no',
            GST_PLUGIN_PATH=os.path.join(build, 'gst', 'moshi'),
            GST_PLUGIN_FEATURE_RANK=RANKS,
            GST_REGISTRY=os.path.join(folder, 'registry'))
        with open(os.path.join(TOP, page), encoding='utf-8') as text:
            self.text = text.read()
        self.blocks = BLOCK.findall(self.text)
        self.number = 0
        self.lock = threading.Lock()

    def report(self, name, problem, output=''):
        with self.lock:
            self.number += 1
            if problem:
                for line in ('%s\n%s' % (problem, output)).strip().split('\n'):
                    print('# ' + line)
            print('%sok %d - %s' % ('not ' if problem else '', self.number,
                                    name), flush=True)

    def start_server(self, arguments, uri, folder=None):
        """Starts a stand-in whose address goes to the environment."""
        server = Process(
            [os.path.join(self.build, 'tests', 'server', 'moshi-standin'),
             '--port', '0', '--log'] + arguments,
            folder or self.folder, self.environment)
        if not server.wait_for(r'ws://\S+', LONG):
            raise RuntimeError('no stand-in server: ' + server.output)
        uri['MOSHI_URI'] = re.search(r'ws://\S+', server.output).group(0)
        return server
