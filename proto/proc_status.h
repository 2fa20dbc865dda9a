/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Seccomp filters and parent of a process, from /proc/PID/status. A seccomp filter that was there when
 * this program was executed has let the loader open, read and close files: no other call is made here.
 */
#ifndef SOCKTALLY_PROTO_PROC_STATUS_H
#define SOCKTALLY_PROTO_PROC_STATUS_H

#include "proto/decimal.h"
#include "proto/raw_syscall.h"
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct proc_status {
	unsigned int filters; /* seccomp filters; before Linux 5.9 2 stands for any number */
	long parent;
};

/* The file has some 1,500 bytes, and up to 11 for each group of the process. */
enum { PROC_STATUS_SIZE = 16384 };

/* How many bytes; 0: the file can't be read. The text ends with a NUL, what has no room is left out. */
static inline size_t proc_read(const char *path, char *text, size_t room)
{
	int fd = (int)raw_syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	size_t size = 0;
	long got = 0;

	if (fd < 0)
		return 0;
	while (size < room - 1 &&
	       (got = raw_syscall(SYS_read, fd, text + size, room - 1 - size)) > 0)
		size += (size_t)got;
	raw_syscall(SYS_close, fd);
	text[size] = 0;
	return size;
}

/* The number on the line that starts so; false: there is no such line. */
static inline bool proc_find_number(const char *text, const char *start, uint64_t *number)
{
	const char *at = strstr(text, start);

	if (!at)
		return false;
	for (at += strlen(start); *at == '\t' || *at == ' '; at++)
		;
	return decimal_take(&at, INT32_MAX, number);
}

/* pid 0: this process. false: there is nothing to read. */
static inline bool proc_status_read(long pid, struct proc_status *status)
{
	char path[64] = "/proc/self/status", text[PROC_STATUS_SIZE];
	uint64_t filters, parent;

	if (pid)
		strcpy(decimal_put(path + strlen(strcpy(path, "/proc/")), (uint64_t)pid),
		       "/status");
	if (!proc_read(path, text, sizeof(text)))
		return false;
	if (!proc_find_number(text, "\nPPid:", &parent))
		return false;
	if (!proc_find_number(text, "\nSeccomp_filters:", &filters) &&
	    !proc_find_number(text, "\nSeccomp:", &filters))
		filters = 0; /* a kernel without */
	status->parent = (long)parent;
	status->filters = (unsigned int)filters;
	return true;
}

#endif
