// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* A question to the broker, and its answer. */
#include "proto/channel_open.h"
#include "preload/preload.h"
#include "preload/syscall.h"
#include <linux/filter.h>
#include <stdatomic.h>

/*
 * Milliseconds for a question in all. When the broker has not answered in time, the next question has what is
 * left, and then the least: so a broker that hangs costs a process this long once. One that answers again is
 * trusted again.
 */
enum { PATIENCE = 1000, LEAST_PATIENCE = 20 };
/* For the broker to write its report. */
enum { FINISH_TIMEOUT = 2000 };
/* Connections in the channel that the broker has given up since: more than it has at a time. */
enum { CONNECTION_TRIES = 64 };

static atomic_int patience = PATIENCE;

/*
 * The shim's last descriptors. A child that is forked by another thread meanwhile has copies of those that
 * are open, and must close them. fork() copies memory after descriptors, so the list may be of a later
 * moment than the child's descriptors: the inode tells whether a number is still that file.
 */
enum { RECENT = 32 };
static struct {
	_Atomic uint64_t inode; /* 0: none */
	atomic_int fd;
} recent[RECENT];
static atomic_uint next_recent;

void rpc_note_descriptor(int fd)
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

static void close_one(int *fd)
{
	if (*fd >= 0)
		raw_close(*fd);
	*fd = -1;
}

void rpc_begin(struct rpc *rpc)
{
	*rpc = (struct rpc){.connection = -1, .saved_errno = errno};
	raw_block_signals(&rpc->signals);
}

void rpc_end(struct rpc *rpc)
{
	close_one(&rpc->connection);
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

bool rpc_copy(void *to, const void *from, size_t size)
{
	struct iovec out = {.iov_base = (void *)from, .iov_len = size};
	struct iovec in = {.iov_base = to, .iov_len = size};
	struct msghdr send = {.msg_iov = &out, .msg_iovlen = 1};
	struct msghdr receive = {.msg_iov = &in, .msg_iovlen = 1};
	int pair[2], error;
	bool copied;

	if (raw_syscall(SYS_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return copy_memory(&in, &out);
	rpc_note_descriptor(pair[0]);
	rpc_note_descriptor(pair[1]);
	copied = raw_sendmsg(pair[0], &send) == (long)size &&
		 raw_recvmsg(pair[1], &receive) == (long)size;
	error = errno;
	raw_close(pair[0]);
	raw_close(pair[1]);
	errno = error;
	return copied;
}

/* The next message, with a descriptor or -1; -1: errno. A descriptor for which there is no number is lost. */
static long receive(int fd, struct iovec *parts, size_t count, int *descriptor)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr message = {.msg_iov = parts,
				 .msg_iovlen = count,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};
	long got = raw_recvmsg(fd, &message);

	*descriptor = -1;
	if (got < 0)
		return got;
	if (message.msg_controllen >= CMSG_LEN(sizeof(int)) &&
	    control.header.cmsg_level == SOL_SOCKET && control.header.cmsg_type == SCM_RIGHTS &&
	    control.header.cmsg_len == CMSG_LEN(sizeof(int))) {
		memcpy(descriptor, CMSG_DATA(&control.header), sizeof(*descriptor));
		rpc_note_descriptor(*descriptor);
	} else if (message.msg_flags & MSG_CTRUNC) {
		errno = EMFILE;
		return -1;
	}
	return got;
}

/*
 * A connection of those in the channel. For each that is taken the broker puts in another one. It is told so
 * also where there is none: whoever took the last ones may have ended before telling. -1: errno; EPIPE: the
 * channel has ended.
 */
static int take_connection(int channel, int64_t deadline)
{
	char byte = 0;
	struct iovec part = {.iov_base = &byte, .iov_len = 1};
	struct msghdr more = {.msg_iov = &part, .msg_iovlen = 1};

	for (;;) {
		int fd, error;
		long got = receive(channel, &part, 1, &fd);

		error = errno;
		if (!got) {
			errno = EPIPE;
			return -1;
		}
		raw_sendmsg(channel, &more);
		if (got > 0 && fd >= 0)
			return fd;
		errno = error;
		if (got < 0 && errno != EAGAIN)
			return -1;
		if (got < 0 && !raw_wait(channel, POLLIN, deadline)) {
			errno = ETIMEDOUT;
			return -1;
		}
	}
}

static bool say_hello(int fd, const struct channel_address *address)
{
	struct broker_hello hello = {.magic = BROKER_MAGIC, .version = BROKER_VERSION};
	struct iovec part = {.iov_base = &hello, .iov_len = sizeof(hello)};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	memcpy(hello.token, address->token, sizeof(hello.token));
	return raw_sendmsg(fd, &message) == sizeof(hello);
}

/*
 * A connection for a process that has closed the channel. An address in use can be seen by anybody
 * (/proc/net/unix), who could listen on it after the broker's end: so look who listens.
 */
static int connect_broker(const struct channel_address *address)
{
	struct sockaddr_un name;
	socklen_t length = channel_sockaddr(&name, address), size;
	struct ucred peer;
	int error, fd = (int)raw_syscall(SYS_socket, AF_UNIX,
					 SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	rpc_note_descriptor(fd);
	size = sizeof(peer);
	if (raw_syscall(SYS_connect, fd, &name, length) ||
	    raw_getsockopt(fd, SO_PEERCRED, &peer, &size))
		error = errno;
	else if (peer.uid != address->uid || (uint32_t)peer.pid != address->pid)
		error = ECONNREFUSED;
	else
		error = say_hello(fd, address) ? 0 : errno;
	if (!error)
		return fd;
	raw_close(fd);
	errno = error;
	return -1;
}

static bool is_gone(int error)
{
	return error == EPIPE || error == ECONNRESET || error == ENOTCONN;
}

/* The request is as large as a connection has room for, and is the first thing on it. */
static bool send_request(struct rpc *rpc, const struct channel_address *address,
			 const struct msghdr *message)
{
	bool open = preload_channel_is_open(address);

	for (int tries = 0; open && tries < CONNECTION_TRIES; tries++) {
		rpc->connection = take_connection(address->fd, rpc->deadline);
		if (rpc->connection < 0 && !is_gone(errno))
			return false;
		if (rpc->connection < 0)
			break;
		if (raw_sendmsg(rpc->connection, message) >= 0)
			return true;
		if (!is_gone(errno))
			return false;
		close_one(&rpc->connection);
	}
	rpc->connection = connect_broker(address);
	return rpc->connection >= 0 && raw_sendmsg(rpc->connection, message) >= 0;
}

static bool ask(struct rpc *rpc, const struct channel_address *address,
		struct broker_request *request, const void *body, size_t size)
{
	struct iovec parts[2] = {{.iov_base = request, .iov_len = sizeof(*request)},
				 {.iov_base = (void *)body, .iov_len = size}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = size ? 2 : 1};

	request->magic = BROKER_MAGIC;
	request->version = BROKER_VERSION;
	return send_request(rpc, address, &message);
}

/* false, with errno: there is no answer. */
static bool take_reply(const struct rpc *rpc, struct broker_reply *reply, void *body, size_t size,
		       int *program)
{
	struct iovec parts[2] = {{.iov_base = reply, .iov_len = sizeof(*reply)},
				 {.iov_base = body, .iov_len = size}};
	long got;

	if (!raw_wait(rpc->connection, POLLIN, rpc->deadline)) {
		errno = ETIMEDOUT;
		return false;
	}
	got = receive(rpc->connection, parts, size ? 2 : 1, program);
	if (got < 0)
		return false;
	if (got >= (long)sizeof(*reply) && reply->magic == BROKER_MAGIC &&
	    reply->version == BROKER_VERSION &&
	    (reply->answer == BROKER_PROGRAM) == (*program >= 0))
		return true;
	close_one(program);
	errno = got ? EPROTO : EPIPE;
	return false;
}

/* loud: what fails leaves something unmetered, and a line says so. */
static bool exchange(struct rpc *rpc, struct broker_request *request, const struct rpc_body *body,
		     struct broker_reply *reply, int *program, bool loud)
{
	static const struct rpc_body nothing;
	const struct channel_address *address = preload_channel();
	int own, left = patience;
	const int64_t began = raw_milliseconds();

	if (!address)
		return false;
	if (!body)
		body = &nothing;
	if (!program)
		program = &own;
	*program = -1;
	rpc->deadline = began + left;
	if (!ask(rpc, address, request, body->send, body->send_size)) {
		if (loud && errno != EFAULT)
			warn("can't ask the broker", errno);
	} else if (take_reply(rpc, reply, body->receive, body->receive_size, program)) {
		patience = PATIENCE;
		return true;
	} else if (loud && errno != EFAULT) {
		warn("can't hear the broker", errno);
	}
	if (errno == ETIMEDOUT) {
		left -= (int)(raw_milliseconds() - began);
		patience = left > LEAST_PATIENCE ? left : LEAST_PATIENCE;
	}
	return false;
}

bool rpc_ask(struct rpc *rpc, struct broker_request *request, const struct rpc_body *body,
	     struct broker_reply *reply, int *program)
{
	return exchange(rpc, request, body, reply, program, true);
}

void rpc_tell_attached(struct rpc *rpc, int fd, int error)
{
	struct broker_request request;

	question_begin(&request, BROKER_ATTACHED, fd);
	request.error = error;
	request.magic = BROKER_MAGIC;
	request.version = BROKER_VERSION;
	raw_sendmsg(rpc->connection,
		    &(struct msghdr){.msg_iov = &(struct iovec){.iov_base = &request,
								.iov_len = sizeof(request)},
				     .msg_iovlen = 1});
	close_one(&rpc->connection);
}

void rpc_forget(int fd, uint32_t flags)
{
	struct broker_request request;
	struct broker_reply reply;
	struct rpc rpc;

	rpc_begin(&rpc);
	question_begin(&request, BROKER_FORGET, fd);
	request.flags = flags;
	rpc_ask(&rpc, &request, NULL, &reply, NULL);
	rpc_end(&rpc);
}

void rpc_tell_statistics(int fd, const void *statistics, size_t size)
{
	struct broker_request request;
	struct broker_reply reply;
	struct rpc rpc;

	rpc_begin(&rpc);
	question_begin(&request, BROKER_STATISTICS, fd);
	if (size > sizeof(request.statistics))
		size = sizeof(request.statistics);
	if (rpc_copy(request.statistics, statistics, size))
		exchange(&rpc, &request, NULL, &reply, NULL, false);
	rpc_end(&rpc);
}

bool rpc_first_seccomp(void)
{
	struct broker_request request = {.op = BROKER_SECCOMP};
	struct broker_reply reply;
	struct rpc rpc;
	bool first;

	rpc_begin(&rpc);
	first = !exchange(&rpc, &request, NULL, &reply, NULL, false) || reply.error != EALREADY;
	rpc_end(&rpc);
	return first;
}

void rpc_finish(const struct channel_address *address)
{
	struct broker_request request = {.op = BROKER_FINISH};
	struct broker_reply reply;
	struct rpc rpc;
	int program = -1;

	preload_channel_end();
	rpc_begin(&rpc);
	rpc.deadline = raw_milliseconds() + FINISH_TIMEOUT;
	if (ask(&rpc, address, &request, NULL, 0)) {
		if (preload_channel_is_open(address))
			raw_close(address->fd);
		take_reply(&rpc, &reply, NULL, 0, &program);
	}
	close_one(&program);
	rpc_end(&rpc);
}
