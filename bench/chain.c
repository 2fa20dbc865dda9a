/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * chain ROUNDS REPEAT [THREADS] < PACKETS: what programs cost a packet, by BPF_PROG_TEST_RUN. In
 * each round every program runs REPEAT times on every packet, one after the other, so that what
 * disturbs the machine disturbs all of them. Prints, for each packet and program, the nanoseconds
 * of each round: "PACKET PROGRAM NS NS ...".
 *
 * The kernel's own figure has whole nanoseconds: this is the thread's processor time instead.
 *
 * With THREADS, so many do the same at once, each on a CPU of its own, and the first one's figures
 * are printed.
 */
#include "plugin/attach/attach.h"
#include "bench/prog_run.h"

#include "plugin/meter/meter.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

#define INSN(CODE, DST, SRC, OFF, IMM)                                                             \
	((struct bpf_insn){.code = (CODE),                                                         \
			   .dst_reg = (DST),                                                       \
			   .src_reg = (SRC),                                                       \
			   .off = (OFF),                                                           \
			   .imm = (IMM)})
#define MOVE(DST, SRC) INSN(BPF_ALU64 | BPF_MOV | BPF_X, DST, SRC, 0, 0)
#define MOVE_NUMBER(DST, IMM) INSN(BPF_ALU64 | BPF_MOV | BPF_K, DST, 0, 0, IMM)
#define CALL(FUNCTION) INSN(BPF_JMP | BPF_CALL, 0, 0, 0, FUNCTION)
#define RETURN INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
#define MAP(DST, FD)                                                                               \
	INSN(BPF_LD | BPF_DW | BPF_IMM, DST, BPF_PSEUDO_MAP_FD, 0, FD), ((struct bpf_insn){0})
#define SIZE(ARRAY) (sizeof(ARRAY) / sizeof(*(ARRAY)))

enum program { EMPTY, TUTORIAL, TUTORIAL_ATOMIC, FILTER, PLAIN, WHOLE, PROGRAMS };
static const char *const program_names[PROGRAMS] = {"empty",  "tutorial", "tutorial-atomic",
						    "filter", "plain",    "whole"};
static int programs[PROGRAMS];

/* "ip and tcp and dst host 10.0.0.2 and greater 60": ten instructions, an everyday filter. */
static const struct sock_filter tool_filter[] = {
	BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 7),
	BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 23),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 6, 0, 5),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 30),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x0a000002, 0, 3),
	BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
	BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 60, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, 262144),
	BPF_STMT(BPF_RET | BPF_K, 0),
};

static int load(const char *name, const struct bpf_insn *insns, size_t count)
{
	int prog = st_bpf_prog_load(name, insns, count, NULL, 0);

	if (prog < 0)
		die(name, prog);
	return prog;
}

static int load_empty(void)
{
	const struct bpf_insn insns[] = {MOVE_NUMBER(BPF_REG_0, 0), RETURN};

	return load("empty", insns, SIZE(insns));
}

/*
 * What a first tutorial on socket filters ends with: the IPv4 protocol's number by LD_ABS, and the
 * counter of that number in an array goes up, by an atomic instruction or a plain one.
 */
static int load_tutorial(int atomic)
{
	int map = st_bpf_map_create(BPF_MAP_TYPE_ARRAY, "tutorial", 4, 8, 256, 0);
	const struct bpf_insn count =
		atomic ? INSN(BPF_STX | BPF_ATOMIC | BPF_DW, BPF_REG_0, BPF_REG_1, 0, BPF_ADD)
		       : INSN(BPF_STX | BPF_MEM | BPF_DW, BPF_REG_0, BPF_REG_1, 0, 0);
	const struct bpf_insn insns[] = {
		MOVE(BPF_REG_6, BPF_REG_1),
		INSN(BPF_LD | BPF_ABS | BPF_B, 0, 0, 0,
		     ETH_HLEN + offsetof(struct iphdr, protocol)),
		INSN(BPF_STX | BPF_MEM | BPF_W, BPF_REG_10, BPF_REG_0, -4, 0),
		MOVE(BPF_REG_2, BPF_REG_10),
		INSN(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, -4),
		MAP(BPF_REG_1, map),
		CALL(BPF_FUNC_map_lookup_elem),
		INSN(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, atomic ? 2 : 3, 0),
		atomic ? MOVE_NUMBER(BPF_REG_1, 1)
		       : INSN(BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_1, BPF_REG_0, 0, 0),
		atomic ? count : INSN(BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_1, 0, 0, 1),
		atomic ? MOVE_NUMBER(BPF_REG_0, 0) : count,
		atomic ? RETURN : MOVE_NUMBER(BPF_REG_0, 0),
		RETURN,
	};

	if (map < 0)
		die("map", map);
	return load("tutorial", insns, SIZE(insns) - !!atomic);
}

static int load_whole(struct socktally *meter)
{
	struct st_socket_link tap = {.link = ST_LINK_ETH};
	int prog = st_socket_program_load(meter, &tap, tool_filter, SIZE(tool_filter));

	if (prog < 0)
		die(socktally_error(meter), prog);
	return prog;
}

/* The attached program of a meter that has ended: its chain is empty. */
static int load_filter(void)
{
	struct socktally *meter;
	int result = socktally_open(&meter, NULL), prog;

	if (result)
		die("meter", result);
	prog = load_whole(meter);
	socktally_close(meter);
	return prog;
}

/* Without applications. It stays open. */
static int load_plain(void)
{
	const struct socktally_open_opts opts = {.sz = sizeof(opts),
						 .flags = SOCKTALLY_OPEN_NO_APPLICATIONS};
	struct socktally *meter;
	int result = socktally_open(&meter, &opts);

	if (result)
		die("meter", result);
	return load_whole(meter);
}

static void load_all(struct socktally *meter)
{
	programs[EMPTY] = load_empty();
	programs[TUTORIAL] = load_tutorial(0);
	programs[TUTORIAL_ATOMIC] = load_tutorial(1);
	programs[FILTER] = load_filter();
	programs[PLAIN] = load_plain();
	programs[WHOLE] = load_whole(meter);
}

struct work {
	const struct packet *packets;
	size_t count;
	uint32_t rounds, repeat;
	double *figures; /* [packet][program][round] */
	pthread_barrier_t *together;
	int cpu;
};

static void *work(void *ctx)
{
	const struct work *work = ctx;

	run_on(work->cpu);
	for (uint32_t round = 0; round < work->rounds; round++) {
		for (size_t i = 0; i < work->count; i++) {
			for (int program = 0; program < PROGRAMS; program++) {
				double *figure = &work->figures[(i * PROGRAMS + (size_t)program) *
									work->rounds +
								round];

				if (work->together)
					pthread_barrier_wait(work->together);
				*figure = prog_run(programs[program], &work->packets[i],
						   work->repeat) *
					  1e9;
			}
		}
	}
	return NULL;
}

static void work_on_all(struct work *first, int threads)
{
	pthread_barrier_t together;
	pthread_t ids[64];
	struct work others[64];

	pthread_barrier_init(&together, NULL, (unsigned int)threads);
	for (int i = 1; i < threads; i++) {
		others[i] = *first;
		others[i].cpu = i;
		others[i].together = &together;
		others[i].figures =
			malloc(first->count * PROGRAMS * first->rounds * sizeof(double));
		if (!others[i].figures || pthread_create(&ids[i], NULL, work, &others[i]))
			die("thread", errno);
	}
	if (threads > 1)
		first->together = &together;
	work(first);
	for (int i = 1; i < threads; i++)
		pthread_join(ids[i], NULL);
}

static void print(const struct work *work)
{
	for (size_t i = 0; i < work->count; i++) {
		for (size_t program = 0; program < PROGRAMS; program++) {
			const double *figures =
				&work->figures[(i * PROGRAMS + program) * work->rounds];

			printf("%s %s", work->packets[i].name, program_names[program]);
			for (uint32_t round = 0; round < work->rounds; round++)
				printf(" %.3f", figures[round]);
			putchar('\n');
		}
	}
}

/* What was timed has counted every packet. */
static void check(const struct socktally *meter, uint64_t packets)
{
	struct socktally_totals totals;

	socktally_snapshot(meter, NULL, NULL, &totals);
	if (totals.counts.packets != packets || totals.overflow_packets)
		die("not every packet was counted", ERANGE);
}

int main(int argc, char **argv)
{
	struct work work_of_first = {0};
	struct packet *packets;
	struct socktally *meter;
	size_t count;
	int result;

	if (argc < 3)
		die("chain ROUNDS REPEAT [THREADS]", EINVAL);
	packets = packets_read(&count);
	result = socktally_open(&meter, NULL);
	if (result)
		die("meter", result);
	load_all(meter);
	work_of_first.packets = packets;
	work_of_first.count = count;
	work_of_first.rounds = (uint32_t)atoi(argv[1]);
	work_of_first.repeat = (uint32_t)atoi(argv[2]);
	work_of_first.figures = malloc(count * PROGRAMS * work_of_first.rounds * sizeof(double));
	if (!work_of_first.figures)
		die("figures", ENOMEM);
	work_on_all(&work_of_first, argc > 3 ? atoi(argv[3]) : 1);
	print(&work_of_first);
	check(meter, (uint64_t)count * work_of_first.rounds * work_of_first.repeat *
			     (uint64_t)(argc > 3 ? atoi(argv[3]) : 1));
	socktally_close(meter);
	return 0;
}
