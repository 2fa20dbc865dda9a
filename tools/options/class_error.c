// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Finds the place of an error in an expression, which libpcap does not tell. If the message quotes
 * a word, that is searched for. For a syntax error, it is the first word after which no
 * continuation makes the expression right.
 */
#include "tools/options/classes.h"

#include <ctype.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* An expression that asks a name server is not compiled again and again. */
#define SLOW_NANOSECONDS 50000000

/* Each word of an expression is tried with all continuations: 0.5 s for one of this length. */
#define LENGTH_MAX 1024

/* Continuations: for each place in a right expression, one of them completes it. */
static const char *const endings[] = {
	"",     " tcp",  " 1",      " 1.2.3.4", " host 1.2.3.4", " port 1", " proto 6",
	" = 1", "] = 1", " 1] = 1", " 1-2",     " ::1",          "/8",      " 02:00:00:00:00:01",
};

static bool compiles(pcap_t *pcap, const char *text)
{
	struct bpf_program program;

	if (pcap_compile(pcap, &program, text, 0, PCAP_NETMASK_UNKNOWN))
		return !strstr(pcap_geterr(pcap), "syntax error");
	pcap_freecode(&program);
	return true;
}

/* Whether the first `length` bytes can be completed. Open parentheses are closed. */
static bool can_go_on(pcap_t *pcap, const char *expression, size_t length)
{
	size_t open = 0, room = 2 * length + 64;
	char *text = malloc(room);
	bool good = !text;

	for (size_t i = 0; i < length; i++) {
		if (expression[i] == '(')
			open++;
		else if (expression[i] == ')' && open)
			open--;
	}
	for (size_t i = 0; i < sizeof(endings) / sizeof(*endings) && !good; i++) {
		int used = snprintf(text, room, "%.*s%s", (int)length, expression, endings[i]);

		memset(text + used, ')', open);
		text[(size_t)used + open] = 0;
		good = compiles(pcap, text);
	}
	free(text);
	return good;
}

static bool in_word(char byte)
{
	return isalnum((unsigned char)byte) || byte == '.' || byte == ':' || byte == '_' ||
	       byte == '-' || byte == '\\';
}

/* The end of the word, number or operator that starts there. */
static size_t word_end(const char *text, size_t at)
{
	if (!in_word(text[at]))
		return at + 1;
	while (text[at] && in_word(text[at]))
		at++;
	return at;
}

static size_t syntax_error(pcap_t *pcap, const char *expression)
{
	size_t at = 0;

	for (;;) {
		size_t end;

		while (isspace((unsigned char)expression[at]))
			at++;
		if (!expression[at])
			return at;
		end = word_end(expression, at);
		if (!can_go_on(pcap, expression, end))
			return at;
		at = end;
	}
}

static bool is_fast(pcap_t *pcap, const char *expression)
{
	struct timespec start, end;

	clock_gettime(CLOCK_MONOTONIC, &start);
	compiles(pcap, expression);
	clock_gettime(CLOCK_MONOTONIC, &end);
	return (end.tv_sec - start.tv_sec) * 1000000000ll + end.tv_nsec - start.tv_nsec <
	       SLOW_NANOSECONDS;
}

/* The place of what the message quotes. */
static const char *find_quoted(const char *expression, const char *reason)
{
	const char *open = strpbrk(reason, "'\""), *close = open ? strchr(open + 1, *open) : NULL;
	char *word;
	const char *found;

	if (!close || close == open + 1)
		return NULL;
	word = strndup(open + 1, (size_t)(close - open - 1));
	found = word ? strstr(expression, word) : NULL;
	free(word);
	return found;
}

size_t class_error_offset(const char *expression, const char *reason)
{
	const char *quoted = expression ? find_quoted(expression, reason) : NULL;
	size_t offset = 0;
	pcap_t *pcap;

	if (quoted)
		return (size_t)(quoted - expression);
	if (!expression || !strstr(reason, "syntax error") || strlen(expression) > LENGTH_MAX)
		return 0;
	pcap = pcap_open_dead(DLT_EN10MB, 262144);
	if (!pcap)
		return 0;
	if (is_fast(pcap, expression))
		offset = syntax_error(pcap, expression);
	pcap_close(pcap);
	return offset;
}
