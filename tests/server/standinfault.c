/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "standinfault.h"

#include <string.h>
#include <gio/gio.h>

/* Where the numbers of an argument A:B go, and what they are if left out. */
typedef struct
{
  const gchar *name;
  const gchar *arg;             /* as help shows it */
  const gchar *help;
  gsize first;                  /* offset in StandinFaults */
  guint first_default;
  gsize second;
  guint second_default;
  guint least;                  /* of the first number */
  guint most;
} Fault;

#define NONE G_MAXSIZE
#define AT(field) G_STRUCT_OFFSET (StandinFaults, field)
#define ANY 0, G_MAXUINT
#define FLAG(field) AT (field), TRUE, NONE, 0, 1, 1

static const Fault table[] = {
  {"http-status", "CODE", "answer the request with this HTTP status",
      AT (http_status), 503, NONE, 0, 200, 599},
  {"no-upgrade", NULL, "answer the request with a web page, HTTP 200",
      FLAG (no_upgrade)},
  {"no-handshake", NULL, "upgrade, then never send the handshake",
      FLAG (no_handshake)},
  {"handshake-delay", "MS", "hold the handshake back so long",
      AT (handshake_delay), 1000, NONE, 0, ANY},
  {"error-message", "TEXT[@FRAMES]", "send kind 05 after so many frames",
      AT (error_after), 0, NONE, 0, ANY},
  {"close-at-once", "[CODE]", "upgrade, then close (1011)",
      AT (close_at_once), 1011, NONE, 0, 1000, 4999},
  {"close-after", "FRAMES[:CODE]", "close after so many frames (1000)",
      AT (close_after), 0, AT (close_code), 1000, ANY},
  {"drop-after", "FRAMES", "drop TCP after so many frames, no close frame",
      AT (drop_after), 0, NONE, 0, ANY},
  {"freeze-after", "FRAMES", "stop answering after so many, stay connected",
      AT (freeze_after), 0, NONE, 0, ANY},
  {"garbage", "[N]", "every Nth frame's audio is random bytes (2)",
      AT (garbage), 2, NONE, 0, 1, G_MAXUINT},
  {"bad-crc", "[N]", "every Nth audio page has a wrong checksum (2)",
      AT (bad_crc), 2, NONE, 0, 1, G_MAXUINT},
  {"chunk", "random", "split the audio bytes at random over messages",
      FLAG (chunk)},
  {"unknown-kinds", NULL, "messages of unknown kinds and none among the rest",
      FLAG (unknown_kinds)},
  {"giant-message", "[BYTES]", "one metadata message of that size (1 MiB)",
      AT (giant_message), 1024 * 1024, NONE, 0, 16, 256 * 1024 * 1024},
  {"ping-flood", "[N]", "so many pings a frame (20)",
      AT (ping_flood), 20, NONE, 0, 1, 10000},
  {"never-read", NULL, "read nothing after the handshake",
      FLAG (never_read)},
  {"bare-words", NULL, "Rust flavours: a word apart from the one before it "
        "lacks its space, as behind a pad without an end-of-pad",
      FLAG (bare_words)},
  {"stall", "AT:FRAMES", "at frame AT hold FRAMES frames back, then burst",
      AT (stall_at), 0, AT (stall_for), 10, ANY},
};

/**
 * standin_faults_new:
 *
 * Returns: (transfer full): no faults
 */
StandinFaults *
standin_faults_new (void)
{
  StandinFaults *self = g_new0 (StandinFaults, 1);

  self->close_after = STANDIN_NEVER;
  self->drop_after = STANDIN_NEVER;
  self->freeze_after = STANDIN_NEVER;
  self->error_after = STANDIN_NEVER;
  self->stall_at = STANDIN_NEVER;
  return self;
}

/**
 * standin_faults_free:
 * @self: (transfer full): the faults
 */
void
standin_faults_free (StandinFaults * self)
{
  g_free (self->error_message);
  g_free (self);
}

/**
 * standin_faults_copy:
 * @self: the faults
 *
 * Returns: (transfer full): a copy
 */
StandinFaults *
standin_faults_copy (const StandinFaults * self)
{
  StandinFaults *copy = g_new (StandinFaults, 1);

  *copy = *self;
  copy->error_message = g_strdup (self->error_message);
  return copy;
}

static void
put (StandinFaults * self, gsize offset, guint value)
{
  if (offset != NONE)
    G_STRUCT_MEMBER (guint, self, offset) = value;
}

static gboolean
parse_number (const gchar * text, guint least, guint most, guint * value)
{
  guint64 number;

  if (!g_ascii_string_to_unsigned (text, 10, least, most, &number, NULL))
    return FALSE;
  *value = number;
  return TRUE;
}

static gboolean
parse_numbers (StandinFaults * self, const Fault * fault, const gchar * arg)
{
  gchar **parts = g_strsplit (arg, ":", 2);
  guint value;
  gboolean ok = TRUE;

  if (*arg != '\0') {
    ok = parse_number (parts[0], fault->least, fault->most, &value);
    if (ok)
      put (self, fault->first, value);
    if (ok && parts[0] != NULL && parts[1] != NULL) {
      ok = fault->second != NONE
          && parse_number (parts[1], 0, G_MAXUINT, &value);
      if (ok)
        put (self, fault->second, value);
    }
  }
  g_strfreev (parts);
  return ok;
}

static gboolean
parse_message (StandinFaults * self, const gchar * arg)
{
  const gchar *at = strrchr (arg, '@');
  gsize size = strlen (arg);

  if (at != NULL && parse_number (at + 1, 0, G_MAXUINT, &self->error_after))
    size = at - arg;
  g_free (self->error_message);
  self->error_message = g_strndup (arg, size);
  return TRUE;
}

static gboolean
parse_one (StandinFaults * self, const gchar * spec)
{
  const gchar *equals = strchr (spec, '=');
  gsize size = equals != NULL ? (gsize) (equals - spec) : strlen (spec);
  const gchar *arg = equals != NULL ? equals + 1 : "";
  const Fault *fault;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (table); i++) {
    fault = &table[i];
    if (strlen (fault->name) != size || memcmp (spec, fault->name, size) != 0)
      continue;
    put (self, fault->first, fault->first_default);
    put (self, fault->second, fault->second_default);
    if (fault->first == AT (error_after))
      return parse_message (self, *arg != '\0' ? arg : "out of memory");
    if (fault->first == AT (chunk) && strcmp (arg, "random") == 0)
      return TRUE;
    return parse_numbers (self, fault, arg);
  }
  return FALSE;
}

/**
 * standin_faults_parse:
 * @specs: (nullable) (array zero-terminated=1): `NAME` or `NAME=ARG`
 * @error: G_IO_ERROR_INVALID_ARGUMENT names the one that is no good
 *
 * Returns: (transfer full) (nullable): the faults, NULL with @error set
 */
StandinFaults *
standin_faults_parse (const gchar * const *specs, GError ** error)
{
  StandinFaults *self = standin_faults_new ();

  for (; specs != NULL && *specs != NULL; specs++) {
    if (!parse_one (self, *specs)) {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
          "There is no fault “%s”; --help lists them", *specs);
      standin_faults_free (self);
      return NULL;
    }
  }
  return self;
}

/**
 * standin_faults_help:
 *
 * Returns: (transfer full): a line for each fault
 */
gchar *
standin_faults_help (void)
{
  GString *help = g_string_new (NULL);
  gchar *name;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (table); i++) {
    name = table[i].arg == NULL ? g_strdup (table[i].name)
        : g_strdup_printf ("%s=%s", table[i].name, table[i].arg);
    g_string_append_printf (help, "  %-28s %s\n", name, table[i].help);
    g_free (name);
  }
  return g_string_free (help, FALSE);
}
