// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Requests come faster than BROKER_RATE: they are served at that rate, none is lost, and one line says so. */
#include "tools/broker/broker.h"

#include <errno.h>
#include <linux/filter.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUESTS = 50 };

static int tests, failed;

static void ok(bool good, const char *name)
{
	printf("%sok %d - %s\n", good ? "" : "not ", ++tests, name);
	failed += !good;
}

/* The last answer to the request about the socket; 0: none. */
static int ask(struct broker *broker, int channel, enum channel_op op, int fd,
	       const struct sock_filter *insns, size_t count)
{
	struct channel_request request = {.magic = CHANNEL_MAGIC,
					  .version = CHANNEL_VERSION,
					  .op = op,
					  .fd = fd,
					  .count = (uint32_t)count};
	struct iovec parts[2] = {{&request, sizeof(request)}, {(void *)insns, 8 * count}};
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(2 * sizeof(int))];
	} control = {0};
	struct msghdr message = {.msg_iov = parts,
				 .msg_iovlen = count ? 2 : 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};
	struct channel_reply reply = {0};
	int pair[2], answer = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return 0;
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(2 * sizeof(int));
	memcpy(CMSG_DATA(&control.header), (int[]){pair[1], fd}, 2 * sizeof(int));
	if (sendmsg(channel, &message, 0) < 0)
		return 0;
	close(pair[1]);
	broker_request(broker, broker->channel);
	while (recv(pair[0], &reply, sizeof(reply), MSG_DONTWAIT) == sizeof(reply))
		answer = reply.answer;
	close(pair[0]);
	return answer;
}

/* How many instructions of a classic filter the socket has; -1: it's eBPF. */
static int classic(int fd)
{
	socklen_t length = 0;

	return getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &length) ? -1 : (int)length;
}

static int64_t microseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int main(void)
{
	static const struct sock_filter accept_all[] = {BPF_STMT(BPF_RET | BPF_K, 0xffff)};
	const int64_t hour = 3600 * INT64_C(1000000);
	struct report_options options = {0};
	struct channel_address address = {.fd = -1};
	struct report_output output;
	struct broker broker;
	int64_t start;
	int served = 0, pair[2], fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return 1;
	report_output_stream(&output, STDERR_FILENO);
	broker_init(&broker, &options, &output, &address, pair[0], -1);
	if (fd < 0 || socktally_open(&broker.meter, NULL)) {
		printf("1..0 # SKIP BPF is not permitted\n");
		return 0;
	}
	ok(ask(&broker, pair[1], CHANNEL_SET_FILTER, fd, accept_all, 1) == CHANNEL_DONE, "served");
	ok(classic(fd) == -1, "and metered");
	ok(!broker.said_count, "with nothing to say");
	broker.rate_used = start = microseconds();
	for (int i = 0; i < REQUESTS; i++)
		served += ask(&broker, pair[1], i & 1 ? CHANNEL_SET_FILTER : CHANNEL_ATTACH, fd,
			      accept_all, i & 1) == CHANNEL_DONE;
	ok(served == REQUESTS, "beyond the burst every request is served");
	ok(microseconds() - start > (REQUESTS - 1) * INT64_C(1000000) / BROKER_RATE,
	   "no faster than at the rate");
	ok(broker.said_count == 1, "said once");
	broker.rate_used = microseconds() - hour;
	ok(ask(&broker, pair[1], CHANNEL_ATTACH, fd, NULL, 0) == CHANNEL_DONE &&
		   broker.rate_used > microseconds() - hour / 2,
	   "what was not used for long is no more than a burst");
	broker_close(&broker);
	close(pair[1]);
	close(fd);
	printf("1..%d\n", tests);
	return failed != 0;
}
