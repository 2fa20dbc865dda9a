// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * socket_steps STEP...: a capture tool that takes its steps from the command line. It prints the result of
 * each: the return value, errno, and the packets that it received. With and without socktally it must print
 * the same.
 */
#include "tests/helpers/seccomp_steps.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int fd = -1; /* the socket that the steps are about */
static char **all_arguments;

static void print(const char *step, long result)
{
	printf("%s: %ld %s\n", step, result, result < 0 ? strerrorname_np(errno) : "");
	fflush(stdout);
}

/* Every packet that is there or comes within a quarter of a second. */
static void step_packets(const char *step)
{
	unsigned char data[2048];
	struct pollfd readable = {.fd = fd, .events = POLLIN};

	printf("%s:", step);
	while (poll(&readable, 1, 250) > 0) {
		struct sockaddr_ll from = {0};
		socklen_t length = sizeof(from);
		ssize_t size = recvfrom(fd, data, sizeof(data), MSG_DONTWAIT | MSG_TRUNC,
					(struct sockaddr *)&from, &length);

		if (size < 0)
			printf(" error %s", strerrorname_np(errno));
		else
			printf(" %zd/%04x/%d", size, ntohs(from.sll_protocol), from.sll_pkttype);
		if (size < 0 && errno == EAGAIN)
			break;
	}
	printf("\n");
	fflush(stdout);
}

/* The test sends its packets between these two. */
static void step_ready(void)
{
	char line[16];

	printf("ready\n");
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		exit(3);
}

static struct sock_fprog make_filter(const char *name)
{
	static struct sock_filter insns[BPF_MAXINSNS];
	static const struct sock_filter udp[] = {
		/* at the network layer, so that it does for SOCK_RAW and SOCK_DGRAM */
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, SKF_NET_OFF + 9),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 17, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 262144),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = {.len = 1, .filter = insns};

	insns[0] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 262144);
	if (!strcmp(name, "reject")) {
		insns[0].k = 0;
	} else if (!strcmp(name, "snap")) {
		insns[0].k = 40;
	} else if (!strcmp(name, "udp")) {
		memcpy(insns, udp, sizeof(udp));
		program.len = sizeof(udp) / sizeof(*udp);
	} else if (!strcmp(name, "invalid")) {
		insns[0].code = 0xffff;
	} else if (!strcmp(name, "noreturn")) {
		insns[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_IMM, 1);
	} else if (!strcmp(name, "hatype")) { /* eBPF has no such thing */
		insns[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
							SKF_AD_OFF + SKF_AD_HATYPE);
		insns[1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 1);
		insns[2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 60);
		insns[3] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
		program.len = 4;
	} else if (!strcmp(name, "empty")) {
		program.len = 0;
	} else if (!strcmp(name, "null")) {
		program.filter = NULL;
	} else if (!strcmp(name, "wild")) {
		program.filter = (struct sock_filter *)8;
	} else if (atoi(name)) { /* so many instructions that can't be left out */
		program.len = (unsigned short)atoi(name);
		for (int i = 0; i < program.len - 1; i++)
			insns[i] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_B | BPF_ABS, i % 14);
		insns[program.len - 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 262144);
	}
	return program;
}

static long attach(const char *name)
{
	struct sock_fprog program = make_filter(name);

	if (!strcmp(name, "badpointer"))
		return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, (void *)8, sizeof(program));
	if (!strcmp(name, "short"))
		return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, 4);
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

static long detach(const char *how)
{
	int value = 0;

	if (!strcmp(how, "badpointer"))
		return setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, (void *)8, sizeof(value));
	return setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &value,
			  strcmp(how, "short") ? sizeof(value) : 2);
}

/* A two-instruction eBPF filter that accepts everything. */
static long attach_ebpf(void)
{
	static const struct bpf_insn insns[] = {
		{.code = BPF_ALU | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0x40000},
		{.code = BPF_JMP | BPF_EXIT},
	};
	union bpf_attr attr = {.prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
			       .insns = (__u64)(unsigned long)insns,
			       .insn_cnt = 2,
			       .license = (__u64)(unsigned long)"GPL"};
	int program = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	long result = setsockopt(fd, SOL_SOCKET, SO_ATTACH_BPF, &program, sizeof(program));

	close(program);
	return result;
}

static void step_get(const char *step, const char *room)
{
	static struct sock_filter insns[BPF_MAXINSNS];
	socklen_t length = (socklen_t)atoi(room);
	long result;
	unsigned int sum = 0;

	memset(insns, 0x55, sizeof(insns));
	if (!strcmp(room, "badlength"))
		result = getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, insns, (void *)8);
	else
		result = getsockopt(fd, SOL_SOCKET, SO_GET_FILTER,
				    !strcmp(room, "9999") ? (void *)8 : insns, &length);
	for (size_t i = 0; i < sizeof(insns); i++)
		sum = 31 * sum + ((unsigned char *)insns)[i];
	printf("%s: %ld %s %d %08x\n", step, result, result ? strerrorname_np(errno) : "",
	       (int)length, sum);
	fflush(stdout);
}

static void step_name(const char *step)
{
	struct sockaddr_ll name = {0};
	socklen_t length = sizeof(name);
	long result = getsockname(fd, (struct sockaddr *)&name, &length);

	printf("%s: %ld protocol %04x interface %d\n", step, result, ntohs(name.sll_protocol),
	       name.sll_ifindex);
	fflush(stdout);
}

static long open_socket(const char *type, const char *protocol)
{
	int kind = SOCK_RAW;

	if (!strcmp(type, "dgram"))
		kind = SOCK_DGRAM;
	else if (!strcmp(type, "nonblock"))
		kind |= SOCK_NONBLOCK | SOCK_CLOEXEC;
	else if (!strcmp(type, "packet"))
		kind = SOCK_PACKET;
	else if (!strcmp(type, "bad"))
		kind = 7;
	fd = socket(AF_PACKET, kind, htons((unsigned short)strtol(protocol, NULL, 16)));
	return fd;
}

static long bind_socket(const char *interface, const char *protocol)
{
	struct sockaddr_ll name = {.sll_family = AF_PACKET};

	name.sll_protocol = htons((unsigned short)strtol(protocol, NULL, 16));
	name.sll_ifindex = (int)if_nametoindex(interface);
	if (!strcmp(interface, "none"))
		name.sll_ifindex = 4711;
	else if (!strcmp(interface, "short"))
		return bind(fd, (struct sockaddr *)&name, 8);
	else if (!strcmp(interface, "badpointer"))
		return bind(fd, (struct sockaddr *)8, sizeof(name));
	else if (!strcmp(interface, "family"))
		name.sll_family = AF_INET;
	return bind(fd, (struct sockaddr *)&name, sizeof(name));
}

/* The child takes the next steps; this process ends as the child does. */
static void step_fork(const char *how)
{
	pid_t child = fork();
	int status;

	if (!child)
		return;
	if (!strcmp(how, "daemon"))
		_exit(0);
	if (!strcmp(how, "forkclose"))
		close(fd);
	waitpid(child, &status, 0);
	exit(WIFEXITED(status) ? WEXITSTATUS(status) : 99);
}

/*
 * The socket is sent through a Unix socket and gets another number: in this process, or in a child that goes
 * on while this process waits for its end.
 */
static long pass_socket(bool to_child)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	char byte = 0;
	struct iovec part = {.iov_base = &byte, .iov_len = 1};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair))
		return -1;
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	if (sendmsg(pair[0], &message, 0) < 0)
		return -1;
	close(fd);
	if (to_child)
		step_fork("fork");
	message.msg_controllen = sizeof(control.bytes);
	if (recvmsg(pair[1], &message, 0) < 0)
		return -1;
	memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
	close(pair[0]);
	close(pair[1]);
	return 0;
}

static long drop_user(void)
{
	if (setgroups(0, NULL) || setresgid(65534, 65534, 65534))
		return -1;
	return setresuid(65534, 65534, 65534);
}

/* A directory with nothing in it. */
static long use_chroot(void)
{
	return chroot("/var/empty") && chroot("/proc/self/fdinfo") ? -1 : chdir("/");
}

/*
 * Shows what we are doing in ps(1), as initproctitle() of util-linux does: in the memory from the first
 * argument to the end of the last variable, after the environment has been copied.
 */
static char *title;
static size_t title_size;

static long show_title(char **step)
{
	static char *copies[1024];
	size_t last = 0;

	while (environ[last + 1])
		last++;
	if (last >= sizeof(copies) / sizeof(*copies) - 1)
		return -1;
	title = all_arguments[0];
	title_size = (size_t)(environ[last] + strlen(environ[last]) - title);
	for (size_t i = 0; i <= last; i++)
		copies[i] = strdup(environ[i]);
	environ = copies;
	for (; *step; step++)
		*step = strdup(*step);
	memset(title, 0, title_size);
	strcpy(title, "showing");
	return 0;
}

/* How many bytes of the title somebody else has changed. */
static long look_at_title(void)
{
	long strange = strncmp(title, "showing", title_size) != 0;

	for (size_t i = sizeof("showing"); i < title_size; i++)
		strange += title[i] != 0;
	return strange;
}

static void run_steps(char **step);

/* Held until pthread_create() has made its last call: the thread may forbid it. */
static pthread_mutex_t creating = PTHREAD_MUTEX_INITIALIZER;

static void *thread_main(void *rest)
{
	pthread_mutex_lock(&creating);
	pthread_mutex_unlock(&creating);
	run_steps(rest);
	return NULL;
}

/* A child closes the socket, and changes its filter before; we go on. */
static void step_child(void)
{
	pid_t child = fork();

	if (!child) {
		attach("reject");
		attach("udp");
		close(fd);
		_exit(0);
	}
	waitpid(child, NULL, 0);
}

/* This program again, which goes on with the same socket. */
static void step_exec(char **step)
{
	static char number[32];

	snprintf(number, sizeof(number), "fd=%d", fd);
	step[-1] = all_arguments[0];
	step[0] = number;
	execv("/proc/self/exe", step - 1);
	print("exec", -1);
}

/* Another socket, which stays open, gets so many filters one after the other. */
static long other_filters(const char *count)
{
	int kept = fd;
	long result = 0;

	fd = socket(AF_PACKET, SOCK_RAW, 0);
	for (int i = 0; i < atoi(count); i++)
		result |= attach(i & 1 ? "snap" : "reject");
	fd = kept;
	return result;
}

/* Takes all descriptors that the process may have, which are then 256 at most; and gives them back. */
static int filler[256];

static long fill_descriptors(void)
{
	struct rlimit limit;
	int count = 0;

	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur > 256)
		limit.rlim_cur = 256;
	setrlimit(RLIMIT_NOFILE, &limit);
	while (count < 256 && (filler[count] = dup(1)) >= 0)
		count++;
	return errno == EMFILE ? 0 : -1;
}

static long free_descriptors(void)
{
	for (int i = 0; i < 256 && filler[i] > 0; i++)
		close(filler[i]);
	return 0;
}

/* Closes all descriptors that select() can take; how many there were. */
static int close_each(void)
{
	int closed = 0;

	for (int number = 3; number < FD_SETSIZE; number++)
		closed += !close(number);
	return closed;
}

/* Twice: there is nothing to close the second time. */
static long close_range_and_more(void)
{
	long result = close_range(3, ~0u, 0);

	return result ? result : close_range(FD_SETSIZE - 1, FD_SETSIZE - 1, 0);
}

static void *filter_main(void *unused)
{
	for (;;) {
		attach("reject");
		attach("udp");
	}
	return unused;
}

/* A seccomp filter for all threads is set while another thread changes the socket's filter all the time. */
static long race(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, filter_main, NULL);
	usleep(20000);
	return seccomp_step("+tool");
}

/* Steps that change the process. false: the steps go on elsewhere, or it's another kind of step. */
static bool run_process_step(char **step, const char *name, bool *stop)
{
	pthread_t thread;

	*stop = false;
	if (!strcmp(name, "fork") || !strcmp(name, "forkclose") || !strcmp(name, "daemon")) {
		step_fork(name);
	} else if (!strcmp(name, "child")) {
		step_child();
	} else if (!strcmp(name, "exec")) {
		step_exec(step);
	} else if (!strcmp(name, "thread")) {
		pthread_mutex_lock(&creating);
		pthread_create(&thread, NULL, thread_main, step + 1);
		pthread_mutex_unlock(&creating);
		pthread_join(thread, NULL);
		*stop = true;
	} else if (!strcmp(name, "closeeach")) {
		print(name, close_each());
	} else if (!strcmp(name, "closerange")) {
		print(name, close_range_and_more());
	} else if (!strcmp(name, "closewrong")) {
		print(name, close_range(5, 4, 0));
		print(name, close_range(3, ~0u, 64));
	} else if (!strcmp(name, "closefrom")) {
		closefrom(3);
	} else if (!strcmp(name, "closeall")) {
		print(name, syscall(SYS_close_range, 3, ~0u, 0));
	} else if (!strcmp(name, "fill")) {
		print(name, fill_descriptors());
	} else if (!strcmp(name, "free")) {
		print(name, free_descriptors());
	} else if (!strcmp(name, "title")) {
		print(name, show_title(step));
	} else if (!strcmp(name, "look")) {
		print(name, look_at_title());
	} else if (!strcmp(name, "chroot")) {
		print(name, use_chroot());
	} else if (!strcmp(name, "setuid")) {
		print(name, drop_user());
	} else if (!strcmp(name, "unshare")) {
		print(name, unshare(CLONE_NEWNET));
	} else if (!strncmp(name, "seccomp=", 8)) {
		print(name, seccomp_step(name + 8));
	} else if (!strcmp(name, "race")) {
		print(name, race());
	} else if (!strcmp(name, "program")) { /* another one, with its arguments */
		execvp(step[1], step + 1);
		print(name, -1);
	} else if (!strcmp(name, "exit")) {
		exit(7);
	} else if (!strcmp(name, "kill")) {
		raise(SIGTERM);
	} else if (!strcmp(name, "sigkill")) {
		raise(SIGKILL);
	} else if (!strcmp(name, "wait")) { /* no child that isn't ours */
		print(name, waitpid(-1, NULL, __WALL));
	} else {
		return false;
	}
	return true;
}

static void run_socket_step(const char *step, char *name, const char *first, const char *second)
{
	int on = 1, other;

	if (!strcmp(name, "socket"))
		print(step, open_socket(first, second));
	else if (!strcmp(name, "bind"))
		print(step, bind_socket(first, second));
	else if (!strcmp(name, "filter"))
		print(step, attach(first));
	else if (!strcmp(name, "detach"))
		print(step, detach(first));
	else if (!strcmp(name, "get"))
		step_get(step, first);
	else if (!strcmp(name, "others"))
		print(step, other_filters(first));
	else if (!strcmp(name, "lock"))
		print(step, setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &on, sizeof(on)));
	else if (!strcmp(name, "ebpf"))
		print(step, attach_ebpf());
	else if (!strcmp(name, "name"))
		step_name(step);
	else if (!strcmp(name, "packets"))
		step_packets(step);
	else if (!strcmp(name, "ready"))
		step_ready();
	else if (!strcmp(name, "close"))
		print(step, close(fd));
	else if (!strcmp(name, "pass") || !strcmp(name, "handover"))
		print(step, pass_socket(!strcmp(name, "handover")));
	else if (!strcmp(name, "dup") || !strcmp(name, "fcntl")) {
		other = *name == 'd' ? dup(fd) : fcntl(fd, F_DUPFD_CLOEXEC, 100);
		close(fd);
		fd = other;
		print(step, fd < 0 ? -1 : 0);
	} else {
		printf("%s: no such step\n", step);
		exit(3);
	}
}

static void run_steps(char **step)
{
	for (; *step; step++) {
		char *copy = strdup(*step), *rest = copy, *name = strsep(&rest, ":");
		char *first = rest ? strsep(&rest, ":") : "";
		bool stop;

		errno = 0;
		if (run_process_step(step, name, &stop)) {
			if (stop)
				return;
		} else {
			run_socket_step(*step, name, first, rest ? rest : "");
		}
		free(copy);
	}
}

/* Steps before main() and after it are in the environment. */
static void run_variable(const char *name)
{
	char *copy = getenv(name) ? strdup(getenv(name)) : NULL, *rest = copy;
	char *steps[64] = {NULL};

	for (size_t i = 0; rest && *rest && i < sizeof(steps) / sizeof(*steps) - 1; i++)
		steps[i] = strsep(&rest, " ");
	run_steps(steps);
	free(copy);
}

__attribute__((constructor)) static void before_main(void)
{
	run_variable("STEPS_BEFORE");
}

__attribute__((destructor)) static void after_main(void)
{
	run_variable("STEPS_AFTER");
}

int main(int argc, char **argv)
{
	(void)argc;
	all_arguments = argv;
	if (argc > 1 && !strncmp(argv[1], "fd=", 3)) { /* after exec */
		fd = atoi(argv[1] + 3);
		argv++;
	}
	run_steps(argv + 1);
	return 0;
}
