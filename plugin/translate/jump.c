/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Jumps are forward to instructions that are not written yet: a jump waits in the list of its
 * label. eBPF's offsets have 16 bits, so a jump that has waited long is sent to an island: another
 * jump on the way, which waits instead.
 */
#include "plugin/translate/internal.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

/*
 * A jump gets an island after so many instructions; when one is made, all jumps that have waited
 * for ISLAND_SHARE get one.
 */
#define ISLAND_AFTER 24000
#define ISLAND_SHARE 12000

void st_code_emit(struct st_code *code, struct bpf_insn insn)
{
	if (code->error)
		return;
	if (code->count == code->room) {
		size_t room = code->room ? 2 * code->room : 64;
		struct bpf_insn *insns;

		if (room > SIZE_MAX / sizeof(*insns) / 2) {
			code->error = -E2BIG;
			return;
		}
		insns = realloc(code->insns, room * sizeof(*insns));
		if (!insns) {
			code->error = -ENOMEM;
			return;
		}
		code->insns = insns;
		code->room = room;
	}
	code->insns[code->count++] = insn;
}

void st_code_tail_call(struct st_code *code, int map)
{
	st_code_emit(code, ST_MOV(BPF_REG_1, REG_CTX));
	st_code_emit(code, ST_MAP(BPF_REG_2, map));
	st_code_emit(code, st_insn(0, 0, 0, 0, 0)); /* its second half */
	st_code_emit(code, ST_CALL(BPF_FUNC_tail_call));
}

void st_code_free(struct st_code *code)
{
	free(code->insns);
	*code = (struct st_code){0};
}

static void add_fixup(struct st_translation *t, __u32 label)
{
	if (t->code->error)
		return;
	if (t->fixup_count == t->fixup_room) {
		size_t room = t->fixup_room ? 2 * t->fixup_room : 64;
		struct st_fixup *fixups = realloc(t->fixups, room * sizeof(*fixups));

		if (!fixups) {
			t->code->error = -ENOMEM;
			return;
		}
		t->fixups = fixups;
		t->fixup_room = room;
	}
	t->fixups[t->fixup_count] = (struct st_fixup){
		.at = t->code->count - 1,
		.label = label,
		.next = t->waiting[label],
	};
	t->waiting[label] = (__u32)t->fixup_count++;
}

/* jump: its offset is set later. */
void st_jump(struct st_translation *t, struct bpf_insn jump, __u32 label)
{
	st_code_emit(t->code, jump);
	add_fixup(t, label);
}

/* Sends all that wait for the label to the next instruction. */
static void land(struct st_translation *t, __u32 label)
{
	__u32 i = t->waiting[label];

	if (i == ST_NO_FIXUP)
		return;
	t->waiting[label] = ST_NO_FIXUP;
	t->fixed = t->code->count;
	while (i != ST_NO_FIXUP) {
		struct st_fixup *fixup = &t->fixups[i];
		size_t off = t->code->count - fixup->at - 1;

		if (off > INT16_MAX) {
			t->code->error = -E2BIG;
			return;
		}
		t->code->insns[fixup->at].off = (__s16)off;
		fixup->at = SIZE_MAX;
		i = fixup->next;
	}
}

void st_bind(struct st_translation *t, __u32 label)
{
	struct st_code *code = t->code;
	__u32 last = t->waiting[label];

	if (code->error)
		return;
	/*
	 * A jump to the next instruction is removed; others that wait for the label take its place.
	 */
	if (last != ST_NO_FIXUP && t->fixups[last].at == code->count - 1 &&
	    code->count > t->fixed && code->insns[code->count - 1].code == (BPF_JMP | BPF_JA)) {
		t->waiting[label] = t->fixups[last].next;
		t->fixups[last].at = SIZE_MAX;
		code->count--;
	}
	land(t, label);
}

/*
 * To be called between instructions that no jump with a fixed offset spans; fall-through is
 * allowed.
 */
void st_island(struct st_translation *t)
{
	struct st_code *code = t->code;
	size_t over, known = t->fixup_count;

	while (t->fixup_oldest < known && t->fixups[t->fixup_oldest].at == SIZE_MAX)
		t->fixup_oldest++;
	if (code->error || t->fixup_oldest == known ||
	    code->count - t->fixups[t->fixup_oldest].at < ISLAND_AFTER)
		return;

	over = code->count;
	st_code_emit(code, ST_JA(0));
	for (size_t i = t->fixup_oldest; i < known && !code->error; i++) {
		__u32 label = t->fixups[i].label;

		if (t->fixups[i].at == SIZE_MAX)
			continue;
		if (over - t->fixups[i].at < ISLAND_SHARE)
			break;
		land(t, label);
		st_jump(t, ST_JA(0), label);
	}
	if (!code->error)
		code->insns[over].off = (__s16)(code->count - over - 1);
	t->fixed = code->count;
}
