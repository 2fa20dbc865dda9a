// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* icmp: messages by type and code, of the innermost ICMP or ICMPv6 header. */
#include <socktally/hook.bpf.h>

/* https://www.iana.org/assignments/icmp-parameters: shown where a type has a name here. */
enum icmp_name {
	echo_reply = 0,
	unreachable = 3,
	source_quench = 4,
	redirect = 5,
	echo_request = 8,
	router_advertisement = 9,
	router_solicitation = 10,
	time_exceeded = 11,
	parameter_problem = 12,
	timestamp_request = 13,
	timestamp_reply = 14,
	extended_echo_request = 42,
	extended_echo_reply = 43,
};

/* https://www.iana.org/assignments/icmpv6-parameters */
enum icmpv6_name {
	v6_unreachable = 1,
	v6_packet_too_big = 2,
	v6_time_exceeded = 3,
	v6_parameter_problem = 4,
	v6_echo_request = 128,
	v6_echo_reply = 129,
	v6_mld_query = 130,
	v6_mld_report = 131,
	v6_mld_done = 132,
	v6_router_solicitation = 133,
	v6_router_advertisement = 134,
	v6_neighbor_solicitation = 135,
	v6_neighbor_advertisement = 136,
	v6_redirect = 137,
	v6_mldv2_report = 143,
};

struct icmp_key {
	__u32 type;
	__u32 code;
	enum icmp_name name;
};

struct icmpv6_key {
	__u32 type;
	__u32 code;
	enum icmpv6_name name;
};

struct counts {
	__u64 packets;
	__u64 bytes;
};

/* All types with their codes in use, and many more. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct icmp_key);
	__type(value, struct counts);
} icmp SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct icmpv6_key);
	__type(value, struct counts);
} icmpv6 SEC(".maps");

/* Packets of types and codes that found no room. */
__u64 overflow_packets;

static __always_inline void message_count(void *map, const void *key,
					  const struct socktally_packet *packet)
{
	struct counts *found = bpf_map_lookup_elem(map, key), none = {0};

	if (!found) {
		bpf_map_update_elem(map, key, &none, BPF_NOEXIST);
		found = bpf_map_lookup_elem(map, key);
	}
	if (!found) {
		__sync_fetch_and_add(&overflow_packets, 1);
		return;
	}
	__sync_fetch_and_add(&found->packets, 1);
	__sync_fetch_and_add(&found->bytes, socktally_bytes(packet));
}

SOCKTALLY_HOOK(icmp_by_type, skb, packet)
{
	int v4 = socktally_find_last(packet, SOCKTALLY_ICMP);
	int v6 = socktally_find_last(packet, SOCKTALLY_ICMPV6);
	struct icmp_key key = {0};
	__u8 header[2];

	if (v4 < 0 && v6 < 0)
		return SOCKTALLY_PASS;
	if (socktally_load(skb, socktally_offset(packet, v4 > v6 ? v4 : v6), header,
			   sizeof(header)))
		return SOCKTALLY_PASS;
	key.type = header[0];
	key.name = header[0];
	key.code = header[1];
	if (v4 > v6)
		message_count(&icmp, &key, packet);
	else
		message_count(&icmpv6, &key, packet); /* its key has the same layout */
	return SOCKTALLY_PASS;
}

/* Reading in place is for programs with such a license. */
char st_license[] SEC("license") = "Dual BSD/GPL";
