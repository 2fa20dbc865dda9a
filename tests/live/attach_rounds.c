// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * A thousand rounds of attaching and detaching leave nothing behind: no descriptor of ours, no
 * program and no map in the kernel, no memory. The number of rounds may be given, for a run under a
 * tool that slows it down and looks at memory itself.
 */
#include "tests/lib/growth.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <net/ethernet.h>
#include <sched.h>
#include <socktally/socktally.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static unsigned int ran, failed;

static bool ok(bool good, const char *name)
{
	printf("%sok %u - %s\n", good ? "" : "not ", ++ran, name);
	failed += !good;
	return good;
}

/* Programs or maps in the kernel. */
static unsigned int count_ids(enum bpf_cmd next)
{
	union bpf_attr attributes;
	unsigned int count = 0;

	memset(&attributes, 0, sizeof(attributes));
	while (!syscall(SYS_bpf, next, &attributes, sizeof(attributes))) {
		attributes.start_id = attributes.next_id;
		count++;
	}
	return count;
}

static unsigned int count_programs(void)
{
	return count_ids(BPF_PROG_GET_NEXT_ID);
}

static unsigned int count_maps(void)
{
	return count_ids(BPF_MAP_GET_NEXT_ID);
}

/* The kernel frees after a grace period, and another test may have some for a while. */
static bool back_to(unsigned int (*count)(void), unsigned int before)
{
	const struct timespec moment = {.tv_nsec = 50 * 1000 * 1000};

	for (int i = 0; i < 400; i++) {
		if (count() <= before)
			return true;
		nanosleep(&moment, NULL);
	}
	printf("# there were %u, now there are %u\n", before, count());
	return false;
}

static int packet_socket(int protocol)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, protocol);

	if (fd < 0) {
		printf("Bail out! packet socket: %s\n", strerror(errno));
		exit(1);
	}
	return fd;
}

static const struct sock_filter only_ip[] = {
	BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, 1000),
	BPF_STMT(BPF_RET | BPF_K, 0),
};

/* One meter, the same socket again and again. */
static bool same_socket(struct socktally *meter, unsigned int rounds)
{
	int fd = packet_socket(htons(ETH_P_ALL));
	bool good = true;

	for (unsigned int i = 0; i < rounds && good; i++)
		good = !socktally_attach(meter, fd, NULL) &&
		       !socktally_set_filter(meter, fd, only_ip, i % 2 ? 4 : 0) &&
		       !socktally_attach(meter, fd, NULL) && !socktally_detach(meter, fd);
	if (!good)
		printf("# %s\n", socktally_error(meter));
	close(fd);
	return good;
}

/* One meter, a new socket each time, which is closed without a word to the library. */
static bool new_sockets(struct socktally *meter, unsigned int rounds)
{
	bool good = true;

	for (unsigned int i = 0; i < rounds && good; i++) {
		int fd = packet_socket(0);
		socklen_t size = sizeof(uint64_t);
		uint64_t cookie;

		good = !socktally_set_filter(meter, fd, only_ip, 4) &&
		       !getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size);
		close(fd);
		good = good && !socktally_forget(meter, cookie);
	}
	return good;
}

/* A new meter each time. */
static bool new_meters(unsigned int rounds)
{
	bool good = true;

	for (unsigned int i = 0; i < rounds && good; i++) {
		struct socktally *meter;
		int fd = packet_socket(0);

		good = !socktally_open(&meter, NULL);
		if (good) {
			good = !socktally_attach(meter, fd, NULL) && socktally_fd(meter) >= 0;
			socktally_close(meter);
		}
		close(fd);
	}
	return good;
}

/* What fails leaves nothing, either. */
static bool failures(struct socktally *meter, unsigned int rounds)
{
	int locked = packet_socket(0), other = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const int on = 1;
	bool good = !setsockopt(locked, SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof(on));

	for (unsigned int i = 0; i < rounds && good; i++)
		good = socktally_attach(meter, locked, NULL) == -EPERM &&
		       socktally_set_filter(meter, locked, only_ip, 4) == -EPERM &&
		       socktally_attach(meter, other, NULL) == -EPROTOTYPE &&
		       socktally_attach(meter, -1, NULL) == -EBADF &&
		       socktally_detach(meter, locked) == -ENOENT;
	close(locked);
	close(other);
	return good;
}

int main(int argc, char **argv)
{
	unsigned int rounds = argc > 1 ? (unsigned int)atoi(argv[1]) : 1000;
	unsigned int descriptors, programs, maps;
	struct socktally *meter;
	long memory;

	if (geteuid() || unshare(CLONE_NEWNET)) {
		printf("1..0 # SKIP needs root\n");
		return 0;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	programs = count_programs();
	maps = count_maps();
	descriptors = count_descriptors();
	if (!ok(!socktally_open(&meter, NULL), "open"))
		return 1;
	ok(same_socket(meter, 10) && new_sockets(meter, 10), "a few rounds first");
	memory = resident();
	ok(same_socket(meter, rounds), "attach, set_filter, attach, detach on one socket");
	ok(new_sockets(meter, rounds),
	   "set_filter on a new socket each time, which is then closed");
	ok(failures(meter, rounds),
	   "a locked socket, one of another kind, none: errors as documented");
	ok(argc > 1 || resident() - memory < 1024, "memory in use grew by less than a megabyte");
	ok(back_to(count_programs, programs + 1), "one program with the meter open: count itself");
	socktally_close(meter);
	ok(new_meters(rounds / 10), "a new meter each time");
	ok(count_descriptors() == descriptors, "no descriptor is left");
	ok(back_to(count_programs, programs), "no program is left in the kernel");
	ok(back_to(count_maps, maps), "no map is left in the kernel");
	printf("1..%u\n", ran);
	return failed != 0;
}
