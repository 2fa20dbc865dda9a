// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * rate: packets and bytes a second from the first packet on, and the most there was in 10 ms, as a
 * rate.
 */
#include "../include/socktally/hook.bpf.h"

#define GRAIN 10000000ull /* ns */
#define SECOND 1000000000ull

struct rate {
	__u64 packets;
	__u64 bytes;
	__u64 packets_per_second;
	__u64 bytes_per_second;
	__u64 peak_packets_per_second;
	__u64 peak_bytes_per_second;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct rate);
} rate SEC(".maps");

/*
 * When this window of 10 ms began, and what had come by then. CPUs that begin one at the same time
 * write the same, but for a packet or two.
 */
struct window {
	__u64 first; /* ns: of the first packet of all */
	__u64 number;
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct window);
} _window SEC(".maps");

static __always_inline void window_end(struct window *last, struct rate *all, __u64 now)
{
	__u64 packets = all->packets, bytes = all->bytes;
	__u64 packets_more = (packets - last->packets) * (SECOND / GRAIN);
	__u64 bytes_more = (bytes - last->bytes) * (SECOND / GRAIN);
	__u64 milliseconds = (now - last->first) / 1000000;

	if (packets_more > all->peak_packets_per_second)
		all->peak_packets_per_second = packets_more;
	if (bytes_more > all->peak_bytes_per_second)
		all->peak_bytes_per_second = bytes_more;
	if (milliseconds) {
		all->packets_per_second = packets * 1000 / milliseconds;
		all->bytes_per_second = bytes * 1000 / milliseconds;
	}
	last->packets = packets;
	last->bytes = bytes;
}

SOCKTALLY_HOOK(rate_and_peak, skb, packet)
{
	__u64 now = bpf_ktime_get_ns();
	__u32 first = 0;
	struct window *last = bpf_map_lookup_elem(&_window, &first);
	struct rate *all = bpf_map_lookup_elem(&rate, &first);

	if (!last || !all)
		return SOCKTALLY_PASS;
	if (last->number != now / GRAIN) {
		if (!last->first)
			last->first = now;
		window_end(last, all, now);
		last->number = now / GRAIN;
	}
	__sync_fetch_and_add(&all->packets, 1);
	__sync_fetch_and_add(&all->bytes, socktally_bytes(packet));
	return SOCKTALLY_PASS;
}
