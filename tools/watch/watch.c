// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* socktally watch: meters a socket of its own. */
#include "tools/watch/watch.h"
#include "tools/common/stop.h"

#include "tools/options/hooks.h"
#include <errno.h>
#include <getopt.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
	"socktally watch -i INTERFACE [OPTIONS]\n"
	"\n"
	"Counts what passes an interface by its protocols, until Ctrl-C. No packet\n"
	"leaves the kernel. Needs root, or CAP_NET_RAW, CAP_BPF and CAP_PERFMON.\n"
	"\n"
	"  -i, --interface NAME    the interface; any: all of them\n"
	"  -f, --filter FILTER     count also what this pcap-filter(7) accepts of all\n"
	"  -c, --seconds SECONDS   stop after so long\n"
	"  -p, --no-promiscuous    only what the interface takes by itself\n"
	"      --follow            wait for the interface, also when it is gone\n"
	"%s%s";

enum { OPTION_FOLLOW = OPTION_OWN };

struct options {
	struct report_options report;
	struct watch_capture capture;
	unsigned int duration; /* milliseconds; 0: until a signal */
	bool help;
};

struct watch_session {
	const struct options *options;
	struct socktally *meter;
	struct report *report;
	struct report_output *output;
	struct listener *listener;
	struct watch_interface interface;
	int status; /* of the interval reports */
};

static struct report_source source_of(const struct watch_session *session)
{
	const struct options *options = session->options;

	return (struct report_source){
		.kind = "socket",
		.interface = options->capture.interface,
		.linktype = session->interface.linktype,
		.filter = options->capture.filter,
		.notes = session->interface.notes.note,
		.note_count = session->interface.notes.count,
		.health = &session->interface.health,
	};
}

static int report_now(struct watch_session *session, bool so_far)
{
	const struct options *options = session->options;
	struct report_source source = source_of(session);
	int error = (so_far ? report_write_so_far : report_write)(session->report, session->meter,
								  &source);

	if (error)
		return command_report_failed(&options->report, error, session->meter);
	if (!so_far)
		notes_clear(&session->interface.notes);
	return 0;
}

static int on_interval(void *ctx, struct socktally *meter)
{
	struct watch_session *session = ctx;

	(void)meter;
	session->status = report_now(session, false);
	return 0;
}

static unsigned int taken_signals(const struct options *options)
{
	return STOP_TAKES_REPORT | (options->report.append ? STOP_TAKES_REOPEN : 0);
}

/* Returns whether it ends the command. */
static bool take_signal(struct watch_session *session, int signals)
{
	const struct report_options *options = &session->options->report;

	switch (stop_read(signals, taken_signals(session->options))) {
	case STOP_END:
		return true;
	case STOP_REPORT:
		session->status = report_now(session, !options->interval);
		break;
	case STOP_REOPEN:
		command_output_reopen(options, session->output);
		break;
	case STOP_NOTHING:
		break;
	}
	return false;
}

/* Returns 0 when the time is over or a signal came. */
static int wait_for_end(struct watch_session *session, int signals, int timer)
{
	bool intervals = session->options->report.interval;
	struct pollfd fds[] = {
		{.fd = signals, .events = POLLIN},
		{.fd = timer, .events = POLLIN},
		{.fd = intervals ? socktally_fd(session->meter) : -1, .events = POLLIN},
		{.fd = session->interface.links, .events = POLLIN},
		{.events = POLLIN}, /* somebody wants metrics */
		{.events = 0},      /* of the socket, errors only: nobody wants the packets */
	};
	int status = 0;

	while (!status) {
		fds[4].fd = listener_fd(session->listener);
		fds[5].fd =
			session->interface.socket ? watch_socket_fd(session->interface.socket) : -1;
		if (poll(fds, sizeof(fds) / sizeof(*fds), -1) < 0) {
			if (errno == EINTR)
				continue;
			return command_fail("can't wait: %s", strerror(errno));
		}
		if (fds[1].revents || (fds[0].revents && take_signal(session, signals)))
			return 0;
		if (fds[2].revents) {
			if (socktally_poll(session->meter, 0) < 0)
				return command_fail("%s", socktally_error(session->meter));
		}
		if (fds[4].revents) {
			struct report_source source = source_of(session);

			listener_answer(session->listener, session->meter, &source);
		}
		status = session->status;
		if ((fds[3].revents || fds[5].revents) && !status)
			status = watch_interface_look(&session->interface);
	}
	return status;
}

static int start(struct watch_session *session)
{
	const struct report_options *options = &session->options->report;
	int error = report_open(&session->report, session->output, &options->style);

	if (!error && options->interval)
		error = socktally_set_interval(session->meter, options->interval, on_interval,
					       session);
	if (!error)
		error = listener_begin(session->listener, &options->style);
	if (error)
		return command_fail("can't start: %s", strerror(-error));
	if (isatty(STDERR_FILENO) && !options->interval && !session->options->duration)
		command_note("watching %s; Ctrl-C ends it with the report",
			     session->options->capture.interface);
	return 0;
}

static int count(struct watch_session *session)
{
	unsigned int duration = session->options->duration;
	int signals = stop_signals(taken_signals(session->options)),
	    timer = duration ? stop_timer(duration) : -1, status;

	if (signals < 0 || (duration && timer < 0))
		status = command_fail("can't wait for the end: %s", strerror(errno));
	else
		status = start(session);
	if (!status) {
		status = wait_for_end(session, signals, timer);
		/* also after a failure, unless a report failed */
		if (!session->status)
			status |= report_now(session, false);
	}
	report_close(session->report);
	if (signals >= 0)
		close(signals);
	if (timer >= 0)
		close(timer);
	return status;
}

static int attach_and_count(struct watch_session *session, struct watch_socket *socket)
{
	struct watch_interface *interface = &session->interface;
	int status = command_prepare_meter(&session->options->report, session->meter);

	interface->capture = &session->options->capture;
	interface->meter = session->meter;
	if (status)
		watch_socket_close(socket);
	else
		status = watch_interface_begin(interface, socket);
	if (!status)
		status = count(session);
	return status;
}

struct socket_opener {
	const struct watch_capture *capture;
	struct watch_socket *socket; /* NULL: it failed, or --follow waits for the interface */
	int status;
};

static void *open_socket(void *ctx)
{
	struct socket_opener *opener = ctx;
	const struct watch_capture *capture = opener->capture;

	if (capture->follow && !watch_interface_is_up(capture))
		opener->status = capture->filter ? watch_filter_check(capture) : 0;
	else
		opener->socket = watch_socket_open(capture, &opener->status);
	return NULL;
}

/*
 * Opens socket and meter at the same time. The ring of a socket waits some 10 ms for an RCU grace period
 * (packet_set_ring); the verifier needs about as long for a meter's programs. Returns what
 * socktally_open() returns.
 */
static int open_both(struct socket_opener *opener, struct socktally **meter,
		     const struct socktally_open_opts *opts)
{
	pthread_t thread;
	bool started = !pthread_create(&thread, NULL, open_socket, opener);
	int error;

	if (!started)
		open_socket(opener);
	error = socktally_open(meter, opts);
	if (started)
		pthread_join(thread, NULL);
	return error;
}

static int watch(const struct options *options, struct report_output *output)
{
	struct socktally_open_opts opts = {.sz = sizeof(opts),
					   .paths = options->report.paths,
					   .ports = options->report.ports,
					   .port_count = options->report.port_count,
					   .flags = SOCKTALLY_OPEN_RECORDS,
					   .log = hook_options_log};
	struct watch_session session = {.options = options,
					.output = output,
					.interface.links = -1};
	struct socket_opener opener = {.capture = &options->capture};
	int error, status;

	status = listener_open(&session.listener, &options->report.listen);
	if (status)
		return status;
	command_lift_memlock();
	error = open_both(&opener, &session.meter, &opts);
	if (!opener.socket && opener.status) {
		status = opener.status;
	} else if (error) {
		watch_socket_close(opener.socket);
		status = command_open_failed(error);
	} else {
		status = attach_and_count(&session, opener.socket);
	}
	socktally_close(session.meter);
	watch_interface_end(&session.interface);
	listener_close(session.listener);
	return status;
}

static int parse(struct options *options, int argc, char **argv)
{
	static const struct option long_options[] = {
		COMMAND_LONG,
		COMMAND_LIVE_LONG,
		{"interface", required_argument, NULL, 'i'},
		{"filter", required_argument, NULL, 'f'},
		{"seconds", required_argument, NULL, 'c'},
		{"no-promiscuous", no_argument, NULL, 'p'},
		{"follow", no_argument, NULL, OPTION_FOLLOW},
		{0},
	};
	int option, status = 0;

	while ((option = command_getopt(argc, argv, ":i:f:c:p" COMMAND_SHORT, long_options)) !=
	       -1) {
		switch (option) {
		case OPTION_HELP:
			options->help = true;
			return 0;
		case 'i':
			options->capture.interface = optarg;
			break;
		case 'f':
			options->capture.filter = optarg;
			break;
		case 'c':
			status = command_seconds("-c", optarg, &options->duration);
			break;
		case 'p':
			options->capture.promiscuous = false;
			break;
		case OPTION_FOLLOW:
			options->capture.follow = true;
			break;
		case '?':
		case ':':
			return command_bad_option(option, argv);
		default:
			status = command_option(&options->report, option, optarg);
		}
		if (status)
			return status;
	}
	if (optind < argc)
		return command_usage("'%s' is too much: the interface is given with -i, a "
				     "filter in one piece with -f",
				     argv[optind]);
	if (!options->capture.interface || !*options->capture.interface)
		return command_usage("no interface given: -i NAME, or -i any for all");
	return 0;
}

int command_watch(int argc, char **argv)
{
	static struct options options = {.capture.promiscuous = true};
	struct report_output output;
	int status = parse(&options, argc, argv);

	if (status)
		return status;
	if (options.help)
		return command_print(help, command_live_help, command_option_help);
	status = command_output(&options.report, STDOUT_FILENO, NULL, 0, false, &output);
	if (status)
		return status;
	status = watch(&options, &output);
	return command_output_close(&options.report, &output, status);
}
