/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opus packets as the tests of the pass-through compare them */
#pragma once

#include <opus.h>
#include <string.h>

#include "harness.h"

static inline void
free_packet (gpointer data)
{
  g_bytes_unref (data);
}

static inline GPtrArray *
new_packets (void)
{
  return g_ptr_array_new_with_free_func (free_packet);
}

static inline GBytes *
get_packet (GPtrArray * packets, guint i)
{
  g_assert_cmpuint (i, <, packets->len);
  return g_ptr_array_index (packets, i);
}

static inline guint
get_duration (GBytes * packet)
{
  gsize size;
  const guint8 *data = g_bytes_get_data (packet, &size);

  g_assert_cmpuint (size, >, 0);
  return opus_packet_get_nb_samples (data, size, 48000);
}

static inline guint
get_durations (GPtrArray * packets, guint from, guint to)
{
  guint sum = 0, i;

  for (i = from; i < to; i++)
    sum += get_duration (get_packet (packets, i));
  return sum;
}

/* CELT of one silent frame, or of several: FF FE is all that is in it. */
static inline gboolean
is_silence (GBytes * packet)
{
  gsize size, i;
  const guint8 *data = g_bytes_get_data (packet, &size);

  if (size < 3 || (data[0] & 0xe0) != 0xe0)
    return FALSE;
  for (i = (data[0] & 3) == 3 ? 2 : 1; i + 1 < size; i += 2)
    if (data[i] != 0xff || data[i + 1] != 0xfe)
      return FALSE;
  return TRUE;
}

static inline gboolean
is_header (gconstpointer data, gsize size)
{
  return size >= 8 && (memcmp (data, "OpusHead", 8) == 0
      || memcmp (data, "OpusTags", 8) == 0);
}

/* What the server got, once it has read all of it */
static inline GPtrArray *
take_received (Harness * self)
{
  g_assert_true (moshi_standin_wait_idle (self->server, HARNESS_PATIENCE));
  return moshi_standin_get_packets (self->server);
}

/* What has flowed through a pad, headers left out */
static inline GPtrArray *
take_packets (HarnessTrack * track)
{
  GPtrArray *packets = new_packets ();
  guint i;

  harness_lock (track->harness);
  for (i = 0; i < track->buffers->len; i++) {
    const HarnessBuffer *buffer = harness_track_buffer (track, i);
    const guint8 *data = track->data->data + buffer->offset;

    if (!is_header (data, buffer->size))
      g_ptr_array_add (packets, g_bytes_new (data, buffer->size));
  }
  harness_unlock (track->harness);
  return packets;
}

/* Their frames, each as a packet of its own */
static inline GPtrArray *
take_apart (GPtrArray * packets)
{
  GPtrArray *parts = new_packets ();
  const guint8 *frames[48];
  opus_int16 sizes[48];
  guint i;
  gint k, n;

  for (i = 0; i < packets->len; i++) {
    gsize size;
    const guint8 *data = g_bytes_get_data (get_packet (packets, i), &size);

    n = opus_packet_parse (data, (opus_int32) size, NULL, frames, sizes, NULL);
    for (k = 0; k < n; k++) {
      g_autoptr (GByteArray) part = g_byte_array_new ();
      guint8 toc = data[0] & 0xfc;

      g_byte_array_append (part, &toc, 1);
      g_byte_array_append (part, frames[k], (guint) sizes[k]);
      g_ptr_array_add (parts,
          g_byte_array_free_to_bytes (g_steal_pointer (&part)));
    }
  }
  return parts;
}

static inline void
assert_same (GPtrArray * got, guint at, GPtrArray * given, guint from, guint n)
{
  guint i;

  for (i = 0; i < n; i++)
    if (!g_bytes_equal (get_packet (got, at + i), get_packet (given, from + i)))
      g_error ("packet %u is not packet %u of those given", at + i, from + i);
}

static inline void
assert_silence (GPtrArray * got, guint from, guint to, guint duration)
{
  guint i;

  for (i = from; i < to; i++)
    g_assert_true (is_silence (get_packet (got, i)));
  g_assert_cmpuint (get_durations (got, from, to), ==, duration);
}

/* Packets of a tone, told apart by their number */
static inline GPtrArray *
make_packets (guint n, guint samples, guint channels)
{
  GPtrArray *packets = new_packets ();
  OpusEncoder *encoder = opus_encoder_create (48000, channels,
      OPUS_APPLICATION_AUDIO, NULL);
  gint16 *pcm = g_new (gint16, samples * channels);
  guint8 data[8000];
  guint i, k, state = 1;
  gint size;

  g_assert_nonnull (encoder);
  for (i = 0; i < n; i++) {
    for (k = 0; k < samples * channels; k++) {
      state = state * 1103515245 + 12345;
      pcm[k] = (gint16) (state >> 16) / 8;
    }
    size = opus_encode (encoder, pcm, samples, data, sizeof data);
    g_assert_cmpint (size, >, 0);
    g_ptr_array_add (packets, g_bytes_new (data, size));
  }
  opus_encoder_destroy (encoder);
  g_free (pcm);
  return packets;
}
