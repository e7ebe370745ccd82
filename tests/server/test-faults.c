/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The stand-in server has the faults it was told to have. */
#include <string.h>

#include "testtalk.h"

#define ABNORMAL 1006

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

static void
test_http_status (void)
{
  static const guint statuses[] = { 401, 403, 404, 500, 503 };
  const gchar *faults[] = { NULL, NULL };
  gchar *fault;
  TestTalk talk;
  guint i;

  test_talk_set_up (&talk, MOSHI_STANDIN_KYUTAI_PY, MOSHI_STANDIN_SILENCE);
  test_talk_start (&talk);
  for (i = 0; i < G_N_ELEMENTS (statuses); i++) {
    fault = g_strdup_printf ("http-status=%u", statuses[i]);
    faults[0] = fault;
    g_assert_true (moshi_standin_set_faults (talk.server, faults, 0, NULL));
    test_talk_call (&talk, "", 24000, 1);
    g_assert_cmpuint (talk.answer->status, ==, statuses[i]);
    g_assert_false (talk.answer->connected);
    test_talk_hang_up (&talk);
    g_free (fault);
  }
  faults[0] = "no-upgrade";
  g_assert_true (moshi_standin_set_faults (talk.server, faults, 0, NULL));
  test_talk_call (&talk, "", 24000, 1);
  g_assert_cmpuint (talk.answer->status, ==, 200);
  g_assert_false (talk.answer->connected);
  finish (&talk);
}

static void
test_fault_first (void)
{
  const gchar *faults[] = { "http-status=503", NULL };
  TestTalk talk;
  guint i;

  test_talk_set_up (&talk, MOSHI_STANDIN_KYUTAI_PY, MOSHI_STANDIN_SILENCE);
  talk.config.faults = faults;
  talk.config.fault_first = 2;
  test_talk_start (&talk);
  for (i = 0; i < 3; i++) {
    test_talk_call (&talk, "", 24000, 1);
    g_assert_cmpuint (talk.answer->status, ==, i < 2 ? 503 : 101);
    test_talk_hang_up (&talk);
  }
  g_assert_true (moshi_standin_wait_idle (talk.server, TEST_TIMEOUT_MS));
  test_talk_tear_down (&talk);
}

static void
test_bad_faults (void)
{
  static const gchar *const bad[] = { "", "nonsense", "http-status=9",
    "http-status=abc", "drop-after=-1", "garbage=0", "stall=1:2:3",
    "drop-after=1:2", "close-at-once=5"
  };
  const gchar *faults[] = { NULL, NULL };
  MoshiStandinConfig config;
  GError *error = NULL;
  guint i;

  moshi_standin_config_init (&config);
  config.faults = faults;
  for (i = 0; i < G_N_ELEMENTS (bad); i++) {
    faults[0] = bad[i];
    g_assert_null (moshi_standin_new (&config, &error));
    g_assert_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
    g_clear_error (&error);
  }
}

static void
call_with (TestTalk * talk, const gchar * fault)
{
  const gchar *faults[] = { fault, NULL };

  test_talk_set_up (talk, MOSHI_STANDIN_KYUTAI_RS, MOSHI_STANDIN_SILENCE);
  talk->config.faults = faults;
  test_talk_start (talk);
  test_talk_call (talk, "", 24000, 1);
  g_assert_true (talk->answer->connected);
}

static void
test_handshake (void)
{
  MoshiStandinStats stats;
  gint64 before;
  TestTalk talk;

  call_with (&talk, "no-handshake");
  test_client_wait_messages (talk.client, 1);
  g_assert_cmpstr (talk.answer->order->str, ==, "M");
  test_client_close (talk.client, 1000, NULL);
  test_client_wait_closed (talk.client);
  g_assert_false (talk.answer->handshake);
  moshi_standin_get_stats (talk.server, &stats);
  g_assert_cmpuint (stats.handshakes, ==, 0);
  finish (&talk);

  before = g_get_monotonic_time ();
  call_with (&talk, "handshake-delay=150");
  test_client_wait_handshake (talk.client);
  g_assert_cmpint (g_get_monotonic_time () - before, >=, 150 * 1000);
  finish (&talk);

  call_with (&talk, "close-at-once=1013");
  test_client_wait_closed (talk.client);
  g_assert_cmpuint (talk.answer->close_code, ==, 1013);
  g_assert_cmpuint (talk.answer->messages->len, ==, 0);
  finish (&talk);
}

/* Each ends after exactly so many frames. */
static void
test_endings (void)
{
  static const struct
  {
    const gchar *fault;
    guint frames;
    guint code;
  } cases[] = { {"close-after=4:1012", 4, 1012}, {"close-after=0", 0, 1000},
  {"drop-after=7", 7, ABNORMAL}, {"drop-after=0", 0, ABNORMAL}
  };
  TestTalk talk;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    begin (&talk, MOSHI_STANDIN_KYUTAI_RS, cases[i].fault);
    test_client_send_audio (talk.client, 1600, 40);
    test_client_wait_closed (talk.client);
    g_assert_cmpuint (talk.answer->close_code, ==, cases[i].code);
    g_assert_cmpuint (talk.answer->pcm->len, ==, cases[i].frames * 1920);
    finish (&talk);
  }
}

static void
test_error_message (void)
{
  TestTalk talk;

  begin (&talk, MOSHI_STANDIN_KYUTAI_PY, "error-message=a@b, of course@3");
  test_client_send_audio (talk.client, 800, 40);
  test_client_wait_samples (talk.client, 9 * 1920);
  g_assert_cmpstr (talk.answer->failure, ==, "a@b, of course");
  g_assert_true (g_str_has_prefix (talk.answer->order->str, "HAAAEA"));
  finish (&talk);
}

static void
test_freeze (void)
{
  MoshiStandinStats stats;
  TestTalk talk;

  begin (&talk, MOSHI_STANDIN_KYUTAI_PY, "freeze-after=5");
  test_client_send_audio (talk.client, 1600, 40);
  g_assert_true (moshi_standin_wait (talk.server, MOSHI_STANDIN_PACKETS, 40,
          TEST_TIMEOUT_MS));
  test_client_close (talk.client, 1000, NULL);
  test_client_wait_closed (talk.client);
  g_assert_cmpuint (talk.answer->close_code, ==, 1000);
  g_assert_cmpuint (talk.answer->pcm->len, ==, 5 * 1920);
  moshi_standin_get_stats (talk.server, &stats);
  g_assert_cmpuint (stats.frames_sent, ==, 5);
  finish (&talk);
}

static void
test_bad_pages (void)
{
  TestTalk talk;

  /* 20 steps give 18 frames in 36 pages; a third of these are lost. */
  begin (&talk, MOSHI_STANDIN_KYUTAI_RS, "bad-crc=3");
  test_client_send_audio (talk.client, 1600, 40);
  test_client_wait_messages (talk.client, 2 + 36);
  g_assert_cmpuint (talk.answer->pcm->len, ==, 24 * 960);
  g_assert_cmpuint (talk.answer->bad_pages, >, 0);
  finish (&talk);

  /* Every second frame is noise, and its 18 messages no pages. */
  begin (&talk, MOSHI_STANDIN_KYUTAI_RS, "garbage=2");
  test_client_send_audio (talk.client, 1600, 40);
  test_client_wait_messages (talk.client, 2 + 36);
  g_assert_cmpuint (talk.answer->pcm->len, ==, 18 * 960);
  finish (&talk);
}

/* However the bytes are cut, they are the same bytes. */
static void
test_chunks (void)
{
  const gchar *faults[] = { "chunk=random", NULL };
  gint16 *expected;
  gboolean empty = FALSE;
  TestTalk talk;
  guint i;

  test_talk_set_up (&talk, MOSHI_STANDIN_KYUTAI_PY, MOSHI_STANDIN_SWEEP);
  talk.config.faults = faults;
  test_talk_converse (&talk, 24000, 1);
  test_client_send_audio (talk.client, 4080, 40);
  test_client_wait_samples (talk.client, 50 * 1920);
  expected = moshi_standin_sweep_expected (MOSHI_STANDIN_KYUTAI_PY, 0, 24000,
      1, 50 * 1920, 0);
  g_assert_cmpmem (talk.answer->pcm->data, 50 * 1920 * 2, expected,
      50 * 1920 * 2);
  g_free (expected);
  for (i = 1; i < talk.answer->messages->len; i++)
    empty |= g_bytes_get_size (g_ptr_array_index (talk.answer->messages, i))
        == 1;
  g_assert_true (empty);
  g_assert_cmpuint (talk.answer->messages->len, >, 60);
  finish (&talk);
}

static void
test_odd_messages (void)
{
  MoshiStandinStats stats;
  TestTalk talk;

  begin (&talk, MOSHI_STANDIN_KYUTAI_PY, "unknown-kinds");
  test_client_send_audio (talk.client, 800, 40);
  test_client_wait_samples (talk.client, 9 * 1920);
  g_assert_true (g_str_has_prefix (talk.answer->order->str,
          "H???CP?AAAAA???CP?AAAA"));
  finish (&talk);

  begin (&talk, MOSHI_STANDIN_KYUTAI_PY, "giant-message=300000");
  test_client_wait_messages (talk.client, 2);
  g_assert_cmpuint (g_bytes_get_size (g_ptr_array_index
          (talk.answer->messages, 1)), ==, 300000);
  g_assert_cmpstr (talk.answer->metadata + 300000 - 4, ==, "x\"}");
  finish (&talk);

  begin (&talk, MOSHI_STANDIN_KYUTAI_RS, "ping-flood=30");
  test_client_send_audio (talk.client, 800, 40);
  test_client_wait_samples (talk.client, 8 * 1920);
  test_client_close (talk.client, 1000, NULL);
  test_client_wait_closed (talk.client);
  moshi_standin_get_stats (talk.server, &stats);
  g_assert_cmpuint (stats.pongs, ==, 9 * 30);
  finish (&talk);
}

static void
test_never_read (void)
{
  MoshiStandinStats stats;
  TestTalk talk;

  begin (&talk, MOSHI_STANDIN_KYUTAI_PY, "never-read");
  test_client_send_audio (talk.client, 800, 40);
  test_talk_hang_up (&talk);
  moshi_standin_drop_sessions (talk.server);
  g_assert_true (moshi_standin_wait_idle (talk.server, TEST_TIMEOUT_MS));
  moshi_standin_get_stats (talk.server, &stats);
  g_assert_cmpuint (stats.messages[1], ==, 0);
  test_talk_tear_down (&talk);
}

static void
test_stall (void)
{
  MoshiStandinStats stats;
  TestTalk talk;

  /* Held back at frame 3: nothing comes for 10 frames, then all of them. */
  begin (&talk, MOSHI_STANDIN_KYUTAI_PY, "stall=3:1000");
  test_client_send_audio (talk.client, 800, 40);
  g_assert_true (moshi_standin_wait (talk.server, MOSHI_STANDIN_FRAMES_SENT,
          9, TEST_TIMEOUT_MS));
  test_client_wait_samples (talk.client, 3 * 1920);
  moshi_standin_close_sessions (talk.server, 1001);
  test_client_wait_closed (talk.client);
  g_assert_cmpuint (talk.answer->close_code, ==, 1001);
  g_assert_cmpuint (talk.answer->pcm->len, ==, 3 * 1920);
  finish (&talk);

  begin (&talk, MOSHI_STANDIN_KYUTAI_PY, "stall=3:5");
  test_client_send_audio (talk.client, 800, 40);
  test_client_wait_samples (talk.client, 9 * 1920);
  moshi_standin_get_stats (talk.server, &stats);
  g_assert_cmpuint (stats.frames_sent, ==, 9);
  finish (&talk);

  /* Time ends it too, for a client that waits for answers. */
  begin (&talk, MOSHI_STANDIN_KYUTAI_PY, "stall=3:2");
  test_client_send_audio (talk.client, 400, 40);
  test_client_wait_samples (talk.client, 4 * 1920);
  finish (&talk);
}

/* The servers that decode lose the spaces of words that stand apart. */
static void
check_bare_words (MoshiStandinFlavour flavour, const gchar * expected)
{
  g_autoptr (GString) all = g_string_new (NULL);
  static const gchar *const faults[] = { "bare-words", NULL };
  TestTalk talk;
  guint i;

  test_talk_set_up (&talk, flavour, MOSHI_STANDIN_SILENCE);
  talk.config.faults = faults;
  talk.config.text = "one twothree four";
  test_talk_converse (&talk, 24000, 1);
  test_client_send_audio (talk.client, 20 * 80, 40);
  test_client_wait_texts (talk.client, 4);
  for (i = 0; i < 4; i++)
    g_string_append_printf (all, "[%s]",
        (gchar *) g_ptr_array_index (talk.answer->texts, i));
  g_assert_cmpstr (all->str, ==, expected);
  finish (&talk);
}

static void
test_bare_words (void)
{
  check_bare_words (MOSHI_STANDIN_KYUTAI_RS, "[ one][twoth][ree][four]");
  check_bare_words (MOSHI_STANDIN_KYUTAI_PY, "[ one][ twoth][ree][ four]");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/standin/fault/http-status", test_http_status);
  g_test_add_func ("/standin/fault/first", test_fault_first);
  g_test_add_func ("/standin/fault/bad", test_bad_faults);
  g_test_add_func ("/standin/fault/handshake", test_handshake);
  g_test_add_func ("/standin/fault/endings", test_endings);
  g_test_add_func ("/standin/fault/error-message", test_error_message);
  g_test_add_func ("/standin/fault/freeze", test_freeze);
  g_test_add_func ("/standin/fault/bad-pages", test_bad_pages);
  g_test_add_func ("/standin/fault/chunks", test_chunks);
  g_test_add_func ("/standin/fault/odd-messages", test_odd_messages);
  g_test_add_func ("/standin/fault/never-read", test_never_read);
  g_test_add_func ("/standin/fault/bare-words", test_bare_words);
  g_test_add_func ("/standin/fault/stall", test_stall);
  return g_test_run ();
}
