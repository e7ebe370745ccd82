# SPDX-License-Identifier: LGPL-2.1-or-later
"""The real servers, started on loopback with the tiny checkpoint."""

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def make_certificate(directory):
    """A certificate for localhost by its own little authority."""
    directory.mkdir(parents=True, exist_ok=True)
    if (directory / "cert.pem").exists():
        return directory
    extensions = directory / "extensions"
    extensions.write_text(
        "subjectAltName=DNS:localhost,IP:127.0.0.1\n"
        "basicConstraints=CA:FALSE\n")

    def openssl(*args):
        subprocess.run(["openssl", *args], check=True, cwd=directory,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650",
            "-subj", "/CN=gst-moshi interop", "-keyout", "ca.key",
            "-out", "ca.pem")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost",
            "-keyout", "key.pem", "-out", "request.pem")
    openssl("x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey",
            "ca.key", "-CAcreateserial", "-days", "3650", "-extfile",
            "extensions", "-out", "cert.pem")
    return directory


class Server:
    """One server process. tls tells whether it speaks TLS."""

    tls = False
    patience = 180
    messages_a_frame = 1
    parameters = {}             # for a recording
    patient = {}                # the element's properties, beside its defaults

    def __init__(self, cache, work, thin=True):
        self.cache, self.work = Path(cache), Path(work)
        self.model = self.cache / ("thin" if thin else "model")
        self.thin = thin
        self.process = None
        self.work.mkdir(parents=True, exist_ok=True)

    def start(self, port=None):
        self.port = port or free_port()
        self.log = self.work / f"{self.name}.log"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdout=log, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL, cwd=self.work,
                env={**os.environ, **self.environment()},
                start_new_session=True)
        limit = time.monotonic() + self.patience
        while time.monotonic() < limit:
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.2)
        tail = self.log.read_text(errors="replace")[-2000:]
        self.stop()
        raise RuntimeError(f"{self.name} does not start:\n{tail}")

    def environment(self):
        return {}

    def uri(self, port=None):
        """What the plugin is given; a certificate says localhost."""
        host = "wss://localhost" if self.tls else "ws://127.0.0.1"
        return f"{host}:{port or self.port}"

    def ca_file(self):
        return None

    def signal(self, number):
        """To the process and its children, which are a group of their own."""
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, number)

    def stop(self):
        self.signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self):
        self.signal(signal.SIGKILL)
        self.process.wait()


class PyTorch(Server):
    name = "pytorch"
    title = "moshi.server (PyTorch)"

    def __init__(self, *args, certificates=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.certificates = certificates
        self.tls = certificates is not None

    def ca_file(self):
        return self.certificates / "ca.pem" if self.tls else None

    def command(self):
        extra = ["--ssl", str(self.certificates)] if self.tls else []
        return [str(self.cache / "venv/bin/python"), str(HERE / "launch.py"),
                "moshi.server", "--device", "cpu", "--static", "none",
                "--host", "127.0.0.1", "--port", str(self.port),
                "--moshi-weight", str(self.model / "moshi.safetensors"),
                "--mimi-weight", str(self.model / "mimi.safetensors"),
                "--tokenizer", str(self.model / "tokenizer.model"),
                "--config-path", str(self.model / "config.json"), *extra]

    def version(self):
        return pip_versions(self.cache / "venv", "moshi", "sphn", "aiohttp",
                            "torch", "sentencepiece")


class Mlx(Server):
    name = "mlx"
    title = "moshi_mlx.local_web (MLX)"
    steps = 4000                # its default

    def command(self):
        return [str(self.cache / "venv-mlx/bin/python"),
                str(HERE / "launch.py"), "moshi_mlx.local_web",
                "--static", "none", "--no-browser",
                "--steps", str(self.steps),
                "--host", "127.0.0.1", "--port", str(self.port),
                "--moshi-weight", str(self.model / "mlx.safetensors"),
                "--mimi-weight", str(self.cache / "model/mimi.safetensors"),
                "--tokenizer", str(self.model / "tokenizer.model"),
                "--lm-config", str(self.model / "config.json")]

    def version(self):
        return pip_versions(self.cache / "venv-mlx", "moshi_mlx", "mlx",
                            "rustymimi", "sphn", "aiohttp")


def gen_config(pieces):
    return {"generated_audio_codebooks": 8, "input_audio_codebooks": 8,
            "audio_vocab_size": 2049, "acoustic_delay": 2,
            "text_pad_token": 3, "text_eop_token": 0,
            "text_start_token": pieces}


class Rust(Server):
    def pieces(self):
        return json.loads((self.model / "config.json").read_text())["text_card"]

    def version(self):
        """What cargo says that it installed."""
        installed = (self.cache / "rust/.crates.toml").read_text()
        return re.search(rf'^"({self.crate} \S+) ', installed, re.M).group(1)


class Backend(Rust):
    name = "moshi-backend"
    crate = "moshi-backend"
    title = "moshi-backend (Rust)"
    tls = True
    messages_a_frame = 2
    # One of the seeds with which characters in bytes come early.
    parameters = {"text-seed": 5}

    def ca_file(self):
        return self.work / "certs/cert.pem"

    def command(self):
        config = self.work / "backend.json"
        for name in ("static", "log", "certs"):
            (self.work / name).mkdir(exist_ok=True)
        config.write_text(json.dumps({
            "instance_name": "interop", "hf_repo": "",
            "lm_model_file": str(self.model / "rust.safetensors"),
            "text_tokenizer_file": str(self.model / "tokenizer.model"),
            "mimi_model_file": str(self.cache / "model/mimi.safetensors"),
            "mimi_num_codebooks": 8, "log_dir": str(self.work / "log"),
            "static_dir": str(self.work / "static"), "addr": "127.0.0.1",
            "port": self.port, "cert_dir": str(self.work / "certs"),
            "lm_config": gen_config(self.pieces())}))
        return [str(self.cache / "rust/bin/moshi-backend"), "--config",
                str(config), "standalone", "--cpu"]


class LmServer(Rust):
    name = "moshi-server"
    crate = "moshi-server"
    title = "moshi-server, module Lm (Rust)"
    # Slower than real time it says nothing until it has worked through 128
    # messages, and here that may be longer than the element waits by itself.
    patient = {"idle-timeout": 60000, "drain-timeout": 60000}

    def command(self):
        config = self.work / "server.toml"
        for name in ("static", "log"):
            (self.work / name).mkdir(exist_ok=True)
        config.write_text(self.toml())
        return [str(self.cache / "rust/bin/moshi-server"), "worker", "--cpu",
                "--addr", "127.0.0.1", "--port", str(self.port),
                "--config", str(config)]

    def environment(self):
        libdir = self.cache / "rust/libdir"
        return {"LD_LIBRARY_PATH": libdir.read_text().strip()
                } if libdir.exists() else {}

    def toml(self):
        lm = json.loads((self.model / "config.json").read_text())
        lines = [f'static_dir = "{self.work}/static"',
                 f'log_dir = "{self.work}/log"',
                 'instance_name = "interop"', "authorized_ids = []",
                 "[modules.lm]", 'type = "Lm"', 'path = "/api/chat"',
                 f'lm_model_file = "{self.model}/rust.safetensors"',
                 f'text_tokenizer_file = "{self.model}/tokenizer.model"',
                 f'audio_tokenizer_file = "{self.cache}/model/mimi.safetensors"',
                 "[modules.lm.gen]"]
        lines += [f"{k} = {v}" for k, v in gen_config(self.pieces()).items()]
        lines += ["[modules.lm.model]",
                  f"text_in_vocab_size = {lm['text_card'] + 1}",
                  f"text_out_vocab_size = {lm['text_card']}",
                  "audio_vocab_size = 2049", "audio_codebooks = 16",
                  "[modules.lm.model.transformer]"]
        lines += self.transformer(lm["dim"], lm["num_heads"],
                                  lm["num_layers"], 3000, "Rope")
        lines += ["[modules.lm.model.depformer]", "num_slices = 8",
                  "[modules.lm.model.depformer.transformer]"]
        lines += self.transformer(
            lm["depformer_dim"], lm["depformer_num_heads"],
            lm["depformer_num_layers"], 8, "None")
        return "\n".join(lines) + "\n"

    @staticmethod
    def transformer(dim, heads, layers, context, positions):
        return [f"d_model = {dim}", f"num_heads = {heads}",
                f"num_layers = {layers}", f"dim_feedforward = {4 * dim}",
                f"context = {context}", f'positional_embedding = "{positions}"',
                "causal = true", "norm_first = true", "bias_ff = false",
                "bias_attn = false", "max_period = 10000",
                "use_conv_block = false", "use_conv_bias = true",
                'gating = "silu"', 'norm = "RmsNorm"', "conv_layout = false",
                "conv_kernel_size = 3", "kv_repeat = 1", "max_seq_len = 4096"]


class StandIn(Server):
    """Our own stand-in, to be asked the same questions."""

    sentence = "hello from the café 日 😀"

    def __init__(self, build, work, flavour):
        super().__init__(work, work)
        self.build, self.flavour = Path(build), flavour
        self.name = f"standin-{flavour}"

    def command(self):
        return [str(self.build / "tests/server/moshi-standin"),
                "--flavour", self.flavour, "--port", str(self.port),
                "--text", self.sentence, "--byte-fallback",
                "--text-every", "2", "--speed", "3"]

    def version(self):
        return f"{self.flavour} of this tree"


def pip_versions(venv, *names):
    code = ("import importlib.metadata as m, sys\n"
            "print(', '.join(f'{n} {m.version(n)}' for n in sys.argv[1:]))")
    return subprocess.run([str(venv / "bin/python"), "-c", code, *names],
                          check=True, capture_output=True,
                          text=True).stdout.strip()


def tls_to(server):
    """A context for the tap or the probe to speak to @server with."""
    if not server.tls:
        return None
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context
