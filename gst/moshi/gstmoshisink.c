/* SPDX-License-Identifier: LGPL-2.1-or-later */

/**
 * SECTION:element-moshisink
 * @title: moshisink
 * @short_description: the speaking half of a talk with Moshi
 * @see_also: #element-moshisrc, #element-moshi
 *
 * `moshisink` sends the speech it is given to a Moshi server. What Moshi answers
 * comes out of the `moshisrc` with the same #GstMoshiSink:session, in another
 * branch or another pipeline of the process. The connection is this element's:
 * it begins with PAUSED and ends with READY.
 *
 * A live input is sent as it comes. Any other is played in real time, once the
 * server listens; where the server could not follow, the rest comes later by so
 * much. The element does not preroll: neither a mute microphone nor a busy
 * server keeps the pipeline from PLAYING.
 *
 * EOS is on the bus when the #GstMoshiSink:tail is given, every answer is
 * played by the `moshisrc`, if there is one, and the connection is closed. The
 * `moshisrc` ends too.
 *
 * ## Example pipelines
 *
 * |[
 * gst-launch-1.0 pulsesrc ! audioconvert ! moshisink uri=ws://127.0.0.1:8998  moshisrc ! audioconvert ! pulsesink
 * ]| Two branches that nothing else joins.
 *
 * |[
 * gst-launch-1.0 filesrc location=question.wav ! wavparse ! audioconvert ! moshisink uri=ws://127.0.0.1:8998 session=a tail=4000  moshisrc session=a ! wavenc ! filesink location=answer.wav
 * ]| A question from a file, asked in real time.
 */

#include "gstmoshisink.h"

#include <gst/audio/audio.h>

#include "gstmoshicall.h"
#include "gstmoshicontrol.h"
#include "gstmoshierror.h"
#include "gstmoshiimagepad.h"
#include "gstmoshiinput.h"
#include "gstmoshisettings.h"
#include "gstmoshitalk.h"

GST_DEBUG_CATEGORY_STATIC (moshisink_debug);
#define GST_CAT_DEFAULT moshisink_debug

/* What is not live is given to the server in pieces of this length at most,
 * whatever the size of its buffers. */
#define PIECE_MS 20

/* Locks as in gstmoshi.c */
struct _GstMoshiSink
{
  GstBaseSink parent;

  /* Immutable after init */
  GstMoshiInput *input;
  GstMoshiCall *call;
  GstMoshiImagePad *image;

  /* Atomic */
  gint live;                    /* upstream is */
  gint mode_known;              /* it was asked whether it is */

  /* Streaming thread. Input that is not live is played piece by piece; `shift`
   * is how far it is behind the clock because the server was not there. */
  GstAudioInfo info;            /* rate 0: Opus */
  GstClockTime shift;           /* NONE: nothing played yet */
  GstClockTime position;        /* running time of the next piece */

  /* By OBJECT_LOCK */
  GstMoshiSettings settings;
  GstMoshiTalk *talk;           /* of the session joined, or last joined */
  gchar *joined;                /* its name, while started */
};

#define gst_moshi_sink_parent_class parent_class
G_DEFINE_TYPE (GstMoshiSink, gst_moshi_sink, GST_TYPE_BASE_SINK);

GST_ELEMENT_REGISTER_DEFINE (moshisink, "moshisink", GST_RANK_NONE,
    GST_TYPE_MOSHI_SINK);

static GstMoshiTalk *
ref_talk (GstMoshiSink * self)
{
  GstMoshiTalk *talk;

  GST_OBJECT_LOCK (self);
  talk = gst_moshi_talk_ref (self->talk);
  GST_OBJECT_UNLOCK (self);
  return talk;
}

/* --- base class ----------------------------------------------------------- */

static void
set_talk (GstMoshiSink * self, GstMoshiTalk * talk, gchar * name)
{
  GstMoshiTalk *old;

  GST_OBJECT_LOCK (self);
  old = self->talk;
  self->talk = gst_moshi_talk_ref (talk);
  self->joined = name;
  GST_OBJECT_UNLOCK (self);
  gst_moshi_talk_unref (old);
}

/* The way to READY; may be called twice. */
static void
leave (GstMoshiSink * self)
{
  g_autofree gchar *name = NULL;

  gst_moshi_call_stop (self->call);
  gst_moshi_input_set_talk (self->input, NULL);
  GST_OBJECT_LOCK (self);
  name = g_steal_pointer (&self->joined);
  GST_OBJECT_UNLOCK (self);
  if (name)
    moshi_sessions_leave (name, MOSHI_SESSIONS_SPEAKS);
}

static gboolean
begin (GstMoshiSink * self, const GstMoshiSettings * settings)
{
  g_autoptr (GError) error = NULL;
  GstMoshiTalk *talk = gst_moshi_talk_join (settings->session,
      MOSHI_SESSIONS_SPEAKS, &error);

  if (talk == NULL) {
    gst_moshi_error_post (GST_ELEMENT (self), error, 0, 0);
    return FALSE;
  }
  set_talk (self, talk, g_strdup (settings->session));
  gst_moshi_talk_reset_input (talk);
  gst_moshi_talk_set_input_live (talk, FALSE);
  gst_moshi_talk_set_input_flushing (talk, FALSE);
  gst_moshi_input_set_talk (self->input, talk);
  gst_moshi_input_start (self->input, settings);
  if (!gst_moshi_call_start (self->call, talk, settings)) {
    leave (self);
    return FALSE;
  }
  return TRUE;
}

/* The way from READY */
static gboolean
join (GstMoshiSink * self)
{
  GstMoshiSettings settings;
  gboolean ret;

  g_atomic_int_set (&self->mode_known, FALSE);
  self->shift = GST_CLOCK_TIME_NONE;
  self->position = 0;
  g_atomic_int_set (&self->live, FALSE);
  gst_moshi_control_copy (GST_ELEMENT (self), &self->settings, &settings);
  gst_moshi_call_forget_image (self->call);
  ret = begin (self, &settings);
  gst_moshi_settings_clear (&settings);
  return ret;
}

static gboolean
set_caps (GstBaseSink * sink, GstCaps * caps)
{
  GstMoshiSink *self = GST_MOSHI_SINK (sink);

  gst_audio_info_init (&self->info);
  if (gst_structure_has_name (gst_caps_get_structure (caps, 0), "audio/x-raw")
      && !gst_audio_info_from_caps (&self->info, caps))
    return FALSE;
  return gst_moshi_input_set_caps (self->input, caps);
}

static gboolean
unlock (GstBaseSink * sink)
{
  g_autoptr (GstMoshiTalk) talk = ref_talk (GST_MOSHI_SINK (sink));

  gst_moshi_talk_set_input_flushing (talk, TRUE);
  return TRUE;
}

static gboolean
unlock_stop (GstBaseSink * sink)
{
  g_autoptr (GstMoshiTalk) talk = ref_talk (GST_MOSHI_SINK (sink));

  gst_moshi_talk_set_input_flushing (talk, FALSE);
  return TRUE;
}

/* A source may answer no sooner than its caps are set: asked before, it is asked
 * again, and is not live if it does not answer then (`settle`). */
static void
find_mode (GstMoshiSink * self, gboolean settle)
{
  g_autoptr (GstMoshiTalk) talk = NULL;
  GstQuery *query;
  gboolean live = FALSE, answered;
  GstClockTime min = 0;

  if (g_atomic_int_get (&self->mode_known))
    return;
  query = gst_query_new_latency ();
  answered = gst_pad_peer_query (GST_BASE_SINK_PAD (self), query);
  if (answered)
    gst_query_parse_latency (query, &live, &min, NULL);
  gst_query_unref (query);
  if (!answered && !settle)
    return;

  GST_INFO_OBJECT (self, "upstream is %s", live ? "live" : "not live");
  g_atomic_int_set (&self->live, live);
  g_atomic_int_set (&self->mode_known, TRUE);
  talk = ref_talk (self);
  gst_moshi_talk_set_input_live (talk, live);
  gst_moshi_talk_set_upstream_latency (talk, live ? min : 0);
}

/* As gst_base_sink_do_preroll(), which would wait for ever if a flush had come
 * while the lock was free. */
static GstFlowReturn
do_preroll (GstMoshiSink * self, GstMiniObject * object)
{
  GstBaseSink *sink = GST_BASE_SINK (self);

  if (sink->flushing)
    return GST_FLOW_FLUSHING;
  return gst_base_sink_do_preroll (sink, object);
}

/* Comes back when PLAYING. A change to PAUSED interrupts what waits here as a
 * flush does, but upstream must not hear of it: it would stop for good. The
 * first wait lets a change of state happen that has not had the lock yet; the
 * second is for one that has. */
static GstFlowReturn
wait_playing (GstMoshiSink * self, GstMiniObject * object)
{
  g_autoptr (GstMoshiTalk) talk = ref_talk (self);
  GstFlowReturn ret = GST_FLOW_OK;

  if (gst_moshi_talk_get_input_flushing (talk, NULL))
    ret = gst_base_sink_wait_preroll (GST_BASE_SINK (self));
  if (ret == GST_FLOW_OK)
    ret = do_preroll (self, object);
  return ret;
}

static GstFlowReturn
give (GstMoshiSink * self, GstBuffer * buffer)
{
  GstFlowReturn ret =
      gst_moshi_input_chain (self->input, gst_buffer_ref (buffer));

  if (ret == GST_FLOW_FLUSHING)
    ret = wait_playing (self, GST_MINI_OBJECT_CAST (buffer));
  return ret;
}

/* When something of that running time is due, by the clock */
static GstClockTime
get_due (GstMoshiSink * self, GstClockTime time)
{
  GstBaseSink *sink = GST_BASE_SINK (self);
  GstClockTimeDiff offset = gst_base_sink_get_ts_offset (sink);

  time += gst_base_sink_get_latency (sink);
  if (GST_CLOCK_TIME_IS_VALID (self->shift))
    time += self->shift;
  return offset < 0 && time < (GstClockTime) - offset ? 0 : time + offset;
}

/* The server was not there, or could not follow: what comes goes on from now
 * at the pace of speech, and does not hurry to make up for that. */
static void
shift_to_now (GstMoshiSink * self, GstClockTime time)
{
  GstClockTime now = gst_element_get_current_running_time (GST_ELEMENT (self));
  GstClockTime due = get_due (self, time);

  if (!GST_CLOCK_TIME_IS_VALID (self->shift))
    self->shift = 0;
  if (GST_CLOCK_TIME_IS_VALID (now) && now > due)
    self->shift += now - due;
}

/* Not live: waits until the time of a piece has come. */
static GstFlowReturn
wait_due (GstMoshiSink * self, GstBuffer * piece, GstClockTime time)
{
  GstBaseSink *sink = GST_BASE_SINK (self);
  GstClockReturn status = GST_CLOCK_UNSCHEDULED;
  GstFlowReturn ret = GST_FLOW_OK;

  while (ret == GST_FLOW_OK && status == GST_CLOCK_UNSCHEDULED) {
    ret = do_preroll (self, GST_MINI_OBJECT_CAST (piece));
    if (ret == GST_FLOW_OK)
      status = gst_base_sink_wait_clock (sink, get_due (self, time), NULL);
  }
  return ret;
}

/* Waits for the server without the preroll lock, which a change of state takes:
 * as gst_base_sink_wait_clock() does. A change that came and went meanwhile is
 * told by the number of flushes. */
static gboolean
wait_room (GstMoshiSink * self, GstMoshiTalk * talk, gboolean * waited)
MOSHI_REQUIRES (GST_BASE_SINK_CAST (self)->preroll_lock)
{
  gboolean room;
  guint flushes;

  if (gst_moshi_talk_get_input_flushing (talk, &flushes))
    return FALSE;
  GST_BASE_SINK_PREROLL_UNLOCK (self);
  room = gst_moshi_talk_wait_room (talk, flushes, waited);
  GST_BASE_SINK_PREROLL_LOCK (self);
  return room;
}

/* Not live: a piece goes at its time, and when the server takes it. */
static GstFlowReturn
play (GstMoshiSink * self, GstBuffer * piece, GstClockTime time)
MOSHI_REQUIRES (GST_BASE_SINK_CAST (self)->preroll_lock)
{
  g_autoptr (GstMoshiTalk) talk = ref_talk (self);
  gboolean waited = !GST_CLOCK_TIME_IS_VALID (self->shift);
  gboolean room = FALSE;
  GstFlowReturn ret = GST_FLOW_OK;

  if (!waited)
    ret = wait_due (self, piece, time);
  while (ret == GST_FLOW_OK && !room && !gst_moshi_talk_has_failed (talk)) {
    room = wait_room (self, talk, &waited);
    ret = wait_playing (self, GST_MINI_OBJECT_CAST (piece));
  }
  if (ret != GST_FLOW_OK)
    return ret;

  if (waited)
    shift_to_now (self, time);
  return give (self, piece);
}

/* Part of a raw buffer, n bytes from @offset on */
static GstBuffer *
cut_piece (GstMoshiSink * self, GstBuffer * buffer, gsize offset, gsize n)
{
  GstBuffer *piece =
      gst_buffer_copy_region (buffer, GST_BUFFER_COPY_ALL, offset, n);

  if (offset > 0)
    GST_BUFFER_FLAG_UNSET (piece, GST_BUFFER_FLAG_DISCONT);
  if (GST_BUFFER_PTS_IS_VALID (buffer))
    GST_BUFFER_PTS (piece) = GST_BUFFER_PTS (buffer)
        + gst_util_uint64_scale_int (offset / self->info.bpf, GST_SECOND,
        self->info.rate);
  return piece;
}

static GstFlowReturn
play_raw (GstMoshiSink * self, GstBuffer * buffer)
MOSHI_REQUIRES (GST_BASE_SINK_CAST (self)->preroll_lock)
{
  const GstClockTime begin = self->position;
  const gsize size = gst_buffer_get_size (buffer);
  const gsize step = PIECE_MS * self->info.rate / 1000 * self->info.bpf;
  GstFlowReturn ret = GST_FLOW_OK;
  gsize offset, n;

  for (offset = 0; offset < size && ret == GST_FLOW_OK; offset += n) {
    g_autoptr (GstBuffer) piece = NULL;

    n = MIN (step, size - offset);
    piece = cut_piece (self, buffer, offset, n);
    ret = play (self, piece, self->position);
    self->position = begin + gst_util_uint64_scale_int ((offset + n)
        / self->info.bpf, GST_SECOND, self->info.rate);
  }
  return ret;
}

static GstFlowReturn
render (GstBaseSink * sink, GstBuffer * buffer)
MOSHI_REQUIRES (sink->preroll_lock)
{
  GstMoshiSink *self = GST_MOSHI_SINK (sink);
  GstClockTime time = GST_CLOCK_TIME_NONE;
  GstFlowReturn ret;

  if (sink->segment.format == GST_FORMAT_TIME)
    time = gst_segment_to_running_time (&sink->segment, GST_FORMAT_TIME,
        GST_BUFFER_PTS (buffer));
  find_mode (self, TRUE);
  if (g_atomic_int_get (&self->live))
    return give (self, buffer);

  if (GST_CLOCK_TIME_IS_VALID (time))
    self->position = time;
  if (self->info.rate > 0)
    return play_raw (self, buffer);
  ret = play (self, buffer, self->position);
  if (GST_BUFFER_DURATION_IS_VALID (buffer))
    self->position += GST_BUFFER_DURATION (buffer);
  return ret;
}

/* Live input goes at once: to wait for its time would only make it later. Other
 * input waits in play(), which knows how long. */
static void
get_times (GstBaseSink * sink, GstBuffer * buffer, GstClockTime * start,
    GstClockTime * end)
{
  *start = *end = GST_CLOCK_TIME_NONE;
}

/* The answers are played, if somebody plays them; the close is polite. PAUSED
 * interrupts it, PLAYING goes on. */
static GstFlowReturn
finish (GstMoshiSink * self, GstEvent * event)
{
  g_autoptr (GstMoshiTalk) talk = ref_talk (self);
  GstFlowReturn ret = GST_FLOW_OK;

  find_mode (self, TRUE);
  gst_moshi_input_eos (self->input);
  while (ret == GST_FLOW_OK && !(gst_moshi_input_wait_drained (self->input)
          && gst_moshi_talk_close (talk)))
    ret = wait_playing (self, GST_MINI_OBJECT_CAST (event));
  return ret;
}

static GstFlowReturn
wait_event (GstBaseSink * sink, GstEvent * event)
{
  GstFlowReturn ret =
      GST_BASE_SINK_CLASS (parent_class)->wait_event (sink, event);

  if (ret == GST_FLOW_OK && GST_EVENT_TYPE (event) == GST_EVENT_EOS)
    ret = finish (GST_MOSHI_SINK (sink), event);
  return ret;
}

static gboolean
event (GstBaseSink * sink, GstEvent * event)
{
  GstMoshiSink *self = GST_MOSHI_SINK (sink);
  const GstSegment *segment;
  GstClockTime pts, duration;

  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_STREAM_START:
      find_mode (self, FALSE);
      gst_moshi_input_set_stream (self->input);
      break;
    case GST_EVENT_SEGMENT:
      find_mode (self, FALSE);
      gst_event_parse_segment (event, &segment);
      if (!gst_moshi_input_set_segment (self->input, segment)) {
        gst_event_unref (event);
        return FALSE;
      }
      break;
    case GST_EVENT_GAP:
      gst_event_parse_gap (event, &pts, &duration);
      gst_moshi_input_gap (self->input, pts, duration);
      break;
    case GST_EVENT_FLUSH_STOP:
      self->shift = GST_CLOCK_TIME_NONE;
      self->position = 0;
      gst_moshi_input_flush (self->input, event);
      break;
    default:
      break;
  }
  return GST_BASE_SINK_CLASS (parent_class)->event (sink, event);
}

/* --- request pads --------------------------------------------------------- */

static GstPad *
request_new_pad (GstElement * element, GstPadTemplate * template,
    const gchar * name, const GstCaps * caps)
{
  return gst_moshi_image_pad_request (GST_MOSHI_SINK (element)->image,
      template);
}

static void
release_pad (GstElement * element, GstPad * pad)
{
  gst_moshi_image_pad_release (GST_MOSHI_SINK (element)->image, pad);
}

/* --- states --------------------------------------------------------------- */

static GstStateChangeReturn
change_state (GstElement * element, GstStateChange transition)
{
  GstMoshiSink *self = GST_MOSHI_SINK (element);
  GstStateChangeReturn ret;

  if (transition == GST_STATE_CHANGE_NULL_TO_READY
      && !gst_moshi_control_check (element, &self->settings))
    return GST_STATE_CHANGE_FAILURE;
  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED && !join (self))
    return GST_STATE_CHANGE_FAILURE;
  if (transition == GST_STATE_CHANGE_PLAYING_TO_PAUSED)
    gst_moshi_input_set_playing (self->input, FALSE);

  ret = GST_ELEMENT_CLASS (parent_class)->change_state (element, transition);

  if (transition == GST_STATE_CHANGE_PAUSED_TO_PLAYING
      && ret != GST_STATE_CHANGE_FAILURE) {
    /* A live source that is mute from the start is never heard of else. */
    find_mode (self, FALSE);
    gst_moshi_input_set_playing (self->input, TRUE);
  }
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY
      || (transition == GST_STATE_CHANGE_READY_TO_PAUSED
          && ret == GST_STATE_CHANGE_FAILURE))
    leave (self);
  return ret;
}

/* --- properties and signals ----------------------------------------------- */

static void
set_property (GObject * object, guint id, const GValue * value,
    GParamSpec * pspec)
{
  GstMoshiSink *self = GST_MOSHI_SINK (object);

  gst_moshi_control_set_property (GST_ELEMENT (self), &self->settings,
      self->input, NULL, id, value, pspec);
}

static void
get_property (GObject * object, guint id, GValue * value, GParamSpec * pspec)
{
  GstMoshiSink *self = GST_MOSHI_SINK (object);
  g_autoptr (GstMoshiTalk) talk = ref_talk (self);

  gst_moshi_control_get_property (GST_ELEMENT (self), &self->settings, talk,
      NULL, id, value, pspec);
}

static void
restart (GstMoshiSink * self)
{
  g_autoptr (GstMoshiTalk) talk = ref_talk (self);

  gst_moshi_talk_restart (talk);
}

static void
flush_output (GstMoshiSink * self)
{
  g_autoptr (GstMoshiTalk) talk = ref_talk (self);

  gst_moshi_talk_drop_output (talk);
}

static void
finalize (GObject * object)
{
  GstMoshiSink *self = GST_MOSHI_SINK (object);

  gst_moshi_image_pad_free (self->image);
  gst_moshi_call_free (self->call);
  gst_moshi_input_unref (self->input);
  gst_moshi_talk_unref (self->talk);
  gst_moshi_settings_clear (&self->settings);
  G_OBJECT_CLASS (parent_class)->finalize (object);
}

static void
gst_moshi_sink_class_init (GstMoshiSinkClass * klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  GstBaseSinkClass *sink_class = GST_BASE_SINK_CLASS (klass);
  g_autoptr (GstCaps) caps = gst_moshi_input_get_template_caps ();

  GST_DEBUG_CATEGORY_INIT (moshisink_debug, "moshisink", 0,
      "Moshi: the speaking element");
  object_class->finalize = finalize;
  object_class->set_property = set_property;
  object_class->get_property = get_property;
  gst_moshi_control_install_properties (object_class,
      GST_MOSHI_SETTINGS_CONNECTION | GST_MOSHI_SETTINGS_INPUT
      | GST_MOSHI_SETTINGS_SESSION);
  gst_moshi_control_install_signals (object_class, G_CALLBACK (restart),
      G_CALLBACK (flush_output));

  sink_class->set_caps = set_caps;
  sink_class->unlock = unlock;
  sink_class->unlock_stop = unlock_stop;
  sink_class->render = render;
  sink_class->get_times = get_times;
  sink_class->event = event;
  sink_class->wait_event = wait_event;
  element_class->change_state = change_state;
  element_class->request_new_pad = request_new_pad;
  element_class->release_pad = release_pad;
  gst_element_class_add_pad_template (element_class,
      gst_pad_template_new ("sink", GST_PAD_SINK, GST_PAD_ALWAYS, caps));
  gst_moshi_image_pad_add_template (element_class);
  gst_element_class_set_static_metadata (element_class,
      "Moshi conversation, speaking half", "Sink/Network/Audio",
      "Sends speech to a Moshi server; a moshisrc of the same session gives out "
      "what Moshi says", "The gst-moshi developers");
}

static void
gst_moshi_sink_init (GstMoshiSink * self)
{
  /* Neither a microphone that is mute nor a server that is busy may keep the
   * rest of a pipeline, a moshisrc in it, from PLAYING. */
  gst_base_sink_set_async_enabled (GST_BASE_SINK (self), FALSE);
  gst_moshi_settings_init (&self->settings);
  self->talk = gst_moshi_talk_new ();
  self->input = gst_moshi_input_new (GST_ELEMENT (self));
  self->call = gst_moshi_call_new (GST_ELEMENT (self),
      gst_moshi_control_accept_certificate);
  self->image = gst_moshi_image_pad_new (GST_ELEMENT (self), self->call);
}
