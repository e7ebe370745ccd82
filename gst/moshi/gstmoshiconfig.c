/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* From settings to what a session needs to know, and the checks on the way. */

#include "gstmoshisettings.h"

#include <string.h>

static gboolean
is_empty (const gchar * text)
{
  return text == NULL || *text == '\0';
}

/* The shortest decimal that reads back as the same number, with a point in
 * every locale: 0.8 must not travel as 0.80000000000000004. */
static gchar *
format_number (gdouble number, gboolean single)
{
  gchar format[8], buffer[G_ASCII_DTOSTR_BUF_SIZE];
  gint digits = single ? 6 : 15, most = single ? 9 : 17;

  for (; digits <= most; digits++) {
    gdouble back;

    g_snprintf (format, sizeof (format), "%%.%dg", digits);
    g_ascii_formatd (buffer, sizeof (buffer), format, number);
    back = g_ascii_strtod (buffer, NULL);
    if (back == number || (single && (gfloat) back == (gfloat) number))
      break;
  }
  return g_strdup (buffer);
}

/* Returns: (transfer full) (nullable): %NULL if the value has no plain text */
static gchar *
value_to_text (const GValue * value)
{
  GValue text = G_VALUE_INIT;
  gchar *result = NULL;

  if (G_VALUE_HOLDS_DOUBLE (value))
    return format_number (g_value_get_double (value), FALSE);
  if (G_VALUE_HOLDS_FLOAT (value))
    return format_number (g_value_get_float (value), TRUE);
  if (G_VALUE_HOLDS_BOOLEAN (value))
    return g_strdup (g_value_get_boolean (value) ? "true" : "false");
  if (g_type_is_a (G_VALUE_TYPE (value), G_TYPE_BOXED))
    return NULL;

  g_value_init (&text, G_TYPE_STRING);
  if (g_value_transform (value, &text))
    result = g_value_dup_string (&text);
  g_value_unset (&text);
  return result;
}

/* Several values of one header are one value with commas, RFC 9110
 * section 5.3. */
static gchar *
list_to_text (const GValue * value)
{
  gboolean is_array = GST_VALUE_HOLDS_ARRAY (value);
  guint i, n = is_array ? gst_value_array_get_size (value)
      : gst_value_list_get_size (value);
  GString *text = g_string_new (NULL);

  for (i = 0; i < n; i++) {
    g_autofree gchar *item = value_to_text (is_array
        ? gst_value_array_get_value (value, i)
        : gst_value_list_get_value (value, i));

    if (item == NULL) {
      g_string_free (text, TRUE);
      return NULL;
    }
    if (i > 0)
      g_string_append (text, ", ");
    g_string_append (text, item);
  }
  return g_string_free (text, FALSE);
}

typedef void (*AddFunc) (MoshiSessionConfig * config, const gchar * name,
    gchar * text);

static void
add_header (MoshiSessionConfig * config, const gchar * name, gchar * text)
{
  if (config->headers == NULL)
    config->headers = g_hash_table_new_full (g_str_hash, g_str_equal, g_free,
        g_free);
  g_hash_table_replace (config->headers, g_strdup (name), text);
}

static void
add_query (MoshiSessionConfig * config, const gchar * name, gchar * text)
{
  if (config->query == NULL)
    config->query = g_ptr_array_new_with_free_func (g_free);
  g_ptr_array_add (config->query, g_strdup (name));
  g_ptr_array_add (config->query, text);
}

static gboolean
collect_fields (const GstStructure * fields, const gchar * property,
    AddFunc add, MoshiSessionConfig * config, GError ** error)
{
  gint i;

  for (i = 0; fields && i < gst_structure_n_fields (fields); i++) {
    const gchar *name = gst_structure_nth_field_name (fields, i);
    const GValue *value = gst_structure_get_value (fields, name);
    gboolean is_list = GST_VALUE_HOLDS_ARRAY (value)
        || GST_VALUE_HOLDS_LIST (value);
    gchar *text = NULL;

    if (!is_list)
      text = value_to_text (value);
    else if (add == add_header)
      text = list_to_text (value);
    if (text == NULL) {
      g_set_error (error, MOSHI_ERROR, MOSHI_ERROR_SETTINGS,
          "The value of %s in %s has no plain text: use a string, a number "
          "or a boolean.", name, property);
      return FALSE;
    }
    add (config, name, text);
  }
  return TRUE;
}

/* In the order of the table, whatever order they were set in, so that one
 * conversation has one address. */
static void
collect_model (const GstMoshiSettings * self, MoshiSessionConfig * config)
{
  const gchar *name;
  guint i;

  for (i = 0; self->model && (name = gst_moshi_settings_get_model_name (i));
      i++) {
    if (gst_structure_has_field (self->model, name)
        && !(self->query_parameters
            && gst_structure_has_field (self->query_parameters, name)))
      add_query (config, name,
          value_to_text (gst_structure_get_value (self->model, name)));
  }
}

static const gchar *
find_query (const MoshiSessionConfig * config, const gchar * name)
{
  guint i;

  for (i = 0; config->query && i < config->query->len; i += 2) {
    if (strcmp (g_ptr_array_index (config->query, i), name) == 0)
      return g_ptr_array_index (config->query, i + 1);
  }
  return NULL;
}

static gboolean
has_authorization (const GstStructure * headers)
{
  gint i;

  for (i = 0; headers && i < gst_structure_n_fields (headers); i++) {
    if (g_ascii_strcasecmp (gst_structure_nth_field_name (headers, i),
            "Authorization") == 0)
      return TRUE;
  }
  return FALSE;
}

/* Whether there is a proxy that a user name can be for: the environment's is
 * one as well. */
static gboolean
has_proxy (const MoshiSessionConfig * config)
{
  static const gchar *const names[] = { "http_proxy", "HTTP_PROXY",
    "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (names); i++) {
    if (!is_empty (g_getenv (names[i])))
      return TRUE;
  }
  return config->proxy != NULL;
}

/* Returns: (nullable): the first contradiction, as a sentence for the user */
static const gchar *
find_contradiction (const GstMoshiSettings * self,
    const MoshiSessionConfig * config)
{
  gboolean penalty = find_query (config, "repetition_penalty") != NULL;
  gboolean context = find_query (config, "repetition_penalty_context") != NULL;

  if (config->uri == NULL)
    return "No server is named: set uri, or $MOSHI_URI, to its address.";
  if (config->api_key && config->auth_method == MOSHI_AUTH_HEADER
      && has_authorization (self->extra_headers))
    return "Both api-key and extra-headers give an Authorization: "
        "set api-key to an empty string, or leave the header out.";
  if (config->api_key && config->auth_method == MOSHI_AUTH_QUERY
      && find_query (config, "token"))
    return "Both api-key and query-parameters give a token: "
        "set api-key to an empty string, or leave the parameter out.";
  if (config->tls_ca_file && config->tls_database)
    return "Both tls-ca-file and tls-database say whom to trust: set one.";
  if ((config->proxy_id || config->proxy_pw) && !has_proxy (config))
    return "proxy-id and proxy-pw are of no use without a proxy: "
        "set proxy to its address.";
  if (config->proxy_id == NULL && config->proxy_pw)
    return "proxy-pw is of no use without a user: set proxy-id.";
  if (penalty != context)
    return "repetition-penalty and repetition-penalty-context only work "
        "together: set both, or neither.";
  if ((self->dialect == GST_MOSHI_DIALECT_MOSHI
          || self->dialect == GST_MOSHI_DIALECT_MOSHIVIS)
      && self->model && (gst_structure_has_field (self->model, "voice_prompt")
          || gst_structure_has_field (self->model, "text_prompt")))
    return "voice-prompt and text-prompt are PersonaPlex's, and dialect names "
        "another server: set it to personaplex or auto, or leave them unset.";
  if (self->dialect == GST_MOSHI_DIALECT_PERSONAPLEX
      && (is_empty (find_query (config, "voice_prompt"))
          || is_empty (find_query (config, "text_prompt"))))
    return "PersonaPlex needs a voice and a role: "
        "set voice-prompt and text-prompt.";
  return NULL;
}

static void
replace (gchar ** to, const gchar * from)
{
  g_free (*to);
  *to = is_empty (from) ? NULL : g_strdup (from);
}

static void
copy_connection (const GstMoshiSettings * self, MoshiSessionConfig * config)
{
  replace (&config->uri, self->uri);
  replace (&config->api_key, self->api_key);
  config->auth_method = self->auth_method;
  config->allow_insecure_auth = self->allow_insecure_auth;
  replace (&config->user_agent, self->user_agent);
  replace (&config->proxy, self->proxy);
  replace (&config->proxy_id, self->proxy_id);
  replace (&config->proxy_pw, self->proxy_pw);
  config->tls_validation_flags = self->tls_validation_flags;
  replace (&config->tls_ca_file, self->tls_ca_file);
  g_set_object (&config->tls_database, self->tls_database);
  g_set_object (&config->tls_interaction, self->tls_interaction);
  config->keepalive_interval = self->keepalive_interval;
}

static void
copy_life (const GstMoshiSettings * self, gboolean resume,
    MoshiLifeConfig * life)
{
  life->connect_timeout = self->connect_timeout;
  life->handshake_timeout = self->handshake_timeout;
  life->idle_timeout = self->idle_timeout;
  life->retries = self->retries;
  life->backoff_max = self->retry_backoff_max;
  life->resume = resume;
}

/**
 * gst_moshi_settings_to_config:
 * @self: settings that no other thread changes: a copy
 * @resume: whether a session that is lost is followed by another (live input)
 * @config: (out) (transfer full): what a session needs to know
 * @error: (out): set on failure to a %MOSHI_ERROR_SETTINGS whose message says
 *     which property to mend and holds no key
 *
 * Makes a session's configuration of the connection settings, after checking
 * that they can be used and do not contradict one another. Model parameters
 * that were set come first in its query, in a fixed order; a field of
 * `query-parameters` wins over a model parameter of the same name. Empty
 * strings count as unset. What describes the audio (channels, rate, pre-skip)
 * and the first message are the caller's to fill in; the session limit is not
 * part of it.
 *
 * Any thread, no lock taken; does not block.
 *
 * Returns: %FALSE with @error set, and @config untouched, on failure
 */
gboolean
gst_moshi_settings_to_config (const GstMoshiSettings * self, gboolean resume,
    MoshiSessionConfig ** config, GError ** error)
{
  g_autoptr (MoshiSessionConfig) result = moshi_session_config_new ();
  const gchar *contradiction;

  copy_connection (self, result);
  copy_life (self, resume, &result->life);
  collect_model (self, result);
  if (!collect_fields (self->query_parameters, "query-parameters", add_query,
          result, error)
      || !collect_fields (self->extra_headers, "extra-headers", add_header,
          result, error))
    return FALSE;

  contradiction = find_contradiction (self, result);
  if (contradiction) {
    g_set_error_literal (error, MOSHI_ERROR, MOSHI_ERROR_SETTINGS,
        contradiction);
    return FALSE;
  }
  if (!moshi_session_config_check (result, error))
    return FALSE;

  *config = g_steal_pointer (&result);
  return TRUE;
}
