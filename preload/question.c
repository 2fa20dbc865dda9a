// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* What the broker has to know of a socket, and what is in its filter slot. */
#include "preload/preload.h"
#include "preload/syscall.h"
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <sys/ioctl.h>

#ifndef SO_ATTACH_BPF
#define SO_ATTACH_BPF 50
#endif
#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif
#ifndef SO_MEMINFO
#define SO_MEMINFO 55 /* Linux 4.12 */
#endif
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71 /* Linux 5.14 */
#endif

int socket_option(int fd, int name)
{
	int value = -1;
	socklen_t size = sizeof(value);

	return raw_getsockopt(fd, name, &value, &size) ? -1 : value;
}

static uint64_t long_option(int fd, int name)
{
	uint64_t value = 0;
	socklen_t size = sizeof(value);

	return raw_getsockopt(fd, name, &value, &size) ? 0 : value;
}

uint64_t socket_cookie(int fd)
{
	int saved = errno;
	uint64_t cookie = long_option(fd, SO_COOKIE);

	errno = saved;
	return cookie;
}

/* 0: the kernel doesn't tell. */
static uint32_t option_memory(int fd)
{
	uint32_t info[SK_MEMINFO_VARS] = {0};
	socklen_t size = sizeof(info);

	return raw_getsockopt(fd, SO_MEMINFO, info, &size) ? 0 : info[SK_MEMINFO_OPTMEM];
}

/* An interface that has gone meanwhile is of the kind that the socket still tells. */
static void ask_interface(int fd, struct broker_request *request)
{
	struct ifreq interface = {.ifr_ifindex = request->ifindex};

	if (raw_syscall(SYS_ioctl, fd, SIOCGIFNAME, &interface))
		return;
	memcpy(request->interface, interface.ifr_name, sizeof(request->interface));
	if (!raw_syscall(SYS_ioctl, fd, SIOCGIFHWADDR, &interface))
		request->hardware = interface.ifr_hwaddr.sa_family;
}

void question_begin(struct broker_request *request, enum broker_op op, int fd)
{
	memset(request, 0, sizeof(*request));
	request->op = op;
	request->fd = fd;
	request->cookie = long_option(fd, SO_COOKIE);
	request->option_memory = option_memory(fd);
}

void question_of_socket(struct broker_request *request, enum broker_op op, int fd, int ifindex)
{
	struct sockaddr_ll address = {0};
	socklen_t size = sizeof(address);

	question_begin(request, op, fd);
	raw_syscall(SYS_getsockname, fd, &address, &size);
	request->type = (uint16_t)socket_option(fd, SO_TYPE);
	request->ifindex = ifindex ? ifindex : address.sll_ifindex;
	request->hardware = address.sll_hatype;
	strcpy(request->interface, request->ifindex ? "?" : "any");
	if (request->ifindex > 0)
		ask_interface(fd, request);
}

int slot_look(int fd)
{
	socklen_t count = 0;

	if (raw_getsockopt(fd, SO_GET_FILTER, NULL, &count))
		return errno == EACCES ? SLOT_HIDDEN : SLOT_UNKNOWN;
	return (int)count;
}

int slot_put_program(int fd, int program)
{
	return raw_syscall(SYS_setsockopt, fd, SOL_SOCKET, SO_ATTACH_BPF, &program, sizeof(program))
		       ? errno
		       : 0;
}

int slot_put_filter(int fd, const struct sock_filter *insns, uint32_t count)
{
	struct sock_fprog program = {.len = (unsigned short)count,
				     .filter = (struct sock_filter *)insns};
	int unused = 0;
	long result;

	if (count)
		result = raw_syscall(SYS_setsockopt, fd, SOL_SOCKET, SO_ATTACH_FILTER, &program,
				     sizeof(program));
	else
		result = raw_syscall(SYS_setsockopt, fd, SOL_SOCKET, SO_DETACH_FILTER, &unused,
				     sizeof(unused));
	return result ? errno : 0;
}

void slot_give_back(int fd)
{
	int saved = errno;
	struct filter_view view;

	if (filter_cache_get(fd, &view))
		slot_put_filter(fd, view.insns, view.count);
	errno = saved;
}

/*
 * The kernel charges a filter to the socket's option memory before it releases the one before, so that one
 * goes first; the limit is that of a network namespace.
 */
int slot_try_filter(int fd, const struct sock_filter *insns, uint32_t count)
{
	struct filter_view before;
	int error, scratch = (int)raw_syscall(SYS_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (scratch < 0)
		return SLOT_CANT_TRY;
	rpc_note_descriptor(scratch);
	if (long_option(fd, SO_NETNS_COOKIE) == long_option(scratch, SO_NETNS_COOKIE) &&
	    filter_cache_get(fd, &before) && before.count)
		slot_put_filter(scratch, before.insns, before.count);
	error = slot_put_filter(scratch, insns, count);
	raw_close(scratch);
	return error;
}
