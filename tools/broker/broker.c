// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The broker's loop, its meter and its messages. */
#include "tools/broker/broker.h"

#include "tools/options/hooks.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static void pass_credentials(int fd)
{
	int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
}

void broker_init(struct broker *broker, const struct report_options *options,
		 struct report_output *output, const struct channel_address *address, int channel,
		 int listener)
{
	*broker = (struct broker){.options = options,
				  .output = output,
				  .address = *address,
				  .channel = channel,
				  .listener = listener,
				  .scratch = -1,
				  .watch.fd = -1,
				  .comm_fd = -1,
				  .signals = -1,
				  .finish_reply = -1};
	for (int i = 0; i < BROKER_CONNECTIONS; i++)
		broker->connections[i] = -1;
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

void broker_close(struct broker *broker)
{
	broker_watch_end(broker);
	report_close(broker->report);
	socktally_close(broker->meter);
	close_if_open(broker->channel);
	close_if_open(broker->listener);
	close_if_open(broker->scratch);
	close_if_open(broker->comm_fd);
	close_if_open(broker->finish_reply);
	for (int i = 0; i < BROKER_CONNECTIONS; i++)
		close_if_open(broker->connections[i]);
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
	broker->open_error = socktally_open(&broker->meter, &opts);
	if (!broker->open_error)
		broker->unprepared = command_prepare_meter(broker->options, broker->meter);
	return !broker->unprepared;
}

bool broker_open_meter(struct broker *broker)
{
	if (!broker->meter && !broker->open_error)
		broker_load_meter(broker);
	/* as another user we may not see it: /proc may be mounted with hidepid */
	broker->comm_fd = open_comm(broker->tool);
	if (!command_drop_privileges(broker->keep))
		command_fail("privileges that aren't needed can't be dropped: %s", strerror(errno));
	if (!broker->open_error)
		broker->open_error =
			report_open(&broker->report, broker->output, &broker->options->style);
	if (!broker->open_error) {
		broker->output->never_wait = true; /* the tool's requests would wait, too */
		return true;
	}
	socktally_close(broker->meter);
	broker->meter = NULL;
	return false;
}

bool broker_has_meter(struct broker *broker, pid_t pid)
{
	const char *why;
	int error;

	if (broker->meter || (!broker->open_error && broker_open_meter(broker)))
		return true;
	error = broker->open_error;
	if (error == -EPERM)
		why = command_not_permitted;
	else
		why = *broker->log ? broker->log : strerror(-error);
	broker_say(broker, pid, (uint32_t)-error, "%s: it goes on unmetered", why);
	return false;
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

/* A process that has closed the channel connects to the abstract address. */
static void accept_connection(struct broker *broker)
{
	int fd = accept4(broker->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int *slot = &broker->connections[broker->next_connection];

	if (fd < 0) {
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL); /* out of descriptors */
		return;
	}
	pass_credentials(fd);
	close_if_open(*slot);
	*slot = fd;
	broker->next_connection = (broker->next_connection + 1) % BROKER_CONNECTIONS;
}

static void serve_connection(struct broker *broker, int *fd)
{
	broker_request(broker, *fd); /* one connection, one request */
	close(*fd);
	*fd = -1;
}

bool broker_serve(struct broker *broker, int other, int timeout)
{
	enum { CHANNEL, LISTENER, METER, WATCH, OTHER, FIXED };
	struct pollfd fds[FIXED + BROKER_CONNECTIONS] = {
		[CHANNEL] = {.fd = broker->channel, .events = POLLIN},
		[LISTENER] = {.fd = broker->listener, .events = POLLIN},
		[METER] = {.fd = broker->meter && broker->options->interval && !broker->report_error
					 ? socktally_fd(broker->meter)
					 : -1,
			   .events = POLLIN},
		[WATCH] = {.fd = broker->watch.fd, .events = POLLIN},
		[OTHER] = {.fd = other, .events = POLLIN},
	};

	for (int i = 0; i < BROKER_CONNECTIONS; i++)
		fds[FIXED + i] = (struct pollfd){.fd = broker->connections[i], .events = POLLIN};
	timeout = broker_watch_timeout(broker, timeout);
	if (poll(fds, FIXED + BROKER_CONNECTIONS, timeout) < 0) {
		if (errno != EINTR) /* the caller looks for itself, not too often */
			nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
		return false;
	}
	if (fds[CHANNEL].revents && !broker_request(broker, broker->channel)) {
		close(broker->channel);
		broker->channel = -1;
	}
	for (int i = 0; i < BROKER_CONNECTIONS; i++)
		if (fds[FIXED + i].revents)
			serve_connection(broker, &broker->connections[i]);
	if (fds[LISTENER].revents)
		accept_connection(broker);
	if (fds[METER].revents)
		socktally_poll(broker->meter, 0);
	broker_watch_step(broker);
	return fds[OTHER].revents;
}
