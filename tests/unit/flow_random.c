// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/*
 * Payload that is nothing's is named nothing: of 1,000,000 flows each of random bytes, of text and of compressed
 * data, at most one in 100,000. TEST_SEED: which.
 */
#include "bpf/parse/packet_native.h"
#include "bpf/parse/dispatch.h"
#include "bpf/apps/look.h"
#include "plugin/count/path.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FLOWS 1000000
#define ALLOWED (FLOWS / 100000)

static uint64_t random_state;

static uint32_t random_word(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 32);
}

static void random_bytes(uint8_t *to, size_t size)
{
	for (size_t i = 0; i < size; i += 4) {
		uint32_t word = random_word();

		memcpy(to + i, &word, size - i < 4 ? size - i : 4);
	}
}

/* Words of letters, now and then a line's end: "Ofa ytwenb, hq\r\n". */
static void random_text(uint8_t *to, size_t size)
{
	static const char between[] = "      ,.:;-\n\r\t=/";
	uint32_t left = 1 + random_word() % 8;
	bool upper = random_word() % 2;

	for (size_t i = 0; i < size; i++) {
		if (left--) {
			to[i] = (uint8_t)((upper ? 'A' : 'a') + random_word() % 26);
			upper = upper && random_word() % 8 == 0;
		} else {
			to[i] = (uint8_t)between[random_word() % (sizeof(between) - 1)];
			left = 1 + random_word() % 8;
			upper = random_word() % 6 == 0;
		}
	}
}

/* What zlib, gzip, zstd, xz, bzip2 and lz4 begin with, or the middle of such data. */
static void compressed(uint8_t *to, size_t size)
{
	static const struct {
		uint8_t size, bytes[10];
	} starts[] = {
		{2, {0x78, 0x9c}},
		{2, {0x78, 0xda}},
		{10, {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3}},
		{4, {0x28, 0xb5, 0x2f, 0xfd}},
		{6, {0xfd, '7', 'z', 'X', 'Z', 0}},
		{10, {'B', 'Z', 'h', '9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59}},
		{4, {4, 0x22, 0x4d, 0x18}},
		{0, {0}},
	};
	const uint32_t kind = random_word() % 8;

	random_bytes(to, size);
	memcpy(to, starts[kind].bytes, starts[kind].size < size ? starts[kind].size : size);
}

static const struct {
	const char *name;
	void (*fill)(uint8_t *to, size_t size);
} kinds[] = {{"random bytes", random_bytes},
	     {"text", random_text},
	     {"compressed data", compressed}};

/* A packet of the flow: the first 64 bytes, of a length that packets have. */
static void packet(struct st_app_payload *payload, void (*fill)(uint8_t *to, size_t size))
{
	payload->length = 1 + random_word() % (random_word() % 2 ? 64 : 1448);
	payload->there = payload->length < ST_APP_BLOCK ? payload->length : ST_APP_BLOCK;
	memset(payload->bytes, 0, sizeof(payload->bytes));
	fill(payload->bytes, payload->there);
}

/* The application of a flow of up to three packets of each side; 0: none. */
static uint32_t flow(void (*fill)(uint8_t *to, size_t size))
{
	const uint16_t ports[2] = {(uint16_t)random_word(), (uint16_t)random_word()};
	struct st_app_payload payload = {.transport = random_word() % 2 ? ST_TCP : ST_UDP};
	uint8_t seen[2] = {0, 0};
	uint32_t result = 0, name = 0;

	for (int i = 0; i < 6 && !(result & ST_APP_NEVER); i++) {
		const uint8_t side = random_word() % 2;

		if (seen[side] == ST_APP_LOOKS)
			continue;
		packet(&payload, fill);
		payload.side = side;
		payload.from = ports[side];
		payload.to = ports[!side];
		payload.nth = seen[side]++;
		payload.other = seen[!side];
		result = st_app_look(&payload, result & ((1u << ST_APP_STATE_BITS) - 1));
		if (result & ST_APP_FOUND)
			name = result & 0xff;
		if ((result & (ST_APP_FOUND | ST_APP_MORE)) == ST_APP_FOUND)
			break;
	}
	return name;
}

int main(void)
{
	const char *seed = getenv("TEST_SEED");
	int failures = 0;

	random_state = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL) * 2 + 1;
	printf("# TEST_SEED=%llu\n", (unsigned long long)random_state);
	for (size_t kind = 0; kind < sizeof(kinds) / sizeof(*kinds); kind++) {
		uint32_t counts[256] = {0}, named = 0;

		for (int i = 0; i < FLOWS; i++) {
			uint32_t name = flow(kinds[kind].fill);

			counts[name]++;
			named += name != 0;
		}
		for (uint32_t i = 1; i < 256; i++) {
			const uint8_t layer = (uint8_t)i;
			char text[64];

			if (!counts[i])
				continue;
			socktally_path_text(&layer, 1, text, sizeof(text));
			printf("# %s: %u\n", text, counts[i]);
		}
		printf("%sok %zu - %s: %u of %d flows are named\n", named <= ALLOWED ? "" : "not ",
		       kind + 1, kinds[kind].name, named, FLOWS);
		failures += named > ALLOWED;
	}
	printf("1..%zu\n", sizeof(kinds) / sizeof(*kinds));
	return failures != 0;
}
