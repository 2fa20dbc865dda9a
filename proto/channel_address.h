/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * How the processes of a tool reach the broker: by what CHANNEL_VARIABLE says in their environment. Neither
 * stdio nor malloc, as the shim has none.
 */
#ifndef SOCKTALLY_PROTO_CHANNEL_ADDRESS_H
#define SOCKTALLY_PROTO_CHANNEL_ADDRESS_H

#include "proto/broker.h"
#include "proto/decimal.h"
#include <string.h>

#define CHANNEL_VARIABLE "SOCKTALLY_CHANNEL"

struct channel_address {
	int32_t fd;       /* the inherited end, see channel_open.h; -1: none */
	uint64_t inode;   /* of that socket: another one may have its number by now */
	uint32_t uid;     /* who listens on the abstract address, */
	uint32_t pid;     /* as SO_PEERCRED tells it */
	uint8_t name[16]; /* of the abstract address; in it as 32 hexadecimal digits */
	uint8_t token[BROKER_TOKEN_SIZE];
	/* seccomp filters that are known to allow the shim's calls, or CHANNEL_FILTERED */
	uint32_t filters;
	bool warned; /* a process of this run has said that it goes on unmetered */
};

/* A process above has set a seccomp filter: its children make no calls of the shim's. */
#define CHANNEL_FILTERED 999u

/* Room for the variable's value, and for the abstract name (without its leading NUL). */
#define CHANNEL_TEXT_MAX 160
#define CHANNEL_NAME_LENGTH (10 + 32)

static inline char *put_hex(char *to, const uint8_t *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		*to++ = "0123456789abcdef"[bytes[i] >> 4];
		*to++ = "0123456789abcdef"[bytes[i] & 15];
	}
	return to;
}

/* 42 bytes, not terminated. */
static inline void channel_name(char name[CHANNEL_NAME_LENGTH],
				const struct channel_address *address)
{
	memcpy(name, "socktally-", 10);
	put_hex(name + 10, address->name, sizeof(address->name));
}

/* Three digits, so that the shim can change them where they are. */
static inline char *channel_put_filters(char *to, uint32_t filters)
{
	*to++ = (char)('0' + filters / 100 % 10);
	*to++ = (char)('0' + filters / 10 % 10);
	*to++ = (char)('0' + filters % 10);
	return to;
}

/* Where the last two fields begin, counted from the end. */
#define CHANNEL_FILTERS_BACK 5
#define CHANNEL_WARNED_BACK 1

/* "5:FD:INODE:UID:PID:NAME:TOKEN:FILTERS:WARNED". */
static inline void channel_format(char text[CHANNEL_TEXT_MAX],
				  const struct channel_address *address)
{
	char *to = text;

	*to++ = '0' + BROKER_VERSION;
	*to++ = ':';
	if (address->fd < 0)
		*to++ = '-';
	else
		to = decimal_put(to, (uint64_t)address->fd);
	*to++ = ':';
	to = decimal_put(to, address->inode);
	*to++ = ':';
	to = decimal_put(to, address->uid);
	*to++ = ':';
	to = decimal_put(to, address->pid);
	*to++ = ':';
	to = put_hex(to, address->name, sizeof(address->name));
	*to++ = ':';
	to = put_hex(to, address->token, sizeof(address->token));
	*to++ = ':';
	to = channel_put_filters(to, address->filters);
	*to++ = ':';
	*to++ = address->warned ? '1' : '0';
	*to = 0;
}

/* A number up to max, and the colon behind it. */
static inline bool take_field(const char **text, uint64_t max, uint64_t *number)
{
	const char *from = *text;

	if (!decimal_take(&from, max, number) || *from != ':')
		return false;
	*text = from + 1;
	return true;
}

static inline bool take_hex(const char **text, uint8_t *bytes, size_t count)
{
	const char *from = *text;

	for (size_t i = 0; i < 2 * count; i++, from++) {
		uint8_t digit;

		if (*from >= '0' && *from <= '9')
			digit = (uint8_t)(*from - '0');
		else if (*from >= 'a' && *from <= 'f')
			digit = (uint8_t)(*from - 'a' + 10);
		else
			return false;
		bytes[i / 2] = (uint8_t)(bytes[i / 2] << 4 | digit);
	}
	if (*from != ':')
		return false;
	*text = from + 1;
	return true;
}

static inline bool channel_parse(const char *text, struct channel_address *address)
{
	uint64_t fd = 0, inode, uid, pid, filters;

	memset(address, 0, sizeof(*address));
	if (text[0] != '0' + BROKER_VERSION || text[1] != ':')
		return false;
	text += 2;
	address->fd = -1;
	if (text[0] == '-' && text[1] == ':')
		text += 2;
	else if (take_field(&text, INT32_MAX, &fd))
		address->fd = (int32_t)fd;
	else
		return false;
	if (!take_field(&text, UINT64_MAX, &inode) || !take_field(&text, UINT32_MAX, &uid) ||
	    !take_field(&text, INT32_MAX, &pid) ||
	    !take_hex(&text, address->name, sizeof(address->name)) ||
	    !take_hex(&text, address->token, sizeof(address->token)))
		return false;
	if (strlen(text) != CHANNEL_FILTERS_BACK || !take_field(&text, CHANNEL_FILTERED, &filters))
		return false;
	if ((text[0] != '0' && text[0] != '1') || text[1])
		return false;
	address->inode = inode;
	address->uid = (uint32_t)uid;
	address->pid = (uint32_t)pid;
	address->filters = (uint32_t)filters;
	address->warned = text[0] == '1';
	return true;
}

#endif
