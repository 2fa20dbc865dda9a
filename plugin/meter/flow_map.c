// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "plugin/meter/flow_map.h"
#include "bpf/apps/word.h"
#include "bpf/chain.bpf.h"
#include "bpf/count.bpf.h"
#include "plugin/bpf/syscall.h"
#include "plugin/meter/maps.h"
#include "plugin/meter/meter.h"
#include <string.h>
#include <sys/random.h>
#include <time.h>

/*
 * How far the kernel's ticks are shifted to be units of age: the power of two that is next to ST_FLOW_UNIT
 * seconds. The coarse clocks have the resolution of a tick.
 */
static uint32_t age_shift(void)
{
	struct timespec tick;
	uint32_t shift = 0;
	long second = 100; /* ticks, if nobody says */

	if (!clock_getres(CLOCK_MONOTONIC_COARSE, &tick) && !tick.tv_sec && tick.tv_nsec > 0)
		second = 1000000000 / tick.tv_nsec;
	while (1l << shift < (ST_FLOW_UNIT - 1) * second)
		shift++;
	return shift;
}

static int program_set(struct socktally *meter, const unsigned char *object, size_t size,
		       const char *name, int *prog, uint32_t slot)
{
	const struct st_own_program look = {.name = name, .prog = prog};
	const bool quiet = meter->quiet;
	uint32_t value;
	int result;

	meter->quiet = true; /* the next best is told, not this */
	result = st_own_programs_load(meter, object, size, &look, 1);
	meter->quiet = quiet;
	if (result)
		return result;
	value = (uint32_t)*prog;
	return st_bpf_map_update(meter->chain_map, &slot, &value);
}

int st_flow_map_open(struct socktally *meter)
{
	int result;

	if (!ST_APP_IN_KERNEL || !meter->flow_count || st_filters_interleave())
		return 0;
	result = st_bpf_map_create(BPF_MAP_TYPE_ARRAY, "socktally_flows", sizeof(uint32_t),
				   meter->flow_count * (uint32_t)sizeof(uint64_t), 1,
				   BPF_F_MMAPABLE);
	if (result < 0)
		return st_fail(meter, result, "can't make the memory for %u flows: %s",
			       meter->flow_count, strerror(-result));
	meter->flow_map = result;
	meter->flow_mask = meter->flow_count / ST_FLOW_WORDS - 1;
	meter->flow_shift = age_shift();
	if (getrandom(&meter->flow_key, sizeof(meter->flow_key), GRND_NONBLOCK) < 0)
		meter->flow_key = st_now();
	result = program_set(meter, st_object_count, sizeof(st_object_count), "count_look",
			     &meter->look_prog, ST_CHAIN_LOOK);
	if (result) {
		st_log(meter, SOCKTALLY_LOG_WARNING,
		       "this kernel refuses the program that recognises applications: paths end "
		       "at the transport");
		meter->flow_mask = 0;
	}
	return 0;
}

void st_flow_map_hooks(struct socktally *meter)
{
	if (meter->flow_mask &&
	    program_set(meter, st_object_chain, sizeof(st_object_chain), "chain_look",
			&meter->hooks.look_prog, ST_CHAIN_LOOK_HOOKS))
		st_log(meter, SOCKTALLY_LOG_WARNING,
		       "this kernel refuses the program that recognises applications beside "
		       "hooks: paths of new flows end at the transport");
}
