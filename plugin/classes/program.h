/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The eBPF program for the classes of a meter. */
#ifndef SOCKTALLY_PLUGIN_CLASSES_PROGRAM_H
#define SOCKTALLY_PLUGIN_CLASSES_PROGRAM_H

#include "bpf/classes.h"
#include "plugin/classes/ruleset/ruleset.h"

/* The rule set for one kind of link. */
struct st_class_link {
	uint32_t link; /* value of cb[ST_CB_LINK] */
	struct st_ruleset ruleset;
	struct st_ruleset_place place;
};

/*
 * The program's data, as the value of a map: the words of all rule sets, then `lists`. These begin
 * with the cell of each number; then come the lists of the rule sets, filled up to a power of two.
 */
struct st_class_data {
	uint64_t *value; /* malloc'ed */
	size_t size;
	size_t lists;      /* offset in bytes */
	size_t list_count; /* a power of two */
};

struct st_class_plan {
	struct st_class_link *links;
	size_t link_count;
	const uint32_t *cells; /* for each number */
	uint32_t numbers;
	uint32_t slots; /* cells in a region: a power of two */
	bool first;     /* only the smallest number counts */
	int regions_map, data_map;
	int chain_map; /* the meter's regions, which have the chain's state */
	const struct st_header_buffer *header_buffer;
	unsigned int parts;
	int parts_map; /* the parts by their numbers, then the program that counts */
};

/* Makes the data, and sets each link's place but for the maps. */
int st_class_data_make(struct st_class_plan *plan, struct st_class_data *data);

/*
 * Filters that stay filters are most of the verifier's work; with many of them, the program is divided
 * into parts so that none exceeds the verifier's limit.
 */
#define ST_CLASS_PARTS_MAX 2
unsigned int st_class_parts(const struct st_class_plan *plan);

/* The steps of counting that a packet needs at most; -E2BIG: more than there may be. */
int st_class_rounds(const struct st_class_plan *plan, uint32_t *rounds);

/* Writes a part of the program, which goes on with the next part. *what as in st_translate(). */
int st_class_program_emit(struct st_code *code, const struct st_class_plan *plan, unsigned int part,
			  const char **what);

#endif
