/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/**
 * GST_MOSHI_TAGS_MAX_COMMENT:
 *
 * Longest JSON that becomes a comment as a whole, in bytes; real ones have about
 * 1 kB.
 */
#define GST_MOSHI_TAGS_MAX_COMMENT 8192

GstTagList *gst_moshi_tags_from_metadata (GBytes * json);
GstBuffer *gst_moshi_tags_to_opus (const GstTagList * tags);

G_END_DECLS
