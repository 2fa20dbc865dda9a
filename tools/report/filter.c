// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* A tool's filter as a pcap-filter expression, found from its instructions. */
#include "tools/report/filter.h"

#include <stdlib.h>
#include <string.h>

#include "tools/filter_text/filter_text.h"

/* Milliseconds of CPU time: a report waits no longer for the expression. */
#define PATIENCE 50

char *report_filter_name(const struct sock_filter *insns, size_t count, const char *linktype)
{
	char *words;

	if (filter_rejects_all(insns, count))
		return strdup("accepts nothing");
	words = filter_text_name(insns, count, linktype, PATIENCE);
	if (words && !*words) {
		free(words);
		words = strdup("accepts everything");
	}
	return words;
}

static int add_name(void *ctx, const struct socktally_socket *socket)
{
	char *name;

	if (!socket->insn_count)
		return 0;
	name = report_filter_name(socket->insns, socket->insn_count, socket->linktype);
	filter_text_join(ctx, name ? name : filter_text_numbers(socket->insns, socket->insn_count));
	return 0;
}

char *report_filter_words(struct socktally *meter)
{
	char *words = NULL;

	socktally_sockets(meter, add_name, &words);
	return words;
}
