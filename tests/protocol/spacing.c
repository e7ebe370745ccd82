/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include <string.h>

#include "protocol/moshispacing.h"

#define FRAME 3840
#define SMILE_BYTE "\xEF\xBF\xBD"

/* Whether the handshake had versions */
#define RUST TRUE
#define PYTHON FALSE

/* Positions in frames of 80 ms and, where a server sends a frame in two parts,
 * halves of one. */
typedef struct
{
  const gchar *piece;
  guint frame;
  guint halves;
} Step;

typedef struct
{
  const gchar *name;
  gboolean server;
  Step steps[8];
  const gchar *expected;
} Case;

static const Case cases[] = {
  {"rust/behind-a-pad", RUST,
        {{"Hello", 5}, {"how", 8}, {"are", 11}},
      "Hello how are"},
  {"rust/one-pad-is-enough", RUST,
        {{" Hello", 5}, {"how", 7}},
      " Hello how"},
  {"rust/a-words-own-pieces", RUST,
        {{" Hel", 5}, {"lo", 6}, {"ween", 7}, {"now", 9}},
      " Helloween now"},
  {"rust/behind-an-end-of-pad", RUST,
        {{" Hello", 5}, {" how", 9}},
      " Hello how"},
  {"rust/half-a-step-off", RUST,
        {{" Hel", 5}, {"lo", 6, 1}, {"how", 8, 1}},
      " Hello how"},
  {"rust/several-in-a-step", RUST,
        {{" Hel", 5}, {"lo", 5}, {"w", 5}},
      " Hellow"},
  {"rust/empty-pieces-are-pieces", RUST,
        {{" caf", 1}, {SMILE_BYTE, 2}, {"", 3}, {"s", 4}},
      " caf" SMILE_BYTE "s"},
  {"rust/pads-behind-an-empty-piece", RUST,
        {{" caf", 1}, {SMILE_BYTE, 2}, {"", 3}, {"s", 6}},
      " caf" SMILE_BYTE " s"},
  {"rust/a-space-of-its-own", RUST,
        {{" a", 1}, {"", 5}, {SMILE_BYTE, 6}, {SMILE_BYTE, 7}, {"b", 8}},
      " a " SMILE_BYTE SMILE_BYTE "b"},
  {"rust/a-character-in-bytes-begins", RUST,
        {{" a", 1}, {SMILE_BYTE, 4}, {SMILE_BYTE, 5}},
      " a " SMILE_BYTE SMILE_BYTE},
  {"rust/a-stop-stays", RUST,
        {{" today", 1}, {"?", 9}, {"\xC2\xBB", 12}, {"'s", 15}},
      " today?\xC2\xBB's"},
  {"rust/spanish-opens", RUST,
        {{"Hola", 1}, {"\xC2\xBF", 9}, {"qu\xC3\xA9", 10}},
      "Hola \xC2\xBFqu\xC3\xA9"},
  {"rust/japanese-is-unspaced", RUST,
        {{"\xE3\x81\xAF", 1}, {"\xE6\x97\xA5", 9}, {"x", 19}},
      "\xE3\x81\xAF\xE6\x97\xA5 x"},
  {"rust/what-is-no-utf8", RUST,
        {{" a", 1}, {"\xC3", 9}, {"\xFF", 19}},
      " a\xC3\xFF"},
  {"rust/not-before-the-first", RUST,
        {{"Hello", 50}},
      "Hello"},
  {"python/says-it-all", PYTHON,
        {{" Hel", 5}, {"lo", 9}, {" how", 10}},
      " Hello how"},
};

static void
test_case (gconstpointer data)
{
  const Case *test = data;
  g_autoptr (GString) got = g_string_new (NULL);
  MoshiSpacing spacing;
  guint i;

  moshi_spacing_begin (&spacing, test->server);
  for (i = 0; test->steps[i].piece; i++) {
    const Step *step = &test->steps[i];

    if (moshi_spacing_take (&spacing, (const guint8 *) step->piece,
            strlen (step->piece),
            (guint64) step->frame * FRAME + step->halves * FRAME / 2))
      g_string_append_c (got, ' ');
    g_string_append (got, step->piece);
  }
  g_assert_cmpstr (got->str, ==, test->expected);
}

/* What the last session said is nothing to the next one. */
static void
test_sessions (void)
{
  static const guint8 word[] = "word";
  MoshiSpacing spacing;

  moshi_spacing_begin (&spacing, RUST);
  g_assert_false (moshi_spacing_take (&spacing, word, 4, 0));
  g_assert_true (moshi_spacing_take (&spacing, word, 4, 10 * FRAME));
  moshi_spacing_begin (&spacing, RUST);
  g_assert_false (moshi_spacing_take (&spacing, word, 4, 20 * FRAME));
  moshi_spacing_begin (&spacing, PYTHON);
  g_assert_false (moshi_spacing_take (&spacing, word, 4, 30 * FRAME));
  g_assert_false (moshi_spacing_take (&spacing, word, 4, 40 * FRAME));
}

/* Nothing a peer sends, whole or cut, is more than an answer. */
static void
test_any_bytes (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (3);
  MoshiSpacing spacing;
  guint spaces = 0, i;

  moshi_spacing_begin (&spacing, RUST);
  g_assert_false (moshi_spacing_take (&spacing, NULL, 0, 0));
  for (i = 0; i < 20000; i++) {
    guint32 bytes[2] = { g_rand_int (rand), g_rand_int (rand) };
    gsize size = g_rand_int_range (rand, 0, 9);
    g_autofree guint8 *piece = g_memdup2 (bytes, size);

    spaces += moshi_spacing_take (&spacing, piece, size, g_rand_int (rand));
  }
  g_assert_cmpuint (spaces, >, 0);
}

int
main (int argc, char **argv)
{
  guint i;

  g_test_init (&argc, &argv, NULL);
  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree gchar *path = g_strconcat ("/spacing/", cases[i].name, NULL);

    g_test_add_data_func (path, &cases[i], test_case);
  }
  g_test_add_func ("/spacing/sessions", test_sessions);
  g_test_add_func ("/spacing/any-bytes", test_any_bytes);
  return g_test_run ();
}
