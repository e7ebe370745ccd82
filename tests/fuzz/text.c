/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any pieces of text at any times. What comes out is valid UTF-8, is never
 * empty, and stands on the time line one after the other.
 */
#include "fuzz.h"
#include "protocol/moshitext.h"

#define MAX_STEPS 1000

typedef struct
{
  MoshiText *text;
  guint64 position;
  guint64 last_end;
} Talk;

static void
pull_all (Talk * self)
{
  MoshiTextSpan span;

  while (moshi_text_pull (self->text, &span)) {
    g_assert_true (g_utf8_validate (span.text, -1, NULL));
    g_assert_cmpint (span.text[0], !=, '\0');
    g_assert_cmpuint (span.start, >=, self->last_end);
    g_assert_cmpuint (span.end, >, span.start);
    self->last_end = span.end;
    moshi_text_span_clear (&span);
  }
}

static void
push_piece (Talk * self, FuzzInput * input)
{
  gsize got, size = fuzz_byte (input);
  gint color = (gint) (fuzz_byte (input) % 12) - 1;
  const guint8 *piece = fuzz_take (input, size, &got);

  moshi_text_push (self->text, piece, got, color, self->position);
}

static void
step (Talk * self, FuzzInput * input)
{
  guint8 what = fuzz_byte (input);

  self->position += fuzz_u16 (input);
  switch (what % 8) {
    case 0:
      moshi_text_advance (self->text, self->position);
      break;
    case 1:
      moshi_text_flush (self->text, self->position);
      break;
    case 2:
      moshi_text_set_unit (self->text, what / 8 % 3);
      break;
    case 3:
      pull_all (self);
      break;
    case 4:
      /* In a new session, time begins anew */
      if (what == 252) {
        moshi_text_reset (self->text);
        self->last_end = 0;
      }
      break;
    default:
      push_piece (self, input);
  }
}

int
LLVMFuzzerTestOneInput (const guint8 * data, size_t size)
{
  FuzzInput input = { data, size };
  Talk talk = { moshi_text_new (fuzz_byte (&input) % 3), 0, 0 };
  guint i;

  for (i = 0; i < MAX_STEPS && input.size > 0; i++)
    step (&talk, &input);
  moshi_text_flush (talk.text, talk.position);
  pull_all (&talk);
  g_assert_false (moshi_text_get_pending (talk.text, NULL));
  moshi_text_free (talk.text);
  return 0;
}
