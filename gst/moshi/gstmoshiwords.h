/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>

#include "gstmoshitalk.h"
#include "protocol/moshitext.h"

G_BEGIN_DECLS

/**
 * GST_MOSHI_TAG_TEXT:
 *
 * What Moshi says, unit by unit (string).
 */
#define GST_MOSHI_TAG_TEXT "moshi-text"

void gst_moshi_words_register (void);
void gst_moshi_words_add_template (GstElementClass * klass);

/**
 * GstMoshiWords:
 *
 * What Moshi says in writing: pieces become timed buffers on the text pad,
 * `moshi-text` messages and tags. Positions are in ticks: live on the output's
 * time line, in batch on that of the answers, from the run's first one on.
 * Functions are the pushing task's unless they say otherwise.
 */
typedef struct _GstMoshiWords GstMoshiWords;

GstMoshiWords *gst_moshi_words_new (GstElement * element,
    GstPad * audio_pad);
void gst_moshi_words_free (GstMoshiWords * self);
void gst_moshi_words_start (GstMoshiWords * self, MoshiTextUnit unit);
void gst_moshi_words_set_unit (GstMoshiWords * self, MoshiTextUnit unit);
void gst_moshi_words_set_session (GstMoshiWords * self, guint index);
void gst_moshi_words_set_stream (GstMoshiWords * self, guint group_id);
void gst_moshi_words_begin_run (GstMoshiWords * self, guint run);
void gst_moshi_words_leave_segment (GstMoshiWords * self);
void gst_moshi_words_set_segment (GstMoshiWords * self, guint run,
    const GstSegment * segment, GstClockTime base, GstClockTime pts);
void gst_moshi_words_push (GstMoshiWords * self, GBytes * piece, gint color,
    guint64 position);
void gst_moshi_words_advance (GstMoshiWords * self, guint64 position);
void gst_moshi_words_finish (GstMoshiWords * self, guint64 position);
gboolean gst_moshi_words_hear (GstMoshiWords * self, guint run,
    const GstMoshiItem * item, guint64 heard, guint64 end, gboolean all);
void gst_moshi_words_pass (GstMoshiWords * self, guint64 position);
void gst_moshi_words_drop (GstMoshiWords * self);
void gst_moshi_words_reset (GstMoshiWords * self);
void gst_moshi_words_take_metadata (GstMoshiWords * self, GBytes * json);
const GstTagList *gst_moshi_words_get_server_tags (GstMoshiWords * self);
void gst_moshi_words_end (GstMoshiWords * self);
GstPad *gst_moshi_words_request_pad (GstMoshiWords * self,
    GstPadTemplate * template, GstPadQueryFunction query,
    GstPadEventFunction event);
void gst_moshi_words_release_pad (GstMoshiWords * self, GstPad * pad);
gboolean gst_moshi_words_has_pad (GstMoshiWords * self);
void gst_moshi_words_flush (GstMoshiWords * self, GstEvent * event);
guint gst_moshi_words_get_count (GstMoshiWords * self);

G_END_DECLS
