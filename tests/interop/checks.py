# SPDX-License-Identifier: LGPL-2.1-or-later
"""The plugin, and the facts it rests on, against the real servers.

    checks.py --cache DIR --build DIR [--seconds N] [--only WORD]
              pytorch|backend|moshi-server|mlx|client …

Called by run.sh, which installs what this needs. One line a check, and exit
status 1 when any failed; a server that does not start is a failed check.
"""

import argparse
import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
import traceback
import wave
from pathlib import Path

import capture
import facts
import servers
from tap import Tap

HERE = Path(__file__).resolve().parent
SYSTEM_PYTHON = os.environ.get("GST_PYTHON", "/usr/bin/python3")
RATE = 24000
READ, OPEN_READ_WRITE = 9, 7
# What the plugin logs when it cannot read something, and why (moshioutput:
# "silence for a packet").
DAMAGE = re.compile(r"(?:WARN|ERROR) +moshi.*")


class Failed(Exception):
    """A check's own verdict; anything else that is raised is one too."""


def need(condition, text):
    if not condition:
        raise Failed(text)


class Talk:
    """One run of talk.py: its messages, and the questions asked of them."""

    def __init__(self, context, pipeline, name, **options):
        self.log = context.work / f"{name}.log"
        command = [SYSTEM_PYTHON, str(HERE / "talk.py"), pipeline]
        for option, value in options.items():
            command += [f"--{option}", str(value)]
        environment = {
            **os.environ, "GST_PLUGIN_PATH": str(context.build / "gst/moshi"),
            "GST_REGISTRY": str(context.work / "registry"),
            "GST_DEBUG": "2,moshi*:4,opus*:3", "GST_DEBUG_NO_COLOR": "1"}
        self.err = open(self.log, "wb")
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self.err, text=True,
            env=environment)
        self.messages = []

    def until(self, what, timeout=60, **wanted):
        """Reads on until a message of that kind with those fields comes."""
        limit = time.monotonic() + timeout
        for line in self.process.stdout:
            message = json.loads(line)
            self.messages.append(message)
            if message["what"] == what and all(
                    message.get(k.replace("_", "-")) == v
                    for k, v in wanted.items()):
                return message
            if time.monotonic() > limit:
                break
        raise Failed(f"no {what} {wanted} came; last: "
                     f"{self.messages[-1] if self.messages else 'nothing'}")

    def finish(self):
        for line in self.process.stdout:
            self.messages.append(json.loads(line))
        self.process.wait()
        self.err.close()
        self.log.with_suffix(".json").write_text(
            "".join(json.dumps(m) + "\n" for m in self.messages))
        return self

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.finish()

    def all(self, what):
        return [m for m in self.messages if m["what"] == what]

    def words(self):
        return [m["text"] for m in self.all("moshi-text")]

    def stats(self):
        return self.all("stats")[-1]

    def lasted(self):
        """Seconds from PLAYING to EOS."""
        playing = [m for m in self.all("state") if m["state"] == "playing"]
        return self.all("eos")[-1]["at"] - playing[0]["at"]

    def ended_well(self, lost=False):
        """EOS and no error; no packet or page that could not be read, which
        would be a warning, as is a connection that was @lost."""
        errors, warnings = self.all("error"), self.all("warning")
        need(not errors, f"error {errors[:1]}")
        need(self.all("eos"), f"no EOS; last {self.messages[-1:]}")
        need(lost or not warnings, f"warning {warnings[:1]}")
        damage = DAMAGE.search(self.log.read_text(errors="replace"))
        need(not damage, f"damage in the log: {damage and damage.group()}")
        return self


class Context:
    """What a check is given."""

    def __init__(self, args, server, work):
        self.args, self.server, self.work = args, server, work
        self.build = args.build
        self.taps = {}
        work.mkdir(parents=True, exist_ok=True)

    def element(self, uri=None, **properties):
        properties.setdefault("name", "moshi")
        # The Python servers compute where they accept connections, and a
        # loaded machine is slow at both.
        properties.setdefault("connect-timeout", 60000)
        properties = {**self.server.patient, **properties}
        ca = self.server.ca_file()
        if ca and uri is None:
            properties.setdefault("tls-ca-file", ca)
        text = " ".join(f"{k}={v}" for k, v in properties.items())
        return f"moshi uri={uri or self.server.uri()} {text}"

    def question(self, seconds):
        """A WAV file of so many seconds that is not silence."""
        path = self.work / f"question-{seconds}.wav"
        if not path.exists():
            with wave.open(str(path), "wb") as out:
                out.setnchannels(1)
                out.setsampwidth(2)
                out.setframerate(RATE)
                period = b"".join(
                    int(6000 * (1 if i < 55 else -1)).to_bytes(2, "little", signed=True)
                    for i in range(110))
                out.writeframes((period * (RATE * seconds // 110 + 1))
                                [:2 * RATE * seconds])
        return path

    def batch(self, seconds, name, uri=None, options=None, **properties):
        out = self.work / f"{name}.wav"
        pipeline = (
            f"filesrc location={self.question(seconds)} ! wavparse"
            f" ! {self.element(uri, **properties)} ! audio/x-raw,rate={RATE}"
            f" ! wavenc ! filesink location={out}"
            f" moshi.text ! srtenc ! filesink location={out.with_suffix('.srt')}")
        return Talk(self, pipeline, name, **(options or {})), out

    def live(self, name, uri=None, options=None, **properties):
        out = self.work / f"{name}.wav"
        pipeline = (
            f"audiotestsrc is-live=true wave=sine samplesperbuffer=480"
            f" ! audio/x-raw,rate=48000,channels=1"
            f" ! {self.element(uri, **properties)} ! audio/x-raw,rate={RATE}"
            f" ! tee name=t ! queue ! fakesink sync=true"
            f"  t. ! queue ! wavenc ! filesink location={out}")
        return Talk(self, pipeline, name, **(options or {})), out


def samples(path):
    with wave.open(str(path)) as file:
        need(file.getframerate() == RATE, f"rate {file.getframerate()}")
        return file.getnframes()


def check_words(talk):
    words = talk.words()
    need(len(words) > 3, f"only {len(words)} words")
    for word in words:
        need("<0x" not in word, f"byte piece in {word!r}")
        word.encode("utf-8")
    return words


def batch(context):
    """Batch, file to file: exact length, sound audio, valid text."""
    seconds = context.args.seconds
    began = time.monotonic()
    talk, out = context.batch(seconds, "batch", tail=4000)
    talk.finish().ended_well()
    took = time.monotonic() - began
    need(samples(out) == RATE * (seconds + 4),
         f"{samples(out)} samples, not {RATE * (seconds + 4)}")
    words = check_words(talk)
    out.with_suffix(".srt").read_bytes().decode("utf-8")
    return (f"{seconds} s and a tail of 4 s: {samples(out)} samples, "
            f"{len(words)} words, in {took:.1f} s")


def live(context):
    """Live: a stream without holes in real time."""
    seconds = context.args.seconds
    talk, out = context.live("live", options={"eos": seconds})
    talk.finish().ended_well()
    length = samples(out) / RATE
    stats = talk.stats()
    # Nothing is missing and nothing is twice: as much came out as time went
    # by, also where a slow server made the end wait for its answers.
    lasted = talk.lasted()
    need(abs(length - lasted) < 1, f"{length:.2f} s came in {lasted:.2f} s")
    words = check_words(talk)
    heard = stats["samples-received"] / RATE
    need(heard > seconds - 3, f"only {heard:.1f} s heard")
    return (f"{length:.2f} s out, {heard:.2f} s heard, {len(words)} words, "
            f"round trip {stats['round-trip-mean'] / 1e6:.0f} ms, concealed "
            f"{stats['concealed'] / 1e6:.0f} ms, trimmed "
            f"{stats['trimmed'] / 1e6:.0f} ms")


def two_clients(context):
    """The second client waits, is told so, and has its turn."""
    one, _ = context.live("first", options={"eos": 15})
    one.until("moshi-session", state="ready")
    two, out = context.batch(4, "second", tail=0)
    waiting = two.until("moshi-session", state="waiting")
    told = two.until("progress", type="continue")
    early = [m for m in two.messages if m.get("state") == "ready"
             and m["what"] == "moshi-session"]
    need(not early, "the second was served at once")
    one.finish().ended_well()
    two.finish().ended_well()
    turn = [m for m in two.all("moshi-session") if m["state"] == "ready"][0]
    need(turn["at"] - waiting["at"] > 3, "the second did not wait")
    need(samples(out) == RATE * 4, f"{samples(out)} samples")
    return (f"PROGRESS said {told['text']!r}, its turn came after "
            f"{turn['at'] - waiting['at']:.1f} s")


def two_at_once(context):
    """On a server of many sessions both are served."""
    one, _ = context.live("first", options={"eos": 6})
    one.until("moshi-session", state="ready")
    two, out = context.batch(3, "second", tail=0)
    two.finish().ended_well()
    one.finish().ended_well()
    need(samples(out) == RATE * 3, f"{samples(out)} samples")
    return "both served"


def tail_and_close(context):
    """EOS, tail, and how the session is closed on the wire."""
    uri = context.tap_uri("tail")
    talk, out = context.batch(5, "tail", uri=uri, tail=3000)
    talk.finish().ended_well()
    need(samples(out) == RATE * 8, f"{samples(out)} samples")
    time.sleep(1)
    records = list(capture.read(context.captured("tail")))
    closes = [r for r in records if r.kind == capture.CLOSE]
    need(closes and closes[0].side == capture.CLIENT, "we did not close")
    need(closes[0].data in (b"", b"\x03\xe8"), f"close {closes[0].data!r}")
    pings = [r for r in records if r.kind == capture.PING]
    need(not pings, "a ping was sent")
    first = next(i for i, r in enumerate(records) if r.side == capture.CLIENT
                 and r.kind == capture.BINARY)
    shook = [r for r in records[:first] if r.side == capture.SERVER
             and r.kind == capture.BINARY and r.data[:1] == b"\0"]
    need(shook, "we spoke before the handshake")
    answer = [r.data for r in closes if r.side == capture.SERVER]
    return (f"{samples(out)} samples, our close {closes[0].data!r}, "
            f"answered {answer}")


def killed_batch(context):
    """The server dies in mid-session: one error, READ."""
    talk, _ = context.batch(30, "killed", retries=1,
                            options={"limit": 90})
    talk.until("moshi-session", state="ready")
    time.sleep(2)
    context.server.kill()
    talk.finish()
    context.server.start(context.server.port)
    errors = talk.all("error")
    need(len(errors) == 1, f"{len(errors)} errors")
    error = errors[0]
    need(error["domain"] == "gst-resource-error-quark"
         and error["code"] == READ, f"{error['domain']} {error['code']}")
    return f"one READ error: {error['text']!r}"


def killed_live(context):
    """The server dies and comes back: the stream goes on."""
    talk, out = context.live("revived", retries=-1,
                             options={"eos": 40, "limit": 120})
    talk.until("moshi-session", state="ready")
    time.sleep(3)
    context.server.kill()
    context.server.start(context.server.port)
    again = talk.until("moshi-session", state="ready", session_index=1)
    talk.finish().ended_well(lost=True)
    stats = talk.stats()
    need(stats["reconnects"] >= 1, f"reconnects {stats['reconnects']}")
    length = samples(out) / RATE
    lasted = talk.lasted()
    need(abs(length - lasted) < 1, f"{length:.2f} s came in {lasted:.2f} s")
    return (f"ready again {again['at']:.1f} s after the start, "
            f"{length:.2f} s out, reconnects {stats['reconnects']}")


def restart(context):
    """The restart signal: a new session, the same stream."""
    talk, out = context.live("restart", options={"eos": 14, "restart": 5})
    talk.finish().ended_well()
    stats = talk.stats()
    ready = [m for m in talk.all("moshi-session") if m["state"] == "ready"]
    need([m["session-index"] for m in ready] == [0, 1],
         f"sessions {[m['session-index'] for m in ready]}")
    length, lasted = samples(out) / RATE, talk.lasted()
    need(abs(length - lasted) < 1, f"{length:.2f} s came in {lasted:.2f} s")
    return f"sessions {stats['sessions']}, {length:.2f} s out"


def passthrough(context):
    """Opus as it is, both ways: no transcoding."""
    out = context.work / "opus.wav"
    talk = Talk(context, (
        f"filesrc location={context.question(6)} ! wavparse ! opusenc"
        f" ! {context.element(tail=1000)} ! audio/x-opus ! opusdec"
        f" ! audioconvert ! audioresample ! audio/x-raw,rate={RATE}"
        f" ! wavenc ! filesink location={out}"), "opus")
    talk.finish().ended_well()
    length = samples(out) / RATE
    need(6.5 < length < 7.5, f"{length:.2f} s came out")
    return f"{length:.2f} s out"


def tls_refused(context):
    """Without the CA the server's certificate is refused: one error."""
    talk, _ = context.batch(3, "refused", uri=context.server.uri(), retries=0)
    talk.finish()
    errors = talk.all("error")
    need(len(errors) == 1, f"{len(errors)} errors")
    need(errors[0]["code"] == OPEN_READ_WRITE, f"code {errors[0]['code']}")
    return errors[0]["text"]


def tls_batch(context):
    """tls-ca-file lets a session through."""
    talk, out = context.batch(5, "tls", tail=1000)
    talk.finish().ended_well()
    need(samples(out) == RATE * 6, f"{samples(out)} samples")
    return f"{samples(out)} samples over {context.server.uri()}"


class Report:
    """Prints a line a check and counts."""

    def __init__(self, only):
        self.only = only
        self.passed, self.failed = 0, 0

    def run(self, name, function, *args):
        if self.only and not re.search(self.only, name):
            return
        try:
            detail = function(*args)
            self.passed += 1
            print(f"PASS {name}: {detail}", flush=True)
        except Exception as error:
            self.failed += 1
            if not isinstance(error, Failed):
                traceback.print_exc()
            print(f"FAIL {name}: {error}", flush=True)


class TapThread:
    """Taps run in an event loop of their own, beside blocking checks."""

    def __init__(self):
        import threading
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def call(self, coroutine, timeout=1800):
        return asyncio.run_coroutine_threadsafe(
            coroutine, self.loop).result(timeout)


def tapped(context, loop):
    """Gives @context taps by name, each with its own captures."""
    def make(name):
        tap = Tap("127.0.0.1", context.server.port,
                  context.work / f"captures/{name}",
                  servers.tls_to(context.server))
        loop.call(tap.start())
        context.taps[name] = tap
        return tap
    context.tap_uri = lambda name: f"ws://127.0.0.1:{make(name).port}"
    context.captured = lambda name: context.taps[name].path(0)
    context.make_tap = make


def ask_facts(context, loop, report):
    """Every question of facts.py, and whether the answer is the known one."""
    asked = facts.Asked(context.server, context.make_tap("facts"))
    expected = json.loads((HERE / "expected.json").read_text())
    known = expected.get(context.server.name, {})

    def ask(question):
        answer = loop.call(question(asked), 600)
        wanted = known.get(question.__name__)
        need(wanted is None or re.fullmatch(wanted, answer),
             f"{answer}; expected {wanted}")
        return answer

    questions = list(facts.QUICK)
    if context.args.limits:
        questions += facts.SLOW
    for question in questions:
        report.run(f"{context.server.name} wire {question.__name__}",
                   ask, question)


def record(context):
    """A short live conversation through the tap: the captures of tests/data."""
    uri = context.tap_uri("record")
    talk, _ = context.live("record", uri=uri, options={"eos": 6},
                           **context.server.parameters)
    talk.finish().ended_well()
    time.sleep(1)
    taken = context.captured("record")
    closes = [r for r in capture.read(taken) if r.kind == capture.CLOSE]
    need(closes and closes[0].side == capture.CLIENT, "we did not close")
    if context.args.record:
        context.args.record.mkdir(parents=True, exist_ok=True)
        out = context.args.record / f"{context.server.name}.cap"
        capture.cut(taken, out, 50 * context.server.messages_a_frame)
        return f"{out.name}, {out.stat().st_size} bytes"
    return f"{taken.stat().st_size} bytes"


PLUGIN = (batch, live, tail_and_close, record, restart, passthrough,
          killed_batch, killed_live)


def check_server(args, report, loop, server, checks, with_facts=True):
    work = args.work / server.name
    context = Context(args, server, work)
    tapped(context, loop)
    name = server.name + ("" if server.thin else " (own Mimi)")
    try:
        began = time.monotonic()
        server.start()
        print(f"# {name}: {server.version()}, started in "
              f"{time.monotonic() - began:.0f} s", flush=True)
    except Exception as error:
        report.failed += 1
        print(f"FAIL {name} start: {error}", flush=True)
        return
    try:
        if with_facts:
            ask_facts(context, loop, report)
        for check in checks:
            report.run(f"{name} {check.__name__}", check, context)
    finally:
        server.stop()


def run_pytorch(args, report, loop):
    work = args.work / "pytorch"
    check_server(args, report, loop, servers.PyTorch(args.cache, work),
                 PLUGIN + (two_clients,))
    check_server(args, report, loop,
                 servers.PyTorch(args.cache, work, thin=False), (batch,),
                 with_facts=False)
    certificates = servers.make_certificate(args.work / "certificates")
    check_server(args, report, loop, servers.PyTorch(
        args.cache, work, certificates=certificates),
        (tls_refused, tls_batch), with_facts=False)


def run_backend(args, report, loop):
    work = args.work / "moshi-backend"
    check_server(args, report, loop, servers.Backend(args.cache, work),
                 PLUGIN + (two_at_once, tls_refused))


def run_moshi_server(args, report, loop):
    work = args.work / "moshi-server"
    check_server(args, report, loop, servers.LmServer(args.cache, work),
                 PLUGIN + (two_at_once,))


def run_mlx(args, report, loop):
    work = args.work / "mlx"
    check_server(args, report, loop, servers.Mlx(args.cache, work),
                 PLUGIN + (two_clients,))


def run_client(args, report, _loop):
    """Kyutai's own client against our stand-in: see kyutaiclient.py."""
    import kyutaiclient
    for flavour in kyutaiclient.FLAVOURS:
        report.run(f"kyutai-client against stand-in {flavour}",
                   kyutaiclient.check, args, flavour)


RUNS = {"pytorch": run_pytorch, "backend": run_backend,
        "moshi-server": run_moshi_server, "mlx": run_mlx,
        "client": run_client}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    # With choices, argparse of Python 3.11 refuses it when none is named.
    parser.add_argument("what", nargs="*", metavar="WHAT",
                        help=", ".join(RUNS) + "; all if none is named")
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--limits", action="store_true")
    parser.add_argument("--record", type=Path,
                        help="where to put captures for tests/data")
    parser.add_argument("--only")
    args = parser.parse_args()
    for name in args.what:
        if name not in RUNS:
            parser.error(f"unknown {name}; one of {', '.join(RUNS)}")
    args.cache, args.build = args.cache.resolve(), args.build.resolve()
    args.work = (args.work or args.cache / "work").resolve()
    report, loop = Report(args.only), TapThread()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    for name in args.what or RUNS:
        RUNS[name](args, report, loop)
    print(f"{report.passed} passed, {report.failed} failed")
    sys.exit(1 if report.failed or not report.passed else 0)


if __name__ == "__main__":
    main()
