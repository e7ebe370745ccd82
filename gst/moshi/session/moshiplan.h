/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "moshisession.h"

G_BEGIN_DECLS

/**
 * MoshiPlan:
 * @config: a copy
 * @url: where to connect to, with the whole query; may hold the key
 * @redacted: the same to show
 * @risk: (nullable): what the user has allowed and had better not, in words
 * @has_secret: whether the query holds a credential
 * @host: the server's name
 * @bearer: (nullable): the key for the Authorization header
 * @user_agent: what to say we are
 * @database: (nullable): whom to trust
 * @resolver: (nullable): finds proxies
 * @secrets: (element-type utf8): what no message may show
 *
 * What a configuration comes to when all of it has been checked. Immutable.
 */
typedef struct
{
  MoshiSessionConfig *config;
  gchar *url;
  gchar *redacted;
  gchar *risk;
  gboolean has_secret;
  gchar *host;
  const gchar *bearer;
  const gchar *user_agent;
  GTlsDatabase *database;
  GProxyResolver *resolver;
  GPtrArray *secrets;
} MoshiPlan;

MoshiPlan *moshi_plan_new (const MoshiSessionConfig * config, GError ** error);
void moshi_plan_free (MoshiPlan * self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (MoshiPlan, moshi_plan_free)

G_END_DECLS
