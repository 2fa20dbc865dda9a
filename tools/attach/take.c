// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Taking sockets from their processes, and giving them back. */
#include "tools/attach/attach.h"
#include "tools/proc/packet_diag.h"

#include "plugin/attach/saved_filter.h"
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int attach_take_from(struct attach_socket *socket, pid_t pid, int number)
{
	int fd = process_take_socket(pid, number, socket->inode);
	uint64_t cookie;

	if (fd < 0)
		return fd;
	cookie = packet_diag_cookie(fd);
	if (!cookie || (socket->cookie && cookie != socket->cookie)) {
		close(fd);
		return -EBADF;
	}
	socket->cookie = cookie;
	socket->pid = pid;
	socket->fd = number;
	return fd;
}

int attach_take_anywhere(struct attach_socket *socket)
{
	struct holders holders;
	const struct holder *holder;
	int fd = -EBADF;
	size_t count;

	if (processes_read(&holders, NULL))
		return -EBADF;
	holder = holders_find(&holders, socket->inode, &count);
	for (size_t i = 0; i < count && fd < 0; i++)
		fd = attach_take_from(socket, holder[i].pid, holder[i].fd);
	holders_free(&holders);
	return fd;
}

static int take(struct attach_socket *socket)
{
	int fd = attach_take_from(socket, socket->pid, socket->fd);

	return fd == -EBADF || fd == -ESRCH ? attach_take_anywhere(socket) : fd;
}

void attach_say(struct attach_session *session, const char *format, ...)
{
	va_list arguments;
	char text[512];

	if (session->lines > ATTACH_LINES)
		return;
	if (session->lines++ == ATTACH_LINES) {
		command_fail("more sockets can't be metered than are listed here");
		return;
	}
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	command_fail("%s", text);
}

/* The library's sentence names our descriptor, which the user does not know: replaced by the tool's. */
void attach_say_refused(struct attach_session *session, const struct attach_socket *socket, int fd,
			int error)
{
	const char *why = socktally_error(socket->meter->meter), *rest;
	char ours[32];

	snprintf(ours, sizeof(ours), "socket %d", fd);
	rest = strstr(why, ours);
	if (error == -EACCES)
		attach_say(session,
			   "%s (pid %d): its socket %d on %s has an eBPF filter of its own%s: "
			   "it can't be metered",
			   socket->comm, socket->pid, socket->fd, socket->interface,
			   st_program_exists(1) == -EPERM ? " (or another meter's: root can tell)"
							  : "");
	else if (rest)
		attach_say(session, "%s (pid %d): its socket %d on %s%s", socket->comm, socket->pid,
			   socket->fd, socket->interface, rest + strlen(ours));
	else
		attach_say(session, "%s (pid %d): %s", socket->comm, socket->pid, why);
}

/* *closed: no process has the socket and our program is gone, which takes the kernel a moment. */
static int take_or_closed(struct attach_socket *socket, int64_t deadline, bool *closed)
{
	int fd = take(socket);

	for (*closed = false; fd < 0 && !*closed && monotonic_now() < deadline; fd = take(socket)) {
		*closed = st_program_exists(socket->program) != 1;
		if (!*closed)
			nanosleep(&(struct timespec){.tv_nsec = 5 * MILLISECOND}, NULL);
	}
	return fd;
}

/* Whether the socket was still open. */
static bool give_back(struct attach_session *session, struct attach_socket *socket,
		      int64_t deadline)
{
	bool closed;
	int fd = take_or_closed(socket, deadline, &closed), result;

	if (fd < 0 && closed)
		return false;
	if (fd < 0) {
		session->failed = true;
		command_fail("%s (pid %d): its socket on %s can't be given back, as no process has "
			     "it open: it goes on with its own filter as a program of ours",
			     socket->comm, socket->pid, socket->interface);
		return false;
	}
	result = socktally_detach(socket->meter->meter, fd);
	if (result && result != -ENOENT) {
		session->failed = true;
		attach_say_refused(session, socket, fd, result);
	}
	close(fd);
	return true;
}

void attach_give_back(struct attach_session *session)
{
	int64_t deadline = monotonic_now() + SECOND;

	for (; session->socket_count; session->socket_count--) {
		struct attach_socket *socket = &session->sockets[session->socket_count - 1];

		if (socket->attached && give_back(session, socket, deadline))
			session->given_back++;
	}
}
