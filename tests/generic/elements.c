/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * docs/elements.md against the plugin itself: what its tables say of pads,
 * properties, signals, messages, tags and stats is what a program sees. Whoever
 * adds one of them is told the row to write.
 */
#include <gst/gst.h>

#include <string.h>

#include "page.h"
#include "player.h"

#define TIMEOUT (60 * GST_SECOND)
#define EXPLAIN "(say what it is)"

static const gchar *const names[] = { "moshi", "moshisink", "moshisrc" };

static Page *page;

static GstElement *
make_element (const gchar * name)
{
  GstElement *element = gst_element_factory_make (name, NULL);

  g_assert_nonnull (element);
  return gst_object_ref_sink (element);
}

/* --- rows that several elements share -------------------------------------- */

/* Whether two rows differ in their second cell, `on`, at most. */
static gboolean
is_same_row (gchar ** a, gchar ** b)
{
  guint i;

  for (i = 0; a[i] && b[i]; i++) {
    if (i != 1 && strcmp (a[i], b[i]) != 0)
      return FALSE;
  }
  return a[i] == b[i];
}

/* Adds the row NAME, ELEMENT and the cells that follow, or, where there is such
 * a row, just the element to it. */
static void G_GNUC_NULL_TERMINATED
merge (GPtrArray * rows, const gchar * element, const gchar * name, ...)
{
  GPtrArray *cells = g_ptr_array_new ();
  const gchar *cell;
  gchar **row;
  va_list args;
  guint i;

  g_ptr_array_add (cells, g_strdup (name));
  g_ptr_array_add (cells, g_strdup (element));
  va_start (args, name);
  while ((cell = va_arg (args, const gchar *)))
      g_ptr_array_add (cells, g_strdup (cell));
  va_end (args);
  g_ptr_array_add (cells, NULL);
  row = (gchar **) g_ptr_array_free (cells, FALSE);

  for (i = 0; i < rows->len; i++) {
    gchar **there = g_ptr_array_index (rows, i);
    g_autofree gchar *on = NULL;

    if (!is_same_row (there, row))
      continue;
    on = there[1];
    there[1] = g_strdup_printf ("%s, %s", on, element);
    g_strfreev (row);
    return;
  }
  g_ptr_array_add (rows, row);
}

static void
name_all (GPtrArray * rows)
{
  g_autofree gchar *all = g_strjoinv (", ", (gchar **) (const gchar *[]) {
        names[0], names[1], names[2], NULL
      });
  guint i;

  for (i = 0; i < rows->len; i++) {
    gchar **row = g_ptr_array_index (rows, i);

    if (strcmp (row[1], all) == 0) {
      g_free (row[1]);
      row[1] = g_strdup ("all");
    }
  }
}

static GPtrArray *
new_rows (void)
{
  return g_ptr_array_new_with_free_func ((GDestroyNotify) g_strfreev);
}

static gchar *
quote (const gchar * text)
{
  return g_strdup_printf ("`%s`", text);
}

/* --- properties ------------------------------------------------------------ */

static gchar *
format_type (GType type)
{
  const gchar *name = g_type_name (type);

  if (type == G_TYPE_STRING)
    name = "string";
  else if (G_TYPE_IS_ENUM (type))
    name = "enum";
  else if (G_TYPE_IS_FLAGS (type))
    name = "flags";
  else if (g_str_has_prefix (name, "g") && G_TYPE_FUNDAMENTAL (type) == type)
    name++;
  return g_strdup (name);
}

/* What $MOSHI_URI and our version make of them is told in prose. */
static gchar *
format_default (GParamSpec * pspec)
{
  GValue value = G_VALUE_INIT;
  g_autofree gchar *text = NULL;
  g_autofree gchar *number = NULL;

  if (G_IS_PARAM_SPEC_STRING (pspec)) {
    const gchar *string = G_PARAM_SPEC_STRING (pspec)->default_value;
    g_auto (GStrv) parts = NULL;

    if (string == NULL)
      return g_strdup ("");
    parts = g_strsplit (string, PLUGIN_VERSION, -1);
    number = g_strjoinv ("VERSION", parts);
    return quote (number);
  }
  if (G_IS_PARAM_SPEC_BOXED (pspec) || G_IS_PARAM_SPEC_OBJECT (pspec))
    return g_strdup ("");
  if (G_IS_PARAM_SPEC_ENUM (pspec)) {
    GParamSpecEnum *spec = G_PARAM_SPEC_ENUM (pspec);

    return quote (g_enum_get_value (spec->enum_class,
            spec->default_value)->value_nick);
  }
  if (G_IS_PARAM_SPEC_FLAGS (pspec)) {
    GParamSpecFlags *spec = G_PARAM_SPEC_FLAGS (pspec);

    return quote (spec->default_value == spec->flags_class->mask ? "all" :
        g_flags_get_first_value (spec->flags_class,
            spec->default_value)->value_nick);
  }
  g_value_init (&value, G_PARAM_SPEC_VALUE_TYPE (pspec));
  g_param_value_set_default (pspec, &value);
  text = gst_value_serialize (&value);
  g_value_unset (&value);
  return quote (text);
}

static gchar *
format_limits (const gchar * min, const gchar * max, gboolean is_all)
{
  return g_strdup_printf ("%s to %s", min, is_all ? "max" : max);
}

static gchar *
format_nicks (GParamSpecEnum * spec)
{
  GString *nicks = g_string_new (NULL);
  guint i;

  for (i = 0; i < spec->enum_class->n_values; i++)
    g_string_append_printf (nicks, "%s`%s`", i > 0 ? ", " : "",
        spec->enum_class->values[i].value_nick);
  return g_string_free (nicks, FALSE);
}

static gchar *
format_range (GParamSpec * pspec)
{
  gchar min[G_ASCII_DTOSTR_BUF_SIZE], max[G_ASCII_DTOSTR_BUF_SIZE];

  if (G_IS_PARAM_SPEC_ENUM (pspec))
    return format_nicks (G_PARAM_SPEC_ENUM (pspec));
  if (G_IS_PARAM_SPEC_INT (pspec)) {
    GParamSpecInt *spec = G_PARAM_SPEC_INT (pspec);

    g_snprintf (min, sizeof min, "%d", spec->minimum);
    g_snprintf (max, sizeof max, "%d", spec->maximum);
    return format_limits (min, max, spec->maximum == G_MAXINT);
  }
  if (G_IS_PARAM_SPEC_UINT (pspec)) {
    GParamSpecUInt *spec = G_PARAM_SPEC_UINT (pspec);

    g_snprintf (min, sizeof min, "%u", spec->minimum);
    g_snprintf (max, sizeof max, "%u", spec->maximum);
    return format_limits (min, max, spec->maximum == G_MAXUINT);
  }
  if (G_IS_PARAM_SPEC_INT64 (pspec)) {
    GParamSpecInt64 *spec = G_PARAM_SPEC_INT64 (pspec);

    g_snprintf (min, sizeof min, "%" G_GINT64_FORMAT, spec->minimum);
    g_snprintf (max, sizeof max, "%" G_GINT64_FORMAT, spec->maximum);
    return format_limits (min, max, spec->maximum == G_MAXINT64);
  }
  if (G_IS_PARAM_SPEC_DOUBLE (pspec)) {
    GParamSpecDouble *spec = G_PARAM_SPEC_DOUBLE (pspec);

    g_ascii_dtostr (min, sizeof min, spec->minimum);
    g_ascii_dtostr (max, sizeof max, spec->maximum);
    return format_limits (min, max, spec->maximum == G_MAXDOUBLE);
  }
  return g_strdup ("");
}

static const gchar *
format_access (GParamSpec * pspec)
{
  const gboolean can_write = (pspec->flags & G_PARAM_WRITABLE) != 0;
  const gboolean can_read = (pspec->flags & G_PARAM_READABLE) != 0;
  const gboolean any_time = (pspec->flags & GST_PARAM_MUTABLE_PLAYING) != 0;

  if (!can_write)
    return "read only";
  if (any_time)
    return can_read ? "PLAYING" : "PLAYING, write only";
  return can_read ? "READY" : "READY, write only";
}

static void
add_property (GPtrArray * rows, const gchar * element, GParamSpec * pspec)
{
  g_autofree gchar *name = quote (pspec->name);
  g_autofree gchar *type = format_type (G_PARAM_SPEC_VALUE_TYPE (pspec));
  g_autofree gchar *fallback = format_default (pspec);
  g_autofree gchar *range = format_range (pspec);

  merge (rows, element, name, type, fallback, range, format_access (pspec),
      g_param_spec_get_blurb (pspec), NULL);
}

static void
test_properties (void)
{
  g_autoptr (GPtrArray) rows = new_rows ();
  guint i, j, n;

  for (i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autoptr (GstElement) element = make_element (names[i]);
    g_autofree GParamSpec **specs =
        g_object_class_list_properties (G_OBJECT_GET_CLASS (element), &n);

    for (j = 0; j < n; j++) {
      if (specs[j]->owner_type == G_OBJECT_TYPE (element))
        add_property (rows, names[i], specs[j]);
    }
  }
  name_all (rows);
  page_check (page, "Properties", rows);
}

/* --- signals --------------------------------------------------------------- */

static gchar *
format_arguments (const GSignalQuery * query)
{
  GString *text = g_string_new (NULL);
  guint i;

  for (i = 0; i < query->n_params; i++) {
    const GType type = query->param_types[i] & ~G_SIGNAL_TYPE_STATIC_SCOPE;

    g_string_append_printf (text, "%s%s", i > 0 ? ", " : "",
        g_type_name (type));
  }
  return g_string_free (text, FALSE);
}

static void
test_signals (void)
{
  g_autoptr (GPtrArray) rows = new_rows ();
  guint i, j, n;

  for (i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autoptr (GstElement) element = make_element (names[i]);
    g_autofree guint *ids = g_signal_list_ids (G_OBJECT_TYPE (element), &n);

    for (j = 0; j < n; j++) {
      g_autofree gchar *name = NULL;
      g_autofree gchar *arguments = NULL;
      g_autofree gchar *returns = NULL;
      GSignalQuery query;

      g_signal_query (ids[j], &query);
      name = quote (query.signal_name);
      arguments = format_arguments (&query);
      returns = query.return_type == G_TYPE_NONE ? g_strdup ("") :
          format_type (query.return_type);
      merge (rows, names[i], name,
          query.signal_flags & G_SIGNAL_ACTION ? "action" : "question",
          arguments, returns, EXPLAIN, NULL);
    }
  }
  name_all (rows);
  page_check (page, "Signals", rows);
}

/* --- pads ------------------------------------------------------------------ */

static gchar *
format_caps (GstCaps * caps)
{
  g_autofree gchar *text = gst_caps_to_string (caps);
  g_autoptr (GRegex) types = g_regex_new ("\\((string|int)\\)", 0, 0, NULL);
  g_autofree gchar *plain = g_regex_replace_literal (types, text, -1, 0, "",
      0, NULL);

  return quote (plain);
}

static void
test_pads (void)
{
  static const gchar *const presences[] = { "always", "sometimes", "request" };
  g_autoptr (GPtrArray) rows = new_rows ();
  guint i;

  for (i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autoptr (GstElement) element = make_element (names[i]);
    const GList *item =
        gst_element_class_get_pad_template_list (GST_ELEMENT_GET_CLASS
        (element));

    for (; item; item = item->next) {
      GstPadTemplate *template = item->data;
      g_autoptr (GstCaps) caps = gst_pad_template_get_caps (template);
      g_autofree gchar *name = quote (GST_PAD_TEMPLATE_NAME_TEMPLATE
          (template));
      g_autofree gchar *formats = format_caps (caps);

      merge (rows, names[i], name,
          GST_PAD_TEMPLATE_DIRECTION (template) == GST_PAD_SINK ? "in" : "out",
          presences[GST_PAD_TEMPLATE_PRESENCE (template)], formats, EXPLAIN,
          NULL);
    }
  }
  name_all (rows);
  page_check (page, "Pads", rows);
}

/* --- what a conversation shows --------------------------------------------- */

/* Heading -> set of its facts, each the key of a row that stands for it */
typedef struct
{
  GHashTable *fields;           /* heading -> GPtrArray of rows */
  GMutex lock;                  /* tags come on the streaming thread */
} Seen;

static void
see (Seen * self, const gchar * heading, const gchar * name, GType type,
    const gchar * prose)
{
  g_autofree gchar *first = quote (name);
  g_autofree gchar *second = format_type (type);
  GPtrArray *rows;
  guint i;

  g_mutex_lock (&self->lock);
  rows = g_hash_table_lookup (self->fields, heading);
  if (rows == NULL) {
    rows = new_rows ();
    g_hash_table_insert (self->fields, g_strdup (heading), rows);
  }
  for (i = 0; i < rows->len; i++) {
    if (strcmp (((gchar **) g_ptr_array_index (rows, i))[0], first) == 0)
      break;
  }
  if (i == rows->len)
    page_add_row (rows, first, second, prose, NULL);
  g_mutex_unlock (&self->lock);
}

/* Whether it came out of the server's own JSON: those fields are its affair. */
static gboolean
is_servers (const GstStructure * structure, const gchar * field)
{
  const gchar *json = gst_structure_get_string (structure, "json");
  g_autofree gchar *quoted = g_strdup_printf ("\"%s\"", field);

  return json && strstr (json, quoted);
}

static void
see_message (Seen * self, GstMessage * message)
{
  const GstStructure *structure = gst_message_get_structure (message);
  const gchar *name;
  gint i;

  if (structure == NULL)
    return;
  name = gst_structure_get_name (structure);
  for (i = 0; i < gst_structure_n_fields (structure); i++) {
    const gchar *field = gst_structure_nth_field_name (structure, i);

    if (!is_servers (structure, field))
      see (self, name, field, gst_structure_get_field_type (structure, field),
          EXPLAIN);
  }
}

static void
see_tag (const GstTagList * tags, const gchar * tag, gpointer data)
{
  see (data, "Tags", tag, gst_tag_get_type (tag), gst_tag_get_description
      (tag));
}

static GstPadProbeReturn
on_event (GstPad * pad, GstPadProbeInfo * info, gpointer seen)
{
  GstEvent *event = GST_PAD_PROBE_INFO_EVENT (info);
  GstTagList *tags;

  if (GST_EVENT_TYPE (event) == GST_EVENT_TAG) {
    gst_event_parse_tag (event, &tags);
    gst_tag_list_foreach (tags, see_tag, seen);
  }
  return GST_PAD_PROBE_OK;
}

static void
see_stats (Seen * self, GstElement * element)
{
  g_autoptr (GstStructure) stats = NULL;
  gint i;

  g_object_get (element, "stats", &stats, NULL);
  g_assert_cmpstr (gst_structure_get_name (stats), ==,
      "application/x-moshi-stats");
  for (i = 0; i < gst_structure_n_fields (stats); i++) {
    const gchar *field = gst_structure_nth_field_name (stats, i);

    see (self, "Stats", field, gst_structure_get_field_type (stats, field),
        EXPLAIN);
  }
}

static void
talk_to_eos (Seen * self, GstElement * pipeline)
{
  g_autoptr (GstBus) bus = gst_element_get_bus (pipeline);
  gboolean over = FALSE;

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  while (!over) {
    g_autoptr (GstMessage) message = gst_bus_timed_pop_filtered (bus, TIMEOUT,
        GST_MESSAGE_EOS | GST_MESSAGE_ERROR | GST_MESSAGE_ELEMENT);
    g_autoptr (GError) error = NULL;

    g_assert_nonnull (message);
    over = GST_MESSAGE_TYPE (message) == GST_MESSAGE_EOS;
    if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ERROR)
      gst_message_parse_error (message, &error, NULL);
    else if (GST_MESSAGE_TYPE (message) == GST_MESSAGE_ELEMENT)
      see_message (self, message);
    g_assert_no_error (error);
  }
}

/* One conversation with a server that says all there is to say. */
static void
converse (Seen * self)
{
  g_autoptr (Session) session = session_load ("moshi-backend.cap");
  Player player = { session, TRUE };
  g_autoptr (PeerServer) server = peer_server_new (player_play, &player);
  g_autofree gchar *description = NULL;
  g_autoptr (GstElement) pipeline = NULL;
  g_autoptr (GstElement) moshi = NULL;
  g_autoptr (GstPad) pad = NULL;
  g_autoptr (GError) error = NULL;

  description = g_strdup_printf ("audiotestsrc num-buffers=45 "
      "samplesperbuffer=1920 ! audio/x-raw,rate=24000,channels=1 ! "
      "moshi name=m uri=ws://127.0.0.1:%u retries=0 ! fakesink",
      peer_server_get_port (server));
  pipeline = gst_parse_launch (description, &error);
  g_assert_no_error (error);
  moshi = gst_bin_get_by_name (GST_BIN (pipeline), "m");
  pad = gst_element_get_static_pad (moshi, "src");
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, on_event, self,
      NULL);
  talk_to_eos (self, pipeline);
  see_stats (self, moshi);
  gst_element_set_state (pipeline, GST_STATE_NULL);
}

/* What the sources call a message has to have a table, seen or not. */
static void
see_names (Seen * self)
{
  g_autofree gchar *folder = g_test_build_filename (G_TEST_DIST, "..", "gst",
      "moshi", NULL);
  g_autoptr (GRegex) names = g_regex_new ("gst_structure_new(?:_empty)? "
      "\\(\"(moshi-[a-z-]+)\"", 0, 0, NULL);
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const gchar *name;

  g_assert_nonnull (dir);
  while ((name = g_dir_read_name (dir))) {
    g_autofree gchar *path = g_build_filename (folder, name, NULL);
    g_autofree gchar *text = NULL;
    g_autoptr (GMatchInfo) match = NULL;

    if (!g_str_has_suffix (name, ".c")
        || !g_file_get_contents (path, &text, NULL, NULL))
      continue;
    for (g_regex_match (names, text, 0, &match); g_match_info_matches (match);
        g_match_info_next (match, NULL)) {
      g_autofree gchar *message = g_match_info_fetch (match, 1);

      if (!g_hash_table_contains (self->fields, message))
        g_hash_table_insert (self->fields, g_strdup (message), new_rows ());
    }
  }
}

static void
free_rows (gpointer rows)
{
  g_ptr_array_unref (rows);
}

static void
test_conversation (void)
{
  Seen seen = { NULL, };
  GHashTableIter iter;
  gpointer heading, rows;

  g_mutex_init (&seen.lock);
  seen.fields = g_hash_table_new_full (g_str_hash, g_str_equal, g_free,
      free_rows);
  converse (&seen);
  see_names (&seen);

  g_hash_table_iter_init (&iter, seen.fields);
  while (g_hash_table_iter_next (&iter, &heading, &rows)) {
    if (((GPtrArray *) rows)->len > 0)
      page_check (page, heading, rows);
    else if (page_get_rows (page, heading) == NULL)
      g_test_fail_printf ("docs/elements.md: add a heading \"%s\", and a table "
          "of the fields of that message below it", (gchar *) heading);
  }
  g_hash_table_unref (seen.fields);
  g_mutex_clear (&seen.lock);
}

/* Whoever asks before, or asks the other half, finds the same fields. */
static void
test_stats_everywhere (void)
{
  Seen seen = { NULL, };
  guint i;

  g_mutex_init (&seen.lock);
  seen.fields = g_hash_table_new_full (g_str_hash, g_str_equal, g_free,
      free_rows);
  for (i = 0; i < G_N_ELEMENTS (names); i++) {
    g_autoptr (GstElement) element = make_element (names[i]);

    see_stats (&seen, element);
    page_check (page, "Stats", g_hash_table_lookup (seen.fields, "Stats"));
    g_hash_table_remove_all (seen.fields);
  }
  g_hash_table_unref (seen.fields);
  g_mutex_clear (&seen.lock);
}

int
main (int argc, char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  gst_init (&argc, &argv);
  page = page_load ("elements.md");
  g_test_add_func ("/elements-page/pads", test_pads);
  g_test_add_func ("/elements-page/properties", test_properties);
  g_test_add_func ("/elements-page/signals", test_signals);
  g_test_add_func ("/elements-page/conversation", test_conversation);
  g_test_add_func ("/elements-page/stats-everywhere", test_stats_everywhere);
  status = g_test_run ();
  page_free (page);
  return status;
}
