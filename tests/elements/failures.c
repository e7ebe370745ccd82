/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Each failure is one error on the bus: the right code, the server's own
 * words, a next step. Whatever feeds the element stops without an error of its
 * own.
 */
#include "bench.h"

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/resource.h>

#include "../session/peer.h"

#define CAPS "audio/x-raw,format=S16LE,layout=interleaved,rate=24000,channels=1"
/* 20 ms a buffer, 8 s in all */
#define TONE "audiotestsrc num-buffers=400 samplesperbuffer=480 ! " CAPS
#define LIVE "audiotestsrc is-live=true samplesperbuffer=480 ! " CAPS
#define QUICK "retries=0 retry-backoff-max=10 connect-timeout=0"

/* What feeds the element. */
static const struct
{
  const gchar *name;
  const gchar *launch;
} sources[] = {
  {"audiotestsrc", TONE},
  {"filesrc", "filesrc location=%s ! wavparse"},
  {"appsrc", "appsrc name=a format=time max-bytes=0 caps=" CAPS},
  {"live", LIVE},
};

typedef enum
{ ANY_STATUS = -1 } Status;

/* What is expected of an error. */
typedef struct
{
  gint stream;                  /* a stream error, else a resource error */
  gint code;
  const gchar *words;           /* the server's, or of what happened */
  const gchar *hint;            /* the next step */
  guint http;
  guint close;
} Expected;

typedef struct
{
  const gchar *name;
  const gchar *fault;           /* the stand-in's */
  const gchar *properties;
  Expected expected;
} Case;

#define RESOURCE(code) FALSE, GST_RESOURCE_ERROR_##code

static const Case cases[] = {
  {"401", "http-status=401", QUICK, {RESOURCE (NOT_AUTHORIZED),
          "stand-in: 401 as asked for", "check the API key", 401, 0}},
  {"403", "http-status=403", QUICK, {RESOURCE (NOT_AUTHORIZED),
          "stand-in: 403 as asked for", "check the API key", 403, 0}},
  {"404", "http-status=404", QUICK, {RESOURCE (NOT_FOUND),
          "stand-in: 404 as asked for", "check the path", 404, 0}},
  {"407", "http-status=407", QUICK, {RESOURCE (NOT_AUTHORIZED),
          "stand-in: 407 as asked for", "check the proxy", 407, 0}},
  {"400", "http-status=400", QUICK, {RESOURCE (OPEN_READ_WRITE),
          "stand-in: 400 as asked for", "check the URI", 400, 0}},
  {"500", "http-status=500", QUICK, {RESOURCE (OPEN_READ_WRITE),
          "stand-in: 500 as asked for", "try again later", 500, 0}},
  {"500-retried", "http-status=500", "retries=2 retry-backoff-max=10",
      {RESOURCE (OPEN_READ_WRITE), "3 attempts", "try again later", 500, 0}},
  {"502", "http-status=502", QUICK, {RESOURCE (OPEN_READ_WRITE),
          "502", "try again later", 502, 0}},
  {"503", "http-status=503", QUICK, {RESOURCE (BUSY),
          "stand-in: 503 as asked for", "try again later", 503, 0}},
  {"302", "http-status=302", QUICK, {RESOURCE (OPEN_READ_WRITE),
          "302", "put the new address", 302, 0}},
  {"no-upgrade", "no-upgrade", QUICK, {RESOURCE (OPEN_READ_WRITE),
          "<title>moshi</title>", "check that the URI", 200, 0}},
  {"no-handshake", "no-handshake", QUICK " handshake-timeout=50",
      {RESOURCE (BUSY), "within 50 ms", "try again later", 0, 0}},
  {"error-at-once", "error-message=GPU on fire", QUICK, {RESOURCE (FAILED),
          "GPU on fire", "who runs the server", 0, 0}},
  {"error-later", "error-message=GPU on fire@5", QUICK, {RESOURCE (FAILED),
          "GPU on fire", "who runs the server", 0, 0}},
  {"close-at-once", "close-at-once=1013", QUICK, {RESOURCE (READ),
          "1013, try again later", "connect again", 0, 1013}},
  {"close-1011", "close-at-once=1011", QUICK, {RESOURCE (READ),
          "1011, server error", "connect again", 0, 1011}},
  {"giant-message", "giant-message=8388608", QUICK, {RESOURCE (READ),
          "more than 4194304 bytes", "check", 0, ANY_STATUS}},
};

/* In mid-session, and no other session is wanted: batch cannot go on, and tells
 * how far it came. */
static const Case broken[] = {
  {"drop", "drop-after=10", "retries=0", {RESOURCE (READ),
          "s were sent", "session limit", 0, 1006}},
  {"close", "close-after=10:1000", "retries=0", {RESOURCE (READ),
          "s were sent", "connect again", 0, 1000}},
  {"freeze", "freeze-after=10", "retries=0 idle-timeout=100",
      {RESOURCE (READ), "s were sent", "session limit", 0, 0}},
  {"freeze-at-once", "freeze-after=0", "retries=0 idle-timeout=100",
      {RESOURCE (READ), "s were sent", "session limit", 0, 0}},
  {"garbage", "garbage=1", "retries=0 idle-timeout=2000",
      {TRUE, GST_STREAM_ERROR_DEMUX, "no Opus", "check that the URI", 0, 0}},
  {"error", "error-message=GPU on fire@10", "retries=0",
      {RESOURCE (FAILED), "GPU on fire", "who runs the server", 0, 0}},
};

static gchar *directory;

/* --- what is asserted of every failure ----------------------------------- */

static guint
get_detail (GstMessage * message, const gchar * name)
{
  const GstStructure *details;
  guint value = 0;

  gst_message_parse_error_details (message, &details);
  if (details)
    gst_structure_get_uint (details, name, &value);
  return value;
}

static void
check_message (Bench * bench, GstMessage * message, const Expected * expected)
{
  g_autoptr (GError) error = NULL;
  g_autofree gchar *debug = NULL;

  gst_message_parse_error (message, &error, &debug);
  g_test_message ("%s", error->message);
  g_assert_true (GST_MESSAGE_SRC (message) ==
      GST_OBJECT (bench_get_moshi (bench)));
  g_assert_cmpstr (g_quark_to_string (error->domain), ==,
      g_quark_to_string (expected->stream ? GST_STREAM_ERROR :
          GST_RESOURCE_ERROR));
  g_assert_cmpint (error->code, ==, expected->code);
  if (strstr (error->message, expected->words) == NULL)
    g_error ("“%s” lacks “%s”", error->message, expected->words);
  if (strstr (error->message, expected->hint) == NULL)
    g_error ("“%s” lacks “%s”", error->message, expected->hint);
  g_assert_cmpuint (get_detail (message, "http-status-code"), ==,
      expected->http);
  if (expected->close != (guint) ANY_STATUS)
    g_assert_cmpuint (get_detail (message, "websocket-close-code"), ==,
        expected->close);
}

/* Runs on after the error to the end of the stream and to NULL: nothing else
 * may fail on the way. */
static void
check_failure (Bench * bench, const Expected * expected)
{
  g_autoptr (GstMessage) message = NULL;
  g_autofree gchar *text = NULL;

  bench_wait_failure (bench);
  bench_stop (bench);
  text = bench_dup_text (bench);
  if (bench_count_type (bench, GST_MESSAGE_ERROR) != 1)
    g_error ("more than one error:\n%s", text);
  message = bench_get_nth (bench, GST_MESSAGE_ERROR, 0);
  check_message (bench, message, expected);
}

/* --- sources ------------------------------------------------------------- */

static void
fill_appsrc (Bench * bench)
{
  GstElement *appsrc =
      gst_bin_get_by_name (GST_BIN (bench_get_pipeline (bench)), "a");
  GstFlowReturn ret;
  guint i;

  for (i = 0; i < 400; i++) {
    GstBuffer *buffer = gst_buffer_new_allocate (NULL, 960, NULL);

    gst_buffer_memset (buffer, 0, 0, 960);
    GST_BUFFER_PTS (buffer) = i * 20 * GST_MSECOND;
    g_signal_emit_by_name (appsrc, "push-buffer", buffer, &ret);
    gst_buffer_unref (buffer);
  }
  g_signal_emit_by_name (appsrc, "end-of-stream", &ret);
  gst_object_unref (appsrc);
}

static gchar *
make_wav (void)
{
  gchar *path = g_build_filename (directory, "tone.wav", NULL);
  g_autofree gchar *launch = NULL;
  GstElement *pipeline;
  GstMessage *message;
  GstBus *bus;

  if (g_file_test (path, G_FILE_TEST_EXISTS))
    return path;
  launch = g_strdup_printf (TONE " ! wavenc ! filesink location=%s", path);
  pipeline = gst_parse_launch (launch, NULL);
  bus = gst_element_get_bus (pipeline);
  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  message = gst_bus_timed_pop_filtered (bus, 60 * GST_SECOND,
      GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
  g_assert_cmpint (GST_MESSAGE_TYPE (message), ==, GST_MESSAGE_EOS);
  gst_message_unref (message);
  gst_element_set_state (pipeline, GST_STATE_NULL);
  gst_object_unref (bus);
  gst_object_unref (pipeline);
  return path;
}

static Bench *
bench_with_source (guint source, const gchar * uri, const gchar * properties)
{
  Bench *bench;

  if (strchr (sources[source].launch, '%')) {
    g_autofree gchar *path = make_wav ();

    bench = bench_new ("filesrc location=%s ! wavparse ! moshi name=m uri=%s "
        "%s ! fakesink name=out", path, uri, properties);
  } else {
    bench = bench_new ("%s ! moshi name=m uri=%s %s ! fakesink name=out",
        sources[source].launch, uri, properties);
  }
  if (g_str_equal (sources[source].name, "appsrc"))
    fill_appsrc (bench);
  bench_count_output (bench, "out");
  return bench;
}

static void
run_case (const Case * row, guint source)
{
  g_autoptr (MoshiStandin) server = bench_serve (row->fault, 0);
  g_autoptr (Bench) bench = bench_with_source (source,
      moshi_standin_get_uri (server), row->properties);

  g_test_message ("%s with %s", row->name, sources[source].name);
  bench_play (bench);
  check_failure (bench, &row->expected);
}

static void
test_case (gconstpointer data)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (sources); i++)
    run_case (data, i);
}

/* Where the session breaks in batch, what came before is out, whole. */
static void
test_broken (gconstpointer data)
{
  guint i;

  for (i = 0; i < 3; i++)
    run_case (data, i);
}

/* A server that keeps its pace and then goes silent has been given little since
 * it was last heard, but owes the answer to all that is under way. */
static void
test_freeze_behind_pace (void)
{
  static const Expected expected = { RESOURCE (READ), "s were sent",
    "session limit", 0, 0
  };
  const gchar *faults[] = { "freeze-after=30", NULL };
  MoshiStandinConfig config;
  g_autoptr (MoshiStandin) server = NULL;
  g_autoptr (Bench) bench = NULL;

  moshi_standin_config_init (&config);
  config.speed = 20;
  config.faults = faults;
  server = moshi_standin_new (&config, NULL);
  g_assert_true (moshi_standin_start (server, NULL));
  bench = bench_with_source (0, moshi_standin_get_uri (server),
      "idle-timeout=1000 retries=0");
  bench_play (bench);
  check_failure (bench, &expected);
}

/* --- what no stand-in is there for --------------------------------------- */

static GSocket *
listen_and_say_nothing (guint16 * port)
{
  GError *error = NULL;
  GInetAddress *loopback = g_inet_address_new_loopback (G_SOCKET_FAMILY_IPV4);
  GSocketAddress *address = g_inet_socket_address_new (loopback, 0);
  GSocket *socket = g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM,
      G_SOCKET_PROTOCOL_TCP, &error);

  g_assert_no_error (error);
  g_socket_bind (socket, address, FALSE, &error);
  g_assert_no_error (error);
  g_object_unref (address);
  g_object_unref (loopback);
  g_socket_listen (socket, &error);
  g_assert_no_error (error);
  address = g_socket_get_local_address (socket, &error);
  g_assert_no_error (error);
  *port = g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (address));
  g_object_unref (address);
  return socket;
}

static void
fail_with (const gchar * uri, const gchar * properties,
    const Expected * expected)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (sources); i++) {
    g_autoptr (Bench) bench = bench_with_source (i, uri, properties);

    g_test_message ("%s", sources[i].name);
    bench_play (bench);
    check_failure (bench, expected);
  }
}

static void
test_refused (void)
{
  static const Expected expected = { RESOURCE (OPEN_READ_WRITE),
    "3 attempts", "check that the server runs", 0, 0
  };
  g_autofree gchar *uri = NULL;
  guint16 port;

  g_object_unref (listen_and_say_nothing (&port));
  uri = g_strdup_printf ("ws://127.0.0.1:%u", port);
  fail_with (uri, "retries=2 retry-backoff-max=10", &expected);
}

static void
test_unknown_host (void)
{
  static const Expected expected = { RESOURCE (NOT_FOUND),
    "host.invalid", "check its name", 0, 0
  };

  fail_with ("ws://host.invalid", QUICK, &expected);
}

static void
test_silent (void)
{
  static const Expected expected = { RESOURCE (OPEN_READ_WRITE),
    "within 50 ms", "check that the server runs", 0, 0
  };
  g_autofree gchar *uri = NULL;
  GSocket *socket;
  guint16 port;

  socket = listen_and_say_nothing (&port);
  uri = g_strdup_printf ("ws://127.0.0.1:%u", port);
  fail_with (uri, QUICK " connect-timeout=50", &expected);
  g_object_unref (socket);
}

/* A server that is none of ours does as its script says. */
static void
fail_at (PeerScript script, const gchar * properties, const Expected * expected)
{
  g_autoptr (PeerServer) server = peer_server_new (script, NULL);
  g_autofree gchar *uri = g_strdup_printf ("ws://127.0.0.1:%u",
      peer_server_get_port (server));

  fail_with (uri, properties, expected);
}

static void
close_with_reason (Peer * peer, gpointer user_data)
{
  if (!peer_upgrade (peer))
    return;
  peer_send (peer, 0, "", 0);
  peer_send_close (peer, 4001, "lunch\nbreak");
  peer_read_until_gone (peer);
}

static void
test_close_reason (void)
{
  static const Expected expected = { RESOURCE (READ), "4001, code of the "
        "server's own: lunch break", "connect again", 0, 4001
  };

  fail_at (close_with_reason, QUICK, &expected);
}

static void
talk_nonsense (Peer * peer, gpointer user_data)
{
  if (peer_read_request (peer))
    peer_printf (peer, "220 mail.example ESMTP\r\n");
}

static void
test_not_http (void)
{
  static const Expected expected = { RESOURCE (OPEN_READ_WRITE),
    "Could not connect", "check that the server runs", 0, 0
  };

  fail_at (talk_nonsense, QUICK, &expected);
}

static void
demand_password (Peer * peer, gpointer user_data)
{
  if (peer_read_request (peer))
    peer_printf (peer, "HTTP/1.1 407 Proxy Authentication Required\r\n"
        "Proxy-Authenticate: Basic realm=\"proxy\"\r\n"
        "Content-Length: 0\r\n\r\n");
}

static void
test_proxy (void)
{
  static const Expected expected = { RESOURCE (NOT_AUTHORIZED),
    "wants a user and password", "check the proxy", 407, 0
  };
  g_autoptr (PeerServer) proxy = peer_server_new (demand_password, NULL);
  g_autofree gchar *properties = g_strdup_printf (QUICK
      " proxy=http://127.0.0.1:%u proxy-id=me proxy-pw=wrong",
      peer_server_get_port (proxy));

  fail_with ("ws://moshi.example:8998", properties, &expected);
}

static void
test_wrong_key (void)
{
  static const Expected expected = { RESOURCE (NOT_AUTHORIZED),
    "insufficient permissions", "check the API key", 403, 0
  };
  MoshiStandinConfig config;
  g_autoptr (MoshiStandin) server = NULL;

  moshi_standin_config_init (&config);
  config.flavour = MOSHI_STANDIN_SCALEWAY;
  config.key = "right";
  server = moshi_standin_new (&config, NULL);
  g_assert_true (moshi_standin_start (server, NULL));
  fail_with (moshi_standin_get_uri (server), QUICK " api-key=wrong", &expected);
  fail_with (moshi_standin_get_uri (server), QUICK " auth-method=query "
      "api-key=wrong", &expected);
}

static void
test_wrong_path (void)
{
  static const Expected expected = { RESOURCE (NOT_FOUND),
    "404: Not Found", "check the path", 404, 0
  };
  g_autoptr (MoshiStandin) server = bench_serve (NULL, 0);
  g_autofree gchar *uri = g_strdup_printf ("ws://127.0.0.1:%u/nowhere",
      moshi_standin_get_port (server));

  fail_with (uri, QUICK, &expected);
}

/* --- settings: refused before anything is tried -------------------------- */

static const struct
{
  const gchar *name;
  const gchar *property;
  const gchar *value;
  const gchar *words;
} settings[] = {
  {"empty-uri", "uri", "", "uri"},
  {"no-uri", "uri", NULL, "uri"},
  {"no-host", "uri", "ws://", "no host"},
  {"other-scheme", "uri", "ftp://127.0.0.1", "scheme"},
  {"bad-port", "uri", "ws://127.0.0.1:99999", "port"},
  {"blanks", "uri", "no uri at all", "a space"},
  {"bad-escape", "uri", "ws://127.0.0.1/%zz", "malformed"},
  {"line-break-in-uri", "uri", "ws://127.0.0.1/\r\nX: y", "a line break"},
  {"line-break-in-key", "api-key", "half\nhalf", "key"},
  {"header-in-key", "api-key", "k\r\nX-Evil: 1", "key"},
  {"proxy", "proxy", "gopher://127.0.0.1", "proxy"},
  {"ca-file", "tls-ca-file", "/nonexistent/ca.pem", "ca.pem"},
};

static void
test_settings (gconstpointer data)
{
  const guint i = GPOINTER_TO_UINT (data);
  g_autoptr (Bench) bench = bench_new (TONE " ! moshi name=m uri=ws://127.0.0.1"
      " ! fakesink");
  g_autoptr (GstMessage) message = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree gchar *lower = NULL;
  g_autofree gchar *words = NULL;

  g_object_set (bench_get_moshi (bench), settings[i].property,
      settings[i].value, NULL);
  g_assert_cmpint (gst_element_set_state (bench_get_pipeline (bench),
          GST_STATE_READY), ==, GST_STATE_CHANGE_FAILURE);
  bench_stop (bench);
  g_assert_cmpuint (bench_count_type (bench, GST_MESSAGE_ERROR), ==, 1);
  message = bench_get_nth (bench, GST_MESSAGE_ERROR, 0);
  gst_message_parse_error (message, &error, NULL);
  g_test_message ("%s", error->message);
  g_assert_error (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS);
  lower = g_ascii_strdown (error->message, -1);
  words = g_ascii_strdown (settings[i].words, -1);
  g_assert_nonnull (strstr (lower, words));
  if (g_str_equal (settings[i].property, "api-key"))
    g_assert_null (strstr (error->message, "half"));
}

/* GLib ends a process that finds no file descriptor for a main context. */
static void
test_no_descriptors (void)
{
  static const Expected expected = { RESOURCE (OPEN_READ_WRITE),
    "files and connections", "ulimit -n", 0, 0
  };
  g_autoptr (Bench) bench = bench_new (TONE " ! moshi name=m uri=ws://127.0.0.1"
      " ! fakesink");
  g_autoptr (GstMessage) message = NULL;
  struct rlimit limit, few;

  gst_element_set_state (bench_get_pipeline (bench), GST_STATE_READY);
  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  few = limit;
  few.rlim_cur = 6;
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &few), ==, 0);
  g_assert_cmpint (gst_element_set_state (bench_get_moshi (bench),
          GST_STATE_PAUSED), ==, GST_STATE_CHANGE_FAILURE);
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  bench_stop (bench);
  g_assert_cmpuint (bench_count_type (bench, GST_MESSAGE_ERROR), ==, 1);
  message = bench_get_nth (bench, GST_MESSAGE_ERROR, 0);
  check_message (bench, message, &expected);
}

/* --- TLS ----------------------------------------------------------------- */

static gboolean
make_certificates (void)
{
  g_autofree gchar *script =
      g_test_build_filename (G_TEST_DIST, "server", "make-certs.sh", NULL);
  g_autofree gchar *first = g_build_filename (directory, "ca.pem", NULL);
  gchar *argv[] = { (gchar *) "/bin/sh", script, directory, NULL };
  GError *error = NULL;
  gint status;

  if (g_file_test (first, G_FILE_TEST_EXISTS))
    return TRUE;
  if (!g_tls_backend_supports_tls (g_tls_backend_get_default ())) {
    g_test_skip ("GIO has no TLS here");
    return FALSE;
  }
  g_spawn_sync (NULL, argv, NULL, 0, NULL, NULL, NULL, NULL, &status, &error);
  g_assert_no_error (error);
  g_spawn_check_wait_status (status, &error);
  g_assert_no_error (error);
  return TRUE;
}

static MoshiStandin *
serve_tls (const gchar * name)
{
  g_autofree gchar *cert = g_strdup_printf ("%s/%s.pem", directory, name);
  g_autofree gchar *key = g_strdup_printf ("%s/%s.key", directory, name);
  MoshiStandinConfig config;
  MoshiStandin *server;
  GError *error = NULL;

  moshi_standin_config_init (&config);
  config.tls_cert = cert;
  config.tls_key = key;
  server = moshi_standin_new (&config, &error);
  g_assert_no_error (error);
  moshi_standin_start (server, &error);
  g_assert_no_error (error);
  return server;
}

typedef struct
{
  const gchar *name;
  const gchar *certificate;
  const gchar *ca;              /* NULL: the system's */
  const gchar *properties;
  const gchar *words;           /* NULL: it is accepted */
  const gchar *hint;
} TlsCase;

static const TlsCase tls_cases[] = {
  {"unknown", "good", NULL, "", "is not signed by anyone", "tls-ca-file"},
  {"self-signed", "self", NULL, "", "is not signed by anyone", "tls-ca-file"},
  {"wrong-host", "wronghost", "ca", "", "is for another host",
      "check the host"},
  {"expired", "expired", "ca", "", "has expired", "renew"},
  {"good", "good", "ca", "", NULL, NULL},
  {"self-trusted", "self", "self", "", NULL, NULL},
  {"unchecked", "expired", NULL, "tls-validation-flags=0", NULL, NULL},
  {"expiry-unchecked", "expired", "ca",
      "tls-validation-flags=unknown-ca+bad-identity", NULL, NULL},
};

static void
succeed (Bench * bench)
{
  bench_play (bench);
  bench_wait_session (bench, "ready");
  bench_wait_eos (bench);
  bench_stop (bench);
  g_assert_cmpuint (bench_count_type (bench, GST_MESSAGE_ERROR), ==, 0);
}

static Bench *
bench_tls (guint source, MoshiStandin * server, const TlsCase * row)
{
  g_autofree gchar *uri = g_strdup_printf ("wss://localhost:%u",
      moshi_standin_get_port (server));
  g_autofree gchar *properties = row->ca == NULL ?
      g_strdup_printf (QUICK " %s", row->properties) :
      g_strdup_printf (QUICK " %s tls-ca-file=%s/%s.pem", row->properties,
      directory, row->ca);

  return bench_with_source (source, uri, properties);
}

static void
test_tls (gconstpointer data)
{
  const TlsCase *row = data;
  const Expected expected = { RESOURCE (OPEN_READ_WRITE), row->words,
    row->hint, 0, 0
  };
  g_autoptr (MoshiStandin) server = NULL;
  guint i;

  if (!make_certificates ())
    return;
  server = serve_tls (row->certificate);
  for (i = 0; i < (row->words ? G_N_ELEMENTS (sources) : 1); i++) {
    g_autoptr (Bench) bench = bench_tls (i, server, row);

    if (row->words) {
      bench_play (bench);
      check_failure (bench, &expected);
    } else {
      succeed (bench);
    }
  }
}

static gboolean
on_accept_certificate (GstElement * element, GTlsConnection * connection,
    GTlsCertificate * certificate, GTlsCertificateFlags errors,
    gpointer user_data)
{
  g_assert_true (G_IS_TLS_CERTIFICATE (certificate));
  g_assert_cmpint (errors, !=, 0);
  return *(gboolean *) user_data;
}

static void
test_accept_certificate (void)
{
  static const TlsCase row = { "", "self", NULL, "", NULL, NULL };
  static const Expected expected = { RESOURCE (OPEN_READ_WRITE),
    "is not signed by anyone", "tls-ca-file", 0, 0
  };
  g_autoptr (MoshiStandin) server = NULL;
  gboolean accept;

  if (!make_certificates ())
    return;
  server = serve_tls ("self");
  for (accept = FALSE; accept <= TRUE; accept++) {
    g_autoptr (Bench) bench = bench_tls (0, server, &row);

    g_signal_connect (bench_get_moshi (bench), "accept-certificate",
        G_CALLBACK (on_accept_certificate), &accept);
    if (accept) {
      succeed (bench);
    } else {
      bench_play (bench);
      check_failure (bench, &expected);
    }
  }
}

/* What a plain HTTP server makes of a TLS greeting; some wait for its end. */
static void
reject (Peer * peer, gpointer user_data)
{
  peer_printf (peer, "HTTP/1.1 400 Bad Request\r\n\r\n");
}

/* ws where wss is meant, and the other way about */
static void
test_wrong_scheme (void)
{
  static const Expected plain = { RESOURCE (OPEN_READ_WRITE), "", "check", 0,
    ANY_STATUS
  };
  static const Expected tls = { RESOURCE (OPEN_READ_WRITE),
    "No secure connection", "wss or ws", 0, 0
  };
  g_autoptr (MoshiStandin) server = NULL;
  g_autoptr (PeerServer) open = peer_server_new (reject, NULL);
  g_autofree gchar *ws = NULL;
  g_autofree gchar *wss = g_strdup_printf ("wss://127.0.0.1:%u",
      peer_server_get_port (open));

  if (!make_certificates ())
    return;
  server = serve_tls ("good");
  ws = g_strdup_printf ("ws://127.0.0.1:%u", moshi_standin_get_port (server));
  fail_with (ws, QUICK, &plain);
  fail_with (wss, QUICK, &tls);
}

/* --- what is told on the way --------------------------------------------- */

static void
on_notify (GObject * object, GParamSpec * pspec, gpointer user_data)
{
  g_atomic_int_inc ((gint *) user_data);
}

static void
test_progress (void)
{
  g_autoptr (MoshiStandin) server = bench_serve (NULL, 0);
  g_autoptr (Bench) bench = bench_with_source (0,
      moshi_standin_get_uri (server), "");
  g_autofree gchar *progress = NULL;
  g_autofree gchar *states = NULL;
  gint notified = 0;

  g_signal_connect (bench_get_moshi (bench), "notify::connection-state",
      G_CALLBACK (on_notify), &notified);
  bench_play (bench);
  bench_wait_eos (bench);
  bench_wait_session (bench, "closed");
  g_assert_cmpint (g_atomic_int_get (&notified), ==, 5);
  bench_stop (bench);
  progress = bench_dup_progress (bench);
  states = bench_dup_sessions (bench);
  g_assert_cmpstr (progress, ==, "SCF");
  g_assert_cmpstr (states, ==, "connecting waiting ready draining closed");
  g_assert_cmpint (notified, ==, 6);    /* and idle again, without a message */
}

static void
test_progress_failure (void)
{
  static const Expected expected = { RESOURCE (NOT_AUTHORIZED), "403",
    "key", 403, 0
  };
  g_autoptr (MoshiStandin) server = bench_serve ("http-status=403", 0);
  g_autoptr (Bench) bench = bench_with_source (0,
      moshi_standin_get_uri (server), "");
  g_autofree gchar *progress = NULL;
  g_autofree gchar *states = NULL;

  bench_play (bench);
  check_failure (bench, &expected);
  progress = bench_dup_progress (bench);
  states = bench_dup_sessions (bench);
  g_assert_cmpstr (progress, ==, "SE");
  g_assert_cmpstr (states, ==, "connecting closed");
}

/* --- live ---------------------------------------------------------------- */

static void
test_live_retries (void)
{
  static const Expected expected = { RESOURCE (BUSY), "4 attempts",
    "try again later", 503, 0
  };
  g_autoptr (MoshiStandin) server = bench_serve ("http-status=503", 0);
  g_autoptr (Bench) bench = bench_with_source (3,
      moshi_standin_get_uri (server), "retries=3 retry-backoff-max=10");
  g_autofree gchar *states = NULL;
  MoshiStandinStats stats;
  guint i;

  bench_play (bench);
  check_failure (bench, &expected);
  g_assert_cmpuint (bench_count_type (bench, GST_MESSAGE_WARNING), ==, 3);
  for (i = 0; i < 3; i++) {
    g_autoptr (GstMessage) message =
        bench_get_nth (bench, GST_MESSAGE_WARNING, i);
    g_autoptr (GError) error = NULL;

    gst_message_parse_warning (message, &error, NULL);
    g_assert_error (error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_BUSY);
  }
  states = bench_dup_sessions (bench);
  g_assert_cmpstr (states, ==, "connecting lost connecting lost connecting "
      "lost connecting closed");
  moshi_standin_get_stats (server, &stats);
  g_assert_cmpuint (stats.requests, ==, 4);
}

static const gchar *const outages[] = {
  "drop-after=10", "close-after=10:1011", "freeze-after=10"
};

/* A session that is lost is followed by another, and the output goes on. */
static void
test_live_reconnect (gconstpointer data)
{
  g_autoptr (MoshiStandin) server = bench_serve (data, 1);
  g_autoptr (Bench) bench = bench_with_source (3,
      moshi_standin_get_uri (server), "retry-backoff-max=10 idle-timeout=2000");

  bench_play (bench);
  bench_wait (bench, bench_is_session, "ready", 2);
  bench_serve_count (server, MOSHI_STANDIN_FRAMES_SENT, 20);
  bench_wait_samples (bench, 20 * 1920, 2);
  g_assert_cmpuint (bench_get_stat (bench, "sessions"), ==, 2);
  g_assert_cmpuint (bench_get_stat (bench, "reconnects"), ==, 1);
  bench_stop (bench);
  g_assert_cmpuint (bench_count_type (bench, GST_MESSAGE_ERROR), ==, 0);
  g_assert_cmpuint (bench_count_type (bench, GST_MESSAGE_WARNING), ==, 1);
  g_assert_cmpuint (bench_check_output (bench, 24000, 2), >=, 20 * 1920);
  g_assert_cmpuint (bench_get_stat (bench, "sessions"), ==, 2);
}

static void
test_live_lost_for_good (void)
{
  static const Expected expected = { RESOURCE (READ), "3 attempts",
    "check", 0, ANY_STATUS
  };
  g_autoptr (MoshiStandin) server = bench_serve ("drop-after=10", 1);
  g_autoptr (Bench) bench = bench_with_source (3,
      moshi_standin_get_uri (server), "retries=3 retry-backoff-max=10");

  bench_play (bench);
  bench_wait_session (bench, "ready");
  moshi_standin_stop (server);
  check_failure (bench, &expected);
}

/* The server's own error is final, live too. */
static void
test_live_server_error (void)
{
  static const Expected expected = { RESOURCE (FAILED), "GPU on fire",
    "who runs the server", 0, 0
  };
  g_autoptr (MoshiStandin) server = bench_serve ("error-message=GPU on fire@5",
      0);
  g_autoptr (Bench) bench = bench_with_source (3,
      moshi_standin_get_uri (server), "");

  bench_play (bench);
  check_failure (bench, &expected);
  g_assert_cmpuint (bench_count_type (bench, GST_MESSAGE_WARNING), ==, 0);
}

/* --- the list ------------------------------------------------------------ */

static void
add (const gchar * group, const gchar * name, gconstpointer data,
    GTestDataFunc func)
{
  g_autofree gchar *path = g_strdup_printf ("/failures/%s/%s", group, name);

  g_test_add_data_func (path, data, func);
}

static void
add_tables (void)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (cases); i++)
    add ("connect", cases[i].name, &cases[i], test_case);
  for (i = 0; i < G_N_ELEMENTS (broken); i++)
    add ("batch", broken[i].name, &broken[i], test_broken);
  for (i = 0; i < G_N_ELEMENTS (settings); i++)
    add ("settings", settings[i].name, GUINT_TO_POINTER (i), test_settings);
  for (i = 0; i < G_N_ELEMENTS (tls_cases); i++)
    add ("tls", tls_cases[i].name, &tls_cases[i], test_tls);
  for (i = 0; i < G_N_ELEMENTS (outages); i++)
    add ("live/reconnect", outages[i], outages[i], test_live_reconnect);
}

static void
remove_directory (void)
{
  GDir *dir = g_dir_open (directory, 0, NULL);
  const gchar *name;

  while ((name = g_dir_read_name (dir)) != NULL) {
    g_autofree gchar *path = g_build_filename (directory, name, NULL);

    g_remove (path);
  }
  g_dir_close (dir);
  g_rmdir (directory);
  g_free (directory);
}

int
main (int argc, char **argv)
{
  int ret;

  g_unsetenv ("MOSHI_URI");
  g_unsetenv ("MOSHI_API_KEY");
  g_test_init (&argc, &argv, NULL);
  gst_init (&argc, &argv);
  directory = g_dir_make_tmp ("moshi-failures-XXXXXX", NULL);

  add_tables ();
  g_test_add_func ("/failures/batch/freeze-behind-pace",
      test_freeze_behind_pace);
  g_test_add_func ("/failures/refused", test_refused);
  g_test_add_func ("/failures/unknown-host", test_unknown_host);
  g_test_add_func ("/failures/silent", test_silent);
  g_test_add_func ("/failures/no-descriptors", test_no_descriptors);
  g_test_add_func ("/failures/not-http", test_not_http);
  g_test_add_func ("/failures/close-reason", test_close_reason);
  g_test_add_func ("/failures/proxy", test_proxy);
  g_test_add_func ("/failures/wrong-key", test_wrong_key);
  g_test_add_func ("/failures/wrong-path", test_wrong_path);
  g_test_add_func ("/failures/tls/accept-certificate", test_accept_certificate);
  g_test_add_func ("/failures/tls/wrong-scheme", test_wrong_scheme);
  g_test_add_func ("/failures/progress", test_progress);
  g_test_add_func ("/failures/progress-failure", test_progress_failure);
  g_test_add_func ("/failures/live/retries", test_live_retries);
  g_test_add_func ("/failures/live/lost-for-good", test_live_lost_for_good);
  g_test_add_func ("/failures/live/server-error", test_live_server_error);
  ret = g_test_run ();

  remove_directory ();
  gst_deinit ();
  return ret;
}
