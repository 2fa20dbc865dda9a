// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * `socktally run`: the tool's parent and its broker. The tool has the terminal, the process group and
 * the standard streams; its exit status becomes ours.
 */
#include "tools/attach/attach.h"
#include "tools/broker/broker.h"
#include "tools/lost/lost.h"
#include "proto/asan_options.h"
#include "proto/channel_open.h"
#include "tools/run/run.h"

#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>

static const char usage_text[] =
	"socktally run [OPTIONS] [--] TOOL [ARGUMENTS]\n"
	"\n"
	"Runs a capture tool and counts every packet that reaches its sockets. The tool\n"
	"works as always; the report comes on standard error when it ends.\n"
	"\n"
	"      --attach            without a library in the tool: for static programs\n"
	"                          and those with file capabilities\n"
	"      --lost[=FILE]       also what the capture files lack that the tool writes,\n"
	"                          or FILE, a pattern; may be repeated\n";

enum { OPTION_ATTACH = OPTION_OWN, OPTION_LOST };

#define ENOUGH_DESCRIPTORS 1024

#define NOTHING_SEEN "no packet socket of %s was seen: nothing to report"

/* What we change in ourselves, and put back in the child that becomes the tool. */
struct inherited {
	struct sigaction pipe, file_size;
	struct rlimit descriptors, locked;
};

struct run {
	struct report_options options;
	struct lost_options lost_options;
	struct lost *lost; /* NULL: not asked for, or not possible */
	struct inherited inherited;
	struct run_signals signals;
	struct run_program program, inner;
	bool attach;        /* without a library in the tool: its sockets are taken from outside */
	bool attach_chosen; /* not asked for, but the library can't be loaded into the tool */
	struct attach_options attach_options;
	struct attach_session session;
	struct channel_address address;
	struct channel_ends ends;
	struct broker broker;
	struct report_output output;
	struct socktally *empty_meter; /* of a report that has nothing; NULL: there is none */
	struct report *empty_report;
	bool metered; /* the tool has a channel, or there is a meter to attach with */
	char **argv;  /* the tool's */
	pid_t tool;
};

/* A broker has descriptors of maps and programs. The tool gets its own limit back. */
static void raise_descriptors(struct run *run)
{
	struct rlimit limit;

	getrlimit(RLIMIT_MEMLOCK, &run->inherited.locked);
	getrlimit(RLIMIT_NOFILE, &run->inherited.descriptors);
	limit = run->inherited.descriptors;
	if (limit.rlim_max < ENOUGH_DESCRIPTORS) {
		limit.rlim_cur = limit.rlim_max = ENOUGH_DESCRIPTORS;
		if (!setrlimit(RLIMIT_NOFILE, &limit)) /* needs CAP_SYS_RESOURCE */
			return;
		limit = run->inherited.descriptors;
	}
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* Makes the channel, and puts it and the shim into the tool's environment. Else the tool is not metered. */
static void set_up_channel(struct run *run)
{
	const char *preload = getenv("LD_PRELOAD"), *shim = run_find_shim(run->argv[0]);
	char text[CHANNEL_TEXT_MAX], asan[4096], *both = NULL;
	int result;

	if (!shim) /* said */
		return;
	result = broker_has_descriptors() ? channel_open(&run->ends, &run->address) : -EMFILE;
	if (result) {
		command_fail("no channel to the tool: %s: %s goes on unmetered", strerror(-result),
			     run->argv[0]);
		return;
	}
	channel_place(&run->ends, &run->address, CHANNEL_HIGHEST_FD);
	channel_format(text, &run->address);
	if (asprintf(&both, "%s%s%s", shim, preload && *preload ? ":" : "",
		     preload ? preload : "") < 0)
		both = NULL;
	if (both && !setenv("LD_PRELOAD", both, 1) && !setenv(CHANNEL_VARIABLE, text, 1))
		run->metered = true;
	else
		command_fail("no memory: %s goes on unmetered", run->argv[0]);
	free(both);
	if (run->metered && asan_options(asan, sizeof(asan), getenv(ASAN_OPTIONS_VARIABLE)))
		setenv(ASAN_OPTIONS_VARIABLE, asan, 1);
}

static int say_not_started(const struct run *run, int error)
{
	if (error == ENOENT && !strchr(run->argv[0], '/'))
		return command_fail("%s: command not found: install it, or give its path",
				    run->argv[0]);
	return command_fail("%s: can't be run: %s", run->argv[0], strerror(error));
}

/* failed: a pipe to us for the errno value; -1: there is none, and the error is said here. */
static void exec_tool(const struct run *run, int failed)
{
	int error;

	if (run->metered && run->ends.client >= 0)
		fcntl(run->ends.client, F_SETFD, 0);
	sigaction(SIGPIPE, &run->inherited.pipe, NULL);
	sigaction(SIGXFSZ, &run->inherited.file_size, NULL);
	setrlimit(RLIMIT_NOFILE, &run->inherited.descriptors);
	setrlimit(RLIMIT_MEMLOCK, &run->inherited.locked);
	run_signals_restore(&run->signals);
	execvp(run->argv[0], run->argv);
	error = errno;
	if (write(failed, &error, sizeof(error)) != sizeof(error))
		say_not_started(run, error);
	_exit(EXIT_FAILED);
}

/* 0, or the errno value of what failed. */
static int start_tool(struct run *run)
{
	int failed[2] = {-1, -1}, error = 0;

	if (pipe2(failed, O_CLOEXEC))
		failed[0] = failed[1] = -1; /* out of descriptors: the tool may need none */
	run->tool = fork();
	if (!run->tool)
		exec_tool(run, failed[1]);
	if (run->tool < 0)
		error = errno;
	close(failed[1]);
	if (!error && read(failed[0], &error, sizeof(error)) != sizeof(error))
		error = 0; /* closed by the exec */
	close(failed[0]);
	if (run->metered && run->ends.client >= 0)
		close(run->ends.client);
	return error;
}

/* A script gets its report in any case, of the time that the tool ran. */
static void open_empty_report(struct run *run)
{
	struct socktally_open_opts opts = {.sz = sizeof(opts), .flags = SOCKTALLY_OPEN_USERSPACE};

	if (run->options.style.format != REPORT_TEXT && !socktally_open(&run->empty_meter, &opts))
		report_open(&run->empty_report, &run->output, &run->options.style);
}

/* text: why there is nothing to report; said: the user has been told. */
static void report_nothing(struct run *run, const char *text, bool said)
{
	struct report_note note = {.event = "nothing", .text = text};
	struct report_source source = {.kind = "socket",
				       .pid = run->tool,
				       .comm = run->argv[0],
				       .notes = &note,
				       .note_count = 1};
	int error = 0;

	if (run->empty_report) {
		clock_gettime(CLOCK_REALTIME, &note.time);
		run->output.never_wait = false;
		error = report_write(run->empty_report, run->empty_meter, &source);
	}
	if (error)
		command_fail("can't write the report: %s", strerror(-error));
	if (!said)
		command_fail("%s", text);
}

static void close_empty_report(struct run *run)
{
	report_close(run->empty_report);
	socktally_close(run->empty_meter);
}

/* Why the shim has asked for nothing. */
static void say_no_contact(struct run *run)
{
	const struct run_program *inner = &run->inner;
	char text[2 * PATH_MAX + 256];

	if (run->program.secure)
		snprintf(text, sizeof(text),
			 "%s %s, so LD_PRELOAD can't reach it: nothing was metered; try as root",
			 run->program.path, run->program.secure);
	else if (*inner->path)
		snprintf(
			text, sizeof(text),
			"no packet socket of %s was seen, and the library can't be loaded into %s, which "
			"%s (try `socktally run --attach` as root): nothing to report",
			run->argv[0], inner->path,
			inner->secure ? inner->secure : inner->unloadable);
	else
		snprintf(text, sizeof(text), NOTHING_SEEN, run->argv[0]);
	report_nothing(run, text, false);
}

/* Processes that the tool has started may end a moment later than it does. */
enum { LEFT_MILLISECONDS = 300 };

/* Whether any process still holds the tool's end of the channel. */
static bool some_are_left(const struct broker *broker)
{
	struct pollfd channel = {.fd = broker->channel};

	return broker->channel >= 0 &&
	       !(poll(&channel, 1, LEFT_MILLISECONDS) > 0 && channel.revents & POLLHUP);
}

/*
 * The meter is ready before the tool starts, so that no call of the tool's waits for it; and who asks for a
 * hook or a class does not want the tool to run without it. false, after a message: one of them can't be added.
 */
static bool set_up_broker(struct run *run)
{
	struct broker *broker = &run->broker;

	set_up_channel(run);
	if (!run->metered)
		return true;
	broker_init(broker, &run->options, &run->output, &run->address, run->ends.server,
		    run->ends.listener);
	broker->keep = COMMAND_KEEP_SIGNALS;
	broker->signals = run->signals.fd;
	broker->client = run->ends.client;
	if (!broker_load_meter(broker))
		return false;
	broker_start_worker(broker);
	return true;
}

/* After the tool's end, while its report is still to be written. */
static void find_lost(struct run *run)
{
	struct broker *broker = &run->broker;

	broker->lost = lost_finish(run->lost, broker->meter, &broker->drops, run->signals.fd);
	broker->lost_note_count = lost_notes(run->lost, &broker->lost_notes);
}

static void serve(struct run *run)
{
	struct broker *broker = &run->broker;

	broker->tool = run->tool;
	broker_watch_start(broker);
	broker_begin(broker);
	do {
		broker_serve(broker, run->signals.fd, run->lost ? lost_timeout(run->lost) : -1);
		if (run->lost && broker->attached)
			lost_sample(run->lost, broker->meter);
	} while (!run_signals_forward(&run->signals, run->tool));
	broker_hear_worker(broker);
	if (run->lost && broker->attached)
		find_lost(run);
	if (broker->attached)
		broker_report(broker, true);
	if (!broker->contacted)
		say_no_contact(run);
	else if (!broker->attached)
		report_nothing(run, "no packet socket was metered: nothing to report", true);
	else if (some_are_left(broker))
		command_fail("processes that %s left behind go on unmetered", run->argv[0]);
	broker_close(broker);
}

/* The meter is made first, so that the first socket is attached to at once. false as above. */
static bool set_up_attach(struct run *run)
{
	run->attach_options = (struct attach_options){
		.report = run->options,
		.follow = true,
		.family = true,
	};
	run->metered = !attach_session_open(&run->session, &run->attach_options, &run->output);
	if (run->session.unprepared)
		return false;
	if (run->metered && run->attach_chosen)
		command_note("%s %s: its sockets are metered from outside, as with --attach",
			     run->program.path,
			     run->program.unloadable ? run->program.unloadable
						     : run->program.secure);
	return true; /* why it is not metered is said */
}

static void serve_attached(struct run *run)
{
	struct attach_session *session = &run->session;
	bool nothing;
	struct pollfd signals = {.fd = run->signals.fd, .events = POLLIN};

	targets_add(&session->targets, run->tool); /* if it hasn't ended already */
	session->meters[0]->pid = run->tool;       /* until it has a socket */
	attach_session_begin(session);
	do {
		poll(&signals, 1, attach_session_wait_ms(session));
		attach_session_step(session);
	} while (!run_signals_forward(&run->signals, run->tool));
	nothing = !attach_session_metered(session) && !session->failed;
	if (nothing)
		notes_add(&session->meters[0]->notes, "nothing", NOTHING_SEEN, run->argv[0]);
	attach_session_close(session);
	if (session->given_back)
		command_fail("processes that %s left behind go on unmetered", run->argv[0]);
	else if (nothing)
		command_fail(NOTHING_SEEN, run->argv[0]);
	attach_session_free(session);
}

/* The tool is not metered. */
static void wait_for_tool(struct run *run)
{
	struct pollfd signals = {.fd = run->signals.fd, .events = POLLIN};

	do
		poll(&signals, 1, -1);
	while (!run_signals_forward(&run->signals, run->tool));
	report_nothing(run, "the tool was not metered: nothing to report", true);
}

/* Where the library can't be loaded its sockets are taken from outside. Not as a user: that takes root. */
static void choose_way(struct run *run)
{
	run_program_read(&run->program, run->argv[0]);
	if (run->attach)
		return;
	run->attach_chosen = run->program.unloadable || (run->program.secure && !geteuid());
	run->attach = run->attach_chosen;
	run_program_find_inner(&run->inner, run->argv + 1);
}

/* Ends as the tool did, so that a shell sees the same. */
static int end_as_tool(const struct run *run)
{
	struct rlimit no_core = {0, 0};
	sigset_t set;
	int status, number;

	while (waitpid(run->tool, &status, 0) < 0)
		if (errno != EINTR)
			return command_fail("lost sight of %s: %s", run->argv[0], strerror(errno));
	if (!WIFSIGNALED(status))
		return WEXITSTATUS(status);
	number = WTERMSIG(status);
	setrlimit(RLIMIT_CORE, &no_core);
	signal(number, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, number);
	raise(number);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	return 128 + number;
}

/* -1: go on; else the exit status. */
static int read_options(struct run *run, int argc, char **argv)
{
	static const struct option long_options[] = {
		COMMAND_LONG,
		{"attach", no_argument, NULL, OPTION_ATTACH},
		{"lost", optional_argument, NULL, OPTION_LOST},
		{0},
	};
	int option, status;

	/* "+": what stands behind the first argument that isn't an option is the tool's */
	while ((option = command_getopt(argc, argv, "+:" COMMAND_SHORT, long_options)) != -1) {
		if (option == OPTION_HELP)
			return command_print("%s%s%s", usage_text, command_live_help,
					     command_option_help);
		if (option == '?' || option == ':')
			return command_bad_option(option, argv);
		if (option == OPTION_ATTACH) {
			run->attach = true;
			continue;
		}
		if (option == OPTION_LOST)
			status = lost_option(&run->lost_options, optarg);
		else
			status = command_option(&run->options, option, optarg);
		if (status)
			return status;
	}
	if (run->attach && run->lost_options.wanted)
		return command_usage("--lost needs the library in the tool: not with --attach");
	/* the packets by which an application is known may be lost themselves */
	if (run->lost_options.wanted)
		run->options.open_flags |= SOCKTALLY_OPEN_NO_APPLICATIONS;
	if (optind == argc || !*argv[optind])
		return command_usage("no tool to run: socktally run -- tcpdump -i eth0");
	run->argv = argv + optind;
	return -1;
}

/* Before the channel to the tool is made, whose ends the counter must not have. */
static void open_lost(struct run *run)
{
	if (run->lost_options.wanted && run->attach)
		command_fail("--lost: the library can't be loaded into %s: what its files lack is "
			     "not told",
			     run->argv[0]);
	else if (run->lost_options.wanted)
		run->lost = lost_open(&run->lost_options, &run->options);
}

int command_run(int argc, char **argv)
{
	static struct run run = {.ends = {-1, -1, -1}};
	int status = read_options(&run, argc, argv);

	if (status >= 0)
		return status;
	sigaction(SIGPIPE, NULL, &run.inherited.pipe);
	sigaction(SIGXFSZ, NULL, &run.inherited.file_size);
	if (!run_signals_open(&run.signals))
		return command_fail("no descriptor for signals: %s", strerror(errno));
	status = command_output(&run.options, STDERR_FILENO, NULL, 0, false, &run.output);
	if (status)
		return status;
	raise_descriptors(&run);
	choose_way(&run);
	open_lost(&run);
	if (!(run.attach ? set_up_attach(&run) : set_up_broker(&run)))
		return run.attach ? run.session.unprepared : run.broker.unprepared;
	open_empty_report(&run);
	status = start_tool(&run);
	if (status) {
		lost_close(run.lost);
		return say_not_started(&run, status);
	}
	if (run.lost)
		lost_begin(run.lost, run.argv, run.tool);
	if (run.metered && run.attach)
		serve_attached(&run);
	else if (run.metered)
		serve(&run);
	else
		wait_for_tool(&run);
	close_empty_report(&run);
	lost_close(run.lost);
	return end_as_tool(&run);
}
