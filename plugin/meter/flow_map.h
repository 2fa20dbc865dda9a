/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The flow memory of a meter in the kernel, and the programs that look at payload. */
#ifndef SOCKTALLY_PLUGIN_METER_FLOW_MAP_H
#define SOCKTALLY_PLUGIN_METER_FLOW_MAP_H

#include <stdint.h>

struct socktally;

/*
 * Makes the memory for meter->flow_count flows, and loads the program that looks. Where the kernel refuses that
 * program, or filters interleave, there are no applications: meter->flow_mask stays 0.
 */
int st_flow_map_open(struct socktally *meter);

/* The same program for a chain with hooks: to be called when that is made. */
void st_flow_map_hooks(struct socktally *meter);

#endif
