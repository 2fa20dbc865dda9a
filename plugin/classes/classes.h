/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The classes of a meter: named filters, and how many packets each accepts. */
#ifndef SOCKTALLY_PLUGIN_CLASSES_CLASSES_H
#define SOCKTALLY_PLUGIN_CLASSES_CLASSES_H

#include "plugin/classes/program.h"
#include "plugin/hooks/hook.h"
#include "plugin/meter/attachment.h"
#include "bpf/tally.h"

#define ST_CLASS_NAME_MAX 128
/* Counted in a cell of its own: packets in no class. */
#define ST_CLASS_NONE "none"
#define ST_CLASSES_MAX 65536

/* A class's filter for one kind of link. count 0: it has none, as it makes no sense there. */
struct st_class_filter {
	struct sock_filter *insns;
	size_t count;
};

struct st_class {
	char *name;
	char *expression;             /* NULL: given as a filter */
	struct st_class_filter given; /* that filter */
	uint32_t linktype;            /* that its packets have */
	struct st_class_filter
		tagged; /* for Ethernet with tags out of the bytes, if it asks for tags */
	uint32_t cell;
};

/* The cells of all CPUs, in the kernel or (map -1) here. */
struct st_class_counters {
	int map;
	uint32_t cpus;
	uint32_t slots; /* a power of two */
	size_t region_size;
	uint8_t *regions;
	bool *used;                         /* a cell each */
	struct socktally_counts (*base)[2]; /* what is to be subtracted from a cell, by direction */
};

struct st_pcap; /* class_compile.c */

/* What filters are made for: a kind of link, live or in a file. */
struct st_class_target {
	uint32_t link; /* enum st_link; in a file, LINKTYPE_ */
	bool live;
};

/* The filters of all classes for one kind of link, and the decision among them. */
struct st_class_decided {
	struct st_class_target target;
	struct st_class_filter *filters;
	size_t count;
	struct st_ruleset decision;
};

struct st_classes {
	struct st_class *class;
	size_t count;
	bool first;
	int32_t priority;
	struct st_class_counters counters;
	struct st_hook *hook; /* in the chain; NULL in user space */
	/* in the kernel of those links that sockets have, in user space of those seen in the file */
	struct st_class_decided *decided;
	size_t decided_count;
};

void st_classes_free(struct socktally *meter);

/*
 * A socket of this tap is about to be attached: makes sure that its kind of packets is decided on.
 * 0 or the error, noted.
 */
int st_classes_serve(struct socktally *meter, const struct st_socket_link *tap);

/* Counts a packet of a capture file. */
int st_classes_count(struct socktally *meter, uint32_t linktype, const void *data,
		     const struct st_skb_facts *facts, uint32_t caplen);

/* An error that is one class's. */
int st_class_fail(struct socktally *meter, size_t index, size_t *failed, const char *name,
		  const char *what);
/* Pointers to the classes, sorted by name, malloc'ed; and their order, for bsearch(). */
const struct st_class **st_classes_sorted(const struct st_classes *classes);
int st_class_by_name(const void *one, const void *other);
/* Frees all but the hook; the counters only if they are its own. */
void st_classes_put_away(struct st_classes *classes, bool counters);

/* --- class_use.c */

#define ST_CLASS_TARGETS_MAX 16

/* Adds what packets of the tap are to those that are there already; -E2BIG: too many kinds. */
int st_class_targets(struct st_class_target *targets, size_t *count,
		     const struct st_socket_link *tap);

/*
 * Puts a list into the meter, in the place of the one that is there, which is freed. coming: the tap
 * of a socket that is about to come, or NULL. On failure the list is the caller's still, and its
 * counters are those of the meter's list if they have the same `used`.
 */
int st_classes_use(struct socktally *meter, struct st_classes *classes,
		   const struct st_socket_link *coming, size_t *failed);

/* --- class_counters.c */

/* Room for so many classes. kernel: in a map. */
int st_class_counters_make(struct st_class_counters *counters, uint32_t cpus, size_t classes,
			   bool kernel);
void st_class_counters_free(struct st_class_counters *counters);
/* A free cell, from now on at 0; 0: there is none. */
uint32_t st_class_cell_take(struct st_class_counters *counters);
struct socktally_counts st_class_cell_read(const struct st_class_counters *counters, uint32_t cell,
					   enum socktally_direction direction);
/* The cell goes on with what another one has. */
void st_class_cell_carry_on(struct st_class_counters *counters, uint32_t cell,
			    const struct st_class_counters *old, uint32_t old_cell);

/* --- class_compile.c */

/*
 * The class's filter for packets of this kind. If it has none there, *why says so. -ENODATA: it
 * asks for what only the kernel knows; -ENOSYS and others: nothing can be compiled; noted as an error.
 */
int st_class_compile(struct socktally *meter, const struct st_class *class,
		     const struct st_class_target *target, struct st_class_filter *filter,
		     char why[256]);
/*
 * Compiles what asks for VLAN tags, once, as that needs an open capture: later there may be no
 * privilege for one. *failed: the class at fault.
 */
int st_class_compile_tagged(struct socktally *meter, struct st_class *class, size_t count,
			    size_t *failed);
int st_class_filter_copy(struct socktally *meter, const struct sock_filter *insns, size_t count,
			 struct st_class_filter *filter);
void st_pcap_close(struct st_pcap *pcap);

/* --- class_decide.c */

/* The filters of these classes for the target, and their decision. *failed: the class at fault. */
int st_class_decide(struct socktally *meter, const struct st_classes *classes,
		    const struct st_class_target *target, struct st_class_decided *decided,
		    size_t *failed);
void st_class_decided_free(struct st_class_decided *decided);

/* --- class_hook.c */

/* The hook for these classes, which takes the place of `replaces`; NULL: with *error, noted. */
struct st_hook *st_class_hook_new(struct socktally *meter, const struct st_classes *classes,
				  const struct st_hook *replaces, int *error);

#endif
