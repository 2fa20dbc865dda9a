// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Fuzzes the loader of object files, as a hook's file comes to it: ELF, BTF, variables, the program in
 * one piece, and the rows of its maps. There is no kernel: bpf(2) takes everything, or refuses each
 * program, and maps hold the input's last bytes.
 */
#include "plugin/bpf/object.h"
#include "plugin/hooks/hook.h"
#include "plugin/meter/meter.h"
#include <errno.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#define FIRST_FD 100000 /* none of the process's own */
#define MAPS 256
#define CPUS 2

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* In the place of libc's. */
long syscall(long number, ...);

static struct {
	uint32_t key_size, value_size;
	unsigned int keys; /* that a walk has had */
} maps[MAPS];
static unsigned int map_count;
static const uint8_t *bytes;
static size_t byte_count, byte_at;
static bool refuses;

/* The input's bytes, again and again, so that all of `to` is written. */
static void fill(void *to, size_t size)
{
	for (size_t i = 0; i < size && byte_count; i++)
		((uint8_t *)to)[i] = bytes[byte_at++ % byte_count];
}

static void *pointer(uint64_t address)
{
	return (void *)(uintptr_t)address;
}

static long map_create(const union bpf_attr *attr)
{
	if (map_count == MAPS || !attr->value_size)
		return -1;
	maps[map_count].key_size = attr->key_size;
	maps[map_count].value_size = attr->value_size;
	if (attr->map_type == BPF_MAP_TYPE_PERCPU_ARRAY ||
	    attr->map_type == BPF_MAP_TYPE_PERCPU_HASH ||
	    attr->map_type == BPF_MAP_TYPE_LRU_PERCPU_HASH)
		maps[map_count].value_size = (attr->value_size + 7) / 8 * 8 * CPUS;
	maps[map_count].keys = 0;
	return FIRST_FD + (long)map_count++;
}

/* All that is handed to the kernel is there to be read. */
static void look(const void *data, size_t size)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < size; i++)
		sum ^= ((const uint8_t *)data)[i];
	*(volatile uint8_t *)&sum = sum;
}

static long prog_load(const union bpf_attr *attr)
{
	static const char log[] = "3: (61) r0 = *(u32 *)(r1 +0)\nR1 is wrong\nprocessed 4 insns\n";

	look(pointer(attr->insns), attr->insn_cnt * sizeof(struct bpf_insn));
	look(pointer(attr->func_info), attr->func_info_cnt * sizeof(struct bpf_func_info));
	look(pointer(attr->line_info), attr->line_info_cnt * sizeof(struct bpf_line_info));
	if (!refuses)
		return FIRST_FD + MAPS;
	if (attr->log_size >= sizeof(log))
		memcpy(pointer(attr->log_buf), log, sizeof(log));
	errno = EINVAL;
	return -1;
}

static long map_use(int command, const union bpf_attr *attr)
{
	const uint32_t map = attr->map_fd - FIRST_FD;

	if (map >= map_count)
		abort();
	if (command == BPF_MAP_LOOKUP_ELEM) {
		look(pointer(attr->key), maps[map].key_size);
		fill(pointer(attr->value), maps[map].value_size);
	} else if (command == BPF_MAP_GET_NEXT_KEY) {
		if (!attr->key)
			maps[map].keys = 0;
		if (++maps[map].keys > 3) {
			errno = ENOENT;
			return -1;
		}
		fill(pointer(attr->next_key), maps[map].key_size);
	} else if (command == BPF_MAP_UPDATE_ELEM) {
		look(pointer(attr->key), maps[map].key_size);
		look(pointer(attr->value), maps[map].value_size);
	}
	return 0;
}

long syscall(long number, ...)
{
	const union bpf_attr *attr;
	va_list arguments;
	int command;

	va_start(arguments, number);
	command = va_arg(arguments, int);
	attr = va_arg(arguments, const union bpf_attr *);
	va_end(arguments);
	if (number != __NR_bpf)
		abort();
	errno = EINVAL;
	switch (command) {
	case BPF_MAP_CREATE:
		return map_create(attr);
	case BPF_PROG_LOAD:
		return prog_load(attr);
	case BPF_BTF_LOAD:
		look(pointer(attr->btf), attr->btf_size);
		return FIRST_FD + MAPS + 1;
	default:
		return map_use(command, attr);
	}
}

static int take_row(void *ctx, const struct socktally_row *row)
{
	size_t *length = ctx;

	for (uint32_t i = 0; i < row->key_count; i++)
		*length += strlen(row->key[i].name) + strlen(row->key[i].text);
	for (uint32_t i = 0; i < row->value_count; i++)
		*length += strlen(row->value[i].name) + strlen(row->value[i].text);
	look(row->raw_key, row->raw_key_size);
	look(row->raw_value, row->raw_value_size);
	return 0;
}

static struct socktally *meter_make(void)
{
	struct socktally *meter = calloc(1, sizeof(*meter));

	if (!meter)
		abort();
	meter->region_count = CPUS;
	meter->region_size = sizeof(struct st_region);
	meter->regions = calloc(CPUS, sizeof(struct st_region));
	meter->sizes.paths = 64;
	meter->sizes.slots = 256;
	st_hooks_init(&meter->hooks);
	meter->hooks.ready = true;
	if (!meter->regions)
		abort();
	return meter;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const programs[] = {NULL,
					       "count",
					       "cut",
					       "drop",
					       "icmp_by_type",
					       "snap",
					       "rate_and_peak",
					       "sample",
					       "sample_flows",
					       "sizes_by_path",
					       "talkers_by_flow",
					       "talkers_by_host",
					       "tcpflags_by_direction"};
	static const char *const variables[] = {"bytes=5", "inner=1", "n=3", "pattern=x"};
	const size_t known = sizeof(programs) / sizeof(*programs);
	struct socktally_hook_opts opts = {.sz = sizeof(opts), .name = "fuzzed"};
	static struct socktally *meter;
	struct st_hook *hook;
	size_t length = 0;
	int error = 0;

	if (size < 2)
		return 0;
	if (!meter)
		meter = meter_make();
	opts.program = programs[data[0] % known];
	opts.variables = &variables[data[1] % 4];
	opts.variable_count = data[1] >> 2 & 1;
	refuses = data[1] >> 3 & 1;
	opts.object = data + 2;
	opts.object_size = size - 2;
	bytes = data;
	byte_count = size < 64 ? size : 64;
	byte_at = map_count = 0;
	hook = st_hook_object_new(meter, &opts, NULL, &error);
	if (!hook) {
		if (!error || !*meter->error)
			abort();
		return 0;
	}
	hook->ops->rows(meter, hook, NULL, take_row, &length);
	st_hook_free(meter, hook);
	return 0;
}
