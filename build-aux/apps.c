/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * apps: writes the index of applications.def as C to stdout. Runs on the build machine.
 *
 * For each transport a function that decides by first bytes: a switch over the byte that tells most of
 * the lines apart, inside each case the same again with the lines that are left, and after it with those
 * to which that byte is all the same. So a payload is compared with the few lines that its bytes lead to,
 * however many lines there are.
 *
 * A pattern is a list of bytes from the payload's start, see docs/applications.md:
 *	16		this byte
 *	00-04  01|02  10&f0	one of these, or those; with the mask f0 it is 10
 *	.  *8		any byte; any eight
 *	'GET '  ~helo~	these characters; in upper or lower case
 *	$		the payload ends here
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 64, LINES = 512, VALUES = 256, WIDE = 6 };
enum kind { IS_FOUND, IS_NAMED, IS_HINT }; /* NAMED: there may come a better name */

struct line {
	const char *symbol, *transport, *pattern, *condition, *keep;
	enum kind kind;
	bool byte[BLOCK][VALUES]; /* which values the pattern allows at this place */
	bool any[BLOCK];          /* all of them */
	bool wide
		[BLOCK]; /* many: a switch does not go by it, as each case would have the line again */
	unsigned int length;
	bool whole; /* the payload ends after these bytes */
};

static const struct {
	enum kind kind;
	const char *symbol, *transport, *pattern, *condition, *keep;
} list[] = {
#define TEXT(...) #__VA_ARGS__
#define SOCKTALLY_APPLICATION(NUMBER, SYMBOL, NAME, TRANSPORT, PATTERN, CONDITION, SOURCE, NOTE)   \
	{IS_FOUND, #SYMBOL, #TRANSPORT, PATTERN, TEXT(CONDITION), "0"},
#define SOCKTALLY_EVIDENCE(SYMBOL, TRANSPORT, PATTERN, CONDITION, SOURCE)                          \
	{IS_FOUND, #SYMBOL, #TRANSPORT, PATTERN, TEXT(CONDITION), "0"},
#define SOCKTALLY_NAMED(SYMBOL, HINT, TRANSPORT, PATTERN, CONDITION, SOURCE)                       \
	{IS_NAMED, #SYMBOL, #TRANSPORT, PATTERN, TEXT(CONDITION), #HINT},
#define SOCKTALLY_HINT(HINT, TRANSPORT, PATTERN, CONDITION, KEEP, SOURCE)                          \
	{IS_HINT, #HINT, #TRANSPORT, PATTERN, TEXT(CONDITION), TEXT(KEEP)},
#include <socktally/applications.def>
};

static struct line lines[LINES];

static _Noreturn void fail(const struct line *line, const char *what)
{
	fprintf(stderr, "apps: %s: \"%s\": %s\n", line->symbol, line->pattern, what);
	exit(1);
}

/* --- reading a pattern */

static unsigned int hex(const struct line *line, const char **at)
{
	char digits[3] = {(*at)[0], (*at)[0] ? (*at)[1] : '\0', '\0'}, *end;
	unsigned long value = strtoul(digits, &end, 16);

	if (end != digits + 2)
		fail(line, "two hexadecimal digits are expected");
	*at += 2;
	return value;
}

static bool *new_byte(struct line *line)
{
	if (line->length == BLOCK)
		fail(line, "longer than the bytes that are looked at");
	return line->byte[line->length++];
}

static void read_any(struct line *line, unsigned long count)
{
	for (unsigned long i = 0; i < count; i++)
		memset(new_byte(line), true, VALUES);
}

static const char *read_characters(struct line *line, const char *at)
{
	char quote = *at++;

	for (; *at != quote; at++) {
		bool *byte = new_byte(line);
		unsigned char c = *at;

		if (!c)
			fail(line, "a quote is open");
		byte[c] = true;
		if (quote == '~' && ((c | 32) >= 'a' && (c | 32) <= 'z'))
			byte[c ^ 32] = true;
	}
	return at + 1;
}

static const char *read_values(struct line *line, const char *at)
{
	bool *byte = new_byte(line);

	for (;;) {
		unsigned int low = hex(line, &at), high = low, mask = 0xff;

		if (*at == '-') {
			at++;
			high = hex(line, &at);
		} else if (*at == '&') {
			at++;
			mask = hex(line, &at);
		}
		for (unsigned int value = 0; value < VALUES; value++)
			if ((value & mask) >= low && (value & mask) <= high)
				byte[value] = true;
		if (*at != '|')
			return at;
		at++;
	}
}

static void read_pattern(struct line *line)
{
	const char *at = line->pattern;
	char *end;

	while (*at) {
		if (line->whole)
			fail(line, "something behind the end");
		if (*at == '.') {
			read_any(line, 1);
			at++;
		} else if (*at == '*') {
			read_any(line, strtoul(at + 1, &end, 10));
			at = end;
		} else if (*at == '\'' || *at == '~') {
			at = read_characters(line, at);
		} else if (*at == '$') {
			line->whole = true;
			at++;
		} else {
			at = read_values(line, at);
		}
		if (*at && *at != ' ')
			fail(line, "a space is expected");
		at += *at == ' ';
	}
	for (unsigned int place = 0; place < BLOCK; place++) {
		unsigned int values = 0;

		for (unsigned int value = 0; value < VALUES; value++)
			values += line->byte[place][value];
		line->any[place] = place >= line->length || values == VALUES;
		line->wide[place] = place >= line->length || values > WIDE;
	}
}

/* --- writing C */

static void indent(unsigned int depth)
{
	for (unsigned int i = 0; i < depth; i++)
		putchar('\t');
}

/* Whether the values are those with some bits given: (value & *mask) == *bits. */
static bool masked(const bool *byte, unsigned int *mask, unsigned int *bits)
{
	unsigned int all = 0xff, some = 0, count = 0, free_bits;

	for (unsigned int value = 0; value < VALUES; value++) {
		if (!byte[value])
			continue;
		all &= value;
		some |= value;
		count++;
	}
	free_bits = all ^ some;
	*mask = ~free_bits & 0xff;
	*bits = all & *mask;
	return count == 1U << __builtin_popcount(free_bits);
}

/* As many bytes from here as one load can compare. Returns how many places that were. */
static unsigned int write_word(const struct line *line, const bool *known, unsigned int at)
{
	uint64_t mask = 0, bits = 0;
	unsigned int last = 0, width = 1;

	for (unsigned int i = 0; i < 8 && at + i < line->length; i++) {
		unsigned int m = 0, b = 0;

		if (!line->any[at + i] && !known[at + i]) {
			if (!masked(line->byte[at + i], &m, &b))
				break;
			last = i;
		}
		mask |= (uint64_t)m << (56 - 8 * i);
		bits |= (uint64_t)b << (56 - 8 * i);
	}
	while (width <= last)
		width *= 2;
	mask >>= 64 - 8 * width;
	bits >>= 64 - 8 * width;
	if (mask == UINT64_MAX >> (64 - 8 * width))
		printf(" && ST_BE%u(%u) == 0x%llx", 8 * width, at, (unsigned long long)bits);
	else
		printf(" && (ST_BE%u(%u) & 0x%llx) == 0x%llx", 8 * width, at,
		       (unsigned long long)mask, (unsigned long long)bits);
	return last + 1;
}

static void write_ranges(const bool *byte, unsigned int at)
{
	const char *word = " && (";

	for (unsigned int value = 0; value < VALUES; value++) {
		unsigned int high = value;

		if (!byte[value])
			continue;
		while (high + 1 < VALUES && byte[high + 1])
			high++;
		printf("%s(__u8)(ST_BE8(%u) - %u) <= %u", word, at, value, high - value);
		word = " || ";
		value = high;
	}
	printf(")");
}

/* known: places that the switches around have already decided. */
static void write_line(const struct line *line, const bool *known, unsigned int depth)
{
	unsigned int mask, bits;

	indent(depth);
	printf("if (p->there >= %u", line->length);
	if (line->whole)
		printf(" && p->length == %u", line->length);
	for (unsigned int at = 0; at < line->length;) {
		if (line->any[at] || known[at]) {
			at++;
		} else if (masked(line->byte[at], &mask, &bits)) {
			at += write_word(line, known, at);
		} else {
			write_ranges(line->byte[at], at);
			at++;
		}
	}
	if (strcmp(line->condition, "1") != 0)
		printf(" &&\n\t\t(%s)", line->condition);
	printf(")\n");
	indent(depth + 1);
	if (line->kind == IS_FOUND)
		printf("return ST_APP_FOUND | ST_%s;\n", line->symbol);
	else if (line->kind == IS_NAMED)
		printf("return ST_APP_FOUND | ST_APP_MORE | ST_STATE(%s, ST_%s);\n", line->keep,
		       line->symbol);
	else
		printf("return ST_STATE(%s, %s);\n", line->symbol, line->keep);
	indent(depth);
	printf("ST_APP_FORGET();\n");
}

/* --- the index */

struct group {
	const struct line *lines[LINES];
	unsigned int count;
};

/* How many pairs of lines this byte tells apart. */
static unsigned int worth(const struct group *group, unsigned int place)
{
	unsigned int pairs = 0;

	for (unsigned int i = 0; i < group->count; i++) {
		for (unsigned int j = 0; j < i; j++) {
			const struct line *a = group->lines[i], *b = group->lines[j];
			unsigned int value = 0;

			if (a->wide[place] || b->wide[place])
				continue;
			while (value < VALUES && !(a->byte[place][value] && b->byte[place][value]))
				value++;
			pairs += value == VALUES;
		}
	}
	return pairs;
}

static void choose(const struct group *from, unsigned int place, unsigned int value,
		   struct group *to)
{
	to->count = 0;
	for (unsigned int i = 0; i < from->count; i++)
		if (!from->lines[i]->wide[place] && from->lines[i]->byte[place][value])
			to->lines[to->count++] = from->lines[i];
}

static bool same(const struct group *a, const struct group *b)
{
	return a->count == b->count && !memcmp(a->lines, b->lines, a->count * sizeof(*a->lines));
}

static void write_group(const struct group *group, const bool *known, unsigned int depth);

static void write_cases(const struct group *group, unsigned int place, const bool *known,
			unsigned int depth)
{
	struct group *subset = calloc(VALUES, sizeof(*subset));
	bool inside[BLOCK], done[VALUES] = {false};

	if (!subset)
		fail(group->lines[0], "no memory");
	memcpy(inside, known, sizeof(inside));
	inside[place] = true;
	for (unsigned int value = 0; value < VALUES; value++)
		choose(group, place, value, &subset[value]);
	for (unsigned int value = 0; value < VALUES; value++) {
		if (done[value] || !subset[value].count)
			continue;
		for (unsigned int like = value; like < VALUES; like++) {
			if (!same(&subset[value], &subset[like]))
				continue;
			done[like] = true;
			indent(depth);
			printf("case %u:\n", like);
		}
		write_group(&subset[value], inside, depth + 1);
		indent(depth + 1);
		printf("break;\n");
	}
	free(subset);
}

static void write_group(const struct group *group, const bool *known, unsigned int depth)
{
	unsigned int best = 0, place = 0, value;
	struct group *rest;

	for (unsigned int at = 0; at < BLOCK; at++) {
		value = known[at] ? 0 : worth(group, at);
		if (value > best) {
			best = value;
			place = at;
		}
	}
	if (!best) {
		for (unsigned int i = 0; i < group->count; i++)
			write_line(group->lines[i], known, depth);
		return;
	}
	indent(depth);
	printf("switch (ST_BE8(%u)) {\n", place);
	write_cases(group, place, known, depth);
	indent(depth);
	printf("}\n");
	indent(depth);
	printf("ST_APP_FORGET();\n");
	rest = calloc(1, sizeof(*rest));
	if (!rest)
		fail(group->lines[0], "no memory");
	for (unsigned int i = 0; i < group->count; i++)
		if (group->lines[i]->wide[place])
			rest->lines[rest->count++] = group->lines[i];
	write_group(rest, known, depth);
	free(rest);
}

static void write_function(const char *transport, bool hints, unsigned int count)
{
	static const bool nothing[BLOCK];
	static struct group group;

	group.count = 0;
	for (unsigned int i = 0; i < count; i++)
		if ((!strcmp(lines[i].transport, transport) ||
		     !strcmp(lines[i].transport, "BOTH")) &&
		    (lines[i].kind == IS_HINT) == hints)
			group.lines[group.count++] = &lines[i];
	printf("\nstatic __always_inline __u32 st_app_%s_%s(const struct st_app_payload *p, "
	       "__u32 state)\n{\n",
	       hints ? "hint" : "found", transport);
	write_group(&group, nothing, 1);
	printf("\treturn state;\n}\n");
}

/* The hint that a line gives, or NULL. */
static const char *hint_of(const struct line *line)
{
	if (line->kind == IS_HINT)
		return line->symbol;
	return line->kind == IS_NAMED && strcmp(line->keep, "0") != 0 ? line->keep : NULL;
}

static void write_hints(unsigned int count)
{
	unsigned int number = 1;

	printf("enum {\n");
	for (unsigned int i = 0; i < count; i++) {
		const char *hint = hint_of(&lines[i]);
		bool again = !hint;

		for (unsigned int j = 0; j < i && !again; j++)
			again = hint_of(&lines[j]) && !strcmp(hint, hint_of(&lines[j]));
		if (!again)
			printf("\tST_HINT_%s = %u,\n", hint, number++);
	}
	printf("\tST_HINTS = %u,\n};\n", number);
}

int main(void)
{
	const unsigned int count = sizeof(list) / sizeof(*list);

	if (count > LINES) {
		fprintf(stderr, "apps: more than %d lines\n", LINES);
		return 1;
	}
	for (unsigned int i = 0; i < count; i++) {
		lines[i] = (struct line){.symbol = list[i].symbol,
					 .transport = list[i].transport,
					 .pattern = list[i].pattern,
					 .condition = list[i].condition,
					 .keep = list[i].keep,
					 .kind = list[i].kind};
		read_pattern(&lines[i]);
	}
	printf("/* Made from applications.def by build-aux/apps. */\n");
	write_hints(count);
	for (int hints = 0; hints < 2; hints++) {
		write_function("TCP", hints, count);
		write_function("UDP", hints, count);
	}
	return fflush(stdout) || ferror(stdout) ? 1 : 0;
}
