// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * threads: what the rule about threads allows, all at once: meters of different threads side by
 * side, and one meter that a thread uses while others take snapshots. For ThreadSanitizer; exits with 1
 * if a call fails or a count is wrong.
 */
#include "tests/lib/api_traffic.h"
#include <pthread.h>
#include <socktally/socktally.h>
#include <stdatomic.h>

enum { THREADS = 4, READERS = 3, ROUNDS = 40 };

static struct socktally *shared;
static atomic_bool stop;
static atomic_uint wrong, reads;
static int udp;

static void expect(bool good)
{
	if (!good)
		atomic_fetch_add(&wrong, 1);
}

static int add_cell(void *ctx, const struct socktally_cell *cell)
{
	*(uint64_t *)ctx += cell->counts.packets;
	return 0;
}

static void *read_shared(void *ctx)
{
	uint64_t last = 0;

	(void)ctx;
	while (!atomic_load(&stop)) {
		struct socktally_totals totals;
		uint64_t sum = 0;

		expect(!socktally_snapshot(shared, add_cell, &sum, &totals));
		expect(sum == totals.counts.packets && sum >= last);
		last = sum;
		atomic_fetch_add(&reads, 1);
	}
	return NULL;
}

static void crossed(void *ctx, const struct socktally_crossing *crossing)
{
	*(unsigned int *)ctx += crossing->upwards;
}

/* A meter of one's own, opened and closed again and again. */
static void *use_own(void *ctx)
{
	const struct socktally_threshold_opts opts = {.sz = sizeof(opts), .path = "*:udp"};
	unsigned int crossings = 0;

	(void)ctx;
	for (int i = 0; i < ROUNDS / 4; i++) {
		int fd = packet_socket(htons(ETH_P_ALL));
		struct socktally *meter;

		expect(socktally_open(&meter, &(struct socktally_open_opts){.sz = 3}) == -EINVAL);
		expect(*socktally_error(NULL));
		if (socktally_open(&meter, NULL)) {
			expect(false);
			close(fd);
			break;
		}
		expect(!socktally_attach(meter, fd, NULL));
		expect(socktally_threshold_add(meter, &opts, crossed, &crossings) > 0);
		expect(!socktally_set_interval(meter, 5, NULL, NULL));
		expect(socktally_poll(meter, 1000) == 1);
		expect(!socktally_detach(meter, fd));
		socktally_close(meter);
		close(fd);
	}
	return NULL;
}

/* The only thread that does more with the shared one than snapshots. */
static void use_shared(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		int fd = packet_socket(htons(ETH_P_ALL));

		expect(!socktally_attach(shared, fd, NULL));
		traffic_send(udp, 10);
		expect(socktally_poll(shared, 0) >= 0);
		expect(!socktally_detach(shared, fd));
		close(fd);
	}
}

int main(void)
{
	pthread_t threads[THREADS + READERS];
	struct socktally_totals totals;

	udp = traffic_open();
	if (socktally_open(&shared, NULL))
		return 2;
	for (int i = 0; i < THREADS + READERS; i++)
		if (pthread_create(&threads[i], NULL, i < THREADS ? use_own : read_shared, NULL))
			return 2;
	use_shared();
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	stop = true;
	for (int i = THREADS; i < THREADS + READERS; i++)
		pthread_join(threads[i], NULL);
	expect(!socktally_snapshot(shared, NULL, NULL, &totals));
	expect(totals.counts.packets == ROUNDS * 20 && atomic_load(&reads) > 0);
	socktally_close(shared);
	ok(!atomic_load(&wrong), "every call did what it should");
	return done();
}
