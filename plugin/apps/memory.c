// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * A memory of fixed size is as the kernel's. One that grows keeps the lower half of each flow's hash
 * beside the words, as a bucket's number is more of it when there are more buckets. It gives all words of
 * a bucket to any flow, since there is always room.
 */
#include "plugin/apps/memory.h"
#include "bpf/parse/packet_native.h"
#include "bpf/apps/step.h"
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#define BUCKET_SIZE (ST_FLOW_WORDS * sizeof(__u64))
#define BUCKETS_FIRST 256

struct st_flow_memory {
	__u64 *words;
	uint32_t *halves; /* of hashes; NULL: it does not grow */
	uint32_t buckets; /* a power of two */
	uint32_t young;   /* words that new flows may take of a bucket */
	uint32_t used;    /* words, of a memory that grows */
	uint64_t key;
};

static uint64_t random_key(void)
{
	struct timespec now;
	uint64_t key;

	if (getrandom(&key, sizeof(key), GRND_NONBLOCK) == sizeof(key))
		return key;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_nsec * 0x9e3779b97f4a7c15ull ^ (uintptr_t)&now;
}

static __u64 *words_new(uint32_t buckets)
{
	__u64 *words = aligned_alloc(64, buckets * BUCKET_SIZE);

	if (words)
		memset(words, 0, buckets * BUCKET_SIZE);
	return words;
}

struct st_flow_memory *st_flow_memory_open(uint32_t flows, uint64_t key)
{
	struct st_flow_memory *memory = calloc(1, sizeof(*memory));

	if (!memory)
		return NULL;
	memory->key = key ? key : random_key();
	memory->young = flows ? ST_FLOW_YOUNG : ST_FLOW_WORDS;
	memory->buckets = flows ? flows / ST_FLOW_WORDS : BUCKETS_FIRST;
	memory->words = words_new(memory->buckets);
	if (!flows)
		memory->halves = malloc(memory->buckets * ST_FLOW_WORDS * sizeof(*memory->halves));
	if (!memory->words || (!flows && !memory->halves)) {
		st_flow_memory_close(memory);
		return NULL;
	}
	return memory;
}

void st_flow_memory_close(struct st_flow_memory *memory)
{
	if (!memory)
		return;
	free(memory->words);
	free(memory->halves);
	free(memory);
}

static inline __u64 *bucket_of(const struct st_flow_memory *memory, uint64_t hash)
{
	return memory->words + (hash & (memory->buckets - 1)) * ST_FLOW_WORDS;
}

/* Each word goes to the bucket of the same number or to its new sibling: both have room. */
static void spread(const struct st_flow_memory *memory, __u64 *words, uint32_t *halves)
{
	const size_t count = (size_t)memory->buckets * ST_FLOW_WORDS;

	for (size_t i = 0; i < count; i++) {
		size_t at = i + (memory->halves[i] & memory->buckets ? count : 0);

		if (!memory->words[i])
			continue;
		words[at] = memory->words[i];
		halves[at] = memory->halves[i];
	}
}

/* Doubles it. Without memory it stays as it is, and the oldest flows go. */
static void grow(struct st_flow_memory *memory)
{
	const uint32_t buckets = 2 * memory->buckets;
	__u64 *words = words_new(buckets);
	uint32_t *halves = malloc((size_t)buckets * ST_FLOW_WORDS * sizeof(*halves));

	if (words && halves) {
		spread(memory, words, halves);
		free(memory->words);
		free(memory->halves);
		memory->words = words;
		memory->halves = halves;
		memory->buckets = buckets;
	} else {
		free(words);
		free(halves);
	}
}

/* More than a quarter is in use: of 1,000 buckets one has no room for a ninth flow. */
static bool is_full(const struct st_flow_memory *memory)
{
	return memory->used > memory->buckets * (ST_FLOW_WORDS / 4) &&
	       memory->buckets < ST_FLOW_GROWN / ST_FLOW_WORDS;
}

static uint32_t words_used(const __u64 *bucket)
{
	uint32_t used = 0;

	for (uint32_t i = 0; i < ST_FLOW_WORDS; i++)
		used += bucket[i] != 0;
	return used;
}

static __attribute__((noinline)) uint32_t look(struct st_flow_memory *memory, const uint8_t *data,
					       const struct st_flow_packet *flow)
{
	struct st_app_payload payload;
	uint32_t at, placed, used, app;
	__u64 *bucket;

	if (memory->halves && is_full(memory))
		grow(memory);
	bucket = bucket_of(memory, flow->hash);
	at = st_flow_find(bucket, flow->hash);
	if (flow->length) {
		uint32_t there = flow->there < ST_APP_BLOCK ? flow->there : ST_APP_BLOCK;

		memcpy(payload.bytes, data + flow->payload, there);
		memset(payload.bytes + there, 0, sizeof(payload.bytes) - there);
	}
	used = words_used(bucket);
	app = st_flow_look(bucket, at, memory->young, flow, &payload, &placed);
	if (memory->halves) {
		memory->used += words_used(bucket) - used;
		if (placed < ST_FLOW_WORDS)
			memory->halves[bucket - memory->words + placed] = (uint32_t)flow->hash;
	}
	return app;
}

/* transport 0: there is nothing to be recognised. */
static inline void flow_read(const struct st_flow_memory *memory,
			     const struct st_batch_packet *packet,
			     const struct st_flow_place *place, struct st_path path,
			     struct st_flow_packet *flow)
{
	const uint32_t last = st_flow_transport(path);
	const uint32_t transport = last == ST_TCP ? place->off - 20 : place->transport;
	const uint8_t *n = packet->data + place->network, *t = packet->data + transport;

	flow->transport = (uint8_t)last;
	if (!last)
		return;
	st_flow_ports(flow, t, transport);
	flow->now = packet->seconds / ST_FLOW_UNIT;
	st_flow_hash(flow, n, st_raw16(t), st_raw16(t + 2), place->tags, memory->key);
	st_flow_lengths(flow, place->end, st_flow_end(n, place->network));
}

void st_flow_recognise(struct st_flow_memory *memory, const struct st_batch_packet *packets,
		       const struct st_flow_place *places, size_t count, struct st_path *paths)
{
	struct st_flow_packet flows[ST_BATCH];

	/* two rounds, so that the buckets come from memory side by side */
	for (size_t i = 0; i < count; i++) {
		flow_read(memory, &packets[i], &places[i], paths[i], &flows[i]);
		if (flows[i].transport)
			__builtin_prefetch(bucket_of(memory, flows[i].hash), 1);
	}
	for (size_t i = 0; i < count; i++) {
		__u64 *bucket;
		uint32_t app;

		if (!flows[i].transport)
			continue;
		bucket = bucket_of(memory, flows[i].hash);
		app = st_flow_known(bucket, st_flow_find(bucket, flows[i].hash), memory->young,
				    &flows[i]);
		if (app == ST_FLOW_LOOK)
			app = look(memory, packets[i].data, &flows[i]);
		st_flow_push(&paths[i], app);
	}
}
