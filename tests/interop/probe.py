# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client that is not ours: aiohttp for the WebSocket, sphn for Ogg Opus.

Both are what Kyutai's own Python client and server are made of. Used to see
what a server does on its wire, with none of our code in the way.

    probe.py URL [--seconds N] [--speed X] [--ca PEM]
"""

import argparse
import asyncio
import dataclasses
import json
import math
import ssl
import time

import aiohttp
import numpy as np
import sphn

RATE = 24000
FRAME = 1920


@dataclasses.dataclass
class Heard:
    """What came from the server."""
    kinds: list = dataclasses.field(default_factory=list)
    times: list = dataclasses.field(default_factory=list)
    samples: int = 0
    level: float = 0.0
    texts: list = dataclasses.field(default_factory=list)
    metadata: dict = None
    handshake: bytes = None
    waited: float = 0.0
    close_code: int = None
    exception: str = None
    seconds: float = 0.0

    def count(self, kind):
        return self.kinds.count(kind)


class Probe:
    """One connection. Use as `async with Probe(url) as probe`."""

    def __init__(self, url, ca=None, headers=None):
        self.url = url
        self.ssl = ssl.create_default_context(cafile=ca) if ca else True
        self.headers = headers
        self.heard = Heard()
        self.ready = asyncio.Event()
        self.over = asyncio.Event()
        self.reader = sphn.OpusStreamReader(RATE)
        self.writer = sphn.OpusStreamWriter(RATE)

    async def __aenter__(self):
        self.session = aiohttp.ClientSession()
        try:
            self.ws = await self.session.ws_connect(
                self.url, ssl=self.ssl, headers=self.headers, max_msg_size=0,
                autoping=True)
        except BaseException:
            await self.session.close()
            raise
        self.begin = time.monotonic()
        self.task = asyncio.create_task(self.listen())
        return self

    async def __aexit__(self, *_):
        if not self.ws.closed:
            await asyncio.wait_for(self.ws.close(), 15)
        self.task.cancel()
        await self.session.close()

    async def listen(self):
        heard = self.heard
        async for message in self.ws:
            if message.type != aiohttp.WSMsgType.BINARY or not message.data:
                continue
            self.take(message.data[0], message.data[1:])
        heard.close_code = self.ws.close_code
        error = self.ws.exception()
        heard.exception = repr(error) if error else None
        heard.seconds = time.monotonic() - self.begin
        self.over.set()

    def take(self, kind, payload):
        heard = self.heard
        heard.kinds.append(kind)
        heard.times.append(time.monotonic() - self.begin)
        if kind == 0:
            heard.handshake = payload
            heard.waited = heard.times[-1]
            self.ready.set()
        elif kind == 1:
            pcm = self.reader.append_bytes(payload)
            heard.samples += pcm.shape[-1]
            if pcm.shape[-1]:
                heard.level = max(heard.level, float(np.abs(pcm).max()))
        elif kind == 2:
            heard.texts.append(payload)
        elif kind == 4:
            heard.metadata = json.loads(payload)

    async def say(self, frames, speed=1.0, tone=220.0):
        """Sends @frames frames of a tone; speed 0 = as fast as it goes."""
        start = time.monotonic()
        for i in range(frames):
            t = (np.arange(FRAME) + i * FRAME) / RATE
            pcm = (0.2 * np.sin(2 * math.pi * tone * t)).astype(np.float32)
            data = self.writer.append_pcm(pcm)
            if self.over.is_set():
                return i
            if len(data):
                try:
                    await self.ws.send_bytes(b"\x01" + bytes(data))
                except (ConnectionError, aiohttp.ClientError):
                    return i
            if speed:
                late = start + (i + 1) * FRAME / RATE / speed
                await asyncio.sleep(max(0, late - time.monotonic()))
            else:
                await asyncio.sleep(0)
        return frames

    async def settle(self, frames, timeout=30.0):
        """Waits until @frames frames came, or for the end, or no longer."""
        limit = time.monotonic() + timeout
        while (self.heard.samples < frames * FRAME and not self.over.is_set()
               and time.monotonic() < limit):
            await asyncio.sleep(0.02)


async def converse(url, seconds, speed=1.0, ca=None, timeout=60.0):
    async with Probe(url, ca) as probe:
        await asyncio.wait_for(probe.ready.wait(), timeout)
        frames = int(seconds * RATE / FRAME)
        await probe.say(frames, speed)
        await probe.settle(frames - 3, timeout)
        await asyncio.sleep(0.3)
    await asyncio.wait_for(probe.over.wait(), 5)
    return probe.heard


async def run(args):
    heard = await converse(args.url, args.seconds, args.speed, args.ca)
    print("handshake", heard.handshake, f"after {heard.waited:.3f} s")
    print("metadata", heard.metadata)
    print("first kinds", heard.kinds[:16])
    print("audio messages", heard.count(1), "frames",
          heard.samples / FRAME, f"peak {heard.level:.3f}")
    print("text", b"".join(heard.texts))
    print("close", heard.close_code, heard.exception)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--speed", type=float, default=1)
    parser.add_argument("--ca")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
