// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* A program that puts an eBPF filter of its own in the place of ours keeps it, whatever we do then. */
#include "plugin/bpf/syscall.h"
#include <errno.h>
#include <linux/capability.h>
#include <socktally/socktally.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
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

/* With it the kernel can be asked whether a program is still there. */
static bool drop_admin(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		return false;
	data[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective &= ~CAP_TO_MASK(CAP_SYS_ADMIN);
	return !syscall(SYS_capset, &header, data);
}

static void own_filter(struct socktally *meter)
{
	static const struct bpf_insn accept_all[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = -1},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	int prog = st_bpf_prog_load("own", accept_all, 2, NULL, 0);

	ok(!socktally_attach(meter, fd, NULL), "metered");
	ok(!setsockopt(fd, SOL_SOCKET, SO_ATTACH_BPF, &prog, sizeof(prog)), "a filter of its own");
	close(prog);
	ok(socktally_attach(meter, fd, NULL) == -EACCES, "can't be metered again");
	ok(!socktally_detach(meter, fd), "given back");
	ok(has_ebpf(fd), "its own filter is still on it");
	close(fd);
}

int main(void)
{
	struct socktally *meter;

	if (socktally_open(&meter, NULL)) {
		printf("1..0 # SKIP BPF is not permitted\n");
		return 0;
	}
	own_filter(meter);
	ok(drop_admin(), "without CAP_SYS_ADMIN");
	own_filter(meter);
	socktally_close(meter);
	printf("1..%d\n", tests);
	return failed != 0;
}
