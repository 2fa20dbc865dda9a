/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The bytes of a file, decompressed, through a window. */
#ifndef SOCKTALLY_TOOLS_CAPTURE_INPUT_H
#define SOCKTALLY_TOOLS_CAPTURE_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct capture_packed; /* of a compressed file */
struct capture_codec;
struct capture_source;

/* May be moved. */
struct capture_input {
	struct capture_source *source;
	uint8_t *window;
	size_t room;
	size_t at;                         /* the next byte in the window */
	size_t end;                        /* what the window holds */
	uint64_t offset;                   /* of window[0] in the (decompressed) file */
	bool ended;                        /* nothing more comes: end of file, or an error */
	const char *error;                 /* why it ended, if not well: "Input/output error" */
	const struct capture_codec *codec; /* NULL: the file is as it is */
	struct capture_packed *packed;
};

/*
 * Takes over fd. false: error says why, or the codec is none of this build's. stop: a descriptor that becomes
 * readable when nothing more is to be read; -1: none. A pipe is read on until its end then, for a second at
 * most: the same Ctrl-C has told its writer to come to an end.
 */
bool capture_input_open(struct capture_input *input, int fd, int stop);
void capture_input_close(struct capture_input *input);
/* Whether it ended because of `stop`, and not at its end. */
bool capture_input_stopped(const struct capture_input *input);
/* Bytes read of the file, compressed as they are. */
uint64_t capture_input_position(const struct capture_input *input);

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

#endif
