// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* A tool's filter as a pcap-filter expression, found from its instructions. */
#include "tools/report/filter.h"

#include <stdlib.h>
#include <string.h>

#include "tools/filter_text/filter_text.h"

/* Milliseconds of CPU time: a report waits no longer for the expression. */
#define PATIENCE 50

char *report_filter_name(const struct sock_filter *insns, size_t count, const char *linktype,
			 enum report_format format)
{
	const bool for_people = report_format_is_words(format);
	char *words;

	if (filter_rejects_all(insns, count))
		return for_people ? strdup("accepts nothing") : NULL;
	words = filter_text_name(insns, count, linktype, PATIENCE);
	if (words && !*words && for_people) {
		free(words);
		words = strdup("accepts everything");
	}
	return words;
}

struct filters {
	enum report_format format;
	char *names, *programs;
};

static int add_name(void *ctx, const struct socktally_socket *socket)
{
	struct filters *filters = ctx;
	char *name;

	if (!socket->insn_count)
		return 0;
	name = report_filter_name(socket->insns, socket->insn_count, socket->linktype,
				  filters->format);
	filter_text_join(&filters->names,
			 name ? name : filter_text_numbers(socket->insns, socket->insn_count));
	return 0;
}

char *report_filter_names(struct socktally *meter, enum report_format format)
{
	struct filters filters = {.format = format};

	socktally_sockets(meter, add_name, &filters);
	return filters.names;
}

static int add_program(void *ctx, const struct socktally_socket *socket)
{
	struct filters *filters = ctx;

	if (socket->insn_count)
		filter_text_join(&filters->programs,
				 filter_text_numbers(socket->insns, socket->insn_count));
	return 0;
}

char *report_filter_programs(struct socktally *meter)
{
	struct filters filters = {0};

	socktally_sockets(meter, add_program, &filters);
	return filters.programs;
}
