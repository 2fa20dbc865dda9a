// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Sockets on a meter. */
#include "plugin/remote/remote.h"
#include "plugin/attach/attach.h"
#include "plugin/attach/linktype.h"
#include "plugin/bpf/syscall.h"
#include "plugin/classes/classes.h"
#include "plugin/meter/meter.h"
#include "plugin/meter/visit.h"
#include "plugin/attach/saved_filter.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SO_ATTACH_BPF
#define SO_ATTACH_BPF 50
#endif
#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif

/* How often to begin again where the owner of a socket changes its filter meanwhile. */
#define ATTACH_TRIES 16

/* No error: the owner has changed the filter meanwhile. */
#define FILTER_CHANGED 1

/* The socket's cookie, if it is a packet socket. */
static int socket_check(struct socktally *meter, int fd, uint64_t *cookie)
{
	socklen_t size = sizeof(int);
	int domain;

	if (meter->userspace)
		return st_fail(meter, -EINVAL, "a meter without a kernel part has no sockets");
	snprintf(meter->socket_label, sizeof(meter->socket_label), "socket %d",
		 meter->label_fd >= 0 ? meter->label_fd : fd);
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size))
		return st_fail(meter, -errno, "%s: %s", meter->socket_label, strerror(errno));
	if (domain != AF_PACKET)
		return st_fail(meter, -EPROTOTYPE, "%s is not a packet socket",
			       meter->socket_label);
	size = sizeof(*cookie);
	if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, cookie, &size))
		return st_fail(meter, -errno, "%s: can't be told from others: %s",
			       meter->socket_label, strerror(errno));
	return 0;
}

/* What the socket's filter slot must hold for a program to take its place. */
enum slot {
	SLOT_ANY,     /* the caller sets the filter: whatever is there */
	SLOT_CLASSIC, /* the filter that the program was composed with, or none */
	SLOT_OURS,    /* a program of this meter */
};

/*
 * Making a program takes a millisecond, in which another process that has the socket may set its
 * filter. The kernel can't exchange filters on a condition, so this look comes right before.
 */
static bool slot_holds(int fd, enum slot slot, const struct sock_filter *insns, size_t count)
{
	switch (slot) {
	case SLOT_CLASSIC:
		return st_filter_is(fd, insns, count);
	case SLOT_OURS:
		return st_filter_is_hidden(fd);
	default:
		return true;
	}
}

/* So that the socket can be given back after this process was killed: better without than not. */
static void filter_save(struct socktally *meter, int prog, uint64_t cookie,
			const struct sock_filter *insns, size_t count)
{
	int result = 0;

	if (meter->records)
		result = st_saved_filter_leave(prog, cookie, meter->user, meter->pid, insns, count);

	if (result)
		st_log(meter, SOCKTALLY_LOG_WARNING,
		       "%s: its filter can't be noted (%s): it could not be restored if this process "
		       "were killed",
		       meter->socket_label, strerror(-result));
}

static uint32_t program_id(int prog)
{
	struct bpf_prog_info info;

	memset(&info, 0, sizeof(info));
	return st_bpf_info(prog, &info, sizeof(info)) ? 0 : info.id;
}

int st_attach_failed(struct socktally *meter, int error, size_t count)
{
	switch (error) {
	case -EPERM:
		return st_fail(meter, error,
			       "%s is locked by its owner (SO_LOCK_FILTER): it can't be metered",
			       meter->socket_label);
	case -ENOMEM:
		return st_fail(meter, error,
			       "%s: its filter of %zu instructions does not fit with ours into "
			       "net.core.optmem_max: raise it (sysctl net.core.optmem_max=131072)",
			       meter->socket_label, count);
	case -EAGAIN:
		return st_fail(meter, error, "%s: its filter keeps changing: try again",
			       meter->socket_label);
	default:
		return st_fail(meter, error, "%s: can't attach: %s", meter->socket_label,
			       strerror(-error));
	}
}

/*
 * Attaches the program for this link and filter and takes the filter, which is malloc'ed, into the
 * attachment. Everything that can fail comes before the kernel swaps the programs.
 * FILTER_CHANGED: the slot holds something else by now.
 */
static int compose(struct socktally *meter, int fd, uint64_t cookie,
		   const struct st_socket_link *socket_link, struct sock_filter *insns,
		   size_t count, enum slot slot)
{
	struct st_attachment *attachment;
	int prog, result;

	snprintf(meter->socket_label, sizeof(meter->socket_label), "%s: socket %d",
		 socket_link->interface, meter->label_fd >= 0 ? meter->label_fd : fd);
	result = st_attachments_reserve(meter);
	if (result)
		return result;
	attachment = malloc(sizeof(*attachment));
	if (!attachment)
		return st_fail(meter, -ENOMEM, "no memory for one more socket");
	result = st_classes_serve(meter, socket_link);
	if (result)
		prog = result;
	else if (meter->remote >= 0)
		prog = st_remote_load(meter, cookie, socket_link, insns, count,
				      &attachment->program);
	else
		prog = st_socket_program_load(meter, socket_link, insns, count);
	if (prog < 0) {
		free(attachment);
		return prog;
	}
	if (meter->remote < 0) {
		attachment->program = program_id(prog);
		filter_save(meter, prog, cookie, insns, count);
	}
	result = FILTER_CHANGED;
	if (slot_holds(fd, slot, insns, count))
		result =
			setsockopt(fd, SOL_SOCKET, SO_ATTACH_BPF, &prog, sizeof(prog)) ? -errno : 0;
	close(prog);
	if (result) {
		free(attachment);
		return result < 0 ? st_attach_failed(meter, result, count) : result;
	}
	attachment->option_memory = st_option_memory(fd);
	attachment->cookie = cookie;
	attachment->socket_link = *socket_link;
	attachment->insns = insns;
	attachment->count = count;
	attachment->fd = fd;
	attachment->seen = st_now();
	attachment->lost = false;
	st_attachment_keep(meter, attachment);
	return 0;
}

static struct sock_filter *filter_copy(const struct sock_filter *insns, size_t count)
{
	struct sock_filter *copy = malloc((count ? count : 1) * sizeof(*copy));

	if (copy && count)
		memcpy(copy, insns, count * sizeof(*copy));
	return copy;
}

/*
 * The filter to compose with: what the socket has as a classic program, or, where our own program
 * is on it (*ours), what the tool set before.
 */
static int tool_filter(struct socktally *meter, int fd, const struct st_attachment *known,
		       struct sock_filter **insns, size_t *count, bool *ours)
{
	int result = st_filter_read(fd, insns, count);

	*ours = result == -EACCES && known && st_attachment_is_on(known, fd);
	if (*ours) {
		*count = known->count;
		*insns = filter_copy(known->insns, known->count);
		return *insns ? 0 : st_fail(meter, -ENOMEM, "no memory for a filter");
	}
	if (result == -EACCES)
		return st_fail(meter, result,
			       "%s has an eBPF filter of its own: it can't be metered",
			       meter->socket_label);
	if (result)
		return st_fail(meter, result, "%s: can't read its filter: %s", meter->socket_label,
			       strerror(-result));
	return 0;
}

/* Whether the program made for `old` reads the packets that come by `new` rightly, too. */
static bool link_serves(const struct st_socket_link *old, const struct st_socket_link *new)
{
	return old->link == new->link ||
	       (old->link == ST_LINK_ANY && (new->link == ST_LINK_ETH || new->link == ST_LINK_RAW));
}

static int attach_once(struct socktally *meter, int fd, const struct socktally_attach_opts *opts)
{
	struct st_attachment *known;
	struct sock_filter *insns;
	struct st_socket_link socket_link;
	uint64_t cookie;
	size_t count;
	bool ours;
	int result;

	result = socket_check(meter, fd, &cookie);
	if (result)
		return result;
	result = st_socket_link_read(&socket_link, fd, opts->ifindex);
	if (result)
		return st_fail(meter, result, "%s: %s", meter->socket_label, strerror(-result));
	known = st_attachment_find(meter, cookie);
	result = tool_filter(meter, fd, known, &insns, &count, &ours);
	if (result)
		return result;
	if (ours && link_serves(&known->socket_link, &socket_link)) {
		free(insns);
		known->fd = fd;
		known->socket_link.ifindex = socket_link.ifindex;
		memcpy(known->socket_link.interface, socket_link.interface,
		       sizeof(socket_link.interface));
		return 0;
	}
	if (opts->ifindex && !(opts->flags & SOCKTALLY_ATTACH_BEFORE_BIND))
		st_socket_link_widen(
			&socket_link); /* packets of both interfaces may be under way */
	result = compose(meter, fd, cookie, &socket_link, insns, count,
			 ours ? SLOT_OURS : SLOT_CLASSIC);
	if (result)
		free(insns);
	return result;
}

static int attach(struct socktally *meter, int fd, const struct socktally_attach_opts *opts)
{
	int result = FILTER_CHANGED;

	for (int i = 0; i < ATTACH_TRIES && result == FILTER_CHANGED; i++)
		result = attach_once(meter, fd, opts);
	return result == FILTER_CHANGED ? st_attach_failed(meter, -EAGAIN, 0) : result;
}

int socktally_attach(struct socktally *meter, int fd, const struct socktally_attach_opts *opts)
{
	struct socktally_attach_opts own;
	int saved = errno, result;

	if (!st_registry_has(meter))
		return -EINVAL;
	result = st_options(&own, sizeof(own), opts);
	if (!result && (own.flags & ~SOCKTALLY_ATTACH_BEFORE_BIND || own.ifindex < 0))
		result = -EINVAL;
	st_meter_hold(meter);
	if (result)
		st_fail(meter, result, "options to attach a socket with that make no sense here");
	else
		result = st_visit_refuse(meter, ST_LIST_ALL);
	if (!result)
		result = attach(meter, fd, &own);
	st_meter_release(meter);
	errno = saved;
	return result;
}

static int set_filter(struct socktally *meter, int fd, const struct sock_filter *insns,
		      size_t count)
{
	struct st_attachment *known;
	struct sock_filter *copy;
	struct st_socket_link socket_link;
	uint64_t cookie;
	int result;

	result = socket_check(meter, fd, &cookie);
	if (result)
		return result;
	if (count > BPF_MAXINSNS || (count && !insns))
		return st_fail(meter, -EINVAL, "a filter has 1 to %d instructions", BPF_MAXINSNS);
	known = st_attachment_find(meter, cookie);
	if (known && known->socket_link.link == ST_LINK_ANY) {
		socket_link =
			known->socket_link; /* serves every interface, wherever the socket is bound by now */
	} else {
		result = st_socket_link_read(&socket_link, fd, 0);
		if (result)
			return st_fail(meter, result, "%s: %s", meter->socket_label,
				       strerror(-result));
	}
	copy = filter_copy(insns, count);
	if (!copy)
		return st_fail(meter, -ENOMEM, "no memory for a filter");
	result = compose(meter, fd, cookie, &socket_link, copy, count, SLOT_ANY);
	if (result)
		free(copy);
	return result;
}

int socktally_set_filter(struct socktally *meter, int fd, const struct sock_filter *insns,
			 size_t count)
{
	int saved = errno, result;

	if (!st_registry_has(meter))
		return -EINVAL;
	st_meter_hold(meter);
	result = st_visit_refuse(meter, ST_LIST_ALL);
	if (!result)
		result = set_filter(meter, fd, insns, count);
	st_meter_release(meter);
	errno = saved;
	return result;
}

static int detach(struct socktally *meter, int fd)
{
	const struct st_attachment *known;
	uint64_t cookie;
	int result;

	result = socket_check(meter, fd, &cookie);
	if (result)
		return result;
	known = st_attachment_find(meter, cookie);
	if (!known)
		return st_fail(meter, -ENOENT, "%s is not on this meter", meter->socket_label);
	if (!st_attachment_is_on(known, fd)) {
		st_attachment_remove(meter, cookie); /* the socket has got another filter since */
		return 0;
	}
	result = st_filter_write(fd, known->insns, known->count);
	if (result)
		return st_attach_failed(meter, result, known->count);
	st_attachment_remove(meter, cookie);
	return 0;
}

int socktally_detach(struct socktally *meter, int fd)
{
	int saved = errno, result;

	if (!st_registry_has(meter))
		return -EINVAL;
	result = st_visit_refuse(meter, ST_LIST_SOCKETS);
	if (!result)
		result = detach(meter, fd);
	errno = saved;
	return result;
}

int socktally_get_filter(struct socktally *meter, int fd, struct sock_filter *insns, size_t *count)
{
	const struct st_attachment *known;
	int saved = errno, result;
	uint64_t cookie;
	size_t room;

	if (!st_registry_has(meter))
		return -EINVAL;
	if (!count)
		return st_fail(meter, -EINVAL, "no place for the number of instructions");
	result = socket_check(meter, fd, &cookie);
	errno = saved;
	if (result)
		return result;
	known = st_attachment_find(meter, cookie);
	if (!known)
		return st_fail(meter, -ENOENT, "%s is not on this meter", meter->socket_label);
	room = *count;
	*count = known->count;
	if (room < known->count)
		return st_fail(meter, -ENOSPC, "%s has a filter of %zu instructions",
			       meter->socket_label, known->count);
	if (known->count && !insns)
		return st_fail(meter, -EINVAL, "no place for the filter of %s",
			       meter->socket_label);
	if (known->count)
		memcpy(insns, known->insns, known->count * sizeof(*insns));
	return 0;
}
