/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include <string.h>

#include "protocol/moshierror.h"
#include "protocol/moshimetadata.h"

#define FFFD "\xEF\xBF\xBD"
#define BOM "\xEF\xBB\xBF"

typedef struct
{
  const gchar *name;
  const gchar *text;
  const gchar *expected;        /* name=kind:value, each with a line's end;
                                   NULL: an error */
} Case;

static gchar *
print_fields (GPtrArray * fields)
{
  GString *out = g_string_new (NULL);
  guint i;

  for (i = 0; i < fields->len; i++) {
    const MoshiMetadataField *field = g_ptr_array_index (fields, i);

    g_assert_true (g_utf8_validate (field->name, -1, NULL));
    g_string_append_printf (out, "%s=%c:", field->name, field->kind);
    if (field->kind == 's' || field->kind == 'j') {
      g_assert_true (g_utf8_validate (field->string, -1, NULL));
      g_string_append (out, field->string);
    } else if (field->kind == 'd') {
      g_string_append_printf (out, "%g", field->number);
    } else {
      g_string_append_printf (out, "%" G_GINT64_FORMAT, field->integer);
    }
    g_string_append_c (out, '\n');
  }
  return g_string_free (out, FALSE);
}

static GPtrArray *
parse (const gchar * text, gssize size, gchar ** json, GError ** error)
{
  /* exactly as long as told, so that a sanitizer sees each byte too far */
  gsize length = size < 0 ? strlen (text) : (gsize) size;
  g_autofree guint8 *data = g_memdup2 (text, length);

  return moshi_metadata_parse (data, length, json, error);
}

static void
test_case (gconstpointer data)
{
  const Case *test = data;
  g_autoptr (GError) error = NULL;
  g_autofree gchar *json = NULL;
  g_autofree gchar *got = NULL;
  g_autoptr (GPtrArray) fields = parse (test->text, -1, &json, &error);

  if (test->expected == NULL) {
    g_assert_error (error, MOSHI_ERROR, MOSHI_ERROR_MESSAGE);
    g_assert_null (fields);
    g_assert_cmpstr (json, ==, test->text);
    return;
  }
  g_assert_no_error (error);
  got = print_fields (fields);
  g_assert_cmpstr (got, ==, test->expected);
}

static const Case cases[] = {
  {"moshi-backend",
        "{\"text_temperature\":0.7,\"text_topk\":25,\"pad_mult\":0.0,"
        "\"text_seed\":42,\"lm_model_file\":\"model.safetensors\","
        "\"repetition_penalty\":null,"
        "\"build_info\":{\"git\":\"abc\",\"dirty\":[true, 1]},"
        "\"ok\":true,\"no\":false}",
      "text_temperature=d:0.7\ntext_topk=i:25\npad_mult=d:0\n"
        "text_seed=i:42\nlm_model_file=s:model.safetensors\n"
        "repetition_penalty=j:null\n"
        "build_info=j:{\"git\":\"abc\",\"dirty\":[true,1]}\n"
        "ok=b:1\nno=b:0\n"},
  {"empty-object", " {} \r\n", ""},
  {"byte-order-mark", BOM "{\"a\":1}", "a=i:1\n"},
  {"order-is-the-servers", "{\"z\":1,\"a\":2,\"m\":3}",
      "z=i:1\na=i:2\nm=i:3\n"},
  {"last-of-a-name-wins", "{\"a\":1,\"b\":2,\"a\":\"x\"}", "a=s:x\nb=i:2\n"},
  {"empty-name", "{\"\":1}", "=i:1\n"},
  {"escapes", "{\"\\u0061\\/\":\"\\\"\\\\\\b\\n\\t\\u00e9\"}",
      "a/=s:\"\\\b\n\t\xC3\xA9\n"},
  {"surrogate-pair", "{\"a\":\"\\uD83D\\ude00\"}",
      "a=s:\xF0\x9F\x98\x80\n"},
  {"surrogate-alone", "{\"a\":\"\\ud83d\",\"b\":\"\\ude00\\ud83dx\"}",
      "a=s:" FFFD "\nb=s:" FFFD FFFD "x\n"},
  {"surrogate-before-letter", "{\"a\":\"\\ud800\\u0041\"}",
      "a=s:" FFFD "A\n"},
  {"two-high-then-low", "{\"a\":\"\\ud83d\\ud83d\\ude00\"}",
      "a=s:" FFFD "\xF0\x9F\x98\x80\n"},
  {"escaped-nul", "{\"a\\u0000b\":\"x\\u0000y\"}",
      "a" FFFD "b=s:x" FFFD "y\n"},
  {"brackets-in-strings", "{\"a\":\"]}{[\\\"}\",\"b\":1}",
      "a=s:]}{[\"}\nb=i:1\n"},
  {"comment-marks-in-strings", "{\"a\":\"/*\",\"b\":\"//'\"}",
      "a=s:/*\nb=s://'\n"},

  {"number/int64", "{\"a\":9223372036854775807,\"b\":-9223372036854775808}",
      "a=i:9223372036854775807\nb=i:-9223372036854775808\n"},
  {"number/above-int64", "{\"a\":9223372036854775808,"
        "\"b\":18446744073709551615,\"c\":-9223372036854775809}",
      "a=d:9.22337e+18\nb=d:1.84467e+19\nc=d:-9.22337e+18\n"},
  {"number/huge", "{\"a\":1e999,\"b\":-1e999,\"c\":[1e999]}",
      "a=d:1.79769e+308\nb=d:-1.79769e+308\nc=j:[1.7976931348623157e+308]\n"},
  {"number/tiny", "{\"a\":1e-999,\"b\":-0.0,\"c\":0e5,\"d\":-0}",
      "a=d:0\nb=d:-0\nc=d:0\nd=i:0\n"},
  {"number/forms", "{\"a\":1E+5,\"b\":1.5e-3,\"c\":-7,\"d\":0}",
      "a=d:100000\nb=d:0.0015\nc=i:-7\nd=i:0\n"},
  {"number/octal", "{\"a\":012}", NULL},
  {"number/hex", "{\"a\":0x12}", NULL},
  {"number/plus", "{\"a\":+1}", NULL},
  {"number/no-digit-before", "{\"a\":.5}", NULL},
  {"number/no-digit-after", "{\"a\":5.}", NULL},
  {"number/no-exponent", "{\"a\":5e}", NULL},
  {"number/minus-alone", "{\"a\":-}", NULL},
  {"number/minus-space", "{\"a\":- 1}", NULL},
  {"number/nan", "{\"a\":NaN}", NULL},
  {"number/infinity", "{\"a\":-Infinity}", NULL},
  {"number/two", "{\"a\":1 2}", NULL},

  {"bad/spaces", " \n", NULL},
  {"bad/mark-alone", "\xC3\xA9", NULL},
  {"bad/array", "[{\"a\":1}]", NULL},
  {"bad/string", "\"a\"", NULL},
  {"bad/null", "null", NULL},
  {"bad/number", "1", NULL},
  {"bad/text", "model loaded", NULL},
  {"bad/trailing-text", "{\"a\":1} x", NULL},
  {"bad/trailing-object", "{\"a\":1}{\"b\":2}", NULL},
  {"bad/leading-value", "1{\"b\":2}", NULL},
  {"bad/leading-bracket", "]{\"b\":2}", NULL},
  {"bad/trailing-bracket", "{\"a\":1}}", NULL},
  {"bad/trailing-comma", "{\"a\":1,}", NULL},
  {"bad/no-comma", "{\"a\":1 \"b\":2}", NULL},
  {"bad/no-colon", "{\"a\" 1}", NULL},
  {"bad/no-name", "{1:1}", NULL},
  {"bad/wrong-bracket", "{\"a\":[1}", NULL},
  {"bad/single-quotes", "{'a':1}", NULL},
  {"bad/comment", "{\"a\":/*{*/1}", NULL},
  {"bad/line-comment", "{\"a\":1 //\n}", NULL},
  {"bad/hash-comment", "{\"a\":1 #\n}", NULL},
  {"bad/assignment", "var a = {\"a\":1};", NULL},
  {"bad/escape", "{\"a\":\"\\x41\"}", NULL},
  {"bad/escape-short", "{\"a\":\"\\u00e\"}", NULL},
  {"bad/literal", "{\"a\":nul}", NULL},
  {"bad/literals-joined", "{\"a\":truefalse}", NULL},
  {"bad/literal-case", "{\"a\":True}", NULL},
};

static void
test_bytes (void)
{
  static const gchar nul[] = "{\"a\":1}\0";
  static const gchar broken[] = "{\"a\xFF\":\"b\0c\"}";
  g_autoptr (GError) error = NULL;
  g_autofree gchar *json = NULL;
  g_autofree gchar *got = NULL;
  g_autoptr (GPtrArray) fields = NULL;

  g_assert_null (parse (nul, sizeof nul - 1, &json, &error));
  g_assert_error (error, MOSHI_ERROR, MOSHI_ERROR_MESSAGE);
  g_assert_cmpstr (json, ==, "{\"a\":1}" FFFD);
  g_clear_pointer (&json, g_free);
  g_clear_error (&error);

  fields = parse (broken, sizeof broken - 1, &json, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (json, ==, "{\"a" FFFD "\":\"b" FFFD "c\"}");
  got = print_fields (fields);
  g_assert_cmpstr (got, ==, "a" FFFD "=s:b" FFFD "c\n");
}

static void
test_json_is_the_text (void)
{
  static const gchar text[] = " {\"a\": 1e999, \"b\":\"\\ud800\"}\n";
  g_autofree gchar *json = NULL;
  g_autoptr (GPtrArray) fields = parse (text, -1, &json, NULL);

  g_assert_nonnull (fields);
  g_assert_cmpstr (json, ==, text);
}

static void
test_empty (void)
{
  static const gchar *const texts[] = { "", BOM };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (texts); i++) {
    g_autoptr (GError) error = NULL;
    gchar *json = (gchar *) "unset";

    g_assert_null (parse (texts[i], -1, &json, &error));
    g_assert_error (error, MOSHI_ERROR, MOSHI_ERROR_MESSAGE);
    g_assert_null (json);
  }
  g_assert_null (moshi_metadata_parse (NULL, 0, NULL, NULL));
}

/* Every beginning of a message is an error, and none reads too far. */
static void
test_truncated (void)
{
  static const gchar whole[] = "{\"a\":\"\\ud83d\\ude00\xC3\xA9\\n\","
      "\"b\":[-1.5e+3,true,null,{\"c\":99999999999999999999}]}";
  gsize size;

  for (size = 0; size < strlen (whole); size++) {
    g_autoptr (GError) error = NULL;

    g_assert_null (parse (whole, size, NULL, &error));
    g_assert_error (error, MOSHI_ERROR, MOSHI_ERROR_MESSAGE);
  }
  g_ptr_array_unref (parse (whole, -1, NULL, NULL));
}

/* Every message with one byte changed is read or refused, in order. */
static void
test_changed (void)
{
  static const gchar whole[] = "{\"a\":\"\\ud83d\\ude00\\n\",\"b\":[-1.5e+3,"
      "true,{\"c\":9999}],\"d\":0}";
  gsize i;
  guint value;

  for (i = 0; i < strlen (whole); i++) {
    for (value = 0; value < 256; value++) {
      g_autofree gchar *text = g_strdup (whole);
      g_autofree gchar *json = NULL;
      g_autofree gchar *got = NULL;
      g_autoptr (GError) error = NULL;
      g_autoptr (GPtrArray) fields = NULL;

      text[i] = value;
      fields = parse (text, strlen (whole), &json, &error);
      g_assert_true ((fields == NULL) == (error != NULL));
      g_assert_true (g_utf8_validate (json, -1, NULL));
      if (fields != NULL)
        got = print_fields (fields);
    }
  }
}

static void
check_depth (const gchar * open, const gchar * close, guint depth,
    gboolean good)
{
  g_autoptr (GString) text = g_string_new ("{\"x\":");
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) fields = NULL;
  guint i;

  /* the object itself is the first level */
  for (i = 1; i < depth; i++)
    g_string_append (text, open);
  g_string_append_c (text, '1');
  for (i = 1; i < depth; i++)
    g_string_append (text, close);
  g_string_append_c (text, '}');
  fields = parse (text->str, text->len, NULL, &error);
  g_assert_true ((fields != NULL) == good);
  if (!good)
    g_assert_error (error, MOSHI_ERROR, MOSHI_ERROR_MESSAGE);
}

static void
test_depth (void)
{
  check_depth ("[", "]", MOSHI_METADATA_MAX_DEPTH, TRUE);
  check_depth ("[", "]", MOSHI_METADATA_MAX_DEPTH + 1, FALSE);
  check_depth ("[", "]", 100000, FALSE);
  check_depth ("{\"y\":", "}", MOSHI_METADATA_MAX_DEPTH, TRUE);
  check_depth ("{\"y\":", "}", MOSHI_METADATA_MAX_DEPTH + 1, FALSE);
  /* what looks like a string to one reader and nesting to another */
  check_depth ("['\"',", "]", 1000, FALSE);
  check_depth ("/*\"*/[", "]", 1000, FALSE);
  /* not nested, only many */
  check_depth ("[],", "", 1, TRUE);
}

static void
test_size (void)
{
  g_autofree gchar *text = g_strnfill (MOSHI_METADATA_MAX_SIZE + 1, ' ');
  g_autofree gchar *json = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) fields = NULL;

  memcpy (text, "{\"a\":1}", 7);
  fields = parse (text, MOSHI_METADATA_MAX_SIZE, &json, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (fields->len, ==, 1);
  g_assert_cmpuint (strlen (json), ==, MOSHI_METADATA_MAX_SIZE);
  g_clear_pointer (&json, g_free);

  g_assert_null (parse (text, MOSHI_METADATA_MAX_SIZE + 1, &json, &error));
  g_assert_error (error, MOSHI_ERROR, MOSHI_ERROR_MESSAGE);
  g_assert_null (json);
}

static void
test_field_limit (void)
{
  g_autoptr (GString) text = g_string_new ("{");
  g_autoptr (GPtrArray) fields = NULL;
  guint i;

  for (i = 0; i < 300; i++)
    g_string_append_printf (text, "%s\"n%u\":%u", i ? "," : "", i, i);
  g_string_append_c (text, '}');
  fields = parse (text->str, text->len, NULL, NULL);
  g_assert_cmpuint (fields->len, ==, 256);
  for (i = 0; i < fields->len; i++) {
    const MoshiMetadataField *field = g_ptr_array_index (fields, i);

    g_assert_cmpint (field->integer, ==, i);
  }
}

int
main (int argc, char **argv)
{
  guint i;

  g_test_init (&argc, &argv, NULL);
  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree gchar *path = g_strconcat ("/metadata/", cases[i].name, NULL);

    g_test_add_data_func (path, &cases[i], test_case);
  }
  g_test_add_func ("/metadata/bytes", test_bytes);
  g_test_add_func ("/metadata/json-is-the-text", test_json_is_the_text);
  g_test_add_func ("/metadata/empty", test_empty);
  g_test_add_func ("/metadata/truncated", test_truncated);
  g_test_add_func ("/metadata/changed", test_changed);
  g_test_add_func ("/metadata/depth", test_depth);
  g_test_add_func ("/metadata/size", test_size);
  g_test_add_func ("/metadata/field-limit", test_field_limit);
  return g_test_run ();
}
