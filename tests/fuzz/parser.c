/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Fuzzes the classifier: any bytes under any link type. The packet stands at the end of its memory, so
 * that a byte read past it is seen. Classified with others it has the same path, and the bytes behind
 * it, of which so many may be read then, make no difference.
 */
#include "plugin/count/classify.h"
#include <socktally/socktally.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
	if (!condition)
		abort();
}

static struct socktally_path classify(uint32_t linktype, const uint8_t *data, size_t size)
{
	struct socktally_path path;
	uint8_t *copy = malloc(size ? size : 1);

	require(!!copy);
	memcpy(copy, data, size);
	socktally_classify(linktype, copy, size, &path);
	free(copy);
	require(path.layer_count >= 1 && path.layer_count <= SOCKTALLY_MAX_LAYERS);
	for (uint8_t i = 0; i < path.layer_count; i++)
		require(path.layers[i] != 0);
	return path;
}

/* The packet, cut to each of some lengths, all at once. */
static void classify_many(uint32_t linktype, const uint8_t *data, size_t size, uint8_t behind)
{
	uint32_t link = st_link_of_linktype(linktype);
	/* one of the input's own, so that all ways to a tunnel are taken */
	const struct st_ports named = {.count = 1, .pairs = {(uint32_t)behind << 24 | 4789}};
	const struct st_ports *ports = behind & 1 ? &named : NULL;
	struct st_batch_packet packets[ST_BATCH];
	struct st_path paths[ST_BATCH], path;
	size_t count = size < ST_BATCH ? size + 1 : ST_BATCH;

	for (size_t i = 0; i < count; i++) {
		uint8_t *copy = malloc(size - i + ST_BEHIND);

		require(!!copy);
		memcpy(copy, data, size - i);
		memset(copy + size - i, behind, ST_BEHIND);
		packets[i] = (struct st_batch_packet){.data = copy, .caplen = (uint32_t)(size - i)};
	}
	st_classify_batch(ports, link, packets, count, paths, NULL);
	for (size_t i = 0; i < count; i++) {
		path = st_classify(ports, link, packets[i].data, packets[i].caplen);
		require(path.hi == paths[i].hi && path.lo == paths[i].lo);
		free((void *)packets[i].data);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t linktypes[] = {1,   1,   1,   1,   0,   9,   50,  51,  100, 101, 108,
					     113, 204, 228, 229, 248, 276, 127, 8,   10,  104, 105,
					     107, 109, 192, 197, 219, 226, 239, 242, 258};
	struct socktally_path path;
	char text[SOCKTALLY_PATH_TEXT_MAX];
	uint32_t linktype;

	if (size < 1)
		return 0;
	linktype = linktypes[data[0] % (sizeof(linktypes) / sizeof(linktypes[0]))];
	path = classify(linktype, data + 1, size - 1);
	classify_many(linktype, data + 1, size - 1, data[0]);
	require(socktally_path_text(path.layers, path.layer_count, text, sizeof(text)) <
		sizeof(text));
	return 0;
}
