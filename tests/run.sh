#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Installs what is missing, builds, runs every test, and ends with the line
# "N passed, N failed, N skipped". The exit status is 0 if nothing failed.
#
#   tests/run.sh                  all of it: checks plain asan clang
#                                 analysis fuzz
#   tests/run.sh PART...          some of it
#   tests/run.sh --no-install ... without looking for packages
#
#   checks   form and includes of the sources
#   plain    gcc, the whole suite, then the README's pipelines, the demo and the
#            recipes of docs/
#   asan     gcc with AddressSanitizer and UBSan, the whole suite
#   clang    builds only: no warning of clang's either, which looks after locks
#   analysis cppcheck, gcc -fanalyzer and clang --analyze on the plugin
#   fuzz     libFuzzer, a minute each target (tests/fuzz/run.sh)
#
# In every build a warning is an error. Builds live in build-test-*/.
set -eu
cd "$(dirname "$0")/.."
top=$PWD

install=yes
if [ "${1:-}" = --no-install ]; then
  install=
  shift
fi
parts=${*:-checks plain asan clang analysis fuzz}
for part in $parts; do
  case $part in
    checks|plain|asan|clang|analysis|fuzz) ;;
    *) sed -n '4,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
  esac
done

logs=$top/build-test-logs
rm -rf "$logs"
mkdir -p "$logs"
results=
start=$(date +%s)

say () {
  printf '[%4d s] %s\n' "$(($(date +%s) - start))" "$*"
}

# step NAME COMMAND...: runs it quietly; its failure is a failed case, in full
step () {
  name=$1
  shift
  say "$name"
  log=$logs/$(echo "$name" | tr -cs 'a-z0-9\n' '-')
  status=0
  "$@" >"$log.log" 2>&1 </dev/null || status=$?
  [ "$status" -ne 0 ] || return 0
  { cat "$log.log"; echo "not ok $name"; echo "# exit $status"; } >"$log.tap"
  results="$results $log.tap"
  return 1
}

# tap NAME COMMAND...: runs a program that speaks TAP on its standard output
tap () {
  name=$1
  shift
  say "$name"
  log=$logs/$(echo "$name" | tr -cs 'a-z0-9\n' '-').tap
  status=0
  "$@" >"$log" 2>&1 </dev/null || status=$?
  echo "# exit $status" >>"$log"
  results="$results $log"
}

# build NAME OPTION...: configures and builds build-test-NAME
build () {
  dir=build-test-$1 kind=$1
  shift
  again=
  [ ! -f "$dir/build.ninja" ] || again=--reconfigure
  step "$kind: configure" meson setup $again "$dir" -Dwerror=true "$@" &&
    step "$kind: build" ninja --quiet -k 0 -C "$dir"
}

# suite NAME: runs the test programs of build-test-NAME
suite () {
  say "$1: test programs"
  # What plugins there are, found once for all programs; see wrapper.sh. An
  # ASan plugin is loaded by an ASan program alone.
  preload=
  [ "$1" != asan ] || preload=$(gcc -print-file-name=libasan.so)
  rm -rf "$logs/registries"
  mkdir "$logs/registries"
  env GST_REGISTRY="$logs/registries/seed" LD_PRELOAD="$preload" \
    ASAN_OPTIONS=detect_leaks=0 \
    GST_PLUGIN_PATH_1_0="$top/build-test-$1/gst/moshi" \
    gst-inspect-1.0 moshi >"$logs/$1-inspect.log" 2>&1 || true
  MOSHI_REGISTRIES=$logs/registries
  export MOSHI_REGISTRIES

  log=build-test-$1/meson-logs/testlog-wrapper.sh.json
  rm -f "$log"
  # Most of them wait most of the time, for clocks and servers.
  # Its status is in the results, which the summary reads.
  meson test -C "build-test-$1" --no-rebuild --timeout-multiplier 3 \
    --num-processes "$(($(nproc) + 1))" \
    --wrapper "$top/tests/wrapper.sh" >"$logs/$1-suite.log" 2>&1 </dev/null ||
    true
  [ -f "$log" ] || cat "$logs/$1-suite.log"
  results="$results $log"
}

[ -z "$install" ] || examples/setup-debian.sh test demo

# No test reaches the world, and none is led astray by the caller's settings.
unset MOSHI_URI MOSHI_API_KEY http_proxy https_proxy HTTP_PROXY HTTPS_PROXY \
  all_proxy ALL_PROXY GST_DEBUG GST_PLUGIN_PATH GST_PLUGIN_PATH_1_0

# GLib 2.74's slices would hide leaks behind pointers that LSan cannot see.
export GST_REGISTRY_FORK=no G_SLICE=always-malloc
# Debian's libraries have no frame pointers: only the slow unwinder gets
# through them to the line that leaked. Up to GCC 13 the interceptor of
# __tls_get_addr takes a block of dynamic TLS that happens to lie at a certain
# offset in its page for one of glibc before 2.25, and reads an address and a
# length from what stands before it; LeakSanitizer then crashes on them when
# all tests have passed. Without it, blocks of TLS are merely no roots.
# Twelve frames of each allocation get there, too, in two thirds of the time.
export ASAN_OPTIONS=detect_leaks=1:fast_unwind_on_malloc=0:malloc_context_size=12
ASAN_OPTIONS=$ASAN_OPTIONS:intercept_tls_get_addr=0
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export LSAN_OPTIONS="suppressions=$top/tests/lsan.supp:print_suppressions=0"

for part in $parts; do
  case $part in
    checks)
      tap "checks: form" tests/generic/check-format.sh
      tap "checks: includes" tests/generic/check-includes.sh
      step "checks: pictures" docs/timing.py --check || true
      ;;
    plain)
      if build plain; then
        suite plain
        tap "plain: the promises" tests/generic/promises.py \
          "$top/build-test-plain"
        tap "plain: the README's pipelines, the demo" tests/generic/readme.py \
          "$top/build-test-plain"
        tap "plain: the recipes" tests/generic/recipes.py \
          "$top/build-test-plain"
      fi
      ;;
    asan)
      if build asan -Db_sanitize=address,undefined; then
        suite asan
      fi
      ;;
    clang)
      CC=clang
      export CC
      build clang || true
      tap "clang: locks" tests/generic/check-locks.sh
      unset CC
      ;;
    analysis)
      tap "analysis" tests/generic/analyse.sh
      ;;
    fuzz)
      tap "fuzz: a minute each target" tests/fuzz/run.sh --seconds 60 \
        --jobs "$(($(nproc) + 1))"
      ;;
  esac
done

say "done; logs in ${logs#"$top"/}"
exec tests/summary.py $results
