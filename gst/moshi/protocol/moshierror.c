/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "moshierror.h"

G_DEFINE_QUARK (moshi - error - quark, moshi_error)
