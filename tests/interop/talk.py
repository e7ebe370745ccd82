# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs a GStreamer pipeline and tells what came over its bus.

    talk.py [--eos S] [--restart S] [--limit S] PIPELINE

One JSON object a line: state changes of the conversation, progress, words,
tags, warnings, errors, and at the end the stats of the element named `moshi`.
--eos sends EOS after S seconds of PLAYING, --restart emits the element's
`restart` signal, --limit gives up. Needs PyGObject (Debian: python3-gi,
gir1.2-gstreamer-1.0), so it runs under the system's Python.
"""

import argparse
import json
import sys
import time

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402


def plain(value):
    """A GValue's content as something JSON can hold."""
    if isinstance(value, Gst.Structure):
        return fields(value)
    if isinstance(value, (str, int, float, bool)) or value is None:
        return value
    return str(value)


def fields(structure):
    result = {}
    for i in range(structure.n_fields()):
        name = structure.nth_field_name(i)
        result[name] = plain(structure.get_value(name))
    return result


class Talk:
    def __init__(self, args):
        self.args = args
        self.loop = GLib.MainLoop()
        self.begin = time.monotonic()
        self.status = 1
        self.pipeline = Gst.parse_launch(args.pipeline)
        if not isinstance(self.pipeline, Gst.Pipeline):
            raise SystemExit("not a pipeline")
        self.moshi = self.pipeline.get_by_name("moshi")

    def tell(self, what, **more):
        at = round(time.monotonic() - self.begin, 3)
        print(json.dumps({"at": at, "what": what, **more}), flush=True)

    def on_message(self, _bus, message):
        kind, mine = message.type, message.src is self.moshi
        if kind == Gst.MessageType.EOS:
            self.tell("eos")
            self.status = 0
            self.loop.quit()
        elif kind == Gst.MessageType.ERROR:
            error, debug = message.parse_error()
            details = message.parse_error_details()
            self.tell("error", domain=error.domain, code=error.code,
                      text=error.message, debug=debug,
                      details=fields(details) if details else None)
            # Another error would be a second message: wait a moment for it.
            GLib.timeout_add(500, self.loop.quit)
        elif kind == Gst.MessageType.WARNING:
            error, debug = message.parse_warning()
            self.tell("warning", text=error.message, debug=debug)
        elif kind == Gst.MessageType.PROGRESS:
            type_, code, text = message.parse_progress()
            self.tell("progress", type=type_.value_nick, code=code, text=text)
        elif kind == Gst.MessageType.ELEMENT and mine:
            structure = message.get_structure()
            self.tell(structure.get_name(), **fields(structure))
        elif kind == Gst.MessageType.TAG:
            self.tell("tag", tags=message.parse_tag().to_string())
        elif kind == Gst.MessageType.LATENCY:
            self.pipeline.recalculate_latency()
        elif (kind == Gst.MessageType.STATE_CHANGED
              and message.src is self.pipeline):
            _, new, _ = message.parse_state_changed()
            self.tell("state", state=new.value_nick)
            if new == Gst.State.PLAYING:
                self.playing()

    def playing(self):
        if self.args.eos:
            GLib.timeout_add(int(self.args.eos * 1000), self.on_eos_time)
        if self.args.restart:
            GLib.timeout_add(int(self.args.restart * 1000), self.on_restart)
        self.args.eos = self.args.restart = None

    def on_eos_time(self):
        self.tell("send-eos")
        self.pipeline.send_event(Gst.Event.new_eos())
        return False

    def on_restart(self):
        self.tell("restart")
        self.moshi.emit("restart")
        return False

    def on_limit(self):
        self.tell("limit")
        self.status = 2
        self.loop.quit()
        return False

    def run(self):
        bus = self.pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message", self.on_message)
        if self.args.limit:
            GLib.timeout_add(int(self.args.limit * 1000), self.on_limit)
        self.pipeline.set_state(Gst.State.PLAYING)
        self.loop.run()
        if self.moshi:
            self.tell("stats", **fields(self.moshi.get_property("stats")))
        self.pipeline.set_state(Gst.State.NULL)
        self.tell("end", status=self.status)
        return self.status


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pipeline")
    parser.add_argument("--eos", type=float)
    parser.add_argument("--restart", type=float)
    parser.add_argument("--limit", type=float, default=1200)
    Gst.init(None)
    sys.exit(Talk(parser.parse_args()).run())


if __name__ == "__main__":
    main()
