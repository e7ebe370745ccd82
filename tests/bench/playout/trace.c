/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Traces: made here, by seed, or read. A trace in a file is lines of JSON: a
 * header, then one for each message of the server. */

#include "playoutbench.h"

#include <json-glib/json-glib.h>
#include <math.h>

#define RATE 24000
#define FRAME 1920
#define FRAME_MS 80.0
#define NETWORK_MS 150.0
#define STALL_START 20000.0

/* Each seed begins elsewhere in the recording. */
#define SEED_STEP_MS 1910.0

/**
 * bench_mask_load:
 * @self: (out caller-allocates): a mask
 * @path: a JSON file whose `mask` is a string of bits of 10 ms
 * @error: return location
 */
gboolean
bench_mask_load (BenchMask * self, const gchar * path, GError ** error)
{
  g_autoptr (JsonParser) parser = json_parser_new ();
  const gchar *bits;

  if (!json_parser_load_from_file (parser, path, error))
    return FALSE;
  bits = json_object_get_string_member_with_default (json_node_get_object
      (json_parser_get_root (parser)), "mask", "");
  self->bits = g_strdup (bits);
  self->length = strlen (bits);
  return self->length > 0;
}

/**
 * bench_mask_clear:
 * @self: a mask
 */
void
bench_mask_clear (BenchMask * self)
{
  g_clear_pointer (&self->bits, g_free);
}

static BenchTrace *
new_trace (void)
{
  BenchTrace *self = g_new0 (BenchTrace, 1);

  self->messages = g_array_new (FALSE, FALSE, sizeof (BenchMessage));
  self->stall_start = -1;
  return self;
}

/**
 * bench_trace_free:
 * @self: (transfer full)
 */
void
bench_trace_free (BenchTrace * self)
{
  g_array_unref (self->messages);
  g_free (self->name);
  g_free (self);
}

/* When the server gives out what it should give out at `planned` */
static gdouble
emit (const BenchShape * shape, gdouble planned, gdouble last)
{
  gdouble end = STALL_START + shape->stall;

  if (shape->stall <= 0 || shape->catch_up <= 0 || planned < STALL_START)
    return planned;
  return MAX (MAX (planned, planned < end ? end : 0), last + shape->catch_up);
}

static gdouble
travel (const BenchShape * shape, GRand * random, gdouble emitted)
{
  gdouble arrival = emitted + NETWORK_MS;

  if (shape->jitter > 0)
    arrival -= log (1 - g_rand_double (random)) * shape->jitter;
  if (shape->spike > 0 && g_rand_double (random) < shape->spike_chance)
    arrival += shape->spike * g_rand_double_range (random, 0.5, 1.5);
  if (shape->stall > 0 && shape->catch_up <= 0 && arrival >= STALL_START)
    arrival = MAX (arrival, STALL_START + shape->stall);
  return arrival;
}

/**
 * bench_trace_make:
 * @shape: what it should be like
 * @seed: from 1 on
 *
 * Returns: (transfer full): the same trace for the same arguments, anywhere
 */
BenchTrace *
bench_trace_make (const BenchShape * shape, gint seed)
{
  g_autoptr (GRand) random =
      g_rand_new_with_seed ((guint32) seed * 2654435761u);
  BenchTrace *self = new_trace ();
  const gdouble period = FRAME_MS / (1 + shape->drift);
  gdouble emitted = 0, last = 0;
  guint i;

  self->name = g_strdup (shape->name);
  self->seed = seed;
  self->mask_offset = (seed - 1) * SEED_STEP_MS;
  self->duration = shape->duration > 0 ? shape->duration : 120000;
  self->rate = RATE;
  self->frame = FRAME;
  if (shape->stall > 0) {
    self->stall_start = STALL_START;
    self->stall_length = shape->stall;
  }
  for (i = 0; i * period < self->duration; i++) {
    BenchMessage message = { i * period, 0, i * FRAME, FRAME };

    emitted = emit (shape, message.sent, emitted);
    last = message.arrival = MAX (last, travel (shape, random, emitted));
    g_array_append_val (self->messages, message);
  }
  return self;
}

static void
take_header (BenchTrace * self, JsonObject * header)
{
  JsonObject *stall = NULL;

  self->name = g_strdup (json_object_get_string_member (header, "name"));
  self->seed = (gint) json_object_get_int_member (header, "seed");
  self->mask_offset =
      json_object_get_double_member_with_default (header, "mask_offset_ms", 0);
  self->duration = json_object_get_double_member (header, "duration_ms");
  self->rate = (guint) json_object_get_int_member (header, "rate");
  self->frame = (guint) json_object_get_int_member (header, "frame_samples");
  if (json_object_has_member (header, "stall")
      && !json_object_get_null_member (header, "stall"))
    stall = json_object_get_object_member (header, "stall");
  if (stall) {
    self->stall_start = json_object_get_double_member (stall, "at");
    self->stall_length = json_object_get_double_member (stall, "len");
  }
}

static void
take_message (BenchTrace * self, JsonObject * line)
{
  BenchMessage message = {
    json_object_get_double_member (line, "send_ms"),
    json_object_get_double_member (line, "arrival_ms"),
    (guint) json_object_get_int_member (line, "src"),
    (guint) json_object_get_int_member (line, "samples"),
  };

  g_array_append_val (self->messages, message);
}

/**
 * bench_trace_load:
 * @path: of a trace
 * @error: return location
 *
 * Returns: (transfer full) (nullable): it
 */
BenchTrace *
bench_trace_load (const gchar * path, GError ** error)
{
  g_autoptr (JsonParser) parser = json_parser_new ();
  g_autoptr (BenchTrace) self = NULL;
  g_autofree gchar *text = NULL;
  g_auto (GStrv) lines = NULL;
  guint i;

  if (!g_file_get_contents (path, &text, NULL, error))
    return NULL;
  self = new_trace ();
  lines = g_strsplit (g_strchomp (text), "\n", -1);
  for (i = 0; lines[i]; i++) {
    JsonObject *object;

    if (!json_parser_load_from_data (parser, lines[i], -1, error))
      return NULL;
    object = json_node_get_object (json_parser_get_root (parser));
    if (i == 0)
      take_header (self, object);
    else
      take_message (self, object);
  }
  return g_steal_pointer (&self);
}
