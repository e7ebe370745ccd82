/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A pipeline with an element `m` of the plugin in it, and all that came on its
 * bus, kept in order: what the tests of failures, secrets and lives have in
 * common. Whatever waits gives up after a minute, and says what for.
 */
#pragma once

#include <gst/gst.h>

#include "../server/moshistandin.h"

G_BEGIN_DECLS

/* Whether this is built with AddressSanitizer */
#if defined (__SANITIZE_ADDRESS__)
#define BENCH_IS_SANITIZED TRUE
#elif defined (__has_feature)
#define BENCH_IS_SANITIZED __has_feature (address_sanitizer)
#else
#define BENCH_IS_SANITIZED FALSE
#endif

typedef struct _Bench Bench;

/**
 * BenchMatch:
 *
 * Returns: whether @message is the one meant
 */
typedef gboolean (*BenchMatch) (GstMessage * message, gconstpointer what);

/**
 * BenchBelongings:
 *
 * Open files and threads of the process
 */
typedef struct
{
  guint files;
  guint threads;
} BenchBelongings;

Bench *bench_new (const gchar * format, ...) G_GNUC_PRINTF (1, 2);
void bench_free (Bench * self);
GstElement *bench_get_pipeline (Bench * self);
GstElement *bench_get_moshi (Bench * self);

void bench_set_state (Bench * self, GstState state);
void bench_play (Bench * self);
void bench_stop (Bench * self);

void bench_wait_messages (Bench * self, guint n);
void bench_wait (Bench * self, BenchMatch match, gconstpointer what, guint n);
void bench_wait_eos (Bench * self);
void bench_wait_error (Bench * self);
void bench_wait_session (Bench * self, const gchar * state);
guint bench_count (Bench * self, BenchMatch match, gconstpointer what);
guint bench_count_type (Bench * self, GstMessageType type);
GstMessage *bench_get_nth (Bench * self, GstMessageType type, guint n);
gchar *bench_dup_text (Bench * self);
gchar *bench_dup_sessions (Bench * self);
gchar *bench_dup_progress (Bench * self);
void bench_forget (Bench * self);

void bench_count_output (Bench * self, const gchar * name);
void bench_wait_output (Bench * self, guint n);
void bench_wait_samples (Bench * self, guint64 samples, guint bpf);
void bench_wait_failure (Bench * self);
guint bench_check_output (Bench * self, guint rate, guint bpf);

guint bench_get_stat (Bench * self, const gchar * name);

gboolean bench_is_type (GstMessage * message, gconstpointer type);
gboolean bench_is_session (GstMessage * message, gconstpointer state);

MoshiStandin *bench_serve (const gchar * fault, guint fault_first);
void bench_serve_count (MoshiStandin * server, MoshiStandinCounter counter,
    guint64 at_least);
void bench_forgive_libsoup (void);
void bench_count_belongings (BenchBelongings * self);
void bench_check_belongings (const BenchBelongings * before);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Bench, bench_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (MoshiStandin, moshi_standin_free)

G_END_DECLS
