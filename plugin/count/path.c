// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Paths as text. */
#include "plugin/count/path.h"
#include <endian.h>
#include <string.h>

/*
 * Names are copied in whole units of this size, which is cheaper than by their length, with the colon
 * behind them. What comes along behind that the next one overwrites, or the end.
 */
#define NAME_UNIT 24

/* Two bytes of a number follow: a link type's, an IP protocol's, or an ethertype's and its like. */
#define IS_NUMBER(LAYER)                                                                           \
	((LAYER) == SOCKTALLY_DLT || ((LAYER) >= SOCKTALLY_NUMBER && (LAYER) <= SOCKTALLY_TYPE3))

struct name {
	char text[NAME_UNIT - 1];
	uint8_t length; /* with the colon; 0: to be looked at */
};

static const struct name protocol_names[256] = {
#define SOCKTALLY_PROTOCOL(NUMBER, SYMBOL, NAME, LAYER, RECOGNISED, SOURCE)                        \
	[NUMBER] = {NAME ":", IS_NUMBER(NUMBER) ? 0 : sizeof(NAME)},
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

static char *decimal_put(char *text, uint32_t number)
{
	char digits[10];
	size_t count = 0;

	do {
		digits[count++] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	while (count)
		*text++ = digits[--count];
	return text;
}

/* "DLT147" for a link type that nobody has named. */
static size_t linktype_number(uint32_t linktype, char *text)
{
	memcpy(text, "DLT", 3);
	return (size_t)(decimal_put(text + 3, linktype) - text);
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

/* Of three bytes: "103", "0x88f7", or for an LLC SAP "0xf0". */
static size_t append_number(char *text, size_t size, size_t at, const uint8_t *layers)
{
	static const char hex[] = "0123456789abcdef";
	uint32_t number = (uint32_t)(layers[1] & 0x7f) << 7 | (layers[2] & 0x7f);
	char part[] = "0x0000:";

	if (*layers == SOCKTALLY_DLT)
		return append_linktype(text, size, at, layers[1], layers[2]);
	if (*layers == SOCKTALLY_NUMBER) {
		char *end = decimal_put(part, number & 0xff);

		*end++ = ':';
		return append(text, size, at, part, (size_t)(end - part));
	}
	number |= (uint32_t)(*layers - SOCKTALLY_TYPE0) << 14;
	for (int digit = 0; digit < 4; digit++)
		part[2 + digit] = hex[number >> (12 - 4 * digit) & 15];
	if (number > 0xff)
		return append(text, size, at, part, 7);
	part[2] = part[4];
	part[3] = part[5];
	part[4] = ':';
	return append(text, size, at, part, 5);
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
		if (IS_NUMBER(layers[i]) && i + 2 < layer_count) {
			at = append_number(text, size, at, layers + i);
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
