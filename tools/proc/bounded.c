// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "tools/proc/bounded.h"
#include "tools/proc/processes.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef NSFS_MAGIC
#define NSFS_MAGIC 0x6e736673
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

/* Milliseconds for a step, and for the close() after it. */
#define TIME_LIMIT 1000
/* What takes longer than SLOW is added up, to at most SLOW_MAX for one process after another. */
#define SLOW 100
#define SLOW_MAX 3000
/* Processes that are remembered because they made a step wait. */
#define HOSTILE_MAX 64

struct request {
	pid_t pid;
	int fd; /* of the process; -1: a namespace at the path */
	uint64_t inode;
	char path[576];
};

struct answer {
	int result;
	bool closing; /* an empty answer follows when the close() of something else is over */
};

static struct {
	int channel; /* to the child; 0: there is none */
	pid_t child;
	pid_t served; /* the process of the last request */
	bool closing; /* the child has not yet said that its close() is over */
	int64_t slow; /* milliseconds that the served process has made us wait */
	pid_t hostile[HOSTILE_MAX];
	size_t hostile_count;
} bounded;

/* --- in the child */

static int take_socket(const struct request *request, int *taken)
{
	int pidfd = process_open(request->pid), domain;
	socklen_t size = sizeof(domain);
	struct stat status;

	if (pidfd < 0)
		return pidfd;
	*taken = process_take(pidfd, request->fd);
	close(pidfd);
	if (*taken < 0)
		return *taken;
	/* the domain first: fstat() of a FUSE file waits, too */
	if (getsockopt(*taken, SOL_SOCKET, SO_DOMAIN, &domain, &size) || domain != AF_PACKET ||
	    fstat(*taken, &status) || status.st_ino != request->inode)
		return -EBADF;
	return 0;
}

/* Opening a FIFO waits, and opening a device may do anything: so it is looked at without. */
static int open_namespace(const struct request *request, int *taken)
{
	int place = open(request->path, O_PATH | O_CLOEXEC), result = 0;
	char path[32];
	struct statfs filesystem;
	struct stat status;

	if (place < 0)
		return -errno;
	if (fstatfs(place, &filesystem) || filesystem.f_type != NSFS_MAGIC ||
	    fstat(place, &status) || status.st_ino != request->inode)
		result = -EINVAL;
	if (!result) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", place);
		*taken = open(path, O_RDONLY | O_CLOEXEC);
		if (*taken < 0)
			result = -errno;
	}
	close(place);
	return result;
}

static bool reply(int channel, struct answer answer, int fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec part = {.iov_base = &answer, .iov_len = sizeof(answer)};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (!answer.result && !answer.closing && fd >= 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	}
	return sendmsg(channel, &message, MSG_NOSIGNAL) == sizeof(answer);
}

/* A child that hangs must not keep anything of ours open: the report's pipe, or a meter. */
static void close_others(int channel)
{
	struct rlimit limit;

	if (!syscall(SYS_close_range, 0, channel - 1, 0) &&
	    !syscall(SYS_close_range, channel + 1, ~0U, 0))
		return;
	getrlimit(RLIMIT_NOFILE, &limit);
	for (int fd = 0; (rlim_t)fd < limit.rlim_cur; fd++)
		if (fd != channel)
			close(fd);
}

static void serve(int channel, pid_t parent) __attribute__((noreturn));

static void serve(int channel, pid_t parent)
{
	struct request request;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	close_others(channel);
	while (recv(channel, &request, sizeof(request), 0) == sizeof(request)) {
		struct answer answer = {0};
		int taken = -1;

		answer.result = request.fd < 0 ? open_namespace(&request, &taken)
					       : take_socket(&request, &taken);
		answer.closing = answer.result && taken >= 0;
		if (!reply(channel, answer, taken))
			break;
		if (taken >= 0)
			close(taken);
		if (answer.closing && !reply(channel, (struct answer){0}, -1))
			break;
	}
	_exit(0);
}

/* --- in the command */

static bool is_hostile(pid_t pid)
{
	for (size_t i = 0; i < bounded.hostile_count && i < HOSTILE_MAX; i++)
		if (bounded.hostile[i] == pid)
			return true;
	return false;
}

static void distrust(pid_t pid)
{
	bounded.hostile[bounded.hostile_count++ % HOSTILE_MAX] = pid;
}

/* The child waits for the process that was served last, and is left alone with that. */
static int give_up(void)
{
	kill(bounded.child, SIGKILL);
	waitpid(bounded.child, NULL, WNOHANG);
	close(bounded.channel);
	bounded.channel = 0;
	bounded.closing = false;
	distrust(bounded.served);
	return -ETIMEDOUT;
}

static int start(void)
{
	pid_t parent = getpid();
	int ends[2];

	if (bounded.channel)
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -errno;
	bounded.child = fork();
	if (!bounded.child)
		serve(ends[1], parent);
	close(ends[1]);
	if (bounded.child < 0) {
		close(ends[0]);
		return -EAGAIN;
	}
	bounded.channel = ends[0];
	return 0;
}

/* Waits for a message of the child: false after the time limit, or if it has ended. */
static bool receive(struct answer *answer, int *fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec part = {.iov_base = answer, .iov_len = sizeof(*answer)};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};
	struct pollfd channel = {.fd = bounded.channel, .events = POLLIN};
	int ready;

	do
		ready = poll(&channel, 1, TIME_LIMIT);
	while (ready < 0 && errno == EINTR);
	if (ready <= 0 ||
	    recvmsg(bounded.channel, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) != sizeof(*answer))
		return false;
	*fd = -1;
	if (message.msg_controllen >= CMSG_LEN(sizeof(int)) &&
	    control.header.cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(&control.header), sizeof(*fd));
	return true;
}

static int64_t milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* A server that answers just in time could make us wait for hours, path by path. */
static void note_time(int64_t began)
{
	int64_t took = milliseconds() - began;

	if (took > SLOW)
		bounded.slow += took;
	if (bounded.slow > SLOW_MAX)
		distrust(bounded.served);
}

static int ask(const struct request *request)
{
	struct answer answer;
	int64_t began;
	int result, fd;

	if (is_hostile(request->pid))
		return -ETIMEDOUT;
	if (bounded.closing && !receive(&answer, &fd)) {
		give_up();
		if (is_hostile(request->pid))
			return -ETIMEDOUT;
	}
	bounded.closing = false;
	result = start();
	if (result)
		return result;
	if (bounded.served != request->pid)
		bounded.slow = 0;
	bounded.served = request->pid;
	began = milliseconds();
	if (send(bounded.channel, request, sizeof(*request), MSG_NOSIGNAL) != sizeof(*request) ||
	    !receive(&answer, &fd))
		return give_up();
	note_time(began);
	bounded.closing = answer.closing;
	if (!answer.result && fd < 0)
		return -EMFILE; /* no number was free for it */
	return answer.result ? answer.result : fd;
}

int bounded_take_socket(pid_t pid, int fd, uint64_t inode)
{
	const struct request request = {.pid = pid, .fd = fd, .inode = inode};

	return ask(&request);
}

int bounded_open_namespace(pid_t pid, const char *path, uint64_t inode)
{
	struct request request = {.pid = pid, .fd = -1, .inode = inode};

	if (strlen(path) >= sizeof(request.path))
		return -ENAMETOOLONG;
	strcpy(request.path, path);
	return ask(&request);
}
