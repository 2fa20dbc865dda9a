// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* A tool's filter for the text report: in words rather than in numbers, where there are some. */
#include "report_filter.h"

#include <stdlib.h>
#include <string.h>

#include "filter_text.h"

/* Milliseconds: a report waits no longer for the words. */
#define PATIENCE 50

static int name_first(void *ctx, const struct socktally_socket *socket)
{
	char **words = ctx;

	if (!socket->insn_count)
		return 0;
	if (filter_rejects_all(socket->insns, socket->insn_count))
		*words = strdup("accepts nothing");
	else
		*words = filter_text_name(socket->insns, socket->insn_count, socket->linktype,
					  PATIENCE);
	if (*words && !**words) {
		free(*words);
		*words = strdup("accepts everything");
	}
	return 1;
}

char *report_filter_words(struct socktally *meter)
{
	char *words = NULL;

	socktally_sockets(meter, name_first, &words);
	return words;
}
