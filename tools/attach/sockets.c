// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Finding sockets, and keeping our program on them. */
#include "tools/attach/attach.h"
#include "plugin/attach/attach.h"
#include "plugin/attach/linktype.h"

#include "tools/filter_text/filter_text.h"
#include <errno.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/*
 * libpcap sets a filter that rejects everything, empties the socket, and sets the real filter, all
 * within far less time than this. Until then the socket is left alone, so that our program does not
 * replace the real filter. A filter that rejects everything for longer is metered as it is.
 */
#define REJECTING (500 * MILLISECOND)
/* After a change the socket is checked more often for so long, as more changes may follow. */
#define BUSY (100 * MILLISECOND)
/* Searching all processes may take one part in so many of the time. */
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

/* Whether a real filter is likely to follow at once: see REJECTING. */
static bool is_between_filters(struct attach_session *session, struct attach_socket *socket, int fd)
{
	struct sock_filter *insns;
	size_t count;
	bool rejects = !st_filter_read(fd, &insns, &count) && filter_rejects_all(insns, count);
	int64_t now = monotonic_now();

	free(insns);
	if (!rejects) {
		socket->rejecting_since = 0;
		return false;
	}
	if (!socket->rejecting_since)
		socket->rejecting_since = now;
	session->busy_until = later(session->busy_until, now + BUSY);
	return now - socket->rejecting_since < REJECTING;
}

/*
 * Another program than this meter's is on the socket. If a meter that was killed left it, the saved
 * filter is restored: 0. Else the user is told whose it is.
 */
static int settle_foreign(struct attach_session *session, const struct attach_socket *socket,
			  int fd)
{
	const struct st_saved_filter *found;
	struct saved_filters saved;
	enum st_saved_state state;
	char why[160];
	int result = -EACCES;

	saved_filters_read(&saved);
	/* our own program, which was just replaced, exists for a moment longer */
	state = saved_filters_find(&saved, fd, socket->program, &found);
	if (state == ST_SAVED_FOUND && !found->counting)
		result = saved_filter_restore(fd, found);
	if (state == ST_SAVED_FOUND && found->counting) {
		attach_say(session,
			   "%s (pid %d): socktally (pid %u) is metering its socket %d on %s, "
			   "which has room for one meter",
			   socket->comm, socket->pid, found->pid, socket->fd, socket->interface);
	} else if (state == ST_SAVED_UNTRUSTED || state == ST_SAVED_CONTRADICTORY) {
		saved_filter_refused(state, found, why, sizeof(why));
		attach_say(session, "%s (pid %d): its socket %d on %s can't be metered: %s",
			   socket->comm, socket->pid, socket->fd, socket->interface, why);
	} else if (result) {
		attach_say_refused(session, socket, fd, result);
	}
	saved_filters_free(&saved);
	return result;
}

static void add_gap(const struct attach_socket *socket, int64_t length)
{
	socket->meter->gaps++;
	socket->meter->gap_seconds += (double)length / 1e9;
}

static void note_change(const struct attach_socket *socket, int64_t now)
{
	add_gap(socket, now - socket->seen_at);
	notes_add(&socket->meter->notes, "filter",
		  "%s (pid %d) changed its filter on %s: up to %.4f s of packets are not counted",
		  socket->comm, socket->pid, socket->interface,
		  (double)(now - socket->seen_at) / 1e9);
}

/* Notes how long a socket that was opened later may have gone uncounted. */
static void note_opened(const struct attach_socket *socket, int64_t now, bool receiving)
{
	if (receiving)
		add_gap(socket, now - socket->absent_at);
	if (receiving)
		notes_add(&socket->meter->notes, "opened",
			  "%s (pid %d) opened a socket on %s: up to %.4f s of packets are not "
			  "counted",
			  socket->comm, socket->pid, socket->interface,
			  (double)(now - socket->absent_at) / 1e9);
	else
		notes_add(&socket->meter->notes, "opened",
			  "%s (pid %d) opened a socket, which is counted from its first packet on",
			  socket->comm, socket->pid);
}

/*
 * The library has found or put our program on the socket. ours: it was there before. Then another
 * program is ours, too, made for another interface or link type: no packet has gone uncounted.
 */
static void note_attached(struct attach_session *session, struct attach_socket *socket, int fd,
			  bool ours)
{
	bool moved;
	uint32_t program = attach_meter_see(socket, &moved);
	int64_t now = monotonic_now();

	if (socket->attached && socket->program != program && !(ours && moved)) {
		note_change(socket, now);
		session->busy_until = later(session->busy_until, now + BUSY);
	}
	socket->program = program;
	socket->seen_at = now;
	socket->refused = false;
	socket_reach_read(&socket->reach, fd);
	attach_meter_reach(socket);
}

static void refuse_inode(struct attach_session *session, uint64_t inode)
{
	struct refused_socket *grown;

	session->failed = true;
	if (session->refused_count == session->refused_room) {
		size_t room = session->refused_room ? 2 * session->refused_room : 16;

		grown = reallocarray(session->refused, room, sizeof(*grown));
		if (!grown)
			return;
		session->refused = grown;
		session->refused_room = room;
	}
	session->refused[session->refused_count++] = (struct refused_socket){inode, session->scan};
}

void attach_forget_refused(struct attach_session *session)
{
	size_t kept = 0;

	for (size_t i = 0; i < session->refused_count; i++)
		if (session->refused[i].scan == session->scan)
			session->refused[kept++] = session->refused[i];
	session->refused_count = kept;
}

static void forget_socket(struct attach_session *session, struct attach_socket *socket)
{
	if (socket->attached) {
		socktally_forget(socket->meter->meter, socket->cookie);
		attach_row_close(&socket->meter->rows, socket->cookie, socket->seen_at);
	}
	*socket = session->sockets[--session->socket_count];
}

/* Attaches for the first time; if that fails, the socket is dropped from the session. */
static void attach_first(struct attach_session *session, struct attach_socket *socket, int fd)
{
	struct attach_meter *meter = attach_meter_of(session);
	bool receiving = receives(fd);
	int result = -ENOMEM;

	if (meter) {
		socket->meter = meter;
		result = socktally_attach(meter->meter, fd, NULL);
		if (result == -EACCES && !settle_foreign(session, socket, fd))
			result = socktally_attach(meter->meter, fd, NULL);
		else if (result && result != -EACCES && result != -EAGAIN)
			attach_say_refused(session, socket, fd, result);
	}
	if (result == -EAGAIN)
		return; /* its filter keeps changing: at the next look */
	if (result) {
		refuse_inode(session, socket->inode);
		forget_socket(session, socket);
		return;
	}
	attach_meter_use(meter, socket);
	note_attached(session, socket, fd, false);
	socket->attached = true;
	session->busy_until = later(session->busy_until, socket->seen_at + BUSY);
	if (session->started)
		note_opened(socket, socket->seen_at, receiving);
}

/* The owner's new filter can't be metered: tried again later. */
static void refused(struct attach_session *session, struct attach_socket *socket, int fd, int error)
{
	socket->retry_at = monotonic_now() + SECOND;
	if (socket->refused)
		return;
	socket->refused = true;
	notes_add(&socket->meter->notes, "refused", "%s (pid %d) on %s is no longer counted: %s",
		  socket->comm, socket->pid, socket->interface,
		  error == -EPERM ? "it has locked another filter"
				  : "what is on it now can't be metered");
	if (error == -EACCES)
		settle_foreign(session, socket, fd);
	else
		attach_say_refused(session, socket, fd, error);
}

/*
 * The process no longer has the socket under its number. As long as our program exists, the socket
 * is open somewhere, perhaps in a message between two processes.
 */
static void find_moved(struct attach_session *session, struct attach_socket *socket)
{
	int there = socket->attached ? st_program_exists(socket->program) : 0, fd;
	int64_t began = monotonic_now();

	if (there && began < socket->retry_at)
		return;
	fd = there ? attach_take_anywhere(socket) : -EBADF;
	socket->retry_at = began + SEARCH_SHARE * (monotonic_now() - began);
	if (fd >= 0)
		close(fd); /* *socket says where it is now: checked at the next look */
	else if (there != 1)
		forget_socket(session, socket);
}

static void look_at(struct attach_session *session, struct attach_socket *socket)
{
	int fd, result;

	if (socket->refused && monotonic_now() < socket->retry_at)
		return;
	fd = attach_take_from(socket, socket->pid, socket->fd);
	if (fd == -EBADF || fd == -ESRCH)
		find_moved(session, socket);
	if (fd < 0)
		return;
	if (is_between_filters(session, socket, fd)) {
		close(fd);
		return;
	}
	if (socket->attached) {
		bool ours = st_filter_is_hidden(fd);

		result = socktally_attach(socket->meter->meter, fd, NULL);
		if (!result)
			note_attached(session, socket, fd, ours);
		else if (result != -EAGAIN)
			refused(session, socket, fd, result);
	} else {
		attach_first(session, socket, fd);
	}
	close(fd);
}

void attach_look(struct attach_session *session)
{
	/* a removed socket's place is taken by the last one, which was checked already */
	for (size_t i = session->socket_count; i--;)
		look_at(session, &session->sockets[i]);
}

/* --- more sockets */

static bool is_known(struct attach_session *session, uint64_t inode)
{
	for (size_t i = 0; i < session->socket_count; i++)
		if (session->sockets[i].inode == inode)
			return true;
	for (size_t i = 0; i < session->refused_count; i++) {
		if (session->refused[i].inode != inode)
			continue;
		session->refused[i].scan = session->scan;
		return true;
	}
	return false;
}

static struct attach_socket *room_for_one(struct attach_session *session)
{
	struct attach_socket *grown;

	if (session->socket_count == session->socket_room) {
		size_t room = session->socket_room ? 2 * session->socket_room : 8;

		grown = session->socket_count < ATTACH_SOCKETS
				? reallocarray(session->sockets, room, sizeof(*grown))
				: NULL;
		if (!grown)
			return NULL;
		session->sockets = grown;
		session->socket_room = room;
	}
	return &session->sockets[session->socket_count];
}

/* Whether the socket is on the interface of -i. */
static bool is_wanted(struct attach_session *session, struct attach_socket *socket, int fd)
{
	const char *wanted = session->options->choice.interface;
	struct st_socket_link link;

	if (st_socket_link_read(&link, fd, 0))
		return false; /* it is being closed */
	snprintf(socket->interface, sizeof(socket->interface), "%s", link.interface);
	if (!wanted || !strcmp(wanted, link.interface))
		return true;
	name_list_add(&session->other_interfaces, link.interface);
	return false;
}

static int attach_one(void *ctx, struct target *target, const struct holder *holder)
{
	struct attach_session *session = ctx;
	struct attach_socket *socket;
	int fd;

	if (is_known(session, holder->inode))
		return 0;
	target_read_name(target); /* it may run another program by now */
	socket = room_for_one(session);
	if (!socket) {
		if (!session->full)
			attach_say(session,
				   "no room for one more socket of %s (pid %d), nor for any after "
				   "it: at most %d are metered at a time",
				   target->comm, target->pid, ATTACH_SOCKETS);
		session->full = true;
		refuse_inode(session, holder->inode);
		return 0;
	}
	*socket = (struct attach_socket){.inode = holder->inode, .absent_at = target->looked_at};
	memcpy(socket->comm, target->comm, sizeof(socket->comm));
	fd = attach_take_from(socket, holder->pid, holder->fd);
	if (fd == -EBADF || fd == -ESRCH)
		return 0;
	if (fd < 0) {
		attach_say(session, "%s (pid %d): its socket %d can't be metered: %s", target->comm,
			   target->pid, holder->fd, process_take_refused(fd));
		refuse_inode(session, holder->inode);
		return 0;
	}
	if (is_wanted(session, socket, fd)) {
		session->socket_count++;
		if (!is_between_filters(session, socket, fd))
			attach_first(session, socket, fd);
	}
	close(fd);
	return 0;
}

int attach_sockets(struct attach_session *session, struct target *target)
{
	return target_sockets(target, attach_one, session);
}
