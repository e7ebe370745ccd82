/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "moshiaddress.h"

#include <string.h>

#include "moshierror.h"

#define MAX_SIZE 4096
#define DEFAULT_PATH "/api/chat"
#define MASK "***"
#define TOKEN_NAME "token"
#define FORM "write it as wss://host:port"

/* What RFC 3986 lets stand unescaped, beside letters, digits and "-._~". The
 * percent sign is among them as it begins what is escaped already. */
#define PATH_CHARACTERS "%!$&'()*+,;=:@/"
#define QUERY_CHARACTERS PATH_CHARACTERS "?[]"

struct _MoshiAddress
{
  gboolean tls;
  gchar *host;                  /* without brackets */
  gint port;                    /* -1 for the scheme's own */
  gchar *path;                  /* escaped, begins with a slash */
  GString *query;               /* escaped, empty for none */
  gchar *secret;                /* (nullable): the key, set as token */
};

static gboolean
refuse (GError ** error, const gchar * message)
{
  g_set_error_literal (error, MOSHI_ERROR, MOSHI_ERROR_SETTINGS, message);
  return FALSE;
}

static gboolean
has_control (const gchar * text)
{
  for (; *text != '\0'; text++) {
    if (g_ascii_iscntrl (*text))
      return TRUE;
  }
  return FALSE;
}

static gboolean
check_characters (const gchar * uri, GError ** error)
{
  if (strlen (uri) > MAX_SIZE)
    return refuse (error, "The address is longer than 4096 bytes; shorten it.");
  if (!g_utf8_validate (uri, -1, NULL))
    return refuse (error, "The address is not valid UTF-8; correct it.");
  if (has_control (uri) || strchr (uri, ' ') != NULL
      || strstr (uri, "%00") != NULL)
    return refuse (error, "The address has a space, a line break or a control "
        "character in it; remove it or, in path and query, write it as %XX.");
  if (strchr (uri, '#') != NULL)
    return refuse (error, "The address has a fragment (#), which a WebSocket "
        "cannot use; remove it or write # as %23.");
  return TRUE;
}

/* Where the authority begins; 0 when there is no scheme. Only a scheme at the
 * very start counts: "://" may stand in a query as well. */
static gsize
skip_scheme (const gchar * uri)
{
  gsize size;

  if (!g_ascii_isalpha (*uri))
    return 0;
  size = strspn (uri, "abcdefghijklmnopqrstuvwxyz"
      "ABCDEFGHIJKLMNOPQRSTUVWXYZ" "0123456789" "+.-");
  return g_str_has_prefix (uri + size, "://") ? size + 3 : 0;
}

static gboolean
read_scheme (const gchar * uri, gsize size, gboolean * tls)
{
  static const struct
  {
    const gchar *prefix;
    gboolean tls;
  } schemes[] = {
    {"ws://", FALSE}, {"wss://", TRUE}, {"http://", FALSE}, {"https://", TRUE},
  };
  guint i;

  *tls = TRUE;
  for (i = 0; i < G_N_ELEMENTS (schemes); i++) {
    if (size == strlen (schemes[i].prefix)
        && g_ascii_strncasecmp (uri, schemes[i].prefix, size) == 0) {
      *tls = schemes[i].tls;
      return TRUE;
    }
  }
  return size == 0;
}

/* What GUri lets pass or tells in words that could quote a password. */
static gboolean
check_authority (const gchar * authority, gsize size, GError ** error)
{
  const gchar *end = authority + size;
  const gchar *port;

  if (memchr (authority, '@', size) != NULL)
    return refuse (error, "The address has a user name or password in it; "
        "remove it and give the key as api-key.");
  if (size == 0 || *authority == ':')
    return refuse (error, "The address has no host; " FORM ".");

  port = *authority == '[' ? memchr (authority, ']', size) : authority;
  port = port != NULL ? memchr (port, ':', end - port) : NULL;
  if (port == NULL)
    return TRUE;
  port++;
  if (port == end || end - port > 5
      || (gsize) (end - port) > strspn (port, "0123456789")
      || g_ascii_strtoull (port, NULL, 10) == 0
      || g_ascii_strtoull (port, NULL, 10) > G_MAXUINT16)
    return refuse (error, "The port in the address is not a number from 1 to "
        "65535; " FORM ".");
  return TRUE;
}

/**
 * moshi_host_is_valid:
 * @host: (nullable): a host, without brackets
 *
 * GUri takes escapes out of a host and lets spaces stand, so anything may be in
 * what it found.
 *
 * Returns: whether this can be a name or an address of a host
 */
gboolean
moshi_host_is_valid (const gchar * host)
{
  if (host == NULL || *host == '\0')
    return FALSE;
  if (strspn (host, "abcdefghijklmnopqrstuvwxyz"
          "ABCDEFGHIJKLMNOPQRSTUVWXYZ" "0123456789" "-._:%") != strlen (host))
    return FALSE;
  return strpbrk (host, ":%") == NULL || g_hostname_is_ip_address (host);
}

/* Splits what follows the scheme. */
static gboolean
read_rest (MoshiAddress * self, const gchar * rest, GError ** error)
{
  g_autofree gchar *full = g_strconcat ("wss://", rest, NULL);
  g_autofree gchar *path = NULL;
  g_autofree gchar *query = NULL;

  if (!g_uri_split (full, G_URI_FLAGS_ENCODED, NULL, NULL, &self->host,
          &self->port, &path, &query, NULL, NULL)
      || !moshi_host_is_valid (self->host))
    return refuse (error, "The address is malformed; " FORM ".");
  if (*path == '\0' || g_str_equal (path, "/"))
    self->path = g_strdup (DEFAULT_PATH);
  else
    self->path = g_uri_escape_string (path, PATH_CHARACTERS, FALSE);
  if (query != NULL)
    g_string_append_uri_escaped (self->query, query, QUERY_CHARACTERS, FALSE);
  return TRUE;
}

/**
 * moshi_address_new:
 * @uri: (nullable): a ws, wss, http or https address in UTF-8, or a bare host
 *     with or without port and path, which means wss
 * @error: where to store a %MOSHI_ERROR_SETTINGS; it quotes nothing of @uri
 *
 * Reads an address. http means ws, https means wss, an empty path or `/` means
 * `/api/chat`; any other path and the query are kept, with characters beyond
 * ASCII escaped. Refused are other schemes, user names, fragments, spaces and
 * control characters, ports outside 1 to 65535, more than 4,096 bytes. An
 * address is used by one thread at a time, as all that is its own.
 *
 * Source: RFC 6455 section 3, RFC 3986.
 *
 * Returns: (transfer full) (nullable): the address, or %NULL with @error set
 */
MoshiAddress *
moshi_address_new (const gchar * uri, GError ** error)
{
  g_autoptr (MoshiAddress) self = NULL;
  gsize start;

  if (uri == NULL || *uri == '\0') {
    refuse (error, "No address is given; " FORM ".");
    return NULL;
  }
  if (!check_characters (uri, error))
    return NULL;

  self = g_new0 (MoshiAddress, 1);
  self->query = g_string_new (NULL);
  start = skip_scheme (uri);
  if (!read_scheme (uri, start, &self->tls)) {
    refuse (error, "The address has a scheme other than ws, wss, http and "
        "https; " FORM ".");
    return NULL;
  }
  uri += start;
  if (!check_authority (uri, strcspn (uri, "/?"), error)
      || !read_rest (self, uri, error))
    return NULL;
  return g_steal_pointer (&self);
}

/**
 * moshi_address_free:
 * @self: (transfer full) (nullable): the address
 *
 * Frees @self.
 */
void
moshi_address_free (MoshiAddress * self)
{
  if (self == NULL)
    return;
  g_free (self->host);
  g_free (self->path);
  g_string_free (self->query, TRUE);
  g_free (self->secret);
  g_free (self);
}

/* The name of the parameter at @text, up to '=' or @size; %NULL when its
 * escapes are malformed. */
static gchar *
read_name (const gchar * text, gsize size)
{
  const gchar *equals = memchr (text, '=', size);

  return g_uri_unescape_segment (text, equals != NULL ? equals : text + size,
      NULL);
}

static void
remove_parameter (GString * query, const gchar * name)
{
  g_auto (GStrv) parts = g_strsplit (query->str, "&", -1);
  guint i;

  g_string_truncate (query, 0);
  for (i = 0; parts[i] != NULL; i++) {
    g_autofree gchar *own = read_name (parts[i], strlen (parts[i]));

    if (*parts[i] == '\0' || g_strcmp0 (own, name) == 0)
      continue;
    if (query->len > 0)
      g_string_append_c (query, '&');
    g_string_append (query, parts[i]);
  }
}

/**
 * moshi_address_set_query:
 * @self: the address
 * @name: the parameter's name: UTF-8, not empty, no control characters
 * @value: (nullable): its value, any UTF-8; %NULL takes the parameter away
 * @error: where to store a %MOSHI_ERROR_SETTINGS
 *
 * Appends a query parameter, in place of all of the same name
 * (however escaped). Name and value are escaped but for letters, digits and
 * `-._~`, so no value can add a parameter or a header.
 *
 * Returns: whether it was taken; if not, nothing has changed
 */
gboolean
moshi_address_set_query (MoshiAddress * self, const gchar * name,
    const gchar * value, GError ** error)
{
  if (name == NULL || *name == '\0')
    return refuse (error, "A query parameter has no name; give it one.");
  if (!g_utf8_validate (name, -1, NULL) || has_control (name))
    return refuse (error, "The name of a query parameter is not valid UTF-8 or "
        "has a control character in it; correct it.");
  if (value != NULL && !g_utf8_validate (value, -1, NULL))
    return refuse (error, "The value of a query parameter is not valid UTF-8; "
        "correct it.");

  remove_parameter (self->query, name);
  if (value == NULL)
    return TRUE;
  if (self->query->len > 0)
    g_string_append_c (self->query, '&');
  g_string_append_uri_escaped (self->query, name, NULL, FALSE);
  g_string_append_c (self->query, '=');
  g_string_append_uri_escaped (self->query, value, NULL, FALSE);
  return TRUE;
}

/**
 * moshi_address_set_token:
 * @self: the address
 * @key: (nullable): the key; moshi_key_check() must hold for it
 * @error: where to store a %MOSHI_ERROR_SETTINGS
 *
 * Sets the query parameter `token`, for servers behind a gateway that takes the
 * key there, and keeps @key out of moshi_address_to_redacted(), wherever else
 * it may stand in the address.
 *
 * Returns: whether it was taken; if not, nothing has changed
 */
gboolean
moshi_address_set_token (MoshiAddress * self, const gchar * key,
    GError ** error)
{
  if (!moshi_key_check (key, error))
    return FALSE;
  g_free (self->secret);
  self->secret = g_strdup (key);
  return moshi_address_set_query (self, TOKEN_NAME, key, error);
}

/**
 * moshi_address_to_string:
 * @self: the address
 *
 * Returns: (transfer full): the address as ws or wss URI, **with its secrets**:
 *     for the connection alone
 */
gchar *
moshi_address_to_string (MoshiAddress * self)
{
  GString *uri = g_string_new (self->tls ? "wss://" : "ws://");

  if (strchr (self->host, ':') != NULL) {
    g_string_append_c (uri, '[');
    g_string_append (uri, self->host);
    g_string_append_c (uri, ']');
    /* of a zone (RFC 6874) */
    g_string_replace (uri, "%", "%25", 0);
  } else {
    g_string_append (uri, self->host);
  }
  if (self->port >= 0)
    g_string_append_printf (uri, ":%d", self->port);
  g_string_append (uri, self->path);
  if (self->query->len > 0)
    g_string_append_printf (uri, "?%s", self->query->str);
  return g_string_free (uri, FALSE);
}

/**
 * moshi_address_to_redacted:
 * @self: the address
 *
 * Returns: (transfer full): as moshi_address_to_string(), with `***` for each
 *     secret: fit for logs and messages
 */
gchar *
moshi_address_to_redacted (MoshiAddress * self)
{
  g_autofree gchar *uri = moshi_address_to_string (self);
  g_autofree gchar *masked = moshi_redact_uri (uri);

  return moshi_redact (masked, self->secret);
}

/**
 * moshi_address_get_host:
 * @self: the address
 *
 * Returns: (transfer none): the host, in ASCII; an IPv6 address has no brackets
 */
const gchar *
moshi_address_get_host (MoshiAddress * self)
{
  return self->host;
}

/**
 * moshi_address_is_tls:
 * @self: the address
 *
 * Returns: whether the connection is to be encrypted (wss)
 */
gboolean
moshi_address_is_tls (MoshiAddress * self)
{
  return self->tls;
}

/**
 * moshi_host_is_loopback:
 * @name: a valid host, without brackets
 *
 * Tells by the host's text alone, without looking it up: `localhost` and what
 * lies below it (RFC 6761 section 6.3), 127.0.0.0/8, ::1.
 *
 * Returns: whether the host is this machine for certain
 */
gboolean
moshi_host_is_loopback (const gchar * name)
{
  g_autofree gchar *host = g_ascii_strdown (name, -1);
  gsize size = strlen (host);

  if (g_hostname_is_ip_address (host)) {
    if (strchr (host, ':') == NULL)
      return g_str_has_prefix (host, "127.");
    /* nothing but zeros before a last 1, however it is spelled */
    return strspn (host, "0:") == size - 1 && host[size - 1] == '1';
  }
  if (host[size - 1] == '.')
    host[size - 1] = '\0';
  return g_str_equal (host, "localhost")
      || g_str_has_suffix (host, ".localhost");
}

/**
 * moshi_key_check:
 * @key: (nullable): an API key
 * @error: where to store a %MOSHI_ERROR_SETTINGS, which does not hold @key
 *
 * A key must be safe in a header as it is: printable ASCII, no spaces.
 *
 * Returns: whether it is; %FALSE for %NULL and an empty one
 */
gboolean
moshi_key_check (const gchar * key, GError ** error)
{
  if (key == NULL || *key == '\0')
    return refuse (error, "The API key is empty; give the key or leave it "
        "unset.");
  for (; *key != '\0'; key++) {
    if (!g_ascii_isgraph (*key))
      return refuse (error, "The API key has a space, a line break or another "
          "character in it that no key has; copy it again without them.");
  }
  return TRUE;
}

static gboolean
is_header_name (const gchar * name)
{
  const gchar *at;

  for (at = name; *at != '\0'; at++) {
    if (!g_ascii_isalnum (*at) && strchr ("!#$%&'*+-.^_`|~", *at) == NULL)
      return FALSE;
  }
  return at > name;
}

/* These belong to the WebSocket handshake and to HTTP's framing. */
static gboolean
is_reserved_header (const gchar * name)
{
  static const gchar *const reserved[] = {
    "host", "connection", "upgrade", "content-length", "transfer-encoding",
  };
  static const gchar prefix[] = "sec-websocket-";
  guint i;

  for (i = 0; i < G_N_ELEMENTS (reserved); i++) {
    if (g_ascii_strcasecmp (name, reserved[i]) == 0)
      return TRUE;
  }
  return g_ascii_strncasecmp (name, prefix, strlen (prefix)) == 0;
}

/**
 * moshi_header_check:
 * @name: (nullable): a header's name
 * @value: (nullable): its value
 * @error: where to store a %MOSHI_ERROR_SETTINGS, which does not hold @value
 *
 * A name must be a token, a value must have no control characters but tabs
 * (RFC 9110 sections 5.1, 5.5), and the header must not be one of those that
 * the WebSocket handshake sets itself.
 *
 * Returns: whether the header may be sent
 */
gboolean
moshi_header_check (const gchar * name, const gchar * value, GError ** error)
{
  const gchar *at;

  if (name == NULL || !is_header_name (name))
    return refuse (error, "The name of an extra header is empty or has a "
        "character in it that no header name has; correct it.");
  if (is_reserved_header (name)) {
    g_set_error (error, MOSHI_ERROR, MOSHI_ERROR_SETTINGS, "The header %s is "
        "set by the connection itself; remove it from the extra headers.",
        name);
    return FALSE;
  }
  for (at = value; at != NULL && *at != '\0'; at++) {
    if (g_ascii_iscntrl (*at) && *at != '\t')
      break;
  }
  if (at != NULL && *at == '\0')
    return TRUE;
  g_set_error (error, MOSHI_ERROR, MOSHI_ERROR_SETTINGS, "The value of the "
      "extra header %s is missing or has a line break or control character in "
      "it; correct it.", name);
  return FALSE;
}

/* The byte of the %XX at @text, or -1. */
static gint
read_escape (const gchar * text)
{
  if (text[0] != '%' || !g_ascii_isxdigit (text[1])
      || !g_ascii_isxdigit (text[2]))
    return -1;
  return g_ascii_xdigit_value (text[1]) << 4 | g_ascii_xdigit_value (text[2]);
}

/* The length of @secret at the beginning of @text, as it is or with any of its
 * bytes escaped; 0 when it is not there. */
static gsize
match_secret (const gchar * text, const gchar * secret)
{
  const gchar *at = text;

  if (g_str_has_prefix (text, secret))
    return strlen (secret);
  for (; *secret != '\0'; secret++) {
    if (read_escape (at) == (guchar) * secret)
      at += 3;
    else if (*at++ != *secret)
      return 0;
  }
  return at - text;
}

/**
 * moshi_redact:
 * @text: (nullable): any text
 * @secret: (nullable): what must not stand in it; %NULL or empty for nothing
 *
 * Puts `***` in place of each occurrence of @secret, also where some or all of
 * its bytes are percent-encoded. @text is never cut or measured in characters,
 * so it may be any bytes.
 *
 * Returns: (transfer full) (nullable): the text to show; %NULL for %NULL
 */
gchar *
moshi_redact (const gchar * text, const gchar * secret)
{
  GString *shown;

  if (text == NULL || secret == NULL || *secret == '\0')
    return g_strdup (text);
  shown = g_string_new (NULL);
  while (*text != '\0') {
    gsize size = match_secret (text, secret);

    if (size > 0)
      g_string_append (shown, MASK);
    else
      g_string_append_c (shown, *text++);
    text += size;
  }
  return g_string_free (shown, FALSE);
}

/* One word of a name, in lower case */
static gboolean
is_secret_word (const gchar * word)
{
  static const gchar *const whole[] = { "auth", "key", "pass", "pwd", "sig" };
  static const gchar *const ends[] = { "apikey", "accesskey", "token" };
  static const gchar *const parts[] = { "authoriz", "cookie", "credential",
    "passw", "secret", "signature"
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (whole); i++) {
    if (g_str_equal (word, whole[i]))
      return TRUE;
  }
  for (i = 0; i < G_N_ELEMENTS (ends); i++) {
    if (g_str_has_suffix (word, ends[i]))
      return TRUE;
  }
  for (i = 0; i < G_N_ELEMENTS (parts); i++) {
    if (strstr (word, parts[i]) != NULL)
      return TRUE;
  }
  return FALSE;
}

/**
 * moshi_name_is_secret:
 * @name: of a header or a query parameter
 *
 * Tells by the words it is made of, such as key, token, auth and password; the
 * known servers' `token`, `auth_id`, `worker_auth_id` and `kyutai-api-key` have
 * them.
 *
 * Returns: whether what goes by this name is most likely a credential
 */
gboolean
moshi_name_is_secret (const gchar * name)
{
  g_autofree gchar *lower = g_ascii_strdown (name, -1);
  g_auto (GStrv) words = g_strsplit_set (lower, "-_.:[] ", -1);
  guint i;

  for (i = 0; words[i] != NULL; i++) {
    if (is_secret_word (words[i]))
      return TRUE;
  }
  return FALSE;
}

static gboolean
is_secret (const gchar * text, gsize size)
{
  g_autofree gchar *name = read_name (text, size);

  return name != NULL && moshi_name_is_secret (name);
}

/**
 * moshi_address_has_secret:
 * @self: the address
 *
 * Returns: whether a credential stands in the query
 */
gboolean
moshi_address_has_secret (MoshiAddress * self)
{
  g_auto (GStrv) parts = g_strsplit_set (self->query->str, "&;", -1);
  guint i;

  for (i = 0; parts[i] != NULL; i++) {
    if (is_secret (parts[i], strlen (parts[i])))
      return TRUE;
  }
  return FALSE;
}

/* Copies up to the end of the user name and password and masks them. In what is
 * no address nobody knows where a password ends: then all before the last @ is
 * masked. */
static const gchar *
mask_user (GString * shown, const gchar * uri)
{
  g_autoptr (MoshiAddress) address = moshi_address_new (uri, NULL);
  gsize start = skip_scheme (uri);
  gsize size = strlen (uri + start);
  const gchar *at;

  if (address != NULL)
    size = strcspn (uri + start, "?");
  at = g_strrstr_len (uri + start, size, "@");
  g_string_append_len (shown, uri, start);
  if (at == NULL)
    return uri + start;
  g_string_append (shown, MASK);
  return at;
}

/**
 * moshi_redact_uri:
 * @uri: (nullable): an address, or any other string
 *
 * Masks user name and password and the values of parameters whose names say
 * that they are secret (moshi_name_is_secret(), escaped or not) with `***`. Made
 * for messages about addresses that could not be read, so it never fails and
 * rather masks too much. What is not UTF-8 becomes U+FFFD.
 *
 * Returns: (transfer full) (nullable): the address to show; %NULL for %NULL
 */
gchar *
moshi_redact_uri (const gchar * uri)
{
  g_autofree gchar *valid = NULL;
  GString *shown;
  const gchar *at;

  if (uri == NULL)
    return NULL;
  valid = g_utf8_make_valid (uri, -1);
  shown = g_string_new (NULL);
  at = mask_user (shown, valid);
  while (*at != '\0') {
    gsize size = strcspn (at, "?&;#");

    if (size > 0 && memchr (at, '=', size) != NULL && is_secret (at, size)) {
      size = strcspn (at, "&");
      g_string_append_len (shown, at, strcspn (at, "=") + 1);
      g_string_append (shown, MASK);
    } else {
      g_string_append_len (shown, at, size);
    }
    at += size;
    if (*at != '\0')
      g_string_append_c (shown, *at++);
  }
  return g_string_free (shown, FALSE);
}
