/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The speaking half
 *
 * Moshi answers frame for frame, so what goes up is a clock as much as it is
 * speech: each sample of the input's timeline (gstmoshitimeline.c) is sent
 * exactly once, and where the input has a hole there goes silence.
 *
 * Batch: upstream may run ahead of the answers by GST_MOSHI_WINDOW, then the
 * streaming thread waits. Live: nothing waits; what no session takes is
 * counted and gone, and gst_moshi_input_fill() stands in for a source that is
 * late.
 *
 * Lock order: self->lock, then talk->lock. The streaming thread waits on
 * talk->cond with self->lock held; who wakes it never takes self->lock.
 */

#include "gstmoshiinputprivate.h"

#include "gstmoshipacket.h"

GST_DEBUG_CATEGORY_STATIC (moshiinput_debug);
#define GST_CAT_DEFAULT moshiinput_debug

/* Live: how late a source may be before silence takes its place. Longer than
 * the 100 ms a webrtcdsp or a busy sound card holds back now and then. */
#define LATENESS (120 * GST_MSECOND)

/* Live: more than a server can take at once, were it not given in time */
#define MAX_LIVE_LEAP (10 * GST_SECOND)

/* Live: a jump of time stamps beyond this is a new beginning, not a gap. */
#define MAX_LIVE_GAP (2 * GST_SECOND)

/* Live: silence in place of a late source comes in steps of 20 ms. */
#define FILL_STEP 960

/**
 * gst_moshi_input_get_template_caps:
 *
 * Returns: (transfer full): what the speaking half takes: the rates libopus
 *     codes natively, mono or stereo
 */
GstCaps *
gst_moshi_input_get_template_caps (void)
{
  return gst_caps_from_string ("audio/x-raw, format=(string){ "
      GST_AUDIO_NE (S16) ", " GST_AUDIO_NE (F32) " }, "
      "layout=(string)interleaved, "
      "rate=(int){ 48000, 24000, 16000, 12000, 8000 }, "
      "channels=(int)[ 1, 2 ]; "
      "audio/x-opus, channel-mapping-family=(int)0, channels=(int)[ 1, 2 ]");
}

/**
 * gst_moshi_input_new:
 * @element: whom it speaks for
 *
 * Returns: (transfer full): a speaking half
 */
GstMoshiInput *
gst_moshi_input_new (GstElement * element)
{
  GstMoshiInput *self = g_new0 (GstMoshiInput, 1);

  GST_DEBUG_CATEGORY_INIT (moshiinput_debug, "moshiinput", 0,
      "Moshi: the speaking half");
  g_atomic_ref_count_init (&self->refs);
  self->element = element;
  gst_moshi_framer_init (&self->framer, gst_moshi_input_send_packet, self);
  g_mutex_init (&self->lock);
  gst_moshi_timeline_reset (&self->timeline);
  return self;
}

/**
 * gst_moshi_input_ref:
 * @self: a speaking half
 *
 * Returns: (transfer full): @self
 */
GstMoshiInput *
gst_moshi_input_ref (GstMoshiInput * self)
{
  g_atomic_ref_count_inc (&self->refs);
  return self;
}

/**
 * gst_moshi_input_unref:
 * @self: (transfer full): a speaking half, without a talk when its element goes
 */
void
gst_moshi_input_unref (GstMoshiInput * self)
{
  if (!g_atomic_ref_count_dec (&self->refs))
    return;
  gst_moshi_framer_clear (&self->framer);
  g_mutex_clear (&self->lock);
  g_free (self);
}

/**
 * gst_moshi_input_set_talk:
 * @self: a speaking half to which nothing streams
 * @talk: (transfer none) (nullable): where it meets a listening half
 */
void
gst_moshi_input_set_talk (GstMoshiInput * self, GstMoshiTalk * talk)
{
  GstMoshiTalk *old = self->talk;

  if (old)
    gst_moshi_talk_set_input (old, NULL);
  g_mutex_lock (&self->lock);
  self->talk = talk ? gst_moshi_talk_ref (talk) : NULL;
  g_mutex_unlock (&self->lock);
  if (talk)
    gst_moshi_talk_set_input (talk, self);
  g_clear_pointer (&old, gst_moshi_talk_unref);
}

/**
 * gst_moshi_input_set_playing:
 * @self: a speaking half
 * @playing: whether the element's clock runs; only then is a source late
 */
void
gst_moshi_input_set_playing (GstMoshiInput * self, gboolean playing)
{
  g_atomic_int_set (&self->playing, playing);
}

/**
 * gst_moshi_input_start:
 * @self: a speaking half
 * @settings: what the user wants
 *
 * Forgets what was before: a start from READY.
 */
void
gst_moshi_input_start (GstMoshiInput * self, const GstMoshiSettings * settings)
{
  GstAudioInfo info;

  g_mutex_lock (&self->lock);
  self->framer.frame_ticks = gst_moshi_settings_get_frame_duration (settings);
  self->tail = GST_MOSHI_MS_TO_TICKS (settings->tail);
  self->drain_timeout = settings->drain_timeout * G_GUINT64_CONSTANT (1000);
  g_atomic_int_set (&self->playing, FALSE);
  self->has_format = self->opus = FALSE;
  self->lag = 0;
  self->encoded = 0;
  gst_moshi_timeline_reset (&self->timeline);
  /* Before the first caps there is a Moshi to be fed already. */
  gst_audio_info_set_format (&info, GST_AUDIO_FORMAT_S16, 24000, 1, NULL);
  gst_moshi_framer_set_info (&self->framer, &info);
  g_mutex_unlock (&self->lock);

  gst_moshi_input_set_encoder (self, settings->bitrate, settings->complexity);
}

/**
 * gst_moshi_input_set_encoder:
 * @self: a speaking half
 * @bitrate: bit/s
 * @complexity: 0 to 10
 *
 * Any thread, any time: holds from the next frame.
 */
void
gst_moshi_input_set_encoder (GstMoshiInput * self, gint bitrate,
    gint complexity)
{
  gst_moshi_framer_set_encoder (&self->framer, bitrate, complexity);
}

/**
 * gst_moshi_input_set_caps:
 * @self: a speaking half
 * @caps: fixed
 *
 * Streaming thread. May change in mid-stream: what was given before is sent
 * before.
 *
 * Returns: %FALSE if @caps are none it takes
 */
gboolean
gst_moshi_input_set_caps (GstMoshiInput * self, const GstCaps * caps)
{
  const gboolean opus = gst_structure_has_name (gst_caps_get_structure (caps,
          0), "audio/x-opus");
  GstAudioInfo info;

  if (opus)
    gst_audio_info_set_format (&info, GST_AUDIO_FORMAT_S16, 48000, 1, NULL);
  else if (!gst_audio_info_from_caps (&info, caps))
    return FALSE;

  g_mutex_lock (&self->lock);
  if (!self->has_format || opus != self->opus
      || !gst_audio_info_is_equal (&info, &self->framer.info)) {
    if (self->framer.fill > 0)
      gst_moshi_input_flush_partial (self);
    gst_moshi_timeline_settle (&self->timeline);
    gst_moshi_framer_set_info (&self->framer, &info);
    self->opus = opus;
    self->has_format = TRUE;
  }
  g_mutex_unlock (&self->lock);
  return TRUE;
}

/* Once an error is on the bus upstream stops without adding another. */
static void
fail_backwards (GstMoshiInput * self)
{
  GST_ELEMENT_ERROR (self->element, STREAM, FORMAT,
      ("Moshi cannot listen to a stream that is played backwards."),
      ("segment with a negative rate"));
  gst_moshi_talk_fail (self->talk);
}

/**
 * gst_moshi_input_set_stream:
 * @self: a speaking half
 *
 * Streaming thread: a stream begins. Its time may have nothing to do with that of
 * the one before.
 */
void
gst_moshi_input_set_stream (GstMoshiInput * self)
{
  g_mutex_lock (&self->lock);
  self->timeline.fresh = TRUE;
  g_mutex_unlock (&self->lock);
}

/**
 * gst_moshi_input_set_segment:
 * @self: a speaking half
 * @segment: what comes next is in it
 *
 * Streaming thread. Samples count as they are, whatever the rate they are played
 * at, as with any encoder; backwards is an error.
 *
 * Returns: %FALSE on that error
 */
gboolean
gst_moshi_input_set_segment (GstMoshiInput * self, const GstSegment * segment)
{
  GstSegment time;

  if (segment->format != GST_FORMAT_TIME) {
    /* Raw samples from a file without a parser: no time stamps to believe */
    gst_segment_init (&time, GST_FORMAT_TIME);
    segment = &time;
  }
  if (segment->rate < 0) {
    fail_backwards (self);
    return FALSE;
  }
  g_mutex_lock (&self->lock);
  gst_moshi_timeline_set_segment (&self->timeline, segment);
  g_mutex_unlock (&self->lock);
  return TRUE;
}

/* The first buffer after a start or a flush: the output begins where it does. */
static void
begin_run (GstMoshiInput * self, GstClockTime pts, GstClockTime time)
{
  GstMoshiTalk *talk = self->talk;

  gst_moshi_timeline_begin (&self->timeline, time);
  self->encoded = 0;

  g_mutex_lock (&talk->lock);
  talk->run++;
  /* The output ends with EOS, and later than the input by the tail: a stop
   * would make sinks clip it. */
  talk->segment = self->timeline.segment;
  talk->segment.stop = talk->segment.duration = GST_CLOCK_TIME_NONE;
  talk->base = pts;
  talk->run_start = talk->sent;
  talk->run_length = 0;
  talk->pushed = talk->sent;
  g_queue_clear_full (&talk->segments, g_free);
  gst_moshi_talk_wake_locked (talk);
  g_mutex_unlock (&talk->lock);

  GST_INFO_OBJECT (self->element, "input begins at PTS %" GST_TIME_FORMAT,
      GST_TIME_ARGS (pts));
}

static GstClockTime
get_duration (GstMoshiInput * self, GstBuffer * buffer)
{
  if (self->opus)
    return GST_BUFFER_DURATION_IS_VALID (buffer) ?
        GST_BUFFER_DURATION (buffer) : 0;
  return gst_util_uint64_scale_int (gst_buffer_get_size (buffer), GST_SECOND,
      GST_AUDIO_INFO_BPF (&self->framer.info)
      * GST_AUDIO_INFO_RATE (&self->framer.info));
}

/* Live: how late the end of a buffer is by its own stamps. Learned at once, forgotten
 * over some seconds of buffers that come sooner. */
static void
learn_lag (GstMoshiInput * self, GstClockTime end)
{
  GstClockTime now = gst_element_get_current_running_time (self->element);
  GstClockTime lag;

  if (!GST_CLOCK_TIME_IS_VALID (now))
    return;
  lag = now > end ? now - end : 0;
  if (lag > self->lag)
    self->lag = lag;
  else
    self->lag -= (self->lag - lag) / 256;
}

/* Brings the count of samples and the time of a buffer together: fills a gap,
 * or makes the next samples be cut. */
static GstFlowReturn
align (GstMoshiInput * self, GstClockTime time, gboolean discont)
{
  gint64 gap = gst_moshi_timeline_find_gap (&self->timeline, time,
      discont, self->opus);
  guint64 silence;

  if (gap == 0)
    return GST_FLOW_OK;

  GST_DEBUG_OBJECT (self->element,
      "%s of %" GST_TIME_FORMAT " at %" GST_TIME_FORMAT,
      gap > 0 ? "gap" : "overlap",
      GST_TIME_ARGS (gst_moshi_ticks_to_time (ABS (gap))),
      GST_TIME_ARGS (time));

  if (gst_moshi_input_is_live (self)
      && gst_moshi_ticks_to_time (ABS (gap)) > MAX_LIVE_GAP) {
    GST_WARNING_OBJECT (self->element, "input jumps in time, following it");
    gst_moshi_input_follow (self, time);
    return GST_FLOW_OK;
  }

  silence = gst_moshi_timeline_take_gap (&self->timeline, gap);
  return silence > 0 ? gst_moshi_input_feed_silence (self,
      silence) : GST_FLOW_OK;
}

/* Takes the samples of a buffer, but for those whose time was sent already. */
static GstFlowReturn
feed_buffer (GstMoshiInput * self, GstBuffer * buffer)
{
  const guint unit = gst_moshi_input_get_unit (self);
  const guint bpf = GST_AUDIO_INFO_BPF (&self->framer.info);
  GstFlowReturn ret = GST_FLOW_OK;
  GstMapInfo map;
  guint64 n_frames, cut;

  if (!gst_buffer_map (buffer, &map, GST_MAP_READ)) {
    GST_ELEMENT_ERROR (self->element, RESOURCE, READ, (NULL),
        ("cannot map a buffer"));
    return GST_FLOW_ERROR;
  }

  n_frames = map.size / bpf;
  cut = gst_moshi_timeline_take_samples (&self->timeline, n_frames, unit);
  n_frames -= cut;
  gst_moshi_input_report_length (self, cut * unit);
  if (n_frames > 0)
    ret = gst_moshi_input_feed (self, map.data + cut * bpf, n_frames);

  gst_buffer_unmap (buffer, &map);
  return ret;
}

/* Sends a packet as it is, unless its time was sent already. What is no packet is
 * left out: its time becomes silence by the next one's time stamp. */
static GstFlowReturn
feed_opus_buffer (GstMoshiInput * self, GstBuffer * buffer)
{
  g_auto (GstMoshiPacket) packet = { NULL, };
  gboolean early;

  if (!gst_moshi_packet_read (&packet, buffer)) {
    if (!packet.is_header)
      GST_WARNING_OBJECT (self->element, "not an Opus packet: %" G_GSIZE_FORMAT
          " bytes", gst_buffer_get_size (buffer));
    return GST_FLOW_OK;
  }
  early = gst_moshi_packet_clip (&packet, buffer, &self->timeline.segment);
  if (!gst_moshi_timeline_take_packet (&self->timeline, packet.ticks,
          packet.clipped)) {
    gst_moshi_input_report_length (self, packet.ticks);
    return GST_FLOW_OK;
  }
  if (early)
    gst_moshi_timeline_settle (&self->timeline);
  gst_moshi_input_report_length (self, 0);
  return gst_moshi_input_send_packet (self, packet.bytes, packet.ticks, FALSE);
}

/* Batch: what comes next is in another segment, and so is the output from there
 * on. */
static void
cross_segment (GstMoshiInput * self, GstClockTime pts)
{
  GstMoshiTalk *talk = self->talk;
  GstMoshiSegment *crossing;

  g_mutex_lock (&talk->lock);
  if (!talk->live) {
    crossing = g_new (GstMoshiSegment, 1);
    crossing->segment = self->timeline.segment;
    crossing->start = pts;
    crossing->position = gst_moshi_timeline_get_length (&self->timeline);
    g_queue_push_tail (&talk->segments, crossing);
  }
  g_mutex_unlock (&talk->lock);
}

/* The first of a segment after another: it goes on where that has led, with
 * silence in between, but never back. */
static GstFlowReturn
enter_segment (GstMoshiInput * self)
{
  const GstSegment *segment = &self->timeline.segment;
  GstFlowReturn ret = GST_FLOW_OK;

  self->timeline.crossing = FALSE;
  if (gst_moshi_input_is_live (self))
    return GST_FLOW_OK;
  if (gst_moshi_timeline_find_gap (&self->timeline, self->timeline.base, TRUE,
          self->opus) < 0)
    gst_moshi_timeline_join (&self->timeline);
  else
    ret = align (self, self->timeline.base, TRUE);
  cross_segment (self, segment->start + segment->offset);
  return ret;
}

/* Where something stamped so stands; the first one is where all begins. */
static GstFlowReturn
place (GstMoshiInput * self, GstClockTime pts, GstClockTime * time)
{
  const GstSegment *segment = &self->timeline.segment;
  GstFlowReturn ret = GST_FLOW_OK;

  if (self->timeline.crossing)
    ret = enter_segment (self);
  *time = gst_moshi_timeline_locate (&self->timeline, pts);
  if (self->timeline.running)
    return ret;

  if (!GST_CLOCK_TIME_IS_VALID (*time)) {
    pts = segment->start + segment->offset;
    *time = gst_moshi_timeline_locate (&self->timeline, pts);
  }
  begin_run (self, pts, *time);
  return ret;
}

static GstFlowReturn
take_buffer (GstMoshiInput * self, GstBuffer * buffer)
{
  GstClockTime pts = GST_BUFFER_PTS (buffer);
  GstClockTime time;
  GstFlowReturn ret;

  /* A packet that begins before its segment counts from there. */
  if (GST_CLOCK_TIME_IS_VALID (pts))
    pts = MAX (pts, self->timeline.segment.start);
  ret = place (self, pts, &time);
  if (ret == GST_FLOW_OK && gst_moshi_input_is_live (self)
      && GST_CLOCK_TIME_IS_VALID (time))
    learn_lag (self, time + get_duration (self, buffer));
  if (ret == GST_FLOW_OK)
    ret = align (self, time, GST_BUFFER_IS_DISCONT (buffer));
  if (ret == GST_FLOW_OK)
    ret = self->opus ? feed_opus_buffer (self, buffer) :
        feed_buffer (self, buffer);
  return ret;
}

/* What of a buffer is in the segment; packets are in it whole or not at all. */
static GstBuffer *
clip (GstMoshiInput * self, GstBuffer * buffer)
{
  const GstSegment *segment = &self->timeline.segment;
  const GstClockTime pts = GST_BUFFER_PTS (buffer);

  if (!GST_CLOCK_TIME_IS_VALID (pts))
    return buffer;
  if (!self->opus)
    return gst_moshi_timeline_clip (&self->timeline, buffer,
        &self->framer.info);
  if (gst_moshi_packet_is_before (buffer, segment->start)
      || (GST_CLOCK_TIME_IS_VALID (segment->stop) && pts >= segment->stop))
    gst_clear_buffer (&buffer);
  return buffer;
}

/**
 * gst_moshi_input_chain:
 * @self: a speaking half
 * @buffer: (transfer full): of the caps set, of any size
 *
 * Streaming thread. Live it never waits; in batch it waits while the answers
 * lag by more than %GST_MOSHI_WINDOW.
 *
 * Returns: %GST_FLOW_EOS once the conversation has failed (the error is on the
 *     bus), else what the last push of the listening half gave
 */
GstFlowReturn
gst_moshi_input_chain (GstMoshiInput * self, GstBuffer * buffer)
{
  GstFlowReturn ret = gst_moshi_talk_check_flow (self->talk);

  if (ret != GST_FLOW_OK) {
    gst_buffer_unref (buffer);
    return ret;
  }

  g_mutex_lock (&self->lock);
  if (!self->has_format)
    ret = GST_FLOW_NOT_NEGOTIATED;
  else if ((buffer = clip (self, buffer)) != NULL)
    ret = take_buffer (self, buffer);
  g_mutex_unlock (&self->lock);

  gst_clear_buffer (&buffer);
  return ret;
}

/* Live: silence that is announced is not sent before its time, but for the
 * length of a short gap; gst_moshi_input_fill() goes on with it. */
static GstClockTime
get_horizon (GstMoshiInput * self)
{
  GstClockTime now = gst_element_get_current_running_time (self->element);

  return GST_CLOCK_TIME_IS_VALID (now) ? now + LATENESS : 0;
}

/* Fills up to the end of a gap; one that ends in what was sent already cuts
 * nothing. */
static GstFlowReturn
fill_gap (GstMoshiInput * self, GstClockTime begin, GstClockTime end)
{
  GstClockTime time;
  GstFlowReturn ret = place (self, begin, &time);

  time = gst_moshi_timeline_locate (&self->timeline, end);
  if (gst_moshi_input_is_live (self))
    time = MIN (time, get_horizon (self));
  if (ret == GST_FLOW_OK && gst_moshi_timeline_find_gap (&self->timeline, time,
          TRUE, self->opus) > 0)
    ret = align (self, time, TRUE);
  gst_moshi_input_report_length (self, 0);
  return ret;
}

/**
 * gst_moshi_input_gap:
 * @self: a speaking half
 * @pts: where the gap begins
 * @duration: its length, or %GST_CLOCK_TIME_NONE
 *
 * Streaming thread: upstream tells that it has nothing to say. It is silence.
 *
 * Returns: as gst_moshi_input_chain()
 */
GstFlowReturn
gst_moshi_input_gap (GstMoshiInput * self, GstClockTime pts,
    GstClockTime duration)
{
  GstFlowReturn ret = gst_moshi_talk_check_flow (self->talk);
  guint64 begin, end;

  if (ret != GST_FLOW_OK || !GST_CLOCK_TIME_IS_VALID (pts))
    return ret;
  if (!GST_CLOCK_TIME_IS_VALID (duration))
    duration = 0;

  g_mutex_lock (&self->lock);
  if (gst_segment_clip (&self->timeline.segment, GST_FORMAT_TIME, pts,
          pts + duration, &begin, &end))
    ret = fill_gap (self, begin, end);
  g_mutex_unlock (&self->lock);
  return ret;
}

/**
 * gst_moshi_input_flush:
 * @self: a speaking half
 * @event: (transfer none): FLUSH_STOP
 *
 * What was not yet sent is dropped, and the next buffer begins a new run; but
 * live, if the running time goes on, so does the timeline: what was sent of it
 * is not sent again.
 */
void
gst_moshi_input_flush (GstMoshiInput * self, GstEvent * event)
{
  gboolean reset_time;

  gst_event_parse_flush_stop (event, &reset_time);
  g_mutex_lock (&self->lock);
  if (gst_moshi_input_is_live (self) && self->timeline.running && !reset_time)
    self->timeline.next -= self->framer.fill * gst_moshi_input_get_unit (self);
  else
    gst_moshi_timeline_reset (&self->timeline);
  gst_moshi_framer_clear (&self->framer);
  g_mutex_unlock (&self->lock);

  gst_moshi_talk_flush_run (self->talk);
}

/* Live: ticks of the tail that are still to be sent, and of what it takes to get
 * every answer. A server that is slow is not given more than that. */
static guint64
get_rest_locked (GstMoshiTalk * talk)
MOSHI_REQUIRES (talk->lock)
{
  const guint64 end = talk->end + GST_MOSHI_FLUSH_TICKS;

  return end > talk->sent ? end - talk->sent : 0;
}

/* Where the timeline has to be by now, were the source as late as it may be. A
 * source that has ended is not waited for: its tail goes a step ahead. */
static GstClockTime
get_due (GstMoshiInput * self, GstClockTime now)
{
  const GstClockTime at = gst_moshi_timeline_get_time (&self->timeline);
  GstMoshiTalk *talk = self->talk;
  GstClockTime late, rest;
  gboolean eos;

  g_mutex_lock (&talk->lock);
  eos = talk->input_eos;
  rest = gst_moshi_ticks_to_time (get_rest_locked (talk));
  late = MAX (talk->upstream_latency, self->lag) + LATENESS;
  g_mutex_unlock (&talk->lock);

  if (eos)
    return MIN (now + gst_moshi_ticks_to_time (GST_MOSHI_MODEL_FRAME),
        at + rest);
  return now - MIN (now, late);
}

/* Time that has gone by in a leap, with nobody awake, holds no silence. */
static void
fill_until (GstMoshiInput * self, GstClockTime due)
{
  GstClockTime at;
  guint64 ticks;

  if (!self->timeline.running)
    begin_run (self, 0, due);
  at = gst_moshi_timeline_get_time (&self->timeline);
  if (at + MAX_LIVE_LEAP < due)
    gst_moshi_input_follow (self, due);
  else if (at < due) {
    /* Whenever the output's task wakes: the packets keep their grid. */
    ticks = gst_moshi_time_to_ticks (due - at);
    if (ticks >= FILL_STEP)
      gst_moshi_input_feed_silence (self, ticks - ticks % FILL_STEP);
  }
}

/**
 * gst_moshi_input_fill:
 * @self: a speaking half
 *
 * Live: sends silence in place of a source that is late, muted or gone. What
 * the source then still gives of that time is cut.
 */
void
gst_moshi_input_fill (GstMoshiInput * self)
{
  GstClockTime now;

  g_mutex_lock (&self->lock);
  if (self->talk && g_atomic_int_get (&self->playing)) {
    now = gst_element_get_current_running_time (self->element);
    if (GST_CLOCK_TIME_IS_VALID (now))
      fill_until (self, get_due (self, now));
  }
  g_mutex_unlock (&self->lock);
}
