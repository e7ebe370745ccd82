/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The floor: what N conversations cost with libopus, libogg and libsoup and
 * nothing else, all in one thread: encode, page, send, receive, page, decode. And
 * the codec alone, which hands its packets to itself.
 */
#include "sessions.h"

#include <libsoup/soup.h>
#include <ogg/ogg.h>
#include <opus/opus.h>

#include <string.h>

#define MAX_PACKET 1275

typedef struct
{
  OpusEncoder *encoder;
  OpusDecoder *decoder;
  ogg_stream_state out;
  ogg_stream_state in;
  ogg_sync_state sync;
  gboolean in_known;
  gint64 n_sent;
  gint64 sent_at;
  SoupWebsocketConnection *connection;
} Client;

static Client *clients;
static guint n_clients;
static guint n_ready;
static guint64 n_answered;
static gint64 worst;
static SoupSession *session;

static void
decode (Client * self, const guint8 * data, gint size)
{
  gint16 samples[5760];

  if (opus_decode (self->decoder, data, size, samples, 5760, 0) < 0)
    g_error ("the answer cannot be decoded");
  n_answered++;
}

static gint
encode (Client * self, const gint16 * frame, guint8 * packet)
{
  gint size = opus_encode (self->encoder, frame, MEASURE_FRAME, packet,
      MAX_PACKET);

  g_assert_cmpint (size, >, 0);
  return size;
}

static void
make_codec (Client * self, const SessionsSetup * setup)
{
  /* as the plugin chooses */
  self->encoder = opus_encoder_create (24000, 1, setup->bitrate < 48000 ?
      OPUS_APPLICATION_VOIP : OPUS_APPLICATION_AUDIO, NULL);
  opus_encoder_ctl (self->encoder, OPUS_SET_COMPLEXITY (setup->complexity));
  opus_encoder_ctl (self->encoder, OPUS_SET_BITRATE (setup->bitrate));
  self->decoder = opus_decoder_create (24000, 1, NULL);
}

/* --- the wire ------------------------------------------------------------ */

static void
take_page (Client * self, ogg_page * page)
{
  ogg_packet packet;

  if (!self->in_known)
    ogg_stream_init (&self->in, ogg_page_serialno (page));
  self->in_known = TRUE;
  ogg_stream_pagein (&self->in, page);
  while (ogg_stream_packetout (&self->in, &packet) == 1)
    decode (self, packet.packet, packet.bytes);
}

static void
on_message (SoupWebsocketConnection * connection, gint type, GBytes * message,
    gpointer user_data)
{
  Client *self = user_data;
  gsize size;
  const guint8 *data = g_bytes_get_data (message, &size);
  ogg_page page;

  if (data[0] == 0) {
    n_ready++;
    return;
  }
  memcpy (ogg_sync_buffer (&self->sync, size - 1), data + 1, size - 1);
  ogg_sync_wrote (&self->sync, size - 1);
  while (ogg_sync_pageout (&self->sync, &page) == 1)
    take_page (self, &page);
  worst = MAX (worst, g_get_monotonic_time () - self->sent_at);
}

static void
on_connected (GObject * source, GAsyncResult * result, gpointer user_data)
{
  Client *self = user_data;
  g_autoptr (GError) error = NULL;

  self->connection = soup_session_websocket_connect_finish (session, result,
      &error);
  g_assert_no_error (error);
  g_signal_connect (self->connection, "message", G_CALLBACK (on_message), self);
}

static gboolean
accept_certificate (SoupMessage * message, GTlsCertificate * certificate,
    GTlsCertificateFlags errors, gpointer user_data)
{
  return TRUE;
}

static void
set_trust (const SessionsSetup * setup)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GTlsDatabase) database = NULL;

  if (setup->ca == NULL || setup->system)
    return;
  database = g_tls_file_database_new (setup->ca, &error);
  g_assert_no_error (error);
  soup_session_set_tls_database (session, database);
}

static void
start_floor (const SessionsSetup * setup)
{
  g_autofree gchar *uri = g_strdup_printf ("%s://127.0.0.1:%u/",
      setup->ca ? "wss" : "ws", setup->port);
  guint i;

  n_clients = setup->n;
  clients = g_new0 (Client, n_clients);
  session = soup_session_new_with_options ("max-conns", G_MAXINT16,
      "max-conns-per-host", G_MAXINT16, NULL);
  set_trust (setup);
  for (i = 0; i < n_clients; i++) {
    g_autoptr (SoupMessage) message = soup_message_new ("GET", uri);

    if (setup->system)
      g_signal_connect (message, "accept-certificate",
          G_CALLBACK (accept_certificate), NULL);
    make_codec (&clients[i], setup);
    ogg_stream_init (&clients[i].out, i + 1);
    ogg_sync_init (&clients[i].sync);
    soup_session_websocket_connect_async (session, message, NULL, NULL,
        G_PRIORITY_DEFAULT, NULL, on_connected, &clients[i]);
  }
  while (n_ready < n_clients)
    g_main_context_iteration (NULL, TRUE);
}

static void
feed_floor (guint i, const gint16 * frame)
{
  Client *self = &clients[i];
  guint8 data[MAX_PACKET];
  guint8 message[MAX_PACKET + 300];
  ogg_packet packet = { data, 0, self->n_sent == 0, FALSE,
    (self->n_sent + 1) * 960, self->n_sent
  };
  ogg_page page;

  self->sent_at = g_get_monotonic_time ();
  packet.bytes = encode (self, frame, data);
  self->n_sent++;
  ogg_stream_packetin (&self->out, &packet);
  while (ogg_stream_flush (&self->out, &page)) {
    message[0] = 1;
    memcpy (message + 1, page.header, page.header_len);
    memcpy (message + 1 + page.header_len, page.body, page.body_len);
    soup_websocket_connection_send_binary (self->connection, message,
        1 + page.header_len + page.body_len);
  }
}

static gboolean
on_time (gpointer user_data)
{
  *(gboolean *) user_data = TRUE;
  return G_SOURCE_CONTINUE;
}

static gboolean
dispatch (GSource * source, GSourceFunc callback, gpointer user_data)
{
  g_source_set_ready_time (source, -1);
  return callback (user_data);
}

/* One source for all, as a program that counts its cycles would have it. */
static void
run_floor (gint64 until)
{
  static GSourceFuncs funcs = { NULL, NULL, dispatch, NULL };
  static GSource *timer;
  static gboolean due;

  if (timer == NULL) {
    timer = g_source_new (&funcs, sizeof (GSource));
    g_source_set_callback (timer, on_time, &due, NULL);
    g_source_attach (timer, NULL);
  }
  due = FALSE;
  g_source_set_ready_time (timer, until);
  while (!due)
    g_main_context_iteration (NULL, TRUE);
}

static guint64
count_floor (void)
{
  return n_answered;
}

static gdouble
get_lateness (void)
{
  gdouble lateness = worst / 1000.0;

  worst = 0;
  return lateness;
}

static void
stop_nothing (void)
{
}

const SessionsKind sessions_floor = { start_floor, feed_floor, run_floor,
  count_floor, get_lateness, stop_nothing
};

/* --- the codec alone ----------------------------------------------------- */

static void
start_codec (const SessionsSetup * setup)
{
  guint i;

  n_clients = setup->n;
  clients = g_new0 (Client, n_clients);
  for (i = 0; i < n_clients; i++)
    make_codec (&clients[i], setup);
}

static void
feed_codec (guint i, const gint16 * frame)
{
  guint8 packet[MAX_PACKET];
  gint size = encode (&clients[i], frame, packet);

  decode (&clients[i], packet, size);
}

const SessionsKind sessions_codec = { start_codec, feed_codec, NULL,
  count_floor, get_lateness, stop_nothing
};
