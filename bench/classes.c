/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * classes ROUNDS REPEAT < PACKETS: what 10, 100 and 1,000 expressions of one kind cost a packet.
 * Prints "KIND-COUNT WAY NS NS ...", for each round the mean of all packets. The ways:
 *
 *	classes   in the kernel: a meter with the classes, less a meter without
 *	native    outside of the kernel, as `socktally read --class` does it
 *	libpcap   pcap_offline_filter() with each filter, one after the other
 *	jit       each filter as a program of its own in the kernel, less as many empty ones
 */
#include "plugin/attach/attach.h"
#include "bench/prog_run.h"

#include "plugin/meter/meter.h"
#include "plugin/translate/translate.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <unistd.h>

/* libpcap and the kernel have the same name for their instructions. */
#define bpf_insn pcap_bpf_insn
#include <pcap/pcap.h>
#undef bpf_insn

#define COUNT_MAX 1000

enum way { CLASSES, NATIVE, LIBPCAP, JIT, WAYS };
static const char *const way_names[WAYS] = {"classes", "native", "libpcap", "jit"};

static struct socktally_class classes[COUNT_MAX];
static char names[COUNT_MAX][16], expressions[COUNT_MAX][96];
static struct bpf_program filters[COUNT_MAX];
static int programs[COUNT_MAX], empty;

/* A form each; the numbers are different ones for each class. */
static void make_varied(unsigned int i, unsigned int number, char *text, size_t size)
{
	static const char *const forms[] = {
		"src net 10.%u.%u.0/24 and tcp dst port %u",
		"dst net 172.16.%u.0/24 and portrange %u-%u",
		"host 10.%u.0.%u and not port %u",
		"ip6 and portrange %u-%u and not udp port %u",
		"src host 10.2.%u.%u and (dst port %u or icmp)",
		"udp and greater %u and (port %u or port %u)",
		"tcp[tcpflags] & tcp-syn != 0 and dst net 10.%u.%u.0/24 and not src port %u",
		"icmp[icmptype] = %u and ip[8] < %u and greater %u",
		"ether src 2:0:0:0:%x:%x and not dst port %u",
		"tcp[((tcp[12] & 0xf0) >> 2) + %u] = %u and dst port %u",
	};
	const char *form = forms[i % (sizeof(forms) / sizeof(*forms))];

	if (strstr(form, "portrange"))
		snprintf(text, size, form, number & 0xff, number, number + 1 + i * 37 % 3000);
	else
		snprintf(text, size, form, number & 0x7f, i / 4 & 0x7f, number);
}

/* Different ports, hosts, nets, or a third of each, like the list of an office's services. */
static void make_expression(const char *kind, unsigned int i, char *text, size_t size)
{
	static const char *const kinds[] = {"port", "host", "net"};
	unsigned int hash = i * 2654435761u;

	if (!strcmp(kind, "mixed"))
		kind = kinds[i % 3];
	if (!strcmp(kind, "port"))
		snprintf(text, size, "%sport %u", i % 2 ? "tcp " : "", 1 + i * 7 % 65535);
	else if (!strcmp(kind, "host"))
		snprintf(text, size, "host 10.%u.%u.%u", i % 4, i / 250, 1 + i % 250);
	else if (!strcmp(kind, "net"))
		snprintf(text, size, "net %u.%u.%u.0/24", 10 + i % 3, hash >> 24,
			 hash >> 16 & 0xff);
	else if (!strcmp(kind, "range"))
		snprintf(text, size, "portrange %u-%u", 1 + i * 53, 1 + i * 53 + i * 7 % 300);
	else
		make_varied(i, 1 + i * 7, text, size);
}

static int load(struct st_code *code)
{
	int prog;

	st_code_emit(code, (struct bpf_insn){.code = BPF_JMP | BPF_EXIT});
	prog = st_code_finish(code);
	if (!prog)
		prog = st_bpf_prog_load("naive", code->insns, code->count, NULL, 0);
	if (prog < 0)
		die("a filter as a program", prog);
	st_code_free(code);
	return prog;
}

static int load_filter(const struct bpf_program *filter,
		       const struct st_header_buffer *header_buffer)
{
	struct st_code code = {.plain = true, .header_buffer = header_buffer};
	int result =
		st_translate(&code, (struct sock_filter *)filter->bf_insns, filter->bf_len, NULL);

	if (result)
		die("a filter's translation", result);
	return load(&code);
}

static int load_empty(void)
{
	struct st_code code = {0};

	st_code_emit(&code, (struct bpf_insn){.code = BPF_ALU | BPF_MOV | BPF_K});
	return load(&code);
}

static void make(const char *kind, unsigned int count, const struct st_header_buffer *header_buffer)
{
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, 262144);

	if (!pcap)
		die("pcap_open_dead", ENOMEM);
	for (unsigned int i = 0; i < count; i++) {
		snprintf(names[i], sizeof(names[i]), "%u", i);
		make_expression(kind, i, expressions[i], sizeof(expressions[i]));
		classes[i] =
			(struct socktally_class){.name = names[i], .expression = expressions[i]};
		if (pcap_compile(pcap, &filters[i], expressions[i], 1, PCAP_NETMASK_UNKNOWN))
			die(pcap_geterr(pcap), EINVAL);
		programs[i] = load_filter(&filters[i], header_buffer);
	}
	pcap_close(pcap);
}

static void drop(unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		pcap_freecode(&filters[i]);
		close(programs[i]);
	}
}

static void set(struct socktally *meter, unsigned int count)
{
	int result = socktally_set_classes(meter, classes, count, NULL);

	if (result)
		die(socktally_error(meter), result);
}

/* One after the other, over and over: so the filters are in the caches as they would be. */
static double run_jit(const struct packet *packet, unsigned int count)
{
	const uint32_t repeat = 100;
	double spent = 0;

	for (unsigned int i = 0; i < count; i++)
		spent += prog_run(programs[i], packet, repeat) - prog_run(empty, packet, repeat);
	return spent;
}

static volatile unsigned int accepted; /* so that no call is optimised away */

static double run_libpcap(const struct packet *packet, unsigned int count, uint32_t repeat)
{
	const struct pcap_pkthdr header = {.caplen = (bpf_u_int32)packet->size,
					   .len = (bpf_u_int32)packet->size};
	double start = cpu_seconds();

	for (uint32_t round = 0; round < repeat; round++)
		for (unsigned int i = 0; i < count; i++)
			accepted += pcap_offline_filter(&filters[i], &header, packet->data) != 0;
	return (cpu_seconds() - start) / repeat;
}

static double run_native(struct socktally *meter, const struct packet *packet, uint32_t repeat)
{
	double start = cpu_seconds();

	for (uint32_t round = 0; round < repeat; round++)
		if (socktally_count(meter, 1, packet->data, packet->size, packet->size,
				    SOCKTALLY_IN))
			die("socktally_count", EINVAL);
	return (cpu_seconds() - start) / repeat;
}

/* A meter with the program of an Ethernet socket, or one in user space. */
struct side {
	struct socktally *meter;
	int prog;
};

static struct side open_side(bool kernel)
{
	const struct socktally_open_opts opts = {.sz = sizeof(opts),
						 .flags = kernel ? 0 : SOCKTALLY_OPEN_USERSPACE};
	struct st_attachment *attachment = calloc(1, sizeof(*attachment));
	struct side side = {.prog = -1};
	int result = socktally_open(&side.meter, &opts);

	if (result || !attachment)
		die("meter", result);
	if (!kernel) {
		free(attachment);
		return side;
	}
	attachment->socket_link.link = ST_LINK_ETH;
	side.prog = st_socket_program_load(side.meter, &attachment->socket_link, NULL, 0);
	side.meter->attachments = malloc(sizeof(struct st_attachment *));
	if (side.prog < 0 || !side.meter->attachments)
		die(socktally_error(side.meter), side.prog);
	side.meter->attachments[0] = attachment;
	side.meter->attachment_count = side.meter->attachment_room = 1;
	return side;
}

struct work {
	const struct packet *packets;
	size_t packet_count;
	unsigned int rounds;
	uint32_t repeat;
	struct side with, without, native, native_without;
};

static double measure(const struct work *work, enum way way, const struct packet *packet,
		      unsigned int count)
{
	/* each way takes about the same time */
	uint32_t few = work->repeat / count + 1;

	switch (way) {
	case CLASSES:
		return prog_run(work->with.prog, packet, work->repeat) -
		       prog_run(work->without.prog, packet, work->repeat);
	case NATIVE:
		return run_native(work->native.meter, packet, work->repeat) -
		       run_native(work->native_without.meter, packet, work->repeat);
	case LIBPCAP:
		return run_libpcap(packet, count, few);
	default:
		return run_jit(packet, count);
	}
}

static void compare(const struct work *work, const char *kind, unsigned int count)
{
	double *figures = calloc(WAYS * work->rounds, sizeof(*figures));

	if (!figures)
		die("figures", ENOMEM);
	make(kind, count, &work->with.meter->header_buffer);
	set(work->with.meter, count);
	set(work->native.meter, count);
	run_native(work->native.meter, &work->packets[0], 1); /* makes the rule set */
	for (unsigned int round = 0; round < work->rounds; round++)
		for (int way = 0; way < WAYS; way++)
			for (size_t i = 0; i < work->packet_count; i++)
				figures[(unsigned int)way * work->rounds + round] +=
					measure(work, way, &work->packets[i], count) * 1e9 /
					(double)work->packet_count;
	for (int way = 0; way < WAYS; way++) {
		printf("%s-%u %s", kind, count, way_names[way]);
		for (unsigned int round = 0; round < work->rounds; round++)
			printf(" %.2f", figures[(unsigned int)way * work->rounds + round]);
		putchar('\n');
	}
	fflush(stdout);
	drop(count);
	free(figures);
}

int main(int argc, char **argv)
{
	static const char *const kinds[] = {"port", "host", "net", "mixed", "range", "varied"};
	struct work work = {0};

	if (argc != 3)
		die("classes ROUNDS REPEAT", EINVAL);
	work.packets = packets_read(&work.packet_count);
	work.rounds = (unsigned int)atoi(argv[1]);
	work.repeat = (uint32_t)atoi(argv[2]);
	run_on(0);
	work.with = open_side(true);
	work.without = open_side(true);
	work.native = open_side(false);
	work.native_without = open_side(false);
	empty = load_empty();
	for (size_t kind = 0; kind < sizeof(kinds) / sizeof(*kinds); kind++)
		for (unsigned int count = 10; count <= COUNT_MAX; count *= 10)
			compare(&work, kinds[kind], count);
	socktally_close(work.with.meter);
	socktally_close(work.without.meter);
	socktally_close(work.native.meter);
	socktally_close(work.native_without.meter);
	return 0;
}
