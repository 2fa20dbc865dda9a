// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The bytes of a capture file through a window that moves along. */
#include "tools/capture/input.h"
#include "tools/capture/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Small enough to be still in the CPU's cache when it is parsed. */
#define WINDOW (256u << 10)

/* 0 at the end, or with *error set. */
static size_t read_some(int fd, uint8_t *data, size_t size, const char **error)
{
	ssize_t count;

	do
		count = read(fd, data, size);
	while (count < 0 && errno == EINTR);
	if (count < 0) {
		*error = strerror(errno);
		return 0;
	}
	return (size_t)count;
}

bool capture_packed_fill(struct capture_packed *packed, const char **error)
{
	if (packed->at < packed->end)
		return true;
	packed->at = 0;
	packed->end = read_some(packed->fd, packed->data, sizeof(packed->data), error);
	return packed->end;
}

static bool starts_with(const struct capture_packed *packed, const char *magic, size_t size)
{
	return packed->end >= size && !memcmp(packed->data, magic, size);
}

/* A pipe may give less than a magic number at first. */
static void first_bytes(struct capture_packed *packed, const char **error)
{
	size_t count;

	do {
		count = read_some(packed->fd, packed->data + packed->end,
				  sizeof(packed->data) - packed->end, error);
		packed->end += count;
	} while (count && packed->end < 4);
}

static bool choose_decoder(struct capture_input *input, struct capture_packed *packed)
{
	input->packing = "";
	if (starts_with(packed, "\x1f\x8b", 2)) {
		input->packing = "gzip ";
		input->decoder = capture_gzip(packed);
		return input->decoder;
	}
	if (starts_with(packed, "\x28\xb5\x2f\xfd", 4)) {
		input->packing = "zstd ";
#ifdef HAVE_ZSTD
		input->decoder = capture_zstd(packed);
		return input->decoder;
#else
		free(packed);
		input->error = "is compressed with zstd, which this build can't read: use zstdcat";
		return false;
#endif
	}
	memcpy(input->window, packed->data, packed->end);
	input->end = packed->end;
	memset(input->window + input->end, 0, CAPTURE_BEHIND);
	free(packed);
	return true;
}

bool capture_input_open(struct capture_input *input, int fd)
{
	struct capture_packed *packed;

	*input = (struct capture_input){.fd = fd, .room = WINDOW};
	input->window = malloc(input->room + CAPTURE_BEHIND);
	packed = malloc(sizeof(*packed));
	if (!input->window || !packed) {
		free(packed);
		input->error = "out of memory";
		return false;
	}
	posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	packed->fd = fd;
	packed->at = packed->end = 0;
	first_bytes(packed, &input->error);
	if (input->error) {
		free(packed);
		return false;
	}
	if (!choose_decoder(input, packed)) {
		if (!input->error)
			input->error = "out of memory";
		return false;
	}
	return true;
}

void capture_input_close(struct capture_input *input)
{
	if (input->decoder)
		input->decoder->close(input->decoder);
	free(input->window);
	if (input->fd >= 0)
		close(input->fd);
}

static void pull(struct capture_input *input)
{
	uint8_t *data = input->window + input->end;
	size_t size = input->room - input->end, count;

	if (input->decoder)
		count = input->decoder->pull(input->decoder, data, size, &input->error);
	else
		count = read_some(input->fd, data, size, &input->error);
	input->end += count;
	memset(input->window + input->end, 0, CAPTURE_BEHIND);
	if (!count)
		input->ended = true;
}

static void move_to_front(struct capture_input *input)
{
	memmove(input->window, input->window + input->at, input->end - input->at);
	input->offset += input->at;
	input->end -= input->at;
	input->at = 0;
}

/* Called only when the window is full: a length that a file claims must not cost memory. */
static bool grow(struct capture_input *input)
{
	uint8_t *window = realloc(input->window, 2 * input->room + CAPTURE_BEHIND);

	if (!window) {
		input->error = "out of memory";
		input->ended = true;
		return false;
	}
	input->window = window;
	input->room *= 2;
	return true;
}

size_t capture_input_fill(struct capture_input *input, size_t size)
{
	size_t have;

	while (input->end - input->at < size && !input->ended) {
		if (input->at)
			move_to_front(input);
		if (input->end < input->room || grow(input))
			pull(input);
	}
	have = input->end - input->at;
	return have < size ? have : size;
}

uint64_t capture_input_skip(struct capture_input *input, uint64_t size)
{
	uint64_t left = size;

	for (;;) {
		size_t have = input->end - input->at;

		if (have >= left) {
			input->at += left;
			return size;
		}
		left -= have;
		input->at = input->end;
		if (!capture_input_fill(input, 1))
			return size - left;
	}
}
