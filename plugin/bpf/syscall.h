/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * bpf(2) for a guest in another process: no output, no raised resource limit, no global state.
 * Each returns a descriptor (close-on-exec, as the kernel makes them) or 0, or -errno.
 */
#ifndef SOCKTALLY_PLUGIN_BPF_SYSCALL_H
#define SOCKTALLY_PLUGIN_BPF_SYSCALL_H

#include <linux/bpf.h>
#include <stddef.h>
#include <stdint.h>

int st_bpf_map_create(enum bpf_map_type type, const char *name, uint32_t key_size,
		      uint32_t value_size, uint32_t max_entries, uint32_t flags);

/* Types of a map's keys and values, by their numbers in a BTF in the kernel. */
struct st_bpf_map_types {
	int btf; /* descriptor */
	uint32_t key, value;
};
/* The same with types; NULL: none. */
int st_bpf_map_create_typed(enum bpf_map_type type, const char *name, uint32_t key_size,
			    uint32_t value_size, uint32_t max_entries, uint32_t flags,
			    const struct st_bpf_map_types *types);
/* A map with one place for a map like `inner`. */
int st_bpf_map_create_outer(const char *name, int inner);
int st_bpf_map_update(int map, const void *key, const void *value);
int st_bpf_map_lookup(int map, const void *key, void *value);
int st_bpf_map_delete(int map, const void *key);
/* key NULL: the first one. -ENOENT: that was the last. */
int st_bpf_map_next_key(int map, const void *key, void *next);
int st_bpf_map_freeze(int map);
/* A frozen array of one element, whose value the verifier may read. */
int st_bpf_map_constant(const char *name, const void *value, size_t size);

/* A socket filter to be loaded. */
struct st_bpf_program {
	const char *name;
	const char *license; /* NULL: the library's own */
	const struct bpf_insn *insns;
	size_t count;
	int btf; /* descriptor of the types; 0: none, then there is no func and line info either */
	const struct bpf_func_info *functions; /* of it and each function in it, ascending */
	size_t function_count;
	const struct bpf_line_info *lines; /* ascending */
	size_t line_count;
};

/* log: where the verifier writes to, or NULL. */
int st_bpf_program_load(const struct st_bpf_program *program, char *log, size_t log_size);

/* The same for a program of the library's own, without types. */
int st_bpf_prog_load(const char *name, const struct bpf_insn *insns, size_t count, char *log,
		     size_t log_size);

/*
 * The same for a program with functions, which begin at starts (ascending, after the program
 * itself; at most 8). It comes with type information that lets these use LD_ABS and LD_IND.
 */
int st_bpf_prog_load_functions(const char *name, const struct bpf_insn *insns, size_t count,
			       const uint32_t *starts, size_t start_count, char *log,
			       size_t log_size);

/* Loads types (BTF) into the kernel. */
int st_bpf_btf_load(const void *btf, size_t size);

/* Lets the map live as long as the program does, without an instruction that names it; Linux 5.10. */
int st_bpf_prog_bind_map(int prog, int map);

/*
 * All programs and maps of the system, with CAP_SYS_ADMIN: *id becomes the next higher one in use,
 * from 0 on; -ENOENT: there is none, or it is gone.
 */
int st_bpf_prog_next_id(uint32_t *id);
int st_bpf_prog_by_id(uint32_t id);
int st_bpf_map_by_id(uint32_t id);

/* info: a zeroed struct bpf_prog_info or bpf_map_info, but for its pointers and their lengths. */
int st_bpf_info(int fd, void *info, size_t size);

/* Runs a socket filter on a packet. nanoseconds (each run's average) may be NULL. */
int st_bpf_prog_run(int prog, const void *packet, size_t size, uint32_t repeat, uint32_t *verdict,
		    uint32_t *nanoseconds);

#endif
