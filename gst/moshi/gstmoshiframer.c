/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* From samples to packets: see gstmoshiframer.h. The server hears mono, so two
 * channels are mixed before they cost bits. */

#include "gstmoshiframer.h"

#include <string.h>

#include "gstmoshimeter.h"

/* Shortest packet, 2.5 ms, in ticks */
#define SHORTEST 120

/**
 * gst_moshi_framer_init:
 * @self: zeroed memory
 * @func: takes the packets
 * @user_data: for @func
 */
void
gst_moshi_framer_init (GstMoshiFramer * self, GstMoshiFramerFunc func,
    gpointer user_data)
{
  self->func = func;
  self->user_data = user_data;
  self->frame_ticks = 960;
}

/**
 * gst_moshi_framer_clear:
 * @self: a framer
 *
 * Drops what is not a packet yet, and the encoder's memory of the past.
 */
void
gst_moshi_framer_clear (GstMoshiFramer * self)
{
  self->fill = self->room = 0;
  g_clear_pointer (&self->mono, g_free);
  g_clear_pointer (&self->encoder, moshi_opus_encoder_free);
  g_atomic_int_set (&self->configured, FALSE);
}

/**
 * gst_moshi_framer_set_encoder:
 * @self: a framer
 * @bitrate: bit/s
 * @complexity: 0 to 10
 *
 * Any thread, any time: holds from the next packet. What the encoder is tuned
 * for is that of the bit rate at its first packet: libopus does not change it.
 */
void
gst_moshi_framer_set_encoder (GstMoshiFramer * self, gint bitrate,
    gint complexity)
{
  g_atomic_int_set (&self->bitrate, bitrate);
  g_atomic_int_set (&self->complexity, complexity);
  g_atomic_int_set (&self->configured, FALSE);
}

/**
 * gst_moshi_framer_set_info:
 * @self: a framer, flushed
 * @info: of the samples that come
 */
void
gst_moshi_framer_set_info (GstMoshiFramer * self, const GstAudioInfo * info)
{
  gst_moshi_framer_clear (self);
  self->info = *info;
}

/**
 * gst_moshi_framer_get_unit:
 * @self: a framer with samples' format set
 *
 * Returns: ticks of a sample
 */
guint
gst_moshi_framer_get_unit (const GstMoshiFramer * self)
{
  return 48000 / GST_AUDIO_INFO_RATE (&self->info);
}

static gboolean
is_float (const GstMoshiFramer * self)
{
  return GST_AUDIO_INFO_FORMAT (&self->info) == GST_AUDIO_FORMAT_F32;
}

static gboolean
ensure_encoder (GstMoshiFramer * self, GError ** error)
{
  if (self->encoder == NULL)
    self->encoder = moshi_opus_encoder_new (GST_AUDIO_INFO_RATE (&self->info),
        1, moshi_opus_choose_application (g_atomic_int_get (&self->bitrate)),
        error);
  if (self->encoder == NULL)
    return FALSE;

  if (g_atomic_int_compare_and_exchange (&self->configured, FALSE, TRUE))
    return moshi_opus_encoder_configure (self->encoder,
        g_atomic_int_get (&self->bitrate),
        g_atomic_int_get (&self->complexity), error);
  return TRUE;
}

static GBytes *
encode (GstMoshiFramer * self, gconstpointer samples, guint n_frames,
    GError ** error)
{
  if (!ensure_encoder (self, error))
    return NULL;
  if (is_float (self))
    return moshi_opus_encoder_encode_f32 (self->encoder, samples, n_frames,
        error);
  return moshi_opus_encoder_encode_s16 (self->encoder, samples, n_frames,
      error);
}

static gsize
get_size (const GstMoshiFramer * self, guint n_samples)
{
  return n_samples * (is_float (self) ? sizeof (gfloat) : sizeof (gint16));
}

static GstFlowReturn
make_packet (GstMoshiFramer * self, gconstpointer samples, guint n_frames,
    GError ** error)
{
  g_autoptr (GBytes) packet = encode (self, samples, n_frames, error);

  if (packet == NULL)
    return GST_FLOW_ERROR;
  return self->func (self->user_data, packet,
      n_frames * gst_moshi_framer_get_unit (self),
      gst_moshi_is_loud (samples, n_frames, is_float (self)));
}

static void
mix_down (GstMoshiFramer * self, const guint8 * data, guint n_frames,
    guint8 * mono)
{
  guint i;

  if (is_float (self)) {
    const gfloat *in = (const gfloat *) data;
    gfloat *out = (gfloat *) mono;

    for (i = 0; i < n_frames; i++)
      out[i] = (in[2 * i] + in[2 * i + 1]) / 2;
  } else {
    const gint16 *in = (const gint16 *) data;
    gint16 *out = (gint16 *) mono;

    for (i = 0; i < n_frames; i++)
      out[i] = (in[2 * i] + in[2 * i + 1]) / 2;
  }
}

static guint
get_frame (const GstMoshiFramer * self)
{
  return self->frame_ticks / gst_moshi_framer_get_unit (self);
}

/* Puts n frames, in mono, behind those already there; NULL is silence. */
static void
append (GstMoshiFramer * self, const guint8 * data, guint n_frames)
{
  guint8 *out;

  if (self->room < get_frame (self)) {
    self->room = get_frame (self);
    self->mono = g_realloc (self->mono, get_size (self, self->room));
  }
  out = self->mono + get_size (self, self->fill);
  if (data == NULL)
    memset (out, 0, get_size (self, n_frames));
  else if (GST_AUDIO_INFO_CHANNELS (&self->info) == 2)
    mix_down (self, data, n_frames, out);
  else
    memcpy (out, data, get_size (self, n_frames));
  self->fill += n_frames;
}

/* A frame that comes as it is needed is not copied. */
static gboolean
is_frame (GstMoshiFramer * self, const guint8 * data, guint64 n_frames)
{
  return data && self->fill == 0 && n_frames >= get_frame (self)
      && GST_AUDIO_INFO_CHANNELS (&self->info) == 1
      && (guintptr) data % get_size (self, 1) == 0;
}

/**
 * gst_moshi_framer_feed:
 * @self: a framer with samples' format set
 * @data: (nullable): interleaved samples, or %NULL for silence
 * @n_frames: how many, a channel
 * @error: return location
 *
 * A packet leaves with its last sample.
 *
 * Returns: what the function that takes packets gave, or %GST_FLOW_ERROR and
 *     @error: %MOSHI_ERROR_OPUS or %MOSHI_ERROR_SETTINGS
 */
GstFlowReturn
gst_moshi_framer_feed (GstMoshiFramer * self, const guint8 * data,
    guint64 n_frames, GError ** error)
{
  const guint frame = get_frame (self);
  GstFlowReturn ret = GST_FLOW_OK;

  while (n_frames > 0 && ret == GST_FLOW_OK) {
    guint n = MIN (n_frames, frame - self->fill);

    if (is_frame (self, data, n_frames)) {
      ret = make_packet (self, data, frame, error);
    } else {
      append (self, data, n);
      if (self->fill == frame) {
        self->fill = 0;
        ret = make_packet (self, self->mono, frame, error);
      }
    }
    n_frames -= n;
    if (data)
      data += n * GST_AUDIO_INFO_BPF (&self->info);
  }
  return ret;
}

/**
 * gst_moshi_framer_flush:
 * @self: a framer
 * @padded: (out): ticks of silence it took to fill the last packet
 * @error: return location
 *
 * Sends what does not fill a packet, as shorter packets, the last one padded
 * with less than 2.5 ms.
 *
 * Returns: as gst_moshi_framer_feed()
 */
GstFlowReturn
gst_moshi_framer_flush (GstMoshiFramer * self, guint * padded, GError ** error)
{
  static const guint sizes[] = { 2880, 1920, 960, 480, 240, 120 };
  const guint unit = gst_moshi_framer_get_unit (self);
  const guint step = SHORTEST / unit;
  const guint pad = (step - self->fill % step) % step;
  GstFlowReturn ret = GST_FLOW_OK;
  guint offset = 0, left, i;

  append (self, NULL, pad);
  left = self->fill;
  self->fill = 0;
  *padded = pad * unit;

  for (i = 0; i < G_N_ELEMENTS (sizes); i++) {
    const guint n = sizes[i] / unit;

    while (left >= n && ret == GST_FLOW_OK) {
      ret = make_packet (self, self->mono + get_size (self, offset), n, error);
      offset += n;
      left -= n;
    }
  }
  return ret;
}

/**
 * gst_moshi_framer_fill_up:
 * @self: a framer
 * @n_frames: samples that are to be fed
 *
 * Returns: @n_frames, or as many more as it takes to end with a whole packet
 */
guint64
gst_moshi_framer_fill_up (const GstMoshiFramer * self, guint64 n_frames)
{
  const guint frame = get_frame (self);
  const guint rest = (self->fill + n_frames) % frame;

  return rest ? n_frames + frame - rest : n_frames;
}
