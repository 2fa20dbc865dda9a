/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Random classic filters and packets: the translation gives the same verdict as the kernel's own
 * run of the filter. On Unix datagram sockets: the received length is the verdict. SEED, COUNT:
 * which filters, how many.
 */
#include "tests/unit/translate/generate.h"

#include <sched.h>

#define PACKETS 6

static unsigned long verdicts, accepted, cut;

static void explain(const struct filter *f, const char *what, const unsigned char *packet,
		    size_t size, long expected, long got)
{
	printf("# %s: the kernel says %ld, the translation %ld, for a packet of %zu:\n# ", what,
	       expected, got, size);
	for (size_t i = 0; i < size && i < 128; i++)
		printf("%02x", packet[i]);
	printf("\n# filter:\n");
	print_filter(f->insns, f->count);
}

static bool same_on_unix(const struct filter *f, int classic[2], int translated[2])
{
	static unsigned char packet[1500];
	static char log[65536];
	bool plain = random_percent(50);
	int program = load_translated(f->insns, f->count, plain, NULL, 0);
	int error = attach_classic(classic[1], f->insns, f->count);

	if (program == -EFAULT && !plain)
		program = load_translated(f->insns, f->count, true, NULL, 0);
	if (program < 0 || error) {
		printf("# classic %s, translation %s\n", strerror(-error),
		       program < 0 ? strerror(-program) : "loads");
		print_filter(f->insns, f->count);
		if (program >= 0)
			close(program);
		else if (load_translated(f->insns, f->count, plain, log, sizeof(log)) < 0)
			printf("# %s\n", strlen(log) > 500 ? log + strlen(log) - 500 : log);
		return false;
	}
	error = attach_program(translated[1], program);
	close(program);
	if (error) {
		errno = -error;
		die("SO_ATTACH_BPF");
	}
	for (int i = 0; i < PACKETS; i++) {
		size_t size = f->packet_len + random_below(8);
		long expected, got;

		if (random_percent(30) && edge_length(f))
			size = edge_length(f);
		else if (random_percent(10))
			size = random_below(random_percent(50) ? 30 : sizeof(packet));
		for (size_t at = 0; at < size; at++)
			packet[at] = (unsigned char)(random_u32() >> random_below(32));
		expected = unix_verdict(classic, packet, size);
		if (expected == 0 && size && to_the_end)
			expected = 1;
		got = unix_verdict(translated, packet, size);
		verdicts++;
		accepted += expected > 1;
		cut += expected > 1 && expected != (long)size;
		if (expected != got) {
			explain(f, "unix", packet, size, expected, got);
			return false;
		}
	}
	return true;
}

int main(void)
{
	unsigned long seed = from_environment("SEED", (unsigned long)time(NULL));
	unsigned long count = from_environment("COUNT", 100000), wrong = 0;
	int classic[2], translated[2];
	static struct filter f;
	double start = seconds_now();
	cpu_set_t one;

	printf("# SEED=%lu COUNT=%lu\n", seed, count);
	random_seed(seed);
	CPU_ZERO(&one); /* SKF_AD_CPU */
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	unix_pair(classic);
	unix_pair(translated);
	for (unsigned long i = 0; i < count && wrong < 5; i++) {
		__u32 wanted = 11 + random_below(random_percent(90) ? 40 : FILTER_ROOM - 11);

		to_the_end = random_percent(50);
		generate(&f, wanted,
			 random_percent(50) ? 28 + random_below(100) : 256 + random_below(600),
			 false);
		wrong += !same_on_unix(&f, classic, translated);
	}
	ok(wrong == 0, "%lu random filters on Unix sockets", count);
	printf("# %lu verdicts, %lu accept, %lu of these cut the packet; %lu verifier bugs; %.1f s\n",
	       verdicts, accepted, cut, verifier_bugs, seconds_now() - start);
	ok(accepted > verdicts / 10 && cut > verdicts / 10, "the filters do accept and cut");
	ok(verifier_bugs < count / 50, "few need a plain translation");
	done_testing();
}
