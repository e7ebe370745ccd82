/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is left of the stand-in's answers when sessions have come and gone: its
 * sessions sing their sweep from the beginning, so each sample of the output is
 * the next of a sweep or the first of one.
 */
#pragma once

#include "harness.h"

G_BEGIN_DECLS

/* Raw audio as the tests here take it */
#define ANSWERS_CAPS "audio/x-raw,rate=24000,format=S16LE," \
    "layout=interleaved,channels=1"

/* Sources of it, in buffers of 20 ms */
#define ANSWERS_FILE "audiotestsrc samplesperbuffer=480 num-buffers=%u ! " \
    ANSWERS_CAPS
#define ANSWERS_LIVE "audiotestsrc is-live=true samplesperbuffer=480 ! " \
    ANSWERS_CAPS

void answers_init_config (MoshiStandinConfig * config);
guint answers_count_sweeps (Harness * self, const MoshiStandinConfig * config);
void answers_check_batch (Harness * self, const MoshiStandinConfig * config,
    guint seconds);
void answers_check_live (Harness * self);

G_END_DECLS
