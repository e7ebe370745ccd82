/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A server and a client of it: what every test of the server begins with. */
#pragma once

#include "moshistandin.h"
#include "testclient.h"

G_BEGIN_DECLS

#define TEST_TIMEOUT_MS 20000

typedef struct
{
  MoshiStandinConfig config;
  MoshiStandin *server;
  TestClient *client;
  const TestAnswer *answer;
} TestTalk;

void test_talk_set_up (TestTalk * self, MoshiStandinFlavour flavour,
    MoshiStandinVoice voice);
void test_talk_start (TestTalk * self);
void test_talk_call (TestTalk * self, const gchar * query, guint rate,
    guint channels);
void test_talk_converse (TestTalk * self, guint rate, guint channels);
void test_talk_hang_up (TestTalk * self);
void test_talk_tear_down (TestTalk * self);

G_END_DECLS
