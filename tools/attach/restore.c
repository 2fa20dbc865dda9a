// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* What a meter that was killed has left: its program, and the record of what was there before. */
#include "tools/attach/attach.h"
#include "plugin/attach/attach.h"

#include "plugin/attach/saved_filter.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

int leftover_restore(int fd, const struct st_saved_filter *record)
{
	struct sock_fprog program = {.len = (unsigned short)record->count, .filter = record->insns};
	struct sock_filter *insns;
	size_t count;
	int ignored = 0, result;

	/* right before, as the owner may set a filter at any moment */
	if (st_program_exists(record->program) == 0)
		return -EACCES;
	result = st_filter_read(fd, &insns, &count);
	free(insns);
	if (result != -EACCES)
		return result ? result : -EACCES;
	if (record->count)
		result = setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
	else
		result = setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &ignored, sizeof(ignored));
	return result ? -errno : 0;
}
