// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The groups of a meter: added, listed, removed. */
#include "plugin/groups/groups.h"
#include "plugin/meter/meter.h"
#include "plugin/meter/visit.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define KEYS_DEFAULT 4096

static void group_free(struct st_group *group)
{
	if (group->regions && group->map >= 0)
		munmap(group->regions, group->cpus * group->region_size);
	else
		free(group->regions);
	if (group->map >= 0)
		close(group->map);
	free(group->name);
	free(group);
}

void st_groups_free(struct socktally *meter)
{
	while (meter->groups) {
		struct st_group *group = meter->groups;

		meter->groups = group->next;
		group_free(group);
	}
}

struct st_group *st_group_find(const struct socktally *meter, const char *name)
{
	struct st_group *group = meter->groups;

	while (group && strcmp(group->name, name) != 0)
		group = group->next;
	return group;
}

static bool is_name(const char *name)
{
	size_t length = strlen(name);

	for (const char *byte = name; *byte; byte++)
		if ((unsigned char)*byte < ' ' || *byte == 0x7f)
			return false;
	return length && length < ST_GROUP_NAME_MAX;
}

static uint32_t room_for(uint32_t keys)
{
	uint32_t room = ST_GROUP_KEYS_MIN;

	while (room < keys)
		room *= 2;
	return room;
}

static int regions_make(struct socktally *meter, struct st_group *group)
{
	group->region_size = (st_group_region_size(group->sizes) + 63) & ~(size_t)63;
	group->cpus = meter->region_count;
	if (!meter->userspace)
		return st_group_regions_map(meter, group);
	group->regions = calloc(group->cpus, group->region_size);
	if (!group->regions)
		return st_fail(meter, -ENOMEM, "no memory for %u keys of the group %s",
			       group->sizes.keys, group->name);
	return 0;
}

static int group_make(struct socktally *meter, struct st_group *group,
		      const struct socktally_group_opts *opts)
{
	const char *name = opts->name ? opts->name : opts->fields;
	char wrong[160];
	int result;

	result = st_group_key_parse(&group->key, opts->fields, wrong, sizeof(wrong));
	if (result)
		return st_fail(meter, result, "%s", wrong);
	if (!is_name(name))
		return st_fail(meter, -EINVAL,
			       "a group's name has 1 to %d characters, and no control characters",
			       ST_GROUP_NAME_MAX - 1);
	if (st_group_find(meter, name))
		return st_fail(meter, -EEXIST, "there is a group %s already", name);
	group->name = strdup(name);
	if (!group->name)
		return st_fail(meter, -ENOMEM, "no memory for a group");
	for (size_t i = 0; i < group->key.count; i++)
		group->fields[i] = group->key.field[i].text;
	group->rows = opts->rows;
	group->sizes = (struct st_group_sizes){
		.keys = room_for(opts->keys ? opts->keys : KEYS_DEFAULT),
		.words = group->key.words,
	};
	return regions_make(meter, group);
}

static int group_add(struct socktally *meter, const struct socktally_group_opts *callers)
{
	struct st_group **last = &meter->groups, *group;
	struct socktally_group_opts opts;
	int result;

	if (!callers)
		return st_fail(meter, -EINVAL, "a group: no options");
	result = st_options(&opts, sizeof(opts), callers);
	if (!result && (opts.flags || !opts.fields || opts.keys > ST_GROUP_KEYS_MAX))
		result = -EINVAL;
	if (result)
		return st_fail(meter, result, "a group's options that make no sense");
	if (meter->remote >= 0)
		return st_fail(meter, -EOPNOTSUPP,
			       "a broker loads nobody's own programs: no groups");
	group = calloc(1, sizeof(*group));
	if (!group)
		return st_fail(meter, -ENOMEM, "no memory for a group");
	group->map = -1;
	result = group_make(meter, group, &opts);
	if (!result && !meter->userspace)
		result = st_group_hook_insert(meter, group,
					      opts.priority ? opts.priority
							    : SOCKTALLY_PRIORITY_LAST);
	if (result) {
		group_free(group);
		return result;
	}
	while (*last)
		last = &(*last)->next;
	*last = group;
	return 0;
}

int socktally_group_add(struct socktally *meter, const struct socktally_group_opts *opts)
{
	int saved = errno, result;

	if (!st_registry_has(meter))
		return -EINVAL;
	st_meter_hold(meter);
	result = st_visit_refuse(meter, ST_LIST_HOOKS | ST_LIST_GROUPS);
	if (!result)
		result = group_add(meter, opts);
	st_meter_release(meter);
	errno = saved;
	return result;
}

int socktally_group_remove(struct socktally *meter, const char *name, socktally_group_row_fn last,
			   void *ctx)
{
	struct st_group **at, *group;
	int saved = errno, result;

	if (!st_registry_has(meter))
		return -EINVAL;
	if (!name)
		return st_fail(meter, -EINVAL, "a group: no name");
	result = st_visit_refuse(meter, ST_LIST_HOOKS | ST_LIST_GROUPS);
	if (result)
		return result;
	for (at = &meter->groups; *at; at = &(*at)->next)
		if (!strcmp((*at)->name, name))
			break;
	group = *at;
	if (!group)
		return st_fail(meter, -ENOENT, "there is no group %s", name);
	if (group->hook) {
		result = socktally_hook_remove(meter, group->hook->name, NULL);
		if (result)
			return result;
	}
	*at = group->next;
	if (last)
		result = st_group_rows_report(meter, group, UINT32_MAX, last, ctx);
	group_free(group);
	errno = saved;
	return result;
}

int socktally_groups(struct socktally *meter, socktally_group_fn fn, void *ctx)
{
	int result = 0;

	if (!st_registry_has(meter))
		return -EINVAL;
	if (!fn)
		return st_fail(meter, -EINVAL, "groups: no callback");
	st_visit_begin(meter, ST_LIST_GROUPS);
	for (struct st_group *group = meter->groups; group && !result; group = group->next)
		result = st_visit_result(meter,
					 fn(ctx, &(struct socktally_group){
							 .name = group->name,
							 .fields = group->fields,
							 .field_count = (uint32_t)group->key.count,
							 .keys = group->sizes.keys,
							 .rows = group->rows,
						 }));
	st_visit_end(meter, ST_LIST_GROUPS);
	return result;
}

int socktally_group_fields(socktally_group_field_fn fn, void *ctx)
{
	int result = 0;

	if (!fn)
		return -EINVAL;
	for (size_t i = 0; i < st_group_field_count && !result; i++)
		result = fn(ctx, st_group_fields[i].name, st_group_fields[i].help);
	return result;
}
