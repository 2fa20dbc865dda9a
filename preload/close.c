// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * close(), close_range() and closefrom() leave the channel open, and say that there is no such descriptor.
 * Else a tool that closes all descriptors would close the channel. A daemon that a script starts would then
 * end the broker, which ends when nobody holds the channel; and some tools count what they close (p0f).
 */
#include "preload/preload.h"
#include "preload/syscall.h"
#include <limits.h>

PRELOAD_EXPORT int close(int fd);
PRELOAD_EXPORT int close_range(unsigned int first, unsigned int last, int flags);
PRELOAD_EXPORT void closefrom(int first);

/* The channel's descriptor, if it is among these; else -1. */
static int channel_within(unsigned int first, unsigned int last)
{
	const struct channel_address *address = preload_channel();
	int saved = errno, fd = -1;

	if (!address || address->fd < 0 || (unsigned int)address->fd < first ||
	    (unsigned int)address->fd > last || !preload_enter())
		return -1;
	if (preload_channel_is_open(address))
		fd = address->fd;
	preload_leave();
	errno = saved;
	return fd;
}

PRELOAD_EXPORT int close(int fd)
{
	if (fd < 0 || channel_within((unsigned int)fd, (unsigned int)fd) < 0)
		return next_close(fd);
	errno = EBADF;
	return -1;
}

PRELOAD_EXPORT int close_range(unsigned int first, unsigned int last, int flags)
{
	int fd = channel_within(first, last), result;

	if (fd < 0)
		return next_close_range(first, last, flags);
	/* closes nothing, as no descriptor has this number: applies the flags, or finds them wrong */
	result = next_close_range(UINT_MAX, UINT_MAX, flags);
	if (!result && first < (unsigned int)fd)
		result = next_close_range(first, (unsigned int)fd - 1, flags);
	if (!result && (unsigned int)fd < last)
		result = next_close_range((unsigned int)fd + 1, last, flags);
	return result;
}

PRELOAD_EXPORT void closefrom(int first)
{
	int from = first < 0 ? 0 : first, fd = channel_within((unsigned int)from, INT_MAX);
	int saved = errno;

	if (fd < 0) {
		next_closefrom(first);
		return;
	}
	if (from < fd && next_close_range((unsigned int)from, (unsigned int)fd - 1, 0))
		for (int each = from; each < fd; each++) /* a kernel before 5.9 */
			raw_close(each);
	errno = saved;
	next_closefrom(fd + 1);
}
