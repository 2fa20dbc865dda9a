/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Simulators of classic BPF and of the part of eBPF that the translator writes, without a kernel,
 * for one linear packet that starts with its link-layer header. Aborts where a verifier would
 * refuse.
 *
 * The simulator of classic BPF is not st_filter_run() on purpose: it takes its semantics from the
 * kernel's (negative offsets, all of the metadata, a missing device), which the library's machine
 * for packets of files does not have, and a test of the library's translation must not rest on the
 * library.
 */
#ifndef SOCKTALLY_TESTS_UNIT_TRANSLATE_SIMULATE_H
#define SOCKTALLY_TESTS_UNIT_TRANSLATE_SIMULATE_H

#include "bpf/table.h"
#include "plugin/translate/translate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NETWORK_OFFSET 14
#define CPU 3

struct packet {
	const unsigned char *bytes;
	__u32 size;
	struct __sk_buff skb;
};

#define REQUIRE(CONDITION)                                                                         \
	do {                                                                                       \
		if (!(CONDITION)) {                                                                \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #CONDITION);    \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* As the kernel's load helpers: false if there is nothing. */
static bool load(const struct packet *packet, __s32 offset, __u32 size, __u32 *value)
{
	__s64 at = offset;

	if (offset < 0 && offset >= SKF_NET_OFF)
		at += NETWORK_OFFSET - SKF_NET_OFF;
	else if (offset < 0 && offset >= SKF_LL_OFF)
		at -= SKF_LL_OFF;
	if (at < 0 || at + size > packet->size)
		return false;
	*value = 0;
	while (size--)
		*value = *value << 8 | packet->bytes[at++];
	return true;
}

static __u32 size_of(int code)
{
	return BPF_SIZE(code) == BPF_W   ? 4
	       : BPF_SIZE(code) == BPF_H ? 2
	       : BPF_SIZE(code) == BPF_B ? 1
					 : 8;
}

static __u32 swap16(__u32 value)
{
	return (value & 0xff) << 8 | (value >> 8 & 0xff);
}

/* False: the filter ends here with verdict A. */
static bool run_ancillary(const struct packet *packet, __u32 number, __u32 *a, __u32 x)
{
	const struct __sk_buff *skb = &packet->skb;

	switch (number) {
	case SKF_AD_PROTOCOL:
		*a = swap16(skb->protocol);
		break;
	case SKF_AD_PKTTYPE:
		*a = skb->pkt_type;
		break;
	case SKF_AD_IFINDEX:
		if (!skb->ifindex)
			return false;
		*a = skb->ifindex;
		break;
	case SKF_AD_MARK:
		*a = skb->mark;
		break;
	case SKF_AD_QUEUE:
		*a = skb->queue_mapping;
		break;
	case SKF_AD_RXHASH:
		*a = skb->hash;
		break;
	case SKF_AD_CPU:
		*a = CPU;
		break;
	case SKF_AD_ALU_XOR_X:
		*a ^= x;
		break;
	case SKF_AD_VLAN_TAG:
		*a = skb->vlan_tci;
		break;
	case SKF_AD_VLAN_TAG_PRESENT:
		*a = skb->vlan_present;
		break;
	case SKF_AD_RANDOM:
		*a = 4; /* a random number, once thrown */
		break;
	case SKF_AD_VLAN_TPID:
		*a = swap16(skb->vlan_proto);
		break;
	}
	return true;
}

static __u64 calculate(int op, __u64 a, __u64 b, bool wide)
{
	__u32 mask = wide ? 63 : 31;

	switch (op) {
	case BPF_ADD:
		return a + b;
	case BPF_SUB:
		return a - b;
	case BPF_MUL:
		return a * b;
	case BPF_DIV:
		return b ? a / b : 0;
	case BPF_MOD:
		return b ? a % b : a;
	case BPF_OR:
		return a | b;
	case BPF_AND:
		return a & b;
	case BPF_XOR:
		return a ^ b;
	case BPF_LSH:
		return a << (b & mask);
	case BPF_RSH:
		return a >> (b & mask);
	case BPF_NEG:
		return -a;
	case BPF_MOV:
		return b;
	}
	REQUIRE(!"a known operation");
	return 0;
}

static bool compare(int op, __u64 a, __u64 b, bool wide)
{
	switch (op) {
	case BPF_JEQ:
		return a == b;
	case BPF_JNE:
		return a != b;
	case BPF_JGT:
		return a > b;
	case BPF_JGE:
		return a >= b;
	case BPF_JLT:
		return a < b;
	case BPF_JLE:
		return a <= b;
	case BPF_JSET:
		return a & b;
	case BPF_JSGE:
		return wide ? (__s64)a >= (__s64)b : (__s32)a >= (__s32)b;
	}
	REQUIRE(!"a known condition");
	return false;
}

/* The verdict of a filter that the kernel accepts. */
static __u32 run_classic(const struct sock_filter *insns, const struct packet *packet)
{
	__u32 a = 0, x = 0, mem[BPF_MEMWORDS] = {0}, value;

	for (const struct sock_filter *insn = insns;; insn++) {
		__u32 operand = BPF_SRC(insn->code) == BPF_X ? x : insn->k;

		switch (BPF_CLASS(insn->code)) {
		case BPF_LD:
		case BPF_LDX:
			value = insn->k;
			if (BPF_MODE(insn->code) == BPF_MEM) {
				value = mem[insn->k];
			} else if (BPF_MODE(insn->code) == BPF_LEN) {
				value = packet->size;
			} else if (BPF_CLASS(insn->code) == BPF_LD &&
				   BPF_MODE(insn->code) == BPF_ABS &&
				   insn->k >= (__u32)SKF_AD_OFF) {
				value = a;
				if (!run_ancillary(packet, insn->k - (__u32)SKF_AD_OFF, &value, x))
					return a;
			} else if (BPF_MODE(insn->code) != BPF_IMM) {
				if (BPF_MODE(insn->code) == BPF_IND)
					value += x;
				if (!load(packet, (__s32)value, size_of(insn->code), &value))
					return 0;
				if (BPF_MODE(insn->code) == BPF_MSH)
					value = 4 * (value & 0xf);
			}
			*(BPF_CLASS(insn->code) == BPF_LD ? &a : &x) = value;
			break;
		case BPF_ST:
			mem[insn->k] = a;
			break;
		case BPF_STX:
			mem[insn->k] = x;
			break;
		case BPF_ALU:
			if ((BPF_OP(insn->code) == BPF_DIV || BPF_OP(insn->code) == BPF_MOD) &&
			    !operand)
				return 0;
			a = (__u32)calculate(BPF_OP(insn->code), a, operand, false);
			break;
		case BPF_JMP:
			if (BPF_OP(insn->code) == BPF_JA)
				insn += insn->k;
			else
				insn += compare(BPF_OP(insn->code), a, operand, false) ? insn->jt
										       : insn->jf;
			break;
		case BPF_RET:
			return BPF_RVAL(insn->code) == BPF_K ? insn->k : a;
		case BPF_MISC:
			if (BPF_MISCOP(insn->code) == BPF_TAX)
				x = a;
			else
				a = x;
			break;
		}
	}
}

/* The header buffer that translations for the simulator name. */
static const struct st_header_buffer simulated_header_buffer = {.map = 12345, .mask = 2 * CPU + 1};

#define CONTEXT_ADDRESS 0x100000000000ull
#define STACK_ADDRESS 0x200000000000ull /* of its end */
#define STACK_SIZE 512
#define BUFFER_ADDRESS 0x300000000000ull

struct ebpf_machine {
	const struct bpf_insn *insns;
	size_t count;
	struct packet *packet;
	__u64 regs[BPF_REG_10 + 1];
	bool known[BPF_REG_10 + 1]; /* written before */
	unsigned char stack[STACK_SIZE];
	bool stack_known[STACK_SIZE];
	unsigned char buffer[ST_HEADER_BUFFER]; /* of this CPU */
	size_t pc, caller;                      /* caller: where to go on, in a function */
	__u64 saved[4];
};

static __u64 get(struct ebpf_machine *m, int reg)
{
	REQUIRE(reg <= BPF_REG_10 && m->known[reg]);
	return m->regs[reg];
}

static void set(struct ebpf_machine *m, int reg, __u64 value)
{
	REQUIRE(reg < BPF_REG_10);
	m->regs[reg] = value;
	m->known[reg] = true;
}

/* Memory of size bytes in the stack, the context or the header buffer. */
static unsigned char *memory(struct ebpf_machine *m, __u64 address, __u32 size, bool aligned,
			     bool write)
{
	__u64 offset = address - (STACK_ADDRESS - STACK_SIZE);

	if (address - CONTEXT_ADDRESS < sizeof(m->packet->skb)) {
		offset = address - CONTEXT_ADDRESS;
		REQUIRE(size == 4 && offset % 4 == 0);
		REQUIRE(!write ||
			(offset >= offsetof(struct __sk_buff, cb) &&
			 offset < offsetof(struct __sk_buff, cb) + sizeof(m->packet->skb.cb)));
		return (unsigned char *)&m->packet->skb + offset;
	}
	if (address >= BUFFER_ADDRESS) {
		offset = address - BUFFER_ADDRESS - (__u64)CPU * ST_HEADER_BUFFER;
		REQUIRE(size && offset < ST_HEADER_BUFFER && offset + size <= ST_HEADER_BUFFER);
		return m->buffer + offset;
	}
	REQUIRE(size && offset < STACK_SIZE && offset + size <= STACK_SIZE);
	REQUIRE(!aligned || offset % size == 0);
	for (__u32 i = 0; i < size; i++) {
		REQUIRE(write || m->stack_known[offset + i]);
		m->stack_known[offset + i] = true;
	}
	return m->stack + offset;
}

static void call_helper(struct ebpf_machine *m, int helper)
{
	__u64 result = 0;
	__u32 length, value, from;

	switch (helper) {
	case BPF_FUNC_skb_load_bytes:
	case BPF_FUNC_skb_load_bytes_relative:
		REQUIRE(get(m, BPF_REG_1) == CONTEXT_ADDRESS);
		length = (__u32)get(m, BPF_REG_4);
		from = (__u32)get(m, BPF_REG_2);
		if (helper == BPF_FUNC_skb_load_bytes_relative) {
			REQUIRE(get(m, BPF_REG_5) <= BPF_HDR_START_NET);
			if (from > 0xffff)
				result = (__u64)-14;
			else if (get(m, BPF_REG_5) == BPF_HDR_START_NET)
				from += NETWORK_OFFSET;
		}
		if ((__u64)from + length > m->packet->size)
			result = (__u64)-14;
		unsigned char *to = memory(m, get(m, BPF_REG_3), length, false, true);

		memset(to, 0, length);
		if (!result)
			memcpy(to, m->packet->bytes + from, length);
		break;
	case BPF_FUNC_get_smp_processor_id:
		run_ancillary(m->packet, SKF_AD_CPU, &value, 0);
		result = value;
		break;
	case BPF_FUNC_get_prandom_u32:
		run_ancillary(m->packet, SKF_AD_RANDOM, &value, 0);
		result = value;
		break;
	default:
		REQUIRE(!"a known helper");
	}
	memset(m->known, 0, 6 * sizeof(*m->known));
	set(m, BPF_REG_0, result);
}

static void call_function(struct ebpf_machine *m, __s32 distance)
{
	REQUIRE(!m->caller && distance > 0 && m->pc + (size_t)distance < m->count);
	m->caller = m->pc;
	memcpy(m->saved, &m->regs[BPF_REG_6], sizeof(m->saved));
	m->pc += (size_t)distance;
}

/* From a function; the program itself has no exit. */
static void leave(struct ebpf_machine *m)
{
	REQUIRE(m->caller);
	get(m, BPF_REG_0);
	memset(&m->known[BPF_REG_1], 0, 5 * sizeof(*m->known));
	memcpy(&m->regs[BPF_REG_6], m->saved, sizeof(m->saved));
	m->pc = m->caller;
	m->caller = 0;
}

static void run_alu(struct ebpf_machine *m, const struct bpf_insn *insn)
{
	bool wide = BPF_CLASS(insn->code) == BPF_ALU64;
	int op = BPF_OP(insn->code), dst = insn->dst_reg;
	__u64 b, a;

	if (op == BPF_END) {
		REQUIRE(BPF_SRC(insn->code) == BPF_TO_BE && (insn->imm == 16 || insn->imm == 32));
		a = get(m, dst);
		set(m, dst, insn->imm == 16 ? swap16((__u32)a) : __builtin_bswap32((__u32)a));
		return;
	}
	b = BPF_SRC(insn->code) == BPF_X ? get(m, insn->src_reg) : (__u64)(__s64)insn->imm;
	a = op == BPF_MOV ? 0 : get(m, dst);
	if (!wide) {
		a = (__u32)a;
		b = (__u32)b;
	}
	/* the verifier refuses these */
	REQUIRE(BPF_SRC(insn->code) == BPF_X || (op != BPF_DIV && op != BPF_MOD) || b);
	REQUIRE(BPF_SRC(insn->code) == BPF_X || (op != BPF_LSH && op != BPF_RSH) || b < 32);
	a = calculate(op, a, b, wide);
	set(m, dst, wide ? a : (__u32)a);
}

static void run_jump(struct ebpf_machine *m, const struct bpf_insn *insn)
{
	bool wide = BPF_CLASS(insn->code) == BPF_JMP;
	int op = BPF_OP(insn->code);
	__u64 a, b;

	REQUIRE(insn->off >= 0 && m->pc + (size_t)insn->off <= m->count);
	if (op == BPF_JA) {
		m->pc += (size_t)insn->off;
		return;
	}
	a = get(m, insn->dst_reg);
	b = BPF_SRC(insn->code) == BPF_X ? get(m, insn->src_reg) : (__u64)(__s64)insn->imm;
	if (!wide) {
		a = (__u32)a;
		b = (__u32)b;
	}
	if (compare(op, a, b, wide))
		m->pc += (size_t)insn->off;
}

static void run_memory(struct ebpf_machine *m, const struct bpf_insn *insn)
{
	__u32 size = size_of(insn->code);
	__u64 value = (__u64)(__s64)insn->imm;
	bool write = BPF_CLASS(insn->code) != BPF_LDX;
	__u64 base = get(m, write ? insn->dst_reg : insn->src_reg);
	unsigned char *at;

	/* the stack: only by R10 itself and below it */
	REQUIRE(base != STACK_ADDRESS || insn->off < 0);
	if (BPF_CLASS(insn->code) == BPF_STX)
		value = get(m, insn->src_reg);
	REQUIRE(BPF_CLASS(insn->code) != BPF_ST || base != CONTEXT_ADDRESS);
	at = memory(m, base + (__u64)(__s64)insn->off, size, true, write);
	if (write) {
		memcpy(at, &value, size);
		return;
	}
	value = 0;
	memcpy(&value, at, size);
	set(m, insn->dst_reg, value);
}

/* The address of the header buffer is the only wide constant. */
static void run_wide(struct ebpf_machine *m, const struct bpf_insn *insn)
{
	REQUIRE(insn->code == (BPF_LD | BPF_DW | BPF_IMM) && insn->src_reg == BPF_PSEUDO_MAP_VALUE);
	REQUIRE(insn->imm == simulated_header_buffer.map && !insn[1].code && !insn[1].imm);
	set(m, insn->dst_reg, BUFFER_ADDRESS);
	m->pc++;
}

static void run_load(struct ebpf_machine *m, const struct bpf_insn *insn)
{
	__u32 value;
	__s32 offset = insn->imm;

	if (BPF_MODE(insn->code) == BPF_IMM) {
		run_wide(m, insn);
		return;
	}
	REQUIRE(get(m, BPF_REG_6) == CONTEXT_ADDRESS);
	if (BPF_MODE(insn->code) == BPF_IND)
		offset = (__s32)((__u32)offset + (__u32)get(m, insn->src_reg));
	memset(m->known, 0, 6 * sizeof(*m->known));
	if (load(m->packet, offset, size_of(insn->code), &value)) {
		set(m, BPF_REG_0, value);
	} else {
		set(m, BPF_REG_0, 0);
		leave(m);
	}
}

/* The verdict of translated code of this length, with its functions behind it. */
static __u32 run_translated(const struct st_code *code, size_t length, struct packet *packet)
{
	static struct ebpf_machine machine;
	struct ebpf_machine *m = &machine;

	memset(m, 0, sizeof(*m));
	m->insns = code->insns;
	m->count = code->count;
	m->packet = packet;
	memset(m->buffer, 0xa5, sizeof(m->buffer)); /* as if from the packet before */
	m->regs[BPF_REG_10] = STACK_ADDRESS;
	m->known[BPF_REG_10] = true;
	set(m, BPF_REG_1, CONTEXT_ADDRESS);
	while (m->pc != length) {
		const struct bpf_insn *insn = &m->insns[m->pc++];

		REQUIRE(m->pc <= m->count);
		switch (BPF_CLASS(insn->code)) {
		case BPF_ALU:
		case BPF_ALU64:
			run_alu(m, insn);
			break;
		case BPF_JMP:
		case BPF_JMP32:
			if (insn->code == (BPF_JMP | BPF_EXIT))
				leave(m);
			else if (insn->code == (BPF_JMP | BPF_CALL) && insn->src_reg)
				call_function(m, insn->imm);
			else if (insn->code == (BPF_JMP | BPF_CALL))
				call_helper(m, insn->imm);
			else
				run_jump(m, insn);
			break;
		case BPF_LD:
			run_load(m, insn);
			break;
		default:
			run_memory(m, insn);
		}
	}
	REQUIRE(!m->caller && get(m, BPF_REG_6) == CONTEXT_ADDRESS);
	REQUIRE(get(m, BPF_REG_0) <= 0xffffffff);
	return (__u32)m->regs[BPF_REG_0];
}

#endif
