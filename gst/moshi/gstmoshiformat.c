/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a buffer of output is: see gstmoshiformat.h. Opus is passed through as
 * the server made it; silence in it is made of whole packets, which are cut at
 * the end by a GstAudioClippingMeta, as RFC 7845 has it. */

#include "gstmoshiformat.h"

#include <string.h>

#include <gst/pbutils/pbutils.h>

#include "gstmoshimeter.h"
#include "gstmoshitags.h"

/* Longest buffer of raw silence: 100 ms */
#define MAX_SILENCE 4800

/* Shortest packet of Opus: 2.5 ms */
#define MIN_PACKET 120

/**
 * gst_moshi_format_get_template_caps:
 *
 * Returns: (transfer full): what output can be, the first choice first
 */
GstCaps *
gst_moshi_format_get_template_caps (void)
{
  return gst_caps_from_string ("audio/x-raw, format=(string){ "
      GST_AUDIO_NE (S16) ", " GST_AUDIO_NE (F32) " }, "
      "layout=(string)interleaved, "
      "rate=(int){ 24000, 48000, 16000, 12000, 8000 }, "
      "channels=(int)[ 1, 2 ]; "
      "audio/x-opus, channel-mapping-family=(int)0, channels=(int)1");
}

static GstCaps *
make_opus_caps (const GstTagList * tags)
{
  g_autoptr (GstBuffer) header =
      gst_codec_utils_opus_create_header (48000, 1, 0, 1, 0, NULL, 0, 0);
  g_autoptr (GstBuffer) comments = gst_moshi_tags_to_opus (tags);

  return gst_codec_utils_opus_create_caps_from_header (header, comments);
}

/**
 * gst_moshi_format_dup_stream_id:
 * @element: whose stream it is
 * @name: tells it from the element's other stream
 *
 * As gst_pad_create_stream_id(), which does not take an element with two sink
 * pads: of these it is the pad `sink` that makes the stream what it is.
 *
 * Returns: (transfer full): the id of what goes out
 */
gchar *
gst_moshi_format_dup_stream_id (GstElement * element, const gchar * name)
{
  g_autoptr (GstPad) sink = gst_element_get_static_pad (element, "sink");
  g_autofree gchar *upstream = sink ? gst_pad_get_stream_id (sink) : NULL;

  if (upstream)
    return g_strdup_printf ("%s/%s", upstream, name);
  return g_strdup_printf ("%08x%08x%08x%08x/%s", g_random_int (),
      g_random_int (), g_random_int (), g_random_int (), name);
}

/**
 * gst_moshi_format_choose_caps:
 * @pad: a src pad
 * @tags: (nullable): for the header of Opus
 *
 * Returns: (transfer full) (nullable): the caps its peer likes best of ours,
 *     our own first choice where it has none; %NULL if there are none
 */
GstCaps *
gst_moshi_format_choose_caps (GstPad * pad, const GstTagList * tags)
{
  GstCaps *caps = gst_pad_get_allowed_caps (pad);
  GstStructure *structure;

  if (caps == NULL)
    caps = gst_pad_get_pad_template_caps (pad);
  if (gst_caps_is_empty (caps)) {
    gst_caps_unref (caps);
    return NULL;
  }
  caps = gst_caps_make_writable (gst_caps_truncate (caps));
  structure = gst_caps_get_structure (caps, 0);
  if (gst_structure_has_name (structure, "audio/x-opus")) {
    gst_caps_unref (caps);
    return make_opus_caps (tags);
  }
  gst_structure_fixate_field_string (structure, "format", GST_AUDIO_NE (S16));
  /* The server's own 24 kHz, or else more rather than less: 35 kHz is nearest
   * to 24 of those below, and to 48 where that is not there. */
  gst_structure_fixate_field_nearest_int (structure, "rate", 35000);
  gst_structure_fixate_field_nearest_int (structure, "channels", 1);
  return gst_caps_fixate (caps);
}

/**
 * gst_moshi_format_set_caps:
 * @self: a format, zeroed or set before
 * @caps: fixed
 * @error: return location
 *
 * Returns: %FALSE if that cannot be made: %MOSHI_ERROR_OPUS or
 *     %MOSHI_ERROR_SETTINGS
 */
gboolean
gst_moshi_format_set_caps (GstMoshiFormat * self, const GstCaps * caps,
    GError ** error)
{
  const GstStructure *structure = gst_caps_get_structure (caps, 0);

  gst_moshi_format_clear (self);
  self->opus = gst_structure_has_name (structure, "audio/x-opus");
  if (self->opus) {
    gst_audio_info_set_format (&self->info, GST_AUDIO_FORMAT_S16, 48000, 1,
        NULL);
    return TRUE;
  }
  if (!gst_audio_info_from_caps (&self->info, caps)) {
    g_set_error_literal (error, MOSHI_ERROR, MOSHI_ERROR_SETTINGS,
        "These caps are no audio.");
    return FALSE;
  }
  self->decoder = moshi_opus_decoder_new (GST_AUDIO_INFO_RATE (&self->info),
      GST_AUDIO_INFO_CHANNELS (&self->info), error);
  return self->decoder != NULL;
}

/**
 * gst_moshi_format_clear:
 * @self: a format
 *
 * Frees what it holds; may be called twice.
 */
void
gst_moshi_format_clear (GstMoshiFormat * self)
{
  g_clear_pointer (&self->decoder, moshi_opus_decoder_free);
}

/**
 * gst_moshi_format_reset:
 * @self: a format
 *
 * What comes next is of another stream.
 */
void
gst_moshi_format_reset (GstMoshiFormat * self)
{
  if (self->decoder)
    moshi_opus_decoder_reset (self->decoder);
}

/**
 * gst_moshi_format_get_unit:
 * @self: a format that is set
 *
 * Returns: ticks of a sample
 */
guint
gst_moshi_format_get_unit (const GstMoshiFormat * self)
{
  return 48000 / GST_AUDIO_INFO_RATE (&self->info);
}

/**
 * gst_moshi_format_round_to_packets:
 * @ticks: a duration
 *
 * Returns: the nearest to it that packets of silence can have
 */
guint64
gst_moshi_format_round_to_packets (guint64 ticks)
{
  return (ticks + MIN_PACKET / 2) / MIN_PACKET * MIN_PACKET;
}

static GstBuffer *
make_raw_silence (GstMoshiFormat * self, guint64 ticks)
{
  gsize size = ticks / gst_moshi_format_get_unit (self)
      * GST_AUDIO_INFO_BPF (&self->info);
  GstBuffer *buffer = gst_buffer_new_allocate (NULL, size, NULL);

  gst_buffer_memset (buffer, 0, 0, size);
  GST_BUFFER_FLAG_SET (buffer, GST_BUFFER_FLAG_GAP);
  return buffer;
}

/* One packet of silence, the longest that fits, or the shortest, cut */
static GstBuffer *
make_opus_silence (guint64 ticks, guint64 * made)
{
  static const guint durations[] = { 960, 480, 240, 120 };
  const guint8 *data;
  GstBuffer *buffer;
  gsize size;
  guint i = 0;

  while (i < G_N_ELEMENTS (durations) - 1 && durations[i] > ticks)
    i++;
  data = moshi_opus_silence_packet (durations[i], 1, &size);
  buffer = gst_buffer_new_memdup (data, size);
  *made = MIN (durations[i], ticks);
  if (*made < durations[i])
    gst_buffer_add_audio_clipping_meta (buffer, GST_FORMAT_DEFAULT, 0,
        durations[i] - *made);
  return buffer;
}

/**
 * gst_moshi_format_silence:
 * @self: a format that is set
 * @ticks: how much is wanted, at least one
 * @made: (out): how much the buffer has
 *
 * Returns: (transfer full): the first part of that silence
 */
GstBuffer *
gst_moshi_format_silence (GstMoshiFormat * self, guint64 ticks, guint64 * made)
{
  if (self->opus)
    return make_opus_silence (ticks, made);
  *made = MIN (ticks, MAX_SILENCE);
  return make_raw_silence (self, *made);
}

static GstBuffer *
decode (GstMoshiFormat * self, GBytes * packet, guint ticks, GError ** error)
{
  guint frames = ticks / gst_moshi_format_get_unit (self);
  GstBuffer *buffer = gst_buffer_new_allocate (NULL,
      frames * GST_AUDIO_INFO_BPF (&self->info), NULL);
  GstMapInfo map;
  gsize size = 0;
  const guint8 *data = packet ? g_bytes_get_data (packet, &size) : NULL;
  gint n;

  gst_buffer_map (buffer, &map, GST_MAP_WRITE);
  if (GST_AUDIO_INFO_FORMAT (&self->info) == GST_AUDIO_FORMAT_F32)
    n = moshi_opus_decoder_decode_f32 (self->decoder, data, size,
        (gfloat *) map.data, frames, error);
  else
    n = moshi_opus_decoder_decode_s16 (self->decoder, data, size,
        (gint16 *) map.data, frames, error);
  gst_buffer_unmap (buffer, &map);

  if (n < 0)
    gst_clear_buffer (&buffer);
  return buffer;
}

/**
 * gst_moshi_format_render:
 * @self: a format that is set
 * @packet: an Opus packet
 * @ticks: its duration
 * @error: return location
 *
 * Returns: (transfer full): a buffer of that duration; silence, and @error set,
 *     where the packet cannot be decoded
 */
GstBuffer *
gst_moshi_format_render (GstMoshiFormat * self, GBytes * packet, guint ticks,
    GError ** error)
{
  GstBuffer *buffer;

  if (self->opus)
    return gst_buffer_new_wrapped_bytes (packet);
  buffer = decode (self, packet, ticks, error);
  return buffer ? buffer : make_raw_silence (self, ticks);
}

/**
 * gst_moshi_format_conceal:
 * @self: a format that is set, of raw output
 * @ticks: a multiple of 2.5 ms
 *
 * Returns: (transfer full): what was decoded last, carried on
 */
GstBuffer *
gst_moshi_format_conceal (GstMoshiFormat * self, guint ticks)
{
  GstBuffer *buffer = decode (self, NULL, ticks, NULL);

  return buffer ? buffer : make_raw_silence (self, ticks);
}

/**
 * gst_moshi_format_split:
 * @self: a format that is set
 * @buffer: (inout): a rendered buffer; %NULL once nothing is left of it
 * @left: (inout): its duration
 * @ticks: how much to take at most
 *
 * A packet of Opus is not divided: what is beyond @ticks is marked as cut.
 *
 * Returns: (transfer full): the first part of @buffer
 */
GstBuffer *
gst_moshi_format_split (GstMoshiFormat * self, GstBuffer ** buffer,
    guint64 * left, guint64 ticks)
{
  const guint unit = gst_moshi_format_get_unit (self);
  GstBuffer *part;
  gsize size;

  if (ticks >= *left || self->opus) {
    if (ticks < *left)
      gst_buffer_add_audio_clipping_meta (*buffer, GST_FORMAT_DEFAULT, 0,
          *left - ticks);
    *left = 0;
    return g_steal_pointer (buffer);
  }
  size = ticks / unit * GST_AUDIO_INFO_BPF (&self->info);
  part = gst_buffer_copy_region (*buffer, GST_BUFFER_COPY_ALL, 0, size);
  gst_buffer_resize (*buffer, size, -1);
  *left -= ticks / unit * unit;
  return part;
}

/**
 * gst_moshi_format_is_loud:
 * @self: a format that is set
 * @buffer: a rendered buffer
 *
 * Returns: whether there is speech in it; never known of Opus
 */
gboolean
gst_moshi_format_is_loud (GstMoshiFormat * self, GstBuffer * buffer)
{
  const gboolean is_float =
      GST_AUDIO_INFO_FORMAT (&self->info) == GST_AUDIO_FORMAT_F32;
  gboolean loud;
  GstMapInfo map;

  if (self->opus || GST_BUFFER_FLAG_IS_SET (buffer, GST_BUFFER_FLAG_GAP))
    return FALSE;
  gst_buffer_map (buffer, &map, GST_MAP_READ);
  loud = gst_moshi_is_loud (map.data, map.size /
      (is_float ? sizeof (gfloat) : sizeof (gint16)), is_float);
  gst_buffer_unmap (buffer, &map);
  return loud;
}
