// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "plugin/hooks/pattern.h"
#include <socktally/socktally.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* A state has a bit for each number of parts, 0 included. */
#define PARTS_MAX 31

static unsigned int protocol_number(const char *name, size_t length)
{
	static const struct {
		const char *name;
		unsigned int number;
	} protocols[] = {
#define SOCKTALLY_PROTOCOL(NUMBER, SYMBOL, NAME, LAYER, RECOGNISED, SOURCE) {NAME, NUMBER},
#include <socktally/protocols.def>
#undef SOCKTALLY_PROTOCOL
	};

	for (size_t i = 0; i < sizeof(protocols) / sizeof(*protocols); i++)
		if (strlen(protocols[i].name) == length && !memcmp(protocols[i].name, name, length))
			return protocols[i].number;
	return 0;
}

/*
 * The layers of one name, or of the number of a layer that is not known, which takes three: "103" as an IP
 * protocol, "0x88f7" as any other. Returns how many; 0: it is neither.
 */
static unsigned int pattern_layers(const char *name, size_t length, uint8_t layers[3])
{
	bool hex = length > 2 && name[0] == '0' && name[1] == 'x';
	static const char digits[] = "0123456789abcdef";
	const uint32_t base = hex ? 16 : 10;
	uint32_t number = 0;

	layers[0] = (uint8_t)protocol_number(name, length);
	if (layers[0])
		return 1;
	for (size_t i = hex ? 2 : 0; i < length && number <= 0xffff; i++) {
		const char *digit = strchr(digits, name[i]);

		if (!digit || digit >= digits + base)
			return 0;
		number = number * base + (uint32_t)(digit - digits);
	}
	if (!length || number > (hex ? 0xffffu : 0xffu))
		return 0;
	layers[0] = (uint8_t)(hex ? SOCKTALLY_TYPE0 + (number >> 14) : SOCKTALLY_NUMBER);
	layers[1] = 0x80 | (number >> 7 & 0x7f);
	layers[2] = 0x80 | (number & 0x7f);
	return 3;
}

int st_pattern_read(struct st_pattern *pattern, const char *text, const char **wrong,
		    size_t *length)
{
	unsigned int parts = 0, count;
	uint8_t layers[3];
	bool star = false;

	memset(pattern, 0, sizeof(*pattern));
	for (;;) {
		*wrong = text;
		*length = strcspn(text, ":");
		if (parts == PARTS_MAX)
			return -EINVAL;
		if (*length == 1 && *text == '*') {
			if (!star) /* two in a row say no more than one */
				pattern->stars |= 1u << parts++;
			star = true;
		} else {
			count = pattern_layers(text, *length, layers);
			if (!count || parts + count > PARTS_MAX)
				return -EINVAL;
			for (unsigned int i = 0; i < count; i++)
				pattern->parts[layers[i]] |= 1u << parts++;
			star = false;
		}
		if (!text[*length])
			break;
		text += *length + 1;
	}
	pattern->whole = 1u << parts;
	return 0;
}

bool st_pattern_fits(const struct st_pattern *pattern, const uint8_t *layers, size_t count)
{
	const uint32_t stars = pattern->stars;
	uint32_t state = 1 | (1 & stars) << 1, all = state;

	for (size_t i = 0; i < count; i++) {
		state = (state & pattern->parts[layers[i]]) << 1 | (state & stars);
		state |= (state & stars) << 1;
		all |= state;
	}
	return all & pattern->whole;
}
