/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "testtalk.h"

#include <string.h>

#include "testimage.h"

/**
 * test_talk_set_up:
 * @self: (out caller-allocates): gets a configuration, to be changed
 * @flavour: of the server
 * @voice: of the server
 */
void
test_talk_set_up (TestTalk * self, MoshiStandinFlavour flavour,
    MoshiStandinVoice voice)
{
  memset (self, 0, sizeof *self);
  moshi_standin_config_init (&self->config);
  self->config.flavour = flavour;
  self->config.voice = voice;
  self->config.prompt_ms = 0;
}

/**
 * test_talk_start:
 * @self: set up
 *
 * Starts the server.
 */
void
test_talk_start (TestTalk * self)
{
  GError *error = NULL;

  self->server = moshi_standin_new (&self->config, &error);
  g_assert_no_error (error);
  moshi_standin_start (self->server, &error);
  g_assert_no_error (error);
}

/**
 * test_talk_call:
 * @self: started
 * @query: appended to the URI
 * @rate: of the client's decoder
 * @channels: of the client's decoder
 *
 * Connects a client; the upgrade may fail.
 */
void
test_talk_call (TestTalk * self, const gchar * query, guint rate,
    guint channels)
{
  gchar *uri = g_strconcat (moshi_standin_get_uri (self->server), query, NULL);

  self->client = test_client_new (uri, rate, channels);
  self->answer = test_client_get (self->client);
  test_client_connect (self->client);
  g_free (uri);
}

static const gchar *
query_of (MoshiStandinFlavour flavour)
{
  if (flavour == MOSHI_STANDIN_PERSONAPLEX)
    return "?voice_prompt=NATF2.pt&text_prompt=Be%20kind";
  if (flavour == MOSHI_STANDIN_SCALEWAY)
    return "?token=secret";
  return "";
}

/**
 * test_talk_converse:
 * @self: set up
 * @rate: of the client's decoder
 * @channels: of the client's decoder
 *
 * Starts the server and connects a client in the way the flavour wants, as
 * far as the handshake.
 */
void
test_talk_converse (TestTalk * self, guint rate, guint channels)
{
  test_talk_start (self);
  test_talk_call (self, query_of (self->config.flavour), rate, channels);
  g_assert_no_error (self->answer->error);
  if (self->config.flavour == MOSHI_STANDIN_MOSHIVIS)
    test_client_send (self->client, test_image_message,
        sizeof test_image_message);
  test_client_wait_handshake (self->client);
}

/**
 * test_talk_hang_up:
 * @self: with a client
 *
 * Drops the client.
 */
void
test_talk_hang_up (TestTalk * self)
{
  test_client_free (self->client);
}

/**
 * test_talk_tear_down:
 * @self: started
 *
 * Ends the server.
 */
void
test_talk_tear_down (TestTalk * self)
{
  moshi_standin_free (self->server);
}
