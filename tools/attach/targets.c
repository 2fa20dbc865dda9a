// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Processes by number, by name, and by who has started them. */
#include "tools/attach/targets.h"

#include "tools/common/command.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

int64_t monotonic_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static bool targets_have(const struct targets *targets, pid_t pid)
{
	for (size_t i = 0; i < targets->count; i++)
		if (targets->target[i].pid == pid)
			return true;
	return false;
}

int targets_add(struct targets *targets, pid_t pid)
{
	struct target added = {.pid = pid, .looked = monotonic_now()};
	struct process process;
	struct target *grown;

	if (targets_have(targets, pid))
		return 0;
	added.pidfd = process_open(pid);
	if (added.pidfd < 0)
		return added.pidfd;
	/* what /proc says is of this process if it hasn't ended even after that */
	if (process_read(pid, &process) || process_ended(added.pidfd)) {
		close(added.pidfd);
		return -ESRCH;
	}
	memcpy(added.comm, process.comm, sizeof(added.comm));
	if (targets->count == targets->room) {
		size_t room = targets->room ? 2 * targets->room : 8;

		grown = reallocarray(targets->target, room, sizeof(*grown));
		if (!grown) {
			close(added.pidfd);
			return -ENOMEM;
		}
		targets->target = grown;
		targets->room = room;
	}
	targets->target[targets->count++] = added;
	return 0;
}

static void targets_remove(struct targets *targets, size_t number)
{
	close(targets->target[number].pidfd);
	targets->target[number] = targets->target[--targets->count];
}

void targets_forget_ended(struct targets *targets)
{
	for (size_t i = targets->count; i--;)
		if (process_ended(targets->target[i].pidfd))
			targets_remove(targets, i);
}

void targets_free(struct targets *targets)
{
	while (targets->count)
		targets_remove(targets, targets->count - 1);
	free(targets->target);
	free(targets->walked);
	memset(targets, 0, sizeof(*targets));
}

int target_sockets(struct target *target, target_socket_fn fn, void *ctx)
{
	struct holders holders = {0};
	int64_t now = monotonic_now();
	int result = process_sockets(target->pid, &holders);

	/* the number may have become another process's */
	if (!result && process_ended(target->pidfd))
		result = -ESRCH;
	for (size_t i = 0; i < holders.count && !result; i++) {
		const struct holder *holder = &holders.holder[i];
		size_t before = 0;

		while (before < i && holders.holder[before].inode != holder->inode)
			before++;
		if (before == i && process_has_packet_socket(holder->pid, holder->fd))
			result = fn(ctx, target, holder);
	}
	holders_free(&holders);
	target->looked = now;
	return result;
}

/* Whether the process has a packet socket: 1, 0, -errno. */
static int captures_now(pid_t pid)
{
	struct holders holders = {0};
	int result = process_sockets(pid, &holders);

	for (size_t i = 0; i < holders.count && !result; i++)
		result = process_has_packet_socket(pid, holders.holder[i].fd);
	holders_free(&holders);
	return result;
}

/* --- by who has started them */

struct family {
	pid_t pid, parent; /* parent 0: it was looked at before */
};

struct families {
	struct family *family;
	size_t count, room;
	const struct targets *targets;
};

static int compare_pids(const void *one, const void *other)
{
	const pid_t *a = one, *b = other;

	return *a < *b ? -1 : *a > *b;
}

static int families_add(void *ctx, pid_t pid)
{
	struct families *families = ctx;
	const struct targets *targets = families->targets;
	struct process process = {0};

	if (families->count == families->room) {
		size_t room = families->room ? 2 * families->room : 256;
		struct family *grown = reallocarray(families->family, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		families->family = grown;
		families->room = room;
	}
	if ((!targets->walked_count ||
	     !bsearch(&pid, targets->walked, targets->walked_count, sizeof(pid), compare_pids)) &&
	    process_read(pid, &process))
		return 0;
	families->family[families->count++] = (struct family){pid, process.parent};
	return 0;
}

/* Whose parent isn't a target now will not have another one that is. */
static void remember_walked(struct targets *targets, const struct families *families)
{
	pid_t *walked = reallocarray(targets->walked, families->count + 1, sizeof(*walked));

	targets->walked_count = 0;
	if (!walked)
		return;
	targets->walked = walked;
	for (size_t i = 0; i < families->count; i++)
		walked[targets->walked_count++] = families->family[i].pid;
	qsort(walked, targets->walked_count, sizeof(*walked), compare_pids);
}

/* They were not there at that time. */
static void came_since(struct targets *targets, size_t first, int64_t since)
{
	for (size_t i = first; i < targets->count; i++)
		targets->target[i].looked = since;
}

void targets_add_children(struct targets *targets, int64_t since)
{
	struct families families = {.targets = targets};
	size_t first = targets->count, before;

	processes_walk(families_add, &families);
	do {
		before = targets->count;
		for (size_t i = 0; i < families.count; i++)
			if (families.family[i].parent &&
			    targets_have(targets, families.family[i].parent))
				targets_add(targets, families.family[i].pid);
	} while (targets->count > before);
	remember_walked(targets, &families);
	free(families.family);
	came_since(targets, first, since);
}

/* --- by name */

struct search {
	struct targets *targets;
	const char *command; /* NULL: any that captures */
	int hidden;          /* the last reason why that couldn't be seen */
};

static int add_if_wanted(void *ctx, pid_t pid)
{
	struct search *search = ctx;
	int captures = 1;

	if (pid == getpid() || (search->command && !process_is(pid, search->command)))
		return 0;
	if (!search->command)
		captures = captures_now(pid);
	if (captures == -EACCES || captures == -EPERM)
		search->hidden = captures;
	return captures > 0 && targets_add(search->targets, pid) == -ENOMEM ? -ENOMEM : 0;
}

static int find(struct targets *targets, const char *command, int *hidden)
{
	struct search search = {.targets = targets, .command = command};
	int result = processes_walk(add_if_wanted, &search);

	*hidden = search.hidden;
	return result;
}

static bool is_number(const char *name)
{
	return *name && name[strspn(name, "0123456789")] == '\0';
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
	came_since(targets, first, since);
}

/* Leaves those that have packet sockets. The last reason why that couldn't be seen, or 0. */
static int keep_capturing(struct targets *targets)
{
	int hidden = 0;

	for (size_t i = targets->count; i--;) {
		int has = captures_now(targets->target[i].pid);

		if (has == -EACCES || has == -EPERM)
			hidden = has;
		if (has <= 0)
			targets_remove(targets, i);
	}
	return hidden;
}

/* A process that was named can't be looked at. */
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

/* One process that was named: those that are to be looked at in its place go to targets. */
static int choose_process(struct targets *targets, pid_t pid, const char *name, bool waiting)
{
	struct targets family = {0};
	int result = targets_add(&family, pid), has;

	if (result)
		return say_out_of_sight(name, result);
	has = captures_now(pid);
	if (!has) {
		targets_add_children(&family, 0);
		keep_capturing(&family);
	}
	if (has < 0)
		result = say_out_of_sight(name, has);
	else if (!has && !family.count && !waiting)
		result = command_fail("%s has no packet socket: see 'socktally list'", name);
	else if (!has && waiting)
		targets_add(targets, pid);
	for (size_t i = 0; i < family.count && !result; i++)
		targets_add(targets, family.target[i].pid);
	targets_free(&family);
	return result;
}

/* "12, 13, 14", as many as fit */
static void numbers(const struct targets *targets, char *text, size_t size)
{
	size_t used = 0;

	*text = '\0';
	for (size_t i = 0; i < targets->count && used + 16 < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%d", used ? ", " : "",
					 targets->target[i].pid);
}

/* Of processes with one name, those that capture are meant; where none does, their children. */
static int choose_named(struct targets *targets, const char *name,
			const struct target_choice *choice)
{
	struct targets named = {0}, capturing = {0};
	char text[256];
	int hidden, result = find(&named, name, &hidden);

	if (result || !named.count) {
		targets_free(&named);
		return result ? command_fail("can't look into /proc: %s", strerror(-result))
			      : command_fail("%s: no such command is running: see 'socktally list'",
					     name);
	}
	for (size_t i = 0; i < named.count; i++)
		targets_add(&capturing, named.target[i].pid);
	hidden = keep_capturing(&capturing);
	if (!capturing.count && !hidden && named.count > 1 && !choice->all) {
		numbers(&named, text, sizeof(text));
		result = command_fail("%s: none of the processes %s has a packet socket: give the "
				      "number of one, or --all",
				      name, text);
	} else if (!capturing.count && hidden) {
		result = say_out_of_sight(name, hidden);
	} else if (capturing.count > 1 && !choice->all) {
		numbers(&capturing, text, sizeof(text));
		result = command_fail("%s: that is the name of the processes %s: give the number "
				      "of one, or --all",
				      name, text);
	} else if (!capturing.count) {
		for (size_t i = 0; i < named.count && !result; i++)
			result =
				choose_process(targets, named.target[i].pid, name, choice->waiting);
	}
	for (size_t i = 0; i < capturing.count && !result; i++)
		targets_add(targets, capturing.target[i].pid);
	targets_free(&named);
	targets_free(&capturing);
	return result;
}

/* All processes that have a packet socket. */
static int choose_all(struct targets *targets, bool waiting)
{
	int hidden, result = find(targets, NULL, &hidden);

	if (result)
		return command_fail("can't look into /proc: %s", strerror(-result));
	if (targets->count || waiting)
		return 0;
	return hidden ? command_fail("no process with a packet socket is in sight: other users' "
				     "processes are shown to root")
		      : command_fail("no process has a packet socket");
}

/* There is one for each process that is looked at, and some for each meter. */
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
		return choose_all(targets, choice->waiting);
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
		status = choose_process(targets, (pid_t)pid, name, choice->waiting);
	}
	return status;
}
