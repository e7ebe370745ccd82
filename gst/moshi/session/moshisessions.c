/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The named conversations of a process: a speaking and a listening half of
 * different pipelines meet in one by its name. Whoever comes first makes what
 * they share, whoever leaves last ends it. */

#include "moshisessions.h"

#include "moshilock.h"

typedef struct
{
  gpointer shared;
  GDestroyNotify destroy;
  gboolean taken[2];            /* by role */
} Entry;

/* Held for the look-up alone; `create` and `destroy` run under it, so that
 * nobody sees a half-made entry, and take no lock that waits. */
static GMutex lock;
/* gchar * -> Entry */
static GHashTable *entries MOSHI_GUARDED_BY (lock);

static void
free_entry (gpointer data)
{
  Entry *entry = data;

  entry->destroy (entry->shared);
  g_free (entry);
}

static Entry *
find_locked (const gchar * name)
MOSHI_REQUIRES (lock)
{
  return entries ? g_hash_table_lookup (entries, name) : NULL;
}

static Entry *
add_locked (const gchar * name, gpointer (*create) (void),
    GDestroyNotify destroy)
MOSHI_REQUIRES (lock)
{
  Entry *entry = g_new0 (Entry, 1);

  if (entries == NULL)
    entries = g_hash_table_new_full (g_str_hash, g_str_equal, g_free,
        free_entry);
  entry->shared = create ();
  entry->destroy = destroy;
  g_hash_table_insert (entries, g_strdup (name), entry);
  return entry;
}

/**
 * moshi_sessions_join:
 * @name: of the conversation
 * @role: the half to take
 * @create: makes what the halves share, called if the name is new
 * @destroy: ends it, called when the last half has left
 * @error: return location
 *
 * Any thread.
 *
 * Returns: (transfer none) (nullable): what the halves share, valid until
 *     moshi_sessions_leave(); %NULL if that half is taken:
 *     %MOSHI_ERROR_SETTINGS
 */
gpointer
moshi_sessions_join (const gchar * name, MoshiSessionsRole role,
    gpointer (*create) (void), GDestroyNotify destroy, GError ** error)
{
  gpointer shared = NULL;
  Entry *entry;

  g_mutex_lock (&lock);
  entry = find_locked (name);
  if (entry == NULL)
    entry = add_locked (name, create, destroy);
  if (!entry->taken[role]) {
    entry->taken[role] = TRUE;
    shared = entry->shared;
  }
  g_mutex_unlock (&lock);

  if (shared == NULL)
    g_set_error (error, MOSHI_ERROR, MOSHI_ERROR_SETTINGS,
        "The session \"%s\" has a %s already; give this one another value of "
        "the property session.", name,
        role == MOSHI_SESSIONS_SPEAKS ? "moshisink" : "moshisrc");
  return shared;
}

/**
 * moshi_sessions_leave:
 * @name: of the conversation
 * @role: the half taken with moshi_sessions_join()
 *
 * Any thread.
 */
void
moshi_sessions_leave (const gchar * name, MoshiSessionsRole role)
{
  Entry *entry;

  g_mutex_lock (&lock);
  entry = find_locked (name);
  if (entry) {
    entry->taken[role] = FALSE;
    if (!entry->taken[MOSHI_SESSIONS_SPEAKS]
        && !entry->taken[MOSHI_SESSIONS_LISTENS])
      g_hash_table_remove (entries, name);
    if (g_hash_table_size (entries) == 0)
      g_clear_pointer (&entries, g_hash_table_unref);
  }
  g_mutex_unlock (&lock);
}
