// SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
/* The link type by a device's hardware type: what begins its packets, as the kernel and libpcap say. */
#include "plugin/attach/linktype.h"
#include <linux/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static const struct {
	unsigned int hardware;
	const char *linktype;
} cases[] = {
	{ARPHRD_ETHER, "eth"},
	{ARPHRD_LOOPBACK, "eth"},
	{ARPHRD_NONE, "raw"},
	{ARPHRD_RAWIP, "raw"},
	{ARPHRD_PPP, "raw"},
	{ARPHRD_SLIP, "raw"},
	{ARPHRD_CSLIP, "raw"},
	{ARPHRD_ADAPT, "raw"},
	{ARPHRD_TUNNEL, "raw"},
	{ARPHRD_TUNNEL6, "raw"},
	{ARPHRD_SIT, "raw"},
	{ARPHRD_IPGRE, "raw"},
	{823 /* IP6GRE */, "raw"},
	{825 /* 6LOWPAN */, "raw"},
	{ARPHRD_IEEE80211_RADIOTAP, "IEEE802_11_RADIO"},
	{ARPHRD_NETLINK, "NETLINK"},
	{0xfff0, "DLT16383"},
};

int main(void)
{
	int failed = 0;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char text[32];
		bool good;

		st_link_text(st_link_of_hardware(cases[i].hardware), text, sizeof(text));
		good = !strcmp(text, cases[i].linktype);
		printf("%sok %zu - hardware type %u: %s\n", good ? "" : "not ", i + 1,
		       cases[i].hardware, text);
		failed |= !good;
	}
	printf("1..%zu\n", sizeof(cases) / sizeof(*cases));
	return failed;
}
