# SPDX-License-Identifier: LGPL-2.1-or-later
"""Gives the language model of the crate `moshi` the tiny checkpoint's sizes.

    shrink.py lm.rs config.json

Numbers only, in the two functions that name them; stops when what it looks
for is not there.
"""

import json
import re
import sys
from pathlib import Path


def shrink(text, function, numbers):
    begin = text.index(f"fn {function}(")
    end = text.index("\n    }\n", begin)
    body = text[begin:end]
    for name, value in numbers.items():
        body, count = re.subn(rf"\b{name}: [\d* ]+,", f"{name}: {value},",
                              body, count=1)
        if count != 1:
            raise SystemExit(f"{function}: no {name}")
    return text[:begin] + body + text[end:]


def main():
    path, config = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
    pieces, dim = config["text_card"], config["dim"]
    depformer = config["depformer_dim"]
    text = path.read_text()
    text = shrink(text, "depformer_cfg", {
        "d_model": depformer, "num_heads": config["depformer_num_heads"],
        "num_layers": config["depformer_num_layers"],
        "dim_feedforward": 4 * depformer})
    text = shrink(text, "v0_1", {
        "d_model": dim, "num_heads": config["num_heads"],
        "num_layers": config["num_layers"], "dim_feedforward": 4 * dim,
        "text_in_vocab_size": pieces + 1, "text_out_vocab_size": pieces})
    path.write_text(text)


if __name__ == "__main__":
    main()
