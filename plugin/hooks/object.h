/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* A hook that comes as an object file: what of it is in the kernel. */
#ifndef SOCKTALLY_PLUGIN_HOOKS_OBJECT_H
#define SOCKTALLY_PLUGIN_HOOKS_OBJECT_H

#include "plugin/hooks/hook.h"
#include "plugin/bpf/object.h"

#define ST_OBJECT_MAPS 64
#define ST_MAP_NAME_MAX 64

/* The section of SOCKTALLY_HOOK(), with the number of what hook and chain agree on. */
#define ST_HOOK_SECTION "socktally/"
#define ST_HOOK_INTERFACE "1"

struct st_object_map {
	char name[ST_MAP_NAME_MAX];
	int fd;           /* -1: the program doesn't refer to it */
	uint32_t section; /* that stands for it: one of data, or .maps */
	uint64_t offset;  /* in .maps */
	uint32_t type, key_size, value_size, entries, flags;
	uint32_t key_type, value_type; /* in the object's types; 0: unknown */
	uint32_t variables;            /* of a section of data: its BTF_KIND_DATASEC; 0: none */
	uint8_t *contents;             /* of a section of data, before it is in the kernel */
	bool constant;
};

struct st_hook_own {
	struct st_object object;
	struct st_object_map maps[ST_OBJECT_MAPS];
	unsigned int map_count;
	uint32_t top; /* rows of each hash map at most */
};

/*
 * Each fails with the error noted in the meter, which names `file`, an object's name for people.
 */

/* Reads what maps the object has, without making them. */
int st_object_maps_read(struct socktally *meter, struct st_hook_own *own, const char *file);
/* Gives a global variable its first value. */
int st_object_variable_set(struct socktally *meter, struct st_hook_own *own, const char *file,
			   const char *assignment);
/* The same with its bytes as they are; false: there is no such variable of that size. */
bool st_object_variable_write(struct st_hook_own *own, const char *name, const void *value,
			      size_t size);
/* Makes one of them, unless it is made: a program has only those that it refers to. */
int st_object_map_make(struct socktally *meter, struct st_object_map *map, const char *file);
void st_object_maps_free(struct st_hook_own *own);

/* The map for a symbol's section and place in it; NULL: none. */
struct st_object_map *st_object_map_at(struct st_hook_own *own, const struct st_symbol *symbol);

/* The function of the object that is the hook: the one of that name, or (NULL) the only one. */
int st_object_program_find(struct socktally *meter, const struct st_object *object,
			   const char *file, const char *name, struct st_symbol *program);
/* Loads it for a hook: a descriptor, or -errno. */
int st_object_program_load(struct socktally *meter, const struct st_hook *hook,
			   const struct st_symbol *program, const char *file);

/* plugin/hooks/rows.c */
int st_object_rows(struct socktally *meter, const struct st_hook *hook, const char *map,
		   socktally_row_fn fn, void *ctx);

/* Where a variable of a section of data is; false: nowhere. */
bool st_object_variable_at(const struct st_hook_own *own, const struct st_object_map *map,
			   const struct btf_var_secinfo *variable, struct st_symbol *symbol);

#endif
