/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The playout in the element: speech comes over a socket with the arrivals of
 * the bench's traces, by a clock in hand, and what leaves the pad is compared
 * with what was said. The bench's own player, given the same, is the measure.
 */
#include "../bench/playout/playoutbench.h"
#include "harness.h"
#include "peer.h"
#include "protocol/moshioggreader.h"
#include "protocol/moshioggwriter.h"
#include "protocol/moshiopus.h"

#include <math.h>

#define CAPS "audio/x-raw,format=S16LE,layout=interleaved,rate=24000,channels=1"

#define LATENCY 60              /* ms, the default */
#define FRAME 1920              /* samples of a message */
#define PACKETS 4               /* in it */
#define DURATION 36000          /* ms */

/* A moment of speech is looked for by a piece of it so long, in samples. */
#define PIECE 960
#define EVERY 12000
#define MAX_DELAY 1300          /* ms */

/* --- speech -------------------------------------------------------------- */

typedef struct
{
  GPtrArray *packets;           /* of GBytes, 20 ms each */
  GArray *samples;              /* of gint16, 24 kHz */
  BenchMask mask;
} Speech;

static void
decode (Speech * self, MoshiOpusDecoder * decoder, GBytes * packet)
{
  gint16 samples[480];
  gsize size;
  const guint8 *data = g_bytes_get_data (packet, &size);

  g_assert_cmpint (moshi_opus_decoder_decode_s16 (decoder, data, size, samples,
          480, NULL), ==, 480);
  g_array_append_vals (self->samples, samples, 480);
  g_ptr_array_add (self->packets, packet);
}

/* Where it is louder than -45 dBFS, and 80 ms after that */
static void
make_mask (Speech * self)
{
  GString *bits = g_string_new (NULL);
  guint i, k, loud = 0;

  for (i = 0; i + 240 <= self->samples->len; i += 240) {
    gdouble power = 0;

    for (k = 0; k < 240; k++) {
      gdouble sample = g_array_index (self->samples, gint16, i + k) / 32768.0;

      power += sample * sample / 240;
    }
    loud = power > 0.0056 * 0.0056 ? 9 : loud - MIN (loud, 1);
    g_string_append_c (bits, loud ? '1' : '0');
  }
  self->mask.length = bits->len;
  self->mask.bits = g_string_free (bits, FALSE);
}

static void
speech_init (Speech * self)
{
  g_autofree gchar *path = g_test_build_filename (G_TEST_DIST, "bench",
      "playout", "speech.opus", NULL);
  g_autoptr (MoshiOggReader) reader = moshi_ogg_reader_new ();
  g_autoptr (MoshiOpusDecoder) decoder = moshi_opus_decoder_new (24000, 1,
      NULL);
  g_autofree gchar *data = NULL;
  GBytes *packet;
  gsize size;

  g_assert_true (g_file_get_contents (path, &data, &size, NULL));
  self->packets = g_ptr_array_new_with_free_func ((GDestroyNotify)
      g_bytes_unref);
  self->samples = g_array_new (FALSE, FALSE, sizeof (gint16));
  g_assert_true (moshi_ogg_reader_push (reader, (const guint8 *) data, size,
          NULL));
  while ((packet = moshi_ogg_reader_pull (reader)))
    decode (self, decoder, packet);
  g_assert_cmpuint (self->samples->len, >, DURATION * 24);
  make_mask (self);
}

static void
speech_clear (Speech * self)
{
  g_ptr_array_unref (self->packets);
  g_array_unref (self->samples);
  bench_mask_clear (&self->mask);
}

/* --- the server ---------------------------------------------------------- */

/* Sends what it is given, when it is given; an empty one ends it. */
static void
serve (Peer * peer, gpointer user_data)
{
  GAsyncQueue *messages = user_data;
  gboolean more = TRUE;

  if (!peer_upgrade (peer))
    return;
  peer_send (peer, 0, "", 0);
  while (more) {
    g_autoptr (GBytes) message = g_async_queue_pop (messages);
    gsize size;
    const guint8 *data = g_bytes_get_data (message, &size);

    more = size > 0;
    if (more)
      peer_send (peer, 1, data, size);
  }
}

/* Four packets of speech as pages */
static GBytes *
make_message (const Speech * speech, MoshiOggWriter * writer, guint i)
{
  g_autoptr (GByteArray) pages = g_byte_array_new ();
  g_autoptr (GBytes) headers = NULL;
  guint k;

  if (i == 0) {
    gsize size;
    const guint8 *data;

    headers = moshi_ogg_writer_headers (writer);
    data = g_bytes_get_data (headers, &size);
    g_byte_array_append (pages, data, (guint) size);
  }
  for (k = 0; k < PACKETS; k++) {
    gsize size;
    const guint8 *data = g_bytes_get_data (g_ptr_array_index (speech->packets,
            i * PACKETS + k), &size);

    g_assert_true (moshi_ogg_writer_packet (writer, data, size, pages, NULL));
  }
  return g_byte_array_free_to_bytes (g_steal_pointer (&pages));
}

/* --- what is heard ----------------------------------------------------------- */

/* How alike a piece of speech and of what was heard are, at most 1 */
static gdouble
compare (const gint16 * said, const gint16 * heard)
{
  gdouble both = 0, first = 1, second = 1;
  guint i;

  for (i = 0; i < PIECE; i += 3) {
    both += (gdouble) said[i] * heard[i];
    first += (gdouble) said[i] * said[i];
    second += (gdouble) heard[i] * heard[i];
  }
  return both / sqrt (first * second);
}

/* Returns: the samples by which a piece of speech is heard later, or -1 */
static gint
find_delay (const Speech * speech, const HarnessTrack * out, guint at)
{
  const gint16 *said = (const gint16 *) speech->samples->data + at;
  const gint16 *heard = (const gint16 *) out->data->data;
  gdouble best = 0.8;
  gint delay, found = -1;

  for (delay = (100 - LATENCY) * 24; delay < MAX_DELAY * 24; delay += 2) {
    gdouble score;

    if (at + delay + PIECE > out->data->len / 2)
      break;
    score = compare (said, heard + at + delay);
    if (score > best) {
      best = score;
      found = delay;
    }
  }
  return found;
}

/* When the bench's player plays that moment of speech, or -1; all in ms */
static gdouble
find_line (const GArray * lines, gdouble source)
{
  guint i;

  for (i = 0; i < lines->len; i++) {
    const BenchLine *line = &g_array_index (lines, BenchLine, i);

    if (line->source >= 0 && source >= line->source
        && source < line->source + line->duration * line->speed)
      return line->time + (source - line->source) / line->speed;
  }
  return -1;
}

/* How late the speech found is heard, by us and by the bench's player, on the
 * average, in ms; returns how much of it is found. */
static gdouble
measure (const Speech * speech, const HarnessTrack * out, const GArray * lines,
    gdouble * mean, gdouble * wanted)
{
  BenchTrace all = { NULL, };
  gdouble n = 0, found = 0;
  guint at;

  *mean = *wanted = 0;
  for (at = 0; at < (DURATION - 1500) * 24; at += EVERY) {
    gdouble time = find_line (lines, at / 24.0);
    gint delay;

    if (!bench_is_speech (&all, &speech->mask, at / 24.0)
        || !bench_is_speech (&all, &speech->mask, at / 24.0 + 30))
      continue;
    n++;
    delay = find_delay (speech, out, at);
    if (delay < 0 || time < 0)
      continue;
    found++;
    *mean += delay / 24.0 + LATENCY;
    *wanted += time - at / 24.0;
  }
  *mean /= MAX (found, 1);
  *wanted /= MAX (found, 1);
  return found / n;
}

/* --- the tests ----------------------------------------------------------------- */

typedef struct
{
  const gchar *name;
  BenchShape shape;
  gdouble share;                /* of the pieces of speech that are heard as said */
} Case;

static const Case cases[] = {
  {"const", {"const150",.duration = DURATION}, 0.98},
  {"exp5", {"exp5",.jitter = 5,.duration = DURATION}, 0.95},
  {"exp20", {"exp20",.jitter = 20,.duration = DURATION}, 0.9},
  {"stall", {"stall1s",.jitter = 5,.stall = 1000,.duration = DURATION},
      0.9},
};

static void
play (Harness * self, const Speech * speech, const BenchTrace * trace,
    GAsyncQueue * messages)
{
  g_autoptr (MoshiOggWriter) writer = moshi_ogg_writer_new (42, 1, 0, 24000);
  guint i;

  for (i = 0; i < trace->messages->len; i++) {
    const BenchMessage *message =
        &g_array_index (trace->messages, BenchMessage, i);
    GstClockTime now = gst_clock_get_time (GST_CLOCK (self->clock));
    GstClockTime then = (GstClockTime) (message->arrival * GST_MSECOND);

    if (then > now)
      harness_advance (self, then - now);
    g_async_queue_push (messages, make_message (speech, writer, i));
    harness_wait_stat (self, "samples-received", (i + 1) * FRAME);
  }
  g_async_queue_push (messages, g_bytes_new (NULL, 0));
}

static void
assert_like_bench (const Case * wanted, const Speech * speech,
    const BenchTrace * trace, Harness * self)
{
  g_autoptr (GArray) lines = bench_play_adaptive (trace, &speech->mask,
      BENCH_VOICE);
  gdouble mean, bench_mean, share;
  gdouble concealed = (gdouble) harness_get_stat (self, "concealed") / 1e6;
  BenchMetrics metrics;

  bench_measure (trace, &speech->mask, lines, &metrics);
  harness_lock (self);
  harness_assert_contiguous (self->out, 24000, 2, 0);
  share = measure (speech, self->out, lines, &mean, &bench_mean);
  harness_unlock (self);
  g_test_message ("concealed %.1f ms, bench %.1f; mean delay %.1f, bench %.1f; "
      "%.0f %% of speech found as it was", concealed, metrics.concealed, mean,
      bench_mean, share * 100);
  g_assert_cmpuint (harness_get_stat (self, "dropped"), ==, 0);
  /* The clock does not wait for threads: an answer may come a step or two of
   * the playout later than in the bench, in each hole. */
  g_assert_cmpfloat (concealed, <=, metrics.concealed * 1.5 + 40);
  g_assert_cmpfloat (fabs (mean - bench_mean), <, 15);
  g_assert_cmpfloat (share, >, wanted->share);
}

static void
test_arrivals (gconstpointer data)
{
  const Case *wanted = data;
  g_autoptr (BenchTrace) trace = bench_trace_make (&wanted->shape, 3);
  GAsyncQueue *messages = g_async_queue_new ();
  PeerServer *server = peer_server_new (serve, messages);
  g_autofree gchar *uri = g_strdup_printf ("ws://127.0.0.1:%u/api/chat",
      peer_server_get_port (server));
  Speech speech;
  Harness *self;

  speech_init (&speech);
  trace->mask_offset = 0;
  self = harness_new (NULL, "appsrc name=in is-live=true format=time caps="
      CAPS " ! moshi name=m uri=%s retries=0 ! " CAPS
      " ! fakesink async=false", uri);
  harness_use_test_clock (self);
  harness_wait_state (self, GST_STATE_PLAYING);
  harness_wait_connection (self, "ready");
  play (self, &speech, trace, messages);
  assert_like_bench (wanted, &speech, trace, self);

  harness_free (self);
  peer_server_free (server);
  g_async_queue_unref (messages);
  speech_clear (&speech);
}

static void
add_tests (void)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree gchar *path = g_strconcat ("/playout/arrivals/", cases[i].name,
        NULL);

    g_test_add_data_func (path, &cases[i], test_arrivals);
  }
}

int
main (int argc, char **argv)
{
  return harness_main (&argc, &argv, add_tests);
}
