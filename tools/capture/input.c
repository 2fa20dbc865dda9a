// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The bytes of a capture file through a window that moves along. */
#include "tools/capture/input.h"
#include "tools/capture/file.h"
#include "tools/capture/packed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Small enough to be still in the CPU's cache when it is parsed. */
#define WINDOW (256u << 10)
#define MAGIC_MAX 6 /* bytes of the longest magic number */

struct capture_source {
	int fd;
};

/* 0 at the end, or with *error set. */
static size_t read_some(void *ctx, uint8_t *data, size_t size, const char **error)
{
	struct capture_source *source = ctx;
	ssize_t count;

	do
		count = read(source->fd, data, size);
	while (count < 0 && errno == EINTR);
	if (count < 0) {
		*error = strerror(errno);
		return 0;
	}
	return (size_t)count;
}

/* A pipe may give less than a magic number at first. */
static size_t first_bytes(struct capture_source *source, uint8_t first[CAPTURE_FIRST_MAX],
			  const char **error)
{
	size_t count, end = 0;

	do {
		count = read_some(source, first + end, CAPTURE_FIRST_MAX - end, error);
		end += count;
	} while (count && end < MAGIC_MAX);
	return end;
}

bool capture_input_open(struct capture_input *input, int fd)
{
	uint8_t first[CAPTURE_FIRST_MAX];
	size_t size;

	*input = (struct capture_input){.room = WINDOW};
	input->source = calloc(1, sizeof(*input->source));
	if (!input->source) {
		close(fd);
		input->error = "out of memory";
		return false;
	}
	input->source->fd = fd;
	input->window = malloc(input->room + CAPTURE_BEHIND);
	if (!input->window) {
		input->error = "out of memory";
		return false;
	}
	posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	size = first_bytes(input->source, first, &input->error);
	if (input->error)
		return false;
	input->codec = capture_codec_find(first, size);
	if (!input->codec) {
		memcpy(input->window, first, size);
		input->end = size;
		memset(input->window + input->end, 0, CAPTURE_BEHIND);
		return true;
	}
	if (!input->codec->start)
		return false;
	input->packed = capture_packed_open(input->codec, first, size, read_some, input->source);
	if (!input->packed)
		input->error = "out of memory";
	return input->packed;
}

void capture_input_close(struct capture_input *input)
{
	capture_packed_close(input->packed);
	free(input->window);
	if (input->source)
		close(input->source->fd);
	free(input->source);
}

static void pull(struct capture_input *input)
{
	uint8_t *data = input->window + input->end;
	size_t size = input->room - input->end, count;

	if (input->packed)
		count = capture_packed_read(input->packed, data, size, &input->error);
	else
		count = read_some(input->source, data, size, &input->error);
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

int capture_input_descriptor(const struct capture_input *input)
{
	return input->source->fd;
}
