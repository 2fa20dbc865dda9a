// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* socktally detach: restores the filters of sockets whose meter was killed. */
#include "tools/attach/attach.h"

#include "plugin/attach/attach.h"
#include "plugin/attach/linktype.h"
#include "tools/common/escape.h"
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char help[] =
	"socktally detach [OPTIONS] PID|COMMAND...\n"
	"\n"
	"Puts their own filters back on the packet sockets of processes on which a\n"
	"socktally that was killed has left its program: 'socktally list' shows them.\n"
	"Needs root.\n"
	"\n"
	"  -i, --interface NAME    only sockets on that interface; any: on all of them\n"
	"      --all               all processes of that name; without a name, all\n"
	"      --help              this text\n";

enum { OPTION_ALL = OPTION_OWN };

struct detach_session {
	struct target_choice choice;
	struct saved_filters saved;
	size_t restored;
	bool failed;
};

static void say_not_restored(const struct target *target, const char *interface, int error)
{
	const char *why = strerror(-error);

	if (error == -EPERM)
		why = "its owner has locked its filter (SO_LOCK_FILTER); it goes on with its own "
		      "filter as a program of ours";
	else if (error == -ENOMEM)
		why = "no room for its filter: raise it (sysctl net.core.optmem_max=131072)";
	command_fail("%s (pid %d) on %s: %s", target->comm, target->pid, interface, why);
}

static void say_restored(const struct target *target, const char *interface)
{
	char comm[128], on[128];

	escape_copy(comm, sizeof(comm), target->comm);
	escape_copy(on, sizeof(on), interface);
	command_print("%s (pid %d) on %s has its own filter again\n", comm, target->pid, on);
}

/* fd: a descriptor of the socket. */
static void restore(struct detach_session *session, const struct target *target, int fd)
{
	const struct st_saved_filter *found;
	enum st_saved_state state = saved_filters_find(&session->saved, fd, 0, &found);
	struct st_socket_link link;
	char why[160];
	int result;

	if (state == ST_SAVED_NONE || st_socket_link_read(&link, fd, 0) ||
	    (session->choice.interface && strcmp(session->choice.interface, link.interface) != 0) ||
	    !st_filter_is_hidden(fd))
		return;
	if (state != ST_SAVED_FOUND) {
		session->failed = true;
		saved_filter_refused(state, found, why, sizeof(why));
		command_fail("%s (pid %d) on %s: %s", target->comm, target->pid, link.interface,
			     why);
		return;
	}
	if (found->counting) {
		session->failed = true;
		command_fail("%s (pid %d) on %s: socktally (pid %u) is metering it: end that one "
			     "(kill %u)",
			     target->comm, target->pid, link.interface, found->pid, found->pid);
		return;
	}
	result = saved_filter_restore(fd, found);
	if (result == -EACCES)
		return; /* another filter is on it by now: there is nothing left of ours */
	if (result) {
		session->failed = true;
		say_not_restored(target, link.interface, result);
		return;
	}
	session->restored++;
	say_restored(target, link.interface);
}

static int detach_one(void *ctx, struct target *target, const struct holder *holder)
{
	struct detach_session *session = ctx;
	int fd = process_take_socket(holder->pid, holder->fd, holder->inode);

	if (fd == -EPERM || fd == -ENOSYS) {
		session->failed = true;
		command_fail("%s (pid %d): its socket %d can't be looked at: %s", target->comm,
			     target->pid, holder->fd, process_take_refused(fd));
	}
	if (fd < 0)
		return 0;
	restore(session, target, fd);
	close(fd);
	return 0;
}

static int detach(struct detach_session *session)
{
	struct targets targets = {0};
	int status = targets_choose(&targets, &session->choice), result = 0;

	if (!status)
		result = saved_filters_read(&session->saved);
	if (result)
		status = command_fail("what is left can't be looked for: %s%s", strerror(-result),
				      result == -EPERM ? ": run as root, or with CAP_SYS_ADMIN"
						       : "");
	for (size_t i = 0; i < targets.count && !status; i++)
		target_sockets(&targets.target[i], detach_one, session);
	if (!status && !session->restored && !session->failed && session->choice.name_count)
		status = command_fail("%s: no packet socket has a program that was left by a "
				      "socktally",
				      session->choice.names[0]);
	saved_filters_free(&session->saved);
	targets_free(&targets);
	return status | (session->failed ? EXIT_FAILED : 0);
}

int command_detach(int argc, char **argv)
{
	static const struct option options[] = {
		{"interface", required_argument, NULL, 'i'},
		{"all", no_argument, NULL, OPTION_ALL},
		{"help", no_argument, NULL, OPTION_HELP},
		{0},
	};
	struct detach_session session = {0};
	int option;

	while ((option = command_getopt(argc, argv, ":i:", options)) != -1) {
		switch (option) {
		case OPTION_HELP:
			return command_print("%s", help);
		case 'i':
			session.choice.interface = optarg;
			break;
		case OPTION_ALL:
			session.choice.all = true;
			break;
		default:
			return command_bad_option(option, argv);
		}
	}
	session.choice.names = argv + optind;
	session.choice.name_count = (size_t)(argc - optind);
	if (!session.choice.name_count && !session.choice.all)
		return command_usage("no process given: socktally detach PID, or a command's name");
	return detach(&session);
}
