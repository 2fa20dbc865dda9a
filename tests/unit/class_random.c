/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The kernel's program for random classes: the verifier accepts it, and it counts each packet in
 * exactly those classes whose filters accept it, run by libpcap. SEED, COUNT: which, how many;
 * MANY: how many classes at once.
 */
#include "plugin/attach/attach.h"
#include "tests/unit/expressions.h"
#include "plugin/meter/meter.h"

#include <sched.h>

#define CLASSES_MAX 1024
#define PACKETS 60
#define VERDICT 100

static struct st_filter filters[CLASSES_MAX];
static struct socktally_class classes[CLASSES_MAX];
static struct socktally_counts counts[CLASSES_MAX + 1], before[CLASSES_MAX + 1];
static char texts[CLASSES_MAX][1024], names[CLASSES_MAX][16];
static size_t counted;
static unsigned long verdicts, accepted;

static int note(void *ctx, const struct socktally_class_counts *class)
{
	(void)ctx;
	counts[counted++] = class->in;
	return class->out.packets != 0; /* no packet goes out here */
}

static void read_counts(const struct socktally *meter, size_t count)
{
	memcpy(before, counts, sizeof(before));
	counted = 0;
	if (socktally_classes(meter, note, NULL) || counted != count)
		die("socktally_classes");
}

static bool same_counts(size_t i, bool wanted, size_t size)
{
	const struct socktally_counts *now = &counts[i], *was = &before[i];
	size_t got = size < VERDICT ? size : VERDICT;

	return now->packets - was->packets == wanted && now->segments - was->segments == wanted &&
	       now->bytes - was->bytes == wanted * size &&
	       now->accepted_packets - was->accepted_packets == wanted &&
	       now->accepted_bytes - was->accepted_bytes == wanted * got;
}

static bool same(const struct socktally *meter, int prog, size_t count, int linktype, bool first)
{
	/* BPF_PROG_TEST_RUN takes an Ethernet header off */
	unsigned char frame[14 + PACKET_ROOM] = {0}, *packet = frame + 14;
	size_t size = random_packet(linktype, packet);
	bool any = false;
	int result;

	if (size < 14) /* BPF_PROG_TEST_RUN refuses it */
		return true;
	result = st_bpf_prog_run(prog, frame, 14 + size, 1, NULL, NULL);
	if (result) {
		printf("# run: %s, %zu bytes\n", strerror(-result), size);
		return false;
	}
	read_counts(meter, count + first);
	for (size_t i = 0; i < count + first; i++) {
		bool wanted = i < count ? offline(&filters[i], packet, size, size) : !any;

		if (first && any)
			wanted = false;
		any |= wanted;
		verdicts++;
		accepted += wanted;
		if (same_counts(i, wanted, size))
			continue;
		printf("# '%s': wanted %d, counted %lld\n", i < count ? texts[i] : "none", wanted,
		       (long long)(counts[i].packets - before[i].packets));
		show_packet(packet, size);
		return false;
	}
	return true;
}

/*
 * Sets the classes, half of them as expressions, half as filters, and runs `prog`, a socket's
 * program of this meter.
 */
static bool check_classes(struct socktally *meter, int prog, size_t count, int linktype, bool wide,
			  bool first)
{
	struct socktally_classes_opts opts = {.sz = sizeof(opts),
					      .flags = first ? SOCKTALLY_CLASSES_FIRST : 0};
	bool good = true;
	double start;
	int result;

	random_filters(filters, texts, count, linktype, wide);
	for (size_t i = 0; i < count; i++) {
		snprintf(names[i], sizeof(names[i]), "%zu", i);
		classes[i] = (struct socktally_class){.name = names[i],
						      .insns = filters[i].insns,
						      .insn_count = filters[i].count,
						      .linktype = linktype == DLT_RAW ? 101 : 1};
		if (random_percent(50) && !strstr(texts[i], "vlan"))
			classes[i].expression = texts[i];
	}
	start = seconds_now();
	result = socktally_set_classes(meter, classes, count, &opts);
	if (count > 500)
		printf("# %zu classes%s: set in %.3f s\n", count, wide ? " of all kinds" : "",
		       seconds_now() - start);
	if (result) {
		printf("# %zu classes: %s\n", count, socktally_error(meter));
		good = false;
	} else {
		counted = 0;
		socktally_classes(meter, note, NULL);
		for (int i = 0; i < PACKETS && good; i++)
			good = same(meter, prog, count, linktype, first);
	}
	for (size_t i = 0; i < count; i++)
		free((void *)filters[i].insns);
	return good;
}

/* A meter with the program of a socket of this link, and no socket. */
static struct socktally *open_meter(uint32_t link, int *prog)
{
	static const struct sock_filter cut = {BPF_RET | BPF_K, 0, 0, VERDICT};
	struct st_socket_link socket_link = {.link = link};
	struct st_attachment *attachment = calloc(1, sizeof(*attachment));
	struct socktally *meter;

	if (!attachment || socktally_open(&meter, NULL))
		die("socktally_open");
	*prog = st_socket_program_load(meter, &socket_link, &cut, 1);
	meter->attachments = malloc(sizeof(struct st_attachment *));
	if (*prog < 0 || !meter->attachments)
		die("program");
	attachment->socket_link = socket_link;
	meter->attachments[0] = attachment;
	meter->attachment_count = meter->attachment_room = 1;
	return meter;
}

int main(void)
{
	unsigned long seed = from_environment("SEED", (unsigned long)time(NULL));
	unsigned long count = from_environment("COUNT", 400), wrong = 0;
	size_t many = from_environment("MANY", 1000);
	double start = seconds_now();
	struct socktally *eth, *raw;
	int eth_prog, raw_prog;
	cpu_set_t one;

	printf("# SEED=%lu COUNT=%lu\n", seed, count);
	random_seed(seed);
	/* as the library compiles expressions, so that both accept and refuse the same */
	not_optimized = 0;
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	eth = open_meter(ST_LINK_ETH, &eth_prog);
	raw = open_meter(ST_LINK_RAW, &raw_prog);
	for (unsigned long i = 0; i < count && wrong < 5; i++) {
		size_t classes_now = 1 + random_below(random_percent(50) ? 5 : 60);
		bool wide = random_percent(60), first = random_percent(30);

		if (random_percent(25))
			wrong += !check_classes(raw, raw_prog, classes_now, DLT_RAW, wide, first);
		else
			wrong +=
				!check_classes(eth, eth_prog, classes_now, DLT_EN10MB, wide, first);
	}
	ok(wrong == 0, "%lu sets of up to 60 random classes", count);
	wrong = 0;
	for (int i = 0; i < 4; i++)
		wrong += !check_classes(eth, eth_prog, many, DLT_EN10MB, i & 1, i & 2);
	ok(wrong == 0, "%zu classes at once", many);
	socktally_close(eth);
	socktally_close(raw);
	close(eth_prog);
	close(raw_prog);
	printf("# %lu verdicts, %lu accept; %.1f s\n", verdicts, accepted, seconds_now() - start);
	done_testing();
}
