#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Draws a conversation: CONVERSATION.wav WORDS.srt OUT.png

The WAV file has the person on the left and Moshi on the right (16 bit). Both
are drawn as waveform over spectrogram, one under the other on one time axis,
with Moshi's words below where they were said.
"""
import re
import sys
import wave

import matplotlib
matplotlib.use('Agg')
import matplotlib.pyplot as plt
import numpy as np

TIME = r'(\d+):(\d+):(\d+),(\d+)'
CUE = re.compile(TIME + r' --> ' + TIME + r'[^\n]*\n(.*?)(?:\n\s*\n|\Z)', re.S)
SIDES = (('You', '#1f6f8b'), ('Moshi', '#c0562f'))


def read_sound(path):
    """Returns (rate, samples of shape (n, 2) from -1 to 1)."""
    with wave.open(path) as sound:
        if sound.getsampwidth() != 2 or sound.getnchannels() != 2:
            sys.exit('%s: wanted 16 bit stereo' % path)
        data = np.frombuffer(sound.readframes(sound.getnframes()), '<i2')
        return sound.getframerate(), data.reshape(-1, 2) / 32768


def read_words(path):
    """Returns a list of (start, end, text), in seconds."""
    with open(path, encoding='utf-8') as subtitles:
        cues = CUE.findall(subtitles.read())
    seconds = [[int(part) for part in cue[:8]] for cue in cues]
    return [(s[0] * 3600 + s[1] * 60 + s[2] + s[3] / 1000,
             s[4] * 3600 + s[5] * 60 + s[6] + s[7] / 1000, cue[8].strip())
            for s, cue in zip(seconds, cues)]


def draw_side(axis, samples, rate, name, color):
    """Waveform, its peaks kept however much is squeezed into a pixel."""
    step = max(1, rate // 200)
    rows = samples[:len(samples) // step * step].reshape(-1, step)
    time = np.arange(len(rows)) * step / rate
    axis.fill_between(time, rows.min(axis=1), rows.max(axis=1), color=color,
                      linewidth=0.5)
    axis.set_ylim(-1, 1)
    axis.set_yticks([])
    axis.set_ylabel(name, rotation=0, ha='right', va='center', fontsize=13)


def draw_spectrogram(axis, samples, rate):
    # A trace of noise keeps the logarithm of digital silence finite.
    noise = np.random.default_rng(0).normal(0, 1e-6, len(samples))
    axis.specgram(samples + noise, NFFT=512, Fs=rate, noverlap=384,
                  cmap='magma', vmin=-130, vmax=-40)
    axis.set_ylim(0, 8000)
    axis.set_yticks([0, 4000, 8000], ['0', '4', '8 kHz'], fontsize=7)


def draw_words(axis, words):
    """In as many rows as keep them from covering one another."""
    ends = []
    for start, end, text in words:
        width = 0.13 * len(text) + 0.15
        row = next((i for i, taken in enumerate(ends) if taken <= start),
                   len(ends))
        ends[row:row + 1] = [start + width]
        axis.plot([start, end], [-row + 0.4] * 2, color=SIDES[1][1],
                  linewidth=2)
        axis.text(start, -row, text, fontsize=8, va='center')
    axis.set_ylim(-max(len(ends), 3) + 0.4, 0.8)
    axis.set_yticks([])


def main(sound, subtitles, picture):
    rate, samples = read_sound(sound)
    words = read_words(subtitles)
    length = len(samples) / rate
    figure, axes = plt.subplots(
        5, 1, sharex=True, figsize=(max(12, min(0.8 * length, 60)), 8),
        gridspec_kw={'height_ratios': [2, 2, 2, 2, 2], 'hspace': 0.08})
    for i, (name, color) in enumerate(SIDES):
        draw_side(axes[2 * i], samples[:, i], rate, name, color)
        draw_spectrogram(axes[2 * i + 1], samples[:, i], rate)
    draw_words(axes[4], words)
    axes[4].set_xlim(0, length)
    axes[4].set_xlabel('seconds')
    figure.savefig(picture, dpi=110, bbox_inches='tight')


if __name__ == '__main__':
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
