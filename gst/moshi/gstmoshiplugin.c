/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config.h"

#include "gstmoshi.h"
#include "gstmoshisink.h"
#include "gstmoshisrc.h"

static gboolean
plugin_init (GstPlugin * plugin)
{
  gboolean ret = GST_ELEMENT_REGISTER (moshi, plugin);

  ret |= GST_ELEMENT_REGISTER (moshisink, plugin);
  ret |= GST_ELEMENT_REGISTER (moshisrc, plugin);
  return ret;
}

GST_PLUGIN_DEFINE (GST_VERSION_MAJOR, GST_VERSION_MINOR, moshi,
    "Talk with Moshi, the full-duplex speech model", plugin_init, VERSION,
    GST_LICENSE, GST_PACKAGE_NAME, GST_PACKAGE_ORIGIN)
