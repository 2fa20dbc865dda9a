// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* pcapng: blocks, each with its length before and after it (draft-ietf-opsawg-pcapng). */
#include "tools/capture/format.h"

#include <stdlib.h>

enum block_type {
	BLOCK_INTERFACE = 1,
	BLOCK_PACKET_OBSOLETE = 2,
	BLOCK_PACKET_SIMPLE = 3,
	BLOCK_PACKET = 6,
	BLOCK_SECTION = 0x0a0d0d0a,
};

enum interface_option {
	OPTION_END = 0,
	OPTION_NAME = 2,
	OPTION_RESOLUTION = 9,
	OPTION_OFFSET = 14
};

#define BYTE_ORDER_MAGIC 0x1a2b3c4d
#define BLOCK_HEADER 8 /* type, length */
#define BLOCK_MIN 12   /* and the length again */
#define SECTION_MIN 28
#define NAME_MAX_LENGTH 64 /* bytes of an interface's name that are kept */

struct block {
	uint32_t type;
	uint32_t size; /* of the body */
	uint64_t offset;
	const uint8_t *body;
};

static int corrupt(struct capture_file *file, const struct block *block, const char *why,
		   uint64_t value)
{
	return capture_fail_corrupt(file, "block", block->offset, why, value);
}

/* Ticks a second: a power of 10 or 2. 0: more than 64 bits hold, and the packets have no time. */
static uint64_t resolution(uint8_t value)
{
	uint64_t units = 1;
	unsigned int power = value & 0x7f;

	if (value & 0x80)
		return power < 64 ? 1ull << power : 0;
	if (power > 19)
		return 0;
	while (power--)
		units *= 10;
	return units;
}

/* Adds a name to the list, unless it is there or the list is full. */
static void add_name(struct capture_file *file, const uint8_t *data, size_t size)
{
	char name[NAME_MAX_LENGTH + 1];
	size_t length =
		strnlen((const char *)data, size < NAME_MAX_LENGTH ? size : NAME_MAX_LENGTH);
	size_t used = strlen(file->names);

	if (!length)
		return;
	memcpy(name, data, length);
	name[length] = 0;
	for (const char *known = file->names; *known;) {
		size_t known_length = strcspn(known, ",");

		if (known_length == length && !memcmp(known, name, length))
			return;
		known += known_length + (known[known_length] == ',');
	}
	if (used + length + 2 > sizeof(file->names))
		return;
	if (used)
		file->names[used++] = ',';
	memcpy(file->names + used, name, length + 1);
}

static int64_t signed64(const struct capture_file *file, const uint8_t *data)
{
	uint64_t value;

	memcpy(&value, data, sizeof(value));
	return (int64_t)(file->swapped ? bswap_64(value) : value);
}

static void interface_options(struct capture_file *file, struct capture_interface *interface,
			      const uint8_t *data, size_t size)
{
	while (size >= 4) {
		uint16_t code = capture_u16(file, data), length = capture_u16(file, data + 2);
		size_t padded = 4 + ((length + 3u) & ~3u);

		if (code == OPTION_END || length > size - 4)
			return;
		if (code == OPTION_NAME)
			add_name(file, data + 4, length);
		else if (code == OPTION_RESOLUTION && length >= 1)
			interface->clock.units = resolution(data[4]);
		else if (code == OPTION_OFFSET && length >= 8)
			interface->clock.offset = signed64(file, data + 4);
		if (padded > size)
			return;
		data += padded;
		size -= padded;
	}
}

static int add_interface(struct capture_file *file, const struct block *block)
{
	struct capture_interface *interface;

	if (block->size < 8)
		return corrupt(file, block,
			       "describes an interface in too few bytes:", block->size);
	if (file->interface_count == CAPTURE_INTERFACES_MAX)
		return corrupt(file, block, "is one interface too many after",
			       file->interface_count);
	if (file->interface_count == file->interface_room) {
		uint32_t room = file->interface_room ? 2 * file->interface_room : 8;

		interface = reallocarray(file->interfaces, room, sizeof(*interface));
		if (!interface)
			return capture_fail(file, "%s: out of memory", file->name);
		file->interfaces = interface;
		file->interface_room = room;
	}
	interface = &file->interfaces[file->interface_count++];
	interface->linktype = capture_u16(file, block->body);
	interface->snaplen = capture_u32(file, block->body + 4);
	interface->clock = (struct capture_time){.units = 1000000};
	interface_options(file, interface, block->body + 8, block->size - 8);
	capture_file_linktype(file, interface->linktype);
	return 0;
}

/* Fills in the packet. data_at: where its bytes begin in the body. Returns 1 or -1. */
static int found_packet(struct capture_file *file, struct capture_packet *packet,
			const struct block *block, uint32_t interface, uint32_t data_at)
{
	if (interface >= file->interface_count)
		return corrupt(file, block,
			       "has a packet of an interface that was not described:", interface);
	if (packet->caplen > block->size - data_at)
		return corrupt(file, block, "is too short for a packet of length", packet->caplen);
	packet->data = block->body + data_at;
	packet->linktype = file->interfaces[interface].linktype;
	file->packets++;
	return 1;
}

/* The enhanced and the obsolete block differ only in how they name the interface. */
static int packet_block(struct capture_file *file, struct capture_packet *packet,
			const struct block *block)
{
	const uint8_t *body = block->body;
	uint32_t interface;

	if (block->size < 20)
		return corrupt(file, block, "has a packet in too few bytes:", block->size);
	interface = block->type == BLOCK_PACKET ? capture_u32(file, body) : capture_u16(file, body);
	if (interface < file->interface_count) {
		packet->time = file->interfaces[interface].clock;
		packet->time.ticks =
			(uint64_t)capture_u32(file, body + 4) << 32 | capture_u32(file, body + 8);
	}
	packet->caplen = capture_u32(file, body + 12);
	packet->len = capture_u32(file, body + 16);
	return found_packet(file, packet, block, interface, 20);
}

/* Without time, and cut at the snap length of the first interface. */
static int simple_block(struct capture_file *file, struct capture_packet *packet,
			const struct block *block)
{
	uint32_t snaplen, there;

	if (block->size < 4)
		return corrupt(file, block, "has a packet in too few bytes:", block->size);
	there = block->size - 4;
	packet->time = (struct capture_time){0};
	packet->len = capture_u32(file, block->body);
	packet->caplen = packet->len;
	snaplen = file->interface_count ? file->interfaces[0].snaplen : 0;
	if (snaplen && packet->caplen > snaplen)
		packet->caplen = snaplen;
	if (packet->caplen > there)
		packet->caplen = there;
	return found_packet(file, packet, block, 0, 4);
}

static bool has_body(uint32_t type)
{
	return type == BLOCK_PACKET || type == BLOCK_INTERFACE || type == BLOCK_PACKET_SIMPLE ||
	       type == BLOCK_PACKET_OBSOLETE;
}

/* Each section has its own byte order and its own interfaces. */
static int start_section(struct capture_file *file, uint64_t offset)
{
	const uint8_t *data;
	uint32_t magic, major;

	if (capture_input_need(&file->input, SECTION_MIN) < SECTION_MIN)
		return capture_fail_cut(file, "section header", offset);
	data = capture_input_data(&file->input);
	memcpy(&magic, data + 8, sizeof(magic));
	if (magic != BYTE_ORDER_MAGIC && magic != bswap_32(BYTE_ORDER_MAGIC))
		return capture_fail_corrupt(file, "section header", offset,
					    "has an unknown byte-order magic:", magic);
	file->swapped = magic != BYTE_ORDER_MAGIC;
	major = capture_u16(file, data + 12);
	if (major != 1)
		return capture_fail_corrupt(file, "section header", offset,
					    "is of an unknown version of pcapng:", major);
	file->interface_count = 0;
	return 0;
}

static int block_length(struct capture_file *file, struct block *block)
{
	const uint8_t *header = capture_input_data(&file->input);
	uint32_t length = capture_u32(file, header + 4);

	if (length < (block->type == BLOCK_SECTION ? SECTION_MIN : BLOCK_MIN) || length % 4 ||
	    (has_body(block->type) && length > CAPTURE_LENGTH_MAX))
		return corrupt(file, block, "claims a length of", length);
	block->size = length - BLOCK_MIN;
	return 0;
}

/*
 * Reads the next block and goes past it; its body is in the window if has_body(). Returns 1, 0 at the
 * end of the file, or -1.
 */
static int next_block(struct capture_file *file, struct block *block)
{
	struct capture_input *input = &file->input;
	uint64_t past_length;
	size_t have = capture_input_need(input, BLOCK_HEADER), whole;

	block->offset = capture_input_offset(input);
	if (!have && !input->error)
		return 0;
	if (have < BLOCK_HEADER)
		return capture_fail_cut(file, "block", block->offset);
	block->type = capture_u32(file, capture_input_data(input));
	if (block->type == BLOCK_SECTION && start_section(file, block->offset))
		return -1;
	if (block_length(file, block))
		return -1;
	whole = (size_t)block->size + BLOCK_MIN;
	if (has_body(block->type)) {
		if (capture_input_need(input, whole) < whole)
			return capture_fail_cut(file, "block", block->offset);
		block->body = capture_input_data(input) + BLOCK_HEADER;
		input->at += whole - 4;
	} else {
		past_length = capture_input_skip(input, whole - 4);
		if (past_length < whole - 4 || capture_input_need(input, 4) < 4)
			return capture_fail_cut(file, "block", block->offset);
	}
	if (capture_u32(file, capture_input_data(input)) != whole)
		return corrupt(file, block, "ends with another length than it begins with:",
			       capture_u32(file, capture_input_data(input)));
	input->at += 4;
	return 1;
}

static int pcapng_next(struct capture_file *file, struct capture_packet *packet)
{
	struct block block;
	int result;

	while ((result = next_block(file, &block)) > 0) {
		switch (block.type) {
		case BLOCK_PACKET:
		case BLOCK_PACKET_OBSOLETE:
			return packet_block(file, packet, &block);
		case BLOCK_PACKET_SIMPLE:
			return simple_block(file, packet, &block);
		case BLOCK_INTERFACE:
			if (add_interface(file, &block))
				return -1;
			break;
		}
	}
	return result;
}

/* Other blocks than packets end a batch. */
static bool pcapng_is_buffered(const struct capture_file *file)
{
	const struct capture_input *input = &file->input;
	const uint8_t *header = capture_input_data(input);
	size_t have = input->end - input->at;
	uint32_t type;

	if (have < BLOCK_HEADER)
		return false;
	type = capture_u32(file, header);
	return (type == BLOCK_PACKET || type == BLOCK_PACKET_SIMPLE ||
		type == BLOCK_PACKET_OBSOLETE) &&
	       have >= capture_u32(file, header + 4);
}

static int pcapng_batch(struct capture_file *file, struct capture_packet *packets, int room)
{
	return capture_batch(file, packets, room, pcapng_next, pcapng_is_buffered);
}

bool capture_pcapng_start(struct capture_file *file)
{
	if (start_section(file, 0))
		return false;
	file->batch = pcapng_batch;
	return true;
}
