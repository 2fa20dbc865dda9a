// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "plugin/apps/flow_id.h"
#include "bpf/parse/packet_native.h"
#include "plugin/count/path.h"

/* Length of the fixed part of a transport's header, which begins with the ports; 0: it is none. */
static uint32_t transport_header(uint8_t layer)
{
	switch (layer) {
	case SOCKTALLY_TCP:
		return 20;
	case SOCKTALLY_SCTP:
	case SOCKTALLY_DCCP:
		return 12;
	case SOCKTALLY_UDP:
	case SOCKTALLY_UDPLITE:
		return 8;
	default:
		return 0;
	}
}

static void end_read(struct st_flow_end *end, const uint8_t *address, size_t size,
		     const uint8_t *port)
{
	memcpy(end->address, address, size);
	end->port = (uint16_t)st_get16(port);
}

static void ends_read(struct st_flow_id *id, const uint8_t *n, const uint8_t *ports)
{
	if (n[0] >> 4 == 6) {
		id->version = 6;
		end_read(&id->from, n + 8, 16, ports);
		end_read(&id->to, n + 24, 16, ports + 2);
	} else {
		id->version = 4;
		end_read(&id->from, n + 12, 4, ports);
		end_read(&id->to, n + 16, 4, ports + 2);
	}
}

bool st_flow_id(const struct st_batch_packet *packet, const struct st_flow_place *place,
		struct st_path path, struct st_flow_id *id)
{
	uint8_t layers[SOCKTALLY_MAX_LAYERS];
	const uint32_t count = st_path_layers(path, layers);
	uint32_t at = count, transport;

	while (at && !transport_header(layers[at - 1])) {
		at--;
		if (layers[at] == SOCKTALLY_IP || layers[at] == SOCKTALLY_IPV6)
			return false;
	}
	if (!at)
		return false;
	memset(id, 0, sizeof(*id));
	id->transport = layers[at - 1];
	id->application = at < count ? layers[at] : 0;
	id->tags = place->tags;
	transport = place->off - transport_header(id->transport);
	if (id->transport == SOCKTALLY_UDP || id->transport == SOCKTALLY_UDPLITE)
		transport = place->transport;
	ends_read(id, packet->data + place->network, packet->data + transport);
	return true;
}
