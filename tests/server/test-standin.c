/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The stand-in server answers as the real ones do. */
#include <string.h>
#include <json-glib/json-glib.h>

#include "testtalk.h"

/* What each flavour owes: see protocol pages of the servers. */
static const struct
{
  MoshiStandinFlavour flavour;
  const gchar *name;
  const gchar *opening;         /* kinds up to the first audio of a step */
  guint handshake_size;
  guint delay;
  guint messages_per_frame;
  guint pages_per_frame;
  gint64 granules[4];           /* of the first audio pages */
} owed[] = {
  {MOSHI_STANDIN_KYUTAI_PY, "kyutai-py", "HA", 1, 1, 1, 2,
      {1920, 3840, 5760, 7680}},
  {MOSHI_STANDIN_KYUTAI_RS, "kyutai-rs", "MHA", 9, 2, 2, 2,
      {1920, 1920, 3840, 3840}},
  {MOSHI_STANDIN_MOSHI_SERVER, "moshi-server", "HAA", 9, 2, 1, 2,
      {1920, 3840, 5760, 7680}},
  {MOSHI_STANDIN_MLX, "mlx", "HA", 1, 0, 1, 2, {1920, 3840, 5760, 7680}},
  {MOSHI_STANDIN_PERSONAPLEX, "personaplex", "HAAA", 1, 0, 1, 1,
      {1920, 3840, 5760, 7680}},
  {MOSHI_STANDIN_MOSHIVIS, "moshivis", "HAAA", 1, 1, 1, 1,
      {1920, 3840, 5760, 7680}},
  {MOSHI_STANDIN_SCALEWAY, "scaleway", "MHA", 9, 2, 2, 2,
      {1920, 1920, 3840, 3840}},
};

static void
test_layout (gconstpointer data)
{
  guint nth = GPOINTER_TO_UINT (data);
  const guint frames = 10;
  guint opening = strlen (owed[nth].opening);
  guint frames_out = frames - owed[nth].delay;
  const TestAnswer *answer;
  MoshiStandinStats stats;
  TestTalk talk;
  guint i;

  test_talk_set_up (&talk, owed[nth].flavour, MOSHI_STANDIN_SILENCE);
  talk.config.prompt_ms = 0;
  test_talk_converse (&talk, 24000, 1);
  answer = talk.answer;
  g_assert_cmpuint (answer->handshake_size, ==, owed[nth].handshake_size);
  test_client_send_audio (talk.client, frames * 80, 20);
  test_client_wait_samples (talk.client, frames_out * 1920);
  g_assert_true (g_str_has_prefix (answer->order->str, owed[nth].opening));
  g_assert_cmpuint (answer->messages->len, ==,
      opening - 1 + frames_out * owed[nth].messages_per_frame);
  g_assert_cmpuint (answer->granules->len, ==,
      frames_out * owed[nth].pages_per_frame);
  for (i = 0; i < 4; i++)
    g_assert_cmpint (g_array_index (answer->granules, gint64, i), ==,
        owed[nth].granules[i]);
  g_assert_cmpuint (answer->bad_pages, ==, 0);
  moshi_standin_get_stats (talk.server, &stats);
  g_assert_cmpuint (stats.frames_in, ==, frames);
  g_assert_cmpuint (stats.frames_sent, ==, frames_out);
  g_assert_cmpuint (moshi_standin_flavour_delay (owed[nth].flavour), ==,
      owed[nth].delay);
  test_talk_hang_up (&talk);
  test_talk_tear_down (&talk);
}

/* Frames come as input comes, whatever the packets: never one too many. */
static void
test_pacing (void)
{
  static const struct
  {
    guint packet_ms;
    guint ms;
    guint frames;
  } cases[] = { {10, 150, 0}, {10, 160, 1}, {20, 1600, 19}, {40, 1000, 11},
  {60, 960, 11}, {5, 795, 8}
  };
  MoshiStandinStats stats;
  TestTalk talk;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    test_talk_set_up (&talk, MOSHI_STANDIN_KYUTAI_PY, MOSHI_STANDIN_SILENCE);
    test_talk_converse (&talk, 24000, 1);
    test_client_send_audio (talk.client, cases[i].ms, cases[i].packet_ms);
    g_assert_true (moshi_standin_wait (talk.server, MOSHI_STANDIN_PACKETS,
            cases[i].ms / cases[i].packet_ms, TEST_TIMEOUT_MS));
    test_client_wait_samples (talk.client, cases[i].frames * 1920);
    test_client_close (talk.client, 1000, NULL);
    test_client_wait_closed (talk.client);
    g_assert_cmpuint (talk.answer->pcm->len, ==, cases[i].frames * 1920);
    g_assert_cmpuint (talk.answer->close_code, ==, 1000);
    g_assert_true (moshi_standin_wait_idle (talk.server, TEST_TIMEOUT_MS));
    moshi_standin_get_stats (talk.server, &stats);
    g_assert_cmpuint (stats.samples, ==, cases[i].ms * 24);
    g_assert_cmpuint (stats.bad_granules + stats.bad_crc + stats.missing_bos
        + stats.second_bos + stats.page_gaps + stats.junk_bytes, ==, 0);
    g_assert_cmpuint (stats.close_code, ==, 1000);
    g_assert_cmpuint (stats.closes, ==, 1);
    g_assert_cmpuint (stats.losses, ==, 0);
    g_assert_cmpuint (stats.early_messages, ==, 0);
    test_talk_hang_up (&talk);
    test_talk_tear_down (&talk);
  }
}

/* moshi-backend passes on 40 ms and more after each packet, so packets of 60
 * and 20 ms leave some behind that packets of 20 ms alone do not. */
static void
test_flush (void)
{
  MoshiStandinStats stats;
  TestTalk talk;

  test_talk_set_up (&talk, MOSHI_STANDIN_KYUTAI_RS, MOSHI_STANDIN_SILENCE);
  test_talk_converse (&talk, 24000, 1);
  test_client_send_audio (talk.client, 60, 60);
  test_client_send_audio (talk.client, 20, 20);
  g_assert_true (moshi_standin_wait (talk.server, MOSHI_STANDIN_SAMPLES,
          1920, TEST_TIMEOUT_MS));
  moshi_standin_get_stats (talk.server, &stats);
  g_assert_cmpuint (stats.frames_in, ==, 0);
  test_client_send_audio (talk.client, 200, 20);
  test_client_wait_samples (talk.client, 1920);
  moshi_standin_get_stats (talk.server, &stats);
  g_assert_cmpuint (stats.frames_in, ==, 3);
  test_talk_hang_up (&talk);
  test_talk_tear_down (&talk);
}

static void
check_sweep (MoshiStandinFlavour flavour, guint rate, guint channels)
{
  const guint frames = 25;
  gsize n = frames * 1920 * (gsize) rate / 24000;
  gint16 *expected;
  TestTalk talk;

  test_talk_set_up (&talk, flavour, MOSHI_STANDIN_SWEEP);
  talk.config.seed = 11;
  talk.config.prompt_ms = 0;
  test_talk_converse (&talk, rate, channels);
  test_client_send_audio (talk.client, (frames + 2) * 80, 40);
  test_client_wait_samples (talk.client, n);
  expected = moshi_standin_sweep_expected (flavour, 0, rate, channels, n, 11);
  g_assert_cmpmem (talk.answer->pcm->data, n * channels * 2, expected,
      n * channels * 2);
  g_free (expected);
  test_talk_hang_up (&talk);
  test_talk_tear_down (&talk);
}

static void
test_sweep_exact (void)
{
  check_sweep (MOSHI_STANDIN_KYUTAI_PY, 24000, 1);
  check_sweep (MOSHI_STANDIN_KYUTAI_RS, 48000, 2);
  check_sweep (MOSHI_STANDIN_PERSONAPLEX, 16000, 1);
  check_sweep (MOSHI_STANDIN_MOSHI_SERVER, 8000, 2);
}

/* An excerpt is found again where it is, at any rate, after a coder whose
 * delay is 156 samples: never more than 1 ms off, and seldom more than 2
 * samples. */
static void
test_sweep_locate (void)
{
  static const guint rates[] = { 48000, 24000, 16000, 12000, 8000 };
  const gint n_frames = 40;
  gint16 *pcm;
  gint64 off;
  gdouble score;
  guint vague;
  gsize n;
  guint i;
  gint f;

  for (i = 0; i < G_N_ELEMENTS (rates); i++) {
    vague = 0;
    n = 1920 * (gsize) rates[i] / 24000;
    pcm = moshi_standin_sweep_expected (MOSHI_STANDIN_KYUTAI_RS, 0, rates[i],
        1, n * n_frames, 5);
    for (f = 3; f < n_frames; f++) {
      off = moshi_standin_sweep_locate (pcm + f * n, n, rates[i], 1, 5,
          f * 1920 - 4800, f * 1920 + 4800, &score) - f * 1920 + 156;
      g_assert_cmpfloat (score, >, 0.8);
      g_assert_cmpint (ABS (off), <=, 24);
      vague += ABS (off) > 4;
    }
    g_assert_cmpuint (vague, <=, 8);
    g_free (pcm);
  }
}

static void
test_sweep_locate_other (void)
{
  gint16 *pcm = moshi_standin_sweep_expected (MOSHI_STANDIN_KYUTAI_RS, 0,
      24000, 1, 9600, 5);
  gdouble score;
  guint i;

  /* A frame that is not in the range scores badly, and so does noise. */
  moshi_standin_sweep_locate (pcm + 5760, 1920, 24000, 1, 5, 20000, 30000,
      &score);
  g_assert_cmpfloat (score, <, 0.5);
  for (i = 0; i < 1920; i++)
    pcm[i] = g_random_int_range (-8000, 8000);
  moshi_standin_sweep_locate (pcm, 1920, 24000, 1, 5, 0, 47999, &score);
  g_assert_cmpfloat (score, <, 0.5);
  memset (pcm, 0, 1920 * 2);
  moshi_standin_sweep_locate (pcm, 1920, 24000, 1, 5, 0, 100, &score);
  g_assert_cmpfloat (score, <=, 0);
  g_free (pcm);
}

/* The echo of a sweep is where it was, later by both coders' delay. */
static void
test_echo (void)
{
  const guint frames = 30;
  gint16 pcm[1920];
  gint64 found;
  gdouble score;
  TestTalk talk;
  guint f;
  guint i;

  test_talk_set_up (&talk, MOSHI_STANDIN_KYUTAI_RS, MOSHI_STANDIN_ECHO);
  test_talk_converse (&talk, 24000, 1);
  for (f = 0; f < frames; f++) {
    for (i = 0; i < 1920; i++)
      pcm[i] = 32767 * moshi_standin_sweep_value (f * 1920 + i, 0);
    test_client_send_pcm (talk.client, pcm, 960);
    test_client_send_pcm (talk.client, pcm + 960, 960);
  }
  test_client_wait_samples (talk.client, (frames - 2) * 1920);
  for (f = 5; f < frames - 2; f++) {
    found = moshi_standin_sweep_locate (&g_array_index (talk.answer->pcm,
            gint16, f * 1920), 1920, 24000, 1, 0, f * 1920 - 2400,
        f * 1920 + 2400, &score);
    g_assert_cmpfloat (score, >, 0.7);
    g_assert_cmpint (f * 1920 - found, >=, 0);
    g_assert_cmpint (f * 1920 - found, <=, 600);
  }
  test_talk_hang_up (&talk);
  test_talk_tear_down (&talk);
}

static void
test_metadata (void)
{
  JsonParser *parser = json_parser_new ();
  JsonObject *object;
  TestTalk talk;

  test_talk_set_up (&talk, MOSHI_STANDIN_KYUTAI_RS, MOSHI_STANDIN_SILENCE);
  test_talk_start (&talk);
  test_talk_call (&talk, "?text_topk=25&text_temperature=0.7&email=a%40b",
      24000, 1);
  test_client_wait_handshake (talk.client);
  g_assert_true (json_parser_load_from_data (parser, talk.answer->metadata,
          -1, NULL));
  object = json_node_get_object (json_parser_get_root (parser));
  g_assert_cmpint (json_object_get_int_member (object, "text_topk"), ==, 25);
  g_assert_cmpint (json_object_get_int_member (object, "audio_topk"), ==, 250);
  g_assert_cmpfloat (json_object_get_double_member (object,
          "text_temperature"), ==, 0.7);
  g_assert_true (json_object_has_member (object, "build_info"));
  g_assert_true (json_object_has_member (object, "instance_name"));
  g_object_unref (parser);
  test_talk_hang_up (&talk);
  test_talk_tear_down (&talk);
}

static void
test_query (void)
{
  static const struct
  {
    const gchar *query;
    guint status;
  } cases[] = { {"?text_topk=", 400}, {"?text_topk=2.5", 400},
  {"?text_topk=-1", 400}, {"?text_temperature=", 400},
  {"?text_temperature=hot", 400}, {"?max_steps=%20", 400},
  {"?pad_mult=-0.5", 101}, {"?email=", 101}, {"?anything=else", 101},
  {"?audio_seed=18446744073709551615", 101},
  {"?audio_seed=18446744073709551616", 400}
  };
  gchar *value;
  TestTalk talk;
  guint i;

  test_talk_set_up (&talk, MOSHI_STANDIN_KYUTAI_RS, MOSHI_STANDIN_SILENCE);
  test_talk_start (&talk);
  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    test_talk_call (&talk, cases[i].query, 24000, 1);
    g_assert_cmpuint (talk.answer->status, ==, cases[i].status);
    test_talk_hang_up (&talk);
  }
  value = moshi_standin_dup_query (talk.server, "audio_seed");
  g_assert_cmpstr (value, ==, "18446744073709551616");
  g_free (value);
  value = moshi_standin_dup_path (talk.server);
  g_assert_cmpstr (value, ==, "/api/chat");
  g_free (value);
  value = moshi_standin_dup_header (talk.server, "upgrade");
  g_assert_cmpstr (value, ==, "websocket");
  g_free (value);
  test_talk_tear_down (&talk);
}

static void
test_path (void)
{
  gchar *uri;
  TestTalk talk;

  test_talk_set_up (&talk, MOSHI_STANDIN_KYUTAI_PY, MOSHI_STANDIN_SILENCE);
  test_talk_start (&talk);
  uri = g_strdup_printf ("ws://127.0.0.1:%u/elsewhere",
      moshi_standin_get_port (talk.server));
  talk.client = test_client_new (uri, 24000, 1);
  talk.answer = test_client_get (talk.client);
  test_client_connect (talk.client);
  g_assert_cmpuint (talk.answer->status, ==, 404);
  g_free (uri);
  test_talk_hang_up (&talk);
  test_talk_tear_down (&talk);
}

static void
test_key (void)
{
  static const struct
  {
    const gchar *bearer;
    const gchar *query;
    guint status;
  } cases[] = { {NULL, "", 403}, {"wrong", "", 403}, {NULL, "?token=x", 403},
  {"secret", "", 101}, {NULL, "?token=secret", 101},
  {"wrong", "?token=secret", 403}
  };
  gchar *uri;
  TestTalk talk;
  guint i;

  test_talk_set_up (&talk, MOSHI_STANDIN_SCALEWAY, MOSHI_STANDIN_SILENCE);
  test_talk_start (&talk);
  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    uri = g_strconcat (moshi_standin_get_uri (talk.server), cases[i].query,
        NULL);
    talk.client = test_client_new (uri, 24000, 1);
    talk.answer = test_client_get (talk.client);
    if (cases[i].bearer != NULL)
      test_client_set_key (talk.client, cases[i].bearer);
    test_client_connect (talk.client);
    g_assert_cmpuint (talk.answer->status, ==, cases[i].status);
    test_talk_hang_up (&talk);
    g_free (uri);
  }
  test_talk_tear_down (&talk);
}

static gchar *
join (GPtrArray * pieces)
{
  GString *text = g_string_new (NULL);
  guint i;

  for (i = 0; i < pieces->len; i++)
    g_string_append_printf (text, "[%s]",
        (gchar *) g_ptr_array_index (pieces, i));
  return g_string_free (text, FALSE);
}

static void
check_text (MoshiStandinFlavour flavour, gboolean byte_fallback,
    const gchar * expected, const gchar * order)
{
  gchar *pieces;
  TestTalk talk;

  test_talk_set_up (&talk, flavour, MOSHI_STANDIN_SILENCE);
  talk.config.text = "Hello caf\303\251 \342\202\254";
  talk.config.text_every = 2;
  talk.config.byte_fallback = byte_fallback;
  talk.config.prompt_ms = 0;
  test_talk_converse (&talk, 24000, 1);
  test_client_send_audio (talk.client, 30 * 80, 80 / 2);
  test_client_wait_samples (talk.client, 28 * 1920);
  pieces = join (talk.answer->texts);
  g_assert_cmpstr (pieces, ==, expected);
  g_free (pieces);
  if (order != NULL)
    g_assert_cmpmem (talk.answer->order->str, strlen (order), order,
        strlen (order));
  test_talk_hang_up (&talk);
  test_talk_tear_down (&talk);
}

static void
test_text (void)
{
  check_text (MOSHI_STANDIN_KYUTAI_PY, FALSE,
      "[ Hello][ caf\303\251][ \342\202\254]", "HATAATAATAAA");
  check_text (MOSHI_STANDIN_KYUTAI_RS, FALSE,
      "[ Hello][ caf\303\251][ \342\202\254]", "MHAATAAAATAAAATAA");
  check_text (MOSHI_STANDIN_MOSHI_SERVER, FALSE,
      "[ Hello][ caf\303\251][ \342\202\254]", "HATAATAATAAA");
  check_text (MOSHI_STANDIN_MLX, FALSE,
      "[ Hello][ caf\303\251][ \342\202\254]", "HAATAATAATAA");
  check_text (MOSHI_STANDIN_PERSONAPLEX, FALSE,
      "[ Hello][ caf\303\251][ \342\202\254]", NULL);
  check_text (MOSHI_STANDIN_KYUTAI_PY, TRUE,
      "[ Hello][ caf][<0xC3>][<0xA9>][ ][<0xE2>][<0x82>][<0xAC>]", NULL);
  check_text (MOSHI_STANDIN_KYUTAI_RS, TRUE,
      "[ Hello][ caf][\357\277\275][][ ]"
      "[\357\277\275][\357\277\275][\357\277\275]", NULL);
}

static void
test_coloured_text (void)
{
  TestTalk talk;
  guint i;

  test_talk_set_up (&talk, MOSHI_STANDIN_MOSHIVIS, MOSHI_STANDIN_SILENCE);
  talk.config.text = "one two three";
  talk.config.text_every = 1;
  test_talk_converse (&talk, 24000, 1);
  test_client_send_audio (talk.client, 800, 40);
  test_client_wait_texts (talk.client, 3);
  g_assert_null (strchr (talk.answer->order->str, 'T'));
  g_assert_cmpuint (talk.answer->colours->len, ==, 3);
  for (i = 0; i < 3; i++)
    g_assert_cmpuint (g_array_index (talk.answer->colours, guint8, i), <=, 10);
  g_assert_cmpstr (g_ptr_array_index (talk.answer->texts, 2), ==, " three");
  test_talk_hang_up (&talk);
  test_talk_tear_down (&talk);
}

/* The steps are counted against the clock at the slow end only: a machine
 * under load is slower still. */
static void
test_speed (void)
{
  gint64 begin;
  TestTalk talk;

  test_talk_set_up (&talk, MOSHI_STANDIN_MLX, MOSHI_STANDIN_SILENCE);
  talk.config.speed = 8;
  test_talk_converse (&talk, 24000, 1);
  begin = g_get_monotonic_time ();
  test_client_send_audio (talk.client, 1600, 40);
  test_client_wait_samples (talk.client, 20 * 1920);
  g_assert_cmpint (g_get_monotonic_time () - begin, >=, 200 * 1000);
  test_talk_hang_up (&talk);
  test_talk_tear_down (&talk);
}

static void
test_fast_enough (void)
{
  gint64 begin = g_get_monotonic_time ();
  TestTalk talk;

  test_talk_set_up (&talk, MOSHI_STANDIN_KYUTAI_RS, MOSHI_STANDIN_ECHO);
  test_talk_converse (&talk, 24000, 1);
  test_client_send_audio (talk.client, 60000, 40);
  test_client_wait_samples (talk.client, 748 * 1920);
  g_test_message ("60 s echoed in %.2f s, client included",
      (g_get_monotonic_time () - begin) / 1e6);
  test_talk_hang_up (&talk);
  test_talk_tear_down (&talk);
}

static void
test_repeat_packets (void)
{
  MoshiStandinStats stats;
  TestTalk talk;

  test_talk_set_up (&talk, MOSHI_STANDIN_KYUTAI_RS,
      MOSHI_STANDIN_REPEAT_PACKETS);
  test_talk_converse (&talk, 24000, 1);
  test_client_send_audio (talk.client, 8000, 20);
  test_client_wait_samples (talk.client, 98 * 1920);
  moshi_standin_get_stats (talk.server, &stats);
  g_assert_cmpuint (stats.samples, ==, 8 * 24000);
  g_assert_cmpuint (stats.frames_sent, ==, 98);
  test_talk_hang_up (&talk);
  test_talk_tear_down (&talk);
}

static void
send_silence (TestTalk * talk, guint ms)
{
  static const gint16 silence[960];
  guint sent;

  for (sent = 0; sent < ms; sent += 40)
    test_client_send_pcm (talk->client, silence, 960);
}

/* How loud frame @nth of the answer is at its loudest. */
static gint
peak_of (TestTalk * talk, guint nth)
{
  gint peak = 0;
  guint i;

  for (i = nth * 1920; i < (nth + 1) * 1920; i++)
    peak = MAX (peak, ABS (g_array_index (talk->answer->pcm, gint16, i)));
  return peak;
}

/* It says how long one spoke, once one is silent, and no sooner. */
static void
test_talk (void)
{
  gchar *pieces;
  TestTalk talk;
  gint peak = 0;
  guint i;

  if (!moshi_standin_can_talk ()) {
    g_test_skip ("no espeak-ng");
    return;
  }
  test_talk_set_up (&talk, MOSHI_STANDIN_KYUTAI_PY, MOSHI_STANDIN_TALK);
  test_talk_converse (&talk, 24000, 1);
  test_client_send_audio (talk.client, 3040, 40);
  send_silence (&talk, 4000);
  test_client_wait_samples (talk.client, 86 * 1920);
  pieces = join (talk.answer->texts);
  g_assert_nonnull (strstr (pieces, "[ three]"));
  g_assert_nonnull (strstr (pieces, "[ I][ heard][ you][ speak]"));
  g_free (pieces);
  for (i = 0; i < 44; i++)
    g_assert_cmpint (peak_of (&talk, i), <, 100);
  for (i = 44; i < 70; i++)
    peak = MAX (peak, peak_of (&talk, i));
  g_assert_cmpint (peak, >, 2000);
  test_talk_hang_up (&talk);
  test_talk_tear_down (&talk);
}

/* It holds its tongue when the user goes on. */
static void
test_interrupt (void)
{
  TestTalk talk;
  guint i;

  if (!moshi_standin_can_talk ()) {
    g_test_skip ("no espeak-ng");
    return;
  }
  test_talk_set_up (&talk, MOSHI_STANDIN_MLX, MOSHI_STANDIN_TALK);
  test_talk_converse (&talk, 24000, 1);
  test_client_send_audio (talk.client, 1600, 40);
  send_silence (&talk, 1200);
  test_client_send_audio (talk.client, 800, 40);
  test_client_wait_samples (talk.client, 45 * 1920);
  g_assert_cmpuint (talk.answer->texts->len, >, 0);
  g_assert_cmpuint (talk.answer->texts->len, <, 6);
  /* Two frames of it to be sure, one for the coders. */
  for (i = 39; i < 45; i++)
    g_assert_cmpint (peak_of (&talk, i), <, 100);
  test_talk_hang_up (&talk);
  test_talk_tear_down (&talk);
}

static void
add (const gchar * path, GTestFunc func)
{
  g_test_add_func (path, func);
}

int
main (int argc, char **argv)
{
  gchar *path;
  guint i;

  g_test_init (&argc, &argv, NULL);
  for (i = 0; i < G_N_ELEMENTS (owed); i++) {
    path = g_strconcat ("/standin/layout/", owed[i].name, NULL);
    g_test_add_data_func (path, GUINT_TO_POINTER (i), test_layout);
    g_free (path);
  }
  add ("/standin/pacing", test_pacing);
  add ("/standin/flush", test_flush);
  add ("/standin/sweep/exact", test_sweep_exact);
  add ("/standin/sweep/locate", test_sweep_locate);
  add ("/standin/sweep/locate-other", test_sweep_locate_other);
  add ("/standin/echo", test_echo);
  add ("/standin/metadata", test_metadata);
  add ("/standin/query", test_query);
  add ("/standin/path", test_path);
  add ("/standin/key", test_key);
  add ("/standin/text", test_text);
  add ("/standin/coloured-text", test_coloured_text);
  add ("/standin/speed", test_speed);
  add ("/standin/fast-enough", test_fast_enough);
  add ("/standin/repeat-packets", test_repeat_packets);
  add ("/standin/talk/answer", test_talk);
  add ("/standin/talk/interrupt", test_interrupt);
  return g_test_run ();
}
