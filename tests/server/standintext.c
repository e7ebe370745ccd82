/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "standinvoice.h"

#include <string.h>

/* Longer words are cut, as sentencepiece cuts what it has no piece for. */
#define PIECE_CHARS 5

/*
 * How a character comes for which the tokenizer has no piece. It falls back
 * to one token a byte. The Python servers send each token's name, `<0xC3>`.
 * The Rust ones send what the decoding of a pair of tokens has more than that
 * of the first token alone. A byte alone decodes to U+FFFD, three bytes of
 * UTF-8: so the first byte of a character adds one U+FFFD, and the last of
 * two adds nothing, for the pair has become a character that is shorter than
 * the U+FFFD it replaces. A pair inside a longer character never becomes
 * whole, and each byte adds its U+FFFD.
 */
static void
add_bytes (GPtrArray * pieces, const gchar * character, gsize size,
    gboolean literal)
{
  gsize i;

  for (i = 0; i < size; i++) {
    if (literal) {
      g_ptr_array_add (pieces, g_strdup_printf ("<0x%02X>",
              (guint8) character[i]));
    } else {
      g_ptr_array_add (pieces, g_strdup (size == 2 && i == 1 ?
              "" : "\357\277\275"));
    }
  }
}

static void
flush (GPtrArray * pieces, GString * piece)
{
  if (piece->len == 0)
    return;
  g_ptr_array_add (pieces, g_strdup (piece->str));
  g_string_truncate (piece, 0);
}

static void
add_word (GPtrArray * pieces, const gchar * word, gboolean byte_fallback,
    gboolean literal)
{
  GString *piece = g_string_new (" ");
  const gchar *next;
  glong chars = 0;

  for (; *word != '\0'; word = next) {
    next = g_utf8_next_char (word);
    if (byte_fallback && (*word & 0x80)) {
      flush (pieces, piece);
      add_bytes (pieces, word, next - word, literal);
      chars = 0;
      continue;
    }
    if (chars++ == PIECE_CHARS) {
      flush (pieces, piece);
      chars = 1;
    }
    g_string_append_len (piece, word, next - word);
  }
  flush (pieces, piece);
  g_string_free (piece, TRUE);
}

/**
 * standin_text_pieces:
 * @sentence: UTF-8
 * @byte_fallback: break characters outside ASCII into their bytes
 * @literal: in the way of the Python servers, not the Rust ones
 *
 * Cuts a sentence as sentencepiece might: each word begins with a space, and
 * long ones come in several pieces.
 *
 * Returns: (transfer full) (element-type utf8): one string a text message
 */
GPtrArray *
standin_text_pieces (const gchar * sentence, gboolean byte_fallback,
    gboolean literal)
{
  GPtrArray *pieces = g_ptr_array_new_with_free_func (g_free);
  gchar **words = g_strsplit (sentence, " ", -1);
  guint i;

  for (i = 0; words[i] != NULL; i++) {
    if (*words[i] != '\0')
      add_word (pieces, words[i], byte_fallback, literal);
  }
  g_strfreev (words);
  return pieces;
}
