/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The fields that packets can be grouped by: fields.def as a table. */
#ifndef SOCKTALLY_PLUGIN_GROUPS_FIELDS_H
#define SOCKTALLY_PLUGIN_GROUPS_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a field is read. */
enum st_read {
	ST_READ_HEADER,     /* bytes of the layer's header */
	ST_READ_ETH_TYPE,   /* the same; a length there is no type, a tag in the metadata is one */
	ST_READ_TAG,        /* the same, or the tag in the metadata */
	ST_READ_GRE_KEY,    /* the same, behind a checksum where there is one */
	ST_READ_TCP_LENGTH, /* by the lengths of IP and TCP */
	ST_READ_ADDRESS,    /* of IPv4 or IPv6; offset: 0 source, 1 destination */
	/* not in a layer: */
	ST_READ_LENGTH,
	ST_READ_PATH,
	ST_READ_APP,
	ST_READ_UNREAD_TYPE,
	ST_READ_UNREAD_PROTO,
	ST_READ_DIRECTION,
	ST_READ_VERDICT,
	ST_READ_CONTEXT, /* a word of struct __sk_buff, at offset; not of files */
	ST_READ_CPU,
};

/* How a value is shown. */
enum st_form {
	ST_FORM_DECIMAL,
	ST_FORM_HEX8, /* 0x02 */
	ST_FORM_HEX16,
	ST_FORM_HEX24,
	ST_FORM_HEX32,
	ST_FORM_MAC,
	ST_FORM_IPV4,
	ST_FORM_IPV6,
	ST_FORM_ADDRESS,
	ST_FORM_PATH,
	ST_FORM_APP,
	ST_FORM_DIRECTION,
	ST_FORM_VERDICT,
	ST_FORM_INTERFACE, /* by its index */
};

/* A number of `bytes` bytes at `offset` in the header, of which `mask` must be `value`. */
struct st_guard {
	uint8_t offset, bytes; /* bytes 0: no condition */
	uint32_t mask, value;
};

#define ST_GROUP_FIELD_LAYERS 6

struct st_group_field {
	const char *name, *help;
	uint8_t layers[ST_GROUP_FIELD_LAYERS]; /* then zeros */
	uint8_t read;                          /* enum st_read */
	uint8_t offset, bytes, shift, bits;
	uint8_t form; /* enum st_form */
	struct st_guard guard;
};

extern const struct st_group_field st_group_fields[];
extern const size_t st_group_field_count;

/* By its name, which is `length` long; NULL: there is none. */
const struct st_group_field *st_group_field_find(const char *name, size_t length);

/* "tcp.port: did you mean tcp.dstport or tcp.srcport?" as far as it fits: the names nearest to a wrong one. */
void st_group_field_nearest(const char *name, size_t length, char *text, size_t size);

static inline bool st_group_field_is_address(const struct st_group_field *field)
{
	return field->form >= ST_FORM_MAC && field->form <= ST_FORM_ADDRESS;
}

#endif
