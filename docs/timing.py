#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Draws the pictures of timing.md, beside itself; with --check it only looks
whether they are there as it would draw them."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
LEFT, ROW, BAR, WIDTH = 150, 40, 22, 800
COLOURS = {'user': '#8ecae6', 'silence': '#e9ecef', 'moshi': '#ffb703',
           'late': '#fb8500', 'lost': '#ffffff'}


def text(x, y, words, size=13, anchor='start', colour='#222'):
    return ('<text x="%g" y="%g" font-size="%g" text-anchor="%s" fill="%s">%s'
            '</text>' % (x, y, size, anchor, colour, words))


class Picture:
    """Lanes below one another, on one axis of time in ms."""

    def __init__(self, span, lanes):
        self.scale = (WIDTH - LEFT - 20) / span
        self.span = span
        self.lanes = lanes
        self.parts = []

    def x(self, time):
        return LEFT + time * self.scale

    def y(self, lane):
        return 16 + lane * ROW

    def bar(self, lane, start, end, kind, words=''):
        """A stretch of sound; user, silence, moshi, late or lost"""
        x, y = self.x(start), self.y(lane)
        dash = ' stroke-dasharray="4 3"' if kind == 'lost' else ''
        self.parts.append('<rect x="%g" y="%g" width="%g" height="%g" '
                          'fill="%s" stroke="#555"%s/>' % (
                              x, y, self.x(end) - x, BAR, COLOURS[kind], dash))
        if words:
            self.parts.append(text((x + self.x(end)) / 2, y + 15, words, 12,
                                   'middle'))

    def arrow(self, start, lane, end, other):
        """From the lower edge of one lane to the upper edge of another"""
        down = other > lane
        self.parts.append(
            '<line x1="%g" y1="%g" x2="%g" y2="%g" stroke="#c1121f" '
            'marker-end="url(#tip)"/>' % (
                self.x(start), self.y(lane) + (BAR if down else 0),
                self.x(end), self.y(other) + (-2 if down else BAR + 2)))

    def span_mark(self, lane, start, end, words):
        """How long something takes, written over a lane"""
        y = self.y(lane) - 7
        self.parts.append('<path d="M%g %gv-6M%g %gh%gM%g %gv-6" '
                          'stroke="#c1121f" fill="none"/>' % (
                              self.x(start), y + 4, self.x(start), y + 1,
                              self.x(end) - self.x(start), self.x(end), y + 4))
        self.parts.append(text((self.x(start) + self.x(end)) / 2, y - 3, words,
                               11, 'middle', '#c1121f'))

    def draw(self, step):
        height = self.y(len(self.lanes)) + 30
        axis = self.y(len(self.lanes)) + 2
        out = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" '
               'viewBox="0 0 %d %d" font-family="sans-serif">' % (
                   WIDTH, height, WIDTH, height),
               '<defs><marker id="tip" markerWidth="7" markerHeight="7" '
               'refX="6" refY="3.5" orient="auto"><path d="M0 0L7 3.5L0 7z" '
               'fill="#c1121f"/></marker></defs>',
               '<rect width="100%" height="100%" fill="#fff"/>']
        for lane, name in enumerate(self.lanes):
            out.append(text(LEFT - 10, self.y(lane) + 15, name, 13, 'end'))
        for time in range(0, self.span + 1, step):
            out.append('<path d="M%g 10V%g" stroke="#ddd"/>' % (
                self.x(time), axis))
            out.append(text(self.x(time), axis + 16, time, 11, 'middle',
                            '#666'))
        out += self.parts
        out.append(text(4, axis + 16, 'ms', 11, 'start', '#666'))
        return '\n'.join(out + ['</svg>', ''])


def draw_files():
    picture = Picture(2000, ['input', 'sent', 'server answers', 'output'])
    picture.bar(0, 0, 1000, 'user', 'question')
    picture.bar(1, 0, 1000, 'user', 'question')
    picture.bar(1, 1000, 1600, 'silence', 'tail')
    picture.bar(1, 1600, 2000, 'silence', '400 ms more')
    picture.bar(2, 0, 1440, 'moshi', 'sample n for sample n')
    picture.bar(2, 1440, 2000, 'lost', 'not put out')
    picture.bar(3, 0, 160, 'silence', '160')
    picture.bar(3, 160, 1600, 'moshi', 'answer, model-delay later')
    for sample in (400, 800, 1200):
        picture.arrow(sample, 2, sample + 160, 3)
    return picture.draw(200)


def draw_live():
    picture = Picture(1400, ['user speaks', 'sent', 'answers come',
                             'playout gives', 'sink plays'])
    for start in range(0, 1200, 80):
        picture.bar(0, start, start + 80, 'user')
    for start in range(0, 1200, 80):
        if start not in (480, 560):
            picture.bar(1, start + 80, start + 100, 'user')
        else:
            picture.bar(1, start + 80, start + 100, 'silence')
    arrivals = [220, 310, 380, 470, 540, 620, 710, 1020, 1030, 1040, 1060,
                1120]
    for at in arrivals:
        picture.bar(2, at, at + 16, 'moshi' if at not in (1020, 1030) else
                    'late')
    picture.bar(3, 0, 280, 'silence', 'GAP')
    picture.bar(3, 280, 840, 'moshi', 'one stream, no holes')
    picture.bar(3, 840, 1080, 'silence', 'GAP')
    picture.bar(3, 1080, 1400, 'moshi', 'goes on')
    picture.bar(4, 60, 340, 'silence')
    picture.bar(4, 340, 900, 'moshi')
    picture.bar(4, 900, 1140, 'silence')
    picture.bar(4, 1140, 1400, 'moshi')
    picture.arrow(80, 0, 80, 1)
    picture.arrow(100, 1, 220, 2)
    picture.arrow(220, 2, 280, 3)
    picture.arrow(280, 3, 340, 4)
    picture.span_mark(3, 220, 280, 'latency')
    picture.span_mark(3, 786, 1020, 'the network stalls')
    return picture.draw(100)


def draw_pair():
    picture = Picture(1200, ['capture pipeline', 'moshisink sends',
                             'answers come', 'moshisrc gives',
                             'playback pipeline'])
    picture.bar(0, 200, 1200, 'user', 'its running time 0 is here')
    picture.bar(1, 220, 600, 'user')
    picture.bar(1, 600, 760, 'silence', 'muted')
    picture.bar(1, 760, 1200, 'user')
    picture.bar(2, 360, 1200, 'moshi')
    picture.bar(3, 0, 420, 'silence', 'GAP, from PLAYING on')
    picture.bar(3, 420, 1200, 'moshi', 'as it comes, by the clock')
    picture.bar(4, 60, 480, 'silence', 'its own running time')
    picture.bar(4, 480, 1200, 'moshi')
    picture.arrow(220, 1, 360, 2)
    picture.arrow(360, 2, 420, 3)
    picture.arrow(420, 3, 480, 4)
    return picture.draw(100)


def main(check):
    status = 0
    for name, draw in (('files', draw_files), ('live', draw_live),
                       ('pair', draw_pair)):
        path = os.path.join(HERE, 'timing-%s.svg' % name)
        drawn = draw()
        if not check:
            with open(path, 'w', encoding='utf-8') as file:
                file.write(drawn)
        elif not os.path.exists(path) or \
                open(path, encoding='utf-8').read() != drawn:
            print('%s is not as docs/timing.py draws it: run it' % path)
            status = 1
    return status


if __name__ == '__main__':
    sys.exit(main('--check' in sys.argv[1:]))
