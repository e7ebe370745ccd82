# SPDX-License-Identifier: LGPL-2.1-or-later
"""Wire captures: reading, writing, showing and cutting them.

    capture.py show FILE…              every record on a line
    capture.py cut FILE OUT --audio N  up to the server's Nth audio message,
                                       and how it ended

The format is described in tests/data/README.md; tests/generic/captures.c is
its other reader.
"""

import argparse
import collections
import struct
import sys
from pathlib import Path

MAGIC = b"MOSHICAP\x01"
RECORD = struct.Struct("<IccI")
Record = collections.namedtuple("Record", "ms side kind data")
CLIENT, SERVER = b"C", b"S"
HEAD, BINARY, TEXT, PING, PONG, CLOSE, END = (
    b"H", b"B", b"T", b"P", b"Q", b"X", b"E")
KINDS = ("handshake", "audio", "text", "control", "metadata", "error", "ping",
         "coloured text", "image")


class Writer:
    """Writes records as they come; what is written is whole at any time."""

    def __init__(self, path):
        self.file = open(path, "wb")
        self.file.write(MAGIC)

    def write(self, ms, side, kind, data):
        self.file.write(RECORD.pack(ms, side, kind, len(data)) + data)
        self.file.flush()

    def close(self):
        self.file.close()


def read(path):
    data = Path(path).read_bytes()
    if not data.startswith(MAGIC):
        raise ValueError(f"{path}: no capture")
    at = len(MAGIC)
    while at < len(data):
        ms, side, kind, size = RECORD.unpack_from(data, at)
        at += RECORD.size
        if at + size > len(data):
            raise ValueError(f"{path}: cut short at byte {at}")
        yield Record(ms, side, kind, data[at:at + size])
        at += size


def pages(data):
    """The Ogg pages that begin in @data: (granule, serial, flags, packets)."""
    at = 0
    while (at := data.find(b"OggS", at)) >= 0 and at + 27 <= len(data):
        flags, granule, serial = struct.unpack_from("<xBqI", data, at + 4)
        segments = data[at + 26]
        lacing = data[at + 27:at + 27 + segments]
        yield granule, serial, flags, sum(1 for n in lacing if n < 255)
        at += 27 + segments + sum(lacing)


def describe(record):
    if record.kind == HEAD:
        return record.data.decode("latin-1").strip().replace("\r\n", " | ")
    if record.kind == CLOSE and len(record.data) >= 2:
        code = int.from_bytes(record.data[:2], "big")
        return f"{code} {record.data[2:]!r}"
    if record.kind != BINARY or not record.data:
        return repr(record.data[:80])
    kind = record.data[0]
    name = KINDS[kind] if kind < len(KINDS) else str(kind)
    payload = record.data[1:]
    if kind == 1:
        listed = " ".join(
            f"[granule {g} serial {s} flags {f} packets {n}]"
            for g, s, f, n in pages(payload))
        return f"{name} {len(payload)} {listed}"
    return f"{name} {payload[:600]!r}"


def show(path):
    names = {HEAD: "head", BINARY: "binary", TEXT: "TEXT", PING: "PING",
             PONG: "PONG", CLOSE: "CLOSE", END: "END"}
    for r in read(path):
        print(f"{r.ms / 1000:8.3f} {r.side.decode()} {names[r.kind]:6} "
              f"{describe(r)}")


def cut(path, out, audio):
    """Keeps what came until the server's @audio-th audio, and the ending."""
    writer = Writer(out)
    left = audio
    for r in read(path):
        if r.side == SERVER and r.kind == BINARY and r.data[:1] == b"\x01":
            left -= 1
        if left >= 0 or r.kind in (CLOSE, END):
            writer.write(*r)
    writer.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    sub = commands.add_parser("show")
    sub.add_argument("files", nargs="+")
    sub = commands.add_parser("cut")
    sub.add_argument("file")
    sub.add_argument("out")
    sub.add_argument("--audio", type=int, required=True)
    args = parser.parse_args()
    if args.command == "show":
        for path in args.files:
            show(path)
    else:
        cut(args.file, args.out, args.audio)


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:
        sys.stderr.close()
