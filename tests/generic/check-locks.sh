#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# TAP: what clang is to find by session/moshilock.h it finds: each mistake below
# does not compile, and the same without it does.
cd "$(dirname "$0")/../.." || exit 1
flags=$(pkg-config --cflags glib-2.0)
n=0

# check NAME WANTED BODY: whether a function with that body compiles
check () {
  n=$((n + 1))
  out=$(clang $flags -Igst/moshi -x c -fsyntax-only -Wthread-safety \
    -Wno-thread-safety-attributes -Wno-thread-safety-precise -Werror - 2>&1 <<END
#include "session/moshilock.h"
typedef struct { GMutex lock; GCond cond; int n; } Thing;
typedef struct { Thing *thing; } Owner;
static GMutex all;
static int count MOSHI_GUARDED_BY (all);
void add_locked (Thing * self) MOSHI_REQUIRES (self->lock);
void count_locked (void) MOSHI_REQUIRES (all);
void test (Thing * self, Owner * owner, int maybe);
void count_locked (void) { count++; }
void test (Thing * self, Owner * owner, int maybe) { $3 }
END
  ) && got=passes || got=fails
  [ "$got" = "$2" ] || {
    echo "$out" | sed 's/^/# /'
    printf 'not '
  }
  echo "ok $n - $1"
}

echo 1..8
lock='g_mutex_lock (&self->lock);' unlock='g_mutex_unlock (&self->lock);'
check "held and given back" passes "$lock add_locked (self); $unlock"
check "by another pointer" passes \
  "g_mutex_lock (&owner->thing->lock); add_locked (self);
  g_mutex_unlock (&owner->thing->lock);"
check "given back on one path only" fails "$lock if (maybe) return; $unlock"
check "taken twice" fails "$lock $lock $unlock"
check "given back unheld" fails "$unlock"
check "required and not held" fails "add_locked (self);"
check "waited under and not held" fails "g_cond_wait (&self->cond, &self->lock);"
check "a variable touched with no lock" fails "count++;"
