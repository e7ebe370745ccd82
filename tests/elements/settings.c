/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include <locale.h>
#include <string.h>

#include <gst/gst.h>

#include "gstmoshisettings.h"

#define URI "wss://moshi.example/api/chat"

#define CONNECTION GST_MOSHI_SETTINGS_CONNECTION
#define INPUT GST_MOSHI_SETTINGS_INPUT
#define OUTPUT GST_MOSHI_SETTINGS_OUTPUT
#define BATCH GST_MOSHI_SETTINGS_BATCH
#define SESSION GST_MOSHI_SETTINGS_SESSION
#define ALL (CONNECTION | INPUT | OUTPUT | BATCH | SESSION)

/*** An element that has nothing but settings ********************************/

typedef struct
{
  GstElement parent;
  GstMoshiSettings settings;
} Holder;

static gpointer holder_parent_class;

static void
holder_init (GTypeInstance * instance, gpointer klass)
{
  gst_moshi_settings_init (&((Holder *) instance)->settings);
}

static void
holder_finalize (GObject * object)
{
  gst_moshi_settings_clear (&((Holder *) object)->settings);
  G_OBJECT_CLASS (holder_parent_class)->finalize (object);
}

static void
holder_set_property (GObject * object, guint id, const GValue * value,
    GParamSpec * pspec)
{
  GST_OBJECT_LOCK (object);
  g_assert_true (gst_moshi_settings_set_property (&((Holder *)
              object)->settings, id, value, pspec));
  GST_OBJECT_UNLOCK (object);
}

static void
holder_get_property (GObject * object, guint id, GValue * value,
    GParamSpec * pspec)
{
  GST_OBJECT_LOCK (object);
  g_assert_true (gst_moshi_settings_get_property (&((Holder *)
              object)->settings, id, value, pspec));
  GST_OBJECT_UNLOCK (object);
}

static void
holder_class_init (gpointer klass, gpointer class_data)
{
  GObjectClass *object_class = klass;

  holder_parent_class = g_type_class_peek_parent (klass);
  object_class->set_property = holder_set_property;
  object_class->get_property = holder_get_property;
  object_class->finalize = holder_finalize;
  gst_moshi_settings_install (klass, GPOINTER_TO_UINT (class_data));
}

/* One class for each set of groups. */
static GType
get_holder_type (GstMoshiSettingsGroup groups)
{
  g_autofree gchar *name = g_strdup_printf ("Holder%u", groups);
  GType type = g_type_from_name (name);
  const GTypeInfo info = {
    .class_size = sizeof (GstElementClass),
    .class_init = holder_class_init,
    .class_data = GUINT_TO_POINTER (groups),
    .instance_size = sizeof (Holder),
    .instance_init = holder_init,
  };

  if (type == G_TYPE_INVALID)
    type = g_type_register_static (GST_TYPE_ELEMENT, name, &info, 0);
  return type;
}

static Holder *
make_holder (void)
{
  return (Holder *) gst_object_ref_sink (g_object_new (get_holder_type (ALL),
          NULL));
}

/* The most that a test sets as "name=value", in gst-launch's syntax. */
#define MAX_SETTINGS 4

static gchar *
dup_name (const gchar * setting)
{
  return g_strndup (setting, strcspn (setting, "="));
}

static void
set (Holder * holder, const gchar * setting)
{
  g_autofree gchar *name = dup_name (setting);

  g_assert_nonnull (g_object_class_find_property (G_OBJECT_GET_CLASS (holder),
          name));
  gst_util_set_object_arg (G_OBJECT (holder), name,
      setting + strlen (name) + 1);
}

static Holder *
make_holder_with (const gchar * const *settings)
{
  Holder *holder = make_holder ();
  guint i;

  g_object_set (holder, "uri", URI, NULL);
  for (i = 0; i < MAX_SETTINGS && settings[i]; i++)
    set (holder, settings[i]);
  return holder;
}

/* As the elements do: a copy under the lock, then without it. */
static MoshiSessionConfig *
configure (Holder * holder, GError ** error)
{
  MoshiSessionConfig *config = NULL;
  GstMoshiSettings copy;
  gboolean ok;

  GST_OBJECT_LOCK (holder);
  gst_moshi_settings_copy (&copy, &holder->settings);
  GST_OBJECT_UNLOCK (holder);
  ok = gst_moshi_settings_to_config (&copy, FALSE, &config, error);
  g_assert_true (ok == (config != NULL));
  gst_moshi_settings_clear (&copy);
  return config;
}

static gchar *
dup_query (const MoshiSessionConfig * config)
{
  GString *text = g_string_new (NULL);
  guint i;

  for (i = 0; config->query && i < config->query->len; i++)
    g_string_append_printf (text, "%s%s", i % 2 ? "=" : i ? "&" : "",
        (gchar *) g_ptr_array_index (config->query, i));
  return g_string_free (text, FALSE);
}

static gchar *
serialize (const GValue * value)
{
  if (G_VALUE_HOLDS_STRING (value))
    return g_value_dup_string (value);
  if (G_VALUE_HOLDS_FLAGS (value))
    return g_strdup_printf ("0x%02x", g_value_get_flags (value));
  if (G_VALUE_HOLDS_OBJECT (value) || G_VALUE_HOLDS_BOXED (value)) {
    if (g_value_peek_pointer (value) == NULL)
      return NULL;
  }
  return gst_value_serialize (value);
}

static gchar *
get (Holder * holder, const gchar * name)
{
  GValue value = G_VALUE_INIT;
  gchar *text;

  g_object_get_property (G_OBJECT (holder), name, &value);
  text = serialize (&value);
  g_value_unset (&value);
  return text;
}

/*** The table of the documentation ******************************************/

typedef enum
{
  NEXT = 1 << 0,                /* takes effect with the next session */
  PLAYING = 1 << 1,             /* takes effect at once */
  SECRET = 1 << 2,              /* write-only */
  MILLISECONDS = 1 << 3,        /* the blurb says so */
} Facts;

/* *INDENT-OFF* */
static const struct
{
  const gchar *name;
  const gchar *type;
  const gchar *fallback;
  GstMoshiSettingsGroup group;
  Facts facts;
} properties[] = {
  {"uri", "gchararray", NULL, CONNECTION, NEXT},
  {"api-key", "gchararray", NULL, CONNECTION, NEXT | SECRET},
  {"auth-method", "GstMoshiAuthMethod", "header", CONNECTION, NEXT},
  {"extra-headers", "GstStructure", NULL, CONNECTION, NEXT},
  {"query-parameters", "GstStructure", NULL, CONNECTION, NEXT},
  {"allow-insecure-auth", "gboolean", "false", CONNECTION, NEXT},
  {"user-agent", "gchararray", "GStreamer moshi " VERSION, CONNECTION, NEXT},
  {"proxy", "gchararray", NULL, CONNECTION, NEXT},
  {"proxy-id", "gchararray", NULL, CONNECTION, NEXT},
  {"proxy-pw", "gchararray", NULL, CONNECTION, NEXT | SECRET},
  {"tls-validation-flags", "GTlsCertificateFlags", "0x7f", CONNECTION, NEXT},
  {"tls-ca-file", "gchararray", NULL, CONNECTION, NEXT},
  {"tls-database", "GTlsDatabase", NULL, CONNECTION, NEXT},
  {"tls-interaction", "GTlsInteraction", NULL, CONNECTION, NEXT},
  {"text-temperature", "gdouble", "-1", CONNECTION, NEXT},
  {"text-topk", "gint", "-1", CONNECTION, NEXT},
  {"audio-temperature", "gdouble", "-1", CONNECTION, NEXT},
  {"audio-topk", "gint", "-1", CONNECTION, NEXT},
  {"pad-mult", "gdouble", "-100", CONNECTION, NEXT},
  {"repetition-penalty", "gdouble", "-1", CONNECTION, NEXT},
  {"repetition-penalty-context", "gint", "-1", CONNECTION, NEXT},
  {"text-seed", "gint64", "-1", CONNECTION, NEXT},
  {"audio-seed", "gint64", "-1", CONNECTION, NEXT},
  {"max-steps", "gint", "-1", CONNECTION, NEXT},
  {"text-prompt", "gchararray", NULL, CONNECTION, NEXT},
  {"voice-prompt", "gchararray", NULL, CONNECTION, NEXT},
  {"dialect", "GstMoshiDialect", "auto", CONNECTION, NEXT},
  {"connect-timeout", "guint", "15000", CONNECTION, NEXT | MILLISECONDS},
  {"handshake-timeout", "guint", "60000", CONNECTION, NEXT | MILLISECONDS},
  {"idle-timeout", "guint", "10000", CONNECTION, NEXT | MILLISECONDS},
  {"keepalive-interval", "guint", "0", CONNECTION, NEXT | MILLISECONDS},
  {"retries", "gint", "3", CONNECTION, NEXT},
  {"retry-backoff-max", "guint", "30000", CONNECTION, NEXT | MILLISECONDS},
  {"session-limit", "guint", "0", CONNECTION, NEXT | MILLISECONDS},
  {"session-renew", "gboolean", "true", CONNECTION, NEXT},
  {"bitrate", "gint", "64000", INPUT, PLAYING},
  {"complexity", "gint", "5", INPUT, PLAYING},
  {"frame-size", "GstMoshiFrameSize", "20", INPUT, MILLISECONDS},
  {"tail", "guint", "0", INPUT, MILLISECONDS},
  {"drain-timeout", "guint", "5000", INPUT, MILLISECONDS},
  {"latency", "guint", "60", OUTPUT, PLAYING | MILLISECONDS},
  {"text-unit", "GstMoshiTextUnit", "word", OUTPUT, PLAYING},
  {"model-delay", "guint", "160", BATCH, MILLISECONDS},
  {"session", "gchararray", "default", SESSION, 0},
};
/* *INDENT-ON* */

static void
check_pspec (GParamSpec * pspec, guint i)
{
  const gchar *blurb = g_param_spec_get_blurb (pspec);
  const GValue *fallback = g_param_spec_get_default_value (pspec);
  g_autofree gchar *text = serialize (fallback);
  Facts facts = properties[i].facts;
  guint mutable = GST_PARAM_MUTABLE_READY | GST_PARAM_MUTABLE_PAUSED
      | GST_PARAM_MUTABLE_PLAYING;

  g_assert_cmpstr (g_type_name (pspec->value_type), ==, properties[i].type);
  g_assert_cmpstr (text, ==, properties[i].fallback);
  g_assert_cmpint (pspec->flags & G_PARAM_STATIC_STRINGS, ==,
      G_PARAM_STATIC_STRINGS);
  g_assert_true (pspec->flags & G_PARAM_WRITABLE);
  g_assert_true (!(pspec->flags & G_PARAM_READABLE) == !!(facts & SECRET));
  g_assert_cmpint (pspec->flags & mutable, ==,
      facts & PLAYING ? GST_PARAM_MUTABLE_PLAYING : GST_PARAM_MUTABLE_READY);
  g_assert_cmpint (strlen (blurb), >, 10);
  g_assert_true (!strstr (blurb, "next session") == !(facts & NEXT));
  g_assert_true (!strstr (blurb, " ms") <= !(facts & MILLISECONDS));
}

static void
test_properties (void)
{
  Holder *holder = make_holder ();
  GObjectClass *klass = G_OBJECT_GET_CLASS (holder);
  gpointer element_class = g_type_class_peek_parent (klass);
  guint i, n = 0, n_inherited = 0;

  for (i = 0; i < G_N_ELEMENTS (properties); i++) {
    GParamSpec *pspec = g_object_class_find_property (klass,
        properties[i].name);

    g_test_message ("%s", properties[i].name);
    g_assert_nonnull (pspec);
    check_pspec (pspec, i);
    /* what a new element has is what its class says */
    if (!(properties[i].facts & SECRET)) {
      g_autofree gchar *text = get (holder, properties[i].name);

      g_assert_cmpstr (text, ==, properties[i].fallback);
    }
  }

  /* and there is none beside them */
  g_free (g_object_class_list_properties (element_class, &n_inherited));
  g_free (g_object_class_list_properties (klass, &n));
  g_assert_cmpuint (n - n_inherited, ==, G_N_ELEMENTS (properties));
  gst_object_unref (holder);
}

static void
test_groups (void)
{
  GstMoshiSettingsGroup group;

  for (group = 1; group <= ALL; group <<= 1) {
    GObjectClass *klass = g_type_class_ref (get_holder_type (group));
    guint i;

    for (i = 0; i < G_N_ELEMENTS (properties); i++) {
      g_assert_true ((g_object_class_find_property (klass,
                  properties[i].name) != NULL)
          == (properties[i].group == group));
    }
    g_type_class_unref (klass);
  }
}

static void
test_foreign_ids (void)
{
  const guint ids[] = { 0, 1, GST_MOSHI_SETTINGS_FIRST_PROP - 1,
    GST_MOSHI_SETTINGS_FIRST_PROP + G_N_ELEMENTS (properties), G_MAXUINT
  };
  Holder *holder = make_holder ();
  GParamSpec *pspec = g_object_class_find_property (G_OBJECT_GET_CLASS
      (holder), "latency");
  GValue value = G_VALUE_INIT;
  guint i;

  g_value_init (&value, G_TYPE_UINT);
  for (i = 0; i < G_N_ELEMENTS (ids); i++) {
    g_assert_false (gst_moshi_settings_set_property (&holder->settings, ids[i],
            &value, pspec));
    g_assert_false (gst_moshi_settings_get_property (&holder->settings, ids[i],
            &value, pspec));
  }
  gst_object_unref (holder);
}

static void
test_enums (void)
{
  const struct
  {
    GType type;
    gint value;
    const gchar *nick;
  } cases[] = {
    {GST_TYPE_MOSHI_AUTH_METHOD, MOSHI_AUTH_HEADER, "header"},
    {GST_TYPE_MOSHI_AUTH_METHOD, MOSHI_AUTH_QUERY, "query"},
    {GST_TYPE_MOSHI_DIALECT, GST_MOSHI_DIALECT_AUTO, "auto"},
    {GST_TYPE_MOSHI_DIALECT, GST_MOSHI_DIALECT_MOSHI, "moshi"},
    {GST_TYPE_MOSHI_DIALECT, GST_MOSHI_DIALECT_MOSHIVIS, "moshivis"},
    {GST_TYPE_MOSHI_DIALECT, GST_MOSHI_DIALECT_PERSONAPLEX, "personaplex"},
    {GST_TYPE_MOSHI_TEXT_UNIT, MOSHI_TEXT_TOKEN, "token"},
    {GST_TYPE_MOSHI_TEXT_UNIT, MOSHI_TEXT_WORD, "word"},
    {GST_TYPE_MOSHI_TEXT_UNIT, MOSHI_TEXT_SENTENCE, "sentence"},
    {GST_TYPE_MOSHI_CONNECTION_STATE, MOSHI_LIFE_IDLE, "idle"},
    {GST_TYPE_MOSHI_CONNECTION_STATE, MOSHI_LIFE_CONNECTING, "connecting"},
    {GST_TYPE_MOSHI_CONNECTION_STATE, MOSHI_LIFE_WAITING, "waiting"},
    {GST_TYPE_MOSHI_CONNECTION_STATE, MOSHI_LIFE_READY, "ready"},
    {GST_TYPE_MOSHI_CONNECTION_STATE, MOSHI_LIFE_DRAINING, "draining"},
    {GST_TYPE_MOSHI_CONNECTION_STATE, MOSHI_LIFE_CLOSED, "closed"},
    {GST_TYPE_MOSHI_CONNECTION_STATE, MOSHI_LIFE_LOST, "lost"},
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    GEnumClass *klass = g_type_class_ref (cases[i].type);
    GEnumValue *value = g_enum_get_value_by_nick (klass, cases[i].nick);

    g_assert_nonnull (value);
    g_assert_cmpint (value->value, ==, cases[i].value);
    g_type_class_unref (klass);
  }
}

static void
test_frame_size (void)
{
  const struct
  {
    const gchar *setting;
    gint value;
    guint duration;
  } cases[] = {
    {"frame-size=2.5", 2, 120},
    {"frame-size=5", 5, 240},
    {"frame-size=10", 10, 480},
    {"frame-size=20", 20, 960},
    {"frame-size=40", 40, 1920},
    {"frame-size=60", 60, 2880},
  };
  Holder *holder = make_holder ();
  guint i;

  g_assert_cmpuint (gst_moshi_settings_get_frame_duration (&holder->settings),
      ==, 960);
  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    set (holder, cases[i].setting);
    g_assert_cmpint (holder->settings.frame_size, ==, cases[i].value);
    g_assert_cmpuint (gst_moshi_settings_get_frame_duration
        (&holder->settings), ==, cases[i].duration);
  }
  gst_object_unref (holder);
}

/*** Setting and reading *****************************************************/

/* Every readable property that is no object is there, with a value other than
 * its default. */
static void
test_round_trips (void)
{
  static const gchar *const cases[] = {
    "uri=ws://h:1/p?a=b", "auth-method=query", "user-agent=me",
    "proxy=http://p:3128", "proxy-id=u", "tls-validation-flags=0x08",
    "tls-ca-file=/ca.pem", "text-temperature=0.5", "allow-insecure-auth=true",
    "text-topk=0", "audio-temperature=0", "audio-topk=7", "pad-mult=-0.5",
    "repetition-penalty=1.25", "repetition-penalty-context=64",
    "text-seed=9223372036854775807", "audio-seed=0", "max-steps=4500",
    "text-prompt=be brief", "voice-prompt=NATF2.pt", "dialect=moshivis",
    "connect-timeout=4294967295", "handshake-timeout=0", "idle-timeout=1",
    "keepalive-interval=5", "retries=-1", "retry-backoff-max=7",
    "session-limit=300000", "session-renew=false", "bitrate=64000",
    "complexity=10", "frame-size=40", "tail=3000", "drain-timeout=0",
    "latency=0", "text-unit=sentence", "model-delay=80", "session=left",
  };
  Holder *holder = make_holder ();
  guint i;

  for (i = 0; i < G_N_ELEMENTS (cases); i++)
    set (holder, cases[i]);
  /* only now, as one may have written another's place */
  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree gchar *name = dup_name (cases[i]);
    g_autofree gchar *text = get (holder, name);

    g_test_message ("%s", cases[i]);
    g_assert_cmpstr (text, ==, cases[i] + strlen (name) + 1);
  }
  /* all but four objects and structures and two secrets */
  g_assert_cmpuint (G_N_ELEMENTS (cases), ==, G_N_ELEMENTS (properties) - 6);
  gst_object_unref (holder);
}

static void
test_structures (void)
{
  Holder *holder = make_holder ();
  GstStructure *given = gst_structure_new ("any", "X-Room", G_TYPE_STRING,
      "kitchen", "X-Floor", G_TYPE_INT, 3, NULL);
  GstStructure *read = NULL;

  g_object_set (holder, "extra-headers", given, NULL);
  g_object_get (holder, "extra-headers", &read, NULL);
  g_assert_true (gst_structure_is_equal (read, given));
  gst_structure_free (read);
  g_object_set (holder, "extra-headers", NULL, NULL);
  g_object_get (holder, "extra-headers", &read, NULL);
  g_assert_null (read);
  gst_structure_free (given);
  gst_object_unref (holder);
}

/* GIO's is abstract, and its makers want a file. */
static GTlsDatabase *
make_database (void)
{
  GType type = g_type_from_name ("Database");

  if (type == G_TYPE_INVALID)
    type = g_type_register_static_simple (G_TYPE_TLS_DATABASE, "Database",
        sizeof (GTlsDatabaseClass), NULL, sizeof (GTlsDatabase), NULL, 0);
  return g_object_new (type, NULL);
}

static void
test_objects (void)
{
  Holder *holder = make_holder ();
  GTlsDatabase *database = make_database ();
  GTlsInteraction *interaction = g_object_new (G_TYPE_TLS_INTERACTION, NULL);
  GstMoshiSettings copy;
  GTlsDatabase *read;

  g_object_set (holder, "tls-database", database, "tls-interaction",
      interaction, NULL);
  g_object_get (holder, "tls-database", &read, NULL);
  g_assert_true (read == database);
  g_object_unref (read);

  gst_moshi_settings_copy (&copy, &holder->settings);
  gst_object_unref (holder);
  g_assert_cmpuint (G_OBJECT (database)->ref_count, ==, 2);
  g_assert_cmpuint (G_OBJECT (interaction)->ref_count, ==, 2);
  gst_moshi_settings_clear (&copy);
  g_assert_finalize_object (database);
  g_assert_finalize_object (interaction);
}

static void
test_environment (void)
{
  Holder *before, *after;
  g_autofree gchar *uri = NULL;
  g_autofree gchar *kept = NULL;

  g_setenv ("MOSHI_URI", "ws://from.env:8998", TRUE);
  g_setenv ("MOSHI_API_KEY", "key-from-env", TRUE);
  before = make_holder ();
  g_unsetenv ("MOSHI_URI");
  g_unsetenv ("MOSHI_API_KEY");
  after = make_holder ();

  uri = get (before, "uri");
  g_assert_cmpstr (uri, ==, "ws://from.env:8998");
  g_assert_cmpstr (before->settings.api_key, ==, "key-from-env");
  g_assert_null (after->settings.uri);
  g_assert_null (after->settings.api_key);

  g_object_set (before, "uri", "ws://set:1", "api-key", "other", NULL);
  kept = get (before, "uri");
  g_assert_cmpstr (kept, ==, "ws://set:1");
  g_assert_cmpstr (before->settings.api_key, ==, "other");
  gst_object_unref (before);
  gst_object_unref (after);
}

/* %NULL gives a string its default, which is not %NULL for all. */
static void
test_null_strings (void)
{
  Holder *holder = make_holder ();

  g_object_set (holder, "session", "a", "user-agent", "b", "uri", URI, NULL);
  g_object_set (holder, "session", NULL, "user-agent", NULL, "uri", NULL, NULL);
  g_assert_cmpstr (holder->settings.session, ==, "default");
  g_assert_cmpstr (holder->settings.user_agent, ==, "GStreamer moshi " VERSION);
  g_assert_null (holder->settings.uri);
  gst_object_unref (holder);
}

/* What is readable lands in DOT files. */
static void
test_redaction (void)
{
  static const gchar *const cases[] = {
    "uri=wss://h/api/chat?token=HUSH", "uri=wss://user:HUSH@h/api/chat",
    "proxy=http://user:HUSH@proxy:3128",
    "extra-headers=h,Authorization=HUSH",
    "extra-headers=h,proxy-authorization=HUSH",
    "extra-headers=h,Cookie=HUSH", "extra-headers=h,kyutai-api-key=HUSH",
    "extra-headers=h,X-Token=<HUSH,HUSH>", "query-parameters=q,token=HUSH",
    "query-parameters=q,auth_id=HUSH", "query-parameters=q,API_KEY=HUSH",
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    Holder *holder = make_holder ();
    g_autofree gchar *name = dup_name (cases[i]);
    g_autofree gchar *text = NULL;

    set (holder, cases[i]);
    text = get (holder, name);
    g_test_message ("%s: %s", cases[i], text);
    g_assert_null (strstr (text, "HUSH"));
    /* however a structure quotes it */
    g_assert_nonnull (strchr (text, '*'));
    /* reading it has not taken it away */
    if (holder->settings.extra_headers) {
      g_autofree gchar *own =
          gst_structure_to_string (holder->settings.extra_headers);

      g_assert_nonnull (strstr (own, "HUSH"));
    }
    gst_object_unref (holder);
  }
}

/*** Model parameters ********************************************************/

static void
test_unset (void)
{
  const struct
  {
    const gchar *setting;
    const gchar *query;         /* as sent */
    const gchar *unset;
  } cases[] = {
    {"text-temperature=0", "text_temperature=0", "text-temperature=-1"},
    {"text-temperature=0.8", "text_temperature=0.8", "text-temperature=-0.1"},
    {"audio-temperature=0.7", "audio_temperature=0.7",
        "audio-temperature=-1"},
    {"text-topk=0", "text_topk=0", "text-topk=-1"},
    {"audio-topk=250", "audio_topk=250", "audio-topk=-1"},
    {"pad-mult=0", "pad_mult=0", "pad-mult=-100"},
    {"pad-mult=-1", "pad_mult=-1", "pad-mult=-100"},
    {"pad-mult=-99", "pad_mult=-99", "pad-mult=-99.5"},
    {"text-seed=0", "text_seed=0", "text-seed=-1"},
    {"audio-seed=9223372036854775807", "audio_seed=9223372036854775807",
        "audio-seed=-1"},
    {"max-steps=1", "max_steps=1", "max-steps=-1"},
    {"text-prompt=a & b", "text_prompt=a & b", "text-prompt="},
    {"voice-prompt=NATF2.pt", "voice_prompt=NATF2.pt", "voice-prompt="},
  };
  Holder *holder = make_holder ();
  guint i;

  g_object_set (holder, "uri", URI, NULL);
  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree gchar *name = dup_name (cases[i].setting);
    g_autoptr (MoshiSessionConfig) given = NULL;
    g_autoptr (MoshiSessionConfig) none = NULL;
    g_autoptr (GError) error = NULL;
    g_autofree gchar *query = NULL;
    g_autofree gchar *nothing = NULL;
    g_autofree gchar *before = get (holder, name);
    g_autofree gchar *after = NULL;

    set (holder, cases[i].setting);
    given = configure (holder, &error);
    g_assert_no_error (error);
    query = dup_query (given);
    g_assert_cmpstr (query, ==, cases[i].query);

    set (holder, cases[i].unset);
    none = configure (holder, &error);
    g_assert_no_error (error);
    nothing = dup_query (none);
    g_assert_cmpstr (nothing, ==, "");

    /* and reads as if it had never been set */
    after = get (holder, name);
    g_assert_cmpstr (after, ==, before);
  }
  gst_object_unref (holder);
}

static void
test_numbers (void)
{
  static const struct
  {
    gdouble number;
    const gchar *text;
  } cases[] = {
    {0.8, "text_temperature=0.8"},
    {0.1, "text_temperature=0.1"},
    {100, "text_temperature=100"},
    {1.0 / 3, "text_temperature=0.3333333333333333"},
    {0.1 + 0.2, "text_temperature=0.30000000000000004"},
    {1e-7, "text_temperature=1e-07"},
  };
  /* any language that writes 0,8 will do */
  static const gchar *const locales[] = { "C", "de_DE.UTF-8", "fr_FR.UTF-8" };
  Holder *holder = make_holder ();
  guint i, j;

  g_object_set (holder, "uri", URI, NULL);
  for (i = 0; i < G_N_ELEMENTS (locales); i++) {
    if (!setlocale (LC_NUMERIC, locales[i]))
      continue;
    for (j = 0; j < G_N_ELEMENTS (cases); j++) {
      g_autoptr (MoshiSessionConfig) config = NULL;
      g_autofree gchar *query = NULL;

      g_object_set (holder, "text-temperature", cases[j].number, NULL);
      config = configure (holder, NULL);
      query = dup_query (config);
      g_assert_cmpstr (query, ==, cases[j].text);
    }
  }
  setlocale (LC_NUMERIC, "C");
  gst_object_unref (holder);
}

/*** Configurations **********************************************************/

static void
test_query (void)
{
  static const struct
  {
    const gchar *settings[MAX_SETTINGS];
    const gchar *query;
  } cases[] = {
    {{NULL}, ""},
    {{"repetition-penalty=1.5", "repetition-penalty-context=64"},
        "repetition_penalty=1.5&repetition_penalty_context=64"},
    /* one order, whatever the order of setting */
    {{"max-steps=9", "text-topk=25", "audio-topk=250"},
        "text_topk=25&audio_topk=250&max_steps=9"},
    {{"query-parameters=q,email=\"me@example.org\",n=(int)7,x=(float)0.8,y=0.8,"
                "on=(boolean)true"},
        "email=me@example.org&n=7&x=0.8&y=0.8&on=true"},
    /* what is explicit wins, and nothing is sent twice */
    {{"query-parameters=q,text_topk=5", "text-topk=25", "audio-topk=3"},
        "audio_topk=3&text_topk=5"},
    /* half of a pair from each is a whole */
    {{"query-parameters=q,repetition_penalty=(string)1.0",
            "repetition-penalty-context=64"},
        "repetition_penalty_context=64&repetition_penalty=1.0"},
    {{"dialect=personaplex", "voice-prompt=v",
            "query-parameters=q,text_prompt=role"},
        "voice_prompt=v&text_prompt=role"},
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    Holder *holder = make_holder_with (cases[i].settings);
    g_autoptr (GError) error = NULL;
    g_autoptr (MoshiSessionConfig) config = configure (holder, &error);
    g_autofree gchar *query = NULL;

    g_assert_no_error (error);
    query = dup_query (config);
    g_assert_cmpstr (query, ==, cases[i].query);
    gst_object_unref (holder);
  }
}

static void
test_headers (void)
{
  static const gchar *const settings[MAX_SETTINGS] = {
    "extra-headers=h,X-Text=(string)some,X-Number=(int)-3,X-Half=0.5,"
        "X-Array=<a,(int)2,0.25>,X-List={c,d},X-On=(boolean)false",
  };
  static const struct
  {
    const gchar *name;
    const gchar *value;
  } cases[] = {
    {"X-Text", "some"},
    {"X-Number", "-3"},
    {"X-Half", "0.5"},
    {"X-Array", "a, 2, 0.25"},
    {"X-List", "c, d"},
    {"X-On", "false"},
  };
  Holder *holder = make_holder_with (settings);
  g_autoptr (GError) error = NULL;
  g_autoptr (MoshiSessionConfig) config = configure (holder, &error);
  guint i;

  g_assert_no_error (error);
  for (i = 0; i < G_N_ELEMENTS (cases); i++)
    g_assert_cmpstr (g_hash_table_lookup (config->headers, cases[i].name), ==,
        cases[i].value);
  g_assert_cmpuint (g_hash_table_size (config->headers), ==,
      G_N_ELEMENTS (cases));
  gst_object_unref (holder);
}

static void
test_config (void)
{
  Holder *holder = make_holder ();
  GTlsInteraction *interaction = g_object_new (G_TYPE_TLS_INTERACTION, NULL);
  GTlsDatabase *database = make_database ();
  g_autoptr (MoshiSessionConfig) config = NULL;
  g_autoptr (GError) error = NULL;

  g_object_set (holder, "uri", URI, "api-key", "secret", "auth-method",
      MOSHI_AUTH_QUERY, "user-agent", "me", "proxy", "proxy.example:3128",
      "proxy-id", "user", "proxy-pw", "pass", "tls-validation-flags",
      G_TLS_CERTIFICATE_EXPIRED, "tls-database", database, "tls-interaction",
      interaction, "keepalive-interval", 11, "connect-timeout", 12,
      "handshake-timeout", 13, "idle-timeout", 14, "retries", 15,
      "retry-backoff-max", 16, NULL);
  g_assert_true (gst_moshi_settings_to_config (&holder->settings, TRUE,
          &config, &error));
  g_assert_no_error (error);

  /* and two answers to whom to trust are one too many */
  g_object_set (holder, "tls-ca-file", "ca.pem", NULL);
  g_assert_null (configure (holder, &error));
  g_assert_error (error, MOSHI_ERROR, MOSHI_ERROR_SETTINGS);
  g_assert_nonnull (strstr (error->message, "tls-database"));
  gst_object_unref (holder);

  g_assert_cmpstr (config->uri, ==, URI);
  g_assert_cmpstr (config->api_key, ==, "secret");
  g_assert_cmpint (config->auth_method, ==, MOSHI_AUTH_QUERY);
  g_assert_cmpstr (config->user_agent, ==, "me");
  g_assert_cmpstr (config->proxy, ==, "proxy.example:3128");
  g_assert_cmpstr (config->proxy_id, ==, "user");
  g_assert_cmpstr (config->proxy_pw, ==, "pass");
  g_assert_cmpint (config->tls_validation_flags, ==, G_TLS_CERTIFICATE_EXPIRED);
  g_assert_true (config->tls_database == database);
  g_assert_true (config->tls_interaction == interaction);
  g_assert_cmpuint (config->keepalive_interval, ==, 11);
  g_assert_cmpuint (config->life.connect_timeout, ==, 12);
  g_assert_cmpuint (config->life.handshake_timeout, ==, 13);
  g_assert_cmpuint (config->life.idle_timeout, ==, 14);
  g_assert_cmpint (config->life.retries, ==, 15);
  g_assert_cmpuint (config->life.backoff_max, ==, 16);
  g_assert_cmpuint (config->life.close_timeout, >, 0);
  g_assert_true (config->life.resume);
  g_object_unref (database);
  g_object_unref (interaction);
}

static void
test_empty_strings (void)
{
  Holder *holder = make_holder ();
  g_autoptr (MoshiSessionConfig) config = NULL;
  g_autoptr (GError) error = NULL;

  g_object_set (holder, "uri", URI, "api-key", "", "user-agent", "", "proxy",
      "", "proxy-id", "", "proxy-pw", "", "tls-ca-file", "", NULL);
  config = configure (holder, &error);
  g_assert_no_error (error);
  g_assert_null (config->api_key);
  g_assert_null (config->user_agent);
  g_assert_null (config->proxy);
  g_assert_null (config->proxy_id);
  g_assert_null (config->proxy_pw);
  g_assert_null (config->tls_ca_file);
  g_assert_null (config->headers);
  g_assert_null (config->query);
  g_assert_false (config->life.resume);
  gst_object_unref (holder);
}

/* Each case but for its last setting is one that is accepted. */
static void
test_contradictions (void)
{
  static const struct
  {
    const gchar *settings[MAX_SETTINGS];
    const gchar *named[2];      /* what the user is told to look at */
  } cases[] = {
    {{"uri="}, {"uri", "MOSHI_URI"}},
    {{"api-key=HUSH", "extra-headers=h,authorization=HUSH"},
        {"api-key", "extra-headers"}},
    {{"api-key=HUSH", "query-parameters=q,token=HUSH", "auth-method=query"},
        {"api-key", "query-parameters"}},
    {{"proxy-id=me"}, {"proxy-id", "proxy"}},
    {{"proxy-pw=HUSH"}, {"proxy-pw", "proxy"}},
    {{"proxy=http://p:1", "proxy-pw=HUSH"}, {"proxy-pw", "proxy-id"}},
    {{"repetition-penalty=1.1"},
        {"repetition-penalty ", "repetition-penalty-context"}},
    {{"repetition-penalty-context=64"},
        {"repetition-penalty ", "repetition-penalty-context"}},
    {{"dialect=personaplex"}, {"voice-prompt", "text-prompt"}},
    {{"voice-prompt=v", "dialect=personaplex"},
        {"voice-prompt", "text-prompt"}},
    {{"text-prompt=t", "dialect=personaplex"},
        {"voice-prompt", "text-prompt"}},
    {{"voice-prompt=v", "text-prompt=t", "dialect=personaplex",
            "query-parameters=q,text_prompt=(string)\"\""},
        {"voice-prompt", "text-prompt"}},
    {{"extra-headers=h,X-Odd=(GstCaps)audio/x-raw"},
        {"extra-headers", "X-Odd"}},
    {{"extra-headers=h,X-Odd=<(GstCaps)audio/x-raw>"},
        {"extra-headers", "X-Odd"}},
    {{"query-parameters=q,odd=<1,2>"}, {"query-parameters", "odd"}},
    {{"query-parameters=q,odd={1,2}"}, {"query-parameters", "odd"}},
    {{"tls-ca-file=/no/such.pem"}, {"CA file", "PEM"}},
    {{"api-key=HUSH\nHUSH"}, {"key", "key"}},
    {{"uri=ftp://h/"}, {"ws", "wss"}},
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    const gchar *before[MAX_SETTINGS] = { NULL };
    g_autoptr (GError) error = NULL;
    g_autoptr (MoshiSessionConfig) config = NULL;
    Holder *holder;
    guint n;

    for (n = 0; n + 1 < MAX_SETTINGS && cases[i].settings[n + 1]; n++)
      before[n] = cases[i].settings[n];
    holder = make_holder_with (before);
    config = configure (holder, &error);
    g_assert_no_error (error);

    set (holder, cases[i].settings[n]);
    g_assert_null (configure (holder, &error));
    g_assert_error (error, MOSHI_ERROR, MOSHI_ERROR_SETTINGS);
    g_test_message ("%s", error->message);
    g_assert_nonnull (strstr (error->message, cases[i].named[0]));
    g_assert_nonnull (strstr (error->message, cases[i].named[1]));
    g_assert_null (strstr (error->message, "HUSH"));
    gst_object_unref (holder);
  }
}

/* A key goes with an Authorization or a token that stands elsewhere than it
 * does, and the user name of a proxy with one of the environment. */
static void
test_no_contradiction (void)
{
  static const gchar *const cases[][MAX_SETTINGS] = {
    {"api-key=k", "auth-method=query", "extra-headers=h,Authorization=x"},
    {"api-key=k", "query-parameters=q,token=x"},
    {"extra-headers=h,Authorization=x", "query-parameters=q,token=x"},
    {"api-key=", "extra-headers=h,Authorization=x"},
    {"proxy-id=me", "proxy-pw=pass"},
  };
  guint i;

  g_setenv ("https_proxy", "http://proxy.example:3128", TRUE);
  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    Holder *holder = make_holder_with (cases[i]);
    g_autoptr (GError) error = NULL;
    g_autoptr (MoshiSessionConfig) config = configure (holder, &error);

    g_assert_no_error (error);
    g_assert_cmpstr (config->uri, ==, URI);
    gst_object_unref (holder);
  }
  g_unsetenv ("https_proxy");
}

/* A copy stands when its original changes and goes. */
static void
test_copy (void)
{
  static const gchar *const settings[MAX_SETTINGS] = {
    "api-key=first", "text-topk=25", "extra-headers=h,X-Room=kitchen",
    "query-parameters=q,n=(int)1",
  };
  Holder *holder = make_holder_with (settings);
  GstMoshiSettings copy;
  gint value;

  g_object_set (holder, "latency", 77, "voice-prompt", "v", NULL);
  gst_moshi_settings_copy (&copy, &holder->settings);
  g_object_set (holder, "api-key", "second", "uri", "ws://other", "text-topk",
      1, "voice-prompt", NULL, "extra-headers", NULL, "query-parameters", NULL,
      "latency", 1, "session", "x", NULL);
  gst_object_unref (holder);

  g_assert_cmpstr (copy.uri, ==, URI);
  g_assert_cmpstr (copy.api_key, ==, "first");
  g_assert_cmpstr (copy.session, ==, "default");
  g_assert_cmpuint (copy.latency, ==, 77);
  g_assert_true (gst_structure_get_int (copy.model, "text_topk", &value));
  g_assert_cmpint (value, ==, 25);
  g_assert_cmpstr (gst_structure_get_string (copy.model, "voice_prompt"), ==,
      "v");
  g_assert_cmpstr (gst_structure_get_string (copy.extra_headers, "X-Room"),
      ==, "kitchen");
  g_assert_true (gst_structure_get_int (copy.query_parameters, "n", &value));

  gst_moshi_settings_clear (&copy);
  /* twice does no harm */
  gst_moshi_settings_clear (&copy);
}

int
main (int argc, char **argv)
{
  static const gchar *const variables[] = { "MOSHI_URI", "MOSHI_API_KEY",
    "http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy",
    "ALL_PROXY"
  };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (variables); i++)
    g_unsetenv (variables[i]);
  g_test_init (&argc, &argv, NULL);
  gst_init (&argc, &argv);

  g_test_add_func ("/settings/properties", test_properties);
  g_test_add_func ("/settings/groups", test_groups);
  g_test_add_func ("/settings/foreign-ids", test_foreign_ids);
  g_test_add_func ("/settings/enums", test_enums);
  g_test_add_func ("/settings/frame-size", test_frame_size);
  g_test_add_func ("/settings/round-trips", test_round_trips);
  g_test_add_func ("/settings/structures", test_structures);
  g_test_add_func ("/settings/objects", test_objects);
  g_test_add_func ("/settings/environment", test_environment);
  g_test_add_func ("/settings/null-strings", test_null_strings);
  g_test_add_func ("/settings/redaction", test_redaction);
  g_test_add_func ("/settings/unset", test_unset);
  g_test_add_func ("/settings/numbers", test_numbers);
  g_test_add_func ("/settings/query", test_query);
  g_test_add_func ("/settings/headers", test_headers);
  g_test_add_func ("/settings/config", test_config);
  g_test_add_func ("/settings/empty-strings", test_empty_strings);
  g_test_add_func ("/settings/contradictions", test_contradictions);
  g_test_add_func ("/settings/no-contradiction", test_no_contradiction);
  g_test_add_func ("/settings/copy", test_copy);
  return g_test_run ();
}
