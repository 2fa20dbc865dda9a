// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * sizes: how long packets are, by path, in the steps of RMON (RFC 2819 etherStatsPkts64Octets and
 * following) but with the lengths that tools show, without the 4 bytes of checksum.
 */
#include <socktally/hook.bpf.h>

struct sizes {
	__u64 to_64;
	__u64 to_127;
	__u64 to_255;
	__u64 to_511;
	__u64 to_1023;
	__u64 to_1518;
	__u64 more;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct socktally_path_key);
	__type(value, struct sizes);
} sizes SEC(".maps");

/* Packets of paths that found no room. */
__u64 overflow_packets;

static __always_inline void size_count(struct sizes *sizes, __u32 length)
{
	if (length <= 64)
		sizes->to_64++;
	else if (length <= 127)
		sizes->to_127++;
	else if (length <= 255)
		sizes->to_255++;
	else if (length <= 511)
		sizes->to_511++;
	else if (length <= 1023)
		sizes->to_1023++;
	else if (length <= 1518)
		sizes->to_1518++;
	else
		sizes->more++;
}

SOCKTALLY_HOOK(sizes_by_path, skb, packet)
{
	struct socktally_path_key path = packet->path;
	struct sizes *found = bpf_map_lookup_elem(&sizes, &path), none = {0};

	if (!found) {
		bpf_map_update_elem(&sizes, &path, &none, BPF_NOEXIST);
		found = bpf_map_lookup_elem(&sizes, &path);
	}
	if (found)
		size_count(found, socktally_bytes(packet));
	else
		__sync_fetch_and_add(&overflow_packets, 1);
	return SOCKTALLY_PASS;
}
