/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capture.h"

#include <string.h>

#define MAGIC "MOSHICAP\001"
#define RECORD_HEAD 10

void
session_free (Session * self)
{
  g_free (self->bytes);
  g_array_unref (self->records);
  g_free (self);
}

static guint32
read_u32 (const gchar * at)
{
  guint32 value;

  memcpy (&value, at, sizeof value);
  return GUINT32_FROM_LE (value);
}

Session *
session_load (const gchar * name)
{
  Session *self = g_new0 (Session, 1);
  g_autofree gchar *path =
      g_test_build_filename (G_TEST_DIST, "data", name, NULL);
  g_autoptr (GError) error = NULL;
  gsize size, at = strlen (MAGIC);

  self->records = g_array_new (FALSE, FALSE, sizeof (Record));
  g_file_get_contents (path, &self->bytes, &size, &error);
  g_assert_no_error (error);
  g_assert_cmpmem (self->bytes, MIN (size, at), MAGIC, at);
  while (at < size) {
    const gchar *head = self->bytes + at;
    Record record = { 0, };

    g_assert_cmpuint (size - at, >=, RECORD_HEAD);
    record.ms = read_u32 (head);
    record.side = head[4];
    record.kind = head[5];
    record.size = read_u32 (head + 6);
    record.data = (const guint8 *) head + RECORD_HEAD;
    at += RECORD_HEAD;
    g_assert_cmpuint (size - at, >=, record.size);
    at += record.size;
    g_array_append_val (self->records, record);
  }
  g_assert_cmpuint (self->records->len, >, 0);
  return self;
}

const Record *
session_get (Session * self, guint i)
{
  return &g_array_index (self->records, Record, i);
}

/* The binary messages of one side, one after the other; %FALSE at the end. */
gboolean
session_next (Session * self, gchar side, guint * at, MoshiMessage * message)
{
  for (; *at < self->records->len; (*at)++) {
    const Record *record = session_get (self, *at);
    g_autoptr (GError) error = NULL;

    if (record->side != side || record->kind != 'B')
      continue;
    g_assert_true (moshi_message_parse (record->data, record->size, message,
            &error));
    g_assert_no_error (error);
    (*at)++;
    return TRUE;
  }
  return FALSE;
}

/* All audio bytes of one side. */
GByteArray *
session_audio (Session * self, gchar side)
{
  GByteArray *bytes = g_byte_array_new ();
  MoshiMessage message;

  for (guint at = 0; session_next (self, side, &at, &message);) {
    if (message.kind == MOSHI_MESSAGE_AUDIO)
      g_byte_array_append (bytes, message.payload, message.size);
  }
  return bytes;
}
