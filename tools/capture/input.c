// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The bytes of a capture file through a window that moves along. */
#include "tools/capture/input.h"
#include "tools/capture/file.h"
#include "tools/capture/packed.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Small enough to be still in the CPU's cache when it is parsed. */
#define WINDOW (256u << 10)
#define MAGIC_MAX 6 /* bytes of the longest magic number */

#define DRAIN 1000 /* milliseconds that a pipe is read on after `stop` */

struct capture_source {
	int fd, stop;
	bool regular;      /* a file that is there: reading it does not wait */
	bool stopping;     /* `stop` has become readable */
	bool stopped;      /* and nothing more is read */
	int64_t stop_time; /* in milliseconds; where stopping */
	uint64_t position;
};

static int64_t milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool is_readable(int fd)
{
	struct pollfd one = {.fd = fd, .events = POLLIN};

	return poll(&one, 1, 0) > 0;
}

/* Waits until there is something to read, or the end. false: it is stopped. */
static bool wait_for_data(struct capture_source *source)
{
	while (!source->stopped) {
		struct pollfd fds[] = {{.fd = source->fd, .events = POLLIN},
				       {.fd = source->stop, .events = POLLIN}};
		int64_t left = source->stopping ? source->stop_time - milliseconds() : -1;
		int ready = source->stopping && left <= 0
				    ? 0
				    : poll(fds, source->stopping ? 1 : 2, (int)left);

		if (ready < 0 && errno != EINTR)
			return true; /* read() says what it is */
		if (!ready) {
			source->stopped = true;
		} else if (ready > 0 && !source->stopping && fds[1].revents) {
			source->stopping = true;
			source->stop_time = milliseconds() + DRAIN;
		} else if (ready > 0) {
			return true;
		}
	}
	return false;
}

static bool may_read(struct capture_source *source)
{
	if (!source->regular)
		return wait_for_data(source);
	if (source->stop >= 0 && is_readable(source->stop))
		source->stopped = true;
	return !source->stopped;
}

/* 0 at the end, or with *error set. */
static size_t read_some(void *ctx, uint8_t *data, size_t size, const char **error)
{
	struct capture_source *source = ctx;
	ssize_t count;

	if (!may_read(source))
		return 0;
	do
		count = read(source->fd, data, size);
	while (count < 0 && errno == EINTR);
	if (count < 0) {
		*error = strerror(errno);
		return 0;
	}
	source->position += (size_t)count;
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

bool capture_input_open(struct capture_input *input, int fd, int stop)
{
	uint8_t first[CAPTURE_FIRST_MAX];
	struct stat status;
	size_t size;

	*input = (struct capture_input){.room = WINDOW};
	input->source = calloc(1, sizeof(*input->source));
	if (!input->source) {
		close(fd);
		input->error = "out of memory";
		return false;
	}
	input->source->fd = fd;
	input->source->stop = stop;
	input->source->regular = !fstat(fd, &status) && S_ISREG(status.st_mode);
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

bool capture_input_stopped(const struct capture_input *input)
{
	return input->source->stopped;
}

uint64_t capture_input_position(const struct capture_input *input)
{
	return input->source->position;
}
