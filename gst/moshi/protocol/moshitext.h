/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * MoshiTextUnit:
 * @MOSHI_TEXT_TOKEN: each piece as soon as it is whole characters
 * @MOSHI_TEXT_WORD: a word with its punctuation
 * @MOSHI_TEXT_SENTENCE: up to a full stop or its like, or a pause of 1.5 s
 */
typedef enum
{
  MOSHI_TEXT_TOKEN,
  MOSHI_TEXT_WORD,
  MOSHI_TEXT_SENTENCE,
} MoshiTextUnit;

/**
 * MoshiTextSpan:
 * @text: (transfer full): valid UTF-8, never empty, no leading or trailing
 *     space in words and sentences (tokens keep theirs)
 * @start: position of the audio it begins with, in 48 kHz samples
 * @end: position it ends at, in 48 kHz samples; always after @start
 * @color: MoshiVis' colour, 0 to 10, or -1
 */
typedef struct
{
  gchar *text;
  guint64 start;
  guint64 end;
  gint color;
} MoshiTextSpan;

void moshi_text_span_clear (MoshiTextSpan * span);

/**
 * MoshiText:
 *
 * Joins the pieces a server sends to valid UTF-8 and cuts that into units.
 */
typedef struct _MoshiText MoshiText;

MoshiText *moshi_text_new (MoshiTextUnit unit);
void moshi_text_free (MoshiText * self);
void moshi_text_set_unit (MoshiText * self, MoshiTextUnit unit);
void moshi_text_push (MoshiText * self, const guint8 * piece, gsize size,
    gint color, guint64 position);
void moshi_text_advance (MoshiText * self, guint64 position);
void moshi_text_flush (MoshiText * self, guint64 position);
void moshi_text_reset (MoshiText * self);
gboolean moshi_text_pull (MoshiText * self, MoshiTextSpan * span);
gboolean moshi_text_get_pending (MoshiText * self, guint64 * start);
guint64 moshi_text_get_words (MoshiText * self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (MoshiText, moshi_text_free)
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (MoshiTextSpan, moshi_text_span_clear)

G_END_DECLS
