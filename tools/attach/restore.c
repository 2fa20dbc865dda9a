// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Restoring the filter that a socket had before a meter that was killed. */
#include "tools/attach/attach.h"
#include "plugin/attach/attach.h"

#include "plugin/attach/saved_filter.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

int saved_filter_restore(int fd, const struct st_saved_filter *saved)
{
	struct sock_fprog program = {.len = (unsigned short)saved->count, .filter = saved->insns};
	struct sock_filter *insns;
	size_t count;
	int ignored = 0, result;

	/* checked right before the exchange, as the owner may set a filter at any moment */
	if (st_program_exists(saved->program) == 0)
		return -EACCES;
	result = st_filter_read(fd, &insns, &count);
	free(insns);
	if (result != -EACCES)
		return result ? result : -EACCES;
	if (saved->count)
		result = setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
	else
		result = setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &ignored, sizeof(ignored));
	return result ? -errno : 0;
}
