// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * saved_filter_forger COOKIE USER: leaves a saved filter for that socket, as a meter of that user's
 * would that was killed. Nothing is attached anywhere. Prints a line and stays until its input ends.
 */
#include "plugin/attach/saved_filter.h"
#include "plugin/bpf/syscall.h"
#include "plugin/meter/maps.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	/* as long as the filter of attached.ebpf(), so that its size does not give it away */
	static const struct bpf_insn accept_all[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = -1},
		{.code = BPF_JMP | BPF_EXIT},
	};
	static const struct sock_filter accept_none[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
	char byte;
	int prog;

	if (argc != 3)
		return 2;
	prog = st_bpf_prog_load(ST_PROGRAM_NAME, accept_all, 2, NULL, 0);
	if (prog < 0 ||
	    st_saved_filter_leave(prog, strtoull(argv[1], NULL, 10),
				  (uint32_t)strtoul(argv[2], NULL, 10), getpid(), accept_none, 1))
		return 1;
	puts("left");
	fflush(stdout);
	return read(STDIN_FILENO, &byte, 1) < 0;
}
