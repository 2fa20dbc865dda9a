// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* zstd (RFC 8878). */
#include "tools/capture/packed.h"

#ifdef HAVE_ZSTD
#include <zstd.h>
#include <zstd_errors.h>

struct state {
	ZSTD_DCtx *context;
};

static bool zstd_start(void *ctx)
{
	struct state *state = ctx;

	if (!state->context)
		state->context = ZSTD_createDCtx();
	return state->context;
}

static enum capture_step zstd_step(void *ctx, struct capture_flow *flow)
{
	const struct state *state = ctx;
	ZSTD_inBuffer in = {flow->in, flow->in_size, 0};
	ZSTD_outBuffer out = {flow->out, flow->out_size, 0};
	size_t result = ZSTD_decompressStream(state->context, &out, &in);

	flow->in += in.pos;
	flow->in_size -= in.pos;
	flow->out += out.pos;
	flow->out_size -= out.pos;
	if (!ZSTD_isError(result))
		return result ? CAPTURE_MORE : CAPTURE_FRAME_END;
	switch (ZSTD_getErrorCode(result)) {
	case ZSTD_error_memory_allocation:
	case ZSTD_error_frameParameter_windowTooLarge:
		return CAPTURE_NO_MEMORY;
	default:
		return CAPTURE_CORRUPT;
	}
}

static void zstd_end(void *ctx)
{
	const struct state *state = ctx;

	ZSTD_freeDCtx(state->context);
}
#endif

const struct capture_codec capture_zstd = {
	.name = "zstd",
	.undo = "zstd -dc",
	.magic = "\x28\xb5\x2f\xfd",
#ifdef HAVE_ZSTD
	.state_size = sizeof(struct state),
	.start = zstd_start,
	.step = zstd_step,
	.end = zstd_end,
#endif
};
