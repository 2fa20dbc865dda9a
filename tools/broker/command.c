// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * `socktally broker` without arguments: the shim starts it where there is no `socktally run`. It ends
 * when the tool and all processes that it has forked have ended, and then writes the report.
 */
#include "tools/broker/broker.h"
#include "proto/channel_open.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Milliseconds: between looks at the lifeline; and that processes of the tool may take to end together
 * with the first one.
 */
enum { LIFELINE_INTERVAL = 250, FINISH_GRACE = 100 };

struct tool_life {
	int pidfd;    /* of the first process; -1: it has ended */
	int lifeline; /* CHANNEL_LIFELINE; -1: all that it has forked has ended, too */
	int signals;
	int64_t alone_since; /* the first process has ended then, in broker_milliseconds(); 0: it has not */
	bool finish_seen; /* CHANNEL_FINISH has come, and the tool's sockets were looked at */
	bool stderr_released;
};

/* Whether the shim has started us: its descriptors are there. */
static bool descriptors_are_there(void)
{
	struct sockaddr_storage name;
	socklen_t size = sizeof(name);

	if (getsockname(CHANNEL_SERVER, (struct sockaddr *)&name, &size) ||
	    name.ss_family != AF_UNIX)
		return false;
	size = sizeof(name);
	return !getsockname(CHANNEL_LISTENER, (struct sockaddr *)&name, &size) &&
	       name.ss_family == AF_UNIX;
}

/*
 * The tool's lock belongs to its open file description. So the file is opened once more: on that
 * description flock() tells whether the tool still holds the lock.
 */
static int open_lifeline(void)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", CHANNEL_LIFELINE);
	fd = open(path, O_RDWR | O_CLOEXEC);
	close(CHANNEL_LIFELINE);
	return fd;
}

/* SOCKTALLY_HOOKS: what --hook takes, with ";" between them. */
static void take_hooks(struct report_options *options)
{
	const char *value = secure_getenv("SOCKTALLY_HOOKS");
	char *list = value ? strdup(value) : NULL, *rest = NULL, *hook;

	for (hook = list ? strtok_r(list, ";", &rest) : NULL; hook;
	     hook = strtok_r(NULL, ";", &rest))
		if (command_option(options, OPTION_HOOK, hook))
			command_fail("SOCKTALLY_HOOKS: goes on without '%s'", hook);
	free(list);
}

static bool take_options(struct report_options *options)
{
	static const struct {
		const char *variable;
		int option;
	} variables[] = {
		{"SOCKTALLY_FORMAT", OPTION_FORMAT}, {"SOCKTALLY_INTERVAL", 'I'},
		{"SOCKTALLY_OUTPUT", 'o'},           {"SOCKTALLY_PATHS", OPTION_PATHS},
		{"SOCKTALLY_PORTS", OPTION_PORT},    {"SOCKTALLY_CLASSES", OPTION_CLASSES},
		{"SOCKTALLY_FIRST", OPTION_FIRST},
	};

	command_name("run"); /* whose options they are, and whose --help says what they may be */
	for (size_t i = 0; i < sizeof(variables) / sizeof(*variables); i++) {
		const char *value = secure_getenv(variables[i].variable);

		if (!value || !*value || !command_option(options, variables[i].option, value))
			continue;
		command_fail("%s: the default is used in its place", variables[i].variable);
	}
	take_hooks(options);
	return true;
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static bool is_readable(int fd)
{
	struct pollfd readable = {.fd = fd, .events = POLLIN};

	return fd >= 0 && poll(&readable, 1, 0) > 0;
}

/* Whether no process is left that could send a request. */
static bool tool_is_gone(const struct broker *broker, struct tool_life *life)
{
	if (life->pidfd >= 0 && is_readable(life->pidfd)) {
		close(life->pidfd);
		life->pidfd = -1;
	}
	if (broker->channel >= 0 || (life->pidfd >= 0 && !broker->finishing))
		return false;
	if (life->lifeline >= 0 && !flock(life->lifeline, LOCK_EX | LOCK_NB)) {
		close(life->lifeline);
		life->lifeline = -1;
	}
	return life->lifeline < 0;
}

/*
 * The first process has ended and others go on: a daemon, as a rule. Who started it may read its
 * standard error to the end, as $(...), ssh and subprocess.run do, so a pipe or socket is given up.
 * Nobody waits for the end of a terminal or a file.
 */
static void release_stderr(const struct broker *broker, struct tool_life *life)
{
	struct stat status;
	int null;

	life->stderr_released = true;
	if (fstat(STDERR_FILENO, &status) ||
	    !(S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode)))
		return;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return;
	if (broker->attached && !broker->options->output)
		command_fail("%s goes on in the background: SOCKTALLY_OUTPUT=FILE says where its "
			     "report is to be written",
			     broker->comm);
	dup2(null, STDERR_FILENO);
	close(null);
}

static void serve_until_gone(struct broker *broker, struct tool_life *life)
{
	while (!tool_is_gone(broker, life) && !is_readable(life->signals)) {
		bool finishing = broker->finishing, alone = life->pidfd < 0;
		int64_t began = broker_milliseconds();
		int timeout = -1;

		if (finishing && !life->finish_seen)
			broker_watch_now(broker); /* as long as it has its sockets */
		life->finish_seen = finishing;
		if (alone && !life->alone_since)
			life->alone_since = began;
		if (finishing || (alone && !life->stderr_released))
			timeout = FINISH_GRACE;
		else if (alone && broker->channel < 0)
			timeout = LIFELINE_INTERVAL;
		broker_serve(broker, finishing ? life->signals : life->pidfd, timeout);
		if (tool_is_gone(broker, life))
			return;
		/* another process of the tool goes on, so this one needn't wait */
		if (finishing)
			broker_let_finish(broker);
		if (alone && !life->stderr_released &&
		    broker_milliseconds() - life->alone_since >= FINISH_GRACE)
			release_stderr(broker, life);
	}
}

int command_broker(int argc, char **argv)
{
	const char *variable = secure_getenv(CHANNEL_VARIABLE);
	/* With all that they point to for the life of the process. */
	static struct report_options options;
	struct channel_address address;
	struct tool_life life = {0};
	struct broker broker;
	struct report_output output;

	if (argc > 1)
		return command_broker_service(argc, argv);
	if (!variable || !channel_parse(variable, &address) || !descriptors_are_there())
		return command_usage("--socket PATH and --group GROUP are needed");
	if (!broker_has_descriptors())
		return EXIT_FAILED; /* the shim says so when it is needed */
	for (int fd = CHANNEL_SERVER; fd < CHANNEL_LIFELINE; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	life.pidfd = fcntl(CHANNEL_PIDFD, F_GETFD) < 0 ? -1 : CHANNEL_PIDFD;
	life.lifeline = open_lifeline();
	life.signals = open_signals();
	take_options(&options);
	if (command_output(&options, STDERR_FILENO, NULL, 0, false, &output))
		options.output = NULL;
	if (chdir("/"))
		return command_fail("can't leave the tool's directory: %s", strerror(errno));

	broker_init(&broker, &options, &output, &address, CHANNEL_SERVER, CHANNEL_LISTENER);
	broker.tool = (pid_t)address.pid;
	broker_watch_start(&broker);
	broker_load_meter(
		&broker); /* a hook that can't be added has been said: the tool runs all the same */
	broker_start_worker(&broker);
	broker_begin(&broker);
	serve_until_gone(&broker, &life);
	if (broker.finishing && !life.finish_seen)
		broker_watch_now(&broker); /* as long as it has its sockets */
	broker_hear_worker(&broker);
	if (broker.attached)
		broker_report(&broker, true);
	broker_let_finish(&broker);
	broker_close(&broker);
	return command_output_close(&options, &output, 0);
}
