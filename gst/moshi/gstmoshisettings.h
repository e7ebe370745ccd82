/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>

#include "session/moshisession.h"
#include "protocol/moshitext.h"

G_BEGIN_DECLS

typedef enum
{
  GST_MOSHI_DIALECT_AUTO,
  GST_MOSHI_DIALECT_MOSHI,
  GST_MOSHI_DIALECT_MOSHIVIS,
  GST_MOSHI_DIALECT_PERSONAPLEX,
} GstMoshiDialect;

/**
 * GstMoshiSettings:
 *
 * The properties of the elements as plain values. Each element embeds one,
 * guarded by its OBJECT_LOCK, and works on a copy.
 */
typedef struct
{
  /* connection */
  gchar *uri;
  gchar *api_key;
  MoshiAuthMethod auth_method;
  gboolean allow_insecure_auth;
  GstStructure *extra_headers;
  GstStructure *query_parameters;
  gchar *user_agent;
  gchar *proxy;
  gchar *proxy_id;
  gchar *proxy_pw;
  GTlsCertificateFlags tls_validation_flags;
  gchar *tls_ca_file;
  GTlsDatabase *tls_database;
  GTlsInteraction *tls_interaction;
  GstMoshiDialect dialect;
  guint connect_timeout;
  guint handshake_timeout;
  guint idle_timeout;
  guint keepalive_interval;
  gint retries;
  guint retry_backoff_max;
  guint session_limit;
  gboolean session_renew;

  /* model parameters by their query names; "unset" keeps them off the wire */
  GstStructure *model;

  /* encoder of the way up */
  gint bitrate;
  gint complexity;
  gint frame_size;              /* of the enum, in ms (2 stands for 2.5) */

  /* time */
  guint latency;
  guint model_delay;
  guint tail;
  guint drain_timeout;

  MoshiTextUnit text_unit;
  gchar *session;
} GstMoshiSettings;

/**
 * GstMoshiSettingsGroup:
 *
 * Which properties an element has.
 */
typedef enum
{
  GST_MOSHI_SETTINGS_CONNECTION = 1 << 0,       /* uri … session-renew, model */
  GST_MOSHI_SETTINGS_INPUT = 1 << 1,    /* encoder, tail, drain-timeout */
  GST_MOSHI_SETTINGS_OUTPUT = 1 << 2,   /* latency, text-unit */
  GST_MOSHI_SETTINGS_BATCH = 1 << 3,    /* model-delay */
  GST_MOSHI_SETTINGS_SESSION = 1 << 4,  /* session */
} GstMoshiSettingsGroup;

/* Property ids from here on belong to the settings; an element's own are
 * below. */
#define GST_MOSHI_SETTINGS_FIRST_PROP 100

void gst_moshi_settings_init (GstMoshiSettings * self);
void gst_moshi_settings_clear (GstMoshiSettings * self);
void gst_moshi_settings_copy (GstMoshiSettings * to,
    const GstMoshiSettings * from);
void gst_moshi_settings_install (GObjectClass * klass,
    GstMoshiSettingsGroup groups);
gboolean gst_moshi_settings_set_property (GstMoshiSettings * self,
    guint id, const GValue * value, GParamSpec * pspec);
gboolean gst_moshi_settings_get_property (const GstMoshiSettings * self,
    guint id, GValue * value, GParamSpec * pspec);
const gchar *gst_moshi_settings_get_model_name (guint n);
gboolean gst_moshi_settings_to_config (const GstMoshiSettings * self,
    gboolean resume, MoshiSessionConfig ** config, GError ** error);
guint gst_moshi_settings_get_frame_duration (const GstMoshiSettings * self);

GType gst_moshi_auth_method_get_type (void);
GType gst_moshi_dialect_get_type (void);
GType gst_moshi_frame_size_get_type (void);
GType gst_moshi_text_unit_get_type (void);
GType gst_moshi_connection_state_get_type (void);

#define GST_TYPE_MOSHI_AUTH_METHOD (gst_moshi_auth_method_get_type ())
#define GST_TYPE_MOSHI_DIALECT (gst_moshi_dialect_get_type ())
#define GST_TYPE_MOSHI_FRAME_SIZE (gst_moshi_frame_size_get_type ())
#define GST_TYPE_MOSHI_TEXT_UNIT (gst_moshi_text_unit_get_type ())
#define GST_TYPE_MOSHI_CONNECTION_STATE \
  (gst_moshi_connection_state_get_type ())

G_END_DECLS
