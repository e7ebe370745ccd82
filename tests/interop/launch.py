# SPDX-License-Identifier: LGPL-2.1-or-later
"""Starts a Kyutai Python server's own main() on a machine without its hardware.

    launch.py moshi.server --device cpu --static none …
    launch.py moshi_mlx.local_web …

The packages are run as installed. What is taken away, from outside, is only
what needs the hardware: moshi.server's warm-up waits for CUDA whatever
--device says, and torch.compile would compile for minutes.
"""

import os
import runpy
import sys

os.environ.setdefault("NO_TORCH_COMPILE", "1")
os.environ.setdefault("NO_CUDA_GRAPH", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# Threads of one small model wait for each other longer than they compute
# when the machine has anything else to do.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def neutralise_cuda():
    import torch
    torch.cuda.synchronize = lambda device=None: None


def neutralise_browser():
    import webbrowser
    webbrowser.open = lambda *args, **kwargs: False


if __name__ == "__main__":
    module = sys.argv[1]
    sys.argv = sys.argv[1:]
    if module.startswith("moshi."):
        neutralise_cuda()
    neutralise_browser()
    runpy.run_module(module, run_name="__main__", alter_sys=True)
