/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a step of the model to the messages the flavour makes of it, and the
 * faults that spoil them. Server thread only. */
#include "standinsession.h"

#include <string.h>

#define N_COLOURS 11
/* The fault chunk=random makes no message longer than this. */
#define MAX_CHUNK 200
/* The fault unknown-kinds strikes every so many frames. */
#define UNKNOWN_EVERY 5

/**
 * standin_clear_timer:
 * @timer: (inout): destroyed and set to NULL, if there is one
 */
void
standin_clear_timer (GSource ** timer)
{
  if (*timer == NULL)
    return;
  g_source_destroy (*timer);
  g_clear_pointer (timer, g_source_unref);
}

static void
send_message (StandinSession * self, gconstpointer data, gsize size)
{
  MoshiStandinStats *stats = standin_stats_begin (self->server);

  stats->messages_sent++;
  stats->bytes_sent += size;
  standin_stats_end (self->server);
  if (self->stalling)
    g_queue_push_tail (&self->held, g_bytes_new (data, size));
  else
    standin_wire_send (self->wire, STANDIN_WIRE_BINARY, data, size);
}

/**
 * standin_send_kind:
 * @self: the session
 * @kind: of the message
 * @data: (array length=size) (nullable): its payload
 * @size: in bytes
 */
void
standin_send_kind (StandinSession * self, guint8 kind, gconstpointer data,
    gsize size)
{
  GByteArray *message = g_byte_array_new ();

  g_byte_array_append (message, &kind, 1);
  if (size > 0)
    g_byte_array_append (message, data, size);
  send_message (self, message->data, message->len);
  g_byte_array_unref (message);
}

static void
send_text (StandinSession * self, const gchar * piece)
{
  GByteArray *message = g_byte_array_new ();
  guint8 head[2] = { STANDIN_KIND_TEXT, 0 };

  if (self->flavour->coloured) {
    head[0] = STANDIN_KIND_COLOURED_TEXT;
    head[1] = self->next_piece % N_COLOURS;
  }
  g_byte_array_append (message, head, self->flavour->coloured ? 2 : 1);
  g_byte_array_append (message, (const guint8 *) piece, strlen (piece));
  send_message (self, message->data, message->len);
  g_byte_array_unref (message);
  standin_stats_begin (self->server)->text_sent++;
  standin_stats_end (self->server);
  standin_log (self->server, self->number, "says “%s”", piece);
}

/* The fault chunk=random: a byte stream may be cut anywhere. */
static void
send_chunks (StandinSession * self, const guint8 * data, gsize size)
{
  gsize n;

  while (size > 0) {
    n = g_rand_int_range (self->rand, 0, MIN (size, MAX_CHUNK) + 1);
    standin_send_kind (self, STANDIN_KIND_AUDIO, data, n);
    data += n;
    size -= n;
  }
}

static void
send_audio (StandinSession * self, GByteArray * pages)
{
  if (self->faults->chunk)
    send_chunks (self, pages->data, pages->len);
  else
    standin_send_kind (self, STANDIN_KIND_AUDIO, pages->data, pages->len);
  g_byte_array_set_size (pages, 0);
}

static void
send_unknown_kinds (StandinSession * self)
{
  static const guint8 restart = 3;

  standin_send_kind (self, 0x0b, "what?", 5);
  standin_send_kind (self, 0x7f, NULL, 0);
  standin_send_kind (self, 0xff, "\0\1\2", 3);
  standin_send_kind (self, STANDIN_KIND_CONTROL, &restart, 1);
  standin_send_kind (self, STANDIN_KIND_PING, NULL, 0);
  send_message (self, NULL, 0);
}

/**
 * standin_send_giant:
 * @self: the session
 *
 * The fault giant-message: metadata with padding, of the size asked for.
 */
void
standin_send_giant (StandinSession * self)
{
  gchar *json = g_strnfill (self->faults->giant_message - 1, 'x');

  memcpy (json, "{\"padding\":\"", 12);
  memcpy (json + strlen (json) - 2, "\"}", 2);
  standin_send_kind (self, STANDIN_KIND_METADATA, json, strlen (json));
  g_free (json);
}

static gboolean
on_stall_over (gpointer user_data)
{
  StandinSession *self = user_data;
  GBytes *message;

  standin_clear_timer (&self->stall_timer);
  self->stalling = FALSE;
  while ((message = g_queue_pop_head (&self->held))) {
    standin_wire_send (self->wire, STANDIN_WIRE_BINARY,
        g_bytes_get_data (message, NULL), g_bytes_get_size (message));
    g_bytes_unref (message);
  }
  return G_SOURCE_REMOVE;
}

/* The burst comes when so many frames are held, or when so much time has
 * passed: a client may stop sending when nothing comes. */
static void
check_stall (StandinSession * self)
{
  StandinFaults *faults = self->faults;

  if (faults->stall_at == STANDIN_NEVER || self->frames < faults->stall_at)
    return;
  if (!self->stalling && self->frames == faults->stall_at) {
    self->stalling = TRUE;
    self->stall_timer =
        g_timeout_source_new (faults->stall_for * STANDIN_FRAME_MS);
    g_source_set_callback (self->stall_timer, on_stall_over, self, NULL);
    g_source_attach (self->stall_timer, self->server->context);
  } else if (self->stalling
      && self->frames - faults->stall_at >= faults->stall_for) {
    on_stall_over (self);
  }
}

/**
 * standin_check_faults:
 * @self: the session
 *
 * Does what was asked for after so many frames; call it once for each number,
 * 0 included.
 */
void
standin_check_faults (StandinSession * self)
{
  StandinFaults *faults = self->faults;
  guint i;

  check_stall (self);
  if (faults->unknown_kinds && self->frames % UNKNOWN_EVERY == 0)
    send_unknown_kinds (self);
  for (i = 0; i < faults->ping_flood; i++)
    standin_wire_send (self->wire, STANDIN_WIRE_PING, NULL, 0);
  if (self->frames == faults->error_after)
    standin_send_kind (self, STANDIN_KIND_ERROR, faults->error_message,
        strlen (faults->error_message));
  if (self->frames == faults->close_after)
    standin_session_close (self, faults->close_code);
  if (self->frames == faults->drop_after)
    standin_session_hang_up (self, "as asked for");
}

static void
make_page (StandinSession * self, const StandinPacket * packet,
    guint64 granule, GByteArray * pages)
{
  guint bad = self->faults->bad_crc;
  guint every = self->faults->garbage;
  guint start = pages->len;
  guint i;

  standin_ogg_out_packet (self->ogg_out, packet->data, packet->size, granule,
      pages);
  standin_session_keep (self, "said", pages->data + start, pages->len - start);
  self->pages_out++;
  /* Byte 22 of a page begins its checksum. */
  if (bad > 0 && self->pages_out % bad == 0)
    pages->data[start + 22] ^= 0x55;
  if (every > 0 && (self->frames + 1) % every == 0) {
    for (i = start; i < pages->len; i++)
      pages->data[i] = g_rand_int (self->rand);
  }
}

static void
add_headers (StandinSession * self, GByteArray * pages)
{
  guint start = pages->len;

  standin_ogg_out_head (self->ogg_out, pages);
  standin_session_keep (self, "said", pages->data + start, pages->len - start);
  if (self->flavour->layout == STANDIN_LAYOUT_HEADERS_APART)
    send_audio (self, pages);
  start = pages->len;
  standin_ogg_out_tags (self->ogg_out, pages);
  standin_session_keep (self, "said", pages->data + start, pages->len - start);
  self->headers_sent = TRUE;
}

static guint64
get_granule (StandinSession * self, guint nth)
{
  guint64 end = self->samples_out + (nth + 1) * self->flavour->packet_samples;

  switch (self->flavour->granule) {
    case STANDIN_GRANULE_48K:
      return 2 * end;
    case STANDIN_GRANULE_24K:
      return end;
    case STANDIN_GRANULE_24K_STEP:
      return self->samples_out + MOSHI_STANDIN_FRAME;
  }
  return 0;
}

static void
send_packets (StandinSession * self, const StandinPacket * packets, guint n)
{
  gboolean by_page = self->flavour->layout == STANDIN_LAYOUT_PAGE;
  GByteArray *pages = g_byte_array_new ();
  guint i;

  if (!self->headers_sent)
    add_headers (self, pages);
  for (i = 0; i < n; i++) {
    make_page (self, &packets[i], get_granule (self, i), pages);
    if (by_page)
      send_audio (self, pages);
  }
  if (!by_page)
    send_audio (self, pages);
  self->samples_out += MOSHI_STANDIN_FRAME;
  g_byte_array_unref (pages);
}

static void
send_frame (StandinSession * self, const gfloat * frame)
{
  StandinPacket packets[STANDIN_MAX_PACKETS];
  const StandinRecord *record;
  guint n;

  /* First, for who has heard the frame may look at once. */
  standin_stats_begin (self->server)->frames_sent++;
  standin_stats_end (self->server);
  if (self->server->recorded != NULL) {
    record = &self->server->recorded[self->frames % STANDIN_RECORDED];
    send_packets (self, record->packets, record->n_packets);
  } else {
    n = standin_encoder_run (self->encoder, frame, packets);
    send_packets (self, packets, n);
  }
  self->frames++;
}

/**
 * standin_send_headers:
 * @self: the session
 *
 * Sends the Ogg headers ahead of all audio, if the flavour does.
 */
void
standin_send_headers (StandinSession * self)
{
  StandinLayout layout = self->flavour->layout;
  GByteArray *pages = g_byte_array_new ();

  if (layout == STANDIN_LAYOUT_HEADERS_ALONE
      || layout == STANDIN_LAYOUT_HEADERS_APART) {
    add_headers (self, pages);
    send_audio (self, pages);
  }
  g_byte_array_unref (pages);
}

/* The tokens of a word stand in steps one behind the other; words may stand
 * apart. */
static gboolean
is_piece_due (StandinSession * self, const gchar * piece)
{
  if (self->next_piece > 0 && *piece != ' ')
    return TRUE;
  return self->frames % self->server->config.text_every == 0;
}

/* A word behind a pad has no space where a server decodes it on its own. */
static gboolean
is_bare (StandinSession * self, const gchar * piece)
{
  return self->faults->bare_words && !self->flavour->fallback_literal
      && *piece == ' ' && self->next_piece > 0 && self->frames > self->said + 1;
}

static void
queue_piece (StandinSession * self)
{
  const gchar *piece;

  if (self->pieces == NULL || self->next_piece >= self->pieces->len)
    return;
  piece = g_ptr_array_index (self->pieces, self->next_piece);
  if (!is_piece_due (self, piece))
    return;
  g_queue_push_tail (&self->words,
      g_strdup (is_bare (self, piece) ? piece + 1 : piece));
  self->said = self->frames;
  self->next_piece++;
}

static void
say_piece (StandinSession * self)
{
  gchar *piece = g_queue_pop_head (&self->words);

  if (piece == NULL)
    return;
  send_text (self, piece);
  g_free (piece);
}

/**
 * standin_answer:
 * @self: the session
 *
 * Sends the next frame and the piece of text that goes with it. A model gives
 * one token a step, so that is one piece at most.
 */
void
standin_answer (StandinSession * self)
{
  gfloat frame[MOSHI_STANDIN_FRAME];
  StandinOrder order = self->flavour->order;
  gboolean text_first = order == STANDIN_TEXT_FIRST;
  gboolean due = !g_queue_is_empty (&self->words);

  if (order == STANDIN_TEXT_ANYWHERE)
    text_first = g_rand_boolean (self->rand);
  queue_piece (self);
  standin_voice_speak (self->voice, frame, &self->words);
  if (text_first)
    say_piece (self);
  send_frame (self, frame);
  if (!text_first && (due || order != STANDIN_TEXT_LAGS))
    say_piece (self);
  standin_check_faults (self);
}

/**
 * standin_answer_leftovers:
 * @self: the session
 *
 * Sends what an earlier caller of the MLX flavour did not stay to hear.
 */
void
standin_answer_leftovers (StandinSession * self)
{
  gfloat *frame;

  while (self->flavour->leftovers && self->state == STANDIN_READY
      && (frame = g_queue_pop_head (&self->server->leftovers))) {
    send_frame (self, frame);
    g_free (frame);
  }
}
