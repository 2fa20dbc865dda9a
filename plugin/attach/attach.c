// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Sockets on a meter. */
#include "plugin/remote/remote.h"
#include "plugin/attach/attach.h"
#include "plugin/attach/linktype.h"
#include "plugin/bpf/syscall.h"
#include "plugin/classes/classes.h"
#include "plugin/meter/meter.h"
#include "plugin/attach/saved_filter.h"
#include <errno.h>
#include <linux/sock_diag.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SO_ATTACH_BPF
#define SO_ATTACH_BPF 50
#endif
#ifndef SO_MEMINFO
#define SO_MEMINFO 55 /* Linux 4.12 */
#endif
#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif

/* How often to begin again where the owner of a socket changes its filter meanwhile. */
#define ATTACH_TRIES 16

static struct st_attachment *attachment_find(const struct socktally *meter, uint64_t cookie)
{
	for (size_t i = 0; i < meter->attachment_count; i++)
		if (meter->attachments[i]->cookie == cookie)
			return meter->attachments[i];
	return NULL;
}

static void attachment_free(struct st_attachment *attachment)
{
	if (!attachment)
		return;
	free(attachment->insns);
	free(attachment);
}

void st_attachments_free(struct socktally *meter)
{
	for (size_t i = 0; i < meter->attachment_count; i++)
		attachment_free(meter->attachments[i]);
	free(meter->attachments);
	meter->attachments = NULL;
	meter->attachment_count = meter->attachment_room = 0;
}

static int attachments_reserve(struct socktally *meter)
{
	size_t room = meter->attachment_room ? 2 * meter->attachment_room : 8;
	struct st_attachment **grown;

	if (meter->attachment_count < meter->attachment_room)
		return 0;
	grown = realloc(meter->attachments, room * sizeof(struct st_attachment *));
	if (!grown)
		return st_fail(meter, -ENOMEM, "no memory for one more socket");
	meter->attachments = grown;
	meter->attachment_room = room;
	return 0;
}

static void attachment_remove(struct socktally *meter, uint64_t cookie)
{
	for (size_t i = 0; i < meter->attachment_count; i++) {
		if (meter->attachments[i]->cookie != cookie)
			continue;
		attachment_free(meter->attachments[i]);
		meter->attachments[i] = meter->attachments[--meter->attachment_count];
		return;
	}
}

/* Puts the record of a socket in the place of an older one of the same socket. */
static void attachment_keep(struct socktally *meter, struct st_attachment *attachment)
{
	attachment_remove(meter, attachment->cookie);
	meter->attachments[meter->attachment_count++] = attachment;
}

/* The socket's cookie, if it is a packet socket. */
static int socket_check(struct socktally *meter, int fd, uint64_t *cookie)
{
	socklen_t size = sizeof(int);
	int domain;

	if (!st_is_live(meter))
		return -EINVAL;
	if (meter->userspace)
		return st_fail(meter, -EINVAL, "a meter without a kernel part has no sockets");
	snprintf(meter->attaching, sizeof(meter->attaching), "socket %d",
		 meter->shown >= 0 ? meter->shown : fd);
	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size))
		return st_fail(meter, -errno, "%s: %s", meter->attaching, strerror(errno));
	if (domain != AF_PACKET)
		return st_fail(meter, -EPROTOTYPE, "%s is not a packet socket", meter->attaching);
	size = sizeof(*cookie);
	if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, cookie, &size))
		return st_fail(meter, -errno, "%s: can't be told from others: %s", meter->attaching,
			       strerror(errno));
	return 0;
}

int st_filter_read(int fd, struct sock_filter **insns, size_t *count)
{
	socklen_t length = 0;

	*insns = NULL;
	*count = 0;
	if (getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &length))
		return -errno;
	if (!length)
		return 0;
	*insns = calloc(BPF_MAXINSNS, sizeof(**insns));
	if (!*insns)
		return -ENOMEM;
	length = BPF_MAXINSNS; /* it may have grown since */
	if (getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, *insns, &length)) {
		int error = -errno;

		free(*insns);
		*insns = NULL;
		return error;
	}
	*count = length;
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
	struct sock_filter *now;
	size_t now_count;
	bool same;
	int result;

	if (slot == SLOT_ANY)
		return true;
	result = st_filter_read(fd, &now, &now_count);
	if (result || slot == SLOT_OURS)
		return result == -EACCES && slot == SLOT_OURS;
	same = now_count == count && (!count || !memcmp(now, insns, count * sizeof(*insns)));
	free(now);
	return same;
}

/* What the socket's filter and other options take, as the kernel charges it; 0: it doesn't tell. */
static uint32_t option_memory(int fd)
{
	uint32_t info[SK_MEMINFO_VARS] = {0};
	socklen_t size = sizeof(info);

	return getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &size) ? 0 : info[SK_MEMINFO_OPTMEM];
}

/*
 * The kernel doesn't tell which eBPF program is on a socket. One of another length is not ours; and
 * ours lives as long as it is on one: if it is gone, the tool has put a program of its own in its
 * place, and that is not touched. Where we may not ask for programs (that takes CAP_SYS_ADMIN), one of
 * the same length is taken to be ours.
 */
bool st_may_be_on(const struct st_attachment *attachment, int fd)
{
	return attachment->option_memory == option_memory(fd) &&
	       (!attachment->program || st_program_exists(attachment->program) != 0);
}

/* So that the socket can be given back after this process was killed: better without than not. */
static void record_leave(struct socktally *meter, int prog, uint64_t cookie,
			 const struct sock_filter *insns, size_t count)
{
	int result = meter->records ? st_saved_filter_leave(prog, cookie, insns, count) : 0;

	if (result)
		st_log(meter, SOCKTALLY_LOG_WARNING,
		       "%s: its filter can't be noted (%s): it could not be restored if this process "
		       "were killed",
		       meter->attaching, strerror(-result));
}

static uint32_t program_id(int prog)
{
	struct bpf_prog_info info;

	memset(&info, 0, sizeof(info));
	return st_bpf_info(prog, &info, sizeof(info)) ? 0 : info.id;
}

static int attach_failed(struct socktally *meter, int error, size_t count)
{
	switch (error) {
	case -EPERM:
		return st_fail(meter, error,
			       "%s is locked by its owner (SO_LOCK_FILTER): it can't be metered",
			       meter->attaching);
	case -ENOMEM:
		return st_fail(meter, error,
			       "%s: its filter of %zu instructions does not fit with ours into "
			       "net.core.optmem_max: raise it (sysctl net.core.optmem_max=131072)",
			       meter->attaching, count);
	case -EAGAIN:
		return st_fail(meter, error, "%s: its filter keeps changing: try again",
			       meter->attaching);
	default:
		return st_fail(meter, error, "%s: can't attach: %s", meter->attaching,
			       strerror(-error));
	}
}

/*
 * Attaches the program for this tap and filter and takes the filter, which is malloc'ed, into the
 * socket's record. Everything that can fail comes before the kernel swaps the programs.
 * -EAGAIN: the slot holds something else by now.
 */
static int compose(struct socktally *meter, int fd, uint64_t cookie,
		   const struct st_socket_link *tap, struct sock_filter *insns, size_t count,
		   enum slot slot)
{
	struct st_attachment *attachment;
	int prog, result;

	snprintf(meter->attaching, sizeof(meter->attaching), "%s: socket %d", tap->interface,
		 meter->shown >= 0 ? meter->shown : fd);
	result = attachments_reserve(meter);
	if (result)
		return result;
	attachment = malloc(sizeof(*attachment));
	if (!attachment)
		return st_fail(meter, -ENOMEM, "no memory for one more socket");
	result = st_classes_serve(meter, tap);
	if (result)
		prog = result;
	else if (meter->broker >= 0)
		prog = st_broker_load(meter, cookie, tap, insns, count, &attachment->program);
	else
		prog = st_socket_program_load(meter, tap, insns, count);
	if (prog < 0) {
		free(attachment);
		return prog;
	}
	if (meter->broker < 0) {
		attachment->program = program_id(prog);
		record_leave(meter, prog, cookie, insns, count);
	}
	result = -EAGAIN;
	if (slot_holds(fd, slot, insns, count))
		result =
			setsockopt(fd, SOL_SOCKET, SO_ATTACH_BPF, &prog, sizeof(prog)) ? -errno : 0;
	close(prog);
	if (result) {
		free(attachment);
		return attach_failed(meter, result, count);
	}
	attachment->option_memory = option_memory(fd);
	attachment->cookie = cookie;
	attachment->tap = *tap;
	attachment->insns = insns;
	attachment->count = count;
	attachment->fd = fd;
	attachment->seen = st_now();
	attachment->lost = false;
	attachment_keep(meter, attachment);
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

	*ours = result == -EACCES && known && st_may_be_on(known, fd);
	if (*ours) {
		*count = known->count;
		*insns = filter_copy(known->insns, known->count);
		return *insns ? 0 : st_fail(meter, -ENOMEM, "no memory for a filter");
	}
	if (result == -EACCES)
		return st_fail(meter, result,
			       "%s has an eBPF filter of its own: it can't be metered",
			       meter->attaching);
	if (result)
		return st_fail(meter, result, "%s: can't read its filter: %s", meter->attaching,
			       strerror(-result));
	return 0;
}

/* Whether the program made for `old` reads the packets that come by `new` rightly, too. */
static bool tap_serves(const struct st_socket_link *old, const struct st_socket_link *new)
{
	return old->link == new->link || !old->link;
}

static int attach_once(struct socktally *meter, int fd, const struct socktally_attach_opts *opts)
{
	struct st_attachment *known;
	struct sock_filter *insns;
	struct st_socket_link tap;
	uint64_t cookie;
	size_t count;
	bool ours;
	int result;

	result = socket_check(meter, fd, &cookie);
	if (result)
		return result;
	result = st_socket_link_read(&tap, fd, opts->ifindex);
	if (result)
		return st_fail(meter, result, "%s: %s", meter->attaching, strerror(-result));
	known = attachment_find(meter, cookie);
	result = tool_filter(meter, fd, known, &insns, &count, &ours);
	if (result)
		return result;
	if (ours && tap_serves(&known->tap, &tap)) {
		free(insns);
		known->fd = fd;
		known->tap.ifindex = tap.ifindex;
		memcpy(known->tap.interface, tap.interface, sizeof(tap.interface));
		return 0;
	}
	if (opts->ifindex && !(opts->flags & SOCKTALLY_ATTACH_BEFORE_BIND))
		st_socket_link_widen(&tap, fd); /* packets of both interfaces may be under way */
	result = compose(meter, fd, cookie, &tap, insns, count, ours ? SLOT_OURS : SLOT_CLASSIC);
	if (result)
		free(insns);
	return result;
}

static int attach(struct socktally *meter, int fd, const struct socktally_attach_opts *opts)
{
	int result = -EAGAIN;

	for (int i = 0; i < ATTACH_TRIES && result == -EAGAIN; i++)
		result = attach_once(meter, fd, opts);
	return result;
}

int socktally_attach(struct socktally *meter, int fd, const struct socktally_attach_opts *opts)
{
	struct socktally_attach_opts own;
	int saved = errno, result;

	result = st_options(&own, sizeof(own), opts);
	if (!result && (own.flags & ~SOCKTALLY_ATTACH_BEFORE_BIND || own.ifindex < 0))
		result = -EINVAL;
	if (!st_is_live(meter))
		result = -EINVAL;
	else if (result)
		st_fail(meter, result, "options to attach a socket with that make no sense here");
	else
		result = attach(meter, fd, &own);
	errno = saved;
	return result;
}

static int set_filter(struct socktally *meter, int fd, const struct sock_filter *insns,
		      size_t count)
{
	struct st_attachment *known;
	struct sock_filter *copy;
	struct st_socket_link tap;
	uint64_t cookie;
	int result;

	result = socket_check(meter, fd, &cookie);
	if (result)
		return result;
	if (count > BPF_MAXINSNS || (count && !insns))
		return st_fail(meter, -EINVAL, "a filter has 1 to %d instructions", BPF_MAXINSNS);
	known = attachment_find(meter, cookie);
	if (known && !known->tap.link) {
		tap = known->tap; /* serves every interface, wherever the socket is bound by now */
	} else {
		result = st_socket_link_read(&tap, fd, 0);
		if (result)
			return st_fail(meter, result, "%s: %s", meter->attaching,
				       strerror(-result));
	}
	copy = filter_copy(insns, count);
	if (!copy)
		return st_fail(meter, -ENOMEM, "no memory for a filter");
	result = compose(meter, fd, cookie, &tap, copy, count, SLOT_ANY);
	if (result)
		free(copy);
	return result;
}

int socktally_set_filter(struct socktally *meter, int fd, const struct sock_filter *insns,
			 size_t count)
{
	int saved = errno, result = set_filter(meter, fd, insns, count);

	errno = saved;
	return result;
}

int socktally_get_filter(struct socktally *meter, int fd, struct sock_filter *insns, size_t *count)
{
	const struct st_attachment *known;
	int saved = errno, result;
	uint64_t cookie;
	size_t room;

	if (!count)
		return -EINVAL;
	result = socket_check(meter, fd, &cookie);
	errno = saved;
	if (result)
		return result;
	known = attachment_find(meter, cookie);
	if (!known)
		return st_fail(meter, -ENOENT, "%s is not on this meter", meter->attaching);
	room = *count;
	*count = known->count;
	if (room < known->count)
		return st_fail(meter, -ENOSPC, "%s has a filter of %zu instructions",
			       meter->attaching, known->count);
	if (known->count && !insns)
		return st_fail(meter, -EINVAL, "no place for the filter of %s", meter->attaching);
	if (known->count)
		memcpy(insns, known->insns, known->count * sizeof(*insns));
	return 0;
}

static int detach(struct socktally *meter, int fd)
{
	const struct st_attachment *known;
	struct sock_fprog program;
	uint64_t cookie;
	int result;

	result = socket_check(meter, fd, &cookie);
	if (result)
		return result;
	known = attachment_find(meter, cookie);
	if (!known)
		return st_fail(meter, -ENOENT, "%s is not on this meter", meter->attaching);
	if (!slot_holds(fd, SLOT_OURS, NULL, 0) || !st_may_be_on(known, fd)) {
		attachment_remove(meter, cookie); /* the socket has got another filter since */
		return 0;
	}
	program.len = (unsigned short)known->count;
	program.filter = known->insns;
	if (known->count)
		result = setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
	else
		result = setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &result, sizeof(result));
	if (result)
		return attach_failed(meter, -errno, known->count);
	attachment_remove(meter, cookie);
	return 0;
}

int socktally_detach(struct socktally *meter, int fd)
{
	int saved = errno, result = detach(meter, fd);

	errno = saved;
	return result;
}

int socktally_forget(struct socktally *meter, uint64_t cookie)
{
	if (!st_is_live(meter))
		return -EINVAL;
	if (!attachment_find(meter, cookie))
		return st_fail(meter, -ENOENT, "no such socket is on this meter");
	attachment_remove(meter, cookie);
	return 0;
}

int socktally_sockets(struct socktally *meter, socktally_socket_fn fn, void *ctx)
{
	if (!st_is_live(meter) || !fn)
		return -EINVAL;
	for (size_t i = 0; i < meter->attachment_count; i++) {
		const struct st_attachment *attachment = meter->attachments[i];
		struct socktally_socket socket;
		char linktype[32];
		int result;

		st_link_text(attachment->tap.link, linktype, sizeof(linktype));
		socket.cookie = attachment->cookie;
		socket.program = attachment->program;
		socket.ifindex = attachment->tap.ifindex;
		socket.interface = attachment->tap.interface;
		socket.linktype = linktype;
		socket.insns = attachment->count ? attachment->insns : NULL;
		socket.insn_count = attachment->count;
		result = fn(ctx, &socket);
		if (result)
			return result;
	}
	return 0;
}
