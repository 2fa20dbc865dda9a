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
 * The shim's last descriptors. A child that is forked by another thread meanwhile has copies of those that
 * are open, and must close them. fork() copies memory after descriptors, so the list may be of a later
 * moment than the child's descriptors: the inode tells whether a number is still that socket.
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

	if (raw_fstat(fd, &status))
		return;
	recent[at].inode = 0;
	recent[at].fd = fd;
	recent[at].inode = status.st_ino;
}

void rpc_forked(void)
{
	int saved = errno;

	for (int i = 0; i < RECENT; i++) {
		struct stat status;
		int fd = recent[i].fd;

		if (recent[i].inode && !raw_fstat(fd, &status) && S_ISSOCK(status.st_mode) &&
		    status.st_ino == recent[i].inode)
			raw_close(fd);
		recent[i].inode = 0;
	}
	errno = saved;
}

static int open_pair(struct rpc *rpc)
{
	int pair[2];

	rpc->mine = rpc->theirs = -1;
	rpc->saved_errno = errno;
	raw_block_signals(&rpc->signals);
	if (raw_syscall(SYS_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return errno;
	rpc->mine = pair[0];
	rpc->theirs = pair[1];
	note_descriptor(rpc->mine);
	note_descriptor(rpc->theirs);
	return 0;
}

int rpc_try(struct rpc *rpc)
{
	int error = open_pair(rpc);

	if (error)
		rpc_end(rpc);
	return error;
}

bool rpc_begin(struct rpc *rpc)
{
	int error = rpc_try(rpc);

	if (error)
		warn("can't ask the broker", error);
	return !error;
}

void rpc_begin_copies(struct rpc *rpc)
{
	open_pair(rpc);
}

void rpc_end(struct rpc *rpc)
{
	if (rpc->mine >= 0)
		raw_close(rpc->mine);
	if (rpc->theirs >= 0)
		raw_close(rpc->theirs);
	raw_restore_signals(&rpc->signals);
	errno = rpc->saved_errno;
}

/* Without descriptors. Not always possible: a container's seccomp filter may refuse it. */
static bool copy_memory(const struct iovec *to, const struct iovec *from)
{
	long copied = raw_syscall(SYS_process_vm_readv, raw_syscall(SYS_getpid), to, 1, from, 1, 0);

	if (copied >= 0 && copied < (long)to->iov_len)
		errno = EFAULT;
	return copied == (long)to->iov_len;
}

bool rpc_copy(struct rpc *rpc, void *to, const void *from, size_t size)
{
	struct iovec out = {.iov_base = (void *)from, .iov_len = size};
	struct iovec in = {.iov_base = to, .iov_len = size};
	struct msghdr send = {.msg_iov = &out, .msg_iovlen = 1};
	struct msghdr receive = {.msg_iov = &in, .msg_iovlen = 1};

	if (rpc->mine < 0)
		return copy_memory(&in, &out);
	return raw_sendmsg(rpc->mine, &send) == (long)size &&
	       raw_recvmsg(rpc->theirs, &receive) == (long)size;
}

/* Waits for room, for a while: the broker may be behind. */
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
 * A new connection, for a process that has closed the channel. An address in use can be seen by anybody
 * (/proc/net/unix), who could listen on it after the broker's end: so look who listens.
 */
static int connect_broker(const struct channel_address *address)
{
	struct sockaddr_un name;
	socklen_t length = channel_sockaddr(&name, address), size;
	struct ucred peer;
	int fd = (int)raw_syscall(SYS_socket, AF_UNIX,
				  SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	note_descriptor(fd);
	size = sizeof(peer);
	if (raw_syscall(SYS_connect, fd, &name, length) ||
	    raw_getsockopt(fd, SO_PEERCRED, &peer, &size)) {
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

static bool ask(struct rpc *rpc, const struct channel_address *address,
		struct channel_request *request, int fd, const void *body, size_t size)
{
	int descriptors[2] = {rpc->theirs, fd};
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
	raw_close(rpc->theirs); /* the broker's copy is the last one: its end is seen here */
	rpc->theirs = -1;
	return true;
}

/* The answer in the broker's next message; 0 with errno: there is none. */
static int receive(const struct rpc *rpc, struct channel_reply *reply, void *body, size_t size,
		   int64_t deadline)
{
	struct iovec parts[2] = {{.iov_base = reply, .iov_len = sizeof(*reply)},
				 {.iov_base = body, .iov_len = size}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = size ? 2 : 1};
	long got;

	if (!raw_wait(rpc->mine, POLLIN, deadline)) {
		errno = ETIMEDOUT;
		return 0;
	}
	got = raw_recvmsg(rpc->mine, &message);
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
 * The broker hasn't begun in time. After the shutdown() it can't any more. If it has begun just before, it
 * changes the socket until it closes its end: wait for that. Later calls of the tool's don't ask.
 */
static void give_up(const struct rpc *rpc)
{
	struct channel_reply reply;

	raw_syscall(SYS_shutdown, rpc->mine, SHUT_RD);
	if (receive(rpc, &reply, NULL, 0, 0) == CHANNEL_BEGIN)
		raw_wait(rpc->mine, 0, raw_milliseconds() + DONE_TIMEOUT);
	preload_channel_end();
	errno = ETIMEDOUT;
}

bool rpc_ask(struct rpc *rpc, int fd, enum channel_op op, int ifindex, uint32_t flags,
	     const struct rpc_body *body, struct channel_reply *reply)
{
	static const struct rpc_body nothing;
	const struct channel_address *address = preload_channel();
	struct channel_request request = {.op = op, .ifindex = ifindex, .flags = flags};
	int answer;

	if (!address)
		return false;
	if (!body)
		body = &nothing;
	if (!ask(rpc, address, &request, fd, body->send, body->send_size)) {
		if (errno != EFAULT)
			warn("can't ask the broker", errno);
		return false;
	}
	answer = receive(rpc, reply, body->receive, body->receive_size,
			 raw_milliseconds() + BEGIN_TIMEOUT);
	if (answer == CHANNEL_BEGIN)
		answer = receive(rpc, reply, NULL, 0, raw_milliseconds() + DONE_TIMEOUT);
	else if (!answer && errno == ETIMEDOUT)
		give_up(rpc);
	if (answer == CHANNEL_DONE || answer == CHANNEL_PASS)
		return true;
	if (errno != EFAULT)
		warn("can't hear the broker", errno);
	return false;
}

enum channel_answer rpc_call(int fd, enum channel_op op, int ifindex, uint32_t flags, int *error)
{
	enum channel_answer answer = CHANNEL_PASS;
	struct channel_reply reply;
	struct rpc rpc;

	if (!rpc_begin(&rpc))
		return CHANNEL_PASS;
	if (rpc_ask(&rpc, fd, op, ifindex, flags, NULL, &reply)) {
		answer = reply.answer;
		*error = reply.error;
	}
	rpc_end(&rpc);
	return answer;
}

bool rpc_first_seccomp(void)
{
	struct channel_reply reply;
	struct rpc rpc;
	bool first;

	if (rpc_try(&rpc))
		return true;
	first = !rpc_ask(&rpc, -1, CHANNEL_SECCOMP, 0, 0, NULL, &reply) || reply.error != EALREADY;
	rpc_end(&rpc);
	return first;
}

void rpc_finish(const struct channel_address *address)
{
	struct channel_request request = {.op = CHANNEL_FINISH};
	struct channel_reply reply;
	struct rpc rpc;

	preload_channel_end();
	if (rpc_try(&rpc))
		return;
	if (ask(&rpc, address, &request, -1, NULL, 0)) {
		if (preload_channel_is_open(address))
			raw_close(address->fd);
		receive(&rpc, &reply, NULL, 0, raw_milliseconds() + FINISH_TIMEOUT);
	}
	rpc_end(&rpc);
}
