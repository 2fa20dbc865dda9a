// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * guest: a program that uses every call of the library, for a look from outside (strace) and
 * from inside. Each call stands between write(-1, "begin NAME") and write(-1, "end NAME"), which a
 * trace shows and which do nothing. Prints TAP.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <socktally/socktally.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PACKETS 100
#define NOBODY 65534
#define CALL(name, call) (mark("begin", name), ended(name, call))

static unsigned int ran, failed;

static bool ok(bool good, const char *name)
{
	printf("%sok %u - %s\n", good ? "" : "not ", ++ran, name);
	failed += !good;
	return good;
}

static void mark(const char *what, const char *name)
{
	char text[64];
	int length = snprintf(text, sizeof(text), "%s %s", what, name);
	int saved = errno;

	if (write(-1, text, (size_t)length) >= 0)
		abort();
	errno = saved;
}

static int ended(const char *name, int result)
{
	mark("end", name);
	return result;
}

/* The line of /proc/self/status that starts so. */
static void status_line(const char *start, char line[256])
{
	FILE *file = fopen("/proc/self/status", "re");

	line[0] = '\0';
	while (file && fgets(line, 256, file))
		if (!strncmp(line, start, strlen(start)))
			break;
	if (file)
		fclose(file);
}

/* Each descriptor above standard error is closed by exec. */
static bool all_close_on_exec(void)
{
	for (int fd = 3; fd < 250; fd++) {
		int flags = fcntl(fd, F_GETFD);

		if (flags >= 0 && !(flags & FD_CLOEXEC)) {
			printf("# descriptor %d stays open\n", fd);
			return false;
		}
	}
	return true;
}

/* What a harness leaves open is none of ours. */
static void close_inherited(void)
{
	for (int fd = 3; fd < 250; fd++)
		close(fd);
}

static int loopback_up(void)
{
	struct ifreq request = {.ifr_name = "lo"};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request))
		return -1;
	request.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &request))
		return -1;
	return fd;
}

/* Datagrams to ourselves: lo carries each out and in. */
static void send_some(int fd)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(40009),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int receiver = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (bind(receiver, (struct sockaddr *)&address, sizeof(address)))
		printf("# bind: %s\n", strerror(errno));
	for (int i = 0; i < PACKETS; i++)
		if (sendto(fd, "hello", 5, 0, (struct sockaddr *)&address, sizeof(address)) != 5)
			printf("# sendto: %s\n", strerror(errno));
	close(receiver);
}

/* Another user, no capability. */
static bool drop_everything(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	memset(data, 0, sizeof(data));
	if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
	    setresuid(NOBODY, NOBODY, NOBODY) || syscall(SYS_capset, &header, data))
		return false;
	return geteuid() == NOBODY;
}

static int sum_udp(void *ctx, const struct socktally_cell *cell)
{
	uint64_t *sums = ctx;

	if (!strcmp(cell->path, "eth:ip:udp"))
		sums[cell->direction] += cell->counts.packets;
	return 0;
}

static bool counted(const struct socktally *meter, uint64_t want, const char *name)
{
	struct socktally_totals totals;
	uint64_t sums[2] = {0, 0};
	int result = CALL("snapshot", socktally_snapshot(meter, sum_udp, sums, &totals));

	if (result || sums[0] != want || sums[1] != want)
		printf("# %d: in %llu, out %llu\n", result, (unsigned long long)sums[0],
		       (unsigned long long)sums[1]);
	return ok(!result && sums[0] == want && sums[1] == want, name);
}

static int interval(void *ctx, struct socktally *meter)
{
	uint64_t sums[2] = {0, 0};

	++*(int *)ctx;
	return socktally_snapshot(meter, sum_udp, sums, NULL);
}

static int no_socket(void *ctx, const struct socktally_socket *socket)
{
	(void)socket;
	++*(int *)ctx;
	return 0;
}

static void crossed(void *ctx, const struct socktally_crossing *crossing)
{
	*(int *)ctx += crossing->upwards ? 1 : 100;
}

static void gap(void *ctx, const struct socktally_gap *gap)
{
	*(int *)ctx += gap->error ? 100 : 1;
}

/* What a host has that loads the library: the same by the table. */
static void use_table(struct socktally *meter, int *crossings)
{
	const struct socktally_threshold_opts opts = {.sz = sizeof(opts),
						      .path = "*:udp",
						      .above = 1};
	const struct socktally_sink sink = {.sz = sizeof(sink)};
	int threshold;

	threshold = CALL("threshold_add",
			 socktally_plugin.threshold_add(meter, &opts, crossed, crossings));
	ok(threshold > 0, "threshold_add");
	ok(!CALL("threshold_remove", socktally_plugin.threshold_remove(meter, threshold)),
	   "threshold_remove");
	socktally_plugin.threshold_add(meter, &opts, crossed, crossings);
	ok(!CALL("snapshot", socktally_plugin.snapshot(meter, &sink, NULL)), "snapshot to a sink");
}

/* A filter that is set past the library. */
static void replaced(struct socktally *meter, int fd, const int *gaps)
{
	struct sock_filter all[] = {BPF_STMT(BPF_RET | BPF_K, 0xffff)};
	struct sock_fprog program = {.len = 1, .filter = all};

	setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
	errno = 12345;
	ok(CALL("poll", socktally_poll(meter, 0)) >= 0 && *gaps == 1, "poll composes again");
	ok(errno == 12345, "errno is as it was");
}

static void use(int udp, int fd)
{
	const struct sock_filter all[] = {BPF_STMT(BPF_RET | BPF_K, 0xffff)};
	int gaps = 0, crossings = 0;
	struct socktally_open_opts opts = {.sz = sizeof(opts), .gap = gap, .gap_ctx = &gaps};
	struct socktally *meter;
	struct sock_filter insns[8];
	size_t count = 8;
	int calls = 0, sockets = 0;

	errno = 12345;
	if (!ok(!CALL("open", socktally_open(&meter, &opts)), "open"))
		return;
	ok(!CALL("attach", socktally_attach(meter, fd, NULL)), "attach");
	ok(CALL("attach", socktally_attach(meter, -1, NULL)) == -EBADF, "attach -1");
	ok(!CALL("set_filter", socktally_set_filter(meter, fd, all, 1)), "set_filter");
	ok(!CALL("get_filter", socktally_get_filter(meter, fd, insns, &count)) && count == 1,
	   "get_filter");
	ok(!CALL("sockets", socktally_sockets(meter, no_socket, &sockets)) && sockets == 1,
	   "sockets");
	ok(!CALL("set_interval", socktally_set_interval(meter, 20, interval, &calls)),
	   "set_interval");
	use_table(meter, &crossings);
	ok(errno == 12345, "errno is as it was");
	replaced(meter, fd, &gaps);
	ok(all_close_on_exec(), "each descriptor is close-on-exec");
	send_some(udp);
	counted(meter, PACKETS, "snapshot");
	ok(CALL("poll", socktally_poll(meter, 1000)) == 1 && calls, "poll");
	calls = 0;
	ok(drop_everything(), "this process is nobody now, without a capability");
	send_some(udp);
	counted(meter, 2 * PACKETS, "snapshot as nobody");
	ok(CALL("poll", socktally_poll(meter, 1000)) == 1 && calls == 1 && crossings == 1,
	   "poll as nobody");
	ok(CALL("fd", socktally_fd(meter)) >= 0, "fd");
	ok(!CALL("detach", socktally_detach(meter, fd)), "detach as nobody");
	send_some(udp);
	counted(meter, 2 * PACKETS, "nothing is counted after it");
	mark("begin", "close");
	socktally_close(meter);
	mark("end", "close");
}

int main(void)
{
	char signals_before[256], signals_after[256], threads[256];
	struct rlimit before, after;
	int udp, fd;

	setvbuf(stdout, NULL, _IOLBF, 0);
	close_inherited();
	udp = unshare(CLONE_NEWNET) ? -1 : loopback_up();
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	if (udp < 0 || fd < 0) {
		printf("1..0 # SKIP needs root\n");
		return 0;
	}
	getrlimit(RLIMIT_MEMLOCK, &before);
	status_line("SigCgt:", signals_before);
	use(udp, fd);
	status_line("SigCgt:", signals_after);
	status_line("Threads:", threads);
	getrlimit(RLIMIT_MEMLOCK, &after);
	ok(!strcmp(signals_before, signals_after), "no signal handler");
	ok(!strcmp(threads, "Threads:\t1\n"), "one thread");
	ok(before.rlim_cur == after.rlim_cur && before.rlim_max == after.rlim_max,
	   "RLIMIT_MEMLOCK is as it was");
	printf("1..%u\n", ran);
	return failed != 0;
}
