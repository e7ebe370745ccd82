/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where a sentence ends: the table that README.md and docs/protocol.md tell.
 */
#include <glib.h>

#include <string.h>

#include "protocol/moshitext.h"

#define FRAME 3840

typedef struct
{
  const gchar *name;
  const gchar *said;            /* a word a frame; each ~ is 100 ms of pause */
  const gchar *expected;        /* sentences, | between */
} Case;

static const Case cases[] = {
  /* The stops */
  {"stop/full-stop", "It rains. It pours.", "It rains.|It pours."},
  {"stop/question", "Does it? It does.", "Does it?|It does."},
  {"stop/exclamation", "Oh! It does!! Well.", "Oh!|It does!!|Well."},
  {"stop/interrobang", "What\342\200\275 Yes?! So.",
      "What\342\200\275|Yes?!|So."},
  {"stop/ellipsis", "Well\342\200\246 so... yes.",
      "Well\342\200\246|so...|yes."},
  {"stop/not-a-comma", "Well, so; yes: no - and.", "Well, so; yes: no - and."},
  {"stop/with-quotation-marks", "\"It rains.\" he said. (So!) "
        "\302\253Oui.\302\273 Non.",
      "\"It rains.\"|he said.|(So!)|\302\253Oui.\302\273|Non."},
  {"stop/on-its-own", "It rains . It pours", "It rains .|It pours"},
  {"stop/french", "\303\207a va ? Oui !", "\303\207a va ?|Oui !"},
  {"stop/spanish", "\302\277C\303\263mo est\303\241? \302\241Bien!",
      "\302\277C\303\263mo est\303\241?|\302\241Bien!"},

  /* Other writings */
  {"writing/japanese", "\346\227\245\343\200\202\343\201\257\357\274\201"
        "\343\201\213\357\274\237\343\201\257",
      "\346\227\245\343\200\202|\343\201\257\357\274\201|"
        "\343\201\213\357\274\237|\343\201\257"},
  {"writing/japanese-quoted",
        "\346\227\245\343\200\202\343\200\215\343\201\257",
      "\346\227\245\343\200\202\343\200\215|\343\201\257"},
  {"writing/half-width", "\357\275\261\357\275\241\357\275\262",
      "\357\275\261\357\275\241|\357\275\262"},
  {"writing/arabic", "\331\205\330\247\330\237 \331\204\330\247.",
      "\331\205\330\247\330\237|\331\204\330\247."},
  {"writing/urdu", "\333\201\333\222\333\224 \330\247\330\250",
      "\333\201\333\222\333\224|\330\247\330\250"},
  {"writing/hindi", "\340\244\271\340\245\210\340\245\244 \340\244\271",
      "\340\244\271\340\245\210\340\245\244|\340\244\271"},
  {"writing/armenian", "\325\241\326\211 \325\242",
      "\325\241\326\211|\325\242"},
  {"writing/amharic", "\341\210\200\341\215\242 \341\210\201",
      "\341\210\200\341\215\242|\341\210\201"},
  {"writing/khmer", "\341\236\200\341\237\224 \341\236\201",
      "\341\236\200\341\237\224|\341\236\201"},
  {"writing/burmese", "\341\200\200\341\201\213 \341\200\201",
      "\341\200\200\341\201\213|\341\200\201"},
  {"writing/greek-question", "\317\204\316\271\315\276 \316\277",
      "\317\204\316\271\315\276|\316\277"},

  /* Stops that are none */
  {"no-stop/decimals", "Pi is 3.14 or .5 at kyutai.org today.",
      "Pi is 3.14 or .5 at kyutai.org today."},
  {"no-stop/a-number-may-end", "There are 3. So.", "There are 3.|So."},
  {"no-stop/initials", "J. R.R. Tolkien met C. S. Lewis.",
      "J. R.R. Tolkien met C. S. Lewis."},
  {"no-stop/letters", "In the U.S. it is, e.g. (i.e. here) so.",
      "In the U.S. it is, e.g. (i.e. here) so."},
  {"no-stop/but-i-may-end", "So do I. Good.", "So do I.|Good."},
  {"no-stop/small-letter-may-end", "Take plan b. Good.",
      "Take plan b.|Good."},
  {"no-stop/titles", "Mr. Smith, Mrs. May and \"Dr. Who\" vs. prof. X.",
      "Mr. Smith, Mrs. May and \"Dr. Who\" vs. prof. X."},
  {"no-stop/others-end", "Tea etc. Good.", "Tea etc.|Good."},

  /* Pauses */
  {"pause/ends-it", "So it was~~~~~~~~~~~~~~~~ and is.", "So it was|and is."},
  {"pause/short-goes-on", "So it was~~~~~~~~~~~~~ and is.",
      "So it was and is."},
  {"pause/after-initials", "I am J.~~~~~~~~~~~~~~~~ Well.", "I am J.|Well."},
};

static void
pull (MoshiText * text, GString * got)
{
  while (TRUE) {
    g_auto (MoshiTextSpan) span = { NULL, };

    if (!moshi_text_pull (text, &span))
      return;
    g_string_append_printf (got, "%s%s", got->len ? "|" : "", span.text);
  }
}

static void
test_case (gconstpointer data)
{
  const Case *test = data;
  g_autoptr (MoshiText) text = moshi_text_new (MOSHI_TEXT_SENTENCE);
  g_autoptr (GString) got = g_string_new (NULL);
  guint64 position = FRAME;
  const gchar *at;

  for (at = test->said; *at; at++) {
    if (*at == '~') {
      position += 4800;
      moshi_text_advance (text, position);
    } else {
      position += *at == ' ' ? FRAME : 0;
      moshi_text_push (text, (const guint8 *) at, 1, -1, position);
    }
    pull (text, got);
  }
  moshi_text_flush (text, position);
  pull (text, got);
  g_assert_cmpstr (got->str, ==, test->expected);
}

/* Says a word every three frames without a stop until a sentence comes. */
static guint64
wait_for_sentence (const gchar * piece, MoshiTextUnit unit)
{
  g_autoptr (MoshiText) text = moshi_text_new (unit);
  g_auto (MoshiTextSpan) span = { NULL, };
  guint64 position = 10 * FRAME;

  while (!moshi_text_pull (text, &span)) {
    g_assert_cmpuint (position, <, 1000 * FRAME);
    moshi_text_push (text, (const guint8 *) piece, strlen (piece), -1,
        position);
    position += 3 * FRAME;
    moshi_text_advance (text, position);
  }
  g_assert_cmpuint (span.start, ==, 10 * FRAME);
  return position - span.start;
}

/* Whoever waits for a unit (a muxer with audio to write behind it) waits for
 * as long, whatever a peer says. */
static void
test_longest (void)
{
  guint64 sentence = wait_for_sentence (" la", MOSHI_TEXT_SENTENCE);
  guint64 word = wait_for_sentence ("la", MOSHI_TEXT_WORD);
  guint64 both = wait_for_sentence ("la", MOSHI_TEXT_SENTENCE);

  g_assert_cmpuint (sentence, >=, 15 * 48000);
  g_assert_cmpuint (sentence, <, 15 * 48000 + 3 * FRAME);
  g_assert_cmpuint (word, >=, 4 * 48000);
  g_assert_cmpuint (word, <, 4 * 48000 + 3 * FRAME);
  g_assert_cmpuint (both, >=, 15 * 48000);
  g_assert_cmpuint (both, <, 15 * 48000 + 3 * FRAME);
}

int
main (int argc, char **argv)
{
  guint i;

  g_test_init (&argc, &argv, NULL);
  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree gchar *path = g_strconcat ("/sentences/", cases[i].name, NULL);

    g_test_add_data_func (path, &cases[i], test_case);
  }
  g_test_add_func ("/sentences/longest", test_longest);
  return g_test_run ();
}
