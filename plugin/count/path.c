// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Paths as text. */
#include "plugin/count/path.h"
#include <endian.h>
#include <string.h>

/*
 * Names are copied in whole units of this size, which is cheaper than by their length, with the colon
 * behind them. What comes along behind that the next one overwrites, or the end.
 */
#define NAME_UNIT 16

struct name {
	char text[NAME_UNIT - 1];
	uint8_t length; /* with the colon; 0: to be looked at */
};

static const struct name protocol_names[256] = {
#define SOCKTALLY_PROTOCOL(NUMBER, SYMBOL, NAME, LAYER, RECOGNISED, SOURCE)                        \
	[NUMBER] = {NAME ":", (NUMBER) == SOCKTALLY_DLT ? 0 : sizeof(NAME)},
#include <socktally/protocols.def>
#undef SOCKTALLY_PROTOCOL
};

#define SOCKTALLY_PROTOCOL(NUMBER, SYMBOL, NAME, LAYER, RECOGNISED, SOURCE)                        \
	_Static_assert(sizeof(NAME ":") < NAME_UNIT, NAME ": too long a name");
#include <socktally/protocols.def>
#undef SOCKTALLY_PROTOCOL

static const char *linktype_name(uint32_t linktype)
{
	switch (linktype) {
#define SOCKTALLY_LINKTYPE(NUMBER, NAME)                                                           \
	case NUMBER:                                                                               \
		return NAME;
#include "plugin/count/linktypes.def"
#undef SOCKTALLY_LINKTYPE
	default:
		return NULL;
	}
}

/* "DLT147" for a link type that nobody has named. */
static size_t linktype_number(uint32_t linktype, char *text)
{
	char digits[10];
	size_t count = 0, length = 3;

	do {
		digits[count++] = (char)('0' + linktype % 10);
		linktype /= 10;
	} while (linktype);
	memcpy(text, "DLT", length);
	while (count)
		text[length++] = digits[--count];
	return length;
}

/* Appends what fits of a text whose end is kept free for the NUL; returns the length wanted. */
static size_t append(char *text, size_t size, size_t at, const char *part, size_t length)
{
	if (at < size) {
		size_t room = size - at;

		memcpy(text + at, part, length < room ? length : room);
	}
	return at + length;
}

static size_t append_linktype(char *text, size_t size, size_t at, uint8_t high, uint8_t low)
{
	uint32_t linktype = (uint32_t)(high & 0x7f) << 7 | (low & 0x7f);
	const char *name = linktype_name(linktype);
	char number[16];

	if (name)
		at = append(text, size, at, name, strlen(name));
	else
		at = append(text, size, at, number, linktype_number(linktype, number));
	return append(text, size, at, ":", 1);
}

static size_t append_protocol(char *text, size_t size, size_t at, uint8_t protocol)
{
	const char *name = protocol_names[protocol].text;

	if (!*name)
		name = "?:";
	return append(text, size, at, name, strlen(name));
}

/* The layers from i on, with care. */
static size_t append_layers(const uint8_t *layers, size_t layer_count, size_t i, char *text,
			    size_t size, size_t at)
{
	for (; i < layer_count; i++) {
		if (layers[i] == SOCKTALLY_DLT && i + 2 < layer_count) {
			at = append_linktype(text, size, at, layers[i + 1], layers[i + 2]);
			i += 2;
		} else {
			at = append_protocol(text, size, at, layers[i]);
		}
	}
	return at;
}

size_t socktally_path_text(const uint8_t *layers, size_t layer_count, char *text, size_t size)
{
	size_t room = size ? size - 1 : 0, at = 0, i;

	for (i = 0; i < layer_count && layer_count <= room / NAME_UNIT; i++) {
		const struct name *name = &protocol_names[layers[i]];

		if (!name->length)
			break;
		memcpy(text + at, name, NAME_UNIT);
		at += name->length;
	}
	if (i < layer_count)
		at = append_layers(layers, layer_count, i, text, room, at);
	at -= at > 0; /* the last colon */
	if (size)
		text[at < room ? at : room] = '\0';
	return at;
}

uint32_t st_path_layers(struct st_path path, uint8_t layers[SOCKTALLY_MAX_LAYERS])
{
	uint32_t count = path.hi   ? 16 - (uint32_t)__builtin_clzll(path.hi) / 8
			 : path.lo ? 8 - (uint32_t)__builtin_clzll(path.lo) / 8
				   : 0;
	uint64_t first = 0, last = 0; /* eight layers each, the outermost in the highest byte */

	if (count > SOCKTALLY_MAX_LAYERS)
		count = SOCKTALLY_MAX_LAYERS;
	if (count > 8) {
		first = path.hi << (8 * (16 - count)) | path.lo >> (8 * (count - 8));
		last = path.lo << (8 * (16 - count));
	} else if (count) {
		first = path.lo << (8 * (8 - count));
	}
	first = htobe64(first);
	last = htobe64(last);
	memcpy(layers, &first, 8);
	memcpy(layers + 8, &last, SOCKTALLY_MAX_LAYERS - 8);
	return count;
}
