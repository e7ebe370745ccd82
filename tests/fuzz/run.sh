#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Fuzzes the pure floor with libFuzzer, AddressSanitizer and UBSan (clang).
#
#   tests/fuzz/run.sh [--seconds N | --runs N] [--jobs N] [TARGET...]
#
#   --seconds N   as long for each target (default 60)
#   --runs N      as many executions of each target
#   --jobs N      so many targets at once (default: one a processor)
#
# A line a target as TAP, with its executions. What fails stands in
# build-fuzz/failures/: put it into tests/fuzz/failures/TARGET/ with the mend,
# and the ordinary suite will try it for ever. Corpora grow in
# build-fuzz/corpus/.
set -eu
cd "$(dirname "$0")/../.."
build=build-fuzz

limit=-max_total_time=60
jobs=$(nproc)
while [ $# -gt 0 ]; do
  case $1 in
    --seconds) limit=-max_total_time=$2; shift 2 ;;
    --runs) limit=-runs=$2; shift 2 ;;
    --jobs) jobs=$2; shift 2 ;;
    -*) sed -n '4,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    *) break ;;
  esac
done

# Not the suite's: libFuzzer looks for leaks by itself, and tells UBSan's end.
unset ASAN_OPTIONS LSAN_OPTIONS
UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export UBSAN_OPTIONS

again=
[ ! -f $build/build.ninja ] || again=--reconfigure
CC=${FUZZ_CC:-clang} meson setup $again $build -Dfuzzing=true -Dwerror=true \
  -Db_sanitize=address,undefined -Db_lundef=false --buildtype=debugoptimized \
  >$build-setup.log 2>&1 || { cat $build-setup.log; exit 1; }
mv $build-setup.log $build/
targets=${*:-$(sed -n "s/^fuzz_targets = \[\(.*\)\]/\1/p" \
  tests/fuzz/meson.build | tr -d "',")}
names=
for name in $targets; do
  names="$names tests/fuzz/fuzz-$name"
done
ninja --quiet -C $build $names tests/fuzz/seeds.stamp

mkdir -p $build/failures $build/logs
for name in $targets; do
  mkdir -p "$build/corpus/$name"
  cp -n $build/tests/fuzz/inputs/"$name"/* "$build/corpus/$name/"
done

# One target, as a command of its own for xargs.
one='name=$1
  log=build-fuzz/logs/$name.log
  status=0
  build-fuzz/tests/fuzz/fuzz-$name '$limit' -max_len=2048 -timeout=25 \
    -rss_limit_mb=1024 -print_final_stats=1 -verbosity=1 \
    -artifact_prefix=build-fuzz/failures/$name- \
    build-fuzz/corpus/$name >$log 2>&1 || status=$?
  runs=$(sed -n "s/^stat::number_of_executed_units: *//p" $log)
  if [ $status -eq 0 ]; then
    echo "ok fuzz-$name # ${runs:-0} executions"
  else
    tail -60 $log
    echo "not ok fuzz-$name # exit $status"
  fi'
echo "1..$(echo $targets | wc -w)"
echo $targets | tr ' ' '\n' | xargs -P "$jobs" -I NAME sh -c "$one" sh NAME \
  >$build/results
cat $build/results
! grep -q '^not ok' $build/results
