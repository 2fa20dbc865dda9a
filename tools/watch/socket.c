// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * The capture socket of socktally watch. libpcap sets it up, so that link type, promiscuous mode and
 * compiled filter are the same as in other tools. Nobody reads it: its small ring fills up, and then
 * the kernel drops each packet after it was counted.
 */
#include "tools/watch/watch.h"

#include <net/if.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define SNAPLEN 262144        /* libpcap's largest: what the filter accepts is accepted whole */
#define RING_BYTES (64 << 10) /* libpcap makes it one frame at least */
#ifndef BPF_MAXINSNS
#define BPF_MAXINSNS 4096 /* linux/bpf_common.h */
#endif

struct watch_socket {
	pcap_t *pcap;
};

/* "eth0, lo" of the interfaces there are, as many as fit. */
static void interface_names(char *names, size_t size)
{
	struct if_nameindex *all = if_nameindex();
	size_t used = 0;

	*names = 0;
	for (struct if_nameindex *one = all; one && one->if_index; one++) {
		if (used + strlen(one->if_name) + 3 > size)
			break;
		used += (size_t)snprintf(names + used, size - used, "%s%s", used ? ", " : "",
					 one->if_name);
	}
	if_freenameindex(all);
}

static void say_why(const struct watch_capture *capture, pcap_t *pcap, int result)
{
	char names[512];

	switch (result) {
	case PCAP_ERROR_PERM_DENIED:
	case PCAP_ERROR_PROMISC_PERM_DENIED:
		command_fail("%s: no permission to capture: run as root (sudo), or with"
			     " CAP_NET_RAW, CAP_BPF and CAP_PERFMON",
			     capture->interface);
		break;
	case PCAP_ERROR_NO_SUCH_DEVICE:
		interface_names(names, sizeof(names));
		command_fail("%s: no such interface: there are %s, and any for all of them",
			     capture->interface, names);
		break;
	case PCAP_ERROR_IFACE_NOT_UP:
		command_fail("%s: is down: ip link set %s up", capture->interface,
			     capture->interface);
		break;
	default:
		command_fail("%s: can't capture: %s", capture->interface,
			     *pcap_geterr(pcap) ? pcap_geterr(pcap) : pcap_statustostr(result));
	}
}

/* Where the kernel refuses a filter libpcap filters in user space, and `accepted` could not be counted. */
static bool filter_in_kernel(int fd)
{
	socklen_t count = 0;

	return !getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &count) && count;
}

static bool filter_failed(const struct watch_capture *capture, const char *why)
{
	command_fail("-f '%.200s': %s", capture->filter, why);
	return false;
}

static bool compile(const struct watch_capture *capture, pcap_t *pcap, struct bpf_program *program)
{
	if (pcap_compile(pcap, program, capture->filter, 1, PCAP_NETMASK_UNKNOWN)) {
		command_fail("-f '%.200s': %s (see pcap-filter(7))", capture->filter,
			     pcap_geterr(pcap));
		return false;
	}
	if (program->bf_len > BPF_MAXINSNS) {
		pcap_freecode(program);
		return filter_failed(capture, "is too long for the kernel: make it shorter");
	}
	return true;
}

static bool set_filter(const struct watch_capture *capture, pcap_t *pcap, int *status)
{
	struct bpf_program program;
	bool set;

	*status = EXIT_USAGE;
	if (!compile(capture, pcap, &program))
		return false;
	*status = EXIT_FAILED;
	set = !pcap_setfilter(pcap, &program);
	pcap_freecode(&program);
	if (!set)
		return filter_failed(capture, pcap_geterr(pcap));
	if (!filter_in_kernel(pcap_fileno(pcap)))
		return filter_failed(capture, "the kernel doesn't take it");
	return true;
}

static bool activate(const struct watch_capture *capture, pcap_t *pcap)
{
	int result;

	pcap_set_snaplen(pcap, SNAPLEN);
	pcap_set_promisc(pcap, capture->promiscuous);
	pcap_set_buffer_size(pcap, RING_BYTES);
	pcap_set_timeout(pcap, 1000);
	result = pcap_activate(pcap);
	if (result < 0)
		say_why(capture, pcap, result);
	return result >= 0; /* positive: a warning, as that "any" can't be promiscuous */
}

struct watch_socket *watch_socket_open(const struct watch_capture *capture, int *status)
{
	struct watch_socket *socket = calloc(1, sizeof(*socket));
	char error[PCAP_ERRBUF_SIZE] = "";

	*status = EXIT_FAILED;
	if (!socket) {
		command_fail("out of memory");
		return NULL;
	}
	socket->pcap = pcap_create(capture->interface, error);
	if (!socket->pcap)
		command_fail("%s: can't capture: %s", capture->interface, error);
	else if (activate(capture, socket->pcap) &&
		 (!capture->filter || set_filter(capture, socket->pcap, status)))
		return socket;
	watch_socket_close(socket);
	return NULL;
}

void watch_socket_close(struct watch_socket *socket)
{
	if (!socket)
		return;
	if (socket->pcap)
		pcap_close(socket->pcap);
	free(socket);
}

int watch_filter_check(const struct watch_capture *capture)
{
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, SNAPLEN);
	struct bpf_program program;
	int status = EXIT_USAGE;

	if (!pcap)
		return command_fail("out of memory");
	if (compile(capture, pcap, &program)) {
		pcap_freecode(&program);
		status = 0;
	}
	pcap_close(pcap);
	return status;
}

int watch_socket_fd(const struct watch_socket *socket)
{
	return pcap_fileno(socket->pcap);
}
