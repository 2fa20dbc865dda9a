/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What the files share that write a group's code. */
#ifndef SOCKTALLY_PLUGIN_GROUPS_EMIT_H
#define SOCKTALLY_PLUGIN_GROUPS_EMIT_H

#include "bpf/parse/packet.h"
#include "plugin/groups/program.h"
#include "plugin/translate/internal.h"

#include <string.h>

#define REG_CHAIN BPF_REG_7  /* this CPU's struct st_region */
#define REG_REGION BPF_REG_8 /* this CPU's struct st_group_region */

#define ST_GROUP_REGION(MEMBER) ((int)offsetof(struct st_group_region, MEMBER))
#define ST_GROUP_CHAIN(MEMBER)                                                                     \
	((int)(offsetof(struct st_region, chain) + offsetof(struct socktally_chain, MEMBER)))
#define ST_GROUP_PACKET(MEMBER)                                                                    \
	(ST_GROUP_CHAIN(packet) + (int)offsetof(struct socktally_packet, MEMBER))

/* On the stack. */
#define ST_GROUP_STACK_CPU (-4)
#define ST_GROUP_STACK_OFFSET (-16)
#define ST_GROUP_STACK_START (-24)

/* In the header buffer, behind what the parser uses: bytes that are loaded for a field. */
#define ST_GROUP_BYTES (ST_HEADERS_LOAD + ST_WINDOW + 4)
_Static_assert(ST_GROUP_BYTES + ST_WINDOW <= ST_HEADER_BUFFER, "room for a header's fields");

/* IEEE 802.3, 3.2.6: up to there it is a length. */
#define ST_GROUP_LENGTH_MAX 1500

/* Places from which the code goes on without a key. */
#define ST_GROUP_NONE_JUMPS 256

struct st_group_emission {
	struct st_code *code;
	const struct st_group_key *key;
	size_t none[ST_GROUP_NONE_JUMPS];
	size_t none_count;
	bool written[ST_GROUP_WORDS]; /* words of the key that have something in them */
};

void st_group_emit(struct st_group_emission *e, struct bpf_insn insn);
/* A jump whose end is the place where st_group_land() is called. */
size_t st_group_jump(struct st_group_emission *e, struct bpf_insn insn);
void st_group_land(struct st_group_emission *e, size_t from);
/* A jump to the end of all that have no key. */
void st_group_none(struct st_group_emission *e, struct bpf_insn insn);

void st_group_emit_and(struct st_group_emission *e, int reg, uint64_t mask);
void st_group_emit_put(struct st_group_emission *e, const struct st_group_key_place *place);
/* R1 is the field's value; its mask comes here. */
void st_group_emit_value(struct st_group_emission *e, const struct st_group_key_field *field);

/*
 * The fields whose bits are set, which are of one layer: R2 is where it starts, R5 its number. Of addresses,
 * R4 is its protocol; of tags and Ethernet, the number is in the region's `layer` as well.
 */
void st_group_emit_fields(struct st_group_emission *e, uint32_t fields);

/* --- layers.c */

/* Finds the layer of these fields, for st_group_emit_fields(); or none. */
void st_group_emit_search(struct st_group_emission *e, const struct st_group_key_field *field);
/* reg = where the layer starts whose number is R5, or its protocol. R1 is lost. */
void st_group_emit_layer_offset(struct st_group_emission *e, int reg);
void st_group_emit_layer(struct st_group_emission *e, int reg);

/* --- packet.c */

/* A field of the packet as a whole. */
void st_group_emit_packet(struct st_group_emission *e, const struct st_group_key_field *field);

#endif
