// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * The flow memory: who is remembered, and for how long. 1,000 flows that are recognised and alive keep their
 * names beside 10,000,000 new ones of each kind, in a table for 65,536; in the kernel beside 300,000 (TEST_ALL:
 * 10,000,000).
 */
#include "plugin/apps/memory.h"
#include "plugin/bpf/syscall.h"
#include "plugin/count/classify.h"
#include "plugin/meter/meter.h"
#include "bpf/apps/word.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FLOWS 65536
#define LIVING 1000
#define HEADERS (14 + 20 + 20)

static const uint8_t tls[] = {0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 7, 7, 7, 7, 7};
static const uint8_t dns[] = {0x12, 0x34, 1,   0,   0,   1, 0, 0, 0, 0, 0,
			      0,    3,    'w', 'w', 'w', 0, 0, 1, 0, 1};
static int tests, failures;
static uint64_t random_state = 88172645463325252ull;

struct packet {
	uint8_t bytes[HEADERS + 64 + ST_BEHIND];
	uint32_t size;
};

static void ok(bool good, const char *name)
{
	printf("%sok %d - %s\n", good ? "" : "not ", ++tests, name);
	failures += !good;
}

static uint32_t random_word(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 32);
}

static void put16(uint8_t *at, uint32_t number)
{
	at[0] = (uint8_t)(number >> 8);
	at[1] = (uint8_t)number;
}

static void put32(uint8_t *at, uint32_t number)
{
	put16(at, number >> 16);
	put16(at + 2, number);
}

/* protocol: 6 or 17; flags of TCP */
static struct packet make(uint8_t protocol, uint32_t from, uint32_t from_port, uint32_t to,
			  uint32_t to_port, uint8_t flags, const void *payload, uint32_t size)
{
	struct packet packet = {.size = 14 + 20 + (protocol == 6 ? 20 : 8) + size};
	uint8_t *ip = packet.bytes + 14, *transport = ip + 20;

	put16(packet.bytes + 12, 0x0800);
	ip[0] = 0x45;
	put16(ip + 2, packet.size - 14);
	ip[8] = 64;
	ip[9] = protocol;
	put32(ip + 12, from);
	put32(ip + 16, to);
	put16(transport, from_port);
	put16(transport + 2, to_port);
	if (protocol == 6) {
		transport[12] = 0x50;
		transport[13] = flags;
	} else {
		put16(transport + 4, 8 + size);
	}
	if (size)
		memcpy(packet.bytes + packet.size - size, payload, size);
	return packet;
}

/* The layer that the memory adds to a packet's path; 0: none. */
static uint8_t seen(struct st_flow_memory *memory, const struct packet *packet, uint32_t seconds)
{
	const struct st_batch_packet one = {.data = packet->bytes,
					    .caplen = packet->size,
					    .len = packet->size,
					    .seconds = seconds};
	struct st_flow_place place;
	struct st_path path =
		st_classify_place(NULL, ST_LINK_ETH, packet->bytes, packet->size, &place);
	const uint64_t before = path.lo;

	st_flow_recognise(memory, &one, &place, 1, &path);
	return path.lo == before ? 0 : path.lo & 0xff;
}

#define ACK 0x10
#define SYN 0x02
#define HERE 0x0a000001
#define THERE 0x0a000002

static struct st_flow_memory *memory_open(uint32_t flows)
{
	struct st_flow_memory *memory = st_flow_memory_open(flows, 0);

	if (!memory) {
		printf("Bail out! no memory\n");
		exit(1);
	}
	return memory;
}

static void a_flow(void)
{
	struct st_flow_memory *memory = memory_open(FLOWS);
	const struct packet syn = make(6, HERE, 4000, THERE, 443, SYN, NULL, 0),
			    hello = make(6, HERE, 4000, THERE, 443, ACK, tls, sizeof(tls)),
			    there = make(6, HERE, 4000, THERE, 443, ACK, NULL, 0),
			    back = make(6, THERE, 443, HERE, 4000, ACK, NULL, 0),
			    other = make(6, HERE, 4001, THERE, 443, ACK, NULL, 0),
			    answer = make(6, THERE, 443, HERE, 4000, SYN | ACK, NULL, 0);

	ok(!seen(memory, &syn, 0) && !seen(memory, &answer, 0) && !seen(memory, &there, 0),
	   "a handshake says nothing");
	ok(seen(memory, &hello, 0) == SOCKTALLY_TLS, "the evidence names its own packet");
	ok(seen(memory, &there, 0) == SOCKTALLY_TLS && seen(memory, &back, 0) == SOCKTALLY_TLS,
	   "and later ones of both directions, without payload, too");
	ok(!seen(memory, &other, 0), "but not another port's");
	ok(seen(memory, &back, 3000) == SOCKTALLY_TLS, "TCP does not end by age");
	ok(!seen(memory, &syn, 0) && !seen(memory, &back, 0), "a SYN begins it anew");
	st_flow_memory_close(memory);
}

static void by_age(void)
{
	struct st_flow_memory *memory = memory_open(FLOWS);
	const struct packet ask = make(17, HERE, 4000, THERE, 53, 0, dns, sizeof(dns)),
			    data = make(17, THERE, 53, HERE, 4000, 0, "\377\377", 2);

	ok(seen(memory, &ask, 1000) == SOCKTALLY_DNS && seen(memory, &data, 1200) == SOCKTALLY_DNS,
	   "UDP: a flow lives on for minutes");
	ok(seen(memory, &data, 1450) == SOCKTALLY_DNS, "since its last packet");
	ok(!seen(memory, &data, 1800), "and ends after five");
	st_flow_memory_close(memory);
}

/* What comes in a flood: a packet of a flow that was not there before. */
static struct packet flood_packet(int kind)
{
	uint8_t payload[32];
	const uint32_t from = random_word(), port = random_word() & 0xffff;

	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)random_word();
	switch (kind) {
	case 0:
		return make(6, from, port, THERE, 443, SYN, NULL, 0);
	case 1:
		return make(17, from, port, THERE, 9, 0, payload, sizeof(payload));
	case 2:
		return make(17, from, port, THERE, 53, 0, dns, sizeof(dns));
	default:
		return make(6, from, port, THERE, 443, ACK, tls, sizeof(tls));
	}
}

static const char *const floods[] = {"SYNs", "random payload", "DNS", "TLS without a handshake"};

static struct packet living_packet(uint32_t i, bool evidence)
{
	return make(6, 0x0b000000 + i, 1024 + i, THERE, 443, ACK, tls, evidence ? sizeof(tls) : 0);
}

static void flood(void)
{
	static struct packet living[LIVING];
	char text[128];
	uint32_t lost = 0;

	for (int kind = 0; kind < 4; kind++) {
		struct st_flow_memory *memory = memory_open(FLOWS);

		lost = 0;
		for (uint32_t i = 0; i < LIVING; i++) {
			living[i] = living_packet(i, true);
			lost += seen(memory, &living[i], 0) != SOCKTALLY_TLS;
			living[i] = living_packet(i, false);
			lost += seen(memory, &living[i], 0) != SOCKTALLY_TLS;
		}
		for (uint32_t i = 0; i < 10000000; i++) {
			const struct packet packet = flood_packet(kind);

			seen(memory, &packet, i / 100000);
			if (i % 1000 == 999) /* each is alive: a packet in some ten seconds */
				lost += seen(memory, &living[i / 1000 % LIVING], i / 100000) !=
					SOCKTALLY_TLS;
		}
		for (uint32_t i = 0; i < LIVING; i++)
			lost += seen(memory, &living[i], 100) != SOCKTALLY_TLS;
		st_flow_memory_close(memory);
		snprintf(text, sizeof(text),
			 "flood of %s: all living flows keep their names (%u lost)", floods[kind],
			 lost);
		ok(!lost, text);
	}
}

/* A memory that grows forgets nobody: 300,000 flows, each seen a second time. */
static void grown(void)
{
	struct st_flow_memory *memory = memory_open(0);
	uint32_t lost = 0;

	for (uint32_t i = 0; i < 300000; i++) {
		const struct packet packet = living_packet(i * 7, true);

		lost += seen(memory, &packet, 0) != SOCKTALLY_TLS;
	}
	for (uint32_t i = 0; i < 300000; i++) {
		const struct packet packet = living_packet(i * 7, false);

		lost += seen(memory, &packet, 0) != SOCKTALLY_TLS;
	}
	printf("# %u of 300000 lost\n", lost);
	ok(lost <= 300, "a memory that grows: at most one flow in 1,000 is lost");
	st_flow_memory_close(memory);
}

static bool run(int program, const struct packet *packet)
{
	static uint8_t data[14 + sizeof(packet->bytes)];
	struct __sk_buff context;
	union bpf_attr attr;

	memset(&context, 0, sizeof(context));
	context.cb[ST_CB_VERDICT] = 0xffff;
	context.cb[ST_CB_LINK] = ST_LINK_ETH;
	memcpy(data + 14, packet->bytes, packet->size);
	memset(&attr, 0, sizeof(attr));
	attr.test.prog_fd = (uint32_t)program;
	attr.test.data_in = (uintptr_t)data;
	attr.test.data_size_in = 14 + packet->size;
	attr.test.ctx_in = (uintptr_t)&context;
	attr.test.ctx_size_in = sizeof(context);
	return !syscall(SYS_bpf, BPF_PROG_TEST_RUN, &attr, sizeof(attr));
}

static int count_named(void *ctx, const struct socktally_cell *cell)
{
	if (!strcmp(cell->path, "eth:ip:tcp:tls"))
		*(uint64_t *)ctx += cell->counts.packets;
	return 0;
}

static uint64_t named(const struct socktally *meter, uint64_t *all)
{
	struct socktally_totals totals;
	uint64_t sum = 0;

	socktally_snapshot(meter, count_named, &sum, &totals);
	*all = totals.counts.packets;
	return sum;
}

/* The same in the kernel: names are counted before and after, without the flood's. */
static void kernel_flood(void)
{
	const struct socktally_open_opts opts = {.sz = sizeof(opts), .flows = FLOWS};
	const uint32_t entry = ST_CHAIN_ENTRY;
	uint64_t before, after, all, ran = 0;
	uint32_t count = getenv("TEST_ALL") ? 10000000 : 300000, id = 0;
	struct socktally *meter;
	int program;

	if (socktally_open(&meter, &opts) || !meter->flow_mask) {
		printf("ok %d # SKIP no BPF, or the kernel does not take the program that looks\n",
		       ++tests);
		return;
	}
	st_bpf_map_lookup(meter->chain_map, &entry, &id);
	program = st_bpf_prog_by_id(id);
	for (uint32_t i = 0; i < 2 * LIVING; i++) {
		const struct packet packet = living_packet(i / 2, !(i & 1));

		ran += run(program, &packet);
	}
	for (uint32_t i = 0; i < count; i++) {
		const struct packet packet = flood_packet((int)(i % 3)); /* nothing of TLS */

		ran += run(program, &packet);
	}
	before = named(meter, &all);
	for (uint32_t i = 0; i < LIVING; i++) {
		const struct packet packet = living_packet(i, false);

		ran += run(program, &packet);
	}
	after = named(meter, &all);
	printf("# %llu of %u\n", (unsigned long long)(after - before), LIVING);
	ok(before == 2 * LIVING && after - before == LIVING, "in the kernel they keep them, too");
	ok(all == ran && ran == 3 * LIVING + count, "and every packet was counted");
	close(program);
	socktally_close(meter);
}

int main(void)
{
	a_flow();
	by_age();
	flood();
	grown();
	kernel_flood();
	printf("1..%d\n", tests);
	return failures != 0;
}
