/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The size of translations, before and after the kernel's rewriting: it is charged to the socket,
 * whose default limit allows some 2,500 instructions up to Linux 6.7.
 */
#include "tests/unit/translate/pcap.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>

/*
 * The limit for a filter: of 20,480 bytes of option memory, what the rest of a socket's program
 * leaves.
 */
#define ROOM 1200

static struct sock_filter *many_hosts(unsigned int hosts, bool ports, size_t *count)
{
	static char text[20000];
	size_t at = 0;

	for (unsigned int i = 0; i < hosts; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%shost 10.%u.%u.%u",
				       i       ? " or "
				       : ports ? "port 443 and ("
					       : "",
				       i % 7, i % 11, i);
	if (ports)
		snprintf(text + at, sizeof(text) - at, ")");
	return compile(DLT_EN10MB, text, count);
}

/* The number of instructions after the kernel's rewriting; 0: it does not load. */
static unsigned int rewritten(const struct sock_filter *insns, size_t count)
{
	struct bpf_prog_info info = {0};
	union bpf_attr attr;
	int program = load_translated(insns, count, false, NULL, 0);

	if (program < 0)
		return 0;
	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = (__u32)program;
	attr.info.info_len = sizeof(info);
	attr.info.info = (__u64)(unsigned long)&info;
	if (syscall(__NR_bpf, BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof(attr)))
		die("BPF_OBJ_GET_INFO_BY_FD");
	close(program);
	return info.xlated_prog_len / 8;
}

static void try_size(const char *what, struct sock_filter *insns, size_t count)
{
	struct st_code code = {.header_buffer = test_header_buffer(), .direct = test_direct()};
	unsigned int kernel;

	if (!insns || st_translate(&code, insns, count, NULL))
		die(what);
	kernel = rewritten(insns, count);
	ok(kernel && kernel <= ROOM, "%s: %zu instructions, translated %zu, in the kernel %u", what,
	   count, code.count, kernel);
	st_code_free(&code);
	free(insns);
}

/* The old filter is released after the new one is charged: both must fit. */
static void swap_at_20480(void)
{
	int fd, pair[2], error = 0;

	if (unshare(CLONE_NEWNET))
		die("unshare");
	/*
	 * in this namespace, or missing: before Linux 6.7 there is only the host's, which is not
	 * ours to set
	 */
	fd = open("/proc/sys/net/core/optmem_max", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "20480", 5) != 5) {
		ok(true,
		   "200 hosts fit where optmem_max is 20480 # SKIP one for all namespaces here");
		return;
	}
	close(fd);
	unix_pair(pair);
	for (int i = 0; i < 3 && !error; i++) {
		size_t count;
		struct sock_filter *insns = many_hosts(200, i == 1, &count);
		int program = load_translated(insns, count, false, NULL, 0);

		error = program < 0 ? program : attach_program(pair[1], program);
		close(program);
		free(insns);
	}
	ok(!error,
	   "200 hosts fit where optmem_max is 20480, and so does another filter after them");
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	static const char *const expressions[] = {"port 53", "tcp port 80 and host 1.2.3.4",
						  "ip6 and udp port 53", "vlan and tcp port 80"};
	size_t count;

	for (size_t i = 0; i < sizeof(expressions) / sizeof(*expressions); i++) {
		struct sock_filter *insns = compile(DLT_EN10MB, expressions[i], &count);

		try_size(expressions[i], insns, count);
	}
	struct sock_filter *hosts = many_hosts(200, false, &count);

	try_size("200 hosts", hosts, count);
	hosts = many_hosts(200, true, &count);
	try_size("one port of 200 hosts", hosts, count);
	swap_at_20480();
	done_testing();
}
