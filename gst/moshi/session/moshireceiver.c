/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "moshireceiver.h"

#include "moshifault.h"
#include "../protocol/moshimessage.h"
#include "../protocol/moshimetadata.h"
#include "../protocol/moshioggreader.h"
#include "../protocol/moshiopus.h"
#include "../protocol/moshispacing.h"

/* Most of a server's error message that is shown, in characters. */
#define MAX_SERVER_ERROR 1000

/* Bytes of a handshake that tells the versions of protocol and model. */
#define HANDSHAKE_VERSIONS 8

/* What is warned of, each at most once a second. */
typedef enum
{
  WARN_TEXT_FRAME,
  WARN_MALFORMED,
  WARN_UNKNOWN,
  WARN_EARLY_AUDIO,
  WARN_METADATA,
  WARN_TEXT,
  WARN_OGG,
  N_WARNINGS
} Warning;

struct _MoshiReceiver
{
  MoshiReceiverEmit emit;
  gpointer user_data;
  MoshiOggReader *reader;
  gboolean ready;
  guint n_metadata;             /* that came on this connection */
  gboolean has_versions;        /* in the handshake */
  gint64 warned[N_WARNINGS];    /* µs, 0 for never */
  guint barren;                 /* audio messages in a row without a packet */
  gint64 barren_since;          /* µs, when the first of them came */
  guint64 skipped;              /* the reader's count at the last packet */
  guint64 holes;                /* likewise, at the last message */
  guint64 samples;              /* 48 kHz */
  MoshiSpacing spacing;
};

/**
 * moshi_receiver_new:
 * @emit: called for each event
 * @user_data: for @emit
 *
 * Returns: (transfer full): a receiver
 */
MoshiReceiver *
moshi_receiver_new (MoshiReceiverEmit emit, gpointer user_data)
{
  MoshiReceiver *self = g_new0 (MoshiReceiver, 1);

  self->emit = emit;
  self->user_data = user_data;
  self->reader = moshi_ogg_reader_new ();
  return self;
}

/**
 * moshi_receiver_free:
 * @self: (transfer full): a receiver
 */
void
moshi_receiver_free (MoshiReceiver * self)
{
  moshi_ogg_reader_free (self->reader);
  g_free (self);
}

/**
 * moshi_receiver_start:
 * @self: a receiver
 *
 * A new connection begins: nothing of the last one's stream is left.
 */
void
moshi_receiver_start (MoshiReceiver * self)
{
  MoshiOggReaderStats stats;

  moshi_ogg_reader_reset (self->reader);
  moshi_ogg_reader_get_stats (self->reader, &stats);
  self->skipped = stats.skipped_bytes;
  self->holes = stats.holes;
  self->barren = 0;
  self->ready = self->has_versions = FALSE;
  self->n_metadata = 0;
}

/**
 * moshi_receiver_set_ready:
 * @self: a receiver
 *
 * The handshake has been: audio counts from now on.
 */
void
moshi_receiver_set_ready (MoshiReceiver * self)
{
  self->ready = TRUE;
}

/**
 * moshi_receiver_get_samples:
 * @self: a receiver
 *
 * Returns: audio of all connections so far, in samples at 48 kHz
 */
guint64
moshi_receiver_get_samples (MoshiReceiver * self)
{
  return self->samples;
}

static void
warn (MoshiReceiver * self, Warning warning, gint64 now, GError * error)
{
  MoshiSessionEvent event = { MOSHI_SESSION_WARNING, };

  if (self->warned[warning] == 0
      || now - self->warned[warning] >= G_USEC_PER_SEC) {
    self->warned[warning] = now;
    event.error = error;
    event.color = MOSHI_MESSAGE_NO_COLOR;
    event.time = now;
    self->emit (&event, self->user_data);
  }
  g_error_free (error);
}

static void
emit_bytes (MoshiReceiver * self, MoshiSessionEventKind kind, GBytes * bytes,
    gint color, gint64 now)
{
  MoshiSessionEvent event = { kind, };

  event.bytes = bytes;
  event.color = color;
  event.time = now;
  self->emit (&event, self->user_data);
}

static void
emit_payload (MoshiReceiver * self, MoshiSessionEventKind kind, GBytes * bytes,
    const MoshiMessage * message, gint64 now)
{
  gsize offset = g_bytes_get_size (bytes) - message->size;
  g_autoptr (GBytes) payload = g_bytes_new_from_bytes (bytes, offset,
      message->size);

  emit_bytes (self, kind, payload, message->color, now);
}

/* A piece, with the space before it that its server has lost */
static void
emit_spaced (MoshiReceiver * self, const MoshiMessage * message, gint64 now)
{
  GByteArray *spaced = g_byte_array_sized_new (message->size + 1);
  g_autoptr (GBytes) bytes = NULL;

  g_byte_array_append (spaced, (const guint8 *) " ", 1);
  g_byte_array_append (spaced, message->payload, message->size);
  bytes = g_byte_array_free_to_bytes (spaced);
  emit_bytes (self, MOSHI_SESSION_TEXT, bytes, message->color, now);
}

static guint
emit_packets (MoshiReceiver * self, gint64 now)
{
  MoshiSessionEvent event = { MOSHI_SESSION_PACKET, };
  GBytes *packet;
  const guint8 *data;
  gsize size;
  guint n = 0;

  event.color = MOSHI_MESSAGE_NO_COLOR;
  event.time = now;
  while ((packet = moshi_ogg_reader_pull (self->reader)) != NULL) {
    data = g_bytes_get_data (packet, &size);
    self->samples += moshi_opus_packet_duration (data, size);
    event.bytes = packet;
    self->emit (&event, self->user_data);
    g_bytes_unref (packet);
    n++;
  }
  return n;
}

/* Whether the stream can still be called readable after a message that gave
 * @n packets. */
static gboolean
check_stream (MoshiReceiver * self, guint n, gint64 now, GError ** error)
{
  MoshiOggReaderStats stats;

  moshi_ogg_reader_get_stats (self->reader, &stats);
  if (n > 0) {
    self->barren = 0;
    self->skipped = stats.skipped_bytes;
  } else if (self->barren++ == 0) {
    self->barren_since = now;
  }
  if (stats.holes > self->holes) {
    self->holes = stats.holes;
    warn (self, WARN_OGG, now, g_error_new_literal (MOSHI_ERROR,
            MOSHI_ERROR_OGG, "Part of the server's audio was damaged or "
            "missing and was skipped."));
  }
  if (stats.skipped_bytes - self->skipped <= MOSHI_RECEIVER_MAX_SKIPPED
      && (self->barren < MOSHI_RECEIVER_MAX_BARREN
          || now - self->barren_since < MOSHI_RECEIVER_MAX_BARREN_TIME))
    return TRUE;
  g_set_error (error, MOSHI_ERROR, MOSHI_ERROR_OGG,
      "The server's audio cannot be read: the last %u messages held no Opus "
      "in Ogg; check that the URI names a Moshi server.", self->barren);
  return FALSE;
}

static MoshiReceiverResult
take_audio (MoshiReceiver * self, const MoshiMessage * message, gint64 now,
    GError ** error)
{
  g_autoptr (GError) reason = NULL;
  guint n;

  if (!self->ready) {
    warn (self, WARN_EARLY_AUDIO, now, g_error_new_literal (MOSHI_ERROR,
            MOSHI_ERROR_MESSAGE, "The server sent audio before its handshake; "
            "it was skipped."));
    return MOSHI_RECEIVER_NOTHING;
  }
  if (!moshi_ogg_reader_push (self->reader, message->payload, message->size,
          &reason)) {
    g_set_error (error, MOSHI_ERROR, MOSHI_ERROR_OGG,
        "The server's audio cannot be read: %s", reason->message);
    return MOSHI_RECEIVER_FAULT;
  }
  n = emit_packets (self, now);
  if (!check_stream (self, n, now, error))
    return MOSHI_RECEIVER_FAULT;
  return n > 0 ? MOSHI_RECEIVER_ANSWER : MOSHI_RECEIVER_NOTHING;
}

static MoshiReceiverResult
take_text (MoshiReceiver * self, GBytes * bytes, const MoshiMessage * message,
    gint64 now)
{
  if (message->kind == MOSHI_MESSAGE_COLORED_TEXT
      && message->color == MOSHI_MESSAGE_NO_COLOR) {
    warn (self, WARN_MALFORMED, now, g_error_new_literal (MOSHI_ERROR,
            MOSHI_ERROR_MESSAGE, "The server sent JSON where coloured text "
            "was due; it was skipped."));
    return MOSHI_RECEIVER_NOTHING;
  }
  if (message->size > MOSHI_RECEIVER_MAX_TEXT) {
    warn (self, WARN_TEXT, now, g_error_new (MOSHI_ERROR, MOSHI_ERROR_LIMIT,
            "The server sent a piece of text of more than %d bytes; it was "
            "skipped.", MOSHI_RECEIVER_MAX_TEXT));
    return MOSHI_RECEIVER_NOTHING;
  }
  if (moshi_spacing_take (&self->spacing, message->payload, message->size,
          self->samples))
    emit_spaced (self, message, now);
  else
    emit_payload (self, MOSHI_SESSION_TEXT, bytes, message, now);
  return MOSHI_RECEIVER_ANSWER;
}

static MoshiReceiverResult
take_metadata (MoshiReceiver * self, GBytes * bytes,
    const MoshiMessage * message, gint64 now)
{
  if (message->size > MOSHI_METADATA_MAX_SIZE)
    warn (self, WARN_METADATA, now, g_error_new (MOSHI_ERROR,
            MOSHI_ERROR_LIMIT, "The server sent metadata of more than %d "
            "bytes; it was skipped.", MOSHI_METADATA_MAX_SIZE));
  else if (self->n_metadata++ >= MOSHI_RECEIVER_MAX_METADATA)
    warn (self, WARN_METADATA, now, g_error_new (MOSHI_ERROR,
            MOSHI_ERROR_LIMIT, "The server sent metadata more than %d times; "
            "it is skipped from now on.", MOSHI_RECEIVER_MAX_METADATA));
  else
    emit_payload (self, MOSHI_SESSION_METADATA, bytes, message, now);
  return MOSHI_RECEIVER_NOTHING;
}

static MoshiReceiverResult
take_server_error (const MoshiMessage * message, GError ** error)
{
  g_autofree gchar *words = moshi_fault_quote ((const gchar *) message->payload,
      message->size, MAX_SERVER_ERROR);

  g_set_error (error, MOSHI_ERROR, MOSHI_ERROR_SERVER,
      "The server reports an error: %s; try again, or ask who runs the server.",
      *words ? words : "(no words)");
  return MOSHI_RECEIVER_FAULT;
}

static MoshiReceiverResult
skip (MoshiReceiver * self, const MoshiMessage * message, gint64 now)
{
  warn (self, WARN_UNKNOWN, now, g_error_new (MOSHI_ERROR, MOSHI_ERROR_MESSAGE,
          "The server sent a message of kind %u (%s), which means nothing "
          "here; it was skipped.", message->kind,
          moshi_message_kind_name (message->kind)));
  return MOSHI_RECEIVER_NOTHING;
}

/**
 * moshi_receiver_take:
 * @self: a receiver
 * @bytes: a WebSocket message
 * @is_text: whether it was a text message, which no server sends
 * @now: when it was taken off the socket, in µs
 * @error: return location for an error
 *
 * Reads one message and emits what it holds. What is unknown or malformed is
 * skipped with a warning.
 *
 * Returns: what it was; %MOSHI_RECEIVER_FAULT with @error set to
 *     %MOSHI_ERROR_SERVER for the server's own error and to %MOSHI_ERROR_OGG
 *     for audio that cannot be read for longer than the limits above
 */
MoshiReceiverResult
moshi_receiver_take (MoshiReceiver * self, GBytes * bytes, gboolean is_text,
    gint64 now, GError ** error)
{
  gsize size;
  const guint8 *data = g_bytes_get_data (bytes, &size);
  MoshiMessage message;
  GError *reason = NULL;

  if (is_text) {
    warn (self, WARN_TEXT_FRAME, now, g_error_new_literal (MOSHI_ERROR,
            MOSHI_ERROR_MESSAGE, "The server sent a WebSocket text message, "
            "which means nothing here; it was skipped."));
    return MOSHI_RECEIVER_NOTHING;
  }
  if (!moshi_message_parse (data, size, &message, &reason)) {
    warn (self, WARN_MALFORMED, now, reason);
    return MOSHI_RECEIVER_NOTHING;
  }
  switch (message.kind) {
    case MOSHI_MESSAGE_HANDSHAKE:
      self->has_versions = message.size >= HANDSHAKE_VERSIONS;
      moshi_spacing_begin (&self->spacing, self->has_versions);
      return MOSHI_RECEIVER_HANDSHAKE;
    case MOSHI_MESSAGE_AUDIO:
      return take_audio (self, &message, now, error);
    case MOSHI_MESSAGE_TEXT:
    case MOSHI_MESSAGE_COLORED_TEXT:
      return take_text (self, bytes, &message, now);
    case MOSHI_MESSAGE_METADATA:
      return take_metadata (self, bytes, &message, now);
    case MOSHI_MESSAGE_ERROR:
      return take_server_error (&message, error);
    default:
      return skip (self, &message, now);
  }
}

/**
 * moshi_receiver_get_barren:
 * @self: a receiver
 *
 * Returns: how many audio messages have come since the last one that gave an
 *     Opus packet, on this connection
 */
guint
moshi_receiver_get_barren (MoshiReceiver * self)
{
  return self->barren;
}

/**
 * moshi_receiver_get_greeting:
 * @self: a receiver
 *
 * Returns: how the server has begun on this connection
 */
MoshiGreeting
moshi_receiver_get_greeting (MoshiReceiver * self)
{
  if (!self->has_versions)
    return MOSHI_GREETING_PLAIN;
  return self->n_metadata >
      0 ? MOSHI_GREETING_METADATA : MOSHI_GREETING_VERSIONS;
}
