// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* One client of `broker --socket`, in a process of its own: its meter, and programs for its sockets. */
#include "tools/service/service.h"
#include "tools/server/server.h"
#include "plugin/attach/saved_filter.h"
#include "plugin/bpf/syscall.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct client {
	int fd;
	uid_t user;
	int checker;
	struct socktally *meter; /* NULL before BROKER_OPEN */
	bool records;
	struct server_budget budget;
	uint32_t programs[SERVICE_PROGRAMS]; /* ids of programs that it was given, */
	size_t memory[SERVICE_PROGRAMS];     /* and what each takes */
	unsigned int program_count;
};

static bool open_meter(struct client *client, const struct broker_request *request)
{
	struct socktally_port ports[BROKER_MAX_PORTS];
	struct socktally_open_opts opts = {.sz = sizeof(opts),
					   .paths = request->paths,
					   .flows = request->flows,
					   .flags = request->flags & SOCKTALLY_OPEN_NO_APPLICATIONS,
					   .ports = ports};
	struct broker_reply reply = {0};
	int result;

	if (client->meter)
		return false;
	if (request->paths > SERVICE_PATHS || request->flows > SERVICE_FLOWS ||
	    request->flags & ~(SOCKTALLY_OPEN_RECORDS | SOCKTALLY_OPEN_NO_APPLICATIONS)) {
		snprintf(reply.text, sizeof(reply.text),
			 "the broker makes tables of at most %d paths and %d flows", SERVICE_PATHS,
			 SERVICE_FLOWS);
		reply.error = -EINVAL;
		return server_reply(client->fd, request, &reply, -1);
	}
	while (opts.port_count < BROKER_MAX_PORTS && request->ports[opts.port_count].port) {
		const struct broker_port *port = &request->ports[opts.port_count];

		ports[opts.port_count++] =
			(struct socktally_port){.port = port->port, .protocol = port->protocol};
	}
	result = socktally_open(&client->meter, &opts);
	if (result)
		return server_refuse(client->fd, request, result, socktally_error(NULL));
	/* no process can write to it from now on; our programs in the kernel still do */
	result = st_bpf_map_freeze(client->meter->cells_map);
	if (result)
		return server_refuse(client->fd, request, result,
				     "the broker can't make its table read-only");
	client->records = request->flags & SOCKTALLY_OPEN_RECORDS;
	reply.region_count = client->meter->region_count;
	reply.region_size = client->meter->region_size;
	return server_reply(client->fd, request, &reply, client->meter->cells_map);
}

static bool link_is_valid(uint32_t link)
{
	return link == ST_LINK_ETH || link == ST_LINK_SLL || link == ST_LINK_RAW ||
	       link == ST_LINK_ANY || (link & ~0x3fffu) == ST_LINK_OTHER;
}

/* Forgets the programs that the kernel has freed; where nobody can tell which these are, all of them. */
static void prune_programs(struct client *client)
{
	uint8_t there[SERVICE_PROGRAMS];
	unsigned int kept = 0;

	if (!service_checker_programs(client->checker, client->programs, client->program_count,
				      there))
		memset(there, 0, sizeof(there));
	for (unsigned int i = 0; i < client->program_count; i++) {
		if (!there[i])
			continue;
		client->programs[kept] = client->programs[i];
		client->memory[kept++] = client->memory[i];
	}
	client->program_count = kept;
}

static bool is_full(const struct client *client)
{
	size_t bytes = 0;

	for (unsigned int i = 0; i < client->program_count; i++)
		bytes += client->memory[i];
	return client->program_count == SERVICE_PROGRAMS || bytes >= SERVICE_PROGRAM_BYTES;
}

static bool has_room(struct client *client)
{
	if (is_full(client))
		prune_programs(client);
	return !is_full(client);
}

static bool load(struct client *client, const struct server_message *message)
{
	const struct broker_request *request = &message->head;
	struct st_socket_link link = {.ifindex = request->ifindex, .link = request->link};
	struct broker_reply reply = {0};
	size_t memory;
	bool sent;
	int prog;

	if (!client->meter || !link_is_valid(link.link))
		return false;
	if (!has_room(client))
		return server_refuse(client->fd, request, -ENOSPC,
				     "the broker serves no more sockets on one meter");
	snprintf(client->meter->socket_label, sizeof(client->meter->socket_label), "%.*s",
		 (int)sizeof(request->what), request->what);
	prog = server_load(client->meter, &client->budget, &link, message->insns, request->count,
			   &reply.program, &memory);
	if (prog < 0)
		return server_refuse(client->fd, request, prog, socktally_error(client->meter));
	client->programs[client->program_count] = reply.program;
	client->memory[client->program_count++] = memory;
	/* without a record the socket is metered all the same */
	if (client->records)
		st_saved_filter_leave(prog, request->cookie, client->user, getpid(), message->insns,
				      request->count);
	sent = server_reply(client->fd, request, &reply, prog);
	close(prog);
	return sent;
}

/* false: the connection ends. */
static bool serve(struct client *client)
{
	static struct server_message message;
	pid_t sender;

	switch (server_receive(client->fd, &message, &sender)) {
	case SERVER_NOTHING:
		return true;
	case SERVER_OTHER_RELEASE:
		return server_refuse(client->fd, &message.head, -EPROTO,
				     "the broker is of another release");
	case SERVER_REQUEST:
		if (message.head.op == BROKER_OPEN && !message.head.count)
			return open_meter(client, &message.head);
		return message.head.op == BROKER_SET_FILTER && load(client, &message);
	default:
		return false;
	}
}

void service_client(int fd, uid_t user, int checker)
{
	static struct client client;
	struct pollfd readable = {.fd = fd, .events = POLLIN};

	client.fd = fd;
	client.user = user;
	client.checker = checker;
	client.budget.seconds = SERVICE_PROCESSOR_SECONDS;
	do
		poll(&readable, 1, -1);
	while (serve(&client));
}
