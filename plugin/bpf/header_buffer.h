/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Header buffers: ST_HEADER_BUFFER bytes for each CPU. A socket's attached program loads the start of
 * the packet there for its own filter, and the parser behind it reads it from there. All of them are
 * one value of a map: programs have its address as a constant and need no lookup, which could fail. It
 * is not the map of cells, because attached programs may outlive the meter and keep their maps alive.
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
