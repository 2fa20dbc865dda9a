// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * The program of a hook's object file: it and the functions that it calls in one piece, with the maps
 * and the names that they refer to filled in.
 */
#include "plugin/bpf/syscall.h"
#include "plugin/hooks/object.h"
#include "plugin/meter/meter.h"
#include "plugin/bpf/verifier_log.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FUNCTIONS_MAX 64
#define INSNS_MAX 65536

/* What goes on with the chain in hook.bpf.h. */
#define PROGRAMS_SYMBOL "socktally_programs"

struct function {
	struct st_symbol symbol;
	uint32_t start; /* in the assembled program, in instructions */
};

struct assembly {
	struct socktally *meter;
	const struct st_hook *hook;
	struct st_hook_own *own;
	const char *file;
	struct bpf_insn *insns;
	uint8_t *is_programs; /* of an instruction: it loads PROGRAMS_SYMBOL */
	uint8_t *is_resolved;
	uint32_t count;
	struct function functions[FUNCTIONS_MAX];
	unsigned int function_count;
};

static int refuse(const struct assembly *assembly, const char *what, const char *name)
{
	return st_fail(assembly->meter, -EINVAL, "%s: %s%s%s", assembly->file, what,
		       name ? " " : "", name ? name : "");
}

static bool is_hook(const struct st_object *object, const struct st_symbol *symbol)
{
	return symbol->type == STT_FUNC && symbol->section &&
	       !strncmp(object->sections[symbol->section].name, ST_HOOK_SECTION,
			strlen(ST_HOOK_SECTION));
}

/* No program is the hook: says why, with the names of those that could be. */
static int not_found(struct socktally *meter, const struct st_object *object, const char *file,
		     const char *name)
{
	char names[160] = "";
	struct st_symbol symbol;

	for (uint32_t i = 1; i < object->symbol_count; i++) {
		if (!st_object_symbol(object, i, &symbol) || !is_hook(object, &symbol))
			continue;
		if (strlen(names) + strlen(symbol.name) + 3 > sizeof(names))
			break;
		strcat(names, *names ? ", " : "");
		strcat(names, symbol.name);
	}
	if (!*names)
		return st_fail(meter, -EINVAL,
			       "%s: has no hook in it: SOCKTALLY_HOOK() of "
			       "<socktally/hook.bpf.h> makes one of a function",
			       file);
	if (name)
		return st_fail(meter, -EINVAL, "%s: has no hook %s: it has %s", file, name, names);
	return st_fail(meter, -EINVAL, "%s: has several hooks: say which of %s", file, names);
}

int st_object_program_find(struct socktally *meter, const struct st_object *object,
			   const char *file, const char *name, struct st_symbol *program)
{
	const char *interface;
	struct st_symbol symbol;
	unsigned int found = 0;

	for (uint32_t i = 1; i < object->symbol_count; i++) {
		if (!st_object_symbol(object, i, &symbol) || !is_hook(object, &symbol) ||
		    (name && strcmp(symbol.name, name) != 0))
			continue;
		*program = symbol;
		found++;
	}
	if (found != 1)
		return not_found(meter, object, file, name);
	interface = object->sections[program->section].name + strlen(ST_HOOK_SECTION);
	if (strcmp(interface, ST_HOOK_INTERFACE) != 0)
		return st_fail(meter, -EINVAL,
			       "%s: made with the hook.bpf.h of another release: compile it anew",
			       file);
	return 0;
}

/* The number of a function, which is taken in if it isn't yet; or -errno. */
static int function_add(struct assembly *assembly, const struct st_symbol *symbol)
{
	const struct st_object *object = &assembly->own->object;
	const struct st_section *section = &object->sections[symbol->section];
	const uint32_t count = (uint32_t)(symbol->size / sizeof(struct bpf_insn));
	struct function *function;

	for (unsigned int i = 0; i < assembly->function_count; i++)
		if (assembly->functions[i].symbol.section == symbol->section &&
		    assembly->functions[i].symbol.value == symbol->value)
			return (int)i;
	if (!section->data || !count || symbol->size % sizeof(struct bpf_insn) ||
	    symbol->value % sizeof(struct bpf_insn))
		return refuse(assembly, "the object file is damaged: function", symbol->name);
	if (assembly->function_count == FUNCTIONS_MAX || count > INSNS_MAX - assembly->count)
		return refuse(assembly, "is too large a program", NULL);
	function = &assembly->functions[assembly->function_count];
	function->symbol = *symbol;
	function->start = assembly->count;
	memcpy(assembly->insns + assembly->count, section->data + symbol->value, symbol->size);
	assembly->count += count;
	return (int)assembly->function_count++;
}

static bool is_load(const struct bpf_insn *insn)
{
	return insn->code == (BPF_LD | BPF_DW | BPF_IMM);
}

static bool is_local_call(const struct bpf_insn *insn)
{
	return insn->code == (BPF_JMP | BPF_CALL) && insn->src_reg == BPF_PSEUDO_CALL;
}

/* An LD_IMM64 gets the map, the place in a map's value, or the number that it stands for. */
static int load_resolve(struct assembly *assembly, uint32_t at, const struct st_symbol *symbol)
{
	struct st_object_map *map;
	struct bpf_insn *insn = &assembly->insns[at];
	uint64_t offset;
	int result;

	if (!is_load(insn) || at + 1 >= assembly->count)
		return refuse(assembly, "the object file is damaged: a reference to", symbol->name);
	if (!symbol->section) {
		if (!st_hook_symbol(assembly->meter, assembly->hook, symbol->name, insn))
			return refuse(assembly, "refers to what isn't in it:", symbol->name);
		assembly->is_programs[at] = !strcmp(symbol->name, PROGRAMS_SYMBOL);
		return 0;
	}
	map = st_object_map_at(assembly->own, symbol);
	if (!map)
		return refuse(assembly, "has a reference that can't be followed, to", symbol->name);
	result = st_object_map_make(assembly->meter, map, assembly->file);
	if (result)
		return result;
	insn[0].src_reg = BPF_PSEUDO_MAP_FD;
	if (map->contents) {
		offset = symbol->value + (uint32_t)insn[0].imm;
		if (offset >= map->value_size)
			return refuse(assembly, "the object file is damaged: a reference to",
				      symbol->name);
		insn[0].src_reg = BPF_PSEUDO_MAP_VALUE;
		insn[1].imm = (int32_t)offset;
	}
	insn[0].imm = map->fd;
	return 0;
}

/* The function at a place in a section. */
static int function_at(struct assembly *assembly, uint32_t section, uint64_t offset)
{
	const struct st_object *object = &assembly->own->object;
	struct st_symbol symbol;

	for (uint32_t i = 1; i < object->symbol_count; i++)
		if (st_object_symbol(object, i, &symbol) && symbol.type == STT_FUNC &&
		    symbol.section == section && symbol.value == offset)
			return function_add(assembly, &symbol);
	return refuse(assembly, "calls a function that isn't in it", NULL);
}

/* Until all functions are in place, a call holds the number of what it calls. */
static int call_resolve(struct assembly *assembly, uint32_t at, uint32_t section, uint64_t from)
{
	struct bpf_insn *insn = &assembly->insns[at];
	const uint64_t offset = from + sizeof(*insn) * (1 + (uint64_t)(int64_t)insn->imm);
	int function = function_at(assembly, section, offset);

	if (function < 0)
		return function;
	insn->imm = function;
	return 0;
}

static int relocation_resolve(struct assembly *assembly, uint32_t at,
			      const struct st_relocation *relocation)
{
	const struct st_symbol *symbol = &relocation->symbol;

	if (assembly->is_resolved[at])
		return refuse(assembly, "the object file is damaged: two references in one place",
			      NULL);
	assembly->is_resolved[at] = 1;
	if (relocation->type == ST_RELOCATION_LOAD)
		return load_resolve(assembly, at, symbol);
	if (relocation->type != ST_RELOCATION_CALL || !is_local_call(&assembly->insns[at]) ||
	    !symbol->section)
		return refuse(assembly, "calls what isn't in it:", symbol->name);
	return call_resolve(assembly, at, symbol->section, symbol->value);
}

static int function_resolve(struct assembly *assembly, const struct function *function)
{
	const struct st_symbol symbol = function->symbol;
	const uint32_t start = function->start;
	const uint32_t count = (uint32_t)(symbol.size / sizeof(struct bpf_insn));
	struct st_relocation_walk walk = {0};
	struct st_relocation relocation;
	int result;

	while ((result = st_object_relocation(&assembly->own->object, symbol.section, &walk,
					      &relocation)) > 0) {
		if (relocation.offset < symbol.value ||
		    relocation.offset - symbol.value >= symbol.size)
			continue;
		result = relocation_resolve(assembly,
					    start + (uint32_t)((relocation.offset - symbol.value) /
							       sizeof(struct bpf_insn)),
					    &relocation);
		if (result)
			return result;
	}
	if (result < 0)
		return refuse(assembly, "the object file is damaged: its references", NULL);
	for (uint32_t i = 0; i < count; i++) {
		if (!is_local_call(&assembly->insns[start + i]) || assembly->is_resolved[start + i])
			continue;
		result = call_resolve(assembly, start + i, symbol.section,
				      symbol.value + i * sizeof(struct bpf_insn));
		if (result)
			return result;
	}
	return 0;
}

/*
 * A hook must let the packet go on through the chain, whatever it does: the kernel would let it end
 * the packet's way with a load past the end, or jump to a program of its own.
 */
static int insn_check(const struct assembly *assembly, uint32_t at)
{
	const struct bpf_insn *insn = &assembly->insns[at];
	const int mode = BPF_MODE(insn->code);

	if (BPF_CLASS(insn->code) == BPF_LD && (mode == BPF_ABS || mode == BPF_IND))
		return refuse(assembly,
			      "reads the packet with LD_ABS, which ends the program past the "
			      "packet's end: use socktally_load()",
			      NULL);
	if (insn->code != (BPF_JMP | BPF_CALL) || insn->src_reg || insn->imm != BPF_FUNC_tail_call)
		return 0;
	if (at < 2 || !assembly->is_programs[at - 2] ||
	    assembly->insns[at - 2].dst_reg != BPF_REG_2)
		return refuse(assembly,
			      "calls bpf_tail_call(), which is the chain's own: return a verdict",
			      NULL);
	return 0;
}

static int calls_finish(struct assembly *assembly)
{
	bool goes_on = false;

	for (uint32_t i = 0; i < assembly->count; i++) {
		struct bpf_insn *insn = &assembly->insns[i];
		int result;

		if (is_load(insn)) {
			goes_on |= assembly->is_programs[i];
			i++;
			continue;
		}
		result = insn_check(assembly, i);
		if (result)
			return result;
		if (is_local_call(insn))
			insn->imm = (int32_t)(assembly->functions[insn->imm].start - (i + 1));
	}
	return goes_on ? 0 : refuse(assembly, "is not made with SOCKTALLY_HOOK()", NULL);
}

static int assemble(struct assembly *assembly, const struct st_symbol *program)
{
	int result = function_add(assembly, program);

	/* Functions that are found on the way come behind. */
	for (unsigned int i = 0; i < assembly->function_count && result >= 0; i++)
		result = function_resolve(assembly, &assembly->functions[i]);
	return result < 0 ? result : calls_finish(assembly);
}

static const char *license_of(const struct st_object *object)
{
	const struct st_section *section = &object->sections[st_object_section(object, "license")];

	if (!section->data || !section->size || section->data[section->size - 1])
		return "";
	return (const char *)section->data;
}

static int load(const struct assembly *assembly, const struct st_symbol *program)
{
	const char *license = license_of(&assembly->own->object);
	char reason[ST_REASON_MAX];
	int result = st_bpf_prog_load_licensed(program->name, license, assembly->insns,
					       assembly->count, NULL, 0);

	if (result >= 0)
		return result;
	st_verifier_reason(program->name, license, assembly->insns, assembly->count, reason);
	return st_fail(assembly->meter, result, "%s: the kernel refuses the hook %s: %s",
		       assembly->file, program->name, *reason ? reason : strerror(-result));
}

int st_object_program_load(struct socktally *meter, const struct st_hook *hook,
			   const struct st_symbol *program, const char *file)
{
	struct assembly assembly = {.meter = meter, .hook = hook, .own = hook->own, .file = file};
	int result;

	/* one more, as the values of names are filled in by pairs */
	assembly.insns = calloc(INSNS_MAX + 1, sizeof(*assembly.insns));
	assembly.is_programs = calloc(2, INSNS_MAX + 1);
	if (assembly.insns && assembly.is_programs) {
		assembly.is_resolved = assembly.is_programs + INSNS_MAX + 1;
		result = assemble(&assembly, program);
		if (!result)
			result = load(&assembly, program);
	} else {
		result = st_fail(meter, -ENOMEM, "%s: no memory to load it", file);
	}
	free(assembly.insns);
	free(assembly.is_programs);
	return result;
}
