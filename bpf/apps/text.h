/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Protocols of lines of text. */
#ifndef SOCKTALLY_BPF_APPS_TEXT_H
#define SOCKTALLY_BPF_APPS_TEXT_H

#include "bpf/apps/bytes.h"

#define ST_WORD4(a, b, c, d) ((__u32)(a) << 24 | (__u32)(b) << 16 | (__u32)(c) << 8 | (__u32)(d))
#define ST_WORD4S(s) ST_WORD4((s)[0], (s)[1], (s)[2], (s)[3])

/* at, or i where the condition is met: without a branch, which would give the verifier two states to follow. */
static __always_inline __u32 st_app_choose(__u32 met, __u32 i, __u32 at)
{
	__u32 mask = 0 - met;

	__asm__("" : "+r"(mask));
	return (i & mask) | (at & ~mask);
}

/* Where, from a place on, this character first is; ST_APP_BLOCK: nowhere. */
static __always_inline __u32 st_app_find(const struct st_app_payload *p, __u8 character, __u32 from)
{
	__u32 at = ST_APP_BLOCK;

	ST_APP_ROLLED
	for (__u32 i = 0; i < ST_APP_BLOCK - from; i++) {
		__u32 place = ST_APP_BLOCK - 1 - i;

		at = st_app_choose((((__u32)p->bytes[place] ^ character) - 1) >> 31, place, at);
	}
	return at;
}

/* How many bytes from the start are printable ASCII. */
static __always_inline __u32 st_app_printable(const struct st_app_payload *p)
{
	__u32 at = ST_APP_BLOCK;

	ST_APP_ROLLED
	for (__u32 i = 0; i < ST_APP_BLOCK; i++) {
		__u32 place = ST_APP_BLOCK - 1 - i, above = p->bytes[place] - 0x20U;

		at = st_app_choose((0x5e - (above & 0xff)) >> 31, place, at);
	}
	return at;
}

/* One line of text and nothing else. */
static __always_inline _Bool st_text_line(const struct st_app_payload *p)
{
	__u32 end = st_app_printable(p);

	return end && p->length <= ST_APP_BLOCK && p->there == p->length &&
	       ((end + 2 == p->length && st_app_be16(p, end) == 0x0d0a) ||
		(end + 1 == p->length && st_app_byte(p, end) == '\n'));
}

/* Where the text behind a priority (RFC 5424, 6.2.1: 1 to 191 in angle brackets) starts; 0: there is none. */
static __always_inline __u32 st_syslog_text(const struct st_app_payload *p)
{
	__u32 value = 0, at = 1;

	for (; at < 4; at++) {
		__u32 digit = st_app_byte(p, at) - '0';

		if (digit > 9)
			break;
		value = value * 10 + digit;
	}
	return at > 1 && value <= 191 && st_app_byte(p, at) == '>' ? at + 1 : 0;
}

static __always_inline _Bool st_is_month(__u32 word)
{
	return word == ST_WORD4('J', 'a', 'n', ' ') || word == ST_WORD4('F', 'e', 'b', ' ') ||
	       word == ST_WORD4('M', 'a', 'r', ' ') || word == ST_WORD4('A', 'p', 'r', ' ') ||
	       word == ST_WORD4('M', 'a', 'y', ' ') || word == ST_WORD4('J', 'u', 'n', ' ') ||
	       word == ST_WORD4('J', 'u', 'l', ' ') || word == ST_WORD4('A', 'u', 'g', ' ') ||
	       word == ST_WORD4('S', 'e', 'p', ' ') || word == ST_WORD4('O', 'c', 't', ' ') ||
	       word == ST_WORD4('N', 'o', 'v', ' ') || word == ST_WORD4('D', 'e', 'c', ' ');
}

/* A time (RFC 3164, 4.1.2; RFC 5424, 6), or any text where the port says what it is. */
static __always_inline _Bool st_syslog(const struct st_app_payload *p)
{
	__u32 at = st_syslog_text(p);

	if (!at)
		return 0;
	if (st_is_month(st_app_be32(p, at)) ||
	    (st_app_be16(p, at) == 0x3120 && st_app_byte(p, at + 6) == '-'))
		return 1;
	return st_app_port(p, 514) && (__u8)(st_app_byte(p, at) - 0x20) < 0x5f;
}

/* RFC 1350, 5: a name, a zero, the mode, a zero. */
static __always_inline _Bool st_tftp_request(const struct st_app_payload *p)
{
	__u32 end = st_app_find(p, 0, 2), mode = st_app_be32(p, end + 1) | 0x20202020;

	return end > 2 && (__u8)(ST_BE8(2) - 0x20) < 0x5f &&
	       (mode == ST_WORD4('o', 'c', 't', 'e') || mode == ST_WORD4('n', 'e', 't', 'a') ||
		mode == ST_WORD4('m', 'a', 'i', 'l'));
}

/* RFC 3501, 2.2.1: a tag, a space, and a command that a session may begin with, all of the line. */
static __always_inline _Bool st_imap_command(const struct st_app_payload *p)
{
	__u32 end = st_app_find(p, ' ', 1), word = st_app_be32(p, end + 1) & 0xdfdfdfdf;
	__u32 next = st_app_be32(p, end + 5) & 0xdfdfdfdf;

	if (end > 12)
		return 0;
	if (word == ST_WORD4('C', 'A', 'P', 'A') && next == ST_WORD4('B', 'I', 'L', 'I'))
		return st_app_be16(p, end + 11) == 0x0d0a;
	return word == ST_WORD4('S', 'T', 'A', 'R') && next == ST_WORD4('T', 'T', 'L', 'S') &&
	       st_app_be16(p, end + 9) == 0x0d0a;
}

/* RFC 2812, 2.3.1 and 5.1: a prefix, then NOTICE or the number of a reply. */
static __always_inline _Bool st_irc_reply(const struct st_app_payload *p)
{
	__u32 end = st_app_find(p, ' ', 2), word = st_app_be32(p, end + 1);

	if (word == ST_WORD4('N', 'O', 'T', 'I'))
		return st_app_be32(p, end + 5) == ST_WORD4('C', 'E', ' ', '*') ||
		       st_app_be32(p, end + 5) == ST_WORD4('C', 'E', ' ', 'A');
	return word == ST_WORD4('0', '0', '1', ' ') || word == ST_WORD4('C', 'A', 'P', ' ');
}

#endif
