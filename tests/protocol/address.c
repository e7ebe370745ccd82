/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include <string.h>

#include "protocol/moshiaddress.h"
#include "protocol/moshierror.h"

#define SECRET "Pa55-w0rd+k3y/="
/* as libsoup reads addresses */
#define HTTP_FLAGS (G_URI_FLAGS_HAS_PASSWORD | G_URI_FLAGS_ENCODED_PATH | \
  G_URI_FLAGS_ENCODED_QUERY | G_URI_FLAGS_ENCODED_FRAGMENT)
#define FFFD "\xEF\xBF\xBD"

static const struct
{
  const gchar *uri;
  const gchar *expected;
} good[] = {
  {"ws://host", "ws://host/api/chat"},
  {"wss://host", "wss://host/api/chat"},
  {"http://host", "ws://host/api/chat"},
  {"https://host", "wss://host/api/chat"},
  {"HtTpS://Host", "wss://Host/api/chat"},
  {"WS://host/", "ws://host/api/chat"},
  {"host", "wss://host/api/chat"},
  {"host/", "wss://host/api/chat"},
  {"localhost:8998", "wss://localhost:8998/api/chat"},
  {"host:8998/ws", "wss://host:8998/ws"},
  {"host?a=1", "wss://host/api/chat?a=1"},
  {"host:80?back=ws://other/", "wss://host:80/api/chat?back=ws://other/"},
  {"host/x://y", "wss://host/x://y"},
  {"127.0.0.1:1", "wss://127.0.0.1:1/api/chat"},
  {"[::1]:8998", "wss://[::1]:8998/api/chat"},
  {"[::1]", "wss://[::1]/api/chat"},
  {"ws://[fe80::1%25eth0]:80/a%20b", "ws://[fe80::1%25eth0]:80/a%20b"},
  {"ws://host:65535/api/chat/", "ws://host:65535/api/chat/"},
  {"ws://host:080", "ws://host:80/api/chat"},
  {"ws://host//a/../b", "ws://host//a/../b"},
  {"ws://host/?", "ws://host/api/chat"},
  {"ws://host/p?a=1&b=%26&&c[]=x&d", "ws://host/p?a=1&b=%26&&c[]=x&d"},
  {"ws://host/\xC3\xA9?\xC3\xBC=1", "ws://host/%C3%A9?%C3%BC=1"},
  {"ws://host/<a>\"|\\^`{}?<>",
      "ws://host/%3Ca%3E%22%7C%5C%5E%60%7B%7D?%3C%3E"},
  {"ws://b\xC3\xBC" "cher.example", "ws://xn--bcher-kva.example/api/chat"},
  {"ws://my_box.local", "ws://my_box.local/api/chat"},
  {"ws", "wss://ws/api/chat"},
};

static void
test_good (void)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (good); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (MoshiAddress) address = moshi_address_new (good[i].uri, &error);
    g_autoptr (MoshiAddress) again = NULL;
    g_autofree gchar *uri = NULL;
    g_autofree gchar *same = NULL;

    g_assert_no_error (error);
    uri = moshi_address_to_string (address);
    g_assert_cmpstr (uri, ==, good[i].expected);
    g_assert_cmpint (moshi_address_is_tls (address), ==,
        g_str_has_prefix (uri, "wss:"));

    /* what is made can be read, by libsoup too */
    g_assert_true (g_uri_is_valid (uri, HTTP_FLAGS, NULL));
    again = moshi_address_new (uri, NULL);
    same = moshi_address_to_string (again);
    g_assert_cmpstr (same, ==, uri);
  }
}

static const gchar *const bad[] = {
  "", "/", "?", "/api/chat", "//host", ":8998", "ws://", "wss:///path",
  "ws://:80", "http://?a=b",
  "ftp://host", "file:///x", "wsx://host", "s://host", "javascript:alert(1)",
  "ws:host", "ws:/host", "https:/host", "mailto:me",
  "ws://host:0", "ws://host:00000", "ws://host:65536", "ws://host:99999999999",
  "ws://host:", "ws://host:/x", "ws://host:-1", "ws://host:+80", "ws://host:8x",
  "ws://host:80:90", "host:port", "ws://host: 80",
  "::1", "ws://::1", "ws://::1:80", "ws://[::1", "ws://::1]", "ws://[]",
  "ws://[host]", "ws://[::1]x", "ws://[::1]x:80", "ws://[::1]:",
  "ws://[::1%25a%2Fb]", "ws://[v1.x]",
  "ws://user@host", "ws://user:" SECRET "@host", "user:" SECRET "@host",
  "ws://:" SECRET "@host", "ws://@host", "ws://a@b@host",
  "ws://host#", "ws://host/#x", "ws://host/?a=b#c",
  "ws://host/a b", " ws://host", "ws://host ", "ws://host\r\nX: y",
  "ws://host/\n", "ws://host/\t", "ws://host/\x7F", "ws://ho\x01st",
  "ws://host/%00", "ws://host/%", "ws://host/%zz", "ws://host/?%4",
  "ws://ho%00st",
  "ws://ho%0D%0Ast", "ws://ho%2Fst", "ws://ho%40st", "ws://ho%3A80",
  "ws://ho%20st", "ws://ho\\st", "ws://ho<st", "ws://ho,st", "ws://ho*st",
  "ws://host/\xFF", "ws://\xC3", "ws://host/\xED\xA0\x80",
};

static void
check_refused (const gchar * uri)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (moshi_address_new (uri, &error));
  g_assert_error (error, MOSHI_ERROR, MOSHI_ERROR_SETTINGS);
  g_assert_true (g_utf8_validate (error->message, -1, NULL));
  g_assert_true (g_str_has_suffix (error->message, "."));
  g_assert_null (strstr (error->message, SECRET));
}

static void
test_bad (void)
{
  guint i;

  check_refused (NULL);
  for (i = 0; i < G_N_ELEMENTS (bad); i++)
    check_refused (bad[i]);
  g_assert_null (moshi_address_new ("ws://", NULL));
}

static void
test_every_control (void)
{
  guint i;

  for (i = 1; i <= 0x20; i++) {
    g_autofree gchar *uri = g_strdup_printf ("ws://host/a%cb", (gchar) i);

    check_refused (uri);
  }
}

static void
test_longest (void)
{
  g_autofree gchar *longest = g_strnfill (4097, 'a');
  g_autoptr (MoshiAddress) address = NULL;

  memcpy (longest, "ws://h/", 7);
  check_refused (longest);
  longest[4096] = '\0';
  address = moshi_address_new (longest, NULL);
  g_assert_nonnull (address);
}

static MoshiAddress *
make (const gchar * uri)
{
  MoshiAddress *address = moshi_address_new (uri, NULL);

  g_assert_nonnull (address);
  return address;
}

static const struct
{
  const gchar *uri;
  const gchar *name;
  const gchar *value;
  const gchar *expected;        /* after ws://h/p */
} queries[] = {
  {"ws://h/p", "a", "1", "?a=1"},
  {"ws://h/p", "a", "", "?a="},
  {"ws://h/p?b=2", "a", "1", "?b=2&a=1"},
  {"ws://h/p?a=2", "a", "1", "?a=1"},
  {"ws://h/p?a=2&b=3&a=4&a", "a", "1", "?b=3&a=1"},
  {"ws://h/p?%61=2&aa=3&ab", "a", "1", "?aa=3&ab&a=1"},
  {"ws://h/p?A=2", "a", "1", "?A=2&a=1"},
  {"ws://h/p?a=2&b=3", "a", NULL, "?b=3"},
  {"ws://h/p?a=2", "a", NULL, ""},
  {"ws://h/p", "a", NULL, ""},
  {"ws://h/p", "text_prompt", "You are kind & wise; 100% = 5 + #1?",
      "?text_prompt=You%20are%20kind%20%26%20wise%3B%20100%25%20%3D%205%20%2B"
        "%20%231%3F"},
  {"ws://h/p", "a", "x\r\nHost: y\t\x01", "?a=x%0D%0AHost%3A%20y%09%01"},
  {"ws://h/p", "a&b=c", "/:@", "?a%26b%3Dc=%2F%3A%40"},
  {"ws://h/p", "\xC3\xA9", "\xE2\x82\xAC", "?%C3%A9=%E2%82%AC"},
  {"ws://h/p", "a-._~", "Z-._~9", "?a-._~=Z-._~9"},
};

static void
test_query (void)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (queries); i++) {
    g_autoptr (MoshiAddress) address = make (queries[i].uri);
    g_autoptr (GError) error = NULL;
    g_autofree gchar *uri = NULL;

    g_assert_true (moshi_address_set_query (address, queries[i].name,
            queries[i].value, &error));
    g_assert_no_error (error);
    uri = moshi_address_to_string (address);
    g_assert_true (g_str_has_prefix (uri, "ws://h/p"));
    g_assert_cmpstr (uri + strlen ("ws://h/p"), ==, queries[i].expected);
  }
}

static void
test_query_refused (void)
{
  static const struct
  {
    const gchar *name;
    const gchar *value;
  } refused[] = {
    {NULL, "1"}, {"", "1"}, {"a\n", "1"}, {"\x7F", "1"}, {"a\xFF", "1"},
    {"a", "\xFF"}, {"a", "\xC3"},
  };
  g_autoptr (MoshiAddress) address = make ("ws://h/p?a=0");
  g_autofree gchar *uri = NULL;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (refused); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_false (moshi_address_set_query (address, refused[i].name,
            refused[i].value, &error));
    g_assert_error (error, MOSHI_ERROR, MOSHI_ERROR_SETTINGS);
  }
  uri = moshi_address_to_string (address);
  g_assert_cmpstr (uri, ==, "ws://h/p?a=0");
}

static void
test_token (void)
{
  g_autoptr (MoshiAddress) address = make ("ws://h/p?token=old&x=" SECRET);
  g_autoptr (GError) error = NULL;
  g_autofree gchar *uri = NULL;
  g_autofree gchar *shown = NULL;

  g_assert_false (moshi_address_set_token (address, "bad key", &error));
  g_assert_error (error, MOSHI_ERROR, MOSHI_ERROR_SETTINGS);
  g_assert_true (moshi_address_set_token (address, SECRET, NULL));
  g_assert_true (moshi_address_set_query (address, "y", "1" SECRET "2", NULL));

  uri = moshi_address_to_string (address);
  g_assert_cmpstr (uri, ==, "ws://h/p?x=" SECRET
      "&token=Pa55-w0rd%2Bk3y%2F%3D&y=1Pa55-w0rd%2Bk3y%2F%3D2");
  shown = moshi_address_to_redacted (address);
  g_assert_cmpstr (shown, ==, "ws://h/p?x=***&token=***&y=1***2");
}

static void
test_redacted (void)
{
  g_autoptr (MoshiAddress) address =
      make ("https://h:9/p?auth_id=1&Key=2&api_key=3&APIKEY=4&access_token=5&"
      "password=6&secret=7&worker_auth_id=8&%74oken=9&text_prompt=a&"
      "voice_prompt=b&keys=c&monkey=d&token&seed=1");
  g_autofree gchar *shown = moshi_address_to_redacted (address);

  g_assert_cmpstr (shown, ==,
      "wss://h:9/p?auth_id=***&Key=***&api_key=***&APIKEY=***&access_token=***&"
      "password=***&secret=***&worker_auth_id=***&token=***&text_prompt=a&"
      "voice_prompt=b&keys=c&monkey=d&token&seed=1");
}

static const struct
{
  const gchar *uri;
  const gchar *host;
  gboolean loopback;
} hosts[] = {
  {"ws://localhost", "localhost", TRUE},
  {"ws://LocalHost.:80", "LocalHost.", TRUE},
  {"ws://a.b.localhost", "a.b.localhost", TRUE},
  {"ws://127.0.0.1", "127.0.0.1", TRUE},
  {"ws://127.255.3.4:9", "127.255.3.4", TRUE},
  {"ws://[::1]:80", "::1", TRUE},
  {"ws://[0:0:0:0:0:0:0:1]", "0:0:0:0:0:0:0:1", TRUE},
  {"ws://[::0001]", "::0001", TRUE},
  {"ws://[::2]", "::2", FALSE},
  {"ws://[::11]", "::11", FALSE},
  {"ws://[1::]", "1::", FALSE},
  {"ws://[1::1]", "1::1", FALSE},
  {"ws://[::]", "::", FALSE},
  {"ws://[fe80::1%25lo]", "fe80::1%lo", FALSE},
  {"ws://localhost.example", "localhost.example", FALSE},
  {"ws://notlocalhost", "notlocalhost", FALSE},
  {"ws://127.0.0.1.example", "127.0.0.1.example", FALSE},
  {"ws://127.example", "127.example", FALSE},
  {"ws://128.0.0.1", "128.0.0.1", FALSE},
  {"ws://12.7.0.1", "12.7.0.1", FALSE},
  {"ws://10.127.0.1", "10.127.0.1", FALSE},
  {"ws://.", ".", FALSE},
};

static void
test_hosts (void)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (hosts); i++) {
    g_autoptr (MoshiAddress) address = make (hosts[i].uri);

    g_assert_cmpstr (moshi_address_get_host (address), ==, hosts[i].host);
    g_assert_cmpint (moshi_host_is_loopback
        (moshi_address_get_host (address)), ==, hosts[i].loopback);
  }
}

static void
test_key (void)
{
  guint i;

  g_assert_true (moshi_key_check (SECRET, NULL));
  g_assert_false (moshi_key_check (NULL, NULL));
  g_assert_false (moshi_key_check ("", NULL));
  for (i = 1; i < 256; i++) {
    g_autofree gchar *key = g_strdup_printf (SECRET "%c", (gchar) i);
    g_autoptr (GError) error = NULL;
    gboolean fit = moshi_key_check (key, &error);

    g_assert_cmpint (fit, ==, i > ' ' && i < 0x7F);
    if (fit)
      continue;
    g_assert_error (error, MOSHI_ERROR, MOSHI_ERROR_SETTINGS);
    g_assert_null (strstr (error->message, "Pa55"));
  }
}

static const struct
{
  const gchar *name;
  const gchar *value;
  gboolean good;
} headers[] = {
  {"X-Trace", "abc", TRUE},
  {"kyutai-api-key", "k", TRUE},
  {"Authorization", "Basic eDp5", TRUE},
  {"a!#$%&'*+-.^_`|~9", "", TRUE},
  {"X", "tab\tand space", TRUE},
  {"X", "caf\xC3\xA9", TRUE},
  {"Hosts", "x", TRUE},
  {"Sec-Fetch-Mode", "x", TRUE},
  {NULL, "x", FALSE},
  {"", "x", FALSE},
  {"X", NULL, FALSE},
  {"X Y", "x", FALSE},
  {"X:", "x", FALSE},
  {"X\r\nY", "x", FALSE},
  {"X\xC3\xA9", "x", FALSE},
  {"X(", "x", FALSE},
  {"X", SECRET "\r\nY: z", FALSE},
  {"X", SECRET "\n", FALSE},
  {"X", SECRET "\x01", FALSE},
  {"X", SECRET "\x7F", FALSE},
  {"Host", SECRET, FALSE},
  {"hOST", SECRET, FALSE},
  {"Connection", SECRET, FALSE},
  {"upgrade", SECRET, FALSE},
  {"Sec-WebSocket-Key", SECRET, FALSE},
  {"sec-websocket-protocol", SECRET, FALSE},
  {"Content-Length", "0", FALSE},
  {"Transfer-Encoding", "chunked", FALSE},
};

static void
test_headers (void)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (headers); i++) {
    g_autoptr (GError) error = NULL;
    gboolean fit = moshi_header_check (headers[i].name, headers[i].value,
        &error);

    g_assert_cmpint (fit, ==, headers[i].good);
    if (fit) {
      g_assert_no_error (error);
      continue;
    }
    g_assert_error (error, MOSHI_ERROR, MOSHI_ERROR_SETTINGS);
    g_assert_null (strstr (error->message, SECRET));
    g_assert_null (strpbrk (error->message, "\r\n"));
  }
}

static const struct
{
  const gchar *text;
  const gchar *secret;
  const gchar *expected;
} redactions[] = {
  {NULL, "a", NULL},
  {"abc", NULL, "abc"},
  {"abc", "", "abc"},
  {"", "abc", ""},
  {"abc", "abcd", "abc"},
  {"k3y and k3yk3y", "k3y", "*** and ******"},
  {"kk3y", "k3y", "k***"},
  {"a=b/c a%3Db%2Fc a%3db%2fc %61%3D%62/c a%3Db", "a=b/c",
      "*** *** *** *** a%3Db"},
  {"100%25x 100%x 100%2525x", "100%25x", "*** 100%x ***"},
  {"100%25x 100%x", "100%x", "*** ***"},
  {"\xFFk3y\xFF", "k3y", "\xFF***\xFF"},
  {"key \xC3\xA9 %C3%A9", "\xC3\xA9", "key *** ***"},
  {"end%", "end%4", "end%"},
};

static void
test_redact (void)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (redactions); i++) {
    g_autofree gchar *shown = moshi_redact (redactions[i].text,
        redactions[i].secret);

    g_assert_cmpstr (shown, ==, redactions[i].expected);
  }
}

static const struct
{
  const gchar *uri;
  const gchar *expected;
} uris[] = {
  {NULL, NULL},
  {"", ""},
  {"ws://host:80/api/chat?seed=1", "ws://host:80/api/chat?seed=1"},
  {"ws://host?email=me@example.com", "ws://host?email=me@example.com"},
  {"ws://user:pw@host/p", "ws://***@host/p"},
  {"ftp://user:pw@host/p", "ftp://***@host/p"},
  {"user:pw@host", "***@host"},
  {"ws://user:p@w@host", "ws://***@host"},
  {"ws://user:p/w@host", "ws://***@host"},
  {"ws://user:p?w@host", "ws://***@host"},
  {"ws://user:p#w@host", "ws://***@host"},
  {"ws://user:1/w@host", "ws://***@host"},
  {"ws://host:x?token=abc&a=1", "ws://host:x?token=***&a=1"},
  {"?TOKEN=abc", "?TOKEN=***"},
  {"token=abc", "token=***"},
  {"host?a=1&key=x=y&b", "host?a=1&key=***&b"},
  {"host?a=1;key=x;y&b", "host?a=1;key=***&b"},
  {"host#secret=abc", "host#secret=***"},
  {"host?password=a#b?c", "host?password=***"},
  {"host?%6Bey=abc&%zz=1", "host?%6Bey=***&%zz=1"},
  {"host?token=", "host?token=***"},
  {"host?token", "host?token"},
  {"host?text_prompt=be%20kind&voice_prompt=v", "host?text_prompt=be%20kind"
        "&voice_prompt=v"},
  {"ws://host?token=a b\xFF&c=\xFF", "ws://host?token=***&c=" FFFD},
};

static void
test_redact_uri (void)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (uris); i++) {
    g_autofree gchar *shown = moshi_redact_uri (uris[i].uri);

    g_assert_cmpstr (shown, ==, uris[i].expected);
  }
  for (i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autofree gchar *shown = moshi_redact_uri (bad[i]);

    g_assert_true (g_utf8_validate (shown, -1, NULL));
    g_assert_null (strstr (shown, SECRET));
  }
}

/* Nothing that can be typed makes an address that says more than it seems. */
static void
test_random (void)
{
  static const gchar *const bits[] = {
    "ws", "wss", "http", ":", "//", "/", "?", "#", "@", "[", "]", "::1", "host",
    "80", "%", "%0D", "%00", "\n", " ", "\xC3\xA9", "\xFF", "a=b", "&",
    "token=x", ".", "..", "\\", "<",
  };
  g_autoptr (GRand) rand = g_rand_new_with_seed (8998);
  guint i, made = 0;

  for (i = 0; i < 100000; i++) {
    g_autoptr (GString) text = g_string_new (i % 2 ? "ws://h" : "");
    g_autoptr (MoshiAddress) address = NULL;
    g_autofree gchar *uri = NULL;
    guint count = g_rand_int_range (rand, 0, 8);

    while (count-- > 0)
      g_string_append (text, bits[g_rand_int_range (rand, 0,
                  G_N_ELEMENTS (bits))]);
    address = moshi_address_new (text->str, NULL);
    if (address == NULL)
      continue;
    made++;
    uri = moshi_address_to_string (address);
    g_assert_true (g_str_is_ascii (uri));
    g_assert_null (strpbrk (uri, " \r\n#<\\"));
    g_assert_true (g_uri_is_valid (uri, HTTP_FLAGS, NULL));
  }
  g_assert_cmpuint (made, >, 1000);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/address/good", test_good);
  g_test_add_func ("/address/bad", test_bad);
  g_test_add_func ("/address/every-control", test_every_control);
  g_test_add_func ("/address/longest", test_longest);
  g_test_add_func ("/address/query", test_query);
  g_test_add_func ("/address/query-refused", test_query_refused);
  g_test_add_func ("/address/token", test_token);
  g_test_add_func ("/address/redacted", test_redacted);
  g_test_add_func ("/address/hosts", test_hosts);
  g_test_add_func ("/address/key", test_key);
  g_test_add_func ("/address/headers", test_headers);
  g_test_add_func ("/address/redact", test_redact);
  g_test_add_func ("/address/redact-uri", test_redact_uri);
  g_test_add_func ("/address/random", test_random);
  return g_test_run ();
}
