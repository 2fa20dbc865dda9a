/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The bytes of a file, decompressed, through a window. */
#ifndef SOCKTALLY_TOOLS_CAPTURE_INPUT_H
#define SOCKTALLY_TOOLS_CAPTURE_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct capture_decoder; /* of a compressed file */

struct capture_input {
	int fd;
	uint8_t *window;
	size_t room;
	size_t at;           /* the next byte in the window */
	size_t end;          /* what the window holds */
	uint64_t offset;     /* of window[0] in the (decompressed) file */
	bool ended;          /* nothing more comes: end of file, or an error */
	const char *error;   /* why it ended, if not well: "Input/output error" */
	const char *packing; /* "gzip ", "zstd ", or "" */
	struct capture_decoder *decoder;
};

/* Takes over fd. false: out of memory, or error says what. */
bool capture_input_open(struct capture_input *input, int fd);
void capture_input_close(struct capture_input *input);

/* Reads until the window has `size` bytes from `at` on. Returns how many it has, `size` at most. */
size_t capture_input_fill(struct capture_input *input, size_t size);

/* Goes past `size` bytes. Returns how many there were before the end. */
uint64_t capture_input_skip(struct capture_input *input, uint64_t size);

static inline size_t capture_input_need(struct capture_input *input, size_t size)
{
	return input->end - input->at >= size ? size : capture_input_fill(input, size);
}

static inline const uint8_t *capture_input_data(const struct capture_input *input)
{
	return input->window + input->at;
}

static inline uint64_t capture_input_offset(const struct capture_input *input)
{
	return input->offset + input->at;
}

/*
 * Decoders. pull() writes up to `size` decompressed bytes to data; it returns 0 at the end, or with *error
 * set.
 */
struct capture_decoder {
	size_t (*pull)(struct capture_decoder *decoder, uint8_t *data, size_t size,
		       const char **error);
	void (*close)(struct capture_decoder *decoder);
};

#define CAPTURE_PACKED_ROOM (128u << 10)
struct capture_packed {
	int fd;
	size_t at;
	size_t end;
	uint8_t data[CAPTURE_PACKED_ROOM];
};

/* Reads more if no byte is left. false: end of file, or *error is set. */
bool capture_packed_fill(struct capture_packed *packed, const char **error);

/* NULL: out of memory. They own packed from then on. */
struct capture_decoder *capture_gzip(struct capture_packed *packed);
struct capture_decoder *capture_zstd(struct capture_packed *packed);

#endif
