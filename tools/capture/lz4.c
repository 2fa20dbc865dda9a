// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* lz4's frame format, as Suricata writes it. */
#include "tools/capture/packed.h"

#ifdef HAVE_LZ4
#include <lz4frame.h>

struct state {
	LZ4F_dctx *context;
};

static bool lz4_start(void *ctx)
{
	struct state *state = ctx;

	return state->context ||
	       !LZ4F_isError(LZ4F_createDecompressionContext(&state->context, LZ4F_VERSION));
}

static enum capture_step lz4_step(void *ctx, struct capture_flow *flow)
{
	const struct state *state = ctx;
	size_t in = flow->in_size, out = flow->out_size;
	size_t result = LZ4F_decompress(state->context, flow->out, &out, flow->in, &in, NULL);

	if (LZ4F_isError(result))
		return CAPTURE_CORRUPT;
	flow->in += in;
	flow->in_size -= in;
	flow->out += out;
	flow->out_size -= out;
	return result ? CAPTURE_MORE : CAPTURE_FRAME_END;
}

static void lz4_end(void *ctx)
{
	const struct state *state = ctx;

	LZ4F_freeDecompressionContext(state->context);
}
#endif

const struct capture_codec capture_lz4 = {
	.name = "lz4",
	.undo = "lz4 -dc",
	.magic = "\x04\x22\x4d\x18",
#ifdef HAVE_LZ4
	.state_size = sizeof(struct state),
	.start = lz4_start,
	.step = lz4_step,
	.end = lz4_end,
#endif
};
