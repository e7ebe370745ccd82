#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the settings of libopus' encoder cost, and what they do to speech.

    encoder.py [--bitrates 24000,32000] [--csv OUT] SPEECH.wav...

Each file is a minute at most of one speaker, in any format and rate that
libsndfile reads; make-corpus.sh makes them. It is taken to 24 kHz mono, which is
what the server hears, coded in packets of 20 ms as the plugin does it
(constrained VBR, no FEC, no DTX), decoded to 24 kHz and set beside itself:

    PESQ-WB   ITU-T P.862.2 at 16 kHz, 1.0 to 4.64 (pip: pesq)
    ESTOI     how well it can be understood, to 1 (pip: pystoi); STOI beside it
    LSD       log-spectral distance in dB, 24 kHz, frames with speech in them
    ms/s      CPU time of the encoder for a second of speech

Needs numpy, scipy, soundfile, pesq, pystoi and libopus. Run by hand: what it
says stands in docs/performance.md.
"""
import argparse
import csv
import ctypes
import ctypes.util
import math
import time

import numpy
import pesq
import pystoi
import scipy.signal
import soundfile

RATE = 24000
FRAME = RATE // 50
PIECE = 8 * RATE                # PESQ is made for sentences of 8 s or so
APPLICATIONS = {'voip': 2048, 'audio': 2049, 'lowdelay': 2051}
SET_BITRATE, SET_VBR, SET_COMPLEXITY = 4002, 4006, 4010
SET_VBR_CONSTRAINT, GET_LOOKAHEAD = 4020, 4027

opus = ctypes.CDLL(ctypes.util.find_library('opus'))
opus.opus_encoder_create.restype = ctypes.c_void_p
opus.opus_decoder_create.restype = ctypes.c_void_p
opus.opus_encode.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int,
                             ctypes.c_char_p, ctypes.c_int]
opus.opus_decode.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int,
                             ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
opus.opus_packet_get_nb_channels.argtypes = [ctypes.c_char_p]


class Encoder:
    def __init__(self, application, complexity, bitrate):
        error = ctypes.c_int()
        self.state = ctypes.c_void_p(opus.opus_encoder_create(
            RATE, 1, APPLICATIONS[application], ctypes.byref(error)))
        assert error.value == 0
        for request, value in ((SET_VBR, 1), (SET_VBR_CONSTRAINT, 1),
                               (SET_COMPLEXITY, complexity),
                               (SET_BITRATE, bitrate)):
            assert opus.opus_encoder_ctl(self.state, request, value) == 0
        lookahead = ctypes.c_int()
        opus.opus_encoder_ctl(self.state, GET_LOOKAHEAD,
                              ctypes.byref(lookahead))
        self.lookahead = lookahead.value

    def encode(self, samples):
        """Packets, and the CPU time in seconds that libopus took for them"""
        data = ctypes.create_string_buffer(1275)
        packets = []
        begin = time.thread_time()
        for at in range(0, len(samples) - FRAME + 1, FRAME):
            size = opus.opus_encode(self.state, samples.ctypes.data + 2 * at,
                                    FRAME, data, 1275)
            packets.append(data.raw[:size])
        spent = time.thread_time() - begin
        # what the loop and its calls take by themselves is not libopus'
        begin = time.thread_time()
        for packet in packets:
            opus.opus_packet_get_nb_channels(data)
            data.raw[:size]
        return packets, spent - (time.thread_time() - begin)

    def close(self):
        opus.opus_encoder_destroy(self.state)


def decode(packets):
    error = ctypes.c_int()
    state = ctypes.c_void_p(opus.opus_decoder_create(RATE, 1,
                                                     ctypes.byref(error)))
    out = numpy.zeros(len(packets) * FRAME, numpy.int16)
    for i, packet in enumerate(packets):
        n = opus.opus_decode(state, packet, len(packet),
                             out.ctypes.data + 2 * FRAME * i, FRAME, 0)
        assert n == FRAME
    opus.opus_decoder_destroy(state)
    return out


def load(path):
    """24 kHz mono at an active level of -26 dB, and the highest frequency"""
    data, rate = soundfile.read(path, always_2d=True)
    data = data.mean(axis=1)[:60 * rate]
    step = math.gcd(rate, RATE)
    data = scipy.signal.resample_poly(data, RATE // step, rate // step)
    blocks = data[:len(data) // FRAME * FRAME].reshape(-1, FRAME)
    power = (blocks ** 2).mean(axis=1)
    active = power[power > power.max() / 1e4].mean()
    data *= 10 ** (-26 / 20) / math.sqrt(active)
    data = numpy.clip(data, -1, 1) * 32767
    return data.astype(numpy.int16), 0.46 * min(rate, RATE)


def spectra(samples):
    frequencies, _, spectrum = scipy.signal.stft(
        samples, RATE, nperseg=512, noverlap=256)
    return frequencies, numpy.abs(spectrum) ** 2


def log_spectral_distance(wanted, got, highest):
    """dB, root mean square over 50 Hz to `highest`, mean over what is speech;
    what is 60 dB below the loudest is not heard"""
    frequencies, a = spectra(wanted.astype(float))
    _, b = spectra(got.astype(float))
    band = (frequencies > 50) & (frequencies < highest)
    loudness = a[band].mean(axis=0)
    speech = loudness > loudness.max() / 1e4
    floor = a[band].max() / 1e6
    difference = 10 * numpy.log10((a[band] + floor) / (b[band] + floor))
    return numpy.sqrt((difference[:, speech] ** 2).mean(axis=0)).mean()


def judge(wanted, got, highest):
    """PESQ, STOI, ESTOI and LSD, means over pieces of 8 s"""
    marks = []
    for at in range(0, max(len(wanted) - PIECE, 0) + 1, PIECE):
        a, b = wanted[at:at + PIECE], got[at:at + PIECE]
        a16 = scipy.signal.resample_poly(a.astype(float), 2, 3)
        b16 = scipy.signal.resample_poly(b.astype(float), 2, 3)
        marks.append((pesq.pesq(16000, a16, b16, 'wb'),
                      pystoi.stoi(a16, b16, 16000),
                      pystoi.stoi(a16, b16, 16000, extended=True),
                      log_spectral_distance(a, b, highest)))
    return numpy.mean(marks, axis=0)


def measure(speech, application, complexity, bitrate, repeats):
    marks, costs, sizes, lookahead = [], [], [], 0
    for samples, highest in speech:
        spent = []
        for _ in range(repeats):
            encoder = Encoder(application, complexity, bitrate)
            packets, seconds = encoder.encode(samples)
            lookahead = encoder.lookahead
            encoder.close()
            spent.append(seconds * 1000 / (len(packets) / 50))
        costs.append(numpy.median(spent))
        sizes.append(8 * sum(map(len, packets)) / (len(packets) / 50) / 1000)
        got = decode(packets)[lookahead:]
        marks.append(judge(samples[:len(got)], got, highest))
    return {'application': application, 'complexity': complexity,
            'bitrate': bitrate, 'sent': numpy.mean(sizes),
            'cost': numpy.mean(costs), 'lookahead': lookahead * 1000 / RATE,
            'marks': marks}


def print_row(row):
    mean = numpy.mean(row['marks'], axis=0)
    each = ' / '.join('%.2f' % marks[0] for marks in row['marks'])
    print('| %d | %s | %d | %.2f | %.1f | %.1f | %.2f | %s | %.4f | %.4f | '
          '%.2f |' % (row['bitrate'] // 1000, row['application'],
                      row['complexity'], row['cost'], row['lookahead'],
                      row['sent'], mean[0], each, mean[1], mean[2], mean[3]),
          flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('--bitrates', default='24000,32000,48000,64000')
    parser.add_argument('--complexities', default='0,2,5,8,10')
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument('--csv', help='write all marks of all files here')
    parser.add_argument('speech', nargs='+')
    args = parser.parse_args()
    speech = [load(path) for path in args.speech]
    print('| kbit/s | application | complexity | ms/s | lookahead ms | sent '
          'kbit/s | PESQ-WB | of each file | STOI | ESTOI | LSD dB |\n'
          '|--:|---|--:|--:|--:|--:|--:|---|--:|--:|--:|')
    rows = []
    for bitrate in map(int, args.bitrates.split(',')):
        for application in APPLICATIONS:
            for complexity in map(int, args.complexities.split(',')):
                rows.append(measure(speech, application, complexity, bitrate,
                                    args.repeats))
                print_row(rows[-1])
    if args.csv:
        with open(args.csv, 'w', newline='') as file:
            writer = csv.writer(file)
            writer.writerow(('file', 'bitrate', 'application', 'complexity',
                             'cost', 'pesq', 'stoi', 'estoi', 'lsd'))
            for row in rows:
                for path, marks in zip(args.speech, row['marks']):
                    writer.writerow((path, row['bitrate'], row['application'],
                                     row['complexity'], row['cost'], *marks))


if __name__ == '__main__':
    main()
