// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Programs that read in place where the kernel lets them: bpf/direct.h. */
#include <socktally/hook_packet.h>
#include "plugin/bpf/loader.h"
#include <errno.h>
#include <string.h>

/* As the kernel sees it: license_is_gpl_compatible() of include/linux/license.h. */
static bool license_allows(const char *license)
{
	static const char *const good[] = {"GPL",
					   "GPL v2",
					   "GPL and additional rights",
					   "Dual BSD/GPL",
					   "Dual MIT/GPL",
					   "Dual MPL/GPL"};

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		if (!strcmp(license, good[i]))
			return true;
	return false;
}

static const struct st_direct *direct_of(struct st_loader *loader)
{
	if (!loader->direct_known && license_allows(st_loader_license(loader)))
		st_direct_get(&loader->direct);
	loader->direct_known = true;
	return &loader->direct;
}

int st_loader_direct_name(struct st_loader *loader, struct st_assembly *assembly, uint32_t at,
			  const char *name)
{
	static const char prefix[] = "socktally_direct";
	struct bpf_insn *insn = &assembly->insns[at];
	const struct st_direct *direct;

	if (strncmp(name, prefix, sizeof(prefix) - 1) != 0)
		return 0;
	direct = direct_of(loader);
	if (direct->forced && !direct->works)
		return st_loader_fail(loader, -EOPNOTSUPP, "SOCKTALLY_READS is \"direct\", but: %s",
				      direct->reason);
	const struct {
		const char *rest;
		uint32_t value;
	} known[] = {
		{"", direct->works},     {"_bytes", direct->bytes},
		{"_len", direct->len},   {"_data_len", direct->data_len},
		{"_data", direct->data},
	};
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (strcmp(name + sizeof(prefix) - 1, known[i].rest) != 0)
			continue;
		insn[0].imm = (int32_t)known[i].value;
		insn[1].imm = 0;
		if (!i)
			assembly->marks[at] |= ST_MARK_DIRECT;
		assembly->direct |= direct->works;
		return 1;
	}
	return 0;
}

/* What is never reached must still be an instruction that there is. */
static void call_remove(struct bpf_insn *insn)
{
	*insn = (struct bpf_insn){.code = BPF_ALU64 | BPF_MOV | BPF_X, .src_reg = BPF_REG_1};
}

void st_loader_direct_call(struct st_loader *loader, struct st_assembly *assembly, uint32_t at)
{
	struct bpf_insn *insn = &assembly->insns[at];
	const bool context = insn->imm == SOCKTALLY_CALL_CONTEXT;

	if (insn->code != (BPF_JMP | BPF_CALL) || insn->src_reg ||
	    (!context && insn->imm != SOCKTALLY_CALL_READONLY))
		return;
	const struct st_direct *direct = direct_of(loader);

	assembly->marks[at] |= ST_MARK_DIRECT;
	if (direct->works)
		*insn = st_direct_call(context ? direct->cast_context : direct->cast_readonly);
	else
		call_remove(insn);
}

void st_assembly_direct_off(struct st_assembly *assembly)
{
	for (uint32_t i = 0; i < assembly->count; i++) {
		struct bpf_insn *insn = &assembly->insns[i];

		if (!(assembly->marks[i] & ST_MARK_DIRECT))
			continue;
		if (BPF_CLASS(insn->code) == BPF_LD)
			insn->imm = 0;
		else
			call_remove(insn);
	}
	assembly->direct = false;
}
