// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * `socktally run`: the tool's parent and its broker. The tool has the terminal, the process group and
 * the standard streams; its exit status becomes ours.
 */
#include "tools/attach/attach.h"
#include "tools/broker/broker.h"
#include "proto/channel_open.h"
#include "tools/run.h"

#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

static const char usage_text[] =
	"socktally run [OPTIONS] [--] TOOL [ARGUMENTS]\n"
	"\n"
	"Runs a capture tool and counts every packet that reaches its sockets. The tool\n"
	"works as always; the report comes on standard error when it ends.\n"
	"\n"
	"      --attach            without a library in the tool: for static programs\n"
	"                          and those with file capabilities\n";

enum { OPTION_ATTACH = OPTION_OWN };

#define ENOUGH_DESCRIPTORS 1024

/* What the tool gets back as it was before us. */
struct inherited {
	struct sigaction pipe, file_size, child;
	sigset_t mask;
	struct rlimit descriptors, locked;
};

struct run {
	struct report_options options;
	struct inherited inherited;
	bool attach; /* its sockets are taken from outside */
	struct attach_options attach_options;
	struct attach_session session;
	struct channel_address address;
	struct channel_ends ends;
	struct broker broker;
	struct report_output output;
	bool metered; /* the tool has a channel, or there is a meter to attach with */
	char **argv;  /* the tool's */
	pid_t tool;
	int signals;
};

/* Signals that somebody sends to us and means for the tool. */
static const int forwarded[] = {SIGINT,  SIGQUIT, SIGTERM, SIGHUP,
				SIGUSR1, SIGUSR2, SIGALRM, SIGCONT};

static bool set_up_signals(struct run *run)
{
	struct sigaction by_default = {.sa_handler = SIG_DFL};
	sigset_t set;

	sigaction(SIGPIPE, NULL, &run->inherited.pipe);
	sigaction(SIGXFSZ, NULL, &run->inherited.file_size);
	/* where SIGCHLD is ignored a child's exit status is lost */
	sigaction(SIGCHLD, &by_default, &run->inherited.child);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	for (size_t i = 0; i < sizeof(forwarded) / sizeof(*forwarded); i++)
		sigaddset(&set, forwarded[i]);
	sigprocmask(SIG_BLOCK, &set, &run->inherited.mask);
	run->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return run->signals >= 0;
}

/* We have maps and programs to hold; the tool's own limit is put back in it. */
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

/* Makes the channel and tells the tool of it. Without one the tool runs as it is. */
static void set_up_channel(struct run *run)
{
	const char *preload = getenv("LD_PRELOAD"), *shim = run_find_shim(run->argv[0]);
	char text[CHANNEL_TEXT_MAX], *both = NULL;
	int result;

	if (!shim) /* said */
		return;
	result = broker_has_descriptors()
			 ? channel_open(&run->ends, &run->address, CHANNEL_HIGHEST_FD)
			 : -EMFILE;
	if (result) {
		command_fail("no channel to the tool: %s: %s goes on unmetered", strerror(-result),
			     run->argv[0]);
		return;
	}
	channel_format(text, &run->address);
	if (asprintf(&both, "%s%s%s", shim, preload && *preload ? ":" : "",
		     preload ? preload : "") < 0)
		both = NULL;
	if (both && !setenv("LD_PRELOAD", both, 1) && !setenv(CHANNEL_VARIABLE, text, 1))
		run->metered = true;
	else
		command_fail("no memory: %s goes on unmetered", run->argv[0]);
	free(both);
}

static int say_not_started(const struct run *run, int error)
{
	if (error == ENOENT && !strchr(run->argv[0], '/'))
		return command_fail("%s: command not found: install it, or give its path",
				    run->argv[0]);
	return command_fail("%s: can't be run: %s", run->argv[0], strerror(error));
}

/* failed: where the error goes; -1: it is said here. */
static void exec_tool(const struct run *run, int failed)
{
	int error;

	if (run->metered && run->ends.client >= 0)
		fcntl(run->ends.client, F_SETFD, 0);
	sigaction(SIGPIPE, &run->inherited.pipe, NULL);
	sigaction(SIGXFSZ, &run->inherited.file_size, NULL);
	sigaction(SIGCHLD, &run->inherited.child, NULL);
	setrlimit(RLIMIT_NOFILE, &run->inherited.descriptors);
	setrlimit(RLIMIT_MEMLOCK, &run->inherited.locked);
	sigprocmask(SIG_SETMASK, &run->inherited.mask, NULL);
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

/* Whether the tool has ended. What the terminal sends to the whole group reaches it without us. */
static bool forward_signals(const struct run *run)
{
	struct signalfd_siginfo signal;
	siginfo_t state = {0};

	while (read(run->signals, &signal, sizeof(signal)) == sizeof(signal))
		if (signal.ssi_signo != SIGCHLD && signal.ssi_code <= 0 &&
		    (pid_t)signal.ssi_pid != run->tool)
			kill(run->tool, (int)signal.ssi_signo);
	return !waitid(P_PID, (id_t)run->tool, &state, WEXITED | WNOHANG | WNOWAIT) && state.si_pid;
}

/* What the tool started may end with it, but a moment later. */
enum { LEFT_MILLISECONDS = 300 };

/* Whether any process still holds the tool's end of the channel. */
static bool some_are_left(const struct broker *broker)
{
	struct pollfd channel = {.fd = broker->channel};

	return broker->channel >= 0 &&
	       !(poll(&channel, 1, LEFT_MILLISECONDS) > 0 && channel.revents & POLLHUP);
}

/*
 * Hooks and classes are there before the tool is: who asks for one does not want the tool to run without
 * it. False if one of them can't be.
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
	broker->signals = run->signals;
	return (!run->options.hooks.count && !run->options.classes.count) ||
	       broker_load_meter(broker);
}

static void serve(struct run *run)
{
	struct broker *broker = &run->broker;

	broker->tool = run->tool;
	broker_open_meter(broker); /* while the tool starts; a failure is said when it needs it */
	do
		broker_serve(broker, run->signals, -1);
	while (!forward_signals(run));
	if (broker->attached || run->options.format == REPORT_JSON)
		broker_report(broker, true); /* a script gets its object in any case */
	if (!broker->contacted)
		run_say_no_contact(run->argv[0]);
	else if (broker->attached && some_are_left(broker))
		command_fail("processes that %s left behind go on unmetered", run->argv[0]);
	broker_close(broker);
}

/*
 * run --attach: the meter is made first, so that the first socket is attached to at once. False as
 * above.
 */
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
	if (!run->metered)
		command_fail("%s goes on unmetered", run->argv[0]);
	return true;
}

static void serve_attached(struct run *run)
{
	struct attach_session *session = &run->session;
	struct pollfd signals = {.fd = run->signals, .events = POLLIN};

	targets_add(&session->targets, run->tool); /* if it hasn't ended already */
	session->meters[0]->pid = run->tool;       /* until it has a socket */
	attach_session_begin(session);
	do {
		poll(&signals, 1, attach_session_wait_ms(session));
		attach_session_step(session);
	} while (!forward_signals(run));
	attach_session_close(session);
	if (session->given_back)
		command_fail("processes that %s left behind go on unmetered", run->argv[0]);
	else if (!attach_session_metered(session) && !session->failed)
		command_fail("no packet socket of %s was seen: nothing to report", run->argv[0]);
	attach_session_free(session);
}

/* The tool without us, but for its end. */
static void wait_for_tool(const struct run *run)
{
	struct pollfd signals = {.fd = run->signals, .events = POLLIN};

	do
		poll(&signals, 1, -1);
	while (!forward_signals(run));
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
		{0},
	};
	int option, status;

	/* "+": what stands behind the first argument that isn't an option is the tool's */
	while ((option = command_getopt(argc, argv, "+:" COMMAND_SHORT, long_options)) != -1) {
		if (option == OPTION_HELP)
			return command_print("%s%s%s", usage_text, command_hook_help,
					     command_option_help);
		if (option == '?' || option == ':')
			return command_bad_option(option, argv);
		if (option == OPTION_ATTACH) {
			run->attach = true;
			continue;
		}
		status = command_option(&run->options, option, optarg);
		if (status)
			return status;
	}
	if (optind == argc || !*argv[optind])
		return command_usage("no tool to run: socktally run -- tcpdump -i eth0");
	run->argv = argv + optind;
	return -1;
}

int command_run(int argc, char **argv)
{
	static struct run run = {.ends = {-1, -1, -1}};
	int status = read_options(&run, argc, argv);

	if (status >= 0)
		return status;
	if (!set_up_signals(&run))
		return command_fail("no descriptor for signals: %s", strerror(errno));
	status = command_output(&run.options, STDERR_FILENO, -1, false, &run.output);
	if (status)
		return status;
	raise_descriptors(&run);
	if (!(run.attach ? set_up_attach(&run) : set_up_broker(&run)))
		return EXIT_FAILED;
	status = start_tool(&run);
	if (status)
		return say_not_started(&run, status);
	if (run.metered && run.attach)
		serve_attached(&run);
	else if (run.metered)
		serve(&run);
	else
		wait_for_tool(&run);
	return end_as_tool(&run);
}
