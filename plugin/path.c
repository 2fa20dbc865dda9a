// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Paths as text. */
#include "path.h"
#include <string.h>

/* Names are copied in whole units of this size, which is cheaper than by their length. */
#define NAME_UNIT 16

struct name {
	char text[NAME_UNIT];
	uint8_t length;
};

static const struct name protocol_names[256] = {
#define SOCKTALLY_PROTOCOL(NUMBER, SYMBOL, NAME, LAYER, RECOGNISED, SOURCE)                        \
	[NUMBER] = {NAME, sizeof(NAME) - 1},
#include <socktally/protocols.def>
#undef SOCKTALLY_PROTOCOL
};

#define SOCKTALLY_PROTOCOL(NUMBER, SYMBOL, NAME, LAYER, RECOGNISED, SOURCE)                        \
	_Static_assert(sizeof(NAME) <= NAME_UNIT, NAME ": too long a name");
#include <socktally/protocols.def>
#undef SOCKTALLY_PROTOCOL

static const char *linktype_name(uint32_t linktype)
{
	switch (linktype) {
#define SOCKTALLY_LINKTYPE(NUMBER, NAME)                                                           \
	case NUMBER:                                                                               \
		return NAME;
#include "linktypes.def"
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
		return append(text, size, at, name, strlen(name));
	return append(text, size, at, number, linktype_number(linktype, number));
}

static size_t append_protocol(char *text, size_t size, size_t at, uint8_t protocol)
{
	const struct name *name = &protocol_names[protocol];

	if (!name->length)
		return append(text, size, at, "?", 1);
	if (at + NAME_UNIT <= size) {
		memcpy(text + at, name->text, NAME_UNIT);
		return at + name->length;
	}
	return append(text, size, at, name->text, name->length);
}

size_t socktally_path_text(const uint8_t *layers, size_t layer_count, char *text, size_t size)
{
	size_t room = size ? size - 1 : 0, at = 0;

	for (size_t i = 0; i < layer_count; i++) {
		if (i)
			at = append(text, room, at, ":", 1);
		if (layers[i] == SOCKTALLY_DLT && i + 2 < layer_count) {
			at = append_linktype(text, room, at, layers[i + 1], layers[i + 2]);
			i += 2;
		} else {
			at = append_protocol(text, room, at, layers[i]);
		}
	}
	if (size)
		text[at < room ? at : room] = '\0';
	return at;
}

uint32_t st_path_layers(struct st_path path, uint8_t layers[SOCKTALLY_MAX_LAYERS])
{
	uint32_t count = 0;

	for (int shift = 56; shift >= 0; shift -= 8)
		if (path.hi >> shift & 0xff && count < SOCKTALLY_MAX_LAYERS)
			layers[count++] = path.hi >> shift & 0xff;
	for (int shift = 56; shift >= 0; shift -= 8)
		if (path.lo >> shift & 0xff && count < SOCKTALLY_MAX_LAYERS)
			layers[count++] = path.lo >> shift & 0xff;
	return count;
}
