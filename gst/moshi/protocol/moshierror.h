/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define MOSHI_ERROR (moshi_error_quark ())

/**
 * MoshiError:
 * @MOSHI_ERROR_SETTINGS: the caller's settings cannot be used: a malformed
 *     address, a key with a control character, properties that contradict
 * @MOSHI_ERROR_NOT_FOUND: unknown host, or HTTP 404
 * @MOSHI_ERROR_NOT_AUTHORIZED: HTTP 401, 403 or 407
 * @MOSHI_ERROR_BUSY: HTTP 503, or no handshake in time
 * @MOSHI_ERROR_CONNECT: refused, unreachable, timed out, TLS, any other HTTP
 *     status, an answer that is no WebSocket upgrade
 * @MOSHI_ERROR_LOST: lost, closed or silent after the upgrade
 * @MOSHI_ERROR_SERVER: the server's own error message (kind 05)
 * @MOSHI_ERROR_MESSAGE: a message that is not what its kind says
 * @MOSHI_ERROR_OGG: Ogg that cannot be read
 * @MOSHI_ERROR_OPUS: Opus that cannot be read or made
 * @MOSHI_ERROR_IMAGE: an image that cannot be used, or none where one is needed
 * @MOSHI_ERROR_LIMIT: a documented limit was passed
 * @MOSHI_ERROR_CANCELLED: stopped by our own side; never shown to a user
 *
 * What went wrong, told in the terms the element's one map to bus errors needs.
 * The message of each error is one plain sentence for a user and never holds
 * a key, a token or a password.
 */
typedef enum
{
  MOSHI_ERROR_SETTINGS,
  MOSHI_ERROR_NOT_FOUND,
  MOSHI_ERROR_NOT_AUTHORIZED,
  MOSHI_ERROR_BUSY,
  MOSHI_ERROR_CONNECT,
  MOSHI_ERROR_LOST,
  MOSHI_ERROR_SERVER,
  MOSHI_ERROR_MESSAGE,
  MOSHI_ERROR_OGG,
  MOSHI_ERROR_OPUS,
  MOSHI_ERROR_IMAGE,
  MOSHI_ERROR_LIMIT,
  MOSHI_ERROR_CANCELLED,
} MoshiError;

GQuark moshi_error_quark (void);

G_END_DECLS
