/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* What kind of packets a socket gets: the first layer of their paths. */
#ifndef SOCKTALLY_PLUGIN_ATTACH_LINKTYPE_H
#define SOCKTALLY_PLUGIN_ATTACH_LINKTYPE_H

#include "plugin/meter/attachment.h"

/* ifindex: what the socket is about to be bound to; 0: as it is bound. -errno. */
int st_socket_link_read(struct st_socket_link *socket_link, int fd, int ifindex);

/* Makes it right for whatever interface the socket gets packets of. */
void st_socket_link_widen(struct st_socket_link *socket_link);

/* The link of packets of an interface. hardware: ARPHRD_ETHER and the like. */
uint32_t st_link_of_hardware(unsigned int hardware);

/* "eth", "sll", "raw", or the name of another link type. text: 32 bytes at least. */
void st_link_text(uint32_t link, char *text, uint32_t size);

#endif
