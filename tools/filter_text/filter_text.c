// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "tools/filter_text/filter_text.h"

#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static bool has_text(const char *texts, const char *text)
{
	size_t length = strlen(text);

	for (const char *at = texts; at; at = strstr(at, "; ") ? strstr(at, "; ") + 2 : NULL)
		if (!strncmp(at, text, length) && (!at[length] || !strncmp(at + length, "; ", 2)))
			return true;
	return false;
}

void filter_text_join(char **texts, char *text)
{
	char *joined;

	if (!*texts) {
		*texts = text;
		return;
	}
	if (text && !has_text(*texts, text) && asprintf(&joined, "%s; %s", *texts, text) >= 0) {
		free(*texts);
		*texts = joined;
	}
	free(text);
}
