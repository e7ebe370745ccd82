#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# TAP: every C file has the project's form, and a size that can be read.
cd "$(dirname "$0")/../.." || exit 1
echo 1..3

diff=$(tests/format.sh --check 2>&1) && echo "ok 1 - tests/format.sh" || {
  echo "$diff" | sed 's/^/# /'
  echo "not ok 1 - tests/format.sh"
}

long=$(find gst tests examples -name '*.[ch]' -exec wc -l {} + |
  awk '$2 != "total" && $1 > 1000')
[ -z "$long" ] && echo "ok 2 - under 1,000 lines each" || {
  echo "$long" | sed 's/^/# /'
  echo "not ok 2 - under 1,000 lines each"
}

bare=$(find gst tests examples .ci \( -name '*.[ch]' -o -name '*.sh' -o \
  -name '*.py' -o -name meson.build -o -path .ci/run \) -exec sh -c '
    for f; do head -n 3 "$f" | grep -q SPDX-License-Identifier || echo "$f"
    done' sh {} +)
[ -z "$bare" ] && echo "ok 3 - licence line first" || {
  echo "$bare" | sed 's/^/# /'
  echo "not ok 3 - licence line first"
}
