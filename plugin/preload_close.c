// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * close(): a tool that closes all that it doesn't know would close the channel as well, and some tell
 * how many descriptors they have closed (p0f). The channel isn't the tool's: it hears that there is
 * no such descriptor, and the channel stays.
 */
#include "preload.h"
#include <errno.h>

PRELOAD_EXPORT int close(int fd);

/* Looks at the descriptor itself only if it has the channel's number. */
static bool is_channel(int fd)
{
	const struct channel_address *address = preload_channel();
	int saved = errno;
	bool ours = false;

	if (!address || fd != address->fd || !preload_enter())
		return false;
	ours = preload_channel_is_open(address);
	preload_leave();
	errno = saved;
	return ours;
}

PRELOAD_EXPORT int close(int fd)
{
	if (fd < 0 || !is_channel(fd))
		return real_close(fd);
	errno = EBADF;
	return -1;
}
