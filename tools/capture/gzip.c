// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* gzip: members one after the other (RFC 1952 section 2.2). */
#include "tools/capture/packed.h"

#include <zlib.h>

static bool gzip_start(void *state)
{
	z_stream *stream = state;

	if (stream->state)
		return inflateReset(stream) == Z_OK;
	/* 16: expect a gzip header */
	return inflateInit2(stream, 16 + MAX_WBITS) == Z_OK;
}

static uInt limited(size_t size)
{
	return (uInt)(size < (1u << 30) ? size : 1u << 30);
}

static enum capture_step gzip_step(void *state, struct capture_flow *flow)
{
	z_stream *stream = state;
	const uInt in = limited(flow->in_size), out = limited(flow->out_size);
	int result;

	stream->next_in = (Bytef *)flow->in;
	stream->avail_in = in;
	stream->next_out = flow->out;
	stream->avail_out = out;
	result = inflate(stream, Z_NO_FLUSH);
	flow->in += in - stream->avail_in;
	flow->in_size -= in - stream->avail_in;
	flow->out += out - stream->avail_out;
	flow->out_size -= out - stream->avail_out;
	if (result == Z_STREAM_END)
		return CAPTURE_FRAME_END;
	if (result == Z_OK || result == Z_BUF_ERROR)
		return CAPTURE_MORE;
	return result == Z_MEM_ERROR ? CAPTURE_NO_MEMORY : CAPTURE_CORRUPT;
}

static void gzip_end(void *state)
{
	inflateEnd(state);
}

const struct capture_codec capture_gzip = {
	.name = "gzip",
	.undo = "gzip -dc",
	.magic = "\x1f\x8b",
	.padded = true,
	.state_size = sizeof(z_stream),
	.start = gzip_start,
	.step = gzip_step,
	.end = gzip_end,
};
