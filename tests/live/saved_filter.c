// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* What the kernel remembers of a metered socket's own filter, with the meter alive and gone. */
#include <socktally/socktally.h>

#include "plugin/attach/saved_filter.h"
#include "plugin/bpf/syscall.h"
#include "plugin/meter/maps.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sock_filter long_filter[1000];
static int tests, failures;

static void ok(bool good, const char *name, const char *what)
{
	printf("%sok %d - %s: %s\n", good ? "" : "not ", ++tests, name, what);
	failures += !good;
}

static void filter_set(int fd, struct sock_filter *insns, size_t count)
{
	struct sock_fprog program = {.len = (unsigned short)count, .filter = insns};

	if (count && setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program))) {
		perror("Bail out! SO_ATTACH_FILTER");
		exit(1);
	}
}

/* What is saved of this socket; insns is then the caller's. */
static bool find(uint64_t cookie, struct st_saved_filter *found)
{
	struct st_saved_filter *list;
	size_t count;
	bool there = false;

	if (st_saved_filters_read(&list, &count))
		return false;
	for (size_t i = 0; i < count; i++) {
		if (list[i].cookie != cookie)
			continue;
		*found = list[i];
		list[i].insns = NULL;
		there = true;
	}
	st_saved_filters_free(list, count);
	return there;
}

/* The kernel empties the chain of a meter that is gone a moment later. */
static bool uncounted_soon(uint64_t cookie, uint32_t program)
{
	struct st_saved_filter saved = {0};

	for (int i = 0; i < 500 && find(cookie, &saved); i++) {
		free(saved.insns);
		if (!saved.counting)
			return saved.program == program;
		usleep(10000);
	}
	return false;
}

static bool gone_soon(uint32_t program)
{
	for (int i = 0; i < 500; i++) {
		if (!st_program_exists(program))
			return true;
		usleep(10000);
	}
	return false;
}

static void round_trip(const char *name, struct sock_filter *insns, size_t count)
{
	struct socktally_open_opts opts = {.sz = sizeof(opts), .flags = SOCKTALLY_OPEN_RECORDS};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	struct st_saved_filter saved = {0}, later = {0};
	socklen_t size = sizeof(uint64_t);
	struct socktally *meter;
	uint64_t cookie;

	filter_set(fd, insns, count);
	if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) ||
	    socktally_open(&meter, &opts)) {
		ok(false, name, "can't meter");
		return;
	}
	ok(!find(cookie, &saved), name, "nothing is saved before");
	ok(!socktally_attach(meter, fd, NULL), name, "attached");
	ok(find(cookie, &saved) && saved.counting && saved.pid == (uint32_t)getpid() &&
		   saved.count == count &&
		   (!count || !memcmp(saved.insns, insns, count * sizeof(*insns))),
	   name, "the saved filter is the socket's, and the meter is there");
	socktally_close(meter);
	ok(uncounted_soon(cookie, saved.program), name, "it outlives the meter, and says so");
	ok(st_program_exists(saved.program) == 1, name, "the program stays with the socket");
	close(fd);
	ok(gone_soon(saved.program) && !find(cookie, &later), name, "with the socket, both go");
	free(saved.insns);
}

static void given_back(void)
{
	struct socktally_open_opts opts = {.sz = sizeof(opts), .flags = SOCKTALLY_OPEN_RECORDS};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	struct sock_filter tools[2] = {BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
				       BPF_STMT(BPF_RET | BPF_A, 0)};
	struct sock_filter now[16];
	socklen_t length = 16;
	struct socktally *meter;

	if (socktally_open(&meter, &opts) || socktally_attach(meter, fd, NULL)) {
		ok(false, "given back", "can't meter");
		return;
	}
	filter_set(fd, tools, 2);
	ok(!socktally_detach(meter, fd) &&
		   !getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, now, &length) && length == 2 &&
		   !memcmp(now, tools, sizeof(tools)),
	   "given back", "a filter that the tool set meanwhile stays");
	socktally_close(meter);
	close(fd);
}

static int program(size_t length)
{
	struct bpf_insn insns[8] = {0};
	int prog;

	for (size_t i = 0; i + 1 < length; i++)
		insns[i] = (struct bpf_insn){.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = -1};
	insns[length - 1] = (struct bpf_insn){.code = BPF_JMP | BPF_EXIT};
	prog = st_bpf_prog_load(ST_PROGRAM_NAME, insns, length, NULL, 0);
	if (prog < 0) {
		perror("Bail out! a program");
		exit(1);
	}
	return prog;
}

static enum st_saved_state state_of(uint64_t cookie, uint32_t owner, uint32_t *user, int fd,
				    bool *fits)
{
	const struct st_saved_filter *found;
	struct st_saved_filter *list;
	enum st_saved_state state;
	size_t count;

	if (st_saved_filters_read(&list, &count))
		return ST_SAVED_NONE;
	state = st_saved_filter_find(list, count, cookie, owner, 0, &found);
	*user = found ? found->user : 0;
	*fits = found && st_saved_filter_fits(found, fd);
	st_saved_filters_free(list, count);
	return state;
}

/* Whoever may load programs can leave a filter for any socket. */
static void forged(void)
{
	const struct sock_filter none = BPF_STMT(BPF_RET | BPF_K, 0);
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), own = program(4);
	int first = program(4), second = program(5);
	socklen_t size = sizeof(uint64_t);
	uint64_t cookie = 0;
	uint32_t user;
	bool fits;

	getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size);
	ok(!setsockopt(fd, SOL_SOCKET, SO_ATTACH_BPF, &own, sizeof(own)), "forged",
	   "a socket with an eBPF filter of its own");
	ok(state_of(cookie, 0, &user, fd, &fits) == ST_SAVED_NONE, "forged", "nothing is saved");
	ok(!st_saved_filter_leave(first, cookie, 4711, getpid(), &none, 1) &&
		   state_of(cookie, 0, &user, fd, &fits) == ST_SAVED_UNTRUSTED && user == 4711,
	   "forged", "from another user: not trusted");
	ok(state_of(cookie, 4711, &user, fd, &fits) == ST_SAVED_FOUND && fits, "forged",
	   "from the socket's own user: found");
	ok(!st_saved_filter_leave(second, cookie, 0, getpid(), &none, 1) &&
		   state_of(cookie, 0, &user, fd, &fits) == ST_SAVED_FOUND && !user && !fits,
	   "forged", "root's is the one that counts; its size is not that of what is there");
	ok(state_of(cookie, 4711, &user, fd, &fits) == ST_SAVED_CONTRADICTORY, "forged",
	   "two that could be believed contradict each other");
	close(fd);
	close(own);
	close(first);
	close(second);
}

static bool permitted(void)
{
	struct st_saved_filter *list;
	struct socktally *meter = NULL;
	size_t count;

	if (st_saved_filters_read(&list, &count) == -EPERM ||
	    socktally_open(&meter, NULL) == -EPERM)
		return false;
	st_saved_filters_free(list, count);
	socktally_close(meter);
	return true;
}

int main(void)
{
	const size_t count = sizeof(long_filter) / sizeof(*long_filter);

	if (!permitted()) {
		puts("1..0 # SKIP needs CAP_SYS_ADMIN, CAP_BPF and CAP_NET_RAW");
		return 0;
	}
	for (size_t i = 0; i + 1 < count; i++)
		long_filter[i] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_IMM, (uint32_t)i);
	long_filter[count - 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_A, 0);
	round_trip("no filter", NULL, 0);
	round_trip("one instruction", &long_filter[count - 1], 1);
	round_trip("a long filter", long_filter, count);
	given_back();
	forged();
	printf("1..%d\n", tests);
	return failures != 0;
}
