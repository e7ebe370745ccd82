/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The stand-in server as a program. */
#include <locale.h>
#include <string.h>
#include <glib-unix.h>
#include <gio/gio.h>

#include "standinfault.h"
#include "standinflavour.h"

#define DEFAULT_PORT 8998
#define POLL_MS 50

typedef struct
{
  MoshiStandinConfig config;
  gchar *flavour;
  gchar *voice;
  gchar *host;
  gint port;
  gchar *path;
  gint seed;
  gchar *text;
  gint text_every;
  gchar *key;
  gint max_steps;
  gchar *tls_cert;
  gchar *tls_key;
  gchar *keep;
  gchar **faults;
  gint fault_first;
  gboolean once;
} Options;

typedef struct
{
  MoshiStandin *server;
  GMainLoop *loop;
} Program;

/* The option table needs fixed addresses. */
static Options options;

static gchar *
describe (void)
{
  GString *text = g_string_new (NULL);
  gchar *faults = standin_faults_help ();
  const StandinFlavour *flavour;
  guint i;

  g_string_append (text,
      "A Moshi server without a model: it speaks the WebSocket protocol of\n"
      "the real servers, with real Ogg Opus, and answers one frame of 80 ms\n"
      "for each 80 ms it hears. No input, no output. Kyutai's servers are as\n"
      "they were seen: moshi 0.2.13, moshi_mlx 0.3.0, moshi-backend and\n"
      "moshi-server 0.6.4.\n\nFlavours:\n");
  for (i = 0; (flavour = standin_flavour_nth (i)) != NULL; i++)
    g_string_append_printf (text, "  %-16s %s\n", flavour->name, flavour->what);
  g_string_append_printf (text, "\nVoices:\n"
      "  echo             what the user said, as late as the model is\n"
      "  sweep            a tone whose pitch tells which sample it is\n"
      "  silence          nothing, but on time\n"
      "  talk             says in English what it heard, once the user is\n"
      "                   done; stops when interrupted%s\n"
      "  repeat-packets   recorded packets, without decoding: for benchmarks\n",
      moshi_standin_can_talk ()? "" : " (not in this build)");
  g_string_append_printf (text,
      "\nFaults (--fault may be given several times; frames are those of\n"
      "audio answered):\n%s", faults);
  g_string_append (text, "\nExamples:\n"
      "  moshi-standin --voice talk --log\n"
      "  moshi-standin --flavour kyutai-rs --tls-cert good.pem "
      "--tls-key good.key\n"
      "  moshi-standin --fault drop-after=50 --fault-first 1\n"
      "  moshi-standin --speed 0.9 --text \"Hello, how are you?\"\n");
  g_free (faults);
  return g_string_free (text, FALSE);
}

static const GOptionEntry entries[] = {
  {"flavour", 'f', 0, G_OPTION_ARG_STRING, &options.flavour,
      "Which server to be (kyutai-py)", "NAME"},
  {"voice", 'v', 0, G_OPTION_ARG_STRING, &options.voice,
      "What to answer (echo)", "NAME"},
  {"port", 'p', 0, G_OPTION_ARG_INT, &options.port,
      "Port (8998); 0 takes a free one", "PORT"},
  {"host", 0, 0, G_OPTION_ARG_STRING, &options.host,
      "Address to listen on (127.0.0.1). There is no protection but "
        "--key: think before you open it to a network", "ADDRESS"},
  {"path", 0, 0, G_OPTION_ARG_STRING, &options.path,
      "Path served (/api/chat); others are 404", "PATH"},
  {"speed", 0, 0, G_OPTION_ARG_DOUBLE, &options.config.speed,
      "Compute at most so many times as fast as real time; 0.5 is a GPU "
        "that cannot keep up, 0 answers at once (0)", "X"},
  {"seed", 0, 0, G_OPTION_ARG_INT, &options.seed,
      "Where the sweep begins, and all that is random (0)", "N"},
  {"bitrate", 0, 0, G_OPTION_ARG_INT, &options.config.bitrate,
      "Of the answer, in bits per second (libopus's choice)", "N"},
  {"text", 't', 0, G_OPTION_ARG_STRING, &options.text,
      "Say this once a session, piece by piece", "SENTENCE"},
  {"text-every", 0, 0, G_OPTION_ARG_INT, &options.text_every,
      "Frames between two pieces (3)", "N"},
  {"byte-fallback", 0, 0, G_OPTION_ARG_NONE, &options.config.byte_fallback,
      "Send characters outside ASCII byte by byte, as the flavour does "
        "for characters its tokenizer has no piece for", NULL},
  {"key", 'k', 0, G_OPTION_ARG_STRING, &options.key,
        "Ask for this key, as Bearer or ?token= (scaleway: “secret”)",
      "KEY"},
  {"max-steps", 0, 0, G_OPTION_ARG_INT, &options.max_steps,
      "Steps until the model is at its end (the flavour's)", "N"},
  {"prompt-ms", 0, 0, G_OPTION_ARG_INT, &options.config.prompt_ms,
      "What PersonaPlex spends on its prompts (500)", "MS"},
  {"deflate", 0, 0, G_OPTION_ARG_NONE, &options.config.deflate,
      "Agree on permessage-deflate whatever the flavour; the Python "
        "servers always do", NULL},
  {"tls-cert", 0, 0, G_OPTION_ARG_FILENAME, &options.tls_cert,
      "Speak TLS with this certificate (PEM)", "FILE"},
  {"tls-key", 0, 0, G_OPTION_ARG_FILENAME, &options.tls_key,
      "Its key, if not in the same file", "FILE"},
  {"fault", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options.faults,
      "Misbehave; see below", "NAME[=ARG]"},
  {"fault-first", 0, 0, G_OPTION_ARG_INT, &options.fault_first,
      "Only the first N requests meet the faults (0: all)", "N"},
  {"keep", 0, 0, G_OPTION_ARG_FILENAME, &options.keep,
      "Add the audio that comes to STEM-heard.ogg and what is answered to "
        "STEM-said.ogg, packet by packet as they are", "STEM"},
  {"once", 0, 0, G_OPTION_ARG_NONE, &options.once,
      "Exit when the first session is over", NULL},
  {"log", 'l', 0, G_OPTION_ARG_NONE, &options.config.log,
      "Tell stderr what happens, words included", NULL},
  {NULL}
};

static gboolean
parse_options (int *argc, char ***argv, GError ** error)
{
  GOptionContext *context = g_option_context_new (NULL);
  gchar *description = describe ();
  gboolean ok;

  g_option_context_set_summary (context,
      "The stand-in for a Moshi server: for tests and trials, on loopback.");
  g_option_context_set_description (context, description);
  g_option_context_add_main_entries (context, entries, NULL);
  ok = g_option_context_parse (context, argc, argv, error);
  if (ok && *argc > 1) {
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
        "What is “%s”?", (*argv)[1]);
    ok = FALSE;
  }
  g_option_context_free (context);
  g_free (description);
  return ok;
}

static gboolean
reject (GError ** error, const gchar * option, const gchar * value)
{
  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
      "--%s cannot be “%s”; see --help", option, value);
  return FALSE;
}

static gboolean
fill_config (GError ** error)
{
  MoshiStandinConfig *config = &options.config;

  if (options.flavour != NULL
      && !moshi_standin_flavour_from_string (options.flavour, &config->flavour))
    return reject (error, "flavour", options.flavour);
  if (options.voice != NULL
      && !moshi_standin_voice_from_string (options.voice, &config->voice))
    return reject (error, "voice", options.voice);
  if (options.port < 0 || options.port > 65535)
    return reject (error, "port", "outside 0 to 65535");
  if (config->speed < 0 || options.max_steps < 0 || options.fault_first < 0
      || options.text_every < 1)
    return reject (error, "speed, max-steps, fault-first or text-every",
        "negative");
  config->port = options.port;
  config->host = options.host;
  config->path = options.path;
  config->seed = options.seed;
  config->text = options.text;
  config->text_every = options.text_every;
  config->key = options.key;
  config->max_steps = options.max_steps;
  config->tls_cert = options.tls_cert;
  config->tls_key = options.tls_key;
  config->keep_files = options.keep;
  config->faults = (const gchar * const *) options.faults;
  config->fault_first = options.fault_first;
  return TRUE;
}

static void
free_options (void)
{
  g_free (options.flavour);
  g_free (options.voice);
  g_free (options.host);
  g_free (options.path);
  g_free (options.text);
  g_free (options.key);
  g_free (options.tls_cert);
  g_free (options.tls_key);
  g_free (options.keep);
  g_strfreev (options.faults);
}

static gboolean
on_signal (gpointer user_data)
{
  g_main_loop_quit (user_data);
  return G_SOURCE_CONTINUE;
}

static gboolean
on_poll (gpointer user_data)
{
  Program *program = user_data;
  MoshiStandinStats stats;

  moshi_standin_get_stats (program->server, &stats);
  if (stats.sessions_ended > 0)
    g_main_loop_quit (program->loop);
  return G_SOURCE_CONTINUE;
}

/* Scripts wait for this line, and read the port from it. */
static void
announce (MoshiStandin * server)
{
  const gchar *uri = moshi_standin_get_uri (server);
  const gchar *path = strchr (strstr (uri, "://") + 3, '/');

  g_print ("listening on %.*s\n",
      path != NULL ? (gint) (path - uri) : (gint) strlen (uri), uri);
}

static gboolean
run (GError ** error)
{
  Program program;

  program.server = moshi_standin_new (&options.config, error);
  if (program.server == NULL)
    return FALSE;
  if (!moshi_standin_start (program.server, error)) {
    moshi_standin_free (program.server);
    return FALSE;
  }
  program.loop = g_main_loop_new (NULL, FALSE);
  g_unix_signal_add (SIGINT, on_signal, program.loop);
  g_unix_signal_add (SIGTERM, on_signal, program.loop);
  if (options.once)
    g_timeout_add (POLL_MS, on_poll, &program);
  announce (program.server);
  g_main_loop_run (program.loop);
  moshi_standin_free (program.server);
  g_main_loop_unref (program.loop);
  return TRUE;
}

int
main (int argc, char **argv)
{
  GError *error = NULL;
  gboolean ok;

  setlocale (LC_ALL, "");
  moshi_standin_config_init (&options.config);
  options.port = DEFAULT_PORT;
  options.text_every = options.config.text_every;
  ok = parse_options (&argc, &argv, &error)
      && fill_config (&error) && run (&error);
  if (!ok)
    g_printerr ("moshi-standin: %s\n", error->message);
  g_clear_error (&error);
  free_options ();
  return ok ? 0 : 1;
}
