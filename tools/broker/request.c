// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* One request of the shim. */
#include "tools/broker/worker.h"
#include "plugin/attach/linktype.h"
#include "plugin/attach/saved_filter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A request on its way, and who has sent it. */
struct question {
	struct worker *worker;
	struct worker_connection *connection;
	const struct server_message *message;
	pid_t pid;
};

static const struct broker_request *head_of(const struct question *question)
{
	return &question->message->head;
}

static bool answer(const struct question *question, enum broker_answer answer, int error)
{
	struct broker_reply reply = {.answer = (uint16_t)answer, .error = error};

	return server_reply(question->connection->fd, head_of(question), &reply, -1);
}

static bool pass_on(const struct question *question)
{
	return answer(question, BROKER_PASS, 0);
}

/* Why the socket is not metered: as the meter says it. */
static bool refuse(const struct question *question, int error)
{
	struct worker *worker = question->worker;

	worker_say(worker, question->pid, (uint32_t)-error, "%s", socktally_error(worker->meter));
	return answer(question, BROKER_PASS, error);
}

static struct st_attachment *known(const struct question *question)
{
	const struct worker *worker = question->worker;

	return worker->meter ? st_attachment_find(worker->meter, head_of(question)->cookie) : NULL;
}

static void forget(const struct question *question)
{
	if (known(question))
		worker_forget(question->worker, head_of(question)->cookie);
}

/* The link of the socket's packets, from what the shim says: as st_socket_link_read() has it. */
static void take_link(const struct broker_request *request, struct st_socket_link *link)
{
	memset(link, 0, sizeof(*link));
	link->ifindex = request->ifindex;
	memcpy(link->interface, request->interface, sizeof(link->interface) - 1);
	if (request->type == SOCK_DGRAM)
		link->link = ST_LINK_SLL;
	else if (request->ifindex)
		link->link = st_link_of_hardware(request->hardware);
	else
		st_socket_link_widen(link);
}

/* Classes are programs of their own for each kind of link. */
static int serve_classes(struct worker *worker, const struct st_socket_link *link)
{
	int result = worker->classes ? worker_serve_classes(worker, link) : 0;

	if (result)
		st_fail(worker->meter, result, "%s: its classes can't be made: %s",
			worker->meter->socket_label, strerror(-result));
	return result;
}

/* What becomes the socket's attachment when its program is on it. */
static struct st_attachment *new_attachment(const struct broker_request *request,
					    const struct st_socket_link *link,
					    const struct sock_filter *insns, size_t count)
{
	struct st_attachment *attachment = calloc(1, sizeof(*attachment));

	if (!attachment)
		return NULL;
	attachment->cookie = request->cookie;
	attachment->socket_link = *link;
	attachment->fd = request->fd;
	attachment->count = count;
	attachment->insns = malloc((count ? count : 1) * sizeof(*insns));
	if (!attachment->insns) {
		free(attachment);
		return NULL;
	}
	if (count)
		memcpy(attachment->insns, insns, count * sizeof(*insns));
	return attachment;
}

void worker_drop_given(struct worker_connection *connection)
{
	if (connection->given)
		free(connection->given->insns);
	free(connection->given);
	connection->given = NULL;
}

static void say_if_slowed(const struct question *question)
{
	if (question->worker->budget.slowed)
		worker_say(question->worker, question->pid, EBUSY,
			   "sends more than %d requests a second: they are served at that rate",
			   SERVER_LOADS_PER_SECOND);
}

/* Sends a program for the socket with this link and filter. */
static bool give(const struct question *question, const struct st_socket_link *link,
		 const struct sock_filter *insns, size_t count)
{
	struct worker *worker = question->worker;
	struct socktally *meter = worker->meter;
	const struct broker_request *head = head_of(question);
	struct broker_reply reply = {0};
	struct st_attachment *attachment;
	size_t memory;
	int prog;
	bool sent;

	snprintf(meter->socket_label, sizeof(meter->socket_label), "%s: socket %d", link->interface,
		 head->fd);
	prog = serve_classes(worker, link);
	if (!prog)
		prog = server_load(meter, &worker->budget, link, insns, count, &reply.program,
				   &memory);
	say_if_slowed(question);
	if (prog < 0)
		return refuse(question, prog);
	attachment = new_attachment(head, link, insns, count);
	if (!attachment) {
		close(prog);
		return pass_on(question);
	}
	attachment->program = reply.program;
	st_saved_filter_leave(prog, head->cookie, meter->user, meter->pid, insns, count);
	worker_drop_given(question->connection);
	question->connection->given = attachment;
	question->connection->count = (uint32_t)count;
	sent = server_reply(question->connection->fd, head, &reply, prog);
	close(prog);
	return sent;
}

static void tell_attached(const struct question *question, const struct st_attachment *attachment)
{
	struct worker_note note = {.kind = WORKER_ATTACHED,
				   .pid = question->pid,
				   .cookie = attachment->cookie,
				   .fd = attachment->fd,
				   .program = attachment->program,
				   .option_memory = attachment->option_memory,
				   .link = attachment->socket_link,
				   .count = (uint32_t)attachment->count};

	worker_tell(question->worker, &note, attachment->insns);
}

/* The program that was sent last is on its socket, or can't be. */
static void attached(const struct question *question)
{
	struct worker *worker = question->worker;
	struct worker_connection *connection = question->connection;
	const struct broker_request *head = head_of(question);
	struct st_attachment *attachment = connection->given;

	if (!attachment || attachment->cookie != head->cookie)
		return;
	if (head->error || st_attachments_reserve(worker->meter)) {
		if (head->error > 0 && head->error < 4096 && head->error != EAGAIN) {
			st_attach_failed(worker->meter, -head->error, connection->count);
			worker_say(worker, question->pid, (uint32_t)head->error, "%s",
				   socktally_error(worker->meter));
			forget(question);
		}
		return;
	}
	attachment->option_memory = head->option_memory;
	connection->given = NULL;
	st_attachment_keep(worker->meter, attachment);
	tell_attached(question, attachment);
}

/* Whether the program made for `old` reads the packets that come by `new` rightly, too. */
static bool link_serves(const struct st_socket_link *old, const struct st_socket_link *new)
{
	return old->link == new->link ||
	       (old->link == ST_LINK_ANY && (new->link == ST_LINK_ETH || new->link == ST_LINK_RAW));
}

static bool attach(const struct question *question)
{
	const struct broker_request *head = head_of(question);
	struct st_attachment *attachment = known(question);
	struct st_socket_link link;

	take_link(head, &link);
	if (!(head->flags & BROKER_HIDDEN)) {
		if (link.ifindex && !(head->flags & BROKER_BEFORE_BIND))
			st_socket_link_widen(&link); /* packets of both may be under way */
		return give(question, &link, question->message->insns, head->count);
	}
	/* the kernel doesn't tell whose program it is: one of another size is not ours */
	if (!attachment || attachment->option_memory != head->option_memory) {
		worker_say(question->worker, question->pid, EACCES,
			   "%s: socket %d has an eBPF filter of its own: it can't be metered",
			   link.interface, head->fd);
		forget(question);
		return pass_on(question);
	}
	if (link_serves(&attachment->socket_link, &link)) {
		attachment->fd = head->fd;
		attachment->socket_link.ifindex = link.ifindex;
		memcpy(attachment->socket_link.interface, link.interface, sizeof(link.interface));
		tell_attached(question, attachment);
		return answer(question, BROKER_DONE, 0);
	}
	if (link.ifindex && !(head->flags & BROKER_BEFORE_BIND))
		st_socket_link_widen(&link);
	return give(question, &link, attachment->insns, attachment->count);
}

/* A program that serves every interface does so wherever the socket is bound by now. */
static void link_for_filter(const struct question *question, struct st_socket_link *link)
{
	const struct st_attachment *attachment = known(question);

	if (attachment && attachment->socket_link.link == ST_LINK_ANY)
		*link = attachment->socket_link;
	else
		take_link(head_of(question), link);
}

static bool set_filter(const struct question *question)
{
	struct st_socket_link link;

	link_for_filter(question, &link);
	return give(question, &link, question->message->insns, head_of(question)->count);
}

static bool detach_filter(const struct question *question)
{
	const struct st_attachment *attachment = known(question);
	struct st_socket_link link;

	if (!attachment)
		return pass_on(question);
	if (!attachment->count)
		return answer(question, BROKER_DONE, ENOENT);
	link_for_filter(question, &link);
	return give(question, &link, NULL, 0);
}

/* Answers as sk_get_filter() in net/core/filter.c; count is the room that there is, 0: how much is needed. */
static bool get_filter(const struct question *question)
{
	const struct broker_request *head = head_of(question);
	const struct st_attachment *attachment = known(question);
	struct broker_reply reply = {.answer = BROKER_DONE};

	if (!attachment)
		return pass_on(question);
	if (head->count && head->count < attachment->count)
		return answer(question, BROKER_DONE, EINVAL);
	reply.count = (uint32_t)attachment->count;
	return server_reply_filter(question->connection->fd, head, &reply, -1,
				   head->count && reply.count ? attachment->insns : NULL);
}

static bool forget_socket(const struct question *question)
{
	forget(question);
	if (head_of(question)->flags & BROKER_EBPF)
		worker_say(question->worker, question->pid, EACCES,
			   "socket %d has an eBPF filter of its own: it can't be metered",
			   head_of(question)->fd);
	return answer(question, BROKER_DONE, 0);
}

static bool take_statistics(const struct question *question)
{
	struct worker_note note = {.kind = WORKER_STATISTICS, .cookie = head_of(question)->cookie};

	memcpy(note.statistics, head_of(question)->statistics, sizeof(note.statistics));
	if (known(question))
		worker_tell(question->worker, &note, NULL);
	return answer(question, BROKER_DONE, 0);
}

static bool finish(const struct question *question)
{
	const struct worker_note note = {.kind = WORKER_FINISH, .pid = question->pid};

	question->connection->finishes = true;
	worker_tell(question->worker, &note, NULL);
	return true;
}

static bool seccomp(const struct question *question)
{
	bool said = question->worker->seccomp_said;

	question->worker->seccomp_said = true;
	return answer(question, BROKER_DONE, said ? EALREADY : 0);
}

/* Whether the socket can be metered at all. */
static bool can_be_metered(const struct question *question)
{
	struct worker *worker = question->worker;
	const struct broker_request *head = head_of(question);

	if (head->type == SOCK_PACKET) {
		worker_say(worker, question->pid, EPROTOTYPE,
			   "socket %d is of the obsolete type SOCK_PACKET: it can't be metered",
			   head->fd);
		return false;
	}
	if (!worker->meter) {
		worker_say(worker, question->pid, (uint32_t)-worker->error,
			   "%s: it goes on unmetered", worker->why);
		return false;
	}
	if (worker_has_room(worker, head->cookie))
		return true;
	worker_say(worker, question->pid, ENOSPC,
		   "socket %d is one more than the %d that can be metered at a time: it goes on "
		   "unmetered",
		   head->fd, WORKER_SOCKETS);
	return false;
}

static bool serve_socket(const struct question *question)
{
	const struct worker_note note = {.kind = WORKER_ASKED, .cookie = head_of(question)->cookie};

	worker_tell(question->worker, &note, NULL);
	switch (head_of(question)->op) {
	case BROKER_GET_FILTER:
		return get_filter(question);
	case BROKER_STATISTICS:
		return take_statistics(question);
	case BROKER_FORGET:
		return forget_socket(question);
	default:
		break;
	}
	if (!can_be_metered(question))
		return pass_on(question);
	switch (head_of(question)->op) {
	case BROKER_ATTACH:
		return attach(question);
	case BROKER_SET_FILTER:
		return set_filter(question);
	default:
		return detach_filter(question);
	}
}

/* Whether it is a request that the shim may send. */
static bool is_sensible(const struct broker_request *head)
{
	switch (head->op) {
	case BROKER_SET_FILTER:
		return head->cookie && head->count;
	case BROKER_ATTACH:
		return head->cookie && !(head->count && head->flags & BROKER_HIDDEN);
	case BROKER_GET_FILTER:
		return head->cookie;
	case BROKER_DETACH_FILTER:
	case BROKER_STATISTICS:
	case BROKER_FORGET:
		return head->cookie && !head->count;
	case BROKER_ATTACHED:
	case BROKER_FINISH:
	case BROKER_SECCOMP:
		return !head->count;
	default:
		return false;
	}
}

static bool serve(const struct question *question)
{
	switch (head_of(question)->op) {
	case BROKER_ATTACHED:
		attached(question);
		return false;
	case BROKER_FINISH:
		return finish(question);
	case BROKER_SECCOMP:
		return seccomp(question);
	default:
		return serve_socket(question);
	}
}

/* Of a connection by the abstract address a message may have come before the socket passed credentials. */
static pid_t peer_of(int fd)
{
	struct ucred peer = {0};
	socklen_t size = sizeof(peer);

	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
	return peer.pid;
}

bool worker_request(struct worker *worker, struct worker_connection *connection)
{
	static struct server_message message;
	struct question question = {.worker = worker,
				    .connection = connection,
				    .message = &message};

	switch (server_receive(connection->fd, &message, &question.pid)) {
	case SERVER_NOTHING:
		return true;
	case SERVER_REQUEST:
		if (question.pid <= 0)
			question.pid = peer_of(connection->fd);
		if (is_sensible(&message.head))
			return serve(&question);
		break;
	case SERVER_END:
		return false;
	default:
		break;
	}
	worker_say(worker, question.pid, EBADMSG, "sent a request that makes no sense");
	return false;
}
