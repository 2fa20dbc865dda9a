/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
#ifndef SOCKTALLY_PLUGIN_COUNT_PATH_H
#define SOCKTALLY_PLUGIN_COUNT_PATH_H

#include "bpf/table.h"
#include <socktally/socktally.h>

/* A path's layers, outermost first, and zeros behind; returns how many. */
uint32_t st_path_layers(struct st_path path, uint8_t layers[SOCKTALLY_MAX_LAYERS]);

#endif
