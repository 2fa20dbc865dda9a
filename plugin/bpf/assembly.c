// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * A program and the functions that it calls in one piece, with the maps and the names that they refer
 * to filled in.
 */
#include "plugin/bpf/debug_info.h"
#include "plugin/bpf/loader.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define INSNS_MAX 65536

/* Marks of an instruction. */
enum {
	SECOND_HALF = 1, /* of the LD_IMM64 before it */
	RESOLVED = 2,    /* a relocation was for it */
	REFERS = 4,      /* to a function, by its number in `calls` */
			 /* 8: ST_MARK_DIRECT */
};

/* src_reg of an LD_IMM64 that loads a function's address; not in <linux/bpf.h> before Linux 5.13. */
enum { PSEUDO_FUNC = 4 };

/* The object file, and the program that is assembled from it. */
struct work {
	struct st_loader *loader;
	struct st_assembly *assembly;
};

static int refuse(const struct work *work, const char *what, const char *name)
{
	return st_loader_fail(work->loader, -EINVAL, "%s%s%s", what, name ? " " : "",
			      name ? name : "");
}

static bool is_load(const struct bpf_insn *insn)
{
	return insn->code == (BPF_LD | BPF_DW | BPF_IMM);
}

static bool is_local_call(const struct bpf_insn *insn)
{
	return insn->code == (BPF_JMP | BPF_CALL) && insn->src_reg == BPF_PSEUDO_CALL;
}

/* An LD_IMM64 is two instructions: the second has only a number. */
static bool loads_mark(struct st_assembly *assembly, uint32_t start, uint32_t count)
{
	for (uint32_t i = start; i < start + count; i++) {
		const struct bpf_insn *second = &assembly->insns[i + 1];

		if (!is_load(&assembly->insns[i]))
			continue;
		if (i + 1 == start + count || second->code || second->dst_reg || second->src_reg ||
		    second->off)
			return false;
		assembly->marks[++i] = SECOND_HALF;
	}
	return true;
}

/* Copies a function into the program. Returns its number, or -errno. */
static int function_add(const struct work *work, const struct st_symbol *symbol)
{
	const struct st_section *section = &work->loader->object.sections[symbol->section];
	const uint32_t count = (uint32_t)(symbol->size / sizeof(struct bpf_insn));
	struct st_assembly *assembly = work->assembly;
	struct st_function *function = &assembly->functions[assembly->function_count];

	if (!section->data || !section->executable || !count ||
	    symbol->size % sizeof(struct bpf_insn) || symbol->value % sizeof(struct bpf_insn))
		return refuse(work, "the object file is damaged: function", symbol->name);
	if (assembly->function_count == ST_LOADER_FUNCTIONS || count > INSNS_MAX - assembly->count)
		return refuse(work, "is too large a program", NULL);
	if (st_debug_info_has_core(&work->loader->object, symbol))
		return st_loader_fail(
			work->loader, -EINVAL,
			"%s needs relocation by the kernel's types (CO-RE, as with "
			"vmlinux.h and bpf_core_read()), which hooks don't have: take "
			"types from <linux/...> headers",
			symbol->name);
	function->symbol = *symbol;
	function->start = assembly->count;
	memcpy(assembly->insns + assembly->count, section->data + symbol->value, symbol->size);
	if (!loads_mark(assembly, assembly->count, count))
		return refuse(work, "the object file is damaged: half an instruction in",
			      symbol->name);
	assembly->count += count;
	return (int)assembly->function_count++;
}

/* The function at a place in a section. */
static int function_at(const struct work *work, uint32_t section, uint64_t offset)
{
	const struct st_object *object = &work->loader->object;
	struct st_symbol symbol;

	for (unsigned int i = 0; i < work->assembly->function_count; i++)
		if (work->assembly->functions[i].symbol.section == section &&
		    work->assembly->functions[i].symbol.value == offset)
			return (int)i;
	for (uint32_t i = 1; i < object->symbol_count; i++)
		if (st_object_symbol(object, i, &symbol) && symbol.type == STT_FUNC &&
		    symbol.section == section && symbol.value == offset)
			return function_add(work, &symbol);
	return refuse(work, "calls a function that isn't in it", NULL);
}

static int function_refer(const struct work *work, uint32_t at, uint32_t section, uint64_t offset)
{
	int function = function_at(work, section, offset);

	if (function < 0)
		return function;
	work->assembly->marks[at] |= REFERS;
	work->assembly->calls[at] = (uint8_t)function;
	return 0;
}

static int call_resolve(const struct work *work, uint32_t at, uint32_t section, uint64_t from)
{
	const struct bpf_insn *insn = &work->assembly->insns[at];

	return function_refer(work, at, section,
			      from + sizeof(*insn) * (1 + (uint64_t)(int64_t)insn->imm));
}

/* A symbol in a section of data: an address in a map's value. In .maps: the map. */
static int map_refer(const struct work *work, struct bpf_insn insn[2],
		     const struct st_symbol *symbol)
{
	struct st_loader_map *map = st_loader_map_at(work->loader, symbol);
	uint64_t offset;
	int result;

	if (!map)
		return refuse(work, "has a reference that can't be followed, to", symbol->name);
	result = st_loader_map_make(work->loader, map);
	if (result)
		return result;
	insn[0].src_reg = BPF_PSEUDO_MAP_FD;
	if (map->contents) {
		offset = symbol->value + (uint32_t)insn[0].imm;
		if (offset >= map->value_size)
			return refuse(work, "the object file is damaged: a reference to",
				      symbol->name);
		insn[0].src_reg = BPF_PSEUDO_MAP_VALUE;
		insn[1].imm = (int32_t)offset;
	}
	insn[0].imm = map->fd;
	return 0;
}

/* An LD_IMM64 gets the map, the place in a map's value, the number or the function it stands for. */
static int load_resolve(const struct work *work, uint32_t at, const struct st_symbol *symbol)
{
	struct bpf_insn *insn = &work->assembly->insns[at];

	if (!is_load(insn) || insn[0].src_reg || insn[1].imm)
		return refuse(work, "the object file is damaged: a reference to", symbol->name);
	if (!symbol->section) {
		const int known =
			st_loader_direct_name(work->loader, work->assembly, at, symbol->name);

		if (known)
			return known < 0 ? known : 0;
		return work->loader->resolve(work->loader->ctx, symbol->name, insn)
			       ? 0
			       : refuse(work, "refers to what isn't in it:", symbol->name);
	}
	if (!work->loader->object.sections[symbol->section].executable)
		return map_refer(work, insn, symbol);
	insn[0].src_reg = PSEUDO_FUNC;
	return function_refer(work, at, symbol->section, symbol->value + (uint32_t)insn[0].imm);
}

static int relocation_resolve(const struct work *work, uint32_t at,
			      const struct st_relocation *relocation)
{
	const struct st_symbol *symbol = &relocation->symbol;

	if (work->assembly->marks[at])
		return refuse(work, "the object file is damaged: two references in one place",
			      NULL);
	work->assembly->marks[at] = RESOLVED;
	if (relocation->type == ST_RELOCATION_LOAD)
		return load_resolve(work, at, symbol);
	if (relocation->type != ST_RELOCATION_CALL || !is_local_call(&work->assembly->insns[at]) ||
	    !symbol->section)
		return st_loader_fail(work->loader, -EINVAL, "calls what isn't in it: %s%s",
				      symbol->name,
				      !strncmp(symbol->name, "bpf_", 4)
					      ? ", which is of <linux/bpf.h> and "
						"<bpf/bpf_helpers.h>: include both before "
						"<socktally/hook.bpf.h>"
					      : "");
	return call_resolve(work, at, symbol->section, symbol->value);
}

/* Calls within a section have no relocation. */
static int rest_resolve(const struct work *work, const struct st_function *function)
{
	const struct st_assembly *assembly = work->assembly;
	const uint32_t count = (uint32_t)(function->symbol.size / sizeof(struct bpf_insn));

	for (uint32_t i = 0; i < count; i++) {
		const uint32_t at = function->start + i;
		int result = 0;

		if (assembly->marks[at])
			continue;
		if (is_local_call(&assembly->insns[at]))
			result = call_resolve(work, at, function->symbol.section,
					      function->symbol.value + i * sizeof(struct bpf_insn));
		else if (is_load(&assembly->insns[at]) && assembly->insns[at].src_reg)
			/* the number would be taken for a descriptor of this process */
			result = refuse(work, "the object file is damaged: a map without a name",
					NULL);
		if (result)
			return result;
		st_loader_direct_call(work->loader, work->assembly, at);
	}
	return 0;
}

static int function_resolve(const struct work *work, const struct st_function *function)
{
	const struct st_symbol *symbol = &function->symbol;
	struct st_relocation_walk walk = {0};
	struct st_relocation relocation;
	int result;

	while ((result = st_object_relocation(&work->loader->object, symbol->section, &walk,
					      &relocation)) > 0) {
		const uint64_t from = relocation.offset - symbol->value;

		if (relocation.offset < symbol->value || from >= symbol->size)
			continue;
		if (from % sizeof(struct bpf_insn))
			return refuse(work, "the object file is damaged: a reference to",
				      relocation.symbol.name);
		result = relocation_resolve(work,
					    function->start +
						    (uint32_t)(from / sizeof(struct bpf_insn)),
					    &relocation);
		if (result)
			return result;
	}
	if (result < 0)
		return refuse(work, "the object file is damaged: its references", NULL);
	return rest_resolve(work, function);
}

/* All functions have their places now. */
static void references_finish(struct st_assembly *assembly)
{
	for (uint32_t i = 0; i < assembly->count; i++)
		if (assembly->marks[i] & REFERS)
			assembly->insns[i].imm =
				(int32_t)(assembly->functions[assembly->calls[i]].start - (i + 1));
}

int st_loader_assemble(struct st_loader *loader, const struct st_symbol *program,
		       struct st_assembly *assembly)
{
	const struct work work = {loader, assembly};
	int result;

	memset(assembly, 0, sizeof(*assembly));
	assembly->name = program->name;
	/* one more, so that the instruction behind an LD_IMM64 can always be read */
	assembly->insns = calloc(INSNS_MAX + 1, sizeof(*assembly->insns));
	assembly->marks = calloc(INSNS_MAX + 1, 1);
	assembly->calls = calloc(INSNS_MAX + 1, 1);
	if (!assembly->insns || !assembly->marks || !assembly->calls)
		return st_loader_fail(loader, -ENOMEM, "no memory to load it");
	result = function_add(&work, program);
	/* the loop also reaches functions that it adds itself */
	for (unsigned int i = 0; i < assembly->function_count && result >= 0; i++)
		result = function_resolve(&work, &assembly->functions[i]);
	if (result < 0)
		return result;
	references_finish(assembly);
	return 0;
}

void st_assembly_close(struct st_assembly *assembly)
{
	free(assembly->insns);
	free(assembly->marks);
	free(assembly->calls);
	memset(assembly, 0, sizeof(*assembly));
}
