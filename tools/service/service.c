// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * `socktally broker --socket`: serves programs that have a packet socket, but not the privileges that
 * BPF takes (proto/service.h). It loads programs of our own making only, made of filters that are
 * checked as the kernel checks them; what a program asks for can slow down or fill up its own meter,
 * and nobody else's.
 */
#include "tools/service/service.h"
#include "tools/options/options.h"
#include "tools/common/stop.h"

#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { OPTION_SOCKET = OPTION_OWN, OPTION_GROUP };

static const char help[] =
	"socktally broker --socket PATH --group GROUP\n"
	"\n"
	"Serves programs of this host that capture, but may not use BPF: libsocktally\n"
	"in them, with options.broker set to PATH, gets its table and its programs from\n"
	"here. Runs until SIGTERM.\n"
	"\n"
	"      --socket PATH       the socket to make; the last one's is replaced\n"
	"      --group GROUP       who may use it, besides root\n"
	"      --help              this text\n";

static bool take_options(struct service *service, int argc, char **argv, int *status)
{
	static const struct option options[] = {
		{"socket", required_argument, NULL, OPTION_SOCKET},
		{"group", required_argument, NULL, OPTION_GROUP},
		{"help", no_argument, NULL, OPTION_HELP},
		{NULL, 0, NULL, 0},
	};
	const char *group = NULL;
	struct group *entry;
	int option;

	opterr = 0;
	*status = EXIT_USAGE;
	while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		switch (option) {
		case OPTION_SOCKET:
			service->path = optarg;
			break;
		case OPTION_GROUP:
			group = optarg;
			break;
		case OPTION_HELP:
			*status = command_print("%s", help);
			return false;
		default:
			*status = command_bad_option(option, argv);
			return false;
		}
	}
	if (optind < argc) {
		command_usage("unknown argument '%s'", argv[optind]);
		return false;
	}
	if (!service->path || !*service->path || !group) {
		command_usage("--socket PATH and --group GROUP are needed");
		return false;
	}
	entry = getgrnam(group);
	if (!entry) {
		*status = command_fail("--group '%s': there is no such group", group);
		return false;
	}
	service->group = entry->gr_gid;
	return true;
}

/* Each client takes its connection, a table and two programs; what the limit is now is no measure. */
static void lift_limits(void)
{
	struct rlimit limit;

	command_lift_memlock();
	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* So that a broker that could serve nobody says so at its start. */
static bool bpf_is_permitted(void)
{
	struct socktally *meter;

	int error = socktally_open(&meter, NULL);

	if (error) {
		command_open_failed(error);
		return false;
	}
	socktally_close(meter);
	return true;
}

static void serve_until_told(struct service *service, int signals)
{
	enum { SIGNALS, LISTENER, FIXED };
	struct pollfd fds[FIXED + SERVICE_CLIENTS] = {
		[SIGNALS] = {.fd = signals, .events = POLLIN},
		[LISTENER] = {.fd = service->listener, .events = POLLIN},
	};

	while (!fds[SIGNALS].revents) {
		for (unsigned int i = 0; i < SERVICE_CLIENTS; i++) {
			fds[FIXED + i].fd = service->clients[i].fd;
			fds[FIXED + i].events = POLLIN;
		}
		if (poll(fds, FIXED + SERVICE_CLIENTS, -1) < 0) {
			if (errno != EINTR) /* out of memory: not too often */
				nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
			continue;
		}
		for (unsigned int i = 0; i < SERVICE_CLIENTS; i++)
			if (fds[FIXED + i].revents)
				service_request(service, &service->clients[i]);
		if (fds[LISTENER].revents)
			service_accept(service);
	}
}

int command_broker_service(int argc, char **argv)
{
	struct service service = {.listener = -1};
	int signals, status;

	if (!take_options(&service, argc, argv, &status))
		return status;
	for (unsigned int i = 0; i < SERVICE_CLIENTS; i++)
		service.clients[i].fd = -1;
	lift_limits();
	if (!bpf_is_permitted())
		return EXIT_FAILED;
	service_look_start(&service);
	if (!service_listen(&service)) {
		service_look_end(&service);
		return EXIT_FAILED;
	}
	if (!command_drop_privileges(COMMAND_KEEP_USER)) /* whose directory the socket is in */
		command_fail("privileges that aren't needed can't be dropped: %s", strerror(errno));
	signals = end_signals();
	serve_until_told(&service, signals);
	unlink(service.path);
	for (unsigned int i = 0; i < SERVICE_CLIENTS; i++)
		service_drop(&service.clients[i]);
	service_look_end(&service);
	close(service.listener);
	close(signals);
	return 0;
}
