// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* socktally features: which commands work here for this user, and why others do not. */
#include "tools/features/features.h"

#include "tools/options/options.h"
#include "tools/common/escape.h"
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#define SCHEMA "socktally-features/1"
#define INDENT 28 /* columns before what was found */
#define WIDTH 79

static const char help[] =
	"socktally features [OPTIONS]\n"
	"\n"
	"Tries which commands work on this kernel for this user, and what they lack where\n"
	"they don't. Needs no privilege. Nothing is changed.\n"
	"\n"
	"      --format FORMAT     text (default), or json: one object on one line\n"
	"      --help              this text\n";

/* Every command but this one, what it does, and what it needs. */
static const struct {
	const char *name, *does;
	enum feature_number needs[5];
	size_t count;
} commands[] = {
	{"run", "runs a capture tool, metered", {FEATURE_METER, FEATURE_SOCKET, FEATURE_ATTACH}, 3},
	{"watch", "counts without any tool", {FEATURE_METER, FEATURE_SOCKET, FEATURE_ATTACH}, 3},
	{"read", "counts what is in a capture file", {0}, 0},
	{"diff", "compares reports and capture files", {0}, 0},
	{"fields", "lists what packets can be counted by", {0}, 0},
	{"list", "shows all packet sockets of this host", {FEATURE_DIAG}, 1},
	{"attach",
	 "meters a capture that is running",
	 {FEATURE_METER, FEATURE_TAKE, FEATURE_ATTACH},
	 3},
	{"detach", "undoes what a killed meter has left", {FEATURE_TAKE, FEATURE_RECORDS}, 2},
	{"broker", "lets other users' programs count", {FEATURE_METER}, 1},
};

/* The first feature that a command lacks; NULL: it works. */
static const struct feature *lacking(const struct feature *features, size_t command)
{
	for (size_t i = 0; i < commands[command].count; i++) {
		const struct feature *feature = &features[commands[command].needs[i]];

		if (feature->state != FEATURE_YES)
			return feature;
	}
	return NULL;
}

static const char *byte_order(void)
{
	return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? "big" : "little";
}

/* In lines that begin at `column`; the first one is there up to it already. */
static void print_wrapped(FILE *out, const char *text, int column)
{
	int used = column;

	while (*text) {
		int word = (int)strcspn(text, " \n");

		if (used > column && used + 1 + word > WIDTH) {
			fprintf(out, "\n%*s", column, "");
			used = column;
		}
		used += fprintf(out, "%s%.*s", used > column ? " " : "", word, text);
		text += word;
		text += strspn(text, " \n");
	}
	fputc('\n', out);
}

/* What this user can do: that comes first. */
static void print_commands(FILE *out, const struct feature *features)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		const struct feature *lacks = lacking(features, i);

		fprintf(out, "socktally %-*s%-4s ", INDENT - 5 - (int)strlen("socktally "),
			commands[i].name, lacks ? "no" : "yes");
		if (!lacks) {
			print_wrapped(out, commands[i].does, INDENT);
			continue;
		}
		fprintf(out, "see \"%s\" below\n", lacks->label);
	}
}

static void print_text(FILE *out, const struct feature *features, const struct utsname *system)
{
	static const char *const states[] = {"no", "yes", "?"};

	fprintf(out, "Linux %s on %s (%s-endian)\n\n", system->release, system->machine,
		byte_order());
	print_commands(out, features);
	fputc('\n', out);
	for (int i = 0; i < FEATURE_COUNT; i++) {
		fprintf(out, "%-*s%-4s ", INDENT - 5, features[i].label, states[features[i].state]);
		print_wrapped(out, features[i].found, INDENT);
		if (features[i].means) {
			fprintf(out, "%*s", INDENT, "");
			print_wrapped(out, features[i].means, INDENT);
		}
	}
}

static void print_json(FILE *out, const struct feature *features, const struct utsname *system)
{
	static const char *const states[] = {"false", "true", "null"};

	fputs("{\"schema\":\"" SCHEMA "\",\"kernel\":", out);
	escape_json(out, system->release);
	fputs(",\"machine\":", out);
	escape_json(out, system->machine);
	fprintf(out, ",\"byte_order\":\"%s\",\"features\":[", byte_order());
	for (int i = 0; i < FEATURE_COUNT; i++) {
		fprintf(out, "%s{\"name\":\"%s\",\"there\":%s,\"found\":", i ? "," : "",
			features[i].name, states[features[i].state]);
		escape_json(out, features[i].found);
		fputs(",\"means\":", out);
		if (features[i].means)
			escape_json(out, features[i].means);
		else
			fputs("null", out);
		fputc('}', out);
	}
	fputs("],\"commands\":{", out);
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		const struct feature *lacks = lacking(features, i);

		fprintf(out, "%s\"%s\":{\"works\":%s,\"lacks\":", i ? "," : "", commands[i].name,
			lacks ? "false" : "true");
		if (lacks)
			escape_json(out, lacks->name);
		else
			fputs("null", out);
		fputc('}', out);
	}
	fputs("}}\n", out);
}

static int print(bool json)
{
	struct feature features[FEATURE_COUNT];
	struct utsname system;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return command_fail("out of memory");
	if (uname(&system))
		memset(&system, 0, sizeof(system));
	command_lift_memlock();
	features_try(features);
	if (json)
		print_json(out, features, &system);
	else
		print_text(out, features, &system);
	return command_print_memory(out, &text);
}

int command_features(int argc, char **argv)
{
	static const struct option options[] = {
		{"format", required_argument, NULL, OPTION_FORMAT},
		{"help", no_argument, NULL, OPTION_HELP},
		{0},
	};
	bool json = false;
	int option, status;

	while ((option = command_getopt(argc, argv, ":", options)) != -1) {
		if (option == OPTION_HELP)
			return command_print("%s", help);
		if (option == '?' || option == ':')
			return command_bad_option(option, argv);
		status = command_json_option(optarg, &json);
		if (status)
			return status;
	}
	if (optind < argc)
		return command_usage("'%s': features takes no argument", argv[optind]);
	return print(json);
}
