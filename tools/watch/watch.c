// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* socktally watch: meters a socket of its own. */
#include "tools/watch/watch.h"
#include "tools/common/stop.h"
#include "tools/common/supervisor.h"

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
	struct options *options;
	struct socktally *meter;
	struct report *report;
	struct report_output *output;
	struct listener *listener;
	struct watch_interface interface;
	int clock;  /* of --align; -1: none */
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

enum occasion { OF_INTERVAL, SO_FAR, LAST };

static int report_now(struct watch_session *session, enum occasion occasion)
{
	const struct options *options = session->options;
	struct report_source source = source_of(session);
	int error = (occasion == SO_FAR ? report_write_so_far
					: report_write)(session->report, session->meter, &source);

	if (occasion == OF_INTERVAL && error && command_report_is_late(&options->report, error))
		return 0;
	if (error)
		return command_report_failed(&options->report, error, session->meter);
	command_report_written(&options->report);
	if (occasion != SO_FAR)
		notes_clear(&session->interface.notes);
	return 0;
}

static int on_interval(void *ctx, struct socktally *meter)
{
	struct watch_session *session = ctx;

	(void)meter;
	session->status = report_now(session, OF_INTERVAL);
	return 0;
}

static unsigned int taken_signals(const struct options *options)
{
	return STOP_TAKES_REPORT | (command_reloads(&options->report) ? STOP_TAKES_REOPEN : 0);
}

/* Returns whether it ends the command. */
static bool take_signal(struct watch_session *session, int signals)
{
	struct report_options *options = &session->options->report;

	switch (stop_read(signals, taken_signals(session->options))) {
	case STOP_END:
		return true;
	case STOP_REPORT:
		session->status = report_now(session, options->interval ? OF_INTERVAL : SO_FAR);
		break;
	case STOP_REOPEN:
		command_reload(options, session->output, session->meter);
		break;
	case STOP_NOTHING:
		break;
	}
	return false;
}

enum { ON_SIGNAL, ON_END, ON_INTERVAL, ON_CLOCK, ON_LINKS, ON_METRICS, ON_SOCKET, EVENTS };

/* What has happened, but for the end: 0, or the exit status. */
static int take_events(struct watch_session *session, const struct pollfd *events)
{
	const struct report_options *options = &session->options->report;

	if (events[ON_INTERVAL].revents && socktally_poll(session->meter, 0) < 0)
		return command_fail("%s", socktally_error(session->meter));
	if (events[ON_CLOCK].revents && stop_clock_read(session->clock, options->interval))
		session->status = report_now(session, OF_INTERVAL);
	if (events[ON_METRICS].revents) {
		struct report_source source = source_of(session);

		listener_answer(session->listener, session->meter, &source);
	}
	if (!session->status && (events[ON_LINKS].revents || events[ON_SOCKET].revents))
		return watch_interface_look(&session->interface);
	return session->status;
}

/* Returns 0 when the time is over or a signal came. */
static int wait_for_end(struct watch_session *session, int signals, int timer)
{
	const struct report_options *options = &session->options->report;
	bool intervals = options->interval && !options->align;
	struct pollfd events[EVENTS] = {
		[ON_SIGNAL] = {.fd = signals, .events = POLLIN},
		[ON_END] = {.fd = timer, .events = POLLIN},
		[ON_INTERVAL] = {.fd = intervals ? socktally_fd(session->meter) : -1,
				 .events = POLLIN},
		[ON_CLOCK] = {.fd = session->clock, .events = POLLIN},
		[ON_LINKS] = {.fd = session->interface.links, .events = POLLIN},
		[ON_METRICS] = {.events = POLLIN},
		[ON_SOCKET] = {.events = 0}, /* errors only: nobody wants the packets */
	};
	int status = 0;

	while (!status) {
		struct watch_socket *socket = session->interface.socket;

		events[ON_METRICS].fd = listener_fd(session->listener);
		events[ON_SOCKET].fd = socket ? watch_socket_fd(socket) : -1;
		supervisor_alive();
		if (poll(events, EVENTS, supervisor_wait(-1)) < 0) {
			if (errno == EINTR)
				continue;
			return command_fail("can't wait: %s", strerror(errno));
		}
		if (events[ON_END].revents ||
		    (events[ON_SIGNAL].revents && take_signal(session, signals)))
			return 0;
		status = take_events(session, events);
	}
	return status;
}

static int start(struct watch_session *session)
{
	const struct report_options *options = &session->options->report;
	int error = report_open(&session->report, session->output, &options->style);

	if (!error && options->interval && options->align) {
		session->clock = stop_clock(options->interval);
		error = session->clock < 0 ? -errno : 0;
	} else if (!error && options->interval) {
		error = socktally_set_interval(session->meter, options->interval, on_interval,
					       session);
	}
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
		supervisor_ready();
		status = wait_for_end(session, signals, timer);
		supervisor_stopping();
		/* also after a failure, unless a report failed */
		if (!session->status)
			status |= report_now(session, LAST);
	}
	report_close(session->report);
	if (session->clock >= 0)
		close(session->clock);
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

static int watch(struct options *options, struct report_output *output)
{
	struct socktally_open_opts opts = {.sz = sizeof(opts),
					   .paths = options->report.paths,
					   .ports = options->report.ports,
					   .port_count = options->report.port_count,
					   .flags = SOCKTALLY_OPEN_RECORDS |
						    options->report.open_flags,
					   .log = hook_options_log};
	struct watch_session session = {.options = options,
					.output = output,
					.interface.links = -1,
					.clock = -1};
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
