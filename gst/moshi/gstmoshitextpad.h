/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/**
 * GstMoshiTextPad:
 *
 * The text branch: a queue and a task of its own, so that a text branch that
 * blocks never holds up the audio.
 */
typedef struct _GstMoshiTextPad GstMoshiTextPad;

/**
 * GST_MOSHI_TEXT_PAD_MAX:
 *
 * Most buffers that wait for a blocked text branch; the oldest go first.
 */
#define GST_MOSHI_TEXT_PAD_MAX 4096

GstMoshiTextPad *gst_moshi_text_pad_new (GstPad * pad, GstElement * element);
void gst_moshi_text_pad_free (GstMoshiTextPad * self);
GstPad *gst_moshi_text_pad_get_pad (GstMoshiTextPad * self);
gboolean gst_moshi_text_pad_is_active (GstMoshiTextPad * self);
void gst_moshi_text_pad_event (GstMoshiTextPad * self, GstEvent * event);
void gst_moshi_text_pad_push (GstMoshiTextPad * self, GstBuffer * buffer);
void gst_moshi_text_pad_advance (GstMoshiTextPad * self, GstClockTime pts);
void gst_moshi_text_pad_drop (GstMoshiTextPad * self, GstClockTime pts);
void gst_moshi_text_pad_flush_start (GstMoshiTextPad * self);
void gst_moshi_text_pad_flush_stop (GstMoshiTextPad * self);

G_END_DECLS
