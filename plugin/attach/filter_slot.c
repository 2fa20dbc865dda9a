// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* What is in a socket's filter slot: nothing, a classic filter, our program or another one. */
#include "plugin/attach/attach.h"
#include "plugin/attach/saved_filter.h"
#include <errno.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#ifndef SO_MEMINFO
#define SO_MEMINFO 55 /* Linux 4.12 */
#endif

int st_filter_read(int fd, struct sock_filter **insns, size_t *count)
{
	socklen_t length = 0;

	*insns = NULL;
	*count = 0;
	if (getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &length))
		return -errno;
	if (!length)
		return 0;
	*insns = calloc(BPF_MAXINSNS, sizeof(**insns));
	if (!*insns)
		return -ENOMEM;
	length = BPF_MAXINSNS; /* it may have grown since */
	if (getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, *insns, &length)) {
		int error = -errno;

		free(*insns);
		*insns = NULL;
		return error;
	}
	*count = length;
	return 0;
}

bool st_filter_is_hidden(int fd)
{
	socklen_t length = 0;
	int saved = errno;
	bool hidden = getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &length) && errno == EACCES;

	errno = saved;
	return hidden;
}

bool st_filter_is(int fd, const struct sock_filter *insns, size_t count)
{
	struct sock_filter *now;
	size_t now_count;
	bool same;

	if (st_filter_read(fd, &now, &now_count))
		return false;
	same = now_count == count && (!count || !memcmp(now, insns, count * sizeof(*insns)));
	free(now);
	return same;
}

int st_filter_write(int fd, const struct sock_filter *insns, size_t count)
{
	const struct sock_fprog program = {.len = (unsigned short)count,
					   .filter = (struct sock_filter *)insns};
	const int ignored = 0;
	int result;

	if (count)
		result = setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
	else
		result = setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &ignored, sizeof(ignored));
	return result ? -errno : 0;
}

uint32_t st_option_memory(int fd)
{
	uint32_t info[SK_MEMINFO_VARS] = {0};
	socklen_t size = sizeof(info);

	return getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &size) ? 0 : info[SK_MEMINFO_OPTMEM];
}

/*
 * The kernel doesn't tell which eBPF program is on a socket. A program of another size is not ours.
 * Ours lives as long as it is on a socket: if it is gone, the tool has put a program of its own in its
 * place. Without CAP_SYS_ADMIN we may not ask whether a program lives: then one of the same size is
 * taken to be ours.
 */
bool st_attachment_is_on(const struct st_attachment *attachment, int fd)
{
	return st_filter_is_hidden(fd) && attachment->option_memory == st_option_memory(fd) &&
	       (!attachment->program || st_program_exists(attachment->program) != 0);
}
