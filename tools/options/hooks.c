// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * The argument of --hook:
 *
 *	FILE.bpf.o[:FUNCTION][@PRIORITY][,VARIABLE=VALUE]...
 *	NAME[=ARGUMENT][@PRIORITY][,OPTION]...
 */
#include "tools/common/command.h"
#include "tools/options/hooks.h"
#include "tools/report/hooks.h"
#include "plugin/hooks/builtin.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_DEFAULT 1000 /* of a hash map, as socktally_hook_rows() gives */

static const struct {
	const char *name;
	int32_t priority;
} priorities[] = {
	{"first", SOCKTALLY_PRIORITY_FIRST},     {"seen", SOCKTALLY_PRIORITY_SEEN},
	{"drop", SOCKTALLY_PRIORITY_DROP},       {"sample", SOCKTALLY_PRIORITY_SAMPLE},
	{"default", SOCKTALLY_PRIORITY_DEFAULT}, {"snap", SOCKTALLY_PRIORITY_SNAP},
	{"taken", SOCKTALLY_PRIORITY_TAKEN},     {"last", SOCKTALLY_PRIORITY_LAST},
};

static int read_priority(const char *text, int32_t *priority)
{
	long number;
	char *end;

	for (size_t i = 0; i < sizeof(priorities) / sizeof(*priorities); i++) {
		if (strcmp(priorities[i].name, text) != 0)
			continue;
		*priority = priorities[i].priority;
		return 0;
	}
	errno = 0;
	number = strtol(text, &end, 10);
	if (errno || end == text || *end || number < INT32_MIN || number > INT32_MAX)
		return command_usage("--hook: priority '%s': must be a number, or first, seen, "
				     "drop, sample, default, snap, taken, last",
				     text);
	*priority = (int32_t)number;
	return 0;
}

/* The end of the file name that the text begins with; NULL: it is a built-in hook. */
static char *file_end(char *text)
{
	for (char *at = text; *at; at++)
		if (at[0] == '.' && (at[1] == 'o' || at[1] == 'c') &&
		    (!at[2] || strchr(":@,", at[2])))
			return at + 2;
	return NULL;
}

static int add_variable(struct hook_option *hook, const char *text)
{
	if (hook->opts.variable_count == HOOK_VARIABLES_MAX)
		return command_usage("--hook: takes %d options at most", HOOK_VARIABLES_MAX);
	hook->variables[hook->opts.variable_count++] = text;
	return 0;
}

/* Options of built-in hooks may be given by their value alone. */
static const char *full_option(const char *text)
{
	static const char *const words[][2] = {
		{"packet", "by=packet"},   {"flow", "by=flow"},       {"host", "by=host"},
		{"outer", "header=outer"}, {"inner", "header=inner"},
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (!strcmp(words[i][0], text))
			return words[i][1];
	return text;
}

static int read_option(struct hook_option *hook, const char *text)
{
	static const char top[] = "top=";
	unsigned long number;
	char *end;

	if (!strncmp(text, top, strlen(top))) {
		errno = 0;
		number = strtoul(text + strlen(top), &end, 10);
		if (errno || end == text + strlen(top) || *end || !number || number > 1000000)
			return command_usage("--hook: '%s': must be a number from 1 to 1000000",
					     text);
		hook->opts.top = (uint32_t)number;
		return 0;
	}
	if (hook->opts.builtin)
		text = full_option(text);
	if (!strchr(text, '=') && !hook->opts.builtin)
		return command_usage(
			"--hook: '%s': must be VARIABLE=VALUE, for a variable of the hook", text);
	return add_variable(hook, text);
}

/* "[@PRIORITY][,OPTION]..."; the text is modified. */
static int read_rest(struct hook_option *hook, char *text)
{
	char *option = strchr(text, ',');
	int status = 0;

	if (option)
		*option++ = '\0';
	if (*text == '@')
		status = read_priority(text + 1, &hook->opts.priority);
	else if (*text)
		return command_usage("--hook: '%s' makes no sense", text);
	while (option && !status) {
		char *next = strchr(option, ',');

		if (next)
			*next++ = '\0';
		status = read_option(hook, option);
		option = next;
	}
	return status;
}

/* The end of what is before "[@PRIORITY][,OPTION]...". */
static char *head_end(char *text)
{
	return text + strcspn(text, "@,");
}

static int read_file(struct hook_option *hook, char *text, char *end)
{
	char separator = *end, *rest = end, *program = NULL;
	const bool is_source = end[-1] == 'c';
	void *object;
	int status;

	if (separator == ':') {
		program = end + 1;
		rest = head_end(program);
	}
	hook->opts.file = strndup(text, (size_t)(end - text));
	if (program)
		hook->opts.program = strndup(program, (size_t)(rest - program));
	if (!hook->opts.file || (program && !hook->opts.program))
		return command_fail("no memory for --hook");
	status = read_rest(hook, rest);
	if (status)
		return status;
	status = is_source ? hook_compile(hook->opts.file, &object, &hook->opts.object_size)
			   : hook_read(hook->opts.file, &object, &hook->opts.object_size);
	if (!status)
		hook->opts.object = object;
	return status;
}

/* "PATH:NUMBER", split at the last colon, as two options. `before`: text in front of the number. */
static int read_path_number(struct hook_option *hook, char *argument, const char *before,
			    const char *name)
{
	char *colon = argument ? strrchr(argument, ':') : NULL, *path, *number;

	if (!colon || strncmp(colon + 1, before, strlen(before)) != 0)
		return command_usage("--hook %s: must be %s=PATH:%s%s", hook->opts.builtin,
				     hook->opts.builtin, before, *before ? "N" : "BYTES");
	*colon = '\0';
	if (asprintf(&path, "path=%s", argument) < 0 ||
	    asprintf(&number, "%s=%s", name, colon + 1 + strlen(before)) < 0)
		return command_fail("no memory for --hook");
	return add_variable(hook, path) || add_variable(hook, number);
}

static int read_argument(struct hook_option *hook, char *argument)
{
	const char *name = hook->opts.builtin;
	char *path;

	if (!strcmp(name, "snap"))
		return read_path_number(hook, argument, "", "bytes");
	if (!strcmp(name, "sample"))
		return read_path_number(hook, argument, "1/", "n");
	if (!strcmp(name, "drop")) {
		if (!argument)
			return command_usage("--hook drop: must be drop=PATH");
		if (asprintf(&path, "path=%s", argument) < 0)
			return command_fail("no memory for --hook");
		return add_variable(hook, path);
	}
	return argument ? command_usage("--hook %s: takes no '=%s'", name, argument) : 0;
}

/* Whether the first layer of some packet has this name. */
static bool is_first_layer(const char *name, size_t length)
{
	static const uint8_t zeros[64];

	/* LINKTYPE_IPV4 and LINKTYPE_IPV6 are no socket's */
	for (uint32_t linktype = 0; linktype < 512; linktype++) {
		char text[SOCKTALLY_PATH_TEXT_MAX];
		struct socktally_path path;

		if (linktype == 228 || linktype == 229)
			continue;
		socktally_classify(linktype, zeros, sizeof(zeros), &path);
		socktally_path_text(path.layers, path.layer_count, text, sizeof(text));
		if (strcspn(text, ":") == length && !strncmp(text, name, length))
			return true;
	}
	return false;
}

/* A path begins with the link layer: "tcp" never matches. */
static int check_path(const struct hook_option *hook)
{
	static const char option[] = "path=", any[] = "dlt";
	const char *path = NULL;
	size_t length;

	for (size_t i = 0; i < hook->opts.variable_count; i++)
		if (!strncmp(hook->variables[i], option, strlen(option)))
			path = hook->variables[i] + strlen(option);
	if (!path || *path == '*')
		return 0;
	length = strcspn(path, ":");
	if (is_first_layer(path, length) || (length == strlen(any) && !strncmp(path, any, length)))
		return 0;
	return command_usage("--hook %s: no packet's path begins with %.*s: did you mean *:%s?",
			     hook->opts.builtin, (int)length, path, path);
}

static int check_builtin(const struct hook_option *hook, const struct st_builtin *builtin)
{
	struct socktally_hook_opts opts = hook->opts;
	char wrong[ST_BUILTIN_WRONG_MAX];

	opts.variables = hook->variables;
	if (!st_builtin_check(builtin, &opts, wrong))
		return command_usage("%s", wrong);
	return check_path(hook);
}

static int read_builtin(struct hook_option *hook, char *text)
{
	char *end = head_end(text), *head = strndup(text, (size_t)(end - text)), *argument;
	const struct st_builtin *builtin;
	int status;

	if (!head)
		return command_fail("no memory for --hook");
	argument = strchr(head, '=');
	if (argument)
		*argument++ = '\0';
	hook->opts.builtin = head;
	builtin = st_builtin_find(head);
	if (!builtin)
		return command_usage(
			"--hook '%s': must be FILE.bpf.o, FILE.bpf.c, sizes, tcpflags, "
			"icmp, talkers, rate, drop=PATH, snap=PATH:BYTES or "
			"sample=PATH:1/N",
			head);
	status = read_argument(hook, argument);
	if (!status)
		status = read_rest(hook, end);
	return status ? status : check_builtin(hook, builtin);
}

int hook_option(struct hook_options *options, const char *argument)
{
	struct hook_option *hook;
	char *text, *end;
	int status;

	hook = reallocarray(options->hook, options->count + 1, sizeof(*hook));
	if (hook)
		options->hook = hook;
	text = strdup(argument);
	if (!hook || !text)
		return command_fail("no memory for --hook");
	hook += options->count;
	*hook = (struct hook_option){
		.opts.sz = sizeof(hook->opts),
		.text = text,
		.argument = strdup(argument),
	};
	end = file_end(text);
	status = end ? read_file(hook, text, end) : read_builtin(hook, text);
	options->count += !status;
	return status;
}

struct given {
	const char *argument;
	size_t top;
};

static int note_argument(void *ctx, const struct socktally_hook *hook)
{
	const struct given *given = ctx;

	if (given->argument)
		report_hook_argument(hook->name, given->argument, given->top);
	return 0;
}

static size_t wanted_rows(const struct socktally_hook_opts *opts)
{
	uint32_t top = opts->top;

	if (!top && opts->builtin)
		top = st_builtin_top(st_builtin_find(opts->builtin));
	return top ? top : ROWS_DEFAULT;
}

static bool is_adding;

void hook_options_log(void *ctx, enum socktally_log_level level, const char *text)
{
	(void)ctx;
	if (is_adding && level == SOCKTALLY_LOG_WARNING)
		command_note("%s", text);
}

int hook_options_add(const struct hook_options *options, struct socktally *meter, bool intervals)
{
	for (size_t i = 0; i < options->count; i++) {
		struct socktally_hook_opts opts = options->hook[i].opts;
		struct given given = {.argument = options->hook[i].argument};
		int error;

		opts.variables = options->hook[i].variables;
		/* what was most in an interval need not be most of all */
		if (intervals) {
			given.top = wanted_rows(&opts);
			opts.top = UINT32_MAX;
		}
		is_adding = true;
		error = socktally_hook_add(meter, &opts);
		is_adding = false;
		if (error)
			return command_fail("%s", socktally_error(meter));
		/* the hook that was just added is the one which has no argument yet */
		socktally_hooks(meter, note_argument, &given);
	}
	return 0;
}
