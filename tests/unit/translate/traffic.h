/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Packets that look like traffic, so that many filters of expressions.txt match. */
#ifndef SOCKTALLY_TESTS_UNIT_TRANSLATE_TRAFFIC_H
#define SOCKTALLY_TESTS_UNIT_TRANSLATE_TRAFFIC_H

#include "tests/unit/translate/help.h"

#define TRAFFIC_ROOM 600

struct traffic {
	unsigned char bytes[TRAFFIC_ROOM];
	size_t size;
};

static void add(struct traffic *t, const void *bytes, size_t size)
{
	if (size > sizeof(t->bytes) - t->size)
		size = sizeof(t->bytes) - t->size;
	memcpy(t->bytes + t->size, bytes, size);
	t->size += size;
}

static void add8(struct traffic *t, __u32 value)
{
	unsigned char byte = (unsigned char)value;

	add(t, &byte, 1);
}

static void add16(struct traffic *t, __u32 value)
{
	add8(t, value >> 8);
	add8(t, value);
}

static void add32(struct traffic *t, __u32 value)
{
	add16(t, value >> 16);
	add16(t, value);
}

static void add_noise(struct traffic *t, size_t size)
{
	while (size--)
		add8(t, random_u32());
}

static __u32 one_of(const __u32 *values, size_t count)
{
	return values[random_below((__u32)count)];
}
#define ONE_OF(...) one_of((const __u32[]){__VA_ARGS__}, sizeof((const __u32[]){__VA_ARGS__}) / 4)

static __u32 port(void)
{
	return random_percent(85) ? ONE_OF(22, 53, 80, 443, 67, 68, 6001, 8000, 33434)
				  : random_below(65536);
}

static void add_transport(struct traffic *t, __u32 protocol)
{
	static const char *const payloads[] = {"GET / HTTP/1.1", "HTTP/1.1 200", "\x12\x34\x56\x78",
					       "\x12\x34\x81\x83\x12\x34", ""};
	const char *payload = payloads[random_below(5)];
	__u32 words = random_percent(70) ? 5 : 5 + random_below(4);

	switch (protocol) {
	case 6:
		add16(t, port());
		add16(t, port());
		add32(t, random_below(4) << 12);
		add32(t, random_below(4) << 11);
		add8(t, words << 4);
		add8(t, ONE_OF(2, 0x12, 0x10, 0x11, 4, 0x18, 0));
		add_noise(t, 6 + 4 * (words - 5));
		break;
	case 17:
		add16(t, port());
		add16(t, random_percent(90) ? port() : 6081);
		add16(t, random_below(300));
		add16(t, 0);
		break;
	case 1:
		add8(t, ONE_OF(0, 3, 8));
		add8(t, ONE_OF(0, 4));
		add_noise(t, 6);
		break;
	case 58:
		add8(t, ONE_OF(128, 129, 135, 136));
		add_noise(t, 7);
		break;
	default:
		add_noise(t, 8 + random_below(20));
	}
	add(t, payload, strlen(payload));
	add_noise(t, random_percent(60) ? random_below(16) : random_below(200));
}

static __u32 protocol(void)
{
	return random_percent(70) ? ONE_OF(6, 17) : ONE_OF(1, 2, 47, 50, 51, 58, 132, 103);
}

static void add_ipv4(struct traffic *t)
{
	__u32 words = random_percent(80) ? 5 : 5 + random_below(11), next = protocol();

	add8(t, 0x40 | words);
	add8(t, ONE_OF(0, 0xb8, 0x10));
	add16(t, random_percent(50) ? 40 : random_below(1500));
	add16(t, random_u32());
	add16(t, random_percent(75) ? ONE_OF(0, 0x4000) : ONE_OF(0x2000, 0x2010, 0x0020, 0x1fff));
	add8(t, ONE_OF(1, 64, 128, 255));
	add8(t, next);
	add16(t, 0);
	for (int i = 0; i < 2; i++)
		add32(t, ONE_OF(0x0a000001, 0x0a000002, 0xc0a80101, 0x01020304, 0xe0000001,
				0x08080808, 0xac100001));
	add_noise(t, 4 * (words - 5));
	add_transport(t, next);
}

static void add_ipv6(struct traffic *t)
{
	static const unsigned char addresses[4][16] = {
		{0xfe, 0x80, [15] = 1},
		{0x20, 0x01, 0x0d, 0xb8, [15] = 1},
		{0x20, 0x01, 0x0d, 0xb8, [15] = 2},
		{0xff, 0x02, [15] = 1},
	};
	__u32 last = random_percent(70) ? protocol() : 58;
	__u32 extension = random_percent(25) ? ONE_OF(0, 44, 60, 43, 51) : last;

	add32(t, 0x60000000 | random_below(2) << 20);
	add16(t, random_below(1400));
	add8(t, extension);
	add8(t, 64);
	add(t, addresses[random_below(4)], 16);
	add(t, addresses[random_below(4)], 16);
	if (extension != last) {
		add8(t, last);
		add8(t, 0);
		add_noise(t, 6);
	}
	add_transport(t, last);
}

static void add_arp(struct traffic *t)
{
	add32(t, 0x00010800);
	add16(t, 0x0604);
	add16(t, ONE_OF(1, 2));
	add_noise(t, 6);
	add32(t, ONE_OF(0x0a000001, 0x0a000002));
	add_noise(t, 6);
	add32(t, ONE_OF(0x0a000001, 0x0a000002));
}

static void add_address(struct traffic *t)
{
	static const unsigned char addresses[5][6] = {
		{2, 0, 0, 0, 0, 1},
		{2, 0, 0, 0, 0, 2},
		{0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		{1, 0, 0x5e, 0, 0, 1},
		{0x33, 0x33, 0, 0, 0, 1},
	};

	add(t, addresses[random_below(5)], 6);
}

/* After the Ethernet addresses: a type and its content. */
static void add_ethernet(struct traffic *t)
{
	while (random_percent(20)) {
		add16(t, ONE_OF(0x8100, 0x8100, 0x88a8));
		add16(t, ONE_OF(7, 8, 100, 0x2007));
	}
	switch (random_below(16)) {
	case 0:
		add16(t, ONE_OF(0x0806, 0x8035));
		add_arp(t);
		return;
	case 1:
		add16(t, ONE_OF(0x0026, 0x0100));
		add16(t, ONE_OF(0x4242, 0xaaaa, 0xfefe));
		add8(t, 3);
		add_noise(t, 40);
		return;
	case 2:
		add16(t, ONE_OF(0x8863, 0x88cc, 0x8899));
		add_noise(t, 50);
		return;
	case 3:
		add16(t, 0x8864);
		add16(t, 0x1100);
		add16(t, ONE_OF(0x17, 0x18));
		add16(t, 100);
		add16(t, ONE_OF(0x0021, 0x0057, 0xc021));
		add_ipv4(t);
		return;
	case 4:
		add16(t, 0x8847);
		if (random_percent(40))
			add32(t, ONE_OF(1000, 17) << 12 | 64);
		add32(t, ONE_OF(1000, 17) << 12 | 0x100 | 64);
		add_ipv4(t);
		return;
	case 5:
	case 6:
	case 7:
	case 8:
		add16(t, 0x86dd);
		add_ipv6(t);
		return;
	}
	add16(t, 0x0800);
	add_ipv4(t);
}

/* at_least: the shortest packet that the device takes. One in seven is cut short. */
__attribute__((unused)) static void traffic_packet(struct traffic *t, bool ethernet,
						   size_t at_least)
{
	t->size = 0;
	if (ethernet) {
		add_address(t);
		add_address(t);
		add_ethernet(t);
	} else if (random_percent(60)) {
		add_ipv4(t);
	} else {
		add_ipv6(t);
	}
	if (random_below(7) == 0)
		t->size = 1 + random_below((__u32)t->size);
	while (t->size < at_least)
		add8(t, 0);
}

#endif
