/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The dispatch table: from the number by which a layer names the next one to its parser. */
#ifndef SOCKTALLY_BPF_PARSE_DISPATCH_H
#define SOCKTALLY_BPF_PARSE_DISPATCH_H

#include <linux/types.h>

enum {
#define SOCKTALLY_PROTOCOL(NUMBER, SYMBOL, NAME, LAYER, RECOGNISED, SOURCE) ST_##SYMBOL = NUMBER,
#include <socktally/protocols.def>
#undef SOCKTALLY_PROTOCOL
};

/* A code: a number together with its number space. */
#define ST_STOP 0
#define ST_ETHERTYPE(type) (0x10000 | (type))
#define ST_IPPROTO(number) (0x20000 | (number))
#define ST_GRETYPE(type) (0x30000 | (type))
#define ST_PPPTYPE(type) (0x40000 | (type))
#define ST_SAP(sap) (0x50000 | (sap))
#define ST_UDPPORT(port) (0x60000 | (port))
#define ST_COOKED(type) (0xa0000 | (type)) /* below the ethertypes: ETH_P_802_3 and others */
#define ST_DIRECT(protocol)                                                                        \
	(0x70000 | (protocol))                   /* the protocol itself: nothing else can follow */
#define ST_MORE(protocol) (0x80000 | (protocol)) /* further parts of its header */
#define ST_END(protocol) (0x90000 | (protocol))

enum st_parser {
#define ST_PARSER(PARSER) ST_PARSER_##PARSER,
#include "bpf/parse/parsers.def"
#undef ST_PARSER
};

struct st_found {
	__u8 parser;   /* enum st_parser */
	__u8 protocol; /* 0: a further part of a layer that is on the path already */
	__u8 shift;    /* bits that it adds to the path: 8, or 0 for a part */
	__u8 fixed;    /* length of the header's fixed part */
};

struct st_entry {
	__u32 code;
	struct st_found found;
};

#define ST_SLOT_BITS 10
/*
 * A factor for which no two codes have the same slot. If a new code collides, the compiler says so
 * (-Winitializer-overrides, -Woverride-init): find another odd number.
 */
#define ST_SLOT_FACTOR 0x92822bbd
#define ST_SLOT(code) ((__u32)((__u32)(code)*ST_SLOT_FACTOR) >> (32 - ST_SLOT_BITS))

#define ST_CODE(CODE, PARSER, PROTOCOL, FIXED)                                                     \
	[ST_SLOT(CODE)] = {CODE, {ST_PARSER_##PARSER, ST_##PROTOCOL, 8, FIXED}},
#define ST_PART(CODE, PARSER, FIXED) [ST_SLOT(CODE)] = {CODE, {ST_PARSER_##PARSER, 0, 0, FIXED}},

static const struct st_entry st_entries[1 << ST_SLOT_BITS] = {
	[ST_SLOT(ST_STOP)] = {~0u, {0}}, /* so that an empty entry, with code 0, is not ST_STOP's */
#include "bpf/parse/dispatch.def"
};

#undef ST_CODE
#undef ST_PART

static __always_inline const struct st_entry *st_find(__u32 code)
{
	return &st_entries[ST_SLOT(code)];
}

#endif
