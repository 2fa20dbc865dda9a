// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Finding all packet sockets: namespace by namespace. */
#include "tools/list/captures.h"
#include "bpf/table.h"
#include "plugin/attach/linktype.h"

#include "tools/common/command.h"
#include "tools/proc/bounded.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef SIOCGSKNS
#define SIOCGSKNS 0x894C
#endif

static uint64_t inode_of(int fd)
{
	struct stat status;

	return fstat(fd, &status) ? 0 : status.st_ino;
}

/* netlink: in the socket's namespace, whose interfaces it can name. */
static void name_interface(struct capture *capture, int netlink)
{
	struct ifreq request;
	unsigned int hardware = 0;
	uint32_t link = ST_LINK_ETH;

	strcpy(capture->interface, "any");
	if (capture->diag.ifindex) {
		memset(&request, 0, sizeof(request));
		request.ifr_ifindex = capture->diag.ifindex;
		strcpy(capture->interface, "?");
		if (!ioctl(netlink, SIOCGIFNAME, &request)) {
			memcpy(capture->interface, request.ifr_name, sizeof(capture->interface));
			if (!ioctl(netlink, SIOCGIFHWADDR, &request))
				hardware = request.ifr_hwaddr.sa_family;
		}
	}
	if (capture->diag.type == SOCK_DGRAM)
		link = ST_LINK_SLL;
	else if (capture->diag.ifindex)
		link = st_link_of_hardware(hardware);
	st_link_text(link, capture->linktype, sizeof(capture->linktype));
}

/* The sockets of one namespace. */
static int captures_add(struct captures *captures, int netlink, size_t namespace)
{
	struct packet_diag_socket *sockets;
	struct capture *grown;
	size_t count;
	int result = packet_diag_read(netlink, true, &sockets, &count);

	if (result || !count)
		return result;
	grown = reallocarray(captures->capture, captures->count + count, sizeof(*grown));
	if (!grown) {
		packet_diag_free(sockets, count);
		return -ENOMEM;
	}
	captures->capture = grown;
	for (size_t i = 0; i < count; i++) {
		struct capture *capture = &grown[captures->count++];

		memset(capture, 0, sizeof(*capture));
		capture->diag = sockets[i];
		capture->namespace = namespace;
		name_interface(capture, netlink);
	}
	free(sockets);
	return 0;
}

/* Opens a netlink socket in the namespace; the process is in its own again when this returns. */
static int open_netlink(int namespace, int own)
{
	int netlink;

	if (inode_of(namespace) == inode_of(own))
		return packet_diag_open();
	if (setns(namespace, CLONE_NEWNET))
		return -errno;
	netlink = packet_diag_open();
	if (setns(own, CLONE_NEWNET)) {
		int error = -errno;

		if (netlink >= 0)
			close(netlink);
		return error;
	}
	return netlink;
}

static int visit(struct captures *captures, size_t number, int namespace, int own)
{
	int netlink = open_netlink(namespace, own), result;

	if (netlink == -EPERM) {
		captures->namespaces_hidden = true;
		return 0;
	}
	if (netlink < 0)
		return netlink;
	result = captures_add(captures, netlink, number);
	close(netlink);
	return result;
}

/* A namespace that has just ended is no failure. */
static int visit_all(struct captures *captures, int own)
{
	int result = 0;

	for (size_t i = 0; i < captures->namespaces.count && !result; i++) {
		const struct namespace *known = &captures->namespaces.namespace[i];
		int namespace;

		namespace = known->inode == captures->own_namespace
				    ? fcntl(own, F_DUPFD_CLOEXEC, 0)
				    : bounded_open_namespace(known->pid, known->path, known->inode);
		if (namespace < 0) {
			captures->namespaces_hidden |= namespace == -EACCES || namespace == -EPERM;
			captures->namespaces_slow |= namespace == -ETIMEDOUT;
			continue;
		}
		if (inode_of(namespace) == known->inode)
			result = visit(captures, i, namespace, own);
		close(namespace);
	}
	return result;
}

static bool is_listed(const struct captures *captures, uint64_t inode)
{
	for (size_t i = 0; i < captures->count; i++)
		if (captures->capture[i].diag.inode == inode)
			return true;
	return false;
}

/* The namespace of a packet socket may have no process and no name: the socket itself opens it. */
static int visit_of_socket(struct captures *captures, const struct holder *holder, int own)
{
	int fd = process_take_socket(holder->pid, holder->fd, holder->inode), namespace, result = 0;
	size_t known = captures->namespaces.count;

	if (fd < 0)
		return 0;
	namespace = ioctl(fd, SIOCGSKNS);
	close(fd);
	if (namespace < 0)
		return 0;
	fcntl(namespace, F_SETFD, FD_CLOEXEC);
	result =
		namespaces_add(&captures->namespaces, inode_of(namespace), holder->pid, NULL, NULL);
	if (!result && captures->namespaces.count > known)
		result = visit(captures, known, namespace, own);
	close(namespace);
	return result;
}

static int visit_hidden(struct captures *captures, int own)
{
	uint64_t last = 0;
	int result = 0;

	for (size_t i = 0; i < captures->holders.count && !result; i++) {
		const struct holder *holder = &captures->holders.holder[i];

		if (holder->inode == last || is_listed(captures, holder->inode))
			continue;
		last = holder->inode;
		if (process_has_packet_socket(holder->pid, holder->fd, holder->inode) > 0)
			result = visit_of_socket(captures, holder, own);
	}
	return result;
}

/* Fills in what is known without a descriptor of the socket, and why there is none. */
static void explain_untaken(struct capture *capture, int error, bool hidden)
{
	bool root = !geteuid();

	if (capture->diag.filter == PACKET_DIAG_FILTER_CLASSIC) {
		capture->filter = CAPTURE_FILTER_CLASSIC;
		capture->insns = capture->diag.insns;
		capture->insn_count = capture->diag.insn_count;
	}
	if (error != -ENOENT)
		snprintf(capture->why, sizeof(capture->why), "%s", process_take_refused(error));
	else if (hidden && !root)
		strcpy(capture->why, "whose it is can't be seen: run as root");
	else
		strcpy(capture->why,
		       "no process that we can see holds it: it is the kernel's own, in "
		       "another process namespace, or on its way between processes");
}

static void probe(struct captures *captures, struct capture *capture)
{
	struct sock_filter *insns = NULL;
	int fd = -ENOENT;

	if (capture->diag.inode)
		capture->holders = holders_find(&captures->holders, capture->diag.inode,
						&capture->holder_count);
	for (size_t i = 0; i < capture->holder_count && fd < 0; i++)
		fd = process_take_socket(capture->holders[i].pid, capture->holders[i].fd,
					 capture->diag.inode);
	if (fd < 0) {
		explain_untaken(capture, fd, captures->holders.hidden);
		return;
	}
	capture_probe(captures, capture, fd, &insns);
	close(fd);
	free(capture->diag.insns);
	capture->diag.insns = insns;
	capture->insns = insns;
}

static int compare_captures(const void *one, const void *other)
{
	const struct capture *a = one, *b = other;

	if (a->holder_count && b->holder_count && a->holders->pid != b->holders->pid)
		return a->holders->pid < b->holders->pid ? -1 : 1;
	if (!a->holder_count != !b->holder_count)
		return a->holder_count ? -1 : 1;
	return a->diag.cookie < b->diag.cookie ? -1 : a->diag.cookie > b->diag.cookie;
}

/* Reads the processes again if a socket was opened since the first reading. */
static int rescan(struct captures *captures)
{
	bool young = false;
	size_t count;

	for (size_t i = 0; i < captures->count && !young; i++)
		young = captures->capture[i].diag.inode &&
			!holders_find(&captures->holders, captures->capture[i].diag.inode, &count);
	if (!young)
		return 0;
	holders_free(&captures->holders);
	return processes_read(&captures->holders, NULL);
}

static int collect(struct captures *captures, int own)
{
	int result = processes_read(&captures->holders, &captures->namespaces);

	/* our own namespace, also where /proc shows no process */
	if (!result)
		result = namespaces_add(&captures->namespaces, captures->own_namespace, getpid(),
					"/proc/self/ns/net", NULL);
	if (!result)
		result = visit_all(captures, own);
	if (!result)
		result = visit_hidden(captures, own);
	if (!result && saved_filters_read(&captures->saved))
		captures->saved_hidden = true;
	return result;
}

int captures_read(struct captures *captures)
{
	int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), result;

	memset(captures, 0, sizeof(*captures));
	if (own < 0) {
		result = -errno;
		command_fail("can't look into /proc: %s", strerror(errno));
		return result;
	}
	captures->own_namespace = inode_of(own);
	result = collect(captures, own);
	close(own);
	if (result == -ENOENT)
		command_fail("this kernel can't list packet sockets: it was built without "
			     "CONFIG_PACKET_DIAG");
	else if (result)
		command_fail("can't list the packet sockets: %s", strerror(-result));
	if (!result)
		result = rescan(captures);
	for (size_t i = 0; i < captures->count; i++)
		probe(captures, &captures->capture[i]);
	if (captures->count)
		qsort(captures->capture, captures->count, sizeof(*captures->capture),
		      compare_captures);
	return result;
}

void captures_free(struct captures *captures)
{
	for (size_t i = 0; i < captures->count; i++)
		free(captures->capture[i].diag.insns);
	free(captures->capture);
	holders_free(&captures->holders);
	namespaces_free(&captures->namespaces);
	saved_filters_free(&captures->saved);
	memset(captures, 0, sizeof(*captures));
}
