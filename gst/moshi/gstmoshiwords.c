/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What Moshi says in writing: see gstmoshiwords.h.
 *
 * Hearing and telling
 *
 * A word is known when it is over, but it begins where the audio stood before,
 * and who takes audio and text together (a muxer, an overlay) keeps the audio
 * from there on until the text is as far. So in batch the words are put together
 * as the pieces come (gst_moshi_words_hear(), network thread) and not when the
 * audio they belong to is pushed: however long the pushing task is kept, the
 * word is finished and goes out on the text pad's own task. Text and gaps are
 * in perfect order there, and how far ahead of the audio they may be is bounded
 * by what the talk takes in. Messages and tags wait in `untold` for the audio to
 * reach them (gst_moshi_words_pass(), pushing task).
 *
 * To be the same in each run, the text must not depend on how much of what the
 * server says behind the end of the output has come in time: a piece counts if
 * it stands before the end, which is where the input will have ended; until the
 * input is that far, it waits in `pieces`.
 *
 * Live the playout decides when a piece is heard, so pieces are taken with the
 * audio, and words are known when their audio is out. Nobody shall wait for
 * them: gaps follow the audio, and a word comes behind a gap that covers it,
 * with the time that it belongs to.
 *
 * Tags: what the server says of itself are global tags, the newest unit of text
 * is a tag of the stream: both stick to the pad, so that whoever links late finds
 * them, and neither is repeated with the other. */

#include "gstmoshiwords.h"

#include <string.h>

#include "gstmoshiformat.h"
#include "gstmoshitags.h"
#include "gstmoshitextpad.h"
#include "session/moshilock.h"

GST_DEBUG_CATEGORY_STATIC (moshiwords_debug);
#define GST_CAT_DEFAULT moshiwords_debug

struct _GstMoshiWords
{
  GstElement *element;          /* not owned: it owns us and the pad */
  GstPad *audio_pad;

  /* Pushing task only */
  GstTagList *server_tags;      /* nullable */
  gboolean server_tags_sent;
  guint group_id;

  /* Guards what follows; taken after the talk's, before the text pad's own, held
   * for nothing that waits */
  GMutex lock;
  guint run;                    /* batch: the input's, that all here is of */
  GstSegment segment;
  gboolean has_segment;         /* of this run */
  GstClockTime base;            /* PTS of position 0 */
  guint session_index;
  GQueue pieces;                /* of Piece: heard, not looked at yet */
  GQueue untold;                /* of Unit: the bus and the tags wait */
  MoshiText *text;
  MoshiTextUnit unit;
  GstMoshiTextPad *pad;         /* nullable */
  gboolean taken;               /* the element has it, or is about to */
  gboolean started;             /* stream-start and caps are out on it */
  gboolean segment_sent;
};

typedef struct
{
  GBytes *bytes;
  gint color;
  guint64 position;
} Piece;

/* A unit of text that is whole */
typedef struct
{
  MoshiTextSpan span;
  MoshiTextUnit unit;
  guint session_index;
  GstClockTime pts;
  GstClockTime running_time;
  GstClockTime duration;
  gboolean on_pad;              /* the text pad has it */
} Unit;

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

static void
free_piece (gpointer data)
{
  Piece *piece = data;

  g_bytes_unref (piece->bytes);
  g_free (piece);
}

static void
free_unit (gpointer data)
{
  Unit *unit = data;

  moshi_text_span_clear (&unit->span);
  g_free (unit);
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
  g_queue_init (&self->pieces);
  g_queue_init (&self->untold);
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
  g_queue_clear_full (&self->pieces, free_piece);
  g_queue_clear_full (&self->untold, free_unit);
  g_mutex_clear (&self->lock);
  g_free (self);
}

static void
reset_locked (GstMoshiWords * self)
MOSHI_REQUIRES (self->lock)
{
  self->has_segment = self->segment_sent = FALSE;
  g_queue_clear_full (&self->pieces, free_piece);
  g_queue_clear_full (&self->untold, free_unit);
  moshi_text_reset (self->text);
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

  g_mutex_lock (&self->lock);
  moshi_text_free (self->text);
  self->text = moshi_text_new (unit);
  self->unit = unit;
  self->run = self->session_index = 0;
  self->started = FALSE;
  reset_locked (self);
  g_mutex_unlock (&self->lock);
}

static GstClockTime
position_to_pts (GstMoshiWords * self, guint64 position)
{
  return self->base + gst_moshi_ticks_to_time (position);
}

static void
push_unit_locked (GstMoshiWords * self, Unit * unit)
MOSHI_REQUIRES (self->lock)
{
  GstBuffer *buffer;

  if (self->pad == NULL || !self->segment_sent || unit->on_pad)
    return;
  unit->on_pad = TRUE;
  buffer = gst_buffer_new_memdup (unit->span.text, strlen (unit->span.text));
  GST_BUFFER_PTS (buffer) = unit->pts;
  GST_BUFFER_DURATION (buffer) = unit->duration;
  gst_moshi_text_pad_push (self->pad, buffer);
}

/* What is whole goes to the text pad, and on the list of what is to be told. */
static void
collect_locked (GstMoshiWords * self)
MOSHI_REQUIRES (self->lock)
{
  MoshiTextSpan span;

  while (moshi_text_pull (self->text, &span)) {
    Unit *unit = g_new0 (Unit, 1);

    unit->span = span;
    unit->unit = self->unit;
    unit->session_index = self->session_index;
    unit->pts = position_to_pts (self, span.start);
    unit->running_time = gst_segment_to_running_time (&self->segment,
        GST_FORMAT_TIME, unit->pts);
    unit->duration = position_to_pts (self, span.end) - unit->pts;
    GST_DEBUG_OBJECT (self->element, "text \"%s\" at %" GST_TIME_FORMAT,
        span.text, GST_TIME_ARGS (unit->pts));
    push_unit_locked (self, unit);
    g_queue_push_tail (&self->untold, unit);
  }
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
  if (self->has_segment)
    collect_locked (self);
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
  g_mutex_lock (&self->lock);
  self->session_index = index;
  g_mutex_unlock (&self->lock);
}

/* Tags come behind the segment: what was known before waits for it. */
static void
push_server_tags (GstMoshiWords * self)
{
  gboolean has_segment;

  g_mutex_lock (&self->lock);
  has_segment = self->has_segment;
  g_mutex_unlock (&self->lock);
  if (self->server_tags == NULL || self->server_tags_sent || !has_segment)
    return;
  self->server_tags_sent = TRUE;
  gst_pad_push_event (self->audio_pad,
      gst_event_new_tag (gst_tag_list_ref (self->server_tags)));
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
enter_run_locked (GstMoshiWords * self, guint run)
MOSHI_REQUIRES (self->lock)
{
  if (run == self->run)
    return;
  self->run = run;
  reset_locked (self);
}

static void
start_pad_locked (GstMoshiWords * self)
MOSHI_REQUIRES (self->lock)
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

/* A pad that comes late gets the words that the audio has not come to yet. */
static void
begin_pad_locked (GstMoshiWords * self, GstClockTime pts)
MOSHI_REQUIRES (self->lock)
{
  GList *link;

  gst_moshi_text_pad_event (self->pad, gst_event_new_segment (&self->segment));
  gst_moshi_text_pad_advance (self->pad, pts);
  self->segment_sent = TRUE;
  for (link = self->untold.head; link; link = link->next)
    push_unit_locked (self, link->data);
}

/* Sends the text pad what has to stand before its next buffer, and a first gap,
 * before the audio's first push blocks in a sink that prerolls: the sink behind
 * the text has to preroll too. */
static void
prepare_pad_locked (GstMoshiWords * self, GstClockTime pts)
MOSHI_REQUIRES (self->lock)
{
  if (self->pad == NULL || !self->has_segment
      || !gst_moshi_text_pad_is_active (self->pad))
    return;
  if (!self->started)
    start_pad_locked (self);
  if (!self->segment_sent)
    begin_pad_locked (self, pts);
}

/**
 * gst_moshi_words_begin_run:
 * @self: words
 * @run: of the input
 *
 * Batch: forgets what was of another run.
 */
void
gst_moshi_words_begin_run (GstMoshiWords * self, guint run)
{
  g_mutex_lock (&self->lock);
  enter_run_locked (self, run);
  g_mutex_unlock (&self->lock);
}

/**
 * gst_moshi_words_leave_segment:
 * @self: words
 *
 * Batch, with the talk locked: the audio goes over to another segment, which
 * gst_moshi_words_set_segment() is going to tell.
 */
void
gst_moshi_words_leave_segment (GstMoshiWords * self)
{
  g_mutex_lock (&self->lock);
  self->has_segment = FALSE;
  g_mutex_unlock (&self->lock);
}

/**
 * gst_moshi_words_set_segment:
 * @self: words
 * @run: of the input, whose segment it is
 * @segment: the audio's, which has just been pushed
 * @base: PTS of position 0 of the words
 * @pts: where the audio stands
 */
void
gst_moshi_words_set_segment (GstMoshiWords * self, guint run,
    const GstSegment * segment, GstClockTime base, GstClockTime pts)
{
  g_mutex_lock (&self->lock);
  /* There may be news of the next run already. */
  if (run == self->run) {
    self->segment = *segment;
    self->base = base;
    self->has_segment = TRUE;
    self->segment_sent = FALSE;
    prepare_pad_locked (self, pts);
  }
  g_mutex_unlock (&self->lock);
  push_server_tags (self);
}

static void
post_text (GstMoshiWords * self, const Unit * unit)
{
  static const gchar *const nicks[] = { "token", "word", "sentence" };
  GstStructure *structure = gst_structure_new ("moshi-text",
      "text", G_TYPE_STRING, unit->span.text,
      "running-time", G_TYPE_UINT64, unit->running_time,
      "duration", G_TYPE_UINT64, unit->duration,
      "unit", G_TYPE_STRING, nicks[unit->unit],
      "session-index", G_TYPE_UINT, unit->session_index, NULL);

  if (unit->span.color >= 0)
    gst_structure_set (structure, "color", G_TYPE_INT, unit->span.color, NULL);
  gst_element_post_message (self->element,
      gst_message_new_element (GST_OBJECT (self->element), structure));
}

/* The next unit to tell of that begins before a position */
static Unit *
take_untold (GstMoshiWords * self, guint64 position)
{
  Unit *unit;

  g_mutex_lock (&self->lock);
  unit = g_queue_peek_head (&self->untold);
  if (unit && unit->span.start < position)
    g_queue_pop_head (&self->untold);
  else
    unit = NULL;
  g_mutex_unlock (&self->lock);
  return unit;
}

/* Pushing task: messages and tags of what begins before a position */
static void
tell (GstMoshiWords * self, guint64 position)
{
  Unit *unit;

  while ((unit = take_untold (self, position))) {
    post_text (self, unit);
    gst_pad_push_event (self->audio_pad,
        gst_event_new_tag (gst_tag_list_new (GST_MOSHI_TAG_TEXT,
                unit->span.text, NULL)));
    free_unit (unit);
  }
}

/* Live: gaps follow the audio, and what is whole is told at once. */
static void
emit_live (GstMoshiWords * self, guint64 position)
{
  g_mutex_lock (&self->lock);
  prepare_pad_locked (self, position_to_pts (self, position));
  if (self->has_segment)
    collect_locked (self);
  if (self->pad && self->segment_sent)
    gst_moshi_text_pad_advance (self->pad, position_to_pts (self, position));
  g_mutex_unlock (&self->lock);
  tell (self, G_MAXUINT64);
}

/**
 * gst_moshi_words_push:
 * @self: words
 * @piece: as the server sent it
 * @color: MoshiVis' colour, or -1
 * @position: of the audio it came behind
 *
 * Live.
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
  emit_live (self, position);
}

/**
 * gst_moshi_words_advance:
 * @self: words
 * @position: that the audio has reached
 *
 * Live.
 */
void
gst_moshi_words_advance (GstMoshiWords * self, guint64 position)
{
  g_mutex_lock (&self->lock);
  moshi_text_advance (self->text, position);
  g_mutex_unlock (&self->lock);
  emit_live (self, position);
}

/**
 * gst_moshi_words_finish:
 * @self: words
 * @position: that the audio has reached
 *
 * Live: emits what there is: nothing more of this session comes.
 */
void
gst_moshi_words_finish (GstMoshiWords * self, guint64 position)
{
  g_mutex_lock (&self->lock);
  moshi_text_flush (self->text, position);
  g_mutex_unlock (&self->lock);
  emit_live (self, position);
}

static void
keep_piece_locked (GstMoshiWords * self, const GstMoshiItem * item,
    guint64 position)
MOSHI_REQUIRES (self->lock)
{
  Piece *piece;

  if (g_queue_get_length (&self->pieces) >= GST_MOSHI_MAX_ITEMS)
    return;
  piece = g_new (Piece, 1);
  piece->bytes = g_bytes_ref (item->bytes);
  piece->color = item->color;
  piece->position = position;
  g_queue_push_tail (&self->pieces, piece);
}

/* Puts together what stands before a position. */
static void
assemble_locked (GstMoshiWords * self, guint64 end)
MOSHI_REQUIRES (self->lock)
{
  Piece *piece;

  while ((piece = g_queue_peek_head (&self->pieces))
      && piece->position < end) {
    gsize size;
    const guint8 *data = g_bytes_get_data (piece->bytes, &size);

    moshi_text_push (self->text, data, size, piece->color, piece->position);
    free_piece (g_queue_pop_head (&self->pieces));
  }
}

/* Tells the text pad how far it may go, and returns whether words keep it from
 * going on. */
static gboolean
advance_pad_locked (GstMoshiWords * self, guint64 position)
MOSHI_REQUIRES (self->lock)
{
  guint64 pending = position;
  const gboolean held = moshi_text_get_pending (self->text, &pending);

  if (self->pad == NULL || !self->segment_sent)
    return FALSE;
  gst_moshi_text_pad_advance (self->pad,
      position_to_pts (self, MIN (position, pending)));
  return held;
}

/**
 * gst_moshi_words_hear:
 * @self: words
 * @run: of the input, which the positions are in
 * @item: (nullable): what has come, %NULL for news of the input alone
 * @heard: position of the audio that has come before it
 * @end: position at which the output ends, as far as the input is known
 * @all: whether nothing more is to come before @end
 *
 * Batch, any thread, with the talk locked.
 *
 * Returns: whether the text pad waits for a unit to be whole
 */
gboolean
gst_moshi_words_hear (GstMoshiWords * self, guint run,
    const GstMoshiItem * item, guint64 heard, guint64 end, gboolean all)
{
  const guint64 position = MIN (heard, end);
  gboolean held = FALSE;

  g_mutex_lock (&self->lock);
  enter_run_locked (self, run);
  if (item && item->kind == GST_MOSHI_ITEM_TEXT)
    keep_piece_locked (self, item, heard);
  if (self->has_segment) {
    assemble_locked (self, end);
    moshi_text_advance (self->text, position);
    if (all || (item && item->kind == GST_MOSHI_ITEM_SESSION))
      moshi_text_flush (self->text, position);
    collect_locked (self);
    held = advance_pad_locked (self, position);
  }
  if (item && item->kind == GST_MOSHI_ITEM_SESSION)
    self->session_index = item->index;
  g_mutex_unlock (&self->lock);
  return held;
}

/**
 * gst_moshi_words_pass:
 * @self: words
 * @position: that the audio will have reached; %G_MAXUINT64 at its end
 *
 * Batch: tells of the words that the audio comes to.
 */
void
gst_moshi_words_pass (GstMoshiWords * self, guint64 position)
{
  g_mutex_lock (&self->lock);
  if (position != G_MAXUINT64)
    prepare_pad_locked (self, position_to_pts (self, position));
  g_mutex_unlock (&self->lock);
  tell (self, position);
}

/**
 * gst_moshi_words_drop:
 * @self: words
 *
 * Batch, any thread, with the talk locked: drops what has been heard, and is not
 * told of.
 */
void
gst_moshi_words_drop (GstMoshiWords * self)
{
  Unit *first;

  g_mutex_lock (&self->lock);
  g_queue_clear_full (&self->pieces, free_piece);
  moshi_text_flush (self->text, 0);
  if (self->has_segment)
    collect_locked (self);
  first = g_queue_peek_head (&self->untold);
  if (self->pad && first)
    gst_moshi_text_pad_drop (self->pad, first->pts);
  g_queue_clear_full (&self->untold, free_unit);
  g_mutex_unlock (&self->lock);
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
  g_mutex_lock (&self->lock);
  reset_locked (self);
  g_mutex_unlock (&self->lock);
}

/**
 * gst_moshi_words_take_metadata:
 * @self: words
 * @json: what the server says of itself
 *
 * Becomes tags, before the first buffer if it comes before that.
 */
void
gst_moshi_words_take_metadata (GstMoshiWords * self, GBytes * json)
{
  gst_clear_tag_list (&self->server_tags);
  self->server_tags = gst_moshi_tags_from_metadata (json);
  self->server_tags_sent = FALSE;
  push_server_tags (self);
}

/**
 * gst_moshi_words_get_server_tags:
 * @self: words
 *
 * Returns: (transfer none) (nullable): what the server says of itself
 */
const GstTagList *
gst_moshi_words_get_server_tags (GstMoshiWords * self)
{
  return self->server_tags;
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

static void
forget_pad (gpointer data, gpointer user_data)
{
  Unit *unit = data;

  unit->on_pad = FALSE;
}

static gboolean
take_pad (GstMoshiWords * self)
{
  gboolean taken;

  g_mutex_lock (&self->lock);
  taken = self->taken;
  self->taken = TRUE;
  g_mutex_unlock (&self->lock);
  return !taken;
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

  if (!take_pad (self)) {
    GST_WARNING_OBJECT (self->element, "the text pad is in use");
    return NULL;
  }
  pad = gst_pad_new_from_template (template, "text");
  gst_pad_set_iterate_internal_links_function (pad, iterate_no_links);
  gst_pad_set_query_function (pad, query);
  gst_pad_set_event_function (pad, event);

  g_mutex_lock (&self->lock);
  self->pad = gst_moshi_text_pad_new (pad, self->element);
  g_queue_foreach (&self->untold, forget_pad, NULL);
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
  g_mutex_lock (&self->lock);
  self->taken = FALSE;
  g_mutex_unlock (&self->lock);
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

/* Whether what stands before all text has been pushed: it may have waited when a
 * flush came, and is gone with all else that did. Caps come last. */
static gboolean
is_started (GstPad * pad)
{
  g_autoptr (GstCaps) caps = gst_pad_get_current_caps (pad);

  return caps != NULL;
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
  if (self->pad && start) {
    gst_moshi_text_pad_flush_start (self->pad);
  } else if (self->pad) {
    /* The task stands still between the two. */
    self->started = is_started (pad);
    gst_moshi_text_pad_flush_stop (self->pad);
  }
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
