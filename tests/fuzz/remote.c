// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Fuzzes the library as the client of a broker: any replies, with or without descriptors. It ends each
 * conversation with a meter or an error, and keeps no descriptor.
 */
#include "plugin/remote/remote.h"
#include "proto/broker.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int table;
static struct socktally *meter;

static void require(bool condition)
{
	if (!condition)
		abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct socktally_open_opts opts = {.sz = sizeof(opts), .flags = SOCKTALLY_OPEN_USERSPACE};

	(void)argc;
	(void)argv;
	table = memfd_create("table", MFD_CLOEXEC);
	require(table >= 0 && !ftruncate(table, 1 << 20) && !socktally_open(&meter, &opts));
	return 0;
}

static int lowest_free(void)
{
	int fd = fcntl(table, F_DUPFD_CLOEXEC, 0);

	require(fd >= 0);
	close(fd);
	return fd;
}

static void send_reply(int to, const uint8_t *data, size_t size, bool with_descriptor)
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
		memcpy(CMSG_DATA(&control.header), &table, sizeof(table));
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
	}
	sendmsg(to, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* All replies are there before the request; then the broker is gone. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct st_socket_link link = {.link = ST_LINK_ETH};
	int before = lowest_free(), pair[2], program;
	uint32_t id;

	require(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
	while (size > 3) {
		size_t length = data[0] | (size_t)data[1] << 8;

		length = length < size - 3 ? length : size - 3;
		send_reply(pair[0], data + 3, length, data[2] & 1);
		data += 3 + length;
		size -= 3 + length;
	}
	shutdown(pair[0], SHUT_WR);
	meter->remote = pair[1];
	meter->remote_serial = 0;
	program = st_remote_load(meter, 1, &link, NULL, 0, &id);
	if (program >= 0)
		close(program);
	else
		require(*socktally_error(meter));
	meter->remote = -1;
	close(pair[0]);
	close(pair[1]);
	require(lowest_free() == before);
	return 0;
}
