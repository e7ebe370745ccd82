/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include <string.h>

#include "protocol/moshitext.h"

#define FRAME 3840
#define FFFD "\xEF\xBF\xBD"
#define SPACE "\xE2\x96\x81"    /* U+2581 */
#define E_ACUTE "\xC3\xA9"
#define SMILE "\xF0\x9F\x98\x80"

/* What is done to the assembler: by default a piece comes; otherwise time goes
 * by, all is flushed, or the unit changes. */
typedef enum
{
  PUSH,
  ADVANCE,
  FLUSH,
  TO_TOKEN,
  TO_WORD,
  TO_SENTENCE,
  RESET,
} Act;

/* Positions in frames of 80 ms. */
typedef struct
{
  const gchar *piece;
  guint frame;
  Act act;
  gint color;
} Step;

typedef struct
{
  const gchar *name;
  MoshiTextUnit unit;
  Step steps[14];               /* up to one that is all zeros */
  const gchar *expected;        /* text@start-end in frames, or samples with
                                   a trailing s; /color where it is not 0 */
} Case;

static void
append_position (GString * out, guint64 position)
{
  if (position % FRAME == 0)
    g_string_append_printf (out, "%" G_GUINT64_FORMAT, position / FRAME);
  else
    g_string_append_printf (out, "%" G_GUINT64_FORMAT "s", position);
}

static gchar *
pull_all (MoshiText * text)
{
  GString *out = g_string_new (NULL);

  while (TRUE) {
    g_auto (MoshiTextSpan) span = { NULL, };

    if (!moshi_text_pull (text, &span))
      break;
    g_assert_cmpuint (span.start, <, span.end);
    g_string_append_printf (out, "%s%s@", out->len ? "|" : "", span.text);
    append_position (out, span.start);
    g_string_append_c (out, '-');
    append_position (out, span.end);
    if (span.color != 0)
      g_string_append_printf (out, "/%d", span.color);
  }
  return g_string_free (out, FALSE);
}

static void
take_step (MoshiText * text, const Step * step)
{
  guint64 position = (guint64) step->frame * FRAME;

  switch (step->act) {
    case PUSH:
      moshi_text_push (text, (const guint8 *) step->piece,
          strlen (step->piece), step->color, position);
      break;
    case ADVANCE:
      moshi_text_advance (text, position);
      break;
    case FLUSH:
      moshi_text_flush (text, position);
      break;
    case RESET:
      moshi_text_reset (text);
      break;
    default:
      moshi_text_set_unit (text, step->act - TO_TOKEN);
      break;
  }
}

static void
test_case (gconstpointer data)
{
  const Case *test = data;
  g_autoptr (MoshiText) text = moshi_text_new (test->unit);
  g_autofree gchar *got = NULL;
  guint i;

  for (i = 0; test->steps[i].piece != NULL || test->steps[i].act != PUSH; i++)
    take_step (text, &test->steps[i]);
  got = pull_all (text);
  g_assert_cmpstr (got, ==, test->expected);
}

/* 500 ms are 6.25 frames: 24,000 samples. */
static const Case cases[] = {
  {"token/as-they-come", MOSHI_TEXT_TOKEN,
        {{" Hel", 5}, {"lo", 6}, {",", 9}, {"", 10}},
      " Hel@5-6|lo@6-7|,@9-10"},
  {"token/lower-block-is-space", MOSHI_TEXT_TOKEN,
      {{SPACE "Oui" SPACE, 1}}, " Oui @1-2"},
  {"token/line-end-is-space", MOSHI_TEXT_TOKEN,
      {{"<0x0A>", 1}, {"\r\n", 4}}, " @1-2|  @4-5"},
  {"token/same-position", MOSHI_TEXT_TOKEN,
        {{"a", 3}, {"b", 3}, {"c", 3}, {"d", 5}, {"e", 9}},
      "a@3-4|b@4-5|c@5-6|d@6-7|e@9-10"},
  {"token/bytes-wait", MOSHI_TEXT_TOKEN,
        {{" caf<0xC3>", 1}, {"<0xA9>", 2}, {"s", 3}},
      " caf@1-2|" E_ACUTE "@2-3|s@3-4"},
  {"token/bytes-start-where-the-first-came", MOSHI_TEXT_TOKEN,
        {{"<0xC3>", 4}, {"<0xA9>", 7}},
      E_ACUTE "@4-5"},
  {"token/half-then-pause", MOSHI_TEXT_TOKEN,
      {{"<0xF0>", 4}, {"<0x9F>", 5}, {NULL, 12, ADVANCE}}, FFFD "@4-5"},
  {"token/half-before-pause", MOSHI_TEXT_TOKEN,
      {{"<0xF0>", 4}, {"<0x9F>", 5}, {NULL, 11, ADVANCE}}, ""},
  {"token/half-then-flush", MOSHI_TEXT_TOKEN,
      {{"\xF0\x9F\x98", 4}, {NULL, 4, FLUSH}}, FFFD "@4-5"},
  {"token/half-then-late-rest", MOSHI_TEXT_TOKEN,
        {{"<0xC3>", 4}, {"<0xA9>", 40}},
      FFFD "@4-5|" FFFD "@40-41"},

  {"bytes/each-a-piece", MOSHI_TEXT_TOKEN,
        {{"<0xF0>", 0}, {"<0x9F>", 1}, {"<0x98>", 2}, {"<0x80>", 3}},
      SMILE "@0-1"},
  {"bytes/any-case", MOSHI_TEXT_TOKEN,
      {{"<0xc3><0XA9><0xC3><0xa9>", 0}}, E_ACUTE E_ACUTE "@0-1"},
  {"bytes/mixed-with-text", MOSHI_TEXT_TOKEN,
      {{"a<0xC3><0xA9>b<0x41>", 0}}, "a" E_ACUTE "bA@0-1"},
  {"bytes/mixed-with-raw", MOSHI_TEXT_TOKEN,
      {{"\xC3", 0}, {"<0xA9>", 1}}, E_ACUTE "@0-1"},
  {"bytes/empty-piece-between", MOSHI_TEXT_TOKEN,
      {{"<0xC3>", 0}, {"", 1}, {"<0xA9>", 2}}, E_ACUTE "@0-1"},
  {"bytes/no-token", MOSHI_TEXT_TOKEN,
        {{"<0x", 0}, {"<0x4>", 1}, {"<0x4G>", 2}, {"<0x411>", 3}, {"<1x41>", 4},
            {"0x41>", 5}, {"<0x41", 6}},
      "<0x@0-1|<0x4>@1-2|<0x4G>@2-3|<0x411>@3-4|<1x41>@4-5|0x41>@5-6"
        "|<0x41@6-7"},
  {"bytes/broken-by-text", MOSHI_TEXT_TOKEN,
      {{"<0xE2><0x82>", 0}, {"x", 1}}, FFFD "x@0-1"},
  {"bytes/broken-by-a-new-start", MOSHI_TEXT_TOKEN,
      {{"<0xE2><0x82>", 0}, {"<0xC3><0xA9>", 1}}, FFFD E_ACUTE "@0-1"},
  {"bytes/lone-continuation", MOSHI_TEXT_TOKEN,
      {{"<0xA9>", 0}, {"a", 1}}, FFFD "@0-1|a@1-2"},
  {"bytes/raw-split", MOSHI_TEXT_TOKEN,
      {{"\xF0\x9F", 0}, {"\x98\x80!", 1}}, SMILE "!@0-1"},
  {"bytes/overlong", MOSHI_TEXT_TOKEN,
        {{"\xC0\xAF" "a\xE0\x80\xAF" "b\xF0\x80\x80\x80", 0}},
      FFFD "a" FFFD "b" FFFD "@0-1"},
  {"bytes/surrogate-and-beyond", MOSHI_TEXT_TOKEN,
        {{"\xED\xA0\x80" "a\xF4\x90\x80\x80" "b\xF5\xFF", 0}},
      FFFD "a" FFFD "b" FFFD "@0-1"},
  {"bytes/edges", MOSHI_TEXT_TOKEN,
        {{"\xEE\x80\x80\xED\x9F\xBF\xE0\xA0\x80\xF4\x8F\xBF\xBF"
                    "\xF0\x90\x80\x80", 0}},
      "\xEE\x80\x80\xED\x9F\xBF\xE0\xA0\x80\xF4\x8F\xBF\xBF\xF0\x90\x80\x80"
        "@0-1"},
  {"bytes/nul-and-controls-dropped", MOSHI_TEXT_TOKEN,
      {{"a<0x00>b\x01\x1B\x7F" "c\xC2\x80" "d", 0}, {"\x02", 1}}, "abcd@0-1"},

  {"replacement/run-over-pieces", MOSHI_TEXT_TOKEN,
        {{FFFD, 0}, {FFFD, 1}, {"", 2}, {FFFD FFFD, 3}, {"x", 4}, {FFFD, 5}},
      FFFD "@0-1|x@4-5|" FFFD "@5-6"},
  {"replacement/in-a-word", MOSHI_TEXT_WORD,
        {{" caf", 0}, {FFFD, 1}, {FFFD, 2}, {" ol" E_ACUTE, 3}, {" ", 5}},
      "caf" FFFD "@0-3|ol" E_ACUTE "@3-5"},
  {"replacement/ours-and-theirs", MOSHI_TEXT_TOKEN,
      {{"\xC3", 0}, {FFFD, 1}}, FFFD "@0-1"},
  {"replacement/two-with-a-pause-between", MOSHI_TEXT_TOKEN,
      {{FFFD, 0}, {FFFD, 20}}, FFFD "@0-1|" FFFD "@20-21"},

  {"word/next-word-ends-it", MOSHI_TEXT_WORD,
        {{" Hel", 5}, {"lo", 6}, {",", 7}, {" you", 9}, {"r", 10}},
      "Hello,@5-9"},
  {"word/lower-block", MOSHI_TEXT_WORD,
      {{SPACE "a", 0}, {SPACE "b", 2}, {SPACE, 4}}, "a@0-2|b@2-4"},
  {"word/without-leading-space", MOSHI_TEXT_WORD,
      {{"Hi", 2}, {" there", 4}}, "Hi@2-4"},
  {"word/several-in-a-piece", MOSHI_TEXT_WORD,
        {{" one two  three ", 4}},
      "one@4-5|two@5-6|three@6-7"},
  {"word/line-end-separates", MOSHI_TEXT_WORD,
      {{"a", 0}, {"<0x0A>", 1}, {"b", 2}, {"\t", 4}}, "a@0-1|b@2-4"},
  {"word/pause-ends-it", MOSHI_TEXT_WORD,
        {{" so", 10}, {"on", 12}, {NULL, 19, ADVANCE}},
      "soon@10-70080s"},
  {"word/no-pause-yet", MOSHI_TEXT_WORD,
      {{" so", 10}, {"on", 12}, {NULL, 18, ADVANCE}}, ""},
  {"word/pause-seen-at-next-piece", MOSHI_TEXT_WORD,
        {{" a", 0}, {" b", 100}, {NULL, 300, FLUSH}},
      "a@0-24000s|b@100-408000s"},
  {"word/pad-pieces-do-not-extend", MOSHI_TEXT_WORD,
        {{" a", 0}, {"", 3}, {"", 6}, {"", 7}},
      "a@0-24000s"},
  {"word/flush-ends-it", MOSHI_TEXT_WORD,
      {{" a", 2}, {NULL, 5, FLUSH}}, "a@2-5"},
  {"word/flush-at-once", MOSHI_TEXT_WORD,
      {{" a", 2}, {NULL, 2, FLUSH}}, "a@2-3"},
  {"word/flush-twice", MOSHI_TEXT_WORD,
      {{" a", 2}, {NULL, 5, FLUSH}, {NULL, 6, FLUSH}}, "a@2-5"},
  {"word/same-position", MOSHI_TEXT_WORD,
        {{" a", 2}, {" b", 2}, {" c", 2}, {" d", 10}, {" e", 12}},
      "a@2-3|b@3-4|c@4-31680s|d@10-12"},
  {"word/positions-never-fall", MOSHI_TEXT_WORD,
        {{" a", 10}, {" b", 3}, {" c", 12}, {NULL, 0, FLUSH}},
      "a@10-11|b@11-12|c@12-13"},
  {"word/starts-with-a-split-character", MOSHI_TEXT_WORD,
        {{SPACE, 1}, {"<0xC3>", 2}, {"<0xA9>", 3}, {"t", 4}, {" x", 6}},
      E_ACUTE "t@2-6"},
  {"word/half-character-and-pause", MOSHI_TEXT_WORD,
        {{" a", 0}, {"<0xC3>", 1}, {" b", 30}, {" ", 31}},
      "a" FFFD "@0-27840s|b@30-31"},
  {"word/spaces-alone", MOSHI_TEXT_WORD,
      {{"  ", 0}, {SPACE, 1}, {NULL, 90, FLUSH}}, ""},

  {"color/of-the-first-piece", MOSHI_TEXT_WORD,
        {{" bl", 0, PUSH, 3}, {"ue", 1, PUSH, 7}, {" x", 2, PUSH, -1},
            {" ", 3, PUSH, 4}},
      "blue@0-2/3|x@2-3/-1"},
  {"color/of-the-first-byte", MOSHI_TEXT_TOKEN,
        {{"<0xC3>", 0, PUSH, 10}, {"<0xA9>", 1, PUSH, 1}, {"a", 2, PUSH, 11}},
      E_ACUTE "@0-1/10|a@2-3/-1"},
  {"color/of-a-sentence", MOSHI_TEXT_SENTENCE,
        {{" A", 0, PUSH, 2}, {" b.", 1, PUSH, 5}, {" ", 2, PUSH, 6}},
      "A b.@0-2/2"},

  {"sentence/full-stop", MOSHI_TEXT_SENTENCE,
        {{" How", 0}, {" are", 2}, {" you", 4}, {"?", 5}, {" Fine", 8}},
      "How are you?@0-8"},
  {"sentence/all-ends", MOSHI_TEXT_SENTENCE,
        {{" a. b! c? d\xE2\x80\xA6 e... f", 0}},
      "a.@0-1|b!@1-2|c?@2-3|d\xE2\x80\xA6@3-4|e...@4-5"},
  {"sentence/closing-marks", MOSHI_TEXT_SENTENCE,
        {{" \"a.\" (b!) \xC2\xAB" "c?\xC2\xBB d.\xE2\x80\x9D] \") e", 0}},
      "\"a.\"@0-1|(b!)@1-2|\xC2\xAB" "c?\xC2\xBB@2-3|d.\xE2\x80\x9D]@3-4"},
  {"sentence/no-end", MOSHI_TEXT_SENTENCE,
        {{" J. R.R. Smith paid 3.5 or .5, no; more: a.b x. ", 0}},
      "J. R.R. Smith paid 3.5 or .5, no; more: a.b x.@0-1"},
  {"sentence/pause", MOSHI_TEXT_SENTENCE,
        {{" Well", 0}, {" then", 2}, {NULL, 21, ADVANCE}},
      "Well then@0-31680s"},
  {"sentence/short-pause-goes-on", MOSHI_TEXT_SENTENCE,
        {{" Well", 0}, {NULL, 18, ADVANCE}, {" then.", 18}, {" ", 20}},
      "Well then.@0-20"},
  {"sentence/pause-within-a-word", MOSHI_TEXT_SENTENCE,
        {{" Well", 0}, {NULL, 10, ADVANCE}, {"!", 11}, {" ", 12}},
      "Well!@0-12"},
  {"sentence/flush", MOSHI_TEXT_SENTENCE,
        {{" Well", 0}, {" so", 1}, {NULL, 3, FLUSH}, {"on.", 4}, {" ", 5}},
      "Well so@0-3|on.@4-5"},
  {"sentence/single-spaces", MOSHI_TEXT_SENTENCE,
      {{"  a \n\n b  .  ", 0}}, "a b .@0-1"},
  {"sentence/wide-stops-need-no-space", MOSHI_TEXT_SENTENCE,
        {{"\xE3\x81\xAF\xE3\x81\x84\xE3\x80\x82\xE3\x80\x8D", 0},
            {"\xE3\x81\x84\xEF\xBC\x81\xEF\xBC\x9F", 3}, {"\xE3\x81\xAF", 5}},
      "\xE3\x81\xAF\xE3\x81\x84\xE3\x80\x82\xE3\x80\x8D@0-3"
        "|\xE3\x81\x84\xEF\xBC\x81\xEF\xBC\x9F@3-5"},

  {"unit/change-flushes", MOSHI_TEXT_WORD,
        {{" a", 0}, {" b", 2}, {NULL, 0, TO_TOKEN}, {" c", 3},
            {NULL, 0, TO_SENTENCE}, {" d", 4}, {" e", 5}, {NULL, 0, TO_WORD}},
      "a@0-2|b@2-3| c@3-4|d e@4-5"},
  {"unit/same-changes-nothing", MOSHI_TEXT_WORD,
      {{" a", 0}, {NULL, 0, TO_WORD}, {"b ", 1}}, "ab@0-1"},
  {"reset/drops-all", MOSHI_TEXT_SENTENCE,
        {{" One. Two <0xC3>", 50}, {NULL, 0, RESET}, {"<0xA9>", 1}, {" b.", 2},
            {" ", 3}},
      FFFD " b.@1-3"},
};

static void
check_count (MoshiTextUnit unit)
{
  g_autoptr (MoshiText) text = moshi_text_new (unit);
  static const Step steps[] = {
    {" Hel", 0}, {"lo", 1}, {" my", 2}, {NULL, 20, ADVANCE}, {"self", 20},
    {" ", 21}, {SPACE, 22}, {"!", 23}, {NULL, 24, FLUSH}, {"x", 25},
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (steps); i++)
    take_step (text, &steps[i]);
  /* Hello, my...self, !; x is not finished yet */
  g_assert_cmpuint (moshi_text_get_words (text), ==, 3);
  moshi_text_reset (text);
  g_assert_cmpuint (moshi_text_get_words (text), ==, 3);
}

static void
test_words_counted (void)
{
  check_count (MOSHI_TEXT_TOKEN);
  check_count (MOSHI_TEXT_WORD);
  check_count (MOSHI_TEXT_SENTENCE);
}

/* At each step, what is held starts where the next span will. */
static void
check_pending (MoshiTextUnit unit, const gchar * expected)
{
  static const Step steps[] = {
    {"", 1}, {" Hel", 2}, {"lo", 3}, {" b", 5}, {" c.", 5}, {" ", 7},
    {"<0xC3>", 9}, {NULL, 60, ADVANCE}, {NULL, 61, FLUSH}, {" d", 62},
    {NULL, 0, RESET},
  };
  g_autoptr (MoshiText) text = moshi_text_new (unit);
  g_autoptr (GString) got = g_string_new (NULL);
  guint i;

  for (i = 0; i < G_N_ELEMENTS (steps); i++) {
    g_autofree gchar *spans = NULL;
    guint64 start = 99 * FRAME;
    gboolean held;

    take_step (text, &steps[i]);
    held = moshi_text_get_pending (text, &start);
    g_assert_true (held || start == 99 * FRAME);
    g_string_append_printf (got, "%" G_GUINT64_FORMAT " ",
        held ? start / FRAME : 0);
    spans = pull_all (text);
    held = moshi_text_get_pending (text, &start);
    g_string_append_printf (got, "%" G_GUINT64_FORMAT ",",
        held ? start / FRAME : 0);
  }
  g_assert_cmpstr (got->str, ==, expected);
}

static void
test_pending (void)
{
  check_pending (MOSHI_TEXT_TOKEN,
      "0 0,2 0,3 0,5 0,6 0,7 0,9 9,9 0,0 0,62 0,0 0,");
  check_pending (MOSHI_TEXT_WORD,
      "0 0,2 2,2 2,2 5,5 6,6 0,9 9,9 0,0 0,62 62,0 0,");
  check_pending (MOSHI_TEXT_SENTENCE,
      "0 0,2 2,2 2,2 2,2 2,2 0,9 9,9 0,0 0,62 62,0 0,");
}

/* Pushes @count times @piece and one space, and returns the spans joined. */
static GPtrArray *
repeat (MoshiTextUnit unit, const gchar * piece, guint count)
{
  g_autoptr (MoshiText) text = moshi_text_new (unit);
  GPtrArray *spans = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GString) all = g_string_new (NULL);
  MoshiTextSpan span;
  guint i;

  for (i = 0; i < count; i++)
    g_string_append (all, piece);
  g_string_append_c (all, ' ');
  moshi_text_push (text, (const guint8 *) all->str, all->len, -1, 0);
  while (moshi_text_pull (text, &span))
    g_ptr_array_add (spans, span.text);
  return spans;
}

static void
test_limit_word (void)
{
  g_autoptr (GPtrArray) whole = repeat (MOSHI_TEXT_WORD, E_ACUTE, 64);
  g_autoptr (GPtrArray) cut = repeat (MOSHI_TEXT_WORD, "\xE2\x82\xAC", 100);
  g_autoptr (GPtrArray) glued = repeat (MOSHI_TEXT_SENTENCE, "x", 300);

  g_assert_cmpuint (whole->len, ==, 1);
  g_assert_cmpuint (strlen (whole->pdata[0]), ==, 128);
  g_assert_cmpuint (cut->len, ==, 3);
  g_assert_cmpuint (strlen (cut->pdata[0]), ==, 126);
  g_assert_cmpuint (strlen (cut->pdata[1]), ==, 126);
  g_assert_cmpuint (strlen (cut->pdata[2]), ==, 48);
  g_assert_cmpuint (glued->len, ==, 0);
}

static void
test_limit_sentence (void)
{
  /* 80 words of 4 characters make 399 with their spaces; one more is cut */
  g_autoptr (GPtrArray) spans = repeat (MOSHI_TEXT_SENTENCE,
      " " E_ACUTE E_ACUTE "aa", 161);

  g_assert_cmpuint (spans->len, ==, 2);
  g_assert_cmpuint (g_utf8_strlen (spans->pdata[0], -1), ==, 399);
  g_assert_cmpuint (g_utf8_strlen (spans->pdata[1], -1), ==, 399);
  g_assert_true (g_str_has_prefix (spans->pdata[1], E_ACUTE));
}

static void
test_limit_glue (void)
{
  g_autoptr (GPtrArray) spans = repeat (MOSHI_TEXT_SENTENCE, "y", 1000);

  /* 3 x 128 fit in 400 */
  g_assert_cmpuint (spans->len, ==, 2);
  g_assert_cmpuint (strlen (spans->pdata[0]), ==, 384);
  g_assert_null (strchr (spans->pdata[0], ' '));
}

static void
test_limit_token (void)
{
  g_autoptr (GPtrArray) spans = repeat (MOSHI_TEXT_TOKEN, "\xE2\x82\xAC", 600);
  gsize total = 0;
  guint i;

  g_assert_cmpuint (spans->len, ==, 2);
  for (i = 0; i < spans->len; i++) {
    g_assert_cmpuint (strlen (spans->pdata[i]), <=, 1024);
    total += strlen (spans->pdata[i]);
  }
  g_assert_cmpuint (total, ==, 1801);
}

static void
test_limit_spans (void)
{
  g_autoptr (MoshiText) text = moshi_text_new (MOSHI_TEXT_TOKEN);
  guint64 i, count = 0;

  for (i = 0; i < 5000; i++) {
    g_autofree gchar *piece = g_strdup_printf ("%" G_GUINT64_FORMAT, i);

    moshi_text_push (text, (const guint8 *) piece, strlen (piece), -1,
        i * FRAME);
  }
  while (TRUE) {
    g_auto (MoshiTextSpan) span = { NULL, };

    if (!moshi_text_pull (text, &span))
      break;
    g_assert_cmpuint (g_ascii_strtoull (span.text, NULL, 10), ==,
        5000 - 4096 + count);
    g_assert_cmpuint (span.start, ==, (5000 - 4096 + count) * FRAME);
    count++;
  }
  g_assert_cmpuint (count, ==, 4096);
}

static void
test_position_extreme (void)
{
  g_autoptr (MoshiText) text = moshi_text_new (MOSHI_TEXT_WORD);
  MoshiTextSpan span;

  moshi_text_push (text, (const guint8 *) " a", 2, -1, G_MAXUINT64);
  moshi_text_push (text, (const guint8 *) " b", 2, -1, G_MAXUINT64);
  moshi_text_flush (text, 0);
  g_assert_true (moshi_text_pull (text, &span));
  g_assert_cmpuint (span.start, <, span.end);
  moshi_text_span_clear (&span);
  g_assert_true (moshi_text_pull (text, &span));
  g_assert_cmpuint (span.start, <, span.end);
  moshi_text_span_clear (&span);
  moshi_text_span_clear (&span);
  g_assert_false (moshi_text_pull (text, &span));
  g_assert_null (span.text);
}

/* Whatever is pulled must be fit for a subtitle muxer. */
static void
check_spans (MoshiText * text, MoshiTextUnit unit, guint64 * end)
{
  while (TRUE) {
    g_auto (MoshiTextSpan) span = { NULL, };

    if (!moshi_text_pull (text, &span))
      return;
    g_assert_true (g_utf8_validate (span.text, -1, NULL));
    g_assert_cmpstr (span.text, !=, "");
    g_assert_cmpuint (span.start, >=, *end);
    g_assert_cmpuint (span.end, >=, span.start + FRAME);
    g_assert_cmpint (span.color, >=, -1);
    g_assert_cmpint (span.color, <=, 10);
    if (unit != MOSHI_TEXT_TOKEN) {
      g_assert_false (g_str_has_prefix (span.text, " "));
      g_assert_false (g_str_has_suffix (span.text, " "));
    }
    if (unit == MOSHI_TEXT_WORD)
      g_assert_null (strchr (span.text, ' '));
    *end = span.end;
  }
}

/* Random bytes alone seldom make anything; so these are stirred in. */
static gsize
make_piece (GRand * rand, guint8 * piece)
{
  static const gchar *const bits[] = {
    "<0x", "<0xC3>", "<0xA9>", "<0x0A>", "<0xF0>", "<0x9F>", ">", " ", SPACE,
    "a", ".", "!", "\"", FFFD, E_ACUTE, SMILE, "\xE3\x80\x82", "\xF0\x9F",
    "\xC3", "\xA9", "J.",
  };
  guint count = g_rand_int_range (rand, 0, 6);
  gsize size = 0;

  while (count-- > 0) {
    if (g_rand_int_range (rand, 0, 4) == 0) {
      piece[size++] = g_rand_int_range (rand, 0, 256);
    } else {
      const gchar *bit = bits[g_rand_int_range (rand, 0, G_N_ELEMENTS (bits))];

      memcpy (piece + size, bit, strlen (bit));
      size += strlen (bit);
    }
  }
  return size;
}

static void
test_random (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (20250704);
  guint round;

  for (round = 0; round < 600; round++) {
    MoshiTextUnit unit = round % 3;
    g_autoptr (MoshiText) text = moshi_text_new (unit);
    guint64 position = 0, end = 0;
    guint i;

    for (i = 0; i < 300; i++) {
      guint8 piece[64];
      gsize size = make_piece (rand, piece);

      if (g_rand_int_range (rand, 0, 30) == 0)
        position += g_rand_int_range (rand, 0, 100000);
      else
        position += g_rand_int_range (rand, 0, 3) * FRAME;
      if (g_rand_int_range (rand, 0, 50) == 0)
        moshi_text_flush (text, position);
      moshi_text_push (text, piece, size, g_rand_int_range (rand, -3, 14),
          position);
      check_spans (text, unit, &end);
    }
    moshi_text_flush (text, position);
    check_spans (text, unit, &end);
  }
}

/* Broken anywhere, a text is the same text. */
static void
test_every_split (void)
{
  static const gchar whole[] =
      " Caf<0xC3><0xA9>" SPACE SMILE " \xE2\x82\xAC 5!";
  static const gchar expected[] = "Caf" E_ACUTE " " SMILE " \xE2\x82\xAC 5!";
  gsize size = strlen (whole), i;

  for (i = 0; i <= size; i++) {
    g_autoptr (MoshiText) text = moshi_text_new (MOSHI_TEXT_SENTENCE);
    MoshiTextSpan span;

    /* servers send a <0xNN> whole */
    if ((i > 4 && i < 10) || (i > 10 && i < 16))
      continue;
    moshi_text_push (text, (const guint8 *) whole, i, -1, 0);
    moshi_text_push (text, (const guint8 *) whole + i, size - i, -1, FRAME);
    moshi_text_flush (text, 2 * FRAME);
    g_assert_true (moshi_text_pull (text, &span));
    g_assert_cmpstr (span.text, ==, expected);
    moshi_text_span_clear (&span);
    g_assert_false (moshi_text_pull (text, &span));
  }
}

int
main (int argc, char **argv)
{
  guint i;

  g_test_init (&argc, &argv, NULL);
  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree gchar *path = g_strconcat ("/text/", cases[i].name, NULL);

    g_test_add_data_func (path, &cases[i], test_case);
  }
  g_test_add_func ("/text/words-counted", test_words_counted);
  g_test_add_func ("/text/pending", test_pending);
  g_test_add_func ("/text/limit/word", test_limit_word);
  g_test_add_func ("/text/limit/sentence", test_limit_sentence);
  g_test_add_func ("/text/limit/glue", test_limit_glue);
  g_test_add_func ("/text/limit/token", test_limit_token);
  g_test_add_func ("/text/limit/spans", test_limit_spans);
  g_test_add_func ("/text/position-extreme", test_position_extreme);
  g_test_add_func ("/text/every-split", test_every_split);
  g_test_add_func ("/text/random", test_random);
  return g_test_run ();
}
