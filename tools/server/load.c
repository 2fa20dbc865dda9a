// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Loads a program for a client that may want the verifier to be busy for as long as possible. */
#include "tools/server/server.h"
#include "plugin/bpf/syscall.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int64_t microseconds(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Each program takes its share of a second, and is waited for; unused time adds up to SERVER_LOADS_AT_ONCE. */
static void keep_to_rate(struct server_budget *budget)
{
	const int64_t share = 1000000 / SERVER_LOADS_PER_SECOND,
		      now = microseconds(CLOCK_MONOTONIC);
	const struct timespec rest = {.tv_nsec = share * 1000};

	if (budget->rate_used < now - SERVER_LOADS_AT_ONCE * share)
		budget->rate_used = now - SERVER_LOADS_AT_ONCE * share;
	if (budget->rate_used > now) {
		budget->slowed = true;
		nanosleep(&rest, NULL);
	}
	budget->rate_used += share;
}

/* This process works for the one client: its time is what the client has used. */
static bool has_time(struct server_budget *budget)
{
	const int64_t now = microseconds(CLOCK_MONOTONIC);
	const int64_t used = microseconds(CLOCK_PROCESS_CPUTIME_ID);

	if (!budget->minute || now - budget->minute >= 60 * 1000000) {
		budget->minute = now;
		budget->processor = used;
	}
	return used - budget->processor < budget->seconds * 1000000ll;
}

static void interrupt(int number)
{
	(void)number;
}

/*
 * The verifier gives up when SIGXCPU comes, and each time that it begins anew (plugin/bpf/syscall.c). The
 * kernel's own calls: the C library's were in a library of their own before glibc 2.34. A timer of processor
 * time would not do, as it expires between two system calls only.
 */
static bool start_timer(int *timer)
{
	struct sigaction action = {.sa_handler = interrupt};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGXCPU};
	const struct itimerspec time = {
		.it_value = {.tv_nsec = SERVER_LOAD_MILLISECONDS * 1000000L},
		.it_interval = {.tv_nsec = 1000000},
	};

	sigaction(SIGXCPU, &action, NULL);
	if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, timer))
		return false;
	if (!syscall(SYS_timer_settime, *timer, 0, &time, NULL))
		return true;
	syscall(SYS_timer_delete, *timer);
	return false;
}

static void take_facts(int prog, uint32_t *program, size_t *memory)
{
	struct bpf_prog_info info;

	memset(&info, 0, sizeof(info));
	*program = 0;
	*memory = 0;
	if (st_bpf_info(prog, &info, sizeof(info)))
		return;
	*program = info.id;
	*memory = info.xlated_prog_len + info.jited_prog_len;
}

int server_load(struct socktally *meter, struct server_budget *budget,
		const struct st_socket_link *link, const struct sock_filter *insns, size_t count,
		uint32_t *program, size_t *memory)
{
	int timer, prog;

	keep_to_rate(budget);
	if (!has_time(budget))
		return st_fail(
			meter, -EBUSY,
			"%s: more than %u seconds of processor time a minute went into filters: no "
			"more are served for a while",
			meter->socket_label, budget->seconds);
	if (server_work(insns, count) == SERVER_WORK)
		return st_fail(
			meter, -E2BIG,
			"%s: the branches of its filter of %zu instructions multiply: it can't be "
			"metered",
			meter->socket_label, count);
	if (!start_timer(&timer))
		return st_fail(meter, -EAGAIN, "%s: no timer", meter->socket_label);
	prog = st_socket_program_load(meter, link, insns, count);
	syscall(SYS_timer_delete, timer);
	if (prog >= 0)
		take_facts(prog, program, memory);
	else if (prog == -EAGAIN)
		st_fail(meter, prog,
			"%s: the kernel takes longer than %d ms to check its filter of %zu instructions: it "
			"can't be metered",
			meter->socket_label, SERVER_LOAD_MILLISECONDS, count);
	return prog;
}
