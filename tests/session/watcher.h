/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "session/moshisession.h"

G_BEGIN_DECLS

/*
 * Keeps what a session's callback is told and lets a test wait for it.
 */

typedef struct
{
  MoshiSessionEventKind kind;
  MoshiLifeState state;
  guint index;
  GBytes *bytes;
  gint color;
  guint delay;
  GError *error;
  guint http_status;
  guint close_code;
} Seen;

typedef struct _Watcher Watcher;

void session_test_init (int *argc, char ***argv);

Watcher *watcher_new (void);
Watcher *watcher_ref (Watcher * self);
void watcher_unref (Watcher * self);

void watcher_on_event (MoshiSession * session, const MoshiSessionEvent * event,
    gpointer user_data);

MoshiSession *watcher_open (Watcher * self, MoshiSessionConfig * config);
const Seen *watcher_wait (Watcher * self, MoshiSessionEventKind kind, guint n);
void watcher_wait_state (Watcher * self, MoshiLifeState state);
const Seen *watcher_wait_end (Watcher * self);
guint watcher_count (Watcher * self, MoshiSessionEventKind kind);
guint watcher_count_all (Watcher * self);
const Seen *watcher_get (Watcher * self, guint i);

MoshiSessionConfig *new_config (guint16 port);
GBytes *new_packet (guint i);
void wait_until_threads_are_gone (void);
guint count_fds (void);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Watcher, watcher_unref)

G_END_DECLS
