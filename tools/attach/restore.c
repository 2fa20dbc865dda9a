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
	/* checked right before the exchange, as the owner may set a filter at any moment */
	if (st_program_exists(saved->program) == 0 || !st_filter_is_hidden(fd))
		return -EACCES;
	return st_filter_write(fd, saved->insns, saved->count);
}
