/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "moshitext.h"

#include <string.h>

/*
 * From pieces to units
 *
 * A server sends text as the pieces its tokenizer made, a few characters each,
 * and every family of servers breaks them in its own way: raw sentencepiece
 * with U+2581 for a space; characters outside the vocabulary as one literal
 * `<0xNN>` a byte, each in a message of its own; or, where the server prints
 * the difference between two decodings, one U+FFFD or an empty message for
 * each such byte. Three layers put this right, one byte at a time, so that
 * nothing grows with what a peer sends:
 *
 * 1. Bytes. `<0xNN>` (any case) becomes its byte, anything else is taken as it
 *    is. Servers send a token whole, so one split over two pieces does not
 *    occur; `<0x` that is no complete token is ordinary text.
 * 2. Characters. A decoder after RFC 3629 keeps an unfinished character over
 *    pieces. What can no longer become a character (a byte that does not
 *    continue it, a pause, a flush) turns into one U+FFFD, and a run of U+FFFD,
 *    whoever made it, is one. U+2581, tabs, line ends of all kinds are spaces;
 *    other control characters, NUL among them, are dropped.
 * 3. Units. Spaces end words. Words end sentences.
 *
 * When a span begins and ends
 *
 * A piece has the position of the audio received when it came. A word begins at
 * its first piece (at the first byte of its first character) and ends where
 * the space behind it came, or WORD_PAUSE after its last piece, whichever is
 * sooner; so a word is known as soon as the next one begins or a pause shows
 * that none does. A token lasts one frame. A sentence lasts from its first word
 * to the end of its last.
 *
 * Subtitle muxers want spans in order which do not overlap, each longer than
 * nothing, but several pieces may share a position. So one rule stands at the
 * only way out (emit()): a span begins no sooner than the one before ended, and
 * lasts a frame at least. The servers make at most one piece a frame, so with
 * them the rule moves nothing for long; a burst at one position is laid out
 * one frame apiece, and later spans catch up where the positions pass it.
 *
 * What was cut without a space (by a pause, by MAX_WORD) and goes on without
 * one is glued together again in a sentence, and counts as one word.
 *
 * Where a sentence ends
 *
 * Behind the word that ends in one of the stops of many writings (is_stop()),
 * quotation marks and brackets after it included; SENTENCE_PAUSE after the last
 * piece, whatever it was; and where it gets too long to be read: MAX_SENTENCE
 * characters, MAX_SENTENCE_TIME. A word is judged as soon as it is whole, so a
 * sentence is not kept waiting for what follows, and the policy where `.` is
 * ambiguous is to take it for an end unless the word itself says otherwise:
 * initials and what is spelled like them (`J.`, `U.S.`, `e.g.`), and the
 * abbreviations of is_abbreviation(), which always stand before something. A
 * stop within a word (`3.5`, `kyutai.org`) is none.
 *
 * Where words are not spaced (Japanese, Chinese) the stop itself ends the word.
 */

/* All in 48 kHz samples. */
#define FRAME 3840
#define WORD_PAUSE 24000        /* 500 ms without a piece end a word */
#define SENTENCE_PAUSE 72000    /* 1,500 ms end a sentence */
#define MAX_WORD_TIME 192000    /* 4 s: nobody waits longer for a word */
#define MAX_SENTENCE_TIME 720000        /* 15 s: nor for a sentence */

/* Bounds on what a peer can make us keep. */
#define MAX_TOKEN 1024          /* bytes */
#define MAX_WORD 128            /* bytes */
#define MAX_SENTENCE 400        /* characters */
#define MAX_SPANS 4096

#define REPLACEMENT 0xFFFD
#define FALLBACK_SIZE 6         /* of <0xNN> */

/* A unit being put together; empty text means none. */
typedef struct
{
  GString *text;
  guint64 start;
  gint color;
} Draft;

struct _MoshiText
{
  MoshiTextUnit unit;
  GQueue spans;                 /* of MoshiTextSpan, oldest first */
  guint64 words;

  guint64 position;             /* the highest given so far */
  guint64 last_piece;           /* where the last one came that had text */
  guint64 taken;                /* end of the last span made */
  gint color;                   /* of the piece at hand */

  /* the unfinished character: bits so far, bytes missing, and the range the
   * next byte must lie in */
  gunichar character;
  guint missing;
  guint8 lower;
  guint8 upper;
  guint64 character_start;
  gint character_color;
  gboolean replaced;            /* the last character was U+FFFD */

  gboolean spaced;              /* a space or nothing precedes what comes */
  gboolean glued;               /* `word` goes on from the word before it */
  Draft token;
  Draft word;
  Draft sentence;
  guint64 sentence_end;
};

/**
 * moshi_text_span_clear:
 * @span: a span filled by moshi_text_pull()
 *
 * Frees what @span holds and leaves it empty; may be called twice.
 */
void
moshi_text_span_clear (MoshiTextSpan * span)
{
  g_clear_pointer (&span->text, g_free);
}

static void
free_span (gpointer data)
{
  MoshiTextSpan *span = data;

  moshi_text_span_clear (span);
  g_free (span);
}

/* The one way out; see the essay for the rule it keeps. The oldest span goes
 * when nobody pulls: what is said now matters more to whoever looks next. */
static void
emit (MoshiText * self, Draft * draft, guint64 end)
{
  MoshiTextSpan *span;

  if (draft->text->len == 0)
    return;
  span = g_new (MoshiTextSpan, 1);
  span->text = g_strndup (draft->text->str, draft->text->len);
  span->start = MAX (draft->start, self->taken);
  span->end = MAX (end, span->start + FRAME);
  span->color = draft->color;
  self->taken = span->end;
  g_string_truncate (draft->text, 0);

  if (g_queue_get_length (&self->spans) == MAX_SPANS)
    free_span (g_queue_pop_head (&self->spans));
  g_queue_push_tail (&self->spans, span);
}

static void
begin (Draft * draft, guint64 start, gint color)
{
  if (draft->text->len > 0)
    return;
  draft->start = start;
  draft->color = color;
}

static gboolean
is_space (gunichar c)
{
  return c == ' ' || (c >= '\t' && c <= '\r') || c == 0x85 || c == 0x2028
      || c == 0x2029 || c == 0x2581;
}

/* What may stand between the end of a sentence and the space. */
static gboolean
is_closing (gunichar c)
{
  switch (c) {
    case '"':
    case '\'':
    case ')':
    case ']':
    case '}':
    case 0x00BB:               /* » */
    case 0x2019:               /* ’ */
    case 0x201D:               /* ” */
    case 0x203A:               /* › */
    case 0x300D:               /* 」 */
    case 0x300F:               /* 』 */
    case 0xFF09:               /* ） */
      return TRUE;
    default:
      return FALSE;
  }
}

/* Stops of writings that put no space behind them */
static gboolean
is_wide_stop (gunichar c)
{
  switch (c) {
    case 0x3002:               /* 。 */
    case 0xFF01:               /* ！ */
    case 0xFF0E:               /* ． */
    case 0xFF1F:               /* ？ */
    case 0xFF61:               /* ｡ */
      return TRUE;
    default:
      return FALSE;
  }
}

/* What ends a sentence, but `.`, which may do other things */
static gboolean
is_stop (gunichar c)
{
  switch (c) {
    case '!':
    case '?':
    case 0x037E:               /* Greek question mark */
    case 0x0589:               /* Armenian full stop */
    case 0x061F:               /* Arabic question mark */
    case 0x06D4:               /* Urdu full stop */
    case 0x0964:               /* danda */
    case 0x0965:               /* double danda */
    case 0x104A:               /* Burmese little section */
    case 0x104B:               /* Burmese section */
    case 0x1362:               /* Ethiopic full stop */
    case 0x1367:               /* Ethiopic question mark */
    case 0x17D4:               /* Khmer full stop */
    case 0x2026:               /* … */
    case 0x203C:               /* ‼ */
    case 0x203D:               /* ‽ */
    case 0x2047:               /* ⁇ */
    case 0x2048:               /* ⁈ */
    case 0x2049:               /* ⁉ */
      return TRUE;
    default:
      return is_wide_stop (c);
  }
}

/* The last character that closes nothing, or 0; @end is where it ends. */
static gunichar
last_character (const GString * text, gsize * end)
{
  const gchar *at = text->str + text->len;

  while (at > text->str) {
    const gchar *before = g_utf8_prev_char (at);
    gunichar c = g_utf8_get_char (before);

    if (!is_closing (c)) {
      *end = at - text->str;
      return c;
    }
    at = before;
  }
  *end = 0;
  return 0;
}

/* Letters with a full stop each, as in J., U.S. or e.g.: a name or a thought
 * goes on. A small letter alone is no name, and I is one seldom. */
static gboolean
are_initials (const gchar * text, gsize size)
{
  const gchar *end = text + size;
  const gunichar first = size > 0 ? g_utf8_get_char (text) : 0;
  guint letters = 0;

  while (text < end) {
    if (!g_unichar_isalpha (g_utf8_get_char (text)))
      return FALSE;
    text = g_utf8_next_char (text);
    if (text >= end || *text++ != '.')
      return FALSE;
    letters++;
  }
  return letters > 1 || (letters == 1 && g_unichar_isupper (first)
      && first != 'I');
}

/* What stands before a name or an example, and never last. Others (etc., Inc.)
 * may end a sentence, and then do. */
static gboolean
is_abbreviation (const gchar * text, gsize size)
{
  static const gchar *const abbreviations[] = {
    "Dr.", "Mr.", "Mrs.", "Ms.", "Prof.", "St.", "Mt.", "Gen.", "Col.", "Capt.",
    "Lt.", "Sgt.", "Rev.", "Gov.", "Sen.", "vs.", "cf.", "approx.",
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (abbreviations); i++)
    if (strlen (abbreviations[i]) == size
        && g_ascii_strncasecmp (text, abbreviations[i], size) == 0)
      return TRUE;
  return FALSE;
}

/* What may stand between the space and a sentence. */
static gsize
count_opening (const gchar * text)
{
  const gchar *at = text;

  while (strchr ("\"'([{", *at) != NULL && *at != '\0')
    at++;
  return at - text;
}

static gboolean
ends_sentence (const GString * word)
{
  const gsize start = count_opening (word->str);
  gsize end;
  gunichar c = last_character (word, &end);

  if (c != '.')
    return is_stop (c);
  if (end <= start)
    return TRUE;
  return !are_initials (word->str + start, end - start)
      && !is_abbreviation (word->str + start, end - start);
}

static void
finish_sentence (MoshiText * self)
{
  emit (self, &self->sentence, self->sentence_end);
}

static void
add_to_sentence (MoshiText * self, guint64 end)
{
  GString *text = self->sentence.text;
  GString *word = self->word.text;
  glong size = g_utf8_strlen (text->str, text->len) + !self->glued
      + g_utf8_strlen (word->str, word->len);

  if (size > MAX_SENTENCE)
    finish_sentence (self);
  begin (&self->sentence, self->word.start, self->word.color);
  if (text->len > 0 && !self->glued)
    g_string_append_c (text, ' ');
  g_string_append_len (text, word->str, word->len);
  self->sentence_end = end;
  if (ends_sentence (word))
    finish_sentence (self);
}

static void
finish_word (MoshiText * self, guint64 end)
{
  if (self->word.text->len == 0)
    return;
  if (!self->glued)
    self->words++;
  if (self->unit == MOSHI_TEXT_WORD)
    emit (self, &self->word, end);
  else if (self->unit == MOSHI_TEXT_SENTENCE)
    add_to_sentence (self, end);
  g_string_truncate (self->word.text, 0);
}

static void
finish_token (MoshiText * self)
{
  emit (self, &self->token, self->token.start + FRAME);
}

/* Japanese and Chinese put no spaces, so their full stops end a word. */
static gboolean
is_stopped (const GString * word, gunichar next)
{
  gsize end;

  return !is_closing (next) && is_wide_stop (last_character (word, &end))
      && !is_wide_stop (next);
}

static void
add_to_word (MoshiText * self, const gchar * bytes, gint size, gunichar c)
{
  if (is_stopped (self->word.text, c)) {
    finish_word (self, self->character_start);
    self->spaced = TRUE;
  }
  if (self->word.text->len + size > MAX_WORD)
    finish_word (self, self->character_start);
  if (self->word.text->len == 0)
    self->glued = !self->spaced;
  begin (&self->word, self->character_start, self->character_color);
  g_string_append_len (self->word.text, bytes, size);
  self->spaced = FALSE;
}

static void
add_to_token (MoshiText * self, const gchar * bytes, gint size)
{
  if (self->token.text->len + size > MAX_TOKEN)
    finish_token (self);
  begin (&self->token, self->character_start, self->character_color);
  g_string_append_len (self->token.text, bytes, size);
}

static void
take_character (MoshiText * self, gunichar c)
{
  gchar bytes[6];
  gint size;

  if (is_space (c))
    c = ' ';
  else if (g_unichar_iscntrl (c))
    return;
  if (c == REPLACEMENT && self->replaced)
    return;
  self->replaced = c == REPLACEMENT;

  size = g_unichar_to_utf8 (c, bytes);
  if (self->unit == MOSHI_TEXT_TOKEN)
    add_to_token (self, bytes, size);
  if (c == ' ') {
    finish_word (self, self->character_start);
    self->spaced = TRUE;
  } else {
    add_to_word (self, bytes, size, c);
  }
}

/* Gives up the unfinished character, if there is one. */
static void
abort_character (MoshiText * self)
{
  if (self->missing == 0)
    return;
  self->missing = 0;
  take_character (self, REPLACEMENT);
}

/* The first byte tells how many follow, and for some narrows the next one's
 * range, which keeps out overlong forms, surrogates and what lies above
 * U+10FFFF (RFC 3629 section 4). */
static void
start_character (MoshiText * self, guint8 byte)
{
  self->character_start = self->position;
  self->character_color = self->color;
  self->lower = byte == 0xE0 ? 0xA0 : byte == 0xF0 ? 0x90 : 0x80;
  self->upper = byte == 0xED ? 0x9F : byte == 0xF4 ? 0x8F : 0xBF;

  if (byte < 0x80) {
    take_character (self, byte);
  } else if (byte >= 0xC2 && byte <= 0xDF) {
    self->character = byte & 0x1F;
    self->missing = 1;
  } else if (byte >= 0xE0 && byte <= 0xEF) {
    self->character = byte & 0x0F;
    self->missing = 2;
  } else if (byte >= 0xF0 && byte <= 0xF4) {
    self->character = byte & 0x07;
    self->missing = 3;
  } else {
    take_character (self, REPLACEMENT);
  }
}

static void
take_byte (MoshiText * self, guint8 byte)
{
  if (self->missing == 0 || byte < self->lower || byte > self->upper) {
    abort_character (self);
    start_character (self, byte);
    return;
  }
  self->lower = 0x80;
  self->upper = 0xBF;
  self->character = self->character << 6 | (byte & 0x3F);
  if (--self->missing == 0)
    take_character (self, self->character);
}

/* The byte of a <0xNN> that @piece begins with, or -1. */
static gint
read_fallback (const guint8 * piece, gsize size)
{
  if (size < FALLBACK_SIZE || piece[0] != '<' || piece[1] != '0'
      || (piece[2] != 'x' && piece[2] != 'X') || piece[5] != '>'
      || !g_ascii_isxdigit (piece[3]) || !g_ascii_isxdigit (piece[4]))
    return -1;
  return g_ascii_xdigit_value (piece[3]) << 4 | g_ascii_xdigit_value (piece[4]);
}

static void
set_position (MoshiText * self, guint64 position)
{
  /* Half the range leaves room for all that is added to a position. */
  self->position = CLAMP (position, self->position, G_MAXINT64);
}

static void
clear_assembly (MoshiText * self)
{
  self->missing = 0;
  self->replaced = FALSE;
  self->spaced = TRUE;
  g_string_truncate (self->token.text, 0);
  g_string_truncate (self->word.text, 0);
  g_string_truncate (self->sentence.text, 0);
}

/**
 * moshi_text_new:
 * @unit: what one span holds
 *
 * Returns: (transfer full): an assembler at position 0. Not thread-safe: all
 *     calls on one assembler need one lock or one thread.
 */
MoshiText *
moshi_text_new (MoshiTextUnit unit)
{
  MoshiText *self = g_new0 (MoshiText, 1);

  self->unit = unit;
  self->token.text = g_string_new (NULL);
  self->word.text = g_string_new (NULL);
  self->sentence.text = g_string_new (NULL);
  g_queue_init (&self->spans);
  clear_assembly (self);
  return self;
}

/**
 * moshi_text_free:
 * @self: (transfer full) (nullable): the assembler
 *
 * Frees @self with all it has not handed out.
 */
void
moshi_text_free (MoshiText * self)
{
  if (self == NULL)
    return;
  g_queue_clear_full (&self->spans, free_span);
  g_string_free (self->token.text, TRUE);
  g_string_free (self->word.text, TRUE);
  g_string_free (self->sentence.text, TRUE);
  g_free (self);
}

/**
 * moshi_text_set_unit:
 * @self: the assembler
 * @unit: what one span holds from now on
 *
 * What is assembled so far is finished first, in the old unit, as by a flush at
 * the last position. Without a change of unit nothing happens.
 */
void
moshi_text_set_unit (MoshiText * self, MoshiTextUnit unit)
{
  if (self->unit == unit)
    return;
  moshi_text_flush (self, self->position);
  self->unit = unit;
}

/**
 * moshi_text_push:
 * @self: the assembler
 * @piece: (array length=size) (nullable): one text message's payload, any bytes
 * @size: its length in bytes; an empty piece only moves the position
 * @color: MoshiVis' colour, 0 to 10; anything else means none
 * @position: audio received from the server so far, in 48 kHz samples; a
 *     position before the last one counts as the last one
 *
 * Takes one piece. It acts on the position first, as moshi_text_advance() does.
 * Spans it completes wait for moshi_text_pull(): 4,096 at most, the oldest goes
 * first.
 *
 * Source: sentencepiece pieces from moshi/moshi/server.py, decodings from
 * rust/moshi-backend/src/stream_both.rs (kyutai-labs/moshi).
 */
void
moshi_text_push (MoshiText * self, const guint8 * piece, gsize size,
    gint color, guint64 position)
{
  moshi_text_advance (self, position);
  if (size == 0)
    return;
  self->color = color >= 0 && color <= 10 ? color : -1;
  self->last_piece = self->position;

  while (size > 0) {
    gint byte = read_fallback (piece, size);
    gsize used = byte >= 0 ? FALLBACK_SIZE : 1;

    take_byte (self, byte >= 0 ? byte : *piece);
    piece += used;
    size -= used;
  }
  finish_token (self);
}

static gboolean
is_older (MoshiText * self, const Draft * draft, guint64 age)
{
  return draft->text->len > 0 && self->position >= draft->start + age;
}

/* Whoever reads the spans may have to keep all else until a draft is whole. */
static void
limit_age (MoshiText * self)
{
  if (is_older (self, &self->sentence, MAX_SENTENCE_TIME))
    finish_sentence (self);
  if (is_older (self, &self->word, MAX_WORD_TIME))
    finish_word (self, self->position);
}

/**
 * moshi_text_advance:
 * @self: the assembler
 * @position: audio received so far, in 48 kHz samples
 *
 * Tells that audio came without text. 500 ms after the last piece its word is
 * finished (and a split character given up), 1,500 ms after it the sentence; a
 * word is finished 4 s after its start at the latest, a sentence 15 s.
 */
void
moshi_text_advance (MoshiText * self, guint64 position)
{
  guint64 pause;

  set_position (self, position);
  pause = self->position - self->last_piece;
  if (pause >= WORD_PAUSE) {
    abort_character (self);
    self->replaced = FALSE;
    finish_token (self);
    finish_word (self, self->last_piece + WORD_PAUSE);
  }
  if (pause >= SENTENCE_PAUSE) {
    finish_sentence (self);
    self->spaced = TRUE;
  }
  limit_age (self);
}

/**
 * moshi_text_flush:
 * @self: the assembler
 * @position: audio received so far, in 48 kHz samples
 *
 * Finishes whatever is assembled: nothing more belongs to it. It ends at
 * @position, or 500 ms after its last piece where that is sooner.
 */
void
moshi_text_flush (MoshiText * self, guint64 position)
{
  moshi_text_advance (self, position);
  abort_character (self);
  finish_token (self);
  finish_word (self, MIN (self->position, self->last_piece + WORD_PAUSE));
  finish_sentence (self);
  clear_assembly (self);
}

/**
 * moshi_text_reset:
 * @self: the assembler
 *
 * Drops everything: what is assembled, the spans not yet pulled, the position,
 * which may begin again at 0. Only the unit and the count of words stay.
 */
void
moshi_text_reset (MoshiText * self)
{
  clear_assembly (self);
  g_queue_clear_full (&self->spans, free_span);
  self->position = 0;
  self->last_piece = 0;
  self->taken = 0;
}

/**
 * moshi_text_pull:
 * @self: the assembler
 * @span: (out caller-allocates): set to the next span, to be given to
 *     moshi_text_span_clear(), or to zeros when there is none
 *
 * Spans come in order: each starts at or after the end of the one before it
 * (since the last reset) and lasts 80 ms (3,840 samples) at least.
 *
 * Returns: whether there was a span
 */
gboolean
moshi_text_pull (MoshiText * self, MoshiTextSpan * span)
{
  MoshiTextSpan *next = g_queue_pop_head (&self->spans);

  memset (span, 0, sizeof *span);
  if (next == NULL)
    return FALSE;
  *span = *next;
  g_free (next);
  return TRUE;
}

/**
 * moshi_text_get_pending:
 * @self: the assembler
 * @start: (out): where the next span will start, in 48 kHz samples; untouched
 *     when nothing is known of it
 *
 * Tells how far a reader of the spans may take it that there is no text: with
 * text held, whole or not, up to @start, otherwise up to the last position. A
 * character that turns out to be dropped may have been announced.
 *
 * Returns: whether text is held that moshi_text_pull() has not handed out
 */
gboolean
moshi_text_get_pending (MoshiText * self, guint64 * start)
{
  const MoshiTextSpan *span = g_queue_peek_head (&self->spans);

  if (span != NULL)
    *start = span->start;
  else if (self->sentence.text->len > 0)
    *start = MAX (self->sentence.start, self->taken);
  else if (self->word.text->len > 0 && self->unit != MOSHI_TEXT_TOKEN)
    *start = MAX (self->word.start, self->taken);
  else if (self->missing > 0)
    *start = MAX (self->character_start, self->taken);
  else
    return FALSE;
  return TRUE;
}

/**
 * moshi_text_get_words:
 * @self: the assembler
 *
 * Returns: words finished since moshi_text_new(), in whatever unit; a reset
 *     does not change it, and words that were dropped or not pulled count
 */
guint64
moshi_text_get_words (MoshiText * self)
{
  return self->words;
}
