// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The broker's loop, its meter and its messages. */
#include "tools/broker/broker.h"

#include "plugin/attach/attach.h"
#include "tools/broker/worker.h"
#include "tools/options/hooks.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

void broker_init(struct broker *broker, const struct report_options *options,
		 struct report_output *output, const struct channel_address *address, int channel,
		 int listener)
{
	*broker = (struct broker){.options = options,
				  .output = output,
				  .address = *address,
				  .channel = channel,
				  .listener = listener,
				  .client = -1,
				  .worker = -1,
				  .watch.fd = -1,
				  .comm_fd = -1,
				  .signals = -1};
}

bool broker_has_descriptors(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= BROKER_DESCRIPTORS;
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* It ends by itself, too, when it sees that we have. */
static void end_worker(struct broker *broker)
{
	close_if_open(broker->worker);
	broker->worker = -1;
	if (broker->worker_pid <= 0)
		return;
	kill(broker->worker_pid, SIGKILL);
	while (waitpid(broker->worker_pid, NULL, 0) < 0 && errno == EINTR)
		;
	broker->worker_pid = 0;
}

void broker_close(struct broker *broker)
{
	broker_watch_end(broker);
	end_worker(broker);
	report_close(broker->report);
	socktally_close(broker->meter);
	close_if_open(broker->channel);
	close_if_open(broker->listener);
	close_if_open(broker->comm_fd);
}

/* The open file shows a later name, too: it changes when the process executes another program. */
static int open_comm(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	return open(path, O_RDONLY | O_CLOEXEC);
}

void broker_comm(const struct broker *broker, pid_t pid, char comm[32])
{
	bool kept = pid == broker->tool && broker->comm_fd >= 0;
	int fd = kept ? broker->comm_fd : open_comm(pid);
	ssize_t length = pread(fd, comm, 31, 0);

	if (!kept)
		close_if_open(fd);
	if (length <= 0) {
		strcpy(comm, "?");
		return;
	}
	comm[comm[length - 1] == '\n' ? length - 1 : length] = 0;
}

static bool said_before(struct broker *broker, uint32_t cause)
{
	for (unsigned int i = 0; i < broker->said_count; i++)
		if (broker->said[i] == cause)
			return true;
	if (broker->said_count == BROKER_CAUSES)
		return true;
	broker->said[broker->said_count++] = cause;
	return false;
}

void broker_say_of(struct broker *broker, const char *comm, pid_t pid, uint32_t cause,
		   const char *format, ...)
{
	char text[512];
	va_list arguments;

	if (said_before(broker, cause))
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	command_fail("%s (pid %d): %s", comm, (int)pid, text);
}

void broker_say(struct broker *broker, pid_t pid, uint32_t cause, const char *format, ...)
{
	char text[512], comm[32];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	broker_comm(broker, pid, comm);
	broker_say_of(broker, comm, pid, cause, "%s", text);
}

static void log_line(void *ctx, enum socktally_log_level level, const char *text)
{
	struct broker *broker = ctx;

	hook_options_log(NULL, level, text);
	if (level <= SOCKTALLY_LOG_WARNING)
		snprintf(broker->log, sizeof(broker->log), "%s", text);
}

static int write_report(void *ctx, struct socktally *meter)
{
	(void)meter;
	broker_report(ctx, false);
	return 0;
}

/* Milliseconds after which the user is told that the start takes long. */
enum { START_PATIENCE = 2000 };

static void say_loading(int number)
{
	static const char text[] =
		"socktally: the kernel is still loading its programs: the tool starts "
		"when they are ready\n";

	(void)number;
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		return; /* there is nobody to tell */
}

/* With an alarm, of which nothing is left afterwards. Where the shim has started us, it tells by itself. */
static int open_meter(struct broker *broker, const struct socktally_open_opts *opts)
{
	const struct sigaction tell = {.sa_handler = say_loading, .sa_flags = SA_RESTART};
	const struct itimerval time = {.it_value.tv_sec = START_PATIENCE / 1000}, none = {0};
	struct sigaction before;
	sigset_t alarm, mask;
	int result;

	if (broker->tool)
		return socktally_open(&broker->meter, opts);
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	sigaction(SIGALRM, &tell, &before);
	setitimer(ITIMER_REAL, &time, NULL);
	pthread_sigmask(SIG_UNBLOCK, &alarm, &mask);
	result = socktally_open(&broker->meter, opts);
	setitimer(ITIMER_REAL, &none, NULL);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	sigaction(SIGALRM, &before, NULL);
	return result;
}

bool broker_load_meter(struct broker *broker)
{
	struct socktally_open_opts opts = {.sz = sizeof(opts),
					   .paths = broker->options->paths,
					   .ports = broker->options->ports,
					   .port_count = broker->options->port_count,
					   .flags = SOCKTALLY_OPEN_RECORDS |
						    broker->options->open_flags,
					   .log = log_line,
					   .log_ctx = broker};

	command_lift_memlock();
	broker->open_error = open_meter(broker, &opts);
	if (broker->open_error)
		return true;
	broker->unprepared = command_prepare_meter(broker->options, broker->meter);
	broker->open_error = report_open(&broker->report, broker->output, &broker->options->style);
	broker->output->never_wait = true; /* its worker waits for classes, and the tool for that */
	if (broker->open_error) {
		socktally_close(broker->meter);
		broker->meter = NULL;
	}
	return !broker->unprepared;
}

static const char *why_unmetered(const struct broker *broker)
{
	if (broker->open_error == -EPERM)
		return command_not_permitted;
	return *broker->log ? broker->log : strerror(-broker->open_error);
}

/* Standard streams and the report are the broker's alone: who waits for their end does not wait for us. */
static void leave_streams(const struct broker *broker)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	close_if_open(broker->watch.fd);
	close_if_open(broker->signals);
	close_if_open(broker->client);
}

static void be_worker(const struct broker *broker, int to_broker, pid_t parent)
{
	static struct worker worker;

	prctl(PR_SET_NAME, "socktally-serve");
	leave_streams(broker);
	if (!command_drop_privileges(0) && broker->meter)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* which a change of user undoes */
	if (getppid() != parent)
		return;
	worker.budget.seconds = WORKER_PROCESSOR_SECONDS;
	worker.meter = broker->meter;
	worker.error = broker->open_error;
	worker.why = why_unmetered(broker);
	worker.classes = broker->options->classes.count;
	worker.address = broker->address;
	worker.broker = to_broker;
	worker.channel = broker->channel;
	worker.listener = broker->listener;
	if (worker.meter)
		worker.meter->log = NULL;
	worker_serve(&worker);
}

void broker_start_worker(struct broker *broker)
{
	int ends[2];
	pid_t parent = getpid();

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return;
	broker->worker_pid = fork();
	if (!broker->worker_pid) {
		close(ends[0]);
		be_worker(broker, ends[1], parent);
		_exit(0);
	}
	close(ends[1]);
	if (broker->worker_pid > 0)
		broker->worker = ends[0];
	else
		close(ends[0]);
	close(broker->listener);
	broker->listener = -1;
}

void broker_begin(struct broker *broker)
{
	/* as another user we may not see it: /proc may be mounted with hidepid */
	broker->comm_fd = open_comm(broker->tool);
	if (!command_drop_privileges(broker->keep))
		command_fail("privileges that aren't needed can't be dropped: %s", strerror(errno));
}

void broker_ping_worker(struct broker *broker)
{
	const struct worker_answer ping = {.result = WORKER_PING};

	broker->watch.pings++;
	if (broker->worker >= 0)
		send(broker->worker, &ping, sizeof(ping), MSG_DONTWAIT | MSG_NOSIGNAL);
}

void broker_let_finish(struct broker *broker)
{
	const struct worker_answer finished = {.result = WORKER_FINISHED};

	if (broker->finishing && broker->worker >= 0)
		send(broker->worker, &finished, sizeof(finished), MSG_DONTWAIT | MSG_NOSIGNAL);
	broker->finishing = false;
}

void broker_first_socket(struct broker *broker, pid_t pid)
{
	if (broker->attached)
		return;
	broker->attached = true;
	report_begin(broker->report);
	broker->pid = pid;
	broker_comm(broker, pid, broker->comm);
	if (!strcmp(broker->comm, "?")) { /* out of our sight */
		broker->pid = broker->tool;
		broker_comm(broker, broker->tool, broker->comm);
	}
	if (broker->options->interval &&
	    socktally_set_interval(broker->meter, broker->options->interval, write_report, broker))
		command_fail("no reports every so often: %s", socktally_error(broker->meter));
}

bool broker_serve(struct broker *broker, int other, int timeout)
{
	enum { CHANNEL, WORKER, METER, WATCH, OTHER, ALL };
	struct pollfd fds[ALL] = {
		[CHANNEL] = {.fd = broker->channel},
		[WORKER] = {.fd = broker->worker, .events = POLLIN},
		[METER] = {.fd = broker->meter && broker->options->interval && !broker->report_error
					 ? socktally_fd(broker->meter)
					 : -1,
			   .events = POLLIN},
		[WATCH] = {.fd = broker->watch.fd, .events = POLLIN},
		[OTHER] = {.fd = other, .events = POLLIN},
	};

	timeout = broker_watch_timeout(broker, timeout);
	if (poll(fds, ALL, timeout) < 0) {
		if (errno != EINTR) /* the caller looks for itself, not too often */
			nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
		return false;
	}
	if (fds[WORKER].revents)
		broker_hear_worker(broker);
	if (fds[CHANNEL].revents && broker->channel >= 0) {
		close(broker->channel);
		broker->channel = -1;
	}
	if (fds[METER].revents)
		socktally_poll(broker->meter, 0);
	broker_watch_step(broker);
	return fds[OTHER].revents;
}
