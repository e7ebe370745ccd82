/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Clients that break the rules, take turns, reach limits; and the ways in:
 * TLS, compression, restarts. */
#include <string.h>
#include <glib/gstdio.h>

#include "testimage.h"
#include "testtalk.h"

#define ABNORMAL 1006
#define MIB (1024 * 1024)

static const gchar *const no_faults[] = { NULL };

static void
begin (TestTalk * talk, MoshiStandinFlavour flavour, const gchar * fault)
{
  const gchar *faults[] = { fault, NULL };

  test_talk_set_up (talk, flavour, MOSHI_STANDIN_SILENCE);
  talk->config.faults = fault != NULL ? faults : no_faults;
  test_talk_converse (talk, 24000, 1);
}

static void
finish (TestTalk * talk)
{
  test_talk_hang_up (talk);
  g_assert_true (moshi_standin_wait_idle (talk->server, TEST_TIMEOUT_MS));
  test_talk_tear_down (talk);
}

/* Sends what breaks a rule, and tells whether the session outlives it. */
typedef void (*Crime) (TestClient * client);

static void
send_kind_6 (TestClient * client)
{
  test_client_send (client, "\6", 1);
}

static void
send_kind_7 (TestClient * client)
{
  test_client_send (client, "\7x", 2);
}

static void
send_kind_10 (TestClient * client)
{
  test_client_send (client, "\12\5", 2);
}

static void
send_restart (TestClient * client)
{
  test_client_send (client, "\3\3", 2);
}

static void
send_nothing (TestClient * client)
{
  test_client_send (client, NULL, 0);
}

static void
send_words (TestClient * client)
{
  test_client_send_text (client, "hello");
}

static void
send_wrong_crc (TestClient * client)
{
  test_client_send_audio (client, 80, 40);
  test_client_spoil_next (client);
  test_client_send_audio (client, 40, 40);
}

static void
send_second_bos (TestClient * client)
{
  test_client_send_audio (client, 80, 40);
  test_client_send_bos (client);
}

static void
send_bad_packet (TestClient * client)
{
  test_client_send_bos (client);
  test_client_send_raw_packet (client, "\377", 1);
}

/* What one flavour forgives does not hide what none does. */
static void
send_wrong_crc_and_bad_packet (TestClient * client)
{
  test_client_begin_message (client);
  test_client_send_bos (client);
  test_client_send_raw_packet (client, "\377", 1);
  test_client_spoil_next (client);
  test_client_send_audio (client, 40, 40);
  test_client_end_message (client);
}

static const struct
{
  const gchar *name;
  Crime crime;
  guint code[7];                /* by flavour; 0: the session goes on */
} crimes[] = {
  {"kind-6", send_kind_6, {0, 0, 0, 0, 0, 0, 0}},
  {"kind-7", send_kind_7, {0, ABNORMAL, 0, 0, 0, 0, ABNORMAL}},
  {"kind-10", send_kind_10, {0, ABNORMAL, ABNORMAL, 0, 0, 0, ABNORMAL}},
  {"control", send_restart, {0, 0, 0, 0, 0, 0, 0}},
  {"empty", send_nothing, {0, 0, 0, 0, 0, 0, 0}},
  {"text-frame", send_words, {0, ABNORMAL, 0, 0, 0, 0, ABNORMAL}},
  {"ping", test_client_ping, {0, ABNORMAL, 0, 0, 0, 0, ABNORMAL}},
  {"crc", send_wrong_crc, {0, ABNORMAL, 0, 0, 1000, 1000, ABNORMAL}},
  {"second-bos", send_second_bos, {0, ABNORMAL, 0, 0, 0, 0, ABNORMAL}},
  {"crc-and-packet", send_wrong_crc_and_bad_packet, {ABNORMAL, ABNORMAL,
          ABNORMAL, ABNORMAL, 1000, 1000, ABNORMAL}},
  {"packet", send_bad_packet, {ABNORMAL, ABNORMAL, ABNORMAL, ABNORMAL, 1000,
          1000, ABNORMAL}},
};

static void
test_crime (gconstpointer data)
{
  guint nth = GPOINTER_TO_UINT (data) / 7;
  MoshiStandinFlavour flavour = GPOINTER_TO_UINT (data) % 7;
  guint code = crimes[nth].code[flavour];
  TestTalk talk;

  begin (&talk, flavour, NULL);
  crimes[nth].crime (talk.client);
  if (code == 0) {
    /* The pings come from the client's main loop, here. */
    while (crimes[nth].crime == test_client_ping
        && !moshi_standin_wait (talk.server, MOSHI_STANDIN_PINGS, 1, 0))
      g_main_context_iteration (NULL, TRUE);
    test_client_send_audio (talk.client, 800, 40);
    test_client_wait_samples (talk.client, 8 * 1920);
  } else {
    test_client_wait_closed (talk.client);
    g_assert_cmpuint (talk.answer->close_code, ==, code);
  }
  finish (&talk);
}

/* A page with a wrong CRC is skipped alone: the one behind it is heard at
 * once, and 80 + 80 ms make two steps. */
static void
test_skipped_page (void)
{
  MoshiStandinStats stats;
  TestTalk talk;

  begin (&talk, MOSHI_STANDIN_MLX, NULL);
  send_wrong_crc (talk.client);
  test_client_send_audio (talk.client, 80, 40);
  test_client_wait_samples (talk.client, 2 * 1920);
  moshi_standin_get_stats (talk.server, &stats);
  g_assert_cmpuint (stats.bad_crc, ==, 1);
  g_assert_cmpuint (stats.page_gaps, ==, 1);
  g_assert_cmpuint (stats.packets, ==, 4);
  g_assert_cmpuint (stats.crowded_pages, ==, 0);
  finish (&talk);
}

/* What MLX has heard it answers, though nothing more comes in. */
static void
test_input_stops (void)
{
  TestTalk talk;

  test_talk_set_up (&talk, MOSHI_STANDIN_MLX, MOSHI_STANDIN_SILENCE);
  talk.config.speed = 4;
  test_talk_converse (&talk, 24000, 1);
  test_client_send_audio (talk.client, 800, 40);
  test_client_wait_samples (talk.client, 10 * 1920);
  finish (&talk);
}

/* The server's own observations, with a stream that has every mistake. */
static void
test_ogg_report (void)
{
  MoshiStandinStats stats;
  TestTalk talk;
  gchar *report;

  begin (&talk, MOSHI_STANDIN_KYUTAI_PY, NULL);
  test_client_send_audio (talk.client, 80, 40);
  test_client_send (talk.client, "\1junk", 5);
  test_client_skip_granule (talk.client, 480);
  test_client_send_audio (talk.client, 40, 40);
  test_client_skip_granule (talk.client, -480);
  test_client_send_audio (talk.client, 40, 40);
  test_client_send (talk.client, "\1", 1);
  test_client_send_bos (talk.client);
  test_client_send_audio (talk.client, 160, 40);
  test_client_wait_samples (talk.client, 3 * 1920);
  moshi_standin_get_stats (talk.server, &stats);
  g_assert_cmpuint (stats.junk_bytes, ==, 4);
  g_assert_cmpuint (stats.second_bos, ==, 1);
  g_assert_cmpuint (stats.packets, ==, 8);
  g_assert_cmpuint (stats.pages, ==, 12);
  g_assert_cmpuint (stats.head_channels, ==, 1);
  g_assert_cmpuint (stats.head_preskip, ==, 312);
  g_assert_cmpuint (stats.head_rate, ==, 24000);
  /* One by the skip, four because the granules began anew with the BOS. */
  g_assert_cmpuint (stats.bad_granules, ==, 5);
  g_assert_cmpuint (stats.missing_bos, ==, 0);
  report = moshi_standin_dup_ogg_report (talk.server);
  g_assert_nonnull (strstr (report, "granule position is 6240, should be "
          "5760"));
  g_assert_nonnull (strstr (report, "second BOS page"));
  g_free (report);
  finish (&talk);
}

/* A stream without its head is not decoded, and nobody says a word. */
static void
test_missing_bos (void)
{
  MoshiStandinStats stats;
  TestTalk talk;

  begin (&talk, MOSHI_STANDIN_KYUTAI_RS, NULL);
  test_client_forget_bos (talk.client);
  test_client_send_audio (talk.client, 400, 40);
  g_assert_true (moshi_standin_wait (talk.server,
          MOSHI_STANDIN_AUDIO_MESSAGES, 10, TEST_TIMEOUT_MS));
  test_client_close (talk.client, 1000, NULL);
  test_client_wait_closed (talk.client);
  moshi_standin_get_stats (talk.server, &stats);
  g_assert_cmpuint (stats.missing_bos, ==, 1);
  g_assert_cmpuint (stats.packets, ==, 0);
  g_assert_cmpuint (stats.frames_in, ==, 0);
  finish (&talk);
}

static void
test_close_reason (void)
{
  MoshiStandinStats stats;
  TestTalk talk;

  /* Both ways to answer: not at all, and with the same code. */
  begin (&talk, MOSHI_STANDIN_KYUTAI_RS, NULL);
  test_client_close (talk.client, 1000, "bye");
  test_client_wait_closed (talk.client);
  g_assert_true (moshi_standin_wait_idle (talk.server, TEST_TIMEOUT_MS));
  moshi_standin_get_stats (talk.server, &stats);
  g_assert_true (stats.close_had_reason);
  g_assert_cmpuint (talk.answer->close_code, ==, ABNORMAL);
  finish (&talk);
  begin (&talk, MOSHI_STANDIN_KYUTAI_PY, NULL);
  test_client_close (talk.client, 1001, "bye");
  test_client_wait_closed (talk.client);
  g_assert_cmpuint (talk.answer->close_code, ==, 1001);
  finish (&talk);
}

static void
test_vanished_client (void)
{
  MoshiStandinStats stats;
  TestTalk talk;

  begin (&talk, MOSHI_STANDIN_KYUTAI_RS, NULL);
  test_talk_hang_up (&talk);
  g_assert_true (moshi_standin_wait (talk.server,
          MOSHI_STANDIN_SESSIONS_ENDED, 1, TEST_TIMEOUT_MS));
  moshi_standin_get_stats (talk.server, &stats);
  g_assert_cmpuint (stats.losses, ==, 1);
  g_assert_cmpuint (stats.closes, ==, 0);
  test_talk_tear_down (&talk);
}

/* A second client waits behind the upgrade until the first has gone; what it
 * sent meanwhile is kept. */
static void
test_lock (void)
{
  MoshiStandinStats stats;
  TestClient *first;
  TestTalk talk;

  begin (&talk, MOSHI_STANDIN_KYUTAI_PY, NULL);
  first = talk.client;
  test_talk_call (&talk, "", 24000, 1);
  g_assert_true (talk.answer->connected);
  g_assert_true (moshi_standin_wait (talk.server, MOSHI_STANDIN_WAITING, 1,
          TEST_TIMEOUT_MS));
  test_client_send_audio (talk.client, 240, 40);
  g_assert_true (moshi_standin_wait (talk.server,
          MOSHI_STANDIN_AUDIO_MESSAGES, 8, TEST_TIMEOUT_MS));
  moshi_standin_get_stats (talk.server, &stats);
  g_assert_cmpuint (stats.handshakes, ==, 1);
  g_assert_cmpuint (stats.active, ==, 2);
  g_assert_cmpuint (stats.early_audio, ==, 8);
  test_client_close (first, 1000, NULL);
  test_client_wait_handshake (talk.client);
  test_client_wait_samples (talk.client, 2 * 1920);
  test_client_free (first);
  finish (&talk);
}

static void
test_many (void)
{
  TestClient *first;
  TestTalk talk;

  begin (&talk, MOSHI_STANDIN_KYUTAI_RS, NULL);
  first = talk.client;
  test_talk_call (&talk, "", 24000, 1);
  test_client_wait_handshake (talk.client);
  test_client_send_audio (talk.client, 400, 40);
  test_client_wait_samples (talk.client, 3 * 1920);
  test_client_send_audio (first, 400, 40);
  test_client_wait_samples (first, 3 * 1920);
  test_client_free (first);
  finish (&talk);
}

/* PersonaPlex reads and forgets while it thinks about its prompts. */
static void
test_eats_early (void)
{
  MoshiStandinStats stats;
  TestTalk talk;

  test_talk_set_up (&talk, MOSHI_STANDIN_PERSONAPLEX, MOSHI_STANDIN_SILENCE);
  talk.config.prompt_ms = 500;
  test_talk_start (&talk);
  test_talk_call (&talk, "?voice_prompt=a&text_prompt=b", 24000, 1);
  test_client_send_audio (talk.client, 400, 40);
  test_client_wait_handshake (talk.client);
  test_client_send_audio (talk.client, 400, 40);
  g_assert_true (moshi_standin_wait (talk.server,
          MOSHI_STANDIN_AUDIO_MESSAGES, 22, TEST_TIMEOUT_MS));
  test_client_close (talk.client, 1000, NULL);
  test_client_wait_closed (talk.client);
  moshi_standin_get_stats (talk.server, &stats);
  g_assert_cmpuint (stats.early_audio, ==, 12);
  g_assert_cmpuint (stats.missing_bos, ==, 1);
  g_assert_cmpuint (stats.frames_in, ==, 0);
  finish (&talk);
}

static void
test_prompts (void)
{
  static const gchar *const queries[] = { "", "?voice_prompt=a",
    "?text_prompt=b", "?voice_prompt=&text_prompt=b",
    "?voice_prompt=a&text_prompt=", "?voice_prompt=a&text_prompt=b&seed=1"
  };
  TestTalk talk;
  guint i;

  test_talk_set_up (&talk, MOSHI_STANDIN_PERSONAPLEX, MOSHI_STANDIN_SILENCE);
  test_talk_start (&talk);
  for (i = 0; i < G_N_ELEMENTS (queries); i++) {
    test_talk_call (&talk, queries[i], 24000, 1);
    g_assert_true (talk.answer->connected);
    test_client_wait_closed (talk.client);
    g_assert_false (talk.answer->handshake);
    g_assert_cmpuint (talk.answer->close_code, ==, ABNORMAL);
    test_talk_hang_up (&talk);
  }
  test_talk_call (&talk, "?voice_prompt=a&text_prompt=b", 24000, 1);
  test_client_wait_handshake (talk.client);
  finish (&talk);
}

static void
test_no_image (void)
{
  TestTalk talk;

  test_talk_set_up (&talk, MOSHI_STANDIN_MOSHIVIS, MOSHI_STANDIN_SILENCE);
  test_talk_start (&talk);
  test_talk_call (&talk, "", 24000, 1);
  test_client_send_audio (talk.client, 80, 40);
  test_client_wait_closed (talk.client);
  g_assert_false (talk.answer->handshake);
  g_assert_cmpuint (talk.answer->close_code, ==, ABNORMAL);
  finish (&talk);
}

/* One that breaks off does not count, a whole one does. */
static void
test_image (void)
{
  g_autoptr (GBytes) image = NULL;
  TestTalk talk;

  test_talk_set_up (&talk, MOSHI_STANDIN_MOSHIVIS, MOSHI_STANDIN_SILENCE);
  test_talk_start (&talk);
  test_talk_call (&talk, "", 24000, 1);
  test_client_send (talk.client, test_image_message,
      sizeof test_image_message - 1);
  test_client_wait_closed (talk.client);
  g_assert_false (talk.answer->handshake);
  test_talk_hang_up (&talk);
  g_assert_null (moshi_standin_ref_image (talk.server));

  test_talk_call (&talk, "", 24000, 1);
  test_client_send (talk.client, test_image_message, sizeof test_image_message);
  test_client_wait_handshake (talk.client);
  image = moshi_standin_ref_image (talk.server);
  g_assert_cmpmem (g_bytes_get_data (image, NULL), g_bytes_get_size (image),
      TEST_IMAGE, TEST_IMAGE_SIZE);
  finish (&talk);
}

/* What MLX has not yet said goes to the next caller. */
static void
test_leftovers (void)
{
  TestTalk talk;

  test_talk_set_up (&talk, MOSHI_STANDIN_MLX, MOSHI_STANDIN_SILENCE);
  talk.config.speed = 0.1;
  test_talk_converse (&talk, 24000, 1);
  test_client_send_audio (talk.client, 800, 40);
  g_assert_true (moshi_standin_wait (talk.server, MOSHI_STANDIN_PACKETS, 20,
          TEST_TIMEOUT_MS));
  test_client_close (talk.client, 1000, NULL);
  test_client_wait_closed (talk.client);
  test_talk_hang_up (&talk);
  test_talk_call (&talk, "", 24000, 1);
  test_client_wait_samples (talk.client, 9 * 1920);
  finish (&talk);
}

/* As moshi-backend 0.6.4: 99 frames of answer for max_steps=100, since the
 * first two steps give none and there is one more than was asked for. */
static void
test_limit (void)
{
  MoshiStandinStats stats;
  TestTalk talk;

  test_talk_set_up (&talk, MOSHI_STANDIN_KYUTAI_RS, MOSHI_STANDIN_SILENCE);
  test_talk_start (&talk);
  test_talk_call (&talk, "?max_steps=10", 24000, 1);
  test_client_wait_handshake (talk.client);
  test_client_send_audio (talk.client, 960, 40);
  test_client_wait_samples (talk.client, 9 * 1920);
  /* Silence first, then the second message is one too many. */
  test_client_send_audio (talk.client, 40, 40);
  g_assert_true (moshi_standin_wait (talk.server,
          MOSHI_STANDIN_AUDIO_MESSAGES, 27, TEST_TIMEOUT_MS));
  g_assert_false (talk.answer->closed);
  test_client_send_audio (talk.client, 40, 40);
  test_client_wait_closed (talk.client);
  g_assert_cmpuint (talk.answer->close_code, ==, ABNORMAL);
  g_assert_cmpuint (talk.answer->pcm->len, ==, 9 * 1920);
  moshi_standin_get_stats (talk.server, &stats);
  g_assert_cmpuint (stats.frames_in, ==, 11);
  finish (&talk);
}

/* As moshi_mlx 0.3.0: 201 frames for --steps 200, over the server's life. */
static void
test_limit_mute (void)
{
  MoshiStandinStats stats;
  TestTalk talk;

  test_talk_set_up (&talk, MOSHI_STANDIN_MLX, MOSHI_STANDIN_SILENCE);
  talk.config.max_steps = 5;
  test_talk_converse (&talk, 24000, 1);
  test_client_send_audio (talk.client, 800, 40);
  test_client_wait_samples (talk.client, 6 * 1920);
  test_client_close (talk.client, 1000, NULL);
  test_client_wait_closed (talk.client);
  test_talk_hang_up (&talk);
  test_talk_call (&talk, "", 24000, 1);
  test_client_wait_handshake (talk.client);
  test_client_send_audio (talk.client, 800, 40);
  test_client_close (talk.client, 1000, NULL);
  test_client_wait_closed (talk.client);
  g_assert_cmpuint (talk.answer->close_code, ==, 1000);
  g_assert_cmpuint (talk.answer->pcm->len, ==, 0);
  moshi_standin_get_stats (talk.server, &stats);
  g_assert_cmpuint (stats.frames_sent, ==, 6);
  finish (&talk);
}

static void
send_size (TestTalk * talk, gsize size)
{
  gchar *message = g_malloc0 (size);

  message[0] = 9;
  test_client_send (talk->client, message, size);
  g_free (message);
}

static void
test_giant_from_client (void)
{
  TestTalk talk;

  begin (&talk, MOSHI_STANDIN_KYUTAI_PY, NULL);
  send_size (&talk, 4 * MIB - 1);
  test_client_send_audio (talk.client, 160, 40);
  test_client_wait_samples (talk.client, 1920);
  send_size (&talk, 4 * MIB);
  test_client_wait_closed (talk.client);
  g_assert_cmpuint (talk.answer->close_code, ==, 1009);
  finish (&talk);
}

static void
check_seconds (MoshiStandinFlavour flavour, guint ms, gboolean survives)
{
  guint frames = ms / 80 - moshi_standin_flavour_delay (flavour);
  TestTalk talk;

  begin (&talk, flavour, NULL);
  test_client_send_audio_at_once (talk.client, ms, 40);
  if (survives) {
    test_client_wait_samples (talk.client, frames * 1920);
  } else {
    test_client_wait_closed (talk.client);
    g_assert_cmpuint (talk.answer->close_code, ==, ABNORMAL);
  }
  finish (&talk);
}

static void
test_five_seconds (void)
{
  check_seconds (MOSHI_STANDIN_KYUTAI_PY, 5000, TRUE);
  check_seconds (MOSHI_STANDIN_KYUTAI_PY, 5040, FALSE);
  check_seconds (MOSHI_STANDIN_MLX, 5000, TRUE);
  check_seconds (MOSHI_STANDIN_MLX, 5040, FALSE);
  check_seconds (MOSHI_STANDIN_MOSHI_SERVER, 5000, TRUE);
  check_seconds (MOSHI_STANDIN_MOSHI_SERVER, 5040, FALSE);
  check_seconds (MOSHI_STANDIN_KYUTAI_RS, 5600, TRUE);
}

static void
test_drop_and_close (void)
{
  TestTalk talk;

  begin (&talk, MOSHI_STANDIN_KYUTAI_RS, NULL);
  moshi_standin_drop_sessions (talk.server);
  test_client_wait_closed (talk.client);
  g_assert_cmpuint (talk.answer->close_code, ==, ABNORMAL);
  test_talk_hang_up (&talk);
  test_talk_call (&talk, "", 24000, 1);
  test_client_wait_handshake (talk.client);
  moshi_standin_close_sessions (talk.server, 1001);
  test_client_wait_closed (talk.client);
  g_assert_cmpuint (talk.answer->close_code, ==, 1001);
  finish (&talk);
}

/* A server that stops takes its clients with it, and can come back. */
static void
test_restart (void)
{
  GError *error = NULL;
  TestTalk talk;

  begin (&talk, MOSHI_STANDIN_KYUTAI_PY, NULL);
  moshi_standin_stop (talk.server);
  test_client_wait_closed (talk.client);
  test_talk_hang_up (&talk);
  moshi_standin_start (talk.server, &error);
  g_assert_no_error (error);
  test_talk_call (&talk, "", 24000, 1);
  test_client_wait_handshake (talk.client);
  finish (&talk);
}

static void
test_deflate (void)
{
  gchar *offered;
  TestTalk talk;

  test_talk_set_up (&talk, MOSHI_STANDIN_KYUTAI_PY, MOSHI_STANDIN_ECHO);
  talk.config.text = "one two three four";
  test_talk_start (&talk);
  talk.client = test_client_new (moshi_standin_get_uri (talk.server), 24000, 1);
  talk.answer = test_client_get (talk.client);
  test_client_offer_deflate (talk.client);
  test_client_connect (talk.client);
  test_client_wait_handshake (talk.client);
  offered = moshi_standin_dup_header (talk.server, "Sec-WebSocket-Extensions");
  g_assert_nonnull (strstr (offered, "permessage-deflate"));
  g_free (offered);
  test_client_send_audio (talk.client, 8000, 20);
  test_client_wait_samples (talk.client, 99 * 1920);
  test_client_wait_texts (talk.client, 4);
  g_assert_cmpstr (g_ptr_array_index (talk.answer->texts, 3), ==, " four");
  finish (&talk);
}

static void
test_keep (void)
{
  GPtrArray *packets;
  gfloat *pcm;
  gsize n;
  TestTalk talk;

  test_talk_set_up (&talk, MOSHI_STANDIN_KYUTAI_PY, MOSHI_STANDIN_SILENCE);
  talk.config.keep_packets = 5;
  talk.config.keep_pcm = 3000;
  test_talk_converse (&talk, 24000, 1);
  test_client_send_audio (talk.client, 400, 20);
  test_client_wait_samples (talk.client, 4 * 1920);
  packets = moshi_standin_get_packets (talk.server);
  g_assert_cmpuint (packets->len, ==, 5);
  g_assert_cmpuint (g_bytes_get_size (g_ptr_array_index (packets, 0)), >, 10);
  g_ptr_array_unref (packets);
  pcm = moshi_standin_dup_pcm (talk.server, &n);
  g_assert_cmpuint (n, ==, 3000);
  g_assert_cmpfloat (ABS (pcm[2950]) + ABS (pcm[2965]) + ABS (pcm[2980]), >,
      0.05);
  g_free (pcm);
  finish (&talk);
}

/* Frames, and headers, a good client library does not send. Returns all that
 * the server says, (transfer full). */
static GByteArray *
ask_raw (MoshiStandinFlavour flavour, const gchar * header,
    const guint8 * frames, gsize size, MoshiStandinStats * stats)
{
  gchar *request = g_strconcat ("GET /api/chat HTTP/1.1\r\n"
      "Host: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n", header, "\r\n",
      NULL);
  GByteArray *said = g_byte_array_new ();
  GSocketClient *client = g_socket_client_new ();
  GSocketConnection *connection;
  GError *error = NULL;
  guint8 buffer[4096];
  gssize n;
  TestTalk talk;

  test_talk_set_up (&talk, flavour, MOSHI_STANDIN_SILENCE);
  test_talk_start (&talk);
  connection = g_socket_client_connect_to_host (client, "127.0.0.1",
      moshi_standin_get_port (talk.server), NULL, &error);
  g_assert_no_error (error);
  g_output_stream_write_all (g_io_stream_get_output_stream (G_IO_STREAM
          (connection)), request, strlen (request), NULL, NULL, &error);
  g_assert_no_error (error);
  g_output_stream_write_all (g_io_stream_get_output_stream (G_IO_STREAM
          (connection)), frames, size, NULL, NULL, &error);
  g_assert_no_error (error);
  while ((n = g_input_stream_read (g_io_stream_get_input_stream (G_IO_STREAM
                  (connection)), buffer, sizeof buffer, NULL, NULL)) > 0)
    g_byte_array_append (said, buffer, n);
  g_io_stream_close (G_IO_STREAM (connection), NULL, NULL);
  g_assert_true (moshi_standin_wait (talk.server,
          MOSHI_STANDIN_SESSIONS_ENDED, 1, TEST_TIMEOUT_MS));
  moshi_standin_get_stats (talk.server, stats);
  g_object_unref (connection);
  g_object_unref (client);
  g_free (request);
  test_talk_tear_down (&talk);
  return said;
}

static void
check_raw (const guint8 * frames, gsize size, MoshiStandinStats * stats)
{
  g_byte_array_unref (ask_raw (MOSHI_STANDIN_KYUTAI_PY, "", frames, size,
          stats));
}

/* moshi-backend takes the first byte of a ping or pong for a kind; an empty
 * one says nothing. libsoup sends neither as it is told, so they are made
 * here, with a close behind them, which is answered if the session goes on. */
static void
test_raw_pings (void)
{
  static const struct
  {
    guint8 opcode;
    guint8 size;
    guint8 first;
    gboolean ends;
  } cases[] = { {0x89, 0, 0, FALSE}, {0x89, 1, 0, FALSE}, {0x89, 1, 6, FALSE},
  {0x89, 1, 7, TRUE}, {0x89, 1, 'l', TRUE}, {0x8a, 0, 0, FALSE},
  {0x8a, 1, 6, FALSE}, {0x8a, 1, 'l', TRUE}
  };
  static const guint8 close[] = { 0x88, 0x80, 0, 0, 0, 0 };
  static const MoshiStandinFlavour flavours[] = { MOSHI_STANDIN_KYUTAI_RS,
    MOSHI_STANDIN_SCALEWAY, MOSHI_STANDIN_MOSHI_SERVER
  };
  MoshiStandinStats stats;
  GByteArray *frames;
  GByteArray *said;
  gboolean answered;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (cases) * G_N_ELEMENTS (flavours); i++) {
    guint nth = i / G_N_ELEMENTS (flavours);
    MoshiStandinFlavour flavour = flavours[i % G_N_ELEMENTS (flavours)];
    guint8 head[] = { cases[nth].opcode, 0x80 | cases[nth].size, 0, 0, 0, 0,
      cases[nth].first
    };

    frames = g_byte_array_new ();
    g_byte_array_append (frames, head, 6 + cases[nth].size);
    g_byte_array_append (frames, close, sizeof close);
    said = ask_raw (flavour, "Authorization: Bearer secret\r\n", frames->data,
        frames->len, &stats);
    g_assert_cmpuint (said->len, >, 2);
    answered = said->data[said->len - 2] == 0x88
        && said->data[said->len - 1] == 0;
    g_assert_cmpint (answered, ==, !cases[nth].ends
        || flavour == MOSHI_STANDIN_MOSHI_SERVER);
    g_byte_array_unref (frames);
    g_byte_array_unref (said);
  }
}

/* The Python servers agree on compression, the Rust ones do not; the window
 * a client could use is its own affair. */
static void
test_raw_offers (void)
{
  static const struct
  {
    MoshiStandinFlavour flavour;
    const gchar *offer;
    gboolean agreed;
  } cases[] = { {MOSHI_STANDIN_KYUTAI_PY, "permessage-deflate", TRUE},
  {MOSHI_STANDIN_KYUTAI_PY, "permessage-deflate; client_max_window_bits",
      TRUE},
  {MOSHI_STANDIN_MLX, "permessage-deflate; client_max_window_bits", TRUE},
  {MOSHI_STANDIN_MLX, "permessage-deflate; client_max_window_bits=10", TRUE},
  {MOSHI_STANDIN_MLX, "permessage-deflate; server_max_window_bits=9, "
        "permessage-deflate", TRUE},
  {MOSHI_STANDIN_MLX, "permessage-deflate; server_max_window_bits=9", FALSE},
  {MOSHI_STANDIN_MLX, "permessage-deflate; server_no_context_takeover",
      FALSE},
  {MOSHI_STANDIN_MLX, "x-webkit-deflate-frame", FALSE},
  {MOSHI_STANDIN_KYUTAI_RS, "permessage-deflate", FALSE},
  {MOSHI_STANDIN_MOSHI_SERVER, "permessage-deflate", FALSE}
  };
  static const guint8 close[] = { 0x88, 0x80, 0, 0, 0, 0 };
  MoshiStandinStats stats;
  GByteArray *said;
  gchar *header;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    header = g_strdup_printf ("Sec-WebSocket-Extensions: %s\r\n",
        cases[i].offer);
    said = ask_raw (cases[i].flavour, header, close, sizeof close, &stats);
    g_byte_array_append (said, (const guint8 *) "", 1);
    g_assert_true (g_str_has_prefix ((gchar *) said->data, "HTTP/1.1 101"));
    g_assert_cmpint (strstr ((gchar *) said->data,
            "Sec-WebSocket-Extensions: permessage-deflate\r\n") != NULL, ==,
        cases[i].agreed);
    g_byte_array_unref (said);
    g_free (header);
  }
}

static void
test_raw_frames (void)
{
  /* Masked with zeros: 03 in three parts with a ping amid them, an unmasked
   * message, a close without a code. */
  static const guint8 pieces[] = { 0x02, 0x81, 0, 0, 0, 0, 3,
    0x00, 0x81, 0, 0, 0, 0, 1, 0x89, 0x82, 0, 0, 0, 0, 'h', 'i',
    0x80, 0x80, 0, 0, 0, 0, 0x82, 0x01, 3, 0x88, 0x80, 0, 0, 0, 0
  };
  static const guint8 long_ping[] = { 0x89, 0xfe, 0, 126, 0, 0, 0, 0 };
  static const guint8 orphan[] = { 0x80, 0x81, 0, 0, 0, 0, 3 };
  static const guint8 reserved[] = { 0xc2, 0x81, 0, 0, 0, 0, 3 };
  static const guint8 opcode[] = { 0x83, 0x81, 0, 0, 0, 0, 3 };
  MoshiStandinStats stats;

  check_raw (pieces, sizeof pieces, &stats);
  g_assert_cmpuint (stats.messages[3], ==, 2);
  g_assert_cmpuint (stats.bytes[3], ==, 3);
  g_assert_cmpuint (stats.unmasked_frames, ==, 1);
  g_assert_cmpuint (stats.pings, ==, 1);
  g_assert_cmpuint (stats.ping_bytes, ==, 2);
  g_assert_cmpuint (stats.close_code, ==, 1005);
  check_raw (long_ping, sizeof long_ping, &stats);
  check_raw (orphan, sizeof orphan, &stats);
  check_raw (reserved, sizeof reserved, &stats);
  check_raw (opcode, sizeof opcode, &stats);
  g_assert_cmpuint (stats.messages[3], ==, 0);
}

/* TLS */

static gchar *
make_certs (void)
{
  gchar *dir = g_dir_make_tmp ("standin-XXXXXX", NULL);
  gchar *script = g_test_build_filename (G_TEST_DIST, "server",
      "make-certs.sh", NULL);
  gchar *argv[] = { script, dir, NULL };
  gint status = 1;

  g_spawn_sync (NULL, argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, NULL, NULL,
      &status, NULL);
  g_free (script);
  if (status == 0)
    return dir;
  g_rmdir (dir);
  g_free (dir);
  return NULL;
}

static void
remove_certs (gchar * path)
{
  GDir *dir = g_dir_open (path, 0, NULL);
  const gchar *name;
  gchar *file;

  while ((name = g_dir_read_name (dir)) != NULL) {
    file = g_build_filename (path, name, NULL);
    g_remove (file);
    g_free (file);
  }
  g_dir_close (dir);
  g_rmdir (path);
  g_free (path);
}

static gboolean
call_over_tls (const gchar * certs, const gchar * name)
{
  gchar *cert = g_strdup_printf ("%s/%s.pem", certs, name);
  gchar *key = g_strdup_printf ("%s/%s.key", certs, name);
  gchar *ca = g_strdup_printf ("%s/ca.pem", certs);
  GTlsDatabase *database = g_tls_file_database_new (ca, NULL);
  GError *error = NULL;
  gboolean ok;
  TestTalk talk;

  test_talk_set_up (&talk, MOSHI_STANDIN_KYUTAI_RS, MOSHI_STANDIN_SILENCE);
  talk.config.tls_cert = cert;
  talk.config.tls_key = key;
  test_talk_start (&talk);
  g_assert_true (g_str_has_prefix (moshi_standin_get_uri (talk.server),
          "wss://127.0.0.1:"));
  talk.client = test_client_new (moshi_standin_get_uri (talk.server), 24000, 1);
  talk.answer = test_client_get (talk.client);
  test_client_set_database (talk.client, database);
  test_client_connect (talk.client);
  ok = talk.answer->connected;
  if (ok) {
    test_client_wait_handshake (talk.client);
    test_client_send_audio (talk.client, 400, 40);
    test_client_wait_samples (talk.client, 3 * 1920);
    test_client_close (talk.client, 1000, NULL);
    test_client_wait_closed (talk.client);
    g_assert_cmpuint (talk.answer->close_code, ==, 1000);
  } else {
    error = g_error_copy (talk.answer->error);
    g_assert_error (error, G_TLS_ERROR, G_TLS_ERROR_BAD_CERTIFICATE);
    g_clear_error (&error);
  }
  finish (&talk);
  g_object_unref (database);
  g_free (cert);
  g_free (key);
  g_free (ca);
  return ok;
}

static void
test_tls (void)
{
  gchar *certs;

  if (!g_tls_backend_supports_tls (g_tls_backend_get_default ())) {
    g_test_skip ("GIO has no TLS");
    return;
  }
  certs = make_certs ();
  if (certs == NULL) {
    g_test_skip ("openssl makes no certificates");
    return;
  }
  g_assert_true (call_over_tls (certs, "good"));
  g_assert_false (call_over_tls (certs, "wronghost"));
  g_assert_false (call_over_tls (certs, "expired"));
  g_assert_false (call_over_tls (certs, "self"));
  remove_certs (certs);
}

static void
add_crimes (void)
{
  static const gchar *const flavours[] = { "kyutai-py", "kyutai-rs",
    "moshi-server", "mlx", "personaplex", "moshivis", "scaleway"
  };
  gchar *path;
  guint nth;
  guint flavour;

  for (nth = 0; nth < G_N_ELEMENTS (crimes); nth++) {
    for (flavour = 0; flavour < G_N_ELEMENTS (flavours); flavour++) {
      path = g_strdup_printf ("/standin/crime/%s/%s", crimes[nth].name,
          flavours[flavour]);
      g_test_add_data_func (path, GUINT_TO_POINTER (nth * 7 + flavour),
          test_crime);
      g_free (path);
    }
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  add_crimes ();
  g_test_add_func ("/standin/skipped-page", test_skipped_page);
  g_test_add_func ("/standin/input-stops", test_input_stops);
  g_test_add_func ("/standin/ogg-report", test_ogg_report);
  g_test_add_func ("/standin/missing-bos", test_missing_bos);
  g_test_add_func ("/standin/close-reason", test_close_reason);
  g_test_add_func ("/standin/vanished-client", test_vanished_client);
  g_test_add_func ("/standin/lock", test_lock);
  g_test_add_func ("/standin/many", test_many);
  g_test_add_func ("/standin/eats-early", test_eats_early);
  g_test_add_func ("/standin/prompts", test_prompts);
  g_test_add_func ("/standin/no-image", test_no_image);
  g_test_add_func ("/standin/image", test_image);
  g_test_add_func ("/standin/leftovers", test_leftovers);
  g_test_add_func ("/standin/limit/drop", test_limit);
  g_test_add_func ("/standin/limit/mute", test_limit_mute);
  g_test_add_func ("/standin/limit/giant", test_giant_from_client);
  g_test_add_func ("/standin/limit/five-seconds", test_five_seconds);
  g_test_add_func ("/standin/drop-and-close", test_drop_and_close);
  g_test_add_func ("/standin/restart", test_restart);
  g_test_add_func ("/standin/deflate", test_deflate);
  g_test_add_func ("/standin/keep", test_keep);
  g_test_add_func ("/standin/raw-frames", test_raw_frames);
  g_test_add_func ("/standin/raw-pings", test_raw_pings);
  g_test_add_func ("/standin/raw-offers", test_raw_offers);
  g_test_add_func ("/standin/tls", test_tls);
  return g_test_run ();
}
