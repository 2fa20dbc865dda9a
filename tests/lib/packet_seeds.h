/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Packets for the parsers: those of tests/data/paths.txt, of other people's captures if there are any (CAPTURES, or
 * ../shared/captures), and all of them with bytes changed and ends cut off. TEST_SEED: which changes.
 */
#ifndef SOCKTALLY_TESTS_LIB_PACKET_SEEDS_H
#define SOCKTALLY_TESTS_LIB_PACKET_SEEDS_H

#include "bpf/table.h"
#include "plugin/count/classify.h"
#include "tools/capture/file.h"
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LONGEST 2000 /* of a packet that is given to the kernel: it takes a page at most */
#define SEEDS 20000

struct packet {
	uint32_t link;
	uint32_t size;
	uint8_t bytes[LONGEST];
};

static struct packet *seeds;
static size_t seed_count;
static uint64_t random_state;

static void bail(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Marsaglia's xorshift64 */
static uint32_t random_below(uint32_t bound)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)((random_state >> 32) * bound >> 32);
}

/* check: called for each, may be NULL; `most` of them become seeds. */
static void take_file(const char *name, size_t most, void (*check)(const struct packet *packet))
{
	char message[CAPTURE_MESSAGE_MAX];
	struct capture_file *file = capture_file_open(name, -1, message);
	struct capture_packet from;
	size_t seen = 0;

	while (file && capture_file_next(file, &from) > 0) {
		struct packet packet = {.link = st_link_of_linktype(from.linktype)};

		packet.size = from.caplen < LONGEST ? from.caplen : LONGEST;
		memcpy(packet.bytes, from.data, packet.size);
		if (check)
			check(&packet);
		if (seen++ < most && seed_count < SEEDS)
			seeds[seed_count++] = packet;
	}
	if (file)
		capture_file_close(file);
}

static char made[] = "/tmp/socktally-test-XXXXXX";

/* The name of a capture file with the packets of a text file. */
static const char *packets_of(const char *text)
{
	const char *sources = getenv("SRCDIR") ? getenv("SRCDIR") : ".";
	char command[8192];
	int fd;

	strcpy(made + strlen(made) - 6, "XXXXXX");
	fd = mkstemp(made);
	if (fd < 0)
		bail("mkstemp");
	close(fd);
	snprintf(command, sizeof(command),
		 "sed 's/^[!?]//' '%s' | python3 '%s/tests/lib/packets.py' - %s pcapng", text,
		 sources, made);
	if (system(command))
		bail("tests/lib/packets.py");
	return made;
}

static void take_own(void (*check)(const struct packet *packet))
{
	const char *sources = getenv("SRCDIR") ? getenv("SRCDIR") : ".";
	char text[4096];

	snprintf(text, sizeof(text), "%s/tests/data/paths.txt", sources);
	take_file(packets_of(text), SEEDS, check);
	unlink(made);
}

static void take_captures(void (*check)(const struct packet *packet))
{
	const char *sources = getenv("SRCDIR") ? getenv("SRCDIR") : ".";
	const char *folder = getenv("CAPTURES");
	char pattern[4096];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s%s/*/*.pcap*", folder ? folder : sources,
		 folder ? "" : "/../shared/captures");
	if (glob(pattern, 0, NULL, &found))
		return;
	for (size_t i = 0; i < found.gl_pathc; i++)
		take_file(found.gl_pathv[i], 12, check);
	globfree(&found);
}

/* Some bytes near the front changed, the end cut off or two packets put together, the link type too. */
static void mutate(struct packet *packet)
{
	static const uint8_t likely[] = {0,    1,    4,    6,    8,    17,   41,   43,
					 44,   47,   50,   51,   58,   60,   0x45, 0x60,
					 0x81, 0x86, 0x88, 0xdd, 0x58, 0x65, 0xaa, 0xff,
					 0x2f, 0x42, 0x47, 0x64, 0xbe, 0x0b};
	const struct packet *other;
	uint32_t front, keep;

	for (uint32_t changes = random_below(5); packet->size && changes--;) {
		front = packet->size < 128 ? packet->size : 128;
		packet->bytes[random_below(front)] = random_below(2)
							     ? likely[random_below(sizeof(likely))]
							     : (uint8_t)random_below(256);
	}
	if (!random_below(3))
		packet->size = random_below(packet->size + 1);
	if (!random_below(4)) {
		other = &seeds[random_below((uint32_t)seed_count)];
		keep = random_below((packet->size < 100 ? packet->size : 100) + 1);
		packet->size = other->size < LONGEST - keep ? keep + other->size : LONGEST;
		memcpy(packet->bytes + keep, other->bytes, packet->size - keep);
	}
	if (!random_below(20)) {
		packet->link = 1 + random_below(ST_LINK_PPP_DIR);
		if (packet->link == ST_LINK_SLL) /* its ethertype is not in the bytes */
			packet->link = ST_LINK_OTHER | random_below(400);
	}
}

static void seeds_start(void)
{
	const char *seed = getenv("TEST_SEED");

	seeds = malloc(SEEDS * sizeof(*seeds));
	if (!seeds)
		bail("malloc");
	random_state =
		seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL) << 20 | (uint64_t)getpid();
	random_state += !random_state;
	printf("# TEST_SEED=%#llx\n", (unsigned long long)random_state);
}

#endif
