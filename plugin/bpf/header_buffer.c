// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The map of header buffers. */
#include "plugin/bpf/header_buffer.h"
#include "bpf/table.h"
#include "plugin/bpf/syscall.h"

int st_header_buffer_make(struct st_header_buffer *buffer, uint32_t cpus)
{
	uint32_t room = 1;

	while (room < cpus)
		room *= 2;
	buffer->mask = room - 1;
	buffer->map = st_bpf_map_create(BPF_MAP_TYPE_ARRAY, "socktally_hdrs", sizeof(uint32_t),
					room * ST_HEADER_BUFFER, 1, 0);
	return buffer->map < 0 ? buffer->map : 0;
}
