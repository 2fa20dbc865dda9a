/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Patterns for paths, as people write them: "eth:ip:udp", "*:udp", "eth:*:ip:tcp". */
#ifndef SOCKTALLY_PATTERN_H
#define SOCKTALLY_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Whether each layer in it is "*" or the name of a protocol or link type. If not, *bad and *length are
 * set to the one that isn't.
 */
bool st_pattern_is_valid(const char *pattern, const char **bad, size_t *length);

/* Whether the path, as text, begins as the pattern says; "*" stands for any number of layers. */
bool st_pattern_matches(const char *pattern, const char *path);

#endif
