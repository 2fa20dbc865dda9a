// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* gzip files, also of several members one after the other (RFC 1952 section 2.2). */
#include "tools/capture/input.h"

#include <stdlib.h>
#include <zlib.h>

struct gzip {
	struct capture_decoder decoder;
	struct capture_packed *packed;
	z_stream stream;
	bool between; /* between two members, or before the first */
	bool pending; /* the output is full: inflate() may hold more */
	bool ended;
};

/* Whether another member follows. Anything else behind the last one is padding. */
static bool next_member(struct gzip *gzip, const char **error)
{
	if (!capture_packed_fill(gzip->packed, error))
		return false;
	if (gzip->packed->data[gzip->packed->at] != 0x1f)
		return false;
	if (inflateReset(&gzip->stream) != Z_OK)
		return false;
	gzip->between = false;
	return true;
}

static size_t gzip_pull(struct capture_decoder *decoder, uint8_t *data, size_t size,
			const char **error)
{
	struct gzip *gzip = (struct gzip *)decoder;
	struct capture_packed *packed = gzip->packed;
	z_stream *stream = &gzip->stream;
	int result;

	stream->next_out = data;
	stream->avail_out = (uInt)(size < (1u << 30) ? size : 1u << 30);
	size = stream->avail_out;
	while (stream->avail_out == size && !gzip->ended) {
		if (gzip->between && !next_member(gzip, error)) {
			gzip->ended = true;
			break;
		}
		if (!gzip->pending && !capture_packed_fill(packed, error)) {
			gzip->ended = true;
			if (!*error)
				*error = "the gzip data is cut short";
			break;
		}
		stream->next_in = packed->data + packed->at;
		stream->avail_in = (uInt)(packed->end - packed->at);
		result = inflate(stream, Z_NO_FLUSH);
		packed->at = packed->end - stream->avail_in;
		gzip->pending = !stream->avail_out;
		if (result == Z_STREAM_END) {
			gzip->between = true;
		} else if (result != Z_OK && result != Z_BUF_ERROR) {
			gzip->ended = true;
			*error = result == Z_MEM_ERROR ? "out of memory"
						       : "the gzip data is corrupt";
		}
	}
	return size - stream->avail_out;
}

static void gzip_close(struct capture_decoder *decoder)
{
	struct gzip *gzip = (struct gzip *)decoder;

	inflateEnd(&gzip->stream);
	free(gzip->packed);
	free(gzip);
}

struct capture_decoder *capture_gzip(struct capture_packed *packed)
{
	struct gzip *gzip = calloc(1, sizeof(*gzip));

	/* 16: expect a gzip header */
	if (!gzip || inflateInit2(&gzip->stream, 16 + MAX_WBITS) != Z_OK) {
		free(gzip);
		free(packed);
		return NULL;
	}
	gzip->decoder.pull = gzip_pull;
	gzip->decoder.close = gzip_close;
	gzip->packed = packed;
	return &gzip->decoder;
}
