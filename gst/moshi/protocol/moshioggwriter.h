/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * MoshiOggWriter:
 *
 * Writes one Ogg Opus stream: the two header pages first, then one page a
 * packet with a correct 48 kHz granule position (RFC 7845 section 4). A fresh
 * writer is made for each session: a second BOS page on a connection ends a
 * Rust server's session.
 */
typedef struct _MoshiOggWriter MoshiOggWriter;

MoshiOggWriter *moshi_ogg_writer_new (guint32 serial, guint channels,
    guint pre_skip, guint32 input_rate);
void moshi_ogg_writer_free (MoshiOggWriter * self);
GBytes *moshi_ogg_writer_headers (MoshiOggWriter * self);
gboolean moshi_ogg_writer_packet (MoshiOggWriter * self, const guint8 * packet,
    gsize size, GByteArray * out, GError ** error);
guint64 moshi_ogg_writer_get_granule_position (MoshiOggWriter * self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (MoshiOggWriter, moshi_ogg_writer_free)

G_END_DECLS
