// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* A program that puts an eBPF filter of its own in the place of ours keeps it, whatever we do then. */
#include "plugin/bpf_syscall.h"
#include <errno.h>
#include <socktally/socktally.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static int tests, failed;

static void ok(bool good, const char *name)
{
	tests++;
	failed += !good;
	printf("%sok %d - %s\n", good ? "" : "not ", tests, name);
}

/* SO_GET_FILTER refuses to show eBPF. */
static bool has_ebpf(int fd)
{
	socklen_t length = 0;

	return getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &length) && errno == EACCES;
}

int main(void)
{
	static const struct bpf_insn accept_all[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = -1},
		{.code = BPF_JMP | BPF_EXIT},
	};
	struct socktally *meter;
	int fd, prog;

	if (socktally_open(&meter, NULL)) {
		printf("1..0 # SKIP BPF is not permitted\n");
		return 0;
	}
	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	prog = st_bpf_prog_load("own", accept_all, 2, NULL, 0);
	ok(!socktally_attach(meter, fd, NULL), "metered");
	ok(!setsockopt(fd, SOL_SOCKET, SO_ATTACH_BPF, &prog, sizeof(prog)), "a filter of its own");
	close(prog);
	usleep(500000); /* the kernel frees the program before it after a grace period */
	ok(socktally_attach(meter, fd, NULL) == -EACCES, "can't be metered again");
	ok(!socktally_detach(meter, fd), "given back");
	ok(has_ebpf(fd), "its own filter is still on it");
	close(fd);
	socktally_close(meter);
	printf("1..%d\n", tests);
	return failed != 0;
}
