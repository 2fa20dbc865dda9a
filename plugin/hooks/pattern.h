/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What a path is to begin with, as text: "eth:ip:udp", or with "*" for any number of layers, also
 * none: "*:tcp", "eth:*:ip:udp".
 */
#ifndef SOCKTALLY_PLUGIN_HOOKS_PATTERN_H
#define SOCKTALLY_PLUGIN_HOOKS_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* struct st_pattern of bpf/hooks/pattern.h. */
struct st_pattern {
	uint32_t parts[256];
	uint32_t stars;
	uint32_t whole;
};

/* 0, or -EINVAL with *wrong and *length at the part that is no protocol's name. */
int st_pattern_read(struct st_pattern *pattern, const char *text, const char **wrong,
		    size_t *length);

/* As the function of bpf/hooks/pattern.h, on a cell's layers. */
bool st_pattern_fits(const struct st_pattern *pattern, const uint8_t *layers, size_t count);

#endif
