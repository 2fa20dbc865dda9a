// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "plugin/attach/saved_filter.h"
#include "plugin/attach/attach.h"
#include "plugin/bpf/syscall.h"
#include "plugin/meter/maps.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAP_NAME "socktally_own"
#define MAGIC 0x6e776f73u
#define VERSION 1
/* How often saved filters are read again, 20 ms apart, because a socket has several. */
#define EXCHANGE_TRIES 10
#define BROKER_USER 65534 /* see tools/common/privileges.c */
#define NOBODY UINT32_MAX /* no user */
#define MAX_MAPS 8        /* a program of ours has the chain, the header buffer and this one */

/* The map's only value. Releases of different ages read each other's. */
struct stored {
	uint32_t magic;
	uint16_t version;
	uint16_t size; /* of what stands before the instructions */
	uint64_t cookie;
	uint32_t pid;
	uint32_t count;
	/* not in the first releases: size tells */
	uint32_t user;
	uint32_t reserved;
};

/* The part that every release has written. */
#define FIRST_SIZE offsetof(struct stored, user)

static size_t stored_size(size_t count)
{
	return sizeof(struct stored) + count * sizeof(struct sock_filter);
}

int st_saved_filter_leave(int prog, uint64_t cookie, uint32_t user, pid_t pid,
			  const struct sock_filter *insns, size_t count)
{
	const struct stored head = {.magic = MAGIC,
				    .version = VERSION,
				    .size = sizeof(head),
				    .cookie = cookie,
				    .pid = (uint32_t)pid,
				    .user = user,
				    .count = (uint32_t)count};
	size_t size = stored_size(count);
	const uint32_t first = 0;
	unsigned char *value;
	int map, result;

	value = malloc(size);
	if (!value)
		return -ENOMEM;
	memcpy(value, &head, sizeof(head));
	if (count)
		memcpy(value + sizeof(head), insns, count * sizeof(*insns));
	map = st_bpf_map_create(BPF_MAP_TYPE_ARRAY, MAP_NAME, sizeof(first), (uint32_t)size, 1,
				BPF_F_RDONLY_PROG);
	result = map < 0 ? map : st_bpf_map_update(map, &first, value);
	if (!result)
		result = st_bpf_prog_bind_map(prog, map);
	if (map >= 0)
		close(map);
	free(value);
	return result;
}

static bool chain_filled(int map)
{
	const uint32_t first = 0;
	uint32_t program;

	return !st_bpf_map_lookup(map, &first, &program);
}

/* Users without privileges may load no programs. false as well if that can't be told. */
static bool loading_is_privileged(void)
{
	int fd = open("/proc/sys/kernel/unprivileged_bpf_disabled", O_RDONLY | O_CLOEXEC);
	char digit = '0';

	if (fd < 0)
		return false;
	if (read(fd, &digit, 1) != 1)
		digit = '0';
	close(fd);
	return digit != '0';
}

/*
 * Whether a program of that loader's is for whom the map says. The service is root, and loads for its
 * clients. The broker of `run` has become nobody, with CAP_BPF; that user has no such privilege else.
 */
static bool speaks_for_others(uint32_t loader)
{
	return !loader || (loader == BROKER_USER && loading_is_privileged());
}

/* Anybody with CAP_BPF can make a map of that name: what it says is checked. */
static int stored_read(int map, const struct bpf_map_info *info, struct st_saved_filter *saved)
{
	const uint32_t first = 0;
	unsigned char *value;
	struct stored head = {0};
	int result = -EINVAL;

	if (info->type != BPF_MAP_TYPE_ARRAY || info->key_size != sizeof(first) ||
	    info->max_entries != 1 || info->value_size < FIRST_SIZE ||
	    info->value_size > 2 * stored_size(BPF_MAXINSNS))
		return -EINVAL;
	/* the kernel copies it in units of 8 bytes */
	value = malloc((info->value_size + 7) & ~(size_t)7);
	if (!value)
		return -ENOMEM;
	result = st_bpf_map_lookup(map, &first, value);
	if (result)
		goto out;
	memcpy(&head, value, FIRST_SIZE);
	if (head.size >= sizeof(head) && info->value_size >= sizeof(head))
		memcpy(&head, value, sizeof(head));
	else
		head.user = NOBODY;
	result = -EINVAL;
	if (head.magic != MAGIC || head.size < FIRST_SIZE || head.count > BPF_MAXINSNS ||
	    info->value_size < head.size + head.count * sizeof(struct sock_filter))
		goto out;
	saved->insns = malloc((head.count ? head.count : 1) * sizeof(struct sock_filter));
	result = -ENOMEM;
	if (!saved->insns)
		goto out;
	memcpy(saved->insns, value + head.size, head.count * sizeof(struct sock_filter));
	saved->count = head.count;
	saved->cookie = head.cookie;
	saved->pid = head.pid;
	if (speaks_for_others(saved->user))
		saved->user = head.user;
	result = 0;
out:
	free(value);
	return result;
}

/* -ENOENT: not a program of ours, or one without a saved filter. */
static int saved_read(int prog, struct st_saved_filter *saved)
{
	uint32_t maps[MAX_MAPS];
	struct bpf_prog_info program = {.nr_map_ids = MAX_MAPS,
					.map_ids = (uint64_t)(uintptr_t)maps};
	int result;

	memset(saved, 0, sizeof(*saved));
	result = st_bpf_info(prog, &program, sizeof(program));
	if (result)
		return result;
	if (program.type != BPF_PROG_TYPE_SOCKET_FILTER || strcmp(program.name, ST_PROGRAM_NAME) ||
	    program.nr_map_ids > MAX_MAPS)
		return -ENOENT;
	saved->program = program.id;
	saved->loaded = program.load_time;
	saved->user = program.created_by_uid;
	for (uint32_t i = 0; i < program.nr_map_ids && !result; i++) {
		struct bpf_map_info info = {0};
		int map = st_bpf_map_by_id(maps[i]);

		if (map < 0)
			continue;
		result = st_bpf_info(map, &info, sizeof(info));
		if (!result && !strcmp(info.name, MAP_NAME) && !saved->insns)
			result = stored_read(map, &info, saved);
		else if (!result && !strcmp(info.name, ST_CHAIN_NAME))
			saved->counting |= chain_filled(map);
		close(map);
	}
	if (!result && !saved->insns)
		result = -ENOENT;
	if (result)
		free(saved->insns);
	return result;
}

static int saved_add(struct st_saved_filter **list, size_t *count,
		     const struct st_saved_filter *saved)
{
	struct st_saved_filter *grown = reallocarray(*list, *count + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	*list = grown;
	grown[(*count)++] = *saved;
	return 0;
}

static int read_all(struct st_saved_filter **list, size_t *count)
{
	struct st_saved_filter saved;
	uint32_t id = 0;
	int prog, result;

	*list = NULL;
	*count = 0;
	while (!(result = st_bpf_prog_next_id(&id))) {
		prog = st_bpf_prog_by_id(id);
		if (prog < 0)
			continue;
		result = saved_read(prog, &saved);
		close(prog);
		if (!result) {
			result = saved_add(list, count, &saved);
			if (result)
				free(saved.insns);
		}
		if (result == -ENOMEM)
			break;
	}
	if (result == -ENOENT)
		return 0;
	st_saved_filters_free(*list, *count);
	*list = NULL;
	*count = 0;
	return result;
}

static bool several_of_one(const struct st_saved_filter *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (size_t j = i + 1; j < count; j++)
			if (list[i].cookie == list[j].cookie)
				return true;
	return false;
}

/* Where a program has just been exchanged, the old one is listed until no CPU can be running it. */
int st_saved_filters_read(struct st_saved_filter **list, size_t *count)
{
	const struct timespec moment = {.tv_nsec = 20 * 1000000};
	int result = read_all(list, count);

	for (int i = 0; i < EXCHANGE_TRIES && !result && several_of_one(*list, *count); i++) {
		st_saved_filters_free(*list, *count);
		nanosleep(&moment, NULL);
		result = read_all(list, count);
	}
	return result;
}

static bool is_trusted(const struct st_saved_filter *saved, uint32_t owner)
{
	return saved->user != NOBODY &&
	       (!saved->user || saved->user == owner || saved->user == geteuid());
}

enum st_saved_state st_saved_filter_find(const struct st_saved_filter *list, size_t count,
					 uint64_t cookie, uint32_t owner, uint32_t except,
					 const struct st_saved_filter **found)
{
	enum st_saved_state state = ST_SAVED_NONE;

	*found = NULL;
	for (size_t i = 0; i < count; i++) {
		if (list[i].cookie != cookie || list[i].program == except)
			continue;
		if (is_trusted(&list[i], owner)) {
			state = state == ST_SAVED_FOUND ? ST_SAVED_CONTRADICTORY : ST_SAVED_FOUND;
			*found = &list[i];
			if (state == ST_SAVED_CONTRADICTORY)
				break;
		} else if (state == ST_SAVED_NONE) {
			state = ST_SAVED_UNTRUSTED;
			*found = &list[i];
		}
	}
	return state;
}

bool st_saved_filter_fits(const struct st_saved_filter *saved, int fd)
{
	int scratch = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int prog = st_bpf_prog_by_id(saved->program);
	bool fits = prog >= 0 && scratch >= 0 &&
		    !setsockopt(scratch, SOL_SOCKET, SO_ATTACH_BPF, &prog, sizeof(prog)) &&
		    st_option_memory(scratch) == st_option_memory(fd);

	if (scratch >= 0)
		close(scratch);
	if (prog >= 0)
		close(prog);
	return fits;
}

void st_saved_filters_free(struct st_saved_filter *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(list[i].insns);
	free(list);
}

int st_program_exists(uint32_t program)
{
	int prog = st_bpf_prog_by_id(program);

	if (prog < 0)
		return prog == -ENOENT ? 0 : prog;
	close(prog);
	return 1;
}
