// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Object files that are cut off, or have bytes changed where it hurts: each is taken or refused with
 * a sentence, and what happens to the meter is nothing. To be run with sanitizers, too (sanitizers.t).
 * TEST_OBJECTS: how many changed ones; TEST_SEED: which.
 */
#include "tests/lib/hook_help.h"
#include "plugin/hooks/hook.h"
#include "plugin/meter/meter.h"
#include <elf.h>
#include <time.h>

static struct socktally *meter;
static uint64_t random_state;
static unsigned long taken, refused, silent;

/* Marsaglia's xorshift64 */
static uint32_t random_below(uint32_t bound)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)((random_state >> 32) * bound >> 32);
}

static int ignore_row(void *ctx, const struct socktally_row *row)
{
	size_t *length = ctx;

	for (uint32_t i = 0; i < row->key_count; i++)
		*length += strlen(row->key[i].name) + strlen(row->key[i].text);
	for (uint32_t i = 0; i < row->value_count; i++)
		*length += strlen(row->value[i].name) + strlen(row->value[i].text);
	return 0;
}

static bool take(const uint8_t *object, size_t size, const char *program)
{
	static const char *const variables[] = {"bytes=5"};
	struct socktally_hook_opts opts = {
		.sz = sizeof(opts),
		.name = "broken",
		.object = object,
		.object_size = size,
		.program = program,
		.variables = variables,
		.variable_count = random_below(2),
	};
	size_t length = 0;
	int error = 0;
	/* not into the chain, which would wait for packets each time */
	struct st_hook *hook = st_hook_object_new(meter, &opts, NULL, &error);

	if (!hook) {
		refused++;
		silent += !*socktally_error(meter) || error >= 0;
		return false;
	}
	taken++;
	hook->ops->rows(meter, hook, NULL, ignore_row, &length);
	st_hook_free(meter, hook);
	return true;
}

/* Headers, symbols, relocations and types are small parts of a file: most changes go there. */
static size_t place(const uint8_t *object, size_t size)
{
	Elf64_Ehdr elf;
	Elf64_Shdr section;
	uint32_t number;

	memcpy(&elf, object, sizeof(elf));
	switch (random_below(4)) {
	case 0:
		return random_below(sizeof(elf));
	case 1:
		return elf.e_shoff + random_below(elf.e_shnum * (uint32_t)sizeof(section));
	case 2:
		return random_below((uint32_t)size);
	}
	number = random_below(elf.e_shnum);
	memcpy(&section, object + elf.e_shoff + number * sizeof(section), sizeof(section));
	if (!section.sh_size || section.sh_type == SHT_NOBITS)
		return random_below((uint32_t)size);
	return section.sh_offset + random_below((uint32_t)section.sh_size);
}

static void change(uint8_t *copy, const uint8_t *object, size_t size)
{
	static const uint32_t values[] = {0,    1,      2,          0x7f,       0x80,
					  0xff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff};
	unsigned int changes = 1 + random_below(3);

	while (changes--) {
		size_t at = place(object, size);
		uint32_t value = values[random_below(sizeof(values) / sizeof(*values))];

		if (random_below(2))
			copy[at] = (uint8_t)random_below(256);
		else if (size - at >= sizeof(value))
			memcpy(copy + at, &value, sizeof(value));
	}
}

static void changed(const uint8_t *object, size_t size, const char *program, unsigned long count)
{
	for (unsigned long i = 0; i < count; i++) {
		uint8_t *copy = malloc(size); /* of that very size, for a sanitizer */

		if (!copy)
			bail("malloc");
		memcpy(copy, object, size);
		change(copy, object, size);
		take(copy, size, program);
		free(copy);
	}
}

static void cut_off(const uint8_t *object, size_t size, const char *program)
{
	for (size_t length = 0; length < size; length += 1 + length / 40) {
		uint8_t *copy = malloc(length ? length : 1);

		if (!copy)
			bail("malloc");
		memcpy(copy, object, length);
		take(copy, length, program);
		free(copy);
	}
}

/* The hook `marked` with other instructions where its marker is. */
static bool is_refused(const struct bpf_insn insns[2], const char *why)
{
	static const struct bpf_insn marker[2] = {{.code = BPF_LD | BPF_DW | BPF_IMM,
						   .dst_reg = BPF_REG_1,
						   .imm = 0x55667788},
						  {.imm = 0x11223344}};
	const size_t size = sizeof(st_object_steps);
	uint8_t *copy = malloc(size), *at;
	bool good;

	if (!copy)
		bail("malloc");
	memcpy(copy, st_object_steps, size);
	at = memmem(copy, size, marker, sizeof(marker));
	if (!at)
		bail("the marker in steps.bpf.c");
	memcpy(at, insns, sizeof(marker));
	good = !take(copy, size, "marked") && strstr(socktally_error(meter), why);
	if (!good)
		printf("# %s\n", socktally_error(meter));
	free(copy);
	return good;
}

/* What a compiler does not make. */
static void hostile(void)
{
	const struct bpf_insn no_second[2] =
		{{.code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = BPF_REG_1},
		 {.code = BPF_JMP | BPF_CALL, .src_reg = BPF_PSEUDO_CALL, .imm = 500000}};
	const struct bpf_insn descriptor[2] = {{.code = BPF_LD | BPF_DW | BPF_IMM,
						.dst_reg = BPF_REG_1,
						.src_reg = BPF_PSEUDO_MAP_FD,
						.imm = meter->cells_map}};
	const struct bpf_insn call[2] = {{.code = BPF_JMP | BPF_CALL,
					  .src_reg = BPF_PSEUDO_CALL,
					  .imm = 500000},
					 {.code = BPF_JMP | BPF_JA}};

	ok(is_refused(no_second, "half an instruction"), "an instruction without its second half");
	ok(is_refused(descriptor, "a map without a name"), "a descriptor of the host's");
	ok(is_refused(call, "a function that isn't in it"), "a call to nowhere");
}

int main(void)
{
	const char *number = getenv("TEST_OBJECTS"), *seed = getenv("TEST_SEED");
	static const char *const programs[] = {"count", "cut"};
	struct socktally_hook_opts opts = {.sz = sizeof(opts), .builtin = "sizes"};
	unsigned long count = number ? strtoul(number, NULL, 0) : 3000;
	const uint8_t *object = st_object_steps;
	const size_t size = sizeof(st_object_steps);

	own_network();
	random_state = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL) * 2 + 1;
	printf("# TEST_SEED=%llu\n", (unsigned long long)random_state);
	if (socktally_open(&meter, NULL) || socktally_hook_add(meter, &opts))
		bail("can't meter");
	hostile();
	meter->hooks.map_memory = 4
				  << 20; /* a changed number of entries is not all of the memory */
	for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++) {
		take(object, size, programs[i]);
		cut_off(object, size, programs[i]);
		changed(object, size, programs[i], count);
	}
	printf("# %lu taken, %lu refused\n", taken, refused);
	ok(taken > 2, "objects that are whole enough are taken");
	ok(refused > count / 4, "others are refused");
	ok(!silent, "each with a sentence");
	ok(!socktally_hook_remove(meter, "sizes", NULL), "the hook before them is there as ever");
	socktally_close(meter);
	return done();
}
