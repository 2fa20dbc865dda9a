// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Hooks for the tests of the chain: one that counts what it sees, and some that take away. */
#include <socktally/hook.bpf.h>

struct seen {
	__u64 packets;
	__u64 bytes;
	__u64 verdicts; /* sum of what the tool would get of them */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct seen);
} seen SEC(".maps");

SOCKTALLY_HOOK(count, skb, packet)
{
	__u32 first = 0;
	struct seen *all = bpf_map_lookup_elem(&seen, &first);

	if (all) {
		all->packets++;
		all->bytes += socktally_bytes(packet);
		all->verdicts +=
			packet->verdict < packet->length ? packet->verdict : packet->length;
	}
	return SOCKTALLY_PASS;
}

SOCKTALLY_HOOK(drop_odd, skb, packet)
{
	return packet->length & 1 ? SOCKTALLY_DROP : SOCKTALLY_PASS;
}

const volatile __u32 bytes = 60;

SOCKTALLY_HOOK(cut, skb, packet)
{
	return SOCKTALLY_CUT(bytes);
}

SOCKTALLY_HOOK(pass, skb, packet)
{
	return SOCKTALLY_PASS;
}

/* A value with bit fields, on each CPU. */
struct flagged {
	__u64 packets;
	__u32 one : 3, two : 5;
	__u32 more;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct flagged);
} flags SEC(".maps");

SOCKTALLY_HOOK(flag, skb, packet)
{
	__u32 key = 1;
	struct flagged none = {0}, *flagged = bpf_map_lookup_elem(&flags, &key);

	if (!flagged) {
		bpf_map_update_elem(&flags, &key, &none, BPF_NOEXIST);
		flagged = bpf_map_lookup_elem(&flags, &key);
	}
	if (flagged) {
		flagged->packets++;
		flagged->one = 5;
		flagged->more += 2;
	}
	return SOCKTALLY_PASS;
}

/* hook_broken.c puts something else in the place of the marker. */
SOCKTALLY_HOOK(marked, skb, packet)
{
	__asm__ volatile("r1 = 0x1122334455667788 ll" ::: "r1");
	return SOCKTALLY_PASS;
}
