// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* A tool's filter as a pcap-filter expression, found from its instructions. */
#include "tools/report/filter.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/filter_text/filter_text.h"

/* Milliseconds of CPU time: that a report waits for one expression, and for all new ones of one report. */
#define PATIENCE 50
#define PATIENCE_OF_REPORT 1000
/* Filters whose expression, or that none was found, is remembered: a report each second has the same ones. */
#define REMEMBERED 512

struct remembered {
	struct sock_filter *insns; /* NULL: there is none */
	size_t count;
	char linktype[32];
	char *words; /* NULL: none was found */
};

static struct remembered remembered[REMEMBERED];
static size_t next_remembered;

static struct remembered *recall(const struct sock_filter *insns, size_t count,
				 const char *linktype)
{
	for (size_t i = 0; i < REMEMBERED && remembered[i].insns; i++)
		if (remembered[i].count == count && !strcmp(remembered[i].linktype, linktype) &&
		    !memcmp(remembered[i].insns, insns, count * sizeof(*insns)))
			return &remembered[i];
	return NULL;
}

/* Takes words, which may be NULL. */
static void remember(const struct sock_filter *insns, size_t count, const char *linktype,
		     char *words)
{
	struct remembered *one = &remembered[next_remembered];
	struct sock_filter *copy = malloc(count * sizeof(*copy));

	if (!copy || strlen(linktype) >= sizeof(one->linktype)) {
		free(copy);
		free(words);
		return;
	}
	memcpy(copy, insns, count * sizeof(*copy));
	free(one->insns);
	free(one->words);
	one->insns = copy;
	one->count = count;
	strcpy(one->linktype, linktype);
	one->words = words;
	next_remembered = (next_remembered + 1) % REMEMBERED;
}

static double processor_milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1000 + (double)now.tv_nsec / 1000000;
}

/* malloc'ed, or NULL. *left: milliseconds that the report has for new ones. */
static char *find_words(const struct sock_filter *insns, size_t count, const char *linktype,
			double *left)
{
	const struct remembered *known = recall(insns, count, linktype);
	double began;
	char *words;

	if (known)
		return known->words ? strdup(known->words) : NULL;
	if (*left <= 0)
		return NULL;
	began = processor_milliseconds();
	words = filter_text_name(insns, count, linktype, PATIENCE);
	*left -= processor_milliseconds() - began;
	remember(insns, count, linktype, words ? strdup(words) : NULL);
	return words;
}

static char *name_within(const struct sock_filter *insns, size_t count, const char *linktype,
			 enum report_format format, double *left)
{
	const bool for_people = report_format_is_words(format);
	char *words;

	if (filter_rejects_all(insns, count))
		return for_people ? strdup("accepts nothing") : NULL;
	words = find_words(insns, count, linktype, left);
	if (words && !*words && for_people) {
		free(words);
		words = strdup("accepts everything");
	}
	return words;
}

char *report_filter_name(const struct sock_filter *insns, size_t count, const char *linktype,
			 enum report_format format)
{
	double left = PATIENCE_OF_REPORT;

	return name_within(insns, count, linktype, format, &left);
}

struct filters {
	enum report_format format;
	double left; /* milliseconds for expressions that are not known yet */
	char *names, *programs;
};

static int add_name(void *ctx, const struct socktally_socket *socket)
{
	struct filters *filters = ctx;
	char *name;

	if (!socket->insn_count)
		return 0;
	name = name_within(socket->insns, socket->insn_count, socket->linktype, filters->format,
			   &filters->left);
	filter_text_join(&filters->names,
			 name ? name : filter_text_numbers(socket->insns, socket->insn_count));
	return 0;
}

char *report_filter_names(struct socktally *meter, enum report_format format)
{
	struct filters filters = {.format = format, .left = PATIENCE_OF_REPORT};

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
