// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "tools/attach/rows.h"
#include "tools/filter_text/filter_text.h"
#include "tools/report/filter.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef SIOCGSKNS
#define SIOCGSKNS 0x894C
#endif

struct attach_row *attach_row_of(struct attach_rows *rows, uint64_t cookie)
{
	struct attach_row *grown;

	for (size_t i = 0; i < rows->count; i++)
		if (rows->row[i].cookie == cookie)
			return &rows->row[i];
	if (rows->count == rows->room) {
		size_t room = rows->room ? 2 * rows->room : 8;

		grown = reallocarray(rows->row, room, sizeof(*grown));
		if (!grown)
			return NULL;
		rows->row = grown;
		rows->room = room;
	}
	rows->row[rows->count] = (struct attach_row){.cookie = cookie};
	return &rows->row[rows->count++];
}

void attach_row_filter(struct attach_row *row, const struct sock_filter *insns, size_t count)
{
	size_t size = count * sizeof(*insns);

	free(row->filter);
	row->filter = NULL;
	row->filter_named = false;
	free(row->insns);
	row->insns = size ? malloc(size) : NULL;
	row->insn_count = row->insns ? count : 0;
	if (row->insns)
		memcpy(row->insns, insns, size);
}

void attach_row_close(struct attach_rows *rows, uint64_t cookie, int64_t seen_at)
{
	for (size_t i = 0; i < rows->count; i++)
		if (rows->row[i].cookie == cookie)
			rows->row[i].closed_at = seen_at;
}

void attach_rows_prune(struct attach_rows *rows, bool all)
{
	size_t kept = 0;

	for (size_t i = 0; i < rows->count; i++) {
		struct attach_row *row = &rows->row[i];

		if (!all && !row->closed_at) {
			rows->row[kept++] = *row;
			continue;
		}
		free(row->insns);
		free(row->filter);
	}
	rows->count = kept;
	if (!all)
		return;
	free(rows->row);
	*rows = (struct attach_rows){0};
}

void socket_reach_read(struct socket_reach *reach, int fd)
{
	struct sockaddr_ll address = {0};
	socklen_t size = sizeof(address);
	struct stat status;
	int namespace;

	if (!getsockname(fd, (struct sockaddr *)&address, &size))
		reach->protocol = address.sll_protocol;
	size = sizeof(reach->fanout);
	if (getsockopt(fd, SOL_PACKET, PACKET_FANOUT, &reach->fanout, &size))
		reach->fanout = 0;
	if (reach->namespace)
		return;
	namespace = ioctl(fd, SIOCGSKNS);
	if (namespace >= 0 && !fstat(namespace, &status))
		reach->namespace = status.st_ino;
	if (namespace >= 0)
		close(namespace);
}

static bool overlap(const struct attach_row *one, const struct attach_row *other)
{
	const struct socket_reach *a = &one->reach, *b = &other->reach;

	if ((one->closed_at && one->closed_at <= other->attached_at) ||
	    (other->closed_at && other->closed_at <= one->attached_at))
		return false;
	if (a->namespace != b->namespace || !a->protocol || !b->protocol)
		return false;
	if (a->fanout && a->fanout == b->fanout)
		return false; /* each packet goes to one of the group */
	if (a->protocol != b->protocol && a->protocol != htons(ETH_P_ALL) &&
	    b->protocol != htons(ETH_P_ALL))
		return false;
	return !strcmp(one->interface, other->interface) || !strcmp(one->interface, "any") ||
	       !strcmp(other->interface, "any");
}

bool attach_rows_overlap(const struct attach_rows *rows, const char **interface)
{
	for (size_t i = 0; i < rows->count; i++) {
		for (size_t j = 0; j < i; j++) {
			const struct attach_row *one = &rows->row[i], *other = &rows->row[j];

			if (!overlap(one, other))
				continue;
			*interface =
				strcmp(one->interface, "any") ? one->interface : other->interface;
			return true;
		}
	}
	return false;
}

static bool same_filter(const struct attach_row *one, const struct attach_row *other)
{
	return one->insn_count == other->insn_count && !strcmp(one->linktype, other->linktype) &&
	       (!one->insn_count ||
		!memcmp(one->insns, other->insns, one->insn_count * sizeof(*one->insns)));
}

/* Looking for an expression takes a while: once for each filter. */
static void name_filter(struct attach_rows *rows, struct attach_row *row, enum report_format format)
{
	if (row->filter_named)
		return;
	row->filter_named = true;
	for (const struct attach_row *other = rows->row; other < rows->row + rows->count; other++) {
		if (other == row || !other->filter_named || !same_filter(row, other))
			continue;
		row->filter = other->filter ? strdup(other->filter) : NULL;
		return;
	}
	row->filter = report_filter_name(row->insns, row->insn_count, row->linktype, format);
}

/* For the sum of all: also of a socket that has none, as the others' would mislead. */
static char *filter_of_sum(const struct report_socket *socket, bool several,
			   enum report_format format)
{
	if (socket->filter && (*socket->filter || !several))
		return strdup(socket->filter);
	if (!socket->filter && socket->program)
		return strdup(socket->program);
	if (!several)
		return NULL;
	return strdup(report_format_is_words(format) ? "accepts everything" : "none");
}

struct report_socket *attach_rows_report(struct attach_rows *rows, enum report_format format,
					 char **filters, char **programs)
{
	struct report_socket *sockets = calloc(rows->count + 1, sizeof(*sockets));
	bool filtered = false;

	for (size_t i = 0; i < rows->count; i++)
		filtered |= rows->row[i].insn_count != 0;
	for (size_t i = 0; sockets && i < rows->count; i++) {
		struct attach_row *row = &rows->row[i];
		struct report_socket *socket = &sockets[i];

		*socket = (struct report_socket){.pid = row->pid,
						 .fd = row->fd,
						 .comm = row->comm,
						 .interface = row->interface,
						 .linktype = row->linktype};
		if (row->insn_count) {
			name_filter(rows, row, format);
			socket->filter = row->filter;
			socket->program = filter_text_numbers(row->insns, row->insn_count);
			if (socket->program)
				filter_text_join(programs, strdup(socket->program));
		}
		filter_text_join(filters,
				 filter_of_sum(socket, filtered && rows->count > 1, format));
	}
	return sockets;
}

void attach_rows_report_free(struct report_socket *sockets, size_t count)
{
	for (size_t i = 0; sockets && i < count; i++)
		free((char *)sockets[i].program);
	free(sockets);
}
