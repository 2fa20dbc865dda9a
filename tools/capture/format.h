/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What the readers of the two formats share. */
#ifndef SOCKTALLY_TOOLS_CAPTURE_FORMAT_H
#define SOCKTALLY_TOOLS_CAPTURE_FORMAT_H

#include "tools/capture/file.h"
#include "tools/capture/input.h"
#include "tools/capture/statistics.h"

#include <byteswap.h>
#include <string.h>

/* An interface that a pcapng section describes. */
struct capture_interface {
	uint32_t linktype;
	uint32_t snaplen;                     /* 0: unlimited */
	struct capture_time clock;            /* ticks 0 */
	struct capture_statistics statistics; /* as they were last in the section */
};

#define CAPTURE_INTERFACES_MAX 65536 /* of one section; a block number has 16 or 32 bits */
#define CAPTURE_NAMES_MAX 256
#define CAPTURE_LINKTYPES_MAX 16

/* The order of the two lengths in a pcap record's header. */
enum capture_lengths { LENGTHS_USUAL, LENGTHS_SWAPPED, LENGTHS_PERHAPS_SWAPPED };

struct capture_file {
	struct capture_input input;
	int (*batch)(struct capture_file *file, struct capture_packet *packets, int room);
	int result;   /* 1, or the 0 or -1 to return after the packets of the window */
	bool swapped; /* the byte order is not this machine's */
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
	struct capture_statistics statistics; /* of the sections before; and of packets */

	char names[CAPTURE_NAMES_MAX];
	uint32_t linktypes[CAPTURE_LINKTYPES_MAX];
	size_t linktype_count;
	char name[CAPTURE_MESSAGE_MAX / 2]; /* of the file, for messages */
	char message[CAPTURE_MESSAGE_MAX];
};

/* The first four bytes are in the window. false: not this format, or the message is set. */
bool capture_pcap_start(struct capture_file *file, uint32_t magic);
bool capture_pcapng_start(struct capture_file *file);

/* Notes a link type that the file uses. */
void capture_file_linktype(struct capture_file *file, uint32_t linktype);

/* All set the message and return -1. */
int capture_fail(struct capture_file *file, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* The file ends, or a read failed, within the item that begins at offset. 0 if reading was stopped there. */
int capture_fail_cut(struct capture_file *file, const char *what, uint64_t offset);
/* The item that begins at offset has an impossible value. */
int capture_fail_corrupt(struct capture_file *file, const char *what, uint64_t offset,
			 const char *why, uint64_t value);

/*
 * capture_file_batch() of a format: next() reads a packet; is_buffered() tells whether the next packet is
 * whole in the window, so that reading it does not move the packets before it.
 */
static inline __attribute__((always_inline)) int
capture_batch(struct capture_file *file, struct capture_packet *packets, int room,
	      int (*next)(struct capture_file *file, struct capture_packet *packet),
	      bool (*is_buffered)(const struct capture_file *file))
{
	int count = 0;

	while (file->result > 0 && count < room && (!count || is_buffered(file))) {
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
