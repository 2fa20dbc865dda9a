// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Finds a name for a filter: compiles expressions until one gives the same program. Only the same
 * instructions count, so a name is never wrong.
 */
#include "tools/filter_text/name.h"

#include <netinet/in.h>
#include <pcap/sll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static bool is_jump(uint16_t code)
{
	return BPF_CLASS(code) == BPF_JMP && BPF_OP(code) != BPF_JA && BPF_SRC(code) == BPF_K;
}

/*
 * Constants that "port", "host" and "tcp[...]" compare with besides, and that may be missing in a
 * combination.
 */
static bool is_dispensable(uint32_t k)
{
	return k == 0x800 || k == 0x806 || k == 0x8035 || k == 0x86dd || k == IPPROTO_UDP ||
	       k == IPPROTO_TCP || k == IPPROTO_SCTP || k == IPPROTO_FRAGMENT || k == 0x1fff;
}

static uint64_t constant_bit(const struct naming *naming, uint32_t k)
{
	for (unsigned int i = 0; i < naming->constants; i++)
		if (naming->constant[i] == k)
			return 1ull << i;
	return is_dispensable(k) ? LOOSE : FOREIGN;
}

static bool collect_constants(struct naming *naming)
{
	for (size_t i = 0; i < naming->count; i++) {
		const struct sock_filter *insn = &naming->insns[i];

		if (!is_jump(insn->code) || constant_bit(naming, insn->k) < LOOSE)
			continue;
		if (naming->constants == MAX_CONSTANTS)
			return false;
		naming->constant[naming->constants++] = insn->k;
	}
	return true;
}

/*
 * On a cooked socket the packet starts at the network layer. libpcap compiles for its own header in
 * front of that, then moves the offsets, and replaces fields of the header by metadata. False: no
 * program could be made.
 */
static bool cook(struct bpf_insn *insn, int dlt)
{
	uint32_t header = dlt == DLT_LINUX_SLL ? SLL_HDR_LEN : SLL2_HDR_LEN;
	int mode = BPF_MODE(insn->code);

	if ((BPF_CLASS(insn->code) != BPF_LD && BPF_CLASS(insn->code) != BPF_LDX) ||
	    (mode != BPF_ABS && mode != BPF_IND && mode != BPF_MSH))
		return true;
	if ((int32_t)insn->k < 0)
		return true;
	if (insn->k >= header)
		insn->k -= header;
	else if (insn->k == (dlt == DLT_LINUX_SLL ? 14 : 0))
		insn->k = (uint32_t)(SKF_AD_OFF + SKF_AD_PROTOCOL);
	else if (insn->k == (dlt == DLT_LINUX_SLL ? 0 : 10))
		insn->k = (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE);
	else if (dlt == DLT_LINUX_SLL2 && insn->k == 4)
		insn->k = (uint32_t)(SKF_AD_OFF + SKF_AD_IFINDEX);
	else
		return false;
	return true;
}

static bool is_cooked(const struct naming *naming)
{
	return naming->dlt == DLT_LINUX_SLL || naming->dlt == DLT_LINUX_SLL2;
}

/* The number of accepted bytes is the tool's snap length, which is not in the expression. */
static bool same_insn(const struct bpf_insn *one, const struct sock_filter *other)
{
	if (one->code != other->code)
		return false;
	if (one->code == (BPF_RET | BPF_K))
		return !one->k == !other->k;
	return one->jt == other->jt && one->jf == other->jf && one->k == other->k;
}

static bool same_program(const struct naming *naming, struct bpf_program *program)
{
	if (program->bf_len != naming->count)
		return false;
	for (size_t i = 0; i < naming->count; i++) {
		if (is_cooked(naming) && !cook(&program->bf_insns[i], naming->dlt))
			return false;
		if (!same_insn(&program->bf_insns[i], &naming->insns[i]))
			return false;
	}
	return true;
}

static bool finished(const struct naming *naming)
{
	return naming->found || now() > naming->deadline;
}

/*
 * Compiles an expression; *mask: the constants that it compares with. Sets found if it is the
 * filter.
 */
static bool compile(struct naming *naming, const char *text, uint64_t *mask)
{
	struct bpf_program program;

	if (pcap_compile(naming->pcap, &program, text, 1, PCAP_NETMASK_UNKNOWN))
		return false;
	*mask = 0;
	for (unsigned int i = 0; i < program.bf_len; i++)
		if (is_jump(program.bf_insns[i].code))
			*mask |= constant_bit(naming, program.bf_insns[i].k);
	if (!naming->found && same_program(naming, &program))
		naming->found = strdup(text);
	pcap_freecode(&program);
	return true;
}

/* Tries an expression; keep: notes it as a possible part of the filter. */
void naming_try(struct naming *naming, bool keep, const char *format, ...)
{
	va_list arguments;
	uint64_t mask;
	char *text;
	int length;

	if (finished(naming))
		return;
	va_start(arguments, format);
	length = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (length < 0)
		return;
	if (compile(naming, text, &mask) && keep && !(mask & FOREIGN) &&
	    naming->candidates < MAX_CANDIDATES)
		naming->candidate[naming->candidates++] =
			(struct candidate){.text = text, .mask = mask};
	else
		free(text);
}

/* Parentheses, if a list becomes a part of something else. */
#define PART(text) strstr(text, " or ") ? "(" : "", text, strstr(text, " or ") ? ")" : ""

/* Whether parts with these masks have all constants of the filter between them. */
static bool covers(const struct naming *naming, uint64_t mask)
{
	uint64_t all = (1ull << naming->constants) - 1;

	return (mask & all) == all;
}

static void try_not(struct naming *naming)
{
	for (size_t i = 0; i < naming->candidates && !finished(naming); i++)
		naming_try(naming, false, "not %s%s%s", PART(naming->candidate[i].text));
}

static void try_pair(struct naming *naming, const char *one, const char *two)
{
	naming_try(naming, false, "%s%s%s and %s%s%s", PART(one), PART(two));
	naming_try(naming, false, "%s or %s", one, two);
	naming_try(naming, false, "%s%s%s and not %s%s%s", PART(one), PART(two));
	naming_try(naming, false, "not %s%s%s and not %s%s%s", PART(one), PART(two));
}

static void try_triple(struct naming *naming, const char *one, const char *two, const char *three)
{
	naming_try(naming, false, "%s or %s or %s", one, two, three);
	naming_try(naming, false, "%s%s%s and %s%s%s and %s%s%s", PART(one), PART(two),
		   PART(three));
	naming_try(naming, false, "%s%s%s and (%s or %s)", PART(one), two, three);
	naming_try(naming, false, "%s%s%s and not %s%s%s and not %s%s%s", PART(one), PART(two),
		   PART(three));
	naming_try(naming, false, "not %s%s%s and not %s%s%s and not %s%s%s", PART(one), PART(two),
		   PART(three));
}

/* Parts with constants that the filter does not have come last, as they seldom fit. */
static bool is_tried(const struct candidate *candidate, bool loose)
{
	return loose || !(candidate->mask & LOOSE);
}

static void try_pairs(struct naming *naming, bool loose)
{
	const struct candidate *part = naming->candidate;

	for (size_t i = 0; i < naming->candidates && !finished(naming); i++)
		for (size_t j = 0; j < naming->candidates; j++)
			if (i != j && is_tried(&part[i], loose) && is_tried(&part[j], loose) &&
			    covers(naming, part[i].mask | part[j].mask))
				try_pair(naming, part[i].text, part[j].text);
}

static void try_triples(struct naming *naming, bool loose, size_t i, size_t j)
{
	const struct candidate *part = naming->candidate;

	if (i == j || !is_tried(&part[i], loose) || !is_tried(&part[j], loose))
		return;
	for (size_t k = 0; k < naming->candidates; k++)
		if (k != i && k != j && is_tried(&part[k], loose) &&
		    covers(naming, part[i].mask | part[j].mask | part[k].mask))
			try_triple(naming, part[i].text, part[j].text, part[k].text);
}

static void search(struct naming *naming)
{
	naming_try(naming, false, "%s", "");
	naming_guess(naming);
	try_not(naming);
	for (int loose = 0; loose < 2; loose++)
		try_pairs(naming, loose);
	for (int loose = 0; loose < 2; loose++)
		for (size_t i = 0; i < naming->candidates; i++)
			for (size_t j = 0; j < naming->candidates && !finished(naming); j++)
				try_triples(naming, loose, i, j);
}

/* Whether all is accepted with the same number of bytes, as an expression can't say several. */
static bool accepts_alike(const struct sock_filter *insns, size_t count)
{
	uint32_t accepted = 0;

	for (size_t i = 0; i < count; i++) {
		if (insns[i].code != (BPF_RET | BPF_K) || !insns[i].k)
			continue;
		if (accepted && insns[i].k != accepted)
			return false;
		accepted = insns[i].k;
	}
	return true;
}

static char *name_on(int dlt, const struct sock_filter *insns, size_t count,
		     unsigned int milliseconds)
{
	struct naming *naming = calloc(1, sizeof(*naming));
	char *found = NULL;

	if (!naming)
		return NULL;
	naming->insns = insns;
	naming->count = count;
	naming->dlt = dlt;
	naming->deadline = now() + milliseconds * 1000000ull;
	naming->pcap = pcap_open_dead(dlt, 262144);
	if (naming->pcap) {
		if (collect_constants(naming))
			search(naming);
		pcap_close(naming->pcap);
	}
	for (size_t i = 0; i < naming->candidates; i++)
		free(naming->candidate[i].text);
	found = naming->found;
	free(naming);
	return found;
}

char *filter_text_name(const struct sock_filter *insns, size_t count, const char *linktype,
		       unsigned int milliseconds)
{
	char *name;

	if (!count || !accepts_alike(insns, count))
		return NULL;
	if (!strcmp(linktype, "eth"))
		return name_on(DLT_EN10MB, insns, count, milliseconds);
	if (!strcmp(linktype, "raw"))
		return name_on(DLT_RAW, insns, count, milliseconds);
	if (strcmp(linktype, "sll"))
		return NULL;
	name = name_on(DLT_LINUX_SLL2, insns, count, milliseconds / 2);
	return name ? name : name_on(DLT_LINUX_SLL, insns, count, milliseconds / 2);
}
