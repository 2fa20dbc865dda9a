/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What the readers of the two formats share. */
#ifndef SOCKTALLY_TOOLS_CAPTURE_FORMAT_H
#define SOCKTALLY_TOOLS_CAPTURE_FORMAT_H

#include "tools/capture/file.h"
#include "tools/capture/input.h"

#include <byteswap.h>
#include <string.h>

/* An interface that a pcapng section describes. */
struct capture_interface {
	uint32_t linktype;
	uint32_t snaplen;          /* 0: unlimited */
	struct capture_time clock; /* ticks 0 */
};

#define CAPTURE_INTERFACES_MAX 65536 /* of one section; a block number has 16 or 32 bits */
#define CAPTURE_NAMES_MAX 256
#define CAPTURE_LINKTYPES_MAX 16

/* How a pcap record's header differs from today's. */
enum capture_lengths { LENGTHS_USUAL, LENGTHS_SWAPPED, LENGTHS_PERHAPS_SWAPPED };

struct capture_file {
	struct capture_input input;
	int (*batch)(struct capture_file *file, struct capture_packet *packets, int room);
	int result;   /* 1, or what there is to say behind the packets that were given */
	bool swapped; /* the other byte order than ours */
	uint64_t packets;

	/* pcap */
	uint32_t header_size; /* of a record */
	enum capture_lengths lengths;
	uint32_t linktype;
	uint64_t units;

	/* pcapng: the section's */
	struct capture_interface *interfaces;
	uint32_t interface_count;
	uint32_t interface_room;

	char names[CAPTURE_NAMES_MAX];
	uint32_t linktypes[CAPTURE_LINKTYPES_MAX];
	size_t linktype_count;
	char name[CAPTURE_MESSAGE_MAX / 2]; /* of the file, for messages */
	char message[CAPTURE_MESSAGE_MAX];
};

/* Both are given the file with its first bytes in the window. false: the message is set. */
bool capture_pcap_start(struct capture_file *file, uint32_t magic);
bool capture_pcapng_start(struct capture_file *file);

/* Notes a link type that the file uses. */
void capture_file_linktype(struct capture_file *file, uint32_t linktype);

/* All set the message and return -1. */
int capture_fail(struct capture_file *file, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* The file ends within what began at offset: because it is cut short, or can't be read on. */
int capture_fail_cut(struct capture_file *file, const char *what, uint64_t offset);
/* What began at offset can't be true. */
int capture_fail_corrupt(struct capture_file *file, const char *what, uint64_t offset,
			 const char *why, uint64_t value);

/*
 * A format's batch, made of its functions: next() is capture_file_next(), and there() tells whether all
 * of the next packet is in the window, so that those before stay where they are.
 */
static inline __attribute__((always_inline)) int
capture_batch(struct capture_file *file, struct capture_packet *packets, int room,
	      int (*next)(struct capture_file *file, struct capture_packet *packet),
	      bool (*there)(const struct capture_file *file))
{
	int count = 0;

	while (file->result > 0 && count < room && (!count || there(file))) {
		file->result = next(file, &packets[count]);
		count += file->result > 0;
	}
	return count ? count : file->result;
}

static inline uint32_t capture_u32(const struct capture_file *file, const uint8_t *data)
{
	uint32_t value;

	memcpy(&value, data, sizeof(value));
	return file->swapped ? bswap_32(value) : value;
}

static inline uint16_t capture_u16(const struct capture_file *file, const uint8_t *data)
{
	uint16_t value;

	memcpy(&value, data, sizeof(value));
	return file->swapped ? bswap_16(value) : value;
}

#endif
