// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* How many bytes leave this host in IPv4 packets, by protocol number: the classic tutorial as a hook. */
#include <socktally/hook.bpf.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u64);
} sent SEC(".maps");

SOCKTALLY_HOOK(sockex, skb, packet)
{
	int ip = socktally_find(packet, SOCKTALLY_IP);

	if (packet->direction == SOCKTALLY_SENT && ip >= 0) {
		__u32 protocol = socktally_u8(skb, socktally_offset(packet, ip) + 9);
		__u64 *bytes = bpf_map_lookup_elem(&sent, &protocol);

		if (bytes)
			__sync_fetch_and_add(bytes, packet->length);
	}
	return SOCKTALLY_PASS;
}

/* Reading in place is for programs with such a license. */
char _license[] SEC("license") = "Dual BSD/GPL";
