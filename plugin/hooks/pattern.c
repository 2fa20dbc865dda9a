// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "plugin/hooks/pattern.h"
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

int st_pattern_read(struct st_pattern *pattern, const char *text, const char **wrong,
		    size_t *length)
{
	unsigned int parts = 0, number;
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
			number = protocol_number(text, *length);
			if (!number)
				return -EINVAL;
			pattern->parts[number] |= 1u << parts++;
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
