/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "moshifault.h"

#include "../protocol/moshiaddress.h"
#include "../protocol/moshierror.h"

/* Most of a server's own words that stand in an error, in characters. */
#define MAX_BODY 200

/**
 * moshi_fault_new:
 * @error: (transfer full): what happened, in the domain %MOSHI_ERROR
 * @final: whether another attempt cannot mend it
 *
 * Returns: (transfer full): a fault
 */
MoshiFault *
moshi_fault_new (GError * error, gboolean final)
{
  MoshiFault *self = g_new0 (MoshiFault, 1);

  self->error = error;
  self->final = final;
  return self;
}

/**
 * moshi_fault_free:
 * @self: (transfer full): a fault
 */
void
moshi_fault_free (MoshiFault * self)
{
  g_error_free (self->error);
  g_free (self);
}

/**
 * moshi_fault_redact:
 * @self: a fault
 * @secret: what must not be seen
 *
 * Takes @secret out of the message, as it is and as it looks in an address.
 */
void
moshi_fault_redact (MoshiFault * self, const gchar * secret)
{
  gchar *message = moshi_redact (self->error->message, secret);

  g_free (self->error->message);
  self->error->message = message;
}

/**
 * moshi_fault_quote:
 * @text: (array length=size): a peer's bytes
 * @size: their number, or -1 where they end with a NUL
 * @max_chars: most characters that are kept
 *
 * Makes a peer's words fit to stand in a message: valid UTF-8, one line, no
 * control characters, bounded. What has to be cut ends with a whole word, so
 * that no half of a credential is left, which moshi_fault_redact() would not
 * know.
 *
 * Returns: (transfer full): the words; may be empty
 */
gchar *
moshi_fault_quote (const gchar * text, gssize size, glong max_chars)
{
  gsize bytes = size < 0 ? strlen (text) : (gsize) size;
  g_autofree gchar *valid = NULL;
  GString *out = g_string_new (NULL);
  const gchar *p;
  glong n = 0;

  /* No character is longer than 4 bytes; the rest need not be looked at. */
  valid = g_utf8_make_valid (text, MIN (bytes, (gsize) max_chars * 4));
  for (p = valid; *p != '\0' && n < max_chars; p = g_utf8_next_char (p)) {
    gunichar c = g_utf8_get_char (p);

    if (g_unichar_iscntrl (c) || g_unichar_isspace (c)) {
      if (out->len == 0 || out->str[out->len - 1] == ' ')
        continue;
      c = ' ';
    }
    g_string_append_unichar (out, c);
    n++;
  }
  if (*p != '\0' && !g_unichar_isspace (g_utf8_get_char (p))
      && strchr (out->str, ' ') != NULL)
    g_string_truncate (out, strrchr (out->str, ' ') - out->str);
  while (out->len > 0 && out->str[out->len - 1] == ' ')
    g_string_truncate (out, out->len - 1);
  return g_string_free (out, FALSE);
}

/* What each HTTP status means to a user; a status that stands for a class has
 * two noughts, 0 for all. The first row that fits counts. */
static const struct
{
  guint status;
  MoshiError code;
  gboolean final;
  const gchar *what;
  const gchar *hint;
} statuses[] = {
  {401, MOSHI_ERROR_NOT_AUTHORIZED, TRUE, "The server wants a valid key",
      "check the API key"},
  {403, MOSHI_ERROR_NOT_AUTHORIZED, TRUE, "The server refused the key",
      "check the API key"},
  {404, MOSHI_ERROR_NOT_FOUND, TRUE, "The server has no Moshi at this address",
      "check the path of the URI, which most often is /api/chat"},
  {407, MOSHI_ERROR_NOT_AUTHORIZED, TRUE, "The proxy wants a user and password",
      "check the proxy's user and password"},
  {503, MOSHI_ERROR_BUSY, FALSE, "The server is busy", "try again later"},
  {400, MOSHI_ERROR_CONNECT, TRUE, "The server refused the request",
      "check the URI and the model parameters"},
  {500, MOSHI_ERROR_CONNECT, FALSE, "The server failed",
      "try again later or ask who runs it"},
  {300, MOSHI_ERROR_CONNECT, TRUE, "The server is elsewhere",
      "put the new address into the URI"},
  {0, MOSHI_ERROR_CONNECT, TRUE,
        "The server answered, but opened no WebSocket",
      "check that the URI names a Moshi server"},
};

/**
 * moshi_fault_new_http:
 * @status: an HTTP status; 101 stands for an upgrade that was not valid
 * @phrase: (nullable): the server's reason phrase
 * @body: (nullable): the beginning of its answer
 * @location: (nullable): where it redirects to
 *
 * An answer that was not a valid WebSocket upgrade (RFC 6455 section 4.1).
 *
 * Returns: (transfer full): a fault
 */
MoshiFault *
moshi_fault_new_http (guint status, const gchar * phrase, const gchar * body,
    const gchar * location)
{
  g_autofree gchar *words = moshi_fault_quote (phrase ? phrase : "", -1, 80);
  g_autofree gchar *more = moshi_fault_quote (body ? body : "", -1, MAX_BODY);
  g_autofree gchar *target = NULL;
  MoshiFault *self;
  guint i = 0;

  while (statuses[i].status != 0 && statuses[i].status != status
      && !(statuses[i].status % 100 == 0
          && statuses[i].status / 100 == status / 100))
    i++;
  if (location != NULL && status / 100 == 3) {
    target = moshi_redact_uri (location);
    g_free (more);
    more = moshi_fault_quote (target, -1, MAX_BODY);
  }
  self = moshi_fault_new (g_error_new (MOSHI_ERROR, statuses[i].code,
          "%s: HTTP %u%s%s%s%s%s; %s.", statuses[i].what, status,
          *words ? " " : "", words, *more ? " (" : "", more, *more ? ")" : "",
          statuses[i].hint), statuses[i].final);
  self->http_status = status;
  return self;
}

/* Why a connection failed, in words that can stand within a sentence. */
static gchar *
describe_reason (const GError * error)
{
  gchar *words;
  gsize n;

  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED))
    return g_strdup ("the connection was refused");
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_HOST_UNREACHABLE)
      || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_NETWORK_UNREACHABLE))
    return g_strdup ("there is no way to it");
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT))
    return g_strdup ("it did not answer in time");
  words = moshi_fault_quote (error->message, -1, MAX_BODY);
  n = strlen (words);
  if (n > 0 && words[n - 1] == '.')
    words[n - 1] = '\0';
  return words;
}

/* The words for a certificate that did not pass: the most telling flag. */
static const gchar *
describe_certificate (GTlsCertificateFlags errors)
{
  if (errors & G_TLS_CERTIFICATE_UNKNOWN_CA)
    return "is not signed by anyone known here; give its CA or, where it is "
        "self-signed, the certificate itself as tls-ca-file";
  if (errors & G_TLS_CERTIFICATE_BAD_IDENTITY)
    return "is for another host; check the host in the URI";
  if (errors & G_TLS_CERTIFICATE_EXPIRED)
    return "has expired; ask who runs the server to renew it";
  if (errors & G_TLS_CERTIFICATE_NOT_ACTIVATED)
    return "is not valid yet; check this computer's clock";
  if (errors & G_TLS_CERTIFICATE_REVOKED)
    return "has been revoked; ask who runs the server";
  return "cannot be trusted; ask who runs the server";
}

static MoshiFault *
new_proxy_fault (const GError * error)
{
  g_autofree gchar *reason = describe_reason (error);
  MoshiFault *self;

  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_PROXY_NEED_AUTH)
      || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_PROXY_AUTH_FAILED))
    return moshi_fault_new_http (407, NULL, reason, NULL);
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_PROXY_NOT_ALLOWED)) {
    self = moshi_fault_new (g_error_new (MOSHI_ERROR,
            MOSHI_ERROR_NOT_AUTHORIZED, "The proxy does not allow this "
            "connection: %s; check the proxy's rules.", reason), TRUE);
    self->http_status = 403;
    return self;
  }
  return moshi_fault_new (g_error_new (MOSHI_ERROR, MOSHI_ERROR_CONNECT,
          "The proxy could not connect: %s; check the proxy.", reason), FALSE);
}

static gboolean
is_proxy_error (const GError * error)
{
  return g_error_matches (error, G_IO_ERROR, G_IO_ERROR_PROXY_FAILED)
      || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_PROXY_NEED_AUTH)
      || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_PROXY_AUTH_FAILED)
      || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_PROXY_NOT_ALLOWED);
}

/**
 * moshi_fault_new_connect:
 * @error: why there is no HTTP answer: GIO's or libsoup's own error
 * @tls_errors: what is wrong with the certificate, if anything
 * @host: the server's name
 *
 * Returns: (transfer full): a fault
 */
MoshiFault *
moshi_fault_new_connect (const GError * error, GTlsCertificateFlags tls_errors,
    const gchar * host)
{
  g_autofree gchar *reason = describe_reason (error);

  if (tls_errors != 0 && error->domain == G_TLS_ERROR)
    return moshi_fault_new (g_error_new (MOSHI_ERROR, MOSHI_ERROR_CONNECT,
            "The certificate of %s %s.", host,
            describe_certificate (tls_errors)), TRUE);
  if (g_error_matches (error, G_TLS_ERROR, G_TLS_ERROR_CERTIFICATE_REQUIRED))
    return moshi_fault_new (g_error_new (MOSHI_ERROR, MOSHI_ERROR_CONNECT,
            "%s lets in those alone who show a certificate; give ours by "
            "tls-interaction.", host), TRUE);
  if (error->domain == G_TLS_ERROR)
    return moshi_fault_new (g_error_new (MOSHI_ERROR, MOSHI_ERROR_CONNECT,
            "No secure connection to %s: %s; check whether the server wants "
            "wss or ws.", host, reason), FALSE);
  if (error->domain == G_RESOLVER_ERROR)
    return moshi_fault_new (g_error_new (MOSHI_ERROR, MOSHI_ERROR_NOT_FOUND,
            "The host %s is not known: %s; check its name and the network.",
            host, reason), FALSE);
  if (is_proxy_error (error))
    return new_proxy_fault (error);
  return moshi_fault_new (g_error_new (MOSHI_ERROR, MOSHI_ERROR_CONNECT,
          "Could not connect to %s: %s; check that the server runs there.",
          host, reason), FALSE);
}

/**
 * moshi_fault_new_shown:
 * @error: why there is no HTTP answer, after our certificate was shown
 * @host: the server's name
 *
 * In TLS 1.3 a server looks at a client's certificate when the client has done
 * its part of the handshake already (RFC 8446 section 4.4.2.4). What it says of
 * one that it does not accept is an alert, or, as the client has begun to send,
 * a reset connection and nothing else.
 *
 * Returns: (transfer full): a fault
 */
MoshiFault *
moshi_fault_new_shown (const GError * error, const gchar * host)
{
  g_autofree gchar *reason = describe_reason (error);

  return moshi_fault_new (g_error_new (MOSHI_ERROR, MOSHI_ERROR_CONNECT,
          "%s hung up after it was shown our certificate: %s; most likely it "
          "does not accept that one, so check what tls-interaction gives.",
          host, reason), FALSE);
}

/* RFC 6455 section 7.4.1, those that reach us */
static const gchar *
describe_close_code (guint code)
{
  switch (code) {
    case 1000:
      return "normal end";
    case 1001:
      return "going away";
    case 1002:
      return "protocol error";
    case 1003:
      return "unsupported data";
    case 1005:
      return "no reason given";
    case 1007:
      return "bad data";
    case 1008:
      return "policy";
    case 1009:
      return "message too big";
    case 1011:
      return "server error";
    case 1012:
      return "service restart";
    case 1013:
      return "try again later";
    default:
      return "code of the server's own";
  }
}

/**
 * moshi_fault_new_close:
 * @error: (nullable): what libsoup or GIO said of it
 * @code: the close code the server sent, 1006 where it sent no close frame
 * @reason: (nullable): the reason the server sent
 *
 * The end of a connection after the upgrade that we did not ask for.
 *
 * Returns: (transfer full): a fault
 */
MoshiFault *
moshi_fault_new_close (const GError * error, guint code, const gchar * reason)
{
  g_autofree gchar *words = moshi_fault_quote (reason ? reason : "", -1,
      MAX_BODY);
  g_autofree gchar *cause = NULL;
  MoshiFault *self;
  GError *lost;

  if (error != NULL)
    cause = describe_reason (error);
  if (code != 1006)
    lost = g_error_new (MOSHI_ERROR, MOSHI_ERROR_LOST,
        "The server closed the connection: %u, %s%s%s; connect again for "
        "another conversation.", code, describe_close_code (code),
        *words ? ": " : "", words);
  else if (cause != NULL)
    lost = g_error_new (MOSHI_ERROR, MOSHI_ERROR_LOST,
        "The connection was lost: %s; check the network and the server.",
        cause);
  else
    lost = g_error_new_literal (MOSHI_ERROR, MOSHI_ERROR_LOST,
        "The server dropped the connection without a word; a session limit "
        "may have been reached, or the server has failed.");
  self = moshi_fault_new (lost, FALSE);
  self->close_code = code;
  return self;
}
