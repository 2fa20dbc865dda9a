// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Who comes by the abstract address may be anybody on this machine, and may send descriptors whose release
 * waits, which holds up whoever receives or closes the connection. So that is done by a child for each of
 * them, and the worker gets those connections only that have the tool's token.
 */
#include "tools/broker/worker.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* In constant time: how long it takes tells nothing about the token. */
static bool token_is_ours(const struct worker *worker, const uint8_t *token)
{
	uint8_t differs = 0;

	for (size_t i = 0; i < BROKER_TOKEN_SIZE; i++)
		differs |= (uint8_t)(token[i] ^ worker->address.token[i]);
	return !differs;
}

static bool says_hello(const struct worker *worker, int fd)
{
	struct broker_hello hello;
	struct iovec part = {.iov_base = &hello, .iov_len = sizeof(hello)};
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
	struct pollfd readable = {.fd = fd, .events = POLLIN};

	return poll(&readable, 1, WORKER_DOOR_TIME) > 0 &&
	       recvmsg(fd, &header, MSG_DONTWAIT) == sizeof(hello) &&
	       !(header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) && hello.magic == BROKER_MAGIC &&
	       hello.version == BROKER_VERSION && token_is_ours(worker, hello.token);
}

/* A connection that is refused ends with the process, which then does not wait for SO_LINGER. */
static void be_door(const struct worker *worker, int ours, pid_t parent)
{
	char byte = 0;
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		return;
	fd = accept4(worker->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0 && send(ours, &byte, 1, MSG_NOSIGNAL) == 1 && says_hello(worker, fd))
		server_send_descriptor(ours, &(struct iovec){&byte, 1}, 1, fd);
}

bool worker_has_door(const struct worker *worker)
{
	bool full = true;

	for (int i = 0; i < WORKER_DOORS; i++) {
		if (worker->doors[i].fd >= 0 && !worker->doors[i].accepted)
			return true;
		full = full && worker->doors[i].fd >= 0;
	}
	return full;
}

static void close_door(struct worker_door *door)
{
	close(door->fd);
	door->fd = -1;
	kill(door->pid, SIGKILL);
	while (waitpid(door->pid, NULL, 0) < 0 && errno == EINTR)
		;
}

void worker_open_door(struct worker *worker)
{
	struct worker_door *door = worker->doors;
	pid_t parent = getpid();
	int ends[2];

	while (door->fd >= 0)
		door++;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return;
	*door = (struct worker_door){.fd = ends[0], .since = milliseconds(), .pid = fork()};
	if (!door->pid) {
		be_door(worker, ends[1], parent);
		_exit(0);
	}
	close(ends[1]);
	if (door->pid > 0)
		return;
	close(ends[0]);
	door->fd = -1;
}

void worker_hear_door(struct worker *worker, struct worker_door *door)
{
	char byte;
	int fd;

	if (server_receive_descriptor(door->fd, &byte, 1, &fd) <= 0) {
		close_door(door);
		return;
	}
	door->accepted = true;
	if (fd >= 0)
		worker_add(worker, fd);
}

bool worker_check_doors(struct worker *worker)
{
	bool any = false;

	for (int i = 0; i < WORKER_DOORS; i++) {
		struct worker_door *door = &worker->doors[i];

		if (door->fd >= 0 && milliseconds() - door->since >= 2 * WORKER_DOOR_TIME)
			close_door(door);
		any = any || door->fd >= 0;
	}
	return any;
}
