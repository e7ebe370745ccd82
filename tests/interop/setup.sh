#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Installs what the interop suite talks with, outside the source tree:
#   setup.sh CACHE pytorch|mlx|backend|moshi-server|models …
# Each part is skipped when it is there already. Gigabytes from PyPI (PyTorch)
# and crates.io; half an hour of compiling for the Rust servers.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=$1
shift
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
crate_version=0.6.4

pytorch() {
  [ -e "$cache/venv/done" ] && return
  python3 -m venv "$cache/venv"
  "$cache/venv/bin/pip" install --quiet "moshi==0.2.13"
  touch "$cache/venv/done"
}

mlx() {
  [ -e "$cache/venv-mlx/done" ] && return
  python3 -m venv "$cache/venv-mlx"
  "$cache/venv-mlx/bin/pip" install --quiet "moshi_mlx==0.3.0" "mlx[cpu]"
  touch "$cache/venv-mlx/done"
}

models() {
  pytorch
  for size in model thin; do
    [ -e "$cache/$size/done" ] && continue
    flag=
    [ $size = thin ] && flag=--thin
    "$cache/venv/bin/python" "$here/checkpoint.py" $flag "$cache/$size"
    touch "$cache/$size/done"
  done
}

# moshi-backend takes the sizes of its language model from the crate `moshi`
# (7 billion weights) and not from a file. A copy of that crate, as published,
# gets the tiny checkpoint's sizes; moshi-backend itself is built as it is.
tiny_crate() {
  [ -e "$cache/rust/moshi-$crate_version/done" ] && return
  rm -rf "$cache/rust/moshi-$crate_version"
  source=$(unpacked moshi)
  cp -r "$source" "$cache/rust/"
  "$cache/venv/bin/python" "$here/shrink.py" \
    "$cache/rust/moshi-$crate_version/src/lm.rs" "$cache/thin/config.json"
  touch "$cache/rust/moshi-$crate_version/done"
}

# Where cargo unpacked a crate; makes it download the crate first.
unpacked() {
  (cd / && cargo info --quiet "$1@$crate_version" >/dev/null)
  set -- "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/"$1-$crate_version"
  [ -d "$1" ] && echo "$1"
}

cargo_install() {
  mkdir -p "$cache/rust"
  CARGO_TARGET_DIR="$cache/rust/target" nice cargo install --quiet \
    --root "$cache/rust" "$@"
}

backend() {
  models
  [ -e "$cache/rust/backend.done" ] && return
  mkdir -p "$cache/rust"
  tiny_crate
  copy=$cache/rust/moshi-backend-$crate_version
  rm -rf "$copy"
  cp -r "$(unpacked moshi-backend)" "$cache/rust/"
  # Its own versions of everything else; `moshi` alone comes from a path.
  awk '/^\[\[package\]\]/ { ours = 0 }
    /^name = "moshi"$/ { ours = 1 }
    !(ours && /^(source|checksum) = /)' "$copy/Cargo.lock" >"$copy/lock"
  mv "$copy/lock" "$copy/Cargo.lock"
  cargo_install --locked --path "$copy" \
    --config "patch.crates-io.moshi.path='$cache/rust/moshi-$crate_version'"
  touch "$cache/rust/backend.done"
}

moshi_server() {
  models
  [ -e "$cache/rust/server.done" ] && return
  cargo_install --locked --version "$crate_version" moshi-server
  # It embeds Python for modules other than Lm, and needs libpython to start.
  python3 -c "import sysconfig; print(sysconfig.get_config_var('LIBDIR'))" \
    >"$cache/rust/libdir"
  touch "$cache/rust/server.done"
}

for part in "$@"; do
  case $part in
    pytorch | mlx | models | backend) $part ;;
    moshi-server) moshi_server ;;
    *) echo "setup.sh: unknown part $part" >&2; exit 2 ;;
  esac
done
