/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * A BPF object file in memory: its sections, symbols and types.
 *
 * It may be broken or hostile: nothing is taken from it without a look at the bounds, and all that is
 * handed out lies inside of it.
 */
#ifndef SOCKTALLY_PLUGIN_BPF_OBJECT_H
#define SOCKTALLY_PLUGIN_BPF_OBJECT_H

#include "plugin/bpf/btf.h"
#include <elf.h>

/* Bytes of a file, and of a section without contents: far more than programs and their data take. */
#define ST_OBJECT_MAX (16u << 20)
/* Bounds of searches in a hostile file. */
#define ST_OBJECT_SYMBOLS 65536
#define ST_OBJECT_VARIABLES 4096

struct st_section {
	const char *name;
	const uint8_t *data; /* NULL: all zeros */
	size_t size;
	uint32_t type; /* SHT_PROGBITS, ... */
	uint32_t info; /* of relocations: the section that they are for */
	bool allocated, executable;
};

struct st_symbol {
	const char *name;
	uint64_t value; /* its place in the section */
	uint64_t size;
	uint32_t section;  /* 0: it is not in this file */
	unsigned int type; /* STT_FUNC, ... */
	bool local;
};

struct st_relocation {
	uint64_t offset;
	uint32_t type; /* ST_RELOCATION_* */
	struct st_symbol symbol;
};

/* R_BPF_64_64: an LD_IMM64; R_BPF_64_32: a call. */
enum { ST_RELOCATION_LOAD = 1, ST_RELOCATION_CALL = 10 };

struct st_object {
	const uint8_t *bytes; /* the caller's */
	size_t size;
	struct st_section *sections;
	uint32_t section_count;
	const uint8_t *symbols;
	uint32_t symbol_count;
	const struct st_section *symbol_names;
	struct st_btf btf; /* a copy, completed; empty where the file has none */
};

/*
 * The bytes must stay until st_object_release(). 0, or -errno with *why set to what is wrong.
 *
 * The copy of the types is completed for the kernel. Each section of variables gets its size and the
 * places of its variables, in order, which a compiler leaves to the linker (UINT32_MAX: no symbol). All
 * functions become static, because the kernel verifies global ones without their callers.
 */
int st_object_open(struct st_object *object, const uint8_t *bytes, size_t size, const char **why);
/* Only the types stay. */
void st_object_release(struct st_object *object);
void st_object_close(struct st_object *object);

/* false: there is none of that number, or it makes no sense. */
bool st_object_symbol(const struct st_object *object, uint32_t number, struct st_symbol *symbol);

/* The section of that name; 0: there is none. */
uint32_t st_object_section(const struct st_object *object, const char *name);

/* A symbol by its name and section; false: there is none. */
bool st_object_find(const struct st_object *object, uint32_t section, const char *name,
		    struct st_symbol *symbol);

/* Where a walk through relocations is: zeroed at its start. */
struct st_relocation_walk {
	uint32_t section;
	size_t at;
};

/* The next relocation for a section. 1: found; 0: that was the last; -EINVAL: it makes no sense. */
int st_object_relocation(const struct st_object *object, uint32_t section,
			 struct st_relocation_walk *walk, struct st_relocation *relocation);

#endif
