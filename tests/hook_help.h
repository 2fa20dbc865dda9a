/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What the tests of hooks share: TAP, a loopback of their own, and tests/hooks/steps.bpf.c as compiled. */
#ifndef TESTS_HOOK_HELP_H
#define TESTS_HOOK_HELP_H

#include "tests/hooks/steps.bpf.h"
#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <sched.h>
#include <socktally/socktally.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static unsigned int tap_ran, tap_failed;

__attribute__((format(printf, 2, 3), unused)) static bool ok(bool good, const char *format, ...)
{
	va_list arguments;

	printf("%sok %u - ", good ? "" : "not ", ++tap_ran);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	fflush(stdout);
	tap_failed += !good;
	return good;
}

__attribute__((unused)) static bool is_number(unsigned long long is, unsigned long long wanted,
					      const char *name)
{
	if (ok(is == wanted, "%s", name))
		return true;
	printf("# is %llu, wanted %llu\n", is, wanted);
	return false;
}

__attribute__((noreturn, unused)) static void bail(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

__attribute__((unused)) static int done(void)
{
	printf("1..%u\n", tap_ran);
	return tap_failed != 0;
}

/* A network namespace with nothing but lo in it, up. */
__attribute__((unused)) static void own_network(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd;

	if (geteuid() || unshare(CLONE_NEWNET)) {
		printf("1..0 # SKIP needs root\n");
		exit(0);
	}
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request))
		bail("lo up");
	close(fd);
}

/* A packet socket on lo; protocol 0: it gets nothing, and is there to send. */
__attribute__((unused)) static int socket_on_lo(int protocol)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET,
				      .sll_protocol = htons((uint16_t)protocol),
				      .sll_ifindex = (int)if_nametoindex("lo")};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)))
		bail("packet socket");
	return fd;
}

#endif
