/* SPDX-License-Identifier: LGPL-2.1-or-later */

/**
 * SECTION:element-moshisrc
 * @title: moshisrc
 * @short_description: the listening half of a talk with Moshi
 * @see_also: #element-moshisink, #element-moshi
 *
 * `moshisrc` is a live source of what Moshi says in the conversation that the
 * `moshisink` with the same #GstMoshiSrc:session holds, be it in another branch
 * or another pipeline of the process. Either may be started first, stopped and
 * started again: from PLAYING on the output is one contiguous stream, silence
 * where there is nothing to hear. It ends after the `moshisink` has: with the
 * last answer, or when the conversation has failed, which the `moshisink` tells
 * of. EOS sent to this element ends the listening alone.
 *
 * ## Example pipelines
 *
 * |[
 * gst-launch-1.0 pulsesrc ! audioconvert ! moshisink uri=ws://127.0.0.1:8998  moshisrc ! audioconvert ! pulsesink
 * ]| Two branches that nothing else joins.
 *
 * |[
 * gst-launch-1.0 audiotestsrc is-live=true wave=ticks ! moshisink uri=ws://127.0.0.1:8998 session=a  moshisrc session=a name=m ! audioconvert ! autoaudiosink  m.text ! fakesink dump=true
 * ]| With the words beside.
 */

#include "gstmoshisrc.h"

#include "gstmoshicontrol.h"
#include "gstmoshierror.h"
#include "gstmoshiformat.h"
#include "gstmoshioutput.h"
#include "gstmoshisettings.h"
#include "gstmoshitalk.h"

GST_DEBUG_CATEGORY_STATIC (moshisrc_debug);
#define GST_CAT_DEFAULT moshisrc_debug

/* Locks as in gstmoshi.c */
struct _GstMoshiSrc
{
  GstElement parent;

  GstPad *srcpad;
  GstMoshiOutput *output;       /* immutable after init */

  /* By OBJECT_LOCK */
  GstMoshiSettings settings;
  GstMoshiTalk *talk;           /* of the session joined, or last joined */
  gchar *joined;                /* its name, from READY to PAUSED until back */
};

#define gst_moshi_src_parent_class parent_class
G_DEFINE_TYPE (GstMoshiSrc, gst_moshi_src, GST_TYPE_ELEMENT);

GST_ELEMENT_REGISTER_DEFINE_WITH_CODE (moshisrc, "moshisrc", GST_RANK_NONE,
    GST_TYPE_MOSHI_SRC, gst_moshi_words_register ());

static GstMoshiWords *
get_words (GstMoshiSrc * self)
{
  return gst_moshi_output_get_words (self->output);
}

/* --- pads ----------------------------------------------------------------- */

static gboolean
activate_mode (GstPad * pad, GstObject * parent, GstPadMode mode,
    gboolean active)
{
  if (mode != GST_PAD_MODE_PUSH)
    return FALSE;
  return gst_moshi_output_activate (GST_MOSHI_SRC (parent)->output, active);
}

static gboolean
src_query (GstPad * pad, GstObject * parent, GstQuery * query)
{
  GstMoshiSrc *self = GST_MOSHI_SRC (parent);

  switch (GST_QUERY_TYPE (query)) {
    case GST_QUERY_LATENCY:
      gst_moshi_output_answer_latency (self->output, query);
      return TRUE;
    case GST_QUERY_SCHEDULING:
      gst_query_set_scheduling (query, GST_SCHEDULING_FLAG_SEQUENTIAL, 1, -1,
          0);
      gst_query_add_scheduling_mode (query, GST_PAD_MODE_PUSH);
      return TRUE;
    default:
      return gst_pad_query_default (pad, parent, query);
  }
}

static gboolean
src_event (GstPad * pad, GstObject * parent, GstEvent * event)
{
  gboolean handled = GST_EVENT_TYPE (event) == GST_EVENT_RECONFIGURE
      || GST_EVENT_TYPE (event) == GST_EVENT_LATENCY
      || GST_EVENT_TYPE (event) == GST_EVENT_QOS;

  gst_event_unref (event);
  return handled;
}

static GstPad *
request_new_pad (GstElement * element, GstPadTemplate * template,
    const gchar * name, const GstCaps * caps)
{
  return gst_moshi_words_request_pad (get_words (GST_MOSHI_SRC (element)),
      template, src_query, src_event);
}

static void
release_pad (GstElement * element, GstPad * pad)
{
  gst_moshi_words_release_pad (get_words (GST_MOSHI_SRC (element)), pad);
}

/* As every source: EOS from the application ends the stream. */
static gboolean
send_event (GstElement * element, GstEvent * event)
{
  GstMoshiSrc *self = GST_MOSHI_SRC (element);

  if (GST_EVENT_TYPE (event) != GST_EVENT_EOS)
    return GST_ELEMENT_CLASS (parent_class)->send_event (element, event);
  gst_event_unref (event);
  gst_moshi_output_end (self->output);
  return TRUE;
}

/* --- states --------------------------------------------------------------- */

static void
set_talk (GstMoshiSrc * self, GstMoshiTalk * talk, gchar * name)
{
  GstMoshiTalk *old;

  GST_OBJECT_LOCK (self);
  old = self->talk;
  self->talk = gst_moshi_talk_ref (talk);
  self->joined = name;
  GST_OBJECT_UNLOCK (self);
  gst_moshi_talk_unref (old);
}

static gboolean
start (GstMoshiSrc * self)
{
  g_autoptr (GError) error = NULL;
  GstMoshiSettings settings;
  GstMoshiTalk *talk;

  gst_moshi_control_copy (GST_ELEMENT (self), &self->settings, &settings);

  talk = gst_moshi_talk_join (settings.session, MOSHI_SESSIONS_LISTENS, &error);
  if (talk) {
    set_talk (self, talk, g_strdup (settings.session));
    gst_moshi_talk_reset_output (talk);
    gst_moshi_output_set_talk (self->output, talk);
    gst_moshi_output_start (self->output, &settings);
  } else {
    gst_moshi_error_post (GST_ELEMENT (self), error, 0, 0);
  }
  gst_moshi_settings_clear (&settings);
  return talk != NULL;
}

/* The talk is kept for its statistics; the half is free for somebody else. */
static void
stop (GstMoshiSrc * self)
{
  g_autofree gchar *name = NULL;
  g_autoptr (GstMoshiTalk) idle = gst_moshi_talk_new ();

  gst_moshi_output_set_talk (self->output, idle);
  /* Wakes a sink that drains: nobody listens any more. */
  gst_moshi_talk_set_output_flushing (self->talk, TRUE);
  GST_OBJECT_LOCK (self);
  name = g_steal_pointer (&self->joined);
  GST_OBJECT_UNLOCK (self);
  if (name)
    moshi_sessions_leave (name, MOSHI_SESSIONS_LISTENS);
}

static GstStateChangeReturn
change_state (GstElement * element, GstStateChange transition)
{
  GstMoshiSrc *self = GST_MOSHI_SRC (element);
  GstStateChangeReturn ret;

  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED && !start (self))
    return GST_STATE_CHANGE_FAILURE;
  if (transition == GST_STATE_CHANGE_PLAYING_TO_PAUSED)
    gst_moshi_output_set_playing (self->output, FALSE);

  ret = GST_ELEMENT_CLASS (parent_class)->change_state (element, transition);
  if (ret == GST_STATE_CHANGE_FAILURE
      && transition != GST_STATE_CHANGE_READY_TO_PAUSED)
    return ret;

  switch (transition) {
    case GST_STATE_CHANGE_READY_TO_PAUSED:
      if (ret == GST_STATE_CHANGE_FAILURE)
        stop (self);
      else
        ret = GST_STATE_CHANGE_NO_PREROLL;
      break;
    case GST_STATE_CHANGE_PAUSED_TO_PLAYING:
      gst_moshi_output_set_playing (self->output, TRUE);
      break;
    case GST_STATE_CHANGE_PLAYING_TO_PAUSED:
      ret = GST_STATE_CHANGE_NO_PREROLL;
      break;
    case GST_STATE_CHANGE_PAUSED_TO_READY:
      stop (self);
      break;
    default:
      break;
  }
  return ret;
}

/* --- properties ----------------------------------------------------------- */

static void
set_property (GObject * object, guint id, const GValue * value,
    GParamSpec * pspec)
{
  GstMoshiSrc *self = GST_MOSHI_SRC (object);

  gst_moshi_control_set_property (GST_ELEMENT (self), &self->settings, NULL,
      self->output, id, value, pspec);
}

static GstMoshiTalk *
ref_talk (GstMoshiSrc * self)
{
  GstMoshiTalk *talk;

  GST_OBJECT_LOCK (self);
  talk = gst_moshi_talk_ref (self->talk);
  GST_OBJECT_UNLOCK (self);
  return talk;
}

static void
get_property (GObject * object, guint id, GValue * value, GParamSpec * pspec)
{
  GstMoshiSrc *self = GST_MOSHI_SRC (object);
  g_autoptr (GstMoshiTalk) talk = ref_talk (self);

  gst_moshi_control_get_property (GST_ELEMENT (self), &self->settings, talk,
      self->output, id, value, pspec);
}

static void
finalize (GObject * object)
{
  GstMoshiSrc *self = GST_MOSHI_SRC (object);

  gst_moshi_output_free (self->output);
  gst_moshi_talk_unref (self->talk);
  gst_moshi_settings_clear (&self->settings);
  G_OBJECT_CLASS (parent_class)->finalize (object);
}

static void
gst_moshi_src_class_init (GstMoshiSrcClass * klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  g_autoptr (GstCaps) caps = gst_moshi_format_get_template_caps ();

  GST_DEBUG_CATEGORY_INIT (moshisrc_debug, "moshisrc", 0,
      "Moshi: the listening element");
  object_class->finalize = finalize;
  object_class->set_property = set_property;
  object_class->get_property = get_property;
  gst_moshi_control_install_properties (object_class,
      GST_MOSHI_SETTINGS_OUTPUT | GST_MOSHI_SETTINGS_SESSION);

  element_class->change_state = change_state;
  element_class->request_new_pad = request_new_pad;
  element_class->release_pad = release_pad;
  element_class->send_event = send_event;
  gst_element_class_add_pad_template (element_class,
      gst_pad_template_new ("src", GST_PAD_SRC, GST_PAD_ALWAYS, caps));
  gst_moshi_words_add_template (element_class);
  gst_element_class_set_static_metadata (element_class,
      "Moshi conversation, listening half", "Source/Network/Audio",
      "Gives out what Moshi says to a moshisink of the same session",
      "The gst-moshi developers");
}

static void
gst_moshi_src_init (GstMoshiSrc * self)
{
  GstElementClass *klass = GST_ELEMENT_GET_CLASS (self);

  gst_moshi_settings_init (&self->settings);
  self->srcpad = gst_pad_new_from_template
      (gst_element_class_get_pad_template (klass, "src"), "src");
  gst_pad_set_activatemode_function (self->srcpad, activate_mode);
  gst_pad_set_query_function (self->srcpad, src_query);
  gst_pad_set_event_function (self->srcpad, src_event);
  gst_element_add_pad (GST_ELEMENT (self), self->srcpad);
  GST_OBJECT_FLAG_SET (self, GST_ELEMENT_FLAG_SOURCE);

  self->talk = gst_moshi_talk_new ();
  self->output = gst_moshi_output_new (GST_ELEMENT (self), self->srcpad);
  gst_moshi_output_set_talk (self->output, self->talk);
}
