// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* One process: what it is, and its descriptors. */
#include "tools/proc/processes.h"

#include "tools/common/file_text.h"
#include "tools/proc/bounded.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

int process_open(pid_t pid)
{
	long fd = syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : (int)fd;
}

bool process_ended(int pidfd)
{
	struct pollfd ended = {.fd = pidfd, .events = POLLIN};

	return poll(&ended, 1, 0) > 0;
}

int process_take(int pidfd, int fd)
{
	long taken = syscall(SYS_pidfd_getfd, pidfd, fd, 0);

	return taken < 0 ? -errno : (int)taken;
}

int process_take_socket(pid_t pid, int fd, uint64_t inode)
{
	int is = process_has_packet_socket(pid, fd, inode);

	if (is > 0)
		return bounded_take_socket(pid, fd, inode);
	return is ? is : -EBADF;
}

const char *process_take_refused(int error)
{
	switch (error) {
	case -ENOSYS:
		return "taking it from its process needs Linux 5.6 or later";
	case -EMFILE:
	case -ENFILE:
		return "no descriptor is free to take it with: raise the limit (ulimit -n)";
	case -ETIMEDOUT:
		return "its process makes whoever takes its descriptors wait: it is left alone";
	case -EPERM:
	case -EACCES:
		break;
	default:
		return "its process has just closed it or ended";
	}
	if (file_number_read("/proc/sys/kernel/yama/ptrace_scope") == 3)
		return "kernel.yama.ptrace_scope is 3: until the next start of the system nobody "
		       "can take it from its process";
	if (geteuid())
		return "taking it from its process needs root, or CAP_SYS_PTRACE";
	return "the kernel doesn't let us take it from its process: a security module or this "
	       "container forbids it (CAP_SYS_PTRACE is needed)";
}

/* O_PATH: the file itself is not opened, so that no driver and no file system has a say. */
int process_has_packet_socket(pid_t pid, int fd, uint64_t inode)
{
	char path[64], have[64], want[64], name[32];
	int place, result = 0;
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
	place = open(path, O_PATH | O_CLOEXEC);
	if (place < 0)
		return errno == ENOENT ? -EBADF : -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", place);
	length = readlink(path, have, sizeof(have) - 1);
	have[length > 0 ? length : 0] = '\0';
	snprintf(want, sizeof(want), "socket:[%" PRIu64 "]", inode);
	if (!strcmp(have, want)) {
		/* the name of the socket's protocol in the kernel, of every family */
		length = getxattr(path, "system.sockprotoname", name, sizeof(name));
		result = length >= 6 && !strncmp(name, "PACKET", (size_t)length);
	}
	close(place);
	return result;
}

/* A file of /proc/PID, see file_text_read(). */
static ssize_t read_text(pid_t pid, const char *file, char *text, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	return file_text_read(path, text, size);
}

/* The field after "\nName:" in /proc/PID/status; the name that comes before it can't have a newline. */
static const char *status_field(const char *status, const char *name)
{
	const char *field = strstr(status, name);

	return field ? field + strlen(name) : NULL;
}

int process_read(pid_t pid, struct process *process)
{
	const char *field;
	char text[2048];
	size_t length;

	memset(process, 0, sizeof(*process));
	process->uid = (uid_t)-1;
	if (read_text(pid, "comm", process->comm, sizeof(process->comm)) <= 0)
		return -ENOENT;
	length = strlen(process->comm);
	if (length && process->comm[length - 1] == '\n')
		process->comm[length - 1] = '\0';
	if (read_text(pid, "status", text, sizeof(text)) <= 0)
		return -ENOENT;
	field = status_field(text, "\nUid:");
	if (field) {
		char *end;

		strtoul(field, &end, 10);
		process->uid = (uid_t)strtoul(end, NULL, 10);
	}
	field = status_field(text, "\nPPid:");
	if (field)
		process->parent = atoi(field);
	return 0;
}

/* The kernel ends the name of a program's file so after an upgrade has replaced the file. */
static void strip_deleted(char *path)
{
	static const char deleted[] = " (deleted)";
	size_t length = strlen(path), end = sizeof(deleted) - 1;

	if (length > end && !strcmp(path + length - end, deleted))
		path[length - end] = '\0';
}

static const char *file_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

bool process_is(pid_t pid, const char *command)
{
	char link[64], path[PATH_MAX];
	struct process process;
	const size_t kept = sizeof(process.comm) - 1; /* bytes that the kernel keeps of a name */
	ssize_t length;

	if (process_read(pid, &process))
		return false;
	if (!strcmp(process.comm, command))
		return true;
	snprintf(link, sizeof(link), "/proc/%d/exe", pid);
	length = readlink(link, path, sizeof(path) - 1);
	path[length > 0 ? length : 0] = '\0';
	if (!strcmp(path, command) || !strcmp(file_name(path), command))
		return true;
	strip_deleted(path);
	if (!strcmp(path, command) || !strcmp(file_name(path), command))
		return true;
	/*
	 * A script with a long name: its file is the interpreter's, so that only the name's beginning is
	 * left to compare. (The command line would tell more, but reading it can be made to wait: it is
	 * memory of the process.)
	 */
	return strlen(command) > kept && !strncmp(process.comm, command, kept) &&
	       strncmp(file_name(path), command, kept) != 0;
}
