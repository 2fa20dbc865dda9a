// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "filter_text.h"

#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>

_Static_assert(sizeof(struct sock_filter) == sizeof(struct bpf_insn), "the same layout");

const char *filter_text_insn(const struct sock_filter *insns, size_t number)
{
	struct bpf_insn insn = {.code = insns[number].code,
				.jt = insns[number].jt,
				.jf = insns[number].jf,
				.k = insns[number].k};

	return bpf_image(&insn, (int)number);
}

char *filter_text_numbers(const struct sock_filter *insns, size_t count)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	if (count)
		fprintf(out, "%zu", count);
	for (size_t i = 0; i < count; i++)
		fprintf(out, ",%u %u %u %u", insns[i].code, insns[i].jt, insns[i].jf, insns[i].k);
	if (!fclose(out))
		return text;
	free(text);
	return NULL;
}

bool filter_rejects_all(const struct sock_filter *insns, size_t count)
{
	return count == 1 && insns[0].code == (BPF_RET | BPF_K) && !insns[0].k;
}
