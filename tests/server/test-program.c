/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The stand-in server as a program: its one line, its options, its end. */
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>

#include "testclient.h"

static GSubprocess *
run (GSubprocessFlags flags, const gchar * const *args)
{
  GPtrArray *argv = g_ptr_array_new ();
  GSubprocess *process;
  GError *error = NULL;

  g_ptr_array_add (argv, g_test_build_filename (G_TEST_BUILT, "server",
          "moshi-standin", NULL));
  for (; *args != NULL; args++)
    g_ptr_array_add (argv, (gchar *) * args);
  g_ptr_array_add (argv, NULL);
  process = g_subprocess_newv ((const gchar * const *) argv->pdata, flags,
      &error);
  g_assert_no_error (error);
  g_free (g_ptr_array_index (argv, 0));
  g_ptr_array_unref (argv);
  return process;
}

/* Waits until it is ready, and returns the address it printed. */
static gchar *
read_address (GSubprocess * process)
{
  GDataInputStream *out =
      g_data_input_stream_new (g_subprocess_get_stdout_pipe (process));
  gchar *line = g_data_input_stream_read_line (out, NULL, NULL, NULL);
  gchar *address;

  g_assert_nonnull (line);
  g_assert_true (g_str_has_prefix (line, "listening on ws://127.0.0.1:"));
  address = g_strconcat (line + strlen ("listening on "), "/api/chat", NULL);
  g_free (line);
  g_object_unref (out);
  return address;
}

static void
test_once (void)
{
  static const gchar *const args[] = { "--port", "0", "--once", "--voice",
    "sweep", "--flavour", "kyutai-rs", "--fault", "unknown-kinds", NULL
  };
  GSubprocess *process = run (G_SUBPROCESS_FLAGS_STDOUT_PIPE, args);
  gchar *address = read_address (process);
  TestClient *client = test_client_new (address, 24000, 1);

  test_client_connect (client);
  test_client_wait_handshake (client);
  test_client_send_audio (client, 800, 40);
  test_client_wait_samples (client, 8 * 1920);
  test_client_close (client, 1000, NULL);
  test_client_wait_closed (client);
  g_assert_cmpuint (test_client_get (client)->close_code, ==, 1000);
  test_client_free (client);
  g_subprocess_wait (process, NULL, NULL);
  g_assert_true (g_subprocess_get_successful (process));
  g_object_unref (process);
  g_free (address);
}

static void
test_signals (void)
{
  static const gchar *const args[] = { "--port", "0", NULL };
  static const gint signals[] = { SIGINT, SIGTERM };
  GSubprocess *process;
  TestClient *client;
  gchar *address;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (signals); i++) {
    process = run (G_SUBPROCESS_FLAGS_STDOUT_PIPE, args);
    address = read_address (process);
    client = test_client_new (address, 24000, 1);
    test_client_connect (client);
    test_client_wait_handshake (client);
    g_subprocess_send_signal (process, signals[i]);
    test_client_wait_closed (client);
    test_client_free (client);
    g_subprocess_wait (process, NULL, NULL);
    g_assert_true (g_subprocess_get_successful (process));
    g_object_unref (process);
    g_free (address);
  }
}

static void
test_bad_options (void)
{
  static const gchar *const bad[][3] = {
    {"--flavour", "vanilla", NULL}, {"--voice", "tenor", NULL},
    {"--fault", "mine", NULL}, {"--port", "70000", NULL},
    {"--speed=-1", NULL}, {"--host", "nowhere.invalid", NULL},
    {"--tls-cert", "/nonexistent.pem", NULL}, {"something", NULL},
    {"--nothing", NULL}
  };
  GSubprocess *process;
  gchar *err;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (bad); i++) {
    process = run (G_SUBPROCESS_FLAGS_STDERR_PIPE
        | G_SUBPROCESS_FLAGS_STDOUT_SILENCE, bad[i]);
    g_assert_true (g_subprocess_communicate_utf8 (process, NULL, NULL, NULL,
            &err, NULL));
    g_assert_cmpint (g_subprocess_get_exit_status (process), ==, 1);
    g_assert_true (g_str_has_prefix (err, "moshi-standin: "));
    g_free (err);
    g_object_unref (process);
  }
}

static void
test_help (void)
{
  static const gchar *const args[] = { "--help", NULL };
  static const gchar *const told[] = { "--flavour", "kyutai-rs",
    "personaplex", "repeat-packets", "stall=AT:FRAMES", "--fault-first"
  };
  GSubprocess *process = run (G_SUBPROCESS_FLAGS_STDOUT_PIPE, args);
  gchar *out;
  guint i;

  g_assert_true (g_subprocess_communicate_utf8 (process, NULL, NULL, &out,
          NULL, NULL));
  g_assert_true (g_subprocess_get_successful (process));
  for (i = 0; i < G_N_ELEMENTS (told); i++)
    g_assert_nonnull (strstr (out, told[i]));
  g_free (out);
  g_object_unref (process);
}

static GBytes *
take_file (const gchar * stem, const gchar * rest)
{
  gchar *name = g_strconcat (stem, rest, NULL);
  gchar *data = NULL;
  gsize size = 0;
  GError *error = NULL;

  g_file_get_contents (name, &data, &size, &error);
  g_assert_no_error (error);
  g_assert_cmpint (g_unlink (name), ==, 0);
  g_free (name);
  return g_bytes_new_take (data, size);
}

/* The audio of all messages, as it came */
static GBytes *
join_audio (GPtrArray * messages)
{
  GByteArray *audio = g_byte_array_new ();
  guint i;

  for (i = 0; i < messages->len; i++) {
    gsize size;
    const guint8 *data = g_bytes_get_data (messages->pdata[i], &size);

    if (size > 0 && data[0] == 1)
      g_byte_array_append (audio, data + 1, size - 1);
  }
  return g_byte_array_free_to_bytes (audio);
}

/* Both files are what went over the wire. */
static void
test_keep (void)
{
  gchar *folder = g_dir_make_tmp ("moshi-keep-XXXXXX", NULL);
  gchar *stem = g_build_filename (folder, "talk", NULL);
  const gchar *args[] = { "--port", "0", "--once", "--flavour", "moshi-server",
    "--keep", stem, NULL
  };
  GSubprocess *process = run (G_SUBPROCESS_FLAGS_STDOUT_PIPE, args);
  gchar *address = read_address (process);
  TestClient *client = test_client_new (address, 24000, 1);
  GBytes *heard, *said, *got;

  test_client_connect (client);
  test_client_wait_handshake (client);
  test_client_send_audio (client, 800, 40);
  test_client_wait_samples (client, 8 * 1920);
  test_client_close (client, 1000, NULL);
  test_client_wait_closed (client);
  g_subprocess_wait (process, NULL, NULL);
  heard = take_file (stem, "-heard.ogg");
  said = take_file (stem, "-said.ogg");
  got = join_audio (test_client_get (client)->messages);
  g_assert_cmpmem (g_bytes_get_data (heard, NULL), 4, "OggS", 4);
  g_assert_true (g_bytes_equal (said, got));
  g_bytes_unref (heard);
  g_bytes_unref (said);
  g_bytes_unref (got);
  g_assert_cmpint (g_rmdir (folder), ==, 0);
  test_client_free (client);
  g_object_unref (process);
  g_free (address);
  g_free (stem);
  g_free (folder);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/standin/program/once", test_once);
  g_test_add_func ("/standin/program/signals", test_signals);
  g_test_add_func ("/standin/program/bad-options", test_bad_options);
  g_test_add_func ("/standin/program/help", test_help);
  g_test_add_func ("/standin/program/keep", test_keep);
  return g_test_run ();
}
