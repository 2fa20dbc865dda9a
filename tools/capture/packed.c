// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "tools/capture/packed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOM (128u << 10)

/* What nothing here can read. */
#define UNREAD(NAME, UNDO, MAGIC)                                                                  \
	{                                                                                          \
		.name = (NAME), .undo = (UNDO), .magic = (MAGIC)                                   \
	}
static const struct capture_codec lz4_legacy =
	UNREAD("lz4's old format", "lz4 -dc", "\x02\x21\x4c\x18");
static const struct capture_codec lzip = UNREAD("lzip", "lzip -dc", "LZIP");
static const struct capture_codec compress = UNREAD("compress", "zcat", "\x1f\x9d");
static const struct capture_codec zip = UNREAD("zip", "unzip -p", "PK\x03\x04");

static const struct capture_codec *const codecs[] = {
	&capture_gzip, &capture_zstd, &capture_xz, &capture_bzip2, &capture_lz4,
	&lz4_legacy,   &lzip,         &compress,   &zip,
};

const struct capture_codec *capture_codec_find(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < sizeof(codecs) / sizeof(*codecs); i++) {
		size_t length = strlen(codecs[i]->magic);

		if (size >= length && !memcmp(data, codecs[i]->magic, length))
			return codecs[i];
	}
	return NULL;
}

struct capture_packed {
	const struct capture_codec *codec;
	void *state;
	size_t (*read)(void *ctx, uint8_t *data, size_t size, const char **error);
	void *ctx;
	bool started; /* a frame has begun, and end() is needed */
	bool within;  /* and has not ended */
	bool pending; /* the output is full: the codec may hold more */
	bool ended;
	char error[64];
	size_t at, end;
	uint8_t data[ROOM];
};

struct capture_packed *
capture_packed_open(const struct capture_codec *codec, const uint8_t *first, size_t size,
		    size_t (*read)(void *ctx, uint8_t *data, size_t size, const char **error),
		    void *ctx)
{
	struct capture_packed *packed = calloc(1, sizeof(*packed));

	if (!packed)
		return NULL;
	packed->codec = codec;
	packed->read = read;
	packed->ctx = ctx;
	packed->state = calloc(1, codec->state_size);
	if (!packed->state) {
		free(packed);
		return NULL;
	}
	memcpy(packed->data, first, size);
	packed->end = size;
	return packed;
}

void capture_packed_close(struct capture_packed *packed)
{
	if (!packed)
		return;
	if (packed->started)
		packed->codec->end(packed->state);
	free(packed->state);
	free(packed);
}

/* Reads more if no byte is left. false: end of file, or *error is set. */
static bool fill(struct capture_packed *packed, const char **error)
{
	if (packed->at < packed->end)
		return true;
	packed->at = 0;
	packed->end = packed->read(packed->ctx, packed->data, sizeof(packed->data), error);
	return packed->end;
}

static bool fail(struct capture_packed *packed, const char **error, const char *format)
{
	snprintf(packed->error, sizeof(packed->error), format, packed->codec->name);
	*error = packed->error;
	return false;
}

/* Begins the next frame. false: there is none, or *error is set. */
static bool next_frame(struct capture_packed *packed, const char **error)
{
	do {
		if (!fill(packed, error))
			return false;
	} while (packed->codec->padded && !packed->data[packed->at] && ++packed->at);
	if (packed->codec->padded && (char)packed->data[packed->at] != *packed->codec->magic)
		return false;
	if (!packed->codec->start(packed->state))
		return fail(packed, error, "out of memory for %s");
	packed->started = packed->within = true;
	return true;
}

static bool step(struct capture_packed *packed, struct capture_flow *flow, const char **error)
{
	if (!packed->pending && !fill(packed, error))
		return *error ? false : fail(packed, error, "the %s data is cut short");
	flow->in = packed->data + packed->at;
	flow->in_size = packed->end - packed->at;
	switch (packed->codec->step(packed->state, flow)) {
	case CAPTURE_CORRUPT:
		return fail(packed, error, "the %s data is corrupt");
	case CAPTURE_NO_MEMORY:
		return fail(packed, error, "there is not enough memory for the %s data");
	case CAPTURE_FRAME_END:
		packed->within = false;
		break;
	case CAPTURE_MORE:
		break;
	}
	packed->at = packed->end - flow->in_size;
	packed->pending = packed->within && !flow->out_size;
	return true;
}

size_t capture_packed_read(struct capture_packed *packed, uint8_t *data, size_t size,
			   const char **error)
{
	struct capture_flow flow = {.out = data, .out_size = size};

	while (flow.out_size == size && !packed->ended) {
		if (!packed->within && !next_frame(packed, error))
			packed->ended = true;
		else if (!step(packed, &flow, error))
			packed->ended = true;
	}
	return size - flow.out_size;
}
