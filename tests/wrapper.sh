#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# meson test --wrapper: gives each test program a GStreamer registry of its
# own in $MOSHI_REGISTRIES, so that no two write the same file and none sees
# what another build or the user has installed. It begins as a copy of `seed`,
# in which all plugins already stand: scanning them in each program would take
# most of the time.
set -eu
GST_REGISTRY=$MOSHI_REGISTRIES/$$
cp "$MOSHI_REGISTRIES/seed" "$GST_REGISTRY"
export GST_REGISTRY
exec "$@"
