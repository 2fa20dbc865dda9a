/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Groups while packets flow: others come and go, and a group counts every packet once. A flood of new
 * keys on two CPUs through a full table: sums are exact, heavy keys stay, and rows keep to their bounds.
 * TEST_CHANGES: how many changes; TEST_KEYS: how many keys.
 */
#include "tests/lib/hook_help.h"

#include <pthread.h>
#include <stdatomic.h>

#define PORTS 64
#define HEAVY 8
#define SIZE 60
#define SENDERS 2

static struct socktally *meter;
static struct flow flow;
static atomic_bool flooding;
static uint64_t sent[PORTS];

/* Ethernet, IPv4 and UDP, without a checksum. */
static void packet_make(unsigned char packet[SIZE], uint32_t source, uint16_t port)
{
	static const unsigned char start[] = {2, 0, 0,    0, 0, 1,         2, 0, 0, 0, 0,  2,
					      8, 0, 0x45, 0, 0, SIZE - 14, 0, 0, 0, 0, 64, 17};

	memset(packet, 0, SIZE);
	memcpy(packet, start, sizeof(start));
	packet[26] = (unsigned char)(source >> 24);
	packet[27] = (unsigned char)(source >> 16);
	packet[28] = (unsigned char)(source >> 8);
	packet[29] = (unsigned char)source;
	packet[36] = (unsigned char)(port >> 8);
	packet[37] = (unsigned char)port;
	packet[39] = SIZE - 34;
}

static int group_add(const char *name, const char *fields, uint32_t keys)
{
	return socktally_group_add(meter, &(struct socktally_group_opts){
						  .sz = sizeof(struct socktally_group_opts),
						  .name = name,
						  .fields = fields,
						  .keys = keys,
					  });
}

static void counts_add(struct socktally_counts *sum, const struct socktally_counts *counts)
{
	sum->packets += counts->packets;
	sum->segments += counts->segments;
	sum->bytes += counts->bytes;
	sum->accepted_packets += counts->accepted_packets;
	sum->accepted_bytes += counts->accepted_bytes;
}

/* --- 64 keys, while other groups come and go */

struct ports {
	struct socktally_counts sum, other;
	uint64_t packets[PORTS];
	unsigned int strange;
};

static int see_port(void *ctx, const struct socktally_group_row *row)
{
	struct ports *ports = ctx;
	uint64_t port;

	counts_add(&ports->sum, &row->counts);
	if (row->kind == SOCKTALLY_GROUP_OTHER)
		counts_add(&ports->other, &row->counts);
	if (row->kind != SOCKTALLY_GROUP_ROW)
		return 0;
	port = row->key[0].number - 1000;
	if (port < PORTS)
		ports->packets[port] += row->counts.packets;
	else
		ports->strange++;
	return 0;
}

static void *flood(void *ctx)
{
	unsigned char packet[SIZE];

	for (unsigned int number = 0; atomic_load(&flooding); number++) {
		unsigned int port = number * 2654435761u >> 26;

		packet_make(packet, 0x0a000001, (uint16_t)(1000 + port));
		flow_send(&flow, packet, SIZE);
		sent[port]++;
	}
	return ctx;
}

static bool is_total(const struct socktally_counts *sum, const char *name)
{
	struct socktally_totals totals;

	socktally_snapshot(meter, NULL, NULL, &totals);
	return ok(!memcmp(sum, &totals.counts, sizeof(*sum)),
		  "%s: rows, other and none are the totals, in each counter", name);
}

static void changes(unsigned int count)
{
	struct ports ports = {.strange = 0}, removed = {.strange = 0};
	unsigned int number, wrong = 0;
	pthread_t thread;
	int result = group_add("ports", "udp.dstport", 256);

	if (result)
		bail(socktally_error(meter));
	atomic_store(&flooding, true);
	if (pthread_create(&thread, NULL, flood, NULL))
		bail("pthread_create");
	for (number = 0; number < count && !result; number++) {
		result = group_add("extra", number % 2 ? "udp.dstport" : "addr.src,port.dst", 64);
		if (!result)
			result = socktally_group_remove(meter, "extra",
							number % 2 ? see_port : NULL, &removed);
	}
	atomic_store(&flooding, false);
	pthread_join(thread, NULL);
	if (!ok(!result, "%u groups come and go under a flood", number))
		printf("# %s\n", socktally_error(meter));
	flow_end(&flow);
	printf("# %llu packets, of which removed groups had counted %llu\n",
	       (unsigned long long)(2 * flow.sent), (unsigned long long)removed.sum.packets);
	ok(removed.sum.packets && removed.sum.packets <= 2 * flow.sent && !removed.strange,
	   "a group that is removed says what it had counted");
	if (socktally_group_rows(meter, "ports", 0, see_port, &ports))
		bail(socktally_error(meter));
	for (unsigned int port = 0; port < PORTS; port++)
		wrong += ports.packets[port] != 2 * sent[port];
	is_number(wrong, 0, "the group that stays has each packet of 64 keys once");
	is_number(ports.strange + ports.other.packets, 0, "and no others");
	is_total(&ports.sum, "64 keys");
	ok(!socktally_group_remove(meter, "ports", NULL, NULL), "it is removed");
}

/* --- more keys than there is room for */

static uint64_t keys_each;
static uint64_t heavy_sent[SENDERS][HEAVY];

/* One packet in 16 is of one of eight heavy keys. */
static void *send_keys(void *ctx)
{
	const unsigned int sender = (unsigned int)(uintptr_t)ctx;
	int out = socket_on_lo(0);
	unsigned char packet[SIZE];
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(sender, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	for (uint64_t number = 0; number < keys_each; number++) {
		uint32_t source = (uint32_t)(number * SENDERS + sender) * 2654435761u | 1u << 31;

		packet_make(packet, source, 53);
		if (number % 16 == 0) {
			unsigned int heavy = number / 16 % HEAVY;

			packet_make(packet, 0x0b000000 + heavy, 53);
			heavy_sent[sender][heavy]++;
		}
		while (send(out, packet, SIZE, 0) != SIZE)
			if (errno != ENOBUFS && errno != EAGAIN)
				bail("send");
	}
	close(out);
	return ctx;
}

struct flooded {
	struct socktally_counts sum, other;
	uint64_t rows, bytes[HEAVY], missing[HEAVY], most;
};

static int see_key(void *ctx, const struct socktally_group_row *row)
{
	struct flooded *flooded = ctx;
	unsigned int heavy;
	char more;

	counts_add(&flooded->sum, &row->counts);
	if (row->kind == SOCKTALLY_GROUP_OTHER)
		counts_add(&flooded->other, &row->counts);
	if (row->kind != SOCKTALLY_GROUP_ROW)
		return 0;
	flooded->rows++;
	if (row->missing_bytes > flooded->most)
		flooded->most = row->missing_bytes;
	if (row->direction != SOCKTALLY_OUT ||
	    sscanf(row->key[0].text, "11.0.0.%u%c", &heavy, &more) != 1 || heavy >= HEAVY)
		return 0;
	flooded->bytes[heavy] = row->counts.bytes;
	flooded->missing[heavy] = row->missing_bytes;
	return 0;
}

static void many_keys(uint64_t keys, uint32_t room)
{
	struct flooded flooded = {.rows = 0};
	struct socktally_totals before, after;
	pthread_t threads[SENDERS];
	unsigned int wrong = 0;

	keys_each = keys / SENDERS;
	if (group_add("keys", "ip.src,udp.dstport", room))
		bail(socktally_error(meter));
	socktally_snapshot(meter, NULL, NULL, &before);
	for (uintptr_t i = 0; i < SENDERS; i++)
		if (pthread_create(&threads[i], NULL, send_keys, (void *)i))
			bail("pthread_create");
	for (unsigned int i = 0; i < SENDERS; i++)
		pthread_join(threads[i], NULL);
	usleep(200000); /* what waits to be received */
	socktally_snapshot(meter, NULL, NULL, &after);
	if (socktally_group_rows(meter, "keys", UINT32_MAX, see_key, &flooded))
		bail(socktally_error(meter));
	printf("# %llu keys, room for %u: %llu rows, %llu packets in other, missing at most %llu of %llu bytes\n",
	       (unsigned long long)keys, room, (unsigned long long)flooded.rows,
	       (unsigned long long)flooded.other.packets, (unsigned long long)flooded.most,
	       (unsigned long long)flooded.sum.bytes);
	is_number(flooded.sum.packets, after.counts.packets - before.counts.packets,
		  "a flood of keys: packets add up");
	is_number(flooded.sum.bytes, after.counts.bytes - before.counts.bytes, "and bytes");
	is_number(flooded.sum.accepted_bytes,
		  after.counts.accepted_bytes - before.counts.accepted_bytes,
		  "and what is accepted");
	for (unsigned int i = 0; i < HEAVY; i++) {
		uint64_t truth = SIZE * (heavy_sent[0][i] + heavy_sent[1][i]);

		wrong += flooded.bytes[i] > truth ||
			 flooded.bytes[i] + flooded.missing[i] < truth ||
			 flooded.bytes[i] < truth / 2;
	}
	is_number(wrong, 0, "heavy keys have their rows, which keep to their bounds");
	ok(flooded.rows <= 2ull * SENDERS * room && flooded.other.packets,
	   "there are no more rows than there is room for");
	ok(!socktally_group_remove(meter, "keys", NULL, NULL), "it is removed");
}

struct where {
	uint64_t packets, on_lo;
	bool cpu_is_number;
};

static int see_where(void *ctx, const struct socktally_group_row *row)
{
	struct where *where = ctx;

	where->packets += row->counts.packets;
	if (row->kind == SOCKTALLY_GROUP_ROW && !strcmp(row->key[0].text, "lo") &&
	    !strcmp(row->key[2].text, "0x00000000"))
		where->on_lo += row->counts.packets;
	where->cpu_is_number = row->key_count == 3 && row->key[1].type == SOCKTALLY_UNSIGNED;
	return 0;
}

/* What is not in the packet's bytes. */
static void context(void)
{
	struct where where = {.packets = 0};
	unsigned char packet[SIZE];

	if (group_add("where", "interface,cpu,mark", 0))
		bail(socktally_error(meter));
	packet_make(packet, 0x0a000001, 53);
	flow_send(&flow, packet, SIZE);
	flow_end(&flow);
	ok(!socktally_group_remove(meter, "where", see_where, &where) && where.packets == 2 &&
		   where.on_lo == 2 && where.cpu_is_number,
	   "by interface, CPU and mark");
}

static void refusals(void)
{
	const struct socktally_group_opts newer = {.sz = sizeof(newer),
						   .fields = "ip.src",
						   .flags = 1};

	is_number((unsigned)-group_add("a", "ip.dts", 0), EINVAL, "refused: no such field");
	printf("# %s\n", socktally_error(meter));
	is_number((unsigned)-group_add("a\nb", "ip.src", 0), EINVAL,
		  "refused: a name of two lines");
	is_number((unsigned)-group_add("a", NULL, 0), EINVAL, "refused: no fields");
	is_number((unsigned)-group_add("a", "ip.src", 65537), EINVAL, "refused: too much room");
	is_number((unsigned)-socktally_group_add(meter, &newer), EINVAL,
		  "refused: an unknown flag");
	is_number((unsigned)-socktally_group_add(meter, NULL), EINVAL, "refused: no options");
	ok(!group_add("a", "ip.src", 0), "a group is added");
	is_number((unsigned)-group_add("a", "ip.dst", 0), EEXIST, "refused: a name that is there");
	is_number((unsigned)-socktally_group_rows(meter, "b", 0, see_key, NULL), ENOENT,
		  "rows of a group that isn't there");
	is_number((unsigned)-socktally_group_remove(meter, "b", NULL, NULL), ENOENT,
		  "a group is removed that isn't there");
	ok(!socktally_hook_remove(meter, "group1", NULL), "its hook is removed");
	ok(!socktally_group_remove(meter, "a", NULL, NULL), "and it all the same");
}

int main(void)
{
	const char *changed = getenv("TEST_CHANGES"), *keys = getenv("TEST_KEYS");
	const struct socktally_open_opts opts = {.sz = sizeof(opts)};
	int fd, result;

	own_network();
	flow_open(&flow);
	fd = socket_on_lo(ETH_P_ALL);
	result = socktally_open(&meter, &opts);
	if (!result)
		result = socktally_attach(meter, fd, NULL);
	if (result)
		bail(socktally_error(result ? NULL : meter));
	changes(changed ? (unsigned int)strtoul(changed, NULL, 10) : 60);
	context();
	flow_close(&flow);
	many_keys(keys ? strtoull(keys, NULL, 10) : 300000, keys ? 65536 : 4096);
	refusals();
	socktally_close(meter);
	close(fd);
	return done();
}
