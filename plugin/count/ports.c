/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* UDP ports of tunnels that a user has named. */
#include "bpf/parse/dispatch.h"
#include "plugin/count/classify.h"
#include <string.h>

/* The first UDP port of a protocol in dispatch.def; 0: it has none. */
static uint32_t standard_port(uint16_t protocol)
{
	static const struct {
		uint32_t code;
		uint16_t protocol;
	} codes[] = {
#define ST_CODE(CODE, PARSER, PROTOCOL, FIXED) {CODE, ST_##PROTOCOL},
#define ST_PART(CODE, PARSER, FIXED)
#include "bpf/parse/dispatch.def"
#undef ST_CODE
#undef ST_PART
	};

	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++)
		if (codes[i].protocol == protocol && codes[i].code >> 16 == ST_UDPPORT(0) >> 16)
			return codes[i].code & 0xffff;
	return 0;
}

bool st_ports_take(struct st_ports *ports, const struct socktally_port *given, size_t count)
{
	memset(ports, 0, sizeof(*ports));
	if (count > ST_MAX_PORTS || (count && !given))
		return false;
	for (; ports->count < count; ports->count++, given++) {
		uint32_t standard = standard_port(given->protocol);

		if (!given->port || !standard)
			return false;
		for (uint32_t i = 0; i < ports->count; i++)
			if (ports->pairs[i] >> 16 == given->port)
				return false;
		ports->pairs[ports->count] = (uint32_t)given->port << 16 | standard;
	}
	return true;
}
