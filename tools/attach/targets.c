// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The list of processes, their sockets, and those that they have started. */
#include "tools/attach/targets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
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
	struct target added = {.pid = pid, .looked_at = monotonic_now()};
	struct process process;
	struct target *grown;

	if (targets_have(targets, pid))
		return 0;
	added.pidfd = process_open(pid);
	if (added.pidfd < 0)
		return added.pidfd;
	/* /proc/PID was this process's, if it is still running after the reading */
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

void target_read_name(struct target *target)
{
	struct process process;

	if (!process_read(target->pid, &process) && !process_ended(target->pidfd))
		memcpy(target->comm, process.comm, sizeof(target->comm));
}

void targets_remove(struct targets *targets, size_t number)
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
	free(targets->known);
	memset(targets, 0, sizeof(*targets));
}

int target_sockets(struct target *target, target_socket_fn fn, void *ctx)
{
	struct holders holders = {0};
	int64_t now = monotonic_now();
	int result = process_sockets(target->pid, &holders);

	/* if it has ended, the number may be another process's by now */
	if (!result && process_ended(target->pidfd))
		result = -ESRCH;
	for (size_t i = 0; i < holders.count && !result; i++) {
		const struct holder *holder = &holders.holder[i];
		size_t before = 0;

		while (before < i && holders.holder[before].inode != holder->inode)
			before++;
		if (before == i &&
		    process_has_packet_socket(holder->pid, holder->fd, holder->inode) > 0)
			result = fn(ctx, target, holder);
	}
	holders_free(&holders);
	target->looked_at = now;
	return result;
}

/* --- by who has started them */

struct process_entry {
	pid_t pid, parent; /* parent 0: known already */
};

struct process_list {
	struct process_entry *entry;
	size_t count, room;
	const struct targets *targets;
};

static int compare_pids(const void *one, const void *other)
{
	const pid_t *a = one, *b = other;

	return *a < *b ? -1 : *a > *b;
}

static int process_list_add(void *ctx, pid_t pid)
{
	struct process_list *list = ctx;
	const struct targets *targets = list->targets;
	struct process process = {0};

	if (list->count == list->room) {
		size_t room = list->room ? 2 * list->room : 256;
		struct process_entry *grown = reallocarray(list->entry, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		list->entry = grown;
		list->room = room;
	}
	if ((!targets->known_count ||
	     !bsearch(&pid, targets->known, targets->known_count, sizeof(pid), compare_pids)) &&
	    process_read(pid, &process))
		return 0;
	list->entry[list->count++] = (struct process_entry){pid, process.parent};
	return 0;
}

/* A process whose parent is no target now will never get one that is. */
static void remember_known(struct targets *targets, const struct process_list *list)
{
	pid_t *known = reallocarray(targets->known, list->count + 1, sizeof(*known));

	targets->known_count = 0;
	if (!known)
		return;
	targets->known = known;
	for (size_t i = 0; i < list->count; i++)
		known[targets->known_count++] = list->entry[i].pid;
	qsort(known, targets->known_count, sizeof(*known), compare_pids);
}

void targets_set_looked(struct targets *targets, size_t first, int64_t since)
{
	for (size_t i = first; i < targets->count; i++)
		targets->target[i].looked_at = since;
}

void targets_add_children(struct targets *targets, int64_t since)
{
	struct process_list list = {.targets = targets};
	size_t first = targets->count, before;

	processes_walk(process_list_add, &list);
	do {
		before = targets->count;
		for (size_t i = 0; i < list.count; i++)
			if (list.entry[i].parent && targets_have(targets, list.entry[i].parent))
				targets_add(targets, list.entry[i].pid);
	} while (targets->count > before);
	remember_known(targets, &list);
	free(list.entry);
	targets_set_looked(targets, first, since);
}
