// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
#include "tools/flows/table.h"

#include <stdlib.h>
#include <string.h>

#define ROOM_FIRST 1024 /* flows; the index has twice as many places, at least */

struct flows *flows_open(void)
{
	struct flows *flows = calloc(1, sizeof(*flows));

	if (!flows)
		return NULL;
	flows->room = ROOM_FIRST;
	flows->mask = 2 * ROOM_FIRST - 1;
	flows->flow = malloc(ROOM_FIRST * sizeof(*flows->flow));
	flows->index = calloc(flows->mask + 1, sizeof(*flows->index));
	if (flows->flow && flows->index)
		return flows;
	flows_close(flows);
	return NULL;
}

void flows_close(struct flows *flows)
{
	if (!flows)
		return;
	free(flows->flow);
	free(flows->index);
	free(flows);
}

static uint64_t end_hash(const struct st_flow_end *end)
{
	uint64_t high, low;

	memcpy(&high, end->address, sizeof(high));
	memcpy(&low, end->address + sizeof(high), sizeof(low));
	high = (high ^ end->port) * 0x9e3779b97f4a7c15ull;
	high = (high ^ high >> 29 ^ low) * 0xd6e8feb86659fd93ull;
	return high ^ high >> 32;
}

/* The same for both directions. */
static uint32_t id_hash(const struct st_flow_id *id)
{
	uint64_t hash =
		end_hash(&id->from) + end_hash(&id->to) + id->transport + id->tags * 2654435761ull;

	hash *= 0x9e3779b97f4a7c15ull;
	return (uint32_t)(hash >> 32);
}

static bool end_is(const struct st_flow_end *end, const struct st_flow_end *other)
{
	return !memcmp(end, other, sizeof(*end));
}

static bool id_is(const struct st_flow_id *id, const struct st_flow_id *other)
{
	if (id->transport != other->transport || id->tags != other->tags ||
	    id->version != other->version)
		return false;
	return (end_is(&id->from, &other->from) && end_is(&id->to, &other->to)) ||
	       (end_is(&id->from, &other->to) && end_is(&id->to, &other->from));
}

/* Where in the index the flow is, or is to be. */
static uint32_t *place_of(const struct flows *flows, const struct st_flow_id *id, uint32_t hash)
{
	for (uint32_t at = hash;; at++) {
		uint32_t *place = &flows->index[at & flows->mask];
		const struct flow *flow;

		if (!*place)
			return place;
		flow = &flows->flow[*place - 1];
		if (flow->hash == hash && id_is(&flow->id, id))
			return place;
	}
}

static bool grow(struct flows *flows)
{
	const uint32_t room = 2 * flows->room, mask = 2 * room - 1;
	struct flow *flow = realloc(flows->flow, room * sizeof(*flow));
	uint32_t *index;

	if (!flow)
		return false;
	flows->flow = flow;
	index = calloc(mask + 1, sizeof(*index));
	if (!index)
		return false;
	for (uint32_t i = 0; i < flows->count; i++) {
		uint32_t at = flow[i].hash;

		while (index[at & mask])
			at++;
		index[at & mask] = i + 1;
	}
	free(flows->index);
	flows->index = index;
	flows->mask = mask;
	flows->room = room;
	return true;
}

/* The flow of this id, made if there is none. NULL: no memory. */
static struct flow *flow_of(struct flows *flows, const struct st_flow_id *id)
{
	const uint32_t hash = id_hash(id);
	uint32_t *at = place_of(flows, id, hash);
	struct flow *flow;

	if (*at)
		return &flows->flow[*at - 1];
	if (flows->count == flows->room) {
		if (!grow(flows))
			return NULL;
		at = place_of(flows, id, hash);
	}
	flow = &flows->flow[flows->count++];
	*at = flows->count;
	memset(flow, 0, sizeof(*flow));
	flow->id = *id;
	flow->hash = hash;
	return flow;
}

static bool is_earlier(const struct timespec *time, const struct timespec *other)
{
	return time->tv_sec != other->tv_sec ? time->tv_sec < other->tv_sec
					     : time->tv_nsec < other->tv_nsec;
}

static void note_time(struct flow *flow, const struct timespec *time)
{
	if (!flow->timed || is_earlier(time, &flow->start))
		flow->start = *time;
	if (!flow->timed || is_earlier(&flow->end, time))
		flow->end = *time;
	flow->timed = true;
}

static void count(struct flows_count *count, const struct st_batch_packet *packet)
{
	count->packets++;
	count->bytes += packet->len;
}

bool flows_add(struct flows *flows, const struct st_batch_packet *packet,
	       const struct st_flow_place *place, struct st_path path, const struct timespec *time)
{
	struct st_flow_id id;
	struct flow *flow;

	if (!st_flow_id(packet, place, path, &id)) {
		count(&flows->other, packet);
		return true;
	}
	if (flows->count == FLOWS_MOST && !*place_of(flows, &id, id_hash(&id))) {
		count(&flows->late, packet);
		return true;
	}
	flow = flow_of(flows, &id);
	if (!flow)
		return false;
	if (id.application)
		flow->id.application = id.application;
	count(&flow->count, packet);
	if (time)
		note_time(flow, time);
	return true;
}
