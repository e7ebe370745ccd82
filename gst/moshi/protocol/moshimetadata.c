/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "moshimetadata.h"

#include <errno.h>
#include <json-glib/json-glib.h>
#include <math.h>
#include <string.h>

#include "moshierror.h"

/*
 * What stands between a peer and json-glib
 *
 * json-glib reads more than JSON (comments, single quotes, octal numbers), it
 * recurses, wraps integers that do not fit, takes 1e999 for infinity, cuts
 * strings at \u0000, takes a second value after the first, and refuses a whole
 * message for one surrogate on its own.
 * So nothing reaches it as it came: check_text() copies the message token by
 * token, without recursion. It refuses every character outside strings that
 * JSON does not have, so that both agree on what is a string and what is
 * nesting, and nesting above the limit; it respells numbers that json-glib
 * would get wrong (an integer beyond 64 bits becomes a double, a double beyond
 * its range the largest there is) and escapes that are no character (U+FFFD).
 * The grammar of what is left is json-glib's to check.
 */

#define MAX_FIELDS 256
#define BOM "\xEF\xBB\xBF"

/* Text up to a NUL, and its copy for json-glib. */
typedef struct
{
  const gchar *at;
  GString *copy;
} Scan;

static gboolean
refuse (GError ** error, const gchar * what)
{
  g_set_error (error, MOSHI_ERROR, MOSHI_ERROR_MESSAGE,
      "The server's metadata cannot be read: %s.", what);
  return FALSE;
}

/* The four digits at @hex, or -1. */
static gint
read_hex (const gchar * hex)
{
  gint value = 0;
  guint i;

  for (i = 0; i < 4; i++) {
    if (!g_ascii_isxdigit (hex[i]))
      return -1;
    value = value << 4 | g_ascii_xdigit_value (hex[i]);
  }
  return value;
}

static gboolean
is_surrogate (gint value, gint first)
{
  return value >= first && value < first + 0x400;
}

/* At \uXXXX: copies it, both halves of a pair together (RFC 8259 section 7). */
static gboolean
copy_unicode_escape (Scan * scan)
{
  gint value = read_hex (scan->at + 2);
  gsize size = 6;

  if (value < 0)
    return FALSE;
  if (is_surrogate (value, 0xD800) && scan->at[6] == '\\'
      && scan->at[7] == 'u' && is_surrogate (read_hex (scan->at + 8), 0xDC00))
    size = 12;
  if (value == 0 || (size == 6 && value >= 0xD800 && value < 0xE000))
    g_string_append (scan->copy, "\\ufffd");
  else
    g_string_append_len (scan->copy, scan->at, size);
  scan->at += size;
  return TRUE;
}

/* At the opening quote: copies the string with its quotes. */
static gboolean
copy_string (Scan * scan)
{
  g_string_append_c (scan->copy, *scan->at++);
  while (*scan->at != '"') {
    if (*scan->at == '\0')
      return FALSE;
    if (scan->at[0] == '\\' && scan->at[1] == 'u') {
      if (!copy_unicode_escape (scan))
        return FALSE;
      continue;
    }
    if (*scan->at == '\\') {
      if (scan->at[1] == '\0' || strchr ("\"\\/bfnrt", scan->at[1]) == NULL)
        return FALSE;
      g_string_append_c (scan->copy, *scan->at++);
    }
    g_string_append_c (scan->copy, *scan->at++);
  }
  g_string_append_c (scan->copy, *scan->at++);
  return TRUE;
}

static gsize
skip_digits (const gchar ** at)
{
  gsize size = strspn (*at, "0123456789");

  *at += size;
  return size;
}

/* The end of the number at @at, or NULL (RFC 8259 section 6); @whole tells
 * whether it has neither fraction nor exponent. */
static const gchar *
find_number_end (const gchar * at, gboolean * whole)
{
  const gchar *digits;

  if (*at == '-')
    at++;
  digits = at;
  if (skip_digits (&at) == 0 || (*digits == '0' && at - digits > 1))
    return NULL;
  *whole = TRUE;
  if (*at == '.') {
    *whole = FALSE;
    at++;
    if (skip_digits (&at) == 0)
      return NULL;
  }
  if (*at == 'e' || *at == 'E') {
    *whole = FALSE;
    at++;
    if (*at == '+' || *at == '-')
      at++;
    if (skip_digits (&at) == 0)
      return NULL;
  }
  return at;
}

static gboolean
copy_number (Scan * scan)
{
  gchar spelled[G_ASCII_DTOSTR_BUF_SIZE];
  gboolean whole = FALSE;
  const gchar *end = find_number_end (scan->at, &whole);
  gdouble number;

  if (end == NULL)
    return FALSE;
  number = g_ascii_strtod (scan->at, NULL);
  if (isinf (number)) {
    number = number > 0 ? G_MAXDOUBLE : -G_MAXDOUBLE;
    g_string_append (scan->copy,
        g_ascii_dtostr (spelled, sizeof spelled, number));
  } else {
    g_string_append_len (scan->copy, scan->at, end - scan->at);
    errno = 0;
    if (whole) {
      g_ascii_strtoll (scan->at, NULL, 10);
      if (errno == ERANGE)
        g_string_append (scan->copy, "e0");
    }
  }
  scan->at = end;
  return TRUE;
}

/* One token that is neither bracket nor space. */
static gboolean
copy_token (Scan * scan)
{
  static const gchar *const literals[] = { "true", "false", "null" };
  guint i;

  if (*scan->at == '"')
    return copy_string (scan);
  if (*scan->at == '-' || g_ascii_isdigit (*scan->at))
    return copy_number (scan);
  if (*scan->at == ',' || *scan->at == ':') {
    g_string_append_c (scan->copy, *scan->at++);
    return TRUE;
  }
  for (i = 0; i < G_N_ELEMENTS (literals); i++) {
    if (g_str_has_prefix (scan->at, literals[i])) {
      g_string_append (scan->copy, literals[i]);
      scan->at += strlen (literals[i]);
      return TRUE;
    }
  }
  return FALSE;
}

/* Follows the nesting: one object, and nothing before or after it. */
static gboolean
check_nesting (gchar c, gboolean first, guint * depth, GError ** error)
{
  if (*depth == 0 && (!first || c != '{'))
    return refuse (error, "it is not one JSON object");
  if (c == '{' || c == '[')
    *depth += 1;
  else if (c == '}' || c == ']')
    *depth -= 1;
  if (*depth > MOSHI_METADATA_MAX_DEPTH)
    return refuse (error, "it is nested too deeply");
  return TRUE;
}

/* Copies the text for json-glib; see the essay. */
static gboolean
check_text (const gchar * text, GString * copy, GError ** error)
{
  Scan scan = { text, copy };
  guint depth = 0;
  gboolean first = TRUE;

  while (*scan.at != '\0') {
    gchar c = *scan.at;

    if (!g_ascii_isspace (c)) {
      if (!check_nesting (c, first, &depth, error))
        return FALSE;
      first = FALSE;
    }
    if (strchr ("{}[] \t\r\n", c) != NULL) {
      g_string_append_c (copy, c);
      scan.at++;
    } else if (!copy_token (&scan)) {
      return refuse (error, "it is not JSON");
    }
  }
  return TRUE;
}

static void
free_field (gpointer data)
{
  MoshiMetadataField *field = data;

  g_free (field->name);
  g_free (field->string);
  g_free (field);
}

static void
read_value (MoshiMetadataField * field, JsonNode * node)
{
  GType type = JSON_NODE_HOLDS_VALUE (node)
      ? json_node_get_value_type (node) : G_TYPE_INVALID;

  if (type == G_TYPE_STRING) {
    field->kind = 's';
    field->string = json_node_dup_string (node);
  } else if (type == G_TYPE_BOOLEAN) {
    field->kind = 'b';
    field->integer = json_node_get_boolean (node);
  } else if (type == G_TYPE_INT64) {
    field->kind = 'i';
    field->integer = json_node_get_int (node);
  } else if (type == G_TYPE_DOUBLE) {
    field->kind = 'd';
    field->number = json_node_get_double (node);
  } else {
    field->kind = 'j';
    field->string = json_to_string (node, FALSE);
  }
}

static void
on_member (JsonObject * object, const gchar * name, JsonNode * node,
    gpointer data)
{
  GPtrArray *fields = data;
  MoshiMetadataField *field;

  if (fields->len == MAX_FIELDS)
    return;
  field = g_new0 (MoshiMetadataField, 1);
  field->name = g_strdup (name);
  read_value (field, node);
  g_ptr_array_add (fields, field);
}

static GPtrArray *
parse_text (const gchar * text, GError ** error)
{
  g_autoptr (GString) copy = g_string_new (NULL);
  g_autoptr (JsonParser) parser = json_parser_new_immutable ();
  JsonNode *root;
  GPtrArray *fields;

  if (!check_text (text, copy, error))
    return NULL;
  if (!json_parser_load_from_data (parser, copy->str, copy->len, NULL)) {
    refuse (error, "it is not JSON");
    return NULL;
  }
  root = json_parser_get_root (parser);
  if (root == NULL || !JSON_NODE_HOLDS_OBJECT (root)) {
    refuse (error, "it is not one JSON object");
    return NULL;
  }
  fields = g_ptr_array_new_with_free_func (free_field);
  json_object_foreach_member (json_node_get_object (root), on_member, fields);
  return fields;
}

/**
 * moshi_metadata_parse:
 * @data: (array length=size) (nullable): payload of a metadata message
 * @size: its length in bytes
 * @json: (out) (optional) (nullable) (transfer full): the text the server sent,
 *     for display: as it came but for a byte order mark, which goes, and for
 *     invalid UTF-8 and NUL, which become U+FFFD. Set also when the text is no
 *     JSON object; %NULL when it is empty or above %MOSHI_METADATA_MAX_SIZE
 * @error: where to store a %MOSHI_ERROR_MESSAGE
 *
 * Reads the top-level members of a JSON object, in the server's order, the
 * first 256 of them. A name that comes twice keeps its first place and its last
 * value. An integer beyond 64 bits is a double; a number beyond a double's
 * range is the largest double. May be called from any thread.
 *
 * Source: RFC 8259; MetaData in rust/moshi-backend/src/stream_both.rs
 * (kyutai-labs/moshi).
 *
 * Returns: (transfer full) (nullable) (element-type MoshiMetadataField): the
 *     fields, freed with the array; %NULL with @error set on failure
 */
GPtrArray *
moshi_metadata_parse (const guint8 * data, gsize size, gchar ** json,
    GError ** error)
{
  g_autofree gchar *text = NULL;
  GPtrArray *fields;

  if (json != NULL)
    *json = NULL;
  if (size > MOSHI_METADATA_MAX_SIZE) {
    refuse (error, "it is too long");
    return NULL;
  }
  if (size >= strlen (BOM) && memcmp (data, BOM, strlen (BOM)) == 0) {
    data += strlen (BOM);
    size -= strlen (BOM);
  }
  if (size == 0) {
    refuse (error, "it is empty");
    return NULL;
  }

  text = g_utf8_make_valid ((const gchar *) data, size);
  fields = parse_text (text, error);
  if (json != NULL)
    *json = g_steal_pointer (&text);
  return fields;
}
