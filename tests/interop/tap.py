# SPDX-License-Identifier: LGPL-2.1-or-later
"""A tap on the wire between a client and a Moshi server.

    tap.py --to HOST:PORT [--tls] [--cert PEM --key PEM] [--port N] --out DIR

Forwards bytes as they come, both ways, and changes none of them; beside that
it reads the HTTP heads and the WebSocket frames out of its own copy (inflating
permessage-deflate) and writes one capture a connection. With --tls it speaks
TLS to the server, with --cert to the client: a tap cannot look into another's
TLS, so it ends it and starts its own.
"""

import argparse
import asyncio
import re
import ssl
import time
import zlib
from pathlib import Path

import capture

SECRET = re.compile(
    rb"((?:authorization:\s*\w+|[\w-]*key:|[?&]token=|auth_id=)\s*)[^\s&]+",
    re.IGNORECASE)
OPCODES = {1: capture.TEXT, 2: capture.BINARY, 8: capture.CLOSE,
           9: capture.PING, 10: capture.PONG}


class Direction:
    """Reads one side's bytes: an HTTP head, then WebSocket frames."""

    def __init__(self, side, write):
        self.side, self.write = side, write
        self.buffer = bytearray()
        self.in_head = True
        self.message = bytearray()
        self.opcode = None
        self.compressed = False
        self.inflater = zlib.decompressobj(-15)

    def feed(self, data):
        self.buffer += data
        if self.in_head and not self.take_head():
            return
        while self.take_frame():
            pass

    def take_head(self):
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self.buffer[:end + 4])
        del self.buffer[:end + 4]
        self.write(self.side, capture.HEAD, SECRET.sub(rb"\1***", head))
        self.in_head = False
        return True

    def take_frame(self):
        b = self.buffer
        if len(b) < 2:
            return False
        size, at = b[1] & 127, 2
        extra = {126: 2, 127: 8}.get(size, 0)
        masked = 4 if b[1] & 128 else 0
        if len(b) < at + extra + masked:
            return False
        if extra:
            size = int.from_bytes(b[at:at + extra], "big")
        at += extra
        mask = bytes(b[at:at + masked])
        at += masked
        if len(b) < at + size:
            return False
        data = bytes(b[at:at + size])
        if masked:
            data = bytes(x ^ mask[i & 3] for i, x in enumerate(data))
        first = b[0]
        del b[:at + size]
        self.frame(first, data)
        return True

    def frame(self, first, data):
        opcode = first & 15
        if opcode >= 8:
            self.write(self.side, OPCODES.get(opcode, capture.TEXT), data)
            return
        if opcode:
            self.opcode, self.compressed = opcode, bool(first & 64)
        self.message += data
        if first & 128:
            whole = bytes(self.message)
            self.message.clear()
            if self.compressed:
                whole = self.inflater.decompress(whole + b"\0\0\xff\xff")
            self.write(self.side, OPCODES[self.opcode], whole)


class Tap:
    """A listening tap; captures go to @directory as 000.cap, 001.cap, …"""

    def __init__(self, host, port, directory, tls=None, own_tls=None):
        self.to = host, port
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.tls, self.own_tls = tls, own_tls
        self.count = 0
        self.tasks = set()

    async def start(self, port=0):
        self.server = await asyncio.start_server(
            self.on_connection, "127.0.0.1", port, ssl=self.own_tls)
        self.port = self.server.sockets[0].getsockname()[1]
        return self.port

    async def stop(self):
        self.server.close()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def path(self, number):
        return self.directory / f"{number:03}.cap"

    async def on_connection(self, reader, writer):
        number = self.count
        self.count += 1
        task = asyncio.current_task()
        self.tasks.add(task)
        out = capture.Writer(self.path(number))
        begin = time.monotonic()

        def write(side, kind, data):
            out.write(int((time.monotonic() - begin) * 1000), side, kind, data)

        try:
            other = await asyncio.open_connection(*self.to, ssl=self.tls)
            await asyncio.gather(
                self.pump(reader, other[1], capture.CLIENT, write),
                self.pump(other[0], writer, capture.SERVER, write))
        except (OSError, ssl.SSLError, asyncio.CancelledError) as error:
            write(capture.SERVER, capture.END, str(error).encode())
        finally:
            writer.close()
            out.close()
            self.tasks.discard(task)

    async def pump(self, reader, writer, side, write):
        """Forwards first, looks afterwards: the tap must cost no time."""
        direction = Direction(side, write)
        ending = b""
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
                direction.feed(data)
        except (ConnectionError, ssl.SSLError) as error:
            ending = type(error).__name__.encode()
        write(side, capture.END, ending)
        if writer.can_write_eof() and not ending:
            try:
                writer.write_eof()
            except (OSError, RuntimeError):
                pass
        else:
            writer.close()


def client_context():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def run(args):
    host, _, port = args.to.rpartition(":")
    own = None
    if args.cert:
        own = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        own.load_cert_chain(args.cert, args.key)
    tap = Tap(host, int(port), args.out,
              client_context() if args.tls else None, own)
    print(await tap.start(args.port), flush=True)
    await tap.server.serve_forever()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--cert")
    parser.add_argument("--key")
    try:
        asyncio.run(run(parser.parse_args()))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
