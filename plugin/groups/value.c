// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* Values of fields as people write them. */
#include "plugin/count/path.h"
#include "plugin/groups/key.h"
#include <arpa/inet.h>
#include <inttypes.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

static uint64_t value_of(const struct st_group_key_place *place, unsigned int bits,
			 const __u64 *words)
{
	uint64_t word = words[place->word] >> place->shift;

	return bits < 64 ? word & ((1ull << bits) - 1) : word;
}

static void put_prefix(const struct st_group_key_field *field, char *text)
{
	const unsigned int whole = field->field->form == ST_FORM_MAC ? 48 : field->field->bits;
	size_t used = strlen(text);

	if (field->prefix < whole)
		snprintf(text + used, ST_VALUE_TEXT_MAX - used, "/%u", field->prefix);
}

static void put_mac(uint64_t value, char *text)
{
	snprintf(text, ST_VALUE_TEXT_MAX, "%02x:%02x:%02x:%02x:%02x:%02x",
		 (unsigned int)(value >> 40) & 255, (unsigned int)(value >> 32) & 255,
		 (unsigned int)(value >> 24) & 255, (unsigned int)(value >> 16) & 255,
		 (unsigned int)(value >> 8) & 255, (unsigned int)value & 255);
}

static void put_ipv4(uint32_t value, char *text)
{
	const struct in_addr address = {htonl(value)};

	inet_ntop(AF_INET, &address, text, ST_VALUE_TEXT_MAX);
}

static void put_ipv6(const __u64 *words, char *text)
{
	uint8_t bytes[16];

	for (int i = 0; i < 16; i++)
		bytes[i] = (uint8_t)(words[i / 8] >> (56 - i % 8 * 8));
	inet_ntop(AF_INET6, bytes, text, ST_VALUE_TEXT_MAX);
}

/* An address of either family; one of IPv4 is in the upper half of the first word. */
static void put_address(const struct st_group_key_field *field, const __u64 *words, char *text)
{
	const bool is_v6 = value_of(&field->version, 4, words) == 6;
	const unsigned int whole = is_v6 ? 128 : 32;
	size_t used;

	if (is_v6)
		put_ipv6(words + field->place.word, text);
	else
		put_ipv4((uint32_t)(words[field->place.word] >> 32), text);
	used = strlen(text);
	if (field->prefix < whole)
		snprintf(text + used, ST_VALUE_TEXT_MAX - used, "/%u", field->prefix);
}

static void put_path(struct st_path path, char *text)
{
	uint8_t layers[SOCKTALLY_MAX_LAYERS];

	socktally_path_text(layers, st_path_layers(path, layers), text, ST_VALUE_TEXT_MAX);
}

static bool put_number(const struct st_group_key_field *field, uint64_t value, char *text)
{
	uint64_t last = value;

	if (field->powers) {
		last = value ? (2ull << (value - 1)) - 1 : 0;
		value = value ? 1ull << (value - 1) : 0;
	} else {
		last = value + (1ull << field->step) - 1;
	}
	if (last > value)
		snprintf(text, ST_VALUE_TEXT_MAX, "%" PRIu64 "-%" PRIu64, value, last);
	else
		snprintf(text, ST_VALUE_TEXT_MAX, "%" PRIu64, value);
	return last == value && !field->powers && !field->step;
}

/* true: it is shown as a number. */
static bool put(const struct st_group_key_field *field, uint64_t value, const __u64 *words,
		char *text)
{
	static const char *const verdicts[] = {"rejected", "accepted", "cut"};
	static const int digits[] =
		{[ST_FORM_HEX8] = 2, [ST_FORM_HEX16] = 4, [ST_FORM_HEX24] = 6, [ST_FORM_HEX32] = 8};
	const __u64 *whole = words + field->place.word;

	switch (field->field->form) {
	case ST_FORM_DECIMAL:
		return put_number(field, value, text);
	case ST_FORM_MAC:
		put_mac(value, text);
		break;
	case ST_FORM_IPV4:
		put_ipv4((uint32_t)value, text);
		break;
	case ST_FORM_IPV6:
		put_ipv6(whole, text);
		break;
	case ST_FORM_ADDRESS:
		put_address(field, words, text);
		return false;
	case ST_FORM_PATH:
		put_path((struct st_path){.hi = whole[0], .lo = whole[1]}, text);
		break;
	case ST_FORM_APP:
		put_path((struct st_path){.lo = value}, text);
		break;
	case ST_FORM_DIRECTION:
		strcpy(text, value ? "out" : "in");
		break;
	case ST_FORM_INTERFACE:
		if (!if_indextoname((unsigned int)value, text))
			return put_number(field, value, text);
		break;
	case ST_FORM_VERDICT:
		strcpy(text, verdicts[value < 3 ? value : 0]);
		break;
	default:
		snprintf(text, ST_VALUE_TEXT_MAX, "0x%0*" PRIx64, digits[field->field->form],
			 value);
	}
	if (st_group_field_is_address(field->field))
		put_prefix(field, text);
	return false;
}

void st_group_key_values(const struct st_group_key *key, const __u64 *words,
			 struct socktally_field values[ST_GROUP_KEY_FIELDS],
			 char texts[ST_GROUP_KEY_FIELDS][ST_VALUE_TEXT_MAX])
{
	for (size_t i = 0; i < key->count; i++) {
		const struct st_group_key_field *field = &key->field[i];
		const unsigned int bits = st_group_key_bits(field);
		uint64_t value = bits <= 64 ? value_of(&field->place, bits, words) : 0;
		bool number = put(field, value, words, texts[i]);

		values[i] = (struct socktally_field){
			.name = field->text,
			.text = texts[i],
			.type = number ? SOCKTALLY_UNSIGNED : SOCKTALLY_TEXT,
			.number = value,
		};
	}
}
