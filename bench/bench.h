/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What the programs of the benchmark share: packets read as text, clocks, a way to give up. */
#ifndef SOCKTALLY_BENCH_BENCH_H
#define SOCKTALLY_BENCH_BENCH_H

#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PACKET_MAX 2048

/* A packet as the scripts here hand it over: a line "NAME HEX". */
struct packet {
	char name[256];
	size_t size;
	unsigned char data[PACKET_MAX];
};

__attribute__((unused, noreturn)) static void die(const char *what, int error)
{
	fprintf(stderr, "%s: %s\n", what, strerror(error < 0 ? -error : error));
	exit(1);
}

__attribute__((unused)) static double seconds_of(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Time that this thread has run: what others on the machine do costs nothing but the caches. */
__attribute__((unused)) static double cpu_seconds(void)
{
	return seconds_of(CLOCK_THREAD_CPUTIME_ID);
}

__attribute__((unused)) static void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (cpu >= 0 && sched_setaffinity(0, sizeof(set), &set))
		perror("sched_setaffinity");
}

__attribute__((unused)) static size_t bytes_of_hex(const char *text, unsigned char *bytes,
						   size_t room)
{
	size_t count = 0;
	unsigned int byte;

	while (count < room && sscanf(text + 2 * count, "%2x", &byte) == 1)
		bytes[count++] = (unsigned char)byte;
	return count;
}

/* All lines of standard input, or those up to an empty one. */
__attribute__((unused)) static struct packet *packets_read(size_t *count)
{
	char line[sizeof(((struct packet *)0)->name) + 2 * PACKET_MAX + 2];
	char hex[2 * PACKET_MAX + 1];
	struct packet *packets = NULL, *packet;

	*count = 0;
	while (fgets(line, sizeof(line), stdin) && *line != '\n') {
		packets = realloc(packets, (*count + 1) * sizeof(*packets));
		if (!packets)
			die("packets", 12);
		packet = &packets[*count];
		if (sscanf(line, "%255s %4096s", packet->name, hex) != 2)
			continue;
		packet->size = bytes_of_hex(hex, packet->data, PACKET_MAX);
		++*count;
	}
	if (!*count)
		die("no packets on standard input", 22);
	return packets;
}

#endif
