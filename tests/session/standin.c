/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "moshistandin.h"
#include "testimage.h"
#include "protocol/moshiopus.h"
#include "watcher.h"

#include <string.h>

/*
 * A session with each server the stand-in can be. What is sent must reach it
 * as a faultless Ogg stream, and what it answers must come out whole.
 */

#define FRAMES 25

static MoshiStandin *
serve (MoshiStandinConfig * config)
{
  GError *error = NULL;
  MoshiStandin *standin = moshi_standin_new (config, &error);

  g_assert_no_error (error);
  g_assert_true (moshi_standin_start (standin, &error));
  g_assert_no_error (error);
  return standin;
}

static MoshiSessionConfig *
new_standin_config (MoshiStandin * standin, MoshiStandinFlavour flavour)
{
  MoshiSessionConfig *config = new_config (moshi_standin_get_port (standin));

  g_free (config->uri);
  config->uri = g_strdup (moshi_standin_get_uri (standin));
  if (flavour == MOSHI_STANDIN_SCALEWAY)
    config->api_key = g_strdup ("secret");
  if (flavour == MOSHI_STANDIN_MOSHIVIS)
    config->first_message = g_bytes_new_static (test_image_message,
        sizeof test_image_message);
  if (flavour == MOSHI_STANDIN_PERSONAPLEX) {
    config->query = g_ptr_array_new_with_free_func (g_free);
    g_ptr_array_add (config->query, g_strdup ("voice_prompt"));
    g_ptr_array_add (config->query, g_strdup ("NATF0.pt"));
    g_ptr_array_add (config->query, g_strdup ("text_prompt"));
    g_ptr_array_add (config->query, g_strdup ("You are kind."));
  }
  return config;
}

/* One frame of real Opus. */
static void
send_frame (MoshiSession * session, MoshiOpusEncoder * encoder, guint i)
{
  gint16 samples[480];
  guint part, n;

  for (part = 0; part < 4; part++) {
    g_autoptr (GBytes) packet = NULL;
    GError *error = NULL;

    for (n = 0; n < G_N_ELEMENTS (samples); n++)
      samples[n] = (n % 48) * 200 + i;
    packet = moshi_opus_encoder_encode_s16 (encoder, samples,
        G_N_ELEMENTS (samples), &error);
    g_assert_no_error (error);
    g_assert_true (moshi_session_send (session, packet));
  }
}

static guint64
wait_samples (Watcher * watcher, guint64 samples)
{
  guint64 got = 0;
  guint i;

  for (i = 0; got < samples; i++) {
    const Seen *seen = watcher_wait (watcher, MOSHI_SESSION_PACKET, i);

    got += moshi_opus_packet_duration (g_bytes_get_data (seen->bytes, NULL),
        g_bytes_get_size (seen->bytes)) / 2;
  }
  return got;
}

static void
assert_good_stream (MoshiStandin * standin)
{
  MoshiStandinStats stats;

  moshi_standin_get_stats (standin, &stats);
  g_assert_cmpuint (stats.packets, ==, FRAMES * 4);
  g_assert_cmpuint (stats.samples, ==, FRAMES * MOSHI_STANDIN_FRAME);
  g_assert_cmpuint (stats.decode_errors, ==, 0);
  g_assert_cmpuint (stats.bad_crc, ==, 0);
  g_assert_cmpuint (stats.missing_bos, ==, 0);
  g_assert_cmpuint (stats.second_bos, ==, 0);
  g_assert_cmpuint (stats.bad_granules, ==, 0);
  g_assert_cmpuint (stats.page_gaps, ==, 0);
  g_assert_cmpuint (stats.junk_bytes, ==, 0);
  g_assert_cmpuint (stats.bad_heads, ==, 0);
  g_assert_cmpuint (stats.split_pages, ==, 0);
  g_assert_cmpuint (stats.crowded_pages, ==, 0);
  g_assert_cmpuint (stats.eos, ==, 0);
  g_assert_cmpuint (stats.early_audio, ==, 0);
  g_assert_cmpuint (stats.text_frames, ==, 0);
  g_assert_cmpuint (stats.pings, ==, 0);
  g_assert_cmpuint (stats.unmasked_frames, ==, 0);
}

static void
test_flavour (gconstpointer data)
{
  MoshiStandinFlavour flavour = GPOINTER_TO_UINT (data);
  MoshiStandinConfig server;
  MoshiStandin *standin;
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiOpusEncoder) encoder = moshi_opus_encoder_new (24000, 1,
      MOSHI_OPUS_VOIP, NULL);
  MoshiSession *session;
  MoshiStandinStats stats;
  guint i;

  moshi_standin_config_init (&server);
  server.flavour = flavour;
  server.text = "Hello there";
  server.prompt_ms = 20;
  standin = serve (&server);
  session = watcher_open (watcher, new_standin_config (standin, flavour));
  watcher_wait_state (watcher, MOSHI_LIFE_READY);
  for (i = 0; i < FRAMES; i++)
    send_frame (session, encoder, i);
  wait_samples (watcher, (FRAMES - moshi_standin_flavour_delay (flavour)) *
      MOSHI_STANDIN_FRAME);
  g_assert_cmpuint (watcher_count (watcher, MOSHI_SESSION_TEXT), >, 0);
  assert_good_stream (standin);
  moshi_session_close (session);
  g_assert_cmpint (watcher_wait_end (watcher)->kind, ==,
      MOSHI_SESSION_FINISHED);
  g_assert_true (moshi_standin_wait (standin, MOSHI_STANDIN_CLOSES, 1, 20000));
  moshi_standin_get_stats (standin, &stats);
  g_assert_cmpuint (stats.close_code, ==, 1000);
  g_assert_false (stats.close_had_reason);
  g_assert_cmpuint (stats.losses, ==, 0);
  moshi_session_unref (session);
  moshi_standin_free (standin);
}

/* Faults that are none to us: all the same comes out. */
static const gchar *const harmless[] = { "chunk=random", "unknown-kinds",
  "giant-message=3000000", "ping-flood=5"
};

static void
test_harmless (gconstpointer data)
{
  const gchar *faults[] = { data, NULL };
  MoshiStandinConfig server;
  MoshiStandin *standin;
  g_autoptr (Watcher) watcher = watcher_new ();
  g_autoptr (MoshiOpusEncoder) encoder = moshi_opus_encoder_new (24000, 1,
      MOSHI_OPUS_VOIP, NULL);
  MoshiSession *session;
  guint i;

  moshi_standin_config_init (&server);
  server.faults = faults;
  standin = serve (&server);
  session = watcher_open (watcher, new_standin_config (standin,
          server.flavour));
  watcher_wait_state (watcher, MOSHI_LIFE_READY);
  for (i = 0; i < FRAMES; i++)
    send_frame (session, encoder, i);
  wait_samples (watcher, (FRAMES -
          moshi_standin_flavour_delay (server.flavour)) * MOSHI_STANDIN_FRAME);
  moshi_session_unref (session);
  moshi_standin_free (standin);
}

/* The next caller of a server with one session waits; a clean close of the
 * first lets it in. */
static void
test_turns (void)
{
  MoshiStandinConfig server;
  MoshiStandin *standin;
  g_autoptr (Watcher) first = watcher_new ();
  g_autoptr (Watcher) second = watcher_new ();
  MoshiSession *sessions[2];

  moshi_standin_config_init (&server);
  server.flavour = MOSHI_STANDIN_KYUTAI_PY;
  standin = serve (&server);
  sessions[0] = watcher_open (first, new_standin_config (standin,
          server.flavour));
  watcher_wait_state (first, MOSHI_LIFE_READY);
  sessions[1] = watcher_open (second, new_standin_config (standin,
          server.flavour));
  g_assert_true (moshi_standin_wait (standin, MOSHI_STANDIN_WAITING, 1, 20000));
  moshi_session_unref (sessions[0]);
  watcher_wait_state (second, MOSHI_LIFE_READY);
  moshi_session_unref (sessions[1]);
  moshi_standin_free (standin);
}

int
main (int argc, char **argv)
{
  static const gchar *const names[] = { "kyutai-py", "kyutai-rs",
    "moshi-server", "mlx", "personaplex", "moshivis", "scaleway"
  };
  guint i;

  session_test_init (&argc, &argv);
  for (i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autofree gchar *path = g_strconcat ("/standin/flavour/", names[i], NULL);

    g_test_add_data_func (path, GUINT_TO_POINTER (i), test_flavour);
  }
  for (i = 0; i < G_N_ELEMENTS (harmless); i++) {
    g_autofree gchar *path = g_strconcat ("/standin/harmless/", harmless[i],
        NULL);

    g_test_add_data_func (path, harmless[i], test_harmless);
  }
  g_test_add_func ("/standin/turns", test_turns);
  return g_test_run ();
}
