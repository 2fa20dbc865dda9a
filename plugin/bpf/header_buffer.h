/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Scratch for the start of a packet, ST_HEADER_BUFFER bytes for each CPU: a socket's attached program loads
 * it for its own filter, and the parser behind finds it there. It is one value of a map, so that
 * programs have its address as a constant and need no lookup that could fail. A map of its own,
 * because attached programs may outlive the meter, and shall not keep the table of cells.
 */
#ifndef SOCKTALLY_PLUGIN_BPF_HEADER_BUFFER_H
#define SOCKTALLY_PLUGIN_BPF_HEADER_BUFFER_H

#include <stdint.h>

struct st_header_buffer {
	int map;       /* -1: not made */
	uint32_t mask; /* for a CPU's number: a power of two minus one, no less than the highest */
};

/* 0, or -errno. */
int st_header_buffer_make(struct st_header_buffer *buffer, uint32_t cpus);

#endif
