/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One connection, from the upgrade to its end: what comes before the
 * handshake, then a step of the model for each 80 ms heard.
 *
 * Server thread only.
 */
#include "standinsession.h"

#include <stdio.h>
#include <string.h>

/* What a client may send ahead of the handshake before TCP holds it back. */
#define MAX_EARLY (1024 * 1024)
/* Bytes the kernel did not take; servers that send before they read on stop
 * there. */
#define MAX_QUEUED (256 * 1024)
#define FRAME_US (STANDIN_FRAME_MS * 1000)
/* The input is moved to the front of its array when so much is used up. */
#define COMPACT_SAMPLES (10 * MOSHI_STANDIN_RATE)
#define MAX_LEFTOVERS 1000

static void pump (StandinSession * self, gint64 available_at);
static void take_message (StandinSession * self, const guint8 * data,
    gsize size);

/* Ending */

/* Each server answers one step more than its number says. The model of the
 * Rust ones has room for max_steps and its delay of two, and fails in the
 * step that fills it (crate moshi, lm_generate_multistream.rs); MLX asks its
 * own for five steps more, and four went into its warm-up (local_web.py). */
static gboolean
limit_is_reached (StandinSession * self)
{
  gboolean for_life = self->flavour->limit == STANDIN_LIMIT_MUTE;

  return (for_life ? self->server->life_steps : self->steps) > self->max_steps;
}

/* MLX computes what it has heard, client or not, and the next one gets it. */
static void
leave_behind (StandinSession * self)
{
  MoshiStandin *server = self->server;
  guint64 passed = standin_ogg_in_get_passed (self->ogg_in);
  gfloat *frame;

  while (passed >= (self->steps + 1) * MOSHI_STANDIN_FRAME
      && server->leftovers.length < MAX_LEFTOVERS && !limit_is_reached (self)) {
    standin_voice_hear (self->voice,
        &g_array_index (self->pcm, gfloat, self->used));
    frame = g_new (gfloat, MOSHI_STANDIN_FRAME);
    standin_voice_speak (self->voice, frame, &self->words);
    g_queue_push_tail (&server->leftovers, frame);
    self->used += MOSHI_STANDIN_FRAME;
    self->steps++;
    server->life_steps++;
  }
}

/* No more steps; the lock is the next one's. */
static void
stop_working (StandinSession * self)
{
  if (self->state >= STANDIN_ENDING)
    return;
  if (self->flavour->leftovers && self->state == STANDIN_READY)
    leave_behind (self);
  self->state = STANDIN_ENDING;
  standin_clear_timer (&self->timer);
  standin_clear_timer (&self->stall_timer);
  standin_release_lock (self->server, self);
}

static void
end (StandinSession * self)
{
  if (self->state == STANDIN_ENDED)
    return;
  stop_working (self);
  self->state = STANDIN_ENDED;
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

/**
 * standin_session_hang_up:
 * @self: the session
 * @why: for the log
 *
 * Ends it as a server does that fell: what was sent still arrives, but no
 * close frame.
 */
void
standin_session_hang_up (StandinSession * self, const gchar * why)
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
    standin_session_hang_up (self, why);
}

/* Steps */

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
    standin_answer (self);
}

static gboolean
can_step (StandinSession * self)
{
  return self->state == STANDIN_READY && !self->over && self->timer == NULL
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

  standin_clear_timer (&self->timer);
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
  if (self->state == STANDIN_READY && self->flavour->max_message > 0
      && standin_wire_get_queued (self->wire) >= MAX_QUEUED)
    standin_wire_set_reading (self->wire, FALSE);
}

/* The session's beginning */

static void
take_early (StandinSession * self)
{
  GBytes *message;

  while (self->state == STANDIN_READY
      && (message = g_queue_pop_head (&self->early))) {
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
    standin_send_kind (self, STANDIN_KIND_METADATA, metadata,
        strlen (metadata));
    g_free (metadata);
  }
  if (self->faults->no_handshake)
    return;
  standin_send_kind (self, STANDIN_KIND_HANDSHAKE, versions,
      self->flavour->handshake_payload);
  self->handshaken = TRUE;
  standin_stats_begin (self->server)->handshakes++;
  standin_stats_end (self->server);
  standin_log (self->server, self->number, "handshake sent");
}

static void
get_ready (StandinSession * self)
{
  send_handshake (self);
  if (!self->handshaken)
    return;
  self->state = STANDIN_READY;
  standin_send_headers (self);
  if (self->faults->giant_message > 0)
    standin_send_giant (self);
  if (self->faults->never_read)
    standin_wire_set_reading (self->wire, FALSE);
  standin_answer_leftovers (self);
  standin_check_faults (self);
  take_early (self);
}

static gboolean
on_prelude_over (gpointer user_data)
{
  StandinSession *self = user_data;

  standin_clear_timer (&self->timer);
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

/* Not decoded, but a file that breaks off does not pass for an image. */
static gboolean
is_image (const guint8 * data, gsize size)
{
  static const guint8 png[] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n' };
  static const guint8 iend[] = { 'I', 'E', 'N', 'D', 0xae, 0x42, 0x60, 0x82 };

  if (size > sizeof png + sizeof iend && memcmp (data, png, sizeof png) == 0)
    return memcmp (data + size - sizeof iend, iend, sizeof iend) == 0;
  return size > 4 && data[0] == 0xff && data[1] == 0xd8
      && data[size - 2] == 0xff && data[size - 1] == 0xd9;
}

static void
take_image (StandinSession * self, const guint8 * data, gsize size)
{
  if (self->image_seen)
    return;
  self->image_seen = TRUE;
  if (data[0] != STANDIN_KIND_IMAGE) {
    standin_session_hang_up (self, "the first message is no image");
  } else if (!is_image (data + 1, size - 1)) {
    standin_session_hang_up (self, "the image cannot be decoded");
  } else {
    standin_log (self->server, self->number, "sees an image of %"
        G_GSIZE_FORMAT " bytes", size - 1);
    standin_keep_image (self->server, data + 1, size - 1);
    prepare (self);
  }
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
  return self->state == STANDIN_WAITING;
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
  gsize size;

  if (self->state != STANDIN_WAITING)
    return;
  self->state = STANDIN_PRELUDE;
  standin_wire_set_reading (self->wire, TRUE);
  if (self->faults->close_at_once > 0) {
    standin_session_close (self, self->faults->close_at_once);
  } else if (self->flavour->wants_image) {
    first = g_queue_pop_head (&self->early);
    if (first == NULL)
      return;
    data = g_bytes_get_data (first, &size);
    take_image (self, data, size);
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
    stats->early_audio += size > 0 && data[0] == STANDIN_KIND_AUDIO;
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
  if ((problem & STANDIN_OGG_BAD_CRC) && self->flavour->bad_crc_ends)
    end_on_bad_ogg (self, "wrong CRC");
  else if (problem & STANDIN_OGG_BAD_PACKET)
    end_on_bad_ogg (self, "undecodable packet");
  else if ((problem & STANDIN_OGG_SECOND_BOS)
      && self->flavour->second_bos_ends)
    standin_session_hang_up (self, "second BOS page");
  else if (self->flavour->max_samples > 0 && n > self->flavour->max_samples)
    standin_session_hang_up (self, "more than 5 s in one message");
}

/* A server whose model has gone finds out when it wants to pass on audio. */
static void
call_after_limit (StandinSession * self)
{
  StandinLimit limit = self->flavour->limit;

  self->calls_after++;
  if (limit == STANDIN_LIMIT_DROP_FIRST
      || (limit == STANDIN_LIMIT_DROP_SECOND && self->calls_after > 1))
    standin_session_hang_up (self, "max_steps are made");
}

/**
 * standin_session_keep:
 * @self: the session
 * @what: `heard` or `said`
 * @data: (array length=size): bytes of an Ogg stream
 * @size: how many
 *
 * Adds them to a file, if files are wanted.
 */
void
standin_session_keep (StandinSession * self, const gchar * what,
    gconstpointer data, gsize size)
{
  const gchar *stem = self->server->config.keep_files;
  gchar *name;
  FILE *file;

  if (stem == NULL)
    return;
  name = g_strdup_printf ("%s-%s.ogg", stem, what);
  file = fopen (name, "ab");
  if (file == NULL || fwrite (data, 1, size, file) != size)
    g_printerr ("cannot write %s\n", name);
  if (file != NULL)
    fclose (file);
  g_free (name);
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
  if (self->state != STANDIN_READY)
    return;
  standin_session_keep (self, "heard", data, size);
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
    standin_session_hang_up (self, "unknown kind");
  else if (data[0] == STANDIN_KIND_AUDIO)
    take_audio (self, data + 1, size - 1);
}

static void
take_early_message (StandinSession * self, const guint8 * data, gsize size)
{
  if (size == 0)
    return;
  if (self->state == STANDIN_PRELUDE && self->flavour->wants_image
      && !self->image_seen) {
    take_image (self, data, size);
  } else if (!self->flavour->eats_early || self->state == STANDIN_WAITING) {
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

  if (self->state >= STANDIN_ENDING)
    return;
  if (opcode == STANDIN_WIRE_BINARY)
    count_message (self, data, size);
  else
    count_control (self, opcode, size);
  /* aiohttp looks at nothing before the handler asks, pings included. */
  if (opcode == STANDIN_WIRE_PING && self->state != STANDIN_WAITING)
    standin_wire_send (self->wire, STANDIN_WIRE_PONG, data, size);
  if (opcode != STANDIN_WIRE_BINARY && !self->flavour->parses_all_frames)
    return;
  if (self->state == STANDIN_READY)
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
  if (self->state == STANDIN_WAITING || self->state == STANDIN_ENDING)
    return;
  if (self->flavour->parses_all_frames && size > 0
      && reason[0] > self->flavour->last_kind) {
    standin_session_hang_up (self, "the close reason is no message");
  } else {
    standin_session_close (self, code);
  }
}

static void
on_gone (gpointer user_data)
{
  StandinSession *self = user_data;

  if (!self->said_goodbye && self->state < STANDIN_ENDING) {
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

  if (self->state != STANDIN_READY)
    return;
  if (!self->faults->never_read)
    standin_wire_set_reading (self->wire, TRUE);
  pump (self, g_get_monotonic_time ());
}

/* moshi-backend lets the client ask for less than its own limit, none at all
 * included. */
static guint64
get_max_steps (StandinSession * self)
{
  const gchar *asked = g_hash_table_lookup (self->query, "max_steps");
  guint64 limit = self->server->max_steps > 0 ? self->server->max_steps :
      G_MAXUINT64;

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
  self->ogg_in = standin_ogg_in_new (server->recorded == NULL, flavour->flush);
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
    standin_session_hang_up (self,
        "no voice_prompt and text_prompt, or a seed");
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
