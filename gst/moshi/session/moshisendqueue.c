/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "moshisendqueue.h"

#include "../protocol/moshioggreader.h"
#include "../protocol/moshiopus.h"
#include "moshilock.h"

/* No packet is shorter than 2.5 ms, so this also bounds the packets. */
#define SAMPLES_A_MS 48

struct _MoshiSendQueue
{
  GMutex lock;                  /* guards all below; a leaf */
  GQueue packets;               /* GBytes */
  guint64 max;                  /* 48 kHz samples, as all below */
  guint64 queued;               /* `in_hand` is part of it */
  guint64 in_hand;              /* of the packet pulled last, not yet sent */
  guint64 dropped;
  gboolean open;
  gboolean awake;               /* the network thread knows there is work */
};

/**
 * moshi_send_queue_new:
 * @max_ms: most audio held, in ms
 *
 * Returns: (transfer full): a queue that takes nothing until it is opened
 */
MoshiSendQueue *
moshi_send_queue_new (guint max_ms)
{
  MoshiSendQueue *self = g_new0 (MoshiSendQueue, 1);

  g_mutex_init (&self->lock);
  g_queue_init (&self->packets);
  self->max = (guint64) max_ms *SAMPLES_A_MS;
  return self;
}

static void
clear_locked (MoshiSendQueue * self)
MOSHI_REQUIRES (self->lock)
{
  g_queue_clear_full (&self->packets, (GDestroyNotify) g_bytes_unref);
  self->dropped += self->queued - self->in_hand;
  self->queued = self->in_hand;
  self->awake = FALSE;
}

/**
 * moshi_send_queue_free:
 * @self: (transfer full): a queue nobody uses any more
 */
void
moshi_send_queue_free (MoshiSendQueue * self)
{
  g_mutex_lock (&self->lock);
  clear_locked (self);
  g_mutex_unlock (&self->lock);
  g_mutex_clear (&self->lock);
  g_free (self);
}

/**
 * moshi_send_queue_open:
 * @self: a queue
 *
 * From now on packets are taken.
 */
void
moshi_send_queue_open (MoshiSendQueue * self)
{
  g_mutex_lock (&self->lock);
  self->open = TRUE;
  g_mutex_unlock (&self->lock);
}

/**
 * moshi_send_queue_shut:
 * @self: a queue
 *
 * From now on packets are refused. Those there are stay.
 */
void
moshi_send_queue_shut (MoshiSendQueue * self)
{
  g_mutex_lock (&self->lock);
  self->open = FALSE;
  g_mutex_unlock (&self->lock);
}

/**
 * moshi_send_queue_clear:
 * @self: a queue
 *
 * Shuts it and throws away what it holds, which counts as dropped: audio is
 * never sent late, to a session it was not meant for.
 */
void
moshi_send_queue_clear (MoshiSendQueue * self)
{
  g_mutex_lock (&self->lock);
  self->open = FALSE;
  clear_locked (self);
  g_mutex_unlock (&self->lock);
}

/**
 * moshi_send_queue_push:
 * @self: a queue
 * @packet: an Opus packet; a reference is taken
 * @wake: (out): whether the network thread must be told, once
 *
 * Returns: %TRUE when it was taken; %FALSE when it was dropped, because the
 *     queue is shut or full or this is no Opus packet, or one that is too long
 */
gboolean
moshi_send_queue_push (MoshiSendQueue * self, GBytes * packet, gboolean * wake)
{
  gsize size;
  const guint8 *data = g_bytes_get_data (packet, &size);
  guint duration = moshi_opus_packet_duration (data, size);
  gboolean taken;

  *wake = FALSE;
  if (duration == 0 || size > MOSHI_OGG_READER_MAX_PACKET)
    return FALSE;
  g_mutex_lock (&self->lock);
  taken = self->open && self->queued + duration <= self->max;
  if (taken) {
    g_queue_push_tail (&self->packets, g_bytes_ref (packet));
    self->queued += duration;
    *wake = !self->awake;
    self->awake = TRUE;
  } else {
    self->dropped += duration;
  }
  g_mutex_unlock (&self->lock);
  return taken;
}

static void
put_down_locked (MoshiSendQueue * self)
MOSHI_REQUIRES (self->lock)
{
  self->queued -= self->in_hand;
  self->in_hand = 0;
}

/**
 * moshi_send_queue_pull:
 * @self: a queue
 * @duration: (out): of the packet, in 48 kHz samples
 *
 * The packet counts as waiting until moshi_send_queue_sent(), or the next pull:
 * whoever counts what was sent can see to it that nothing is counted twice or
 * not at all.
 *
 * Returns: (transfer full) (nullable): the oldest packet; %NULL when there is
 *     none, and then the next push says to wake the network thread
 */
GBytes *
moshi_send_queue_pull (MoshiSendQueue * self, guint * duration)
{
  GBytes *packet;
  const guint8 *data;
  gsize size;

  *duration = 0;
  g_mutex_lock (&self->lock);
  put_down_locked (self);
  packet = g_queue_pop_head (&self->packets);
  if (packet != NULL) {
    data = g_bytes_get_data (packet, &size);
    self->in_hand = *duration = moshi_opus_packet_duration (data, size);
  } else {
    self->awake = FALSE;
  }
  g_mutex_unlock (&self->lock);
  return packet;
}

/**
 * moshi_send_queue_sent:
 * @self: a queue
 *
 * The packet pulled last does not wait any more.
 */
void
moshi_send_queue_sent (MoshiSendQueue * self)
{
  g_mutex_lock (&self->lock);
  put_down_locked (self);
  g_mutex_unlock (&self->lock);
}

/**
 * moshi_send_queue_is_empty:
 * @self: a queue
 *
 * Returns: %TRUE when nothing waits
 */
gboolean
moshi_send_queue_is_empty (MoshiSendQueue * self)
{
  gboolean empty;

  g_mutex_lock (&self->lock);
  empty = g_queue_is_empty (&self->packets);
  g_mutex_unlock (&self->lock);
  return empty;
}

/**
 * moshi_send_queue_get_stats:
 * @self: a queue
 * @queued: (out): audio that waits, in 48 kHz samples
 * @dropped: (out): audio that was refused or thrown away, likewise
 */
void
moshi_send_queue_get_stats (MoshiSendQueue * self, guint64 * queued,
    guint64 * dropped)
{
  g_mutex_lock (&self->lock);
  *queued = self->queued;
  *dropped = self->dropped;
  g_mutex_unlock (&self->lock);
}
