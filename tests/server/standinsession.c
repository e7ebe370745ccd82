/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One connection, from the upgrade to its end: what comes before the
 * handshake, then a step of the model for each 80 ms heard.
 *
 * Server thread only.
 */
#include "standin.h"
#include "standinogg.h"
#include "standinwire.h"

#include <string.h>

/* What a client may send ahead of the handshake before TCP holds it back. */
#define MAX_EARLY (1024 * 1024)
/* Bytes the kernel did not take; servers that send before they read on stop
 * there. */
#define MAX_QUEUED (256 * 1024)
#define FRAME_US (80 * 1000)
/* The input is moved to the front of its array when so much is used up. */
#define COMPACT_SAMPLES (10 * MOSHI_STANDIN_RATE)
#define MAX_LEFTOVERS 1000
#define N_COLOURS 11

typedef enum
{
  WAITING,                      /* another session holds the lock */
  PRELUDE,                      /* image, prompts, delays: no handshake yet */
  READY,
  ENDING,                       /* the last words are on their way */
  ENDED,
} State;

/* The kinds of messages, protocol.md of kyutai-labs/moshi. */
enum
{
  KIND_HANDSHAKE = 0,
  KIND_AUDIO = 1,
  KIND_TEXT = 2,
  KIND_CONTROL = 3,
  KIND_METADATA = 4,
  KIND_ERROR = 5,
  KIND_PING = 6,
  KIND_COLOURED_TEXT = 7,
  KIND_IMAGE = 8,
};

struct _StandinSession
{
  MoshiStandin *server;
  const StandinFlavour *flavour;
  StandinFaults *faults;
  GHashTable *query;
  StandinWire *wire;
  guint number;
  State state;
  gboolean handshaken;
  gboolean image_seen;
  gboolean said_goodbye;        /* the client's close frame has come */
  GSource *timer;               /* of the prelude, then of the next step */
  GRand *rand;

  GQueue early;                 /* GBytes, for after the handshake */
  gsize early_bytes;

  StandinOggIn *ogg_in;
  GArray *pcm;                  /* float; what the steps have not used */
  gsize used;                   /* of pcm */
  guint64 steps;
  guint64 max_steps;
  gboolean over;                /* max_steps are made */
  guint calls_after;            /* audio messages since */
  gint64 last_finish;           /* when the last step was done, us */

  StandinVoice *voice;
  StandinEncoder *encoder;
  StandinOggOut *ogg_out;
  gboolean headers_sent;
  guint64 samples_out;
  guint64 pages_out;
  guint frames;                 /* answered */
  GPtrArray *pieces;            /* of --text */
  guint next_piece;
  GQueue words;                 /* pieces due */

  gboolean stalling;
  GQueue held;                  /* GBytes, while stalling */
  GSource *stall_timer;
};

static void pump (StandinSession * self, gint64 available_at);
static void take_message (StandinSession * self, const guint8 * data,
    gsize size);

/* Sending */

static void
send_message (StandinSession * self, gconstpointer data, gsize size)
{
  if (self->stalling)
    g_queue_push_tail (&self->held, g_bytes_new (data, size));
  else
    standin_wire_send (self->wire, STANDIN_WIRE_BINARY, data, size);
}

static void
send_kind (StandinSession * self, guint8 kind, gconstpointer data, gsize size)
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
  guint8 head[2] = { KIND_TEXT, 0 };

  if (self->flavour->coloured) {
    head[0] = KIND_COLOURED_TEXT;
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
    n = g_rand_int_range (self->rand, 0, MIN (size, 200) + 1);
    send_kind (self, KIND_AUDIO, data, n);
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
    send_kind (self, KIND_AUDIO, pages->data, pages->len);
  g_byte_array_set_size (pages, 0);
}

/* Ending */

static void
clear_timer (GSource ** timer)
{
  if (*timer == NULL)
    return;
  g_source_destroy (*timer);
  g_clear_pointer (timer, g_source_unref);
}

/* MLX computes what it has heard, client or not, and the next one gets it. */
static void
leave_behind (StandinSession * self)
{
  MoshiStandin *server = self->server;
  guint64 passed = standin_ogg_in_get_passed (self->ogg_in);
  gfloat *frame;

  while (passed >= (self->steps + 1) * MOSHI_STANDIN_FRAME
      && server->leftovers.length < MAX_LEFTOVERS) {
    standin_voice_hear (self->voice,
        &g_array_index (self->pcm, gfloat, self->used));
    frame = g_new (gfloat, MOSHI_STANDIN_FRAME);
    standin_voice_speak (self->voice, frame, &self->words);
    g_queue_push_tail (&server->leftovers, frame);
    self->used += MOSHI_STANDIN_FRAME;
    self->steps++;
  }
}

/* No more steps; the lock is the next one's. */
static void
stop_working (StandinSession * self)
{
  if (self->state >= ENDING)
    return;
  if (self->flavour->leftovers && self->state == READY)
    leave_behind (self);
  self->state = ENDING;
  clear_timer (&self->timer);
  clear_timer (&self->stall_timer);
  standin_release_lock (self->server, self);
}

static void
end (StandinSession * self)
{
  if (self->state == ENDED)
    return;
  stop_working (self);
  self->state = ENDED;
  standin_log (self->server, self->number, "over");
  standin_session_gone (self->server, self);
}

/**
 * standin_session_drop:
 * @self: the session
 *
 * Drops its TCP connection at once. The session frees itself later.
 */
void
standin_session_drop (StandinSession * self)
{
  standin_wire_drop (self->wire);
  end (self);
}

/**
 * standin_session_close:
 * @self: the session
 * @code: WebSocket close code
 *
 * Sends a close frame behind what is queued, then ends the stream.
 */
void
standin_session_close (StandinSession * self, guint code)
{
  standin_log (self->server, self->number, "closing with %u", code);
  standin_wire_close (self->wire, code, NULL);
  stop_working (self);
  standin_wire_finish (self->wire);
}

/* As a server that fell: what was sent still arrives, but no close frame. */
static void
hang_up (StandinSession * self, const gchar * why)
{
  standin_log (self->server, self->number, "hanging up: %s", why);
  stop_working (self);
  standin_wire_finish (self->wire);
}

static void
end_on_bad_ogg (StandinSession * self, const gchar * why)
{
  if (self->flavour->bad_ogg == STANDIN_END_CLOSE)
    standin_session_close (self, 1000);
  else
    hang_up (self, why);
}

/* Faults that count frames */

static void
send_unknown_kinds (StandinSession * self)
{
  static const guint8 restart = 3;

  send_kind (self, 0x0b, "what?", 5);
  send_kind (self, 0x7f, NULL, 0);
  send_kind (self, 0xff, "\0\1\2", 3);
  send_kind (self, KIND_CONTROL, &restart, 1);
  send_kind (self, KIND_PING, NULL, 0);
  send_message (self, NULL, 0);
}

static void
send_giant (StandinSession * self)
{
  gchar *json = g_strnfill (self->faults->giant_message - 1, 'x');

  memcpy (json, "{\"padding\":\"", 12);
  memcpy (json + strlen (json) - 2, "\"}", 2);
  send_kind (self, KIND_METADATA, json, strlen (json));
  g_free (json);
}

static gboolean
on_stall_over (gpointer user_data)
{
  StandinSession *self = user_data;
  GBytes *message;

  clear_timer (&self->stall_timer);
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
        g_timeout_source_new (faults->stall_for * (FRAME_US / 1000));
    g_source_set_callback (self->stall_timer, on_stall_over, self, NULL);
    g_source_attach (self->stall_timer, self->server->context);
  } else if (self->stalling
      && self->frames - faults->stall_at >= faults->stall_for) {
    on_stall_over (self);
  }
}

static void
check_faults (StandinSession * self)
{
  StandinFaults *faults = self->faults;
  guint i;

  check_stall (self);
  if (faults->unknown_kinds && self->frames % 5 == 0)
    send_unknown_kinds (self);
  for (i = 0; i < faults->ping_flood; i++)
    standin_wire_send (self->wire, STANDIN_WIRE_PING, NULL, 0);
  if (self->frames == faults->error_after)
    send_kind (self, KIND_ERROR, faults->error_message,
        strlen (faults->error_message));
  if (self->frames == faults->close_after)
    standin_session_close (self, faults->close_code);
  if (self->frames == faults->drop_after)
    hang_up (self, "as asked for");
}

/* Steps */

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
  standin_ogg_out_head (self->ogg_out, pages);
  if (self->flavour->layout == STANDIN_LAYOUT_HEADERS_APART)
    send_audio (self, pages);
  standin_ogg_out_tags (self->ogg_out, pages);
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

  if (self->server->recorded != NULL) {
    record = &self->server->recorded[self->frames % STANDIN_RECORDED];
    send_packets (self, record->packets, record->n_packets);
  } else {
    n = standin_encoder_run (self->encoder, frame, packets);
    send_packets (self, packets, n);
  }
  self->frames++;
  standin_stats_begin (self->server)->frames_sent++;
  standin_stats_end (self->server);
}

static void
queue_piece (StandinSession * self)
{
  if (self->pieces == NULL || self->next_piece >= self->pieces->len
      || self->frames % self->server->config.text_every != 0)
    return;
  g_queue_push_tail (&self->words,
      g_strdup (g_ptr_array_index (self->pieces, self->next_piece)));
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

/* A model gives one token a step, so one piece at most goes with a frame. */
static void
answer (StandinSession * self)
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
  check_faults (self);
}

static void
answer_leftovers (StandinSession * self)
{
  gfloat *frame;

  while (self->flavour->leftovers && self->state == READY
      && (frame = g_queue_pop_head (&self->server->leftovers))) {
    send_frame (self, frame);
    g_free (frame);
  }
}

static gboolean
limit_is_reached (StandinSession * self)
{
  if (self->flavour->limit == STANDIN_LIMIT_MUTE)
    return self->server->life_steps >= self->max_steps;
  return self->max_steps > 0 && self->steps >= self->max_steps;
}

static void
step (StandinSession * self)
{
  if (limit_is_reached (self)) {
    if (!self->over)
      standin_log (self->server, self->number, "max_steps are made");
    self->over = TRUE;
    return;
  }
  standin_voice_hear (self->voice,
      &g_array_index (self->pcm, gfloat, self->used));
  self->used += MOSHI_STANDIN_FRAME;
  if (self->used >= COMPACT_SAMPLES) {
    g_array_remove_range (self->pcm, 0, self->used);
    self->used = 0;
  }
  standin_stats_begin (self->server)->frames_in++;
  standin_stats_end (self->server);
  self->server->life_steps++;
  if (self->steps++ >= self->flavour->delay)
    answer (self);
}

static gboolean
can_step (StandinSession * self)
{
  return self->state == READY && !self->over && self->timer == NULL
      && self->frames < self->faults->freeze_after
      && standin_wire_get_queued (self->wire) < MAX_QUEUED
      && standin_ogg_in_get_passed (self->ogg_in)
      >= (self->steps + 1) * MOSHI_STANDIN_FRAME;
}

static void
set_timer (StandinSession * self, gint64 at, GSourceFunc func)
{
  self->timer = g_timeout_source_new (0);
  g_source_set_callback (self->timer, func, self, NULL);
  g_source_set_ready_time (self->timer, at);
  g_source_attach (self->timer, self->server->context);
}

static gboolean
on_step_done (gpointer user_data)
{
  StandinSession *self = user_data;

  clear_timer (&self->timer);
  step (self);
  pump (self, self->last_finish);
  return G_SOURCE_REMOVE;
}

/* Takes all the steps that can be taken now. With a speed, a step lasts as
 * long as the model would compute: it begins when its input is there and the
 * one before is done, whichever is later. */
static void
pump (StandinSession * self, gint64 available_at)
{
  gdouble speed = self->server->config.speed;

  while (can_step (self)) {
    if (speed > 0) {
      self->last_finish = MAX (available_at, self->last_finish)
          + FRAME_US / speed;
      set_timer (self, self->last_finish, on_step_done);
    } else {
      step (self);
    }
  }
  /* The Python servers send before they read on. */
  if (self->state == READY && self->flavour->max_message > 0
      && standin_wire_get_queued (self->wire) >= MAX_QUEUED)
    standin_wire_set_reading (self->wire, FALSE);
}

/* The session's beginning */

static void
take_early (StandinSession * self)
{
  GBytes *message;

  while (self->state == READY && (message = g_queue_pop_head (&self->early))) {
    take_message (self, g_bytes_get_data (message, NULL),
        g_bytes_get_size (message));
    g_bytes_unref (message);
  }
}

static void
send_handshake (StandinSession * self)
{
  static const guint8 versions[8] = { 0 };
  gchar *metadata;

  if (self->flavour->metadata) {
    metadata = standin_flavour_metadata (self->query);
    send_kind (self, KIND_METADATA, metadata, strlen (metadata));
    g_free (metadata);
  }
  if (self->faults->no_handshake)
    return;
  send_kind (self, KIND_HANDSHAKE, versions, self->flavour->handshake_payload);
  self->handshaken = TRUE;
  standin_stats_begin (self->server)->handshakes++;
  standin_stats_end (self->server);
  standin_log (self->server, self->number, "handshake sent");
}

static void
get_ready (StandinSession * self)
{
  StandinLayout layout = self->flavour->layout;
  GByteArray *pages = g_byte_array_new ();

  send_handshake (self);
  if (self->handshaken) {
    self->state = READY;
    if (layout == STANDIN_LAYOUT_HEADERS_ALONE
        || layout == STANDIN_LAYOUT_HEADERS_APART) {
      add_headers (self, pages);
      send_audio (self, pages);
    }
    if (self->faults->giant_message > 0)
      send_giant (self);
    if (self->faults->never_read)
      standin_wire_set_reading (self->wire, FALSE);
    answer_leftovers (self);
    check_faults (self);
    take_early (self);
  }
  g_byte_array_unref (pages);
}

static gboolean
on_prelude_over (gpointer user_data)
{
  StandinSession *self = user_data;

  clear_timer (&self->timer);
  get_ready (self);
  return G_SOURCE_REMOVE;
}

static void
prepare (StandinSession * self)
{
  guint wait = self->flavour->wants_prompts ? self->server->prompt_ms : 0;

  if (self->faults->handshake_delay > 0)
    wait = self->faults->handshake_delay;
  if (wait > 0)
    set_timer (self, g_get_monotonic_time () + wait * (gint64) 1000,
        on_prelude_over);
  else
    get_ready (self);
}

/* PersonaPlex looks these up after the upgrade, where a failure can only drop
 * the connection; and it looks for the seed in the wrong place. */
static gboolean
prompts_are_there (StandinSession * self)
{
  const gchar *voice = g_hash_table_lookup (self->query, "voice_prompt");
  const gchar *text = g_hash_table_lookup (self->query, "text_prompt");

  return voice != NULL && *voice != '\0' && text != NULL && *text != '\0'
      && g_hash_table_lookup (self->query, "seed") == NULL;
}

static void
take_image (StandinSession * self, guint8 kind)
{
  if (self->image_seen)
    return;
  self->image_seen = TRUE;
  if (kind == KIND_IMAGE)
    prepare (self);
  else
    hang_up (self, "the first message is no image");
}

/**
 * standin_session_is_waiting:
 * @self: the session
 *
 * Returns: TRUE until standin_session_begin(), unless it has ended already
 */
gboolean
standin_session_is_waiting (StandinSession * self)
{
  return self->state == WAITING;
}

/**
 * standin_session_begin:
 * @self: a session that may have the lock
 */
void
standin_session_begin (StandinSession * self)
{
  GBytes *first;
  const guint8 *data;

  if (self->state != WAITING)
    return;
  self->state = PRELUDE;
  standin_wire_set_reading (self->wire, TRUE);
  if (self->faults->close_at_once > 0) {
    standin_session_close (self, self->faults->close_at_once);
  } else if (self->flavour->wants_image) {
    first = g_queue_pop_head (&self->early);
    if (first == NULL)
      return;
    data = g_bytes_get_data (first, NULL);
    take_image (self, data[0]);
    g_bytes_unref (first);
  } else {
    prepare (self);
  }
}

/* What comes in */

static void
count_message (StandinSession * self, const guint8 * data, gsize size)
{
  MoshiStandinStats *stats = standin_stats_begin (self->server);
  guint kind;

  stats->largest_message = MAX (stats->largest_message, size);
  stats->unmasked_frames = standin_wire_get_unmasked (self->wire);
  if (size == 0) {
    stats->empty_messages++;
  } else {
    kind = MIN (data[0], G_N_ELEMENTS (stats->messages) - 1);
    stats->messages[kind]++;
    stats->bytes[kind] += size;
  }
  if (!self->handshaken) {
    stats->early_messages++;
    stats->early_audio += size > 0 && data[0] == KIND_AUDIO;
  }
  standin_stats_end (self->server);
}

static void
keep_pcm (StandinSession * self, guint had)
{
  GArray *kept = self->server->pcm;
  guint n = self->pcm->len - had;

  n = MIN (n, self->server->config.keep_pcm - MIN (kept->len,
          self->server->config.keep_pcm));
  if (n > 0)
    g_array_append_vals (kept, &g_array_index (self->pcm, gfloat, had), n);
}

static void
judge (StandinSession * self, StandinOggProblem problem, guint n)
{
  if (problem == STANDIN_OGG_BAD_CRC)
    end_on_bad_ogg (self, "wrong CRC");
  else if (problem == STANDIN_OGG_BAD_PACKET)
    end_on_bad_ogg (self, "undecodable packet");
  else if (problem == STANDIN_OGG_SECOND_BOS && self->flavour->second_bos_ends)
    hang_up (self, "second BOS page");
  else if (self->flavour->max_samples > 0 && n > self->flavour->max_samples)
    hang_up (self, "more than 5 s in one message");
}

/* A server whose model has gone finds out when it wants to pass on audio. */
static void
call_after_limit (StandinSession * self)
{
  StandinLimit limit = self->flavour->limit;

  self->calls_after++;
  if (limit == STANDIN_LIMIT_DROP_FIRST
      || (limit == STANDIN_LIMIT_DROP_SECOND && self->calls_after > 1))
    hang_up (self, "max_steps are made");
}

static void
take_audio (StandinSession * self, const guint8 * data, gsize size)
{
  MoshiStandin *server = self->server;
  guint had = self->pcm->len;
  StandinOggProblem problem;
  guint n;

  if (self->over)
    call_after_limit (self);
  if (self->state != READY)
    return;
  problem = standin_ogg_in_feed (self->ogg_in, data, size,
      standin_stats_begin (server), self->pcm, server->packets,
      server->config.keep_packets, server->report);
  keep_pcm (self, had);
  standin_stats_end (server);
  n = self->pcm->len - had;
  judge (self, problem, n);
  if (self->over)
    g_array_set_size (self->pcm, had);
  pump (self, g_get_monotonic_time ());
}

static void
take_message (StandinSession * self, const guint8 * data, gsize size)
{
  if (size == 0)
    return;
  if (self->flavour->last_kind >= 0 && data[0] > self->flavour->last_kind)
    hang_up (self, "unknown kind");
  else if (data[0] == KIND_AUDIO)
    take_audio (self, data + 1, size - 1);
}

static void
take_early_message (StandinSession * self, const guint8 * data, gsize size)
{
  if (size == 0)
    return;
  if (self->state == PRELUDE && self->flavour->wants_image
      && !self->image_seen) {
    take_image (self, data[0]);
  } else if (!self->flavour->eats_early || self->state == WAITING) {
    g_queue_push_tail (&self->early, g_bytes_new (data, size));
    self->early_bytes += size;
    if (self->early_bytes > MAX_EARLY)
      standin_wire_set_reading (self->wire, FALSE);
  }
}

static void
count_control (StandinSession * self, StandinOpcode opcode, gsize size)
{
  MoshiStandinStats *stats = standin_stats_begin (self->server);

  if (opcode == STANDIN_WIRE_TEXT) {
    stats->text_frames++;
  } else if (opcode == STANDIN_WIRE_PONG) {
    stats->pongs++;
  } else {
    stats->pings++;
    stats->ping_bytes += size;
  }
  standin_stats_end (self->server);
}

static void
on_message (StandinOpcode opcode, const guint8 * data, gsize size,
    gpointer user_data)
{
  StandinSession *self = user_data;

  if (self->state >= ENDING)
    return;
  if (opcode == STANDIN_WIRE_BINARY)
    count_message (self, data, size);
  else
    count_control (self, opcode, size);
  /* aiohttp looks at nothing before the handler asks, pings included. */
  if (opcode == STANDIN_WIRE_PING && self->state != WAITING)
    standin_wire_send (self->wire, STANDIN_WIRE_PONG, data, size);
  if (opcode != STANDIN_WIRE_BINARY && !self->flavour->parses_all_frames)
    return;
  if (self->state == READY)
    take_message (self, data, size);
  else
    take_early_message (self, data, size);
}

static void
on_closed (guint code, const guint8 * reason, gsize size, gpointer user_data)
{
  StandinSession *self = user_data;
  MoshiStandinStats *stats = standin_stats_begin (self->server);

  stats->closes++;
  stats->close_code = code;
  stats->close_had_reason = size > 0;
  standin_stats_end (self->server);
  self->said_goodbye = TRUE;
  standin_log (self->server, self->number, "client closes with %u", code);
  if (self->state == WAITING || self->state == ENDING)
    return;
  if (self->flavour->parses_all_frames && size > 0
      && reason[0] > self->flavour->last_kind) {
    hang_up (self, "the close reason is no message");
  } else {
    standin_session_close (self, code);
  }
}

static void
on_gone (gpointer user_data)
{
  StandinSession *self = user_data;

  if (!self->said_goodbye && self->state < ENDING) {
    standin_log (self->server, self->number, "client is lost");
    standin_stats_begin (self->server)->losses++;
    standin_stats_end (self->server);
  }
  end (self);
}

static void
on_drained (gpointer user_data)
{
  StandinSession *self = user_data;

  if (self->state != READY)
    return;
  if (!self->faults->never_read)
    standin_wire_set_reading (self->wire, TRUE);
  pump (self, g_get_monotonic_time ());
}

/* moshi-backend lets the client ask for less than its own limit. */
static guint64
get_max_steps (StandinSession * self)
{
  const gchar *asked = g_hash_table_lookup (self->query, "max_steps");
  guint64 limit = self->server->max_steps;

  if (!self->flavour->checks_query || asked == NULL)
    return limit;
  return MIN (g_ascii_strtoull (asked, NULL, 10), limit);
}

/**
 * standin_session_new:
 * @server: whose
 * @stream: (transfer full): the stream that was upgraded
 * @socket: (transfer none): under it
 * @deflate: whether permessage-deflate was agreed on
 * @query: (transfer none): of the request
 * @faults: (transfer full): the faults it meets
 *
 * Returns: (transfer full): a session that waits for standin_session_begin()
 */
StandinSession *
standin_session_new (MoshiStandin * server, GIOStream * stream,
    GSocket * socket, gboolean deflate, GHashTable * query,
    StandinFaults * faults)
{
  static const StandinWireEvents events = { on_message, on_closed, on_gone,
    on_drained
  };
  MoshiStandinConfig *config = &server->config;
  const StandinFlavour *flavour = server->flavour;
  StandinSession *self = g_new0 (StandinSession, 1);

  self->server = server;
  self->flavour = flavour;
  self->faults = faults;
  self->query = g_hash_table_ref (query);
  self->max_steps = get_max_steps (self);
  self->number = ++server->n_sessions;
  self->rand = g_rand_new_with_seed (config->seed);
  self->ogg_in = standin_ogg_in_new (server->recorded == NULL,
      flavour->flush);
  self->pcm = g_array_new (FALSE, FALSE, sizeof (gfloat));
  self->voice = standin_voice_new (config->voice, config->seed);
  self->encoder = standin_encoder_new (flavour, config->bitrate);
  self->ogg_out = standin_ogg_out_new ();
  if (config->text != NULL)
    self->pieces = standin_text_pieces (config->text, config->byte_fallback,
        flavour->fallback_literal);
  self->wire = standin_wire_new (stream, socket, deflate,
      flavour->max_message, &events, self);
  standin_log (server, self->number, "upgraded");
  if (flavour->wants_prompts && !prompts_are_there (self))
    hang_up (self, "no voice_prompt and text_prompt, or a seed");
  standin_wire_set_reading (self->wire, TRUE);
  return self;
}

/**
 * standin_session_free:
 * @self: (transfer full): a session that is over
 */
void
standin_session_free (StandinSession * self)
{
  standin_wire_free (self->wire);
  g_hash_table_unref (self->query);
  standin_faults_free (self->faults);
  g_rand_free (self->rand);
  g_queue_clear_full (&self->early, (GDestroyNotify) g_bytes_unref);
  g_queue_clear_full (&self->held, (GDestroyNotify) g_bytes_unref);
  g_queue_clear_full (&self->words, g_free);
  standin_ogg_in_free (self->ogg_in);
  g_array_unref (self->pcm);
  standin_voice_free (self->voice);
  standin_encoder_free (self->encoder);
  standin_ogg_out_free (self->ogg_out);
  g_clear_pointer (&self->pieces, g_ptr_array_unref);
  g_free (self);
}
