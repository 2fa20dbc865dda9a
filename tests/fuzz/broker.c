// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Fuzzes the broker: any message with any descriptors. It keeps none of them but those that it may,
 * answers what is a request and nothing else, and the packet socket's filter is never eBPF that
 * isn't its own. Run as root it has a meter, and else refuses what it understands.
 */
#include "tools/broker/broker.h"
#include "proto/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a byte of the input stands for. */
enum kind { REPLY, PACKET, DGRAM_PACKET, UDP, MEMORY_FILE, NOTHING, KINDS };
enum { MAX_DESCRIPTORS = 7 };

static struct broker broker;
static struct report_output output;
static struct report_options options;
static int descriptors[KINDS];

static void require(bool condition)
{
	if (!condition)
		abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct channel_address address = {.fd = -1};

	(void)argc;
	(void)argv;
	if (unshare(CLONE_NEWNET))
		errno = 0; /* without the privilege there is no packet socket either */
	report_output_stream(&output, STDERR_FILENO);
	broker_init(&broker, &options, &output, &address, -1, -1);
	if (socktally_open(&broker.meter, NULL))
		broker.open_error = -EPERM;
	descriptors[UDP] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	descriptors[PACKET] = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	descriptors[DGRAM_PACKET] = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	descriptors[MEMORY_FILE] = memfd_create("file", MFD_CLOEXEC);
	descriptors[NOTHING] = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int kind = PACKET; kind < KINDS; kind++)
		if (descriptors[kind] < 0)
			descriptors[kind] = descriptors[NOTHING];
	broker.scratch = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return 0;
}

static int lowest_free(void)
{
	int fd = fcntl(descriptors[NOTHING], F_DUPFD_CLOEXEC, 0);

	require(fd >= 0);
	close(fd);
	return fd;
}

static void send_message(int to, const uint8_t *data, size_t size, const int *fds, size_t count)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(MAX_DESCRIPTORS * sizeof(int))];
	} control = {0};
	struct iovec part = {.iov_base = (void *)data, .iov_len = size};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (count) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
	}
	sendmsg(to, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Answers come to where they were asked for, whole, and at most a beginning and an end. */
static void check_answers(int fd, const struct channel_request *request, size_t size)
{
	static uint8_t bytes[sizeof(struct channel_reply) + 8 * CHANNEL_MAX_INSNS];
	struct channel_reply reply;
	ssize_t got;
	int answers = 0;

	while ((got = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_TRUNC)) > 0) {
		require(size >= sizeof(*request) && request->magic == CHANNEL_MAGIC);
		require(got >= (ssize_t)sizeof(reply) && got <= (ssize_t)sizeof(bytes));
		memcpy(&reply, bytes, sizeof(reply));
		require(reply.magic == CHANNEL_MAGIC && reply.version == CHANNEL_VERSION);
		require(reply.answer >= CHANNEL_BEGIN && reply.answer <= CHANNEL_PASS);
		require(got == (ssize_t)sizeof(reply) ||
			got == (ssize_t)(sizeof(reply) + 8 * reply.count));
		answers++;
	}
	require(answers <= 2);
}

/* What a request may leave behind. */
static void drop_kept(void)
{
	if (broker.finish_reply >= 0)
		close(broker.finish_reply);
	broker.finish_reply = -1;
}

static void one_message(const uint8_t *data, size_t size, const uint8_t *kinds, size_t count)
{
	struct channel_request request = {0};
	int channel[2], answers[2], fds[MAX_DESCRIPTORS];

	require(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel));
	require(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, answers));
	descriptors[REPLY] = answers[1];
	for (size_t i = 0; i < count; i++)
		fds[i] = descriptors[kinds[i] % KINDS];
	send_message(channel[0], data, size, fds, count);
	close(answers[1]);
	broker_request(&broker, channel[1]);
	memcpy(&request, data, size < sizeof(request) ? size : sizeof(request));
	check_answers(answers[0], &request, size);
	drop_kept();
	close(channel[0]);
	close(channel[1]);
	close(answers[0]);
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
	size_t count;

	if (!size)
		return 0;
	if (*data == '0' + CHANNEL_VERSION)
		parse_variable(data, size);
	count = *data % (MAX_DESCRIPTORS + 1);
	if (size > count)
		one_message(data + 1 + count, size - 1 - count, data + 1, count);
	require(lowest_free() == before);
	return 0;
}
