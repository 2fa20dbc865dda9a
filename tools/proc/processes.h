/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Who holds which socket, as /proc tells it, and how to take one of them. */
#ifndef SOCKTALLY_TOOLS_PROC_PROCESSES_H
#define SOCKTALLY_TOOLS_PROC_PROCESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* One descriptor of a process that is a socket. */
struct holder {
	uint64_t inode; /* of the socket */
	pid_t pid;
	int fd;
};

struct holders {
	struct holder *holder;
	size_t count, room;
	bool hidden; /* some processes didn't let us look */
};

/* A network namespace and how to get at it. */
struct namespace
{
	uint64_t inode;
	pid_t pid; /* the process that named the path */
	char *path; /* "/proc/812/ns/net", "/proc/1/root/run/netns/blue"; NULL: only a socket opens it */
	char name[64]; /* "blue" of "ip netns add blue"; "" */
};

struct namespaces {
	struct namespace *namespace;
	size_t count, room;
};

/*
 * One pass over /proc: the sockets of all processes, sorted by inode, and the namespaces that are
 * to be found. namespaces may be NULL. -errno; what isn't permitted is left out.
 */
int processes_read(struct holders *holders, struct namespaces *namespaces);
void holders_free(struct holders *holders);
void namespaces_free(struct namespaces *namespaces);
/* path, name: copied, may be NULL. A namespace that is in the list already stays as it is. */
int namespaces_add(struct namespaces *namespaces, uint64_t inode, pid_t pid, const char *path,
		   const char *name);

/* The first of those that hold the socket, and how many there are. */
const struct holder *holders_find(const struct holders *holders, uint64_t inode, size_t *count);

/* The sockets of one process are added, unsorted. -errno: -ENOENT, -EACCES. */
int process_sockets(pid_t pid, struct holders *holders);

/* Calls fn for every process until it returns non-zero, which is then returned. -errno. */
int processes_walk(int (*fn)(void *ctx, pid_t pid), void *ctx);

/*
 * Whether the descriptor is the packet socket with this inode: 1, 0, -errno. Nothing that the process
 * can put there is opened or asked.
 */
int process_has_packet_socket(pid_t pid, int fd, uint64_t inode);

struct process {
	char comm[16];
	uid_t uid; /* effective */
	pid_t parent;
};
/* -errno: -ENOENT, it is gone. */
int process_read(pid_t pid, struct process *process);
/* Whether the process is that command: its name, or its program's file, with or without the path. */
bool process_is(pid_t pid, const char *command);

/* The network namespace that a link of /proc stands for, as "ns/net": its inode, or 0. */
uint64_t namespace_of_link(int folder, const char *link);

/* A descriptor for the process itself: it can't become another one's. -errno. */
int process_open(pid_t pid);
/* Whether it has ended. */
bool process_ended(int pidfd);
/*
 * A copy of a descriptor of the process, close-on-exec. The process doesn't notice. Close it soon:
 * it holds the socket open. -errno: -EPERM, -EBADF, -ESRCH, -ENOSYS before Linux 5.6.
 */
int process_take(int pidfd, int fd);
/*
 * The same for the packet socket with this inode: -EBADF if the number is another's by now;
 * -ETIMEDOUT if the process makes close() or the like wait, see tools/proc/bounded.h.
 */
int process_take_socket(pid_t pid, int fd, uint64_t inode);
/* Why these failed, as the end of a sentence. */
const char *process_take_refused(int error);

#endif
