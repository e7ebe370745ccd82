/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is decoded and not pushed yet
 *
 * Wherever the output does not go on with the sample that follows (audio was
 * cut out, silence begins, a concealment ends), a few samples of what would
 * have followed are kept as the joint, and what comes instead is faded in over
 * them.
 *
 * How speech is made longer or shorter is told in moshistretch.c.
 */

#include "gstmoshivoice.h"

#include <math.h>
#include <string.h>

#include "gstmoshimeter.h"
#include "protocol/moshiplayout.h"

#define MS(ms) ((ms) * 48)

/* Of a joint: 2.5 ms, the least that Opus conceals */
#define JOINT 120

/* How alike two periods must be, and where there is no time to wait for that; and
 * then, by how much less a longer one may be so. */
#define LIKENESS 0.6
#define LIKENESS_URGENT 0.2
#define TOLERANCE_URGENT 0.2

/* For packets that are passed through: what is loud of a voice is below 8 kHz. A
 * packet has 120 ms at most, and is looked at in parts. */
#define EAR_RATE 16000
#define EAR_PART (GST_MOSHI_VOICE_PART * EAR_RATE / 48000)
#define MAX_PACKET_MS 120

/* What is louder is speech, and what comes shortly after it; near words what is
 * not loud at all may be their soft parts. As shares of full scale, RMS. */
#define LOUD 0.0056             /* -45 dBFS */
#define LOUD_NEAR_WORDS 0.0018  /* -55 dBFS */
#define HANGOVER MS (80)
#define NEAR_WORDS MS (160)

/**
 * gst_moshi_voice_init:
 * @self: memory for a voice
 * @format: of the output
 */
void
gst_moshi_voice_init (GstMoshiVoice * self, GstMoshiFormat * format)
{
  self->format = format;
  self->samples = g_byte_array_new ();
  self->joint = g_byte_array_new ();
}

/**
 * gst_moshi_voice_clear:
 * @self: a voice
 */
void
gst_moshi_voice_clear (GstMoshiVoice * self)
{
  g_clear_pointer (&self->samples, g_byte_array_unref);
  g_clear_pointer (&self->joint, g_byte_array_unref);
  g_clear_pointer (&self->ear, moshi_opus_decoder_free);
}

/**
 * gst_moshi_voice_reset:
 * @self: a voice
 *
 * Forgets what is decoded.
 */
void
gst_moshi_voice_reset (GstMoshiVoice * self)
{
  g_byte_array_set_size (self->samples, 0);
  g_byte_array_set_size (self->joint, 0);
  self->start = 0;
  self->sounding = FALSE;
  self->hangover = self->words = 0;
  memset (&self->stretch, 0, sizeof (MoshiStretch));
  g_clear_pointer (&self->ear, moshi_opus_decoder_free);
}

static gsize
to_bytes (GstMoshiVoice * self, guint64 ticks)
{
  return ticks / gst_moshi_format_get_unit (self->format)
      * GST_AUDIO_INFO_BPF (&self->format->info);
}

static guint
get_channels (GstMoshiVoice * self)
{
  return GST_AUDIO_INFO_CHANNELS (&self->format->info);
}

static gboolean
is_float (GstMoshiVoice * self)
{
  return GST_AUDIO_INFO_FORMAT (&self->format->info) == GST_AUDIO_FORMAT_F32;
}

/**
 * gst_moshi_voice_get_queued:
 * @self: a voice whose format is set
 *
 * Returns: how much is decoded and not pushed
 */
guint64
gst_moshi_voice_get_queued (GstMoshiVoice * self)
{
  return (guint64) ((self->samples->len - self->start)
      / GST_AUDIO_INFO_BPF (&self->format->info))
      * gst_moshi_format_get_unit (self->format);
}

/**
 * gst_moshi_voice_add:
 * @self: a voice
 * @buffer: (transfer none): what comes next
 */
void
gst_moshi_voice_add (GstMoshiVoice * self, GstBuffer * buffer)
{
  GstMapInfo map;

  if (self->start > 0) {
    g_byte_array_remove_range (self->samples, 0, self->start);
    self->start = 0;
  }
  gst_buffer_map (buffer, &map, GST_MAP_READ);
  g_byte_array_append (self->samples, map.data, map.size);
  gst_buffer_unmap (buffer, &map);
}

/**
 * gst_moshi_voice_add_words:
 * @self: a voice
 *
 * What is added next has words in it.
 */
void
gst_moshi_voice_add_words (GstMoshiVoice * self)
{
  self->words = NEAR_WORDS;
}

static gfloat
get_sample (GstMoshiVoice * self, const guint8 * data, gsize i)
{
  if (is_float (self))
    return ((const gfloat *) data)[i];
  return ((const gint16 *) data)[i] / 32768.0f;
}

static void
set_sample (GstMoshiVoice * self, guint8 * data, gsize i, gfloat value)
{
  if (is_float (self))
    ((gfloat *) data)[i] = value;
  else
    ((gint16 *) data)[i] =
        (gint16) CLAMP (lrintf (value * 32768.0f), G_MININT16, G_MAXINT16);
}

/* What comes next in order, of mean power `power`: speech, or has just been? */
static gboolean
judge_power (GstMoshiVoice * self, gdouble power, guint ticks)
{
  const gdouble limit = self->words > 0 ? LOUD_NEAR_WORDS : LOUD;

  self->words -= MIN (self->words, ticks);
  if (power > limit * limit) {
    self->hangover = HANGOVER;
    return TRUE;
  }
  if (self->hangover == 0)
    return FALSE;
  self->hangover -= MIN (self->hangover, ticks);
  return TRUE;
}

/**
 * gst_moshi_voice_judge:
 * @self: a voice
 * @from: ticks after the oldest sample
 * @ticks: how much to look at, once in order
 *
 * Returns: whether speech is there, or has just been
 */
gboolean
gst_moshi_voice_judge (GstMoshiVoice * self, guint64 from, guint ticks)
{
  const guint8 *data = self->samples->data + self->start
      + to_bytes (self, from);
  gsize n = to_bytes (self, ticks) / (is_float (self) ? 4 : 2);

  return judge_power (self, gst_moshi_get_power (data, n, is_float (self)),
      ticks);
}

/**
 * gst_moshi_voice_listen:
 * @self: a voice
 * @packet: (nullable): an Opus packet that is passed through, %NULL for silence
 * @ticks: its duration
 *
 * Decodes it, at a low rate, to know how loud it is. Packets may be left out.
 *
 * Returns: in which parts of %GST_MOSHI_VOICE_PART speech is, or has just been;
 *     a bit each, the lowest for the first
 */
guint
gst_moshi_voice_listen (GstMoshiVoice * self, GBytes * packet, guint ticks)
{
  gint16 samples[EAR_RATE / 1000 * MAX_PACKET_MS];
  guint loud = 0, bit = 1;
  const guint8 *data;
  gsize size;
  gint n, at;

  if (packet == NULL)
    return judge_power (self, 0, ticks) ? G_MAXUINT : 0;
  if (self->ear == NULL)
    self->ear = moshi_opus_decoder_new (EAR_RATE, 1, NULL);
  data = g_bytes_get_data (packet, &size);
  n = moshi_opus_decoder_decode_s16 (self->ear, data, size, samples,
      G_N_ELEMENTS (samples), NULL);
  for (at = 0; at < n; at += EAR_PART, bit <<= 1) {
    gint part = MIN (EAR_PART, n - at);

    if (judge_power (self, gst_moshi_get_power (samples + at, (gsize) part,
                FALSE), (guint) part * (48000 / EAR_RATE)))
      loud |= bit;
  }
  /* What cannot be decoded may be anything. */
  return n < 0 ? G_MAXUINT : loud;
}

/* Fades from `old` to what is in `data`, and leaves it there. */
static void
fade (GstMoshiVoice * self, const guint8 * old, guint8 * data, gsize frames)
{
  const guint channels = get_channels (self);
  gsize i;

  for (i = 0; i < frames * channels; i++) {
    gfloat part = ((gfloat) (i / channels) + 0.5f) / (gfloat) frames;

    set_sample (self, data, i, get_sample (self, old, i) * (1 - part)
        + get_sample (self, data, i) * part);
  }
}

/* The first of `data` is faded in over the joint, if there is one. */
static void
join (GstMoshiVoice * self, guint8 * data, gsize size)
{
  gsize length = MIN (self->joint->len, size);

  fade (self, self->joint->data, data,
      length / GST_AUDIO_INFO_BPF (&self->format->info));
  g_byte_array_set_size (self->joint, 0);
}

static void
keep_joint (GstMoshiVoice * self, const guint8 * data, gsize size)
{
  if (self->joint->len == 0)
    g_byte_array_append (self->joint, data, MIN (size, to_bytes (self, JOINT)));
}

static GstBuffer *
wrap (GstMoshiVoice * self, const guint8 * data, gsize size)
{
  GstBuffer *buffer = gst_buffer_new_memdup (data, size);
  GstMapInfo map;

  if (self->joint->len > 0) {
    gst_buffer_map (buffer, &map, GST_MAP_READWRITE);
    join (self, map.data, map.size);
    gst_buffer_unmap (buffer, &map);
  }
  return buffer;
}

/* Returns: frames of a period of up to `most` ticks at the head of the queue, or 0
 * if there is none. It is of whole samples at any rate, for the rate may change. */
static gsize
find_period (GstMoshiVoice * self, guint most, gboolean urgent)
{
  const guint8 *data = self->samples->data + self->start;
  const guint channels = get_channels (self);
  gfloat samples[3 * MOSHI_STRETCH_MAX_PERIOD];
  gsize n = (self->samples->len - self->start)
      / GST_AUDIO_INFO_BPF (&self->format->info), i;

  n = MIN (n, G_N_ELEMENTS (samples));
  for (i = 0; i < n; i++)
    samples[i] = get_sample (self, data, i * channels);
  return moshi_stretch_find_period (samples, n,
      (guint) GST_AUDIO_INFO_RATE (&self->format->info),
      most / gst_moshi_format_get_unit (self->format),
      urgent ? LIKENESS_URGENT : LIKENESS, urgent ? TOLERANCE_URGENT : 0);
}

/* Two periods become one, or one becomes two; the queue begins with them. */
static void
change_length (GstMoshiVoice * self, gsize period, gboolean longer)
{
  const gsize size = period * GST_AUDIO_INFO_BPF (&self->format->info);
  g_autofree guint8 *copy = g_memdup2 (self->samples->data + self->start,
      2 * size);
  guint8 *data = self->samples->data + self->start;

  if (!longer) {
    fade (self, copy, data + size, period);
    self->start += size;
    return;
  }
  /* From the second period's start into the first again */
  fade (self, copy + size, copy, period);
  g_byte_array_append (self->samples, copy, (guint) size);
  data = self->samples->data + self->start;
  memmove (data + 2 * size, data + size, self->samples->len - self->start
      - 2 * size);
  memcpy (data + size, copy, size);
}

/* Returns: ticks by which the queue is longer or shorter now */
static guint
try_stretch (GstMoshiVoice * self, guint ticks, gint pace, guint spare)
{
  const gboolean urgent = pace > MOSHI_PLAYOUT_GENTLE;
  const guint most = pace < 0 ? spare : MOSHI_STRETCH_MAX_PERIOD;
  gsize period;
  guint change;

  if (!moshi_stretch_may_change (&self->stretch, ticks, pace))
    return 0;
  period = find_period (self, most, urgent);
  if (period == 0)
    return 0;
  change_length (self, period, pace > 0);
  change = (guint) period *gst_moshi_format_get_unit (self->format);
  moshi_stretch_changed (&self->stretch, change);
  return change;
}

/**
 * gst_moshi_voice_play:
 * @self: a voice
 * @ticks: how much
 * @pace: as in #MoshiPlayoutDecision
 * @spare: likewise
 * @taken: (out): how much of what was added is gone
 * @made: (out): how much the buffer has
 *
 * Returns: (transfer full): the oldest audio
 */
GstBuffer *
gst_moshi_voice_play (GstMoshiVoice * self, guint ticks, gint pace,
    guint spare, guint * taken, guint * made)
{
  guint change = try_stretch (self, ticks, pace, spare);
  gsize size;
  GstBuffer *buffer;

  *made = (guint) MIN (ticks, gst_moshi_voice_get_queued (self));
  if (pace > 0)
    *made = MAX (*made, 2 * change);
  *taken = pace < 0 ? *made + change : *made - change;
  size = to_bytes (self, *made);
  buffer = wrap (self, self->samples->data + self->start, size);
  self->start += size;
  self->sounding = TRUE;
  return buffer;
}

/**
 * gst_moshi_voice_conceal:
 * @self: a voice that has been played to its end
 * @ticks: how much, in steps of 2.5 ms
 *
 * Returns: (transfer full): the speech carried on
 */
GstBuffer *
gst_moshi_voice_conceal (GstMoshiVoice * self, guint ticks)
{
  const gsize size = to_bytes (self, ticks);
  g_autoptr (GstBuffer) buffer =
      gst_moshi_format_conceal (self->format, ticks + JOINT);
  GstBuffer *played;
  GstMapInfo map;

  gst_buffer_map (buffer, &map, GST_MAP_READ);
  played = wrap (self, map.data, size);
  keep_joint (self, map.data + size, map.size - size);
  gst_buffer_unmap (buffer, &map);
  return played;
}

/**
 * gst_moshi_voice_silence:
 * @self: a voice
 * @ticks: how much is wanted
 * @made: (out): how much the buffer has
 *
 * Returns: (transfer full): the first part of that silence. Flagged as a gap,
 *     if what was played before needs no fading
 */
GstBuffer *
gst_moshi_voice_silence (GstMoshiVoice * self, guint64 ticks, guint64 * made)
{
  GstBuffer *buffer;
  GstMapInfo map;

  /* The joint of audio that waits is that audio. */
  if (self->sounding)
    keep_joint (self, self->samples->data + self->start,
        self->samples->len - self->start);
  self->sounding = FALSE;
  buffer = gst_moshi_format_silence (self->format, ticks, made);
  if (self->joint->len == 0)
    return buffer;
  gst_buffer_map (buffer, &map, GST_MAP_READWRITE);
  join (self, map.data, map.size);
  gst_buffer_unmap (buffer, &map);
  GST_BUFFER_FLAG_UNSET (buffer, GST_BUFFER_FLAG_GAP);
  return buffer;
}

/**
 * gst_moshi_voice_skip:
 * @self: a voice
 * @ticks: how much is not to be played
 */
void
gst_moshi_voice_skip (GstMoshiVoice * self, guint ticks)
{
  gsize size = MIN (to_bytes (self, ticks), self->samples->len - self->start);

  keep_joint (self, self->samples->data + self->start, size);
  self->start += size;
}
