/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "standinwire.h"

#include <string.h>

#define READ_SIZE (64 * 1024)
/* What a client may send that a real server would take without a limit. */
#define HARD_LIMIT (64 * 1024 * 1024)

/* How long a client may take to end TCP once we have ended our half. */
#define LINGER_MS 2000

#define CLOSE_PROTOCOL_ERROR 1002
#define CLOSE_TOO_BIG 1009

struct _StandinWire
{
  gint refs;                    /* one for the owner, one per operation */
  GIOStream *stream;
  GSocket *socket;
  GCancellable *cancellable;
  StandinWireEvents events;
  gpointer user_data;
  gsize max_message;
  GConverter *inflate;          /* NULL without permessage-deflate */
  GConverter *deflate;

  GByteArray *in;               /* bytes not yet parsed */
  GByteArray *message;          /* fragments of a message so far */
  StandinOpcode opcode;         /* of that message, 0 for none */
  gboolean compressed;          /* that message is */
  guint8 *buffer;               /* for the read that is under way */
  guint64 unmasked;

  GByteArray *out;              /* waits to be written */
  GByteArray *writing;          /* is being written */

  GSource *linger;
  gboolean parsing;
  gboolean reading;             /* wanted */
  gboolean read_pending;
  gboolean write_pending;
  gboolean peer_closed;         /* a close frame came; ignore what follows */
  gboolean finishing;           /* end the stream once `out` is written */
  gboolean dead;                /* the owner hears of nothing any more */
};

static void read_more (StandinWire * self);
static void write_more (StandinWire * self);

static StandinWire *
hold (StandinWire * self)
{
  self->refs++;
  return self;
}

static void
release (StandinWire * self)
{
  if (--self->refs > 0)
    return;
  g_object_unref (self->stream);
  g_object_unref (self->socket);
  g_object_unref (self->cancellable);
  g_clear_object (&self->inflate);
  g_clear_object (&self->deflate);
  g_byte_array_unref (self->in);
  g_byte_array_unref (self->message);
  g_byte_array_unref (self->out);
  g_byte_array_unref (self->writing);
  g_free (self->buffer);
  g_free (self);
}

/* The socket is shut under the stream, so that TLS says no goodbye either. */
static void
cut (StandinWire * self)
{
  self->dead = TRUE;
  if (self->linger != NULL) {
    g_source_destroy (self->linger);
    g_clear_pointer (&self->linger, g_source_unref);
  }
  g_cancellable_cancel (self->cancellable);
  g_socket_shutdown (self->socket, TRUE, TRUE, NULL);
  g_socket_close (self->socket, NULL);
}

static void
lose (StandinWire * self)
{
  if (self->dead)
    return;
  cut (self);
  self->events.gone (self->user_data);
}

static gboolean
on_linger_over (gpointer user_data)
{
  StandinWire *self = user_data;

  lose (self);
  return G_SOURCE_REMOVE;
}

/* Our half only: what the client still sends must be read, for a socket
 * closed on unread bytes resets, and the reset can overtake our last words. */
static void
end_stream (StandinWire * self)
{
  if (self->dead)
    return;
  g_socket_shutdown (self->socket, FALSE, TRUE, NULL);
  self->peer_closed = TRUE;
  self->linger = g_timeout_source_new (LINGER_MS);
  g_source_set_callback (self->linger, on_linger_over, self, NULL);
  g_source_attach (self->linger, g_main_context_get_thread_default ());
  read_more (self);
}

static void
fail (StandinWire * self, guint code)
{
  self->peer_closed = TRUE;
  standin_wire_close (self, code, NULL);
  standin_wire_finish (self);
}

/* Runs all of `in` through the converter. GZlib does not say where it stands
 * between two messages, so the output is taken until no more comes. */
static GByteArray *
convert (GConverter * converter, const guint8 * in, gsize size,
    GConverterFlags flags, gsize limit)
{
  GByteArray *out = g_byte_array_new ();
  guint8 chunk[4096];
  gsize n_read;
  gsize n_written;
  GConverterResult result;

  do {
    result = g_converter_convert (converter, in, size, chunk, sizeof chunk,
        flags, &n_read, &n_written, NULL);
    if (result == G_CONVERTER_ERROR)
      break;
    in += n_read;
    size -= n_read;
    g_byte_array_append (out, chunk, n_written);
  } while (result != G_CONVERTER_FLUSHED && out->len <= limit
      && (size > 0 || n_written == sizeof chunk));
  if (result == G_CONVERTER_ERROR && size > 0)
    g_clear_pointer (&out, g_byte_array_unref);
  return out;
}

/* RFC 7692 7.2.2: the four bytes every message is shorn of come back. */
static gboolean
inflate_message (StandinWire * self)
{
  static const guint8 tail[] = { 0x00, 0x00, 0xff, 0xff };
  GByteArray *plain;

  g_byte_array_append (self->message, tail, sizeof tail);
  plain = convert (self->inflate, self->message->data, self->message->len,
      G_CONVERTER_NO_FLAGS, HARD_LIMIT);
  if (plain == NULL)
    return FALSE;
  g_byte_array_unref (self->message);
  self->message = plain;
  return TRUE;
}

static void
finish_message (StandinWire * self)
{
  StandinOpcode opcode = self->opcode;
  gsize limit = self->max_message;

  self->opcode = 0;
  if (self->compressed && !inflate_message (self)) {
    fail (self, CLOSE_PROTOCOL_ERROR);
    return;
  }
  if (limit > 0 && self->message->len >= limit) {
    fail (self, CLOSE_TOO_BIG);
    return;
  }
  self->events.message (opcode, self->message->data, self->message->len,
      self->user_data);
  g_byte_array_set_size (self->message, 0);
}

static void
handle_close (StandinWire * self, const guint8 * data, gsize size)
{
  guint code = 1005;

  self->peer_closed = TRUE;
  if (size >= 2)
    code = data[0] << 8 | data[1];
  self->events.closed (code, size > 2 ? data + 2 : NULL,
      size > 2 ? size - 2 : 0, self->user_data);
}

static void
handle_frame (StandinWire * self, guint8 first, const guint8 * data, gsize size)
{
  guint opcode = first & 0x0f;
  gboolean start = opcode == STANDIN_WIRE_TEXT || opcode == STANDIN_WIRE_BINARY;

  if (opcode == STANDIN_WIRE_CLOSE) {
    handle_close (self, data, size);
  } else if (opcode == STANDIN_WIRE_PING || opcode == STANDIN_WIRE_PONG) {
    self->events.message (opcode, data, size, self->user_data);
  } else if ((start && self->opcode != 0) || (opcode == 0 && !self->opcode)
      || opcode > STANDIN_WIRE_BINARY) {
    fail (self, CLOSE_PROTOCOL_ERROR);
  } else {
    if (start) {
      self->opcode = opcode;
      self->compressed = (first & 0x40) != 0;
    }
    g_byte_array_append (self->message, data, size);
    if (first & 0x80)
      finish_message (self);
  }
}

/* RFC 6455 5.2. Returns the size of the header, 0 if it is not all there. */
static guint
parse_header (const guint8 * data, gsize have, guint64 * payload)
{
  guint size = 2;
  guint length;
  guint i;

  if (have < 2)
    return 0;
  length = data[1] & 0x7f;
  size += length == 126 ? 2 : length == 127 ? 8 : 0;
  if (data[1] & 0x80)
    size += 4;
  if (have < size)
    return 0;
  *payload = length;
  if (length >= 126) {
    *payload = 0;
    for (i = 0; i < (length == 126 ? 2 : 8); i++)
      *payload = *payload << 8 | data[2 + i];
  }
  return size;
}

static gboolean
header_is_allowed (StandinWire * self, guint8 first, guint64 payload)
{
  guint8 reserved = first & 0x70;
  gboolean control = (first & 0x08) != 0;

  if (control && (payload > 125 || !(first & 0x80) || reserved))
    return FALSE;
  return reserved == 0 || (reserved == 0x40 && self->inflate != NULL);
}

/* Returns how many bytes the frame at `data` took, 0 if more must come. */
static gsize
take_frame (StandinWire * self, guint8 * data, gsize have)
{
  guint64 payload;
  guint header = parse_header (data, have, &payload);
  gsize limit = self->max_message > 0 ? self->max_message : HARD_LIMIT;
  guint64 i;

  if (header == 0)
    return 0;
  if (!header_is_allowed (self, data[0], payload)) {
    fail (self, CLOSE_PROTOCOL_ERROR);
    return 0;
  }
  if (payload >= limit || self->message->len + payload >= limit) {
    fail (self, CLOSE_TOO_BIG);
    return 0;
  }
  if (have - header < payload)
    return 0;
  if (data[1] & 0x80) {
    for (i = 0; i < payload; i++)
      data[header + i] ^= data[header - 4 + i % 4];
  } else {
    self->unmasked++;
  }
  handle_frame (self, data[0], data + header, payload);
  return header + payload;
}

static void
parse (StandinWire * self)
{
  gsize pos = 0;
  gsize taken;

  if (self->parsing)
    return;
  self->parsing = TRUE;
  /* A callee that stops the reading gets nothing more until it wants it. */
  while (!self->dead && !self->peer_closed && self->reading) {
    taken = take_frame (self, self->in->data + pos, self->in->len - pos);
    if (taken == 0)
      break;
    pos += taken;
  }
  if (self->peer_closed)
    pos = self->in->len;
  if (pos > 0)
    g_byte_array_remove_range (self->in, 0, pos);
  self->parsing = FALSE;
}

static void
on_read (GObject * source, GAsyncResult * result, gpointer user_data)
{
  StandinWire *self = user_data;
  gssize n;

  n = g_input_stream_read_finish (G_INPUT_STREAM (source), result, NULL);
  self->read_pending = FALSE;
  if (n <= 0) {
    lose (self);
  } else if (!self->dead) {
    if (!self->peer_closed)
      g_byte_array_append (self->in, self->buffer, n);
    parse (self);
    read_more (self);
  }
  release (self);
}

static void
read_more (StandinWire * self)
{
  if (self->dead || self->read_pending)
    return;
  if (!self->reading && !self->peer_closed)
    return;
  self->read_pending = TRUE;
  g_input_stream_read_async (g_io_stream_get_input_stream (self->stream),
      self->buffer, READ_SIZE, G_PRIORITY_DEFAULT, self->cancellable, on_read,
      hold (self));
}

static void
on_written (GObject * source, GAsyncResult * result, gpointer user_data)
{
  StandinWire *self = user_data;
  gboolean ok;

  ok = g_output_stream_write_all_finish (G_OUTPUT_STREAM (source), result,
      NULL, NULL);
  self->write_pending = FALSE;
  g_byte_array_set_size (self->writing, 0);
  if (!ok) {
    lose (self);
  } else if (self->out->len > 0) {
    write_more (self);
  } else if (self->finishing) {
    end_stream (self);
  } else if (!self->dead) {
    self->events.drained (self->user_data);
  }
  release (self);
}

static void
write_more (StandinWire * self)
{
  GByteArray *batch = self->out;

  if (self->dead || self->write_pending || batch->len == 0)
    return;
  self->write_pending = TRUE;
  self->out = self->writing;
  self->writing = batch;
  g_output_stream_write_all_async (g_io_stream_get_output_stream
      (self->stream), batch->data, batch->len, G_PRIORITY_DEFAULT,
      self->cancellable, on_written, hold (self));
}

/**
 * standin_wire_new:
 * @stream: (transfer full): the stream that was upgraded
 * @socket: (transfer none): the socket under it
 * @deflate: whether permessage-deflate was agreed on
 * @max_message: bytes a message must stay under; 0 is no limit but a very
 *     high one
 * @events: whom to tell, in this thread's main context
 * @user_data: theirs
 *
 * Nothing is read until standin_wire_set_reading() says so.
 *
 * Returns: (transfer full): free it with standin_wire_free()
 */
StandinWire *
standin_wire_new (GIOStream * stream, GSocket * socket, gboolean deflate,
    gsize max_message, const StandinWireEvents * events, gpointer user_data)
{
  StandinWire *self = g_new0 (StandinWire, 1);

  self->refs = 1;
  self->stream = stream;
  self->socket = g_object_ref (socket);
  self->cancellable = g_cancellable_new ();
  self->events = *events;
  self->user_data = user_data;
  self->max_message = max_message;
  self->in = g_byte_array_new ();
  self->message = g_byte_array_new ();
  self->out = g_byte_array_new ();
  self->writing = g_byte_array_new ();
  self->buffer = g_malloc (READ_SIZE);
  if (deflate) {
    self->inflate = G_CONVERTER (g_zlib_decompressor_new
        (G_ZLIB_COMPRESSOR_FORMAT_RAW));
    self->deflate = G_CONVERTER (g_zlib_compressor_new
        (G_ZLIB_COMPRESSOR_FORMAT_RAW, -1));
  }
  return self;
}

/**
 * standin_wire_free:
 * @self: (transfer full): the wire; dropped if it still stands
 */
void
standin_wire_free (StandinWire * self)
{
  if (!self->dead)
    cut (self);
  release (self);
}

static void
append_header (GByteArray * out, guint8 first, gsize size)
{
  guint8 header[10] = { first };
  guint n = 2;
  guint i;

  if (size < 126) {
    header[1] = size;
  } else {
    n = size < 65536 ? 4 : 10;
    header[1] = n == 4 ? 126 : 127;
    for (i = n - 1; i >= 2; i--, size >>= 8)
      header[i] = size & 0xff;
  }
  g_byte_array_append (out, header, n);
}

/**
 * standin_wire_send:
 * @self: the wire
 * @opcode: of the frame
 * @data: (array length=size) (nullable): its payload
 * @size: in bytes
 *
 * Queues one frame; text and binary messages are always whole.
 */
void
standin_wire_send (StandinWire * self, StandinOpcode opcode,
    gconstpointer data, gsize size)
{
  GByteArray *squeezed = NULL;
  guint8 first = 0x80 | opcode;

  if (self->dead || self->finishing)
    return;
  if (self->deflate != NULL && opcode < STANDIN_WIRE_CLOSE && size > 0) {
    squeezed = convert (self->deflate, data, size, G_CONVERTER_FLUSH,
        G_MAXSIZE);
  }
  if (squeezed != NULL && squeezed->len > 4) {
    first |= 0x40;
    append_header (self->out, first, squeezed->len - 4);
    g_byte_array_append (self->out, squeezed->data, squeezed->len - 4);
  } else {
    append_header (self->out, first, size);
    if (size > 0)
      g_byte_array_append (self->out, data, size);
  }
  g_clear_pointer (&squeezed, g_byte_array_unref);
  write_more (self);
}

/**
 * standin_wire_close:
 * @self: the wire
 * @code: to close with; 1005 sends a frame without one
 * @reason: (nullable): words to it
 *
 * Queues a close frame. The stream stands until the client, or
 * standin_wire_finish(), ends it.
 */
void
standin_wire_close (StandinWire * self, guint code, const gchar * reason)
{
  GByteArray *payload = g_byte_array_new ();
  guint8 bytes[2] = { code >> 8, code & 0xff };

  if (code != 1005) {
    g_byte_array_append (payload, bytes, 2);
    if (reason != NULL)
      g_byte_array_append (payload, (const guint8 *) reason,
          MIN (strlen (reason), 123));
  }
  standin_wire_send (self, STANDIN_WIRE_CLOSE, payload->data, payload->len);
  g_byte_array_unref (payload);
}

/**
 * standin_wire_finish:
 * @self: the wire
 *
 * Ends the stream once all that is queued has been written.
 */
void
standin_wire_finish (StandinWire * self)
{
  if (self->finishing)
    return;
  self->finishing = TRUE;
  if (!self->write_pending)
    end_stream (self);
}

/**
 * standin_wire_drop:
 * @self: the wire
 *
 * Ends the TCP connection at once, without a close frame and without what is
 * queued. No event comes after it.
 */
void
standin_wire_drop (StandinWire * self)
{
  if (!self->dead)
    cut (self);
}

/**
 * standin_wire_set_reading:
 * @self: the wire
 * @reading: whether to take what the client sends; if not, TCP holds it back
 */
void
standin_wire_set_reading (StandinWire * self, gboolean reading)
{
  if (self->reading == reading)
    return;
  self->reading = reading;
  if (!reading)
    return;
  hold (self);
  /* Nothing else would look at what has been read already. */
  parse (self);
  read_more (self);
  release (self);
}

/**
 * standin_wire_get_queued:
 * @self: the wire
 *
 * Returns: bytes queued and not yet taken by the kernel
 */
gsize
standin_wire_get_queued (StandinWire * self)
{
  return self->out->len + self->writing->len;
}

/**
 * standin_wire_get_unmasked:
 * @self: the wire
 *
 * Returns: how many frames came without a mask, against RFC 6455 5.3
 */
guint64
standin_wire_get_unmasked (StandinWire * self)
{
  return self->unmasked;
}

/**
 * standin_wire_accept_key:
 * @key: the client's Sec-WebSocket-Key
 *
 * Returns: (transfer full): the answer to it, RFC 6455 4.2.2
 */
gchar *
standin_wire_accept_key (const gchar * key)
{
  static const gchar guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  GChecksum *sum = g_checksum_new (G_CHECKSUM_SHA1);
  guint8 digest[20];
  gsize size = sizeof digest;

  g_checksum_update (sum, (const guchar *) key, -1);
  g_checksum_update (sum, (const guchar *) guid, -1);
  g_checksum_get_digest (sum, digest, &size);
  g_checksum_free (sum);
  return g_base64_encode (digest, size);
}
