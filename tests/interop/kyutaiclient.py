# SPDX-License-Identifier: LGPL-2.1-or-later
"""Kyutai's own Python client, headless, against our stand-in server.

    kyutaiclient.py URL [--seconds N]

moshi.client is run as installed: its WebSocket, its Ogg reader and writer, its
queues. Only the sound card is another: a module `sounddevice` whose streams
call the client's callbacks every 80 ms with a tone, and measure what they get.
Prints what was heard as JSON.
"""

import argparse
import asyncio
import json
import math
import subprocess
import sys
import threading
import time
import types
from pathlib import Path

# Those that this client can talk with: it sends no prompt, image or key.
FLAVOURS = ("kyutai-py", "kyutai-rs", "moshi-server", "mlx")


class Stream:
    """A sound card's stream: calls back once a block, on time."""

    heard = []
    made = 0

    def __init__(self, samplerate, channels, blocksize, callback):
        self.period = blocksize / samplerate
        self.rate, self.shape = samplerate, (blocksize, channels)
        self.callback = callback
        self.stopping = threading.Event()

    def __enter__(self):
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join(2)

    def run(self):
        due = time.monotonic()
        n = 0
        while not self.stopping.is_set():
            self.block(n)
            n += 1
            due += self.period
            self.stopping.wait(max(0, due - time.monotonic()))


class InputStream(Stream):
    def block(self, n):
        import numpy as np
        t = (np.arange(self.shape[0]) + n * self.shape[0]) / self.rate
        tone = 0.3 * np.sin(2 * math.pi * 440 * t)
        self.callback(tone.astype(np.float32).reshape(self.shape),
                      self.shape[0], None, None)
        Stream.made += 1


class OutputStream(Stream):
    def block(self, n):
        import numpy as np
        data = np.zeros(self.shape, np.float32)
        self.callback(data, self.shape[0], None, None)
        Stream.heard.append(float(np.sqrt((data ** 2).mean())))


class Printer:
    """What the client tells its user."""

    def __init__(self):
        self.tokens, self.lags, self.logs = [], 0, []

    def log(self, level, text):
        self.logs.append(f"{level}: {text}")

    def print_header(self):
        pass

    def print_pending(self):
        pass

    def print_lag(self):
        self.lags += 1

    def print_token(self, token):
        self.tokens.append(token)


async def talk(url, seconds):
    card = types.ModuleType("sounddevice")
    card.InputStream, card.OutputStream = InputStream, OutputStream
    sys.modules["sounddevice"] = card
    from moshi import client
    printer = Printer()
    args = argparse.Namespace(url=url, host=None, port=None, https=False)
    task = asyncio.create_task(client.run(printer, args))
    await asyncio.wait([task], timeout=seconds)
    early = task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    loud = sum(1 for level in Stream.heard if level > 0.01)
    print(json.dumps({
        "said": Stream.made, "heard": len(Stream.heard), "loud": loud,
        "lags": printer.lags, "text": "".join(printer.tokens),
        "logs": printer.logs, "early": early}))


def check(args, flavour):
    """Starts the stand-in and this script; returns a line, or raises."""
    from servers import StandIn
    server = StandIn(args.build, args.work / "client", flavour)
    server.start()
    try:
        done = subprocess.run(
            [str(args.cache / "venv/bin/python"), str(Path(__file__)),
             f"ws://127.0.0.1:{server.port}", "--seconds", "8"],
            capture_output=True, text=True, timeout=60)
    finally:
        server.stop()
    if done.returncode:
        raise RuntimeError(done.stderr[-800:])
    heard = json.loads(done.stdout.splitlines()[-1])
    problems = [log for log in heard["logs"] if log.startswith("error")]
    if heard["early"] or problems:
        raise RuntimeError(f"ended early or in error: {heard['logs']}")
    if heard["loud"] < 0.7 * heard["said"]:
        raise RuntimeError(f"{heard['loud']} of {heard['said']} blocks heard")
    if server.sentence.split()[0] not in heard["text"]:
        raise RuntimeError(f"text {heard['text']!r}")
    return (f"{heard['said']} blocks said, {heard['loud']} heard, "
            f"text {heard['text']!r}, {heard['logs'][2:]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--seconds", type=float, default=8)
    args = parser.parse_args()
    asyncio.run(talk(args.url, args.seconds))


if __name__ == "__main__":
    main()
