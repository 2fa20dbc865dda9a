/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Loads from SKF_AD_OFF on: metadata of the packet. */
#include "plugin/translate/internal.h"

void st_emit_ancillary(struct st_translation *t, const struct sock_filter *insn)
{
	struct st_code *code = t->code;

	switch (insn->k - (__u32)SKF_AD_OFF) {
	case SKF_AD_PROTOCOL:
		st_code_emit(code, ST_SKB(REG_A, protocol));
		st_code_emit(code, ST_FROM_BE(REG_A, 16));
		break;
	case SKF_AD_PKTTYPE:
		st_code_emit(code, ST_SKB(REG_A, pkt_type));
		break;
	case SKF_AD_IFINDEX:
		/* without a device the kernel ends the filter with A as the verdict */
		st_code_emit(code, ST_SKB(BPF_REG_1, ifindex));
		st_jump(t, ST_JUMP_W(BPF_JEQ, BPF_REG_1, 0, 0), st_label(t, ST_LABEL_END));
		st_code_emit(code, ST_MOV(REG_A, BPF_REG_1));
		break;
	case SKF_AD_MARK:
		st_code_emit(code, ST_SKB(REG_A, mark));
		break;
	case SKF_AD_QUEUE:
		st_code_emit(code, ST_SKB(REG_A, queue_mapping));
		break;
	case SKF_AD_RXHASH:
		st_code_emit(code, ST_SKB(REG_A, hash));
		break;
	case SKF_AD_CPU:
		st_code_emit(code, ST_CALL(BPF_FUNC_get_smp_processor_id));
		break;
	case SKF_AD_ALU_XOR_X:
		st_code_emit(code, ST_ALU_W_REG(BPF_XOR, REG_A, REG_X));
		break;
	case SKF_AD_VLAN_TAG:
		st_code_emit(code, ST_SKB(REG_A, vlan_tci));
		break;
	case SKF_AD_VLAN_TAG_PRESENT:
		st_code_emit(code, ST_SKB(REG_A, vlan_present));
		break;
	case SKF_AD_RANDOM:
		st_code_emit(code, ST_CALL(BPF_FUNC_get_prandom_u32));
		break;
	case SKF_AD_VLAN_TPID:
		st_code_emit(code, ST_SKB(REG_A, vlan_proto));
		st_code_emit(code, ST_FROM_BE(REG_A, 16));
		break;
	}
}
