// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Finding sockets, and keeping our program on them. */
#include "tools/attach/attach.h"
#include "plugin/attach/attach.h"
#include "plugin/attach/linktype.h"

#include "tools/filter_text/filter_text.h"
#include "plugin/attach/saved_filter.h"
#include <errno.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/*
 * libpcap sets a filter that rejects everything, empties the socket, and sets the real one. In
 * between, which takes far less than this, the socket is left alone: what is set then must not be
 * overwritten. A tool that wants to see nothing for a longer time is metered with that.
 */
#define REJECTING (500 * MILLISECOND)
/* After a change there may be another one. */
#define BUSY (100 * MILLISECOND)
/* A search of all processes takes at most one part in so many of the time. */
#define SEARCH_SHARE 50

static int64_t later(int64_t one, int64_t other)
{
	return one > other ? one : other;
}

static bool receives(int fd)
{
	struct sockaddr_ll address;
	socklen_t size = sizeof(address);

	memset(&address, 0, sizeof(address));
	return getsockname(fd, (struct sockaddr *)&address, &size) || address.sll_protocol;
}

/* Whether the filter is one that will be followed by another at once. */
static bool in_between(struct attaching *attaching, struct attached *socket, int fd)
{
	struct sock_filter *insns;
	size_t count;
	bool rejects = !st_filter_read(fd, &insns, &count) && filter_rejects_all(insns, count);
	int64_t now = monotonic_now();

	free(insns);
	if (!rejects) {
		socket->rejecting = 0;
		return false;
	}
	if (!socket->rejecting)
		socket->rejecting = now;
	attaching->busy_until = later(attaching->busy_until, now + BUSY);
	return now - socket->rejecting < REJECTING;
}

/*
 * Says whose program it is that is on the socket, not this meter's: another meter's, or its own. That
 * of a meter that was killed is removed: 0.
 */
static int settle_foreign(const struct attached *socket, int fd)
{
	const struct st_saved_filter *record = NULL;
	struct st_saved_filter *records;
	size_t count;
	int result = -EACCES;

	if (st_saved_filters_read(&records, &count))
		count = 0;
	/* our own, which is no longer on it, stays in the kernel for a moment */
	for (size_t i = 0; i < count; i++)
		if (records[i].cookie == socket->cookie && records[i].program != socket->program)
			record = &records[i];
	if (record && !record->counting)
		result = leftover_restore(fd, record);
	else if (record)
		command_fail("%s (pid %d): socktally (pid %u) is metering its socket %d on %s, "
			     "which has room for one meter",
			     socket->comm, socket->pid, record->pid, socket->fd, socket->interface);
	if (result && (!record || !record->counting))
		attach_say_refused(socket, fd, result);
	st_saved_filters_free(records, count);
	return result;
}

static void note_change(const struct attached *socket, int64_t now)
{
	attach_note(socket->meter, "filter",
		    "%s (pid %d) changed its filter on %s: up to %.4f s of packets are not counted",
		    socket->comm, socket->pid, socket->interface,
		    (double)(now - socket->seen) / 1e9);
}

/* What could be missed of a socket that was opened while we were looking. */
static void note_opened(const struct attached *socket, int64_t now, bool receiving)
{
	if (receiving)
		attach_note(socket->meter, "opened",
			    "%s (pid %d) opened a socket on %s: up to %.4f s of packets are not "
			    "counted",
			    socket->comm, socket->pid, socket->interface,
			    (double)(now - socket->absent) / 1e9);
	else
		attach_note(
			socket->meter, "opened",
			"%s (pid %d) opened a socket, which is counted from its first packet on",
			socket->comm, socket->pid);
}

/* Our program is on the socket, the one of before or another one. */
static void attached_now(struct attaching *attaching, struct attached *socket)
{
	uint32_t program = attach_meter_see(socket);
	int64_t now = monotonic_now();

	if (socket->on && socket->program != program) {
		note_change(socket, now);
		attaching->busy_until = later(attaching->busy_until, now + BUSY);
	}
	socket->program = program;
	socket->seen = now;
	socket->refused = false;
}

static void remember_refused(struct attaching *attaching, uint64_t inode)
{
	uint64_t *grown;

	attaching->failed = true;
	if (attaching->refused_count == attaching->refused_room) {
		size_t room = attaching->refused_room ? 2 * attaching->refused_room : 16;

		grown = reallocarray(attaching->refused, room, sizeof(*grown));
		if (!grown)
			return;
		attaching->refused = grown;
		attaching->refused_room = room;
	}
	attaching->refused[attaching->refused_count++] = inode;
}

static void forget_socket(struct attaching *attaching, struct attached *socket)
{
	if (socket->on)
		socktally_forget(socket->meter->meter, socket->cookie);
	*socket = attaching->sockets[--attaching->socket_count];
}

/* The first time. Without success the socket is forgotten. */
static void attach_first(struct attaching *attaching, struct attached *socket, int fd)
{
	struct attach_meter *meter = attach_meter_of(attaching);
	bool receiving = receives(fd);
	int result = -ENOMEM;

	if (meter) {
		socket->meter = meter;
		result = socktally_attach(meter->meter, fd, NULL);
		if (result == -EACCES && !settle_foreign(socket, fd))
			result = socktally_attach(meter->meter, fd, NULL);
		else if (result && result != -EACCES && result != -EAGAIN)
			attach_say_refused(socket, fd, result);
	}
	if (result == -EAGAIN)
		return; /* its filter keeps changing: at the next look */
	if (result) {
		remember_refused(attaching, socket->inode);
		forget_socket(attaching, socket);
		return;
	}
	attach_meter_use(meter, socket);
	attached_now(attaching, socket);
	socket->on = true;
	attaching->busy_until = later(attaching->busy_until, socket->seen + BUSY);
	if (attaching->begun)
		note_opened(socket, socket->seen, receiving);
}

/* The owner has put something on the socket that we can't be composed with: tried again later. */
static void refused(struct attached *socket, int fd, int error)
{
	socket->next_try = monotonic_now() + SECOND;
	if (socket->refused)
		return;
	socket->refused = true;
	attach_note(socket->meter, "refused", "%s (pid %d) on %s is no longer counted: %s",
		    socket->comm, socket->pid, socket->interface,
		    error == -EPERM ? "it has locked another filter"
				    : "what is on it now can't be metered");
	if (error == -EACCES)
		settle_foreign(socket, fd);
	else
		attach_say_refused(socket, fd, error);
}

/*
 * No process has the socket under the number that we know. It is open as long as our program is
 * there, perhaps only on its way from one process to another.
 */
static void missing(struct attaching *attaching, struct attached *socket)
{
	int there = socket->on ? st_program_exists(socket->program) : 0, fd;
	int64_t began = monotonic_now();

	if (there && began < socket->next_try)
		return;
	fd = there ? attach_take_anywhere(socket) : -EBADF;
	socket->next_try = began + SEARCH_SHARE * (monotonic_now() - began);
	if (fd >= 0)
		close(fd); /* known again: the next look is at it */
	else if (there != 1)
		forget_socket(attaching, socket);
}

static void look_at(struct attaching *attaching, struct attached *socket)
{
	int fd, result;

	if (socket->refused && monotonic_now() < socket->next_try)
		return;
	fd = attach_take_from(socket, socket->pid, socket->fd);
	if (fd == -EBADF || fd == -ESRCH)
		missing(attaching, socket);
	if (fd < 0)
		return;
	if (in_between(attaching, socket, fd)) {
		close(fd);
		return;
	}
	if (socket->on) {
		result = socktally_attach(socket->meter->meter, fd, NULL);
		if (!result)
			attached_now(attaching, socket);
		else if (result != -EAGAIN)
			refused(socket, fd, result);
	} else {
		attach_first(attaching, socket, fd);
	}
	close(fd);
}

void attach_look(struct attaching *attaching)
{
	/* one that is forgotten is replaced by the last one, which has been looked at */
	for (size_t i = attaching->socket_count; i--;)
		look_at(attaching, &attaching->sockets[i]);
}

/* --- more sockets */

static bool is_known(const struct attaching *attaching, uint64_t inode)
{
	for (size_t i = 0; i < attaching->socket_count; i++)
		if (attaching->sockets[i].inode == inode)
			return true;
	for (size_t i = 0; i < attaching->refused_count; i++)
		if (attaching->refused[i] == inode)
			return true;
	return false;
}

static struct attached *room_for_one(struct attaching *attaching)
{
	struct attached *grown;

	if (attaching->socket_count == attaching->socket_room) {
		size_t room = attaching->socket_room ? 2 * attaching->socket_room : 8;

		grown = attaching->socket_count < ATTACH_SOCKETS
				? reallocarray(attaching->sockets, room, sizeof(*grown))
				: NULL;
		if (!grown)
			return NULL;
		attaching->sockets = grown;
		attaching->socket_room = room;
	}
	return &attaching->sockets[attaching->socket_count];
}

/* Whether it is on the interface that is asked for. */
static bool is_wanted(struct attaching *attaching, struct attached *socket, int fd)
{
	const char *wanted = attaching->options->interface;
	struct st_socket_link tap;

	if (st_socket_link_read(&tap, fd, 0))
		return false; /* it is being closed */
	snprintf(socket->interface, sizeof(socket->interface), "%s", tap.interface);
	if (!wanted || !strcmp(wanted, tap.interface))
		return true;
	name_list_add(&attaching->others, tap.interface);
	return false;
}

static int attach_one(void *ctx, struct target *target, const struct holder *holder)
{
	struct attaching *attaching = ctx;
	struct attached *socket;
	int fd;

	if (is_known(attaching, holder->inode))
		return 0;
	socket = room_for_one(attaching);
	if (!socket) {
		command_fail("no room for one more socket of %s (pid %d)", target->comm,
			     target->pid);
		remember_refused(attaching, holder->inode);
		return 0;
	}
	*socket = (struct attached){.inode = holder->inode, .absent = target->looked};
	memcpy(socket->comm, target->comm, sizeof(socket->comm));
	fd = attach_take_from(socket, holder->pid, holder->fd);
	if (fd == -EBADF || fd == -ESRCH)
		return 0;
	if (fd < 0) {
		command_fail("%s (pid %d): its socket %d can't be metered: %s", target->comm,
			     target->pid, holder->fd, process_take_refused(fd));
		remember_refused(attaching, holder->inode);
		return 0;
	}
	if (is_wanted(attaching, socket, fd)) {
		attaching->socket_count++;
		if (!in_between(attaching, socket, fd))
			attach_first(attaching, socket, fd);
	}
	close(fd);
	return 0;
}

int attach_sockets(struct attaching *attaching, struct target *target)
{
	return target_sockets(target, attach_one, attaching);
}
