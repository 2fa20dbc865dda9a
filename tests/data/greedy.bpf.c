// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A hook that would have all of the machine's memory. */
#include <socktally/hook.bpf.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1u << 30);
	__type(key, __u64);
	__type(value, __u64);
} everything SEC(".maps");

SOCKTALLY_HOOK(greedy, skb, packet)
{
	__u64 key = 1;

	return bpf_map_lookup_elem(&everything, &key) ? SOCKTALLY_DROP : SOCKTALLY_PASS;
}
