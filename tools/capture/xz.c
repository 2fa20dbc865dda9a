// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* xz: streams one after the other, with zeros between them. */
#include "tools/capture/packed.h"

#ifdef HAVE_LZMA
#include <lzma.h>

static bool xz_start(void *state)
{
	return lzma_stream_decoder(state, CAPTURE_CODEC_MEMORY, 0) == LZMA_OK;
}

static enum capture_step xz_step(void *state, struct capture_flow *flow)
{
	lzma_stream *stream = state;
	lzma_ret result;

	stream->next_in = flow->in;
	stream->avail_in = flow->in_size;
	stream->next_out = flow->out;
	stream->avail_out = flow->out_size;
	result = lzma_code(stream, LZMA_RUN);
	flow->in = stream->next_in;
	flow->in_size = stream->avail_in;
	flow->out = stream->next_out;
	flow->out_size = stream->avail_out;
	switch (result) {
	case LZMA_STREAM_END:
		return CAPTURE_FRAME_END;
	case LZMA_OK:
	case LZMA_BUF_ERROR:
		return CAPTURE_MORE;
	case LZMA_MEM_ERROR:
	case LZMA_MEMLIMIT_ERROR:
		return CAPTURE_NO_MEMORY;
	default:
		return CAPTURE_CORRUPT;
	}
}

static void xz_end(void *state)
{
	lzma_end(state);
}
#endif

const struct capture_codec capture_xz = {
	.name = "xz",
	.undo = "xz -dc",
	.magic = "\xfd"
		 "7zXZ",
	.padded = true,
#ifdef HAVE_LZMA
	.state_size = sizeof(lzma_stream), /* zeros are LZMA_STREAM_INIT */
	.start = xz_start,
	.step = xz_step,
	.end = xz_end,
#endif
};
