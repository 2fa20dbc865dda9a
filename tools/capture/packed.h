/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Compressed files: one reader for all compressions, and a codec for each. */
#ifndef SOCKTALLY_TOOLS_CAPTURE_PACKED_H
#define SOCKTALLY_TOOLS_CAPTURE_PACKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What step() takes from and puts to: it moves both on. */
struct capture_flow {
	const uint8_t *in;
	size_t in_size;
	uint8_t *out;
	size_t out_size;
};

enum capture_step {
	CAPTURE_MORE,
	CAPTURE_FRAME_END, /* the frame is whole: another may follow */
	CAPTURE_CORRUPT,
	CAPTURE_NO_MEMORY, /* or it needs more than CAPTURE_CODEC_MEMORY */
};

#define CAPTURE_CODEC_MEMORY (512u << 20) /* bytes; a file may ask for any amount */

/* Files are frames, one after the other, each of which can be decoded by itself. */
struct capture_codec {
	const char *name;
	const char *undo; /* the command that writes a file of it decompressed to its output */
	const char *magic;
	/* What follows a frame and does not begin as the magic does is padding, to be ignored. */
	bool padded;
	size_t state_size;
	/* Before each frame; the state is zeroed before the first. false: out of memory. NULL: not in this build. */
	bool (*start)(void *state);
	enum capture_step (*step)(void *state, struct capture_flow *flow);
	void (*end)(void *state);
};

extern const struct capture_codec capture_gzip, capture_zstd, capture_xz, capture_bzip2,
	capture_lz4;

/* By the first bytes of a file; NULL: it is in no compression that is known. */
const struct capture_codec *capture_codec_find(const uint8_t *data, size_t size);

struct capture_packed;

/*
 * A reader of a file whose first bytes have been read already, CAPTURE_FIRST_MAX at most. NULL: out of
 * memory. read() gives more of it: 0 at the end, or with *error set.
 */
#define CAPTURE_FIRST_MAX 64
struct capture_packed *
capture_packed_open(const struct capture_codec *codec, const uint8_t *first, size_t size,
		    size_t (*read)(void *ctx, uint8_t *data, size_t size, const char **error),
		    void *ctx);
void capture_packed_close(struct capture_packed *packed);

/* Up to `size` decompressed bytes; 0 at the end, or with *error set, which lasts as long as `packed`. */
size_t capture_packed_read(struct capture_packed *packed, uint8_t *data, size_t size,
			   const char **error);

#endif
