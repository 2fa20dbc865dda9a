// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* socktally list: every packet socket of the host. */
#include "tools/list/list.h"

#include "tools/options/options.h"
#include "tools/filter_text/filter_text.h"
#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* Milliseconds of processor time for the search of one filter's name. */
#define NAME_PATIENCE 100

static const char help[] =
	"socktally list [OPTIONS]\n"
	"\n"
	"Shows every packet socket of this host, in all network namespaces: who has it,\n"
	"what it captures, whether socktally is on it and what would keep it from that.\n"
	"Nothing is changed. Works for everybody; other users' sockets and filters are\n"
	"shown to root.\n"
	"\n"
	"  -v, --verbose           with each filter's program, as 'tcpdump -d' prints it\n"
	"      --format FORMAT     text (default), or json: one object on one line\n"
	"      --help              this text\n";

char *list_filter_name(const struct capture *capture)
{
	if (capture->filter != CAPTURE_FILTER_CLASSIC)
		return NULL;
	return filter_text_name(capture->insns, capture->insn_count, capture->linktype,
				NAME_PATIENCE);
}

const char *list_user(uid_t uid, char text[64])
{
	const struct passwd *user = getpwuid(uid);

	if (user)
		snprintf(text, 64, "%s", user->pw_name);
	else
		snprintf(text, 64, "%u", uid);
	return text;
}

const char *list_namespace(const struct captures *captures, const struct capture *capture)
{
	const struct namespace *namespace = &captures->namespaces.namespace[capture->namespace];

	return namespace->inode == captures->own_namespace && !*namespace->name ? "own"
										: namespace->name;
}

const char *list_fanout(uint32_t fanout)
{
	static const char *const types[] = {"hash", "lb", "cpu",  "rollover",
					    "rnd",  "qm", "cbpf", "ebpf"};
	uint32_t type = fanout >> 16 & 0xff;

	return type < sizeof(types) / sizeof(*types) ? types[type] : "?";
}

const char *list_hidden(const struct captures *captures, unsigned int number, bool *root)
{
	*root = true;
	if (captures->namespaces_hidden && !number--)
		return "sockets in some other network namespaces";
	if (captures->holders.hidden && !number--)
		return "other users' processes, and network namespaces that only they are in";
	if (captures->saved_hidden && !number--)
		return "whether socktally is on a socket already";
	*root = false;
	if (captures->namespaces_slow && !number--)
		return "sockets in network namespaces that a process makes us wait for";
	return NULL;
}

static int print(const struct captures *captures, bool json, bool verbose)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return command_fail("out of memory");
	if (json)
		list_json(out, captures);
	else
		list_text(out, captures, verbose);
	return command_print_memory(out, &text);
}

int command_list(int argc, char **argv)
{
	static const struct option options[] = {
		{"verbose", no_argument, NULL, 'v'},
		{"format", required_argument, NULL, OPTION_FORMAT},
		{"help", no_argument, NULL, OPTION_HELP},
		{0},
	};
	struct captures captures;
	bool verbose = false, json = false;
	int option, status;

	while ((option = command_getopt(argc, argv, ":v", options)) != -1) {
		if (option == OPTION_HELP)
			return command_print("%s", help);
		if (option == '?' || option == ':')
			return command_bad_option(option, argv);
		if (option == 'v') {
			verbose = true;
			continue;
		}
		status = command_json_option(optarg, &json);
		if (status)
			return status;
	}
	if (optind < argc)
		return command_usage("'%s': list takes no argument", argv[optind]);
	if (captures_read(&captures)) {
		captures_free(&captures);
		return EXIT_FAILED;
	}
	status = print(&captures, json, verbose);
	captures_free(&captures);
	return status;
}
