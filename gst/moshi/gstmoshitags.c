/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a server says of itself, as tags
 *
 * Formats differ in what they can hold. Vorbis comments (Ogg, FLAC) have a place
 * for any NAME=VALUE, which GStreamer calls extended comments; Matroska's muxer
 * writes none of them, but a plain comment. So both are there: each field by
 * itself, and the whole as the server wrote it.
 */

#include "gstmoshitags.h"

#include <string.h>
#include <gst/tag/tag.h>

#include "protocol/moshimetadata.h"

/* What the header of Opus in Ogg says wrote it */
#define VENDOR "gst-moshi"

/* A name that a Vorbis comment can have (its section 5: 0x20 to 0x7D but =) */
static gboolean
is_comment_name (const gchar * name)
{
  const gchar *at;

  for (at = name; *at; at++)
    if (*at < 0x20 || *at > 0x7D || *at == '=')
      return FALSE;
  return at > name;
}

static gchar *
format_field (const MoshiMetadataField * field)
{
  gchar number[G_ASCII_DTOSTR_BUF_SIZE];

  switch (field->kind) {
    case 's':
    case 'j':
      return g_strdup_printf ("%s=%s", field->name, field->string);
    case 'd':
      /* 0.8 is sent as 0.8, and read as 0.80000000000000004 */
      return g_strdup_printf ("%s=%s", field->name,
          g_ascii_formatd (number, sizeof number, "%.15g", field->number));
    case 'b':
      return g_strdup_printf ("%s=%s", field->name,
          field->integer ? "true" : "false");
    default:
      return g_strdup_printf ("%s=%" G_GINT64_FORMAT, field->name,
          field->integer);
  }
}

static void
add_field (GstTagList * tags, const MoshiMetadataField * field)
{
  g_autofree gchar *comment = NULL;

  if (!is_comment_name (field->name))
    return;
  comment = format_field (field);
  gst_tag_list_add (tags, GST_TAG_MERGE_APPEND, GST_TAG_EXTENDED_COMMENT,
      comment, NULL);
  if (field->kind == 's' && strcmp (field->name, "instance_name") == 0
      && *field->string != '\0')
    gst_tag_list_add (tags, GST_TAG_MERGE_REPLACE, GST_TAG_ENCODED_BY,
        field->string, NULL);
}

/**
 * gst_moshi_tags_from_metadata:
 * @json: a metadata message's payload, any bytes
 *
 * Any thread.
 *
 * Returns: (transfer full): global tags: a comment, which is the text as the
 *     server sent it; extended comments NAME=VALUE of its fields; the name of the
 *     instance as `encoded-by`. Empty if it is no JSON object
 */
GstTagList *
gst_moshi_tags_from_metadata (GBytes * json)
{
  gsize size;
  const guint8 *data = g_bytes_get_data (json, &size);
  g_autofree gchar *text = NULL;
  g_autoptr (GPtrArray) fields = moshi_metadata_parse (data, size, &text, NULL);
  GstTagList *tags = gst_tag_list_new_empty ();
  guint i;

  gst_tag_list_set_scope (tags, GST_TAG_SCOPE_GLOBAL);
  if (fields == NULL)
    return tags;
  if (strlen (text) <= GST_MOSHI_TAGS_MAX_COMMENT)
    gst_tag_list_add (tags, GST_TAG_MERGE_REPLACE, GST_TAG_COMMENT, text, NULL);
  for (i = 0; i < fields->len; i++)
    add_field (tags, g_ptr_array_index (fields, i));
  return tags;
}

/**
 * gst_moshi_tags_to_opus:
 * @tags: (nullable): tags
 *
 * Any thread. A muxer takes the tags of Opus from its header, where others take
 * them from events.
 *
 * Returns: (transfer full): the comment header of an Opus stream (RFC 7845
 *     section 5.2)
 */
GstBuffer *
gst_moshi_tags_to_opus (const GstTagList * tags)
{
  g_autoptr (GstTagList) none = tags ? NULL : gst_tag_list_new_empty ();

  return gst_tag_list_to_vorbiscomment_buffer (tags ? tags : none,
      (const guint8 *) "OpusTags", 8, VENDOR);
}
