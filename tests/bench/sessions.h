/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Several ways to hold N conversations in one process, each with speech in real
 * time: a kind of client is a few functions, the rest is the same for all.
 */
#pragma once

#include "measure.h"

G_BEGIN_DECLS

/**
 * SessionsSetup:
 * @n: how many at once
 * @port: of the echo server
 * @ca: (nullable): a file that makes it trusted, when it speaks TLS
 * @system: TLS, and the system's certificates are looked at instead
 * @complexity: of the encoder
 * @bitrate: of the encoder, bit/s
 * @opus: whether Opus goes through as it is, where that can be
 * @bare: whether there is to be no conversation, where that can be
 * @speech: 24 kHz mono
 * @n_frames: of 20 ms in it
 */
typedef struct
{
  guint n;
  guint port;
  const gchar *ca;
  gboolean system;
  gint complexity;
  gint bitrate;
  gboolean opus;
  gboolean bare;
  const gint16 *speech;
  gsize n_frames;
} SessionsSetup;

/**
 * SessionsKind:
 * @start: makes all of them, and comes back when each can be fed
 * @feed: gives a session its next frame of 20 ms
 * @run: (nullable): waits until that time, for clients whose own thread this
 *     is; else the pacer sleeps
 * @count: packets answered so far, all sessions
 * @lateness: the worst so far in ms, and forgets it
 * @stop: ends them
 */
typedef struct
{
  void (*start) (const SessionsSetup * setup);
  void (*feed) (guint session, const gint16 * frame);
  void (*run) (gint64 until);
  guint64 (*count) (void);
  gdouble (*lateness) (void);
  void (*stop) (void);
} SessionsKind;

extern const SessionsKind sessions_elements;
extern const SessionsKind sessions_floor;
extern const SessionsKind sessions_codec;
extern const SessionsKind sessions_stock;

G_END_DECLS
