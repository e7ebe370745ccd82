/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the tests of moshisink and moshisrc share, on top of harness.h.
 */
#pragma once

#include "harness.h"

G_BEGIN_DECLS

#define CAPS "audio/x-raw,format=S16LE,layout=interleaved,rate=24000,channels=1"
#define MICROPHONE "audiotestsrc is-live=true samplesperbuffer=480 ! " CAPS
#define SPEAKER " ! " CAPS " ! fakesink name=out sync=true"

#define MS(n) ((n) * GST_MSECOND)
#define MS_BYTES(n) ((n) * 48)

void pairing_init_config (MoshiStandinConfig * config, MoshiStandinVoice voice);
MoshiStandin *pairing_start_server (const MoshiStandinConfig * config);
void pairing_call (Harness * self, const gchar * sink, MoshiStandin * server);
Harness *pairing_new_both (const MoshiStandinConfig * config,
    const gchar * source, const gchar * sink_properties,
    const gchar * src_properties);
Harness *pairing_new_speaker (MoshiStandin * server, const gchar * properties);
Harness *pairing_new_listener (const gchar * properties);
GstStructure *pairing_get_stats (Harness * self, const gchar * name);
guint64 pairing_get_stat (Harness * self, const gchar * name,
    const gchar * field);
gint pairing_find_answer (HarnessTrack * track, guint from);
void pairing_wait_answers (Harness * self, guint from, guint n);
guint pairing_count_buffers (Harness * self);
void pairing_assert_contiguous (Harness * self);
void pairing_assert_clean_close (MoshiStandin * server);
void pairing_use_test_clock (Harness * self);

G_END_DECLS
