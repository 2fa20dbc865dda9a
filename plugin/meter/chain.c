// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The programs of a chain with hooks, and how one chain takes another's place. */
#include "bpf/chain.bpf.h"
#include "plugin/bpf/syscall.h"
#include "plugin/meter/flow_map.h"
#include "plugin/meter/maps.h"
#include "plugin/meter/meter.h"
#include <errno.h>
#include <linux/membarrier.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int chain_failed(struct socktally *meter, int error)
{
	return st_fail(meter, error, "can't make a chain of hooks: %s", strerror(-error));
}

static int map_make(struct socktally *meter, int *map, const char *name, size_t value_size)
{
	int result = st_bpf_map_create(BPF_MAP_TYPE_ARRAY, name, sizeof(uint32_t),
				       (uint32_t)value_size, 1, 0);

	if (result < 0)
		return chain_failed(meter, result);
	*map = result;
	return 0;
}

static int slot_set(struct socktally *meter, uint32_t slot, int prog)
{
	const uint32_t value = (uint32_t)prog;

	return st_bpf_map_update(meter->chain_map, &slot, &value);
}

int st_chain_open(struct socktally *meter)
{
	struct st_hooks *hooks = &meter->hooks;
	const struct st_own_program programs[] = {{.name = "chain_parse",
						   .prog = &hooks->parse_prog},
						  {.name = "chain_tally",
						   .prog = &hooks->tally_prog}};
	int result;

	if (hooks->ready)
		return 0;
	if (st_filters_interleave()) /* the verdict is in this CPU's memory meanwhile */
		return st_fail(
			meter, -EOPNOTSUPP,
			"hooks and classes can't be had on a PREEMPT_RT kernel: one packet's "
			"verdict could become another's");
	if (hooks->bank_map < 0) {
		result =
			map_make(meter, &hooks->bank_map, "socktally_bank", sizeof(struct st_bank));
		if (result)
			return result;
	}
	if (hooks->inner_map < 0) {
		result = map_make(meter, &hooks->inner_map, "socktally_inner", sizeof(uint64_t));
		if (result)
			return result;
	}
	if (hooks->outer_map < 0) {
		result = st_bpf_map_create_outer("socktally_outer", hooks->inner_map);
		if (result < 0)
			return chain_failed(meter, result);
		hooks->outer_map = result;
	}
	result = st_own_programs_load(meter, st_object_chain, sizeof(st_object_chain), programs,
				      sizeof(programs) / sizeof(*programs));
	if (result)
		return result;
	st_flow_map_hooks(meter);
	result = slot_set(meter, ST_CHAIN_PARSE, hooks->parse_prog);
	if (!result)
		result = slot_set(meter, ST_CHAIN_TALLY, hooks->tally_prog);
	if (result)
		return chain_failed(meter, result);
	hooks->ready = true;
	return 0;
}

/*
 * Waits until no program runs that ran when it was called. The kernel does that when user space has
 * changed a map of maps, so that what was there can be reused (maybe_wait_bpf_programs() of
 * kernel/bpf/syscall.c, Linux 5.0); unlike membarrier(2), with CPUs in nohz_full mode as well. But it
 * takes memory, which membarrier does not.
 */
static int chain_wait(struct socktally *meter)
{
	const uint32_t first = 0;
	const uint32_t inner = (uint32_t)meter->hooks.inner_map;
	const int saved = errno;
	int result = st_bpf_map_update(meter->hooks.outer_map, &first, &inner);

	if (result && !syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
		result = 0;
	errno = saved;
	return result;
}

static int bank_fill(struct socktally *meter, unsigned int bank, struct st_hook *const *hooks,
		     unsigned int count)
{
	uint32_t slot = ST_CHAIN_BANK(bank);
	int result = 0;

	for (unsigned int i = 0; i < count && !result; i++)
		result = slot_set(meter, slot++, hooks[i]->prog);
	meter->hooks.tally[bank] = slot;
	return result ? result : slot_set(meter, slot, meter->hooks.tally_prog);
}

static int bank_set(struct socktally *meter, unsigned int bank)
{
	const uint32_t first = 0;
	const struct st_bank value = {
		.start = ST_CHAIN_BANK(bank),
		.tally = {meter->hooks.tally[0], meter->hooks.tally[1]},
	};

	return st_bpf_map_update(meter->hooks.bank_map, &first, &value);
}

/* Lets go of the programs in a bank that no packet uses. */
static void bank_clear(struct socktally *meter, unsigned int bank)
{
	for (uint32_t slot = ST_CHAIN_BANK(bank); slot < ST_CHAIN_BANK(bank + 1); slot++)
		st_bpf_map_delete(meter->chain_map, &slot);
}

/* From now on packets meet the hooks in a bank, or none. */
static int chain_switch(struct socktally *meter, unsigned int bank, bool has_hooks, bool had_hooks)
{
	int result = 0;

	/* Both banks' numbers fit in a byte: no CPU can see half of a change. */
	_Static_assert(ST_CHAIN_SLOTS < 256, "the bank's number must fit in a byte");
	if (has_hooks)
		result = bank_set(meter, !bank); /* where the tally is, before anybody goes there */
	if (!result && has_hooks)
		result = bank_set(meter, bank);
	if (!result && has_hooks != had_hooks)
		result = slot_set(meter, ST_CHAIN_ENTRY,
				  has_hooks ? meter->hooks.parse_prog : meter->count_prog);
	return result;
}

int st_chain_exchange(struct socktally *meter, struct st_hook *const *hooks, unsigned int count)
{
	const unsigned int before = meter->hooks.bank, bank = !before;
	const bool had_hooks = meter->hooks.count, has_hooks = count;
	int result = has_hooks ? bank_fill(meter, bank, hooks, count) : 0;

	if (!result)
		result = chain_switch(meter, bank, has_hooks, had_hooks);
	if (!result)
		result = chain_wait(meter);
	if (result) {
		/* a packet may be on its way through the bank: it is not cleared */
		chain_switch(meter, before, had_hooks, has_hooks);
		return chain_failed(meter, result);
	}
	bank_clear(meter, before);
	meter->hooks.bank = bank;
	return 0;
}
