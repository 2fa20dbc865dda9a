// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* One request of a program without privileges: all of it is checked, then done. */
#include "plugin/bpf/syscall.h"
#include "tools/service/service.h"
#include "plugin/attach/saved_filter.h"
#include "plugin/attach/attach.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct message {
	struct service_request head;
	struct sock_filter insns[BPF_MAXINSNS];
};

/* With fd if reply->error is 0. A client that does not read its replies is not waited for. */
static bool answer(const struct service_client *client, struct service_reply *reply, int fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)),
				.cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS}};
	struct iovec part = {.iov_base = reply, .iov_len = sizeof(*reply)};
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};

	reply->magic = SERVICE_MAGIC;
	reply->version = SERVICE_VERSION;
	if (!reply->error) {
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
		header.msg_control = control.bytes;
		header.msg_controllen = sizeof(control.bytes);
	}
	return sendmsg(client->fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) > 0;
}

static bool refuse(const struct service_client *client, int error, const char *text)
{
	struct service_reply reply = {.error = error};

	snprintf(reply.text, sizeof(reply.text), "%s", text);
	return answer(client, &reply, -1);
}

static bool open_meter(struct service_client *client, const struct service_request *request)
{
	struct socktally_port ports[SERVICE_MAX_PORTS];
	struct socktally_open_opts opts = {.sz = sizeof(opts),
					   .paths = request->paths,
					   .ports = ports};
	struct service_reply reply = {0};
	int result;

	if (client->meter)
		return false;
	if (request->paths > SERVICE_PATHS || request->flags & ~SOCKTALLY_OPEN_RECORDS) {
		snprintf(reply.text, sizeof(reply.text),
			 "the broker makes tables of at most %d paths", SERVICE_PATHS);
		reply.error = -EINVAL;
		return answer(client, &reply, -1);
	}
	while (opts.port_count < SERVICE_MAX_PORTS && request->ports[opts.port_count].port) {
		const struct service_port *port = &request->ports[opts.port_count];

		ports[opts.port_count++] =
			(struct socktally_port){.port = port->port, .protocol = port->protocol};
	}
	result = socktally_open(&client->meter, &opts);
	if (result)
		return refuse(client, result, socktally_error(NULL));
	/* no process can write to it from now on; our programs in the kernel still do */
	result = st_bpf_map_freeze(client->meter->cells_map);
	if (result)
		return refuse(client, result, "the broker can't make its table read-only");
	client->records = request->flags & SOCKTALLY_OPEN_RECORDS;
	reply.region_count = client->meter->region_count;
	reply.region_size = client->meter->region_size;
	return answer(client, &reply, client->meter->cells_map);
}

static bool link_is_valid(uint32_t link)
{
	return link == ST_LINK_ETH || link == ST_LINK_SLL || link == ST_LINK_RAW ||
	       link == ST_LINK_ANY || (link & ~0x3fffu) == ST_LINK_OTHER;
}

static bool take_link(const struct service_request *request, struct st_socket_link *tap)
{
	memset(tap, 0, sizeof(*tap));
	if (!link_is_valid(request->link))
		return false;
	tap->ifindex = request->ifindex;
	tap->link = request->link;
	return true;
}

static bool has_room(struct service *service, struct service_client *client)
{
	if (client->program_count == SERVICE_PROGRAMS)
		service_programs_prune(service, client);
	return client->program_count < SERVICE_PROGRAMS;
}

static bool load(struct service *service, struct service_client *client,
		 const struct message *message)
{
	const struct service_request *request = &message->head;
	struct service_reply reply = {0};
	struct bpf_prog_info info;
	struct st_socket_link tap;
	bool sent;
	int prog;

	if (!client->meter || !take_link(request, &tap))
		return false;
	if (!has_room(service, client))
		return refuse(client, -ENOSPC, "the broker serves no more sockets on one meter");
	snprintf(client->meter->socket_label, sizeof(client->meter->socket_label), "%.*s",
		 (int)sizeof(request->what), request->what);
	prog = st_socket_program_load(client->meter, &tap, message->insns, request->count);
	if (prog < 0)
		return refuse(client, prog, socktally_error(client->meter));
	memset(&info, 0, sizeof(info));
	if (!st_bpf_info(prog, &info, sizeof(info)))
		reply.program = info.id;
	client->programs[client->program_count++] = reply.program;
	/* without a record the socket is metered all the same */
	if (client->records)
		st_saved_filter_leave(prog, request->cookie, client->uid, message->insns,
				      request->count);
	sent = answer(client, &reply, prog);
	close(prog);
	return sent;
}

static bool serve(struct service *service, struct service_client *client,
		  const struct message *message, size_t size)
{
	const struct service_request *head = &message->head;

	if (size < sizeof(*head) || head->magic != SERVICE_MAGIC)
		return false;
	if (head->version != SERVICE_VERSION)
		return refuse(client, -EPROTO, "the broker is of another release");
	if (head->count > BPF_MAXINSNS ||
	    size != sizeof(*head) + head->count * sizeof(struct sock_filter))
		return false;
	if (head->op == SERVICE_OPEN && !head->count)
		return open_meter(client, head);
	return head->op == SERVICE_LOAD && load(service, client, message);
}

void service_request(struct service *service, struct service_client *client)
{
	static struct message message;
	struct iovec part = {.iov_base = &message, .iov_len = sizeof(message)};
	/* no room for descriptors: the kernel closes those that come, and sets MSG_CTRUNC */
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
	ssize_t size = recvmsg(client->fd, &header, MSG_DONTWAIT);

	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (size <= 0 || header.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ||
	    !serve(service, client, &message, (size_t)size))
		service_drop(client);
}
