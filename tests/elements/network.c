/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What lies between the element and a healthy server fails, and comes back: the
 * network itself, a proxy, the name servers. The program has a network of its
 * own, where the machine allows that, so that it can take the link down.
 */
#define _GNU_SOURCE
#include "answers.h"

#include <gio/gio.h>
#include <string.h>

#include "tunnel.h"

#ifdef __linux__
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#endif

#define SECONDS 8

static Harness *
new_file (const MoshiStandinConfig * config, const gchar * properties)
{
  return harness_new (config, ANSWERS_FILE " ! moshi name=m "
      "retry-backoff-max=10 %s ! " ANSWERS_CAPS " ! fakesink", SECONDS * 50,
      properties);
}

static Harness *
new_live (const MoshiStandinConfig * config, const gchar * properties)
{
  return harness_new (config, ANSWERS_LIVE " ! moshi name=m "
      "retry-backoff-max=10 %s ! " ANSWERS_CAPS " ! fakesink", properties);
}

/* Plays live until there are answers. */
static void
begin_live (Harness * self)
{
  harness_set_state (self, GST_STATE_PLAYING);
  harness_wait_connection (self, "ready");
  harness_wait_stat (self, "samples-received", 4800);
  harness_pop_messages (self);
}

/* Each warning tells what it has cost so far, and no more than there is. */
static void
check_counts (Harness * self)
{
  const guint64 most = harness_get_stat (self, "input-unsent");
  guint64 unanswered, lost = 0, unsent = 0, before = 0;
  const GstStructure *details;
  guint i;

  harness_pop_messages (self);
  for (i = 0; i < self->messages->len; i++) {
    GstMessage *message = self->messages->pdata[i];

    if (GST_MESSAGE_TYPE (message) != GST_MESSAGE_WARNING)
      continue;
    gst_message_parse_warning_details (message, &details);
    g_assert_true (gst_structure_get_uint64 (details, "unanswered",
            &unanswered));
    lost = MAX (lost, unanswered);
    g_assert_true (gst_structure_get_uint64 (details, "input-unsent", &unsent));
    g_assert_cmpuint (unsent, >=, before);
    g_assert_cmpuint (unsent, <=, most);
    before = unsent;
  }
  g_assert_cmpuint (lost, >, 0);
}

/* It is gone: the user is told, the output goes on, what is said is counted. */
static void
check_away (Harness * self)
{
  const guint64 unsent = harness_get_stat (self, "input-unsent");

  harness_wait_connection (self, "lost");
  harness_wait_stat (self, "input-unsent", unsent + 200 * GST_MSECOND);
  answers_check_live (self);
}

/* It is back: a session follows, what was said meanwhile is not sent late, and
 * PROGRESS told of the attempt. */
static void
check_back (Harness * self)
{
  MoshiStandinStats stats;
  guint64 unsent, samples;

  harness_wait_stat (self, "sessions", 2);
  unsent = harness_get_stat (self, "input-unsent");
  samples = harness_get_stat (self, "samples-received");
  harness_wait_stat (self, "samples-received", samples + 9600);
  answers_check_live (self);
  /* Two frames and a bit were under way, and no more than now is sent. */
  g_assert_cmpuint (harness_get_stat (self, "input-unsent"), <=,
      unsent + 100 * GST_MSECOND);
  moshi_standin_get_stats (self->server, &stats);
  g_assert_cmpuint (stats.early_messages, ==, 0);
  g_assert_cmpuint (harness_get_stat (self, "reconnects"), ==, 1);
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_ERROR, NULL), ==,
      0);
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_WARNING, NULL),
      >=, 1);
  check_counts (self);
  /* Twice "connecting", and what came of it */
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_PROGRESS, NULL),
      >=, 4);
}

/* --- the link -------------------------------------------------------------- */

static gboolean has_link;       /* of its own, for all tests */

#ifdef __linux__
static gboolean
set_link (gboolean up)
{
  struct ifreq request = { {"lo"}, };
  int fd = socket (AF_INET, SOCK_DGRAM, 0);
  gboolean done;

  done = fd >= 0 && ioctl (fd, SIOCGIFFLAGS, &request) == 0;
  if (up)
    request.ifr_flags |= IFF_UP;
  else
    request.ifr_flags &= ~IFF_UP;
  done = done && ioctl (fd, SIOCSIFFLAGS, &request) == 0;
  if (fd >= 0)
    close (fd);
  return done;
}

/* Only as long as there is one thread. */
static void
make_link (void)
{
  has_link = (unshare (CLONE_NEWNET) == 0
      || unshare (CLONE_NEWUSER | CLONE_NEWNET) == 0) && set_link (TRUE);
}
#else
static gboolean
set_link (gboolean up)
{
  return FALSE;
}

static void
make_link (void)
{
}
#endif

static gboolean
skip_without_link (void)
{
  if (!has_link)
    g_test_skip ("there is no network of our own to be had here");
  return !has_link;
}

/* Longer than idle-timeout: a session is lost, and followed by another when the
 * link is back. One that holds its lock until it hears of the loss, too. */
static void
test_link_live (gconstpointer data)
{
  MoshiStandinConfig config;
  Harness *self;

  if (skip_without_link ())
    return;
  answers_init_config (&config);
  config.flavour = GPOINTER_TO_INT (data);
  self = new_live (&config, "idle-timeout=500 connect-timeout=300 retries=-1");
  begin_live (self);
  g_assert_true (set_link (FALSE));
  check_away (self);
  g_assert_true (set_link (TRUE));
  check_back (self);
  harness_free (self);
}

/* Shorter: a stall. */
static void
test_link_live_stall (void)
{
  MoshiStandinConfig config;
  guint64 bytes, samples;
  Harness *self;

  if (skip_without_link ())
    return;
  answers_init_config (&config);
  self = new_live (&config, "idle-timeout=20000");
  begin_live (self);
  g_assert_true (set_link (FALSE));
  harness_lock (self);
  bytes = self->out->bytes;
  harness_unlock (self);
  harness_wait_bytes (self, self->out, bytes + 14400);
  g_assert_true (set_link (TRUE));
  samples = harness_get_stat (self, "samples-received");
  harness_wait_stat (self, "samples-received", samples + 14400);
  answers_check_live (self);
  g_assert_cmpuint (harness_get_stat (self, "sessions"), ==, 1);
  g_assert_cmpuint (harness_get_stat (self, "reconnects"), ==, 0);
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_ERROR, NULL), ==,
      0);
  harness_free (self);
}

/* It does not come back. */
static void
test_link_live_for_good (void)
{
  MoshiStandinConfig config;
  Harness *self;

  if (skip_without_link ())
    return;
  answers_init_config (&config);
  self = new_live (&config, "idle-timeout=1000 connect-timeout=1000 retries=2");
  begin_live (self);
  g_assert_true (set_link (FALSE));
  gst_message_unref (harness_wait_error (self, GST_RESOURCE_ERROR,
          GST_RESOURCE_ERROR_READ));
  harness_set_state (self, GST_STATE_NULL);
  harness_pop_messages (self);
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_ERROR, NULL), ==,
      1);
  g_assert_true (set_link (TRUE));
  harness_free (self);
}

static void
test_link_batch (void)
{
  MoshiStandinConfig config;
  Harness *self;

  if (skip_without_link ())
    return;
  answers_init_config (&config);
  config.speed = 8;
  self = new_file (&config, "idle-timeout=300 connect-timeout=300 retries=-1");
  harness_set_state (self, GST_STATE_PLAYING);
  harness_wait_bytes (self, self->out, 48000);
  g_assert_true (set_link (FALSE));
  harness_wait_connection (self, "lost");
  g_assert_true (set_link (TRUE));
  harness_wait_eos (self);
  answers_check_batch (self, &config, SECONDS);
  harness_free (self);
}

/* What has no answer is not passed over in silence: one error, how far it has
 * come, and no end of stream. */
static void
test_link_batch_for_good (void)
{
  g_autoptr (GError) error = NULL;
  MoshiStandinConfig config;
  GstMessage *message;
  Harness *self;

  if (skip_without_link ())
    return;
  answers_init_config (&config);
  config.speed = 8;
  self = new_file (&config, "idle-timeout=1000 connect-timeout=1000 retries=2");
  harness_set_state (self, GST_STATE_PLAYING);
  harness_wait_bytes (self, self->out, 48000);
  g_assert_true (set_link (FALSE));
  message = harness_wait_error (self, GST_RESOURCE_ERROR,
      GST_RESOURCE_ERROR_READ);
  gst_message_parse_error (message, &error, NULL);
  g_test_message ("%s", error->message);
  g_assert_nonnull (strstr (error->message, "s were sent"));
  gst_message_unref (message);
  harness_set_state (self, GST_STATE_NULL);
  harness_pop_messages (self);
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_ERROR, NULL), ==,
      1);
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_EOS, NULL), ==,
      0);
  g_assert_true (set_link (TRUE));
  harness_free (self);
}

/* --- a proxy --------------------------------------------------------------- */

static Tunnel *
put_tunnel (Harness * self)
{
  Tunnel *tunnel = tunnel_new (moshi_standin_get_port (self->server));
  g_autofree gchar *address = tunnel_dup_address (tunnel);

  /* Only the proxy knows the way. */
  g_object_set (self->moshi, "proxy", address, "uri", "ws://moshi.invalid",
      NULL);
  return tunnel;
}

static void
test_proxy_live (void)
{
  g_autoptr (Tunnel) tunnel = NULL;
  MoshiStandinConfig config;
  Harness *self;

  answers_init_config (&config);
  self = new_live (&config, "retries=-1");
  tunnel = put_tunnel (self);
  begin_live (self);
  tunnel_kill (tunnel);
  check_away (self);
  tunnel_revive (tunnel);
  check_back (self);
  g_assert_cmpuint (tunnel_get_connections (tunnel), ==, 2);
  harness_free (self);
}

static void
test_proxy_batch (void)
{
  g_autoptr (Tunnel) tunnel = NULL;
  MoshiStandinConfig config;
  Harness *self;

  answers_init_config (&config);
  config.speed = 8;
  self = new_file (&config, "retries=-1");
  tunnel = put_tunnel (self);
  harness_set_state (self, GST_STATE_PLAYING);
  harness_wait_bytes (self, self->out, 48000);
  tunnel_kill (tunnel);
  harness_wait_connection (self, "lost");
  tunnel_revive (tunnel);
  harness_wait_eos (self);
  answers_check_batch (self, &config, SECONDS);
  g_assert_cmpuint (harness_get_stat (self, "reconnects"), ==, 1);
  harness_free (self);
}

static const struct
{
  const gchar *name;
  TunnelStage stage;
} stages[] = {
  {"asked", TUNNEL_ASKED},
  {"built", TUNNEL_BUILT},
  {"requested", TUNNEL_REQUESTED},
  {"upgraded", TUNNEL_UPGRADED},
};

/* In the middle of a handshake, twice: nothing has been said yet, and nothing
 * is lost. */
static void
test_proxy_stage (gconstpointer data)
{
  g_autoptr (Tunnel) tunnel = NULL;
  MoshiStandinConfig config;
  Harness *self;

  answers_init_config (&config);
  self = new_file (&config, "");
  tunnel = put_tunnel (self);
  tunnel_die_at (tunnel, stages[GPOINTER_TO_UINT (data)].stage, 2);
  harness_play_to_eos (self);
  answers_check_batch (self, &config, SECONDS);
  g_assert_cmpuint (harness_get_stat (self, "sessions"), ==, 1);
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_WARNING, NULL),
      ==, 2);
  g_assert_cmpuint (tunnel_get_connections (tunnel), ==, 3);
  harness_free (self);
}

/* Again and again: one error, which tells whose fault it may be. */
static void
test_proxy_for_good (gconstpointer data)
{
  g_autoptr (Tunnel) tunnel = NULL;
  MoshiStandinConfig config;
  GstMessage *message;
  Harness *self;

  answers_init_config (&config);
  self = new_live (&config, "retries=2");
  tunnel = put_tunnel (self);
  tunnel_die_at (tunnel, stages[GPOINTER_TO_UINT (data)].stage, G_MAXUINT);
  harness_set_state (self, GST_STATE_PLAYING);
  message = harness_wait_message (self, GST_MESSAGE_ERROR, NULL,
      HARNESS_PATIENCE);
  g_assert_nonnull (message);
  gst_message_unref (message);
  harness_set_state (self, GST_STATE_NULL);
  harness_pop_messages (self);
  g_assert_cmpuint (harness_count_messages (self, GST_MESSAGE_ERROR, NULL), ==,
      1);
  g_assert_cmpuint (tunnel_get_connections (tunnel), ==, 3);
  harness_free (self);
}

/* --- names ----------------------------------------------------------------- */

/* Knows `moshi.example`, but not at first. */
#define TYPE_FORGETFUL (forgetful_get_type ())
G_DECLARE_FINAL_TYPE (Forgetful, forgetful, TEST, FORGETFUL, GResolver);

struct _Forgetful
{
  GResolver parent;
  gint fails;                   /* atomic: so often yet */
};

G_DEFINE_TYPE (Forgetful, forgetful, G_TYPE_RESOLVER);

static void
look_up_async (GResolver * resolver, const gchar * hostname,
    GResolverNameLookupFlags flags, GCancellable * cancellable,
    GAsyncReadyCallback callback, gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (resolver, cancellable, callback,
      user_data);
  GList *list = NULL;

  if (g_atomic_int_add (&TEST_FORGETFUL (resolver)->fails, -1) > 0) {
    g_task_return_new_error (task, G_RESOLVER_ERROR,
        G_RESOLVER_ERROR_TEMPORARY_FAILURE, "no answer from name servers");
    return;
  }
  if (flags != G_RESOLVER_NAME_LOOKUP_FLAGS_IPV6_ONLY)
    list = g_list_append (NULL, g_inet_address_new_from_string ("127.0.0.1"));
  if (list)
    g_task_return_pointer (task, list,
        (GDestroyNotify) g_resolver_free_addresses);
  else
    g_task_return_new_error (task, G_RESOLVER_ERROR,
        G_RESOLVER_ERROR_NOT_FOUND, "no such address");
}

static void
look_up_any_async (GResolver * resolver, const gchar * hostname,
    GCancellable * cancellable, GAsyncReadyCallback callback,
    gpointer user_data)
{
  look_up_async (resolver, hostname, G_RESOLVER_NAME_LOOKUP_FLAGS_DEFAULT,
      cancellable, callback, user_data);
}

static GList *
look_up_finish (GResolver * resolver, GAsyncResult * result, GError ** error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}

static void
forgetful_class_init (ForgetfulClass * klass)
{
  GResolverClass *resolver = G_RESOLVER_CLASS (klass);

  resolver->lookup_by_name_async = look_up_any_async;
  resolver->lookup_by_name_finish = look_up_finish;
  resolver->lookup_by_name_with_flags_async = look_up_async;
  resolver->lookup_by_name_with_flags_finish = look_up_finish;
}

static void
forgetful_init (Forgetful * self)
{
}

static void
set_failures (GResolver * resolver, gint n)
{
  g_atomic_int_set (&TEST_FORGETFUL (resolver)->fails, n);
}

/* All of them were met. */
static void
check_failures (GResolver * resolver)
{
  g_assert_cmpint (g_atomic_int_get (&TEST_FORGETFUL (resolver)->fails), <=, 0);
}

static void
name_server (Harness * self)
{
  g_autofree gchar *uri = g_strdup_printf ("ws://moshi.example:%u",
      moshi_standin_get_port (self->server));

  g_object_set (self->moshi, "uri", uri, NULL);
}

/* Once it has been there, a name that is not found is not the end. */
static void
test_names_batch (void)
{
  g_autoptr (GResolver) before = g_resolver_get_default ();
  g_autoptr (GResolver) resolver = g_object_new (TYPE_FORGETFUL, NULL);
  const gchar *const faults[] = { "drop-after=10", NULL };
  MoshiStandinConfig config;
  Harness *self;

  g_resolver_set_default (resolver);
  answers_init_config (&config);
  config.faults = faults;
  config.fault_first = 1;
  self = new_file (&config, "retries=3");
  name_server (self);
  harness_set_state (self, GST_STATE_PAUSED);
  harness_wait_connection (self, "ready");
  set_failures (resolver, 4);
  harness_play_to_eos (self);
  answers_check_batch (self, &config, SECONDS);
  g_assert_cmpuint (answers_count_sweeps (self, &config), ==, 2);
  check_failures (resolver);
  harness_free (self);
  g_resolver_set_default (before);
}

/* Live, from the beginning on, and after a session is lost. */
static void
test_names_live (void)
{
  g_autoptr (GResolver) before = g_resolver_get_default ();
  g_autoptr (GResolver) resolver = g_object_new (TYPE_FORGETFUL, NULL);
  MoshiStandinConfig config;
  Harness *self;

  g_resolver_set_default (resolver);
  answers_init_config (&config);
  self = new_live (&config, "retries=-1");
  name_server (self);
  set_failures (resolver, 4);
  begin_live (self);
  check_failures (resolver);
  set_failures (resolver, G_MAXINT);
  moshi_standin_drop_sessions (self->server);
  check_away (self);
  set_failures (resolver, 2);
  check_back (self);
  check_failures (resolver);
  harness_free (self);
  g_resolver_set_default (before);
}

static void
add_tests (void)
{
  guint i;

  g_test_add_data_func ("/network/link/live",
      GINT_TO_POINTER (MOSHI_STANDIN_KYUTAI_RS), test_link_live);
  g_test_add_data_func ("/network/link/live-one-session",
      GINT_TO_POINTER (MOSHI_STANDIN_KYUTAI_PY), test_link_live);
  g_test_add_func ("/network/link/live-stall", test_link_live_stall);
  g_test_add_func ("/network/link/live-for-good", test_link_live_for_good);
  g_test_add_func ("/network/link/batch", test_link_batch);
  g_test_add_func ("/network/link/batch-for-good", test_link_batch_for_good);
  g_test_add_func ("/network/proxy/live", test_proxy_live);
  g_test_add_func ("/network/proxy/batch", test_proxy_batch);
  for (i = 0; i < G_N_ELEMENTS (stages); i++) {
    g_autofree gchar *batch = g_strconcat ("/network/proxy/batch-",
        stages[i].name, NULL);
    g_autofree gchar *live = g_strconcat ("/network/proxy/for-good-",
        stages[i].name, NULL);

    g_test_add_data_func (batch, GUINT_TO_POINTER (i), test_proxy_stage);
    g_test_add_data_func (live, GUINT_TO_POINTER (i), test_proxy_for_good);
  }
  g_test_add_func ("/network/names/live", test_names_live);
  g_test_add_func ("/network/names/batch", test_names_batch);
}

int
main (int argc, char **argv)
{
  make_link ();
  return harness_main (&argc, &argv, add_tests);
}
