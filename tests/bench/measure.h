/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the benches have in common: a process that looks at itself, an echo
 * server to talk to, a minute of speech, and a line of numbers to pass from one
 * process to another.
 */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/** MEASURE_FRAME: samples in 20 ms at 24 kHz */
#define MEASURE_FRAME 480
#define MEASURE_FRAME_US 20000

/**
 * MeasureUsage:
 * @time: monotonic µs
 * @cpu: µs of the whole process, user and system
 * @switches: context switches of all its threads, wanted or not
 */
typedef struct
{
  gint64 time;
  gint64 cpu;
  guint64 switches;
} MeasureUsage;

void measure_usage (MeasureUsage * usage);
guint64 measure_status (const gchar * file, const gchar * field);
void measure_sleep_until (gint64 time);
gint16 *measure_load_speech (const gchar * path, gsize * n_frames);

void measure_patience (const gchar * what);

gint measure_run_echo (const gchar * certs);
GSubprocess *measure_start_echo (const gchar * program, const gchar * certs,
    guint * port);
GHashTable *measure_run (const gchar * const *argv);
gdouble measure_get (GHashTable * numbers, const gchar * name);
gdouble measure_quantile (GArray * doubles, gdouble q);

G_END_DECLS
