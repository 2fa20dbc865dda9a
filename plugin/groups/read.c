// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The key of a packet in memory; plugin/groups/program.c does the same in the kernel. */
#include "plugin/groups/key.h"
#include <string.h>

/* Why 1500: IEEE 802.3, 3.2.6: up to there it is a length. */
#define LENGTH_MAX 1500

/* Bytes of the packet as a number; false: they are not there. */
static bool number_at(const struct st_group_key_packet *packet, uint64_t at, unsigned int bytes,
		      uint64_t *value)
{
	if (at + bytes > packet->caplen)
		return false;
	*value = 0;
	for (unsigned int i = 0; i < bytes; i++)
		*value = *value << 8 | packet->data[at + i];
	return true;
}

static bool has_layer(const struct st_group_field *field, uint8_t protocol)
{
	for (size_t i = 0; i < ST_GROUP_FIELD_LAYERS && field->layers[i]; i++)
		if (field->layers[i] == protocol)
			return true;
	return false;
}

/* Which layer of the packet has the field; -1: none has. */
static int layer_of(const struct st_group_key_field *field, const struct socktally_packet *packet)
{
	int found = -1;

	for (int i = 0; i < SOCKTALLY_MAX_LAYERS && packet->layers[i]; i++)
		if ((found < 0 || field->inner) && has_layer(field->field, packet->layers[i]))
			found = i;
	return found;
}

static bool guard_holds(const struct st_guard *guard, const struct st_group_key_packet *packet,
			uint32_t header)
{
	uint64_t value;

	if (!guard->bytes)
		return true;
	return number_at(packet, header + guard->offset, guard->bytes, &value) &&
	       (value & guard->mask) == guard->value;
}

static void put(const struct st_group_key_place *place, uint64_t value, __u64 *words)
{
	words[place->word] |= value << place->shift;
}

static void put_value(const struct st_group_key_field *field, uint64_t value, __u64 *words)
{
	put(&field->place, value & st_group_key_mask(field), words);
}

static bool put_halves(const struct st_group_key_field *field,
		       const struct st_group_key_packet *packet, uint64_t at, __u64 *words)
{
	uint64_t high, low;

	if (!number_at(packet, at, 8, &high) || !number_at(packet, at + 8, 8, &low))
		return false;
	words[field->place.word] = high & st_group_key_mask_half(field, false);
	words[field->place.word + 1] = low & st_group_key_mask_half(field, true);
	return true;
}

static bool read_address(const struct st_group_key_field *field,
			 const struct st_group_key_packet *packet, int layer, __u64 *words)
{
	const uint32_t header = packet->packet->offsets[layer];
	const bool destination = field->field->offset;
	const bool is_v6 = packet->packet->layers[layer] == SOCKTALLY_IPV6;
	uint64_t value;

	/* the whole header, as it is on the path; but for a link type that is IP, it may be cut short */
	if (header + (is_v6 ? 40 : 20) > packet->caplen)
		return false;
	if (is_v6) {
		put(&field->version, 6, words);
		return put_halves(field, packet, header + (destination ? 24 : 8), words);
	}
	if (!number_at(packet, header, 1, &value) || value >> 4 != 4 ||
	    !number_at(packet, header + (destination ? 16 : 12), 4, &value))
		return false;
	put(&field->version, 4, words);
	words[field->place.word] = value << 32 & st_group_key_mask_half(field, false);
	return true;
}

/* Where the IP packet ends that has this layer in it, by its own length; 0: there is none. */
static bool ip_end(const struct st_group_key_packet *packet, int layer, uint64_t *end)
{
	const uint8_t *layers = packet->packet->layers;
	uint64_t length;

	while (layer >= 0 && layers[layer] != SOCKTALLY_IP && layers[layer] != SOCKTALLY_IPV6)
		layer--;
	if (layer < 0 ||
	    !number_at(packet,
		       packet->packet->offsets[layer] + (layers[layer] == SOCKTALLY_IP ? 2 : 4), 2,
		       &length))
		return false;
	/* 0: longer than the field can say, by offload or as a jumbogram */
	if (!length)
		*end = packet->packet->length;
	else
		*end = packet->packet->offsets[layer] + length +
		       (layers[layer] == SOCKTALLY_IP ? 0 : 40);
	return true;
}

static bool read_tcp_length(const struct st_group_key_field *field,
			    const struct st_group_key_packet *packet, int layer, __u64 *words)
{
	const uint32_t header = packet->packet->offsets[layer];
	uint64_t offset, end;

	if (!ip_end(packet, layer, &end) || !number_at(packet, header + 12, 1, &offset))
		return false;
	offset = header + (offset >> 4) * 4;
	if (offset > end)
		return false;
	put_value(field, end - offset, words);
	return true;
}

static bool read_header(const struct st_group_key_field *key_field,
			const struct st_group_key_packet *packet, int layer, __u64 *words)
{
	const struct st_group_field *field = key_field->field;
	uint64_t header = packet->packet->offsets[layer], value;

	if (!guard_holds(&field->guard, packet, (uint32_t)header))
		return false;
	if (field->bits == 128)
		return put_halves(key_field, packet, header + field->offset, words);
	if (field->read == ST_READ_GRE_KEY) {
		if (!number_at(packet, header, 1, &value))
			return false;
		header += value & 0x80 ? 4 : 0; /* behind a checksum */
	}
	if (!number_at(packet, header + field->offset, field->bytes, &value))
		return false;
	value >>= field->shift;
	if (field->read == ST_READ_ETH_TYPE && value <= LENGTH_MAX)
		return false;
	put_value(key_field, value, words);
	return true;
}

/* The number of the kind at which the path ends, as in its last three bytes; or 0. */
static bool unread(const struct st_group_key_packet *packet, bool proto, uint64_t *value)
{
	const uint64_t end = packet->packet->path.lo & 0xffffff, name = end >> 16;

	if (proto ? name != SOCKTALLY_NUMBER : name < SOCKTALLY_TYPE0 || name > SOCKTALLY_TYPE3)
		return false;
	*value = (end >> 8 & 0x7f) << 7 | (end & 0x7f);
	if (!proto)
		*value |= (name - SOCKTALLY_TYPE0) << 14;
	return true;
}

/* The last layer: a byte of the path, or where it is a number (IS_NUMBER of path.c) three. */
static uint64_t app_of(struct socktally_path_key path)
{
	const uint64_t name = path.lo >> 16 & 0xff;

	if (name == SOCKTALLY_DLT || (name >= SOCKTALLY_NUMBER && name <= SOCKTALLY_TYPE3))
		return path.lo & 0xffffff;
	return path.lo & 0xff;
}

static uint64_t length_of(const struct st_group_key_field *field,
			  const struct socktally_packet *packet)
{
	uint32_t length = packet->length + packet->tag_length;

	if (!field->powers)
		return length;
	return length ? 32 - (uint64_t)__builtin_clz(length) : 0;
}

static uint64_t verdict_of(const struct socktally_packet *packet)
{
	if (!packet->tool_verdict)
		return 0;
	return packet->tool_verdict < packet->length ? 2 : 1;
}

static bool read_packet(const struct st_group_key_field *field,
			const struct st_group_key_packet *packet, __u64 *words)
{
	const struct socktally_path_key path = packet->packet->path;
	uint64_t value = 0;

	switch (field->field->read) {
	case ST_READ_LENGTH:
		value = length_of(field, packet->packet);
		break;
	case ST_READ_PATH:
		words[field->place.word] = path.hi;
		words[field->place.word + 1] = path.lo;
		return true;
	case ST_READ_APP:
		value = app_of(path);
		break;
	case ST_READ_UNREAD_TYPE:
	case ST_READ_UNREAD_PROTO:
		if (!unread(packet, field->field->read == ST_READ_UNREAD_PROTO, &value))
			return false;
		break;
	case ST_READ_DIRECTION:
		value = packet->packet->direction;
		break;
	case ST_READ_VERDICT:
		value = verdict_of(packet->packet);
		break;
	case ST_READ_CONTEXT:
	case ST_READ_CPU:
		return false;
	}
	put_value(field, value, words);
	return true;
}

static bool read_field(const struct st_group_key_field *field,
		       const struct st_group_key_packet *packet, __u64 *words)
{
	int layer;

	if (!*field->field->layers)
		return read_packet(field, packet, words);
	layer = layer_of(field, packet->packet);
	if (layer < 0)
		return false;
	switch (field->field->read) {
	case ST_READ_ADDRESS:
		return read_address(field, packet, layer, words);
	case ST_READ_TCP_LENGTH:
		return read_tcp_length(field, packet, layer, words);
	}
	return read_header(field, packet, layer, words);
}

bool st_group_key_read(const struct st_group_key *key, const struct st_group_key_packet *packet,
		       __u64 *words)
{
	memset(words, 0, 8 * key->words);
	put(&key->direction, packet->packet->direction, words);
	for (size_t i = 0; i < key->count; i++)
		if (!read_field(&key->field[i], packet, words))
			return false;
	return true;
}
