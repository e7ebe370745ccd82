/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "moshiplan.h"

#include "moshiproxy.h"
#include "moshitrust.h"
#include "../protocol/moshiaddress.h"

#define DEFAULT_MAX_MESSAGE (4 * 1024 * 1024)
#define DEFAULT_MAX_QUEUE 10000
#define USER_AGENT "gst-moshi/" VERSION

/**
 * moshi_session_config_new:
 *
 * Returns: (transfer full): a configuration with the documented defaults and
 *     no address; free it with moshi_session_config_free()
 */
MoshiSessionConfig *
moshi_session_config_new (void)
{
  MoshiSessionConfig *self = g_new0 (MoshiSessionConfig, 1);

  self->tls_validation_flags = G_TLS_CERTIFICATE_VALIDATE_ALL;
  self->channels = 1;
  self->input_rate = 24000;
  self->max_message = DEFAULT_MAX_MESSAGE;
  self->max_queue = DEFAULT_MAX_QUEUE;
  self->life.connect_timeout = 15000;
  self->life.handshake_timeout = 60000;
  self->life.idle_timeout = 10000;
  self->life.close_timeout = 2000;
  self->life.retries = 3;
  self->life.backoff_max = 30000;
  return self;
}

static GHashTable *
copy_headers (GHashTable * headers)
{
  GHashTable *copy;
  GHashTableIter iter;
  gpointer name, value;

  if (headers == NULL)
    return NULL;
  copy = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  g_hash_table_iter_init (&iter, headers);
  while (g_hash_table_iter_next (&iter, &name, &value))
    g_hash_table_insert (copy, g_strdup (name), g_strdup (value));
  return copy;
}

static gpointer
copy_string (gconstpointer string, gpointer user_data)
{
  return g_strdup (string);
}

static GPtrArray *
copy_query (GPtrArray * query)
{
  GPtrArray *copy;

  if (query == NULL)
    return NULL;
  copy = g_ptr_array_copy (query, copy_string, NULL);
  g_ptr_array_set_free_func (copy, g_free);
  return copy;
}

/**
 * moshi_session_config_copy:
 * @config: a configuration
 *
 * Returns: (transfer full): a deep copy of it
 */
MoshiSessionConfig *
moshi_session_config_copy (const MoshiSessionConfig * config)
{
  MoshiSessionConfig *self = g_memdup2 (config, sizeof (*config));

  self->uri = g_strdup (config->uri);
  self->api_key = g_strdup (config->api_key);
  self->headers = copy_headers (config->headers);
  self->query = copy_query (config->query);
  self->user_agent = g_strdup (config->user_agent);
  self->proxy = g_strdup (config->proxy);
  self->proxy_id = g_strdup (config->proxy_id);
  self->proxy_pw = g_strdup (config->proxy_pw);
  self->tls_ca_file = g_strdup (config->tls_ca_file);
  if (self->tls_database != NULL)
    g_object_ref (self->tls_database);
  if (self->tls_interaction != NULL)
    g_object_ref (self->tls_interaction);
  if (self->first_message != NULL)
    g_bytes_ref (self->first_message);
  return self;
}

/**
 * moshi_session_config_free:
 * @config: (transfer full): a configuration, with all it holds
 */
void
moshi_session_config_free (MoshiSessionConfig * config)
{
  g_free (config->uri);
  g_free (config->api_key);
  g_clear_pointer (&config->headers, g_hash_table_unref);
  g_clear_pointer (&config->query, g_ptr_array_unref);
  g_free (config->user_agent);
  g_free (config->proxy);
  g_free (config->proxy_id);
  g_free (config->proxy_pw);
  g_free (config->tls_ca_file);
  g_clear_object (&config->tls_database);
  g_clear_object (&config->tls_interaction);
  g_clear_pointer (&config->first_message, g_bytes_unref);
  g_free (config);
}

static gboolean
check_headers (const MoshiSessionConfig * config, GError ** error)
{
  GHashTableIter iter;
  gpointer name, value;

  if (config->user_agent != NULL
      && !moshi_header_check ("User-Agent", config->user_agent, error))
    return FALSE;
  if (config->headers == NULL)
    return TRUE;
  g_hash_table_iter_init (&iter, config->headers);
  while (g_hash_table_iter_next (&iter, &name, &value)) {
    if (!moshi_header_check (name, value, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
check_numbers (const MoshiSessionConfig * config, GError ** error)
{
  if (config->channels != 1 && config->channels != 2) {
    g_set_error (error, MOSHI_ERROR, MOSHI_ERROR_SETTINGS,
        "Audio of %u channels cannot be sent; give one or two.",
        config->channels);
    return FALSE;
  }
  if (config->pre_skip > G_MAXUINT16) {
    g_set_error (error, MOSHI_ERROR, MOSHI_ERROR_SETTINGS,
        "A pre-skip of %u samples cannot be written; give at most %u.",
        config->pre_skip, G_MAXUINT16);
    return FALSE;
  }
  if (config->query != NULL && config->query->len % 2 != 0) {
    g_set_error_literal (error, MOSHI_ERROR, MOSHI_ERROR_SETTINGS,
        "The last query parameter has no value; give it one.");
    return FALSE;
  }
  return TRUE;
}

static gboolean
has_key (const MoshiSessionConfig * config)
{
  return config->api_key != NULL && *config->api_key != '\0';
}

static gboolean
plan_address (MoshiPlan * self, gboolean * tls, GError ** error)
{
  const MoshiSessionConfig *config = self->config;
  g_autoptr (MoshiAddress) address = NULL;
  guint i;

  if (config->uri == NULL) {
    g_set_error_literal (error, MOSHI_ERROR, MOSHI_ERROR_SETTINGS,
        "There is no URI to connect to; set it.");
    return FALSE;
  }
  address = moshi_address_new (config->uri, error);
  if (address == NULL)
    return FALSE;
  for (i = 0; config->query != NULL && i < config->query->len; i += 2) {
    if (!moshi_address_set_query (address, config->query->pdata[i],
            config->query->pdata[i + 1], error))
      return FALSE;
  }
  if (has_key (config)) {
    if (!moshi_key_check (config->api_key, error))
      return FALSE;
    if (config->auth_method == MOSHI_AUTH_HEADER)
      self->bearer = config->api_key;
    else if (!moshi_address_set_token (address, config->api_key, error))
      return FALSE;
  }
  self->url = moshi_address_to_string (address);
  self->redacted = moshi_address_to_redacted (address);
  self->host = g_strdup (moshi_address_get_host (address));
  self->has_secret = moshi_address_has_secret (address);
  *tls = moshi_address_is_tls (address);
  return TRUE;
}

static gboolean
plan_trust (MoshiPlan * self, GError ** error)
{
  const MoshiSessionConfig *config = self->config;
  g_autofree gchar *path = NULL;
  g_autoptr (GError) reason = NULL;

  if (config->tls_ca_file == NULL) {
    g_set_object (&self->database, config->tls_database);
    return TRUE;
  }
  /* GIO takes absolute paths only. */
  path = g_canonicalize_filename (config->tls_ca_file, NULL);
  self->database = moshi_trust_get_file (path, &reason);
  if (self->database != NULL)
    return TRUE;
  g_set_error (error, MOSHI_ERROR, MOSHI_ERROR_SETTINGS,
      "The CA file cannot be used: %s; give a file of certificates in PEM.",
      reason->message);
  return FALSE;
}

/* Of "Bearer KEY" the key is the secret. What is so short that it is part of
 * any sentence cannot be kept one. */
static void
add_secret (MoshiPlan * self, const gchar * value)
{
  const gchar *space = strrchr (value, ' ');

  if (space != NULL)
    value = space + 1;
  if (strlen (value) >= 4)
    g_ptr_array_add (self->secrets, g_strdup (value));
}

/* Servers repeat in their answers what they do not like. */
static void
collect_secrets (MoshiPlan * self)
{
  const MoshiSessionConfig *config = self->config;
  g_autoptr (GUri) uri = g_uri_parse (self->url, G_URI_FLAGS_ENCODED_QUERY,
      NULL);
  GUriParamsIter params;
  GHashTableIter iter;
  gpointer key, held;
  gchar *name, *value;

  if (has_key (config))
    add_secret (self, config->api_key);
  if (config->proxy_pw != NULL)
    add_secret (self, config->proxy_pw);
  if (config->headers != NULL) {
    g_hash_table_iter_init (&iter, config->headers);
    while (g_hash_table_iter_next (&iter, &key, &held)) {
      if (moshi_name_is_secret (key))
        add_secret (self, held);
    }
  }
  if (uri == NULL || g_uri_get_query (uri) == NULL)
    return;
  g_uri_params_iter_init (&params, g_uri_get_query (uri), -1, "&",
      G_URI_PARAMS_NONE);
  while (g_uri_params_iter_next (&params, &name, &value, NULL)) {
    if (moshi_name_is_secret (name))
      add_secret (self, value);
    g_free (name);
    g_free (value);
  }
}

/* Where the request goes first: nothing is looked up, and desktops' settings
 * are not asked, as that can take its time. */
static gboolean
has_far_proxy (MoshiPlan * self)
{
  g_auto (GStrv) proxies = NULL;
  guint i;

  if (!G_IS_SIMPLE_PROXY_RESOLVER (self->resolver))
    return FALSE;
  proxies = g_proxy_resolver_lookup (self->resolver, self->url, NULL, NULL);
  for (i = 0; proxies != NULL && proxies[i] != NULL; i++) {
    g_autoptr (GUri) uri = g_uri_parse (proxies[i], G_URI_FLAGS_HAS_PASSWORD,
        NULL);

    if (uri != NULL && !g_str_equal (g_uri_get_scheme (uri), "direct")
        && !moshi_host_is_loopback (g_uri_get_host (uri)))
      return TRUE;
  }
  return FALSE;
}

/* Returns: (nullable): what credential the request holds */
static const gchar *
find_credential (MoshiPlan * self)
{
  const MoshiSessionConfig *config = self->config;
  GHashTableIter iter;
  gpointer name;

  if (has_key (config))
    return "The API key";
  if (self->has_secret)
    return "A credential in the query";
  if (config->headers == NULL)
    return NULL;
  g_hash_table_iter_init (&iter, config->headers);
  while (g_hash_table_iter_next (&iter, &name, NULL)) {
    if (moshi_name_is_secret (name))
      return "A credential in the extra headers";
  }
  return NULL;
}

/* Credentials leave this machine encrypted, or not at all, or because the user
 * has said so. */
static gboolean
plan_risk (MoshiPlan * self, gboolean tls, GError ** error)
{
  const gchar *what = find_credential (self);

  if (tls) {
    if (self->config->tls_validation_flags != G_TLS_CERTIFICATE_VALIDATE_ALL)
      self->risk = g_strdup_printf ("The certificate of %s is not checked in "
          "full: somebody else may answer in its name; set "
          "tls-validation-flags to validate-all.", self->host);
    return TRUE;
  }
  if (what == NULL || (moshi_host_is_loopback (self->host)
          && !has_far_proxy (self)))
    return TRUE;
  if (!self->config->allow_insecure_auth) {
    g_set_error (error, MOSHI_ERROR, MOSHI_ERROR_SETTINGS,
        "%s would go to %s without encryption, for everybody on the way to "
        "read; use wss, or set allow-insecure-auth to true.", what, self->host);
    return FALSE;
  }
  self->risk = g_strdup_printf ("%s goes to %s without encryption, for "
      "everybody on the way to read, as allow-insecure-auth says; use wss.",
      what, self->host);
  return TRUE;
}

/**
 * moshi_plan_new:
 * @config: a configuration; copied
 * @error: return location for an error
 *
 * Checks all of a configuration and works out what follows from it. Reads the
 * CA file and the environment. May be called from any thread.
 *
 * Returns: (transfer full) (nullable): a plan, or %NULL with @error set, most
 *     often to %MOSHI_ERROR_SETTINGS
 */
MoshiPlan *
moshi_plan_new (const MoshiSessionConfig * config, GError ** error)
{
  g_autoptr (MoshiPlan) self = g_new0 (MoshiPlan, 1);
  gboolean tls = FALSE;
  GError *reason = NULL;

  self->config = moshi_session_config_copy (config);
  self->secrets = g_ptr_array_new_with_free_func (g_free);
  if (self->config->max_message == 0)
    self->config->max_message = DEFAULT_MAX_MESSAGE;
  if (self->config->max_queue == 0)
    self->config->max_queue = DEFAULT_MAX_QUEUE;
  self->user_agent = self->config->user_agent != NULL
      && *self->config->user_agent != '\0'
      ? self->config->user_agent : USER_AGENT;
  if (!check_numbers (self->config, error)
      || !check_headers (self->config, error)
      || !plan_address (self, &tls, error) || !plan_trust (self, error))
    return NULL;
  collect_secrets (self);
  self->resolver = moshi_proxy_resolver_new (config->proxy, config->proxy_id,
      config->proxy_pw, tls, &reason);
  if (reason != NULL) {
    g_propagate_error (error, reason);
    return NULL;
  }
  if (!plan_risk (self, tls, error))
    return NULL;
  return g_steal_pointer (&self);
}

/**
 * moshi_plan_free:
 * @self: (transfer full): a plan
 */
void
moshi_plan_free (MoshiPlan * self)
{
  moshi_session_config_free (self->config);
  g_free (self->url);
  g_free (self->redacted);
  g_free (self->host);
  g_free (self->risk);
  g_clear_object (&self->database);
  g_clear_object (&self->resolver);
  g_ptr_array_unref (self->secrets);
  g_free (self);
}

/**
 * moshi_session_config_check:
 * @config: a configuration
 * @error: return location for an error
 *
 * Does all the checks of moshi_session_new(). May be called from any thread.
 *
 * Returns: %TRUE when it can be used; else %FALSE with @error set, most often
 *     to %MOSHI_ERROR_SETTINGS
 */
gboolean
moshi_session_config_check (const MoshiSessionConfig * config, GError ** error)
{
  g_autoptr (MoshiPlan) plan = moshi_plan_new (config, error);

  return plan != NULL;
}
