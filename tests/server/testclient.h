/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A Moshi client for the tests of the stand-in server: libsoup, libogg and
 * libopus, and nothing of ours. It lives in the calling thread and in the
 * default main context. */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

typedef struct _TestClient TestClient;

typedef struct
{
  GError *error;                /* the upgrade failed */
  guint status;                 /* HTTP */
  gboolean connected;           /* the upgrade has been made */
  gboolean handshake;
  gsize handshake_size;         /* of the message, kind included */
  gboolean closed;
  guint close_code;             /* 1006 for none */
  GPtrArray *messages;          /* GBytes, all of them */
  GString *order;               /* a letter a message: see letters[] */
  GPtrArray *texts;             /* gchar, whatever bytes they hold */
  GArray *colours;              /* guint8 */
  GArray *pcm;                  /* gint16, interleaved */
  GArray *granules;             /* gint64, a page of audio each */
  gchar *metadata;
  gchar *failure;               /* kind 05 */
  guint bad_pages;              /* the sync layer lost bytes */
} TestAnswer;

TestClient *test_client_new (const gchar * uri, guint rate, guint channels);
void test_client_free (TestClient * self);
const TestAnswer *test_client_get (TestClient * self);
void test_client_set_key (TestClient * self, const gchar * key);
void test_client_set_database (TestClient * self, GTlsDatabase * database);
void test_client_offer_deflate (TestClient * self);
void test_client_connect (TestClient * self);
void test_client_send (TestClient * self, gconstpointer data, gsize size);
void test_client_send_text (TestClient * self, const gchar * text);
void test_client_send_audio (TestClient * self, guint ms, guint packet_ms);
void test_client_send_pcm (TestClient * self, const gint16 * pcm,
    guint packet_samples);
void test_client_send_audio_at_once (TestClient * self, guint ms,
    guint packet_ms);
void test_client_begin_message (TestClient * self);
void test_client_end_message (TestClient * self);
void test_client_send_raw_packet (TestClient * self, const gchar * packet,
    gsize size);
void test_client_send_bos (TestClient * self);
void test_client_forget_bos (TestClient * self);
void test_client_skip_granule (TestClient * self, gint64 by);
void test_client_spoil_next (TestClient * self);
void test_client_ping (TestClient * self);
void test_client_close (TestClient * self, guint code, const gchar * reason);

void test_client_wait_handshake (TestClient * self);
void test_client_wait_samples (TestClient * self, gsize n);
void test_client_wait_texts (TestClient * self, guint n);
void test_client_wait_messages (TestClient * self, guint n);
void test_client_wait_closed (TestClient * self);

G_END_DECLS
