/* SPDX-License-Identifier: LGPL-2.1-or-later */

/**
 * SECTION:element-moshi
 * @title: moshi
 * @short_description: talk with Moshi, the full-duplex speech model
 *
 * `moshi` sends the speech it is given to a Moshi server and gives out what
 * Moshi says: a filter with a conversation inside. Moshi listens and speaks at
 * once, in frames of 80 ms, one answer to each frame of input.
 *
 * Where the input is not live the element works in batch: the output has the
 * time stamps and the length of the input and its #GstMoshi:tail, to the sample,
 * and the whole runs as fast as the server. Where it is live the output is one
 * contiguous stream from PLAYING on, silence where Moshi has nothing to say.
 *
 * ## Example pipelines
 *
 * |[
 * gst-launch-1.0 filesrc location=question.wav ! wavparse ! audioconvert ! audioresample ! moshi uri=ws://127.0.0.1:8998 tail=4000 name=m ! wavenc ! filesink location=answer.wav  m.text ! srtenc ! filesink location=answer.srt
 * ]| A question from a file; the answer and its subtitles to files, four seconds
 * longer than the question so that Moshi can finish.
 *
 * |[
 * gst-launch-1.0 pulsesrc ! audioconvert ! moshi uri=ws://127.0.0.1:8998 ! audioconvert ! pulsesink
 * ]| A talk over headphones.
 *
 * |[
 * gst-launch-1.0 -t pulsesrc ! audioconvert ! moshi uri=wss://example.com api-key=KEY ! audioconvert ! pulsesink
 * ]| The same with a server that wants a key; the words are printed as tags.
 */

#include "gstmoshi.h"

#include "gstmoshicall.h"
#include "gstmoshicontrol.h"
#include "gstmoshiformat.h"
#include "gstmoshiimagepad.h"
#include "gstmoshiinput.h"
#include "gstmoshioutput.h"
#include "gstmoshisettings.h"
#include "gstmoshitalk.h"

GST_DEBUG_CATEGORY_STATIC (moshi_debug);
#define GST_CAT_DEFAULT moshi_debug

/* Locks, in order, none held while pushing, querying, posting, notifying,
 * signalling or joining:
 *   input's lock -> talk->lock -> OBJECT_LOCK
 * `settings` is by OBJECT_LOCK. Everything else that changes is the talk's. */
struct _GstMoshi
{
  GstElement parent;

  GstPad *sinkpad;
  GstPad *srcpad;

  /* Immutable after init */
  GstMoshiTalk *talk;
  GstMoshiInput *input;
  GstMoshiOutput *output;
  GstMoshiCall *call;
  GstMoshiImagePad *image;

  /* By OBJECT_LOCK */
  GstMoshiSettings settings;
  guint32 seek_seqnum;          /* of the last seek passed on */
};

#define gst_moshi_parent_class parent_class
G_DEFINE_TYPE (GstMoshi, gst_moshi, GST_TYPE_ELEMENT);

GST_ELEMENT_REGISTER_DEFINE_WITH_CODE (moshi, "moshi", GST_RANK_NONE,
    GST_TYPE_MOSHI, gst_moshi_words_register ());

/* --- batch or live -------------------------------------------------------- */

static void
set_upstream_latency (GstMoshi * self, GstClockTime latency)
{
  gst_moshi_output_set_upstream_latency (self->output, latency);
  gst_moshi_talk_set_upstream_latency (self->talk, latency);
}

/* Asks upstream whether it is live. Where nobody answers (nothing is linked, a
 * demuxer has not found its streams, a valve is closed) only a buffer settles
 * that it is not: to take a file for live would lose what the server does not
 * take at once. */
static void
find_mode (GstMoshi * self, gboolean settle)
{
  GstQuery *query = gst_query_new_latency ();
  gboolean live = FALSE, answered;
  GstClockTime min = 0;

  answered = gst_pad_peer_query (self->sinkpad, query);
  if (answered)
    gst_query_parse_latency (query, &live, &min, NULL);
  gst_query_unref (query);

  if (live)
    set_upstream_latency (self, min);
  if (answered || settle) {
    GST_INFO_OBJECT (self, "upstream is %s", live ? "live" : "not live");
    gst_moshi_talk_set_mode (self->talk, live);
  }
}

static gboolean
is_mode_known (GstMoshi * self)
{
  gboolean known;

  g_mutex_lock (&self->talk->lock);
  known = self->talk->known;
  g_mutex_unlock (&self->talk->lock);
  return known;
}

/* --- sink pad ------------------------------------------------------------- */

static GstFlowReturn
chain (GstPad * pad, GstObject * parent, GstBuffer * buffer)
{
  GstMoshi *self = GST_MOSHI (parent);

  if (!is_mode_known (self))
    find_mode (self, TRUE);
  return gst_moshi_input_chain (self->input, buffer);
}

static void
start_flush (GstMoshi * self, GstEvent * event)
{
  gst_moshi_talk_set_input_flushing (self->talk, TRUE);
  gst_pad_push_event (self->srcpad, gst_event_ref (event));
  gst_moshi_output_flush_start (self->output);
  gst_moshi_words_flush (gst_moshi_output_get_words (self->output), event);
}

/* EOS has closed the session; a seek from there begins another. Where it cannot,
 * for what was set meanwhile, the error is on the bus. */
static void
reopen (GstMoshi * self)
{
  GstMoshiSettings settings;
  gboolean closed;

  g_mutex_lock (&self->talk->lock);
  closed = self->talk->output_done && !self->talk->failed;
  g_mutex_unlock (&self->talk->lock);
  if (!closed)
    return;

  gst_moshi_control_copy (GST_ELEMENT (self), &self->settings, &settings);
  gst_moshi_call_stop (self->call);
  if (!gst_moshi_call_start (self->call, self->talk, &settings))
    gst_moshi_talk_fail (self->talk);
  gst_moshi_settings_clear (&settings);
}

static void
stop_flush (GstMoshi * self, GstEvent * event)
{
  gst_pad_pause_task (self->srcpad);
  gst_pad_push_event (self->srcpad, gst_event_ref (event));
  gst_moshi_words_flush (gst_moshi_output_get_words (self->output), event);
  gst_moshi_input_flush (self->input, event);
  reopen (self);
  gst_moshi_talk_set_input_flushing (self->talk, FALSE);
  gst_moshi_output_flush_stop (self->output, gst_pad_is_active (self->srcpad));
}

static gboolean
take_segment (GstMoshi * self, GstEvent * event)
{
  const GstSegment *segment;

  gst_event_parse_segment (event, &segment);
  return gst_moshi_input_set_segment (self->input, segment);
}

static gboolean
take_caps (GstMoshi * self, GstEvent * event)
{
  GstCaps *caps;

  gst_event_parse_caps (event, &caps);
  return gst_moshi_input_set_caps (self->input, caps);
}

static void
take_gap (GstMoshi * self, GstEvent * event)
{
  GstClockTime pts, duration;

  if (!is_mode_known (self))
    find_mode (self, TRUE);
  gst_event_parse_gap (event, &pts, &duration);
  gst_moshi_input_gap (self->input, pts, duration);
}

static void
take_eos (GstMoshi * self)
{
  if (!is_mode_known (self))
    find_mode (self, TRUE);
  gst_moshi_input_eos (self->input);
}

/* Upstream's stream ends here: what goes out is Moshi's, with stream-start,
 * caps, segment and tags of its own. */
static gboolean
sink_event (GstPad * pad, GstObject * parent, GstEvent * event)
{
  GstMoshi *self = GST_MOSHI (parent);
  gboolean ret = TRUE;

  switch (GST_EVENT_TYPE (event)) {
    case GST_EVENT_FLUSH_START:
      start_flush (self, event);
      break;
    case GST_EVENT_FLUSH_STOP:
      stop_flush (self, event);
      break;
    case GST_EVENT_STREAM_START:
      gst_moshi_input_set_stream (self->input);
      break;
    case GST_EVENT_CAPS:
      ret = take_caps (self, event);
      break;
    case GST_EVENT_SEGMENT:
      ret = take_segment (self, event);
      break;
    case GST_EVENT_GAP:
      take_gap (self, event);
      break;
    case GST_EVENT_EOS:
      take_eos (self);
      break;
    default:
      break;
  }
  gst_event_unref (event);
  return ret;
}

static gboolean
sink_activate_mode (GstPad * pad, GstObject * parent, GstPadMode mode,
    gboolean active)
{
  GstMoshi *self = GST_MOSHI (parent);

  if (mode != GST_PAD_MODE_PUSH)
    return FALSE;
  gst_moshi_talk_set_input_flushing (self->talk, !active);
  return TRUE;
}

/* Input and output are two streams, whatever flows between them. */
static GstIterator *
iterate_no_links (GstPad * pad, GstObject * parent)
{
  return NULL;
}

/* --- src pad -------------------------------------------------------------- */

static gboolean
src_activate_mode (GstPad * pad, GstObject * parent, GstPadMode mode,
    gboolean active)
{
  GstMoshi *self = GST_MOSHI (parent);

  if (mode != GST_PAD_MODE_PUSH)
    return FALSE;
  return gst_moshi_output_activate (self->output, active);
}

static gboolean
is_live (GstMoshi * self)
{
  gboolean live;

  g_mutex_lock (&self->talk->lock);
  live = self->talk->live;
  g_mutex_unlock (&self->talk->lock);
  return live;
}

/* Live, a sample stamped p leaves by p + upstream's latency + ours. What was live
 * stays so when upstream is taken away, with the latency last heard of. */
static gboolean
query_latency (GstMoshi * self, GstQuery * query)
{
  gboolean live = FALSE, answered;
  GstClockTime min;

  answered = gst_pad_peer_query (self->sinkpad, query);
  if (answered)
    gst_query_parse_latency (query, &live, &min, NULL);
  if (live)
    set_upstream_latency (self, min);
  else if (answered || !is_live (self))
    return answered;

  gst_moshi_output_answer_latency (self->output, query);
  return TRUE;
}

static gboolean
src_query (GstPad * pad, GstObject * parent, GstQuery * query)
{
  GstMoshi *self = GST_MOSHI (parent);

  switch (GST_QUERY_TYPE (query)) {
    case GST_QUERY_LATENCY:
      return query_latency (self, query);
    case GST_QUERY_DURATION:
    case GST_QUERY_SEEKING:
    case GST_QUERY_POSITION:
      return gst_pad_peer_query (self->sinkpad, query);
    default:
      return gst_pad_query_default (pad, parent, query);
  }
}

/* A seek of the pipeline comes through both src pads. */
static gboolean
is_seek_repeated (GstMoshi * self, GstEvent * event)
{
  const guint32 seqnum = gst_event_get_seqnum (event);
  gboolean repeated;

  if (GST_EVENT_TYPE (event) != GST_EVENT_SEEK)
    return FALSE;
  GST_OBJECT_LOCK (self);
  repeated = seqnum == self->seek_seqnum;
  self->seek_seqnum = seqnum;
  GST_OBJECT_UNLOCK (self);
  return repeated;
}

static gboolean
is_seek_backwards (GstEvent * event)
{
  gdouble rate;

  if (GST_EVENT_TYPE (event) != GST_EVENT_SEEK)
    return FALSE;
  gst_event_parse_seek (event, &rate, NULL, NULL, NULL, NULL, NULL, NULL);
  return rate < 0;
}

static gboolean
src_event (GstPad * pad, GstObject * parent, GstEvent * event)
{
  GstMoshi *self = GST_MOSHI (parent);

  if (is_seek_repeated (self, event)) {
    gst_event_unref (event);
    return TRUE;
  }
  if (is_seek_backwards (event)) {
    GST_WARNING_OBJECT (self, "Moshi cannot listen backwards: seek refused");
    gst_event_unref (event);
    return FALSE;
  }
  if (GST_EVENT_TYPE (event) == GST_EVENT_RECONFIGURE) {
    gst_event_unref (event);
    return TRUE;
  }
  return gst_pad_push_event (self->sinkpad, event);
}

/* --- request pads --------------------------------------------------------- */

static GstPad *
request_new_pad (GstElement * element, GstPadTemplate * template,
    const gchar * name, const GstCaps * caps)
{
  GstMoshi *self = GST_MOSHI (element);

  if (template->direction == GST_PAD_SINK)
    return gst_moshi_image_pad_request (self->image, template);
  return gst_moshi_words_request_pad (gst_moshi_output_get_words
      (self->output), template, src_query, src_event);
}

static void
release_pad (GstElement * element, GstPad * pad)
{
  GstMoshi *self = GST_MOSHI (element);

  if (GST_PAD_IS_SINK (pad))
    gst_moshi_image_pad_release (self->image, pad);
  else
    gst_moshi_words_release_pad (gst_moshi_output_get_words (self->output),
        pad);
}

/* --- states --------------------------------------------------------------- */

static gboolean
start (GstMoshi * self)
{
  GstMoshiSettings settings;
  gboolean ret;

  gst_moshi_control_copy (GST_ELEMENT (self), &self->settings, &settings);
  gst_moshi_call_forget_image (self->call);
  gst_moshi_talk_clear_mode (self->talk);
  gst_moshi_talk_reset_input (self->talk);
  gst_moshi_talk_reset_output (self->talk);
  gst_moshi_input_start (self->input, &settings);
  gst_moshi_output_start (self->output, &settings);
  ret = gst_moshi_call_start (self->call, self->talk, &settings);
  gst_moshi_settings_clear (&settings);
  return ret;
}

static GstStateChangeReturn
change_state (GstElement * element, GstStateChange transition)
{
  GstMoshi *self = GST_MOSHI (element);
  GstStateChangeReturn ret;

  switch (transition) {
    case GST_STATE_CHANGE_NULL_TO_READY:
      if (!gst_moshi_control_check (element, &self->settings))
        return GST_STATE_CHANGE_FAILURE;
      break;
    case GST_STATE_CHANGE_READY_TO_PAUSED:
      if (!start (self))
        return GST_STATE_CHANGE_FAILURE;
      break;
    case GST_STATE_CHANGE_PAUSED_TO_PLAYING:
      if (!is_mode_known (self))
        find_mode (self, FALSE);
      break;
    case GST_STATE_CHANGE_PLAYING_TO_PAUSED:
      gst_moshi_input_set_playing (self->input, FALSE);
      gst_moshi_output_set_playing (self->output, FALSE);
      break;
    default:
      break;
  }

  ret = GST_ELEMENT_CLASS (parent_class)->change_state (element, transition);

  switch (transition) {
    case GST_STATE_CHANGE_PAUSED_TO_PLAYING:
      gst_moshi_input_set_playing (self->input, TRUE);
      gst_moshi_output_set_playing (self->output, TRUE);
      break;
    case GST_STATE_CHANGE_READY_TO_PAUSED:
      if (ret == GST_STATE_CHANGE_FAILURE)
        gst_moshi_call_stop (self->call);
      break;
    case GST_STATE_CHANGE_PAUSED_TO_READY:
      gst_moshi_call_stop (self->call);
      break;
    default:
      break;
  }
  return ret;
}

/* --- properties and signals ----------------------------------------------- */

static void
set_property (GObject * object, guint id, const GValue * value,
    GParamSpec * pspec)
{
  GstMoshi *self = GST_MOSHI (object);

  gst_moshi_control_set_property (GST_ELEMENT (self), &self->settings,
      self->input, self->output, id, value, pspec);
}

static void
get_property (GObject * object, guint id, GValue * value, GParamSpec * pspec)
{
  GstMoshi *self = GST_MOSHI (object);

  gst_moshi_control_get_property (GST_ELEMENT (self), &self->settings,
      self->talk, self->output, id, value, pspec);
}

static void
restart (GstMoshi * self)
{
  gst_moshi_talk_restart (self->talk);
}

static void
flush_output (GstMoshi * self)
{
  gst_moshi_talk_drop_output (self->talk);
}

static void
finalize (GObject * object)
{
  GstMoshi *self = GST_MOSHI (object);

  gst_moshi_image_pad_free (self->image);
  gst_moshi_call_free (self->call);
  gst_moshi_output_free (self->output);
  gst_moshi_input_set_talk (self->input, NULL);
  gst_moshi_input_unref (self->input);
  gst_moshi_talk_unref (self->talk);
  gst_moshi_settings_clear (&self->settings);
  G_OBJECT_CLASS (parent_class)->finalize (object);
}

static void
add_template (GstElementClass * klass, const gchar * name,
    GstPadDirection direction, GstCaps * caps)
{
  gst_element_class_add_pad_template (klass,
      gst_pad_template_new (name, direction, GST_PAD_ALWAYS, caps));
  gst_caps_unref (caps);
}

static void
gst_moshi_class_init (GstMoshiClass * klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);

  GST_DEBUG_CATEGORY_INIT (moshi_debug, "moshi", 0, "Moshi: the element");

  object_class->finalize = finalize;
  object_class->set_property = set_property;
  object_class->get_property = get_property;
  gst_moshi_control_install_properties (object_class,
      GST_MOSHI_SETTINGS_CONNECTION | GST_MOSHI_SETTINGS_INPUT
      | GST_MOSHI_SETTINGS_OUTPUT | GST_MOSHI_SETTINGS_BATCH);
  gst_moshi_control_install_signals (object_class, G_CALLBACK (restart),
      G_CALLBACK (flush_output));

  element_class->change_state = change_state;
  element_class->request_new_pad = request_new_pad;
  element_class->release_pad = release_pad;
  add_template (element_class, "sink", GST_PAD_SINK,
      gst_moshi_input_get_template_caps ());
  add_template (element_class, "src", GST_PAD_SRC,
      gst_moshi_format_get_template_caps ());
  gst_moshi_words_add_template (element_class);
  gst_moshi_image_pad_add_template (element_class);
  gst_element_class_set_static_metadata (element_class,
      "Moshi conversation", "Filter/Network/Audio",
      "Sends speech to a Moshi server and gives out what Moshi says",
      "The gst-moshi developers");
}

static void
add_sink_pad (GstMoshi * self)
{
  GstElementClass *klass = GST_ELEMENT_GET_CLASS (self);

  self->sinkpad = gst_pad_new_from_template
      (gst_element_class_get_pad_template (klass, "sink"), "sink");
  gst_pad_set_chain_function (self->sinkpad, chain);
  gst_pad_set_event_function (self->sinkpad, sink_event);
  gst_pad_set_activatemode_function (self->sinkpad, sink_activate_mode);
  gst_pad_set_iterate_internal_links_function (self->sinkpad, iterate_no_links);
  gst_element_add_pad (GST_ELEMENT (self), self->sinkpad);
}

static void
add_src_pad (GstMoshi * self)
{
  GstElementClass *klass = GST_ELEMENT_GET_CLASS (self);

  self->srcpad = gst_pad_new_from_template
      (gst_element_class_get_pad_template (klass, "src"), "src");
  gst_pad_set_activatemode_function (self->srcpad, src_activate_mode);
  gst_pad_set_query_function (self->srcpad, src_query);
  gst_pad_set_event_function (self->srcpad, src_event);
  gst_pad_set_iterate_internal_links_function (self->srcpad, iterate_no_links);
  gst_element_add_pad (GST_ELEMENT (self), self->srcpad);
}

static void
gst_moshi_init (GstMoshi * self)
{
  GstElement *element = GST_ELEMENT (self);

  gst_moshi_settings_init (&self->settings);
  self->talk = gst_moshi_talk_new ();
  add_sink_pad (self);
  add_src_pad (self);
  self->input = gst_moshi_input_new (element);
  gst_moshi_input_set_talk (self->input, self->talk);
  self->output = gst_moshi_output_new (element, self->srcpad);
  gst_moshi_output_set_talk (self->output, self->talk);
  self->call = gst_moshi_call_new (element,
      gst_moshi_control_accept_certificate);
  self->image = gst_moshi_image_pad_new (element, self->call);
}
