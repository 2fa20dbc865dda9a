/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What /proc says of a process. A seccomp filter that was there when this program was executed has let
 * the loader open, read and close files: more than that is not done here.
 */
#ifndef SOCKTALLY_PROTO_CHANNEL_STATUS_H
#define SOCKTALLY_PROTO_CHANNEL_STATUS_H

#include "proto/channel.h"
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

struct channel_status {
	unsigned int filters; /* seccomp filters; before Linux 5.9 2 stands for any number */
	long parent;
};

/* The file has some 1,500 bytes, and up to 11 for each group of the process. */
enum { CHANNEL_STATUS_SIZE = 16384 };

static inline size_t channel_read_file(const char *path, char *text, size_t room)
{
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	size_t size = 0;
	long got = 0;

	if (fd < 0)
		return 0;
	while (size < room - 1 && (got = syscall(SYS_read, fd, text + size, room - 1 - size)) > 0)
		size += (size_t)got;
	syscall(SYS_close, fd);
	text[size] = 0;
	return size;
}

/* The number on the line that starts so; false: there is no such line. */
static inline bool channel_find_number(const char *text, const char *start, long *number)
{
	const char *at = strstr(text, start);

	if (!at)
		return false;
	for (at += strlen(start); *at == '\t' || *at == ' '; at++)
		;
	for (*number = 0; *at >= '0' && *at <= '9' && *number < 100000000; at++)
		*number = 10 * *number + (*at - '0');
	return true;
}

/* pid 0: this process. false: there is nothing to read. */
static inline bool channel_status_read(long pid, struct channel_status *status)
{
	char path[64] = "/proc/self/status", text[CHANNEL_STATUS_SIZE];
	long filters;

	if (pid)
		strcpy(decimal_put(stpcpy(path, "/proc/"), (uint64_t)pid), "/status");
	if (!channel_read_file(path, text, sizeof(text)))
		return false;
	if (!channel_find_number(text, "\nPPid:", &status->parent))
		return false;
	if (!channel_find_number(text, "\nSeccomp_filters:", &filters) &&
	    !channel_find_number(text, "\nSeccomp:", &filters))
		filters = 0; /* a kernel without */
	status->filters = (unsigned int)filters;
	return true;
}

#endif
