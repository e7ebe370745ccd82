/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "moshispacing.h"

/*
 * The space that is lost
 *
 * Moshi's text is one token a step of 80 ms: a word's tokens stand in steps one
 * behind the other, and where nothing is said stand pads. The Python servers
 * send a token as its tokenizer spells it, with the U+2581 of a word that
 * begins. The Rust servers send what the decoding of two tokens has more than
 * that of the first; behind a pad there is no first, and a decoding on its own
 * has no leading space: `how` comes where ` how` was said (behind Moshi's
 * end-of-pad token it comes whole).
 *
 * So on those servers a piece without a space is the rest of a word if the step
 * before it had a piece, too, and a word of its own if it had not. Steps are
 * counted in the audio received, not in time: these servers send audio and text
 * of a step from one task, in order, whatever the network makes of it. (Other
 * servers do not, and theirs need no repair: MLX's text lags its audio, and
 * PersonaPlex's overtakes it.) An empty piece is a piece: a byte of a character
 * that is spelled in bytes, or, behind a pad, a space that was a token of its
 * own, which what comes next is then owed.
 *
 * What only ever stands at the end of a word, a comma say, stays with the word
 * before it, and so do writings that put no spaces between words.
 */

/* In 48 kHz samples: a step has 3,840. Where audio and text of a step are sent
 * in two halves a piece may come half a step off. */
#define NEXT_STEP (3840 + 1920)

/**
 * moshi_spacing_begin:
 * @self: the spacing
 * @bare: whether the session is with a Rust server, whose handshake has
 *     versions (8 bytes) where the others' has nothing
 *
 * Source: rust/moshi-backend/src/stream_both.rs, rust/moshi-server/src/lm.rs,
 * moshi/moshi/server.py (kyutai-labs/moshi); docs/servers.md.
 */
void
moshi_spacing_begin (MoshiSpacing * self, gboolean bare)
{
  self->bare = bare;
  self->begun = self->owed = FALSE;
}

/* Scripts whose words stand without spaces. */
static gboolean
is_unspaced (gunichar c)
{
  switch (g_unichar_get_script (c)) {
    case G_UNICODE_SCRIPT_HAN:
    case G_UNICODE_SCRIPT_HIRAGANA:
    case G_UNICODE_SCRIPT_KATAKANA:
    case G_UNICODE_SCRIPT_THAI:
    case G_UNICODE_SCRIPT_LAO:
    case G_UNICODE_SCRIPT_KHMER:
    case G_UNICODE_SCRIPT_MYANMAR:
      return TRUE;
    default:
      return FALSE;
  }
}

/* Whether a word may begin with it, and be set off by a space. */
static gboolean
can_begin (gunichar c)
{
  if (c == 0x00A1 || c == 0x00BF)       /* ¡ ¿ */
    return TRUE;
  switch (g_unichar_type (c)) {
    case G_UNICODE_OTHER_PUNCTUATION:
    case G_UNICODE_CLOSE_PUNCTUATION:
    case G_UNICODE_FINAL_PUNCTUATION:
    case G_UNICODE_NON_SPACING_MARK:
    case G_UNICODE_SPACE_SEPARATOR:
    case G_UNICODE_CONTROL:
      return FALSE;
    default:
      return c != 0x2581 && !is_unspaced (c);
  }
}

/**
 * moshi_spacing_take:
 * @self: the spacing
 * @piece: (array length=size) (nullable): one text message's payload, any bytes
 * @size: its length in bytes
 * @position: audio received so far, in 48 kHz samples
 *
 * Looks at each piece of a session, in order.
 *
 * Returns: whether a space belongs before @piece that is not there
 */
gboolean
moshi_spacing_take (MoshiSpacing * self, const guint8 * piece, gsize size,
    guint64 position)
{
  gboolean apart = self->owed || (self->begun && position > self->last
      && position - self->last > NEXT_STEP);
  gunichar c;

  self->begun = TRUE;
  self->last = position;
  self->owed = apart && size == 0;
  if (!self->bare || !apart || size == 0)
    return FALSE;
  c = g_utf8_get_char_validated ((const gchar *) piece, size);
  return c < 0x110000 && can_begin (c);
}
