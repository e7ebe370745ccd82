/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "moshiproxy.h"

#include "../protocol/moshiaddress.h"
#include "../protocol/moshierror.h"

/*
 * HTTP proxies
 * ------------
 * A WebSocket goes through an HTTP proxy by CONNECT, ws as well as wss (RFC
 * 6455 section 4.1, step 3). libsoup does so for wss alone: a ws request it
 * sends to the proxy as an ordinary one, which a proxy may not upgrade. GIO has
 * CONNECT too, but libsoup takes every proxy whose address begins with "http:"
 * for itself. So HTTP proxies are given to libsoup under a scheme of our own,
 * for which GIO finds #MoshiTunnel below, and that is GIO's HTTP proxy under
 * another name. Proxies of other kinds (https, socks5 …) GIO serves as they
 * are.
 */
#define TUNNEL "moshi-connect"

/* GIO's HTTP proxy under the name of TUNNEL */

#define MOSHI_TYPE_TUNNEL (moshi_tunnel_get_type ())
/* *INDENT-OFF* */
G_DECLARE_FINAL_TYPE (MoshiTunnel, moshi_tunnel, MOSHI, TUNNEL, GObject)
/* *INDENT-ON* */

struct _MoshiTunnel
{
  GObject parent;
};

static void moshi_tunnel_init_interface (GProxyInterface * iface);

/* *INDENT-OFF* */
G_DEFINE_TYPE_WITH_CODE (MoshiTunnel, moshi_tunnel, G_TYPE_OBJECT,
    G_IMPLEMENT_INTERFACE (G_TYPE_PROXY, moshi_tunnel_init_interface))
/* *INDENT-ON* */

static GIOStream *
connect_tunnel (GProxy * self, GIOStream * connection, GProxyAddress * address,
    GCancellable * cancellable, GError ** error)
{
  g_autoptr (GProxy) http = g_proxy_get_default_for_protocol ("http");

  return g_proxy_connect (http, connection, address, cancellable, error);
}

static void
connect_tunnel_done (GObject * source, GAsyncResult * result,
    gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  GError *error = NULL;
  GIOStream *stream = g_proxy_connect_finish (G_PROXY (source), result, &error);

  if (stream != NULL)
    g_task_return_pointer (task, stream, g_object_unref);
  else
    g_task_return_error (task, error);
}

static void
connect_tunnel_async (GProxy * self, GIOStream * connection,
    GProxyAddress * address, GCancellable * cancellable,
    GAsyncReadyCallback callback, gpointer user_data)
{
  g_autoptr (GProxy) http = g_proxy_get_default_for_protocol ("http");

  g_proxy_connect_async (http, connection, address, cancellable,
      connect_tunnel_done, g_task_new (self, cancellable, callback, user_data));
}

static GIOStream *
connect_tunnel_finish (GProxy * self, GAsyncResult * result, GError ** error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}

static gboolean
supports_hostname (GProxy * self)
{
  return TRUE;
}

static void
moshi_tunnel_init_interface (GProxyInterface * iface)
{
  iface->connect = connect_tunnel;
  iface->connect_async = connect_tunnel_async;
  iface->connect_finish = connect_tunnel_finish;
  iface->supports_hostname = supports_hostname;
}

static void
moshi_tunnel_class_init (MoshiTunnelClass * klass)
{
}

static void
moshi_tunnel_init (MoshiTunnel * self)
{
}

static void
register_tunnel (void)
{
  static gsize done = 0;

  if (!g_once_init_enter (&done))
    return;
  /* Asked for first, so that GIO has made its extension points. */
  g_object_unref (g_proxy_get_default_for_protocol ("http"));
  g_io_extension_point_implement (G_PROXY_EXTENSION_POINT_NAME,
      MOSHI_TYPE_TUNNEL, TUNNEL, 0);
  g_once_init_leave (&done, 1);
}

/* The desktop's resolver, with HTTP proxies under the name of TUNNEL */

#define MOSHI_TYPE_DESKTOP_RESOLVER (moshi_desktop_resolver_get_type ())
/* *INDENT-OFF* */
G_DECLARE_FINAL_TYPE (MoshiDesktopResolver, moshi_desktop_resolver, MOSHI,
    DESKTOP_RESOLVER, GObject)
/* *INDENT-ON* */

struct _MoshiDesktopResolver
{
  GObject parent;
};

static void moshi_desktop_resolver_init_interface (GProxyResolverInterface *
    iface);

/* *INDENT-OFF* */
G_DEFINE_TYPE_WITH_CODE (MoshiDesktopResolver, moshi_desktop_resolver,
    G_TYPE_OBJECT, G_IMPLEMENT_INTERFACE (G_TYPE_PROXY_RESOLVER,
        moshi_desktop_resolver_init_interface))
/* *INDENT-ON* */

static gchar **
rename_http (gchar ** proxies)
{
  guint i;

  for (i = 0; proxies != NULL && proxies[i] != NULL; i++) {
    gchar *old = proxies[i];

    if (!g_str_has_prefix (old, "http://"))
      continue;
    proxies[i] = g_strconcat (TUNNEL, old + strlen ("http"), NULL);
    g_free (old);
  }
  return proxies;
}

static gboolean
is_supported (GProxyResolver * self)
{
  return g_proxy_resolver_is_supported (g_proxy_resolver_get_default ());
}

static gchar **
look_up (GProxyResolver * self, const gchar * uri, GCancellable * cancellable,
    GError ** error)
{
  return rename_http (g_proxy_resolver_lookup (g_proxy_resolver_get_default (),
          uri, cancellable, error));
}

static void
look_up_done (GObject * source, GAsyncResult * result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  GError *error = NULL;
  gchar **proxies = g_proxy_resolver_lookup_finish (G_PROXY_RESOLVER (source),
      result, &error);

  if (proxies != NULL)
    g_task_return_pointer (task, rename_http (proxies),
        (GDestroyNotify) g_strfreev);
  else
    g_task_return_error (task, error);
}

static void
look_up_async (GProxyResolver * self, const gchar * uri,
    GCancellable * cancellable, GAsyncReadyCallback callback,
    gpointer user_data)
{
  g_proxy_resolver_lookup_async (g_proxy_resolver_get_default (), uri,
      cancellable, look_up_done, g_task_new (self, cancellable, callback,
          user_data));
}

static gchar **
look_up_finish (GProxyResolver * self, GAsyncResult * result, GError ** error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}

static void
moshi_desktop_resolver_init_interface (GProxyResolverInterface * iface)
{
  iface->is_supported = is_supported;
  iface->lookup = look_up;
  iface->lookup_async = look_up_async;
  iface->lookup_finish = look_up_finish;
}

static void
moshi_desktop_resolver_class_init (MoshiDesktopResolverClass * klass)
{
}

static void
moshi_desktop_resolver_init (MoshiDesktopResolver * self)
{
}

/* Proxies by name */

static const struct
{
  const gchar *scheme;
  const gchar *gio;             /* what GIO calls it */
  gint port;                    /* where none is given */
} kinds[] = {
  {"http", TUNNEL, 80},
  {"https", "https", 443},
  {"socks", "socks", 1080},
  {"socks4", "socks4", 1080},
  {"socks4a", "socks4a", 1080},
  {"socks5", "socks5", 1080},
};

static gint
find_kind (const gchar * scheme)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (kinds); i++) {
    if (g_str_equal (kinds[i].scheme, scheme))
      return i;
  }
  return -1;
}

/* A proxy's address as GIO wants it. The message never repeats @proxy, which
 * may hold a password. */
static gchar *
normalize (const gchar * proxy, const gchar * user, const gchar * password,
    GError ** error)
{
  g_autofree gchar *text = NULL;
  g_autoptr (GUri) uri = NULL;
  const gchar *host = NULL;
  gint kind = -1;
  gint port;

  text = strstr (proxy, "://") != NULL ? g_strdup (proxy)
      : g_strconcat ("http://", proxy, NULL);
  uri = g_uri_parse (text, G_URI_FLAGS_HAS_PASSWORD, NULL);
  if (uri != NULL) {
    kind = find_kind (g_uri_get_scheme (uri));
    host = g_uri_get_host (uri);
  }
  if (kind < 0 || !moshi_host_is_valid (host)) {
    g_set_error_literal (error, MOSHI_ERROR, MOSHI_ERROR_SETTINGS,
        "The proxy is no address of an HTTP or SOCKS proxy; write it as "
        "http://host:port.");
    return NULL;
  }
  port = g_uri_get_port (uri);
  return g_uri_join_with_user (G_URI_FLAGS_HAS_PASSWORD, kinds[kind].gio,
      user != NULL ? user : g_uri_get_user (uri),
      password != NULL ? password : g_uri_get_password (uri), NULL,
      host, port > 0 ? port : kinds[kind].port, "", NULL, NULL);
}

static const gchar *
get_first_env (const gchar * const *names)
{
  for (; *names != NULL; names++) {
    const gchar *value = g_getenv (*names);

    if (value != NULL && *value != '\0')
      return value;
  }
  return NULL;
}

static const gchar *
get_env_proxy (gboolean tls)
{
  static const gchar *const for_ws[] = { "http_proxy", "HTTP_PROXY",
    "all_proxy", "ALL_PROXY", NULL
  };
  static const gchar *const for_wss[] = { "https_proxy", "HTTPS_PROXY",
    "all_proxy", "ALL_PROXY", NULL
  };

  return get_first_env (tls ? for_wss : for_ws);
}

/* The hosts of $no_proxy: (transfer full), or %NULL when it is all of them. */
static gchar **
get_env_ignored (void)
{
  static const gchar *const names[] = { "no_proxy", "NO_PROXY", NULL };
  const gchar *value = get_first_env (names);
  g_auto (GStrv) parts = g_strsplit_set (value != NULL ? value : "", ", ", -1);
  g_autoptr (GStrvBuilder) hosts = g_strv_builder_new ();
  guint i;

  for (i = 0; parts[i] != NULL; i++) {
    if (g_str_equal (parts[i], "*"))
      return NULL;
    if (*parts[i] != '\0')
      g_strv_builder_add (hosts, parts[i]);
  }
  return g_strv_builder_end (hosts);
}

/**
 * moshi_proxy_resolver_new:
 * @proxy: (nullable): `[http://]host[:port]`, or another kind GIO knows; %NULL
 *     for what $http_proxy, $https_proxy, $all_proxy and $no_proxy say, and
 *     where they say nothing, for the desktop's settings
 * @user: (nullable): for the proxy, instead of what its address holds
 * @password: (nullable): likewise
 * @tls: whether the server is reached by wss
 * @error: return location for an error
 *
 * Settles which proxy is used. HTTP proxies are asked to CONNECT in all cases.
 * May be called from any thread.
 *
 * Returns: (transfer full) (nullable): a resolver; %NULL for no proxy; or %NULL
 *     with @error set to %MOSHI_ERROR_SETTINGS
 */
GProxyResolver *
moshi_proxy_resolver_new (const gchar * proxy, const gchar * user,
    const gchar * password, gboolean tls, GError ** error)
{
  g_auto (GStrv) ignored = NULL;
  g_autofree gchar *address = NULL;

  register_tunnel ();
  if (proxy == NULL || *proxy == '\0') {
    proxy = get_env_proxy (tls);
    if (proxy == NULL)
      return g_object_new (MOSHI_TYPE_DESKTOP_RESOLVER, NULL);
    ignored = get_env_ignored ();
    if (ignored == NULL)
      return NULL;
  }
  address = normalize (proxy, user, password, error);
  if (address == NULL)
    return NULL;
  return g_simple_proxy_resolver_new (address, ignored);
}
