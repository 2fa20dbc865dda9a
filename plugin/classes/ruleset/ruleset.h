/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * A compiler of many classic filters to one rule set, which tells which of them accept a packet.
 * The cost hardly grows with their number.
 *
 * Symbolic execution of each filter gives the conjunctions of conditions on which it accepts.
 * Conditions that many conjunctions share are tested once. Conjunctions that differ only in the
 * values of fields ("port 53", "port 80", ...) become one hash table, with the fields as its key. A
 * filter that symbolic execution can't follow stays a filter and is run. For every packet the
 * result is the same as that of all filters, run one by one.
 *
 * A rule set is a list of struct st_op. st_ruleset_run() interprets it, st_ruleset_emit() compiles
 * it to eBPF.
 */
#ifndef SOCKTALLY_PLUGIN_CLASSES_RULESET_RULESET_H
#define SOCKTALLY_PLUGIN_CLASSES_RULESET_RULESET_H

#include "bpf/classes.h"
#include "bpf/parse/packet.h"
#include "plugin/translate/translate.h"

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum st_field_kind {
	ST_FIELD_BYTES,     /* at `offset` from the start of the packet */
	ST_FIELD_BEHIND,    /* at `offset` behind the IPv4 header that starts at `base` */
	ST_FIELD_CAPLEN,    /* captured length */
	ST_FIELD_ROOM,      /* captured length less that of the IPv4 header at `base` */
	ST_FIELD_LEN,       /* length of the packet; in the kernel the same as CAPLEN */
	ST_FIELD_ANCILLARY, /* offset: SKF_AD_PROTOCOL and so on */
};

/* A number that conditions are about, in host byte order. */
struct st_field {
	uint8_t kind;
	uint8_t size;  /* 1, 2 or 4 bytes in the packet */
	uint16_t base; /* BEHIND, ROOM: see there */
	uint32_t offset;
	uint32_t mask; /* the bits that count */
};

/* The field is in low..high, or with `outside` is not. */
struct st_condition {
	uint16_t field; /* index in struct st_fields */
	bool outside;
	uint32_t low, high;
};

static inline bool st_condition_is_value(const struct st_condition *condition)
{
	return !condition->outside && condition->low == condition->high;
}

/*
 * A filter with more conditions in a conjunction, or more conjunctions, stays a filter. Of 1,000 random
 * expressions it is 56; with 12 conditions 80, and with 24 again 56. A filter of ten ports has 120
 * conjunctions.
 */
#define ST_CONJUNCTION_CONDITIONS 16
#define ST_FILTER_CONJUNCTIONS 128

/* The filter accepts if all conditions hold. */
struct st_conjunction {
	uint32_t filter; /* the filter's index during symbolic execution, then its number */
	uint32_t count;
	struct st_condition conditions[ST_CONJUNCTION_CONDITIONS];
};

struct st_conjunctions {
	struct st_conjunction *items; /* malloc'ed */
	size_t count, room;
};

struct st_fields {
	struct st_field *field; /* malloc'ed */
	size_t count, room;
};

/* Rule sets look at this part of a packet only; a filter that looks further stays a filter. */
#define ST_RULESET_HEADERS ST_HEADERS_LOAD

/* A filter, and the number that stands for it in the result. */
struct st_filter {
	const struct sock_filter *insns;
	size_t count;
	uint32_t number; /* below 2^31 */
};

enum st_op_kind {
	ST_OP_TEST,   /* if the condition holds the next op, else the one after `skip` more */
	ST_OP_MATCH,  /* the packet meets a list */
	ST_OP_LOOKUP, /* it meets the list that a table has for its key, if there is one */
	ST_OP_FILTER, /* it meets a list if a filter accepts it */
};

struct st_op {
	enum st_op_kind kind;
	uint32_t skip;
	struct st_condition condition;
	uint32_t list;  /* MATCH, FILTER: index in `lists` */
	uint32_t index; /* LOOKUP: of the table; FILTER: of the filter */
};

#define ST_KEY_WORDS 4
#define ST_KEY_FIELDS 16
#define ST_PROBE_MAX                                                                               \
	4 /* with 2, the tables of 1,000 ports are 2.5 times as large; none is faster */

/* The place of a field in a table's key. */
struct st_key_field {
	uint16_t field;
	uint8_t word;
	uint8_t shift;
};

/*
 * A hash table in `words`. A slot is `key_words` words of key, and a word with a list's index plus
 * 1, or 0 if the slot is empty. A key is in its first slot (see st_key_hash()) or one of the next
 * `probes` - 1, with no empty slot before it. There are 2^bits + probes - 1 slots, so that no
 * search wraps around.
 */
struct st_table {
	uint32_t first; /* index in `words` */
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
	uint32_t *lists; /* numbers of filters; ST_LIST_END is set in the last of each list */
	size_t list_count, list_room;
	struct st_filter *filters; /* those that stay filters; the caller owns their instructions */
	size_t filter_count, filter_room;
	size_t longest; /* most numbers that a packet can meet, each counted as often as it is met */
	size_t pushes;  /* most lists that a packet can meet */
	bool first;     /* lists have the smallest number only */
};

/*
 * Makes the rule set. The filters must be valid (st_check_classic) and live as long as it. first:
 * only the smallest number that accepts is of interest. -ENOMEM; -E2BIG.
 */
int st_ruleset_make(struct st_ruleset *ruleset, const struct st_filter *filters, size_t count,
		    bool first);
void st_ruleset_free(struct st_ruleset *ruleset);

/* A packet outside of the kernel. What a capture file does not say is 0. */
struct st_ruleset_packet {
	const uint8_t *data;
	uint32_t caplen, len;
	uint32_t ancillary[64]; /* by SKF_AD_ number */
};

/* Calls fn with the index of each list that the packet meets; the same one may come twice. */
typedef void (*st_ruleset_fn)(void *ctx, uint32_t list);
void st_ruleset_run(const struct st_ruleset *ruleset, const struct st_ruleset_packet *packet,
		    st_ruleset_fn fn, void *ctx);

/* The verdict of a valid classic filter. */
uint32_t st_filter_run(const struct sock_filter *insns, size_t count,
		       const struct st_ruleset_packet *packet);

/*
 * Where the eBPF program of a rule set finds its data. There must be room for `pushes` lists in the
 * region.
 */
struct st_ruleset_place {
	int data_map;            /* array of one element, with the words of all rule sets */
	uint32_t words;          /* offset of this one's words, in bytes */
	uint32_t lists;          /* added to each index of a list */
	int regions_map;         /* array of struct st_class_region, one for each CPU */
	size_t first_op, end_op; /* the ops to emit; a test must not skip beyond end_op */
};

/*
 * Appends the rule set as eBPF, for packets of one kind of link (cb[ST_CB_LINK]). Before: R6 is the
 * context, this CPU's region has `len`, and the header buffer (code->header_buffer) has the start
 * of the packet. After: the region has the lists that the packet has met, R6 is the context, all
 * other registers are lost. *what as in st_translate(), for a filter that can't be expressed.
 */
int st_ruleset_emit(struct st_code *code, const struct st_ruleset *ruleset, uint32_t link,
		    const struct st_ruleset_place *place, const char **what);

/*
 * reg = this CPU's element of a map; R0 to R5 are lost. Jumps over `skip` instructions if there is
 * none.
 */
void st_emit_region(struct st_code *code, int map, int reg, int skip);

/* --- what the files of the compiler share */

/*
 * Appends the conjunctions of the filter. False: it has to stay a filter. *error: -ENOMEM or
 * -E2BIG.
 */
bool st_filter_symexec(struct st_fields *fields, const struct sock_filter *insns, uint32_t filter,
		       struct st_conjunctions *conjunctions, int *error);
/* Removes redundant conditions and conjunctions of one filter, which are those from `first` on. */
void st_conjunctions_simplify(const struct st_fields *fields, struct st_conjunctions *conjunctions,
			      size_t first);

/* Adds a condition. False: it contradicts the others, or (*full) there is no room. */
bool st_conjunction_add(const struct st_fields *fields, struct st_conjunction *conjunction,
			struct st_condition condition, bool *full);
/* Whether the conjunction implies the condition. but: index of a condition to leave out, or -1. */
bool st_conjunction_implies(const struct st_fields *fields,
			    const struct st_conjunction *conjunction, int but,
			    const struct st_condition *condition);

int st_field_number(struct st_fields *fields, const struct st_field *field);
bool st_field_is_length(const struct st_field *field);
uint32_t st_field_max(const struct st_field *field);

/* Makes room for one more item in an array; false if there is no memory. */
bool st_grow(void *items, size_t count, size_t *room, size_t size);

/* A 64-bit hash of a key: its highest bits are the index of the key's first slot. */
uint64_t st_key_hash(const uint64_t *words, unsigned int count);
#define ST_KEY_FACTOR 0x9e3779b97f4a7c15ull

#endif
