/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Locks that clang checks: with -Wthread-safety it follows every GMutex through
 * every path of a function. A lock that is not given back on one of them, taken
 * twice, given back unheld, or waited under unheld does not build; nor does a
 * call of a function that MOSHI_REQUIRES a lock which the caller does not hold.
 *
 * What it cannot do in C: tie a field to the lock that stands beside it, but only
 * to one that is no field; that stays a comment. Nor does it know that two
 * pointers lead to the same lock: it is the lock's name that counts, whose ever
 * it is (see meson.build).
 *
 * GST_OBJECT_LOCK() and its like are macros around these, and are followed. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#ifdef __clang__
#define MOSHI_REQUIRES(lock) __attribute__ ((requires_capability (lock)))
#define MOSHI_GUARDED_BY(lock) __attribute__ ((guarded_by (lock)))
#define MOSHI_UNCHECKED() __attribute__ ((no_thread_safety_analysis))

/* GLib's own, with what they do to the lock */
void g_mutex_lock (GMutex * mutex)
    __attribute__ ((acquire_capability (*mutex)));
void g_mutex_unlock (GMutex * mutex)
    __attribute__ ((release_capability (*mutex)));
void g_cond_wait (GCond * cond, GMutex * mutex)
    MOSHI_REQUIRES (*mutex);
gboolean g_cond_wait_until (GCond * cond, GMutex * mutex, gint64 end_time)
    MOSHI_REQUIRES (*mutex);
#else
#define MOSHI_REQUIRES(lock)
#define MOSHI_GUARDED_BY(lock)
#define MOSHI_UNCHECKED()
#endif

G_END_DECLS
