/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The loader of BPF object files: the library's own programs and hooks. It knows neither meters nor
 * hooks.
 *
 *	st_loader_open()      reads the file, and which maps it has
 *	                      here the caller may change first values of variables
 *	st_loader_assemble()  a function and all that it calls in one piece; makes the maps it refers to
 *	                      here the caller may look at the instructions
 *	st_loader_load()      into the kernel, with types and source lines where the kernel takes them
 *	st_loader_release()   closes what is needed for loading only; maps and types stay
 *	st_loader_close()
 *
 * What fails leaves a sentence in loader->error.
 */
#ifndef SOCKTALLY_PLUGIN_BPF_LOADER_H
#define SOCKTALLY_PLUGIN_BPF_LOADER_H

#include "plugin/bpf/direct.h"
#include "plugin/bpf/object.h"
#include <linux/bpf.h>

#define ST_LOADER_MAPS 64
#define ST_LOADER_FUNCTIONS 64
#define ST_MAP_NAME_MAX 64
#define ST_LOADER_ERROR_MAX 280

struct st_loader_map {
	char name[ST_MAP_NAME_MAX];
	int fd;           /* -1: no program refers to it */
	uint32_t section; /* that stands for it: one of data, or .maps */
	uint64_t offset;  /* in .maps */
	uint32_t type, key_size, value_size, entries, flags;
	uint32_t key_type, value_type; /* in the object's types; 0: unknown */
	uint32_t variables;            /* of a section of data: its BTF_KIND_DATASEC; 0: none */
	uint8_t *contents;             /* of a section of data, before it is in the kernel */
	bool constant;
};

struct st_loader {
	struct st_object object; /* after st_loader_release() only its types */
	struct st_loader_map maps[ST_LOADER_MAPS];
	unsigned int map_count;
	int btf; /* types in the kernel; -1: not there */
	bool btf_tried;
	/*
	 * Gives the two halves of an LD_IMM64 the value of a name that is not in the file; false:
	 * nobody knows it.
	 */
	bool (*resolve)(const void *ctx, const char *name, struct bpf_insn insn[2]);
	const void *ctx;
	struct st_direct direct; /* once a program has asked for it */
	bool direct_known;
	char error[ST_LOADER_ERROR_MAX];
};

struct st_function {
	struct st_symbol symbol;
	uint32_t start; /* in the assembled program, in instructions */
};

/* One of an instruction's marks: it is about direct reads. Others: plugin/bpf/assembly.c. */
#define ST_MARK_DIRECT 8

/* A program in one piece. */
struct st_assembly {
	const char *name;
	struct bpf_insn *insns;
	uint8_t *marks; /* of each instruction */
	uint8_t *calls; /* of an instruction that is marked so: which function it refers to */
	uint32_t count;
	struct st_function functions[ST_LOADER_FUNCTIONS];
	unsigned int function_count;
	bool direct; /* it reads in place */
};

/*
 * The bytes must stay until st_loader_release(), resolve and ctx until then as well. On failure
 * loader->error is set, and there is nothing to be closed.
 */
int st_loader_open(struct st_loader *loader, const uint8_t *bytes, size_t size);
void st_loader_release(struct st_loader *loader);
void st_loader_close(struct st_loader *loader);

/* To be closed with st_assembly_close(), also after a failure. */
int st_loader_assemble(struct st_loader *loader, const struct st_symbol *program,
		       struct st_assembly *assembly);
void st_assembly_close(struct st_assembly *assembly);

/*
 * A descriptor, or -errno with the verifier's words as loader->error. A program that reads in place and is
 * refused is tried with helpers.
 */
int st_loader_load(struct st_loader *loader, struct st_assembly *assembly);

/* Notes what is wrong; returns result. */
int st_loader_fail(struct st_loader *loader, int result, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* --- what the files of the loader share */

/* "": none. */
const char *st_loader_license(const struct st_loader *loader);

/* plugin/bpf/loader_maps.c: which maps there are. */
int st_loader_maps_read(struct st_loader *loader);
/* Makes a map, unless it is made. */
int st_loader_map_make(struct st_loader *loader, struct st_loader_map *map);
/* The map for a symbol's section and place in it; NULL: none. */
struct st_loader_map *st_loader_map_at(struct st_loader *loader, const struct st_symbol *symbol);
/*
 * plugin/bpf/loader_direct.c: see bpf/direct.h. An LD_IMM64 gets the value of a name: 1; it isn't one of
 * these: 0; or -errno.
 */
int st_loader_direct_name(struct st_loader *loader, struct st_assembly *assembly, uint32_t at,
			  const char *name);
/* A call that stands for one of the kernel's functions gets its number. */
void st_loader_direct_call(struct st_loader *loader, struct st_assembly *assembly, uint32_t at);
/* The program is to read by helpers after all. */
void st_assembly_direct_off(struct st_assembly *assembly);

/* The object's types in the kernel: a descriptor, or -1: it does not take them. */
int st_loader_btf(struct st_loader *loader);

#endif
