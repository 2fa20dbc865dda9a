// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* pcap, the older format: a header of 24 bytes, then packets, each with 16 bytes before it. */
#include "tools/capture/format.h"

#define FILE_HEADER 24
#define RECORD_HEADER 16
#define RECORD_HEADER_KUZNETZOV 24 /* ifindex, protocol and packet type after the lengths */

/* pcap files and those that differ in a detail; libpcap's sf-pcap.c and Wireshark's libpcap.h name them. */
struct variant {
	uint32_t magic, units; /* ticks a second */
	uint32_t header, record_header;
};

static const struct variant variants[] = {
	{0xa1b2c3d4, 1000000, FILE_HEADER, RECORD_HEADER},
	{0xa1b23c4d, 1000000000, FILE_HEADER, RECORD_HEADER},
	{0xa1b2cd34, 1000000, FILE_HEADER, RECORD_HEADER_KUZNETZOV},
	{0xa12b3c4d, 1000000000, FILE_HEADER, RECORD_HEADER}, /* Navtel */
	/* IXIA's lcap, of hardware and of software: the size of all records follows the header */
	{0x1c0001ac, 1000000000, FILE_HEADER + 4, RECORD_HEADER},
	{0x1c0001ab, 1000000, FILE_HEADER + 4, RECORD_HEADER},
};

static const struct variant *find_variant(uint32_t magic)
{
	for (size_t i = 0; i < sizeof(variants) / sizeof(*variants); i++)
		if (variants[i].magic == magic)
			return &variants[i];
	return NULL;
}

static int pcap_end(struct capture_file *file, uint64_t offset)
{
	if (!file->input.error && capture_input_offset(&file->input) == offset &&
	    file->input.at == file->input.end)
		return 0;
	return capture_fail_cut(file, "packet", offset);
}

struct lengths {
	uint32_t caplen;
	uint32_t len;
};

static inline struct lengths record_lengths(const struct capture_file *file, const uint8_t *header)
{
	uint32_t first = capture_u32(file, header + 8), second = capture_u32(file, header + 12);

	if (file->lengths == LENGTHS_SWAPPED ||
	    (file->lengths == LENGTHS_PERHAPS_SWAPPED && first > second))
		return (struct lengths){.caplen = second, .len = first};
	return (struct lengths){.caplen = first, .len = second};
}

static inline int pcap_next(struct capture_file *file, struct capture_packet *packet)
{
	struct capture_input *input = &file->input;
	uint32_t header_size = file->header_size;
	struct lengths lengths;
	const uint8_t *header;
	size_t whole;

	if (capture_input_need(input, header_size) < header_size)
		return pcap_end(file, capture_input_offset(input));
	lengths = record_lengths(file, capture_input_data(input));
	if (lengths.caplen > CAPTURE_LENGTH_MAX)
		return capture_fail_corrupt(file, "packet", capture_input_offset(input),
					    "claims a length of", lengths.caplen);
	whole = (size_t)header_size + lengths.caplen;
	if (capture_input_need(input, whole) < whole)
		return capture_fail_cut(file, "packet", capture_input_offset(input));
	header = capture_input_data(input);
	input->at += whole;
	file->packets++;
	packet->data = header + header_size;
	packet->caplen = lengths.caplen;
	packet->len = lengths.len;
	packet->linktype = file->linktype;
	packet->time.ticks =
		capture_u32(file, header) * file->units + capture_u32(file, header + 4);
	packet->time.units = file->units;
	packet->time.offset = 0;
	return 1;
}

static bool pcap_is_buffered(const struct capture_file *file)
{
	const struct capture_input *input = &file->input;
	size_t have = input->end - input->at;

	return have >= file->header_size &&
	       have - file->header_size >= record_lengths(file, capture_input_data(input)).caplen;
}

static int pcap_batch(struct capture_file *file, struct capture_packet *packets, int room)
{
	return capture_batch(file, packets, room, pcap_next, pcap_is_buffered);
}

/* Before version 2.3 the two lengths had the other order; files of 2.3 have either. */
static bool pcap_version(struct capture_file *file, unsigned int major, unsigned int minor)
{
	if ((major != 2 || minor > 4) && (major != 543 || minor)) {
		capture_fail(file, "%s: is pcap version %u.%u, and only 2.4 and before are known",
			     file->name, major, minor);
		return false;
	}
	if (major == 543 || minor < 3)
		file->lengths = LENGTHS_SWAPPED;
	else if (minor == 3)
		file->lengths = LENGTHS_PERHAPS_SWAPPED;
	return true;
}

bool capture_pcap_start(struct capture_file *file, uint32_t magic)
{
	const struct variant *variant = find_variant(magic);
	const uint8_t *header;

	if (!variant) {
		variant = find_variant(bswap_32(magic));
		file->swapped = true;
	}
	if (!variant)
		return false;
	if (capture_input_need(&file->input, variant->header) < variant->header) {
		capture_fail_cut(file, "file header", 0);
		return false;
	}
	header = capture_input_data(&file->input);
	if (!pcap_version(file, capture_u16(file, header + 4), capture_u16(file, header + 6)))
		return false;
	/* the upper half is about the frame check sequence (FCS) behind each packet */
	file->linktype = capture_u32(file, header + 20) & 0xffff;
	capture_file_linktype(file, file->linktype);
	file->units = variant->units;
	file->header_size = variant->record_header;
	file->batch = pcap_batch;
	file->input.at += variant->header;
	return true;
}
