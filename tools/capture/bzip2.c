// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* bzip2: streams one after the other, as pbzip2 writes them. */
#include "tools/capture/packed.h"

#ifdef HAVE_BZ2
#include <bzlib.h>
#include <string.h>

static bool bzip2_start(void *state)
{
	bz_stream *stream = state;

	if (stream->state)
		BZ2_bzDecompressEnd(stream);
	memset(stream, 0, sizeof(*stream));
	return BZ2_bzDecompressInit(stream, 0, 0) == BZ_OK;
}

static unsigned int limited(size_t size)
{
	return (unsigned int)(size < (1u << 30) ? size : 1u << 30);
}

static enum capture_step bzip2_step(void *state, struct capture_flow *flow)
{
	bz_stream *stream = state;
	const unsigned int in = limited(flow->in_size), out = limited(flow->out_size);
	int result;

	stream->next_in = (char *)flow->in;
	stream->avail_in = in;
	stream->next_out = (char *)flow->out;
	stream->avail_out = out;
	result = BZ2_bzDecompress(stream);
	flow->in += in - stream->avail_in;
	flow->in_size -= in - stream->avail_in;
	flow->out += out - stream->avail_out;
	flow->out_size -= out - stream->avail_out;
	if (result == BZ_STREAM_END)
		return CAPTURE_FRAME_END;
	if (result == BZ_OK)
		return CAPTURE_MORE;
	return result == BZ_MEM_ERROR ? CAPTURE_NO_MEMORY : CAPTURE_CORRUPT;
}

static void bzip2_end(void *state)
{
	BZ2_bzDecompressEnd(state);
}
#endif

const struct capture_codec capture_bzip2 = {
	.name = "bzip2",
	.undo = "bzip2 -dc",
	.magic = "BZh",
	.padded = true,
#ifdef HAVE_BZ2
	.state_size = sizeof(bz_stream),
	.start = bzip2_start,
	.step = bzip2_step,
	.end = bzip2_end,
#endif
};
