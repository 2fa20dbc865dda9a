/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The classes of a meter: named filters, and how many packets each accepts. */
#ifndef SOCKTALLY_PLUGIN_CLASSES_CLASSES_H
#define SOCKTALLY_PLUGIN_CLASSES_CLASSES_H

#include "plugin/classes/program.h"
#include "plugin/hooks/hook.h"
#include "plugin/meter/attachment.h"
#include "bpf/tally.h"

#define ST_CLASS_NAME_MAX 128
/* The name of the row that counts packets in no class. */
#define ST_CLASS_NONE "none"
#define ST_CLASSES_MAX 65536

/* A class's filter for one kind of link. count 0: there the class has none and never matches. */
struct st_class_filter {
	struct sock_filter *insns;
	size_t count;
};

struct st_class {
	char *name;
	char *expression;             /* NULL if the class was given as a filter */
	struct st_class_filter given; /* the filter that the class was given as */
	uint32_t linktype;            /* of the filter that was given */
	/* the expression with "vlan" on Ethernet, compiled for tags in the metadata */
	struct st_class_filter tagged;
	uint32_t cell;
};

/* The counters of all CPUs: in a map, or (map -1) in memory. */
struct st_class_counters {
	int map;
	uint32_t cpus;
	uint32_t slots; /* a power of two */
	size_t region_size;
	uint8_t *regions;
	bool *used; /* for each cell */
	/* by direction: at the start of the class; subtracted when the cell is read */
	struct socktally_counts (*base)[2];
};

struct st_pcap; /* compile.c */

/* What filters are compiled for: a kind of link, live or in a file. */
struct st_class_target {
	uint32_t link; /* live: enum st_link; in a file: LINKTYPE_ number */
	bool live;
};

/* The filters of all classes for one kind of link, and the rule set made of them. */
struct st_class_ruleset {
	struct st_class_target target;
	struct st_class_filter *filters;
	size_t count;
	struct st_ruleset ruleset;
};

struct st_classes {
	struct st_class *class;
	size_t count;
	bool first;
	int32_t priority;
	struct st_class_counters counters;
	struct st_hook *hook; /* in the chain; NULL in user space */
	/* for the links of the meter's sockets; in user space for those seen in files */
	struct st_class_ruleset *rulesets;
	size_t ruleset_count;
};

void st_classes_free(struct socktally *meter);

/*
 * A socket of this kind of link is about to be attached: makes a rule set for it, unless there is
 * one. 0 or the error, which is noted.
 */
int st_classes_serve(struct socktally *meter, const struct st_socket_link *socket_link);

/* Counts a packet of a capture file in its classes. */
int st_classes_count(struct socktally *meter, uint32_t linktype, const void *data,
		     const struct st_skb_facts *facts, uint32_t caplen);

/* Notes an error of one class. */
int st_class_fail(struct socktally *meter, size_t index, size_t *failed, const char *name,
		  const char *what);
/* Pointers to the classes, sorted by name, in malloc'ed memory; and the order, for bsearch(). */
const struct st_class **st_classes_sorted(const struct st_classes *classes);
int st_class_by_name(const void *one, const void *other);
/* Frees all but the hook; the counters only if they are not shared with another list. */
void st_classes_delete(struct st_classes *classes, bool counters);

/* --- commit.c */

#define ST_CLASS_TARGETS_MAX 16

/* Adds the kinds of link that a socket can have. -E2BIG: too many. */
int st_class_targets(struct st_class_target *targets, size_t *count,
		     const struct st_socket_link *socket_link);

/*
 * Replaces the meter's list, which is freed. coming: the link of a socket that is about to be
 * attached, or NULL. After a failure the list still belongs to the caller; its counters are those
 * of the meter's list if both have the same `used`.
 */
int st_classes_commit(struct socktally *meter, struct st_classes *classes,
		      const struct st_socket_link *coming, size_t *failed);

/* --- counters.c */

/* kernel: in a map. */
int st_class_counters_make(struct st_class_counters *counters, uint32_t cpus, size_t classes,
			   bool kernel);
void st_class_counters_free(struct st_class_counters *counters);
/* A free cell, which starts at 0; 0: there is none. */
uint32_t st_class_cell_take(struct st_class_counters *counters);
struct socktally_counts st_class_cell_read(const struct st_class_counters *counters, uint32_t cell,
					   enum socktally_direction direction);
/* The cell starts with the counts of another one. */
void st_class_cell_carry_on(struct st_class_counters *counters, uint32_t cell,
			    const struct st_class_counters *old, uint32_t old_cell);

/* --- compile.c */

/*
 * The class's filter for this target. *why: the reason if it has none there. -ENODATA: it asks for
 * what only the kernel knows; -ENOSYS and others: nothing can be compiled. Errors are noted.
 */
int st_class_compile(struct socktally *meter, const struct st_class *class,
		     const struct st_class_target *target, struct st_class_filter *filter,
		     char why[256]);
/*
 * Compiles the expressions with "vlan" once and keeps the filters: that needs an open capture, and
 * the process may lose the privilege for one. *failed: the class at fault.
 */
int st_class_compile_tagged(struct socktally *meter, struct st_class *class, size_t count,
			    size_t *failed);
int st_class_filter_copy(struct socktally *meter, const struct sock_filter *insns, size_t count,
			 struct st_class_filter *filter);
void st_pcap_close(struct st_pcap *pcap);

/* --- filters.c */

/* The filters of these classes for the target, and their rule set. *failed: the class at fault. */
int st_class_ruleset_make(struct socktally *meter, const struct st_classes *classes,
			  const struct st_class_target *target,
			  struct st_class_ruleset *link_ruleset, size_t *failed);
void st_class_ruleset_free(struct st_class_ruleset *link_ruleset);

/* --- hook.c */

/* The hook for these classes, which replaces another one or NULL. NULL: *error, which is noted. */
struct st_hook *st_class_hook_new(struct socktally *meter, const struct st_classes *classes,
				  const struct st_hook *replaces, int *error);

#endif
