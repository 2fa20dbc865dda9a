// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* pcapng: blocks, each with its length before and after it (draft-ietf-opsawg-pcapng). */
#include "tools/capture/format.h"

#include <stdlib.h>

enum block_type {
	BLOCK_INTERFACE = 1,
	BLOCK_PACKET_OBSOLETE = 2,
	BLOCK_PACKET_SIMPLE = 3,
	BLOCK_STATISTICS = 5,
	BLOCK_PACKET = 6,
	BLOCK_SECTION = 0x0a0d0d0a,
};

enum interface_option {
	OPTION_END = 0,
	OPTION_NAME = 2,
	OPTION_RESOLUTION = 9,
	OPTION_OFFSET = 14
};

#define OPTION_DROP_COUNT 4 /* of a packet */

/* Options of BLOCK_STATISTICS begin with this one, in the order of enum capture_statistic. */
#define OPTION_RECEIVED 4

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

struct options {
	const uint8_t *data; /* what is left of them */
	size_t size;
	uint16_t code, length; /* of the last one */
	const uint8_t *value;
};

/* Whether there is one more that is whole. */
static bool next_option(const struct capture_file *file, struct options *options)
{
	size_t padded;

	if (options->size < 4)
		return false;
	options->code = capture_u16(file, options->data);
	options->length = capture_u16(file, options->data + 2);
	options->value = options->data + 4;
	if (options->code == OPTION_END || options->length > options->size - 4)
		return false;
	padded = 4 + ((options->length + 3u) & ~3u);
	if (padded > options->size)
		padded = options->size;
	options->data += padded;
	options->size -= padded;
	return true;
}

static void interface_options(struct capture_file *file, struct capture_interface *interface,
			      struct options options)
{
	while (next_option(file, &options)) {
		if (options.code == OPTION_NAME)
			add_name(file, options.value, options.length);
		else if (options.code == OPTION_RESOLUTION && options.length >= 1)
			interface->clock.units = resolution(*options.value);
		else if (options.code == OPTION_OFFSET && options.length >= 8)
			interface->clock.offset = signed64(file, options.value);
	}
}

/* Each such block of an interface has sums from the beginning, so the last one counts. */
static void statistics_block(struct capture_file *file, const struct block *block)
{
	struct options options = {.data = block->body + 12, .size = block->size - 12};
	uint32_t interface;

	if (block->size < 12)
		return;
	interface = capture_u32(file, block->body);
	while (interface < file->interface_count && next_option(file, &options)) {
		unsigned int which = options.code - OPTION_RECEIVED;

		if (options.code >= OPTION_RECEIVED && which <= CAPTURE_DELIVERED &&
		    options.length == 8)
			capture_statistic_set(&file->interfaces[interface].statistics, which,
					      (uint64_t)signed64(file, options.value));
	}
}

static void packet_options(struct capture_file *file, struct options options)
{
	struct capture_statistics dropped = {0};

	while (next_option(file, &options)) {
		if (options.code != OPTION_DROP_COUNT || options.length != 8)
			continue;
		capture_statistic_set(&dropped, CAPTURE_PACKET_DROPS,
				      (uint64_t)signed64(file, options.value));
		capture_statistics_add(&file->statistics, &dropped);
	}
}

void capture_file_statistics(const struct capture_file *file, struct capture_statistics *statistics)
{
	*statistics = file->statistics;
	for (uint32_t i = 0; i < file->interface_count; i++)
		capture_statistics_add(statistics, &file->interfaces[i].statistics);
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
	interface->statistics = (struct capture_statistics){0};
	interface_options(file, interface,
			  (struct options){.data = block->body + 8, .size = block->size - 8});
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
	uint64_t options_at;
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
	options_at = 20 + (((uint64_t)packet->caplen + 3) & ~UINT64_C(3));
	if (block->type == BLOCK_PACKET && block->size > options_at)
		packet_options(file, (struct options){.data = body + options_at,
						      .size = block->size - options_at});
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
	       type == BLOCK_PACKET_OBSOLETE || type == BLOCK_STATISTICS;
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
	capture_file_statistics(file, &file->statistics);
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
		case BLOCK_STATISTICS:
			statistics_block(file, &block);
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
