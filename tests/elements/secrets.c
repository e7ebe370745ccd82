/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A key is given in each way there is, to servers that take it, refuse it or
 * say it aloud. It must be nowhere in what the process tells: logs of every
 * level, messages, DOT files, stats, properties, tags.
 */
#include "bench.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>

#include "../session/peer.h"

/* Has to be escaped in an address and is unlike anything else. */
#define KEY "Zq+9/hunter2=%41"
#define ESCAPED "Zq%2B9%2Fhunter2%3D%2541"
#define LOWER "Zq%2b9%2fhunter2%3d%2541"

#define TONE "audiotestsrc num-buffers=50 samplesperbuffer=480 " \
    "! audio/x-raw,format=S16LE,rate=24000,channels=1"

/* What nobody may see: the part of the key that no escaping changes. It is in
 * all forms but base64. */
#define NEEDLE "hunter2"

static GMutex lock;
static GString *told;           /* by lock: what was logged with the key */
static guint64 n_lines;         /* by lock */
static gchar *needles[4];       /* NEEDLE and the forms of Basic */

/* The ways to give a key */
typedef enum
{
  WAY_HEADER,
  WAY_QUERY,
  WAY_URI,
  WAY_PARAMETERS,
  WAY_HEADERS,
  WAY_PROXY,
  WAY_PROXY_URI,
  N_WAYS
} Way;

static const gchar *const way_names[] = {
  "header", "query", "uri", "query-parameters", "extra-headers",
  "proxy-pw", "proxy"
};

static const gchar *
find_secret (const gchar * text)
{
  guint i;

  for (i = 0; text && i < G_N_ELEMENTS (needles); i++)
    if (strstr (text, needles[i]))
      return strstr (text, needles[i]);
  return NULL;
}

static void
check_text (const gchar * what, const gchar * text)
{
  if (find_secret (text))
    g_error ("the key is in %s: %s", what, text);
}

/* --- logs ---------------------------------------------------------------- */

static void
take_line (const gchar * from, const gchar * text)
{
  g_mutex_lock (&lock);
  n_lines++;
  if (find_secret (text))
    g_string_append_printf (told, "%s: %s\n", from, text);
  g_mutex_unlock (&lock);
}

static void
on_gst_log (GstDebugCategory * category, GstDebugLevel level,
    const gchar * file, const gchar * function, gint line, GObject * object,
    GstDebugMessage * message, gpointer user_data)
{
  const gchar *id = gst_debug_message_get_id (message);

  take_line (function, gst_debug_message_get (message));
  if (id)
    take_line (function, id);
}

static void
on_glib_log (const gchar * domain, GLogLevelFlags level,
    const gchar * message, gpointer user_data)
{
  take_line (domain, message);
  if (level & (G_LOG_FLAG_FATAL | G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL
          | G_LOG_LEVEL_WARNING))
    g_printerr ("%s: %s\n", domain, message);
}

static GLogWriterOutput
on_structured_log (GLogLevelFlags level, const GLogField * fields,
    gsize n_fields, gpointer user_data)
{
  g_autofree gchar *line = g_log_writer_format_fields (level, fields, n_fields,
      FALSE);

  take_line ("structured", line);
  if (level & G_LOG_LEVEL_ERROR)
    g_printerr ("%s\n", line);
  return G_LOG_WRITER_HANDLED;
}

static void
listen_to_logs (void)
{
  gst_debug_set_active (TRUE);
  gst_debug_set_default_threshold (GST_LEVEL_MEMDUMP);
  gst_debug_add_log_function (on_gst_log, NULL, NULL);
  g_log_set_default_handler (on_glib_log, NULL);
}

static void
check_logs (void)
{
  g_mutex_lock (&lock);
  g_assert_cmpuint (n_lines, >, 100);
  if (told->len > 0)
    g_error ("the key is in the log:\n%s", told->str);
  n_lines = 0;
  g_mutex_unlock (&lock);
}

/* --- everything else a process tells ------------------------------------- */

static void
check_value (const gchar * what, const GValue * value)
{
  gboolean empty = G_VALUE_HOLDS_BOXED (value) && !g_value_get_boxed (value);
  g_autofree gchar *text = empty ? NULL : gst_value_serialize (value);
  g_autofree gchar *contents = empty ? NULL : g_strdup_value_contents (value);

  check_text (what, text);
  check_text (what, contents);
}

static void
check_properties (GstElement * element)
{
  guint n, i;
  g_autofree GParamSpec **specs =
      g_object_class_list_properties (G_OBJECT_GET_CLASS (element), &n);

  for (i = 0; i < n; i++) {
    GValue value = G_VALUE_INIT;

    if (!(specs[i]->flags & G_PARAM_READABLE))
      continue;
    g_value_init (&value, specs[i]->value_type);
    g_object_get_property (G_OBJECT (element), specs[i]->name, &value);
    check_value (specs[i]->name, &value);
    g_value_unset (&value);
  }
}

static void
check_errors (Bench * bench, GstMessageType type)
{
  guint i;

  for (i = 0; i < bench_count_type (bench, type); i++) {
    g_autoptr (GstMessage) message = bench_get_nth (bench, type, i);
    g_autoptr (GError) error = NULL;
    g_autofree gchar *debug = NULL;

    if (type == GST_MESSAGE_ERROR)
      gst_message_parse_error (message, &error, &debug);
    else
      gst_message_parse_warning (message, &error, &debug);
    g_test_message ("%s", error->message);
    check_text ("an error", error->message);
    check_text ("the debug text of an error", debug);
  }
}

static void
check_dot (Bench * bench)
{
  g_autofree gchar *dot =
      gst_debug_bin_to_dot_data (GST_BIN (bench_get_pipeline (bench)),
      GST_DEBUG_GRAPH_SHOW_ALL);
  g_autofree gchar *full =
      gst_debug_bin_to_dot_data (GST_BIN (bench_get_pipeline (bench)),
      GST_DEBUG_GRAPH_SHOW_VERBOSE | GST_DEBUG_GRAPH_SHOW_FULL_PARAMS);

  g_assert_nonnull (strstr (full, "GstMoshi"));
  check_text ("the DOT file", dot);
  check_text ("the full DOT file", full);
}

/* What the system shows of the process: the names of its threads, what it has
 * open, how it was called */
static void
check_proc (void)
{
  GDir *dir = g_dir_open ("/proc/self/task", 0, NULL);
  const gchar *name;

  while (dir && (name = g_dir_read_name (dir)) != NULL) {
    g_autofree gchar *path = g_build_filename ("/proc/self/task", name, "comm",
        NULL);
    g_autofree gchar *text = NULL;

    if (g_file_get_contents (path, &text, NULL, NULL))
      check_text (path, text);
  }
  g_clear_pointer (&dir, g_dir_close);
  dir = g_dir_open ("/proc/self/fd", 0, NULL);
  while (dir && (name = g_dir_read_name (dir)) != NULL) {
    g_autofree gchar *path = g_build_filename ("/proc/self/fd", name, NULL);
    g_autofree gchar *target = g_file_read_link (path, NULL);

    check_text (path, target);
  }
  g_clear_pointer (&dir, g_dir_close);
}

static void
check_all (Bench * bench)
{
  g_autofree gchar *messages = bench_dup_text (bench);

  check_text ("a message", messages);
  check_errors (bench, GST_MESSAGE_ERROR);
  check_errors (bench, GST_MESSAGE_WARNING);
  check_properties (bench_get_moshi (bench));
  check_dot (bench);
  check_logs ();
  check_proc ();
}

/* --- giving the key ------------------------------------------------------ */

static void
give_structure (GstElement * element, const gchar * property,
    const gchar * field, const gchar * value)
{
  GstStructure *structure = gst_structure_new (property, field, G_TYPE_STRING,
      value, NULL);

  g_object_set (element, property, structure, NULL);
  gst_structure_free (structure);
}

static void
give_key (GstElement * element, guint16 port, Way way)
{
  g_autofree gchar *uri = g_strdup_printf ("ws://127.0.0.1:%u", port);
  g_autofree gchar *with_key =
      g_strdup_printf ("ws://127.0.0.1:%u/api/chat?token=%s", port, ESCAPED);
  g_autofree gchar *proxy = g_strdup_printf ("http://127.0.0.1:%u", port);
  g_autofree gchar *proxy_with_user =
      g_strdup_printf ("http://me:%s@127.0.0.1:%u", ESCAPED, port);

  g_object_set (element, "uri", way == WAY_URI ? with_key : uri, NULL);
  switch (way) {
    case WAY_QUERY:
      g_object_set (element, "api-key", KEY, NULL);
      gst_util_set_object_arg (G_OBJECT (element), "auth-method", "query");
      break;
    case WAY_HEADER:
      g_object_set (element, "api-key", KEY, NULL);
      break;
    case WAY_PARAMETERS:
      give_structure (element, "query-parameters", "token", KEY);
      break;
    case WAY_HEADERS:
      give_structure (element, "extra-headers", "Authorization", "Bearer " KEY);
      break;
    case WAY_PROXY:
      g_object_set (element, "proxy", proxy, "proxy-id", "me", "proxy-pw",
          KEY, NULL);
      break;
    case WAY_PROXY_URI:
      g_object_set (element, "proxy", proxy_with_user, NULL);
      break;
    case WAY_URI:
    case N_WAYS:
      break;
  }
}

static Bench *
bench_with_key (guint16 port, Way way)
{
  Bench *bench = bench_new (TONE " ! moshi name=m retries=1 "
      "retry-backoff-max=10 m. ! fakesink name=out "
      "m.text ! fakesink name=text");

  bench_count_output (bench, "out");
  give_key (bench_get_moshi (bench), port, way);
  return bench;
}

/* --- a server that takes it ---------------------------------------------- */

static MoshiStandin *
serve_with_key (const gchar * key)
{
  MoshiStandinConfig config;
  MoshiStandin *server;
  GError *error = NULL;

  moshi_standin_config_init (&config);
  config.flavour = MOSHI_STANDIN_SCALEWAY;
  config.key = key;
  config.text = "Hello there.";
  server = moshi_standin_new (&config, &error);
  g_assert_no_error (error);
  moshi_standin_start (server, &error);
  g_assert_no_error (error);
  return server;
}

/* The key did arrive, else the test would prove nothing. */
static void
check_arrived (MoshiStandin * server, Way way)
{
  g_autofree gchar *header = moshi_standin_dup_header (server,
      "Authorization");
  g_autofree gchar *token = moshi_standin_dup_query (server, "token");

  if (way == WAY_HEADER || way == WAY_HEADERS)
    g_assert_cmpstr (header, ==, "Bearer " KEY);
  else
    g_assert_cmpstr (token, ==, KEY);
}

static void
test_accepted (gconstpointer data)
{
  const Way way = GPOINTER_TO_INT (data);
  g_autoptr (MoshiStandin) server = serve_with_key (KEY);
  g_autoptr (Bench) bench = bench_with_key (moshi_standin_get_port (server),
      way);

  bench_play (bench);
  bench_wait_session (bench, "ready");
  check_arrived (server, way);
  check_dot (bench);
  bench_wait_eos (bench);
  check_all (bench);
  bench_stop (bench);
  g_assert_cmpuint (bench_count_type (bench, GST_MESSAGE_ERROR), ==, 0);
  check_all (bench);
}

static void
test_refused (gconstpointer data)
{
  const Way way = GPOINTER_TO_INT (data);
  g_autoptr (MoshiStandin) server = serve_with_key ("another");
  g_autoptr (Bench) bench = bench_with_key (moshi_standin_get_port (server),
      way);

  bench_play (bench);
  bench_wait_failure (bench);
  bench_stop (bench);
  g_assert_cmpuint (bench_count_type (bench, GST_MESSAGE_ERROR), ==, 1);
  check_all (bench);
}

/* Nobody there, and no such host: errors of GIO's, which may name what it was
 * given. */
static void
test_unreachable (gconstpointer data)
{
  const Way way = GPOINTER_TO_INT (data);
  MoshiStandin *server = serve_with_key (NULL);
  guint16 port = moshi_standin_get_port (server);
  g_autoptr (Bench) bench = bench_with_key (port, way);

  moshi_standin_free (server);
  bench_play (bench);
  bench_wait_failure (bench);
  bench_stop (bench);
  g_assert_cmpuint (bench_count_type (bench, GST_MESSAGE_ERROR), ==, 1);
  check_all (bench);
}

/* --- servers that say it aloud ------------------------------------------- */

static void
say_in_body (Peer * peer, gpointer user_data)
{
  static const gchar body[] = "no: " KEY " " ESCAPED " " LOWER
      " Bearer " KEY "\n";

  if (peer_read_request (peer))
    peer_printf (peer, "HTTP/1.1 403 Key %s is no good\r\n"
        "Content-Length: %d\r\n\r\n%s", KEY, (gint) strlen (body), body);
}

static void
say_in_location (Peer * peer, gpointer user_data)
{
  if (peer_read_request (peer))
    peer_printf (peer, "HTTP/1.1 302 Found\r\n"
        "Location: ws://me:%s@elsewhere/?token=%s&k=%s\r\n"
        "Content-Length: 0\r\n\r\n", ESCAPED, ESCAPED, LOWER);
}

static void
say_in_error (Peer * peer, gpointer user_data)
{
  static const gchar words[] = "bad token " KEY " or " ESCAPED;

  if (!peer_upgrade (peer))
    return;
  peer_send (peer, 0, "", 0);
  peer_send (peer, 5, words, strlen (words));
  peer_read_until_gone (peer);
}

static void
say_in_close (Peer * peer, gpointer user_data)
{
  if (!peer_upgrade (peer))
    return;
  peer_send (peer, 0, "", 0);
  peer_send_close (peer, 1008, "bad token " KEY " " ESCAPED);
  peer_read_until_gone (peer);
}

/* Not an error: what the server says of itself */
static void
say_in_metadata (Peer * peer, gpointer user_data)
{
  static const gchar json[] = "{\"you\": \"" KEY "\", \"instance_name\": \""
      KEY "\", \"url\": \"/api/chat?token=" ESCAPED "\"}";

  if (!peer_upgrade (peer))
    return;
  peer_send (peer, 0, "", 0);
  peer_send (peer, 4, json, strlen (json));
  peer_send_close (peer, 1000, "");
  peer_read_until_gone (peer);
}

static const struct
{
  const gchar *name;
  PeerScript script;
} tellers[] = {
  {"body", say_in_body},
  {"location", say_in_location},
  {"error", say_in_error},
  {"close", say_in_close},
  {"metadata", say_in_metadata},
};

static void
test_told (gconstpointer data)
{
  const guint i = GPOINTER_TO_INT (data) / N_WAYS;
  const Way way = GPOINTER_TO_INT (data) % N_WAYS;
  g_autoptr (PeerServer) server = peer_server_new (tellers[i].script, NULL);
  g_autoptr (Bench) bench = bench_with_key (peer_server_get_port (server), way);

  bench_play (bench);
  bench_wait_failure (bench);
  bench_stop (bench);
  g_assert_cmpuint (bench_count_type (bench, GST_MESSAGE_ERROR), ==, 1);
  check_all (bench);
}

/* Refused for want of encryption, or allowed with a warning: neither repeats it,
 * nor does a host that is not known. */
static void
test_clear (gconstpointer data)
{
  const Way way = GPOINTER_TO_INT (data) / 2;
  const gboolean allowed = GPOINTER_TO_INT (data) % 2;
  g_autoptr (Bench) bench = bench_with_key (1, way);
  GstElement *element = bench_get_moshi (bench);

  g_object_set (element, "allow-insecure-auth", allowed, "uri",
      way == WAY_URI ? "ws://moshi.invalid/?token=" ESCAPED
      : "ws://moshi.invalid", NULL);
  g_assert_cmpint (gst_element_set_state (bench_get_pipeline (bench),
          GST_STATE_PAUSED) == GST_STATE_CHANGE_FAILURE, ==, !allowed);
  bench_wait_error (bench);
  check_all (bench);
  bench_stop (bench);
  g_assert_cmpuint (bench_count_type (bench, GST_MESSAGE_WARNING), >=, allowed);
  check_all (bench);
}

/* A key that cannot be used is not repeated in the error either. */
static void
test_settings (void)
{
  static const gchar *const keys[] = { KEY "\n" NEEDLE, NEEDLE "\x7f" };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (keys); i++) {
    g_autoptr (Bench) bench = bench_with_key (1, WAY_HEADER);

    g_object_set (bench_get_moshi (bench), "api-key", keys[i], NULL);
    g_assert_cmpint (gst_element_set_state (bench_get_pipeline (bench),
            GST_STATE_READY), ==, GST_STATE_CHANGE_FAILURE);
    g_assert_cmpuint (bench_count_type (bench, GST_MESSAGE_ERROR), ==, 1);
    check_all (bench);
  }
}

static void
test_bad_uri (void)
{
  static const gchar *const uris[] = {
    "ftp://me:" ESCAPED "@127.0.0.1/?token=" ESCAPED,
    "ws://127.0.0.1:99999/?token=" ESCAPED,
    "ws://me:" ESCAPED "@127.0.0.1",
    "ws://127.0.0.1/?token=" KEY,
    "ws://127.0.0.1/%zz?token=" ESCAPED,
    "token=" ESCAPED,
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (uris); i++) {
    g_autoptr (Bench) bench = bench_with_key (1, WAY_HEADER);

    g_object_set (bench_get_moshi (bench), "uri", uris[i], NULL);
    gst_element_set_state (bench_get_pipeline (bench), GST_STATE_READY);
    bench_stop (bench);
    check_all (bench);
  }
}

/* --- another process: what gst-launch-1.0 writes ------------------------- */

typedef struct
{
  const gchar *name;
  const gchar *server_key;
  gboolean in_uri;
} LaunchCase;

static const LaunchCase launches[] = {
  {"accepted", KEY, FALSE},
  {"refused", "another", FALSE},
  {"uri-accepted", KEY, TRUE},
  {"uri-refused", "another", TRUE},
};

static void
check_file (const gchar * path)
{
  GError *error = NULL;
  g_autofree gchar *text = NULL;
  gsize size;

  g_file_get_contents (path, &text, &size, &error);
  g_assert_no_error (error);
  check_text (path, text);
}

static void
check_files (const gchar * directory, guint at_least)
{
  GDir *dir = g_dir_open (directory, 0, NULL);
  const gchar *name;
  guint n = 0;

  while ((name = g_dir_read_name (dir)) != NULL) {
    g_autofree gchar *path = g_build_filename (directory, name, NULL);

    check_file (path);
    g_remove (path);
    n++;
  }
  g_dir_close (dir);
  g_rmdir (directory);
  g_assert_cmpuint (n, >=, at_least);
}

/* The key is in the environment, as users are told to give it: gst-launch-1.0
 * logs its own command line. */
static gchar **
make_environment (const LaunchCase * row, guint16 port, const gchar * directory)
{
  gchar **env = g_get_environ ();
  g_autofree gchar *uri = row->in_uri ?
      g_strdup_printf ("ws://127.0.0.1:%u/api/chat?token=%s", port, ESCAPED) :
      g_strdup_printf ("ws://127.0.0.1:%u", port);
  g_autofree gchar *log = g_build_filename (directory, "gst.log", NULL);

  env = g_environ_setenv (env, "MOSHI_URI", uri, TRUE);
  if (!row->in_uri)
    env = g_environ_setenv (env, "MOSHI_API_KEY", KEY, TRUE);
  env = g_environ_setenv (env, "GST_DEBUG", "*:9", TRUE);
  env = g_environ_setenv (env, "GST_DEBUG_FILE", log, TRUE);
  env = g_environ_setenv (env, "GST_DEBUG_DUMP_DOT_DIR", directory, TRUE);
  env = g_environ_setenv (env, "G_MESSAGES_DEBUG", "all", TRUE);
  /* Warnings of other people's plugins are no concern here. */
  env = g_environ_unsetenv (env, "G_DEBUG");
  return env;
}

static void
test_launch (gconstpointer data)
{
  const LaunchCase *row = data;
  g_autoptr (MoshiStandin) server = serve_with_key (row->server_key);
  g_autofree gchar *directory = g_dir_make_tmp ("moshi-secrets-XXXXXX", NULL);
  g_auto (GStrv) env = make_environment (row, moshi_standin_get_port (server),
      directory);
  g_autofree gchar *program = g_find_program_in_path ("gst-launch-1.0");
  /* Of an error in its first moments gst-launch-1.0 1.22 tells, but now and then
   * it goes on waiting. */
  const gchar *argv[] = { "timeout", "--signal=INT", "--kill-after=10", "30",
    program, "-v", "-t", "-m", "audiotestsrc",
    "num-buffers=25", "samplesperbuffer=480", "!",
    "audio/x-raw,format=S16LE,rate=24000,channels=1", "!", "moshi", "!",
    "fakesink", NULL
  };
  g_autofree gchar *out = NULL;
  g_autofree gchar *errors = NULL;
  GError *error = NULL;
  MoshiStandinStats stats;
  gint status;

  /* Another program cannot load what was built with a sanitizer. */
  if (program == NULL || BENCH_IS_SANITIZED) {
    g_rmdir (directory);
    g_test_skip ("no gst-launch-1.0 here that could load the plugin");
    return;
  }
  g_spawn_sync (NULL, (gchar **) argv, env, G_SPAWN_SEARCH_PATH, NULL, NULL,
      &out, &errors, &status, &error);
  g_assert_no_error (error);
  moshi_standin_get_stats (server, &stats);
  g_assert_cmpuint (stats.requests, ==, 1);
  g_assert_cmpuint (stats.handshakes, ==,
      g_str_equal (row->server_key, KEY) ? 1 : 0);
  g_assert_nonnull (strstr (out, "from element \"moshi0\""));
  check_text ("the standard output", out);
  check_text ("the standard error", errors);
  check_files (directory, 3);
}

/* --- the list ------------------------------------------------------------ */

static void
add (const gchar * group, const gchar * name, const gchar * way,
    gconstpointer data, GTestDataFunc func)
{
  g_autofree gchar *path = g_strdup_printf ("/secrets/%s/%s%s%s", group, name,
      way ? "/" : "", way ? way : "");

  g_test_add_data_func (path, data, func);
}

static void
add_ways (void)
{
  guint way, i;

  for (way = 0; way < N_WAYS; way++) {
    if (way != WAY_PROXY && way != WAY_PROXY_URI)
      add ("accepted", way_names[way], NULL, GUINT_TO_POINTER (way),
          test_accepted);
    add ("refused", way_names[way], NULL, GUINT_TO_POINTER (way), test_refused);
    if (way != WAY_PROXY && way != WAY_PROXY_URI) {
      add ("clear-refused", way_names[way], NULL,
          GUINT_TO_POINTER (2 * way), test_clear);
      add ("clear-allowed", way_names[way], NULL,
          GUINT_TO_POINTER (2 * way + 1), test_clear);
    }
    add ("unreachable", way_names[way], NULL, GUINT_TO_POINTER (way),
        test_unreachable);
    for (i = 0; i < G_N_ELEMENTS (tellers); i++)
      add ("told", tellers[i].name, way_names[way],
          GUINT_TO_POINTER (i * N_WAYS + way), test_told);
  }
  for (i = 0; i < G_N_ELEMENTS (launches); i++)
    add ("launch", launches[i].name, NULL, &launches[i], test_launch);
}

static void
make_needles (void)
{
  static const gchar basic[] = "me:" KEY;

  needles[0] = g_strdup (NEEDLE);
  needles[1] = g_base64_encode ((const guchar *) basic, strlen (basic));
  needles[2] = g_base64_encode ((const guchar *) KEY, strlen (KEY));
  needles[3] = g_strdup ("Zq+9");
}

int
main (int argc, char **argv)
{
  guint i;
  int ret;

  g_unsetenv ("MOSHI_URI");
  g_unsetenv ("MOSHI_API_KEY");
  g_setenv ("G_MESSAGES_DEBUG", "all", TRUE);
  told = g_string_new (NULL);
  make_needles ();
  g_log_set_writer_func (on_structured_log, NULL, NULL);
  g_test_init (&argc, &argv, NULL);
  /* Once it is there, to take it away leaks. */
  gst_debug_remove_log_function (gst_debug_log_default);
  gst_init (&argc, &argv);
  listen_to_logs ();

  add_ways ();
  g_test_add_func ("/secrets/settings", test_settings);
  g_test_add_func ("/secrets/bad-uri", test_bad_uri);
  ret = g_test_run ();

  gst_deinit ();
  for (i = 0; i < G_N_ELEMENTS (needles); i++)
    g_free (needles[i]);
  g_string_free (told, TRUE);
  return ret;
}
