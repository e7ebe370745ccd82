/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <gio/gio.h>
#include <gst/gst.h>

#include "gstmoshierror.h"
#include "protocol/moshierror.h"

typedef struct
{
  GstElement *element;
  GstBus *bus;
} Fixture;

static void
set_up (Fixture * fixture, gconstpointer data)
{
  fixture->element = gst_object_ref_sink (gst_bin_new ("speaker"));
  fixture->bus = gst_bus_new ();
  gst_element_set_bus (fixture->element, fixture->bus);
}

static void
tear_down (Fixture * fixture, gconstpointer data)
{
  g_assert_null (gst_bus_pop (fixture->bus));
  gst_element_set_bus (fixture->element, NULL);
  gst_object_unref (fixture->bus);
  gst_object_unref (fixture->element);
}

/* Returns: (transfer full): the details of the next message */
static GstStructure *
pop (Fixture * fixture, GstMessageType type, GError ** error, gchar ** debug)
{
  GstMessage *message = gst_bus_pop (fixture->bus);
  const GstStructure *details = NULL;
  GstStructure *copy;

  g_assert_nonnull (message);
  g_assert_cmpint (GST_MESSAGE_TYPE (message), ==, type);
  g_assert_true (GST_MESSAGE_SRC (message) == GST_OBJECT (fixture->element));
  if (type == GST_MESSAGE_ERROR) {
    gst_message_parse_error (message, error, debug);
    gst_message_parse_error_details (message, &details);
  } else {
    gst_message_parse_warning (message, error, debug);
    gst_message_parse_warning_details (message, &details);
  }
  copy = details ? gst_structure_copy (details) : NULL;
  gst_message_unref (message);
  return copy;
}

static void
expect (Fixture * fixture, GstMessageType type, GQuark domain, gint code,
    const gchar * text)
{
  g_autoptr (GError) error = NULL;
  g_autofree gchar *debug = NULL;
  GstStructure *details = pop (fixture, type, &error, &debug);

  g_assert_error (error, domain, code);
  g_assert_cmpstr (error->message, ==, text);
  g_assert_null (details);
}

/* The documented table, and the two codes it leaves open. */
static void
test_codes (Fixture * fixture, gconstpointer data)
{
  const struct
  {
    MoshiError code;
    GQuark domain;
    gint bus_code;
  } cases[] = {
    {MOSHI_ERROR_SETTINGS, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS},
    {MOSHI_ERROR_NOT_FOUND, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND},
    {MOSHI_ERROR_NOT_AUTHORIZED, GST_RESOURCE_ERROR,
        GST_RESOURCE_ERROR_NOT_AUTHORIZED},
    {MOSHI_ERROR_BUSY, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_BUSY},
    {MOSHI_ERROR_CONNECT, GST_RESOURCE_ERROR,
        GST_RESOURCE_ERROR_OPEN_READ_WRITE},
    {MOSHI_ERROR_LOST, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_READ},
    {MOSHI_ERROR_SERVER, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_FAILED},
    {MOSHI_ERROR_MESSAGE, GST_STREAM_ERROR, GST_STREAM_ERROR_DEMUX},
    {MOSHI_ERROR_OGG, GST_STREAM_ERROR, GST_STREAM_ERROR_DEMUX},
    {MOSHI_ERROR_OPUS, GST_STREAM_ERROR, GST_STREAM_ERROR_DECODE},
    {MOSHI_ERROR_IMAGE, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT},
    {MOSHI_ERROR_LIMIT, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_FAILED},
  };
  guint i;

  /* a code that is added is missing here */
  g_assert_cmpuint (G_N_ELEMENTS (cases), ==, MOSHI_ERROR_CANCELLED);

  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = g_error_new_literal (MOSHI_ERROR,
        cases[i].code, "The server said no.");

    gst_moshi_error_post (fixture->element, error, 0, 0);
    expect (fixture, GST_MESSAGE_ERROR, cases[i].domain, cases[i].bus_code,
        "The server said no.");
    gst_moshi_warning_post (fixture->element, error, NULL);
    expect (fixture, GST_MESSAGE_WARNING, cases[i].domain, cases[i].bus_code,
        "The server said no.");
  }
}

static void
test_unknown (Fixture * fixture, gconstpointer data)
{
  const struct
  {
    GQuark domain;
    gint code;
  } cases[] = {
    {G_IO_ERROR, G_IO_ERROR_TIMED_OUT},
    {G_FILE_ERROR, G_FILE_ERROR_NOENT},
    /* our own domain, out of range on both sides */
    {MOSHI_ERROR, MOSHI_ERROR_CANCELLED + 1},
    {MOSHI_ERROR, -1},
    /* the number of a cancellation, in another domain */
    {G_FILE_ERROR, MOSHI_ERROR_CANCELLED},
    {G_FILE_ERROR, G_IO_ERROR_CANCELLED},
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = g_error_new_literal (cases[i].domain,
        cases[i].code, "Something else.");

    gst_moshi_error_post (fixture->element, error, 0, 0);
    expect (fixture, GST_MESSAGE_ERROR, GST_RESOURCE_ERROR,
        GST_RESOURCE_ERROR_FAILED, "Something else.");
  }
}

static void
test_cancelled (Fixture * fixture, gconstpointer data)
{
  g_autoptr (GError) ours = g_error_new_literal (MOSHI_ERROR,
      MOSHI_ERROR_CANCELLED, "stopped");
  g_autoptr (GError) gio = g_error_new_literal (G_IO_ERROR,
      G_IO_ERROR_CANCELLED, "stopped");

  gst_moshi_error_post (fixture->element, ours, 503, 1006);
  gst_moshi_error_post (fixture->element, gio, 0, 0);
  gst_moshi_warning_post (fixture->element, ours, NULL);
  /* the leak checker sees it if these are not freed */
  gst_moshi_warning_post (fixture->element, ours,
      gst_structure_new_empty ("facts"));
  gst_moshi_warning_post (fixture->element, gio,
      gst_structure_new_empty ("facts"));
  g_assert_null (gst_bus_pop (fixture->bus));
}

static void
test_details (Fixture * fixture, gconstpointer data)
{
  const struct
  {
    guint http_status;
    guint close_code;
    gint fields;
  } cases[] = {
    {403, 0, 1}, {0, 1006, 1}, {101, 4999, 2},
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = g_error_new_literal (MOSHI_ERROR,
        MOSHI_ERROR_LOST, "Gone.");
    g_autoptr (GError) posted = NULL;
    g_autofree gchar *debug = NULL;
    GstStructure *details;
    guint value;

    gst_moshi_error_post (fixture->element, error, cases[i].http_status,
        cases[i].close_code);
    details = pop (fixture, GST_MESSAGE_ERROR, &posted, &debug);
    g_assert_nonnull (details);
    g_assert_cmpint (gst_structure_n_fields (details), ==, cases[i].fields);
    if (cases[i].http_status != 0) {
      g_assert_true (gst_structure_get_uint (details, "http-status-code",
              &value));
      g_assert_cmpuint (value, ==, cases[i].http_status);
    }
    if (cases[i].close_code != 0) {
      g_assert_true (gst_structure_get_uint (details, "websocket-close-code",
              &value));
      g_assert_cmpuint (value, ==, cases[i].close_code);
    }
    gst_structure_free (details);
  }
}

static void
test_warning_details (Fixture * fixture, gconstpointer data)
{
  g_autoptr (GError) error = g_error_new_literal (MOSHI_ERROR,
      MOSHI_ERROR_OGG, "A page was skipped.");
  g_autoptr (GError) posted = NULL;
  g_autofree gchar *debug = NULL;
  GstStructure *details;

  gst_moshi_warning_post (fixture->element, error,
      gst_structure_new ("facts", "pages", G_TYPE_INT, 3, NULL));
  details = pop (fixture, GST_MESSAGE_WARNING, &posted, &debug);
  g_assert_error (posted, GST_STREAM_ERROR, GST_STREAM_ERROR_DEMUX);
  g_assert_true (gst_structure_has_name (details, "facts"));
  g_assert_true (gst_structure_has_field_typed (details, "pages", G_TYPE_INT));
  gst_structure_free (details);
}

/* The server's words reach the user as they are: no format, no broken UTF-8. */
static void
test_text (Fixture * fixture, gconstpointer data)
{
  static const struct
  {
    const gchar *message;
    const gchar *text;
  } cases[] = {
    {"100%s %n %d%% of %500c", "100%s %n %d%% of %500c"},
    {"caf\xc3\xa9 – “non”", "café – “non”"},
    {"bad \xff\xc3 bytes", "bad \xef\xbf\xbd\xef\xbf\xbd bytes"},
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = g_error_new_literal (MOSHI_ERROR,
        MOSHI_ERROR_SERVER, cases[i].message);

    gst_moshi_error_post (fixture->element, error, 0, 0);
    expect (fixture, GST_MESSAGE_ERROR, GST_RESOURCE_ERROR,
        GST_RESOURCE_ERROR_FAILED, cases[i].text);
    gst_moshi_warning_post (fixture->element, error, NULL);
    expect (fixture, GST_MESSAGE_WARNING, GST_RESOURCE_ERROR,
        GST_RESOURCE_ERROR_FAILED, cases[i].text);
  }
}

static void
test_debug (Fixture * fixture, gconstpointer data)
{
  g_autoptr (GError) error = g_error_new_literal (MOSHI_ERROR,
      MOSHI_ERROR_BUSY, "Busy.");
  g_autoptr (GError) posted = NULL;
  g_autofree gchar *debug = NULL;
  g_autofree gchar *code = g_strdup_printf ("%s, code %d",
      g_quark_to_string (MOSHI_ERROR), MOSHI_ERROR_BUSY);

  gst_moshi_error_post (fixture->element, error, 0, 0);
  g_assert_null (pop (fixture, GST_MESSAGE_ERROR, &posted, &debug));
  g_assert_nonnull (g_strstr_len (debug, -1, code));
  g_assert_nonnull (g_strstr_len (debug, -1, "speaker"));
}

int
main (int argc, char **argv)
{
  static const struct
  {
    const gchar *path;
    void (*func) (Fixture * fixture, gconstpointer data);
  } tests[] = {
    {"/error/codes", test_codes},
    {"/error/unknown", test_unknown},
    {"/error/cancelled", test_cancelled},
    {"/error/details", test_details},
    {"/error/warning-details", test_warning_details},
    {"/error/text", test_text},
    {"/error/debug", test_debug},
  };
  guint i;

  g_test_init (&argc, &argv, NULL);
  gst_init (&argc, &argv);
  for (i = 0; i < G_N_ELEMENTS (tests); i++)
    g_test_add (tests[i].path, Fixture, NULL, set_up, tests[i].func, tear_down);
  return g_test_run ();
}
