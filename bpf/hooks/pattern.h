/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * For hooks that go by the packet's path: whether it begins with what a pattern says. The library
 * makes the pattern of its text (plugin/hooks/pattern.c).
 */
#ifndef SOCKTALLY_BPF_HOOKS_PATTERN_H
#define SOCKTALLY_BPF_HOOKS_PATTERN_H

#include <socktally/hook.bpf.h>

/*
 * Bit n of a state: the layers so far match the first n parts of the pattern. So all ways to match
 * are followed at once, with a few operations a layer.
 */
struct st_pattern {
	__u32 parts[256]; /* by protocol: the parts that it is */
	__u32 stars;      /* the parts that are a "*" */
	__u32 whole;      /* the bit of the whole pattern */
};

static __always_inline int st_pattern_matches(const volatile struct st_pattern *pattern,
					      const struct socktally_packet *packet)
{
	const __u32 stars = pattern->stars;
	__u32 state = 1 | (1 & stars) << 1, all = state;

	for (int i = 0; i < 14; i++) {
		__u32 layer = packet->layers[i];

		if (!layer)
			break;
		state = (state & pattern->parts[layer & 0xff]) << 1 | (state & stars);
		state |= (state & stars) << 1;
		all |= state;
	}
	return (all & pattern->whole) != 0;
}

#endif
