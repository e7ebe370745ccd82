# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a server does on its wire, asked one question at a time.

Each question is one or more sessions of the probe through the tap; the answer
is a short sentence. EXPECTED says what protocol knowledge the plugin and its
stand-in server rest on: a different answer is a failed check, and a reason to
look at both. docs/servers.md is the page these answers are kept on.
"""

import asyncio
import re
import ssl
import struct
import subprocess
import time

import aiohttp

import capture
from probe import FRAME, Probe

OPUS_MS = ((10, 20, 40, 60), (10, 20), (2.5, 5, 10, 20))


def packet_ms(toc, count_byte=1):
    """Duration of an Opus packet by its TOC byte (RFC 6716 section 3.1)."""
    config, code = toc >> 3, toc & 3
    table = OPUS_MS[0 if config < 12 else 1 if config < 16 else 2]
    frames = (1, 2, 2, count_byte & 63)[code]
    return table[config % len(table)] * frames


def audio_packets(payload):
    """(granule, flags, serial, [packets]) of each page in an audio message."""
    at = 0
    while payload[at:at + 4] == b"OggS":
        flags, granule, serial = struct.unpack_from("<xBqI", payload, at + 4)
        count = payload[at + 26]
        lacing = payload[at + 27:at + 27 + count]
        body = at + 27 + count
        packets, begin = [], body
        for n in lacing:
            body += n
            if n < 255:
                packets.append(payload[begin:body])
                begin = body
        yield granule, flags, serial, packets
        at = body


class Asked:
    """A server, behind a tap, to be asked."""

    def __init__(self, server, tap):
        self.server, self.tap = server, tap
        scheme = "http"
        self.url = f"{scheme}://127.0.0.1:{tap.port}/api/chat"

    def probe(self, query=""):
        self.last = self.tap.count
        return Probe(self.url + query)

    def records(self):
        return list(capture.read(self.tap.path(self.last)))

    def from_server(self, *kinds):
        return [r for r in self.records()
                if r.side == capture.SERVER and r.kind in kinds]


async def ready(probe, timeout=30):
    done = [asyncio.ensure_future(probe.ready.wait()),
            asyncio.ensure_future(probe.over.wait())]
    await asyncio.wait(done, timeout=timeout,
                       return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.cancel()
    return probe.ready.is_set()


async def goes_on(probe, frames=16):
    """Whether answers still come for what is said from now on."""
    before = probe.heard.samples
    await probe.say(frames)
    limit = time.monotonic() + 12
    while (probe.heard.samples < before + 6 * FRAME
           and not probe.over.is_set() and time.monotonic() < limit):
        await asyncio.sleep(0.05)
    if probe.heard.samples >= before + 6 * FRAME:
        return "goes on"
    if probe.over.is_set():
        code = probe.heard.close_code
        return "closes 1009" if code == 1009 else "ends"
    return "falls silent"


async def talk_then(asked, do, query=""):
    """A session in which @do happens after a second, and what follows."""
    async with asked.probe(query) as probe:
        if not await ready(probe):
            return "no handshake"
        await probe.say(12)
        await probe.settle(8, 10)
        try:
            await do(probe)
        except (ConnectionError, aiohttp.ClientError):
            return "ends"
        answer = await goes_on(probe)
    await asyncio.sleep(0.3)
    return answer


async def handshake(asked):
    async with asked.probe() as probe:
        await ready(probe)
        await probe.say(12)
        await probe.settle(6, 10)
    kinds = []
    for kind in probe.heard.kinds:
        kinds.append(kind)
        if kind == 0:
            break
    return (f"kinds {kinds}, handshake of "
            f"{1 + len(probe.heard.handshake or b'')} bytes")


async def delay(asked):
    """Frames put in without an answer coming out."""
    async with asked.probe() as probe:
        await ready(probe)
        await probe.say(50)
        # A cold server may take long: until nothing more comes.
        heard = -1
        while heard != probe.heard.samples:
            heard = probe.heard.samples
            await asyncio.sleep(4)
    lost = 50 - probe.heard.samples / FRAME
    return f"{lost:g} frames"


async def shape(asked):
    """How a frame of answer looks, and the headers."""
    async with asked.probe() as probe:
        await ready(probe)
        await probe.say(40)
        await probe.settle(36, 10)
    messages = [list(audio_packets(r.data[1:]))
                for r in asked.from_server(capture.BINARY)
                if r.data[:1] == b"\x01"]
    pages = [p for m in messages for p in m]
    heads = [len(m) for m in messages[:2]]
    head_pages = sum(1 for p in pages if p[3][0][:4] == b"Opus")
    late = [m for m in messages[5:20]]
    per = sorted({len(m) for m in late})
    packets = sorted({packet_ms(*p[3][0][:2]) for m in late for p in m})
    steps = [b[0] - a[0] for m in [sum(late, [])] for a, b in zip(m, m[1:])]
    pattern = sorted(set(steps))
    serials = sorted({p[2] for p in pages})
    eos = any(p[1] & 4 for p in pages)
    return (f"{per} page(s) a message, packets of {packets} ms, granule "
            f"steps {pattern}, serial {serials}, {head_pages} header pages, "
            f"first messages of {heads} pages, EOS page {eos}")


async def head(asked):
    """What OpusHead says."""
    async with asked.probe() as probe:
        await ready(probe)
        await probe.say(12)
        await probe.settle(6, 10)
    for r in asked.from_server(capture.BINARY):
        for page in audio_packets(r.data[1:]):
            if page[3][0].startswith(b"OpusHead"):
                channels, skip, rate = struct.unpack_from(
                    "<BHI", page[3][0], 9)
                return f"channels {channels}, pre-skip {skip}, rate {rate}"
    return "no OpusHead"


async def order(asked):
    """Where text stands beside the audio of its step, by arrival."""
    async with asked.probe() as probe:
        await ready(probe)
        await probe.say(100)
        await probe.settle(96, 10)
    records = [r for r in asked.from_server(capture.BINARY)
               if r.data[:1] in (b"\x01", b"\x02")]
    before = after = 0
    for i in range(2, len(records) - 1):
        if records[i].data[:1] != b"\x02":
            continue
        # Messages of one step arrive together, steps 80 ms apart.
        back = records[i].ms - records[i - 1].ms
        ahead = records[i + 1].ms - records[i].ms
        if abs(back - ahead) > 10:
            before, after = before + (ahead < back), after + (back < ahead)
    if min(before, after) > 0.2 * max(before, after):
        return "text on either side of its audio"
    return "text, then audio" if before > after else "audio, then text"


async def pieces(asked):
    """How a character that is spelled in bytes arrives."""
    texts = []
    for _ in range(4):
        async with asked.probe() as probe:
            await ready(probe)
            await probe.say(180, speed=0)
            await probe.settle(170, 60)
        texts += probe.heard.texts
    literal = any(re.fullmatch(rb"<0x[0-9A-F]{2}>", t) for t in texts)
    replaced = any(b"\xef\xbf\xbd" in t for t in texts)
    empty = any(not t for t in texts)
    whole = any("é" in t.decode("utf-8", "replace") for t in texts)
    spaces = any(t.startswith(b" ") for t in texts)
    bad = [t for t in texts if t != t.decode("utf-8", "ignore").encode()]
    answer = [word for word, said in (
        ("<0xNN> pieces", literal), ("U+FFFD", replaced), ("empty", empty),
        ("whole characters", whole), ("leading spaces", spaces),
        ("invalid UTF-8", bad)) if said]
    return ", ".join(answer)


async def second_client(asked):
    async with asked.probe() as one:
        await ready(one)
        first = asked.last
        async with asked.probe() as two:
            await one.say(25)
            early = two.ready.is_set()
            asked.last = first
            await one.ws.close()
            began = time.monotonic()
            late = await ready(two, 20)
            waited = time.monotonic() - began
    if early:
        return "served at once"
    return (f"upgraded, then waits; served "
            f"{'within 2 s' if waited < 2 else 'late'} of the first's end"
            if late else "never served")


async def no_input(asked):
    async with asked.probe() as probe:
        await ready(probe)
        await probe.say(20)
        await probe.settle(16, 10)
        await asyncio.sleep(1)
        before = len(probe.heard.kinds)
        await asyncio.sleep(3)
        after = len(probe.heard.kinds)
        return f"{after - before} messages, then {await goes_on(probe)}"


async def ping_empty(asked):
    return await talk_then(asked, lambda p: p.ws.ping(b""))


async def ping_data(asked):
    return await talk_then(asked, lambda p: p.ws.ping(b"libsoup-keepalive"))


async def ping_kind(asked):
    """A ping whose data begins with a kind the server knows."""
    return await talk_then(asked, lambda p: p.ws.ping(b"\x06"))


async def pong_data(asked):
    return await talk_then(asked, lambda p: p.ws.pong(b"libsoup"))


async def text_frame(asked):
    return await talk_then(asked, lambda p: p.ws.send_str("hello"))


async def empty_message(asked):
    return await talk_then(asked, lambda p: p.ws.send_bytes(b""))


async def kinds_taken(asked):
    """Which other kinds a session survives."""
    taken, ending = [], []
    for kind in (0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 255):
        answer = await talk_then(
            asked, lambda p, k=kind: p.ws.send_bytes(bytes([k]) + b"\x01"))
        (taken if answer == "goes on" else ending).append(kind)
    return f"survives {taken}, ends at {ending}"


async def close_answer(asked, code, reason):
    """How the server answers a close frame, and how soon the TCP ends."""
    async with asked.probe() as probe:
        await ready(probe)
        await probe.say(12)
        await probe.settle(6, 10)
        began = time.monotonic()
        await asyncio.wait_for(probe.ws.close(code=code, message=reason), 20)
        took = time.monotonic() - began
    await asyncio.sleep(0.5)
    answers = asked.from_server(capture.CLOSE)
    soon = "at once" if took < 3 else "late"
    if not answers:
        return f"no answer, {soon}"
    data = answers[-1].data
    return f"answers {int.from_bytes(data[:2], 'big') if data else 'empty'}, {soon}"


async def close_1000(asked):
    return await close_answer(asked, 1000, b"")


async def close_reason(asked):
    return await close_answer(asked, 1000, b"goodbye")


async def five_seconds(asked):
    """More than 5 s of audio in one message."""
    async def do(probe):
        import numpy as np
        data = b"".join(bytes(probe.writer.append_pcm(
            np.zeros(FRAME, np.float32))) for _ in range(70))
        await probe.ws.send_bytes(b"\x01" + data)
    return await talk_then(asked, do)


async def four_mib(asked):
    return await talk_then(
        asked, lambda p: p.ws.send_bytes(b"\x06" + bytes(4 * 1024 * 1024)))


async def bad_crc(asked):
    async def do(probe):
        import numpy as np
        page = bytearray(probe.writer.append_pcm(np.zeros(FRAME, np.float32)))
        page[22] ^= 255
        await probe.ws.send_bytes(b"\x01" + bytes(page))
    return await talk_then(asked, do)


async def second_bos(asked):
    """A new stream with the same serial in the same session."""
    async def do(probe):
        import sphn
        probe.writer = sphn.OpusStreamWriter(24000)
    return await talk_then(asked, do)


def ogg_opus(rate, channels, frame_ms, seconds=2):
    """An Ogg Opus stream by GStreamer's own encoder and muxer."""
    command = (
        f"audiotestsrc num-buffers={seconds * 50} samplesperbuffer={rate // 50}"
        f" ! audio/x-raw,rate={rate},channels={channels} ! opusenc"
        f" frame-size={frame_ms} ! oggmux max-delay=0 max-page-delay=0"
        f" ! fdsink fd=1")
    return subprocess.run(["gst-launch-1.0", "-q", *command.split()],
                          check=True, stdout=subprocess.PIPE).stdout


async def any_opus(asked):
    """Which kinds of Opus are understood."""
    good, bad = [], []
    for rate, channels, ms in ((8000, 1, 20), (16000, 1, 60), (24000, 1, 40),
                               (48000, 1, 2), (48000, 2, 20), (48000, 1, 10)):
        data = ogg_opus(rate, channels, ms)
        async with asked.probe() as probe:
            await ready(probe)
            for at in range(0, len(data), 1500):
                await probe.ws.send_bytes(b"\x01" + data[at:at + 1500])
            await probe.settle(20, 15)
        frames = probe.heard.samples / FRAME
        name = f"{rate // 1000}k/{channels}ch/{ms if ms > 2 else 2.5}ms"
        (good if 20 <= frames <= 27 else bad).append(
            name if 20 <= frames <= 27 else f"{name}:{frames:g}")
    return f"understood {good}" + (f", not {bad}" if bad else "")


async def split_page(asked):
    """A page split over messages, and several pages in one."""
    data = ogg_opus(24000, 1, 20)
    answers = []
    for size in (37, 4000):
        async with asked.probe() as probe:
            await ready(probe)
            for at in range(0, len(data), size):
                await probe.ws.send_bytes(b"\x01" + data[at:at + size])
            await probe.settle(20, 15)
        answers.append(probe.heard.samples >= 20 * FRAME)
    return "understood" if all(answers) else f"not understood {answers}"


async def http_status(asked, path):
    async with aiohttp.ClientSession() as session:
        try:
            async with session.ws_connect(
                    asked.url.replace("/api/chat", path)) as ws:
                await ws.close()
                return "upgraded"
        except aiohttp.WSServerHandshakeError as error:
            return f"HTTP {error.status}"


async def other_path(asked):
    return await http_status(asked, "/nothing")


async def bad_query(asked):
    return await http_status(asked, "/api/chat?text_temperature=warm")


async def empty_query(asked):
    return await http_status(asked, "/api/chat?text_temperature=")


async def good_query(asked):
    """Whether the parameters are used: the metadata repeats them."""
    async with asked.probe("?text_temperature=0.5&audio_topk=99") as probe:
        if not await ready(probe):
            return "no handshake"
    data = probe.heard.metadata
    if data is None:
        return "no metadata"
    return (f"text_temperature {data['text_temperature']}, "
            f"audio_topk {data['audio_topk']}")


async def metadata(asked):
    async with asked.probe() as probe:
        await ready(probe)
    data = probe.heard.metadata
    return "none" if data is None else ", ".join(sorted(data))


async def deflate(asked):
    """Whether permessage-deflate is agreed to when offered."""
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(asked.url, compress=15) as ws:
            answer = "agreed" if ws.compress else "declined"
            await ws.close()
    await asyncio.sleep(0.3)
    return answer


async def vanished(asked):
    """A client that drops its TCP without a close: is the next one served?"""
    async with asked.probe() as one:
        await ready(one)
        await one.say(12)
        one.ws._response.connection.transport.abort()
        await asyncio.sleep(0.5)
        async with asked.probe() as two:
            served = await ready(two, 15)
            answer = await goes_on(two) if served else "never served"
    return f"the next one {answer}"


async def limit_of_100(asked):
    """What ends a session that asked for 100 steps."""
    return await limit(asked, 300, "?max_steps=100")


async def limit(asked, frames=4700, query=""):
    """Talks as fast as the server computes until it ends the session."""
    async with asked.probe(query) as probe:
        await ready(probe)
        began = time.monotonic()
        said = 0
        while said < frames and not probe.over.is_set():
            said += await probe.say(25, speed=0)
            gap = said - probe.heard.samples / FRAME
            stuck = time.monotonic() + 60
            while (gap > 50 and not probe.over.is_set()
                   and time.monotonic() < stuck):
                await asyncio.sleep(0.02)
                gap = said - probe.heard.samples / FRAME
            if gap > 50:
                break
        heard = probe.heard.samples / FRAME
        took = time.monotonic() - began
        if not probe.over.is_set():
            await asyncio.sleep(1)
        ended = probe.over.is_set()
        if not ended and gap > 50:
            await probe.say(40)
            await asyncio.sleep(2)
            after = "ends when more audio comes" if probe.over.is_set(
            ) else "stays connected"
            how = f"falls silent, {after}"
        else:
            how = "ends" if ended else "goes on"
    closes = [r.data for r in asked.from_server(capture.CLOSE)]
    frame = "a close frame" if closes and ended else "no close frame"
    return (f"{heard:g} frames heard, {said} said in {took:.0f} s, {how}, "
            f"{frame}")


async def six_minutes(asked):
    """A session of more than 360 s in which only a little is said: whether
    time alone ends it."""
    async with asked.probe() as probe:
        await ready(probe)
        began = time.monotonic()
        while time.monotonic() - began < 380 and not probe.over.is_set():
            await probe.say(1, speed=0)
            await asyncio.sleep(2)
        took = time.monotonic() - began
        if probe.over.is_set():
            on_time = "360 s" if 355 < took < 375 else f"{took:.0f} s"
            return f"ends after {on_time}"
        return await goes_on(probe)


async def alpn(asked):
    """What TLS servers choose when a client offers h2 and http/1.1."""
    if not asked.server.tls:
        return "no TLS"
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    _, writer = await asyncio.open_connection(
        "127.0.0.1", asked.server.port, ssl=context)
    chosen = writer.get_extra_info("ssl_object").selected_alpn_protocol()
    writer.close()
    return str(chosen)


QUICK = (delay, handshake, metadata, shape, head, order, pieces, second_client,
         no_input, ping_empty, ping_data, ping_kind, pong_data, text_frame,
         empty_message, kinds_taken, close_1000, close_reason, five_seconds,
         four_mib, bad_crc, second_bos, any_opus, split_page, other_path,
         bad_query, empty_query, good_query, deflate, alpn, limit_of_100, vanished)
# These take minutes each.
SLOW = (limit, six_minutes)
