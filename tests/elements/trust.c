/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whom a credential is told, and what nobody can slip into a request: no key in
 * the clear unless the user says so, none to a server that another one names,
 * nothing that a value adds to the header or the query.
 */
#include "bench.h"

#include <gio/gio.h>
#include <string.h>

#include "../session/certificates.h"
#include "../session/peer.h"

#define KEY "k3y-for-trust"
#define TONE "audiotestsrc num-buffers=25 samplesperbuffer=480 " \
    "! audio/x-raw,format=S16LE,rate=24000,channels=1"

static Bench *
bench_with (const gchar * properties)
{
  return bench_new (TONE " ! moshi name=m retries=0 %s ! fakesink", properties);
}

static void
assert_message (Bench * bench, GstMessageType type, GQuark domain, gint code,
    const gchar * words)
{
  g_autoptr (GstMessage) message = bench_get_nth (bench, type, 0);
  g_autoptr (GError) error = NULL;

  g_assert_nonnull (message);
  if (type == GST_MESSAGE_ERROR)
    gst_message_parse_error (message, &error, NULL);
  else
    gst_message_parse_warning (message, &error, NULL);
  g_test_message ("%s", error->message);
  g_assert_error (error, domain, code);
  g_assert_nonnull (strstr (error->message, words));
  g_assert_null (strstr (error->message, KEY));
  g_assert_cmpuint (bench_count_type (bench, type), ==, 1);
}

static gboolean
can_be_ready (Bench * bench)
{
  return gst_element_set_state (bench_get_pipeline (bench), GST_STATE_READY)
      != GST_STATE_CHANGE_FAILURE;
}

/* --- in the clear ---------------------------------------------------------- */

/* A host that is not this machine: nothing is ever sent there. */
#define FAR "moshi.invalid"

static const struct
{
  const gchar *name;
  const gchar *properties;
  gboolean refused;             /* else allowed as it is */
} clear[] = {
  {"key", "uri=ws://" FAR " api-key=" KEY, TRUE},
  {"key-as-query", "uri=ws://" FAR " auth-method=query api-key=" KEY, TRUE},
  {"key-http", "uri=http://" FAR " api-key=" KEY, TRUE},
  {"token-in-uri", "uri=ws://" FAR "/?token=" KEY, TRUE},
  {"token-escaped", "uri=ws://" FAR "/?t%6Fken=" KEY, TRUE},
  {"query-parameters", "uri=ws://" FAR " query-parameters=q,auth_id=" KEY,
      TRUE},
  {"authorization", "uri=ws://" FAR " extra-headers=h,Authorization=" KEY,
      TRUE},
  {"cookie", "uri=ws://" FAR " extra-headers=h,cookie=" KEY, TRUE},
  {"own-header", "uri=ws://" FAR " extra-headers=h,kyutai-api-key=" KEY, TRUE},
  {"near-names", "uri=ws://localhost.example.com api-key=" KEY, TRUE},
  {"near-address", "uri=ws://127.0.0.1.example.com api-key=" KEY, TRUE},
  {"private-address", "uri=ws://10.0.0.1 api-key=" KEY, TRUE},
  {"any-address", "uri=ws://0.0.0.0 api-key=" KEY, TRUE},
  {"far-proxy", "uri=ws://localhost proxy=http://" FAR " api-key=" KEY, TRUE},
  {"tls", "uri=wss://" FAR " api-key=" KEY, FALSE},
  {"bare", "uri=" FAR " api-key=" KEY, FALSE},
  {"loopback-name", "uri=ws://localhost api-key=" KEY, FALSE},
  {"loopback", "uri=ws://127.1.2.3 api-key=" KEY, FALSE},
  {"loopback-6", "uri=ws://[::1] api-key=" KEY, FALSE},
  {"near-proxy", "uri=ws://localhost proxy=http://127.0.0.1:3128 api-key=" KEY,
      FALSE},
  {"no-credential", "uri=ws://" FAR "/?seed=1 text-topk=25 "
        "extra-headers=h,X-Room=kitchen", FALSE},
  {"names-alike", "uri=ws://" FAR "/?monkey=1&author=2&max_tokens=3", FALSE},
};

static void
test_clear (gconstpointer data)
{
  const guint i = GPOINTER_TO_UINT (data);
  g_autofree gchar *allowed = g_strconcat (clear[i].properties,
      " allow-insecure-auth=true", NULL);
  g_autoptr (Bench) bench = bench_with (clear[i].properties);
  g_autoptr (Bench) trusting = bench_with (allowed);

  g_assert_cmpint (can_be_ready (bench), ==, !clear[i].refused);
  if (clear[i].refused)
    assert_message (bench, GST_MESSAGE_ERROR, GST_RESOURCE_ERROR,
        GST_RESOURCE_ERROR_SETTINGS, "allow-insecure-auth");
  bench_stop (bench);

  g_assert_true (can_be_ready (trusting));
  bench_stop (trusting);
  g_assert_cmpuint (bench_count_type (trusting, GST_MESSAGE_ERROR), ==, 0);
}

/* An environment's proxy is one, too. */
static void
test_environment (void)
{
  g_autoptr (Bench) bench = bench_with ("uri=ws://localhost api-key=" KEY);

  g_setenv ("http_proxy", "http://" FAR ":3128", TRUE);
  g_assert_false (can_be_ready (bench));
  assert_message (bench, GST_MESSAGE_ERROR, GST_RESOURCE_ERROR,
      GST_RESOURCE_ERROR_SETTINGS, "allow-insecure-auth");
  bench_stop (bench);
  g_setenv ("no_proxy", "localhost", TRUE);
  g_assert_true (can_be_ready (bench));
  bench_stop (bench);
  g_unsetenv ("http_proxy");
  g_unsetenv ("no_proxy");
}

/* Who allows it is told, each time; who need not, is not. */
static void
test_warning (void)
{
  g_autoptr (Bench) bench = bench_with ("uri=ws://" FAR " api-key=" KEY
      " allow-insecure-auth=true");
  g_autoptr (Bench) unchecked = bench_with ("uri=wss://" FAR " api-key=" KEY
      " tls-validation-flags=0");
  g_autoptr (Bench) good = bench_with ("uri=wss://" FAR " api-key=" KEY
      " allow-insecure-auth=true");

  bench_set_state (bench, GST_STATE_PAUSED);
  assert_message (bench, GST_MESSAGE_WARNING, GST_RESOURCE_ERROR,
      GST_RESOURCE_ERROR_SETTINGS, "without encryption");
  bench_stop (bench);
  bench_set_state (unchecked, GST_STATE_PAUSED);
  assert_message (unchecked, GST_MESSAGE_WARNING, GST_RESOURCE_ERROR,
      GST_RESOURCE_ERROR_SETTINGS, "tls-validation-flags");
  bench_stop (unchecked);
  bench_set_state (good, GST_STATE_PAUSED);
  bench_stop (good);
  g_assert_cmpuint (bench_count_type (good, GST_MESSAGE_WARNING), ==, 0);
}

/* --- elsewhere --------------------------------------------------------------- */

typedef struct
{
  const gchar *status;
  const gchar *location;        /* with %u for the port of the other server */
  gboolean tls;                 /* to the first server, never to the other */
  guint16 port;
} Redirect;

static void
redirect (Peer * peer, gpointer user_data)
{
  const Redirect *self = user_data;
  g_auto (GStrv) parts = g_strsplit (self->location, "%u", 2);

  if (!peer_read_request (peer))
    return;
  if (parts[1])
    peer_printf (peer, "HTTP/1.1 %s\r\nLocation: %s%u%s\r\n"
        "Content-Length: 0\r\n\r\n", self->status, parts[0], self->port,
        parts[1]);
  else
    peer_printf (peer, "HTTP/1.1 %s\r\nLocation: %s\r\n"
        "Content-Length: 0\r\n\r\n", self->status, parts[0]);
}

static void
take_anything (Peer * peer, gpointer user_data)
{
  if (peer_upgrade (peer))
    peer_read_until_gone (peer);
}

static const Redirect redirects[] = {
  {"301 Moved Permanently", "http://127.0.0.1:%u/api/chat"},
  {"302 Found", "ws://localhost:%u/api/chat"},
  {"303 See Other", "http://127.0.0.1:%u/"},
  {"307 Temporary Redirect", "//127.0.0.1:%u/api/chat"},
  {"308 Permanent Redirect", "http://me:pw@127.0.0.1:%u/api/chat"},
  {"302 Found", "/elsewhere"},
  {"302 Found", "ws://127.0.0.1:%u/api/chat", TRUE},
  {"308 Permanent Redirect", "http://127.0.0.1:%u/api/chat", TRUE},
};

/* A redirect is an error that names the new address: the key was given for the
 * one in `uri`. */
static void
test_redirect (gconstpointer data)
{
  Redirect way = redirects[GPOINTER_TO_UINT (data)];
  g_autoptr (PeerServer) other = peer_server_new (take_anything, NULL);
  g_autoptr (PeerServer) server = NULL;
  g_autoptr (Bench) bench = NULL;
  g_autofree gchar *properties = NULL;
  g_autoptr (GTlsCertificate) certificate = NULL;

  if (way.tls)
    certificate = g_tls_certificate_new_from_pem (good_pem, -1, NULL);
  way.port = peer_server_get_port (other);
  server = peer_server_new_tls (redirect, &way, certificate);
  properties = g_strdup_printf ("uri=%s://127.0.0.1:%u api-key=" KEY
      " tls-validation-flags=0", way.tls ? "wss" : "ws",
      peer_server_get_port (server));
  bench = bench_with (properties);
  bench_play (bench);
  bench_wait_error (bench);
  bench_stop (bench);
  assert_message (bench, GST_MESSAGE_ERROR, GST_RESOURCE_ERROR,
      GST_RESOURCE_ERROR_OPEN_READ_WRITE, "put the new address into the URI");
  g_assert_cmpuint (peer_server_get_connections (server), ==, 1);
  g_assert_cmpuint (peer_server_get_connections (other), ==, 0);
}

/* --- injection --------------------------------------------------------------- */

static const struct
{
  const gchar *name;
  const gchar *property;        /* a string */
  const gchar *field;           /* or of a structure */
  const gchar *value;
} injections[] = {
  {"key-lf", "api-key", NULL, "a\nX-Evil: 1"},
  {"key-cr", "api-key", NULL, "a\rX-Evil: 1"},
  {"key-space", "api-key", NULL, "a b"},
  {"key-del", "api-key", NULL, "a\x7f"},
  {"agent-crlf", "user-agent", NULL, "me\r\nX-Evil: 1"},
  {"header-crlf", "extra-headers", "X-Room", "a\r\nX-Evil: 1"},
  {"header-lf", "extra-headers", "X-Room", "a\nX-Evil: 1"},
  {"header-cr", "extra-headers", "X-Room", "a\rX-Evil: 1"},
  {"header-host", "extra-headers", "Host", "elsewhere"},
  {"header-upgrade", "extra-headers", "Upgrade", "h2c"},
  {"header-length", "extra-headers", "Content-Length", "1000"},
  {"header-ws", "extra-headers", "Sec-WebSocket-Protocol", "evil"},
  {"uri-crlf", "uri", NULL, "ws://127.0.0.1/\r\nX-Evil: 1"},
  {"uri-space", "uri", NULL, "ws://127.0.0.1/a HTTP/1.1"},
  {"uri-fragment", "uri", NULL, "ws://127.0.0.1/#x"},
  {"uri-nul", "uri", NULL, "ws://127.0.0.1/%00"},
  {"uri-user", "uri", NULL, "ws://trusted@127.0.0.1/"},
  {"uri-host-escape", "uri", NULL, "ws://trusted%2Fevil/"},
  {"uri-host-crlf", "uri", NULL, "ws://h%0D%0AX-Evil:1/"},
  {"proxy-words", "proxy", NULL, "not a proxy"},
  {"proxy-scheme", "proxy", NULL, "ftp://127.0.0.1"},
  {"proxy-crlf", "proxy", NULL, "http://127.0.0.1:1\r\nX-Evil: 1"},
  {"proxy-host", "proxy", NULL, "http://a%20b:3128"},
  {"proxy-empty", "proxy", NULL, "http://"},
};

static void
test_refused (gconstpointer data)
{
  const guint i = GPOINTER_TO_UINT (data);
  g_autoptr (Bench) bench = bench_with ("uri=ws://127.0.0.1:1");
  GstElement *element = bench_get_moshi (bench);

  if (injections[i].field) {
    GstStructure *structure = gst_structure_new ("s", injections[i].field,
        G_TYPE_STRING, injections[i].value, NULL);

    g_object_set (element, injections[i].property, structure, NULL);
    gst_structure_free (structure);
  } else {
    g_object_set (element, injections[i].property, injections[i].value, NULL);
  }
  g_assert_false (can_be_ready (bench));
  assert_message (bench, GST_MESSAGE_ERROR, GST_RESOURCE_ERROR,
      GST_RESOURCE_ERROR_SETTINGS, "");
}

/* What may be in a value arrives as that value and as nothing else. */
static void
test_escaped (void)
{
  static const gchar evil[] = "a&token=x#y\r\nX-Evil: 1 %00 \xC3\xA9=?";
  g_autoptr (MoshiStandin) server = bench_serve (NULL, 0);
  g_autofree gchar *properties = g_strdup_printf ("uri=%s",
      moshi_standin_get_uri (server));
  g_autoptr (Bench) bench = bench_with (properties);
  GstStructure *structure = gst_structure_new ("q", "room&x", G_TYPE_STRING,
      evil, NULL);
  g_autofree gchar *role = NULL;
  g_autofree gchar *room = NULL;

  g_object_set (bench_get_moshi (bench), "text-prompt", evil,
      "query-parameters", structure, NULL);
  gst_structure_free (structure);
  bench_play (bench);
  bench_wait_eos (bench);
  bench_stop (bench);
  role = moshi_standin_dup_query (server, "text_prompt");
  room = moshi_standin_dup_query (server, "room&x");
  g_assert_cmpstr (role, ==, evil);
  g_assert_cmpstr (room, ==, evil);
  g_assert_null (moshi_standin_dup_query (server, "token"));
  g_assert_null (moshi_standin_dup_header (server, "X-Evil"));
}

/* --- the list ---------------------------------------------------------------- */

static void
add (const gchar * group, const gchar * name, guint i, GTestDataFunc func)
{
  g_autofree gchar *path = g_strdup_printf ("/trust/%s/%s", group, name);

  g_test_add_data_func (path, GUINT_TO_POINTER (i), func);
}

int
main (int argc, char **argv)
{
  guint i;
  int ret;

  g_unsetenv ("MOSHI_URI");
  g_unsetenv ("MOSHI_API_KEY");
  g_test_init (&argc, &argv, NULL);
  gst_init (&argc, &argv);

  for (i = 0; i < G_N_ELEMENTS (clear); i++)
    add ("clear", clear[i].name, i, test_clear);
  for (i = 0; i < G_N_ELEMENTS (redirects); i++) {
    g_autofree gchar *name = g_strdup_printf ("%u", i);

    add ("redirect", name, i, test_redirect);
  }
  for (i = 0; i < G_N_ELEMENTS (injections); i++)
    add ("injection", injections[i].name, i, test_refused);
  g_test_add_func ("/trust/injection/escaped", test_escaped);
  g_test_add_func ("/trust/clear/environment", test_environment);
  g_test_add_func ("/trust/warning", test_warning);
  ret = g_test_run ();
  gst_deinit ();
  return ret;
}
