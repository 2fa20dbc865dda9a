// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The worker's loop and its connections. */
#include "tools/broker/worker.h"
#include "proto/channel_open.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

void worker_tell(struct worker *worker, const struct worker_note *note,
		 const struct sock_filter *insns)
{
	struct iovec parts[2] = {
		{.iov_base = (void *)note, .iov_len = sizeof(*note)},
		{.iov_base = (void *)insns, .iov_len = note->count * sizeof(*insns)},
	};
	struct msghdr header = {.msg_iov = parts, .msg_iovlen = note->count ? 2 : 1};
	ssize_t sent = sendmsg(worker->broker, &header,
			       MSG_NOSIGNAL | (worker->broker_hangs ? MSG_DONTWAIT : 0));

	worker->broker_hangs = sent < 0 && errno == EAGAIN;
}

void worker_say(struct worker *worker, pid_t pid, uint32_t cause, const char *format, ...)
{
	struct worker_note note = {.kind = WORKER_SAYS, .pid = pid, .cause = cause};
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(note.text, sizeof(note.text), format, arguments);
	va_end(arguments);
	worker_tell(worker, &note, NULL);
}

static void drop(struct worker_connection *connection)
{
	if (connection->fd < 0)
		return;
	worker_drop_given(connection);
	close(connection->fd);
	connection->fd = -1;
}

/* A free place; else the oldest one's: whoever has taken that has had its time, and in the channel it is no loss. */
static struct worker_connection *find_place(struct worker *worker)
{
	struct worker_connection *oldest = &worker->connections[0];

	for (int i = 0; i < WORKER_CONNECTIONS; i++) {
		struct worker_connection *each = &worker->connections[i];

		if (each->fd < 0)
			return each;
		if (each->number < oldest->number)
			oldest = each;
	}
	drop(oldest);
	return oldest;
}

void worker_add(struct worker *worker, int fd)
{
	int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	server_take_no_descriptors(fd);
	*find_place(worker) = (struct worker_connection){.fd = fd, .number = worker->next_number++};
}

/* Puts a connection into the channel. */
static void put_connection(struct worker *worker)
{
	char byte = 0;
	struct iovec part = {.iov_base = &byte, .iov_len = 1};
	int pair[2], size = CHANNEL_BUFFER;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return;
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	worker_add(worker, pair[1]);
	server_send_descriptor(worker->channel, &part, 1, pair[0]);
	close(pair[0]);
}

/* false: all processes of the tool have closed the channel. An empty message looks like that, too. */
static bool hear_channel(struct worker *worker, bool hung_up)
{
	char byte;
	ssize_t size = recv(worker->channel, &byte, 1, MSG_DONTWAIT | MSG_TRUNC);

	if (size == 1)
		put_connection(worker);
	return size > 0 || !hung_up;
}

/* The report is written: who waits for that may exit. */
static void let_finish(struct worker *worker)
{
	const struct broker_request none = {0};
	struct broker_reply reply = {.answer = BROKER_DONE};

	for (int i = 0; i < WORKER_CONNECTIONS; i++) {
		if (worker->connections[i].fd < 0 || !worker->connections[i].finishes)
			continue;
		server_reply(worker->connections[i].fd, &none, &reply, -1);
		drop(&worker->connections[i]);
	}
}

static void take_word(struct worker *worker, int word)
{
	const struct worker_note alive = {.kind = WORKER_ALIVE};

	if (word == WORKER_PING)
		worker_tell(worker, &alive, NULL);
	else
		let_finish(worker);
}

static bool hear_broker(struct worker *worker)
{
	struct worker_answer said;
	ssize_t size = recv(worker->broker, &said, sizeof(said), MSG_DONTWAIT);

	if (size == sizeof(said) && !said.link)
		take_word(worker, said.result);
	return size > 0 || (size < 0 && (errno == EAGAIN || errno == EINTR));
}

int worker_serve_classes(struct worker *worker, const struct st_socket_link *link)
{
	const struct worker_note note = {.kind = WORKER_CLASSES, .link = *link};
	struct worker_answer said;

	for (unsigned int i = 0; i < worker->link_count; i++)
		if (worker->links[i] == link->link)
			return 0;
	worker_tell(worker, &note, NULL);
	if (worker->broker_hangs)
		return -EAGAIN;
	while (recv(worker->broker, &said, sizeof(said), 0) == sizeof(said)) {
		if (!said.link)
			take_word(worker, said.result);
		if (said.link != link->link) /* of an earlier question, late */
			continue;
		if (!said.result && worker->link_count < WORKER_LINKS)
			worker->links[worker->link_count++] = link->link;
		return said.result;
	}
	return -EAGAIN;
}

/*
 * The order in which they were made: what a process tells after a question comes before the next question of
 * the same thread.
 */
static void serve_connections(struct worker *worker, const struct pollfd *fds)
{
	for (;;) {
		struct worker_connection *first = NULL;
		static uint64_t served[WORKER_CONNECTIONS]; /* 1 + number */

		for (int i = 0; i < WORKER_CONNECTIONS; i++) {
			struct worker_connection *each = &worker->connections[i];

			if (each->fd >= 0 && each->fd == fds[i].fd && fds[i].revents &&
			    served[i] != each->number + 1 &&
			    (!first || each->number < first->number))
				first = each;
		}
		if (!first) {
			memset(served, 0, sizeof(served));
			return;
		}
		served[first - worker->connections] = first->number + 1;
		if (!worker_request(worker, first))
			drop(first);
	}
}

enum { BROKER, CHANNEL, LISTENER, DOORS, FIXED = DOORS + WORKER_DOORS };

static bool step(struct worker *worker)
{
	struct pollfd fds[FIXED + WORKER_CONNECTIONS] = {
		[BROKER] = {.fd = worker->broker, .events = POLLIN},
		[CHANNEL] = {.fd = worker->channel, .events = POLLIN},
		[LISTENER] = {.fd = worker_has_door(worker) ? -1 : worker->listener,
			      .events = POLLIN},
	};

	for (int i = 0; i < WORKER_DOORS; i++)
		fds[DOORS + i] = (struct pollfd){.fd = worker->doors[i].fd, .events = POLLIN};
	for (int i = 0; i < WORKER_CONNECTIONS; i++)
		fds[FIXED + i] = (struct pollfd){.fd = worker->connections[i].fd, .events = POLLIN};
	if (poll(fds, FIXED + WORKER_CONNECTIONS,
		 worker_check_doors(worker) ? WORKER_DOOR_TIME : -1) < 0) {
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
		return true;
	}
	serve_connections(worker, fds + FIXED);
	for (int i = 0; i < WORKER_DOORS; i++)
		if (fds[DOORS + i].revents)
			worker_hear_door(worker, &worker->doors[i]);
	if (fds[LISTENER].revents)
		worker_open_door(worker);
	if (fds[CHANNEL].revents && !hear_channel(worker, fds[CHANNEL].revents & POLLHUP)) {
		close(worker->channel);
		worker->channel = -1;
	}
	return !fds[BROKER].revents || hear_broker(worker);
}

static void limit_wait(int fd, int name, long milliseconds)
{
	const struct timeval time = {.tv_usec = milliseconds * 1000};

	setsockopt(fd, SOL_SOCKET, name, &time, sizeof(time));
}

void worker_serve(struct worker *worker)
{
	limit_wait(worker->broker, SO_SNDTIMEO, WORKER_TELL_PATIENCE);
	limit_wait(worker->broker, SO_RCVTIMEO, WORKER_CLASSES_PATIENCE);
	server_take_no_descriptors(worker->channel);
	server_take_no_descriptors(worker->listener);
	for (int i = 0; i < WORKER_CONNECTIONS; i++)
		worker->connections[i].fd = -1;
	for (int i = 0; i < WORKER_DOORS; i++)
		worker->doors[i].fd = -1;
	for (int i = 0; i < WORKER_WAITING; i++)
		put_connection(worker);
	while (step(worker))
		;
}
