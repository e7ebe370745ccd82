/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How the server can be told to misbehave. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* "Never", for what happens at a certain frame. */
#define STANDIN_NEVER G_MAXUINT

/* A name a fault; the frame counts are of audio frames answered. */
typedef struct
{
  guint http_status;            /* 0: none */
  gboolean no_upgrade;
  gboolean no_handshake;
  guint handshake_delay;        /* ms */
  guint close_at_once;          /* code, 0: none */
  guint close_after;
  guint close_code;
  guint drop_after;
  guint freeze_after;
  guint error_after;
  gchar *error_message;
  guint garbage;                /* every so many frames; 0: never */
  guint bad_crc;                /* every so many pages; 0: never */
  gboolean chunk;
  gboolean unknown_kinds;
  guint giant_message;          /* bytes, 0: none */
  guint ping_flood;             /* pings a frame */
  gboolean bare_words;
  gboolean never_read;
  guint stall_at;
  guint stall_for;              /* frames */
} StandinFaults;

StandinFaults *standin_faults_new (void);
StandinFaults *standin_faults_parse (const gchar * const *specs,
    GError ** error);
void standin_faults_free (StandinFaults * self);
StandinFaults *standin_faults_copy (const StandinFaults * self);
gchar *standin_faults_help (void);

G_END_DECLS
