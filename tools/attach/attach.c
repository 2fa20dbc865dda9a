// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* socktally attach: meters captures that are running. */
#include "tools/attach/attach.h"
#include "tools/common/stop.h"
#include "tools/common/supervisor.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
	"socktally attach [OPTIONS] PID|COMMAND...\n"
	"\n"
	"Counts what reaches the packet sockets of processes that are running, by its\n"
	"protocols, until Ctrl-C or until they end. They notice nothing, and in the end\n"
	"their sockets have the filters that they had. Needs root, or CAP_BPF,\n"
	"CAP_PERFMON, CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH.\n"
	"\n"
	"  -i, --interface NAME    only sockets on that interface; any: on all of them\n"
	"      --all               all processes of that name; without a name, all\n"
	"      --follow            sockets that they open later, too; by name: all its\n"
	"                          processes, now and later, until Ctrl-C\n"
	"      --each              a report for each socket, not one of all\n"
	"  -c, --seconds SECONDS   stop after that many seconds\n"
	"%s%s";

enum { OPTION_ALL = OPTION_OWN, OPTION_FOLLOW, OPTION_EACH };

static unsigned int taken_signals(const struct attach_options *options)
{
	return STOP_TAKES_REPORT | (command_reloads(&options->report) ? STOP_TAKES_REOPEN : 0);
}

static void reload(struct attach_session *session)
{
	struct report_options *options = &session->options->report;

	command_reload(options, session->output, session->meters[0]->meter);
	for (size_t i = 1; i < session->meter_count; i++)
		class_options_add(&options->classes, session->meters[i]->meter);
}

/* Returns whether it stops the session. */
static bool take_signal(struct attach_session *session, int signals)
{
	switch (stop_read(signals, taken_signals(session->options))) {
	case STOP_END:
		return true;
	case STOP_REPORT:
		attach_report(session,
			      session->options->report.interval ? ATTACH_INTERVAL : ATTACH_SO_FAR);
		break;
	case STOP_REOPEN:
		reload(session);
		break;
	case STOP_NOTHING:
		break;
	}
	return false;
}

static int wait_for_end(struct attach_session *session, int signals, int timer)
{
	struct pollfd fds[] = {
		{.fd = signals, .events = POLLIN},
		{.fd = timer, .events = POLLIN},
		{.events = POLLIN}, /* somebody wants metrics */
	};

	while (!attach_session_ended(session)) {
		fds[2].fd = listener_fd(session->listener);
		supervisor_alive();
		if (poll(fds, 3, supervisor_wait(attach_session_wait_ms(session))) < 0) {
			if (errno != EINTR)
				return command_fail("can't wait: %s", strerror(errno));
			continue;
		}
		if (fds[1].revents || (fds[0].revents && take_signal(session, signals)))
			break;
		if (fds[2].revents)
			attach_answer(session);
		attach_session_step(session);
	}
	return 0;
}

/* Nothing is metered. */
static int say_nothing_found(const struct attach_session *session)
{
	const struct attach_options *options = session->options;

	if (session->failed)
		return EXIT_FAILED; /* said */
	if (*session->other_interfaces.text)
		return command_fail("no packet socket is on %s: there are some on %s",
				    options->choice.interface, session->other_interfaces.text);
	return command_fail("the packet sockets have just been closed");
}

static int meter(struct attach_session *session, int signals, int timer)
{
	const struct attach_options *options = session->options;
	int status;

	attach_session_begin(session);
	if (!session->socket_count && !options->follow)
		return say_nothing_found(session);
	if (isatty(STDERR_FILENO) && !options->report.interval && !options->duration)
		command_note("counting; Ctrl-C ends it with the report");
	supervisor_ready();
	status = wait_for_end(session, signals, timer);
	supervisor_stopping();
	return attach_session_close(session) | status;
}

static int attach(struct attach_options *options, struct report_output *output)
{
	int signals = stop_signals(taken_signals(options)),
	    timer = options->duration ? stop_timer(options->duration) : -1;
	struct attach_session session = {0};
	int status;

	if (signals < 0 || (options->duration && timer < 0))
		return command_fail("can't wait for the end: %s", strerror(errno));
	status = listener_open(&session.listener, &options->report.listen);
	if (!status)
		status = targets_choose(&session.targets, &options->choice);
	if (!status)
		status = attach_session_open(&session, options, output);
	if (!status)
		status = meter(&session, signals, timer);
	attach_session_free(&session);
	listener_close(session.listener);
	close(signals);
	if (timer >= 0)
		close(timer);
	return status;
}

static int take_option(struct attach_options *options, int option)
{
	switch (option) {
	case 'i':
		options->choice.interface = optarg;
		return *optarg ? 0 : command_usage("-i '': no interface given");
	case 'c':
		return command_seconds("-c", optarg, &options->duration);
	case OPTION_ALL:
		options->choice.all = true;
		return 0;
	case OPTION_FOLLOW:
		options->follow = options->choice.wait = true;
		return 0;
	case OPTION_EACH:
		options->each = true;
		return 0;
	default:
		return command_option(&options->report, option, optarg);
	}
}

/* -1: go on; else the exit status. */
static int parse(struct attach_options *options, int argc, char **argv)
{
	static const struct option long_options[] = {
		COMMAND_LONG,
		COMMAND_LIVE_LONG,
		{"interface", required_argument, NULL, 'i'},
		{"seconds", required_argument, NULL, 'c'},
		{"all", no_argument, NULL, OPTION_ALL},
		{"follow", no_argument, NULL, OPTION_FOLLOW},
		{"each", no_argument, NULL, OPTION_EACH},
		{0},
	};
	int option, status;

	while ((option = command_getopt(argc, argv, ":i:c:" COMMAND_SHORT, long_options)) != -1) {
		if (option == OPTION_HELP)
			return command_print(help, command_live_help, command_option_help);
		if (option == '?' || option == ':')
			return command_bad_option(option, argv);
		status = take_option(options, option);
		if (status)
			return status;
	}
	if (options->each && options->report.listen.address)
		return command_usage("--each: --listen counts all sockets together");
	options->choice.names = argv + optind;
	options->choice.name_count = (size_t)(argc - optind);
	if (!options->choice.name_count && !options->choice.all)
		return command_usage("no process given: socktally attach PID, or a command's name");
	return -1;
}

int command_attach(int argc, char **argv)
{
	/* With all that they point to for the life of the process. */
	static struct attach_options options;
	struct report_output output;
	int status = parse(&options, argc, argv);

	if (status >= 0)
		return status;
	status = command_output(&options.report, STDOUT_FILENO, NULL, 0, options.each, &output);
	if (status)
		return status;
	status = attach(&options, &output);
	return command_output_close(&options.report, &output, status);
}
