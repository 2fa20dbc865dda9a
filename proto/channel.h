/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * What the shim (in the tool) and the broker say to each other.
 *
 * A request is one SOCK_SEQPACKET message with two descriptors: where to reply, and the tool's
 * socket. It goes over the channel, a socket that the tool inherits; where that is gone, over a new
 * connection to the broker's abstract address. Each request stands alone, so that processes and
 * threads of the tool share the channel without a lock.
 *
 * The reply comes in two messages. CHANNEL_BEGIN is sent before the socket is touched: a shim that
 * has given up by then has shut its end down, so the send fails and the broker leaves the socket
 * alone. Else an answer that comes too late could undo what the tool did to its socket meanwhile.
 */
#ifndef SOCKTALLY_PROTO_CHANNEL_H
#define SOCKTALLY_PROTO_CHANNEL_H

#include "proto/decimal.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define CHANNEL_MAGIC 0x79746b73u
#define CHANNEL_VERSION 2
#define CHANNEL_TOKEN_SIZE 16
#define CHANNEL_MAX_INSNS 4096 /* BPF_MAXINSNS */

/* The environment variable that tells a tool's processes how to reach the broker. */
#define CHANNEL_VARIABLE "SOCKTALLY_CHANNEL"

/*
 * The descriptors that the shim starts a broker with, besides standard error: the broker's end of
 * the channel, the listening socket, the tool's pidfd, and its lifeline, a file that the tool has
 * mapped and locked. Mapping and lock go on in a forked child that closes all its descriptors; once
 * the lock is free, no such process is left.
 */
enum channel_descriptor {
	CHANNEL_SERVER = 3,
	CHANNEL_LISTENER = 4,
	CHANNEL_PIDFD = 5,
	CHANNEL_LIFELINE = 6,
};

enum channel_op {
	CHANNEL_ATTACH = 1, /* meter the socket; ifindex as in socktally_attach_opts */
	CHANNEL_SET_FILTER, /* SO_ATTACH_FILTER; the instructions follow */
	CHANNEL_DETACH_FILTER,
	CHANNEL_GET_FILTER, /* the reply has the instructions */
	CHANNEL_FORGET,     /* the tool has put a filter on the socket itself */
	CHANNEL_FINISH,     /* no socket: the tool exits; the reply comes after the report */
	CHANNEL_SANDBOX,    /* the descriptor is a page of memory, as below */
};

/*
 * A process is about to get a seccomp filter that does not allow our calls. From then on it can say
 * nothing any more, so it hands over a memfd whose first 32 bits become other than 0 when a call of
 * its own could not be metered. It can't be made smaller (F_SEAL_SHRINK).
 */
#define CHANNEL_PAGE_SIZE 4096

#define CHANNEL_BEFORE_BIND 0x1u /* CHANNEL_ATTACH: as SOCKTALLY_ATTACH_BEFORE_BIND */
#define CHANNEL_EBPF 0x1u        /* CHANNEL_FORGET: the tool's new filter is eBPF */

struct channel_request {
	uint32_t magic;
	uint16_t version;
	uint16_t op;
	uint8_t token[CHANNEL_TOKEN_SIZE];
	int32_t ifindex;
	uint32_t flags; /* CHANNEL_GET_FILTER: room for so many instructions */
	int32_t fd;     /* the socket's number in the tool, for messages */
	uint32_t count; /* instructions that follow */
};

enum channel_answer {
	CHANNEL_BEGIN = 1,
	CHANNEL_DONE, /* the call is done, with the result in error */
	CHANNEL_PASS, /* leave it to the kernel */
};

struct channel_reply {
	uint32_t magic;
	uint16_t version;
	uint16_t answer;
	int32_t error;  /* 0 or an errno value, for the tool */
	uint32_t count; /* CHANNEL_GET_FILTER: instructions that the filter has; they follow */
};

/* Both structs are the same in 32 and 64 bits. */
_Static_assert(sizeof(struct channel_request) == 40, "no padding");
_Static_assert(sizeof(struct channel_reply) == 16, "no padding");

/* How to reach the broker: what CHANNEL_VARIABLE says. */
struct channel_address {
	int32_t fd;       /* the inherited end; -1: none */
	uint64_t inode;   /* of that socket: another one may have its number by now */
	uint32_t uid;     /* who listens on the abstract address, */
	uint32_t pid;     /* as SO_PEERCRED tells it */
	uint8_t name[16]; /* of the abstract address; in it as 32 hexadecimal digits */
	uint8_t token[CHANNEL_TOKEN_SIZE];
	/* seccomp filters that are known to allow the shim's calls, or CHANNEL_SANDBOXED */
	uint32_t filters;
	bool warned; /* a process of this run has said that it goes on unmetered */
};

#define CHANNEL_SANDBOXED 999u

/* Room for the variable's value, and for the abstract name (without its leading NUL). */
#define CHANNEL_TEXT_MAX 160
#define CHANNEL_NAME_LENGTH (10 + 32)

static inline char *channel_put_hex(char *to, const uint8_t *bytes, size_t count)
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
	channel_put_hex(name + 10, address->name, sizeof(address->name));
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

/* "2:FD:INODE:UID:PID:NAME:TOKEN:FILTERS:WARNED"; neither stdio nor malloc, as the shim has none. */
static inline void channel_format(char text[CHANNEL_TEXT_MAX],
				  const struct channel_address *address)
{
	char *to = text;

	*to++ = '0' + CHANNEL_VERSION;
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
	to = channel_put_hex(to, address->name, sizeof(address->name));
	*to++ = ':';
	to = channel_put_hex(to, address->token, sizeof(address->token));
	*to++ = ':';
	to = channel_put_filters(to, address->filters);
	*to++ = ':';
	*to++ = address->warned ? '1' : '0';
	*to = 0;
}

static inline bool channel_take_number(const char **text, uint64_t max, uint64_t *number)
{
	const char *from = *text;

	for (*number = 0; *from >= '0' && *from <= '9'; from++) {
		uint64_t digit = (uint64_t)(*from - '0');

		if (*number > (max - digit) / 10)
			return false;
		*number = 10 * *number + digit;
	}
	if (from == *text || *from != ':')
		return false;
	*text = from + 1;
	return true;
}

static inline bool channel_take_hex(const char **text, uint8_t *bytes, size_t count)
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
	if (text[0] != '0' + CHANNEL_VERSION || text[1] != ':')
		return false;
	text += 2;
	address->fd = -1;
	if (text[0] == '-' && text[1] == ':')
		text += 2;
	else if (channel_take_number(&text, INT32_MAX, &fd))
		address->fd = (int32_t)fd;
	else
		return false;
	if (!channel_take_number(&text, UINT64_MAX, &inode) ||
	    !channel_take_number(&text, UINT32_MAX, &uid) ||
	    !channel_take_number(&text, INT32_MAX, &pid) ||
	    !channel_take_hex(&text, address->name, sizeof(address->name)) ||
	    !channel_take_hex(&text, address->token, sizeof(address->token)))
		return false;
	if (strlen(text) != CHANNEL_FILTERS_BACK ||
	    !channel_take_number(&text, CHANNEL_SANDBOXED, &filters))
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
