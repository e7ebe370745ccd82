/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "standinflavour.h"

#include <math.h>
#include <string.h>
#include <json-glib/json-glib.h>

#define MIB (1024 * 1024)

/* Sources: kyutai-labs/moshi moshi/moshi/server.py,
 * rust/moshi-backend/src/stream_both.rs, rust/moshi-server/src/lm.rs,
 * moshi_mlx/moshi_mlx/local_web.py; NVIDIA/personaplex
 * moshi/moshi/server.py; kyutai-labs/moshivis kyuteye_pt/kyuteye/server.py;
 * the Ogg layout of the Python servers is that of sphn 0.2 (Kyutai's) and
 * 0.1 (the other two). Kyutai's four have been run, and are as they were seen
 * (docs/servers.md): moshi 0.2.13, moshi_mlx 0.3.0, moshi-backend and
 * moshi-server 0.6.4. The other two are as their sources say. */
static const StandinFlavour flavours[] = {
  {
        .flavour = MOSHI_STANDIN_KYUTAI_PY,
        .name = "kyutai-py",
        .what = "Kyutai's PyTorch server (python -m moshi.server)",
        .layout = STANDIN_LAYOUT_STEP,
        .packet_samples = 960,
        .granule = STANDIN_GRANULE_48K,
        .order = STANDIN_AUDIO_FIRST,
        .delay = 1,
        .single = TRUE,
        .last_kind = -1,
        .bad_ogg = STANDIN_END_DROP,
        .max_message = 4 * MIB,
        .max_samples = 5 * MOSHI_STANDIN_RATE,
        .fallback_literal = TRUE,
        .deflate = TRUE,
      },
  {
        .flavour = MOSHI_STANDIN_KYUTAI_RS,
        .name = "kyutai-rs",
        .what = "Kyutai's Rust moshi-backend (the real one wants TLS)",
        .handshake_payload = 8,
        .metadata = TRUE,
        .layout = STANDIN_LAYOUT_PAGE,
        .packet_samples = 960,
        .granule = STANDIN_GRANULE_24K_STEP,
        .order = STANDIN_AUDIO_FIRST,
        .delay = 2,
        .parses_all_frames = TRUE,
        .last_kind = 6,
        .second_bos_ends = TRUE,
        .bad_crc_ends = TRUE,
        .bad_ogg = STANDIN_END_DROP,
        .checks_query = TRUE,
        .limit = STANDIN_LIMIT_DROP_SECOND,
        .max_steps = 4500,
        .flush = 960,
      },
  {
        .flavour = MOSHI_STANDIN_MOSHI_SERVER,
        .name = "moshi-server",
        .what = "Kyutai's Rust moshi-server, module Lm",
        .handshake_payload = 8,
        .layout = STANDIN_LAYOUT_HEADERS_ALONE,
        .packet_samples = 960,
        .granule = STANDIN_GRANULE_48K,
        .order = STANDIN_TEXT_FIRST,
        .delay = 2,
        .last_kind = 9,
        .bad_ogg = STANDIN_END_DROP,
        .limit = STANDIN_LIMIT_DROP_FIRST,
        .max_steps = 4096,
        .max_samples = 5 * MOSHI_STANDIN_RATE,
      },
  {
        .flavour = MOSHI_STANDIN_MLX,
        .name = "mlx",
        .what = "Kyutai's MLX server (python -m moshi_mlx.local_web)",
        .layout = STANDIN_LAYOUT_STEP,
        .packet_samples = 960,
        .granule = STANDIN_GRANULE_48K,
        .order = STANDIN_TEXT_LAGS,
        .single = TRUE,
        .leftovers = TRUE,
        .last_kind = -1,
        .bad_ogg = STANDIN_END_DROP,
        .limit = STANDIN_LIMIT_MUTE,
        .max_steps = 4000,
        .max_message = 4 * MIB,
        .max_samples = 5 * MOSHI_STANDIN_RATE,
        .fallback_literal = TRUE,
        .deflate = TRUE,
      },
  {
        .flavour = MOSHI_STANDIN_PERSONAPLEX,
        .name = "personaplex",
        .what = "NVIDIA PersonaPlex; wants voice_prompt and text_prompt",
        .layout = STANDIN_LAYOUT_HEADERS_APART,
        .packet_samples = 1920,
        .granule = STANDIN_GRANULE_24K,
        .order = STANDIN_TEXT_ANYWHERE,
        .single = TRUE,
        .eats_early = TRUE,
        .wants_prompts = TRUE,
        .prompt_ms = 500,
        .last_kind = -1,
        .bad_crc_ends = TRUE,
        .bad_ogg = STANDIN_END_CLOSE,
        .max_message = 4 * MIB,
        .fallback_literal = TRUE,
        .deflate = TRUE,
      },
  {
        .flavour = MOSHI_STANDIN_MOSHIVIS,
        .name = "moshivis",
        .what = "Kyutai's MoshiVis (PyTorch); wants an image first",
        .layout = STANDIN_LAYOUT_HEADERS_APART,
        .packet_samples = 1920,
        .granule = STANDIN_GRANULE_24K,
        .order = STANDIN_TEXT_ANYWHERE,
        .delay = 1,
        .single = TRUE,
        .wants_image = TRUE,
        .coloured = TRUE,
        .last_kind = -1,
        .bad_crc_ends = TRUE,
        .bad_ogg = STANDIN_END_CLOSE,
        .fallback_literal = TRUE,
        .deflate = TRUE,
      },
  {
        .flavour = MOSHI_STANDIN_SCALEWAY,
        .name = "scaleway",
        .what = "kyutai-rs behind a key (Bearer or ?token=), else 403",
        .handshake_payload = 8,
        .metadata = TRUE,
        .layout = STANDIN_LAYOUT_PAGE,
        .packet_samples = 960,
        .granule = STANDIN_GRANULE_24K_STEP,
        .order = STANDIN_AUDIO_FIRST,
        .delay = 2,
        .parses_all_frames = TRUE,
        .last_kind = 6,
        .second_bos_ends = TRUE,
        .bad_crc_ends = TRUE,
        .bad_ogg = STANDIN_END_DROP,
        .checks_query = TRUE,
        .limit = STANDIN_LIMIT_DROP_SECOND,
        .max_steps = 4500,
        .flush = 960,
        .key = TRUE,
      },
};

typedef enum
{
  PARAM_FLOAT,
  PARAM_UINT,
  PARAM_STRING,
} ParamType;

/* rust/moshi-backend/src/stream_both.rs: SessionConfigReq, in its order.
 * The metadata echoes those that have a default here. */
static const struct
{
  const gchar *name;
  ParamType type;
  const gchar *echo;
} params[] = {
  {"text_temperature", PARAM_FLOAT, "0.8"},
  {"text_topk", PARAM_UINT, "250"},
  {"audio_temperature", PARAM_FLOAT, "0.8"},
  {"audio_topk", PARAM_UINT, "250"},
  {"pad_mult", PARAM_FLOAT, "0.0"},
  {"repetition_penalty_context", PARAM_UINT, "32"},
  {"repetition_penalty", PARAM_FLOAT, "1.0"},
  {"max_steps", PARAM_UINT, NULL},
  {"audio_seed", PARAM_UINT, NULL},
  {"text_seed", PARAM_UINT, NULL},
  {"email", PARAM_STRING, NULL},
};

/**
 * standin_flavour_get:
 * @flavour: which
 *
 * Returns: (transfer none): its line of the table
 */
const StandinFlavour *
standin_flavour_get (MoshiStandinFlavour flavour)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (flavours); i++) {
    if (flavours[i].flavour == flavour)
      return &flavours[i];
  }
  g_assert_not_reached ();
}

/**
 * standin_flavour_nth:
 * @index: from 0
 *
 * Returns: (transfer none) (nullable): NULL behind the last
 */
const StandinFlavour *
standin_flavour_nth (guint index)
{
  return index < G_N_ELEMENTS (flavours) ? &flavours[index] : NULL;
}

/**
 * moshi_standin_flavour_from_string:
 * @name: as on the command line, `kyutai-py` and so on
 * @flavour: (out): which it is
 *
 * Returns: FALSE if there is none of that name
 */
gboolean
moshi_standin_flavour_from_string (const gchar * name,
    MoshiStandinFlavour * flavour)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (flavours); i++) {
    if (strcmp (flavours[i].name, name) == 0) {
      *flavour = flavours[i].flavour;
      return TRUE;
    }
  }
  return FALSE;
}

/**
 * moshi_standin_flavour_delay:
 * @flavour: which
 *
 * Returns: how many steps give no audio at the start of a session
 */
guint
moshi_standin_flavour_delay (MoshiStandinFlavour flavour)
{
  return standin_flavour_get (flavour)->delay;
}

static gboolean
param_is_valid (ParamType type, const gchar * value)
{
  gchar *end = NULL;
  guint64 whole;

  switch (type) {
    case PARAM_FLOAT:
      /* Rust's parser takes no white space around a number. */
      if (*value == '\0' || g_ascii_isspace (*value))
        return FALSE;
      g_ascii_strtod (value, &end);
      return *end == '\0';
    case PARAM_UINT:
      if (*value == '+')
        value++;
      return g_ascii_string_to_unsigned (value, 10, 0, G_MAXUINT64, &whole,
          NULL);
    case PARAM_STRING:
      return TRUE;
  }
  return FALSE;
}

/**
 * standin_flavour_check_query:
 * @self: the flavour
 * @query: (element-type utf8 utf8): name to value, decoded
 *
 * moshi-backend gives HTTP 400 for a parameter it cannot parse, an empty one
 * included (axum's Query extractor over SessionConfigReq).
 *
 * Returns: (transfer full) (nullable): the body of the 400, NULL if all is
 *     well
 */
gchar *
standin_flavour_check_query (const StandinFlavour * self, GHashTable * query)
{
  const gchar *value;
  guint i;

  if (!self->checks_query)
    return NULL;
  for (i = 0; i < G_N_ELEMENTS (params); i++) {
    value = g_hash_table_lookup (query, params[i].name);
    if (value == NULL || param_is_valid (params[i].type, value))
      continue;
    return g_strdup_printf ("Failed to deserialize query string: %s: "
        "cannot parse %s from \"%s\"", params[i].name,
        params[i].type == PARAM_FLOAT ? "float" : "integer", value);
  }
  return NULL;
}

static void
add_build_info (JsonBuilder * builder)
{
  static const gchar *const names[] = { "build_timestamp", "build_date",
    "git_branch", "git_timestamp", "git_date", "git_hash", "git_describe",
    "rustc_host_triple", "rustc_version", "cargo_target_triple"
  };
  guint i;

  json_builder_set_member_name (builder, "build_info");
  json_builder_begin_object (builder);
  for (i = 0; i < G_N_ELEMENTS (names); i++) {
    json_builder_set_member_name (builder, names[i]);
    json_builder_add_string_value (builder, "stand-in");
  }
  json_builder_end_object (builder);
}

static void
add_param (JsonBuilder * builder, guint index, GHashTable * query)
{
  const gchar *value = g_hash_table_lookup (query, params[index].name);

  if (value == NULL)
    value = params[index].echo;
  json_builder_set_member_name (builder, params[index].name);
  if (params[index].type == PARAM_UINT)
    json_builder_add_int_value (builder, g_ascii_strtoll (value, NULL, 10));
  else if (isfinite (g_ascii_strtod (value, NULL)))
    json_builder_add_double_value (builder, g_ascii_strtod (value, NULL));
  else
    json_builder_add_null_value (builder);
}

/**
 * standin_flavour_metadata:
 * @query: (element-type utf8 utf8): a query that was checked
 *
 * The metadata of moshi-backend: the sampling parameters in force, the model
 * files, the build and the instance.
 *
 * Returns: (transfer full): JSON
 */
gchar *
standin_flavour_metadata (GHashTable * query)
{
  JsonBuilder *builder = json_builder_new ();
  JsonNode *root;
  gchar *json;
  guint i;

  json_builder_begin_object (builder);
  for (i = 0; i < G_N_ELEMENTS (params); i++) {
    if (params[i].echo != NULL)
      add_param (builder, i, query);
  }
  json_builder_set_member_name (builder, "lm_model_file");
  json_builder_add_string_value (builder, "model.q8.gguf");
  json_builder_set_member_name (builder, "mimi_model_file");
  json_builder_add_string_value (builder, "tokenizer.safetensors");
  add_build_info (builder);
  json_builder_set_member_name (builder, "instance_name");
  json_builder_add_string_value (builder, "stand-in");
  json_builder_end_object (builder);
  root = json_builder_get_root (builder);
  json = json_to_string (root, FALSE);
  json_node_unref (root);
  g_object_unref (builder);
  return json;
}
