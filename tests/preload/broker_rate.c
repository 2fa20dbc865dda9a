// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Programs are asked for faster than SERVER_LOADS_PER_SECOND: they are made at that rate, none is lost. Filters
 * that keep the verifier busy are refused, before or after a while; those of libpcap are not.
 */
#include "tools/server/server.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { REQUESTS = 50 };

static int tests, failed;

static void ok(bool good, const char *name)
{
	printf("%sok %d - %s\n", good ? "" : "not ", ++tests, name);
	failed += !good;
}

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

static bool load(struct socktally *meter, struct server_budget *budget,
		 const struct sock_filter *insns, size_t count)
{
	const struct st_socket_link link = {.link = ST_LINK_ETH};
	uint32_t id;
	size_t memory;
	int program = server_load(meter, budget, &link, insns, count, &id, &memory);

	if (program >= 0)
		close(program);
	return program >= 0;
}

static void rate(struct socktally *meter)
{
	static const struct sock_filter accept_all[] = {BPF_STMT(BPF_RET | BPF_K, 0xffff)};
	const int64_t share = 1000000 / SERVER_LOADS_PER_SECOND;
	struct server_budget budget = {.seconds = 10};
	int64_t began = now();
	int loaded = 0;

	ok(load(meter, &budget, accept_all, 1) && !budget.slowed, "a program");
	budget.rate_used = began + 3600 * 1000000ll; /* as if there had been so many */
	for (int i = 0; i < REQUESTS; i++)
		loaded += load(meter, &budget, accept_all, 1);
	ok(loaded == REQUESTS, "beyond the rate none is lost");
	ok(now() - began >= REQUESTS * share && budget.slowed, "but they wait");
	budget.processor -= 10 * 1000000ll; /* as if these had been used */
	ok(!load(meter, &budget, accept_all, 1) && strstr(socktally_error(meter), "processor"),
	   "no more than its processor time");
	budget.minute -= 60 * 1000000ll;
	ok(load(meter, &budget, accept_all, 1), "in the next minute it has some again");
}

/* Branches that meet again, with another value in the accumulator, which is or is not read afterwards. */
static uint32_t work_of_branches(struct sock_filter *insns, bool read)
{
	size_t count = 0;

	insns[count++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0);
	while (count < BROKER_MAX_INSNS - 4) {
		if (!read)
			insns[count++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 12);
		insns[count] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K,
							    (uint32_t)count * 7919, 1, 0);
		insns[count + 1] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 1);
		count += 2;
	}
	insns[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_A, 0);
	return server_work(insns, count);
}

int main(void)
{
	static struct sock_filter insns[BROKER_MAX_INSNS];
	struct socktally *meter = NULL;

	ok(work_of_branches(insns, true) == SERVER_WORK, "branches that multiply are told");
	ok(work_of_branches(insns, false) < 2 * BROKER_MAX_INSNS,
	   "from those whose value is loaded anew");
	if (socktally_open(&meter, NULL)) {
		printf("ok %d - a meter # SKIP needs root\n1..%d\n", tests + 1, tests + 1);
		return failed > 0;
	}
	rate(meter);
	socktally_close(meter);
	printf("1..%d\n", tests);
	return failed > 0;
}
