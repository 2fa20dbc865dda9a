/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What the section .BTF.ext of an object file says of instructions: which function begins there, which
 * source line it is of, and what is to be relocated by the kernel's types (CO-RE).
 */
#ifndef SOCKTALLY_PLUGIN_BPF_DEBUG_INFO_H
#define SOCKTALLY_PLUGIN_BPF_DEBUG_INFO_H

#include "plugin/bpf/loader.h"

/* Of an assembled program, for the kernel. */
struct st_debug_info {
	struct bpf_func_info *functions;
	struct bpf_line_info *lines;
	size_t function_count, line_count;
};

/* false: there is none that the kernel would take. */
bool st_debug_info_make(struct st_debug_info *info, const struct st_object *object,
			const struct st_assembly *assembly);
void st_debug_info_free(struct st_debug_info *info);

/* Whether a function has CO-RE relocations. */
bool st_debug_info_has_core(const struct st_object *object, const struct st_symbol *function);

#define ST_SOURCE_PLACE_MAX 128

/* "file.bpf.c:12: counts->packets++;" of an instruction; "" where nothing says so. */
void st_source_place(const struct st_object *object, const struct st_assembly *assembly,
		     uint32_t insn, char place[ST_SOURCE_PLACE_MAX]);

#endif
