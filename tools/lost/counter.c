// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "tools/lost/counter.h"
#include "tools/common/file_text.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANCESTORS_MAX 64
#define NICE 10 /* the tool comes first */

struct watching {
	struct files *files;
	int group; /* -1: the files have been named */
	int control;
	pid_t tool; /* 0: not started yet */
};

/* 0: it is gone. */
static pid_t parent_of(pid_t pid)
{
	char path[64], text[512], *name_end;
	int parent;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (file_text_read(path, text, sizeof(text)) <= 0)
		return 0;
	name_end = strrchr(text, ')');
	return name_end && sscanf(name_end, ") %*c %d", &parent) == 1 ? parent : 0;
}

static bool is_tools(const struct watching *watching, pid_t pid)
{
	for (int i = 0; pid > 1 && i < ANCESTORS_MAX; i++) {
		if (pid == watching->tool)
			return true;
		pid = parent_of(pid);
	}
	return false;
}

/* One event: what is behind it waits in the kernel, and holds no descriptor. false: there is none. */
static bool take_event(struct watching *watching)
{
	struct fanotify_event_metadata event;
	ssize_t size = read(watching->group, &event, sizeof(event));

	if (size < 0 && errno != EAGAIN && errno != EINTR)
		return errno == EACCES || errno == ENOENT || errno == EPERM || errno == ENXIO ||
		       errno == ETXTBSY || errno == EROFS; /* that one can't be opened */
	if (size != sizeof(event))
		return false;
	if (event.fd < 0)
		return true;
	if (is_tools(watching, event.pid))
		files_add(watching->files, event.fd);
	else
		close(event.fd);
	return true;
}

/* Until the other end is closed, and nothing is left to do. Events wait until the tool is known. */
static void watch(struct watching *watching)
{
	bool ended = false;

	while (!ended) {
		struct pollfd ready[] = {
			{.fd = watching->control, .events = POLLIN},
			{.fd = watching->tool ? watching->group : -1, .events = POLLIN},
		};

		if (poll(ready, 2, -1) < 0 && errno != EINTR)
			return;
		if (ready[0].revents)
			ended = read(watching->control, &watching->tool, sizeof(watching->tool)) !=
				sizeof(watching->tool);
		if (ready[1].revents)
			take_event(watching);
	}
	while (watching->group >= 0 && watching->tool && take_event(watching))
		;
}

static int count(struct watching *watching, const struct lost_options *options,
		 const struct counter *counter)
{
	watch(watching);
	for (size_t i = 0; i < options->pattern_count; i++)
		files_add_pattern(watching->files, options->patterns[i]);
	return files_report(watching->files, counter->result, counter->facts);
}

/* Signals of the terminal are the tool's: the counter ends with its parent. */
static void become_counter(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "socktally-count");
	setpriority(PRIO_PROCESS, 0, NICE);
	command_drop_privileges(COMMAND_ONLY_READ);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a change of the user has cleared it */
}

int counter_start(struct counter *counter, const struct lost_options *options,
		  const struct report_options *report)
{
	struct watching watching = {.group = -1, .files = files_new(report)};
	int control[2];

	*counter = (struct counter){.pid = -1, .control = -1, .result = -1};
	if (!watching.files)
		return -1;
	if (!options->pattern_count)
		watching.group = marks_open();
	if (!options->pattern_count && watching.group < 0)
		return command_fail("--lost: can't watch for the tool's files: %s: name them: "
				    "--lost=FILE",
				    strerror(errno));
	counter->facts = mmap(NULL, sizeof(*counter->facts), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (counter->facts == MAP_FAILED) {
		counter->facts = NULL;
		return command_fail("--lost: out of memory");
	}
	counter->result = memfd_create("socktally-lost", MFD_CLOEXEC);
	if (counter->result < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control))
		return command_fail("--lost: %s", strerror(errno));
	counter->control = control[0];
	counter->pid = fork();
	if (counter->pid < 0)
		return command_fail("--lost: can't fork: %s", strerror(errno));
	watching.control = control[1];
	if (!counter->pid) {
		close(control[0]);
		become_counter();
		_exit(count(&watching, options, counter));
	}
	close(control[1]);
	if (watching.group >= 0)
		close(watching.group);
	return 0;
}

void counter_begin(struct counter *counter, pid_t tool)
{
	if (send(counter->control, &tool, sizeof(tool), MSG_NOSIGNAL) != sizeof(tool))
		command_fail("--lost: the process that counts files is gone");
}

/* Whether one of those that end a program has come: others, as SIGCHLD, are passed over. */
static bool is_interrupted(int signals)
{
	struct signalfd_siginfo signal;

	while (read(signals, &signal, sizeof(signal)) == sizeof(signal)) {
		if (signal.ssi_signo == SIGINT || signal.ssi_signo == SIGTERM ||
		    signal.ssi_signo == SIGHUP || signal.ssi_signo == SIGQUIT)
			return true;
	}
	return false;
}

bool counter_wait(struct counter *counter, int signals)
{
	struct pollfd ready[] = {
		{.fd = counter->control, .events = 0},
		{.fd = signals, .events = POLLIN},
	};
	int status = 0;

	shutdown(counter->control, SHUT_WR);
	while (!(ready[0].revents & POLLHUP)) {
		if (poll(ready, 2, -1) < 0 && errno != EINTR)
			break;
		if (ready[1].revents && is_interrupted(signals))
			return false;
	}
	while (waitpid(counter->pid, &status, 0) < 0 && errno == EINTR)
		;
	counter->pid = -1;
	return !status;
}

void counter_close(struct counter *counter)
{
	if (counter->pid > 0) {
		kill(counter->pid, SIGKILL);
		while (waitpid(counter->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (counter->facts)
		munmap(counter->facts, sizeof(*counter->facts));
	if (counter->control >= 0)
		close(counter->control);
	if (counter->result >= 0)
		close(counter->result);
	*counter = (struct counter){.pid = -1, .control = -1, .result = -1};
}
