/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "moshiopus.h"

#include <opus.h>
#include <string.h>

#include "moshierror.h"

#define CLOCK_RATE 48000
/* RFC 6716 section 3.4, requirement R5: 120 ms of frames of 2.5 ms */
#define MAX_FRAMES_IN_PACKET 48
/* RFC 6716 section 3.1: the TOC but for the code of the frame count */
#define CONFIG_MASK 0xfc
/* RFC 6716 section 3.2.1: longest frame */
#define MAX_FRAME_SIZE 1275
/* The longest packet we make is 60 ms, at worst three frames of 20 ms with
 * their TOC, count and two-byte lengths. */
#define MAX_ENCODED_SIZE (3 * (MAX_FRAME_SIZE + 2) + 2)
/* Below so many bit/s speech is the better for the model of a voice (SILK), at
 * three to four times the work; docs/performance.md has the measurements. */
#define ENOUGH_FOR_CELT 48000

struct _MoshiOpusEncoder
{
  OpusEncoder *encoder;
  guint rate;
};

struct _MoshiOpusDecoder
{
  OpusDecoder *decoder;
  guint rate;
};

/* Packet facts */

/**
 * moshi_opus_packet_duration:
 * @packet: (array length=size) (nullable): an Opus packet
 * @size: its length in bytes
 *
 * Tells how long a packet plays, by its TOC and frame count, and checks its
 * whole framing on the way (RFC 6716 section 3.4, R1 to R7). What the frames
 * hold is not looked at: any bytes there decode to something.
 *
 * A packet of a TOC byte alone is valid: DTX sends it.
 *
 * May be called from any thread.
 *
 * Returns: samples a channel at 48 kHz, at most %MOSHI_OPUS_MAX_SAMPLES; 0 if
 *     this is no valid packet
 */
guint
moshi_opus_packet_duration (const guint8 * packet, gsize size)
{
  opus_int16 sizes[MAX_FRAMES_IN_PACKET];
  gint n_frames;

  if (packet == NULL || size == 0 || size > G_MAXINT32)
    return 0;

  n_frames = opus_packet_parse (packet, (opus_int32) size, NULL, NULL, sizes,
      NULL);
  if (n_frames <= 0)
    return 0;

  return n_frames * opus_packet_get_samples_per_frame (packet, CLOCK_RATE);
}

/**
 * moshi_opus_packet_channels:
 * @packet: (array length=size) (nullable): an Opus packet
 * @size: its length in bytes
 *
 * Tells how many channels a packet was coded with, by the TOC byte alone. Any
 * decoder decodes both. May be called from any thread.
 *
 * Returns: 1 or 2; 0 if there is no byte to look at
 */
guint
moshi_opus_packet_channels (const guint8 * packet, gsize size)
{
  if (packet == NULL || size == 0)
    return 0;

  return opus_packet_get_nb_channels (packet);
}

/**
 * moshi_opus_packet_split:
 * @packet: an Opus packet
 * @shortest: frame that is to have a packet of its own, in samples at 48 kHz
 *
 * Takes a packet apart: what it plays is played by packets of one frame each just
 * so (RFC 6716 section 3.2: all frames of a packet share its TOC). May be called
 * from any thread.
 *
 * Returns: (transfer full) (nullable) (element-type GBytes): these, or %NULL if it
 *     has one frame, too short ones, or is not valid
 */
GPtrArray *
moshi_opus_packet_split (GBytes * packet, guint shortest)
{
  const guint8 *frames[MAX_FRAMES_IN_PACKET];
  opus_int16 sizes[MAX_FRAMES_IN_PACKET];
  g_autoptr (GPtrArray) packets = NULL;
  gint n_frames, i;
  gsize size;
  const guint8 *data = g_bytes_get_data (packet, &size);

  if (moshi_opus_packet_duration (data, size) == 0)
    return NULL;
  n_frames = opus_packet_parse (data, (opus_int32) size, NULL, frames, sizes,
      NULL);
  if (n_frames < 2 || opus_packet_get_samples_per_frame (data, CLOCK_RATE) <
      (gint) shortest)
    return NULL;
  packets = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  for (i = 0; i < n_frames; i++) {
    guint8 *alone = g_malloc (1 + (gsize) sizes[i]);

    alone[0] = data[0] & CONFIG_MASK;
    memcpy (alone + 1, frames[i], (gsize) sizes[i]);
    g_ptr_array_add (packets, g_bytes_new_take (alone, 1 + (gsize) sizes[i]));
  }
  return g_steal_pointer (&packets);
}

/* The frame FF FE codes CELT's silence flag (RFC 6716 section 4.3, table 56)
 * and nothing more; Discord clients, too, send it for
 * silence. The TOC before it says fullband CELT of 2.5, 5, 10 or 20 ms
 * (configurations 28 to 31) and mono; stereo adds 4. Longer packets hold more
 * of the longest frame: two by code 1, three by code 3. */
#define SILENCE_PACKETS(stereo) { \
    { 120, 3, { 0xe0 | (stereo), 0xff, 0xfe } }, \
    { 240, 3, { 0xe8 | (stereo), 0xff, 0xfe } }, \
    { 480, 3, { 0xf0 | (stereo), 0xff, 0xfe } }, \
    { 960, 3, { 0xf8 | (stereo), 0xff, 0xfe } }, \
    { 1920, 5, { 0xf9 | (stereo), 0xff, 0xfe, 0xff, 0xfe } }, \
    { 2880, 8, { 0xfb | (stereo), 3, 0xff, 0xfe, 0xff, 0xfe, 0xff, 0xfe } }, \
  }

/**
 * moshi_opus_silence_packet:
 * @duration_48k: 120, 240, 480, 960, 1920 or 2880 samples at 48 kHz (2.5 to
 *     60 ms)
 * @channels: 1 or 2
 * @size: (out): its length in bytes
 *
 * Gives a packet that decodes to digital silence. After other audio a decoder
 * first lets that audio's overlap and filters ring out, for about 10 ms.
 *
 * May be called from any thread.
 *
 * Returns: (transfer none) (nullable): static bytes, or %NULL (and @size 0) if
 *     no packet has that duration and number of channels
 */
const guint8 *
moshi_opus_silence_packet (guint duration_48k, guint channels, gsize * size)
{
  static const struct
  {
    guint duration;
    guint8 size;
    guint8 data[8];
  } packets[2][6] = {
    SILENCE_PACKETS (0), SILENCE_PACKETS (4)
  };
  guint i;

  *size = 0;
  if (channels < 1 || channels > 2)
    return NULL;

  for (i = 0; i < G_N_ELEMENTS (packets[0]); i++) {
    if (packets[channels - 1][i].duration == duration_48k) {
      *size = packets[channels - 1][i].size;
      return packets[channels - 1][i].data;
    }
  }
  return NULL;
}

static gboolean
check_format (guint rate, guint channels, GError ** error)
{
  if (rate != 8000 && rate != 12000 && rate != 16000 && rate != 24000
      && rate != 48000) {
    g_set_error (error, MOSHI_ERROR, MOSHI_ERROR_SETTINGS,
        "Opus has no sample rate of %u Hz.", rate);
    return FALSE;
  }
  if (channels < 1 || channels > 2) {
    g_set_error (error, MOSHI_ERROR, MOSHI_ERROR_SETTINGS,
        "Opus takes one or two channels here, not %u.", channels);
    return FALSE;
  }
  return TRUE;
}

/* Encoder */

static gint
native_application (MoshiOpusApplication application)
{
  switch (application) {
    case MOSHI_OPUS_VOIP:
      return OPUS_APPLICATION_VOIP;
    case MOSHI_OPUS_LOWDELAY:
      return OPUS_APPLICATION_RESTRICTED_LOWDELAY;
    case MOSHI_OPUS_AUDIO:
    default:
      return OPUS_APPLICATION_AUDIO;
  }
}

/**
 * moshi_opus_choose_application:
 * @bitrate: bit/s
 *
 * Tells what to tune an encoder of speech for. With enough bits CELT alone (as
 * `AUDIO` has it) does speech no harm that can be measured, for a third of the
 * work; with fewer the voice wants its model. Both look ahead as far.
 *
 * Returns: an application
 */
MoshiOpusApplication
moshi_opus_choose_application (guint bitrate)
{
  return bitrate < ENOUGH_FOR_CELT ? MOSHI_OPUS_VOIP : MOSHI_OPUS_AUDIO;
}

/**
 * moshi_opus_encoder_new:
 * @rate: 8000, 12000, 16000, 24000 or 48000 Hz
 * @channels: 1 or 2
 * @application: what the encoder is tuned for
 * @error: return location for a #GError
 *
 * Makes an encoder: constrained VBR, so that a packet never needs more than a
 * little over its share of the bit rate; no in-band FEC, because the way up is
 * TCP; no DTX, because Moshi answers only where it is fed. The bit rate is
 * libopus' choice for the rate and channels until
 * moshi_opus_encoder_configure().
 *
 * Belongs to one thread at a time.
 *
 * Returns: (transfer full) (nullable): an encoder, or %NULL with
 *     %MOSHI_ERROR_SETTINGS (rate, channels) or %MOSHI_ERROR_OPUS
 */
MoshiOpusEncoder *
moshi_opus_encoder_new (guint rate, guint channels,
    MoshiOpusApplication application, GError ** error)
{
  MoshiOpusEncoder *self;
  OpusEncoder *encoder;
  gint status;

  if (!check_format (rate, channels, error))
    return NULL;

  encoder = opus_encoder_create (rate, channels,
      native_application (application), &status);
  if (encoder == NULL) {
    g_set_error (error, MOSHI_ERROR, MOSHI_ERROR_OPUS,
        "The Opus encoder cannot be made: %s.", opus_strerror (status));
    return NULL;
  }

  opus_encoder_ctl (encoder, OPUS_SET_VBR (1));
  opus_encoder_ctl (encoder, OPUS_SET_VBR_CONSTRAINT (1));
  opus_encoder_ctl (encoder, OPUS_SET_DTX (0));
  opus_encoder_ctl (encoder, OPUS_SET_INBAND_FEC (0));

  self = g_new0 (MoshiOpusEncoder, 1);
  self->encoder = encoder;
  self->rate = rate;
  return self;
}

/**
 * moshi_opus_encoder_free:
 * @self: (transfer full) (nullable): an encoder
 *
 * Frees an encoder.
 */
void
moshi_opus_encoder_free (MoshiOpusEncoder * self)
{
  if (self == NULL)
    return;

  opus_encoder_destroy (self->encoder);
  g_free (self);
}

/**
 * moshi_opus_encoder_reset:
 * @self: an encoder
 *
 * Forgets the audio seen so far, as before a new stream. Bit rate and
 * complexity stay.
 */
void
moshi_opus_encoder_reset (MoshiOpusEncoder * self)
{
  g_return_if_fail (self != NULL);

  opus_encoder_ctl (self->encoder, OPUS_RESET_STATE);
}

/**
 * moshi_opus_encoder_configure:
 * @self: an encoder
 * @bitrate: bit/s, at least 1; libopus takes less than 500 as 500, and more
 *     than 300,000 a channel as that
 * @complexity: 0 (least work) to 10
 * @error: return location for a #GError
 *
 * Sets what may change between packets.
 *
 * Returns: %FALSE with %MOSHI_ERROR_SETTINGS if a value is out of its range;
 *     nothing has then changed
 */
gboolean
moshi_opus_encoder_configure (MoshiOpusEncoder * self, guint bitrate,
    guint complexity, GError ** error)
{
  g_return_val_if_fail (self != NULL, FALSE);

  if (bitrate == 0 || bitrate > G_MAXINT32) {
    g_set_error (error, MOSHI_ERROR, MOSHI_ERROR_SETTINGS,
        "Opus cannot be encoded with %u bit/s.", bitrate);
    return FALSE;
  }
  if (complexity > 10) {
    g_set_error (error, MOSHI_ERROR, MOSHI_ERROR_SETTINGS,
        "The complexity of the Opus encoder goes from 0 to 10, not to %u.",
        complexity);
    return FALSE;
  }

  opus_encoder_ctl (self->encoder, OPUS_SET_BITRATE ((opus_int32) bitrate));
  opus_encoder_ctl (self->encoder,
      OPUS_SET_COMPLEXITY ((opus_int32) complexity));
  return TRUE;
}

/**
 * moshi_opus_encoder_get_lookahead:
 * @self: an encoder
 *
 * Tells by how much decoded audio lags behind what was encoded: the pre-skip
 * of RFC 7845 section 4.2.
 *
 * Returns: samples at 48 kHz
 */
guint
moshi_opus_encoder_get_lookahead (MoshiOpusEncoder * self)
{
  opus_int32 lookahead = 0;

  g_return_val_if_fail (self != NULL, 0);

  opus_encoder_ctl (self->encoder, OPUS_GET_LOOKAHEAD (&lookahead));
  return lookahead * (CLOCK_RATE / self->rate);
}

/* libopus 1.3 would also make packets of 80, 100 and 120 ms; older decoders
 * and some muxers do not expect more than 60. */
static gboolean
check_frame (MoshiOpusEncoder * self, guint n_frames, GError ** error)
{
  static const guint multiples[] = { 1, 2, 4, 8, 16, 24 };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (multiples); i++) {
    if (n_frames == multiples[i] * (self->rate / 400))
      return TRUE;
  }

  g_set_error (error, MOSHI_ERROR, MOSHI_ERROR_OPUS,
      "No Opus packet holds %u samples at %u Hz.", n_frames, self->rate);
  return FALSE;
}

static GBytes *
take_encoded (const guint8 * data, gint size, GError ** error)
{
  if (size <= 0) {
    g_set_error (error, MOSHI_ERROR, MOSHI_ERROR_OPUS,
        "Audio cannot be encoded: %s.", opus_strerror (size));
    return NULL;
  }
  return g_bytes_new (data, size);
}

/**
 * moshi_opus_encoder_encode_s16:
 * @self: an encoder
 * @samples: @n_frames times channels interleaved samples
 * @n_frames: samples a channel: 2.5, 5, 10, 20, 40 or 60 ms at the rate
 * @error: return location for a #GError
 *
 * Encodes one packet.
 *
 * Returns: (transfer full) (nullable): the packet, or %NULL with
 *     %MOSHI_ERROR_OPUS
 */
GBytes *
moshi_opus_encoder_encode_s16 (MoshiOpusEncoder * self, const gint16 * samples,
    guint n_frames, GError ** error)
{
  guint8 data[MAX_ENCODED_SIZE];
  gint size;

  g_return_val_if_fail (self != NULL && samples != NULL, NULL);

  if (!check_frame (self, n_frames, error))
    return NULL;

  size = opus_encode (self->encoder, samples, n_frames, data, sizeof (data));
  return take_encoded (data, size, error);
}

/**
 * moshi_opus_encoder_encode_f32:
 * @self: an encoder
 * @samples: @n_frames times channels interleaved samples, full scale 1.0;
 *     louder ones are within the codec's reach, NaN codes as silence
 * @n_frames: samples a channel: 2.5, 5, 10, 20, 40 or 60 ms at the rate
 * @error: return location for a #GError
 *
 * Encodes one packet.
 *
 * Returns: (transfer full) (nullable): the packet, or %NULL with
 *     %MOSHI_ERROR_OPUS
 */
GBytes *
moshi_opus_encoder_encode_f32 (MoshiOpusEncoder * self, const gfloat * samples,
    guint n_frames, GError ** error)
{
  guint8 data[MAX_ENCODED_SIZE];
  gint size;

  g_return_val_if_fail (self != NULL && samples != NULL, NULL);

  if (!check_frame (self, n_frames, error))
    return NULL;

  size = opus_encode_float (self->encoder, samples, n_frames, data,
      sizeof (data));
  return take_encoded (data, size, error);
}

/* Decoder */

/**
 * moshi_opus_decoder_new:
 * @rate: 8000, 12000, 16000, 24000 or 48000 Hz
 * @channels: 1 or 2
 * @error: return location for a #GError
 *
 * Makes a decoder. It decodes every packet to its own rate and channels,
 * whatever those of the packet: mono is doubled, stereo mixed down.
 *
 * Belongs to one thread at a time.
 *
 * Returns: (transfer full) (nullable): a decoder, or %NULL with
 *     %MOSHI_ERROR_SETTINGS (rate, channels) or %MOSHI_ERROR_OPUS
 */
MoshiOpusDecoder *
moshi_opus_decoder_new (guint rate, guint channels, GError ** error)
{
  MoshiOpusDecoder *self;
  OpusDecoder *decoder;
  gint status;

  if (!check_format (rate, channels, error))
    return NULL;

  decoder = opus_decoder_create (rate, channels, &status);
  if (decoder == NULL) {
    g_set_error (error, MOSHI_ERROR, MOSHI_ERROR_OPUS,
        "The Opus decoder cannot be made: %s.", opus_strerror (status));
    return NULL;
  }

  self = g_new0 (MoshiOpusDecoder, 1);
  self->decoder = decoder;
  self->rate = rate;
  return self;
}

/**
 * moshi_opus_decoder_free:
 * @self: (transfer full) (nullable): a decoder
 *
 * Frees a decoder.
 */
void
moshi_opus_decoder_free (MoshiOpusDecoder * self)
{
  if (self == NULL)
    return;

  opus_decoder_destroy (self->decoder);
  g_free (self);
}

/**
 * moshi_opus_decoder_reset:
 * @self: a decoder
 *
 * Forgets the packets seen so far, as before a new stream.
 */
void
moshi_opus_decoder_reset (MoshiOpusDecoder * self)
{
  g_return_if_fail (self != NULL);

  opus_decoder_ctl (self->decoder, OPUS_RESET_STATE);
}

/* libopus puts as many samples on the stack as it is asked to conceal, and
 * conceals in steps of 2.5 ms only; so both are seen to before it is called. */
static gboolean
check_decode (MoshiOpusDecoder * self, const guint8 * packet, gsize size,
    guint max_frames, GError ** error)
{
  guint step = self->rate / 400;
  guint duration;

  if (packet == NULL) {
    if (max_frames > 0 && max_frames <= MAX_FRAMES_IN_PACKET * step
        && max_frames % step == 0)
      return TRUE;
    g_set_error (error, MOSHI_ERROR, MOSHI_ERROR_OPUS,
        "Opus cannot conceal %u samples at %u Hz.", max_frames, self->rate);
    return FALSE;
  }

  duration = moshi_opus_packet_duration (packet, size);
  if (duration == 0) {
    g_set_error_literal (error, MOSHI_ERROR, MOSHI_ERROR_OPUS,
        "This is no Opus packet.");
    return FALSE;
  }
  if (duration / (CLOCK_RATE / self->rate) > max_frames) {
    g_set_error (error, MOSHI_ERROR, MOSHI_ERROR_OPUS,
        "An Opus packet holds more than %u samples.", max_frames);
    return FALSE;
  }
  return TRUE;
}

static gint
take_decoded (gint n_frames, GError ** error)
{
  if (n_frames >= 0)
    return n_frames;

  g_set_error (error, MOSHI_ERROR, MOSHI_ERROR_OPUS,
      "An Opus packet cannot be decoded: %s.", opus_strerror (n_frames));
  return -1;
}

/**
 * moshi_opus_decoder_decode_s16:
 * @self: a decoder
 * @packet: (array length=size) (nullable): a packet, or %NULL to conceal
 * @size: its length in bytes, 0 to conceal
 * @out: room for @max_frames times channels interleaved samples
 * @max_frames: that room, in samples a channel. To conceal, just so much is
 *     made: a multiple of 2.5 ms, at most 120 ms
 * @error: return location for a #GError
 *
 * Decodes one packet, or carries the audio on over a lost one (PLC). On error
 * nothing is written that is to be used; the decoder stays good for the next
 * packet.
 *
 * Returns: samples a channel written to @out, or -1 with %MOSHI_ERROR_OPUS if
 *     the packet is not valid or is longer than @max_frames
 */
gint
moshi_opus_decoder_decode_s16 (MoshiOpusDecoder * self, const guint8 * packet,
    gsize size, gint16 * out, guint max_frames, GError ** error)
{
  gint n_frames;

  g_return_val_if_fail (self != NULL && out != NULL, -1);

  if (!check_decode (self, packet, size, max_frames, error))
    return -1;

  n_frames = opus_decode (self->decoder, packet,
      packet != NULL ? (opus_int32) size : 0, out,
      MIN (max_frames, MOSHI_OPUS_MAX_SAMPLES), 0);
  return take_decoded (n_frames, error);
}

/**
 * moshi_opus_decoder_decode_f32:
 * @self: a decoder
 * @packet: (array length=size) (nullable): a packet, or %NULL to conceal
 * @size: its length in bytes, 0 to conceal
 * @out: room for @max_frames times channels interleaved samples, full scale
 *     1.0 (which loud audio may pass)
 * @max_frames: that room, in samples a channel. To conceal, just so much is
 *     made: a multiple of 2.5 ms, at most 120 ms
 * @error: return location for a #GError
 *
 * Decodes one packet, or carries the audio on over a lost one (PLC). On error
 * nothing is written that is to be used; the decoder stays good for the next
 * packet.
 *
 * Returns: samples a channel written to @out, or -1 with %MOSHI_ERROR_OPUS if
 *     the packet is not valid or is longer than @max_frames
 */
gint
moshi_opus_decoder_decode_f32 (MoshiOpusDecoder * self, const guint8 * packet,
    gsize size, gfloat * out, guint max_frames, GError ** error)
{
  gint n_frames;

  g_return_val_if_fail (self != NULL && out != NULL, -1);

  if (!check_decode (self, packet, size, max_frames, error))
    return -1;

  n_frames = opus_decode_float (self->decoder, packet,
      packet != NULL ? (opus_int32) size : 0, out,
      MIN (max_frames, MOSHI_OPUS_MAX_SAMPLES), 0);
  return take_decoded (n_frames, error);
}
