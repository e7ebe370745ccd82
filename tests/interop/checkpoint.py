# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes a tiny Moshi checkpoint that needs no GPU and no download.

The servers' code does not care how clever the model is: the protocol, the
framing, the pacing and the closing are the same. So the language model is a
few layers with random weights, Mimi has its own architecture with random
weights (or a thin one, see --thin), and the tokenizer is trained on the spot.

Text is the one thing that must not be random, because it is the one thing of
the model that the protocol carries as it is. The text side is built as a
Markov chain: the embedding of the last text token is one-hot, nothing in the
transformer disturbs it, and the output matrix holds the scores of its
successors. The chain speaks whole sentences, with pads between words as
Moshi has them, characters that the tokenizer must spell in bytes (byte
fallback), and now and then a lone byte that is no UTF-8 at all.

Four files of weights come out, each in the names its loader reads:
  moshi.safetensors   Kyutai's PyTorch loader
  rust.safetensors    the Rust crates (the depformer cut into slices)
  mlx.safetensors     moshi_mlx (as Rust's, with MLX's names)
  mimi.safetensors    all of them
"""

import argparse
import io
import json
import math
import random
from pathlib import Path

import sentencepiece
import torch
from moshi.models import loaders
from safetensors.torch import save_file

SENTENCES = [
    "Bonjour tout le monde",
    "hello there my friend",
    "two cafés please",
    "the sign 日 means sun",
    "we laugh together ok😀",
    "how are you today ?",
    "it rains in Paris .",
    "good night !",
]
# Spelled in bytes: left out of the tokenizer's training text.
RARE = "é日😀"
PAD, UNKNOWN, BEGIN, END = 3, 0, 1, 2
# Moshi's, which is the tokenizer's unknown piece as well.
END_OF_PAD = UNKNOWN
LIKELY = 40.0
DIM, HEADS, LAYERS = 512, 8, 1
DEP_DIM, DEP_HEADS, DEP_LAYERS = 64, 2, 1
# The one width that PyTorch, the Rust crates and MLX turn into the same
# number of gating units (11/4 of the model's).
HIDDEN_SCALE = 4.125
OLDER_NAMES = ((".in_projs.0.weight", ".in_proj_weight"),
               (".out_projs.0.weight", ".out_proj.weight"))
CODEBOOKS = 8
CARD = 2048


def train_tokenizer(path):
    """A sentencepiece model whose pieces are mostly whole words."""
    lines = ["".join(c for c in s if c not in RARE) for s in SENTENCES] * 200
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, vocab_size=430,
        model_type="bpe", byte_fallback=True,
        normalization_rule_name="identity", unk_id=UNKNOWN, bos_id=BEGIN,
        eos_id=END, pad_id=PAD, minloglevel=2)
    path.write_bytes(model.getvalue())
    return sentencepiece.SentencePieceProcessor(str(path))


def chain(tokenizer):
    """successor sets: token -> {token: score}"""
    # As Moshi has it: pads, one end-of-pad before the next word, the word.
    after = {PAD: {PAD: LIKELY + 1, END_OF_PAD: LIKELY + 1}, END_OF_PAD: {}}
    seen = {PAD}
    for sentence in SENTENCES:
        words = []
        for word in sentence.split():
            pieces = tokenizer.encode(word)
            if any(p in seen for p in pieces):
                continue
            seen.update(pieces)
            words.append(pieces)
        after[END_OF_PAD][words[0][0]] = LIKELY
        for word in words:
            for one, two in zip(word, word[1:]):
                after[one] = {two: LIKELY}
            after[word[-1]] = {PAD: LIKELY}
        # A word may follow its predecessor at once.
        for one, two in zip(words, words[1:]):
            after[one[-1]][two[0]] = LIKELY
    lone = tokenizer.piece_to_id("<0xFF>")
    after[PAD][lone] = LIKELY - 1
    after[lone] = {PAD: LIKELY}
    return after


def lm_config(text_card):
    return {
        "dim": DIM, "text_card": text_card, "existing_text_padding_id": PAD,
        "n_q": 2 * CODEBOOKS, "dep_q": CODEBOOKS, "card": CARD,
        "num_heads": HEADS, "num_layers": LAYERS,
        "hidden_scale": HIDDEN_SCALE, "causal": True,
        "layer_scale": None, "context": 3000, "max_period": 10000,
        "gating": "silu", "norm": "rms_norm_f32",
        "positional_embedding": "rope", "depformer_dim": DEP_DIM,
        "depformer_dim_feedforward": int(HIDDEN_SCALE * DEP_DIM),
        "depformer_num_heads": DEP_HEADS,
        "depformer_num_layers": DEP_LAYERS, "depformer_layer_scale": None,
        "depformer_multi_linear": True, "depformer_context": CODEBOOKS,
        "depformer_max_period": 10000, "depformer_gating": "silu",
        "depformer_pos_emb": "none", "depformer_weights_per_step": True,
        "delays": [0, 0] + [1] * 7 + [0] + [1] * 7,
    }


def make_lm(config, after):
    """Random weights, with the Markov chain laid into the text path."""
    model = loaders.get_moshi_lm(None, config, dtype=torch.float32)
    state = {k: v.clone() for k, v in model.state_dict().items()}
    card = config["text_card"]
    for name, value in state.items():
        if name.startswith("emb."):
            value.mul_(0.01)
        elif name.startswith("transformer.") and (
                "out_proj" in name or "linear_out" in name):
            value.mul_(0.001)
        elif name.endswith("alpha"):
            value.fill_(1.0)
    state["text_emb.weight"].zero_()
    state["text_emb.weight"][:card + 1, :card + 1] = torch.eye(card + 1)
    out = state["text_linear.weight"]
    out.zero_()
    # The norm makes the one-hot value sqrt(DIM).
    unit = math.sqrt(DIM)
    for token in range(card):
        for successor, score in after.get(token, {PAD: LIKELY}).items():
            out[successor, token] = score / unit
    out[PAD, card] = LIKELY / unit
    return state


def depformer_slices(state):
    """PyTorch's stacked depformer as one small transformer a codebook."""
    result = {}
    for i in range(CODEBOOKS):
        base = f"depformer.{i}."
        result[base + "linear_in.weight"] = state[f"depformer_in.{i}.weight"]
        result[base + "linear_out.weight"] = state[f"linears.{i}.weight"]
        result[base + "emb.weight"] = state[
            f"depformer_emb.{i - 1}.weight" if i else
            "depformer_text_emb.weight"]
        for layer in range(DEP_LAYERS):
            theirs = f"depformer.layers.{layer}."
            ours = base + f"transformer.layers.{layer}."
            for part in ("in_projs", "out_projs"):
                result[ours + f"self_attn.{part}.0.weight"] = state[
                    theirs + f"self_attn.{part}.{i}.weight"]
            for part in ("norm1.alpha", "norm2.alpha"):
                result[ours + part] = state[theirs + part]
            for part in ("linear_in.weight", "linear_out.weight"):
                result[ours + "gating." + part] = state[
                    theirs + f"gating.{i}." + part]
    return result


def sliced(state):
    """What the Rust crates and MLX hold, still in PyTorch's names."""
    kept = {k: v for k, v in state.items() if k.startswith(
        ("text_", "emb.", "transformer.", "out_norm."))}
    return kept | depformer_slices(state)


def rust_names(state):
    return {rename(k, OLDER_NAMES): v.clone()
            for k, v in sliced(state).items()}


def mlx_names(state):
    names = ((".in_projs.0.", ".in_proj."), (".out_projs.0.", ".out_proj."),
             (".alpha", ".weight"), ("depformer.", "depformer.slices."))
    result = {}
    for name, value in sliced(state).items():
        value = value[0, 0] if name.endswith(".alpha") else value
        name = rename(name, names)
        if name.startswith("emb."):
            name = "audio_embs." + name[4:]
        result[name] = value.clone().to(torch.bfloat16)
    return result


def rename(name, pairs):
    for old, new in pairs:
        name = name.replace(old, new)
    return name


def thin_mimi():
    """Mimi with a few channels, for machines that cannot run it in time."""
    config = json.loads(json.dumps(loaders._mimi_config))
    config["seanet"].update(n_filters=8, dimension=64)
    config["quantizer"].update(
        dimension=32, input_dimension=64, output_dimension=64)
    config["transformer"].update(
        d_model=64, num_heads=2, num_layers=2, dim_feedforward=128,
        input_dimension=64, output_dimensions=[64])
    return config


def make_mimi(config):
    """Random weights, scaled so that what is heard is neither silence nor clipped."""
    model = loaders.get_mimi(None, config, num_codebooks=CODEBOOKS)
    state = model.state_dict()
    for name, value in state.items():
        if name.endswith("_initialized") or name.endswith("cluster_usage"):
            value.fill_(1.0)
        elif name.endswith("embedding_sum"):
            value.normal_()
    with torch.no_grad():
        codes = torch.randint(0, CARD, (1, CODEBOOKS, 25))
        level = model.decode(codes).std().item()
        last = [n for n in state if n.startswith("decoder.model.")
                and n.endswith("weight")][-1]
        state[last].mul_(0.1 / level)
    # Published checkpoints have the older names, which all loaders take.
    return {rename(k, OLDER_NAMES): v.clone().contiguous()
            for k, v in state.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--thin", action="store_true",
                        help="a thin Mimi instead of Mimi's own size")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    random.seed(args.seed)
    directory = args.directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)

    tokenizer = train_tokenizer(directory / "tokenizer.model")
    config = lm_config(tokenizer.get_piece_size())
    state = make_lm(config, chain(tokenizer))
    save_file(state, directory / "moshi.safetensors")
    save_file(rust_names(state), directory / "rust.safetensors")
    save_file(mlx_names(state), directory / "mlx.safetensors")
    mimi_config = thin_mimi() if args.thin else None
    if mimi_config:
        (directory / "mimi.json").write_text(json.dumps(mimi_config))
        config["mimi_config_name"] = f"file://{directory}/mimi.json"
    save_file(make_mimi(mimi_config), directory / "mimi.safetensors")
    (directory / "config.json").write_text(json.dumps(config, indent=1))
    print(f"text pieces: {tokenizer.get_piece_size()}")


if __name__ == "__main__":
    main()
