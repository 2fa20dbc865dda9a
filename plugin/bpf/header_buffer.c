// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The map of blocks. */
#include "plugin/bpf/header_buffer.h"
#include "bpf/table.h"
#include "plugin/bpf/syscall.h"

int st_header_buffer_make(struct st_header_buffer *blocks, uint32_t cpus)
{
	uint32_t room = 1;

	while (room < cpus)
		room *= 2;
	blocks->mask = room - 1;
	blocks->map = st_bpf_map_create(BPF_MAP_TYPE_ARRAY, "socktally_block", sizeof(uint32_t),
					room * ST_BLOCK, 1, 0);
	return blocks->map < 0 ? blocks->map : 0;
}
