/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "gstmoshisettings.h"

#include <string.h>

#include "protocol/moshiaddress.h"

#define REDACTED "***"

/*
 * The properties are rows of one table: install, init, copy, clear, set and
 * get walk over it, so that a property cannot be in one of them and missing
 * from another. A row's property id is its place in the table.
 *
 * The model parameters have no field of the struct of their own. They are
 * fields of `model`, under the names of the query, and are there only once
 * they have been set: whether a parameter was set is a fact a server sees
 * (moshi-backend draws a random seed where none is given, and an empty value
 * is an HTTP 400). To a GObject property, which always has a value, "unset" is
 * the lowest value of its range: all of [min, min + 1) stands for it, which is
 * below what any server takes.
 */
typedef enum
{
  KIND_STRING,
  /* of the size of a gint */
  KIND_BOOLEAN,
  KIND_INT,
  KIND_UINT,
  KIND_ENUM,
  KIND_FLAGS,
  /* references */
  KIND_STRUCTURE,
  KIND_OBJECT,
  /* fields of `model` */
  KIND_MODEL_STRING,
  KIND_MODEL_INT,
  KIND_MODEL_INT64,
  KIND_MODEL_DOUBLE,
} Kind;

typedef GType (*TypeFunc) (void);

typedef struct
{
  Kind kind;
  GstMoshiSettingsGroup group;
  guint flags;                  /* beside those every property has */
  const gchar *name;
  gsize offset;                 /* in GstMoshiSettings, all but the model's */
  const gchar *field;           /* in `model`, the model's only */
  const gchar *blurb;
  gint64 value, min, max;       /* default and range of a number */
  const gchar *text;            /* default of a string */
  TypeFunc get_type;            /* of enums, flags and objects */
} Row;

#define NEXT "; a change takes effect with the next session"
#define UNSET " (-1 = unset: the server's default)" NEXT

#define READY G_PARAM_READWRITE | GST_PARAM_MUTABLE_READY
#define PLAYING G_PARAM_READWRITE | GST_PARAM_MUTABLE_PLAYING
#define SECRET G_PARAM_WRITABLE | GST_PARAM_MUTABLE_READY

#define AT(group, flags, name, field) GST_MOSHI_SETTINGS_##group, flags, \
    name, G_STRUCT_OFFSET (GstMoshiSettings, field), NULL
#define MODEL(name, field) GST_MOSHI_SETTINGS_CONNECTION, READY, name, 0, field
#define MS(fallback) fallback, 0, G_MAXUINT

/* *INDENT-OFF* */
static const Row rows[] = {
  /* where and how to connect */
  {KIND_STRING, AT (CONNECTION, READY, "uri", uri),
    "Address of the server: ws, wss, http or https; an empty path becomes "
    "/api/chat and a bare host[:port] means wss. Starts as $MOSHI_URI. "
    "Credentials in it are read back as " REDACTED NEXT},
  {KIND_STRING, AT (CONNECTION, SECRET, "api-key", api_key),
    "Key sent to the server, see auth-method. Starts as $MOSHI_API_KEY" NEXT},
  {KIND_ENUM, AT (CONNECTION, READY, "auth-method", auth_method),
    "How api-key is sent" NEXT,
    MOSHI_AUTH_HEADER, .get_type = gst_moshi_auth_method_get_type},
  {KIND_BOOLEAN, AT (CONNECTION, READY, "allow-insecure-auth",
        allow_insecure_auth),
    "Whether credentials may go without encryption (ws) to a host other than "
    "this one" NEXT, FALSE},
  {KIND_STRUCTURE, AT (CONNECTION, READY, "extra-headers", extra_headers),
    "Headers added to the WebSocket upgrade request: strings, numbers, or "
    "arrays of them. Credentials in them are read back as " REDACTED NEXT},
  {KIND_STRUCTURE, AT (CONNECTION, READY, "query-parameters",
        query_parameters),
    "Further query parameters of the address: strings, numbers or booleans; "
    "one that is given here wins over the property of that name. Credentials "
    "in them are read back as " REDACTED NEXT},
  {KIND_STRING, AT (CONNECTION, READY, "user-agent", user_agent),
    "Value of the User-Agent header, to which libsoup adds its own name; empty "
    "means gst-moshi/" VERSION NEXT, .text = "GStreamer moshi " VERSION},
  {KIND_STRING, AT (CONNECTION, READY, "proxy", proxy),
    "URI of an HTTP proxy; unset or empty takes that of the environment "
    "($http_proxy, $https_proxy, $no_proxy). Credentials in it are read back "
    "as " REDACTED NEXT},
  {KIND_STRING, AT (CONNECTION, READY, "proxy-id", proxy_id),
    "User name for the proxy's authentication" NEXT},
  {KIND_STRING, AT (CONNECTION, SECRET, "proxy-pw", proxy_pw),
    "Password for the proxy's authentication" NEXT},
  {KIND_FLAGS, AT (CONNECTION, READY, "tls-validation-flags",
        tls_validation_flags),
    "Which faults of the server's TLS certificate are not accepted" NEXT,
    G_TLS_CERTIFICATE_VALIDATE_ALL,
    .get_type = g_tls_certificate_flags_get_type},
  {KIND_STRING, AT (CONNECTION, READY, "tls-ca-file", tls_ca_file),
    "PEM file of the certificate authorities, or self-signed certificates, "
    "to trust instead of the system's" NEXT},
  {KIND_OBJECT, AT (CONNECTION, READY, "tls-database", tls_database),
    "Database of the certificate authorities to trust instead of the system's"
    NEXT, .get_type = g_tls_database_get_type},
  {KIND_OBJECT, AT (CONNECTION, READY, "tls-interaction", tls_interaction),
    "Object asked when the connection or the certificate database needs to "
    "interact with the user" NEXT, .get_type = g_tls_interaction_get_type},

  /* the model's parameters */
  {KIND_MODEL_DOUBLE, MODEL ("text-temperature", "text_temperature"),
    "Sampling temperature of the words, 0 = greedy" UNSET, -1, -1, 100},
  {KIND_MODEL_INT, MODEL ("text-topk", "text_topk"),
    "How many candidates the words are sampled from" UNSET, -1, -1, G_MAXINT},
  {KIND_MODEL_DOUBLE, MODEL ("audio-temperature", "audio_temperature"),
    "Sampling temperature of the voice, 0 = greedy" UNSET, -1, -1, 100},
  {KIND_MODEL_INT, MODEL ("audio-topk", "audio_topk"),
    "How many candidates the voice is sampled from" UNSET, -1, -1, G_MAXINT},
  /* the server multiplies a probability by its e-th power, so that ±100 is
   * all or nothing and no meaning is lost by the range */
  {KIND_MODEL_DOUBLE, MODEL ("pad-mult", "pad_mult"),
    "How much likelier silence becomes than a word, as a power of e: above 0 "
    "Moshi talks less, below 0 more. As negative values are legal, the lowest "
    "stands for unset (-100 = unset: the server's default)" NEXT,
    -100, -100, 100},
  {KIND_MODEL_DOUBLE, MODEL ("repetition-penalty", "repetition_penalty"),
    "How much less likely words become that were said lately, 1 = as likely; "
    "goes with repetition-penalty-context" UNSET, -1, -1, 100},
  {KIND_MODEL_INT, MODEL ("repetition-penalty-context",
        "repetition_penalty_context"),
    "How many text tokens back repetition-penalty looks, which it goes with"
    UNSET, -1, -1, G_MAXINT},
  {KIND_MODEL_INT64, MODEL ("text-seed", "text_seed"),
    "Seed of the words' random numbers (-1 = unset: a random one)" NEXT,
    -1, -1, G_MAXINT64},
  {KIND_MODEL_INT64, MODEL ("audio-seed", "audio_seed"),
    "Seed of the voice's random numbers (-1 = unset: a random one)" NEXT,
    -1, -1, G_MAXINT64},
  {KIND_MODEL_INT, MODEL ("max-steps", "max_steps"),
    "Frames of 80 ms after which the server ends the session" UNSET,
    -1, -1, G_MAXINT},
  {KIND_MODEL_STRING, MODEL ("text-prompt", "text_prompt"),
    "What the model is told about its role (PersonaPlex; empty = unset)" NEXT},
  {KIND_MODEL_STRING, MODEL ("voice-prompt", "voice_prompt"),
    "Name of the voice on the server (PersonaPlex; empty = unset)" NEXT},
  {KIND_ENUM, AT (CONNECTION, READY, "dialect", dialect),
    "Kind of Moshi server, where it cannot be told automatically" NEXT,
    GST_MOSHI_DIALECT_AUTO, .get_type = gst_moshi_dialect_get_type},

  /* the life of a session */
  {KIND_UINT, AT (CONNECTION, READY, "connect-timeout", connect_timeout),
    "Longest time from the start of an attempt to the WebSocket upgrade, in "
    "ms (0 = for ever)" NEXT, MS (15000)},
  {KIND_UINT, AT (CONNECTION, READY, "handshake-timeout", handshake_timeout),
    "Longest wait for the server's handshake after the upgrade, in ms (0 = "
    "for ever); a server that is busy with someone else holds it back" NEXT,
    MS (60000)},
  {KIND_UINT, AT (CONNECTION, READY, "idle-timeout", idle_timeout),
    "Longest silence of a server that is being sent audio, in ms (0 = for "
    "ever)" NEXT, MS (10000)},
  {KIND_UINT, AT (CONNECTION, READY, "keepalive-interval",
        keepalive_interval),
    "Time between WebSocket pings, in ms (0 = off); moshi-backend ends a "
    "session at the first one" NEXT, MS (0)},
  {KIND_INT, AT (CONNECTION, READY, "retries", retries),
    "Attempts to connect after the first, in a row, before the error (-1 = "
    "for ever)" NEXT, 3, -1, G_MAXINT},
  {KIND_UINT, AT (CONNECTION, READY, "retry-backoff-max", retry_backoff_max),
    "Longest wait between two attempts, in ms" NEXT, MS (30000)},
  {KIND_UINT, AT (CONNECTION, READY, "session-limit", session_limit),
    "How long one conversation may last, in ms (0 = the server's own limit), "
    "see session-renew" NEXT, MS (0)},
  {KIND_BOOLEAN, AT (CONNECTION, READY, "session-renew", session_renew),
    "Whether a new session takes over before a limit ends a conversation"
    NEXT, TRUE},

  /* the way up */
  {KIND_INT, AT (INPUT, PLAYING, "bitrate", bitrate),
    "Bitrate of the Opus sent to the server, in bit/s; begun below 48000 it "
    "costs three times the CPU (raw input only)", 64000, 4000, 650000},
  {KIND_INT, AT (INPUT, PLAYING, "complexity", complexity),
    "How much work the Opus encoder does, 0 = least, 10 = most (raw input "
    "only)", 5, 0, 10},
  {KIND_ENUM, AT (INPUT, READY, "frame-size", frame_size),
    "Duration of the Opus packets sent to the server, in ms (raw input only)",
    20, .get_type = gst_moshi_frame_size_get_type},
  {KIND_UINT, AT (INPUT, READY, "tail", tail),
    "Silence sent after EOS for Moshi to finish its answer in, in ms", MS (0)},
  {KIND_UINT, AT (INPUT, READY, "drain-timeout", drain_timeout),
    "How long EOS waits for answers that do not come, in ms", MS (5000)},

  /* the way down */
  {KIND_UINT, AT (OUTPUT, PLAYING, "latency", latency),
    "Margin of live output for the network's jitter, in ms", MS (60)},
  {KIND_ENUM, AT (OUTPUT, PLAYING, "text-unit", text_unit),
    "What one text buffer holds. A sentence ends at . ! ? or their like, or "
    "where nothing is said for 1.5 s; see docs/text.md",
    MOSHI_TEXT_WORD, .get_type = gst_moshi_text_unit_get_type},
  {KIND_UINT, AT (BATCH, READY, "model-delay", model_delay),
    "Where the answer stands against the input when the input is not live, "
    "in ms: the output begins with as much silence", MS (160)},
  {KIND_STRING, AT (SESSION, READY, "session", session),
    "Joins the moshisink and the moshisrc that have the same name here",
    .text = "default"},
};
/* *INDENT-ON* */

/*** The enums ***************************************************************/

#define DEFINE_ENUM(TypeName, type_name, ...) \
GType \
type_name##_get_type (void) \
{ \
  static const GEnumValue values[] = { __VA_ARGS__, {0, NULL, NULL} }; \
  static gsize type; \
\
  if (g_once_init_enter (&type)) \
    g_once_init_leave (&type, g_enum_register_static (#TypeName, values)); \
  return type; \
}

/* *INDENT-OFF* */

/**
 * gst_moshi_auth_method_get_type:
 *
 * Returns: the type of the property `auth-method`, values of #MoshiAuthMethod
 */
DEFINE_ENUM (GstMoshiAuthMethod, gst_moshi_auth_method,
    {MOSHI_AUTH_HEADER, "Header: Authorization: Bearer KEY", "header"},
    {MOSHI_AUTH_QUERY, "Query parameter: ?token=KEY", "query"})

/**
 * gst_moshi_dialect_get_type:
 *
 * Returns: the type of the property `dialect`, values of #GstMoshiDialect
 */
DEFINE_ENUM (GstMoshiDialect, gst_moshi_dialect,
    {GST_MOSHI_DIALECT_AUTO, "Told from what the server sends", "auto"},
    {GST_MOSHI_DIALECT_MOSHI, "Kyutai's Moshi servers", "moshi"},
    {GST_MOSHI_DIALECT_MOSHIVIS, "MoshiVis: an image comes first", "moshivis"},
    {GST_MOSHI_DIALECT_PERSONAPLEX,
        "PersonaPlex: needs voice-prompt and text-prompt", "personaplex"})

/**
 * gst_moshi_frame_size_get_type:
 *
 * Returns: the type of the property `frame-size`, with the values and nicks of
 *     opusenc's: the duration in ms, where 2 stands for 2.5
 */
DEFINE_ENUM (GstMoshiFrameSize, gst_moshi_frame_size,
    {2, "2.5 ms", "2.5"}, {5, "5 ms", "5"}, {10, "10 ms", "10"},
    {20, "20 ms", "20"}, {40, "40 ms", "40"}, {60, "60 ms", "60"})

/**
 * gst_moshi_text_unit_get_type:
 *
 * Returns: the type of the property `text-unit`, values of #MoshiTextUnit
 */
DEFINE_ENUM (GstMoshiTextUnit, gst_moshi_text_unit,
    {MOSHI_TEXT_TOKEN, "Each piece as soon as it is whole characters", "token"},
    {MOSHI_TEXT_WORD, "A word with its punctuation", "word"},
    {MOSHI_TEXT_SENTENCE, "Up to a stop (. ! ? or their like), or a pause of 1.5 s",
        "sentence"})

/**
 * gst_moshi_connection_state_get_type:
 *
 * Returns: the type of the property `connection-state`, values of
 *     #MoshiLifeState
 */
DEFINE_ENUM (GstMoshiConnectionState, gst_moshi_connection_state,
    {MOSHI_LIFE_IDLE, "No session is wanted yet", "idle"},
    {MOSHI_LIFE_CONNECTING, "An attempt to connect is under way", "connecting"},
    {MOSHI_LIFE_WAITING, "Connected, no handshake yet", "waiting"},
    {MOSHI_LIFE_READY, "In conversation", "ready"},
    {MOSHI_LIFE_DRAINING, "Waiting for the last answers", "draining"},
    {MOSHI_LIFE_CLOSED, "Ended as asked", "closed"},
    {MOSHI_LIFE_LOST, "Lost; an attempt follows, or none is left", "lost"})

/* *INDENT-ON* */

/*** The table at work *******************************************************/

#define FIELD(self, row, type) \
  (*(type *) G_STRUCT_MEMBER_P ((self), (row)->offset))

/**
 * gst_moshi_settings_init:
 * @self: (out caller-allocates): uninitialized memory
 *
 * Gives every setting its default; `uri` and `api-key` are those of the
 * environment at this moment. Free with gst_moshi_settings_clear().
 */
void
gst_moshi_settings_init (GstMoshiSettings * self)
{
  guint i;

  memset (self, 0, sizeof (*self));
  for (i = 0; i < G_N_ELEMENTS (rows); i++) {
    const Row *row = &rows[i];

    if (row->kind == KIND_STRING)
      FIELD (self, row, gchar *) = g_strdup (row->text);
    else if (row->kind < KIND_STRUCTURE)
      FIELD (self, row, gint) = (gint) row->value;
  }
  self->uri = g_strdup (g_getenv ("MOSHI_URI"));
  self->api_key = g_strdup (g_getenv ("MOSHI_API_KEY"));
}

/**
 * gst_moshi_settings_clear:
 * @self: settings made by gst_moshi_settings_init() or
 *     gst_moshi_settings_copy(), or cleared before
 *
 * Frees what @self holds and leaves it zeroed.
 */
void
gst_moshi_settings_clear (GstMoshiSettings * self)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (rows); i++) {
    const Row *row = &rows[i];

    if (row->kind == KIND_STRING)
      g_free (FIELD (self, row, gchar *));
    else if (row->kind == KIND_STRUCTURE)
      g_clear_pointer (&FIELD (self, row, GstStructure *), gst_structure_free);
    else if (row->kind == KIND_OBJECT)
      g_clear_object (&FIELD (self, row, GObject *));
  }
  g_clear_pointer (&self->model, gst_structure_free);
  memset (self, 0, sizeof (*self));
}

static GstStructure *
copy_structure (const GstStructure * structure)
{
  return structure ? gst_structure_copy (structure) : NULL;
}

/**
 * gst_moshi_settings_copy:
 * @to: (out caller-allocates): uninitialized or cleared memory
 * @from: settings; the caller holds the lock that guards them
 *
 * Makes @to a deep copy of @from, free of its lock: strings and structures are
 * its own, objects are shared by reference. Free with
 * gst_moshi_settings_clear().
 */
void
gst_moshi_settings_copy (GstMoshiSettings * to, const GstMoshiSettings * from)
{
  guint i;

  *to = *from;
  for (i = 0; i < G_N_ELEMENTS (rows); i++) {
    const Row *row = &rows[i];

    if (row->kind == KIND_STRING)
      FIELD (to, row, gchar *) = g_strdup (FIELD (from, row, gchar *));
    else if (row->kind == KIND_STRUCTURE)
      FIELD (to, row, GstStructure *) =
          copy_structure (FIELD (from, row, GstStructure *));
    else if (row->kind == KIND_OBJECT && FIELD (from, row, GObject *))
      g_object_ref (FIELD (to, row, GObject *));
  }
  to->model = copy_structure (from->model);
}

static GParamSpec *
make_pspec (const Row * row)
{
  const gchar *name = row->name, *nick = row->name, *blurb = row->blurb;
  GParamFlags flags = row->flags | G_PARAM_STATIC_STRINGS;

  switch (row->kind) {
    case KIND_BOOLEAN:
      return g_param_spec_boolean (name, nick, blurb, row->value != 0, flags);
    case KIND_INT:
    case KIND_MODEL_INT:
      return g_param_spec_int (name, nick, blurb, row->min, row->max,
          row->value, flags);
    case KIND_UINT:
      return g_param_spec_uint (name, nick, blurb, row->min, row->max,
          row->value, flags);
    case KIND_ENUM:
      return g_param_spec_enum (name, nick, blurb, row->get_type (),
          row->value, flags);
    case KIND_FLAGS:
      return g_param_spec_flags (name, nick, blurb, row->get_type (),
          row->value, flags);
    case KIND_STRUCTURE:
      return g_param_spec_boxed (name, nick, blurb, GST_TYPE_STRUCTURE, flags);
    case KIND_OBJECT:
      return g_param_spec_object (name, nick, blurb, row->get_type (), flags);
    case KIND_MODEL_INT64:
      return g_param_spec_int64 (name, nick, blurb, row->min, row->max,
          row->value, flags);
    case KIND_MODEL_DOUBLE:
      return g_param_spec_double (name, nick, blurb, row->min, row->max,
          row->value, flags);
    case KIND_STRING:
    case KIND_MODEL_STRING:
    default:
      return g_param_spec_string (name, nick, blurb, row->text, flags);
  }
}

/**
 * gst_moshi_settings_install:
 * @klass: the class of an element, in its class_init
 * @groups: which properties it has
 *
 * Installs the properties of @groups on @klass, with ids from
 * %GST_MOSHI_SETTINGS_FIRST_PROP on.
 */
void
gst_moshi_settings_install (GObjectClass * klass, GstMoshiSettingsGroup groups)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (rows); i++) {
    if ((rows[i].group & groups) == 0)
      continue;
    g_object_class_install_property (klass, GST_MOSHI_SETTINGS_FIRST_PROP + i,
        make_pspec (&rows[i]));
    if (rows[i].kind == KIND_ENUM)
      gst_type_mark_as_plugin_api (rows[i].get_type (), 0);
  }
}

/**
 * gst_moshi_settings_get_model_name:
 * @n: counts from 0
 *
 * Returns: (transfer none) (nullable): the query name of the @n-th model
 *     parameter, in the order of the table; %NULL beyond the last
 */
const gchar *
gst_moshi_settings_get_model_name (guint n)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (rows); i++) {
    if (rows[i].field && n-- == 0)
      return rows[i].field;
  }
  return NULL;
}

static const Row *
find_row (guint id)
{
  if (id < GST_MOSHI_SETTINGS_FIRST_PROP)
    return NULL;
  id -= GST_MOSHI_SETTINGS_FIRST_PROP;
  return id < G_N_ELEMENTS (rows) ? &rows[id] : NULL;
}

/*** Model parameters ********************************************************/

static gboolean
is_empty (const gchar * text)
{
  return text == NULL || *text == '\0';
}

static gboolean
is_unset (const Row * row, const GValue * value, GParamSpec * pspec)
{
  if (row->kind == KIND_MODEL_STRING)
    return is_empty (g_value_get_string (value));
  if (row->kind == KIND_MODEL_DOUBLE)
    return g_value_get_double (value) < (gdouble) row->min + 1;
  return g_param_value_defaults (pspec, value);
}

static void
set_model (GstMoshiSettings * self, const Row * row, const GValue * value,
    GParamSpec * pspec)
{
  if (!is_unset (row, value, pspec)) {
    if (self->model == NULL)
      self->model = gst_structure_new_empty ("model");
    gst_structure_set_value (self->model, row->field, value);
  } else if (self->model) {
    gst_structure_remove_field (self->model, row->field);
  }
}

static void
get_model (const GstMoshiSettings * self, const Row * row, GValue * value,
    GParamSpec * pspec)
{
  if (self->model && gst_structure_has_field (self->model, row->field))
    g_value_copy (gst_structure_get_value (self->model, row->field), value);
  else
    g_param_value_set_default (pspec, value);
}

/*** Reading back without secrets ********************************************/

/* Readable properties land in DOT files and in what gst-launch-1.0 -v prints,
 * where no key may appear. */
static gboolean
redact_field (GQuark field, GValue * value, gpointer user_data)
{
  if (moshi_name_is_secret (g_quark_to_string (field))) {
    g_value_unset (value);
    g_value_init (value, G_TYPE_STRING);
    g_value_set_static_string (value, REDACTED);
  }
  return TRUE;
}

static GstStructure *
dup_redacted_structure (const GstStructure * structure)
{
  GstStructure *copy = copy_structure (structure);

  if (copy)
    gst_structure_map_in_place (copy, redact_field, NULL);
  return copy;
}

static gchar *
dup_readable_string (const GstMoshiSettings * self, const Row * row)
{
  const gchar *text = FIELD (self, row, gchar *);

  if (text == self->uri || text == self->proxy)
    return moshi_redact_uri (text);
  return g_strdup (text);
}

/*** Set and get *************************************************************/

static void
set_string (GstMoshiSettings * self, const Row * row, const GValue * value)
{
  const gchar *text = g_value_get_string (value);
  gchar **field = &FIELD (self, row, gchar *);

  g_free (*field);
  *field = g_strdup (text ? text : row->text);
}

static void
set_structure (GstMoshiSettings * self, const Row * row, const GValue * value)
{
  GstStructure **field = &FIELD (self, row, GstStructure *);

  g_clear_pointer (field, gst_structure_free);
  *field = copy_structure (gst_value_get_structure (value));
}

/**
 * gst_moshi_settings_set_property:
 * @self: settings; the caller holds the lock that guards them
 * @id: a property id
 * @value: of the property's type
 * @pspec: the property
 *
 * Sets the property @id. For model parameters the value that means "unset"
 * unsets; %NULL gives a string its default.
 *
 * Returns: %FALSE if @id is not one of the settings
 */
gboolean
gst_moshi_settings_set_property (GstMoshiSettings * self, guint id,
    const GValue * value, GParamSpec * pspec)
{
  const Row *row = find_row (id);

  if (row == NULL)
    return FALSE;

  switch (row->kind) {
    case KIND_STRING:
      set_string (self, row, value);
      break;
    case KIND_BOOLEAN:
      FIELD (self, row, gboolean) = g_value_get_boolean (value);
      break;
    case KIND_INT:
      FIELD (self, row, gint) = g_value_get_int (value);
      break;
    case KIND_UINT:
      FIELD (self, row, guint) = g_value_get_uint (value);
      break;
    case KIND_ENUM:
      FIELD (self, row, gint) = g_value_get_enum (value);
      break;
    case KIND_FLAGS:
      FIELD (self, row, guint) = g_value_get_flags (value);
      break;
    case KIND_STRUCTURE:
      set_structure (self, row, value);
      break;
    case KIND_OBJECT:
      g_set_object (&FIELD (self, row, GObject *), g_value_get_object (value));
      break;
    default:
      set_model (self, row, value, pspec);
      break;
  }
  return TRUE;
}

/**
 * gst_moshi_settings_get_property:
 * @self: settings; the caller holds the lock that guards them
 * @id: a property id
 * @value: of the property's type
 * @pspec: the property
 *
 * Reads the property @id into @value, as its owner's copy. Credentials inside
 * `uri`, `proxy`, `extra-headers` and `query-parameters` are redacted: what can
 * be read ends up in DOT files and logs. Use gst_moshi_settings_copy() where
 * they are needed.
 *
 * Returns: %FALSE if @id is not one of the settings
 */
gboolean
gst_moshi_settings_get_property (const GstMoshiSettings * self, guint id,
    GValue * value, GParamSpec * pspec)
{
  const Row *row = find_row (id);

  if (row == NULL)
    return FALSE;

  switch (row->kind) {
    case KIND_STRING:
      g_value_take_string (value, dup_readable_string (self, row));
      break;
    case KIND_BOOLEAN:
      g_value_set_boolean (value, FIELD (self, row, gboolean));
      break;
    case KIND_INT:
      g_value_set_int (value, FIELD (self, row, gint));
      break;
    case KIND_UINT:
      g_value_set_uint (value, FIELD (self, row, guint));
      break;
    case KIND_ENUM:
      g_value_set_enum (value, FIELD (self, row, gint));
      break;
    case KIND_FLAGS:
      g_value_set_flags (value, FIELD (self, row, guint));
      break;
    case KIND_STRUCTURE:
      g_value_take_boxed (value,
          dup_redacted_structure (FIELD (self, row, GstStructure *)));
      break;
    case KIND_OBJECT:
      g_value_set_object (value, FIELD (self, row, GObject *));
      break;
    default:
      get_model (self, row, value, pspec);
      break;
  }
  return TRUE;
}

/**
 * gst_moshi_settings_get_frame_duration:
 * @self: settings; the caller holds the lock that guards them
 *
 * Returns: the duration of the packets to encode, in samples at 48 kHz
 */
guint
gst_moshi_settings_get_frame_duration (const GstMoshiSettings * self)
{
  /* 2 stands for 2.5 ms */
  return self->frame_size == 2 ? 120 : (guint) self->frame_size * 48;
}
