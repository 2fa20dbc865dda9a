// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * rate: packets and bytes a second in the windows of 10 ms from that of the first packet to that of the
 * last but one, and the most there was in a window, as a rate.
 */
#include <socktally/hook.bpf.h>

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
	__u64 first;  /* number of the first of all */
	__u64 number; /* 10 ms since the system was started */
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct window);
} _window SEC(".maps");

static __always_inline void window_begin(struct window *window, struct rate *all, __u64 now)
{
	__u64 number = now / GRAIN, windows;

	if (!window->first)
		window->first = number;
	windows = number - window->first;
	if (windows) {
		all->packets_per_second = all->packets * (SECOND / GRAIN) / windows;
		all->bytes_per_second = all->bytes * (SECOND / GRAIN) / windows;
	}
	window->packets = all->packets;
	window->bytes = all->bytes;
	window->number = number;
}

/*
 * What had come by the window's begin is read first: another CPU may begin the next one meanwhile, and
 * the difference must not be less than nothing.
 */
static __always_inline void peak_note(const volatile struct window *window,
				      volatile struct rate *all)
{
	__u64 packets_then = window->packets, bytes_then = window->bytes;
	__u64 packets = (all->packets - packets_then) * (SECOND / GRAIN);
	__u64 bytes = (all->bytes - bytes_then) * (SECOND / GRAIN);

	if (packets > all->peak_packets_per_second)
		all->peak_packets_per_second = packets;
	if (bytes > all->peak_bytes_per_second)
		all->peak_bytes_per_second = bytes;
}

SOCKTALLY_HOOK(rate_and_peak, skb, packet)
{
	__u64 now = bpf_ktime_get_ns();
	__u32 first = 0;
	struct window *window = bpf_map_lookup_elem(&_window, &first);
	struct rate *all = bpf_map_lookup_elem(&rate, &first);

	if (!window || !all)
		return SOCKTALLY_PASS;
	if (window->number != now / GRAIN)
		window_begin(window, all, now);
	__sync_fetch_and_add(&all->packets, 1);
	__sync_fetch_and_add(&all->bytes, socktally_bytes(packet));
	peak_note(window, all);
	return SOCKTALLY_PASS;
}
