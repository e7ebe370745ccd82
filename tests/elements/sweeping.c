/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sweeping.h"

/* libopus' delay: what goes in is found so many samples later. */
#define CODEC_DELAY 156

static gint16
get_sweep (guint64 ticks)
{
  return 30000 * moshi_standin_sweep_value (ticks / 2, 0);
}

/**
 * sweeping_new_buffer:
 * @caps: raw: S16LE or F32LE
 * @place: in the sweep, in ticks of 48 kHz
 * @ticks: how long
 *
 * Returns: (transfer full): the sweep from there on
 */
GstBuffer *
sweeping_new_buffer (GstCaps * caps, guint64 place, guint64 ticks)
{
  GstStructure *structure = gst_caps_get_structure (caps, 0);
  const gboolean is_float = g_str_equal (gst_structure_get_string (structure,
          "format"), "F32LE");
  GstBuffer *buffer;
  GstMapInfo map;
  gint rate = 0, channels = 0;
  guint64 i, n;

  gst_structure_get_int (structure, "rate", &rate);
  gst_structure_get_int (structure, "channels", &channels);
  n = ticks * rate / 48000 * channels;
  buffer = gst_buffer_new_allocate (NULL, n * (is_float ? 4 : 2), NULL);
  gst_buffer_map (buffer, &map, GST_MAP_WRITE);
  for (i = 0; i < n; i++) {
    gint16 value = get_sweep (place + i / channels * (48000 / rate));

    if (is_float)
      ((gfloat *) map.data)[i] = value / 32768.0f;
    else
      ((gint16 *) map.data)[i] = value;
  }
  gst_buffer_unmap (buffer, &map);
  return buffer;
}

/**
 * sweeping_listen:
 * @self: a harness whose server keeps what it hears; its sessions have ended
 * @heard: (out caller-allocates): that; to be cleared
 */
void
sweeping_listen (Harness * self, SweepingHeard * heard)
{
  g_autofree gfloat *pcm = NULL;
  gsize i;

  g_assert_true (moshi_standin_wait_idle (self->server, HARNESS_PATIENCE));
  pcm = moshi_standin_dup_pcm (self->server, &heard->n);
  heard->pcm = g_new (gint16, heard->n);
  for (i = 0; i < heard->n; i++)
    heard->pcm[i] = CLAMP (pcm[i] * 32767, -32768, 32767);
}

/**
 * sweeping_clear:
 * @heard: what sweeping_listen() has given
 */
void
sweeping_clear (SweepingHeard * heard)
{
  g_clear_pointer (&heard->pcm, g_free);
}

/**
 * sweeping_assert_heard:
 * @heard: what the server has heard
 * @at: where, in ms
 * @place: in the sweep, in ms
 * @ms: how long
 *
 * It was the sweep; edges, where the coder smears, are left out.
 */
void
sweeping_assert_heard (const SweepingHeard * heard, guint at, guint place,
    guint ms)
{
  gint64 i;

  g_assert_cmpuint (heard->n, >=, SWEEPING_FRAMES (at + ms));
  for (i = SWEEPING_FRAMES (20);
      i + 1920 + SWEEPING_FRAMES (10) <= SWEEPING_FRAMES (ms); i += 1920) {
    gint64 expected = SWEEPING_FRAMES ((gint64) place) + i - CODEC_DELAY;
    gdouble score;
    gint64 found =
        moshi_standin_sweep_locate (heard->pcm + SWEEPING_FRAMES (at) + i,
        1920, MOSHI_STANDIN_RATE, 1, 0, MAX (expected - 480, 0), expected + 480,
        &score);

    if (score < 0.8 || ABS (found - expected) > 40)
      g_error ("at %" G_GINT64_FORMAT " the server has heard %" G_GINT64_FORMAT
          " and not %" G_GINT64_FORMAT " (likeness %f)",
          SWEEPING_FRAMES ((gint64) at) + i, found, expected, score);
  }
}

/**
 * sweeping_assert_silence:
 * @heard: what the server has heard
 * @at: where, in ms
 * @ms: how long
 *
 * It was nothing, once the coder has ended what was before.
 */
void
sweeping_assert_silence (const SweepingHeard * heard, guint at, guint ms)
{
  gsize i;

  g_assert_cmpuint (heard->n, >=, SWEEPING_FRAMES (at + ms));
  for (i = SWEEPING_FRAMES (at + 20); i < SWEEPING_FRAMES (at + ms); i++)
    g_assert_cmpint (ABS (heard->pcm[i]), <, 200);
}
