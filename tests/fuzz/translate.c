/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Fuzzes the translator: any bytes as a filter. What it accepts jumps forward to inside only, has
 * nothing that nothing reaches, and gives the verdict that the classic filter gives.
 */
#include "tests/unit/translate/simulate.h"

#include <stdint.h>

#define FILTER_ROOM 5000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Any bytes made a filter that is refused for scratch memory at most: for what comes after the check. */
static void repair(struct sock_filter *insns, size_t count)
{
	static const uint8_t codes[] = {
		0x04, 0x0c, 0x14, 0x1c, 0x24, 0x2c, 0x34, 0x3c, 0x54, 0x5c, 0x44, 0x4c, 0xa4, 0xac,
		0x64, 0x6c, 0x74, 0x7c, 0x94, 0x9c, 0x84, 0x20, 0x28, 0x30, 0x80, 0x40, 0x48, 0x50,
		0x00, 0x60, 0x81, 0xb1, 0x01, 0x61, 0x02, 0x03, 0x07, 0x87, 0x06, 0x16, 0x05, 0x15,
		0x1d, 0x35, 0x3d, 0x25, 0x2d, 0x45, 0x4d, 0x20, 0x28, 0x30, 0xb1, 0x48,
	};

	for (size_t i = 0; i < count; i++) {
		struct sock_filter *insn = &insns[i];
		size_t left = count - i - 1;

		insn->code = codes[insn->code % sizeof(codes)];
		if (!left)
			insn->code = BPF_RET | (insn->code & BPF_A);
		if (BPF_CLASS(insn->code) == BPF_JMP) {
			insn->jt %= left;
			insn->jf %= left;
			if (BPF_OP(insn->code) == BPF_JA)
				insn->k %= left;
		}
		if (BPF_CLASS(insn->code) == BPF_ALU && BPF_SRC(insn->code) == BPF_K) {
			if (BPF_OP(insn->code) == BPF_LSH || BPF_OP(insn->code) == BPF_RSH)
				insn->k %= 32;
			insn->k += insn->k == 0;
		}
		if (insn->code == BPF_ST || insn->code == BPF_STX ||
		    (BPF_CLASS(insn->code) <= BPF_LDX && BPF_MODE(insn->code) == BPF_MEM))
			insn->k %= BPF_MEMWORDS;
	}
}

static size_t target(const struct st_code *code, size_t pc)
{
	REQUIRE(code->insns[pc].off >= 0);
	return pc + 1 + (size_t)code->insns[pc].off;
}

/* What can be reached goes on to inside, and all can. */
static void check_ways(const struct st_code *code, size_t length)
{
	bool *reached = calloc(length + 1, 1);

	REQUIRE(reached);
	reached[0] = true;
	for (size_t pc = 0; pc < length; pc++) {
		int class = BPF_CLASS(code->insns[pc].code), op = BPF_OP(code->insns[pc].code);
		bool jump = (class == BPF_JMP || class == BPF_JMP32) && op != BPF_CALL;

		REQUIRE(reached[pc] && op + class != BPF_EXIT + BPF_JMP);
		if (jump) {
			REQUIRE(target(code, pc) <= length);
			reached[target(code, pc)] = true;
		}
		if (!jump || op != BPF_JA)
			reached[pc + 1] = true;
	}
	REQUIRE(reached[length]);
	free(reached);
}

static void compare_verdicts(const struct sock_filter *insns, const struct st_code *code,
			     size_t length, const uint8_t *data, size_t size)
{
	static const uint32_t sizes[] = {0, 1, 14, 20, 33, 60, 97, 130, 300};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		unsigned char bytes[300];
		struct packet packet = {.bytes = bytes, .size = sizes[i]};

		for (size_t at = 0; at < sizeof(bytes); at++)
			bytes[at] = size ? data[(at + i) % size] : 0;
		packet.skb = (struct __sk_buff){
			.len = packet.size,
			.pkt_type = i & 7,
			.mark = 0x80000001,
			.queue_mapping = 0xfffe,
			.protocol = 0x0008,
			.vlan_present = i & 1,
			.vlan_tci = 0x6007,
			.vlan_proto = 0xa888,
			.ifindex = i & 3,
			.hash = 0xfedcba98,
		};
		REQUIRE(run_classic(insns, &packet) == run_translated(code, length, &packet));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sock_filter insns[FILTER_ROOM];
	struct st_code code = {
		.plain = size % 8 & 1,
		.header_buffer = size % 8 & 4 ? NULL : &simulated_header_buffer,
	};
	size_t count = size / 8 < FILTER_ROOM ? size / 8 : FILTER_ROOM, length;
	const char *what;
	int error;

	memcpy(insns, data, count * 8);
	if (size % 8 & 2)
		repair(insns, count);
	error = st_translate(&code, count ? insns : NULL, count, &what);
	REQUIRE(error == 0 || error == -22 || (error == -95 && what) || error == -7);
	length = code.count;
	if (!error && count) {
		check_ways(&code, length);
		/* something stands between a piece and its functions */
		st_code_emit(&code, (struct bpf_insn){.code = BPF_JMP | BPF_EXIT});
		REQUIRE(!st_code_finish(&code));
		compare_verdicts(insns, &code, length, data, size);
	}
	st_code_free(&code);
	return 0;
}
