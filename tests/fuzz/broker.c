// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Fuzzes the broker's worker: any messages of a client, with or without descriptors. It keeps none, answers
 * what is a request and nothing else, and each program that it gives goes with an answer of its own. Run as
 * root it has a meter, and else refuses what it understands.
 */
#include "tools/broker/worker.h"
#include "proto/channel_open.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct worker worker;
static int told; /* where the worker tells the broker */
static int nothing;

static void require(bool condition)
{
	if (!condition)
		abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	int pair[2];

	(void)argc;
	(void)argv;
	require(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
	worker.budget.seconds = 60;
	worker.broker = pair[0];
	told = pair[1];
	worker.channel = worker.listener = -1;
	worker.why = "no meter";
	worker.error = socktally_open(&worker.meter, NULL);
	for (int i = 0; i < WORKER_CONNECTIONS; i++)
		worker.connections[i].fd = -1;
	for (int i = 0; i < WORKER_DOORS; i++)
		worker.doors[i].fd = -1;
	nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	return 0;
}

static int lowest_free(void)
{
	int fd = fcntl(nothing, F_DUPFD_CLOEXEC, 0);

	require(fd >= 0);
	close(fd);
	return fd;
}

static void send_message(int to, const uint8_t *data, size_t size, bool with_descriptor)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)),
				.cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS}};
	struct iovec part = {.iov_base = (void *)data, .iov_len = size};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (with_descriptor) {
		memcpy(CMSG_DATA(&control.header), &nothing, sizeof(nothing));
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
	}
	sendmsg(to, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* At most one answer to a message, whole, and of its request. */
static bool take_answer(int fd, const struct broker_request *request)
{
	static struct {
		struct broker_reply head;
		struct sock_filter insns[BROKER_MAX_INSNS + 1];
	} reply;
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec part = {.iov_base = &reply, .iov_len = sizeof(reply)};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};
	ssize_t got = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int program = -1;

	if (got <= 0)
		return false;
	if (CMSG_FIRSTHDR(&message)) {
		memcpy(&program, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(program));
		close(program);
	}
	require(request->magic == BROKER_MAGIC && reply.head.serial == request->serial);
	require(reply.head.magic == BROKER_MAGIC && reply.head.version == BROKER_VERSION);
	require(reply.head.answer >= BROKER_PROGRAM && reply.head.answer <= BROKER_PASS);
	require((reply.head.answer == BROKER_PROGRAM) == (program >= 0));
	require(got == (ssize_t)sizeof(reply.head) ||
		got == (ssize_t)(sizeof(reply.head) + 8 * reply.head.count));
	require(memchr(reply.head.text, 0, sizeof(reply.head.text)));
	return true;
}

/* What the worker tells is as it says. */
static void hear_worker(void)
{
	static struct worker_message message;
	ssize_t got;

	while ((got = recv(told, &message, sizeof(message), MSG_DONTWAIT)) > 0) {
		require(got >= (ssize_t)sizeof(message.note) &&
			message.note.count <= BROKER_MAX_INSNS);
		require((size_t)got ==
			sizeof(message.note) + message.note.count * sizeof(*message.insns));
	}
}

/* Messages on one connection: each has two bytes of length and one that says whether a descriptor comes. */
static void converse(const uint8_t *data, size_t size)
{
	struct worker_connection *connection = worker.connections;
	bool open = true;
	int pair[2];

	require(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
	*connection = (struct worker_connection){.fd = pair[1]};
	while (open && size > 3) {
		struct broker_request request = {0};
		size_t length = data[0] | (size_t)data[1] << 8;

		length = length < size - 3 ? length : size - 3;
		memcpy(&request, data + 3, length < sizeof(request) ? length : sizeof(request));
		send_message(pair[0], data + 3, length, data[2] & 1);
		open = worker_request(&worker, connection);
		take_answer(pair[0], &request);
		require(!take_answer(pair[0], &request));
		hear_worker();
		data += 3 + length;
		size -= 3 + length;
	}
	worker_drop_given(connection);
	close(connection->fd);
	connection->fd = -1;
	close(pair[0]);
}

/* The variable in the environment, which a tool may have changed. */
static void parse_variable(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), again[CHANNEL_TEXT_MAX];
	struct channel_address address, same;

	require(text);
	memcpy(text, data, size);
	text[size] = 0;
	if (channel_parse(text, &address)) {
		channel_format(again, &address);
		require(channel_parse(again, &same) && !memcmp(&address, &same, sizeof(same)));
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int before = lowest_free();

	if (size && *data == '0' + BROKER_VERSION)
		parse_variable(data, size);
	converse(data, size);
	require(lowest_free() == before);
	return 0;
}
