// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Filters that are set past the library are noticed by socktally_poll(), composed again and told;
 * what the socket delivers is never touched.
 */
#include "tests/lib/api_traffic.h"
#include "plugin/bpf/syscall.h"
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <pthread.h>
#include <signal.h>
#include <socktally/socktally.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

struct told {
	unsigned int gaps, logged;
	struct socktally_gap last;
};

static void take_gap(void *ctx, const struct socktally_gap *gap)
{
	struct told *told = ctx;

	told->gaps++;
	told->last = *gap;
}

static void take_log(void *ctx, enum socktally_log_level level, const char *text)
{
	struct told *told = ctx;

	told->logged++;
	if (!*text || level > SOCKTALLY_LOG_DEBUG)
		abort();
}

static const struct sock_filter half[] = {BPF_STMT(BPF_RET | BPF_K, 20)};
static const struct sock_filter none[] = {BPF_STMT(BPF_RET | BPF_K, 0)};

static void set_behind(int fd, const struct sock_filter *insns, unsigned short count)
{
	struct sock_fprog program = {.len = count, .filter = (struct sock_filter *)insns};

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)))
		bail_out("SO_ATTACH_FILTER");
}

static struct socktally_counts counts(struct socktally *meter)
{
	struct socktally_totals totals;

	socktally_snapshot(meter, NULL, NULL, &totals);
	return totals.counts;
}

static unsigned int readable(int fd)
{
	unsigned int count = 0;
	char data[256];

	while (recv(fd, data, sizeof(data), MSG_DONTWAIT) >= 0)
		count++;
	return count;
}

static void classic(struct socktally *meter, int udp, int fd, struct told *told)
{
	struct sock_filter insns[4];
	size_t count = 4;

	traffic_send(udp, 10);
	ok(counts(meter).packets == 20 && readable(fd) == 20, "counted as attached");
	ok(!socktally_poll(meter, 0) && !told->gaps && !told->logged, "nothing has happened");

	set_behind(fd, half, 1);
	traffic_send(udp, 5);
	ok(counts(meter).packets == 20, "a filter set past the library ends the counting");
	ok(!socktally_poll(meter, 0) && told->gaps == 1 && told->logged == 1,
	   "poll tells it, once");
	ok(!told->last.error && !strcmp(told->last.interface, "lo") &&
		   told->last.ifindex == (int)if_nametoindex("lo") && told->last.nanoseconds,
	   "which socket, and since when");
	ok(!socktally_get_filter(meter, fd, insns, &count) && count == 1 && insns[0].k == 20,
	   "the new filter is known");
	traffic_send(udp, 7);
	ok(counts(meter).packets == 34 && counts(meter).accepted_bytes == 20 * 47 + 14 * 20,
	   "counted again, composed with the new filter");
	ok(readable(fd) == 24, "the socket has got all");
	ok(!socktally_poll(meter, 0) && told->gaps == 1, "and that is that");

	set_behind(fd, none, 1);
	ok(!socktally_poll(meter, 0) && told->gaps == 2, "another one");
	traffic_send(udp, 3);
	ok(counts(meter).packets == 40 && !readable(fd), "that rejects everything");
	setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &fd, sizeof(fd));
	ok(!socktally_poll(meter, 0) && told->gaps == 3 && !told->last.error, "a filter taken off");
	traffic_send(udp, 1);
	ok(counts(meter).packets == 42 && readable(fd) == 2, "counted with none");
}

/* An eBPF filter of the program's own is not ours to replace; a classic one after it is. */
static void of_its_own(struct socktally *meter, int udp, int fd, struct told *told)
{
	const struct bpf_insn pass[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 33},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int prog = st_bpf_prog_load("own", pass, 2, NULL, 0);
	const struct timespec moment = {.tv_nsec = 50 * 1000 * 1000};

	told->gaps = 0;
	if (prog < 0 || setsockopt(fd, SOL_SOCKET, SO_ATTACH_BPF, &prog, sizeof(prog)))
		bail_out("SO_ATTACH_BPF");
	/* ours goes when no CPU can be running it any more */
	for (int i = 0; i < 100 && !told->gaps; i++) {
		nanosleep(&moment, NULL);
		socktally_poll(meter, 0);
	}
	ok(told->gaps == 1 && told->last.error == -EACCES, "an eBPF filter of its own is told");
	for (int i = 0; i < 30; i++) {
		nanosleep(&moment, NULL);
		socktally_poll(meter, 0);
	}
	ok(told->gaps == 1, "only once");
	traffic_send(udp, 1);
	ok(readable(fd) == 2 && counts(meter).packets == 42, "and stays");
	set_behind(fd, half, 1);
	for (int i = 0; i < 100 && told->gaps == 1; i++) {
		nanosleep(&moment, NULL);
		socktally_poll(meter, 0);
	}
	ok(told->gaps == 2 && !told->last.error && told->last.nanoseconds > 1500000000,
	   "a classic one after it is composed again, and the whole gap told");
	traffic_send(udp, 1);
	ok(counts(meter).packets == 44 && readable(fd) == 2, "and counted");
	close(prog);
}

/* The number of a closed socket may be another one's soon. */
static void reused(struct socktally *meter, struct told *told)
{
	int first = packet_socket(0), second;
	struct sock_filter insns[4];
	socklen_t count = 4;

	ok(!socktally_attach(meter, first, NULL), "one more socket");
	close(first);
	second = packet_socket(0);
	set_behind(second, half, 1);
	told->gaps = 0;
	ok(second == first && !socktally_poll(meter, 0) && !told->gaps,
	   "is closed, and another one has its number");
	ok(!getsockopt(second, SOL_SOCKET, SO_GET_FILTER, insns, &count) && count == 1,
	   "which keeps its own filter");
	close(second);
}

/* Sets one filter after the other, no two of them the same, and long: making a program takes a while. */
struct changer {
	int fd;
	atomic_bool over;
	atomic_uint changes;
};

static void *change_filters(void *ctx)
{
	struct changer *changer = ctx;
	struct sock_filter filter[200];
	const size_t last = sizeof(filter) / sizeof(*filter) - 1;

	for (size_t i = 0; i < last; i++)
		filter[i] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_IMM, (uint32_t)i);
	for (uint32_t k = 1; !atomic_load(&changer->over); k++) {
		filter[last] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, k);
		set_behind(changer->fd, filter, (unsigned short)(last + 1));
		atomic_store(&changer->changes, k);
	}
	return NULL;
}

/* It begins again many times: that is no error before it is given up, and then one. */
static void keeps_changing(struct socktally *meter, struct told *told)
{
	struct changer changer = {.fd = packet_socket(0)};
	unsigned int given_up = 0, bad = 0;
	pthread_t thread;

	if (pthread_create(&thread, NULL, change_filters, &changer))
		bail_out("pthread_create");
	for (int i = 0; i < 50; i++) {
		unsigned int changes = atomic_load(&changer.changes);
		int result;

		while (atomic_load(&changer.changes) < changes + 3)
			sched_yield();
		told->logged = 0;
		result = socktally_attach(meter, changer.fd, NULL);
		given_up += result == -EAGAIN;
		bad += (result && result != -EAGAIN) || told->logged != (result != 0);
		if (!result)
			socktally_detach(meter, changer.fd);
	}
	atomic_store(&changer.over, true);
	pthread_join(thread, NULL);
	printf("# given up %u times of 50\n", given_up);
	ok(!bad, "a filter that keeps changing: one message if it is given up, else none");
	socktally_detach(meter, changer.fd);
	close(changer.fd);
}

static void on_alarm(int signal)
{
	(void)signal;
}

static void interrupted(struct socktally *meter, struct told *told)
{
	const struct sigaction action = {.sa_handler = on_alarm};
	const struct itimerval soon = {.it_value.tv_usec = 20000, .it_interval.tv_usec = 20000};
	const struct itimerval never = {0};

	told->logged = 0;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	ok(socktally_poll(meter, -1) == -EINTR && !told->logged &&
		   strstr(socktally_error(meter), "signal"),
	   "a signal of the host's ends the waiting, and is not logged as an error");
	setitimer(ITIMER_REAL, &never, NULL);
}

static void drop_privileges(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	memset(data, 0, sizeof(data));
	if (setgroups(0, NULL) || setresgid(65534, 65534, 65534) ||
	    setresuid(65534, 65534, 65534) || syscall(SYS_capset, &header, data))
		bail_out("dropping privileges");
}

int main(void)
{
	struct told told = {0};
	struct socktally_open_opts opts = {.sz = sizeof(opts),
					   .log = take_log,
					   .log_ctx = &told,
					   .gap = take_gap,
					   .gap_ctx = &told};
	int udp = traffic_open(), fd;
	struct socktally *meter;
	char name[32];

	if (!ok(!socktally_open(&meter, &opts), "open"))
		return done();
	fd = lo_socket();
	ok(!socktally_attach(meter, fd, NULL), "attach");
	classic(meter, udp, fd, &told);
	of_its_own(meter, udp, fd, &told);
	reused(meter, &told);
	keeps_changing(meter, &told);
	interrupted(meter, &told);

	drop_privileges();
	told.gaps = 0;
	set_behind(fd, half, 1);
	socktally_poll(meter, 0);
	snprintf(name, sizeof(name), "socket %d:", fd);
	ok(told.gaps == 1 && told.last.error == -EPERM &&
		   strstr(socktally_error(meter), "CAP_BPF") &&
		   strstr(socktally_error(meter), name),
	   "where privileges are gone, the gap is told, and what is missing on which socket");
	traffic_send(udp, 1);
	ok(readable(fd) == 2, "and the socket goes on with its filter");
	socktally_close(meter);
	close(fd);
	close(udp);
	return done();
}
