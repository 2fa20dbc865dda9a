/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Rates that are watched. */
#ifndef SOCKTALLY_PLUGIN_THRESHOLD_H
#define SOCKTALLY_PLUGIN_THRESHOLD_H

#include "plugin/meter/meter.h"

/* An interval is over: looks at the rates. */
void st_thresholds_look(struct socktally *meter);
void st_thresholds_free(struct socktally *meter);

#endif
