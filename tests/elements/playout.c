/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The playout in the element: speech comes over a socket with the arrivals of
 * the bench's traces, by a clock in hand, and what leaves the pad is compared
 * with what was said. The bench's own player, given the same, is the measure.
 * Times and delays are in ms, those of what is heard with the latency in them.
 */
#include "../bench/playout/playoutbench.h"
#include "harness.h"
#include "peer.h"
#include "protocol/moshioggreader.h"
#include "protocol/moshioggwriter.h"
#include "protocol/moshiopus.h"

#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#define SPEECH "audio/x-raw,format=S16LE,layout=interleaved,rate=24000,channels=1"

#define LATENCY 60              /* ms, the default */
#define FRAME 1920              /* samples of a message */
#define FRAME_MS 80
#define PACKET 960              /* of a packet, as from Kyutai's servers: 40 ms */
#define PACKETS (FRAME / PACKET)
#define SPLIT_MS 20             /* of each of its two frames */

/* A moment of speech is looked for by a piece of it so long, in samples. */
#define PIECE 960
#define LIKE 0.9                /* it is to what is heard, at least */
#define EVERY 500               /* ms */
#define NEAR 150                /* ms, at most, from where the bench has it */

#define SHORT 36000             /* ms */
#define LONG 120000
/* Ten minutes; of them, a sanitizer sees as much in two. */
#ifdef __SANITIZE_ADDRESS__
#define DRIFT LONG
#else
#define DRIFT 600000
#endif

/* Packets in a row that may not be heard, at most */
#define MOST_MISSING 100

/* --- speech -------------------------------------------------------------- */

/* What the server says, over and over */
typedef struct
{
  GPtrArray *packets;           /* of GBytes */
  GPtrArray *frames;            /* of GBytes: they, taken apart */
  GArray *samples;              /* of gint16, 24 kHz: what they are decoded to */
  BenchMask mask;
} Speech;

static GArray *
read_recording (void)
{
  g_autofree gchar *path = g_test_build_filename (G_TEST_DIST, "bench",
      "playout", "speech.opus", NULL);
  g_autoptr (MoshiOggReader) reader = moshi_ogg_reader_new ();
  g_autoptr (MoshiOpusDecoder) decoder = moshi_opus_decoder_new (24000, 1,
      NULL);
  GArray *samples = g_array_new (FALSE, FALSE, sizeof (gint16));
  g_autofree gchar *file = NULL;
  GBytes *packet;
  gsize size;

  g_assert_true (g_file_get_contents (path, &file, &size, NULL));
  g_assert_true (moshi_ogg_reader_push (reader, (const guint8 *) file, size,
          NULL));
  while ((packet = moshi_ogg_reader_pull (reader))) {
    gint16 part[480];
    const guint8 *data = g_bytes_get_data (packet, &size);

    g_assert_cmpint (moshi_opus_decoder_decode_s16 (decoder, data, size, part,
            480, NULL), ==, 480);
    g_array_append_vals (samples, part, 480);
    g_bytes_unref (packet);
  }
  return samples;
}

/* As a server does it: in packets of its own */
static void
add_packet (Speech * self, MoshiOpusEncoder * encoder,
    MoshiOpusDecoder * decoder, const gint16 * samples)
{
  GBytes *packet = moshi_opus_encoder_encode_s16 (encoder, samples, PACKET,
      NULL);
  gint16 decoded[PACKET];
  gsize size;
  const guint8 *data = g_bytes_get_data (packet, &size);

  g_assert_cmpint (moshi_opus_decoder_decode_s16 (decoder, data, size, decoded,
          PACKET, NULL), ==, PACKET);
  g_array_append_vals (self->samples, decoded, PACKET);
  g_ptr_array_add (self->packets, packet);
  g_ptr_array_extend_and_steal (self->frames,
      moshi_opus_packet_split (packet, 0));
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
  g_autoptr (GArray) recording = read_recording ();
  g_autoptr (MoshiOpusEncoder) encoder = moshi_opus_encoder_new (24000, 1,
      MOSHI_OPUS_AUDIO, NULL);
  g_autoptr (MoshiOpusDecoder) decoder = moshi_opus_decoder_new (24000, 1,
      NULL);
  guint i;

  self->packets = g_ptr_array_new_with_free_func ((GDestroyNotify)
      g_bytes_unref);
  self->frames = g_ptr_array_new_with_free_func ((GDestroyNotify)
      g_bytes_unref);
  self->samples = g_array_new (FALSE, FALSE, sizeof (gint16));
  g_assert_true (moshi_opus_encoder_configure (encoder, 64000, 5, NULL));
  for (i = 0; i < recording->len / FRAME * PACKETS; i++)
    add_packet (self, encoder, decoder,
        (const gint16 *) recording->data + i * PACKET);
  make_mask (self);
}

static void
speech_clear (Speech * self)
{
  g_ptr_array_unref (self->packets);
  g_ptr_array_unref (self->frames);
  g_array_unref (self->samples);
  bench_mask_clear (&self->mask);
}

static GBytes *
get_packet (const Speech * self, guint i)
{
  return g_ptr_array_index (self->packets, i % self->packets->len);
}

/* --- the server ---------------------------------------------------------- */

/* Sends what it is given, when it is given; an empty one ends it. */
static void
serve (Peer * peer, gpointer user_data)
{
  GAsyncQueue *messages = user_data;
  gboolean more = TRUE;

  GSocketConnection *connection = G_SOCKET_CONNECTION (peer_get_stream (peer));

  /* Messages at once are not to wait for one another. */
  g_socket_set_option (g_socket_connection_get_socket (connection),
      IPPROTO_TCP, TCP_NODELAY, TRUE, NULL);
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

/* Packets of speech as pages */
static GBytes *
make_message (const Speech * speech, MoshiOggWriter * writer, guint i)
{
  g_autoptr (GByteArray) pages = g_byte_array_new ();
  g_autoptr (GBytes) headers = NULL;
  gsize size;
  const guint8 *data;
  guint k;

  if (i == 0) {
    headers = moshi_ogg_writer_headers (writer);
    data = g_bytes_get_data (headers, &size);
    g_byte_array_append (pages, data, (guint) size);
  }
  for (k = 0; k < PACKETS; k++) {
    data = g_bytes_get_data (get_packet (speech, i * PACKETS + k), &size);
    g_assert_true (moshi_ogg_writer_packet (writer, data, size, pages, NULL));
  }
  return g_byte_array_free_to_bytes (g_steal_pointer (&pages));
}

/* --- what is heard ----------------------------------------------------------- */

/* A moment of speech */
typedef struct
{
  gdouble said;                 /* ms of what the server says */
  gdouble delay;                /* of it when it is heard, or -1: not as it was */
  gdouble wanted;               /* the same of the bench's player */
} Moment;

/* When the server says what it says at `source` */
static gdouble
get_sent (const BenchTrace * trace, gdouble source)
{
  guint i = MIN ((guint) (source / FRAME_MS), trace->messages->len - 1);

  return g_array_index (trace->messages, BenchMessage, i).sent
      + source - i * FRAME_MS;
}

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

/* Returns: how late what is said at `source` is heard, about as the bench has it,
 * or -1 */
static gdouble
find_delay (const Speech * speech, const HarnessTrack * out, gdouble source,
    gdouble sent, gdouble wanted)
{
  const gint16 *said = (const gint16 *) speech->samples->data
      + (gsize) (source * 24) % speech->samples->len;
  const gint16 *heard = (const gint16 *) out->data->data;
  gdouble best = LIKE, found = -1;
  gdouble first = MAX (wanted - NEAR, 100);
  gsize at = (gsize) ((sent + first - LATENCY) * 24);
  gsize end = (gsize) ((sent + wanted + NEAR - LATENCY) * 24);

  for (; at < end && at + PIECE <= out->data->len / 2; at += 2) {
    gdouble score = compare (said, heard + at);

    if (score > best) {
      best = score;
      found = (gdouble) at / 24 + LATENCY - sent;
    }
  }
  return found;
}

/* When the bench's player plays that moment of speech, or -1; `from` is the line
 * to look from, for moments in order. */
static gdouble
find_line (const GArray * lines, gdouble source, guint * from)
{
  for (; *from < lines->len; ++*from) {
    const BenchLine *line = &g_array_index (lines, BenchLine, *from);

    if (line->source < 0 || source >= line->source
        + line->duration * line->speed)
      continue;
    return source < line->source ? -1 :
        line->time + (source - line->source) / line->speed;
  }
  return -1;
}

static gboolean
is_packet (GBytes * packet, HarnessTrack * out, const HarnessBuffer * buffer)
{
  return g_bytes_get_size (packet) == buffer->size
      && memcmp (g_bytes_get_data (packet, NULL),
      out->data->data + buffer->offset, buffer->size) == 0;
}

/* When each frame of what the server says leaves, or -1. They leave in order, in
 * the server's packets or each in one of its own. */
static gdouble *
find_frames (const Speech * speech, HarnessTrack * out, guint n)
{
  gdouble *times = g_new (gdouble, n);
  guint next = 0, i, k;

  for (k = 0; k < n; k++)
    times[k] = -1;
  for (i = 0; i < out->buffers->len; i++) {
    const HarnessBuffer *buffer = harness_track_buffer (out, i);
    const gdouble time = (gdouble) buffer->pts / GST_MSECOND + LATENCY;

    for (k = next; k < MIN (next + MOST_MISSING, n); k++) {
      if (is_packet (speech->frames->pdata[k % speech->frames->len], out,
              buffer)) {
        times[k] = time;
        next = k + 1;
        break;
      }
      if (k % 2 == 0 && is_packet (get_packet (speech, k / 2), out, buffer)) {
        times[k] = time;
        times[k + 1] = time + SPLIT_MS;
        next = k + 2;
        break;
      }
    }
  }
  return times;
}

/* Moments of speech, and when they are heard */
static GArray *
find_moments (BenchKind kind, const Speech * speech, const BenchTrace * trace,
    HarnessTrack * out, const GArray * lines)
{
  const guint n = trace->messages->len * (FRAME_MS / SPLIT_MS);
  g_autofree gdouble *times = kind == BENCH_PACKETS ?
      find_frames (speech, out, n) : NULL;
  GArray *moments = g_array_new (FALSE, FALSE, sizeof (Moment));
  const gdouble step = trace->duration > LONG ? 3.9 * EVERY : EVERY;
  gdouble said;
  guint from = 0;

  for (said = 0; said < n * SPLIT_MS - 1500; said += step) {
    const gdouble line = find_line (lines, said, &from);
    const gdouble sent = get_sent (trace, said);
    Moment moment = { said, -1, line - sent };

    if (line < 0 || !bench_is_speech (trace, &speech->mask, said)
        || !bench_is_speech (trace, &speech->mask, said + 120))
      continue;
    if (times == NULL)
      moment.delay = find_delay (speech, out, said, sent, moment.wanted);
    else if (times[(guint) (said / SPLIT_MS)] >= 0)
      moment.delay = times[(guint) (said / SPLIT_MS)] + fmod (said, SPLIT_MS)
          - sent;
    g_array_append_val (moments, moment);
  }
  return moments;
}

/**
 * Summary:
 *
 * What moments are like, those of some time: means of those that were found
 */
typedef struct
{
  gdouble n;
  gdouble share;                /* of them that were found */
  gdouble mean;                 /* delay */
  gdouble wanted;               /* the same of the bench's player */
} Summary;

static void
summarise (const GArray * moments, gdouble from, gdouble to, Summary * sum)
{
  gdouble found = 0;
  guint i;

  memset (sum, 0, sizeof (Summary));
  for (i = 0; i < moments->len; i++) {
    const Moment *moment = &g_array_index (moments, Moment, i);

    if (moment->said < from || moment->said >= to)
      continue;
    sum->n++;
    if (moment->delay < 0)
      continue;
    found++;
    sum->mean += moment->delay;
    sum->wanted += moment->wanted;
  }
  sum->mean /= MAX (found, 1);
  sum->wanted /= MAX (found, 1);
  sum->share = found / MAX (sum->n, 1);
}

/* --- the tests ----------------------------------------------------------------- */

/* After so long the network is known. */
#define SETTLED 10000

/* Messages, at any pace of the clocks */
#define IN_A_SECOND 12

/**
 * Case:
 * @kind: of output: raw, or Opus as it is
 * @seeds: of traces that are played
 * @share: of the moments of speech are heard as they were said, at least
 * @most: delay in any minute, on the average
 */
typedef struct
{
  const gchar *name;
  BenchShape shape;
  BenchKind kind;
  gint seeds;
  gdouble share;
  gdouble most;
} Case;

#define CONST {"const150",.duration = SHORT}
#define EXP5 {"exp5",.jitter = 5,.duration = SHORT}
#define EXP20 {"exp20",.jitter = 20,.duration = SHORT}
#define EXP50 {"exp50",.jitter = 50,.duration = LONG}
#define SPIKES {"spikes",.jitter = 10,.spike_chance = 0.02,.spike = 150, \
  .duration = LONG}
#define STALL {"stall1s",.jitter = 5,.stall = 1000,.duration = SHORT}
#define STALL_SLOW {"stall1s_slowcatchup",.jitter = 5,.stall = 1000, \
  .catch_up = 60,.duration = SHORT}
#define FAST {"drift_p2pct_nojitter",.drift = 0.02,.duration = DRIFT}
#define SLOW {"drift_m2pct_nojitter",.drift = -0.02,.duration = DRIFT}
#define FAST_EXP5 {"drift_p2pct",.jitter = 5,.drift = 0.02,.duration = DRIFT}
#define SLOW_EXP5 {"drift_m2pct",.jitter = 5,.drift = -0.02,.duration = DRIFT}

static const Case cases[] = {
  {"raw/const", CONST, BENCH_VOICE, 1, 0.98, 160},
  {"raw/exp5", EXP5, BENCH_VOICE, 1, 0.95, 200},
  {"raw/exp20", EXP20, BENCH_VOICE, 3, 0.9, 290},
  {"raw/exp50", EXP50, BENCH_VOICE, 2, 0.9, 450},
  {"raw/spikes", SPIKES, BENCH_VOICE, 2, 0.9, 340},
  {"raw/stall", STALL, BENCH_VOICE, 2, 0.9, 350},
  {"raw/stall-slow", STALL_SLOW, BENCH_VOICE, 2, 0.9, 360},
  {"raw/drift-fast", FAST, BENCH_VOICE, 1, 0.9, 170},
  {"raw/drift-slow", SLOW, BENCH_VOICE, 1, 0.9, 170},
  {"raw/drift-fast-exp5", FAST_EXP5, BENCH_VOICE, 1, 0.9, 215},
  {"raw/drift-slow-exp5", SLOW_EXP5, BENCH_VOICE, 1, 0.9, 215},
  {"opus/const", CONST, BENCH_PACKETS, 1, 1, 160},
  {"opus/exp5", EXP5, BENCH_PACKETS, 1, 1, 205},
  {"opus/exp20", EXP20, BENCH_PACKETS, 3, 1, 290},
  {"opus/exp50", EXP50, BENCH_PACKETS, 2, 1, 430},
  {"opus/spikes", SPIKES, BENCH_PACKETS, 2, 1, 340},
  {"opus/stall", STALL, BENCH_PACKETS, 2, 1, 440},
  {"opus/stall-slow", STALL_SLOW, BENCH_PACKETS, 2, 1, 480},
  {"opus/drift-fast", FAST, BENCH_PACKETS, 1, 1, 215},
  {"opus/drift-slow", SLOW, BENCH_PACKETS, 1, 1, 270},
  {"opus/drift-fast-exp5", FAST_EXP5, BENCH_PACKETS, 1, 1, 265},
  {"opus/drift-slow-exp5", SLOW_EXP5, BENCH_PACKETS, 1, 1, 325},
};

/* What was done to a trace, in ms */
typedef struct
{
  gdouble early;                /* concealed before the network was known */
  gdouble steepest;             /* changed in length in any second */
} Course;

static gdouble
get_ms (Harness * self, const gchar * name)
{
  return (gdouble) harness_get_stat (self, name) / GST_MSECOND;
}

static void
play (Harness * self, const Speech * speech, const BenchTrace * trace,
    GAsyncQueue * messages, Course * course)
{
  g_autoptr (MoshiOggWriter) writer = moshi_ogg_writer_new (42, 1, 0, 24000);
  gdouble changed[IN_A_SECOND] = { 0, }, sum;
  guint64 queued;
  guint i;

  for (i = 0; i < trace->messages->len; i++) {
    const BenchMessage *message =
        &g_array_index (trace->messages, BenchMessage, i);
    GstClockTime now = gst_clock_get_time (GST_CLOCK (self->clock));
    GstClockTime then = (GstClockTime) (message->arrival * GST_MSECOND);

    if (then > now)
      harness_advance (self, then - now);
    if (message->arrival < SETTLED)
      course->early = get_ms (self, "concealed");
    sum = get_ms (self, "lengthened") + get_ms (self, "shortened");
    course->steepest = MAX (course->steepest, sum - changed[i % IN_A_SECOND]);
    changed[i % IN_A_SECOND] = sum;
    /* It is there when it is queued: it is counted as received before that. */
    queued = harness_get_stat (self, "queued");
    g_async_queue_push (messages, make_message (speech, writer, i));
    harness_wait_stat (self, "queued", queued + (FRAME_MS - 1) * GST_MSECOND);
  }
  g_async_queue_push (messages, g_bytes_new (NULL, 0));
}

/* Returns: the mean delay in the minute in which it is most */
static gdouble
get_most (const BenchTrace * trace, const GArray * moments)
{
  gdouble most = 0, at;
  Summary minute;

  for (at = 0; at < trace->duration; at += 60000) {
    summarise (moments, at, at + 60000, &minute);
    most = MAX (most, minute.mean);
  }
  return most;
}

/* Ten seconds after a stall it is as late as the bench has it; and as before,
 * where it can be played faster. */
static void
assert_after_stall (const Case * wanted, const BenchTrace * trace,
    const GArray * moments)
{
  const gdouble end = trace->stall_start + trace->stall_length;
  Summary before, after;

  summarise (moments, trace->stall_start - 5000, trace->stall_start - 500,
      &before);
  summarise (moments, end + 8500, end + 11000, &after);
  g_test_message ("before the stall %.1f, 10 s after it %.1f, bench %.1f",
      before.mean, after.mean, after.wanted);
  g_assert_cmpfloat (before.n, >, 0);
  g_assert_cmpfloat (after.n, >, 0);
  g_assert_cmpfloat (fabs (after.mean - after.wanted), <, 15);
  if (wanted->kind != BENCH_PACKETS)
    g_assert_cmpfloat (after.mean, <=, before.mean + 20);
}

static void
assert_like_bench (const Case * wanted, const BenchTrace * trace,
    const GArray * moments)
{
  const gdouble most = get_most (trace, moments);
  Summary all;

  summarise (moments, 0, G_MAXDOUBLE, &all);
  g_test_message ("seed %d: delay %.1f, bench %.1f, %.1f at most; %.0f %% of "
      "%.0f found", trace->seed, all.mean, all.wanted, most,
      all.share * 100, all.n);
  g_assert_cmpfloat (fabs (all.mean - all.wanted), <,
      wanted->kind == BENCH_PACKETS ? 5 : 10);
  g_assert_cmpfloat (all.share, >=, wanted->share);
  g_assert_cmpfloat (most, <=, wanted->most);
  if (trace->stall_start >= 0)
    assert_after_stall (wanted, trace, moments);
}

/* Adds what was concealed, and what the bench's player has concealed. */
static void
run_seed (const Case * wanted, Speech * speech, gint seed, gdouble * concealed,
    gdouble * bench)
{
  g_autoptr (BenchTrace) trace = bench_trace_make (&wanted->shape, seed);
  GAsyncQueue *messages = g_async_queue_new ();
  PeerServer *server = peer_server_new (serve, messages);
  g_autofree gchar *uri = g_strdup_printf ("ws://127.0.0.1:%u/api/chat",
      peer_server_get_port (server));
  g_autoptr (GArray) lines = NULL;
  g_autoptr (GArray) moments = NULL;
  MoshiPlayoutCounters counters;
  Course course = { 0, };
  Harness *self;

  trace->mask_offset = 0;
  self = harness_new (NULL, "appsrc name=in is-live=true format=time caps="
      SPEECH " ! moshi name=m uri=%s retries=0 ! %s ! fakesink async=false",
      uri, wanted->kind == BENCH_PACKETS ? "audio/x-opus" : SPEECH);
  harness_use_test_clock (self);
  harness_wait_state (self, GST_STATE_PLAYING);
  harness_wait_connection (self, "ready");
  play (self, speech, trace, messages, &course);

  lines = bench_play_adaptive (trace, &speech->mask, wanted->kind, &counters);
  harness_lock (self);
  if (wanted->kind != BENCH_PACKETS)
    harness_assert_contiguous (self->out, 24000, 2, 0);
  moments = find_moments (wanted->kind, speech, trace, self->out, lines);
  harness_unlock (self);
  assert_like_bench (wanted, trace, moments);
  g_assert_cmpuint (harness_get_stat (self, "dropped"), ==, 0);
  *concealed += get_ms (self, "concealed");
  *bench += (gdouble) counters.concealed / 48;
  g_test_message ("concealed %.1f, %.1f of it at first; bench %.1f; changed by "
      "%.1f in a second", get_ms (self, "concealed"), course.early,
      (gdouble) counters.concealed / 48, course.steepest);
  if (wanted->shape.drift != 0)
    g_assert_cmpfloat (get_ms (self, "concealed") - course.early, <=, 5);
  if (wanted->shape.drift != 0 && wanted->shape.jitter <= 0)
    g_assert_cmpfloat (course.steepest, <=, 50);

  harness_free (self);
  peer_server_free (server);
  g_async_queue_unref (messages);
}

static void
test_arrivals (gconstpointer data)
{
  const Case *wanted = data;
  gdouble concealed = 0, bench = 0;
  Speech speech;
  gint seed;

  speech_init (&speech);
  for (seed = 1; seed <= wanted->seeds; seed++)
    run_seed (wanted, &speech, seed, &concealed, &bench);
  /* A voice has periods of its own, and not always one: holes differ by that. */
  if (wanted->kind == BENCH_PACKETS)
    g_assert_cmpfloat (fabs (concealed - bench), <=, 0.1 * bench + 10);
  else
    g_assert_cmpfloat (fabs (concealed - bench), <=, 0.5 * bench + 40);
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
