// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* A group as a hook in the chain: the code for its key, and behind it bpf/group_count.bpf.c. */
#include "bpf/group_count.bpf.h"
#include "plugin/bpf/direct.h"
#include "plugin/bpf/loader.h"
#include "plugin/bpf/syscall.h"
#include "plugin/groups/groups.h"
#include "plugin/groups/program.h"
#include "plugin/meter/maps.h"
#include "plugin/meter/meter.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

int st_group_regions_map(struct socktally *meter, struct st_group *group)
{
	void *mapped;

	group->map = st_bpf_map_create(BPF_MAP_TYPE_ARRAY, "socktally_group", sizeof(uint32_t),
				       (uint32_t)group->region_size, group->cpus, BPF_F_MMAPABLE);
	if (group->map < 0)
		return st_fail(meter, group->map, "can't make the table of the group %s: %s",
			       group->name, strerror(-group->map));
	mapped = mmap(NULL, group->cpus * group->region_size, PROT_READ, MAP_SHARED, group->map, 0);
	if (mapped == MAP_FAILED)
		return st_fail(meter, -errno, "can't read the table of the group %s: %s",
			       group->name, strerror(errno));
	group->regions = mapped;
	return 0;
}

struct names {
	const struct socktally *meter;
	const struct st_group *group;
};

static bool resolve(const void *ctx, const char *name, struct bpf_insn insn[2])
{
	const struct names *names = ctx;
	const struct {
		const char *name;
		uint32_t value;
	} known[] = {
		{"group_keys", names->group->sizes.keys},
		{"group_words", names->group->sizes.words},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (strcmp(name, known[i].name) != 0)
			continue;
		insn[0].imm = (int32_t)known[i].value;
		insn[1].imm = 0;
		return true;
	}
	return st_symbol_resolve(names->meter, name, insn);
}

/* Appends the function that counts. */
static int count_append(struct st_loader *loader, const struct names *names, struct st_code *code)
{
	struct st_assembly assembly = {0};
	struct st_symbol program;
	int result;

	loader->resolve = resolve;
	loader->ctx = names;
	if (!st_object_find(&loader->object, st_object_section(&loader->object, "socket"),
			    "group_count", &program))
		return -EINVAL;
	result = st_loader_assemble(loader, &program, &assembly);
	for (uint32_t i = 0; i < assembly.count && !result; i++)
		st_code_emit(code, assembly.insns[i]);
	st_assembly_close(&assembly);
	return result ? result : code->error;
}

/* A descriptor, or -errno. direct: NULL, or how packets are read in place. */
static int program_try(struct socktally *meter, const struct st_group *group,
		       const struct st_direct *direct)
{
	const struct st_group_maps maps = {.regions = group->map, .chain = meter->cells_map};
	const struct names names = {meter, group};
	struct st_loader *loader = calloc(1, sizeof(*loader));
	struct st_code code = {.header_buffer = &meter->header_buffer, .direct = direct};
	int result = -ENOMEM;

	if (loader)
		result = st_loader_open(loader, st_object_group_count,
					sizeof(st_object_group_count));
	if (!result) {
		result = st_group_program_emit(&code, &group->key, &maps);
		if (!result)
			result = count_append(loader, &names, &code);
		if (!result)
			result = st_bpf_prog_load("socktally_group", code.insns, code.count, NULL,
						  0);
		st_loader_close(loader);
	}
	st_code_free(&code);
	free(loader);
	return result;
}

/* A descriptor, or -errno that is noted. */
static int program_load(struct socktally *meter, const struct st_group *group)
{
	struct st_direct direct;
	int result;

	st_direct_get(&direct);
	result = program_try(meter, group, direct.works ? &direct : NULL);
	if (result < 0 && direct.works && !direct.forced)
		result = program_try(meter, group, NULL);
	if (result < 0)
		st_fail(meter, result, "the kernel refused the program of the group %s: %s",
			group->name, strerror(-result));
	return result;
}

/* The chain has removed the hook, for the group or for the user. */
static void hook_free(struct st_hook *hook)
{
	struct st_group *group = hook->own;

	group->hook = NULL;
}

static const struct st_hook_ops group_hook_ops = {.name = "group", .free = hook_free};

/* "group1", ...: names of hooks have no blanks, as those of groups may. */
static void hook_name(const struct socktally *meter, char *name, size_t size)
{
	unsigned int number = 0;

	do
		snprintf(name, size, "group%u", ++number);
	while (st_hook_find(meter, name));
}

int st_group_hook_insert(struct socktally *meter, struct st_group *group, int32_t priority)
{
	char name[ST_HOOK_NAME_MAX];
	struct st_hook *hook;
	int result;

	hook_name(meter, name, sizeof(name));
	hook = st_hook_new(meter, &group_hook_ops, name, priority, NULL, &result);
	if (!hook)
		return result;
	result = program_load(meter, group);
	if (result >= 0) {
		hook->prog = result;
		result = st_hook_insert(meter, hook, NULL);
	}
	if (result) {
		st_hook_free(meter, hook);
		return result;
	}
	hook->own = group;
	group->hook = hook;
	return 0;
}
