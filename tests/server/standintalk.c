/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The voice that talks: it waits until the user has finished, then says
 * something true about what it heard, with the words in step, and stops when
 * the user speaks again.
 *
 * espeak-ng is one synthesiser a process, so a lock stands around it; a
 * sentence is synthesised whole, which takes some milliseconds.
 */
#include "standinvoice.h"

#include <math.h>
#include <string.h>

#include "config-standin.h"
#ifdef HAVE_ESPEAK_NG
#include <espeak-ng/speak_lib.h>
#endif

#define FRAMES_PER_SECOND 12.5
/* Speech is what is louder than this, full scale being 0 dB. */
#define SPEECH_DB -42.0
/* A pause so long ends a turn: 640 ms. */
#define HANGOVER 8
/* Anything shorter is a click. */
#define LEAST_SPEECH 2
/* The user has the word again after so many loud frames: 160 ms. */
#define INTERRUPT 2

typedef struct
{
  gchar *word;                  /* with its leading space */
  guint64 at;                   /* in samples from the sentence's start */
} Word;

struct _StandinTalk
{
  guint turn;
  guint32 seed;

  guint loud;                   /* frames of speech in this turn */
  guint length;                 /* frames since its first one */
  guint quiet;                  /* frames since its last one */
  guint loud_in_a_row;
  gdouble energy;               /* sum over the loud frames */

  GArray *pcm;                  /* the sentence, float, 24 kHz */
  gsize spoken;
  GQueue words;                 /* Word, still to come */
};

#ifdef HAVE_ESPEAK_NG

static GMutex espeak_lock;

/* espeak's callback gets no user data but through the events; a sentence at
 * a time is synthesised under the lock, so this will do. */
static struct
{
  gint rate;                    /* 0: not yet asked, below: no luck */
  const gchar *text;
  GArray *pcm;                  /* gint16 at `rate` */
  GQueue *words;
} espeak;

static void
note_word (const espeak_EVENT * event)
{
  const gchar *start;
  Word *word;
  gchar *text;

  start = g_utf8_offset_to_pointer (espeak.text, event->text_position - 1);
  text = g_strndup (start, strcspn (start, " "));
  word = g_new (Word, 1);
  word->word = g_strconcat (" ", text, NULL);
  word->at = (guint64) event->audio_position * MOSHI_STANDIN_RATE / 1000;
  g_queue_push_tail (espeak.words, word);
  g_free (text);
}

static int
on_synth (short *samples, int n_samples, espeak_EVENT * events)
{
  for (; events->type != espeakEVENT_LIST_TERMINATED; events++) {
    if (events->type == espeakEVENT_WORD)
      note_word (events);
  }
  if (samples != NULL && n_samples > 0)
    g_array_append_vals (espeak.pcm, samples, n_samples);
  return 0;
}

/* Needs the lock. */
static gboolean
init_espeak (void)
{
  if (espeak.rate == 0) {
    espeak.rate = espeak_Initialize (AUDIO_OUTPUT_RETRIEVAL, 0, NULL,
        espeakINITIALIZE_DONT_EXIT);
    if (espeak.rate > 0) {
      espeak_SetSynthCallback (on_synth);
      espeak_SetVoiceByName ("en");
    }
  }
  return espeak.rate > 0;
}

/* Cubic Hermite: the images it leaves are far below espeak's own quality. */
static void
resample (const gint16 * in, gsize n_in, gint rate, GArray * out)
{
  gsize n_out = n_in * (guint64) MOSHI_STANDIN_RATE / rate;
  gdouble at;
  gdouble t;
  gdouble y[4];
  gfloat value;
  gssize whole;
  gsize i;
  gint k;

  for (i = 0; i < n_out; i++) {
    at = (gdouble) i *rate / MOSHI_STANDIN_RATE;
    whole = (gssize) at;
    t = at - whole;
    for (k = 0; k < 4; k++)
      y[k] = in[CLAMP (whole + k - 1, 0, (gssize) n_in - 1)] / 32768.0;
    value = y[1] + t / 2 * (y[2] - y[0] + t * (2 * y[0] - 5 * y[1] + 4 * y[2]
            - y[3] + t * (3 * (y[1] - y[2]) + y[3] - y[0])));
    g_array_append_val (out, value);
  }
}

static void
say (StandinTalk * self, const gchar * sentence)
{
  GArray *pcm = g_array_new (FALSE, FALSE, sizeof (gint16));

  g_mutex_lock (&espeak_lock);
  if (init_espeak ()) {
    espeak.text = sentence;
    espeak.pcm = pcm;
    espeak.words = &self->words;
    espeak_Synth (sentence, strlen (sentence) + 1, 0, POS_CHARACTER, 0,
        espeakCHARS_UTF8, NULL, NULL);
    espeak_Synchronize ();
    if (pcm->len > 0)
      resample ((const gint16 *) pcm->data, pcm->len, espeak.rate, self->pcm);
  }
  g_mutex_unlock (&espeak_lock);
  g_array_unref (pcm);
}

/**
 * moshi_standin_can_talk:
 *
 * Returns: whether there is a synthesiser for the voice `talk`
 */
gboolean
moshi_standin_can_talk (void)
{
  gboolean can;

  g_mutex_lock (&espeak_lock);
  can = init_espeak ();
  g_mutex_unlock (&espeak_lock);
  return can;
}

#else

static void
say (StandinTalk * self, const gchar * sentence)
{
}

/**
 * moshi_standin_can_talk:
 *
 * Returns: whether there is a synthesiser for the voice `talk`
 */
gboolean
moshi_standin_can_talk (void)
{
  return FALSE;
}

#endif

static void
free_word (gpointer data)
{
  Word *word = data;

  g_free (word->word);
  g_free (word);
}

static void
fall_silent (StandinTalk * self)
{
  g_array_set_size (self->pcm, 0);
  self->spoken = 0;
  g_queue_clear_full (&self->words, free_word);
}

static gboolean
is_speaking (StandinTalk * self)
{
  return self->spoken < self->pcm->len;
}

static gchar *
spell_seconds (guint frames)
{
  static const gchar *const numbers[] = { "zero", "one", "two", "three",
    "four", "five", "six", "seven", "eight", "nine", "ten"
  };
  guint seconds = (guint) (frames / FRAMES_PER_SECOND + 0.5);

  if (seconds == 0)
    return g_strdup ("less than a second");
  if (seconds == 1)
    return g_strdup ("one second");
  if (seconds < G_N_ELEMENTS (numbers))
    return g_strdup_printf ("%s seconds", numbers[seconds]);
  return g_strdup_printf ("%u seconds", seconds);
}

static const gchar *
name_loudness (gdouble db)
{
  if (db > -12)
    return "very loud";
  if (db > -24)
    return "loud and clear";
  if (db > -34)
    return "rather soft";
  return "very soft";
}

static gchar *
compose (StandinTalk * self)
{
  gchar *spoken = spell_seconds (self->length - self->quiet);
  const gchar *loudness =
      name_loudness (10 * log10 (self->energy / self->loud));
  gchar *sentence;

  switch ((self->turn + self->seed) % 4) {
    case 1:
      sentence = g_strdup_printf ("I heard you speak for %s, %s.", spoken,
          loudness);
      break;
    case 2:
      sentence = g_strdup_printf ("That was %s, and you were %s. Go on.",
          spoken, loudness);
      break;
    case 3:
      sentence = g_strdup_printf ("Thank you, that was turn number %u. "
          "You took %s.", self->turn, spoken);
      break;
    default:
      sentence = g_strdup_printf ("You have spoken %u times now, this time "
          "for %s. Your voice is %s.", self->turn, spoken, loudness);
      break;
  }
  g_free (spoken);
  return sentence;
}

static void
take_turn (StandinTalk * self)
{
  gchar *sentence;

  self->turn++;
  sentence = compose (self);
  fall_silent (self);
  say (self, sentence);
  g_free (sentence);
  self->loud = 0;
  self->length = 0;
  self->quiet = 0;
  self->energy = 0;
}

/**
 * standin_talk_new:
 * @seed: chooses the first sentence
 *
 * Returns: (transfer full): free it with standin_talk_free()
 */
StandinTalk *
standin_talk_new (guint32 seed)
{
  StandinTalk *self = g_new0 (StandinTalk, 1);

  self->seed = seed;
  self->pcm = g_array_new (FALSE, FALSE, sizeof (gfloat));
  return self;
}

/**
 * standin_talk_free:
 * @self: (transfer full): the voice
 */
void
standin_talk_free (StandinTalk * self)
{
  fall_silent (self);
  g_array_unref (self->pcm);
  g_free (self);
}

static gdouble
mean_square (const gfloat * frame)
{
  gdouble sum = 0;
  guint i;

  for (i = 0; i < MOSHI_STANDIN_FRAME; i++)
    sum += frame[i] * frame[i];
  return sum / MOSHI_STANDIN_FRAME;
}

/**
 * standin_talk_hear:
 * @self: the voice
 * @frame: (array fixed-size=1920): what the user says in this step
 */
void
standin_talk_hear (StandinTalk * self, const gfloat * frame)
{
  gdouble power = mean_square (frame);
  gboolean loud = power > pow (10, SPEECH_DB / 10);

  self->loud_in_a_row = loud ? self->loud_in_a_row + 1 : 0;
  if (loud) {
    self->loud++;
    self->quiet = 0;
    self->energy += power;
  } else {
    self->quiet++;
  }
  if (self->loud > 0)
    self->length++;
  if (self->loud_in_a_row >= INTERRUPT && is_speaking (self))
    fall_silent (self);
  if (self->quiet < HANGOVER)
    return;
  if (self->loud >= LEAST_SPEECH)
    take_turn (self);
  self->loud = 0;
  self->length = 0;
  self->energy = 0;
}

/**
 * standin_talk_speak:
 * @self: the voice
 * @frame: (inout) (array fixed-size=1920): silence, spoken over
 * @words: (element-type utf8) (inout): the words that begin in this frame
 */
void
standin_talk_speak (StandinTalk * self, gfloat * frame, GQueue * words)
{
  gsize n = MIN (MOSHI_STANDIN_FRAME, self->pcm->len - self->spoken);
  Word *word;

  if (n == 0)
    return;
  memcpy (frame, &g_array_index (self->pcm, gfloat, self->spoken),
      n * sizeof *frame);
  self->spoken += n;
  while ((word = g_queue_peek_head (&self->words)) != NULL
      && (word->at < self->spoken || !is_speaking (self))) {
    g_queue_pop_head (&self->words);
    g_queue_push_tail (words, g_strdup (word->word));
    free_word (word);
  }
}
