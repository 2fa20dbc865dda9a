/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The kernel's program for the classes of a meter. */
#ifndef SOCKTALLY_PLUGIN_CLASSES_PROGRAM_H
#define SOCKTALLY_PLUGIN_CLASSES_PROGRAM_H

#include "bpf/classes.h"
#include "plugin/classes/ruleset/ruleset.h"

/* The classes' filters for one kind of link. */
struct st_class_link {
	uint32_t link; /* as in cb[ST_CB_LINK] */
	struct st_ruleset decision;
	struct st_ruleset_place place;
};

/*
 * Data for the program, as the value of a map: the words of all decisions, then `lists`: first, for
 * each number, the cell that counts it, then the decisions' lists, filled up to a power of two.
 */
struct st_class_data {
	uint64_t *value; /* malloc'ed */
	size_t size;
	size_t lists;      /* bytes before them */
	size_t list_count; /* a power of two */
};

struct st_class_plan {
	struct st_class_link *links;
	size_t link_count;
	const uint32_t *cells; /* of each number */
	uint32_t numbers;
	uint32_t slots; /* cells in a region: a power of two */
	bool first;     /* only the smallest number that is met counts */
	int regions_map, data_map;
	int chain_map;    /* the meter's regions, with the chain's state */
	int programs_map; /* the chain */
	const struct st_header_buffer *blocks;
	unsigned int parts;
	int parts_map; /* with the parts, if there are more than one, by their numbers */
};

/* Makes the data, and sets each link's place but for the maps, which are made then. */
int st_class_data_make(struct st_class_plan *plan, struct st_class_data *data);

/*
 * The verifier has its limits, and filters that stay filters are most of its work: they are spread over
 * so many programs. A packet may make 33 tail calls: one to the chain, two for the parser's further
 * parts, 28 for hooks and one for the tally.
 */
#define ST_CLASS_PARTS_MAX 2
unsigned int st_class_parts(const struct st_class_plan *plan);

/* Writes a part of the program. *what as in st_translate(). */
int st_class_program_emit(struct st_code *code, const struct st_class_plan *plan,
			  const struct st_class_data *data, unsigned int part, const char **what);

#endif
