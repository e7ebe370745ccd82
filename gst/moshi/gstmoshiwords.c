/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What Moshi says in writing: see gstmoshiwords.h.
 *
 * Tags: what the server says of itself are global tags, the newest unit of text
 * is a tag of the stream: both stick to the pad, so that whoever links late finds
 * them, and neither is repeated with the other. */

#include "gstmoshiwords.h"

#include <string.h>

#include "gstmoshiformat.h"
#include "gstmoshitextpad.h"
#include "protocol/moshimetadata.h"

GST_DEBUG_CATEGORY_STATIC (moshiwords_debug);
#define GST_CAT_DEFAULT moshiwords_debug

struct _GstMoshiWords
{
  GstElement *element;          /* not owned: it owns us and the pad */
  GstPad *audio_pad;

  /* Pushing task only */
  GstTagList *server_tags;      /* until they are out */
  GstSegment segment;
  GstClockTime base;            /* PTS of position 0 */
  guint group_id;
  guint session_index;
  gboolean has_segment;

  /* Guards what follows; taken before the text pad's own, held for nothing
   * that waits */
  GMutex lock;
  MoshiText *text;
  MoshiTextUnit unit;
  GstMoshiTextPad *pad;         /* nullable */
  gboolean started;             /* stream-start and caps are out on it */
  gboolean segment_sent;
};

static GstStaticPadTemplate text_template =
GST_STATIC_PAD_TEMPLATE ("text", GST_PAD_SRC, GST_PAD_REQUEST,
    GST_STATIC_CAPS ("text/x-raw, format=(string)utf8"));

/**
 * gst_moshi_words_register:
 *
 * Registers the tag.
 */
void
gst_moshi_words_register (void)
{
  gst_tag_register (GST_MOSHI_TAG_TEXT, GST_TAG_FLAG_DECODED, G_TYPE_STRING,
      "Moshi's words", "What Moshi says", gst_tag_merge_use_first);
}

/**
 * gst_moshi_words_add_template:
 * @klass: of an element that listens, in its class_init
 */
void
gst_moshi_words_add_template (GstElementClass * klass)
{
  gst_element_class_add_static_pad_template (klass, &text_template);
}

/**
 * gst_moshi_words_new:
 * @element: whom it listens for
 * @audio_pad: (transfer none): where tags go
 *
 * Returns: (transfer full): words
 */
GstMoshiWords *
gst_moshi_words_new (GstElement * element, GstPad * audio_pad)
{
  GstMoshiWords *self = g_new0 (GstMoshiWords, 1);

  GST_DEBUG_CATEGORY_INIT (moshiwords_debug, "moshiwords", 0,
      "Moshi: the words");
  self->element = element;
  self->audio_pad = audio_pad;
  self->text = moshi_text_new (MOSHI_TEXT_WORD);
  gst_segment_init (&self->segment, GST_FORMAT_TIME);
  g_mutex_init (&self->lock);
  return self;
}

/**
 * gst_moshi_words_free:
 * @self: (transfer full): words whose pads are inactive
 */
void
gst_moshi_words_free (GstMoshiWords * self)
{
  gst_clear_tag_list (&self->server_tags);
  g_clear_pointer (&self->pad, gst_moshi_text_pad_free);
  moshi_text_free (self->text);
  g_mutex_clear (&self->lock);
  g_free (self);
}

/**
 * gst_moshi_words_start:
 * @self: words whose pads are inactive
 * @unit: what one buffer holds
 */
void
gst_moshi_words_start (GstMoshiWords * self, MoshiTextUnit unit)
{
  gst_clear_tag_list (&self->server_tags);
  self->has_segment = FALSE;
  self->session_index = 0;

  g_mutex_lock (&self->lock);
  moshi_text_free (self->text);
  self->text = moshi_text_new (unit);
  self->unit = unit;
  self->started = self->segment_sent = FALSE;
  g_mutex_unlock (&self->lock);
}

/**
 * gst_moshi_words_set_unit:
 * @self: words
 * @unit: what one buffer holds from now on
 *
 * Any thread.
 */
void
gst_moshi_words_set_unit (GstMoshiWords * self, MoshiTextUnit unit)
{
  g_mutex_lock (&self->lock);
  moshi_text_set_unit (self->text, unit);
  self->unit = unit;
  g_mutex_unlock (&self->lock);
}

/**
 * gst_moshi_words_set_session:
 * @self: words
 * @index: the session they are said in from now on
 */
void
gst_moshi_words_set_session (GstMoshiWords * self, guint index)
{
  self->session_index = index;
}

static GstClockTime
position_to_pts (GstMoshiWords * self, guint64 position)
{
  return self->base + gst_moshi_ticks_to_time (position);
}

/* Tags come behind the segment: what was known before waits for it. */
static void
push_server_tags (GstMoshiWords * self)
{
  if (self->server_tags && self->has_segment)
    gst_pad_push_event (self->audio_pad,
        gst_event_new_tag (g_steal_pointer (&self->server_tags)));
}

/**
 * gst_moshi_words_set_stream:
 * @self: words
 * @group_id: of the audio's stream-start
 */
void
gst_moshi_words_set_stream (GstMoshiWords * self, guint group_id)
{
  self->group_id = group_id;
}

static void
start_pad_locked (GstMoshiWords * self)
{
  GstPad *pad = gst_moshi_text_pad_get_pad (self->pad);
  g_autofree gchar *id = gst_moshi_format_dup_stream_id (self->element, "text");
  g_autoptr (GstCaps) caps = gst_pad_get_pad_template_caps (pad);
  GstEvent *event = gst_event_new_stream_start (id);

  gst_event_set_group_id (event, self->group_id);
  gst_event_set_stream_flags (event, GST_STREAM_FLAG_SPARSE);
  gst_moshi_text_pad_event (self->pad, event);
  gst_moshi_text_pad_event (self->pad, gst_event_new_caps (caps));
  self->started = TRUE;
}

/* Sends the text pad what has to stand before its next buffer, and a first gap,
 * before the audio's first push blocks in a sink that prerolls: the sink behind
 * the text has to preroll too. */
static void
prepare_pad_locked (GstMoshiWords * self, guint64 position)
{
  if (self->pad == NULL || !self->has_segment
      || !gst_moshi_text_pad_is_active (self->pad))
    return;
  if (!self->started)
    start_pad_locked (self);
  if (!self->segment_sent) {
    gst_moshi_text_pad_event (self->pad,
        gst_event_new_segment (&self->segment));
    gst_moshi_text_pad_advance (self->pad, position_to_pts (self, position));
    self->segment_sent = TRUE;
  }
}

/**
 * gst_moshi_words_set_segment:
 * @self: words
 * @segment: the audio's, which has just been pushed
 * @base: PTS of position 0
 * @position: where the audio stands
 */
void
gst_moshi_words_set_segment (GstMoshiWords * self, const GstSegment * segment,
    GstClockTime base, guint64 position)
{
  self->segment = *segment;
  self->base = base;
  self->has_segment = TRUE;
  g_mutex_lock (&self->lock);
  self->segment_sent = FALSE;
  prepare_pad_locked (self, position);
  g_mutex_unlock (&self->lock);
  push_server_tags (self);
}

static void
post_text (GstMoshiWords * self, const MoshiTextSpan * span,
    MoshiTextUnit unit, GstClockTime pts, GstClockTime duration)
{
  static const gchar *const nicks[] = { "token", "word", "sentence" };
  GstStructure *structure = gst_structure_new ("moshi-text",
      "text", G_TYPE_STRING, span->text,
      "running-time", G_TYPE_UINT64,
      gst_segment_to_running_time (&self->segment, GST_FORMAT_TIME, pts),
      "duration", G_TYPE_UINT64, duration,
      "unit", G_TYPE_STRING, nicks[unit],
      "session-index", G_TYPE_UINT, self->session_index, NULL);

  if (span->color >= 0)
    gst_structure_set (structure, "color", G_TYPE_INT, span->color, NULL);
  gst_element_post_message (self->element,
      gst_message_new_element (GST_OBJECT (self->element), structure));
}

static void
push_text (GstMoshiWords * self, const gchar * text, GstClockTime pts,
    GstClockTime duration)
{
  g_mutex_lock (&self->lock);
  if (self->pad) {
    GstBuffer *buffer = gst_buffer_new_memdup (text, strlen (text));

    GST_BUFFER_PTS (buffer) = pts;
    GST_BUFFER_DURATION (buffer) = duration;
    gst_moshi_text_pad_push (self->pad, buffer);
  }
  g_mutex_unlock (&self->lock);
}

static void
emit_span (GstMoshiWords * self, const MoshiTextSpan * span, MoshiTextUnit unit)
{
  GstClockTime pts = position_to_pts (self, span->start);
  GstClockTime duration = position_to_pts (self, span->end) - pts;

  GST_DEBUG_OBJECT (self->element, "text \"%s\" at %" GST_TIME_FORMAT,
      span->text, GST_TIME_ARGS (pts));
  push_text (self, span->text, pts, duration);
  post_text (self, span, unit, pts, duration);
  gst_pad_push_event (self->audio_pad,
      gst_event_new_tag (gst_tag_list_new (GST_MOSHI_TAG_TEXT, span->text,
              NULL)));
}

/* Emits what is whole, then lets the text pad know how far the audio is. */
static void
emit (GstMoshiWords * self, guint64 position)
{
  gboolean found = TRUE;
  guint64 pending;

  g_mutex_lock (&self->lock);
  prepare_pad_locked (self, position);
  g_mutex_unlock (&self->lock);
  while (found) {
    g_auto (MoshiTextSpan) span = { NULL, };
    MoshiTextUnit unit;

    g_mutex_lock (&self->lock);
    found = moshi_text_pull (self->text, &span);
    unit = self->unit;
    g_mutex_unlock (&self->lock);
    if (found)
      emit_span (self, &span, unit);
  }

  g_mutex_lock (&self->lock);
  if (moshi_text_get_pending (self->text, &pending))
    position = MIN (position, pending);
  if (self->pad && self->has_segment)
    gst_moshi_text_pad_advance (self->pad, position_to_pts (self, position));
  g_mutex_unlock (&self->lock);
}

/**
 * gst_moshi_words_push:
 * @self: words
 * @piece: as the server sent it
 * @color: MoshiVis' colour, or -1
 * @position: of the audio it came behind
 */
void
gst_moshi_words_push (GstMoshiWords * self, GBytes * piece, gint color,
    guint64 position)
{
  gsize size;
  const guint8 *data = g_bytes_get_data (piece, &size);

  g_mutex_lock (&self->lock);
  moshi_text_push (self->text, data, size, color, position);
  g_mutex_unlock (&self->lock);
  emit (self, position);
}

/**
 * gst_moshi_words_advance:
 * @self: words
 * @position: that the audio has reached
 */
void
gst_moshi_words_advance (GstMoshiWords * self, guint64 position)
{
  g_mutex_lock (&self->lock);
  moshi_text_advance (self->text, position);
  g_mutex_unlock (&self->lock);
  emit (self, position);
}

/**
 * gst_moshi_words_finish:
 * @self: words
 * @position: that the audio has reached
 *
 * Emits what there is: nothing more of this session comes.
 */
void
gst_moshi_words_finish (GstMoshiWords * self, guint64 position)
{
  g_mutex_lock (&self->lock);
  moshi_text_flush (self->text, position);
  g_mutex_unlock (&self->lock);
  emit (self, position);
}

/**
 * gst_moshi_words_reset:
 * @self: words
 *
 * Forgets what is not whole yet; positions may begin anew.
 */
void
gst_moshi_words_reset (GstMoshiWords * self)
{
  self->has_segment = FALSE;
  g_mutex_lock (&self->lock);
  moshi_text_reset (self->text);
  g_mutex_unlock (&self->lock);
}

static gchar *
format_field (const MoshiMetadataField * field)
{
  gchar number[G_ASCII_DTOSTR_BUF_SIZE];

  if (field->kind == 's' || field->kind == 'j')
    return g_strdup_printf ("%s=%s", field->name, field->string);
  if (field->kind == 'd')
    return g_strdup_printf ("%s=%s", field->name,
        g_ascii_dtostr (number, sizeof number, field->number));
  return g_strdup_printf ("%s=%" G_GINT64_FORMAT, field->name, field->integer);
}

/**
 * gst_moshi_words_take_metadata:
 * @self: words
 * @json: what the server says of itself
 *
 * Becomes tags: extended comments NAME=VALUE, and the name of the instance as
 * `encoded-by`.
 */
void
gst_moshi_words_take_metadata (GstMoshiWords * self, GBytes * json)
{
  gsize size;
  const guint8 *data = g_bytes_get_data (json, &size);
  g_autofree gchar *text = NULL;
  g_autoptr (GPtrArray) fields = moshi_metadata_parse (data, size, &text, NULL);
  guint i;

  gst_clear_tag_list (&self->server_tags);
  self->server_tags = gst_tag_list_new_empty ();
  gst_tag_list_set_scope (self->server_tags, GST_TAG_SCOPE_GLOBAL);
  for (i = 0; fields && i < fields->len; i++) {
    const MoshiMetadataField *field = g_ptr_array_index (fields, i);
    g_autofree gchar *comment = format_field (field);

    gst_tag_list_add (self->server_tags, GST_TAG_MERGE_APPEND,
        GST_TAG_EXTENDED_COMMENT, comment, NULL);
    if (field->kind == 's' && strcmp (field->name, "instance_name") == 0
        && *field->string != '\0')
      gst_tag_list_add (self->server_tags, GST_TAG_MERGE_REPLACE,
          GST_TAG_ENCODED_BY, field->string, NULL);
  }
  push_server_tags (self);
}

/**
 * gst_moshi_words_end:
 * @self: words
 *
 * EOS on the text pad.
 */
void
gst_moshi_words_end (GstMoshiWords * self)
{
  g_mutex_lock (&self->lock);
  if (self->pad)
    gst_moshi_text_pad_event (self->pad, gst_event_new_eos ());
  g_mutex_unlock (&self->lock);
}

/* The text is a stream of its own, whatever flows beside it. */
static GstIterator *
iterate_no_links (GstPad * pad, GstObject * parent)
{
  return NULL;
}

/**
 * gst_moshi_words_request_pad:
 * @self: words
 * @template: of the `text` pad
 * @query: the src pad's
 * @event: the src pad's
 *
 * The element's request_new_pad: any thread, any state. Text goes there from
 * now on.
 *
 * Returns: (transfer none) (nullable): the pad, added to the element; %NULL if
 *     there is one already
 */
GstPad *
gst_moshi_words_request_pad (GstMoshiWords * self, GstPadTemplate * template,
    GstPadQueryFunction query, GstPadEventFunction event)
{
  GstPad *pad;

  if (gst_moshi_words_has_pad (self)) {
    GST_WARNING_OBJECT (self->element, "the text pad is in use");
    return NULL;
  }
  pad = gst_pad_new_from_template (template, "text");
  gst_pad_set_iterate_internal_links_function (pad, iterate_no_links);
  gst_pad_set_query_function (pad, query);
  gst_pad_set_event_function (pad, event);

  g_mutex_lock (&self->lock);
  self->pad = gst_moshi_text_pad_new (pad, self->element);
  self->started = self->segment_sent = FALSE;
  g_mutex_unlock (&self->lock);
  gst_element_add_pad (self->element, pad);
  return pad;
}

/**
 * gst_moshi_words_release_pad:
 * @self: words
 * @pad: (transfer none): the pad requested
 *
 * The element's release_pad: any thread, any state. Waits for a push under way,
 * as deactivating a pad does.
 */
void
gst_moshi_words_release_pad (GstMoshiWords * self, GstPad * pad)
{
  GstMoshiTextPad *text_pad;

  g_mutex_lock (&self->lock);
  text_pad = g_steal_pointer (&self->pad);
  g_mutex_unlock (&self->lock);

  gst_pad_set_active (pad, FALSE);
  g_clear_pointer (&text_pad, gst_moshi_text_pad_free);
  gst_element_remove_pad (self->element, pad);
}

/**
 * gst_moshi_words_has_pad:
 * @self: words
 *
 * Returns: whether somebody wants them as buffers
 */
gboolean
gst_moshi_words_has_pad (GstMoshiWords * self)
{
  gboolean has;

  g_mutex_lock (&self->lock);
  has = self->pad != NULL;
  g_mutex_unlock (&self->lock);
  return has;
}

static GstPad *
ref_pad (GstMoshiWords * self)
{
  GstPad *pad = NULL;

  g_mutex_lock (&self->lock);
  if (self->pad)
    pad = gst_object_ref (gst_moshi_text_pad_get_pad (self->pad));
  g_mutex_unlock (&self->lock);
  return pad;
}

/**
 * gst_moshi_words_flush:
 * @self: words
 * @event: (transfer none): FLUSH_START or FLUSH_STOP
 *
 * Streaming thread. Sends it through the text pad.
 */
void
gst_moshi_words_flush (GstMoshiWords * self, GstEvent * event)
{
  const gboolean start = GST_EVENT_TYPE (event) == GST_EVENT_FLUSH_START;
  GstPad *pad = ref_pad (self);

  if (pad == NULL)
    return;

  gst_pad_push_event (pad, gst_event_ref (event));
  g_mutex_lock (&self->lock);
  if (self->pad && start)
    gst_moshi_text_pad_flush_start (self->pad);
  else if (self->pad)
    gst_moshi_text_pad_flush_stop (self->pad);
  self->segment_sent = FALSE;
  g_mutex_unlock (&self->lock);
  if (start)
    gst_pad_pause_task (pad);
  gst_object_unref (pad);
}

/**
 * gst_moshi_words_get_count:
 * @self: words
 *
 * Any thread.
 *
 * Returns: words so far
 */
guint
gst_moshi_words_get_count (GstMoshiWords * self)
{
  guint count;

  g_mutex_lock (&self->lock);
  count = moshi_text_get_words (self->text);
  g_mutex_unlock (&self->lock);
  return count;
}
