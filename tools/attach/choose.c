// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Which processes the command line means: by number, by name, by what they capture. */
#include "tools/attach/targets.h"

#include "tools/common/command.h"

#include "plugin/attach/linktype.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Whether the packet socket is on the interface: 1, 0, -errno. */
static int is_on(const struct holder *holder, const char *interface)
{
	int fd = process_take_socket(holder->pid, holder->fd, holder->inode), result;
	struct st_socket_link link;

	if (fd < 0)
		return fd == -EBADF || fd == -ESRCH ? 0 : fd;
	result = !st_socket_link_read(&link, fd, 0) && !strcmp(link.interface, interface);
	close(fd);
	return result;
}

/* Whether the process has a packet socket, on that interface if one is given: 1, 0, -errno. */
static int captures_now(pid_t pid, const char *interface)
{
	struct holders holders = {0};
	int result = process_sockets(pid, &holders);

	for (size_t i = 0; i < holders.count && !result; i++) {
		result = process_has_packet_socket(pid, holders.holder[i].fd,
						   holders.holder[i].inode) > 0;
		if (result && interface)
			result = is_on(&holders.holder[i], interface);
	}
	holders_free(&holders);
	return result;
}

struct name_search {
	struct targets *targets;
	const char *command; /* NULL: any that captures */
	int hidden;          /* the last errno of a process that could not be looked at */
};

static int add_if_wanted(void *ctx, pid_t pid)
{
	struct name_search *search = ctx;
	int captures = 1;

	if (pid == getpid() || (search->command && !process_is(pid, search->command)))
		return 0;
	if (!search->command)
		captures = captures_now(pid, NULL);
	if (captures == -EACCES || captures == -EPERM)
		search->hidden = captures;
	return captures > 0 && targets_add(search->targets, pid) == -ENOMEM ? -ENOMEM : 0;
}

static int find(struct targets *targets, const char *command, int *hidden)
{
	struct name_search search = {.targets = targets, .command = command};
	int result = processes_walk(add_if_wanted, &search);

	*hidden = search.hidden;
	return result;
}

static bool is_number(const char *name)
{
	return *name && name[strspn(name, "0123456789")] == '\0';
}

bool targets_may_come(const struct target_choice *choice)
{
	for (size_t i = 0; i < choice->name_count; i++)
		if (!is_number(choice->names[i]))
			return true;
	return !choice->name_count;
}

void targets_add_named(struct targets *targets, const struct target_choice *choice, int64_t since)
{
	size_t first = targets->count;
	int hidden;

	for (size_t i = 0; i < choice->name_count; i++)
		if (!is_number(choice->names[i]))
			find(targets, choice->names[i], &hidden);
	if (!choice->name_count)
		find(targets, NULL, &hidden);
	targets_set_looked(targets, first, since);
}

/* Removes those without a packet socket (on the interface, if one is given). Returns the last errno of one that is hidden, or 0. */
static int keep_capturing(struct targets *targets, const char *interface)
{
	int hidden = 0;

	for (size_t i = targets->count; i--;) {
		int has = captures_now(targets->target[i].pid, interface);

		if (has == -EACCES || has == -EPERM)
			hidden = has;
		if (has <= 0)
			targets_remove(targets, i);
	}
	return hidden;
}

/* Says why a process of the command line can't be looked at. */
static int say_out_of_sight(const char *whose, int error)
{
	if (error == -ESRCH || error == -ENOENT)
		return command_fail("%s: there is no such process: see 'socktally list'", whose);
	if (error != -EACCES && error != -EPERM)
		return command_fail("%s: can't be looked at: %s", whose, strerror(-error));
	return command_fail("%s: its descriptors can't be seen: that needs root, or "
			    "CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH",
			    whose);
}

/* Adds the process `pid`, or those of its descendants that capture. */
static int choose_process(struct targets *targets, pid_t pid, const char *name, bool wait)
{
	struct targets family = {0};
	int result = targets_add(&family, pid), has;

	if (result)
		return say_out_of_sight(name, result);
	has = captures_now(pid, NULL);
	if (!has) {
		targets_add_children(&family, 0);
		keep_capturing(&family, NULL);
	}
	if (has < 0)
		result = say_out_of_sight(name, has);
	else if (!has && !family.count && !wait)
		result = command_fail("%s has no packet socket: see 'socktally list'", name);
	else if (!has && wait)
		targets_add(targets, pid);
	for (size_t i = 0; i < family.count && !result; i++)
		targets_add(targets, family.target[i].pid);
	targets_free(&family);
	return result;
}

/* "12, 13, 14", as many as fit */
static void join_pids(const struct targets *targets, char *text, size_t size)
{
	size_t used = 0;

	*text = '\0';
	for (size_t i = 0; i < targets->count && used + 16 < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%d", used ? ", " : "",
					 targets->target[i].pid);
}

static void add_all(struct targets *to, const struct targets *from)
{
	for (size_t i = 0; i < from->count; i++)
		targets_add(to, from->target[i].pid);
}

/* Several processes of that name capture: the interface may leave only one. */
static int choose_one(struct targets *capturing, const char *name,
		      const struct target_choice *choice)
{
	char text[256];

	join_pids(capturing, text, sizeof(text));
	if (choice->interface) {
		keep_capturing(capturing, choice->interface);
		if (!capturing->count)
			return command_fail("%s: none of the processes %s has a packet socket on "
					    "%s: see 'socktally list'",
					    name, text, choice->interface);
		join_pids(capturing, text, sizeof(text));
	}
	if (capturing->count == 1)
		return 0;
	return command_fail("%s: that is the name of the processes %s: give the number of one, or "
			    "--all",
			    name, text);
}

/* Of the processes of that name none captures: their descendants may. */
static int choose_descendants(struct targets *targets, const struct targets *named,
			      const char *name, const struct target_choice *choice)
{
	char text[256];
	int result = 0;

	if (named->count > 1 && !choice->all && !choice->wait) {
		join_pids(named, text, sizeof(text));
		return command_fail("%s: none of the processes %s has a packet socket: give the "
				    "number of one, or --all",
				    name, text);
	}
	for (size_t i = 0; i < named->count && !result; i++)
		result = choose_process(targets, named->target[i].pid, name, choice->wait);
	return result;
}

static int find_named(struct targets *named, const char *name, const struct target_choice *choice)
{
	int hidden, result = find(named, name, &hidden);

	if (result)
		return command_fail("can't look into /proc: %s", strerror(-result));
	if (named->count || choice->wait)
		return 0;
	return command_fail("%s: no such command is running: see 'socktally list'", name);
}

/* Adds those processes of that name that capture; if none does, their descendants that do. */
static int choose_named(struct targets *targets, const char *name,
			const struct target_choice *choice)
{
	struct targets named = {0}, capturing = {0};
	int hidden, result = find_named(&named, name, choice);

	add_all(&capturing, &named);
	hidden = keep_capturing(&capturing, NULL);
	if (!result && !capturing.count && hidden)
		result = say_out_of_sight(name, hidden);
	else if (!result && !capturing.count)
		result = choose_descendants(targets, &named, name, choice);
	else if (!result && capturing.count > 1 && !choice->all && !choice->wait)
		result = choose_one(&capturing, name, choice);
	if (!result)
		add_all(targets, &capturing);
	targets_free(&named);
	targets_free(&capturing);
	return result;
}

/* All processes that have a packet socket. */
static int choose_all(struct targets *targets, bool wait)
{
	int hidden, result = find(targets, NULL, &hidden);

	if (result)
		return command_fail("can't look into /proc: %s", strerror(-result));
	if (targets->count || wait)
		return 0;
	return hidden ? command_fail("no process with a packet socket is in sight: other users' "
				     "processes are shown to root")
		      : command_fail("no process has a packet socket");
}

/* A descriptor is needed for each process, and some for each meter. */
static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int targets_choose(struct targets *targets, const struct target_choice *choice)
{
	int status = 0;

	raise_descriptors();
	if (!choice->name_count)
		return choose_all(targets, choice->wait);
	for (size_t i = 0; i < choice->name_count && !status; i++) {
		const char *name = choice->names[i];
		char *end;
		long pid;

		if (!*name)
			return command_usage("no process given: a name is empty");
		if (!is_number(name)) {
			status = choose_named(targets, name, choice);
			continue;
		}
		errno = 0;
		pid = strtol(name, &end, 10);
		if (errno || pid < 1 || pid > INT32_MAX)
			return command_fail("%s: there is no such process: see 'socktally list'",
					    name);
		status = choose_process(targets, (pid_t)pid, name, choice->wait);
	}
	return status;
}
