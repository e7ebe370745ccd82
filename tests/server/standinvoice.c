/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "standinvoice.h"

#include <math.h>
#include <string.h>

/*
 * The sweep: a tone that runs from 300 Hz up to 2,700 Hz in one second and
 * down again in the next. Its value is a function of the sample's index and
 * of the seed alone, so whoever hears it can tell which sample he hears, and
 * the tests can prove that each came once and in order.
 *
 * A second of the sweep holds 1,500 whole cycles, so the phase closes at each
 * turn without a click and the signal repeats exactly after two seconds. The
 * tone moves by 2.4 kHz a second because that makes the place exact: two
 * excerpts of 80 ms that are one cycle apart already differ by half a radian
 * and more at their ends, which outlives the coder. A slow sweep would only
 * tell the place to some milliseconds.
 *
 * There are two ways to verify. Opus as the server uses it is deterministic:
 * moshi_standin_sweep_expected() runs the same encoder over the same function
 * and a decoder at the client's rate, and a client that loses nothing gets
 * exactly these samples. Where the client conceals, trims or stretches,
 * moshi_standin_sweep_locate() finds an excerpt again by correlation:
 * mostly to the sample, within 1 ms where the coder has smeared a cycle.
 */
#define SWEEP_LOW 300
#define SWEEP_SLOPE 2400
#define SWEEP_TURN MOSHI_STANDIN_RATE
#define SWEEP_PERIOD (2 * SWEEP_TURN)
#define SWEEP_LEVEL 0.5
/* Another seed begins the sweep elsewhere. */
#define SWEEP_STRIDE 7919

#define MAX_PACKET_SAMPLES_48K 5760

struct _StandinVoice
{
  MoshiStandinVoice kind;
  guint32 seed;
  guint64 spoken;               /* samples */
  GArray *heard;                /* not yet echoed */
  StandinTalk *talk;
};

struct _StandinEncoder
{
  OpusEncoder *opus;
  guint packet_samples;
};

static gdouble
sweep_phase (guint64 index, guint32 seed)
{
  guint64 place = (index + (guint64) seed * SWEEP_STRIDE) % SWEEP_PERIOD;
  gdouble t;
  gdouble cycles;

  if (place < SWEEP_TURN) {
    t = (gdouble) place / MOSHI_STANDIN_RATE;
    cycles = t * (SWEEP_LOW + SWEEP_SLOPE * t / 2);
  } else {
    t = (gdouble) (place - SWEEP_TURN) / MOSHI_STANDIN_RATE;
    cycles = t * (SWEEP_LOW + SWEEP_SLOPE - SWEEP_SLOPE * t / 2);
  }
  return 2 * G_PI * fmod (cycles, 1.0);
}

/**
 * moshi_standin_sweep_value:
 * @index: of the sample in the answer, from 0
 * @seed: as in the configuration
 *
 * Returns: what the sweep voice says there, before coding
 */
gfloat
moshi_standin_sweep_value (guint64 index, guint32 seed)
{
  return SWEEP_LEVEL * sin (sweep_phase (index, seed));
}

static void
sweep_frame (guint64 index, guint32 seed, gfloat * frame)
{
  guint i;

  for (i = 0; i < MOSHI_STANDIN_FRAME; i++)
    frame[i] = moshi_standin_sweep_value (index + i, seed);
}

/**
 * moshi_standin_sweep_expected:
 * @flavour: the server's
 * @bitrate: the server's
 * @rate: the client's decoder's, in Hz
 * @channels: the client's decoder's
 * @n_samples: how many to give, for each channel
 * @seed: the server's
 *
 * What a client gets that decodes every packet of the sweep, from sample 0
 * of the answer on, with opus_decode() of this libopus, and skips nothing.
 *
 * Returns: (transfer full) (array): interleaved; free it with g_free()
 */
gint16 *
moshi_standin_sweep_expected (MoshiStandinFlavour flavour, gint bitrate,
    guint rate, guint channels, gsize n_samples, guint32 seed)
{
  StandinEncoder *encoder =
      standin_encoder_new (standin_flavour_get (flavour), bitrate);
  OpusDecoder *decoder = opus_decoder_create (rate, channels, NULL);
  gint16 *pcm = g_new (gint16, channels * (n_samples + MAX_PACKET_SAMPLES_48K));
  StandinPacket packets[STANDIN_MAX_PACKETS];
  gfloat frame[MOSHI_STANDIN_FRAME];
  guint64 index = 0;
  gsize done = 0;
  guint n;
  guint i;

  while (done < n_samples) {
    sweep_frame (index, seed, frame);
    index += MOSHI_STANDIN_FRAME;
    n = standin_encoder_run (encoder, frame, packets);
    for (i = 0; i < n && done < n_samples; i++) {
      done += opus_decode (decoder, packets[i].data, packets[i].size,
          pcm + done * channels, MAX_PACKET_SAMPLES_48K, 0);
    }
  }
  opus_decoder_destroy (decoder);
  standin_encoder_free (encoder);
  return pcm;
}

/* How alike the excerpt is to the sweep from @index on, its phase aside if
 * @any_phase: 0 to 1. */
static gdouble
likeness (const gfloat * mono, gsize n, const gfloat * sine,
    const gfloat * cosine, guint64 index, gboolean any_phase)
{
  gdouble along = 0;
  gdouble across = 0;
  gdouble energy = 0;
  guint place = index % SWEEP_PERIOD;
  gsize i;

  for (i = 0; i < n; i++) {
    along += mono[i] * sine[place];
    across += mono[i] * cosine[place];
    energy += mono[i] * mono[i];
    if (++place == SWEEP_PERIOD)
      place = 0;
  }
  if (energy <= 0)
    return 0;
  if (any_phase)
    along = sqrt (along * along + across * across);
  return along / sqrt (energy * n / 2);
}

static gint64
best_place (const gfloat * mono, gsize n, gfloat * tables[2], gint64 first,
    gint64 last, gint64 stride, gboolean any_phase, gdouble * score)
{
  gint64 best = -1;
  gdouble best_likeness = -1;
  gdouble found;
  gint64 index;

  for (index = MAX (first, 0); index <= last; index += stride) {
    found = likeness (mono, n, tables[0], tables[1], index, any_phase);
    if (found > best_likeness) {
      best_likeness = found;
      best = index;
    }
  }
  *score = best_likeness;
  return best;
}

/* First channel only, thinned to 24 kHz: the sweep ends far below what that
 * folds over. 8, 12 and 16 kHz are interpolated. */
static gfloat *
thin_out (const gint16 * samples, gsize n_samples, guint rate, guint channels,
    gsize * n_mono)
{
  gfloat *mono;
  gdouble at;
  gsize whole;
  gsize n = n_samples * (guint64) MOSHI_STANDIN_RATE / rate;
  gsize i;

  mono = g_new0 (gfloat, n + 1);
  for (i = 0; i < n; i++) {
    at = (gdouble) i *rate / MOSHI_STANDIN_RATE;
    whole = MIN ((gsize) at, n_samples - 1);
    mono[i] = samples[whole * channels];
    if (whole + 1 < n_samples)
      mono[i] += (at - whole)
          * (samples[(whole + 1) * channels] - samples[whole * channels]);
  }
  *n_mono = n;
  return mono;
}

/**
 * moshi_standin_sweep_locate:
 * @samples: (array): an excerpt of what was heard, interleaved; some 80 ms
 * @n_samples: for each channel
 * @rate: in Hz
 * @channels: of it; the first one is looked at
 * @seed: the server's
 * @first: the first index to look at
 * @last: the last one; the sweep repeats after 48,000 samples
 * @score: (out) (nullable): how sure that is: about 1 for a clean excerpt,
 *     under 0.5 for anything else
 *
 * Returns: which sample of the answer, at 24 kHz, the excerpt begins with,
 *     within 24 (1 ms). The coder's delay of 6.5 ms is in the result: the
 *     first sample decoded is found at -156 or so
 */
gint64
moshi_standin_sweep_locate (const gint16 * samples, gsize n_samples,
    guint rate, guint channels, guint32 seed, gint64 first, gint64 last,
    gdouble * score)
{
  const gint64 stride = 24;
  gfloat *tables[2] = { g_new (gfloat, SWEEP_PERIOD), g_new (gfloat,
        SWEEP_PERIOD)
  };
  gfloat *mono;
  gdouble unused;
  gint64 coarse;
  gsize n;
  guint i;

  for (i = 0; i < SWEEP_PERIOD; i++) {
    tables[0][i] = sin (sweep_phase (i, seed));
    tables[1][i] = cos (sweep_phase (i, seed));
  }
  if (score == NULL)
    score = &unused;
  mono = thin_out (samples, n_samples, rate, channels, &n);
  /* The envelope is some 4 ms wide: find it in steps of 1 ms, then the
   * cycle and the sample under it. */
  coarse = best_place (mono, n, tables, first, last, stride, TRUE, score);
  coarse = best_place (mono, n, tables, MAX (first, coarse - 5 * stride),
      MIN (last, coarse + 5 * stride), 1, FALSE, score);
  g_free (mono);
  g_free (tables[0]);
  g_free (tables[1]);
  return coarse;
}

/**
 * moshi_standin_voice_from_string:
 * @name: as on the command line
 * @voice: (out): which it is
 *
 * Returns: FALSE if there is none of that name
 */
gboolean
moshi_standin_voice_from_string (const gchar * name, MoshiStandinVoice * voice)
{
  static const gchar *const names[] = { "echo", "sweep", "silence", "talk",
    "repeat-packets"
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (names); i++) {
    if (strcmp (name, names[i]) == 0) {
      *voice = i;
      return TRUE;
    }
  }
  return FALSE;
}

/**
 * standin_voice_new:
 * @kind: which; talk must be possible
 * @seed: its seed
 *
 * Returns: (transfer full): free it with standin_voice_free()
 */
StandinVoice *
standin_voice_new (MoshiStandinVoice kind, guint32 seed)
{
  StandinVoice *self = g_new0 (StandinVoice, 1);

  self->kind = kind;
  self->seed = seed;
  self->heard = g_array_new (FALSE, FALSE, sizeof (gfloat));
  if (kind == MOSHI_STANDIN_TALK)
    self->talk = standin_talk_new (seed);
  return self;
}

/**
 * standin_voice_free:
 * @self: (transfer full): the voice
 */
void
standin_voice_free (StandinVoice * self)
{
  g_clear_pointer (&self->talk, standin_talk_free);
  g_array_unref (self->heard);
  g_free (self);
}

/**
 * standin_voice_hear:
 * @self: the voice
 * @frame: (array fixed-size=1920): what the user says in this step
 */
void
standin_voice_hear (StandinVoice * self, const gfloat * frame)
{
  if (self->kind == MOSHI_STANDIN_ECHO)
    g_array_append_vals (self->heard, frame, MOSHI_STANDIN_FRAME);
  else if (self->kind == MOSHI_STANDIN_TALK)
    standin_talk_hear (self->talk, frame);
}

static void
echo (StandinVoice * self, gfloat * frame)
{
  if (self->heard->len < MOSHI_STANDIN_FRAME)
    return;
  memcpy (frame, self->heard->data, MOSHI_STANDIN_FRAME * sizeof *frame);
  g_array_remove_range (self->heard, 0, MOSHI_STANDIN_FRAME);
}

/**
 * standin_voice_speak:
 * @self: the voice
 * @frame: (out) (array fixed-size=1920): the next frame of the answer
 * @words: (element-type utf8): text pieces that go with it are pushed to
 *     its tail, newly allocated
 */
void
standin_voice_speak (StandinVoice * self, gfloat * frame, GQueue * words)
{
  memset (frame, 0, MOSHI_STANDIN_FRAME * sizeof *frame);
  if (self->kind == MOSHI_STANDIN_ECHO)
    echo (self, frame);
  else if (self->kind == MOSHI_STANDIN_SWEEP)
    sweep_frame (self->spoken, self->seed, frame);
  else if (self->kind == MOSHI_STANDIN_TALK)
    standin_talk_speak (self->talk, frame, words);
  self->spoken += MOSHI_STANDIN_FRAME;
}

/**
 * standin_encoder_new:
 * @flavour: whose packets to make
 * @bitrate: in bits per second; 0 leaves it to libopus
 *
 * All the real servers ask for VOIP at 24 kHz mono and leave the rest.
 *
 * Returns: (transfer full): free it with standin_encoder_free()
 */
StandinEncoder *
standin_encoder_new (const StandinFlavour * flavour, gint bitrate)
{
  StandinEncoder *self = g_new0 (StandinEncoder, 1);

  self->packet_samples = flavour->packet_samples;
  self->opus = opus_encoder_create (MOSHI_STANDIN_RATE, 1,
      OPUS_APPLICATION_VOIP, NULL);
  if (bitrate > 0)
    opus_encoder_ctl (self->opus, OPUS_SET_BITRATE (bitrate));
  return self;
}

/**
 * standin_encoder_free:
 * @self: (transfer full): the encoder
 */
void
standin_encoder_free (StandinEncoder * self)
{
  opus_encoder_destroy (self->opus);
  g_free (self);
}

/**
 * standin_encoder_run:
 * @self: the encoder
 * @frame: (array fixed-size=1920): samples at 24 kHz
 * @packets: (out) (array fixed-size=2): the packets
 *
 * Returns: how many packets the frame gave
 */
guint
standin_encoder_run (StandinEncoder * self, const gfloat * frame,
    StandinPacket * packets)
{
  guint n = MOSHI_STANDIN_FRAME / self->packet_samples;
  gint size;
  guint i;

  for (i = 0; i < n; i++) {
    size = opus_encode_float (self->opus, frame + i * self->packet_samples,
        self->packet_samples, packets[i].data, STANDIN_MAX_PACKET_SIZE);
    g_assert (size > 0);
    packets[i].size = size;
  }
  return n;
}
