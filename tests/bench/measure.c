/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "measure.h"

#include <libsoup/soup.h>

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* How long a server or its answer is waited for, in seconds */
#define PATIENCE 120

/**
 * measure_usage:
 * @usage: (out caller-allocates): of this process until now
 */
void
measure_usage (MeasureUsage * usage)
{
  struct rusage self;

  getrusage (RUSAGE_SELF, &self);
  usage->time = g_get_monotonic_time ();
  usage->cpu = (self.ru_utime.tv_sec + self.ru_stime.tv_sec)
      * G_GINT64_CONSTANT (1000000) + self.ru_utime.tv_usec
      + self.ru_stime.tv_usec;
  usage->switches = self.ru_nvcsw + self.ru_nivcsw;
}

/**
 * measure_status:
 * @file: in /proc/self
 * @field: name of one of its lines, with the colon
 *
 * Returns: the number in that line, 0 if there is none
 */
guint64
measure_status (const gchar * file, const gchar * field)
{
  g_autofree gchar *path = g_build_filename ("/proc/self", file, NULL);
  g_autofree gchar *text = NULL;
  const gchar *line;

  if (!g_file_get_contents (path, &text, NULL, NULL))
    return 0;
  line = strstr (text, field);
  return line ? g_ascii_strtoull (line + strlen (field), NULL, 10) : 0;
}

/**
 * measure_sleep_until:
 * @time: monotonic µs
 */
void
measure_sleep_until (gint64 time)
{
  struct timespec until = { time / G_USEC_PER_SEC,
    time % G_USEC_PER_SEC * 1000
  };

  while (clock_nanosleep (CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0);
}

/**
 * measure_load_speech:
 * @path: of a file of 24 kHz mono S16LE
 * @n_frames: (out): how many whole frames of 20 ms
 *
 * Returns: (transfer full): the samples; does not come back without
 */
gint16 *
measure_load_speech (const gchar * path, gsize * n_frames)
{
  g_autoptr (GError) error = NULL;
  gchar *data;
  gsize size;

  if (!g_file_get_contents (path, &data, &size, &error))
    g_error ("%s (make-speech.sh makes one)", error->message);
  *n_frames = size / (MEASURE_FRAME * sizeof (gint16));
  if (*n_frames == 0)
    g_error ("%s is shorter than a frame", path);
  return (gint16 *) data;
}

static gchar waited_for[100];

static void
on_alarm (gint signal)
{
  if (write (STDERR_FILENO, waited_for, strlen (waited_for)) < 0)
    _exit (2);
  _exit (1);
}

/**
 * measure_patience:
 * @what: (nullable): is now waited for; %NULL when it is there
 *
 * Ends the process, and says why, when a wait takes too long, whatever it waits
 * by.
 */
void
measure_patience (const gchar * what)
{
  if (what)
    g_snprintf (waited_for, sizeof waited_for, "no %s in %d s\n", what,
        PATIENCE);
  signal (SIGALRM, on_alarm);
  alarm (what ? PATIENCE : 0);
}

/* --- the server ---------------------------------------------------------- */

/* What it hears it says: a client gets its own Ogg stream back, page by page. */
static void
on_message (SoupWebsocketConnection * connection, gint type, GBytes * message,
    gpointer user_data)
{
  const guint8 *data = g_bytes_get_data (message, NULL);

  if (g_bytes_get_size (message) > 1 && data[0] == 1)
    soup_websocket_connection_send_message (connection,
        SOUP_WEBSOCKET_DATA_BINARY, message);
}

static void
on_closed (SoupWebsocketConnection * connection, gpointer user_data)
{
  g_object_unref (connection);
}

static void
on_connection (SoupServer * server, SoupServerMessage * message,
    const char *path, SoupWebsocketConnection * connection, gpointer user_data)
{
  g_object_ref (connection);
  g_signal_connect (connection, "message", G_CALLBACK (on_message), NULL);
  g_signal_connect (connection, "closed", G_CALLBACK (on_closed), NULL);
  soup_websocket_connection_send_binary (connection, "\0", 1);
}

static GTlsCertificate *
load_certificate (const gchar * certs)
{
  g_autofree gchar *pem = g_build_filename (certs, "good.pem", NULL);
  g_autofree gchar *key = g_build_filename (certs, "good.key", NULL);
  g_autoptr (GError) error = NULL;
  GTlsCertificate *certificate = g_tls_certificate_new_from_files (pem, key,
      &error);

  if (certificate == NULL)
    g_error ("%s (tests/server/make-certs.sh makes it)", error->message);
  return certificate;
}

/**
 * measure_run_echo:
 * @certs: (nullable): where make-certs.sh has put certificates, to serve wss
 *
 * A process of its own: a server that echoes; its port is its only line. It ends
 * with who started it.
 *
 * Returns: what main() is to return
 */
gint
measure_run_echo (const gchar * certs)
{
  SoupServer *server = soup_server_new (NULL, NULL);
  GMainLoop *loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (GError) error = NULL;
  GSList *uris;

  prctl (PR_SET_PDEATHSIG, SIGKILL);
  soup_server_add_websocket_handler (server, NULL, NULL, NULL, on_connection,
      NULL, NULL);
  if (certs)
    soup_server_set_tls_certificate (server, load_certificate (certs));
  if (!soup_server_listen_local (server, 0, SOUP_SERVER_LISTEN_IPV4_ONLY
          | (certs ? SOUP_SERVER_LISTEN_HTTPS : 0), &error))
    g_error ("%s", error->message);
  uris = soup_server_get_uris (server);
  g_print ("%d\n", g_uri_get_port (uris->data));
  g_slist_free_full (uris, (GDestroyNotify) g_uri_unref);
  g_main_loop_run (loop);
  return 0;
}

/**
 * measure_start_echo:
 * @program: whose first argument `echo` calls measure_run_echo()
 * @certs: (nullable): for measure_run_echo()
 * @port: (out): of the server
 *
 * Returns: (transfer full): its process
 */
GSubprocess *
measure_start_echo (const gchar * program, const gchar * certs, guint * port)
{
  g_autoptr (GError) error = NULL;
  GSubprocess *process = g_subprocess_new (G_SUBPROCESS_FLAGS_STDOUT_PIPE,
      &error, program, "echo", certs, NULL);
  g_autoptr (GDataInputStream) lines = NULL;
  g_autofree gchar *line = NULL;

  g_assert_no_error (error);
  lines = g_data_input_stream_new (g_subprocess_get_stdout_pipe (process));
  measure_patience ("echo server");
  line = g_data_input_stream_read_line (lines, NULL, NULL, NULL);
  measure_patience (NULL);
  g_assert_nonnull (line);
  *port = g_ascii_strtoull (line, NULL, 10);
  return process;
}

/* --- numbers ------------------------------------------------------------- */

/**
 * measure_run:
 * @argv: (array zero-terminated=1): a program that prints `NAME VALUE` lines
 *
 * Returns: (transfer full): what it has printed
 */
GHashTable *
measure_run (const gchar * const *argv)
{
  GHashTable *numbers = g_hash_table_new_full (g_str_hash, g_str_equal, g_free,
      g_free);
  g_autoptr (GError) error = NULL;
  g_autofree gchar *text = NULL;
  g_auto (GStrv) lines = NULL;
  gint status;
  guint i;

  if (!g_spawn_sync (NULL, (gchar **) argv, NULL, G_SPAWN_DEFAULT, NULL, NULL,
          &text, NULL, &status, &error))
    g_error ("%s", error->message);
  if (!g_spawn_check_wait_status (status, &error))
    g_error ("%s %s: %s", argv[0], argv[1], error->message);
  lines = g_strsplit (text, "\n", -1);
  for (i = 0; lines[i]; i++) {
    g_auto (GStrv) words = g_strsplit (lines[i], " ", 2);

    if (words[0] && words[1])
      g_hash_table_insert (numbers, g_strdup (words[0]), g_strdup (words[1]));
  }
  return numbers;
}

/**
 * measure_get:
 * @numbers: of measure_run()
 * @name: of one of them
 *
 * Returns: it, 0 if it was not printed
 */
gdouble
measure_get (GHashTable * numbers, const gchar * name)
{
  const gchar *value = g_hash_table_lookup (numbers, name);

  return value ? g_ascii_strtod (value, NULL) : 0;
}

static gint
compare (gconstpointer a, gconstpointer b)
{
  const gdouble x = *(const gdouble *) a, y = *(const gdouble *) b;

  return x < y ? -1 : x > y;
}

/**
 * measure_quantile:
 * @doubles: (element-type gdouble): sorted by this
 * @q: 0 to 1
 *
 * Returns: the value below which that part of them lies; 0 without any
 */
gdouble
measure_quantile (GArray * doubles, gdouble q)
{
  if (doubles->len == 0)
    return 0;
  g_array_sort (doubles, compare);
  return g_array_index (doubles, gdouble,
      MIN ((guint) (q * doubles->len), doubles->len - 1));
}
