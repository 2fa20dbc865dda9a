// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* A question to the broker, and its answer. */
#include "proto/channel_open.h"
#include "preload/preload.h"
#include "preload/syscall.h"
#include <linux/filter.h>
#include <stdatomic.h>

/* Milliseconds for the broker to begin, to be done once it has begun, and to write its report. */
enum { BEGIN_TIMEOUT = 5000, DONE_TIMEOUT = 30000, FINISH_TIMEOUT = 2000 };

/*
 * The descriptors that were ours last: a child that is forked meanwhile has those that are open, too. Its
 * memory is copied after its descriptors, so what is open there may be in use here no more; the inode
 * tells whether it is what it was.
 */
enum { RECENT = 32 };
static struct {
	_Atomic uint64_t inode; /* 0: none */
	atomic_int fd;
} recent[RECENT];
static atomic_uint next_recent;

static void note_descriptor(int fd)
{
	unsigned int at = atomic_fetch_add(&next_recent, 1) % RECENT;
	struct stat status;

	if (fstat(fd, &status))
		return;
	recent[at].inode = 0;
	recent[at].fd = fd;
	recent[at].inode = status.st_ino;
}

void exchange_forked(void)
{
	int saved = errno;

	for (int i = 0; i < RECENT; i++) {
		struct stat status;
		int fd = recent[i].fd;

		if (recent[i].inode && !fstat(fd, &status) && S_ISSOCK(status.st_mode) &&
		    status.st_ino == recent[i].inode)
			raw_close(fd);
		recent[i].inode = 0;
	}
	errno = saved;
}

int exchange_try(struct exchange *exchange)
{
	int pair[2], error;

	exchange->saved_errno = errno;
	raw_block_signals(exchange->mask);
	if (!syscall(SYS_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
		exchange->mine = pair[0];
		exchange->theirs = pair[1];
		note_descriptor(exchange->mine);
		note_descriptor(exchange->theirs);
		return 0;
	}
	error = errno;
	raw_restore_signals(exchange->mask);
	errno = exchange->saved_errno;
	return error;
}

bool exchange_begin(struct exchange *exchange)
{
	int error = exchange_try(exchange);

	if (error)
		preload_say("can't ask the broker", error);
	return !error;
}

void exchange_end(struct exchange *exchange)
{
	raw_close(exchange->mine);
	if (exchange->theirs >= 0)
		raw_close(exchange->theirs);
	raw_restore_signals(exchange->mask);
	errno = exchange->saved_errno;
}

bool exchange_copy(struct exchange *exchange, void *to, const void *from, size_t size)
{
	struct iovec out = {.iov_base = (void *)from, .iov_len = size};
	struct iovec in = {.iov_base = to, .iov_len = size};
	struct msghdr send = {.msg_iov = &out, .msg_iovlen = 1};
	struct msghdr receive = {.msg_iov = &in, .msg_iovlen = 1};

	return raw_sendmsg(exchange->mine, &send) == (long)size &&
	       raw_recvmsg(exchange->theirs, &receive) == (long)size;
}

/* Sends when there is room: a broker that is behind has a while to catch up. */
static bool send_waiting(int fd, const struct msghdr *message)
{
	int64_t deadline = raw_milliseconds() + BEGIN_TIMEOUT;

	while (raw_sendmsg(fd, message) < 0) {
		if (errno != EAGAIN)
			return false;
		if (!raw_wait(fd, POLLOUT, deadline)) {
			errno = ETIMEDOUT;
			return false;
		}
	}
	return true;
}

/*
 * A new connection, for a process that has closed the channel. The address is not secret once it
 * is in use, so after the broker's end anybody could listen on it: see who it was.
 */
static int connect_broker(const struct channel_address *address)
{
	struct sockaddr_un name;
	socklen_t length = channel_sockaddr(&name, address), size;
	struct ucred peer;
	int fd =
		(int)syscall(SYS_socket, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	note_descriptor(fd);
	size = sizeof(peer);
	if (syscall(SYS_connect, fd, &name, length) ||
	    syscall(SYS_getsockopt, fd, SOL_SOCKET, SO_PEERCRED, &peer, &size)) {
		int error = errno;

		raw_close(fd);
		errno = error;
		return -1;
	}
	if (peer.uid != address->uid || (uint32_t)peer.pid != address->pid) {
		raw_close(fd);
		errno = ECONNREFUSED;
		return -1;
	}
	return fd;
}

static bool send_request(const struct channel_address *address, const struct msghdr *message)
{
	int fd, error;
	bool sent;

	if (preload_channel_is_open(address)) {
		if (send_waiting(address->fd, message))
			return true;
		if (errno != EPIPE && errno != ECONNRESET && errno != EBADF && errno != ENOTCONN)
			return false;
	}
	fd = connect_broker(address);
	if (fd < 0)
		return false;
	sent = send_waiting(fd, message);
	error = errno;
	raw_close(fd);
	errno = error;
	return sent;
}

static bool ask(struct exchange *exchange, const struct channel_address *address,
		struct channel_request *request, int fd, const void *body, size_t size)
{
	int descriptors[2] = {exchange->theirs, fd};
	size_t count = fd >= 0 ? 2 : 1;
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(descriptors))];
	} control = {0};
	struct iovec parts[2] = {{.iov_base = request, .iov_len = sizeof(*request)},
				 {.iov_base = (void *)body, .iov_len = size}};
	struct msghdr message = {.msg_iov = parts,
				 .msg_iovlen = size ? 2 : 1,
				 .msg_control = control.bytes,
				 .msg_controllen = CMSG_SPACE(count * sizeof(int))};

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(&control.header), descriptors, count * sizeof(int));
	request->magic = CHANNEL_MAGIC;
	request->version = CHANNEL_VERSION;
	memcpy(request->token, address->token, sizeof(request->token));
	request->fd = fd;
	request->count = (uint32_t)(size / sizeof(struct sock_filter));
	if (!send_request(address, &message))
		return false;
	raw_close(exchange->theirs); /* so that the broker's end is the last one */
	exchange->theirs = -1;
	return true;
}

/* One message of the broker's: what it answers; 0 with errno if there is none. */
static int receive(const struct exchange *exchange, struct channel_reply *reply, void *body,
		   size_t size, int64_t deadline)
{
	struct iovec parts[2] = {{.iov_base = reply, .iov_len = sizeof(*reply)},
				 {.iov_base = body, .iov_len = size}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = size ? 2 : 1};
	long got;

	if (!raw_wait(exchange->mine, POLLIN, deadline)) {
		errno = ETIMEDOUT;
		return 0;
	}
	got = raw_recvmsg(exchange->mine, &message);
	if (got < 0)
		return 0;
	if (!got) {
		errno = EPIPE;
		return 0;
	}
	if (got < (long)sizeof(*reply) || reply->magic != CHANNEL_MAGIC ||
	    reply->version != CHANNEL_VERSION) {
		errno = EPROTO;
		return 0;
	}
	return reply->answer;
}

/*
 * The broker hasn't begun in time. From here on it can't; but it may have done so just now, and then
 * the socket is in its hands until it closes its end. Once is enough: the next calls don't wait.
 */
static void give_up(const struct exchange *exchange)
{
	struct channel_reply reply;

	syscall(SYS_shutdown, exchange->mine, SHUT_RD);
	if (receive(exchange, &reply, NULL, 0, 0) == CHANNEL_BEGIN)
		raw_wait(exchange->mine, 0, raw_milliseconds() + DONE_TIMEOUT);
	preload_channel_end();
	errno = ETIMEDOUT;
}

bool exchange_ask(struct exchange *exchange, int fd, enum channel_op op, int ifindex,
		  uint32_t flags, const struct exchange_body *body, struct channel_reply *reply)
{
	static const struct exchange_body nothing;
	const struct channel_address *address = preload_channel();
	struct channel_request request = {.op = op, .ifindex = ifindex, .flags = flags};
	int answer;

	if (!address)
		return false;
	if (!body)
		body = &nothing;
	if (!ask(exchange, address, &request, fd, body->send, body->send_size)) {
		if (errno != EFAULT)
			preload_say("can't ask the broker", errno);
		return false;
	}
	answer = receive(exchange, reply, body->receive, body->receive_size,
			 raw_milliseconds() + BEGIN_TIMEOUT);
	if (answer == CHANNEL_BEGIN)
		answer = receive(exchange, reply, NULL, 0, raw_milliseconds() + DONE_TIMEOUT);
	else if (!answer && errno == ETIMEDOUT)
		give_up(exchange);
	if (answer == CHANNEL_DONE && (op == CHANNEL_ATTACH || op == CHANNEL_SET_FILTER))
		preload_note(fd, NOTE_METERED);
	if (answer == CHANNEL_DONE || answer == CHANNEL_PASS)
		return true;
	if (errno != EFAULT)
		preload_say("can't hear the broker", errno);
	return false;
}

enum channel_answer preload_ask(int fd, enum channel_op op, int ifindex, uint32_t flags, int *error)
{
	enum channel_answer answer = CHANNEL_PASS;
	struct channel_reply reply;
	struct exchange exchange;

	if (!exchange_begin(&exchange))
		return CHANNEL_PASS;
	if (exchange_ask(&exchange, fd, op, ifindex, flags, NULL, &reply)) {
		answer = reply.answer;
		*error = reply.error;
	}
	exchange_end(&exchange);
	return answer;
}

void preload_finish(const struct channel_address *address)
{
	struct channel_request request = {.op = CHANNEL_FINISH};
	struct channel_reply reply;
	struct exchange exchange;

	preload_channel_end();
	if (exchange_try(&exchange))
		return;
	if (ask(&exchange, address, &request, -1, NULL, 0)) {
		if (preload_channel_is_open(address))
			raw_close(address->fd);
		receive(&exchange, &reply, NULL, 0, raw_milliseconds() + FINISH_TIMEOUT);
	}
	exchange_end(&exchange);
}

enum { NOTED = 1024 };
static _Atomic unsigned char noted[NOTED];

enum preload_note preload_noted(int fd)
{
	return fd >= 0 && fd < NOTED ? noted[fd] : NOTE_OTHER;
}

void preload_note(int fd, enum preload_note note)
{
	if (fd >= 0 && fd < NOTED)
		noted[fd] = (unsigned char)note;
}

bool preload_meters(int fd)
{
	int saved = errno, domain;
	socklen_t size = sizeof(domain);
	bool packet =
		!real_getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) && domain == AF_PACKET;

	errno = saved;
	if (!packet)
		preload_note(fd, NOTE_OTHER);
	else if (preload_noted(fd) == NOTE_OTHER)
		preload_note(fd, NOTE_PACKET);
	return packet && preload_has_channel();
}
