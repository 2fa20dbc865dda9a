// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The program of a hook's object file: which function it is, and what it may not do. */
#include "plugin/hooks/object.h"
#include "plugin/meter/meter.h"
#include <errno.h>
#include <string.h>

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

/* Where a hook is loaded: what names stand for. */
struct place {
	const struct socktally *meter;
	const struct st_hook *hook;
};

static bool symbol_resolve(const void *ctx, const char *name, struct bpf_insn insn[2])
{
	const struct place *place = ctx;

	return st_hook_symbol(place->meter, place->hook, name, insn);
}

static bool is_load(const struct bpf_insn *insn)
{
	return insn->code == (BPF_LD | BPF_DW | BPF_IMM);
}

/* Loads the chain's array of programs. Only the loader puts descriptors into a program. */
static bool is_programs(const struct socktally *meter, const struct bpf_insn *insn)
{
	return is_load(insn) && insn->src_reg == BPF_PSEUDO_MAP_FD && insn->imm == meter->chain_map;
}

/*
 * A hook must not end the packet's way through the chain. With LD_ABS it would where the packet is too
 * short, with a tail call of its own it would always. NULL: it does not.
 */
static const char *insn_check(const struct socktally *meter, const struct st_assembly *assembly,
			      uint32_t at)
{
	const struct bpf_insn *insn = &assembly->insns[at];
	const int mode = BPF_MODE(insn->code);

	if (BPF_CLASS(insn->code) == BPF_LD && (mode == BPF_ABS || mode == BPF_IND))
		return "reads the packet with LD_ABS, which ends the program past the packet's "
		       "end: use socktally_load()";
	if (insn->code != (BPF_JMP | BPF_CALL) || insn->src_reg || insn->imm != BPF_FUNC_tail_call)
		return NULL;
	if (at < 2 || !is_programs(meter, &assembly->insns[at - 2]) ||
	    assembly->insns[at - 2].dst_reg != BPF_REG_2)
		return "calls bpf_tail_call(), which is the chain's own: return a verdict";
	return NULL;
}

/* NULL: it is good. Else what is wrong. */
static const char *program_check(const struct socktally *meter, const struct st_assembly *assembly)
{
	bool goes_on = false;

	for (uint32_t i = 0; i < assembly->count; i++) {
		const char *wrong = insn_check(meter, assembly, i);

		if (wrong)
			return wrong;
		goes_on |= is_programs(meter, &assembly->insns[i]);
		i += is_load(&assembly->insns[i]);
	}
	return goes_on ? NULL : "is not made with SOCKTALLY_HOOK()";
}

int st_object_program_load(struct socktally *meter, const struct st_hook *hook,
			   const struct st_symbol *program, const char *file)
{
	const struct place place = {meter, hook};
	struct st_hook_own *own = hook->own;
	struct st_loader *loader = &own->loader;
	struct st_assembly assembly;
	const char *wrong = NULL;
	int result;

	loader->resolve = symbol_resolve;
	loader->ctx = &place;
	result = st_loader_assemble(loader, program, &assembly);
	if (!result)
		wrong = program_check(meter, &assembly);
	if (result) {
		st_fail(meter, result, "%s: %s", file, loader->error);
	} else if (wrong) {
		result = st_fail(meter, -EINVAL, "%s: %s", file, wrong);
	} else {
		result = st_loader_load(loader, &assembly);
		if (result < 0)
			st_fail(meter, result, "%s: the kernel refuses the hook %s: %s", file,
				program->name, loader->error);
	}
	if (result >= 0 && st_hook_returns_one(&assembly))
		st_log(meter, SOCKTALLY_LOG_WARNING,
		       "%s: the hook %s cuts packets to 1 byte, as its verdict may be 1: "
		       "SOCKTALLY_PASS lets them through",
		       file, program->name);
	st_assembly_close(&assembly);
	return result;
}
