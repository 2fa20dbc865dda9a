/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What kind of packets a socket gets: the first layer of their paths. */
#ifndef SOCKTALLY_PLUGIN_ATTACH_LINKTYPE_H
#define SOCKTALLY_PLUGIN_ATTACH_LINKTYPE_H

#include <stdint.h>

/* Interfaces that aren't Ethernet, for a socket that gets packets of all of them. */
#define ST_MAX_LINKS 64

struct st_interface_link {
	int ifindex;
	uint32_t link; /* enum st_link */
};

/* One socket's link: that of its interface, or, for every interface, Ethernet but for these. */
struct st_tap {
	int ifindex; /* 0: every interface */
	char interface[16];
	uint32_t link; /* 0: look at `others` */
	unsigned int other_count;
	struct st_interface_link others[ST_MAX_LINKS];
};

/* ifindex: what the socket is about to be bound to; 0: as it is bound. -errno. */
int st_tap_read(struct st_tap *tap, int fd, int ifindex);

/* Makes the tap one that is right whatever interface the socket gets packets of. */
void st_tap_widen(struct st_tap *tap, int fd);

/* "eth", "sll", "raw", or the name of another link type. text: 32 bytes at least. */
void st_link_text(uint32_t link, char *text, uint32_t size);

#endif
