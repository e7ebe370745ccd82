/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "moshioggstream.h"

/* What a packet of 20 ms at a usual bit rate takes, a few times over */
#define BODY 1024
#define LACING 32

/* Gives back what is beyond @size. */
static gpointer
shrink (gpointer array, gsize size)
{
  gpointer smaller = _ogg_realloc (array, size);

  return smaller ? smaller : array;
}

/**
 * moshi_ogg_stream_init:
 * @stream: (out caller-allocates): to be freed with ogg_stream_clear()
 * @serial: its serial number
 *
 * ogg_stream_init() with less memory: libogg takes 28 KiB for a start, which is
 * as much again as a decoder for each of the two directions. All of it grows
 * where it is too little.
 */
void
moshi_ogg_stream_init (ogg_stream_state * stream, gint serial)
{
  if (ogg_stream_init (stream, serial) != 0)
    g_error ("out of memory for an Ogg stream");

  stream->body_data = shrink (stream->body_data, BODY);
  stream->body_storage = BODY;
  stream->lacing_vals = shrink (stream->lacing_vals,
      LACING * sizeof *stream->lacing_vals);
  stream->granule_vals = shrink (stream->granule_vals,
      LACING * sizeof *stream->granule_vals);
  stream->lacing_storage = LACING;
}
