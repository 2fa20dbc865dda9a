// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* One request of the shim: all of it is checked, then the library does it. */
#include "tools/broker/broker.h"
#include "plugin/attach/attach.h"
#include "tools/proc/packet_diag.h"

#include <errno.h>
#include <linux/filter.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71 /* Linux 5.14 */
#endif

enum { REPLY, TOOL_SOCKET, DESCRIPTORS };

struct request {
	struct channel_request head;
	struct sock_filter insns[CHANNEL_MAX_INSNS];
};

/* A message as it came. */
struct message {
	struct request *request;
	size_t size;
	pid_t pid;
	int fds[DESCRIPTORS];
	unsigned int fd_count;
	bool intact;
};

static int socket_option(int fd, int name)
{
	int value;
	socklen_t size = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, name, &value, &size) ? -1 : value;
}

/* Descriptors beyond those that a request has are closed. */
static void take_control(struct message *message, struct msghdr *header)
{
	for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part)) {
		size_t size = part->cmsg_len - CMSG_LEN(0);

		if (part->cmsg_level != SOL_SOCKET)
			continue;
		if (part->cmsg_type == SCM_CREDENTIALS && size >= sizeof(struct ucred)) {
			struct ucred sender;

			memcpy(&sender, CMSG_DATA(part), sizeof(sender));
			message->pid = sender.pid;
		} else if (part->cmsg_type == SCM_RIGHTS) {
			for (size_t at = 0; at + sizeof(int) <= size; at += sizeof(int)) {
				int fd;

				memcpy(&fd, CMSG_DATA(part) + at, sizeof(fd));
				if (message->fd_count < DESCRIPTORS) {
					message->fds[message->fd_count++] = fd;
				} else {
					close(fd);
					message->intact = false;
				}
			}
		}
	}
}

/* false: no more messages will come. */
static bool take_message(int from, struct message *message)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(struct ucred)) +
			   CMSG_SPACE(DESCRIPTORS * sizeof(int))];
	} control;
	struct iovec part = {.iov_base = message->request, .iov_len = sizeof(*message->request)};
	struct msghdr header = {.msg_iov = &part,
				.msg_iovlen = 1,
				.msg_control = control.bytes,
				.msg_controllen = sizeof(control.bytes)};
	ssize_t size = recvmsg(from, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	message->size = 0;
	message->fd_count = 0;
	message->pid = 0;
	message->intact = true;
	if (size < 0) {
		message->intact = false;
		return errno != ECONNRESET && errno != EPIPE && errno != ENOTCONN;
	}
	take_control(message, &header);
	message->size = (size_t)size;
	if (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		message->intact = false;
	/* 0: the end of the connection, or an empty message, which the shim never sends */
	return size > 0;
}

/* In constant time: how long it takes tells nothing about the token. */
static bool token_is_ours(const struct broker *broker, const uint8_t *token)
{
	uint8_t differs = 0;

	for (size_t i = 0; i < CHANNEL_TOKEN_SIZE; i++)
		differs |= (uint8_t)(token[i] ^ broker->address.token[i]);
	return !differs;
}

static bool message_is_valid(const struct broker *broker, const struct message *message)
{
	const struct channel_request *head = &message->request->head;
	bool filter, without_socket;

	if (!message->intact || message->size < sizeof(*head) || head->magic != CHANNEL_MAGIC ||
	    head->version != CHANNEL_VERSION || !token_is_ours(broker, head->token))
		return false;
	if (head->op < CHANNEL_ATTACH || head->op > CHANNEL_SECCOMP)
		return false;
	filter = head->op == CHANNEL_SET_FILTER;
	if (filter != (head->count > 0) || head->count > CHANNEL_MAX_INSNS ||
	    message->size != sizeof(*head) + head->count * sizeof(struct sock_filter))
		return false;
	without_socket = head->op == CHANNEL_FINISH || head->op == CHANNEL_SECCOMP;
	if (message->fd_count != (without_socket ? 1 : 2))
		return false;
	if (socket_option(message->fds[REPLY], SO_DOMAIN) != AF_UNIX ||
	    socket_option(message->fds[REPLY], SO_TYPE) != SOCK_SEQPACKET)
		return false;
	return without_socket || socket_option(message->fds[TOOL_SOCKET], SO_DOMAIN) == AF_PACKET;
}

static bool reply(const struct message *message, enum channel_answer answer, int error,
		  const struct sock_filter *insns, size_t count)
{
	struct channel_reply head = {.magic = CHANNEL_MAGIC,
				     .version = CHANNEL_VERSION,
				     .answer = answer,
				     .error = error,
				     .count = (uint32_t)count};
	struct iovec parts[2] = {
		{.iov_base = &head, .iov_len = sizeof(head)},
		{.iov_base = (void *)insns, .iov_len = count * sizeof(*insns)},
	};
	struct msghdr header = {.msg_iov = parts, .msg_iovlen = insns ? 2 : 1};

	return sendmsg(message->fds[REPLY], &header, MSG_DONTWAIT | MSG_NOSIGNAL) > 0;
}

static void done(const struct message *message, int error)
{
	reply(message, CHANNEL_DONE, error, NULL, 0);
}

static void pass_on(const struct message *message)
{
	reply(message, CHANNEL_PASS, 0, NULL, 0);
}

/* The library's message names the socket by our descriptor; the tool has another number for it. */
static void say_failure(struct broker *broker, const struct message *message, int error)
{
	const char *text = socktally_error(broker->meter), *after;
	char ours[32];

	snprintf(ours, sizeof(ours), "socket %d", message->fds[TOOL_SOCKET]);
	after = strstr(text, ours);
	if (after)
		broker_say(broker, message->pid, (uint32_t)-error, "%.*ssocket %d%s",
			   (int)(after - text), text, message->request->head.fd,
			   after + strlen(ours));
	else
		broker_say(broker, message->pid, (uint32_t)-error, "%s", text);
}

static void forget(struct broker *broker, int fd)
{
	uint64_t cookie = packet_diag_cookie(fd);

	broker_keep_names(broker, cookie);
	socktally_forget(broker->meter, cookie);
}

/*
 * The socket can't be metered (any more). It gets its own filter back before the tool's call goes to the
 * kernel: our program must not take up the option memory that the call needs.
 */
static void unmeter(struct broker *broker, const struct message *message, int error)
{
	int fd = message->fds[TOOL_SOCKET];

	say_failure(broker, message, error);
	broker_keep_names(broker, packet_diag_cookie(fd));
	if (socktally_detach(broker->meter, fd))
		forget(broker, fd);
}

static void attach(struct broker *broker, const struct message *message)
{
	const struct channel_request *head = &message->request->head;
	struct socktally_attach_opts opts = {.sz = sizeof(opts),
					     .ifindex = head->ifindex,
					     .flags = head->flags & CHANNEL_BEFORE_BIND
							      ? SOCKTALLY_ATTACH_BEFORE_BIND
							      : 0};
	int result;

	if (head->ifindex < 0) {
		pass_on(message); /* the kernel says that there is no such interface */
		return;
	}
	result = socktally_attach(broker->meter, message->fds[TOOL_SOCKET], &opts);
	if (!result) {
		broker_first_socket(broker, message->pid);
		done(message, 0);
		return;
	}
	say_failure(broker, message, result);
	pass_on(message);
}

static uint64_t net_cookie(int fd)
{
	uint64_t cookie = 0;
	socklen_t size = sizeof(cookie);

	return getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) ? 0 : cookie;
}

/*
 * What the kernel would say to the filter on a socket that has the tool's filters and not ours: 0 or
 * an errno value. It charges a filter to the socket's option memory before it releases the one
 * before, so that one goes first; the limit is that of a network namespace.
 */
static int kernel_result(struct broker *broker, const struct message *message)
{
	static struct sock_filter before[CHANNEL_MAX_INSNS];
	const struct request *request = message->request;
	struct sock_fprog program = {.filter = before};
	int fd = message->fds[TOOL_SOCKET], unused = 0, error;
	size_t count = CHANNEL_MAX_INSNS;

	if (broker->scratch < 0)
		broker->scratch = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (net_cookie(fd) == net_cookie(broker->scratch) &&
	    !socktally_get_filter(broker->meter, fd, before, &count)) {
		program.len = (unsigned short)count;
		setsockopt(broker->scratch, SOL_SOCKET, SO_ATTACH_FILTER, &program,
			   sizeof(program));
	}
	program.len = (unsigned short)request->head.count;
	program.filter = (struct sock_filter *)request->insns;
	error = setsockopt(broker->scratch, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program))
			? errno
			: 0;
	setsockopt(broker->scratch, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused));
	return error;
}

/*
 * Our scratch socket had no memory for the filter. That of the tool may have: the kernel is to say, with
 * what was on the socket before us. After the tool's call the shim asks for the socket to be metered again.
 */
static void leave_to_kernel(struct broker *broker, const struct message *message)
{
	int fd = message->fds[TOOL_SOCKET];
	uint64_t cookie = packet_diag_cookie(fd);

	broker_keep_names(broker, cookie);
	if (socktally_detach(broker->meter, fd))
		forget(broker, fd);
	broker->given_back = cookie;
	pass_on(message);
}

static void set_filter(struct broker *broker, const struct message *message)
{
	const struct request *request = message->request;
	int fd = message->fds[TOOL_SOCKET], error, result;

	if (socket_option(fd, SO_LOCK_FILTER) != 0) {
		pass_on(message); /* the kernel refuses it in its own words */
		return;
	}
	error = kernel_result(broker, message);
	if (error == ENOMEM && net_cookie(fd) == net_cookie(broker->scratch)) {
		leave_to_kernel(broker, message);
		return;
	}
	if (error) {
		pass_on(message);
		return;
	}
	result = socktally_set_filter(broker->meter, fd, request->insns, request->head.count);
	if (!result) {
		broker_first_socket(broker, message->pid);
		done(message, 0);
		return;
	}
	unmeter(broker, message, result);
	pass_on(message);
}

/* How many instructions the tool's filter has; -ENOENT: the kernel has it, not the meter. */
static int known_filter(struct broker *broker, int fd, struct sock_filter *insns, size_t room)
{
	size_t count = room;
	int result = socktally_get_filter(broker->meter, fd, insns, &count);

	if (result && result != -ENOSPC)
		return -ENOENT;
	/* an eBPF program is ours; anything else has taken its place */
	if (!st_filter_is_hidden(fd)) {
		forget(broker, fd);
		return -ENOENT;
	}
	return (int)count;
}

static void detach_filter(struct broker *broker, const struct message *message)
{
	int fd = message->fds[TOOL_SOCKET], result;
	int count = socket_option(fd, SO_LOCK_FILTER) ? -EPERM : known_filter(broker, fd, NULL, 0);

	if (count < 0) {
		pass_on(message);
	} else if (!count) {
		done(message, ENOENT);
	} else {
		result = socktally_set_filter(broker->meter, fd, NULL, 0);
		if (!result) {
			done(message, 0);
			return;
		}
		unmeter(broker, message, result);
		pass_on(message);
	}
}

/* Answers as sk_get_filter() in net/core/filter.c. */
static void get_filter(struct broker *broker, const struct message *message)
{
	struct sock_filter *insns = message->request->insns; /* the request has none */
	size_t room = message->request->head.flags;
	int count = known_filter(broker, message->fds[TOOL_SOCKET], insns, CHANNEL_MAX_INSNS);

	if (count < 0)
		pass_on(message);
	else if (!room || !count)
		reply(message, CHANNEL_DONE, 0, NULL, (size_t)count);
	else if (room < (size_t)count)
		done(message, EINVAL);
	else
		reply(message, CHANNEL_DONE, 0, insns, (size_t)count);
}

static void forget_socket(struct broker *broker, const struct message *message)
{
	const struct channel_request *head = &message->request->head;
	uint64_t cookie = packet_diag_cookie(message->fds[TOOL_SOCKET]);

	if (cookie && cookie == broker->given_back && !(head->flags & CHANNEL_EBPF)) {
		broker->given_back = 0;
		attach(broker, message); /* with the filter that it has now */
		return;
	}
	if (broker->meter)
		forget(broker, message->fds[TOOL_SOCKET]);
	if (head->flags & CHANNEL_EBPF)
		broker_say(broker, message->pid, EACCES,
			   "socket %d has an eBPF filter of its own: it can't be metered",
			   head->fd);
	done(message, 0);
}

static void finish(struct broker *broker, struct message *message)
{
	if (broker->finish_reply >= 0)
		close(broker->finish_reply);
	broker->finish_reply = message->fds[REPLY];
	message->fd_count = 0; /* kept until the report is written */
}

/* Each request takes its share of a second; unused time adds up to at most the burst. */
static void limit_rate(struct broker *broker, const struct message *message)
{
	const int64_t share = 1000000 / BROKER_RATE;
	struct timespec clock, rest = {0};
	int64_t now;

	clock_gettime(CLOCK_MONOTONIC, &clock);
	now = (int64_t)clock.tv_sec * 1000000 + clock.tv_nsec / 1000;
	if (broker->rate_used < now - BROKER_BURST * share)
		broker->rate_used = now - BROKER_BURST * share;
	if (broker->rate_used > now) {
		broker_say(broker, message->pid, EBUSY,
			   "sends more than %d requests a second: they are served at that rate",
			   BROKER_RATE);
		rest.tv_nsec = share * 1000;
		nanosleep(&rest, NULL);
	}
	broker->rate_used += share;
}

static bool can_be_metered(struct broker *broker, const struct message *message)
{
	int fd = message->fds[TOOL_SOCKET], number = message->request->head.fd;

	if (socket_option(fd, SO_TYPE) == SOCK_PACKET) {
		broker_say(broker, message->pid, EPROTOTYPE,
			   "socket %d is of the obsolete type SOCK_PACKET: it can't be metered",
			   number);
		return false;
	}
	if (!broker_has_meter(broker, message->pid))
		return false;
	if (broker_has_room(broker, packet_diag_cookie(fd)))
		return true;
	broker_say(broker, message->pid, ENOSPC,
		   "socket %d is one more than the %d that can be metered at a time: it goes on "
		   "unmetered",
		   number, BROKER_SOCKETS);
	return false;
}

static void serve(struct broker *broker, struct message *message)
{
	static void (*const serve_op[])(struct broker *, const struct message *) = {
		[CHANNEL_ATTACH] = attach,
		[CHANNEL_SET_FILTER] = set_filter,
		[CHANNEL_DETACH_FILTER] = detach_filter,
		[CHANNEL_GET_FILTER] = get_filter,
	};
	unsigned int op = message->request->head.op;

	if (op == CHANNEL_FINISH) {
		finish(broker, message);
		return;
	}
	if (op == CHANNEL_SECCOMP) {
		done(message, broker->seccomp_said ? EALREADY : 0);
		broker->seccomp_said = true;
		return;
	}
	broker->contacted = true;
	broker_watch_asked(broker, packet_diag_cookie(message->fds[TOOL_SOCKET]));
	if (op != CHANNEL_GET_FILTER && !reply(message, CHANNEL_BEGIN, 0, NULL, 0))
		return; /* the shim has given up, and the tool uses its socket */
	if (op == CHANNEL_FORGET) {
		forget_socket(broker, message);
	} else if (!can_be_metered(broker, message)) {
		pass_on(message);
	} else {
		if (op != CHANNEL_GET_FILTER)
			limit_rate(broker, message);
		serve_op[op](broker, message);
	}
}

bool broker_request(struct broker *broker, int fd)
{
	static struct request request;
	struct message message = {.request = &request};
	bool more = take_message(fd, &message);

	if (message_is_valid(broker, &message))
		serve(broker, &message);
	else if (message.size > 0)
		broker_say(broker, message.pid, EBADMSG, "sent a request that makes no sense");
	for (unsigned int i = 0; i < message.fd_count; i++)
		close(message.fds[i]);
	return more;
}
