// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Hooks for the loader: each has something of an object file that others don't. */
#include <socktally/hook.bpf.h>

struct value {
	__u64 packets;
	__u32 lengths[2];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, struct socktally_path_key);
	__type(value, struct value);
} by_path SEC(".maps");

__u64 last_length, other;

/* Maps and variables whose types bpftool shows. */
SOCKTALLY_HOOK(typed, skb, packet)
{
	struct socktally_path_key path = packet->path;
	struct value first = {1, {packet->length, 7}},
		     *value = bpf_map_lookup_elem(&by_path, &path);

	last_length = packet->length;
	other = 5;
	if (value)
		value->packets++;
	else
		bpf_map_update_elem(&by_path, &path, &first, BPF_ANY);
	return SOCKTALLY_PASS;
}

/* A timer in a value, and a function that is called by its address. */
struct bpf_timer {
	__u64 opaque[2];
} __attribute__((aligned(8)));

struct timed_value {
	struct bpf_timer timer;
	__u64 ticks;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct timed_value);
} timed_map SEC(".maps");

static long (*const bpf_timer_init)(struct bpf_timer *, void *, __u64) = (void *)169;
static long (*const bpf_timer_set_callback)(struct bpf_timer *, void *) = (void *)170;
static long (*const bpf_timer_start)(struct bpf_timer *, __u64, __u64) = (void *)171;

static int tick(void *map, int *key, struct timed_value *value)
{
	value->ticks++;
	return 0;
}

SOCKTALLY_HOOK(timed, skb, packet)
{
	__u32 key = 0;
	struct timed_value *value = bpf_map_lookup_elem(&timed_map, &key);

	if (value && !bpf_timer_init(&value->timer, &timed_map, 1)) {
		bpf_timer_set_callback(&value->timer, tick);
		bpf_timer_start(&value->timer, 0, 0);
	}
	return SOCKTALLY_PASS;
}

/* The kernel has no spin locks for socket filters; it finds them by the types. */
struct bpf_spin_lock {
	__u32 value;
};

struct locked_value {
	struct bpf_spin_lock lock;
	__u32 number;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct locked_value);
} locked_map SEC(".maps");

static long (*const bpf_spin_lock)(struct bpf_spin_lock *) = (void *)93;
static long (*const bpf_spin_unlock)(struct bpf_spin_lock *) = (void *)94;

SOCKTALLY_HOOK(locked, skb, packet)
{
	__u32 key = 0;
	struct locked_value *value = bpf_map_lookup_elem(&locked_map, &key);

	if (value) {
		bpf_spin_lock(&value->lock);
		value->number++;
		bpf_spin_unlock(&value->lock);
	}
	return SOCKTALLY_PASS;
}

/* 16 MiB in one map. */
struct {
	__uint(type, 27); /* BPF_MAP_TYPE_RINGBUF */
	__uint(max_entries, 16 << 20);
} ring SEC(".maps");

static long (*const bpf_ringbuf_output)(void *, void *, __u64, __u64) = (void *)130;

SOCKTALLY_HOOK(ringed, skb, packet)
{
	__u64 length = packet->length;

	bpf_ringbuf_output(&ring, &length, sizeof(length), 0);
	return SOCKTALLY_PASS;
}

/* Types of the kernel that is running. */
struct task_struct {
	int no_such_member;
} __attribute__((preserve_access_index));

SOCKTALLY_HOOK(relocated, skb, packet)
{
	return __builtin_preserve_field_info(((struct task_struct *)0)->no_such_member, 2)
		       ? SOCKTALLY_PASS
		       : SOCKTALLY_DROP;
}

/* A mistake whose line is told. */
SOCKTALLY_HOOK(mistaken, skb, packet)
{
	__u32 key = 0;
	struct value *value = bpf_map_lookup_elem(&by_path, &packet->path);

	return value->packets + key; /* mistake */
}

/* Helper functions, which other than static ones the kernel would look at by themselves. */
__attribute__((noinline)) __u32 shorter(const struct socktally_packet *packet)
{
	return packet->length > 100 ? 100 : packet->length;
}

SOCKTALLY_HOOK(calling, skb, packet)
{
	return shorter(packet) < 50 ? SOCKTALLY_PASS : SOCKTALLY_CUT(64);
}

char _license[] SEC("license") = "GPL";
