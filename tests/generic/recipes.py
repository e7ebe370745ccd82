#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""TAP: each recipe of docs/recipes.md, as printed, against the stand-in server,
and what comes out of it.

    recipes.py BUILD_DIRECTORY [NAME...]

    <!-- runs: NAME -->       the command of a recipe
    <!-- runs: NAME PART -->  one of several that run at a time

With NAMEs, only these, and what they leave stays in the directory that is then
printed.
"""
import concurrent.futures
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import wave

import numpy

from pages import LONG, READY, Pages, Process

TEXT = 'These are a few words, and after them there is an end.'
SAID = re.compile('says “(.*?)”')
CUE = re.compile(r'(\d+):(\d+):(\d+)[.,](\d+) --> (\d+):(\d+):(\d+)[.,](\d+)')
SILENCE = {bytes([toc, 0xff, 0xfe]) for toc in range(256)}
# How many recipes at a time: most of them wait for a clock.
AT_ONCE = 2
PLAYING = 'PLAYING'


class Failed(Exception):
    """What a recipe left is not what it promises."""


def expect(condition, problem):
    if not condition:
        raise Failed(problem)


def wait_until(condition, problem):
    end = time.monotonic() + LONG
    while not condition():
        expect(time.monotonic() < end, problem)
        time.sleep(0.05)


def read_wave(path):
    """Returns the rate and the samples, a row for each point in time."""
    with wave.open(path) as sound:
        samples = numpy.frombuffer(sound.readframes(sound.getnframes()), '<i2')
        return (sound.getframerate(),
                samples.reshape(-1, sound.getnchannels()).astype(float))


def level(samples):
    """In dB of full scale"""
    power = numpy.mean(numpy.square(samples / 32768)) if samples.size else 0
    return 10 * numpy.log10(power + 1e-12)


def resemblance(heard, spoken, rate):
    """How much the loudest quarter of a second of what was spoken is like what
    was heard somewhere: 1 for the same. A machine that is busy may tear holes
    into the rest."""
    size = rate // 4
    start = max(range(0, spoken.size - size, size // 4),
                key=lambda at: level(spoken[at:at + size]))
    piece = spoken[start:start + size]
    product = numpy.correlate(heard, piece, 'valid')
    power = numpy.convolve(numpy.square(heard), numpy.ones(size), 'valid')
    # What is far below the piece's level is no speech
    power = numpy.maximum(power, numpy.square(piece).sum() / 1000)
    return (product / numpy.sqrt(power)).max() / numpy.linalg.norm(piece)


def read_packets(path):
    """The Opus packets of an Ogg file: RFC 3533, without its headers"""
    with open(path, 'rb') as file:
        data = file.read()
    packets, part, at = [], b'', 0
    while data[at:at + 4] == b'OggS':
        lacing = data[at + 27:at + 27 + data[at + 26]]
        at += 27 + len(lacing)
        for size in lacing:
            part += data[at:at + size]
            at += size
            if size < 255:
                packets.append(part)
                part = b''
    return [packet for packet in packets if not packet.startswith(b'Opus')]


def duration(packet):
    """In ms: RFC 6716, 3.1"""
    config, code = packet[0] >> 3, packet[0] & 3
    if config < 12:
        frame = (10, 20, 40, 60)[config & 3]
    elif config < 16:
        frame = (10, 20)[config & 1]
    else:
        frame = (2.5, 5, 10, 20)[config & 3]
    return frame * ((packet[1] & 63) if code == 3 else 1 if code == 0 else 2)


def read_size(data):
    """Of a frame, and what follows it: RFC 6716, 3.2.1"""
    if data[0] < 252:
        return data[0], data[1:]
    return data[0] + 4 * data[1], data[2:]


def take_apart(packet):
    """Its frames, each a packet of its own: RFC 6716, 3.2"""
    toc, code, data = bytes([packet[0] & ~3]), packet[0] & 3, packet[1:]
    if code == 0:
        return [packet]
    count, sizes = 2, []
    if code == 3:
        flags, data = data[0], data[1:]
        count, padding = flags & 63, 0
        while flags & 64:
            more, data = data[0], data[1:]
            padding += min(more, 254)
            if more < 255:
                break
        data = data[:len(data) - padding]
    if code == 2 or (code == 3 and flags & 128):
        for _ in range(count - 1):
            size, data = read_size(data)
            sizes.append(size)
    else:
        sizes = [len(data) // count] * (count - 1)
    frames = []
    for size in sizes:
        frames.append(toc + data[:size])
        data = data[size:]
    return frames + [toc + data]


def find_times(packets):
    """When each of them begins, in ms"""
    return numpy.concatenate([[0], numpy.cumsum(
        [duration(packet) for packet in packets])])


def find_all(given, found):
    """Where in `given` the packets of `found` stand that are no silence: pairs
    of places. Both have to be in the same order."""
    pairs, start = [], 0
    for place, packet in enumerate(found):
        if packet in SILENCE:
            continue
        expect(packet in given[start:], 'packet %d is not one that was sent, '
               'or out of order' % place)
        start = given.index(packet, start) + 1
        pairs.append((start - 1, place))
    return pairs


def read_cues(path):
    """Start and end in seconds, and text, of subtitles"""
    with open(path, encoding='utf-8') as file:
        blocks = re.split(r'\n\s*\n', file.read())
    cues = []
    for block in blocks:
        match = CUE.search(block)
        if match:
            times = [int(number) for number in match.groups()]
            start, end = (
                (times[i] * 60 + times[i + 1]) * 60 + times[i + 2] +
                times[i + 3] / 1000 for i in (0, 4))
            cues.append((start, end, block[match.end():].strip()))
    return cues


def check_cues(cues, server, seconds):
    """They are in order, in the file, and say what the server said."""
    expect(cues, 'no subtitles')
    for (start, end, _), following in zip(cues, cues[1:] + [(seconds,)]):
        expect(start < end <= following[0] + 0.001, 'cues overlap at %f' % start)
    words = ' '.join(text for _, _, text in cues).split()
    expect(server.wait_for(': over', LONG), 'the session does not end')
    said = ''.join(SAID.findall(server.output)).split()
    expect(words == said, 'subtitles %s, but the server said %s' % (words, said))


class Recipe:
    """One recipe under way: its folder, its server, its processes."""

    def __init__(self, page, name, arguments):
        self.page = page
        self.name = name
        self.folder = os.path.join(page.folder, name)
        os.mkdir(self.folder)
        for question in ('question.wav', 'question.opus'):
            os.link(os.path.join(page.folder, question), self.path(question))
        self.environment = dict(page.environment)
        self.environment['GST_REGISTRY'] = self.path('registry')
        shutil.copy(page.environment['GST_REGISTRY'], self.path('registry'))
        self.processes = []
        self.server = page.start_server(['--keep', 'server'] + arguments,
                                        self.environment, self.folder)
        self.processes.append(self.server)

    def path(self, name):
        return os.path.join(self.folder, name)

    def start(self, command, until=None, keyboard=subprocess.DEVNULL):
        process = Process(command, self.folder, self.environment, keyboard)
        self.processes.append(process)
        expect(not until or process.wait_for(until, LONG),
               'it never says "%s"' % until)
        return process

    def start_part(self, part=None, until=None, **how):
        title = '%s %s' % (self.name, part) if part else self.name
        command = [text for name, text in self.page.blocks if name == title][0]
        if command.startswith('import'):
            command = ['/usr/bin/python3', '-u', '-c', command]
        elif command.count('\n') > command.count('\\\n') + 1:
            command = ['sh', '-ec', command]
        return self.start(command, until, **how)

    def run(self, part=None):
        process = self.start_part(part)
        status = process.end()
        expect(status == 0, 'exit status %s' % status)
        return process

    def launch(self, pipeline):
        """Runs a pipeline of the test's own."""
        status = self.start('gst-launch-1.0 -q ' + pipeline).end()
        expect(status == 0, 'exit status %s of %s' % (status, pipeline))

    def interrupt(self, process):
        process.signal(signal.SIGINT)
        status = process.end(LONG)
        expect(status == 0, 'exit status %s' % status)
        expect('ERROR' not in process.output, 'an error')

    def wait_words(self, text=TEXT):
        """Until the server has said all of it and heard a second more."""
        expect(self.server.wait_for('says .*' + re.escape(text.split()[-1]),
                                    LONG), 'no sound comes to the server')
        size = os.path.getsize(self.path('server-said.ogg'))
        wait_until(lambda: os.path.getsize(self.path('server-said.ogg')) >
                   size + 3000, 'the server is not fed any more')

    def end(self):
        self.server.signal(signal.SIGTERM)
        for process in reversed(self.processes):
            if process.process.poll() is None:
                process.signal(signal.SIGTERM)
            if not process.process.stdout.closed:
                process.end(10)

    def log(self):
        return '\n'.join('%s\n%s' % (' '.join(process.process.args),
                                     process.output)
                         for process in self.processes)


class Recipes(Pages):
    def seconds(self):
        rate, samples = read_wave(os.path.join(self.folder, 'question.wav'))
        return len(samples) / rate

    # Each of these is a recipe's name, what the server is to be, and what has
    # to be true in the end.

    def check_webvtt(self, recipe):
        recipe.run()
        seconds = self.seconds() + 4
        rate, samples = read_wave(recipe.path('answer.wav'))
        expect(abs(len(samples) / rate - seconds) < 0.0001, 'a wrong length')
        with open(recipe.path('answer.vtt'), encoding='utf-8') as file:
            expect(file.readline().strip() == 'WEBVTT', 'no WebVTT')
        cues = read_cues(recipe.path('answer.vtt'))
        check_cues(cues, recipe.server, seconds)
        start, end, _ = cues[0]
        expect(level(samples[int(start * rate):int(end * rate)]) > -40,
               'a sentence where nothing is heard')

    def check_opus(self, recipe):
        recipe.run()
        question = read_packets(recipe.path('question.opus'))
        heard = read_packets(recipe.path('server-heard.ogg'))
        expect(heard[:len(question)] == question, 'not the packets given')
        expect(set(heard[len(question):]) <= SILENCE, 'no silence at the end')
        said = read_packets(recipe.path('server-said.ogg'))
        answer = read_packets(recipe.path('answer.opus'))
        pairs = find_all(said, answer)
        expect(len(pairs) > 50 and len({a - b for a, b in pairs}) == 1,
               'not the packets of the answer, one after the other')

    def check_stereo(self, recipe):
        recipe.run()
        mono = 'audio/x-raw,format=S16LE,rate=24000,channels=1'
        source = 'filesrc location=question.wav ! wavparse ! audioconvert ! ' \
            'audioresample ! %s ! ' % mono
        recipe.launch(source + 'wavenc ! filesink location=left.wav')
        recipe.launch(source + 'moshi tail=4000 ! wavenc ! '
                      'filesink location=right.wav')
        _, both = read_wave(recipe.path('both.wav'))
        _, left = read_wave(recipe.path('left.wav'))
        _, right = read_wave(recipe.path('right.wav'))
        expect(len(both) == len(right), 'not as long as the answer')
        expect((both[:len(left), :1] == left).all(), 'left is not the user')
        expect((both[:, 1:] == right).all(), 'right is not Moshi')
        expect(level(right) > -40, 'no answer')

    def check_matroska(self, recipe):
        recipe.run()
        recipe.launch(
            'filesrc location=both.mkv ! matroskademux name=d '
            'd.audio_0 ! queue ! flacparse ! flacdec ! audioconvert ! wavenc ! '
            'filesink location=user.wav '
            'd.audio_1 ! queue ! flacparse ! flacdec ! audioconvert ! wavenc ! '
            'filesink location=moshi.wav '
            'd.subtitle_0 ! queue ! srtenc ! filesink location=words.srt')
        _, question = read_wave(recipe.path('question.wav'))
        _, user = read_wave(recipe.path('user.wav'))
        expect(numpy.array_equal(user, question), 'not the user, bit by bit')
        rate, moshi = read_wave(recipe.path('moshi.wav'))
        seconds = self.seconds() + 4
        expect(abs(len(moshi) / rate - seconds) < 0.0001, 'a wrong length')
        expect(level(moshi) > -40, 'no answer')
        check_cues(read_cues(recipe.path('words.srt')), recipe.server, seconds)

    def check_record(self, recipe):
        process = recipe.start_part(until=READY)
        recipe.wait_words()
        recipe.interrupt(process)
        recipe.launch(
            'filesrc location=call.mkv ! matroskademux name=d '
            'd.audio_0 ! queue ! flacparse ! flacdec ! audioconvert ! wavenc ! '
            'filesink location=user.wav '
            'd.audio_1 ! queue ! flacparse ! flacdec ! audioconvert ! wavenc ! '
            'filesink location=moshi.wav '
            'd.subtitle_0 ! queue ! srtenc ! filesink location=words.srt')
        lengths = []
        for name in ('user.wav', 'moshi.wav'):
            rate, samples = read_wave(recipe.path(name))
            lengths.append(len(samples) / rate)
        expect(level(samples) > -40, 'no answer')
        expect(abs(lengths[0] - lengths[1]) < 1, 'tracks of %s s' % lengths)
        words = [text for _, _, text in read_cues(recipe.path('words.srt'))]
        expect(words == TEXT.split(), 'the words %s' % words)

    def check_burnt(self, recipe):
        process = recipe.start_part(until=READY)
        recipe.wait_words()
        recipe.interrupt(process)
        recipe.launch('filesrc location=subtitles.webm ! matroskademux ! '
                      'vp8dec ! videoconvert ! '
                      'video/x-raw,format=GRAY8,width=640,height=360 ! '
                      'filesink location=frames.gray')
        frames = numpy.fromfile(recipe.path('frames.gray'), 'u1')
        frames = (frames.reshape(-1, 360, 640) > 128).astype('i1')
        ink = frames.sum(axis=(1, 2))
        expect(ink[0] == 0 and ink[-1] == 0, 'writing before or after')
        words = (numpy.abs(numpy.diff(frames, axis=0)).sum(axis=(1, 2)) >
                 100).sum()
        # One more change than words, unless words were blinked away
        expect(len(TEXT.split()) / 2 < words, 'only %d changes' % words)

    def check_rtp(self, recipe):
        gateway = recipe.start_part('gateway', READY)
        listener = recipe.start_part('listener', PLAYING)
        recipe.run('caller')
        recipe.interrupt(listener)
        recipe.interrupt(gateway)

        question = read_packets(recipe.path('question.opus'))
        heard = read_packets(recipe.path('server-heard.ogg'))
        pairs = find_all(question, heard)
        expect(len(question) // 2 < len(pairs) < len(question),
               '%d of %d packets' % (len(pairs), len(question)))
        # The time line holds, but for what the clocks of a busy machine do
        before, after = find_times(question), find_times(heard)
        shifts = [after[found] - before[given] for given, found in pairs]
        expect(abs(shifts[-1] - shifts[0]) < 500,
               'lost packets move the others: %s' % shifts)

        # While the delay changes, a packet of several frames is that many.
        said, answer = (
            [frame for packet in read_packets(recipe.path(name))
             for frame in take_apart(packet)]
            for name in ('server-said.ogg', 'answer.opus'))
        pairs = find_all(said, answer)
        expect(len(pairs) > len(said) // 2, '%d of %d answers' %
               (len(pairs), len(said)))

    def check_telephone(self, recipe):
        gateway = recipe.start_part('gateway', READY)
        listener = recipe.start_part('listener', PLAYING)
        recipe.run('caller')
        recipe.interrupt(listener)
        recipe.interrupt(gateway)
        recipe.launch(
            'filesrc location=question.wav ! wavparse ! audioconvert ! '
            'audioresample ! audio/x-raw,rate=8000 ! wavenc ! '
            'filesink location=spoken.wav')
        rate, answer = read_wave(recipe.path('answer.wav'))
        _, spoken = read_wave(recipe.path('spoken.wav'))
        expect(rate == 8000, 'the rate is %d' % rate)
        likeness = resemblance(answer[:, 0], spoken[:, 0], rate)
        expect(likeness > 0.7, 'an echo of %f' % likeness)

    def start_pulse(self, recipe):
        """A daemon without a sound card, that nobody else sees"""
        for name, folder in (('XDG_RUNTIME_DIR', 'run'), ('HOME', 'home')):
            os.mkdir(recipe.path(folder), 0o700)
            recipe.environment[name] = recipe.path(folder)
        recipe.environment.pop('PULSE_SERVER', None)
        recipe.environment.pop('GST_PLUGIN_FEATURE_RANK')
        recipe.start(['pulseaudio', '-n', '--exit-idle-time=-1',
                      '--daemonize=no', '--use-pid-file=no',
                      '-L', 'module-native-protocol-unix'])
        wait_until(lambda: os.path.exists(recipe.path('run/pulse/native')),
                   'pulseaudio does not start')

    def check_pulse(self, recipe):
        self.start_pulse(recipe)
        recipe.run('sinks')
        moshi = recipe.start_part('moshi', PLAYING)
        recorder = recipe.start(['parec', '-d', 'from_moshi.monitor',
                                 '--rate=24000', '--channels=1',
                                 '--file-format=wav', 'answer.wav'])
        wait_until(lambda: os.path.exists(recipe.path('answer.wav')),
                   'parec does not start')
        status = recipe.start(['paplay', '-d', 'to_moshi',
                               'question.wav']).end()
        expect(status == 0, 'exit status %s of paplay' % status)
        recipe.interrupt(moshi)
        recorder.signal(signal.SIGTERM)
        recorder.end(10)
        recipe.launch(
            'filesrc location=question.wav ! wavparse ! audioconvert ! '
            'audioresample ! audio/x-raw,rate=24000 ! wavenc ! '
            'filesink location=spoken.wav')
        rate, answer = read_wave(recipe.path('answer.wav'))
        _, spoken = read_wave(recipe.path('spoken.wav'))
        likeness = resemblance(answer[:, 0], spoken[:, 0], rate)
        expect(likeness > 0.7, 'an echo of %f' % likeness)

    def check_program(self, recipe):
        program = recipe.start_part(until='There|There is|an end',
                                    keyboard=subprocess.PIPE)
        program.process.stdin.write(b'\n')
        program.process.stdin.flush()
        expect(recipe.server.wait_for('session 2: says', LONG),
               'no second conversation')
        expect(program.wait_for('end.*These are', LONG),
               'no words of the second conversation')
        program.process.stdin.close()
        status = program.end()
        expect(status == 0, 'exit status %s' % status)
        expect('CRITICAL' not in program.output, 'a complaint')

    def check(self, name, arguments):
        method = getattr(self, 'check_' + name)
        problem, recipe = None, None
        try:
            recipe = Recipe(self, name, arguments)
            method(recipe)
        except (Failed, OSError, RuntimeError, EOFError, wave.Error,
                ValueError) as error:
            problem = '%s: %s' % (type(error).__name__, error)
        finally:
            if recipe:
                recipe.end()
        self.report(name, problem, recipe.log() if recipe and problem else '')

    def run(self, names):
        speaker = ['--voice', 'echo', '--text', TEXT]
        servers = {
            'webvtt': ['--voice', 'talk'], 'opus': ['--voice', 'echo'],
            'stereo': ['--voice', 'echo'], 'matroska': ['--voice', 'talk'],
            'record': ['--voice', 'sweep', '--text', TEXT], 'burnt': speaker, 
            'program': speaker, 'rtp': ['--voice', 'echo'], 'telephone': ['--voice', 'echo'],
            'pulse': ['--voice', 'echo']}
        told = {kind.split()[0] for kind, _ in self.blocks}
        names = names or list(servers)
        print('1..%d' % (len(names) + 1), flush=True)
        self.report('every recipe is run', None if told == set(servers) else
                    'only on one side: %s' % sorted(told ^ set(servers)))
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            for name in names:
                pool.submit(self.check, name, servers[name])


def make_question(page):
    """Two announcements with a pause, and a little noise, so that no two
    packets are the same."""
    sounds = '/usr/share/sounds/alsa/'
    pure = os.path.join(page.folder, 'pure.wav')
    noise = os.path.join(page.folder, 'noise.wav')
    question = os.path.join(page.folder, 'question.wav')
    subprocess.run(['sox', sounds + 'Front_Center.wav', '-b', '16', pure,
                    'pad', '0.3', '1.7'], check=True)
    subprocess.run(['sox', '-R', pure, noise, 'synth', 'whitenoise',
                    'vol', '0.002'], check=True)
    subprocess.run(['sox', '-m', '-v', '1', pure, '-v', '1', noise, '-b', '16',
                    question], check=True)
    subprocess.run('gst-launch-1.0 -q filesrc location=question.wav ! '
                   'wavparse ! audioconvert ! audioresample ! opusenc ! '
                   'oggmux ! filesink location=question.opus', shell=True,
                   check=True, cwd=page.folder, env=page.environment)


def main(build, names):
    with tempfile.TemporaryDirectory() as folder:
        page = Recipes('docs/recipes.md', os.path.abspath(build), folder)
        make_question(page)
        page.run(names)
        if names:
            shutil.copytree(folder, folder + '-kept')
            print('# left in %s-kept' % folder)


if __name__ == '__main__':
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:])
