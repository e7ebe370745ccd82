/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "protocol/moshimessage.h"

G_BEGIN_DECLS

/*
 * Reads the captures of tests/data; the format stands in the README there.
 * Whatever is wrong with a file is a failed assertion.
 */

/* @side: C or S; @kind: H, B, T, P, Q, X or E. @data lives as long as the
 * session. */
typedef struct
{
  guint32 ms;
  gchar side;
  gchar kind;
  const guint8 *data;
  gsize size;
} Record;

typedef struct
{
  gchar *bytes;
  GArray *records;
} Session;

Session *session_load (const gchar * name);
void session_free (Session * self);
const Record *session_get (Session * self, guint i);
gboolean session_next (Session * self, gchar side, guint * at,
    MoshiMessage * message);
GByteArray *session_audio (Session * self, gchar side);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Session, session_free)

G_END_DECLS
