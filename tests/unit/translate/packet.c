/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Random classic filters on packet sockets, raw and cooked, for packets that come in, go out, have
 * VLAN tags, or come in fragments: the translation gives the kernel's verdict. SEED, COUNT.
 */
#include "tests/unit/translate/device.h"
#include "tests/unit/translate/generate.h"

#define PACKETS 6

static unsigned long verdicts, accepted, cut;

/* 0, or -errno of the translation's load */
static int attach_both(const struct filter *f, const int sockets[2], bool plain)
{
	int program = load_translated(f->insns, f->count, plain, NULL, 0);

	if (attach_classic(sockets[0], f->insns, f->count))
		die("SO_ATTACH_FILTER");
	if (program < 0)
		return program;
	if (attach_program(sockets[1], program))
		die("SO_ATTACH_BPF");
	close(program);
	return 0;
}

static bool same(const struct filter *f, const struct device *device, int kind, bool fragments)
{
	static unsigned char packet[9000];
	const int *sockets = device->sockets[kind];
	/* from 1,500 bytes on a packet may have fragments in any case */
	bool plain = !fragments && random_percent(50);
	size_t most;
	int error = attach_both(f, sockets, plain);

	if (error == -EFAULT && !plain) {
		if (fragments)
			return true;
		plain = true;
		error = attach_both(f, sockets, plain);
	}
	if (error) {
		printf("# %s\n", strerror(-error));
		return false;
	}
	most = plain ? 1500 : sizeof(packet);
	for (int i = 0; i < PACKETS; i++) {
		size_t size = f->packet_len + random_below(16), linear = 0;
		long expected, got;
		bool out = !fragments && random_percent(30);

		if (random_percent(30))
			size = edge_length(f) + (kind ? ETH_HLEN : 0);
		else if (random_percent(10))
			size = 64 + random_below((__u32)most - 64);
		/* the kernel drops a packet with too little behind its tag */
		if (size < 24)
			size = 24;
		random_packet(packet, size);
		if (fragments)
			linear = ETH_HLEN + random_below((__u32)size - ETH_HLEN);
		if (out)
			transmit(device, packet, size);
		else
			inject(device, packet, size, linear);
		expected = received(sockets[0]);
		if (expected == 0 && to_the_end)
			expected = 1;
		got = received(sockets[1]);
		verdicts++;
		accepted += expected > 1;
		cut += expected > 1 && expected < (long)size - ETH_HLEN;
		if (expected == got)
			continue;
		printf("# the kernel says %ld, the translation %ld, for a packet of %zu (%zu "
		       "linear) %s:\n# ",
		       expected, got, size, linear, out ? "out" : "in");
		for (size_t at = 0; at < size && at < 128; at++)
			printf("%02x", packet[at]);
		printf("\n");
		return false;
	}
	return true;
}

/* Only these two may receive: buffers of others would fill. */
static void keep_quiet(const struct device *device)
{
	const struct sock_filter reject = {BPF_RET | BPF_K, 0, 0, 0};

	for (int i = 0; i < 4; i++) {
		int fd = device->sockets[i / 2][i % 2];

		if (attach_classic(fd, &reject, 1))
			die("SO_ATTACH_FILTER");
		while (received(fd))
			;
	}
}

static void try_device(const struct device *device, int kind, bool fragments, unsigned long count)
{
	static struct filter f;
	unsigned long wrong = 0;
	double start = seconds_now();

	verdicts = accepted = cut = verifier_bugs = 0;
	keep_quiet(device);
	for (unsigned long i = 0; i < count && wrong < 3; i++) {
		int mark = (int)random_u32();

		if (setsockopt(device->sender, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)))
			die("SO_MARK");
		to_the_end = random_percent(50);
		generate(&f, 11 + random_below(random_percent(90) ? 40 : 200),
			 random_percent(50) ? 64 + random_below(100) : 256 + random_below(600),
			 true);
		if (!same(&f, device, kind, fragments)) {
			print_filter(f.insns, f.count);
			wrong++;
		}
	}
	ok(wrong == 0, "%lu random filters on %s packet sockets%s", count, kind ? "cooked" : "raw",
	   fragments ? ", packets in fragments" : "");
	printf("# %lu verdicts, %lu accept, %lu of these cut the packet; %lu verifier bugs; %.1f s\n",
	       verdicts, accepted, cut, verifier_bugs, seconds_now() - start);
	ok(accepted > verdicts / 10 && cut > verdicts / 20, "the filters do accept and cut");
}

int main(void)
{
	unsigned long seed = from_environment("SEED", (unsigned long)time(NULL));
	unsigned long count = from_environment("COUNT", 40000);
	struct device whole, pieces;
	cpu_set_t one;

	printf("# SEED=%lu COUNT=%lu\n", seed, count);
	random_seed(seed);
	CPU_ZERO(&one); /* SKF_AD_CPU */
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	private_network();
	open_device(&whole, "whole", 0);
	open_device(&pieces, "pieces", IFF_NAPI | IFF_NAPI_FRAGS);
	for (int kind = 0; kind < 2; kind++) {
		try_device(&whole, kind, false, count / 4);
		try_device(&pieces, kind, true, count / 4);
	}
	done_testing();
}
