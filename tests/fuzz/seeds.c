/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Makes what fuzzing begins with out of the captures of real servers:
 *
 *     seeds FOLDER     writes FOLDER/TARGET/... for the targets that read
 *                      what a server sends
 *
 * With no new input a file has the same name and content, so a corpus that
 * has grown is not disturbed.
 */
#include <stdio.h>
#include <string.h>

#include "../generic/capture.h"
#include "protocol/moshioggreader.h"

#define MAX_MESSAGES 40         /* of a kind, from one capture */
#define OGG_PIECE "\xff"        /* bytes; see ogg.c */

static const gchar *const captures[] = { "pytorch.cap", "mlx.cap",
  "moshi-backend.cap", "moshi-server.cap"
};

static void
write_seed (const gchar * folder, const gchar * target, const guint8 * data,
    gsize size)
{
  g_autofree gchar *path = g_build_filename (folder, target, NULL);
  g_autofree gchar *name = g_compute_checksum_for_data (G_CHECKSUM_SHA1, data,
      size);
  g_autofree gchar *file = g_build_filename (path, name, NULL);
  g_autoptr (GError) error = NULL;

  g_mkdir_with_parents (path, 0755);
  g_file_set_contents (file, (const gchar *) data, size, &error);
  g_assert_no_error (error);
}

static void
put_u16 (GByteArray * bytes, guint value)
{
  guint8 data[2] = { value >> 8, value & 0xff };

  g_byte_array_append (bytes, data, sizeof (data));
}

/* Pieces as text.c reads them: each a frame after the one before. */
static void
append_piece (GByteArray * bytes, const MoshiMessage * message)
{
  guint8 step = 5, size = MIN (message->size, 255), color = 0;

  g_byte_array_append (bytes, &step, 1);
  put_u16 (bytes, 3840);
  g_byte_array_append (bytes, &size, 1);
  g_byte_array_append (bytes, &color, 1);
  g_byte_array_append (bytes, message->payload, size);
}

static void
write_messages (const gchar * folder, Session * session)
{
  g_autoptr (GByteArray) text = g_byte_array_new ();
  guint at, n[256] = { 0 };
  MoshiMessage message;

  g_byte_array_append (text, (const guint8 *) "\1", 1);
  for (at = 0; session_next (session, 'S', &at, &message);) {
    const Record *record = session_get (session, at - 1);

    if (n[message.kind]++ < MAX_MESSAGES)
      write_seed (folder, "message", record->data, record->size);
    if (message.kind == MOSHI_MESSAGE_METADATA)
      write_seed (folder, "metadata", message.payload, message.size);
    if (message.kind == MOSHI_MESSAGE_TEXT)
      append_piece (text, &message);
  }
  write_seed (folder, "text", text->data, text->len);
}

static void
write_ogg (const gchar * folder, const GByteArray * audio)
{
  static const gsize sizes[] = { 200, 1000, 4000 };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (sizes); i++) {
    g_autoptr (GByteArray) seed = g_byte_array_new ();

    g_byte_array_append (seed, (const guint8 *) OGG_PIECE, 1);
    g_byte_array_append (seed, audio->data, MIN (audio->len, sizes[i]));
    write_seed (folder, "ogg", seed->data, seed->len);
  }
}

static void
write_packets (const gchar * folder, const GByteArray * audio)
{
  g_autoptr (MoshiOggReader) reader = moshi_ogg_reader_new ();
  guint i;

  g_assert_true (moshi_ogg_reader_push (reader, audio->data, audio->len, NULL));
  for (i = 0; i < MAX_MESSAGES; i++) {
    g_autoptr (GBytes) packet = moshi_ogg_reader_pull (reader);
    g_autoptr (GByteArray) seed = g_byte_array_new ();

    if (packet == NULL)
      break;
    g_byte_array_append (seed, (const guint8 *) "\1", 1);
    put_u16 (seed, g_bytes_get_size (packet));
    g_byte_array_append (seed, g_bytes_get_data (packet, NULL),
        g_bytes_get_size (packet));
    write_seed (folder, "opus", seed->data, seed->len);
  }
}

/* Packets of 40 ms, late by a bit or more, of speech and of silence, as playout.c
 * reads them: by clocks that are the same, and that are not. */
static void
write_arrivals (const gchar * folder)
{
  static const guint8 periods[] = { 60, 59, 61 };
  guint i, k;

  for (i = 0; i < G_N_ELEMENTS (periods) * 3; i++) {
    g_autoptr (GByteArray) seed = g_byte_array_new ();
    const guint8 head[] = { (i < 6 ? 0xf0 : 0) + i % 3, 60, 20 };

    g_byte_array_append (seed, head, sizeof (head));
    for (k = 0; k < (i < 6 ? 200 : 50); k++) {
      guint8 late = k % 7 == 3 ? 20 : k % 50 == 10 ? 120 : 0;
      guint8 what[] = { 0x80 | (k % 60 < 45 ? 8 : 0) | 4, periods[i / 3] };

      what[1] += late;
      g_byte_array_append (seed, what, sizeof (what));
    }
    write_seed (folder, "playout", seed->data, seed->len);
  }
}

/* What no server sends: addresses, images, and the events of a life. */
static void
write_own (const gchar * folder)
{
  static const gchar *const uris[] = {
    "wss://moshi.example:8998/api/chat?text_topk=25&token=abc",
    "ws://[::1]:8998", "moshi.example", "https://user:pw@host/%7Epath/#part",
  };
  static const guint8 life[] = { 100, 200, 150, 100, 4, 2, 0, 1,
    0, 1, 2, 1, 1, 2, 2, 1, 2, 14, 1, 2, 15, 0, 15, 1, 1, 15, 0, 10, 1, 2,
    8, 1, 2, 11, 200, 255, 1, 1, 1, 2, 1, 1, 5, 1, 1, 6, 1, 1, 10, 1, 1
  };
  static const gchar jpeg[] = "\4\xff\xd8\xff\xe1\0\6ab\xff\xd9\xff\xc4\0\3x"
      "\xff\xda\0\3ysc\xff\0an\xff\xd0more\xff\xd9";
  static const gchar png[] = "\4\x89PNG\r\n\x1a\n\0\0\0\2IHDRabcrc!"
      "\0\0\0\0IENDcrc!";
  guint i;

  for (i = 0; i < G_N_ELEMENTS (uris); i++) {
    g_autofree gchar *seed = g_strconcat ("\4name\5value", uris[i], NULL);

    write_seed (folder, "address", (const guint8 *) seed, strlen (seed));
  }
  write_seed (folder, "life", life, sizeof (life));
  write_seed (folder, "image", (const guint8 *) jpeg, sizeof (jpeg) - 1);
  write_seed (folder, "image", (const guint8 *) png, sizeof (png) - 1);
}

int
main (int argc, char **argv)
{
  guint i;

  if (argc != 2) {
    fprintf (stderr, "usage: %s FOLDER\n", argv[0]);
    return 2;
  }
  g_test_init (&argc, &argv, NULL);
  for (i = 0; i < G_N_ELEMENTS (captures); i++) {
    g_autoptr (Session) session = session_load (captures[i]);
    g_autoptr (GByteArray) audio = session_audio (session, 'S');

    write_messages (argv[1], session);
    write_ogg (argv[1], audio);
    write_packets (argv[1], audio);
  }
  write_arrivals (argv[1]);
  write_own (argv[1]);
  return 0;
}
