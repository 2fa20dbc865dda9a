// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * 64 meters with 256 sockets at once, each counting exactly; 10,000 rounds of attaching and detaching
 * in which memory and descriptors don't grow; fork() in the program. The number of rounds may be given.
 */
#include "tests/lib/api_traffic.h"
#include "tests/lib/growth.h"
#include <socktally/socktally.h>
#include <sys/wait.h>

enum { METERS = 64, SOCKETS = 256, PACKETS = 25 };

static uint64_t seen(struct socktally *meter)
{
	struct socktally_totals totals;

	return socktally_snapshot(meter, NULL, NULL, &totals) ? 0 : totals.counts.packets;
}

static void many(int udp)
{
	static struct socktally *meters[METERS];
	static int fds[SOCKETS];
	unsigned int opened = 0, attached = 0, exact = 0;

	for (int i = 0; i < METERS; i++)
		opened += !socktally_open(&meters[i], NULL);
	for (int i = 0; i < SOCKETS; i++) {
		fds[i] = packet_socket(htons(ETH_P_ALL));
		attached += !socktally_attach(meters[i % METERS], fds[i], NULL);
	}
	ok(opened == METERS && attached == SOCKETS, "64 meters, 256 sockets");
	traffic_send(udp, PACKETS);
	for (int i = 0; i < METERS; i++)
		exact += seen(meters[i]) == 2 * PACKETS * (SOCKETS / METERS);
	ok(exact == METERS, "each has counted what its sockets saw");
	for (int i = 0; i < SOCKETS; i += 2)
		exact += !socktally_detach(meters[i % METERS], fds[i]);
	traffic_send(udp, PACKETS);
	for (int i = 1; i < METERS; i += 2)
		exact += seen(meters[i]) == 4 * PACKETS * (SOCKETS / METERS);
	for (int i = 0; i < METERS; i += 2)
		exact += seen(meters[i]) == 2 * PACKETS * (SOCKETS / METERS);
	ok(exact == METERS + SOCKETS / 2 + METERS,
	   "half of them detached, and the others counting");
	for (int i = 0; i < SOCKETS; i++)
		close(fds[i]);
	for (int i = 0; i < METERS; i++)
		socktally_close(meters[i]);
}

static bool rounds_of(struct socktally *meter, unsigned int rounds)
{
	int fd = packet_socket(0);
	bool good = true;

	for (unsigned int i = 0; i < rounds && good; i++)
		good = !socktally_attach(meter, fd, NULL) && !socktally_detach(meter, fd);
	close(fd);
	return good;
}

static void rounds(struct socktally *meter, unsigned int count)
{
	char name[64];
	unsigned int open;
	size_t memory;

	ok(rounds_of(meter, count / 20), "some rounds first");
	memory = allocated();
	open = count_descriptors();
	snprintf(name, sizeof(name), "%u rounds of attach and detach", count);
	ok(rounds_of(meter, count), name);
	/* one that leaks a byte a round takes 24 of the heap */
	ok(allocated() < memory + count && count_descriptors() == open,
	   "memory and descriptors have not grown");
}

/* What a child does with its copy of a meter is seen by the parent, and closing it is its own affair. */
static void child(struct socktally *meter, int udp)
{
	bool good = seen(meter) == 2 * PACKETS;

	traffic_send(udp, PACKETS);
	good = good && seen(meter) == 4 * PACKETS && !socktally_poll(meter, 0);
	socktally_close(meter);
	_exit(!good);
}

static void forks(struct socktally *meter, int udp)
{
	int fd = packet_socket(htons(ETH_P_ALL)), status = -1;
	pid_t pid;

	ok(!socktally_attach(meter, fd, NULL), "a socket");
	traffic_send(udp, PACKETS);
	pid = fork();
	if (!pid)
		child(meter, udp);
	ok(waitpid(pid, &status, 0) == pid && !status, "a child takes snapshots, polls and closes");
	traffic_send(udp, PACKETS);
	ok(seen(meter) == 6 * PACKETS, "the parent goes on with what all have counted");
	ok(!socktally_poll(meter, 0) && !socktally_detach(meter, fd), "and has its socket");

	ok(!socktally_attach(meter, fd, NULL), "attach again");
	pid = fork();
	if (!pid) {
		socktally_close(meter);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	traffic_send(udp, PACKETS);
	ok(seen(meter) == 8 * PACKETS, "a child that closes it ends nothing");
	close(fd);
}

int main(int argc, char **argv)
{
	unsigned int count = argc > 1 ? (unsigned int)atoi(argv[1]) : 10000;
	int udp = traffic_open();
	struct socktally *meter;

	if (argc == 1)
		many(udp);
	if (!ok(!socktally_open(&meter, NULL), "open"))
		return done();
	if (argc == 1)
		rounds(meter, count);
	else
		ok(rounds_of(meter, count), "rounds of attach and detach");
	forks(meter, udp);
	socktally_close(meter);
	close(udp);
	return done();
}
