// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Hooks that can't be taken, each for a reason of its own. */
#include <socktally/hook.bpf.h>

SOCKTALLY_HOOK(endless, skb, packet)
{
	volatile __u32 stays = 1;

	while (stays)
		;
	return SOCKTALLY_PASS;
}

SOCKTALLY_HOOK(past_the_end, skb, packet)
{
	/* a place that depends on the packet, beyond what is known to be there */
	return ((const __u8 *)packet)[packet->length];
}

SOCKTALLY_HOOK(no_null_check, skb, packet)
{
	static struct {
		__uint(type, BPF_MAP_TYPE_HASH);
		__uint(max_entries, 1);
		__type(key, __u32);
		__type(value, __u32);
	} map SEC(".maps");
	__u32 key = 0;

	return *(__u32 *)bpf_map_lookup_elem(&map, &key);
}

SOCKTALLY_HOOK(writes_the_packet, skb, packet)
{
	skb->len = 1;
	return SOCKTALLY_PASS;
}

SOCKTALLY_HOOK(ends_the_way, skb, packet)
{
	__u64 value;

	__asm__ volatile("r6 = %1\n\tr0 = *(u8 *)skb[100]\n\t%0 = r0"
			 : "=r"(value)
			 : "r"(skb)
			 : "r0", "r1", "r2", "r3", "r4", "r5", "r6");
	return value;
}

SOCKTALLY_HOOK(jumps_elsewhere, skb, packet)
{
	((long (*)(void *, void *, __u32))12)(skb, (void *)packet, 0);
	return SOCKTALLY_PASS;
}

SEC("socktally/1") int no_hook(struct socktally_skb *skb)
{
	return 0;
}

SEC("socktally/2") int of_another_release(struct socktally_skb *skb)
{
	return 0;
}

SOCKTALLY_HOOK(works, skb, packet)
{
	return SOCKTALLY_PASS;
}
