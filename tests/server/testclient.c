/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "testclient.h"

#include <math.h>
#include <string.h>
#include <libsoup/soup.h>
#include <ogg/ogg.h>
#include <opus.h>

#define SERIAL 7
#define INPUT_RATE 24000
#define MAX_SAMPLES 5760
/* A wait that takes so long has failed. */
#define TIMEOUT_S 20
#define CLOSE_ABNORMAL 1006

struct _TestClient
{
  TestAnswer answer;
  SoupSession *session;
  SoupMessage *msg;
  SoupWebsocketConnection *ws;
  gchar *uri;
  gchar *key;
  GTlsDatabase *database;
  guint channels;
  gboolean pending;

  ogg_sync_state sync;
  ogg_stream_state in;
  gboolean in_open;
  OpusDecoder *decoder;

  ogg_stream_state out;
  gboolean out_open;
  gint64 packet_no;
  gint64 granule;
  guint64 phase;
  OpusEncoder *encoder;
  gboolean spoil;
  GByteArray *batch;            /* pages that go in one message */
};

/* How the kinds appear in TestAnswer.order. */
static const gchar letters[] = "HATCMEPK";

/**
 * test_client_new:
 * @uri: of the server
 * @rate: to decode at
 * @channels: to decode to
 *
 * Returns: (transfer full): free it with test_client_free()
 */
TestClient *
test_client_new (const gchar * uri, guint rate, guint channels)
{
  TestClient *self = g_new0 (TestClient, 1);

  self->uri = g_strdup (uri);
  self->channels = channels;
  self->session = soup_session_new ();
  self->answer.messages =
      g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  self->answer.texts = g_ptr_array_new_with_free_func (g_free);
  self->answer.colours = g_array_new (FALSE, FALSE, 1);
  self->answer.order = g_string_new (NULL);
  self->answer.pcm = g_array_new (FALSE, FALSE, sizeof (gint16));
  self->answer.granules = g_array_new (FALSE, FALSE, sizeof (gint64));
  self->decoder = opus_decoder_create (rate, channels, NULL);
  self->encoder = opus_encoder_create (INPUT_RATE, 1, OPUS_APPLICATION_VOIP,
      NULL);
  ogg_sync_init (&self->sync);
  return self;
}

/**
 * test_client_free:
 * @self: (transfer full): the client; what is open is dropped
 */
void
test_client_free (TestClient * self)
{
  if (self->ws != NULL)
    g_signal_handlers_disconnect_by_data (self->ws, self);
  g_clear_object (&self->ws);
  soup_session_abort (self->session);
  while (self->pending || g_main_context_pending (NULL))
    g_main_context_iteration (NULL, TRUE);
  g_clear_object (&self->msg);
  g_object_unref (self->session);
  g_clear_object (&self->database);
  g_free (self->uri);
  g_free (self->key);
  opus_decoder_destroy (self->decoder);
  opus_encoder_destroy (self->encoder);
  ogg_sync_clear (&self->sync);
  if (self->in_open)
    ogg_stream_clear (&self->in);
  if (self->out_open)
    ogg_stream_clear (&self->out);
  g_clear_error (&self->answer.error);
  g_ptr_array_unref (self->answer.messages);
  g_ptr_array_unref (self->answer.texts);
  g_array_unref (self->answer.colours);
  g_string_free (self->answer.order, TRUE);
  g_array_unref (self->answer.pcm);
  g_array_unref (self->answer.granules);
  g_free (self->answer.metadata);
  g_free (self->answer.failure);
  g_free (self);
}

/**
 * test_client_get:
 * @self: the client
 *
 * Returns: (transfer none): what has come so far
 */
const TestAnswer *
test_client_get (TestClient * self)
{
  return &self->answer;
}

/**
 * test_client_set_key:
 * @self: the client
 * @key: sent as Bearer
 */
void
test_client_set_key (TestClient * self, const gchar * key)
{
  self->key = g_strdup (key);
}

/**
 * test_client_set_database:
 * @self: the client
 * @database: (transfer none): whom to trust
 */
void
test_client_set_database (TestClient * self, GTlsDatabase * database)
{
  self->database = g_object_ref (database);
}

/**
 * test_client_offer_deflate:
 * @self: the client
 *
 * Offers permessage-deflate, which libsoup's clients do not do by themselves.
 */
void
test_client_offer_deflate (TestClient * self)
{
  soup_session_add_feature_by_type (self->session,
      SOUP_TYPE_WEBSOCKET_EXTENSION_MANAGER);
  soup_session_add_feature_by_type (self->session,
      SOUP_TYPE_WEBSOCKET_EXTENSION_DEFLATE);
}

static gboolean
on_timeout (gpointer user_data)
{
  g_error ("%s did not happen in %u s", (const gchar *) user_data, TIMEOUT_S);
  return G_SOURCE_REMOVE;
}

static guint
start_waiting (const gchar * what)
{
  return g_timeout_add_seconds (TIMEOUT_S, on_timeout, (gpointer) what);
}

static void
take_packet (TestClient * self, ogg_packet * packet, gint64 granule)
{
  gint16 pcm[2 * MAX_SAMPLES];
  gint n;

  if (packet->bytes >= 8 && memcmp (packet->packet, "Opus", 4) == 0
      && self->answer.granules->len == 0 && granule == 0)
    return;
  g_array_append_val (self->answer.granules, granule);
  n = opus_decode (self->decoder, packet->packet, packet->bytes, pcm,
      MAX_SAMPLES, 0);
  g_assert_cmpint (n, >, 0);
  g_array_append_vals (self->answer.pcm, pcm, n * self->channels);
}

static void
take_page (TestClient * self, ogg_page * page)
{
  ogg_packet packet;

  if (ogg_page_bos (page)) {
    g_assert_false (self->in_open);
    ogg_stream_init (&self->in, ogg_page_serialno (page));
    self->in_open = TRUE;
  }
  g_assert_true (self->in_open);
  ogg_stream_pagein (&self->in, page);
  while (ogg_stream_packetout (&self->in, &packet) == 1)
    take_packet (self, &packet, ogg_page_granulepos (page));
}

static void
take_audio (TestClient * self, const guint8 * data, gsize size)
{
  ogg_page page;
  gint found;

  memcpy (ogg_sync_buffer (&self->sync, size + 1), data, size);
  ogg_sync_wrote (&self->sync, size);
  while ((found = ogg_sync_pageout (&self->sync, &page)) != 0) {
    if (found > 0)
      take_page (self, &page);
    else
      self->answer.bad_pages++;
  }
}

static void
take_text (TestClient * self, const guint8 * data, gsize size)
{
  g_ptr_array_add (self->answer.texts, g_strndup ((const gchar *) data, size));
}

static void
on_message (SoupWebsocketConnection * ws, gint type, GBytes * message,
    gpointer user_data)
{
  TestClient *self = user_data;
  gsize size;
  const guint8 *data = g_bytes_get_data (message, &size);
  guint8 kind = size > 0 ? data[0] : 255;

  g_assert_cmpint (type, ==, SOUP_WEBSOCKET_DATA_BINARY);
  g_ptr_array_add (self->answer.messages, g_bytes_ref (message));
  g_string_append_c (self->answer.order, kind < 8 ? letters[kind] : '?');
  if (kind == 0) {
    self->answer.handshake = TRUE;
    self->answer.handshake_size = size;
  } else if (kind == 1) {
    take_audio (self, data + 1, size - 1);
  } else if (kind == 2) {
    take_text (self, data + 1, size - 1);
  } else if (kind == 4 && self->answer.metadata == NULL) {
    self->answer.metadata = g_strndup ((const gchar *) data + 1, size - 1);
  } else if (kind == 5) {
    self->answer.failure = g_strndup ((const gchar *) data + 1, size - 1);
  } else if (kind == 7) {
    g_assert_cmpuint (size, >=, 2);
    g_array_append_val (self->answer.colours, data[1]);
    take_text (self, data + 2, size - 2);
  }
}

static void
on_closed (SoupWebsocketConnection * ws, gpointer user_data)
{
  TestClient *self = user_data;
  guint code = soup_websocket_connection_get_close_code (ws);

  self->answer.closed = TRUE;
  self->answer.close_code = code != 0 ? code : CLOSE_ABNORMAL;
}

static void
on_connected (GObject * source, GAsyncResult * result, gpointer user_data)
{
  TestClient *self = user_data;

  self->pending = FALSE;
  self->ws = soup_session_websocket_connect_finish (self->session, result,
      &self->answer.error);
  self->answer.status = soup_message_get_status (self->msg);
  if (self->ws == NULL)
    return;
  self->answer.connected = TRUE;
  soup_websocket_connection_set_max_incoming_payload_size (self->ws, 0);
  g_signal_connect (self->ws, "message", G_CALLBACK (on_message), self);
  g_signal_connect (self->ws, "closed", G_CALLBACK (on_closed), self);
}

/**
 * test_client_connect:
 * @self: the client
 *
 * Returns once the upgrade has been made or refused.
 */
void
test_client_connect (TestClient * self)
{
  gchar *bearer;
  guint watchdog = start_waiting ("the upgrade");

  if (self->database != NULL)
    soup_session_set_tls_database (self->session, self->database);
  self->msg = soup_message_new (SOUP_METHOD_GET, self->uri);
  if (self->key != NULL) {
    bearer = g_strconcat ("Bearer ", self->key, NULL);
    soup_message_headers_append (soup_message_get_request_headers (self->msg),
        "Authorization", bearer);
    g_free (bearer);
  }
  self->pending = TRUE;
  soup_session_websocket_connect_async (self->session, self->msg, NULL, NULL,
      G_PRIORITY_DEFAULT, NULL, on_connected, self);
  while (self->pending)
    g_main_context_iteration (NULL, TRUE);
  g_source_remove (watchdog);
}

/**
 * test_client_send:
 * @self: the client
 * @data: (array length=size) (nullable): a binary message
 * @size: in bytes
 */
void
test_client_send (TestClient * self, gconstpointer data, gsize size)
{
  /* The server may have closed in the middle of what a test sends. */
  if (soup_websocket_connection_get_state (self->ws)
      == SOUP_WEBSOCKET_STATE_OPEN)
    soup_websocket_connection_send_binary (self->ws, data, size);
}

/**
 * test_client_send_text:
 * @self: the client
 * @text: a WebSocket text message, which no Moshi server expects
 */
void
test_client_send_text (TestClient * self, const gchar * text)
{
  soup_websocket_connection_send_text (self->ws, text);
}

/**
 * test_client_ping:
 * @self: the client
 *
 * Makes libsoup send its keep-alive pings, which carry text.
 */
void
test_client_ping (TestClient * self)
{
  soup_websocket_connection_set_keepalive_interval (self->ws, 1);
}

static void
send_pages (TestClient * self, gint64 granule, guint8 * packet, gsize size)
{
  static const guint8 kind = 1;
  GByteArray *message = self->batch;
  ogg_packet op = { 0 };
  ogg_page page;

  op.packet = packet;
  op.bytes = size;
  op.granulepos = granule;
  op.b_o_s = self->packet_no == 0;
  op.packetno = self->packet_no++;
  ogg_stream_packetin (&self->out, &op);
  if (message == NULL) {
    message = g_byte_array_new ();
    g_byte_array_append (message, &kind, 1);
  }
  while (ogg_stream_flush (&self->out, &page)) {
    g_byte_array_append (message, page.header, page.header_len);
    g_byte_array_append (message, page.body, page.body_len);
  }
  if (self->spoil)
    message->data[message->len - 1] ^= 1;
  self->spoil = FALSE;
  if (self->batch != NULL)
    return;
  test_client_send (self, message->data, message->len);
  g_byte_array_unref (message);
}

/**
 * test_client_spoil_next:
 * @self: the client
 *
 * Makes the checksum of the next page wrong.
 */
void
test_client_spoil_next (TestClient * self)
{
  self->spoil = TRUE;
}

/**
 * test_client_send_bos:
 * @self: the client
 *
 * Begins the Ogg stream; a second call begins it again, as no client may.
 */
void
test_client_send_bos (TestClient * self)
{
  guint8 head[19] = "OpusHead\1\1\70\1\300\135\0\0\0\0\0";
  guint8 tags[17] = "OpusTags\1\0\0\0t\0\0\0";

  if (self->out_open)
    ogg_stream_clear (&self->out);
  self->out_open = TRUE;
  self->packet_no = 0;
  self->granule = 0;
  ogg_stream_init (&self->out, SERIAL);
  send_pages (self, 0, head, sizeof head);
  send_pages (self, 0, tags, sizeof tags);
}

/**
 * test_client_send_pcm:
 * @self: the client
 * @pcm: (array length=packet_samples): at 24 kHz
 * @packet_samples: a legal Opus duration
 *
 * Sends one packet, and the headers first if they were not sent.
 */
void
test_client_send_pcm (TestClient * self, const gint16 * pcm,
    guint packet_samples)
{
  guint8 packet[4000];
  gint size;

  if (!self->out_open)
    test_client_send_bos (self);
  size = opus_encode (self->encoder, pcm, packet_samples, packet,
      sizeof packet);
  g_assert_cmpint (size, >, 0);
  self->granule += 2 * packet_samples;
  send_pages (self, self->granule, packet, size);
}

/**
 * test_client_send_audio:
 * @self: the client
 * @ms: how much, in all
 * @packet_ms: in packets of this
 *
 * Sends a tone of 440 Hz.
 */
void
test_client_send_audio (TestClient * self, guint ms, guint packet_ms)
{
  gint16 pcm[MAX_SAMPLES];
  guint n = packet_ms * INPUT_RATE / 1000;
  guint sent;
  guint i;

  for (sent = 0; sent + packet_ms <= ms; sent += packet_ms) {
    for (i = 0; i < n; i++)
      pcm[i] = 8000 * sin (2 * G_PI * 440 * self->phase++ / INPUT_RATE);
    test_client_send_pcm (self, pcm, n);
  }
}

/**
 * test_client_begin_message:
 * @self: the client
 *
 * Keeps all pages back, for test_client_end_message().
 */
void
test_client_begin_message (TestClient * self)
{
  static const guint8 kind = 1;

  self->batch = g_byte_array_new ();
  g_byte_array_append (self->batch, &kind, 1);
}

/**
 * test_client_end_message:
 * @self: the client
 *
 * Sends the pages since test_client_begin_message() as one message.
 */
void
test_client_end_message (TestClient * self)
{
  GByteArray *message = g_steal_pointer (&self->batch);

  test_client_send (self, message->data, message->len);
  g_byte_array_unref (message);
}

/**
 * test_client_send_audio_at_once:
 * @self: the client
 * @ms: how much
 * @packet_ms: in packets of so much
 *
 * As test_client_send_audio(), all in one message.
 */
void
test_client_send_audio_at_once (TestClient * self, guint ms, guint packet_ms)
{
  test_client_begin_message (self);
  test_client_send_audio (self, ms, packet_ms);
  test_client_end_message (self);
}

/**
 * test_client_send_raw_packet:
 * @self: the client, that has begun its stream
 * @packet: (array length=size): what claims to be Opus
 * @size: in bytes
 */
void
test_client_send_raw_packet (TestClient * self, const gchar * packet,
    gsize size)
{
  send_pages (self, self->granule, (guint8 *) packet, size);
}

/**
 * test_client_forget_bos:
 * @self: the client
 *
 * Lets the stream begin without its headers.
 */
void
test_client_forget_bos (TestClient * self)
{
  ogg_stream_init (&self->out, SERIAL);
  self->out.b_o_s = 1;
  self->out_open = TRUE;
  self->packet_no = 2;
}

/**
 * test_client_skip_granule:
 * @self: the client
 * @by: how far the granule positions are off from now on
 */
void
test_client_skip_granule (TestClient * self, gint64 by)
{
  self->granule += by;
}

/**
 * test_client_close:
 * @self: the client
 * @code: close code
 * @reason: (nullable): words to it
 */
void
test_client_close (TestClient * self, guint code, const gchar * reason)
{
  soup_websocket_connection_close (self->ws, code, reason);
}

/**
 * test_client_wait_handshake:
 * @self: the client
 */
void
test_client_wait_handshake (TestClient * self)
{
  guint watchdog = start_waiting ("the handshake");

  while (!self->answer.handshake && !self->answer.closed)
    g_main_context_iteration (NULL, TRUE);
  g_source_remove (watchdog);
  g_assert_true (self->answer.handshake);
}

/**
 * test_client_wait_samples:
 * @self: the client
 * @n: how many samples, for each channel, must have been decoded
 */
void
test_client_wait_samples (TestClient * self, gsize n)
{
  guint watchdog = start_waiting ("the audio");

  while (self->answer.pcm->len < n * self->channels && !self->answer.closed)
    g_main_context_iteration (NULL, TRUE);
  g_source_remove (watchdog);
  g_assert_cmpuint (self->answer.pcm->len, >=, n * self->channels);
}

/**
 * test_client_wait_texts:
 * @self: the client
 * @n: how many text messages must have come
 */
void
test_client_wait_texts (TestClient * self, guint n)
{
  guint watchdog = start_waiting ("the text");

  while (self->answer.texts->len < n && !self->answer.closed)
    g_main_context_iteration (NULL, TRUE);
  g_source_remove (watchdog);
  g_assert_cmpuint (self->answer.texts->len, >=, n);
}

/**
 * test_client_wait_messages:
 * @self: the client
 * @n: how many messages must have come
 */
void
test_client_wait_messages (TestClient * self, guint n)
{
  guint watchdog = start_waiting ("the messages");

  while (self->answer.messages->len < n && !self->answer.closed)
    g_main_context_iteration (NULL, TRUE);
  g_source_remove (watchdog);
  g_assert_cmpuint (self->answer.messages->len, >=, n);
}

/**
 * test_client_wait_closed:
 * @self: the client
 */
void
test_client_wait_closed (TestClient * self)
{
  guint watchdog = start_waiting ("the close");

  while (!self->answer.closed)
    g_main_context_iteration (NULL, TRUE);
  g_source_remove (watchdog);
}
