/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * One decision from many classic filters: which of them accept a packet, at a cost that hardly grows
 * with their number.
 *
 * Each filter is walked through symbolically and becomes the ways on which it accepts: conjunctions
 * of conditions on fields of the packet. Conditions that many ways share are tested once; ways that
 * differ only in what fields must be equal to ("port 53", "port 80", ...) become one table, and the
 * fields its key. What the walk can't follow stays a filter and is run as one. The outcome is the
 * same as that of all filters, run one by one, on every packet.
 *
 * The result is a short program of its own kind (struct st_op), which is run natively
 * (st_ruleset_run) or compiled to eBPF (st_ruleset_emit).
 */
#ifndef SOCKTALLY_PLUGIN_CLASSES_RULESET_RULESET_H
#define SOCKTALLY_PLUGIN_CLASSES_RULESET_RULESET_H

#include "bpf/parse/packet.h"
#include "plugin/translate/translate.h"

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum st_field_kind {
	ST_FIELD_BYTES,     /* at an offset from the start of the packet */
	ST_FIELD_BEHIND,    /* at an offset from 4 * (packet[base] & 0xf): behind an IPv4 header */
	ST_FIELD_CAPLEN,    /* bytes of the packet that are there */
	ST_FIELD_ROOM,      /* CAPLEN less 4 * (packet[base] & 0xf) */
	ST_FIELD_LEN,       /* the packet's length; live the same as CAPLEN */
	ST_FIELD_ANCILLARY, /* offset: SKF_AD_PROTOCOL, ... */
};

/* A number that a condition looks at, as the classic machine sees it. */
struct st_field {
	uint8_t kind;
	uint8_t size;  /* 1, 2 or 4 bytes, of those in the packet */
	uint16_t base; /* BEHIND, ROOM: offset of the byte with the header's length */
	uint32_t offset;
	uint32_t mask; /* of what counts */
};

/* The field is in low..high; or, outside, isn't. */
struct st_condition {
	uint16_t field; /* number in struct st_fields */
	bool outside;
	uint32_t low, high;
};

/* Beyond these a filter stays one. */
#define ST_CONJUNCTION_CONDITIONS 24
#define ST_FILTER_CONJUNCTIONS 128

/* A way on which a filter accepts: all of the conditions hold. */
struct st_conjunction {
	uint32_t filter; /* while ways are made its index, then its number */
	uint32_t count;
	struct st_condition conditions[ST_CONJUNCTION_CONDITIONS];
};

struct st_conjunctions {
	struct st_conjunction *way; /* malloc'ed */
	size_t count, room;
};

struct st_fields {
	struct st_field *field; /* malloc'ed */
	size_t count, room;
};

/* All bytes that a decision looks at come before this; filters that look further stay filters. */
#define ST_RULESET_HEADERS ST_BLOCK_LOAD

/* What is to be decided: filters, each with the number that stands for it in the outcome. */
struct st_filter {
	const struct sock_filter *insns;
	size_t count;
	uint32_t number; /* below 2^31 */
};

enum st_op_kind {
	ST_OP_TEST,   /* goes on with the next op if the condition holds, else behind `skip` more */
	ST_OP_MATCH,  /* the filters of a list accept */
	ST_OP_LOOKUP, /* those that a table has for the packet's key, if any */
	ST_OP_FILTER, /* those of the list, if a filter accepts */
};

struct st_op {
	enum st_op_kind kind;
	uint32_t skip;
	struct st_condition condition;
	uint32_t list;  /* MATCH, FILTER: index in `lists` */
	uint32_t index; /* LOOKUP: of a table; FILTER: of a filter */
};

#define ST_KEY_WORDS 4
#define ST_KEY_FIELDS 16
#define ST_PROBE_MAX 4

/* Where a field goes in a table's key. */
struct st_key_field {
	uint16_t field;
	uint8_t word;
	uint8_t shift;
};

/*
 * A hash table in `words`: slots of `key_words` words of key and one with a list's index plus 1, 0
 * for an empty slot. A key is in its own slot or one of the next `probes` - 1, with no empty one
 * before it; there are 2^bits + probes - 1 slots, so that none wraps.
 */
struct st_table {
	uint32_t first; /* in `words` */
	uint8_t bits;
	uint8_t key_words;
	uint8_t probes;
	uint8_t field_count;
	struct st_key_field fields[ST_KEY_FIELDS];
};

struct st_ruleset {
	struct st_fields fields;
	struct st_op *ops;
	size_t op_count, op_room;
	struct st_table *tables;
	size_t table_count, table_room;
	uint64_t *words; /* of all tables */
	size_t word_count, word_room;
	uint32_t *lists; /* numbers of filters; the last of a list has ST_LIST_END set */
	size_t list_count, list_room;
	struct st_filter *filters; /* that stay filters; their instructions are the caller's */
	size_t filter_count, filter_room;
	size_t longest; /* numbers that a packet can meet at most, each as often as it is met */
	size_t pushes;  /* lists that it can meet */
	bool first;     /* of a list only the smallest number is kept */
};
#define ST_LIST_END 0x80000000u

/*
 * Makes the decision; filters must outlive it. first: only the smallest number of all that accept is
 * asked for. The filters are valid (st_check_classic). -ENOMEM; -E2BIG.
 */
int st_ruleset_make(struct st_ruleset *decision, const struct st_filter *filters, size_t count,
		    bool first);
void st_ruleset_free(struct st_ruleset *decision);

/* A packet outside the kernel. What a file doesn't know is 0. */
struct st_ruleset_packet {
	const uint8_t *data;
	uint32_t caplen, len;
	uint32_t ancillary[64]; /* SKF_AD_PROTOCOL and so on: what a decision may look at */
};

/* Calls fn with the index of each list that the packet meets. */
typedef void (*st_ruleset_fn)(void *ctx, uint32_t list);
void st_ruleset_run(const struct st_ruleset *decision, const struct st_ruleset_packet *packet,
		    st_ruleset_fn fn, void *ctx);

/* The verdict of a classic filter; valid (st_check_classic). What ancillary[] lacks is 0. */
uint32_t st_filter_run(const struct sock_filter *insns, size_t count,
		       const struct st_ruleset_packet *packet);

/*
 * Where a decision's data is when it runs as eBPF: a map's value, and what comes in it from where on.
 * There is room for `pushes` indexes of lists.
 */
struct st_ruleset_place {
	int data_map;            /* array of one element, with the words of all decisions */
	uint32_t words;          /* bytes before this one's */
	uint32_t lists;          /* to be added to an index of a list */
	int regions_map;         /* array of struct st_class_region, one a CPU */
	size_t first_op, end_op; /* those that are wanted; tests and what they skip go together */
};

/*
 * Appends the decision as eBPF, for packets of one kind of link (cb[ST_CB_LINK]). It needs the context
 * in R6, `len` in this CPU's region and the packet's first bytes in its block (code->blocks); it puts
 * the lists that are met into the region, and falls out at its end with the context in R6. *what as in st_translate(), for a
 * filter that can't be expressed.
 */
int st_ruleset_emit(struct st_code *code, const struct st_ruleset *decision, uint32_t link,
		    const struct st_ruleset_place *place, const char **what);

/* reg = this CPU's element of a map, R0 to R5 are lost; goes over `skip` instructions if there is none. */
void st_emit_region(struct st_code *code, int map, int reg, int skip);

/* --- the parts among themselves */

/* Appends the filter's ways. False: it has to stay a filter. *error: -ENOMEM. */
bool st_filter_symexec(struct st_fields *fields, const struct sock_filter *insns, uint32_t filter,
		       struct st_conjunctions *ways, int *error);
/* Drops conditions and ways from `first` on that the other ways of the same filter make needless. */
void st_conjunctions_simplify(const struct st_fields *fields, struct st_conjunctions *ways,
			      size_t first);

/* Adds the condition to those of the way: false if it contradicts them or (*full) there is no room. */
bool st_conjunction_add(const struct st_fields *fields, struct st_conjunction *way,
			struct st_condition condition, bool *full);
/* Whether the conditions of the way imply it. but: the index of one that is left out, or -1. */
bool st_conjunction_implies(const struct st_fields *fields, const struct st_conjunction *way,
			    int but, const struct st_condition *condition);

int st_field_number(struct st_fields *fields, const struct st_field *field);
bool st_field_is_length(const struct st_field *field);
uint32_t st_field_max(const struct st_field *field);

/* Grows an array of items to have room for one more: false if there is no memory. */
bool st_grow(void *items, size_t count, size_t *room, size_t size);

/* A 64-bit hash of a key; the table's slot is its highest bits. */
uint64_t st_key_hash(const uint64_t *words, unsigned int count);
#define ST_KEY_FACTOR 0x9e3779b97f4a7c15ull

#endif
