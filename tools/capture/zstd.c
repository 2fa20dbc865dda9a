// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* zstd files, also of several frames. */
#ifdef HAVE_ZSTD
#include "tools/capture/input.h"

#include <stdlib.h>
#include <zstd.h>

struct zstd {
	struct capture_decoder decoder;
	struct capture_packed *packed;
	ZSTD_DCtx *context;
	bool within;  /* a frame has begun */
	bool pending; /* the output is full: the decoder may hold more */
	bool ended;
};

static size_t zstd_pull(struct capture_decoder *decoder, uint8_t *data, size_t size,
			const char **error)
{
	struct zstd *zstd = (struct zstd *)decoder;
	struct capture_packed *packed = zstd->packed;
	ZSTD_outBuffer out = {.dst = data, .size = size};

	while (!out.pos && !zstd->ended) {
		ZSTD_inBuffer in;
		size_t result;

		if (!zstd->pending && !capture_packed_fill(packed, error)) {
			zstd->ended = true;
			if (!*error && zstd->within)
				*error = "the zstd data is cut short";
			break;
		}
		in = (ZSTD_inBuffer){packed->data, packed->end, packed->at};
		result = ZSTD_decompressStream(zstd->context, &out, &in);
		packed->at = in.pos;
		zstd->pending = out.pos == out.size;
		if (ZSTD_isError(result)) {
			zstd->ended = true;
			*error = "the zstd data is corrupt";
		}
		zstd->within = result; /* 0: a frame has ended */
	}
	return out.pos;
}

static void zstd_close(struct capture_decoder *decoder)
{
	struct zstd *zstd = (struct zstd *)decoder;

	ZSTD_freeDCtx(zstd->context);
	free(zstd->packed);
	free(zstd);
}

struct capture_decoder *capture_zstd(struct capture_packed *packed)
{
	struct zstd *zstd = calloc(1, sizeof(*zstd));

	if (zstd)
		zstd->context = ZSTD_createDCtx();
	if (!zstd || !zstd->context) {
		free(zstd);
		free(packed);
		return NULL;
	}
	zstd->decoder.pull = zstd_pull;
	zstd->decoder.close = zstd_close;
	zstd->packed = packed;
	return &zstd->decoder;
}
#else
typedef int capture_zstd_not_built; /* ISO C forbids an empty file */
#endif
