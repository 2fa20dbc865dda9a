// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "plugin/hooks/builtin.h"
#include "plugin/bpf/syscall.h"
#include "bpf/hooks/drop.bpf.h"
#include "bpf/hooks/icmp.bpf.h"
#include "plugin/hooks/pattern.h"
#include "bpf/hooks/rate.bpf.h"
#include "bpf/hooks/sample.bpf.h"
#include "bpf/hooks/sizes.bpf.h"
#include "bpf/hooks/snap.bpf.h"
#include "bpf/hooks/talkers.bpf.h"
#include "bpf/hooks/tcpflags.bpf.h"
#include "plugin/meter/meter.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Options that a hook takes. */
enum {
	TAKES_PATH = 1 << 0,   /* path=PATTERN, which it needs */
	TAKES_BYTES = 1 << 1,  /* bytes=NUMBER, which it needs */
	TAKES_N = 1 << 2,      /* n=NUMBER, which it needs */
	TAKES_SHARE = 1 << 3,  /* by=packet|flow */
	TAKES_PAIR = 1 << 4,   /* by=flow|host */
	TAKES_HEADER = 1 << 5, /* header=outer|inner */
};

struct st_builtin {
	const char *name;
	const char *program;
	const unsigned char *object;
	size_t size;
	int32_t priority;
	unsigned int takes;
	uint32_t top; /* 0: as for all hooks */
};

#define OBJECT(name) st_object_##name, sizeof(st_object_##name)

static const struct st_builtin builtins[] = {
	{"sizes", "sizes_by_path", OBJECT(sizes), SOCKTALLY_PRIORITY_SEEN, 0, 0},
	{"tcpflags", "tcpflags_by_direction", OBJECT(tcpflags), SOCKTALLY_PRIORITY_SEEN, 0, 0},
	{"icmp", "icmp_by_type", OBJECT(icmp), SOCKTALLY_PRIORITY_SEEN, 0, 0},
	{"talkers", "talkers_by_flow", OBJECT(talkers), SOCKTALLY_PRIORITY_SEEN,
	 TAKES_PAIR | TAKES_HEADER, 10},
	{"rate", "rate_and_peak", OBJECT(rate), SOCKTALLY_PRIORITY_SEEN, 0, 0},
	{"drop", "drop", OBJECT(drop), SOCKTALLY_PRIORITY_DROP, TAKES_PATH, 0},
	{"snap", "snap", OBJECT(snap), SOCKTALLY_PRIORITY_SNAP, TAKES_PATH | TAKES_BYTES, 0},
	{"sample", "sample", OBJECT(sample), SOCKTALLY_PRIORITY_SAMPLE,
	 TAKES_PATH | TAKES_N | TAKES_SHARE | TAKES_HEADER, 0},
};

const struct st_builtin *st_builtin_find(const char *name)
{
	for (size_t i = 0; i < sizeof(builtins) / sizeof(*builtins); i++)
		if (!strcmp(builtins[i].name, name))
			return &builtins[i];
	return NULL;
}

/* The value of an option; NULL: it isn't given. */
static const char *option(const struct socktally_hook_opts *opts, const char *name)
{
	const size_t length = strlen(name);

	for (size_t i = 0; i < opts->variable_count; i++)
		if (opts->variables[i] && !strncmp(opts->variables[i], name, length) &&
		    opts->variables[i][length] == '=')
			return opts->variables[i] + length + 1;
	return NULL;
}

static bool is_option(const struct socktally_hook_opts *opts, const char *name, const char *value)
{
	const char *given = option(opts, name);

	return given && !strcmp(given, value);
}

/* Whether this kernel has atomic operations that say what was there before: Linux 5.12. */
static bool has_fetch_add(void)
{
	static const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_STX | BPF_MEM | BPF_DW,
		 .dst_reg = BPF_REG_10,
		 .src_reg = BPF_REG_0,
		 .off = -8},
		{.code = BPF_STX | 0xc0 | BPF_DW, /* BPF_ATOMIC */
		 .dst_reg = BPF_REG_10,
		 .src_reg = BPF_REG_0,
		 .off = -8,
		 .imm = BPF_ADD | 1 /* BPF_FETCH */},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int prog =
		st_bpf_prog_load("socktally_try", insns, sizeof(insns) / sizeof(*insns), NULL, 0);

	if (prog >= 0)
		close(prog);
	return prog >= 0;
}

static const struct st_option {
	const char *name;
	unsigned int takes;
	bool needed;
	enum { PATH, NUMBER, WORD } value;
	unsigned int low; /* of a number */
	const char *words[2];
} options[] = {
	{"path", TAKES_PATH, true, PATH, 0, {NULL}},
	{"bytes", TAKES_BYTES, true, NUMBER, 0, {NULL}},
	{"n", TAKES_N, true, NUMBER, 1, {NULL}},
	{"by", TAKES_SHARE, false, WORD, 0, {"packet", "flow"}},
	{"by", TAKES_PAIR, false, WORD, 0, {"flow", "host"}},
	{"header", TAKES_HEADER, false, WORD, 0, {"outer", "inner"}},
};

static bool is_number(const char *text, unsigned long low)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(text, &end, 0);
	return *text >= '0' && *text <= '9' && !*end && !errno && number >= low &&
	       number <= UINT32_MAX;
}

static bool is_path(const char *hook, const char *text, char wrong[ST_BUILTIN_WRONG_MAX])
{
	struct st_pattern pattern;
	const char *part;
	size_t length;

	if (!st_pattern_read(&pattern, text, &part, &length))
		return true;
	snprintf(wrong, ST_BUILTIN_WRONG_MAX,
		 "the hook %s: '%s': '%.*s' is no protocol's name: a path is like eth:ip:udp or "
		 "*:tcp",
		 hook, text, (int)length, part);
	return false;
}

static bool value_check(const char *hook, const struct st_option *known, const char *value,
			char wrong[ST_BUILTIN_WRONG_MAX])
{
	switch (known->value) {
	case PATH:
		return is_path(hook, value, wrong);
	case NUMBER:
		if (is_number(value, known->low))
			return true;
		snprintf(wrong, ST_BUILTIN_WRONG_MAX,
			 "the hook %s: %s=%s: must be a number from %u to %u", hook, known->name,
			 value, known->low, UINT32_MAX);
		return false;
	case WORD:
		if (!strcmp(value, known->words[0]) || !strcmp(value, known->words[1]))
			return true;
		snprintf(wrong, ST_BUILTIN_WRONG_MAX, "the hook %s: %s=%s: must be %s or %s", hook,
			 known->name, value, known->words[0], known->words[1]);
		return false;
	}
	return false;
}

/* The option of that name which the hook takes; its length is up to "=". */
static const struct st_option *option_find(const struct st_builtin *builtin, const char *given)
{
	const size_t length = strcspn(given, "=");

	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
		if (builtin->takes & options[i].takes && strlen(options[i].name) == length &&
		    !memcmp(options[i].name, given, length))
			return &options[i];
	return NULL;
}

static bool is_again(const struct st_builtin *builtin, const struct socktally_hook_opts *opts,
		     size_t number)
{
	for (size_t i = 0; i < number; i++)
		if (option_find(builtin, opts->variables[i]) ==
		    option_find(builtin, opts->variables[number]))
			return true;
	return false;
}

/* Some variable is no option of the hook's, or the same as an earlier one. */
static void say_unknown(const struct st_builtin *builtin, const struct socktally_hook_opts *opts,
			char wrong[ST_BUILTIN_WRONG_MAX])
{
	const char *given = "";
	size_t used;

	for (size_t i = 0; i < opts->variable_count; i++) {
		given = opts->variables[i] ? opts->variables[i] : "";
		if (!option_find(builtin, given) || !strchr(given, '='))
			break;
		if (!is_again(builtin, opts, i))
			continue;
		snprintf(wrong, ST_BUILTIN_WRONG_MAX, "the hook %s: the option %s is given twice",
			 builtin->name, option_find(builtin, given)->name);
		return;
	}
	used = (size_t)snprintf(wrong, ST_BUILTIN_WRONG_MAX,
				"the hook %s has no option '%.64s':", builtin->name, given);
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
		if (builtin->takes & options[i].takes)
			used += (size_t)snprintf(wrong + used, ST_BUILTIN_WRONG_MAX - used, " %s=,",
						 options[i].name);
	if (builtin->takes & TAKES_PATH) /* it has no rows */
		wrong[used - 1] = 0;
	else
		snprintf(wrong + used, ST_BUILTIN_WRONG_MAX - used, " top=");
}

bool st_builtin_check(const struct st_builtin *builtin, const struct socktally_hook_opts *opts,
		      char wrong[ST_BUILTIN_WRONG_MAX])
{
	size_t used = 0;

	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
		const struct st_option *known = &options[i];
		const char *value;

		if (!(builtin->takes & known->takes))
			continue;
		value = option(opts, known->name);
		if (!value && known->needed) {
			snprintf(wrong, ST_BUILTIN_WRONG_MAX, "the hook %s needs the option %s",
				 builtin->name, known->name);
			return false;
		}
		if (value && !value_check(builtin->name, known, value, wrong))
			return false;
		used += value != NULL;
	}
	if (used == opts->variable_count)
		return true;
	say_unknown(builtin, opts, wrong);
	return false;
}

uint32_t st_builtin_top(const struct st_builtin *builtin)
{
	return builtin->top;
}

int st_builtin_opts(struct socktally *meter, const struct st_builtin *builtin,
		    struct socktally_hook_opts *opts)
{
	char wrong[ST_BUILTIN_WRONG_MAX];

	if (opts->file || opts->object || opts->program)
		return st_fail(meter, -EINVAL, "the hook %s is built in: it needs no object file",
			       builtin->name);
	if (!st_builtin_check(builtin, opts, wrong))
		return st_fail(meter, -EINVAL, "%s", wrong);
	opts->object = builtin->object;
	opts->object_size = builtin->size;
	opts->program = builtin->program;
	if (!opts->top)
		opts->top = builtin->top;
	if (!opts->priority)
		opts->priority = builtin->priority;
	if (builtin->takes & TAKES_PAIR && is_option(opts, "by", "host"))
		opts->program = "talkers_by_host";
	if (builtin->takes & TAKES_N) {
		if (is_option(opts, "by", "flow"))
			opts->program = "sample_flows";
		else if (!has_fetch_add())
			opts->program = "sample_on_cpu";
	}
	return 0;
}

/* "NAME=VALUE" for a variable of the object file. */
static int set(struct socktally *meter, const struct st_builtin *builtin, struct st_hook_own *own,
	       const char *name, const char *value)
{
	char assignment[64];

	snprintf(assignment, sizeof(assignment), "%s=%.32s", name, value);
	return st_object_variable_set(meter, own, builtin->name, assignment);
}

static int set_path(struct socktally *meter, const struct st_builtin *builtin,
		    struct st_hook_own *own, const char *text)
{
	struct st_pattern pattern;
	const char *wrong;
	size_t length;

	if (!st_pattern_read(&pattern, text, &wrong, &length) &&
	    st_object_variable_write(own, "pattern", &pattern, sizeof(pattern)))
		return 0;
	return st_fail(meter, -EINVAL, "the hook %s: is not as built", builtin->name);
}

int st_builtin_prepare(struct socktally *meter, const struct st_builtin *builtin,
		       struct st_hook_own *own, const struct socktally_hook_opts *opts)
{
	int result = 0;

	if (builtin->takes & TAKES_PATH)
		result = set_path(meter, builtin, own, option(opts, "path"));
	if (!result && builtin->takes & TAKES_BYTES)
		result = set(meter, builtin, own, "bytes", option(opts, "bytes"));
	if (!result && builtin->takes & TAKES_N)
		result = set(meter, builtin, own, "n", option(opts, "n"));
	if (!result && is_option(opts, "header", "inner"))
		result = set(meter, builtin, own, "inner", "1");
	return result;
}
