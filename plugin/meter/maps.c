// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* What a meter has in the kernel: the table of cells, the program that fills it, the chain. */
#include "plugin/meter/flow_map.h"
#include "plugin/meter/maps.h"
#include "bpf/count.bpf.h"
#include "plugin/bpf/loader.h"
#include "plugin/bpf/syscall.h"
#include "plugin/meter/meter.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

/* The highest number in "0-3,8-11" plus one; 0 if the text makes no sense. */
static uint32_t cpus_of_list(const char *text)
{
	unsigned long last = 0;
	char *end;

	while (*text) {
		last = strtoul(text, &end, 10);
		if (end == text)
			return 0;
		text = end + (*end == '-' || *end == ',' || *end == '\n');
		if (*end && text == end)
			return 0;
	}
	return last < 65536 ? (uint32_t)last + 1 : 0;
}

/* Possible CPUs, which may be more than are online. */
static uint32_t possible_cpus(void)
{
	unsigned char mask[8192];
	char text[256];
	uint32_t cpus = 0;
	ssize_t length;
	int fd;

	fd = open("/sys/devices/system/cpu/possible", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		length = read(fd, text, sizeof(text) - 1);
		close(fd);
		if (length > 0) {
			text[length] = '\0';
			cpus = cpus_of_list(text);
		}
	}
	if (cpus)
		return cpus;
	/* No sysfs, as in a bare chroot: the size of the kernel's CPU mask is an upper bound. */
	length = syscall(SYS_sched_getaffinity, 0, sizeof(mask), mask);
	return length > 0 ? (uint32_t)length * 8 : 0;
}

static int map_failed(struct socktally *meter, int error, const char *what)
{
	if (error == -EPERM)
		return st_fail(meter, error,
			       "BPF is not permitted here: run as root, or with CAP_BPF and "
			       "CAP_PERFMON (before Linux 5.8: CAP_SYS_ADMIN; before 5.11, "
			       "RLIMIT_MEMLOCK must have room for %u bytes a CPU), or "
			       "name a broker's socket in the options",
			       meter->region_size);
	if (error == -E2BIG)
		return st_fail(meter, error,
			       "this kernel can't hold %u paths: ask for 30000 at most",
			       meter->sizes.paths);
	return st_fail(meter, error, "can't make the %s: %s", what, strerror(-error));
}

static int maps_make(struct socktally *meter)
{
	size_t size;
	void *mapped;
	int result;

	meter->region_count = possible_cpus();
	if (!meter->region_count)
		return st_fail(meter, -ENOSYS, "can't find out how many CPUs there are");
	result = st_bpf_map_create(BPF_MAP_TYPE_ARRAY, "socktally_cells", sizeof(uint32_t),
				   meter->region_size, meter->region_count, BPF_F_MMAPABLE);
	if (result < 0)
		return map_failed(meter, result, "table of cells");
	meter->cells_map = result;
	result = st_header_buffer_make(&meter->header_buffer, meter->region_count);
	if (result)
		return map_failed(meter, result, "scratch for headers");
	result = st_bpf_map_create(BPF_MAP_TYPE_PROG_ARRAY, ST_CHAIN_NAME, sizeof(uint32_t),
				   sizeof(uint32_t), ST_CHAIN_SLOTS, 0);
	if (result < 0)
		return map_failed(meter, result, "chain of programs");
	meter->chain_map = result;
	size = (size_t)meter->region_count * meter->region_size;
	mapped = mmap(NULL, size, PROT_READ, MAP_SHARED, meter->cells_map, 0);
	if (mapped == MAP_FAILED)
		return map_failed(meter, -errno, "table of cells readable");
	meter->regions = mapped;
	return 0;
}

bool st_symbol_resolve(const struct socktally *meter, const char *symbol, struct bpf_insn insn[2])
{
	const struct {
		const char *name;
		uint8_t pseudo; /* what the value is */
		uint64_t value;
	} known[] = {
		{"socktally_regions", BPF_PSEUDO_MAP_FD, (uint32_t)meter->cells_map},
		{"socktally_programs", BPF_PSEUDO_MAP_FD, (uint32_t)meter->chain_map},
		{"socktally_bank", BPF_PSEUDO_MAP_VALUE, (uint32_t)meter->hooks.bank_map},
		{"header_buffer", BPF_PSEUDO_MAP_VALUE, (uint32_t)meter->header_buffer.map},
		{"cpu_mask", 0, meter->header_buffer.mask},
		{"socktally_chain_at", 0, offsetof(struct st_region, chain)},
		{"paths", 0, meter->sizes.paths},
		{"slots", 0, meter->sizes.slots},
		/* without applications nothing comes to it, but a map has to stand there */
		{"flow_words", BPF_PSEUDO_MAP_VALUE,
		 (uint32_t)(meter->flow_map >= 0 ? meter->flow_map : meter->header_buffer.map)},
		{"flow_mask", 0, meter->flow_mask},
		{"flow_shift", 0, meter->flow_shift},
		{"flow_key", 0, meter->flow_key},
		{"port0", 0, meter->ports.pairs[0]},
		{"port1", 0, meter->ports.pairs[1]},
		{"port2", 0, meter->ports.pairs[2]},
		{"port3", 0, meter->ports.pairs[3]},
		{"port4", 0, meter->ports.pairs[4]},
		{"port5", 0, meter->ports.pairs[5]},
		{"port6", 0, meter->ports.pairs[6]},
		{"port7", 0, meter->ports.pairs[7]},
	};
	_Static_assert(ST_MAX_PORTS == 8, "as many as there are constants");

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (strcmp(symbol, known[i].name) != 0)
			continue;
		insn[0].src_reg = known[i].pseudo & 0xf;
		insn[0].imm = (int32_t)(uint32_t)known[i].value;
		insn[1].imm = (int32_t)(known[i].value >> 32);
		return true;
	}
	return false;
}

static bool symbol_resolve(const void *ctx, const char *name, struct bpf_insn insn[2])
{
	return st_symbol_resolve(ctx, name, insn);
}

static int program_load(struct socktally *meter, struct st_loader *loader,
			const struct st_own_program *own)
{
	const char *name = own->name;
	struct st_assembly assembly = {0};
	struct st_symbol program;
	int result = -EINVAL;

	loader->resolve = own->resolve ? own->resolve : symbol_resolve;
	loader->ctx = own->resolve ? own->ctx : meter;
	if (st_object_find(&loader->object, st_object_section(&loader->object, "socket"), name,
			   &program))
		result = st_loader_assemble(loader, &program, &assembly);
	if (!result)
		result = st_loader_load(loader, &assembly);
	st_assembly_close(&assembly);
	if (result < 0) {
		/*
		 * Without CAP_PERFMON the verifier also follows what a CPU might do by speculation,
		 * which is too much for the loops of the parser and the table.
		 */
		st_fail(meter, result,
			"the kernel refused the program %s: %s (if CAP_PERFMON is missing, add it: "
			"CAP_BPF alone is not enough)",
			name, strerror(-result));
		st_log(meter, SOCKTALLY_LOG_DEBUG, "the verifier on %s: %s", name, loader->error);
	}
	return result;
}

int st_own_programs_load(struct socktally *meter, const unsigned char *object, size_t size,
			 const struct st_own_program *programs, size_t count)
{
	struct st_loader *loader = calloc(1, sizeof(*loader));
	int result;

	if (!loader)
		return st_fail(meter, -ENOMEM, "no memory to load the library's programs");
	result = st_loader_open(loader, object, size);
	if (result)
		st_fail(meter, result, "the library's programs: %s", loader->error);
	for (size_t i = 0; i < count && !result; i++) {
		if (*programs[i].prog >= 0)
			continue;
		result = program_load(meter, loader, &programs[i]);
		if (result >= 0) {
			*programs[i].prog = result;
			result = 0;
		}
	}
	st_loader_close(loader);
	free(loader);
	return result;
}

bool st_filters_interleave(void)
{
	struct utsname kernel;

	return uname(&kernel) || strstr(kernel.version, "PREEMPT_RT");
}

int st_meter_maps_open(struct socktally *meter)
{
	static const uint32_t places[] = {ST_CHAIN_COUNT, ST_CHAIN_ENTRY};
	const struct st_own_program count = {.name = "count", .prog = &meter->count_prog};
	uint32_t value;
	int result;

	result = maps_make(meter);
	if (!result)
		result = st_flow_map_open(meter);
	if (result)
		return result;
	result = st_own_programs_load(meter, st_object_count, sizeof(st_object_count), &count, 1);
	if (result)
		return result;
	value = (uint32_t)meter->count_prog;
	for (size_t i = 0; i < sizeof(places) / sizeof(*places) && !result; i++)
		result = st_bpf_map_update(meter->chain_map, &places[i], &value);
	if (result)
		return st_fail(meter, result, "can't set up the chain: %s", strerror(-result));
	return 0;
}
