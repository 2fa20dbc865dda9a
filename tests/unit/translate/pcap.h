/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Filters from expressions. libpcap and the kernel both call their instructions bpf_insn. */
#ifndef SOCKTALLY_TESTS_UNIT_TRANSLATE_PCAP_H
#define SOCKTALLY_TESTS_UNIT_TRANSLATE_PCAP_H

#include "tests/unit/translate/help.h"

#define bpf_insn pcap_bpf_insn
#include <pcap/pcap.h>
#undef bpf_insn

/* The filter, malloc'ed, or NULL with libpcap's reason as a TAP comment. */
__attribute__((unused)) static struct sock_filter *compile(int linktype, const char *expression,
							   size_t *count)
{
	pcap_t *pcap = pcap_open_dead(linktype, 262144);
	struct sock_filter *insns = NULL;
	struct bpf_program program;

	if (!pcap)
		die("pcap_open_dead");
	if (pcap_compile(pcap, &program, expression, 1, PCAP_NETMASK_UNKNOWN)) {
		printf("# %s: %s\n", expression, pcap_geterr(pcap));
		pcap_close(pcap);
		return NULL;
	}
	*count = program.bf_len;
	insns = malloc(*count * sizeof(*insns));
	if (!insns)
		die("malloc");
	memcpy(insns, program.bf_insns, *count * sizeof(*insns));
	pcap_freecode(&program);
	pcap_close(pcap);
	return insns;
}

#endif
