/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Batch: what goes out is a pure function of what goes in, to the sample.
 */
#include "harness.h"

#include <stdio.h>

/* A sanitizer keeps what is freed, and takes its time. */
#if defined(__SANITIZE_ADDRESS__)
#define RUNNING_ON_SANITIZER TRUE
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RUNNING_ON_SANITIZER TRUE
#endif
#endif
#ifndef RUNNING_ON_SANITIZER
#define RUNNING_ON_SANITIZER FALSE
#endif

/* The model's delay, at 1 kHz */
#define MODEL_DELAY 160

static void
init_config (MoshiStandinConfig * config, MoshiStandinVoice voice)
{
  moshi_standin_config_init (config);
  config->voice = voice;
  config->seed = 7;
}

/* A sine from a file, as it were: `in` are its caps without the word
 * audio/x-raw, `out` what is wanted behind moshi. */
static Harness *
new_file (const MoshiStandinConfig * config, const gchar * in, guint size,
    guint n_buffers, const gchar * properties, const gchar * out)
{
  return harness_new (config, "audiotestsrc samplesperbuffer=%u num-buffers=%u "
      "! audio/x-raw,%s ! moshi name=m %s ! audio/x-raw,%s ! fakesink",
      size, n_buffers, in, properties, out);
}

/* The server has got the input, as far as its answer was needed, and less than
 * a second of silence after it; as an Ogg stream nobody can say a word
 * against, and with a polite close. */
static void
assert_server_content (Harness * self, guint64 samples)
{
  MoshiStandinStats stats;

  g_assert_true (moshi_standin_wait_idle (self->server, HARNESS_PATIENCE));
  moshi_standin_get_stats (self->server, &stats);
  g_assert_cmpuint (stats.samples + MODEL_DELAY * 24, >=, samples);
  g_assert_cmpuint (stats.samples, <, samples + MOSHI_STANDIN_RATE);
  g_assert_cmpuint (stats.handshakes, ==, 1);
  g_assert_cmpuint (stats.early_messages, ==, 0);
  g_assert_cmpuint (stats.decode_errors, ==, 0);
  g_assert_cmpuint (stats.bad_crc, ==, 0);
  g_assert_cmpuint (stats.bad_granules, ==, 0);
  g_assert_cmpuint (stats.page_gaps, ==, 0);
  g_assert_cmpuint (stats.second_bos, ==, 0);
  g_assert_cmpuint (stats.junk_bytes, ==, 0);
  g_assert_cmpuint (stats.crowded_pages, ==, 0);
  g_assert_cmpuint (stats.crowded_messages, <=, 1);     /* the headers */
  g_assert_cmpuint (stats.split_pages, ==, 0);
  g_assert_cmpuint (stats.closes, ==, 1);
  g_assert_cmpuint (stats.close_code, ==, 1000);
  g_assert_false (stats.close_had_reason);
  g_assert_cmpuint (stats.losses, ==, 0);
}

/* Output of `frames` frames, the first model-delay of them silence, the rest
 * the server's sweep. */
static void
assert_answer (Harness * self, const MoshiStandinConfig * config, guint rate,
    guint channels, guint64 frames)
{
  const gsize silence = rate / 1000 * MODEL_DELAY;
  gsize i;

  g_assert_cmpuint (self->out->n_eos, ==, 1);
  g_assert_cmpuint (self->out->data->len, ==, frames * 2 * channels);
  g_assert_cmpuint (harness_assert_contiguous (self->out, rate, 2 * channels,
          0), ==, frames);
  for (i = 0; i < MIN (silence, frames) * 2 * channels; i++)
    g_assert_cmpuint (self->out->data->data[i], ==, 0);
  if (frames > silence)
    harness_assert_sweep (self->out, silence, config, rate, channels);
}

/* --- lengths and formats ------------------------------------------------- */

typedef struct
{
  const gchar *name;
  guint in_rate;
  const gchar *in;              /* format and channels */
  guint out_rate;
  guint out_channels;
  guint size;                   /* frames in a buffer */
  guint n_buffers;
  guint tail;                   /* ms */
  MoshiStandinFlavour flavour;
} Format;

#define S16 "format=S16LE,channels=1"
#define S16_STEREO "format=S16LE,channels=2,channel-mask=(bitmask)3"
#define F32 "format=F32LE,channels=1"
#define F32_STEREO "format=F32LE,channels=2,channel-mask=(bitmask)3"

static const Format formats[] = {
  {"minute-24k", 24000, S16, 24000, 1, 480, 3000, 0, MOSHI_STANDIN_KYUTAI_PY},
  {"minute-48k", 48000, S16, 48000, 1, 1024, 2813, 4000,
      MOSHI_STANDIN_KYUTAI_PY},
  {"16k", 16000, S16, 16000, 1, 320, 200, 500, MOSHI_STANDIN_KYUTAI_PY},
  {"12k", 12000, S16, 12000, 1, 241, 200, 500, MOSHI_STANDIN_KYUTAI_PY},
  {"8k", 8000, S16, 8000, 1, 161, 200, 500, MOSHI_STANDIN_KYUTAI_PY},
  {"48k-to-8k", 48000, S16, 8000, 1, 1021, 100, 333, MOSHI_STANDIN_KYUTAI_PY},
  {"8k-to-48k", 8000, S16, 48000, 1, 83, 333, 77, MOSHI_STANDIN_KYUTAI_PY},
  {"16k-to-24k", 16000, S16, 24000, 1, 160, 201, 0, MOSHI_STANDIN_KYUTAI_PY},
  {"stereo", 48000, S16_STEREO, 48000, 2, 1024, 100, 0,
      MOSHI_STANDIN_KYUTAI_PY},
  {"stereo-to-mono", 24000, S16_STEREO, 24000, 1, 1024, 100, 0,
      MOSHI_STANDIN_KYUTAI_PY},
  {"mono-to-stereo", 24000, S16, 24000, 2, 1024, 100, 0,
      MOSHI_STANDIN_KYUTAI_PY},
  {"float", 24000, F32, 24000, 1, 1024, 100, 0, MOSHI_STANDIN_KYUTAI_PY},
  {"float-stereo", 48000, F32_STEREO, 16000, 1, 1024, 100, 0,
      MOSHI_STANDIN_KYUTAI_PY},
  {"one-sample-buffers", 24000, S16, 24000, 1, 1, 24001, 0,
      MOSHI_STANDIN_KYUTAI_PY},
  {"ten-second-buffers", 24000, S16, 24000, 1, 240000, 2, 1000,
      MOSHI_STANDIN_KYUTAI_PY},
  {"one-sample", 24000, S16, 24000, 1, 1, 1, 0, MOSHI_STANDIN_KYUTAI_PY},
  {"one-sample-and-tail", 24000, S16, 24000, 1, 1, 1, 500,
      MOSHI_STANDIN_KYUTAI_PY},
  {"within-model-delay", 24000, S16, 24000, 1, 480, 5, 0,
      MOSHI_STANDIN_KYUTAI_PY},
  {"model-delay", 24000, S16, 24000, 1, 480, 8, 0, MOSHI_STANDIN_KYUTAI_PY},
  {"past-model-delay", 24000, S16, 24000, 1, 3841, 1, 0,
      MOSHI_STANDIN_KYUTAI_PY},
  {"kyutai-rs", 24000, S16, 24000, 1, 997, 150, 1000,
      MOSHI_STANDIN_KYUTAI_RS},
  {"moshi-server", 24000, S16, 24000, 1, 997, 150, 1000,
      MOSHI_STANDIN_MOSHI_SERVER},
  {"mlx", 24000, S16, 24000, 1, 997, 150, 1000, MOSHI_STANDIN_MLX},
  {"personaplex", 24000, S16, 24000, 1, 997, 150, 1000,
      MOSHI_STANDIN_PERSONAPLEX},
  {"scaleway", 24000, S16, 24000, 1, 997, 150, 1000, MOSHI_STANDIN_SCALEWAY},
};

static guint64
get_frames (const Format * format)
{
  guint64 in = (guint64) format->size * format->n_buffers;

  /* In ticks of 48 kHz, to the nearest frame of the output */
  in = in * (48000 / format->in_rate) + format->tail * 48;
  return (in + 24000 / format->out_rate) / (48000 / format->out_rate);
}

static void
test_format (gconstpointer data)
{
  const Format *format = data;
  g_autofree gchar *in = g_strdup_printf ("rate=%u,%s", format->in_rate,
      format->in);
  g_autofree gchar *out = g_strdup_printf ("rate=%u,format=S16LE,channels=%u",
      format->out_rate, format->out_channels);
  g_autofree gchar *properties = g_strdup_printf ("tail=%u api-key=secret "
      "text-prompt=x voice-prompt=x", format->tail);
  MoshiStandinConfig config;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_SWEEP);
  config.flavour = format->flavour;
  config.prompt_ms = 0;
  self = new_file (&config, in, format->size, format->n_buffers, properties,
      out);
  harness_play_to_eos (self);
  assert_answer (self, &config, format->out_rate, format->out_channels,
      get_frames (format));
  /* An output of silence alone does not wait for the server. */
  if (get_frames (format) > format->out_rate / 1000 * MODEL_DELAY)
    assert_server_content (self, (guint64) format->size * format->n_buffers
        * (48000 / format->in_rate) / 2 + format->tail * 24);
  harness_free (self);
}

/* F32 out: the same signal, but not rounded to 16 bits */
static void
test_float_output (void)
{
  MoshiStandinConfig config;
  g_autofree gint16 *expected = NULL;
  const gfloat *got;
  Harness *self;
  guint i;

  init_config (&config, MOSHI_STANDIN_SWEEP);
  self = new_file (&config, "rate=24000," S16, 480, 100, "",
      "format=F32LE,rate=24000,channels=1");
  harness_play_to_eos (self);
  g_assert_cmpuint (self->out->data->len, ==, 48000 * sizeof (gfloat));
  expected = moshi_standin_sweep_expected (config.flavour, 0, 24000, 1,
      48000 - 3840, config.seed);
  got = (const gfloat *) self->out->data->data;
  for (i = 0; i < 48000 - 3840; i++)
    g_assert_cmpfloat_with_epsilon (got[3840 + i], expected[i] / 32768.0f,
        2.0f / 32768);
  harness_free (self);
}

/* Without a wish behind it: S16LE, 24 kHz, mono */
static void
test_preferred_format (void)
{
  MoshiStandinConfig config;
  GstEvent *event;
  GstCaps *caps;
  g_autofree gchar *name = NULL;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_SILENCE);
  self = harness_new (&config, "audiotestsrc num-buffers=10 "
      "! audio/x-raw,format=F32LE,rate=48000,channels=2 ! moshi name=m "
      "! fakesink");
  harness_play_to_eos (self);
  event = harness_track_find_event (self->out, GST_EVENT_CAPS, NULL);
  gst_event_parse_caps (event, &caps);
  name = gst_caps_to_string (caps);
  g_assert_cmpstr (name, ==, "audio/x-raw, format=(string)S16LE, "
      "layout=(string)interleaved, rate=(int)24000, channels=(int)1");
  harness_free (self);
}

/* --- repeatable, whatever the network does ------------------------------- */

static void
run_and_compare (const MoshiStandinConfig * config, GByteArray ** first)
{
  Harness *self = new_file (config, "rate=24000," S16, 480, 250, "tail=1000",
      "format=S16LE,rate=24000,channels=1");

  harness_play_to_eos (self);
  assert_answer (self, config, 24000, 1, 6 * 24000);
  if (*first == NULL)
    *first = g_byte_array_ref (self->out->data);
  g_assert_cmpmem ((*first)->data, (*first)->len, self->out->data->data,
      self->out->data->len);
  harness_free (self);
}

static void
test_repeatable (void)
{
  static const gchar *const chunks[] = { "chunk=random", NULL };
  g_autoptr (GByteArray) first = NULL;
  MoshiStandinConfig config;

  init_config (&config, MOSHI_STANDIN_SWEEP);
  config.text = "the same words each time";
  run_and_compare (&config, &first);
  run_and_compare (&config, &first);
  config.faults = chunks;
  run_and_compare (&config, &first);
  config.faults = NULL;
  config.speed = 2;
  run_and_compare (&config, &first);
}

static void
test_half_speed (void)
{
  MoshiStandinConfig config;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_SWEEP);
  config.speed = 0.5;
  self = new_file (&config, "rate=48000," S16, 1000, 48, "tail=500",
      "format=S16LE,rate=48000,channels=1");
  harness_play_to_eos (self);
  assert_answer (self, &config, 48000, 1, 48000 + 24000);
  harness_free (self);
}

/* Slow disks and slow sinks: who is late does not matter either. */
static void
test_synchronised_sink (void)
{
  MoshiStandinConfig config;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_SWEEP);
  self = harness_new (&config, "audiotestsrc samplesperbuffer=480 "
      "num-buffers=50 ! audio/x-raw,rate=24000," S16 " ! moshi name=m "
      "! audio/x-raw,rate=24000,format=S16LE,channels=1 ! fakesink sync=true");
  harness_play_to_eos (self);
  assert_answer (self, &config, 24000, 1, 24000);
  harness_free (self);
}

static void
test_stalls (void)
{
  static const gchar *const faults[] = { "stall=10:20", "unknown-kinds",
    "ping-flood=3", NULL
  };
  MoshiStandinConfig config;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_SWEEP);
  config.faults = faults;
  self = new_file (&config, "rate=24000," S16, 480, 400, "",
      "format=S16LE,rate=24000,channels=1");
  harness_play_to_eos (self);
  assert_answer (self, &config, 24000, 1, 8 * 24000);
  harness_free (self);
}

/* --- model-delay and packets --------------------------------------------- */

static void
test_model_delay (void)
{
  static const guint delays[] = { 0, 1, 80, 240, 1000 };
  MoshiStandinConfig config;
  guint i;

  init_config (&config, MOSHI_STANDIN_SWEEP);
  for (i = 0; i < G_N_ELEMENTS (delays); i++) {
    g_autofree gchar *properties = g_strdup_printf ("model-delay=%u",
        delays[i]);
    Harness *self = new_file (&config, "rate=24000," S16, 480, 100, properties,
        "format=S16LE,rate=24000,channels=1");

    harness_play_to_eos (self);
    g_assert_cmpuint (self->out->data->len, ==, 2 * 48000);
    harness_assert_sweep (self->out, delays[i] * 24, &config, 24000, 1);
    harness_free (self);
  }
}

/* Each length of packet, and an input no length divides */
static void
test_frame_sizes (void)
{
  static const gchar *const sizes[] = { "2.5", "5", "10", "20", "40", "60" };
  MoshiStandinConfig config;
  guint i;

  init_config (&config, MOSHI_STANDIN_SWEEP);
  for (i = 0; i < G_N_ELEMENTS (sizes); i++) {
    g_autofree gchar *properties = g_strdup_printf ("frame-size=%s", sizes[i]);
    Harness *self = new_file (&config, "rate=48000," S16, 1009, 51, properties,
        "format=S16LE,rate=48000,channels=1");

    harness_play_to_eos (self);
    assert_answer (self, &config, 48000, 1, 1009 * 51);
    assert_server_content (self, 1009 * 51 / 2);
    harness_free (self);
  }
}

/* The encoder is tuned for its bit rate: RFC 6716 section 3.1, table 2, has
 * CELT alone from configuration 16 on. */
static void
test_application (void)
{
  static const struct
  {
    const gchar *properties;
    gboolean celt;
  } cases[] = {
    {"complexity=5", TRUE}, {"bitrate=48000", TRUE}, {"bitrate=32000", FALSE},
  };
  MoshiStandinConfig config;
  guint i, k;

  init_config (&config, MOSHI_STANDIN_SWEEP);
  config.keep_packets = 100;
  for (i = 0; i < G_N_ELEMENTS (cases); i++) {
    Harness *self = new_file (&config, "rate=24000," S16, 480, 50,
        cases[i].properties, "format=S16LE,rate=24000,channels=1");
    g_autoptr (GPtrArray) packets = NULL;

    harness_play_to_eos (self);
    /* The last answers are not waited for: they go beyond the input. */
    g_assert_true (moshi_standin_wait_idle (self->server, HARNESS_PATIENCE));
    packets = moshi_standin_get_packets (self->server);
    g_assert_cmpuint (packets->len, >=, 50);
    for (k = 0; k < 50; k++) {
      const guint8 *data = g_bytes_get_data (packets->pdata[k], NULL);

      g_assert_cmpint (data[0] >> 3 >= 16, ==, cases[i].celt);
    }
    harness_free (self);
  }
}

/* What the server hears is what was said, at its place: the sweep goes up, and
 * is found in what the server decoded. */
static void
test_input_content (void)
{
  MoshiStandinConfig config;
  g_autofree gint16 *heard = NULL;
  g_autofree gfloat *pcm = NULL;
  gsize n, i;
  GstElement *source;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_SILENCE);
  config.keep_pcm = 10 * 24000;
  self = harness_new (&config, "appsrc name=in format=time "
      "caps=audio/x-raw,format=F32LE,layout=interleaved,rate=24000,channels=1 "
      "! moshi name=m bitrate=128000 ! fakesink");
  source = harness_get_element (self, "in");
  harness_set_state (self, GST_STATE_PLAYING);
  for (i = 0; i < 100; i++) {
    GstBuffer *buffer = gst_buffer_new_allocate (NULL, 777 * 4, NULL);
    GstFlowReturn ret;
    GstMapInfo map;
    guint k;

    gst_buffer_map (buffer, &map, GST_MAP_WRITE);
    for (k = 0; k < 777; k++)
      ((gfloat *) map.data)[k] = moshi_standin_sweep_value (i * 777 + k, 0);
    gst_buffer_unmap (buffer, &map);
    GST_BUFFER_PTS (buffer) = gst_util_uint64_scale (i * 777, GST_SECOND,
        24000);
    g_signal_emit_by_name (source, "push-buffer", buffer, &ret);
    gst_buffer_unref (buffer);
    g_assert_cmpint (ret, ==, GST_FLOW_OK);
  }
  harness_push_eos (self);
  harness_wait_eos (self);

  /* Of what is answered beyond the end of the input, the server may or may not
   * have got everything when it is hung up on. */
  g_assert_true (moshi_standin_wait_idle (self->server, HARNESS_PATIENCE));
  pcm = moshi_standin_dup_pcm (self->server, &n);
  g_assert_cmpuint (n + MODEL_DELAY * 24, >=, 77700);
  heard = g_new (gint16, n);
  for (i = 0; i < n; i++)
    heard[i] = CLAMP (pcm[i] * 32767, -32768, 32767);
  for (i = 1920; i + 1920 <= MIN (n, 77700); i += 1920) {
    gdouble score;
    gint64 found = moshi_standin_sweep_locate (heard + i, 1920, 24000, 1, 0,
        i > 480 ? i - 480 : 0, i + 480, &score);

    g_assert_cmpfloat (score, >, 0.8);
    g_assert_cmpint (ABS (found - ((gint64) i - 156)), <=, 30);
  }
  gst_object_unref (source);
  harness_free (self);
}

/* --- memory -------------------------------------------------------------- */

static gsize
get_resident (void)
{
  g_autofree gchar *text = NULL;
  gulong total, resident;

  g_assert_true (g_file_get_contents ("/proc/self/statm", &text, NULL, NULL));
  g_assert_cmpint (sscanf (text, "%lu %lu", &total, &resident), ==, 2);
  return (gsize) resident *4096;
}

/* However long the input: what is under way is bounded, and nothing piles up.
 * The window is asked at each buffer of the output. */
typedef struct
{
  Harness *harness;
  guint64 most;                 /* ns */
  guint64 buffers;
} Window;

static GstPadProbeReturn
look_at_window (GstPad * pad, GstPadProbeInfo * info, gpointer user_data)
{
  Window *window = user_data;

  if (window->buffers++ % 16 == 0)
    window->most = MAX (window->most, harness_get_stat (window->harness,
            "in-flight"));
  return GST_PAD_PROBE_OK;
}

static void
test_hour (void)
{
  const guint64 minute = 60 * 8000 * 2;
  const guint minutes = RUNNING_ON_SANITIZER ? 5 : 60;
  MoshiStandinConfig config;
  Window window = { NULL, };
  gsize warm, cold;
  GstPad *pad;
  Harness *self;

  init_config (&config, MOSHI_STANDIN_REPEAT_PACKETS);
  config.max_steps = G_MAXINT;
  self = harness_new (&config, "audiotestsrc wave=silence "
      "samplesperbuffer=8000 num-buffers=%u ! audio/x-raw,rate=8000," S16
      " ! moshi name=m complexity=0 frame-size=60 "
      "! audio/x-raw,rate=8000,format=S16LE,channels=1 ! fakesink",
      60 * minutes);
  self->out->keep = FALSE;
  window.harness = self;
  pad = gst_element_get_static_pad (self->moshi, "src");
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, look_at_window, &window,
      NULL);
  gst_object_unref (pad);

  harness_set_state (self, GST_STATE_PLAYING);
  harness_wait_bytes (self, self->out, 2 * minute);
  warm = get_resident ();
  harness_wait_eos (self);
  cold = get_resident ();
  g_assert_cmpuint (self->out->bytes, ==, minutes * minute);
  g_assert_cmpuint (window.most, >, 0);
  g_assert_cmpuint (window.most, <=, 4 * GST_SECOND);
  if (!RUNNING_ON_SANITIZER)
    g_assert_cmpuint (cold, <, warm + 8 * 1024 * 1024);
  g_test_message ("in flight %" G_GUINT64_FORMAT " ms at most, %"
      G_GSSIZE_FORMAT " KiB more", window.most / GST_MSECOND,
      ((gssize) cold - (gssize) warm) / 1024);
  harness_free (self);
}

static void
add_tests (void)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (formats); i++) {
    g_autofree gchar *path = g_strconcat ("/batch/format/", formats[i].name,
        NULL);

    g_test_add_data_func (path, &formats[i], test_format);
  }
  g_test_add_func ("/batch/float-output", test_float_output);
  g_test_add_func ("/batch/preferred-format", test_preferred_format);
  g_test_add_func ("/batch/repeatable", test_repeatable);
  g_test_add_func ("/batch/half-speed", test_half_speed);
  g_test_add_func ("/batch/synchronised-sink", test_synchronised_sink);
  g_test_add_func ("/batch/stalls", test_stalls);
  g_test_add_func ("/batch/model-delay", test_model_delay);
  g_test_add_func ("/batch/application", test_application);
  g_test_add_func ("/batch/frame-sizes", test_frame_sizes);
  g_test_add_func ("/batch/input-content", test_input_content);
  g_test_add_func ("/batch/hour", test_hour);
}

int
main (int argc, char **argv)
{
  return harness_main (&argc, &argv, add_tests);
}
